/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * config.c: see config.h. sysrc(8) does the writing, from an argument vector.
 *
 * Keys, for an interface hn0: ifconfig_hn0, ifconfig_hn0_ipv6, and
 * ifconfig_hn0_aliasN for further addresses, N without a gap (rc(8) stops at
 * the first), so that aliases of a family that stays are numbered anew with
 * the others; defaultrouter and ipv6_defaultrouter; further gateways are
 * static routes hv1_hn0, hv2_hn0...; name_servers in resolvconf.conf(5).
 */

#include <sys/socket.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "config.h"
#include "iface.h"
#include "log.h"
#include "run.h"

#define	MAX_SETTINGS	256
#define	SETTING		(RC_KEY + RC_VALUE)
#define	SECONDS		20

struct settings {
	const char *name;
	char	rcname[IFNAMSIZ];	/* the name as rc.conf's keys have it */
	const struct plan *plan;
	int	nset, nremove, naliases;
	bool	overflow, odd;
	char	set[MAX_SETTINGS][SETTING];
	char	remove[MAX_SETTINGS][RC_KEY];
	/* aliases of a family that stays */
	char	kept[PLAN_ADDRESSES][RC_VALUE];
	int	nkept;
};

static const char rc_conf[] = "/etc/rc.conf";
static const char resolvconf_conf[] = "/etc/resolvconf.conf";

static void __attribute__((__format__(__printf__, 2, 3)))
set(struct settings *s, const char *fmt, ...)
{
	va_list ap;

	if (s->nset == MAX_SETTINGS) {
		s->overflow = true;
		return;
	}
	va_start(ap, fmt);
	if (vsnprintf(s->set[s->nset++], SETTING, fmt, ap) >= SETTING)
		s->overflow = true;
	va_end(ap);
}

static void
drop(struct settings *s, const char *key)
{
	if (s->nremove == MAX_SETTINGS)
		s->overflow = true;
	else
		snprintf(s->remove[s->nremove++], RC_KEY, "%s", key);
}

static void
set_alias(struct settings *s, const char *value)
{
	set(s, "ifconfig_%s_alias%d=%s", s->rcname, s->naliases++, value);
}

static const char *
address_value(const struct address *a, char buf[RC_VALUE])
{
	char mask[PLAN_TEXT], text[PLAN_TEXT];

	address_text(a, text);
	if (a->family == AF_INET)
		snprintf(buf, RC_VALUE, "inet %s netmask %s", text,
		    address_mask(a, mask));
	else
		snprintf(buf, RC_VALUE, "inet6 %s prefixlen %d", text,
		    a->prefix);
	return (buf);
}

/* What rc.conf has of this interface and will not have afterwards. */
static void
look(void *arg, const struct rc_line *r)
{
	struct settings *s;
	char prefix[RC_KEY];
	int bit, end, n;

	s = arg;
	snprintf(prefix, sizeof(prefix), "ifconfig_%s_alias%%d%%n", s->rcname);
	end = 0;
	if (sscanf(r->key, prefix, &n, &end) == 1 && r->key[end] == '\0') {
		drop(s, r->key);
		bit = strncmp(r->value, "inet6", 5) == 0 ? PLAN_V6 : PLAN_V4;
		if ((s->plan->families & bit) != 0)
			return;
		if (!r->plain || s->nkept == PLAN_ADDRESSES)
			s->odd = true;
		else
			strcpy(s->kept[s->nkept++], r->value);
		return;
	}
	snprintf(prefix, sizeof(prefix), "ifconfig_%s_ipv6", s->rcname);
	if (strcmp(r->key, prefix) == 0 &&
	    (s->plan->families & PLAN_V6) != 0) {
		drop(s, r->key);
		return;
	}
	bit = strncmp(r->key, "ipv6_", 5) == 0 ? PLAN_V6 : PLAN_V4;
	end = 0;
	if (sscanf(r->key + (bit == PLAN_V6 ? 5 : 0), "route_hv%d_%n", &n,
	    &end) == 1 && end != 0 && (s->plan->families & bit) != 0 &&
	    strcmp(r->key + (bit == PLAN_V6 ? 5 : 0) + end,
	    s->rcname) == 0) {
		drop(s, r->key);
		set(s, "%sstatic_routes-=hv%d_%s", bit == PLAN_V6 ? "ipv6_" :
		    "", n, s->rcname);
	}
}

static void
set_addresses(struct settings *s)
{
	const struct plan *p;
	char value[RC_VALUE];
	int bit, i, seen;

	p = s->plan;
	if (p->dhcp) {
		if ((p->families & PLAN_V4) != 0)
			set(s, "ifconfig_%s=DHCP", s->rcname);
		if ((p->families & PLAN_V6) != 0)
			set(s, "ifconfig_%s_ipv6=inet6 accept_rtadv",
			    s->rcname);
	}
	for (i = seen = 0; i < p->naddresses; i++) {
		bit = address_bit(&p->addresses[i]);
		address_value(&p->addresses[i], value);
		if ((seen & bit) == 0)
			set(s, "ifconfig_%s%s=%s", s->rcname, bit == PLAN_V6 ?
			    "_ipv6" : "", value);
		else
			set_alias(s, value);
		seen |= bit;
	}
	if (!p->dhcp && (p->families & PLAN_V4) != 0 && (seen & PLAN_V4) == 0)
		set(s, "ifconfig_%s=up", s->rcname);
	for (i = 0; i < s->nkept; i++)
		set_alias(s, s->kept[i]);
}

static void
set_gateways(struct settings *s)
{
	const struct address *g;
	char text[PLAN_SCOPED];
	const char *six;
	int i, n, seen;

	for (i = n = seen = 0; i < s->plan->ngateways; i++) {
		g = &s->plan->gateways[i];
		if ((address_bit(g) & s->plan->families) == 0)
			continue;
		six = g->family == AF_INET6 ? "ipv6_" : "";
		address_scoped(g, s->name, text);
		if ((seen & address_bit(g)) == 0) {
			set(s, "%sdefaultrouter=%s", six, text);
		} else {
			n++;
			set(s, "%sroute_hv%d_%s=default %s", six, n,
			    s->rcname, text);
			set(s, "%sstatic_routes+=hv%d_%s", six, n, s->rcname);
		}
		seen |= address_bit(g);
	}
}

/* A key that is set anew is not removed. */
static bool
is_set(const struct settings *s, const char *key)
{
	size_t n;
	int i;

	n = strlen(key);
	for (i = 0; i < s->nset; i++)
		if (strncmp(s->set[i], key, n) == 0 && s->set[i][n] == '=')
			return (true);
	return (false);
}

static const char *
sysrc(const char *file, const char *option, char *const *args)
{
	char path[1024], prog[1024], *argv[MAX_SETTINGS + 8];
	int i, n;

	n = 0;
	argv[n++] = (char *)(uintptr_t)iface_path(prog, sizeof(prog),
	    "/usr/sbin/sysrc");
	argv[n++] = (char *)(uintptr_t)"-f";
	argv[n++] = (char *)(uintptr_t)iface_path(path, sizeof(path), file);
	if (option != NULL)
		argv[n++] = (char *)(uintptr_t)option;
	for (i = 0; args[i] != NULL; i++)
		argv[n++] = args[i];
	argv[n] = NULL;
	return (run(argv, NULL, NULL, 0, SECONDS) == 0 ? NULL :
	    "sysrc(8) failed");
}

static const char *
write_rc(struct settings *s)
{
	char *args[MAX_SETTINGS + 1];
	const char *wrong;
	int i, n;

	for (i = n = 0; i < s->nremove; i++)
		if (!is_set(s, s->remove[i]))
			args[n++] = s->remove[i];
	args[n] = NULL;
	wrong = n > 0 ? sysrc(rc_conf, "-x", args) : NULL;
	for (i = 0; i < s->nset; i++)
		args[i] = s->set[i];
	args[i] = NULL;
	return (wrong == NULL ? sysrc(rc_conf, NULL, args) : wrong);
}

static const char *
write_dns(const struct plan *p)
{
	char value[16 + PLAN_DNS * PLAN_TEXT], text[PLAN_TEXT];
	char *args[2] = { value, NULL };
	size_t used;
	int i;

	if (p->ndns == 0)
		return (NULL);
	used = (size_t)snprintf(value, sizeof(value), "name_servers=");
	for (i = 0; i < p->ndns; i++)
		used += (size_t)snprintf(value + used, sizeof(value) - used,
		    "%s%s", i > 0 ? " " : "", address_text(&p->dns[i], text));
	return (sysrc(resolvconf_conf, NULL, args));
}

const char *
config_write(const char *name, const struct plan *p)
{
	static struct settings s;
	char path[1024];
	const char *wrong;
	size_t i;

	memset(&s, 0, sizeof(s));
	s.plan = p;
	s.name = name;
	snprintf(s.rcname, sizeof(s.rcname), "%s", name);
	for (i = 0; s.rcname[i] != '\0'; i++)
		if (strchr("./-+", s.rcname[i]) != NULL)
			s.rcname[i] = '_';
	if (rc_each(iface_path(path, sizeof(path), rc_conf), look, &s) != 0)
		return ("rc.conf(5) cannot be read");
	if (s.odd)
		return ("an alias in rc.conf(5) is more than plain text");
	set_addresses(&s);
	set_gateways(&s);
	if (s.overflow)
		return ("more settings than rc.conf(5) is given");
	wrong = write_rc(&s);
	return (wrong == NULL ? write_dns(p) : wrong);
}

const char *
config_save(struct config *c)
{
	char path[1024];
	int error;

	memset(c, 0, sizeof(*c));
	error = file_save(&c->rc, iface_path(path, sizeof(path), rc_conf));
	if (error == 0)
		error = file_save(&c->resolvconf, iface_path(path,
		    sizeof(path), resolvconf_conf));
	if (error == 0)
		error = file_save(&c->resolv, iface_path(path, sizeof(path),
		    "/etc/resolv.conf"));
	if (error == 0)
		return (NULL);
	/* Nothing was changed, so there is nothing to restore. */
	config_forget(c);
	memset(c, 0, sizeof(*c));
	return ("the present configuration cannot be read");
}

void
config_restore(const struct config *c)
{
	const struct saved_file *all[] = { &c->rc, &c->resolvconf, &c->resolv };
	size_t i;
	int error;

	for (i = 0; i < 3; i++) {
		error = file_restore(all[i]);
		if (error != 0)
			log_msg(LOG_ERR, "%s cannot be put back: %s",
			    all[i]->path, strerror(error));
	}
}

void
config_forget(struct config *c)
{
	file_forget(&c->rc);
	file_forget(&c->resolvconf);
	file_forget(&c->resolv);
}
