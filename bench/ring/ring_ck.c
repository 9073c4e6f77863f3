/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 */

/*
 * Concurrency Kit's ck_ring, single producer and single consumer, with the
 * same copies into and out of a pool.
 */

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <ck_ring.h>

#include "ring.h"

struct pool {
	ck_ring_t		ring;
	ck_ring_buffer_t	*entries;
	uint8_t			*slots;
	uint32_t		next __attribute__((__aligned__(128)));
};

static void *
ring_open(void)
{
	struct pool *p;

	p = aligned_alloc(128, (sizeof(*p) + 127) & ~(size_t)127);
	if (p == NULL)
		abort();
	memset(p, 0, sizeof(*p));
	p->entries = calloc(RING_SLOTS, sizeof(*p->entries));
	p->slots = aligned_alloc(4096, (size_t)2 * RING_SLOTS * PACKET_SLOT);
	if (p->entries == NULL || p->slots == NULL)
		abort();
	memset(p->slots, 0, (size_t)2 * RING_SLOTS * PACKET_SLOT);
	ck_ring_init(&p->ring, RING_SLOTS);
	return (p);
}

static void
ring_close(void *arg)
{
	struct pool *p = arg;

	free(p->entries);
	free(p->slots);
	free(p);
}

static unsigned int
ring_send(void *arg, const void *payload, uint32_t len, unsigned int n)
{
	struct pool *p = arg;
	unsigned int i;
	void *slot;

	for (i = 0; i < n; i++) {
		slot = p->slots + (size_t)(p->next & (2 * RING_SLOTS - 1)) *
		    PACKET_SLOT;
		memcpy(slot, payload, len);
		if (!ck_ring_enqueue_spsc(&p->ring, p->entries, slot))
			break;
		p->next++;
	}
	return (i);
}

static unsigned int
ring_receive(void *arg, void *to, uint32_t len, unsigned int n)
{
	struct pool *p = arg;
	unsigned int i;
	void *slot;

	for (i = 0; i < n; i++) {
		if (!ck_ring_dequeue_spsc(&p->ring, p->entries, &slot))
			break;
		memcpy(to, slot, len);
	}
	return (i);
}

const struct ring ring_ck = {
	"ck_ring+copy", 0, ring_open, ring_close, ring_send, ring_receive
};
