/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * A network interface: up, given an address by DHCP, and the gateway of
 * libslirp's network pinged.
 */

#include <sys/param.h>
#include <sys/socket.h>
#include <sys/sockio.h>
#include <sys/time.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/in_var.h>

#include "sys.h"

#define	PINGS		5
#define	PAYLOAD		1000

static void
name_to(char *to, const char *name)
{
	memset(to, 0, IFNAMSIZ);
	memcpy(to, name, length(name));
}

static void
address(struct sockaddr_in *sin, uint32_t host_order)
{
	memset(sin, 0, sizeof(*sin));
	sin->sin_len = sizeof(*sin);
	sin->sin_family = AF_INET;
	sin->sin_addr.s_addr = __builtin_bswap32(host_order);
}

static uint16_t
sum16(const uint16_t *p, size_t bytes)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < bytes / 2; i++)
		sum += p[i];
	sum = (sum & 0xffff) + (sum >> 16);
	return ((uint16_t)~(sum + (sum >> 16)));
}

/* One echo request; the answer has the same sequence and bytes. */
static bool
ping(int s, uint32_t to, uint16_t seq)
{
	static uint16_t out[(8 + PAYLOAD) / 2], in[2048];
	struct sockaddr_in sin;
	uint64_t end;
	size_t head;
	long n;

	out[0] = 8;			/* echo request */
	out[1] = 0;
	out[2] = 0x1234;
	out[3] = seq;
	for (size_t i = 4; i < sizeof(out) / 2; i++)
		out[i] = (uint16_t)(i * 7 + seq);
	out[1] = sum16(out, sizeof(out));
	address(&sin, to);
	if (sys6(SYS_sendto, s, (long)out, sizeof(out), 0, (long)&sin,
	    sizeof(sin)) != (long)sizeof(out))
		return (false);
	for (end = now_ms() + 3000; now_ms() < end;) {
		n = sys6(SYS_recvfrom, s, (long)in, sizeof(in), 0, 0, 0);
		head = (size_t)(in[0] & 0xf) * 4;
		if (n < (long)(head + sizeof(out)))
			continue;
		if (in[head / 2] == 0 && in[head / 2 + 3] == seq)
			return (memcmp(in + head / 2 + 4, out + 4,
			    PAYLOAD) == 0);
	}
	return (false);
}

/* Up, with all its frames for bpf(4). */
static void
bring_up(int s, const char *ifname, struct ifreq *ifr)
{
	ifr->ifr_flags |= (short)IFF_UP;
	(void)sys3(SYS_ioctl, s, SIOCSIFFLAGS, ifr);
	/* The link is announced a moment later. */
	for (uint64_t end = now_ms() + 5000; now_ms() < end;) {
		sleep_ms(100);
		memset(ifr, 0, sizeof(*ifr));
		name_to(ifr->ifr_name, ifname);
		if (sys3(SYS_ioctl, s, SIOCGIFFLAGS, ifr) == 0 &&
		    (ifr->ifr_flags & IFF_DRV_RUNNING) != 0)
			break;
	}
}

void
check_net(const char *ifname)
{
	struct timeval tv = { .tv_sec = 1 };
	struct in_aliasreq ia;
	struct ifreq ifr;
	uint8_t mac[6];
	uint32_t addr = 0;
	unsigned ok = 0;
	long error;
	int s;

	s = (int)sys3(SYS_socket, AF_INET, SOCK_RAW, IPPROTO_ICMP);
	memset(&ifr, 0, sizeof(ifr));
	name_to(ifr.ifr_name, ifname);
	if (s < 0 || sys3(SYS_ioctl, s, SIOCGIFFLAGS, &ifr) != 0) {
		say("net: no %s here\n", ifname);
		return;
	}
	bring_up(s, ifname, &ifr);
	check("net.up", (ifr.ifr_flags & IFF_UP) != 0 &&
	    (ifr.ifr_flags & IFF_DRV_RUNNING) != 0, "%s flags 0x%x",
	    ifname, (unsigned)(unsigned short)ifr.ifr_flags);
	error = sys3(SYS_ioctl, s, SIOCGHWADDR, &ifr);
	memcpy(mac, ifr.ifr_addr.sa_data, sizeof(mac));
	if (error == 0)
		addr = dhcp(ifname, mac);
	check("net.dhcp", addr != 0, "%u.%u.%u.%u", addr >> 24,
	    addr >> 16 & 255, addr >> 8 & 255, addr & 255);
	memset(&ia, 0, sizeof(ia));
	name_to(ia.ifra_name, ifname);
	address(&ia.ifra_addr, addr != 0 ? addr : 0x0a00020f);
	address(&ia.ifra_mask, 0xffffff00);
	address(&ia.ifra_broadaddr, 0x0a0002ff);
	error = sys3(SYS_ioctl, s, SIOCAIFADDR, &ia);
	check("net.address", error == 0, "%s, error %ld", ifname, -error);
	(void)sys6(SYS_setsockopt, s, SOL_SOCKET, SO_RCVTIMEO, (long)&tv,
	    sizeof(tv), 0);
	for (uint16_t i = 0; i < PINGS; i++)
		ok += ping(s, 0x0a000202, i);
	check("net.ping", ok >= PINGS - 1, "%u of %u answers of %u bytes", ok,
	    PINGS, PAYLOAD);
	(void)sys1(SYS_close, s);
}

uint32_t
net_address(const char *ifname)
{
	struct sockaddr_in sin;
	struct ifreq ifr;
	long error;
	int s;

	s = (int)sys3(SYS_socket, AF_INET, SOCK_DGRAM, 0);
	memset(&ifr, 0, sizeof(ifr));
	name_to(ifr.ifr_name, ifname);
	error = sys3(SYS_ioctl, s, SIOCGIFADDR, &ifr);
	(void)sys1(SYS_close, s);
	memcpy(&sin, &ifr.ifr_addr, sizeof(sin));
	return (error == 0 ? __builtin_bswap32(sin.sin_addr.s_addr) : 0);
}
