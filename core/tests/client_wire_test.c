/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 */

/*
 * What the VMBus client puts on the wire: the negotiation with hosts of every
 * age, page lists of every length, the order of things, and what it does when
 * the host has no room.
 */

#include "client_rig.h"

static const uint32_t versions[] = {
	HVK_VERSION_6_0, HVK_VERSION_5_3, HVK_VERSION_5_2, HVK_VERSION_5_1,
	HVK_VERSION_5_0, HVK_VERSION_4_1, HVK_VERSION_4_0, HVK_VERSION_3_0,
	HVK_VERSION_2_4
};
#define	VERSIONS	(sizeof(versions) / sizeof(versions[0]))

/*
 * Negotiate with a host of one version.  An old host has no connection 4; a
 * newer one answers no.  Returns the number of contacts.
 */
static uint32_t
negotiate(struct rig *r, uint32_t host)
{
	struct hvk_msg_version_response answer;
	struct hvk_msg_initiate_contact m;
	uint32_t n;
	bool old;

	old = host < HVK_VERSION_5_0;
	ATF_REQUIRE_EQ(HVK_OK, hvk_client_connect(&r->c, r->now));
	for (n = 0; r->c.state == HVK_CLIENT_CONTACT; n++) {
		ATF_REQUIRE(n < 2 * VERSIONS);
		ATF_REQUIRE(hvk_client_post(&r->c, &r->post, r->now));
		ATF_REQUIRE_EQ(40, r->post.len);
		memset(&m, 0, sizeof(m));
		memcpy(&m, r->post.data, r->post.len);
		ATF_CHECK_EQ(HVK_MSG_INITIATE_CONTACT, m.hdr.type);
		ATF_CHECK_EQ(m.version >= HVK_VERSION_5_0 ? 4 : 1,
		    r->post.connection_id);
		ATF_CHECK_EQ(0x2000, m.monitor_in);
		ATF_CHECK_EQ(0x3000, m.monitor_out);
		if (m.version >= HVK_VERSION_5_0) {
			ATF_CHECK_EQ(2, m.sint);
			ATF_CHECK_EQ(0, m.vtl);
		} else {
			ATF_CHECK_EQ(0x1000, m.interrupt_page);
		}
		if (old && r->post.connection_id == 4) {
			hvk_client_posted(&r->c, HVK_HV_BAD_CONNECTION,
			    r->now);
			continue;
		}
		hvk_client_posted(&r->c, 0, r->now);
		memset(&answer, 0, sizeof(answer));
		answer.hdr.type = HVK_MSG_VERSION_RESPONSE;
		answer.supported = m.version <= host;
		answer.connection = 0x77;
		ATF_CHECK_EQ(HVK_OK, hvk_client_input(&r->c, &answer,
		    HVK_VERSION_RESPONSE_SIZE, r->now));
	}
	rig_pump(r);
	return (n);
}

ATF_TC(versions);
ATF_TC_HEAD(versions, tc)
{
	atf_tc_set_md_var(tc, "descr", "hosts of every version, and a cap of "
	    "every version, meet at the newest that both speak");
	atf_tc_set_md_var(tc, "X-feature", "core.versions");
}
ATF_TC_BODY(versions, tc)
{
	struct rig *r;
	size_t cap, host, meet;

	for (host = 0; host < VERSIONS; host++)
		for (cap = 0; cap < VERSIONS; cap++) {
			r = rig_new(versions[cap]);
			meet = host > cap ? host : cap;
			ATF_CHECK_EQ(meet - cap + 1,
			    negotiate(r, versions[host]));
			ATF_CHECK_EQ(HVK_CLIENT_CONNECTED, r->c.state);
			ATF_CHECK_EQ(versions[meet], r->c.version);
			ATF_CHECK_EQ(versions[meet] >= HVK_VERSION_5_0 ?
			    0x77 : 1, r->c.message_connection);
			free(r);
		}
}

ATF_TC(too_old);
ATF_TC_HEAD(too_old, tc)
{
	atf_tc_set_md_var(tc, "descr", "a host older than all versions, one "
	    "that never answers, one that is out of resources, one that takes "
	    "no messages: each fails, once, and says why");
}
ATF_TC_BODY(too_old, tc)
{
	struct hvk_msg_version_response m;
	struct rig *r;

	r = rig_new(0);
	negotiate(r, HVK_VERSION_1_1);
	ATF_CHECK_EQ(HVK_CLIENT_FAILED, r->c.state);
	ATF_CHECK_EQ(1, r->events[HVK_EVENT_FAILED]);
	ATF_CHECK_EQ(HVK_CLIENT_REFUSED, r->event[HVK_EVENT_FAILED].status);
	free(r);

	r = rig_new(0);
	hvk_client_connect(&r->c, r->now);
	rig_pump(r);
	rig_silence(r);
	ATF_CHECK_EQ(HVK_CLIENT_TIMEOUT, r->event[HVK_EVENT_FAILED].status);
	free(r);

	r = rig_new(0);
	hvk_client_connect(&r->c, r->now);
	rig_pump(r);
	memset(&m, 0, sizeof(m));
	m.hdr.type = HVK_MSG_VERSION_RESPONSE;
	m.supported = 1;
	m.state = HVK_CONTACT_LOW_RESOURCES;
	ATF_CHECK_EQ(HVK_OK, rig_say(r, &m, 16));
	ATF_CHECK_EQ(HVK_CLIENT_REFUSED, r->event[HVK_EVENT_FAILED].status);
	ATF_CHECK_EQ(1, r->event[HVK_EVENT_FAILED].host_status);
	free(r);

	r = rig_new(0);
	r->hv_status = HVK_HV_ACCESS_DENIED;
	hvk_client_connect(&r->c, r->now);
	rig_pump(r);
	ATF_CHECK_EQ(HVK_CLIENT_POST, r->event[HVK_EVENT_FAILED].status);
	ATF_CHECK_EQ(6, r->event[HVK_EVENT_FAILED].host_status);
	free(r);
}

/* Collect a page list from its messages; returns the number of messages. */
static uint32_t
collect(struct rig *r, uint32_t npfn)
{
	static uint64_t got[8190];
	struct hvk_msg_gpadl_header head;
	struct hvk_msg_gpadl_body body;
	uint32_t at, bytes, n = 0, have = 0;

	ATF_REQUIRE_EQ(HVK_OK, hvk_client_gpadl_create(&r->c, r->ch, r->pfn,
	    npfn, r, &r->g, r->now));
	while (hvk_client_post(&r->c, &r->post, r->now)) {
		if (n == 0) {
			memcpy(&head, r->post.data, sizeof(head));
			ATF_CHECK_EQ(HVK_MSG_GPADL_HEADER, head.hdr.type);
			ATF_CHECK_EQ(RIG_RELID, head.relid);
			ATF_CHECK_EQ(r->g->handle, head.gpadl);
			ATF_CHECK_EQ(8 + 8 * npfn, head.range_bytes);
			ATF_CHECK_EQ(1, head.range_count);
			memcpy(&bytes, r->post.data + 20, 4);
			ATF_CHECK_EQ(npfn * 4096, bytes);
			memcpy(&bytes, r->post.data + 24, 4);
			ATF_CHECK_EQ(0, bytes);
			at = 28;
		} else {
			memcpy(&body, r->post.data, sizeof(body));
			ATF_CHECK_EQ(HVK_MSG_GPADL_BODY, body.hdr.type);
			ATF_CHECK_EQ(r->g->handle, body.gpadl);
			ATF_CHECK_EQ(n - 1, body.number);
			at = 16;
		}
		ATF_REQUIRE((r->post.len - at) % 8 == 0);
		ATF_REQUIRE(have + (r->post.len - at) / 8 <= npfn);
		memcpy(got + have, r->post.data + at, r->post.len - at);
		have += (r->post.len - at) / 8;
		n++;
		hvk_client_posted(&r->c, 0, r->now);
	}
	ATF_REQUIRE_EQ(npfn, have);
	ATF_CHECK(memcmp(got, r->pfn, 8 * npfn) == 0);
	ATF_CHECK_EQ(HVK_OK, rig_created(r, 0));
	ATF_CHECK_EQ(HVK_CLIENT_OK, r->event[HVK_EVENT_GPADL_CREATED].status);
	ATF_CHECK_EQ((void *)r, r->event[HVK_EVENT_GPADL_CREATED].user);
	ATF_REQUIRE_EQ(HVK_OK, hvk_client_gpadl_teardown(&r->c, r->g,
	    r->now));
	rig_pump(r);
	ATF_CHECK_EQ(HVK_OK, rig_torndown(r));
	return (n);
}

ATF_TC(gpadl);
ATF_TC_HEAD(gpadl, tc)
{
	atf_tc_set_md_var(tc, "descr", "page lists of 1 to 8,190 pages arrive "
	    "whole, in as few messages as there can be");
}
ATF_TC_BODY(gpadl, tc)
{
	static const uint32_t sizes[] = { 1, 2, 25, 26, 27, 53, 54, 55, 82,
	    4096, 7936, 8189, 8190 };
	struct rig *r;
	uint32_t n;
	size_t i;

	r = rig_new(0);
	rig_connect(r);
	rig_offer(r, RIG_RELID);
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		n = sizes[i] <= 26 ? 1 : 1 + (sizes[i] - 26 + 27) / 28;
		ATF_CHECK_EQ(n, collect(r, sizes[i]));
	}
	ATF_CHECK_EQ(HVK_RANGE, hvk_client_gpadl_create(&r->c, r->ch, r->pfn,
	    0, NULL, &r->g, r->now));
	ATF_CHECK_EQ(HVK_RANGE, hvk_client_gpadl_create(&r->c, r->ch, r->pfn,
	    8191, NULL, &r->g, r->now));
	ATF_CHECK_EQ(0, r->ch->gpadls);
	free(r);
}

ATF_TC(busy);
ATF_TC_HEAD(busy, tc)
{
	atf_tc_set_md_var(tc, "descr", "a host without buffers is asked again, "
	    "later and later, and given up in bounded time");
}
ATF_TC_BODY(busy, tc)
{
	uint64_t deadline, last, start;
	struct rig *r;
	uint32_t tries;

	r = rig_new(0);
	rig_connect(r);
	rig_offer(r, RIG_RELID);
	r->hv_status = HVK_HV_INSUFFICIENT_BUFFERS;
	rig_gpadl(r, 30);
	ATF_CHECK_EQ(0, r->posts[HVK_MSG_GPADL_HEADER]);
	ATF_CHECK_EQ(1, r->c.post_retries);
	/* Not before its time. */
	ATF_CHECK(!hvk_client_post(&r->c, &r->post, r->now));
	deadline = hvk_client_deadline(&r->c);
	ATF_CHECK(deadline > r->now && deadline <= r->now + 2000000);
	/* Then it has room: all goes out. */
	r->now = deadline;
	r->hv_status = 0;
	rig_pump(r);
	ATF_CHECK_EQ(1, r->posts[HVK_MSG_GPADL_HEADER]);
	ATF_CHECK_EQ(1, r->posts[HVK_MSG_GPADL_BODY]);
	ATF_CHECK_EQ(HVK_OK, rig_created(r, 0));

	/* Never again: the request ends, and the memory was never given. */
	r->hv_status = HVK_HV_INSUFFICIENT_BUFFERS;
	start = r->now;
	rig_gpadl(r, 30);
	last = 0;
	for (tries = 0; r->events[HVK_EVENT_GPADL_CREATED] < 2; tries++) {
		ATF_REQUIRE(tries < 1000);
		deadline = hvk_client_deadline(&r->c);
		ATF_REQUIRE(deadline != HVK_CLIENT_NEVER);
		if (tries < 6)
			ATF_CHECK(deadline - r->now >= last);
		last = deadline - r->now;
		r->now = deadline;
		hvk_client_tick(&r->c, r->now);
		rig_pump(r);
	}
	ATF_CHECK(tries > 50);
	ATF_CHECK(r->now - start <= 20 * RIG_SECOND);
	ATF_CHECK(!r->event[HVK_EVENT_GPADL_CREATED].held);
	free(r);

	/* A message without an answer has no deadline: tries are counted. */
	r = rig_new(0);
	rig_connect(r);
	rig_offer(r, RIG_RELID);
	rig_relid(r, HVK_MSG_RESCIND, RIG_RELID);
	r->hv_status = HVK_HV_INSUFFICIENT_BUFFERS;
	start = r->now;
	ATF_REQUIRE_EQ(HVK_OK, hvk_client_release(&r->c, r->ch));
	for (tries = 0; r->ch->state != HVK_CHAN_FREE; tries++) {
		ATF_REQUIRE(tries < 1000);
		rig_pump(r);
		deadline = hvk_client_deadline(&r->c);
		if (deadline == HVK_CLIENT_NEVER)
			break;
		r->now = deadline;
		hvk_client_tick(&r->c, r->now);
	}
	ATF_CHECK_EQ(HVK_CHAN_FREE, r->ch->state);
	ATF_CHECK(tries > 50);
	ATF_CHECK(r->now - start <= 20 * RIG_SECOND);
	free(r);
}

ATF_TC(offers);
ATF_TC_HEAD(offers, tc)
{
	atf_tc_set_md_var(tc, "descr", "2,047 devices are accepted; the same "
	    "relid, the same instance, relid 0, 2,048 and a sub-channel of "
	    "nobody are not; a monitor that cannot be is ignored");
	atf_tc_set_md_var(tc, "X-feature", "core.multichannel");
}
ATF_TC_BODY(offers, tc)
{
	struct hvk_msg_offer m;
	struct rig *r;
	uint32_t i;

	r = rig_new(0);
	rig_connect(r);
	rig_offer_fill(&m, 7, 3);
	ATF_CHECK_EQ(HVK_REJECT, rig_say(r, &m, sizeof(m)));	/* no primary */
	for (i = 1; i <= 2046; i++)
		ATF_REQUIRE_EQ(HVK_OK, rig_offer(r, i));
	ATF_CHECK_EQ(HVK_REJECT, rig_offer(r, 1));
	ATF_CHECK_EQ(HVK_REJECT, rig_offer(r, 0));
	ATF_CHECK_EQ(HVK_REJECT, rig_offer(r, 2048));
	ATF_CHECK_EQ(HVK_REJECT, rig_offer(r, 0xffffffff));
	rig_offer_fill(&m, 1, 0);
	m.relid = 2047;			/* a live instance, another relid */
	ATF_CHECK_EQ(HVK_REJECT, rig_say(r, &m, sizeof(m)));
	m.subindex = 1;			/* its sub-channel */
	m.monitor_allocated = 1;
	m.monitor_id = 128;
	ATF_CHECK_EQ(HVK_OK, rig_say(r, &m, sizeof(m)));
	ATF_CHECK(!r->event[HVK_EVENT_OFFER].chan->monitored);
	ATF_CHECK_EQ(hvk_client_find(&r->c, 1), hvk_client_primary(&r->c,
	    r->event[HVK_EVENT_OFFER].chan));
	ATF_CHECK_EQ(2047, r->events[HVK_EVENT_OFFER]);
	/* A hundred rounds of everything leaving and coming back. */
	for (i = 0; i < 100; i++) {
		ATF_REQUIRE_EQ(HVK_OK, rig_relid(r, HVK_MSG_RESCIND, 1 + i));
		ATF_REQUIRE_EQ(HVK_OK, hvk_client_release(&r->c,
		    r->event[HVK_EVENT_RESCIND].chan));
		rig_pump(r);
		ATF_REQUIRE_EQ(HVK_OK, rig_offer(r, 1 + i));
	}
	ATF_CHECK_EQ(100, r->posts[HVK_MSG_RELID_RELEASED]);
	ATF_CHECK(hvk_client_deadline(&r->c) != HVK_CLIENT_NEVER);
	free(r);
}

ATF_TC(modify);
ATF_TC_HEAD(modify, tc)
{
	atf_tc_set_md_var(tc, "descr", "an open channel is moved: never before "
	    "4.1, at once before 5.3, when acknowledged from 5.3 on");
	atf_tc_set_md_var(tc, "X-feature", "core.retarget");
}
ATF_TC_BODY(modify, tc)
{
	struct hvk_msg_modify_channel_response m = {
	    { HVK_MSG_MODIFY_CHANNEL_RESPONSE, 0 }, RIG_RELID, 0 };
	struct hvk_msg_modify_channel sent;
	struct rig *r;
	size_t i;

	for (i = 0; i < VERSIONS; i++) {
		r = rig_new(versions[i]);
		rig_connect(r);
		rig_offer(r, RIG_RELID);
		ATF_CHECK_EQ(HVK_STATE,
		    hvk_client_modify(&r->c, r->ch, 3, r->now));
		rig_gpadl(r, 8);
		rig_created(r, 0);
		ATF_REQUIRE_EQ(HVK_OK, rig_start_open(r));
		ATF_REQUIRE_EQ(HVK_OK, rig_open_result(r, 0));
		if (versions[i] < HVK_VERSION_4_1) {
			ATF_CHECK_EQ(HVK_RANGE, hvk_client_modify(&r->c,
			    r->ch, 3, r->now));
			free(r);
			continue;
		}
		ATF_CHECK_EQ(HVK_OK, hvk_client_modify(&r->c, r->ch, 3,
		    r->now));
		ATF_CHECK_EQ(HVK_STATE, hvk_client_modify(&r->c, r->ch, 4,
		    r->now));
		rig_pump(r);
		memcpy(&sent, r->post.data, sizeof(sent));
		ATF_CHECK_EQ(HVK_MSG_MODIFY_CHANNEL, sent.hdr.type);
		ATF_CHECK_EQ(3, sent.target_vp);
		if (versions[i] >= HVK_VERSION_5_3) {
			ATF_CHECK_EQ(0, r->events[HVK_EVENT_MODIFIED]);
			ATF_CHECK_EQ(HVK_OK, rig_say(r, &m, sizeof(m)));
		} else {
			ATF_CHECK_EQ(HVK_REJECT, rig_say(r, &m, sizeof(m)));
		}
		ATF_CHECK_EQ(1, r->events[HVK_EVENT_MODIFIED]);
		ATF_CHECK_EQ(3, r->ch->vcpu);
		free(r);
	}
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, versions);
	ATF_TP_ADD_TC(tp, too_old);
	ATF_TP_ADD_TC(tp, gpadl);
	ATF_TP_ADD_TC(tp, busy);
	ATF_TP_ADD_TC(tp, offers);
	ATF_TP_ADD_TC(tp, modify);
	return (atf_no_error());
}
