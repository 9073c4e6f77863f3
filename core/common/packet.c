/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 */

/*
 * Packets that describe memory: lists of guest pages and of places in a
 * pageset, both ways.  Writes into the ring go in place, with one copy for
 * each side of the wrap.  Locking as in ring.h.  Source: wire.md section 7.
 */

#include <hvk/ring.h>

/* Where the next byte of the packet being written goes. */
struct cursor {
	uint8_t		*data;
	uint32_t	at;
	uint32_t	size;
};

static inline void
put64(struct cursor *c, uint64_t value)
{
	hvk_put64(c->data + c->at, value);
	c->at += 8;
	if (hvk_unlikely(c->at == c->size))
		c->at = 0;
}

/* Copies len bytes and zeroes up to the next multiple of 8. */
static inline void
put_bytes(struct cursor *c, const void *from, uint32_t len)
{
	const uint8_t *bytes = from;
	uint32_t end, first;

	if (len == 0)
		return;
	end = c->at + hvk_align8(len);
	if (hvk_likely(end < c->size)) {
		hvk_put64(c->data + end - 8, 0);
		hvk_copy_payload(c->data + c->at, bytes, len);
		c->at = end;
		return;
	}
	hvk_put64(c->data + (end - 8 >= c->size ? end - 8 - c->size : end - 8),
	    0);
	first = c->size - c->at;
	if (first > len)
		first = len;
	hvk_copy_payload(c->data + c->at, bytes, first);
	if (len > first)
		hvk_copy_payload(c->data, bytes + first, len - first);
	c->at = end - c->size;
}

/*
 * Reserve room for a packet with its ranges and write its first 24 bytes.  The
 * packet is not there before commit().
 */
static int
begin(struct hvk_ring_tx *tx, struct cursor *c, uint64_t txid, uint16_t type,
    bool want_completion, uint32_t off, uint32_t len, uint64_t header)
{
	uint32_t need, total;
	int error;

	if (len > tx->max || off > tx->max ||
	    off - HVK_DESCRIPTOR_SIZE + len > tx->max)
		return (HVK_RANGE);
	total = off + hvk_align8(len);
	need = total + HVK_RING_TRAILER;
	if (need >= tx->room) {
		error = hvk_tx_refill(tx, need);
		if (error != HVK_OK)
			return (error);
	}
	c->data = tx->data;
	c->at = tx->write;
	c->size = tx->size;
	put64(c, hvk_descriptor_head(type, off, total, want_completion));
	put64(c, txid);
	put64(c, header);
	return (HVK_OK);
}

static void
commit(struct hvk_ring_tx *tx, struct cursor *c)
{
	put64(c, (uint64_t)tx->write << 32);
	tx->room -= hvk_ring_distance(tx->write, c->at, tx->size);
	tx->write = c->at;
	tx->packets++;
}

int
hvk_tx_gpa_direct(struct hvk_ring_tx *tx, uint64_t txid, bool want_completion,
    const struct hvk_gpa_range *ranges, uint32_t nranges, const void *payload,
    uint32_t len)
{
	struct cursor c;
	uint32_t i, off;
	int error;

	if (nranges == 0)
		return (HVK_RANGE);
	off = HVK_DESCRIPTOR_SIZE + sizeof(struct hvk_gpa_header);
	for (i = 0; i < nranges; i++) {
		if (ranges[i].offset > HVK_PAGE_MASK ||
		    ranges[i].npfn > HVK_PACKET_MAX / 8 || ranges[i].npfn !=
		    hvk_gpa_pages(ranges[i].offset, ranges[i].len))
			return (HVK_RANGE);
		off += sizeof(struct hvk_gpa_range_header) +
		    ranges[i].npfn * 8;
		if (off > HVK_PACKET_MAX)
			return (HVK_RANGE);
	}
	error = begin(tx, &c, txid, HVK_PKT_GPA_DIRECT, want_completion, off,
	    len, (uint64_t)nranges << 32);
	if (error != HVK_OK)
		return (error);
	for (i = 0; i < nranges; i++) {
		put64(&c, ranges[i].len | (uint64_t)ranges[i].offset << 32);
		put_bytes(&c, ranges[i].pfn, ranges[i].npfn * 8);
	}
	put_bytes(&c, payload, len);
	commit(tx, &c);
	return (HVK_OK);
}

int
hvk_tx_page_bufs(struct hvk_ring_tx *tx, uint64_t txid, bool want_completion,
    const struct hvk_page_buf *bufs, uint32_t n, const void *payload,
    uint32_t len)
{
	struct cursor c;
	uint32_t i, off;
	int error;

	if (n == 0 || n > HVK_PAGE_BUFS_MAX)
		return (HVK_RANGE);
	for (i = 0; i < n; i++)
		if (bufs[i].offset > HVK_PAGE_MASK || bufs[i].len == 0 ||
		    bufs[i].len > HVK_PAGE_SIZE - bufs[i].offset)
			return (HVK_RANGE);
	off = HVK_DESCRIPTOR_SIZE + sizeof(struct hvk_gpa_header) + n * 16;
	error = begin(tx, &c, txid, HVK_PKT_GPA_DIRECT, want_completion, off,
	    len, (uint64_t)n << 32);
	if (error != HVK_OK)
		return (error);
	if (hvk_likely(c.size - c.at > n * 16)) {
		/* Not at the end of the ring: no look for it at each word. */
		for (i = 0; i < n; i++, c.at += 16) {
			hvk_put64(c.data + c.at,
			    bufs[i].len | (uint64_t)bufs[i].offset << 32);
			hvk_put64(c.data + c.at + 8, bufs[i].pfn);
		}
	} else
		for (i = 0; i < n; i++) {
			put64(&c, bufs[i].len |
			    (uint64_t)bufs[i].offset << 32);
			put64(&c, bufs[i].pfn);
		}
	put_bytes(&c, payload, len);
	commit(tx, &c);
	return (HVK_OK);
}

int
hvk_tx_xfer_pages(struct hvk_ring_tx *tx, uint64_t txid, bool want_completion,
    uint16_t pageset, const struct hvk_xfer_range *ranges, uint32_t n,
    const void *payload, uint32_t len)
{
	struct cursor c;
	uint32_t off;
	int error;

	if (n == 0 || n > HVK_PACKET_MAX / sizeof(*ranges))
		return (HVK_RANGE);
	off = HVK_DESCRIPTOR_SIZE + sizeof(struct hvk_xfer_header) +
	    n * (uint32_t)sizeof(*ranges);
	error = begin(tx, &c, txid, HVK_PKT_XFER_PAGES, want_completion, off,
	    len, pageset | (uint64_t)n << 32);
	if (error != HVK_OK)
		return (error);
	put_bytes(&c, ranges, n * (uint32_t)sizeof(*ranges));
	put_bytes(&c, payload, len);
	commit(tx, &c);
	return (HVK_OK);
}

int
hvk_packet_parse_ranges(struct hvk_packet *packet, const uint8_t *bytes,
    uint32_t off)
{
	struct hvk_xfer_header header;	/* the count is where GPA has it */
	uint32_t room;

	if (packet->type != HVK_PKT_XFER_PAGES &&
	    packet->type != HVK_PKT_GPA_DIRECT)
		return (HVK_OK);
	if (off < HVK_DESCRIPTOR_SIZE + sizeof(header))
		return (HVK_REJECT);
	hvk_copy(&header, bytes + HVK_DESCRIPTOR_SIZE, sizeof(header));
	room = off - HVK_DESCRIPTOR_SIZE - (uint32_t)sizeof(header);
	if (header.count == 0 ||
	    header.count > room / sizeof(struct hvk_xfer_range))
		return (HVK_REJECT);
	packet->nranges = header.count;
	packet->ranges = bytes + HVK_DESCRIPTOR_SIZE + sizeof(header);
	packet->ranges_len = room;
	packet->pageset = packet->type == HVK_PKT_XFER_PAGES ?
	    header.pageset : 0;
	return (HVK_OK);
}

/*
 * The cursor of both iterators (the other one is in packet.h): which range is next in the upper half, where
 * it lies in units of 8 bytes in the lower.  A packet has fewer than 65536 of
 * each.
 */
int
hvk_packet_gpa_next(const struct hvk_packet *packet, uint32_t *cursor,
    struct hvk_gpa_view *view)
{
	struct hvk_gpa_range_header header;
	uint32_t at, index, npfn, room;

	if (packet->type != HVK_PKT_GPA_DIRECT)
		return (HVK_REJECT);
	index = *cursor >> 16;
	at = (*cursor & 0xffff) * 8;
	if (index >= packet->nranges)
		return (HVK_AGAIN);
	if (at > packet->ranges_len ||
	    packet->ranges_len - at < sizeof(header))
		return (HVK_REJECT);
	hvk_copy(&header, packet->ranges + at, sizeof(header));
	at += sizeof(header);
	room = (packet->ranges_len - at) / 8;
	if (header.offset > HVK_PAGE_MASK)
		return (HVK_REJECT);
	npfn = hvk_gpa_pages(header.offset, header.len);
	if (npfn > room)
		return (HVK_REJECT);
	view->len = header.len;
	view->offset = header.offset;
	view->npfn = npfn;
	view->pfns = packet->ranges + at;
	*cursor = (index + 1) << 16 | (at + npfn * 8) / 8;
	return (HVK_OK);
}
