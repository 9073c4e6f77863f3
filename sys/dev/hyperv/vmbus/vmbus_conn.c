/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * The connection to the host: carries bytes and time between the client machine
 * of the core (core/guest) and the hypercalls, and hands its events to the
 * threads that wait for them.  No protocol decision is made here.
 *
 * Everything is done under sc_lock.  The machine never waits; threads that want
 * an answer sleep in vmbus_conn_wait(), which ends because each request of the
 * machine does.
 */

#include "vmbus_var.h"

#include <sys/smp.h>
#include <sys/time.h>

#define	TICK	(SBT_1S / 10)	/* a waiting thread looks by itself */

uint64_t
vmbus_now(void)
{
	sbintime_t now;

	now = sbinuptime();
	/* Nanoseconds, without overflow for as long as a machine may run. */
	return ((uint64_t)(now >> 32) * 1000000000 +
	    (((uint64_t)(uint32_t)now * 1000000000) >> 32));
}

static void
vmbus_conn_request(struct vmbus_wait *w, const struct hvk_client_event *ev)
{

	if (w == NULL)
		return;
	w->vw_event = *ev;
	w->vw_done = true;
	wakeup(w);
}

static void
vmbus_conn_event(struct vmbus_softc *sc, struct hvk_client_event *ev)
{
	struct vmbus_channel *chan;

	chan = ev->chan != NULL ? ev->chan->user : NULL;
	switch (ev->kind) {
	case HVK_EVENT_CONNECTED:
		sc->sc_connected = true;
		wakeup(sc);
		break;
	case HVK_EVENT_ALL_OFFERS:
		sc->sc_offers_done = true;
		if (ev->status != HVK_CLIENT_OK)
			device_printf(sc->sc_dev,
			    "the host did not finish its list of devices\n");
		wakeup(sc);
		break;
	case HVK_EVENT_UNLOADED:
		sc->sc_unloaded = true;
		sc->sc_unload_status = ev->status;
		wakeup(sc);
		break;
	case HVK_EVENT_FAILED:
		sc->sc_failed = true;
		sc->sc_fail_status = ev->status;
		wakeup(sc);
		break;
	case HVK_EVENT_OFFER:
		vmbus_dev_offer(sc, ev->chan);
		break;
	case HVK_EVENT_RESCIND:
		vmbus_dev_rescind(sc, ev->chan);
		break;
	case HVK_EVENT_OPENED:
		if (chan != NULL)
			vmbus_conn_request(chan->ch_openwait, ev);
		break;
	case HVK_EVENT_MODIFIED:
		if (chan != NULL)
			vmbus_conn_request(chan->ch_modwait, ev);
		break;
	case HVK_EVENT_GPADL_CREATED:
	case HVK_EVENT_GPADL_TORNDOWN:
		vmbus_conn_request(ev->user, ev);
		break;
	default:
		break;
	}
}

static uint16_t
vmbus_conn_post(struct vmbus_softc *sc, const struct hvk_client_post *post)
{
	struct hvk_post_message *in = sc->sc_post;

	memset(in, 0, sizeof(*in));
	in->connection = post->connection_id;
	in->type = HVK_SYNIC_CHANNEL;
	in->size = post->len;
	memcpy(in->payload, post->data, post->len);
	return ((uint16_t)hyperv_post_message(
	    vmbus_mem_paddr(&sc->sc_post_mem)));
}

static void	vmbus_conn_timer(void *);

static void
vmbus_conn_arm(struct vmbus_softc *sc, uint64_t now)
{
	uint64_t ms, when;

	when = hvk_client_deadline(sc->sc_client);
	if (when == HVK_CLIENT_NEVER) {
		callout_stop(&sc->sc_timer);
		return;
	}
	ms = when > now ? (when - now) / 1000000 + 1 : 1;
	if (ms > 60000)
		ms = 60000;
	callout_reset_sbt(&sc->sc_timer, ms * SBT_1MS, 0, vmbus_conn_timer, sc,
	    0);
}

/*
 * Let the machine do all it can do now.  Dispatching an event can make it want
 * to post again, and the reverse.
 */
void
vmbus_conn_run(struct vmbus_softc *sc)
{
	struct hvk_client_event ev;
	struct hvk_client_post post;
	uint64_t now;
	bool more;

	mtx_assert(&sc->sc_lock, MA_OWNED);
	if (!sc->sc_running)
		return;
	now = vmbus_now();
	hvk_client_tick(sc->sc_client, now);
	do {
		more = false;
		while (hvk_client_post(sc->sc_client, &post, now)) {
			hvk_client_posted(sc->sc_client,
			    vmbus_conn_post(sc, &post), now);
			more = true;
		}
		while (hvk_client_event(sc->sc_client, &ev)) {
			vmbus_conn_event(sc, &ev);
			more = true;
		}
	} while (more);
	vmbus_conn_arm(sc, now);
}

static void
vmbus_conn_timer(void *arg)
{

	vmbus_conn_run(arg);
}

void
vmbus_conn_input(struct vmbus_softc *sc, const void *payload, uint32_t len)
{

	mtx_lock(&sc->sc_lock);
	if (sc->sc_running) {
		(void)hvk_client_input(sc->sc_client, payload, len,
		    vmbus_now());
		vmbus_conn_run(sc);
	}
	mtx_unlock(&sc->sc_lock);
}

/* Wait for a request of the machine; sc_lock held. */
void
vmbus_conn_wait(struct vmbus_softc *sc, struct vmbus_wait *w)
{

	vmbus_conn_run(sc);
	while (!w->vw_done) {
		msleep_sbt(w, &sc->sc_lock, 0, "vmbus", TICK, 0, 0);
		vmbus_conn_run(sc);
	}
}

static const char *
vmbus_conn_why(uint8_t status)
{

	switch (status) {
	case HVK_CLIENT_REFUSED:
		return ("the host speaks none of our versions");
	case HVK_CLIENT_TIMEOUT:
		return ("the host does not answer");
	default:
		return ("the host does not take messages");
	}
}

static int
vmbus_conn_negotiate(struct vmbus_softc *sc)
{
	uint32_t version;

	mtx_lock(&sc->sc_lock);
	sc->sc_running = true;
	hvk_client_connect(sc->sc_client, vmbus_now());
	vmbus_conn_run(sc);
	while (!sc->sc_connected && !sc->sc_failed) {
		msleep_sbt(sc, &sc->sc_lock, 0, "hvconn", TICK, 0, 0);
		vmbus_conn_run(sc);
	}
	mtx_unlock(&sc->sc_lock);
	if (!sc->sc_connected) {
		device_printf(sc->sc_dev, "not connected: %s\n",
		    vmbus_conn_why(sc->sc_fail_status));
		return (ENXIO);
	}
	version = sc->sc_client->version;
	device_printf(sc->sc_dev, "version %u.%u\n", version >> 16,
	    version & 0xffff);
	return (0);
}

/* Ask for the devices, and let those that are there attach. */
static void
vmbus_conn_offers(struct vmbus_softc *sc)
{
	int i;

	mtx_lock(&sc->sc_lock);
	hvk_client_request_offers(sc->sc_client, vmbus_now());
	vmbus_conn_run(sc);
	while (!sc->sc_offers_done) {
		msleep_sbt(sc, &sc->sc_lock, 0, "hvoffer", TICK, 0, 0);
		vmbus_conn_run(sc);
	}
	/* One slow device delays the boot, but not for ever. */
	for (i = 0; sc->sc_unattached != 0 && i < 300; i++)
		msleep_sbt(sc, &sc->sc_lock, 0, "hvattach", TICK, 0, 0);
	if (sc->sc_unattached != 0) {
		device_printf(sc->sc_dev, "%u device%s still attaching\n",
		    sc->sc_unattached, sc->sc_unattached == 1 ? " is" :
		    "s are");
		vmbus_dev_any_order(sc);
	}
	mtx_unlock(&sc->sc_lock);
}

int
vmbus_conn_start(struct vmbus_softc *sc)
{
	struct hvk_client_config cfg;
	int error;

	sc->sc_client = malloc(sizeof(*sc->sc_client), M_VMBUS, M_WAITOK);
	sc->sc_client_chans = malloc(sizeof(*sc->sc_client_chans) *
	    HVK_CLIENT_MAX_CHANNELS, M_VMBUS, M_WAITOK);
	sc->sc_client_gpadls = malloc(sizeof(*sc->sc_client_gpadls) *
	    VMBUS_GPADLS, M_VMBUS, M_WAITOK);
	vmbus_mem_alloc(&sc->sc_post_mem, PAGE_SIZE);
	sc->sc_post = sc->sc_post_mem.vm_addr;
	vmbus_mem_alloc(&sc->sc_intr_mem, PAGE_SIZE);
	vmbus_mem_alloc(&sc->sc_monitor_mem[0], PAGE_SIZE);
	vmbus_mem_alloc(&sc->sc_monitor_mem[1], PAGE_SIZE);

	memset(&cfg, 0, sizeof(cfg));
	cfg.chans = sc->sc_client_chans;
	cfg.nchans = HVK_CLIENT_MAX_CHANNELS;
	cfg.gpadls = sc->sc_client_gpadls;
	cfg.ngpadls = VMBUS_GPADLS;
	cfg.max_version = vmbus_sysctl_max_version();
	cfg.vcpu = sc->sc_pcpu[CPU_FIRST()].vp_vcpu;
	cfg.sint = VMBUS_SINT;
	cfg.interrupt_page = vmbus_mem_paddr(&sc->sc_intr_mem);
	cfg.monitor_from_host = vmbus_mem_paddr(&sc->sc_monitor_mem[0]);
	cfg.monitor_to_host = vmbus_mem_paddr(&sc->sc_monitor_mem[1]);
	if (hvk_client_init(sc->sc_client, &cfg) != HVK_OK) {
		device_printf(sc->sc_dev,
		    "hw.vmbus.max_version=%s is below 2.4\n",
		    vmbus_max_version);
		return (EINVAL);
	}
	error = vmbus_conn_negotiate(sc);
	if (error == 0)
		vmbus_conn_offers(sc);
	return (error);
}

/*
 * Give everything back to ourselves.  What the host has not confirmed is left
 * to it for ever.
 */
void
vmbus_conn_stop(struct vmbus_softc *sc)
{

	if (sc->sc_client == NULL || !sc->sc_running)
		return;
	mtx_lock(&sc->sc_lock);
	hvk_client_unload(sc->sc_client, vmbus_now());
	vmbus_conn_run(sc);
	while (!sc->sc_unloaded) {
		msleep_sbt(sc, &sc->sc_lock, 0, "hvunload", TICK, 0, 0);
		vmbus_conn_run(sc);
	}
	sc->sc_running = false;
	mtx_unlock(&sc->sc_lock);
	callout_drain(&sc->sc_timer);
	if (sc->sc_unload_status != HVK_CLIENT_OK) {
		vmbus_mem_leak(sc, &sc->sc_intr_mem, "interrupt page");
		vmbus_mem_leak(sc, &sc->sc_monitor_mem[0], "monitor page");
		vmbus_mem_leak(sc, &sc->sc_monitor_mem[1], "monitor page");
	}
}

void
vmbus_conn_free(struct vmbus_softc *sc)
{

	vmbus_mem_free(&sc->sc_post_mem);
	vmbus_mem_free(&sc->sc_intr_mem);
	vmbus_mem_free(&sc->sc_monitor_mem[0]);
	vmbus_mem_free(&sc->sc_monitor_mem[1]);
	free(sc->sc_client_gpadls, M_VMBUS);
	free(sc->sc_client_chans, M_VMBUS);
	free(sc->sc_client, M_VMBUS);
	sc->sc_client = NULL;
}
