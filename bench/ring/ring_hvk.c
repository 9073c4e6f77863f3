/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 */

/*
 * Ours: descriptor, payload, trailer, every check; published and released once
 * for each burst.
 */

#include <stdlib.h>
#include <string.h>

#include <hvk/ring.h>

#include "ring.h"

struct both {
	struct hvk_ring_tx	tx __attribute__((__aligned__(128)));
	struct hvk_ring_rx	rx __attribute__((__aligned__(128)));
	void			*hdr;
	void			*data;
	uint64_t		signals __attribute__((__aligned__(128)));
	uint32_t		owed __attribute__((__aligned__(128)));
	uint32_t		enough;
};

static void *
open_bytes(uint32_t bytes)
{
	struct both *r;

	r = aligned_alloc(128, sizeof(*r));
	if (r == NULL)
		abort();
	memset(r, 0, sizeof(*r));
	r->hdr = aligned_alloc(4096, 4096);
	r->data = aligned_alloc(4096, bytes);
	if (r->hdr == NULL || r->data == NULL)
		abort();
	memset(r->data, 0, bytes);
	if (hvk_ring_tx_init(&r->tx, r->hdr, r->data, bytes, true) != 0 ||
	    hvk_ring_rx_init(&r->rx, r->hdr, r->data, bytes, false) != 0)
		abort();
	r->enough = bytes / 4;
	/* A polling consumer, as with every other ring here. */
	hvk_ring_rx_mask(&r->rx);
	return (r);
}

static void *
hvk_open(void)
{
	return (open_bytes(RING_BYTES));
}

static void *
wide_open(void)
{
	return (open_bytes(WIDE_BYTES));
}

static void
hvk_close(void *arg)
{
	struct both *r = arg;

	free(r->hdr);
	free(r->data);
	free(r);
}

static unsigned int
hvk_send(void *arg, const void *payload, uint32_t len, unsigned int n)
{
	struct both *r = arg;
	unsigned int i;

	for (i = 0; i < n; i++)
		if (hvk_tx_inband(&r->tx, i, false, payload, len) != HVK_OK)
			break;
	if (hvk_ring_tx_publish(&r->tx))
		r->signals++;
	return (i);
}

/* As a producer sends that knows its consumer to be on another core. */
static unsigned int
apart_send(void *arg, const void *payload, uint32_t len, unsigned int n)
{
	struct both *r = arg;
	unsigned int i;

	for (i = 0; i < n; i++) {
		hvk_ring_tx_ahead(&r->tx, len + 24);
		if (hvk_tx_inband(&r->tx, i, false, payload, len) != HVK_OK)
			break;
	}
	if (hvk_ring_tx_publish(&r->tx))
		r->signals++;
	return (i);
}

static unsigned int
hvk_receive(void *arg, void *to, uint32_t len, unsigned int n)
{
	struct both *r = arg;
	struct hvk_packet packet;
	unsigned int i;

	for (i = 0; i < n; i++) {
		if (hvk_ring_rx_next(&r->rx, to, PACKET_SLOT + 64,
		    &packet) != HVK_OK)
			break;
	}
	if (i != 0 && packet.len < len)
		abort();
	(void)hvk_ring_rx_release(&r->rx);
	return (i);
}

const struct ring ring_hvk = {
	"hvk", HVK_DESCRIPTOR_SIZE, hvk_open, hvk_close, hvk_send, hvk_receive
};

/*
 * And as a consumer does that polls: room is given back when a quarter of the
 * ring has come together, not for each burst.  Both indices are in one line, and
 * a producer that has room does not need to hear of more.
 */
static unsigned int
apart_receive(void *arg, void *to, uint32_t len, unsigned int n)
{
	struct both *r = arg;
	struct hvk_packet packet;
	unsigned int i;

	for (i = 0; i < n; i++)
		if (hvk_ring_rx_next(&r->rx, to, PACKET_SLOT + 64,
		    &packet) != HVK_OK)
			break;
	if (i != 0 && packet.len < len)
		abort();
	r->owed += i * (HVK_DESCRIPTOR_SIZE + hvk_align8(len) + 8);
	if (r->owed >= r->enough) {
		r->owed = 0;
		(void)hvk_ring_rx_release(&r->rx);
	}
	return (i);
}

const struct ring ring_apart = {
	"hvk apart", HVK_DESCRIPTOR_SIZE, hvk_open, hvk_close, apart_send,
	apart_receive
};

const struct ring ring_wide = {
	"hvk apart, wide", HVK_DESCRIPTOR_SIZE, wide_open, hvk_close,
	apart_send, apart_receive
};

/* Nothing but the copies: below this no ring that copies can come. */
struct floor {
	uint8_t		data[RING_BYTES];
	uint32_t	in, out;
	unsigned int	n;
};

static void *
floor_open(void)
{
	return (calloc(1, sizeof(struct floor)));
}

static unsigned int
floor_send(void *arg, const void *payload, uint32_t len, unsigned int n)
{
	struct floor *f = arg;
	unsigned int i;

	for (i = 0; i < n; i++) {
		memcpy(f->data + f->in, payload, len);
		f->in += len;
		if (f->in > RING_BYTES - PACKET_SLOT)
			f->in = 0;
	}
	f->n = n;
	return (n);
}

static unsigned int
floor_receive(void *arg, void *to, uint32_t len, unsigned int n)
{
	struct floor *f = arg;
	unsigned int i;

	for (i = 0; i < n && i < f->n; i++) {
		memcpy(to, f->data + f->out, len);
		f->out += len;
		if (f->out > RING_BYTES - PACKET_SLOT)
			f->out = 0;
	}
	return (i);
}

const struct ring ring_floor = {
	"memcpy x2", 0, floor_open, free, floor_send, floor_receive
};
