/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * ifconfig.c: `kldrun ifconfig': what ifconfig(8) shows and sets, by the same
 * requests to the driver as the kernel of FreeBSD makes.
 *
 * Locking: kif_config is held from the look-up of an interface to the end.
 */

#include "net.h"
#include <net/if_media.h>

static const struct cap {
	const char *name;		/* as an argument */
	const char *shown;
	int bit;
} caps[] = {
	{ "rxcsum", "RXCSUM", IFCAP_RXCSUM },
	{ "txcsum", "TXCSUM", IFCAP_TXCSUM },
	{ "vlanmtu", "VLAN_MTU", IFCAP_VLAN_MTU },
	{ "vlanhwtag", "VLAN_HWTAGGING", IFCAP_VLAN_HWTAGGING },
	{ NULL, "JUMBO_MTU", IFCAP_JUMBO_MTU },
	{ "polling", "POLLING", IFCAP_POLLING },
	{ "vlanhwcsum", "VLAN_HWCSUM", IFCAP_VLAN_HWCSUM },
	{ "tso4", "TSO4", IFCAP_TSO4 },
	{ "tso6", "TSO6", IFCAP_TSO6 },
	{ "lro", "LRO", IFCAP_LRO },
	{ "vlanhwfilter", "VLAN_HWFILTER", IFCAP_VLAN_HWFILTER },
	{ "vlanhwtso", "VLAN_HWTSO", IFCAP_VLAN_HWTSO },
	{ NULL, "LINKSTATE", IFCAP_LINKSTATE },
	{ "rxcsum6", "RXCSUM_IPV6", IFCAP_RXCSUM_IPV6 },
	{ "txcsum6", "TXCSUM_IPV6", IFCAP_TXCSUM_IPV6 },
	{ NULL, "HWSTATS", IFCAP_HWSTATS },
	{ "tso", NULL, IFCAP_TSO },
};

static const struct flag {
	const char *shown;
	int bit;
} flags[] = {
	{ "UP", IFF_UP }, { "BROADCAST", IFF_BROADCAST },
	{ "DEBUG", IFF_DEBUG }, { "RUNNING", IFF_DRV_RUNNING },
	{ "PROMISC", IFF_PROMISC }, { "ALLMULTI", IFF_ALLMULTI },
	{ "OACTIVE", IFF_DRV_OACTIVE }, { "SIMPLEX", IFF_SIMPLEX },
	{ "LINK0", IFF_LINK0 }, { "LINK1", IFF_LINK1 },
	{ "LINK2", IFF_LINK2 }, { "MULTICAST", IFF_MULTICAST },
};

static int
request(struct kif *k, u_long cmd, struct ifreq *ifr)
{
	strlcpy(ifr->ifr_name, k->ifnet.if_xname, IFNAMSIZ);
	return (k->ifnet.if_ioctl == NULL ? EOPNOTSUPP :
	    k->ifnet.if_ioctl(&k->ifnet, cmd, (caddr_t)ifr));
}

int
kif_set_flags(struct kif *k, int set, int clear)
{
	struct ifreq ifr;
	int error, old;

	old = k->ifnet.if_flags;
	if (((old & ~clear) | set) == old)
		return (0);
	memset(&ifr, 0, sizeof(ifr));
	k->ifnet.if_flags = (old & ~clear) | set;
	error = request(k, SIOCSIFFLAGS, &ifr);
	if (error != 0)
		k->ifnet.if_flags = old;
	return (error);
}

int
kif_set_mtu(struct kif *k, int mtu)
{
	struct ifreq ifr;

	if (mtu < IF_MINMTU || mtu > IF_MAXMTU)
		return (EINVAL);
	memset(&ifr, 0, sizeof(ifr));
	ifr.ifr_mtu = mtu;
	return (request(k, SIOCSIFMTU, &ifr));
}

int
kif_set_mac(struct kif *k, const uint8_t *mac)
{
	if ((mac[0] & 1) != 0)
		return (EINVAL);
	return (if_setlladdr(&k->ifnet, mac, ETHER_ADDR_LEN));
}

static void
group_address(struct sockaddr_dl *sdl, const uint8_t *mac)
{
	memset(sdl, 0, sizeof(*sdl));
	sdl->sdl_len = sizeof(*sdl);
	sdl->sdl_family = AF_LINK;
	sdl->sdl_type = IFT_ETHER;
	sdl->sdl_alen = ETHER_ADDR_LEN;
	memcpy(LLADDR(sdl), mac, ETHER_ADDR_LEN);
}

static bool
has_group(struct kif *k, const uint8_t *mac)
{
	struct ifmultiaddr *ifma;

	CK_STAILQ_FOREACH(ifma, &k->ifnet.if_multiaddrs, ifma_link)
		if (memcmp(LLADDR((struct sockaddr_dl *)ifma->ifma_addr), mac,
		    ETHER_ADDR_LEN) == 0)
			return (true);
	return (false);
}

/* Exactly these groups. */
int
kif_set_groups(struct kif *k, const uint8_t (*mac)[ETHER_ADDR_LEN], int n)
{
	struct ifmultiaddr *ifma, *next;
	struct sockaddr_dl sdl;
	int error, i;

	error = 0;
	CK_STAILQ_FOREACH_SAFE(ifma, &k->ifnet.if_multiaddrs, ifma_link,
	    next) {
		sdl = *(struct sockaddr_dl *)ifma->ifma_addr;
		for (i = 0; i < n; i++)
			if (memcmp(LLADDR(&sdl), mac[i], ETHER_ADDR_LEN) == 0)
				break;
		if (i == n)
			error = if_delmulti(&k->ifnet,
			    (struct sockaddr *)&sdl);
	}
	for (i = 0; i < n; i++) {
		if (has_group(k, mac[i]))
			continue;
		group_address(&sdl, mac[i]);
		error = if_addmulti(&k->ifnet, (struct sockaddr *)&sdl, NULL);
	}
	return (error);
}

/* As the kernel does before it asks the driver. */
static int
set_caps(struct kif *k, int set, int clear)
{
	struct ifreq ifr;
	int want;

	memset(&ifr, 0, sizeof(ifr));
	want = (k->ifnet.if_capenable & ~clear) | set;
	if ((want & ~k->ifnet.if_capabilities) != 0)
		return (EINVAL);
	ifr.ifr_reqcap = want;
	return (request(k, SIOCSIFCAP, &ifr));
}

/* Showing */

static void
show_bits(struct kld_out *o, int bits, bool cap)
{
	const char *sep;
	u_int i, n;

	sep = "<";
	n = cap ? nitems(caps) : nitems(flags);
	for (i = 0; i < n; i++) {
		const char *s = cap ? caps[i].shown : flags[i].shown;
		int bit = cap ? caps[i].bit : flags[i].bit;

		if (s == NULL || (bits & bit) == 0)
			continue;
		kld_outf(o, "%s%s", sep, s);
		sep = ",";
	}
	kld_outf(o, "%s>", sep[0] == '<' ? "<" : "");
}

static void
show_media(struct kif *k, struct kld_out *o)
{
	struct ifmediareq ifmr;
	const char *status;

	memset(&ifmr, 0, sizeof(ifmr));
	if (request(k, SIOCGIFMEDIA, (struct ifreq *)&ifmr) != 0)
		return;
	kld_outf(o, "\tmedia: Ethernet autoselect");
	if (IFM_SUBTYPE(ifmr.ifm_active) != IFM_AUTO && ifmr.ifm_active != 0)
		kld_outf(o, " (%juMb/s%s)",
		    (uintmax_t)ifmedia_baudrate(ifmr.ifm_active) / 1000000,
		    (ifmr.ifm_active & IFM_FDX) != 0 ? " <full-duplex>" : "");
	status = (ifmr.ifm_status & IFM_ACTIVE) != 0 ? "active" :
	    "no carrier";
	kld_outf(o, "\n\tstatus: %s\n", (ifmr.ifm_status & IFM_AVALID) != 0 ?
	    status : "unknown");
}

static void
show(struct kif *k, struct kld_out *o, bool all)
{
	struct ifmultiaddr *ifma;
	struct ifnet *ifp;

	ifp = &k->ifnet;
	kld_outf(o, "%s: flags=%x", ifp->if_xname, ifp->if_flags |
	    ifp->if_drv_flags);
	show_bits(o, ifp->if_flags | ifp->if_drv_flags, false);
	kld_outf(o, " metric 0 mtu %u\n\toptions=%x", ifp->if_mtu,
	    ifp->if_capenable);
	show_bits(o, ifp->if_capenable, true);
	if (all) {
		kld_outf(o, "\n\tcapabilities=%x", ifp->if_capabilities);
		show_bits(o, ifp->if_capabilities, true);
	}
	kld_outf(o, "\n\tether %6D\n", IF_LLADDR(ifp), ":");
	show_media(k, o);
	kld_outf(o, "\tbaudrate: %ju\n", (uintmax_t)ifp->if_baudrate);
	iftap_describe(k, o);
	kld_outf(o, "\tinput: packets %ju bytes %ju errors %ju drops %ju\n",
	    (uintmax_t)if_getcounter(ifp, IFCOUNTER_IPACKETS),
	    (uintmax_t)if_getcounter(ifp, IFCOUNTER_IBYTES),
	    (uintmax_t)if_getcounter(ifp, IFCOUNTER_IERRORS),
	    (uintmax_t)if_getcounter(ifp, IFCOUNTER_IQDROPS));
	kld_outf(o, "\toutput: packets %ju bytes %ju errors %ju drops %ju\n",
	    (uintmax_t)if_getcounter(ifp, IFCOUNTER_OPACKETS),
	    (uintmax_t)if_getcounter(ifp, IFCOUNTER_OBYTES),
	    (uintmax_t)if_getcounter(ifp, IFCOUNTER_OERRORS),
	    (uintmax_t)if_getcounter(ifp, IFCOUNTER_OQDROPS));
	if (all)
		CK_STAILQ_FOREACH(ifma, &ifp->if_multiaddrs, ifma_link)
			kld_outf(o, "\tgroup %6D\n", LLADDR(
			    (struct sockaddr_dl *)ifma->ifma_addr), ":");
}

/* Setting: one word at a time, some with a value. */

static int
parse_mac(const char *s, uint8_t mac[ETHER_ADDR_LEN])
{
	char *end;
	u_long v;
	int i;

	for (i = 0; i < ETHER_ADDR_LEN; i++, s = end + 1) {
		v = strtoul(s, &end, 16);
		if (end == s || v > 255 ||
		    *end != (i < ETHER_ADDR_LEN - 1 ? ':' : '\0'))
			return (EINVAL);
		mac[i] = v;
	}
	return (0);
}

static int
set_group(struct kif *k, const char *value, bool add)
{
	uint8_t mac[ETHER_ADDR_LEN];
	struct sockaddr_dl sdl;
	int error;

	error = parse_mac(value, mac);
	if (error != 0)
		return (error);
	group_address(&sdl, mac);
	return (add ? if_addmulti(&k->ifnet, (struct sockaddr *)&sdl, NULL) :
	    if_delmulti(&k->ifnet, (struct sockaddr *)&sdl));
}

static int
set_value(struct kif *k, const char *word, const char *value, bool *known)
{
	uint8_t mac[ETHER_ADDR_LEN];
	char *end;
	long mtu;
	int error;

	*known = true;
	if (strcmp(word, "mtu") == 0) {
		mtu = strtol(value, &end, 10);
		return (end == value || *end != '\0' ? EINVAL :
		    kif_set_mtu(k, mtu));
	}
	if (strcmp(word, "ether") == 0 || strcmp(word, "lladdr") == 0) {
		error = parse_mac(value, mac);
		return (error != 0 ? error : kif_set_mac(k, mac));
	}
	if (strcmp(word, "addm") == 0 || strcmp(word, "delm") == 0)
		return (set_group(k, value, word[0] == 'a'));
	if (strcmp(word, "capture") == 0)
		return (kif_capture(k, value));
	*known = false;
	return (0);
}

static int
set_word(struct kif *k, const char *word, bool *known)
{
	const char *name;
	bool off;
	u_int i;

	*known = true;
	off = word[0] == '-';
	name = word + off;
	if (strcmp(word, "up") == 0)
		return (kif_set_flags(k, IFF_UP, 0));
	if (strcmp(word, "down") == 0)
		return (kif_set_flags(k, 0, IFF_UP));
	if (strcmp(name, "promisc") == 0)
		return (kif_set_flags(k, off ? 0 : IFF_PROMISC,
		    off ? IFF_PROMISC : 0));
	if (strcmp(name, "allmulti") == 0)
		return (kif_set_flags(k, off ? 0 : IFF_ALLMULTI,
		    off ? IFF_ALLMULTI : 0));
	if (strcmp(word, "-capture") == 0)
		return (kif_capture(k, NULL));
	for (i = 0; i < nitems(caps); i++)
		if (caps[i].name != NULL && strcmp(caps[i].name, name) == 0)
			return (set_caps(k, off ? 0 : caps[i].bit,
			    off ? caps[i].bit : 0));
	*known = false;
	return (0);
}

static int
set_all(struct kif *k, char **args, int n, struct kld_out *o)
{
	const char *name;
	bool known;
	int error, i;

	name = k->ifnet.if_xname;
	for (i = 1; i < n; i++) {
		error = 0;
		known = false;
		if (i + 1 < n) {
			error = set_value(k, args[i], args[i + 1], &known);
			if (known)
				i++;
		}
		if (!known)
			error = set_word(k, args[i], &known);
		if (!known) {
			kld_outf(o, "ifconfig: %s: bad value\n", args[i]);
			return (1);
		}
		if (error != 0) {
			kld_outf(o, "ifconfig: %s: %s: %s\n", name, args[i],
			    kld_strerror(error));
			return (1);
		}
	}
	iftap_changed(k);
	return (0);
}

/* args: [-a | NAME [WORD [VALUE]]...]; status for the shell. */
int
kld_ifconfig_command(char **args, int n, void (*out)(void *, const char *),
    void *arg)
{
	struct kld_out o = { out, arg };
	struct kif *k;
	int status;

	status = 0;
	sx_xlock(&kif_config);
	if (n == 0 || strcmp(args[0], "-a") == 0) {
		for (k = kif_first(); k != NULL; k = kif_next(k))
			show(k, &o, n != 0);
	} else if ((k = kif_find(args[0])) == NULL) {
		kld_outf(&o, "ifconfig: interface %s does not exist\n",
		    args[0]);
		status = 1;
	} else if (n == 1)
		show(k, &o, true);
	else
		status = set_all(k, args, n, &o);
	sx_xunlock(&kif_config);
	return (status);
}
