/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * sandbox_linux.c: sandbox.h by seccomp(2), through libseccomp: the system
 * calls that the daemons make after their start; any other ends the process.
 * There is no program to run and no socket to make among them.
 */

#include <errno.h>
#include <seccomp.h>
#include <string.h>

#include "log.h"
#include "sandbox.h"

static const int allowed[] = {
	SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(pread64),
	SCMP_SYS(pwrite64), SCMP_SYS(readv), SCMP_SYS(writev),
	SCMP_SYS(recvmsg), SCMP_SYS(sendmsg), SCMP_SYS(recvfrom),
	SCMP_SYS(sendto), SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(ioctl),
	SCMP_SYS(close), SCMP_SYS(fstat), SCMP_SYS(newfstatat),
	SCMP_SYS(statx), SCMP_SYS(fstatfs), SCMP_SYS(lseek),
	SCMP_SYS(openat), SCMP_SYS(unlinkat), SCMP_SYS(unlink),
	SCMP_SYS(renameat), SCMP_SYS(renameat2), SCMP_SYS(linkat),
	SCMP_SYS(mkdirat), SCMP_SYS(fchmod), SCMP_SYS(fsync),
	SCMP_SYS(ftruncate), SCMP_SYS(flock), SCMP_SYS(getdents64),
	SCMP_SYS(fcntl), SCMP_SYS(mmap), SCMP_SYS(munmap), SCMP_SYS(mremap),
	SCMP_SYS(brk), SCMP_SYS(madvise), SCMP_SYS(clock_gettime),
	SCMP_SYS(clock_nanosleep), SCMP_SYS(nanosleep), SCMP_SYS(gettimeofday),
	SCMP_SYS(getpid), SCMP_SYS(getrandom),
	SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigprocmask), SCMP_SYS(restart_syscall), SCMP_SYS(futex),
	SCMP_SYS(exit), SCMP_SYS(exit_group), SCMP_SYS(sched_yield),
	SCMP_SYS(tgkill), SCMP_SYS(gettid), SCMP_SYS(rseq),
};

/* Descriptors are not limited one by one here. */
bool
sandbox_limit(int fd, enum sandbox_use use)
{
	(void)fd;
	(void)use;
	return (true);
}

bool
sandbox_enter(void)
{
	scmp_filter_ctx ctx;
	size_t i;
	int error;

	ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
	if (ctx == NULL)
		return (false);
	error = 0;
	for (i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++)
		if (error == 0)
			error = seccomp_rule_add(ctx, SCMP_ACT_ALLOW,
			    allowed[i], 0);
	/* syslog(3) tries to connect again when nobody listens: it may fail. */
	if (error == 0)
		error = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EACCES),
		    SCMP_SYS(socket), 0);
	if (error == 0)
		error = seccomp_load(ctx);
	seccomp_release(ctx);
	if (error != 0)
		log_msg(LOG_WARNING, "no sandbox: %s", strerror(-error));
	return (error == 0);
}
