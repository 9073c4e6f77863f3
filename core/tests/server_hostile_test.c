/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 */

/*
 * Hostile guests against the VMBus server: each thing that a guest may not do,
 * refused by name, while the other channel goes on; and every message in every
 * state, whole, short and long.
 */

#include "server_env.h"

#define	TEST(name, descr)						\
	ATF_TC(name);							\
	ATF_TC_HEAD(name, tc) { atf_tc_set_md_var(tc, "descr", descr); } \
	ATF_TC_BODY(name, tc)

/* Two offers; the second is open and must still work at the end. */
static void
start(struct env *e, bool overlap_check)
{
	env_init(e);
	e->config.overlap_check = overlap_check;
	e->config.pfns = 4096;
	e->config.gpadls = 40;
	env_start(e);
	(void)env_offer(e, 1);
	(void)env_offer(e, 2);
	env_connect(e, HVK_VERSION_5_3, 0);
	ATF_REQUIRE_EQ(2, env_offers(e));
	env_open(e, 2);
}

static void
still_works(struct env *e)
{
	env_answer(e);
	env_drop(e);
	ATF_CHECK_EQ(HVK_OK, env_words(e, HVK_MSG_MODIFY_CHANNEL, 2, 5, 16));
	env_answer(e);
	(void)env_take(e, HVK_MSG_MODIFY_CHANNEL_RESPONSE);
}

static void
refused_gpadl(struct env *e, int error, enum hvk_refusal reason)
{
	const struct hvk_msg_gpadl_created *r;

	ATF_CHECK_EQ(HVK_REJECT, error);
	env_refused(e, reason);
	r = env_take(e, HVK_MSG_GPADL_CREATED);
	ATF_CHECK(r->status != 0);
}

TEST(pages_outside_memory, "a page past the end of guest memory")
{
	struct env e;

	start(&e, false);
	refused_gpadl(&e, env_gpadl_post(&e, 1, 7, MEM_SIZE / 4096 - 1, 2),
	    HVK_REFUSE_GPADL_PFN);
	refused_gpadl(&e, env_gpadl_post(&e, 1, 7, UINT64_MAX - 1, 2),
	    HVK_REFUSE_GPADL_PFN);
	ATF_CHECK_EQ(HVK_OK, env_gpadl_post(&e, 1, 7, MEM_SIZE / 4096 - 2, 2));
	still_works(&e);
}

TEST(overlapping_page_lists, "a page in two lists, or twice in one")
{
	struct env e;

	start(&e, true);
	env_gpadl(&e, 1, 10);			/* pages 320 to 327 */
	refused_gpadl(&e, env_gpadl_post(&e, 1, 11, 327, 2),
	    HVK_REFUSE_GPADL_OVERLAP);
	/* Nothing of the refused one stays marked. */
	ATF_CHECK_EQ(HVK_OK, env_gpadl_post(&e, 1, 11, 328, 2));
	(void)env_take(&e, HVK_MSG_GPADL_CREATED);
	ATF_CHECK_EQ(HVK_OK, env_words(&e, HVK_MSG_GPADL_TEARDOWN, 1, 10, 16));
	refused_gpadl(&e, env_gpadl_post(&e, 1, 12, 320, 2),
	    HVK_REFUSE_GPADL_OVERLAP);
	env_answer(&e);
	(void)env_take(&e, HVK_MSG_GPADL_TORNDOWN);
	ATF_CHECK_EQ(HVK_OK, env_gpadl_post(&e, 1, 12, 320, 2));
	still_works(&e);
}

TEST(endless_bodies, "bodies past the end, for nothing, and for too much")
{
	uint8_t m[240];
	struct hvk_msg_gpadl_body *b = (void *)m;
	struct hvk_msg_gpadl_header *h = (void *)m;
	struct hvk_server_info info;
	struct env e;
	unsigned i, id;

	start(&e, false);
	memset(m, 0, sizeof(m));
	b->hdr.type = HVK_MSG_GPADL_BODY;
	b->gpadl = 99;
	ATF_CHECK_EQ(HVK_REJECT, env_post(&e, m, 240));
	env_refused(&e, HVK_REFUSE_GPADL_UNKNOWN);
	b->gpadl = 2;				/* complete */
	for (i = 0; i < 1000; i++)
		ATF_CHECK_EQ(HVK_REJECT, env_post(&e, m, 240));
	env_refused(&e, HVK_REFUSE_GPADL_BODY);
	ATF_CHECK_EQ(HVK_OK, env_post(&e, m, 16));	/* one too many: fine */
	/* Lists that begin and never end: the table ends first. */
	for (id = 100; id < 1000; id++) {
		memset(m, 0, sizeof(m));
		h->hdr.type = HVK_MSG_GPADL_HEADER;
		h->relid = 1;
		h->gpadl = id;
		h->range_bytes = 0xfff8;
		h->range_count = 1;
		if (env_post(&e, m, 240) != HVK_OK)
			break;
	}
	env_refused(&e, HVK_REFUSE_GPADL_TABLE);
	(void)env_take(&e, HVK_MSG_GPADL_CREATED);
	/* And their pages: the pool ends before the lists do. */
	memset(m, 0, sizeof(m));
	b->hdr.type = HVK_MSG_GPADL_BODY;
	b->gpadl = 100;
	for (i = 0; i < 1000; i++)
		if (env_post(&e, m, 240) != HVK_OK)
			break;
	env_refused(&e, HVK_REFUSE_GPADL_PAGES);
	hvk_server_info(e.s, &info);
	ATF_CHECK(info.pfns <= 4096);
	still_works(&e);
}

TEST(bad_ranges, "no range, empty ranges, more ranges than bytes")
{
	struct {
		struct hvk_msg_gpadl_header h;
		uint32_t len, offset;
		uint64_t pfn[2];
	} m;
	struct env e;

	start(&e, false);
	memset(&m, 0, sizeof(m));
	m.h.hdr.type = HVK_MSG_GPADL_HEADER;
	m.h.relid = 1;
	m.h.gpadl = 5;
	m.h.range_bytes = 24;
	refused_gpadl(&e, env_post(&e, &m, 44), HVK_REFUSE_GPADL_RANGES);
	m.h.range_count = 0xffff;
	refused_gpadl(&e, env_post(&e, &m, 44), HVK_REFUSE_GPADL_RANGES);
	m.h.range_count = 1;
	refused_gpadl(&e, env_post(&e, &m, 44), HVK_REFUSE_GPADL_EMPTY_RANGE);
	m.len = 0xffffffff;
	refused_gpadl(&e, env_post(&e, &m, 44), HVK_REFUSE_GPADL_RANGES);
	m.len = 4096;
	m.offset = 4096;
	refused_gpadl(&e, env_post(&e, &m, 44), HVK_REFUSE_GPADL_OFFSET);
	m.h.gpadl = 0;
	refused_gpadl(&e, env_post(&e, &m, 44), HVK_REFUSE_GPADL_ZERO);
	m.h.gpadl = 5;
	m.h.relid = 3000;
	refused_gpadl(&e, env_post(&e, &m, 44), HVK_REFUSE_RELID);
	m.h.relid = 2;
	m.h.gpadl = 2;
	refused_gpadl(&e, env_post(&e, &m, 44), HVK_REFUSE_GPADL_DUPLICATE);
	still_works(&e);
}

static void
refused_open(struct env *e, uint32_t gpadl, uint32_t offset, uint32_t vp,
    enum hvk_refusal reason)
{
	struct hvk_msg_open m;
	const struct hvk_msg_open_result *r;

	memset(&m, 0, sizeof(m));
	m.hdr.type = HVK_MSG_OPEN;
	m.relid = 1;
	m.open_id = 9;
	m.gpadl = gpadl;
	m.page_offset = offset;
	m.target_vp = vp;
	ATF_CHECK_EQ(HVK_REJECT, env_post(e, &m, HVK_OPEN_SIZE));
	env_refused(e, reason);
	r = env_take(e, HVK_MSG_OPEN_RESULT);
	ATF_CHECK_EQ(9, r->open_id);
	ATF_CHECK(r->status != 0);
}

TEST(bad_opens, "rings of size 0, of another channel, on no processor")
{
	struct env e;

	start(&e, false);
	env_gpadl(&e, 1, 5);
	refused_open(&e, 5, 0, 0, HVK_REFUSE_OPEN_RING_SIZE);
	refused_open(&e, 5, 1, 0, HVK_REFUSE_OPEN_RING_SIZE);
	refused_open(&e, 5, 7, 0, HVK_REFUSE_OPEN_RING_SIZE);
	refused_open(&e, 5, 8, 0, HVK_REFUSE_OPEN_RING_SIZE);
	refused_open(&e, 5, UINT32_MAX, 0, HVK_REFUSE_OPEN_RING_SIZE);
	refused_open(&e, 2, 4, 0, HVK_REFUSE_OPEN_GPADL);
	refused_open(&e, 77, 4, 0, HVK_REFUSE_OPEN_GPADL);
	refused_open(&e, 5, 4, 8, HVK_REFUSE_OPEN_VP);
	ATF_CHECK_EQ(HVK_OK, env_gpadl_post(&e, 1, 6, 600, 3));
	(void)env_take(&e, HVK_MSG_GPADL_CREATED);
	refused_open(&e, 6, 2, 0, HVK_REFUSE_OPEN_RING_SIZE);
	still_works(&e);
}

TEST(closed_channels, "close, move, tear down, release at the wrong time")
{
	struct env e;

	start(&e, false);
	ATF_CHECK_EQ(HVK_REJECT, env_words(&e, HVK_MSG_CLOSE, 1, 0, 12));
	env_refused(&e, HVK_REFUSE_CLOSE_CLOSED);
	ATF_CHECK_EQ(HVK_REJECT, env_words(&e, HVK_MSG_CLOSE, 9, 0, 12));
	env_refused(&e, HVK_REFUSE_RELID);
	ATF_CHECK_EQ(HVK_REJECT, env_words(&e, HVK_MSG_CLOSE, UINT32_MAX, 0,
	    12));
	ATF_CHECK_EQ(HVK_REJECT, env_open_post(&e, 2, 2, 0));
	env_refused(&e, HVK_REFUSE_OPEN_TWICE);
	ATF_CHECK_EQ(HVK_REJECT, env_words(&e, HVK_MSG_MODIFY_CHANNEL, 1, 1,
	    16));
	env_refused(&e, HVK_REFUSE_MODIFY_CLOSED);
	(void)env_take(&e, HVK_MSG_MODIFY_CHANNEL_RESPONSE);
	ATF_CHECK_EQ(HVK_REJECT, env_words(&e, HVK_MSG_MODIFY_CHANNEL, 2,
	    HVK_VP_NO_INTERRUPT, 16));
	env_refused(&e, HVK_REFUSE_MODIFY_VP);
	ATF_CHECK_EQ(HVK_REJECT, env_words(&e, HVK_MSG_GPADL_TEARDOWN, 2, 2,
	    16));
	env_refused(&e, HVK_REFUSE_GPADL_BUSY);
	ATF_CHECK_EQ(HVK_REJECT, env_words(&e, HVK_MSG_RELID_RELEASED, 2, 0,
	    12));
	env_refused(&e, HVK_REFUSE_RELEASE_LIVE);
	ATF_CHECK_EQ(HVK_REJECT, env_plain(&e, HVK_MSG_REQUEST_OFFERS));
	env_refused(&e, HVK_REFUSE_OFFERS_TWICE);
	still_works(&e);
}

TEST(bad_posts, "unknown types, wrong sizes, wrong connections")
{
	uint32_t m[70] = { HVK_MSG_REQUEST_OFFERS };
	struct hvk_server_post post = { .conn = 1, .type = 2, .len = 8,
	    .payload = m };
	struct env e;

	start(&e, false);
	ATF_CHECK_EQ(HVK_REJECT, hvk_server_post(e.s, &post));
	env_refused(&e, HVK_REFUSE_TYPE);
	ATF_CHECK_EQ(HVK_RANGE, env_post_as(&e, 2, false, m, 8));
	ATF_CHECK_EQ(HVK_REJECT, env_post(&e, m, 241));
	env_refused(&e, HVK_REFUSE_LONG);
	ATF_CHECK_EQ(HVK_REJECT, env_post(&e, m, 7));
	env_refused(&e, HVK_REFUSE_SHORT);
	m[0] = HVK_MSG_OFFER;
	ATF_CHECK_EQ(HVK_REJECT, env_post(&e, m, 240));
	env_refused(&e, HVK_REFUSE_UNKNOWN_MESSAGE);
	m[0] = UINT32_MAX;
	ATF_CHECK_EQ(HVK_REJECT, env_post(&e, m, 240));
	env_refused(&e, HVK_REFUSE_UNKNOWN_MESSAGE);
	ATF_CHECK_EQ(3, hvk_server_refusals(e.s, HVK_REFUSE_UNKNOWN_MESSAGE) +
	    hvk_server_refusals(e.s, HVK_REFUSE_SHORT));
	still_works(&e);
}

TEST(contact_pages, "monitor pages outside memory, alone, or crooked")
{
	static const uint64_t bad[][2] = { { 0x1000, 0 }, { 0, 0x1000 },
	    { 0x1000, MEM_SIZE }, { 0x1001, 0x2000 },
	    { UINT64_MAX, UINT64_MAX } };
	struct hvk_msg_initiate_contact m;
	const struct hvk_msg_version_response *r;
	struct env e;
	unsigned i;

	for (i = 0; i < 5; i++) {
		env_init(&e);
		memset(&m, 0, sizeof(m));
		m.hdr.type = HVK_MSG_INITIATE_CONTACT;
		m.version = HVK_VERSION_5_3;
		m.monitor_in = bad[i][0];
		m.monitor_out = bad[i][1];
		ATF_CHECK_EQ(HVK_REJECT, env_post(&e, &m, 40));
		env_refused(&e, HVK_REFUSE_CONTACT_MONITOR);
		r = env_take(&e, HVK_MSG_VERSION_RESPONSE);
		ATF_CHECK_EQ(HVK_CONTACT_FAILED, r->state);
	}
}

/* Bring channel 1 into a state; the device layer owes what it owes. */
#define	STATES	10
static void
into_state(struct env *e, unsigned state)
{
	struct hvk_server_event ev;

	env_init(e);
	(void)env_offer(e, 1);
	if (state == 0)
		return;
	env_connect(e, HVK_VERSION_6_0, ALL_FLAGS & ~HVK_FLAG_CONFIDENTIAL);
	if (state == 1)
		return;
	(void)env_offers(e);
	if (state >= 3)
		env_gpadl(e, 1, 1);
	if (state >= 4 && state <= 8)
		ATF_REQUIRE_EQ(HVK_OK, state == 8 ? env_reserved(e, 1, 1, 1) :
		    env_open_post(e, 1, 1, 0));
	if (state >= 5)
		env_answer(e);
	env_drop(e);
	if (state == 6)
		ATF_REQUIRE_EQ(HVK_OK, env_words(e, HVK_MSG_CLOSE, 1, 0, 12));
	if (state == 7)
		ATF_REQUIRE_EQ(HVK_OK, hvk_server_rescind(e->s, 0));
	if (state == 9)
		ATF_REQUIRE_EQ(HVK_OK, env_plain(e, HVK_MSG_UNLOAD));
	if (state == 6 || state == 7)
		(void)env_event(e, &ev);
}

/* The device layer's answer to a question that was taken before. */
static void
answer_owed(struct env *e)
{
	if (e->s == NULL)
		return;
	(void)hvk_server_close_done(e->s, 0);
	(void)hvk_server_open_done(e->s, 0, 0);
	(void)hvk_server_gpadl_released(e->s, 0, 1);
	env_check(e);
}

TEST(every_message_in_every_state,
    "each type, whole, short, long and senseless, with the device layer "
    "answering, silent or rescinding: the server stays whole and empties")
{
	struct hvk_server_info info;
	struct env e;
	uint8_t m[248];
	unsigned state, type, size, fill, after, combos = 0;
	static const uint8_t sizes[] = { 8, 12, 16, 20, 28, 40, 148, 156, 240 };

	for (state = 0; state < STATES; state++)
	for (type = 0; type <= 31; type++)
	for (size = 0; size < sizeof(sizes); size++)
	for (fill = 0; fill < 3; fill++)
	for (after = 0; after < 3; after++) {
		into_state(&e, state);
		memset(m, fill == 2 ? 0xff : 0, sizeof(m));
		memset(m, 0, 8);
		m[0] = (uint8_t)type;
		if (fill == 1)
			m[8] = m[12] = m[16] = m[18] = 1;
		(void)env_post(&e, m, sizes[size]);
		if (after == 1)
			env_answer(&e);
		else if (after == 2 && hvk_server_rescind(e.s, 0) == HVK_OK)
			env_check(&e);
		(void)env_post(&e, m, sizes[size]);
		answer_owed(&e);
		env_answer(&e);
		hvk_server_reset(e.s);
		env_check(&e);
		env_answer(&e);
		answer_owed(&e);
		env_answer(&e);
		hvk_server_info(e.s, &info);
		ATF_REQUIRE_MSG(info.gpadls == 0 && !info.connected &&
		    !info.disconnecting, "state %u type %u size %u fill %u "
		    "after %u", state, type, sizes[size], fill, after);
		free(e.s);
		combos++;
	}
	ATF_CHECK_EQ(STATES * 32 * 9 * 9, combos);
}

TEST(every_refusal_has_a_line, "a name and a sentence for each reason")
{
	unsigned i, j;

	for (i = 0; i < HVK_REFUSE_MAX; i++) {
		ATF_REQUIRE(hvk_refusal_name(i) != NULL);
		ATF_REQUIRE(strlen(hvk_refusal_text(i)) > 10);
		for (j = 0; j < i; j++)
			ATF_CHECK(strcmp(hvk_refusal_name(i),
			    hvk_refusal_name(j)) != 0);
	}
	ATF_CHECK_STREQ("unknown", hvk_refusal_name(HVK_REFUSE_MAX));
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, pages_outside_memory);
	ATF_TP_ADD_TC(tp, overlapping_page_lists);
	ATF_TP_ADD_TC(tp, endless_bodies);
	ATF_TP_ADD_TC(tp, bad_ranges);
	ATF_TP_ADD_TC(tp, bad_opens);
	ATF_TP_ADD_TC(tp, closed_channels);
	ATF_TP_ADD_TC(tp, bad_posts);
	ATF_TP_ADD_TC(tp, contact_pages);
	ATF_TP_ADD_TC(tp, every_message_in_every_state);
	ATF_TP_ADD_TC(tp, every_refusal_has_a_line);
	return (atf_no_error());
}
