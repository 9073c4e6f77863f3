/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * ethersubr.c: what every Ethernet interface shares. There is no protocol
 * above it here: what a driver receives goes to the interface's tap, and what
 * the tap's users send goes to if_transmit().
 */

#include "net.h"
#include <sys/epoch.h>
#include <sys/eventhandler.h>
#include <net/if_vlan_var.h>

static const uint8_t broadcast[ETHER_ADDR_LEN] = {
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

static const char *
bad_frame(const struct mbuf *m)
{
	if ((m->m_flags & M_PKTHDR) == 0)
		return ("no packet header");
	if (m->m_pkthdr.rcvif == NULL)
		return ("no receiving interface");
	if (m->m_len < ETHER_HDR_LEN)
		return ("a first mbuf without a whole Ethernet header");
	if (m->m_pkthdr.len != (int)m_length(__DECONST(struct mbuf *, m),
	    NULL))
		return ("a length that is not that of its chain");
	return (NULL);
}

static void
ether_input(if_t ifp, struct mbuf *m)
{
	struct epoch_tracker et;
	const char *bad;
	struct mbuf *next;
	bool need;

	need = (ifp->if_flags & IFF_NEEDSEPOCH) != 0;
	if (!need && !in_epoch(net_epoch_preempt))
		panic("%s: if_input outside the network epoch",
		    ifp->if_xname);
	if (need)
		NET_EPOCH_ENTER(et);
	for (; m != NULL; m = next) {
		next = m->m_nextpkt;
		m->m_nextpkt = NULL;
		bad = bad_frame(m);
		if (bad != NULL)
			panic("%s: received an mbuf with %s", ifp->if_xname,
			    bad);
		if ((mtod(m, uint8_t *)[0] & 1) != 0) {
			m->m_flags |= memcmp(mtod(m, void *), broadcast,
			    ETHER_ADDR_LEN) == 0 ? M_BCAST : M_MCAST;
			if_inc_counter(ifp, IFCOUNTER_IMCASTS, 1);
		}
		if_inc_counter(ifp, IFCOUNTER_IBYTES, m->m_pkthdr.len);
		kif_tap((struct kif *)ifp, m);
		iftap_input((struct kif *)ifp, m);
	}
	if (need)
		NET_EPOCH_EXIT(et);
}

/* Only protocols above would call this, and there are none. */
int
ether_output(if_t ifp, struct mbuf *m, const struct sockaddr *dst,
    struct route *ro)
{
	panic("kldrun: ether_output of %s: there is no protocol",
	    ifp->if_xname);
}

int
ether_output_frame(if_t ifp, struct mbuf *m)
{
	return (ifp->if_transmit(ifp, m));
}

void
ether_ifattach(if_t ifp, const u_int8_t *mac)
{
	struct kif *k;

	k = (struct kif *)ifp;
	ifp->if_addrlen = ETHER_ADDR_LEN;
	ifp->if_hdrlen = ETHER_HDR_LEN;
	if (ifp->if_mtu == 0)
		ifp->if_mtu = ETHERMTU;
	ifp->if_broadcastaddr = broadcast;
	if (ifp->if_input == NULL)
		ifp->if_input = ether_input;
	if (ifp->if_output == NULL)
		ifp->if_output = ether_output;
	if (ifp->if_baudrate == 0)
		ifp->if_baudrate = IF_Mbps(10);
	kif_sdl_init(k, mac);
	if_attach(ifp);
	k->sdl.sdl_index = ifp->if_index;
	printf("%s: Ethernet address: %6D\n", ifp->if_xname, mac, ":");
	EVENTHANDLER_INVOKE(ether_ifattach_event, ifp);
	iftap_attach(k);
}

void
ether_ifdetach(if_t ifp)
{
	if_detach(ifp);
}

static int
ether_set_mtu(if_t ifp, int mtu)
{
	if (mtu < 72 || mtu > ETHERMTU)
		return (EINVAL);
	ifp->if_mtu = mtu;
	return (0);
}

int
ether_ioctl(if_t ifp, u_long cmd, caddr_t data)
{
	struct ifreq *ifr;

	ifr = (struct ifreq *)data;
	switch (cmd) {
	case SIOCSIFADDR:
		ifp->if_flags |= IFF_UP;
		if (ifp->if_init != NULL)
			ifp->if_init(ifp->if_softc);
		return (0);
	case SIOCGIFADDR:
		memcpy(ifr->ifr_addr.sa_data, IF_LLADDR(ifp), ETHER_ADDR_LEN);
		return (0);
	case SIOCSIFMTU:
		return (ether_set_mtu(ifp, ifr->ifr_mtu));
	case SIOCSLANPCP:
		if (ifr->ifr_lan_pcp > 7 &&
		    ifr->ifr_lan_pcp != IFNET_PCP_NONE)
			return (EINVAL);
		ifp->if_pcp = ifr->ifr_lan_pcp;
		return (0);
	case SIOCGLANPCP:
		ifr->ifr_lan_pcp = ifp->if_pcp;
		return (0);
	default:
		return (EINVAL);
	}
}

/* The tag goes between the addresses and the type. */
struct mbuf *
ether_vlanencap_proto(struct mbuf *m, uint16_t tag, uint16_t proto)
{
	uint16_t words[2] = { htons(proto), htons(tag) };
	char head[2 * ETHER_ADDR_LEN];

	m_copydata(m, 0, sizeof(head), head);
	M_PREPEND(m, ETHER_VLAN_ENCAP_LEN, M_NOWAIT);
	if (m == NULL)
		return (NULL);
	if (m->m_len < ETHER_HDR_LEN + ETHER_VLAN_ENCAP_LEN) {
		m = m_pullup(m, ETHER_HDR_LEN + ETHER_VLAN_ENCAP_LEN);
		if (m == NULL)
			return (NULL);
	}
	memcpy(m->m_data, head, sizeof(head));
	memcpy(m->m_data + sizeof(head), words, sizeof(words));
	return (m);
}

uint32_t
ether_crc32_le(const uint8_t *buf, size_t len)
{
	uint32_t crc;
	size_t i;
	int bit;

	crc = 0xffffffff;
	for (i = 0; i < len; i++)
		for (crc ^= buf[i], bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ ((crc & 1) != 0 ? 0xedb88320 : 0);
	return (crc);
}

char *
ether_sprintf(const u_int8_t *mac)
{
	static char text[18];

	snprintf(text, sizeof(text), "%6D", mac, ":");
	return (text);
}

/* vlan(4) is not loaded: its hooks are empty. */
void (*vlan_trunk_cap_p)(struct ifnet *);
struct ifnet *(*vlan_trunkdev_p)(struct ifnet *);
struct ifnet *(*vlan_devat_p)(struct ifnet *, uint16_t);
int (*vlan_tag_p)(struct ifnet *, uint16_t *);
int (*vlan_pcp_p)(struct ifnet *, uint16_t *);
int (*vlan_setcookie_p)(struct ifnet *, void *);
void *(*vlan_cookie_p)(struct ifnet *);
void (*vlan_input_p)(struct ifnet *, struct mbuf *);
