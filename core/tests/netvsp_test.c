/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * The network provider against every guest: each message in each phase, what
 * FreeBSD, Linux, OpenBSD and EDK2 do differently, and guests that mean harm.
 */

#include <stdlib.h>
#include <string.h>

#include <atf-c.h>

#include <hvk/host/netvsp.h>

#define	RECV	(1u << 20)
#define	SEND	(256u << 10)

static const struct hvk_netvsp_config config = {
	.mac = { 0x00, 0x15, 0x5d, 0xaa, 0xbb, 0xcc },
	.max_subchannels = 3, .link = true, .vf = true,
	.offload = { HVK_OFF_ALL, 60000, 2, 60000, 2 },
	.hash = HVK_RSS_TOEPLITZ | HVK_RSS_IPV4 | HVK_RSS_TCP_IPV4
};

static struct hvk_netvsp v;
static struct hvk_netvsp_request q;

static struct hvk_packet
packet(uint16_t type, const void *bytes, uint32_t len)
{
	struct hvk_packet pkt;

	memset(&pkt, 0, sizeof(pkt));
	pkt.type = type;
	pkt.want_completion = true;
	pkt.txid = 99;
	pkt.payload = bytes;
	pkt.len = len;
	return (pkt);
}

static void
input(const struct hvk_nvsp_message *m, uint32_t len)
{
	struct hvk_packet pkt = packet(HVK_PKT_INBAND, m, len);

	hvk_netvsp_input(&v, true, &pkt, &q);
	ATF_REQUIRE_EQ(99, q.txid);
	ATF_REQUIRE(q.answer);
}

/* A message of that type with words; what a caller has to do is done. */
static void
say(uint32_t type, uint32_t a, uint32_t b, uint32_t c, uint32_t d)
{
	struct hvk_nvsp_message m;

	memset(&m, 0, sizeof(m));
	m.type = type;
	m.words[0] = a;
	m.words[1] = b;
	m.words[2] = c;
	m.words[3] = d;
	input(&m, sizeof(m));
	switch (q.action) {
	case HVK_NETVSP_MAP_RECV:
		hvk_netvsp_recv_buffer(&v, &q, q.gpadl == 1 ? RECV : 0);
		break;
	case HVK_NETVSP_MAP_SEND:
		hvk_netvsp_send_buffer(&v, &q, q.gpadl == 2 ? SEND : 0);
		break;
	case HVK_NETVSP_ADD_CHANNELS:
		hvk_netvsp_add_channels(&v, &q, q.count);
		break;
	case HVK_NETVSP_REPLY:
		break;
	default:
		hvk_netvsp_answer(&v, &q);
		break;
	}
	ATF_REQUIRE_EQ(HVK_NETVSP_REPLY, q.action);
}

static int
control(const void *bytes, uint32_t len)
{
	struct hvk_net_seg seg[2];
	int error;

	seg[0].base = malloc(len + 1);
	ATF_REQUIRE(seg[0].base != NULL);
	memcpy(seg[0].base, bytes, len);
	seg[0].len = len / 2;
	seg[1].base = seg[0].base + len / 2;
	seg[1].len = len - len / 2;
	error = hvk_netvsp_control(&v, seg, 2);
	free(seg[0].base);
	return (error);
}

/* The answer that is waiting, taken away. */
static const uint32_t *
reply(uint32_t type)
{
	static uint32_t copy[HVK_NETVSP_OUT_LEN / 4];
	const struct hvk_netvsp_out *out;

	out = hvk_netvsp_peek(&v);
	ATF_REQUIRE(out != NULL && out->rndis);
	memcpy(copy, out->bytes, sizeof(copy));
	ATF_REQUIRE_EQ(type, copy[0]);
	ATF_REQUIRE_EQ(out->len, copy[1]);
	hvk_netvsp_pop(&v);
	return (copy);
}

static uint32_t
rndis_init(void)
{
	uint32_t m[6] = { HVK_RNDIS_INIT, 24, 5, 1, 0, 0x4000 };

	if (control(m, sizeof(m)) != HVK_OK)
		return (0xffffffff);
	return (reply(HVK_RNDIS_INIT_DONE)[3]);
}

/* Query or set; the status, and what came with it. */
static const uint8_t *info;
static uint32_t info_len;

static uint32_t
ask(uint32_t type, uint32_t oid, const void *in, uint32_t len)
{
	const uint32_t *r;
	uint8_t m[1024];
	uint32_t w[7] = { type, 28 + len, 7, oid, len, 20, 0 };

	memcpy(m, w, sizeof(w));
	if (len != 0)
		memcpy(m + 28, in, len);
	ATF_REQUIRE_EQ(HVK_OK, control(m, 28 + len));
	r = reply(type | HVK_RNDIS_DONE);
	ATF_REQUIRE_EQ(7, r[2]);
	info = NULL;
	info_len = 0;
	if (type == HVK_RNDIS_QUERY) {
		info_len = r[4];
		ATF_REQUIRE_EQ(24 + r[4], r[1]);
		if (r[4] != 0)
			info = (const uint8_t *)r + 8 + r[5];
	}
	return (r[3]);
}

static void
up(uint32_t version, uint32_t phase)
{
	ATF_REQUIRE_EQ(HVK_OK, hvk_netvsp_init(&v, &config));
	if (phase == HVK_NETVSP_CLOSED)
		return;
	say(HVK_NVSP_INIT, version, version, 0, 0);
	ATF_REQUIRE_EQ(HVK_NVSP_STATUS_OK, q.reply.init_done.status);
	if (phase == HVK_NETVSP_VERSIONED)
		return;
	if (version >= HVK_NVSP_VERSION_2)
		say(HVK_NVSP_NDIS_CONFIG, 1514, 0, 0xac, 0);
	say(HVK_NVSP_NDIS_VERSION, 6,
	    version >= HVK_NVSP_VERSION_5 ? 30 : 1, 0, 0);
	ATF_REQUIRE_EQ(0, q.reply_len);
	if (phase == HVK_NETVSP_NDIS)
		return;
	say(HVK_NVSP_RECV_BUFFER, 1, HVK_NVSP_RECV_ID, 0, 0);
	ATF_REQUIRE_EQ(HVK_NVSP_STATUS_OK, q.reply.recv_done.status);
	say(HVK_NVSP_SEND_BUFFER, 2, 0, 0, 0);
	ATF_REQUIRE_EQ(HVK_NVSP_STATUS_OK, q.reply.send_done.status);
	if (phase == HVK_NETVSP_BUFFERED)
		return;
	ATF_REQUIRE_EQ(0, rndis_init());
	ATF_REQUIRE_EQ(HVK_NETVSP_READY, v.phase);
}

ATF_TC(configs);
ATF_TC_HEAD(configs, tc)
{
	atf_tc_set_md_var(tc, "descr", "configurations that make no sense");
}
ATF_TC_BODY(configs, tc)
{
	struct hvk_netvsp_config c;

#define	BAD(field, value) do {						\
	c = config;							\
	c.field = (value);						\
	ATF_REQUIRE_EQ(HVK_RANGE, hvk_netvsp_init(&v, &c));		\
} while (0)
	BAD(max_version, 0x30003);
	BAD(max_subchannels, HVK_NETVSP_CHANNELS);
	BAD(max_mtu, 1499);
	BAD(max_mtu, HVK_NETVSP_MTU_MAX + 1);
	BAD(section_size, 2047);
	BAD(section_size, 6145);
	BAD(mac[0], 1);
}

ATF_TC(phases);
ATF_TC_HEAD(phases, tc)
{
	atf_tc_set_md_var(tc, "descr", "each message in each phase ends in the "
	    "phase and with the reply that the table says");
}
ATF_TC_BODY(phases, tc)
{
	/* Rows: phases; columns: what the message does there. */
	enum { INIT, NDIS, RECV_B, SEND_B, REVOKE_R, SUBS, RNDIS, NMSGS };
	static const uint8_t after[HVK_NETVSP_NPHASES][NMSGS] = {
		{ 1, 0, 0, 0, 0, 0, 0 }, { 1, 2, 1, 1, 1, 1, 1 },
		{ 2, 2, 3, 2, 2, 2, 2 }, { 3, 3, 3, 3, 2, 3, 4 },
		{ 4, 4, 4, 4, 2, 4, 4 }
	};
	uint32_t msg, ok, phase;

	for (phase = 0; phase < HVK_NETVSP_NPHASES; phase++)
		for (msg = 0; msg < NMSGS; msg++) {
			up(HVK_NVSP_VERSION_61, phase);
			ATF_REQUIRE_EQ(phase, v.phase);
			switch (msg) {
			case INIT:
				say(HVK_NVSP_INIT, 0x60001, 0x60001, 0, 0);
				ATF_REQUIRE_EQ(HVK_NVSP_INIT_DONE,
				    q.reply.type);
				ATF_REQUIRE_EQ(phase == 0 ?
				    HVK_NVSP_STATUS_OK : HVK_NVSP_STATUS_FAIL,
				    q.reply.init_done.status);
				break;
			case NDIS:
				say(HVK_NVSP_NDIS_VERSION, 6, 30, 0, 0);
				break;
			case RECV_B:
				say(HVK_NVSP_RECV_BUFFER, 1, HVK_NVSP_RECV_ID,
				    0, 0);
				ATF_REQUIRE_EQ(HVK_NVSP_RECV_BUFFER_DONE,
				    q.reply.type);
				ATF_REQUIRE_EQ(phase == HVK_NETVSP_NDIS ?
				    HVK_NVSP_STATUS_OK : HVK_NVSP_STATUS_FAIL,
				    q.reply.recv_done.status);
				break;
			case SEND_B:
				say(HVK_NVSP_SEND_BUFFER, 2, 0, 0, 0);
				ATF_REQUIRE_EQ(phase == HVK_NETVSP_NDIS ?
				    HVK_NVSP_STATUS_OK : HVK_NVSP_STATUS_FAIL,
				    q.reply.send_done.status);
				break;
			case REVOKE_R:
				say(HVK_NVSP_RECV_BUFFER_REVOKE,
				    HVK_NVSP_RECV_ID, 0, 0, 0);
				ATF_REQUIRE_EQ(0, v.recv_len);
				break;
			case SUBS:
				say(HVK_NVSP_SUBCHANNEL, 1, 3, 0, 0);
				ATF_REQUIRE_EQ(HVK_NVSP_SUBCHANNEL,
				    q.reply.type);
				ok = phase == HVK_NETVSP_READY;
				ATF_REQUIRE_EQ(ok ? HVK_NVSP_STATUS_OK :
				    HVK_NVSP_STATUS_FAIL,
				    q.reply.subchannel_done.status);
				ATF_REQUIRE_EQ(ok ? 3 : 0, v.subchannels);
				break;
			default:
				ATF_REQUIRE_EQ(phase >= HVK_NETVSP_BUFFERED ?
				    0 : 0xffffffff, rndis_init());
				break;
			}
			ATF_REQUIRE_EQ_MSG(after[phase][msg], v.phase,
			    "phase %u message %u: %u", phase, msg, v.phase);
		}
}

ATF_TC(versions);
ATF_TC_HEAD(versions, tc)
{
	atf_tc_set_md_var(tc, "descr", "one version at a time, a range, none "
	    "that is known; replies as long as the version has them");
}
ATF_TC_BODY(versions, tc)
{
	static const uint32_t all[] = { 0x00002, 0x30002, 0x40000, 0x50000,
	    0x60000, 0x60001 };
	struct hvk_netvsp_config c = config;
	uint32_t i, k;

	for (i = 0; i < 6; i++)
		for (k = 0; k < 6; k++) {
			c.max_version = all[i];
			ATF_REQUIRE_EQ(HVK_OK, hvk_netvsp_init(&v, &c));
			say(HVK_NVSP_INIT, all[k], all[k], 0, 0);
			ATF_REQUIRE_EQ(k <= i ? HVK_NVSP_STATUS_OK :
			    HVK_NVSP_STATUS_TOO_NEW,
			    q.reply.init_done.status);
			ATF_REQUIRE_EQ(k <= i ? all[k] : 0, v.version);
			ATF_REQUIRE_EQ(34, q.reply.init_done.max_mdl);
			ATF_REQUIRE_EQ(k == 0 ? 2 : 0xffffffff,
			    q.reply.init_done.version);
			ATF_REQUIRE_EQ(k <= i && k < 5 ? 28 : 40,
			    q.reply_len);
		}
	ATF_REQUIRE_EQ(HVK_OK, hvk_netvsp_init(&v, &config));
	say(HVK_NVSP_INIT, 0x30003, 0x30003, 0, 0);
	ATF_REQUIRE_EQ(HVK_NVSP_STATUS_UNSUPPORTED,
	    q.reply.init_done.status);
	say(HVK_NVSP_INIT, 0x60001, 0x2, 0, 0);		/* min over max */
	ATF_REQUIRE(q.reply.init_done.status != HVK_NVSP_STATUS_OK);
	say(HVK_NVSP_INIT, 0x2, 0xffffffff, 0, 0);
	ATF_REQUIRE_EQ(HVK_NVSP_STATUS_OK, q.reply.init_done.status);
	ATF_REQUIRE_EQ(0x60001, v.version);
}

ATF_TC(messages_hostile);
ATF_TC_HEAD(messages_hostile, tc)
{
	atf_tc_set_md_var(tc, "descr", "every type and length on any channel: a "
	    "reply or an empty completion, counts and buffers within limits");
}
ATF_TC_BODY(messages_hostile, tc)
{
	static const uint32_t counts[] = { 0, 4, 64, 0xffffffff };
	struct hvk_nvsp_message m;
	struct hvk_packet pkt;
	uint32_t i, len, phase, type;

	for (phase = 0; phase < HVK_NETVSP_NPHASES; phase++)
		for (type = 0; type < 256; type++)
			for (len = 0; len <= 40; len += 8) {
				if (type == HVK_NVSP_INIT && phase == 0 &&
				    len > 8)
					continue;
				up(HVK_NVSP_VERSION_61, phase);
				memset(&m, 0xff, sizeof(m));
				m.type = type;
				pkt = packet(HVK_PKT_INBAND, &m, len);
				hvk_netvsp_input(&v, type % 2 == 0, &pkt, &q);
				if (q.action == HVK_NETVSP_MAP_SEND ||
				    q.action == HVK_NETVSP_MAP_RECV)
					continue;
				hvk_netvsp_answer(&v, &q);
				ATF_REQUIRE(v.phase < HVK_NETVSP_NPHASES);
				/* The same, without a completion wanted. */
				pkt.want_completion = false;
				hvk_netvsp_input(&v, true, &pkt, &q);
				ATF_REQUIRE(q.action != HVK_NETVSP_REPLY);
				/* And described by pages, or as an answer. */
				pkt.type = HVK_PKT_GPA_DIRECT;
				hvk_netvsp_input(&v, true, &pkt, &q);
				ATF_REQUIRE_EQ(HVK_NETVSP_NOTHING, q.action);
				pkt.type = HVK_PKT_COMPLETION;
				hvk_netvsp_input(&v, true, &pkt, &q);
				ATF_REQUIRE_EQ(HVK_NETVSP_NOTHING, q.action);
			}
	for (i = 0; i < HVK_COUNT(counts); i++) {
		up(HVK_NVSP_VERSION_61, HVK_NETVSP_READY);
		say(HVK_NVSP_SUBCHANNEL, 1, counts[i], 0, 0);
		ATF_REQUIRE_EQ(HVK_NVSP_STATUS_FAIL,
		    q.reply.subchannel_done.status);
		say(HVK_NVSP_SUBCHANNEL, 2, 2, 0, 0);	/* no operation */
		ATF_REQUIRE_EQ(HVK_NVSP_STATUS_FAIL,
		    q.reply.subchannel_done.status);
		say(HVK_NVSP_SUBCHANNEL, 1, 2, 0, 0);
		ATF_REQUIRE_EQ(2, q.reply.subchannel_done.count);
		say(HVK_NVSP_SUBCHANNEL, 1, 1, 0, 0);	/* once is enough */
		ATF_REQUIRE_EQ(HVK_NVSP_STATUS_FAIL,
		    q.reply.subchannel_done.status);
		ATF_REQUIRE_EQ(2, v.subchannels);
	}
	up(HVK_NVSP_VERSION_4, HVK_NETVSP_READY);
	say(HVK_NVSP_SUBCHANNEL, 1, 2, 0, 0);
	ATF_REQUIRE_EQ(HVK_NVSP_STATUS_FAIL, q.reply.subchannel_done.status);
	/* Buffers that are not there, or too small to be of use. */
	up(HVK_NVSP_VERSION_61, HVK_NETVSP_NDIS);
	say(HVK_NVSP_RECV_BUFFER, 77, HVK_NVSP_RECV_ID, 0, 0);
	ATF_REQUIRE_EQ(HVK_NVSP_STATUS_FAIL, q.reply.recv_done.status);
	say(HVK_NVSP_RECV_BUFFER, 1, 0xbeef, 0, 0);
	ATF_REQUIRE_EQ(HVK_NVSP_STATUS_FAIL, q.reply.recv_done.status);
	q.action = HVK_NETVSP_MAP_RECV;
	hvk_netvsp_recv_buffer(&v, &q, 4096);
	ATF_REQUIRE_EQ(HVK_NVSP_STATUS_FAIL, q.reply.recv_done.status);
	q.action = HVK_NETVSP_MAP_RECV;
	hvk_netvsp_recv_buffer(&v, &q, 0xffffffff);
	ATF_REQUIRE_EQ(HVK_NVSP_STATUS_FAIL, q.reply.recv_done.status);
	ATF_REQUIRE_EQ(0, v.slots);
	q.action = HVK_NETVSP_MAP_SEND;
	hvk_netvsp_send_buffer(&v, &q, 6143);
	ATF_REQUIRE_EQ(HVK_NVSP_STATUS_FAIL, q.reply.send_done.status);
	/* MTUs are clamped. */
	up(HVK_NVSP_VERSION_61, HVK_NETVSP_VERSIONED);
	say(HVK_NVSP_NDIS_CONFIG, 0, 0, 0, 0);
	ATF_REQUIRE_EQ(68, v.mtu);
	say(HVK_NVSP_NDIS_CONFIG, 0xffffffff, 0, 0, 0);
	ATF_REQUIRE_EQ(HVK_NETVSP_MTU_MAX, v.mtu);
	say(HVK_NVSP_NDIS_CONFIG, 9014, 0, 0, 0);
	ATF_REQUIRE_EQ(9000, v.mtu);
	ATF_REQUIRE_EQ(0, q.reply_len);
	say(HVK_NVSP_NDIS_VERSION, 5, 1, 0, 0);
	ATF_REQUIRE_EQ(HVK_NETVSP_VERSIONED, v.phase);
	/* Data paths. */
	up(HVK_NVSP_VERSION_5, HVK_NETVSP_READY);
	say(HVK_NVSP_DATA_PATH, 2, 0, 0, 0);
	ATF_REQUIRE_EQ(HVK_NVSP_PATH_SYNTHETIC, v.path);
	say(HVK_NVSP_DATA_PATH, 1, 0, 0, 0);
	ATF_REQUIRE_EQ(HVK_NVSP_PATH_VF, v.path);
	ATF_REQUIRE_EQ(0, q.reply_len);
}

static int
send(uint16_t type, uint32_t channel, uint32_t section, uint32_t len,
    bool primary, struct hvk_netvsp_send *s, uint32_t *status)
{
	uint32_t m[10] = { HVK_NVSP_RNDIS, channel, section, len };
	struct hvk_packet pkt = packet(type, m, sizeof(m));

	return (hvk_netvsp_send(&v, primary, &pkt, s, status));
}

ATF_TC(sends);
ATF_TC_HEAD(sends, tc)
{
	atf_tc_set_md_var(tc, "descr", "sections that do not exist, lengths "
	    "beyond them, data too early, control on another channel");
}
ATF_TC_BODY(sends, tc)
{
	struct hvk_netvsp_send s;
	struct hvk_packet pkt;
	uint32_t i, n = SEND / 6144, status, word = HVK_NVSP_RNDIS;

	up(HVK_NVSP_VERSION_61, HVK_NETVSP_BUFFERED);
	ATF_REQUIRE_EQ(HVK_STATE, send(HVK_PKT_INBAND, 0, 0, 60, true, &s,
	    &status));
	ATF_REQUIRE_EQ(HVK_NVSP_STATUS_FAIL, status);
	ATF_REQUIRE_EQ(HVK_OK, send(HVK_PKT_INBAND, 1, 0, 60, true, &s,
	    &status));
	ATF_REQUIRE(s.control);
	up(HVK_NVSP_VERSION_61, HVK_NETVSP_READY);
	ATF_REQUIRE_EQ(n, v.sections);
	for (i = 0; i < n; i++) {
		ATF_REQUIRE_EQ(HVK_OK, send(HVK_PKT_INBAND, 0, i, 6144, false,
		    &s, &status));
		ATF_REQUIRE(s.in_section && !s.control);
		ATF_REQUIRE_EQ(i * 6144, s.offset);
		ATF_REQUIRE_EQ(6144, s.len);
		ATF_REQUIRE(s.offset + s.len <= SEND);
	}
	ATF_REQUIRE_EQ(HVK_REJECT, send(HVK_PKT_INBAND, 0, n, 60, false, &s,
	    &status));
	ATF_REQUIRE_EQ(HVK_NVSP_STATUS_BAD_RNDIS, status);
	ATF_REQUIRE_EQ(HVK_REJECT, send(HVK_PKT_INBAND, 0, 0xfffffffe, 60,
	    false, &s, &status));
	ATF_REQUIRE_EQ(HVK_REJECT, send(HVK_PKT_INBAND, 0, 0x80000000, 60,
	    false, &s, &status));
	ATF_REQUIRE_EQ(HVK_REJECT, send(HVK_PKT_INBAND, 0, 0, 6145, false, &s,
	    &status));
	ATF_REQUIRE_EQ(HVK_REJECT, send(HVK_PKT_INBAND, 0, 0, 0xffffffff,
	    false, &s, &status));
	ATF_REQUIRE_EQ(HVK_REJECT, send(HVK_PKT_INBAND, 0, 0, 0, false, &s,
	    &status));
	ATF_REQUIRE_EQ(HVK_REJECT, send(HVK_PKT_INBAND, 0,
	    HVK_NVSP_NO_SECTION, 0, false, &s, &status));	/* nothing */
	ATF_REQUIRE_EQ(HVK_OK, send(HVK_PKT_GPA_DIRECT, 0,
	    HVK_NVSP_NO_SECTION, 60, false, &s, &status));
	ATF_REQUIRE(!s.in_section && s.len == 0);
	/* Linux: the header in a section, the frame in pages. */
	ATF_REQUIRE_EQ(HVK_OK, send(HVK_PKT_GPA_DIRECT, 0, 1, 60, false, &s,
	    &status));
	ATF_REQUIRE(s.in_section && s.len == 60);
	ATF_REQUIRE_EQ(HVK_REJECT, send(HVK_PKT_INBAND, 1, 0, 60, false, &s,
	    &status));
	ATF_REQUIRE_EQ(HVK_REJECT, send(HVK_PKT_INBAND, 2, 0, 60, true, &s,
	    &status));
	ATF_REQUIRE_EQ(HVK_REJECT, send(HVK_PKT_XFER_PAGES, 0, 0, 60, true,
	    &s, &status));
	pkt = packet(HVK_PKT_INBAND, &word, 8);
	ATF_REQUIRE_EQ(HVK_REJECT, hvk_netvsp_send(&v, true, &pkt, &s,
	    &status));
	ATF_REQUIRE_EQ(HVK_NETVSP_KIND_MESSAGE, hvk_netvsp_kind(&pkt));
	/* After the buffer is gone. */
	say(HVK_NVSP_SEND_BUFFER_REVOKE, 0, 0, 0, 0);
	ATF_REQUIRE_EQ(HVK_REJECT, send(HVK_PKT_INBAND, 0, 0, 60, false, &s,
	    &status));
}

ATF_TC(objects);
ATF_TC_HEAD(objects, tc)
{
	atf_tc_set_md_var(tc, "descr", "every object of the supported list is "
	    "answered, in each version; the rest is refused");
}
ATF_TC_BODY(objects, tc)
{
	static const uint32_t versions[] = { 0x2, 0x40000, 0x50000, 0x60001 };
	static const uint32_t sets_only[] = { HVK_OID_RNDIS_CONFIG,
	    HVK_OID_OFFLOAD_PARAMS, HVK_OID_RSS_PARAMS };
	struct hvk_net_offload o;
	struct hvk_net_statistics s;
	struct hvk_net_rss_caps r;
	uint32_t i, k, list[64], n, word;
	uint64_t big;

	for (i = 0; i < HVK_COUNT(versions); i++) {
		up(versions[i], HVK_NETVSP_READY);
		ATF_REQUIRE_EQ(0, ask(HVK_RNDIS_QUERY, HVK_OID_SUPPORTED_LIST,
		    NULL, 0));
		n = info_len / 4;
		ATF_REQUIRE_EQ(versions[i] >= 0x50000 ? 44 : 42, n);
		memcpy(list, info, info_len);
		for (k = 0; k < n; k++) {
			word = ask(HVK_RNDIS_QUERY, list[k], NULL, 0);
			if (list[k] == sets_only[0] ||
			    list[k] == sets_only[1] || list[k] == sets_only[2])
				ATF_REQUIRE(word != 0);
			else
				ATF_REQUIRE_EQ_MSG(0, word, "%x", list[k]);
			ATF_REQUIRE(word != 0 || info_len != 0 ||
			    list[k] == HVK_OID_8023_MULTICAST);
		}
	}
	ATF_REQUIRE_EQ(0, ask(HVK_RNDIS_QUERY, HVK_OID_8023_PERMANENT, NULL,
	    0));
	ATF_REQUIRE(info_len == 6 && memcmp(info, config.mac, 6) == 0);
	ATF_REQUIRE_EQ(0, ask(HVK_RNDIS_QUERY, HVK_OID_MAX_FRAME_SIZE, NULL,
	    0));
	memcpy(&word, info, 4);
	ATF_REQUIRE_EQ(1500, word);
	ATF_REQUIRE_EQ(0, ask(HVK_RNDIS_QUERY, HVK_OID_MAX_TOTAL_SIZE, NULL,
	    0));
	memcpy(&word, info, 4);
	ATF_REQUIRE_EQ(1514, word);
	v.stats.rx_frames = 0x1234567890ull;
	ATF_REQUIRE_EQ(0, ask(HVK_RNDIS_QUERY, HVK_OID_RCV_OK, NULL, 0));
	ATF_REQUIRE_EQ(4, info_len);
	big = 0;
	ATF_REQUIRE_EQ(0, ask(HVK_RNDIS_QUERY, HVK_OID_RCV_OK, &big, 8));
	ATF_REQUIRE_EQ(8, info_len);
	memcpy(&big, info, 8);
	ATF_REQUIRE_EQ(0x1234567890ull, big);
	v.stats.tx_bytes = 0xfedcba9876543210ull;
	v.stats.rx_no_buffer = 7;
	ATF_REQUIRE_EQ(0, ask(HVK_RNDIS_QUERY, HVK_OID_STATISTICS, NULL, 0));
	ATF_REQUIRE_EQ(HVK_OK, hvk_net_statistics_decode(info, info_len, &s));
	ATF_REQUIRE_EQ(v.stats.tx_bytes, s.n[HVK_STAT_TX_BYTES]);
	ATF_REQUIRE_EQ(7, s.n[HVK_STAT_RX_DISCARDS]);
	ATF_REQUIRE((s.has & 1u << HVK_STAT_RX_UNICAST) == 0);
	ATF_REQUIRE_EQ(0, ask(HVK_RNDIS_QUERY, HVK_OID_FRIENDLY_NAME, NULL,
	    0));
	ATF_REQUIRE_EQ(2, info_len);
	strcpy(v.config.name, "N\303\251t 1");
	ATF_REQUIRE_EQ(0, ask(HVK_RNDIS_QUERY, HVK_OID_FRIENDLY_NAME, NULL,
	    0));
	ATF_REQUIRE(info_len == 12 && memcmp(info, "N\0\351\0t\0 \0001\0\0",
	    12) == 0);
	memset(v.config.name, 'x', sizeof(v.config.name));
	ATF_REQUIRE_EQ(0, ask(HVK_RNDIS_QUERY, HVK_OID_FRIENDLY_NAME, NULL,
	    0));
	ATF_REQUIRE_EQ(2 * sizeof(v.config.name), info_len);
	ATF_REQUIRE(info[info_len - 1] == 0 && info[info_len - 2] == 0);
	/* As Linux and FreeBSD ask: revision and size of the struct. */
	ATF_REQUIRE_EQ(0, ask(HVK_RNDIS_QUERY, HVK_OID_OFFLOAD_CAPS,
	    "\xa7\x02\x90\x00", 4));
	ATF_REQUIRE_EQ(144, info_len);
	ATF_REQUIRE_EQ(0, ask(HVK_RNDIS_QUERY, HVK_OID_OFFLOAD_CAPS,
	    "\xa7\x03\x9c\x00", 4));
	ATF_REQUIRE_EQ(156, info_len);
	ATF_REQUIRE_EQ(HVK_OK, hvk_offload_decode(info, info_len, &o));
	ATF_REQUIRE_EQ(HVK_OFF_ALL, o.can);
	ATF_REQUIRE_EQ(0, ask(HVK_RNDIS_QUERY, HVK_OID_OFFLOAD_CONFIG, NULL,
	    0));
	ATF_REQUIRE_EQ(HVK_OK, hvk_offload_decode(info, info_len, &o));
	ATF_REQUIRE_EQ(0, o.can);
	ATF_REQUIRE_EQ(0, ask(HVK_RNDIS_QUERY, HVK_OID_RSS_CAPS,
	    "\x88\x02\x12\x00", 4));
	ATF_REQUIRE_EQ(HVK_OK, hvk_rss_caps_decode(info, info_len, &r));
	ATF_REQUIRE_EQ(4, r.queues);
	for (word = 0; word < 0x400; word++)
		(void)ask(HVK_RNDIS_QUERY, 0x00010100 + word, NULL, 0);
	ATF_REQUIRE_EQ(HVK_RNDIS_STATUS_UNSUPPORTED, ask(HVK_RNDIS_QUERY, 0,
	    NULL, 0));
	ATF_REQUIRE_EQ(HVK_RNDIS_STATUS_UNSUPPORTED, ask(HVK_RNDIS_SET,
	    HVK_OID_8023_PERMANENT, config.mac, 6));
}

ATF_TC(sets_hostile);
ATF_TC_HEAD(sets_hostile, tc)
{
	atf_tc_set_md_var(tc, "descr", "filters, lists, RSS tables and MACs "
	    "that are too long, too short or point nowhere change nothing");
}
ATF_TC_BODY(sets_hostile, tc)
{
	struct hvk_net_rss rss;
	uint8_t bytes[700];
	uint32_t i, len;

	up(HVK_NVSP_VERSION_61, HVK_NETVSP_READY);
	memset(bytes, 1, sizeof(bytes));
	ATF_REQUIRE(ask(HVK_RNDIS_SET, HVK_OID_PACKET_FILTER, bytes, 3) != 0);
	ATF_REQUIRE(ask(HVK_RNDIS_SET, HVK_OID_PACKET_FILTER, NULL, 0) != 0);
	ATF_REQUIRE_EQ(0, v.filter);
	ATF_REQUIRE(ask(HVK_RNDIS_SET, HVK_OID_8023_MULTICAST, bytes, 7) != 0);
	ATF_REQUIRE(ask(HVK_RNDIS_SET, HVK_OID_8023_MULTICAST, bytes, 65 * 6) !=
	    0);
	ATF_REQUIRE_EQ(0, ask(HVK_RNDIS_SET, HVK_OID_8023_MULTICAST, bytes,
	    64 * 6));
	ATF_REQUIRE_EQ(64, v.nmulticast);
	bytes[12] = 2;				/* no group */
	ATF_REQUIRE(ask(HVK_RNDIS_SET, HVK_OID_8023_MULTICAST, bytes, 18) != 0);
	ATF_REQUIRE_EQ(64, v.nmulticast);
	ATF_REQUIRE_EQ(0, ask(HVK_RNDIS_SET, HVK_OID_8023_MULTICAST, NULL, 0));
	ATF_REQUIRE_EQ(0, v.nmulticast);
	ATF_REQUIRE(ask(HVK_RNDIS_SET, HVK_OID_LOOKAHEAD, bytes, 2) != 0);
	ATF_REQUIRE_EQ(0, ask(HVK_RNDIS_SET, HVK_OID_LOOKAHEAD, bytes, 4));

	/* A table that points to channels nobody has. */
	memset(&rss, 0, sizeof(rss));
	rss.enabled = true;
	rss.hash = HVK_RSS_TOEPLITZ | HVK_RSS_TCP_IPV4 | HVK_RSS_IPV6;
	rss.entries = 16;
	for (i = 0; i < 16; i++)
		rss.table[i] = 3;
	len = hvk_rss_params_encode(&rss, 0, bytes);
	ATF_REQUIRE(ask(HVK_RNDIS_SET, HVK_OID_RSS_PARAMS, bytes, len) != 0);
	ATF_REQUIRE(!v.rss.enabled);
	say(HVK_NVSP_SUBCHANNEL, 1, 3, 0, 0);
	ATF_REQUIRE_EQ(0, ask(HVK_RNDIS_SET, HVK_OID_RSS_PARAMS, bytes, len));
	ATF_REQUIRE(v.rss.enabled);
	ATF_REQUIRE_EQ(HVK_RSS_TOEPLITZ | HVK_RSS_TCP_IPV4, v.rss.hash);
	ATF_REQUIRE_EQ(3, hvk_netvsp_steer(&v, 1, 4));
	ATF_REQUIRE_EQ(0, hvk_netvsp_steer(&v, 1, 2));	/* not open yet */
	/* Linux states the fixed part's size only. */
	bytes[2] = 40;
	bytes[3] = 0;
	ATF_REQUIRE_EQ(0, ask(HVK_RNDIS_SET, HVK_OID_RSS_PARAMS, bytes, len));
	up(HVK_NVSP_VERSION_4, HVK_NETVSP_READY);
	ATF_REQUIRE_EQ(HVK_RNDIS_STATUS_UNSUPPORTED, ask(HVK_RNDIS_SET,
	    HVK_OID_RSS_PARAMS, bytes, len));

	len = hvk_ndis_mac_encode((const uint8_t *)"\3\0\0\0\0\1", bytes);
	ATF_REQUIRE(ask(HVK_RNDIS_SET, HVK_OID_RNDIS_CONFIG, bytes, len) != 0);
	ATF_REQUIRE(memcmp(v.mac, config.mac, 6) == 0);
	len = hvk_ndis_mac_encode((const uint8_t *)"\2\0\0\0\0\1", bytes);
	ATF_REQUIRE_EQ(0, ask(HVK_RNDIS_SET, HVK_OID_RNDIS_CONFIG, bytes,
	    len));
	ATF_REQUIRE_EQ(1, v.mac[5]);
	/* RSC is only for those who said that they take it. */
	len = hvk_offload_params_encode(HVK_OFF_ALL, HVK_OFF_ALL, 3, bytes);
	ATF_REQUIRE_EQ(0, ask(HVK_RNDIS_SET, HVK_OID_OFFLOAD_PARAMS, bytes,
	    len));
	ATF_REQUIRE_EQ(HVK_OFF_ALL & ~(HVK_OFF_RSC4 | HVK_OFF_RSC6),
	    v.offloads);
	ATF_REQUIRE(ask(HVK_RNDIS_SET, HVK_OID_OFFLOAD_PARAMS, bytes, 10) !=
	    0);
}

ATF_TC(control_hostile);
ATF_TC_HEAD(control_hostile, tc)
{
	atf_tc_set_md_var(tc, "descr", "control messages without end, of every "
	    "type and length, with information that is not in them");
}
ATF_TC_BODY(control_hostile, tc)
{
	uint32_t m[HVK_NETVSP_CONTROL / 4 + 64];
	uint32_t i, len, n, type;

	up(HVK_NVSP_VERSION_61, HVK_NETVSP_READY);
	/* A flood that is never collected. */
	memset(m, 0, sizeof(m));
	m[0] = HVK_RNDIS_KEEPALIVE;
	m[1] = 12;
	for (i = n = 0; i < 100000; i++)
		if (control(m, 12) == HVK_OK)
			n++;
	ATF_REQUIRE_EQ(HVK_NETVSP_OUT - HVK_NETVSP_OUT_NOTES, n);
	ATF_REQUIRE_EQ(100000 - n, v.control_busy);
	/* There is room for what the host wants to say. */
	ATF_REQUIRE_EQ(HVK_OK, hvk_netvsp_link(&v, false, 1));
	for (i = 0; hvk_netvsp_peek(&v) != NULL; i++)
		hvk_netvsp_pop(&v);
	ATF_REQUIRE_EQ(n + 2, i);

	for (type = 0; type < 16; type++)
		for (len = 0; len < 64; len += 4) {
			up(HVK_NVSP_VERSION_61, HVK_NETVSP_READY);
			memset(m, 0xff, sizeof(m));
			m[0] = type;
			m[1] = len;
			(void)control(m, len);
			m[1] = len + 4;
			ATF_REQUIRE_EQ(HVK_REJECT, control(m, len));
			m[1] = 0xffffffff;
			ATF_REQUIRE_EQ(HVK_REJECT, control(m, len));
			m[0] = type | HVK_RNDIS_DONE;
			m[1] = len;
			(void)control(m, len);
			ATF_REQUIRE(v.out_tail - v.out_head <= 2);
		}
	/* Longer than anything that makes sense: cut, then refused. */
	up(HVK_NVSP_VERSION_61, HVK_NETVSP_READY);
	memset(m, 0, sizeof(m));
	m[0] = HVK_RNDIS_SET;
	m[1] = sizeof(m);
	ATF_REQUIRE_EQ(HVK_REJECT, control(m, sizeof(m)));
	/* Information outside the message. */
	for (i = 0; i < 7; i++) {
		static const uint32_t bad[][2] = { { 4, 0 }, { 4, 19 },
		    { 5, 20 }, { 4, 21 }, { 4, 0xffffffff },
		    { 0xffffffff, 20 }, { 0x80000000, 0x80000000 } };

		m[0] = HVK_RNDIS_SET;
		m[1] = 32;
		m[2] = 9;
		m[3] = HVK_OID_PACKET_FILTER;
		m[4] = bad[i][0];
		m[5] = bad[i][1];
		m[7] = 0xf;
		ATF_REQUIRE_EQ(HVK_OK, control(m, 32));
		ATF_REQUIRE(reply(HVK_RNDIS_SET_DONE)[3] != 0);
		ATF_REQUIRE_EQ(0, v.filter);
		m[0] = HVK_RNDIS_QUERY;
		ATF_REQUIRE_EQ(HVK_OK, control(m, 32));
		ATF_REQUIRE(reply(HVK_RNDIS_QUERY_DONE)[3] != 0);
	}
	/* RNDIS of a version that nobody has; queries before any. */
	up(HVK_NVSP_VERSION_61, HVK_NETVSP_BUFFERED);
	ATF_REQUIRE_EQ(HVK_RNDIS_STATUS_FAILURE, ask(HVK_RNDIS_QUERY,
	    HVK_OID_MAX_FRAME_SIZE, NULL, 0));
	ATF_REQUIRE_EQ(HVK_RNDIS_STATUS_FAILURE, ask(HVK_RNDIS_SET,
	    HVK_OID_PACKET_FILTER, "\1\0\0\0", 4));
	m[0] = HVK_RNDIS_INIT;
	m[1] = 24;
	m[3] = 2;
	ATF_REQUIRE_EQ(HVK_OK, control(m, 24));
	ATF_REQUIRE_EQ(HVK_RNDIS_STATUS_BAD_VERSION,
	    reply(HVK_RNDIS_INIT_DONE)[3]);
	ATF_REQUIRE_EQ(HVK_NETVSP_BUFFERED, v.phase);
	/* Halt and reset. */
	up(HVK_NVSP_VERSION_61, HVK_NETVSP_READY);
	ATF_REQUIRE_EQ(0, ask(HVK_RNDIS_SET, HVK_OID_PACKET_FILTER,
	    "\1\0\0\0", 4));
	m[0] = HVK_RNDIS_RESET;
	m[1] = 12;
	ATF_REQUIRE_EQ(HVK_OK, control(m, 12));
	ATF_REQUIRE_EQ(0, reply(HVK_RNDIS_RESET_DONE)[2]);
	ATF_REQUIRE_EQ(0, v.filter);
	m[0] = HVK_RNDIS_HALT;
	ATF_REQUIRE_EQ(HVK_OK, control(m, 12));
	ATF_REQUIRE(hvk_netvsp_peek(&v) == NULL);
	ATF_REQUIRE_EQ(HVK_NETVSP_BUFFERED, v.phase);
	ATF_REQUIRE_EQ(0, rndis_init());
	ATF_REQUIRE_EQ(HVK_NETVSP_READY, v.phase);
}

ATF_TC(notices);
ATF_TC_HEAD(notices, tc)
{
	atf_tc_set_md_var(tc, "descr", "what the guest is told, when it may be "
	    "told, and how much can wait");
}
ATF_TC_BODY(notices, tc)
{
	const struct hvk_netvsp_out *out;
	const uint32_t *r;
	uint32_t i, phase;

	for (phase = 0; phase < HVK_NETVSP_READY; phase++) {
		up(HVK_NVSP_VERSION_61, phase);
		ATF_REQUIRE_EQ(HVK_STATE, hvk_netvsp_link(&v, phase % 2 == 0,
		    1));
		ATF_REQUIRE_EQ(HVK_STATE, hvk_netvsp_network_change(&v));
		ATF_REQUIRE_EQ(HVK_STATE, hvk_netvsp_send_table(&v, 4));
		ATF_REQUIRE_EQ(phase < HVK_NETVSP_BUFFERED ? HVK_STATE :
		    HVK_OK, hvk_netvsp_vf(&v, true, 1));
	}
	up(HVK_NVSP_VERSION_4, HVK_NETVSP_READY);
	ATF_REQUIRE_EQ(HVK_STATE, hvk_netvsp_send_table(&v, 4));
	up(HVK_NVSP_VERSION_61, HVK_NETVSP_READY);
	ATF_REQUIRE_EQ(HVK_STATE, hvk_netvsp_send_table(&v, 0));
	/* Speed is only for guests that said they listen (bit 5). */
	ATF_REQUIRE_EQ(HVK_OK, hvk_netvsp_link(&v, true, 5));
	r = reply(HVK_RNDIS_INDICATE);
	ATF_REQUIRE_EQ(HVK_RNDIS_STATUS_LINK_SPEED, r[2]);
	ATF_REQUIRE_EQ(4, r[3]);
	ATF_REQUIRE_EQ(12, r[4]);
	v.caps = 0;
	ATF_REQUIRE_EQ(HVK_OK, hvk_netvsp_link(&v, true, 6));
	ATF_REQUIRE_EQ(HVK_STATE, hvk_netvsp_vf(&v, true, 6));
	ATF_REQUIRE(hvk_netvsp_peek(&v) == NULL);
	v.caps = HVK_NVSP_CAP_SRIOV;
	for (i = 0; i < HVK_NETVSP_OUT; i++)
		ATF_REQUIRE_EQ(HVK_OK, hvk_netvsp_vf(&v, i % 2 == 0, i));
	ATF_REQUIRE_EQ(HVK_AGAIN, hvk_netvsp_vf(&v, true, 6));
	ATF_REQUIRE_EQ(HVK_AGAIN, hvk_netvsp_send_table(&v, 4));
	ATF_REQUIRE_EQ(HVK_AGAIN, hvk_netvsp_network_change(&v));
	ATF_REQUIRE_EQ(HVK_AGAIN, hvk_netvsp_link(&v, false, 6));
	out = hvk_netvsp_peek(&v);
	ATF_REQUIRE(!out->rndis && out->txid == 0);
	for (i = 0; hvk_netvsp_peek(&v) != NULL; i++)
		hvk_netvsp_pop(&v);
	hvk_netvsp_pop(&v);
	ATF_REQUIRE_EQ(HVK_NETVSP_OUT, i);
}

/* All that may wait waits. */
static void
crowd(uint32_t left)
{

	while (hvk_netvsp_peek(&v) != NULL)
		hvk_netvsp_pop(&v);
	for (; left < HVK_NETVSP_OUT; left++)
		ATF_REQUIRE_EQ(HVK_OK, hvk_netvsp_vf(&v, true, left));
}

static uint32_t
media(void)
{
	uint32_t word;

	ATF_REQUIRE_EQ(HVK_RNDIS_STATUS_OK, ask(HVK_RNDIS_QUERY,
	    HVK_OID_MEDIA_CONNECT, NULL, 0));
	ATF_REQUIRE_EQ(sizeof(word), info_len);
	memcpy(&word, info, sizeof(word));
	return (word);
}

ATF_TC(link_again);
ATF_TC_HEAD(link_again, tc)
{
	atf_tc_set_md_var(tc, "descr", "a change of the link for which there "
	    "is no room is none yet, and is told when it is said again");
}
ATF_TC_BODY(link_again, tc)
{
	const uint32_t *r;
	uint64_t speed;

	up(HVK_NVSP_VERSION_61, HVK_NETVSP_READY);
	v.caps |= HVK_NVSP_CAP_SRIOV | HVK_NVSP_CAP_TEAMING;
	speed = v.speed;
	ATF_REQUIRE(v.link);

	crowd(0);
	ATF_REQUIRE_EQ(HVK_AGAIN, hvk_netvsp_link(&v, false, speed));
	ATF_REQUIRE(v.link);
	crowd(HVK_NETVSP_OUT);
	ATF_REQUIRE_EQ(HVK_MEDIA_CONNECTED, media());
	ATF_REQUIRE_EQ(HVK_OK, hvk_netvsp_link(&v, false, speed));
	r = reply(HVK_RNDIS_INDICATE);
	ATF_REQUIRE_EQ(HVK_RNDIS_STATUS_MEDIA_DOWN, r[2]);
	ATF_REQUIRE_EQ(HVK_MEDIA_DISCONNECTED, media());
	/* Said again: nothing more. */
	ATF_REQUIRE_EQ(HVK_OK, hvk_netvsp_link(&v, false, speed));
	ATF_REQUIRE(hvk_netvsp_peek(&v) == NULL);

	/* Room for the link, none for the speed. */
	crowd(1);
	ATF_REQUIRE_EQ(HVK_AGAIN, hvk_netvsp_link(&v, true, 2 * speed));
	ATF_REQUIRE(v.link);
	ATF_REQUIRE_EQ(speed, v.speed);
	crowd(HVK_NETVSP_OUT);
	ATF_REQUIRE_EQ(HVK_OK, hvk_netvsp_link(&v, true, 2 * speed));
	r = reply(HVK_RNDIS_INDICATE);
	ATF_REQUIRE_EQ(HVK_RNDIS_STATUS_LINK_SPEED, r[2]);
	ATF_REQUIRE_EQ(2 * speed / 100, r[5]);
	ATF_REQUIRE_EQ(2 * speed, v.speed);
	ATF_REQUIRE(hvk_netvsp_peek(&v) == NULL);
}

ATF_TC(queue);
ATF_TC_HEAD(queue, tc)
{
	atf_tc_set_md_var(tc, "descr", "slots run out and come back; answers "
	    "for nothing, twice, of the wrong kind free nothing");
}
ATF_TC_BODY(queue, tc)
{
	static struct hvk_netvsp_slot slots[64];
	static struct hvk_netvsp_sent packets[8];
	static struct hvk_netvsp_queue k;
	struct hvk_nvsp_rndis_done d = { HVK_NVSP_RNDIS_DONE, 1 };
	struct hvk_nvsp_message n;
	struct hvk_packet pkt = packet(HVK_PKT_COMPLETION, &d, sizeof(d));
	uint64_t id[8];
	uint32_t again, i, j, nranges, offset, used = 0;
	bool seen[64];

	up(HVK_NVSP_VERSION_61, HVK_NETVSP_READY);
	ATF_REQUIRE_EQ(HVK_RANGE, hvk_netvsp_queue_init(&k, &v, v.slots - 63,
	    slots, 64, packets, 8));
	ATF_REQUIRE_EQ(HVK_RANGE, hvk_netvsp_queue_init(&k, &v, v.slots + 1,
	    slots, 1, packets, 8));
	ATF_REQUIRE_EQ(HVK_RANGE, hvk_netvsp_queue_init(&k, &v, 0, slots, 0,
	    packets, 8));
	ATF_REQUIRE_EQ(HVK_RANGE, hvk_netvsp_queue_init(&k, &v, 0, slots, 64,
	    packets, 0));
	ATF_REQUIRE_EQ(HVK_OK, hvk_netvsp_queue_init(&k, &v, v.slots - 64,
	    slots, 64, packets, 8));
	ATF_REQUIRE_EQ(HVK_AGAIN, hvk_netvsp_queue_close(&k, &id[0], &nranges,
	    &n));
	ATF_REQUIRE_EQ(HVK_STATE, hvk_netvsp_queue_put(&k, 100, false));
	memset(seen, 0, sizeof(seen));
	for (i = 0; i < 8; i++) {
		for (j = 0; j < 8; j++) {
			ATF_REQUIRE_EQ(HVK_OK, hvk_netvsp_queue_slot(&k,
			    &offset));
			ATF_REQUIRE_EQ(HVK_OK, hvk_netvsp_queue_slot(&k,
			    &again));
			ATF_REQUIRE_EQ(offset, again);
			ATF_REQUIRE(offset + v.slot_size <= RECV);
			again = offset / v.slot_size - (v.slots - 64);
			ATF_REQUIRE(again < 64 && !seen[again]);
			seen[again] = true;
			ATF_REQUIRE_EQ(HVK_RANGE, hvk_netvsp_queue_put(&k,
			    v.slot_size + 1, false));
			ATF_REQUIRE_EQ(HVK_RANGE, hvk_netvsp_queue_put(&k, 7,
			    false));
			ATF_REQUIRE_EQ(HVK_OK, hvk_netvsp_queue_put(&k, 60 + j,
			    false));
			if (i == 0 && j == 0) {
				ATF_REQUIRE_EQ(HVK_OK, hvk_netvsp_queue_slot(&k,
				    &offset));
				ATF_REQUIRE_EQ(HVK_STATE,
				    hvk_netvsp_queue_put(&k, 60, true));
			}
			used++;
		}
		ATF_REQUIRE_EQ(HVK_OK, hvk_netvsp_queue_close(&k, &id[i],
		    &nranges, &n));
		ATF_REQUIRE_EQ(8, nranges);
		ATF_REQUIRE_EQ(67, k.range[7].len);
		ATF_REQUIRE_EQ(HVK_NVSP_CHANNEL_DATA, n.rndis.channel);
	}
	ATF_REQUIRE_EQ(64, used);
	ATF_REQUIRE_EQ(HVK_NOSPACE, hvk_netvsp_queue_slot(&k, &offset));
	ATF_REQUIRE_EQ(0, k.slots_free);
	for (i = 0; i < 64; i++) {
		pkt.txid = id[3] ^ 1ull << i;
		for (j = 0; j < 8 && pkt.txid != id[j]; j++)
			continue;
		if (j == 8)
			ATF_REQUIRE_EQ(HVK_REJECT, hvk_netvsp_queue_done(&k,
			    &pkt));
	}
	ATF_REQUIRE_EQ(0, k.slots_free);
	pkt.txid = id[3];
	pkt.type = HVK_PKT_INBAND;
	ATF_REQUIRE_EQ(HVK_REJECT, hvk_netvsp_queue_done(&k, &pkt));
	pkt.type = HVK_PKT_COMPLETION;
	ATF_REQUIRE_EQ(HVK_OK, hvk_netvsp_queue_done(&k, &pkt));
	ATF_REQUIRE_EQ(8, k.slots_free);
	ATF_REQUIRE_EQ(HVK_REJECT, hvk_netvsp_queue_done(&k, &pkt));
	ATF_REQUIRE_EQ(8, k.slots_free);
	pkt.txid = id[5];
	d.status = HVK_NVSP_STATUS_FAIL;
	ATF_REQUIRE_EQ(HVK_OK, hvk_netvsp_queue_done(&k, &pkt));
	pkt.txid = id[6];
	d.type = 7;
	ATF_REQUIRE_EQ(HVK_OK, hvk_netvsp_queue_done(&k, &pkt));
	pkt.txid = id[7];
	pkt.len = 0;
	ATF_REQUIRE_EQ(HVK_OK, hvk_netvsp_queue_done(&k, &pkt));
	ATF_REQUIRE_EQ(1, k.failed);
	ATF_REQUIRE_EQ(2, k.malformed);
	ATF_REQUIRE_EQ(HVK_OK, hvk_netvsp_queue_undo(&k, id[0]));
	ATF_REQUIRE_EQ(HVK_REJECT, hvk_netvsp_queue_undo(&k, id[0]));
	ATF_REQUIRE_EQ(40, k.slots_free);
	/* A control message is alone, and says what it is. */
	ATF_REQUIRE_EQ(HVK_OK, hvk_netvsp_queue_slot(&k, &offset));
	ATF_REQUIRE_EQ(HVK_OK, hvk_netvsp_queue_put(&k, 60, true));
	ATF_REQUIRE_EQ(HVK_AGAIN, hvk_netvsp_queue_slot(&k, &offset));
	ATF_REQUIRE_EQ(HVK_OK, hvk_netvsp_queue_close(&k, &id[0], &nranges,
	    &n));
	ATF_REQUIRE_EQ(HVK_NVSP_CHANNEL_CONTROL, n.rndis.channel);
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, configs);
	ATF_TP_ADD_TC(tp, phases);
	ATF_TP_ADD_TC(tp, versions);
	ATF_TP_ADD_TC(tp, messages_hostile);
	ATF_TP_ADD_TC(tp, sends);
	ATF_TP_ADD_TC(tp, objects);
	ATF_TP_ADD_TC(tp, sets_hostile);
	ATF_TP_ADD_TC(tp, control_hostile);
	ATF_TP_ADD_TC(tp, notices);
	ATF_TP_ADD_TC(tp, link_again);
	ATF_TP_ADD_TC(tp, queue);
	return (atf_no_error());
}
