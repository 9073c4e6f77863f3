/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * What ifconfig(8) asks of hn(4): up and down, MTU, capabilities, filters,
 * address, media; and what the link does by itself.
 *
 * Locking: sc_cfg.  Multicast groups are set by a task, because the kernel asks
 * for them from where nothing may sleep.
 */

#include "hn_var.h"

struct hn_groups {
	uint8_t		mac[HVK_NETVSC_MULTICAST][ETHER_ADDR_LEN];
	uint32_t	n;		/* one more than fit: too many */
};

static u_int
hn_group(void *arg, struct sockaddr_dl *sdl, u_int count __unused)
{
	struct hn_groups *g = arg;

	if (g->n < HVK_NETVSC_MULTICAST)
		memcpy(g->mac[g->n], LLADDR(sdl), ETHER_ADDR_LEN);
	if (g->n <= HVK_NETVSC_MULTICAST)
		g->n++;
	return (1);
}

static int
hn_groups_call(struct hn_softc *sc, void *arg)
{
	const struct hn_groups *g = arg;

	return (hvk_netvsc_set_multicast(&sc->sc_nv, g->mac, g->n,
	    hn_now()));
}

static int
hn_filter_call(struct hn_softc *sc, void *arg)
{
	return (hvk_netvsc_set_filter(&sc->sc_nv, *(uint32_t *)arg,
	    hn_now()));
}

/* Which frames the host is to give us. */
int
hn_filter(struct hn_softc *sc)
{
	struct hn_groups *g;
	uint32_t filter;
	int error, flags;

	flags = if_getflags(sc->sc_ifp);
	g = NULL;
	if ((if_getdrvflags(sc->sc_ifp) & IFF_DRV_RUNNING) == 0)
		filter = 0;
	else if ((flags & IFF_PROMISC) != 0)
		filter = HVK_FILTER_PROMISCUOUS;
	else {
		filter = HVK_FILTER_DIRECTED | HVK_FILTER_BROADCAST;
		g = malloc(sizeof(*g), M_HN, M_WAITOK | M_ZERO);
		(void)if_foreach_llmaddr(sc->sc_ifp, hn_group, g);
		if ((flags & IFF_ALLMULTI) != 0 ||
		    g->n > HVK_NETVSC_MULTICAST)
			filter |= HVK_FILTER_ALL_MULTICAST;
		else if (g->n != 0)
			filter |= HVK_FILTER_MULTICAST;
	}
	/* A host that takes no list gives us all groups. */
	if ((filter & HVK_FILTER_MULTICAST) != 0 &&
	    hn_request(sc, hn_groups_call, g) != 0)
		filter ^= HVK_FILTER_MULTICAST | HVK_FILTER_ALL_MULTICAST;
	free(g, M_HN);
	error = hn_request(sc, hn_filter_call, &filter);
	if (error == 0)
		sc->sc_filter = filter;
	else if (error != ENXIO)	/* it is going */
		device_printf(sc->sc_dev, "the receive filter cannot be set: "
		    "%d\n", error);
	return (error);
}

void
hn_filter_task(void *arg, int pending __unused)
{
	struct hn_softc *sc = arg;

	sx_xlock(&sc->sc_cfg);
	if (sc->sc_up && !sc->sc_detaching)
		(void)hn_filter(sc);
	sx_xunlock(&sc->sc_cfg);
}

static void
hn_up_locked(struct hn_softc *sc)
{
	if (!sc->sc_up || sc->sc_detaching ||
	    (if_getdrvflags(sc->sc_ifp) & IFF_DRV_RUNNING) != 0)
		return;
	if_setdrvflagbits(sc->sc_ifp, IFF_DRV_RUNNING, IFF_DRV_OACTIVE);
	if (hn_filter(sc) != 0) {
		if_setdrvflagbits(sc->sc_ifp, 0, IFF_DRV_RUNNING);
		return;
	}
	hn_tx_run(sc, true);
}

void
hn_init(void *arg)
{
	struct hn_softc *sc = arg;

	sx_xlock(&sc->sc_cfg);
	hn_up_locked(sc);
	sx_xunlock(&sc->sc_cfg);
}

/* sc_cfg is held. */
void
hn_stop(struct hn_softc *sc)
{
	if ((if_getdrvflags(sc->sc_ifp) & IFF_DRV_RUNNING) == 0)
		return;
	if_setdrvflagbits(sc->sc_ifp, 0, IFF_DRV_RUNNING | IFF_DRV_OACTIVE);
	hn_tx_run(sc, false);
	if (sc->sc_up)
		(void)hn_filter(sc);
	hn_qflush(sc->sc_ifp);
}

static int
hn_set_flags(struct hn_softc *sc)
{
	int changed, flags;

	flags = if_getflags(sc->sc_ifp);
	changed = flags ^ sc->sc_if_flags;
	sc->sc_if_flags = flags;
	if ((flags & IFF_UP) == 0)
		hn_stop(sc);
	else if ((if_getdrvflags(sc->sc_ifp) & IFF_DRV_RUNNING) == 0)
		hn_up_locked(sc);
	else if ((changed & (IFF_PROMISC | IFF_ALLMULTI)) != 0)
		return (hn_filter(sc));
	return (0);
}

static int
hn_mac_call(struct hn_softc *sc, void *arg)
{
	return (hvk_netvsc_set_mac(&sc->sc_nv, arg, hn_now()));
}

/* Off the host and back, with frames on the way lost and nothing else. */
static int
hn_again(struct hn_softc *sc, uint32_t mtu)
{
	bool running;
	int error;

	running = (if_getdrvflags(sc->sc_ifp) & IFF_DRV_RUNNING) != 0;
	if_setdrvflagbits(sc->sc_ifp, 0, IFF_DRV_RUNNING);
	error = hn_synth_set_mtu(sc, mtu);
	if (error == ENXIO)
		return (error);
	if_setmtu(sc->sc_ifp, sc->sc_nv.mtu);
	hn_offload_apply(sc);
	/* The host forgot what it was told of the address. */
	if (memcmp(sc->sc_mac, sc->sc_nv.mac, ETHER_ADDR_LEN) != 0)
		(void)hn_request(sc, hn_mac_call, sc->sc_mac);
	if (running)
		hn_up_locked(sc);
	hn_link_apply(sc);
	return (error);
}

static int
hn_set_mtu(struct hn_softc *sc, int mtu)
{
	int error;

	if (mtu < ETHERMIN || mtu > HN_MTU_MAX)
		return (EINVAL);
	if (!sc->sc_up)
		return (ENXIO);
	if (mtu == (int)sc->sc_nv.mtu) {
		if_setmtu(sc->sc_ifp, mtu);
		return (0);
	}
	error = hn_again(sc, mtu);
	sc->sc_mtu_changes++;
	if (error == EIO)
		sc->sc_mtu_rollbacks++;
	return (error);
}

/* The host took back a channel of an interface that it leaves otherwise. */
void
hn_restart_task(void *arg, int pending __unused)
{
	struct hn_softc *sc = arg;
	uint64_t now;

	now = hn_now();
	sx_xlock(&sc->sc_cfg);
	if (sc->sc_up && sc->sc_attached && !sc->sc_detaching &&
	    !sc->sc_failed) {
		if (now >= sc->sc_restart_said) {
			sc->sc_restart_said = now + HN_REPORT_MS;
			device_printf(sc->sc_dev, "the host took a channel "
			    "back; starting anew\n");
		}
		sc->sc_restarts++;
		(void)hn_again(sc, sc->sc_nv.mtu);
	}
	sx_xunlock(&sc->sc_cfg);
}

/* The address is set already: the host agrees, or it is put back. */
void
hn_lladdr_event(void *arg, struct ifnet *ifp)
{
	struct hn_softc *sc = arg;
	uint8_t mac[ETHER_ADDR_LEN];
	int error;

	if (ifp != sc->sc_ifp || sc->sc_detaching)
		return;
	sx_xlock(&sc->sc_cfg);
	memcpy(mac, if_getlladdr(ifp), ETHER_ADDR_LEN);
	if (sc->sc_up && memcmp(mac, sc->sc_mac, ETHER_ADDR_LEN) != 0) {
		error = hn_request(sc, hn_mac_call, mac);
		if (error == 0)
			memcpy(sc->sc_mac, mac, ETHER_ADDR_LEN);
		else {
			device_printf(sc->sc_dev, "the host does not take the "
			    "address %6D: %d\n", mac, ":", error);
			memcpy(if_getlladdr(ifp), sc->sc_mac, ETHER_ADDR_LEN);
		}
	}
	sx_xunlock(&sc->sc_cfg);
}

/*
 * Link and media.
 */

static bool
hn_link_read(struct hn_softc *sc, uint64_t *speed)
{
	bool link;

	mtx_lock(&sc->sc_mtx);
	link = sc->sc_nv.link && !sc->sc_failed && sc->sc_renew_at == 0;
	*speed = sc->sc_nv.speed;
	mtx_unlock(&sc->sc_mtx);
	return (link);
}

static void
hn_link_tell(struct hn_softc *sc, bool link, uint64_t speed)
{
	sc->sc_link = link;
	if_setbaudrate(sc->sc_ifp, speed != 0 ? speed : IF_Gbps(10));
	if_link_state_change(sc->sc_ifp, link ? LINK_STATE_UP :
	    LINK_STATE_DOWN);
}

void
hn_link_apply(struct hn_softc *sc)
{
	uint64_t speed;
	bool link;

	link = hn_link_read(sc, &speed);
	hn_link_tell(sc, link, speed);
}

/*
 * Each change that the system hears of is a line in the log and work for all
 * that uses the interface.  A few go through at once; one that never rests is
 * followed at a walk, and where it stops is where it is seen.
 */
static bool
hn_link_may(struct hn_softc *sc, uint64_t now)
{
	uint64_t n;

	n = (now - sc->sc_link_at) / HN_LINK_MS;
	sc->sc_link_at += n * HN_LINK_MS;
	sc->sc_link_may = MIN(sc->sc_link_may + n, HN_LINK_BURST);
	if (sc->sc_link_may > 0) {
		sc->sc_link_may--;
		return (true);
	}
	if (now >= sc->sc_link_said) {
		sc->sc_link_said = now + HN_REPORT_MS;
		device_printf(sc->sc_dev, "the host changes the link without "
		    "end; it is looked at once a second\n");
	}
	return (false);
}

/*
 * The host says so as often as it likes; we look when we get to it.  On another
 * network the link goes down for a while, so that addresses are asked for anew.
 */
void
hn_link_task(void *arg, int pending __unused)
{
	struct hn_softc *sc = arg;
	uint64_t now, speed;
	bool link;

	now = hn_now();
	sx_xlock(&sc->sc_cfg);
	mtx_lock(&sc->sc_mtx);
	sc->sc_want_link = false;
	if (sc->sc_want_renew) {
		sc->sc_want_renew = false;
		sc->sc_renew_at = now + HN_RENEW_MS;
	} else if (now >= sc->sc_renew_at)
		sc->sc_renew_at = 0;
	mtx_unlock(&sc->sc_mtx);
	if (sc->sc_attached && !sc->sc_detaching) {
		link = hn_link_read(sc, &speed);
		if (link == sc->sc_link || hn_link_may(sc, now))
			hn_link_tell(sc, link, speed);
		else {
			/* The tick comes back to it. */
			mtx_lock(&sc->sc_mtx);
			sc->sc_want_link = true;
			mtx_unlock(&sc->sc_mtx);
		}
	}
	sx_xunlock(&sc->sc_cfg);
}

int
hn_media_change(struct ifnet *ifp __unused)
{
	return (EOPNOTSUPP);
}

void
hn_media_status(struct ifnet *ifp, struct ifmediareq *ifmr)
{
	static const struct {
		uint64_t	gbps;
		int		media;
	} rates[] = {
		{ 1, IFM_1000_T }, { 10, IFM_10G_T }, { 25, IFM_25G_CR },
		{ 40, IFM_40G_CR4 }, { 50, IFM_50G_CR2 },
		{ 100, IFM_100G_CR4 },
	};
	struct hn_softc *sc = if_getsoftc(ifp);
	uint64_t speed;
	u_int i;

	ifmr->ifm_status = IFM_AVALID;
	ifmr->ifm_active = IFM_ETHER;
	if (!sc->sc_nv.link || sc->sc_failed) {
		ifmr->ifm_active |= IFM_NONE;
		return;
	}
	ifmr->ifm_status |= IFM_ACTIVE;
	speed = sc->sc_nv.speed;
	for (i = 0; i < nitems(rates); i++)
		if (speed == IF_Gbps(rates[i].gbps)) {
			ifmr->ifm_active |= rates[i].media | IFM_FDX;
			return;
		}
	ifmr->ifm_active |= (speed == 0 ? IFM_10G_T : IFM_OTHER) | IFM_FDX;
}

int
hn_ioctl(struct ifnet *ifp, u_long cmd, caddr_t data)
{
	struct hn_softc *sc = if_getsoftc(ifp);
	struct ifreq *ifr = (struct ifreq *)data;
	int error;

	error = 0;
	switch (cmd) {
	case SIOCSIFMTU:
		sx_xlock(&sc->sc_cfg);
		error = hn_set_mtu(sc, ifr->ifr_mtu);
		sx_xunlock(&sc->sc_cfg);
		break;
	case SIOCSIFFLAGS:
		sx_xlock(&sc->sc_cfg);
		error = hn_set_flags(sc);
		sx_xunlock(&sc->sc_cfg);
		break;
	case SIOCSIFCAP:
		sx_xlock(&sc->sc_cfg);
		error = sc->sc_up ? hn_offload_set(sc, ifr->ifr_reqcap) :
		    ENXIO;
		sx_xunlock(&sc->sc_cfg);
		break;
	case SIOCADDMULTI:
	case SIOCDELMULTI:
		mtx_lock(&sc->sc_mtx);
		if (!sc->sc_stopping)
			taskqueue_enqueue(sc->sc_tq, &sc->sc_filter_task);
		mtx_unlock(&sc->sc_mtx);
		break;
	case SIOCSIFMEDIA:
	case SIOCGIFMEDIA:
		error = ifmedia_ioctl(ifp, ifr, &sc->sc_media, cmd);
		break;
	case SIOCGIFRSSKEY:
	case SIOCGIFRSSHASH:
		error = hn_rss_ioctl(sc, cmd, data);
		break;
	default:
		error = ether_ioctl(ifp, cmd, data);
		break;
	}
	return (error);
}
