/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * storvsc(4): disks and optical drives of Hyper-V's SCSI and IDE controllers.
 *
 * The protocol is in core/guest/storvsc*.c; this file drives its controller
 * machine: attach, detach, the clock, bus resets and failure.  A tick four
 * times a second looks at all deadlines, so a host that says nothing cannot
 * stop a request, an attach or a detach for ever.
 *
 * Locking: storvsc_var.h.
 */

#include "storvsc_var.h"

#include <sys/eventhandler.h>
#include <cam/cam_xpt.h>
#include <cam/cam_xpt_internal.h>

#include <hvk/guid.h>

MALLOC_DEFINE(M_STORVSC, "storvsc", "Hyper-V storage");

static const struct hvk_guid storvsc_guid_scsi = HVK_GUID_SCSI;
static const struct hvk_guid storvsc_guid_ide = HVK_GUID_IDE;

uint64_t
storvsc_now(void)
{
	return ((uint64_t)sbttoms(sbinuptime()));
}

static int
storvsc_probe(device_t dev)
{
	const struct hvk_guid *type;

	type = vmbus_get_type(dev);
	if (hvk_guid_eq(type, &storvsc_guid_scsi))
		device_set_desc(dev, "Hyper-V SCSI");
	else if (hvk_guid_eq(type, &storvsc_guid_ide))
		device_set_desc(dev, "Hyper-V IDE");
	else
		return (ENXIO);
	return (BUS_PROBE_VENDOR);
}

/*
 * Send what the machine wants to say.  Called with sc_mtx held.  A full ring
 * keeps the message for the next tick.
 */
static void
storvsc_pump(struct storvsc_softc *sc)
{
	int error;

	if (hvk_storvsc_pull(&sc->sc_ctl, &sc->sc_msg))
		sc->sc_msg_pending = true;
	if (!sc->sc_msg_pending)
		return;
	error = vmbus_chan_send(sc->sc_primary, sc->sc_msg.txid, true,
	    &sc->sc_msg.packet, sizeof(sc->sc_msg.packet));
	if (error != EAGAIN)
		sc->sc_msg_pending = false;
}

/* Every outstanding request was sent before the reset: end and go on. */
static void
storvsc_reset_over(struct storvsc_softc *sc)
{
	int i;

	for (i = 0; i < sc->sc_nchan; i++)
		storvsc_chan_end(sc->sc_chan[i], HVK_STORVSC_BUS_RESET, false);
	storvsc_cam_was_reset(sc);
	for (i = 0; i < sc->sc_nchan; i++)
		storvsc_chan_resume(sc->sc_chan[i]);
	mtx_lock(&sc->sc_mtx);
	sc->sc_resetting = false;
	mtx_unlock(&sc->sc_mtx);
	device_printf(sc->sc_dev, "bus reset done\n");
}

static void
storvsc_event(struct storvsc_softc *sc, enum hvk_storvsc_event event)
{
	switch (event) {
	case HVK_STORVSC_RESCAN:
	case HVK_STORVSC_REMOVED:
		storvsc_cam_rescan(sc);
		break;
	case HVK_STORVSC_RESET_OVER:
		storvsc_reset_over(sc);
		break;
	case HVK_STORVSC_HAS_FAILED:
		storvsc_fail(sc);
		break;
	default:
		break;
	}
}

/* A packet that answers no request: the controller machine's. */
void
storvsc_control(struct storvsc_softc *sc, const struct hvk_packet *pkt)
{
	enum hvk_storvsc_event event;

	mtx_lock(&sc->sc_mtx);
	(void)hvk_storvsc_input(&sc->sc_ctl, pkt, storvsc_now(), &event);
	storvsc_pump(sc);
	if (event == HVK_STORVSC_IS_READY || event == HVK_STORVSC_HAS_FAILED)
		wakeup(&sc->sc_ctl);
	mtx_unlock(&sc->sc_mtx);
	storvsc_event(sc, event);
}

static void
storvsc_tick(void *arg)
{
	struct storvsc_softc *sc;
	enum hvk_storvsc_event event;
	uint32_t overdue;
	uint64_t now;
	int i;

	sc = arg;
	now = storvsc_now();
	mtx_lock(&sc->sc_mtx);
	event = hvk_storvsc_tick(&sc->sc_ctl, now);
	storvsc_pump(sc);
	if (event != HVK_STORVSC_NOTHING)
		wakeup(&sc->sc_ctl);
	mtx_unlock(&sc->sc_mtx);
	storvsc_event(sc, event);
	overdue = 0;
	for (i = 0; i < sc->sc_nchan; i++)
		overdue += storvsc_chan_tick(sc->sc_chan[i], now);
	if (overdue != 0)
		(void)storvsc_reset(sc, "request timed out");
	mtx_lock(&sc->sc_mtx);
	if (!sc->sc_stopping)
		callout_reset_sbt(&sc->sc_tick, STORVSC_TICK, 0, storvsc_tick,
		    sc, C_PREL(2));
	mtx_unlock(&sc->sc_mtx);
}

/*
 * Start a bus reset, or join the one under way.  The channels are paused
 * first: what is sent after the reset must not be ended by it.
 */
int
storvsc_reset(struct storvsc_softc *sc, const char *why)
{
	bool joined;
	int i, result;

	mtx_lock(&sc->sc_mtx);
	joined = sc->sc_resetting;
	if (!joined && !hvk_storvsc_ready(&sc->sc_ctl)) {
		mtx_unlock(&sc->sc_mtx);
		return (EIO);
	}
	sc->sc_resetting = true;
	mtx_unlock(&sc->sc_mtx);
	if (joined)
		return (0);
	device_printf(sc->sc_dev, "%s: resetting the bus\n", why);
	for (i = 0; i < sc->sc_nchan; i++)
		storvsc_chan_pause(sc->sc_chan[i]);
	mtx_lock(&sc->sc_mtx);
	result = hvk_storvsc_reset(&sc->sc_ctl, storvsc_now());
	storvsc_pump(sc);
	mtx_unlock(&sc->sc_mtx);
	return (result == HVK_OK ? 0 : EIO);
}

void
storvsc_fail(struct storvsc_softc *sc)
{
	mtx_lock(&sc->sc_mtx);
	if (!sc->sc_stopping)
		taskqueue_enqueue(sc->sc_tq, &sc->sc_fail_task);
	mtx_unlock(&sc->sc_mtx);
}

static const char *
storvsc_reason(const struct storvsc_softc *sc)
{
	switch (sc->sc_ctl.reason) {
	case HVK_STORVSC_NO_ANSWER:
		return ("the host does not answer");
	case HVK_STORVSC_REFUSED:
		return ("the host refused to start the controller");
	case HVK_STORVSC_NO_VERSION:
		return ("the host knows none of our protocol versions");
	case HVK_STORVSC_BAD_ANSWER:
		return ("the host named a transfer size below one page");
	case HVK_STORVSC_RESET_UNANSWERED:
		return ("the host does not answer a bus reset");
	case HVK_STORVSC_RESET_REFUSED:
		return ("the host refused a bus reset");
	default:
		return ("the host took the controller away");
	}
}

/*
 * Close the channels, which is what makes the host let go of the requests'
 * memory, and only then end them.  Those of a host that did not confirm it stay
 * with the host: how many.  Harmless when done before.
 */
static uint32_t
storvsc_halt(struct storvsc_softc *sc)
{
	uint32_t kept;
	bool held;
	int i;

	held = vmbus_chan_close(sc->sc_primary) != 0;
	kept = 0;
	for (i = 0; i < sc->sc_nchan; i++) {
		storvsc_chan_end(sc->sc_chan[i], HVK_STORVSC_GONE, held);
		kept += sc->sc_chan[i]->ch_kept;
	}
	return (kept);
}

/* The controller is lost. */
static void
storvsc_fail_task(void *arg, int pending __unused)
{
	struct storvsc_softc *sc;
	uint32_t kept;
	int i;

	sc = arg;
	mtx_lock(&sc->sc_mtx);
	if (sc->sc_failed) {
		mtx_unlock(&sc->sc_mtx);
		return;
	}
	sc->sc_failed = true;
	hvk_storvsc_stop(&sc->sc_ctl);
	wakeup(&sc->sc_ctl);
	mtx_unlock(&sc->sc_mtx);
	device_printf(sc->sc_dev, "%s\n", storvsc_reason(sc));
	for (i = 0; i < sc->sc_nchan; i++)
		storvsc_chan_pause(sc->sc_chan[i]);
	kept = storvsc_halt(sc);
	if (kept != 0)
		device_printf(sc->sc_dev, "the host holds the memory of %u "
		    "request%s, which cannot end\n", kept,
		    kept == 1 ? "" : "s");
	storvsc_cam_lost(sc);
}

/* The host rescinded or broke a channel while it was open. */
static void
storvsc_gone(struct vmbus_channel *chan __unused, void *arg)
{
	struct storvsc_chan *ch;

	ch = arg;
	storvsc_fail(ch->ch_sc);
}

static int
storvsc_open(struct storvsc_chan *ch)
{
	struct vmbus_chan_open_args args;

	memset(&args, 0, sizeof(args));
	args.tx_size = ch->ch_sc->sc_ring_size;
	args.rx_size = ch->ch_sc->sc_ring_size;
	args.cb = storvsc_chan_callback;
	args.cbarg = ch;
	args.gone = storvsc_gone;
	return (vmbus_chan_open(ch->ch_chan, &args));
}

/* Start-up with the host; ends because each step has a deadline. */
static int
storvsc_start(struct storvsc_softc *sc)
{
	struct hvk_storvsc_config config;
	int error;

	memset(&config, 0, sizeof(config));
	if (!sc->sc_ide)
		config.subchannels = storvsc_tunable_channels() - 1;
	hvk_storvsc_init(&sc->sc_ctl, &config);
	error = storvsc_open(sc->sc_chan[0]);
	if (error != 0) {
		device_printf(sc->sc_dev, "cannot open the channel: %d\n",
		    error);
		return (error);
	}
	mtx_lock(&sc->sc_mtx);
	(void)hvk_storvsc_start(&sc->sc_ctl, storvsc_now());
	storvsc_pump(sc);
	callout_reset_sbt(&sc->sc_tick, STORVSC_TICK, 0, storvsc_tick, sc,
	    C_PREL(2));
	while (sc->sc_ctl.phase != HVK_STORVSC_READY &&
	    sc->sc_ctl.phase != HVK_STORVSC_FAILED)
		msleep(&sc->sc_ctl, &sc->sc_mtx, 0, "storvsc", hz);
	error = sc->sc_ctl.phase == HVK_STORVSC_READY ? 0 : ENXIO;
	if (error != 0 && !sc->sc_failed) {
		sc->sc_failed = true;
		device_printf(sc->sc_dev, "%s\n", storvsc_reason(sc));
	}
	mtx_unlock(&sc->sc_mtx);
	return (error);
}

static int
storvsc_dma(struct storvsc_softc *sc)
{
	sc->sc_maxio = MIN(sc->sc_ctl.max_transfer, STORVSC_MAXIO) &
	    ~HVK_PAGE_MASK;
	return (bus_dma_tag_create(bus_get_dma_tag(sc->sc_dev),
	    1, PAGE_SIZE,			/* alignment, boundary */
	    BUS_SPACE_MAXADDR, BUS_SPACE_MAXADDR, NULL, NULL,
	    sc->sc_maxio, sc->sc_maxio / PAGE_SIZE + 1, PAGE_SIZE,
	    BUS_DMA_KEEP_PG_OFFSET, NULL, NULL, &sc->sc_dtag));
}

/*
 * Open the sub-channels that the host offers.  One that does not open is left
 * out; the controller works with the rest.
 */
static void
storvsc_subchannels(struct storvsc_softc *sc)
{
	struct storvsc_chan *ch;
	int error, i, wanted;

	wanted = sc->sc_ctl.subchannels;
	if (wanted == 0)
		return;
	sc->sc_nsubs = vmbus_subchan_get(sc->sc_primary, sc->sc_subs, wanted,
	    10 * SBT_1S);
	if (sc->sc_nsubs < wanted)
		device_printf(sc->sc_dev, "%d of %d sub-channels offered\n",
		    sc->sc_nsubs, wanted);
	for (i = 0; i < sc->sc_nsubs; i++) {
		ch = storvsc_chan_alloc(sc, sc->sc_subs[i]);
		vmbus_chan_cpu_set(ch->ch_chan, (i + 1) % mp_ncpus);
		error = storvsc_open(ch);
		if (error != 0) {
			device_printf(sc->sc_dev,
			    "cannot open sub-channel %u: %d\n",
			    vmbus_chan_subidx(ch->ch_chan), error);
			storvsc_chan_free(ch);
			continue;
		}
		sc->sc_chan[sc->sc_nchan++] = ch;
	}
}

/*
 * EBUSY: a silent host may still use the memory of requests, so they, and what
 * CAM knows them by, must stay.  The controller is closed all the same.
 */
static int
storvsc_teardown(struct storvsc_softc *sc)
{
	uint32_t kept;
	int i;

	mtx_lock(&sc->sc_mtx);
	sc->sc_stopping = true;
	mtx_unlock(&sc->sc_mtx);
	callout_drain(&sc->sc_tick);
	taskqueue_drain(sc->sc_tq, &sc->sc_fail_task);
	kept = storvsc_halt(sc);
	if (kept != 0) {
		device_printf(sc->sc_dev, "stays: the host holds the memory of "
		    "%u request%s\n", kept, kept == 1 ? "" : "s");
		return (EBUSY);
	}
	storvsc_cam_detach(sc);
	taskqueue_free(sc->sc_tq);
	(void)sysctl_ctx_free(&sc->sc_sysctl);
	for (i = 0; i < sc->sc_nchan; i++)
		storvsc_chan_free(sc->sc_chan[i]);
	vmbus_subchan_rel(sc->sc_subs, sc->sc_nsubs);
	if (sc->sc_dtag != NULL)
		(void)bus_dma_tag_destroy(sc->sc_dtag);
	mtx_destroy(&sc->sc_mtx);
	return (0);
}

static int
storvsc_bring_up(struct storvsc_softc *sc)
{
	int error, i;

	error = storvsc_start(sc);
	if (error != 0)
		return (error);
	error = storvsc_dma(sc);
	if (error != 0)
		return (error);
	storvsc_subchannels(sc);
	for (i = 0; i < sc->sc_nchan; i++) {
		error = storvsc_chan_ready(sc->sc_chan[i]);
		if (error != 0)
			return (error);
	}
	for (i = 0; i < sc->sc_nchan; i++)
		storvsc_chan_resume(sc->sc_chan[i]);
	storvsc_sysctl_attach(sc);
	return (storvsc_cam_attach(sc));
}

static int
storvsc_attach(device_t dev)
{
	struct root_hold_token *hold;
	struct storvsc_softc *sc;
	int error;

	sc = device_get_softc(dev);
	sc->sc_dev = dev;
	sc->sc_primary = vmbus_get_channel(dev);
	sc->sc_ide = hvk_guid_eq(vmbus_get_type(dev), &storvsc_guid_ide);
	sc->sc_max_req = storvsc_tunable_max_io();
	sc->sc_ring_size = storvsc_tunable_ring_size();
	if (sc->sc_ide)
		hvk_storvsc_ide_address(vmbus_chan_user_data(sc->sc_primary),
		    vmbus_get_instance(dev), &sc->sc_path_id, &sc->sc_target);
	(void)sysctl_ctx_init(&sc->sc_sysctl);
	mtx_init(&sc->sc_mtx, "storvsc", NULL, MTX_DEF);
	callout_init(&sc->sc_tick, 1);
	TASK_INIT(&sc->sc_fail_task, 0, storvsc_fail_task, sc);
	sc->sc_tq = taskqueue_create("storvsc", M_WAITOK,
	    taskqueue_thread_enqueue, &sc->sc_tq);
	(void)taskqueue_start_threads(&sc->sc_tq, 1, PRIBIO, "%s",
	    device_get_nameunit(dev));
	sc->sc_chan[0] = storvsc_chan_alloc(sc, sc->sc_primary);
	sc->sc_nchan = 1;

	hold = root_mount_hold("storvsc");
	error = storvsc_bring_up(sc);
	root_mount_rel(hold);
	/* A controller that cannot be torn down stays, and answers nothing. */
	if (error != 0 && storvsc_teardown(sc) == 0)
		return (error);
	return (0);
}

/* Let the requests end by themselves, for a while. */
static void
storvsc_drain(struct storvsc_softc *sc)
{
	uint64_t limit;
	uint32_t busy;
	int i;

	limit = storvsc_now() + STORVSC_DRAIN_MS;
	for (;;) {
		busy = 0;
		for (i = 0; i < sc->sc_nchan; i++)
			busy += storvsc_chan_busy(sc->sc_chan[i]);
		if (busy == 0 || sc->sc_failed ||
		    vmbus_chan_is_revoked(sc->sc_primary))
			return;
		if (storvsc_now() >= limit) {
			device_printf(sc->sc_dev,
			    "%u requests ended by force\n", busy);
			return;
		}
		pause("storvscd", MAX(hz / 50, 1));
	}
}

static int
storvsc_detach(device_t dev)
{
	struct storvsc_softc *sc;

	/*
	 * The topology lock is dropped while this sleeps, so a kldunload and a
	 * rescind can meet here.
	 */
	sc = device_get_softc(dev);
	if (sc->sc_detaching)
		return (EBUSY);
	sc->sc_detaching = true;
	storvsc_cam_lost(sc);
	storvsc_drain(sc);
	return (storvsc_teardown(sc));
}

static device_method_t storvsc_methods[] = {
	DEVMETHOD(device_probe,		storvsc_probe),
	DEVMETHOD(device_attach,	storvsc_attach),
	DEVMETHOD(device_detach,	storvsc_detach),
	DEVMETHOD(device_shutdown,	bus_generic_shutdown),
	DEVMETHOD_END
};

static driver_t storvsc_driver = {
	"storvsc",
	storvsc_methods,
	sizeof(struct storvsc_softc)
};

HVK_DRIVER_MODULE(storvsc, vmbus, storvsc_driver);
MODULE_VERSION(storvsc, VMBUS_MODVER);
MODULE_DEPEND(storvsc, vmbus, VMBUS_MODVER, VMBUS_MODVER, VMBUS_MODVER);
MODULE_DEPEND(storvsc, cam, 1, 1, 1);

/*
 * Hyper-V shows the same disks on an emulated PIIX4 controller: ada(4) leaves
 * them to this driver, so that no disk appears twice.
 */
#define	PIIX4_VENDOR	0x8086
#define	PIIX4_DEVICE	0x7111

static eventhandler_tag storvsc_veto_tag;

static void
storvsc_veto(void *arg __unused, struct cam_path *path,
    struct ata_params *ident __unused, int *veto)
{
	struct ccb_pathinq cpi;

	if (path->device->protocol != PROTO_ATA)
		return;
	xpt_path_inq(&cpi, path);
	if (cpi.ccb_h.status == CAM_REQ_CMP &&
	    cpi.hba_vendor == PIIX4_VENDOR && cpi.hba_device == PIIX4_DEVICE)
		(*veto)++;
}

static void
storvsc_sysinit(void *arg __unused)
{
	if (vm_guest == VM_GUEST_HV)
		storvsc_veto_tag = EVENTHANDLER_REGISTER(ada_probe_veto,
		    storvsc_veto, NULL, EVENTHANDLER_PRI_ANY);
}
SYSINIT(storvsc_sysinit, SI_SUB_DRIVERS, SI_ORDER_SECOND, storvsc_sysinit,
    NULL);

static void
storvsc_sysuninit(void *arg __unused)
{
	if (storvsc_veto_tag != NULL)
		EVENTHANDLER_DEREGISTER(ada_probe_veto, storvsc_veto_tag);
}
SYSUNINIT(storvsc_sysuninit, SI_SUB_DRIVERS, SI_ORDER_SECOND,
    storvsc_sysuninit, NULL);
