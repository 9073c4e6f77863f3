/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * if_media.c: ifmedia(9): the list of what an interface's link may be, which
 * belongs to the driver.
 */

#include "net.h"
#include <net/if_media.h>

void
ifmedia_init(struct ifmedia *ifm, int dontcare, ifm_change_cb_t change,
    ifm_stat_cb_t status)
{
	LIST_INIT(&ifm->ifm_list);
	ifm->ifm_cur = NULL;
	ifm->ifm_media = IFM_NONE;
	ifm->ifm_mask = dontcare;
	ifm->ifm_change = change;
	ifm->ifm_status = status;
}

void
ifmedia_removeall(struct ifmedia *ifm)
{
	struct ifmedia_entry *e;

	while ((e = LIST_FIRST(&ifm->ifm_list)) != NULL) {
		LIST_REMOVE(e, ifm_list);
		free(e, M_IFNET);
	}
	ifm->ifm_cur = NULL;
	ifm->ifm_media = IFM_NONE;
}

void
ifmedia_add(struct ifmedia *ifm, int mword, int data, void *aux)
{
	struct ifmedia_entry *e;

	e = malloc(sizeof(*e), M_IFNET, M_WAITOK | M_ZERO);
	e->ifm_media = mword;
	e->ifm_data = data;
	e->ifm_aux = aux;
	LIST_INSERT_HEAD(&ifm->ifm_list, e, ifm_list);
}

void
ifmedia_list_add(struct ifmedia *ifm, struct ifmedia_entry *list, int count)
{
	int i;

	for (i = 0; i < count; i++)
		ifmedia_add(ifm, list[i].ifm_media, list[i].ifm_data,
		    list[i].ifm_aux);
}

static struct ifmedia_entry *
ifmedia_match(struct ifmedia *ifm, int target)
{
	struct ifmedia_entry *e;

	LIST_FOREACH(e, &ifm->ifm_list, ifm_list)
		if ((e->ifm_media & ~ifm->ifm_mask) ==
		    (target & ~ifm->ifm_mask))
			break;
	return (e);
}

void
ifmedia_set(struct ifmedia *ifm, int target)
{
	ifm->ifm_cur = ifmedia_match(ifm, target);
	if (ifm->ifm_cur == NULL)
		panic("ifmedia_set: no medium %#x", target);
	ifm->ifm_media = target;
}

static int
ifmedia_get(if_t ifp, struct ifmediareq *ifmr, struct ifmedia *ifm)
{
	struct ifmedia_entry *e;
	int n;

	ifmr->ifm_current = ifm->ifm_cur != NULL ? ifm->ifm_cur->ifm_media :
	    IFM_NONE;
	ifmr->ifm_mask = ifm->ifm_mask;
	ifmr->ifm_status = 0;
	ifm->ifm_status(ifp, ifmr);
	n = 0;
	LIST_FOREACH(e, &ifm->ifm_list, ifm_list) {
		if (n < ifmr->ifm_count && ifmr->ifm_ulist != NULL)
			ifmr->ifm_ulist[n] = e->ifm_media;
		n++;
	}
	ifmr->ifm_count = n;
	return (0);
}

int
ifmedia_ioctl(if_t ifp, struct ifreq *ifr, struct ifmedia *ifm, u_long cmd)
{
	struct ifmedia_entry *e, *old;
	int error, media;

	if (ifp == NULL || ifr == NULL || ifm == NULL)
		return (EINVAL);
	switch (cmd) {
	case SIOCGIFMEDIA:
	case SIOCGIFXMEDIA:
		return (ifmedia_get(ifp, (struct ifmediareq *)ifr, ifm));
	case SIOCSIFMEDIA:
		e = ifmedia_match(ifm, ifr->ifr_media);
		if (e == NULL)
			return (ENXIO);
		if (e == ifm->ifm_cur && ifr->ifr_media == ifm->ifm_media)
			return (0);
		old = ifm->ifm_cur;
		media = ifm->ifm_media;
		ifm->ifm_cur = e;
		ifm->ifm_media = ifr->ifr_media;
		error = ifm->ifm_change(ifp);
		if (error != 0 && error != ENETRESET) {
			ifm->ifm_cur = old;
			ifm->ifm_media = media;
		}
		return (error == ENETRESET ? 0 : error);
	default:
		return (EINVAL);
	}
}

uint64_t
ifmedia_baudrate(int mword)
{
	static const struct ifmedia_baudrate rates[] =
	    IFM_BAUDRATE_DESCRIPTIONS;
	int i;

	for (i = 0; rates[i].ifmb_word != 0; i++)
		if (IFM_TYPE_MATCH(rates[i].ifmb_word, mword) &&
		    IFM_SUBTYPE(rates[i].ifmb_word) == IFM_SUBTYPE(mword))
			return (rates[i].ifmb_baudrate);
	return (0);
}
