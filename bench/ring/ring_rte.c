/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 */

/*
 * DPDK's rte_ring, single producer and single consumer, bulk enqueue and
 * dequeue of pointers to slots of a pool into which the payload is copied: once
 * with a pool of pages, which is larger than a second-level cache, and once
 * with the same number of bytes as our ring, packed.
 */

#include <stdlib.h>
#include <string.h>

#include <rte_ring.h>

#include "ring.h"

struct pool {
	struct rte_ring	*ring;
	uint8_t		*slots;
	uint32_t	next __attribute__((__aligned__(128)));
};

static void *
pool_open(unsigned int entries, size_t bytes)
{
	struct pool *p;

	p = aligned_alloc(128, sizeof(*p));
	if (p == NULL)
		abort();
	p->ring = aligned_alloc(128, ((size_t)rte_ring_get_memsize(entries) +
	    127) & ~(size_t)127);
	p->slots = aligned_alloc(4096, bytes);
	if (p->ring == NULL || p->slots == NULL ||
	    rte_ring_init(p->ring, "bench", entries,
	    RING_F_SP_ENQ | RING_F_SC_DEQ) != 0)
		abort();
	memset(p->slots, 0, bytes);
	p->next = 0;
	return (p);
}

static void *
rte_open(void)
{
	return (pool_open(RING_SLOTS, (size_t)2 * RING_SLOTS * PACKET_SLOT));
}

static void *
dense_open(void)
{
	return (pool_open(RING_BYTES / 64, RING_BYTES));
}

static void
rte_close(void *arg)
{
	struct pool *p = arg;

	free(p->ring);
	free(p->slots);
	free(p);
}

static unsigned int
rte_send(void *arg, const void *payload, uint32_t len, unsigned int n)
{
	struct pool *p = arg;
	void *slots[BURST];
	unsigned int i, room;

	/* The pool is larger than the ring, so a free entry is a free slot. */
	room = rte_ring_free_count(p->ring);
	if (n > room)
		n = room;
	for (i = 0; i < n; i++) {
		slots[i] = p->slots + (size_t)((p->next + i) &
		    (2 * RING_SLOTS - 1)) * PACKET_SLOT;
		memcpy(slots[i], payload, len);
	}
	n = rte_ring_sp_enqueue_burst(p->ring, slots, n, NULL);
	p->next += n;
	return (n);
}

static unsigned int
dense_send(void *arg, const void *payload, uint32_t len, unsigned int n)
{
	struct pool *p = arg;
	void *slots[BURST];
	uint32_t stride = (len + 63) & ~63u, end;
	unsigned int i, used;

	/* A burst that was dequeued is still being copied out. */
	end = RING_BYTES / stride;
	used = rte_ring_count(p->ring) + BURST;
	if (used + n > end)
		n = used < end ? end - used : 0;
	for (i = 0; i < n; i++) {
		if (p->next == end)
			p->next = 0;
		slots[i] = p->slots + (size_t)p->next++ * stride;
		memcpy(slots[i], payload, len);
	}
	if (rte_ring_sp_enqueue_burst(p->ring, slots, n, NULL) != n)
		abort();
	return (n);
}

static unsigned int
rte_receive(void *arg, void *to, uint32_t len, unsigned int n)
{
	struct pool *p = arg;
	void *slots[BURST];
	unsigned int i;

	n = rte_ring_sc_dequeue_burst(p->ring, slots, n, NULL);
	for (i = 0; i < n; i++)
		memcpy(to, slots[i], len);
	return (n);
}

const struct ring ring_rte = {
	"rte_ring+copy", 0, rte_open, rte_close, rte_send, rte_receive
};

const struct ring ring_dense = {
	"rte_ring+copy packed", 0, dense_open, rte_close, dense_send,
	rte_receive
};
