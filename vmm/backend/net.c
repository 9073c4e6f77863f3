/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * Back-ends of NICs: the common part.  It owns the queues' counters, and does
 * in software what a back-end cannot.
 * Locking: a queue's data belongs to the thread that uses the queue.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "net_int.h"

#define	VNET_NEEDS_CSUM	1u
#define	VNET_DATA_VALID	2u
#define	VNET_TCP4	1u
#define	VNET_TCP6	4u
#define	VNET_ECN	0x80u
#define	RECV_TRIES	64u

const char *
net_key(const json_t *nic, const char *key, const char *def)
{
	const char *s = json_string_value(json_object_get(nic, key));

	return (s != NULL ? s : def);
}

uint32_t
net_number(const json_t *nic, const char *key, uint32_t def)
{
	const json_t *v = json_object_get(nic, key);

	return (json_is_integer(v) && json_integer_value(v) >= 0 &&
	    json_integer_value(v) <= UINT32_MAX ?
	    (uint32_t)json_integer_value(v) : def);
}

void
net_vnet_make(struct net_vnet *v, const struct net_frame *f)
{

	memset(v, 0, sizeof(*v));
	if (f->csum) {
		v->flags = VNET_NEEDS_CSUM;
		v->csum_start = f->csum_start;
		v->csum_offset = f->csum_offset;
	} else if (f->csum_ok)
		v->flags = VNET_DATA_VALID;
	if (f->gso != NET_GSO_NONE) {
		v->gso_type = f->gso == NET_GSO_TCP4 ? VNET_TCP4 : VNET_TCP6;
		v->gso_size = f->gso_size;
		v->hdr_len = f->hdr_len;
	}
}

bool
net_vnet_take(const struct net_vnet *v, struct net_frame *f)
{
	struct net_headers h;

	f->csum = (v->flags & VNET_NEEDS_CSUM) != 0;
	f->csum_ok = (v->flags & VNET_DATA_VALID) != 0;
	f->csum_start = v->csum_start;
	f->csum_offset = v->csum_offset;
	f->gso = NET_GSO_NONE;
	if (f->len < NET_ETHER || (f->csum && (uint32_t)f->csum_start +
	    f->csum_offset + 2 > f->len))
		return (false);
	if (v->gso_type == 0)
		return (true);
	/* Its headers say better what it is than hdr_len, which is a hint. */
	if (!f->csum || v->gso_size == 0 || !net_frame_parse(f->data, f->len,
	    &h) || h.l4_off == 0 || h.l4_off != f->csum_start)
		return (false);
	switch (v->gso_type & ~VNET_ECN) {
	case VNET_TCP4:
		f->gso = NET_GSO_TCP4;
		break;
	case VNET_TCP6:
		f->gso = NET_GSO_TCP6;
		break;
	default:
		return (false);
	}
	f->gso_size = v->gso_size;
	f->hdr_len = (uint16_t)(h.l4_off + h.l4_len);
	return (f->hdr_len <= f->len);
}

struct net_backend *
net_backend_open(const json_t *nic, char *err, size_t errlen)
{
	const char *kind = net_key(nic, "backend", "slirp");
	struct net_backend *b;

	if (strcmp(kind, "tap") == 0)
		b = net_tap_open(nic, err, errlen);
	else if (strcmp(kind, "slirp") == 0)
		b = net_slirp_open(nic, err, errlen);
	else if (strcmp(kind, "pair") == 0)
		b = net_pair_open(nic, err, errlen);
	else {
		vmm_fail(err, errlen, 0, "'%.32s' is no back-end of a NIC; "
		    "use slirp, tap or pair", kind);
		return (NULL);
	}
	if (b == NULL)
		return (NULL);
	b->mtu = net_number(nic, "mtu", 1500);
	b->counters = calloc(b->queues, sizeof(*b->counters));
	b->segment = malloc((size_t)b->queues * NET_FRAME_MAX);
	if (b->counters == NULL || b->segment == NULL) {
		vmm_fail(err, errlen, 0, "out of memory for a NIC's queues");
		net_backend_close(b);
		return (NULL);
	}
	return (b);
}

void
net_backend_close(struct net_backend *b)
{

	if (b == NULL)
		return;
	free(b->counters);
	free(b->segment);
	b->ops->close(b);
}

const struct net_caps *
net_backend_caps(const struct net_backend *b)
{

	return (&b->caps);
}

uint32_t
net_backend_queues(const struct net_backend *b)
{

	return (b->queues);
}

const char *
net_backend_kind(const struct net_backend *b)
{

	return (b->kind);
}

bool
net_backend_link(struct net_backend *b)
{

	return (b->ops->link == NULL || b->ops->link(b));
}

void
net_backend_info(struct net_backend *b, json_t *into)
{

	json_object_set_new(into, "backend", json_string(b->kind));
	json_object_set_new(into, "backend_queues",
	    json_integer((json_int_t)b->queues));
	if (b->ops->info != NULL)
		b->ops->info(b, into);
}

const struct net_counters *
net_backend_counters(const struct net_backend *b, uint32_t queue)
{

	return (&b->counters[queue]);
}

int
net_backend_fd(struct net_backend *b, uint32_t queue)
{

	return (b->ops->fd(b, queue));
}

static int
send_one(struct net_backend *b, uint32_t queue, struct net_frame *f)
{
	struct net_counters *c = &b->counters[queue];
	uint32_t len = f->len;
	int error;

	if (f->csum && !b->caps.csum) {
		if (!net_frame_csum(f)) {
			c->tx_errors++;
			return (-EINVAL);
		}
		c->soft_csum++;
	}
	error = b->ops->send(b, queue, f);
	if (error == 0) {
		c->tx_frames++;
		c->tx_bytes += len;
	} else if (error == -EAGAIN)
		c->tx_full++;
	else
		c->tx_errors++;
	return (error);
}

/* A segment that finds no room is lost like a frame on a wire. */
static int
send_segments(struct net_backend *b, uint32_t queue, struct net_frame *f)
{
	struct net_frame seg;
	uint8_t *out = b->segment + (size_t)queue * NET_FRAME_MAX +
	    NET_HEADROOM;
	uint32_t i, n = net_frame_segments(f);
	int error, first = 0;

	b->counters[queue].soft_gso++;
	for (i = 0; i < n; i++) {
		memset(&seg, 0, sizeof(seg));
		seg.data = out;
		seg.len = net_frame_segment(f, i, out, NET_FRAME_MAX -
		    NET_HEADROOM);
		if (seg.len == 0) {
			b->counters[queue].tx_errors++;
			return (-EINVAL);
		}
		seg.csum_ok = true;
		error = send_one(b, queue, &seg);
		if (error != 0 && first == 0)
			first = error;
	}
	return (first);
}

int
net_backend_send(struct net_backend *b, uint32_t queue, struct net_frame *f)
{

	if (f->len < NET_ETHER || f->len > NET_FRAME_MAX) {
		b->counters[queue].tx_errors++;
		return (-EMSGSIZE);
	}
	if ((f->gso == NET_GSO_TCP4 && !b->caps.tso4) ||
	    (f->gso == NET_GSO_TCP6 && !b->caps.tso6))
		return (send_segments(b, queue, f));
	return (send_one(b, queue, f));
}

void
net_backend_flush(struct net_backend *b, uint32_t queue)
{

	if (b->ops->flush != NULL)
		b->ops->flush(b, queue);
}

int
net_backend_recv(struct net_backend *b, uint32_t queue, struct net_frame *f)
{
	struct net_counters *c = &b->counters[queue];
	uint32_t cap = f->len;
	uint8_t *data = f->data;
	int error;
	unsigned i;

	/* Not for ever, however much nonsense waits. */
	for (i = 0; i < RECV_TRIES; i++) {
		memset(f, 0, sizeof(*f));
		f->data = data;
		f->len = cap;
		error = b->ops->recv(b, queue, f);
		if (error == -EMSGSIZE || error == -EINVAL) {
			c->rx_errors++;
			continue;
		}
		if (error == 0) {
			c->rx_frames++;
			c->rx_bytes += f->len;
		}
		return (error);
	}
	return (-EAGAIN);
}
