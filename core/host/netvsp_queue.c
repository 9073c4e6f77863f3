/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * One network channel's way to the guest: slots of the receive buffer, which
 * belong to a packet from the moment it is filled until the guest acknowledges
 * it.  Packet ids have a generation: an acknowledgement that comes twice finds
 * another one.  Locking: see hvk/host/netvsp.h.
 */
#include "netvsp_int.h"

enum {
	PACKET_FREE,
	PACKET_OPEN,
	PACKET_BUSY
};

#define	NONE		0xffff
#define	ID_KIND		0x50ull

int
hvk_netvsp_queue_init(struct hvk_netvsp_queue *q, const struct hvk_netvsp *v,
    uint32_t first, struct hvk_netvsp_slot *slots, uint32_t nslots,
    struct hvk_netvsp_sent *packets, uint32_t npackets)
{
	uint32_t i;

	if (nslots == 0 || nslots > HVK_NETVSP_QUEUE_SLOTS || npackets == 0 ||
	    npackets > HVK_NETVSP_QUEUE_PACKETS || first > v->slots ||
	    nslots > v->slots - first)
		return (HVK_RANGE);
	hvk_zero(q, sizeof(*q));
	for (i = 0; i < nslots; i++)
		slots[i].next = (uint16_t)(i + 1 < nslots ? i + 1 : NONE);
	hvk_zero(packets, npackets * sizeof(*packets));
	for (i = 0; i < npackets; i++)
		packets[i].next = (uint16_t)(i + 1 < npackets ? i + 1 : NONE);
	q->slot = slots;
	q->packet = packets;
	q->first = first;
	q->slot_size = v->slot_size;
	q->nslots = (uint16_t)nslots;
	q->npackets = (uint16_t)npackets;
	q->slots_free = nslots;
	q->open = q->held = NONE;
	q->max_ranges = v->version >= HVK_NVSP_VERSION_61 &&
	    (v->caps & HVK_NVSP_CAP_RSC) != 0 ? HVK_NVSP_RANGES_RSC :
	    HVK_NVSP_RANGES;
	return (HVK_OK);
}

static bool
packet_open(struct hvk_netvsp_queue *q)
{
	struct hvk_netvsp_sent *p;

	if (q->free_packet == NONE)
		return (false);
	q->open = q->free_packet;
	p = &q->packet[q->open];
	q->free_packet = p->next;
	p->state = PACKET_OPEN;
	p->first = p->last = NONE;
	p->count = 0;
	q->nranges = 0;
	q->control = false;
	return (true);
}

int
hvk_netvsp_queue_slot(struct hvk_netvsp_queue *q, uint32_t *offset)
{

	if (q->open != NONE && (q->nranges == q->max_ranges || q->control))
		return (HVK_AGAIN);
	if (q->held == NONE) {
		if (q->free_slot == NONE ||
		    (q->open == NONE && !packet_open(q))) {
			q->no_slot++;
			return (HVK_NOSPACE);
		}
		q->held = q->free_slot;
		q->free_slot = q->slot[q->held].next;
		q->slots_free--;
	}
	*offset = (q->first + q->held) * q->slot_size;
	return (HVK_OK);
}

int
hvk_netvsp_queue_put(struct hvk_netvsp_queue *q, uint32_t len, bool control)
{
	struct hvk_netvsp_sent *p;

	if (q->held == NONE || q->open == NONE || (control && q->nranges != 0))
		return (HVK_STATE);
	if (len < HVK_RNDIS_BODY || len > q->slot_size)
		return (HVK_RANGE);
	p = &q->packet[q->open];
	q->slot[q->held].next = NONE;
	if (p->count == 0)
		p->first = q->held;
	else
		q->slot[p->last].next = q->held;
	p->last = q->held;
	p->count++;
	q->range[q->nranges].len = len;
	q->range[q->nranges++].offset = (q->first + q->held) * q->slot_size;
	q->held = NONE;
	q->control = control;
	return (HVK_OK);
}

int
hvk_netvsp_queue_close(struct hvk_netvsp_queue *q, uint64_t *txid,
    uint32_t *nranges, struct hvk_nvsp_message *nvsp)
{
	struct hvk_netvsp_sent *p;

	if (q->open == NONE || q->nranges == 0)
		return (HVK_AGAIN);
	p = &q->packet[q->open];
	p->state = PACKET_BUSY;
	*txid = ID_KIND << 56 | (uint64_t)p->generation << 24 | q->open;
	*nranges = q->nranges;
	hvk_zero(nvsp, sizeof(*nvsp));
	nvsp->type = HVK_NVSP_RNDIS;
	nvsp->rndis.channel = q->control ? HVK_NVSP_CHANNEL_CONTROL :
	    HVK_NVSP_CHANNEL_DATA;
	nvsp->rndis.section = HVK_NVSP_NO_SECTION;
	q->open = NONE;
	q->busy++;
	q->sent++;
	if (!q->control)
		q->frames += q->nranges;
	q->nranges = 0;
	return (HVK_OK);
}

/* The packet of an id that the guest has, or NULL. */
static struct hvk_netvsp_sent *
find(struct hvk_netvsp_queue *q, uint64_t txid)
{
	struct hvk_netvsp_sent *p;
	uint32_t i = (uint32_t)txid & 0xffffff;

	if (txid >> 56 != ID_KIND || i >= q->npackets) {
		q->unknown++;
		return (NULL);
	}
	p = &q->packet[i];
	if (p->state != PACKET_BUSY || p->generation !=
	    (uint32_t)(txid >> 24)) {
		q->stale++;
		return (NULL);
	}
	return (p);
}

static void
release(struct hvk_netvsp_queue *q, struct hvk_netvsp_sent *p)
{

	q->slot[p->last].next = q->free_slot;
	q->free_slot = p->first;
	q->slots_free += p->count;
	q->busy--;
	p->generation++;
	p->state = PACKET_FREE;
	p->next = q->free_packet;
	q->free_packet = (uint16_t)(p - q->packet);
}

int
hvk_netvsp_queue_undo(struct hvk_netvsp_queue *q, uint64_t txid)
{
	struct hvk_netvsp_sent *p = find(q, txid);

	if (p == NULL)
		return (HVK_REJECT);
	q->sent--;
	release(q, p);
	return (HVK_OK);
}

int
hvk_netvsp_queue_done(struct hvk_netvsp_queue *q, const struct hvk_packet *pkt)
{
	struct hvk_nvsp_rndis_done d;
	struct hvk_netvsp_sent *p;

	if (pkt->type != HVK_PKT_COMPLETION) {
		q->unknown++;
		return (HVK_REJECT);
	}
	p = find(q, pkt->txid);
	if (p == NULL)
		return (HVK_REJECT);
	release(q, p);
	q->done++;
	if (pkt->len < sizeof(d)) {
		q->malformed++;
		return (HVK_OK);
	}
	hvk_copy(&d, pkt->payload, sizeof(d));
	if (d.type != HVK_NVSP_RNDIS_DONE)
		q->malformed++;
	else if (d.status != HVK_NVSP_STATUS_OK)
		q->failed++;
	return (HVK_OK);
}
