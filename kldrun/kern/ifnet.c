/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * ifnet.c: ifnet(9): the interfaces, their life, addresses and groups.
 * What the drivers ask by if_get...() and if_set...() is ifnet_get.c.
 *
 * Locking: `kif_config' is held while an interface's configuration changes,
 * and by whoever walks the list and calls a driver; an interface's own
 * if_addr_lock guards its multicast groups.
 */

#include "net.h"
#include <sys/epoch.h>
#include <sys/eventhandler.h>
#include <sys/bus.h>
#include <sys/sbuf.h>
#include <sys/stdarg.h>

MALLOC_DEFINE(M_IFNET, "ifnet", "interface internals");

struct sx kif_config;
struct sx ifnet_sxlock;
static struct vnet vnet_only;
struct vnet *vnet0 = &vnet_only;

static CK_STAILQ_HEAD(, ifnet) all = CK_STAILQ_HEAD_INITIALIZER(all);
static u_short next_index = 1;

static void
ifnet_boot(void *arg)
{
	sx_init(&kif_config, "interface configuration");
	sx_init(&ifnet_sxlock, "ifnet");
	vnet_only.vnet_magic_n = VNET_MAGIC_N;
}
SYSINIT(ifnet, SI_SUB_LOCK, SI_ORDER_ANY, ifnet_boot, NULL);

struct kif *
kif_first(void)
{
	return ((struct kif *)CK_STAILQ_FIRST(&all));
}

struct kif *
kif_next(struct kif *k)
{
	return ((struct kif *)CK_STAILQ_NEXT(&k->ifnet, if_link));
}

struct kif *
kif_find(const char *name)
{
	struct kif *k;

	for (k = kif_first(); k != NULL; k = kif_next(k))
		if (strcmp(k->ifnet.if_xname, name) == 0)
			return (k);
	return (NULL);
}

static int
no_transmit(if_t ifp, struct mbuf *m)
{
	m_freem(m);
	return (ENXIO);
}

static void
no_qflush(if_t ifp)
{
}

if_t
if_alloc(u_char type)
{
	struct ifnet *ifp;
	struct kif *k;
	int i;

	k = malloc(sizeof(*k), M_IFNET, M_WAITOK | M_ZERO);
	ifp = &k->ifnet;
	ifp->if_type = ifp->if_alloctype = type;
	ifp->if_numa_domain = IF_NODOM;
	ifp->if_dunit = IF_DUNIT_NONE;
	ifp->if_vnet = ifp->if_home_vnet = vnet0;
	ifp->if_pcp = IFNET_PCP_NONE;
	ifp->if_refcount = 1;
	CK_STAILQ_INIT(&ifp->if_multiaddrs);
	CK_STAILQ_INIT(&ifp->if_addrhead);
	CK_STAILQ_INIT(&ifp->if_groups);
	mtx_init(&ifp->if_addr_lock, "if_addr_lock", NULL, MTX_DEF);
	mtx_init(&ifp->if_snd.ifq_mtx, "if send queue", NULL, MTX_DEF);
	ifp->if_snd.ifq_maxlen = 50;
	ifp->if_transmit = no_transmit;
	ifp->if_qflush = no_qflush;
	ifp->if_get_counter = if_get_counter_default;
	for (i = 0; i < IFCOUNTERS; i++)
		ifp->if_counters[i] = counter_u64_alloc(M_WAITOK);
	return (ifp);
}

if_t
if_alloc_dev(u_char type, device_t dev)
{
	return (if_alloc(type));
}

void
if_ref(if_t ifp)
{
	atomic_add_int(&ifp->if_refcount, 1);
}

bool
if_try_ref(if_t ifp)
{
	if (((struct kif *)ifp)->dying)
		return (false);
	if_ref(ifp);
	return (true);
}

void
if_rele(if_t ifp)
{
	int i;

	if (atomic_fetchadd_int(&ifp->if_refcount, -1) != 1)
		return;
	for (i = 0; i < IFCOUNTERS; i++)
		counter_u64_free(ifp->if_counters[i]);
	mtx_destroy(&ifp->if_addr_lock);
	mtx_destroy(&ifp->if_snd.ifq_mtx);
	free(ifp, M_IFNET);
}

void
if_free(if_t ifp)
{
	if (((struct kif *)ifp)->attached)
		panic("if_free: %s is attached", ifp->if_xname);
	if_rele(ifp);
}

void
if_initname(if_t ifp, const char *name, int unit)
{
	ifp->if_dname = name;
	ifp->if_dunit = unit;
	if (unit != IF_DUNIT_NONE)
		snprintf(ifp->if_xname, IFNAMSIZ, "%s%d", name, unit);
	else
		strlcpy(ifp->if_xname, name, IFNAMSIZ);
}

/* The link-level address, which if_getlladdr() and IF_LLADDR() point into. */
void
kif_sdl_init(struct kif *k, const uint8_t *mac)
{
	struct sockaddr_dl *sdl;

	sdl = &k->sdl;
	sdl->sdl_len = sizeof(*sdl);
	sdl->sdl_family = AF_LINK;
	sdl->sdl_index = k->ifnet.if_index;
	sdl->sdl_type = k->ifnet.if_type;
	sdl->sdl_nlen = strlen(k->ifnet.if_xname);
	sdl->sdl_alen = ETHER_ADDR_LEN;
	memcpy(sdl->sdl_data, k->ifnet.if_xname, sdl->sdl_nlen);
	memcpy(LLADDR(sdl), mac, ETHER_ADDR_LEN);
	k->ifa.ifa_addr = (struct sockaddr *)sdl;
	k->ifa.ifa_ifp = &k->ifnet;
	k->ifa.ifa_refcnt = 1;
	k->ifnet.if_addr = &k->ifa;
	k->ifnet.if_hw_addr = LLADDR(sdl);
}

void
if_attach(if_t ifp)
{
	struct kif *k;

	k = (struct kif *)ifp;
	sx_xlock(&kif_config);
	if (k->attached || ifp->if_xname[0] == '\0')
		panic("if_attach: %s is attached or has no name",
		    ifp->if_xname);
	ifp->if_index = next_index++;
	ifp->if_epoch = time_uptime;
	if (ifp->if_transmit == no_transmit && ifp->if_start == NULL)
		panic("if_attach: %s cannot transmit", ifp->if_xname);
	k->attached = true;
	CK_STAILQ_INSERT_TAIL(&all, ifp, if_link);
	sx_xunlock(&kif_config);
	EVENTHANDLER_INVOKE(ifnet_arrival_event, ifp);
}

static void
drop_groups(struct ifnet *ifp)
{
	struct ifmultiaddr *ifma;

	while ((ifma = CK_STAILQ_FIRST(&ifp->if_multiaddrs)) != NULL) {
		CK_STAILQ_REMOVE_HEAD(&ifp->if_multiaddrs, ifma_link);
		free(ifma->ifma_addr, M_IFNET);
		free(ifma, M_IFNET);
	}
}

/* After this nobody calls the driver, and it may call nobody. */
void
if_detach(if_t ifp)
{
	struct kif *k;

	k = (struct kif *)ifp;
	if (!k->attached)
		panic("if_detach: %s is not attached", ifp->if_xname);
	sx_xlock(&kif_config);
	k->dying = true;
	ifp->if_flags |= IFF_DYING;
	CK_STAILQ_REMOVE(&all, ifp, ifnet, if_link);
	sx_xunlock(&kif_config);
	iftap_detach(k);
	(void)kif_capture(k, NULL);
	NET_EPOCH_WAIT();
	EVENTHANDLER_INVOKE(ifnet_departure_event, ifp);
	k->attached = false;
	mtx_lock(&ifp->if_addr_lock);
	drop_groups(ifp);
	mtx_unlock(&ifp->if_addr_lock);
	ifp->if_transmit = no_transmit;
	ifp->if_bpf = NULL;
}

/* Multicast groups */

int
if_addmulti(if_t ifp, struct sockaddr *sa, struct ifmultiaddr **retifma)
{
	struct ifmultiaddr *ifma;

	ifma = malloc(sizeof(*ifma), M_IFNET, M_WAITOK | M_ZERO);
	ifma->ifma_addr = malloc(sizeof(struct sockaddr_dl), M_IFNET,
	    M_WAITOK | M_ZERO);
	memcpy(ifma->ifma_addr, sa, MIN(sa->sa_len,
	    sizeof(struct sockaddr_dl)));
	ifma->ifma_ifp = ifp;
	ifma->ifma_refcount = 1;
	mtx_lock(&ifp->if_addr_lock);
	CK_STAILQ_INSERT_TAIL(&ifp->if_multiaddrs, ifma, ifma_link);
	mtx_unlock(&ifp->if_addr_lock);
	if (retifma != NULL)
		*retifma = ifma;
	return (ifp->if_ioctl != NULL ?
	    ifp->if_ioctl(ifp, SIOCADDMULTI, NULL) : 0);
}

static bool
same_group(const struct ifmultiaddr *ifma, const struct sockaddr *sa)
{
	const struct sockaddr_dl *a, *b;

	a = (const struct sockaddr_dl *)ifma->ifma_addr;
	b = (const struct sockaddr_dl *)sa;
	return (a->sdl_alen == b->sdl_alen &&
	    memcmp(LLADDR(a), LLADDR(b), a->sdl_alen) == 0);
}

int
if_delmulti(if_t ifp, struct sockaddr *sa)
{
	struct ifmultiaddr *ifma;

	mtx_lock(&ifp->if_addr_lock);
	CK_STAILQ_FOREACH(ifma, &ifp->if_multiaddrs, ifma_link)
		if (same_group(ifma, sa))
			break;
	if (ifma != NULL)
		CK_STAILQ_REMOVE(&ifp->if_multiaddrs, ifma, ifmultiaddr,
		    ifma_link);
	mtx_unlock(&ifp->if_addr_lock);
	if (ifma == NULL)
		return (ENOENT);
	NET_EPOCH_WAIT();
	free(ifma->ifma_addr, M_IFNET);
	free(ifma, M_IFNET);
	return (ifp->if_ioctl != NULL ?
	    ifp->if_ioctl(ifp, SIOCDELMULTI, NULL) : 0);
}

u_int
if_foreach_llmaddr(if_t ifp, iflladdr_cb_t cb, void *arg)
{
	struct epoch_tracker et;
	struct ifmultiaddr *ifma;
	u_int count;

	count = 0;
	NET_EPOCH_ENTER(et);
	CK_STAILQ_FOREACH(ifma, &ifp->if_multiaddrs, ifma_link)
		count += cb(arg, (struct sockaddr_dl *)ifma->ifma_addr, count);
	NET_EPOCH_EXIT(et);
	return (count);
}

static u_int
count_one(void *arg, struct sockaddr_dl *sdl, u_int count)
{
	return (1);
}

u_int
if_llmaddr_count(if_t ifp)
{
	return (if_foreach_llmaddr(ifp, count_one, NULL));
}

bool
if_maddr_empty(if_t ifp)
{
	return (CK_STAILQ_EMPTY(&ifp->if_multiaddrs));
}

/* Counters */

uint64_t
if_get_counter_default(if_t ifp, ift_counter cnt)
{
	return (counter_u64_fetch(ifp->if_counters[cnt]));
}

void
if_inc_counter(if_t ifp, ift_counter cnt, int64_t inc)
{
	counter_u64_add(ifp->if_counters[cnt], inc);
}

/* Link state */

static const char *const link_names[] = { "UNKNOWN", "DOWN", "UP" };

void
if_link_state_change(if_t ifp, int state)
{
	struct kif *k;

	k = (struct kif *)ifp;
	if (ifp->if_link_state == state)
		return;
	ifp->if_link_state = state;
	if (!k->attached || k->dying)
		return;
	printf("%s: link state changed to %s\n", ifp->if_xname,
	    state >= 0 && state < nitems(link_names) ? link_names[state] :
	    "?");
	EVENTHANDLER_INVOKE(ifnet_link_event, ifp, state);
	iftap_link(k);
}

int
if_printf(if_t ifp, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return (printf("%s: %s", ifp->if_xname, text));
}

int
if_log(if_t ifp, int pri, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return (printf("%s: %s", ifp->if_xname, text));
}

if_t
ifunit(const char *name)
{
	struct kif *k;

	k = kif_find(name);
	return (k != NULL ? &k->ifnet : NULL);
}

if_t
ifunit_ref(const char *name)
{
	if_t ifp;

	sx_slock(&kif_config);
	ifp = ifunit(name);
	if (ifp != NULL)
		if_ref(ifp);
	sx_sunlock(&kif_config);
	return (ifp);
}

/* Promiscuous listeners count; the first and the last tell the driver. */
int
ifpromisc(if_t ifp, int on)
{
	int error, old;

	old = ifp->if_pcount;
	if (on)
		ifp->if_pcount++;
	else if (ifp->if_pcount > 0)
		ifp->if_pcount--;
	if ((old == 0) == (ifp->if_pcount == 0))
		return (0);
	if (on)
		ifp->if_flags |= IFF_PROMISC;
	else
		ifp->if_flags &= ~IFF_PROMISC;
	if (ifp->if_ioctl == NULL)
		return (0);
	error = ifp->if_ioctl(ifp, SIOCSIFFLAGS, NULL);
	printf("%s: promiscuous mode %s\n", ifp->if_xname, on ? "enabled" :
	    "disabled");
	return (error);
}

/* The new address is in place before the driver is told by the event. */
int
if_setlladdr(if_t ifp, const u_char *mac, int len)
{
	if (len != ETHER_ADDR_LEN || ifp->if_addr == NULL)
		return (EINVAL);
	memcpy(IF_LLADDR(ifp), mac, len);
	if ((ifp->if_flags & IFF_UP) != 0 && ifp->if_ioctl != NULL) {
		ifp->if_flags &= ~IFF_UP;
		(void)ifp->if_ioctl(ifp, SIOCSIFFLAGS, NULL);
		ifp->if_flags |= IFF_UP;
		(void)ifp->if_ioctl(ifp, SIOCSIFFLAGS, NULL);
	}
	EVENTHANDLER_INVOKE(iflladdr_event, ifp);
	return (0);
}
