/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * Whether what a guest asks of a frame fits the frame.  Pure function over a
 * private copy of its first bytes.
 */

#include <hvk/rndis.h>

#define	ETHER		14u
#define	TYPE_IPV4	0x0800u
#define	TYPE_IPV6	0x86ddu
#define	TYPE_VLAN	0x8100u
#define	TCP		6u
#define	UDP		17u
#define	FRAME_MAX	(65535u + ETHER + 4u)

/* Where things are in a frame. */
struct place {
	uint32_t	l3;
	uint32_t	l4;		/* 0: not found */
	uint8_t		version;	/* of IP; 0: none */
	uint8_t		protocol;
};

static uint32_t
be16(const uint8_t *p)
{
	return ((uint32_t)p[0] << 8 | p[1]);
}

static void
find_ipv4(const uint8_t *head, uint32_t len, struct place *p)
{
	const uint8_t *ip = head + p->l3;
	uint32_t hlen;

	if (len - p->l3 < 20 || ip[0] >> 4 != 4)
		return;
	hlen = (ip[0] & 0xfu) * 4;
	if (hlen < 20 || hlen > len - p->l3)
		return;
	p->version = 4;
	/* What follows the first fragment is no transport header. */
	if ((be16(ip + 6) & 0x1fff) != 0)
		return;
	p->protocol = ip[9];
	p->l4 = p->l3 + hlen;
}

/* Past the extension headers; each step is at least 8 bytes. */
static void
find_ipv6(const uint8_t *head, uint32_t len, struct place *p)
{
	const uint8_t *ip = head + p->l3;
	uint32_t at, next, size;

	if (len - p->l3 < 40 || ip[0] >> 4 != 6)
		return;
	p->version = 6;
	next = ip[6];
	at = p->l3 + 40;
	while (next == 0 || next == 43 || next == 60) {
		if (len - at < 8)
			return;
		size = 8 + head[at + 1] * 8u;
		if (size > len - at)
			return;
		next = head[at];
		at += size;
	}
	p->protocol = (uint8_t)next;
	p->l4 = at;
}

static void
find(const uint8_t *head, uint32_t len, struct place *p)
{
	uint32_t type;

	hvk_zero(p, sizeof(*p));
	type = be16(head + 12);
	p->l3 = ETHER;
	if (type == TYPE_VLAN && len >= ETHER + 4) {
		type = be16(head + 16);
		p->l3 += 4;
	}
	if (type == TYPE_IPV4)
		find_ipv4(head, len, p);
	else if (type == TYPE_IPV6)
		find_ipv6(head, len, p);
}

static int
check_lso(uint32_t lso, const uint8_t *head, uint32_t head_len, uint32_t len,
    uint32_t mtu, const struct place *p)
{
	uint32_t hlen, mss;

	mss = HVK_LSO_MSS(lso);
	if ((lso & HVK_LSO_V2) == 0 || mss == 0 || len > FRAME_MAX ||
	    p->l4 == 0 || p->protocol != TCP || p->l4 != HVK_LSO_OFFSET(lso) ||
	    p->version != ((lso & HVK_LSO_IPV6) != 0 ? 6 : 4))
		return (HVK_REJECT);
	if (head_len - p->l4 < 20)
		return (HVK_REJECT);
	hlen = (head[p->l4 + 12] >> 4) * 4u;
	if (hlen < 20 || hlen > head_len - p->l4 || p->l4 + hlen >= len)
		return (HVK_REJECT);
	/* Each piece, with its headers, must be a frame that may be sent. */
	if (mss > mtu || p->l4 - p->l3 + hlen + mss > mtu)
		return (HVK_REJECT);
	return (HVK_OK);
}

static int
check_csum(uint32_t csum, uint32_t head_len, const struct place *p)
{
	uint32_t l4 = csum & (HVK_TXCSUM_TCP | HVK_TXCSUM_UDP);
	uint32_t need;

	if ((csum & HVK_TXCSUM_IP) != 0 && p->version != 4)
		return (HVK_REJECT);
	if (l4 == 0)
		return (HVK_OK);
	need = l4 == HVK_TXCSUM_TCP ? 20 : 8;
	if (l4 == (HVK_TXCSUM_TCP | HVK_TXCSUM_UDP) || p->l4 == 0 ||
	    p->protocol != (l4 == HVK_TXCSUM_TCP ? TCP : UDP) ||
	    head_len - p->l4 < need)
		return (HVK_REJECT);
	if (((csum & HVK_TXCSUM_IPV4) != 0 && p->version != 4) ||
	    ((csum & HVK_TXCSUM_IPV6) != 0 && p->version != 6))
		return (HVK_REJECT);
	if (HVK_TXCSUM_OFFSET(csum) != 0 && HVK_TXCSUM_OFFSET(csum) != p->l4)
		return (HVK_REJECT);
	return (HVK_OK);
}

int
hvk_net_check(const struct hvk_net_meta *meta, const uint8_t *head,
    uint32_t head_len, uint32_t len, uint32_t mtu, uint32_t *l4_offset)
{
	struct place place;
	uint32_t l4 = 0, max;
	bool lso = (meta->has & HVK_NET_LSO) != 0;
	int error = HVK_OK;

	if (l4_offset != NULL)
		*l4_offset = 0;
	if (len < ETHER || head_len < ETHER || head_len > len)
		return (HVK_REJECT);
	max = mtu + ETHER + (be16(head + 12) == TYPE_VLAN ? 4 : 0);
	if (!lso && len > max)
		return (HVK_REJECT);
	if ((meta->has & (HVK_NET_LSO | HVK_NET_CSUM)) == 0)
		return (HVK_OK);
	find(head, head_len, &place);
	if (lso) {
		error = check_lso(meta->lso, head, head_len, len, mtu, &place);
		l4 = place.l4;
	}
	if (error == HVK_OK && (meta->has & HVK_NET_CSUM) != 0) {
		error = check_csum(meta->csum, head_len, &place);
		if ((meta->csum & (HVK_TXCSUM_TCP | HVK_TXCSUM_UDP)) != 0)
			l4 = place.l4;
	}
	if (error == HVK_OK && l4_offset != NULL)
		*l4_offset = l4;
	return (error);
}
