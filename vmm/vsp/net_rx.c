/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * Frames to the guest: out of the back-end's queue into a private buffer,
 * through the filters, with a hash to the channel that the guest's table
 * names, into slots of the receive buffer there; a packet of the ring for a
 * whole burst.  A worker stops taking frames while its own channel has no
 * slots, and for a moment when another one it had a frame for has few, so that
 * the back-end's queue, not this one, decides what is lost.  A channel that
 * stays so does not hold up the others: then what is for it is lost and counted.
 *
 * Locking: on the worker's thread, nic.state held for reading; see net_int.h.
 */
#include <errno.h>
#include <string.h>

#include "net_int.h"

#define	ALIGN		8u	/* of messages in slots */

void
net_pages_write(const struct vmm_pages *p, uint32_t offset, const void *from,
    uint32_t len)
{
	const uint8_t *src = from;
	uint64_t at;
	uint32_t in, k;

	/* The core gives offsets inside; the buffer may be gone meanwhile. */
	if (p == NULL || offset > p->len || len > p->len - offset)
		return;
	at = (uint64_t)p->offset + offset;
	for (; len > 0; len -= k, at += k, src += k) {
		in = (uint32_t)(at % VMM_PAGE);
		k = VMM_PAGE - in < len ? VMM_PAGE - in : len;
		memcpy(p->page[at / VMM_PAGE] + in, src, k);
	}
}

static void
capture_frames(struct net_worker *w, const struct net_channel *c,
    uint64_t txid, uint32_t n, const struct hvk_nvsp_message *m)
{
	struct net_capture *cap = atomic_load_explicit(&w->nic->capture,
	    memory_order_relaxed);
	uint8_t buf[HVK_NVSP_RANGES_RSC * 8 + sizeof(*m)];
	struct hvk_packet p;

	if (cap == NULL || n > HVK_NVSP_RANGES_RSC)
		return;
	memcpy(buf, c->queue->range, n * 8);
	memcpy(buf + n * 8, m, sizeof(*m));
	memset(&p, 0, sizeof(p));
	p.type = HVK_PKT_XFER_PAGES;
	p.want_completion = true;
	p.txid = txid;
	p.payload = buf + n * 8;
	p.len = sizeof(*m);
	p.nranges = n;
	p.ranges = buf;
	p.ranges_len = n * 8;
	p.pageset = HVK_NVSP_RECV_ID;
	net_capture_packet(cap, true, vmm_channel_index(c->channel), &p);
}

bool
net_rx_close(struct net_worker *w, struct net_channel *c)
{
	struct hvk_nvsp_message m;
	uint64_t txid;
	uint32_t n;
	int error;

	if (c->queue == NULL || hvk_netvsp_queue_close(c->queue, &txid, &n,
	    &m) != HVK_OK)
		return (true);
	error = net_fault_frames(w, c, txid, n, &m);
	if (error == HVK_OK) {
		capture_frames(w, c, txid, n, &m);
		w->stats.rx_packets++;
		c->dirty = true;
		return (true);
	}
	if (error == HVK_FATAL)
		c->broken = true;
	w->stats.drop[DROP_NO_RING] += n;
	(void)hvk_netvsp_queue_undo(c->queue, txid);
	return (false);
}

/* ---- one frame */

/* What is known of the frame's checksums, if the guest wants to hear it. */
static void
say_csum(struct hvk_net_meta *m, uint32_t on, const struct net_headers *h,
    const struct net_frame *f)
{
	bool v4 = h->l3 == NET_L3_IP4;

	if (v4 && (on & HVK_OFF_RX_IP4) != 0 &&
	    net_frame_ip_good(f->data, h))
		m->csum |= HVK_RXCSUM_IP_OK;
	if (f->csum_ok && h->l4_off != 0) {
		if (h->proto == 6 && (on & (v4 ? HVK_OFF_RX_TCP4 :
		    HVK_OFF_RX_TCP6)) != 0)
			m->csum |= HVK_RXCSUM_TCP_OK;
		else if (h->proto == 17 && (on & (v4 ? HVK_OFF_RX_UDP4 :
		    HVK_OFF_RX_UDP6)) != 0)
			m->csum |= HVK_RXCSUM_UDP_OK;
	}
	if (m->csum != 0)
		m->has |= HVK_NET_CSUM;
}

/* The channel for this frame; the hash goes along. */
static uint32_t
steer(struct net_worker *w, struct hvk_net_meta *m, const uint8_t *data,
    uint32_t len)
{
	struct net_nic *nic = w->nic;
	uint32_t type = 0, to;

	if (!nic->vsp.rss.enabled)
		return (0);
	m->hash = hvk_rss_hash(&nic->toeplitz, nic->vsp.rss.hash, data, len,
	    &type);
	if (type != 0) {
		m->hash_info = HVK_RSS_TOEPLITZ | type;
		m->has |= HVK_NET_HASH | HVK_NET_HASH_INFO;
	}
	to = hvk_netvsp_steer(&nic->vsp, m->hash, NET_CHANNELS);
	return ((nic->open_mask & 1ull << to) != 0 ? to : 0);
}

/* A piece of the frame into the next slot; channel.lock held. */
static bool
put_piece(struct net_worker *w, struct net_channel *c,
    const struct hvk_net_meta *m, const uint8_t *data, uint32_t len)
{
	uint32_t head[HVK_RNDIS_HEADER_MAX / 4 + 1], n, offset;

	if (hvk_netvsp_queue_slot(c->queue, &offset) != HVK_OK)
		return (false);
	n = hvk_rndis_encode(head, m, len, ALIGN);
	net_pages_write(w->nic->recv, offset, head, n);
	net_pages_write(w->nic->recv, offset + n, data, len);
	return (hvk_netvsp_queue_put(c->queue,
	    hvk_rndis_message_len(m, len, ALIGN) <= c->queue->slot_size ?
	    hvk_rndis_message_len(m, len, ALIGN) : n + len, false) == HVK_OK);
}

static enum net_drop
put_locked(struct net_worker *w, struct net_channel *c,
    struct hvk_net_meta *m, const uint8_t *data, uint32_t len)
{
	struct hvk_netvsp_queue *q = c->queue;
	struct hvk_net_meta first = *m;
	uint32_t room, pieces = 1, i, k;

	if (!c->open || c->broken || q == NULL)
		return (DROP_NO_BUFFER);
	room = hvk_netvsp_slot_room(q, m);
	if (len > room) {
		first.has |= HVK_NET_PACKET_ID;
		first.packet_flags = HVK_PACKET_ID_SUB | HVK_PACKET_ID_FIRST;
		room = hvk_netvsp_slot_room(q, &first);
		pieces = (len + room - 1) / room;
	}
	if (pieces > q->max_ranges)
		return (DROP_BIG);
	if (q->nranges + pieces > q->max_ranges)
		(void)net_rx_close(w, c);
	if (q->slots_free < pieces + c->reserve)
		return (DROP_NO_BUFFER);
	for (i = 0; i < pieces; i++) {
		k = len < room ? len : room;
		if (!put_piece(w, c, &first, data, k))
			return (DROP_NO_BUFFER);
		data += k;
		len -= k;
		first.has = HVK_NET_PACKET_ID;
		first.packet_flags = HVK_PACKET_ID_SUB |
		    (i + 2 == pieces ? HVK_PACKET_ID_LAST : 0);
	}
	return (DROP_MAX);
}

static void
deliver(struct net_worker *w, struct net_frame *f, int tci)
{
	struct net_nic *nic = w->nic;
	struct net_capture *cap;
	struct net_channel *c;
	struct hvk_net_meta m;
	struct net_headers h;
	enum net_drop why;
	uint32_t to;

	memset(&m, 0, sizeof(m));
	if (!net_frame_parse(f->data, f->len, &h)) {
		w->stats.drop[DROP_BAD]++;
		return;
	}
	if (tci >= 0) {
		m.has |= HVK_NET_VLAN;
		m.vlan = (uint16_t)tci;
	}
	say_csum(&m, nic->vsp.offloads, &h, f);
	to = steer(w, &m, f->data, f->len);
	c = &nic->chan[to];
	pthread_mutex_lock(&c->lock);
	why = put_locked(w, c, &m, f->data, f->len);
	if (c->queue == NULL || c->queue->slots_free >= c->low)
		w->slow &= ~(1ull << to);
	else if ((w->slow & 1ull << to) == 0) {
		w->full = (uint16_t)to;
		w->full_until = vmm_deadline(NET_PAUSE_MS);
	}
	pthread_mutex_unlock(&c->lock);
	if (why != DROP_MAX) {
		w->stats.drop[why]++;
		return;
	}
	w->touched |= 1ull << to;
	w->stats.steered += to != w->index;
	w->stats.rx_frames++;
	w->stats.rx_bytes += f->len;
	cap = atomic_load_explicit(&nic->capture, memory_order_relaxed);
	if (cap != NULL)
		net_capture_frame(cap, true, tci, f->data, f->len);
}

/* Several segments in one: as it is if the guest takes that, or cut. */
static void
deliver_large(struct net_worker *w, struct net_frame *f, int tci)
{
	uint32_t on = w->nic->vsp.offloads, i, n;
	struct net_frame seg;

	if ((on & (f->gso == NET_GSO_TCP4 ? HVK_OFF_RSC4 : HVK_OFF_RSC6)) !=
	    0) {
		if (!net_frame_csum(f)) {
			w->stats.drop[DROP_BAD]++;
			return;
		}
		w->stats.rx_rsc++;
		deliver(w, f, tci);
		return;
	}
	n = net_frame_segments(f);
	w->stats.rx_cut++;
	for (i = 0; i < n; i++) {
		memset(&seg, 0, sizeof(seg));
		seg.data = w->cut + NET_HEADROOM;
		seg.csum_ok = true;
		seg.len = net_frame_segment(f, i, seg.data, NET_FRAME_MAX);
		if (seg.len == 0) {
			w->stats.drop[DROP_BAD]++;
			return;
		}
		deliver(w, &seg, tci);
	}
}

static void
receive(struct net_worker *w, struct net_frame *f)
{
	struct net_nic *nic = w->nic;
	uint32_t most = nic->vsp.mtu + NET_ETHER;
	int tci;

	tci = net_frame_untag(f);
	if (!net_vlan_in(&nic->vlan, &tci)) {
		w->stats.drop[DROP_VLAN]++;
		return;
	}
	if (!nic->carrier) {
		w->stats.drop[DROP_LINK]++;
		return;
	}
	if (f->len < NET_ETHER) {
		w->stats.drop[DROP_BAD]++;
		return;
	}
	if (!hvk_netvsp_passes(&nic->vsp, f->data)) {
		w->stats.drop[DROP_FILTER]++;
		return;
	}
	if (f->gso != NET_GSO_NONE) {
		if ((uint32_t)f->hdr_len + f->gso_size > most)
			w->stats.drop[DROP_BIG]++;
		else
			deliver_large(w, f, tci);
		return;
	}
	if (f->len > most) {
		w->stats.drop[DROP_BIG]++;
		return;
	}
	if (!net_frame_csum(f))
		w->stats.drop[DROP_BAD]++;
	else
		deliver(w, f, tci);
}

/* ---- bursts */

/* Is a channel waited for?  It gives slots back, or its time is over. */
static bool
paused(struct net_worker *w)
{
	const struct net_channel *c;

	if (w->full == NET_NOBODY)
		return (false);
	c = &w->nic->chan[w->full];
	if (c->queue != NULL && __atomic_load_n(&c->queue->slots_free,
	    __ATOMIC_RELAXED) < c->low) {
		if (vmm_left_ms(w->full_until) > 0)
			return (true);
		w->slow |= 1ull << w->full;
	}
	w->full = NET_NOBODY;
	return (false);
}

bool
net_rx_possible(struct net_worker *w)
{
	struct net_channel *c = &w->nic->chan[w->index];

	return (w->nic->backend != NULL && c->queue != NULL && !w->broken &&
	    !vmm_channel_rescinded(w->channel) &&
	    w->nic->vsp.phase == HVK_NETVSP_READY &&
	    __atomic_load_n(&c->queue->slots_free, __ATOMIC_RELAXED) >
	    c->reserve && !paused(w));
}

unsigned
net_rx_pass(struct net_worker *w)
{
	struct net_nic *nic = w->nic;
	struct net_frame f;
	unsigned n = 0, k;
	uint32_t q;

	for (q = 0; q < nic->nports; q++) {
		if (!net_worker_serves(w, q) || !net_rx_possible(w))
			continue;
		if (pthread_mutex_trylock(&nic->port[q].lock) != 0)
			continue;
		for (k = 0; k < NET_BUDGET && net_rx_possible(w); k++) {
			f.data = w->rx_frame + NET_HEADROOM;
			f.len = NET_FRAME_MAX;
			if (net_backend_recv(nic->backend, q, &f) != 0)
				break;
			receive(w, &f);
		}
		pthread_mutex_unlock(&nic->port[q].lock);
		n += k;
	}
	return (n);
}

void
net_rx_publish(struct net_worker *w)
{
	struct net_channel *c;
	uint64_t left = w->touched;

	w->touched = 0;
	for (; left != 0; left &= left - 1) {
		c = &w->nic->chan[__builtin_ctzll(left)];
		pthread_mutex_lock(&c->lock);
		if (c->open && !c->broken) {
			(void)net_rx_close(w, c);
			if (c->dirty && hvk_ring_tx_publish(c->tx)) {
				w->stats.signals++;
				vmm_channel_signal(c->channel);
			}
			c->dirty = false;
		}
		pthread_mutex_unlock(&c->lock);
	}
}
