/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 */

/*
 * Scenarios of the VMBus server, one test each: what a guest does and what it
 * must hear.  Saved state is in server_save_test.c, hostile guests in
 * server_hostile_test.c.
 */

#include "server_env.h"

#define	TEST(name, descr)						\
	ATF_TC(name);							\
	ATF_TC_HEAD(name, tc) { atf_tc_set_md_var(tc, "descr", descr); } \
	ATF_TC_BODY(name, tc)
#define	FEATURE_TEST(name, descr, feature)				\
	ATF_TC(name);							\
	ATF_TC_HEAD(name, tc)						\
	{								\
		atf_tc_set_md_var(tc, "descr", descr);			\
		atf_tc_set_md_var(tc, "X-feature", feature);		\
	}								\
	ATF_TC_BODY(name, tc)

static const uint32_t versions[] = {
	HVK_VERSION_2_4, HVK_VERSION_3_0, HVK_VERSION_4_0, HVK_VERSION_4_1,
	HVK_VERSION_5_0, HVK_VERSION_5_1, HVK_VERSION_5_2, HVK_VERSION_5_3,
	HVK_VERSION_6_0
};
#define	NVERSIONS	(sizeof(versions) / sizeof(versions[0]))

TEST(version_negotiation_not_supported, "an unknown version is answered no")
{
	const struct hvk_msg_version_response *r;
	struct env e;

	env_init(&e);
	ATF_CHECK_EQ(HVK_REJECT, env_contact(&e, 0xffffffff, 0, false, 1,
	    false));
	env_refused(&e, HVK_REFUSE_CONTACT_VERSION);
	r = env_take(&e, HVK_MSG_VERSION_RESPONSE);
	ATF_CHECK_EQ(0, r->supported);
	ATF_CHECK_EQ(0, r->connection);
	ATF_CHECK_EQ(16, e.out.len);
}

FEATURE_TEST(version_negotiation_success,
    "every version from 2.4 to 6.0 is accepted, and refused above the cap",
    "core.versions")
{
	const struct hvk_msg_version_response *r;
	struct env e;
	unsigned cap, i;

	for (cap = 0; cap < NVERSIONS; cap++)
		for (i = 0; i < NVERSIONS; i++) {
			env_init(&e);
			e.config.max_version = versions[cap];
			env_start(&e);
			ATF_CHECK_EQ(i <= cap ? HVK_OK : HVK_REJECT,
			    env_contact(&e, versions[i], 0, false, 1, false));
			r = env_take(&e, HVK_MSG_VERSION_RESPONSE);
			ATF_CHECK_EQ(i <= cap, r->supported);
			ATF_CHECK_EQ(i > cap ? 0 :
			    versions[i] >= HVK_VERSION_5_0 ? 1 : versions[i],
			    r->connection);
			/* The target processor counts from 3.0 on. */
			ATF_CHECK_EQ(versions[i] >= HVK_VERSION_3_0, e.out.vp);
			ATF_CHECK_EQ(i <= cap &&
			    versions[i] == HVK_VERSION_6_0 ? 20 : 16,
			    e.out.len);
		}
	/* Connection 4 exists on hosts from 5.0 on. */
	env_init(&e);
	e.config.max_version = HVK_VERSION_4_1;
	env_start(&e);
	ATF_CHECK_EQ(HVK_RANGE, env_contact(&e, HVK_VERSION_5_0, 0, false, 4,
	    false));
	env_refused(&e, HVK_REFUSE_CONNECTION);
}

static int
contact_target(struct env *e, uint32_t conn, uint8_t sint, uint8_t vtl)
{
	struct hvk_msg_initiate_contact m;

	memset(&m, 0, sizeof(m));
	m.hdr.type = HVK_MSG_INITIATE_CONTACT;
	m.version = HVK_VERSION_5_0;
	m.sint = sint;
	m.vtl = vtl;
	return (env_post_as(e, conn, false, &m, 40));
}

TEST(version_negotiation_multiclient_sint,
    "another SINT is refused there by connection 4 and ignored on 1")
{
	const struct hvk_msg_version_response *r;
	struct env e;

	env_init(&e);
	ATF_CHECK_EQ(HVK_REJECT, contact_target(&e, 4, 3, 0));
	r = env_take(&e, HVK_MSG_VERSION_RESPONSE);
	ATF_CHECK_EQ(0, r->supported);
	ATF_CHECK_EQ(3, e.out.sint);
	ATF_CHECK_EQ(HVK_OK, contact_target(&e, 1, 3, 0));
	r = env_take(&e, HVK_MSG_VERSION_RESPONSE);
	ATF_CHECK_EQ(1, r->supported);
	ATF_CHECK_EQ(2, e.out.sint);
}

TEST(version_negotiation_multiclient_vtl,
    "a contact for another trust level is not ours")
{
	struct env e;

	env_init(&e);
	ATF_CHECK_EQ(HVK_REJECT, contact_target(&e, 4, 2, 2));
	env_refused(&e, HVK_REFUSE_CONTACT_TARGET);
	env_quiet(&e);
	ATF_CHECK_EQ(HVK_OK, contact_target(&e, 1, 2, 2));
	(void)env_take(&e, HVK_MSG_VERSION_RESPONSE);
}

TEST(version_negotiation_feature_flags,
    "features are the common ones; unknown ones are not granted")
{
	static const uint32_t ask[] = { 0, 1, 0xf0000001, 8 };
	const struct hvk_msg_version_response *r;
	struct hvk_server_info info;
	struct hvk_guid client = env_guid(77);
	struct env e;
	unsigned i;

	for (i = 0; i < 4; i++) {
		env_init(&e);
		ATF_CHECK_EQ(HVK_OK, env_contact(&e, HVK_VERSION_6_0, ask[i],
		    false, 4, false));
		r = env_take(&e, HVK_MSG_VERSION_RESPONSE);
		ATF_CHECK_EQ(ask[i] & ALL_FLAGS, r->features);
		ATF_CHECK_EQ(20, e.out.len);
		hvk_server_info(e.s, &info);
		ATF_CHECK_EQ(ask[i] == 8, hvk_guid_eq(&client, &info.client));
	}
}

TEST(version_negotiation_gpa_pinning_requires_server_support,
    "pinning is granted only by a server that has it")
{
	struct hvk_server_info info;
	struct env e;

	env_init(&e);
	env_connect(&e, HVK_VERSION_6_0, HVK_FLAG_GPA_PINNING);
	hvk_server_info(e.s, &info);
	ATF_CHECK_EQ(HVK_FLAG_GPA_PINNING, info.features);
	env_init(&e);
	e.config.features = ALL_FLAGS & ~HVK_FLAG_GPA_PINNING;
	env_start(&e);
	env_connect(&e, HVK_VERSION_6_0, HVK_FLAG_GPA_PINNING);
	hvk_server_info(e.s, &info);
	ATF_CHECK_EQ(0, info.features);
}

TEST(version_negotiation_interrupt_page,
    "the old interrupt page is of no use from 2.4 on, whatever it says")
{
	struct hvk_msg_initiate_contact m;
	struct env e;
	unsigned i;

	for (i = 0; versions[i] < HVK_VERSION_5_0; i++) {
		env_init(&e);
		memset(&m, 0, sizeof(m));
		m.hdr.type = HVK_MSG_INITIATE_CONTACT;
		m.version = versions[i];
		m.interrupt_page = 0xfffffffffffff123ull;
		ATF_CHECK_EQ(HVK_OK, env_post(&e, &m, 40));
		env_answer(&e);
		ATF_CHECK_EQ(1, e.count[HVK_SERVER_CONTACT]);
		ATF_CHECK_EQ(2, e.last[HVK_SERVER_CONTACT].contact.sint);
	}
}

static void
lifetime(uint32_t version, uint32_t features)
{
	const struct hvk_msg_offer *o;
	struct hvk_msg_open m;
	struct hvk_server_event *open;
	struct env e;
	hvk_channel_id ch;

	env_init(&e);
	ch = env_offer(&e, 1);
	env_connect(&e, version, features);
	ATF_CHECK_EQ(HVK_OK, env_plain(&e, HVK_MSG_REQUEST_OFFERS));
	o = env_take(&e, HVK_MSG_OFFER);
	ATF_CHECK_EQ(1, o->relid);
	ATF_CHECK_EQ(0x2001, o->connection);
	ATF_CHECK_EQ(1, o->dedicated);
	ATF_CHECK_EQ(0xff, o->monitor_id);
	(void)env_take(&e, HVK_MSG_ALL_OFFERS_DELIVERED);
	env_gpadl(&e, 1, 9);
	memset(&m, 0, sizeof(m));
	m.hdr.type = HVK_MSG_OPEN;
	m.relid = 1;
	m.open_id = 5;
	m.gpadl = 9;
	m.target_vp = 3;
	m.page_offset = 4;
	m.connection = 0x2002;
	m.event_flag = 2;
	m.flags = 0xabc | HVK_OPEN_REDIRECT;
	ATF_CHECK_EQ(HVK_OK, env_post(&e, &m, sizeof(m)));
	env_answer(&e);
	open = &e.last[HVK_SERVER_OPEN];
	ATF_CHECK_EQ(ch, open->channel);
	ATF_CHECK_EQ(9, open->open.gpadl);
	ATF_CHECK_EQ(8, open->open.pages);
	ATF_CHECK_EQ(4, open->open.offset);
	ATF_CHECK_EQ(3, open->open.vp);
	ATF_CHECK_EQ((features & 1) != 0 ? 2 : 1, open->open.flag);
	ATF_CHECK_EQ((features & 1) != 0 ? 0x2002 : 0x2001, open->open.conn);
	ATF_CHECK_EQ((features & 2) != 0, open->open.redirect);
	ATF_CHECK_EQ(5, ((const struct hvk_msg_open_result *)
	    env_take(&e, HVK_MSG_OPEN_RESULT))->open_id);
	if (version >= HVK_VERSION_4_1) {
		ATF_CHECK_EQ(HVK_OK, env_words(&e, HVK_MSG_MODIFY_CHANNEL, 1,
		    4, 16));
		env_answer(&e);
		ATF_CHECK_EQ(4, e.last[HVK_SERVER_MODIFY].modify.vp);
		if (version >= HVK_VERSION_5_3)
			(void)env_take(&e, HVK_MSG_MODIFY_CHANNEL_RESPONSE);
	}
	env_quiet(&e);
	ATF_CHECK_EQ(HVK_OK, hvk_server_rescind(e.s, ch));
	(void)env_take(&e, HVK_MSG_RESCIND);
	env_answer(&e);
	ATF_CHECK_EQ(0, e.count[HVK_SERVER_RELEASED]);
	ATF_CHECK_EQ(HVK_OK, env_words(&e, HVK_MSG_RELID_RELEASED, 1, 0, 12));
	env_answer(&e);
	ATF_CHECK_EQ(1, e.count[HVK_SERVER_RELEASED]);
	ATF_CHECK_EQ(HVK_CHANNEL_FREE, env_state(&e, ch));
}

TEST(channel_lifetime, "offer, open, move, rescind, release in 5.2")
{
	lifetime(HVK_VERSION_5_2, 0);
}
FEATURE_TEST(channel_lifetime_iron, "the same in 5.3, which answers a move",
    "core.retarget")
{
	lifetime(HVK_VERSION_5_3, 0);
}
TEST(channel_lifetime_copper, "the same in 6.0")
{
	lifetime(HVK_VERSION_6_0, 0);
}
TEST(channel_lifetime_copper_guest_signal, "the guest chooses its event flag")
{
	lifetime(HVK_VERSION_6_0, HVK_FLAG_SIGNAL_PARAMETERS);
}
TEST(channel_lifetime_copper_open_flags, "the guest redirects its interrupt")
{
	lifetime(HVK_VERSION_6_0, HVK_FLAG_REDIRECT_INTERRUPT);
}

static void
hvsock_connect(uint32_t version, uint32_t len)
{
	struct hvk_msg_tl_connect_request m;
	const struct hvk_msg_tl_connect_result *r;
	struct hvk_guid zero;
	struct env e;

	env_init(&e);
	env_connect(&e, version, 0);
	memset(&m, 0, sizeof(m));
	memset(&zero, 0, sizeof(zero));
	m.hdr.type = HVK_MSG_TL_CONNECT_REQUEST;
	m.endpoint = env_guid(1);
	m.service = env_guid(2);
	m.silo = env_guid(3);
	ATF_CHECK_EQ(HVK_OK, env_post(&e, &m, len));
	env_answer(&e);
	ATF_CHECK_EQ(1, e.count[HVK_SERVER_TL_CONNECT]);
	ATF_CHECK(hvk_guid_eq(&m.service,
	    &e.last[HVK_SERVER_TL_CONNECT].tl.service));
	ATF_CHECK(hvk_guid_eq(len == 56 && version >= HVK_VERSION_5_2 ?
	    &m.silo : &zero, &e.last[HVK_SERVER_TL_CONNECT].tl.silo));
	if (version >= HVK_VERSION_4_1) {
		r = env_take(&e, HVK_MSG_TL_CONNECT_RESULT);
		ATF_CHECK(hvk_guid_eq(&m.endpoint, &r->endpoint));
		ATF_CHECK_EQ(HVK_STATUS_REFUSED, r->status);
	}
	env_quiet(&e);
}

TEST(hvsock, "a refused connect is silent in 4.0")
{
	hvsock_connect(HVK_VERSION_4_0, 40);
}
TEST(hvsock_rs3, "a refused connect is answered in 4.1")
{
	hvsock_connect(HVK_VERSION_4_1, 40);
}
TEST(hvsock_rs5, "the request may name a silo from 5.2 on")
{
	hvsock_connect(HVK_VERSION_5_2, 40);
	hvsock_connect(HVK_VERSION_5_2, 56);
}

TEST(hot_add, "offers at each stage of a connection")
{
	struct env e;
	uint32_t i;

	env_init(&e);
	(void)env_offer(&e, 1);
	ATF_CHECK_EQ(HVK_OK, env_contact(&e, HVK_VERSION_4_0, 0, true, 1,
	    false));
	(void)env_offer(&e, 2);
	(void)env_take(&e, HVK_MSG_VERSION_RESPONSE);
	(void)env_offer(&e, 3);
	env_quiet(&e);
	ATF_CHECK_EQ(3, env_offers(&e));
	(void)env_offer(&e, 4);
	(void)env_take(&e, HVK_MSG_OFFER);
	for (i = 1; i <= 4; i++)
		env_open(&e, i);
	hvk_server_reset(e.s);
	env_check(&e);
	env_answer(&e);
	ATF_CHECK_EQ(4, e.count[HVK_SERVER_CLOSE]);
	ATF_CHECK_EQ(1, e.count[HVK_SERVER_DISCONNECT]);
	env_quiet(&e);
}

TEST(modify_connection, "6.0 moves the monitor pages")
{
	struct hvk_msg_modify_connection m = {
		.hdr.type = HVK_MSG_MODIFY_CONNECTION,
		.monitor_in = 0x5000, .monitor_out = 0x6000
	};
	const struct hvk_msg_modify_connection_response *r;
	struct env e;

	env_init(&e);
	env_connect(&e, HVK_VERSION_6_0, HVK_FLAG_MODIFY_CONNECTION);
	ATF_CHECK_EQ(HVK_OK, env_post(&e, &m, sizeof(m)));
	r = env_take(&e, HVK_MSG_MODIFY_CONNECTION_RESPONSE);
	ATF_CHECK_EQ(0, r->state);
	ATF_CHECK_EQ(9, e.out.len);
	env_answer(&e);
	ATF_CHECK_EQ(0x6000, e.last[HVK_SERVER_MONITOR].contact.monitor_g2h);
	m.monitor_out = MEM_SIZE;
	ATF_CHECK_EQ(HVK_REJECT, env_post(&e, &m, sizeof(m)));
	env_refused(&e, HVK_REFUSE_CONTACT_MONITOR);
	r = env_take(&e, HVK_MSG_MODIFY_CONNECTION_RESPONSE);
	ATF_CHECK_EQ(HVK_CONTACT_FAILED, r->state);
}

TEST(modify_connection_unsupported, "not without the feature")
{
	struct hvk_msg_modify_connection m = {
		.hdr.type = HVK_MSG_MODIFY_CONNECTION
	};
	struct env e;

	env_init(&e);
	env_connect(&e, HVK_VERSION_6_0, 0);
	ATF_CHECK_EQ(HVK_REJECT, env_post(&e, &m, sizeof(m)));
	env_refused(&e, HVK_REFUSE_FEATURE);
	env_quiet(&e);
}

static const struct hvk_server_out *
next_reserved(struct env *e, uint32_t type, uint32_t vp)
{
	(void)env_take(e, type);
	ATF_CHECK_EQ(vp, e->out.vp);
	return (&e->out);
}

TEST(released_after_unload, "a guest may forget its channels after UNLOAD")
{
	struct env e;

	env_init(&e);
	(void)env_offer(&e, 1);
	env_connect(&e, HVK_VERSION_5_3, 0);
	ATF_CHECK_EQ(1, env_offers(&e));
	ATF_CHECK_EQ(HVK_OK, env_plain(&e, HVK_MSG_UNLOAD));
	env_answer(&e);
	(void)env_take(&e, HVK_MSG_UNLOAD_RESPONSE);
	ATF_CHECK_EQ(HVK_OK, env_words(&e, HVK_MSG_RELID_RELEASED, 1, 0, 12));
	ATF_CHECK_EQ(0, hvk_server_refusals(e.s, HVK_REFUSE_NOT_CONNECTED));
	/* Anything else is still refused. */
	ATF_CHECK_EQ(HVK_REJECT, env_words(&e, HVK_MSG_CLOSE, 1, 0, 12));
	env_refused(&e, HVK_REFUSE_NOT_CONNECTED);
	/* It changed nothing: the next connection has the channel. */
	env_connect(&e, HVK_VERSION_5_3, 0);
	ATF_CHECK_EQ(1, env_offers(&e));
}

TEST(reserved_channels, "they outlive unload and have answers of their own")
{
	struct env e;
	uint32_t i;

	env_init(&e);
	for (i = 1; i <= 3; i++)
		(void)env_offer(&e, i);
	env_connect(&e, HVK_VERSION_4_0, 0);
	ATF_CHECK_EQ(3, env_offers(&e));
	for (i = 1; i <= 3; i++) {
		env_gpadl(&e, i, 10 + i);
		ATF_CHECK_EQ(HVK_OK, env_reserved(&e, i, 10 + i, i));
		env_answer(&e);
		(void)next_reserved(&e, HVK_MSG_OPEN_RESULT, i);
	}
	ATF_CHECK_EQ(HVK_SERVER_NO_VP, e.last[HVK_SERVER_OPEN].open.vp);
	ATF_CHECK_EQ(HVK_REJECT, env_words(&e, HVK_MSG_CLOSE, 2, 0, 12));
	env_refused(&e, HVK_REFUSE_RESERVED);
	ATF_CHECK_EQ(HVK_OK, env_plain(&e, HVK_MSG_UNLOAD));
	env_answer(&e);
	(void)env_take(&e, HVK_MSG_UNLOAD_RESPONSE);
	ATF_CHECK_EQ(0, e.count[HVK_SERVER_CLOSE]);
	/* Closing works while nothing is connected. */
	ATF_CHECK_EQ(HVK_OK, env_close_reserved(&e, 2, 2));
	env_answer(&e);
	(void)next_reserved(&e, HVK_MSG_CLOSE_RESERVED_RESPONSE, 2);
	ATF_CHECK_EQ(1, e.count[HVK_SERVER_GPADL_TEARDOWN]);
	env_connect(&e, HVK_VERSION_6_0, 0);
	ATF_CHECK_EQ(3, env_offers(&e));
	env_gpadl(&e, 2, 10);
	ATF_CHECK_EQ(HVK_OK, env_reserved(&e, 2, 10, 3));
	env_answer(&e);
	(void)next_reserved(&e, HVK_MSG_OPEN_RESULT, 3);
	ATF_CHECK_EQ(HVK_OK, env_close_reserved(&e, 1, 4));
	env_answer(&e);
	(void)next_reserved(&e, HVK_MSG_CLOSE_RESERVED_RESPONSE, 4);
	ATF_CHECK_EQ(HVK_OK, env_words(&e, HVK_MSG_GPADL_TEARDOWN, 1, 11, 16));
	env_answer(&e);
	(void)env_take(&e, HVK_MSG_GPADL_TORNDOWN);
	hvk_server_reset(e.s);
	env_answer(&e);
	ATF_CHECK_EQ(4, e.count[HVK_SERVER_CLOSE]);
	ATF_CHECK_EQ(2, e.count[HVK_SERVER_DISCONNECT]);
	env_quiet(&e);
}

TEST(reserved_channel_close_response_after_unload,
    "the answer to a close goes out although the connection is gone")
{
	struct hvk_server_event ev;
	struct env e;

	env_init(&e);
	(void)env_offer(&e, 1);
	env_connect(&e, HVK_VERSION_5_3, 0);
	(void)env_offers(&e);
	env_gpadl(&e, 1, 1);
	ATF_CHECK_EQ(HVK_OK, env_reserved(&e, 1, 1, 5));
	env_answer(&e);
	(void)next_reserved(&e, HVK_MSG_OPEN_RESULT, 5);
	ATF_CHECK_EQ(HVK_OK, env_close_reserved(&e, 1, 6));
	ATF_CHECK(env_event(&e, &ev) && ev.kind == HVK_SERVER_CLOSE);
	ATF_CHECK_EQ(HVK_OK, env_plain(&e, HVK_MSG_UNLOAD));
	ATF_CHECK_EQ(HVK_OK, hvk_server_close_done(e.s, ev.channel));
	env_check(&e);
	env_answer(&e);
	(void)next_reserved(&e, HVK_MSG_CLOSE_RESERVED_RESPONSE, 6);
	(void)next_reserved(&e, HVK_MSG_UNLOAD_RESPONSE, 1);
}

TEST(disconnected_reset, "a reset closes reserved channels when unloaded")
{
	struct env e;

	env_init(&e);
	(void)env_offer(&e, 1);
	env_connect(&e, HVK_VERSION_4_0, 0);
	(void)env_offers(&e);
	env_gpadl(&e, 1, 10);
	ATF_CHECK_EQ(HVK_OK, env_reserved(&e, 1, 10, 1));
	env_answer(&e);
	ATF_CHECK_EQ(HVK_OK, env_plain(&e, HVK_MSG_UNLOAD));
	env_answer(&e);
	ATF_CHECK_EQ(0, e.count[HVK_SERVER_CLOSE]);
	hvk_server_reset(e.s);
	env_answer(&e);
	ATF_CHECK_EQ(1, e.count[HVK_SERVER_CLOSE]);
	ATF_CHECK_EQ(1, e.count[HVK_SERVER_GPADL_TEARDOWN]);
	ATF_CHECK_EQ(2, e.count[HVK_SERVER_DISCONNECT]);
	hvk_server_reset(e.s);
	env_answer(&e);
	ATF_CHECK_EQ(3, e.count[HVK_SERVER_DISCONNECT]);
}

TEST(mnf_channel, "monitor ids need the guest's pages and the host's will")
{
	const struct hvk_msg_offer *o;
	struct env e;
	unsigned way;

	for (way = 0; way < 3; way++) {
		env_init(&e);
		e.config.monitors = way != 1;
		env_start(&e);
		(void)env_offer(&e, 1);
		(void)env_offer_mnf(&e, 2);
		ATF_CHECK_EQ(HVK_OK, env_contact(&e, HVK_VERSION_6_0, 0,
		    way != 0, 1, false));
		(void)env_take(&e, HVK_MSG_VERSION_RESPONSE);
		ATF_CHECK_EQ(HVK_OK, env_plain(&e, HVK_MSG_REQUEST_OFFERS));
		o = env_take(&e, HVK_MSG_OFFER);
		ATF_CHECK_EQ(0xff, o->monitor_id);
		o = env_take(&e, HVK_MSG_OFFER);
		ATF_CHECK_EQ(way == 2 ? 0 : 0xff, o->monitor_id);
		ATF_CHECK_EQ(way == 2, o->monitor_allocated);
	}
}

TEST(mnf_channel_open_with_interrupts_disabled,
    "who polls has no monitor either")
{
	struct env e;

	env_init(&e);
	(void)env_offer_mnf(&e, 1);
	env_connect(&e, HVK_VERSION_6_0, 0);
	(void)env_offers(&e);
	env_gpadl(&e, 1, 1);
	ATF_CHECK_EQ(HVK_OK, env_open_post(&e, 1, 1, HVK_VP_NO_INTERRUPT));
	env_answer(&e);
	ATF_CHECK_EQ(HVK_SERVER_NO_VP, e.last[HVK_SERVER_OPEN].open.vp);
	ATF_CHECK_EQ(0xff, e.last[HVK_SERVER_OPEN].open.monitor);
}

TEST(server_monitor_page, "the host may bring the monitor pages itself")
{
	const struct hvk_msg_version_response *r;
	const struct hvk_msg_offer *o;
	struct env e;
	unsigned pages;

	for (pages = 0; pages < 2; pages++) {
		env_init(&e);
		e.config.monitor_h2g = 0x456000;
		e.config.monitor_g2h = 0x654000;
		env_start(&e);
		(void)env_offer_mnf(&e, 1);
		ATF_CHECK_EQ(HVK_OK, env_contact(&e, HVK_VERSION_6_0,
		    HVK_FLAG_SERVER_MONITOR, pages != 0, 4, false));
		r = env_take(&e, HVK_MSG_VERSION_RESPONSE);
		ATF_CHECK_EQ(40, e.out.len);
		ATF_CHECK_EQ(0x456000, r->monitor_in);
		ATF_CHECK_EQ(0x654000, r->monitor_out);
		ATF_CHECK_EQ(HVK_OK, env_plain(&e, HVK_MSG_REQUEST_OFFERS));
		o = env_take(&e, HVK_MSG_OFFER);
		ATF_CHECK_EQ(0, o->monitor_id);
		ATF_CHECK_EQ(1, o->monitor_allocated);
	}
}

static void
check_order(bool absolute, const uint32_t (*in)[3], const uint32_t (*out)[2],
    unsigned n)
{
	struct hvk_server_offer offer;
	const struct hvk_msg_offer *o;
	struct hvk_guid type, instance;
	struct env e;
	unsigned i;

	env_init(&e);
	e.config.absolute_order = absolute;
	env_start(&e);
	for (i = 0; i < n; i++) {
		offer = env_make_offer(in[i][0], in[i][1]);
		offer.order = in[i][2];
		ATF_REQUIRE_EQ(HVK_OK, hvk_server_offer(e.s, &offer, NULL));
	}
	env_connect(&e, HVK_VERSION_4_0, 0);
	ATF_CHECK_EQ(HVK_OK, env_plain(&e, HVK_MSG_REQUEST_OFFERS));
	for (i = 0; i < n; i++) {
		o = env_take(&e, HVK_MSG_OFFER);
		type = env_guid(out[i][0]);
		instance = env_guid(out[i][1]);
		ATF_CHECK_EQ(i + 1, o->relid);
		ATF_CHECK(hvk_guid_eq(&type, &o->type));
		ATF_CHECK(hvk_guid_eq(&instance, &o->instance));
	}
}

TEST(channel_id_order, "numbers follow class, then order, then instance")
{
	static const uint32_t in[][3] = { { 3, 3, 9 }, { 10, 10, 9 },
	    { 5, 5, 9 }, { 17, 17, 9 }, { 5, 6, 2 }, { 5, 8, 1 },
	    { 5, 1, 9 } };
	static const uint32_t out[][2] = { { 3, 3 }, { 5, 8 }, { 5, 6 },
	    { 5, 1 }, { 5, 5 }, { 10, 10 }, { 17, 17 } };

	check_order(false, in, out, 7);
}

TEST(channel_id_order_absolute, "or order before everything")
{
	static const uint32_t in[][3] = { { 3, 3, 1 }, { 5, 5, 3 },
	    { 17, 17, 4 }, { 5, 1, 9 }, { 5, 6, 5 }, { 10, 10, 2 },
	    { 5, 8, 6 } };
	static const uint32_t out[][2] = { { 3, 3 }, { 10, 10 }, { 5, 5 },
	    { 17, 17 }, { 5, 6 }, { 5, 8 }, { 5, 1 } };

	check_order(true, in, out, 7);
}

static uint16_t
offer_flags(bool trusted, uint32_t features)
{
	struct hvk_server_offer offer = env_make_offer(1, 1);
	uint32_t m[2] = { HVK_MSG_REQUEST_OFFERS, 0 };
	struct env e;

	env_init(&e);
	offer.flags = HVK_OFFER_NAMED_PIPE | HVK_OFFER_CONFIDENTIAL_RING |
	    HVK_OFFER_CONFIDENTIAL_MEMORY;
	ATF_REQUIRE_EQ(HVK_OK, hvk_server_offer(e.s, &offer, NULL));
	ATF_CHECK_EQ(HVK_OK, env_contact(&e, HVK_VERSION_6_0, features, false,
	    4, trusted));
	(void)env_take(&e, HVK_MSG_VERSION_RESPONSE);
	if (trusted && features != 0) {
		ATF_CHECK_EQ(HVK_REJECT, env_post(&e, m, 8));
		env_refused(&e, HVK_REFUSE_UNTRUSTED);
		env_quiet(&e);
	}
	ATF_CHECK_EQ(HVK_OK, env_post_as(&e, 1, trusted, m, 8));
	return (((const struct hvk_msg_offer *)
	    env_take(&e, HVK_MSG_OFFER))->flags);
}

TEST(confidential_connection, "a trusted guest that asks gets the flags")
{
	ATF_CHECK_EQ(HVK_OFFER_NAMED_PIPE | HVK_OFFER_CONFIDENTIAL_RING |
	    HVK_OFFER_CONFIDENTIAL_MEMORY,
	    offer_flags(true, HVK_FLAG_CONFIDENTIAL));
}
TEST(confidential_channels_unsupported, "a trusted guest that does not ask")
{
	ATF_CHECK_EQ(HVK_OFFER_NAMED_PIPE, offer_flags(true, 0));
}
TEST(confidential_channels_untrusted, "an untrusted guest may not have them")
{
	ATF_CHECK_EQ(HVK_OFFER_NAMED_PIPE,
	    offer_flags(false, HVK_FLAG_CONFIDENTIAL));
}

FEATURE_TEST(disconnect, "unload with everything closed", "core.unload")
{
	struct env e;
	uint32_t i;

	env_init(&e);
	for (i = 1; i <= 3; i++)
		(void)env_offer(&e, i);
	env_connect(&e, HVK_VERSION_4_0, 0);
	(void)env_offers(&e);
	ATF_CHECK_EQ(HVK_OK, env_plain(&e, HVK_MSG_UNLOAD));
	(void)env_take(&e, HVK_MSG_UNLOAD_RESPONSE);
	ATF_CHECK_EQ(1, e.out.vp);
	env_answer(&e);
	ATF_CHECK_EQ(1, e.count[HVK_SERVER_DISCONNECT]);
	ATF_CHECK_EQ(HVK_REJECT, env_plain(&e, HVK_MSG_REQUEST_OFFERS));
	env_refused(&e, HVK_REFUSE_NOT_CONNECTED);
	/* And once more, as after kldload. */
	env_connect(&e, HVK_VERSION_6_0, 0);
	ATF_CHECK_EQ(3, env_offers(&e));
}

FEATURE_TEST(disconnect_open_channels,
    "unload answers only when every channel and page list is let go",
    "core.unload")
{
	struct hvk_server_event ev;
	struct hvk_server_info info;
	struct env e;
	unsigned closes = 0, tears = 0;

	env_init(&e);
	(void)env_offer(&e, 1);
	(void)env_offer(&e, 2);
	env_connect(&e, HVK_VERSION_4_0, 0);
	(void)env_offers(&e);
	env_open(&e, 1);
	env_open(&e, 2);
	ATF_CHECK_EQ(HVK_OK, env_plain(&e, HVK_MSG_UNLOAD));
	for (;;) {
		ATF_REQUIRE(env_event(&e, &ev));
		if (ev.kind == HVK_SERVER_DISCONNECT)
			break;
		env_quiet(&e);
		if (ev.kind == HVK_SERVER_CLOSE) {
			closes++;
			ATF_CHECK_EQ(HVK_OK, hvk_server_close_done(e.s,
			    ev.channel));
		} else {
			ATF_CHECK_EQ(HVK_SERVER_GPADL_TEARDOWN, ev.kind);
			tears++;
			ATF_CHECK_EQ(HVK_OK, hvk_server_gpadl_released(e.s,
			    ev.channel, ev.gpadl.id));
		}
	}
	ATF_CHECK_EQ(2, closes);
	ATF_CHECK_EQ(2, tears);
	(void)env_take(&e, HVK_MSG_UNLOAD_RESPONSE);
	hvk_server_info(e.s, &info);
	ATF_CHECK_EQ(0, info.gpadls);
	ATF_CHECK_EQ(0, info.pfns);
}

TEST(reinitiate_contact, "a second contact ends the first connection")
{
	struct env e;

	env_init(&e);
	(void)env_offer(&e, 1);
	env_connect(&e, HVK_VERSION_4_0, 0);
	(void)env_offers(&e);
	env_open(&e, 1);
	ATF_CHECK_EQ(HVK_OK, env_contact(&e, HVK_VERSION_5_3, 0, true, 4,
	    false));
	env_quiet(&e);
	env_answer(&e);
	ATF_CHECK_EQ(1, e.count[HVK_SERVER_CLOSE]);
	ATF_CHECK_EQ(1, e.count[HVK_SERVER_DISCONNECT]);
	ATF_CHECK_EQ(2, e.count[HVK_SERVER_CONTACT]);
	(void)env_take(&e, HVK_MSG_VERSION_RESPONSE);
	ATF_CHECK_EQ(1, env_offers(&e));
}

TEST(gpadl_create_failure, "bad page lists are answered, their ids free again")
{
	struct {
		struct hvk_msg_gpadl_header h;
		uint32_t len, offset;
		uint64_t pfn;
	} m = { .h = { .hdr.type = HVK_MSG_GPADL_HEADER, .relid = 1,
	    .gpadl = 1, .range_bytes = 16, .range_count = 1 }, .len = 1,
	    .offset = 0x1000, .pfn = 0 };
	struct {
		struct hvk_msg_gpadl_body h;
		uint64_t word[2];
	} body = { .h = { .hdr.type = HVK_MSG_GPADL_BODY, .gpadl = 1 },
	    .word = { 1, 0 } };
	const struct hvk_msg_gpadl_created *r;
	struct env e;

	env_init(&e);
	(void)env_offer(&e, 1);
	env_connect(&e, HVK_VERSION_6_0, 0);
	(void)env_offers(&e);
	m.h.relid = 100;
	ATF_CHECK_EQ(HVK_REJECT, env_post(&e, &m, 36));
	r = env_take(&e, HVK_MSG_GPADL_CREATED);
	ATF_CHECK_EQ(100, r->relid);
	ATF_CHECK(r->status != 0);
	m.h.relid = 1;
	ATF_CHECK_EQ(HVK_REJECT, env_post(&e, &m, 36));
	env_refused(&e, HVK_REFUSE_GPADL_OFFSET);
	r = env_take(&e, HVK_MSG_GPADL_CREATED);
	ATF_CHECK(r->status != 0);
	m.h.range_bytes = 32;
	m.h.range_count = 2;
	ATF_CHECK_EQ(HVK_OK, env_post(&e, &m, 36));
	env_quiet(&e);
	ATF_CHECK_EQ(HVK_REJECT, env_post(&e, &body, 32));
	r = env_take(&e, HVK_MSG_GPADL_CREATED);
	ATF_CHECK(r->status != 0);
	env_gpadl(&e, 1, 1);
	env_answer(&e);
	ATF_CHECK_EQ(1, e.count[HVK_SERVER_GPADL_READY]);
}

TEST(gpadl_in_progress_reset, "an unfinished page list ends with the connection")
{
	struct hvk_server_info info;
	struct env e;
	unsigned i;

	env_init(&e);
	(void)env_offer(&e, 1);
	for (i = 0; i < 2; i++) {
		env_connect(&e, HVK_VERSION_6_0, 0);
		(void)env_offers(&e);
		/* 20 pages announced, the header cut after 8 of them. */
		{
			uint8_t m[92];
			struct hvk_msg_gpadl_header *h = (void *)m;

			memset(m, 0, sizeof(m));
			h->hdr.type = HVK_MSG_GPADL_HEADER;
			h->relid = h->gpadl = 1;
			h->range_bytes = 168;
			h->range_count = 1;
			m[20] = 0;
			m[21] = 0x10;
			ATF_CHECK_EQ(HVK_OK, env_post(&e, m, sizeof(m)));
		}
		env_quiet(&e);
		hvk_server_info(e.s, &info);
		ATF_CHECK_EQ(1, info.gpadls);
		hvk_server_reset(e.s);
		env_answer(&e);
		hvk_server_info(e.s, &info);
		ATF_CHECK_EQ(0, info.gpadls);
	}
}

FEATURE_TEST(rescind_in_every_state,
    "a rescind while held, closed, opening, open, closing, reopening",
    "core.rescind")
{
	struct hvk_server_event ev;
	struct hvk_server_info info;
	struct env e;
	hvk_channel_id ch;
	unsigned way;

	for (way = 0; way < 7; way++) {
		env_init(&e);
		ch = env_offer(&e, 1);
		if (way > 0) {
			env_connect(&e, HVK_VERSION_5_3, 0);
			(void)env_offers(&e);
		}
		if (way > 1)
			env_gpadl(&e, 1, 1);
		if (way > 2)
			ATF_CHECK_EQ(HVK_OK, env_open_post(&e, 1, 1, 0));
		if (way > 3)
			env_answer(&e);
		if (way > 4)
			ATF_CHECK_EQ(HVK_OK, env_words(&e, HVK_MSG_CLOSE, 1,
			    0, 12));
		if (way > 5)
			ATF_CHECK_EQ(HVK_OK, env_open_post(&e, 1, 1, 0));
		env_drop(&e);
		ATF_CHECK_EQ(HVK_OK, hvk_server_rescind(e.s, ch));
		env_check(&e);
		ATF_CHECK_EQ(HVK_STATE, hvk_server_rescind(e.s, ch));
		if (way > 0) {
			(void)env_take(&e, HVK_MSG_RESCIND);
			/* A guest's own teardown is answered all the same. */
			ATF_CHECK_EQ(HVK_OK, env_words(&e, HVK_MSG_CLOSE, 1,
			    0, 12));
			ATF_CHECK_EQ(HVK_OK, env_words(&e,
			    HVK_MSG_RELID_RELEASED, 1, 0, 12));
		}
		env_answer(&e);
		ATF_CHECK_EQ(1, e.count[HVK_SERVER_RELEASED]);
		ATF_CHECK_EQ(e.count[HVK_SERVER_OPEN],
		    e.count[HVK_SERVER_CLOSE]);
		hvk_server_info(e.s, &info);
		ATF_CHECK_EQ(0, info.channels);
		ATF_CHECK_EQ(0, info.gpadls);
		ATF_CHECK(!env_event(&e, &ev));
	}
}

FEATURE_TEST(rescind_waits_for_guest,
    "a rescinded channel may be used until the guest lets go, in each way",
    "core.rescind")
{
	struct hvk_server_event ev;
	struct env e;
	hvk_channel_id ch;
	unsigned way;

	for (way = 0; way < 6; way++) {
		env_init(&e);
		ch = env_offer(&e, 1);
		ATF_CHECK(!hvk_server_waits(e.s, ch));
		env_connect(&e, HVK_VERSION_5_3, 0);
		(void)env_offers(&e);
		env_open(&e, 1);
		env_drop(&e);
		ATF_CHECK(!hvk_server_waits(e.s, ch));
		ATF_REQUIRE_EQ(HVK_OK, hvk_server_rescind(e.s, ch));
		ATF_REQUIRE(env_event(&e, &ev) &&
		    ev.kind == HVK_SERVER_CLOSE);
		(void)env_take(&e, HVK_MSG_RESCIND);
		ATF_CHECK(hvk_server_waits(e.s, ch));
		ATF_CHECK(!hvk_server_waits(e.s, ch + 1));
		switch (way) {
		case 0:
			ATF_CHECK_EQ(HVK_OK, env_words(&e, HVK_MSG_CLOSE, 1,
			    0, 12));
			break;
		case 1:
			ATF_CHECK_EQ(HVK_OK, env_words(&e,
			    HVK_MSG_RELID_RELEASED, 1, 0, 12));
			break;
		case 2:		/* its rings' memory */
			ATF_CHECK_EQ(HVK_OK, env_words(&e,
			    HVK_MSG_GPADL_TEARDOWN, 1, 1, 16));
			break;
		case 3:
			ATF_CHECK_EQ(HVK_OK, env_plain(&e, HVK_MSG_UNLOAD));
			break;
		case 4:
			hvk_server_reset(e.s);
			break;
		case 5:		/* it does not: the host need not wait */
			break;
		}
		ATF_CHECK_EQ(way == 5, hvk_server_waits(e.s, ch));
		ATF_CHECK_EQ(HVK_OK, hvk_server_close_done(e.s, ch));
		env_check(&e);
		ATF_CHECK(!hvk_server_waits(e.s, ch));
	}
	ATF_CHECK(!hvk_server_waits(e.s, UINT32_MAX));
}

FEATURE_TEST(reoffer_waits_for_release,
    "the same device comes back only after the guest has let it go",
    "core.rescind")
{
	const struct hvk_msg_offer *o;
	struct env e;
	hvk_channel_id ch;
	unsigned i;

	env_init(&e);
	ch = env_offer(&e, 1);
	env_connect(&e, HVK_VERSION_5_3, 0);
	(void)env_offers(&e);
	for (i = 0; i < 1000; i++) {
		ATF_REQUIRE_EQ(HVK_OK, hvk_server_rescind(e.s, ch));
		(void)env_take(&e, HVK_MSG_RESCIND);
		ch = env_offer(&e, 1);
		env_quiet(&e);
		ATF_REQUIRE_EQ(HVK_OK, env_words(&e, HVK_MSG_RELID_RELEASED,
		    1, 0, 12));
		o = env_take(&e, HVK_MSG_OFFER);
		ATF_REQUIRE_EQ(1, o->relid);
		env_answer(&e);
	}
	ATF_CHECK_EQ(1000, e.count[HVK_SERVER_RELEASED]);
}

TEST(modify_coalesces, "before 5.3 the last of several moves wins, unanswered")
{
	struct hvk_server_event ev;
	struct env e;

	env_init(&e);
	(void)env_offer(&e, 1);
	env_connect(&e, HVK_VERSION_5_2, 0);
	(void)env_offers(&e);
	env_open(&e, 1);
	ATF_CHECK_EQ(HVK_OK, env_words(&e, HVK_MSG_MODIFY_CHANNEL, 1, 1, 16));
	ATF_CHECK(env_event(&e, &ev) && ev.kind == HVK_SERVER_MODIFY);
	ATF_CHECK_EQ(HVK_OK, env_words(&e, HVK_MSG_MODIFY_CHANNEL, 1, 2, 16));
	ATF_CHECK_EQ(HVK_OK, env_words(&e, HVK_MSG_MODIFY_CHANNEL, 1, 5, 16));
	ATF_CHECK_EQ(HVK_OK, hvk_server_modify_done(e.s, ev.channel, 0));
	ATF_CHECK(env_event(&e, &ev) && ev.kind == HVK_SERVER_MODIFY);
	ATF_CHECK_EQ(5, ev.modify.vp);
	ATF_CHECK_EQ(HVK_OK, hvk_server_modify_done(e.s, ev.channel, 0));
	ATF_CHECK(!env_event(&e, &ev));
	env_quiet(&e);
}

TEST(pause_resume, "a paused guest hears nothing until it resumes")
{
	struct env e;

	env_init(&e);
	env_connect(&e, HVK_VERSION_6_0, HVK_FLAG_PAUSE_RESUME);
	(void)env_offers(&e);
	ATF_CHECK_EQ(HVK_OK, env_plain(&e, HVK_MSG_PAUSE));
	(void)env_offer(&e, 1);
	(void)env_take(&e, HVK_MSG_PAUSE_RESPONSE);
	env_quiet(&e);
	ATF_CHECK_EQ(HVK_REJECT, env_open_post(&e, 1, 1, 0));
	env_refused(&e, HVK_REFUSE_PAUSED);
	ATF_CHECK_EQ(HVK_OK, env_plain(&e, HVK_MSG_RESUME));
	(void)env_take(&e, HVK_MSG_OFFER);
	ATF_CHECK_EQ(HVK_REJECT, env_plain(&e, HVK_MSG_RESUME));
	env_refused(&e, HVK_REFUSE_NOT_PAUSED);
}

TEST(back_pressure, "a guest that does not listen may not go on talking")
{
	struct env e;
	unsigned i;

	env_init(&e);
	env_connect(&e, HVK_VERSION_5_3, 0);
	(void)env_offers(&e);
	for (i = 0; i < 1000; i++)
		if (env_gpadl_post(&e, 9, 1, 1, 1) == HVK_AGAIN)
			break;
	ATF_CHECK_EQ(64, i);
	ATF_CHECK_EQ(64, hvk_server_waiting(e.s));
	env_drop(&e);
	ATF_CHECK_EQ(HVK_REJECT, env_gpadl_post(&e, 9, 1, 1, 1));
	/* A new guest is heard in any case. */
	for (i = 0; i < 64; i++)
		(void)env_gpadl_post(&e, 9, 1, 1, 1);
	ATF_CHECK_EQ(HVK_OK, env_contact(&e, HVK_VERSION_4_0, 0, false, 1,
	    false));
	(void)env_take(&e, HVK_MSG_VERSION_RESPONSE);
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, version_negotiation_not_supported);
	ATF_TP_ADD_TC(tp, version_negotiation_success);
	ATF_TP_ADD_TC(tp, version_negotiation_multiclient_sint);
	ATF_TP_ADD_TC(tp, version_negotiation_multiclient_vtl);
	ATF_TP_ADD_TC(tp, version_negotiation_feature_flags);
	ATF_TP_ADD_TC(tp,
	    version_negotiation_gpa_pinning_requires_server_support);
	ATF_TP_ADD_TC(tp, version_negotiation_interrupt_page);
	ATF_TP_ADD_TC(tp, channel_lifetime);
	ATF_TP_ADD_TC(tp, channel_lifetime_iron);
	ATF_TP_ADD_TC(tp, channel_lifetime_copper);
	ATF_TP_ADD_TC(tp, channel_lifetime_copper_guest_signal);
	ATF_TP_ADD_TC(tp, channel_lifetime_copper_open_flags);
	ATF_TP_ADD_TC(tp, hvsock);
	ATF_TP_ADD_TC(tp, hvsock_rs3);
	ATF_TP_ADD_TC(tp, hvsock_rs5);
	ATF_TP_ADD_TC(tp, hot_add);
	ATF_TP_ADD_TC(tp, modify_connection);
	ATF_TP_ADD_TC(tp, modify_connection_unsupported);
	ATF_TP_ADD_TC(tp, released_after_unload);
	ATF_TP_ADD_TC(tp, reserved_channels);
	ATF_TP_ADD_TC(tp, reserved_channel_close_response_after_unload);
	ATF_TP_ADD_TC(tp, disconnected_reset);
	ATF_TP_ADD_TC(tp, mnf_channel);
	ATF_TP_ADD_TC(tp, mnf_channel_open_with_interrupts_disabled);
	ATF_TP_ADD_TC(tp, server_monitor_page);
	ATF_TP_ADD_TC(tp, channel_id_order);
	ATF_TP_ADD_TC(tp, channel_id_order_absolute);
	ATF_TP_ADD_TC(tp, confidential_connection);
	ATF_TP_ADD_TC(tp, confidential_channels_unsupported);
	ATF_TP_ADD_TC(tp, confidential_channels_untrusted);
	ATF_TP_ADD_TC(tp, disconnect);
	ATF_TP_ADD_TC(tp, disconnect_open_channels);
	ATF_TP_ADD_TC(tp, reinitiate_contact);
	ATF_TP_ADD_TC(tp, gpadl_create_failure);
	ATF_TP_ADD_TC(tp, gpadl_in_progress_reset);
	ATF_TP_ADD_TC(tp, rescind_in_every_state);
	ATF_TP_ADD_TC(tp, rescind_waits_for_guest);
	ATF_TP_ADD_TC(tp, reoffer_waits_for_release);
	ATF_TP_ADD_TC(tp, modify_coalesces);
	ATF_TP_ADD_TC(tp, pause_resume);
	ATF_TP_ADD_TC(tp, back_pressure);
	return (atf_no_error());
}
