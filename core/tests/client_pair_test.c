/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 */

/*
 * The VMBus client and the VMBus server in one process: every version, devices
 * with sub-channels that are opened, moved, closed, rescinded and offered again,
 * unload.  Neither side may find anything wrong with what the other says, and in
 * the end neither holds anything.
 */

#include "client_rig.h"

#include <hvk/host/server.h>

static const uint32_t versions[] = {
	HVK_VERSION_2_4, HVK_VERSION_3_0, HVK_VERSION_4_0, HVK_VERSION_4_1,
	HVK_VERSION_5_0, HVK_VERSION_5_1, HVK_VERSION_5_2, HVK_VERSION_5_3,
	HVK_VERSION_6_0
};
#define	VERSIONS	(sizeof(versions) / sizeof(versions[0]))

struct pair {
	struct rig *r;			/* the client; its pump is not used */
	struct hvk_server *s;
	bool	lazy;			/* everybody acts by chance */
	bool	races;			/* messages may cross a rescind */
	uint32_t seed;
	uint32_t opens;			/* open channels, as devices see them */
	uint32_t events[16];
	struct hvk_client_event last[16];
};

static uint32_t
chance(struct pair *p, uint32_t n)
{

	p->seed = p->seed * 1664525 + 1013904223;
	return ((p->seed >> 8) % n);
}

static bool
devices(struct pair *p)
{
	struct hvk_server_event ev;

	if (!hvk_server_event(p->s, &ev))
		return (false);
	switch (ev.kind) {
	case HVK_SERVER_OPEN:
		p->opens++;
		ATF_REQUIRE_EQ(HVK_OK, hvk_server_open_done(p->s, ev.channel,
		    0));
		break;
	case HVK_SERVER_CLOSE:
		p->opens--;
		ATF_REQUIRE_EQ(HVK_OK, hvk_server_close_done(p->s,
		    ev.channel));
		break;
	case HVK_SERVER_MODIFY:
		ATF_REQUIRE_EQ(HVK_OK, hvk_server_modify_done(p->s, ev.channel,
		    0));
		break;
	case HVK_SERVER_GPADL_TEARDOWN:
		ATF_REQUIRE_EQ(HVK_OK, hvk_server_gpadl_released(p->s,
		    ev.channel, ev.gpadl.id));
		break;
	default:
		break;
	}
	return (true);
}

static bool
guest_posts(struct pair *p)
{
	struct hvk_server_post sp;
	struct hvk_client_post post;
	int error;

	if (!hvk_client_post(&p->r->c, &post, p->r->now))
		return (false);
	memset(&sp, 0, sizeof(sp));
	sp.conn = post.connection_id;
	sp.type = 1;
	sp.len = post.len;
	sp.payload = post.data;
	error = hvk_server_post(p->s, &sp);
	ATF_REQUIRE(hvk_server_valid(p->s));
	hvk_client_posted(&p->r->c, error == HVK_RANGE ?
	    HVK_HV_BAD_CONNECTION : error == HVK_AGAIN ?
	    HVK_HV_INSUFFICIENT_BUFFERS : 0, p->r->now);
	return (true);
}

static bool
guest_hears(struct pair *p)
{
	struct hvk_server_out out;

	if (!hvk_server_next(p->s, &out))
		return (false);
	(void)hvk_client_input(&p->r->c, out.data, out.len, p->r->now);
	hvk_server_sent(p->s);
	return (true);
}

static bool
guest_events(struct pair *p)
{
	struct hvk_client_event ev;

	if (!hvk_client_event(&p->r->c, &ev))
		return (false);
	p->events[ev.kind]++;
	p->last[ev.kind] = ev;
	/* The driver side: what a rescind asks for, step by step. */
	if (ev.kind == HVK_EVENT_GPADL_TORNDOWN)
		ATF_REQUIRE_EQ(HVK_CLIENT_OK, ev.status);
	return (true);
}

/* Until nobody has anything to do. */
static void
settle(struct pair *p)
{
	bool more;
	int i;

	for (i = 0; i < 200000; i++) {
		more = false;
		if (!p->lazy || chance(p, 2))
			more |= guest_posts(p);
		if (!p->lazy || chance(p, 2))
			more |= guest_hears(p);
		if (!p->lazy || chance(p, 3) == 0)
			more |= devices(p);
		more |= guest_events(p);
		if (!more && !guest_posts(p) && !guest_hears(p) &&
		    !devices(p)) {
			if (p->r->c.send.head == NULL)
				return;
			p->r->now += 1000000;	/* back-off */
		}
	}
	atf_tc_fail("the two talk for ever");
}

static void
offer(struct pair *p, uint32_t device, uint16_t sub, hvk_channel_id *id)
{
	struct hvk_server_offer o;

	memset(&o, 0, sizeof(o));
	o.type = (struct hvk_guid)HVK_GUID_SCSI;
	memcpy(o.instance.b, &device, sizeof(device));
	o.subindex = sub;
	ATF_REQUIRE_EQ(HVK_OK, hvk_server_offer(p->s, &o, id));
}

static void
pair_start(struct pair *p, uint32_t host, uint32_t cap)
{
	struct hvk_server_config cfg;
	hvk_channel_id id;
	uint32_t i;

	memset(p, 0, sizeof(*p));
	memset(&cfg, 0, sizeof(cfg));
	cfg.max_version = host;
	cfg.mem_size = 1ull << 40;
	cfg.nvps = 8;
	cfg.channels = 64;
	p->s = hvk_server_init(malloc(hvk_server_size(&cfg)),
	    hvk_server_size(&cfg), &cfg);
	ATF_REQUIRE(p->s != NULL);
	p->r = rig_new(cap);
	p->seed = 1;
	for (i = 0; i < 8; i++)
		offer(p, i, 0, &id);
	ATF_REQUIRE_EQ(HVK_OK, hvk_client_connect(&p->r->c, p->r->now));
	settle(p);
	ATF_REQUIRE_EQ(HVK_CLIENT_CONNECTED, p->r->c.state);
	ATF_REQUIRE_EQ(HVK_OK, hvk_client_request_offers(&p->r->c,
	    p->r->now));
	settle(p);
	ATF_REQUIRE_EQ(8, p->events[HVK_EVENT_OFFER]);
	ATF_REQUIRE_EQ(1, p->events[HVK_EVENT_ALL_OFFERS]);
}

static void
pair_end(struct pair *p)
{
	struct hvk_server_info info;
	uint32_t i;

	hvk_client_unload(&p->r->c, p->r->now);
	settle(p);
	ATF_CHECK_EQ(1, p->events[HVK_EVENT_UNLOADED]);
	ATF_CHECK_EQ(HVK_CLIENT_OK, p->last[HVK_EVENT_UNLOADED].status);
	hvk_server_info(p->s, &info);
	ATF_CHECK_EQ(0, info.gpadls);
	ATF_CHECK_EQ(0, info.pfns);
	ATF_CHECK(!info.connected);
	ATF_CHECK_EQ(0, p->r->c.rejected);
	if (!p->races)
		ATF_CHECK_EQ(0, p->r->c.unexpected);
	ATF_CHECK_EQ(0, p->r->c.timeouts);
	for (i = 1; i < HVK_REFUSE_MAX; i++)
		if (i != HVK_REFUSE_CONTACT_VERSION &&
		    i != HVK_REFUSE_CONNECTION && !(p->races &&
		    (i == HVK_REFUSE_REVOKED ||
		    i == HVK_REFUSE_GPADL_UNKNOWN)))
			ATF_CHECK_EQ_MSG(0, hvk_server_refusals(p->s, i),
			    "the server refused: %s", hvk_refusal_text(i));
	free(p->s);
	free(p->r);
}

static struct hvk_client_gpadl *
open_channel(struct pair *p, struct hvk_client_chan *ch, uint32_t pages)
{
	struct hvk_client_gpadl *g;
	struct hvk_client_open o;

	ATF_REQUIRE_EQ(HVK_OK, hvk_client_gpadl_create(&p->r->c, ch, p->r->pfn,
	    pages, NULL, &g, p->r->now));
	settle(p);
	ATF_REQUIRE_EQ(HVK_GPADL_LIVE, g->state);
	memset(&o, 0, sizeof(o));
	o.ring_gpadl = g->handle;
	o.rx_page = pages / 2;
	o.vcpu = 1;
	ATF_REQUIRE_EQ(HVK_OK, hvk_client_open(&p->r->c, ch, &o, p->r->now));
	settle(p);
	ATF_REQUIRE_EQ(HVK_CHAN_OPEN, ch->state);
	return (g);
}

ATF_TC(versions);
ATF_TC_HEAD(versions, tc)
{
	atf_tc_set_md_var(tc, "descr", "every version of the host with every "
	    "cap of the guest: devices open, move where they can, close, and "
	    "all is returned");
	atf_tc_set_md_var(tc, "X-feature", "core.versions");
}
ATF_TC_BODY(versions, tc)
{
	struct hvk_client_gpadl *g;
	struct hvk_client_chan *ch;
	struct pair p;
	uint32_t met, n = 0;
	size_t host, cap, i;

	for (host = 0; host < VERSIONS; host++)
		for (cap = 0; cap < VERSIONS; cap++, n++) {
			pair_start(&p, versions[host], versions[cap]);
			met = versions[host < cap ? host : cap];
			ATF_CHECK_EQ(met, p.r->c.version);
			for (i = 0; i < 8; i++) {
				ch = &p.r->chans[i];
				g = open_channel(&p, ch, 4 + 60 * i);
				if (met >= HVK_VERSION_4_1) {
					ATF_CHECK_EQ(HVK_OK, hvk_client_modify(
					    &p.r->c, ch, 3, p.r->now));
					settle(&p);
					ATF_CHECK_EQ(3, ch->vcpu);
				}
				if (i % 2 == 0)
					continue;	/* left to unload */
				hvk_client_close(&p.r->c, ch);
				hvk_client_gpadl_teardown(&p.r->c, g,
				    p.r->now);
				settle(&p);
			}
			ATF_CHECK_EQ(4, p.opens);
			pair_end(&p);
			ATF_CHECK_EQ(0, p.opens);
		}
	printf("%u pairs of versions\n", n);
}

ATF_TC(come_and_go);
ATF_TC_HEAD(come_and_go, tc)
{
	atf_tc_set_md_var(tc, "descr", "a device with a sub-channel is opened, "
	    "rescinded at a moment left to chance, released and offered again, "
	    "1,000 times, and nothing is left behind");
	atf_tc_set_md_var(tc, "X-feature", "core.rescind");
}
ATF_TC_BODY(come_and_go, tc)
{
	struct hvk_client_gpadl *g, *sub_g;
	struct hvk_client_chan *ch, *sub;
	struct hvk_client_open o;
	hvk_channel_id id, sub_id;
	struct pair p;
	uint32_t before, i, k, steps;

	pair_start(&p, 0, 0);
	p.races = true;
	for (i = 0; i < 1000; i++) {
		p.lazy = false;
		offer(&p, 100, 0, &id);
		settle(&p);
		ch = p.last[HVK_EVENT_OFFER].chan;
		g = open_channel(&p, ch, 64);
		offer(&p, 100, 1, &sub_id);
		settle(&p);
		sub = p.last[HVK_EVENT_OFFER].chan;
		ATF_REQUIRE_EQ(1, sub->subindex);
		ATF_REQUIRE_EQ(ch, hvk_client_primary(&p.r->c, sub));

		/* Part of an opening of the sub-channel. */
		p.lazy = true;
		ATF_REQUIRE_EQ(HVK_OK, hvk_client_gpadl_create(&p.r->c, sub,
		    p.r->pfn + 100, 200, NULL, &sub_g, p.r->now));
		steps = chance(&p, 40);
		for (k = 0; k < steps; k++) {
			guest_posts(&p);
			guest_hears(&p);
			guest_events(&p);
			if (sub_g->state == HVK_GPADL_LIVE &&
			    sub_g->event == 0 &&
			    sub->state == HVK_CHAN_OFFERED) {
				memset(&o, 0, sizeof(o));
				o.ring_gpadl = sub_g->handle;
				o.rx_page = 100;
				hvk_client_open(&p.r->c, sub, &o, p.r->now);
			}
			if (chance(&p, 2))
				devices(&p);
		}
		before = p.events[HVK_EVENT_RESCIND];
		ATF_REQUIRE_EQ(HVK_OK, hvk_server_rescind(p.s, sub_id));
		ATF_REQUIRE_EQ(HVK_OK, hvk_server_rescind(p.s, id));
		settle(&p);
		ATF_REQUIRE_EQ(before + 2, p.events[HVK_EVENT_RESCIND]);

		(void)hvk_client_close(&p.r->c, sub);
		if (sub_g->state == HVK_GPADL_LIVE ||
		    sub_g->state == HVK_GPADL_UNCERTAIN)
			ATF_REQUIRE_EQ(HVK_OK, hvk_client_gpadl_teardown(
			    &p.r->c, sub_g, p.r->now));
		ATF_REQUIRE_EQ(HVK_OK, hvk_client_close(&p.r->c, ch));
		ATF_REQUIRE_EQ(HVK_OK, hvk_client_gpadl_teardown(&p.r->c, g,
		    p.r->now));
		settle(&p);
		while (sub->gpadls != 0) {
			/* A list that never got whole: only time helps. */
			p.r->now = hvk_client_deadline(&p.r->c);
			p.r->c.timeouts--;
			hvk_client_tick(&p.r->c, p.r->now);
			while (hvk_client_event(&p.r->c,
			    &p.last[HVK_EVENT_GPADL_TORNDOWN]))
				;
		}
		ATF_REQUIRE_EQ(HVK_OK, hvk_client_release(&p.r->c, sub));
		ATF_REQUIRE_EQ(HVK_OK, hvk_client_release(&p.r->c, ch));
		settle(&p);
	}
	p.lazy = false;
	pair_end(&p);
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, versions);
	ATF_TP_ADD_TC(tp, come_and_go);
	return (atf_no_error());
}
