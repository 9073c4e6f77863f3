/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * iface.c: see iface.h. Facts: getifaddrs(3), resolv.conf(5), the pid files of
 * dhclient(8) below /var/run/dhclient, rc.conf(5).
 */

#include <sys/types.h>
#include <sys/socket.h>
#include <arpa/inet.h>
#include <ifaddrs.h>
#ifdef __FreeBSD__
#include <net/if_dl.h>
#include <net/if_types.h>
#else
#include <netpacket/packet.h>
#include <net/if_arp.h>
#endif

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iface.h"
#include "sysctls.h"

const char *iface_root = "";

const char *
iface_path(char *buf, size_t len, const char *path)
{
	snprintf(buf, len, "%s%s", iface_root, path);
	return (buf);
}

struct guid_search {
	char	guid[GUID_TEXT];
	char	name[IFNAMSIZ];
};

/* dev.hn.3.%pnpinfo: classid=... deviceid=... */
static void
guid_compare(void *arg, const char *name, const char *value)
{
	struct guid_search *s;
	char guid[GUID_TEXT];
	const char *id;
	int end, unit;

	s = arg;
	end = 0;
	if (sscanf(name, "dev.hn.%d.%%pnpinfo%n", &unit, &end) != 1 ||
	    name[end] != '\0' || unit < 0)
		return;
	id = strstr(value, "deviceid=");
	if (id != NULL && guid_normal(guid, id + 9, 36) &&
	    strcmp(guid, s->guid) == 0)
		snprintf(s->name, sizeof(s->name), "hn%d", unit);
}

static bool
find_guid(const char *guid, char name[IFNAMSIZ])
{
	struct guid_search s;

	memset(&s, 0, sizeof(s));
	strcpy(s.guid, guid);
	sysctls_walk("dev.hn", guid_compare, &s);
	strcpy(name, s.name);
	return (name[0] != '\0' && if_nametoindex(name) != 0);
}

static bool
has_mac(const struct ifaddrs *i, const uint8_t mac[6])
{
#ifdef __FreeBSD__
	const struct sockaddr_dl *dl;

	dl = (const void *)i->ifa_addr;
	return (i->ifa_addr->sa_family == AF_LINK &&
	    dl->sdl_type == IFT_ETHER && dl->sdl_alen == 6 &&
	    memcmp(dl->sdl_data + dl->sdl_nlen, mac, 6) == 0);
#else
	const struct sockaddr_ll *ll;

	ll = (const void *)i->ifa_addr;
	return (i->ifa_addr->sa_family == AF_PACKET &&
	    ll->sll_hatype == ARPHRD_ETHER && ll->sll_halen == 6 &&
	    memcmp(ll->sll_addr, mac, 6) == 0);
#endif
}

/* A function in a transparent VF has hn's address too: hn comes first. */
static bool
find_mac(const uint8_t mac[6], char name[IFNAMSIZ])
{
	struct ifaddrs *all, *i;
	bool found;

	if (getifaddrs(&all) != 0)
		return (false);
	found = false;
	for (i = all; i != NULL; i = i->ifa_next) {
		if (i->ifa_addr == NULL || !has_mac(i, mac) ||
		    (found && strncmp(i->ifa_name, "hn", 2) != 0))
			continue;
		snprintf(name, IFNAMSIZ, "%s", i->ifa_name);
		found = true;
	}
	freeifaddrs(all);
	return (found);
}

bool
iface_find(const char *adapter, size_t max, char name[IFNAMSIZ])
{
	char guid[GUID_TEXT];
	uint8_t mac[6];

	if (guid_normal(guid, adapter, max))
		return (find_guid(guid, name));
	return (mac_parse(mac, adapter, max) && find_mac(mac, name));
}

/* false: not of a family that we know. */
static bool
from_sockaddr(struct address *a, const struct sockaddr *sa)
{
	memset(a, 0, sizeof(*a));
	a->family = sa->sa_family;
	if (sa->sa_family == AF_INET)
		memcpy(a->bytes, &((const struct sockaddr_in *)
		    (const void *)sa)->sin_addr, 4);
	else if (sa->sa_family == AF_INET6)
		memcpy(a->bytes, &((const struct sockaddr_in6 *)
		    (const void *)sa)->sin6_addr, 16);
	else
		return (false);
	/* KAME keeps the zone of a link-local address in its second word. */
	if (a->family == AF_INET6 && a->bytes[0] == 0xfe &&
	    (a->bytes[1] & 0xc0) == 0x80)
		a->bytes[2] = a->bytes[3] = 0;
	return (true);
}

static int
prefix_of(const struct sockaddr *mask, int family)
{
	struct address a;
	int n;

	if (mask == NULL)
		return (family == AF_INET ? 32 : 128);
	memset(&a, 0, sizeof(a));
	if (family == AF_INET)
		memcpy(a.bytes, &((const struct sockaddr_in *)
		    (const void *)mask)->sin_addr, 4);
	else
		memcpy(a.bytes, &((const struct sockaddr_in6 *)
		    (const void *)mask)->sin6_addr, 16);
	for (n = 0; n < 128 && (a.bytes[n / 8] & 0x80 >> n % 8) != 0; n++)
		continue;
	return (n);
}

void
iface_all(int family, char *buf, size_t len)
{
	struct ifaddrs *all, *i;
	struct address a;
	char text[PLAN_TEXT];
	size_t used;

	buf[0] = '\0';
	if (getifaddrs(&all) != 0)
		return;
	for (used = 0, i = all; i != NULL; i = i->ifa_next) {
		if (i->ifa_addr == NULL || i->ifa_addr->sa_family != family ||
		    (i->ifa_flags & IFF_LOOPBACK) != 0 ||
		    !from_sockaddr(&a, i->ifa_addr))
			continue;
		address_text(&a, text);
		if (used + strlen(text) + 2 > len)
			break;
		used += (size_t)snprintf(buf + used, len - used, "%s%s",
		    used != 0 ? ";" : "", text);
	}
	freeifaddrs(all);
}

static int
read_dns(struct address *list, int max)
{
	char line[512], path[1024], text[128];
	FILE *f;
	int n;

	f = fopen(iface_path(path, sizeof(path), "/etc/resolv.conf"), "re");
	if (f == NULL)
		return (0);
	for (n = 0; n < max && fgets(line, sizeof(line), f) != NULL;) {
		if (sscanf(line, " nameserver %127s", text) != 1)
			continue;
		text[strcspn(text, "%")] = '\0';
		memset(&list[n], 0, sizeof(list[n]));
		list[n].family = AF_INET;
		if (inet_pton(AF_INET, text, list[n].bytes) != 1) {
			list[n].family = AF_INET6;
			if (inet_pton(AF_INET6, text, list[n].bytes) != 1)
				continue;
		}
		n++;
	}
	fclose(f);
	return (n);
}

/* dhclient(8) runs for it, or rc.conf(5) says that it shall. */
static bool
uses_dhcp(const char *name)
{
	char key[64], line[1024], path[1024], file[128];
	long pid;
	bool dhcp;
	FILE *f;

	dhcp = false;
	snprintf(file, sizeof(file), "/var/run/dhclient/dhclient.%s.pid",
	    name);
	f = fopen(iface_path(path, sizeof(path), file), "re");
	if (f != NULL) {
		dhcp = fscanf(f, "%ld", &pid) == 1 && pid > 1 &&
		    kill((pid_t)pid, 0) == 0;
		fclose(f);
	}
	if (dhcp)
		return (true);
	f = fopen(iface_path(path, sizeof(path), "/etc/rc.conf"), "re");
	if (f == NULL)
		return (false);
	snprintf(key, sizeof(key), "ifconfig_%s=", name);
	while (fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, key, strlen(key)) == 0)
			dhcp = strstr(line, "DHCP") != NULL;
	fclose(f);
	return (dhcp);
}

void
iface_state(const char *name, struct iface_state *s)
{
	struct ifaddrs *all, *i;
	struct address *a;

	memset(s, 0, sizeof(*s));
	if (getifaddrs(&all) == 0) {
		for (i = all; i != NULL && s->naddresses < PLAN_ADDRESSES;
		    i = i->ifa_next) {
			a = &s->addresses[s->naddresses];
			if (i->ifa_addr == NULL ||
			    strcmp(i->ifa_name, name) != 0 ||
			    !from_sockaddr(a, i->ifa_addr))
				continue;
			a->prefix = prefix_of(i->ifa_netmask, a->family);
			s->naddresses++;
		}
		freeifaddrs(all);
	}
	s->ngateways = routes_default(name, s->gateways, PLAN_GATEWAYS);
	s->ndns = read_dns(s->dns, PLAN_DNS);
	s->dhcp = uses_dhcp(name);
}
