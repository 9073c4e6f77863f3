/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * The guest's network interface machine, NVSP's part: start-up, buffers,
 * sub-channels, notifications, shut-down.  One step is outstanding at a time;
 * its id has a generation, so that an answer to an earlier step is never taken
 * for this one.
 *
 * Locking: none, see hvk/guest/netvsc.h.  Facts: wire.md section 14.
 */

#include "netvsc_int.h"

#define	STEP_MS		10000
#define	MTU		1500
#define	ETHER		14

/* Messages that nobody answers, in the order in which they go out. */
#define	NOTE_CONFIG		0x01u
#define	NOTE_VERSION		0x02u
#define	NOTE_PATH		0x04u
#define	NOTE_REVOKE_RECV	0x08u
#define	NOTE_REVOKE_SEND	0x10u

#define	RECV_MAX_OLD	(15u << 20)	/* hosts of versions 1 and 2 */
#define	RECV_MAX	(31u << 20)
#define	SEND_MAX	(15u << 20)

static const uint32_t versions[] = {
	HVK_NVSP_VERSION_61, HVK_NVSP_VERSION_6, HVK_NVSP_VERSION_5,
	HVK_NVSP_VERSION_4, HVK_NVSP_VERSION_2, HVK_NVSP_VERSION_1
};

enum hvk_netvsc_kind
hvk_netvsc_kind(const struct hvk_packet *pkt)
{
	switch (pkt->type) {
	case HVK_PKT_XFER_PAGES:
		return (HVK_NETVSC_KIND_RX);
	case HVK_PKT_INBAND:
		return (HVK_NETVSC_KIND_CONTROL);
	case HVK_PKT_COMPLETION:
		break;
	default:
		return (HVK_NETVSC_KIND_NONE);
	}
	switch (netvsc_id_kind(pkt->txid)) {
	case NETVSC_ID_SEND:
		return (HVK_NETVSC_KIND_TX);
	case NETVSC_ID_NVSP:
	case NETVSC_ID_RNDIS:
	case NETVSC_ID_NOTE:
		return (HVK_NETVSC_KIND_CONTROL);
	default:
		return (HVK_NETVSC_KIND_NONE);
	}
}

void
hvk_netvsc_init(struct hvk_netvsc *s, const struct hvk_netvsc_config *config)
{
	hvk_zero(s, sizeof(*s));
	if (config != NULL)
		s->config = *config;
	if (s->config.step_ms == 0)
		s->config.step_ms = STEP_MS;
	if (s->config.mtu == 0)
		s->config.mtu = MTU;
	s->deadline = UINT64_MAX;
}

/* Begin a step: its message is there to be pulled, its clock runs. */
void
netvsc_step(struct hvk_netvsc *s, enum hvk_netvsc_phase phase, uint64_t now)
{
	s->phase = phase;
	s->generation++;
	s->waiting = true;
	s->unsent = true;
	s->deadline = now + s->config.step_ms;
}

static void
rest(struct hvk_netvsc *s, enum hvk_netvsc_phase phase)
{
	s->phase = phase;
	s->waiting = false;
	s->unsent = false;
	s->mine = false;
	s->deadline = UINT64_MAX;
}

enum hvk_netvsc_event
netvsc_fail(struct hvk_netvsc *s, enum hvk_netvsc_reason reason)
{
	if (s->mine)
		s->request.answered = false;
	rest(s, HVK_NETVSC_FAILED);
	s->notes = 0;
	s->host_asks = false;
	s->rndis_up = false;
	s->reason = reason;
	return (HVK_NETVSC_HAS_FAILED);
}

/* What a host tells, or grants, is forgotten with the channel. */
static void
forget(struct hvk_netvsc *s)
{
	uint32_t i;

	hvk_zero(&s->recv, sizeof(s->recv));
	hvk_zero(&s->offload, sizeof(s->offload));
	hvk_zero(&s->rss, sizeof(s->rss));
	hvk_zero(&s->request, sizeof(s->request));
	s->send_size = s->send_count = 0;
	s->subchannels = 0;
	s->offloads = 0;
	s->filter = 0;
	s->link = false;
	s->speed = 0;
	s->vf_present = false;
	s->path = HVK_NVSP_PATH_SYNTHETIC;
	s->notes = 0;
	s->host_asks = false;
	s->sending = false;
	s->replying = false;
	s->rndis_up = false;
	s->mine = false;
	s->reason = HVK_NETVSC_NO_REASON;
	for (i = 0; i < HVK_NVSP_SEND_TABLE_SIZE; i++)
		s->send_table[i] = i;
}

int
hvk_netvsc_start(struct hvk_netvsc *s, uint64_t now)
{
	if (s->phase != HVK_NETVSC_IDLE && s->phase != HVK_NETVSC_HALTED &&
	    (s->phase != HVK_NETVSC_FAILED ||
	    s->reason == HVK_NETVSC_STOPPED))
		return (HVK_STATE);
	forget(s);
	s->restarted = s->version != 0;
	if (!s->restarted)
		s->candidate = 0;
	while (!s->restarted && s->config.max_version != 0 &&
	    s->candidate < HVK_COUNT(versions) - 1 &&
	    versions[s->candidate] > s->config.max_version)
		s->candidate++;
	netvsc_step(s, HVK_NETVSC_VERSION, now);
	return (HVK_OK);
}

static void
note_config(const struct hvk_netvsc *s, struct hvk_nvsp_message *n)
{
	n->type = HVK_NVSP_NDIS_CONFIG;
	n->ndis_config.mtu = s->config.mtu + ETHER;
	n->ndis_config.caps[0] = HVK_NVSP_CAP_8021Q;
	if (s->version >= HVK_NVSP_VERSION_5) {
		n->ndis_config.caps[0] |= HVK_NVSP_CAP_TEAMING;
		if (s->config.sriov)
			n->ndis_config.caps[0] |= HVK_NVSP_CAP_SRIOV;
	}
	if (s->version >= HVK_NVSP_VERSION_61)
		n->ndis_config.caps[0] |= HVK_NVSP_CAP_RSC;
}

/* The first of the notes. */
static void
pull_note(struct hvk_netvsc *s, struct hvk_netvsc_message *m)
{
	struct hvk_nvsp_message *n = &m->nvsp;
	uint32_t note = s->notes & (0u - s->notes);

	s->notes &= ~note;
	m->txid = netvsc_id(NETVSC_ID_NOTE, ++s->serial, 0);
	switch (note) {
	case NOTE_CONFIG:
		note_config(s, n);
		break;
	case NOTE_VERSION:
		n->type = HVK_NVSP_NDIS_VERSION;
		n->ndis_version.major = s->ndis_version >> 16;
		n->ndis_version.minor = s->ndis_version & 0xffff;
		break;
	case NOTE_PATH:
		/* Hosts take this only with a completion wanted. */
		n->type = HVK_NVSP_DATA_PATH;
		n->data_path.path = s->path;
		m->want_completion = true;
		break;
	case NOTE_REVOKE_RECV:
		n->type = HVK_NVSP_RECV_BUFFER_REVOKE;
		n->revoke.id = HVK_NVSP_RECV_ID;
		break;
	default:
		n->type = HVK_NVSP_SEND_BUFFER_REVOKE;
		n->revoke.id = HVK_NVSP_SEND_ID;
		break;
	}
}

static void
pull_rndis(struct hvk_netvsc *s, struct hvk_netvsc_message *m, const void *what,
    uint32_t len)
{
	s->txid = netvsc_id(NETVSC_ID_RNDIS, ++s->serial, 0);
	s->sending = true;
	m->txid = s->txid;
	m->want_completion = true;
	m->nvsp.type = HVK_NVSP_RNDIS;
	m->nvsp.rndis.channel = HVK_NVSP_CHANNEL_CONTROL;
	m->nvsp.rndis.section = HVK_NVSP_NO_SECTION;
	m->rndis = what;
	m->rndis_len = len;
}

static void
pull_nvsp(struct hvk_netvsc *s, struct hvk_netvsc_message *m)
{
	struct hvk_nvsp_message *n = &m->nvsp;

	m->txid = netvsc_id(NETVSC_ID_NVSP, s->generation, s->phase);
	m->want_completion = true;
	switch (s->phase) {
	case HVK_NETVSC_VERSION:
		n->type = HVK_NVSP_INIT;
		n->init.min = n->init.max = versions[s->candidate];
		break;
	case HVK_NETVSC_RECV_BUFFER:
		n->type = HVK_NVSP_RECV_BUFFER;
		n->buffer.gpadl = s->buffers.recv_gpadl;
		n->buffer.id = HVK_NVSP_RECV_ID;
		break;
	case HVK_NETVSC_SEND_BUFFER:
		n->type = HVK_NVSP_SEND_BUFFER;
		n->buffer.gpadl = s->buffers.send_gpadl;
		n->buffer.id = HVK_NVSP_SEND_ID;
		break;
	default:
		n->type = HVK_NVSP_SUBCHANNEL;
		n->subchannel.operation = HVK_NVSP_SUBCHANNEL_ALLOCATE;
		n->subchannel.count = s->wanted;
		break;
	}
}

static bool
speaks_nvsp(enum hvk_netvsc_phase phase)
{
	return (phase == HVK_NETVSC_VERSION ||
	    phase == HVK_NETVSC_RECV_BUFFER ||
	    phase == HVK_NETVSC_SEND_BUFFER ||
	    phase == HVK_NETVSC_SUBCHANNELS);
}

bool
hvk_netvsc_pull(struct hvk_netvsc *s, struct hvk_netvsc_message *m)
{
	hvk_zero(m, sizeof(*m));
	if (s->notes != 0) {
		pull_note(s, m);
		return (true);
	}
	if (s->unsent && speaks_nvsp(s->phase)) {
		s->unsent = false;
		pull_nvsp(s, m);
		return (true);
	}
	/* There is one page for RNDIS, and the host may still have it. */
	if (s->sending)
		return (false);
	if (s->unsent) {
		s->unsent = false;
		pull_rndis(s, m, s->out, s->out_len);
		return (true);
	}
	if (s->host_asks) {
		s->host_asks = false;
		s->replying = true;
		pull_rndis(s, m, s->reply, sizeof(s->reply));
		return (true);
	}
	return (false);
}

static enum hvk_netvsc_event
become_ready(struct hvk_netvsc *s)
{
	rest(s, HVK_NETVSC_READY);
	return (HVK_NETVSC_IS_READY);
}

/* More channels, if both sides can use them. */
enum hvk_netvsc_event
netvsc_subchannels(struct hvk_netvsc *s, uint64_t now)
{
	uint32_t n = s->config.subchannels;

	if (s->version < HVK_NVSP_VERSION_5 || s->rss.queues <= 1)
		n = 0;
	if (n >= HVK_NETVSC_CHANNELS)
		n = HVK_NETVSC_CHANNELS - 1;
	if (n != 0 && n > s->rss.queues - 1)
		n = s->rss.queues - 1;
	if (n == 0)
		return (become_ready(s));
	s->wanted = n;
	netvsc_step(s, HVK_NETVSC_SUBCHANNELS, now);
	return (HVK_NETVSC_NOTHING);
}

static enum hvk_netvsc_event
version_done(struct hvk_netvsc *s, const struct hvk_nvsp_message *n,
    uint64_t now)
{
	if (n->init_done.status != HVK_NVSP_STATUS_OK) {
		if (s->restarted || s->candidate == HVK_COUNT(versions) - 1)
			return (netvsc_fail(s, HVK_NETVSC_NO_VERSION));
		s->candidate++;
		netvsc_step(s, HVK_NETVSC_VERSION, now);
		return (HVK_NETVSC_NOTHING);
	}
	s->version = versions[s->candidate];
	s->ndis_version = s->version <= HVK_NVSP_VERSION_4 ? HVK_NDIS_6_1 :
	    HVK_NDIS_6_30;
	s->recv_max = s->version <= HVK_NVSP_VERSION_2 ? RECV_MAX_OLD :
	    RECV_MAX;
	s->send_max = SEND_MAX;
	s->notes = NOTE_VERSION;
	if (s->version >= HVK_NVSP_VERSION_2)
		s->notes |= NOTE_CONFIG;
	rest(s, HVK_NETVSC_BUFFERS);
	return (HVK_NETVSC_WANT_BUFFERS);
}

int
hvk_netvsc_buffers(struct hvk_netvsc *s, const struct hvk_netvsc_buffers *b,
    uint64_t now)
{
	if (s->phase != HVK_NETVSC_BUFFERS)
		return (HVK_STATE);
	if (b->recv_len == 0 || b->recv_len > s->recv_max ||
	    b->send_len > s->send_max)
		return (HVK_RANGE);
	s->buffers = *b;
	netvsc_step(s, HVK_NETVSC_RECV_BUFFER, now);
	return (HVK_OK);
}

/* One section from the beginning, all of it in the buffer. */
static bool
good_section(struct hvk_nvsp_section *r, uint32_t len)
{
	uint64_t bytes = (uint64_t)r->size * r->count;

	if (r->offset != 0 || r->size == 0 || r->count == 0 || bytes > len ||
	    r->end > len)
		return (false);
	if (r->end < bytes)
		r->end = (uint32_t)bytes;
	return (true);
}

static enum hvk_netvsc_event
recv_done(struct hvk_netvsc *s, const struct hvk_nvsp_message *n, uint32_t len,
    uint64_t now)
{
	if (n->recv_done.status != HVK_NVSP_STATUS_OK)
		return (netvsc_fail(s, HVK_NETVSC_REFUSED));
	s->recv = n->recv_done.section;
	if (n->recv_done.nsections != 1 || len < 28 ||
	    !good_section(&s->recv, s->buffers.recv_len))
		return (netvsc_fail(s, HVK_NETVSC_BAD_BUFFER));
	if (s->buffers.send_len != 0)
		netvsc_step(s, HVK_NETVSC_SEND_BUFFER, now);
	else
		netvsc_rndis_start(s, now);
	return (HVK_NETVSC_NOTHING);
}

/* Without a send buffer everything goes directly. */
static enum hvk_netvsc_event
send_done(struct hvk_netvsc *s, const struct hvk_nvsp_message *n, uint64_t now)
{
	uint32_t size = n->send_done.section_size;

	if (n->send_done.status == HVK_NVSP_STATUS_OK && size % 4 == 0 &&
	    size >= HVK_RNDIS_HEADER_MAX && size <= s->buffers.send_len) {
		s->send_size = size;
		s->send_count = s->buffers.send_len / size;
	}
	netvsc_rndis_start(s, now);
	return (HVK_NETVSC_NOTHING);
}

static enum hvk_netvsc_event
subchannel_done(struct hvk_netvsc *s, const struct hvk_nvsp_message *n)
{
	s->subchannels = 0;
	if (n->subchannel_done.status == HVK_NVSP_STATUS_OK) {
		s->subchannels = n->subchannel_done.count;
		if (s->subchannels > s->wanted) {
			s->rejected++;
			s->subchannels = s->wanted;
		}
	}
	return (become_ready(s));
}

/* The answer to an NVSP request: type, least length. */
static bool
expected(enum hvk_netvsc_phase phase, uint32_t type, uint32_t len)
{
	switch (phase) {
	case HVK_NETVSC_VERSION:
		return (type == HVK_NVSP_INIT_DONE && len >= 16);
	case HVK_NETVSC_RECV_BUFFER:
		return (type == HVK_NVSP_RECV_BUFFER_DONE && len >= 12);
	case HVK_NETVSC_SEND_BUFFER:
		return (type == HVK_NVSP_SEND_BUFFER_DONE && len >= 12);
	case HVK_NETVSC_SUBCHANNELS:
		return (type == HVK_NVSP_SUBCHANNEL && len >= 12);
	default:
		return (false);
	}
}

static int
input_nvsp(struct hvk_netvsc *s, const struct hvk_nvsp_message *n, uint32_t len,
    uint64_t txid, uint64_t now, enum hvk_netvsc_event *event)
{
	if (!s->waiting || s->unsent ||
	    txid != netvsc_id(NETVSC_ID_NVSP, s->generation, s->phase)) {
		s->late++;
		return (HVK_REJECT);
	}
	if (!expected(s->phase, n->type, len)) {
		s->rejected++;
		return (HVK_REJECT);
	}
	s->waiting = false;
	switch (s->phase) {
	case HVK_NETVSC_VERSION:
		*event = version_done(s, n, now);
		break;
	case HVK_NETVSC_RECV_BUFFER:
		*event = recv_done(s, n, len, now);
		break;
	case HVK_NETVSC_SEND_BUFFER:
		*event = send_done(s, n, now);
		break;
	default:
		*event = subchannel_done(s, n);
		break;
	}
	return (HVK_OK);
}

/* The host has taken a control message and is done with its page. */
static int
input_taken(struct hvk_netvsc *s, const struct hvk_nvsp_message *n,
    uint32_t len, uint64_t txid, uint64_t now, enum hvk_netvsc_event *event)
{
	bool bad;

	if (!s->sending || txid != s->txid) {
		s->late++;
		return (HVK_REJECT);
	}
	s->sending = false;
	bad = len < sizeof(struct hvk_nvsp_rndis_done) ||
	    n->type != HVK_NVSP_RNDIS_DONE ||
	    n->rndis_done.status != HVK_NVSP_STATUS_OK;
	if (bad)
		s->rejected++;
	if (s->replying) {
		s->replying = false;
		bad = false;
	}
	if (s->unsent || speaks_nvsp(s->phase))
		return (HVK_OK);
	if (s->phase == HVK_NETVSC_HALTING)
		*event = netvsc_halted(s);
	else if (s->waiting && bad)
		*event = netvsc_over(s, false, now);
	else if (!s->waiting && s->deadline != UINT64_MAX)
		*event = netvsc_over(s, true, now);
	return (HVK_OK);
}

static int
send_table(struct hvk_netvsc *s, const uint8_t *bytes, uint32_t len)
{
	uint32_t bytes_wanted, count, offset;

	if (len < 12)
		return (HVK_REJECT);
	hvk_copy(&count, bytes + 4, sizeof(count));
	hvk_copy(&offset, bytes + 8, sizeof(offset));
	bytes_wanted = sizeof(s->send_table);
	if (count != HVK_NVSP_SEND_TABLE_SIZE)
		return (HVK_REJECT);
	/* Hosts up to 6.0 state an offset that is wrong. */
	if (s->version <= HVK_NVSP_VERSION_6 &&
	    len >= HVK_NVSP_SEND_TABLE_OFFSET + bytes_wanted)
		offset = HVK_NVSP_SEND_TABLE_OFFSET;
	if (len < bytes_wanted || offset > len - bytes_wanted || offset < 12)
		return (HVK_REJECT);
	hvk_copy(s->send_table, bytes + offset, bytes_wanted);
	return (HVK_OK);
}

/* What the host says unasked. */
static int
unasked(struct hvk_netvsc *s, const struct hvk_nvsp_message *n,
    const struct hvk_packet *pkt, enum hvk_netvsc_event *event)
{
	bool present;

	if (s->version == 0 || s->phase == HVK_NETVSC_FAILED ||
	    s->phase == HVK_NETVSC_HALTED)
		return (HVK_REJECT);
	switch (n->type) {
	case HVK_NVSP_SEND_TABLE:
		if (send_table(s, pkt->payload, pkt->len) != HVK_OK)
			return (HVK_REJECT);
		*event = HVK_NETVSC_SEND_TABLE;
		return (HVK_OK);
	case HVK_NVSP_VF_ASSOCIATION:
		if (pkt->len < 12)
			return (HVK_REJECT);
		present = n->vf.present != 0;
		if (present == s->vf_present && n->vf.serial == s->vf_serial)
			return (HVK_OK);
		s->vf_present = present;
		s->vf_serial = n->vf.serial;
		*event = HVK_NETVSC_VF;
		return (HVK_OK);
	default:
		return (HVK_REJECT);
	}
}

int
hvk_netvsc_input(struct hvk_netvsc *s, const struct hvk_packet *pkt,
    uint64_t now, enum hvk_netvsc_event *event, bool *ack)
{
	struct hvk_nvsp_message n;
	int error;

	*event = HVK_NETVSC_NOTHING;
	*ack = false;
	hvk_zero(&n, sizeof(n));
	if (pkt->len != 0)
		hvk_copy(&n, pkt->payload, pkt->len < sizeof(n) ? pkt->len :
		    sizeof(n));
	if (pkt->type == HVK_PKT_INBAND) {
		*ack = pkt->want_completion;
		error = pkt->len < sizeof(n.type) ? HVK_REJECT :
		    unasked(s, &n, pkt, event);
		if (error != HVK_OK)
			s->rejected++;
		return (error);
	}
	if (pkt->type == HVK_PKT_COMPLETION) {
		switch (netvsc_id_kind(pkt->txid)) {
		case NETVSC_ID_NVSP:
			return (input_nvsp(s, &n, pkt->len, pkt->txid, now,
			    event));
		case NETVSC_ID_RNDIS:
			return (input_taken(s, &n, pkt->len, pkt->txid, now,
			    event));
		case NETVSC_ID_NOTE:
			return (HVK_OK);	/* asked for or not */
		default:
			break;
		}
	}
	s->rejected++;
	return (HVK_REJECT);
}

uint64_t
hvk_netvsc_deadline(const struct hvk_netvsc *s)
{
	return (s->deadline);
}

enum hvk_netvsc_event
hvk_netvsc_tick(struct hvk_netvsc *s, uint64_t now)
{
	bool answered;

	if (now < s->deadline)
		return (HVK_NETVSC_NOTHING);
	switch (s->phase) {
	case HVK_NETVSC_HALTING:
		if (s->sending || s->unsent)
			s->timeouts++;
		return (netvsc_halted(s));
	case HVK_NETVSC_VERSION:
	case HVK_NETVSC_RECV_BUFFER:
	case HVK_NETVSC_SEND_BUFFER:
		s->timeouts++;
		return (netvsc_fail(s, HVK_NETVSC_NO_ANSWER));
	case HVK_NETVSC_SUBCHANNELS:
		/* As if refused; the late answer is rejected by its id. */
		s->timeouts++;
		s->subchannels = 0;
		return (become_ready(s));
	default:
		/* Answered, but never told that the page was read: fine. */
		answered = !s->waiting;
		if (!answered)
			s->timeouts++;
		s->sending = false;
		return (netvsc_over(s, answered, now));
	}
}

enum hvk_netvsc_event
netvsc_halted(struct hvk_netvsc *s)
{
	rest(s, HVK_NETVSC_HALTED);
	s->host_asks = false;
	s->sending = false;
	s->rndis_up = false;
	s->notes = 0;
	if (s->recv.count != 0)
		s->notes |= NOTE_REVOKE_RECV;
	if (s->send_size != 0)
		s->notes |= NOTE_REVOKE_SEND;
	return (HVK_NETVSC_IS_HALTED);
}

int
hvk_netvsc_halt(struct hvk_netvsc *s, uint64_t now)
{
	if (s->phase == HVK_NETVSC_IDLE || s->phase >= HVK_NETVSC_HALTING)
		return (HVK_STATE);
	if (s->mine)
		s->request.answered = false;
	rest(s, HVK_NETVSC_HALTING);
	s->host_asks = false;
	s->sending = false;
	s->replying = false;
	if (s->rndis_up) {
		netvsc_request(s, HVK_RNDIS_HALT, 0, NULL, 0);
		netvsc_step(s, HVK_NETVSC_HALTING, now);
		s->waiting = false;
	} else
		s->deadline = now;	/* the next tick says so */
	return (HVK_OK);
}

bool
hvk_netvsc_gpadl_first(uint32_t vmbus_version)
{
	return (vmbus_version < (4u << 16));
}

int
hvk_netvsc_data_path(struct hvk_netvsc *s, bool vf)
{
	if (s->phase != HVK_NETVSC_READY || s->version < HVK_NVSP_VERSION_4)
		return (HVK_STATE);
	s->path = vf ? HVK_NVSP_PATH_VF : HVK_NVSP_PATH_SYNTHETIC;
	s->notes |= NOTE_PATH;
	return (HVK_OK);
}

void
hvk_netvsc_stop(struct hvk_netvsc *s)
{
	(void)netvsc_fail(s, HVK_NETVSC_STOPPED);
}

void
hvk_netvsc_mtu_begin(struct hvk_netvsc_mtu *m, uint32_t old, uint32_t mtu)
{
	m->mtu = mtu;
	m->old = old;
	m->step = HVK_NETVSC_MTU_HALT;
	m->begun = false;
	m->back = false;
}

/* What failed with the new MTU is done once more with the old one. */
static enum hvk_netvsc_mtu_step
mtu_failed(struct hvk_netvsc_mtu *m)
{
	if (m->back || m->step == HVK_NETVSC_MTU_CLOSE ||
	    m->step == HVK_NETVSC_MTU_OPEN)
		return (HVK_NETVSC_MTU_LOST);
	if (m->step == HVK_NETVSC_MTU_HALT)
		return (HVK_NETVSC_MTU_CLOSE);	/* a silent host: go on */
	m->back = true;
	m->mtu = m->old;
	return (HVK_NETVSC_MTU_CLOSE);
}

enum hvk_netvsc_mtu_step
hvk_netvsc_mtu_next(struct hvk_netvsc_mtu *m, bool ok)
{
	if (!m->begun) {
		m->begun = true;
		return (m->step);
	}
	if (m->step >= HVK_NETVSC_MTU_DONE)
		return (m->step);
	if (!ok)
		m->step = mtu_failed(m);
	else if (m->step == HVK_NETVSC_MTU_RESTORE)
		m->step = m->back ? HVK_NETVSC_MTU_KEPT : HVK_NETVSC_MTU_DONE;
	else
		m->step = (enum hvk_netvsc_mtu_step)(m->step + 1);
	return (m->step);
}
