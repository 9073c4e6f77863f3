/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 */

// boost's spsc_queue with the same copies into and out of a pool.

#include <cstdlib>
#include <cstring>

#include <boost/lockfree/spsc_queue.hpp>

#include "ring.h"

namespace {

struct pool {
	boost::lockfree::spsc_queue<void *,
	    boost::lockfree::capacity<RING_SLOTS> > ring;
	uint8_t		*slots;
	uint32_t	next __attribute__((__aligned__(128)));
};

void *
queue_open()
{
	size_t bytes = (size_t)2 * RING_SLOTS * PACKET_SLOT;
	pool *p = new pool;

	p->slots = (uint8_t *)aligned_alloc(4096, bytes);
	if (p->slots == nullptr)
		abort();
	memset(p->slots, 0, bytes);
	p->next = 0;
	return (p);
}

void
queue_close(void *arg)
{
	pool *p = (pool *)arg;

	free(p->slots);
	delete p;
}

unsigned int
queue_send(void *arg, const void *payload, uint32_t len, unsigned int n)
{
	pool *p = (pool *)arg;
	void *slots[BURST];
	unsigned int i;

	for (i = 0; i < n; i++) {
		slots[i] = p->slots + (size_t)((p->next + i) &
		    (2 * RING_SLOTS - 1)) * PACKET_SLOT;
		memcpy(slots[i], payload, len);
	}
	n = (unsigned int)p->ring.push(slots, n);
	p->next += n;
	return (n);
}

unsigned int
queue_receive(void *arg, void *to, uint32_t len, unsigned int n)
{
	pool *p = (pool *)arg;
	void *slots[BURST];
	unsigned int i;

	n = (unsigned int)p->ring.pop(slots, n);
	for (i = 0; i < n; i++)
		memcpy(to, slots[i], len);
	return (n);
}

} // namespace

extern "C" const struct ring ring_boost = {
	"boost spsc+copy", 0, queue_open, queue_close, queue_send, queue_receive
};
