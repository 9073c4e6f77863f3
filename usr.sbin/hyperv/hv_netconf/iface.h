/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * iface.h: interfaces of this system as they are now.
 */

#ifndef HV_IFACE_H
#define	HV_IFACE_H

#include <net/if.h>

#include "plan.h"

/* Below what directory programs and files are looked for; "" normally. */
extern const char *iface_root;

/*
 * The interface of a Hyper-V network adapter: by the GUID of the device
 * (dev.hn.N.%pnpinfo) or by its MAC address. false: none.
 */
bool	iface_find(const char *adapter, size_t max, char name[IFNAMSIZ]);

struct iface_state {
	bool	dhcp;
	int	naddresses, ngateways, ndns;
	struct address addresses[PLAN_ADDRESSES];
	struct address gateways[PLAN_GATEWAYS];	/* default routes through it */
	struct address dns[PLAN_DNS];
};
void	iface_state(const char *name, struct iface_state *);
/* Addresses of all interfaces but loopback, ';' between them. */
void	iface_all(int family, char *buf, size_t len);
/* The path of a file or program below the root; buf is returned. */
const char *iface_path(char *buf, size_t len, const char *path);

/* routes.c: fills in what is known; the number. */
int	routes_default(const char *name, struct address *list, int max);

#endif
