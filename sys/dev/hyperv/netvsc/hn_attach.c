/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * hn(4): Hyper-V's network interface: probe, attach, detach, the clock, and
 * what happens when the host is lost.
 *
 * Locking: hn_var.h.
 */

#include "hn_var.h"

#include <hvk/utf16.h>

#include <vm/pmap.h>

#include <hvk/guid.h>

MALLOC_DEFINE(M_HN, "hn", "Hyper-V network");

static const struct hvk_guid hn_guid = HVK_GUID_NETWORK;

uint64_t
hn_now(void)
{
	return ((uint64_t)sbttoms(sbinuptime()));
}

static int
hn_probe(device_t dev)
{
	if (!hvk_guid_eq(vmbus_get_type(dev), &hn_guid))
		return (ENXIO);
	device_set_desc(dev, "Hyper-V Network Interface");
	return (BUS_PROBE_VENDOR);
}

/* The interface is lost; told once.  sc_mtx held. */
void
hn_fail(struct hn_softc *sc, const char *why)
{
	mtx_assert(&sc->sc_mtx, MA_OWNED);
	if (sc->sc_failed)
		return;
	sc->sc_failed = true;
	sc->sc_why = why;
	hvk_netvsc_stop(&sc->sc_nv);
	wakeup(&sc->sc_nv);
	if (!sc->sc_stopping)
		taskqueue_enqueue(sc->sc_tq, &sc->sc_fail_task);
}

/*
 * Nothing moves any more.  The channels are closed, which is what makes the
 * host let go of the memory; the interface stays, without a link, until the
 * device goes.
 */
static void
hn_fail_task(void *arg, int pending __unused)
{
	struct hn_softc *sc = arg;

	sx_xlock(&sc->sc_cfg);
	device_printf(sc->sc_dev, "%s\n", sc->sc_why);
	if (sc->sc_attached) {
		if_setdrvflagbits(sc->sc_ifp, 0, IFF_DRV_RUNNING);
		sc->sc_link = false;
		if_link_state_change(sc->sc_ifp, LINK_STATE_DOWN);
	}
	if (sc->sc_up)
		hn_synth_detach(sc);
	/* Kept for after a change of the MTU, of which there is none now. */
	if (sc->sc_attached)
		hn_qflush(sc->sc_ifp);
	sx_xunlock(&sc->sc_cfg);
}

/* What the host says that makes no sense is told, but not each time. */
static void
hn_report(struct hn_softc *sc, uint64_t now)
{
	const struct hn_ring *r;
	uint64_t n;
	int i;

	n = sc->sc_nv.rejected + sc->sc_nothing;
	for (i = 0; i < sc->sc_nrings; i++) {
		r = &sc->sc_ring[i];
		n += r->r_rx.rejected + r->r_rx.broken + r->r_tx.unknown +
		    r->r_tx.stale + r->r_tx.malformed;
	}
	/* Counters start anew with the channels. */
	if (n <= sc->sc_nonsense || now < sc->sc_report_at) {
		sc->sc_nonsense = MIN(n, sc->sc_nonsense);
		return;
	}
	device_printf(sc->sc_dev, "the host sent %ju messages that make no "
	    "sense; they are skipped\n", (uintmax_t)(n - sc->sc_nonsense));
	sc->sc_nonsense = n;
	sc->sc_report_at = now + HN_REPORT_MS;
}

static void
hn_tick(void *arg)
{
	struct hn_softc *sc = arg;
	uint64_t now;
	bool stalled;
	int i;

	now = hn_now();
	stalled = false;
	for (i = 0; i < sc->sc_ninuse; i++) {
		hn_tx_restart(&sc->sc_ring[i]);
		stalled |= hn_tx_stalled(&sc->sc_ring[i], now);
	}
	hn_report(sc, now);
	mtx_lock(&sc->sc_mtx);
	if (stalled)
		hn_fail(sc, "the host has not finished a send for a long "
		    "time");
	hn_nvs_tick(sc);
	if (sc->sc_again && !sc->sc_changing && !sc->sc_stopping) {
		sc->sc_again = false;
		taskqueue_enqueue(sc->sc_tq, &sc->sc_restart_task);
	}
	if ((sc->sc_want_link || (sc->sc_renew_at != 0 &&
	    now >= sc->sc_renew_at)) && !sc->sc_stopping)
		taskqueue_enqueue(sc->sc_tq, &sc->sc_link_task);
	if (!sc->sc_stopping)
		callout_reset_sbt(&sc->sc_tick, HN_TICK, 0, hn_tick, sc,
		    C_PREL(2));
	mtx_unlock(&sc->sc_mtx);
}

/* How many channels to ask for. */
static int
hn_ring_count(void)
{
	int n;

	n = hn_chan_cnt > 0 ? MIN(hn_chan_cnt, mp_ncpus) : mp_ncpus;
	return (MIN(MAX(n, 1), HN_MAXRINGS));
}

/* hw.hn.tx_taskq_mode 1: the queues that all interfaces share. */
static struct taskqueue *hn_shared[HN_MAXRINGS];
static int hn_nshared;

static void
hn_make_queues(struct taskqueue **tq, int n, const char *who)
{
	int i;

	for (i = 0; i < n; i++) {
		tq[i] = taskqueue_create("hn tx", M_WAITOK,
		    taskqueue_thread_enqueue, &tq[i]);
		(void)taskqueue_start_threads(&tq[i], 1, PI_NET, "%s tx%d",
		    who, i);
	}
}

static void
hn_shared_init(void *arg __unused)
{
	if (hn_tx_taskq_mode != HN_TASKQ_GLOBAL)
		return;
	hn_nshared = MIN(MAX(hn_tx_taskq_cnt, 1), HN_MAXRINGS);
	hn_make_queues(hn_shared, hn_nshared, "hn");
}
SYSINIT(hn_shared, SI_SUB_DRIVERS, SI_ORDER_SECOND, hn_shared_init, NULL);

static void
hn_shared_fini(void *arg __unused)
{
	while (hn_nshared > 0)
		taskqueue_free(hn_shared[--hn_nshared]);
}
SYSUNINIT(hn_shared, SI_SUB_DRIVERS, SI_ORDER_SECOND, hn_shared_fini, NULL);

/* Where frames that do not go at once are sent from. */
static void
hn_taskqueues(struct hn_softc *sc)
{
	struct hn_ring *r;
	int i;

	if (hn_tx_taskq_mode == HN_TASKQ_INDEP) {
		sc->sc_ntxtq = MIN(MAX(hn_tx_taskq_cnt, 1), sc->sc_nrings);
		hn_make_queues(sc->sc_txtq, sc->sc_ntxtq,
		    device_get_nameunit(sc->sc_dev));
	}
	for (i = 0; i < sc->sc_nrings; i++) {
		r = &sc->sc_ring[i];
		TASK_INIT(&r->r_task, 0, hn_tx_task, r);
		if (sc->sc_ntxtq != 0)
			r->r_tq = sc->sc_txtq[i % sc->sc_ntxtq];
		else if (hn_nshared != 0)
			r->r_tq = hn_shared[i % hn_nshared];
	}
	sc->sc_tq = taskqueue_create("hn mgmt", M_WAITOK,
	    taskqueue_thread_enqueue, &sc->sc_tq);
	(void)taskqueue_start_threads(&sc->sc_tq, 1, PI_NET, "%s mgmt",
	    device_get_nameunit(sc->sc_dev));
}

static void
hn_create_rings(struct hn_softc *sc)
{
	struct hn_ring *r;
	int i;

	sc->sc_nrings = hn_ring_count();
	sc->sc_ring = malloc(sc->sc_nrings * sizeof(struct hn_ring), M_HN,
	    M_WAITOK | M_ZERO);
	for (i = 0; i < sc->sc_nrings; i++) {
		r = &sc->sc_ring[i];
		r->r_sc = sc;
		r->r_idx = i;
		r->r_direct_size = hn_direct_tx_size;
		r->r_trust = (hn_trust_hosttcp ? HN_TRUST_TCP : 0) |
		    (hn_trust_hostudp ? HN_TRUST_UDP : 0) |
		    (hn_trust_hostip ? HN_TRUST_IP : 0);
		mtx_init(&r->r_mtx, "hn ring", NULL, MTX_DEF);
	}
}

static void
hn_create(struct hn_softc *sc)
{
	sx_init(&sc->sc_cfg, "hn configuration");
	mtx_init(&sc->sc_mtx, "hn", NULL, MTX_DEF);
	callout_init(&sc->sc_tick, 1);
	callout_init(&sc->sc_poll, 1);
	(void)sysctl_ctx_init(&sc->sc_sysctl);
	TASK_INIT(&sc->sc_filter_task, 0, hn_filter_task, sc);
	TASK_INIT(&sc->sc_link_task, 0, hn_link_task, sc);
	TASK_INIT(&sc->sc_fail_task, 0, hn_fail_task, sc);
	TASK_INIT(&sc->sc_restart_task, 0, hn_restart_task, sc);
	hn_create_rings(sc);
	hn_taskqueues(sc);
	sc->sc_control = HVK_KMEM_ALLOC(PAGE_SIZE, M_WAITOK | M_ZERO);
	sc->sc_control_pfn = (uint64_t)vtophys(sc->sc_control) >>
	    HVK_PAGE_SHIFT;
	sc->sc_agg_size = hn_tx_agg_size;
	sc->sc_agg_pkts = hn_tx_agg_pkts;
}

/* No callback, task or ioctl comes any more. */
static void
hn_destroy(struct hn_softc *sc)
{
	struct hn_ring *r;
	int i;

	mtx_lock(&sc->sc_mtx);
	sc->sc_stopping = true;
	mtx_unlock(&sc->sc_mtx);
	(void)sysctl_ctx_free(&sc->sc_sysctl);
	callout_drain(&sc->sc_tick);
	callout_drain(&sc->sc_poll);
	taskqueue_drain(sc->sc_tq, &sc->sc_fail_task);
	taskqueue_drain(sc->sc_tq, &sc->sc_restart_task);
	taskqueue_drain(sc->sc_tq, &sc->sc_link_task);
	taskqueue_drain(sc->sc_tq, &sc->sc_filter_task);
	sx_xlock(&sc->sc_cfg);
	if (sc->sc_up)
		hn_synth_detach(sc);
	sx_xunlock(&sc->sc_cfg);
	for (i = 0; i < sc->sc_nrings; i++)
		if (sc->sc_ring[i].r_tq != NULL)
			taskqueue_drain(sc->sc_ring[i].r_tq,
			    &sc->sc_ring[i].r_task);
	for (i = 0; i < sc->sc_ntxtq; i++)
		taskqueue_free(sc->sc_txtq[i]);
	taskqueue_free(sc->sc_tq);
	for (i = 0; i < sc->sc_nrings; i++) {
		r = &sc->sc_ring[i];
		hn_rx_free(r);
		hn_tx_destroy(r);
		mtx_destroy(&r->r_mtx);
	}
	free(sc->sc_ring, M_HN);
	hn_memory_free(sc);
	if (sc->sc_held) {
		vmbus_keep(sc->sc_dev, sc->sc_control, PAGE_SIZE);
		vmbus_keep(sc->sc_dev, sc->sc_dtag, 0);
	} else {
		HVK_KMEM_FREE(sc->sc_control, PAGE_SIZE);
		if (sc->sc_dtag != NULL)
			(void)bus_dma_tag_destroy(sc->sc_dtag);
	}
	mtx_destroy(&sc->sc_mtx);
	sx_destroy(&sc->sc_cfg);
}

static void
hn_ifattach(struct hn_softc *sc)
{
	struct ifnet *ifp;
	int i;

	ifp = sc->sc_ifp = if_alloc(IFT_ETHER);
	if_setsoftc(ifp, sc);
	if_initname(ifp, device_get_name(sc->sc_dev),
	    device_get_unit(sc->sc_dev));
	if_setflags(ifp, IFF_BROADCAST | IFF_SIMPLEX | IFF_MULTICAST);
	if_setioctlfn(ifp, hn_ioctl);
	if_setinitfn(ifp, hn_init);
	if (hn_use_if_start) {
		if_setsendqlen(ifp, MAX(hn_tx_swq_depth, HN_SWQ));
		if_setsendqready(ifp);
		if_setstartfn(ifp, hn_start);
	} else {
		if_settransmitfn(ifp, hn_transmit);
		if_setqflushfn(ifp, hn_qflush);
	}
	ifmedia_init(&sc->sc_media, 0, hn_media_change, hn_media_status);
	ifmedia_add(&sc->sc_media, IFM_ETHER | IFM_AUTO, 0, NULL);
	ifmedia_set(&sc->sc_media, IFM_ETHER | IFM_AUTO);
	hn_offload_init(sc);
	if_setmtu(ifp, sc->sc_nv.mtu);
	memcpy(sc->sc_mac, sc->sc_nv.mac, ETHER_ADDR_LEN);
	for (i = 0; i < sc->sc_nrings; i++)
		sc->sc_ring[i].r_lro.ifp = ifp;
	sc->sc_attached = true;
	ether_ifattach(ifp, sc->sc_mac);
	/* It sets the classic one. */
	if_setmtu(ifp, sc->sc_nv.mtu);
	if_setifheaderlen(ifp, sizeof(struct ether_vlan_header));
	hn_link_apply(sc);
	sc->sc_lladdr_tag = EVENTHANDLER_REGISTER(iflladdr_event,
	    hn_lladdr_event, sc, EVENTHANDLER_PRI_ANY);
}

/* What the administrator of the host calls the interface; most say nothing. */
static void
hn_name(struct hn_softc *sc)
{
	uint32_t len;
	char *p;

	if (hn_query(sc, HVK_OID_FRIENDLY_NAME) != 0)
		return;
	(void)hvk_utf16_decode(sc->sc_name, sizeof(sc->sc_name),
	    sc->sc_answer, sc->sc_answer_len / 2, &len);
	for (p = sc->sc_name; *p != '\0'; p++)
		if ((u_char)*p < ' ' || *p == 0x7f)
			*p = '?';
}

static int
hn_attach(device_t dev)
{
	struct hvk_netvsc_config config;
	struct hn_softc *sc;
	int error;

	sc = device_get_softc(dev);
	sc->sc_dev = dev;
	sc->sc_primary = vmbus_get_channel(dev);
	hn_create(sc);
	memset(&config, 0, sizeof(config));
	config.subchannels = sc->sc_nrings - 1;
	config.step_ms = hn_request_ms;
	config.offloads = sc->sc_wanted_off = HVK_OFF_ALL &
	    ~(HVK_OFF_RSC4 | HVK_OFF_RSC6) &
	    ~(hn_enable_udp4cs ? 0 : HVK_OFF_TX_UDP4) &
	    ~(hn_enable_udp6cs ? 0 : HVK_OFF_TX_UDP6);
	hvk_netvsc_init(&sc->sc_nv, &config);
	error = bus_dma_tag_create(bus_get_dma_tag(dev),
	    1, PAGE_SIZE,			/* alignment, boundary */
	    BUS_SPACE_MAXADDR, BUS_SPACE_MAXADDR, NULL, NULL,
	    HN_SEGS * PAGE_SIZE, HN_SEGS, PAGE_SIZE, 0, NULL, NULL,
	    &sc->sc_dtag);
	if (error != 0) {
		hn_destroy(sc);
		return (error);
	}
	callout_reset_sbt(&sc->sc_tick, HN_TICK, 0, hn_tick, sc, C_PREL(2));
	sx_xlock(&sc->sc_cfg);
	error = hn_synth_attach(sc, ETHERMTU);
	if (error == 0)
		hn_name(sc);
	sx_xunlock(&sc->sc_cfg);
	if (error != 0) {
		device_printf(dev, "%s\n", hn_nvs_reason(sc));
		hn_destroy(sc);
		return (ENXIO);
	}
	hn_ifattach(sc);
	hn_sysctl_attach(sc);
	return (0);
}

static int
hn_detach(device_t dev)
{
	struct hn_softc *sc;

	/*
	 * The topology lock is dropped while this sleeps, so a kldunload and a
	 * rescind can meet here.
	 */
	sc = device_get_softc(dev);
	if (sc->sc_detaching)
		return (EBUSY);
	sc->sc_detaching = true;
	EVENTHANDLER_DEREGISTER(iflladdr_event, sc->sc_lladdr_tag);
	sx_xlock(&sc->sc_cfg);
	hn_stop(sc);
	if (sc->sc_up)
		hn_synth_detach(sc);
	sx_xunlock(&sc->sc_cfg);
	/* After this no frame and no ioctl comes from above. */
	ether_ifdetach(sc->sc_ifp);
	hn_destroy(sc);
	ifmedia_removeall(&sc->sc_media);
	if_free(sc->sc_ifp);
	return (0);
}

static int
hn_shutdown(device_t dev __unused)
{
	return (0);
}

static device_method_t hn_methods[] = {
	DEVMETHOD(device_probe,		hn_probe),
	DEVMETHOD(device_attach,	hn_attach),
	DEVMETHOD(device_detach,	hn_detach),
	DEVMETHOD(device_shutdown,	hn_shutdown),
	DEVMETHOD_END
};

static driver_t hn_driver = {
	"hn",
	hn_methods,
	sizeof(struct hn_softc)
};

HVK_DRIVER_MODULE(hn, vmbus, hn_driver);
MODULE_VERSION(hn, VMBUS_MODVER);
MODULE_DEPEND(hn, vmbus, VMBUS_MODVER, VMBUS_MODVER, VMBUS_MODVER);
