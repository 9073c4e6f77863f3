/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 */

/*
 * A ring in private memory with both of its halves, and the few helpers that
 * the ring's tests share.
 */

#ifndef RING_PAIR_H
#define	RING_PAIR_H

#include <stdlib.h>
#include <string.h>

#include <atf-c.h>

#include <hvk/ring.h>

struct pair {
	struct hvk_ring_header *hdr;
	uint8_t			*data;
	uint32_t		size;
	struct hvk_ring_tx	tx;
	struct hvk_ring_rx	rx;
};

static inline void
pair_open(struct pair *p, uint32_t size)
{
	p->hdr = aligned_alloc(4096, sizeof(*p->hdr));
	p->data = aligned_alloc(4096, size);
	ATF_REQUIRE(p->hdr != NULL && p->data != NULL);
	memset(p->hdr, 0xa5, sizeof(*p->hdr));
	memset(p->data, 0xa5, size);
	p->size = size;
	ATF_REQUIRE_EQ(HVK_OK,
	    hvk_ring_tx_init(&p->tx, p->hdr, p->data, size, true));
	ATF_REQUIRE_EQ(HVK_OK,
	    hvk_ring_rx_init(&p->rx, p->hdr, p->data, size, false));
}

static inline void
pair_close(struct pair *p)
{
	free(p->hdr);
	free(p->data);
}

/* Move both halves, empty, to an offset of the data. */
static inline void
pair_seek(struct pair *p, uint32_t at)
{
	p->hdr->write = p->hdr->read = at;
	ATF_REQUIRE_EQ(HVK_OK,
	    hvk_ring_tx_init(&p->tx, p->hdr, p->data, p->size, false));
	ATF_REQUIRE_EQ(HVK_OK,
	    hvk_ring_rx_init(&p->rx, p->hdr, p->data, p->size, false));
}

/* A generator whose sequence is the same everywhere (xorshift). */
static inline uint32_t
pair_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return ((uint32_t)(*state >> 16));
}

static inline void
pair_fill(uint8_t *to, uint32_t len, uint64_t seed)
{
	uint32_t i;

	for (i = 0; i < len; i++)
		to[i] = (uint8_t)(seed * 131 + i * 7 + (i >> 8));
}

#endif /* !RING_PAIR_H */
