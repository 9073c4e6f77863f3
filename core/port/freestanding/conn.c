/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * The connection: carries bytes and time between the client machine of the core
 * and the hypercalls.  bus_step() is the whole of it: take messages, let the
 * client act, post what it wants posted, look at its events, run channels.
 */

#include "bus.h"

#include <hvk/wire/vmbus.h>

struct hvk_client bus_client;
uint32_t bus_relid_max;
bool bus_offers_done;

static struct hvk_client_chan chans[BUS_CHANNELS];
static struct hvk_client_gpadl gpadls[BUS_GPADLS];
static struct hvk_post_message *post_page;
static void *interrupt_page, *monitor_pages[2];
static bool running, connected, failed, unloaded;
static enum hvk_client_status fail_status, unload_status;

void	bus_chan_event(struct bus_chan *, const struct hvk_client_event *);

static void
event(const struct hvk_client_event *ev)
{
	switch (ev->kind) {
	case HVK_EVENT_CONNECTED:
		connected = true;
		break;
	case HVK_EVENT_FAILED:
		failed = true;
		fail_status = ev->status;
		break;
	case HVK_EVENT_ALL_OFFERS:
		bus_offers_done = ev->status == HVK_CLIENT_OK;
		break;
	case HVK_EVENT_UNLOADED:
		unloaded = true;
		unload_status = ev->status;
		break;
	case HVK_EVENT_OFFER:
		if (ev->chan->relid > bus_relid_max &&
		    ev->chan->relid < BUS_RELIDS)
			bus_relid_max = ev->chan->relid;
		break;
	case HVK_EVENT_RESCIND:
		/* Nobody holds it but a check that is under way. */
		if (ev->chan->user == NULL)
			(void)hvk_client_release(&bus_client, ev->chan);
		break;
	case HVK_EVENT_OPENED:
	case HVK_EVENT_GPADL_CREATED:
	case HVK_EVENT_GPADL_TORNDOWN:
		bus_chan_event(ev->chan != NULL ? ev->chan->user : NULL, ev);
		break;
	default:
		break;
	}
}

static uint16_t
post(const struct hvk_client_post *p)
{
	hvk_zero(post_page, sizeof(*post_page));
	post_page->connection = p->connection_id;
	post_page->type = HVK_SYNIC_CHANNEL;
	post_page->size = p->len;
	hvk_copy(post_page->payload, p->data, p->len);
	return ((uint16_t)hyperv_post_message(vtophys(post_page)));
}

static void
client_run(void)
{
	struct hvk_client_event ev;
	struct hvk_client_post p;
	uint64_t now = port_now();
	bool more;

	hvk_client_tick(&bus_client, now);
	do {
		more = false;
		while (hvk_client_post(&bus_client, &p, now)) {
			hvk_client_posted(&bus_client, post(&p), now);
			more = true;
		}
		while (hvk_client_event(&bus_client, &ev)) {
			event(&ev);
			more = true;
		}
	} while (more);
}

void
bus_step(void)
{
	struct hvk_synic_message msg;
	struct bus_chan *chan;

	port_cpus[0].work = 0;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!running)
		return;
	for (int i = 0; i < 64 && bus_synic_message(&msg); i++)
		if (msg.type == HVK_SYNIC_CHANNEL)
			(void)hvk_client_input(&bus_client, msg.payload,
			    msg.size, port_now());
	client_run();
	for (uint32_t i = 1; i <= bus_relid_max; i++) {
		chan = bus_by_relid[i];
		if (chan != NULL && chan->pending != 0)
			bus_chan_run(chan);
	}
}

bool
bus_wait(bool (*done)(void *), void *arg, uint32_t ms)
{
	uint64_t end = port_now() + (uint64_t)ms * 1000000;

	for (;;) {
		bus_step();
		if (done(arg))
			return (true);
		if (port_now() >= end)
			return (false);
		port_idle(&port_cpus[0]);
	}
}

static bool
contact_over(void *arg HVK_UNUSED)
{
	return (connected || failed);
}

enum hvk_client_status
bus_connect(uint32_t max_version, uint32_t *version)
{
	struct hvk_client_config cfg = {
		.chans = chans, .nchans = BUS_CHANNELS,
		.gpadls = gpadls, .ngpadls = BUS_GPADLS,
		.max_version = max_version, .min_version = max_version,
		.vcpu = port_cpus[0].vp, .sint = BUS_SINT,
	};

	if (post_page == NULL) {
		post_page = port_pages(1);
		interrupt_page = port_pages(1);
		monitor_pages[0] = port_pages(1);
		monitor_pages[1] = port_pages(1);
	}
	cfg.interrupt_page = vtophys(interrupt_page);
	cfg.monitor_from_host = vtophys(monitor_pages[0]);
	cfg.monitor_to_host = vtophys(monitor_pages[1]);
	connected = failed = unloaded = bus_offers_done = false;
	bus_relid_max = 0;
	if (hvk_client_init(&bus_client, &cfg) != HVK_OK ||
	    hvk_client_connect(&bus_client, port_now()) != HVK_OK)
		return (HVK_CLIENT_POST);
	running = true;
	(void)bus_wait(contact_over, NULL, 120000);
	if (!connected)
		return (failed ? fail_status : HVK_CLIENT_TIMEOUT);
	*version = bus_client.version;
	return (HVK_CLIENT_OK);
}

static bool
offers_over(void *arg HVK_UNUSED)
{
	return (bus_offers_done);
}

bool
bus_offers(void)
{
	if (hvk_client_request_offers(&bus_client, port_now()) != HVK_OK)
		return (false);
	return (bus_wait(offers_over, NULL, 60000));
}

static bool
unload_over(void *arg HVK_UNUSED)
{
	return (unloaded);
}

enum hvk_client_status
bus_disconnect(void)
{
	hvk_client_unload(&bus_client, port_now());
	if (!bus_wait(unload_over, NULL, 120000))
		return (HVK_CLIENT_TIMEOUT);
	running = false;
	return (unload_status);
}

/* The nth primary channel of a class. */
struct hvk_client_chan *
bus_find(const struct hvk_guid *type, uint32_t nth)
{
	struct hvk_client_chan *cc;

	for (uint32_t relid = 1; relid <= bus_relid_max; relid++) {
		cc = hvk_client_find(&bus_client, relid);
		if (cc != NULL && cc->subindex == 0 &&
		    hvk_same(&cc->type, type, sizeof(*type)) && nth-- == 0)
			return (cc);
	}
	return (NULL);
}
