/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * copy.h: one copy from the host at a time.
 */

#ifndef FCOPY_COPY_H
#define	FCOPY_COPY_H

#include "hv_fcopy.h"
#include "place.h"
#include "ranges.h"

#define	COPY_NAME	256

struct copy {
	const struct places *places;
	int		fd;		/* the unfinished file; -1: no copy */
	int		dir;		/* where it will be */
	int		temp;		/* where it is */
	unsigned int	serial;
	bool		overwrite;
	uint64_t	size;
	char		name[COPY_NAME], tempname[32];
	struct ranges	have;
};

void	copy_init(struct copy *, const struct places *);
/* The status for the host. Nothing in the message is believed. */
uint32_t copy_message(struct copy *, const struct hv_fcopy_msg *);
/* Ends a copy that is under way; nothing of it stays. */
void	copy_abandon(struct copy *);

#endif
