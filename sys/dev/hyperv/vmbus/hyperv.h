/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * The hypervisor as the VMBus driver needs it: identification, synthetic
 * registers, hypercalls, the interrupt.  hyperv.c has what is common, the
 * machine's own directory the rest.
 */

#ifndef _DEV_HYPERV_HYPERV_H_
#define	_DEV_HYPERV_HYPERV_H_

#include <hvk/types.h>
#include <hvk/wire/hv.h>

struct trapframe;

/* What CPUID (or its like) said; filled in by hyperv_identify(). */
struct hyperv_info {
	u_int	features;	/* HVK_FEATURE_* */
	u_int	rights;		/* HVK_RIGHT_* */
	u_int	power;
	u_int	misc;		/* HVK_MISC_* */
	u_int	recommends;	/* HVK_RECOMMEND_* */
	u_int	version[4];
};

extern struct hyperv_info hyperv_info;

/* hyperv.c */
bool	 hyperv_identify(void);		/* is this a host that we can use? */
int	 hyperv_start(void);		/* guest id, hypercall page */
void	 hyperv_stop(void);
uint64_t hyperv_post_message(vm_paddr_t input);
uint64_t hyperv_signal_event(uint32_t connection);
uint64_t hyperv_reference_time(void);	/* 100 ns; 0: there is no counter */

/* hyperv_crash.c: from start to stop the host is told of a panic */
void	 hyperv_crash_start(void);
void	 hyperv_crash_stop(void);

/*
 * Machine layer.  hyperv_cpuid() is a function of its own and never inlined,
 * so that a program which runs this module elsewhere can answer in place of
 * the processor.
 */
void	 hyperv_cpuid(u_int leaf, u_int sub, u_int *regs);
bool	 hyperv_md_identify(struct hyperv_info *);
void	*hyperv_md_hypercall_page(void);	/* NULL: this machine has none */
void	 hyperv_md_hypercall_page_free(void *);
uint64_t hyperv_md_hypercall(void *page, uint64_t control, uint64_t in,
	    uint64_t out);
uint64_t hyperv_rdmsr(u_int reg);
void	 hyperv_wrmsr(u_int reg, uint64_t value);
bool	 hyperv_md_auto_eoi(void);
void	 hyperv_md_eoi(void);
int	 hyperv_md_intr_setup(void);		/* vector, or -1 */
void	 hyperv_md_intr_teardown(int vector);
u_long	*hyperv_md_intr_counter(int cpu);

/* vmbus_synic.c: called by the interrupt entry. */
void	 hyperv_isr(struct trapframe *);

#endif	/* !_DEV_HYPERV_HYPERV_H_ */
