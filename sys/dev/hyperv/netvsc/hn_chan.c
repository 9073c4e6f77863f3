/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * The way of hn(4) onto the host and off it: channels, the two shared buffers,
 * and a change of the MTU, which is off and on again with a way back.
 *
 * The buffers are contiguous in the kernel's address space and any pages in
 * memory.  What the host does not confirm to have let go of is never freed.
 *
 * Locking: sc_cfg, but for the callback, which belongs to its channel.
 */

#include "hn_var.h"

#include <vm/pmap.h>

static int
hn_mem_share(struct hn_softc *sc, struct hn_mem *mem, uint32_t size)
{
	uint64_t *pfn;
	uint32_t i, n;
	int error;

	if (mem->addr != NULL && mem->size != size) {
		HVK_KMEM_FREE(mem->addr, mem->size);
		mem->addr = NULL;
	}
	if (mem->addr == NULL) {
		mem->size = size;
		mem->addr = HVK_KMEM_ALLOC(size, M_WAITOK | M_ZERO);
	}
	n = size >> HVK_PAGE_SHIFT;
	pfn = malloc(n * sizeof(*pfn), M_HN, M_WAITOK);
	for (i = 0; i < n; i++)
		pfn[i] = (uint64_t)vtophys((char *)mem->addr +
		    (size_t)i * HVK_PAGE_SIZE) >> HVK_PAGE_SHIFT;
	error = vmbus_chan_gpadl_create(sc->sc_primary, pfn, n, &mem->gpadl);
	free(pfn, M_HN);
	/* A handle in spite of an error: the host may have the pages. */
	mem->shared = mem->gpadl != 0;
	return (error);
}

static void
hn_mem_unshare(struct hn_softc *sc, struct hn_mem *mem)
{
	if (!mem->shared)
		return;
	mem->shared = false;
	if (vmbus_chan_gpadl_destroy(sc->sc_primary, mem->gpadl) == 0)
		return;
	vmbus_keep(sc->sc_dev, mem->addr, mem->size);
	mem->addr = NULL;
	sc->sc_held = true;
}

void
hn_memory_free(struct hn_softc *sc)
{
	if (sc->sc_recv.addr != NULL)
		HVK_KMEM_FREE(sc->sc_recv.addr, sc->sc_recv.size);
	if (sc->sc_send.addr != NULL)
		HVK_KMEM_FREE(sc->sc_send.addr, sc->sc_send.size);
	sc->sc_recv.addr = sc->sc_send.addr = NULL;
}

/* One packet of a channel: whose it is. */
static void
hn_dispatch(struct hn_ring *r, const struct hvk_packet *pkt)
{
	struct hn_softc *sc = r->r_sc;

	switch (hvk_netvsc_kind(pkt)) {
	case HVK_NETVSC_KIND_RX:
		hn_rx_packet(r, pkt);
		break;
	case HVK_NETVSC_KIND_TX:
		hn_tx_done(r, pkt);
		break;
	case HVK_NETVSC_KIND_CONTROL:
		if (r->r_idx == 0)
			hn_nvs_input(sc, pkt);
		break;
	default:
		sc->sc_nothing++;
		break;
	}
}

void
hn_callback(struct vmbus_channel *chan, void *arg)
{
	struct hn_ring *r = arg;
	struct epoch_tracker et;
	struct hvk_packet pkt;
	int n, result;

	NET_EPOCH_ENTER(et);
	for (n = 0; n < HN_RX_BUDGET; n++) {
		if (hvk_netvsc_acks_full(&r->r_acks)) {
			mtx_lock(&r->r_sc->sc_mtx);
			hn_fail(r->r_sc, "the host does not take back its "
			    "receive buffers");
			mtx_unlock(&r->r_sc->sc_mtx);
			break;
		}
		result = vmbus_chan_recv(chan, r->r_pktbuf, r->r_pktbuf_len,
		    &pkt);
		if (result == HVK_REJECT)
			continue;
		if (result != HVK_OK)
			break;
		hn_dispatch(r, &pkt);
	}
	hn_rx_flush(r);
	NET_EPOCH_EXIT(et);
	hn_tx_restart(r);
}

/*
 * The host rescinded or broke a channel while it was open.  Without one of its
 * sub-channels the interface starts anew, at the next tick: a host that takes
 * the whole interface away begins with those.
 */
static void
hn_gone(struct vmbus_channel *chan, void *arg)
{
	struct hn_ring *r = arg;
	struct hn_softc *sc = r->r_sc;

	mtx_lock(&sc->sc_mtx);
	if (vmbus_chan_is_primary(chan) ||
	    vmbus_chan_is_revoked(sc->sc_primary))
		hn_fail(sc, "the host took the interface away");
	else
		sc->sc_again = true;
	mtx_unlock(&sc->sc_mtx);
}

static int
hn_open(struct hn_ring *r, struct vmbus_channel *chan)
{
	struct vmbus_chan_open_args args;
	struct hn_softc *sc = r->r_sc;
	int error;

	r->r_chan = chan;
	memset(&args, 0, sizeof(args));
	args.tx_size = args.rx_size = hn_ring_pages * PAGE_SIZE;
	args.cb = hn_callback;
	args.cbarg = r;
	args.gone = hn_gone;
	vmbus_chan_cpu_set(chan, (device_get_unit(sc->sc_dev) *
	    sc->sc_nrings + r->r_idx) % mp_ncpus);
	error = hn_rx_init(r);
	if (error == 0)
		error = vmbus_chan_open(chan, &args);
	if (error != 0) {
		device_printf(sc->sc_dev, "cannot open channel %u: %d\n",
		    vmbus_chan_subidx(chan), error);
		return (error);
	}
	mtx_lock(&r->r_mtx);
	r->r_open = true;
	mtx_unlock(&r->r_mtx);
	return (0);
}

static int
hn_open_primary(struct hn_softc *sc)
{
	int error;

	error = hn_open(&sc->sc_ring[0], sc->sc_primary);
	if (error == 0)
		sc->sc_up = true;
	return (error);
}

static uint32_t
hn_size(uint32_t wanted, uint32_t most)
{
	return (MIN(round_page(wanted), trunc_page(most)));
}

/* The buffers; the machine tells the host where they are. */
static int
hn_buffers(struct hn_softc *sc)
{
	struct hvk_netvsc_buffers b;
	uint32_t size;
	int error, result;

	size = hn_size(MAX(hn_recv_size, PAGE_SIZE), sc->sc_nv.recv_max);
	error = hn_mem_share(sc, &sc->sc_recv, size);
	if (error != 0)
		return (error);
	size = hn_send_size > 0 ? hn_send_size :
	    sc->sc_nrings * HN_SEND_PER_RING;
	size = hn_size(MAX(size, PAGE_SIZE), sc->sc_nv.send_max);
	error = hn_mem_share(sc, &sc->sc_send, size);
	if (error != 0)
		return (error);
	error = hn_rx_init(&sc->sc_ring[0]);
	if (error != 0)
		return (error);
	memset(&b, 0, sizeof(b));
	b.recv_gpadl = sc->sc_recv.gpadl;
	b.recv_len = sc->sc_recv.size;
	b.send_gpadl = sc->sc_send.gpadl;
	b.send_len = sc->sc_send.size;
	mtx_lock(&sc->sc_mtx);
	result = hvk_netvsc_buffers(&sc->sc_nv, &b, hn_now());
	hn_nvs_pump(sc);
	mtx_unlock(&sc->sc_mtx);
	return (result == HVK_OK ? 0 : ENXIO);
}

/* Start-up with the host; ends because each step has a deadline. */
static int
hn_bring_up(struct hn_softc *sc, uint32_t mtu)
{
	struct hvk_netvsc_config config;
	int error;

	mtx_lock(&sc->sc_mtx);
	config = sc->sc_nv.config;
	config.mtu = mtu;
	config.offloads = sc->sc_wanted_off;
	/* After a start that failed the machine begins anew. */
	if (sc->sc_nv.phase == HVK_NETVSC_FAILED)
		hvk_netvsc_init(&sc->sc_nv, &config);
	else
		sc->sc_nv.config = config;
	mtx_unlock(&sc->sc_mtx);
	error = hn_nvs_start(sc);
	if (error == 0)
		error = hn_nvs_wait(sc, 0);
	if (error == 0)
		error = hn_buffers(sc);
	if (error == 0)
		error = hn_nvs_wait(sc, 1);
	return (error);
}

/*
 * Open the channels that the host granted.  One that is not offered or does
 * not open is left out; the interface works with the rest.
 */
static void
hn_subchannels(struct hn_softc *sc)
{
	int i, n, wanted;

	n = 1;
	wanted = MIN((int)sc->sc_nv.subchannels, sc->sc_nrings - 1);
	if (wanted > 0) {
		sc->sc_nsubs = vmbus_subchan_get(sc->sc_primary, sc->sc_subs,
		    wanted, 10 * SBT_1S);
		if (sc->sc_nsubs < wanted)
			device_printf(sc->sc_dev,
			    "%d of %d sub-channels offered\n", sc->sc_nsubs,
			    wanted);
	}
	for (i = 0; i < sc->sc_nsubs; i++)
		if (hn_open(&sc->sc_ring[n], sc->sc_subs[i]) == 0)
			n++;
	sc->sc_ninuse = n;
	sc->sc_ntx = hn_tx_ring_cnt > 0 ? MIN(hn_tx_ring_cnt, n) : n;
}

/*
 * The host takes the sub-channels back when the primary channel is closed;
 * those must not be taken for the ones that it offers next.
 */
static void
hn_subchannels_drain(struct hn_softc *sc)
{
	struct vmbus_channel *subs[HN_MAXRINGS];
	uint64_t limit;
	int n;

	if (sc->sc_nv.subchannels == 0)
		return;
	limit = hn_now() + HN_DRAIN_MS;
	while (!sc->sc_failed && !vmbus_chan_is_revoked(sc->sc_primary) &&
	    hn_now() < limit) {
		n = vmbus_subchan_get(sc->sc_primary, subs, HN_MAXRINGS, 0);
		vmbus_subchan_rel(subs, n);
		if (n == 0)
			return;
		pause("hnsubs", MAX(hz / 100, 1));
	}
}

/* All that is between ready and frames. */
static int
hn_restore(struct hn_softc *sc)
{
	int error, i;

	hn_subchannels(sc);
	for (i = 0; i < sc->sc_ninuse; i++) {
		error = hn_tx_init(&sc->sc_ring[i]);
		if (error != 0)
			return (error);
	}
	hn_tx_aggregate(sc);
	error = hn_rss_init(sc);
	if (error != 0)
		device_printf(sc->sc_dev,
		    "receive side scaling cannot be set: %d\n", error);
	return (0);
}

/* Frames stop, and the host is told. */
static void
hn_quiet(struct hn_softc *sc)
{
	hn_tx_run(sc, false);
	hn_tx_drain(sc);
	hn_nvs_halt(sc);
}

static void
hn_close(struct hn_softc *sc)
{
	struct hn_ring *r;
	bool first;
	int i;

	hn_tx_run(sc, false);
	for (i = 0; i < sc->sc_nrings; i++) {
		r = &sc->sc_ring[i];
		mtx_lock(&r->r_mtx);
		r->r_open = false;
		mtx_unlock(&r->r_mtx);
	}
	first = hvk_netvsc_gpadl_first(vmbus_get_version(sc->sc_dev));
	if (first) {
		hn_mem_unshare(sc, &sc->sc_recv);
		hn_mem_unshare(sc, &sc->sc_send);
	}
	if (vmbus_chan_close(sc->sc_primary) != 0)
		sc->sc_held = true;
	if (!first) {
		hn_mem_unshare(sc, &sc->sc_recv);
		hn_mem_unshare(sc, &sc->sc_send);
	}
	for (i = 0; i < sc->sc_nrings; i++)
		hn_tx_end(&sc->sc_ring[i], sc->sc_held);
	sc->sc_ninuse = 0;
	sc->sc_up = false;
	vmbus_subchan_rel(sc->sc_subs, sc->sc_nsubs);
	sc->sc_nsubs = 0;
	hn_subchannels_drain(sc);
}

int
hn_synth_attach(struct hn_softc *sc, uint32_t mtu)
{
	int error;

	error = hn_open_primary(sc);
	if (error == 0)
		error = hn_bring_up(sc, mtu);
	if (error == 0)
		error = hn_restore(sc);
	if (error != 0 && sc->sc_up)
		hn_synth_detach(sc);
	return (error);
}

void
hn_synth_detach(struct hn_softc *sc)
{
	hn_quiet(sc);
	hn_close(sc);
	mtx_lock(&sc->sc_mtx);
	if (sc->sc_nv.phase != HVK_NETVSC_FAILED)
		hvk_netvsc_stop(&sc->sc_nv);
	mtx_unlock(&sc->sc_mtx);
}

static bool
hn_mtu_step(struct hn_softc *sc, enum hvk_netvsc_mtu_step step, uint32_t mtu)
{
	switch (step) {
	case HVK_NETVSC_MTU_HALT:
		hn_quiet(sc);
		return (!sc->sc_failed);
	case HVK_NETVSC_MTU_CLOSE:
		/* One that came up with another MTU than ours is halted now. */
		if (sc->sc_up) {
			hn_nvs_halt(sc);
			hn_close(sc);
		}
		return (!sc->sc_held);
	case HVK_NETVSC_MTU_OPEN:
		return (hn_open_primary(sc) == 0);
	case HVK_NETVSC_MTU_START:
		return (hn_bring_up(sc, mtu) == 0 && sc->sc_nv.mtu == mtu);
	case HVK_NETVSC_MTU_RESTORE:
		return (hn_restore(sc) == 0);
	default:
		return (false);
	}
}

/* 0; EIO: the old MTU is still in force; ENXIO: the interface is lost. */
int
hn_synth_set_mtu(struct hn_softc *sc, uint32_t mtu)
{
	enum hvk_netvsc_mtu_step step;
	struct hvk_netvsc_mtu m;
	bool ok;

	hvk_netvsc_mtu_begin(&m, sc->sc_nv.mtu, mtu);
	mtx_lock(&sc->sc_mtx);
	sc->sc_changing = true;
	sc->sc_again = false;
	mtx_unlock(&sc->sc_mtx);
	for (ok = true; (step = hvk_netvsc_mtu_next(&m, ok)) <
	    HVK_NETVSC_MTU_DONE;)
		ok = hn_mtu_step(sc, step, m.mtu);
	mtx_lock(&sc->sc_mtx);
	sc->sc_changing = false;
	if (step == HVK_NETVSC_MTU_LOST)
		hn_fail(sc, "the interface did not survive a change of its "
		    "MTU");
	mtx_unlock(&sc->sc_mtx);
	switch (step) {
	case HVK_NETVSC_MTU_DONE:
		return (0);
	case HVK_NETVSC_MTU_KEPT:
		return (EIO);
	default:
		return (ENXIO);
	}
}
