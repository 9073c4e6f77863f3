/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * The network provider's machine, NVSP's part: versions, buffers, sub-channels,
 * and where the guest's RNDIS packets are.  Locking: see hvk/host/netvsp.h.
 * Facts: wire.md section 14; orders and sizes that hosts use, hosts.md section
 * 1.5.
 */
#include "netvsp_int.h"

#define	ETHER		14u
#define	MTU		1500u
#define	SPEED		10000000000ull
#define	MAX_PACKETS	8u
#define	MAX_MDL		34u
#define	NO_VERSION	0xffffffffu
#define	SLOT_ALIGN	64u
#define	MIN_SLOTS	16u	/* a receive buffer with fewer is refused */

static const uint32_t versions[] = {
	HVK_NVSP_VERSION_61, HVK_NVSP_VERSION_6, HVK_NVSP_VERSION_5,
	HVK_NVSP_VERSION_4, HVK_NVSP_VERSION_2, HVK_NVSP_VERSION_1
};

static bool
version_known(uint32_t version)
{
	uint32_t i;

	for (i = 0; i < HVK_COUNT(versions); i++) {
		if (versions[i] == version)
			return (true);
	}
	return (false);
}

enum hvk_netvsp_kind
hvk_netvsp_kind(const struct hvk_packet *pkt)
{
	uint32_t word[2];

	if (pkt->type == HVK_PKT_COMPLETION)
		return (HVK_NETVSP_KIND_DONE);
	if (pkt->type != HVK_PKT_INBAND && pkt->type != HVK_PKT_GPA_DIRECT)
		return (HVK_NETVSP_KIND_NONE);
	if (pkt->len < 16)
		return (HVK_NETVSP_KIND_MESSAGE);
	hvk_copy(word, pkt->payload, sizeof(word));
	if (word[0] != HVK_NVSP_RNDIS)
		return (HVK_NETVSP_KIND_MESSAGE);
	return (word[1] == HVK_NVSP_CHANNEL_DATA ? HVK_NETVSP_KIND_DATA :
	    HVK_NETVSP_KIND_CONTROL);
}

int
hvk_netvsp_init(struct hvk_netvsp *v, const struct hvk_netvsp_config *c)
{

	if ((c->max_version != 0 && !version_known(c->max_version)) ||
	    c->max_subchannels >= HVK_NETVSP_CHANNELS ||
	    (c->max_mtu != 0 && (c->max_mtu < MTU ||
	    c->max_mtu > HVK_NETVSP_MTU_MAX)) ||
	    (c->section_size != 0 && (c->section_size < 2048 ||
	    c->section_size % 8 != 0)) || (c->mac[0] & 1) != 0)
		return (HVK_RANGE);
	hvk_zero(v, sizeof(*v));
	v->config = *c;
	if (c->max_version == 0)
		v->config.max_version = versions[0];
	if (c->max_mtu == 0)
		v->config.max_mtu = HVK_NETVSP_MTU_MAX;
	if (c->speed == 0)
		v->config.speed = SPEED;
	if (c->max_packets == 0)
		v->config.max_packets = MAX_PACKETS;
	if (c->section_size == 0)
		v->config.section_size = HVK_NETVSP_SECTION;
	v->link = c->link;
	v->speed = v->config.speed;
	hvk_netvsp_reset(v);
	return (HVK_OK);
}

void
netvsp_forget(struct hvk_netvsp *v)
{

	v->filter = 0;
	v->nmulticast = 0;
	v->offloads = 0;
	hvk_zero(&v->rss, sizeof(v->rss));
	hvk_copy(v->mac, v->config.mac, sizeof(v->mac));
	v->changed |= HVK_NETVSP_NEW_FILTER | HVK_NETVSP_NEW_RSS |
	    HVK_NETVSP_NEW_OFFLOADS | HVK_NETVSP_NEW_MAC;
}

void
hvk_netvsp_reset(struct hvk_netvsp *v)
{

	netvsp_phase_set(v, HVK_NETVSP_CLOSED);
	v->version = v->ndis_version = v->caps = 0;
	v->mtu = MTU;
	v->recv_len = v->slot_size = v->slots = 0;
	v->send_len = v->sections = 0;
	v->subchannels = 0;
	v->asked = false;
	v->path = HVK_NVSP_PATH_SYNTHETIC;
	v->out_head = v->out_tail = 0;
	netvsp_forget(v);
	v->changed |= HVK_NETVSP_NEW_READY;
}

/* How long a message is depends on the version; more is never wrong. */
static uint32_t
message_len(const struct hvk_netvsp *v)
{

	return (v->version != 0 && v->version < HVK_NVSP_VERSION_61 ?
	    HVK_NVSP_SIZE_OLD : HVK_NVSP_SIZE);
}

static void
reply(struct hvk_netvsp_request *r, uint32_t len)
{

	r->reply_len = len;
	r->action = r->answer ? HVK_NETVSP_REPLY : HVK_NETVSP_NOTHING;
}

/* An empty completion, for whoever wants one. */
static void
deny(struct hvk_netvsp *v, struct hvk_netvsp_request *r)
{

	v->refused++;
	reply(r, 0);
}

static void
init(struct hvk_netvsp *v, const struct hvk_nvsp_message *m,
    struct hvk_netvsp_request *r)
{
	struct hvk_nvsp_message *n = &r->reply;
	uint32_t i;

	n->type = HVK_NVSP_INIT_DONE;
	n->init_done.version = NO_VERSION;
	n->init_done.max_mdl = MAX_MDL;
	n->init_done.status = HVK_NVSP_STATUS_FAIL;
	for (i = 0; i < HVK_COUNT(versions); i++) {
		if (versions[i] <= v->config.max_version &&
		    versions[i] <= m->init.max && versions[i] >= m->init.min)
			break;
	}
	if (netvsp_phase(v) != HVK_NETVSP_CLOSED)
		v->refused++;
	else if (i == HVK_COUNT(versions)) {
		/* Not an error of the guest: it now tries an older one. */
		n->init_done.status = m->init.max > v->config.max_version ?
		    HVK_NVSP_STATUS_TOO_NEW : HVK_NVSP_STATUS_UNSUPPORTED;
	} else {
		v->version = versions[i];
		if (v->version == HVK_NVSP_VERSION_1)
			n->init_done.version = v->version;
		n->init_done.status = HVK_NVSP_STATUS_OK;
		netvsp_phase_set(v, HVK_NETVSP_VERSIONED);
	}
	reply(r, message_len(v));
}

static void
ndis_config(struct hvk_netvsp *v, const struct hvk_nvsp_message *m,
    struct hvk_netvsp_request *r)
{
	uint32_t mtu = m->ndis_config.mtu;

	if (netvsp_phase(v) != HVK_NETVSP_VERSIONED ||
	    v->version < HVK_NVSP_VERSION_2) {
		deny(v, r);
		return;
	}
	mtu = mtu > ETHER ? mtu - ETHER : 0;
	v->mtu = mtu < HVK_NETVSP_MTU_MIN ? HVK_NETVSP_MTU_MIN :
	    mtu > v->config.max_mtu ? v->config.max_mtu : mtu;
	v->caps = m->ndis_config.caps[0];
	reply(r, 0);
}

static void
ndis_version(struct hvk_netvsp *v, const struct hvk_nvsp_message *m,
    struct hvk_netvsp_request *r)
{

	if (netvsp_phase(v) != HVK_NETVSP_VERSIONED ||
	    m->ndis_version.major != 6 || m->ndis_version.minor > 0xffff) {
		deny(v, r);
		return;
	}
	v->ndis_version = HVK_NDIS_VERSION(6, m->ndis_version.minor);
	netvsp_phase_set(v, HVK_NETVSP_NDIS);
	reply(r, 0);
}

static void
buffer(struct hvk_netvsp *v, const struct hvk_nvsp_message *m,
    struct hvk_netvsp_request *r)
{
	bool recv = m->type == HVK_NVSP_RECV_BUFFER;
	enum hvk_netvsp_phase phase = netvsp_phase(v);

	r->action = recv ? HVK_NETVSP_MAP_RECV : HVK_NETVSP_MAP_SEND;
	r->gpadl = m->buffer.gpadl;
	if (recv && (phase != HVK_NETVSP_NDIS || v->recv_len != 0 ||
	    m->buffer.id != HVK_NVSP_RECV_ID || r->gpadl == 0))
		hvk_netvsp_recv_buffer(v, r, 0);
	else if (!recv && (phase < HVK_NETVSP_NDIS || v->send_len != 0 ||
	    r->gpadl == 0))
		hvk_netvsp_send_buffer(v, r, 0);
}

void
hvk_netvsp_recv_buffer(struct hvk_netvsp *v, struct hvk_netvsp_request *r,
    uint32_t len)
{
	struct hvk_nvsp_message *n = &r->reply;
	uint32_t size;

	n->type = HVK_NVSP_RECV_BUFFER_DONE;
	size = (HVK_RNDIS_HEADER_MAX + v->mtu + ETHER + 4 + SLOT_ALIGN - 1) &
	    ~(SLOT_ALIGN - 1);
	if (len > HVK_NETVSP_BUFFER_MAX || len / size < MIN_SLOTS) {
		v->refused++;
		n->recv_done.status = HVK_NVSP_STATUS_FAIL;
		reply(r, message_len(v));
		return;
	}
	v->recv_len = len;
	v->slot_size = size;
	v->slots = len / size;
	n->recv_done.status = HVK_NVSP_STATUS_OK;
	n->recv_done.nsections = 1;
	n->recv_done.section.size = size;
	n->recv_done.section.count = v->slots;
	n->recv_done.section.end = size * v->slots;
	netvsp_phase_set(v, HVK_NETVSP_BUFFERED);
	reply(r, message_len(v));
}

void
hvk_netvsp_send_buffer(struct hvk_netvsp *v, struct hvk_netvsp_request *r,
    uint32_t len)
{
	struct hvk_nvsp_message *n = &r->reply;

	n->type = HVK_NVSP_SEND_BUFFER_DONE;
	if (len > HVK_NETVSP_BUFFER_MAX || v->config.section_size == 0 ||
	    len < v->config.section_size) {
		v->refused++;
		n->send_done.status = HVK_NVSP_STATUS_FAIL;
	} else {
		v->send_len = len;
		v->sections = len / v->config.section_size;
		n->send_done.status = HVK_NVSP_STATUS_OK;
		n->send_done.section_size = v->config.section_size;
	}
	reply(r, message_len(v));
}

static void
subchannel(struct hvk_netvsp *v, const struct hvk_nvsp_message *m,
    struct hvk_netvsp_request *r)
{

	r->action = HVK_NETVSP_ADD_CHANNELS;
	r->count = m->subchannel.count;
	if (netvsp_phase(v) == HVK_NETVSP_READY && !v->asked &&
	    v->version >= HVK_NVSP_VERSION_5 &&
	    m->subchannel.operation == HVK_NVSP_SUBCHANNEL_ALLOCATE &&
	    r->count != 0 && r->count <= v->config.max_subchannels) {
		v->asked = true;
		return;
	}
	v->refused++;
	r->reply.type = HVK_NVSP_SUBCHANNEL;
	r->reply.subchannel_done.status = HVK_NVSP_STATUS_FAIL;
	reply(r, message_len(v));
}

void
hvk_netvsp_add_channels(struct hvk_netvsp *v, struct hvk_netvsp_request *r,
    uint32_t count)
{

	v->subchannels = count < r->count ? count : r->count;
	r->reply.type = HVK_NVSP_SUBCHANNEL;
	r->reply.subchannel_done.status = v->subchannels != 0 ?
	    HVK_NVSP_STATUS_OK : HVK_NVSP_STATUS_FAIL;
	r->reply.subchannel_done.count = v->subchannels;
	reply(r, message_len(v));
}

static void
data_path(struct hvk_netvsp *v, const struct hvk_nvsp_message *m,
    struct hvk_netvsp_request *r)
{

	r->path = m->data_path.path;
	if (netvsp_phase(v) != HVK_NETVSP_READY || r->path > HVK_NVSP_PATH_VF ||
	    v->version < HVK_NVSP_VERSION_4 ||
	    (r->path == HVK_NVSP_PATH_VF && !v->config.vf))
		deny(v, r);
	else
		r->action = HVK_NETVSP_PATH;
}

static void
revoke(struct hvk_netvsp *v, const struct hvk_nvsp_message *m,
    struct hvk_netvsp_request *r)
{

	if (m->type == HVK_NVSP_RECV_BUFFER_REVOKE && v->recv_len != 0)
		r->action = HVK_NETVSP_UNMAP_RECV;
	else if (m->type == HVK_NVSP_SEND_BUFFER_REVOKE && v->send_len != 0)
		r->action = HVK_NETVSP_UNMAP_SEND;
	else
		deny(v, r);
}

void
hvk_netvsp_answer(struct hvk_netvsp *v, struct hvk_netvsp_request *r)
{

	switch (r->action) {
	case HVK_NETVSP_UNMAP_RECV:
		v->recv_len = v->slot_size = v->slots = 0;
		netvsp_phase_set(v, HVK_NETVSP_NDIS);
		netvsp_forget(v);
		v->changed |= HVK_NETVSP_NEW_READY;
		break;
	case HVK_NETVSP_UNMAP_SEND:
		v->send_len = v->sections = 0;
		break;
	case HVK_NETVSP_PATH:
		v->path = r->path;
		break;
	default:
		break;
	}
	reply(r, 0);
}

/* Bytes that a message must have at least. */
static uint32_t
least(uint32_t type)
{

	switch (type) {
	case HVK_NVSP_NDIS_CONFIG:
		return (20);
	case HVK_NVSP_RECV_BUFFER:
	case HVK_NVSP_SEND_BUFFER:
		return (10);
	case HVK_NVSP_RECV_BUFFER_REVOKE:
	case HVK_NVSP_SEND_BUFFER_REVOKE:
		return (6);
	case HVK_NVSP_DATA_PATH:
		return (8);
	default:
		return (12);
	}
}

void
hvk_netvsp_input(struct hvk_netvsp *v, bool primary,
    const struct hvk_packet *pkt, struct hvk_netvsp_request *r)
{
	struct hvk_nvsp_message m;

	hvk_zero(r, sizeof(*r));
	hvk_zero(&m, sizeof(m));
	r->txid = pkt->txid;
	r->answer = pkt->want_completion;
	if (pkt->len != 0)
		hvk_copy(&m, pkt->payload, pkt->len < sizeof(m) ? pkt->len :
		    sizeof(m));
	if (pkt->type == HVK_PKT_COMPLETION) {
		v->ignored++;
		r->action = HVK_NETVSP_NOTHING;
		return;
	}
	if (!primary || pkt->type != HVK_PKT_INBAND || pkt->len < 4 ||
	    pkt->len < least(m.type)) {
		deny(v, r);
		return;
	}
	switch (m.type) {
	case HVK_NVSP_INIT:
		init(v, &m, r);
		break;
	case HVK_NVSP_NDIS_CONFIG:
		ndis_config(v, &m, r);
		break;
	case HVK_NVSP_NDIS_VERSION:
		ndis_version(v, &m, r);
		break;
	case HVK_NVSP_RECV_BUFFER:
	case HVK_NVSP_SEND_BUFFER:
		buffer(v, &m, r);
		break;
	case HVK_NVSP_RECV_BUFFER_REVOKE:
	case HVK_NVSP_SEND_BUFFER_REVOKE:
		revoke(v, &m, r);
		break;
	case HVK_NVSP_SUBCHANNEL:
		subchannel(v, &m, r);
		break;
	case HVK_NVSP_DATA_PATH:
		data_path(v, &m, r);
		break;
	default:
		deny(v, r);
		break;
	}
}

int
hvk_netvsp_send(const struct hvk_netvsp *v, bool primary,
    const struct hvk_packet *pkt, struct hvk_netvsp_send *s, uint32_t *status)
{
	uint32_t word[4];

	*status = HVK_NVSP_STATUS_BAD_RNDIS;
	if (pkt->len < sizeof(word) || (pkt->type != HVK_PKT_INBAND &&
	    pkt->type != HVK_PKT_GPA_DIRECT))
		return (HVK_REJECT);
	hvk_copy(word, pkt->payload, sizeof(word));
	s->control = word[1] == HVK_NVSP_CHANNEL_CONTROL;
	s->in_section = word[2] != HVK_NVSP_NO_SECTION;
	s->offset = s->len = 0;
	if (word[0] != HVK_NVSP_RNDIS || (!s->control &&
	    word[1] != HVK_NVSP_CHANNEL_DATA) || (s->control && !primary))
		return (HVK_REJECT);
	if (netvsp_phase(v) < (s->control ? HVK_NETVSP_BUFFERED :
	    HVK_NETVSP_READY)) {
		*status = HVK_NVSP_STATUS_FAIL;
		return (HVK_STATE);
	}
	if (s->in_section) {
		if (word[2] >= v->sections || word[3] == 0 ||
		    word[3] > v->config.section_size)
			return (HVK_REJECT);
		s->offset = word[2] * v->config.section_size;
		s->len = word[3];
	} else if (pkt->type != HVK_PKT_GPA_DIRECT)
		return (HVK_REJECT);
	*status = HVK_NVSP_STATUS_OK;
	return (HVK_OK);
}
