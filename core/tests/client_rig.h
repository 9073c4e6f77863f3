/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 */

/*
 * A VMBus client with a host that says only what a test tells it to: what the
 * tests of the client share.  Takes every post and event at once and counts
 * them; time moves only when a test moves it.
 */

#ifndef CLIENT_RIG_H
#define	CLIENT_RIG_H

#include <atf-c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hvk/guest/vmbus.h>
#include <hvk/wire/vmbus.h>

#define	RIG_CHANS	2047
#define	RIG_GPADLS	64
#define	RIG_RELID	5u
#define	RIG_SECOND	1000000000ull

struct rig {
	struct hvk_client	c;
	struct hvk_client_chan	chans[RIG_CHANS];
	struct hvk_client_gpadl	gpadls[RIG_GPADLS];
	uint64_t		now;
	uint16_t		hv_status;	/* of every post */
	uint32_t		limit;		/* posts to take; 0: all */
	/* what came out */
	uint32_t		posts[HVK_MSG_COUNT];
	uint32_t		events[16];
	struct hvk_client_post	post;		/* the last one */
	struct hvk_client_event	event[16];	/* the last of each kind */
	/* the channel and GPADL under test */
	struct hvk_client_chan	*ch;
	struct hvk_client_gpadl	*g;
	uint64_t		pfn[8190];
};

static inline void
rig_pump(struct rig *r)
{
	struct hvk_client_event ev;
	uint32_t n = 0, type;
	bool more;

	do {
		more = false;
		while ((r->limit == 0 || n < r->limit) &&
		    hvk_client_post(&r->c, &r->post, r->now)) {
			memcpy(&type, r->post.data, sizeof(type));
			ATF_REQUIRE(type < HVK_MSG_COUNT);
			ATF_REQUIRE(r->post.len >= 8 && r->post.len <= 240);
			if (r->hv_status == 0)
				r->posts[type]++;
			hvk_client_posted(&r->c, r->hv_status, r->now);
			n++;
			more = true;
		}
		while (hvk_client_event(&r->c, &ev)) {
			ATF_REQUIRE(ev.kind >= 1 && ev.kind < 16);
			r->events[ev.kind]++;
			r->event[ev.kind] = ev;
			if (ev.kind == HVK_EVENT_OFFER &&
			    ev.chan->relid == RIG_RELID)
				r->ch = ev.chan;
			more = true;
		}
	} while (more && r->limit == 0);
}

static inline int
rig_say(struct rig *r, const void *msg, uint32_t len)
{
	int error;

	error = hvk_client_input(&r->c, msg, len, r->now);
	rig_pump(r);
	return (error);
}

static inline struct rig *
rig_new(uint32_t max_version)
{
	struct hvk_client_config cfg;
	struct rig *r;

	r = calloc(1, sizeof(*r));
	ATF_REQUIRE(r != NULL);
	memset(&cfg, 0, sizeof(cfg));
	cfg.chans = r->chans;
	cfg.nchans = RIG_CHANS;
	cfg.gpadls = r->gpadls;
	cfg.ngpadls = RIG_GPADLS;
	cfg.max_version = max_version;
	cfg.sint = 2;
	cfg.interrupt_page = 0x1000;
	cfg.monitor_from_host = 0x2000;
	cfg.monitor_to_host = 0x3000;
	r->now = 1;
	ATF_REQUIRE_EQ(HVK_OK, hvk_client_init(&r->c, &cfg));
	for (uint32_t i = 0; i < 8190; i++)
		r->pfn[i] = 0x100000 + i;
	return (r);
}

static inline int
rig_version_response(struct rig *r, bool yes)
{
	struct hvk_msg_version_response m;

	memset(&m, 0, sizeof(m));
	m.hdr.type = HVK_MSG_VERSION_RESPONSE;
	m.supported = yes;
	m.connection = 0x77;
	return (rig_say(r, &m, HVK_VERSION_RESPONSE_SIZE));
}

static inline void
rig_connect(struct rig *r)
{

	ATF_REQUIRE_EQ(HVK_OK, hvk_client_connect(&r->c, r->now));
	rig_pump(r);
	ATF_REQUIRE_EQ(HVK_OK, rig_version_response(r, true));
	ATF_REQUIRE_EQ(HVK_CLIENT_CONNECTED, r->c.state);
	ATF_REQUIRE_EQ(1, r->events[HVK_EVENT_CONNECTED]);
	ATF_REQUIRE_EQ(HVK_OK, hvk_client_request_offers(&r->c, r->now));
	rig_pump(r);
}

static inline void
rig_offer_fill(struct hvk_msg_offer *m, uint32_t relid, uint16_t sub)
{
	static const struct hvk_guid scsi = HVK_GUID_SCSI;

	memset(m, 0, sizeof(*m));
	m->hdr.type = HVK_MSG_OFFER;
	m->type = scsi;
	memcpy(m->instance.b, &relid, sizeof(relid));
	m->subindex = sub;
	m->relid = relid;
	m->dedicated = HVK_OFFER_DEDICATED;
	m->connection = 0x2000 | relid;
}

static inline int
rig_offer(struct rig *r, uint32_t relid)
{
	struct hvk_msg_offer m;

	rig_offer_fill(&m, relid, 0);
	return (rig_say(r, &m, sizeof(m)));
}

static inline int
rig_relid(struct rig *r, uint32_t type, uint32_t relid)
{
	struct hvk_msg_relid m = { { type, 0 }, relid };

	return (rig_say(r, &m, sizeof(m)));
}

static inline int
rig_created(struct rig *r, uint32_t status)
{
	struct hvk_msg_gpadl_created m = { { HVK_MSG_GPADL_CREATED, 0 },
	    r->ch->relid, r->g->handle, status };

	return (rig_say(r, &m, sizeof(m)));
}

static inline void
rig_gpadl(struct rig *r, uint32_t npfn)
{

	ATF_REQUIRE_EQ(HVK_OK, hvk_client_gpadl_create(&r->c, r->ch, r->pfn,
	    npfn, NULL, &r->g, r->now));
	rig_pump(r);
}

static inline int
rig_torndown(struct rig *r)
{
	struct hvk_msg_gpadl_torndown m = { { HVK_MSG_GPADL_TORNDOWN, 0 },
	    r->g->handle };

	return (rig_say(r, &m, sizeof(m)));
}

static inline int
rig_start_open(struct rig *r)
{
	struct hvk_client_open o = { .ring_gpadl = r->g->handle, .rx_page = 4,
	    .vcpu = 1, .data = "hello", .len = 5 };
	int error;

	error = hvk_client_open(&r->c, r->ch, &o, r->now);
	rig_pump(r);
	return (error);
}

static inline int
rig_open_result(struct rig *r, uint32_t status)
{
	struct hvk_msg_open_result m = { { HVK_MSG_OPEN_RESULT, 0 },
	    r->ch->relid, r->ch->open_id, status };

	return (rig_say(r, &m, sizeof(m)));
}

/* Let time pass until nothing is waited for; how many waits that ended. */
static inline uint64_t
rig_silence(struct rig *r)
{
	uint64_t before, deadline;
	int i;

	before = r->c.timeouts;
	for (i = 0; i < 10000; i++) {
		deadline = hvk_client_deadline(&r->c);
		if (deadline == HVK_CLIENT_NEVER)
			break;
		ATF_REQUIRE(deadline <= r->now + 60 * RIG_SECOND);
		if (deadline > r->now)
			r->now = deadline;
		hvk_client_tick(&r->c, r->now);
		rig_pump(r);
	}
	ATF_REQUIRE_MSG(i < 10000, "the client waits for ever");
	ATF_REQUIRE_EQ(0, r->c.waits);
	return (r->c.timeouts - before);
}

#endif /* !CLIENT_RIG_H */
