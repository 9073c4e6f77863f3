/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * GPADLs as the guest sees them: lists of its pages that the host may use.
 *
 * A list goes out as a header and as many bodies as it takes, one message at a
 * time, so that it never holds more of the host's buffers than one.  The rule
 * that matters: memory is the guest's again only when the host has said so
 * (torn down, refused or unloaded) or has never been told of it.  In every other
 * case the client says "held", and the owner leaks the memory.
 * Facts: wire.md section 5.
 */

#include "vmbus_int.h"

struct hvk_client_gpadl *
hvk_client_gpadl_find(const struct hvk_client *c, uint32_t handle)
{
	struct hvk_client_gpadl *g;
	uint32_t slot;

	slot = (handle & HANDLE_SLOT_MASK);
	if (handle == 0 || slot == 0 || slot > c->gpadls_used)
		return (NULL);
	g = &c->cfg.gpadls[slot - 1];
	if (g->state == HVK_GPADL_FREE || g->state == HVK_GPADL_DONE ||
	    g->handle != handle)
		return (NULL);
	return (g);
}

static void
stop_sending(struct hvk_client *c, struct hvk_client_gpadl *g)
{
	hvk_list_remove(&c->send, &g->send_link);
	hvk_client_wait(c, &g->deadline, 0);
}

static void
tell(struct hvk_client *c, struct hvk_client_gpadl *g,
    enum hvk_client_event_kind event, uint8_t status, uint32_t host_status)
{
	g->event = (uint8_t)event;
	g->status = status;
	g->host_status = host_status;
	hvk_list_append(&c->event, &g->event_link);
}

/* The slot is free as soon as its owner has been told. */
static void
finish(struct hvk_client *c, struct hvk_client_gpadl *g,
    enum hvk_client_event_kind event, uint8_t status, uint32_t host_status)
{
	stop_sending(c, g);
	g->state = HVK_GPADL_DONE;
	g->held = event == HVK_EVENT_GPADL_TORNDOWN && status != HVK_CLIENT_OK;
	g->pfn = NULL;
	g->chan->gpadls--;
	tell(c, g, event, status, host_status);
}

/* A creation did not come to its end. */
static void
create_failed(struct hvk_client *c, struct hvk_client_gpadl *g, uint8_t status,
    uint32_t host_status)
{
	if (g->sent == 0 || status == HVK_CLIENT_REFUSED) {
		finish(c, g, HVK_EVENT_GPADL_CREATED, status, host_status);
		return;
	}
	stop_sending(c, g);
	g->state = HVK_GPADL_UNCERTAIN;
	g->held = true;
	g->pfn = NULL;
	tell(c, g, HVK_EVENT_GPADL_CREATED, status, host_status);
}

static struct hvk_client_gpadl *
take_slot(struct hvk_client *c)
{
	uint32_t i;

	for (i = 0; i < c->gpadls_used; i++)
		if (c->cfg.gpadls[i].state == HVK_GPADL_FREE)
			return (&c->cfg.gpadls[i]);
	if (c->gpadls_used == c->cfg.ngpadls)
		return (NULL);
	return (&c->cfg.gpadls[c->gpadls_used++]);
}

int
hvk_client_gpadl_create(struct hvk_client *c, struct hvk_client_chan *ch,
    const uint64_t *pfn, uint32_t npfn, void *user,
    struct hvk_client_gpadl **result, uint64_t now)
{
	struct hvk_client_gpadl *g;

	if (npfn == 0 || npfn > HVK_GPADL_RANGE_PFNS)
		return (HVK_RANGE);
	if (c->state != HVK_CLIENT_CONNECTED ||
	    (ch->state != HVK_CHAN_OFFERED && ch->state != HVK_CHAN_OPEN))
		return (HVK_STATE);
	g = take_slot(c);
	if (g == NULL)
		return (HVK_NOSPACE);
	g->chan = ch;
	g->pfn = pfn;
	g->npfn = npfn;
	g->sent = 0;
	g->generation++;
	g->handle = g->generation << HANDLE_SLOT_BITS |
	    ((uint32_t)(g - c->cfg.gpadls) + 1);
	g->event = 0;
	g->held = false;
	g->user = user;
	g->state = HVK_GPADL_SENDING;
	ch->gpadls++;
	hvk_list_append(&c->send, &g->send_link);
	hvk_client_wait(c, &g->deadline, now + c->cfg.request_timeout);
	*result = g;
	return (HVK_OK);
}

int
hvk_client_gpadl_teardown(struct hvk_client *c, struct hvk_client_gpadl *g,
    uint64_t now)
{
	struct hvk_client_chan *ch;

	if ((g->state != HVK_GPADL_LIVE && g->state != HVK_GPADL_UNCERTAIN) ||
	    g->event != 0)
		return (HVK_STATE);
	if (c->state == HVK_CLIENT_UNLOADED || c->state == HVK_CLIENT_FAILED) {
		finish(c, g, HVK_EVENT_GPADL_TORNDOWN,
		    c->state == HVK_CLIENT_UNLOADED ? c->status :
		    HVK_CLIENT_TIMEOUT, 0);
		return (HVK_OK);
	}
	ch = g->chan;
	if (c->state == HVK_CLIENT_CONNECTED &&
	    (ch->state == HVK_CHAN_OPEN || ch->state == HVK_CHAN_OPENING) &&
	    ch->ring_gpadl == g->handle)
		return (HVK_STATE);
	g->pfn = NULL;
	if (c->state == HVK_CLIENT_UNLOADING) {
		/* The unload gives it back, or nothing does. */
		g->state = HVK_GPADL_TEARDOWN;
		return (HVK_OK);
	}
	g->state = HVK_GPADL_TEARING;
	hvk_list_append(&c->send, &g->send_link);
	hvk_client_wait(c, &g->deadline, now +
	    hvk_client_patience(c, c->cfg.teardown_timeout));
	return (HVK_OK);
}

int
hvk_gpadl_created(struct hvk_client *c, const struct hvk_msg_gpadl_created *m)
{
	struct hvk_client_gpadl *g;

	g = hvk_client_gpadl_find(c, m->gpadl);
	if (g == NULL || g->chan->relid != m->relid)
		return (HVK_STATE);
	/* A host may refuse before it has heard all, but not accept. */
	if (g->state != HVK_GPADL_CREATING && (m->status == HVK_STATUS_OK ||
	    g->state != HVK_GPADL_SENDING || g->sent == 0))
		return (HVK_STATE);
	if (m->status != HVK_STATUS_OK) {
		create_failed(c, g, HVK_CLIENT_REFUSED, m->status);
		return (HVK_OK);
	}
	hvk_client_wait(c, &g->deadline, 0);
	g->state = HVK_GPADL_LIVE;
	g->held = true;
	g->pfn = NULL;
	tell(c, g, HVK_EVENT_GPADL_CREATED, HVK_CLIENT_OK, 0);
	return (HVK_OK);
}

int
hvk_gpadl_torndown(struct hvk_client *c,
    const struct hvk_msg_gpadl_torndown *m)
{
	struct hvk_client_gpadl *g;

	g = hvk_client_gpadl_find(c, m->gpadl);
	if (g == NULL || g->state != HVK_GPADL_TEARDOWN)
		return (HVK_STATE);
	finish(c, g, HVK_EVENT_GPADL_TORNDOWN, HVK_CLIENT_OK, 0);
	return (HVK_OK);
}

/* The largest piece that the next message can carry. */
static uint32_t
next_piece(const struct hvk_client_gpadl *g)
{
	uint32_t room;

	room = g->sent == 0 ? HVK_GPADL_HEADER_PFNS : HVK_GPADL_BODY_PFNS;
	return (g->npfn - g->sent < room ? g->npfn - g->sent : room);
}

uint32_t
hvk_gpadl_build(const struct hvk_client_gpadl *g, void *data)
{
	struct hvk_msg_gpadl_teardown *down = data;
	struct hvk_msg_gpadl_header *head = data;
	struct hvk_msg_gpadl_body *body = data;
	uint32_t at, n, range[2];

	if (g->state == HVK_GPADL_TEARING) {
		down->hdr.type = HVK_MSG_GPADL_TEARDOWN;
		down->relid = g->chan->relid;
		down->gpadl = g->handle;
		return (sizeof(*down));
	}
	n = next_piece(g);
	if (g->sent == 0) {
		head->hdr.type = HVK_MSG_GPADL_HEADER;
		head->relid = g->chan->relid;
		head->gpadl = g->handle;
		head->range_bytes = (uint16_t)(8 + 8 * g->npfn);
		head->range_count = 1;
		range[0] = g->npfn * HVK_PAGE_SIZE;
		range[1] = 0;
		hvk_copy((uint8_t *)data + sizeof(*head), range, sizeof(range));
		at = sizeof(*head) + sizeof(range);
	} else {
		body->hdr.type = HVK_MSG_GPADL_BODY;
		body->number = (g->sent - HVK_GPADL_HEADER_PFNS) /
		    HVK_GPADL_BODY_PFNS;
		body->gpadl = g->handle;
		at = sizeof(*body);
	}
	hvk_copy((uint8_t *)data + at, g->pfn + g->sent, 8 * n);
	return (at + 8 * n);
}

void
hvk_gpadl_posted(struct hvk_client *c, struct hvk_client_gpadl *g,
    uint16_t hv_status, bool ok, uint64_t now)
{
	if (g->state == HVK_GPADL_TEARING) {
		if (!ok) {
			finish(c, g, HVK_EVENT_GPADL_TORNDOWN,
			    HVK_CLIENT_POST, hv_status);
			return;
		}
		g->state = HVK_GPADL_TEARDOWN;
		hvk_client_wait(c, &g->deadline, now +
		    hvk_client_patience(c, c->cfg.teardown_timeout));
		return;
	}
	if (!ok) {
		create_failed(c, g, HVK_CLIENT_POST, hv_status);
		return;
	}
	g->sent += next_piece(g);
	hvk_client_wait(c, &g->deadline, now + c->cfg.request_timeout);
	if (g->sent < g->npfn)
		hvk_list_append(&c->send, &g->send_link);
	else
		g->state = HVK_GPADL_CREATING;
}

void
hvk_gpadl_tick(struct hvk_client *c, struct hvk_client_gpadl *g, uint64_t now)
{
	if (g->deadline == 0 || now < g->deadline)
		return;
	c->timeouts++;
	if (g->state == HVK_GPADL_SENDING || g->state == HVK_GPADL_CREATING) {
		create_failed(c, g, HVK_CLIENT_TIMEOUT, 0);
	} else {
		c->silent = true;
		finish(c, g, HVK_EVENT_GPADL_TORNDOWN, HVK_CLIENT_TIMEOUT, 0);
	}
}

/* The channel is rescinded or the connection ends: no answer will come. */
void
hvk_gpadl_abandon(struct hvk_client *c, struct hvk_client_gpadl *g)
{
	if (g->state == HVK_GPADL_SENDING || g->state == HVK_GPADL_CREATING)
		create_failed(c, g, HVK_CLIENT_REVOKED, 0);
}

/* An unload begins: its answer will stand for the teardown's. */
void
hvk_gpadl_unloading(struct hvk_client *c, struct hvk_client_gpadl *g)
{
	hvk_gpadl_abandon(c, g);
	if (g->state == HVK_GPADL_TEARING || g->state == HVK_GPADL_TEARDOWN) {
		stop_sending(c, g);
		g->state = HVK_GPADL_TEARDOWN;
	}
}

/* The end of an unload decides what teardowns have not. */
void
hvk_gpadl_unloaded(struct hvk_client *c, struct hvk_client_gpadl *g, bool safe)
{
	if (g->state == HVK_GPADL_TEARDOWN)
		finish(c, g, HVK_EVENT_GPADL_TORNDOWN,
		    safe ? HVK_CLIENT_OK : HVK_CLIENT_TIMEOUT, 0);
}

void
hvk_gpadl_event(struct hvk_client *c, struct hvk_client_gpadl *g,
    struct hvk_client_event *ev)
{
	(void)c;
	ev->kind = (enum hvk_client_event_kind)g->event;
	ev->status = (enum hvk_client_status)g->status;
	ev->host_status = g->host_status;
	ev->chan = g->chan;
	ev->gpadl = g;
	ev->handle = g->handle;
	ev->user = g->user;
	ev->held = g->held;
	g->event = 0;
	if (g->state == HVK_GPADL_DONE) {
		g->state = HVK_GPADL_FREE;
		g->chan = NULL;
	}
}
