/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * Any frame, with anything asked of it: parsed, given checksums, cut, tagged;
 * a virtio-net header from another process on top.  What comes out is held to
 * what it promises: segments add up, checksums that were made are right.
 */
#include <stdlib.h>
#include <string.h>

#include "backend/net_int.h"

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static uint8_t out[NET_FRAME_MAX];

static void
cut(struct net_frame *f)
{
	uint32_t n = net_frame_segments(f), i, len, body = 0;
	struct net_headers h;

	if (n > 4096)
		n = 4096;
	for (i = 0; i < n; i++) {
		len = net_frame_segment(f, i, out, sizeof(out));
		if (len == 0)
			return;
		if (!net_frame_parse(out, len, &h) ||
		    !net_frame_csum_good(out, len, &h))
			abort();
		body += len - f->hdr_len;
	}
	if (n < 4096 && body != f->len - f->hdr_len)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct net_headers h;
	struct net_vnet v;
	struct net_frame f;
	uint32_t mss;
	uint8_t *p, what;

	if (size < sizeof(v) + 3 || size > 4096)
		return (0);
	memcpy(&v, data, sizeof(v));
	memcpy(&mss, data, 2);
	mss &= 0xffff;
	what = data[sizeof(v)];
	data += sizeof(v) + 1;
	size -= sizeof(v) + 1;
	/* Memory of exactly that size. */
	p = malloc(NET_HEADROOM + size);
	memset(&f, 0, sizeof(f));
	f.data = p + NET_HEADROOM;
	f.len = (uint32_t)size;
	memcpy(f.data, data, size);
	if ((what & 8) != 0 && f.len >= NET_ETHER)
		net_frame_tag(&f, 0x123);
	if ((what & 1) != 0) {
		if (net_vnet_take(&v, &f)) {
			if (f.gso != NET_GSO_NONE)
				cut(&f);
			else
				(void)net_frame_csum(&f);
		}
	} else if (net_frame_parse(f.data, f.len, &h)) {
		(void)net_frame_csum_good(f.data, f.len, &h);
		(void)net_frame_ip_good(f.data, &h);
		net_frame_ip_csum(&f, &h);
		if ((what & 2) != 0) {
			if (net_frame_want_gso(&f, &h, mss) &&
			    f.gso != NET_GSO_NONE)
				cut(&f);
		} else if (net_frame_want_csum(&f, &h) && net_frame_csum(&f) &&
		    (!net_frame_parse(f.data, f.len, &h) ||
		    !net_frame_csum_good(f.data, f.len, &h)))
			abort();
	}
	if ((what & 4) != 0)
		(void)net_frame_untag(&f);
	free(p);
	return (0);
}
