/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * buf_ring.c: the memory of buf_ring(9); the rings themselves are inline.
 */

#include "kern.h"
#include <sys/buf_ring.h>

struct buf_ring *
buf_ring_alloc(int count, struct malloc_type *type, int flags,
    struct mtx *lock)
{
	struct buf_ring *br;

	if (count <= 0 || !powerof2(count))
		panic("buf_ring_alloc: %d is no power of two", count);
	br = kld_malloc_caller(sizeof(*br) + count * sizeof(void *), type,
	    flags | M_ZERO, __builtin_return_address(0));
	if (br == NULL)
		return (NULL);
	br->br_prod_size = br->br_cons_size = count;
	br->br_prod_mask = br->br_cons_mask = count - 1;
	return (br);
}

void
buf_ring_free(struct buf_ring *br, struct malloc_type *type)
{
	free(br, type);
}
