/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * Frames from the guest: found in its memory, copied once into a private
 * buffer, checked there, and handed to the back-end with what it may do to
 * them.  Completions go back in batches.
 * Locking: on the worker's thread, nic.state held for reading; see net_int.h.
 */
#include <errno.h>
#include <string.h>

#include "net_int.h"

/* ---- the guest's memory */

/* Joined with the last piece when it goes on there. */
static bool
seg_add(struct net_worker *w, uint32_t *n, uint8_t *base, uint32_t len)
{

	if (*n > 0 && w->seg[*n - 1].base + w->seg[*n - 1].len == base) {
		w->seg[*n - 1].len += len;
		return (true);
	}
	if (*n == NET_SEGS)
		return (false);
	w->seg[*n].base = base;
	w->seg[*n].len = len;
	(*n)++;
	return (true);
}

static bool
seg_section(struct net_worker *w, uint32_t *n, uint32_t offset, uint32_t len)
{
	const struct vmm_pages *p = w->nic->send;
	uint64_t at;
	uint32_t in, k;

	if (p == NULL || offset > p->len || len > p->len - offset)
		return (false);
	at = (uint64_t)p->offset + offset;
	for (; len > 0; len -= k, at += k) {
		in = (uint32_t)(at % VMM_PAGE);
		k = VMM_PAGE - in < len ? VMM_PAGE - in : len;
		if (!seg_add(w, n, p->page[at / VMM_PAGE] + in, k))
			return (false);
	}
	return (true);
}

static bool
seg_range(struct net_worker *w, uint32_t *n, const struct hvk_gpa_view *v)
{
	uint32_t i, left = v->len, in = v->offset, k;
	uint8_t *page;
	uint64_t pfn;

	for (i = 0; i < v->npfn && left > 0; i++) {
		pfn = hvk_gpa_view_pfn(v, i);
		if (pfn > UINT64_MAX / VMM_PAGE)
			return (false);
		page = guest_mem_view(w->mem, pfn * VMM_PAGE, VMM_PAGE);
		if (page == NULL)
			return (false);
		k = VMM_PAGE - in < left ? VMM_PAGE - in : left;
		if (!seg_add(w, n, page + in, k))
			return (false);
		left -= k;
		in = 0;
	}
	return (left == 0);
}

uint32_t
net_tx_memory(struct net_worker *w, const struct hvk_packet *p,
    const struct hvk_netvsp_send *s)
{
	struct hvk_gpa_view view;
	uint32_t n = 0, cursor = 0;
	int error;

	if (s->in_section && !seg_section(w, &n, s->offset, s->len))
		return (0);
	if (p->type != HVK_PKT_GPA_DIRECT)
		return (n);
	while ((error = hvk_packet_gpa_next(p, &cursor, &view)) == HVK_OK)
		if (!seg_range(w, &n, &view))
			return (0);
	return (error == HVK_AGAIN ? n : 0);
}

/* ---- frames */

static void
send_frame(struct net_worker *w, struct net_frame *f)
{
	struct net_nic *nic = w->nic;
	struct net_capture *cap = atomic_load_explicit(&nic->capture,
	    memory_order_relaxed);
	uint32_t port = w->index % nic->nports, len = f->len;
	int error;

	if (!w->sending) {
		pthread_mutex_lock(&nic->port[port].send);
		w->sending = true;
	}
	if (cap != NULL) {
		/* Whoever reads it wants to see what arrives. */
		if (f->gso == NET_GSO_NONE)
			(void)net_frame_csum(f);
		net_capture_frame(cap, false, -1, f->data, f->len);
	}
	error = net_backend_send(nic->backend, port, f);
	if (error != 0) {
		w->stats.drop[error == -ENOTCONN ? DROP_LINK :
		    DROP_BACKEND]++;
		return;
	}
	w->stats.tx_frames++;
	w->stats.tx_bytes += len;
}

/* What the guest asks for, in the back-end's words. */
static bool
take_offloads(struct net_worker *w, struct net_frame *f,
    const struct hvk_net_meta *m)
{
	struct net_headers h;

	if ((m->has & (HVK_NET_CSUM | HVK_NET_LSO)) == 0)
		return (true);
	if (!net_frame_parse(f->data, f->len, &h))
		return (false);
	if ((m->has & HVK_NET_LSO) != 0) {
		w->stats.tx_lso++;
		return (net_frame_want_gso(f, &h, HVK_LSO_MSS(m->lso)));
	}
	if ((m->csum & HVK_TXCSUM_IP) != 0)
		net_frame_ip_csum(f, &h);
	if ((m->csum & (HVK_TXCSUM_TCP | HVK_TXCSUM_UDP)) == 0)
		return (true);
	w->stats.tx_csum++;
	return (net_frame_want_csum(f, &h));
}

static void
take_frame(struct net_worker *w, uint32_t nseg,
    const struct hvk_rndis_frame *r)
{
	struct net_nic *nic = w->nic;
	struct net_frame f;
	int tci;

	memset(&f, 0, sizeof(f));
	f.data = w->tx_frame + NET_HEADROOM;
	f.len = r->len;
	if (r->len < NET_ETHER || r->len > NET_FRAME_MAX - NET_VLAN ||
	    !hvk_net_gather(w->seg, nseg, r->offset, f.data, r->len) ||
	    hvk_net_check(&r->meta, f.data, f.len, f.len, nic->vsp.mtu,
	    NULL) != HVK_OK) {
		w->stats.drop[DROP_BAD]++;
		return;
	}
	if (!nic->carrier || nic->backend == NULL) {
		w->stats.drop[DROP_LINK]++;
		return;
	}
	tci = (r->meta.has & HVK_NET_VLAN) != 0 ? r->meta.vlan :
	    net_frame_untag(&f);
	if (!net_vlan_out(&nic->vlan, &tci)) {
		w->stats.drop[DROP_VLAN]++;
		return;
	}
	if (!take_offloads(w, &f, &r->meta)) {
		w->stats.drop[DROP_BAD]++;
		return;
	}
	if (tci >= 0)
		net_frame_tag(&f, (uint16_t)tci);
	send_frame(w, &f);
}

void
net_tx_data(struct net_worker *w, const struct hvk_packet *p)
{
	struct hvk_rndis_frame frame;
	struct hvk_rndis_walk walk;
	struct hvk_netvsp_send s;
	uint32_t nseg, status;
	int error;

	w->stats.tx_packets++;
	error = hvk_netvsp_send(&w->nic->vsp, w->index == 0, p, &s, &status);
	if (error == HVK_OK) {
		nseg = net_tx_memory(w, p, &s);
		if (nseg == 0)
			error = HVK_REJECT;
		else {
			hvk_netvsp_walk(&w->nic->vsp, &walk, w->seg, nseg);
			while ((error = hvk_rndis_walk_next(&walk, &frame)) ==
			    HVK_OK)
				take_frame(w, nseg, &frame);
		}
		status = error == HVK_AGAIN ? HVK_NVSP_STATUS_OK :
		    HVK_NVSP_STATUS_BAD_RNDIS;
	}
	if (status != HVK_NVSP_STATUS_OK)
		w->stats.drop[DROP_BAD]++;
	if (p->want_completion)
		net_tx_done(w, p->txid, status);
}

void
net_tx_flush(struct net_worker *w)
{
	struct net_nic *nic = w->nic;
	uint32_t port;

	if (!w->sending)
		return;
	port = w->index % nic->nports;
	net_backend_flush(nic->backend, port);
	pthread_mutex_unlock(&nic->port[port].send);
	w->sending = false;
}

/* ---- completions */

void
net_tx_done(struct net_worker *w, uint64_t txid, uint32_t status)
{

	/* The worker takes no packet when there is no place for this. */
	if (w->ndone == NET_BATCH)
		return;
	w->done[w->ndone++] = (struct net_done){ .txid = txid,
	    .status = status };
}

static void
delayed(struct net_worker *w)
{
	uint64_t now;
	uint32_t i, kept = 0;

	if (w->ndelayed == 0)
		return;
	now = vmm_now_ns();
	for (i = 0; i < w->ndelayed; i++) {
		if (w->delayed[i].due <= now && w->ndone < NET_BATCH)
			w->done[w->ndone++] = w->delayed[i];
		else
			w->delayed[kept++] = w->delayed[i];
	}
	w->ndelayed = kept;
}

bool
net_tx_complete(struct net_worker *w)
{
	struct net_channel *c = &w->nic->chan[w->index];
	uint32_t i = 0;
	int error;

	delayed(w);
	if (w->ndone == 0 || w->broken)
		return (false);
	pthread_mutex_lock(&c->lock);
	for (i = 0; i < w->ndone && !c->broken; i++) {
		error = net_fault_complete(w, c, &w->done[i]);
		if (error == HVK_AGAIN)
			break;
		if (error == HVK_FATAL)
			c->broken = true;
		c->dirty = true;
	}
	if (i != 0)
		w->touched |= 1ull << w->index;
	if (c->broken)
		net_broken(w);
	pthread_mutex_unlock(&c->lock);
	memmove(w->done, w->done + i, (w->ndone - i) * sizeof(w->done[0]));
	w->ndone -= i;
	return (i != 0);
}
