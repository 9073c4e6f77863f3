/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * The kvm engine: a virtual machine on Linux's KVM.  kvm_create makes memory,
 * the machine, its processors and devices; kvm_boot loads the kernel;
 * kvm_start runs the processors, each on a thread of its own; kvm_stop joins
 * them; kvm_reset makes the machine anew in the same memory.
 *
 * Hyper-V's own registers and interrupts are an accelerator's, one of two:
 * KVM's SynIC (accel_kernel.c), or the model in user space (accel_user.c).
 *
 * Locking.  A processor's file descriptor and struct kvm_run belong to its
 * thread while it runs, and to the main thread before and after.  `vm_lock`
 * guards vm_fd for what other threads do to it: interrupts and doorbells.
 * Requests to a processor are bits, set by anyone.
 */
#ifndef _KVM_KVM_H_
#define	_KVM_KVM_H_

#include <linux/kvm.h>

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include <hvk/boot.h>
#include <hvk/vmm.h>

#include "dev/dev.h"

struct kvm_machine;

/* What a processor's thread is asked to do between two runs. */
#define	REQ_STOP	0x01u
#define	REQ_VISIT	0x02u		/* vmm_bus_visit */
#define	REQ_NMI		0x04u
#define	REQ_IRQ		0x08u		/* accelerator: try to inject */

struct kvm_vcpu {
	struct kvm_machine *m;
	uint32_t	index;
	int		fd;
	struct kvm_run	*run;
	pthread_t	thread;
	bool		started;	/* to be joined */
	pthread_t	self;		/* its own, before `running` */
	pthread_mutex_t	kick_lock;
	_Atomic bool	running;	/* may be kicked; cleared by kick_lock */
	_Atomic uint32_t requests;
	_Atomic uint64_t exits;
	int		stats_fd;	/* -1: KVM counts nothing */
	/* Accelerator "user": interrupts that end themselves. */
	_Atomic uint64_t self_eoi[4];
	timer_t		again;		/* looks once more for a chance */
	bool		has_timer;
};

/* Accelerator "user": a connection that KVM itself signals. */
#define	KVM_BELLS	256u
struct kvm_bell {
	bool		used;
	uint32_t	connection;
	int		fd;
};

/* Why the machine ended, first cause wins. */
enum kvm_end {
	KVM_END_NONE,
	KVM_END_OFF,			/* the guest switched itself off */
	KVM_END_RESET,			/* the guest reset itself */
	KVM_END_CRASH,			/* triple fault */
	KVM_END_ERROR,			/* KVM gave up; end_text says why */
	KVM_END_QUIT,			/* escape key */
};

enum kvm_synic { KVM_SYNIC_AUTO, KVM_SYNIC_KERNEL, KVM_SYNIC_USER };

struct kvm_accel {
	const char	*name;
	/* What the model may offer with it. */
	void		(*enlighten)(struct kvm_machine *,
			    struct vmm_enlighten *);
	/* The machine, then each processor, was made.  0/-errno. */
	int		(*vm)(struct kvm_machine *);
	int		(*vcpu)(struct kvm_vcpu *);
	void		(*interrupt)(struct kvm_machine *,
			    const struct hvk_hv_irq *);
	int		(*doorbell)(struct kvm_machine *, uint32_t connection,
			    int fd);
	/* May be NULL: see struct vmm_machine_ops. */
	bool		(*owner)(struct kvm_machine *, uint32_t cpu);
	void		(*hypercall_page)(struct kvm_machine *, uint64_t gpa);
	/* The reference counter, where it is not the bus's; may be NULL. */
	uint64_t	(*reference)(struct kvm_machine *);
	/* SINTs as GSIs, if it has any: entries added to the table. */
	void		(*routes)(struct kvm_machine *,
			    struct kvm_irq_routing *);
	/* Before each run, on the processor's thread; may be NULL. */
	void		(*before)(struct kvm_vcpu *);
	/* An exit that is the accelerator's alone: true if it was. */
	bool		(*exit)(struct kvm_vcpu *);
};
extern const struct kvm_accel kvm_accel_kernel;
extern const struct kvm_accel kvm_accel_user;

struct kvm_config {
	uint32_t	ncpus;
	uint64_t	memory;		/* bytes, without the gap */
	uint64_t	gap_start;
	uint64_t	gap_size;
	uint64_t	high_size;	/* window above memory */
	bool		gen2;
	enum kvm_synic	synic;
	bool		trust_tsc;	/* though it is not invariant */
	bool		stimers;
	bool		jail;		/* seccomp for the processors */
};

struct kvm_machine {
	struct vmm_machine machine;
	struct guest_mem mem;
	struct kvm_config conf;
	struct vmm_bus	*bus;
	const struct kvm_accel *accel;
	int		sys_fd;
	pthread_mutex_t	vm_lock;
	int		vm_fd;
	struct dev_message pin[PLAT_IOAPIC_PINS];	/* vm_lock; gen2 */
	struct kvm_bell	bell[KVM_BELLS];	/* vm_lock */
	size_t		run_size;
	struct kvm_vcpu	vcpu[VMM_MAXCPU];

	struct dev_ports ports;
	struct dev_machine devs;
	struct dev_uart	*uart;
	struct dev_power *power;
	struct dev_rtc	*rtc;
	struct dev_ioapic *ioapic;	/* gen2 only, else it is KVM's */

	pthread_mutex_t	end_lock;
	_Atomic bool	over;		/* end is set */
	enum kvm_end	end;
	char		end_text[256];
	int		end_fd;		/* eventfd: it ended */
	_Atomic uint32_t stray;		/* accesses to nothing, counted */
};

struct kvm_machine *kvm_create(const struct kvm_config *, char *err,
	    size_t errlen);
void	kvm_destroy(struct kvm_machine *);
/* Load the kernel and set the processors up.  conf is completed from ours. */
int	kvm_boot(struct kvm_machine *, struct boot_config *, char *err,
	    size_t errlen);
int	kvm_start(struct kvm_machine *, char *err, size_t errlen);
void	kvm_stop(struct kvm_machine *);
/* After kvm_stop: a new machine, its memory zero; then kvm_boot again. */
int	kvm_reset(struct kvm_machine *, char *err, size_t errlen);
void	kvm_nmi(struct kvm_machine *);
enum kvm_end kvm_ended(struct kvm_machine *, char *text, size_t len);

/* ---- machine.c, for the others */
void	kvm_end(struct kvm_machine *, enum kvm_end, const char *fmt, ...)
	    __attribute__((format(printf, 3, 4)));
/* Ask a processor's thread to do something; any thread. */
void	kvm_request(struct kvm_vcpu *, uint32_t what);
/* KVM's table of interrupt routes, made anew.  0/-errno. */
int	kvm_set_routes(struct kvm_machine *);
struct kvm_span {
	uint32_t	first, n;
};
/* These registers are ours, not KVM's.  0/-errno. */
int	kvm_filter_msrs(struct kvm_machine *, const struct kvm_span *,
	    unsigned n);
/* The processor whose thread this is, or NULL. */
extern _Thread_local struct kvm_vcpu *kvm_self;
#define	KVM_KICK	(SIGRTMIN + 1)

/* ---- vcpu.c */
void	*kvm_vcpu_main(void *);
int	kvm_vcpu_entry(struct kvm_vcpu *, const struct boot_cpu *);
/* Sleep until there is an interrupt; the processor's own thread. */
void	kvm_vcpu_idle(struct kvm_vcpu *);
int	kvm_get_msr(struct kvm_vcpu *, uint32_t msr, uint64_t *value);

/* ---- stats.c: KVM's counters, of all processors together */
void	kvm_stats_open(struct kvm_vcpu *);
void	kvm_stats_close(struct kvm_vcpu *);
json_t	*kvm_stats(struct kvm_machine *);

/* ---- jail.c: this thread's system calls, from now on.  0/-errno. */
int	kvm_jail(void);

/* ---- cpuid.c */
/* Does the host's counter go on at one rate for ever? */
bool	kvm_host_tsc_invariant(void);
int	kvm_set_cpuid(struct kvm_machine *, char *err, size_t errlen);

#endif /* _KVM_KVM_H_ */
