/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 */

/*
 * DPDK's rte_ring, single producer and single consumer, bulk enqueue and
 * dequeue of pointers to slots of a pool into which the payload is copied.
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
rte_open(void)
{
	struct pool *p;

	p = aligned_alloc(128, sizeof(*p));
	if (p == NULL)
		abort();
	p->ring = aligned_alloc(128, ((size_t)rte_ring_get_memsize(RING_SLOTS) +
	    127) & ~(size_t)127);
	p->slots = aligned_alloc(4096, (size_t)2 * RING_SLOTS * PACKET_SLOT);
	if (p->ring == NULL || p->slots == NULL ||
	    rte_ring_init(p->ring, "bench", RING_SLOTS,
	    RING_F_SP_ENQ | RING_F_SC_DEQ) != 0)
		abort();
	memset(p->slots, 0, (size_t)2 * RING_SLOTS * PACKET_SLOT);
	p->next = 0;
	return (p);
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
	"rte_ring+copy", rte_open, rte_close, rte_send, rte_receive
};
