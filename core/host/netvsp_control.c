/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * The network provider's machine, RNDIS's part: control messages and their
 * answers, what the guest is told unasked, and the queue of both.  Locking: see
 * hvk/host/netvsp.h.  Facts: wire.md section 15, hosts.md section 1.5.
 */
#include "netvsp_int.h"

#define	MAX_TRANSFER	0xefffffffu
#define	ALIGN		3u		/* log2 */

struct hvk_netvsp_out *
netvsp_out(struct hvk_netvsp *v, uint32_t spare)
{
	struct hvk_netvsp_out *out;

	if (v->out_tail - v->out_head + spare >= HVK_NETVSP_OUT)
		return (NULL);
	out = &v->out[v->out_tail++ % HVK_NETVSP_OUT];
	hvk_zero(out, sizeof(*out));
	return (out);
}

const struct hvk_netvsp_out *
hvk_netvsp_peek(const struct hvk_netvsp *v)
{

	if (v->out_head == v->out_tail)
		return (NULL);
	return (&v->out[v->out_head % HVK_NETVSP_OUT]);
}

void
hvk_netvsp_pop(struct hvk_netvsp *v)
{

	if (v->out_head != v->out_tail)
		v->out_head++;
}

static void
finish(struct hvk_netvsp_out *out, const void *message, uint32_t len,
    uint32_t more)
{
	uint32_t total = len + more;

	hvk_copy(out->bytes, message, len);
	hvk_copy((uint8_t *)out->bytes + 4, &total, sizeof(total));
	out->len = total;
	out->rndis = true;
}

static int
init(struct hvk_netvsp *v, const uint8_t *bytes, uint32_t len,
    struct hvk_netvsp_out *out)
{
	struct hvk_rndis_init m;
	struct hvk_rndis_init_done d;

	if (len < sizeof(m))
		return (HVK_REJECT);
	hvk_copy(&m, bytes, sizeof(m));
	hvk_zero(&d, sizeof(d));
	d.type = HVK_RNDIS_INIT_DONE;
	d.id = m.id;
	d.major = HVK_RNDIS_MAJOR;
	d.minor = HVK_RNDIS_MINOR;
	d.status = HVK_RNDIS_STATUS_BAD_VERSION;
	if (m.major == HVK_RNDIS_MAJOR) {
		d.status = HVK_RNDIS_STATUS_OK;
		d.flags = HVK_RNDIS_CONNECTIONLESS;
		d.medium = HVK_RNDIS_MEDIUM_8023;
		d.max_packets = v->config.max_packets;
		d.max_transfer = MAX_TRANSFER;
		d.align = ALIGN;
		netvsp_forget(v);
		if (netvsp_phase(v) == HVK_NETVSP_BUFFERED) {
			netvsp_phase_set(v, HVK_NETVSP_READY);
			v->changed |= HVK_NETVSP_NEW_READY;
		}
	}
	finish(out, &d, sizeof(d), 0);
	return (HVK_OK);
}

/* The information of a query or set; false: it is not in the message. */
static bool
information(const struct hvk_rndis_request *m, const uint8_t *bytes,
    uint32_t len, const uint8_t **info)
{
	uint32_t body = len - HVK_RNDIS_BODY;

	*info = bytes + sizeof(*m);
	if (m->info_len == 0)
		return (true);
	if (m->info_offset < HVK_RNDIS_INFO_OFFSET || m->info_offset > body ||
	    m->info_len > body - m->info_offset)
		return (false);
	*info = bytes + HVK_RNDIS_BODY + m->info_offset;
	return (true);
}

static int
query(struct hvk_netvsp *v, const uint8_t *bytes, uint32_t len,
    struct hvk_netvsp_out *out)
{
	struct hvk_rndis_query_done d;
	struct hvk_rndis_request m;
	const uint8_t *info;
	uint32_t n = 0;

	if (len < sizeof(m))
		return (HVK_REJECT);
	hvk_copy(&m, bytes, sizeof(m));
	hvk_zero(&d, sizeof(d));
	d.type = HVK_RNDIS_QUERY_DONE;
	d.id = m.id;
	if (!information(&m, bytes, len, &info))
		d.status = HVK_RNDIS_STATUS_BAD_DATA;
	else if (netvsp_phase(v) != HVK_NETVSP_READY)
		d.status = HVK_RNDIS_STATUS_FAILURE;
	else
		d.status = netvsp_oid_query(v, m.oid, info, m.info_len,
		    (uint8_t *)out->bytes + sizeof(d), &n);
	if (d.status != HVK_RNDIS_STATUS_OK)
		n = 0;
	if (n != 0) {
		d.info_len = n;
		d.info_offset = HVK_RNDIS_QUERY_DONE_OFFSET;
	}
	finish(out, &d, sizeof(d), n);
	return (HVK_OK);
}

static int
set(struct hvk_netvsp *v, const uint8_t *bytes, uint32_t len,
    struct hvk_netvsp_out *out)
{
	struct hvk_rndis_done d;
	struct hvk_rndis_request m;
	const uint8_t *info;

	if (len < sizeof(m))
		return (HVK_REJECT);
	hvk_copy(&m, bytes, sizeof(m));
	d.type = HVK_RNDIS_SET_DONE;
	d.id = m.id;
	if (!information(&m, bytes, len, &info))
		d.status = HVK_RNDIS_STATUS_BAD_DATA;
	else if (netvsp_phase(v) != HVK_NETVSP_READY)
		d.status = HVK_RNDIS_STATUS_FAILURE;
	else
		d.status = netvsp_oid_set(v, m.oid, info, m.info_len);
	finish(out, &d, sizeof(d), 0);
	return (HVK_OK);
}

static int
keepalive(const uint8_t *bytes, uint32_t len, struct hvk_netvsp_out *out)
{
	struct hvk_rndis_simple m;
	struct hvk_rndis_done d;

	if (len < sizeof(m))
		return (HVK_REJECT);
	hvk_copy(&m, bytes, sizeof(m));
	d.type = HVK_RNDIS_KEEPALIVE_DONE;
	d.id = m.id;
	d.status = HVK_RNDIS_STATUS_OK;
	finish(out, &d, sizeof(d), 0);
	return (HVK_OK);
}

static void
reset(struct hvk_netvsp *v, struct hvk_netvsp_out *out)
{
	struct hvk_rndis_reset_done d;

	netvsp_forget(v);
	d.type = HVK_RNDIS_RESET_DONE;
	d.status = HVK_RNDIS_STATUS_OK;
	d.addressing = 1;	/* filter and addresses must be set anew */
	finish(out, &d, sizeof(d), 0);
}

/* No answer: the guest takes the packet's completion for one. */
static void
halt(struct hvk_netvsp *v)
{

	netvsp_forget(v);
	if (netvsp_phase(v) == HVK_NETVSP_READY) {
		netvsp_phase_set(v, HVK_NETVSP_BUFFERED);
		v->changed |= HVK_NETVSP_NEW_READY;
	}
}

static int
message(struct hvk_netvsp *v, uint32_t type, const uint8_t *bytes,
    uint32_t len)
{
	struct hvk_netvsp_out *out;
	int error = HVK_OK;

	if (type == HVK_RNDIS_HALT) {
		halt(v);
		return (HVK_OK);
	}
	if (type == HVK_RNDIS_KEEPALIVE_DONE)
		return (HVK_OK);
	if (type < HVK_RNDIS_INIT || type > HVK_RNDIS_KEEPALIVE ||
	    type == HVK_RNDIS_INDICATE)
		return (HVK_REJECT);
	out = netvsp_out(v, HVK_NETVSP_OUT_NOTES);
	if (out == NULL) {
		v->control_busy++;
		return (HVK_AGAIN);
	}
	switch (type) {
	case HVK_RNDIS_INIT:
		error = init(v, bytes, len, out);
		break;
	case HVK_RNDIS_QUERY:
		error = query(v, bytes, len, out);
		break;
	case HVK_RNDIS_SET:
		error = set(v, bytes, len, out);
		break;
	case HVK_RNDIS_RESET:
		reset(v, out);
		break;
	default:
		error = keepalive(bytes, len, out);
		break;
	}
	if (error != HVK_OK)
		v->out_tail--;
	return (error);
}

int
hvk_netvsp_control(struct hvk_netvsp *v, const struct hvk_net_seg *seg,
    uint32_t nseg)
{
	uint64_t copy[HVK_NETVSP_CONTROL / 8];
	struct hvk_rndis_header h;
	uint32_t len = hvk_net_total(seg, nseg);
	int error = HVK_REJECT;

	v->controls++;
	if (len > sizeof(copy))
		len = sizeof(copy);
	if (len >= sizeof(h) && netvsp_phase(v) >= HVK_NETVSP_BUFFERED &&
	    hvk_net_gather(seg, nseg, 0, copy, len)) {
		__asm__ volatile ("" : : "r" (copy) : "memory");
		hvk_copy(&h, copy, sizeof(h));
		if (h.len >= sizeof(h) && h.len <= len)
			error = message(v, h.type, (const uint8_t *)copy,
			    h.len);
	}
	if (error == HVK_REJECT)
		v->control_bad++;
	return (error);
}

/* A status with one word, or none if len is 0. */
static void
indicate(struct hvk_netvsp_out *out, uint32_t status, uint32_t word,
    uint32_t len)
{
	struct hvk_rndis_indicate m;

	m.type = HVK_RNDIS_INDICATE;
	m.status = status;
	m.buf_len = len;
	m.buf_offset = len != 0 ? sizeof(m) - HVK_RNDIS_BODY : 0;
	if (len != 0)
		hvk_copy((uint8_t *)out->bytes + sizeof(m), &word,
		    sizeof(word));
	finish(out, &m, sizeof(m), len);
}

/* A message with one of these statuses that has not gone out; or a new one. */
static struct hvk_netvsp_out *
again(struct hvk_netvsp *v, uint32_t status, uint32_t other)
{
	struct hvk_rndis_indicate m;
	struct hvk_netvsp_out *out;
	uint32_t i;

	for (i = v->out_head; i != v->out_tail; i++) {
		out = &v->out[i % HVK_NETVSP_OUT];
		hvk_copy(&m, out->bytes, sizeof(m));
		if (out->rndis && m.type == HVK_RNDIS_INDICATE &&
		    (m.status == status || m.status == other))
			return (out);
	}
	return (netvsp_out(v, 0));
}

int
hvk_netvsp_link(struct hvk_netvsp *v, bool up, uint64_t speed)
{
	struct hvk_netvsp_out *out;

	if (netvsp_phase(v) != HVK_NETVSP_READY) {
		v->link = up;
		v->speed = speed;
		return (HVK_STATE);
	}
	/* Only what the guest will hear of is the state. */
	if (v->link != up) {
		out = again(v, HVK_RNDIS_STATUS_MEDIA_UP,
		    HVK_RNDIS_STATUS_MEDIA_DOWN);
		if (out == NULL)
			return (HVK_AGAIN);
		indicate(out, up ? HVK_RNDIS_STATUS_MEDIA_UP :
		    HVK_RNDIS_STATUS_MEDIA_DOWN, 0, 0);
		v->link = up;
	}
	if (v->speed != speed && (v->caps & HVK_NVSP_CAP_TEAMING) != 0) {
		out = again(v, HVK_RNDIS_STATUS_LINK_SPEED,
		    HVK_RNDIS_STATUS_LINK_SPEED);
		if (out == NULL)
			return (HVK_AGAIN);
		indicate(out, HVK_RNDIS_STATUS_LINK_SPEED,
		    (uint32_t)(speed / 100), 4);
	}
	v->speed = speed;
	return (HVK_OK);
}

int
hvk_netvsp_network_change(struct hvk_netvsp *v)
{
	struct hvk_netvsp_out *out;

	if (netvsp_phase(v) != HVK_NETVSP_READY)
		return (HVK_STATE);
	out = again(v, HVK_RNDIS_STATUS_NETWORK, HVK_RNDIS_STATUS_NETWORK);
	if (out == NULL)
		return (HVK_AGAIN);
	indicate(out, HVK_RNDIS_STATUS_NETWORK, 2 /* definite */, 4);
	return (HVK_OK);
}

int
hvk_netvsp_vf(struct hvk_netvsp *v, bool present, uint32_t serial)
{
	struct hvk_nvsp_message m;
	struct hvk_netvsp_out *out;

	if (netvsp_phase(v) < HVK_NETVSP_BUFFERED ||
	    v->version < HVK_NVSP_VERSION_4 ||
	    (v->caps & HVK_NVSP_CAP_SRIOV) == 0)
		return (HVK_STATE);
	out = netvsp_out(v, 0);
	if (out == NULL)
		return (HVK_AGAIN);
	hvk_zero(&m, sizeof(m));
	m.type = HVK_NVSP_VF_ASSOCIATION;
	m.vf.present = present;
	m.vf.serial = serial;
	hvk_copy(out->bytes, &m, sizeof(m));
	out->len = sizeof(m);
	return (HVK_OK);
}

int
hvk_netvsp_send_table(struct hvk_netvsp *v, uint32_t channels)
{
	struct hvk_nvsp_send_table m;
	struct hvk_netvsp_out *out;
	uint32_t i;

	if (netvsp_phase(v) != HVK_NETVSP_READY || channels == 0 ||
	    v->version < HVK_NVSP_VERSION_5)
		return (HVK_STATE);
	out = netvsp_out(v, 0);
	if (out == NULL)
		return (HVK_AGAIN);
	hvk_zero(&m, sizeof(m));
	m.type = HVK_NVSP_SEND_TABLE;
	m.count = HVK_NVSP_SEND_TABLE_SIZE;
	m.offset = HVK_NVSP_SEND_TABLE_OFFSET;
	for (i = 0; i < HVK_NVSP_SEND_TABLE_SIZE; i++)
		m.table[i] = i % channels;
	hvk_copy(out->bytes, &m, sizeof(m));
	out->len = sizeof(m);
	return (HVK_OK);
}
