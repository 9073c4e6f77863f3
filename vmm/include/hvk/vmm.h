/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * What the parts of the host share among themselves: guest memory, the
 * machine under the bus (engine), the bus, the run directory, the command
 * server.  Devices (vmm/vsp) see only <hvk/device.h>.
 */
#ifndef _HVK_VMM_H_
#define	_HVK_VMM_H_

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include <hvk/device.h>
#include <hvk/host/hypervisor.h>

#define	VMM_VERSION	"0.1.0"
#define	VMM_PAGE	4096u
#define	VMM_MAXCPU	64u
#define	VMM_ERRLEN	512

/* Exit statuses of every subcommand. */
enum {
	EX_OK_ = 0,
	EX_FAILED = 1,
	EX_USAGE_ = 2,
	EX_CRASHED_ = 3,	/* engine kvm: triple fault */
	EX_RESET_ = 4,		/* engine kvm: reset, and reboot=no */
};

/* ---- log.c: one line to standard error, prefixed "hvk: ". */
void	vmm_log(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Format into err and return ret. */
int	vmm_fail(char *err, size_t errlen, int ret, const char *fmt, ...)
	    __attribute__((format(printf, 4, 5)));
uint64_t vmm_now_ns(void);		/* CLOCK_MONOTONIC */
uint64_t vmm_deadline(uint32_t ms);	/* absolute, for vmm_left_ms */
int	vmm_left_ms(uint64_t deadline);	/* 0 when passed */
/* Start a named, joinable thread with all signals blocked. */
int	vmm_thread(void *thread, const char *name, void *(*fn)(void *),
	    void *arg);

/* ---- mem.c */
struct guest_mem {
	uint8_t		*base;
	uint64_t	size;
	uint64_t	gap_start;	/* MMIO gap: not memory; none if */
	uint64_t	gap_end;	/* gap_end == gap_start */
	int		fd;		/* sealed: cannot shrink */
	_Atomic uint32_t runs;		/* mappings in use, bounded */
};
int	guest_mem_create(struct guest_mem *, uint64_t size, char *err,
	    size_t errlen);
/*
 * As guest_mem_create, `size` bytes of memory around a gap for devices:
 * guest physical address and offset stay the same, so that mem->size is the
 * end of memory, and more than `size` when some of it lies above the gap.
 */
int	guest_mem_create_gap(struct guest_mem *, uint64_t size,
	    uint64_t gap_start, uint64_t gap_end, char *err, size_t errlen);
/* All zeros again, as new.  The guest does not run. */
int	guest_mem_clear(struct guest_mem *);
void	guest_mem_destroy(struct guest_mem *);
/*
 * Map guest pages one after the other.  NULL with errno: ERANGE when a page
 * is outside memory, ENOSPC when the guest's pages are too scattered.
 */
void	*guest_mem_map(struct guest_mem *, const uint64_t *pfn, uint32_t n,
	    uint32_t *runs);
void	guest_mem_unmap(struct guest_mem *, void *, uint32_t n, uint32_t runs);

/* ---- the machine under the bus: what an engine provides. */
struct vmm_machine_ops {
	/* Raise an interrupt on a virtual processor.  Any thread; never waits. */
	void	(*interrupt)(void *, const struct hvk_hv_irq *);
	/* Have SIGNAL_EVENT on an id write to fd; fd -1 removes.  0/-errno. */
	int	(*doorbell)(void *, uint32_t connection, int fd);
	/*
	 * What follows may be NULL.
	 *
	 * May this thread write the message page of the processor now?  False:
	 * only its own may, and it will call vmm_bus_visit() soon.  Bus lock
	 * held.
	 */
	bool	(*owner)(void *, uint32_t cpu);
	/* The hypercall page was enabled at gpa: fill it. */
	void	(*hypercall_page)(void *, uint64_t gpa);
	/* This processor sleeps until it has an interrupt, or may look. */
	void	(*idle)(void *, uint32_t cpu);
	/* The guest asked for a reset of the machine. */
	void	(*reset)(void *);
	/* The guest reported a crash; text may be empty. */
	void	(*crashed)(void *, const char *text);
	/*
	 * The guest's reference counter now, 100 ns; NULL: the bus's own is
	 * the guest's.  Any thread.
	 */
	uint64_t (*reference)(void *);
};
/* What the hypervisor model offers on this machine. */
struct vmm_enlighten {
	uint64_t	tsc_hz;		/* guest's counter; 0 = measured */
	uint64_t	tsc_delta;	/* guest's counter less the host's */
	uint64_t	apic_hz;	/* 0: no frequency registers */
	bool		no_tsc;		/* the counter cannot be trusted */
	bool		stimers;
	bool		apic_msrs;
	bool		vp_runtime;
	bool		processor_calls;
	bool		invariant_tsc;
	bool		guest_idle;	/* ops->idle is there */
};
struct vmm_machine {
	const struct vmm_machine_ops *ops;
	void		*arg;
	struct guest_mem *mem;
	uint32_t	ncpus;
	struct vmm_enlighten enlighten;
};

/* ---- bus.c */
struct vmm_bus_config {
	struct vmm_machine *machine;
	uint32_t	version_max;	/* VMBus, major << 16 | minor */
	bool		monitor;	/* hand out monitor ids */
	bool		no_auto_eoi;	/* recommend against AutoEOI */
	const char	*dir;		/* crash.txt goes there; NULL: nowhere */
};
struct vmm_bus *vmm_bus_create(const struct vmm_bus_config *, char *err,
	    size_t errlen);
/*
 * Close every open channel and stop the threads, once the machine makes no more
 * exits.  False if a device does not let go: then nothing may be freed.
 */
bool	vmm_bus_stop(struct vmm_bus *);
void	vmm_bus_destroy(struct vmm_bus *);

/* Exits of a virtual processor, on that processor's thread. */
void	vmm_bus_cpuid(struct vmm_bus *, uint32_t cpu, uint32_t leaf,
	    uint32_t subleaf, uint32_t regs[4]);
/* false: #GP */
bool	vmm_bus_rdmsr(struct vmm_bus *, uint32_t cpu, uint32_t msr,
	    uint64_t *value);
bool	vmm_bus_wrmsr(struct vmm_bus *, uint32_t cpu, uint32_t msr,
	    uint64_t value);
uint64_t vmm_bus_hypercall(struct vmm_bus *, uint32_t cpu, uint64_t control,
	    uint64_t input, uint64_t output);

/*
 * For an accelerator that keeps the SynIC's registers: what the guest wrote to
 * them, its operating system's id, and the visit that `owner` promised.  On the
 * processor's thread.
 */
void	vmm_bus_mirror(struct vmm_bus *, uint32_t cpu, uint64_t scontrol,
	    uint64_t siefp, uint64_t simp);
void	vmm_bus_mirror_os(struct vmm_bus *, uint64_t os_id,
	    uint64_t hypercall);
void	vmm_bus_visit(struct vmm_bus *, uint32_t cpu);
/* As vmm_bus_cpuid, with the engine's own answer coming in by regs. */
bool	vmm_bus_cpuid_model(struct vmm_bus *, uint32_t leaf, uint32_t subleaf,
	    uint32_t regs[4]);
/* The machine is reset; no processor runs.  False: a device holds on. */
bool	vmm_bus_reset(struct vmm_bus *);
/* After it: machine->enlighten.tsc_delta changed. */
bool	vmm_bus_retime(struct vmm_bus *);

/* Commands: 0, or -errno with one line in err. */
void	vmm_bus_info(struct vmm_bus *, json_t *into);
void	vmm_bus_channels(struct vmm_bus *, json_t *into);
void	vmm_bus_stat(struct vmm_bus *, json_t *into);
int	vmm_bus_rescind(struct vmm_bus *, const char *name, char *err,
	    size_t errlen);
/* One sub-channel; the device may ask for it again. */
int	vmm_bus_rescind_channel(struct vmm_bus *, const char *name,
	    int64_t index, char *err, size_t errlen);
int	vmm_bus_reoffer(struct vmm_bus *, const char *name, json_t *out,
	    char *err, size_t errlen);
int	vmm_bus_inject(struct vmm_bus *, const char *target,
	    enum vmm_fault fault, uint32_t count, uint32_t ms, char *err,
	    size_t errlen);
int	vmm_bus_trace(struct vmm_bus *, const char *path, char *err,
	    size_t errlen);		/* NULL: off */
int	vmm_bus_device_ctl(struct vmm_bus *, const char *name, const char *cmd,
	    const json_t *in, json_t *out, char *err, size_t errlen);
/* Names of faults; -1 when unknown. */
int	vmm_fault_parse(const char *name);
const char *vmm_fault_name(enum vmm_fault);

/* ---- opts.c: a guest is described by dotted keys. */
struct vmm_opts;
struct vmm_opts *vmm_opts_new(void);
void	vmm_opts_free(struct vmm_opts *);
int	vmm_opts_set(struct vmm_opts *, const char *key, const char *value,
	    char *err, size_t errlen);
int	vmm_opts_assign(struct vmm_opts *, const char *keyvalue, char *err,
	    size_t errlen);		/* "key=value" */
int	vmm_opts_file(struct vmm_opts *, const char *path, char *err,
	    size_t errlen);
/* Into the next free what.N. */
int	vmm_opts_append(struct vmm_opts *, const char *what,
	    const char *value, char *err, size_t errlen);
/* "PATH[,key=value]..." into the next free disk.N. */
int	vmm_opts_disk(struct vmm_opts *, const char *spec, bool cdrom,
	    char *err, size_t errlen);
const char *vmm_opts_get(const struct vmm_opts *, const char *key);
uint64_t vmm_opts_num(const struct vmm_opts *, const char *key);
bool	vmm_opts_bool(const struct vmm_opts *, const char *key);
/* Configurations of the storage controllers, for vmm_stor_create. */
json_t	*vmm_opts_controllers(const struct vmm_opts *, char *err,
	    size_t errlen);
/* One disk from a SPEC, as in a controller's configuration. */
json_t	*vmm_disk_parse(const char *spec, bool cdrom, char *err,
	    size_t errlen);
/*
 * The next field of a SPEC up to a comma, ",," being a comma in it.  Returns
 * what follows, NULL at the end.
 */
const char *vmm_spec_field(const char *s, char *out, size_t len);
int	vmm_parse_size(const char *, uint64_t *);	/* 64M, 1G, 4096 */
int	vmm_parse_version(const char *, uint32_t *);	/* 5.3 */
void	vmm_opts_help(void);

/* ---- opts_nic.c */
/* "slirp|tap[:NAME]|pair:PATH[,key=value]..." into the next free net.N. */
int	vmm_opts_nic(struct vmm_opts *, const char *spec, char *err,
	    size_t errlen);
/* Adapters, for vmm_nets_add. */
json_t	*vmm_opts_nics(const struct vmm_opts *);
/* One adapter from a SPEC; "name" is taken too. */
json_t	*vmm_nic_parse(const char *spec, char *err, size_t errlen);

/* ---- rundir.c */
struct vmm_rundir {
	char		path[96];	/* room for a socket's name after it */
	int		lock;
	bool		made;
};
int	vmm_rundir_default(const char *name, char *path, size_t len, char *err,
	    size_t errlen);
/* Take the directory: refuses one in use, cleans a stale one. */
int	vmm_rundir_open(struct vmm_rundir *, const char *dir, char *err,
	    size_t errlen);
void	vmm_rundir_close(struct vmm_rundir *);

/* ---- ctl_server.c: JSON lines over DIR/hvk.sock. */
struct vmm_ctl;
typedef int vmm_ctl_handler(void *arg, const char *cmd, const json_t *in,
	    json_t *out, char *err, size_t errlen);
struct vmm_ctl *vmm_ctl_start(const char *dir, vmm_ctl_handler *, void *arg,
	    char *err, size_t errlen);
void	vmm_ctl_stop(struct vmm_ctl *);

/* ---- subcommands */
int	cmd_run(int argc, char **argv);
int	cmd_ctl(int argc, char **argv);
int	cmd_features(int argc, char **argv);
int	cmd_proof(int argc, char **argv);
/* Directory of hvk's own binary. */
int	vmm_self_dir(char *path, size_t len);

#endif /* _HVK_VMM_H_ */
