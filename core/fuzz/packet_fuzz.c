/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 */

/*
 * The packet parser: the input is what lies in the ring, one packet after the
 * other, published whole.  With HVK_FUZZ_MUTATE set a thread changes the bytes
 * while they are parsed.
 */

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <hvk/ring.h>

#define	SIZE	65536u

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
		__atomic_store_n(&data[x % 512], (uint8_t)(x >> 32),
		    __ATOMIC_RELAXED);
	}
	return (NULL);
}

static void
start(void)
{
	pthread_t thread;

	hdr = aligned_alloc(4096, sizeof(*hdr));
	data = aligned_alloc(4096, SIZE);
	if (hdr == NULL || data == NULL)
		abort();
	memset(data, 0, SIZE);
	if (getenv("HVK_FUZZ_MUTATE") != NULL &&
	    pthread_create(&thread, NULL, mutate, NULL) != 0)
		abort();
}

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	uint64_t sum = 0;
	struct hvk_gpa_view view;
	struct hvk_packet packet;
	struct hvk_ring_rx rx;
	struct hvk_xfer_range range;
	uint8_t *buf;
	uint32_t at, cap, cursor, i;
	int error;

	if (hdr == NULL)
		start();
	if (size < 4)
		return (0);
	/* The first packet starts anywhere, so that it wraps anywhere. */
	at = (uint32_t)(bytes[0] | bytes[1] << 8) & ~7u;
	cap = 16 + (uint32_t)(bytes[2] | bytes[3] << 8) % 8192;
	bytes += 4;
	size = (size - 4) & ~(size_t)7;
	if (size > SIZE - 8)
		size = SIZE - 8;
	for (i = 0; i < size; i++)
		data[(at + i) % SIZE] = bytes[i];
	memset(hdr, 0, 64);
	hdr->read = at;
	hdr->write = (at + (uint32_t)size) % SIZE;
	if (hvk_ring_rx_init(&rx, hdr, data, SIZE, false) != HVK_OK)
		abort();
	buf = aligned_alloc(8, (cap + 7) & ~7u);
	if (buf == NULL)
		abort();
	while ((error = hvk_ring_rx_next(&rx, buf, cap, &packet)) == HVK_OK ||
	    error == HVK_REJECT) {
		if (error == HVK_REJECT)
			continue;
		for (i = 0; i < packet.len; i++)
			sum += packet.payload[i];
		cursor = 0;
		while (hvk_packet_gpa_next(&packet, &cursor, &view) == HVK_OK)
			for (i = 0; i < view.npfn; i++)
				sum += hvk_gpa_view_pfn(&view, i);
		cursor = 0;
		while (hvk_packet_xfer_next(&packet, &cursor, &range) == HVK_OK)
			sum += range.offset;
	}
	free(buf);
	sink = sum;
	return (0);
}
