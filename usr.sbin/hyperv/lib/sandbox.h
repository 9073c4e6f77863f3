/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * sandbox.h: after this a daemon can use what it has open, and what is below
 * the directories that it has open, and nothing else: Capsicum on FreeBSD, a
 * seccomp(2) filter on Linux.
 */

#ifndef HV_SANDBOX_H
#define	HV_SANDBOX_H

#include <stdbool.h>

/* A descriptor that stays usable, for what. */
enum sandbox_use {
	SANDBOX_DEVICE,		/* read, write, ioctl, poll */
	SANDBOX_SOCKET,		/* send, receive, poll */
	SANDBOX_DIR,		/* files below it, made, renamed, removed */
	SANDBOX_FILE,		/* the pid file */
};
/* false: it failed, errno is set. */
bool	sandbox_limit(int fd, enum sandbox_use);
/* Once, after all of the above. false: there is none (and it is logged). */
bool	sandbox_enter(void);

#endif
