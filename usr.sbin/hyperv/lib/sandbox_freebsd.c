/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * sandbox_freebsd.c: sandbox.h by capsicum(4).
 */

#include <sys/types.h>
#include <sys/capsicum.h>

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "sandbox.h"

bool
sandbox_limit(int fd, enum sandbox_use use)
{
	cap_rights_t r;

	switch (use) {
	case SANDBOX_DEVICE:
		cap_rights_init(&r, CAP_READ, CAP_WRITE, CAP_IOCTL, CAP_EVENT,
		    CAP_SEEK);
		break;
	case SANDBOX_SOCKET:
		cap_rights_init(&r, CAP_READ, CAP_WRITE, CAP_EVENT);
		break;
	case SANDBOX_DIR:
		cap_rights_init(&r, CAP_LOOKUP, CAP_READ, CAP_WRITE, CAP_SEEK,
		    CAP_CREATE, CAP_FCNTL, CAP_FSTAT, CAP_FSTATAT, CAP_FSTATFS,
		    CAP_FSYNC, CAP_FTRUNCATE, CAP_FCHMOD, CAP_FLOCK,
		    CAP_MKDIRAT, CAP_UNLINKAT, CAP_RENAMEAT_SOURCE,
		    CAP_RENAMEAT_TARGET, CAP_LINKAT_SOURCE, CAP_LINKAT_TARGET);
		break;
	case SANDBOX_FILE:
		cap_rights_init(&r, CAP_WRITE, CAP_FTRUNCATE, CAP_FLOCK);
		break;
	}
	/* A kernel without capsicum limits nothing. */
	return (cap_rights_limit(fd, &r) == 0 || errno == ENOSYS);
}

bool
sandbox_enter(void)
{
	/* syslog(3) writes the local time, whose rules are in a file. */
	tzset();
	if (cap_enter() == 0)
		return (true);
	log_msg(LOG_WARNING, "no sandbox: %s", strerror(errno));
	return (false);
}
