/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * Both ends of the storage protocol in one process, over real rings: the
 * guest's machines, the provider and its SCSI disk, a medium in memory.
 */

#include <stdlib.h>
#include <string.h>

#include <atf-c.h>

#include <hvk/guest/storvsc.h>
#include <hvk/host/scsi.h>
#include <hvk/host/storvsp.h>
#include <hvk/packet.h>
#include <hvk/ring.h>

#define	RING		(64 * 1024)
#define	MEMORY		(4 * 1024 * 1024)	/* the guest's */
#define	MEDIUM		(8 * 1024 * 1024)
#define	SLOTS		32
#define	MAX_TRANSFER	(1024 * 1024)

struct pair {
	uint8_t			*rings;		/* 2 x (header + data) */
	struct hvk_ring_tx	 gtx, htx;
	struct hvk_ring_rx	 grx, hrx;
	struct hvk_storvsc	 ctl;
	struct hvk_storvsc_queue queue;
	struct hvk_storvsc_slot	 slots[SLOTS];
	struct hvk_storvsp	 vsp;
	struct hvk_scsi_unit	 unit;
	struct hvk_scsi_cmd	 cmd;
	uint8_t			*memory, *medium;
	uint64_t		 unmapped;
	enum hvk_storvsc_event	 event;
	struct hvk_storvsc_done	 done;
	uint32_t		 ndone;
	bool			 mute;		/* the host answers no request */
};

static void
pair_make(struct pair *p, uint16_t host_version)
{
	struct hvk_storvsp_config vsp = { .max_transfer = MAX_TRANSFER,
	    .max_subchannels = 4, .max_version = host_version };
	struct hvk_scsi_config disk = { .kind = HVK_SCSI_DISK, .size = MEDIUM,
	    .sector = 512, .max_transfer = MAX_TRANSFER, .thin = true,
	    .zeroes = true, .id = 42, .serial = "pair" };
	struct hvk_storvsc_config guest = { .subchannels = 2 };
	uint8_t *g, *h;

	memset(p, 0, sizeof(*p));
	p->rings = aligned_alloc(4096, 2 * (4096 + RING));
	p->memory = aligned_alloc(4096, MEMORY);
	p->medium = calloc(1, MEDIUM);
	ATF_REQUIRE(p->rings != NULL && p->memory != NULL && p->medium != NULL);
	memset(p->rings, 0, 2 * (4096 + RING));
	memset(p->memory, 0, MEMORY);
	g = p->rings;
	h = p->rings + 4096 + RING;
	ATF_REQUIRE_EQ(HVK_OK, hvk_ring_tx_init(&p->gtx, g, g + 4096, RING,
	    true));
	ATF_REQUIRE_EQ(HVK_OK, hvk_ring_rx_init(&p->grx, h, h + 4096, RING,
	    true));
	ATF_REQUIRE_EQ(HVK_OK, hvk_ring_rx_init(&p->hrx, g, g + 4096, RING,
	    false));
	ATF_REQUIRE_EQ(HVK_OK, hvk_ring_tx_init(&p->htx, h, h + 4096, RING,
	    false));
	ATF_REQUIRE_EQ(HVK_OK, hvk_storvsp_init(&p->vsp, &vsp));
	ATF_REQUIRE_EQ(HVK_OK, hvk_scsi_unit_init(&p->unit, &disk));
	hvk_storvsc_init(&p->ctl, &guest);
	ATF_REQUIRE_EQ(HVK_OK, hvk_storvsc_queue_init(&p->queue, p->slots,
	    SLOTS, MAX_TRANSFER));
}

static void
pair_free(struct pair *p)
{
	free(p->rings);
	free(p->memory);
	free(p->medium);
}

/* Copy between a request's pages and a flat buffer, from `at' on. */
static void
pages(struct pair *p, const struct hvk_packet *pkt, uint8_t *flat, uint32_t len,
    bool to_guest)
{
	struct hvk_gpa_view view;
	uint32_t chunk, cursor, i, off;
	uint8_t *page;

	cursor = 0;
	while (len != 0 && hvk_packet_gpa_next(pkt, &cursor, &view) == HVK_OK) {
		off = view.offset;
		for (i = 0; i < view.npfn && len != 0; i++, off = 0) {
			chunk = 4096 - off < len ? 4096 - off : len;
			ATF_REQUIRE(hvk_gpa_view_pfn(&view, i) < MEMORY / 4096);
			page = p->memory + hvk_gpa_view_pfn(&view, i) * 4096 +
			    off;
			if (to_guest)
				memcpy(page, flat, chunk);
			else
				memcpy(flat, page, chunk);
			flat += chunk;
			len -= chunk;
		}
	}
	ATF_REQUIRE_EQ(0, len);
}

static void
host_medium(struct pair *p, const struct hvk_packet *pkt)
{
	struct hvk_scsi_cmd *cmd = &p->cmd;
	uint8_t *at = p->medium + cmd->offset;

	ATF_REQUIRE(cmd->op == HVK_SCSI_OP_FLUSH ||
	    cmd->offset + cmd->length <= MEDIUM);
	switch (cmd->op) {
	case HVK_SCSI_OP_READ:
		pages(p, pkt, at, cmd->length, true);
		break;
	case HVK_SCSI_OP_WRITE:
		pages(p, pkt, at, cmd->length, false);
		break;
	case HVK_SCSI_OP_UNMAP:
	case HVK_SCSI_OP_ZERO:
		memset(at, 0, cmd->length);
		p->unmapped += cmd->length;
		break;
	case HVK_SCSI_OP_WRITE_BUF:
		memcpy(at, cmd->buf, cmd->length);
		break;
	default:
		break;
	}
}

static void
host_srb(struct pair *p, const struct hvk_packet *pkt,
    struct hvk_storvsp_request *r)
{
	enum hvk_scsi_next next;

	if (r->lun != 0) {
		if (!hvk_scsi_absent(&p->cmd, r->packet.srb.cdb, r->cdb_len,
		    r->in, 1)) {
			hvk_storvsp_refuse(r, HVK_SRB_INVALID_LUN);
			return;
		}
		pages(p, pkt, p->cmd.buf, p->cmd.data_len, true);
		hvk_storvsp_finish(r, &p->cmd);
		return;
	}
	next = hvk_scsi_start(&p->unit, &p->cmd, r->packet.srb.cdb, r->cdb_len,
	    r->in, r->out, 1);
	while (next != HVK_SCSI_DONE) {
		if (next == HVK_SCSI_DATA) {
			pages(p, pkt, p->cmd.buf, p->cmd.data_len, false);
			next = hvk_scsi_data(&p->unit, &p->cmd);
		} else {
			host_medium(p, pkt);
			next = hvk_scsi_done(&p->unit, &p->cmd,
			    HVK_SCSI_IO_OK);
		}
	}
	if (p->cmd.data_len != 0)
		pages(p, pkt, p->cmd.buf, p->cmd.data_len, true);
	hvk_storvsp_finish(r, &p->cmd);
}

static void
host(struct pair *p)
{
	static uint64_t buf[4096];
	struct hvk_storvsp_request r;
	struct hvk_packet pkt;

	while (hvk_ring_rx_next(&p->hrx, buf, sizeof(buf), &pkt) == HVK_OK) {
		hvk_storvsp_input(&p->vsp, true, &pkt, &r);
		if (r.action == HVK_STORVSP_SRB && p->mute)
			continue;
		if (r.action == HVK_STORVSP_SRB)
			host_srb(p, &pkt, &r);
		else if (r.action == HVK_STORVSP_SUBCHANNELS ||
		    r.action == HVK_STORVSP_RESET)
			hvk_storvsp_answer(&r, HVK_VSTOR_OK);
		if (r.action == HVK_STORVSP_REPLY)
			ATF_REQUIRE_EQ(HVK_OK, hvk_tx_completion(&p->htx,
			    r.txid, &r.packet, r.reply_len));
	}
	(void)hvk_ring_rx_release(&p->hrx);
	(void)hvk_ring_tx_publish(&p->htx);
}

static void
guest(struct pair *p)
{
	struct hvk_storvsc_message m;
	enum hvk_storvsc_event event;
	struct hvk_packet pkt;
	uint64_t buf[64];

	while (hvk_ring_rx_next(&p->grx, buf, sizeof(buf), &pkt) == HVK_OK) {
		if (hvk_storvsc_kind(&pkt) == HVK_STORVSC_KIND_IO) {
			if (hvk_storvsc_complete(&p->queue, &pkt, &p->done) ==
			    HVK_OK)
				p->ndone++;
		} else {
			ATF_REQUIRE_EQ(HVK_OK, hvk_storvsc_input(&p->ctl, &pkt,
			    0, &event));
			if (event != HVK_STORVSC_NOTHING)
				p->event = event;
		}
	}
	(void)hvk_ring_rx_release(&p->grx);
	if (hvk_storvsc_pull(&p->ctl, &m))
		ATF_REQUIRE_EQ(HVK_OK, hvk_tx_inband(&p->gtx, m.txid, true,
		    &m.packet, sizeof(m.packet)));
	(void)hvk_ring_tx_publish(&p->gtx);
}

static void
start(struct pair *p)
{
	int i;

	ATF_REQUIRE_EQ(HVK_OK, hvk_storvsc_start(&p->ctl, 0));
	for (i = 0; i < 20; i++) {
		guest(p);
		host(p);
	}
	ATF_REQUIRE_EQ(HVK_STORVSC_IS_READY, p->event);
}

/* One command on [addr, addr + len) of guest memory. */
static void
command(struct pair *p, const uint8_t *cdb, uint8_t cdb_len, uint8_t lun,
    uint8_t direction, uint32_t addr, uint32_t len)
{
	struct hvk_storvsc_io io;
	struct hvk_gpa_range range;
	struct hvk_vstor_packet v;
	uint64_t id, pfn[MAX_TRANSFER / 4096 + 1];
	uint32_t i, n;

	memset(&io, 0, sizeof(io));
	io.lun = lun;
	io.direction = direction;
	io.length = len;
	io.cdb_len = cdb_len;
	io.timeout_ms = 1000;
	memcpy(io.cdb, cdb, cdb_len);
	ATF_REQUIRE_EQ(HVK_OK, hvk_storvsc_submit(&p->queue, &io, 0, &v, &id));
	n = hvk_gpa_pages(addr & 4095, len);
	for (i = 0; i < n; i++)
		pfn[i] = addr / 4096 + i;
	range.len = len;
	range.offset = addr & 4095;
	range.pfn = pfn;
	range.npfn = n;
	if (len != 0)
		ATF_REQUIRE_EQ(HVK_OK, hvk_tx_gpa_direct(&p->gtx, id, true,
		    &range, 1, &v, sizeof(v)));
	else
		ATF_REQUIRE_EQ(HVK_OK, hvk_tx_inband(&p->gtx, id, true, &v,
		    sizeof(v)));
	(void)hvk_ring_tx_publish(&p->gtx);
	host(p);
	guest(p);
}

static void
ready(struct pair *p)
{
	static const uint8_t tur[6];
	int i;

	/* The first commands may get the power-on attention. */
	for (i = 0; i < 4; i++) {
		command(p, tur, 6, 0, HVK_STORVSC_NO_DATA, 0, 0);
		if (p->done.result == HVK_STORVSC_OK)
			return;
	}
	atf_tc_fail("never ready");
}

static void
rw(struct pair *p, bool write, uint32_t lba, uint32_t addr, uint32_t len)
{
	uint8_t cdb[10] = { write ? 0x2a : 0x28 };

	cdb[2] = lba >> 24;
	cdb[3] = lba >> 16;
	cdb[4] = lba >> 8;
	cdb[5] = lba;
	cdb[7] = len / 512 >> 8;
	cdb[8] = len / 512;
	command(p, cdb, 10, 0, write ? HVK_STORVSC_WRITE : HVK_STORVSC_READ,
	    addr, len);
}

ATF_TC(versions);
ATF_TC_HEAD(versions, tc)
{
	atf_tc_set_md_var(tc, "descr", "both ends agree on each version a host "
	    "may be capped to, and then a disk can be read");
	atf_tc_set_md_var(tc, "X-feature", "stor.basic");
}
ATF_TC_BODY(versions, tc)
{
	static const uint16_t caps[] = { 0x501, 0x600, 0x602, 0 };
	struct pair p;
	uint32_t i;

	for (i = 0; i < HVK_COUNT(caps); i++) {
		pair_make(&p, caps[i]);
		start(&p);
		ATF_REQUIRE_EQ(caps[i] != 0 ? caps[i] : 0x602, p.ctl.version);
		ATF_REQUIRE_EQ(2, p.ctl.subchannels);
		ATF_REQUIRE_EQ(2, p.vsp.subchannels);
		ATF_REQUIRE_EQ(MAX_TRANSFER, p.ctl.max_transfer);
		ready(&p);
		rw(&p, false, 0, 0, 4096);
		ATF_REQUIRE_EQ(HVK_STORVSC_OK, p.done.result);
		pair_free(&p);
	}
	/* A host of 2008 R2 has nothing in common with us. */
	pair_make(&p, HVK_VSTOR_VERSION_WIN2008R2);
	ATF_REQUIRE_EQ(HVK_OK, hvk_storvsc_start(&p.ctl, 0));
	for (i = 0; i < 20; i++) {
		guest(&p);
		host(&p);
	}
	ATF_REQUIRE_EQ(HVK_STORVSC_HAS_FAILED, p.event);
	ATF_REQUIRE_EQ(HVK_STORVSC_NO_VERSION, p.ctl.reason);
	pair_free(&p);
}

ATF_TC(data);
ATF_TC_HEAD(data, tc)
{
	atf_tc_set_md_var(tc, "descr", "bytes written are the bytes read, at "
	    "all sizes up to the maximum and all offsets in a page");
	atf_tc_set_md_var(tc, "X-feature", "stor.sg");
}
ATF_TC_BODY(data, tc)
{
	static const uint32_t sizes[] = { 512, 4096, 4608, 65536, 131072,
	    524288, MAX_TRANSFER };
	struct pair p;
	uint32_t back, i, k, off;

	pair_make(&p, 0);
	start(&p);
	ready(&p);
	back = 2 * 1024 * 1024;
	for (i = 0; i < HVK_COUNT(sizes); i++)
		for (off = 0; off < 4096; off += 1364) {
			for (k = 0; k < sizes[i]; k++)
				p.memory[off + k] = (uint8_t)(k * 7 + i + off);
			memset(p.memory + back, 0xee, sizes[i] + 8192);
			rw(&p, true, 64, off, sizes[i]);
			ATF_REQUIRE_EQ(HVK_STORVSC_OK, p.done.result);
			ATF_REQUIRE_EQ(sizes[i], p.done.transferred);
			rw(&p, false, 64, back + 100, sizes[i]);
			ATF_REQUIRE_EQ(HVK_STORVSC_OK, p.done.result);
			ATF_REQUIRE_EQ(sizes[i], p.done.transferred);
			ATF_REQUIRE_EQ(0, memcmp(p.memory + off,
			    p.memory + back + 100, sizes[i]));
			ATF_REQUIRE_EQ(0xee, p.memory[back + 99]);
			ATF_REQUIRE_EQ(0xee, p.memory[back + 100 + sizes[i]]);
		}
	ATF_REQUIRE_EQ(0, p.queue.busy);
	ATF_REQUIRE_EQ(p.queue.sent, p.queue.done);
	pair_free(&p);
}

ATF_TC(trim);
ATF_TC_HEAD(trim, tc)
{
	atf_tc_set_md_var(tc, "descr", "UNMAP reaches the medium");
	atf_tc_set_md_var(tc, "X-feature", "stor.trim");
}
ATF_TC_BODY(trim, tc)
{
	uint8_t cdb[10] = { 0x42, [8] = 24 };
	struct pair p;

	pair_make(&p, 0);
	start(&p);
	ready(&p);
	memset(p.medium, 0x77, 65536);
	memset(p.memory, 0, 24);
	p.memory[1] = 22;
	p.memory[3] = 16;
	p.memory[15] = 8;		/* from sector 8 */
	p.memory[19] = 16;		/* 16 sectors */
	command(&p, cdb, 10, 0, HVK_STORVSC_WRITE, 0, 24);
	ATF_REQUIRE_EQ(HVK_STORVSC_OK, p.done.result);
	ATF_REQUIRE_EQ(8192, p.unmapped);
	ATF_REQUIRE_EQ(0x77, p.medium[4095]);
	ATF_REQUIRE_EQ(0, p.medium[4096]);
	ATF_REQUIRE_EQ(0, p.medium[12287]);
	ATF_REQUIRE_EQ(0x77, p.medium[12288]);
	pair_free(&p);
}

ATF_TC(errors);
ATF_TC_HEAD(errors, tc)
{
	atf_tc_set_md_var(tc, "descr", "sense data, absent LUNs and a resize "
	    "reach the guest");
	atf_tc_set_md_var(tc, "X-feature", "stor.resize");
}
ATF_TC_BODY(errors, tc)
{
	static const uint8_t tur[6];
	uint8_t inquiry[6] = { 0x12, 0, 0, 0, 36 };
	struct pair p;

	pair_make(&p, 0);
	start(&p);
	ready(&p);
	rw(&p, false, MEDIUM / 512, 0, 4096);
	ATF_REQUIRE_EQ(HVK_STORVSC_SCSI_STATUS, p.done.result);
	ATF_REQUIRE_EQ(2, p.done.scsi_status);
	ATF_REQUIRE(p.done.sense_len >= 14);
	ATF_REQUIRE_EQ(0x5, p.done.sense[2] & 0xf);
	ATF_REQUIRE_EQ(0x21, p.done.sense[12]);

	command(&p, tur, 6, 5, HVK_STORVSC_NO_DATA, 0, 0);
	ATF_REQUIRE_EQ(HVK_STORVSC_NO_LUN, p.done.result);
	command(&p, inquiry, 6, 5, HVK_STORVSC_READ, 0, 36);
	ATF_REQUIRE_EQ(HVK_STORVSC_OK, p.done.result);
	ATF_REQUIRE_EQ(0x7f, p.memory[0]);

	hvk_scsi_resize(&p.unit, MEDIUM / 2);
	command(&p, tur, 6, 0, HVK_STORVSC_NO_DATA, 0, 0);
	ATF_REQUIRE_EQ(HVK_STORVSC_SCSI_STATUS, p.done.result);
	ATF_REQUIRE_EQ(0x6, p.done.sense[2] & 0xf);
	ATF_REQUIRE_EQ(0x2a, p.done.sense[12]);
	ATF_REQUIRE_EQ(0x09, p.done.sense[13]);
	pair_free(&p);
}

ATF_TC(silence);
ATF_TC_HEAD(silence, tc)
{
	atf_tc_set_md_var(tc, "descr", "requests that the host swallowed end by "
	    "a bus reset, and the disk works again");
	atf_tc_set_md_var(tc, "X-feature", "stor.timeout");
}
ATF_TC_BODY(silence, tc)
{
	struct hvk_storvsc_done done;
	struct pair p;
	int i;

	pair_make(&p, 0);
	start(&p);
	ready(&p);
	p.mute = true;
	for (i = 0; i < 5; i++)
		rw(&p, false, i, 0, 4096);
	ATF_REQUIRE_EQ(5, p.queue.busy);
	ATF_REQUIRE_EQ(5, hvk_storvsc_expire(&p.queue, 1000));
	ATF_REQUIRE_EQ(HVK_OK, hvk_storvsc_reset(&p.ctl, 1000));
	guest(&p);
	host(&p);
	guest(&p);
	ATF_REQUIRE_EQ(HVK_STORVSC_SETTLE, p.ctl.phase);
	ATF_REQUIRE_EQ(HVK_STORVSC_RESET_OVER,
	    hvk_storvsc_tick(&p.ctl, 2000));
	for (i = 0; hvk_storvsc_end(&p.queue, HVK_STORVSC_BUS_RESET, false,
	    &done); i++)
		ATF_REQUIRE_EQ(HVK_STORVSC_TIMED_OUT, done.result);
	ATF_REQUIRE_EQ(5, i);
	p.mute = false;
	ready(&p);
	rw(&p, false, 0, 0, 4096);
	ATF_REQUIRE_EQ(HVK_STORVSC_OK, p.done.result);
	pair_free(&p);
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, versions);
	ATF_TP_ADD_TC(tp, data);
	ATF_TP_ADD_TC(tp, trim);
	ATF_TP_ADD_TC(tp, errors);
	ATF_TP_ADD_TC(tp, silence);
	return (atf_no_error());
}
