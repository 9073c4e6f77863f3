/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 */

/*
 * Offers of the VMBus server: their order, their channel numbers (relids) and
 * monitor ids, rescind and release.  A relid is used again only when the guest
 * has released it or the connection has ended.  Locking: the caller's.
 * Facts: wire.md section 4, hosts.md section 1.3.
 */

#include <hvk/guid.h>
#include <hvk/host/server.h>

#include "server_priv.h"

static int
compare_guids(const struct hvk_guid *a, const struct hvk_guid *b)
{
	return (__builtin_memcmp(a->b, b->b, sizeof(a->b)));
}

/* The order in which the guest sees offers, and so that of their relids. */
static int
compare(const struct hvk_server *s, const struct hvk_server_offer *a,
    const struct hvk_server_offer *b)
{
	int type = compare_guids(&a->type, &b->type), order;

	order = a->order < b->order ? -1 : a->order > b->order;
	if (s->config.absolute_order) {
		if (order != 0)
			return (order);
		if (type != 0)
			return (type);
	} else {
		if (type != 0)
			return (type);
		if (order != 0)
			return (order);
	}
	order = compare_guids(&a->instance, &b->instance);
	if (order != 0)
		return (order);
	return ((int)a->subindex - (int)b->subindex);
}

/* The live offer with this identity, or NONE. */
uint32_t
server_offer_find(const struct hvk_server *s, const struct hvk_guid *type,
    const struct hvk_guid *instance, uint16_t subindex)
{
	const uint16_t *sorted = server_sorted(s);
	const struct channel *c;
	uint32_t i;

	for (i = 0; i < s->nsorted; i++) {
		c = server_channel(s, sorted[i]);
		if (c->offer.subindex == subindex &&
		    hvk_guid_eq(&c->offer.instance, instance) &&
		    hvk_guid_eq(&c->offer.type, type))
			return (sorted[i]);
	}
	return (NONE);
}

static void
sorted_insert(struct hvk_server *s, uint32_t channel)
{
	uint16_t *sorted = server_sorted(s);
	const struct hvk_server_offer *offer;
	uint32_t at = s->nsorted;

	offer = &server_channel(s, channel)->offer;
	while (at > 0 && compare(s, &server_channel(s, sorted[at - 1])->offer,
	    offer) > 0) {
		sorted[at] = sorted[at - 1];
		at--;
	}
	sorted[at] = (uint16_t)channel;
	s->nsorted++;
}

static void
sorted_remove(struct hvk_server *s, uint32_t channel)
{
	uint16_t *sorted = server_sorted(s);
	uint32_t from, to = 0;

	for (from = 0; from < s->nsorted; from++)
		if (sorted[from] != channel)
			sorted[to++] = sorted[from];
	s->nsorted = to;
}

struct channel *
server_find(const struct hvk_server *s, uint32_t relid)
{
	uint16_t i;

	if (relid == 0 || relid > HVK_RELID_MAX)
		return (NULL);
	i = server_by_relid(s)[relid];
	return (i == NO_CHANNEL ? NULL : server_channel(s, i));
}

void
server_give_relid(struct hvk_server *s, struct channel *c, uint32_t relid)
{
	c->relid = relid;
	s->relids[relid / 64] |= (uint64_t)1 << (relid % 64);
	server_by_relid(s)[relid] = (uint16_t)server_index(s, c);
}

static uint32_t
lowest_relid(const struct hvk_server *s)
{
	unsigned i;

	for (i = 0; i < RELID_WORDS; i++)
		if (s->relids[i] != UINT64_MAX)
			return (i * 64 +
			    (uint32_t)__builtin_ctzll(~s->relids[i]));
	return (0);
}

void
server_give_monitor(struct hvk_server *s, struct channel *c)
{
	unsigned i;

	c->monitor = HVK_SERVER_NO_MONITOR;
	if (!s->config.monitors || !c->offer.monitor || s->monitor_g2h == 0)
		return;
	for (i = 0; i < HVK_COUNT(s->monitors); i++)
		if (s->monitors[i] != UINT64_MAX) {
			c->monitor = (uint8_t)(i * 64 +
			    (unsigned)__builtin_ctzll(~s->monitors[i]));
			s->monitors[i] |= (uint64_t)1 << (c->monitor % 64);
			return;
		}
}

/* The guest no longer knows the channel by its number. */
void
server_take_relid(struct hvk_server *s, struct channel *c)
{
	uint32_t relid = c->relid;

	if (relid == 0)
		return;
	s->relids[relid / 64] &= ~((uint64_t)1 << (relid % 64));
	server_by_relid(s)[relid] = NO_CHANNEL;
	if (c->monitor != HVK_SERVER_NO_MONITOR)
		s->monitors[c->monitor / 64] &=
		    ~((uint64_t)1 << (c->monitor % 64));
	c->monitor = HVK_SERVER_NO_MONITOR;
	c->relid = 0;
}

/* Does the guest still know a rescinded channel of the same identity? */
static bool
is_blocked(const struct hvk_server *s, const struct channel *c)
{
	const struct channel *old;
	uint32_t i;

	for (i = 0; i < s->config.channels; i++) {
		old = server_channel(s, i);
		if (old != c && old->rescinded && old->relid != 0 &&
		    old->offer.subindex == c->offer.subindex &&
		    hvk_guid_eq(&old->offer.instance, &c->offer.instance) &&
		    hvk_guid_eq(&old->offer.type, &c->offer.type))
			return (true);
	}
	return (false);
}

/* Offer one channel to a guest that has asked for offers. */
void
server_offer_now(struct hvk_server *s, struct channel *c)
{
	uint32_t relid;

	if (s->conn != CONN_CONNECTED || !s->offers_sent || c->rescinded ||
	    c->state != HVK_CHANNEL_HELD || c->released || is_blocked(s, c))
		return;
	relid = lowest_relid(s);
	if (relid == 0)
		return;
	server_give_relid(s, c, relid);
	server_give_monitor(s, c);
	c->state = HVK_CHANNEL_CLOSED;
	server_send(s, JOB_OFFER, server_index(s, c), 0, 0);
}

void
server_offer_all(struct hvk_server *s)
{
	const uint16_t *sorted = server_sorted(s);
	struct channel *c;
	uint32_t i;

	for (i = 0; i < s->nsorted; i++) {
		c = server_channel(s, sorted[i]);
		/* A reserved channel that outlived its connection. */
		if (c->relid != 0)
			server_send(s, JOB_OFFER, sorted[i], 0, 0);
		else
			server_offer_now(s, c);
	}
}

int
hvk_server_offer(struct hvk_server *s, const struct hvk_server_offer *offer,
    hvk_channel_id *id)
{
	struct channel *c;
	uint32_t i;

	if (server_offer_find(s, &offer->type, &offer->instance,
	    offer->subindex) != NONE)
		return (HVK_STATE);
	if (offer->subindex != 0 && server_offer_find(s, &offer->type,
	    &offer->instance, 0) == NONE)
		return (HVK_RANGE);
	for (i = 0; i < s->config.channels; i++)
		if (server_channel(s, i)->state == HVK_CHANNEL_FREE)
			break;
	if (i == s->config.channels)
		return (HVK_NOSPACE);
	c = server_channel(s, i);
	hvk_zero(c, sizeof(*c));
	c->gpadl_first = NONE;
	c->monitor = HVK_SERVER_NO_MONITOR;
	c->state = HVK_CHANNEL_HELD;
	c->offer = *offer;
	s->registered++;
	sorted_insert(s, i);
	if (id != NULL)
		*id = i;
	server_offer_now(s, c);
	return (HVK_OK);
}

/* Take a channel away from the guest: by the host, or after a bad restore. */
void
server_revoke(struct hvk_server *s, struct channel *c)
{
	c->rescinded = true;
	c->reopen = false;
	c->reserved = false;
	c->close_answer = false;
	sorted_remove(s, server_index(s, c));
	if (c->relid != 0 && s->conn == CONN_CONNECTED)
		server_send(s, JOB_RESCIND, server_index(s, c), 0, 0);
	else
		server_take_relid(s, c);
	if (c->state == HVK_CHANNEL_OPEN)
		server_start_close(s, c);
	else if (c->state == HVK_CHANNEL_OPENING)
		c->close_wanted = true;
	server_settle(s, c);
}

int
hvk_server_rescind(struct hvk_server *s, hvk_channel_id id)
{
	struct channel *c;

	if (id >= s->config.channels)
		return (HVK_RANGE);
	c = server_channel(s, id);
	if (c->state == HVK_CHANNEL_FREE)
		return (HVK_RANGE);
	if (c->rescinded)
		return (HVK_STATE);
	server_revoke(s, c);
	return (HVK_OK);
}

/*
 * RELID_RELEASED: the guest forgets the channel.  For a rescinded channel that
 * ends its life and lets a new one of the same identity be offered; a channel
 * that is merely closed is not offered again in this connection.
 */
int
server_relid_released(struct hvk_server *s, const void *msg, uint32_t len)
{
	const struct hvk_msg_relid_released *m = msg;
	struct channel *c = server_find(s, m->relid);
	uint32_t again;

	(void)len;
	if (c == NULL)
		return (server_refuse(s, HVK_REFUSE_RELID, m->relid, 0));
	/* It cannot know yet what still waits for it. */
	if (c->queued > 0 || c->reserved || c->reopen ||
	    (!c->rescinded && (c->state == HVK_CHANNEL_OPENING ||
	    c->state == HVK_CHANNEL_OPEN)))
		return (server_refuse(s, HVK_REFUSE_RELEASE_LIVE, m->relid,
		    c->state));
	server_take_relid(s, c);
	c->released = true;
	if (c->rescinded) {
		again = server_offer_find(s, &c->offer.type,
		    &c->offer.instance, c->offer.subindex);
		if (again != NONE)
			server_offer_now(s, server_channel(s, again));
	}
	server_settle(s, c);
	return (HVK_OK);
}
