/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * Devices come and go: an offered primary channel becomes a child of vmbus0, a
 * sub-channel joins its primary, a rescinded one is detached and released.
 *
 * Each channel has a task of its own on the "vmbusdev" queue, whose several
 * threads let other devices attach and detach while one driver is slow.  A
 * task looks at what is to be done now, so an offer and a rescind that come
 * close together need no order.  Channel structures are never freed before
 * vmbus0 detaches: interrupt handlers may look at them at any time.
 */

#include "vmbus_var.h"

#include <sys/proc.h>
#include <sys/smp.h>
#include <machine/atomic.h>

#define	DETACH_TRIES	150	/* 200 ms apart */

static void
vmbus_dev_kick(struct vmbus_channel *chan)
{

	taskqueue_enqueue(chan->ch_sc->sc_devtq, &chan->ch_devtask);
}

/* The first device that the boot still waits for; sc_lock held. */
static struct vmbus_channel *
vmbus_dev_turn(struct vmbus_softc *sc)
{
	struct vmbus_channel *chan;

	TAILQ_FOREACH(chan, &sc->sc_primaries, ch_link)
		if (chan->ch_waited)
			return (chan);
	return (NULL);
}

/* The boot no longer waits for this one: the next may come; sc_lock held. */
static void
vmbus_dev_waited(struct vmbus_channel *chan)
{
	struct vmbus_softc *sc = chan->ch_sc;
	struct vmbus_channel *next;

	if (!chan->ch_waited)
		return;
	chan->ch_waited = false;
	sc->sc_unattached--;
	wakeup(sc);
	next = vmbus_dev_turn(sc);
	if (next != NULL)
		vmbus_dev_kick(next);
}

/*
 * Whether this device may attach now.  What is there at boot attaches in the
 * order of the offers, so that units keep their names from boot to boot.
 */
static bool
vmbus_dev_may_attach(struct vmbus_channel *chan)
{
	struct vmbus_softc *sc = chan->ch_sc;
	bool may;

	mtx_lock(&sc->sc_lock);
	may = !chan->ch_waited || sc->sc_any_order ||
	    vmbus_dev_turn(sc) == chan;
	mtx_unlock(&sc->sc_lock);
	return (may);
}

/* One driver took too long: those behind it go ahead; sc_lock held. */
void
vmbus_dev_any_order(struct vmbus_softc *sc)
{
	struct vmbus_channel *chan;

	sc->sc_any_order = true;
	TAILQ_FOREACH(chan, &sc->sc_primaries, ch_link)
		if (chan->ch_waited)
			vmbus_dev_kick(chan);
}

static void
vmbus_dev_attach(struct vmbus_channel *chan)
{
	struct vmbus_softc *sc = chan->ch_sc;
	device_t dev;

	bus_topo_lock();
	dev = device_add_child(sc->sc_dev, NULL, DEVICE_UNIT_ANY);
	if (dev == NULL) {
		device_printf(sc->sc_dev, "no memory for channel %u\n",
		    chan->ch_id);
	} else {
		chan->ch_dev = dev;
		device_set_ivars(dev, chan);
		(void)device_probe_and_attach(dev);
	}
	bus_topo_unlock();
}

/* The child is deleted even if its driver needs some time to let go. */
static int
vmbus_dev_detach(struct vmbus_channel *chan)
{
	struct vmbus_softc *sc = chan->ch_sc;
	int error, i;

	error = 0;
	for (i = 0; i < DETACH_TRIES && chan->ch_dev != NULL; i++) {
		bus_topo_lock();
		error = device_delete_child(sc->sc_dev, chan->ch_dev);
		if (error == 0)
			chan->ch_dev = NULL;
		bus_topo_unlock();
		if (error != 0)
			pause_sbt("hvdetach", 200 * SBT_1MS, 0, 0);
	}
	if (error != 0)
		device_printf(sc->sc_dev,
		    "channel %u: its driver does not detach, error %d\n",
		    chan->ch_id, error);
	return (error);
}

/*
 * The driver's own wake-up call, once for each opening.  On a queue of its own:
 * the channel's task may be in the middle of an attach that waits for it.
 */
static void
vmbus_dev_gone_task(void *arg, int pending __unused)
{
	struct vmbus_channel *chan = arg;

	if (!chan->ch_opened || chan->ch_told || chan->ch_gone == NULL)
		return;
	chan->ch_told = true;
	chan->ch_gone(chan, chan->ch_cbarg);
}

/* Say goodbye to the host; sc_lock held. */
static void
vmbus_dev_release(struct vmbus_channel *chan)
{
	struct vmbus_softc *sc = chan->ch_sc;

	if (chan->ch_client == NULL)
		return;
	atomic_store_rel_ptr((volatile uintptr_t *)&sc->sc_chan[chan->ch_id],
	    0);
	(void)hvk_client_release(sc->sc_client, chan->ch_client);
	chan->ch_client = NULL;
	if (chan->ch_primary != NULL) {
		TAILQ_REMOVE(&chan->ch_primary->ch_subs, chan, ch_link);
		/* It may wait for us to leave first. */
		if (chan->ch_primary->ch_revoked)
			vmbus_dev_kick(chan->ch_primary);
	} else {
		TAILQ_REMOVE(&sc->sc_primaries, chan, ch_link);
	}
	chan->ch_live = false;
	vmbus_conn_run(sc);
}

/* A rescinded sub-channel goes when nobody uses it; sc_lock held. */
static void
vmbus_dev_sub(struct vmbus_channel *chan)
{
	struct vmbus_softc *sc = chan->ch_sc;

	if (!chan->ch_revoked || chan->ch_refs != 0)
		return;
	if (chan->ch_opened) {
		mtx_unlock(&sc->sc_lock);
		vmbus_chan_shut(chan);
		mtx_lock(&sc->sc_lock);
	}
	if (chan->ch_refs == 0)
		vmbus_dev_release(chan);
}

static void
vmbus_dev_gone(struct vmbus_channel *chan)
{
	struct vmbus_softc *sc = chan->ch_sc;
	struct vmbus_channel *sub, *next;

	if (vmbus_dev_detach(chan) != 0)
		return;
	/* Its driver should have done this. */
	(void)vmbus_chan_close(chan);
	mtx_lock(&sc->sc_lock);
	TAILQ_FOREACH_SAFE(sub, &chan->ch_subs, ch_link, next) {
		sub->ch_refs = 0;
		if (sub->ch_revoked)
			vmbus_dev_kick(sub);
	}
	/* Sub-channels are rescinded one by one, and leave before us. */
	if (TAILQ_EMPTY(&chan->ch_subs))
		vmbus_dev_release(chan);
	vmbus_dev_waited(chan);
	mtx_unlock(&sc->sc_lock);
}

static void
vmbus_dev_work(struct vmbus_channel *chan)
{
	struct vmbus_softc *sc = chan->ch_sc;

	if (chan->ch_primary != NULL) {
		mtx_lock(&sc->sc_lock);
		if (chan->ch_live)
			vmbus_dev_sub(chan);
		mtx_unlock(&sc->sc_lock);
		return;
	}
	if (chan->ch_revoked) {
		if (chan->ch_live && !sc->sc_detaching)
			vmbus_dev_gone(chan);
		return;
	}
	if (!chan->ch_added && !sc->sc_detaching &&
	    vmbus_dev_may_attach(chan)) {
		chan->ch_added = true;
		vmbus_dev_attach(chan);
		mtx_lock(&sc->sc_lock);
		vmbus_dev_waited(chan);
		mtx_unlock(&sc->sc_lock);
	}
}

static void
vmbus_dev_task(void *arg, int pending __unused)
{
	struct vmbus_channel *chan = arg;
	struct vmbus_softc *sc = chan->ch_sc;

	mtx_lock(&sc->sc_lock);
	if (chan->ch_devbusy) {
		chan->ch_devagain = true;
		mtx_unlock(&sc->sc_lock);
		return;
	}
	chan->ch_devbusy = true;
	do {
		chan->ch_devagain = false;
		mtx_unlock(&sc->sc_lock);
		vmbus_dev_work(chan);
		mtx_lock(&sc->sc_lock);
	} while (chan->ch_devagain);
	chan->ch_devbusy = false;
	mtx_unlock(&sc->sc_lock);
}

/* The structure of this relid, from an earlier offer or new; sc_lock held. */
static struct vmbus_channel *
vmbus_dev_slot(struct vmbus_softc *sc, uint32_t relid)
{
	struct vmbus_channel *chan;

	chan = sc->sc_slot[relid];
	if (chan == NULL) {
		chan = malloc(sizeof(*chan), M_VMBUS, M_NOWAIT | M_ZERO);
		if (chan == NULL)
			return (NULL);
		chan->ch_sc = sc;
		mtx_init(&chan->ch_txlock, "vmbus tx", NULL, MTX_DEF);
		TASK_INIT(&chan->ch_task, 0, vmbus_chan_task, chan);
		TASK_INIT(&chan->ch_devtask, 0, vmbus_dev_task, chan);
		TASK_INIT(&chan->ch_gonetask, 0, vmbus_dev_gone_task, chan);
		sc->sc_slot[relid] = chan;
	}
	return (chan);
}

/* From the client machine; sc_lock held. */
void
vmbus_dev_offer(struct vmbus_softc *sc, struct hvk_client_chan *cc)
{
	struct hvk_client_chan *primary;
	struct vmbus_channel *chan;
	char type[HVK_GUID_TEXT], instance[HVK_GUID_TEXT];

	chan = vmbus_dev_slot(sc, cc->relid);
	if (chan == NULL || chan->ch_live) {
		device_printf(sc->sc_dev, "channel %u: cannot be used\n",
		    cc->relid);
		return;
	}
	chan->ch_client = cc;
	chan->ch_id = cc->relid;
	chan->ch_subidx = cc->subindex;
	chan->ch_type = cc->type;
	chan->ch_instance = cc->instance;
	memcpy(chan->ch_user, cc->user_data, sizeof(chan->ch_user));
	TAILQ_INIT(&chan->ch_subs);
	chan->ch_primary = NULL;
	chan->ch_dev = NULL;
	chan->ch_added = false;
	chan->ch_refs = 0;
	chan->ch_told = false;
	chan->ch_events = 0;
	chan->ch_revoked = 0;
	chan->ch_broken = 0;
	chan->ch_cpu = CPU_FIRST();
	cc->user = chan;
	chan->ch_live = true;
	if (sc->sc_relid_max < cc->relid)
		sc->sc_relid_max = cc->relid;
	atomic_store_rel_ptr((volatile uintptr_t *)&sc->sc_chan[cc->relid],
	    (uintptr_t)chan);
	if (bootverbose) {
		hvk_guid_format(&cc->type, type);
		hvk_guid_format(&cc->instance, instance);
		device_printf(sc->sc_dev, "chan%u subidx%u offer, type %s, "
		    "instance %s\n", cc->relid, cc->subindex, type, instance);
	}
	if (cc->subindex != 0) {
		primary = hvk_client_primary(sc->sc_client, cc);
		if (primary != NULL && primary->user != NULL) {
			chan->ch_primary = primary->user;
			chan->ch_dev = chan->ch_primary->ch_dev;
			TAILQ_INSERT_TAIL(&chan->ch_primary->ch_subs, chan,
			    ch_link);
			wakeup(chan->ch_primary);
			return;
		}
	}
	TAILQ_INSERT_TAIL(&sc->sc_primaries, chan, ch_link);
	if (!sc->sc_offers_done) {
		chan->ch_waited = true;
		sc->sc_unattached++;
	}
	vmbus_dev_kick(chan);
}

/* From the client machine; sc_lock held. */
void
vmbus_dev_rescind(struct vmbus_softc *sc, struct hvk_client_chan *cc)
{
	struct vmbus_channel *chan = cc->user;

	if (bootverbose)
		device_printf(sc->sc_dev, "chan%u rescind\n", cc->relid);
	if (chan == NULL) {
		(void)hvk_client_release(sc->sc_client, cc);
		return;
	}
	chan->ch_revoked = 1;
	taskqueue_enqueue(sc->sc_gonetq, &chan->ch_gonetask);
	vmbus_dev_kick(chan);
	wakeup(chan);
}

void
vmbus_dev_broken(struct vmbus_channel *chan)
{

	taskqueue_enqueue(chan->ch_sc->sc_gonetq, &chan->ch_gonetask);
}

int
vmbus_subchan_get(struct vmbus_channel *chan, struct vmbus_channel **arr,
    int max, sbintime_t timeout)
{
	struct vmbus_softc *sc = chan->ch_sc;
	struct vmbus_channel *sub;
	sbintime_t end, left;
	int n;

	end = sbinuptime() + timeout;
	mtx_lock(&sc->sc_lock);
	for (;;) {
		n = 0;
		TAILQ_FOREACH(sub, &chan->ch_subs, ch_link)
			if (!sub->ch_revoked)
				n++;
		left = end - sbinuptime();
		if (n >= max || left <= 0 || chan->ch_revoked)
			break;
		msleep_sbt(chan, &sc->sc_lock, 0, "hvsub", left, 0, 0);
	}
	n = 0;
	TAILQ_FOREACH(sub, &chan->ch_subs, ch_link) {
		if (sub->ch_revoked || n == max)
			continue;
		sub->ch_refs++;
		sub->ch_dev = chan->ch_dev;
		arr[n++] = sub;
	}
	mtx_unlock(&sc->sc_lock);
	return (n);
}

void
vmbus_subchan_rel(struct vmbus_channel **arr, int n)
{
	struct vmbus_softc *sc;
	int i;

	for (i = 0; i < n; i++) {
		sc = arr[i]->ch_sc;
		mtx_lock(&sc->sc_lock);
		if (arr[i]->ch_refs != 0)
			arr[i]->ch_refs--;
		if (arr[i]->ch_refs == 0 && arr[i]->ch_revoked)
			vmbus_dev_kick(arr[i]);
		mtx_unlock(&sc->sc_lock);
	}
}

/* vmbus0 detaches: every child first.  On failure all stay as they are. */
int
vmbus_dev_detach_all(struct vmbus_softc *sc)
{
	struct vmbus_channel *chan;
	u_int i;
	int error;

	mtx_lock(&sc->sc_lock);
	sc->sc_detaching = true;
	mtx_unlock(&sc->sc_lock);
	for (i = 1; i <= HVK_RELID_MAX; i++) {
		chan = sc->sc_slot[i];
		if (chan == NULL)
			continue;
		taskqueue_drain(sc->sc_devtq, &chan->ch_devtask);
	}
	for (i = 1; i <= HVK_RELID_MAX; i++) {
		chan = sc->sc_slot[i];
		if (chan == NULL || chan->ch_dev == NULL ||
		    chan->ch_primary != NULL)
			continue;
		bus_topo_lock();
		error = device_delete_child(sc->sc_dev, chan->ch_dev);
		if (error == 0)
			chan->ch_dev = NULL;
		bus_topo_unlock();
		if (error != 0) {
			mtx_lock(&sc->sc_lock);
			sc->sc_detaching = false;
			mtx_unlock(&sc->sc_lock);
			return (error);
		}
		(void)vmbus_chan_close(chan);
	}
	return (0);
}

/* After the unload: nothing comes from the host any more. */
void
vmbus_dev_free_all(struct vmbus_softc *sc)
{
	struct vmbus_channel *chan;
	u_int i;

	for (i = 1; i <= HVK_RELID_MAX; i++) {
		chan = sc->sc_slot[i];
		if (chan == NULL)
			continue;
		atomic_store_rel_ptr((volatile uintptr_t *)&sc->sc_chan[i], 0);
		sc->sc_slot[i] = NULL;
		mtx_destroy(&chan->ch_txlock);
		free(chan, M_VMBUS);
	}
	TAILQ_INIT(&sc->sc_primaries);
}
