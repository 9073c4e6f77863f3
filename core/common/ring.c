/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 */

/*
 * The rare half of a ring: attaching, looking at the peer's index, packets that
 * cross the end of the data, and waiting for room.  The other half is inline
 * in ring.h, with the locking rule.  Source: wire.md sections 6 and 7.
 */

#include <hvk/ring.h>

/* Keeps every sum of two offsets far from 32 bits. */
#define	RING_MAX	(1u << 30)

static bool
ring_size_ok(const void *hdr, const void *data, uint32_t size)
{
	return (hdr != NULL && data != NULL && ((uintptr_t)hdr & 7) == 0 &&
	    ((uintptr_t)data & 7) == 0 && size >= HVK_PAGE_SIZE &&
	    size <= RING_MAX && (size & HVK_PAGE_MASK) == 0);
}

/* Every packet and trailer is a multiple of 8 bytes, so every index is. */
static bool
ring_index_ok(uint32_t index, uint32_t size)
{
	return (index < size && (index & 7) == 0);
}

static void
ring_create(struct hvk_ring_header *hdr)
{
	hvk_zero(hdr, sizeof(*hdr));
	hdr->features = HVK_RING_PENDING_FEATURE;
}

int
hvk_ring_tx_init(struct hvk_ring_tx *tx, void *hdr, void *data, uint32_t size,
    bool creator)
{
	hvk_zero(tx, sizeof(*tx));
	if (!ring_size_ok(hdr, data, size))
		return (HVK_RANGE);
	if (creator)
		ring_create(hdr);
	tx->hdr = hdr;
	tx->data = data;
	tx->size = size;
	/* A ring is never filled to the last byte: full would look empty. */
	tx->max = size - HVK_RING_TRAILER - 8;
	if (tx->max > HVK_PACKET_MAX)
		tx->max = HVK_PACKET_MAX;
	tx->max -= HVK_DESCRIPTOR_SIZE;
	tx->write = tx->published = hvk_shared_load(&tx->hdr->write);
	tx->read = hvk_shared_load(&tx->hdr->read);
	if (!ring_index_ok(tx->write, size) || !ring_index_ok(tx->read, size)) {
		tx->broken = true;
		return (HVK_FATAL);
	}
	tx->room = size - hvk_ring_distance(tx->read, tx->write, size);
	return (HVK_OK);
}

int
hvk_ring_rx_init(struct hvk_ring_rx *rx, void *hdr, void *data, uint32_t size,
    bool creator)
{
	uint32_t read, write;

	hvk_zero(rx, sizeof(*rx));
	if (!ring_size_ok(hdr, data, size))
		return (HVK_RANGE);
	if (creator)
		ring_create(hdr);
	rx->hdr = hdr;
	rx->data = data;
	rx->size = size;
	rx->flow = (hvk_shared_load(&rx->hdr->features) &
	    HVK_RING_PENDING_FEATURE) != 0;
	rx->at = rx->data;
	rx->limit = rx->data + size;
	read = hvk_shared_load(&rx->hdr->read);
	write = hvk_shared_load(&rx->hdr->write);
	if (!ring_index_ok(read, size) || !ring_index_ok(write, size)) {
		rx->broken = true;
		return (HVK_FATAL);
	}
	rx->at = rx->data + read;
	rx->released = read;
	rx->left = hvk_ring_distance(read, write, size);
	return (HVK_OK);
}

static int
tx_break(struct hvk_ring_tx *tx)
{
	tx->broken = true;
	tx->room = 0;
	return (HVK_FATAL);
}

/*
 * Look at the consumer's index.  It may only move forward, and not past what
 * has been published.
 */
static int
tx_look(struct hvk_ring_tx *tx)
{
	uint32_t moved, read;

	if (tx->broken)
		return (HVK_FATAL);
	HVK_RING_TRACE(HVK_STEP_LOAD_READ);
	read = hvk_shared_load(&tx->hdr->read);
	if (read == tx->read)
		return (HVK_OK);
	if (!ring_index_ok(read, tx->size))
		return (tx_break(tx));
	moved = hvk_ring_distance(tx->read, read, tx->size);
	if (moved > hvk_ring_distance(tx->read, tx->published, tx->size))
		return (tx_break(tx));
	tx->read = read;
	tx->room += moved;
	return (HVK_OK);
}

int HVK_NOINLINE
hvk_tx_refill(struct hvk_ring_tx *tx, uint32_t need)
{
	int error;

	error = tx_look(tx);
	if (error != HVK_OK)
		return (error);
	if (need < tx->room)
		return (HVK_OK);
	tx->full++;
	return (HVK_AGAIN);
}

uint32_t
hvk_ring_tx_room(struct hvk_ring_tx *tx)
{
	uint32_t room;

	if (tx_look(tx) != HVK_OK)
		return (0);
	/* All three are multiples of 8; one unit stays empty. */
	if (tx->room <= HVK_RING_TRAILER + 8 + HVK_DESCRIPTOR_SIZE)
		return (0);
	room = tx->room - HVK_RING_TRAILER - 8;
	return (room < HVK_PACKET_MAX ? room : HVK_PACKET_MAX);
}

bool
hvk_ring_tx_want(struct hvk_ring_tx *tx, uint32_t bytes)
{
	uint32_t need;

	if (bytes == 0 || tx->broken ||
	    bytes > tx->max + HVK_DESCRIPTOR_SIZE) {
		HVK_RING_TRACE(HVK_STEP_CLEAR_PENDING);
		hvk_shared_store(&tx->hdr->pending, 0);
		return (true);
	}
	need = hvk_align8(bytes) + HVK_RING_TRAILER;
	HVK_RING_TRACE(HVK_STEP_STORE_PENDING);
	hvk_shared_store(&tx->hdr->pending, need);
	hvk_fence();
	if (tx_look(tx) == HVK_OK && need >= tx->room)
		return (false);
	HVK_RING_TRACE(HVK_STEP_CLEAR_PENDING);
	hvk_shared_store(&tx->hdr->pending, 0);
	return (true);
}

/* A plain packet that crosses or touches the end of the data. */
int HVK_NOINLINE
hvk_tx_plain_wrapped(struct hvk_ring_tx *tx, uint64_t head, uint64_t txid,
    const void *payload, uint32_t len)
{
	const uint8_t *from = payload;
	uint32_t at, first, start, total;

	start = at = tx->write;
	total = HVK_DESCRIPTOR_SIZE + hvk_align8(len);
	hvk_put64(tx->data + at, head);
	at = at + 8 == tx->size ? 0 : at + 8;
	hvk_put64(tx->data + at, txid);
	at = at + 8 == tx->size ? 0 : at + 8;
	if (len != 0) {
		/* The word that may be padding, before the payload. */
		first = at + hvk_align8(len) - 8;
		hvk_put64(tx->data + (first >= tx->size ? first - tx->size :
		    first), 0);
		first = tx->size - at;
		if (first > len)
			first = len;
		hvk_copy_payload(tx->data + at, from, first);
		if (len > first)
			hvk_copy_payload(tx->data, from + first,
			    len - first);
		at += hvk_align8(len);
		if (at >= tx->size)
			at -= tx->size;
	}
	hvk_put64(tx->data + at, (uint64_t)start << 32);
	at = at + 8 == tx->size ? 0 : at + 8;
	tx->write = at;
	tx->room -= total + HVK_RING_TRAILER;
	tx->packets++;
	return (HVK_OK);
}

static int
rx_break(struct hvk_ring_rx *rx)
{
	rx->broken = true;
	rx->left = 0;
	return (HVK_FATAL);
}

/*
 * Look at the producer's index.  It may only move forward, and not into what
 * has not been given back.
 */
int HVK_NOINLINE
hvk_rx_refill(struct hvk_ring_rx *rx)
{
	uint32_t filled, read, taken, write;

	if (rx->broken)
		return (HVK_FATAL);
	HVK_RING_TRACE(HVK_STEP_LOAD_WRITE);
	write = hvk_shared_load(&rx->hdr->write);
	read = hvk_rx_index(rx);
	if (write == read)
		return (HVK_AGAIN);
	if (!ring_index_ok(write, rx->size))
		return (rx_break(rx));
	filled = hvk_ring_distance(rx->released, write, rx->size);
	taken = hvk_ring_distance(rx->released, read, rx->size);
	if (filled < taken)
		return (rx_break(rx));
	rx->left = filled - taken;
	return (HVK_OK);
}

static void
rx_advance(struct hvk_ring_rx *rx, uint32_t bytes)
{
	if ((uint32_t)(rx->limit - rx->at) > bytes)
		rx->at += bytes;
	else
		rx->at -= rx->size - bytes;
}

/*
 * A packet that is not taken: skip it when its length can be believed, which
 * is when it has a descriptor and has been published whole.
 */
int HVK_NOINLINE
hvk_rx_bad(struct hvk_ring_rx *rx, uint32_t total)
{
	if (rx->broken || total < HVK_DESCRIPTOR_SIZE ||
	    total + HVK_RING_TRAILER > rx->left)
		return (rx_break(rx));
	rx_advance(rx, total + HVK_RING_TRAILER);
	rx->left -= total + HVK_RING_TRAILER;
	rx->packets++;
	rx->rejects++;
	return (HVK_REJECT);
}

/*
 * A packet that crosses or touches the end of the data.  Copies what follows
 * the descriptor and returns the transaction id.
 */
uint64_t HVK_NOINLINE
hvk_rx_wrapped(struct hvk_ring_rx *rx, uint8_t *copy, uint32_t total)
{
	uint64_t txid;
	uint32_t first, len;

	rx_advance(rx, 8);
	txid = hvk_fetch64(rx->at);
	rx_advance(rx, 8);
	len = total - HVK_DESCRIPTOR_SIZE;
	first = (uint32_t)(rx->limit - rx->at);
	if (first > len)
		first = len;
	hvk_copy_payload(copy + HVK_DESCRIPTOR_SIZE, rx->at, first);
	if (len > first)
		hvk_copy_payload(copy + HVK_DESCRIPTOR_SIZE + first, rx->data,
		    len - first);
	rx_advance(rx, len + HVK_RING_TRAILER);
	return (txid);
}

/*
 * Did this release make the room that the producer waits for?  Some guests
 * store one byte less than they need; room only comes in units of 8, so the
 * low bits mean nothing.
 */
bool HVK_NOINLINE
hvk_rx_waiting(struct hvk_ring_rx *rx, uint32_t before, uint32_t pending)
{
	uint32_t room, was, write;

	rx->full++;
	pending &= ~7u;
	/* Acquire in the caller: this is not older than the pending size. */
	HVK_RING_TRACE(HVK_STEP_LOAD_WRITE);
	write = hvk_shared_load(&rx->hdr->write);
	if (!ring_index_ok(write, rx->size))
		return (false);
	room = rx->size - hvk_ring_distance(rx->released, write, rx->size);
	was = room - hvk_ring_distance(before, rx->released, rx->size);
	if (was > pending || room <= pending)
		return (false);
	HVK_RING_TRACE(HVK_STEP_SIGNAL);
	rx->signals++;
	return (true);
}
