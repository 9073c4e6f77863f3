/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * A hostile network host: the input chooses what the guest does and what the
 * host says.  The machine never waits without a deadline, what it believes
 * stays within its limits, each send ends exactly once, frames lie in the
 * receive buffer.
 *
 * Input: records of {u8 action, u8 argument}; packets follow their record.
 */

#include <stdlib.h>
#include <string.h>

#include <hvk/guest/netvsc.h>

#define	SLOTS		8
#define	BUFFER		4096
#define	SENDS		512

struct run {
	struct hvk_netvsc	s;
	struct hvk_netvsc_tx	tx;
	struct hvk_netvsc_rx	rx;
	struct hvk_netvsc_send	slots[SLOTS];
	struct hvk_netvsc_frag	frags[16];
	uint8_t			send[4 * 1024];
	uint8_t			*recv;
	uint64_t		nvsp_id, rndis_id, ids[SENDS];
	uint32_t		nids, direct, given, rid;
	uint64_t		now;
	const uint8_t		*in;
	size_t			left;
};

static void
check(int ok)
{
	if (!ok)
		abort();
}

static void
take(struct run *r, void *out, size_t n)
{
	size_t k = n < r->left ? n : r->left;

	memset(out, 0, n);
	memcpy(out, r->in, k);
	r->in += k;
	r->left -= k;
}

static void
buffers(struct run *r)
{
	struct hvk_netvsc_buffers b = { 1, BUFFER, 2, sizeof(r->send) };

	check(hvk_netvsc_buffers(&r->s, &b, r->now) == HVK_OK);
}

static void
event(struct run *r, enum hvk_netvsc_event e)
{
	const struct hvk_netvsc_result *q = &r->s.request;
	uint8_t x = 0;
	uint32_t i;

	if (e == HVK_NETVSC_WANT_BUFFERS)
		buffers(r);
	if (e == HVK_NETVSC_REQUEST_OVER && q->data != NULL)
		for (i = 0; i < q->len; i++)
			x ^= q->data[i];
	check(e != HVK_NETVSC_HAS_FAILED || r->s.phase == HVK_NETVSC_FAILED);
	(void)x;
}

static void
pull(struct run *r)
{
	struct hvk_netvsc_message m;

	if (!hvk_netvsc_pull(&r->s, &m))
		return;
	check(m.rndis_len <= HVK_NETVSC_CONTROL && m.txid != 0);
	if (m.rndis_len != 0) {
		check(m.rndis_len >= 12);
		r->rndis_id = m.txid;
		memcpy(&r->rid, (const uint8_t *)m.rndis + 8, 4);
	} else if (m.want_completion)
		r->nvsp_id = m.txid;
}

/* A completion or an in-band message. */
static void
packet(struct run *r, uint8_t arg)
{
	struct hvk_netvsc_sent sent;
	struct hvk_packet pkt;
	enum hvk_netvsc_event e;
	uint64_t id, payload[16];
	bool ack;

	memset(&pkt, 0, sizeof(pkt));
	take(r, &id, sizeof(id));
	pkt.len = (arg >> 4) * 8u;
	take(r, payload, pkt.len);
	pkt.type = (arg & 3) == 3 ? HVK_PKT_INBAND : HVK_PKT_COMPLETION;
	pkt.payload = (const uint8_t *)payload;
	switch (arg & 3) {
	case 0:
		pkt.txid = r->nvsp_id;
		break;
	case 1:
		pkt.txid = r->rndis_id;
		break;
	case 2:
		pkt.txid = (arg & 4) != 0 ? id :
		    r->nids != 0 ? r->ids[id % r->nids] : id;
		break;
	default:
		pkt.txid = id;
		break;
	}
	switch (hvk_netvsc_kind(&pkt)) {
	case HVK_NETVSC_KIND_TX:
		if (hvk_netvsc_tx_done(&r->tx, &pkt, &sent) == HVK_OK) {
			check(sent.packets != 0);
			check(r->given != 0);
			r->given--;
			if (sent.cookie != NULL)
				check(r->direct-- != 0);
		}
		break;
	case HVK_NETVSC_KIND_CONTROL:
		(void)hvk_netvsc_input(&r->s, &pkt, r->now, &e, &ack);
		event(r, e);
		break;
	default:
		break;
	}
}

static void
rndis(struct run *r, uint8_t arg)
{
	enum hvk_netvsc_event e;
	uint32_t len = arg * 2u, word;
	uint8_t *bytes = malloc(len != 0 ? len : 1);

	check(bytes != NULL);
	take(r, bytes, len);
	if (len >= 12 && (bytes[0] & 0xf0) == 0xf0) {
		/* A good header, so that the rest is looked at. */
		word = r->s.answer;
		memcpy(bytes, &word, 4);
		memcpy(bytes + 4, &len, 4);
		memcpy(bytes + 8, &r->rid, 4);
	}
	(void)hvk_netvsc_rndis(&r->s, bytes, len, r->now, &e);
	event(r, e);
	free(bytes);
}

static void
receive(struct run *r, uint8_t arg)
{
	struct hvk_xfer_range range[32];
	struct hvk_netvsc_frame f;
	struct hvk_packet pkt;
	enum hvk_netvsc_event e;
	uint64_t payload[2];
	uint32_t i, n, sum;
	int error;

	memset(&pkt, 0, sizeof(pkt));
	payload[0] = HVK_NVSP_RNDIS;
	payload[1] = 0;
	if (arg == 255)
		take(r, payload, sizeof(payload));
	pkt.type = HVK_PKT_XFER_PAGES;
	pkt.pageset = arg == 254 ? 1 : HVK_NVSP_RECV_ID;
	pkt.nranges = 1 + arg % 32u;
	take(r, range, pkt.nranges * sizeof(range[0]));
	for (i = 0; (arg & 128) == 0 && i < pkt.nranges; i++) {
		range[i].offset %= BUFFER;
		range[i].len %= 512;
	}
	pkt.ranges = (const uint8_t *)range;
	pkt.ranges_len = pkt.nranges * (uint32_t)sizeof(range[0]);
	pkt.payload = (const uint8_t *)payload;
	pkt.len = sizeof(payload);
	(void)hvk_netvsc_rx_begin(&r->rx, &pkt);
	for (n = 0; (error = hvk_netvsc_rx_next(&r->rx, &f)) != HVK_AGAIN;
	    n++) {
		check(n < pkt.nranges);
		if (error != HVK_OK)
			continue;
		check(f.nfrags >= 1 && f.nfrags <= 16);
		for (sum = i = 0; i < f.nfrags; i++) {
			check(f.frag[i].data >= r->recv && f.frag[i].len <=
			    (size_t)(r->recv + BUFFER - f.frag[i].data));
			sum += f.frag[i].len;
		}
		check(sum == f.len);
		if (f.kind == HVK_NETVSC_CONTROL_MESSAGE) {
			check(f.nfrags == 1);
			(void)hvk_netvsc_rndis(&r->s, f.frag[0].data, f.len,
			    r->now, &e);
			event(r, e);
		} else
			check(f.len <= 2000);
	}
}

static void
transmit(struct run *r, uint8_t arg)
{
	struct hvk_net_meta meta = { .has = arg & HVK_NET_ALL };
	struct hvk_netvsc_out out;
	struct hvk_netvsc_sent sent;
	uint8_t *at;
	uint16_t len;

	take(r, &len, sizeof(len));
	len = len % 1200;
	if ((arg & 0x40) == 0) {
		if (hvk_netvsc_tx_copy(&r->tx, &meta, len, &at) == HVK_OK) {
			check(at >= r->send && len <= (size_t)
			    (r->send + sizeof(r->send) - at));
			memset(at, 0x55, len);
		}
		return;
	}
	if ((arg & 1) != 0) {
		if (hvk_netvsc_tx_close(&r->tx, &out) != HVK_OK)
			return;
		check(out.nvsp.rndis.section < 4 &&
		    out.nvsp.rndis.section_len <= 1024);
	} else {
		if (hvk_netvsc_tx_direct(&r->tx, r, len, &out) != HVK_OK)
			return;
		r->direct++;
	}
	r->given++;
	if ((arg & 2) != 0) {
		check(hvk_netvsc_tx_cancel(&r->tx, out.txid, &sent) == HVK_OK);
		r->given--;
		if (sent.cookie != NULL)
			r->direct--;
	}
	r->ids[r->nids++ % SENDS] = out.txid;
	if (r->nids > SENDS)
		r->nids = SENDS;
}

static void
ask(struct run *r, uint8_t arg)
{
	static const uint8_t mac[6] = { 2 };
	struct hvk_net_rss rss;
	uint8_t bytes[48];

	switch (arg % 10) {
	case 0:
		(void)hvk_netvsc_set_filter(&r->s, arg, r->now);
		break;
	case 1:
		(void)hvk_netvsc_set_mac(&r->s, mac, r->now);
		break;
	case 2:
		(void)hvk_netvsc_set_offloads(&r->s, arg * 64u, r->now);
		break;
	case 3:
		memset(&rss, 0, sizeof(rss));
		rss.enabled = true;
		rss.entries = arg;
		(void)hvk_netvsc_set_rss(&r->s, &rss, r->now);
		break;
	case 4:
		(void)hvk_netvsc_keepalive(&r->s, r->now);
		break;
	case 5:
		(void)hvk_netvsc_reset(&r->s, r->now);
		break;
	case 6:
		(void)hvk_netvsc_data_path(&r->s, arg & 16);
		break;
	case 7:
		(void)hvk_netvsc_halt(&r->s, r->now);
		break;
	case 8:
		(void)hvk_netvsc_start(&r->s, r->now);
		break;
	default:
		memset(bytes, arg, sizeof(bytes));
		(void)hvk_netvsc_query(&r->s, HVK_OID_STATISTICS, bytes,
		    arg % sizeof(bytes), r->now);
		break;
	}
}

static void
believed(const struct hvk_netvsc *s)
{

	check(s->phase < HVK_NETVSC_NPHASES);
	check(s->phase == HVK_NETVSC_IDLE || s->phase == HVK_NETVSC_READY ||
	    s->phase == HVK_NETVSC_BUFFERS || s->phase == HVK_NETVSC_HALTED ||
	    s->phase == HVK_NETVSC_FAILED || s->deadline != UINT64_MAX);
	check(!s->mine || s->deadline != UINT64_MAX);
	check(s->subchannels <= s->config.subchannels);
	check(s->rss.entries <= HVK_RSS_TABLE);
	if (s->phase != HVK_NETVSC_READY)
		return;
	check((uint64_t)s->recv.size * s->recv.count <= BUFFER);
	check(s->recv.end <= BUFFER && s->recv.count != 0);
	check((uint64_t)s->send_size * s->send_count <= 4096);
	check(s->max_packets >= 1 && s->align >= 4 && s->align <= 4096);
	check((s->align & (s->align - 1)) == 0);
	check(s->mtu >= 68 && s->mtu <= s->config.mtu);
	check((s->mac[0] & 1) == 0);
	check((s->offloads & ~s->offload.can) == 0);
	check(hvk_netvsc_pick(s, 12345, 3) < 3);
}

static void
act(struct run *r, uint8_t action, uint8_t arg)
{

	switch (action % 8) {
	case 0:
		pull(r);
		break;
	case 1:
		packet(r, arg);
		break;
	case 2:
		rndis(r, arg);
		break;
	case 3:
		receive(r, arg);
		break;
	case 4:
	case 5:
		transmit(r, arg);
		break;
	case 6:
		r->now += (uint64_t)arg * arg;
		event(r, hvk_netvsc_tick(&r->s, r->now));
		(void)hvk_netvsc_tx_stalled(&r->tx, r->now, 1000);
		break;
	default:
		ask(r, arg);
		break;
	}
	believed(&r->s);
	check(r->tx.busy == r->given);
}

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hvk_netvsc_config config = { .subchannels = 4,
	    .offloads = HVK_OFF_ALL, .step_ms = 1000 };
	struct hvk_netvsc_tx_config tc = { .section_size = 1024, .count = 4,
	    .align = 8, .max_packets = 8, .max_transfer = 0xefffffff };
	static struct run r;
	struct hvk_netvsc_sent sent;
	uint8_t record[2];
	uint32_t ends = 0;

	memset(&r, 0, sizeof(r));
	r.in = data;
	r.left = size;
	r.recv = malloc(BUFFER);
	check(r.recv != NULL);
	memset(r.recv, 0, BUFFER);
	take(&r, r.recv, size / 2 < BUFFER ? size / 2 : BUFFER);
	hvk_netvsc_init(&r.s, &config);
	check(hvk_netvsc_start(&r.s, 0) == HVK_OK);
	tc.buffer = r.send;
	check(hvk_netvsc_tx_init(&r.tx, r.slots, SLOTS, &tc) == HVK_OK);
	check(hvk_netvsc_rx_init(&r.rx, r.recv, BUFFER, r.frags, 16, 2000) ==
	    HVK_OK);
	while (r.left != 0) {
		take(&r, record, sizeof(record));
		act(&r, record[0], record[1]);
	}
	while (hvk_netvsc_tx_end(&r.tx, &sent)) {
		check(++ends <= SLOTS);
		if (sent.cookie != NULL)
			check(r.direct-- != 0);
	}
	check(r.tx.busy == 0 && r.direct == 0 && r.tx.sections_free == 4);
	free(r.recv);
	return (0);
}
