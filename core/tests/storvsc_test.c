/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * The guest's storage machines against every answer a host can give: each
 * phase x each kind of answer, each way in which the answer to a request can
 * be wrong, deadlines and resets.
 */

#include <string.h>

#include <atf-c.h>

#include <hvk/guest/storvsc.h>

#define	SLOTS	8

enum answer {
	GOOD, REFUSED, MISMATCH, SHORT, WRONG_OP, WRONG_ID, SILENCE, NANSWERS
};

static struct hvk_packet
packet(uint16_t type, uint64_t txid, const struct hvk_vstor_packet *p,
    uint32_t len)
{
	struct hvk_packet pkt;

	memset(&pkt, 0, sizeof(pkt));
	pkt.type = type;
	pkt.txid = txid;
	pkt.payload = (const uint8_t *)p;
	pkt.len = len;
	return (pkt);
}

static void
good_answer(const struct hvk_storvsc_message *m, struct hvk_vstor_packet *p)
{
	memset(p, 0, sizeof(*p));
	p->operation = HVK_VSTOR_COMPLETE_IO;
	if (m->packet.operation == HVK_VSTOR_QUERY_PROPERTIES) {
		p->properties.max_transfer = 512 * 1024;
		p->properties.max_subchannels = 3;
		p->properties.flags = HVK_VSTOR_MULTICHANNEL;
	}
}

/* Answer the machine's message in one way; the event that follows. */
static enum hvk_storvsc_event
answer(struct hvk_storvsc *s, const struct hvk_storvsc_message *m,
    enum answer how, uint64_t now, int *result)
{
	enum hvk_storvsc_event event;
	struct hvk_vstor_packet p;
	struct hvk_packet pkt;

	good_answer(m, &p);
	pkt = packet(HVK_PKT_COMPLETION, m->txid, &p, sizeof(p));
	if (how == REFUSED)
		p.status = HVK_VSTOR_FAIL;
	else if (how == MISMATCH)
		p.status = HVK_VSTOR_BAD_VERSION;
	else if (how == SHORT)
		pkt.len = 48;
	else if (how == WRONG_OP)
		p.operation = HVK_VSTOR_EXECUTE_SRB;
	else if (how == WRONG_ID)
		pkt.txid += 1 << 24;
	event = HVK_STORVSC_NOTHING;
	*result = HVK_OK;
	if (how == SILENCE)
		return (hvk_storvsc_tick(s, now + 10000));
	*result = hvk_storvsc_input(s, &pkt, now, &event);
	return (event);
}

/* Bring a machine to the phase where its message is the n-th. */
static void
reach(struct hvk_storvsc *s, enum hvk_storvsc_phase phase,
    struct hvk_storvsc_message *m)
{
	struct hvk_storvsc_config config = { .subchannels = 2 };
	int i, result;

	hvk_storvsc_init(s, &config);
	ATF_REQUIRE_EQ(HVK_OK, hvk_storvsc_start(s, 0));
	for (i = 0; i < 10; i++) {
		if (s->phase == HVK_STORVSC_READY &&
		    phase == HVK_STORVSC_RESET)
			ATF_REQUIRE_EQ(HVK_OK, hvk_storvsc_reset(s, 0));
		if (s->phase == phase && phase == HVK_STORVSC_READY)
			return;
		ATF_REQUIRE(hvk_storvsc_pull(s, m));
		if (s->phase == phase)
			return;
		(void)answer(s, m, GOOD, 0, &result);
		ATF_REQUIRE_EQ(HVK_OK, result);
	}
	atf_tc_fail("phase %d was never reached", phase);
}

ATF_TC(start);
ATF_TC_HEAD(start, tc)
{
	atf_tc_set_md_var(tc, "descr", "start-up reaches READY, with the "
	    "host's limits");
	atf_tc_set_md_var(tc, "X-feature", "stor.basic");
}
ATF_TC_BODY(start, tc)
{
	struct hvk_storvsc_message m;
	struct hvk_storvsc s;

	reach(&s, HVK_STORVSC_READY, &m);
	ATF_REQUIRE_EQ(HVK_VSTOR_VERSION_WIN10, s.version);
	ATF_REQUIRE_EQ(512 * 1024, s.max_transfer);
	ATF_REQUIRE_EQ(3, s.max_subchannels);
	ATF_REQUIRE_EQ(2, s.subchannels);
	ATF_REQUIRE_EQ(HVK_STATE, hvk_storvsc_start(&s, 0));
	ATF_REQUIRE_EQ(UINT64_MAX, hvk_storvsc_deadline(&s));
}

ATF_TC(matrix);
ATF_TC_HEAD(matrix, tc)
{
	atf_tc_set_md_var(tc, "descr", "every start-up step x every answer ends "
	    "in the next step, in READY or in FAILED");
}
ATF_TC_BODY(matrix, tc)
{
	static const enum hvk_storvsc_phase steps[] = { HVK_STORVSC_BEGIN,
	    HVK_STORVSC_VERSION, HVK_STORVSC_PROPERTIES, HVK_STORVSC_END,
	    HVK_STORVSC_SUBCHANNELS };
	struct hvk_storvsc_message m;
	enum hvk_storvsc_event event;
	struct hvk_storvsc s;
	enum answer how;
	uint64_t rejected;
	uint32_t i;
	int result;

	for (i = 0; i < HVK_COUNT(steps); i++)
		for (how = GOOD; how < NANSWERS; how++) {
			reach(&s, steps[i], &m);
			rejected = s.rejected;
			event = answer(&s, &m, how, 0, &result);
			if (how == SHORT || how == WRONG_OP ||
			    how == WRONG_ID) {
				ATF_REQUIRE_EQ(HVK_REJECT, result);
				ATF_REQUIRE_EQ(steps[i], s.phase);
				ATF_REQUIRE_EQ(rejected + 1, s.rejected);
				/* The true answer still counts, once. */
				(void)answer(&s, &m, GOOD, 0, &result);
				ATF_REQUIRE_EQ(HVK_OK, result);
				(void)answer(&s, &m, GOOD, 0, &result);
				ATF_REQUIRE_EQ(HVK_REJECT, result);
			} else if (how == GOOD) {
				ATF_REQUIRE(s.phase == steps[i] + 1);
			} else if (steps[i] == HVK_STORVSC_SUBCHANNELS) {
				ATF_REQUIRE_EQ(HVK_STORVSC_IS_READY, event);
				ATF_REQUIRE_EQ(0, s.subchannels);
			} else if (how == MISMATCH &&
			    steps[i] == HVK_STORVSC_VERSION) {
				ATF_REQUIRE_EQ(HVK_STORVSC_VERSION, s.phase);
			} else {
				ATF_REQUIRE_EQ(HVK_STORVSC_HAS_FAILED, event);
				ATF_REQUIRE_EQ(how == SILENCE ?
				    HVK_STORVSC_NO_ANSWER :
				    HVK_STORVSC_REFUSED, s.reason);
				ATF_REQUIRE(!hvk_storvsc_pull(&s, &m));
			}
		}
}

ATF_TC(versions);
ATF_TC_HEAD(versions, tc)
{
	atf_tc_set_md_var(tc, "descr", "6.2, 6.0 and 5.1 are offered in that "
	    "order; a host that knows none is given up");
	atf_tc_set_md_var(tc, "X-feature", "stor.basic");
}
ATF_TC_BODY(versions, tc)
{
	static const uint16_t expect[] = { 0x602, 0x600, 0x501 };
	struct hvk_storvsc_config config = { .max_version = 0x600 };
	struct hvk_storvsc_message m;
	enum hvk_storvsc_event event;
	struct hvk_storvsc s;
	uint32_t i;
	int result;

	reach(&s, HVK_STORVSC_VERSION, &m);
	for (i = 0; i < 3; i++) {
		ATF_REQUIRE_EQ(expect[i], m.packet.version.version);
		event = answer(&s, &m, MISMATCH, 0, &result);
		if (i < 2)
			ATF_REQUIRE(hvk_storvsc_pull(&s, &m));
	}
	ATF_REQUIRE_EQ(HVK_STORVSC_HAS_FAILED, event);
	ATF_REQUIRE_EQ(HVK_STORVSC_NO_VERSION, s.reason);

	hvk_storvsc_init(&s, &config);
	ATF_REQUIRE_EQ(HVK_OK, hvk_storvsc_start(&s, 0));
	ATF_REQUIRE(hvk_storvsc_pull(&s, &m));
	(void)answer(&s, &m, GOOD, 0, &result);
	ATF_REQUIRE(hvk_storvsc_pull(&s, &m));
	ATF_REQUIRE_EQ(0x600, m.packet.version.version);
}

ATF_TC(tiny_transfer);
ATF_TC_HEAD(tiny_transfer, tc)
{
	atf_tc_set_md_var(tc, "descr", "a host that takes less than a page in "
	    "one request is refused");
}
ATF_TC_BODY(tiny_transfer, tc)
{
	struct hvk_storvsc_message m;
	enum hvk_storvsc_event event;
	struct hvk_vstor_packet p;
	struct hvk_packet pkt;
	struct hvk_storvsc s;

	reach(&s, HVK_STORVSC_PROPERTIES, &m);
	good_answer(&m, &p);
	p.properties.max_transfer = 4095;
	pkt = packet(HVK_PKT_COMPLETION, m.txid, &p, sizeof(p));
	ATF_REQUIRE_EQ(HVK_OK, hvk_storvsc_input(&s, &pkt, 0, &event));
	ATF_REQUIRE_EQ(HVK_STORVSC_HAS_FAILED, event);
	ATF_REQUIRE_EQ(HVK_STORVSC_BAD_ANSWER, s.reason);
}

ATF_TC(events);
ATF_TC_HEAD(events, tc)
{
	atf_tc_set_md_var(tc, "descr", "rescan and removal are told, all else "
	    "that comes unasked is rejected");
	atf_tc_set_md_var(tc, "X-feature", "stor.hotplug");
}
ATF_TC_BODY(events, tc)
{
	struct hvk_storvsc_message m;
	enum hvk_storvsc_event event;
	struct hvk_vstor_packet p;
	struct hvk_packet pkt;
	struct hvk_storvsc s;
	uint32_t op, told;

	reach(&s, HVK_STORVSC_READY, &m);
	told = 0;
	for (op = 0; op < 64; op++) {
		memset(&p, 0, sizeof(p));
		p.operation = op;
		pkt = packet(HVK_PKT_INBAND, 0, &p, sizeof(p));
		if (hvk_storvsc_input(&s, &pkt, 0, &event) != HVK_OK)
			continue;
		told++;
		ATF_REQUIRE_EQ(op == HVK_VSTOR_ENUMERATE_BUS ?
		    HVK_STORVSC_RESCAN : HVK_STORVSC_REMOVED, event);
	}
	ATF_REQUIRE_EQ(2, told);
	ATF_REQUIRE_EQ(62, s.rejected);
	pkt = packet(HVK_PKT_INBAND, 7, &p, sizeof(p));
	ATF_REQUIRE_EQ(HVK_STORVSC_KIND_NONE, hvk_storvsc_kind(&pkt));
	ATF_REQUIRE_EQ(HVK_REJECT, hvk_storvsc_input(&s, &pkt, 0, &event));
}

ATF_TC(reset);
ATF_TC_HEAD(reset, tc)
{
	atf_tc_set_md_var(tc, "descr", "a reset ends, whatever the host does");
	atf_tc_set_md_var(tc, "X-feature", "stor.timeout");
}
ATF_TC_BODY(reset, tc)
{
	struct hvk_storvsc_message m;
	enum hvk_storvsc_event event;
	struct hvk_storvsc s;
	uint64_t now;
	int result, tries;

	/* Answered: settle, then over. */
	reach(&s, HVK_STORVSC_RESET, &m);
	ATF_REQUIRE_EQ(HVK_VSTOR_RESET_BUS, m.packet.operation);
	ATF_REQUIRE_EQ(HVK_OK, hvk_storvsc_reset(&s, 5));
	event = answer(&s, &m, GOOD, 100, &result);
	ATF_REQUIRE_EQ(HVK_STORVSC_NOTHING, event);
	ATF_REQUIRE_EQ(HVK_STORVSC_SETTLE, s.phase);
	ATF_REQUIRE(!hvk_storvsc_ready(&s));
	ATF_REQUIRE_EQ(HVK_STORVSC_NOTHING, hvk_storvsc_tick(&s, 599));
	ATF_REQUIRE_EQ(HVK_STORVSC_RESET_OVER, hvk_storvsc_tick(&s, 600));
	ATF_REQUIRE(hvk_storvsc_ready(&s));
	ATF_REQUIRE_EQ(1, s.resets);

	/* Refused. */
	reach(&s, HVK_STORVSC_RESET, &m);
	ATF_REQUIRE_EQ(HVK_STORVSC_HAS_FAILED,
	    answer(&s, &m, REFUSED, 0, &result));

	/* Silence: three tries. */
	reach(&s, HVK_STORVSC_RESET, &m);
	event = HVK_STORVSC_NOTHING;
	for (now = 0, tries = 1; event == HVK_STORVSC_NOTHING && now < 60000;
	    now += 250) {
		event = hvk_storvsc_tick(&s, now);
		tries += hvk_storvsc_pull(&s, &m);
	}
	ATF_REQUIRE_EQ(3, tries);
	ATF_REQUIRE_EQ(HVK_STORVSC_HAS_FAILED, event);
	ATF_REQUIRE_EQ(HVK_STORVSC_RESET_UNANSWERED, s.reason);
	ATF_REQUIRE(now <= 15500);
	ATF_REQUIRE_EQ(HVK_STATE, hvk_storvsc_reset(&s, now));
	ATF_REQUIRE_EQ(HVK_STORVSC_NOTHING, hvk_storvsc_tick(&s, now + 99999));
}

static struct hvk_storvsc_io
read_io(void *cookie, uint32_t length)
{
	struct hvk_storvsc_io io;

	memset(&io, 0, sizeof(io));
	io.cookie = cookie;
	io.length = length;
	io.timeout_ms = 1500;
	io.lun = 3;
	io.direction = length != 0 ? HVK_STORVSC_READ : HVK_STORVSC_NO_DATA;
	io.cdb_len = 10;
	io.cdb[0] = 0x28;
	io.tagged = true;
	return (io);
}

ATF_TC(encode);
ATF_TC_HEAD(encode, tc)
{
	atf_tc_set_md_var(tc, "descr", "a request's bytes, and the arguments "
	    "that are refused");
}
ATF_TC_BODY(encode, tc)
{
	struct hvk_storvsc_slot slots[SLOTS];
	struct hvk_storvsc_queue q;
	struct hvk_vstor_packet p;
	struct hvk_storvsc_io io;
	uint64_t id;

	ATF_REQUIRE_EQ(HVK_RANGE, hvk_storvsc_queue_init(&q, slots, 0, 4096));
	ATF_REQUIRE_EQ(HVK_RANGE, hvk_storvsc_queue_init(&q, slots,
	    HVK_STORVSC_MAX_QUEUE + 1, 4096));
	ATF_REQUIRE_EQ(HVK_OK, hvk_storvsc_queue_init(&q, slots, SLOTS, 8192));
	io = read_io(&q, 4096);
	ATF_REQUIRE_EQ(HVK_OK, hvk_storvsc_submit(&q, &io, 0, &p, &id));
	ATF_REQUIRE_EQ(HVK_VSTOR_EXECUTE_SRB, p.operation);
	ATF_REQUIRE_EQ(HVK_VSTOR_WANT_COMPLETION, p.flags);
	ATF_REQUIRE_EQ(0x34, p.srb.length);
	ATF_REQUIRE_EQ(3, p.srb.lun);
	ATF_REQUIRE_EQ(20, p.srb.sense_len);
	ATF_REQUIRE_EQ(1, p.srb.direction);
	ATF_REQUIRE_EQ(4096, p.srb.transfer);
	ATF_REQUIRE_EQ(2, p.srb.timeout);
	ATF_REQUIRE_EQ(0x2 | 0x8 | 0x40, p.srb.flags);
	ATF_REQUIRE_EQ(0xff, p.srb.queue_tag);
	ATF_REQUIRE_EQ(0x20, p.srb.queue_action);
	ATF_REQUIRE(id != 0 && id < UINT64_MAX - 3);
	/* No address of ours is on the wire. */
	ATF_REQUIRE(memmem(&p, sizeof(p), &io.cookie, sizeof(void *)) == NULL);

	io.length = 8193;
	ATF_REQUIRE_EQ(HVK_RANGE, hvk_storvsc_submit(&q, &io, 0, &p, &id));
	io = read_io(&q, 4096);
	io.cdb_len = 17;
	ATF_REQUIRE_EQ(HVK_RANGE, hvk_storvsc_submit(&q, &io, 0, &p, &id));
	io.cdb_len = 0;
	ATF_REQUIRE_EQ(HVK_RANGE, hvk_storvsc_submit(&q, &io, 0, &p, &id));
	io = read_io(&q, 4096);
	io.direction = 3;
	ATF_REQUIRE_EQ(HVK_RANGE, hvk_storvsc_submit(&q, &io, 0, &p, &id));
	io.direction = HVK_STORVSC_NO_DATA;
	ATF_REQUIRE_EQ(HVK_RANGE, hvk_storvsc_submit(&q, &io, 0, &p, &id));
	ATF_REQUIRE_EQ(1, q.busy);
}

struct queue_fixture {
	struct hvk_storvsc_slot slots[SLOTS];
	struct hvk_storvsc_queue q;
	struct hvk_vstor_packet p;
	uint64_t id;
	struct hvk_storvsc_done done;
};

static void
submit(struct queue_fixture *f, uint64_t now)
{
	struct hvk_storvsc_io io = read_io(f, 4096);

	ATF_REQUIRE_EQ(HVK_OK, hvk_storvsc_submit(&f->q, &io, now, &f->p,
	    &f->id));
	memset(&f->p, 0, sizeof(f->p));
	f->p.operation = HVK_VSTOR_COMPLETE_IO;
	f->p.srb.srb_status = HVK_SRB_SUCCESS;
	f->p.srb.transfer = 4096;
}

static int
complete(struct queue_fixture *f, uint32_t len)
{
	struct hvk_packet pkt;

	pkt = packet(HVK_PKT_COMPLETION, f->id, &f->p, len);
	return (hvk_storvsc_complete(&f->q, &pkt, &f->done));
}

static void
fixture(struct queue_fixture *f)
{
	memset(f, 0, sizeof(*f));
	ATF_REQUIRE_EQ(HVK_OK, hvk_storvsc_queue_init(&f->q, f->slots, SLOTS,
	    1 << 20));
}

ATF_TC(hostile);
ATF_TC_HEAD(hostile, tc)
{
	atf_tc_set_md_var(tc, "descr", "answers that come twice, late, to "
	    "nobody, short or too long");
	atf_tc_set_md_var(tc, "X-feature", "stor.timeout");
}
ATF_TC_BODY(hostile, tc)
{
	struct queue_fixture f;
	uint64_t good;
	int bit;

	fixture(&f);
	submit(&f, 0);
	ATF_REQUIRE_EQ(HVK_OK, complete(&f, 64));
	ATF_REQUIRE_EQ(HVK_STORVSC_OK, f.done.result);
	ATF_REQUIRE(f.done.cookie == &f);
	ATF_REQUIRE_EQ(4096, f.done.transferred);
	ATF_REQUIRE_EQ(HVK_REJECT, complete(&f, 64));	/* twice */
	ATF_REQUIRE_EQ(1, f.q.stale);

	/* Every id one bit away from a live one is nobody's. */
	submit(&f, 0);
	good = f.id;
	for (bit = 0; bit < 64; bit++) {
		f.id = good ^ 1ull << bit;
		ATF_REQUIRE_EQ(HVK_REJECT, complete(&f, 64));
	}
	f.id = 0;
	ATF_REQUIRE_EQ(HVK_REJECT, complete(&f, 64));
	f.id = UINT64_MAX;
	ATF_REQUIRE_EQ(HVK_REJECT, complete(&f, 64));
	ATF_REQUIRE_EQ(1, f.q.busy);
	f.id = good;
	ATF_REQUIRE_EQ(HVK_OK, complete(&f, 56));	/* short */
	ATF_REQUIRE_EQ(HVK_STORVSC_MALFORMED, f.done.result);
	ATF_REQUIRE_EQ(0, f.done.transferred);

	submit(&f, 0);
	f.p.srb.transfer = 4097;
	ATF_REQUIRE_EQ(HVK_OK, complete(&f, 64));
	ATF_REQUIRE_EQ(HVK_STORVSC_MALFORMED, f.done.result);
	ATF_REQUIRE_EQ(0, f.done.transferred);

	submit(&f, 0);
	f.p.operation = HVK_VSTOR_ENUMERATE_BUS;
	ATF_REQUIRE_EQ(HVK_OK, complete(&f, 64));
	ATF_REQUIRE_EQ(HVK_STORVSC_MALFORMED, f.done.result);

	submit(&f, 0);
	f.p.srb.srb_status = HVK_SRB_ERROR | HVK_SRB_AUTOSENSE_VALID;
	f.p.srb.scsi_status = 2;
	f.p.srb.sense_len = 255;
	memset(f.p.srb.sense, 0x5a, 20);
	ATF_REQUIRE_EQ(HVK_OK, complete(&f, 64));
	ATF_REQUIRE_EQ(HVK_STORVSC_SCSI_STATUS, f.done.result);
	ATF_REQUIRE_EQ(20, f.done.sense_len);
	ATF_REQUIRE_EQ(4, f.q.malformed);
	ATF_REQUIRE_EQ(0, f.q.busy);
}

ATF_TC(statuses);
ATF_TC_HEAD(statuses, tc)
{
	atf_tc_set_md_var(tc, "descr", "every SRB status x SCSI status has a "
	    "result, and only success is success");
}
ATF_TC_BODY(statuses, tc)
{
	struct queue_fixture f;
	int scsi, srb;

	fixture(&f);
	for (srb = 0; srb < 256; srb++)
		for (scsi = 0; scsi < 256; scsi++) {
			submit(&f, 0);
			f.p.srb.srb_status = srb;
			f.p.srb.scsi_status = scsi;
			ATF_REQUIRE_EQ(HVK_OK, complete(&f, 64));
			ATF_REQUIRE(f.done.result < HVK_STORVSC_NRESULTS);
			ATF_REQUIRE_EQ((srb & 0x3f) == 1 ||
			    (srb & 0x3f) == 0x12 ? scsi == 0 : 0,
			    f.done.result == HVK_STORVSC_OK);
		}
	submit(&f, 0);
	f.p.srb.srb_status = HVK_SRB_INVALID_LUN;
	ATF_REQUIRE_EQ(HVK_OK, complete(&f, 64));
	ATF_REQUIRE_EQ(HVK_STORVSC_NO_LUN, f.done.result);
	submit(&f, 0);
	f.p.status = HVK_VSTOR_BAD_STATE;
	ATF_REQUIRE_EQ(HVK_OK, complete(&f, 64));
	ATF_REQUIRE_EQ(HVK_STORVSC_HOST_ERROR, f.done.result);
}

ATF_TC(deadlines);
ATF_TC_HEAD(deadlines, tc)
{
	atf_tc_set_md_var(tc, "descr", "an overdue request is told once, and "
	    "ends by its answer or by the reset");
	atf_tc_set_md_var(tc, "X-feature", "stor.timeout");
}
ATF_TC_BODY(deadlines, tc)
{
	struct queue_fixture f;
	uint64_t first;

	fixture(&f);
	submit(&f, 1000);
	first = f.id;
	submit(&f, 2000);
	ATF_REQUIRE_EQ(0, hvk_storvsc_expire(&f.q, 2499));
	ATF_REQUIRE_EQ(1, hvk_storvsc_expire(&f.q, 2500));
	ATF_REQUIRE_EQ(0, hvk_storvsc_expire(&f.q, 2501));
	ATF_REQUIRE_EQ(1, f.q.timeouts);
	ATF_REQUIRE_EQ(HVK_OK, complete(&f, 64));	/* in time */
	ATF_REQUIRE(hvk_storvsc_end(&f.q, HVK_STORVSC_BUS_RESET, false,
	    &f.done));
	ATF_REQUIRE_EQ(HVK_STORVSC_TIMED_OUT, f.done.result);
	ATF_REQUIRE(!hvk_storvsc_end(&f.q, HVK_STORVSC_BUS_RESET, false,
	    &f.done));
	f.id = first;
	ATF_REQUIRE_EQ(HVK_REJECT, complete(&f, 64));	/* after the reset */

	submit(&f, 0);
	ATF_REQUIRE_EQ(HVK_OK, hvk_storvsc_abort(&f.q, &f));
	ATF_REQUIRE_EQ(HVK_REJECT, hvk_storvsc_abort(&f.q, &first));
	ATF_REQUIRE_EQ(1, hvk_storvsc_expire(&f.q, 1));
}

ATF_TC(held);
ATF_TC_HEAD(held, tc)
{
	atf_tc_set_md_var(tc, "descr", "a slot whose memory the host may still "
	    "write is never used again");
	atf_tc_set_md_var(tc, "X-feature", "stor.timeout");
}
ATF_TC_BODY(held, tc)
{
	struct hvk_storvsc_io io = read_io(NULL, 4096);
	struct queue_fixture f;
	uint64_t id, lost[3];
	int i;

	fixture(&f);
	for (i = 0; i < 3; i++) {
		submit(&f, 0);
		lost[i] = f.id;
	}
	for (i = 0; i < 3; i++) {
		ATF_REQUIRE(hvk_storvsc_end(&f.q, HVK_STORVSC_GONE, true,
		    &f.done));
		ATF_REQUIRE(f.done.held);
	}
	ATF_REQUIRE_EQ(3, f.q.held);
	for (i = 0; i < SLOTS - 3; i++) {
		ATF_REQUIRE_EQ(HVK_OK, hvk_storvsc_submit(&f.q, &io, 0, &f.p,
		    &id));
		ATF_REQUIRE((id & 0xffff) != (lost[0] & 0xffff) &&
		    (id & 0xffff) != (lost[1] & 0xffff) &&
		    (id & 0xffff) != (lost[2] & 0xffff));
	}
	ATF_REQUIRE_EQ(HVK_NOSPACE, hvk_storvsc_submit(&f.q, &io, 0, &f.p,
	    &id));
	ATF_REQUIRE_EQ(HVK_OK, hvk_storvsc_cancel(&f.q, id));
	ATF_REQUIRE_EQ(HVK_REJECT, hvk_storvsc_cancel(&f.q, lost[1]));
}

ATF_TC(inquiry);
ATF_TC_HEAD(inquiry, tc)
{
	atf_tc_set_md_var(tc, "descr", "INQUIRY data is changed only where a "
	    "host is known to be wrong");
}
ATF_TC_BODY(inquiry, tc)
{
	uint8_t data[36] = { 0, 0, 4, 2 };

	memcpy(data + 8, "Msft    Virtual Disk    1.0 ", 28);
	ATF_REQUIRE(!hvk_storvsc_fix_inquiry(0x602, data, 36));
	ATF_REQUIRE(!hvk_storvsc_fix_inquiry(0x600, data, 15));
	ATF_REQUIRE(!hvk_storvsc_fix_inquiry(0x600, data, 0));
	ATF_REQUIRE(hvk_storvsc_fix_inquiry(0x600, data, 36));
	ATF_REQUIRE_EQ(5, data[2]);
	data[2] = 4;
	data[8] = 'Q';
	ATF_REQUIRE(!hvk_storvsc_fix_inquiry(0x501, data, 36));
	data[0] = 5;
	data[2] = 0;
	ATF_REQUIRE(hvk_storvsc_fix_inquiry(0x602, data, 36));
	ATF_REQUIRE_EQ(5, data[2]);
}

ATF_TC(ide);
ATF_TC_HEAD(ide, tc)
{
	atf_tc_set_md_var(tc, "descr", "an IDE disk's address: from the user "
	    "data, else from the instance");
	atf_tc_set_md_var(tc, "X-feature", "stor.basic");
}
ATF_TC_BODY(ide, tc)
{
	struct hvk_vstor_ide_user user;
	struct hvk_guid instance;
	uint8_t path, target;

	memset(&user, 0, sizeof(user));
	memset(&instance, 0, sizeof(instance));
	instance.b[4] = 1;
	hvk_storvsc_ide_address((uint8_t *)&user, &instance, &path, &target);
	ATF_REQUIRE_EQ(0, path);
	ATF_REQUIRE_EQ(1, target);
	user.flags = HVK_VSTOR_USER_IDE;
	user.path = 1;
	hvk_storvsc_ide_address((uint8_t *)&user, &instance, &path, &target);
	ATF_REQUIRE_EQ(1, path);
	ATF_REQUIRE_EQ(0, target);
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, start);
	ATF_TP_ADD_TC(tp, matrix);
	ATF_TP_ADD_TC(tp, versions);
	ATF_TP_ADD_TC(tp, tiny_transfer);
	ATF_TP_ADD_TC(tp, events);
	ATF_TP_ADD_TC(tp, reset);
	ATF_TP_ADD_TC(tp, encode);
	ATF_TP_ADD_TC(tp, hostile);
	ATF_TP_ADD_TC(tp, statuses);
	ATF_TP_ADD_TC(tp, deadlines);
	ATF_TP_ADD_TC(tp, held);
	ATF_TP_ADD_TC(tp, inquiry);
	ATF_TP_ADD_TC(tp, ide);
	return (atf_no_error());
}
