/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * Channels: memory for the rings, open, send, receive, close.  Only the thread
 * calls these; the interrupt handler sees a channel from the moment it is in
 * bus_by_relid[] until it is taken out there.
 */

#include "bus.h"

#include <hvk/wire/vmbus.h>

#define	PAGES		(2 * (HVK_PAGE_SIZE + BUS_RING) / HVK_PAGE_SIZE)

struct bus_chan *volatile bus_by_relid[BUS_RELIDS];

/* One request under way: conn.c fills it in from the client's event. */
struct request {
	bool			 done;
	struct hvk_client_event	 event;
};

void	bus_chan_event(struct bus_chan *, const struct hvk_client_event *);

static struct request opening, sharing;

/* The answer to a request of this file, from conn.c. */
void
bus_chan_event(struct bus_chan *chan HVK_UNUSED,
    const struct hvk_client_event *ev)
{
	struct request *r = ev->kind == HVK_EVENT_OPENED ? &opening : &sharing;

	r->event = *ev;
	r->done = true;
}

static bool
request_done(void *arg)
{
	return (((struct request *)arg)->done);
}

/* The client ends every request by itself, so this is only a second fence. */
static enum hvk_client_status
request_wait(struct request *r)
{
	if (!bus_wait(request_done, r, 120000))
		port_stop("a request of the client did not end");
	return (r->event.status);
}

static void
signal_init(struct bus_chan *chan)
{
	const struct hvk_client_chan *cc = chan->client;
	const struct hvk_client_config *cfg = &bus_client.cfg;
	struct hvk_interrupt_page *page;
	struct hvk_monitor_page *monitor;

	page = (void *)(uintptr_t)cfg->interrupt_page;
	monitor = (void *)(uintptr_t)cfg->monitor_to_host;
	chan->send = chan->monitor = NULL;
	if (!cc->dedicated || cc->monitored) {
		chan->send = (volatile uint32_t *)(void *)page->to_host +
		    chan->relid / 32;
		chan->send_bit = 1u << chan->relid % 32;
	}
	if (cc->monitored) {
		chan->monitor = (volatile uint32_t *)
		    &monitor->group[cc->monitor_id / 32].pending;
		chan->monitor_bit = 1u << cc->monitor_id % 32;
	}
}

static void
signal_host(struct bus_chan *chan)
{
	if (chan->send != NULL)
		__atomic_fetch_or(chan->send, chan->send_bit,
		    __ATOMIC_SEQ_CST);
	if (chan->monitor != NULL)
		__atomic_fetch_or(chan->monitor, chan->monitor_bit,
		    __ATOMIC_SEQ_CST);
	else
		(void)hyperv_signal_event(chan->client->connection_id);
}

/* *gpadl is NULL when the host never had the memory. */
int
bus_share(struct bus_chan *chan, void *memory, uint32_t pages,
    struct hvk_client_gpadl **gpadl)
{
	static uint64_t pfn[BUS_SHARE_PAGES];

	*gpadl = NULL;
	if (pages > BUS_SHARE_PAGES)
		return (HVK_RANGE);
	for (uint32_t i = 0; i < pages; i++)
		pfn[i] = ((uintptr_t)memory >> HVK_PAGE_SHIFT) + i;
	sharing.done = false;
	if (hvk_client_gpadl_create(&bus_client, chan->client, pfn, pages,
	    chan, gpadl, port_now()) != HVK_OK)
		return (HVK_STATE);
	if (request_wait(&sharing) != HVK_CLIENT_OK) {
		if (!sharing.event.held)
			*gpadl = NULL;
		return (HVK_REJECT);
	}
	return (HVK_OK);
}

/* False: the host may still use the memory. */
bool
bus_unshare(struct hvk_client_gpadl *gpadl)
{
	if (gpadl == NULL)
		return (true);
	sharing.done = false;
	return (hvk_client_gpadl_teardown(&bus_client, gpadl, port_now()) ==
	    HVK_OK && request_wait(&sharing) == HVK_CLIENT_OK);
}

static int
open_host(struct bus_chan *chan, uint32_t cpu)
{
	struct hvk_client_open open = {
		.ring_gpadl = chan->gpadl->handle,
		.rx_page = PAGES / 2,
		.vcpu = port_cpus[cpu].vp,
	};
	uint8_t *rx = chan->ring + HVK_PAGE_SIZE + BUS_RING;

	if (hvk_ring_tx_init(&chan->tx, chan->ring, chan->ring + HVK_PAGE_SIZE,
	    BUS_RING, true) != HVK_OK ||
	    hvk_ring_rx_init(&chan->rx, rx, rx + HVK_PAGE_SIZE, BUS_RING,
	    true) != HVK_OK)
		return (HVK_RANGE);
	/* The host may speak before it answers. */
	bus_by_relid[chan->relid] = chan;
	chan->open = true;
	opening.done = false;
	if (hvk_client_open(&bus_client, chan->client, &open, port_now()) !=
	    HVK_OK)
		return (HVK_STATE);
	return (request_wait(&opening) == HVK_CLIENT_OK ? HVK_OK : HVK_REJECT);
}

int
bus_open(struct bus_chan *chan, struct hvk_client_chan *client, uint32_t cpu,
    void (*cb)(struct bus_chan *, void *), void *arg)
{
	int error;

	*chan = (struct bus_chan){ .client = client, .relid = client->relid,
	    .cb = cb, .cbarg = arg };
	if (chan->relid >= BUS_RELIDS || cpu >= port_ncpus)
		return (HVK_RANGE);
	client->user = chan;
	signal_init(chan);
	chan->ring = port_pages(PAGES);
	error = bus_share(chan, chan->ring, PAGES, &chan->gpadl);
	if (error == HVK_OK)
		error = open_host(chan, cpu);
	if (error != HVK_OK)
		(void)bus_close(chan);
	return (error);
}

/* Nothing is sent or received any more; its memory is still shared. */
void
bus_quiet(struct bus_chan *chan)
{
	bus_by_relid[chan->relid] = NULL;
	if (chan->open)
		(void)hvk_client_close(&bus_client, chan->client);
	chan->open = false;
}

bool
bus_close(struct bus_chan *chan)
{
	bool safe;

	bus_quiet(chan);
	safe = bus_unshare(chan->gpadl);
	chan->gpadl = NULL;
	chan->client->user = NULL;
	/* What the host did not give back is never used again. */
	if (safe)
		port_pages_free(chan->ring, PAGES);
	chan->ring = NULL;
	return (safe);
}

static int
sent(struct bus_chan *chan, int error)
{
	if (error == HVK_OK && hvk_ring_tx_publish(&chan->tx))
		signal_host(chan);
	if (error == HVK_FATAL)
		chan->broken = true;
	return (error);
}

int
bus_send(struct bus_chan *chan, uint64_t txid, const void *data, uint32_t len)
{
	return (sent(chan, hvk_tx_inband(&chan->tx, txid, true, data, len)));
}

/* Nobody is to answer. */
int
bus_tell(struct bus_chan *chan, uint64_t txid, const void *data, uint32_t len)
{
	return (sent(chan, hvk_tx_inband(&chan->tx, txid, false, data, len)));
}

int
bus_complete(struct bus_chan *chan, uint64_t txid, const void *data,
    uint32_t len)
{
	return (sent(chan, hvk_tx_completion(&chan->tx, txid, data, len)));
}

int
bus_send_gpa(struct bus_chan *chan, uint64_t txid,
    const struct hvk_gpa_range *range, const void *data, uint32_t len)
{
	return (sent(chan, hvk_tx_gpa_direct(&chan->tx, txid, true, range, 1,
	    data, len)));
}

int
bus_recv(struct bus_chan *chan, void *buf, uint32_t cap,
    struct hvk_packet *packet)
{
	int error;

	if (chan->broken)
		return (HVK_FATAL);
	error = hvk_ring_rx_next(&chan->rx, buf, cap, packet);
	if (error == HVK_FATAL)
		chan->broken = true;
	return (error);
}

/* Drain it: interrupts are off for this ring until it is found empty. */
void
bus_chan_run(struct bus_chan *chan)
{
	chan->pending = 0;
	do {
		hvk_ring_rx_mask(&chan->rx);
		chan->cb(chan, chan->cbarg);
		if (hvk_ring_rx_release(&chan->rx))
			signal_host(chan);
	} while (!chan->broken && hvk_ring_rx_unmask(&chan->rx));
}
