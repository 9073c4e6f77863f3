/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * What a network adapter's hardware would do to a frame: look at its headers,
 * make and verify checksums, cut TCP payloads into segments, tags in and out.
 *
 * Pure functions over private memory: no locks.  A frame comes from a guest or
 * from a network and may be any bytes: nothing is read before its length was
 * compared, and what a header says about itself is never used as an index
 * before that.
 *
 * Facts: RFC 791, 793, 1071, 8200; IEEE 802.1Q.
 */
#include <netinet/in.h>

#include <string.h>

#include <hvk/netbackend.h>

#define	EXT_HEADERS	8u	/* of IPv6, that are walked */

static uint16_t
get16(const uint8_t *p)
{

	return ((uint16_t)(p[0] << 8 | p[1]));
}

static void
put16(uint8_t *p, uint32_t v)
{

	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static uint32_t
get32(const uint8_t *p)
{

	return ((uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
	    (uint32_t)p[2] << 8 | p[3]);
}

static void
put32(uint8_t *p, uint32_t v)
{

	put16(p, v >> 16);
	put16(p + 2, v);
}

/* The sum of the one's complement, in the machine's own byte order. */
static uint64_t
sum_add(uint64_t sum, const uint8_t *p, uint32_t len)
{
	uint64_t w[4];
	uint32_t v;
	uint16_t h;

	for (; len >= 32; p += 32, len -= 32) {
		memcpy(w, p, sizeof(w));
		sum += (w[0] & 0xffffffffu) + (w[0] >> 32);
		sum += (w[1] & 0xffffffffu) + (w[1] >> 32);
		sum += (w[2] & 0xffffffffu) + (w[2] >> 32);
		sum += (w[3] & 0xffffffffu) + (w[3] >> 32);
	}
	for (; len >= 4; p += 4, len -= 4) {
		memcpy(&v, p, sizeof(v));
		sum += v;
	}
	if (len >= 2) {
		memcpy(&h, p, sizeof(h));
		sum += h;
		p += 2;
		len -= 2;
	}
	if (len != 0) {
		h = 0;
		memcpy(&h, p, 1);
		sum += h;
	}
	return (sum);
}

/* Folded to 16 bits, in network byte order as a number. */
static uint16_t
sum_fold(uint64_t sum)
{
	uint8_t b[2];
	uint16_t h;

	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	h = (uint16_t)sum;
	memcpy(b, &h, sizeof(b));
	return (get16(b));
}

static bool
parse_ip4(const uint8_t *p, uint32_t len, struct net_headers *h)
{
	uint32_t ihl;

	if (len < 20 || p[0] >> 4 != 4)
		return (false);
	ihl = (p[0] & 15u) * 4;
	if (ihl < 20 || ihl > len)
		return (false);
	h->l3 = NET_L3_IP4;
	h->l3_len = (uint16_t)ihl;
	h->proto = p[9];
	h->fragment = (get16(p + 6) & 0x3fff) != 0;
	return (true);
}

static bool
parse_ip6(const uint8_t *p, uint32_t len, struct net_headers *h)
{
	uint32_t at = 40, i, n;

	if (len < 40 || p[0] >> 4 != 6)
		return (false);
	h->l3 = NET_L3_IP6;
	h->proto = p[6];
	for (i = 0; i < EXT_HEADERS; i++) {
		if (h->proto != IPPROTO_HOPOPTS && h->proto !=
		    IPPROTO_ROUTING && h->proto != IPPROTO_DSTOPTS &&
		    h->proto != IPPROTO_FRAGMENT)
			break;
		if (len - at < 8)
			return (false);
		n = 8;
		if (h->proto == IPPROTO_FRAGMENT)
			h->fragment = h->fragment ||
			    (get16(p + at + 2) & 0xfff9) != 0;
		else
			n += 8u * p[at + 1];
		if (n > len - at)
			return (false);
		h->proto = p[at];
		at += n;
	}
	h->l3_len = (uint16_t)at;
	return (true);
}

bool
net_frame_parse(const uint8_t *data, uint32_t len, struct net_headers *h)
{
	static const uint8_t all[6] = { 255, 255, 255, 255, 255, 255 };
	uint32_t at = NET_ETHER, left;
	const uint8_t *p;

	memset(h, 0, sizeof(*h));
	h->vlan = -1;
	if (len < NET_ETHER)
		return (false);
	h->broadcast = memcmp(data, all, sizeof(all)) == 0;
	h->multicast = (data[0] & 1) != 0;
	h->type = get16(data + 12);
	while ((h->type == 0x8100 || h->type == 0x88a8) && at < 30) {
		if (len - at < NET_VLAN)
			return (true);
		if (h->vlan < 0)
			h->vlan = get16(data + at);
		h->type = get16(data + at + 2);
		at += NET_VLAN;
	}
	h->l3_off = (uint16_t)at;
	p = data + at;
	if (!(h->type == 0x0800 && parse_ip4(p, len - at, h)) &&
	    !(h->type == 0x86dd && parse_ip6(p, len - at, h))) {
		h->l3 = NET_L3_NONE;
		return (true);
	}
	if (h->fragment)
		return (true);
	at += h->l3_len;
	left = len - at;
	p = data + at;
	if (h->proto == IPPROTO_TCP && left >= 20 && (p[12] >> 4) * 4u >= 20 &&
	    (p[12] >> 4) * 4u <= left)
		h->l4_len = (uint16_t)((p[12] >> 4) * 4u);
	else if (h->proto == IPPROTO_UDP && left >= 8)
		h->l4_len = 8;
	if (h->l4_len != 0)
		h->l4_off = (uint16_t)at;
	return (true);
}

/* Of the pseudo header, with a payload of len bytes from L4 on. */
static uint64_t
sum_pseudo(const uint8_t *data, const struct net_headers *h, uint32_t len)
{
	const uint8_t *ip = data + h->l3_off;
	uint8_t tail[8] = { 0 };
	uint64_t sum;

	put32(tail, len);
	tail[7] = h->proto;
	sum = sum_add(0, tail, sizeof(tail));
	return (h->l3 == NET_L3_IP4 ? sum_add(sum, ip + 12, 8) :
	    sum_add(sum, ip + 8, 32));
}

/* The bytes from L4 on, without what Ethernet padded. */
static uint32_t
l4_bytes(const uint8_t *data, uint32_t len, const struct net_headers *h)
{
	const uint8_t *ip = data + h->l3_off;
	uint32_t have = len - h->l4_off, says;

	if (h->l3 == NET_L3_IP4)
		says = get16(ip + 2) - (uint32_t)h->l3_len;
	else
		says = get16(ip + 4) + 40u - h->l3_len;
	return (says <= have && says >= h->l4_len ? says : have);
}

bool
net_frame_want_csum(struct net_frame *f, const struct net_headers *h)
{
	uint32_t n;

	if (h->l4_off == 0 || f->len > NET_FRAME_MAX)
		return (false);
	n = l4_bytes(f->data, f->len, h);
	f->csum = true;
	f->csum_start = h->l4_off;
	f->csum_offset = h->proto == IPPROTO_TCP ? 16 : 6;
	/* What follows the packet is padding and would be summed too. */
	f->len = h->l4_off + n;
	put16(f->data + h->l4_off + f->csum_offset,
	    sum_fold(sum_pseudo(f->data, h, n)));
	return (true);
}

void
net_frame_ip_csum(struct net_frame *f, const struct net_headers *h)
{
	uint8_t *ip = f->data + h->l3_off;

	if (h->l3 != NET_L3_IP4)
		return;
	put16(ip + 10, 0);
	put16(ip + 10, (uint16_t)~sum_fold(sum_add(0, ip, h->l3_len)));
}

bool
net_frame_want_gso(struct net_frame *f, const struct net_headers *h,
    uint32_t mss)
{
	uint8_t *ip = f->data + h->l3_off;
	uint32_t hdr, total;

	if (h->l4_off == 0 || h->proto != IPPROTO_TCP || mss < 32 ||
	    mss > 0xffff)
		return (false);
	hdr = (uint32_t)h->l4_off + h->l4_len;
	total = f->len - h->l3_off;
	if (total > 65535)
		return (false);
	/* Guests leave the length out, for each segment has its own. */
	if (h->l3 == NET_L3_IP4)
		put16(ip + 2, total);
	else
		put16(ip + 4, total - 40);
	net_frame_ip_csum(f, h);
	if (!net_frame_want_csum(f, h))
		return (false);
	if (f->len - hdr <= mss)
		return (true);
	f->gso = h->l3 == NET_L3_IP4 ? NET_GSO_TCP4 : NET_GSO_TCP6;
	f->gso_size = (uint16_t)mss;
	f->hdr_len = (uint16_t)hdr;
	return (true);
}

bool
net_frame_csum(struct net_frame *f)
{
	uint8_t *at;
	uint16_t sum;

	if (!f->csum)
		return (true);
	if ((uint32_t)f->csum_start + f->csum_offset + 2 > f->len)
		return (false);
	at = f->data + f->csum_start + f->csum_offset;
	sum = (uint16_t)~sum_fold(sum_add(0, f->data + f->csum_start,
	    f->len - f->csum_start));
	/* UDP says "none" by 0; no other sum is hurt by its other zero. */
	put16(at, sum == 0 && f->csum_offset == 6 ? 0xffff : sum);
	f->csum = false;
	f->csum_ok = true;
	return (true);
}

bool
net_frame_ip_good(const uint8_t *data, const struct net_headers *h)
{

	return (h->l3 != NET_L3_IP4 || sum_fold(sum_add(0, data + h->l3_off,
	    h->l3_len)) == 0xffff);
}

bool
net_frame_csum_good(const uint8_t *data, uint32_t len,
    const struct net_headers *h)
{
	uint32_t n;

	if (!net_frame_ip_good(data, h))
		return (false);
	if (h->l4_off == 0)
		return (true);
	if (h->proto == IPPROTO_UDP && h->l3 == NET_L3_IP4 &&
	    get16(data + h->l4_off + 6) == 0)
		return (true);
	n = l4_bytes(data, len, h);
	return (sum_fold(sum_add(sum_pseudo(data, h, n), data + h->l4_off,
	    n)) == 0xffff);
}

uint32_t
net_frame_segments(const struct net_frame *f)
{

	if (f->gso == NET_GSO_NONE || f->gso_size == 0 || f->hdr_len > f->len)
		return (1);
	return ((f->len - f->hdr_len + f->gso_size - 1) / f->gso_size);
}

uint32_t
net_frame_segment(const struct net_frame *f, uint32_t i, uint8_t *out,
    uint32_t cap)
{
	struct net_frame seg = { .data = out };
	struct net_headers h;
	uint64_t off = (uint64_t)i * f->gso_size;
	uint32_t n, body;
	uint8_t *ip, *tcp;
	bool last;

	if (!net_frame_parse(f->data, f->len, &h) || h.l4_off == 0 ||
	    h.proto != IPPROTO_TCP || f->hdr_len != h.l4_off + h.l4_len ||
	    f->gso_size == 0)
		return (0);
	body = f->len - f->hdr_len;
	if (off >= body)
		return (0);
	n = body - (uint32_t)off;
	last = n <= f->gso_size;
	if (!last)
		n = f->gso_size;
	if (n > cap || f->hdr_len > cap - n)
		return (0);
	memcpy(out, f->data, f->hdr_len);
	memcpy(out + f->hdr_len, f->data + f->hdr_len + off, n);
	seg.len = f->hdr_len + n;
	ip = out + h.l3_off;
	tcp = out + h.l4_off;
	put32(tcp + 4, get32(tcp + 4) + (uint32_t)off);
	if (!last)
		tcp[13] &= (uint8_t)~0x09;	/* FIN, PSH */
	if (i != 0)
		tcp[13] &= (uint8_t)~0x80;	/* CWR */
	if (h.l3 == NET_L3_IP4) {
		put16(ip + 2, seg.len - h.l3_off);
		put16(ip + 4, get16(ip + 4) + i);
	} else
		put16(ip + 4, seg.len - h.l3_off - 40);
	net_frame_ip_csum(&seg, &h);
	if (!net_frame_want_csum(&seg, &h) || !net_frame_csum(&seg))
		return (0);
	return (seg.len);
}

void
net_frame_tag(struct net_frame *f, uint16_t tci)
{

	f->data -= NET_VLAN;
	f->len += NET_VLAN;
	memmove(f->data, f->data + NET_VLAN, 12);
	put16(f->data + 12, 0x8100);
	put16(f->data + 14, tci);
	if (f->csum)
		f->csum_start += NET_VLAN;
	if (f->gso != NET_GSO_NONE)
		f->hdr_len += NET_VLAN;
}

int
net_frame_untag(struct net_frame *f)
{
	int tci;

	if (f->len < NET_ETHER + NET_VLAN || get16(f->data + 12) != 0x8100)
		return (-1);
	tci = get16(f->data + 14);
	memmove(f->data + NET_VLAN, f->data, 12);
	f->data += NET_VLAN;
	f->len -= NET_VLAN;
	if (f->csum)
		f->csum_start = f->csum_start >= NET_VLAN ?
		    (uint16_t)(f->csum_start - NET_VLAN) : 0;
	if (f->gso != NET_GSO_NONE)
		f->hdr_len = f->hdr_len >= NET_VLAN ?
		    (uint16_t)(f->hdr_len - NET_VLAN) : 0;
	return (tci);
}
