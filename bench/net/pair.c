/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * The pair that the network benchmark measures.  Each side of a queue belongs
 * to one thread.
 */

#include <sys/mman.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net.h"

#define	RECV_GPADL	1
#define	SEND_GPADL	2

static void
die(const char *what)
{

	fprintf(stderr, "net: %s\n", what);
	exit(1);
}

static void *
shared(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED |
	    MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (p == MAP_FAILED)
		die("out of memory");
	return (p);
}

static void
rings(struct queue *q)
{
	uint8_t *g = q->rings, *h = q->rings + 4096 + RING;

	if (hvk_ring_tx_init(&q->gtx, g, g + 4096, RING, true) != HVK_OK ||
	    hvk_ring_rx_init(&q->grx, h, h + 4096, RING, true) != HVK_OK ||
	    hvk_ring_rx_init(&q->hrx, g, g + 4096, RING, false) != HVK_OK ||
	    hvk_ring_tx_init(&q->htx, h, h + 4096, RING, false) != HVK_OK)
		die("rings");
}

/*
 * Start-up, all in this process.
 */
static void
host_message(struct bench *b, const struct hvk_packet *pkt)
{
	struct hvk_netvsp_request r;

	hvk_netvsp_input(&b->h, true, pkt, &r);
	if (r.action == HVK_NETVSP_MAP_RECV)
		hvk_netvsp_recv_buffer(&b->h, &r, RECV);
	else if (r.action == HVK_NETVSP_MAP_SEND)
		hvk_netvsp_send_buffer(&b->h, &r, SEND);
	else if (r.action == HVK_NETVSP_ADD_CHANNELS)
		hvk_netvsp_add_channels(&b->h, &r, r.count);
	if (r.action == HVK_NETVSP_REPLY)
		(void)hvk_tx_completion(&b->queue[0].htx, r.txid, &r.reply,
		    r.reply_len);
}

static void
host_control(struct bench *b, const struct hvk_packet *pkt)
{
	struct hvk_net_seg seg = { b->page, 4096 };
	struct hvk_nvsp_rndis_done done;
	struct hvk_netvsp_send s;
	uint32_t len, status;

	memcpy(&len, b->page + 4, sizeof(len));
	seg.len = len;
	if (hvk_netvsp_send(&b->h, true, pkt, &s, &status) != HVK_OK ||
	    hvk_netvsp_control(&b->h, &seg, 1) != HVK_OK)
		die("a control message was refused");
	hvk_netvsp_send_done(&done, status);
	(void)hvk_tx_completion(&b->queue[0].htx, pkt->txid, &done,
	    sizeof(done));
}

static void
host_start(struct bench *b)
{
	struct queue *q = &b->queue[0];
	const struct hvk_netvsp_out *o;
	struct hvk_nvsp_message n = { .type = HVK_NVSP_RNDIS };
	struct hvk_xfer_range range;
	struct hvk_packet pkt;

	while (hvk_ring_rx_next(&q->hrx, q->buf, sizeof(q->buf), &pkt) ==
	    HVK_OK) {
		if (hvk_netvsp_kind(&pkt) == HVK_NETVSP_KIND_MESSAGE)
			host_message(b, &pkt);
		else if (hvk_netvsp_kind(&pkt) == HVK_NETVSP_KIND_CONTROL)
			host_control(b, &pkt);
	}
	while ((o = hvk_netvsp_peek(&b->h)) != NULL) {
		memcpy(b->recv, o->bytes, o->len);
		range.len = o->len;
		range.offset = 0;
		(void)hvk_tx_xfer_pages(&q->htx, 1, false, HVK_NVSP_RECV_ID,
		    &range, 1, &n, sizeof(n));
		hvk_netvsp_pop(&b->h);
	}
	(void)hvk_ring_rx_release(&q->hrx);
	(void)hvk_ring_tx_publish(&q->htx);
}

static void
guest_event(struct bench *b, enum hvk_netvsc_event event)
{
	struct hvk_netvsc_buffers buffers = { RECV_GPADL, RECV, SEND_GPADL,
	    SEND };

	if (event == HVK_NETVSC_WANT_BUFFERS)
		(void)hvk_netvsc_buffers(&b->g, &buffers, 0);
}

static void
guest_start(struct bench *b)
{
	struct queue *q = &b->queue[0];
	struct hvk_netvsc_message m;
	enum hvk_netvsc_event event;
	struct hvk_page_buf page = { 0, 0, 0 };
	struct hvk_packet pkt;
	uint32_t len;
	bool ack;

	while (hvk_ring_rx_next(&q->grx, q->buf, sizeof(q->buf), &pkt) ==
	    HVK_OK) {
		if (hvk_netvsc_kind(&pkt) == HVK_NETVSC_KIND_RX) {
			memcpy(&len, b->recv + 4, sizeof(len));
			(void)hvk_netvsc_rndis(&b->g, b->recv, len, 0, &event);
		} else
			(void)hvk_netvsc_input(&b->g, &pkt, 0, &event, &ack);
		guest_event(b, event);
	}
	while (hvk_netvsc_pull(&b->g, &m)) {
		if (m.rndis_len == 0) {
			(void)hvk_tx_inband(&q->gtx, m.txid, m.want_completion,
			    &m.nvsp, sizeof(m.nvsp));
			continue;
		}
		memcpy(b->page, m.rndis, m.rndis_len);
		page.len = m.rndis_len;
		(void)hvk_tx_page_bufs(&q->gtx, m.txid, true, &page, 1,
		    &m.nvsp, sizeof(m.nvsp));
	}
	(void)hvk_ring_rx_release(&q->grx);
	(void)hvk_ring_tx_publish(&q->gtx);
}

static void
halves(struct bench *b, uint32_t i)
{
	struct queue *q = &b->queue[i];
	struct hvk_netvsc_tx_config c = { .buffer = b->send,
	    .section_size = b->g.send_size, .align = b->g.align,
	    .max_packets = b->g.max_packets,
	    .max_transfer = b->g.max_transfer };
	uint32_t n = b->h.slots / b->nqueues;

	if (n > HVK_COUNT(q->slots))
		n = HVK_COUNT(q->slots);
	c.count = b->g.send_count / b->nqueues;
	c.first = i * c.count;
	if (hvk_netvsc_tx_init(&q->tx, q->sends, SENDS, &c) != HVK_OK ||
	    hvk_netvsc_rx_init(&q->rx, b->recv, RECV, q->frags,
	    HVK_NVSP_RANGES_RSC, FRAME_MAX) != HVK_OK ||
	    hvk_netvsp_queue_init(&q->q, &b->h, i * n, q->slots, n,
	    q->packets, PACKETS) != HVK_OK)
		die("a queue");
	q->mbufs = calloc(MBUFS, FRAME_MAX);
	if (q->mbufs == NULL)
		die("out of memory");
	memset(q->mbufs, 0x5a, MBUFS * FRAME_MAX);
}

struct bench *
bench_make(uint32_t nqueues, bool polling)
{
	struct hvk_netvsp_config host = { .mac = { 0, 0x15, 0x5d, 1, 2, 3 },
	    .link = true, .max_subchannels = QUEUES - 1,
	    .hash = HVK_RSS_TOEPLITZ | HVK_RSS_IPV4 | HVK_RSS_TCP_IPV4 };
	struct hvk_netvsc_config guest = { .subchannels = nqueues - 1 };
	struct bench *b = calloc(1, sizeof(*b));
	uint32_t i;

	if (b == NULL)
		die("out of memory");
	b->nqueues = nqueues;
	b->recv = shared(RECV);
	b->send = shared(SEND);
	b->page = shared(4096);
	for (i = 0; i < nqueues; i++) {
		b->queue[i].rings = shared(2 * (4096 + RING));
		rings(&b->queue[i]);
	}
	hvk_netvsc_init(&b->g, &guest);
	if (hvk_netvsp_init(&b->h, &host) != HVK_OK ||
	    hvk_netvsc_start(&b->g, 0) != HVK_OK)
		die("start");
	for (i = 0; i < 100 && !hvk_netvsc_ready(&b->g); i++) {
		guest_start(b);
		host_start(b);
	}
	if (!hvk_netvsc_ready(&b->g) || b->g.subchannels != nqueues - 1)
		die("the two sides did not agree");
	for (i = 0; i < nqueues; i++) {
		halves(b, i);
		if (polling) {
			hvk_ring_rx_mask(&b->queue[i].grx);
			hvk_ring_rx_mask(&b->queue[i].hrx);
		}
	}
	return (b);
}

/* A frame to send, or a place for one that came: all of them in turn. */
static inline uint8_t *
mbuf(struct queue *q)
{

	return (q->mbufs + (size_t)(q->next++ % MBUFS) * FRAME_MAX);
}

static inline void
publish(struct hvk_ring_tx *tx, struct tally *t)
{
	uint32_t before = tx->published;

	if (hvk_ring_tx_publish(tx))
		t->signals++;
	t->publications += tx->published != before;
}

/*
 * The guest.
 */
static bool
flush(struct queue *q)
{

	if (!q->waits && hvk_netvsc_tx_close(&q->tx, &q->out) != HVK_OK)
		return (true);
	q->waits = hvk_tx_inband(&q->gtx, q->out.txid, true, &q->out.nvsp,
	    sizeof(q->out.nvsp)) != HVK_OK;
	return (!q->waits);
}

uint32_t
bench_guest_send(struct bench *b, uint32_t i, uint32_t len)
{
	static const struct hvk_net_meta none;
	struct queue *q = &b->queue[i];
	uint32_t n;
	uint8_t *at;
	int error;

	if (q->waits && !flush(q))
		return (0);
	for (n = 0; n < BURST; n++) {
		error = hvk_netvsc_tx_copy(&q->tx, &none, len, &at);
		if (error == HVK_AGAIN) {
			if (!flush(q))
				break;
			error = hvk_netvsc_tx_copy(&q->tx, &none, len, &at);
		}
		if (error != HVK_OK)
			break;
		memcpy(at, mbuf(q), len);
	}
	(void)flush(q);
	if (n != 0)
		q->guest.bursts++;
	publish(&q->gtx, &q->guest);
	return (n);
}

static void
guest_frames(struct queue *q, const struct hvk_packet *pkt)
{
	struct hvk_netvsc_frame f;
	int error;

	if (hvk_netvsc_rx_begin(&q->rx, pkt) != HVK_OK)
		die("a packet was refused");
	while ((error = hvk_netvsc_rx_next(&q->rx, &f)) == HVK_OK) {
		memcpy(mbuf(q), f.frag[0].data, f.frag[0].len);
		q->guest.frames++;
	}
	if (error != HVK_AGAIN || hvk_tx_completion(&q->gtx, pkt->txid,
	    &hvk_netvsc_ack, sizeof(hvk_netvsc_ack)) != HVK_OK)
		die("a frame was refused");
}

void
bench_guest_poll(struct bench *b, uint32_t i)
{
	struct queue *q = &b->queue[i];
	struct hvk_netvsc_sent sent;
	struct hvk_packet pkt;
	uint32_t n;

	for (n = 0; n < BURST && hvk_ring_tx_room(&q->gtx) > 4096 &&
	    hvk_ring_rx_next(&q->grx, q->buf, sizeof(q->buf), &pkt) == HVK_OK;
	    n++) {
		if (hvk_netvsc_kind(&pkt) == HVK_NETVSC_KIND_RX)
			guest_frames(q, &pkt);
		else if (hvk_netvsc_tx_done(&q->tx, &pkt, &sent) != HVK_OK ||
		    !sent.ok)
			die("a frame was lost");
	}
	(void)hvk_ring_rx_release(&q->grx);
	publish(&q->gtx, &q->guest);
}

/*
 * The host.
 */
uint32_t
bench_host_send(struct bench *b, uint32_t i, uint32_t len)
{
	static const struct hvk_net_meta none;
	struct queue *q = &b->queue[i];
	struct hvk_nvsp_message nvsp;
	uint32_t header, n, nranges, offset;
	uint64_t txid;

	if (hvk_ring_tx_room(&q->htx) < 4096)
		return (0);
	for (n = 0; n < BURST; n++) {
		if (hvk_netvsp_queue_slot(&q->q, &offset) != HVK_OK)
			break;
		header = hvk_rndis_encode(b->recv + offset, &none, len, 1);
		memcpy(b->recv + offset + header, mbuf(q), len);
		(void)hvk_netvsp_queue_put(&q->q, header + len, false);
	}
	if (hvk_netvsp_queue_close(&q->q, &txid, &nranges, &nvsp) != HVK_OK)
		return (0);
	if (hvk_tx_xfer_pages(&q->htx, txid, true, HVK_NVSP_RECV_ID,
	    q->q.range, nranges, &nvsp, sizeof(nvsp)) != HVK_OK)
		die("no room in a ring that had it");
	q->host.bursts++;
	publish(&q->htx, &q->host);
	return (n);
}

static void
host_frames(struct bench *b, struct queue *q, const struct hvk_packet *pkt)
{
	struct hvk_nvsp_rndis_done done;
	struct hvk_netvsp_send s;
	struct hvk_rndis_frame f;
	struct hvk_rndis_walk w;
	struct hvk_net_seg seg;
	uint32_t status;
	int error;

	if (hvk_netvsp_send(&b->h, q == &b->queue[0], pkt, &s, &status) !=
	    HVK_OK)
		die("a send was refused");
	seg.base = b->send + s.offset;
	seg.len = s.len;
	hvk_netvsp_walk(&b->h, &w, &seg, 1);
	while ((error = hvk_rndis_walk_next(&w, &f)) == HVK_OK) {
		memcpy(mbuf(q), seg.base + f.offset, f.len);
		q->host.frames++;
	}
	hvk_netvsp_send_done(&done, status);
	if (error != HVK_AGAIN || hvk_tx_completion(&q->htx, pkt->txid, &done,
	    sizeof(done)) != HVK_OK)
		die("a send made no sense");
}

void
bench_host_poll(struct bench *b, uint32_t i)
{
	struct queue *q = &b->queue[i];
	struct hvk_packet pkt;
	uint32_t n;

	for (n = 0; n < BURST && hvk_ring_tx_room(&q->htx) > 4096 &&
	    hvk_ring_rx_next(&q->hrx, q->buf, sizeof(q->buf), &pkt) == HVK_OK;
	    n++) {
		if (hvk_netvsp_kind(&pkt) == HVK_NETVSP_KIND_DATA)
			host_frames(b, q, &pkt);
		else if (hvk_netvsp_queue_done(&q->q, &pkt) != HVK_OK)
			die("an acknowledgement for nothing");
	}
	(void)hvk_ring_rx_release(&q->hrx);
	publish(&q->htx, &q->host);
}
