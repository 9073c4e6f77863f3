/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 */

/*
 * A received packet, parsed, and the ranges that it may carry.  Everything
 * here points into the private copy that hvk_ring_rx_next() made, never into
 * shared memory, and every length has been checked against that copy; what the
 * page frame numbers, ids and payload mean is still only the peer's word.
 * Pure functions, callable from anywhere.  Source: wire.md section 7.
 */

#ifndef HVK_PACKET_H
#define	HVK_PACKET_H

#include <hvk/error.h>
#include <hvk/types.h>
#include <hvk/wire/packet.h>

struct hvk_packet {
	uint16_t	type;		/* HVK_PKT_*, or one nobody knows */
	bool		want_completion;
	uint64_t	txid;
	const uint8_t	*payload;	/* 8-aligned, in the private copy */
	uint32_t	len;		/* of the payload, a multiple of 8 */
	uint32_t	nranges;	/* types 7 and 9, else 0 */
	/* Only when there are ranges: */
	const uint8_t	*ranges;
	uint32_t	ranges_len;	/* bytes */
	uint16_t	pageset;	/* type 7, else 0 */
};

/* One range of a HVK_PKT_GPA_DIRECT packet. */
struct hvk_gpa_view {
	uint32_t	len;		/* bytes */
	uint32_t	offset;		/* in the first page, < 4096 */
	uint32_t	npfn;
	const uint8_t	*pfns;		/* see hvk_gpa_view_pfn() */
};

/* Number of 4 KiB pages that len bytes touch from an offset < 4096. */
HVK_INLINE uint32_t
hvk_gpa_pages(uint32_t offset, uint32_t len)
{
	return ((len >> HVK_PAGE_SHIFT) +
	    (((len & HVK_PAGE_MASK) + offset + HVK_PAGE_MASK) >>
	    HVK_PAGE_SHIFT));
}

/* The page frame number of page i < npfn. */
HVK_INLINE uint64_t
hvk_gpa_view_pfn(const struct hvk_gpa_view *view, uint32_t i)
{
	uint64_t pfn;

	hvk_copy(&pfn, view->pfns + (size_t)i * 8, sizeof(pfn));
	return (pfn);
}

/*
 * The next range.  *cursor is 0 at first and is advanced only by this
 * function.  HVK_OK; HVK_AGAIN after the last range; HVK_REJECT when the
 * packet is of another type, the offset is not inside a page, or the page list
 * runs past the end of the ranges.
 */
int	hvk_packet_gpa_next(const struct hvk_packet *, uint32_t *cursor,
	    struct hvk_gpa_view *);

/* The same for a HVK_PKT_XFER_PAGES packet; its ranges are all the same size. */
HVK_INLINE int
hvk_packet_xfer_next(const struct hvk_packet *packet, uint32_t *cursor,
    struct hvk_xfer_range *range)
{
	uint32_t index;

	if (packet->type != HVK_PKT_XFER_PAGES)
		return (HVK_REJECT);
	index = *cursor >> 16;
	if (index >= packet->nranges)
		return (HVK_AGAIN);
	hvk_copy(range, packet->ranges + index * sizeof(*range),
	    sizeof(*range));
	*cursor = (index + 1) << 16;
	return (HVK_OK);
}

/*
 * Used by hvk_ring_rx_next(): fills in what belongs to types 7 and 9 from the
 * private copy; off is the payload's offset and within the packet.
 */
int	hvk_packet_parse_ranges(struct hvk_packet *, const uint8_t *bytes,
	    uint32_t off);

#endif /* !HVK_PACKET_H */
