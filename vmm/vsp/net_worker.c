/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * One thread for each channel of an adapter: takes packets out of the ring in
 * batches with the interrupt masked, takes frames from the back-end's queue of
 * the same number (the primary from those that have no channel), publishes and
 * signals once for all of it, and sleeps when there is nothing.
 * Locking: see net_int.h.
 */
#include <sys/eventfd.h>

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net_int.h"

#define	LINK_MS		100	/* between looks at the back-end's link */
#define	RETRY_MS	5	/* what found no room is tried again */
#define	POLL_MIN_NS	2000u
#define	FLAP_BURST	64u	/* changes of the link in one pass */

void
net_worker_wake(struct net_worker *w)
{
	uint64_t one = 1;

	if (write(w->wake, &one, sizeof(one)) < 0 && errno != EAGAIN)
		vmm_log("%s: cannot wake a worker", w->nic->name);
}

void
net_broken(struct net_worker *w)
{

	if (w->broken)
		return;
	w->broken = true;
	vmm_log("%s channel %u: the guest broke its ring; the channel is dead "
	    "until it is opened again", w->nic->name, w->index);
}

/* state held */
bool
net_worker_serves(const struct net_worker *w, uint32_t port)
{

	return (port == w->index || (w->index == 0 &&
	    (w->nic->open_mask & 1ull << port) == 0));
}

/*
 * Start-up and control: the machine is changed, everybody else waits.  Called
 * and left with state held for reading.
 */
static void
worker_control(struct net_worker *w, const struct hvk_packet *p,
    enum hvk_netvsp_kind kind)
{
	struct net_nic *nic = w->nic;

	net_tx_flush(w);
	pthread_rwlock_unlock(&nic->state);
	pthread_rwlock_wrlock(&nic->state);
	if (kind == HVK_NETVSP_KIND_MESSAGE)
		net_control_message(w, p);
	else
		net_control_rndis(w, p);
	pthread_rwlock_unlock(&nic->state);
	pthread_rwlock_rdlock(&nic->state);
}

static void
worker_done(struct net_worker *w, const struct hvk_packet *p)
{
	struct net_channel *c = &w->nic->chan[w->index];

	pthread_mutex_lock(&c->lock);
	if (c->queue == NULL || hvk_netvsp_queue_done(c->queue, p) != HVK_OK)
		w->stats.rejects++;
	pthread_mutex_unlock(&c->lock);
}

static void
worker_packet(struct net_worker *w, const struct hvk_packet *p)
{
	enum hvk_netvsp_kind kind = hvk_netvsp_kind(p);
	struct net_capture *cap = atomic_load_explicit(&w->nic->capture,
	    memory_order_relaxed);

	if (cap != NULL)
		net_capture_packet(cap, false, w->index, p);
	switch (kind) {
	case HVK_NETVSP_KIND_DATA:
		net_tx_data(w, p);
		break;
	case HVK_NETVSP_KIND_DONE:
		worker_done(w, p);
		break;
	case HVK_NETVSP_KIND_MESSAGE:
	case HVK_NETVSP_KIND_CONTROL:
		worker_control(w, p, kind);
		break;
	case HVK_NETVSP_KIND_NONE:
		w->stats.rejects++;
		break;
	}
}

static unsigned
worker_drain(struct net_worker *w)
{
	struct hvk_packet p;
	unsigned n;
	int error;

	for (n = 0; n < NET_BATCH && w->ndone < NET_BATCH && !w->broken;
	    n++) {
		error = hvk_ring_rx_next(w->rx, w->packet, NET_PACKET, &p);
		if (error == HVK_AGAIN)
			break;
		if (error == HVK_REJECT) {
			w->stats.rejects++;
			continue;
		}
		if (error != HVK_OK) {
			net_broken(w);
			break;
		}
		worker_packet(w, &p);
	}
	net_tx_flush(w);
	return (n);
}

/* state held for writing; false: the guest has to hear other things first. */
static bool
tell_link(struct net_nic *nic, bool link)
{
	int error = hvk_netvsp_link(&nic->vsp, link, nic->speed);

	if (error == HVK_AGAIN)
		return (false);
	nic->link_changes += error == HVK_OK && link != nic->carrier;
	nic->carrier = link;
	return (true);
}

/* A link that changes by itself: each change that is due is told. */
static void
worker_flap(struct net_worker *w)
{
	struct net_nic *nic = w->nic;
	uint64_t now = vmm_now_ns(), step;
	uint32_t hz = nic->flap_hz, i;

	if (hz == 0)
		return;
	step = 1000000000u / hz;
	/* A second that was missed is not made up for. */
	if (nic->flap_at + 1000000000u < now)
		nic->flap_at = now;
	for (i = 0; i < FLAP_BURST && nic->flap_at <= now; i++) {
		if (!tell_link(nic, !nic->carrier) || !net_control_out(w))
			return;
		nic->flap_at += step;
	}
}

/* The primary looks after the link and what waits to be told. */
static bool
worker_notices(struct net_worker *w)
{
	struct net_nic *nic = w->nic;
	bool link, all;

	pthread_rwlock_rdlock(&nic->state);
	link = nic->link && nic->backend != NULL &&
	    net_backend_link(nic->backend);
	all = hvk_netvsp_peek(&nic->vsp) == NULL && (nic->flap_hz != 0 ?
	    nic->flap_at > vmm_now_ns() : link == nic->carrier &&
	    nic->speed == nic->vsp.speed);
	pthread_rwlock_unlock(&nic->state);
	if (all)
		return (true);
	pthread_rwlock_wrlock(&nic->state);
	if (nic->flap_hz != 0)
		worker_flap(w);
	else
		(void)tell_link(nic, link);
	all = net_control_out(w);
	pthread_rwlock_unlock(&nic->state);
	return (all);
}

static bool
worker_pass(struct net_worker *w)
{
	struct net_nic *nic = w->nic;
	struct net_capture *cap;
	unsigned n = 0;

	pthread_rwlock_rdlock(&nic->state);
	if (!w->stop)
		n = worker_drain(w);
	if (net_tx_complete(w))
		n++;
	if (!w->stop)
		n += net_rx_pass(w);
	cap = atomic_load(&nic->capture);
	if (cap != NULL)
		net_capture_flush(cap);
	pthread_rwlock_unlock(&nic->state);
	if (w->index == 0 && !w->broken)
		(void)worker_notices(w);
	pthread_rwlock_rdlock(&nic->state);
	net_rx_publish(w);
	pthread_rwlock_unlock(&nic->state);
	if (hvk_ring_rx_release(w->rx)) {
		w->stats.signals++;
		vmm_channel_signal(w->channel);
	}
	return (n > 0);
}

static bool
worker_watch(struct net_worker *w)
{
	uint64_t end;
	unsigned i;

	if (w->poll_ns == 0 || w->broken || w->ndone == NET_BATCH)
		return (false);
	end = vmm_now_ns() + w->poll_ns;
	do {
		for (i = 0; i < 32; i++) {
			if (hvk_shared_load(&w->rx->hdr->write) !=
			    w->rx->released) {
				w->stats.polls++;
				return (true);
			}
			__builtin_ia32_pause();
		}
	} while (vmm_now_ns() < end && !w->stop);
	return (false);
}

/* A short wait says that watching longer would have caught it. */
static void
worker_adapt(struct net_worker *w, uint64_t slept)
{
	uint64_t max = NET_POLL_US * 1000u;

	if (slept < max)
		w->poll_ns = w->poll_ns == 0 ? POLL_MIN_NS :
		    w->poll_ns * 4 < max ? w->poll_ns * 4 : max;
	else if (slept > 20 * max)
		w->poll_ns = w->poll_ns / 2 < POLL_MIN_NS ? 0 :
		    w->poll_ns / 2;
}

static int
worker_timeout(struct net_worker *w)
{
	int ms = w->index == 0 ? LINK_MS : 1000, n;
	uint32_t i;

	if (w->full != NET_NOBODY || (w->index == 0 && w->nic->flap_hz != 0))
		return (1);
	if (w->ndone != 0 && !w->broken)
		return (RETRY_MS);
	for (i = 0; i < w->ndelayed; i++) {
		n = vmm_left_ms(w->delayed[i].due);
		if (n < ms)
			ms = n;
	}
	return (ms);
}

/* What a worker waits for besides its ring. */
static int
worker_fds(struct net_worker *w, struct pollfd *fds)
{
	struct net_nic *nic = w->nic;
	uint32_t q;
	int n = 0;

	pthread_rwlock_rdlock(&nic->state);
	if (net_rx_possible(w))
		for (q = 0; q < nic->nports; q++)
			if (net_worker_serves(w, q))
				fds[n++] = (struct pollfd){
				    .fd = net_backend_fd(nic->backend, q),
				    .events = POLLIN };
	pthread_rwlock_unlock(&nic->state);
	return (n);
}

static void
worker_sleep(struct net_worker *w)
{
	struct net_channel *c = &w->nic->chan[w->index];
	struct pollfd fds[2 + NET_QUEUES];
	uint64_t count, start;
	bool full = w->ndone == NET_BATCH, now;
	int n;

	if (w->ndone != 0 && !w->broken) {
		w->waiting = true;
		pthread_mutex_lock(&c->lock);
		now = hvk_ring_tx_want(c->tx, 1024);
		pthread_mutex_unlock(&c->lock);
		if (now)
			return;
	} else if (w->waiting) {
		w->waiting = false;
		pthread_mutex_lock(&c->lock);
		(void)hvk_ring_tx_want(c->tx, 0);
		pthread_mutex_unlock(&c->lock);
	}
	if (!full && !w->broken && hvk_ring_rx_unmask(w->rx)) {
		hvk_ring_rx_mask(w->rx);
		return;
	}
	fds[0] = (struct pollfd){ .fd = vmm_channel_kick_fd(w->channel),
	    .events = POLLIN };
	fds[1] = (struct pollfd){ .fd = w->wake, .events = POLLIN };
	n = 2 + worker_fds(w, fds + 2);
	start = vmm_now_ns();
	w->stats.sleeps++;
	(void)poll(fds, (nfds_t)n, worker_timeout(w));
	hvk_ring_rx_mask(w->rx);
	worker_adapt(w, vmm_now_ns() - start);
	if ((fds[0].revents & POLLIN) != 0 && read(fds[0].fd, &count,
	    sizeof(count)) == (ssize_t)sizeof(count))
		w->stats.kicks += count;
	if ((fds[1].revents & POLLIN) != 0 && read(fds[1].fd, &count,
	    sizeof(count)) < 0)
		count = 0;
}

static void *
worker_main(void *arg)
{
	struct net_worker *w = arg;

	hvk_ring_rx_mask(w->rx);
	while (!w->stop) {
		if (worker_pass(w) || worker_watch(w))
			continue;
		worker_sleep(w);
	}
	return (NULL);
}

int
net_worker_start(struct net_nic *nic, struct vmm_channel *channel)
{
	uint16_t index = vmm_channel_index(channel);
	struct net_worker *w;
	int error;

	w = aligned_alloc(64, (sizeof(*w) + 63) & ~(size_t)63);
	if (w == NULL)
		return (-ENOMEM);
	memset(w, 0, offsetof(struct net_worker, tx_frame));
	w->nic = nic;
	w->channel = channel;
	w->index = index;
	w->mem = vmm_channel_mem(channel);
	w->rx = vmm_channel_rx(channel);
	w->poll_ns = NET_POLL_US * 1000u;
	w->full = NET_NOBODY;
	w->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->wake < 0) {
		free(w);
		return (-ENOMEM);
	}
	pthread_mutex_lock(&nic->lock);
	nic->worker[index] = w;
	pthread_mutex_unlock(&nic->lock);
	error = vmm_thread(&w->thread, "hvk-net", worker_main, w);
	if (error != 0) {
		pthread_mutex_lock(&nic->lock);
		nic->worker[index] = NULL;
		pthread_mutex_unlock(&nic->lock);
		close(w->wake);
		free(w);
	}
	return (error);
}

void
net_worker_stop(struct net_worker *w)
{
	struct net_nic *nic = w->nic;
	uint64_t *to = (uint64_t *)&nic->past, *from = (uint64_t *)&w->stats;
	size_t i;

	w->stop = true;
	net_worker_wake(w);
	pthread_join(w->thread, NULL);
	pthread_mutex_lock(&nic->lock);
	nic->worker[w->index] = NULL;
	/* Its counters stay in the adapter's. */
	for (i = 0; i < sizeof(w->stats) / sizeof(*to); i++)
		to[i] += from[i];
	pthread_mutex_unlock(&nic->lock);
	close(w->wake);
	free(w);
}
