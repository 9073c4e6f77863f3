/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * One channel of a storage controller: CCBs go in, are mapped for the host,
 * sent, and come back when the host answers or a reset ends them.  A CCB that
 * cannot be sent now (no request free, ring full, no bounce page, reset under
 * way) waits in the channel's list; every answer and every tick tries again.
 *
 * Locking: ch_mtx for everything but receiving, which only the channel's own
 * callback does.
 */

#include "storvsc_var.h"

STAILQ_HEAD(storvsc_ccbs, ccb_hdr);

struct storvsc_chan *
storvsc_chan_alloc(struct storvsc_softc *sc, struct vmbus_channel *chan)
{
	struct storvsc_chan *ch;

	ch = malloc(sizeof(*ch), M_STORVSC, M_WAITOK | M_ZERO);
	ch->ch_sc = sc;
	ch->ch_chan = chan;
	ch->ch_paused = true;
	mtx_init(&ch->ch_mtx, "storvsc channel", NULL, MTX_DEF);
	STAILQ_INIT(&ch->ch_free);
	TAILQ_INIT(&ch->ch_waiting);
	return (ch);
}

/* The controller's limits are known: make the request table. */
int
storvsc_chan_ready(struct storvsc_chan *ch)
{
	struct storvsc_softc *sc;
	struct storvsc_req *rq;
	uint32_t i;
	int error;

	sc = ch->ch_sc;
	ch->ch_slots = malloc(sc->sc_max_req * sizeof(*ch->ch_slots),
	    M_STORVSC, M_WAITOK | M_ZERO);
	ch->ch_reqs = malloc(sc->sc_max_req * sizeof(*ch->ch_reqs), M_STORVSC,
	    M_WAITOK | M_ZERO);
	ch->ch_pfn = malloc((sc->sc_maxio / HVK_PAGE_SIZE + 1) *
	    sizeof(*ch->ch_pfn), M_STORVSC, M_WAITOK | M_ZERO);
	if (hvk_storvsc_queue_init(&ch->ch_queue, ch->ch_slots, sc->sc_max_req,
	    sc->sc_maxio) != HVK_OK)
		return (EINVAL);
	for (i = 0; i < sc->sc_max_req; i++) {
		rq = &ch->ch_reqs[i];
		error = bus_dmamap_create(sc->sc_dtag, 0, &rq->rq_map);
		if (error != 0)
			return (error);
		STAILQ_INSERT_TAIL(&ch->ch_free, rq, rq_link);
	}
	return (0);
}

void
storvsc_chan_free(struct storvsc_chan *ch)
{
	struct storvsc_req *rq;

	while ((rq = STAILQ_FIRST(&ch->ch_free)) != NULL) {
		STAILQ_REMOVE_HEAD(&ch->ch_free, rq_link);
		bus_dmamap_destroy(ch->ch_sc->sc_dtag, rq->rq_map);
	}
	free(ch->ch_reqs, M_STORVSC);
	free(ch->ch_slots, M_STORVSC);
	free(ch->ch_pfn, M_STORVSC);
	mtx_destroy(&ch->ch_mtx);
	free(ch, M_STORVSC);
}

/*
 * Turn busdma's segments into what the host takes: one range of pages, of
 * which only the first may begin and only the last may end inside a page.
 */
static int
storvsc_chan_stage(struct storvsc_chan *ch, const bus_dma_segment_t *segs,
    int nsegs)
{
	bus_addr_t addr, next;
	uint32_t n;
	int i;

	ch->ch_range.pfn = ch->ch_pfn;
	ch->ch_range.offset = segs[0].ds_addr & HVK_PAGE_MASK;
	ch->ch_range.len = 0;
	n = 0;
	for (i = 0; i < nsegs; i++) {
		addr = segs[i].ds_addr;
		next = addr + segs[i].ds_len;
		if ((i > 0 && (addr & HVK_PAGE_MASK) != 0) ||
		    (i < nsegs - 1 && (next & HVK_PAGE_MASK) != 0))
			return (EINVAL);
		ch->ch_range.len += segs[i].ds_len;
		for (addr &= ~(bus_addr_t)HVK_PAGE_MASK; addr < next;
		    addr += HVK_PAGE_SIZE) {
			if (n == ch->ch_sc->sc_maxio / HVK_PAGE_SIZE + 1)
				return (EFBIG);
			ch->ch_pfn[n++] = addr >> HVK_PAGE_SHIFT;
		}
	}
	ch->ch_range.npfn = n;
	return (0);
}

static void
storvsc_chan_loaded(void *arg, bus_dma_segment_t *segs, int nsegs, int error)
{
	struct storvsc_chan *ch;

	ch = arg;
	ch->ch_error = error != 0 ? error :
	    nsegs == 0 ? EINVAL : storvsc_chan_stage(ch, segs, nsegs);
}

/* Copy between a CCB's list of kernel buffers and one piece of memory. */
static void
storvsc_chan_copy(union ccb *ccb, char *piece, bool to_piece)
{
	bus_dma_segment_t *seg;
	uint32_t left, len;
	void *data;
	int i;

	seg = (bus_dma_segment_t *)ccb->csio.data_ptr;
	left = ccb->csio.dxfer_len;
	for (i = 0; i < ccb->csio.sglist_cnt && left != 0; i++) {
		len = MIN(left, seg[i].ds_len);
		data = (void *)(uintptr_t)seg[i].ds_addr;
		if (to_piece)
			memcpy(piece, data, len);
		else
			memcpy(data, piece, len);
		piece += len;
		left -= len;
	}
}

/* A list whose pieces do not meet at page boundaries: copy it into one. */
static int
storvsc_chan_bounce(struct storvsc_chan *ch, struct storvsc_req *rq)
{
	union ccb *ccb;
	int error;

	ccb = rq->rq_ccb;
	rq->rq_bounce = malloc(ccb->csio.dxfer_len, M_STORVSC, M_NOWAIT);
	if (rq->rq_bounce == NULL)
		return (ENOMEM);
	if ((ccb->ccb_h.flags & CAM_DIR_MASK) == CAM_DIR_OUT)
		storvsc_chan_copy(ccb, rq->rq_bounce, true);
	error = bus_dmamap_load(ch->ch_sc->sc_dtag, rq->rq_map, rq->rq_bounce,
	    ccb->csio.dxfer_len, storvsc_chan_loaded, ch, BUS_DMA_NOWAIT);
	return (error != 0 ? error : ch->ch_error);
}

static int
storvsc_chan_map(struct storvsc_chan *ch, struct storvsc_req *rq)
{
	struct storvsc_softc *sc;
	union ccb *ccb;
	int error;

	sc = ch->ch_sc;
	ccb = rq->rq_ccb;
	ch->ch_error = EINVAL;
	error = bus_dmamap_load_ccb(sc->sc_dtag, rq->rq_map, ccb,
	    storvsc_chan_loaded, ch, BUS_DMA_NOWAIT);
	if (error == 0)
		error = ch->ch_error;
	rq->rq_loaded = true;
	if ((error == EINVAL || error == EFBIG) &&
	    (ccb->ccb_h.flags & CAM_DATA_MASK) == CAM_DATA_SG) {
		bus_dmamap_unload(sc->sc_dtag, rq->rq_map);
		error = storvsc_chan_bounce(ch, rq);
	}
	if (error != 0)
		return (error == EINPROGRESS ? ENOMEM : error);
	bus_dmamap_sync(sc->sc_dtag, rq->rq_map,
	    (ccb->ccb_h.flags & CAM_DIR_MASK) == CAM_DIR_OUT ?
	    BUS_DMASYNC_PREWRITE : BUS_DMASYNC_PREREAD);
	return (0);
}

static void
storvsc_chan_unmap(struct storvsc_chan *ch, struct storvsc_req *rq, bool sent)
{
	struct storvsc_softc *sc;
	bool in;

	sc = ch->ch_sc;
	if (!rq->rq_loaded)
		return;
	in = (rq->rq_ccb->ccb_h.flags & CAM_DIR_MASK) == CAM_DIR_IN;
	if (sent)
		bus_dmamap_sync(sc->sc_dtag, rq->rq_map,
		    in ? BUS_DMASYNC_POSTREAD : BUS_DMASYNC_POSTWRITE);
	bus_dmamap_unload(sc->sc_dtag, rq->rq_map);
	rq->rq_loaded = false;
	if (rq->rq_bounce != NULL) {
		if (sent && in)
			storvsc_chan_copy(rq->rq_ccb, rq->rq_bounce, false);
		free(rq->rq_bounce, M_STORVSC);
		rq->rq_bounce = NULL;
	}
}

static void
storvsc_chan_describe(const struct storvsc_softc *sc, union ccb *ccb,
    struct hvk_storvsc_io *io)
{
	struct ccb_scsiio *csio;

	csio = &ccb->csio;
	memset(io, 0, sizeof(*io));
	io->length = csio->dxfer_len;
	io->timeout_ms = ccb->ccb_h.timeout == CAM_TIME_INFINITY ? 0 :
	    ccb->ccb_h.timeout == CAM_TIME_DEFAULT ? 60000 : ccb->ccb_h.timeout;
	io->path = sc->sc_path_id;
	io->target = sc->sc_ide ? sc->sc_target : ccb->ccb_h.target_id;
	io->lun = ccb->ccb_h.target_lun;
	switch (ccb->ccb_h.flags & CAM_DIR_MASK) {
	case CAM_DIR_IN:
		io->direction = HVK_STORVSC_READ;
		break;
	case CAM_DIR_OUT:
		io->direction = HVK_STORVSC_WRITE;
		break;
	default:
		io->length = 0;
		break;
	}
	if (io->length == 0)
		io->direction = HVK_STORVSC_NO_DATA;
	io->cdb_len = csio->cdb_len;
	memcpy(io->cdb, scsiio_cdb_ptr(csio), MIN(csio->cdb_len,
	    sizeof(io->cdb)));
	io->tagged = (ccb->ccb_h.flags & CAM_TAG_ACTION_VALID) != 0 &&
	    csio->tag_action != CAM_TAG_ACTION_NONE;
	io->plain = storvsc_use_win8ext_flags == 0;
}

static void
storvsc_chan_count(struct storvsc_chan *ch, const union ccb *ccb)
{
	ch->ch_send_req++;
	switch (ccb->ccb_h.flags & CAM_DATA_MASK) {
	case CAM_DATA_BIO:
		ch->ch_bio++;
		break;
	case CAM_DATA_VADDR:
		ch->ch_vaddr++;
		break;
	case CAM_DATA_SG:
		ch->ch_sg++;
		break;
	default:
		break;
	}
}

static int
storvsc_chan_send(struct storvsc_chan *ch, struct storvsc_req *rq,
    struct hvk_storvsc_io *io)
{
	struct hvk_vstor_packet packet;
	uint64_t txid;
	int error;

	io->cookie = rq;
	switch (hvk_storvsc_submit(&ch->ch_queue, io, storvsc_now(), &packet,
	    &txid)) {
	case HVK_OK:
		break;
	case HVK_NOSPACE:
		return (EAGAIN);
	default:
		return (EINVAL);
	}
	if (io->length != 0)
		error = vmbus_chan_send_gpa(ch->ch_chan, txid, true,
		    &ch->ch_range, 1, &packet, sizeof(packet));
	else
		error = vmbus_chan_send(ch->ch_chan, txid, true, &packet,
		    sizeof(packet));
	if (error != 0) {
		(void)hvk_storvsc_cancel(&ch->ch_queue, txid);
		if (error == EAGAIN)
			ch->ch_ring_full++;
	}
	return (error);
}

/*
 * Give one CCB to the host.  0: sent.  EAGAIN: later.  Else it can never be
 * sent.
 */
static int
storvsc_chan_start(struct storvsc_chan *ch, union ccb *ccb)
{
	struct hvk_storvsc_io io;
	struct storvsc_req *rq;
	int error;

	rq = STAILQ_FIRST(&ch->ch_free);
	if (rq == NULL)
		return (EAGAIN);
	STAILQ_REMOVE_HEAD(&ch->ch_free, rq_link);
	rq->rq_ccb = ccb;
	rq->rq_abort = false;
	storvsc_chan_describe(ch->ch_sc, ccb, &io);
	error = 0;
	if (io.length > ch->ch_queue.max_transfer)
		error = EFBIG;
	else if (io.length != 0)
		error = storvsc_chan_map(ch, rq);
	if (error == 0)
		error = storvsc_chan_send(ch, rq, &io);
	if (error == 0) {
		storvsc_chan_count(ch, ccb);
		return (0);
	}
	storvsc_chan_unmap(ch, rq, false);
	rq->rq_ccb = NULL;
	STAILQ_INSERT_HEAD(&ch->ch_free, rq, rq_link);
	return (error == ENOMEM ? EAGAIN : error);
}

/* What CAM is told of a CCB that was never sent. */
static void
storvsc_chan_refuse(union ccb *ccb, int error)
{
	ccb->ccb_h.status = error == EINVAL ? CAM_REQ_INVALID :
	    error == EFBIG ? CAM_REQ_TOO_BIG : CAM_DEV_NOT_THERE;
	xpt_done(ccb);
}

/* Send what waits, in order.  Called with the lock held, keeps it. */
static void
storvsc_chan_restart(struct storvsc_chan *ch)
{
	struct ccb_hdr *h;
	int error;

	while (!ch->ch_paused && (h = TAILQ_FIRST(&ch->ch_waiting)) != NULL) {
		error = storvsc_chan_start(ch, (union ccb *)h);
		if (error == EAGAIN)
			return;
		TAILQ_REMOVE(&ch->ch_waiting, h, sim_links.tqe);
		if (error != 0)
			storvsc_chan_refuse((union ccb *)h, error);
	}
}

void
storvsc_chan_action(struct storvsc_chan *ch, union ccb *ccb)
{
	int error;

	mtx_lock(&ch->ch_mtx);
	if (ch->ch_dead) {
		mtx_unlock(&ch->ch_mtx);
		storvsc_chan_refuse(ccb, ENXIO);
		return;
	}
	ccb->ccb_h.status |= CAM_SIM_QUEUED;
	error = EAGAIN;
	if (!ch->ch_paused && TAILQ_EMPTY(&ch->ch_waiting))
		error = storvsc_chan_start(ch, ccb);
	if (error == EAGAIN)
		TAILQ_INSERT_TAIL(&ch->ch_waiting, &ccb->ccb_h, sim_links.tqe);
	mtx_unlock(&ch->ch_mtx);
	if (error != 0 && error != EAGAIN)
		storvsc_chan_refuse(ccb, error);
}

/*
 * A request is over: take its memory from the host, give its CCB the result.
 * Called with the lock held; the CCB is the caller's to hand to CAM.  NULL: the
 * host never said that it let go of the data, and would write into, or send to
 * the disk, whatever those pages are used for next.  So they stay with the CCB,
 * and the CCB stays here.
 */
static union ccb *
storvsc_chan_finish(struct storvsc_chan *ch, const struct hvk_storvsc_done *done)
{
	struct storvsc_req *rq;
	union ccb *ccb;

	rq = done->cookie;
	ccb = rq->rq_ccb;
	if (done->held && rq->rq_loaded) {
		ch->ch_kept++;
		vmbus_keep(ch->ch_sc->sc_dev, rq, done->length);
		return (NULL);
	}
	storvsc_chan_unmap(ch, rq, true);
	STAILQ_INSERT_HEAD(&ch->ch_free, rq, rq_link);
	storvsc_cam_finish(ch->ch_sc, ccb, done, rq->rq_abort);
	rq->rq_ccb = NULL;
	return (ccb);
}

static union ccb *
storvsc_chan_answer(struct storvsc_chan *ch, const struct hvk_packet *pkt)
{
	struct hvk_storvsc_done done;
	union ccb *ccb;

	ccb = NULL;
	mtx_lock(&ch->ch_mtx);
	if (ch->ch_slots != NULL &&
	    hvk_storvsc_complete(&ch->ch_queue, pkt, &done) == HVK_OK)
		ccb = storvsc_chan_finish(ch, &done);
	mtx_unlock(&ch->ch_mtx);
	return (ccb);
}

void
storvsc_chan_callback(struct vmbus_channel *chan, void *arg)
{
	struct storvsc_chan *ch;
	struct hvk_packet pkt;
	union ccb *ccb;
	int result;

	ch = arg;
	for (;;) {
		result = vmbus_chan_recv(chan, ch->ch_buf, sizeof(ch->ch_buf),
		    &pkt);
		if (result == HVK_REJECT)
			continue;
		if (result != HVK_OK)
			break;
		switch (hvk_storvsc_kind(&pkt)) {
		case HVK_STORVSC_KIND_IO:
			ccb = storvsc_chan_answer(ch, &pkt);
			if (ccb != NULL)
				xpt_done_direct(ccb);
			break;
		default:
			storvsc_control(ch->ch_sc, &pkt);
			break;
		}
	}
	mtx_lock(&ch->ch_mtx);
	storvsc_chan_restart(ch);
	mtx_unlock(&ch->ch_mtx);
}

/*
 * End everything that is with the host, but what has data if the host holds it
 * (`held'; counted in ch_kept).  After GONE nothing is accepted any more, and
 * what waited ends too.
 */
void
storvsc_chan_end(struct storvsc_chan *ch, enum hvk_storvsc_result result,
    bool held)
{
	struct hvk_storvsc_done done;
	struct storvsc_ccbs over;
	struct ccb_hdr *h;
	union ccb *ccb;

	STAILQ_INIT(&over);
	mtx_lock(&ch->ch_mtx);
	while (ch->ch_slots != NULL &&
	    hvk_storvsc_end(&ch->ch_queue, result, held, &done)) {
		ccb = storvsc_chan_finish(ch, &done);
		if (ccb != NULL)
			STAILQ_INSERT_TAIL(&over, &ccb->ccb_h, sim_links.stqe);
	}
	if (result == HVK_STORVSC_GONE) {
		ch->ch_dead = true;
		while ((h = TAILQ_FIRST(&ch->ch_waiting)) != NULL) {
			TAILQ_REMOVE(&ch->ch_waiting, h, sim_links.tqe);
			h->status = CAM_DEV_NOT_THERE;
			STAILQ_INSERT_TAIL(&over, h, sim_links.stqe);
		}
	}
	mtx_unlock(&ch->ch_mtx);
	while ((h = STAILQ_FIRST(&over)) != NULL) {
		STAILQ_REMOVE_HEAD(&over, sim_links.stqe);
		xpt_done((union ccb *)h);
	}
}

void
storvsc_chan_pause(struct storvsc_chan *ch)
{
	mtx_lock(&ch->ch_mtx);
	ch->ch_paused = true;
	mtx_unlock(&ch->ch_mtx);
}

void
storvsc_chan_resume(struct storvsc_chan *ch)
{
	mtx_lock(&ch->ch_mtx);
	ch->ch_paused = false;
	storvsc_chan_restart(ch);
	mtx_unlock(&ch->ch_mtx);
}

/* Requests that just ran out of time. */
uint32_t
storvsc_chan_tick(struct storvsc_chan *ch, uint64_t now)
{
	uint32_t n;

	mtx_lock(&ch->ch_mtx);
	n = hvk_storvsc_expire(&ch->ch_queue, now);
	storvsc_chan_restart(ch);
	mtx_unlock(&ch->ch_mtx);
	return (n);
}

uint32_t
storvsc_chan_busy(struct storvsc_chan *ch)
{
	uint32_t n;

	mtx_lock(&ch->ch_mtx);
	n = ch->ch_queue.busy + !TAILQ_EMPTY(&ch->ch_waiting);
	mtx_unlock(&ch->ch_mtx);
	return (n);
}

/*
 * The protocol has no way to take one request back: one that waits is ended
 * here, one that is with the host is made overdue, so that a reset ends it.
 */
bool
storvsc_chan_abort(struct storvsc_chan *ch, union ccb *ccb)
{
	struct ccb_hdr *h;
	uint32_t i;
	bool found;

	found = false;
	mtx_lock(&ch->ch_mtx);
	TAILQ_FOREACH(h, &ch->ch_waiting, sim_links.tqe)
		if (h == &ccb->ccb_h)
			break;
	if (h != NULL)
		TAILQ_REMOVE(&ch->ch_waiting, h, sim_links.tqe);
	for (i = 0; h == NULL && i < ch->ch_queue.size; i++) {
		if (ch->ch_reqs[i].rq_ccb != ccb)
			continue;
		ch->ch_reqs[i].rq_abort = true;
		found = hvk_storvsc_abort(&ch->ch_queue, &ch->ch_reqs[i]) ==
		    HVK_OK;
		break;
	}
	mtx_unlock(&ch->ch_mtx);
	if (h == NULL)
		return (found);
	h->status = CAM_REQ_ABORTED;
	xpt_done(ccb);
	return (true);
}
