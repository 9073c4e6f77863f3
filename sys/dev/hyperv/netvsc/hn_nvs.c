/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * The interface's machine of hn(4): its packets, its clock, its requests and
 * who waits for them.  A waiting thread sleeps on sc_nv; the tick looks at the
 * deadlines, so every wait ends.
 *
 * Locking: sc_mtx for all of it.
 */

#include "hn_var.h"

/*
 * Send what the machine wants to say.  A request lies in a page of its own,
 * which is the host's until the next one.  A full ring keeps the message for
 * the next tick.
 */
void
hn_nvs_pump(struct hn_softc *sc)
{
	struct hvk_netvsc_message *m;
	struct hvk_gpa_range range;
	int error;

	mtx_assert(&sc->sc_mtx, MA_OWNED);
	m = &sc->sc_msg;
	for (;;) {
		if (!sc->sc_msg_pending) {
			if (!hvk_netvsc_pull(&sc->sc_nv, m))
				return;
			sc->sc_msg_pending = true;
			if (m->rndis_len != 0)
				memcpy(sc->sc_control, m->rndis,
				    MIN(m->rndis_len, PAGE_SIZE));
		}
		if (m->rndis_len != 0) {
			range.len = m->rndis_len;
			range.offset = 0;
			range.pfn = &sc->sc_control_pfn;
			range.npfn = 1;
			error = vmbus_chan_send_gpa(sc->sc_primary, m->txid,
			    m->want_completion, &range, 1, &m->nvsp,
			    sizeof(m->nvsp));
		} else
			error = vmbus_chan_send(sc->sc_primary, m->txid,
			    m->want_completion, &m->nvsp, sizeof(m->nvsp));
		if (error == EAGAIN)
			return;
		sc->sc_msg_pending = false;
		if (error != 0)
			return;
	}
}

void
hn_nvs_event(struct hn_softc *sc, enum hvk_netvsc_event event)
{
	mtx_assert(&sc->sc_mtx, MA_OWNED);
	switch (event) {
	case HVK_NETVSC_WANT_BUFFERS:
	case HVK_NETVSC_IS_READY:
	case HVK_NETVSC_IS_HALTED:
		wakeup(&sc->sc_nv);
		break;
	case HVK_NETVSC_REQUEST_OVER:
		sc->sc_request_over = true;
		sc->sc_answer_len = MIN(sc->sc_nv.request.len, HN_ANSWER);
		if (sc->sc_answer_len != 0)
			memcpy(sc->sc_answer, sc->sc_nv.request.data,
			    sc->sc_answer_len);
		wakeup(&sc->sc_nv);
		break;
	case HVK_NETVSC_HAS_FAILED:
		sc->sc_request_over = true;
		wakeup(&sc->sc_nv);
		if (!sc->sc_changing)
			hn_fail(sc, hn_nvs_reason(sc));
		break;
	case HVK_NETVSC_LINK:
	case HVK_NETVSC_NETWORK:
		sc->sc_want_link = true;
		if (event == HVK_NETVSC_NETWORK)
			sc->sc_want_renew = true;
		if (!sc->sc_stopping)
			taskqueue_enqueue(sc->sc_tq, &sc->sc_link_task);
		break;
	case HVK_NETVSC_SEND_TABLE:
		sc->sc_has_table = true;
		break;
	default:
		break;
	}
}

const char *
hn_nvs_reason(const struct hn_softc *sc)
{
	switch (sc->sc_nv.reason) {
	case HVK_NETVSC_NO_ANSWER:
		return ("the host does not answer");
	case HVK_NETVSC_NO_VERSION:
		return ("the host knows none of our protocol versions");
	case HVK_NETVSC_REFUSED:
		return ("the host refused to start the interface");
	case HVK_NETVSC_BAD_BUFFER:
		return ("the host divides the receive buffer in no usable way");
	case HVK_NETVSC_BAD_ANSWER:
		return ("the host's answer makes no sense");
	default:
		return ("the host took the interface away");
	}
}

/* A packet of kind CONTROL, from the callback of the primary channel. */
void
hn_nvs_input(struct hn_softc *sc, const struct hvk_packet *pkt)
{
	enum hvk_netvsc_event event;
	bool ack;

	ack = false;
	mtx_lock(&sc->sc_mtx);
	if (hvk_netvsc_input(&sc->sc_nv, pkt, hn_now(), &event, &ack) ==
	    HVK_OK)
		hn_nvs_event(sc, event);
	hn_nvs_pump(sc);
	mtx_unlock(&sc->sc_mtx);
	if (ack)
		(void)vmbus_chan_send_completion(sc->sc_primary, pkt->txid,
		    NULL, 0);
}

/* A control message in the receive buffer. */
void
hn_nvs_rndis(struct hn_softc *sc, const void *bytes, uint32_t len)
{
	enum hvk_netvsc_event event;

	mtx_lock(&sc->sc_mtx);
	if (hvk_netvsc_rndis(&sc->sc_nv, bytes, len, hn_now(), &event) ==
	    HVK_OK)
		hn_nvs_event(sc, event);
	hn_nvs_pump(sc);
	mtx_unlock(&sc->sc_mtx);
}

/* Called with sc_mtx held. */
void
hn_nvs_tick(struct hn_softc *sc)
{
	enum hvk_netvsc_event event;

	event = hvk_netvsc_tick(&sc->sc_nv, hn_now());
	hn_nvs_event(sc, event);
	hn_nvs_pump(sc);
}

/* Until the machine has left the phases between two points; sc_mtx held. */
static void
hn_nvs_sleep(struct hn_softc *sc, const char *what)
{
	msleep_sbt(&sc->sc_nv, &sc->sc_mtx, 0, what, SBT_1S, 0, 0);
}

/* started: until it wants buffers (0) or is ready (1).  0 or ENXIO. */
int
hn_nvs_wait(struct hn_softc *sc, int started)
{
	enum hvk_netvsc_phase phase;
	int error;

	mtx_lock(&sc->sc_mtx);
	for (;;) {
		phase = sc->sc_nv.phase;
		if (phase == HVK_NETVSC_FAILED || sc->sc_failed)
			error = ENXIO;
		else if (phase == HVK_NETVSC_READY ||
		    (started == 0 && phase == HVK_NETVSC_BUFFERS))
			error = 0;
		else {
			hn_nvs_sleep(sc, "hnwait");
			continue;
		}
		break;
	}
	mtx_unlock(&sc->sc_mtx);
	return (error);
}

int
hn_nvs_start(struct hn_softc *sc)
{
	int result;

	mtx_lock(&sc->sc_mtx);
	sc->sc_msg_pending = false;
	sc->sc_has_table = false;
	result = hvk_netvsc_start(&sc->sc_nv, hn_now());
	hn_nvs_pump(sc);
	mtx_unlock(&sc->sc_mtx);
	return (result == HVK_OK ? 0 : ENXIO);
}

/* Say goodbye, as far as the host listens. */
void
hn_nvs_halt(struct hn_softc *sc)
{
	mtx_lock(&sc->sc_mtx);
	if (!sc->sc_failed && !vmbus_chan_is_revoked(sc->sc_primary) &&
	    hvk_netvsc_halt(&sc->sc_nv, hn_now()) == HVK_OK) {
		hn_nvs_pump(sc);
		while (sc->sc_nv.phase == HVK_NETVSC_HALTING && !sc->sc_failed)
			hn_nvs_sleep(sc, "hnhalt");
	}
	mtx_unlock(&sc->sc_mtx);
}

static int
hn_request_errno(const struct hvk_netvsc_result *r)
{
	if (!r->answered)
		return (ETIMEDOUT);
	switch (r->status) {
	case HVK_RNDIS_STATUS_OK:
		return (0);
	case HVK_RNDIS_STATUS_UNSUPPORTED:
	case HVK_RNDIS_STATUS_BAD_OID:
		return (EOPNOTSUPP);
	default:
		return (EIO);
	}
}

/*
 * One request of ours: `call' makes it.  sc_cfg is held, so there is no other;
 * the machine ends it, answered or not.
 */
int
hn_request(struct hn_softc *sc, int (*call)(struct hn_softc *, void *),
    void *arg)
{
	int error;

	sx_assert(&sc->sc_cfg, SA_XLOCKED);
	mtx_lock(&sc->sc_mtx);
	if (sc->sc_failed || !hvk_netvsc_ready(&sc->sc_nv)) {
		mtx_unlock(&sc->sc_mtx);
		return (ENXIO);
	}
	sc->sc_request_over = false;
	switch (call(sc, arg)) {
	case HVK_OK:
		break;
	case HVK_AGAIN:
		mtx_unlock(&sc->sc_mtx);
		return (EBUSY);
	case HVK_RANGE:
		mtx_unlock(&sc->sc_mtx);
		return (EINVAL);
	default:
		mtx_unlock(&sc->sc_mtx);
		return (ENXIO);
	}
	hn_nvs_pump(sc);
	while (!sc->sc_request_over && !sc->sc_failed)
		hn_nvs_sleep(sc, "hnreq");
	error = sc->sc_request_over ? hn_request_errno(&sc->sc_nv.request) :
	    ENXIO;
	mtx_unlock(&sc->sc_mtx);
	return (error);
}

static int
hn_query_call(struct hn_softc *sc, void *arg)
{
	return (hvk_netvsc_query(&sc->sc_nv, *(uint32_t *)arg, NULL, 0,
	    hn_now()));
}

/* 0: the answer is in sc_answer. */
int
hn_query(struct hn_softc *sc, uint32_t oid)
{
	return (hn_request(sc, hn_query_call, &oid));
}
