/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * freezer.h: the process that holds file systems suspended. What is suspended
 * is suspended by its open descriptors of /dev/ufssuspend, so that its death,
 * of whatever cause, thaws everything; and it dies by itself when its parent
 * does, when it is told to, and when its time is up.
 */

#ifndef VSS_FREEZER_H
#define	VSS_FREEZER_H

#include <sys/types.h>
#include <stdbool.h>

#include "mounts.h"

struct freezer {
	pid_t	pid;		/* 0: none */
	int	fd;
	int	frozen;		/* file systems */
};

#define	FREEZER_MAX	64	/* file systems at a time */

/*
 * Suspends every MOUNT_FREEZE of the table, the last mounted first, for not
 * longer than `hold' seconds; waits for that `seconds' at most. 0, or an errno
 * and nothing is suspended.
 */
int	freezer_start(struct freezer *, const struct mounts *,
	    const char *device, int hold, int seconds);
/* It ended by itself: everything is thawed, and there is no freezer. */
bool	freezer_lost(struct freezer *);
/* Thaws; true when everything was still suspended until now. */
bool	freezer_end(struct freezer *);

#endif
