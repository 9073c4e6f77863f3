/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 */

/*
 * The invariants of the VMBus server, for tests and fuzzing.  Nothing that a
 * guest sends may break one of them.  Locking: the caller's.
 */

#include <hvk/host/server.h>

#include "server_priv.h"

static bool
channel_valid(const struct hvk_server *s, const struct channel *c)
{
	uint32_t i, n = 0;
	const struct gpadl *g;

	if (c->state == HVK_CHANNEL_FREE)
		return (c->relid == 0 && c->gpadls == 0 && !c->busy);
	if (c->state > HVK_CHANNEL_DEAD)
		return (false);
	for (i = c->gpadl_first; i != NONE; i = g->next) {
		if (i >= s->config.gpadls || ++n > c->gpadls)
			return (false);
		g = server_gpadl(s, i);
		if (g->state == GPADL_FREE || g->channel != server_index(s, c))
			return (false);
	}
	if (n != c->gpadls || (c->relid != 0 && server_find(s, c->relid) != c))
		return (false);
	if (c->busy != (!c->reserved && c->state != HVK_CHANNEL_DEAD &&
	    (c->state >= HVK_CHANNEL_OPENING || c->gpadls > 0)))
		return (false);
	if (c->state == HVK_CHANNEL_DEAD && (c->relid != 0 || n != 0))
		return (false);
	if (c->state == HVK_CHANNEL_CLOSED && c->relid == 0 && n == 0)
		return (false);
	return (c->state != HVK_CHANNEL_HELD || c->relid == 0);
}

static bool
channels_valid(const struct hvk_server *s)
{
	const struct channel *c;
	uint32_t i, used = 0, busy = 0, sorted = 0, relids = 0, bits = 0;

	for (i = 0; i < s->config.channels; i++) {
		c = server_channel(s, i);
		if (!channel_valid(s, c))
			return (false);
		used += c->state != HVK_CHANNEL_FREE;
		busy += c->busy;
		sorted += c->state != HVK_CHANNEL_FREE && !c->rescinded;
		relids += c->relid != 0;
		if (s->conn == CONN_DISCONNECTED && c->relid != 0 &&
		    !c->reserved && c->gpadls == 0)
			return (false);
	}
	for (i = 0; i < RELID_WORDS; i++)
		bits += (uint32_t)__builtin_popcountll(s->relids[i]);
	return (used == s->registered && busy == s->nbusy &&
	    sorted == s->nsorted && relids + 1 == bits);
}

static bool
gpadls_valid(const struct hvk_server *s)
{
	const struct gpadl *g;
	uint32_t i, at, n, used = 0, words = 0, chunks = 0, need;

	for (i = 0; i < s->config.gpadls; i++) {
		g = server_gpadl(s, i);
		if (g->state == GPADL_FREE)
			continue;
		used++;
		words += g->have;
		need = (g->have + CHUNK_PFNS - 1) / CHUNK_PFNS;
		for (n = 0, at = g->first; at != NONE; n++)
			at = server_chunk(s, at)->next;
		if (n != need || g->have > g->wanted ||
		    (g->state != GPADL_PARTIAL && g->have != g->wanted))
			return (false);
		chunks += n;
	}
	for (n = 0, i = s->gpadl_free; i != NONE; n++)
		i = server_gpadl(s, i)->next;
	if (n + used != s->config.gpadls)
		return (false);
	for (n = 0, i = s->chunk_free; i != NONE; n++)
		i = server_chunk(s, i)->next;
	return (n + chunks == s->at.nchunks && used == s->gpadl_count &&
	    words == s->pfns_held && words <= s->config.pfns &&
	    chunks == s->chunk_count);
}

bool
hvk_server_valid(const struct hvk_server *s)
{
	unsigned i;

	if (s->broken || s->walking)
		return (false);
	for (i = 0; i < LANES; i++)
		if (s->lane[i].count > s->at.lane_cap[i])
			return (false);
	if (s->conn == CONN_DISCONNECTING && s->nbusy == 0)
		return (false);
	return (s->asks.count <= s->at.ask_cap && channels_valid(s) &&
	    gpadls_valid(s));
}
