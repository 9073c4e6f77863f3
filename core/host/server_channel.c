/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 */

/*
 * The life of one channel at the host: open, close, move, and the reserved
 * channels that outlive their connection.  Locking: the caller's.
 * Facts: wire.md section 4, hosts.md section 1.3.
 */

#include <hvk/host/server.h>

#include "server_priv.h"

/* Nothing of the host holds on to it, so it can be forgotten. */
static bool
is_idle(const struct channel *c)
{
	return (c->state < HVK_CHANNEL_OPENING && c->gpadls == 0);
}

/*
 * Bring a channel in line after anything about it changed: what must be torn
 * down, whether a disconnect waits for it, whether it is gone.
 */
void
server_settle(struct hvk_server *s, struct channel *c)
{
	bool busy, ending;

	if (c->state == HVK_CHANNEL_DEAD || c->state == HVK_CHANNEL_FREE)
		return;
	ending = c->rescinded || c->released ||
	    (s->conn != CONN_CONNECTED && !c->reserved);
	if (ending && c->state < HVK_CHANNEL_OPENING)
		server_gpadl_teardown_all(s, c);
	if (ending && is_idle(c) && (s->conn == CONN_DISCONNECTED ||
	    c->released)) {
		server_take_relid(s, c);
		c->state = HVK_CHANNEL_HELD;
	}
	busy = !is_idle(c) && !c->reserved;
	if (busy != c->busy) {
		c->busy = busy;
		s->nbusy += busy ? 1 : UINT32_MAX;
	}
	if (c->rescinded && c->relid == 0 && is_idle(c) && c->queued == 0) {
		c->state = HVK_CHANNEL_DEAD;
		server_ask_device(s, HVK_SERVER_RELEASED, server_index(s, c));
	}
	server_check_disconnected(s);
}

/* ---- open ---------------------------------------------------------------- */

/* Is this GPADL a pair of rings, split at page `offset`? */
enum hvk_refusal
server_check_rings(const struct hvk_server *s, const struct channel *c,
    const struct open_args *args)
{
	struct hvk_gpadl_range range;
	const struct gpadl *g;

	g = server_gpadl_find(s, server_index(s, c), args->gpadl);
	if (g == NULL || g->state != GPADL_READY || g->answer)
		return (HVK_REFUSE_OPEN_GPADL);
	/* While the old rings are being closed, a reopen may name them again. */
	if (g->rings && !(c->state == HVK_CHANNEL_CLOSING &&
	    c->args.gpadl == args->gpadl))
		return (HVK_REFUSE_OPEN_RING_SHARED);
	if (g->ranges != 1 || hvk_server_gpadl_range(s, server_index(s, c),
	    args->gpadl, 0, &range) != HVK_OK || range.offset != 0 ||
	    range.len % HVK_PAGE_SIZE != 0)
		return (HVK_REFUSE_OPEN_RING_SHAPE);
	if (args->offset < 2 || range.npfn < 4 ||
	    args->offset > range.npfn - 2)
		return (HVK_REFUSE_OPEN_RING_SIZE);
	return (HVK_REFUSE_NONE);
}

static void
hold_rings(struct hvk_server *s, const struct channel *c, bool hold)
{
	struct gpadl *g;

	g = server_gpadl_find(s, server_index(s, c), c->args.gpadl);
	if (g != NULL)
		g->rings = hold;
}

/* Ask the device layer to open with c->args. */
void
server_start_open(struct hvk_server *s, struct channel *c)
{
	c->state = HVK_CHANNEL_OPENING;
	c->told = HVK_SERVER_NONE;
	c->close_wanted = false;
	c->modify = MODIFY_NONE;
	hold_rings(s, c, true);
	server_ask_device(s, HVK_SERVER_OPEN, server_index(s, c));
	server_settle(s, c);
}

void
server_start_close(struct hvk_server *s, struct channel *c)
{
	c->state = HVK_CHANNEL_CLOSING;
	c->told = HVK_SERVER_NONE;
	c->close_wanted = false;
	server_ask_device(s, HVK_SERVER_CLOSE, server_index(s, c));
}

/* What 6.0 may add to an OPEN. */
static enum hvk_refusal
read_signal(const struct hvk_server *s, const struct hvk_msg_open *m,
    uint32_t len, struct open_args *args)
{
	args->flag = (uint16_t)m->relid;
	args->conn = m->relid | (uint32_t)HVK_SINT_VMBUS << 12;
	if (len < sizeof(*m))
		return (HVK_REFUSE_NONE);
	if ((s->features & HVK_FLAG_SIGNAL_PARAMETERS) != 0) {
		if (m->event_flag >= HVK_EVENT_FLAGS)
			return (HVK_REFUSE_OPEN_SIGNAL);
		args->flag = m->event_flag;
		args->conn = m->connection;
	}
	if ((s->features & HVK_FLAG_REDIRECT_INTERRUPT) != 0)
		args->redirect = (m->flags & HVK_OPEN_REDIRECT) != 0;
	return (HVK_REFUSE_NONE);
}

static int
refuse_open(struct hvk_server *s, const struct channel *c,
    enum hvk_refusal reason, uint32_t open_id, uint64_t value)
{
	server_send(s, JOB_OPEN_RESULT, server_index(s, c), open_id,
	    HVK_STATUS_BAD_PARAMETER);
	return (server_refuse(s, reason, c->relid, value));
}

static uint32_t
check_vp(const struct hvk_server *s, uint32_t vp)
{
	return (vp < s->config.nvps || vp == HVK_VP_NO_INTERRUPT);
}

int
server_open(struct hvk_server *s, const void *msg, uint32_t len)
{
	const struct hvk_msg_open *m = msg;
	struct channel *c = server_find(s, m->relid);
	struct open_args args;
	enum hvk_refusal reason;

	if (c == NULL)
		return (server_refuse(s, HVK_REFUSE_RELID, m->relid, 0));
	if (c->rescinded)	/* its RESCIND is the answer */
		return (server_refuse(s, HVK_REFUSE_REVOKED, m->relid, 0));
	if (c->reserved)
		return (server_refuse(s, HVK_REFUSE_RESERVED, m->relid, 0));
	if ((c->state != HVK_CHANNEL_CLOSED &&
	    c->state != HVK_CHANNEL_CLOSING) || c->reopen)
		return (server_refuse(s, HVK_REFUSE_OPEN_TWICE, m->relid,
		    c->state));
	hvk_zero(&args, sizeof(args));
	args.open_id = m->open_id;
	args.gpadl = m->gpadl;
	args.vp = m->target_vp;
	args.offset = m->page_offset;
	args.sint = s->sint;
	hvk_copy(args.user, m->user, sizeof(args.user));
	reason = read_signal(s, m, len, &args);
	if (reason != HVK_REFUSE_NONE)
		return (refuse_open(s, c, reason, m->open_id, m->event_flag));
	if (!check_vp(s, m->target_vp))
		return (refuse_open(s, c, HVK_REFUSE_OPEN_VP, m->open_id,
		    m->target_vp));
	reason = server_check_rings(s, c, &args);
	if (reason != HVK_REFUSE_NONE)
		return (refuse_open(s, c, reason, m->open_id, m->gpadl));
	if (c->state == HVK_CHANNEL_CLOSING) {
		c->reopen = true;
		c->next = args;
		return (HVK_OK);
	}
	c->args = args;
	server_start_open(s, c);
	return (HVK_OK);
}

/*
 * A reserved channel serves a dump kernel or hibernation: it has its own
 * processor and slot for answers, no interrupts, and outlives the connection.
 */
int
server_open_reserved(struct hvk_server *s, const void *msg, uint32_t len)
{
	const struct hvk_msg_open_reserved *m = msg;
	struct channel *c = server_find(s, m->relid);
	struct open_args args;
	enum hvk_refusal reason;

	(void)len;
	if (c == NULL)
		return (server_refuse(s, HVK_REFUSE_RELID, m->relid, 0));
	if (c->rescinded)
		return (server_refuse(s, HVK_REFUSE_REVOKED, m->relid, 0));
	if (c->state != HVK_CHANNEL_CLOSED)
		return (server_refuse(s, c->reserved ? HVK_REFUSE_RESERVED :
		    HVK_REFUSE_OPEN_TWICE, m->relid, c->state));
	if (m->target_vp >= s->config.nvps || m->sint >= HVK_SINT_COUNT)
		return (server_refuse(s, HVK_REFUSE_OPEN_VP, m->relid,
		    m->target_vp));
	hvk_zero(&args, sizeof(args));
	args.gpadl = m->gpadl;
	args.vp = HVK_VP_NO_INTERRUPT;
	args.offset = m->page_offset;
	args.sint = (uint8_t)m->sint;
	args.flag = (uint16_t)m->relid;
	args.conn = m->relid | (uint32_t)HVK_SINT_VMBUS << 12;
	reason = server_check_rings(s, c, &args);
	if (reason != HVK_REFUSE_NONE) {
		server_send_reserved(s, JOB_OPEN_RESULT, c, m->target_vp,
		    (uint8_t)m->sint, HVK_STATUS_BAD_PARAMETER);
		return (server_refuse(s, reason, m->relid, m->gpadl));
	}
	c->reserved = true;
	c->reserved_version = s->version;
	c->reserved_features = s->features;
	c->args = args;
	c->modify_vp = m->target_vp;	/* where its answers go */
	server_start_open(s, c);
	return (HVK_OK);
}

static void
open_result(struct hvk_server *s, const struct channel *c, uint32_t status)
{
	if (c->reserved)
		server_send_reserved(s, JOB_OPEN_RESULT, c, c->modify_vp,
		    c->args.sint, status);
	else
		server_send(s, JOB_OPEN_RESULT, server_index(s, c),
		    c->args.open_id, status);
}

/* The device layer could not open it, or has closed it. */
void
server_became_closed(struct hvk_server *s, struct channel *c)
{
	bool reopen = c->reopen;

	hold_rings(s, c, false);
	c->state = HVK_CHANNEL_CLOSED;
	c->told = HVK_SERVER_NONE;
	c->close_wanted = false;
	c->reopen = false;
	c->modify = MODIFY_NONE;
	c->modify_told = false;
	if (c->close_answer)
		server_send_reserved(s, JOB_CLOSE_RESERVED, c, c->modify_vp,
		    c->args.sint, 0);
	c->close_answer = false;
	c->reserved = false;
	if (reopen) {
		c->args = c->next;
		server_start_open(s, c);
		return;
	}
	server_gpadl_teardown_waiting(s, c);
	server_settle(s, c);
}

static struct channel *
asked_channel(const struct hvk_server *s, hvk_channel_id id,
    enum hvk_channel_state state, enum hvk_server_event_kind told, int *error)
{
	struct channel *c;

	*error = HVK_RANGE;
	if (id >= s->config.channels ||
	    server_channel(s, id)->state == HVK_CHANNEL_FREE)
		return (NULL);
	c = server_channel(s, id);
	*error = HVK_STATE;
	if (c->state != state || c->told != told)
		return (NULL);
	return (c);
}

int
hvk_server_open_done(struct hvk_server *s, hvk_channel_id id, uint32_t status)
{
	struct channel *c;
	bool restored;
	int error;

	c = asked_channel(s, id, HVK_CHANNEL_OPENING, HVK_SERVER_OPEN, &error);
	if (c == NULL)
		return (error);
	restored = c->restored;
	c->restored = false;
	if (!c->close_wanted && !restored)
		open_result(s, c, status);
	if (status != HVK_STATUS_OK) {
		/* The guest believes it open: all that is left is to say no. */
		if (restored && !c->close_wanted && !c->rescinded) {
			server_became_closed(s, c);
			server_revoke(s, c);
			return (HVK_OK);
		}
		server_became_closed(s, c);
		return (HVK_OK);
	}
	c->state = HVK_CHANNEL_OPEN;
	c->told = HVK_SERVER_NONE;
	if (c->close_wanted)
		server_start_close(s, c);
	server_settle(s, c);
	return (HVK_OK);
}

/* ---- close ---------------------------------------------------------------- */

int
hvk_server_close_done(struct hvk_server *s, hvk_channel_id id)
{
	struct channel *c;
	int error;

	c = asked_channel(s, id, HVK_CHANNEL_CLOSING, HVK_SERVER_CLOSE, &error);
	if (c == NULL)
		return (error);
	server_became_closed(s, c);
	return (HVK_OK);
}

bool
hvk_server_waits(const struct hvk_server *s, hvk_channel_id id)
{
	const struct channel *c;

	if (id >= s->config.channels)
		return (false);
	c = server_channel(s, id);
	return (c->rescinded && c->relid != 0 && !c->let_go &&
	    c->state == HVK_CHANNEL_CLOSING && s->conn == CONN_CONNECTED);
}

int
server_close(struct hvk_server *s, const void *msg, uint32_t len)
{
	const struct hvk_msg_close *m = msg;
	struct channel *c = server_find(s, m->relid);

	(void)len;
	if (c == NULL)
		return (server_refuse(s, HVK_REFUSE_RELID, m->relid, 0));
	if (c->rescinded) {	/* as an answer, or it crossed it on its way */
		c->let_go = true;
		return (HVK_OK);
	}
	if (c->reserved)
		return (server_refuse(s, HVK_REFUSE_RESERVED, m->relid, 0));
	if (c->state == HVK_CHANNEL_OPEN) {
		server_start_close(s, c);
		return (HVK_OK);
	}
	/* A guest that has given up waiting for OPEN_RESULT closes. */
	if (c->state == HVK_CHANNEL_OPENING && !c->close_wanted) {
		c->close_wanted = true;
		return (HVK_OK);
	}
	if (c->state == HVK_CHANNEL_CLOSING && c->reopen) {
		c->reopen = false;
		return (HVK_OK);
	}
	return (server_refuse(s, HVK_REFUSE_CLOSE_CLOSED, m->relid, c->state));
}

int
server_close_reserved(struct hvk_server *s, const void *msg, uint32_t len)
{
	const struct hvk_msg_close_reserved *m = msg;
	struct channel *c = server_find(s, m->relid);

	(void)len;
	if (c == NULL)
		return (server_refuse(s, HVK_REFUSE_RELID, m->relid, 0));
	if (!c->reserved || c->state == HVK_CHANNEL_CLOSING ||
	    c->close_answer)
		return (server_refuse(s, HVK_REFUSE_NOT_RESERVED, m->relid,
		    c->state));
	if (m->target_vp >= s->config.nvps || m->sint >= HVK_SINT_COUNT)
		return (server_refuse(s, HVK_REFUSE_OPEN_VP, m->relid,
		    m->target_vp));
	c->modify_vp = m->target_vp;
	c->args.sint = (uint8_t)m->sint;
	c->close_answer = true;
	if (c->state == HVK_CHANNEL_OPEN)
		server_start_close(s, c);
	else
		c->close_wanted = true;
	return (HVK_OK);
}

/* ---- move to another processor ------------------------------------------- */

static bool
modify_answered(const struct hvk_server *s)
{
	return (s->version >= HVK_VERSION_5_3);
}

static int
refuse_modify(struct hvk_server *s, const struct channel *c,
    enum hvk_refusal reason, uint64_t value)
{
	if (modify_answered(s))
		server_send(s, JOB_MODIFY_RESPONSE, server_index(s, c),
		    HVK_STATUS_BAD_PARAMETER, 0);
	return (server_refuse(s, reason, c->relid, value));
}

int
server_modify(struct hvk_server *s, const void *msg, uint32_t len)
{
	const struct hvk_msg_modify_channel *m = msg;
	struct channel *c = server_find(s, m->relid);

	(void)len;
	if (c == NULL)
		return (server_refuse(s, HVK_REFUSE_RELID, m->relid, 0));
	if (c->rescinded)
		return (server_refuse(s, HVK_REFUSE_REVOKED, m->relid, 0));
	if (c->reserved)
		return (server_refuse(s, HVK_REFUSE_RESERVED, m->relid, 0));
	if (c->state != HVK_CHANNEL_OPEN)
		return (refuse_modify(s, c, HVK_REFUSE_MODIFY_CLOSED,
		    c->state));
	if (m->target_vp >= s->config.nvps)
		return (refuse_modify(s, c, HVK_REFUSE_MODIFY_VP,
		    m->target_vp));
	if (c->modify != MODIFY_NONE && modify_answered(s))
		return (server_refuse(s, HVK_REFUSE_MODIFY_BUSY, m->relid,
		    m->target_vp));
	c->modify_vp = m->target_vp;
	if (c->modify == MODIFY_NONE) {
		c->modify = MODIFY_ASKED;
		c->modify_told = false;
		server_ask_device(s, HVK_SERVER_MODIFY, server_index(s, c));
	} else if (c->modify_told)	/* else the question still takes it */
		c->modify = MODIFY_AGAIN;
	return (HVK_OK);
}

int
hvk_server_modify_done(struct hvk_server *s, hvk_channel_id id,
    uint32_t status)
{
	struct channel *c;
	bool again;

	if (id >= s->config.channels)
		return (HVK_RANGE);
	c = server_channel(s, id);
	if (c->state == HVK_CHANNEL_FREE)
		return (HVK_RANGE);
	if (!c->modify_told)
		return (HVK_STATE);
	c->modify_told = false;
	if (c->state != HVK_CHANNEL_OPEN || c->modify == MODIFY_NONE)
		return (HVK_OK);	/* closed meanwhile: nobody waits */
	again = c->modify == MODIFY_AGAIN;
	c->modify = MODIFY_NONE;
	if (modify_answered(s))
		server_send(s, JOB_MODIFY_RESPONSE, id, status, 0);
	if (status == HVK_STATUS_OK)
		c->args.vp = c->modify_vp;
	if (again) {
		c->modify = MODIFY_ASKED;
		server_ask_device(s, HVK_SERVER_MODIFY, id);
	}
	return (HVK_OK);
}
