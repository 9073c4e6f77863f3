/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * A hostile guest on a network adapter: NVSP messages, RNDIS control messages
 * and acknowledgements in any order.  Only the states of the table are reached,
 * replies and answers stay within bounds, a slot is never given out twice.
 *
 * Input: records of {u8 action, u8 argument}; packets follow their record.
 */
#include <stdlib.h>
#include <string.h>

#include <hvk/host/netvsp.h>

#define	SLOTS	64
#define	PACKETS	16
#define	IDS	64

struct run {
	struct hvk_netvsp	v;
	struct hvk_netvsp_queue	q;
	struct hvk_netvsp_slot	slots[SLOTS];
	struct hvk_netvsp_sent	packets[PACKETS];
	uint32_t		with[PACKETS];	/* slots of a packet */
	bool			queue;
	uint64_t		ids[IDS];
	uint32_t		nids;
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
queue(struct run *r)
{
	uint32_t n = r->v.slots < SLOTS ? r->v.slots : SLOTS;

	r->queue = n != 0;
	if (n != 0)
		check(hvk_netvsp_queue_init(&r->q, &r->v, 0, r->slots, n,
		    r->packets, PACKETS) == HVK_OK);
	r->nids = 0;
}

static void
message(struct run *r, uint8_t arg)
{
	static const uint8_t types[16] = { 1, 100, 101, 103, 104, 106, 107, 108,
	    125, 128, 129, 131, 133, 134, 135, 2 };
	struct hvk_netvsp_request q;
	struct hvk_netvsp_send s;
	struct hvk_packet pkt;
	uint64_t payload[5];
	uint32_t type = types[arg & 15], status;

	memset(&pkt, 0, sizeof(pkt));
	take(r, payload, sizeof(payload));
	if ((arg & 16) == 0)
		memcpy(payload, &type, sizeof(type));
	pkt.type = (arg & 32) != 0 ? HVK_PKT_GPA_DIRECT : HVK_PKT_INBAND;
	pkt.want_completion = (arg & 64) == 0;
	pkt.payload = (const uint8_t *)payload;
	pkt.len = (arg & 128) != 0 ? (uint32_t)(payload[4] % 6 * 8) : 40;
	switch (hvk_netvsp_kind(&pkt)) {
	case HVK_NETVSP_KIND_DATA:
	case HVK_NETVSP_KIND_CONTROL:
		if (hvk_netvsp_send(&r->v, true, &pkt, &s, &status) == HVK_OK) {
			check(status == HVK_NVSP_STATUS_OK);
			check(r->v.phase >= HVK_NETVSP_BUFFERED);
			check(!s.in_section || (s.len != 0 &&
			    s.offset + s.len <= r->v.send_len));
		} else
			check(status != HVK_NVSP_STATUS_OK);
		return;
	case HVK_NETVSP_KIND_MESSAGE:
		break;
	default:
		return;
	}
	hvk_netvsp_input(&r->v, true, &pkt, &q);
	switch (q.action) {
	case HVK_NETVSP_MAP_RECV:
		hvk_netvsp_recv_buffer(&r->v, &q, q.gpadl % 1000 * 4096);
		queue(r);
		break;
	case HVK_NETVSP_MAP_SEND:
		hvk_netvsp_send_buffer(&r->v, &q, q.gpadl % 1000 * 4096);
		break;
	case HVK_NETVSP_ADD_CHANNELS:
		check(q.count >= 1 && q.count <= 7);
		hvk_netvsp_add_channels(&r->v, &q, q.count);
		break;
	case HVK_NETVSP_UNMAP_RECV:
		r->queue = false;
		hvk_netvsp_answer(&r->v, &q);
		break;
	case HVK_NETVSP_UNMAP_SEND:
	case HVK_NETVSP_PATH:
		hvk_netvsp_answer(&r->v, &q);
		break;
	default:
		break;
	}
	check(q.action == HVK_NETVSP_REPLY || q.action == HVK_NETVSP_NOTHING);
	check(q.reply_len <= sizeof(q.reply));
	check(pkt.want_completion || q.action == HVK_NETVSP_NOTHING);
}

static void
control(struct run *r, uint8_t arg)
{
	struct hvk_net_seg seg[2];
	uint32_t len = arg * 4u;

	seg[0].len = len / 3;
	seg[1].len = len - seg[0].len;
	seg[0].base = malloc(seg[0].len + 1);
	seg[1].base = malloc(seg[1].len + 1);
	check(seg[0].base != NULL && seg[1].base != NULL);
	take(r, seg[0].base, seg[0].len);
	take(r, seg[1].base, seg[1].len);
	if (seg[0].len >= 8 && seg[0].base[7] == 0xff)
		memcpy(seg[0].base + 4, &len, 4);
	(void)hvk_netvsp_control(&r->v, seg, 2);
	free(seg[0].base);
	free(seg[1].base);
}

static void
out(struct run *r)
{
	const struct hvk_netvsp_out *o;

	o = hvk_netvsp_peek(&r->v);
	if (o == NULL)
		return;
	check(o->len >= 12 && o->len <= HVK_NETVSP_OUT_LEN);
	if (o->rndis)
		check(memcmp((const uint8_t *)o->bytes + 4, &o->len, 4) == 0);
	hvk_netvsp_pop(&r->v);
}

static void
fill(struct run *r, uint8_t arg)
{
	struct hvk_nvsp_message n;
	uint32_t i, nranges, offset;
	uint64_t txid;

	if (!r->queue)
		return;
	for (i = 0; i < (arg & 15u); i++) {
		if (hvk_netvsp_queue_slot(&r->q, &offset) != HVK_OK)
			break;
		check(offset + r->q.slot_size <= r->v.recv_len);
		if (hvk_netvsp_queue_put(&r->q, arg * 16u,
		    (arg & 16) != 0) != HVK_OK)
			break;
	}
	if (hvk_netvsp_queue_close(&r->q, &txid, &nranges, &n) != HVK_OK)
		return;
	check(nranges >= 1 && nranges <= 16);
	r->with[txid & 0xffffff] = nranges;
	if ((arg & 32) != 0)
		check(hvk_netvsp_queue_undo(&r->q, txid) == HVK_OK);
	r->ids[r->nids++ % IDS] = txid;
}

static void
done(struct run *r, uint8_t arg)
{
	struct hvk_packet pkt;
	uint64_t payload[1], id;
	uint32_t before, n;

	if (!r->queue)
		return;
	memset(&pkt, 0, sizeof(pkt));
	take(r, payload, sizeof(payload));
	take(r, &id, (arg & 1) != 0 ? 8 : 1);
	n = r->nids < IDS ? r->nids : IDS;
	pkt.type = HVK_PKT_COMPLETION;
	pkt.txid = (arg & 1) != 0 || n == 0 ? id : r->ids[id % n];
	pkt.payload = (const uint8_t *)payload;
	pkt.len = (arg & 2) != 0 ? 0 : 8;
	before = r->q.slots_free;
	if (hvk_netvsp_queue_done(&r->q, &pkt) == HVK_OK)
		check(r->q.slots_free == before +
		    r->with[pkt.txid & 0xffffff]);
	else
		check(r->q.slots_free == before);
}

static void
tell(struct run *r, uint8_t arg)
{

	switch (arg % 5) {
	case 0:
		(void)hvk_netvsp_link(&r->v, arg & 16, arg * 1000ull);
		break;
	case 1:
		(void)hvk_netvsp_network_change(&r->v);
		break;
	case 2:
		(void)hvk_netvsp_vf(&r->v, arg & 16, arg);
		break;
	case 3:
		(void)hvk_netvsp_send_table(&r->v, arg / 5);
		break;
	default:
		if (arg > 250) {
			hvk_netvsp_reset(&r->v);
			r->queue = false;
		}
		break;
	}
}

static void
believed(const struct run *r)
{
	const struct hvk_netvsp *v = &r->v;
	uint32_t i;

	check(v->phase < HVK_NETVSP_NPHASES);
	check((uint64_t)v->slots * v->slot_size <= v->recv_len);
	check((uint64_t)v->sections * v->config.section_size <= v->send_len);
	check(v->mtu >= HVK_NETVSP_MTU_MIN && v->mtu <= HVK_NETVSP_MTU_MAX);
	check(v->subchannels <= 7);
	check((v->offloads & ~v->config.offload.can) == 0);
	check(v->nmulticast <= HVK_NETVSP_MULTICAST);
	check((v->mac[0] & 1) == 0);
	check(v->out_tail - v->out_head <= HVK_NETVSP_OUT);
	check(v->rss.entries <= HVK_RSS_TABLE);
	for (i = 0; i < v->rss.entries; i++)
		check(v->rss.table[i] <= v->subchannels);
	if (r->queue)
		check(r->q.slots_free <= r->q.nslots);
}

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hvk_netvsp_config c = { .mac = { 2 }, .max_subchannels = 7,
	    .vf = true, .link = true,
	    .offload = { HVK_OFF_ALL, 60000, 2, 60000, 2 },
	    .hash = HVK_RSS_TOEPLITZ | HVK_RSS_IPV4 | HVK_RSS_TCP_IPV4 };
	static struct run r;
	uint8_t record[2];

	memset(&r, 0, sizeof(r));
	r.in = data;
	r.left = size;
	check(hvk_netvsp_init(&r.v, &c) == HVK_OK);
	while (r.left != 0) {
		take(&r, record, sizeof(record));
		switch (record[0] % 6) {
		case 0:
			message(&r, record[1]);
			break;
		case 1:
			control(&r, record[1]);
			break;
		case 2:
			out(&r);
			break;
		case 3:
			fill(&r, record[1]);
			break;
		case 4:
			done(&r, record[1]);
			break;
		default:
			tell(&r, record[1]);
			break;
		}
		believed(&r);
	}
	return (0);
}
