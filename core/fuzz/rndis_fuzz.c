/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * RNDIS packet messages in memory cut into pieces anywhere: the walk makes
 * progress and stays inside, frames can be gathered, sliced and checked, and
 * what was parsed parses the same after it is encoded again.
 *
 * Input: {u8 pieces, u8 limit, u16 mtu}, then the memory.
 */

#include <stdlib.h>
#include <string.h>

#include <hvk/rndis.h>

#define	MAX	8192

static void
check(int ok)
{
	if (!ok)
		abort();
}

/* The pieces are memory of their own, so that a step outside is seen. */
static uint32_t
cut(const uint8_t *data, uint32_t len, uint32_t pieces,
    struct hvk_net_seg *seg)
{
	uint32_t at = 0, i, n;

	for (i = 0; i < pieces; i++) {
		n = i + 1 == pieces ? len - at : (len - at) / (pieces - i);
		if (i % 3 == 1 && n > 2)
			n -= 3;
		seg[i].base = malloc(n != 0 ? n : 1);
		check(seg[i].base != NULL);
		seg[i].len = n;
		if (n != 0)
			memcpy(seg[i].base, data + at, n);
		at += n;
	}
	return (at);
}

static void
again(const struct hvk_rndis_frame *f, const uint8_t *bytes)
{
	static uint8_t copy[HVK_RNDIS_HEADER_MAX + MAX + 64];
	struct hvk_net_seg seg = { copy, 0 };
	struct hvk_rndis_frame g;
	uint32_t header;

	header = hvk_rndis_encode(copy, &f->meta, f->len, 8);
	check(header == hvk_rndis_header_len(&f->meta));
	check(header <= HVK_RNDIS_HEADER_MAX);
	memcpy(copy + header, bytes, f->len);
	seg.len = hvk_rndis_message_len(&f->meta, f->len, 8);
	check(seg.len % 8 == 0 && seg.len >= header + f->len);
	check(hvk_rndis_parse(&seg, 1, 0, seg.len, &g) == HVK_OK);
	check(g.len == f->len && g.offset == header);
	check(g.message_len == seg.len && g.meta.has == f->meta.has);
	check(!(g.meta.has & HVK_NET_CSUM) || g.meta.csum == f->meta.csum);
	check(!(g.meta.has & HVK_NET_LSO) || g.meta.lso == f->meta.lso);
	check(!(g.meta.has & HVK_NET_VLAN) || g.meta.vlan == f->meta.vlan);
	check(!(g.meta.has & HVK_NET_HASH) || g.meta.hash == f->meta.hash);
	check(!(g.meta.has & HVK_NET_PACKET_ID) ||
	    (g.meta.packet_id == f->meta.packet_id &&
	    g.meta.packet_flags == f->meta.packet_flags));
}

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t frame[MAX];
	struct hvk_net_seg seg[8], out[8];
	struct hvk_rndis_frame f;
	struct hvk_rndis_walk w;
	uint32_t i, l4, last = 0, len, limit, mtu, n, pieces, sum;
	uint8_t *head;

	if (size < 4 || size > MAX)
		return (0);
	pieces = 1 + data[0] % 8;
	limit = data[1];
	mtu = data[2] | (uint32_t)data[3] << 8;
	len = cut(data + 4, (uint32_t)size - 4, pieces, seg);
	check(hvk_net_total(seg, pieces) == len);
	check(!hvk_net_gather(seg, pieces, 0, frame, len + 1));
	hvk_rndis_walk_init(&w, seg, pieces, len, limit);
	for (n = 0; hvk_rndis_walk_next(&w, &f) == HVK_OK; n++) {
		check(n < limit);
		check(f.message == last && f.message_len >= 44);
		last += f.message_len;
		check(last <= len && f.len != 0);
		check(f.offset >= f.message + 44);
		check(f.offset <= last && f.len <= last - f.offset);
		check(hvk_net_gather(seg, pieces, f.offset, frame, f.len));
		i = hvk_net_slice(seg, pieces, f.offset, f.len, out, 8);
		check(i != 0);
		for (sum = 0; i > 0; i--) {
			check(out[i - 1].len != 0);
			sum += out[i - 1].len;
		}
		check(sum == f.len);
		check(hvk_net_scatter(seg, pieces, f.offset, frame, f.len));
		again(&f, frame);
		sum = f.len < 192 ? f.len : 192;
		head = malloc(sum);
		check(head != NULL);
		memcpy(head, frame, sum);
		if (hvk_net_check(&f.meta, head, sum, f.len, mtu, &l4) ==
		    HVK_OK)
			check(l4 < f.len);
		free(head);
	}
	check(hvk_rndis_walk_next(&w, &f) == HVK_AGAIN);
	for (i = 0; i < pieces; i++)
		free(seg[i].base);
	return (0);
}
