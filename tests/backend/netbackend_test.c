/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * The back-ends of NICs by themselves: checksums and segments against a plain
 * sum, a tap against the kernel's own network stack in a namespace, libslirp
 * by its DHCP server, a pair with itself.
 */
#include <sys/socket.h>

#include <arpa/inet.h>
#include <atf-c.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <hvk/netbackend.h>
#include <hvk/vmm.h>

static uint8_t room[NET_FRAME_MAX + 2 * NET_HEADROOM];
static uint8_t other[NET_FRAME_MAX];

static uint32_t
get(const uint8_t *p, unsigned n)
{
	uint32_t v = 0;

	while (n-- != 0)
		v = v << 8 | *p++;
	return (v);
}

static void
put(uint8_t *p, uint32_t v, unsigned n)
{

	while (n-- != 0) {
		p[n] = (uint8_t)v;
		v >>= 8;
	}
}

/* Byte by byte, as RFC 1071 has it. */
static uint16_t
plain_sum(uint32_t sum, const uint8_t *p, uint32_t len)
{
	uint32_t i;

	for (i = 0; i < len; i++)
		sum += i % 2 == 0 ? (uint32_t)p[i] << 8 : p[i];
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	return ((uint16_t)sum);
}

/* Of IP and TCP or UDP, from fixed offsets: true if all of it is right. */
static bool
plain_good(const uint8_t *f, uint32_t len, bool v6, bool vlan, uint8_t proto)
{
	const uint8_t *ip = f + (vlan ? 18 : 14);
	uint32_t hl = v6 ? 40 : 20, n = len - (uint32_t)(ip - f) - hl, sum;

	if (!v6 && plain_sum(0, ip, 20) != 0xffff)
		return (false);
	sum = plain_sum(proto + n, v6 ? ip + 8 : ip + 12, v6 ? 32 : 8);
	return (plain_sum(sum, ip + hl, n) == 0xffff);
}

/* A frame with an empty checksum: its length. */
static uint32_t
make(uint8_t *f, bool v6, bool vlan, uint8_t proto, uint32_t body)
{
	uint32_t l3 = vlan ? 18 : 14, l4 = l3 + (v6 ? 40 : 20), i;
	uint32_t hl = proto == IPPROTO_TCP ? 20 : 8, total = l4 + hl + body;
	uint8_t *ip = f + l3;

	memset(f, 0, l4 + hl);
	memcpy(f, "\2\0\0\0\0\1\2\0\0\0\0\2", 12);
	if (vlan)
		put(f + 12, 0x81000064, 4);
	put(f + l3 - 2, v6 ? 0x86dd : 0x0800, 2);
	if (v6) {
		ip[0] = 0x60;
		put(ip + 4, hl + body, 2);
		ip[6] = proto;
		ip[7] = 64;
		ip[8] = 0xfd;
		ip[24] = 0xfd;
		ip[39] = 1;
	} else {
		ip[0] = 0x45;
		put(ip + 2, total - l3, 2);
		put(ip + 4, 1000, 2);
		ip[8] = 64;
		ip[9] = proto;
		put(ip + 12, 0x0a090001, 4);
		put(ip + 16, 0x0a090002, 4);
	}
	put(f + l4, 1234, 2);
	put(f + l4 + 2, 5678, 2);
	if (proto == IPPROTO_TCP) {
		put(f + l4 + 4, 0xfffffff0u, 4);
		f[l4 + 12] = 0x50;
		f[l4 + 13] = 0x99;	/* CWR ACK PSH FIN */
	} else
		put(f + l4 + 4, 8 + body, 2);
	for (i = 0; i < body; i++)
		f[l4 + hl + i] = (uint8_t)random();
	return (total);
}

ATF_TC_WITHOUT_HEAD(checksums);
ATF_TC_BODY(checksums, tc)
{
	static const uint32_t sizes[] = { 0, 1, 2, 3, 17, 64, 1439, 8951,
	    65000 };
	struct net_frame f;
	struct net_headers h;
	unsigned i, k;
	bool v6, vlan;
	uint8_t proto;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		for (k = 0; k < 8; k++) {
			v6 = (k & 1) != 0;
			vlan = (k & 2) != 0;
			proto = (k & 4) != 0 ? IPPROTO_TCP : IPPROTO_UDP;
			memset(&f, 0, sizeof(f));
			f.data = room + NET_HEADROOM;
			f.len = make(f.data, v6, vlan, proto, sizes[i]);
			/* Padding is no part of the sum. */
			if (sizes[i] < 3)
				f.len += 20;
			ATF_REQUIRE(net_frame_parse(f.data, f.len, &h));
			ATF_REQUIRE_EQ(h.proto, proto);
			ATF_REQUIRE_EQ(h.vlan, vlan ? 100 : -1);
			net_frame_ip_csum(&f, &h);
			ATF_REQUIRE(net_frame_want_csum(&f, &h));
			ATF_REQUIRE(net_frame_csum(&f));
			ATF_REQUIRE(plain_good(f.data, f.len, v6, vlan,
			    proto));
			ATF_REQUIRE(net_frame_csum_good(f.data, f.len, &h));
			f.data[f.len - 1] ^= 4;
			ATF_REQUIRE(!net_frame_csum_good(f.data, f.len, &h));
		}
}

/* Every segment is right by itself, and together they are the payload. */
static void
cut(bool v6, bool vlan, uint32_t body, uint32_t mss)
{
	uint32_t l4 = (vlan ? 18u : 14u) + (v6 ? 40u : 20u), i, len, at = 0;
	struct net_frame f = { .data = room + NET_HEADROOM };
	struct net_headers h;
	uint32_t hdr = l4 + 20, n;
	uint8_t flags;

	f.len = make(f.data, v6, vlan, IPPROTO_TCP, body);
	ATF_REQUIRE(net_frame_parse(f.data, f.len, &h));
	ATF_REQUIRE(net_frame_want_gso(&f, &h, mss));
	n = net_frame_segments(&f);
	ATF_REQUIRE_EQ(n, (body + mss - 1) / mss);
	for (i = 0; i < n; i++) {
		len = net_frame_segment(&f, i, other, sizeof(other));
		ATF_REQUIRE(len > hdr && len <= hdr + mss);
		ATF_REQUIRE(plain_good(other, len, v6, vlan, IPPROTO_TCP));
		ATF_REQUIRE_EQ(get(other + l4 + 4, 4), 0xfffffff0u + at);
		ATF_REQUIRE(memcmp(other + hdr, f.data + hdr + at,
		    len - hdr) == 0);
		flags = other[l4 + 13];
		ATF_REQUIRE_EQ(flags & 0x09, i == n - 1 ? 0x09 : 0);
		ATF_REQUIRE_EQ(flags & 0x80, i == 0 ? 0x80 : 0);
		if (!v6)
			ATF_REQUIRE_EQ(get(other + l4 - 16, 2), 1000 + i);
		at += len - hdr;
	}
	ATF_REQUIRE_EQ(at, body);
	ATF_REQUIRE_EQ(net_frame_segment(&f, n, other, sizeof(other)), 0);
	ATF_REQUIRE_EQ(net_frame_segment(&f, 0, other, hdr + mss - 1), 0);
}

ATF_TC_WITHOUT_HEAD(segments);
ATF_TC_BODY(segments, tc)
{
	unsigned k;

	for (k = 0; k < 4; k++) {
		cut((k & 1) != 0, (k & 2) != 0, 60000, 1448);
		cut((k & 1) != 0, (k & 2) != 0, 2 * 1448, 1448);
		cut((k & 1) != 0, (k & 2) != 0, 1449, 1448);
		cut((k & 1) != 0, (k & 2) != 0, 65000, 32);
		cut((k & 1) != 0, (k & 2) != 0, 65000, 64999);
	}
}

ATF_TC_WITHOUT_HEAD(impossible);
ATF_TC_BODY(impossible, tc)
{
	struct net_frame f = { .data = room + NET_HEADROOM };
	struct net_headers h;

	f.len = make(f.data, false, false, IPPROTO_TCP, 5000);
	ATF_REQUIRE(net_frame_parse(f.data, f.len, &h));
	ATF_CHECK(!net_frame_want_gso(&f, &h, 0));
	ATF_CHECK(!net_frame_want_gso(&f, &h, 31));
	ATF_CHECK(!net_frame_want_gso(&f, &h, 65536));
	ATF_CHECK(!net_frame_want_gso(&f, &h, 0xfffffu));
	/* A header longer than the frame; a fragment; UDP. */
	f.data[14 + 20 + 12] = 0xf0;
	f.len = 14 + 20 + 30;
	ATF_REQUIRE(net_frame_parse(f.data, f.len, &h));
	ATF_CHECK(!net_frame_want_gso(&f, &h, 1448));
	f.len = make(f.data, false, false, IPPROTO_TCP, 5000);
	put(f.data + 14 + 6, 0x2000, 2);
	ATF_REQUIRE(net_frame_parse(f.data, f.len, &h));
	ATF_CHECK(!net_frame_want_gso(&f, &h, 1448));
	ATF_CHECK(!net_frame_want_csum(&f, &h));
	f.len = make(f.data, false, false, IPPROTO_UDP, 5000);
	ATF_REQUIRE(net_frame_parse(f.data, f.len, &h));
	ATF_CHECK(!net_frame_want_gso(&f, &h, 1448));
	/* A checksum past the end. */
	f.csum = true;
	f.csum_start = 65535;
	f.csum_offset = 65535;
	ATF_CHECK(!net_frame_csum(&f));
	f.csum_start = (uint16_t)(f.len - 1);
	f.csum_offset = 0;
	ATF_CHECK(!net_frame_csum(&f));
}

/* Any bytes, of any length, in memory of exactly that size. */
ATF_TC_WITHOUT_HEAD(noise);
ATF_TC_BODY(noise, tc)
{
	struct net_headers h;
	struct net_frame f;
	uint32_t i, k, len, n;
	uint8_t *p;

	srandom(7);
	for (i = 0; i < 200000; i++) {
		len = (uint32_t)random() % 120;
		p = malloc(NET_HEADROOM + len);
		memset(&f, 0, sizeof(f));
		f.data = p + NET_HEADROOM;
		f.len = len;
		for (k = 0; k < len; k++)
			f.data[k] = (uint8_t)random();
		if (len > 20 && i % 4 != 0) {
			put(f.data + 12, i % 2 != 0 ? 0x0800 : 0x86dd, 2);
			f.data[14] = i % 2 != 0 ? 0x45 : 0x60;
		}
		if (net_frame_parse(f.data, len, &h)) {
			(void)net_frame_csum_good(f.data, len, &h);
			net_frame_ip_csum(&f, &h);
			if (i % 3 == 0)
				(void)net_frame_want_csum(&f, &h);
			else if (net_frame_want_gso(&f, &h,
			    (uint32_t)random() % 70)) {
				n = net_frame_segments(&f);
				for (k = 0; k <= n; k++)
					(void)net_frame_segment(&f, k, other,
					    200);
			}
			(void)net_frame_csum(&f);
		}
		if (f.len >= NET_ETHER) {
			net_frame_tag(&f, 5);
			ATF_REQUIRE_EQ(net_frame_untag(&f), 5);
		}
		free(p);
	}
}

/* ---- back-ends */

static struct net_backend *
open_it(json_t *keys)
{
	char err[VMM_ERRLEN] = "";
	struct net_backend *b = net_backend_open(keys, err, sizeof(err));

	ATF_REQUIRE_MSG(b != NULL, "%s", err);
	json_decref(keys);
	return (b);
}

static bool
receive(struct net_backend *b, uint32_t queue, struct net_frame *f, int ms)
{
	struct pollfd p = { .fd = net_backend_fd(b, queue), .events = POLLIN };
	uint64_t deadline = vmm_deadline((uint32_t)ms);

	for (;;) {
		f->data = other;
		f->len = sizeof(other);
		if (net_backend_recv(b, queue, f) == 0)
			return (true);
		if (vmm_left_ms(deadline) == 0)
			return (false);
		(void)poll(&p, 1, vmm_left_ms(deadline));
	}
}

static void
refused(json_t *keys, const char *word)
{
	char err[VMM_ERRLEN] = "";

	ATF_CHECK(net_backend_open(keys, err, sizeof(err)) == NULL);
	ATF_CHECK_MSG(strstr(err, word) != NULL, "'%s' does not say '%s'", err,
	    word);
	json_decref(keys);
}

ATF_TC_WITHOUT_HEAD(keys);
ATF_TC_BODY(keys, tc)
{

	refused(json_pack("{s:s}", "backend", "carrier-pigeon"), "slirp");
	refused(json_pack("{s:s}", "backend", "pair"), "path");
	refused(json_pack("{s:s, s:s}", "backend", "tap", "ifname",
	    "a-name-that-is-too-long"), "too long");
	refused(json_pack("{s:s, s:s}", "backend", "tap", "netns",
	    "hvk-no-such"), "namespace");
	refused(json_pack("{s:s, s:s}", "backend", "slirp", "net", "10.0"),
	    "10.0.2.0/24");
	refused(json_pack("{s:s, s:s}", "backend", "slirp", "hostfwd",
	    "tcp:22"), "tcp::2222-:22");
}

ATF_TC(tap);
ATF_TC_HEAD(tap, tc)
{
	atf_tc_set_md_var(tc, "require.user", "root");
}
ATF_TC_BODY(tap, tc)
{
	static const uint8_t arp[42] = { 255, 255, 255, 255, 255, 255,
	    2, 0, 0, 0, 0, 2, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 2,
	    10, 9, 0, 1, 0, 0, 0, 0, 0, 0, 10, 9, 0, 2 };
	struct sockaddr_in sin = { .sin_family = AF_INET,
	    .sin_port = htons(5678) };
	struct net_frame f = { .data = room + NET_HEADROOM };
	struct net_headers h;
	struct net_backend *b;
	uint8_t mac[6], got[100];
	int s;

	ATF_REQUIRE_EQ(unshare(CLONE_NEWNET), 0);
	b = open_it(json_pack("{s:s, s:s, s:i, s:i}", "backend", "tap",
	    "ifname", "hvknet0", "queues", 2, "mtu", 9000));
	ATF_REQUIRE_EQ(net_backend_queues(b), 2);
	ATF_REQUIRE_EQ(system("ip addr add 10.9.0.2/24 dev hvknet0 && "
	    "ip link show hvknet0 | grep -q 'mtu 9000'"), 0);
	memcpy(f.data, arp, sizeof(arp));
	f.len = sizeof(arp);
	ATF_REQUIRE_EQ(net_backend_send(b, 1, &f), 0);
	do {
		ATF_REQUIRE(receive(b, 1, &f, 5000) ||
		    receive(b, 0, &f, 20000));
	} while (get(f.data + 12, 2) != 0x0806);
	ATF_CHECK_EQ(f.len, 42);
	ATF_CHECK(memcmp(f.data + 28, "\12\11\0\2", 4) == 0);
	memcpy(mac, f.data + 6, 6);

	/* The kernel takes a checksum that is left to it, and no wrong one. */
	s = socket(AF_INET, SOCK_DGRAM, 0);
	ATF_REQUIRE_EQ(bind(s, (struct sockaddr *)&sin, sizeof(sin)), 0);
	f = (struct net_frame){ .data = room + NET_HEADROOM };
	f.len = make(f.data, false, false, IPPROTO_UDP, 50);
	memcpy(f.data, mac, 6);
	ATF_REQUIRE(net_frame_parse(f.data, f.len, &h));
	net_frame_ip_csum(&f, &h);
	put(f.data + h.l4_off + 6, 0x1234, 2);
	ATF_REQUIRE_EQ(net_backend_send(b, 0, &f), 0);
	f.data[50] ^= 1;
	ATF_REQUIRE(net_frame_want_csum(&f, &h));
	ATF_REQUIRE_EQ(net_backend_send(b, 0, &f), 0);
	ATF_REQUIRE_EQ(recv(s, got, sizeof(got), 0), 50);
	ATF_CHECK(memcmp(got, f.data + 42, 50) == 0);
	ATF_CHECK_EQ(recv(s, got, sizeof(got), MSG_DONTWAIT), -1);

	/* It hands over a datagram with its checksum left to do. */
	sin.sin_addr.s_addr = htonl(0x0a090001);
	sin.sin_port = htons(99);
	ATF_REQUIRE_EQ(system("ip neigh replace 10.9.0.1 lladdr "
	    "02:00:00:00:00:02 dev hvknet0"), 0);
	ATF_REQUIRE_EQ(sendto(s, got, 50, 0, (struct sockaddr *)&sin,
	    sizeof(sin)), 50);
	do {
		ATF_REQUIRE(receive(b, 0, &f, 1000) ||
		    receive(b, 1, &f, 20000));
	} while (get(f.data + 12, 2) != 0x0800);
	ATF_CHECK(f.csum);
	ATF_REQUIRE(net_frame_csum(&f));
	ATF_CHECK(plain_good(f.data, f.len, false, false, IPPROTO_UDP));
	net_backend_close(b);
	ATF_CHECK(system("ip link show hvknet0 2>/dev/null") != 0);
}

ATF_TC_WITHOUT_HEAD(slirp);
ATF_TC_BODY(slirp, tc)
{
	struct net_frame f = { .data = room + NET_HEADROOM };
	struct net_headers h;
	struct net_backend *b;
	uint8_t *boot;

	b = open_it(json_pack("{s:s}", "backend", "slirp"));
	f.len = make(f.data, false, false, IPPROTO_UDP, 244);
	memset(f.data, 255, 6);
	memset(f.data + 14 + 12, 0, 4);
	memset(f.data + 14 + 16, 255, 4);
	put(f.data + 34, 68u << 16 | 67, 4);
	boot = f.data + 42;
	memset(boot, 0, 244);
	put(boot, 0x01010600, 4);
	put(boot + 4, 0xfeedbeef, 4);
	memcpy(boot + 28, "\2\0\0\0\0\2", 6);
	put(boot + 236, 0x63825363, 4);
	put(boot + 240, 0x350101ff, 4);	/* DISCOVER, end */
	ATF_REQUIRE(net_frame_parse(f.data, f.len, &h));
	net_frame_ip_csum(&f, &h);
	ATF_REQUIRE(net_frame_want_csum(&f, &h));
	ATF_REQUIRE_EQ(net_backend_send(b, 0, &f), 0);
	ATF_CHECK_EQ(net_backend_counters(b, 0)->soft_csum, 1);
	do {
		ATF_REQUIRE(receive(b, 0, &f, 20000));
	} while (get(f.data + 12, 2) != 0x0800);
	boot = f.data + 42;
	ATF_CHECK_EQ(get(boot + 4, 4), 0xfeedbeef);
	ATF_CHECK_EQ(get(boot + 16, 4), 0x0a00020f);	/* 10.0.2.15 */
	ATF_CHECK(net_frame_parse(f.data, f.len, &h));
	ATF_CHECK(net_frame_csum_good(f.data, f.len, &h));
	net_backend_close(b);
}

static void
wait_link(struct net_backend *b, bool up)
{
	int i;

	for (i = 0; i < 6000 && net_backend_link(b) != up; i++)
		usleep(10000);
	ATF_REQUIRE_EQ(net_backend_link(b), up);
}

static json_t *
pair_keys(void)
{

	return (json_pack("{s:s, s:s, s:i}", "backend", "pair", "path",
	    "cable.sock", "queues", 2));
}

ATF_TC_WITHOUT_HEAD(pair);
ATF_TC_BODY(pair, tc)
{
	struct net_backend *a = open_it(pair_keys()), *b;
	struct net_frame f = { .data = room + NET_HEADROOM }, g;
	struct net_headers h;
	uint32_t round, i, q;

	f.len = make(f.data, false, false, IPPROTO_UDP, 50);
	ATF_CHECK_EQ(net_backend_send(a, 0, &f), -ENOTCONN);
	for (round = 0; round < 3; round++) {
		b = open_it(pair_keys());
		wait_link(a, true);
		wait_link(b, true);
		for (i = 0; i < 200; i++) {
			q = i % 2;
			f = (struct net_frame){ .data = room + NET_HEADROOM };
			f.len = make(f.data, i % 3 == 0, false, IPPROTO_TCP,
			    i * 300);
			ATF_REQUIRE(net_frame_parse(f.data, f.len, &h));
			ATF_REQUIRE(net_frame_want_gso(&f, &h, 1448));
			ATF_REQUIRE_EQ(net_backend_send(i % 5 == 0 ? a : b, q,
			    &f), 0);
			net_backend_flush(i % 5 == 0 ? a : b, q);
			ATF_REQUIRE(receive(i % 5 == 0 ? b : a, q, &g, 5000));
			ATF_REQUIRE_EQ(g.len, f.len);
			ATF_REQUIRE(memcmp(g.data, f.data, f.len) == 0);
			ATF_REQUIRE(g.csum && g.gso == f.gso && g.gso_size ==
			    f.gso_size && g.hdr_len == f.hdr_len);
		}
		/* Whoever listened and whoever connected: either may go. */
		net_backend_close(round % 2 == 0 ? a : b);
		if (round % 2 == 0)
			a = b;
		wait_link(a, false);
	}
	net_backend_close(a);
	ATF_CHECK(access("cable.sock", F_OK) != 0);
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, checksums);
	ATF_TP_ADD_TC(tp, segments);
	ATF_TP_ADD_TC(tp, impossible);
	ATF_TP_ADD_TC(tp, noise);
	ATF_TP_ADD_TC(tp, keys);
	ATF_TP_ADD_TC(tp, tap);
	ATF_TP_ADD_TC(tp, slirp);
	ATF_TP_ADD_TC(tp, pair);
	return (atf_no_error());
}
