/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 */

/*
 * The VMBus client in every state against every message that a host can send:
 * as it should be, refused, for somebody else, short, long, and not at all.
 * After each, time passes in silence: every request must end exactly once, and
 * an unload must still work.
 */

#include "client_rig.h"

enum state {
	S_IDLE, S_CONTACT_QUEUED, S_CONTACT, S_CONNECTED, S_OFFERED, S_SENDING,
	S_CREATING, S_LIVE, S_OPEN_QUEUED, S_OPENING, S_OPEN, S_MODIFYING,
	S_CLOSED, S_TEARING, S_REVOKED, S_REVOKED_OPEN, S_RELEASED,
	S_RESERVED, S_RESERVED_CLOSING, S_UNLOAD_QUEUED, S_UNLOADING,
	S_UNLOADED, S_FAILED, S_COUNT
};

static const char *const state_name[S_COUNT] = {
	"idle", "contact-queued", "contact", "connected", "offered", "sending",
	"creating", "live", "open-queued", "opening", "open", "modifying",
	"closed", "tearing", "revoked", "revoked-open", "released",
	"reserved", "reserved-closing", "unload-queued", "unloading",
	"unloaded", "failed"
};

enum form {
	F_GOOD, F_REFUSED, F_OTHER, F_SHORT, F_LONG, F_HUGE, F_COUNT
};

#define	B(name)		(1u << HVK_MSG_##name)
#define	BUS		(B(OFFER) | B(ALL_OFFERS_DELIVERED))
#define	DEVICE		(BUS | B(RESCIND))

/* Which messages are understood in good form, in which state. */
static const uint32_t good[S_COUNT] = {
	[S_CONTACT] = B(VERSION_RESPONSE),
	[S_CONNECTED] = BUS,
	[S_OFFERED] = DEVICE,
	[S_SENDING] = DEVICE,
	[S_CREATING] = DEVICE | B(GPADL_CREATED),
	[S_LIVE] = DEVICE,
	[S_OPEN_QUEUED] = DEVICE,
	[S_OPENING] = DEVICE | B(OPEN_RESULT),
	[S_OPEN] = DEVICE,
	[S_MODIFYING] = DEVICE | B(MODIFY_CHANNEL_RESPONSE),
	[S_CLOSED] = DEVICE,
	[S_TEARING] = DEVICE | B(GPADL_TORNDOWN),
	[S_REVOKED] = BUS,
	[S_REVOKED_OPEN] = BUS,
	[S_RELEASED] = BUS,
	[S_RESERVED] = DEVICE,
	[S_RESERVED_CLOSING] = DEVICE | B(CLOSE_RESERVED_RESPONSE),
	[S_UNLOADING] = B(UNLOAD_RESPONSE)
};

/* What a refusal changes about that. */
static const uint32_t refused[S_COUNT] = {
	[S_SENDING] = B(GPADL_CREATED)
};

/* Which request is under way, and so must end exactly once. */
static const uint8_t pending[S_COUNT] = {
	[S_SENDING] = HVK_EVENT_GPADL_CREATED,
	[S_CREATING] = HVK_EVENT_GPADL_CREATED,
	[S_OPEN_QUEUED] = HVK_EVENT_OPENED,
	[S_OPENING] = HVK_EVENT_OPENED,
	[S_MODIFYING] = HVK_EVENT_MODIFIED,
	[S_TEARING] = HVK_EVENT_GPADL_TORNDOWN,
	[S_RESERVED_CLOSING] = HVK_EVENT_CLOSED,
	[S_UNLOAD_QUEUED] = HVK_EVENT_UNLOADED,
	[S_UNLOADING] = HVK_EVENT_UNLOADED
};

static const uint32_t messages[] = {
	HVK_MSG_OFFER, HVK_MSG_RESCIND, HVK_MSG_ALL_OFFERS_DELIVERED,
	HVK_MSG_OPEN_RESULT, HVK_MSG_GPADL_CREATED, HVK_MSG_GPADL_TORNDOWN,
	HVK_MSG_VERSION_RESPONSE, HVK_MSG_UNLOAD_RESPONSE,
	HVK_MSG_CLOSE_RESERVED_RESPONSE, HVK_MSG_TL_CONNECT_RESULT,
	HVK_MSG_MODIFY_CHANNEL_RESPONSE, HVK_MSG_MODIFY_CONNECTION_RESPONSE,
	HVK_MSG_PAUSE_RESPONSE,
	/* not for a guest, and not at all */
	0, HVK_MSG_REQUEST_OFFERS, HVK_MSG_OPEN, HVK_MSG_GPADL_HEADER,
	HVK_MSG_INITIATE_CONTACT, HVK_MSG_UNLOAD, HVK_MSG_MODIFY_CHANNEL,
	HVK_MSG_COUNT, 1000, 0xffffffff
};

static void
reach_ring(struct rig *r, enum state s)
{
	struct hvk_client_open o;

	rig_gpadl(r, 8);
	ATF_REQUIRE_EQ(HVK_OK, rig_created(r, 0));
	ATF_REQUIRE_EQ(HVK_GPADL_LIVE, r->g->state);
	if (s == S_LIVE)
		return;
	if (s == S_TEARING) {
		ATF_REQUIRE_EQ(HVK_OK, hvk_client_gpadl_teardown(&r->c, r->g,
		    r->now));
		rig_pump(r);
		return;
	}
	memset(&o, 0, sizeof(o));
	o.ring_gpadl = r->g->handle;
	o.rx_page = 4;
	if (s == S_RESERVED || s == S_RESERVED_CLOSING) {
		ATF_REQUIRE_EQ(HVK_OK, hvk_client_open_reserved(&r->c, r->ch,
		    &o, 3, r->now));
		rig_pump(r);
		ATF_REQUIRE_EQ(HVK_CHAN_OPEN, r->ch->state);
		if (s == S_RESERVED_CLOSING)
			ATF_REQUIRE_EQ(HVK_OK, hvk_client_close_reserved(&r->c,
			    r->ch, r->now));
		rig_pump(r);
		return;
	}
	if (s == S_OPEN_QUEUED) {
		ATF_REQUIRE_EQ(HVK_OK, hvk_client_open(&r->c, r->ch, &o,
		    r->now));
		return;
	}
	ATF_REQUIRE_EQ(HVK_OK, rig_start_open(r));
	if (s == S_OPENING)
		return;
	ATF_REQUIRE_EQ(HVK_OK, rig_open_result(r, 0));
	ATF_REQUIRE_EQ(HVK_CHAN_OPEN, r->ch->state);
	if (s == S_MODIFYING)
		ATF_REQUIRE_EQ(HVK_OK, hvk_client_modify(&r->c, r->ch, 7,
		    r->now));
	if (s == S_CLOSED)
		ATF_REQUIRE_EQ(HVK_OK, hvk_client_close(&r->c, r->ch));
	if (s == S_REVOKED_OPEN)
		ATF_REQUIRE_EQ(HVK_OK, rig_relid(r, HVK_MSG_RESCIND,
		    RIG_RELID));
	rig_pump(r);
}

static struct rig *
reach(enum state s)
{
	struct rig *r;

	r = rig_new(0);
	if (s == S_IDLE)
		return (r);
	if (s <= S_CONTACT || s == S_FAILED) {
		ATF_REQUIRE_EQ(HVK_OK, hvk_client_connect(&r->c, r->now));
		if (s != S_CONTACT_QUEUED)
			rig_pump(r);
		if (s == S_FAILED)
			rig_silence(r);
		return (r);
	}
	rig_connect(r);
	if (s == S_CONNECTED)
		return (r);
	ATF_REQUIRE_EQ(HVK_OK, rig_offer(r, RIG_RELID));
	ATF_REQUIRE(r->ch != NULL);
	if (s == S_SENDING || s == S_CREATING) {
		r->limit = s == S_SENDING ? 2 : 0;
		rig_gpadl(r, 100);
		r->limit = 0;
	} else if (s == S_REVOKED || s == S_RELEASED) {
		ATF_REQUIRE_EQ(HVK_OK, rig_relid(r, HVK_MSG_RESCIND,
		    RIG_RELID));
		if (s == S_RELEASED)
			ATF_REQUIRE_EQ(HVK_OK, hvk_client_release(&r->c,
			    r->ch));
		rig_pump(r);
	} else if (s >= S_LIVE && s <= S_RESERVED_CLOSING) {
		reach_ring(r, s);
	} else if (s >= S_UNLOAD_QUEUED) {
		hvk_client_unload(&r->c, r->now);
		if (s != S_UNLOAD_QUEUED)
			rig_pump(r);
		if (s == S_UNLOADED)
			rig_silence(r);
	}
	return (r);
}

/* The message, its right length in *len. */
static void
compose(struct rig *r, uint32_t type, enum form form, uint8_t *buf,
    uint32_t *len)
{
	struct hvk_msg_offer *offer = (void *)buf;
	struct hvk_msg_open_result *open = (void *)buf;
	struct hvk_msg_gpadl_created *created = (void *)buf;
	struct hvk_msg_gpadl_torndown *torndown = (void *)buf;
	struct hvk_msg_version_response *version = (void *)buf;
	struct hvk_msg_modify_channel_response *modify = (void *)buf;
	struct hvk_msg_relid *relid = (void *)buf;
	uint32_t bad, handle;

	memset(buf, 0, 512);
	bad = form == F_REFUSED ? 0xc0000001 : 0;
	handle = r->g != NULL ? r->g->handle : 0x123;
	if (form == F_OTHER)
		handle ^= 0x40000;
	relid->hdr.type = type;
	relid->relid = form == F_OTHER ? 77 : RIG_RELID;
	*len = 12;
	switch (type) {
	case HVK_MSG_OFFER:
		rig_offer_fill(offer, 9, 0);
		if (form == F_OTHER)
			offer->relid = 0;
		if (form == F_REFUSED)
			offer->relid = 2048;
		*len = sizeof(*offer);
		break;
	case HVK_MSG_OPEN_RESULT:
		open->open_id = r->ch != NULL ? r->ch->open_id : 1;
		open->status = bad;
		*len = sizeof(*open);
		break;
	case HVK_MSG_GPADL_CREATED:
		created->gpadl = handle;
		created->status = bad;
		*len = sizeof(*created);
		break;
	case HVK_MSG_GPADL_TORNDOWN:
		torndown->gpadl = handle;
		break;
	case HVK_MSG_VERSION_RESPONSE:
		relid->relid = 0;
		version->supported = form != F_REFUSED;
		version->state = form == F_OTHER ? 2 : 0;
		version->connection = 0x99;
		*len = 16;
		break;
	case HVK_MSG_MODIFY_CHANNEL_RESPONSE:
		modify->status = bad;
		*len = sizeof(*modify);
		break;
	case HVK_MSG_TL_CONNECT_RESULT:
		*len = 44;
		break;
	case HVK_MSG_MODIFY_CONNECTION_RESPONSE:
		*len = 9;
		break;
	case HVK_MSG_ALL_OFFERS_DELIVERED:
	case HVK_MSG_UNLOAD_RESPONSE:
	case HVK_MSG_PAUSE_RESPONSE:
		relid->relid = 0;
		*len = 8;
		break;
	default:
		break;
	}
}

static bool
expected(enum state s, uint32_t type, enum form form)
{
	uint32_t set;

	if (type >= HVK_MSG_COUNT || form == F_SHORT || form == F_HUGE)
		return (false);
	set = good[s];
	if (form == F_REFUSED) {
		set |= refused[s];
		set &= ~B(OFFER);
	}
	if (form == F_OTHER)
		set &= B(ALL_OFFERS_DELIVERED) | B(VERSION_RESPONSE) |
		    B(UNLOAD_RESPONSE);
	return ((set >> type & 1) != 0);
}

static void
one(enum state s, uint32_t type, enum form form)
{
	uint8_t buf[512] __attribute__((__aligned__(8)));
	uint64_t before[3], after;
	struct rig *r;
	uint32_t ended, len;
	bool want;
	int error;

	r = reach(s);
	compose(r, type, form, buf, &len);
	if (form == F_SHORT)
		len--;
	if (form == F_LONG)
		len = 240;
	if (form == F_HUGE)
		len = 241;
	before[0] = r->c.messages;
	before[1] = r->c.rejected;
	before[2] = r->c.unexpected;
	ended = pending[s] != 0 ? r->events[pending[s]] : 0;
	want = expected(s, type, form);

	/* Without taking what is queued: the answer may come first. */
	error = hvk_client_input(&r->c, buf, len, r->now);
	ATF_REQUIRE_MSG((error == HVK_OK) == want,
	    "state %s, message %u, form %d: %d", state_name[s], type, form,
	    error);
	after = r->c.messages + r->c.rejected + r->c.unexpected;
	ATF_REQUIRE_EQ(before[0] + before[1] + before[2] + 1, after);
	if (form == F_SHORT || form == F_HUGE)
		ATF_REQUIRE_EQ(before[1] + 1, r->c.rejected);
	rig_pump(r);

	rig_silence(r);
	if (pending[s] != 0)
		ATF_REQUIRE_MSG(r->events[pending[s]] == ended + 1,
		    "state %s, message %u, form %d: request ended %u times",
		    state_name[s], type, form,
		    r->events[pending[s]] - ended);

	hvk_client_unload(&r->c, r->now);
	rig_pump(r);
	rig_silence(r);
	ATF_REQUIRE_EQ(HVK_CLIENT_UNLOADED, r->c.state);
	ATF_REQUIRE_EQ(1, r->events[HVK_EVENT_UNLOADED]);
	free(r);
}

ATF_TC(matrix);
ATF_TC_HEAD(matrix, tc)
{
	atf_tc_set_md_var(tc, "descr", "every state times every message times "
	    "answered, refused, misdirected, short, long and oversized");
	atf_tc_set_md_var(tc, "X-feature", "core.rescind");
}
ATF_TC_BODY(matrix, tc)
{
	uint32_t f, m, s, n = 0;

	for (s = 0; s < S_COUNT; s++)
		for (m = 0; m < sizeof(messages) / sizeof(messages[0]); m++)
			for (f = 0; f < F_COUNT; f++, n++)
				one(s, messages[m], f);
	printf("%u combinations\n", n);
}

ATF_TC(silence);
ATF_TC_HEAD(silence, tc)
{
	atf_tc_set_md_var(tc, "descr", "in every state, a host that says "
	    "nothing any more ends every request by its deadline");
}
ATF_TC_BODY(silence, tc)
{
	struct rig *r;
	uint32_t ended, s;

	for (s = 0; s < S_COUNT; s++) {
		r = reach(s);
		ended = pending[s] != 0 ? r->events[pending[s]] : 0;
		rig_pump(r);
		rig_silence(r);
		if (pending[s] != 0) {
			ATF_CHECK_EQ_MSG(ended + 1, r->events[pending[s]],
			    "state %s", state_name[s]);
			ATF_CHECK_MSG(r->event[pending[s]].status ==
			    HVK_CLIENT_TIMEOUT, "state %s", state_name[s]);
		}
		free(r);
	}
}

ATF_TC(rescind);
ATF_TC_HEAD(rescind, tc)
{
	atf_tc_set_md_var(tc, "descr", "a rescind in every state of a channel "
	    "ends its request, then close, tear down and release go out in "
	    "that order, and the relid can be offered again");
	atf_tc_set_md_var(tc, "X-feature", "core.rescind");
}
ATF_TC_BODY(rescind, tc)
{
	struct rig *r;
	uint32_t s;
	bool was_open;

	for (s = S_OFFERED; s <= S_TEARING; s++) {
		r = reach(s);
		was_open = s == S_OPEN || s == S_MODIFYING || s == S_OPENING;
		ATF_REQUIRE_EQ(HVK_OK, rig_relid(r, HVK_MSG_RESCIND,
		    RIG_RELID));
		ATF_CHECK_EQ(1, r->events[HVK_EVENT_RESCIND]);
		if (pending[s] != 0 && s != S_TEARING) {
			ATF_CHECK_EQ_MSG(HVK_CLIENT_REVOKED,
			    r->event[pending[s]].status, "state %s",
			    state_name[s]);
		}
		if (was_open || (r->g != NULL &&
		    r->g->state != HVK_GPADL_FREE))
			ATF_CHECK_EQ_MSG(HVK_STATE, hvk_client_release(&r->c,
			    r->ch), "state %s", state_name[s]);
		ATF_CHECK_EQ_MSG(was_open ? HVK_OK : HVK_STATE,
		    hvk_client_close(&r->c, r->ch), "state %s", state_name[s]);
		rig_pump(r);
		ATF_CHECK_EQ(was_open || s == S_CLOSED,
		    r->posts[HVK_MSG_CLOSE]);
		if (r->g != NULL && s != S_TEARING) {
			ATF_CHECK_EQ_MSG(HVK_OK, hvk_client_gpadl_teardown(
			    &r->c, r->g, r->now), "state %s", state_name[s]);
			rig_pump(r);
		}
		if (r->g != NULL) {
			ATF_CHECK_EQ(1, r->posts[HVK_MSG_GPADL_TEARDOWN]);
			ATF_CHECK_EQ(HVK_OK, rig_torndown(r));
			ATF_CHECK_EQ(HVK_CLIENT_OK,
			    r->event[HVK_EVENT_GPADL_TORNDOWN].status);
			ATF_CHECK(!r->event[HVK_EVENT_GPADL_TORNDOWN].held);
		}
		/* Not before it is released. */
		ATF_CHECK_EQ(HVK_REJECT, rig_offer(r, RIG_RELID));
		ATF_CHECK_EQ_MSG(HVK_OK, hvk_client_release(&r->c, r->ch),
		    "state %s", state_name[s]);
		rig_pump(r);
		ATF_CHECK_EQ(1, r->posts[HVK_MSG_RELID_RELEASED]);
		ATF_CHECK_EQ(HVK_OK, rig_offer(r, RIG_RELID));
		ATF_CHECK_EQ(2, r->events[HVK_EVENT_OFFER]);
		free(r);
	}
}

ATF_TC(leak);
ATF_TC_HEAD(leak, tc)
{
	atf_tc_set_md_var(tc, "descr", "a teardown that the host does not "
	    "answer says that the memory is still held; a late answer and an "
	    "answer for another handle change nothing");
}
ATF_TC_BODY(leak, tc)
{
	struct hvk_msg_gpadl_torndown late = { { HVK_MSG_GPADL_TORNDOWN, 0 },
	    0 };
	struct rig *r;

	r = reach(S_TEARING);
	late.gpadl = r->g->handle;
	ATF_CHECK_EQ(1, rig_silence(r) - 1);	/* and the list of offers */
	ATF_CHECK(r->event[HVK_EVENT_GPADL_TORNDOWN].held);
	ATF_CHECK_EQ(HVK_CLIENT_TIMEOUT,
	    r->event[HVK_EVENT_GPADL_TORNDOWN].status);
	ATF_CHECK_EQ(HVK_REJECT, rig_say(r, &late, sizeof(late)));
	/* The slot's next handle is another one. */
	rig_gpadl(r, 1);
	ATF_CHECK(r->g->handle != late.gpadl);
	ATF_CHECK_EQ(HVK_REJECT, rig_say(r, &late, sizeof(late)));
	free(r);
}

ATF_TC(late_open);
ATF_TC_HEAD(late_open, tc)
{
	atf_tc_set_md_var(tc, "descr", "an open that was not answered is taken "
	    "back with a close, and its late answer does not open the next");
}
ATF_TC_BODY(late_open, tc)
{
	struct hvk_msg_open_result late = { { HVK_MSG_OPEN_RESULT, 0 },
	    RIG_RELID, 0, 0 };
	struct rig *r;

	r = reach(S_OPENING);
	late.open_id = r->ch->open_id;
	rig_silence(r);
	ATF_CHECK_EQ(HVK_CLIENT_TIMEOUT, r->event[HVK_EVENT_OPENED].status);
	ATF_CHECK_EQ(1, r->posts[HVK_MSG_CLOSE]);
	ATF_CHECK_EQ(HVK_CHAN_OFFERED, r->ch->state);
	ATF_CHECK_EQ(HVK_OK, rig_start_open(r));
	ATF_CHECK_EQ(HVK_REJECT, rig_say(r, &late, sizeof(late)));
	ATF_CHECK_EQ(HVK_CHAN_OPENING, r->ch->state);
	ATF_CHECK_EQ(HVK_OK, rig_open_result(r, 0));
	ATF_CHECK_EQ(HVK_CHAN_OPEN, r->ch->state);
	ATF_CHECK_EQ(HVK_STATE, hvk_client_gpadl_teardown(&r->c, r->g,
	    r->now));
	free(r);
}

ATF_TC(unload_saves);
ATF_TC_HEAD(unload_saves, tc)
{
	atf_tc_set_md_var(tc, "descr", "an unload that the host confirms frees "
	    "what a teardown was still waiting for; one that it does not, "
	    "frees nothing");
	atf_tc_set_md_var(tc, "X-feature", "core.unload");
}
ATF_TC_BODY(unload_saves, tc)
{
	struct hvk_msg_plain done = { { HVK_MSG_UNLOAD_RESPONSE, 0 } };
	struct rig *r;
	int answer;

	for (answer = 0; answer < 2; answer++) {
		r = reach(S_TEARING);
		hvk_client_unload(&r->c, r->now);
		rig_pump(r);
		ATF_CHECK_EQ(1, r->posts[HVK_MSG_UNLOAD]);
		ATF_CHECK_EQ(0, r->events[HVK_EVENT_GPADL_TORNDOWN]);
		if (answer)
			ATF_CHECK_EQ(HVK_OK, rig_say(r, &done, sizeof(done)));
		else
			rig_silence(r);
		ATF_CHECK_EQ(1, r->events[HVK_EVENT_GPADL_TORNDOWN]);
		ATF_CHECK_EQ(!answer,
		    r->event[HVK_EVENT_GPADL_TORNDOWN].held);
		ATF_CHECK_EQ(answer ? HVK_CLIENT_OK : HVK_CLIENT_TIMEOUT,
		    r->event[HVK_EVENT_UNLOADED].status);
		free(r);
	}
}

ATF_TC(patience);
ATF_TC_HEAD(patience, tc)
{
	atf_tc_set_md_var(tc, "descr", "after one unanswered teardown the "
	    "others and the unload wait a hundredth, until the host speaks");
}
ATF_TC_BODY(patience, tc)
{
	const uint64_t ms = 1000000;
	struct hvk_msg_plain done = { { HVK_MSG_UNLOAD_RESPONSE, 0 } };
	struct rig *r;
	uint64_t start;

	r = reach(S_TEARING);
	ATF_CHECK(!r->c.silent);
	rig_silence(r);
	ATF_CHECK(r->c.silent);
	start = r->now;
	hvk_client_unload(&r->c, r->now);
	rig_pump(r);
	ATF_CHECK_EQ(1, r->posts[HVK_MSG_UNLOAD]);
	ATF_CHECK(hvk_client_deadline(&r->c) > start);
	ATF_CHECK(hvk_client_deadline(&r->c) <= start + 101 * ms);
	ATF_CHECK_EQ(HVK_OK, rig_say(r, &done, sizeof(done)));
	ATF_CHECK(!r->c.silent);
	ATF_CHECK_EQ(HVK_CLIENT_OK, r->event[HVK_EVENT_UNLOADED].status);
	free(r);

	/* A host that answers has all the time. */
	r = reach(S_TEARING);
	start = r->now;
	hvk_client_unload(&r->c, r->now);
	rig_pump(r);
	ATF_CHECK(hvk_client_deadline(&r->c) >= start + 10000 * ms);
	free(r);
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, matrix);
	ATF_TP_ADD_TC(tp, silence);
	ATF_TP_ADD_TC(tp, rescind);
	ATF_TP_ADD_TC(tp, leak);
	ATF_TP_ADD_TC(tp, late_open);
	ATF_TP_ADD_TC(tp, unload_saves);
	ATF_TP_ADD_TC(tp, patience);
	return (atf_no_error());
}
