/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * Knobs and counters of hn(4).  The names and meanings under hw.hn and the
 * first groups under dev.hn.N are those that FreeBSD has had since 2016.
 *
 * Locking: counters are read without a lock; a reader may see one that is a
 * few frames old.
 */

#include "hn_var.h"

HVK_SYSCTL_NODE(_hw, hn, CTLFLAG_RD | CTLFLAG_MPSAFE,
    "Hyper-V network interface");

#define	HN_TUNABLE(name, value, flags, text)				\
int hn_##name = (value);						\
SYSCTL_INT(_hw_hn, OID_AUTO, name, flags, &hn_##name, 0, text)

HN_TUNABLE(trust_hosttcp, 1, CTLFLAG_RDTUN,
    "Trust tcp segment verification on host side, when csum info is missing "
    "(global setting)");
HN_TUNABLE(trust_hostudp, 1, CTLFLAG_RDTUN,
    "Trust udp datagram verification on host side, when csum info is missing "
    "(global setting)");
HN_TUNABLE(trust_hostip, 1, CTLFLAG_RDTUN,
    "Trust ip packet verification on host side, when csum info is missing "
    "(global setting)");
HN_TUNABLE(enable_udp4cs, 1, CTLFLAG_RDTUN, "Offload UDP/IPv4 checksum");
HN_TUNABLE(enable_udp6cs, 1, CTLFLAG_RDTUN, "Offload UDP/IPv6 checksum");
HN_TUNABLE(udpcs_fixup_mtu, 1420, CTLFLAG_RWTUN,
    "UDP checksum fixup MTU threshold");
HN_TUNABLE(tso_maxlen, IP_MAXPACKET, CTLFLAG_RDTUN, "TSO burst limit");
HN_TUNABLE(tx_chimney_size, 0, CTLFLAG_RDTUN,
    "Chimney send packet size limit");
HN_TUNABLE(direct_tx_size, 65535, CTLFLAG_RDTUN,
    "Size of the packet for direct transmission");
HN_TUNABLE(lro_entry_count, 128, CTLFLAG_RDTUN, "LRO entry count");
HN_TUNABLE(tx_taskq_cnt, 1, CTLFLAG_RDTUN, "# of TX taskqueues");
HN_TUNABLE(tx_taskq_mode, HN_TASKQ_INDEP, CTLFLAG_RDTUN,
    "TX taskqueue modes: 0 - independent, 1 - share global tx taskqs, "
    "2 - share event taskqs");
HN_TUNABLE(use_txdesc_bufring, 0, CTLFLAG_RD,
    "Use buf_ring for TX descriptors");
HN_TUNABLE(use_if_start, 0, CTLFLAG_RDTUN, "Use if_start TX method");
HN_TUNABLE(chan_cnt, 0, CTLFLAG_RDTUN,
    "# of channels to use; each channel has one RX ring and one TX ring");
HN_TUNABLE(tx_ring_cnt, 0, CTLFLAG_RDTUN, "# of TX rings to use");
HN_TUNABLE(tx_swq_depth, 0, CTLFLAG_RDTUN, "Depth of IFQ or BUFRING");
HN_TUNABLE(tx_agg_size, -1, CTLFLAG_RDTUN,
    "Packet transmission aggregation size limit");
HN_TUNABLE(tx_agg_pkts, -1, CTLFLAG_RDTUN,
    "Packet transmission aggregation count limit");
HN_TUNABLE(recv_size, HN_RECV_SIZE, CTLFLAG_RDTUN,
    "Bytes of the receive buffer");
HN_TUNABLE(send_size, 0, CTLFLAG_RDTUN,
    "Bytes of the send buffer; 0: by the number of rings");
HN_TUNABLE(ring_pages, HN_RING_SIZE / PAGE_SIZE, CTLFLAG_RDTUN,
    "Pages of a channel's ring, each way");
HN_TUNABLE(request_ms, 10000, CTLFLAG_RDTUN,
    "Milliseconds that the host may take for an answer");
HN_TUNABLE(stall_ms, HN_STALL_MS, CTLFLAG_RWTUN,
    "Milliseconds without the end of a send that make an interface lost");
HN_TUNABLE(vf_transparent, 1, CTLFLAG_RDTUN, "Transparent VF mod");
HN_TUNABLE(vf_xpnt_accbpf, 0, CTLFLAG_RDTUN,
    "Accurate BPF for transparent VF");
HN_TUNABLE(vf_xpnt_attwait, 2, CTLFLAG_RWTUN,
    "Extra wait for transparent VF attach routing; unit: seconds");

u_int hn_lro_mbufq_depth;
SYSCTL_UINT(_hw_hn, OID_AUTO, lro_mbufq_depth, CTLFLAG_RDTUN,
    &hn_lro_mbufq_depth, 0, "Depth of LRO mbuf queue");

counter_u64_t hn_udpcs_fixup;
SYSCTL_COUNTER_U64(_hw_hn, OID_AUTO, udpcs_fixup, CTLFLAG_RW, &hn_udpcs_fixup,
    "# of UDP checksum fixup");

static void
hn_counters_init(void *arg __unused)
{
	hn_udpcs_fixup = counter_u64_alloc(M_WAITOK);
	/* Settings that no machine can have are mended, not obeyed. */
	hn_ring_pages = MIN(MAX(hn_ring_pages, 8), 1024);
	hn_recv_size = MIN(MAX(hn_recv_size, 256 * 1024), 31 * 1024 * 1024);
	hn_request_ms = MIN(MAX(hn_request_ms, 100), 120000);
	hn_send_size = MIN(MAX(hn_send_size, 0), 15 * 1024 * 1024);
}
SYSINIT(hn_counters, SI_SUB_DRIVERS, SI_ORDER_FIRST, hn_counters_init, NULL);

static void
hn_counters_fini(void *arg __unused)
{
	counter_u64_free(hn_udpcs_fixup);
}
SYSUNINIT(hn_counters, SI_SUB_DRIVERS, SI_ORDER_FIRST, hn_counters_fini, NULL);

/* hw.hn.vflist, hw.hn.vfmap: this driver has taken over no VF. */
static int
hn_vf_sysctl(SYSCTL_HANDLER_ARGS)
{
	char text[1] = "";

	(void)arg1;
	(void)arg2;
	return (sysctl_handle_string(oidp, text, sizeof(text), req));
}
SYSCTL_PROC(_hw_hn, OID_AUTO, vflist, CTLTYPE_STRING | CTLFLAG_RD |
    CTLFLAG_MPSAFE, NULL, 0, hn_vf_sysctl, "A", "VF list");
SYSCTL_PROC(_hw_hn, OID_AUTO, vfmap, CTLTYPE_STRING | CTLFLAG_RD |
    CTLFLAG_MPSAFE, NULL, 0, hn_vf_sysctl, "A", "VF mapping");

/* arg2 is the offset of a u_long in struct hn_ring: the sum of all. */
static int
hn_sum_sysctl(SYSCTL_HANDLER_ARGS)
{
	struct hn_softc *sc = arg1;
	u_long *counter, sum;
	int error, i;

	sum = 0;
	for (i = 0; i < sc->sc_nrings; i++)
		sum += *(u_long *)((char *)&sc->sc_ring[i] + arg2);
	error = sysctl_handle_long(oidp, &sum, 0, req);
	if (error != 0 || req->newptr == NULL)
		return (error);
	for (i = 0; i < sc->sc_nrings; i++) {
		counter = (u_long *)((char *)&sc->sc_ring[i] + arg2);
		*counter = i == 0 ? sum : 0;
	}
	return (0);
}

/* arg2 is the offset of a uint64_t in struct hn_ring: likewise. */
static int
hn_sum64_sysctl(SYSCTL_HANDLER_ARGS)
{
	struct hn_softc *sc = arg1;
	uint64_t *counter, sum;
	int error, i;

	sum = 0;
	for (i = 0; i < sc->sc_nrings; i++)
		sum += *(uint64_t *)((char *)&sc->sc_ring[i] + arg2);
	error = sysctl_handle_64(oidp, &sum, 0, req);
	if (error != 0 || req->newptr == NULL)
		return (error);
	for (i = 0; i < sc->sc_nrings; i++) {
		counter = (uint64_t *)((char *)&sc->sc_ring[i] + arg2);
		*counter = i == 0 ? sum : 0;
	}
	return (0);
}

/* arg2 is the offset of an int in struct hn_ring, the same in all. */
static int
hn_conf_sysctl(SYSCTL_HANDLER_ARGS)
{
	struct hn_softc *sc = arg1;
	int error, i, value;

	value = *(int *)((char *)&sc->sc_ring[0] + arg2);
	error = sysctl_handle_int(oidp, &value, 0, req);
	if (error != 0 || req->newptr == NULL)
		return (error);
	for (i = 0; i < sc->sc_nrings; i++)
		*(int *)((char *)&sc->sc_ring[i] + arg2) = value;
	return (0);
}

/* arg2 is a HN_TRUST_* bit. */
static int
hn_trust_sysctl(SYSCTL_HANDLER_ARGS)
{
	struct hn_softc *sc = arg1;
	int error, i, on;

	on = (sc->sc_ring[0].r_trust & arg2) != 0;
	error = sysctl_handle_int(oidp, &on, 0, req);
	if (error != 0 || req->newptr == NULL)
		return (error);
	for (i = 0; i < sc->sc_nrings; i++) {
		if (on)
			sc->sc_ring[i].r_trust |= arg2;
		else
			sc->sc_ring[i].r_trust &= ~arg2;
	}
	return (0);
}

static int
hn_lro_length_sysctl(SYSCTL_HANDLER_ARGS)
{
	struct hn_softc *sc = arg1;
	u_int lim;
	int error, i;

	(void)arg2;
	lim = sc->sc_ring[0].r_lro.lro_length_lim;
	error = sysctl_handle_int(oidp, &lim, 0, req);
	if (error != 0 || req->newptr == NULL)
		return (error);
	if (lim < sc->sc_nv.mtu || lim > TCP_LRO_LENGTH_MAX)
		return (EINVAL);
	for (i = 0; i < sc->sc_nrings; i++)
		sc->sc_ring[i].r_lro.lro_length_lim = lim;
	return (0);
}

/* The limit says how many more may join the first. */
static int
hn_lro_ackcnt_sysctl(SYSCTL_HANDLER_ARGS)
{
	struct hn_softc *sc = arg1;
	int error, i, lim;

	(void)arg2;
	lim = sc->sc_ring[0].r_lro.lro_ackcnt_lim + 1;
	error = sysctl_handle_int(oidp, &lim, 0, req);
	if (error != 0 || req->newptr == NULL)
		return (error);
	if (lim < 2 || lim > TCP_LRO_ACKCNT_MAX + 1)
		return (EINVAL);
	for (i = 0; i < sc->sc_nrings; i++)
		sc->sc_ring[i].r_lro.lro_ackcnt_lim = lim - 1;
	return (0);
}

static int
hn_chim_size_sysctl(SYSCTL_HANDLER_ARGS)
{
	struct hn_softc *sc = arg1;
	int error, size;

	(void)arg2;
	size = sc->sc_chim_size;
	error = sysctl_handle_int(oidp, &size, 0, req);
	if (error != 0 || req->newptr == NULL)
		return (error);
	if (size <= 0 || size > (int)sc->sc_nv.send_size)
		return (EINVAL);
	sc->sc_chim_size = size;
	return (0);
}

/* arg2 0: bytes, 1: frames; -1 is "as many as fit". */
static int
hn_agg_sysctl(SYSCTL_HANDLER_ARGS)
{
	struct hn_softc *sc = arg1;
	int error, value;

	value = arg2 == 0 ? sc->sc_agg_size : sc->sc_agg_pkts;
	error = sysctl_handle_int(oidp, &value, 0, req);
	if (error != 0 || req->newptr == NULL)
		return (error);
	if (value < -1)
		return (EINVAL);
	sx_xlock(&sc->sc_cfg);
	if (arg2 == 0)
		sc->sc_agg_size = value;
	else
		sc->sc_agg_pkts = value;
	if (sc->sc_up)
		hn_tx_aggregate(sc);
	sx_xunlock(&sc->sc_cfg);
	return (0);
}

static int
hn_rsc_sysctl(SYSCTL_HANDLER_ARGS)
{
	struct hn_softc *sc = arg1;
	int error, on;
	bool old;

	(void)arg2;
	on = sc->sc_rsc;
	error = sysctl_handle_int(oidp, &on, 0, req);
	if (error != 0 || req->newptr == NULL)
		return (error);
	sx_xlock(&sc->sc_cfg);
	old = sc->sc_rsc;
	sc->sc_rsc = on != 0;
	error = !sc->sc_up ? ENXIO : on != 0 && (sc->sc_nv.offload.can &
	    (HVK_OFF_RSC4 | HVK_OFF_RSC6)) == 0 ? EOPNOTSUPP :
	    hn_offload_set(sc, if_getcapenable(sc->sc_ifp));
	if (error != 0)
		sc->sc_rsc = old;
	sx_xunlock(&sc->sc_cfg);
	return (error);
}

/* Look at the channels now and then, besides the host's signals. */
static void
hn_poll(void *arg)
{
	struct hn_softc *sc = arg;
	int i;

	for (i = 0; i < sc->sc_ninuse; i++)
		hn_kick(&sc->sc_ring[i]);
	mtx_lock(&sc->sc_mtx);
	if (sc->sc_polling != 0 && !sc->sc_stopping)
		callout_reset_sbt(&sc->sc_poll, SBT_1S / sc->sc_polling, 0,
		    hn_poll, sc, 0);
	mtx_unlock(&sc->sc_mtx);
}

static int
hn_polling_sysctl(SYSCTL_HANDLER_ARGS)
{
	struct hn_softc *sc = arg1;
	u_int freq;
	int error;

	(void)arg2;
	freq = sc->sc_polling;
	error = sysctl_handle_int(oidp, &freq, 0, req);
	if (error != 0 || req->newptr == NULL)
		return (error);
	if (freq != 0 && (freq < 100 || freq > 1000000))
		return (EINVAL);
	mtx_lock(&sc->sc_mtx);
	sc->sc_polling = freq;
	if (freq != 0 && !sc->sc_stopping)
		callout_reset_sbt(&sc->sc_poll, SBT_1S / freq, 0, hn_poll, sc,
		    0);
	mtx_unlock(&sc->sc_mtx);
	return (0);
}

#define	HN_CAP_BITS							\
	"\20"								\
	"\1TXIP4CS\2TXTCP4CS\3TXUDP4CS\4TXTCP6CS\5TXUDP6CS\6RXIP4CS"	\
	"\7RXTCP4CS\10RXUDP4CS\11RXTCP6CS\12RXUDP6CS\13TSO4\14TSO6"	\
	"\15RSC4\16RSC6"
#define	HN_FILTER_BITS							\
	"\20\1UCAST\2MCAST\3ALLMCAST\4BCAST\6PROMISC"

enum { HN_SHOW_NDIS, HN_SHOW_CAPS, HN_SHOW_ASSIST, HN_SHOW_FILTER,
    HN_SHOW_NONE };

static int
hn_show_sysctl(SYSCTL_HANDLER_ARGS)
{
	struct hn_softc *sc = arg1;
	char text[256];

	text[0] = '\0';
	switch (arg2) {
	case HN_SHOW_NDIS:
		snprintf(text, sizeof(text), "%u.%u",
		    sc->sc_nv.ndis_version >> 16,
		    sc->sc_nv.ndis_version & 0xffff);
		break;
	case HN_SHOW_CAPS:
		snprintf(text, sizeof(text), "%b", sc->sc_nv.offload.can,
		    HN_CAP_BITS);
		break;
	case HN_SHOW_ASSIST:
		snprintf(text, sizeof(text), "%b",
		    (u_int)if_gethwassist(sc->sc_ifp), CSUM_BITS);
		break;
	case HN_SHOW_FILTER:
		snprintf(text, sizeof(text), "%b", sc->sc_filter,
		    HN_FILTER_BITS);
		break;
	default:
		break;
	}
	return (sysctl_handle_string(oidp, text, sizeof(text), req));
}

/* The host's counters, asked for each time. */
static int
hn_host_sysctl(SYSCTL_HANDLER_ARGS)
{
	struct hn_softc *sc = arg1;
	struct hvk_net_statistics s;
	char text[512];
	int error, i, n;

	sx_xlock(&sc->sc_cfg);
	error = hn_query(sc, (uint32_t)arg2);
	if (error == 0 && hvk_net_statistics_decode(sc->sc_answer,
	    sc->sc_answer_len, &s) != HVK_OK)
		error = EPROTO;
	sx_xunlock(&sc->sc_cfg);
	if (error != 0)
		return (error);
	text[0] = '\0';
	for (i = n = 0; i < HVK_NSTATS; i++)
		if ((s.has & 1u << i) != 0)
			n += snprintf(text + n, sizeof(text) - n, "%s%s %ju",
			    n == 0 ? "" : ", ", hvk_net_stat_name(i),
			    (uintmax_t)s.n[i]);
	return (sysctl_handle_string(oidp, text, sizeof(text), req));
}

struct hn_row {
	const char	*name;
	size_t		 offset;
	const char	*descr;
};

static void
hn_rows(struct hn_softc *sc, struct sysctl_oid_list *child,
    const struct hn_row *row, u_int n, int type,
    int (*handler)(SYSCTL_HANDLER_ARGS), const char *fmt)
{
	u_int i;

	for (i = 0; i < n; i++)
		(void)sysctl_add_oid(&sc->sc_sysctl, child, OID_AUTO,
		    row[i].name, type | CTLFLAG_RW | CTLFLAG_MPSAFE, sc,
		    row[i].offset, handler, fmt, row[i].descr, NULL);
}

static const struct hn_row hn_sums[] = {
	{ "lro_tried", offsetof(struct hn_ring, r_lro_tried),
	    "# of LRO tries" },
	{ "csum_ip", offsetof(struct hn_ring, r_csum_ip), "RXCSUM IP" },
	{ "csum_tcp", offsetof(struct hn_ring, r_csum_tcp), "RXCSUM TCP" },
	{ "csum_udp", offsetof(struct hn_ring, r_csum_udp), "RXCSUM UDP" },
	{ "csum_trusted", offsetof(struct hn_ring, r_csum_trusted),
	    "# of packets that we trust host's csum verification" },
	{ "small_pkts", offsetof(struct hn_ring, r_small_pkts),
	    "# of small packets received" },
	{ "rx_ack_failed", offsetof(struct hn_ring, r_ack_failed),
	    "# of RXBUF ack failures" },
	{ "rx_nombuf", offsetof(struct hn_ring, r_nombuf),
	    "frames lost for want of mbufs" },
	{ "no_txdescs", offsetof(struct hn_ring, r_no_txdescs),
	    "# of times short of TX descs" },
	{ "send_failed", offsetof(struct hn_ring, r_send_failed),
	    "# of hyper-v sending failure" },
	{ "txdma_failed", offsetof(struct hn_ring, r_txdma_failed),
	    "# of TX DMA failure" },
	{ "agg_flush_failed", offsetof(struct hn_ring, r_flush_failed),
	    "# of packet transmission aggregation flush failure" },
	{ "tx_collapsed", offsetof(struct hn_ring, r_tx_collapsed),
	    "# of TX mbuf collapsed" },
	{ "tx_chimney", offsetof(struct hn_ring, r_tx_chimney),
	    "# of chimney send" },
	{ "tx_chimney_tried", offsetof(struct hn_ring, r_tx_chimney_tried),
	    "# of chimney send tries" },
	{ "tx_drops", offsetof(struct hn_ring, r_tx_drops),
	    "frames that found the queue full" },
};

static const struct hn_row hn_sums64[] = {
	{ "lro_queued", offsetof(struct hn_ring, r_lro.lro_queued),
	    "LRO queued" },
	{ "lro_flushed", offsetof(struct hn_ring, r_lro.lro_flushed),
	    "LRO flushed" },
	{ "rx_rejected", offsetof(struct hn_ring, r_rx.rejected),
	    "received ranges that made no sense" },
	{ "rx_broken", offsetof(struct hn_ring, r_rx.broken),
	    "coalesced sequences without begin or end" },
	{ "tx_unknown", offsetof(struct hn_ring, r_tx.unknown),
	    "answers to sends that never were" },
	{ "tx_stale", offsetof(struct hn_ring, r_tx.stale),
	    "answers to sends that came twice or too late" },
	{ "tx_malformed", offsetof(struct hn_ring, r_tx.malformed),
	    "answers to sends that made no sense" },
	{ "tx_refused", offsetof(struct hn_ring, r_tx.failed),
	    "sends that the host refused" },
};

static const struct hn_row hn_confs[] = {
	{ "direct_tx_size", offsetof(struct hn_ring, r_direct_size),
	    "Size of the packet for direct transmission" },
	{ "sched_tx", offsetof(struct hn_ring, r_sched_tx),
	    "Always schedule transmission instead of doing direct "
	    "transmission" },
};

static const struct hn_row hn_trusts[] = {
	{ "trust_hosttcp", HN_TRUST_TCP, "Trust tcp segment verification on "
	    "host side, when csum info is missing" },
	{ "trust_hostudp", HN_TRUST_UDP, "Trust udp datagram verification on "
	    "host side, when csum info is missing" },
	{ "trust_hostip", HN_TRUST_IP, "Trust ip packet verification on "
	    "host side, when csum info is missing" },
};

static const struct hn_row hn_shows[] = {
	{ "ndis_version", HN_SHOW_NDIS, "NDIS version" },
	{ "caps", HN_SHOW_CAPS, "capabilities" },
	{ "hwassist", HN_SHOW_ASSIST, "hwassist" },
	{ "rxfilter", HN_SHOW_FILTER, "rxfilter" },
	{ "vf", HN_SHOW_NONE, "Virtual Function's name" },
	{ "rxvf", HN_SHOW_NONE, "activated Virtual Function's name" },
};

static void
hn_sysctl_ring(struct hn_ring *r, struct sysctl_oid_list *rx,
    struct sysctl_oid_list *tx)
{
	struct sysctl_ctx_list *ctx = &r->r_sc->sc_sysctl;
	struct sysctl_oid_list *c;
	struct sysctl_oid *node;
	char name[8];

	snprintf(name, sizeof(name), "%d", r->r_idx);
	node = SYSCTL_ADD_NODE(ctx, rx, OID_AUTO, name,
	    CTLFLAG_RD | CTLFLAG_MPSAFE, NULL, "");
	if (node == NULL)
		return;
	c = SYSCTL_CHILDREN(node);
	SYSCTL_ADD_ULONG(ctx, c, OID_AUTO, "packets", CTLFLAG_RW,
	    &r->r_rx_pkts, "# of packets received");
	SYSCTL_ADD_ULONG(ctx, c, OID_AUTO, "rss_pkts", CTLFLAG_RW,
	    &r->r_rss_pkts, "# of packets w/ RSS info received");
	SYSCTL_ADD_ULONG(ctx, c, OID_AUTO, "rsc_pkts", CTLFLAG_RW,
	    &r->r_rsc_pkts, "# of RSC packets received");
	SYSCTL_ADD_U64(ctx, c, OID_AUTO, "rsc_drop", CTLFLAG_RD,
	    &r->r_rx.broken, 0, "# of RSC fragments dropped");
	SYSCTL_ADD_INT(ctx, c, OID_AUTO, "pktbuf_len", CTLFLAG_RD,
	    &r->r_pktbuf_len, 0, "Temporary channel packet buffer length");
	node = SYSCTL_ADD_NODE(ctx, tx, OID_AUTO, name,
	    CTLFLAG_RD | CTLFLAG_MPSAFE, NULL, "");
	if (node == NULL)
		return;
	c = SYSCTL_CHILDREN(node);
	SYSCTL_ADD_INT(ctx, c, OID_AUTO, "oactive", CTLFLAG_RD,
	    &r->r_oactive, 0, "over active");
	SYSCTL_ADD_ULONG(ctx, c, OID_AUTO, "packets", CTLFLAG_RW,
	    &r->r_tx_pkts, "# of packets transmitted");
	SYSCTL_ADD_ULONG(ctx, c, OID_AUTO, "sends", CTLFLAG_RW, &r->r_sends,
	    "# of sends");
}

static void
hn_sysctl_rings(struct hn_softc *sc, struct sysctl_oid_list *child)
{
	struct sysctl_ctx_list *ctx = &sc->sc_sysctl;
	struct sysctl_oid *rx, *tx;
	int i;

	rx = SYSCTL_ADD_NODE(ctx, child, OID_AUTO, "rx",
	    CTLFLAG_RD | CTLFLAG_MPSAFE, NULL, "");
	tx = SYSCTL_ADD_NODE(ctx, child, OID_AUTO, "tx",
	    CTLFLAG_RD | CTLFLAG_MPSAFE, NULL, "");
	if (rx == NULL || tx == NULL)
		return;
	for (i = 0; i < sc->sc_nrings; i++)
		hn_sysctl_ring(&sc->sc_ring[i], SYSCTL_CHILDREN(rx),
		    SYSCTL_CHILDREN(tx));
}

/* dev.hn.N.agg_align and friends: numbers of the interface's machine. */
static void
hn_sysctl_numbers(struct hn_softc *sc, struct sysctl_oid_list *child)
{
	const struct {
		const char	*name;
		void		*value;
		const char	*descr;
	} row[] = {
		{ "nvs_version", &sc->sc_nv.version, "NVS version" },
		{ "rndis_agg_size", &sc->sc_nv.max_transfer,
		    "RNDIS offered packet transmission aggregation size "
		    "limit" },
		{ "rndis_agg_pkts", &sc->sc_nv.max_packets,
		    "RNDIS offered packet transmission aggregation count "
		    "limit" },
		{ "rndis_agg_align", &sc->sc_nv.align,
		    "RNDIS packet transmission aggregation alignment" },
		{ "agg_align", &sc->sc_nv.align,
		    "Applied packet transmission aggregation alignment" },
		{ "agg_szmax", &sc->sc_ring[0].r_tx.agg_size,
		    "Applied packet transmission aggregation size" },
		{ "agg_pktmax", &sc->sc_ring[0].r_tx.agg_packets,
		    "Applied packet transmission aggregation packets" },
		{ "tx_chimney_max", &sc->sc_nv.send_size,
		    "Chimney send packet size upper boundary" },
		{ "rx_ring_cnt", &sc->sc_nrings, "# created RX rings" },
		{ "tx_ring_cnt", &sc->sc_nrings, "# created TX rings" },
		{ "rx_ring_inuse", &sc->sc_ninuse, "# used RX rings" },
		{ "tx_ring_inuse", &sc->sc_ntx, "# used TX rings" },
		{ "recv_sections", &sc->sc_nv.recv.count,
		    "sections of the receive buffer" },
		{ "send_sections", &sc->sc_nv.send_count,
		    "sections of the send buffer" },
	};
	u_int i;

	for (i = 0; i < nitems(row); i++)
		SYSCTL_ADD_UINT(&sc->sc_sysctl, child, OID_AUTO, row[i].name,
		    CTLFLAG_RD, row[i].value, 0, row[i].descr);
}

/* Limits of segmentation, which the interface knows. */
static int
hn_tso_sysctl(SYSCTL_HANDLER_ARGS)
{
	struct hn_softc *sc = arg1;
	u_int v;

	v = arg2 == 0 ? if_gethwtsomax(sc->sc_ifp) : arg2 == 1 ?
	    if_gethwtsomaxsegcount(sc->sc_ifp) :
	    if_gethwtsomaxsegsize(sc->sc_ifp);
	return (sysctl_handle_int(oidp, &v, 0, req));
}

static const struct hn_row hn_tsos[] = {
	{ "tso_max", 0, "max TSO size" },
	{ "tso_maxsegcnt", 1, "max # of TSO segments" },
	{ "tso_maxsegsz", 2, "max size of TSO segment" },
};

static void
hn_sysctl_knobs(struct hn_softc *sc, struct sysctl_oid_list *child)
{
	const struct {
		const char	*name;
		int		(*handler)(SYSCTL_HANDLER_ARGS);
		int		arg;
		const char	*descr;
	} row[] = {
		{ "lro_length_lim", hn_lro_length_sysctl, 0,
		    "Max # of data bytes to be aggregated by LRO" },
		{ "lro_ackcnt_lim", hn_lro_ackcnt_sysctl, 0,
		    "Max # of ACKs to be aggregated by LRO" },
		{ "tx_chimney_size", hn_chim_size_sysctl, 0,
		    "Chimney send packet size limit" },
		{ "agg_size", hn_agg_sysctl, 0, "Packet transmission "
		    "aggregation size, 0 -- disable, -1 -- auto" },
		{ "agg_pkts", hn_agg_sysctl, 1, "Packet transmission "
		    "aggregation packets, 0 -- disable, -1 -- auto" },
		{ "polling", hn_polling_sysctl, 0,
		    "Polling frequency: [100,1000000], 0 disable polling" },
		{ "rsc_switch", hn_rsc_sysctl, 0, "RSC switch" },
	};
	u_int i;

	for (i = 0; i < nitems(row); i++)
		SYSCTL_ADD_PROC(&sc->sc_sysctl, child, OID_AUTO, row[i].name,
		    CTLTYPE_INT | CTLFLAG_RW | CTLFLAG_MPSAFE, sc, row[i].arg,
		    row[i].handler, "I", row[i].descr);
}

void
hn_sysctl_attach(struct hn_softc *sc)
{
	static const int txdescs = HN_DESCS;
	struct sysctl_ctx_list *ctx = &sc->sc_sysctl;
	struct sysctl_oid_list *child;
	u_int i;

	child = SYSCTL_CHILDREN(device_get_sysctl_tree(sc->sc_dev));
	hn_rows(sc, child, hn_sums, nitems(hn_sums), CTLTYPE_ULONG,
	    hn_sum_sysctl, "LU");
	hn_rows(sc, child, hn_sums64, nitems(hn_sums64), CTLTYPE_U64,
	    hn_sum64_sysctl, "QU");
	hn_rows(sc, child, hn_confs, nitems(hn_confs), CTLTYPE_INT,
	    hn_conf_sysctl, "I");
	hn_rows(sc, child, hn_trusts, nitems(hn_trusts), CTLTYPE_INT,
	    hn_trust_sysctl, "I");
	for (i = 0; i < nitems(hn_shows); i++)
		SYSCTL_ADD_PROC(ctx, child, OID_AUTO, hn_shows[i].name,
		    CTLTYPE_STRING | CTLFLAG_RD | CTLFLAG_MPSAFE, sc,
		    hn_shows[i].offset, hn_show_sysctl, "A",
		    hn_shows[i].descr);
	for (i = 0; i < nitems(hn_tsos); i++)
		SYSCTL_ADD_PROC(ctx, child, OID_AUTO, hn_tsos[i].name,
		    CTLTYPE_UINT | CTLFLAG_RD | CTLFLAG_MPSAFE, sc,
		    hn_tsos[i].offset, hn_tso_sysctl, "IU",
		    hn_tsos[i].descr);
	hn_sysctl_knobs(sc, child);
	hn_sysctl_numbers(sc, child);
	hn_rss_sysctl(sc, ctx, child);
	/* Names of FreeBSD's that have nothing to say here. */
	SYSCTL_ADD_INT(ctx, child, OID_AUTO, "vf_xpnt_enabled", CTLFLAG_RD,
	    NULL, 0, "Transparent VF enabled");
	SYSCTL_ADD_INT(ctx, child, OID_AUTO, "vf_xpnt_accbpf", CTLFLAG_RW,
	    &hn_vf_xpnt_accbpf, 0, "Accurate BPF for transparent VF");
	SYSCTL_ADD_INT(ctx, child, OID_AUTO, "txdesc_cnt", CTLFLAG_RD,
	    __DECONST(int *, &txdescs), 0, "# of total TX descs");
	SYSCTL_ADD_STRING(ctx, child, OID_AUTO, "friendly_name", CTLFLAG_RD,
	    sc->sc_name, 0, "the interface's name at the host");
	/* Skipped when all are listed: it waits for the host. */
	SYSCTL_ADD_PROC(ctx, child, OID_AUTO, "host_stats", CTLTYPE_STRING |
	    CTLFLAG_RD | CTLFLAG_SKIP | CTLFLAG_MPSAFE, sc,
	    HVK_OID_STATISTICS, hn_host_sysctl,
	    "A", "the host's counters of the interface");
	SYSCTL_ADD_ULONG(ctx, child, OID_AUTO, "mtu_changes", CTLFLAG_RD,
	    &sc->sc_mtu_changes, "changes of the MTU");
	SYSCTL_ADD_ULONG(ctx, child, OID_AUTO, "mtu_rollbacks", CTLFLAG_RD,
	    &sc->sc_mtu_rollbacks, "changes of the MTU that were taken back");
	SYSCTL_ADD_ULONG(ctx, child, OID_AUTO, "restarts", CTLFLAG_RD,
	    &sc->sc_restarts, "starts anew after a channel was lost");
	SYSCTL_ADD_ULONG(ctx, child, OID_AUTO, "nothing", CTLFLAG_RD,
	    &sc->sc_nothing, "packets that answered nothing");
	SYSCTL_ADD_U64(ctx, child, OID_AUTO, "rejected", CTLFLAG_RD,
	    &sc->sc_nv.rejected, 0, "messages that made no sense");
	SYSCTL_ADD_U64(ctx, child, OID_AUTO, "timeouts", CTLFLAG_RD,
	    &sc->sc_nv.timeouts, 0, "requests that the host did not answer");
	SYSCTL_ADD_U64(ctx, child, OID_AUTO, "link_changes", CTLFLAG_RD,
	    &sc->sc_nv.links, 0, "changes of the link");
	hn_sysctl_rings(sc, child);
}
