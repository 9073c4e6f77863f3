/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * The guest's network interface machine against every answer a host can give:
 * each phase x each kind of answer, what it may be told and offered, requests,
 * shut-down, new MTUs.
 */

#include <string.h>

#include <atf-c.h>

#include <hvk/guest/netvsc.h>

#define	RECV	(1u << 20)
#define	SEND	(256u << 10)
#define	STEP	1000

enum answer {
	GOOD, REFUSED, SHORT, WRONG_TYPE, WRONG_ID, SILENCE, NANSWERS
};

/* What a good host says; tests change one thing. */
static struct {
	uint32_t	version;
	uint32_t	recv_len;	/* of the answer */
	struct hvk_nvsp_message recv, send, sub;
	struct hvk_rndis_init_done init;
	uint32_t	init_len;
	uint8_t		mac[8];
	uint32_t	mac_len, mtu, link, speed;
	uint32_t	spoil;		/* the answer about this OID */
	uint32_t	rss_queues;
	uint32_t	refuse;		/* this OID */
	uint32_t	silent;		/* about this OID */
	bool		answer_first;	/* before the send is completed */
	bool		never_taken;	/* the send is never completed */
} host;

static struct hvk_netvsc s;
static struct hvk_netvsc_message msg;
static enum hvk_netvsc_event last;
static uint32_t seen[16];
static uint64_t now;

static void
saw(enum hvk_netvsc_event event)
{
	if (event != HVK_NETVSC_NOTHING)
		last = event;
	seen[event]++;
}

static void
good_host(void)
{
	memset(&host, 0, sizeof(host));
	memset(seen, 0, sizeof(seen));
	last = HVK_NETVSC_NOTHING;
	now = 1000000;
	host.version = HVK_NVSP_VERSION_61;
	host.recv.type = HVK_NVSP_RECV_BUFFER_DONE;
	host.recv.recv_done.status = HVK_NVSP_STATUS_OK;
	host.recv.recv_done.nsections = 1;
	host.recv.recv_done.section.size = 1728;
	host.recv.recv_done.section.count = RECV / 1728;
	host.recv.recv_done.section.end = RECV / 1728 * 1728;
	host.recv_len = 28;
	host.send.type = HVK_NVSP_SEND_BUFFER_DONE;
	host.send.send_done.status = HVK_NVSP_STATUS_OK;
	host.send.send_done.section_size = 6144;
	host.sub.type = HVK_NVSP_SUBCHANNEL;
	host.sub.subchannel_done.status = HVK_NVSP_STATUS_OK;
	host.sub.subchannel_done.count = 3;
	host.init.type = HVK_RNDIS_INIT_DONE;
	host.init.major = 1;
	host.init.max_packets = 8;
	host.init.max_transfer = 0xefffffff;
	host.init.align = 3;
	host.init_len = sizeof(host.init);
	memcpy(host.mac, "\x00\x15\x5d\x01\x02\x03", 6);
	host.mac_len = 6;
	host.mtu = 1500;
	host.speed = 100000000;
	host.rss_queues = 8;
}

static int
completion(uint64_t txid, const void *bytes, uint32_t len)
{
	enum hvk_netvsc_event event;
	struct hvk_packet pkt;
	bool ack;
	int error;

	memset(&pkt, 0, sizeof(pkt));
	pkt.type = HVK_PKT_COMPLETION;
	pkt.txid = txid;
	pkt.payload = bytes;
	pkt.len = len;
	ATF_REQUIRE_EQ(HVK_NETVSC_KIND_CONTROL, hvk_netvsc_kind(&pkt));
	error = hvk_netvsc_input(&s, &pkt, now, &event, &ack);
	ATF_REQUIRE(!ack);
	saw(event);
	return (error);
}

static int
inband(const void *bytes, uint32_t len)
{
	enum hvk_netvsc_event event;
	struct hvk_packet pkt;
	bool ack;
	int error;

	memset(&pkt, 0, sizeof(pkt));
	pkt.type = HVK_PKT_INBAND;
	pkt.want_completion = true;
	pkt.payload = bytes;
	pkt.len = len;
	ATF_REQUIRE_EQ(HVK_NETVSC_KIND_CONTROL, hvk_netvsc_kind(&pkt));
	error = hvk_netvsc_input(&s, &pkt, now, &event, &ack);
	ATF_REQUIRE(ack);
	saw(event);
	return (error);
}

static int
rndis(const void *bytes, uint32_t len)
{
	enum hvk_netvsc_event event;
	int error;

	error = hvk_netvsc_rndis(&s, bytes, len, now, &event);
	saw(event);
	return (error);
}

static void
buffers(void)
{
	struct hvk_netvsc_buffers b = { 11, RECV, 12, SEND };

	ATF_REQUIRE_EQ(HVK_OK, hvk_netvsc_buffers(&s, &b, now));
}

static uint32_t
query_answer(uint32_t oid, uint8_t *info)
{
	struct hvk_net_offload o = { HVK_OFF_ALL, 60000, 2, 60000, 2 };
	struct hvk_net_rss_caps r = { host.rss_queues, 128, HVK_RSS_TOEPLITZ |
	    HVK_RSS_IPV4 | HVK_RSS_TCP_IPV4 };

	switch (oid) {
	case HVK_OID_8023_PERMANENT:
		memcpy(info, host.mac, host.mac_len);
		return (host.mac_len);
	case HVK_OID_MAX_FRAME_SIZE:
		memcpy(info, &host.mtu, 4);
		return (4);
	case HVK_OID_MEDIA_CONNECT:
		memcpy(info, &host.link, 4);
		return (4);
	case HVK_OID_LINK_SPEED:
		memcpy(info, &host.speed, 4);
		return (4);
	case HVK_OID_OFFLOAD_CAPS:
		return (hvk_offload_encode(&o, 3, info));
	case HVK_OID_RSS_CAPS:
		return (hvk_rss_caps_encode(&r, 2, info));
	default:
		return (0);
	}
}

static void
taken(uint64_t txid, uint32_t status)
{
	struct hvk_nvsp_rndis_done d = { HVK_NVSP_RNDIS_DONE, status };

	ATF_REQUIRE_EQ(HVK_OK, completion(txid, &d, sizeof(d)));
}

/* Answer an RNDIS message in one way. */
static void
answer_rndis(const struct hvk_netvsc_message *m, enum answer how)
{
	struct hvk_rndis_request q;
	uint8_t out[1024];
	uint32_t len = 16, n, status, word;

	memset(out, 0, sizeof(out));
	memcpy(&q, m->rndis, m->rndis_len < sizeof(q) ? m->rndis_len :
	    sizeof(q));
	if (q.type == HVK_RNDIS_HALT) {
		if (how != SILENCE)
			taken(m->txid, HVK_NVSP_STATUS_OK);
		return;
	}
	if ((q.type == HVK_RNDIS_QUERY || q.type == HVK_RNDIS_SET) &&
	    q.oid == host.silent)
		how = SILENCE;
	if (how == SILENCE) {
		taken(m->txid, HVK_NVSP_STATUS_OK);
		return;
	}
	status = how == REFUSED || (q.type == HVK_RNDIS_QUERY &&
	    q.oid == host.refuse) || (q.type == HVK_RNDIS_SET &&
	    q.oid == host.refuse) ? HVK_RNDIS_STATUS_FAILURE : 0;
	word = how == WRONG_TYPE ? HVK_RNDIS_DONE | 0x77 :
	    q.type | HVK_RNDIS_DONE;
	if (q.type == HVK_RNDIS_INIT) {
		memcpy(out, &host.init, sizeof(host.init));
		len = host.init_len;
	} else if (q.type == HVK_RNDIS_QUERY) {
		n = status == 0 ? query_answer(q.oid, out + 24) : 0;
		if (q.oid == host.spoil)
			out[24] ^= 0xff;
		memcpy(out + 16, &n, 4);
		len = 24 + n;
		n = HVK_RNDIS_QUERY_DONE_OFFSET;
		memcpy(out + 20, &n, 4);
	}
	memcpy(out, &word, 4);
	if (how == WRONG_ID)
		q.id++;
	memcpy(out + 8, &q.id, 4);
	memcpy(out + 12, &status, 4);
	if (q.type == HVK_RNDIS_RESET)
		memcpy(out + 8, &status, 4);
	if (how == SHORT)
		len = 12;
	memcpy(out + 4, &len, 4);
	if (!host.answer_first && !host.never_taken)
		taken(m->txid, HVK_NVSP_STATUS_OK);
	(void)rndis(out, len);
	if (host.answer_first)
		taken(m->txid, HVK_NVSP_STATUS_OK);
}

static void
answer_nvsp(const struct hvk_netvsc_message *m, enum answer how)
{
	struct hvk_nvsp_message n;
	uint32_t len = 40;

	memset(&n, 0, sizeof(n));
	switch (m->nvsp.type) {
	case HVK_NVSP_INIT:
		n.type = HVK_NVSP_INIT_DONE;
		n.init_done.status = m->nvsp.init.max == host.version ?
		    HVK_NVSP_STATUS_OK : HVK_NVSP_STATUS_FAIL;
		break;
	case HVK_NVSP_RECV_BUFFER:
		ATF_REQUIRE_EQ(11, m->nvsp.buffer.gpadl);
		n = host.recv;
		len = host.recv_len;
		break;
	case HVK_NVSP_SEND_BUFFER:
		ATF_REQUIRE_EQ(12, m->nvsp.buffer.gpadl);
		n = host.send;
		break;
	default:
		ATF_REQUIRE_EQ(HVK_NVSP_SUBCHANNEL, m->nvsp.type);
		n = host.sub;
		break;
	}
	if (how == REFUSED)
		n.words[n.type == HVK_NVSP_INIT_DONE ? 2 : 0] =
		    HVK_NVSP_STATUS_FAIL;
	if (how == WRONG_TYPE)
		n.type = 99;
	if (how != SILENCE)
		(void)completion(how == WRONG_ID ? m->txid ^ 1 << 24 : m->txid,
		    &n, how == SHORT ? 8 : len);
}

static void
answer(const struct hvk_netvsc_message *m, enum answer how)
{
	if (m->rndis_len != 0)
		answer_rndis(m, how);
	else
		answer_nvsp(m, how);
}

/* Pull the next message that is answered; notes are looked at on the way. */
static bool
pull(void)
{
	struct hvk_netvsc_message m;

	while (hvk_netvsc_pull(&s, &m)) {
		ATF_REQUIRE_EQ(m.rndis_len != 0, m.nvsp.type ==
		    HVK_NVSP_RNDIS);
		switch (m.nvsp.type) {
		case HVK_NVSP_NDIS_CONFIG:
			ATF_REQUIRE(!m.want_completion);
			ATF_REQUIRE_EQ(s.config.mtu + 14,
			    m.nvsp.ndis_config.mtu);
			break;
		case HVK_NVSP_NDIS_VERSION:
			ATF_REQUIRE(!m.want_completion);
			ATF_REQUIRE_EQ(6, m.nvsp.ndis_version.major);
			break;
		case HVK_NVSP_RECV_BUFFER_REVOKE:
		case HVK_NVSP_SEND_BUFFER_REVOKE:
			ATF_REQUIRE(!m.want_completion);
			break;
		case HVK_NVSP_DATA_PATH:
			break;
		default:
			ATF_REQUIRE(m.want_completion);
			msg = m;
			return (true);
		}
	}
	return (false);
}

static const struct hvk_netvsc_config config = {
	.subchannels = 3, .offloads = HVK_OFF_ALL, .step_ms = STEP
};

/* Good answers until that phase has something to be answered. */
static void
reach(enum hvk_netvsc_phase phase)
{
	uint32_t i;

	hvk_netvsc_init(&s, &config);
	ATF_REQUIRE_EQ(HVK_OK, hvk_netvsc_start(&s, now));
	for (i = 0; i < 40 && s.phase != phase; i++) {
		if (pull())
			answer(&msg, GOOD);
		if (s.phase == HVK_NETVSC_BUFFERS &&
		    phase != HVK_NETVSC_BUFFERS)
			buffers();
	}
	ATF_REQUIRE_EQ(phase, s.phase);
}

/* On from wherever it is to READY or FAILED. */
static void
finish(void)
{
	uint32_t i;

	for (i = 0; i < 40 && s.phase != HVK_NETVSC_READY &&
	    s.phase != HVK_NETVSC_FAILED; i++) {
		if (s.phase == HVK_NETVSC_BUFFERS)
			buffers();
		if (pull())
			answer(&msg, GOOD);
		else if (hvk_netvsc_deadline(&s) != UINT64_MAX) {
			now = hvk_netvsc_deadline(&s);
			saw(hvk_netvsc_tick(&s, now));
		}
	}
	ATF_REQUIRE(s.phase == HVK_NETVSC_READY ||
	    s.phase == HVK_NETVSC_FAILED);
}

static void
ready(void)
{
	good_host();
	reach(HVK_NETVSC_READY);
	ATF_REQUIRE_EQ(1, seen[HVK_NETVSC_IS_READY]);
}

ATF_TC(phases);
ATF_TC_HEAD(phases, tc)
{
	atf_tc_set_md_var(tc, "descr", "each phase of start-up x each kind of "
	    "answer: goes on, fails once, or waits no longer than it may");
}
ATF_TC_BODY(phases, tc)
{
	static const struct {
		enum hvk_netvsc_phase	phase;
		bool			may_refuse, may_miss;
	} table[] = {
		{ HVK_NETVSC_VERSION, false, false },
		{ HVK_NETVSC_RECV_BUFFER, false, false },
		{ HVK_NETVSC_SEND_BUFFER, true, false },
		{ HVK_NETVSC_RNDIS_INIT, false, false },
		{ HVK_NETVSC_QUERIES, false, false },
		{ HVK_NETVSC_OFFLOADS, true, true },
		{ HVK_NETVSC_SUBCHANNELS, true, true }
	};
	struct hvk_netvsc_message first;
	uint64_t deadline;
	uint32_t how, i;
	bool good;

	for (i = 0; i < HVK_COUNT(table); i++)
		for (how = 0; how < NANSWERS; how++) {
			good_host();
			reach(table[i].phase);
			ATF_REQUIRE(pull());
			first = msg;
			if (how == REFUSED &&
			    table[i].phase == HVK_NETVSC_VERSION)
				host.version = 0;
			deadline = hvk_netvsc_deadline(&s);
			ATF_REQUIRE_EQ(now + STEP, deadline);
			ATF_REQUIRE_EQ(HVK_NETVSC_NOTHING,
			    hvk_netvsc_tick(&s, deadline - 1));
			answer(&msg, how);
			good = how == GOOD || (how == REFUSED &&
			    table[i].may_refuse) || (how != GOOD &&
			    how != REFUSED && table[i].may_miss);
			finish();
			ATF_REQUIRE_EQ_MSG(good ? HVK_NETVSC_READY :
			    HVK_NETVSC_FAILED, s.phase, "phase %u answer %u",
			    table[i].phase, how);
			ATF_REQUIRE_EQ(good, seen[HVK_NETVSC_IS_READY]);
			ATF_REQUIRE_EQ(!good, seen[HVK_NETVSC_HAS_FAILED]);
			ATF_REQUIRE_EQ(UINT64_MAX, hvk_netvsc_deadline(&s));
			ATF_REQUIRE(!pull());
			if (how == SHORT || how == WRONG_TYPE)
				ATF_REQUIRE(s.rejected + s.late != 0);
			if (how == WRONG_ID)
				ATF_REQUIRE_EQ(1, s.late);
			/* The same answer once more is nobody's. */
			if (first.rndis_len == 0)
				answer(&first, how);
			else
				ATF_REQUIRE_EQ(HVK_REJECT, completion(
				    first.txid, NULL, 0));
			ATF_REQUIRE_EQ(good ? HVK_NETVSC_READY :
			    HVK_NETVSC_FAILED, s.phase);
		}
}

ATF_TC(versions);
ATF_TC_HEAD(versions, tc)
{
	atf_tc_set_md_var(tc, "descr", "newest version first, one after the "
	    "other down to the oldest; limits and NDIS follow it");
}
ATF_TC_BODY(versions, tc)
{
	static const uint32_t all[] = { HVK_NVSP_VERSION_61,
	    HVK_NVSP_VERSION_6, HVK_NVSP_VERSION_5, HVK_NVSP_VERSION_4,
	    HVK_NVSP_VERSION_2, HVK_NVSP_VERSION_1 };
	struct hvk_netvsc_config c = config;
	struct hvk_netvsc_buffers b = { 11, (15u << 20) + 1, 12, 1 };
	uint32_t asked, i, k;

	for (i = 0; i <= 6; i++) {
		good_host();
		host.version = i < 6 ? all[i] : 0;
		hvk_netvsc_init(&s, &config);
		ATF_REQUIRE_EQ(HVK_OK, hvk_netvsc_start(&s, now));
		ATF_REQUIRE_EQ(HVK_STATE, hvk_netvsc_start(&s, now));
		for (k = 0; k < 6 && s.phase == HVK_NETVSC_VERSION; k++) {
			ATF_REQUIRE(pull());
			ATF_REQUIRE_EQ(all[k], msg.nvsp.init.min);
			ATF_REQUIRE_EQ(all[k], msg.nvsp.init.max);
			answer(&msg, GOOD);
		}
		if (i == 6) {
			ATF_REQUIRE_EQ(HVK_NETVSC_FAILED, s.phase);
			ATF_REQUIRE_EQ(HVK_NETVSC_NO_VERSION, s.reason);
			continue;
		}
		ATF_REQUIRE_EQ(i + 1, k);
		ATF_REQUIRE_EQ(HVK_NETVSC_WANT_BUFFERS, last);
		ATF_REQUIRE_EQ(all[i], s.version);
		ATF_REQUIRE_EQ(i < 3 ? HVK_NDIS_6_30 : HVK_NDIS_6_1,
		    s.ndis_version);
		ATF_REQUIRE_EQ(i < 4 ? HVK_OK : HVK_RANGE,
		    hvk_netvsc_buffers(&s, &b, now));
		for (asked = 0; hvk_netvsc_pull(&s, &msg); asked++)
			if (msg.nvsp.type == HVK_NVSP_NDIS_CONFIG) {
				ATF_REQUIRE_EQ(0, asked);
				ATF_REQUIRE_EQ(i == 0 ? 0xa8 : i < 3 ? 0x28 :
				    0x08, msg.nvsp.ndis_config.caps[0]);
			}
		/* Config, version, and where allowed the buffer. */
		ATF_REQUIRE_EQ((i < 5) + 1u + (i < 4), asked);
	}
	good_host();
	c.max_version = HVK_NVSP_VERSION_4;
	hvk_netvsc_init(&s, &c);
	ATF_REQUIRE_EQ(HVK_OK, hvk_netvsc_start(&s, now));
	ATF_REQUIRE(pull());
	ATF_REQUIRE_EQ(HVK_NVSP_VERSION_4, msg.nvsp.init.max);
}

ATF_TC(sections);
ATF_TC_HEAD(sections, tc)
{
	atf_tc_set_md_var(tc, "descr", "receive sections outside the buffer, "
	    "empty or several end it; bad send sections are not used");
}
ATF_TC_BODY(sections, tc)
{
	static const struct { uint32_t n, off, size, count, end; } bad[] = {
		{ 0, 0, 1728, 100, 172800 }, { 2, 0, 1728, 100, 172800 },
		{ 0xffffffff, 0, 1728, 100, 172800 },
		{ 1, 8, 1728, 100, 172800 }, { 1, 0, 0, 100, 172800 },
		{ 1, 0, 1728, 0, 172800 }, { 1, 0, 1728, 607, 0 },
		{ 1, 0, RECV + 1, 1, 0 }, { 1, 0, 1728, 100, RECV + 1 },
		{ 1, 0, 0x10000, 0x10000, 0 }, { 1, 0, 1728, 100, 0xffffffff },
		{ 1, 0, 0xffffffff, 0xffffffff, 1 }
	};
	static const uint32_t odd[] = { 0, 2, 139, 6143, SEND + 4,
	    0xfffffffc };
	struct hvk_netvsc_buffers b = { 11, RECV, 0, 0 };
	uint32_t i;

	for (i = 0; i < HVK_COUNT(bad); i++) {
		good_host();
		host.recv.recv_done.nsections = bad[i].n;
		host.recv.recv_done.section.offset = bad[i].off;
		host.recv.recv_done.section.size = bad[i].size;
		host.recv.recv_done.section.count = bad[i].count;
		host.recv.recv_done.section.end = bad[i].end;
		reach(HVK_NETVSC_RECV_BUFFER);
		finish();
		ATF_REQUIRE_EQ_MSG(HVK_NETVSC_FAILED, s.phase, "%u", i);
		ATF_REQUIRE_EQ(HVK_NETVSC_BAD_BUFFER, s.reason);
	}
	good_host();
	host.recv_len = 24;		/* the section is cut off */
	reach(HVK_NETVSC_RECV_BUFFER);
	finish();
	ATF_REQUIRE_EQ(HVK_NETVSC_BAD_BUFFER, s.reason);
	/* The whole buffer, and an end that is too small to be true. */
	good_host();
	host.recv.recv_done.section.size = RECV;
	host.recv.recv_done.section.count = 1;
	host.recv.recv_done.section.end = 0;
	reach(HVK_NETVSC_READY);
	ATF_REQUIRE_EQ(RECV, s.recv.end);
	for (i = 0; i < HVK_COUNT(odd); i++) {
		good_host();
		host.send.send_done.section_size = odd[i];
		reach(HVK_NETVSC_READY);
		ATF_REQUIRE_EQ(0, s.send_size + s.send_count);
	}
	good_host();
	reach(HVK_NETVSC_BUFFERS);
	b.recv_len = 0;
	ATF_REQUIRE_EQ(HVK_RANGE, hvk_netvsc_buffers(&s, &b, now));
	b.recv_len = RECV;
	b.send_len = s.send_max + 1;
	ATF_REQUIRE_EQ(HVK_RANGE, hvk_netvsc_buffers(&s, &b, now));
	b.send_len = 0;			/* none wanted: none asked for */
	ATF_REQUIRE_EQ(HVK_OK, hvk_netvsc_buffers(&s, &b, now));
	ATF_REQUIRE_EQ(HVK_STATE, hvk_netvsc_buffers(&s, &b, now));
	finish();
	ATF_REQUIRE_EQ(HVK_NETVSC_READY, s.phase);
	ATF_REQUIRE_EQ(0, s.send_size);
}

ATF_TC(limits);
ATF_TC_HEAD(limits, tc)
{
	atf_tc_set_md_var(tc, "descr", "what RNDIS states is clamped: packets, "
	    "alignment, MTU, channels; a MAC must be one");
}
ATF_TC_BODY(limits, tc)
{
	static const struct { uint32_t said, align; } aligns[] = {
		{ 0, 4 }, { 2, 4 }, { 3, 8 }, { 12, 4096 }, { 13, 4096 },
		{ 31, 4096 }, { 32, 4096 }, { 0xffffffff, 4096 }
	};
	static const struct { uint32_t said, mtu; } mtus[] = {
		{ 1500, 1500 }, { 9000, 1500 }, { 1400, 1400 }, { 68, 68 },
		{ 67, 1500 }, { 0, 1500 }, { 0xffffffff, 1500 }
	};
	uint32_t i;

	for (i = 0; i < HVK_COUNT(aligns); i++) {
		good_host();
		host.init.align = aligns[i].said;
		host.init.max_packets = i == 0 ? 0 : 0xffffffff;
		reach(HVK_NETVSC_READY);
		ATF_REQUIRE_EQ(aligns[i].align, s.align);
		ATF_REQUIRE_EQ(i == 0 ? 1 : 0xffff, s.max_packets);
	}
	for (i = 0; i < HVK_COUNT(mtus); i++) {
		good_host();
		host.mtu = mtus[i].said;
		reach(HVK_NETVSC_READY);
		ATF_REQUIRE_EQ(mtus[i].mtu, s.mtu);
	}
	for (i = 0; i < 9; i++) {
		if (i == 6)
			continue;
		good_host();
		host.mac_len = i == 8 ? 0 : i;
		reach(HVK_NETVSC_QUERIES);
		finish();
		ATF_REQUIRE_EQ(HVK_NETVSC_BAD_ANSWER, s.reason);
	}
	good_host();
	host.mac[0] = 1;
	reach(HVK_NETVSC_QUERIES);
	finish();
	ATF_REQUIRE_EQ(HVK_NETVSC_BAD_ANSWER, s.reason);
	good_host();
	host.init_len = HVK_RNDIS_INIT_DONE_MIN;
	reach(HVK_NETVSC_READY);
	good_host();
	host.init_len = HVK_RNDIS_INIT_DONE_MIN - 4;
	reach(HVK_NETVSC_RNDIS_INIT);
	finish();
	ATF_REQUIRE_EQ(HVK_NETVSC_BAD_ANSWER, s.reason);
	for (i = 0; i < 3; i++) {
		static const uint32_t n[] = { 4, 0xffffffff, 0 };

		good_host();
		host.sub.subchannel_done.count = n[i];
		reach(HVK_NETVSC_READY);
		ATF_REQUIRE_EQ(i == 2 ? 0 : 3, s.subchannels);
		ATF_REQUIRE_EQ(i == 2 ? 0 : 1, s.rejected);
	}
}

ATF_TC(optional);
ATF_TC_HEAD(optional, tc)
{
	atf_tc_set_md_var(tc, "descr", "queries that a host refuses or never "
	    "answers leave out what they were about");
}
ATF_TC_BODY(optional, tc)
{
	static const uint32_t oids[] = { HVK_OID_MAX_FRAME_SIZE,
	    HVK_OID_MEDIA_CONNECT, HVK_OID_LINK_SPEED, HVK_OID_OFFLOAD_CAPS,
	    HVK_OID_RSS_CAPS, HVK_OID_OFFLOAD_PARAMS };
	uint32_t i, silent;

	for (i = 0; i < HVK_COUNT(oids); i++)
		for (silent = 0; silent < 2; silent++) {
			good_host();
			host.link = 0;
			if (silent != 0)
				host.silent = oids[i];
			else
				host.refuse = oids[i];
			reach(HVK_NETVSC_RNDIS_INIT);
			finish();
			ATF_REQUIRE_EQ(HVK_NETVSC_READY, s.phase);
			ATF_REQUIRE_EQ(silent, s.timeouts);
			ATF_REQUIRE_EQ(1500, s.mtu);
			ATF_REQUIRE(s.link);
			ATF_REQUIRE_EQ(oids[i] != HVK_OID_LINK_SPEED,
			    s.speed != 0);
			ATF_REQUIRE_EQ(oids[i] != HVK_OID_OFFLOAD_CAPS,
			    s.offload.can != 0);
			ATF_REQUIRE_EQ(oids[i] != HVK_OID_OFFLOAD_CAPS &&
			    oids[i] != HVK_OID_OFFLOAD_PARAMS,
			    s.offloads != 0);
			ATF_REQUIRE_EQ(oids[i] != HVK_OID_RSS_CAPS,
			    s.subchannels != 0);
		}
	/* Abilities that make no sense are none. */
	good_host();
	host.spoil = HVK_OID_OFFLOAD_CAPS;
	reach(HVK_NETVSC_READY);
	ATF_REQUIRE_EQ(0, s.offload.can + s.offloads);
	ATF_REQUIRE_EQ(1, s.rejected);
	good_host();
	host.spoil = HVK_OID_RSS_CAPS;
	reach(HVK_NETVSC_READY);
	ATF_REQUIRE_EQ(0, s.rss.queues + s.subchannels);
	ATF_REQUIRE_EQ(1, s.rejected);
	/* No more channels than the host has queues for. */
	good_host();
	host.rss_queues = 3;
	host.sub.subchannel_done.count = 2;
	reach(HVK_NETVSC_READY);
	ATF_REQUIRE_EQ(2, s.wanted);
	ATF_REQUIRE_EQ(2, s.subchannels);
}

ATF_TC(order);
ATF_TC_HEAD(order, tc)
{
	atf_tc_set_md_var(tc, "descr", "an answer before its request's "
	    "completion, a completion that never comes, or with a bad status");
}
ATF_TC_BODY(order, tc)
{
	uint64_t was;

	good_host();
	host.answer_first = true;
	reach(HVK_NETVSC_READY);
	good_host();
	host.never_taken = true;
	was = now;
	reach(HVK_NETVSC_RNDIS_INIT);
	finish();
	ATF_REQUIRE_EQ(HVK_NETVSC_READY, s.phase);
	ATF_REQUIRE(now > was);
	ATF_REQUIRE_EQ(0, s.timeouts);
	/* The host says that the request was no RNDIS. */
	good_host();
	reach(HVK_NETVSC_RNDIS_INIT);
	ATF_REQUIRE(pull());
	taken(msg.txid, HVK_NVSP_STATUS_BAD_RNDIS);
	ATF_REQUIRE_EQ(HVK_NETVSC_FAILED, s.phase);
	/* Completed twice, or with nothing. */
	good_host();
	reach(HVK_NETVSC_QUERIES);
	ATF_REQUIRE(pull());
	answer(&msg, GOOD);
	ATF_REQUIRE_EQ(HVK_REJECT, completion(msg.txid, NULL, 0));
	ATF_REQUIRE_EQ(HVK_NETVSC_QUERIES, s.phase);
	ATF_REQUIRE(pull());
	ATF_REQUIRE_EQ(HVK_OK, completion(msg.txid, NULL, 0));
	ATF_REQUIRE_EQ(2, s.ask);	/* given up, the next is asked */
	/* Nothing else goes out while the host has the page. */
	ATF_REQUIRE(pull());
	ATF_REQUIRE(!pull());
	ATF_REQUIRE(hvk_netvsc_deadline(&s) != UINT64_MAX);
}

/* A query's answer with its information anywhere. */
static bool
informed(uint32_t info_len, uint32_t offset, uint32_t len)
{
	struct hvk_rndis_request q;
	uint32_t out[16];

	ready();
	ATF_REQUIRE_EQ(HVK_OK, hvk_netvsc_query(&s, HVK_OID_XMIT_OK, NULL, 0,
	    now));
	ATF_REQUIRE(pull());
	memcpy(&q, msg.rndis, sizeof(q));
	taken(msg.txid, HVK_NVSP_STATUS_OK);
	memset(out, 0, sizeof(out));
	out[0] = HVK_RNDIS_QUERY_DONE;
	out[1] = len;
	out[2] = q.id;
	out[4] = info_len;
	out[5] = offset;
	ATF_REQUIRE_EQ(HVK_OK, rndis(out, len));
	ATF_REQUIRE_EQ(HVK_NETVSC_REQUEST_OVER, last);
	ATF_REQUIRE(s.request.answered);
	ATF_REQUIRE_EQ(s.request.len != 0, s.request.data != NULL);
	return (s.request.data != NULL);
}

ATF_TC(information);
ATF_TC_HEAD(information, tc)
{
	atf_tc_set_md_var(tc, "descr", "information that is not in the answer "
	    "is none");
}
ATF_TC_BODY(information, tc)
{
	ATF_REQUIRE(informed(4, 16, 28));
	ATF_REQUIRE(informed(1, 19, 28));
	ATF_REQUIRE(!informed(0, 16, 28));
	ATF_REQUIRE(!informed(5, 16, 28));
	ATF_REQUIRE(!informed(4, 17, 28));
	ATF_REQUIRE(!informed(4, 15, 28));
	ATF_REQUIRE(!informed(4, 0, 28));
	ATF_REQUIRE(!informed(0xffffffff, 16, 28));
	ATF_REQUIRE(!informed(4, 0xffffffff, 28));
	ATF_REQUIRE(!informed(4, 0xfffffff8, 28));
	ATF_REQUIRE(!informed(4, 16, 16));
}

ATF_TC(requests);
ATF_TC_HEAD(requests, tc)
{
	atf_tc_set_md_var(tc, "descr", "requests: one at a time, refused, "
	    "silent, answered late or twice, given up by a halt");
}
ATF_TC_BODY(requests, tc)
{
	struct hvk_netvsc_message late;
	uint8_t big[HVK_NETVSC_CONTROL];
	uint32_t i;

	good_host();
	reach(HVK_NETVSC_OFFLOADS);
	ATF_REQUIRE_EQ(HVK_STATE, hvk_netvsc_set_filter(&s, 1, now));
	ready();
	memset(big, 0, sizeof(big));
	ATF_REQUIRE_EQ(HVK_RANGE, hvk_netvsc_query(&s, 1, big, sizeof(big) -
	    27, now));
	ATF_REQUIRE_EQ(HVK_RANGE, hvk_netvsc_set(&s, HVK_OID_PACKET_FILTER,
	    big, 4, now));
	ATF_REQUIRE_EQ(HVK_RANGE, hvk_netvsc_set_multicast(&s, NULL, 129,
	    now));
	ATF_REQUIRE_EQ(HVK_RANGE, hvk_netvsc_set_mac(&s,
	    (const uint8_t *)"\1\0\0\0\0", now));
	ATF_REQUIRE_EQ(HVK_RANGE, hvk_netvsc_set_offloads(&s, HVK_OFF_ALL + 1,
	    now));
	for (i = 0; i < NANSWERS; i++) {
		ready();
		ATF_REQUIRE_EQ(HVK_OK, hvk_netvsc_set_filter(&s, 9, now));
		ATF_REQUIRE_EQ(HVK_AGAIN, hvk_netvsc_set_filter(&s, 9, now));
		ATF_REQUIRE(pull());
		answer(&msg, i);
		if (i > REFUSED) {
			ATF_REQUIRE_EQ(0, seen[HVK_NETVSC_REQUEST_OVER]);
			ATF_REQUIRE_EQ(HVK_NETVSC_REQUEST_OVER,
			    hvk_netvsc_tick(&s, now + STEP));
			ATF_REQUIRE(!s.request.answered);
		} else {
			ATF_REQUIRE_EQ(1, seen[HVK_NETVSC_REQUEST_OVER]);
			ATF_REQUIRE(s.request.answered);
			ATF_REQUIRE_EQ(i == GOOD, s.request.status == 0);
		}
		ATF_REQUIRE_EQ(i == GOOD ? 9 : 0, s.filter);
		ATF_REQUIRE_EQ(HVK_OID_PACKET_FILTER, s.request.oid);
		ATF_REQUIRE_EQ(HVK_NETVSC_READY, s.phase);
		/* Too late, twice: not the next one's answer. */
		late = msg;
		memcpy(big, msg.rndis, msg.rndis_len);
		ATF_REQUIRE_EQ(HVK_OK, hvk_netvsc_set_filter(&s, 13, now));
		ATF_REQUIRE(pull());
		late.rndis = big;
		host.never_taken = true;
		answer(&late, GOOD);
		ATF_REQUIRE(s.filter != 13);
		host.never_taken = false;
		answer(&msg, GOOD);
		ATF_REQUIRE_EQ(13, s.filter);
	}
	ready();
	ATF_REQUIRE_EQ(HVK_OK, hvk_netvsc_keepalive(&s, now));
	ATF_REQUIRE(pull());
	ATF_REQUIRE_EQ(HVK_OK, hvk_netvsc_halt(&s, now));
	ATF_REQUIRE(!s.mine);
	ATF_REQUIRE(!s.request.answered);
	ATF_REQUIRE_EQ(HVK_REJECT, completion(msg.txid, NULL, 0));
	ATF_REQUIRE_EQ(HVK_NETVSC_HALTING, s.phase);
}

ATF_TC(keepalive);
ATF_TC_HEAD(keepalive, tc)
{
	atf_tc_set_md_var(tc, "descr", "the host's keep-alive is answered, also "
	    "while a request is out, and a flood of them once at a time");
}
ATF_TC_BODY(keepalive, tc)
{
	struct hvk_rndis_simple k = { HVK_RNDIS_KEEPALIVE, 12, 77 };
	struct hvk_netvsc_message request;
	struct hvk_rndis_done d;
	uint32_t i, n = 0;

	ready();
	ATF_REQUIRE_EQ(HVK_OK, hvk_netvsc_set_filter(&s, 9, now));
	ATF_REQUIRE(pull());
	request = msg;
	for (i = 0; i < 1000; i++)
		ATF_REQUIRE_EQ(HVK_OK, rndis(&k, sizeof(k)));
	ATF_REQUIRE(!pull());		/* the page is the host's */
	taken(request.txid, HVK_NVSP_STATUS_OK);
	ATF_REQUIRE(pull());
	memcpy(&d, msg.rndis, sizeof(d));
	ATF_REQUIRE_EQ(HVK_RNDIS_KEEPALIVE_DONE, d.type);
	ATF_REQUIRE_EQ(77, d.id);
	/* Refused or not: it is not the request's fate. */
	taken(msg.txid, HVK_NVSP_STATUS_FAIL);
	ATF_REQUIRE_EQ(0, seen[HVK_NETVSC_REQUEST_OVER]);
	ATF_REQUIRE_EQ(HVK_NETVSC_REQUEST_OVER, hvk_netvsc_tick(&s,
	    now + STEP));
	for (i = 0; i < 1000; i++) {
		ATF_REQUIRE_EQ(HVK_OK, rndis(&k, sizeof(k)));
		if (pull())
			n++;
	}
	ATF_REQUIRE_EQ(1, n);
	taken(msg.txid, HVK_NVSP_STATUS_OK);
	ATF_REQUIRE_EQ(HVK_REJECT, rndis(&k, 11));
	k.len = 8;
	ATF_REQUIRE_EQ(HVK_REJECT, rndis(&k, sizeof(k)));
	k.len = 13;
	ATF_REQUIRE_EQ(HVK_REJECT, rndis(&k, sizeof(k)));
}

ATF_TC(indications);
ATF_TC_HEAD(indications, tc)
{
	atf_tc_set_md_var(tc, "descr", "link, speed and network indications, "
	    "with the status buffer where hosts put it or nowhere");
}
ATF_TC_BODY(indications, tc)
{
	uint32_t m[8] = { HVK_RNDIS_INDICATE, 20, HVK_RNDIS_STATUS_MEDIA_DOWN,
	    0, 0 };
	uint32_t i;

	ready();
	ATF_REQUIRE_EQ(HVK_OK, rndis(m, 20));
	ATF_REQUIRE_EQ(HVK_NETVSC_LINK, last);
	ATF_REQUIRE(!s.link);
	ATF_REQUIRE_EQ(HVK_OK, rndis(m, 20));
	ATF_REQUIRE_EQ(1, seen[HVK_NETVSC_LINK]);
	for (i = 0; i < 1000; i++) {
		m[2] = HVK_RNDIS_STATUS_MEDIA_UP + i % 2;
		ATF_REQUIRE_EQ(HVK_OK, rndis(m, 20));
	}
	ATF_REQUIRE_EQ(1001, seen[HVK_NETVSC_LINK]);
	ATF_REQUIRE_EQ(1001, s.links);
	/* The buffer counted in the length, and not (some hosts). */
	for (i = 0; i < 2; i++) {
		m[1] = i == 0 ? 24 : 20;
		m[2] = HVK_RNDIS_STATUS_LINK_SPEED;
		m[3] = 4;
		m[4] = 12;
		m[5] = 25000000 + i;
		ATF_REQUIRE_EQ(HVK_OK, rndis(m, 24));
		ATF_REQUIRE_EQ((25000000ull + i) * 100, s.speed);
	}
	m[5] = 1;
	ATF_REQUIRE_EQ(HVK_REJECT, rndis(m, 20));	/* not there */
	m[3] = 3;
	ATF_REQUIRE_EQ(HVK_REJECT, rndis(m, 24));
	m[3] = 4;
	for (i = 0; i < 5; i++) {
		static const uint32_t off[] = { 0, 11, 13, 0xffffffff,
		    0xfffffff4 };

		m[4] = off[i];
		ATF_REQUIRE_EQ(HVK_REJECT, rndis(m, 24));
	}
	ATF_REQUIRE_EQ(2500000100ull, s.speed);
	m[2] = HVK_RNDIS_STATUS_NETWORK;
	ATF_REQUIRE_EQ(HVK_OK, rndis(m, 24));
	ATF_REQUIRE_EQ(HVK_NETVSC_NETWORK, last);
	m[2] = HVK_RNDIS_STATUS_OFFLOAD;	/* as we set it: nothing new */
	ATF_REQUIRE_EQ(HVK_OK, rndis(m, 24));
	ATF_REQUIRE_EQ(0, s.unknown);
	m[2] = 0x12345678;
	ATF_REQUIRE_EQ(HVK_OK, rndis(m, 24));
	ATF_REQUIRE_EQ(1, s.unknown);
	ATF_REQUIRE_EQ(HVK_REJECT, rndis(m, 19));
	m[0] = HVK_RNDIS_PACKET;
	ATF_REQUIRE_EQ(HVK_REJECT, rndis(m, 24));
	ATF_REQUIRE_EQ(HVK_REJECT, rndis(m, 7));
	hvk_netvsc_stop(&s);
	m[0] = HVK_RNDIS_INDICATE;
	ATF_REQUIRE_EQ(HVK_REJECT, rndis(m, 24));
}

ATF_TC(notices);
ATF_TC_HEAD(notices, tc)
{
	atf_tc_set_md_var(tc, "descr", "send tables with right, wrong and "
	    "impossible offsets; VF associations; unknown messages");
}
ATF_TC_BODY(notices, tc)
{
	struct hvk_nvsp_send_table t;
	uint32_t vf[4] = { HVK_NVSP_VF_ASSOCIATION, 1, 42 };
	uint32_t i, old;

	for (old = 0; old < 2; old++) {
		good_host();
		if (old != 0)
			host.version = HVK_NVSP_VERSION_6;
		reach(HVK_NETVSC_READY);
		ATF_REQUIRE_EQ(2, hvk_netvsc_pick(&s, 6, 4));
		memset(&t, 0, sizeof(t));
		t.type = HVK_NVSP_SEND_TABLE;
		t.count = 16;
		t.offset = 40;
		for (i = 0; i < 16; i++)
			t.table[i] = 100 + i;
		ATF_REQUIRE_EQ(HVK_OK, inband(&t, sizeof(t)));
		ATF_REQUIRE_EQ(HVK_NETVSC_SEND_TABLE, last);
		ATF_REQUIRE_EQ(106, s.send_table[6]);
		/* A channel that is not there is still one of those. */
		for (i = 1; i < 64; i++)
			ATF_REQUIRE(hvk_netvsc_pick(&s, i * 7, i) < i);
		t.table[0] = 55;
		t.offset = 12;
		ATF_REQUIRE_EQ(HVK_OK, inband(&t, sizeof(t)));
		ATF_REQUIRE_EQ(old != 0 ? 55 : 0, s.send_table[0]);
		for (i = 0; i < 4; i++) {
			static const uint32_t off[] = { 41, 0xffffffff,
			    0xffffffc0, 8 };

			t.offset = off[i];
			ATF_REQUIRE_EQ(old != 0 ? HVK_OK : HVK_REJECT,
			    inband(&t, sizeof(t)));
			ATF_REQUIRE_EQ(HVK_REJECT, inband(&t, 96));
		}
		t.offset = 40;
		for (i = 0; i < 4; i++) {
			static const uint32_t n[] = { 0, 15, 17, 0xffffffff };

			t.count = n[i];
			ATF_REQUIRE_EQ(HVK_REJECT, inband(&t, sizeof(t)));
		}
		ATF_REQUIRE_EQ(HVK_REJECT, inband(&t, 8));
		ATF_REQUIRE_EQ(HVK_REJECT, inband(&t, 0));
	}
	ready();
	ATF_REQUIRE_EQ(HVK_OK, inband(vf, 16));
	ATF_REQUIRE_EQ(HVK_NETVSC_VF, last);
	ATF_REQUIRE(s.vf_present && s.vf_serial == 42);
	ATF_REQUIRE_EQ(HVK_OK, inband(vf, 16));
	ATF_REQUIRE_EQ(1, seen[HVK_NETVSC_VF]);
	vf[1] = 0;
	ATF_REQUIRE_EQ(HVK_REJECT, inband(vf, 8));
	ATF_REQUIRE_EQ(HVK_OK, inband(vf, 16));
	ATF_REQUIRE(!s.vf_present);
	/* An answer that nobody asked for is no notice. */
	for (i = 0; i < 256; i++) {
		vf[0] = i;
		if (i != HVK_NVSP_VF_ASSOCIATION)
			ATF_REQUIRE_EQ(HVK_REJECT, inband(vf, 16));
	}
	hvk_netvsc_stop(&s);
	vf[0] = HVK_NVSP_VF_ASSOCIATION;
	ATF_REQUIRE_EQ(HVK_REJECT, inband(vf, 16));
}

ATF_TC(forged);
ATF_TC_HEAD(forged, tc)
{
	atf_tc_set_md_var(tc, "descr", "completions for nothing, of the wrong "
	    "kind, with ids that hosts make up");
}
ATF_TC_BODY(forged, tc)
{
	static const uint64_t ids[] = { 0, 1, ~0ull, ~0ull - 1, ~0ull - 2,
	    1ull << 63, 0x4e00000000000000ull, 0x5200000000000000ull,
	    0x53ffffffffffffffull };
	struct hvk_nvsp_message n;
	enum hvk_netvsc_event event;
	struct hvk_packet pkt;
	uint32_t i, phase, type;
	bool ack;

	memset(&pkt, 0, sizeof(pkt));
	for (phase = HVK_NETVSC_VERSION; phase <= HVK_NETVSC_READY; phase++) {
		good_host();
		reach(phase);
		(void)pull();
		for (i = 0; i < HVK_COUNT(ids); i++)
			for (type = 0; type < 140; type++) {
				memset(&n, 0, sizeof(n));
				n.type = type;
				n.words[0] = n.words[2] = 1;
				pkt.type = HVK_PKT_COMPLETION;
				pkt.txid = ids[i];
				pkt.payload = (uint8_t *)&n;
				pkt.len = sizeof(n);
				ATF_REQUIRE_EQ(HVK_REJECT, hvk_netvsc_input(&s,
				    &pkt, now, &event, &ack));
				ATF_REQUIRE_EQ(HVK_NETVSC_NOTHING, event);
			}
		ATF_REQUIRE_EQ(phase, s.phase);
		pkt.type = HVK_PKT_CANCEL;
		ATF_REQUIRE_EQ(HVK_NETVSC_KIND_NONE, hvk_netvsc_kind(&pkt));
		ATF_REQUIRE_EQ(HVK_REJECT, hvk_netvsc_input(&s, &pkt, now,
		    &event, &ack));
	}
}

ATF_TC(halt);
ATF_TC_HEAD(halt, tc)
{
	atf_tc_set_md_var(tc, "descr", "shut-down from each phase, with a host "
	    "that helps and one that is silent; then up again, same version");
}
ATF_TC_BODY(halt, tc)
{
	uint32_t phase, revokes, silent;

	for (phase = HVK_NETVSC_VERSION; phase <= HVK_NETVSC_READY; phase++)
		for (silent = 0; silent < 2; silent++) {
			good_host();
			host.version = HVK_NVSP_VERSION_5;
			reach(phase);
			ATF_REQUIRE_EQ(HVK_OK, hvk_netvsc_halt(&s, now));
			ATF_REQUIRE_EQ(HVK_STATE, hvk_netvsc_halt(&s, now));
			if (pull())
				answer(&msg, silent != 0 ? SILENCE : GOOD);
			if (s.phase == HVK_NETVSC_HALTING)
				saw(hvk_netvsc_tick(&s, now + STEP));
			ATF_REQUIRE_EQ(HVK_NETVSC_HALTED, s.phase);
			ATF_REQUIRE_EQ(1, seen[HVK_NETVSC_IS_HALTED]);
			for (revokes = 0; hvk_netvsc_pull(&s, &msg); revokes++)
				ATF_REQUIRE_EQ(revokes == 0 ?
				    HVK_NVSP_RECV_BUFFER_REVOKE :
				    HVK_NVSP_SEND_BUFFER_REVOKE,
				    msg.nvsp.type);
			ATF_REQUIRE_EQ(phase >= HVK_NETVSC_RNDIS_INIT ? 2 :
			    phase == HVK_NETVSC_SEND_BUFFER ? 1 : 0, revokes);
			ATF_REQUIRE_EQ(HVK_OK, hvk_netvsc_start(&s, now));
			ATF_REQUIRE(pull());
			if (phase != HVK_NETVSC_VERSION)
				ATF_REQUIRE_EQ(HVK_NVSP_VERSION_5,
				    msg.nvsp.init.max);
			answer(&msg, GOOD);
			finish();
			ATF_REQUIRE_EQ(HVK_NETVSC_READY, s.phase);
			ATF_REQUIRE_EQ(3, s.subchannels);
		}
	/* A host that changed its mind about the version. */
	ready();
	ATF_REQUIRE_EQ(HVK_OK, hvk_netvsc_halt(&s, now));
	ATF_REQUIRE_EQ(HVK_NETVSC_IS_HALTED, hvk_netvsc_tick(&s, now + STEP));
	host.version = HVK_NVSP_VERSION_4;
	ATF_REQUIRE_EQ(HVK_OK, hvk_netvsc_start(&s, now));
	finish();
	ATF_REQUIRE_EQ(HVK_NETVSC_NO_VERSION, s.reason);
	ATF_REQUIRE_EQ(HVK_OK, hvk_netvsc_start(&s, now));
	hvk_netvsc_stop(&s);
	ATF_REQUIRE_EQ(HVK_STATE, hvk_netvsc_start(&s, now));
	ATF_REQUIRE_EQ(HVK_STATE, hvk_netvsc_halt(&s, now));
	ATF_REQUIRE(hvk_netvsc_gpadl_first(3 << 16));
	ATF_REQUIRE(!hvk_netvsc_gpadl_first(4 << 16));
}

/* The steps of a change when the n-th fails; as letters. */
static const char *
change(uint32_t fail, uint32_t fail2)
{
	static char steps[32];
	static const char letter[] = "hcosrDKL";
	enum hvk_netvsc_mtu_step step;
	struct hvk_netvsc_mtu m;
	uint32_t i;
	bool ok = true;

	hvk_netvsc_mtu_begin(&m, 1500, 9000);
	for (i = 0; i < 30; i++) {
		step = hvk_netvsc_mtu_next(&m, ok);
		steps[i] = letter[step];
		steps[i + 1] = '\0';
		if (step >= HVK_NETVSC_MTU_DONE)
			break;
		ok = i != fail && i != fail2;
	}
	ATF_REQUIRE_EQ(step == HVK_NETVSC_MTU_DONE ? 9000 : m.mtu, m.mtu);
	if (step == HVK_NETVSC_MTU_KEPT)
		ATF_REQUIRE_EQ(1500, m.mtu);
	ATF_REQUIRE_EQ(step, hvk_netvsc_mtu_next(&m, true));
	return (steps);
}

ATF_TC(mtu_steps);
ATF_TC_HEAD(mtu_steps, tc)
{
	atf_tc_set_md_var(tc, "descr", "a new MTU step by step, and back when a "
	    "step fails");
}
ATF_TC_BODY(mtu_steps, tc)
{
	ATF_REQUIRE_STREQ("hcosrD", change(99, 99));
	ATF_REQUIRE_STREQ("hcosrD", change(0, 99));
	ATF_REQUIRE_STREQ("hcL", change(1, 99));
	ATF_REQUIRE_STREQ("hcoL", change(2, 99));
	ATF_REQUIRE_STREQ("hcoscosrK", change(3, 99));
	ATF_REQUIRE_STREQ("hcosrcosrK", change(4, 99));
	ATF_REQUIRE_STREQ("hcoscosL", change(3, 6));
	ATF_REQUIRE_STREQ("hcoscosrL", change(3, 7));
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, phases);
	ATF_TP_ADD_TC(tp, versions);
	ATF_TP_ADD_TC(tp, sections);
	ATF_TP_ADD_TC(tp, limits);
	ATF_TP_ADD_TC(tp, optional);
	ATF_TP_ADD_TC(tp, order);
	ATF_TP_ADD_TC(tp, information);
	ATF_TP_ADD_TC(tp, requests);
	ATF_TP_ADD_TC(tp, keepalive);
	ATF_TP_ADD_TC(tp, indications);
	ATF_TP_ADD_TC(tp, notices);
	ATF_TP_ADD_TC(tp, forged);
	ATF_TP_ADD_TC(tp, halt);
	ATF_TP_ADD_TC(tp, mtu_steps);
	return (atf_no_error());
}
