/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * One network channel's sending half: a caller-owned table of slots, this
 * channel's part of the send buffer, several frames in one section.
 *
 * A slot is FREE, OPEN (being filled), or BUSY with the host.  Each end raises
 * its generation: an answer that comes twice finds another one.
 *
 * Locking: none, see hvk/guest/netvsc.h.  Facts: wire.md section 14.
 */

#include "netvsc_int.h"

enum {
	SLOT_FREE,
	SLOT_OPEN,
	SLOT_BUSY
};

#define	NO_SLOT		0xffff

int
hvk_netvsc_tx_init(struct hvk_netvsc_tx *tx, struct hvk_netvsc_send *slots,
    uint32_t size, const struct hvk_netvsc_tx_config *c)
{
	uint32_t i;

	if (size == 0 || size > HVK_NETVSC_MAX_SENDS ||
	    c->count > HVK_NETVSC_MAX_SECTIONS || c->max_packets == 0 ||
	    c->align == 0 || (c->align & (c->align - 1)) != 0 ||
	    (c->section_size == 0) != (c->count == 0) ||
	    c->section_size > HVK_NETVSC_MAX_SECTION ||
	    c->align > HVK_NETVSC_MAX_SECTION ||
	    (uint64_t)c->section_size * ((uint64_t)c->first + c->count) >
	    UINT32_MAX)
		return (HVK_RANGE);
	hvk_zero(tx, sizeof(*tx));
	hvk_zero(slots, size * sizeof(*slots));
	for (i = 0; i < size; i++)
		slots[i].next = (uint16_t)(i + 1 < size ? i + 1 : NO_SLOT);
	tx->slot = slots;
	tx->size = (uint16_t)size;
	tx->config = *c;
	tx->open = NO_SLOT;
	tx->round = c->align - 1;
	tx->agg_size = c->section_size < c->max_transfer ? c->section_size :
	    c->max_transfer;
	tx->agg_packets = c->max_packets;
	tx->sections_free = c->count;
	for (i = 0; i < c->count; i++)
		tx->map[i / 32] |= 1u << i % 32;
	return (HVK_OK);
}

/* A free section, from where the last was found. */
static uint32_t
section_get(struct hvk_netvsc_tx *tx)
{
	uint32_t bit, i, n, words = (tx->config.count + 31) / 32;

	if (tx->sections_free == 0)
		return (HVK_NVSP_NO_SECTION);
	i = tx->hint;
	for (n = 0; n < words; n++) {
		if (tx->map[i] != 0) {
			bit = (uint32_t)__builtin_ctz(tx->map[i]);
			tx->map[i] &= ~(1u << bit);
			tx->hint = i;
			tx->sections_free--;
			return (tx->config.first + i * 32 + bit);
		}
		if (++i == words)
			i = 0;
	}
	return (HVK_NVSP_NO_SECTION);
}

static void
section_put(struct hvk_netvsc_tx *tx, uint32_t section)
{
	uint32_t i = section - tx->config.first;

	tx->map[i / 32] |= 1u << i % 32;
	tx->sections_free++;
}

static struct hvk_netvsc_send *
slot_get(struct hvk_netvsc_tx *tx, uint8_t state)
{
	struct hvk_netvsc_send *slot;

	if (tx->free == NO_SLOT)
		return (NULL);
	slot = &tx->slot[tx->free];
	tx->free = slot->next;
	slot->state = state;
	slot->cookie = NULL;
	slot->section = HVK_NVSP_NO_SECTION;
	slot->bytes = 0;
	slot->packets = 0;
	return (slot);
}

static void
slot_put(struct hvk_netvsc_tx *tx, struct hvk_netvsc_send *slot,
    struct hvk_netvsc_sent *sent)
{
	sent->cookie = slot->cookie;
	sent->packets = slot->packets;
	sent->bytes = slot->bytes;
	sent->ok = false;
	if (slot->section != HVK_NVSP_NO_SECTION)
		section_put(tx, slot->section);
	if (slot->state == SLOT_BUSY)
		tx->busy--;
	slot->generation++;
	slot->state = SLOT_FREE;
	slot->next = tx->free;
	tx->free = (uint16_t)(slot - tx->slot);
}

/* A section and a slot for it. */
static int
section_open(struct hvk_netvsc_tx *tx)
{
	struct hvk_netvsc_send *slot;
	uint32_t section;

	if (tx->free == NO_SLOT)
		return (HVK_NOSPACE);
	section = section_get(tx);
	if (section == HVK_NVSP_NO_SECTION) {
		tx->no_section++;
		return (HVK_NOSPACE);
	}
	slot = slot_get(tx, SLOT_OPEN);
	slot->section = section;
	tx->open = (uint16_t)(slot - tx->slot);
	tx->base = tx->config.buffer +
	    (size_t)section * tx->config.section_size;
	tx->at = tx->base;
	tx->packets = 0;
	tx->bytes = 0;
	return (HVK_OK);
}

/* How much the open section may still take, by the limits as they are now. */
static void
section_limit(struct hvk_netvsc_tx *tx)
{
	uint32_t most, packets, used = (uint32_t)(tx->at - tx->base);

	most = tx->agg_size < tx->config.section_size ? tx->agg_size :
	    tx->config.section_size;
	packets = tx->agg_packets < tx->config.max_packets ? tx->agg_packets :
	    tx->config.max_packets;
	tx->left = tx->more = 0;
	if ((used & tx->round) != 0 || used >= most || tx->packets >= packets)
		return;
	tx->left = most - used;
	tx->more = packets - tx->packets;
}

int
hvk_netvsc_tx_section(struct hvk_netvsc_tx *tx,
    const struct hvk_net_meta *meta, uint32_t len, uint8_t **at)
{
	uint32_t header = hvk_rndis_header_len(meta), need;
	int error;

	if (len == 0 || len > tx->config.section_size ||
	    header + len > tx->config.section_size)
		return (HVK_RANGE);
	need = (header + len + tx->round) & ~tx->round;
	if (tx->open != NO_SLOT) {
		section_limit(tx);
		if (need > tx->left)
			return (HVK_AGAIN);
	} else {
		error = section_open(tx);
		if (error != HVK_OK)
			return (error);
		/* The padding may be missing at a section's end. */
		if (need > tx->config.section_size)
			need = header + len;
	}
	*at = hvk_netvsc_tx_place(tx, meta, header, len, need);
	section_limit(tx);
	return (HVK_OK);
}

static void
give(struct hvk_netvsc_tx *tx, struct hvk_netvsc_send *slot, uint32_t used,
    struct hvk_netvsc_out *out)
{
	slot->state = SLOT_BUSY;
	tx->busy++;
	tx->sent++;
	hvk_zero(&out->nvsp, sizeof(out->nvsp));
	out->txid = netvsc_id(NETVSC_ID_SEND, slot->generation,
	    (uint32_t)(slot - tx->slot));
	out->nvsp.type = HVK_NVSP_RNDIS;
	out->nvsp.rndis.channel = HVK_NVSP_CHANNEL_DATA;
	out->nvsp.rndis.section = slot->section;
	out->nvsp.rndis.section_len = used;
}

int
hvk_netvsc_tx_close(struct hvk_netvsc_tx *tx, struct hvk_netvsc_out *out)
{
	struct hvk_netvsc_send *slot;

	if (tx->open == NO_SLOT)
		return (HVK_AGAIN);
	slot = &tx->slot[tx->open];
	tx->open = NO_SLOT;
	tx->left = 0;
	slot->packets = (uint16_t)tx->packets;
	slot->bytes = tx->bytes;
	tx->frames += tx->packets;
	tx->copied += tx->packets;
	give(tx, slot, (uint32_t)(tx->at - tx->base), out);
	return (HVK_OK);
}

int
hvk_netvsc_tx_direct(struct hvk_netvsc_tx *tx, void *cookie, uint32_t len,
    struct hvk_netvsc_out *out)
{
	struct hvk_netvsc_send *slot;

	slot = slot_get(tx, SLOT_OPEN);
	if (slot == NULL)
		return (HVK_NOSPACE);
	slot->cookie = cookie;
	slot->packets = 1;
	slot->bytes = len;
	tx->frames++;
	give(tx, slot, 0, out);
	return (HVK_OK);
}

/* The busy slot of an id, or NULL. */
static struct hvk_netvsc_send *
slot_find(struct hvk_netvsc_tx *tx, uint64_t txid)
{
	struct hvk_netvsc_send *slot;
	uint32_t i = netvsc_id_index(txid);

	if (netvsc_id_kind(txid) != NETVSC_ID_SEND || i >= tx->size) {
		tx->unknown++;
		return (NULL);
	}
	slot = &tx->slot[i];
	if (slot->generation != netvsc_id_generation(txid) ||
	    slot->state != SLOT_BUSY) {
		tx->stale++;
		return (NULL);
	}
	return (slot);
}

int
hvk_netvsc_tx_cancel(struct hvk_netvsc_tx *tx, uint64_t txid,
    struct hvk_netvsc_sent *sent)
{
	struct hvk_netvsc_send *slot;

	slot = slot_find(tx, txid);
	if (slot == NULL)
		return (HVK_REJECT);
	tx->sent--;
	tx->frames -= slot->packets;
	slot_put(tx, slot, sent);
	return (HVK_OK);
}

/*
 * An answer whose id is right ends its send even if the rest makes no sense:
 * the host has said that it is done with the memory.
 */
int
hvk_netvsc_tx_done(struct hvk_netvsc_tx *tx, const struct hvk_packet *pkt,
    struct hvk_netvsc_sent *sent)
{
	struct hvk_nvsp_rndis_done d;
	struct hvk_netvsc_send *slot;

	if (pkt->type != HVK_PKT_COMPLETION) {
		tx->unknown++;
		return (HVK_REJECT);
	}
	slot = slot_find(tx, pkt->txid);
	if (slot == NULL)
		return (HVK_REJECT);
	slot_put(tx, slot, sent);
	tx->done++;
	if (hvk_unlikely(pkt->len < sizeof(d))) {
		tx->malformed++;
		return (HVK_OK);
	}
	hvk_copy(&d, pkt->payload, sizeof(d));
	if (d.type != HVK_NVSP_RNDIS_DONE)
		tx->malformed++;
	else if (d.status != HVK_NVSP_STATUS_OK)
		tx->failed++;
	else
		sent->ok = true;
	return (HVK_OK);
}

bool
hvk_netvsc_tx_stalled(struct hvk_netvsc_tx *tx, uint64_t now, uint64_t ms)
{
	if (tx->busy == 0 || tx->stalled_done != tx->done ||
	    tx->stalled_at == 0) {
		tx->stalled_done = tx->done;
		tx->stalled_at = tx->busy == 0 ? 0 : now + 1;
		return (false);
	}
	return (now + 1 - tx->stalled_at >= ms);
}

bool
hvk_netvsc_tx_end(struct hvk_netvsc_tx *tx, struct hvk_netvsc_sent *sent)
{
	struct hvk_netvsc_send *slot;
	uint32_t i;

	if (tx->open != NO_SLOT) {
		slot = &tx->slot[tx->open];
		slot->packets = (uint16_t)tx->packets;
		slot->bytes = tx->bytes;
	}
	tx->open = NO_SLOT;
	tx->left = 0;
	for (i = 0; i < tx->size; i++)
		if (tx->slot[i].state != SLOT_FREE) {
			slot_put(tx, &tx->slot[i], sent);
			return (true);
		}
	return (false);
}
