/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * The VLANs of an adapter, as a switch's port has them: none (tags pass as they
 * are), access (the guest sees no tags and is on one VLAN), or trunk (a set
 * passes, and untagged frames are on the native one).
 * Pure functions; the rules are guarded by nic.state.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "net_int.h"

#define	VID(tci)	((tci) & 0xfff)

static bool
number(const char **s, unsigned max, unsigned *out)
{
	unsigned v = 0;

	if (!isdigit((unsigned char)**s))
		return (false);
	for (; isdigit((unsigned char)**s); (*s)++) {
		v = v * 10 + (unsigned)(**s - '0');
		if (v > max)
			return (false);
	}
	*out = v;
	return (true);
}

static int
parse_trunk(const char *s, struct net_vlan *v)
{
	unsigned from, to;

	for (;;) {
		if (!number(&s, 4094, &from) || from == 0)
			return (-EINVAL);
		to = from;
		if (*s == '-') {
			s++;
			if (!number(&s, 4094, &to) || to < from)
				return (-EINVAL);
		}
		for (; from <= to; from++)
			v->allowed[from / 64] |= 1ull << (from % 64);
		if (*s != ',' && *s != '+')
			break;
		s++;
	}
	if (*s == '/') {
		s++;
		if (!number(&s, 4094, &to))
			return (-EINVAL);
		v->id = (uint16_t)to;
	}
	return (*s == '\0' ? 0 : -EINVAL);
}

int
net_vlan_parse(const char *s, struct net_vlan *v)
{
	unsigned id;

	memset(v, 0, sizeof(*v));
	snprintf(v->text, sizeof(v->text), "%s", s);
	if (strlen(s) >= sizeof(v->text))
		return (-EINVAL);
	if (strcmp(s, "none") == 0 || strcmp(s, "0") == 0)
		return (0);
	if (strncmp(s, "trunk:", 6) == 0) {
		v->mode = VLAN_TRUNK;
		return (parse_trunk(s + 6, v));
	}
	if (!number(&s, 4094, &id) || *s != '\0')
		return (-EINVAL);
	v->mode = VLAN_ACCESS;
	v->id = (uint16_t)id;
	return (0);
}

static bool
allowed(const struct net_vlan *v, unsigned id)
{

	return ((v->allowed[id / 64] & 1ull << (id % 64)) != 0);
}

/* A tag of VLAN 0 carries a priority alone: it is on no VLAN. */
bool
net_vlan_out(const struct net_vlan *v, int *tci)
{
	int priority = *tci >= 0 ? *tci & 0xf000 : 0;

	switch (v->mode) {
	case VLAN_NONE:
		return (true);
	case VLAN_ACCESS:
		if (*tci >= 0 && VID(*tci) != 0)
			return (false);
		*tci = priority | v->id;
		return (true);
	case VLAN_TRUNK:
		if (*tci < 0 || VID(*tci) == 0) {
			if (v->id != 0)
				*tci = priority | v->id;
			return (true);
		}
		return (allowed(v, VID(*tci)));
	}
	return (false);
}

bool
net_vlan_in(const struct net_vlan *v, int *tci)
{

	switch (v->mode) {
	case VLAN_NONE:
		return (true);
	case VLAN_ACCESS:
		if (*tci < 0 || VID(*tci) != v->id)
			return (false);
		*tci = -1;
		return (true);
	case VLAN_TRUNK:
		if (*tci < 0 || VID(*tci) == 0)
			return (v->id == 0);
		if (VID(*tci) == v->id) {
			*tci = -1;
			return (true);
		}
		return (allowed(v, VID(*tci)));
	}
	return (false);
}
