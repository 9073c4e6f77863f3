/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * A hostile storage host: the input chooses what the guest does and what the
 * host answers. Each request must end exactly once, never with more bytes than
 * it asked for, and a held slot must never come back.
 *
 * Input: records of {u8 action, u8 argument}, packets follow their record as
 * {u64 id or choice, payload}.
 */

#include <stdlib.h>
#include <string.h>

#include <hvk/guest/storvsc.h>

#define	SLOTS	16

struct request {
	bool		live;
	uint64_t	id;
	uint32_t	length;
};

struct run {
	struct hvk_storvsc	ctl;
	struct hvk_storvsc_queue queue;
	struct hvk_storvsc_slot	slots[SLOTS];
	struct request		req[256];
	uint32_t		nreq;
	uint64_t		control_id;
	uint64_t		now;
	const uint8_t		*in;
	size_t			left;
};

static void
take(struct run *r, void *out, size_t n)
{
	size_t k;

	k = n < r->left ? n : r->left;
	memset(out, 0, n);
	memcpy(out, r->in, k);
	r->in += k;
	r->left -= k;
}

static void
check(int ok)
{
	if (!ok)
		abort();
}

static void
ended(const struct hvk_storvsc_done *done)
{
	struct request *q;

	q = done->cookie;
	check(q->live);
	check(done->length == q->length);
	check(done->transferred <= q->length);
	check(done->sense_len <= HVK_STORVSC_SENSE);
	check(done->result < HVK_STORVSC_NRESULTS);
	q->live = false;
}

static void
submit(struct run *r, uint8_t arg)
{
	struct hvk_vstor_packet p;
	struct hvk_storvsc_io io;
	struct request *q;

	if (r->nreq == 256)
		return;
	q = &r->req[r->nreq];
	take(r, &io, sizeof(io));
	io.cookie = q;
	io.tagged = arg & 1;
	io.plain = arg & 2;
	if ((arg & 4) != 0) {
		io.cdb_len = 10;
		io.direction %= 3;
		io.length = io.direction == HVK_STORVSC_NO_DATA ? 0 :
		    1 + io.length % 8192;
	}
	if (hvk_storvsc_submit(&r->queue, &io, r->now, &p, &q->id) != HVK_OK)
		return;
	q->live = true;
	q->length = io.length;
	r->nreq++;
	if ((arg & 8) != 0) {
		check(hvk_storvsc_cancel(&r->queue, q->id) == HVK_OK);
		q->live = false;
	}
}

static void
input(struct run *r, uint8_t arg)
{
	struct hvk_storvsc_done done;
	enum hvk_storvsc_event event;
	struct hvk_packet pkt;
	uint64_t payload[12];
	uint64_t id;

	memset(&pkt, 0, sizeof(pkt));
	take(r, &id, sizeof(id));
	take(r, payload, sizeof(payload));
	pkt.type = (arg & 1) != 0 ? HVK_PKT_INBAND :
	    (arg & 2) != 0 ? arg : HVK_PKT_COMPLETION;
	pkt.payload = (const uint8_t *)payload;
	pkt.len = (arg & 4) != 0 ? id % 97 & ~7u : 64;
	pkt.txid = (arg & 8) != 0 ? id : (arg & 16) != 0 ? r->control_id :
	    r->nreq != 0 ? r->req[id % r->nreq].id : 0;
	if ((arg & 32) != 0)
		((struct hvk_vstor_packet *)payload)->operation =
		    HVK_VSTOR_COMPLETE_IO;
	if ((arg & 64) != 0)
		((struct hvk_vstor_packet *)payload)->status = 0;
	if (hvk_storvsc_kind(&pkt) == HVK_STORVSC_KIND_IO) {
		if (hvk_storvsc_complete(&r->queue, &pkt, &done) == HVK_OK)
			ended(&done);
	} else
		(void)hvk_storvsc_input(&r->ctl, &pkt, r->now, &event);
}

static void
act(struct run *r, uint8_t action, uint8_t arg)
{
	struct hvk_storvsc_message m;
	struct hvk_storvsc_done done;

	switch (action % 8) {
	case 0:
		submit(r, arg);
		break;
	case 1:
	case 2:
		input(r, arg);
		break;
	case 3:
		r->now += (uint64_t)arg * arg;
		(void)hvk_storvsc_tick(&r->ctl, r->now);
		(void)hvk_storvsc_expire(&r->queue, r->now);
		break;
	case 4:
		if (hvk_storvsc_pull(&r->ctl, &m))
			r->control_id = m.txid;
		break;
	case 5:
		(void)hvk_storvsc_reset(&r->ctl, r->now);
		break;
	case 6:
		if (hvk_storvsc_end(&r->queue, arg % HVK_STORVSC_NRESULTS,
		    arg >= 224, &done))
			ended(&done);
		break;
	default:
		if (r->nreq != 0)
			(void)hvk_storvsc_abort(&r->queue,
			    &r->req[arg % r->nreq]);
		break;
	}
}

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hvk_storvsc_config config = { .subchannels = 4 };
	struct hvk_storvsc_done done;
	static struct run r;
	uint8_t record[2], sense[96];
	uint32_t i, live;

	memset(&r, 0, sizeof(r));
	r.in = data;
	r.left = size;
	take(&r, sense, sizeof(sense));
	(void)hvk_storvsc_fix_inquiry(0x600, sense, sense[0] % sizeof(sense));
	r.in = data;
	r.left = size;
	hvk_storvsc_init(&r.ctl, &config);
	(void)hvk_storvsc_start(&r.ctl, 0);
	(void)hvk_storvsc_queue_init(&r.queue, r.slots, SLOTS, 1 << 20);
	while (r.left != 0) {
		take(&r, record, sizeof(record));
		act(&r, record[0], record[1]);
		for (live = i = 0; i < r.nreq; i++)
			live += r.req[i].live;
		check(live == r.queue.busy);
		check(r.queue.busy + r.queue.held <= SLOTS);
		check(r.ctl.phase < HVK_STORVSC_NPHASES);
		check(r.ctl.phase == HVK_STORVSC_READY ||
		    r.ctl.phase == HVK_STORVSC_FAILED ||
		    r.ctl.deadline != UINT64_MAX);
	}
	while (hvk_storvsc_end(&r.queue, HVK_STORVSC_GONE, false, &done))
		ended(&done);
	check(r.queue.busy == 0);
	return (0);
}
