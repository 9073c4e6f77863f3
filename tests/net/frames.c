/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * frames: sends Ethernet frames of all kinds and sizes from one network
 * interface and looks at what arrives at another, both ways, byte for byte.
 *
 *	frames [-s SEED] [-n FRAMES] [-m MTU] [-k KINDS] NS IF NS IF
 *
 * KINDS is a string of letters: p plain, v with a VLAN tag, f UDP with its
 * checksum, u and t UDP and TCP (IPv4 and IPv6) whose checksum is left to the
 * interface, g TCP to be cut into segments, w a tag and a checksum to be made.
 * A frame whose checksum was to be made must arrive with a good one, or marked
 * as one that is still to be made; what is cut must arrive in order and whole.
 * Nothing may be lost: a few frames are on the way at a time.
 */

#include <sys/ioctl.h>
#include <sys/socket.h>

#include <arpa/inet.h>
#include <err.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define	WINDOW	12
#define	TYPE	0x88b5		/* for local experiments */
#define	MAXLEN	70000
#define	WAIT_MS	10000

struct port {
	int	sock;
	uint8_t	mac[6];
	const char *name;
};

struct frame {
	struct virtio_net_hdr v;	/* what is asked for */
	uint32_t id;
	char	kind;
	bool	v6;
	int	len;
	int	l3, l4, hdr;		/* offsets in the frame without tag */
	int	tag;			/* or -1 */
	uint32_t seen;			/* bytes of payload, for g */
	bool	done;
	uint8_t	data[MAXLEN];
};

static uint64_t state;
static struct frame sent[WINDOW];
static uint64_t counts[128], bytes;

static uint32_t
rnd(uint32_t n)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return ((uint32_t)(state >> 16) % n);
}

static uint8_t
pattern(uint32_t id, int i)
{
	return ((uint8_t)(id * 131 + (uint32_t)i * 7 + (uint32_t)(i >> 8) *
	    13));
}

static void
put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static uint32_t
get16(const uint8_t *p)
{
	return ((uint32_t)p[0] << 8 | p[1]);
}

static void
put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v);
}

static uint32_t
get32(const uint8_t *p)
{
	return (get16(p) << 16 | get16(p + 2));
}

static uint32_t
sum(uint32_t s, const uint8_t *p, int n)
{
	for (; n > 1; p += 2, n -= 2)
		s += get16(p);
	if (n == 1)
		s += (uint32_t)p[0] << 8;
	while (s > 0xffff)
		s = (s & 0xffff) + (s >> 16);
	return (s);
}

/* The pseudo header's sum of the IP packet at f + l3. */
static uint32_t
pseudo(const uint8_t *ip, bool v6, uint32_t len)
{
	uint32_t s;

	s = sum(0, ip + (v6 ? 8 : 12), v6 ? 32 : 8);
	s += ip[v6 ? 6 : 9] + len;
	return (sum(s, NULL, 0));
}

static int
enter(const char *ns)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "/run/netns/%s", ns);
	fd = open(path, O_RDONLY);
	if (fd < 0 || setns(fd, CLONE_NEWNET) != 0)
		err(2, "%s", path);
	return (close(fd));
}

static void
port_open(struct port *p, const char *ns, const char *name)
{
	struct sockaddr_ll sll = { .sll_family = AF_PACKET,
	    .sll_protocol = htons(ETH_P_ALL) };
	struct ifreq ifr;
	int one = 1, size = 16 << 20;

	enter(ns);
	p->name = name;
	p->sock = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
	if (p->sock < 0)
		err(2, "socket");
	memset(&ifr, 0, sizeof(ifr));
	snprintf(ifr.ifr_name, IFNAMSIZ, "%s", name);
	if (ioctl(p->sock, SIOCGIFHWADDR, &ifr) != 0)
		err(2, "%s", name);
	memcpy(p->mac, ifr.ifr_hwaddr.sa_data, 6);
	sll.sll_ifindex = (int)if_nametoindex(name);
	if (bind(p->sock, (struct sockaddr *)&sll, sizeof(sll)) != 0 ||
	    setsockopt(p->sock, SOL_PACKET, PACKET_VNET_HDR, &one,
	    sizeof(one)) != 0 ||
	    setsockopt(p->sock, SOL_PACKET, PACKET_AUXDATA, &one,
	    sizeof(one)) != 0)
		err(2, "%s", name);
	(void)setsockopt(p->sock, SOL_SOCKET, SO_RCVBUFFORCE, &size,
	    sizeof(size));
}

/* The headers of an IP packet with `room' bytes for all of it. */
static void
make_ip(struct frame *f, int proto)
{
	uint8_t *ip = f->data + f->l3, *l4 = f->data + f->l4;
	int l4len = f->len - f->l4;
	uint32_t s;

	memset(ip, 0, (size_t)(f->hdr - f->l3));
	if (f->v6) {
		ip[0] = 0x60;
		put16(ip + 4, (uint32_t)l4len);
		ip[6] = (uint8_t)proto;
		ip[7] = 64;
		ip[8] = ip[24] = 0xfd;
		ip[9] = ip[25] = 0x99;
		ip[23] = 1;
		ip[39] = 2;
	} else {
		ip[0] = 0x45;
		put16(ip + 2, (uint32_t)(f->len - f->l3));
		put16(ip + 4, f->id);
		ip[8] = 64;
		ip[9] = (uint8_t)proto;
		put32(ip + 12, 0xc6120001);	/* 198.18.0.1 */
		put32(ip + 16, 0xc6120002);
		put16(ip + 10, ~sum(0, ip, 20) & 0xffff);
	}
	put16(l4, f->id >> 16);
	put16(l4 + 2, f->id);
	if (proto == 17)
		put16(l4 + 4, (uint32_t)l4len);
	else {
		l4[12] = 0x50;
		l4[13] = 0x10;
		put16(l4 + 14, 1000);
	}
	s = pseudo(ip, f->v6, (uint32_t)l4len);
	if (f->kind == 'f') {
		s = ~sum(s, l4, l4len) & 0xffff;
		put16(l4 + 6, s != 0 ? s : 0xffff);
		return;
	}
	put16(l4 + (proto == 17 ? 6 : 16), s);
	f->v.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	f->v.csum_start = (uint16_t)(f->l4 + (f->tag >= 0 ? 4 : 0));
	f->v.csum_offset = proto == 17 ? 6 : 16;
}

static void
make(struct frame *f, const char *kinds, uint32_t id, int mtu,
    const struct port *from, const struct port *to)
{
	int i, min, proto;

	memset(f, 0, offsetof(struct frame, data));
	f->id = id;
	f->kind = kinds[rnd((uint32_t)strlen(kinds))];
	f->tag = strchr("vw", f->kind) != NULL ?
	    (int)(1 + rnd(4094)) | (int)rnd(8) << 13 : -1;
	f->l3 = f->l4 = f->hdr = 14;
	proto = f->kind == 't' || f->kind == 'g' ? 6 : 17;
	if (strchr("pv", f->kind) == NULL) {
		f->v6 = rnd(2) != 0;
		f->l4 = f->l3 + (f->v6 ? 40 : 20);
		f->hdr = f->l4 + (proto == 6 ? 20 : 8);
	}
	min = f->hdr + 4 < 60 ? 60 : f->hdr + 4;
	f->len = min + (int)rnd((uint32_t)(mtu + 14 - min + 1));
	if (f->kind == 'g') {
		f->len = f->hdr + mtu + (int)rnd((uint32_t)(60000 - mtu));
		f->v.gso_type = f->v6 ? VIRTIO_NET_HDR_GSO_TCPV6 :
		    VIRTIO_NET_HDR_GSO_TCPV4;
		f->v.gso_size = (uint16_t)(mtu - (f->hdr - 14) -
		    (int)rnd(400));
		f->v.hdr_len = (uint16_t)f->hdr;
	}
	memcpy(f->data, to->mac, 6);
	memcpy(f->data + 6, from->mac, 6);
	put16(f->data + 12, strchr("pv", f->kind) != NULL ? TYPE :
	    f->v6 ? ETHERTYPE_IPV6 : ETHERTYPE_IP);
	for (i = f->hdr; i < f->len; i++)
		f->data[i] = pattern(id, i - f->hdr);
	if (strchr("pv", f->kind) != NULL)
		put32(f->data + 14, id);
	else
		make_ip(f, proto);
	counts[(int)f->kind]++;
	bytes += (uint64_t)f->len;
}

static void
transmit(const struct port *p, const struct frame *f)
{
	static uint8_t buf[MAXLEN + 64];
	int n = sizeof(f->v);

	memcpy(buf, &f->v, sizeof(f->v));
	memcpy(buf + n, f->data, 12);
	n += 12;
	if (f->tag >= 0) {
		put16(buf + n, ETHERTYPE_VLAN);
		put16(buf + n + 2, (uint32_t)f->tag);
		n += 4;
	}
	memcpy(buf + n, f->data + 12, (size_t)f->len - 12);
	n += f->len - 12;
	while (send(p->sock, buf, (size_t)n, 0) != n)
		err(1, "%s: send of %d bytes", p->name, n);
}

static void __attribute__((noreturn))
bad(const struct port *p, const struct frame *f, const char *what, int at)
{
	errx(1, "%s: frame %u, kind %c, IPv%c, %d bytes, tag %d: %s (%d)",
	    p->name, f->id, f->kind, f->v6 ? '6' : '4', f->len, f->tag, what,
	    at);
}

/* The checksum that arrived: made, or still to be made. */
static void
check_sum(const struct port *p, const struct frame *f, const uint8_t *d,
    int len, const struct virtio_net_hdr *v)
{
	int off = f->kind == 't' || f->kind == 'g' ? 16 : 6;
	uint32_t s;

	if (!f->v6 && sum(0, d + f->l3, 20) != 0xffff)
		bad(p, f, "bad IP header checksum", 0);
	s = pseudo(d + f->l3, f->v6, (uint32_t)(len - f->l4));
	if ((v->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) != 0) {
		if (get16(d + f->l4 + off) != s)
			bad(p, f, "bad sum of the pseudo header",
			    (int)get16(d + f->l4 + off));
	} else if (sum(s, d + f->l4, len - f->l4) != 0xffff)
		bad(p, f, "bad checksum", v->flags);
}

/* One frame or segment, its tag taken out. */
static void
check(const struct port *p, struct frame *f, const uint8_t *d, int len,
    int tag, const struct virtio_net_hdr *v)
{
	int i, sumoff;

	if (tag != f->tag)
		bad(p, f, "another tag", tag);
	if (f->kind == 'g') {
		if (get32(d + f->l4 + 4) != f->seen)
			bad(p, f, "a segment out of order",
			    (int)get32(d + f->l4 + 4));
		check_sum(p, f, d, len, v);
		for (i = f->hdr; i < len; i++)
			if (d[i] != pattern(f->id, (int)f->seen + i - f->hdr))
				bad(p, f, "another byte", i);
		f->seen += (uint32_t)(len - f->hdr);
		f->done = (int)f->seen == f->len - f->hdr;
		if ((int)f->seen > f->len - f->hdr)
			bad(p, f, "too much", (int)f->seen);
		return;
	}
	if (len != f->len)
		bad(p, f, "another length", len);
	sumoff = -1;
	if (strchr("utw", f->kind) != NULL) {
		check_sum(p, f, d, len, v);
		sumoff = f->l4 + (f->kind == 't' ? 16 : 6);
	} else if (f->kind == 'f') {
		check_sum(p, f, d, len, v);
		sumoff = f->l4 + 6;
	}
	for (i = 0; i < len; i++)
		if (d[i] != f->data[i] && i != sumoff && i != sumoff + 1)
			bad(p, f, "another byte", i);
	f->done = true;
}

static struct frame *
find(const uint8_t *d, int len, int n)
{
	uint32_t id;
	int i, type;

	type = (int)get16(d + 12);
	if (type == TYPE && len >= 18)
		id = get32(d + 14);
	else if (type == ETHERTYPE_IP && len >= 42 &&
	    get32(d + 26) == 0xc6120001)
		id = get32(d + 34);
	else if (type == ETHERTYPE_IPV6 && len >= 62 && d[22] == 0xfd &&
	    d[23] == 0x99)
		id = get32(d + 54);
	else
		return (NULL);
	for (i = 0; i < n; i++)
		if (sent[i].id == id)
			return (&sent[i]);
	return (NULL);
}

/* True when it was one of ours. */
static bool
receive(const struct port *p, int n)
{
	static uint8_t buf[MAXLEN + 64];
	union {
		struct cmsghdr hdr;
		char room[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
	} c;
	struct sockaddr_ll from;
	struct iovec iov = { buf, sizeof(buf) };
	struct msghdr mh = { .msg_name = &from, .msg_namelen = sizeof(from),
	    .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &c,
	    .msg_controllen = sizeof(c) };
	struct virtio_net_hdr v;
	struct tpacket_auxdata aux;
	struct cmsghdr *h;
	struct frame *f;
	uint8_t *d;
	ssize_t got;
	int len, tag;

	got = recvmsg(p->sock, &mh, 0);
	if (got < (ssize_t)sizeof(v) + 14 ||
	    from.sll_pkttype == PACKET_OUTGOING)
		return (false);
	memcpy(&v, buf, sizeof(v));
	d = buf + sizeof(v);
	len = (int)got - (int)sizeof(v);
	tag = -1;
	h = CMSG_FIRSTHDR(&mh);
	if (h != NULL && h->cmsg_type == PACKET_AUXDATA) {
		memcpy(&aux, CMSG_DATA(h), sizeof(aux));
		if ((aux.tp_status & TP_STATUS_VLAN_VALID) != 0)
			tag = aux.tp_vlan_tci;
	}
	f = find(d, len, n);
	if (f == NULL)
		return (false);
	if (f->done)
		bad(p, f, "arrived twice", 0);
	check(p, f, d, len, tag, &v);
	return (true);
}

/* A few frames one way; all of them must arrive. */
static void
round_trip(const struct port *from, const struct port *to, int n)
{
	struct pollfd p = { to->sock, POLLIN, 0 };
	int i, left;

	for (i = 0; i < n; i++)
		transmit(from, &sent[i]);
	for (;;) {
		for (i = left = 0; i < n; i++)
			left += !sent[i].done;
		if (left == 0)
			return;
		if (poll(&p, 1, WAIT_MS) != 1)
			break;
		(void)receive(to, n);
	}
	for (i = 0; i < n; i++)
		if (!sent[i].done)
			bad(to, &sent[i], "did not arrive", (int)sent[i].seen);
}

int
main(int argc, char **argv)
{
	const char *k, *kinds = "pvfutgw";
	struct port port[2];
	uint32_t id;
	int ch, i, mtu = 1500, n, total = 1000, way;

	state = 1;
	while ((ch = getopt(argc, argv, "s:n:m:k:")) != -1)
		switch (ch) {
		case 's':
			state = strtoull(optarg, NULL, 0) * 2 + 1;
			break;
		case 'n':
			total = atoi(optarg);
			break;
		case 'm':
			mtu = atoi(optarg);
			break;
		case 'k':
			kinds = optarg;
			break;
		default:
			return (64);
		}
	argv += optind;
	if (argc - optind != 4 || kinds[0] == '\0' || mtu < 600)
		errx(64, "usage: frames [-s SEED] [-n FRAMES] [-m MTU] "
		    "[-k KINDS] NS IF NS IF");
	port_open(&port[0], argv[0], argv[1]);
	port_open(&port[1], argv[2], argv[3]);
	for (id = 0x10000; total > 0; total -= n) {
		n = 1 + (int)rnd(WINDOW);
		way = (int)rnd(2);
		for (i = 0; i < n; i++)
			make(&sent[i], kinds, id++, mtu, &port[way],
			    &port[!way]);
		round_trip(&port[way], &port[!way], n);
	}
	printf("%u frames, %llu bytes compared:", id - 0x10000,
	    (unsigned long long)bytes);
	for (k = kinds; *k != '\0'; k++)
		printf(" %c %llu", *k, (unsigned long long)counts[(int)*k]);
	printf("\n");
	return (0);
}
