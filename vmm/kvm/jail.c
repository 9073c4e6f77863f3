/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * What a virtual processor's thread may ask of the kernel: it answers exits of
 * a hostile guest, and needs few system calls for that.  Any other fails with
 * EPERM.  The list is without conditions on arguments, so that the kernel
 * keeps its answers and a KVM_RUN pays nothing for it.
 *
 * No lock: called once at the start of each such thread.
 */
#include <errno.h>
#include <seccomp.h>

#include "kvm.h"

static const int allowed[] = {
	/* The machine, and waking others. */
	SCMP_SYS(ioctl), SCMP_SYS(write), SCMP_SYS(writev), SCMP_SYS(read),
	SCMP_SYS(futex), SCMP_SYS(tgkill), SCMP_SYS(getpid),
	SCMP_SYS(gettid),
	/* Time, where the vDSO does not do. */
	SCMP_SYS(clock_gettime), SCMP_SYS(gettimeofday), SCMP_SYS(time),
	SCMP_SYS(nanosleep), SCMP_SYS(clock_nanosleep),
	SCMP_SYS(timer_create), SCMP_SYS(timer_settime),
	SCMP_SYS(timer_delete), SCMP_SYS(sched_yield),
	/* Signals, memory and the end of a thread, for the C library. */
	SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(restart_syscall), SCMP_SYS(brk), SCMP_SYS(mmap),
	SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise),
	SCMP_SYS(mprotect), SCMP_SYS(exit), SCMP_SYS(exit_group),
	SCMP_SYS(set_robust_list), SCMP_SYS(rseq),
};

int
kvm_jail(void)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	size_t i;
	int error = 0;

	if (ctx == NULL)
		return (-ENOMEM);
	for (i = 0; i < sizeof(allowed) / sizeof(allowed[0]) && error == 0;
	    i++)
		error = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, allowed[i], 0);
	if (error == 0)
		error = seccomp_load(ctx);
	seccomp_release(ctx);
	return (error);
}
