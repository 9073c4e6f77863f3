/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 */

/*
 * GPADLs at the host: the guest's page lists.  Their words (range headers and
 * page numbers) are collected in chunks of a pool that bounds all of them
 * together, and are checked once when the last has come: from then on every page
 * number is inside guest memory.  Locking: the caller's.  Facts: wire.md
 * section 5, hosts.md section 1.3.
 */

#include <hvk/host/server.h>

#include "server_priv.h"

/* ---- the tables ----------------------------------------------------------- */

void
server_gpadl_reset(struct hvk_server *s)
{
	uint32_t i;

	for (i = 0; i < GPADL_HASH; i++)
		s->gpadl_hash[i] = NONE;
	for (i = 0; i < s->config.gpadls; i++) {
		hvk_zero(server_gpadl(s, i), sizeof(struct gpadl));
		server_gpadl(s, i)->next = i + 1 < s->config.gpadls ?
		    i + 1 : NONE;
	}
	s->gpadl_free = 0;
	s->gpadl_count = 0;
	for (i = 0; i < s->at.nchunks; i++)
		server_chunk(s, i)->next = i + 1 < s->at.nchunks ?
		    i + 1 : NONE;
	s->chunk_free = 0;
	s->chunk_count = 0;
	s->pfns_held = 0;
}

struct gpadl *
server_gpadl_find(const struct hvk_server *s, uint32_t channel, uint32_t id)
{
	struct gpadl *g;
	uint32_t i;

	for (i = s->gpadl_hash[id % GPADL_HASH]; i != NONE; i = g->hash_next) {
		g = server_gpadl(s, i);
		if (g->id == id && g->channel == channel)
			return (g);
	}
	return (NULL);
}

/* The one that waits for bodies, or any other with this id, or NULL. */
static struct gpadl *
find_partial(const struct hvk_server *s, uint32_t id)
{
	struct gpadl *g, *any = NULL;
	uint32_t i;

	for (i = s->gpadl_hash[id % GPADL_HASH]; i != NONE; i = g->hash_next) {
		g = server_gpadl(s, i);
		if (g->id != id)
			continue;
		if (g->state == GPADL_PARTIAL)
			return (g);
		any = g;
	}
	return (any);
}

struct gpadl *
server_gpadl_add(struct hvk_server *s, struct channel *c, uint32_t id,
    uint32_t words, uint32_t ranges)
{
	struct gpadl *g;
	uint32_t i = s->gpadl_free;

	if (i == NONE)
		return (NULL);
	g = server_gpadl(s, i);
	s->gpadl_free = g->next;
	s->gpadl_count++;
	hvk_zero(g, sizeof(*g));
	g->state = GPADL_PARTIAL;
	g->id = id;
	g->channel = server_index(s, c);
	g->wanted = words;
	g->ranges = ranges;
	g->first = g->last = NONE;
	g->next = c->gpadl_first;
	c->gpadl_first = i;
	c->gpadls++;
	g->hash_next = s->gpadl_hash[id % GPADL_HASH];
	s->gpadl_hash[id % GPADL_HASH] = i;
	return (g);
}

/* Remove index `i` from a list that is linked by hash_next or by next. */
static void
unlink_hash(struct hvk_server *s, uint32_t id, uint32_t i)
{
	uint32_t *link = &s->gpadl_hash[id % GPADL_HASH];

	while (*link != i)
		link = &server_gpadl(s, *link)->hash_next;
	*link = server_gpadl(s, i)->hash_next;
}

static void
unlink_channel(struct hvk_server *s, struct channel *c, uint32_t i)
{
	uint32_t *link = &c->gpadl_first;

	while (*link != i)
		link = &server_gpadl(s, *link)->next;
	*link = server_gpadl(s, i)->next;
	c->gpadls--;
}

void
server_gpadl_free(struct hvk_server *s, struct gpadl *g)
{
	uint32_t i = server_gpadl_index(s, g), at, after;

	server_gpadl_unmark(s, g);
	for (at = g->first; at != NONE; at = after) {
		after = server_chunk(s, at)->next;
		server_chunk(s, at)->next = s->chunk_free;
		s->chunk_free = at;
		s->chunk_count--;
	}
	s->pfns_held -= g->have;
	unlink_hash(s, g->id, i);
	unlink_channel(s, server_channel(s, g->channel), i);
	hvk_zero(g, sizeof(*g));
	g->next = s->gpadl_free;
	s->gpadl_free = i;
	s->gpadl_count--;
}

/* ---- the words ------------------------------------------------------------ */

/* Add up to `words` 64-bit words, as many as are missing. */
int
server_gpadl_append(struct hvk_server *s, struct gpadl *g, const void *from,
    uint32_t words)
{
	const uint8_t *bytes = from;
	struct chunk *chunk;
	uint32_t at, take;

	if (words > g->wanted - g->have)
		words = g->wanted - g->have;
	if (words > s->config.pfns - s->pfns_held)
		return (HVK_NOSPACE);
	while (words > 0) {
		if (g->have % CHUNK_PFNS == 0) {
			at = s->chunk_free;
			if (at == NONE)
				return (HVK_NOSPACE);
			s->chunk_free = server_chunk(s, at)->next;
			s->chunk_count++;
			server_chunk(s, at)->next = NONE;
			if (g->last == NONE)
				g->first = at;
			else
				server_chunk(s, g->last)->next = at;
			g->last = at;
		}
		chunk = server_chunk(s, g->last);
		take = CHUNK_PFNS - g->have % CHUNK_PFNS;
		if (take > words)
			take = words;
		hvk_copy(&chunk->word[g->have % CHUNK_PFNS], bytes, take * 8);
		bytes += take * 8;
		words -= take;
		g->have += take;
		s->pfns_held += take;
	}
	return (HVK_OK);
}

/* Reads the words in order, from any place. */
struct reader {
	const struct hvk_server *s;
	uint32_t chunk, at, left;
};

static void
reader_init(struct reader *r, const struct hvk_server *s,
    const struct gpadl *g)
{
	r->s = s;
	r->chunk = g->first;
	r->at = 0;
	r->left = g->have;
}

static uint64_t
reader_word(struct reader *r)
{
	uint64_t word = server_chunk(r->s, r->chunk)->word[r->at];

	r->left--;
	if (++r->at == CHUNK_PFNS) {
		r->at = 0;
		r->chunk = server_chunk(r->s, r->chunk)->next;
	}
	return (word);
}

static void
reader_skip(struct reader *r, uint32_t words)
{
	r->left -= words;
	while (words >= CHUNK_PFNS - r->at) {
		words -= CHUNK_PFNS - r->at;
		r->at = 0;
		r->chunk = server_chunk(r->s, r->chunk)->next;
	}
	r->at += words;
}

static uint32_t
range_pfns(uint32_t len, uint32_t offset)
{
	return ((uint32_t)(((uint64_t)len + offset + HVK_PAGE_MASK) >>
	    HVK_PAGE_SHIFT));
}

/* Go to a range; false if there is none. Its PFNs come next. */
static bool
reader_range(struct reader *r, const struct gpadl *g, uint32_t range,
    struct hvk_gpadl_range *out)
{
	uint64_t word;
	uint32_t i;

	for (i = 0; i < g->ranges; i++) {
		word = reader_word(r);
		out->len = (uint32_t)word;
		out->offset = (uint32_t)(word >> 32);
		out->npfn = range_pfns(out->len, out->offset);
		if (i == range)
			return (true);
		reader_skip(r, out->npfn);
	}
	return (false);
}

/* Check range headers and pages of a GPADL whose words are all there. */
static enum hvk_refusal
check_words(const struct hvk_server *s, const struct gpadl *g,
    uint64_t *value)
{
	uint64_t word, limit = s->config.mem_size >> HVK_PAGE_SHIFT;
	struct reader r;
	uint32_t i, n;

	reader_init(&r, s, g);
	for (i = 0; i < g->ranges; i++) {
		*value = i;
		if (r.left == 0)
			return (HVK_REFUSE_GPADL_RANGES);
		word = reader_word(&r);
		*value = word;
		if ((uint32_t)word == 0)
			return (HVK_REFUSE_GPADL_EMPTY_RANGE);
		if (word >> 32 >= HVK_PAGE_SIZE)
			return (HVK_REFUSE_GPADL_OFFSET);
		n = range_pfns((uint32_t)word, (uint32_t)(word >> 32));
		if (n > r.left)
			return (HVK_REFUSE_GPADL_RANGES);
		while (n-- > 0) {
			*value = reader_word(&r);
			if (*value >= limit)
				return (HVK_REFUSE_GPADL_PFN);
		}
	}
	return (HVK_REFUSE_NONE);
}

/*
 * Set or clear the bits of its first `limit` pages; setting stops at a page that
 * is set already.  Returns how many were done.
 */
static uint32_t
mark_pages(struct hvk_server *s, const struct gpadl *g, bool set,
    uint32_t limit, uint64_t *value)
{
	uint64_t *map = server_pages(s), word, bit;
	struct reader r;
	uint32_t i, n, done = 0;

	reader_init(&r, s, g);
	for (i = 0; i < g->ranges; i++) {
		word = reader_word(&r);
		n = range_pfns((uint32_t)word, (uint32_t)(word >> 32));
		for (; n > 0 && done < limit; n--, done++) {
			word = reader_word(&r);
			bit = (uint64_t)1 << (word % 64);
			if (!set)
				map[word / 64] &= ~bit;
			else if ((map[word / 64] & bit) != 0) {
				*value = word;
				return (done);
			} else
				map[word / 64] |= bit;
		}
		if (done == limit)
			break;
	}
	return (done);
}

/* How many pages its ranges name: the words but the headers and the surplus. */
static uint32_t
count_pages(const struct hvk_server *s, const struct gpadl *g)
{
	struct hvk_gpadl_range range;
	struct reader r;
	uint32_t i, pages = 0;

	reader_init(&r, s, g);
	for (i = 0; i < g->ranges; i++) {
		(void)reader_range(&r, g, 0, &range);
		reader_skip(&r, range.npfn);
		pages += range.npfn;
	}
	return (pages);
}

void
server_gpadl_unmark(struct hvk_server *s, struct gpadl *g)
{
	uint64_t ignore;

	if (g->marked)
		(void)mark_pages(s, g, false, UINT32_MAX, &ignore);
	g->marked = false;
}

/* All words are there: may the device layer have it? */
enum hvk_refusal
server_gpadl_complete(struct hvk_server *s, struct gpadl *g, uint64_t *value)
{
	enum hvk_refusal reason;
	uint64_t ignore;
	uint32_t done, pages;

	reason = check_words(s, g, value);
	if (reason != HVK_REFUSE_NONE)
		return (reason);
	if (s->config.overlap_check) {
		pages = count_pages(s, g);
		done = mark_pages(s, g, true, UINT32_MAX, value);
		if (done != pages) {
			(void)mark_pages(s, g, false, done, &ignore);
			return (HVK_REFUSE_GPADL_OVERLAP);
		}
		g->marked = true;
	}
	g->state = GPADL_READY;
	return (HVK_REFUSE_NONE);
}

/* ---- messages -------------------------------------------------------------- */

/* GPADL_CREATED, with the relid as the guest wrote it. */
static void
answer_created(struct hvk_server *s, uint32_t relid, uint32_t id,
    uint32_t status)
{
	struct job job;

	hvk_zero(&job, sizeof(job));
	job.kind = JOB_GPADL_CREATED;
	job.channel = NONE;
	job.vp = relid;
	job.a = id;
	job.b = status;
	server_push(s, LANE_NORMAL, &job);
}

static int
refuse_create(struct hvk_server *s, enum hvk_refusal reason, uint32_t relid,
    uint32_t id, uint64_t value)
{
	answer_created(s, relid, id, reason == HVK_REFUSE_GPADL_TABLE ||
	    reason == HVK_REFUSE_GPADL_PAGES ? HVK_STATUS_NO_RESOURCES :
	    HVK_STATUS_UNEXPECTED);
	return (server_refuse(s, reason, id != 0 ? id : relid, value));
}

/* More words came; finish it if they were the last. */
static int
add_words(struct hvk_server *s, struct gpadl *g, const void *from,
    uint32_t words)
{
	struct channel *c = server_channel(s, g->channel);
	enum hvk_refusal reason = HVK_REFUSE_NONE;
	uint32_t relid = c->relid, id = g->id;
	uint64_t value = 0;

	if (server_gpadl_append(s, g, from, words) != HVK_OK)
		reason = HVK_REFUSE_GPADL_PAGES;
	else if (g->have < g->wanted)
		return (HVK_OK);
	else
		reason = server_gpadl_complete(s, g, &value);
	if (reason != HVK_REFUSE_NONE || c->rescinded) {
		server_gpadl_free(s, g);
		server_settle(s, c);
		if (reason != HVK_REFUSE_NONE)
			return (refuse_create(s, reason, relid, id, value));
		/* The device is gone, but the guest must not wait for ever. */
		answer_created(s, relid, id, HVK_STATUS_OK);
		return (HVK_OK);
	}
	server_ask_device(s, HVK_SERVER_GPADL_READY, server_gpadl_index(s, g));
	answer_created(s, relid, id, HVK_STATUS_OK);
	return (HVK_OK);
}

int
server_gpadl_header(struct hvk_server *s, const void *msg, uint32_t len)
{
	const struct hvk_msg_gpadl_header *m = msg;
	struct channel *c = server_find(s, m->relid);
	uint32_t words = m->range_bytes / 8;
	struct gpadl *g;

	if (c == NULL)
		return (refuse_create(s, HVK_REFUSE_RELID, m->relid, m->gpadl,
		    m->relid));
	if (m->gpadl == 0)
		return (refuse_create(s, HVK_REFUSE_GPADL_ZERO, m->relid, 0,
		    0));
	if (c->reserved)
		return (refuse_create(s, HVK_REFUSE_RESERVED, m->relid,
		    m->gpadl, m->relid));
	g = find_partial(s, m->gpadl);
	if ((g != NULL && g->state == GPADL_PARTIAL) ||
	    server_gpadl_find(s, server_index(s, c), m->gpadl) != NULL)
		return (refuse_create(s, HVK_REFUSE_GPADL_DUPLICATE, m->relid,
		    m->gpadl, m->gpadl));
	/* A range is a header and at least one page. */
	if (m->range_count == 0 || words / 2 < m->range_count)
		return (refuse_create(s, HVK_REFUSE_GPADL_RANGES, m->relid,
		    m->gpadl, m->range_count));
	g = server_gpadl_add(s, c, m->gpadl, words, m->range_count);
	if (g == NULL)
		return (refuse_create(s, HVK_REFUSE_GPADL_TABLE, m->relid,
		    m->gpadl, s->config.gpadls));
	server_settle(s, c);
	return (add_words(s, g, m + 1, (len - (uint32_t)sizeof(*m)) / 8));
}

int
server_gpadl_body(struct hvk_server *s, const void *msg, uint32_t len)
{
	const struct hvk_msg_gpadl_body *m = msg;
	struct gpadl *g = find_partial(s, m->gpadl);
	uint32_t words = (len - (uint32_t)sizeof(*m)) / 8;

	if (g == NULL)
		return (server_refuse(s, HVK_REFUSE_GPADL_UNKNOWN, m->gpadl,
		    words));
	if (words == 0)		/* some guests send one too many */
		return (HVK_OK);
	if (g->state != GPADL_PARTIAL)
		return (server_refuse(s, HVK_REFUSE_GPADL_BODY, m->gpadl,
		    words));
	return (add_words(s, g, m + 1, words));
}

static void
start_teardown(struct hvk_server *s, struct gpadl *g)
{
	g->state = GPADL_TEARING;
	g->told = false;
	server_ask_device(s, HVK_SERVER_GPADL_TEARDOWN,
	    server_gpadl_index(s, g));
}

int
server_gpadl_teardown(struct hvk_server *s, const void *msg, uint32_t len)
{
	const struct hvk_msg_gpadl_teardown *m = msg;
	struct channel *c = server_find(s, m->relid);
	struct gpadl *g;

	(void)len;
	if (c == NULL)
		return (server_refuse(s, HVK_REFUSE_RELID, m->relid,
		    m->gpadl));
	g = server_gpadl_find(s, server_index(s, c), m->gpadl);
	if (g == NULL && c->rescinded) {	/* it went with its device */
		server_send(s, JOB_GPADL_TORNDOWN, NONE, m->gpadl, 0);
		return (HVK_OK);
	}
	if (g == NULL)
		return (server_refuse(s, HVK_REFUSE_GPADL_UNKNOWN, m->gpadl,
		    m->relid));
	if (g->state == GPADL_PARTIAL) {	/* it gives up half way */
		server_gpadl_free(s, g);
		server_settle(s, c);
		server_send(s, JOB_GPADL_TORNDOWN, NONE, m->gpadl, 0);
		return (HVK_OK);
	}
	if (g->answer || (c->reopen && c->next.gpadl == m->gpadl))
		return (server_refuse(s, HVK_REFUSE_GPADL_BUSY, m->gpadl,
		    m->relid));
	/* CLOSE has no reply, so the guest cannot wait for the end of it. */
	if (g->rings && c->state != HVK_CHANNEL_CLOSING &&
	    !c->close_wanted)
		return (server_refuse(s, HVK_REFUSE_GPADL_BUSY, m->gpadl,
		    m->relid));
	g->answer = true;
	if (c->rescinded && g->rings)	/* it uses them no more */
		c->let_go = true;
	if (g->state == GPADL_READY && !g->rings)
		start_teardown(s, g);
	return (HVK_OK);
}

/*
 * Start what waited for the end of the channel's rings; `all`: and everything
 * else, because the channel ends.
 */
static void
teardown_some(struct hvk_server *s, struct channel *c, bool all)
{
	struct gpadl *g;
	uint32_t i, next;

	for (i = c->gpadl_first; i != NONE; i = next) {
		g = server_gpadl(s, i);
		next = g->next;
		if (g->state == GPADL_READY && (all || g->answer))
			start_teardown(s, g);
		else if (g->state == GPADL_PARTIAL && all &&
		    (!c->rescinded || c->released ||
		    s->conn != CONN_CONNECTED))
			server_gpadl_free(s, g);
		if (all && c->rescinded)
			server_gpadl_unmark(s, g);
	}
}

void
server_gpadl_teardown_all(struct hvk_server *s, struct channel *c)
{
	teardown_some(s, c, true);
}

void
server_gpadl_teardown_waiting(struct hvk_server *s, struct channel *c)
{
	teardown_some(s, c, false);
}

int
hvk_server_gpadl_released(struct hvk_server *s, hvk_channel_id id,
    uint32_t gpadl)
{
	struct channel *c;
	struct gpadl *g;

	if (id >= s->config.channels)
		return (HVK_RANGE);
	c = server_channel(s, id);
	g = server_gpadl_find(s, id, gpadl);
	if (g == NULL || g->state != GPADL_TEARING || !g->told)
		return (HVK_STATE);
	if (g->answer && s->conn == CONN_CONNECTED)
		server_send(s, JOB_GPADL_TORNDOWN, NONE, gpadl, 0);
	server_gpadl_free(s, g);
	server_settle(s, c);
	return (HVK_OK);
}

/* ---- for the device layer ---------------------------------------------------- */

uint64_t
server_gpadl_word(const struct hvk_server *s, const struct gpadl *g,
    uint32_t n)
{
	struct reader r;

	reader_init(&r, s, g);
	reader_skip(&r, n);
	return (reader_word(&r));
}

static const struct gpadl *
complete_gpadl(const struct hvk_server *s, hvk_channel_id id, uint32_t gpadl)
{
	const struct gpadl *g;

	if (id >= s->config.channels)
		return (NULL);
	g = server_gpadl_find(s, id, gpadl);
	return (g != NULL && g->state >= GPADL_READY ? g : NULL);
}

int
hvk_server_gpadl_range(const struct hvk_server *s, hvk_channel_id id,
    uint32_t gpadl, uint32_t range, struct hvk_gpadl_range *out)
{
	const struct gpadl *g = complete_gpadl(s, id, gpadl);
	struct reader r;

	if (g == NULL)
		return (HVK_RANGE);
	reader_init(&r, s, g);
	return (reader_range(&r, g, range, out) ? HVK_OK : HVK_RANGE);
}

uint32_t
hvk_server_gpadl_pfns(const struct hvk_server *s, hvk_channel_id id,
    uint32_t gpadl, uint32_t range, uint32_t first, uint64_t *pfn, uint32_t n)
{
	const struct gpadl *g = complete_gpadl(s, id, gpadl);
	struct hvk_gpadl_range info;
	struct reader r;
	uint32_t i;

	if (g == NULL)
		return (0);
	reader_init(&r, s, g);
	if (!reader_range(&r, g, range, &info) || first >= info.npfn)
		return (0);
	reader_skip(&r, first);
	if (n > info.npfn - first)
		n = info.npfn - first;
	for (i = 0; i < n; i++)
		pfn[i] = reader_word(&r);
	return (n);
}
