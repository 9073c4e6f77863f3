/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * tcp_lro.c: tcp_lro(9): segments of one connection that follow each other
 * are joined before they go up. Joined are only segments that carry data, have
 * a checksum the hardware has checked, no flags but ACK and PSH, no options but
 * a time stamp, and follow the last one without a gap. Everything else goes up
 * behind what is held of its connection, so that order is kept.
 *
 * An lro_ctrl belongs to one receive ring and has no lock.
 */

#include "net.h"
#include <netinet/in.h>
#include <netinet/in_systm.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <netinet/tcp_lro.h>
#include <machine/in_cksum.h>

static MALLOC_DEFINE(M_LRO, "LRO", "LRO control structures");

long tcplro_stacks_wanting_mbufq;
int (*tcp_lro_flush_tcphpts)(struct lro_ctrl *, struct lro_entry *);

int
tcp_lro_init_args(struct lro_ctrl *lc, struct ifnet *ifp, unsigned entries,
    unsigned mbufs)
{
	struct lro_entry *le;
	unsigned i;

	memset(lc, 0, sizeof(*lc));
	lc->ifp = ifp;
	lc->lro_cnt = entries;
	lc->lro_mbuf_max = mbufs;
	lc->lro_ackcnt_lim = TCP_LRO_ACKCNT_MAX;
	lc->lro_length_lim = TCP_LRO_LENGTH_MAX;
	LIST_INIT(&lc->lro_free);
	LIST_INIT(&lc->lro_active);
	if (entries == 0)
		return (0);
	le = malloc(entries * sizeof(*le), M_LRO, M_NOWAIT | M_ZERO);
	if (le == NULL)
		return (ENOMEM);
	lc->lro_mbuf_data = (struct lro_mbuf_sort *)le;
	for (i = 0; i < entries; i++)
		LIST_INSERT_HEAD(&lc->lro_free, &le[i], next);
	return (0);
}

int
tcp_lro_init(struct lro_ctrl *lc)
{
	return (tcp_lro_init_args(lc, NULL, TCP_LRO_ENTRIES, 0));
}

struct seg {
	struct lro_parser p;
	int l3, l4, hdr, len;		/* bytes; len: of TCP's data */
	bool stamp;
	uint32_t tsval, tsecr;
};

/* A bare time stamp is the one option a joined segment may have. */
static bool
parse_options(struct seg *s)
{
	const uint32_t *opt;

	opt = (const uint32_t *)(s->p.tcp + 1);
	s->stamp = false;
	if (s->p.tcp->th_off == 5)
		return (true);
	if (s->p.tcp->th_off != 8 || opt[0] != TCP_LRO_TS_OPTION)
		return (false);
	s->stamp = true;
	s->tsval = ntohl(opt[1]);
	s->tsecr = ntohl(opt[2]);
	return (true);
}

static bool
parse4(const struct mbuf *m, struct seg *s)
{
	const struct ip *ip;

	ip = s->p.ip4;
	if (m->m_len < s->l3 + (int)sizeof(*ip) || ip->ip_v != 4 ||
	    ip->ip_hl != 5 || ip->ip_p != IPPROTO_TCP ||
	    (ntohs(ip->ip_off) & (IP_MF | IP_OFFMASK)) != 0)
		return (false);
	s->l4 = s->l3 + sizeof(*ip);
	s->len = ntohs(ip->ip_len) - sizeof(*ip);
	s->p.data.lro_type = LRO_TYPE_IPV4_TCP;
	s->p.data.s_addr.v4 = ip->ip_src;
	s->p.data.d_addr.v4 = ip->ip_dst;
	return (true);
}

static bool
parse6(const struct mbuf *m, struct seg *s)
{
	const struct ip6_hdr *ip6;

	ip6 = s->p.ip6;
	if (m->m_len < s->l3 + (int)sizeof(*ip6) ||
	    ip6->ip6_nxt != IPPROTO_TCP)
		return (false);
	s->l4 = s->l3 + sizeof(*ip6);
	s->len = ntohs(ip6->ip6_plen);
	s->p.data.lro_type = LRO_TYPE_IPV6_TCP;
	s->p.data.s_addr.v6 = ip6->ip6_src;
	s->p.data.d_addr.v6 = ip6->ip6_dst;
	return (true);
}

/* Whose segment this is; false: not one of TCP. */
static bool
parse(struct mbuf *m, struct seg *s)
{
	const struct ether_header *eh;

	memset(s, 0, sizeof(*s));
	if (m->m_len < ETHER_HDR_LEN)
		return (false);
	eh = mtod(m, const struct ether_header *);
	s->l3 = ETHER_HDR_LEN;
	s->p.l3 = (uint8_t *)m->m_data + s->l3;
	if ((m->m_flags & M_VLANTAG) != 0)
		s->p.data.vlan_id = m->m_pkthdr.ether_vtag;
	if (eh->ether_type == htons(ETHERTYPE_IP) ? !parse4(m, s) :
	    eh->ether_type != htons(ETHERTYPE_IPV6) || !parse6(m, s))
		return (false);
	s->p.l4 = (uint8_t *)m->m_data + s->l4;
	if (m->m_len < s->l4 + (int)sizeof(struct tcphdr))
		return (false);
	s->hdr = s->l4 + s->p.tcp->th_off * 4;
	s->len -= s->p.tcp->th_off * 4;
	s->p.data.s_port = s->p.tcp->th_sport;
	s->p.data.d_port = s->p.tcp->th_dport;
	return (s->p.tcp->th_off >= 5 && m->m_len >= s->hdr && s->len >= 0 &&
	    s->hdr + s->len <= m->m_pkthdr.len);
}

/* The head's header states what the whole has. */
static void
finish_head(struct lro_entry *le)
{
	struct tcphdr *th;
	struct mbuf *m;
	struct ip *ip;
	int len;

	m = le->m_head;
	th = le->outer.tcp;
	len = m->m_pkthdr.len - ETHER_HDR_LEN;
	if (le->outer.data.lro_type == LRO_TYPE_IPV4_TCP) {
		ip = le->outer.ip4;
		ip->ip_len = htons(len);
		ip->ip_sum = 0;
		ip->ip_sum = in_cksum_hdr(ip);
	} else
		le->outer.ip6->ip6_plen = htons(len -
		    sizeof(struct ip6_hdr));
	th->th_ack = htonl(le->ack_seq);
	th->th_win = le->window;
	if (le->timestamp) {
		((uint32_t *)(th + 1))[1] = htonl(le->tsval);
		((uint32_t *)(th + 1))[2] = htonl(le->tsecr);
	}
	m->m_pkthdr.lro_nsegs = le->uncompressed;
}

static void
flush_entry(struct lro_ctrl *lc, struct lro_entry *le)
{
	struct mbuf *m;

	LIST_REMOVE(le, next);
	if (le->uncompressed > 1)
		finish_head(le);
	m = le->m_head;
	memset(le, 0, sizeof(*le));
	LIST_INSERT_HEAD(&lc->lro_free, le, next);
	lc->lro_flushed++;
	lc->ifp->if_input(lc->ifp, m);
}

static bool
joinable(const struct mbuf *m, struct seg *s)
{
	const int good = CSUM_DATA_VALID | CSUM_PSEUDO_HDR;

	return (s->len > 0 && parse_options(s) &&
	    (m->m_pkthdr.csum_flags & good) == good &&
	    (tcp_get_flags(s->p.tcp) & ~(TH_ACK | TH_PUSH)) == 0 &&
	    (tcp_get_flags(s->p.tcp) & TH_ACK) != 0);
}

static bool
follows(const struct lro_ctrl *lc, const struct lro_entry *le,
    const struct seg *s)
{
	return (ntohl(s->p.tcp->th_seq) == le->next_seq &&
	    le->timestamp == s->stamp &&
	    (!s->stamp || (int32_t)(s->tsval - le->tsval) >= 0) &&
	    (int32_t)(ntohl(s->p.tcp->th_ack) - le->ack_seq) >= 0 &&
	    s->len <= le->m_head->m_pkthdr.lro_tcp_d_len &&
	    le->m_head->m_pkthdr.len + s->len <= (int)lc->lro_length_lim &&
	    le->uncompressed < lc->lro_ackcnt_lim);
}

static void
join(struct lro_ctrl *lc, struct lro_entry *le, struct mbuf *m,
    const struct seg *s)
{
	int psh, shorter;

	psh = tcp_get_flags(s->p.tcp) & TH_PUSH;
	shorter = s->len < le->m_head->m_pkthdr.lro_tcp_d_len;
	le->next_seq += s->len;
	le->ack_seq = ntohl(s->p.tcp->th_ack);
	le->window = s->p.tcp->th_win;
	le->tsval = s->tsval;
	le->tsecr = s->tsecr;
	le->uncompressed++;
	if (psh != 0)
		tcp_set_flags(le->outer.tcp, tcp_get_flags(le->outer.tcp) |
		    TH_PUSH);
	/* What follows the data is the frame's padding. */
	if (m->m_pkthdr.len > s->hdr + s->len)
		m_adj(m, -(m->m_pkthdr.len - s->hdr - s->len));
	m_adj(m, s->hdr);
	le->m_head->m_pkthdr.len += s->len;
	m_demote_pkthdr(m);
	le->m_tail->m_next = m;
	le->m_tail = m_last(m);
	if (psh != 0 || shorter)
		flush_entry(lc, le);
}

static bool
hold(struct lro_ctrl *lc, struct mbuf *m, const struct seg *s)
{
	struct lro_entry *le;

	le = LIST_FIRST(&lc->lro_free);
	if (le == NULL || m->m_pkthdr.len > s->hdr + s->len ||
	    (tcp_get_flags(s->p.tcp) & TH_PUSH) != 0)
		return (false);
	LIST_REMOVE(le, next);
	le->m_head = m;
	le->m_tail = m_last(m);
	le->outer = s->p;
	le->next_seq = ntohl(s->p.tcp->th_seq) + s->len;
	le->ack_seq = ntohl(s->p.tcp->th_ack);
	le->window = s->p.tcp->th_win;
	le->timestamp = s->stamp;
	le->tsval = s->tsval;
	le->tsecr = s->tsecr;
	le->uncompressed = 1;
	getbinuptime(&le->alloc_time);
	m->m_pkthdr.lro_tcp_d_len = s->len;
	LIST_INSERT_HEAD(&lc->lro_active, le, next);
	lc->lro_queued++;
	return (true);
}

/* 0: the segment is held. Else the caller hands it up, now. */
int
tcp_lro_rx(struct lro_ctrl *lc, struct mbuf *m, uint32_t csum)
{
	struct lro_entry *le;
	struct seg s;

	if (lc->lro_cnt == 0 || !parse(m, &s))
		return (TCP_LRO_NOT_SUPPORTED);
	LIST_FOREACH(le, &lc->lro_active, next)
		if (lro_address_compare(&le->outer.data, &s.p.data))
			break;
	if (le != NULL && joinable(m, &s) && follows(lc, le, &s)) {
		join(lc, le, m, &s);
		return (0);
	}
	if (le != NULL)
		flush_entry(lc, le);
	if (!joinable(m, &s) || !M_WRITABLE(m))
		return (TCP_LRO_CANNOT);
	return (hold(lc, m, &s) ? 0 : TCP_LRO_NO_ENTRIES);
}

void
tcp_lro_queue_mbuf(struct lro_ctrl *lc, struct mbuf *m)
{
	if (tcp_lro_rx(lc, m, 0) != 0)
		lc->ifp->if_input(lc->ifp, m);
}

void
tcp_lro_flush_all(struct lro_ctrl *lc)
{
	struct lro_entry *le;

	while ((le = LIST_FIRST(&lc->lro_active)) != NULL)
		flush_entry(lc, le);
}

void
tcp_lro_flush_inactive(struct lro_ctrl *lc, const struct timeval *timeout)
{
	struct bintime bt, now;
	struct lro_entry *le, *next;

	getbinuptime(&now);
	timeval2bintime(timeout, &bt);
	bintime_sub(&now, &bt);
	LIST_FOREACH_SAFE(le, &lc->lro_active, next, next)
		if (bintime_cmp(&now, &le->alloc_time, >=))
			flush_entry(lc, le);
}

void
tcp_lro_free(struct lro_ctrl *lc)
{
	struct lro_entry *le;

	while ((le = LIST_FIRST(&lc->lro_active)) != NULL) {
		LIST_REMOVE(le, next);
		m_freem(le->m_head);
	}
	free(lc->lro_mbuf_data, M_LRO);
	lc->lro_mbuf_data = NULL;
	LIST_INIT(&lc->lro_free);
	lc->lro_cnt = 0;
}
