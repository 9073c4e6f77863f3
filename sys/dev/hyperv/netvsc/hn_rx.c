/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * Receiving in hn(4): a packet of the host names places in the receive buffer;
 * each frame there is copied once into mbufs of at most a page, described, and
 * handed up.  The host gets its places back by acknowledgements, many at a
 * time; one that finds no room in the ring waits and is sent again.
 *
 * Locking: all of it belongs to the channel's callback.
 */

#include "hn_var.h"

static struct mbuf *
hn_rx_alloc(uint32_t len)
{
	struct mbuf *m;

	if (len <= MHLEN)
		return (m_gethdr(M_NOWAIT, MT_DATA));
	if (len <= MCLBYTES)
		return (m_getcl(M_NOWAIT, MT_DATA, M_PKTHDR));
	if (len <= MJUMPAGESIZE)
		return (m_getjcl(M_NOWAIT, MT_DATA, M_PKTHDR, MJUMPAGESIZE));
	m = m_getm2(NULL, len, M_NOWAIT, MT_DATA, M_PKTHDR);
	return (m);
}

/* The frame's bytes, once, out of memory that the host may change. */
static void
hn_rx_copy(struct mbuf *top, const struct hvk_netvsc_frame *f)
{
	const struct hvk_netvsc_frag *frag;
	struct mbuf *m;
	uint32_t at, i, n;

	top->m_pkthdr.len = f->len;
	if (f->nfrags == 1 && f->len <= MJUMPAGESIZE) {
		/* One piece into one mbuf: hn_rx_alloc() saw to that. */
		memcpy(mtod(top, void *), f->frag->data, f->len);
		top->m_len = f->len;
		return;
	}
	m = top;
	for (i = 0; i < f->nfrags; i++) {
		frag = &f->frag[i];
		for (at = 0; at < frag->len; at += n) {
			while (M_TRAILINGSPACE(m) == 0)
				m = m->m_next;
			n = MIN(frag->len - at, (uint32_t)M_TRAILINGSPACE(m));
			memcpy(m->m_data + m->m_len, frag->data + at, n);
			m->m_len += n;
		}
	}
	/* What was not needed goes back. */
	m_freem(m->m_next);
	m->m_next = NULL;
}

static void
hn_rx_frame(struct hn_ring *r, const struct hvk_netvsc_frame *f, int cap)
{
	struct ifnet *ifp = r->r_sc->sc_ifp;
	struct mbuf *m;

	if (f->len < ETHER_HDR_LEN) {
		if_inc_counter(ifp, IFCOUNTER_IERRORS, 1);
		return;
	}
	m = hn_rx_alloc(f->len);
	if (m == NULL) {
		r->r_nombuf++;
		if_inc_counter(ifp, IFCOUNTER_IQDROPS, 1);
		return;
	}
	hn_rx_copy(m, f);
	m->m_pkthdr.rcvif = ifp;
	if (f->len <= MHLEN)
		r->r_small_pkts++;
	if (f->nfrags > 1)
		r->r_rsc_pkts++;
	r->r_rx_pkts++;
	hn_offload_rx(r, m, &f->meta, cap);
	hn_rss_rx(r, m, &f->meta);
	if ((f->meta.has & HVK_NET_VLAN) != 0) {
		m->m_pkthdr.ether_vtag = f->meta.vlan;
		m->m_flags |= M_VLANTAG;
	}
	if ((cap & IFCAP_LRO) != 0 &&
	    (m->m_pkthdr.csum_flags & CSUM_DATA_VALID) != 0 &&
	    f->nfrags == 1 && r->r_lro.lro_cnt != 0) {
		r->r_lro_tried++;
		if (tcp_lro_rx(&r->r_lro, m, 0) == 0)
			return;
	}
	if_input(ifp, m);
}

/* Send what is owed; what finds no room stays owed. */
static void
hn_rx_ack(struct hn_ring *r)
{
	struct hvk_ring_tx *tx;
	int result;

	if (hvk_netvsc_acks_empty(&r->r_acks))
		return;
	tx = vmbus_chan_tx_lock(r->r_chan);
	if (tx == NULL) {
		while (!hvk_netvsc_acks_empty(&r->r_acks))
			hvk_netvsc_acks_drop(&r->r_acks);
		return;
	}
	result = HVK_OK;
	while (!hvk_netvsc_acks_empty(&r->r_acks)) {
		result = hvk_tx_completion(tx,
		    hvk_netvsc_acks_first(&r->r_acks), &hvk_netvsc_ack,
		    sizeof(hvk_netvsc_ack));
		if (result != HVK_OK)
			break;
		hvk_netvsc_acks_drop(&r->r_acks);
	}
	vmbus_chan_tx_unlock(r->r_chan);
	if (result != HVK_AGAIN)
		return;
	r->r_ack_failed++;
	/* The host tells when there is room; the tick looks, too. */
	tx = vmbus_chan_tx_lock(r->r_chan);
	if (tx != NULL) {
		(void)hvk_ring_tx_want(tx, HVK_DESCRIPTOR_SIZE +
		    sizeof(hvk_netvsc_ack));
		vmbus_chan_tx_unlock(r->r_chan);
	}
}

void
hn_rx_packet(struct hn_ring *r, const struct hvk_packet *pkt)
{
	struct hn_softc *sc = r->r_sc;
	struct hvk_netvsc_frame f;
	u_long before = r->r_rx_pkts;
	int cap, result;
	bool up;

	cap = 0;
	up = sc->sc_attached &&
	    (if_getdrvflags(sc->sc_ifp) & IFF_DRV_RUNNING) != 0;
	if (up)
		cap = if_getcapenable(sc->sc_ifp);
	if (r->r_rx_ready && hvk_netvsc_rx_begin(&r->r_rx, pkt) == HVK_OK)
		while ((result = hvk_netvsc_rx_next(&r->r_rx, &f)) !=
		    HVK_AGAIN) {
			if (result != HVK_OK)
				continue;
			if (f.kind == HVK_NETVSC_CONTROL_MESSAGE)
				hn_nvs_rndis(sc, f.frag[0].data,
				    f.frag[0].len);
			else if (up)
				hn_rx_frame(r, &f, cap);
		}
	if (r->r_rx_pkts != before)
		if_inc_counter(sc->sc_ifp, IFCOUNTER_IPACKETS,
		    r->r_rx_pkts - before);
	if (!pkt->want_completion)
		return;
	(void)hvk_netvsc_acks_put(&r->r_acks, pkt->txid);
	if (r->r_acks.tail - r->r_acks.head >= HN_ACK_BATCH)
		hn_rx_ack(r);
}

/* The end of a callback. */
void
hn_rx_flush(struct hn_ring *r)
{
	if (r->r_lro.lro_cnt != 0)
		tcp_lro_flush_all(&r->r_lro);
	hn_rx_ack(r);
}

void
hn_rx_free(struct hn_ring *r)
{
	if (r->r_lro.lro_cnt != 0)
		tcp_lro_free(&r->r_lro);
	free(r->r_frags, M_HN);
	free(r->r_ack_ids, M_HN);
	free(r->r_pktbuf, M_HN);
	r->r_frags = NULL;
	r->r_ack_ids = r->r_pktbuf = NULL;
	r->r_rx_ready = false;
}

/* Before the channel opens, and again when the buffer is there. */
int
hn_rx_init(struct hn_ring *r)
{
	struct hn_softc *sc = r->r_sc;

	if (r->r_pktbuf == NULL) {
		r->r_pktbuf_len = HN_PKTBUF;
		r->r_pktbuf = malloc(HN_PKTBUF, M_HN, M_WAITOK);
		r->r_ack_ids = malloc(HN_ACKS * sizeof(uint64_t), M_HN,
		    M_WAITOK);
		r->r_frags = malloc(HVK_NVSP_RANGES_RSC *
		    sizeof(*r->r_frags), M_HN, M_WAITOK);
		(void)hvk_netvsc_acks_init(&r->r_acks, r->r_ack_ids, HN_ACKS);
		if (hn_lro_entry_count > 0)
			(void)tcp_lro_init_args(&r->r_lro, sc->sc_ifp,
			    MIN(hn_lro_entry_count, 4096), hn_lro_mbufq_depth);
	}
	if (!sc->sc_recv.shared)
		return (0);
	if (hvk_netvsc_rx_init(&r->r_rx, sc->sc_recv.addr, sc->sc_recv.size,
	    r->r_frags, HVK_NVSP_RANGES_RSC, HN_FRAME_MAX) != HVK_OK)
		return (EINVAL);
	r->r_rx_ready = true;
	return (0);
}
