/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * The guest's machine sends from this process, the host's machine takes the
 * frames out in a child, over rings and buffers in shared memory and
 * two eventfds.  The same steps as in hn(4) and in `hvk run': a section of the
 * send buffer holds as many frames as the host allows, completions go back in
 * batches, every frame is copied once by each side and its first and last byte
 * are looked at.
 */
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <poll.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <x86intrin.h>

#include <hvk/guest/netvsc.h>
#include <hvk/host/netvsp.h>
#include <hvk/ring.h>

#include "signal.h"

#define	PAGE		4096u
#define	RING		(128u * PAGE)
#define	RECV		(1u << 20)
#define	SEND		(1u << 20)
#define	SLOTS		1024u
#define	BURST		32u		/* frames for a publication */

struct shared {
	_Atomic bool	ready, go, stop, over;
	bool		whole;		/* the receiver kept its core */
	_Atomic uint64_t frames, bad, packets, wakes, spurious, work_ns;
	_Atomic uint64_t kicked;	/* when, ns; 0: taken */
	_Atomic uint64_t wake_ns, waked;
	_Atomic uint64_t unmasked;	/* times that signals were asked for */
	uint32_t	nlatency;
	uint32_t	latency[LATENCIES];
};

static struct shared *sh;
static uint8_t *area;			/* rings, then buffers */
static uint8_t *recv_buf, *send_buf, *control;
static int kick_fd, call_fd;

static void
ring_memory(void **to_host, void **to_guest)
{

	*to_host = area;
	*to_guest = area + PAGE + RING;
	recv_buf = area + 2 * (PAGE + RING);
	send_buf = recv_buf + RECV;
	control = send_buf + SEND;
}

static uint64_t
now_ns(void)
{

	return ((uint64_t)(now_s() * 1e9));
}

static void
stay_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sysconf(_SC_NPROCESSORS_ONLN) > 1)
		(void)sched_setaffinity(0, sizeof(set), &set);
}

/*
 * Run before everything else: a machine that does other work takes the core away
 * now and then, and what happens until it is back says nothing of signals.
 * Without the right to, disturbed rounds are only more.
 */
static void
foremost(bool on)
{
	struct sched_param p = { .sched_priority = on ? 1 : 0 };

	(void)sched_setscheduler(0, on ? SCHED_FIFO : SCHED_OTHER, &p);
}

/* Times that this process lost its core without having wanted to. */
static long
losses(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (u.ru_nivcsw);
}

/* ---- the host, in the child */

struct host {
	struct hvk_ring_rx rx;
	struct hvk_ring_tx tx;
	struct hvk_netvsp vsp;
	struct hvk_netvsp_queue queue;
	struct hvk_netvsp_slot *slots;
	struct hvk_netvsp_sent *packets;
	uint64_t	frames, bad, npackets;
	uint8_t		packet[8192] __attribute__((aligned(8)));
	uint8_t		frame[65536];
};

static void
host_publish(struct host *h)
{
	uint64_t one = 1;

	if (hvk_ring_tx_publish(&h->tx) && write(call_fd, &one, 8) < 0)
		abort();
}

static void
host_control(struct host *h, const struct hvk_packet *p)
{
	const struct hvk_netvsp_out *o;
	struct hvk_nvsp_rndis_done done;
	struct hvk_nvsp_message m;
	struct hvk_netvsp_send s;
	struct hvk_net_seg seg = { control, PAGE };
	uint32_t status, offset, n;
	uint64_t txid;

	(void)hvk_netvsp_send(&h->vsp, true, p, &s, &status);
	(void)hvk_netvsp_control(&h->vsp, &seg, 1);
	hvk_netvsp_send_done(&done, status);
	(void)hvk_tx_completion(&h->tx, p->txid, &done, sizeof(done));
	while ((o = hvk_netvsp_peek(&h->vsp)) != NULL) {
		if (!o->rndis)
			(void)hvk_tx_inband(&h->tx, o->txid, false, o->bytes,
			    o->len);
		else if (hvk_netvsp_queue_slot(&h->queue, &offset) ==
		    HVK_OK) {
			memcpy(recv_buf + offset, o->bytes, o->len);
			(void)hvk_netvsp_queue_put(&h->queue, o->len, true);
			(void)hvk_netvsp_queue_close(&h->queue, &txid, &n, &m);
			(void)hvk_tx_xfer_pages(&h->tx, txid, true,
			    HVK_NVSP_RECV_ID, h->queue.range, n, &m,
			    sizeof(m));
		}
		hvk_netvsp_pop(&h->vsp);
	}
}

static void
host_message(struct host *h, const struct hvk_packet *p)
{
	struct hvk_netvsp_request r;

	hvk_netvsp_input(&h->vsp, true, p, &r);
	switch (r.action) {
	case HVK_NETVSP_MAP_RECV:
		hvk_netvsp_recv_buffer(&h->vsp, &r, RECV);
		h->slots = calloc(h->vsp.slots, sizeof(*h->slots));
		h->packets = calloc(256, sizeof(*h->packets));
		(void)hvk_netvsp_queue_init(&h->queue, &h->vsp, 0, h->slots,
		    h->vsp.slots, h->packets, 256);
		break;
	case HVK_NETVSP_MAP_SEND:
		hvk_netvsp_send_buffer(&h->vsp, &r, SEND);
		break;
	default:
		break;
	}
	if (r.answer)
		(void)hvk_tx_completion(&h->tx, r.txid, &r.reply,
		    r.reply_len);
}

static void
host_data(struct host *h, const struct hvk_packet *p)
{
	struct hvk_nvsp_rndis_done done;
	struct hvk_rndis_frame f;
	struct hvk_rndis_walk walk;
	struct hvk_netvsp_send s;
	struct hvk_net_seg seg;
	uint32_t status, age;
	uint64_t sent;

	if (hvk_netvsp_send(&h->vsp, true, p, &s, &status) == HVK_OK) {
		seg.base = send_buf + s.offset;
		seg.len = s.len;
		hvk_netvsp_walk(&h->vsp, &walk, &seg, 1);
		while (hvk_rndis_walk_next(&walk, &f) == HVK_OK) {
			if (!hvk_net_gather(&seg, 1, f.offset, h->frame,
			    f.len) || h->frame[0] != 2 ||
			    h->frame[f.len - 1] != 0x5a)
				h->bad++;
			else
				h->frames++;
			memcpy(&sent, h->frame + 14, sizeof(sent));
			if (sent == 0 || sh->nlatency == LATENCIES)
				continue;
			age = (uint32_t)(now_ns() - sent);
			sh->latency[sh->nlatency++] = age;
		}
	}
	h->npackets++;
	hvk_netvsp_send_done(&done, status);
	if (hvk_tx_completion(&h->tx, p->txid, &done, sizeof(done)) !=
	    HVK_OK)
		h->bad++;
}

static unsigned
host_burst(struct host *h)
{
	struct hvk_packet p;
	unsigned n;

	for (n = 0; n < 64 && hvk_ring_rx_next(&h->rx, h->packet,
	    sizeof(h->packet), &p) == HVK_OK; n++)
		switch (hvk_netvsp_kind(&p)) {
		case HVK_NETVSP_KIND_DATA:
			host_data(h, &p);
			break;
		case HVK_NETVSP_KIND_MESSAGE:
			host_message(h, &p);
			break;
		case HVK_NETVSP_KIND_CONTROL:
			host_control(h, &p);
			break;
		case HVK_NETVSP_KIND_DONE:
			(void)hvk_netvsp_queue_done(&h->queue, &p);
			break;
		case HVK_NETVSP_KIND_NONE:
			h->bad++;
			break;
		}
	if (n > 0) {
		(void)hvk_ring_rx_release(&h->rx);
		host_publish(h);
	}
	return (n);
}

static void
host_sleep(struct host *h)
{
	struct pollfd pfd = { .fd = kick_fd, .events = POLLIN };
	uint64_t n, start;
	unsigned took = 0, k;

	sh->unmasked++;		/* before: see publish() */
	if (hvk_ring_rx_unmask(&h->rx)) {
		hvk_ring_rx_mask(&h->rx);
		return;
	}
	if (poll(&pfd, 1, 20) != 1 || read(kick_fd, &n, 8) != 8) {
		hvk_ring_rx_mask(&h->rx);
		return;
	}
	hvk_ring_rx_mask(&h->rx);
	sh->wakes++;
	start = now_ns();
	n = atomic_exchange(&sh->kicked, 0);
	if (n != 0 && start > n) {
		sh->wake_ns += start - n;
		sh->waked++;
	}
	while ((k = host_burst(h)) > 0)
		took += k;
	sh->work_ns += now_ns() - start;
	if (took == 0)
		sh->spurious++;
}

static void
host_main(void)
{
	static struct host h;
	struct hvk_netvsp_config c;
	void *to_host, *to_guest;
	long lost;

	stay_on(1);
	foremost(true);
	ring_memory(&to_host, &to_guest);
	memset(&c, 0, sizeof(c));
	c.mac[0] = 2;
	c.link = true;
	(void)hvk_netvsp_init(&h.vsp, &c);
	(void)hvk_ring_rx_init(&h.rx, to_host, (uint8_t *)to_host + PAGE,
	    RING, false);
	(void)hvk_ring_tx_init(&h.tx, to_guest, (uint8_t *)to_guest + PAGE,
	    RING, false);
	hvk_ring_rx_mask(&h.rx);
	sh->ready = true;
	lost = losses();
	while (!sh->stop) {
		if (host_burst(&h) == 0 && sh->go)
			host_sleep(&h);
		sh->frames = h.frames;
	}
	sh->whole = losses() == lost;
	sh->packets = h.npackets;
	sh->frames = h.frames;
	sh->bad = h.bad;
	sh->over = true;
	_exit(0);
}

/* ---- the guest, here */

struct guest {
	struct hvk_ring_tx tx;
	struct hvk_ring_rx rx;
	struct hvk_netvsc nv;
	struct hvk_netvsc_tx out;
	struct hvk_netvsc_rx in;
	struct hvk_netvsc_frag frag[375];
	struct hvk_netvsc_send slot[SLOTS];
	bool		ready, failed;
	uint64_t	signals, masked, packets;
	uint8_t		packet[8192] __attribute__((aligned(8)));
};

static void
publish(struct guest *g)
{
	uint64_t one = 1, unmasked = sh->unmasked;
	bool masked = hvk_shared_load(&g->tx.hdr->mask) != 0;

	if (!hvk_ring_tx_publish(&g->tx))
		return;
	g->signals++;
	sh->kicked = now_ns();
	/* A receiver that unmasked meanwhile, if only for a moment, is no defect. */
	g->masked += masked && sh->unmasked == unmasked &&
	    hvk_shared_load(&g->tx.hdr->mask) != 0;
	if (write(kick_fd, &one, 8) < 0)
		abort();
}

static void event(struct guest *, enum hvk_netvsc_event);

static void
pull(struct guest *g)
{
	static uint64_t page;
	struct hvk_netvsc_message m;
	struct hvk_gpa_range r = { .pfn = &page, .npfn = 1 };

	while (hvk_netvsc_pull(&g->nv, &m)) {
		if (m.rndis_len == 0)
			(void)hvk_tx_inband(&g->tx, m.txid, m.want_completion,
			    &m.nvsp, sizeof(m.nvsp));
		else {
			memcpy(control, m.rndis, m.rndis_len);
			r.len = m.rndis_len;
			(void)hvk_tx_gpa_direct(&g->tx, m.txid,
			    m.want_completion, &r, 1, &m.nvsp,
			    sizeof(m.nvsp));
		}
		publish(g);
	}
}

static void
event(struct guest *g, enum hvk_netvsc_event ev)
{
	struct hvk_netvsc_buffers b = { .recv_gpadl = 1, .recv_len = RECV,
	    .send_gpadl = 2, .send_len = SEND };

	if (ev == HVK_NETVSC_WANT_BUFFERS)
		(void)hvk_netvsc_buffers(&g->nv, &b, 0);
	g->ready = g->ready || ev == HVK_NETVSC_IS_READY;
	g->failed = g->failed || ev == HVK_NETVSC_HAS_FAILED;
	pull(g);
}

static void
guest_control(struct guest *g, const struct hvk_packet *p)
{
	enum hvk_netvsc_event ev;
	struct hvk_netvsc_frame f;
	bool ack;

	if (hvk_netvsc_kind(p) == HVK_NETVSC_KIND_CONTROL) {
		if (hvk_netvsc_input(&g->nv, p, 0, &ev, &ack) == HVK_OK)
			event(g, ev);
		return;
	}
	if (hvk_netvsc_rx_begin(&g->in, p) == HVK_OK)
		while (hvk_netvsc_rx_next(&g->in, &f) == HVK_OK)
			if (hvk_netvsc_rndis(&g->nv, f.frag[0].data, f.len, 0,
			    &ev) == HVK_OK)
				event(g, ev);
	(void)hvk_tx_completion(&g->tx, p->txid, &hvk_netvsc_ack,
	    sizeof(hvk_netvsc_ack));
	publish(g);
}

static void
guest_reap(struct guest *g)
{
	struct hvk_netvsc_sent sent;
	struct hvk_packet p;
	unsigned n = 0;

	while (hvk_ring_rx_next(&g->rx, g->packet, sizeof(g->packet), &p) ==
	    HVK_OK) {
		n++;
		if (hvk_netvsc_kind(&p) == HVK_NETVSC_KIND_TX)
			(void)hvk_netvsc_tx_done(&g->out, &p, &sent);
		else
			guest_control(g, &p);
	}
	if (n > 0)
		(void)hvk_ring_rx_release(&g->rx);
}

static int
guest_up(struct guest *g)
{
	struct hvk_netvsc_config conf = { .mtu = 1500 };
	struct hvk_netvsc_tx_config t;
	void *to_host, *to_guest;
	double end = now_s() + 5;

	ring_memory(&to_host, &to_guest);
	(void)hvk_ring_tx_init(&g->tx, to_host, (uint8_t *)to_host + PAGE,
	    RING, true);
	(void)hvk_ring_rx_init(&g->rx, to_guest, (uint8_t *)to_guest + PAGE,
	    RING, true);
	hvk_ring_rx_mask(&g->rx);
	(void)hvk_netvsc_rx_init(&g->in, recv_buf, RECV, g->frag, 375, 65536);
	hvk_netvsc_init(&g->nv, &conf);
	if (hvk_netvsc_start(&g->nv, 0) != HVK_OK)
		return (-1);
	pull(g);
	while (!g->ready && !g->failed && now_s() < end)
		guest_reap(g);
	if (!g->ready)
		return (-1);
	memset(&t, 0, sizeof(t));
	t.buffer = send_buf;
	t.section_size = g->nv.send_size;
	t.count = g->nv.send_count;
	t.align = g->nv.align;
	t.max_packets = g->nv.max_packets;
	t.max_transfer = g->nv.max_transfer;
	return (hvk_netvsc_tx_init(&g->out, g->slot, SLOTS, &t) == HVK_OK ? 0 :
	    -1);
}

/* What was gathered in a section goes into the ring; false: no room. */
static bool
flush(struct guest *g)
{
	struct hvk_netvsc_sent sent;
	struct hvk_netvsc_out o;

	if (hvk_netvsc_tx_close(&g->out, &o) != HVK_OK)
		return (true);
	if (hvk_tx_inband(&g->tx, o.txid, true, &o.nvsp, sizeof(o.nvsp)) !=
	    HVK_OK) {
		(void)hvk_netvsc_tx_cancel(&g->out, o.txid, &sent);
		return (false);
	}
	g->packets++;
	return (true);
}

static bool
send_frame(struct guest *g, const uint8_t *frame, uint32_t size)
{
	struct hvk_net_meta m = { .has = 0 };
	uint8_t *at;
	int error;

	error = hvk_netvsc_tx_copy(&g->out, &m, size, &at);
	if (error == HVK_AGAIN) {
		if (!flush(g))
			return (false);
		error = hvk_netvsc_tx_copy(&g->out, &m, size, &at);
	}
	if (error != HVK_OK)
		return (false);
	memcpy(at, frame, size);
	return (true);
}

static void
send_all(struct guest *g, const struct load *l, uint8_t *frame)
{
	double start = now_s(), end = start + l->seconds, due = start, now;
	uint64_t stamp, state = 88172645463325252ull;
	unsigned i, round = 0;

	for (;;) {
		guest_reap(g);
		if (l->rate == 0) {
			for (i = 0; i < BURST && send_frame(g, frame,
			    l->size); i++)
				continue;
			(void)flush(g);
			publish(g);
			if ((++round & 255) == 0 && now_s() >= end)
				return;
			continue;
		}
		/* Arrivals at random, each by itself: as a model has them. */
		now = now_s();
		if (now >= end)
			return;
		if (now < due)
			continue;
		/* What was missed while others had the processor is no burst. */
		if (now > due + 0.0005)
			due = now;
		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		due += -__builtin_log(((double)(state >> 11) + 1) /
		    9007199254740993.0) / l->rate;
		stamp = now_ns();
		memcpy(frame + 14, &stamp, sizeof(stamp));
		if (send_frame(g, frame, l->size)) {
			(void)flush(g);
			publish(g);
		}
	}
}

static int
compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x < y ? -1 : x > y);
}

static void
collect(const struct guest *g, uint64_t first, struct result *r)
{

	r->bad = sh->bad;
	r->packets = sh->packets;
	r->signals = g->signals - first;
	r->masked = g->masked;
	r->wakes = sh->wakes;
	r->spurious = sh->spurious;
	r->busy_s = (double)sh->work_ns / 1e9;
	if (sh->waked != 0)
		r->wake_us = (double)sh->wake_ns / 1e3 / (double)sh->waked;
	if (sh->nlatency == 0)
		return;
	qsort(sh->latency, sh->nlatency, sizeof(sh->latency[0]), compare);
	r->p50_us = sh->latency[sh->nlatency / 2] / 1e3;
	r->p99_us = sh->latency[sh->nlatency - 1 - sh->nlatency / 100] / 1e3;
}

int
pair_run(const struct load *l, struct result *r)
{
	static uint8_t frame[65536];
	size_t len = 2 * (PAGE + RING) + RECV + SEND + PAGE;
	struct guest *g;
	uint64_t first;
	double start;
	pid_t pid;
	long lost;
	int error = -1;

	memset(r, 0, sizeof(*r));
	sh = mmap(NULL, sizeof(*sh), PROT_READ | PROT_WRITE, MAP_SHARED |
	    MAP_ANONYMOUS, -1, 0);
	area = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED |
	    MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	g = aligned_alloc(64, (sizeof(*g) + 63) & ~63ul);
	if (sh == MAP_FAILED || area == MAP_FAILED || g == NULL)
		return (-1);
	memset(g, 0, sizeof(*g));
	kick_fd = eventfd(0, EFD_NONBLOCK);
	call_fd = eventfd(0, EFD_NONBLOCK);
	stay_on(0);
	pid = fork();
	if (pid == 0)
		host_main();
	while (pid > 0 && !sh->ready)
		_mm_pause();
	if (pid > 0 && guest_up(g) == 0) {
		memset(frame, 0, l->size);
		frame[0] = 2;
		frame[l->size - 1] = 0x5a;
		sh->go = true;
		first = g->signals;
		foremost(true);
		lost = losses();
		start = now_s();
		send_all(g, l, frame);
		r->seconds = now_s() - start;
		r->whole = losses() == lost;
		foremost(false);
		r->frames = sh->frames;
		sh->stop = true;
		while (!sh->over && waitpid(pid, NULL, WNOHANG) == 0)
			usleep(100);
		collect(g, first, r);
		r->whole = r->whole && sh->whole;
		error = 0;
	}
	sh->stop = true;
	if (pid > 0)
		(void)waitpid(pid, NULL, 0);
	close(kick_fd);
	close(call_fd);
	free(g);
	munmap(area, len);
	munmap(sh, sizeof(*sh));
	return (error);
}
