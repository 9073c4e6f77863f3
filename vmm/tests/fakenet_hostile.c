/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * What a guest can do to the host's adapter.  After each of these an ordinary
 * frame still goes there and back: an ARP request to libslirp's router, whose
 * answer is waited for.
 */
#include "fakenet.h"

static volatile bool replied;
static unsigned answers, refusals;
static uint64_t watched;
static volatile bool seen;
static uint32_t seen_status;

static void
note_frame(struct chan *c, uint8_t *f, uint32_t len,
    const struct hvk_net_meta *m)
{

	(void)c;
	(void)m;
	if (len >= 42 && f[12] == 8 && f[13] == 6 && f[21] == 2)
		replied = true;
}

static void
note_done(struct chan *c, const struct hvk_packet *p)
{
	uint32_t w[2] = { 0, 0 };

	(void)c;
	if (p->type != HVK_PKT_COMPLETION)
		return;
	memcpy(w, p->payload, p->len < 8 ? p->len : 8);
	answers++;
	refusals += w[0] == HVK_NVSP_RNDIS_DONE && w[1] !=
	    HVK_NVSP_STATUS_OK;
	if (p->txid == watched) {
		seen = true;
		seen_status = w[1];
	}
}

static void
begin(unsigned channels)
{

	net_attach();
	on_frame = note_frame;
	on_done = note_done;
	net_start(channels, HVK_OFF_ALL, 1500);
	if (channels > 1)
		net_rss(channels);
	net_filter(HVK_FILTER_DIRECTED | HVK_FILTER_BROADCAST);
}

/* It works all the same. */
static void
works(void)
{
	struct hvk_net_meta m;
	uint8_t f[60];
	int i;

	memset(&m, 0, sizeof(m));
	memset(f, 0, sizeof(f));
	memset(f, 255, 6);
	memcpy(f + 6, nv.mac, 6);
	memcpy(f + 12, "\10\6\0\1\10\0\6\4\0\1", 10);
	memcpy(f + 22, nv.mac, 6);
	memcpy(f + 28, "\12\0\2\17", 4);
	memcpy(f + 38, "\12\0\2\2", 4);
	replied = false;
	for (i = 0; i < 120 && !replied; i++) {
		net_send(&chan[0], &m, f, 42);
		(void)net_wait(&replied, 500);
	}
	CHECK(replied);
}

static uint32_t
rndis(uint32_t type, uint32_t section, uint32_t len, uint64_t txid)
{
	struct hvk_nvsp_message m;

	memset(&m, 0, sizeof(m));
	m.type = HVK_NVSP_RNDIS;
	m.rndis.channel = type;
	m.rndis.section = section;
	m.rndis.section_len = len;
	watched = txid;
	seen = false;
	raw_inband(&chan[0], txid, &m, sizeof(m));
	CHECK(net_wait(&seen, 60000));
	return (seen_status);
}

static uint32_t
direct(uint32_t type, uint64_t gpa, uint32_t len, uint64_t txid)
{
	struct hvk_nvsp_message m;

	memset(&m, 0, sizeof(m));
	m.type = HVK_NVSP_RNDIS;
	m.rndis.channel = type;
	m.rndis.section = HVK_NVSP_NO_SECTION;
	watched = txid;
	seen = false;
	raw_pages(&chan[0], txid, &m, gpa, len);
	CHECK(net_wait(&seen, 60000));
	return (seen_status);
}

/* Every type of message, of every length, before and after the start. */
static void
messages(void)
{
	uint32_t m[16], i, k;

	net_attach();
	on_done = note_done;
	for (i = 0; i < 3000; i++) {
		for (k = 0; k < 16; k++)
			m[k] = (uint32_t)random();
		m[0] = i % 150;
		/* But it shall be able to start. */
		if (m[0] == HVK_NVSP_INIT)
			m[2] = 7;
		raw_inband(&chan[0], 0x7000000000000000ull + i, m,
		    (uint32_t)(random() % 9) * 8);
		(void)net_poll();
	}
	on_frame = note_frame;
	net_start(1, HVK_OFF_ALL, 1500);
	for (i = 0; i < 3000; i++) {
		for (k = 0; k < 16; k++)
			m[k] = (uint32_t)random();
		m[0] = i % 150;
		if (m[0] == HVK_NVSP_RECV_BUFFER_REVOKE ||
		    m[0] == HVK_NVSP_SEND_BUFFER_REVOKE)
			continue;
		raw_inband(&chan[0], 0x7000000000000000ull + i, m,
		    (uint32_t)(random() % 9) * 8);
		(void)net_poll();
	}
	net_filter(HVK_FILTER_DIRECTED | HVK_FILTER_BROADCAST);
	works();
	CHECK(answers > 3000);
}

static void
sections(void)
{
	static const uint32_t bad[][2] = { { 0xfffffffeu, 100 }, { 42, 100 },
	    { 0x10000, 8 }, { 0, 6145 }, { 0, 0xffffffffu },
	    { HVK_NVSP_NO_SECTION, 100 }, { 1, 0 } };
	uint32_t i, type;

	begin(1);
	memset(mem + SEND_AT * PAGE, 0, SEND_PAGES * PAGE);
	for (type = 0; type < 2; type++)
		for (i = 0; i < 7; i++)
			CHECK(rndis(type, bad[i][0], bad[i][1],
			    0x7100000000000000ull + i) != HVK_NVSP_STATUS_OK);
	/* All of a section that holds nothing. */
	CHECK(rndis(0, 0, 6144, 0x7100000000000100ull) != HVK_NVSP_STATUS_OK);
	works();
}

static void
ranges(void)
{
	static const uint64_t bad[] = { 32ull << 20, 0xfffffffff000ull,
	    ~0ull - 8191, 1ull << 63 };
	uint32_t i, type;

	begin(1);
	for (type = 0; type < 2; type++)
		for (i = 0; i < 4; i++)
			CHECK(direct(type, bad[i], 200, 0x7200000000000000ull +
			    i) != HVK_NVSP_STATUS_OK);
	/* The last page is memory, what follows it is not. */
	CHECK(direct(0, (32ull << 20) - 100, 200, 0x7200000000000100ull) !=
	    HVK_NVSP_STATUS_OK);
	works();
}

/* A frame's message, correct but for what the caller then spoils. */
static uint32_t *
message(uint32_t *len)
{
	struct hvk_net_meta m;
	uint8_t *p = mem + FRAME_AT * PAGE;
	uint32_t n;

	memset(&m, 0, sizeof(m));
	m.has = HVK_NET_CSUM | HVK_NET_VLAN;
	memset(p, 0, 4096);
	n = hvk_rndis_encode(p, &m, 60, 4);
	memset(p + n, 0xee, 60);
	*len = n + 60;
	return ((uint32_t *)(void *)p);
}

/* Lengths, offsets and counts of a packet that lie. */
static void
lies(void)
{
	static const uint32_t values[] = { 0, 1, 3, 7, 11, 12, 43, 0x7fffffff,
	    0x80000000u, 0xfffffff0u, 0xffffffffu };
	uint32_t *w, len, word, i;

	begin(1);
	w = message(&len);
	CHECK(direct(0, FRAME_AT * PAGE, len, 0x7300000000000000ull) ==
	    HVK_NVSP_STATUS_OK);
	/* Type, length, data, OOB, PPI; then the first piece of information. */
	for (word = 0; word < 14; word++)
		for (i = 0; i < 11; i++) {
			w = message(&len);
			w[word] = values[i];
			(void)direct(0, FRAME_AT * PAGE, len,
			    0x7300000000000001ull + word * 16 + i);
		}
	CHECK(refusals > 80);
	works();
}

/* Noise in the place of a message, and one that changes while it is read. */
static void
noise(void)
{
	uint8_t *p = mem + FRAME_AT * PAGE;
	uint32_t i, k, len;

	begin(1);
	for (i = 0; i < 2000; i++) {
		for (k = 0; k < 400; k++)
			p[k] = (uint8_t)random();
		if (i % 2 != 0) {
			memset(p, 0, 44);
			p[0] = 1;
			p[4] = 200;
			p[8] = (uint8_t)(random() % 200);
			p[12] = (uint8_t)random();
			p[28] = (uint8_t)(random() % 64);
			p[32] = (uint8_t)(random() % 128);
		}
		len = 8 + (uint32_t)random() % 392;
		(void)direct(i % 4 == 0, FRAME_AT * PAGE, len,
		    0x7400000000000000ull + i);
	}
	works();
}

/* Large sends that cannot be cut, checksums of what has none. */
static void
offloads(void)
{
	static const uint32_t mss[] = { 0, 1, 31, 1461, 9000, 0xfffff };
	struct hvk_net_meta m;
	static uint8_t f[60000];
	uint32_t i, off;

	begin(1);
	memset(f, 0, sizeof(f));
	memset(f, 255, 6);
	memcpy(f + 6, nv.mac, 6);
	memcpy(f + 12, "\10\0\105\0", 4);
	f[22] = 64;
	f[23] = 6;
	f[46] = 0x50;
	for (i = 0; i < 6; i++)
		for (off = 0; off < 1024; off += 17) {
			memset(&m, 0, sizeof(m));
			m.has = HVK_NET_LSO;
			m.lso = HVK_LSO_MAKE(mss[i], off, off % 2 != 0);
			net_send(&chan[0], &m, f, 20000 + off);
			m.has = HVK_NET_CSUM;
			m.csum = HVK_TXCSUM_MAKE(off % 32, off);
			net_send(&chan[0], &m, f, 60 + off % 1000);
			(void)net_wait(NULL, 1);
		}
	/* A header that is longer than the frame, a fragment. */
	memset(&m, 0, sizeof(m));
	m.has = HVK_NET_LSO;
	m.lso = HVK_LSO_MAKE(1460, 34, false);
	f[46] = 0xf0;
	net_send(&chan[0], &m, f, 70);
	f[46] = 0x50;
	f[20] = 0x20;
	net_send(&chan[0], &m, f, 50000);
	works();
}

/* Frames over the MTU, and under a header. */
static void
sizes(void)
{
	static const uint32_t len[] = { 1, 13, 14, 59, 1514, 1515, 1518, 1519,
	    2000, 9014, 60000 };
	struct hvk_net_meta m;
	static uint8_t f[60000];
	uint32_t i;

	begin(1);
	memset(f, 255, 6);
	memcpy(f + 6, nv.mac, 6);
	memset(&m, 0, sizeof(m));
	for (i = 0; i < 11; i++)
		net_send(&chan[0], &m, f, len[i]);
	works();
}

/* Questions without end, and nothing taken of the answers. */
static void
flood(void)
{
	uint32_t *w = (uint32_t *)(void *)(mem + FRAME_AT * PAGE), i, busy = 0;

	begin(1);
	hold_acks = true;
	for (i = 0; i < 3000; i++) {
		memset(w, 0, 64);
		w[0] = HVK_RNDIS_QUERY;
		w[1] = 28;
		w[2] = 0x70000000 + i;
		w[3] = HVK_OID_SUPPORTED_LIST;
		w[5] = 20;
		busy += direct(1, FRAME_AT * PAGE, 28, 0x7500000000000000ull +
		    i) == HVK_NVSP_STATUS_BUSY;
	}
	CHECK(busy > 100);
}

static void
channels(void)
{
	struct hvk_nvsp_message m;

	begin(1);
	memset(&m, 0, sizeof(m));
	m.type = HVK_NVSP_SUBCHANNEL;
	m.subchannel.operation = 1;
	m.subchannel.count = 1000;
	watched = 0x7600000000000000ull;
	seen = false;
	raw_inband(&chan[0], watched, &m, sizeof(m));
	CHECK(net_wait(&seen, 60000));
	CHECK(seen_status != HVK_NVSP_STATUS_OK);
	m.subchannel.count = 0xffffffffu;
	seen = false;
	raw_inband(&chan[0], watched, &m, sizeof(m));
	CHECK(net_wait(&seen, 60000));
	CHECK(seen_status != HVK_NVSP_STATUS_OK);
	works();
}

/* Answers to nothing, twice, of the wrong kind, too short. */
static void
acks(void)
{
	struct hvk_nvsp_rndis_done d = { HVK_NVSP_RNDIS_DONE, 1 };
	uint32_t i;

	begin(2);
	for (i = 0; i < 2000; i++) {
		d.type = i % 3 != 0 ? HVK_NVSP_RNDIS_DONE : (uint32_t)random();
		d.status = (uint32_t)random() % 9;
		while (hvk_tx_completion(&chan[i % 2].tx, i % 4 == 0 ?
		    0x5000000000000000ull + i % 70 : (uint64_t)random() << 32 |
		    (uint64_t)random(), &d, i % 5 == 0 ? 4 : 8) == HVK_AGAIN)
			(void)net_wait(NULL, 1);
		(void)net_poll();
	}
	works();
	/* Sub-channels take no control messages. */
	d.type = HVK_NVSP_INIT;
	raw_inband(&chan[1], 0x7700000000000000ull, &d, sizeof(d));
	works();
}

/* The receive buffer goes while frames arrive in it. */
static void
teardown(void)
{
	uint32_t m[60] = { 11, 0, chan[0].relid, 0x2000 }, i;

	begin(1);
	m[2] = chan[0].relid;
	CHECK(post(conn, m, 16) == 0);
	CHECK(receive(12, m, 60000));
	m[0] = 11;
	m[1] = 0;
	m[2] = chan[0].relid;
	m[3] = 0x2001;
	CHECK(post(conn, m, 16) == 0);
	CHECK(receive(12, m, 60000));
	/* Nothing may be written there from now on. */
	memset(mem + RECV_AT * PAGE, 0xa5, RECV_PAGES * PAGE);
	for (i = 0; i < 50; i++) {
		CHECK(rndis(0, 0, 200, 0x7800000000000000ull + i) !=
		    HVK_NVSP_STATUS_OK);
		(void)direct(0, FRAME_AT * PAGE, 100, 0x7800000000001000ull +
		    i);
	}
	for (i = 0; i < RECV_PAGES * PAGE; i++)
		CHECK(mem[RECV_AT * PAGE + i] == 0xa5);
}

/* A channel of several turns to noise; the others go on. */
static void
ring(void)
{
	uint8_t *data = mem + (NET_RINGS + CHANNEL_PAGES + 1) * PAGE;
	uint32_t i, k;

	begin(2);
	for (i = 0; i < 100; i++) {
		for (k = 0; k < 8 * PAGE; k++)
			data[k] = (uint8_t)random();
		*(volatile uint32_t *)(void *)(data - PAGE) =
		    (uint32_t)random() % (31 * PAGE);
		kick(&chan[1]);
		chan[1].open = false;
	}
	works();
}

bool
hostile(const char *what)
{
	static const struct { const char *name; void (*fn)(void); } all[] = {
		{ "messages", messages }, { "sections", sections },
		{ "ranges", ranges }, { "lies", lies }, { "noise", noise },
		{ "offloads", offloads }, { "sizes", sizes },
		{ "flood", flood }, { "channels", channels },
		{ "acks", acks }, { "teardown", teardown }, { "ring", ring },
	};
	size_t i;

	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (strcmp(all[i].name, what) == 0) {
			all[i].fn();
			return (true);
		}
	return (false);
}
