/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 */

/*
 * The ring: what is written byte for byte, every place of the wrap, both
 * signalling rules, indices and lengths that a hostile peer could set, and a
 * long random run against a model.
 */

#include "ring_pair.h"

static uint64_t buf[HVK_PACKET_MAX / 8 + 8];

ATF_TC(golden);
ATF_TC_HEAD(golden, tc)
{
	atf_tc_set_md_var(tc, "descr", "packets lie in the ring byte for byte "
	    "as documented, padding zeroed, trailer written");
}
ATF_TC_BODY(golden, tc)
{
	static const uint8_t inband[] = {
		0x06, 0x00, 0x02, 0x00, 0x04, 0x00, 0x01, 0x00,
		0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11,
		'h', 'e', 'l', 'l', 'o', ' ', 'r', 'i',
		'n', 'g', 0, 0, 0, 0, 0, 0,
		0, 0, 0, 0, 0x00, 0x00, 0x00, 0x00,
	};
	static const uint8_t completion[] = {
		0x0b, 0x00, 0x02, 0x00, 0x02, 0x00, 0x00, 0x00,
		0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
		0, 0, 0, 0, 0x28, 0x00, 0x00, 0x00,
	};
	struct pair p;

	pair_open(&p, 4096);
	ATF_CHECK_EQ(1, p.hdr->features);
	ATF_CHECK_EQ(0, p.hdr->write);
	ATF_CHECK_EQ(0, p.hdr->mask);
	ATF_CHECK_EQ(HVK_OK, hvk_tx_inband(&p.tx, 0x1122334455667788, true,
	    "hello ring", 10));
	ATF_CHECK_EQ(HVK_OK, hvk_tx_completion(&p.tx, 1, NULL, 0));
	ATF_CHECK_EQ(0, p.hdr->write);	/* nothing visible yet */
	ATF_CHECK(memcmp(p.data, inband, sizeof(inband)) == 0);
	ATF_CHECK(memcmp(p.data + sizeof(inband), completion,
	    sizeof(completion)) == 0);
	ATF_CHECK(hvk_ring_tx_publish(&p.tx));
	ATF_CHECK_EQ(64, p.hdr->write);
	ATF_CHECK(!hvk_ring_tx_publish(&p.tx));
	ATF_CHECK_EQ(2, p.tx.packets);
	ATF_CHECK_EQ(64, p.tx.bytes);
	ATF_CHECK_EQ(1, p.tx.signals);
	pair_close(&p);
}

ATF_TC(wrap);
ATF_TC_HEAD(wrap, tc)
{
	atf_tc_set_md_var(tc, "descr", "a packet of every length survives at "
	    "every offset around the end of the data");
}
ATF_TC_BODY(wrap, tc)
{
	struct hvk_packet packet;
	struct pair p;
	uint8_t in[200];
	uint32_t at, len;

	pair_open(&p, 4096);
	for (at = 4096 - 256; at < 4096; at += 8)
		for (len = 0; len <= sizeof(in); len++) {
			pair_seek(&p, at);
			pair_fill(in, len, at + len);
			ATF_REQUIRE_EQ(HVK_OK, hvk_tx_inband(&p.tx, len, false,
			    in, len));
			ATF_REQUIRE(hvk_ring_tx_publish(&p.tx));
			ATF_REQUIRE_EQ(HVK_OK, hvk_ring_rx_next(&p.rx, buf,
			    sizeof(buf), &packet));
			ATF_REQUIRE_EQ(hvk_align8(len), packet.len);
			ATF_REQUIRE_EQ(len, packet.txid);
			ATF_REQUIRE(memcmp(packet.payload, in, len) == 0);
			while (len < packet.len && packet.len - len < 8 &&
			    packet.payload[--packet.len] == 0)
				;
			ATF_REQUIRE_EQ(len, packet.len);
			/* The trailer says where the packet began. */
			ATF_REQUIRE_EQ(at, *(uint32_t *)(void *)(p.data +
			    (p.hdr->write + 4096 - 8) % 4096 + 4));
			ATF_REQUIRE_EQ(HVK_AGAIN, hvk_ring_rx_next(&p.rx, buf,
			    sizeof(buf), &packet));
		}
	pair_close(&p);
}

ATF_TC(full);
ATF_TC_HEAD(full, tc)
{
	atf_tc_set_md_var(tc, "descr", "a ring is never filled to the last "
	    "byte, room is what can be sent, and nothing changes on refusal");
}
ATF_TC_BODY(full, tc)
{
	volatile uint32_t huge = UINT32_MAX;	/* not for the compiler */
	struct hvk_packet packet;
	struct pair p;
	uint32_t n, room;

	pair_open(&p, 4096);
	memset(buf, 0, sizeof(buf));
	room = hvk_ring_tx_room(&p.tx);
	ATF_CHECK_EQ(4096 - 16, room);
	ATF_CHECK_EQ(HVK_RANGE, hvk_tx_inband(&p.tx, 0, false, buf,
	    room - 16 + 1));
	ATF_CHECK_EQ(HVK_RANGE, hvk_tx_inband(&p.tx, 0, false, buf, huge));
	ATF_CHECK_EQ(HVK_OK, hvk_tx_inband(&p.tx, 0, false, buf, room - 16));
	ATF_CHECK_EQ(HVK_AGAIN, hvk_tx_completion(&p.tx, 0, NULL, 0));
	ATF_CHECK_EQ(1, p.tx.full);
	ATF_CHECK_EQ(0, hvk_ring_tx_room(&p.tx));
	hvk_ring_tx_publish(&p.tx);
	ATF_CHECK_EQ(HVK_OK, hvk_ring_rx_next(&p.rx, buf, sizeof(buf),
	    &packet));
	ATF_CHECK_EQ(room - 16, packet.len);
	/* Taken but not released: still no room. */
	ATF_CHECK_EQ(0, hvk_ring_tx_room(&p.tx));
	hvk_ring_rx_release(&p.rx);
	ATF_CHECK_EQ(room, hvk_ring_tx_room(&p.tx));
	for (n = 0; hvk_tx_inband(&p.tx, n, false, buf, 100) == HVK_OK; n++)
		room = hvk_ring_tx_room(&p.tx);
	/* 16 + 104 + 8 = 128 bytes each, and the last cannot be used. */
	ATF_CHECK_EQ(4096 / 128 - 1, n);
	ATF_CHECK_EQ(128 - 16, room);
	pair_close(&p);
}

ATF_TC(biggest);
ATF_TC_HEAD(biggest, tc)
{
	atf_tc_set_md_var(tc, "descr", "the longest packet that a descriptor "
	    "can state passes a large ring, one byte more is refused");
}
ATF_TC_BODY(biggest, tc)
{
	static uint8_t in[HVK_PACKET_MAX];
	struct hvk_packet packet;
	struct pair p;

	pair_open(&p, 1u << 20);
	pair_fill(in, sizeof(in), 5);
	ATF_CHECK_EQ(HVK_PACKET_MAX, hvk_ring_tx_room(&p.tx));
	ATF_CHECK_EQ(HVK_RANGE, hvk_tx_inband(&p.tx, 0, false, in,
	    HVK_PACKET_MAX - 15));
	ATF_CHECK_EQ(HVK_OK, hvk_tx_inband(&p.tx, 0, false, in,
	    HVK_PACKET_MAX - 16));
	hvk_ring_tx_publish(&p.tx);
	ATF_REQUIRE_EQ(HVK_OK, hvk_ring_rx_next(&p.rx, buf, sizeof(buf),
	    &packet));
	ATF_CHECK_EQ(HVK_PACKET_MAX - 16, packet.len);
	ATF_CHECK(memcmp(packet.payload, in, packet.len) == 0);
	pair_close(&p);
}

ATF_TC(signal_empty);
ATF_TC_HEAD(signal_empty, tc)
{
	atf_tc_set_md_var(tc, "descr", "the producer signals when the ring "
	    "went from empty to not empty and the consumer wants it");
	atf_tc_set_md_var(tc, "X-feature", "core.signal");
}
ATF_TC_BODY(signal_empty, tc)
{
	struct hvk_packet packet;
	struct pair p;
	int i;

	pair_open(&p, 4096);
	ATF_CHECK(!hvk_ring_tx_publish(&p.tx));
	for (i = 0; i < 3; i++)
		ATF_REQUIRE_EQ(HVK_OK, hvk_tx_inband(&p.tx, 0, false, "x", 1));
	ATF_CHECK(hvk_ring_tx_publish(&p.tx));	/* one for the batch */
	ATF_REQUIRE_EQ(HVK_OK, hvk_tx_inband(&p.tx, 0, false, "x", 1));
	ATF_CHECK(!hvk_ring_tx_publish(&p.tx));	/* was not empty */
	for (i = 0; i < 4; i++)
		ATF_REQUIRE_EQ(HVK_OK, hvk_ring_rx_next(&p.rx, buf,
		    sizeof(buf), &packet));
	hvk_ring_rx_mask(&p.rx);
	ATF_CHECK_EQ(1, p.hdr->mask);
	ATF_CHECK(!hvk_ring_rx_release(&p.rx));
	ATF_CHECK(!hvk_ring_rx_release(&p.rx));
	ATF_REQUIRE_EQ(HVK_OK, hvk_tx_inband(&p.tx, 0, false, "x", 1));
	ATF_CHECK(!hvk_ring_tx_publish(&p.tx));	/* masked */
	/* Unmasking tells that something came in the dark. */
	ATF_CHECK(hvk_ring_rx_unmask(&p.rx));
	ATF_CHECK_EQ(0, p.hdr->mask);
	ATF_REQUIRE_EQ(HVK_OK, hvk_ring_rx_next(&p.rx, buf, sizeof(buf),
	    &packet));
	hvk_ring_rx_release(&p.rx);
	ATF_CHECK(!hvk_ring_rx_unmask(&p.rx));
	ATF_REQUIRE_EQ(HVK_OK, hvk_tx_inband(&p.tx, 0, false, "x", 1));
	ATF_CHECK(hvk_ring_tx_publish(&p.tx));
	ATF_CHECK_EQ(2, p.tx.signals);
	pair_close(&p);
}

/* 4000-byte packets in 16 KiB; the second one read makes room for two. */
static int
drain_signals(struct pair *p, uint32_t pending, uint32_t features)
{
	struct hvk_packet packet;
	static uint8_t in[4000];
	int i, n;

	p->hdr->features = features;
	pair_seek(p, 0);
	for (i = 0; i < 4; i++)
		ATF_REQUIRE_EQ(HVK_OK, hvk_tx_inband(&p->tx, 0, false, in,
		    sizeof(in)));
	ATF_REQUIRE_EQ(HVK_AGAIN, hvk_tx_inband(&p->tx, 0, false, in,
	    sizeof(in)));
	hvk_ring_tx_publish(&p->tx);
	p->hdr->pending = pending;
	n = 0;
	for (i = 1; i <= 4; i++) {
		ATF_REQUIRE_EQ(HVK_OK, hvk_ring_rx_next(&p->rx, buf,
		    sizeof(buf), &packet));
		if (hvk_ring_rx_release(&p->rx))
			n = n * 10 + i;
	}
	p->hdr->pending = 0;
	return (n);
}

ATF_TC(signal_full);
ATF_TC_HEAD(signal_full, tc)
{
	atf_tc_set_md_var(tc, "descr", "the consumer signals exactly when its "
	    "release makes the room that the producer waits for");
	atf_tc_set_md_var(tc, "X-feature", "core.signal");
}
ATF_TC_BODY(signal_full, tc)
{
	struct pair p;

	pair_open(&p, 16384);
	ATF_CHECK_EQ(2, drain_signals(&p, 8048, 1));
	/* A producer that stores one byte less than it needs. */
	ATF_CHECK_EQ(2, drain_signals(&p, 8047, 1));
	ATF_CHECK_EQ(1, drain_signals(&p, 4024, 1));
	ATF_CHECK_EQ(0, drain_signals(&p, 8048, 0));	/* not agreed */
	ATF_CHECK_EQ(0, drain_signals(&p, 0, 1));
	ATF_CHECK_EQ(0, drain_signals(&p, 16384, 1));	/* never enough */
	ATF_CHECK_EQ(0, drain_signals(&p, UINT32_MAX, 1));
	/* The mask speaks about the other direction of signals. */
	p.hdr->mask = 1;
	ATF_CHECK_EQ(2, drain_signals(&p, 8048, 1));
	pair_close(&p);
}

ATF_TC(want);
ATF_TC_HEAD(want, tc)
{
	atf_tc_set_md_var(tc, "descr", "a producer that waits for room is "
	    "told, does not wait when there is room, and clears its wish");
	atf_tc_set_md_var(tc, "X-feature", "core.signal");
}
ATF_TC_BODY(want, tc)
{
	struct hvk_packet packet;
	struct pair p;

	pair_open(&p, 4096);
	memset(buf, 0, sizeof(buf));
	ATF_CHECK(hvk_ring_tx_want(&p.tx, 4080));
	ATF_CHECK_EQ(0, p.hdr->pending);
	while (hvk_tx_inband(&p.tx, 0, false, buf, 1000) == HVK_OK)
		;
	hvk_ring_tx_publish(&p.tx);
	ATF_CHECK(!hvk_ring_tx_want(&p.tx, 1016));
	ATF_CHECK_EQ(1024, p.hdr->pending);
	ATF_REQUIRE_EQ(HVK_OK, hvk_ring_rx_next(&p.rx, buf, sizeof(buf),
	    &packet));
	/* Exactly the room of one packet was free before: now there are two. */
	ATF_CHECK(hvk_ring_rx_release(&p.rx));
	ATF_CHECK(hvk_ring_tx_want(&p.tx, 1016));
	ATF_CHECK_EQ(0, p.hdr->pending);
	ATF_CHECK_EQ(HVK_OK, hvk_tx_inband(&p.tx, 0, false, buf, 1000));
	hvk_ring_tx_publish(&p.tx);
	ATF_CHECK(!hvk_ring_tx_want(&p.tx, 1016));
	ATF_CHECK(hvk_ring_tx_want(&p.tx, 0));
	ATF_CHECK_EQ(0, p.hdr->pending);
	/* What can never fit is not waited for: sending refuses it. */
	ATF_CHECK(hvk_ring_tx_want(&p.tx, 4088));
	ATF_CHECK(hvk_ring_tx_want(&p.tx, UINT32_MAX));
	p.hdr->read = 4096;
	ATF_CHECK(hvk_ring_tx_want(&p.tx, 1016));
	ATF_CHECK_EQ(HVK_FATAL, hvk_tx_inband(&p.tx, 0, false, buf, 1000));
	pair_close(&p);
}

ATF_TC(init_bad);
ATF_TC_HEAD(init_bad, tc)
{
	atf_tc_set_md_var(tc, "descr", "sizes and indices that cannot be are "
	    "refused when a ring is attached");
}
ATF_TC_BODY(init_bad, tc)
{
	static const uint32_t sizes[] = { 0, 8, 4095, 4097, 6144, 0x80000000,
	    0xfffff000 };
	static const uint32_t indices[] = { 1, 4, 4095, 4096, 0x80000000,
	    UINT32_MAX };
	struct pair p;
	unsigned int i;

	pair_open(&p, 4096);
	for (i = 0; i < HVK_COUNT(sizes); i++) {
		ATF_CHECK_EQ(HVK_RANGE, hvk_ring_tx_init(&p.tx, p.hdr, p.data,
		    sizes[i], false));
		ATF_CHECK_EQ(HVK_RANGE, hvk_ring_rx_init(&p.rx, p.hdr, p.data,
		    sizes[i], true));
	}
	ATF_CHECK_EQ(HVK_RANGE, hvk_ring_tx_init(&p.tx, NULL, p.data, 4096,
	    true));
	ATF_CHECK_EQ(HVK_RANGE, hvk_ring_rx_init(&p.rx, p.hdr, p.data + 4,
	    4096, true));
	for (i = 0; i < HVK_COUNT(indices); i++) {
		p.hdr->write = indices[i];
		p.hdr->read = 0;
		ATF_CHECK_EQ(HVK_FATAL, hvk_ring_tx_init(&p.tx, p.hdr, p.data,
		    4096, false));
		ATF_CHECK_EQ(HVK_FATAL, hvk_ring_rx_init(&p.rx, p.hdr, p.data,
		    4096, false));
		p.hdr->write = 0;
		p.hdr->read = indices[i];
		ATF_CHECK_EQ(HVK_FATAL, hvk_ring_tx_init(&p.tx, p.hdr, p.data,
		    4096, false));
		ATF_CHECK_EQ(HVK_FATAL, hvk_ring_rx_init(&p.rx, p.hdr, p.data,
		    4096, false));
	}
	pair_close(&p);
}

ATF_TC(hostile_consumer);
ATF_TC_HEAD(hostile_consumer, tc)
{
	atf_tc_set_md_var(tc, "descr", "a consumer index outside the data, "
	    "unaligned, backwards or beyond what was published is fatal for "
	    "ever");
}
ATF_TC_BODY(hostile_consumer, tc)
{
	/* Published up to 3072, taken up to 1024. */
	static const uint32_t bad[] = { 4096, 1028, 1025, UINT32_MAX,
	    0x80000000, 1016, 0, 3080, 4088 };
	struct pair p;
	unsigned int i;

	pair_open(&p, 4096);
	memset(buf, 0, sizeof(buf));
	for (i = 0; i < HVK_COUNT(bad); i++) {
		pair_seek(&p, 0);
		while (hvk_tx_inband(&p.tx, 0, false, buf, 1000) == HVK_OK)
			;
		hvk_ring_tx_publish(&p.tx);
		p.hdr->read = 1024;
		ATF_REQUIRE(hvk_ring_tx_room(&p.tx) > 0);
		p.hdr->read = bad[i];
		ATF_CHECK_EQ(HVK_FATAL, hvk_tx_inband(&p.tx, 0, false, buf,
		    3000));
		p.hdr->read = 1024;
		ATF_CHECK_EQ(HVK_FATAL, hvk_tx_inband(&p.tx, 0, false, buf, 8));
		ATF_CHECK_EQ(0, hvk_ring_tx_room(&p.tx));
		ATF_CHECK_EQ(3072, p.hdr->write);
	}
	pair_close(&p);
}

ATF_TC(hostile_producer);
ATF_TC_HEAD(hostile_producer, tc)
{
	atf_tc_set_md_var(tc, "descr", "a producer index outside the data, "
	    "unaligned or inside what was not given back is fatal for ever");
}
ATF_TC_BODY(hostile_producer, tc)
{
	/* Taken up to 1024 but only released up to 512. */
	static const uint32_t bad[] = { 4096, 1028, 1025, UINT32_MAX, 512,
	    520, 1016 };
	struct hvk_packet packet;
	struct pair p;
	unsigned int i;

	pair_open(&p, 4096);
	memset(buf, 0, sizeof(buf));
	for (i = 0; i < HVK_COUNT(bad); i++) {
		pair_seek(&p, 0);
		ATF_REQUIRE_EQ(HVK_OK, hvk_tx_inband(&p.tx, 0, false, buf,
		    512 - 24));
		ATF_REQUIRE_EQ(HVK_OK, hvk_tx_inband(&p.tx, 0, false, buf,
		    512 - 24));
		hvk_ring_tx_publish(&p.tx);
		ATF_REQUIRE_EQ(HVK_OK, hvk_ring_rx_next(&p.rx, buf,
		    sizeof(buf), &packet));
		hvk_ring_rx_release(&p.rx);
		ATF_REQUIRE_EQ(HVK_OK, hvk_ring_rx_next(&p.rx, buf,
		    sizeof(buf), &packet));
		p.hdr->write = bad[i];
		ATF_CHECK(hvk_ring_rx_unmask(&p.rx));
		ATF_CHECK_EQ(HVK_FATAL, hvk_ring_rx_next(&p.rx, buf,
		    sizeof(buf), &packet));
		p.hdr->write = 1024;
		ATF_CHECK_EQ(HVK_FATAL, hvk_ring_rx_next(&p.rx, buf,
		    sizeof(buf), &packet));
	}
	pair_close(&p);
}

/* Put a packet of 64 bytes and another behind it; damage the first. */
static int
damaged(struct pair *p, uint32_t at, uint16_t off8, uint16_t len8,
    uint32_t cap)
{
	struct hvk_descriptor *d;
	struct hvk_packet packet;
	int error;

	pair_seek(p, at);
	ATF_REQUIRE_EQ(HVK_OK, hvk_tx_inband(&p->tx, 1, false, "12345678"
	    "12345678" "12345678" "12345678" "12345678" "12345678", 48));
	ATF_REQUIRE_EQ(HVK_OK, hvk_tx_inband(&p->tx, 2, false, "abcdefgh", 8));
	hvk_ring_tx_publish(&p->tx);
	d = (struct hvk_descriptor *)(void *)(p->data + at);
	d->offset8 = off8;
	d->length8 = len8;
	error = hvk_ring_rx_next(&p->rx, buf, cap, &packet);
	if (error == HVK_REJECT && len8 == 8) {
		/* The one behind it is unharmed. */
		ATF_REQUIRE_EQ(HVK_OK, hvk_ring_rx_next(&p->rx, buf, cap,
		    &packet));
		ATF_REQUIRE_EQ(2, packet.txid);
		ATF_REQUIRE(memcmp(packet.payload, "abcdefgh", 8) == 0);
		ATF_REQUIRE_EQ(1, p->rx.rejects);
	} else if (error == HVK_FATAL)
		ATF_REQUIRE_EQ(HVK_FATAL, hvk_ring_rx_next(&p->rx, buf, cap,
		    &packet));
	return (error);
}

ATF_TC(hostile_lengths);
ATF_TC_HEAD(hostile_lengths, tc)
{
	atf_tc_set_md_var(tc, "descr", "lengths and offsets of a descriptor "
	    "that cannot be: skipped where its end is known, else fatal");
}
ATF_TC_BODY(hostile_lengths, tc)
{
	struct pair p;
	uint32_t at, i;
	static const uint32_t starts[] = { 0, 4096 - 8, 4096 - 16, 4096 - 64,
	    4096 - 72, 4096 - 80 };

	pair_open(&p, 4096);
	for (i = 0; i < HVK_COUNT(starts); i++) {
		at = starts[i];
		ATF_CHECK_EQ(HVK_OK, damaged(&p, at, 2, 8, 4096));
		ATF_CHECK_EQ(HVK_OK, damaged(&p, at, 8, 8, 4096));
		ATF_CHECK_EQ(HVK_REJECT, damaged(&p, at, 9, 8, 4096));
		ATF_CHECK_EQ(HVK_REJECT, damaged(&p, at, 0xffff, 8, 4096));
		ATF_CHECK_EQ(HVK_REJECT, damaged(&p, at, 1, 8, 4096));
		ATF_CHECK_EQ(HVK_REJECT, damaged(&p, at, 0, 8, 4096));
		/* Too large for the caller. */
		ATF_CHECK_EQ(HVK_REJECT, damaged(&p, at, 2, 8, 63));
		ATF_CHECK_EQ(HVK_OK, damaged(&p, at, 2, 8, 64));
		/* No descriptor, or more than was published. */
		ATF_CHECK_EQ(HVK_FATAL, damaged(&p, at, 0, 0, 4096));
		ATF_CHECK_EQ(HVK_FATAL, damaged(&p, at, 0, 1, 4096));
		ATF_CHECK_EQ(HVK_FATAL, damaged(&p, at, 2, 13, 4096));
		ATF_CHECK_EQ(HVK_FATAL, damaged(&p, at, 2, 0xffff, 4096));
		ATF_CHECK_EQ(HVK_OK, damaged(&p, at, 2, 2, 4096));
	}
	/* A buffer that holds no descriptor takes nothing. */
	ATF_CHECK_EQ(HVK_REJECT, damaged(&p, 0, 2, 7, 15));
	pair_close(&p);
}

ATF_TC(soak);
ATF_TC_HEAD(soak, tc)
{
	atf_tc_set_md_var(tc, "descr", "two million random packets in random "
	    "batches, against a model of what is where");
}
ATF_TC_BODY(soak, tc)
{
	enum { DEPTH = 512 };
	static uint32_t lens[DEPTH];
	static uint8_t in[2048];
	struct hvk_packet packet;
	struct pair p;
	uint64_t got, released, seed, sent, shown;
	uint32_t len, used;
	int error, i, n;

	pair_open(&p, 8192);
	seed = 0x9e3779b97f4a7c15;
	got = released = sent = shown = 0;
	used = 0;		/* bytes from the released index to the end */
	while (got < 2000000) {
		n = (int)(pair_random(&seed) % 8);
		for (i = 0; i < n; i++) {
			len = pair_random(&seed);
			len = len & 0x10000 ? len % 32 : len % sizeof(in);
			pair_fill(in, len, sent);
			error = hvk_tx_inband(&p.tx, sent, sent & 1, in, len);
			if (used + hvk_align8(len) + 24 >= 8192) {
				ATF_REQUIRE_EQ(HVK_AGAIN, error);
				break;
			}
			ATF_REQUIRE_EQ(HVK_OK, error);
			lens[sent++ % DEPTH] = len;
			used += hvk_align8(len) + 24;
		}
		if (pair_random(&seed) & 1) {
			ATF_REQUIRE_EQ(shown == released && sent > shown,
			    hvk_ring_tx_publish(&p.tx));
			shown = sent;
		}
		n = (int)(pair_random(&seed) % 8);
		for (i = 0; i < n; i++) {
			error = hvk_ring_rx_next(&p.rx, buf, sizeof(buf),
			    &packet);
			if (got == shown) {
				ATF_REQUIRE_EQ(HVK_AGAIN, error);
				break;
			}
			ATF_REQUIRE_EQ(HVK_OK, error);
			ATF_REQUIRE_EQ(got, packet.txid);
			ATF_REQUIRE_EQ((got & 1) != 0, packet.want_completion);
			len = lens[got++ % DEPTH];
			ATF_REQUIRE_EQ(hvk_align8(len), packet.len);
			pair_fill(in, len, packet.txid);
			ATF_REQUIRE(memcmp(in, packet.payload, len) == 0);
		}
		if (pair_random(&seed) & 1) {
			ATF_REQUIRE(!hvk_ring_rx_release(&p.rx));
			for (; released < got; released++)
				used -= hvk_align8(lens[released % DEPTH]) + 24;
		}
	}
	ATF_CHECK_EQ(p.tx.packets, sent);
	ATF_CHECK_EQ(p.rx.packets, got);
	ATF_CHECK(p.tx.full > 0);
	pair_close(&p);
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, golden);
	ATF_TP_ADD_TC(tp, wrap);
	ATF_TP_ADD_TC(tp, full);
	ATF_TP_ADD_TC(tp, biggest);
	ATF_TP_ADD_TC(tp, signal_empty);
	ATF_TP_ADD_TC(tp, signal_full);
	ATF_TP_ADD_TC(tp, want);
	ATF_TP_ADD_TC(tp, init_bad);
	ATF_TP_ADD_TC(tp, hostile_consumer);
	ATF_TP_ADD_TC(tp, hostile_producer);
	ATF_TP_ADD_TC(tp, hostile_lengths);
	ATF_TP_ADD_TC(tp, soak);
	return (atf_no_error());
}
