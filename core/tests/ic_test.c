/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * Integration components: negotiation in every combination of versions, each
 * message in each state, replies that are late, doubled or spoilt, heartbeat,
 * shutdown, and the queue of requests for daemons.
 */
#include <stdio.h>

#include "ic_rig.h"

static struct ic_pair pair;
static struct hvk_ic_slot slots[4];

static const enum hvk_ic_type types[] = { HVK_IC_HEARTBEAT, HVK_IC_SHUTDOWN,
    HVK_IC_TIMESYNC, HVK_IC_KVP, HVK_IC_VSS, HVK_IC_FCOPY };

ATF_TC(versions);
ATF_TC_HEAD(versions, tc)
{
	atf_tc_set_md_var(tc, "descr", "the newest common version is agreed "
	    "on, whatever the host is capped to");
}
ATF_TC_BODY(versions, tc)
{
	const struct hvk_ic_service *s;
	uint32_t i, j, n = 0;

	for (i = 0; i < HVK_COUNT(types); i++) {
		s = hvk_ic_service(types[i]);
		ATF_REQUIRE(s != NULL);
		ATF_CHECK_EQ(s, hvk_ic_service_named(s->name));
		for (j = 0; j < s->nversions; j++, n++) {
			ic_agree(&pair, types[i], s->versions[j]);
			ATF_CHECK_EQ(s->versions[j], pair.guest.version);
			ATF_CHECK_EQ(s->versions[j] < HVK_IC_VERSION(3, 0) ?
			    HVK_IC_VERSION(1, 0) : HVK_IC_VERSION(3, 0),
			    pair.guest.framework);
		}
	}
	ATF_CHECK_EQ(NULL, hvk_ic_service(HVK_IC_NEGOTIATE));
	ATF_CHECK_EQ(NULL, hvk_ic_service(HVK_IC_RDV));
	ATF_CHECK_EQ(NULL, hvk_ic_service_named("rdv"));
	ATF_CHECK_EQ(HVK_RANGE, hvk_ic_init(&pair.guest, HVK_IC_RDV));
	ATF_CHECK_EQ(HVK_RANGE, hvk_ic_host_init(&pair.host, HVK_IC_KVP,
	    HVK_IC_VERSION(2, 0), 1));
	printf("%u versions of %zu services\n", n, HVK_COUNT(types));
}

/* A negotiation of our own making, for what no honest host would send. */
static enum hvk_ic_action
offer(uint16_t nf, uint16_t nm, const struct hvk_ic_version *v, uint32_t n)
{
	struct hvk_ic_negotiate head = { nf, nm, 0 };
	struct hvk_ic_header h = { .type = HVK_IC_NEGOTIATE, .txid = 9,
	    .flags = HVK_IC_TRANSACTION | HVK_IC_REQUEST };

	ATF_REQUIRE_EQ(HVK_OK, hvk_ic_make(&pair.to_guest, &h,
	    (uint32_t)(sizeof(head) + n * sizeof(*v))));
	memcpy(hvk_ic_body(&pair.to_guest), &head, sizeof(head));
	memcpy(hvk_ic_body(&pair.to_guest) + sizeof(head), v, n * sizeof(*v));
	return (ic_deliver(&pair));
}

static uint16_t
count(uint32_t i)
{
	uint16_t n;

	memcpy(&n, hvk_ic_body(&pair.got) + 2 * i, sizeof(n));
	return (n);
}

ATF_TC_WITHOUT_HEAD(odd_offers);
ATF_TC_BODY(odd_offers, tc)
{
	static struct hvk_ic_version v[300];
	const struct hvk_ic_version mixed[] = { { 9, 9 }, { 1, 0 }, { 3, 0 },
	    { 2, 0 }, { 7, 0 }, { 1, 0 }, { 3, 1 }, { 3, 0 } };
	uint32_t i;

	ic_agree(&pair, HVK_IC_SHUTDOWN, 0);
	/* Unknown versions among known ones, in any order. */
	ATF_CHECK_EQ(HVK_IC_SEND, offer(4, 4, mixed, 8));
	ATF_CHECK_EQ(HVK_IC_VERSION(3, 0), pair.guest.framework);
	ATF_CHECK_EQ(HVK_IC_VERSION(3, 1), pair.guest.version);
	ATF_CHECK_EQ(1, count(0));
	ATF_CHECK_EQ(1, count(1));
	/* None in common: said so, and nothing is agreed on any more. */
	ATF_CHECK_EQ(HVK_IC_SEND, offer(1, 1, mixed, 2));
	ATF_CHECK_EQ(0, count(0));
	ATF_CHECK_EQ(0, count(1));
	ATF_CHECK_EQ(0, pair.guest.version);
	ATF_CHECK_EQ(0, pair.guest.framework);
	/* Empty lists. */
	ATF_CHECK_EQ(HVK_IC_SEND, offer(0, 0, v, 0));
	ATF_CHECK_EQ(0, pair.guest.version);
	/* A hundred each is the limit; one more is not read. */
	for (i = 0; i < HVK_COUNT(v); i++)
		v[i] = (struct hvk_ic_version){ 3, 0 };
	ATF_CHECK_EQ(HVK_IC_SEND, offer(100, 100, v, 200));
	ATF_CHECK_EQ(HVK_IC_VERSION(3, 0), pair.guest.version);
	i = pair.guest.rejected;
	ATF_CHECK_EQ(HVK_IC_NOTHING, offer(101, 1, v, 102));
	ATF_CHECK_EQ(HVK_IC_NOTHING, offer(1, 0xffff, v, 2));
	ATF_CHECK_EQ(HVK_IC_NOTHING, offer(2, 2, v, 3));
	ATF_CHECK_EQ(i + 3, pair.guest.rejected);
	/* What was rejected changed nothing. */
	ATF_CHECK_EQ(HVK_IC_VERSION(3, 0), pair.guest.version);
}

ATF_TC_WITHOUT_HEAD(again);
ATF_TC_BODY(again, tc)
{
	/* After restore a host asks again: as often as it likes. */
	ic_agree(&pair, HVK_IC_HEARTBEAT, 0);
	for (int i = 0; i < 300; i++) {
		hvk_ic_host_open(&pair.host, 0, &pair.to_guest);
		ATF_REQUIRE_EQ(HVK_IC_HOST_NEGOTIATING, pair.host.phase);
		ATF_REQUIRE_EQ(HVK_IC_SEND, ic_deliver(&pair));
		ATF_REQUIRE_EQ(HVK_IC_HOST_AGREED,
		    ic_return(&pair, &pair.got));
	}
	ATF_CHECK_EQ(301, pair.guest.negotiations);
}

ATF_TC_WITHOUT_HEAD(frames);
ATF_TC_BODY(frames, tc)
{
	struct hvk_ic_frame f;
	struct hvk_packet p;
	struct ic_wire *w = &pair.wire;
	uint32_t n = 0, len;

	ic_agree(&pair, HVK_IC_HEARTBEAT, 0);
	ATF_REQUIRE_EQ(HVK_OK, hvk_heartbeat_ask(&pair.host, 0, 10, 7,
	    &pair.to_guest));
	/* Every length below the whole. */
	for (len = 0; len < pair.to_guest.len; len += 8, n++) {
		p = *ic_wire(w, &pair.to_guest);
		p.len = len;
		ATF_CHECK_EQ(HVK_IC_NOTHING, hvk_ic_input(&pair.guest, &p,
		    &pair.got));
	}
	/* Every other kind of packet. */
	p = *ic_wire(w, &pair.to_guest);
	for (p.type = 0; p.type < 20; p.type++) {
		if (p.type == HVK_PKT_INBAND)
			continue;
		ATF_CHECK_EQ(HVK_IC_NOTHING, hvk_ic_input(&pair.guest, &p,
		    &pair.got));
		n++;
	}
	/* Each field that can lie about a size. */
	memcpy(&f, pair.to_guest.bytes, sizeof(f));
	for (uint32_t lie = 0; lie < 6; lie++, n++) {
		struct hvk_ic_frame g = f;

		switch (lie) {
		case 0: g.pipe.type = 0; break;
		case 1: g.pipe.size = 19; break;
		case 2: g.pipe.size = 0xffffffff; break;
		case 3: g.pipe.size = hvk_align8(pair.to_guest.len) - 7; break;
		case 4: g.ic.size = 0xffff; break;
		default: g.ic.size = 41; break;
		}
		p = *ic_wire(w, &pair.to_guest);
		memcpy(w->copy, &g, sizeof(g));
		ATF_CHECK_EQ_MSG(HVK_IC_NOTHING, hvk_ic_input(&pair.guest, &p,
		    &pair.got), "lie %u", lie);
	}
	ATF_CHECK_EQ(n, pair.guest.rejected);
	/* The true one still works. */
	ATF_CHECK_EQ(HVK_IC_SERVE, ic_deliver(&pair));
}

ATF_TC_WITHOUT_HEAD(states);
ATF_TC_BODY(states, tc)
{
	struct hvk_ic_header h = { .flags = HVK_IC_REQUEST };
	uint32_t i, type;

	/* Every type of message before and after agreement. */
	for (i = 0; i < HVK_COUNT(types); i++) {
		for (type = 1; type < 12; type++) {
			ATF_REQUIRE_EQ(HVK_OK, hvk_ic_init(&pair.guest,
			    types[i]));
			h.type = (uint16_t)type;
			ATF_REQUIRE_EQ(HVK_OK, hvk_ic_make(&pair.to_guest, &h,
			    64));
			ATF_CHECK_EQ(HVK_IC_SEND, ic_deliver(&pair));
			ATF_CHECK_EQ(type == types[i] ? HVK_IC_FAIL :
			    HVK_IC_NOT_SUPPORTED,
			    hvk_ic_header(&pair.got).status);
			ATF_CHECK_EQ(HVK_IC_TRANSACTION | HVK_IC_RESPONSE,
			    hvk_ic_header(&pair.got).flags);
			ic_agree(&pair, types[i], 0);
			ATF_REQUIRE_EQ(HVK_OK, hvk_ic_make(&pair.to_guest, &h,
			    64));
			ATF_CHECK_EQ(type == types[i] ? HVK_IC_SERVE :
			    HVK_IC_SEND, ic_deliver(&pair));
		}
	}
}

ATF_TC(replies);
ATF_TC_HEAD(replies, tc)
{
	atf_tc_set_md_var(tc, "descr", "the host takes the answer to what it "
	    "asked, and no other");
}
ATF_TC_BODY(replies, tc)
{
	static struct hvk_ic_message reply, lie;
	struct hvk_ic_header h;
	uint32_t state;

	ic_agree(&pair, HVK_IC_HEARTBEAT, 0);
	/* Nothing was asked. */
	ATF_CHECK_EQ(HVK_IC_HOST_NOTHING, ic_return(&pair, &pair.got));
	ATF_REQUIRE_EQ(HVK_OK, hvk_heartbeat_ask(&pair.host, 100, 50, 41,
	    &pair.to_guest));
	ATF_CHECK_EQ(HVK_STATE, hvk_heartbeat_ask(&pair.host, 100, 50, 41,
	    &lie));
	ATF_CHECK_EQ(150, hvk_ic_host_deadline(&pair.host));
	ATF_REQUIRE_EQ(HVK_IC_SERVE, ic_deliver(&pair));
	reply = pair.got;
	hvk_heartbeat_serve(&pair.guest, &reply, HVK_HEARTBEAT_CRITICAL);
	/* Not a response; another's type; another's id; cut short. */
	lie = reply;
	lie.bytes[8 + 17] = HVK_IC_REQUEST;
	ATF_CHECK_EQ(HVK_IC_HOST_NOTHING, ic_return(&pair, &lie));
	lie = reply;
	lie.bytes[8 + 4] = HVK_IC_KVP;
	ATF_CHECK_EQ(HVK_IC_HOST_NOTHING, ic_return(&pair, &lie));
	lie = reply;
	lie.bytes[8 + 16]++;
	ATF_CHECK_EQ(HVK_IC_HOST_NOTHING, ic_return(&pair, &lie));
	lie = reply;
	lie.len = 20;
	ATF_CHECK_EQ(HVK_IC_HOST_NOTHING, ic_return(&pair, &lie));
	/* The truth, once. */
	ATF_CHECK_EQ(HVK_IC_HOST_REPLY, ic_return(&pair, &reply));
	ATF_CHECK_EQ(HVK_OK, hvk_heartbeat_check(&pair.to_host, 41, &state));
	ATF_CHECK_EQ(HVK_HEARTBEAT_CRITICAL, state);
	ATF_CHECK_EQ(HVK_REJECT, hvk_heartbeat_check(&pair.to_host, 42,
	    &state));
	h = hvk_ic_header(&pair.to_host);
	ATF_CHECK_EQ(HVK_IC_OK, h.status);
	ATF_CHECK_EQ(HVK_IC_HOST_NOTHING, ic_return(&pair, &reply));
	ATF_CHECK_EQ(5, pair.host.stale);
	ATF_CHECK_EQ(1, pair.host.rejected);
	/* Silence, then the answer after all. */
	ATF_REQUIRE_EQ(HVK_OK, hvk_heartbeat_ask(&pair.host, 200, 50, 42,
	    &pair.to_guest));
	ATF_CHECK_EQ(HVK_IC_HOST_NOTHING, hvk_ic_host_tick(&pair.host, 249));
	ATF_CHECK_EQ(HVK_IC_HOST_SILENT, hvk_ic_host_tick(&pair.host, 250));
	ATF_CHECK_EQ(HVK_IC_HOST_NOTHING, hvk_ic_host_tick(&pair.host, 251));
	ATF_REQUIRE_EQ(HVK_IC_SERVE, ic_deliver(&pair));
	hvk_heartbeat_serve(&pair.guest, &pair.got, HVK_HEARTBEAT_UNKNOWN);
	ATF_CHECK_EQ(HVK_IC_HOST_NOTHING, ic_return(&pair, &pair.got));
	ATF_CHECK_EQ(HVK_IC_HOST_READY, pair.host.phase);
}

ATF_TC_WITHOUT_HEAD(bad_agreement);
ATF_TC_BODY(bad_agreement, tc)
{
	static struct hvk_ic_message m;
	uint16_t v[2];

	/* The guest claims what was not offered, or two of each. */
	for (int lie = 0; lie < 4; lie++) {
		ic_agree(&pair, HVK_IC_SHUTDOWN, HVK_IC_VERSION(3, 1));
		hvk_ic_host_open(&pair.host, 0, &pair.to_guest);
		ATF_REQUIRE_EQ(HVK_IC_SEND, ic_deliver(&pair));
		m = pair.got;
		v[0] = v[1] = 2;
		switch (lie) {
		case 0:			/* newer than the cap */
			v[0] = 3;
			memcpy(hvk_ic_body(&m) + 12, v, 4);
			break;
		case 1:			/* a framework nobody has */
			memcpy(hvk_ic_body(&m) + 8, v, 4);
			break;
		case 2:
			memcpy(hvk_ic_body(&m), v, 4);
			break;
		default:
			ATF_REQUIRE_EQ(HVK_OK, hvk_ic_resize(&m, 12));
			break;
		}
		ATF_CHECK_EQ(HVK_IC_HOST_NO_VERSION, ic_return(&pair, &m));
		ATF_CHECK_EQ(HVK_IC_HOST_REFUSED, pair.host.phase);
		ATF_CHECK_EQ(HVK_STATE, hvk_ic_host_request(&pair.host, 0, 1,
		    4, &m));
	}
	hvk_ic_host_close(&pair.host);
	ATF_CHECK_EQ(UINT64_MAX, hvk_ic_host_deadline(&pair.host));
}

ATF_TC(heartbeat);
ATF_TC_HEAD(heartbeat, tc)
{
	atf_tc_set_md_var(tc, "descr", "the sequence counts on, in the long "
	    "and the short form, through its overflow");
	atf_tc_set_md_var(tc, "X-feature", "ic.heartbeat");
}
ATF_TC_BODY(heartbeat, tc)
{
	const uint64_t seq[] = { 0, 1, 0xffffffff, UINT64_MAX };
	uint32_t i, len, state;

	for (i = 0; i < HVK_COUNT(seq); i++) {
		for (len = 8; len <= 40; len += 8) {
			ic_agree(&pair, HVK_IC_HEARTBEAT, 0);
			ATF_REQUIRE_EQ(HVK_OK, hvk_heartbeat_ask(&pair.host, 0,
			    9, seq[i], &pair.to_guest));
			ATF_REQUIRE_EQ(HVK_OK, hvk_ic_resize(&pair.to_guest,
			    len));
			ATF_REQUIRE_EQ(HVK_IC_SERVE, ic_deliver(&pair));
			hvk_heartbeat_serve(&pair.guest, &pair.got,
			    HVK_HEARTBEAT_HEALTHY);
			ATF_REQUIRE_EQ(HVK_IC_HOST_REPLY, ic_return(&pair,
			    &pair.got));
			ATF_CHECK_EQ(HVK_OK, hvk_heartbeat_check(&pair.to_host,
			    seq[i], &state));
			ATF_CHECK_EQ(len >= 16 ? HVK_HEARTBEAT_HEALTHY :
			    HVK_HEARTBEAT_UNKNOWN, state);
		}
	}
	ATF_REQUIRE_EQ(HVK_OK, hvk_heartbeat_ask(&pair.host, 0, 9, 1,
	    &pair.to_guest));
	ATF_REQUIRE_EQ(HVK_OK, hvk_ic_resize(&pair.to_guest, 7));
	ATF_REQUIRE_EQ(HVK_IC_SERVE, ic_deliver(&pair));
	hvk_heartbeat_serve(&pair.guest, &pair.got, HVK_HEARTBEAT_HEALTHY);
	ATF_CHECK_EQ(HVK_IC_BAD_ARGUMENT, hvk_ic_header(&pair.got).status);
}

ATF_TC(shutdown);
ATF_TC_HEAD(shutdown, tc)
{
	atf_tc_set_md_var(tc, "descr", "every flag in every version, answered "
	    "honestly");
	atf_tc_set_md_var(tc, "X-feature", "ic.shutdown");
}
ATF_TC_BODY(shutdown, tc)
{
	const struct hvk_ic_service *svc = hvk_ic_service(HVK_IC_SHUTDOWN);
	struct hvk_shutdown s;
	uint32_t flags, i, n = 0;
	int error;

	for (i = 0; i < svc->nversions; i++) {
		for (flags = 0; flags < 16; flags++) {
			uint32_t v = svc->versions[i], what = flags & ~1u;
			bool can = v >= (what == 2 ? HVK_IC_VERSION(3, 1) :
			    what >= 4 && what < 8 ? HVK_IC_VERSION(3, 2) : 0);

			ic_agree(&pair, HVK_IC_SHUTDOWN, v);
			error = hvk_shutdown_ask(&pair.host, 0, 9, flags,
			    HVK_SHUTDOWN_PLANNED | 5, 77, "a reason",
			    &pair.to_guest);
			if ((what & 6) != 6 && what < 8)
				ATF_CHECK_EQ(can ? HVK_OK : HVK_REJECT, error);
			if (error != HVK_OK)
				continue;
			n++;
			ATF_REQUIRE_EQ(HVK_IC_SERVE, ic_deliver(&pair));
			hvk_shutdown_serve(&pair.guest, &pair.got, false, &s);
			ATF_CHECK_STREQ("a reason", s.text);
			ATF_CHECK_EQ(77, s.timeout);
			ATF_CHECK(s.planned);
			ATF_CHECK_EQ((flags & 1) != 0, s.force);
			ATF_CHECK_EQ(what == 0 ? HVK_SHUTDOWN_POWEROFF :
			    what == 2 ? HVK_SHUTDOWN_REBOOT :
			    HVK_SHUTDOWN_NONE, s.action);
			ATF_CHECK_EQ(what <= 2 ? HVK_IC_OK :
			    HVK_IC_NOT_SUPPORTED,
			    hvk_ic_header(&pair.got).status);
			ATF_CHECK_EQ(HVK_IC_HOST_REPLY, ic_return(&pair,
			    &pair.got));
		}
	}
	printf("figure: ic.shutdown %u requests in %u versions\n", n,
	    svc->nversions);
}

ATF_TC_WITHOUT_HEAD(shutdown_text);
ATF_TC_BODY(shutdown_text, tc)
{
	static char longer[4000];
	struct hvk_shutdown s;
	uint8_t *text;
	uint32_t i;

	memset(longer, 'x', sizeof(longer) - 1);
	ic_agree(&pair, HVK_IC_SHUTDOWN, 0);
	ATF_REQUIRE_EQ(HVK_OK, hvk_shutdown_ask(&pair.host, 0, 9, 4, 0, 0,
	    longer, &pair.to_guest));
	ATF_REQUIRE_EQ(HVK_IC_SERVE, ic_deliver(&pair));
	hvk_shutdown_serve(&pair.guest, &pair.got, true, &s);
	ATF_CHECK_EQ(HVK_SHUTDOWN_SLEEP, s.action);
	ATF_CHECK_EQ(sizeof(s.text) - 1, strlen(s.text));
	/* UTF-16, control characters, no end. */
	text = hvk_ic_body(&pair.to_guest) + 12;
	memset(text, 0, 2048);
	for (i = 0; i < 5; i++)
		text[2 * i] = (uint8_t)"hello"[i];
	ATF_REQUIRE_EQ(HVK_IC_SERVE, ic_deliver(&pair));
	hvk_shutdown_serve(&pair.guest, &pair.got, true, &s);
	ATF_CHECK_STREQ("hello", s.text);
	memset(text, '\n', 2048);
	ATF_REQUIRE_EQ(HVK_IC_SERVE, ic_deliver(&pair));
	hvk_shutdown_serve(&pair.guest, &pair.got, true, &s);
	ATF_CHECK_EQ(sizeof(s.text) - 1, strspn(s.text, "?"));
	/* Without text, and too short for its numbers. */
	ATF_REQUIRE_EQ(HVK_OK, hvk_ic_resize(&pair.to_guest, 12));
	ATF_REQUIRE_EQ(HVK_IC_SERVE, ic_deliver(&pair));
	hvk_shutdown_serve(&pair.guest, &pair.got, true, &s);
	ATF_CHECK_STREQ("", s.text);
	ATF_CHECK_EQ(HVK_SHUTDOWN_SLEEP, s.action);
	for (i = 0; i < 12; i++) {
		ATF_REQUIRE_EQ(HVK_OK, hvk_ic_resize(&pair.to_guest, i));
		ATF_REQUIRE_EQ(HVK_IC_SERVE, ic_deliver(&pair));
		hvk_shutdown_serve(&pair.guest, &pair.got, true, &s);
		ATF_CHECK_EQ(HVK_SHUTDOWN_NONE, s.action);
		ATF_CHECK_EQ(HVK_IC_BAD_ARGUMENT,
		    hvk_ic_header(&pair.got).status);
	}
}

static void
add(struct hvk_ic_queue *q, uint8_t mark, uint64_t now, int want)
{
	struct hvk_ic_header h = { .type = HVK_IC_KVP, .txid = mark };

	ATF_REQUIRE_EQ(HVK_OK, hvk_ic_make(&pair.to_guest, &h, 32));
	ATF_CHECK_EQ(want, hvk_ic_queue_add(q, &pair.to_guest, now));
}

ATF_TC_WITHOUT_HEAD(queue);
ATF_TC_BODY(queue, tc)
{
	struct hvk_ic_message *m;
	struct hvk_ic_queue q;
	uint64_t id[4], late;

	ATF_CHECK_EQ(HVK_RANGE, hvk_ic_queue_init(&q, slots, 0, 30));
	ATF_CHECK_EQ(HVK_RANGE, hvk_ic_queue_init(&q, slots, 17, 30));
	ATF_REQUIRE_EQ(HVK_OK, hvk_ic_queue_init(&q, slots, 4, 30));
	ATF_CHECK_EQ(UINT64_MAX, hvk_ic_queue_deadline(&q));
	ATF_CHECK_EQ(HVK_AGAIN, hvk_ic_queue_take(&q, &id[0], &m));
	for (uint8_t i = 0; i < 4; i++)
		add(&q, i, i, HVK_OK);
	add(&q, 9, 9, HVK_NOSPACE);
	ATF_CHECK_EQ(30, hvk_ic_queue_deadline(&q));
	/* In the order of arrival. */
	for (uint8_t i = 0; i < 4; i++) {
		ATF_CHECK_EQ(i, hvk_ic_header(hvk_ic_queue_peek(&q)).txid);
		ATF_REQUIRE_EQ(HVK_OK, hvk_ic_queue_take(&q, &id[i], &m));
		ATF_CHECK(id[i] != 0);
		ATF_CHECK_EQ(i, hvk_ic_header(m).txid);
	}
	ATF_CHECK(hvk_ic_queue_peek(&q) == NULL);
	/* Answered in another order; once. */
	m = hvk_ic_queue_find(&q, id[2]);
	ATF_REQUIRE(m != NULL);
	ATF_CHECK_EQ(2, hvk_ic_header(m).txid);
	hvk_ic_queue_done(&q, id[2]);
	ATF_CHECK(hvk_ic_queue_find(&q, id[2]) == NULL);
	ATF_CHECK(hvk_ic_queue_find(&q, 99) == NULL);
	ATF_CHECK_EQ(2, q.stale);
	/* The slot serves another; the old id stays dead. */
	add(&q, 7, 10, HVK_OK);
	ATF_REQUIRE_EQ(HVK_OK, hvk_ic_queue_take(&q, &late, &m));
	ATF_CHECK((uint32_t)late == (uint32_t)id[2] && late != id[2]);
	ATF_CHECK(hvk_ic_queue_find(&q, id[2]) == NULL);
	/* Time passes. */
	ATF_CHECK(hvk_ic_queue_expire(&q, 29, HVK_IC_FAIL) == NULL);
	m = hvk_ic_queue_expire(&q, 31, HVK_IC_FAIL);
	ATF_REQUIRE(m != NULL);
	ATF_CHECK_EQ(0, hvk_ic_header(m).txid);
	ATF_CHECK_EQ(HVK_IC_FAIL, hvk_ic_header(m).status);
	ATF_CHECK_EQ(1, hvk_ic_header(hvk_ic_queue_expire(&q, 31,
	    HVK_IC_FAIL)).txid);
	ATF_CHECK(hvk_ic_queue_expire(&q, 31, HVK_IC_FAIL) == NULL);
	ATF_CHECK(hvk_ic_queue_find(&q, id[0]) == NULL);
	/* The daemon dies: what it had ends now, the rest waits a little. */
	add(&q, 8, 31, HVK_OK);
	hvk_ic_queue_abandon(&q, 32, 5);
	ATF_CHECK_EQ(0, hvk_ic_queue_deadline(&q));
	ATF_CHECK(hvk_ic_queue_expire(&q, 32, HVK_IC_FAIL) != NULL);
	ATF_CHECK(hvk_ic_queue_expire(&q, 32, HVK_IC_FAIL) != NULL);
	ATF_CHECK(hvk_ic_queue_expire(&q, 32, HVK_IC_FAIL) == NULL);
	ATF_CHECK_EQ(8, hvk_ic_header(hvk_ic_queue_peek(&q)).txid);
	ATF_CHECK_EQ(37, hvk_ic_queue_deadline(&q));
	/* That makes nothing later than it was. */
	hvk_ic_queue_abandon(&q, 33, 1000);
	ATF_CHECK_EQ(37, hvk_ic_queue_deadline(&q));
	hvk_ic_queue_flush(&q);
	ATF_CHECK(hvk_ic_queue_peek(&q) == NULL);
	ATF_CHECK_EQ(UINT64_MAX, hvk_ic_queue_deadline(&q));
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, versions);
	ATF_TP_ADD_TC(tp, odd_offers);
	ATF_TP_ADD_TC(tp, again);
	ATF_TP_ADD_TC(tp, frames);
	ATF_TP_ADD_TC(tp, states);
	ATF_TP_ADD_TC(tp, replies);
	ATF_TP_ADD_TC(tp, bad_agreement);
	ATF_TP_ADD_TC(tp, heartbeat);
	ATF_TP_ADD_TC(tp, shutdown);
	ATF_TP_ADD_TC(tp, shutdown_text);
	ATF_TP_ADD_TC(tp, queue);
	return (atf_no_error());
}
