/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 */

/*
 * Both halves of a ring against a hostile peer.  The input is a script: each
 * step lets our half act, or lets the peer write anything into the header or
 * the data.  With HVK_FUZZ_MUTATE set in the environment a thread also flips
 * bytes of the shared memory all the while.
 */

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <hvk/bytes.h>
#include <hvk/ring.h>

#define	SIZE	4096u

static struct hvk_ring_header *hdr;
static uint8_t *data;
volatile uint64_t sink;	/* keeps the reads in the program */

static void *
mutate(void *arg)
{
	uint64_t x = 88172645463325252ull;

	(void)arg;
	for (;;) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		__atomic_store_n(&data[x % SIZE], (uint8_t)(x >> 32),
		    __ATOMIC_RELAXED);
		if ((x >> 40) % 64 == 0)
			__atomic_store_n(&hdr->write,
			    (uint32_t)(x >> 44) % SIZE & ~7u, __ATOMIC_RELAXED);
	}
	return (NULL);
}

static void
start(void)
{
	pthread_t thread;

	/* Exactly as large as they are, so that a step outside is seen. */
	hdr = aligned_alloc(4096, sizeof(*hdr));
	data = aligned_alloc(4096, SIZE);
	if (hdr == NULL || data == NULL)
		abort();
	memset(hdr, 0, sizeof(*hdr));
	memset(data, 0, SIZE);
	if (getenv("HVK_FUZZ_MUTATE") != NULL &&
	    pthread_create(&thread, NULL, mutate, NULL) != 0)
		abort();
}

/* Looks at every byte that a packet claims to have. */
static void
use(const struct hvk_packet *packet, const uint8_t *buf, uint32_t cap)
{
	struct hvk_gpa_view view;
	struct hvk_xfer_range range;
	uint64_t sum = 0;
	uint32_t cursor, i;

	if (packet->len > cap || packet->payload < buf ||
	    packet->payload + packet->len > buf + cap)
		abort();
	for (i = 0; i < packet->len; i++)
		sum += packet->payload[i];
	cursor = 0;
	while (hvk_packet_gpa_next(packet, &cursor, &view) == HVK_OK)
		for (i = 0; i < view.npfn; i++)
			sum += hvk_gpa_view_pfn(&view, i);
	cursor = 0;
	while (hvk_packet_xfer_next(packet, &cursor, &range) == HVK_OK)
		sum += range.len;
	sink = sum;
}

static void
step(struct hvk_ring_tx *tx, struct hvk_ring_rx *rx, struct hvk_rd *rd)
{
	static uint8_t payload[SIZE];
	_Alignas(8) static uint8_t buf[SIZE];
	struct hvk_packet packet;
	uint32_t cap, len, off;

	switch (hvk_rd_u8(rd) % 12) {
	case 0:
		(void)hvk_tx_inband(tx, 1, true, payload,
		    hvk_rd_u16(rd) % SIZE);
		break;
	case 1:
		(void)hvk_ring_tx_publish(tx);
		break;
	case 2:
		(void)hvk_ring_tx_want(tx, hvk_rd_u16(rd));
		break;
	case 3:
		if (hvk_ring_tx_room(tx) > SIZE - 16)
			abort();
		break;
	case 4:
	case 5:
	case 6:
		cap = hvk_rd_u16(rd) % (SIZE + 1);
		if (hvk_ring_rx_next(rx, buf, cap, &packet) == HVK_OK)
			use(&packet, buf, cap);
		break;
	case 7:
		(void)hvk_ring_rx_release(rx);
		break;
	case 8:
		(void)hvk_ring_rx_unmask(rx);
		break;
	case 9:
		__atomic_store_n(&hdr->write, hvk_rd_u16(rd),
		    __ATOMIC_RELAXED);
		break;
	case 10:
		__atomic_store_n(&hdr->read, hvk_rd_u16(rd), __ATOMIC_RELAXED);
		__atomic_store_n(&hdr->pending, hvk_rd_u32(rd),
		    __ATOMIC_RELAXED);
		break;
	default:
		off = hvk_rd_u16(rd) % SIZE;
		len = hvk_rd_u8(rd);
		if (len > SIZE - off)
			len = SIZE - off;
		hvk_rd_bytes(rd, data + off, len);
		break;
	}
}

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct hvk_ring_tx tx;
	struct hvk_ring_rx rx;
	struct hvk_rd rd;

	if (hdr == NULL)
		start();
	hvk_rd_init(&rd, bytes, size > 65536 ? 65536 : (uint32_t)size);
	memset(hdr, 0, 64);
	hdr->features = HVK_RING_PENDING_FEATURE;
	hdr->write = hvk_rd_u16(&rd);
	hdr->read = hvk_rd_u16(&rd);
	(void)hvk_ring_tx_init(&tx, hdr, data, SIZE, false);
	(void)hvk_ring_rx_init(&rx, hdr, data, SIZE, false);
	/* A ring that was refused may still be used: it must stay refused. */
	while (rd.left > 0)
		step(&tx, &rx, &rd);
	return (0);
}
