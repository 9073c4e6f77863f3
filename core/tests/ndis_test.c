/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * NDIS objects: offloads and RSS in each revision, each field wrong; the
 * Toeplitz hash against the published vectors.
 */

#include <string.h>

#include <atf-c.h>

#include <hvk/ndis.h>

static const uint8_t key[HVK_RSS_KEY] = {
	0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2,
	0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0,
	0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4,
	0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30, 0xf2, 0x0c,
	0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa
};

/* Microsoft's "Verifying the RSS Hash Calculation". */
static const struct vector4 {
	uint8_t		src[4], dst[4];
	uint16_t	sport, dport;
	uint32_t	ip, tcp;
} vectors4[] = {
	{ { 66, 9, 149, 187 }, { 161, 142, 100, 80 }, 2794, 1766,
	    0x323e8fc2, 0x51ccc178 },
	{ { 199, 92, 111, 2 }, { 65, 69, 140, 83 }, 14230, 4739,
	    0xd718262a, 0xc626b0ea },
	{ { 24, 19, 198, 95 }, { 12, 22, 207, 184 }, 12898, 38024,
	    0xd2d0a5de, 0x5c2b394a },
	{ { 38, 27, 205, 30 }, { 209, 142, 163, 6 }, 48228, 2217,
	    0x82989176, 0xafc7327f },
	{ { 153, 39, 163, 191 }, { 202, 188, 127, 2 }, 44251, 1303,
	    0x5d1809c5, 0x10e828a2 }
};
static const struct vector6 {
	uint16_t	src[8], dst[8];
	uint16_t	sport, dport;
	uint32_t	ip, tcp;
} vectors6[] = {
	{ { 0x3ffe, 0x2501, 0x200, 0x1fff, 0, 0, 0, 7 },
	    { 0x3ffe, 0x2501, 0x200, 3, 0, 0, 0, 1 }, 2794, 1766,
	    0x2cc18cd5, 0x40207d3d },
	{ { 0x3ffe, 0x501, 8, 0, 0x260, 0x97ff, 0xfe40, 0xefab },
	    { 0xff02, 0, 0, 0, 0, 0, 0, 1 }, 14230, 4739,
	    0x0f0c461c, 0xdde51bbf },
	{ { 0x3ffe, 0x1900, 0x4545, 3, 0x200, 0xf8ff, 0xfe21, 0x67cf },
	    { 0xfe80, 0, 0, 0, 0x200, 0xf8ff, 0xfe21, 0x67cf }, 44251, 38024,
	    0x4b61e985, 0x02d1feef }
};

static void
be16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static struct hvk_toeplitz table;

static uint32_t
hashed(const uint8_t *frame, uint32_t len, uint32_t types, uint32_t want)
{
	uint32_t hash, type;

	hash = hvk_rss_hash(&table, types, frame, len, &type);
	ATF_REQUIRE_EQ(want, type);
	return (hash);
}

ATF_TC(toeplitz);
ATF_TC_HEAD(toeplitz, tc)
{
	atf_tc_set_md_var(tc, "descr", "the hash of IPv4 and IPv6, with and "
	    "without ports and tags, is the published one");
	atf_tc_set_md_var(tc, "X-feature", "net.vrss");
}
ATF_TC_BODY(toeplitz, tc)
{
	uint8_t f[128];
	uint32_t i, k, tag;

	hvk_toeplitz_init(&table, key);
	for (tag = 0; tag <= 4; tag += 4)
		for (i = 0; i < HVK_COUNT(vectors4); i++) {
			const struct vector4 *v = &vectors4[i];
			uint8_t *ip = f + 14 + tag;

			memset(f, 0, sizeof(f));
			if (tag != 0)
				be16(f + 12, 0x8100);
			be16(ip - 2, 0x0800);
			ip[0] = 0x45;
			ip[9] = 6;
			memcpy(ip + 12, v->src, 4);
			memcpy(ip + 16, v->dst, 4);
			be16(ip + 20, v->sport);
			be16(ip + 22, v->dport);
			ATF_REQUIRE_EQ(v->tcp, hashed(f, 100, 0xff00,
			    HVK_RSS_TCP_IPV4));
			ATF_REQUIRE_EQ(v->ip, hashed(f, 100, HVK_RSS_IPV4,
			    HVK_RSS_IPV4));
			ATF_REQUIRE_EQ(0, hashed(f, 100, HVK_RSS_IPV6, 0));
			ATF_REQUIRE_EQ(v->ip, hashed(f, 14 + tag + 20, 0xff00,
			    HVK_RSS_IPV4));
			ATF_REQUIRE_EQ(0, hashed(f, 14 + tag + 19, 0xff00, 0));
			ip[6] = 0x20;		/* a fragment */
			ATF_REQUIRE_EQ(v->ip, hashed(f, 100, 0xff00,
			    HVK_RSS_IPV4));
			ip[6] = 0x40;		/* must not be one */
			ip[9] = 17;
			ATF_REQUIRE_EQ(v->tcp, hashed(f, 100, 0xff00,
			    HVK_RSS_UDP_IPV4));
			ATF_REQUIRE_EQ(v->ip, hashed(f, 100, HVK_RSS_TYPES,
			    HVK_RSS_IPV4));
		}
	for (i = 0; i < HVK_COUNT(vectors6); i++) {
		const struct vector6 *v = &vectors6[i];

		memset(f, 0, sizeof(f));
		be16(f + 12, 0x86dd);
		f[14] = 0x60;
		f[20] = 6;
		for (k = 0; k < 8; k++) {
			be16(f + 22 + k * 2, v->src[k]);
			be16(f + 38 + k * 2, v->dst[k]);
		}
		be16(f + 54, v->sport);
		be16(f + 56, v->dport);
		ATF_REQUIRE_EQ(v->tcp, hashed(f, 100, 0xff00,
		    HVK_RSS_TCP_IPV6));
		ATF_REQUIRE_EQ(v->ip, hashed(f, 100, HVK_RSS_IPV6,
		    HVK_RSS_IPV6));
		ATF_REQUIRE_EQ(v->ip, hashed(f, 54, 0xff00, HVK_RSS_IPV6));
		ATF_REQUIRE_EQ(0, hashed(f, 53, 0xff00, 0));
	}
	f[12] = 0x12;
	ATF_REQUIRE_EQ(0, hashed(f, 100, 0xff00, 0));
	ATF_REQUIRE_EQ(0, hashed(f, 13, 0xff00, 0));
	/* No more is hashed than the key has bits for. */
	ATF_REQUIRE_EQ(hvk_toeplitz(&table, f, 36), hvk_toeplitz(&table, f,
	    128));
}

ATF_TC(offloads);
ATF_TC_HEAD(offloads, tc)
{
	atf_tc_set_md_var(tc, "descr", "abilities in each revision; the ones "
	    "that lack an option or a sane limit are not believed");
	atf_tc_set_md_var(tc, "X-feature", "net.offload");
}
ATF_TC_BODY(offloads, tc)
{
	static const uint32_t size[] = { 112, 144, 156 };
	struct hvk_net_offload a = { HVK_OFF_ALL, 60000, 2, 50000, 3 }, b;
	struct hvk_ndis_offload w;
	uint32_t can, rev;

	for (rev = 1; rev <= 3; rev++) {
		ATF_REQUIRE_EQ(size[rev - 1], hvk_offload_encode(&a, rev, &w));
		ATF_REQUIRE_EQ(HVK_OK, hvk_offload_decode(&w, size[rev - 1],
		    &b));
		can = rev == 3 ? HVK_OFF_ALL :
		    HVK_OFF_ALL & ~(HVK_OFF_RSC4 | HVK_OFF_RSC6);
		ATF_REQUIRE_EQ(can, b.can);
		ATF_REQUIRE_EQ(60000, b.lso4_max);
		ATF_REQUIRE_EQ(3, b.lso6_min);
		ATF_REQUIRE_EQ(HVK_REJECT, hvk_offload_decode(&w,
		    size[rev - 1] - 1, &b));
	}
	/* Each ability alone. */
	for (can = 1; can <= HVK_OFF_RSC6; can <<= 1) {
		a.can = can;
		(void)hvk_offload_encode(&a, 3, &w);
		ATF_REQUIRE_EQ(HVK_OK, hvk_offload_decode(&w, 156, &b));
		ATF_REQUIRE_EQ(can, b.can);
	}
	a.can = HVK_OFF_ALL;
	(void)hvk_offload_encode(&a, 3, &w);
	w.tx4 &= ~HVK_CSUM_IP_OPTIONS;
	w.tx6 &= ~HVK_CSUM_TCP_OPTIONS;
	w.lso4_max = 1000;
	w.lso6_options = HVK_LSO6_EXTENSIONS;
	ATF_REQUIRE_EQ(HVK_OK, hvk_offload_decode(&w, 156, &b));
	ATF_REQUIRE_EQ(HVK_OFF_ALL & ~(HVK_OFF_TX_IP4 | HVK_OFF_TX_TCP6 |
	    HVK_OFF_LSO4 | HVK_OFF_LSO6), b.can);
	w.lso4_max = 60000;
	w.lso4_min = 0xffffffff;
	ATF_REQUIRE_EQ(HVK_OK, hvk_offload_decode(&w, 156, &b));
	ATF_REQUIRE_EQ(0, b.can & HVK_OFF_LSO4);
	w.header.type = 0x80;
	ATF_REQUIRE_EQ(HVK_REJECT, hvk_offload_decode(&w, 156, &b));
	w.header.type = HVK_NDIS_OFFLOAD;
	w.header.revision = 0;
	ATF_REQUIRE_EQ(HVK_REJECT, hvk_offload_decode(&w, 156, &b));
	w.header.revision = 3;
	w.header.size = 111;
	ATF_REQUIRE_EQ(HVK_REJECT, hvk_offload_decode(&w, 156, &b));
	w.header.size = 0xffff;
	ATF_REQUIRE_EQ(HVK_REJECT, hvk_offload_decode(&w, 156, &b));
	/* A later revision may be longer; the rest is not looked at. */
	w.header.size = 156;
	w.header.revision = 7;
	ATF_REQUIRE_EQ(HVK_OK, hvk_offload_decode(&w, 156, &b));
}

ATF_TC(params);
ATF_TC_HEAD(params, tc)
{
	atf_tc_set_md_var(tc, "descr", "every set of switches in each revision; "
	    "values that mean nothing change nothing");
}
ATF_TC_BODY(params, tc)
{
	static const uint32_t size[] = { 20, 22, 28 };
	struct hvk_ndis_offload_params w;
	uint32_t i, now, on, rev, want;
	uint8_t *byte = (uint8_t *)&w;

	for (on = 0; on <= HVK_OFF_ALL; on += 3)
		for (rev = 1; rev <= 3; rev++) {
			ATF_REQUIRE_EQ(size[rev - 1], hvk_offload_params_encode(
			    HVK_OFF_ALL, on, rev, &w));
			now = ~on & HVK_OFF_ALL;
			want = rev == 3 ? on : (on & 0xfff) | (now & 0x3000);
			ATF_REQUIRE_EQ(HVK_OK, hvk_offload_params_decode(&w,
			    size[rev - 1], &now));
			ATF_REQUIRE_EQ(want, now);
		}
	/* What cannot be is left alone. */
	(void)hvk_offload_params_encode(HVK_OFF_TX_TCP4, 0, 3, &w);
	now = HVK_OFF_ALL;
	ATF_REQUIRE_EQ(HVK_OK, hvk_offload_params_decode(&w, 28, &now));
	ATF_REQUIRE_EQ(HVK_OFF_ALL & ~(HVK_OFF_TX_TCP4 | HVK_OFF_RX_TCP4),
	    now);
	for (i = 0; i < 9; i++) {
		static const uint8_t at[] = { 4, 5, 6, 7, 8, 11, 12, 22, 23 };

		(void)hvk_offload_params_encode(HVK_OFF_ALL, 0, 3, &w);
		byte[at[i]] = 5;
		now = 0x1234;
		ATF_REQUIRE_EQ(HVK_REJECT, hvk_offload_params_decode(&w, 28,
		    &now));
		ATF_REQUIRE_EQ(0x1234, now);
	}
	(void)hvk_offload_params_encode(HVK_OFF_ALL, 0, 3, &w);
	ATF_REQUIRE_EQ(HVK_REJECT, hvk_offload_params_decode(&w, 27, &now));
	ATF_REQUIRE_EQ(HVK_REJECT, hvk_offload_params_decode(&w, 19, &now));
	w.header.type = HVK_NDIS_OFFLOAD;
	ATF_REQUIRE_EQ(HVK_REJECT, hvk_offload_params_decode(&w, 28, &now));
}

ATF_TC(rss_caps);
ATF_TC_HEAD(rss_caps, tc)
{
	atf_tc_set_md_var(tc, "descr", "RSS abilities in both revisions, none "
	    "without queues");
}
ATF_TC_BODY(rss_caps, tc)
{
	struct hvk_net_rss_caps a = { 8, 64, HVK_RSS_TOEPLITZ | HVK_RSS_IPV4 |
	    HVK_RSS_TCP_IPV4 | HVK_RSS_IPV6_EX | HVK_RSS_TCP_IPV6_EX }, b;
	struct hvk_ndis_rss_caps w;

	ATF_REQUIRE_EQ(18, hvk_rss_caps_encode(&a, 2, &w));
	ATF_REQUIRE_EQ(HVK_OK, hvk_rss_caps_decode(&w, 18, &b));
	ATF_REQUIRE(memcmp(&a, &b, sizeof(a)) == 0);
	ATF_REQUIRE_EQ(HVK_REJECT, hvk_rss_caps_decode(&w, 17, &b));
	w.entries = 0;
	ATF_REQUIRE_EQ(HVK_REJECT, hvk_rss_caps_decode(&w, 18, &b));
	w.entries = 0xffff;
	ATF_REQUIRE_EQ(HVK_OK, hvk_rss_caps_decode(&w, 18, &b));
	ATF_REQUIRE_EQ(128, b.entries);
	w.queues = 0;
	ATF_REQUIRE_EQ(HVK_REJECT, hvk_rss_caps_decode(&w, 18, &b));
	w.queues = 0xffffffff;
	ATF_REQUIRE_EQ(HVK_OK, hvk_rss_caps_decode(&w, 18, &b));
	ATF_REQUIRE_EQ(16, hvk_rss_caps_encode(&a, 1, &w));
	ATF_REQUIRE_EQ(HVK_OK, hvk_rss_caps_decode(&w, 16, &b));
	ATF_REQUIRE_EQ(128, b.entries);
	ATF_REQUIRE_EQ(HVK_REJECT, hvk_rss_caps_decode(&w, 15, &b));
	w.header.type = 0;
	ATF_REQUIRE_EQ(HVK_REJECT, hvk_rss_caps_decode(&w, 16, &b));
}

static struct hvk_ndis_rss_params good;

/* Parameters with tables after them: that header, accepted or not. */
static int
rss(const struct hvk_ndis_rss_params *w, uint32_t len, struct hvk_net_rss *out)
{
	struct hvk_net_rss in;
	uint8_t bytes[HVK_RSS_PARAMS_MAX];
	uint32_t i;

	memset(&in, 0, sizeof(in));
	in.enabled = true;
	in.hash = HVK_RSS_TOEPLITZ | HVK_RSS_TCP_IPV4;
	in.entries = 128;
	for (i = 0; i < 128; i++)
		in.table[i] = i % 4;
	memcpy(in.key, key, sizeof(key));
	ATF_REQUIRE_EQ(sizeof(bytes), hvk_rss_params_encode(&in, 0, bytes));
	if (w == NULL)
		memcpy(&good, bytes, sizeof(good));
	else
		memcpy(bytes, w, sizeof(*w));
	memset(out, 0, sizeof(*out));
	return (hvk_rss_params_decode(bytes, len, 4, out));
}

ATF_TC(rss_params);
ATF_TC_HEAD(rss_params, tc)
{
	atf_tc_set_md_var(tc, "descr", "a key or table outside the parameters, "
	    "of another size, or pointing to no channel is refused");
}
ATF_TC_BODY(rss_params, tc)
{
	struct hvk_ndis_rss_params w;
	struct hvk_net_rss out, was;
	uint8_t bytes[HVK_RSS_PARAMS_MAX];

	ATF_REQUIRE_EQ(HVK_OK, rss(NULL, 592, &out));
	ATF_REQUIRE(out.enabled && out.entries == 128);
	ATF_REQUIRE(memcmp(out.key, key, 40) == 0);
	ATF_REQUIRE_EQ(3, out.table[127]);
	/* What this refuses, decode() has not changed at all. */
#define	BAD(field, value) do {						\
	w = good;							\
	w.field = (value);						\
	ATF_REQUIRE_EQ_MSG(HVK_REJECT, rss(&w, 592, &out), #field);	\
	ATF_REQUIRE(out.entries == 0 && !out.enabled && out.hash == 0);	\
} while (0)
	BAD(header.type, 0x88);
	BAD(header.revision, 0);
	BAD(header.size, 27);
	BAD(header.size, 593);
	BAD(hash, HVK_RSS_TCP_IPV4);
	BAD(hash, HVK_RSS_TOEPLITZ);
	BAD(hash, 2 | HVK_RSS_IPV4);
	BAD(table_len, 0);
	BAD(table_len, 510);
	BAD(table_len, 513);
	BAD(table_len, 516);
	BAD(table_len, 0xfffc);
	BAD(table_offset, 0);
	BAD(table_offset, 27);
	BAD(table_offset, 81);
	BAD(table_offset, 592);
	BAD(table_offset, 0xffffffff);
	BAD(table_offset, 0x80000000);
	BAD(table_offset, 40);		/* the key taken for channels */
	BAD(key_len, 0);
	BAD(key_len, 39);
	BAD(key_len, 41);
	BAD(key_offset, 553);
	BAD(key_offset, 0xfffffffc);
	BAD(key_offset, 4);
	w = good;
	ATF_REQUIRE_EQ(HVK_REJECT, rss(&w, 591, &out));
	ATF_REQUIRE_EQ(HVK_REJECT, rss(&w, 27, &out));
	/* Nothing said about what is needed. */
	w.flags = HVK_RSS_TABLE_SAME;
	ATF_REQUIRE_EQ(HVK_REJECT, rss(&w, 592, &out));
	w.flags = HVK_RSS_DISABLE;
	w.table_len = 1;
	ATF_REQUIRE_EQ(HVK_OK, rss(&w, 592, &out));
	ATF_REQUIRE(!out.enabled);

	/* One part at a time. */
	ATF_REQUIRE_EQ(HVK_OK, rss(NULL, 592, &was));
	out = was;
	out.key[0] ^= 1;
	out.hash |= HVK_RSS_IPV4;
	out.table[0] = 2;
	(void)hvk_rss_params_encode(&out, HVK_RSS_TABLE_SAME |
	    HVK_RSS_HASH_SAME, bytes);
	ATF_REQUIRE_EQ(HVK_OK, hvk_rss_params_decode(bytes, 592, 4, &was));
	ATF_REQUIRE_EQ(out.key[0], was.key[0]);
	ATF_REQUIRE_EQ(0, was.table[0]);
	ATF_REQUIRE_EQ(HVK_RSS_TOEPLITZ | HVK_RSS_TCP_IPV4, was.hash);
	(void)hvk_rss_params_encode(&out, HVK_RSS_KEY_SAME |
	    HVK_RSS_HASH_SAME, bytes);
	ATF_REQUIRE_EQ(HVK_OK, hvk_rss_params_decode(bytes, 592, 4, &was));
	ATF_REQUIRE_EQ(2, was.table[0]);
	ATF_REQUIRE_EQ(HVK_REJECT, hvk_rss_params_decode(bytes, 592, 3, &was));
}

ATF_TC(mac);
ATF_TC_HEAD(mac, tc)
{
	atf_tc_set_md_var(tc, "descr", "the parameter that sets a MAC, and "
	    "what is not that");
}
ATF_TC_BODY(mac, tc)
{
	static const uint8_t mac[6] = { 0x02, 0xab, 0x01, 0xff, 0x9c, 0x00 };
	uint8_t bytes[HVK_NDIS_MAC_MAX + 8], out[6];
	struct hvk_ndis_config w;
	uint32_t i;

	ATF_REQUIRE_EQ(72, hvk_ndis_mac_encode(mac, bytes));
	ATF_REQUIRE_EQ('N', bytes[20]);
	ATF_REQUIRE_EQ('0', bytes[48]);
	ATF_REQUIRE_EQ('2', bytes[50]);
	ATF_REQUIRE_EQ(HVK_OK, hvk_ndis_mac_decode(bytes, 72, out));
	ATF_REQUIRE(memcmp(mac, out, 6) == 0);
	for (i = 0; i < 72; i++)
		ATF_REQUIRE_EQ(HVK_REJECT, hvk_ndis_mac_decode(bytes, i, out));
	bytes[52] = 'b';		/* either case */
	ATF_REQUIRE_EQ(HVK_OK, hvk_ndis_mac_decode(bytes, 72, out));
	ATF_REQUIRE_EQ(0xbb, out[1]);
	for (i = 20; i < 72; i++) {
		(void)hvk_ndis_mac_encode(mac, bytes);
		bytes[i] ^= 0x80;
		ATF_REQUIRE_EQ(HVK_REJECT, hvk_ndis_mac_decode(bytes, 72,
		    out));
	}
#define	NOT(field, value) do {						\
	(void)hvk_ndis_mac_encode(mac, bytes);				\
	memcpy(&w, bytes, sizeof(w));					\
	w.field = (value);						\
	memcpy(bytes, &w, sizeof(w));					\
	ATF_REQUIRE_EQ(HVK_REJECT, hvk_ndis_mac_decode(bytes, 72, out));	\
} while (0)
	NOT(type, 0);
	NOT(name_len, 26);
	NOT(name_offset, 0xffffffff);
	NOT(name_offset, 45);
	NOT(value_len, 22);
	NOT(value_len, 25);
	NOT(value_offset, 49);
	NOT(value_offset, 0xfffffff0);
}

ATF_TC(statistics);
ATF_TC_HEAD(statistics, tc)
{
	atf_tc_set_md_var(tc, "descr", "an adapter's counters: each alone, "
	    "and each length and header that is wrong");
}
ATF_TC_BODY(statistics, tc)
{
	struct hvk_net_statistics a, b;
	struct hvk_ndis_statistics w;
	uint32_t i, valid, seen = 0;

	for (i = 0; i < HVK_NSTATS; i++) {
		memset(&a, 0, sizeof(a));
		a.has = 1u << i;
		a.n[i] = 0x0102030405060708ull + i;
		ATF_REQUIRE_EQ(HVK_NDIS_STATISTICS,
		    hvk_net_statistics_encode(&a, &w));
		ATF_REQUIRE_EQ(0x80, w.header.type);
		ATF_REQUIRE_EQ(1, w.header.revision);
		ATF_REQUIRE_EQ(152, w.header.size);
		/* A bit of its own. */
		valid = w.valid;
		ATF_REQUIRE(valid != 0 && (valid & (valid - 1)) == 0);
		ATF_REQUIRE((seen & valid) == 0);
		seen |= valid;
		ATF_REQUIRE_EQ(HVK_OK, hvk_net_statistics_decode(&w,
		    sizeof(w), &b));
		ATF_REQUIRE(memcmp(&a, &b, sizeof(a)) == 0);
		ATF_REQUIRE(hvk_net_stat_name(i)[1] == 'x');
		/* What the other side does not vouch for is not there. */
		w.valid = 0;
		ATF_REQUIRE_EQ(HVK_OK, hvk_net_statistics_decode(&w,
		    sizeof(w), &b));
		ATF_REQUIRE(b.has == 0 && b.n[i] == 0);
	}
	ATF_REQUIRE_EQ(0x87ff, seen);
	/* As in the documentation: octets out are the eighth word of 64 bits. */
	memset(&w, 0, sizeof(w));
	a.has = 1u << HVK_STAT_TX_BYTES;
	a.n[HVK_STAT_TX_BYTES] = 5;
	hvk_net_statistics_encode(&a, &w);
	ATF_REQUIRE_EQ(5, ((uint64_t *)(void *)&w)[7]);

	for (i = 0; i < sizeof(w); i++)
		ATF_REQUIRE_EQ(HVK_REJECT, hvk_net_statistics_decode(&w, i,
		    &b));
	w.header.size = sizeof(w) + 1;
	ATF_REQUIRE_EQ(HVK_REJECT, hvk_net_statistics_decode(&w, sizeof(w),
	    &b));
	w.header.size = sizeof(w) - 1;
	ATF_REQUIRE_EQ(HVK_REJECT, hvk_net_statistics_decode(&w, sizeof(w),
	    &b));
	w.header.size = sizeof(w);
	w.header.type = HVK_NDIS_OFFLOAD;
	ATF_REQUIRE_EQ(HVK_REJECT, hvk_net_statistics_decode(&w, sizeof(w),
	    &b));
	w.header.type = HVK_NDIS_DEFAULT;
	w.header.revision = 0;
	ATF_REQUIRE_EQ(HVK_REJECT, hvk_net_statistics_decode(&w, sizeof(w),
	    &b));
	ATF_REQUIRE(strcmp(hvk_net_stat_name(HVK_NSTATS), "?") == 0);
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, toeplitz);
	ATF_TP_ADD_TC(tp, offloads);
	ATF_TP_ADD_TC(tp, params);
	ATF_TP_ADD_TC(tp, rss_caps);
	ATF_TP_ADD_TC(tp, rss_params);
	ATF_TP_ADD_TC(tp, mac);
	ATF_TP_ADD_TC(tp, statistics);
	return (atf_no_error());
}
