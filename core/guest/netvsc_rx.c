/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * One network channel's receiving half: a transfer-page packet taken apart into
 * frames.  Each range of it holds one RNDIS message.  A coalesced frame is a
 * run of ranges within one packet.
 *
 * Locking: none, see hvk/guest/netvsc.h.  Facts: wire.md sections 7, 14, 15.
 */

#include "netvsc_int.h"

const struct hvk_nvsp_rndis_done hvk_netvsc_ack = {
	HVK_NVSP_RNDIS_DONE, HVK_NVSP_STATUS_OK
};

int
hvk_netvsc_rx_init(struct hvk_netvsc_rx *rx, const uint8_t *buffer,
    uint32_t end, struct hvk_netvsc_frag *frags, uint32_t max_frags,
    uint32_t max_frame)
{
	if (end == 0 || max_frags == 0 || max_frags > HVK_NVSP_RANGES_RSC ||
	    max_frame == 0)
		return (HVK_RANGE);
	hvk_zero(rx, sizeof(*rx));
	rx->buffer = buffer;
	rx->end = end;
	rx->frag = frags;
	rx->max_frags = max_frags;
	rx->max_frame = max_frame;
	return (HVK_OK);
}

int
hvk_netvsc_rx_begin(struct hvk_netvsc_rx *rx, const struct hvk_packet *pkt)
{
	uint32_t type;

	rx->pkt.nranges = 0;
	rx->pkt.type = HVK_PKT_XFER_PAGES;
	rx->nfrags = 0;
	rx->cursor = 0;
	if (pkt->type != HVK_PKT_XFER_PAGES || pkt->len < 16 ||
	    pkt->pageset != HVK_NVSP_RECV_ID) {
		rx->rejected++;
		return (HVK_REJECT);
	}
	hvk_copy(&type, pkt->payload, sizeof(type));
	if (type != HVK_NVSP_RNDIS) {
		rx->rejected++;
		return (HVK_REJECT);
	}
	rx->pkt = *pkt;
	rx->packets++;
	return (HVK_OK);
}

/* A sequence that did not end is dropped. */
static void
drop(struct hvk_netvsc_rx *rx)
{
	if (rx->nfrags != 0)
		rx->broken++;
	rx->nfrags = 0;
}

static void
deliver(struct hvk_netvsc_rx *rx, struct hvk_netvsc_frame *f,
    const struct hvk_net_meta *meta)
{
	f->kind = HVK_NETVSC_FRAME;
	f->len = rx->sum;
	f->nfrags = rx->nfrags;
	f->frag = rx->frag;
	f->meta = *meta;
	rx->nfrags = 0;
	rx->frames++;
}

/*
 * One of a sequence.  HVK_OK: it was the last, `f' is filled in; HVK_AGAIN: more
 * must come; HVK_REJECT: it does not belong here.
 */
static int
collect(struct hvk_netvsc_rx *rx, const struct hvk_rndis_frame *r,
    const uint8_t *data, struct hvk_netvsc_frame *f)
{
	if ((r->meta.packet_flags & HVK_PACKET_ID_FIRST) != 0) {
		drop(rx);
		rx->sum = 0;
		rx->meta = r->meta;
	} else if (rx->nfrags == 0) {
		rx->broken++;
		return (HVK_REJECT);
	}
	if (rx->nfrags == rx->max_frags || r->len > rx->max_frame - rx->sum) {
		drop(rx);
		return (HVK_REJECT);
	}
	rx->frag[rx->nfrags].data = data;
	rx->frag[rx->nfrags++].len = r->len;
	rx->sum += r->len;
	if ((r->meta.packet_flags & HVK_PACKET_ID_LAST) == 0)
		return (HVK_AGAIN);
	if (rx->nfrags > 1)
		rx->coalesced++;
	deliver(rx, f, &rx->meta);
	return (HVK_OK);
}

/* A range: HVK_AGAIN if it gives nothing yet. */
static int
take(struct hvk_netvsc_rx *rx, const struct hvk_xfer_range *range,
    struct hvk_netvsc_frame *f)
{
	struct hvk_net_seg seg;
	struct hvk_rndis_frame r;
	uint32_t type;

	if (range->offset > rx->end || range->len > rx->end - range->offset ||
	    range->len < HVK_RNDIS_BODY)
		return (HVK_REJECT);
	/* Only read: the const is lost for want of a second kind of piece. */
	seg.base = (uint8_t *)(uintptr_t)rx->buffer + range->offset;
	seg.len = range->len;
	if (hvk_likely(hvk_rndis_parse(&seg, 1, 0, seg.len, &r) == HVK_OK)) {
		if (r.len > rx->max_frame)
			return (HVK_REJECT);
		if ((r.meta.has & HVK_NET_PACKET_ID) != 0 &&
		    (r.meta.packet_flags & HVK_PACKET_ID_SUB) != 0)
			return (collect(rx, &r, seg.base + r.offset, f));
		drop(rx);
		rx->frag[0].data = seg.base + r.offset;
		rx->frag[0].len = r.len;
		rx->nfrags = 1;
		rx->sum = r.len;
		deliver(rx, f, &r.meta);
		return (HVK_OK);
	}
	/* Fetched a second time: whatever it is now, the machine looks again. */
	type = *(const volatile uint32_t *)(const volatile void *)seg.base;
	if (type == HVK_RNDIS_PACKET)
		return (HVK_REJECT);
	drop(rx);
	rx->frag[0].data = seg.base;
	rx->frag[0].len = seg.len;
	f->kind = HVK_NETVSC_CONTROL_MESSAGE;
	f->len = seg.len;
	f->nfrags = 1;
	f->frag = rx->frag;
	f->meta.has = 0;
	return (HVK_OK);
}

int
hvk_netvsc_rx_next(struct hvk_netvsc_rx *rx, struct hvk_netvsc_frame *f)
{
	struct hvk_xfer_range range;
	int error;

	do {
		if (hvk_packet_xfer_next(&rx->pkt, &rx->cursor, &range) !=
		    HVK_OK) {
			drop(rx);
			return (HVK_AGAIN);
		}
		error = take(rx, &range, f);
	} while (error == HVK_AGAIN);
	if (error != HVK_OK)
		rx->rejected++;
	return (error);
}
