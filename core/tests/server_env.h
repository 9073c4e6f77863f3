/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 */

/*
 * A VMBus server on a bench: a guest that posts bytes, a device layer that
 * answers, and a check of the server's invariants after every step.
 */

#ifndef HVK_SERVER_ENV_H
#define	HVK_SERVER_ENV_H

#include <atf-c.h>
#include <stdlib.h>
#include <string.h>

#include <hvk/guid.h>
#include <hvk/host/server.h>

#define	MEM_SIZE	(64u << 20)
#define	ALL_FLAGS	0xffu

struct env {
	struct hvk_server_config config;
	struct hvk_server *s;
	unsigned count[HVK_SERVER_TL_CONNECT + 1];
	struct hvk_server_event last[HVK_SERVER_TL_CONNECT + 1];
	uint32_t open_status;		/* what the device layer answers */
	_Alignas(8) uint8_t msg[256];		/* last message taken */
	struct hvk_server_out out;
};

static inline void
env_check(struct env *e)
{
	ATF_REQUIRE(hvk_server_valid(e->s));
}

static inline void
env_start(struct env *e)
{
	size_t size = hvk_server_size(&e->config);

	ATF_REQUIRE(size != 0);
	e->s = hvk_server_init(malloc(size), size, &e->config);
	ATF_REQUIRE(e->s != NULL);
	env_check(e);
}

static inline void
env_init(struct env *e)
{
	memset(e, 0, sizeof(*e));
	e->config.features = ALL_FLAGS;
	e->config.mem_size = MEM_SIZE;
	e->config.nvps = 8;
	e->config.channels = 32;
	e->config.monitors = true;
	e->config.hvsock = true;
	env_start(e);
}

static inline struct hvk_guid
env_guid(uint32_t id)
{
	struct hvk_guid g;

	memset(&g, 0, sizeof(g));
	g.b[0] = (uint8_t)(id >> 8);
	g.b[1] = (uint8_t)id;
	return (g);
}

static inline struct hvk_server_offer
env_make_offer(uint32_t type, uint32_t instance)
{
	struct hvk_server_offer o;

	memset(&o, 0, sizeof(o));
	o.type = env_guid(type);
	o.instance = env_guid(instance);
	return (o);
}

static inline hvk_channel_id
env_offer(struct env *e, uint32_t id)
{
	struct hvk_server_offer o = env_make_offer(id, id);
	hvk_channel_id ch;

	ATF_REQUIRE_EQ(HVK_OK, hvk_server_offer(e->s, &o, &ch));
	env_check(e);
	return (ch);
}

static inline hvk_channel_id
env_offer_mnf(struct env *e, uint32_t id)
{
	struct hvk_server_offer o = env_make_offer(id, id);
	hvk_channel_id ch;

	o.monitor = true;
	ATF_REQUIRE_EQ(HVK_OK, hvk_server_offer(e->s, &o, &ch));
	return (ch);
}

static inline int
env_post_as(struct env *e, uint32_t conn, bool trusted, const void *msg,
    uint32_t len)
{
	struct hvk_server_post post = { .conn = conn, .type = 1,
	    .trusted = trusted, .len = len, .payload = msg };
	int error = hvk_server_post(e->s, &post);

	env_check(e);
	return (error);
}

static inline int
env_post(struct env *e, const void *msg, uint32_t len)
{
	return (env_post_as(e, 1, false, msg, len));
}

static inline void
env_refused(struct env *e, enum hvk_refusal reason)
{
	ATF_REQUIRE_STREQ(hvk_refusal_name(reason),
	    hvk_refusal_name(hvk_server_refused(e->s)->reason));
}

static inline int
env_plain(struct env *e, uint32_t type)
{
	uint32_t m[2] = { type, 0 };

	return (env_post(e, m, 8));
}

static inline int
env_words(struct env *e, uint32_t type, uint32_t a, uint32_t b, uint32_t len)
{
	uint32_t m[4] = { type, 0, a, b };

	return (env_post(e, m, len));
}

/* The next message must be of this type; it is left in e->msg. */
static inline const void *
env_take(struct env *e, uint32_t type)
{
	uint32_t got;

	ATF_REQUIRE_MSG(hvk_server_next(e->s, &e->out),
	    "no message, wanted type %u", type);
	hvk_server_sent(e->s);
	env_check(e);
	memcpy(&got, e->out.data, 4);
	ATF_REQUIRE_EQ_MSG(type, got, "message %u, wanted %u", got, type);
	memcpy(e->msg, e->out.data, sizeof(e->out.data));
	return (e->msg);
}

static inline void
env_quiet(struct env *e)
{
	ATF_REQUIRE(!hvk_server_next(e->s, &e->out));
}

static inline void
env_drop(struct env *e)
{
	while (hvk_server_next(e->s, &e->out))
		hvk_server_sent(e->s);
	env_check(e);
}

/* Take one event and note it. */
static inline bool
env_event(struct env *e, struct hvk_server_event *ev)
{
	if (!hvk_server_event(e->s, ev))
		return (false);
	env_check(e);
	e->count[ev->kind]++;
	e->last[ev->kind] = *ev;
	return (true);
}

/* The device layer answers everything. */
static inline void
env_answer(struct env *e)
{
	struct hvk_server_event ev;
	int error = HVK_OK;

	while (env_event(e, &ev)) {
		if (ev.kind == HVK_SERVER_OPEN)
			error = hvk_server_open_done(e->s, ev.channel,
			    e->open_status);
		else if (ev.kind == HVK_SERVER_CLOSE)
			error = hvk_server_close_done(e->s, ev.channel);
		else if (ev.kind == HVK_SERVER_MODIFY)
			error = hvk_server_modify_done(e->s, ev.channel, 0);
		else if (ev.kind == HVK_SERVER_GPADL_TEARDOWN)
			error = hvk_server_gpadl_released(e->s, ev.channel,
			    ev.gpadl.id);
		else if (ev.kind == HVK_SERVER_TL_CONNECT)
			error = hvk_server_tl_done(e->s, ev.tl.id,
			    HVK_STATUS_REFUSED);
		ATF_REQUIRE_EQ_MSG(HVK_OK, error, "event %d: %d", ev.kind,
		    error);
		env_check(e);
	}
}

static inline int
env_contact(struct env *e, uint32_t version, uint32_t features, bool pages,
    uint32_t conn, bool trusted)
{
	struct hvk_msg_initiate_contact m;

	memset(&m, 0, sizeof(m));
	m.hdr.type = HVK_MSG_INITIATE_CONTACT;
	m.version = version;
	m.target_vp = 1;
	if (version >= HVK_VERSION_5_0) {
		m.sint = 2;
		m.features = features;
	}
	if (pages) {
		m.monitor_in = 0x321000;
		m.monitor_out = 0x123000;
	}
	m.client = env_guid(77);
	return (env_post_as(e, conn, trusted, &m, sizeof(m)));
}

static inline void
env_connect(struct env *e, uint32_t version, uint32_t features)
{
	const struct hvk_msg_version_response *r;

	ATF_REQUIRE_EQ(HVK_OK, env_contact(e, version, features, true, 1,
	    false));
	env_answer(e);
	r = env_take(e, HVK_MSG_VERSION_RESPONSE);
	ATF_REQUIRE(r->supported != 0 && r->state == 0);
}

/* Ask for offers; how many came. */
static inline unsigned
env_offers(struct env *e)
{
	uint32_t type;
	unsigned n = 0;

	ATF_REQUIRE_EQ(HVK_OK, env_plain(e, HVK_MSG_REQUEST_OFFERS));
	for (;;) {
		ATF_REQUIRE(hvk_server_next(e->s, &e->out));
		hvk_server_sent(e->s);
		memcpy(&type, e->out.data, 4);
		if (type == HVK_MSG_ALL_OFFERS_DELIVERED)
			return (n);
		ATF_REQUIRE_EQ((uint32_t)HVK_MSG_OFFER, type);
		n++;
	}
}

/* A GPADL of `pages` pages from page number `pfn`, at most 26 in one message. */
static inline int
env_gpadl_post(struct env *e, uint32_t relid, uint32_t id, uint64_t pfn,
    unsigned pages)
{
	struct {
		struct hvk_msg_gpadl_header h;
		uint32_t len, offset;
		uint64_t pfn[26];
	} __attribute__((packed)) m;
	unsigned i;

	memset(&m, 0, sizeof(m));
	m.h.hdr.type = HVK_MSG_GPADL_HEADER;
	m.h.relid = relid;
	m.h.gpadl = id;
	m.h.range_bytes = (uint16_t)(8 + 8 * pages);
	m.h.range_count = 1;
	m.len = pages * 4096;
	for (i = 0; i < pages; i++)
		m.pfn[i] = pfn + i;
	return (env_post(e, &m, 28 + 8 * pages));
}

static inline void
env_gpadl(struct env *e, uint32_t relid, uint32_t id)
{
	const struct hvk_msg_gpadl_created *r;

	ATF_REQUIRE_EQ(HVK_OK, env_gpadl_post(e, relid, id, id * 32, 8));
	r = env_take(e, HVK_MSG_GPADL_CREATED);
	ATF_REQUIRE_EQ(0, r->status);
	ATF_REQUIRE_EQ(id, r->gpadl);
	ATF_REQUIRE_EQ(relid, r->relid);
}

static inline int
env_open_post(struct env *e, uint32_t relid, uint32_t gpadl, uint32_t vp)
{
	struct hvk_msg_open m;

	memset(&m, 0, sizeof(m));
	m.hdr.type = HVK_MSG_OPEN;
	m.relid = relid;
	m.open_id = relid + 100;
	m.gpadl = gpadl;
	m.target_vp = vp;
	m.page_offset = 4;
	return (env_post(e, &m, HVK_OPEN_SIZE));
}

/* A GPADL with the relid's number, and OPEN up to the guest's result. */
static inline void
env_open(struct env *e, uint32_t relid)
{
	const struct hvk_msg_open_result *r;

	env_gpadl(e, relid, relid);
	ATF_REQUIRE_EQ(HVK_OK, env_open_post(e, relid, relid, 3));
	env_answer(e);
	r = env_take(e, HVK_MSG_OPEN_RESULT);
	ATF_REQUIRE_EQ(relid, r->relid);
	ATF_REQUIRE_EQ(relid + 100, r->open_id);
	ATF_REQUIRE_EQ(e->open_status, r->status);
}

static inline int
env_reserved(struct env *e, uint32_t relid, uint32_t gpadl, uint32_t vp)
{
	struct hvk_msg_open_reserved m = {
		.hdr.type = HVK_MSG_OPEN_RESERVED, .relid = relid,
		.target_vp = vp, .sint = 2, .gpadl = gpadl, .page_offset = 4
	};

	return (env_post(e, &m, sizeof(m)));
}

static inline int
env_close_reserved(struct env *e, uint32_t relid, uint32_t vp)
{
	struct hvk_msg_close_reserved m = {
		.hdr.type = HVK_MSG_CLOSE_RESERVED, .relid = relid,
		.target_vp = vp, .sint = 2
	};

	return (env_post(e, &m, sizeof(m)));
}

static inline enum hvk_channel_state
env_state(struct env *e, hvk_channel_id id)
{
	struct hvk_server_channel info;

	if (hvk_server_channel(e->s, id, &info) != HVK_OK)
		return (HVK_CHANNEL_FREE);
	return (info.state);
}

/* Save `e` and restore into `to`, whose offers are made already. */
static inline int
env_move(struct env *e, struct env *to)
{
	size_t size = hvk_server_save_size(e->s);
	void *buf = malloc(size);
	int error;

	ATF_REQUIRE_EQ(HVK_OK, hvk_server_save(e->s, buf, size));
	error = hvk_server_restore(to->s, buf, size);
	env_check(to);
	free(buf);
	return (error);
}

#endif /* !HVK_SERVER_ENV_H */
