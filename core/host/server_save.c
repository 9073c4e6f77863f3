/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 */

/*
 * Saved state of the VMBus server: what the guest believes, so that another
 * process can go on with it.  What the device layer owes is not saved but asked
 * again.  Socket connects under way are lost; the guest's own deadline ends
 * them.  Saved bytes come from outside and are checked like a guest's.
 * Locking: the caller's.
 */

#include <hvk/guid.h>
#include <hvk/host/server.h>

#include "server_priv.h"
#include "server_save.h"

/* ---- save ------------------------------------------------------------------- */

static bool
worth_saving(const struct channel *c)
{
	return (c->state != HVK_CHANNEL_FREE && c->state != HVK_CHANNEL_DEAD &&
	    c->state != HVK_CHANNEL_HELD);
}

/* A cursor that only counts when there is no buffer. */
struct writer {
	uint8_t	*to;
	size_t	size, at;
};

static void
put(struct writer *w, const void *from, size_t len)
{
	if (w->to != NULL && len <= w->size - w->at)
		hvk_copy(w->to + w->at, from, len);
	w->at += len;
}

static void
put_channel(struct writer *w, const struct channel *c)
{
	struct saved_channel r;

	hvk_zero(&r, sizeof(r));
	r.type = c->offer.type;
	r.instance = c->offer.instance;
	r.subindex = c->offer.subindex;
	r.state = c->state;
	r.monitor = c->monitor;
	r.flags = (c->rescinded ? SAVED_RESCINDED : 0) |
	    (c->reserved ? SAVED_RESERVED : 0) |
	    (c->close_wanted ? SAVED_CLOSE_WANTED : 0) |
	    (c->reopen ? SAVED_REOPEN : 0) |
	    (c->restored ? SAVED_RESTORED : 0) |
	    (c->close_answer ? SAVED_CLOSE_ANSWER : 0) |
	    (c->modify != MODIFY_NONE ? SAVED_MODIFY : 0);
	r.relid = c->relid;
	r.modify_vp = c->modify_vp;
	r.reserved_version = c->reserved_version;
	r.reserved_features = c->reserved_features;
	r.args = c->args;
	r.next = c->next;
	r.args.redirect = r.next.redirect = false;
	r.redirect = (c->args.redirect ? 1 : 0) | (c->next.redirect ? 2 : 0);
	put(w, &r, sizeof(r));
}

static void
put_gpadl(struct writer *w, const struct hvk_server *s, const struct gpadl *g)
{
	struct saved_gpadl r;
	uint32_t i, at, n;

	hvk_zero(&r, sizeof(r));
	r.relid = server_channel(s, g->channel)->relid;
	r.id = g->id;
	r.state = g->state;
	r.answer = g->answer;
	r.wanted = g->wanted;
	r.have = g->have;
	r.ranges = g->ranges;
	put(w, &r, sizeof(r));
	for (i = 0, at = g->first; i < g->have; i += n) {
		n = g->have - i < CHUNK_PFNS ? g->have - i : CHUNK_PFNS;
		put(w, server_chunk(s, at)->word, n * 8);
		at = server_chunk(s, at)->next;
	}
}

static void
put_jobs(struct writer *w, const struct hvk_server *s, struct saved_head *head)
{
	struct saved_job r;
	const struct job *job;
	uint32_t i, at;
	unsigned lane;

	for (lane = 0; lane < LANES; lane++)
		for (i = 0; i < s->lane[lane].count; i++) {
			at = (s->lane[lane].head + i) % s->at.lane_cap[lane];
			job = server_job(s, lane, at);
			if (job->kind == JOB_TL_RESULT)
				continue;
			hvk_zero(&r, sizeof(r));
			r.lane = (uint8_t)lane;
			r.kind = job->kind;
			r.sint = job->sint;
			r.relid = job->relid;
			r.vp = job->vp;
			r.a = job->a;
			r.b = job->b;
			put(w, &r, sizeof(r));
			head->jobs++;
		}
}

static void
put_head(const struct hvk_server *s, struct saved_head *h)
{
	h->magic = SAVED_MAGIC;
	h->conn = s->conn;
	h->next = s->next;
	h->flags = (s->offers_sent ? SAVED_OFFERS_SENT : 0) |
	    (s->paused ? SAVED_PAUSED : 0) |
	    (s->pausing ? SAVED_PAUSING : 0);
	h->sint = s->sint;
	h->version = s->version;
	h->features = s->features;
	h->vp = s->vp;
	h->monitor_h2g = s->monitor_h2g;
	h->monitor_g2h = s->monitor_g2h;
	h->client = s->client;
	h->response = s->response;
	h->pending.version = s->pending.version;
	h->pending.vp = s->pending.vp;
	h->pending.features = s->pending.features;
	h->pending.sint = s->pending.sint;
	h->pending.trusted = s->pending.trusted;
	h->pending.monitor_h2g = s->pending.monitor_h2g;
	h->pending.monitor_g2h = s->pending.monitor_g2h;
	h->pending.client = s->pending.client;
}

static size_t
save(const struct hvk_server *s, uint8_t *to, size_t size)
{
	struct writer w = { to, size, sizeof(struct saved_head) };
	struct saved_head head;
	const struct gpadl *g;
	uint32_t i;

	hvk_zero(&head, sizeof(head));
	put_head(s, &head);
	for (i = 0; i < s->config.channels; i++)
		if (worth_saving(server_channel(s, i)) &&
		    server_channel(s, i)->relid != 0) {
			put_channel(&w, server_channel(s, i));
			head.channels++;
		}
	for (i = 0; i < s->config.gpadls; i++) {
		g = server_gpadl(s, i);
		if (g->state != GPADL_FREE &&
		    server_channel(s, g->channel)->relid != 0) {
			put_gpadl(&w, s, g);
			head.gpadls++;
		}
	}
	put_jobs(&w, s, &head);
	head.bytes = w.at;
	if (to != NULL && w.at <= size)
		hvk_copy(to, &head, sizeof(head));
	return (w.at);
}

size_t
hvk_server_save_size(const struct hvk_server *s)
{
	return (save(s, NULL, 0));
}

int
hvk_server_save(const struct hvk_server *s, void *buf, size_t size)
{
	if (save(s, NULL, 0) > size)
		return (HVK_RANGE);
	(void)save(s, buf, size);
	return (HVK_OK);
}

/* ---- restore ------------------------------------------------------------------ */

struct source {
	const uint8_t *from;
	size_t	size, at;
};

static bool
get(struct source *r, void *to, size_t len)
{
	if (len > r->size - r->at)
		return (false);
	hvk_copy(to, r->from + r->at, len);
	r->at += len;
	return (true);
}

static bool
is_fresh(const struct hvk_server *s)
{
	uint32_t i;

	if (s->conn != CONN_DISCONNECTED || s->gpadl_count != 0 ||
	    hvk_server_waiting(s) != 0 || s->asks.count != 0)
		return (false);
	for (i = 0; i < s->config.channels; i++)
		if (server_channel(s, i)->state > HVK_CHANNEL_HELD)
			return (false);
	return (true);
}

/* Back to offers and nothing else. */
static void
wipe(struct hvk_server *s)
{
	struct channel *c, clean;
	uint32_t i;

	for (i = 0; i < s->config.channels; i++) {
		c = server_channel(s, i);
		hvk_zero(&clean, sizeof(clean));
		clean.gpadl_first = NONE;
		clean.monitor = HVK_SERVER_NO_MONITOR;
		if (c->state == HVK_CHANNEL_FREE || c->rescinded) {
			if (c->state != HVK_CHANNEL_FREE)
				s->registered--;
			*c = clean;
			continue;
		}
		clean.offer = c->offer;
		clean.state = HVK_CHANNEL_HELD;
		*c = clean;
	}
	hvk_zero(s->relids, sizeof(s->relids));
	s->relids[0] = 1;
	hvk_zero(s->monitors, sizeof(s->monitors));
	for (i = 0; i <= HVK_RELID_MAX; i++)
		server_by_relid(s)[i] = NO_CHANNEL;
	if (s->config.overlap_check)
		hvk_zero(server_pages(s), s->at.bytes - s->at.pages);
	server_gpadl_reset(s);
	hvk_zero(s->lane, sizeof(s->lane));
	hvk_zero(&s->asks, sizeof(s->asks));
	s->nbusy = 0;
	s->conn = CONN_DISCONNECTED;
	s->next = NEXT_NOTHING;
	s->offers_sent = s->paused = s->pausing = s->confidential = false;
	s->server_monitor = s->walking = false;
	s->version = s->features = s->vp = 0;
	s->sint = HVK_SINT_VMBUS;
	s->monitor_h2g = s->monitor_g2h = 0;
	hvk_zero(&s->client, sizeof(s->client));
}

static bool
version_allowed(const struct hvk_server *s, uint32_t version,
    uint32_t features)
{
	return (server_version_known(version) &&
	    version <= s->config.max_version &&
	    (features & ~s->config.features) == 0 &&
	    (version >= HVK_VERSION_6_0 || features == 0));
}

static int
restore_head(struct hvk_server *s, const struct saved_head *h)
{
	if (h->conn > CONN_DISCONNECTING || h->next > NEXT_CONTACT)
		return (HVK_REJECT);
	if (h->vp >= s->config.nvps || h->sint >= HVK_SINT_COUNT ||
	    h->response.vp >= s->config.nvps)
		return (HVK_RANGE);
	s->vp = h->vp;
	s->sint = h->sint;
	s->response = h->response;
	if (h->conn != CONN_CONNECTED)
		return (HVK_OK);
	if (!version_allowed(s, h->version, h->features) ||
	    !server_monitor_pages_good(s, h->monitor_h2g, h->monitor_g2h))
		return (HVK_RANGE);
	s->conn = CONN_CONNECTED;
	s->version = h->version;
	s->features = h->features;
	s->confidential = (h->features & HVK_FLAG_CONFIDENTIAL) != 0;
	s->server_monitor = (h->features & HVK_FLAG_SERVER_MONITOR) != 0;
	s->monitor_h2g = h->monitor_h2g;
	s->monitor_g2h = h->monitor_g2h;
	s->client = h->client;
	s->offers_sent = (h->flags & SAVED_OFFERS_SENT) != 0;
	s->paused = (h->flags & SAVED_PAUSED) != 0;
	s->pausing = (h->flags & SAVED_PAUSING) != 0;
	server_ask_device(s, HVK_SERVER_CONTACT, NONE);
	return (HVK_OK);
}

/* The slot of a saved channel: its offer, or a new one that is rescinded. */
static struct channel *
claim(struct hvk_server *s, const struct saved_channel *r)
{
	struct channel *c;
	uint32_t i = NONE;

	if ((r->flags & SAVED_RESCINDED) == 0)
		i = server_offer_find(s, &r->type, &r->instance, r->subindex);
	if (i != NONE) {
		c = server_channel(s, i);
		return (c->relid == 0 ? c : NULL);
	}
	for (i = 0; i < s->config.channels; i++)
		if (server_channel(s, i)->state == HVK_CHANNEL_FREE)
			break;
	if (i == s->config.channels)
		return (NULL);
	c = server_channel(s, i);
	c->offer.type = r->type;
	c->offer.instance = r->instance;
	c->offer.subindex = r->subindex;
	c->rescinded = true;
	s->registered++;
	return (c);
}

static bool
args_good(const struct hvk_server *s, const struct open_args *args)
{
	return ((args->vp < s->config.nvps ||
	    args->vp == HVK_VP_NO_INTERRUPT) && args->flag < HVK_EVENT_FLAGS &&
	    args->sint < HVK_SINT_COUNT);
}

static int
restore_channel(struct hvk_server *s, const struct saved_head *h,
    const struct saved_channel *r)
{
	struct channel *c;
	uint64_t bit;

	if (r->state < HVK_CHANNEL_CLOSED || r->state >= HVK_CHANNEL_DEAD ||
	    r->relid == 0 || r->relid > HVK_RELID_MAX ||
	    server_find(s, r->relid) != NULL ||
	    (r->monitor >= HVK_SERVER_MONITORS &&
	    r->monitor != HVK_SERVER_NO_MONITOR))
		return (HVK_REJECT);
	if (!args_good(s, &r->args) || !args_good(s, &r->next) ||
	    r->modify_vp >= s->config.nvps)
		return (HVK_RANGE);
	if ((r->flags & SAVED_RESERVED) != 0) {
		if (!version_allowed(s, r->reserved_version,
		    r->reserved_features))
			return (HVK_RANGE);
	} else if (h->conn != CONN_CONNECTED)
		return (HVK_OK);	/* it was being closed anyway */
	c = claim(s, r);
	if (c == NULL)
		return (HVK_NOSPACE);
	c->state = HVK_CHANNEL_CLOSED;
	server_give_relid(s, c, r->relid);
	c->monitor = r->monitor;
	if (c->monitor != HVK_SERVER_NO_MONITOR) {
		bit = (uint64_t)1 << (c->monitor % 64);
		if ((s->monitors[c->monitor / 64] & bit) != 0)
			return (HVK_REJECT);
		s->monitors[c->monitor / 64] |= bit;
	}
	c->reserved = (r->flags & SAVED_RESERVED) != 0;
	c->reserved_version = r->reserved_version;
	c->reserved_features = r->reserved_features;
	c->modify_vp = r->modify_vp;
	c->args = r->args;
	c->next = r->next;
	c->args.redirect = (r->redirect & 1) != 0;
	c->next.redirect = (r->redirect & 2) != 0;
	return (HVK_OK);
}

static int
restore_gpadl(struct hvk_server *s, struct source *in)
{
	struct saved_gpadl r;
	struct channel *c;
	struct gpadl *g;
	uint64_t value;
	uint8_t words[CHUNK_PFNS * 8];
	uint32_t i, n;

	if (!get(in, &r, sizeof(r)) || r.have > r.wanted || r.id == 0 ||
	    r.wanted > UINT16_MAX / 8 || r.ranges == 0 ||
	    r.wanted / 2 < r.ranges || r.state < GPADL_PARTIAL ||
	    r.state > GPADL_TEARING ||
	    (r.state == GPADL_PARTIAL) != (r.have < r.wanted))
		return (HVK_REJECT);
	c = server_find(s, r.relid);
	if (c == NULL || r.state == GPADL_TEARING ||
	    (c->rescinded && r.state != GPADL_PARTIAL)) {
		if ((size_t)r.have * 8 > in->size - in->at)
			return (HVK_REJECT);
		in->at += (size_t)r.have * 8;
		if (c != NULL && r.answer && s->conn == CONN_CONNECTED)
			server_send(s, JOB_GPADL_TORNDOWN, NONE, r.id, 0);
		return (HVK_OK);
	}
	if (server_gpadl_find(s, server_index(s, c), r.id) != NULL)
		return (HVK_REJECT);
	g = server_gpadl_add(s, c, r.id, r.wanted, r.ranges);
	if (g == NULL)
		return (HVK_NOSPACE);
	g->answer = r.answer != 0;
	for (i = 0; i < r.have; i += n) {
		n = r.have - i < CHUNK_PFNS ? r.have - i : CHUNK_PFNS;
		if (!get(in, words, n * 8))
			return (HVK_REJECT);
		if (server_gpadl_append(s, g, words, n) != HVK_OK)
			return (HVK_NOSPACE);
	}
	if (g->have == g->wanted) {
		if (server_gpadl_complete(s, g, &value) != HVK_REFUSE_NONE)
			return (HVK_REJECT);
		server_ask_device(s, HVK_SERVER_GPADL_READY,
		    server_gpadl_index(s, g));
	}
	return (HVK_OK);
}

static bool
job_names_channel(uint8_t kind)
{
	return (kind == JOB_OFFER || kind == JOB_OPEN_RESULT ||
	    kind == JOB_MODIFY_RESPONSE || kind == JOB_RESCIND ||
	    kind == JOB_CLOSE_RESERVED);
}

static int
restore_job(struct hvk_server *s, struct source *in)
{
	struct saved_job r;
	const struct channel *c = NULL;
	struct job job;

	if (!get(in, &r, sizeof(r)) || r.lane >= LANES || r.kind == JOB_NONE ||
	    r.kind >= JOB_MAX || r.kind == JOB_TL_RESULT ||
	    r.sint >= HVK_SINT_COUNT ||
	    (r.lane == LANE_RESERVED && r.vp >= s->config.nvps) ||
	    s->lane[r.lane].count >= s->config.backlog +
	    4 * s->config.channels)
		return (HVK_REJECT);
	if (job_names_channel(r.kind)) {
		c = server_find(s, r.relid);
		if (c == NULL)
			return (HVK_OK);
	}
	hvk_zero(&job, sizeof(job));
	job.kind = r.kind;
	job.sint = r.sint;
	job.relid = r.relid;
	job.channel = c != NULL ? server_index(s, c) : NONE;
	job.vp = r.vp;
	job.a = r.a;
	job.b = r.b;
	server_push(s, r.lane, &job);
	return (HVK_OK);
}

/* Everything is in place: ask the device layer for what it must have. */
static int
resume_channel(struct hvk_server *s, const struct saved_channel *r)
{
	struct channel *c = server_find(s, r->relid);

	if (c == NULL)
		return (HVK_OK);
	if (c->rescinded) {
		if ((r->flags & SAVED_RESCINDED) == 0)
			server_send(s, JOB_RESCIND, server_index(s, c), 0, 0);
		c->reserved = false;
		server_settle(s, c);
		return (HVK_OK);
	}
	if ((r->flags & SAVED_MODIFY) != 0 && r->state == HVK_CHANNEL_OPEN) {
		c->args.vp = c->modify_vp;
		if (s->version >= HVK_VERSION_5_3)
			server_send(s, JOB_MODIFY_RESPONSE,
			    server_index(s, c), HVK_STATUS_OK, 0);
	}
	if (r->state == HVK_CHANNEL_OPENING || r->state == HVK_CHANNEL_OPEN) {
		if (server_check_rings(s, c, &c->args) != HVK_REFUSE_NONE)
			return (HVK_REJECT);
		server_start_open(s, c);
		c->restored = r->state == HVK_CHANNEL_OPEN ||
		    (r->flags & SAVED_RESTORED) != 0;
		c->close_wanted = (r->flags & SAVED_CLOSE_WANTED) != 0;
		c->close_answer = (r->flags & SAVED_CLOSE_ANSWER) != 0;
		return (HVK_OK);
	}
	/* What was being closed was never open in this process. */
	c->close_answer = (r->flags & SAVED_CLOSE_ANSWER) != 0;
	c->reopen = (r->flags & SAVED_REOPEN) != 0;
	if (c->reopen &&
	    server_check_rings(s, c, &c->next) != HVK_REFUSE_NONE)
		return (HVK_REJECT);
	if (r->state == HVK_CHANNEL_CLOSING)
		server_became_closed(s, c);
	return (HVK_OK);
}

static int
restore(struct hvk_server *s, struct source *in)
{
	struct saved_channel record;
	struct saved_head head;
	size_t channels;
	uint32_t i;
	int error;

	if (!get(in, &head, sizeof(head)) || head.magic != SAVED_MAGIC ||
	    head.bytes != in->size)
		return (HVK_REJECT);
	error = restore_head(s, &head);
	channels = in->at;
	for (i = 0; error == HVK_OK && i < head.channels; i++)
		error = get(in, &record, sizeof(record)) ?
		    restore_channel(s, &head, &record) : HVK_REJECT;
	/* Their settling must not end a connection that is not up yet. */
	s->walking = true;
	for (i = 0; error == HVK_OK && i < head.gpadls; i++)
		error = restore_gpadl(s, in);
	for (i = 0; error == HVK_OK && i < head.jobs; i++)
		error = restore_job(s, in);
	in->at = channels;
	for (i = 0; error == HVK_OK && i < head.channels; i++)
		error = get(in, &record, sizeof(record)) ?
		    resume_channel(s, &record) : HVK_REJECT;
	s->walking = false;
	if (error != HVK_OK)
		return (error);
	for (i = 0; i < s->config.channels; i++)
		if (server_channel(s, i)->state != HVK_CHANNEL_FREE)
			server_settle(s, server_channel(s, i));
	for (i = 0; i < s->nsorted; i++)
		server_offer_now(s, server_channel(s, server_sorted(s)[i]));
	if (head.conn == CONN_DISCONNECTING)
		server_resume_disconnect(s, (enum conn_next)head.next,
		    &head.pending);
	return (HVK_OK);
}

int
hvk_server_restore(struct hvk_server *s, const void *buf, size_t size)
{
	struct source in = { buf, size, 0 };
	int error;

	if (!is_fresh(s))
		return (HVK_STATE);
	error = restore(s, &in);
	if (error != HVK_OK)
		wipe(s);
	return (error);
}
