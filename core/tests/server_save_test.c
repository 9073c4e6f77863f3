/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 */

/*
 * Saved state of the VMBus server: a guest moves to another server and does not
 * notice.
 */

#include "server_env.h"
#include "../host/server_save.h"

#define	TEST(name, descr)						\
	ATF_TC(name);							\
	ATF_TC_HEAD(name, tc) { atf_tc_set_md_var(tc, "descr", descr); } \
	ATF_TC_BODY(name, tc)

static void
offers(struct env *e, uint32_t n)
{
	uint32_t i;

	for (i = 1; i <= n; i++)
		(void)env_offer(e, i);
}

TEST(save_restore_with_no_connection, "nothing is connected")
{
	struct env a, b;

	env_init(&a);
	env_init(&b);
	offers(&a, 2);
	offers(&b, 2);
	ATF_CHECK_EQ(HVK_OK, env_move(&a, &b));
	env_connect(&b, HVK_VERSION_4_0, 0);
	ATF_CHECK_EQ(2, env_offers(&b));
}

TEST(save_restore_with_connection,
    "open, closing, unfinished, rescinded and reserved channels move")
{
	struct hvk_server_channel info;
	struct hvk_server_event ev;
	struct env a, b;
	hvk_channel_id ch;

	env_init(&a);
	env_init(&b);
	offers(&a, 5);
	ch = env_offer(&a, 6);
	env_connect(&a, HVK_VERSION_5_3, 0);
	ATF_CHECK_EQ(6, env_offers(&a));
	env_open(&a, 1);
	env_open(&a, 2);
	env_gpadl(&a, 3, 3);
	ATF_CHECK_EQ(HVK_OK, env_open_post(&a, 3, 3, 2));	/* opening */
	ATF_CHECK_EQ(HVK_OK, env_words(&a, HVK_MSG_CLOSE, 2, 0, 12));
	env_gpadl(&a, 4, 4);
	ATF_CHECK_EQ(HVK_OK, env_reserved(&a, 4, 4, 5));
	while (env_event(&a, &ev))	/* taken, but never answered */
		;
	ATF_CHECK_EQ(HVK_OK, hvk_server_open_done(a.s,
	    a.last[HVK_SERVER_OPEN].channel, 0));
	env_drop(&a);
	ATF_CHECK_EQ(HVK_OK, hvk_server_rescind(a.s, ch));
	env_drop(&a);
	/* Over there, the fifth is gone. */
	offers(&b, 4);
	(void)env_offer(&b, 7);
	ATF_CHECK_EQ(HVK_OK, env_move(&a, &b));
	(void)env_take(&b, HVK_MSG_RESCIND);
	(void)env_take(&b, HVK_MSG_OFFER);
	env_quiet(&b);
	env_answer(&b);
	ATF_CHECK_EQ(3, b.count[HVK_SERVER_OPEN]);
	ATF_CHECK_EQ(1, b.count[HVK_SERVER_CONTACT]);
	/* Only the one that was opening hears of it. */
	(void)env_take(&b, HVK_MSG_OPEN_RESULT);
	ATF_CHECK_EQ(103, ((const struct hvk_msg_open_result *)
	    (const void *)b.msg)->open_id);
	env_quiet(&b);
	ATF_REQUIRE_EQ(HVK_OK, hvk_server_find(b.s, 2, &ch));
	ATF_CHECK_EQ(HVK_CHANNEL_CLOSED, env_state(&b, ch));
	ATF_REQUIRE_EQ(HVK_OK, hvk_server_find(b.s, 6, &ch));
	ATF_CHECK_EQ(HVK_OK, hvk_server_channel(b.s, ch, &info));
	ATF_CHECK(info.revoked);
	ATF_CHECK_EQ(HVK_OK, env_words(&b, HVK_MSG_RELID_RELEASED, 6, 0, 12));
	ATF_CHECK_EQ(HVK_OK, env_words(&b, HVK_MSG_RELID_RELEASED, 5, 0, 12));
	ATF_CHECK_EQ(HVK_OK, env_close_reserved(&b, 4, 6));
	env_answer(&b);
	(void)env_take(&b, HVK_MSG_CLOSE_RESERVED_RESPONSE);
	ATF_CHECK_EQ(2, b.count[HVK_SERVER_RELEASED]);
	ATF_CHECK_EQ(HVK_OK, env_plain(&b, HVK_MSG_UNLOAD));
	env_answer(&b);
	(void)env_take(&b, HVK_MSG_UNLOAD_RESPONSE);
}

TEST(save_restore_connecting, "contact waits for a disconnect to end")
{
	struct env a, b;

	env_init(&a);
	env_init(&b);
	offers(&a, 1);
	offers(&b, 1);
	env_connect(&a, HVK_VERSION_4_0, 0);
	(void)env_offers(&a);
	env_open(&a, 1);
	ATF_CHECK_EQ(HVK_OK, env_contact(&a, HVK_VERSION_5_3, 0, true, 4,
	    false));
	ATF_CHECK_EQ(HVK_OK, env_move(&a, &b));
	env_answer(&b);
	(void)env_take(&b, HVK_MSG_VERSION_RESPONSE);
	ATF_CHECK_EQ(0x123000,
	    b.last[HVK_SERVER_CONTACT].contact.monitor_g2h);
	ATF_CHECK_EQ(1, env_offers(&b));
}

TEST(save_restore_modifying, "a move of a channel that is under way")
{
	struct hvk_server_event ev;
	struct env a, b;

	env_init(&a);
	env_init(&b);
	offers(&a, 1);
	offers(&b, 1);
	env_connect(&a, HVK_VERSION_6_0, 0);
	(void)env_offers(&a);
	env_open(&a, 1);
	ATF_CHECK_EQ(HVK_OK, env_words(&a, HVK_MSG_MODIFY_CHANNEL, 1, 6, 16));
	ATF_CHECK(env_event(&a, &ev));
	ATF_CHECK_EQ(HVK_OK, env_move(&a, &b));
	env_answer(&b);
	ATF_CHECK_EQ(6, b.last[HVK_SERVER_OPEN].open.vp);
	ATF_CHECK(b.last[HVK_SERVER_OPEN].open.restored);
	(void)env_take(&b, HVK_MSG_MODIFY_CHANNEL_RESPONSE);
	env_quiet(&b);
}

static void
make_reserved(struct env *e, uint32_t version, uint32_t features)
{
	env_init(e);
	offers(e, 1);
	env_connect(e, version, features);
	(void)env_offers(e);
	env_gpadl(e, 1, 1);
	ATF_REQUIRE_EQ(HVK_OK, env_reserved(e, 1, 1, 3));
	env_answer(e);
	env_drop(e);
	ATF_REQUIRE_EQ(HVK_OK, env_plain(e, HVK_MSG_UNLOAD));
	env_answer(e);
	env_drop(e);
}

TEST(save_restore_disconnected_reserved, "a reserved channel after unload")
{
	struct hvk_server_info info;
	struct env a, b;

	make_reserved(&a, HVK_VERSION_6_0, 0);
	env_init(&b);
	offers(&b, 3);
	ATF_CHECK_EQ(HVK_OK, env_move(&a, &b));
	hvk_server_info(b.s, &info);
	ATF_CHECK_EQ(1, info.gpadls);
	env_answer(&b);
	ATF_CHECK(b.last[HVK_SERVER_OPEN].open.reserved);
	env_quiet(&b);
	ATF_CHECK_EQ(HVK_OK, env_close_reserved(&b, 1, 3));
	env_answer(&b);
	(void)env_take(&b, HVK_MSG_CLOSE_RESERVED_RESPONSE);
}

TEST(save_restore_offers_not_sent, "offers that were never sent are new")
{
	struct env a, b;

	env_init(&a);
	env_init(&b);
	offers(&a, 3);
	offers(&b, 3);
	env_connect(&a, HVK_VERSION_6_0, 0);
	ATF_CHECK_EQ(HVK_OK, env_move(&a, &b));
	env_quiet(&b);
	ATF_CHECK_EQ(3, env_offers(&b));
}

TEST(save_restore_hot_add_during_restore, "one more offer over there")
{
	const struct hvk_msg_offer *o;
	struct env a, b;

	env_init(&a);
	env_init(&b);
	offers(&a, 3);
	offers(&b, 4);
	env_connect(&a, HVK_VERSION_6_0, 0);
	(void)env_offers(&a);
	ATF_CHECK_EQ(HVK_OK, env_move(&a, &b));
	o = env_take(&b, HVK_MSG_OFFER);
	ATF_CHECK_EQ(4, o->relid);
	env_quiet(&b);
}

TEST(pending_messages, "what the guest had not taken comes from the new server")
{
	struct env a, b;

	env_init(&a);
	env_init(&b);
	offers(&a, 3);
	offers(&b, 3);
	env_connect(&a, HVK_VERSION_6_0, 0);
	(void)env_offers(&a);
	env_gpadl(&a, 2, 2);
	ATF_CHECK_EQ(HVK_OK, env_gpadl_post(&a, 1, 10, 400, 4));
	ATF_CHECK_EQ(HVK_OK, env_open_post(&a, 2, 2, 1));
	env_answer(&a);
	ATF_CHECK_EQ(2, hvk_server_waiting(a.s));
	ATF_CHECK_EQ(HVK_OK, env_move(&a, &b));
	env_answer(&b);
	(void)env_take(&b, HVK_MSG_GPADL_CREATED);
	(void)env_take(&b, HVK_MSG_OPEN_RESULT);
	env_quiet(&b);
}

/* Connect at `version`, restore under `max` with `allowed`: the result. */
static int
move_capped(uint32_t version, uint32_t features, uint32_t max,
    uint32_t allowed, bool reserved)
{
	struct env a, b;

	if (reserved)
		make_reserved(&a, version, features);
	else {
		env_init(&a);
		offers(&a, 1);
		env_connect(&a, version, features);
	}
	env_init(&b);
	b.config.max_version = max;
	b.config.features = allowed;
	env_start(&b);
	offers(&b, 1);
	return (env_move(&a, &b));
}

TEST(restore_max_version_rejects_higher_version, "newer than the cap")
{
	ATF_CHECK_EQ(HVK_RANGE, move_capped(HVK_VERSION_6_0, 0,
	    HVK_VERSION_4_0, ALL_FLAGS, false));
}
TEST(restore_max_version_rejects_disallowed_feature_flags, "a feature less")
{
	ATF_CHECK_EQ(HVK_RANGE, move_capped(HVK_VERSION_6_0,
	    HVK_FLAG_CLIENT_ID, HVK_VERSION_6_0, HVK_FLAG_SIGNAL_PARAMETERS,
	    false));
}
TEST(restore_max_version_pre_copper, "exactly the cap")
{
	ATF_CHECK_EQ(HVK_OK, move_capped(HVK_VERSION_5_2, 0, HVK_VERSION_5_2,
	    0, false));
}
TEST(restore_max_version_copper_with_feature_flags, "exactly the features")
{
	ATF_CHECK_EQ(HVK_OK, move_capped(HVK_VERSION_6_0, HVK_FLAG_CLIENT_ID,
	    HVK_VERSION_6_0, HVK_FLAG_CLIENT_ID, false));
}
TEST(restore_max_version_reserved_channel_success, "of a reserved channel")
{
	ATF_CHECK_EQ(HVK_OK, move_capped(HVK_VERSION_6_0, HVK_FLAG_CLIENT_ID,
	    HVK_VERSION_6_0, HVK_FLAG_CLIENT_ID, true));
}
TEST(restore_max_version_reserved_channel_rejects_higher_version,
    "a reserved channel from a newer connection")
{
	ATF_CHECK_EQ(HVK_RANGE, move_capped(HVK_VERSION_6_0, 0,
	    HVK_VERSION_4_0, 0, true));
}
TEST(restore_max_version_reserved_channel_rejects_disallowed_feature_flags,
    "a reserved channel with a feature less")
{
	ATF_CHECK_EQ(HVK_RANGE, move_capped(HVK_VERSION_6_0,
	    HVK_FLAG_CLIENT_ID, HVK_VERSION_6_0, HVK_FLAG_SIGNAL_PARAMETERS,
	    true));
}

static void
tampered(bool reserved)
{
	uint8_t buf[65536];
	struct saved_head *head = (void *)buf;
	struct saved_channel *c = (void *)(head + 1);
	struct env a, b;

	if (reserved)
		make_reserved(&a, HVK_VERSION_5_2, 0);
	else {
		env_init(&a);
		offers(&a, 1);
		env_connect(&a, HVK_VERSION_5_2, 0);
	}
	env_init(&b);
	offers(&b, 1);
	ATF_REQUIRE_EQ(HVK_OK, hvk_server_save(a.s, buf, sizeof(buf)));
	if (reserved)
		c->reserved_features = HVK_FLAG_SIGNAL_PARAMETERS;
	else
		head->features = HVK_FLAG_SIGNAL_PARAMETERS;
	ATF_CHECK_EQ(HVK_RANGE, hvk_server_restore(b.s, buf,
	    hvk_server_save_size(a.s)));
	env_check(&b);
	/* The failed server is as good as new. */
	env_connect(&b, HVK_VERSION_6_0, 0);
	ATF_CHECK_EQ(1, env_offers(&b));
}

TEST(restore_pre_copper_with_feature_flags_rejected,
    "features cannot come with a version that has none")
{
	tampered(false);
}
TEST(restore_pre_copper_reserved_channel_with_feature_flags_rejected,
    "nor by a reserved channel")
{
	tampered(true);
}

TEST(restore_broken_bytes, "no flipped or missing byte breaks the server")
{
	struct env a, b;
	uint8_t good[4096], bad[4096];
	size_t size, i;

	env_init(&a);
	offers(&a, 2);
	env_connect(&a, HVK_VERSION_5_3, 0);
	(void)env_offers(&a);
	env_open(&a, 1);
	ATF_CHECK_EQ(HVK_OK, env_gpadl_post(&a, 2, 9, 900, 3));
	size = hvk_server_save_size(a.s);
	ATF_REQUIRE(size <= sizeof(good));
	ATF_REQUIRE_EQ(HVK_OK, hvk_server_save(a.s, good, size));
	env_init(&b);
	offers(&b, 2);
	for (i = 0; i < size; i++) {
		ATF_CHECK(hvk_server_restore(b.s, good, i) != HVK_OK);
		memcpy(bad, good, size);
		bad[i] ^= (uint8_t)(1 + i * 37);
		if (hvk_server_restore(b.s, bad, size) == HVK_OK) {
			env_check(&b);
			env_answer(&b);
			free(b.s);
			env_init(&b);
			offers(&b, 2);
		}
		env_check(&b);
	}
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, save_restore_with_no_connection);
	ATF_TP_ADD_TC(tp, save_restore_with_connection);
	ATF_TP_ADD_TC(tp, save_restore_connecting);
	ATF_TP_ADD_TC(tp, save_restore_modifying);
	ATF_TP_ADD_TC(tp, save_restore_disconnected_reserved);
	ATF_TP_ADD_TC(tp, save_restore_offers_not_sent);
	ATF_TP_ADD_TC(tp, save_restore_hot_add_during_restore);
	ATF_TP_ADD_TC(tp, pending_messages);
	ATF_TP_ADD_TC(tp, restore_max_version_rejects_higher_version);
	ATF_TP_ADD_TC(tp,
	    restore_max_version_rejects_disallowed_feature_flags);
	ATF_TP_ADD_TC(tp, restore_max_version_pre_copper);
	ATF_TP_ADD_TC(tp, restore_max_version_copper_with_feature_flags);
	ATF_TP_ADD_TC(tp, restore_max_version_reserved_channel_success);
	ATF_TP_ADD_TC(tp,
	    restore_max_version_reserved_channel_rejects_higher_version);
	ATF_TP_ADD_TC(tp,
	    restore_max_version_reserved_channel_rejects_disallowed_feature_flags);
	ATF_TP_ADD_TC(tp, restore_pre_copper_with_feature_flags_rejected);
	ATF_TP_ADD_TC(tp,
	    restore_pre_copper_reserved_channel_with_feature_flags_rejected);
	ATF_TP_ADD_TC(tp, restore_broken_bytes);
	return (atf_no_error());
}
