/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * plan.h: what the host wants of an interface, in numbers. From here on there
 * is no byte of the host's: addresses are printed from their binary form.
 */

#ifndef HV_PLAN_H
#define	HV_PLAN_H

#include <netinet/in.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hv_kvp.h"

#define	PLAN_ADDRESSES	64
#define	PLAN_GATEWAYS	10
#define	PLAN_DNS	16
#define	PLAN_TEXT	INET6_ADDRSTRLEN

struct address {
	int	family;			/* AF_INET or AF_INET6 */
	uint8_t	bytes[16];
	int	prefix;
};

/* Only what is of these families changes. */
#define	PLAN_V4		1
#define	PLAN_V6		2

struct plan {
	int	families;
	bool	dhcp;			/* and router advertisements for IPv6 */
	int	naddresses, ngateways, ndns;
	struct address addresses[PLAN_ADDRESSES];
	struct address gateways[PLAN_GATEWAYS];
	struct address dns[PLAN_DNS];
};

/* NULL, or what is wrong with it. */
const char *plan_parse(struct plan *, const struct hv_kvp_ipaddr_value *);
const char *address_text(const struct address *, char buf[PLAN_TEXT]);
/* The same, and "%name" when it is only unique on that interface. */
#define	PLAN_SCOPED	(PLAN_TEXT + 17)
const char *address_scoped(const struct address *, const char *name,
	    char buf[PLAN_SCOPED]);
bool	address_link_local(const struct address *);
/* Dotted, of an IPv4 address. */
const char *address_mask(const struct address *, char buf[PLAN_TEXT]);
/* PLAN_V4 or PLAN_V6. */
int	address_bit(const struct address *);
bool	address_same(const struct address *, const struct address *);

/* "{xxxxxxxx-...}" or without braces, in lower case without; false: none. */
#define	GUID_TEXT	37
bool	guid_normal(char out[GUID_TEXT], const char *text, size_t max);
/* 12 hexadecimal digits, or with ':' or '-' between each two. */
bool	mac_parse(uint8_t out[6], const char *text, size_t max);

#endif
