/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * kern.h: what the files of kern/ share with each other and with nobody else.
 *
 * kern/ is compiled as FreeBSD kernel code against FreeBSD's own headers, so
 * each function here has exactly the type that modules were compiled against.
 */

#ifndef KLDRUN_KERN_H
#define KLDRUN_KERN_H

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/kernel.h>
#include <sys/lock.h>
#include <sys/mutex.h>
#include <sys/malloc.h>
#include <sys/pcpu.h>
#include <sys/proc.h>
#include <sys/queue.h>
#include <sys/limits.h>
#include <sys/smp.h>

#include "os.h"
#include "kld.h"

#define	KLD_MAXTHREADS	512
#define	KLD_MAXHELD	12
#define	KLD_STACK	(128 * 1024)	/* with one guard page below */

/*
 * One kernel thread. Each has a struct pcpu of its own, because PCPU_GET()
 * and curthread are inlined gs-relative loads in module code, and a Linux
 * thread may run on any processor; pc_cpuid says which CPU it stands for.
 */
struct kthr {
	struct thread td;		/* first: curthread is a struct kthr */
	int slot;
	int state;			/* free, running, ended */
	os_u64 handle;			/* Linux thread */
	void *stack;
	void (*fn)(void *);
	void *arg;
	/* sleeping: guarded by the lock of the channel's bucket */
	const void *wchan;
	volatile os_u32 wake;
	TAILQ_ENTRY(kthr) waiters;
	/* sleeping with PCATCH, and what a signal would be */
	bool catching;
	volatile os_u32 interrupted;
	struct cdev_conn *conn;		/* the open file it makes calls for */
	/* non-sleepable locks held, for reports and refusals */
	int nheld;
	const struct lock_object *held[KLD_MAXHELD];
} __aligned(64);

extern struct kthr kld_threads[KLD_MAXTHREADS];
extern struct pcpu kld_pcpu[];

static inline struct kthr *
kld_self(void)
{
	return ((struct kthr *)curthread);
}

int kld_thread_start(void (*fn)(void *), void *arg, int cpu,
    struct proc *p, struct kthr **out, const char *name);
void kld_thread_end(void) __dead2;
void kld_set_cpu(int cpu);
/* As a signal: a sleep with PCATCH returns EINTR, now or when it begins. */
void kld_thread_interrupt(struct kthr *);

/* lock.c: bookkeeping of held locks */
void kld_held_add(const struct lock_object *);
void kld_held_remove(const struct lock_object *);
void kld_assert_may_sleep(const char *what, const struct lock_object *except);
void kld_lock_release(struct lock_object *, uintptr_t *how);
void kld_lock_acquire(struct lock_object *, uintptr_t how);

/* malloc.c */
void kld_malloc_boot(void);
/* What the modules keep because the host may still use it; valid after _find. */
void kld_kept_find(void);
bool kld_kept(const void *);
long kld_kept_pages(void);
int kld_malloc_leaks(void (*out)(void *, const char *), void *arg,
    long *live, long *ever);
void *kld_malloc_caller(size_t size, struct malloc_type *type, int flags,
    void *caller);
MALLOC_DECLARE(M_KLDRUN);		/* kldrun's own: never a module's leak */

/* uma.c: pools of kldrun's own kernel, whose items modules hold */
struct uma_zone *kld_zone_create(const char *name, size_t size,
    struct uma_zone *same, int (*ctor)(void *, int, void *, int),
    void (*dtor)(void *, int, void *));
void *kld_zone_alloc(struct uma_zone *, void *arg, int flags, void *caller);
long kld_zone_live(struct uma_zone *);
int kld_zone_leaks(void (*out)(void *, const char *), void *arg);

/* busdma.c */
int kld_busdma_leaks(void (*out)(void *, const char *), void *arg,
    long *returned);

/* subr_module.c */
struct linker_file;
void kld_sysinit_add(struct sysinit **set, struct sysinit **end);
void kld_tunables_run(void);
extern int kld_unload_failures;		/* things that did not come off */

/* generic.c: has a GENERIC kernel this module compiled in? */
bool kld_generic_has(const char *module);

/* newbus */
void kld_newbus_boot(void);
void kld_newbus_configure(void);
void kld_newbus_shutdown(void);
void kld_newbus_delete_root(void);
int kld_driver_unload_all(struct linker_file *);
void kld_sysctl_register(void **set, void **end);
void kld_sysctl_unregister(void **set, void **end);
void kld_callout_boot(void);
void kld_taskqueue_shutdown(void);
void kld_thread_boot(void);
void kld_sysctl_boot(void);

/* wallclock.c: the guest's time of day */
os_u64 kld_realtime_ns(void);
void kld_wallclock_tick(void);

/* misc.c: handlers of shutdown_pre_sync, without any lock */
void kld_panic_handlers(int howto);

/* reboot.c */
void kld_shutdown_handlers(int final);

/* printf.c: a formatted line to an output callback */
struct kld_out {
	void (*fn)(void *, const char *);
	void *arg;
};
void kld_outf(struct kld_out *, const char *fmt, ...) __printflike(2, 3);

#endif
