/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * What the guest says to an adapter besides frames: start-up messages, buffers
 * it lends, control messages of RNDIS; and what waits to be told to it.  What
 * to make of them is the core's business, here is only memory.
 *
 * Locking: nic.state held for writing, on the primary channel's worker, or by
 * the bus when it takes memory away.
 */
#include <stdlib.h>
#include <string.h>

#include "net_int.h"

#define	CONTROL_MIN	32u	/* slots below which a channel keeps none */

/* ---- slots of the receive buffer */

static void
channel_free(struct net_channel *c)
{

	free(c->queue);
	free(c->slots);
	free(c->packets);
	c->queue = NULL;
	c->slots = NULL;
	c->packets = NULL;
}

/* Give channel `index' its part of the receive buffer. */
int
net_channel_slots(struct net_nic *nic, uint32_t index)
{
	struct net_channel *c = &nic->chan[index];
	uint32_t n, packets;
	int error = HVK_OK;

	pthread_mutex_lock(&c->lock);
	channel_free(c);
	n = nic->vsp.slots / nic->channels;
	if (n > HVK_NETVSP_QUEUE_SLOTS)
		n = HVK_NETVSP_QUEUE_SLOTS;
	packets = n < HVK_NETVSP_QUEUE_PACKETS ? n : HVK_NETVSP_QUEUE_PACKETS;
	if (nic->recv == NULL || n == 0)
		error = HVK_STATE;
	else {
		c->queue = calloc(1, sizeof(*c->queue));
		c->slots = calloc(n, sizeof(*c->slots));
		c->packets = calloc(packets, sizeof(*c->packets));
		if (c->queue == NULL || c->slots == NULL || c->packets == NULL)
			error = HVK_NOSPACE;
	}
	if (error == HVK_OK)
		error = hvk_netvsp_queue_init(c->queue, &nic->vsp,
		    index * n, c->slots, n, c->packets, packets);
	if (error != HVK_OK)
		channel_free(c);
	c->reserve = index == 0 && n >= CONTROL_MIN ? NET_RESERVE : 0;
	c->low = c->reserve + (n / 4 < NET_LOW ? n / 4 : NET_LOW);
	pthread_mutex_unlock(&c->lock);
	return (error);
}

void
net_control_drop_recv(struct net_nic *nic)
{
	uint32_t i;

	for (i = 0; i < NET_CHANNELS; i++) {
		pthread_mutex_lock(&nic->chan[i].lock);
		channel_free(&nic->chan[i]);
		pthread_mutex_unlock(&nic->chan[i].lock);
	}
	free(nic->recv);
	nic->recv = NULL;
	nic->recv_gpadl = 0;
}

static void
drop_send(struct net_nic *nic)
{

	free(nic->send);
	nic->send = NULL;
	nic->send_gpadl = 0;
}

void
net_control_gpadl_gone(struct net_nic *nic, uint32_t gpadl)
{

	if (nic->recv != NULL && nic->recv_gpadl == gpadl)
		net_control_drop_recv(nic);
	if (nic->send != NULL && nic->send_gpadl == gpadl)
		drop_send(nic);
}

/* ---- messages */

static void
map_recv(struct net_worker *w, struct hvk_netvsp_request *req)
{
	struct net_nic *nic = w->nic;

	net_control_drop_recv(nic);
	nic->recv = vmm_channel_gpadl(w->channel, req->gpadl);
	nic->recv_gpadl = req->gpadl;
	hvk_netvsp_recv_buffer(&nic->vsp, req, nic->recv != NULL ?
	    nic->recv->len : 0);
	if (nic->vsp.recv_len == 0 || net_channel_slots(nic, 0) != HVK_OK)
		net_control_drop_recv(nic);
}

static void
map_send(struct net_worker *w, struct hvk_netvsp_request *req)
{
	struct net_nic *nic = w->nic;

	drop_send(nic);
	nic->send = vmm_channel_gpadl(w->channel, req->gpadl);
	nic->send_gpadl = req->gpadl;
	hvk_netvsp_send_buffer(&nic->vsp, req, nic->send != NULL ?
	    nic->send->len : 0);
	if (nic->vsp.send_len == 0)
		drop_send(nic);
}

/* The state's lock is dropped: offering takes the bus's. */
static void
add_channels(struct net_worker *w, struct hvk_netvsp_request *req)
{
	struct net_nic *nic = w->nic;
	uint32_t n = req->count;
	int error;

	pthread_rwlock_unlock(&nic->state);
	error = vmm_subchannels_offer(nic->device, (uint16_t)n);
	pthread_rwlock_wrlock(&nic->state);
	if (error != 0)
		vmm_log("%s: cannot offer %u sub-channels", nic->name, n);
	hvk_netvsp_add_channels(&nic->vsp, req, error == 0 ? n : 0);
}

static void
reply(struct net_worker *w, const struct hvk_netvsp_request *req)
{
	struct net_channel *c = &w->nic->chan[w->index];

	if (!req->answer)
		return;
	pthread_mutex_lock(&c->lock);
	if (hvk_tx_completion(c->tx, req->txid, &req->reply,
	    req->reply_len) != HVK_OK)
		net_broken(w);	/* start-up messages come one at a time */
	c->dirty = true;
	w->touched |= 1ull << w->index;
	pthread_mutex_unlock(&c->lock);
}

void
net_control_message(struct net_worker *w, const struct hvk_packet *p)
{
	struct net_nic *nic = w->nic;
	struct hvk_netvsp_request req;

	hvk_netvsp_input(&nic->vsp, w->index == 0, p, &req);
	switch (req.action) {
	case HVK_NETVSP_NOTHING:
		return;
	case HVK_NETVSP_MAP_RECV:
		map_recv(w, &req);
		break;
	case HVK_NETVSP_MAP_SEND:
		map_send(w, &req);
		break;
	case HVK_NETVSP_UNMAP_RECV:
		net_control_drop_recv(nic);
		hvk_netvsp_answer(&nic->vsp, &req);
		break;
	case HVK_NETVSP_UNMAP_SEND:
		drop_send(nic);
		hvk_netvsp_answer(&nic->vsp, &req);
		break;
	case HVK_NETVSP_ADD_CHANNELS:
		add_channels(w, &req);
		break;
	case HVK_NETVSP_PATH:
		hvk_netvsp_answer(&nic->vsp, &req);
		break;
	case HVK_NETVSP_REPLY:
		break;
	}
	reply(w, &req);
}

static void
changed(struct net_nic *nic)
{
	uint32_t what = nic->vsp.changed;

	nic->vsp.changed = 0;
	if ((what & HVK_NETVSP_NEW_RSS) != 0 && nic->vsp.rss.enabled)
		hvk_toeplitz_init(&nic->toeplitz, nic->vsp.rss.key);
}

static void
statistics(struct net_nic *nic)
{
	struct hvk_netvsp_stats *to = &nic->vsp.stats;
	struct net_stats sum;

	net_nic_sum(nic, &sum);
	to->tx_frames = sum.tx_frames;
	to->rx_frames = sum.rx_frames;
	to->tx_bytes = sum.tx_bytes;
	to->rx_bytes = sum.rx_bytes;
	to->tx_errors = sum.drop[DROP_BAD];
	to->tx_discards = sum.drop[DROP_BACKEND];
	to->rx_errors = sum.drop[DROP_BIG];
	to->rx_no_buffer = sum.drop[DROP_NO_BUFFER] + sum.drop[DROP_NO_RING];
}

void
net_control_rndis(struct net_worker *w, const struct hvk_packet *p)
{
	struct net_nic *nic = w->nic;
	struct hvk_netvsp_send s;
	uint32_t status, nseg;
	int error;

	error = hvk_netvsp_send(&nic->vsp, w->index == 0, p, &s, &status);
	if (error == HVK_OK) {
		nseg = net_tx_memory(w, p, &s);
		statistics(nic);
		error = nseg == 0 ? HVK_REJECT :
		    hvk_netvsp_control(&nic->vsp, w->seg, nseg);
		status = error == HVK_OK ? HVK_NVSP_STATUS_OK :
		    error == HVK_AGAIN ? HVK_NVSP_STATUS_BUSY :
		    HVK_NVSP_STATUS_BAD_RNDIS;
		changed(nic);
	}
	if (p->want_completion)
		net_tx_done(w, p->txid, status);
}

/* ---- to the guest */

/* true: sent; false: no room now. */
static bool
send_rndis(struct net_worker *w, struct net_channel *c,
    const struct hvk_netvsp_out *o)
{
	struct net_nic *nic = w->nic;
	uint32_t offset;

	/* Alone in its packet: what is being filled goes first. */
	(void)net_rx_close(w, c);
	if (hvk_netvsp_queue_slot(c->queue, &offset) != HVK_OK)
		return (false);
	if (o->len > nic->vsp.slot_size)
		return (true);		/* cannot be: slots hold an MTU */
	net_pages_write(nic->recv, offset, o->bytes, o->len);
	if (hvk_netvsp_queue_put(c->queue, o->len, true) != HVK_OK)
		return (true);
	return (net_rx_close(w, c));
}

bool
net_control_out(struct net_worker *w)
{
	struct net_nic *nic = w->nic;
	struct net_channel *c = &nic->chan[0];
	const struct hvk_netvsp_out *o;
	bool all = true;

	pthread_mutex_lock(&c->lock);
	while (all && c->open && !c->broken &&
	    (o = hvk_netvsp_peek(&nic->vsp)) != NULL) {
		if (!o->rndis) {
			if (hvk_tx_inband(c->tx, o->txid, false, o->bytes,
			    o->len) != HVK_OK)
				all = false;
		} else if (c->queue != NULL)
			all = send_rndis(w, c, o);
		if (all) {
			hvk_netvsp_pop(&nic->vsp);
			c->dirty = true;
			w->touched |= 1;
		}
	}
	pthread_mutex_unlock(&c->lock);
	return (all);
}
