/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * One thread for each channel: takes requests out of the ring in batches with
 * the interrupt masked, lets the back-ends work, sends replies in batches, and
 * watches for a moment before it sleeps, for as long as watching pays.
 * Locking: see stor_int.h.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "stor_int.h"

#define	BATCH		64u	/* requests before replies go out */
#define	LINGER		4u		/* pauses for the next request */
#define	POLL_MIN_NS	2000u
#define	CUT_MS		2000u		/* for a server's answers */
#define	CUT_AGAIN_MS	100u		/* if one was silent already */
#define	STOP_MS		5000u

void
stor_list_add(struct stor_list *l, struct stor_slot *s)
{

	s->next = NULL;
	*l->last = s;
	l->last = &s->next;
}

struct stor_slot *
stor_list_take(struct stor_list *l)
{
	struct stor_slot *s = l->first;

	if (s != NULL && (l->first = s->next) == NULL)
		l->last = &l->first;
	return (s);
}

void
stor_slot_free(struct stor_worker *w, struct stor_slot *s)
{

	s->next = w->free;
	w->free = s;
}

void
stor_worker_wake(struct stor_worker *w)
{
	uint64_t one = 1;

	if (write(w->wake, &one, sizeof(one)) < 0 && errno != EAGAIN)
		vmm_log("%s: cannot wake a worker", w->stor->name);
}

/*
 * The guest is filling the ring right now: a moment later there is a batch,
 * and both sides pass the ring's header to and fro once for all of it.  A
 * guest that has one request at a time never waits for this.
 */
static bool
worker_linger(struct stor_worker *w, unsigned taken)
{
	unsigned i;

	if (taken < 2)
		return (false);
	for (i = 0; i < LINGER; i++) {
		if (hvk_shared_load(&w->rx->hdr->write) !=
		    (uint32_t)(w->rx->at - w->rx->data))
			return (true);
		__builtin_ia32_pause();
	}
	return (false);
}

/* table held */
static unsigned
worker_drain(struct stor_worker *w)
{
	struct hvk_packet p;
	struct stor_slot *s;
	unsigned n;
	int error;

	for (n = 0; n < BATCH && (s = w->free) != NULL && !w->broken; n++) {
		error = hvk_ring_rx_next(w->rx, w->packet, STOR_PACKET, &p);
		if (error == HVK_AGAIN) {
			if (!worker_linger(w, n))
				break;
			n--;
			w->free = s;
			continue;
		}
		if (error == HVK_REJECT) {
			w->rejects++;
			continue;
		}
		if (error != HVK_OK) {
			w->broken = true;
			vmm_log("%s channel %u: the guest broke its ring; the "
			    "channel is dead until it is opened again",
			    w->stor->name, vmm_channel_index(w->channel));
			break;
		}
		w->free = s->next;
		stor_io_packet(w, s, &p);
	}
	return (n);
}

/* Everything before the reset has ended on every channel. */
static bool
reset_over(struct vmm_stor *stor, uint32_t epoch)
{
	uint32_t i, left = 0;

	pthread_mutex_lock(&stor->lock);
	for (i = 0; i < STOR_WORKERS; i++) {
		if (stor->worker[i] != NULL)
			left += atomic_load_explicit(
			    &stor->worker[i]->inflight[epoch],
			    memory_order_acquire);
	}
	pthread_mutex_unlock(&stor->lock);
	return (left == 0);
}

/* table held */
static void
worker_resets(struct stor_worker *w)
{
	struct vmm_stor *stor = w->stor;
	struct stor_slot *s = w->resets.first;
	uint32_t i;

	if (s == NULL)
		return;
	if (s->epoch == UINT32_MAX) {
		pthread_mutex_lock(&stor->lock);
		if (!stor->resetting) {
			stor->resetting = true;
			s->epoch = stor->epoch & 1;
			stor->epoch ^= 1;
		}
		pthread_mutex_unlock(&stor->lock);
		if (s->epoch == UINT32_MAX)
			return;		/* another channel's comes first */
	}
	if (!reset_over(stor, s->epoch))
		return;
	for (i = 0; i < HVK_SCSI_LUNS; i++) {
		if (stor->disk[i] != NULL && (s->req.packet.operation !=
		    HVK_VSTOR_RESET_LUN || s->req.lun == i))
			hvk_scsi_attend(&stor->disk[i]->unit,
			    HVK_SCSI_UA_POWER_ON);
	}
	pthread_mutex_lock(&stor->lock);
	stor->resetting = false;
	pthread_mutex_unlock(&stor->lock);
	(void)stor_list_take(&w->resets);
	hvk_storvsp_answer(&s->req, HVK_VSTOR_OK);
	if (s->req.action == HVK_STORVSP_NOTHING)
		stor_slot_free(w, s);
	else
		stor_list_add(&w->ready, s);
}

static bool
worker_pass(struct stor_worker *w)
{
	uint32_t generation;
	unsigned n;

	pthread_rwlock_rdlock(&w->stor->table);
	generation = atomic_load_explicit(&w->stor->generation,
	    memory_order_relaxed);
	if (generation != w->generation || w->dying != NULL) {
		w->generation = generation;
		stor_use_refresh(w);
	}
	n = w->stop ? 0 : worker_drain(w);
	backend_loop_submit(w->loop);
	n += backend_loop_reap(w->loop);
	worker_resets(w);
	pthread_rwlock_unlock(&w->stor->table);
	if (atomic_load_explicit(&w->notices, memory_order_relaxed) != 0 &&
	    !w->broken)
		stor_reply_notices(w);
	if (stor_reply_send(w))
		n++;
	if (hvk_ring_rx_release(w->rx)) {
		w->signals++;
		vmm_channel_signal(w->channel);
	}
	return (n > 0);
}

static bool
worker_has_work(struct stor_worker *w)
{

	return (w->free != NULL && !w->broken &&
	    hvk_shared_load(&w->rx->hdr->write) != w->rx->released);
}

/* true: something came while watching. */
static bool
worker_watch(struct stor_worker *w)
{
	uint64_t end;
	unsigned i;

	if (w->poll_ns == 0)
		return (false);
	end = vmm_now_ns() + w->poll_ns;
	do {
		for (i = 0; i < 32; i++) {
			if (worker_has_work(w)) {
				w->polls++;
				return (true);
			}
			__builtin_ia32_pause();
		}
		if (backend_loop_busy(w->loop) && worker_pass(w))
			return (true);
	} while (vmm_now_ns() < end && !w->stop);
	return (false);
}

static int
worker_timeout(const struct stor_worker *w)
{
	struct stor_slot *s;
	int ms = 1000, n;

	if (w->resets.first != NULL)
		return (1);
	for (s = w->delayed.first; s != NULL; s = s->next) {
		n = vmm_left_ms(s->due);
		if (n < ms)
			ms = n;
	}
	return (ms);
}

/* A short wait says that watching longer would have caught it. */
static void
worker_adapt(struct stor_worker *w, uint64_t slept)
{
	uint64_t max = w->stor->poll_max_ns;

	if (max == 0)
		return;
	if (slept < max)
		w->poll_ns = w->poll_ns == 0 ? POLL_MIN_NS :
		    w->poll_ns * 4 < max ? w->poll_ns * 4 : max;
	else if (slept > 20 * max)
		w->poll_ns /= 2;
	if (w->poll_ns < POLL_MIN_NS && slept > 20 * max)
		w->poll_ns = 0;
}

static void
worker_sleep(struct stor_worker *w)
{
	struct pollfd fds[2 + 1 + HVK_SCSI_LUNS];
	uint64_t count, start;
	int n;

	if (w->ready.first != NULL && !w->broken) {
		w->waiting = true;
		if (hvk_ring_tx_want(w->tx, 1024))
			return;
	} else if (w->waiting) {
		/* Or the guest would go on signalling room. */
		w->waiting = false;
		(void)hvk_ring_tx_want(w->tx, 0);
	}
	/* Masked when there is no slot: what arrives must wait anyway. */
	if (w->free != NULL && !w->broken && hvk_ring_rx_unmask(w->rx)) {
		hvk_ring_rx_mask(w->rx);
		return;
	}
	fds[0].fd = vmm_channel_kick_fd(w->channel);
	fds[0].events = POLLIN;
	fds[1].fd = w->wake;
	fds[1].events = POLLIN;
	fds[0].revents = fds[1].revents = 0;
	n = 2 + backend_loop_fds(w->loop, fds + 2, 1 + HVK_SCSI_LUNS);
	start = vmm_now_ns();
	w->sleeps++;
	(void)poll(fds, (nfds_t)n, worker_timeout(w));
	hvk_ring_rx_mask(w->rx);
	worker_adapt(w, vmm_now_ns() - start);
	if ((fds[0].revents & POLLIN) != 0 && read(fds[0].fd, &count,
	    sizeof(count)) == (ssize_t)sizeof(count))
		w->kicks += count;
	if ((fds[1].revents & POLLIN) != 0 && read(fds[1].fd, &count,
	    sizeof(count)) < 0)
		count = 0;	/* another thread took it */
}

/* Wait for the back-ends to let go of guest memory. */
static void
worker_drop(struct stor_worker *w)
{
	uint64_t deadline = vmm_deadline(STOP_MS), cut;
	bool told = false;

	/* The channels close one after the other: all wait only once. */
	cut = vmm_deadline(w->stor->silent ? CUT_AGAIN_MS : CUT_MS);

	while (atomic_load(&w->inflight[0]) + atomic_load(&w->inflight[1]) !=
	    0) {
		pthread_rwlock_rdlock(&w->stor->table);
		backend_loop_submit(w->loop);
		(void)backend_loop_reap(w->loop);
		pthread_rwlock_unlock(&w->stor->table);
		if (vmm_left_ms(cut) == 0) {
			w->stor->silent = true;
			backend_loop_abandon(w->loop);
			cut = vmm_deadline(STOP_MS);
		}
		if (!told && vmm_left_ms(deadline) == 0) {
			told = true;
			vmm_log("%s: closing waits for I/O that the disk does "
			    "not finish; check the medium", w->stor->name);
		}
		usleep(100);
	}
	if (w->resets.first != NULL && w->resets.first->epoch != UINT32_MAX) {
		pthread_mutex_lock(&w->stor->lock);
		w->stor->resetting = false;
		pthread_mutex_unlock(&w->stor->lock);
	}
	pthread_rwlock_rdlock(&w->stor->table);
	stor_use_refresh(w);
	pthread_rwlock_unlock(&w->stor->table);
}

static void *
worker_main(void *arg)
{
	struct stor_worker *w = arg;

	/* Here, because an io_uring may belong to the thread that uses it. */
	w->loop = backend_loop_new(STOR_SLOTS, true);
	if (w->loop == NULL) {
		vmm_log("%s: no memory for a storage worker: channel %u does "
		    "not answer", w->stor->name,
		    vmm_channel_index(w->channel));
		return (NULL);
	}
	hvk_ring_rx_mask(w->rx);
	w->poll_ns = w->stor->poll_max_ns;
	while (!w->stop) {
		if (worker_pass(w))
			continue;
		if (worker_watch(w))
			continue;
		worker_sleep(w);
	}
	worker_drop(w);
	backend_loop_free(w->loop);
	return (NULL);
}

int
stor_worker_start(struct vmm_stor *stor, struct vmm_channel *channel)
{
	struct stor_worker *w;
	uint16_t index = vmm_channel_index(channel);
	uint32_t i;
	int error;

	if (index >= STOR_WORKERS || stor->worker[index] != NULL)
		return (-EBUSY);
	w = aligned_alloc(64, (sizeof(*w) + 63) & ~(size_t)63);
	if (w == NULL)
		return (-ENOMEM);
	memset(w, 0, sizeof(*w));
	w->stor = stor;
	w->channel = channel;
	w->mem = vmm_channel_mem(channel);
	w->rx = vmm_channel_rx(channel);
	w->tx = vmm_channel_tx(channel);
	w->primary = index == 0;
	w->ready.last = &w->ready.first;
	w->delayed.last = &w->delayed.first;
	w->resets.last = &w->resets.first;
	w->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	w->slots = calloc(STOR_SLOTS, sizeof(*w->slots));
	if (w->wake < 0 || w->slots == NULL) {
		error = -ENOMEM;
		goto fail;
	}
	for (i = STOR_SLOTS; i-- > 0;) {
		w->slots[i].worker = w;
		stor_slot_free(w, &w->slots[i]);
	}
	error = vmm_thread(&w->thread, "hvk-stor", worker_main, w);
	if (error != 0)
		goto fail;
	pthread_mutex_lock(&stor->lock);
	stor->worker[index] = w;
	pthread_mutex_unlock(&stor->lock);
	return (0);
fail:
	if (w->wake >= 0)
		close(w->wake);
	free(w->slots);
	free(w);
	return (error);
}

void
stor_worker_stop(struct stor_worker *w)
{
	struct vmm_stor *stor = w->stor;

	w->stop = true;
	stor_worker_wake(w);
	pthread_join(w->thread, NULL);
	pthread_mutex_lock(&stor->lock);
	stor->worker[vmm_channel_index(w->channel)] = NULL;
	pthread_mutex_unlock(&stor->lock);
	close(w->wake);
	free(w->slots);
	free(w);
}
