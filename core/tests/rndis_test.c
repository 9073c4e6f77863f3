/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * RNDIS packet messages: what is written reads back the same, cut anywhere;
 * each field wrong in each way is refused; memory in pieces; what a guest may
 * ask of a frame.
 */

#include <stdlib.h>
#include <string.h>

#include <atf-c.h>

#include <hvk/rndis.h>

#define	FRAME	100u

static uint32_t words[256];
static uint8_t *const bytes = (uint8_t *)words;

/* A message of FRAME bytes with that information; its length. */
static uint32_t
build(const struct hvk_net_meta *meta, uint32_t align)
{
	uint32_t header, i;

	memset(words, 0xee, sizeof(words));
	header = hvk_rndis_encode(bytes, meta, FRAME, align);
	for (i = 0; i < FRAME; i++)
		bytes[header + i] = (uint8_t)i;
	return (hvk_rndis_message_len(meta, FRAME, align));
}

static int
parse(uint32_t len, struct hvk_rndis_frame *f)
{
	struct hvk_net_seg seg;
	uint8_t *copy = malloc(len != 0 ? len : 1);
	int error;

	/* Memory of its own: a read outside is seen by the sanitizer. */
	ATF_REQUIRE(copy != NULL);
	memcpy(copy, bytes, len);
	seg.base = copy;
	seg.len = len;
	error = hvk_rndis_parse(&seg, 1, 0, len, f);
	free(copy);
	return (error);
}

ATF_TC(round_trip);
ATF_TC_HEAD(round_trip, tc)
{
	atf_tc_set_md_var(tc, "descr", "every mix of information survives, in "
	    "one piece and cut in two at every byte");
}
ATF_TC_BODY(round_trip, tc)
{
	struct hvk_rndis_frame f;
	struct hvk_net_meta m;
	struct hvk_net_seg seg[3];
	uint8_t frame[FRAME];
	uint32_t at, has, i, len;

	for (has = 0; has <= HVK_NET_ALL; has++) {
		memset(&m, 0, sizeof(m));
		m.has = has;
		m.csum = 0x12345678;
		m.lso = 0xfedcba98;
		m.hash = 0x01020304;
		m.hash_info = HVK_NET_ALL;
		m.vlan = 0xb5a7;
		m.packet_id = 0x4321;
		m.packet_flags = 7;
		len = build(&m, 8);
		ATF_REQUIRE_EQ(0, len % 8);
		for (at = 0; at <= len; at++) {
			seg[0].base = bytes;
			seg[0].len = at;
			seg[1].base = NULL;
			seg[1].len = 0;
			seg[2].base = bytes + at;
			seg[2].len = len - at;
			ATF_REQUIRE_EQ(HVK_OK, hvk_rndis_parse(seg, 3, 0, len,
			    &f));
			ATF_REQUIRE_EQ(has, f.meta.has);
			ATF_REQUIRE_EQ(FRAME, f.len);
			ATF_REQUIRE_EQ(len, f.message_len);
			ATF_REQUIRE(!(has & HVK_NET_CSUM) ||
			    f.meta.csum == m.csum);
			ATF_REQUIRE(!(has & HVK_NET_LSO) ||
			    f.meta.lso == m.lso);
			ATF_REQUIRE(!(has & HVK_NET_VLAN) ||
			    f.meta.vlan == m.vlan);
			ATF_REQUIRE(!(has & HVK_NET_HASH) ||
			    f.meta.hash == m.hash);
			ATF_REQUIRE(!(has & HVK_NET_HASH_INFO) ||
			    f.meta.hash_info == m.hash_info);
			ATF_REQUIRE(!(has & HVK_NET_PACKET_ID) ||
			    (f.meta.packet_id == m.packet_id &&
			    f.meta.packet_flags == m.packet_flags));
			ATF_REQUIRE(hvk_net_gather(seg, 3, f.offset, frame,
			    FRAME));
			for (i = 0; i < FRAME; i++)
				ATF_REQUIRE_EQ(i, frame[i]);
		}
		/* One byte short is refused, whatever the last is. */
		for (i = 0; i < len; i++)
			ATF_REQUIRE_EQ(HVK_REJECT, parse(i, &f));
	}
}

ATF_TC(vlan_bits);
ATF_TC_HEAD(vlan_bits, tc)
{
	atf_tc_set_md_var(tc, "descr", "the tag's parts are where NDIS has "
	    "them: priority 2:0, CFI 3, id 15:4");
}
ATF_TC_BODY(vlan_bits, tc)
{
	struct hvk_net_meta m = { .has = HVK_NET_VLAN };
	struct hvk_rndis_frame f;
	uint32_t tag;

	for (tag = 0; tag <= 0xffff; tag++) {
		m.vlan = (uint16_t)tag;
		(void)build(&m, 4);
		ATF_REQUIRE_EQ(16, words[11]);
		ATF_REQUIRE_EQ(HVK_PPI_8021Q, words[12]);
		ATF_REQUIRE_EQ(12, words[13]);
		ATF_REQUIRE_EQ(tag >> 13 | (tag >> 12 & 1) << 3 |
		    (tag & 0xfff) << 4, words[14]);
		ATF_REQUIRE_EQ(HVK_OK, parse(160, &f));
		ATF_REQUIRE_EQ(tag, f.meta.vlan);
	}
}

/* One 32-bit word of a good message replaced. */
static int
spoilt(uint32_t word, uint32_t value)
{
	struct hvk_net_meta m = { .has = HVK_NET_CSUM | HVK_NET_HASH };
	struct hvk_rndis_frame f;
	uint32_t len = build(&m, 4);

	ATF_REQUIRE_EQ(HVK_OK, parse(len, &f));
	words[word] = value;
	return (parse(len, &f));
}

ATF_TC(header_hostile);
ATF_TC_HEAD(header_hostile, tc)
{
	atf_tc_set_md_var(tc, "descr", "types, lengths and offsets that are not "
	    "inside the message are refused");
}
ATF_TC_BODY(header_hostile, tc)
{
	static const uint32_t far[] = { 0x7fffffff, 0x80000000, 0xfffffff0,
	    0xffffffff, 177, 178 };
	uint32_t i;

	/* The message: 44 + 32 + 100 = 176. */
	ATF_REQUIRE_EQ(HVK_OK, spoilt(1, 176));
	ATF_REQUIRE_EQ(HVK_REJECT, spoilt(0, 2));
	ATF_REQUIRE_EQ(HVK_REJECT, spoilt(0, 0));
	for (i = 0; i < HVK_COUNT(far); i++) {
		ATF_REQUIRE_EQ(HVK_REJECT, spoilt(1, far[i]));
		ATF_REQUIRE_EQ(HVK_REJECT, spoilt(2, far[i]));
		ATF_REQUIRE_EQ(HVK_REJECT, spoilt(3, far[i]));
		ATF_REQUIRE_EQ(HVK_REJECT, spoilt(5, far[i]));	/* oob */
		ATF_REQUIRE_EQ(HVK_REJECT, spoilt(7, far[i]));
		ATF_REQUIRE_EQ(HVK_REJECT, spoilt(8, far[i]));
	}
	ATF_REQUIRE_EQ(HVK_REJECT, spoilt(1, 175));	/* data past it */
	ATF_REQUIRE_EQ(HVK_REJECT, spoilt(1, 43));
	ATF_REQUIRE_EQ(HVK_REJECT, spoilt(1, 0));
	ATF_REQUIRE_EQ(HVK_REJECT, spoilt(2, 35));	/* in the header */
	ATF_REQUIRE_EQ(HVK_REJECT, spoilt(2, 0));
	ATF_REQUIRE_EQ(HVK_REJECT, spoilt(2, 69));
	ATF_REQUIRE_EQ(HVK_REJECT, spoilt(2, 67));	/* over the PPIs */
	ATF_REQUIRE_EQ(HVK_REJECT, spoilt(3, 0));
	ATF_REQUIRE_EQ(HVK_REJECT, spoilt(3, 101));
	ATF_REQUIRE_EQ(HVK_REJECT, spoilt(7, 35));
	ATF_REQUIRE_EQ(HVK_REJECT, spoilt(7, 37));	/* over the data */
	ATF_REQUIRE_EQ(HVK_REJECT, spoilt(8, 33));
	ATF_REQUIRE_EQ(HVK_OK, spoilt(8, 0));		/* none: no offset */
	ATF_REQUIRE_EQ(HVK_REJECT, spoilt(8, 15));	/* half a record */
}

ATF_TC(ppi_hostile);
ATF_TC_HEAD(ppi_hostile, tc)
{
	atf_tc_set_md_var(tc, "descr", "per-packet information of size 0, past "
	    "its area, or with data outside itself ends the walk");
}
ATF_TC_BODY(ppi_hostile, tc)
{
	struct hvk_net_meta m = { .has = 0 };
	struct hvk_rndis_frame f;
	uint32_t i, len;

	/* Words 11 to 14 and 15 to 18 are the two records. */
	for (i = 0; i < 12; i++)
		ATF_REQUIRE_EQ(HVK_REJECT, spoilt(11, i));
	for (i = 13; i < 16; i++)	/* data of less than a word */
		ATF_REQUIRE_EQ(HVK_REJECT, spoilt(11, i));
	ATF_REQUIRE_EQ(HVK_REJECT, spoilt(11, 33));
	ATF_REQUIRE_EQ(HVK_REJECT, spoilt(11, 0xffffffff));
	ATF_REQUIRE_EQ(HVK_REJECT, spoilt(11, 0x80000010));
	ATF_REQUIRE_EQ(HVK_OK, spoilt(11, 32));		/* one long one */
	ATF_REQUIRE_EQ(HVK_REJECT, spoilt(15, 0));
	ATF_REQUIRE_EQ(HVK_REJECT, spoilt(15, 20));
	for (i = 0; i < 12; i++)
		ATF_REQUIRE_EQ(HVK_REJECT, spoilt(13, i));
	ATF_REQUIRE_EQ(HVK_REJECT, spoilt(13, 13));
	ATF_REQUIRE_EQ(HVK_REJECT, spoilt(13, 17));
	ATF_REQUIRE_EQ(HVK_REJECT, spoilt(13, 0xffffffff));
	/* What nobody knows is skipped, whatever it holds. */
	ATF_REQUIRE_EQ(HVK_OK, spoilt(12, 77));
	ATF_REQUIRE_EQ(HVK_OK, spoilt(12, HVK_PPI_INTERNAL | 9));

	/* An area larger than anybody needs is not walked at all. */
	len = build(&m, 4);
	words[1] = 1200 + 44;
	words[7] = 36 + FRAME;
	words[8] = HVK_RNDIS_PPI_MAX + 4;
	memset(words + 11 + FRAME / 4, 0, sizeof(words) - 144);
	ATF_REQUIRE_EQ(144, len);
	ATF_REQUIRE_EQ(HVK_REJECT, parse(1020, &f));
}

ATF_TC(walk);
ATF_TC_HEAD(walk, tc)
{
	atf_tc_set_md_var(tc, "descr", "several messages one after the other: "
	    "all found, no more than allowed, and a bad one ends it");
}
ATF_TC_BODY(walk, tc)
{
	struct hvk_net_meta m = { .has = HVK_NET_CSUM };
	uint8_t all[1024];
	struct hvk_net_seg seg = { all, sizeof(all) };
	struct hvk_rndis_frame f;
	struct hvk_rndis_walk w;
	uint32_t i, len = build(&m, 8), n;

	for (n = 1; n <= 6; n++) {
		for (i = 0; i < n; i++)
			memcpy(all + i * len, bytes, len);
		/* Whatever follows that is no header is padding. */
		for (i = 0; i < 8; i++) {
			hvk_rndis_walk_init(&w, &seg, 1, n * len + i, 8);
			for (uint32_t k = 0; k < n; k++) {
				ATF_REQUIRE_EQ(HVK_OK, hvk_rndis_walk_next(&w,
				    &f));
				ATF_REQUIRE_EQ(k * len, f.message);
				ATF_REQUIRE_EQ(k * len + 60, f.offset);
			}
			ATF_REQUIRE_EQ(HVK_AGAIN, hvk_rndis_walk_next(&w, &f));
		}
	}
	hvk_rndis_walk_init(&w, &seg, 1, 6 * len, 5);
	for (i = 0; i < 5; i++)
		ATF_REQUIRE_EQ(HVK_OK, hvk_rndis_walk_next(&w, &f));
	ATF_REQUIRE_EQ(HVK_REJECT, hvk_rndis_walk_next(&w, &f));
	ATF_REQUIRE_EQ(HVK_AGAIN, hvk_rndis_walk_next(&w, &f));
	/* Lengths are past the end, zero, or lead back. */
	for (i = 0; i < 4; i++) {
		static const uint32_t bad[] = { 0, 43, 8000, 0xfffffff8 };

		memcpy(all + len + 4, &bad[i], 4);
		hvk_rndis_walk_init(&w, &seg, 1, 6 * len, 8);
		ATF_REQUIRE_EQ(HVK_OK, hvk_rndis_walk_next(&w, &f));
		ATF_REQUIRE_EQ(HVK_REJECT, hvk_rndis_walk_next(&w, &f));
		ATF_REQUIRE_EQ(HVK_AGAIN, hvk_rndis_walk_next(&w, &f));
	}
	/* More than the memory holds. */
	hvk_rndis_walk_init(&w, &seg, 1, sizeof(all) + 4096, 8);
	memcpy(all + len + 4, &len, 4);
	while (hvk_rndis_walk_next(&w, &f) == HVK_OK)
		ATF_REQUIRE(f.message + f.message_len <= sizeof(all));
}

ATF_TC(pieces);
ATF_TC_HEAD(pieces, tc)
{
	atf_tc_set_md_var(tc, "descr", "gather, scatter and slice over pieces "
	    "of every size, empty ones too");
}
ATF_TC_BODY(pieces, tc)
{
	uint8_t memory[32], copy[32], to[32];
	struct hvk_net_seg out[5], seg[5];
	uint32_t a, b, i, len, n, off, sum;

	for (i = 0; i < 32; i++)
		memory[i] = (uint8_t)(i + 1);
	for (a = 0; a <= 32; a += 3)
		for (b = a; b <= 32; b += 5) {
			seg[0] = (struct hvk_net_seg){ memory, a };
			seg[1] = (struct hvk_net_seg){ memory + a, 0 };
			seg[2] = (struct hvk_net_seg){ memory + a, b - a };
			seg[3] = (struct hvk_net_seg){ memory + b, 32 - b };
			seg[4] = (struct hvk_net_seg){ NULL, 0 };
			ATF_REQUIRE_EQ(32, hvk_net_total(seg, 5));
			for (off = 0; off <= 33; off++)
				for (len = 0; len <= 33; len++) {
					memset(to, 0, sizeof(to));
					if (off + len > 32) {
						ATF_REQUIRE(!hvk_net_gather(seg,
						    5, off, to, len));
						ATF_REQUIRE_EQ(0, to[0]);
						ATF_REQUIRE_EQ(0,
						    hvk_net_slice(seg, 5, off,
						    len, out, 5));
						ATF_REQUIRE(!hvk_net_scatter(
						    seg, 5, off, to, len));
						continue;
					}
					ATF_REQUIRE(hvk_net_gather(seg, 5, off,
					    to, len));
					ATF_REQUIRE(memcmp(to, memory + off,
					    len) == 0);
					memcpy(copy, memory, 32);
					ATF_REQUIRE(hvk_net_scatter(seg, 5,
					    off, to, len));
					ATF_REQUIRE(memcmp(copy, memory, 32) ==
					    0);
					n = hvk_net_slice(seg, 5, off, len,
					    out, 5);
					ATF_REQUIRE_EQ(len != 0, n != 0);
					for (sum = i = 0; i < n; i++) {
						ATF_REQUIRE(out[i].base ==
						    memory + off + sum);
						sum += out[i].len;
					}
					ATF_REQUIRE_EQ(len, sum);
					if (n > 1)
						ATF_REQUIRE_EQ(0,
						    hvk_net_slice(seg, 5, off,
						    len, out, n - 1));
				}
		}
	seg[0].len = seg[1].len = 0xffffffff;
	ATF_REQUIRE_EQ(UINT32_MAX, hvk_net_total(seg, 2));
	ATF_REQUIRE(!hvk_net_gather(seg, 0, 0, to, 1));
}

/* Frames for hvk_net_check(). */
static uint32_t
tcp_frame(uint8_t *p, bool v6, bool vlan)
{
	uint32_t at = 12;

	memset(p, 0, 200);
	if (vlan) {
		p[at] = 0x81;
		at += 4;
	}
	p[at] = v6 ? 0x86 : 0x08;
	p[at + 1] = v6 ? 0xdd : 0x00;
	at += 2;
	if (v6) {
		p[at] = 0x60;
		p[at + 6] = 6;
		at += 40;
	} else {
		p[at] = 0x45;
		p[at + 9] = 6;
		at += 20;
	}
	p[at + 12] = 0x50;
	return (at);
}

static int
lso(uint8_t *p, uint32_t mss, uint32_t off, bool v6, uint32_t len)
{
	struct hvk_net_meta m = { .has = HVK_NET_LSO };
	uint32_t l4;

	m.lso = HVK_LSO_MAKE(mss, off, v6);
	return (hvk_net_check(&m, p, len < 192 ? len : 192, len, 1500, &l4));
}

ATF_TC(check_lso);
ATF_TC_HEAD(check_lso, tc)
{
	atf_tc_set_md_var(tc, "descr", "a large send with a bad MSS or headers "
	    "that are not there is refused");
}
ATF_TC_BODY(check_lso, tc)
{
	struct hvk_net_meta m = { .has = 0 };
	uint8_t p[200];
	uint32_t at, i;

	for (i = 0; i < 4; i++) {
		bool v6 = (i & 1) != 0;

		at = tcp_frame(p, v6, (i & 2) != 0);
		ATF_REQUIRE_EQ(HVK_OK, lso(p, 1400, at, v6, 60000));
		ATF_REQUIRE_EQ(HVK_OK, lso(p, v6 ? 1440 : 1460, at, v6,
		    60000));
		ATF_REQUIRE_EQ(HVK_REJECT, lso(p, v6 ? 1441 : 1461, at, v6,
		    60000));
		ATF_REQUIRE_EQ(HVK_REJECT, lso(p, 0, at, v6, 60000));
		ATF_REQUIRE_EQ(HVK_REJECT, lso(p, 0xfffff, at, v6, 60000));
		ATF_REQUIRE_EQ(HVK_REJECT, lso(p, 1400, at + 1, v6, 60000));
		ATF_REQUIRE_EQ(HVK_REJECT, lso(p, 1400, 0, v6, 60000));
		ATF_REQUIRE_EQ(HVK_REJECT, lso(p, 1400, 1023, v6, 60000));
		ATF_REQUIRE_EQ(HVK_REJECT, lso(p, 1400, at, !v6, 60000));
		ATF_REQUIRE_EQ(HVK_REJECT, lso(p, 1400, at, v6, 70000));
		ATF_REQUIRE_EQ(HVK_REJECT, lso(p, 1400, at, v6, at + 20));
		ATF_REQUIRE_EQ(HVK_OK, lso(p, 1400, at, v6, at + 21));
		ATF_REQUIRE_EQ(HVK_REJECT, lso(p, 1400, at, v6, at + 12));
		ATF_REQUIRE_EQ(HVK_REJECT, lso(p, 1400, at, v6, 20));
		p[at + 12] = 0x40;		/* header of 16 bytes */
		ATF_REQUIRE_EQ(HVK_REJECT, lso(p, 1400, at, v6, 60000));
		p[at + 12] = 0xf0;
		ATF_REQUIRE_EQ(HVK_REJECT, lso(p, 1400, at, v6, at + 50));
		p[at + 12] = 0x50;
		p[v6 ? at - 34 : at - 11] = 17;	/* not TCP */
		ATF_REQUIRE_EQ(HVK_REJECT, lso(p, 1400, at, v6, 60000));
		p[v6 ? at - 34 : at - 11] = 6;
		p[v6 ? at - 40 : at - 20] = 0x12;	/* no IP version */
		ATF_REQUIRE_EQ(HVK_REJECT, lso(p, 1400, at, v6, 60000));
	}
	/* Version 1 of large sends is not offered. */
	at = tcp_frame(p, false, false);
	m.has = HVK_NET_LSO;
	m.lso = 1400 | at << 20;
	ATF_REQUIRE_EQ(HVK_REJECT, hvk_net_check(&m, p, 192, 60000, 1500,
	    NULL));
	/* A fragment has no TCP header that counts. */
	p[21] = 1;
	ATF_REQUIRE_EQ(HVK_REJECT, lso(p, 1400, at, false, 60000));
	/* IPv4 options longer than what is there. */
	at = tcp_frame(p, false, false);
	p[14] = 0x4f;
	ATF_REQUIRE_EQ(HVK_REJECT, lso(p, 1400, 74, false, 60));
	/* IPv6 extension headers are found, a chain without end is not. */
	at = tcp_frame(p, true, false);
	p[20] = 0;			/* hop by hop */
	p[54] = 6;
	p[55] = 0;
	p[62 + 12] = 0x50;
	ATF_REQUIRE_EQ(HVK_OK, lso(p, 1400, 62, true, 60000));
	p[55] = 255;
	ATF_REQUIRE_EQ(HVK_REJECT, lso(p, 1400, 62, true, 60000));
	memset(p + 54, 0, 146);
	ATF_REQUIRE_EQ(HVK_REJECT, lso(p, 1400, 62, true, 60000));
}

ATF_TC(check_frames);
ATF_TC_HEAD(check_frames, tc)
{
	atf_tc_set_md_var(tc, "descr", "frames over the MTU and checksums for "
	    "another protocol are refused");
}
ATF_TC_BODY(check_frames, tc)
{
	struct hvk_net_meta m = { .has = 0 };
	uint8_t p[200];
	uint32_t at, l4;

	at = tcp_frame(p, false, false);
	ATF_REQUIRE_EQ(HVK_OK, hvk_net_check(&m, p, 192, 1514, 1500, &l4));
	ATF_REQUIRE_EQ(0, l4);
	ATF_REQUIRE_EQ(HVK_REJECT, hvk_net_check(&m, p, 192, 1515, 1500, &l4));
	ATF_REQUIRE_EQ(HVK_REJECT, hvk_net_check(&m, p, 13, 13, 1500, &l4));
	ATF_REQUIRE_EQ(HVK_REJECT, hvk_net_check(&m, p, 192, 100, 1500, &l4));
	m.has = HVK_NET_CSUM;
	m.csum = HVK_TXCSUM_MAKE(HVK_TXCSUM_IPV4 | HVK_TXCSUM_TCP |
	    HVK_TXCSUM_IP, at);
	ATF_REQUIRE_EQ(HVK_OK, hvk_net_check(&m, p, 192, 1000, 1500, &l4));
	ATF_REQUIRE_EQ(at, l4);
	m.csum = HVK_TXCSUM_MAKE(HVK_TXCSUM_IPV4 | HVK_TXCSUM_TCP, at + 2);
	ATF_REQUIRE_EQ(HVK_REJECT, hvk_net_check(&m, p, 192, 1000, 1500,
	    &l4));
	m.csum = HVK_TXCSUM_IPV4 | HVK_TXCSUM_UDP;
	ATF_REQUIRE_EQ(HVK_REJECT, hvk_net_check(&m, p, 192, 1000, 1500,
	    &l4));
	m.csum = HVK_TXCSUM_IPV4 | HVK_TXCSUM_UDP | HVK_TXCSUM_TCP;
	ATF_REQUIRE_EQ(HVK_REJECT, hvk_net_check(&m, p, 192, 1000, 1500,
	    &l4));
	m.csum = HVK_TXCSUM_IPV6 | HVK_TXCSUM_TCP;
	ATF_REQUIRE_EQ(HVK_REJECT, hvk_net_check(&m, p, 192, 1000, 1500,
	    &l4));
	m.csum = HVK_TXCSUM_TCP;
	ATF_REQUIRE_EQ(HVK_REJECT, hvk_net_check(&m, p, at + 19, at + 19, 1500,
	    &l4));
	p[23] = 17;
	m.csum = HVK_TXCSUM_UDP;
	ATF_REQUIRE_EQ(HVK_OK, hvk_net_check(&m, p, at + 8, at + 8, 1500,
	    &l4));
	at = tcp_frame(p, true, false);
	m.csum = HVK_TXCSUM_IP;
	ATF_REQUIRE_EQ(HVK_REJECT, hvk_net_check(&m, p, 192, 1000, 1500,
	    &l4));
	m.csum = HVK_TXCSUM_IPV6 | HVK_TXCSUM_TCP;
	ATF_REQUIRE_EQ(HVK_OK, hvk_net_check(&m, p, 192, 1000, 1500, &l4));
	ATF_REQUIRE_EQ(at, l4);
	p[13] = 0;
	ATF_REQUIRE_EQ(HVK_REJECT, hvk_net_check(&m, p, 192, 1000, 1500,
	    &l4));
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, round_trip);
	ATF_TP_ADD_TC(tp, vlan_bits);
	ATF_TP_ADD_TC(tp, header_hostile);
	ATF_TP_ADD_TC(tp, ppi_hostile);
	ATF_TP_ADD_TC(tp, walk);
	ATF_TP_ADD_TC(tp, pieces);
	ATF_TP_ADD_TC(tp, check_lso);
	ATF_TP_ADD_TC(tp, check_frames);
	return (atf_no_error());
}
