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

	rx->more = 0;
	rx->nfrags = 0;
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
	rx->ranges = pkt->ranges;
	rx->more = pkt->nranges;
	rx->packets++;
	return (HVK_OK);
}

void
hvk_netvsc_rx_drop(struct hvk_netvsc_rx *rx)
{
	if (rx->nfrags != 0)
		rx->broken++;
	rx->nfrags = 0;
}

static inline void
deliver(struct hvk_netvsc_rx *rx, struct hvk_netvsc_frame *f, uint32_t len,
    uint32_t nfrags)
{
	f->kind = HVK_NETVSC_FRAME;
	f->len = len;
	f->nfrags = nfrags;
	f->frag = rx->frag;
	rx->nfrags = 0;
	rx->frames++;
}

/*
 * One of a sequence, described by f->meta.  HVK_OK: it was the last, `f' is
 * filled in; HVK_AGAIN: more must come; HVK_REJECT: it does not belong here.
 */
static HVK_NOINLINE int
collect(struct hvk_netvsc_rx *rx, const uint8_t *data, uint32_t len,
    struct hvk_netvsc_frame *f)
{
	uint8_t flags = f->meta.packet_flags;

	if ((flags & HVK_PACKET_ID_FIRST) != 0) {
		hvk_netvsc_rx_drop(rx);
		rx->sum = 0;
		rx->meta = f->meta;
	} else if (rx->nfrags == 0) {
		rx->broken++;
		return (HVK_REJECT);
	}
	if (rx->nfrags == rx->max_frags || len > rx->max_frame - rx->sum) {
		hvk_netvsc_rx_drop(rx);
		return (HVK_REJECT);
	}
	rx->frag[rx->nfrags].data = data;
	rx->frag[rx->nfrags++].len = len;
	rx->sum += len;
	if ((flags & HVK_PACKET_ID_LAST) == 0)
		return (HVK_AGAIN);
	if (rx->nfrags > 1)
		rx->coalesced++;
	f->meta = rx->meta;
	deliver(rx, f, rx->sum, rx->nfrags);
	return (HVK_OK);
}

/* No frame: a message for the interface's machine, or nonsense. */
static HVK_NOINLINE int
control(struct hvk_netvsc_rx *rx, const uint8_t *base, uint32_t len,
    struct hvk_netvsc_frame *f)
{
	uint32_t type;

	if (len < HVK_RNDIS_BODY)
		return (HVK_REJECT);
	/* Fetched a second time: whatever it is now, the machine looks again. */
	type = *(const volatile uint32_t *)(const volatile void *)base;
	if (type == HVK_RNDIS_PACKET)
		return (HVK_REJECT);
	hvk_netvsc_rx_drop(rx);
	rx->frag[0].data = base;
	rx->frag[0].len = len;
	f->kind = HVK_NETVSC_CONTROL_MESSAGE;
	f->len = len;
	f->nfrags = 1;
	f->frag = rx->frag;
	f->meta.has = 0;
	return (HVK_OK);
}

int
hvk_netvsc_rx_other(struct hvk_netvsc_rx *rx, struct hvk_netvsc_frame *f,
    const uint8_t *base, uint32_t room, int error, uint32_t offset,
    uint32_t len)
{
	if (error != HVK_OK)
		return (control(rx, base, room, f));
	if (len > rx->max_frame)
		return (HVK_REJECT);
	if ((f->meta.has & HVK_NET_PACKET_ID) != 0 &&
	    (f->meta.packet_flags & HVK_PACKET_ID_SUB) != 0)
		return (collect(rx, base + offset, len, f));
	hvk_netvsc_rx_drop(rx);
	rx->frag[0].data = base + offset;
	rx->frag[0].len = len;
	deliver(rx, f, len, 1);
	return (HVK_OK);
}
