/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * ranges.c: see ranges.h.
 */

#include <string.h>

#include "ranges.h"

bool
ranges_add(struct ranges *r, uint64_t from, uint64_t to)
{
	int first, last;

	if (from >= to)
		return (true);
	/* [first, last) are those that the new one touches. */
	for (first = 0; first < r->count && r->list[first].to < from; first++)
		continue;
	for (last = first; last < r->count && r->list[last].from <= to; last++)
		continue;
	if (first == last) {
		if (r->count == RANGES_MAX)
			return (false);
		memmove(&r->list[first + 1], &r->list[first],
		    (size_t)(r->count - first) * sizeof(r->list[0]));
		r->count++;
	} else {
		if (r->list[first].from < from)
			from = r->list[first].from;
		if (r->list[last - 1].to > to)
			to = r->list[last - 1].to;
		memmove(&r->list[first + 1], &r->list[last],
		    (size_t)(r->count - last) * sizeof(r->list[0]));
		r->count -= last - first - 1;
	}
	r->list[first].from = from;
	r->list[first].to = to;
	return (true);
}

bool
ranges_whole(const struct ranges *r, uint64_t size)
{
	if (size == 0)
		return (r->count == 0);
	return (r->count == 1 && r->list[0].from == 0 &&
	    r->list[0].to == size);
}
