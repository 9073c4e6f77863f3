/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * A small guest with an adapter: brings it up with the core's guest machine and
 * does what FAKEKLD names.  "serve" answers ARP, ICMP echo, UDP and TCP for
 * FAKENET_IP, on any VLAN, until the host stops it; "probe" sends to such a one
 * at FAKENET_PEER and checks every bit of what comes back; the rest is in
 * fakenet_hostile.c.
 */
#include <arpa/inet.h>

#define	FAKEGUEST_MAIN
#include "fakenet.h"

struct chan chan[MAX_CHANNELS];
unsigned nchan;
struct hvk_netvsc nv;
void (*on_frame)(struct chan *, uint8_t *, uint32_t,
    const struct hvk_net_meta *);
void (*on_done)(struct chan *, const struct hvk_packet *);
bool hold_acks, stopped;

static uint32_t my_ip;
static bool ready, over, failed;
static struct { uint32_t conn; int fd; } bells[64];
static unsigned nbells;

uint64_t
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ((uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000);
}

/* ---- the host's side of the control socket */

static void
host_says(void)
{
	union {
		struct cmsghdr	hdr;
		char		buf[CMSG_SPACE(sizeof(int))];
	} c;
	struct kld_ctl m;
	struct iovec iov = { &m, sizeof(m) };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1,
	    .msg_control = &c, .msg_controllen = sizeof(c) };
	unsigned i;
	int fd = -1;

	memset(&c, 0, sizeof(c));
	if (recvmsg(control, &mh, MSG_DONTWAIT) != (ssize_t)sizeof(m))
		return;
	if (mh.msg_controllen >= CMSG_LEN(sizeof(int)))
		memcpy(&fd, CMSG_DATA(&c.hdr), sizeof(fd));
	if (m.kind == KLD_CTL_STOP)
		stopped = true;
	if (m.kind != KLD_CTL_DOORBELL)
		return;
	for (i = 0; i < nbells && bells[i].conn != m.a; i++)
		continue;
	if (i == 64)
		return;
	if (i == nbells)
		nbells++;
	else if (bells[i].fd >= 0)
		close(bells[i].fd);
	bells[i].conn = (uint32_t)m.a;
	bells[i].fd = fd;
}

void
kick(struct chan *c)
{
	struct kld_exit e;
	uint64_t one = 1;
	unsigned i;

	for (i = 0; i < nbells; i++)
		if (bells[i].conn == c->conn && bells[i].fd >= 0) {
			if (write(bells[i].fd, &one, sizeof(one)) > 0)
				return;
		}
	exit_call(0, KLD_EXIT_HYPERCALL, 0x5d | 1u << 16, c->conn, 0, &e);
}

/* ---- the bus */

/* One range of whole pages, in as many messages as it takes. */
static void
lend(uint32_t relid, uint32_t id, uint64_t first, uint32_t pages)
{
	uint32_t m[60] = { 8, 0, relid, id, (8 + 8 * pages) | 1u << 16,
	    pages * PAGE, 0 }, n, number = 1;
	uint64_t pfn[28];
	uint32_t k = 0;

	for (n = 0; n < 26 && k < pages; n++, k++)
		pfn[n] = first + k;
	memcpy(&m[7], pfn, 8 * n);
	CHECK(post(conn, m, 28 + 8 * n) == 0);
	while (k < pages) {
		for (n = 0; n < 28 && k < pages; n++, k++)
			pfn[n] = first + k;
		memset(m, 0, sizeof(m));
		m[0] = 9;
		m[2] = number++;
		m[3] = id;
		memcpy(&m[4], pfn, 8 * n);
		/* The queue of messages may be full for a moment. */
		while (post(conn, m, 16 + 8 * n) != 0)
			usleep(100);
	}
	CHECK(receive(10, m, 60000));
	CHECK(m[2] == relid && m[3] == id && m[4] == 0);
}

static void
open_it(unsigned i)
{
	struct chan *c = &chan[i];
	uint64_t at = NET_RINGS + i * CHANNEL_PAGES;
	uint8_t *out = mem + at * PAGE, *in = out + RING_PAGES * PAGE;

	memset(out, 0, CHANNEL_PAGES * PAGE);
	CHECK(hvk_ring_tx_init(&c->tx, out, out + PAGE, (RING_PAGES - 1) *
	    PAGE, true) == HVK_OK);
	CHECK(hvk_ring_rx_init(&c->rx, in, in + PAGE, (RING_PAGES - 1) * PAGE,
	    true) == HVK_OK);
	lend(c->relid, 0x1000 + i, at, CHANNEL_PAGES);
	CHECK(open_channel(c->relid, 0x1000 + i, RING_PAGES, 60000) == 0);
	hvk_ring_rx_mask(&c->rx);
	c->open = true;
}

/* Offers of network channels, until there are so many. */
static void
find(unsigned want, int ms)
{
	static const uint8_t type[16] = { 0x63, 0x51, 0x61, 0xf8, 0x3e, 0xdf,
	    0xc5, 0x46, 0x91, 0x3f, 0xf2, 0xd2, 0xf9, 0x65, 0xed, 0x0e };
	uint64_t end = now_ms() + (uint64_t)ms;
	uint32_t m[60];
	uint16_t sub;

	while (nchan < want && now_ms() < end) {
		if (!receive(1, m, 50) || memcmp(&m[2], type, 16) != 0)
			continue;
		memcpy(&sub, (uint8_t *)m + 180, sizeof(sub));
		CHECK(sub < MAX_CHANNELS);
		chan[sub].relid = m[46];
		chan[sub].conn = m[48];
		nchan++;
	}
	CHECK(nchan >= want);
}

void
net_attach(void)
{
	uint32_t m[60] = { 3 };

	synic();
	contact();
	CHECK(post(conn, m, 8) == 0);
	find(1, 60000);
	open_it(0);
	host_says();
}

/* ---- the interface */

static void
publish(struct chan *c)
{

	if (hvk_ring_tx_publish(&c->tx))
		kick(c);
}

void
raw_inband(struct chan *c, uint64_t txid, const void *p, uint32_t len)
{

	while (hvk_tx_inband(&c->tx, txid, true, p, len) == HVK_AGAIN) {
		publish(c);
		net_poll();
	}
	publish(c);
}

void
raw_pages(struct chan *c, uint64_t txid, const struct hvk_nvsp_message *m,
    uint64_t gpa, uint32_t len)
{
	uint64_t pfn[32];
	struct hvk_gpa_range r = { .len = len, .offset = gpa % PAGE,
	    .pfn = pfn };

	r.npfn = hvk_gpa_pages(r.offset, len);
	CHECK(r.npfn <= 32);
	for (uint32_t i = 0; i < r.npfn; i++)
		pfn[i] = gpa / PAGE + i;
	while (hvk_tx_gpa_direct(&c->tx, txid, true, &r, 1, m, sizeof(*m)) ==
	    HVK_AGAIN) {
		publish(c);
		net_poll();
	}
	publish(c);
}

static void
pull(void)
{
	struct hvk_netvsc_message m;

	while (hvk_netvsc_pull(&nv, &m)) {
		if (m.rndis_len == 0) {
			CHECK(hvk_tx_inband(&chan[0].tx, m.txid,
			    m.want_completion, &m.nvsp, sizeof(m.nvsp)) ==
			    HVK_OK);
			publish(&chan[0]);
			continue;
		}
		memcpy(mem + CONTROL_AT * PAGE, m.rndis, m.rndis_len);
		raw_pages(&chan[0], m.txid, &m.nvsp, CONTROL_AT * PAGE,
		    m.rndis_len);
	}
}

static void
buffers(void)
{
	struct hvk_netvsc_buffers b = { .recv_gpadl = 0x2000,
	    .recv_len = RECV_PAGES * PAGE, .send_gpadl = 0x2001,
	    .send_len = SEND_PAGES * PAGE };

	lend(chan[0].relid, 0x2000, RECV_AT, RECV_PAGES);
	lend(chan[0].relid, 0x2001, SEND_AT, SEND_PAGES);
	CHECK(hvk_netvsc_buffers(&nv, &b, now_ms()) == HVK_OK);
}

static void
event(enum hvk_netvsc_event ev)
{

	switch (ev) {
	case HVK_NETVSC_WANT_BUFFERS:
		buffers();
		break;
	case HVK_NETVSC_IS_READY:
		ready = true;
		break;
	case HVK_NETVSC_REQUEST_OVER:
		over = true;
		break;
	case HVK_NETVSC_HAS_FAILED:
		failed = true;
		break;
	case HVK_NETVSC_LINK:
		printf("fakenet: link %s\n", nv.link ? "up" : "down");
		fflush(stdout);
		break;
	default:
		break;
	}
	pull();
}

static void
frames(struct chan *c, const struct hvk_packet *p)
{
	enum hvk_netvsc_event ev;
	struct hvk_netvsc_frame f;
	static uint8_t copy[70000];
	uint32_t i, at;
	int error;

	if (hvk_netvsc_rx_begin(&c->in, p) == HVK_OK)
		while ((error = hvk_netvsc_rx_next(&c->in, &f)) != HVK_AGAIN) {
			if (error != HVK_OK)
				continue;
			if (f.kind == HVK_NETVSC_CONTROL_MESSAGE) {
				if (hvk_netvsc_rndis(&nv, f.frag[0].data,
				    f.len, now_ms(), &ev) == HVK_OK)
					event(ev);
				continue;
			}
			for (i = at = 0; i < f.nfrags; at += f.frag[i++].len)
				memcpy(copy + at, f.frag[i].data,
				    f.frag[i].len);
			c->frames++;
			if (on_frame != NULL)
				on_frame(c, copy, f.len, &f.meta);
		}
	if (p->want_completion && !hold_acks)
		CHECK(hvk_tx_completion(&c->tx, p->txid, &hvk_netvsc_ack,
		    sizeof(hvk_netvsc_ack)) == HVK_OK);
}

static void
take(struct chan *c, const struct hvk_packet *p)
{
	struct hvk_netvsc_sent sent;
	enum hvk_netvsc_event ev;
	bool ack = false;

	switch (hvk_netvsc_kind(p)) {
	case HVK_NETVSC_KIND_RX:
		frames(c, p);
		break;
	case HVK_NETVSC_KIND_TX:
		if (hvk_netvsc_tx_done(&c->out, p, &sent) != HVK_OK &&
		    on_done != NULL)
			on_done(c, p);
		break;
	case HVK_NETVSC_KIND_CONTROL:
		if (hvk_netvsc_input(&nv, p, now_ms(), &ev, &ack) == HVK_OK)
			event(ev);
		else if (on_done != NULL)
			on_done(c, p);
		break;
	case HVK_NETVSC_KIND_NONE:
		if (on_done != NULL)
			on_done(c, p);
		break;
	}
}

bool
net_poll(void)
{
	struct hvk_packet p;
	bool any = false;
	unsigned i;
	int error;

	host_says();
	for (i = 0; i < MAX_CHANNELS; i++) {
		if (!chan[i].open)
			continue;
		while ((error = hvk_ring_rx_next(&chan[i].rx, chan[i].packet,
		    sizeof(chan[i].packet), &p)) == HVK_OK) {
			any = true;
			take(&chan[i], &p);
		}
		CHECK(error == HVK_AGAIN);
		if (hvk_ring_rx_release(&chan[i].rx))
			kick(&chan[i]);
		publish(&chan[i]);
	}
	if (hvk_netvsc_deadline(&nv) <= now_ms())
		event(hvk_netvsc_tick(&nv, now_ms()));
	return (any);
}

bool
net_wait(const volatile bool *flag, int ms)
{
	uint64_t end = now_ms() + (uint64_t)ms;

	while ((flag == NULL || !*flag) && now_ms() < end)
		if (!net_poll())
			usleep(50);
	return (flag != NULL && *flag);
}

static void
make_ways(unsigned i)
{
	struct chan *c = &chan[i];
	struct hvk_netvsc_tx_config t = { .buffer = mem + SEND_AT * PAGE,
	    .section_size = nv.send_size, .align = nv.align,
	    .max_packets = nv.max_packets, .max_transfer = nv.max_transfer };

	t.count = nv.send_count / MAX_CHANNELS;
	t.first = i * t.count;
	CHECK(hvk_netvsc_rx_init(&c->in, mem + RECV_AT * PAGE, nv.recv.end,
	    c->frag, 562, 70000) == HVK_OK);
	CHECK(hvk_netvsc_tx_init(&c->out, c->slot, 256, &t) == HVK_OK);
}

void
net_start(unsigned channels, uint32_t offloads, uint32_t mtu)
{
	struct hvk_netvsc_config conf = { .mtu = mtu, .offloads = offloads,
	    .subchannels = channels - 1 };
	unsigned i;

	/* Control messages come before the buffer's real end is known. */
	CHECK(hvk_netvsc_rx_init(&chan[0].in, mem + RECV_AT * PAGE,
	    RECV_PAGES * PAGE, chan[0].frag, 562, 70000) == HVK_OK);
	hvk_netvsc_init(&nv, &conf);
	CHECK(hvk_netvsc_start(&nv, now_ms()) == HVK_OK);
	pull();
	CHECK(net_wait(&ready, 60000));
	CHECK(!failed && nv.subchannels == channels - 1);
	find(channels, 60000);
	make_ways(0);
	for (i = 1; i < channels; i++) {
		open_it(i);
		make_ways(i);
	}
}

void
net_filter(uint32_t filter)
{

	over = false;
	CHECK(hvk_netvsc_set_filter(&nv, filter, now_ms()) == HVK_OK);
	pull();
	CHECK(net_wait(&over, 60000));
	CHECK(nv.request.answered && nv.request.status == 0);
}

void
net_rss(unsigned channels)
{
	struct hvk_net_rss rss = { .enabled = true, .entries = 128,
	    .hash = HVK_RSS_TOEPLITZ | HVK_RSS_TYPES };
	unsigned i;

	for (i = 0; i < HVK_RSS_KEY; i++)
		rss.key[i] = (uint8_t)(i * 37 + 11);
	for (i = 0; i < 128; i++)
		rss.table[i] = (uint16_t)(i % channels);
	over = false;
	CHECK(hvk_netvsc_set_rss(&nv, &rss, now_ms()) == HVK_OK);
	pull();
	CHECK(net_wait(&over, 60000));
	CHECK(nv.request.answered && nv.request.status == 0);
}

void
net_send(struct chan *c, const struct hvk_net_meta *m, const uint8_t *frame,
    uint32_t len)
{
	static unsigned turn;
	struct hvk_netvsc_out o;
	uint8_t *at;
	uint64_t gpa;
	uint32_t n;

	if (len < 2000 && hvk_netvsc_tx_copy(&c->out, m, len, &at) ==
	    HVK_OK) {
		memcpy(at, frame, len);
		CHECK(hvk_netvsc_tx_close(&c->out, &o) == HVK_OK);
		CHECK(hvk_tx_inband(&c->tx, o.txid, true, &o.nvsp,
		    sizeof(o.nvsp)) == HVK_OK);
	} else {
		/* Not at the start of a page: headers and data as they come. */
		gpa = FRAME_AT * PAGE + 20 * PAGE * (turn++ % 128) + 100;
		n = hvk_rndis_encode(mem + gpa, m, len, 1);
		memcpy(mem + gpa + n, frame, len);
		if (hvk_netvsc_tx_direct(&c->out, NULL, len, &o) != HVK_OK)
			return;
		raw_pages(c, o.txid, &o.nvsp, gpa, n + len);
	}
	publish(c);
}

/* ---- a host of its own on the network */

static uint16_t
csum(const uint8_t *p, uint32_t len)
{
	uint32_t sum = 0, i;

	for (i = 0; i < len; i++)
		sum += i % 2 == 0 ? (uint32_t)p[i] << 8 : p[i];
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	return ((uint16_t)~sum);
}

static void
turn_back(uint8_t *f)
{
	uint8_t mac[6];

	memcpy(f, f + 6, 6);
	memcpy(mac, nv.mac, 6);
	memcpy(f + 6, mac, 6);
}

static void
swap(uint8_t *a, uint8_t *b, unsigned n)
{
	uint8_t t;

	while (n-- != 0) {
		t = a[n];
		a[n] = b[n];
		b[n] = t;
	}
}

static void
answer(struct chan *c, uint8_t *f, uint32_t len,
    const struct hvk_net_meta *in)
{
	struct hvk_net_meta m;
	uint16_t sum;

	memset(&m, 0, sizeof(m));
	m.has = in->has & HVK_NET_VLAN;
	m.vlan = in->vlan;
	if (len >= 42 && f[12] == 8 && f[13] == 6 && f[21] == 1 &&
	    memcmp(f + 38, &my_ip, 4) == 0) {
		turn_back(f);
		f[21] = 2;
		memcpy(f + 32, f + 22, 10);
		memcpy(f + 22, nv.mac, 6);
		memcpy(f + 28, &my_ip, 4);
		net_send(c, &m, f, 42);
		return;
	}
	if (len < 42 || f[12] != 8 || f[13] != 0 || f[14] != 0x45 ||
	    memcmp(f + 30, &my_ip, 4) != 0)
		return;
	turn_back(f);
	swap(f + 26, f + 30, 4);
	if (f[23] == 1 && f[34] == 8) {
		f[34] = 0;
		f[36] = f[37] = 0;
		sum = csum(f + 34, ((uint32_t)f[16] << 8 | f[17]) - 20);
		f[36] = (uint8_t)(sum >> 8);
		f[37] = (uint8_t)sum;
		net_send(c, &m, f, len);
	} else if (f[23] == 17) {
		/* The checksums are the host's work. */
		swap(f + 34, f + 36, 2);
		f[40] = f[41] = 0;
		f[24] = f[25] = 0;
		m.has |= HVK_NET_CSUM;
		m.csum = HVK_TXCSUM_MAKE(HVK_TXCSUM_IPV4 | HVK_TXCSUM_UDP |
		    HVK_TXCSUM_IP, 34);
		net_send(c, &m, f, len);
	} else if (f[23] == 6) {
		swap(f + 34, f + 36, 2);
		m.has |= len > nv.mtu + 14 ? HVK_NET_LSO : HVK_NET_CSUM;
		m.csum = HVK_TXCSUM_MAKE(HVK_TXCSUM_IPV4 | HVK_TXCSUM_TCP |
		    HVK_TXCSUM_IP, 34);
		m.lso = HVK_LSO_MAKE(nv.mtu - 40, 34, false);
		net_send(c, &m, f, len);
	}
}

static unsigned
number(const char *name, unsigned def)
{
	const char *v = getenv(name);

	return (v != NULL ? (unsigned)strtoul(v, NULL, 0) : def);
}

/* Up, with what the environment says. */
static unsigned
up(void)
{
	unsigned channels = number("FAKENET_CHANNELS", 1);
	const char *ip = getenv("FAKENET_IP");
	struct kld_ctl m = { .kind = KLD_CTL_READY };

	CHECK(ip != NULL && inet_pton(AF_INET, ip, &my_ip) == 1);
	CHECK(channels >= 1 && channels <= MAX_CHANNELS);
	net_attach();
	net_start(channels, number("FAKENET_OFFLOADS", HVK_OFF_ALL &
	    ~(HVK_OFF_RSC4 | HVK_OFF_RSC6)), number("FAKENET_MTU", 1500));
	if (channels > 1)
		net_rss(channels);
	net_filter(HVK_FILTER_DIRECTED | HVK_FILTER_BROADCAST);
	printf("fakenet: up, %02x:%02x:%02x:%02x:%02x:%02x, offloads %#x\n",
	    nv.mac[0], nv.mac[1], nv.mac[2], nv.mac[3], nv.mac[4], nv.mac[5],
	    nv.offloads);
	fflush(stdout);
	CHECK(send(control, &m, sizeof(m), 0) == sizeof(m));
	return (channels);
}

static void
serve(void)
{
	unsigned channels, i;

	on_frame = answer;
	channels = up();
	net_wait(&stopped, 120000);
	for (i = 0; i < channels; i++)
		printf("fakenet: channel %u frames %llu\n", i,
		    (unsigned long long)chan[i].frames);
}

/* ---- and one that asks */

#define	BYTES	60000u

static uint32_t peer;
static uint8_t peer_mac[6], pattern[BYTES], got[BYTES];
static uint32_t wrong, largest;
static int tag;
static bool known;

/* Right to the last bit, or it counts as wrong. */
static void
check(struct chan *c, uint8_t *f, uint32_t len, const struct hvk_net_meta *m)
{
	uint8_t pseudo[12 + 65536];
	uint32_t n, seq, hl;

	(void)c;
	if (len >= 42 && f[12] == 8 && f[13] == 6 && f[21] == 2 &&
	    memcmp(f + 28, &peer, 4) == 0) {
		memcpy(peer_mac, f + 22, 6);
		known = true;
		return;
	}
	if (len < 42 || f[12] != 8 || f[13] != 0 ||
	    memcmp(f + 26, &peer, 4) != 0)
		return;
	n = ((uint32_t)f[16] << 8 | f[17]) - 20;
	hl = f[23] == 6 ? 20 : 8;
	if (n + 34 > len || csum(f + 14, 20) != 0 ||
	    ((m->has & HVK_NET_VLAN) != 0 ? m->vlan & 0xfff : -1) != tag) {
		wrong++;
		return;
	}
	memcpy(pseudo, f + 26, 8);
	pseudo[8] = 0;
	pseudo[9] = f[23];
	pseudo[10] = (uint8_t)(n >> 8);
	pseudo[11] = (uint8_t)n;
	memcpy(pseudo + 12, f + 34, n);
	seq = f[23] == 6 ? (uint32_t)f[40] << 8 | f[41] : 0;
	if (csum(pseudo, 12 + n) != 0 || seq + n - hl > BYTES ||
	    memcmp(f + 34 + hl, pattern + seq, n - hl) != 0) {
		wrong++;
		return;
	}
	if (len > largest)
		largest = len;
	memset(got + seq, 1, n - hl);
}

static uint32_t
make(uint8_t *f, uint8_t proto, uint32_t body)
{
	uint32_t hl = proto == 6 ? 20 : 8, total = 20 + hl + body;

	memset(f, 0, 34 + hl);
	memcpy(f, peer_mac, 6);
	memcpy(f + 6, nv.mac, 6);
	f[12] = 8;
	f[14] = 0x45;
	f[16] = (uint8_t)(total >> 8);
	f[17] = (uint8_t)total;
	f[22] = 64;
	f[23] = proto;
	memcpy(f + 26, &my_ip, 4);
	memcpy(f + 30, &peer, 4);
	f[35] = 9;
	f[37] = 9;
	if (proto == 6) {
		f[46] = 0x50;
		f[47] = 0x10;
	} else {
		f[38] = (uint8_t)((8 + body) >> 8);
		f[39] = (uint8_t)(8 + body);
	}
	memcpy(f + 34 + hl, pattern, body);
	return (34 + hl + body);
}

/* true: the first n bytes came back. */
static bool
back(uint32_t n, int ms)
{
	uint64_t end = now_ms() + (uint64_t)ms;

	do {
		(void)net_wait(NULL, 1);
		if (memchr(got, 0, n) == NULL)
			return (true);
	} while (now_ms() < end);
	return (false);
}

static void
probe(void)
{
	const char *ip = getenv("FAKENET_PEER");
	unsigned i, n = number("FAKENET_COUNT", 200), right = 0, large = 0;
	unsigned tries = number("FAKENET_TRIES", 600);
	static uint8_t f[BYTES + 100];
	struct hvk_net_meta m;
	uint32_t len;

	CHECK(ip != NULL && inet_pton(AF_INET, ip, &peer) == 1);
	tag = (int)number("FAKENET_VLAN", 0xffffffffu);
	on_frame = check;
	for (i = 0; i < BYTES; i++)
		pattern[i] = (uint8_t)random();
	(void)up();
	memset(&m, 0, sizeof(m));
	m.has = tag >= 0 ? HVK_NET_VLAN : 0;
	m.vlan = (uint16_t)tag;
	for (i = 0; i < tries && !known; i++) {
		memset(f, 0, 60);
		memset(f, 255, 6);
		memcpy(f + 6, nv.mac, 6);
		memcpy(f + 12, "\10\6\0\1\10\0\6\4\0\1", 10);
		memcpy(f + 22, nv.mac, 6);
		memcpy(f + 28, &my_ip, 4);
		memcpy(f + 38, &peer, 4);
		net_send(&chan[0], &m, f, 42);
		(void)net_wait(&known, 100);
	}
	m.has |= HVK_NET_CSUM;
	m.csum = HVK_TXCSUM_MAKE(HVK_TXCSUM_IPV4 | HVK_TXCSUM_UDP |
	    HVK_TXCSUM_IP, 34);
	for (i = 0; i < n && known; i++) {
		len = i * 37 % (nv.mtu - 28) + 1;
		memset(got, 0, sizeof(got));
		net_send(&chan[0], &m, f, make(f, 17, len));
		right += back(len, 60000);
	}
	/* TCP that the host cuts, if this guest may ask for it. */
	for (i = 0; i < n / 10 && known && (nv.offloads & HVK_OFF_LSO4) != 0;
	    i++) {
		m.has = (tag >= 0 ? HVK_NET_VLAN : 0) | HVK_NET_LSO;
		m.lso = HVK_LSO_MAKE(nv.mtu - 40, 34, false);
		memset(got, 0, sizeof(got));
		len = BYTES - i * 1001 % 50000;
		net_send(&chan[0], &m, f, make(f, 6, len));
		large += back(len, 60000);
	}
	printf("fakenet: %u of %u datagrams, %u of %u large sends, %u wrong, "
	    "largest %u\n", right, n, large, n / 10, wrong, largest);
	fflush(stdout);
}

int
main(int argc, char **argv)
{
	const char *what = getenv("FAKEKLD");
	struct kld_ctl m = { .kind = KLD_CTL_EXIT };

	CHECK(what != NULL);
	arrive(argc, argv);
	if (strcmp(what, "serve") == 0)
		serve();
	else if (strcmp(what, "probe") == 0)
		probe();
	else
		CHECK(hostile(what));
	printf("fakenet: %s done\n", what);
	fflush(stdout);
	(void)send(control, &m, sizeof(m), MSG_NOSIGNAL);
	return (0);
}
