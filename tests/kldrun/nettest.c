/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * nettest.c: a FreeBSD kernel module that exercises the network interfaces of
 * kldrun: mbuf(9), tcp_lro(9), ifnet(9) and buf_ring(9). nettest0 says
 * "nettest0: NAME ok" for each or fails to attach; then the interface nt0 is
 * there, which gives back what is sent, and keeps an mbuf when
 * hw.nettest.leak is set.
 */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/bus.h>
#include <sys/buf_ring.h>
#include <sys/epoch.h>
#include <sys/kernel.h>
#include <sys/lock.h>
#include <sys/malloc.h>
#include <sys/mbuf.h>
#include <sys/module.h>
#include <sys/mutex.h>
#include <sys/socket.h>
#include <sys/sockio.h>
#include <sys/sysctl.h>
#include <net/if.h>
#include <net/if_var.h>
#include <net/if_dl.h>
#include <net/if_media.h>
#include <net/if_types.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <netinet/in_systm.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <netinet/tcp_lro.h>
#include <machine/in_cksum.h>

static SYSCTL_NODE(_hw, OID_AUTO, nettest, CTLFLAG_RW | CTLFLAG_MPSAFE, NULL,
    "nettest");
static int leak;
SYSCTL_INT(_hw_nettest, OID_AUTO, leak, CTLFLAG_RWTUN, &leak, 0,
    "keep an mbuf");
static int twice;
SYSCTL_INT(_hw_nettest, OID_AUTO, twice, CTLFLAG_RWTUN, &twice, 0,
    "free an mbuf twice");

struct nettest_softc {
	if_t ifp;
	struct ifmedia media;
	int ext_freed;
	/* what if_input was given */
	int frames, bytes, segs;
};

static struct nettest_softc *the;

/* A chain of small pieces with a pattern that depends on the place. */
static struct mbuf *
chain(int len, int piece)
{
	struct mbuf *m, *n, **tail;
	int at, i;

	m = m_gethdr(M_WAITOK, MT_DATA);
	tail = &m->m_next;
	for (at = 0, n = m; at < len;) {
		n->m_len = MIN(piece, len - at);
		for (i = 0; i < n->m_len; i++)
			n->m_data[i] = (at + i) * 7 + ((at + i) >> 8);
		at += n->m_len;
		if (at < len) {
			n = m_get(M_WAITOK, MT_DATA);
			*tail = n;
			tail = &n->m_next;
		}
	}
	m->m_pkthdr.len = len;
	return (m);
}

/* Are these the bytes of chain() from `from' on? */
static bool
right(struct mbuf *m, int from, int len)
{
	int at, i;

	at = from;
	if (m == NULL || m->m_pkthdr.len != len ||
	    (int)m_length(m, NULL) != len)
		return (false);
	for (; m != NULL; m = m->m_next)
		for (i = 0; i < m->m_len; i++, at++)
			if ((uint8_t)m->m_data[i] !=
			    (uint8_t)(at * 7 + (at >> 8)))
				return (false);
	return (true);
}

static void
ext_free(struct mbuf *m)
{
	the->ext_freed++;
	free(m->m_ext.ext_arg1, M_DEVBUF);
}

static int
check_chains(void)
{
	static const int sizes[] = { 1, 60, 128, 500, 1514, 4000, 9014, 65535 };
	struct mbuf *m, *n;
	u_int i;
	int len;

	for (i = 0; i < nitems(sizes); i++) {
		len = sizes[i];
		m = chain(len, 37);
		m = m_defrag(m, M_NOWAIT);
		if (!right(m, 0, len))
			return (10 + i);
		m_freem(m);
		m = m_collapse(chain(len, 91), M_NOWAIT, 8);
		if (!right(m, 0, len))
			return (20 + i);
		m_freem(m);
		m = m_pullup(chain(len, 13), MIN(len, 66));
		if (!right(m, 0, len) || m->m_len < MIN(len, 66))
			return (30 + i);
		m_adj(m, MIN(len, 14));
		if (!right(m, MIN(len, 14), len - MIN(len, 14)))
			return (40 + i);
		m_adj(m, -(len / 3));
		if (!right(m, MIN(len, 14),
		    MAX(0, len - MIN(len, 14) - len / 3)))
			return (50 + i);
		m_freem(m);
		m = m_dup(n = chain(len, 100), M_NOWAIT);
		m_freem(n);
		n = m_split(m, len / 2, M_NOWAIT);
		if (!right(m, 0, len / 2) || !right(n, len / 2, len - len / 2))
			return (60 + i);
		m_catpkt(m, n);
		if (!right(m, 0, len))
			return (70 + i);
		m_freem(m);
	}
	if (m_pullup(chain(20, 7), 40) != NULL)
		return (80);
	return (0);
}

static int
check_storage(void)
{
	struct mbuf *copy, *m;
	struct m_tag *tag;
	void *p;
	int i;

	p = malloc(4096, M_DEVBUF, M_WAITOK);
	m = m_gethdr(M_WAITOK, MT_DATA);
	m_extadd(m, p, 4096, ext_free, p, NULL, 0, EXT_NET_DRV);
	m->m_len = m->m_pkthdr.len = 1000;
	copy = m_copypacket(m, M_NOWAIT);
	if (copy == NULL || M_WRITABLE(m) || copy->m_data != m->m_data)
		return (1);
	m_freem(m);
	if (the->ext_freed != 0 || !M_WRITABLE(copy))
		return (2);
	m_freem(copy);
	if (the->ext_freed != 1)
		return (3);
	m = m_getjcl(M_WAITOK, MT_DATA, M_PKTHDR, MJUM9BYTES);
	if (M_SIZE(m) != MJUM9BYTES || m->m_len != 0 ||
	    (m->m_flags & M_PKTHDR) == 0)
		return (4);
	for (i = 0; i < 3; i++) {
		tag = m_tag_alloc(17, i, 8, M_NOWAIT);
		m_tag_prepend(m, tag);
	}
	copy = m_dup(m, M_NOWAIT);
	if (m_tag_locate(copy, 17, 1, NULL) == NULL ||
	    m_tag_locate(copy, 17, 3, NULL) != NULL)
		return (5);
	m_freem(m);
	m_freem(copy);
	for (i = 0; i < 10000; i++) {
		m = m_getcl(M_NOWAIT, MT_DATA, M_PKTHDR);
		if (m == NULL || M_TRAILINGSPACE(m) != MCLBYTES)
			return (6);
		m_freem(m);
	}
	return (0);
}

/* The plain way, sixteen bits at a time. */
static uint16_t
plain_sum(struct mbuf *m, int len)
{
	uint32_t sum;
	uint8_t *p;
	int i;

	p = malloc(len + 1, M_DEVBUF, M_WAITOK | M_ZERO);
	m_copydata(m, 0, len, p);
	for (i = 0, sum = 0; i < len; i += 2) {
		sum += p[i] | p[i + 1] << 8;
		sum = (sum & 0xffff) + (sum >> 16);
	}
	free(p, M_DEVBUF);
	return (~sum);
}

static int
check_sum(void)
{
	struct mbuf *m;
	int piece;

	for (piece = 1; piece < 120; piece += 2) {
		m = chain(1499, piece);
		if (in_cksum(m, 1499) != plain_sum(m, 1499))
			return (piece);
		m_freem(m);
	}
	return (0);
}

/* LRO */

static void
lro_input(if_t ifp, struct mbuf *m)
{
	the->frames++;
	the->bytes += m->m_pkthdr.len;
	if (m->m_pkthdr.lro_nsegs > the->segs)
		the->segs = m->m_pkthdr.lro_nsegs;
	if (m->m_pkthdr.len > 60 && (int)m_length(m, NULL) !=
	    m->m_pkthdr.len)
		the->frames = -1000;
	m_freem(m);
}

static struct mbuf *
segment(int port, uint32_t seq, int len, int flags)
{
	struct ether_header *eh;
	struct tcphdr *th;
	struct mbuf *m;
	struct ip *ip;

	m = m_getcl(M_WAITOK, MT_DATA, M_PKTHDR);
	m->m_len = m->m_pkthdr.len = 54 + len;
	memset(m->m_data, 0, m->m_len);
	eh = mtod(m, struct ether_header *);
	eh->ether_type = htons(ETHERTYPE_IP);
	ip = (struct ip *)(eh + 1);
	ip->ip_v = 4;
	ip->ip_hl = 5;
	ip->ip_p = IPPROTO_TCP;
	ip->ip_len = htons(40 + len);
	th = (struct tcphdr *)(ip + 1);
	th->th_off = 5;
	th->th_sport = htons(port);
	th->th_seq = htonl(seq);
	tcp_set_flags(th, flags);
	m->m_pkthdr.csum_flags = CSUM_DATA_VALID | CSUM_PSEUDO_HDR;
	return (m);
}

static void
lro_give(struct lro_ctrl *lc, struct mbuf *m)
{
	if (tcp_lro_rx(lc, m, 0) != 0)
		lro_input(lc->ifp, m);
}

static int
check_lro(void)
{
	struct lro_ctrl lc;
	if_t ifp;
	int i;

	ifp = if_alloc(IFT_ETHER);
	if_setinputfn(ifp, lro_input);
	if (tcp_lro_init_args(&lc, ifp, 4, 0) != 0)
		return (1);
	/* Two connections, in order: one frame each. */
	for (i = 0; i < 10; i++) {
		lro_give(&lc, segment(1, i * 1000, 1000, TH_ACK));
		lro_give(&lc, segment(2, i * 500, 500, TH_ACK));
	}
	tcp_lro_flush_all(&lc);
	if (the->frames != 2 || the->bytes != 2 * 54 + 15000 ||
	    the->segs != 10)
		return (2);
	/* A gap, a repeat, a FIN and one without checksum: none joined. */
	the->frames = 0;
	lro_give(&lc, segment(1, 0, 100, TH_ACK));
	lro_give(&lc, segment(1, 200, 100, TH_ACK));
	lro_give(&lc, segment(1, 200, 100, TH_ACK));
	lro_give(&lc, segment(1, 300, 100, TH_ACK | TH_FIN));
	tcp_lro_flush_all(&lc);
	if (the->frames != 4)
		return (3);
	/* The length limit ends a frame. */
	the->frames = 0;
	lc.lro_length_lim = 3000;
	for (i = 0; i < 6; i++)
		lro_give(&lc, segment(1, i * 1000, 1000, TH_ACK));
	tcp_lro_flush_all(&lc);
	if (the->frames != 3)
		return (4);
	/* What is held when the ring goes is freed. */
	lro_give(&lc, segment(1, 0, 100, TH_ACK));
	tcp_lro_free(&lc);
	if_free(ifp);
	return (0);
}

static int
check_ring(void)
{
	struct buf_ring *br;
	struct mtx mtx;
	uintptr_t i;
	int n;

	mtx_init(&mtx, "nettest ring", NULL, MTX_DEF);
	br = buf_ring_alloc(64, M_DEVBUF, M_WAITOK, &mtx);
	for (i = 1; buf_ring_enqueue(br, (void *)i) == 0; i++)
		continue;
	mtx_lock(&mtx);
	for (n = 0; (i = (uintptr_t)buf_ring_dequeue_sc(br)) != 0; n++)
		if ((int)i != n + 1)
			return (1);
	mtx_unlock(&mtx);
	buf_ring_free(br, M_DEVBUF);
	mtx_destroy(&mtx);
	return (n == 63 ? 0 : n);
}

static volatile int called;

static void
on_epoch(epoch_context_t ctx)
{
	called++;
}

static int
check_epoch(void)
{
	static struct epoch_context ctx;
	struct epoch_tracker et, inner;

	NET_EPOCH_ENTER(et);
	NET_EPOCH_ENTER(inner);
	NET_EPOCH_EXIT(inner);
	if (!in_epoch(net_epoch_preempt))
		return (1);
	NET_EPOCH_CALL(on_epoch, &ctx);
	pause("nettst", hz / 20);
	if (called != 0)
		return (2);
	NET_EPOCH_EXIT(et);
	if (in_epoch(net_epoch_preempt))
		return (3);
	NET_EPOCH_WAIT();
	NET_EPOCH_DRAIN_CALLBACKS();
	return (called == 1 ? 0 : 4);
}

/* The interface: what is sent comes back. */

static int
nt_transmit(if_t ifp, struct mbuf *m)
{
	if_inc_counter(ifp, IFCOUNTER_OPACKETS, 1);
	if_inc_counter(ifp, IFCOUNTER_OBYTES, m->m_pkthdr.len);
	ETHER_BPF_MTAP(ifp, m);
	m->m_pkthdr.rcvif = ifp;
	m->m_pkthdr.csum_flags = 0;
	if_input(ifp, m);
	return (0);
}

static void
nt_qflush(if_t ifp)
{
}

static int
nt_media_change(if_t ifp)
{
	return (0);
}

static void
nt_media_status(if_t ifp, struct ifmediareq *r)
{
	r->ifm_status = IFM_AVALID | IFM_ACTIVE;
	r->ifm_active = IFM_ETHER | IFM_10G_T | IFM_FDX;
}

static int
nt_ioctl(if_t ifp, u_long cmd, caddr_t data)
{
	struct nettest_softc *sc;
	struct ifreq *ifr;

	sc = if_getsoftc(ifp);
	ifr = (struct ifreq *)data;
	switch (cmd) {
	case SIOCSIFMTU:
		if (ifr->ifr_mtu > 9000)
			return (EINVAL);
		if_setmtu(ifp, ifr->ifr_mtu);
		return (0);
	case SIOCSIFFLAGS:
		if_setdrvflagbits(ifp,
		    (if_getflags(ifp) & IFF_UP) != 0 ? IFF_DRV_RUNNING : 0,
		    (if_getflags(ifp) & IFF_UP) != 0 ? 0 : IFF_DRV_RUNNING);
		return (0);
	case SIOCSIFCAP:
		if_setcapenable(ifp, ifr->ifr_reqcap);
		return (0);
	case SIOCADDMULTI:
	case SIOCDELMULTI:
		return (0);
	case SIOCGIFMEDIA:
	case SIOCSIFMEDIA:
		return (ifmedia_ioctl(ifp, ifr, &sc->media, cmd));
	default:
		return (ether_ioctl(ifp, cmd, data));
	}
}

static const struct {
	const char *name;
	int (*check)(void);
} checks[] = {
	{ "chains", check_chains },
	{ "storage", check_storage },
	{ "checksum", check_sum },
	{ "lro", check_lro },
	{ "rings", check_ring },
	{ "epoch", check_epoch },
};

static void
nettest_identify(driver_t *driver, device_t parent)
{
	if (device_find_child(parent, "nettest", -1) == NULL)
		device_add_child(parent, "nettest", 0);
}

static int
nettest_probe(device_t dev)
{
	device_set_desc(dev, "kldrun network test device");
	return (BUS_PROBE_NOWILDCARD);
}

static int
nettest_attach(device_t dev)
{
	static const uint8_t mac[] = { 2, 0, 0, 0, 0, 7 };
	struct nettest_softc *sc;
	struct mbuf *m;
	u_int i;
	int error;

	the = sc = device_get_softc(dev);
	for (i = 0; i < nitems(checks); i++) {
		error = checks[i].check();
		if (error != 0) {
			device_printf(dev, "%s failed at %d\n",
			    checks[i].name, error);
			return (EIO);
		}
		device_printf(dev, "%s ok\n", checks[i].name);
	}
	if (leak)
		m = m_getcl(M_WAITOK, MT_DATA, M_PKTHDR);
	if (twice) {
		m = m_gethdr(M_WAITOK, MT_DATA);
		m_freem(m);
		m->m_flags = 0;
		m->m_next = NULL;
		m_freem(m);
	}
	sc->ifp = if_alloc(IFT_ETHER);
	if_initname(sc->ifp, "nt", 0);
	if_setsoftc(sc->ifp, sc);
	if_setflags(sc->ifp, IFF_BROADCAST | IFF_SIMPLEX | IFF_MULTICAST);
	if_setcapabilities(sc->ifp, IFCAP_LRO | IFCAP_VLAN_HWTAGGING);
	if_setcapenable(sc->ifp, IFCAP_LRO);
	if_setioctlfn(sc->ifp, nt_ioctl);
	if_settransmitfn(sc->ifp, nt_transmit);
	if_setqflushfn(sc->ifp, nt_qflush);
	ifmedia_init(&sc->media, 0, nt_media_change, nt_media_status);
	ifmedia_add(&sc->media, IFM_ETHER | IFM_AUTO, 0, NULL);
	ifmedia_set(&sc->media, IFM_ETHER | IFM_AUTO);
	ether_ifattach(sc->ifp, mac);
	if_link_state_change(sc->ifp, LINK_STATE_UP);
	return (0);
}

static int
nettest_detach(device_t dev)
{
	struct nettest_softc *sc;

	sc = device_get_softc(dev);
	ether_ifdetach(sc->ifp);
	ifmedia_removeall(&sc->media);
	if_free(sc->ifp);
	return (0);
}

static device_method_t nettest_methods[] = {
	DEVMETHOD(device_identify, nettest_identify),
	DEVMETHOD(device_probe, nettest_probe),
	DEVMETHOD(device_attach, nettest_attach),
	DEVMETHOD(device_detach, nettest_detach),
	DEVMETHOD_END
};

static driver_t nettest_driver = {
	"nettest", nettest_methods, sizeof(struct nettest_softc)
};

DRIVER_MODULE(nettest, nexus, nettest_driver, NULL, NULL);
MODULE_VERSION(nettest, 1);
