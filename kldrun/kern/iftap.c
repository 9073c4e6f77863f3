/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * iftap.c: an interface outside: a Linux tap whose network stack takes the
 * place of FreeBSD's. What the driver hands to if_input() is written to the
 * tap, what Linux sends there goes to if_transmit(); iftap_frame.c translates
 * what is left to the hardware.
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

#define	MAXQUEUES	16
#define	PIECES		17		/* a cluster and 16 pages: 67,584 */
#define	FOLLOW_NS	200000000ull
#define	BUSY_NS		50000ull	/* pause when the driver is full */

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

/*
 * To Linux.
 */

void
iftap_input(struct kif *k, struct mbuf *m)
{
	struct os_iovec iov[40];
	struct vnet_hdr v;
	struct iftap *it;
	struct mbuf *n;
	uint8_t head[16];
	int i, skip;

	it = k->tap;
	if (it == NULL || (k->ifnet.if_flags & IFF_UP) == 0) {
		m_freem(m);
		return;
	}
	if (!M_WRITABLE(m) || m->m_len < MIN(m->m_pkthdr.len, 128)) {
		n = m_pullup(m, MIN(m->m_pkthdr.len, 128));
		if (n == NULL) {
			it->in_drop++;
			return;
		}
		m = n;
	}
	iftap_believe(&k->ifnet, m, &v);
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

static void
transmit(struct queue *q, struct mbuf *m, const struct vnet_hdr *v)
{
	struct epoch_tracker et;
	struct iftap *it;
	struct ifnet *ifp;
	int error;

	it = q->it;
	ifp = &it->kif->ifnet;
	if (!iftap_ask(ifp, m, v, &it->out_soft)) {
		it->out_drop++;
		m_freem(m);
		return;
	}
	iftap_take_tag(ifp, m);
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
	sx_xlock(&kif_config);
	if (k->dying || os_tap_state(it->tap, &now) != 0) {
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
