/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * What hn(4) leaves to the host: checksums, segmentation, VLAN tags; what
 * ifconfig(8) may switch, and how a frame says what it asks for or what was
 * checked.
 *
 * Locking: capabilities change under sc_cfg; frames belong to their caller.
 */

#include "hn_var.h"

#include <net/if_var.h>
#include <netinet6/ip6_var.h>
#include <machine/in_cksum.h>

#define	HN_CAPS_ALWAYS	(IFCAP_VLAN_MTU | IFCAP_VLAN_HWTAGGING |	\
			    IFCAP_JUMBO_MTU | IFCAP_LINKSTATE | IFCAP_LRO)

#define	HN_OFF_TX4	(HVK_OFF_TX_IP4 | HVK_OFF_TX_TCP4 | HVK_OFF_TX_UDP4)
#define	HN_OFF_TX6	(HVK_OFF_TX_TCP6 | HVK_OFF_TX_UDP6)
#define	HN_OFF_RX4	(HVK_OFF_RX_IP4 | HVK_OFF_RX_TCP4 | HVK_OFF_RX_UDP4)
#define	HN_OFF_RX6	(HVK_OFF_RX_TCP6 | HVK_OFF_RX_UDP6)

static const struct {
	int		cap;
	uint32_t	off;
} hn_caps[] = {
	{ IFCAP_TXCSUM, HN_OFF_TX4 },
	{ IFCAP_TXCSUM_IPV6, HN_OFF_TX6 },
	{ IFCAP_RXCSUM, HN_OFF_RX4 },
	{ IFCAP_RXCSUM_IPV6, HN_OFF_RX6 },
	{ IFCAP_TSO4, HVK_OFF_LSO4 },
	{ IFCAP_TSO6, HVK_OFF_LSO6 },
};

static const struct {
	uint32_t	off;
	int		csum;
} hn_assist[] = {
	{ HVK_OFF_TX_IP4, CSUM_IP },
	{ HVK_OFF_TX_TCP4, CSUM_IP_TCP },
	{ HVK_OFF_TX_UDP4, CSUM_IP_UDP },
	{ HVK_OFF_TX_TCP6, CSUM_IP6_TCP },
	{ HVK_OFF_TX_UDP6, CSUM_IP6_UDP },
	{ HVK_OFF_LSO4, CSUM_IP_TSO },
	{ HVK_OFF_LSO6, CSUM_IP6_TSO },
};

/* What the host was told to do for frames that we send. */
static void
hn_offload_assist(struct hn_softc *sc)
{
	int assist;
	u_int i;

	assist = 0;
	for (i = 0; i < nitems(hn_assist); i++)
		if ((sc->sc_nv.offloads & hn_assist[i].off) != 0)
			assist |= hn_assist[i].csum;
	if_clearhwassist(sc->sc_ifp);
	if_sethwassistbits(sc->sc_ifp, assist, 0);
}

static u_int
hn_offload_tso_max(const struct hn_softc *sc)
{
	u_int max;

	max = IP_MAXPACKET;
	if ((sc->sc_nv.offload.can & HVK_OFF_LSO4) != 0)
		max = MIN(max, sc->sc_nv.offload.lso4_max);
	if ((sc->sc_nv.offload.can & HVK_OFF_LSO6) != 0)
		max = MIN(max, sc->sc_nv.offload.lso6_max);
	if (hn_tso_maxlen > 0)
		max = MIN(max, (u_int)hn_tso_maxlen);
	return (max - (ETHER_HDR_LEN + ETHER_VLAN_ENCAP_LEN));
}

/* All that the host can do is on from the start. */
void
hn_offload_init(struct hn_softc *sc)
{
	int caps;
	u_int i;

	caps = HN_CAPS_ALWAYS;
	for (i = 0; i < nitems(hn_caps); i++)
		if ((sc->sc_nv.offload.can & hn_caps[i].off) != 0)
			caps |= hn_caps[i].cap;
	/* The tag is beside the frame, so these work with it as without. */
	if ((caps & (IFCAP_TXCSUM | IFCAP_TXCSUM_IPV6)) != 0)
		caps |= IFCAP_VLAN_HWCSUM;
	if ((caps & IFCAP_TSO) != 0)
		caps |= IFCAP_VLAN_HWTSO;
	if_setcapabilities(sc->sc_ifp, caps);
	if_setcapenable(sc->sc_ifp, caps);
	hn_offload_assist(sc);
	if_sethwtsomax(sc->sc_ifp, hn_offload_tso_max(sc));
	if_sethwtsomaxsegcount(sc->sc_ifp, HN_SEGS);
	if_sethwtsomaxsegsize(sc->sc_ifp, PAGE_SIZE);
}

/* After the interface came back from a change of the MTU. */
void
hn_offload_apply(struct hn_softc *sc)
{
	hn_offload_assist(sc);
}

static int
hn_offload_call(struct hn_softc *sc, void *arg)
{
	return (hvk_netvsc_set_offloads(&sc->sc_nv, *(uint32_t *)arg,
	    hn_now()));
}

/* sc_cfg is held. */
int
hn_offload_set(struct hn_softc *sc, int cap)
{
	uint32_t off, on;
	int error;
	u_int i;

	/* Segments without checksums make no sense. */
	if ((cap & IFCAP_TXCSUM) == 0)
		cap &= ~IFCAP_TSO4;
	if ((cap & IFCAP_TXCSUM_IPV6) == 0)
		cap &= ~IFCAP_TSO6;
	off = 0;
	for (i = 0; i < nitems(hn_caps); i++)
		if ((cap & hn_caps[i].cap) == 0)
			off |= hn_caps[i].off;
	on = HVK_OFF_ALL & ~off & ~(sc->sc_rsc ? 0 :
	    HVK_OFF_RSC4 | HVK_OFF_RSC6) &
	    ~(hn_enable_udp4cs ? 0 : HVK_OFF_TX_UDP4) &
	    ~(hn_enable_udp6cs ? 0 : HVK_OFF_TX_UDP6);
	sc->sc_wanted_off = on;
	on &= sc->sc_nv.offload.can;
	if (on != sc->sc_nv.offloads) {
		error = hn_request(sc, hn_offload_call, &on);
		if (error != 0)
			return (error);
	}
	if_setcapenable(sc->sc_ifp, cap);
	hn_offload_assist(sc);
	return (0);
}

/*
 * Sending.
 */
struct hn_headers {
	uint16_t	type;
	int		l3, l4;		/* offsets */
};

/* The IP header, and room for the transport's, in the first mbuf. */
static struct mbuf *
hn_headers_find(struct mbuf *m, struct hn_headers *h)
{
	const struct ether_vlan_header *evl;
	int need;

	if (m->m_len < ETHER_HDR_LEN + ETHER_VLAN_ENCAP_LEN) {
		m = m_pullup(m, ETHER_HDR_LEN + ETHER_VLAN_ENCAP_LEN);
		if (m == NULL)
			return (NULL);
	}
	evl = mtod(m, const struct ether_vlan_header *);
	h->l3 = ETHER_HDR_LEN;
	h->type = ntohs(evl->evl_encap_proto);
	if (h->type == ETHERTYPE_VLAN) {
		h->l3 += ETHER_VLAN_ENCAP_LEN;
		h->type = ntohs(evl->evl_proto);
	}
	need = h->l3 + (h->type == ETHERTYPE_IP ? sizeof(struct ip) :
	    sizeof(struct ip6_hdr));
	if (m->m_len < need) {
		m = m_pullup(m, need);
		if (m == NULL)
			return (NULL);
	}
	h->l4 = need;
	if (h->type == ETHERTYPE_IP)
		h->l4 = h->l3 +
		    (((const struct ip *)mtodo(m, h->l3))->ip_hl << 2);
	need = h->l4 + sizeof(struct tcphdr);
	if (m->m_len < need && m->m_pkthdr.len >= need)
		m = m_pullup(m, need);
	return (m);
}

/*
 * A large send goes without lengths in its headers and with the sum of a
 * pseudo header that has none: each segment gets its own.
 */
static struct mbuf *
hn_offload_tso(struct mbuf *m, const struct hn_headers *h)
{
	struct ip6_hdr *ip6;
	struct tcphdr *th;
	struct mbuf *n;
	struct ip *ip;

	if (!M_WRITABLE(m)) {
		n = m_dup(m, M_NOWAIT);
		m_freem(m);
		m = n;
		if (m == NULL)
			return (NULL);
	}
	if (m->m_len < h->l4 + (int)sizeof(*th)) {
		m = m_pullup(m, h->l4 + sizeof(*th));
		if (m == NULL)
			return (NULL);
	}
	th = (struct tcphdr *)mtodo(m, h->l4);
	if (h->type == ETHERTYPE_IP) {
		ip = (struct ip *)mtodo(m, h->l3);
		ip->ip_len = 0;
		ip->ip_sum = 0;
		th->th_sum = in_pseudo(ip->ip_src.s_addr, ip->ip_dst.s_addr,
		    htons(IPPROTO_TCP));
	} else {
		ip6 = (struct ip6_hdr *)mtodo(m, h->l3);
		ip6->ip6_plen = 0;
		th->th_sum = in6_cksum_pseudo(ip6, 0, IPPROTO_TCP, 0);
	}
	return (m);
}

/* Some hosts drop long datagrams whose checksum they are to make. */
static struct mbuf *
hn_offload_udp(struct mbuf *m, const struct hn_headers *h)
{
	struct mbuf *n;
	uint16_t sum;

	if ((m->m_pkthdr.csum_flags & CSUM_IP_UDP) == 0 ||
	    hn_udpcs_fixup_mtu == 0 ||
	    m->m_pkthdr.len - h->l3 <= hn_udpcs_fixup_mtu)
		return (m);
	if (!M_WRITABLE(m)) {
		n = m_dup(m, M_NOWAIT);
		m_freem(m);
		if (n == NULL)
			return (NULL);
		m = n;
	}
	sum = in_cksum_skip(m, m->m_pkthdr.len, h->l4);
	if (sum == 0)
		sum = 0xffff;
	m_copyback(m, h->l4 + offsetof(struct udphdr, uh_sum), sizeof(sum),
	    (c_caddr_t)&sum);
	m->m_pkthdr.csum_flags &= ~CSUM_IP_UDP;
	counter_u64_add(hn_udpcs_fixup, 1);
	return (m);
}

/* Checksums and segments that a frame asks for.  NULL: it was dropped. */
struct mbuf *
hn_offload_ask(struct mbuf *m, struct hvk_net_meta *meta)
{
	struct hn_headers h;
	uint32_t bits;
	int flags;

	m = hn_headers_find(m, &h);
	if (m == NULL)
		return (NULL);
	flags = m->m_pkthdr.csum_flags;
	if ((flags & CSUM_TSO) != 0) {
		m = hn_offload_tso(m, &h);
		if (m == NULL)
			return (NULL);
		meta->has |= HVK_NET_LSO;
		meta->lso = HVK_LSO_MAKE(m->m_pkthdr.tso_segsz, h.l4,
		    h.type != ETHERTYPE_IP);
		return (m);
	}
	m = hn_offload_udp(m, &h);
	if (m == NULL)
		return (NULL);
	flags = m->m_pkthdr.csum_flags;
	bits = h.type == ETHERTYPE_IP ? HVK_TXCSUM_IPV4 : HVK_TXCSUM_IPV6;
	if ((flags & CSUM_IP) != 0)
		bits |= HVK_TXCSUM_IP;
	if ((flags & (CSUM_IP_TCP | CSUM_IP6_TCP)) != 0)
		bits |= HVK_TXCSUM_TCP;
	if ((flags & (CSUM_IP_UDP | CSUM_IP6_UDP)) != 0)
		bits |= HVK_TXCSUM_UDP;
	if ((flags & HN_CSUM_TX) != 0) {
		meta->has |= HVK_NET_CSUM;
		meta->csum = HVK_TXCSUM_MAKE(bits,
		    (bits & (HVK_TXCSUM_TCP | HVK_TXCSUM_UDP)) != 0 ? h.l4 :
		    0);
	}
	return (m);
}

/*
 * Receiving.
 */

/* Nothing was said: a frame of the host itself, or of a guest beside us. */
static void
hn_offload_trust(struct hn_ring *r, struct mbuf *m)
{
	const struct ip *ip;
	int flags, proto;

	if (m->m_len < ETHER_HDR_LEN + (int)sizeof(*ip) ||
	    mtod(m, const struct ether_header *)->ether_type !=
	    htons(ETHERTYPE_IP))
		return;
	ip = (const struct ip *)mtodo(m, ETHER_HDR_LEN);
	if (ip->ip_v != 4 || ip->ip_hl < 5 ||
	    (ip->ip_off & htons(IP_MF | IP_OFFMASK)) != 0)
		return;
	proto = ip->ip_p;
	flags = 0;
	if ((proto == IPPROTO_TCP && (r->r_trust & HN_TRUST_TCP) != 0) ||
	    (proto == IPPROTO_UDP && (r->r_trust & HN_TRUST_UDP) != 0))
		flags = CSUM_IP_CHECKED | CSUM_IP_VALID | CSUM_DATA_VALID |
		    CSUM_PSEUDO_HDR;
	else if ((r->r_trust & HN_TRUST_IP) != 0)
		flags = CSUM_IP_CHECKED | CSUM_IP_VALID;
	if (flags == 0)
		return;
	r->r_csum_trusted++;
	m->m_pkthdr.csum_flags |= flags;
	m->m_pkthdr.csum_data = 0xffff;
}

void
hn_offload_rx(struct hn_ring *r, struct mbuf *m,
    const struct hvk_net_meta *meta, int cap)
{
	bool v6;

	v6 = mtod(m, const struct ether_header *)->ether_type ==
	    htons(ETHERTYPE_IPV6);
	if ((cap & (v6 ? IFCAP_RXCSUM_IPV6 : IFCAP_RXCSUM)) == 0)
		return;
	if ((meta->has & HVK_NET_CSUM) == 0) {
		hn_offload_trust(r, m);
		return;
	}
	if ((meta->csum & HVK_RXCSUM_IP_OK) != 0 && !v6) {
		m->m_pkthdr.csum_flags |= CSUM_IP_CHECKED | CSUM_IP_VALID;
		r->r_csum_ip++;
	}
	if ((meta->csum & (HVK_RXCSUM_TCP_OK | HVK_RXCSUM_UDP_OK)) == 0)
		return;
	m->m_pkthdr.csum_flags |= CSUM_DATA_VALID | CSUM_PSEUDO_HDR;
	m->m_pkthdr.csum_data = 0xffff;
	if ((meta->csum & HVK_RXCSUM_TCP_OK) != 0)
		r->r_csum_tcp++;
	else
		r->r_csum_udp++;
}
