/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * The guest's network interface machine, RNDIS's part: requests encoded,
 * answers matched by type and id, the queries of start-up, what the host
 * indicates.
 *
 * Locking: none, see hvk/guest/netvsc.h.  Facts: wire.md sections 15, 16, 24.
 */

#include "netvsc_int.h"

#define	MTU_MIN		68u

/* Ids of requests: FreeBSD's hn(4) keeps clear of small ones, so do we. */
#define	RID(generation)	((generation) | 0x40000000u)

/* What is asked at start-up, in this order. */
static const uint32_t queries[] = {
	HVK_OID_8023_PERMANENT,
	HVK_OID_MAX_FRAME_SIZE,
	HVK_OID_MEDIA_CONNECT,
	HVK_OID_LINK_SPEED,
	HVK_OID_OFFLOAD_CAPS,
	HVK_OID_RSS_CAPS
};

static uint32_t
offload_revision(const struct hvk_netvsc *s)
{
	return (s->ndis_version >= HVK_NDIS_6_30 ? 3 :
	    s->ndis_version >= HVK_NDIS_6_1 ? 2 : 1);
}

void
netvsc_request(struct hvk_netvsc *s, uint32_t type, uint32_t oid,
    const void *info, uint32_t len)
{
	struct hvk_rndis_request r;
	uint8_t *out = (uint8_t *)s->out;

	hvk_zero(&r, sizeof(r));
	s->rid = RID(s->generation + 1);	/* netvsc_step() is next */
	s->answer = type | HVK_RNDIS_DONE;
	s->oid = oid;
	r.type = type;
	r.id = s->rid;
	if (type == HVK_RNDIS_QUERY || type == HVK_RNDIS_SET) {
		r.len = (uint32_t)sizeof(r) + len;
		r.oid = oid;
		r.info_len = len;
		r.info_offset = HVK_RNDIS_INFO_OFFSET;
		hvk_copy(out, &r, sizeof(r));
		if (len != 0)
			hvk_copy(out + sizeof(r), info, len);
	} else {
		r.len = sizeof(struct hvk_rndis_simple);
		if (type == HVK_RNDIS_RESET)
			r.id = 0;
		hvk_copy(out, &r, r.len);
	}
	s->out_len = r.len;
}

void
netvsc_rndis_start(struct hvk_netvsc *s, uint64_t now)
{
	struct hvk_rndis_init init;

	netvsc_request(s, HVK_RNDIS_INIT, 0, NULL, 0);
	init.type = HVK_RNDIS_INIT;
	init.len = sizeof(init);
	init.id = s->rid;
	init.major = HVK_RNDIS_MAJOR;
	init.minor = HVK_RNDIS_MINOR;
	init.max_transfer = HVK_RNDIS_MAX_TRANSFER;
	hvk_copy(s->out, &init, sizeof(init));
	s->out_len = sizeof(init);
	netvsc_step(s, HVK_NETVSC_RNDIS_INIT, now);
}

/* The information in a good answer to a query; NULL: there is none. */
static const uint8_t *
information(const struct hvk_netvsc *s, uint32_t *len)
{
	struct hvk_rndis_query_done q;
	uint32_t body;

	*len = 0;
	if (s->in_len < sizeof(q))
		return (NULL);
	hvk_copy(&q, s->in, sizeof(q));
	body = s->in_len - HVK_RNDIS_BODY;
	if (q.info_len == 0 || q.info_offset < HVK_RNDIS_QUERY_DONE_OFFSET ||
	    q.info_offset > body || q.info_len > body - q.info_offset)
		return (NULL);
	*len = q.info_len;
	return ((const uint8_t *)s->in + HVK_RNDIS_BODY + q.info_offset);
}

static uint32_t
answer_status(const struct hvk_netvsc *s)
{
	uint32_t status;

	/* RESET_DONE has it where the others have the id. */
	hvk_copy(&status, (const uint8_t *)s->in +
	    (s->answer == HVK_RNDIS_RESET_DONE ? 8 : 12), sizeof(status));
	return (status);
}

/* Send the next query of start-up that makes sense, or go on. */
static enum hvk_netvsc_event
ask(struct hvk_netvsc *s, uint64_t now)
{
	struct hvk_ndis_header h;
	uint64_t in[(sizeof(struct hvk_ndis_offload) + 7) / 8];
	uint32_t len = 0;

	if (s->ask < HVK_COUNT(queries) &&
	    queries[s->ask] == HVK_OID_RSS_CAPS &&
	    s->ndis_version < HVK_NDIS_6_20)
		s->ask++;
	if (s->ask == HVK_COUNT(queries)) {
		if (s->offload.can == 0)
			return (netvsc_subchannels(s, now));
		s->wanted = s->offload.can & s->config.offloads;
		len = hvk_offload_params_encode(s->offload.can, s->wanted,
		    offload_revision(s), in);
		netvsc_request(s, HVK_RNDIS_SET, HVK_OID_OFFLOAD_PARAMS, in,
		    len);
		netvsc_step(s, HVK_NETVSC_OFFLOADS, now);
		return (HVK_NETVSC_NOTHING);
	}
	hvk_zero(in, sizeof(in));
	if (queries[s->ask] == HVK_OID_OFFLOAD_CAPS) {
		h.type = HVK_NDIS_OFFLOAD;
		h.revision = (uint8_t)offload_revision(s);
		len = h.revision == 3 ? HVK_NDIS_OFFLOAD_REV3 :
		    HVK_NDIS_OFFLOAD_REV2;
	} else if (queries[s->ask] == HVK_OID_RSS_CAPS) {
		h.type = HVK_NDIS_RSS_CAPS;
		h.revision = 2;
		len = HVK_NDIS_RSS_CAPS_REV2;
	}
	if (len != 0) {
		h.size = (uint16_t)len;
		hvk_copy(in, &h, sizeof(h));
	}
	netvsc_request(s, HVK_RNDIS_QUERY, queries[s->ask], in, len);
	netvsc_step(s, HVK_NETVSC_QUERIES, now);
	return (HVK_NETVSC_NOTHING);
}

static enum hvk_netvsc_event
init_over(struct hvk_netvsc *s, uint64_t now)
{
	struct hvk_rndis_init_done d;

	if (s->in_len < HVK_RNDIS_INIT_DONE_MIN)
		return (netvsc_fail(s, HVK_NETVSC_BAD_ANSWER));
	hvk_zero(&d, sizeof(d));
	hvk_copy(&d, s->in, s->in_len < sizeof(d) ? s->in_len : sizeof(d));
	if (d.status != HVK_RNDIS_STATUS_OK)
		return (netvsc_fail(s, HVK_NETVSC_REFUSED));
	s->rndis_up = true;
	/* Never more than what this side counts with. */
	s->max_packets = d.max_packets == 0 ? 1 :
	    d.max_packets > 0xffff ? 0xffff : d.max_packets;
	s->max_transfer = d.max_transfer;
	s->align = 1u << (d.align > HVK_RNDIS_ALIGN_MAX ?
	    HVK_RNDIS_ALIGN_MAX : d.align < 2 ? 2 : d.align);
	s->ask = 0;
	return (ask(s, now));
}

/* What start-up learns; false: the answer is of no use. */
static bool
learn(struct hvk_netvsc *s, const uint8_t *info, uint32_t len)
{
	uint32_t word = 0;

	if (info != NULL && len >= sizeof(word))
		hvk_copy(&word, info, sizeof(word));
	switch (queries[s->ask]) {
	case HVK_OID_8023_PERMANENT:
		/* No interface has a group address of its own. */
		if (info == NULL || len != sizeof(s->mac) ||
		    (info[0] & 1) != 0)
			return (false);
		hvk_copy(s->mac, info, sizeof(s->mac));
		return (true);
	case HVK_OID_MAX_FRAME_SIZE:
		if (len == sizeof(word) && word >= MTU_MIN && word < s->mtu)
			s->mtu = word;
		return (true);
	case HVK_OID_MEDIA_CONNECT:
		/* Who does not say is taken to be connected. */
		s->link = len != sizeof(word) || word == HVK_MEDIA_CONNECTED;
		return (true);
	case HVK_OID_LINK_SPEED:
		if (len == sizeof(word))
			s->speed = (uint64_t)word * 100;
		return (true);
	case HVK_OID_OFFLOAD_CAPS:
		if (info != NULL &&
		    hvk_offload_decode(info, len, &s->offload) != HVK_OK) {
			hvk_zero(&s->offload, sizeof(s->offload));
			s->rejected++;
		}
		return (true);
	default:
		if (info != NULL &&
		    hvk_rss_caps_decode(info, len, &s->rss) != HVK_OK) {
			hvk_zero(&s->rss, sizeof(s->rss));
			s->rejected++;
		}
		return (true);
	}
}

static enum hvk_netvsc_event
query_over(struct hvk_netvsc *s, bool answered, uint64_t now)
{
	const uint8_t *info = NULL;
	uint32_t len = 0;

	if (answered && answer_status(s) == HVK_RNDIS_STATUS_OK)
		info = information(s, &len);
	if (s->ask == 0)
		s->mtu = s->config.mtu;
	if (!learn(s, info, len))
		return (netvsc_fail(s, answered ? HVK_NETVSC_BAD_ANSWER :
		    HVK_NETVSC_NO_ANSWER));
	s->ask++;
	return (ask(s, now));
}

/* What a set has made true. */
static void
took_effect(struct hvk_netvsc *s)
{
	if (s->oid == HVK_OID_PACKET_FILTER)
		s->filter = s->wanted;
	else if (s->oid == HVK_OID_OFFLOAD_PARAMS)
		s->offloads = s->wanted;
}

static enum hvk_netvsc_event
request_over(struct hvk_netvsc *s, bool answered)
{
	s->waiting = false;
	s->unsent = false;
	s->mine = false;
	s->rid = 0;
	s->deadline = UINT64_MAX;
	s->request.oid = s->oid;
	s->request.answered = answered;
	s->request.status = HVK_RNDIS_STATUS_FAILURE;
	s->request.data = NULL;
	s->request.len = 0;
	if (!answered)
		return (HVK_NETVSC_REQUEST_OVER);
	s->request.status = answer_status(s);
	if (s->request.status != HVK_RNDIS_STATUS_OK)
		return (HVK_NETVSC_REQUEST_OVER);
	if (s->answer == HVK_RNDIS_QUERY_DONE)
		s->request.data = information(s, &s->request.len);
	else if (s->answer == HVK_RNDIS_SET_DONE)
		took_effect(s);
	else if (s->answer == HVK_RNDIS_RESET_DONE)
		s->filter = s->offloads = 0;
	return (HVK_NETVSC_REQUEST_OVER);
}

enum hvk_netvsc_event
netvsc_over(struct hvk_netvsc *s, bool answered, uint64_t now)
{
	switch (s->phase) {
	case HVK_NETVSC_RNDIS_INIT:
		if (!answered)
			return (netvsc_fail(s, HVK_NETVSC_NO_ANSWER));
		return (init_over(s, now));
	case HVK_NETVSC_QUERIES:
		return (query_over(s, answered, now));
	case HVK_NETVSC_OFFLOADS:
		if (answered && answer_status(s) == HVK_RNDIS_STATUS_OK)
			took_effect(s);
		return (netvsc_subchannels(s, now));
	case HVK_NETVSC_READY:
		return (request_over(s, answered));
	default:
		return (HVK_NETVSC_NOTHING);
	}
}

static enum hvk_netvsc_event
set_link(struct hvk_netvsc *s, bool up)
{
	if (s->link == up)
		return (HVK_NETVSC_NOTHING);
	s->link = up;
	s->links++;
	return (HVK_NETVSC_LINK);
}

/*
 * The status buffer is bounded by what arrived: some hosts do not count it in
 * the message's length.
 */
static int
indicated(struct hvk_netvsc *s, const uint8_t *bytes, uint32_t len,
    enum hvk_netvsc_event *event)
{
	struct hvk_rndis_indicate m;
	uint32_t word = 0;

	if (len < sizeof(m))
		return (HVK_REJECT);
	hvk_copy(&m, bytes, sizeof(m));
	if (m.buf_len >= sizeof(word) &&
	    m.buf_offset >= sizeof(m) - HVK_RNDIS_BODY &&
	    m.buf_offset <= len - HVK_RNDIS_BODY &&
	    len - HVK_RNDIS_BODY - m.buf_offset >= sizeof(word))
		hvk_copy(&word, bytes + HVK_RNDIS_BODY + m.buf_offset,
		    sizeof(word));
	else
		m.buf_len = 0;
	switch (m.status) {
	case HVK_RNDIS_STATUS_MEDIA_UP:
		*event = set_link(s, true);
		break;
	case HVK_RNDIS_STATUS_MEDIA_DOWN:
		*event = set_link(s, false);
		break;
	case HVK_RNDIS_STATUS_LINK_SPEED:
		if (m.buf_len == 0)
			return (HVK_REJECT);
		if (s->speed != (uint64_t)word * 100) {
			s->speed = (uint64_t)word * 100;
			*event = HVK_NETVSC_LINK;
		}
		break;
	case HVK_RNDIS_STATUS_NETWORK:
		*event = HVK_NETVSC_NETWORK;
		break;
	case HVK_RNDIS_STATUS_OFFLOAD:
		break;			/* as we set it */
	default:
		s->unknown++;
		break;
	}
	return (HVK_OK);
}

/* An answer: of the type and with the id that is waited for, or nobody's. */
static int
answered(struct hvk_netvsc *s, const uint8_t *bytes, uint32_t len,
    uint32_t type, uint64_t now, enum hvk_netvsc_event *event)
{
	struct hvk_rndis_done d;

	if (len < sizeof(d))
		return (HVK_REJECT);
	hvk_copy(&d, bytes, sizeof(d));
	if (!s->waiting || s->unsent || s->phase == HVK_NETVSC_HALTING ||
	    type != s->answer ||
	    (type != HVK_RNDIS_RESET_DONE && d.id != s->rid)) {
		s->late++;
		return (HVK_OK);
	}
	hvk_copy(s->in, bytes, len);
	s->in_len = len;
	s->waiting = false;
	if (!s->sending)
		*event = netvsc_over(s, true, now);
	return (HVK_OK);
}

static int
keepalive(struct hvk_netvsc *s, const uint8_t *bytes, uint32_t len)
{
	struct hvk_rndis_simple m;

	if (len < sizeof(m))
		return (HVK_REJECT);
	if (s->replying)
		return (HVK_OK);	/* one answer at a time is enough */
	hvk_copy(&m, bytes, sizeof(m));
	s->reply[0] = HVK_RNDIS_KEEPALIVE_DONE;
	s->reply[1] = sizeof(s->reply);
	s->reply[2] = m.id;
	s->reply[3] = HVK_RNDIS_STATUS_OK;
	s->host_asks = true;
	return (HVK_OK);
}

int
hvk_netvsc_rndis(struct hvk_netvsc *s, const void *bytes, uint32_t len,
    uint64_t now, enum hvk_netvsc_event *event)
{
	uint64_t copy[HVK_NETVSC_CONTROL / 8];
	struct hvk_rndis_header h;
	int error;

	*event = HVK_NETVSC_NOTHING;
	if (len > sizeof(copy))
		len = sizeof(copy);
	if (len < sizeof(h) || s->phase < HVK_NETVSC_RNDIS_INIT ||
	    s->phase >= HVK_NETVSC_HALTED) {
		s->rejected++;
		return (HVK_REJECT);
	}
	hvk_copy(copy, bytes, len);
	__asm__ volatile ("" : : "r" (copy) : "memory");
	hvk_copy(&h, copy, sizeof(h));
	if (h.len < sizeof(h) || h.len > len)
		error = HVK_REJECT;
	else if (h.type == HVK_RNDIS_INDICATE)
		error = indicated(s, (const uint8_t *)copy, len, event);
	else if (h.type == HVK_RNDIS_KEEPALIVE)
		error = keepalive(s, (const uint8_t *)copy, h.len);
	else if ((h.type & HVK_RNDIS_DONE) != 0)
		error = answered(s, (const uint8_t *)copy, h.len, h.type, now,
		    event);
	else
		error = HVK_REJECT;
	if (error != HVK_OK)
		s->rejected++;
	return (error);
}
