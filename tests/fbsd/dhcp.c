/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * An address by DHCP, as much of a client as it takes: discover, offer, request,
 * acknowledge, through bpf(4), since an interface without an address cannot
 * send otherwise.  The server's packet is copied once and every field of it is
 * looked for within its length.
 * Facts: RFC 2131 and 2132.
 */

#include <sys/param.h>
#include <sys/fcntl.h>
#include <sys/ioccom.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <net/bpf.h>
#include <net/if.h>

#include "sys.h"

#define	FRAME		342u		/* headers, BOOTP, options */
#define	BOOTP		42u		/* where it begins in a frame */
#define	OPTIONS		(BOOTP + 240u)
#define	XID		0x68766b31u

enum { DISCOVER = 1, OFFER = 2, REQUEST = 3, ACK = 5 };

struct lease {
	uint32_t	address;	/* host order */
	uint32_t	server;
	uint8_t		kind;
};

static uint8_t ring[65536] __attribute__((__aligned__(8)));

static void
put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void
put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v);
}

static uint32_t
get16(const uint8_t *p)
{
	return ((uint32_t)p[0] << 8 | p[1]);
}

static uint32_t
get32(const uint8_t *p)
{
	return (get16(p) << 16 | get16(p + 2));
}

/* Ethernet and IP broadcast from an address that we do not have yet. */
static void
headers(uint8_t *f, const uint8_t *mac)
{
	uint32_t sum = 0;

	memset(f, 0xff, 6);
	memcpy(f + 6, mac, 6);
	put16(f + 12, 0x0800);
	f[14] = 0x45;
	put16(f + 16, FRAME - 14);
	f[22] = 64;
	f[23] = 17;
	put32(f + 30, 0xffffffffu);
	for (unsigned i = 14; i < 34; i += 2)
		sum += get16(f + i);
	sum = (sum & 0xffff) + (sum >> 16);
	put16(f + 24, ~sum);
	put16(f + 34, 68);
	put16(f + 36, 67);
	put16(f + 38, FRAME - 34);
}

static bool
ask(int fd, const uint8_t *mac, uint8_t kind, const struct lease *l)
{
	static uint8_t f[FRAME];
	uint8_t *o = f + OPTIONS;

	memset(f, 0, sizeof(f));
	headers(f, mac);
	f[BOOTP] = 1;			/* request, Ethernet, 6 bytes */
	f[BOOTP + 1] = 1;
	f[BOOTP + 2] = 6;
	put32(f + BOOTP + 4, XID);
	put16(f + BOOTP + 10, 0x8000);	/* answer by broadcast */
	memcpy(f + BOOTP + 28, mac, 6);
	put32(f + BOOTP + 236, 0x63825363u);
	*o++ = 53;
	*o++ = 1;
	*o++ = kind;
	if (kind == REQUEST) {
		*o++ = 50;
		*o++ = 4;
		put32(o, l->address);
		o += 4;
		*o++ = 54;
		*o++ = 4;
		put32(o, l->server);
		o += 4;
	}
	*o = 255;
	return (sys3(SYS_write, fd, f, FRAME) == FRAME);
}

static bool
parse(const uint8_t *f, uint32_t len, struct lease *l)
{
	uint32_t at, n;

	if (len < OPTIONS || get16(f + 12) != 0x0800 || f[14] != 0x45 ||
	    f[23] != 17 || get16(f + 36) != 68 || f[BOOTP] != 2 ||
	    get32(f + BOOTP + 4) != XID ||
	    get32(f + BOOTP + 236) != 0x63825363u)
		return (false);
	memset(l, 0, sizeof(*l));
	l->address = get32(f + BOOTP + 16);
	for (at = OPTIONS; at + 2 <= len && f[at] != 255; at += 2 + n) {
		n = f[at] == 0 ? 0 : f[at + 1];
		if (f[at] == 0) {
			at--;		/* padding is one byte */
			continue;
		}
		if (at + 2 + n > len)
			return (false);
		if (f[at] == 53 && n == 1)
			l->kind = f[at + 2];
		else if (f[at] == 54 && n == 4)
			l->server = get32(f + at + 2);
	}
	return (l->kind != 0);
}

/* Frames as bpf(4) packs them; true when one is an answer of that kind. */
static bool
answer(int fd, u_int size, uint8_t kind, struct lease *l)
{
	struct bpf_hdr h;
	uint64_t end;
	long n, at;

	for (end = now_ms() + 5000; now_ms() < end;) {
		n = sys3(SYS_read, fd, ring, size);
		for (at = 0; n > 0 && at + (long)sizeof(h) <= n;
		    at += (long)BPF_WORDALIGN(h.bh_hdrlen + h.bh_caplen)) {
			memcpy(&h, ring + at, sizeof(h));
			if (h.bh_hdrlen < offsetof(struct bpf_hdr, bh_hdrlen) + 2 ||
			    at + h.bh_hdrlen + (long)h.bh_caplen > n)
				break;
			if (parse(ring + at + h.bh_hdrlen, h.bh_caplen, l) &&
			    l->kind == kind)
				return (true);
		}
	}
	return (false);
}

/* 0: there is none; host order. */
uint32_t
dhcp(const char *ifname, const uint8_t *mac)
{
	struct timeval tv = { .tv_usec = 500000 };
	struct lease l = { 0, 0, 0 }, ack;
	struct ifreq ifr;
	u_int one = 1, size = sizeof(ring);
	bool ok = false;
	int fd;

	fd = (int)sys3(SYS_open, "/dev/bpf", O_RDWR, 0);
	if (fd < 0)
		return (0);
	memset(&ifr, 0, sizeof(ifr));
	memcpy(ifr.ifr_name, ifname, length(ifname));
	(void)sys3(SYS_ioctl, fd, BIOCSBLEN, &size);
	if (sys3(SYS_ioctl, fd, BIOCSETIF, &ifr) == 0 &&
	    sys3(SYS_ioctl, fd, BIOCGBLEN, &size) == 0 &&
	    size <= sizeof(ring) &&
	    sys3(SYS_ioctl, fd, BIOCIMMEDIATE, &one) == 0 &&
	    sys3(SYS_ioctl, fd, BIOCSHDRCMPLT, &one) == 0 &&
	    sys3(SYS_ioctl, fd, BIOCSRTIMEOUT, &tv) == 0)
		for (int i = 0; i < 3 && !ok; i++)
			ok = ask(fd, mac, DISCOVER, &l) &&
			    answer(fd, size, OFFER, &l) &&
			    ask(fd, mac, REQUEST, &l) &&
			    answer(fd, size, ACK, &ack) &&
			    ack.address == l.address;
	(void)sys1(SYS_close, fd);
	return (ok ? l.address : 0);
}
