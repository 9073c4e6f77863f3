/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * `hvk run`: what run.c and its two engines share.  Exactly one of kld and kvm
 * is there once the engine was made.
 *
 * Locking: the main thread's, but for what is _Atomic, which the command
 * thread reads too.
 */
#ifndef _VMM_RUN_H_
#define	_VMM_RUN_H_

#include <stdatomic.h>

#include <hvk/services.h>
#include <hvk/net.h>
#include <hvk/stor.h>

#include "kld/kld.h"
#include "kvm/kvm.h"

#define	MAX_CONTROLLERS	12
#define	MAX_TAPS	16u
#define	MAX_LIST	100u		/* of module.N and of env.N */

struct run {
	struct vmm_opts	*opts;
	struct vmm_rundir rd;
	struct kld	*kld;
	struct kvm_machine *kvm;
	struct vmm_bus	*bus;
	struct vmm_stor	*stor[MAX_CONTROLLERS];
	unsigned	nstor;
	struct vmm_services *services;
	struct vmm_nets	*nets;
	struct vmm_ctl	*ctl;
	struct kld_console *console;
	struct dev_console *terminal;
	int		sigfd;
	int		stopfd;		/* eventfd: hvk ctl shutdown */
	uint64_t	started;
	uint64_t	deadline;	/* of the stop under way, 0 = none */
	_Atomic bool	ready;
	_Atomic bool	stopping;
	bool		hung_up;	/* the control socket is closed */
	bool		orderly;	/* EXIT was reported with status 0 */
	bool		restart;	/* the guest wants to begin again */
	bool		killed;
	/* Engine kvm: what is loaded, again at each reset. */
	struct boot_config boot;
	const char	*modules[MAX_LIST];
	const char	*env[MAX_LIST];		/* both engines */
	char		tap[MAX_TAPS][200];	/* of them, ours */
	_Atomic uint32_t resets;
};

/* ---- run_kvm.c */
/* The machine, before the bus; then the kernel and the processors. */
int	run_kvm_create(struct run *, char *err, size_t errlen);
int	run_kvm_start(struct run *, char *err, size_t errlen);
/* The values of WHAT.0, WHAT.1...; at most MAX_LIST. */
unsigned run_list(const struct vmm_opts *, const char *what, const char *to[]);
/* Until it ended; our exit status. */
int	run_kvm_watch(struct run *);
void	run_kvm_info(struct run *, json_t *vm);

#endif /* _VMM_RUN_H_ */
