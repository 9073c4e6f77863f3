/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * routes.c: the default routes through an interface. Facts: the routing
 * sysctl of route(4) on FreeBSD, proc(5) on Linux.
 */

#include <sys/param.h>
#include <sys/socket.h>
#include <net/if.h>
#ifdef __FreeBSD__
#include <sys/sysctl.h>
#include <net/route.h>
#endif
#include <netinet/in.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iface.h"

#ifdef __FreeBSD__
static const struct sockaddr *
next_sockaddr(const struct sockaddr *sa)
{
	size_t len;

	/* As SA_SIZE(), which does not know const. */
	len = sa->sa_len == 0 ? sizeof(long) :
	    roundup2((size_t)sa->sa_len, sizeof(long));
	return ((const void *)((const char *)sa + len));
}

/* One route: the gateway, when it is a default route. */
static bool
take(const struct rt_msghdr *m, unsigned int ifindex, struct address *a)
{
	static const uint8_t zero[16];
	const struct sockaddr *dst, *gw;

	if (m->rtm_index != ifindex ||
	    (m->rtm_addrs & (RTA_DST | RTA_GATEWAY)) !=
	    (RTA_DST | RTA_GATEWAY) || (m->rtm_flags & RTF_HOST) != 0)
		return (false);
	dst = (const void *)(m + 1);
	gw = next_sockaddr(dst);
	if (dst->sa_family != gw->sa_family)
		return (false);
	memset(a, 0, sizeof(*a));
	a->family = gw->sa_family;
	if (gw->sa_family == AF_INET) {
		if (((const struct sockaddr_in *)(const void *)dst)->
		    sin_addr.s_addr != 0)
			return (false);
		memcpy(a->bytes, &((const struct sockaddr_in *)
		    (const void *)gw)->sin_addr, 4);
		return (true);
	}
	if (gw->sa_family != AF_INET6 || memcmp(&((const struct sockaddr_in6 *)
	    (const void *)dst)->sin6_addr, zero, 16) != 0)
		return (false);
	memcpy(a->bytes, &((const struct sockaddr_in6 *)
	    (const void *)gw)->sin6_addr, 16);
	if (a->bytes[0] == 0xfe && (a->bytes[1] & 0xc0) == 0x80)
		a->bytes[2] = a->bytes[3] = 0;
	return (true);
}

int
routes_default(const char *name, struct address *list, int max)
{
	int mib[] = { CTL_NET, PF_ROUTE, 0, AF_UNSPEC, NET_RT_FLAGS,
	    RTF_GATEWAY };
	const struct rt_msghdr *m;
	unsigned int ifindex;
	char *buf, *p;
	size_t len;
	int n;

	ifindex = if_nametoindex(name);
	if (ifindex == 0 || sysctl(mib, 6, NULL, &len, NULL, 0) != 0)
		return (0);
	len += len / 4 + 4096;
	buf = malloc(len);
	if (buf == NULL || sysctl(mib, 6, buf, &len, NULL, 0) != 0)
		len = 0;
	for (n = 0, p = buf; n < max && p + sizeof(*m) <= buf + len;
	    p += m->rtm_msglen) {
		m = (const void *)p;
		if (m->rtm_msglen < sizeof(*m))
			break;
		if (take(m, ifindex, &list[n]))
			n++;
	}
	free(buf);
	return (n);
}
#else
static int
routes4(const char *name, struct address *list, int max)
{
	char dev[32], line[512];
	unsigned int dst, gw, mask;
	uint32_t raw;
	FILE *f;
	int n;

	f = fopen("/proc/net/route", "re");
	if (f == NULL)
		return (0);
	for (n = 0; n < max && fgets(line, sizeof(line), f) != NULL;) {
		if (sscanf(line, "%31s %x %x %*x %*d %*u %*d %x", dev, &dst,
		    &gw, &mask) != 4 || strcmp(dev, name) != 0 || dst != 0 ||
		    mask != 0 || gw == 0)
			continue;
		memset(&list[n], 0, sizeof(list[n]));
		list[n].family = AF_INET;
		raw = gw;
		memcpy(list[n++].bytes, &raw, 4);
	}
	fclose(f);
	return (n);
}

static int
routes6(const char *name, struct address *list, int max)
{
	char dev[32], dst[40], gw[40], line[512];
	unsigned int byte, len;
	FILE *f;
	int i, n;

	f = fopen("/proc/net/ipv6_route", "re");
	if (f == NULL)
		return (0);
	for (n = 0; n < max && fgets(line, sizeof(line), f) != NULL;) {
		if (sscanf(line, "%32s %x %*s %*x %32s %*x %*x %*x %*x %31s",
		    dst, &len, gw, dev) != 4 || strcmp(dev, name) != 0 ||
		    len != 0 || strspn(gw, "0") == strlen(gw))
			continue;
		memset(&list[n], 0, sizeof(list[n]));
		list[n].family = AF_INET6;
		for (i = 0; i < 16; i++)
			if (sscanf(gw + 2 * i, "%2x", &byte) == 1)
				list[n].bytes[i] = (uint8_t)byte;
		n++;
	}
	fclose(f);
	return (n);
}

int
routes_default(const char *name, struct address *list, int max)
{
	int n;

	n = routes4(name, list, max);
	return (n + routes6(name, list + n, max - n));
}
#endif
