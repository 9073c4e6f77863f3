/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * Sending in hn(4): frames are queued on a ring by their flow; whoever gets
 * the ring's lock sends what is queued, the others leave.  A small frame is
 * copied into a section of the send buffer, several into one; a large one goes
 * as a list of pages behind a header of ours.  A batch is published at once and
 * costs at most one signal.
 *
 * Locking: r_mtx; the vmbus transmit lock for a batch inside it.
 */

#include "hn_var.h"

#include <vm/pmap.h>

#define	HN_INBAND	(HVK_DESCRIPTOR_SIZE + sizeof(struct hvk_nvsp_message))

int
hn_tx_create(struct hn_ring *r)
{
	struct hn_desc *d;
	int depth, error, i;

	STAILQ_INIT(&r->r_free);
	for (depth = HN_SWQ; depth < hn_tx_swq_depth && depth < 65536;
	    depth *= 2)
		continue;
	r->r_queue = buf_ring_alloc(depth, M_HN, M_WAITOK, &r->r_mtx);
	r->r_slots = malloc(HN_SENDS * sizeof(*r->r_slots), M_HN,
	    M_WAITOK | M_ZERO);
	r->r_descs = malloc(HN_DESCS * sizeof(*r->r_descs), M_HN,
	    M_WAITOK | M_ZERO);
	r->r_headers = HVK_KMEM_ALLOC(HN_DESCS * HN_HEADER,
	    M_WAITOK | M_ZERO);
	for (i = 0; i < HN_DESCS; i++) {
		d = &r->r_descs[i];
		error = bus_dmamap_create(r->r_sc->sc_dtag, 0, &d->d_map);
		if (error != 0)
			return (error);
		d->d_header = r->r_headers + i * HN_HEADER;
		d->d_header_pfn = (uint64_t)vtophys(d->d_header) >>
		    HVK_PAGE_SHIFT;
		d->d_header_off = (uintptr_t)d->d_header & HVK_PAGE_MASK;
		STAILQ_INSERT_TAIL(&r->r_free, d, d_link);
	}
	return (0);
}

/* No channel is open.  What the host kept was taken out by hn_tx_end(). */
void
hn_tx_destroy(struct hn_ring *r)
{
	struct hn_desc *d;

	if (r->r_queue == NULL)
		return;
	while ((d = STAILQ_FIRST(&r->r_free)) != NULL) {
		STAILQ_REMOVE_HEAD(&r->r_free, d_link);
		bus_dmamap_destroy(r->r_sc->sc_dtag, d->d_map);
	}
	/* What a sender put there while everything was stopped, too. */
	mtx_lock(&r->r_mtx);
	drbr_flush(NULL, r->r_queue);
	mtx_unlock(&r->r_mtx);
	buf_ring_free(r->r_queue, M_HN);
	if (r->r_headers != NULL)
		HVK_KMEM_FREE(r->r_headers, HN_DESCS * HN_HEADER);
	free(r->r_descs, M_HN);
	free(r->r_slots, M_HN);
	r->r_queue = NULL;
}

void
hn_tx_task(void *arg, int pending __unused)
{
	hn_tx_restart(arg);
}

/* The interface is ready: the ring's part of the send buffer. */
int
hn_tx_init(struct hn_ring *r)
{
	struct hvk_netvsc_tx_config config;
	struct hn_softc *sc = r->r_sc;
	uint32_t count;
	int error, result;

	if (r->r_queue == NULL) {
		error = hn_tx_create(r);
		if (error != 0)
			return (error);
	}
	count = MIN(sc->sc_nv.send_count / sc->sc_ninuse,
	    HVK_NETVSC_MAX_SECTIONS);
	memset(&config, 0, sizeof(config));
	config.buffer = sc->sc_send.addr;
	config.section_size = count != 0 ? sc->sc_nv.send_size : 0;
	config.first = r->r_idx * count;
	config.count = count;
	config.align = sc->sc_nv.align;
	config.max_packets = sc->sc_nv.max_packets;
	config.max_transfer = sc->sc_nv.max_transfer;
	mtx_lock(&r->r_mtx);
	result = hvk_netvsc_tx_init(&r->r_tx, r->r_slots, HN_SENDS, &config);
	r->r_oactive = 0;
	r->r_kicked = 0;
	mtx_unlock(&r->r_mtx);
	return (result == HVK_OK ? 0 : EINVAL);
}

/* What the user lets share one section. */
void
hn_tx_aggregate(struct hn_softc *sc)
{
	struct hn_ring *r;
	int i;

	for (i = 0; i < sc->sc_ninuse; i++) {
		r = &sc->sc_ring[i];
		mtx_lock(&r->r_mtx);
		r->r_tx.agg_size = MIN(sc->sc_nv.max_transfer,
		    sc->sc_nv.send_size);
		if (sc->sc_agg_size >= 0)
			r->r_tx.agg_size = MIN(r->r_tx.agg_size,
			    (uint32_t)sc->sc_agg_size);
		r->r_tx.agg_packets = sc->sc_nv.max_packets;
		if (sc->sc_agg_pkts >= 0)
			r->r_tx.agg_packets = MIN(r->r_tx.agg_packets,
			    (uint32_t)sc->sc_agg_pkts);
		if (sc->sc_agg_size == 0 || r->r_tx.agg_packets == 0)
			r->r_tx.agg_packets = 1;
		if (r->r_tx.agg_packets == 1)
			r->r_tx.agg_size = sc->sc_nv.send_size;
		mtx_unlock(&r->r_mtx);
	}
	if (hn_tx_chimney_size > 0 && sc->sc_chim_size == 0)
		sc->sc_chim_size = hn_tx_chimney_size;
	if (sc->sc_chim_size == 0 ||
	    sc->sc_chim_size > (int)sc->sc_nv.send_size)
		sc->sc_chim_size = sc->sc_nv.send_size;
}

/* Publish nothing yet: the section being filled becomes a packet. */
static int
hn_tx_flush(struct hn_ring *r, struct hvk_ring_tx *tx)
{
	struct hvk_netvsc_sent sent;
	struct hvk_netvsc_out out;

	if (!hvk_ring_tx_fits(tx, HN_INBAND)) {
		r->r_flush_failed++;
		r->r_ring_full = true;
		return (EAGAIN);
	}
	if (hvk_netvsc_tx_close(&r->r_tx, &out) != HVK_OK)
		return (0);
	if (hvk_tx_inband(tx, out.txid, true, &out.nvsp, sizeof(out.nvsp)) ==
	    HVK_OK) {
		r->r_sends++;
		return (0);
	}
	/* The ring is broken: the channel is, too. */
	r->r_send_failed++;
	(void)hvk_netvsc_tx_cancel(&r->r_tx, out.txid, &sent);
	if_inc_counter(r->r_sc->sc_ifp, IFCOUNTER_OERRORS, sent.packets);
	return (0);
}

/* 0: gone into a section.  EAGAIN: later.  EFBIG: not this way. */
static int
hn_tx_copy(struct hn_ring *r, struct hvk_ring_tx *tx, struct mbuf *m,
    const struct hvk_net_meta *meta)
{
	uint8_t *at;
	int error, len = m->m_pkthdr.len;

	r->r_tx_chimney_tried++;
	for (;;) {
		switch (hvk_netvsc_tx_copy(&r->r_tx, meta, len, &at)) {
		case HVK_OK:
			if (m->m_len == len)
				memcpy(at, mtod(m, const void *), len);
			else
				m_copydata(m, 0, len, (caddr_t)at);
			m_freem(m);
			r->r_tx_chimney++;
			return (0);
		case HVK_AGAIN:
			error = hn_tx_flush(r, tx);
			if (error != 0)
				return (error);
			break;
		default:
			return (EFBIG);
		}
	}
}

/* Segments of at most a page; the chain may be replaced by a shorter one. */
static int
hn_tx_load(struct hn_ring *r, struct hn_desc *d, struct mbuf **mp,
    bus_dma_segment_t *segs, int *nsegs)
{
	bus_dma_tag_t tag = r->r_sc->sc_dtag;
	struct mbuf *m;
	int error;

	error = bus_dmamap_load_mbuf_sg(tag, d->d_map, *mp, segs, nsegs,
	    BUS_DMA_NOWAIT);
	if (error != EFBIG)
		return (error);
	r->r_tx_collapsed++;
	m = m_collapse(*mp, M_NOWAIT, HN_SEGS / 2);
	if (m == NULL)
		return (ENOBUFS);
	*mp = m;
	error = bus_dmamap_load_mbuf_sg(tag, d->d_map, m, segs, nsegs,
	    BUS_DMA_NOWAIT);
	if (error != EFBIG)
		return (error);
	m = m_defrag(m, M_NOWAIT);
	if (m == NULL)
		return (ENOBUFS);
	*mp = m;
	return (bus_dmamap_load_mbuf_sg(tag, d->d_map, m, segs, nsegs,
	    BUS_DMA_NOWAIT));
}

/* The header's page, then the frame's; no segment crosses a page's end. */
static int
hn_tx_pages(struct hn_ring *r, const struct hn_desc *d, uint32_t headlen,
    const bus_dma_segment_t *segs, int nsegs)
{
	struct hvk_page_buf *p = r->r_pages;
	int i;

	p->pfn = d->d_header_pfn;
	p->offset = d->d_header_off;
	p->len = headlen;
	for (i = 0, p++; i < nsegs; i++, p++) {
		p->pfn = segs[i].ds_addr >> HVK_PAGE_SHIFT;
		p->offset = segs[i].ds_addr & HVK_PAGE_MASK;
		p->len = segs[i].ds_len;
	}
	return (nsegs + 1);
}

/* 0: sent.  EAGAIN: later, the frame is as it was.  Else it was dropped. */
static int
hn_tx_direct(struct hn_ring *r, struct hvk_ring_tx *tx, struct mbuf **mp,
    const struct hvk_net_meta *meta)
{
	bus_dma_segment_t segs[HN_SEGS];
	struct hvk_netvsc_sent sent;
	struct hvk_netvsc_out out;
	struct hn_desc *d;
	uint32_t headlen;
	int error, n, result;

	d = STAILQ_FIRST(&r->r_free);
	if (d == NULL) {
		r->r_no_txdescs++;
		return (EAGAIN);
	}
	error = hn_tx_load(r, d, mp, segs, &n);
	if (error != 0) {
		r->r_txdma_failed++;
		/* No bounce page now: one comes back with a send. */
		if (error == ENOMEM && r->r_tx.busy != 0)
			return (EAGAIN);
		m_freem(*mp);
		*mp = NULL;
		return (error);
	}
	headlen = hvk_rndis_encode(d->d_header, meta, (*mp)->m_pkthdr.len, 1);
	n = hn_tx_pages(r, d, headlen, segs, n);
	if (hvk_netvsc_tx_direct(&r->r_tx, d, (*mp)->m_pkthdr.len, &out) !=
	    HVK_OK) {
		bus_dmamap_unload(r->r_sc->sc_dtag, d->d_map);
		r->r_no_txdescs++;
		return (EAGAIN);
	}
	bus_dmamap_sync(r->r_sc->sc_dtag, d->d_map, BUS_DMASYNC_PREWRITE);
	result = hvk_tx_page_bufs(tx, out.txid, true, r->r_pages, n,
	    &out.nvsp, sizeof(out.nvsp));
	if (result == HVK_OK) {
		STAILQ_REMOVE_HEAD(&r->r_free, d_link);
		d->d_mbuf = *mp;
		r->r_sends++;
		return (0);
	}
	(void)hvk_netvsc_tx_cancel(&r->r_tx, out.txid, &sent);
	bus_dmamap_unload(r->r_sc->sc_dtag, d->d_map);
	if (result == HVK_AGAIN) {
		r->r_ring_full = true;
		return (EAGAIN);
	}
	r->r_send_failed++;
	m_freem(*mp);
	*mp = NULL;
	return (EIO);
}

static int
hn_tx_frame(struct hn_ring *r, struct hvk_ring_tx *tx, struct mbuf **mp)
{
	struct hvk_net_meta meta;
	int error;

	*mp = hn_offload_tx(r, *mp, &meta);
	if (*mp == NULL)
		return (ENOBUFS);
	error = EFBIG;
	if ((*mp)->m_pkthdr.len <= r->r_sc->sc_chim_size)
		error = hn_tx_copy(r, tx, *mp, &meta);
	if (error == EFBIG) {
		/* Frames keep their order. */
		error = hn_tx_flush(r, tx);
		if (error == 0)
			error = hn_tx_direct(r, tx, mp, &meta);
	}
	return (error);
}

/* What a batch has sent. */
static void
hn_tx_count(struct hn_ring *r, u_int packets, uint64_t bytes, u_int groups)
{
	struct ifnet *ifp = r->r_sc->sc_ifp;

	if (packets == 0)
		return;
	r->r_tx_pkts += packets;
	if_inc_counter(ifp, IFCOUNTER_OPACKETS, packets);
	if_inc_counter(ifp, IFCOUNTER_OBYTES, bytes);
	if (groups != 0)
		if_inc_counter(ifp, IFCOUNTER_OMCASTS, groups);
}

/* A batch.  True: there may be more to send now. */
static bool
hn_tx_batch(struct hn_ring *r)
{
	struct ifnet *ifp = r->r_sc->sc_ifp;
	struct hvk_ring_tx *tx;
	struct mbuf *m;
	uint64_t bytes;
	u_int groups, packets;
	int error, len, n;
	bool group;

	tx = vmbus_chan_tx_lock(r->r_chan);
	if (tx == NULL) {
		r->r_running = false;
		return (false);
	}
	error = 0;
	bytes = groups = packets = 0;
	r->r_ring_full = false;
	for (n = 0; n < HN_TX_BATCH; n++) {
		m = drbr_peek(ifp, r->r_queue);
		if (m == NULL)
			break;
		len = m->m_pkthdr.len;
		group = (m->m_flags & M_MCAST) != 0;
		error = hn_tx_frame(r, tx, &m);
		if (error == EAGAIN) {
			drbr_putback(ifp, r->r_queue, m);
			break;
		}
		drbr_advance(ifp, r->r_queue);
		if (error == 0) {
			packets++;
			bytes += len;
			groups += group;
		} else
			if_inc_counter(ifp, IFCOUNTER_OERRORS, 1);
	}
	hn_tx_count(r, packets, bytes, groups);
	if (error != EAGAIN)
		error = hn_tx_flush(r, tx);
	else
		(void)hn_tx_flush(r, tx);
	vmbus_chan_tx_unlock(r->r_chan);
	if (error != EAGAIN)
		return (!drbr_empty(ifp, r->r_queue));
	/*
	 * No room in the ring, or nothing to send with.  A send that ends
	 * brings us back; so does the host when the ring has room again.
	 */
	r->r_oactive = 1;
	if (!r->r_ring_full)
		return (false);
	tx = vmbus_chan_tx_lock(r->r_chan);
	if (tx == NULL)
		return (false);
	if (hvk_ring_tx_want(tx, HN_INBAND + 8 + (HN_SEGS + 1) * 16))
		r->r_oactive = 0;
	vmbus_chan_tx_unlock(r->r_chan);
	return (r->r_oactive == 0);
}

static void
hn_tx_locked(struct hn_ring *r)
{
	mtx_assert(&r->r_mtx, MA_OWNED);
	while (r->r_running && hn_tx_batch(r))
		continue;
}

/* From a callback, a task or the tick: go on with what waits. */
void
hn_tx_restart(struct hn_ring *r)
{
	/* Before the look at the queue: see hn_tx_later(). */
	if (r->r_kicked) {
		r->r_kicked = 0;
		atomic_thread_fence_seq_cst();
	}
	if (r->r_queue == NULL || (!r->r_oactive &&
	    buf_ring_empty(r->r_queue)))
		return;
	mtx_lock(&r->r_mtx);
	r->r_oactive = 0;
	hn_tx_locked(r);
	mtx_unlock(&r->r_mtx);
	if (hn_use_if_start && r->r_idx == 0 && !r->r_oactive)
		hn_start(r->r_sc->sc_ifp);
}

static struct hn_ring *
hn_tx_ring(struct hn_softc *sc, const struct mbuf *m)
{
	uint32_t n;

	n = hn_use_if_start ? 1 : sc->sc_ntx;
	if (n <= 1 || M_HASHTYPE_GET(m) == M_HASHTYPE_NONE)
		return (&sc->sc_ring[n <= 1 ? 0 : curcpu % n]);
	if (sc->sc_has_table && M_HASHTYPE_ISHASH(m))
		return (&sc->sc_ring[hvk_netvsc_pick(&sc->sc_nv,
		    m->m_pkthdr.flowid, n)]);
	return (&sc->sc_ring[m->m_pkthdr.flowid % n]);
}

/* Run the channel's callback soon, as long as there is a channel. */
void
hn_kick(struct hn_ring *r)
{
	mtx_lock(&r->r_mtx);
	if (r->r_open)
		vmbus_chan_kick(r->r_chan);
	mtx_unlock(&r->r_mtx);
}

/*
 * What is in the queue is for somebody else to send.  Either we see that no one
 * has been called since the last look at the queue, or that look sees our frame.
 */
static void
hn_tx_later(struct hn_ring *r)
{
	atomic_thread_fence_seq_cst();
	if (r->r_kicked)
		return;
	r->r_kicked = 1;
	if (r->r_tq != NULL)
		taskqueue_enqueue(r->r_tq, &r->r_task);
	else
		hn_kick(r);
}

int
hn_transmit(struct ifnet *ifp, struct mbuf *m)
{
	struct hn_softc *sc = if_getsoftc(ifp);
	struct hn_ring *r;
	int error, len;

	r = hn_tx_ring(sc, m);
	if (r->r_queue == NULL ||
	    (if_getdrvflags(ifp) & IFF_DRV_RUNNING) == 0) {
		m_freem(m);
		return (ENETDOWN);
	}
	len = m->m_pkthdr.len;
	ETHER_BPF_MTAP(ifp, m);
	error = drbr_enqueue(ifp, r->r_queue, m);
	if (error != 0) {
		r->r_tx_drops++;
		if_inc_counter(ifp, IFCOUNTER_OQDROPS, 1);
		return (error);
	}
	if (r->r_oactive)
		return (0);
	if (!r->r_sched_tx && len <= r->r_direct_size &&
	    mtx_trylock(&r->r_mtx)) {
		hn_tx_locked(r);
		mtx_unlock(&r->r_mtx);
		/* What came while we held the lock left it to us. */
		if (r->r_oactive || buf_ring_empty(r->r_queue))
			return (0);
	}
	hn_tx_later(r);
	return (0);
}

/*
 * With hw.hn.use_if_start, for ALTQ: the interface's queue decides which frame
 * is next, so none is taken from it before the ring can have it.
 */
void
hn_start(struct ifnet *ifp)
{
	struct hn_softc *sc = if_getsoftc(ifp);
	struct hn_ring *r = &sc->sc_ring[0];
	struct mbuf *m;

	while (!r->r_oactive &&
	    (if_getdrvflags(ifp) & IFF_DRV_RUNNING) != 0) {
		mtx_lock(&r->r_mtx);
		m = r->r_queue == NULL || buf_ring_full(r->r_queue) ? NULL :
		    if_dequeue(ifp);
		mtx_unlock(&r->r_mtx);
		if (m == NULL)
			break;
		(void)hn_transmit(ifp, m);
	}
}

void
hn_qflush(struct ifnet *ifp)
{
	struct hn_softc *sc = if_getsoftc(ifp);
	struct hn_ring *r;
	int i;

	for (i = 0; i < sc->sc_nrings; i++) {
		r = &sc->sc_ring[i];
		if (r->r_queue == NULL)
			continue;
		mtx_lock(&r->r_mtx);
		drbr_flush(ifp, r->r_queue);
		mtx_unlock(&r->r_mtx);
	}
}

/* A direct send is over: its memory is ours again. */
static void
hn_tx_release(struct hn_ring *r, struct hn_desc *d)
{
	bus_dmamap_sync(r->r_sc->sc_dtag, d->d_map, BUS_DMASYNC_POSTWRITE);
	bus_dmamap_unload(r->r_sc->sc_dtag, d->d_map);
	m_freem(d->d_mbuf);
	d->d_mbuf = NULL;
	STAILQ_INSERT_HEAD(&r->r_free, d, d_link);
}

void
hn_tx_done(struct hn_ring *r, const struct hvk_packet *pkt)
{
	struct hvk_netvsc_sent sent;
	struct ifnet *ifp = r->r_sc->sc_ifp;

	mtx_lock(&r->r_mtx);
	if (r->r_slots == NULL ||
	    hvk_netvsc_tx_done(&r->r_tx, pkt, &sent) != HVK_OK) {
		mtx_unlock(&r->r_mtx);
		return;
	}
	if (sent.cookie != NULL)
		hn_tx_release(r, sent.cookie);
	mtx_unlock(&r->r_mtx);
	if (sent.ok)
		return;
	if_inc_counter(ifp, IFCOUNTER_OERRORS, sent.packets);
}

/* The mbufs, map and header of a send that the host may still read. */
static void
hn_tx_keep(struct hn_ring *r, struct hn_desc *d)
{
	device_t dev = r->r_sc->sc_dev;
	struct mbuf *m;

	for (m = d->d_mbuf; m != NULL; m = m->m_next) {
		vmbus_keep(dev, m, MSIZE);
		if ((m->m_flags & M_EXT) != 0)
			vmbus_keep(dev, m->m_ext.ext_buf, m->m_ext.ext_size);
	}
	vmbus_keep(dev, d->d_map, 0);
	if (r->r_headers != NULL) {
		vmbus_keep(dev, r->r_headers, HN_DESCS * HN_HEADER);
		r->r_headers = NULL;
	}
	d->d_mbuf = NULL;
}

/* The channel is closed: no send will be answered. */
void
hn_tx_end(struct hn_ring *r, bool held)
{
	struct hvk_netvsc_sent sent;

	if (r->r_queue == NULL)
		return;
	mtx_lock(&r->r_mtx);
	while (r->r_slots != NULL && r->r_tx.slot != NULL &&
	    hvk_netvsc_tx_end(&r->r_tx, &sent)) {
		if (sent.cookie != NULL) {
			if (held)
				hn_tx_keep(r, sent.cookie);
			else
				hn_tx_release(r, sent.cookie);
		}
		if_inc_counter(r->r_sc->sc_ifp, IFCOUNTER_OERRORS,
		    sent.packets);
	}
	if (!r->r_sc->sc_changing)
		drbr_flush(r->r_sc->sc_ifp, r->r_queue);
	mtx_unlock(&r->r_mtx);
}

void
hn_tx_run(struct hn_softc *sc, bool on)
{
	struct hn_ring *r;
	int i;

	for (i = 0; i < sc->sc_nrings; i++) {
		r = &sc->sc_ring[i];
		mtx_lock(&r->r_mtx);
		r->r_running = on && r->r_open && r->r_queue != NULL;
		if (r->r_running) {
			r->r_oactive = 0;
			hn_tx_locked(r);
		}
		mtx_unlock(&r->r_mtx);
	}
}

/* Let sends end by themselves, for a while. */
void
hn_tx_drain(struct hn_softc *sc)
{
	uint64_t limit;
	int busy, i;

	limit = hn_now() + HN_DRAIN_MS;
	for (;;) {
		busy = 0;
		for (i = 0; i < sc->sc_ninuse; i++)
			busy += sc->sc_ring[i].r_tx.busy;
		if (busy == 0 || sc->sc_failed ||
		    vmbus_chan_is_revoked(sc->sc_primary))
			return;
		if (hn_now() >= limit) {
			device_printf(sc->sc_dev, "%d sends were not ended by "
			    "the host\n", busy);
			return;
		}
		pause("hndrain", MAX(hz / 100, 1));
	}
}

bool
hn_tx_stalled(struct hn_ring *r, uint64_t now)
{
	bool stalled;

	if (r->r_queue == NULL)
		return (false);
	mtx_lock(&r->r_mtx);
	stalled = r->r_open && hvk_netvsc_tx_stalled(&r->r_tx, now,
	    MAX(hn_stall_ms, 100));
	mtx_unlock(&r->r_mtx);
	return (stalled);
}
