/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * iftap.c: an interface outside: a Linux tap whose network stack takes the
 * place of FreeBSD's. What the driver hands to if_input() is written to the
 * tap, what Linux sends there goes to if_transmit(). What the one side leaves
 * to the hardware (checksums, segmentation, VLAN tags) is translated from
 * virtio-net's header to mbuf(9)'s and back, so Linux may leave to the driver
 * exactly what FreeBSD could, and trusts what FreeBSD would.
 *
 * `kldrun.tap.hn0' in the kernel environment is NAME[,netns=NS]. There is a
 * queue for each CPU, with a thread that reads it, and one thread that follows
 * what is set on Linux's side: up, MTU, address, groups, promiscuity.
 *
 * Locking: a queue's reader owns its spare mbufs; `seen' belongs to whoever
 * holds kif_config.
 */

#include "net.h"
#include <sys/endian.h>
#include <sys/epoch.h>
#include <netinet/in.h>
#include <netinet/in_systm.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <machine/in_cksum.h>

#define	MAXQUEUES	16
#define	PIECES		17		/* a cluster and 16 pages: 67,584 */
#define	FOLLOW_NS	200000000ull
#define	BUSY_NS		50000ull	/* pause when the driver is full */

struct vnet_hdr {
	uint8_t flags, gso;
	uint16_t hdr_len, gso_size, csum_start, csum_offset;
};
#define	VNET_NEEDS_CSUM	1
#define	VNET_GSO_NONE	0
#define	VNET_GSO_TCPV4	1
#define	VNET_GSO_TCPV6	4
#define	VNET_GSO_ECN	0x80

struct queue {
	struct iftap *it;
	int index;
	struct mbuf *spare[PIECES];
};

struct iftap {
	struct kif *kif;
	struct os_tap *tap;
	int nqueues;
	struct queue queue[MAXQUEUES];
	struct os_tap_state seen;
	bool stopping;
	bool following;
	struct os_lock lock;
	volatile os_u32 threads;
	u_long in, out, in_drop, out_drop, out_soft;
};

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

/*
 * To Linux.
 */

/* What the stack would have believed, Linux is to believe. */
static void
describe_input(struct kif *k, struct mbuf *m, struct headers *h,
    struct vnet_hdr *v)
{
	struct ip *ip;
	int hlen, l4len, mss;

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
	    m->m_pkthdr.len - h->l3 <= (int)k->ifnet.if_mtu)
		return;
	/* Merged: its segments are what their sender made them. */
	hlen = h->l4 + ((struct tcphdr *)(m->m_data + h->l4))->th_off * 4;
	mss = m->m_pkthdr.lro_tcp_d_len;
	if (mss == 0 || mss > (int)k->ifnet.if_mtu)
		mss = k->ifnet.if_mtu - (hlen - h->l3);
	if (mss <= 0)
		return;
	v->gso = h->v6 ? VNET_GSO_TCPV6 : VNET_GSO_TCPV4;
	v->hdr_len = hlen;
	v->gso_size = mss;
}

void
iftap_input(struct kif *k, struct mbuf *m)
{
	struct os_iovec iov[40];
	struct vnet_hdr v;
	struct headers h;
	struct iftap *it;
	struct mbuf *n;
	uint8_t head[16];
	int i, skip;

	it = k->tap;
	if (it == NULL || (k->ifnet.if_flags & IFF_UP) == 0) {
		m_freem(m);
		return;
	}
	memset(&v, 0, sizeof(v));
	if (!M_WRITABLE(m) || m->m_len < MIN(m->m_pkthdr.len, 128)) {
		n = m_pullup(m, MIN(m->m_pkthdr.len, 128));
		if (n == NULL) {
			it->in_drop++;
			return;
		}
		m = n;
	}
	describe_input(k, m, &h, &v);
	i = skip = 0;
	iov[i++] = (struct os_iovec){ &v, sizeof(v) };
	if ((m->m_flags & M_VLANTAG) != 0) {
		memcpy(head, m->m_data, 12);
		be16enc(head + 12, ETHERTYPE_VLAN);
		be16enc(head + 14, m->m_pkthdr.ether_vtag);
		iov[i++] = (struct os_iovec){ head, sizeof(head) };
		skip = 12;
		if (v.csum_start != 0)
			v.csum_start += 4;
		if (v.hdr_len != 0)
			v.hdr_len += 4;
	}
	for (n = m; n != NULL && i < nitems(iov); n = n->m_next, skip = 0)
		iov[i++] = (struct os_iovec){ n->m_data + skip,
		    n->m_len - skip };
	if (n != NULL) {
		n = m_defrag(m, M_NOWAIT);
		if (n != NULL) {
			iftap_input(k, n);
			return;
		}
		it->in_drop++;
	} else if (os_tap_write(it->tap, curcpu, iov, i) != 0)
		it->in_drop++;
	else
		it->in++;
	m_freem(m);
}

/*
 * From Linux.
 */

static bool
refill(struct queue *q)
{
	int i;

	for (i = 0; i < PIECES; i++) {
		if (q->spare[i] != NULL)
			continue;
		q->spare[i] = i == 0 ? m_getcl(M_NOWAIT, MT_DATA, M_PKTHDR) :
		    m_getjcl(M_NOWAIT, MT_DATA, 0, MJUMPAGESIZE);
		if (q->spare[i] == NULL)
			return (false);
	}
	return (true);
}

/* The first `len' bytes of the spare mbufs, as a packet. */
static struct mbuf *
take(struct queue *q, int len)
{
	struct mbuf *m, *top, **tail;
	int i;

	top = NULL;
	tail = &top;
	for (i = 0; i < PIECES && (len > 0 || i == 0); i++) {
		m = q->spare[i];
		q->spare[i] = NULL;
		m->m_len = MIN(len, (int)M_SIZE(m));
		len -= m->m_len;
		*tail = m;
		tail = &m->m_next;
	}
	return (top);
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
static bool
describe_output(struct iftap *it, struct mbuf *m, const struct vnet_hdr *v)
{
	struct ifnet *ifp;
	struct headers h;
	struct ip *ip;
	uint64_t flag, tso;
	int l4;

	ifp = &it->kif->ifnet;
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
		it->out_soft++;
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
static void
take_tag(struct iftap *it, struct mbuf *m)
{
	uint8_t *p;

	p = mtod(m, uint8_t *);
	if ((it->kif->ifnet.if_capenable & IFCAP_VLAN_HWTAGGING) == 0 ||
	    m->m_len < ETHER_HDR_LEN + 4 || be16dec(p + 12) != ETHERTYPE_VLAN)
		return;
	m->m_pkthdr.ether_vtag = be16dec(p + 14);
	m->m_flags |= M_VLANTAG;
	memmove(p + 4, p, 12);
	m_adj(m, 4);
}

static void
transmit(struct queue *q, struct mbuf *m, const struct vnet_hdr *v)
{
	struct epoch_tracker et;
	struct iftap *it;
	struct ifnet *ifp;
	int error;

	it = q->it;
	ifp = &it->kif->ifnet;
	if (!describe_output(it, m, v)) {
		it->out_drop++;
		m_freem(m);
		return;
	}
	take_tag(it, m);
	if ((mtod(m, uint8_t *)[0] & 1) != 0)
		m->m_flags |= M_MCAST;
	m->m_pkthdr.flowid = q->index;
	M_HASHTYPE_SET(m, M_HASHTYPE_OPAQUE);
	NET_EPOCH_ENTER(et);
	error = ifp->if_transmit(ifp, m);
	NET_EPOCH_EXIT(et);
	if (error == 0) {
		it->out++;
		return;
	}
	it->out_drop++;
	os_sleep_until(os_monotonic_ns() + BUSY_NS);
}

static void
thread_over(struct iftap *it)
{
	atomic_subtract_int(&it->threads, 1);
	os_futex_wake(&it->threads, 1);
	kld_thread_end();
}

static void
reader(void *arg)
{
	struct os_iovec iov[PIECES + 1];
	struct vnet_hdr v;
	struct iftap *it;
	struct mbuf *m;
	struct queue *q;
	long len;
	int i;

	q = arg;
	it = q->it;
	while (!it->stopping) {
		if (!refill(q)) {
			os_sleep_until(os_monotonic_ns() + 1000000);
			continue;
		}
		iov[0] = (struct os_iovec){ &v, sizeof(v) };
		for (i = 0; i < PIECES; i++)
			iov[i + 1] = (struct os_iovec){ q->spare[i]->m_data,
			    M_SIZE(q->spare[i]) };
		len = os_tap_read(it->tap, q->index, iov, PIECES + 1);
		if (len < 0)
			break;
		len -= sizeof(v);
		if (len < ETHER_HDR_LEN)
			continue;
		m = take(q, len);
		m->m_pkthdr.len = len;
		transmit(q, m, &v);
	}
	for (i = 0; i < PIECES; i++)
		m_freem(q->spare[i]);
	thread_over(it);
}

/*
 * What is set on Linux's side.
 */

static void
follow(struct iftap *it)
{
	struct os_tap_state now;
	struct os_tap_state *old;
	struct kif *k;
	int set;

	k = it->kif;
	if (os_tap_state(it->tap, &now) != 0)
		return;
	sx_xlock(&kif_config);
	if (k->dying) {
		sx_xunlock(&kif_config);
		return;
	}
	old = &it->seen;
	if (now.mtu != old->mtu && now.mtu != (int)k->ifnet.if_mtu) {
		if (kif_set_mtu(k, now.mtu) != 0)
			(void)os_tap_set_mtu(it->tap, k->ifnet.if_mtu);
	}
	if (memcmp(now.mac, old->mac, 6) != 0) {
		(void)kif_set_mac(k, now.mac);
		if (memcmp(now.mac, IF_LLADDR(&k->ifnet), 6) != 0)
			(void)os_tap_set_mac(it->tap,
			    (os_u8 *)IF_LLADDR(&k->ifnet));
	}
	if (memcmp(now.group, old->group, sizeof(now.group)) != 0)
		(void)kif_set_groups(k, (const uint8_t (*)[6])now.group,
		    now.ngroups);
	if (now.flags != old->flags) {
		set = ((now.flags & OS_TAP_UP) != 0 ? IFF_UP : 0) |
		    ((now.flags & OS_TAP_PROMISC) != 0 ? IFF_PROMISC : 0) |
		    ((now.flags & OS_TAP_ALLMULTI) != 0 ? IFF_ALLMULTI : 0);
		(void)kif_set_flags(k, set,
		    (IFF_UP | IFF_PROMISC | IFF_ALLMULTI) & ~set);
	}
	*old = now;
	sx_xunlock(&kif_config);
}

static void
follower(void *arg)
{
	struct iftap *it;

	it = arg;
	while (!it->stopping) {
		follow(it);
		os_sleep_until(os_monotonic_ns() + FOLLOW_NS);
	}
	thread_over(it);
}

/* The interface changed by itself: Linux's side is told. */
void
iftap_changed(struct kif *k)
{
	struct iftap *it;
	uint64_t assist;
	int what;

	it = k->tap;
	if (it == NULL)
		return;
	assist = k->ifnet.if_hwassist;
	what = (assist & (CSUM_IP_TCP | CSUM_IP_UDP | CSUM_IP6_TCP |
	    CSUM_IP6_UDP)) != 0 ? OS_TAP_CSUM : 0;
	if ((assist & CSUM_IP_TSO) != 0)
		what |= OS_TAP_TSO4;
	if ((assist & CSUM_IP6_TSO) != 0)
		what |= OS_TAP_TSO6;
	/* Linux does not ask by VLAN, so no segmentation for any of them. */
	if ((k->ifnet.if_capenable & IFCAP_VLAN_HWTSO) == 0)
		what &= OS_TAP_CSUM;
	(void)os_tap_offload(it->tap, what);
	if (k->ifnet.if_hw_tsomax != 0)
		(void)os_tap_gso_max(it->tap, MIN(k->ifnet.if_hw_tsomax,
		    65535));
	(void)os_tap_set_mtu(it->tap, k->ifnet.if_mtu);
	(void)os_tap_set_mac(it->tap, (os_u8 *)IF_LLADDR(&k->ifnet));
	(void)os_tap_set_up(it->tap, (k->ifnet.if_flags & IFF_UP) != 0);
	it->seen.mtu = k->ifnet.if_mtu;
	memcpy(it->seen.mac, IF_LLADDR(&k->ifnet), ETHER_ADDR_LEN);
	it->seen.flags &= ~OS_TAP_UP;
	if ((k->ifnet.if_flags & IFF_UP) != 0)
		it->seen.flags |= OS_TAP_UP;
}

void
iftap_link(struct kif *k)
{
	if (k->tap != NULL)
		(void)os_tap_carrier(k->tap->tap,
		    k->ifnet.if_link_state != LINK_STATE_DOWN);
}

static void
start(struct iftap *it, void (*fn)(void *), void *arg, int cpu,
    const char *name)
{
	atomic_add_int(&it->threads, 1);
	if (kld_thread_start(fn, arg, cpu, NULL, NULL, name) != 0)
		atomic_subtract_int(&it->threads, 1);
}

void
iftap_attach(struct kif *k)
{
	char key[40], name[24], spec[256], why[256];
	struct iftap *it;
	int i;

	snprintf(key, sizeof(key), "kldrun.tap.%s", k->ifnet.if_xname);
	if (os_env_get(key, spec, sizeof(spec)) != 0 || spec[0] == '\0')
		return;
	it = os_alloc(sizeof(*it));
	memset(it, 0, sizeof(*it));
	it->kif = k;
	it->nqueues = MIN(mp_ncpus, MAXQUEUES);
	it->tap = os_tap_open(spec, it->nqueues,
	    (os_u8 *)IF_LLADDR(&k->ifnet), why, sizeof(why));
	if (it->tap == NULL) {
		printf("%s: no tap: %s\n", k->ifnet.if_xname, why);
		os_free(it);
		return;
	}
	sx_xlock(&kif_config);
	k->tap = it;
	iftap_changed(k);
	iftap_link(k);
	sx_xunlock(&kif_config);
	for (i = 0; i < it->nqueues; i++) {
		it->queue[i].it = it;
		it->queue[i].index = i;
		snprintf(name, sizeof(name), "%s tap%d", k->ifnet.if_xname,
		    i);
		start(it, reader, &it->queue[i], i, name);
	}
	snprintf(name, sizeof(name), "%s tap", k->ifnet.if_xname);
	start(it, follower, it, -1, name);
}

/* The interface is dying; nobody new finds its tap after this. */
void
iftap_detach(struct kif *k)
{
	struct iftap *it;
	os_u32 n;

	it = k->tap;
	if (it == NULL)
		return;
	it->stopping = true;
	os_tap_stop(it->tap);
	while ((n = it->threads) != 0)
		(void)os_futex_wait(&it->threads, n, os_monotonic_ns() +
		    100000000);
	k->tap = NULL;
	NET_EPOCH_WAIT();
	os_tap_close(it->tap);
	os_free(it);
}

void
iftap_describe(struct kif *k, struct kld_out *o)
{
	struct iftap *it;

	it = k->tap;
	if (it == NULL)
		return;
	kld_outf(o, "\ttap: %s", os_tap_name(it->tap));
	if (os_tap_netns(it->tap)[0] != '\0')
		kld_outf(o, " netns %s", os_tap_netns(it->tap));
	kld_outf(o, ", %d queues, in %lu (dropped %lu), out %lu (dropped %lu, "
	    "checksums by kldrun %lu)\n", it->nqueues, it->in, it->in_drop,
	    it->out, it->out_drop, it->out_soft);
}
