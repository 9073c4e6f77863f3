/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * Memory in several pieces, seen as one.  Pure functions; what the pieces hold
 * may change meanwhile, each byte is read or written once.
 */

#include <hvk/rndis.h>

uint32_t
hvk_net_total(const struct hvk_net_seg *seg, uint32_t nseg)
{
	uint64_t sum = 0;
	uint32_t i;

	for (i = 0; i < nseg; i++)
		sum += seg[i].len;
	return (sum > UINT32_MAX ? UINT32_MAX : (uint32_t)sum);
}

/* The piece that holds `offset', made relative to it; nseg if none does. */
static uint32_t
find(const struct hvk_net_seg *seg, uint32_t nseg, uint32_t *offset)
{
	uint32_t i;

	for (i = 0; i < nseg && *offset >= seg[i].len; i++)
		*offset -= seg[i].len;
	return (i);
}

static bool
holds(const struct hvk_net_seg *seg, uint32_t nseg, uint32_t offset,
    uint32_t len)
{
	uint64_t end = (uint64_t)offset + len;
	uint32_t i;

	for (i = 0; i < nseg && end > seg[i].len; i++)
		end -= seg[i].len;
	return (i < nseg || end == 0);
}

bool
hvk_net_gather(const struct hvk_net_seg *seg, uint32_t nseg, uint32_t offset,
    void *to, uint32_t len)
{
	uint8_t *at = to;
	uint32_t i, n;

	if (!holds(seg, nseg, offset, len))
		return (false);
	for (i = find(seg, nseg, &offset); len != 0; i++, offset = 0) {
		n = seg[i].len - offset;
		if (n > len)
			n = len;
		if (n == 0)
			continue;	/* an empty piece may have no base */
		hvk_copy(at, seg[i].base + offset, n);
		at += n;
		len -= n;
	}
	return (true);
}

bool
hvk_net_scatter(const struct hvk_net_seg *seg, uint32_t nseg, uint32_t offset,
    const void *from, uint32_t len)
{
	const uint8_t *at = from;
	uint32_t i, n;

	if (!holds(seg, nseg, offset, len))
		return (false);
	for (i = find(seg, nseg, &offset); len != 0; i++, offset = 0) {
		n = seg[i].len - offset;
		if (n > len)
			n = len;
		if (n == 0)
			continue;
		hvk_copy(seg[i].base + offset, at, n);
		at += n;
		len -= n;
	}
	return (true);
}

uint32_t
hvk_net_slice(const struct hvk_net_seg *seg, uint32_t nseg, uint32_t offset,
    uint32_t len, struct hvk_net_seg *out, uint32_t max)
{
	uint32_t i, n, used;

	if (len == 0 || !holds(seg, nseg, offset, len))
		return (0);
	used = 0;
	for (i = find(seg, nseg, &offset); len != 0; i++, offset = 0) {
		n = seg[i].len - offset;
		if (n > len)
			n = len;
		if (n == 0)
			continue;
		if (used == max)
			return (0);
		out[used].base = seg[i].base + offset;
		out[used++].len = n;
		len -= n;
	}
	return (used);
}
