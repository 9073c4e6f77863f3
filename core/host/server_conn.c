/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 */

/*
 * The connection of a guest to the VMBus server: contact, versions and features,
 * monitor pages, pause, unload, and the end of a connection, which waits for the
 * device layer to let go of everything.  Locking: the caller's.
 * Facts: wire.md section 4, hosts.md section 1.3.
 */

#include <hvk/host/server.h>

#include "server_priv.h"
#include "server_save.h"

bool
server_version_known(uint32_t version)
{
	static const uint32_t known[] = {
		HVK_VERSION_2_4, HVK_VERSION_3_0, HVK_VERSION_4_0,
		HVK_VERSION_4_1, HVK_VERSION_5_0, HVK_VERSION_5_1,
		HVK_VERSION_5_2, HVK_VERSION_5_3, HVK_VERSION_6_0,
	};
	unsigned i;

	for (i = 0; i < HVK_COUNT(known); i++)
		if (known[i] == version)
			return (true);
	return (false);
}

/* ---- contact ---------------------------------------------------------------- */

static void
respond(struct hvk_server *s, bool supported, uint8_t state, uint32_t vp,
    uint8_t sint)
{
	struct response *r = &s->response;

	hvk_zero(r, sizeof(*r));
	r->supported = supported;
	r->state = state;
	r->vp = vp;
	r->sint = sint;
	if (supported) {
		r->connection = s->version >= HVK_VERSION_5_0 ?
		    s->config.message_conn : s->version;
		r->features = s->features;
	}
	server_send(s, JOB_VERSION_RESPONSE, NONE, 0, 0);
}

static bool
is_page(const struct hvk_server *s, uint64_t gpa)
{
	return (gpa % HVK_PAGE_SIZE == 0 &&
	    gpa <= s->config.mem_size - HVK_PAGE_SIZE);
}

/* Both pages or none, and in memory. */
bool
server_monitor_pages_good(const struct hvk_server *s, uint64_t h2g, uint64_t g2h)
{
	if (h2g == 0 && g2h == 0)
		return (true);
	return (h2g != 0 && g2h != 0 && is_page(s, h2g) && is_page(s, g2h));
}

static void
set_monitor_pages(struct hvk_server *s, uint64_t h2g, uint64_t g2h)
{
	s->monitor_h2g = s->config.monitors ? h2g : 0;
	s->monitor_g2h = s->config.monitors ? g2h : 0;
}

static uint32_t
grant_features(const struct hvk_server *s, const struct contact *k)
{
	uint32_t features = k->features & s->config.features;

	if (k->version < HVK_VERSION_6_0)
		return (0);
	if (!k->trusted)
		features &= ~HVK_FLAG_CONFIDENTIAL;
	if (s->config.monitor_h2g == 0 || !s->config.monitors)
		features &= ~HVK_FLAG_SERVER_MONITOR;
	return (features);
}

/* Nothing is connected: make the connection, or say why not. */
static int
connect(struct hvk_server *s, const struct contact *k)
{
	uint32_t vp = k->version >= HVK_VERSION_3_0 ? k->vp : 0;

	if (!server_version_known(k->version) ||
	    k->version > s->config.max_version) {
		respond(s, false, HVK_CONTACT_OK, vp < s->config.nvps ? vp : 0,
		    k->sint);
		return (server_refuse(s, HVK_REFUSE_CONTACT_VERSION, 0,
		    k->version));
	}
	if (vp >= s->config.nvps || k->sint != HVK_SINT_VMBUS) {
		respond(s, false, HVK_CONTACT_OK, vp < s->config.nvps ? vp : 0,
		    k->sint);
		return (server_refuse(s, HVK_REFUSE_CONTACT_TARGET, 0,
		    vp < s->config.nvps ? k->sint : vp));
	}
	s->version = k->version;
	if (!server_monitor_pages_good(s, k->monitor_h2g, k->monitor_g2h)) {
		respond(s, true, HVK_CONTACT_FAILED, vp, k->sint);
		s->version = 0;
		return (server_refuse(s, HVK_REFUSE_CONTACT_MONITOR, 0,
		    k->monitor_g2h != 0 ? k->monitor_g2h : k->monitor_h2g));
	}
	s->conn = CONN_CONNECTED;
	s->features = grant_features(s, k);
	s->confidential = (s->features & HVK_FLAG_CONFIDENTIAL) != 0;
	s->vp = vp;
	s->sint = k->sint;
	s->server_monitor = (s->features & HVK_FLAG_SERVER_MONITOR) != 0;
	if (s->server_monitor)
		set_monitor_pages(s, s->config.monitor_h2g,
		    s->config.monitor_g2h);
	else
		set_monitor_pages(s, k->monitor_h2g, k->monitor_g2h);
	if ((s->features & HVK_FLAG_CLIENT_ID) != 0)
		s->client = k->client;
	respond(s, true, HVK_CONTACT_OK, vp, k->sint);
	server_ask_device(s, HVK_SERVER_CONTACT, NONE);
	return (HVK_OK);
}

int
server_contact(struct hvk_server *s, const void *msg, uint32_t len,
    const struct hvk_server_post *post)
{
	const struct hvk_msg_initiate_contact *m = msg;
	struct contact k;

	hvk_zero(&k, sizeof(k));
	k.version = m->version;
	k.vp = m->target_vp;
	k.sint = HVK_SINT_VMBUS;
	k.trusted = post->trusted;
	k.monitor_h2g = m->monitor_in;
	k.monitor_g2h = m->monitor_out;
	if (k.version >= HVK_VERSION_6_0)
		k.features = m->features;
	if (len >= sizeof(*m))
		k.client = m->client;
	/* Only the connection id of 5.0 lets a guest choose. */
	if (k.version >= HVK_VERSION_5_0 &&
	    post->conn == HVK_CONNECTION_CONTACT) {
		if (m->vtl != 0)	/* for another server: not ours */
			return (server_refuse(s, HVK_REFUSE_CONTACT_TARGET, 0,
			    m->vtl));
		if (m->sint >= HVK_SINT_COUNT)
			return (server_refuse(s, HVK_REFUSE_CONTACT_TARGET, 0,
			    m->sint));
		k.sint = m->sint;
	}
	/* Whatever still waits was meant for the guest before. */
	server_purge(s, LANE_NORMAL);
	if (s->conn == CONN_DISCONNECTED)
		return (connect(s, &k));
	s->pending = k;
	server_disconnect(s, NEXT_CONTACT);
	return (HVK_OK);
}

int
server_request_offers(struct hvk_server *s, const void *msg, uint32_t len)
{
	(void)msg;
	(void)len;
	if (s->offers_sent)
		return (server_refuse(s, HVK_REFUSE_OFFERS_TWICE, 0, 0));
	s->offers_sent = true;
	server_offer_all(s);
	server_send(s, JOB_ALL_OFFERS, NONE, 0, 0);
	return (HVK_OK);
}

/* ---- the end of a connection -------------------------------------------------- */

static void
end_channel(struct hvk_server *s, struct channel *c)
{
	c->reopen = false;
	if (c->modify == MODIFY_AGAIN)
		c->modify = MODIFY_ASKED;
	if (c->state == HVK_CHANNEL_OPEN)
		server_start_close(s, c);
	else if (c->state == HVK_CHANNEL_OPENING)
		c->close_wanted = true;
	server_settle(s, c);
}

/* Close everything but reserved channels; `next` happens when all is closed. */
void
server_disconnect(struct hvk_server *s, enum conn_next next)
{
	struct channel *c;
	uint32_t i;

	server_purge(s, LANE_NORMAL);
	s->next = (uint8_t)next;
	s->paused = false;
	if (s->conn != CONN_DISCONNECTING) {
		s->conn = CONN_DISCONNECTING;
		for (i = 0; i < HVK_SERVER_TL_MAX; i++)
			s->tl[i].stale = s->tl[i].used && !s->tl[i].answered;
	}
	s->walking = true;
	for (i = 0; i < s->config.channels; i++) {
		c = server_channel(s, i);
		if (c->state != HVK_CHANNEL_FREE &&
		    c->state != HVK_CHANNEL_DEAD && !c->reserved)
			end_channel(s, c);
	}
	s->walking = false;
	server_check_disconnected(s);
}

/* If the last thing has been let go, the connection is over. */
void
server_check_disconnected(struct hvk_server *s)
{
	enum conn_next next = (enum conn_next)s->next;
	struct channel *c;
	uint32_t i;

	if (s->conn != CONN_DISCONNECTING || s->walking || s->nbusy > 0)
		return;
	s->conn = CONN_DISCONNECTED;
	s->next = NEXT_NOTHING;
	s->offers_sent = false;
	s->confidential = false;
	s->server_monitor = false;
	s->version = s->features = 0;
	s->monitor_h2g = s->monitor_g2h = 0;
	hvk_zero(&s->client, sizeof(s->client));
	for (i = 0; i < s->config.channels; i++) {
		c = server_channel(s, i);
		c->released = false;
		if (!c->reserved)
			server_settle(s, c);
	}
	server_ask_device(s, HVK_SERVER_DISCONNECT, NONE);
	if (next == NEXT_UNLOAD)
		server_send(s, JOB_UNLOAD, NONE, 0, 0);
	else if (next == NEXT_CONTACT)
		(void)connect(s, &s->pending);
}

/* A disconnect was saved: nothing is open here, so it is over at once. */
void
server_resume_disconnect(struct hvk_server *s, enum conn_next next,
    const struct saved_contact *k)
{
	hvk_zero(&s->pending, sizeof(s->pending));
	s->pending.version = k->version;
	s->pending.vp = k->vp;
	s->pending.features = k->features;
	s->pending.sint = k->sint % HVK_SINT_COUNT;
	s->pending.trusted = k->trusted != 0;
	s->pending.monitor_h2g = k->monitor_h2g;
	s->pending.monitor_g2h = k->monitor_g2h;
	s->pending.client = k->client;
	server_disconnect(s, next);
}

int
server_unload(struct hvk_server *s, const void *msg, uint32_t len)
{
	(void)msg;
	(void)len;
	server_disconnect(s, NEXT_UNLOAD);
	return (HVK_OK);
}

void
hvk_server_reset(struct hvk_server *s)
{
	struct channel *c;
	uint32_t i;

	server_purge(s, LANE_RESERVED);
	for (i = 0; i < s->config.channels; i++) {
		c = server_channel(s, i);
		c->reserved = false;
		c->close_answer = false;
	}
	server_disconnect(s, NEXT_NOTHING);
}

/* ---- 6.0 ---------------------------------------------------------------------- */

int
server_modify_connection(struct hvk_server *s, const void *msg, uint32_t len)
{
	const struct hvk_msg_modify_connection *m = msg;

	(void)len;
	if (s->server_monitor ||
	    !server_monitor_pages_good(s, m->monitor_in, m->monitor_out)) {
		server_send(s, JOB_MODIFY_CONNECTION, NONE, HVK_CONTACT_FAILED,
		    0);
		return (server_refuse(s, HVK_REFUSE_CONTACT_MONITOR, 0,
		    m->monitor_out));
	}
	set_monitor_pages(s, m->monitor_in, m->monitor_out);
	server_ask_device(s, HVK_SERVER_MONITOR, NONE);
	server_send(s, JOB_MODIFY_CONNECTION, NONE, HVK_CONTACT_OK, 0);
	return (HVK_OK);
}

int
server_pause(struct hvk_server *s, const void *msg, uint32_t len)
{
	(void)msg;
	(void)len;
	server_send(s, JOB_PAUSE, NONE, 0, 0);
	s->pausing = true;
	return (HVK_OK);
}

int
server_resume(struct hvk_server *s, const void *msg, uint32_t len)
{
	(void)msg;
	(void)len;
	if (!s->paused)
		return (server_refuse(s, HVK_REFUSE_NOT_PAUSED, 0, 0));
	s->paused = false;
	return (HVK_OK);
}

/* ---- sockets -------------------------------------------------------------------- */

static void
refuse_tl(struct hvk_server *s, uint32_t slot, uint32_t status)
{
	if (s->conn != CONN_CONNECTED || s->version < HVK_VERSION_4_1) {
		hvk_zero(&s->tl[slot], sizeof(s->tl[slot]));
		return;
	}
	s->tl[slot].answered = true;
	server_send(s, JOB_TL_RESULT, slot, status, 0);
}

int
server_tl_connect(struct hvk_server *s, const void *msg, uint32_t len)
{
	const struct hvk_msg_tl_connect_request *m = msg;
	struct tl *tl;
	uint32_t i;

	for (i = 0; i < HVK_SERVER_TL_MAX; i++)
		if (!s->tl[i].used)
			break;
	if (i == HVK_SERVER_TL_MAX)
		return (server_refuse(s, HVK_REFUSE_TL_BUSY, 0,
		    HVK_SERVER_TL_MAX));
	tl = &s->tl[i];
	hvk_zero(tl, sizeof(*tl));
	tl->used = true;
	tl->endpoint = m->endpoint;
	tl->service = m->service;
	if (len >= sizeof(*m) && s->version >= HVK_VERSION_5_2)
		tl->silo = m->silo;
	if (!s->config.hvsock) {
		refuse_tl(s, i, HVK_STATUS_REFUSED);
		return (server_refuse(s, HVK_REFUSE_TL_NOBODY, 0, 0));
	}
	server_ask_device(s, HVK_SERVER_TL_CONNECT, i);
	return (HVK_OK);
}

int
hvk_server_tl_done(struct hvk_server *s, uint32_t id, uint32_t status)
{
	if (id >= HVK_SERVER_TL_MAX)
		return (HVK_RANGE);
	if (!s->tl[id].used || !s->tl[id].told || s->tl[id].answered)
		return (HVK_STATE);
	if (status == HVK_STATUS_OK || s->tl[id].stale)
		hvk_zero(&s->tl[id], sizeof(s->tl[id]));
	else
		refuse_tl(s, id, status);
	return (HVK_OK);
}
