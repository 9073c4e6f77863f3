/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * iftap_frame.c: what the one side of a tap leaves to the hardware (checksums,
 * segmentation, VLAN tags), translated from virtio-net's header to mbuf(9)'s
 * and back: Linux may leave to the driver exactly what FreeBSD's stack could,
 * and trusts what that would.
 *
 * Pure functions of a frame, which belongs to the caller.
 */

#include "net.h"
#include <sys/endian.h>
#include <netinet/in.h>
#include <netinet/in_systm.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <machine/in_cksum.h>

#define	VNET_NEEDS_CSUM	1
#define	VNET_GSO_NONE	0
#define	VNET_GSO_TCPV4	1
#define	VNET_GSO_TCPV6	4

/* Where the headers of a frame are. */
struct headers {
	int vlan;			/* bytes of a tag in the frame */
	int l3, l4;			/* offsets */
	int proto;			/* IPPROTO_TCP, IPPROTO_UDP or 0 */
	bool v6;
	bool ip;			/* l3 is good */
};

/* The first mbuf holds what is looked at, or it is not looked at. */
static void
find_headers(const struct mbuf *m, struct headers *h)
{
	const struct ip6_hdr *ip6;
	const uint8_t *p;
	const struct ip *ip;
	int len, type;

	memset(h, 0, sizeof(*h));
	p = mtod(m, const uint8_t *);
	len = m->m_len;
	if (len < ETHER_HDR_LEN)
		return;
	type = be16dec(p + 12);
	h->l3 = ETHER_HDR_LEN;
	if (type == ETHERTYPE_VLAN && len >= ETHER_HDR_LEN + 4) {
		h->vlan = 4;
		h->l3 += 4;
		type = be16dec(p + 16);
	}
	if (type == ETHERTYPE_IP && len >= h->l3 + (int)sizeof(*ip)) {
		ip = (const struct ip *)(p + h->l3);
		h->l4 = h->l3 + ip->ip_hl * 4;
		h->ip = ip->ip_hl >= 5 && len >= h->l4;
		if (h->ip && (be16toh(ip->ip_off) & (IP_MF | IP_OFFMASK)) == 0)
			h->proto = ip->ip_p;
	} else if (type == ETHERTYPE_IPV6 &&
	    len >= h->l3 + (int)sizeof(*ip6)) {
		ip6 = (const struct ip6_hdr *)(p + h->l3);
		h->v6 = h->ip = true;
		h->l4 = h->l3 + sizeof(*ip6);
		h->proto = ip6->ip6_nxt;
	}
	if ((h->proto != IPPROTO_TCP ||
	    len < h->l4 + (int)sizeof(struct tcphdr)) &&
	    (h->proto != IPPROTO_UDP ||
	    len < h->l4 + (int)sizeof(struct udphdr)))
		h->proto = 0;
}

static uint16_t *
checksum_field(struct mbuf *m, const struct headers *h)
{
	return ((uint16_t *)(m->m_data + h->l4 +
	    (h->proto == IPPROTO_TCP ? offsetof(struct tcphdr, th_sum) :
	    offsetof(struct udphdr, uh_sum))));
}

/* The sum of the pseudo header, which whoever finishes it starts from. */
static uint16_t
pseudo_sum(const struct mbuf *m, const struct headers *h, uint32_t len)
{
	const uint8_t *p;
	uint64_t sum;
	int i, n;

	p = mtod(m, const uint8_t *) + h->l3 + (h->v6 ?
	    offsetof(struct ip6_hdr, ip6_src) : offsetof(struct ip, ip_src));
	n = h->v6 ? 32 : 8;
	sum = htons(h->proto) + (uint64_t)htons(len & 0xffff) +
	    htons(len >> 16);
	for (i = 0; i < n; i += 2)
		sum += (uint32_t)p[i] | (uint32_t)p[i + 1] << 8;
	while (sum > 0xffff)
		sum = (sum & 0xffff) + (sum >> 16);
	return (sum);
}

/* What the stack would have believed, Linux is to believe. */
void
iftap_believe(struct ifnet *ifp, struct mbuf *m, struct vnet_hdr *v)
{
	struct headers h0, *h;
	struct ip *ip;
	int hlen, l4len, mss;

	h = &h0;
	memset(v, 0, sizeof(*v));
	find_headers(m, h);
	if (!h->ip)
		return;
	l4len = h->v6 ? be16toh(((struct ip6_hdr *)(m->m_data +
	    h->l3))->ip6_plen) : 0;
	if (!h->v6) {
		ip = (struct ip *)(m->m_data + h->l3);
		if ((m->m_pkthdr.csum_flags & (CSUM_IP_CHECKED |
		    CSUM_IP_VALID)) == (CSUM_IP_CHECKED | CSUM_IP_VALID) &&
		    ip->ip_hl == 5) {
			ip->ip_sum = 0;
			ip->ip_sum = in_cksum_hdr(ip);
		}
		l4len = be16toh(ip->ip_len) - ip->ip_hl * 4;
	}
	if (h->proto == 0 || l4len <= 0 ||
	    h->l4 + l4len > m->m_pkthdr.len ||
	    (m->m_pkthdr.csum_flags & CSUM_DATA_VALID) == 0)
		return;
	/* A datagram without a checksum is one. */
	if (h->proto == IPPROTO_UDP && *checksum_field(m, h) == 0)
		return;
	v->flags = VNET_NEEDS_CSUM;
	v->csum_start = h->l4;
	v->csum_offset = h->proto == IPPROTO_TCP ?
	    offsetof(struct tcphdr, th_sum) : offsetof(struct udphdr, uh_sum);
	*checksum_field(m, h) = pseudo_sum(m, h, l4len);
	if (h->proto != IPPROTO_TCP ||
	    m->m_pkthdr.len - h->l3 <= (int)ifp->if_mtu)
		return;
	/* Merged: its segments are what their sender made them. */
	hlen = h->l4 + ((struct tcphdr *)(m->m_data + h->l4))->th_off * 4;
	mss = m->m_pkthdr.lro_tcp_d_len;
	if (mss == 0 || mss > (int)ifp->if_mtu)
		mss = ifp->if_mtu - (hlen - h->l3);
	if (mss <= 0)
		return;
	v->gso = h->v6 ? VNET_GSO_TCPV6 : VNET_GSO_TCPV4;
	v->hdr_len = hlen;
	v->gso_size = mss;
}

/* What nobody but us can do now. */
static void
soft_checksum(struct mbuf *m, const struct vnet_hdr *v)
{
	uint16_t sum;

	sum = in_cksum_skip(m, m->m_pkthdr.len, v->csum_start);
	if (sum == 0 && v->csum_offset == offsetof(struct udphdr, uh_sum))
		sum = 0xffff;
	m_copyback(m, v->csum_start + v->csum_offset, sizeof(sum),
	    (c_caddr_t)&sum);
}

/*
 * As tcp_output() and ip_output() would have asked for it.  False: neither the
 * hardware nor we can do it.
 */
bool
iftap_ask(struct ifnet *ifp, struct mbuf *m, const struct vnet_hdr *v,
    u_long *soft)
{
	struct headers h;
	struct ip *ip;
	uint64_t flag, tso;
	int l4;

	find_headers(m, &h);
	flag = tso = 0;
	if (h.proto == IPPROTO_TCP)
		flag = h.v6 ? CSUM_IP6_TCP : CSUM_IP_TCP;
	else if (h.proto == IPPROTO_UDP)
		flag = h.v6 ? CSUM_IP6_UDP : CSUM_IP_UDP;
	if ((v->flags & VNET_NEEDS_CSUM) == 0)
		return (v->gso == VNET_GSO_NONE);
	l4 = v->csum_start;
	if (v->gso != VNET_GSO_NONE) {
		tso = h.v6 ? CSUM_IP6_TSO : CSUM_IP_TSO;
		if ((ifp->if_hwassist & tso) == 0 ||
		    h.proto != IPPROTO_TCP || l4 != h.l4 || v->gso_size == 0)
			return (false);
	}
	if (l4 != h.l4 || flag == 0 || (ifp->if_hwassist & flag) == 0 ||
	    (h.vlan != 0 && (ifp->if_capenable & IFCAP_VLAN_HWCSUM) == 0)) {
		if (tso != 0)
			return (false);
		++*soft;
		soft_checksum(m, v);
		return (true);
	}
	m->m_pkthdr.csum_flags = flag | tso;
	m->m_pkthdr.csum_data = v->csum_offset;
	m->m_pkthdr.tso_segsz = tso != 0 ? v->gso_size : 0;
	if (!h.v6 && (ifp->if_hwassist & CSUM_IP) != 0) {
		ip = (struct ip *)(m->m_data + h.l3);
		ip->ip_sum = 0;
		m->m_pkthdr.csum_flags |= CSUM_IP;
	}
	return (true);
}

/* A tag goes beside the frame where the hardware puts it back. */
void
iftap_take_tag(struct ifnet *ifp, struct mbuf *m)
{
	uint8_t *p;

	p = mtod(m, uint8_t *);
	if ((ifp->if_capenable & IFCAP_VLAN_HWTAGGING) == 0 ||
	    m->m_len < ETHER_HDR_LEN + 4 || be16dec(p + 12) != ETHERTYPE_VLAN)
		return;
	m->m_pkthdr.ether_vtag = be16dec(p + 14);
	m->m_flags |= M_VLANTAG;
	memmove(p + 4, p, 12);
	m_adj(m, 4);
}
