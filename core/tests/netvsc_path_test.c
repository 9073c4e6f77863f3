/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * The guest's data path against a host that cannot be trusted: sections and
 * sends, answers of every wrong kind; received packets whose ranges, messages
 * and sequences are not what they should be.
 */

#include <stdlib.h>
#include <string.h>

#include <atf-c.h>

#include <hvk/guest/netvsc.h>

#define	SLOTS		16
#define	SECTION		2048u
#define	SECTIONS	40u
#define	FIRST		3u

static uint8_t buffer[(FIRST + SECTIONS) * SECTION];
static struct hvk_netvsc_send slots[SLOTS];
static struct hvk_netvsc_tx tx;
static const struct hvk_netvsc_tx_config tx_config = {
	.buffer = buffer, .section_size = SECTION, .first = FIRST,
	.count = SECTIONS, .align = 8, .max_packets = 8,
	.max_transfer = 0xefffffff
};
static const struct hvk_net_meta none, csum = { .has = HVK_NET_CSUM };

static int
done(uint64_t txid, uint32_t type, uint32_t status, uint32_t len,
    struct hvk_netvsc_sent *sent)
{
	struct hvk_nvsp_rndis_done d = { type, status };
	struct hvk_packet pkt;

	memset(&pkt, 0, sizeof(pkt));
	pkt.type = HVK_PKT_COMPLETION;
	pkt.txid = txid;
	pkt.payload = (const uint8_t *)&d;
	pkt.len = len;
	return (hvk_netvsc_tx_done(&tx, &pkt, sent));
}

static int
done_ok(uint64_t txid, struct hvk_netvsc_sent *sent)
{
	return (done(txid, HVK_NVSP_RNDIS_DONE, HVK_NVSP_STATUS_OK, 8, sent));
}

static void
tx_make(void)
{
	memset(buffer, 0xaa, sizeof(buffer));
	ATF_REQUIRE_EQ(HVK_OK, hvk_netvsc_tx_init(&tx, slots, SLOTS,
	    &tx_config));
}

ATF_TC(tx_config_bad);
ATF_TC_HEAD(tx_config_bad, tc)
{
	atf_tc_set_md_var(tc, "descr", "sizes that make no sense are refused");
}
ATF_TC_BODY(tx_config_bad, tc)
{
	struct hvk_netvsc_tx_config c;

#define	BAD(field, value) do {						\
	c = tx_config;							\
	c.field = (value);						\
	ATF_REQUIRE_EQ(HVK_RANGE, hvk_netvsc_tx_init(&tx, slots, SLOTS,	\
	    &c));							\
} while (0)
	BAD(count, HVK_NETVSC_MAX_SECTIONS + 1);
	BAD(count, 0);
	BAD(section_size, 0);
	BAD(max_packets, 0);
	BAD(align, 0);
	BAD(align, 12);
	BAD(first, 0xffffffff);
	ATF_REQUIRE_EQ(HVK_RANGE, hvk_netvsc_tx_init(&tx, slots, 0,
	    &tx_config));
	ATF_REQUIRE_EQ(HVK_RANGE, hvk_netvsc_tx_init(&tx, slots,
	    HVK_NETVSC_MAX_SENDS + 1, &tx_config));
	/* Without a send buffer everything goes directly. */
	c = tx_config;
	c.count = c.section_size = 0;
	ATF_REQUIRE_EQ(HVK_OK, hvk_netvsc_tx_init(&tx, slots, SLOTS, &c));
	uint8_t *at;
	ATF_REQUIRE_EQ(HVK_RANGE, hvk_netvsc_tx_copy(&tx, &none, 60, &at));
}

ATF_TC(aggregate);
ATF_TC_HEAD(aggregate, tc)
{
	atf_tc_set_md_var(tc, "descr", "frames share a section up to the "
	    "packets, the bytes and the limits set meanwhile; padding is zero");
}
ATF_TC_BODY(aggregate, tc)
{
	struct hvk_rndis_frame f;
	struct hvk_rndis_walk w;
	struct hvk_net_seg seg;
	struct hvk_netvsc_sent sent;
	struct hvk_netvsc_out out;
	uint32_t i, n;
	uint8_t *at;

	tx_make();
	ATF_REQUIRE_EQ(HVK_AGAIN, hvk_netvsc_tx_close(&tx, &out));
	for (i = 0; i < 8; i++) {
		ATF_REQUIRE_EQ(HVK_OK, hvk_netvsc_tx_copy(&tx, &none, 61,
		    &at));
		ATF_REQUIRE(at == buffer + FIRST * SECTION + i * 112 + 44);
		memset(at, (int)i, 61);
	}
	ATF_REQUIRE_EQ(HVK_AGAIN, hvk_netvsc_tx_copy(&tx, &none, 61, &at));
	ATF_REQUIRE_EQ(HVK_OK, hvk_netvsc_tx_close(&tx, &out));
	ATF_REQUIRE_EQ(HVK_NVSP_RNDIS, out.nvsp.type);
	ATF_REQUIRE_EQ(HVK_NVSP_CHANNEL_DATA, out.nvsp.rndis.channel);
	ATF_REQUIRE_EQ(FIRST, out.nvsp.rndis.section);
	ATF_REQUIRE_EQ(8 * 112, out.nvsp.rndis.section_len);
	seg.base = buffer + FIRST * SECTION;
	seg.len = 8 * 112;
	hvk_rndis_walk_init(&w, &seg, 1, seg.len, 8);
	for (n = 0; hvk_rndis_walk_next(&w, &f) == HVK_OK; n++) {
		ATF_REQUIRE_EQ(61, f.len);
		ATF_REQUIRE_EQ(n, seg.base[f.offset + 60]);
		for (i = 61; f.offset + i < f.message + f.message_len; i++)
			ATF_REQUIRE_EQ(0, seg.base[f.offset + i]);
	}
	ATF_REQUIRE_EQ(8, n);
	ATF_REQUIRE_EQ(HVK_OK, done_ok(out.txid, &sent));
	ATF_REQUIRE(sent.ok && sent.cookie == NULL);
	ATF_REQUIRE_EQ(8, sent.packets);
	ATF_REQUIRE_EQ(8 * 61, sent.bytes);

	/* By bytes: exactly full, and one byte too many. */
	for (i = 0; i < 2; i++) {
		ATF_REQUIRE_EQ(HVK_OK, hvk_netvsc_tx_copy(&tx, &csum,
		    1024 - 60, &at));
		ATF_REQUIRE_EQ(i == 0 ? HVK_OK : HVK_AGAIN,
		    hvk_netvsc_tx_copy(&tx, &csum, 1024 - 60 + i, &at));
		ATF_REQUIRE_EQ(HVK_OK, hvk_netvsc_tx_close(&tx, &out));
		ATF_REQUIRE_EQ(HVK_OK, done_ok(out.txid, &sent));
	}
	ATF_REQUIRE_EQ(HVK_OK, hvk_netvsc_tx_copy(&tx, &none, SECTION - 44,
	    &at));
	ATF_REQUIRE(at + SECTION - 44 <= buffer + sizeof(buffer));
	ATF_REQUIRE_EQ(HVK_OK, hvk_netvsc_tx_close(&tx, &out));
	ATF_REQUIRE_EQ(SECTION, out.nvsp.rndis.section_len);
	ATF_REQUIRE_EQ(HVK_OK, done_ok(out.txid, &sent));
	ATF_REQUIRE_EQ(HVK_RANGE, hvk_netvsc_tx_copy(&tx, &none,
	    SECTION - 43, &at));
	ATF_REQUIRE_EQ(HVK_RANGE, hvk_netvsc_tx_copy(&tx, &none, 0, &at));
	ATF_REQUIRE_EQ(HVK_RANGE, hvk_netvsc_tx_copy(&tx, &none, 0xffffffff,
	    &at));
	/* Limits that the caller lowers, or raises beyond reason. */
	tx.agg_packets = 1;
	ATF_REQUIRE_EQ(HVK_OK, hvk_netvsc_tx_copy(&tx, &none, 60, &at));
	ATF_REQUIRE_EQ(HVK_AGAIN, hvk_netvsc_tx_copy(&tx, &none, 60, &at));
	tx.agg_packets = 1000000;
	tx.agg_size = 0xffffffff;
	for (i = 1; i < 8; i++)
		ATF_REQUIRE_EQ(HVK_OK, hvk_netvsc_tx_copy(&tx, &none, 60,
		    &at));
	ATF_REQUIRE_EQ(HVK_AGAIN, hvk_netvsc_tx_copy(&tx, &none, 60, &at));
	ATF_REQUIRE_EQ(HVK_OK, hvk_netvsc_tx_close(&tx, &out));
	tx.agg_size = 200;
	ATF_REQUIRE_EQ(HVK_OK, hvk_netvsc_tx_copy(&tx, &none, 1000, &at));
	ATF_REQUIRE_EQ(HVK_AGAIN, hvk_netvsc_tx_copy(&tx, &none, 60, &at));
}

ATF_TC(sections);
ATF_TC_HEAD(sections, tc)
{
	atf_tc_set_md_var(tc, "descr", "sections and slots run out and come "
	    "back, each to one send at a time");
}
ATF_TC_BODY(sections, tc)
{
	static struct hvk_netvsc_send many[100];
	struct hvk_netvsc_sent sent;
	struct hvk_netvsc_out out;
	uint64_t id[SECTIONS];
	bool used[FIRST + SECTIONS];
	uint32_t i, round;
	uint8_t *at;

	ATF_REQUIRE_EQ(HVK_OK, hvk_netvsc_tx_init(&tx, many, 100, &tx_config));
	for (round = 0; round < 3; round++) {
		memset(used, 0, sizeof(used));
		for (i = 0; i < SECTIONS; i++) {
			ATF_REQUIRE_EQ(HVK_OK, hvk_netvsc_tx_copy(&tx, &none,
			    60, &at));
			ATF_REQUIRE_EQ(HVK_OK, hvk_netvsc_tx_close(&tx, &out));
			id[i] = out.txid;
			ATF_REQUIRE(out.nvsp.rndis.section >= FIRST &&
			    out.nvsp.rndis.section < FIRST + SECTIONS);
			ATF_REQUIRE(!used[out.nvsp.rndis.section]);
			used[out.nvsp.rndis.section] = true;
		}
		ATF_REQUIRE_EQ(HVK_NOSPACE, hvk_netvsc_tx_copy(&tx, &none, 60,
		    &at));
		ATF_REQUIRE_EQ(round + 1, tx.no_section);
		ATF_REQUIRE_EQ(HVK_OK, hvk_netvsc_tx_direct(&tx, &tx, 60,
		    &out));
		ATF_REQUIRE_EQ(HVK_NVSP_NO_SECTION, out.nvsp.rndis.section);
		ATF_REQUIRE_EQ(HVK_OK, done_ok(out.txid, &sent));
		ATF_REQUIRE(sent.cookie == &tx);
		for (i = 0; i < SECTIONS; i++)
			ATF_REQUIRE_EQ(HVK_OK, done_ok(id[(i * 7 + round) %
			    SECTIONS], &sent));
		ATF_REQUIRE_EQ(SECTIONS, tx.sections_free);
		ATF_REQUIRE_EQ(0, tx.busy);
	}
	tx_make();
	for (i = 0; i < SLOTS; i++)
		ATF_REQUIRE_EQ(HVK_OK, hvk_netvsc_tx_direct(&tx, &tx, 60,
		    &out));
	ATF_REQUIRE_EQ(HVK_NOSPACE, hvk_netvsc_tx_direct(&tx, &tx, 60, &out));
	ATF_REQUIRE_EQ(HVK_NOSPACE, hvk_netvsc_tx_copy(&tx, &none, 60, &at));
	ATF_REQUIRE_EQ(SECTIONS, tx.sections_free);
}

ATF_TC(tx_hostile);
ATF_TC_HEAD(tx_hostile, tc)
{
	atf_tc_set_md_var(tc, "descr", "completions for nothing, twice, of the "
	    "wrong kind: at most one send ends, once; never: it is noticed");
}
ATF_TC_BODY(tx_hostile, tc)
{
	static const uint64_t ids[] = { 0, ~0ull, 1ull << 63,
	    0x5300000000000010ull, 0x5300000000ffffffull,
	    0x5300000001000000ull };
	struct hvk_netvsc_sent sent;
	struct hvk_netvsc_out out, other;
	struct hvk_packet pkt;
	uint32_t i;
	int cookie;

	tx_make();
	ATF_REQUIRE_EQ(HVK_OK, hvk_netvsc_tx_direct(&tx, &cookie, 60, &out));
	for (i = 0; i < HVK_COUNT(ids); i++)
		ATF_REQUIRE_EQ(HVK_REJECT, done_ok(ids[i], &sent));
	for (i = 0; i < 64; i++)
		ATF_REQUIRE_EQ(HVK_REJECT, done_ok(out.txid ^ 1ull << i,
		    &sent));
	ATF_REQUIRE_EQ(1, tx.busy);
	memset(&pkt, 0, sizeof(pkt));
	pkt.type = HVK_PKT_INBAND;
	pkt.txid = out.txid;
	ATF_REQUIRE_EQ(HVK_REJECT, hvk_netvsc_tx_done(&tx, &pkt, &sent));
	ATF_REQUIRE_EQ(HVK_OK, done_ok(out.txid, &sent));
	ATF_REQUIRE(sent.cookie == &cookie && sent.ok);
	ATF_REQUIRE_EQ(HVK_REJECT, done_ok(out.txid, &sent));
	ATF_REQUIRE(tx.stale != 0 && tx.unknown != 0);
	/* The slot's next use has another id. */
	ATF_REQUIRE_EQ(HVK_OK, hvk_netvsc_tx_direct(&tx, &cookie, 60,
	    &other));
	ATF_REQUIRE(other.txid != out.txid);
	ATF_REQUIRE_EQ(HVK_REJECT, done_ok(out.txid, &sent));
	/* An answer that makes no sense ends it all the same. */
	ATF_REQUIRE_EQ(HVK_OK, done(other.txid, 99, 1, 8, &sent));
	ATF_REQUIRE(!sent.ok && sent.cookie == &cookie);
	ATF_REQUIRE_EQ(HVK_OK, hvk_netvsc_tx_direct(&tx, &cookie, 60, &out));
	ATF_REQUIRE_EQ(HVK_OK, done(out.txid, HVK_NVSP_RNDIS_DONE, 1, 0,
	    &sent));
	ATF_REQUIRE(!sent.ok);
	ATF_REQUIRE_EQ(2, tx.malformed);
	ATF_REQUIRE_EQ(HVK_OK, hvk_netvsc_tx_direct(&tx, &cookie, 60, &out));
	ATF_REQUIRE_EQ(HVK_OK, done(out.txid, HVK_NVSP_RNDIS_DONE,
	    HVK_NVSP_STATUS_BAD_RNDIS, 8, &sent));
	ATF_REQUIRE(!sent.ok);
	ATF_REQUIRE_EQ(1, tx.failed);
	/* Taken back, then answered. */
	ATF_REQUIRE_EQ(HVK_OK, hvk_netvsc_tx_direct(&tx, &cookie, 60, &out));
	ATF_REQUIRE_EQ(HVK_OK, hvk_netvsc_tx_cancel(&tx, out.txid, &sent));
	ATF_REQUIRE(sent.cookie == &cookie);
	ATF_REQUIRE_EQ(HVK_REJECT, hvk_netvsc_tx_cancel(&tx, out.txid,
	    &sent));
	ATF_REQUIRE_EQ(HVK_REJECT, done_ok(out.txid, &sent));
	/* Never: time passes with sends out and none ending. */
	ATF_REQUIRE(!hvk_netvsc_tx_stalled(&tx, 0, 5000));
	ATF_REQUIRE(!hvk_netvsc_tx_stalled(&tx, 90000, 5000));
	ATF_REQUIRE_EQ(HVK_OK, hvk_netvsc_tx_direct(&tx, &cookie, 60, &out));
	ATF_REQUIRE(!hvk_netvsc_tx_stalled(&tx, 100000, 5000));
	ATF_REQUIRE(!hvk_netvsc_tx_stalled(&tx, 104999, 5000));
	ATF_REQUIRE(hvk_netvsc_tx_stalled(&tx, 105000, 5000));
	ATF_REQUIRE_EQ(HVK_OK, hvk_netvsc_tx_direct(&tx, &cookie, 60,
	    &other));
	ATF_REQUIRE_EQ(HVK_OK, done_ok(out.txid, &sent));
	ATF_REQUIRE(!hvk_netvsc_tx_stalled(&tx, 105000, 5000));
	for (i = 0; hvk_netvsc_tx_end(&tx, &sent); i++)
		ATF_REQUIRE(sent.cookie == &cookie && !sent.ok);
	ATF_REQUIRE_EQ(1, i);
	ATF_REQUIRE_EQ(HVK_REJECT, done_ok(other.txid, &sent));
}

/*
 * Receiving.
 */
#define	RECV	8192u
#define	FRAGS	8u

static struct hvk_netvsc_rx rx;
static struct hvk_netvsc_frag frags[FRAGS];
static uint8_t *recv_buffer;
static struct hvk_xfer_range ranges[HVK_NVSP_RANGES_RSC];
static struct hvk_packet pkt;
static uint32_t nvsp[4];

static void
rx_make(void)
{
	free(recv_buffer);
	recv_buffer = calloc(1, RECV);	/* its end is seen by the sanitizer */
	ATF_REQUIRE(recv_buffer != NULL);
	ATF_REQUIRE_EQ(HVK_OK, hvk_netvsc_rx_init(&rx, recv_buffer, RECV,
	    frags, FRAGS, 4000));
	memset(&pkt, 0, sizeof(pkt));
	memset(nvsp, 0, sizeof(nvsp));
	nvsp[0] = HVK_NVSP_RNDIS;
	pkt.type = HVK_PKT_XFER_PAGES;
	pkt.pageset = HVK_NVSP_RECV_ID;
	pkt.ranges = (const uint8_t *)ranges;
	pkt.payload = (const uint8_t *)nvsp;
	pkt.len = sizeof(nvsp);
}

/* A frame of len bytes of that value in the buffer; it becomes a range. */
static void
frame(uint32_t at, uint32_t len, uint8_t value, uint32_t flags)
{
	struct hvk_net_meta m = { .has = HVK_NET_HASH, .hash = value };
	uint32_t header;

	if (flags != 0) {
		m.has |= HVK_NET_PACKET_ID;
		m.packet_flags = (uint8_t)flags;
	}
	header = hvk_rndis_encode(recv_buffer + at, &m, len, 4);
	memset(recv_buffer + at + header, value, len);
	ranges[pkt.nranges].offset = at;
	ranges[pkt.nranges++].len = hvk_rndis_message_len(&m, len, 4);
}

static int
begin(void)
{
	pkt.ranges_len = pkt.nranges * (uint32_t)sizeof(ranges[0]);
	return (hvk_netvsc_rx_begin(&rx, &pkt));
}

/* What the ranges give, as letters: f, c, x for a frame, control, refusal. */
static const char *
taken(void)
{
	static char out[HVK_NVSP_RANGES_RSC + 1];
	struct hvk_netvsc_frame f;
	uint32_t n = 0;
	int error;

	ATF_REQUIRE_EQ(HVK_OK, begin());
	while ((error = hvk_netvsc_rx_next(&rx, &f)) != HVK_AGAIN) {
		out[n++] = error != HVK_OK ? 'x' :
		    f.kind == HVK_NETVSC_FRAME ? 'f' : 'c';
		ATF_REQUIRE(n <= pkt.nranges);
	}
	out[n] = '\0';
	pkt.nranges = 0;
	return (out);
}

ATF_TC(rx_packets);
ATF_TC_HEAD(rx_packets, tc)
{
	atf_tc_set_md_var(tc, "descr", "packets that are no RNDIS of this "
	    "buffer are refused whole, and give nothing");
}
ATF_TC_BODY(rx_packets, tc)
{
	struct hvk_netvsc_frame f;

	ATF_REQUIRE_EQ(HVK_RANGE, hvk_netvsc_rx_init(&rx, NULL, 0, frags, 8,
	    4000));
	ATF_REQUIRE_EQ(HVK_RANGE, hvk_netvsc_rx_init(&rx, NULL, 8, frags, 0,
	    4000));
	ATF_REQUIRE_EQ(HVK_RANGE, hvk_netvsc_rx_init(&rx, NULL, 8, frags, 563,
	    4000));
	ATF_REQUIRE_EQ(HVK_RANGE, hvk_netvsc_rx_init(&rx, NULL, 8, frags, 8,
	    0));
	rx_make();
	frame(0, 60, 1, 0);
	ATF_REQUIRE_EQ(HVK_OK, begin());
	ATF_REQUIRE_EQ(HVK_OK, hvk_netvsc_rx_next(&rx, &f));
	ATF_REQUIRE_EQ(60, f.len);
	ATF_REQUIRE_EQ(1, f.nfrags);
	ATF_REQUIRE_EQ(1, f.meta.hash);
	ATF_REQUIRE_EQ(1, f.frag[0].data[59]);
	ATF_REQUIRE_EQ(HVK_AGAIN, hvk_netvsc_rx_next(&rx, &f));
	pkt.pageset = 0xface;
	ATF_REQUIRE_EQ(HVK_REJECT, begin());
	ATF_REQUIRE_EQ(HVK_AGAIN, hvk_netvsc_rx_next(&rx, &f));
	pkt.pageset = HVK_NVSP_RECV_ID;
	nvsp[0] = HVK_NVSP_RNDIS_DONE;
	ATF_REQUIRE_EQ(HVK_REJECT, begin());
	nvsp[0] = HVK_NVSP_RNDIS;
	pkt.len = 8;
	ATF_REQUIRE_EQ(HVK_REJECT, begin());
	pkt.len = 16;
	pkt.type = HVK_PKT_GPA_DIRECT;
	ATF_REQUIRE_EQ(HVK_REJECT, begin());
	ATF_REQUIRE_EQ(HVK_AGAIN, hvk_netvsc_rx_next(&rx, &f));
	ATF_REQUIRE_EQ(4, rx.rejected);
}

ATF_TC(rx_ranges);
ATF_TC_HEAD(rx_ranges, tc)
{
	atf_tc_set_md_var(tc, "descr", "ranges outside the receive buffer, "
	    "overlapping, empty, too short for their message");
}
ATF_TC_BODY(rx_ranges, tc)
{
	static const struct hvk_xfer_range bad[] = {
		{ 100, RECV }, { 100, RECV - 99 }, { 100, 0xffffffff },
		{ 0xffffffff, 0 }, { 0xffffffff, 1 }, { RECV + 1, 0 },
		{ 0x80000000, 0x80000000 }, { 0, 0 }, { 7, 0 }, { 0, RECV },
		{ 43, 0 }, { 119, 0 }
	};
	uint32_t i;

	rx_make();
	for (i = 0; i < HVK_COUNT(bad); i++) {
		frame(0, 60, 1, 0);
		ranges[1] = bad[i];
		ranges[2] = ranges[0];
		pkt.nranges = 3;
		ATF_REQUIRE_STREQ("fxf", taken());
	}
	/* The same range many times gives the same frame, and no harm. */
	frame(RECV - 120, 60, 1, 0);
	for (i = 1; i < HVK_NVSP_RANGES; i++)
		ranges[i] = ranges[0];
	pkt.nranges = HVK_NVSP_RANGES;
	ATF_REQUIRE_EQ(HVK_NVSP_RANGES, strlen(taken()));
	/* Longer than any frame may be. */
	frame(0, 4001, 1, 0);
	frame(4800, 100, 1, 0);
	ATF_REQUIRE_STREQ("xf", taken());
	/* Control messages are passed on, whatever they are. */
	memset(recv_buffer, 0, 64);
	recv_buffer[0] = HVK_RNDIS_INDICATE;
	ranges[0].offset = 0;
	ranges[0].len = 24;
	pkt.nranges = 1;
	ATF_REQUIRE_STREQ("c", taken());
	/* One message of another length than its range. */
	frame(0, 60, 1, 0);
	ranges[0].len += 500;
	ATF_REQUIRE_STREQ("f", taken());
	frame(0, 60, 1, 0);
	ranges[0].len -= 1;
	ATF_REQUIRE_STREQ("x", taken());
}

#define	SUB	HVK_PACKET_ID_SUB
#define	FIRSTF	(SUB | HVK_PACKET_ID_FIRST)
#define	LASTF	(SUB | HVK_PACKET_ID_LAST)

ATF_TC(rx_sequences);
ATF_TC_HEAD(rx_sequences, tc)
{
	atf_tc_set_md_var(tc, "descr", "coalesced frames: whole ones arrive "
	    "whole; without begin or end, too many, too long they do not");
	atf_tc_set_md_var(tc, "X-feature", "net.offload");
}
ATF_TC_BODY(rx_sequences, tc)
{
	struct hvk_netvsc_frame f;
	uint32_t i;

	rx_make();
	frame(0, 100, 1, FIRSTF);
	frame(1000, 200, 2, SUB);
	frame(2000, 300, 3, LASTF);
	ATF_REQUIRE_EQ(HVK_OK, begin());
	ATF_REQUIRE_EQ(HVK_OK, hvk_netvsc_rx_next(&rx, &f));
	ATF_REQUIRE_EQ(600, f.len);
	ATF_REQUIRE_EQ(3, f.nfrags);
	ATF_REQUIRE_EQ(1, f.meta.hash);
	ATF_REQUIRE_EQ(2, f.frag[1].data[199]);
	ATF_REQUIRE_EQ(300, f.frag[2].len);
	ATF_REQUIRE_EQ(HVK_AGAIN, hvk_netvsc_rx_next(&rx, &f));
	ATF_REQUIRE_EQ(1, rx.coalesced);
	pkt.nranges = 0;

	frame(0, 100, 1, FIRSTF | HVK_PACKET_ID_LAST);	/* one of one */
	ATF_REQUIRE_STREQ("f", taken());
	frame(0, 100, 1, SUB);			/* no begin */
	frame(1000, 100, 1, LASTF);
	ATF_REQUIRE_STREQ("xx", taken());
	ATF_REQUIRE_EQ(2, rx.broken);
	frame(0, 100, 1, FIRSTF);		/* no end in this packet */
	ATF_REQUIRE_STREQ("", taken());
	ATF_REQUIRE_EQ(3, rx.broken);
	frame(0, 100, 1, LASTF);		/* it is not in the next */
	ATF_REQUIRE_STREQ("x", taken());
	frame(0, 100, 1, FIRSTF);		/* begun twice */
	frame(1000, 100, 1, FIRSTF);
	frame(2000, 100, 1, LASTF);
	ATF_REQUIRE_STREQ("f", taken());
	frame(0, 100, 1, FIRSTF);		/* interrupted */
	frame(1000, 100, 1, 0);
	frame(2000, 100, 1, LASTF);
	ATF_REQUIRE_STREQ("fx", taken());
	frame(0, 3900, 1, FIRSTF);		/* 4,000 together, then more */
	frame(4096, 100, 1, LASTF);
	ATF_REQUIRE_STREQ("f", taken());
	frame(0, 3900, 1, FIRSTF);
	frame(4096, 101, 1, LASTF);
	ATF_REQUIRE_STREQ("x", taken());
	frame(0, 100, 1, FIRSTF);		/* more pieces than there may be */
	for (i = 1; i < FRAGS; i++)
		frame(200 * i, 100, 1, SUB);
	frame(200 * FRAGS, 100, 1, LASTF);
	ATF_REQUIRE_STREQ("x", taken());
	/* What is not of a sequence may have an id. */
	frame(0, 100, 1, HVK_PACKET_ID_FIRST);
	ATF_REQUIRE_STREQ("f", taken());
}

ATF_TC(acks);
ATF_TC_HEAD(acks, tc)
{
	atf_tc_set_md_var(tc, "descr", "acknowledgements wait in order and are "
	    "not lost when there is no more room");
}
ATF_TC_BODY(acks, tc)
{
	struct hvk_netvsc_acks a;
	uint64_t id[8], next = 0, put = 0;
	uint32_t i;

	ATF_REQUIRE_EQ(HVK_RANGE, hvk_netvsc_acks_init(&a, id, 0));
	ATF_REQUIRE_EQ(HVK_RANGE, hvk_netvsc_acks_init(&a, id, 6));
	ATF_REQUIRE_EQ(HVK_OK, hvk_netvsc_acks_init(&a, id, 8));
	a.head = a.tail = 0xfffffffc;	/* round the corner */
	for (i = 0; i < 100; i++) {
		while (hvk_netvsc_acks_put(&a, put) == HVK_OK)
			put++;
		ATF_REQUIRE(hvk_netvsc_acks_full(&a));
		ATF_REQUIRE_EQ(next + 8, put);
		while (!hvk_netvsc_acks_empty(&a)) {
			ATF_REQUIRE_EQ(next, hvk_netvsc_acks_first(&a));
			hvk_netvsc_acks_drop(&a);
			next++;
		}
	}
	ATF_REQUIRE_EQ(HVK_NVSP_RNDIS_DONE, hvk_netvsc_ack.type);
	ATF_REQUIRE_EQ(HVK_NVSP_STATUS_OK, hvk_netvsc_ack.status);
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, tx_config_bad);
	ATF_TP_ADD_TC(tp, aggregate);
	ATF_TP_ADD_TC(tp, sections);
	ATF_TP_ADD_TC(tp, tx_hostile);
	ATF_TP_ADD_TC(tp, rx_packets);
	ATF_TP_ADD_TC(tp, rx_ranges);
	ATF_TP_ADD_TC(tp, rx_sequences);
	ATF_TP_ADD_TC(tp, acks);
	return (atf_no_error());
}
