/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * RNDIS packet messages: the header written, and read back from memory that
 * the peer may be changing.  Pure functions.  Source: wire.md section 15.
 */

#include <hvk/rndis.h>

#define	PACKET		((uint32_t)sizeof(struct hvk_rndis_packet_header))
#define	PPI		((uint32_t)sizeof(struct hvk_rndis_ppi))

/*
 * Copy shared bytes, once: afterwards the compiler does not know where they
 * came from and cannot look there again.
 */
static inline bool
fetch(const struct hvk_net_seg *seg, uint32_t nseg, uint32_t at, void *to,
    uint32_t len)
{
	if (hvk_likely(nseg != 0 && at <= seg->len && len <= seg->len - at)) {
		hvk_copy(to, seg->base + at, len);
	} else if (!hvk_net_gather(seg, nseg, at, to, len))
		return (false);
	__asm__ volatile ("" : : "r" (to) : "memory");
	return (true);
}

static uint16_t
vlan_decode(uint32_t word)
{
	return ((uint16_t)((word & 7) << 13 | (word >> 3 & 1) << 12 |
	    (word >> 4 & 0xfff)));
}

static uint32_t
vlan_encode(uint16_t tag)
{
	return ((uint32_t)tag >> 13 | (uint32_t)(tag >> 12 & 1) << 3 |
	    (uint32_t)(tag & 0xfff) << 4);
}

/* One piece whose data are `len' bytes at `data'; false if that is too short. */
static inline bool
piece(uint32_t type, const uint8_t *data, uint32_t len,
    struct hvk_net_meta *meta)
{
	struct hvk_ppi_packet_id id;
	uint32_t word;

	if (type > HVK_PPI_PAD && type != HVK_PPI_PACKET_ID)
		return (true);
	if (len < sizeof(word))
		return (type != HVK_PPI_CHECKSUM && type != HVK_PPI_LSO &&
		    type != HVK_PPI_8021Q && type != HVK_PPI_HASH_VALUE &&
		    type != HVK_PPI_HASH_INFO && type != HVK_PPI_PACKET_ID);
	hvk_copy(&word, data, sizeof(word));
	switch (type) {
	case HVK_PPI_CHECKSUM:
		meta->csum = word;
		meta->has |= HVK_NET_CSUM;
		break;
	case HVK_PPI_LSO:
		meta->lso = word;
		meta->has |= HVK_NET_LSO;
		break;
	case HVK_PPI_8021Q:
		meta->vlan = vlan_decode(word);
		meta->has |= HVK_NET_VLAN;
		break;
	case HVK_PPI_HASH_VALUE:
		meta->hash = word;
		meta->has |= HVK_NET_HASH;
		break;
	case HVK_PPI_HASH_INFO:
		meta->hash_info = word;
		meta->has |= HVK_NET_HASH_INFO;
		break;
	case HVK_PPI_PACKET_ID:
		/* Whatever its version: Linux and FreeBSD do not ask. */
		hvk_copy(&id, &word, sizeof(id));
		meta->packet_id = id.id;
		meta->packet_flags = id.flags;
		meta->has |= HVK_NET_PACKET_ID;
		break;
	default:
		break;
	}
	return (true);
}

/* The pieces in a private copy; each step takes at least a header. */
static inline bool
pieces(const uint8_t *at, uint32_t left, struct hvk_net_meta *meta)
{
	struct hvk_rndis_ppi ppi;

	while (left != 0) {
		if (left < PPI)
			return (false);
		hvk_copy(&ppi, at, sizeof(ppi));
		if (ppi.size < PPI || ppi.size > left || ppi.offset < PPI ||
		    ppi.offset > ppi.size)
			return (false);
		if (!piece(ppi.type, at + ppi.offset, ppi.size - ppi.offset,
		    meta))
			return (false);
		at += ppi.size;
		left -= ppi.size;
	}
	return (true);
}

int
hvk_rndis_parse_info(const struct hvk_net_seg *seg, uint32_t nseg, uint32_t at,
    const struct hvk_rndis_packet_header *h, struct hvk_net_meta *meta)
{
	uint32_t copy[HVK_RNDIS_PPI_MAX / 4];

	if (h->ppi_len > HVK_RNDIS_PPI_MAX ||
	    !hvk_rndis_within(h->ppi_offset, h->ppi_len, h->len - HVK_RNDIS_BODY))
		return (HVK_REJECT);
	if (h->ppi_offset < h->data_offset + h->data_len &&
	    h->data_offset < h->ppi_offset + h->ppi_len)
		return (HVK_REJECT);
	if (!fetch(seg, nseg, at + HVK_RNDIS_BODY + h->ppi_offset, copy,
	    h->ppi_len) || !pieces((const uint8_t *)copy, h->ppi_len, meta))
		return (HVK_REJECT);
	return (HVK_OK);
}

int
hvk_rndis_parse(const struct hvk_net_seg *seg, uint32_t nseg, uint32_t at,
    uint32_t room, struct hvk_rndis_frame *f)
{
	struct hvk_rndis_packet_header h;

	if (room < PACKET || !fetch(seg, nseg, at, &h, sizeof(h)) ||
	    !hvk_rndis_sane(h.type, h.len, room, h.data_offset, h.data_len,
	    h.oob_offset, h.oob_len))
		return (HVK_REJECT);
	f->message = at;
	f->message_len = h.len;
	f->offset = at + HVK_RNDIS_BODY + h.data_offset;
	f->len = h.data_len;
	f->meta.has = 0;
	return (h.ppi_len == 0 ? HVK_OK :
	    hvk_rndis_parse_info(seg, nseg, at, &h, &f->meta));
}

void
hvk_rndis_walk_init(struct hvk_rndis_walk *w, const struct hvk_net_seg *seg,
    uint32_t nseg, uint32_t len, uint32_t max)
{
	w->seg = seg;
	w->nseg = nseg;
	w->at = 0;
	w->left = len;
	w->more = max;
}

int
hvk_rndis_walk_next(struct hvk_rndis_walk *w, struct hvk_rndis_frame *f)
{
	int error;

	/* The last message may be followed by less than a header. */
	if (w->left < HVK_RNDIS_BODY)
		return (HVK_AGAIN);
	error = w->more != 0 ? hvk_rndis_parse(w->seg, w->nseg, w->at,
	    w->left, f) : HVK_REJECT;
	if (error != HVK_OK) {
		w->left = 0;
		return (error);
	}
	w->more--;
	w->at += f->message_len;
	w->left -= f->message_len;
	return (HVK_OK);
}

/* 44 bytes and 16 for each bit. */
#define	LEN1(n)		44 + 16 * (n)
#define	LEN2(n)		LEN1(n), LEN1((n) + 1)
#define	LEN4(n)		LEN2(n), LEN2((n) + 1)
#define	LEN8(n)		LEN4(n), LEN4((n) + 1)
#define	LEN16(n)	LEN8(n), LEN8((n) + 1)
#define	LEN32(n)	LEN16(n), LEN16((n) + 1)
const uint8_t hvk_rndis_header_lens[HVK_NET_ALL + 1] = {
	LEN32(0), LEN32(1)
};

void
hvk_rndis_write_pieces(uint8_t *at, const struct hvk_net_meta *meta)
{
	struct hvk_ppi_packet_id id;
	uint32_t word;

	if ((meta->has & HVK_NET_HASH_INFO) != 0) {
		hvk_rndis_piece(at, HVK_PPI_HASH_INFO, meta->hash_info);
		at += 16;
	}
	if ((meta->has & HVK_NET_VLAN) != 0) {
		hvk_rndis_piece(at, HVK_PPI_8021Q, vlan_encode(meta->vlan));
		at += 16;
	}
	if ((meta->has & HVK_NET_LSO) != 0) {
		hvk_rndis_piece(at, HVK_PPI_LSO, meta->lso);
		at += 16;
	}
	if ((meta->has & HVK_NET_CSUM) != 0) {
		hvk_rndis_piece(at, HVK_PPI_CHECKSUM, meta->csum);
		at += 16;
	}
	if ((meta->has & HVK_NET_PACKET_ID) != 0) {
		id.version = HVK_PACKET_ID_VERSION;
		id.flags = meta->packet_flags;
		id.id = meta->packet_id;
		hvk_copy(&word, &id, sizeof(word));
		hvk_rndis_piece(at, HVK_PPI_PACKET_ID, word);
	}
}

uint32_t
hvk_rndis_encode(void *to, const struct hvk_net_meta *meta, uint32_t len,
    uint32_t align)
{
	uint32_t header;

	header = hvk_rndis_header_len(meta);
	hvk_rndis_write(to, meta, header, len,
	    (header + len + align - 1) & ~(align - 1));
	return (header);
}
