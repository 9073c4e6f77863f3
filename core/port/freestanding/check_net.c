/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * Network: the first adapter is brought up through the core's network client,
 * then the gateway of libslirp's network is asked for its hardware address (by
 * way of the send buffer) and pinged (by way of pages of ours).
 * Facts: RFC 826, 791 and 792.
 */

#include <hvk/guest/netvsc.h>
#include <hvk/wire/guid.h>

#include "check.h"

#define	RECV_PAGES	128u
#define	SEND_PAGES	16u
#define	SLOTS		16u
#define	FRAGS		4u
#define	STEP_MS		30000u
#define	PING		1000u		/* bytes of payload */
#define	ME		0x0a00020fu
#define	GATEWAY		0x0a000202u

static struct {
	struct bus_chan		 chan;
	struct hvk_netvsc	 nv;
	struct hvk_netvsc_tx	 tx;
	struct hvk_netvsc_rx	 rx;
	struct hvk_netvsc_send	 slots[SLOTS];
	struct hvk_netvsc_frag	 frags[FRAGS];
	struct hvk_client_gpadl	*recv_gpadl, *send_gpadl;
	uint8_t			*recv, *send;
	uint8_t			*control;	/* page of a control message */
	uint8_t			*page;		/* frame of ours */
	uint64_t		 packet[1024];
	uint8_t			 frame[2048];	/* the last that came */
	uint32_t		 frame_len;
	uint32_t		 frames;
	bool			 want_buffers, ready, request_over;
	bool			 halted, failed;
	bool			 receiving;	/* rx can be used */
} net;

static uint64_t
now_ms(void)
{
	return (port_now() / 1000000);
}

static void
happened(enum hvk_netvsc_event event)
{
	switch (event) {
	case HVK_NETVSC_WANT_BUFFERS:
		net.want_buffers = true;
		break;
	case HVK_NETVSC_IS_READY:
		net.ready = true;
		break;
	case HVK_NETVSC_REQUEST_OVER:
		net.request_over = true;
		break;
	case HVK_NETVSC_IS_HALTED:
		net.halted = true;
		break;
	case HVK_NETVSC_HAS_FAILED:
		net.failed = true;
		break;
	default:
		break;
	}
}

static int
send_page(uint64_t txid, const struct hvk_nvsp_message *nvsp, void *page,
    uint32_t len)
{
	uint64_t pfn = (uintptr_t)page >> HVK_PAGE_SHIFT;
	struct hvk_gpa_range range = { .len = len, .pfn = &pfn, .npfn = 1 };

	return (bus_send_gpa(&net.chan, txid, &range, nvsp, sizeof(*nvsp)));
}

static void
pull(void)
{
	struct hvk_netvsc_message m;
	int error;

	happened(hvk_netvsc_tick(&net.nv, now_ms()));
	while (hvk_netvsc_pull(&net.nv, &m)) {
		if (m.rndis_len != 0) {
			hvk_copy(net.control, m.rndis, m.rndis_len);
			error = send_page(m.txid, &m.nvsp, net.control,
			    m.rndis_len);
		} else if (m.want_completion)
			error = bus_send(&net.chan, m.txid, &m.nvsp,
			    sizeof(m.nvsp));
		else
			error = bus_tell(&net.chan, m.txid, &m.nvsp,
			    sizeof(m.nvsp));
		if (error != HVK_OK)
			net.failed = true;
	}
}

/* Each range is copied once; the host may change the buffer meanwhile. */
static void
frames(const struct hvk_packet *p)
{
	struct hvk_netvsc_frame f;
	enum hvk_netvsc_event event;
	int error;

	if (!net.receiving || hvk_netvsc_rx_begin(&net.rx, p) != HVK_OK)
		return;
	while ((error = hvk_netvsc_rx_next(&net.rx, &f)) != HVK_AGAIN) {
		if (error != HVK_OK)
			continue;
		if (f.kind == HVK_NETVSC_CONTROL_MESSAGE) {
			if (hvk_netvsc_rndis(&net.nv, f.frag[0].data,
			    f.frag[0].len, now_ms(), &event) == HVK_OK)
				happened(event);
			continue;
		}
		net.frames++;
		if (f.nfrags == 1 && f.len <= sizeof(net.frame)) {
			hvk_copy(net.frame, f.frag[0].data, f.len);
			net.frame_len = f.len;
		}
	}
}

static void
received(struct bus_chan *chan, void *arg HVK_UNUSED)
{
	struct hvk_packet p;
	struct hvk_netvsc_sent sent;
	enum hvk_netvsc_event event;
	bool ack;
	int error;

	while ((error = bus_recv(chan, net.packet, sizeof(net.packet), &p)) ==
	    HVK_OK || error == HVK_REJECT) {
		if (error == HVK_REJECT)
			continue;
		ack = false;
		switch (hvk_netvsc_kind(&p)) {
		case HVK_NETVSC_KIND_RX:
			frames(&p);
			if (p.want_completion)
				(void)bus_complete(chan, p.txid,
				    &hvk_netvsc_ack, sizeof(hvk_netvsc_ack));
			break;
		case HVK_NETVSC_KIND_TX:
			(void)hvk_netvsc_tx_done(&net.tx, &p, &sent);
			break;
		case HVK_NETVSC_KIND_CONTROL:
			if (hvk_netvsc_input(&net.nv, &p, now_ms(), &event,
			    &ack) == HVK_OK)
				happened(event);
			if (ack)
				(void)bus_complete(chan, p.txid, NULL, 0);
			break;
		default:
			break;
		}
	}
	if (error == HVK_FATAL)
		net.failed = true;
}

static bool
flag(void *arg)
{
	pull();
	return (*(bool *)arg || net.failed);
}

static bool
until(bool *what)
{
	return (bus_wait(flag, what, STEP_MS) && *what && !net.failed);
}

static bool
buffers(void)
{
	struct hvk_netvsc_buffers b = { 0 };

	if (bus_share(&net.chan, net.recv, RECV_PAGES, &net.recv_gpadl) !=
	    HVK_OK || bus_share(&net.chan, net.send, SEND_PAGES,
	    &net.send_gpadl) != HVK_OK)
		return (false);
	b.recv_gpadl = net.recv_gpadl->handle;
	b.recv_len = RECV_PAGES * HVK_PAGE_SIZE;
	b.send_gpadl = net.send_gpadl->handle;
	b.send_len = SEND_PAGES * HVK_PAGE_SIZE;
	net.receiving = hvk_netvsc_rx_init(&net.rx, net.recv, b.recv_len,
	    net.frags, FRAGS, sizeof(net.frame)) == HVK_OK;
	return (net.receiving && hvk_netvsc_buffers(&net.nv, &b, now_ms()) ==
	    HVK_OK);
}

static bool
start(void)
{
	struct hvk_netvsc_config config = { .mtu = 1500 };
	struct hvk_netvsc_tx_config tx = { .max_packets = 1 };

	hvk_netvsc_init(&net.nv, &config);
	if (hvk_netvsc_start(&net.nv, now_ms()) != HVK_OK ||
	    !until(&net.want_buffers) || !buffers() || !until(&net.ready))
		return (false);
	tx.buffer = net.send;
	tx.section_size = net.nv.send_size;
	tx.count = net.nv.send_count;
	tx.align = net.nv.align;
	tx.max_transfer = net.nv.max_transfer;
	if (hvk_netvsc_tx_init(&net.tx, net.slots, SLOTS, &tx) != HVK_OK)
		return (false);
	return (hvk_netvsc_set_filter(&net.nv, HVK_FILTER_DIRECTED |
	    HVK_FILTER_BROADCAST, now_ms()) == HVK_OK &&
	    until(&net.request_over) && net.nv.request.answered &&
	    net.nv.request.status == 0);
}

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
get32(const uint8_t *p)
{
	return ((uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
	    (uint32_t)p[2] << 8 | p[3]);
}

static uint32_t
sum16(const uint8_t *p, uint32_t len)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < len; i += 2)
		sum += (uint32_t)p[i] << 8 | p[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	return (~(sum + (sum >> 16)) & 0xffff);
}

static bool
arp_came(void *arg HVK_UNUSED)
{
	pull();
	return (net.frame_len >= 42 && net.frame[12] == 8 &&
	    net.frame[13] == 6 && net.frame[21] == 2 &&
	    get32(net.frame + 28) == GATEWAY);
}

/* By a section of the send buffer. */
static void
arp(uint8_t *gateway)
{
	struct hvk_net_meta meta = { 0 };
	struct hvk_netvsc_out out;
	uint8_t *f;
	bool ok = false;

	if (hvk_netvsc_tx_copy(&net.tx, &meta, 60, &f) == HVK_OK) {
		hvk_zero(f, 60);
		for (int i = 0; i < 6; i++)
			f[i] = 0xff;
		hvk_copy(f + 6, net.nv.mac, 6);
		put16(f + 12, 0x0806);
		put32(f + 14, 0x00010800);
		put32(f + 18, 0x06040001);
		hvk_copy(f + 22, net.nv.mac, 6);
		put32(f + 28, ME);
		put32(f + 38, GATEWAY);
		ok = hvk_netvsc_tx_close(&net.tx, &out) == HVK_OK &&
		    bus_send(&net.chan, out.txid, &out.nvsp,
		    sizeof(out.nvsp)) == HVK_OK &&
		    bus_wait(arp_came, NULL, STEP_MS);
	}
	hvk_copy(gateway, net.frame + 22, 6);
	check("net.arp", ok, "10.0.2.2 is %02x:%02x:%02x:%02x:%02x:%02x",
	    gateway[0], gateway[1], gateway[2], gateway[3], gateway[4],
	    gateway[5]);
}

static bool
echo_came(void *arg HVK_UNUSED)
{
	pull();
	return (net.frame_len == 42 + PING && net.frame[12] == 8 &&
	    net.frame[13] == 0 && net.frame[23] == 1 && net.frame[34] == 0);
}

/* By a page of ours that holds the header and the frame. */
static void
ping(const uint8_t *gateway)
{
	struct hvk_net_meta meta = { 0 };
	struct hvk_netvsc_out out;
	uint32_t bad = 0, head, len = 42 + PING;
	uint8_t *f;
	bool ok;

	head = hvk_rndis_encode(net.page, &meta, len, net.nv.align);
	f = net.page + head;
	hvk_copy(f, gateway, 6);
	hvk_copy(f + 6, net.nv.mac, 6);
	put16(f + 12, 0x0800);
	put32(f + 14, 0x45000000u | (28 + PING));
	put32(f + 22, 0x40010000u);
	put32(f + 26, ME);
	put32(f + 30, GATEWAY);
	put16(f + 24, sum16(f + 14, 20));
	put32(f + 34, 0x08000000u);
	put32(f + 38, 0x68760001u);
	for (uint32_t i = 0; i < PING; i++)
		f[42 + i] = (uint8_t)(i * 7);
	put16(f + 36, sum16(f + 34, 8 + PING));
	net.frame_len = 0;
	ok = hvk_netvsc_tx_direct(&net.tx, NULL, len, &out) == HVK_OK &&
	    send_page(out.txid, &out.nvsp, net.page,
	    hvk_rndis_message_len(&meta, len, net.nv.align)) == HVK_OK &&
	    bus_wait(echo_came, NULL, STEP_MS);
	for (uint32_t i = 0; ok && i < PING; i++)
		bad += net.frame[42 + i] != (uint8_t)(i * 7);
	check("net.ping", ok && bad == 0, "%u bytes, %u differ", PING, bad);
}

static bool
nothing_out(void *arg HVK_UNUSED)
{
	return (net.tx.busy == 0);
}

static void
stop(void)
{
	bool first = hvk_netvsc_gpadl_first(bus_client.version), safe = true;

	check("net.sends", bus_wait(nothing_out, NULL, STEP_MS),
	    "%lu done of %lu", net.tx.done, net.tx.sent);
	if (hvk_netvsc_halt(&net.nv, now_ms()) == HVK_OK)
		safe = until(&net.halted);
	if (!first)
		bus_quiet(&net.chan);
	safe = bus_unshare(net.recv_gpadl) && safe;
	safe = bus_unshare(net.send_gpadl) && safe;
	safe = bus_close(&net.chan) && safe;
	check("net.close", safe && net.halted, "memory given back");
}

void
check_net(void)
{
	static const struct hvk_guid network = HVK_GUID_NETWORK;
	struct hvk_client_chan *cc;
	uint8_t gateway[6] = { 0 };
	bool ok;

	cc = bus_find(&network, 0);
	if (cc == NULL) {
		check_skip("net.open", "no adapter offered");
		return;
	}
	net.recv = port_pages(RECV_PAGES);
	net.send = port_pages(SEND_PAGES);
	net.control = port_pages(1);
	net.page = port_pages(1);
	ok = bus_open(&net.chan, cc, 0, received, NULL) == HVK_OK;
	check("net.open", ok, "channel %u", cc->relid);
	if (!ok)
		return;
	ok = start();
	check("net.start", ok, "protocol %u.%u, mtu %u, sections of %u and %u, "
	    "reason %u", net.nv.version >> 16, net.nv.version & 0xffffu,
	    net.nv.mtu, net.nv.recv.size, net.nv.send_size, net.nv.reason);
	if (ok) {
		arp(gateway);
		ping(gateway);
	}
	stop();
}
