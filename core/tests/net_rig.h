/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * Both ends of the network protocol in one process, over real rings: the
 * guest's machines and the provider's, with as many channels as they agree on.
 * Frames are made from a number, so that each end can tell what the other sent.
 */

#ifndef NET_RIG_H
#define NET_RIG_H

#include <stdlib.h>
#include <string.h>

#include <atf-c.h>

#include <hvk/guest/netvsc.h>
#include <hvk/host/netvsp.h>
#include <hvk/packet.h>
#include <hvk/ring.h>

#define	RIG_CHANNELS	4
#define	RIG_RING	(256 * 1024)
#define	RIG_RECV	(4 << 20)
#define	RIG_SEND	(512 << 10)
#define	RIG_SENDS	128
#define	RIG_PACKETS	256
#define	RIG_BUFS	16		/* of direct sends, for each channel */
#define	RIG_FRAME	(72 << 10)
#define	RIG_RECV_GPADL	0xe1e10
#define	RIG_SEND_GPADL	0xe1e11

struct rig_buf {
	bool		busy;
	uint32_t	at;		/* in the rig's memory */
};

struct rig_chan {
	uint8_t			*rings;
	struct hvk_ring_tx	gtx, htx;
	struct hvk_ring_rx	grx, hrx;
	struct hvk_netvsc_tx	tx;
	struct hvk_netvsc_send	sends[RIG_SENDS];
	struct hvk_netvsc_rx	rx;
	struct hvk_netvsc_frag	frags[HVK_NVSP_RANGES_RSC];
	struct hvk_netvsp_queue	q;
	struct hvk_netvsp_slot	*slots;
	struct hvk_netvsp_sent	packets[RIG_PACKETS];
	struct rig_buf		bufs[RIG_BUFS];
	struct hvk_netvsc_out	out;	/* closed, but the ring was full */
	bool			out_waits;
	bool			open;
	/* Frames sent and seen, each way. */
	uint64_t		gsent, hseen, hsent, gseen;
	uint64_t		direct, coalesced, acks, publications;
};

struct rig {
	struct hvk_netvsc	g;
	struct hvk_netvsp	h;
	struct rig_chan		ch[RIG_CHANNELS];
	uint32_t		nchan;
	uint8_t			*recv, *send, *mem;
	uint32_t		mem_len;
	uint64_t		now;
	uint32_t		events[16];	/* how often each came */
	uint64_t		seed;
	uint32_t		max_len;	/* of a frame of the soak */
	bool			rsc;
	bool			mute;		/* the host does nothing */
	bool			spoilt;		/* somebody writes into the
						   buffers meanwhile */
	uint64_t		refused;	/* then */
};

static inline uint64_t
rig_next(uint64_t *x)
{
	uint64_t z = (*x += 0x9e3779b97f4a7c15ull);

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return (z ^ z >> 31);
}

/* Frame n of a channel: its information and its bytes. */
static inline uint32_t
rig_frame(const struct rig *r, uint32_t ch, bool from_guest, uint64_t n,
    uint8_t *bytes, struct hvk_net_meta *meta)
{
	uint64_t x = r->seed ^ n * 0x2545f4914f6cdd1dull ^ ch << 8 ^
	    (uint64_t)from_guest << 40, v;
	uint32_t len, i, min = 14;

	v = rig_next(&x);
	len = v % 4 == 0 ? min + (uint32_t)(v >> 8) % 114 : v % 4 == 1 ?
	    r->max_len - (uint32_t)(v >> 8) % 8 :
	    min + (uint32_t)(v >> 8) % (r->max_len - min + 1);
	memset(meta, 0, sizeof(*meta));
	v = rig_next(&x);
	meta->has = (uint32_t)v & (from_guest ? HVK_NET_CSUM | HVK_NET_LSO |
	    HVK_NET_VLAN | HVK_NET_HASH : HVK_NET_CSUM | HVK_NET_VLAN |
	    HVK_NET_HASH | HVK_NET_HASH_INFO);
	if ((meta->has & HVK_NET_CSUM) != 0)
		meta->csum = (uint32_t)rig_next(&x);
	if ((meta->has & HVK_NET_LSO) != 0)
		meta->lso = (uint32_t)rig_next(&x);
	if ((meta->has & HVK_NET_VLAN) != 0)
		meta->vlan = (uint16_t)rig_next(&x);
	if ((meta->has & HVK_NET_HASH) != 0)
		meta->hash = (uint32_t)rig_next(&x);
	if ((meta->has & HVK_NET_HASH_INFO) != 0)
		meta->hash_info = (uint32_t)rig_next(&x);
	for (i = 0; i < len; i += 8) {
		v = rig_next(&x);
		memcpy(bytes + i, &v, len - i < 8 ? len - i : 8);
	}
	return (len);
}

static inline void
rig_same_meta(const struct hvk_net_meta *a, const struct hvk_net_meta *b,
    uint32_t ignore)
{
	ATF_REQUIRE_EQ(a->has & ~ignore, b->has & ~ignore);
	if ((a->has & HVK_NET_CSUM) != 0)
		ATF_REQUIRE_EQ(a->csum, b->csum);
	if ((a->has & HVK_NET_LSO) != 0)
		ATF_REQUIRE_EQ(a->lso, b->lso);
	if ((a->has & HVK_NET_VLAN) != 0)
		ATF_REQUIRE_EQ(a->vlan, b->vlan);
	if ((a->has & HVK_NET_HASH) != 0)
		ATF_REQUIRE_EQ(a->hash, b->hash);
	if ((a->has & HVK_NET_HASH_INFO) != 0)
		ATF_REQUIRE_EQ(a->hash_info, b->hash_info);
}

static inline void
rig_chan_rings(struct rig_chan *c)
{
	uint8_t *g, *h;

	memset(c->rings, 0, 2 * (4096 + RIG_RING));
	g = c->rings;
	h = c->rings + 4096 + RIG_RING;
	ATF_REQUIRE_EQ(HVK_OK, hvk_ring_tx_init(&c->gtx, g, g + 4096, RIG_RING,
	    true));
	ATF_REQUIRE_EQ(HVK_OK, hvk_ring_rx_init(&c->grx, h, h + 4096, RIG_RING,
	    true));
	ATF_REQUIRE_EQ(HVK_OK, hvk_ring_rx_init(&c->hrx, g, g + 4096, RIG_RING,
	    false));
	ATF_REQUIRE_EQ(HVK_OK, hvk_ring_tx_init(&c->htx, h, h + 4096, RIG_RING,
	    false));
	c->out_waits = false;
	c->gsent = c->hseen = c->hsent = c->gseen = 0;
}

static inline void
rig_make(struct rig *r, const struct hvk_netvsc_config *guest,
    const struct hvk_netvsp_config *host)
{
	struct rig_chan *c;
	uint32_t i, k;

	memset(r, 0, sizeof(*r));
	r->mem_len = 4096 + RIG_CHANNELS * RIG_BUFS * RIG_FRAME;
	r->recv = calloc(1, RIG_RECV);
	r->send = calloc(1, RIG_SEND);
	r->mem = aligned_alloc(4096, r->mem_len);
	ATF_REQUIRE(r->recv != NULL && r->send != NULL && r->mem != NULL);
	memset(r->mem, 0, r->mem_len);
	for (i = 0; i < RIG_CHANNELS; i++) {
		c = &r->ch[i];
		c->rings = aligned_alloc(4096, 2 * (4096 + RIG_RING));
		c->slots = calloc(RIG_RECV / 1024, sizeof(*c->slots));
		ATF_REQUIRE(c->rings != NULL && c->slots != NULL);
		rig_chan_rings(c);
		for (k = 0; k < RIG_BUFS; k++)
			c->bufs[k].at = 4096 + (i * RIG_BUFS + k) * RIG_FRAME;
	}
	r->nchan = 1;
	r->seed = 1;
	hvk_netvsc_init(&r->g, guest);
	ATF_REQUIRE_EQ(HVK_OK, hvk_netvsp_init(&r->h, host));
}

static inline void
rig_free(struct rig *r)
{
	uint32_t i;

	for (i = 0; i < RIG_CHANNELS; i++) {
		free(r->ch[i].rings);
		free(r->ch[i].slots);
	}
	free(r->recv);
	free(r->send);
	free(r->mem);
}

/* The host's queue of a channel: equal parts of the slots. */
static inline void
rig_queue(struct rig *r, uint32_t i)
{
	uint32_t n = r->h.slots / RIG_CHANNELS;

	ATF_REQUIRE_EQ(HVK_OK, hvk_netvsp_queue_init(&r->ch[i].q, &r->h,
	    i * n, r->ch[i].slots, n, r->ch[i].packets, RIG_PACKETS));
	r->ch[i].open = true;
}

static inline void
rig_receive(struct rig *r, uint32_t i)
{
	ATF_REQUIRE_EQ(HVK_OK, hvk_netvsc_rx_init(&r->ch[i].rx, r->recv,
	    RIG_RECV, r->ch[i].frags, HVK_NVSP_RANGES_RSC, RIG_FRAME));
}

/* The guest's halves of a channel; the primary receives already. */
static inline void
rig_halves(struct rig *r, uint32_t i)
{
	struct hvk_netvsc_tx_config c = { .buffer = r->send,
	    .section_size = r->g.send_size, .align = r->g.align,
	    .max_packets = r->g.max_packets,
	    .max_transfer = r->g.max_transfer };

	c.count = r->g.send_count / RIG_CHANNELS;
	c.first = i * c.count;
	ATF_REQUIRE_EQ(HVK_OK, hvk_netvsc_tx_init(&r->ch[i].tx,
	    r->ch[i].sends, RIG_SENDS, &c));
	if (i != 0)
		rig_receive(r, i);
}

/*
 * The host.
 */
static inline void
rig_host_out(struct rig *r)
{
	const struct hvk_netvsp_out *out;
	struct rig_chan *c = &r->ch[0];
	struct hvk_nvsp_message n;
	uint32_t nranges, offset;
	uint64_t txid;

	while ((out = hvk_netvsp_peek(&r->h)) != NULL) {
		if (!out->rndis) {
			ATF_REQUIRE_EQ(HVK_OK, hvk_tx_inband(&c->htx,
			    out->txid, false, out->bytes, out->len));
		} else {
			if (hvk_netvsp_queue_slot(&c->q, &offset) != HVK_OK)
				break;
			memcpy(r->recv + offset, out->bytes, out->len);
			ATF_REQUIRE_EQ(HVK_OK, hvk_netvsp_queue_put(&c->q,
			    out->len, true));
			ATF_REQUIRE_EQ(HVK_OK, hvk_netvsp_queue_close(&c->q,
			    &txid, &nranges, &n));
			ATF_REQUIRE_EQ(1, nranges);
			ATF_REQUIRE_EQ(HVK_OK, hvk_tx_xfer_pages(&c->htx, txid,
			    true, HVK_NVSP_RECV_ID, c->q.range, nranges, &n,
			    sizeof(n)));
		}
		hvk_netvsp_pop(&r->h);
	}
}

static inline void
rig_host_message(struct rig *r, struct rig_chan *c,
    const struct hvk_packet *pkt)
{
	struct hvk_netvsp_request q;

	hvk_netvsp_input(&r->h, c == &r->ch[0], pkt, &q);
	switch (q.action) {
	case HVK_NETVSP_MAP_RECV:
		hvk_netvsp_recv_buffer(&r->h, &q, q.gpadl == RIG_RECV_GPADL ?
		    RIG_RECV : 0);
		if (r->h.slots != 0)
			rig_queue(r, 0);
		break;
	case HVK_NETVSP_MAP_SEND:
		hvk_netvsp_send_buffer(&r->h, &q, q.gpadl == RIG_SEND_GPADL ?
		    RIG_SEND : 0);
		break;
	case HVK_NETVSP_ADD_CHANNELS:
		hvk_netvsp_add_channels(&r->h, &q, q.count);
		break;
	case HVK_NETVSP_UNMAP_RECV:
	case HVK_NETVSP_UNMAP_SEND:
	case HVK_NETVSP_PATH:
		hvk_netvsp_answer(&r->h, &q);
		break;
	default:
		break;
	}
	if (q.action == HVK_NETVSP_REPLY)
		ATF_REQUIRE_EQ(HVK_OK, hvk_tx_completion(&c->htx, q.txid,
		    &q.reply, q.reply_len));
}

/* The memory of an RNDIS packet of the guest. */
static inline uint32_t
rig_host_segs(struct rig *r, const struct hvk_packet *pkt,
    const struct hvk_netvsp_send *s, struct hvk_net_seg *seg, uint32_t max)
{
	struct hvk_gpa_view view;
	uint32_t cursor = 0, i, left, n = 0, off;

	if (s->in_section) {
		seg[n].base = r->send + s->offset;
		seg[n++].len = s->len;
	}
	while (pkt->type == HVK_PKT_GPA_DIRECT &&
	    hvk_packet_gpa_next(pkt, &cursor, &view) == HVK_OK) {
		left = view.len;
		off = view.offset;
		for (i = 0; i < view.npfn && n < max; i++, off = 0) {
			ATF_REQUIRE(hvk_gpa_view_pfn(&view, i) <
			    r->mem_len / 4096);
			seg[n].base = r->mem + hvk_gpa_view_pfn(&view, i) *
			    4096 + off;
			seg[n].len = left < 4096 - off ? left : 4096 - off;
			left -= seg[n++].len;
		}
	}
	return (n);
}

static inline void
rig_host_frames(struct rig *r, uint32_t ch, const struct hvk_net_seg *seg,
    uint32_t nseg)
{
	static uint8_t want[RIG_FRAME], got[RIG_FRAME];
	struct rig_chan *c = &r->ch[ch];
	struct hvk_rndis_frame f;
	struct hvk_rndis_walk w;
	struct hvk_net_meta meta;
	uint32_t len;
	int error;

	hvk_netvsp_walk(&r->h, &w, seg, nseg);
	while ((error = hvk_rndis_walk_next(&w, &f)) == HVK_OK) {
		if (r->spoilt) {
			ATF_REQUIRE(f.len <= sizeof(got));
			ATF_REQUIRE(hvk_net_gather(seg, nseg, f.offset, got,
			    f.len));
			(void)hvk_net_check(&f.meta, got, f.len, f.len,
			    r->h.mtu, NULL);
			continue;
		}
		len = rig_frame(r, ch, true, c->hseen++, want, &meta);
		ATF_REQUIRE_EQ(len, f.len);
		rig_same_meta(&meta, &f.meta, 0);
		ATF_REQUIRE(hvk_net_gather(seg, nseg, f.offset, got, len));
		ATF_REQUIRE(memcmp(want, got, len) == 0);
	}
	r->refused += error == HVK_REJECT;
	ATF_REQUIRE(r->spoilt || error == HVK_AGAIN);
}

static inline void
rig_host_rndis(struct rig *r, uint32_t ch, const struct hvk_packet *pkt)
{
	struct rig_chan *c = &r->ch[ch];
	struct hvk_nvsp_rndis_done done;
	struct hvk_netvsp_send s;
	struct hvk_net_seg seg[40];
	uint32_t n, status;

	if (hvk_netvsp_send(&r->h, ch == 0, pkt, &s, &status) == HVK_OK) {
		n = rig_host_segs(r, pkt, &s, seg, 40);
		if (!s.control)
			rig_host_frames(r, ch, seg, n);
		else if (hvk_netvsp_control(&r->h, seg, n) != HVK_OK)
			status = HVK_NVSP_STATUS_BAD_RNDIS;
	}
	hvk_netvsp_send_done(&done, status);
	if (pkt->want_completion)
		ATF_REQUIRE_EQ(HVK_OK, hvk_tx_completion(&c->htx, pkt->txid,
		    &done, sizeof(done)));
}

static inline void
rig_host(struct rig *r, uint32_t ch)
{
	static uint64_t buf[8192];
	struct rig_chan *c = &r->ch[ch];
	struct hvk_packet pkt;

	while (!r->mute && hvk_ring_tx_room(&c->htx) > 8192 &&
	    hvk_ring_rx_next(&c->hrx, buf, sizeof(buf), &pkt) == HVK_OK) {
		switch (hvk_netvsp_kind(&pkt)) {
		case HVK_NETVSP_KIND_MESSAGE:
			rig_host_message(r, c, &pkt);
			break;
		case HVK_NETVSP_KIND_DATA:
		case HVK_NETVSP_KIND_CONTROL:
			rig_host_rndis(r, ch, &pkt);
			break;
		case HVK_NETVSP_KIND_DONE:
			ATF_REQUIRE_EQ(HVK_OK, hvk_netvsp_queue_done(&c->q,
			    &pkt));
			break;
		default:
			atf_tc_fail("a packet of type %u", pkt.type);
		}
	}
	if (ch == 0 && !r->mute)
		rig_host_out(r);
	(void)hvk_ring_rx_release(&c->hrx);
	if (hvk_ring_tx_publish(&c->htx))
		c->publications++;
}

/* Send up to `max' frames to the guest in one packet; how many went. */
static inline uint32_t
rig_host_send(struct rig *r, uint32_t ch, uint32_t max)
{
	static uint8_t bytes[RIG_FRAME];
	struct rig_chan *c = &r->ch[ch];
	struct hvk_net_meta meta, m;
	struct hvk_nvsp_message n;
	uint32_t at, header, len, nranges, offset, piece, pieces, room;
	uint32_t sent = 0;
	uint64_t txid;

	if (hvk_ring_tx_room(&c->htx) < 24 + 8 * 600 + 64)
		return (0);
	while (sent < max) {
		len = rig_frame(r, ch, false, c->hsent, bytes, &meta);
		room = hvk_netvsp_slot_room(&c->q, &meta);
		m = meta;
		pieces = 1;
		if (len > room) {
			ATF_REQUIRE(r->rsc);
			m.has |= HVK_NET_PACKET_ID;
			m.packet_id = (uint16_t)c->hsent;
			room -= 16;
			pieces = (len + room - 1) / room;
		}
		if (c->q.slots_free < pieces + 1 ||
		    c->q.nranges + pieces > c->q.max_ranges)
			break;
		for (at = 0; at < len; at += piece) {
			if (hvk_netvsp_queue_slot(&c->q, &offset) != HVK_OK)
				break;
			room = hvk_netvsp_slot_room(&c->q, &m);
			piece = len - at < room ? len - at : room;
			if (pieces > 1)
				m.packet_flags = HVK_PACKET_ID_SUB |
				    (at == 0 ? HVK_PACKET_ID_FIRST : 0) |
				    (at + piece == len ? HVK_PACKET_ID_LAST :
				    0);
			header = hvk_rndis_encode(r->recv + offset, &m, piece,
			    1);
			memcpy(r->recv + offset + header, bytes + at, piece);
			ATF_REQUIRE_EQ(HVK_OK, hvk_netvsp_queue_put(&c->q,
			    header + piece, false));
			if (pieces > 1)
				m.has = HVK_NET_PACKET_ID;
		}
		if (at < len) {		/* no packet entry is free */
			ATF_REQUIRE_EQ(0, at);
			break;
		}
		if (pieces > 1)
			c->coalesced++;
		c->hsent++;
		sent++;
	}
	if (hvk_netvsp_queue_close(&c->q, &txid, &nranges, &n) != HVK_OK)
		return (0);
	ATF_REQUIRE_EQ(HVK_OK, hvk_tx_xfer_pages(&c->htx, txid, true,
	    HVK_NVSP_RECV_ID, c->q.range, nranges, &n, sizeof(n)));
	return (sent);
}

/*
 * The guest.
 */
static inline void
rig_event(struct rig *r, enum hvk_netvsc_event event)
{
	struct hvk_netvsc_buffers b = { RIG_RECV_GPADL, RIG_RECV,
	    RIG_SEND_GPADL, RIG_SEND };

	r->events[event]++;
	if (event == HVK_NETVSC_WANT_BUFFERS) {
		rig_receive(r, 0);
		ATF_REQUIRE_EQ(HVK_OK, hvk_netvsc_buffers(&r->g, &b, r->now));
	}
}

static inline void
rig_guest_pull(struct rig *r)
{
	struct rig_chan *c = &r->ch[0];
	struct hvk_netvsc_message m;
	struct hvk_page_buf page;

	while (hvk_ring_tx_room(&c->gtx) > 256 && hvk_netvsc_pull(&r->g, &m)) {
		if (m.rndis_len == 0) {
			ATF_REQUIRE_EQ(HVK_OK, hvk_tx_inband(&c->gtx, m.txid,
			    m.want_completion, &m.nvsp, sizeof(m.nvsp)));
			continue;
		}
		memcpy(r->mem, m.rndis, m.rndis_len);
		page.pfn = 0;
		page.offset = 0;
		page.len = m.rndis_len;
		ATF_REQUIRE_EQ(HVK_OK, hvk_tx_page_bufs(&c->gtx, m.txid,
		    m.want_completion, &page, 1, &m.nvsp, sizeof(m.nvsp)));
	}
}

static inline void
rig_guest_frame(struct rig *r, uint32_t ch, const struct hvk_netvsc_frame *f)
{
	static uint8_t want[RIG_FRAME];
	struct rig_chan *c = &r->ch[ch];
	enum hvk_netvsc_event event;
	struct hvk_net_meta meta;
	uint32_t at = 0, i, len;

	if (f->kind == HVK_NETVSC_CONTROL_MESSAGE) {
		if (hvk_netvsc_rndis(&r->g, f->frag[0].data, f->len, r->now,
		    &event) != HVK_OK)
			ATF_REQUIRE(r->spoilt);
		rig_event(r, event);
		return;
	}
	if (r->spoilt) {
		for (i = 0; i < f->nfrags; i++) {
			ATF_REQUIRE(f->frag[i].data >= r->recv &&
			    f->frag[i].data + f->frag[i].len <=
			    r->recv + RIG_RECV);
			memcpy(want, f->frag[i].data, f->frag[i].len);
		}
		return;
	}
	len = rig_frame(r, ch, false, c->gseen++, want, &meta);
	ATF_REQUIRE_EQ(len, f->len);
	rig_same_meta(&meta, &f->meta, HVK_NET_PACKET_ID);
	for (i = 0; i < f->nfrags; i++) {
		ATF_REQUIRE(at + f->frag[i].len <= len);
		ATF_REQUIRE(memcmp(want + at, f->frag[i].data,
		    f->frag[i].len) == 0);
		at += f->frag[i].len;
	}
	ATF_REQUIRE_EQ(len, at);
}

static inline void
rig_guest_sent(const struct hvk_netvsc_sent *sent)
{
	struct rig_buf *b = sent->cookie;

	if (b != NULL) {
		ATF_REQUIRE(b->busy);
		b->busy = false;
	}
}

static inline void
rig_guest(struct rig *r, uint32_t ch)
{
	static uint64_t buf[8192];
	struct rig_chan *c = &r->ch[ch];
	struct hvk_netvsc_frame f;
	struct hvk_netvsc_sent sent;
	enum hvk_netvsc_event event;
	struct hvk_packet pkt;
	bool ack;
	int error;

	while (hvk_ring_tx_room(&c->gtx) > 1024 &&
	    hvk_ring_rx_next(&c->grx, buf, sizeof(buf), &pkt) == HVK_OK) {
		switch (hvk_netvsc_kind(&pkt)) {
		case HVK_NETVSC_KIND_RX:
			ATF_REQUIRE_EQ(HVK_OK, hvk_netvsc_rx_begin(&c->rx,
			    &pkt));
			while ((error = hvk_netvsc_rx_next(&c->rx, &f)) !=
			    HVK_AGAIN) {
				if (error == HVK_OK)
					rig_guest_frame(r, ch, &f);
				else
					r->refused++;
				ATF_REQUIRE(r->spoilt || error == HVK_OK);
			}
			ATF_REQUIRE_EQ(HVK_OK, hvk_tx_completion(&c->gtx,
			    pkt.txid, &hvk_netvsc_ack,
			    sizeof(hvk_netvsc_ack)));
			c->acks++;
			break;
		case HVK_NETVSC_KIND_TX:
			ATF_REQUIRE_EQ(HVK_OK, hvk_netvsc_tx_done(&c->tx, &pkt,
			    &sent));
			ATF_REQUIRE(sent.ok);
			rig_guest_sent(&sent);
			break;
		case HVK_NETVSC_KIND_CONTROL:
			ATF_REQUIRE_EQ(HVK_OK, hvk_netvsc_input(&r->g, &pkt,
			    r->now, &event, &ack));
			rig_event(r, event);
			break;
		default:
			atf_tc_fail("a packet of type %u", pkt.type);
		}
	}
	(void)hvk_ring_rx_release(&c->grx);
	if (ch == 0)
		rig_guest_pull(r);
	(void)hvk_ring_tx_publish(&c->gtx);
}

/* Send what is in the open section; false: the ring is full, it waits. */
static inline bool
rig_guest_flush(struct rig_chan *c)
{
	if (!c->out_waits) {
		if (hvk_netvsc_tx_close(&c->tx, &c->out) != HVK_OK)
			return (true);
		c->out_waits = true;
	}
	if (hvk_tx_inband(&c->gtx, c->out.txid, true, &c->out.nvsp,
	    sizeof(c->out.nvsp)) != HVK_OK)
		return (false);
	c->out_waits = false;
	return (true);
}

static inline bool
rig_guest_direct(struct rig *r, struct rig_chan *c, const uint8_t *bytes,
    uint32_t len, const struct hvk_net_meta *meta)
{
	struct hvk_page_buf page[32];
	struct hvk_netvsc_sent sent;
	struct hvk_netvsc_out out;
	struct rig_buf *b = NULL;
	uint32_t at, end, i, n = 0;

	for (i = 0; i < RIG_BUFS; i++)
		if (!c->bufs[i].busy)
			b = &c->bufs[i];
	if (b == NULL || !rig_guest_flush(c) ||
	    hvk_netvsc_tx_direct(&c->tx, b, len, &out) != HVK_OK)
		return (false);
	b->busy = true;
	at = b->at + 100;	/* nothing is aligned to anything */
	end = at + hvk_rndis_encode(r->mem + at, meta, len, 1);
	memcpy(r->mem + end, bytes, len);
	end += len;
	for (; at < end; at += page[n++].len) {
		page[n].pfn = at / 4096;
		page[n].offset = at % 4096;
		page[n].len = 4096 - at % 4096;
		if (page[n].len > end - at)
			page[n].len = end - at;
	}
	if (hvk_tx_page_bufs(&c->gtx, out.txid, true, page, n, &out.nvsp,
	    sizeof(out.nvsp)) != HVK_OK) {
		ATF_REQUIRE_EQ(HVK_OK, hvk_netvsc_tx_cancel(&c->tx, out.txid,
		    &sent));
		rig_guest_sent(&sent);
		return (false);
	}
	c->direct++;
	return (true);
}

/* Send the channel's next frame; false: not now. */
static inline bool
rig_guest_send(struct rig *r, uint32_t ch)
{
	static uint8_t bytes[RIG_FRAME];
	struct rig_chan *c = &r->ch[ch];
	struct hvk_net_meta meta;
	uint32_t len;
	uint8_t *at;
	int error;

	if (c->out_waits && !rig_guest_flush(c))
		return (false);
	len = rig_frame(r, ch, true, c->gsent, bytes, &meta);
	error = hvk_netvsc_tx_copy(&c->tx, &meta, len, &at);
	if (error == HVK_AGAIN) {
		if (!rig_guest_flush(c))
			return (false);
		error = hvk_netvsc_tx_copy(&c->tx, &meta, len, &at);
	}
	if (error == HVK_OK)
		memcpy(at, bytes, len);
	else if (!rig_guest_direct(r, c, bytes, len, &meta))
		return (false);
	c->gsent++;
	return (true);
}

static inline void
rig_turn(struct rig *r)
{
	uint32_t i;

	for (i = 0; i < r->nchan; i++) {
		rig_guest(r, i);
		rig_host(r, i);
		rig_guest(r, i);
	}
}

/* Start-up, all channels open, filter set. */
static inline void
rig_start(struct rig *r)
{
	uint32_t i;

	ATF_REQUIRE_EQ(HVK_OK, hvk_netvsc_start(&r->g, r->now));
	r->events[HVK_NETVSC_IS_READY] = 0;
	for (i = 0; i < 40 && r->events[HVK_NETVSC_IS_READY] == 0 &&
	    r->g.phase != HVK_NETVSC_FAILED; i++)
		rig_turn(r);
	ATF_REQUIRE_EQ(HVK_NETVSC_READY, r->g.phase);
	ATF_REQUIRE_EQ(HVK_NETVSP_READY, r->h.phase);
	ATF_REQUIRE_EQ(r->g.subchannels, r->h.subchannels);
	r->nchan = 1 + r->g.subchannels;
	ATF_REQUIRE(r->nchan <= RIG_CHANNELS);
	for (i = 0; i < r->nchan; i++) {
		rig_halves(r, i);
		if (i != 0)
			rig_queue(r, i);
	}
	r->max_len = r->g.mtu + 14;
}

/* One request of the guest, to its end. */
static inline void
rig_request(struct rig *r, int error)
{
	uint32_t i, n = r->events[HVK_NETVSC_REQUEST_OVER];

	ATF_REQUIRE_EQ(HVK_OK, error);
	for (i = 0; i < 10 && r->events[HVK_NETVSC_REQUEST_OVER] == n; i++)
		rig_turn(r);
	ATF_REQUIRE_EQ(n + 1, r->events[HVK_NETVSC_REQUEST_OVER]);
	ATF_REQUIRE(r->g.request.answered);
}

#define	RIG_FILTER	(HVK_FILTER_DIRECTED | HVK_FILTER_BROADCAST |	\
			    HVK_FILTER_ALL_MULTICAST)

#endif /* NET_RIG_H */
