/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * apply.c: see apply.h; config.c writes the files. Facts: ifconfig(8),
 * route(8), resolvconf(8), service(8).
 */

#include <sys/socket.h>

#include <stdio.h>
#include <string.h>

#include "apply.h"
#include "config.h"
#include "iface.h"
#include "log.h"
#include "run.h"

#define	SECONDS		10	/* for each program */
#define	MAX_ARGS	12

struct job {
	const char	*name;
	const struct plan *plan;
	struct iface_state before;
};

/* Runs a program of the base system. */
static int
tool(const char *path, const char *const args[])
{
	char full[1024], *argv[MAX_ARGS + 2];
	int i;

	argv[0] = (char *)(uintptr_t)iface_path(full, sizeof(full), path);
	for (i = 0; i < MAX_ARGS && args[i] != NULL; i++)
		argv[i + 1] = (char *)(uintptr_t)args[i];
	argv[i + 1] = NULL;
	return (run(argv, NULL, NULL, 0, SECONDS));
}

#define	TOOL(path, ...)	tool(path, (const char *const []){ __VA_ARGS__, NULL })

static int
address_add(const char *name, const struct address *a)
{
	char text[PLAN_TEXT], mask[PLAN_TEXT];

	address_text(a, text);
	if (a->family == AF_INET)
		return (TOOL("/sbin/ifconfig", name, "inet", text, "netmask",
		    address_mask(a, mask), "alias"));
	snprintf(mask, sizeof(mask), "%d", a->prefix);
	return (TOOL("/sbin/ifconfig", name, "inet6", text, "prefixlen", mask,
	    "alias"));
}

/* With its prefix. */
static bool
has(const struct address *list, int n, const struct address *a)
{
	int i;

	for (i = 0; i < n; i++)
		if (address_same(&list[i], a) && list[i].prefix == a->prefix)
			return (true);
	return (false);
}

/* One that went by itself, with its network's first, is removed too. */
static int
address_remove(const char *name, const struct address *a)
{
	struct iface_state now;
	char text[PLAN_TEXT];

	if (TOOL("/sbin/ifconfig", name, a->family == AF_INET ? "inet" :
	    "inet6", address_text(a, text), "-alias") == 0)
		return (0);
	iface_state(name, &now);
	return (has(now.addresses, now.naddresses, a) ? -1 : 0);
}

/* Link-local addresses are the system's own. */
static bool
covered(const struct job *j, const struct address *a)
{
	return ((address_bit(a) & j->plan->families) != 0 && !address_link_local(a));
}

static bool
other_prefix(const struct address *list, int n, const struct address *a)
{
	int i;

	for (i = 0; i < n; i++)
		if (address_same(&list[i], a) && list[i].prefix != a->prefix)
			return (true);
	return (false);
}

/*
 * From one set of addresses to another: new ones first, so that there is
 * always one, but an address that gets another prefix goes before it comes.
 * The first failure, after all of it.
 */
static const char *
addresses_change(const struct job *j, const struct address *from, int nfrom,
    const struct address *to, int nto)
{
	const char *wrong;
	int i, pass;

	wrong = NULL;
	for (pass = 0; pass < 2; pass++) {
		for (i = 0; i < nfrom; i++)
			if (covered(j, &from[i]) && !has(to, nto, &from[i]) &&
			    other_prefix(to, nto, &from[i]) == (pass == 0) &&
			    address_remove(j->name, &from[i]) != 0)
				wrong = "an address could not be removed";
		for (i = 0; pass == 0 && i < nto; i++)
			if (covered(j, &to[i]) && !has(from, nfrom, &to[i]) &&
			    address_add(j->name, &to[i]) != 0)
				wrong = "an address could not be added";
	}
	return (wrong);
}

static int
route(const struct job *j, const char *verb, const struct address *gateway)
{
	char text[PLAN_SCOPED];

	return (TOOL("/sbin/route", "-n", verb, gateway->family == AF_INET ?
	    "-inet" : "-inet6", "default", address_scoped(gateway, j->name,
	    text)));
}

/* The first of a family takes the place of the route that is there. */
static const char *
routes_change(const struct job *j, const struct address *list, int n)
{
	int i, seen;

	for (i = seen = 0; i < n; i++) {
		if ((address_bit(&list[i]) & j->plan->families) == 0)
			continue;
		if ((seen & address_bit(&list[i])) == 0 &&
		    route(j, "change", &list[i]) == 0)
			seen |= address_bit(&list[i]);
		else if (route(j, "add", &list[i]) != 0)
			return ("a default route could not be set");
		seen |= address_bit(&list[i]);
	}
	return (NULL);
}

/* Default routes through the interface that are not among `list'. */
static void
routes_prune(const struct job *j, const struct address *list, int n,
    int families)
{
	struct iface_state now;
	int i, k;

	iface_state(j->name, &now);
	for (i = 0; i < now.ngateways; i++) {
		for (k = 0; k < n; k++)
			if (address_same(&list[k], &now.gateways[i]))
				break;
		if (k == n && (address_bit(&now.gateways[i]) & families) != 0)
			(void)route(j, "delete", &now.gateways[i]);
	}
}

/* The families for which there is a gateway. */
static int
gateway_families(const struct plan *p)
{
	int bits, i;

	for (i = bits = 0; i < p->ngateways; i++)
		bits |= address_bit(&p->gateways[i]);
	return (bits & p->families);
}

static const char *
live_dhcp(struct job *j)
{
	if ((j->plan->families & PLAN_V4) != 0 &&
	    TOOL("/usr/sbin/service", "dhclient", "restart", j->name) != 0)
		return ("dhclient(8) did not start");
	if ((j->plan->families & PLAN_V6) != 0 &&
	    TOOL("/sbin/ifconfig", j->name, "inet6", "accept_rtadv") != 0)
		return ("router advertisements could not be turned on");
	return (NULL);
}

static const char *
live(struct job *j)
{
	struct iface_state now;
	const struct plan *p;
	const char *wrong;

	p = j->plan;
	if (j->before.dhcp && !p->dhcp && (p->families & PLAN_V4) != 0)
		(void)TOOL("/usr/sbin/service", "dhclient", "stop", j->name);
	/* dhclient(8) may have taken its address along. */
	iface_state(j->name, &now);
	wrong = addresses_change(j, now.addresses, now.naddresses,
	    p->addresses, p->naddresses);
	if (wrong == NULL && TOOL("/sbin/ifconfig", j->name, "up") != 0)
		wrong = "the interface could not be brought up";
	if (wrong == NULL && p->dhcp)
		wrong = live_dhcp(j);
	if (wrong == NULL)
		wrong = routes_change(j, p->gateways, p->ngateways);
	if (wrong == NULL)
		routes_prune(j, p->gateways, p->ngateways,
		    gateway_families(p));
	if (wrong == NULL && p->ndns > 0 && TOOL("/sbin/resolvconf", "-u") != 0)
		wrong = "resolvconf(8) failed";
	return (wrong);
}

/* Back from wherever live() came to. resolv.conf is back already. */
static void
undo(struct job *j)
{
	struct iface_state now;

	iface_state(j->name, &now);
	(void)addresses_change(j, now.addresses, now.naddresses,
	    j->before.addresses, j->before.naddresses);
	(void)routes_change(j, j->before.gateways, j->before.ngateways);
	routes_prune(j, j->before.gateways, j->before.ngateways,
	    j->plan->families);
	if (j->before.dhcp && (j->plan->families & PLAN_V4) != 0)
		(void)TOOL("/usr/sbin/service", "dhclient", "restart",
		    j->name);
}

const char *
apply_plan(const char *name, const struct plan *plan)
{
	struct job j = { .name = name, .plan = plan };
	struct config c;
	const char *wrong;

	iface_state(name, &j.before);
	wrong = config_save(&c);
	if (wrong == NULL)
		wrong = config_write(name, plan);
	if (wrong == NULL) {
		wrong = live(&j);
		if (wrong != NULL) {
			config_restore(&c);
			undo(&j);
		}
	} else
		config_restore(&c);
	config_forget(&c);
	if (wrong != NULL)
		log_msg(LOG_ERR, "%s: %s; the configuration is as before",
		    name, wrong);
	else
		log_msg(LOG_NOTICE, "%s: configured by the host: %s, %d "
		    "addresses, %d gateways, %d name servers", name,
		    plan->dhcp ? "DHCP" : "static", plan->naddresses,
		    plan->ngateways, plan->ndns);
	return (wrong);
}
