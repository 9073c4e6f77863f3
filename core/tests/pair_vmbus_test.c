/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 */

/*
 * The guest's VMBus client against the host's VMBus server, in one process: each
 * version, sub-channels, rescinds in every state, the largest tables and page
 * lists.  In the end the host must hold nothing.
 */

#include <hvk/guest/vmbus.h>

#include "server_env.h"
#include "../host/server_priv.h"

#define	FEATURE_TEST(name, descr, feature)				\
	ATF_TC(name);							\
	ATF_TC_HEAD(name, tc)						\
	{								\
		atf_tc_set_md_var(tc, "descr", descr);			\
		atf_tc_set_md_var(tc, "X-feature", feature);		\
	}								\
	ATF_TC_BODY(name, tc)

#define	MS	1000000ull

struct pair {
	struct env e;
	struct hvk_client c;
	struct hvk_client_config cc;
	uint64_t now;
	unsigned seen[HVK_EVENT_FAILED + 1];
	unsigned failed;
	struct hvk_client_event last[HVK_EVENT_FAILED + 1];
	bool	release;	/* let go of rescinded channels at once */
};

static void
pair_init(struct pair *p, uint32_t nchans, uint32_t host, uint32_t guest)
{
	memset(p, 0, sizeof(*p));
	env_init(&p->e);
	p->e.config.channels = nchans;
	p->e.config.max_version = host;
	p->e.config.pfns = 1u << 18;
	p->e.config.overlap_check = true;
	env_start(&p->e);
	p->cc.nchans = nchans;
	p->cc.ngpadls = 4096;
	p->cc.chans = calloc(nchans, sizeof(*p->cc.chans));
	p->cc.gpadls = calloc(4096, sizeof(*p->cc.gpadls));
	p->cc.max_version = guest;
	p->cc.features = ALL_FLAGS & ~(HVK_FLAG_CONFIDENTIAL |
	    HVK_FLAG_SERVER_MONITOR);
	p->cc.sint = 2;
	p->cc.monitor_from_host = 0x3000000;
	p->cc.monitor_to_host = 0x3001000;
	ATF_REQUIRE_EQ(HVK_OK, hvk_client_init(&p->c, &p->cc));
	p->now = 1000 * MS;
}

static void
note(struct pair *p, const struct hvk_client_event *ev)
{
	p->seen[ev->kind]++;
	p->last[ev->kind] = *ev;
	if (ev->status != HVK_CLIENT_OK)
		p->failed++;
	if (ev->kind == HVK_EVENT_RESCIND && p->release) {
		(void)hvk_client_close(&p->c, ev->chan);
		ATF_REQUIRE_EQ(HVK_OK, hvk_client_release(&p->c, ev->chan));
	}
}

/* Carry one thing in one direction; false if there was nothing. */
static bool
carry(struct pair *p)
{
	struct hvk_client_post post;
	struct hvk_client_event ev;
	struct hvk_server_post in;
	bool any = false;
	int error;

	if (hvk_client_post(&p->c, &post, p->now)) {
		memset(&in, 0, sizeof(in));
		in.conn = post.connection_id;
		in.type = 1;
		in.len = post.len;
		in.payload = post.data;
		error = hvk_server_post(p->e.s, &in);
		hvk_client_posted(&p->c, error == HVK_AGAIN ? 0x13 :
		    error == HVK_RANGE ? 0x12 : 0, p->now);
		any = true;
	}
	if (hvk_server_next(p->e.s, &p->e.out)) {
		hvk_server_sent(p->e.s);
		(void)hvk_client_input(&p->c, p->e.out.data, p->e.out.len,
		    p->now);
		any = true;
	}
	while (hvk_client_event(&p->c, &ev)) {
		note(p, &ev);
		any = true;
	}
	return (any);
}

static void
pump(struct pair *p)
{
	unsigned quiet = 0, steps = 0;

	while (quiet < 3) {
		if (carry(p))
			quiet = 0;
		else if (p->e.s->asks.count > 0)
			env_answer(&p->e);
		else {
			quiet++;
			p->now += MS;
			hvk_client_tick(&p->c, p->now);
		}
		ATF_REQUIRE_MSG(++steps < 2000000, "the two never agree");
	}
	env_check(&p->e);
}

static void
connect_pair(struct pair *p)
{
	ATF_REQUIRE_EQ(HVK_OK, hvk_client_connect(&p->c, p->now));
	pump(p);
	ATF_REQUIRE_EQ(1, p->seen[HVK_EVENT_CONNECTED]);
	ATF_REQUIRE_EQ(HVK_OK, hvk_client_request_offers(&p->c, p->now));
	pump(p);
	ATF_REQUIRE_EQ(1, p->seen[HVK_EVENT_ALL_OFFERS]);
}

static struct hvk_client_gpadl *
share(struct pair *p, struct hvk_client_chan *chan, uint64_t *pfn, uint64_t at,
    uint32_t n)
{
	struct hvk_client_gpadl *g;
	uint32_t i;

	for (i = 0; i < n; i++)
		pfn[i] = at + i;
	ATF_REQUIRE_EQ(HVK_OK, hvk_client_gpadl_create(&p->c, chan, pfn, n,
	    NULL, &g, p->now));
	return (g);
}

static void
open_chan(struct pair *p, struct hvk_client_chan *chan, uint32_t handle,
    uint32_t rx_page)
{
	struct hvk_client_open open = { .ring_gpadl = handle,
	    .rx_page = rx_page, .vcpu = 1 };

	ATF_REQUIRE_EQ(HVK_OK, hvk_client_open(&p->c, chan, &open, p->now));
}

static void
unload(struct pair *p)
{
	struct hvk_server_info info;

	hvk_client_unload(&p->c, p->now);
	pump(p);
	ATF_CHECK_EQ(1, p->seen[HVK_EVENT_UNLOADED]);
	ATF_CHECK_EQ(HVK_CLIENT_OK, p->last[HVK_EVENT_UNLOADED].status);
	hvk_server_info(p->e.s, &info);
	ATF_CHECK(!info.connected);
	ATF_CHECK_EQ(0, info.gpadls);
	ATF_CHECK_EQ(0, info.pfns);
	ATF_CHECK_EQ(0, p->c.rejected);
}

static const uint32_t versions[] = {
	HVK_VERSION_2_4, HVK_VERSION_3_0, HVK_VERSION_4_0, HVK_VERSION_4_1,
	HVK_VERSION_5_0, HVK_VERSION_5_1, HVK_VERSION_5_2, HVK_VERSION_5_3,
	HVK_VERSION_6_0
};
#define	NVERSIONS	(sizeof(versions) / sizeof(versions[0]))

FEATURE_TEST(every_version, "every cap of the host against every cap of the "
    "guest: the newest common version, and a channel that opens",
    "core.versions")
{
	struct hvk_client_chan *chan;
	struct hvk_client_gpadl *g;
	static struct pair p;
	uint64_t pfn[16];
	unsigned host, guest, common;

	for (host = 0; host < NVERSIONS; host++)
		for (guest = 0; guest < NVERSIONS; guest++) {
			pair_init(&p, 8, versions[host], versions[guest]);
			(void)env_offer(&p.e, 1);
			connect_pair(&p);
			common = host < guest ? host : guest;
			ATF_CHECK_EQ(versions[common], p.c.version);
			ATF_REQUIRE_EQ(1, p.seen[HVK_EVENT_OFFER]);
			chan = p.last[HVK_EVENT_OFFER].chan;
			g = share(&p, chan, pfn, 100, 16);
			pump(&p);
			ATF_REQUIRE_EQ(1, p.seen[HVK_EVENT_GPADL_CREATED]);
			open_chan(&p, chan, g->handle, 8);
			pump(&p);
			ATF_CHECK_EQ(HVK_CLIENT_OK,
			    p.last[HVK_EVENT_OPENED].status);
			ATF_CHECK_EQ(8,
			    p.e.last[HVK_SERVER_OPEN].open.offset);
			ATF_CHECK_EQ(HVK_CHAN_OPEN, chan->state);
			ATF_CHECK_EQ(HVK_OK, hvk_client_close(&p.c, chan));
			ATF_CHECK_EQ(HVK_OK, hvk_client_gpadl_teardown(&p.c,
			    g, p.now));
			pump(&p);
			ATF_CHECK_EQ(HVK_CLIENT_OK,
			    p.last[HVK_EVENT_GPADL_TORNDOWN].status);
			unload(&p);
			ATF_CHECK_EQ(0, p.failed);
		}
}

FEATURE_TEST(move_channel, "an open channel moves to another processor; from "
    "5.3 on the host says so", "core.retarget")
{
	struct hvk_client_chan *chan;
	struct hvk_client_gpadl *g;
	static struct pair p;
	uint64_t pfn[16];
	unsigned i;

	for (i = 3; i < NVERSIONS; i++) {
		pair_init(&p, 8, versions[i], 0);
		(void)env_offer(&p.e, 1);
		connect_pair(&p);
		chan = p.last[HVK_EVENT_OFFER].chan;
		g = share(&p, chan, pfn, 100, 16);
		pump(&p);
		open_chan(&p, chan, g->handle, 8);
		pump(&p);
		ATF_CHECK_EQ(1, p.e.last[HVK_SERVER_OPEN].open.vp);
		ATF_CHECK_EQ(HVK_OK, hvk_client_modify(&p.c, chan, 6, p.now));
		pump(&p);
		ATF_CHECK_EQ(1, p.seen[HVK_EVENT_MODIFIED]);
		ATF_CHECK_EQ(HVK_CLIENT_OK, p.last[HVK_EVENT_MODIFIED].status);
		ATF_CHECK_EQ(6, p.e.last[HVK_SERVER_MODIFY].modify.vp);
		ATF_CHECK_EQ(6, chan->vcpu);
		unload(&p);
	}
}

FEATURE_TEST(subchannels, "a primary, then 15 sub-channels, all open",
    "core.multichannel")
{
	struct hvk_server_offer offer = env_make_offer(1, 1);
	struct hvk_client_chan *chan[16];
	struct hvk_client_gpadl *g[16];
	static struct pair p;
	uint64_t pfn[16][16];
	unsigned i;

	pair_init(&p, 32, 0, 0);
	offer.subindex = 1;
	ATF_CHECK_EQ(HVK_RANGE, hvk_server_offer(p.e.s, &offer, NULL));
	(void)env_offer(&p.e, 1);
	connect_pair(&p);
	chan[0] = p.last[HVK_EVENT_OFFER].chan;
	for (i = 1; i < 16; i++) {
		offer.subindex = (uint16_t)i;
		ATF_REQUIRE_EQ(HVK_OK, hvk_server_offer(p.e.s, &offer, NULL));
		pump(&p);
		chan[i] = p.last[HVK_EVENT_OFFER].chan;
		ATF_CHECK_EQ(i, chan[i]->subindex);
		ATF_CHECK_EQ(chan[0], hvk_client_primary(&p.c, chan[i]));
	}
	for (i = 0; i < 16; i++)
		g[i] = share(&p, chan[i], pfn[i], 100 + 16 * i, 16);
	pump(&p);
	for (i = 0; i < 16; i++)
		open_chan(&p, chan[i], g[i]->handle, 8);
	pump(&p);
	ATF_CHECK_EQ(16, p.seen[HVK_EVENT_OPENED]);
	ATF_CHECK_EQ(16, p.e.count[HVK_SERVER_OPEN]);
	ATF_CHECK_EQ(0, p.failed);
	unload(&p);
}

FEATURE_TEST(all_the_channels, "2,047 offers, all of them answered, twice",
    "core.multichannel")
{
	static struct pair p;
	unsigned i;

	pair_init(&p, 2047, 0, 0);
	for (i = 1; i <= 2047; i++)
		(void)env_offer(&p.e, i);
	connect_pair(&p);
	ATF_CHECK_EQ(2047, p.seen[HVK_EVENT_OFFER]);
	unload(&p);
	ATF_REQUIRE_EQ(HVK_OK, hvk_client_init(&p.c, &p.cc));
	memset(p.seen, 0, sizeof(p.seen));
	connect_pair(&p);
	ATF_CHECK_EQ(2047, p.seen[HVK_EVENT_OFFER]);
	unload(&p);
}

FEATURE_TEST(page_lists, "GPADLs of 1 to 8,190 pages arrive page for page",
    "core.unload")
{
	static const uint32_t sizes[] = { 1, 2, 25, 26, 27, 53, 54, 55, 1000,
	    8189, 8190 };
	static uint64_t pfn[8190], got[8190];
	struct hvk_client_gpadl *g;
	struct hvk_client_chan *chan;
	struct hvk_gpadl_range range;
	static struct pair p;
	hvk_channel_id id;
	unsigned i, j;

	pair_init(&p, 8, 0, 0);
	(void)env_offer(&p.e, 1);
	connect_pair(&p);
	chan = p.last[HVK_EVENT_OFFER].chan;
	ATF_REQUIRE_EQ(HVK_OK, hvk_server_find(p.e.s, chan->relid, &id));
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		g = share(&p, chan, pfn, 7 + i, sizes[i]);
		pump(&p);
		ATF_CHECK_EQ(HVK_CLIENT_OK,
		    p.last[HVK_EVENT_GPADL_CREATED].status);
		ATF_REQUIRE_EQ(HVK_OK, hvk_server_gpadl_range(p.e.s, id,
		    g->handle, 0, &range));
		ATF_CHECK_EQ(sizes[i], range.npfn);
		ATF_CHECK_EQ(sizes[i], hvk_server_gpadl_pfns(p.e.s, id,
		    g->handle, 0, 0, got, 8190));
		for (j = 0; j < sizes[i]; j++)
			ATF_REQUIRE_EQ(7 + i + j, got[j]);
		ATF_CHECK_EQ(1, hvk_server_gpadl_pfns(p.e.s, id, g->handle, 0,
		    sizes[i] - 1, got, 5));
		ATF_CHECK_EQ(7 + i + sizes[i] - 1, got[0]);
		ATF_CHECK_EQ(HVK_OK, hvk_client_gpadl_teardown(&p.c, g,
		    p.now));
		pump(&p);
		ATF_CHECK_EQ(i + 1, p.seen[HVK_EVENT_GPADL_TORNDOWN]);
	}
	ATF_CHECK_EQ(0, p.failed);
	unload(&p);
}

FEATURE_TEST(add_and_remove, "a device comes and goes 1,000 times",
    "core.rescind")
{
	struct hvk_server_info info;
	static struct pair p;
	hvk_channel_id ch;
	unsigned i;

	pair_init(&p, 8, 0, 0);
	p.release = true;
	connect_pair(&p);
	for (i = 1; i <= 1000; i++) {
		ch = env_offer(&p.e, 1);
		pump(&p);
		ATF_REQUIRE_EQ(i, p.seen[HVK_EVENT_OFFER]);
		ATF_REQUIRE_EQ(HVK_OK, hvk_server_rescind(p.e.s, ch));
		pump(&p);
		ATF_REQUIRE_EQ(i, p.seen[HVK_EVENT_RESCIND]);
		ATF_REQUIRE_EQ(i, p.e.count[HVK_SERVER_RELEASED]);
	}
	hvk_server_info(p.e.s, &info);
	ATF_CHECK_EQ(0, info.channels);
	unload(&p);
}

FEATURE_TEST(rescind_at_every_step,
    "the device goes after any number of messages; nothing stays behind",
    "core.rescind")
{
	struct hvk_client_chan *chan;
	struct hvk_client_gpadl *g;
	struct hvk_server_info info;
	static struct pair p;
	uint64_t pfn[200];
	hvk_channel_id ch;
	unsigned step, i;

	for (step = 0; step < 40; step++) {
		pair_init(&p, 8, 0, 0);
		ch = env_offer(&p.e, 1);
		connect_pair(&p);
		chan = p.last[HVK_EVENT_OFFER].chan;
		g = share(&p, chan, pfn, 100, 200);
		for (i = 0; i < step; i++) {
			(void)carry(&p);
			if (g->state == HVK_GPADL_LIVE &&
			    chan->state == HVK_CHAN_OFFERED)
				open_chan(&p, chan, g->handle, 100);
			if (i % 3 == 2)
				env_answer(&p.e);
		}
		ATF_REQUIRE_EQ(HVK_OK, hvk_server_rescind(p.e.s, ch));
		env_check(&p.e);
		pump(&p);
		ATF_CHECK_EQ(1, p.seen[HVK_EVENT_RESCIND]);
		(void)hvk_client_close(&p.c, chan);
		(void)hvk_client_gpadl_teardown(&p.c, g, p.now);
		pump(&p);
		ATF_CHECK_EQ_MSG(HVK_OK, hvk_client_release(&p.c, chan),
		    "step %u", step);
		pump(&p);
		ATF_CHECK_EQ_MSG(1, p.e.count[HVK_SERVER_RELEASED],
		    "step %u", step);
		ATF_CHECK_EQ(p.e.count[HVK_SERVER_OPEN],
		    p.e.count[HVK_SERVER_CLOSE]);
		hvk_server_info(p.e.s, &info);
		ATF_CHECK_EQ(0, info.channels);
		unload(&p);
	}
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, every_version);
	ATF_TP_ADD_TC(tp, move_channel);
	ATF_TP_ADD_TC(tp, subchannels);
	ATF_TP_ADD_TC(tp, all_the_channels);
	ATF_TP_ADD_TC(tp, page_lists);
	ATF_TP_ADD_TC(tp, add_and_remove);
	ATF_TP_ADD_TC(tp, rescind_at_every_step);
	return (atf_no_error());
}
