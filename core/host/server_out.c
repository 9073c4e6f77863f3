/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 */

/*
 * What leaves the VMBus server: messages for the guest and questions for the
 * device layer.  Both wait as small records and become bytes only when they are
 * taken, so that 2,047 offers wait in 2,047 records.  Locking: the caller's.
 * Facts: wire.md section 4.
 */

#include <hvk/host/server.h>

#include "server_priv.h"

/*
 * Put a record into a lane.  It cannot overflow: hvk_server_post() takes nothing
 * that adds to a lane at or over the backlog, and what comes without a message
 * of the guest is at most one each, for a channel, of OFFER, OPEN_RESULT,
 * MODIFY_RESPONSE (or CLOSE_RESERVED) and RESCIND, for a GPADL of TORNDOWN, and
 * a few of the connection: a slot is not used again before its records are out.
 */
void
server_push(struct hvk_server *s, unsigned lane, const struct job *job)
{
	struct queue *q = &s->lane[lane];
	uint32_t at;

	if (q->count >= s->at.lane_cap[lane]) {
		s->broken = true;
		return;
	}
	at = q->head + q->count;
	if (at >= s->at.lane_cap[lane])
		at -= s->at.lane_cap[lane];
	*server_job(s, lane, at) = *job;
	q->count++;
	if (job->channel != NONE && job->kind != JOB_TL_RESULT)
		server_channel(s, job->channel)->queued++;
}

void
server_send(struct hvk_server *s, enum job_kind kind, uint32_t channel,
    uint32_t a, uint32_t b)
{
	struct job job;

	hvk_zero(&job, sizeof(job));
	job.kind = (uint8_t)kind;
	job.channel = channel;
	if (channel != NONE && kind != JOB_TL_RESULT)
		job.relid = (uint16_t)server_channel(s, channel)->relid;
	job.a = a;
	job.b = b;
	server_push(s, LANE_NORMAL, &job);
}

/* The same to a reserved channel's own processor and slot. */
void
server_send_reserved(struct hvk_server *s, enum job_kind kind,
    const struct channel *c, uint32_t vp, uint8_t sint, uint32_t b)
{
	struct job job;

	hvk_zero(&job, sizeof(job));
	job.kind = (uint8_t)kind;
	job.channel = server_index(s, c);
	job.relid = (uint16_t)c->relid;
	job.vp = vp;
	job.sint = sint;
	job.b = b;
	server_push(s, LANE_RESERVED, &job);
}

static void
forget(struct hvk_server *s, const struct job *job)
{
	struct channel *c;

	if (job->kind == JOB_TL_RESULT)
		hvk_zero(&s->tl[job->channel], sizeof(s->tl[0]));
	else if (job->channel != NONE) {
		c = server_channel(s, job->channel);
		/* A rescinded channel may have waited for just this. */
		if (--c->queued == 0 && c->rescinded && c->relid == 0)
			server_settle(s, c);
	}
}

static void
drop_head(struct hvk_server *s, unsigned lane)
{
	struct queue *q = &s->lane[lane];
	struct job job = *server_job(s, lane, q->head);

	if (++q->head == s->at.lane_cap[lane])
		q->head = 0;
	q->count--;
	if (job.kind == JOB_PAUSE) {
		s->paused = s->pausing;
		s->pausing = false;
	}
	forget(s, &job);
}

void
server_purge(struct hvk_server *s, unsigned lane)
{
	if (lane == LANE_NORMAL)
		s->pausing = false;
	while (s->lane[lane].count > 0)
		drop_head(s, lane);
	if (s->shown_lane == lane)
		s->shown_lane = NONE;
}

/* ---- messages for the guest --------------------------------------------- */

static uint16_t
write_offer(const struct hvk_server *s, const struct channel *c,
    uint16_t relid, struct hvk_msg_offer *m)
{
	m->hdr.type = HVK_MSG_OFFER;
	m->type = c->offer.type;
	m->instance = c->offer.instance;
	m->flags = c->offer.flags;
	/* Only who asked for confidential channels hears of them. */
	if ((s->features & HVK_FLAG_CONFIDENTIAL) == 0)
		m->flags &= (uint16_t)~(HVK_OFFER_CONFIDENTIAL_RING |
		    HVK_OFFER_CONFIDENTIAL_MEMORY);
	if ((s->features & HVK_FLAG_GPA_PINNING) == 0)
		m->flags &= (uint16_t)~HVK_OFFER_PINNED_MEMORY;
	m->mmio_mb = c->offer.mmio_mb;
	m->mmio_mb_optional = c->offer.mmio_mb_optional;
	hvk_copy(m->user, c->offer.user, sizeof(m->user));
	m->subindex = c->offer.subindex;
	m->relid = relid;
	m->monitor_id = c->monitor;
	m->monitor_allocated = c->monitor != HVK_SERVER_NO_MONITOR;
	m->dedicated = HVK_OFFER_DEDICATED;
	m->connection = relid | (uint32_t)HVK_SINT_VMBUS << 12;
	return (sizeof(*m));
}

static uint16_t
write_version_response(const struct hvk_server *s,
    struct hvk_msg_version_response *m)
{
	const struct response *r = &s->response;

	m->hdr.type = HVK_MSG_VERSION_RESPONSE;
	m->supported = r->supported;
	m->state = r->state;
	m->connection = r->connection;
	if (!r->supported || s->version < HVK_VERSION_6_0)
		return (HVK_VERSION_RESPONSE_SIZE);
	m->features = r->features;
	if (!s->server_monitor)
		return (20);
	m->monitor_in = s->monitor_h2g;
	m->monitor_out = s->monitor_g2h;
	return (sizeof(*m));
}

static uint16_t
write_relid(struct hvk_msg_relid *m, uint32_t type, uint32_t relid)
{
	m->hdr.type = type;
	m->relid = relid;
	return (sizeof(*m));
}

static uint16_t
write_plain(struct hvk_msg_header *m, uint32_t type)
{
	m->type = type;
	return (sizeof(*m));
}

static uint16_t
write_open_result(struct hvk_msg_open_result *m, const struct job *job)
{
	m->hdr.type = HVK_MSG_OPEN_RESULT;
	m->relid = job->relid;
	m->open_id = job->a;
	m->status = job->b;
	return (sizeof(*m));
}

static uint16_t
write_gpadl_created(struct hvk_msg_gpadl_created *m, const struct job *job)
{
	m->hdr.type = HVK_MSG_GPADL_CREATED;
	/* The relid as the guest wrote it: it may be one that is not there. */
	m->relid = job->vp;
	m->gpadl = job->a;
	m->status = job->b;
	return (sizeof(*m));
}

static uint16_t
write_tl_result(const struct hvk_server *s, const struct job *job,
    struct hvk_msg_tl_connect_result *m)
{
	m->hdr.type = HVK_MSG_TL_CONNECT_RESULT;
	m->endpoint = s->tl[job->channel].endpoint;
	m->service = s->tl[job->channel].service;
	m->status = job->a;
	return (sizeof(*m));
}

static uint16_t
write_pair(struct hvk_msg_header *hdr, uint32_t type, uint32_t a, uint32_t b)
{
	struct hvk_msg_modify_channel_response *m = (void *)hdr;

	m->hdr.type = type;
	m->relid = a;
	m->status = b;
	return (sizeof(*m));
}

/* The bytes of one record; 0 if it has no meaning any more. */
static uint16_t
write_job(const struct hvk_server *s, const struct job *job, void *to)
{
	switch (job->kind) {
	case JOB_VERSION_RESPONSE:
		return (write_version_response(s, to));
	case JOB_OFFER:
		return (write_offer(s, server_channel(s, job->channel),
		    job->relid, to));
	case JOB_ALL_OFFERS:
		return (write_plain(to, HVK_MSG_ALL_OFFERS_DELIVERED));
	case JOB_OPEN_RESULT:
		return (write_open_result(to, job));
	case JOB_MODIFY_RESPONSE:
		return (write_pair(to, HVK_MSG_MODIFY_CHANNEL_RESPONSE,
		    job->relid, job->a));
	case JOB_RESCIND:
		return (write_relid(to, HVK_MSG_RESCIND, job->relid));
	case JOB_CLOSE_RESERVED:
		return (write_relid(to, HVK_MSG_CLOSE_RESERVED_RESPONSE,
		    job->relid));
	case JOB_GPADL_CREATED:
		return (write_gpadl_created(to, job));
	case JOB_GPADL_TORNDOWN:
		return (write_relid(to, HVK_MSG_GPADL_TORNDOWN, job->a));
	case JOB_UNLOAD:
		return (write_plain(to, HVK_MSG_UNLOAD_RESPONSE));
	case JOB_MODIFY_CONNECTION:
		((struct hvk_msg_modify_connection_response *)to)->state =
		    (uint8_t)job->a;
		(void)write_plain(to, HVK_MSG_MODIFY_CONNECTION_RESPONSE);
		return (9);
	case JOB_PAUSE:
		return (write_plain(to, HVK_MSG_PAUSE_RESPONSE));
	case JOB_TL_RESULT:
		return (write_tl_result(s, job, to));
	default:
		return (0);
	}
}

bool
hvk_server_next(struct hvk_server *s, struct hvk_server_out *out)
{
	const struct job *job;
	unsigned lane;

	s->shown_lane = NONE;
	if (s->lane[LANE_RESERVED].count > 0)
		lane = LANE_RESERVED;
	else if (s->lane[LANE_NORMAL].count > 0)
		lane = LANE_NORMAL;
	else
		return (false);
	job = server_job(s, lane, s->lane[lane].head);
	/* After PAUSE_RESPONSE the guest wants to hear nothing. */
	if (lane == LANE_NORMAL && s->paused)
		return (false);
	hvk_zero(out, sizeof(*out));
	out->len = write_job(s, job, out->data);
	if (lane == LANE_RESERVED) {
		out->vp = job->vp;
		out->sint = job->sint;
	} else if (job->kind == JOB_VERSION_RESPONSE) {
		out->vp = s->response.vp;
		out->sint = s->response.sint;
	} else {
		out->vp = s->vp;
		out->sint = s->sint;
	}
	s->shown_lane = lane;
	return (true);
}

void
hvk_server_sent(struct hvk_server *s)
{
	if (s->shown_lane >= LANES || s->lane[s->shown_lane].count == 0)
		return;
	drop_head(s, s->shown_lane);
	s->shown_lane = NONE;
	s->messages_out++;
}

uint32_t
hvk_server_waiting(const struct hvk_server *s)
{
	return (s->lane[LANE_NORMAL].count + s->lane[LANE_RESERVED].count);
}

/* ---- questions to the device layer --------------------------------------- */

/*
 * It cannot overflow: hvk_server_post() takes nothing while the questions reach
 * the backlog, and one message, or the host, asks at most one of each kind for a
 * channel and a GPADL, whose slots are not used again before the answer.
 */
void
server_ask_device(struct hvk_server *s, enum hvk_server_event_kind kind,
    uint32_t index)
{
	struct ask *ask;
	uint32_t at;

	/* A host that resets again and again says so once. */
	if (kind == HVK_SERVER_DISCONNECT && s->asks.count > 0 &&
	    server_ask(s, (s->asks.head + s->asks.count - 1) %
	    s->at.ask_cap)->kind == HVK_SERVER_DISCONNECT)
		return;
	if (s->asks.count >= s->at.ask_cap) {
		s->broken = true;
		return;
	}
	at = s->asks.head + s->asks.count;
	if (at >= s->at.ask_cap)
		at -= s->at.ask_cap;
	ask = server_ask(s, at);
	ask->kind = kind;
	ask->index = index;
	s->asks.count++;
}

static void
show_contact(const struct hvk_server *s, struct hvk_server_event *e)
{
	e->contact.version = s->version;
	e->contact.features = s->features;
	e->contact.vp = s->vp;
	e->contact.sint = s->sint;
	e->contact.monitor_h2g = s->monitor_h2g;
	e->contact.monitor_g2h = s->monitor_g2h;
}

static void
show_open(const struct hvk_server *s, const struct channel *c,
    struct hvk_server_event *e)
{
	struct hvk_gpadl_range range;

	e->open.gpadl = c->args.gpadl;
	if (hvk_server_gpadl_range(s, server_index(s, c), c->args.gpadl, 0,
	    &range) == HVK_OK)
		e->open.pages = range.npfn;
	e->open.offset = c->args.offset;
	e->open.vp = c->args.vp;
	e->open.sint = c->args.sint;
	e->open.reserved = c->reserved;
	e->open.restored = c->restored;
	e->open.redirect = c->args.redirect;
	e->open.flag = c->args.flag;
	e->open.conn = c->args.conn;
	/* Who polls does not trigger by monitor either. */
	e->open.monitor = c->args.vp == HVK_VP_NO_INTERRUPT ?
	    HVK_SERVER_NO_MONITOR : c->monitor;
	hvk_copy(e->open.user, c->args.user, sizeof(e->open.user));
}

static void
show_tl(const struct hvk_server *s, uint32_t slot, struct hvk_server_event *e)
{
	e->tl.id = slot;
	e->tl.endpoint = s->tl[slot].endpoint;
	e->tl.service = s->tl[slot].service;
	e->tl.silo = s->tl[slot].silo;
}

static void
show_channel(const struct hvk_server *s, const struct channel *c,
    struct hvk_server_event *e)
{
	e->channel = server_index(s, c);
	e->cookie = c->offer.cookie;
}

/* RELEASED was taken: the slot is free for another offer. */
static void
free_channel(struct hvk_server *s, struct channel *c)
{
	hvk_zero(c, sizeof(*c));
	c->gpadl_first = NONE;
	s->registered--;
}

static void
show_ask(struct hvk_server *s, const struct ask *ask,
    struct hvk_server_event *e)
{
	struct channel *c;
	struct gpadl *g;

	e->kind = (enum hvk_server_event_kind)ask->kind;
	switch (e->kind) {
	case HVK_SERVER_CONTACT:
	case HVK_SERVER_MONITOR:
		show_contact(s, e);
		return;
	case HVK_SERVER_DISCONNECT:
		return;
	case HVK_SERVER_TL_CONNECT:
		s->tl[ask->index].told = true;
		show_tl(s, ask->index, e);
		return;
	case HVK_SERVER_GPADL_READY:
	case HVK_SERVER_GPADL_TEARDOWN:
		g = server_gpadl(s, ask->index);
		c = server_channel(s, g->channel);
		show_channel(s, c, e);
		e->gpadl.id = g->id;
		e->gpadl.nranges = g->ranges;
		if (e->kind == HVK_SERVER_GPADL_TEARDOWN)
			g->told = true;
		return;
	default:
		break;
	}
	c = server_channel(s, ask->index);
	show_channel(s, c, e);
	if (e->kind == HVK_SERVER_MODIFY) {
		e->modify.vp = c->modify_vp;
		c->modify_told = true;
		return;
	}
	if (e->kind == HVK_SERVER_OPEN)
		show_open(s, c, e);
	c->told = (uint8_t)e->kind;
	if (e->kind == HVK_SERVER_RELEASED)
		free_channel(s, c);
}

bool
hvk_server_event(struct hvk_server *s, struct hvk_server_event *e)
{
	struct ask ask;

	hvk_zero(e, sizeof(*e));
	if (s->asks.count == 0)
		return (false);
	ask = *server_ask(s, s->asks.head);
	if (++s->asks.head == s->at.ask_cap)
		s->asks.head = 0;
	s->asks.count--;
	show_ask(s, &ask, e);
	return (true);
}
