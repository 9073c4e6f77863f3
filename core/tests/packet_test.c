/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 */

/*
 * Packets with ranges: bytes, round trips at every place of the wrap, and
 * counts, offsets and page lists that contradict each other.
 */

#include "ring_pair.h"

static uint64_t buf[4096];

ATF_TC(golden);
ATF_TC_HEAD(golden, tc)
{
	atf_tc_set_md_var(tc, "descr", "packets with ranges lie in the ring "
	    "byte for byte as documented");
}
ATF_TC_BODY(golden, tc)
{
	static const uint8_t gpa[] = {
		9, 0, 6, 0, 7, 0, 1, 0, 0x2a, 0, 0, 0, 0, 0, 0, 0,
		0, 0, 0, 0, 1, 0, 0, 0, 0, 0x10, 0, 0, 0x80, 0, 0, 0,
		0x34, 0x12, 0, 0, 0, 0, 0, 0, 0x35, 0x12, 0, 0, 0, 0, 0, 0,
		'v', 's', 't', 0, 0, 0, 0, 0,
		0, 0, 0, 0, 0, 0, 0, 0 };
	static const uint8_t xfer[] = {
		7, 0, 5, 0, 6, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0,
		0xfe, 0xca, 0, 0, 2, 0, 0, 0, 0x40, 0, 0, 0, 0, 0, 0, 0,
		0x20, 0, 0, 0, 0, 1, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8,
		0, 0, 0, 0, 0x40, 0, 0, 0 };
	static const uint64_t pfns[] = { 0x1234, 0x1235 };
	static const struct hvk_gpa_range range = { 4096, 128, pfns, 2 };
	static const struct hvk_xfer_range ranges[] = { { 64, 0 },
	    { 32, 256 } };
	struct pair p;

	pair_open(&p, 4096);
	ATF_CHECK_EQ(HVK_OK, hvk_tx_gpa_direct(&p.tx, 42, true, &range, 1,
	    "vst", 3));
	ATF_CHECK_EQ(HVK_OK, hvk_tx_xfer_pages(&p.tx, 7, false, 0xcafe, ranges,
	    2, "\1\2\3\4\5\6\7\10", 8));
	ATF_CHECK(memcmp(p.data, gpa, sizeof(gpa)) == 0);
	ATF_CHECK(memcmp(p.data + sizeof(gpa), xfer, sizeof(xfer)) == 0);
	pair_close(&p);
}

ATF_TC(round_trip);
ATF_TC_HEAD(round_trip, tc)
{
	atf_tc_set_md_var(tc, "descr", "several ranges of several pages, page "
	    "buffers and transfer pages survive at every offset of the wrap");
}
ATF_TC_BODY(round_trip, tc)
{
	static const uint64_t pfns[] = { 1, 2, 3, ~0ull, 5, 6 };
	static const struct hvk_gpa_range gpa[] = {
	    { 4097, 4095, pfns, 2 }, { 0, 0, pfns, 0 }, { 1, 0, pfns + 2, 1 },
	    { 3 * 4096, 0, pfns + 3, 3 } };
	static const struct hvk_page_buf pages[] = { { 4096, 0, 9 },
	    { 1, 4095, 10 } };
	static const struct hvk_xfer_range xfer[] = { { 1, 2 }, { 3, 4 },
	    { 5, 6 } };
	struct hvk_gpa_view view;
	struct hvk_packet packet;
	struct hvk_xfer_range range;
	struct pair p;
	uint32_t at, cursor, i, j;

	pair_open(&p, 4096);
	for (at = 4096 - 400; at < 4096; at += 8) {
		pair_seek(&p, at);
		ATF_REQUIRE_EQ(HVK_OK, hvk_tx_gpa_direct(&p.tx, 1, true, gpa,
		    4, "payload", 7));
		ATF_REQUIRE_EQ(HVK_OK, hvk_tx_page_bufs(&p.tx, 2, false, pages,
		    2, NULL, 0));
		ATF_REQUIRE_EQ(HVK_OK, hvk_tx_xfer_pages(&p.tx, 3, true, 77,
		    xfer, 3, "p", 1));
		ATF_REQUIRE_EQ(HVK_OK, hvk_tx_inband(&p.tx, 4, false, "q", 1));
		hvk_ring_tx_publish(&p.tx);

		ATF_REQUIRE_EQ(HVK_OK, hvk_ring_rx_next(&p.rx, buf,
		    sizeof(buf), &packet));
		ATF_REQUIRE_EQ(4, packet.nranges);
		ATF_REQUIRE(packet.want_completion);
		ATF_REQUIRE(memcmp(packet.payload, "payload", 8) == 0);
		cursor = 0;
		for (i = 0; i < 4; i++) {
			ATF_REQUIRE_EQ(HVK_OK, hvk_packet_gpa_next(&packet,
			    &cursor, &view));
			ATF_REQUIRE_EQ(gpa[i].len, view.len);
			ATF_REQUIRE_EQ(gpa[i].offset, view.offset);
			ATF_REQUIRE_EQ(gpa[i].npfn, view.npfn);
			for (j = 0; j < view.npfn; j++)
				ATF_REQUIRE_EQ(gpa[i].pfn[j],
				    hvk_gpa_view_pfn(&view, j));
		}
		ATF_REQUIRE_EQ(HVK_AGAIN, hvk_packet_gpa_next(&packet, &cursor,
		    &view));
		ATF_REQUIRE_EQ(HVK_REJECT, hvk_packet_xfer_next(&packet,
		    &cursor, &range));

		ATF_REQUIRE_EQ(HVK_OK, hvk_ring_rx_next(&p.rx, buf,
		    sizeof(buf), &packet));
		ATF_REQUIRE_EQ(0, packet.len);
		cursor = 0;
		for (i = 0; i < 2; i++) {
			ATF_REQUIRE_EQ(HVK_OK, hvk_packet_gpa_next(&packet,
			    &cursor, &view));
			ATF_REQUIRE_EQ(1, view.npfn);
			ATF_REQUIRE_EQ(pages[i].pfn, hvk_gpa_view_pfn(&view,
			    0));
		}

		ATF_REQUIRE_EQ(HVK_OK, hvk_ring_rx_next(&p.rx, buf,
		    sizeof(buf), &packet));
		ATF_REQUIRE_EQ(77, packet.pageset);
		cursor = 0;
		for (i = 0; i < 3; i++) {
			ATF_REQUIRE_EQ(HVK_OK, hvk_packet_xfer_next(&packet,
			    &cursor, &range));
			ATF_REQUIRE_EQ(xfer[i].len, range.len);
			ATF_REQUIRE_EQ(xfer[i].offset, range.offset);
		}
		ATF_REQUIRE_EQ(HVK_AGAIN, hvk_packet_xfer_next(&packet,
		    &cursor, &range));
		ATF_REQUIRE_EQ(HVK_REJECT, hvk_packet_gpa_next(&packet,
		    &cursor, &view));

		ATF_REQUIRE_EQ(HVK_OK, hvk_ring_rx_next(&p.rx, buf,
		    sizeof(buf), &packet));
		ATF_REQUIRE_EQ(4, packet.txid);
		ATF_REQUIRE_EQ(0, packet.nranges);
	}
	pair_close(&p);
}

ATF_TC(arguments);
ATF_TC_HEAD(arguments, tc)
{
	atf_tc_set_md_var(tc, "descr", "ranges that contradict themselves or "
	    "can never fit are refused and leave the ring as it was");
}
ATF_TC_BODY(arguments, tc)
{
	static uint64_t pfns[600];
	static const struct hvk_gpa_range bad[] = {
	    { 4096, 4096, pfns, 2 }, { 4096, 1, pfns, 1 },
	    { 4096, 0, pfns, 2 }, { UINT32_MAX, 0, pfns, 1 },
	    { UINT32_MAX, 4095, pfns, 0x100001 }, { 600 * 4096, 0, pfns,
	    600 } };
	static const struct hvk_page_buf pages[] = { { 0, 0, 1 },
	    { 4097, 0, 1 }, { 2, 4095, 1 }, { 1, 4096, 1 } };
	struct hvk_page_buf many[33];
	struct hvk_xfer_range one = { 1, 1 };
	struct pair p;
	unsigned int i;

	pair_open(&p, 4096);
	for (i = 0; i < HVK_COUNT(bad); i++)
		ATF_CHECK_EQ(HVK_RANGE, hvk_tx_gpa_direct(&p.tx, 1, true,
		    &bad[i], 1, NULL, 0));
	ATF_CHECK_EQ(HVK_RANGE, hvk_tx_gpa_direct(&p.tx, 1, true, bad, 0,
	    NULL, 0));
	for (i = 0; i < HVK_COUNT(pages); i++)
		ATF_CHECK_EQ(HVK_RANGE, hvk_tx_page_bufs(&p.tx, 1, true,
		    &pages[i], 1, NULL, 0));
	for (i = 0; i < 33; i++)
		many[i] = (struct hvk_page_buf){ 1, 0, i };
	ATF_CHECK_EQ(HVK_RANGE, hvk_tx_page_bufs(&p.tx, 1, true, many, 33,
	    NULL, 0));
	ATF_CHECK_EQ(HVK_RANGE, hvk_tx_page_bufs(&p.tx, 1, true, many, 0,
	    NULL, 0));
	ATF_CHECK_EQ(HVK_RANGE, hvk_tx_xfer_pages(&p.tx, 1, true, 0, &one, 0,
	    NULL, 0));
	ATF_CHECK_EQ(HVK_RANGE, hvk_tx_xfer_pages(&p.tx, 1, true, 0, &one,
	    UINT32_MAX, NULL, 0));
	ATF_CHECK_EQ(HVK_RANGE, hvk_tx_xfer_pages(&p.tx, 1, true, 0, &one, 1,
	    pfns, 4096));
	ATF_CHECK_EQ(0, p.tx.packets);
	ATF_CHECK(!hvk_ring_tx_publish(&p.tx));
	ATF_CHECK_EQ(HVK_OK, hvk_tx_page_bufs(&p.tx, 1, true, many, 32, NULL,
	    0));
	pair_close(&p);
}

/* A raw packet of 64 bytes with these words, offered to the parser. */
static int
raw(struct pair *p, uint16_t type, uint16_t off8, uint32_t count,
    struct hvk_packet *packet)
{
	uint64_t words[9] = { 0 };

	pair_seek(p, 4096 - 32);
	words[0] = type | (uint64_t)off8 << 16 | 8ull << 32;
	words[2] = (uint64_t)count << 32;
	words[3] = 8192;	/* one range of two pages */
	words[4] = 11;
	words[5] = 12;
	memcpy(p->data + 4096 - 32, words, 32);
	memcpy(p->data, words + 4, 40);
	p->hdr->write = 40;
	return (hvk_ring_rx_next(&p->rx, buf, sizeof(buf), packet));
}

ATF_TC(hostile);
ATF_TC_HEAD(hostile, tc)
{
	atf_tc_set_md_var(tc, "descr", "counts and page lists beyond the "
	    "packet are rejected, never followed");
}
ATF_TC_BODY(hostile, tc)
{
	static const uint16_t types[] = { HVK_PKT_XFER_PAGES,
	    HVK_PKT_GPA_DIRECT };
	struct hvk_gpa_view view;
	struct hvk_packet packet;
	struct pair p;
	uint32_t cursor;
	unsigned int i;

	pair_open(&p, 4096);
	for (i = 0; i < 2; i++) {
		ATF_CHECK_EQ(HVK_OK, raw(&p, types[i], 6, 1, &packet));
		ATF_CHECK_EQ(HVK_OK, raw(&p, types[i], 6, 3, &packet));
		ATF_CHECK_EQ(HVK_REJECT, raw(&p, types[i], 6, 4, &packet));
		ATF_CHECK_EQ(HVK_REJECT, raw(&p, types[i], 6, 0, &packet));
		ATF_CHECK_EQ(HVK_REJECT, raw(&p, types[i], 6, 0x20000001,
		    &packet));
		ATF_CHECK_EQ(HVK_REJECT, raw(&p, types[i], 6, UINT32_MAX,
		    &packet));
		ATF_CHECK_EQ(HVK_REJECT, raw(&p, types[i], 2, 1, &packet));
		ATF_CHECK_EQ(HVK_REJECT, raw(&p, types[i], 3, 1, &packet));
		ATF_CHECK_EQ(1, p.rx.rejects);
	}
	ATF_CHECK_EQ(HVK_OK, raw(&p, HVK_PKT_GPA_DIRECT, 6, 1, &packet));
	cursor = 0;
	ATF_CHECK_EQ(HVK_OK, hvk_packet_gpa_next(&packet, &cursor, &view));
	ATF_CHECK_EQ(12, hvk_gpa_view_pfn(&view, 1));
	ATF_CHECK_EQ(HVK_AGAIN, hvk_packet_gpa_next(&packet, &cursor, &view));
	/* The page list runs into the payload: not a page list. */
	ATF_CHECK_EQ(HVK_OK, raw(&p, HVK_PKT_GPA_DIRECT, 5, 1, &packet));
	cursor = 0;
	ATF_CHECK_EQ(HVK_REJECT, hvk_packet_gpa_next(&packet, &cursor,
	    &view));
	/* The second range starts where the list ends. */
	ATF_CHECK_EQ(HVK_OK, raw(&p, HVK_PKT_GPA_DIRECT, 6, 2, &packet));
	cursor = 0;
	ATF_CHECK_EQ(HVK_OK, hvk_packet_gpa_next(&packet, &cursor, &view));
	ATF_CHECK_EQ(HVK_REJECT, hvk_packet_gpa_next(&packet, &cursor,
	    &view));
	/* A type that nobody knows is delivered as it is. */
	ATF_CHECK_EQ(HVK_OK, raw(&p, 999, 6, 4, &packet));
	ATF_CHECK_EQ(999, packet.type);
	ATF_CHECK_EQ(0, packet.nranges);
	pair_close(&p);
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, golden);
	ATF_TP_ADD_TC(tp, round_trip);
	ATF_TP_ADD_TC(tp, arguments);
	ATF_TP_ADD_TC(tp, hostile);
	return (atf_no_error());
}
