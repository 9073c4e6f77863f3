/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * ranges.h: which bytes of a file have come, in any order and more than once.
 */

#ifndef FCOPY_RANGES_H
#define	FCOPY_RANGES_H

#include <stdbool.h>
#include <stdint.h>

#define	RANGES_MAX	64

struct ranges {
	int	count;
	struct { uint64_t from, to; } list[RANGES_MAX];	/* sorted, apart */
};

/* false: more holes than RANGES_MAX at a time. */
bool	ranges_add(struct ranges *, uint64_t from, uint64_t to);
/* All of [0, size) and nothing else. */
bool	ranges_whole(const struct ranges *, uint64_t size);

#endif
