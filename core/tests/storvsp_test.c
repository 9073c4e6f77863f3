/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * The storage provider: every operation in every state, versions, the checks
 * of a request, and replies.
 */
#include <atf-c.h>
#include <string.h>

#include <hvk/host/storvsp.h>

#define	TRANSFER	(1u << 20)

static struct hvk_storvsp vsp;
static struct hvk_storvsp_request req;

static void
make(uint16_t subchannels, bool ide)
{
	struct hvk_storvsp_config c = { .max_transfer = TRANSFER,
	    .max_subchannels = subchannels, .ide = ide };

	ATF_REQUIRE_EQ(HVK_OK, hvk_storvsp_init(&vsp, &c));
}

static uint32_t
send_packet(bool primary, const struct hvk_vstor_packet *v, uint32_t len)
{
	uint8_t copy[72] __attribute__((aligned(8)));
	struct hvk_packet p = { .type = HVK_PKT_INBAND,
	    .want_completion = true, .txid = 77, .payload = copy, .len = len };

	memset(copy, 0xcc, sizeof(copy));
	memcpy(copy, v, sizeof(*v));
	hvk_storvsp_input(&vsp, primary, &p, &req);
	ATF_CHECK_EQ(77, req.txid);
	return (req.packet.status);
}

static uint32_t
op(uint32_t operation, uint16_t value)
{
	struct hvk_vstor_packet v;

	memset(&v, 0, sizeof(v));
	v.operation = operation;
	v.version.version = value;	/* also the number of sub-channels */
	return (send_packet(true, &v, 64));
}

static void
reach(enum hvk_storvsp_phase phase, uint16_t version)
{

	hvk_storvsp_reset(&vsp);
	if (phase >= HVK_STORVSP_BEGUN)
		ATF_REQUIRE_EQ(0, op(HVK_VSTOR_BEGIN_INIT, 0));
	if (phase >= HVK_STORVSP_VERSIONED)
		ATF_REQUIRE_EQ(0, op(HVK_VSTOR_QUERY_VERSION, version));
	if (phase >= HVK_STORVSP_DESCRIBED)
		ATF_REQUIRE_EQ(0, op(HVK_VSTOR_QUERY_PROPERTIES, 0));
	if (phase >= HVK_STORVSP_READY)
		ATF_REQUIRE_EQ(0, op(HVK_VSTOR_END_INIT, 0));
	ATF_REQUIRE_EQ((uint32_t)phase, vsp.phase);
}

ATF_TC(states);
ATF_TC_HEAD(states, tc)
{
	atf_tc_set_md_var(tc, "descr", "every state x every operation");
	atf_tc_set_md_var(tc, "X-feature", "stor.basic");
}
ATF_TC_BODY(states, tc)
{
	/* By operation 0..15: the one state in which it is taken; 9: any. */
	enum { NO = 100 };
	static const int from[16] = { NO, NO, NO, HVK_STORVSP_READY,
	    HVK_STORVSP_READY, HVK_STORVSP_READY, HVK_STORVSP_READY,
	    HVK_STORVSP_CLOSED, HVK_STORVSP_DESCRIBED, HVK_STORVSP_BEGUN,
	    HVK_STORVSP_VERSIONED, NO, NO, HVK_STORVSP_DESCRIBED, NO, NO };
	uint32_t o, phase, status;
	bool legal;

	make(8, false);
	for (phase = 0; phase < HVK_STORVSP_NPHASES; phase++) {
		for (o = 0; o < 16; o++) {
			reach((enum hvk_storvsp_phase)phase,
			    HVK_VSTOR_VERSION_WIN10);
			status = op(o, o == HVK_VSTOR_QUERY_VERSION ?
			    HVK_VSTOR_VERSION_WIN10 : 2);
			legal = from[o] == (int)phase ||
			    (o == HVK_VSTOR_CREATE_SUBCHANNELS &&
			    phase >= HVK_STORVSP_DESCRIBED);
			if (from[o] == NO) {
				ATF_CHECK_EQ(HVK_VSTOR_BAD_REQUEST, status);
			} else if (!legal) {
				ATF_CHECK_EQ_MSG(HVK_VSTOR_BAD_STATE, status,
				    "op %u phase %u", o, phase);
			}
			if (!legal) {
				ATF_CHECK_EQ(HVK_STORVSP_REPLY, req.action);
				ATF_CHECK_EQ(phase, vsp.phase);
				continue;
			}
			ATF_CHECK_EQ_MSG(o == HVK_VSTOR_CREATE_SUBCHANNELS ?
			    HVK_STORVSP_SUBCHANNELS : o ==
			    HVK_VSTOR_EXECUTE_SRB ? HVK_STORVSP_REPLY :
			    o <= HVK_VSTOR_RESET_BUS && o >=
			    HVK_VSTOR_RESET_LUN ? HVK_STORVSP_RESET :
			    HVK_STORVSP_REPLY, req.action, "op %u", o);
		}
	}
}

ATF_TC(versions);
ATF_TC_HEAD(versions, tc)
{
	atf_tc_set_md_var(tc, "descr", "versions offered, refused, fallen back");
}
ATF_TC_BODY(versions, tc)
{
	static const uint16_t known[] = { 0x0200, 0x0402, 0x0501, 0x0600,
	    0x0602 };
	size_t i;

	make(4, false);
	for (i = 0; i < 5; i++) {
		reach(HVK_STORVSP_BEGUN, 0);
		ATF_CHECK_EQ(HVK_VSTOR_BAD_VERSION,
		    op(HVK_VSTOR_QUERY_VERSION, 0x0700));
		ATF_CHECK_EQ(HVK_VSTOR_BAD_VERSION,
		    op(HVK_VSTOR_QUERY_VERSION, 0));
		ATF_CHECK_EQ(0, op(HVK_VSTOR_QUERY_VERSION, known[i]));
		ATF_CHECK_EQ(known[i], vsp.version);
		ATF_CHECK_EQ(0, op(HVK_VSTOR_QUERY_PROPERTIES, 0));
		ATF_CHECK_EQ(TRANSFER, req.packet.properties.max_transfer);
		ATF_CHECK_EQ(known[i] >= 0x0501 ? 4 : 0,
		    req.packet.properties.max_subchannels);
		ATF_CHECK_EQ(known[i] >= 0x0501 ? 1u : 0u,
		    req.packet.properties.flags);
	}
	vsp.config.max_version = 0x0501;
	reach(HVK_STORVSP_BEGUN, 0);
	ATF_CHECK_EQ(HVK_VSTOR_BAD_VERSION, op(HVK_VSTOR_QUERY_VERSION,
	    0x0602));
	ATF_CHECK_EQ(HVK_VSTOR_BAD_VERSION, op(HVK_VSTOR_QUERY_VERSION,
	    0x0600));
	ATF_CHECK_EQ(0, op(HVK_VSTOR_QUERY_VERSION, 0x0501));
}

ATF_TC(subchannels);
ATF_TC_HEAD(subchannels, tc)
{
	atf_tc_set_md_var(tc, "descr", "sub-channels: limits, once, and what "
	    "they may say");
	atf_tc_set_md_var(tc, "X-feature", "stor.subchannel");
}
ATF_TC_BODY(subchannels, tc)
{
	struct hvk_vstor_packet v;

	make(4, false);
	reach(HVK_STORVSP_READY, 0x0602);
	ATF_CHECK_EQ(HVK_VSTOR_BAD_PARAMETER,
	    op(HVK_VSTOR_CREATE_SUBCHANNELS, 5));
	ATF_CHECK_EQ(0, op(HVK_VSTOR_CREATE_SUBCHANNELS, 0));
	(void)op(HVK_VSTOR_CREATE_SUBCHANNELS, 4);
	ATF_CHECK_EQ(HVK_STORVSP_SUBCHANNELS, req.action);
	ATF_CHECK_EQ(4, req.count);
	hvk_storvsp_answer(&req, HVK_VSTOR_OK);
	ATF_CHECK_EQ(HVK_STORVSP_REPLY, req.action);
	ATF_CHECK_EQ(HVK_VSTOR_COMPLETE_IO, req.packet.operation);
	ATF_CHECK_EQ(HVK_VSTOR_BAD_STATE,
	    op(HVK_VSTOR_CREATE_SUBCHANNELS, 4));
	memset(&v, 0, sizeof(v));
	v.operation = HVK_VSTOR_BEGIN_INIT;
	ATF_CHECK_EQ(HVK_VSTOR_BAD_STATE, send_packet(false, &v, 64));
	make(0, false);
	reach(HVK_STORVSP_READY, 0x0602);
	ATF_CHECK_EQ(HVK_VSTOR_BAD_REQUEST,
	    op(HVK_VSTOR_CREATE_SUBCHANNELS, 1));
}

struct srb_row {
	const char *what;
	uint8_t cdb_len, direction;
	uint32_t transfer, have;
	uint8_t path, target, lun;
	bool refused;
	uint8_t want_lun;
	uint32_t in, out;
};

ATF_TC(requests);
ATF_TC_HEAD(requests, tc)
{
	atf_tc_set_md_var(tc, "descr", "checks of a request before any SCSI");
	atf_tc_set_md_var(tc, "X-feature", "stor.sg");
}
ATF_TC_BODY(requests, tc)
{
	static const struct srb_row rows[] = {
	    { "read", 10, 1, 4096, 4096, 0, 0, 0, false, 0, 4096, 0 },
	    { "write", 10, 0, 512, 4096, 0, 0, 63, false, 63, 0, 512 },
	    { "either", 10, 2, 512, 4096, 0, 0, 5, false, 5, 512, 512 },
	    { "none", 6, 2, 0, 0, 0, 0, 1, false, 1, 0, 0 },
	    { "no CDB", 0, 2, 0, 0, 0, 0, 0, true, 0, 0, 0 },
	    { "long CDB", 17, 2, 0, 0, 0, 0, 0, true, 0, 0, 0 },
	    { "direction", 6, 3, 0, 0, 0, 0, 0, true, 0, 0, 0 },
	    { "past ranges", 10, 1, 4097, 4096, 0, 0, 0, true, 0, 0, 0 },
	    { "no ranges", 10, 1, 1, 0, 0, 0, 0, true, 0, 0, 0 },
	    { "all there is", 10, 1, TRANSFER, TRANSFER, 0, 0, 0, false, 0,
	      TRANSFER, 0 },
	    { "too much", 10, 1, TRANSFER + 1, TRANSFER + 4096, 0, 0, 0, true,
	      0, 0, 0 },
	    { "path", 6, 2, 0, 0, 1, 0, 0, false, 0xff, 0, 0 },
	    { "target", 6, 2, 0, 0, 0, 1, 0, false, 0xff, 0, 0 },
	    { "LUN 64", 6, 2, 0, 0, 0, 0, 64, false, 0xff, 0, 0 },
	};
	static uint8_t ranges[8 + 8 * 300];
	struct hvk_vstor_packet v;
	struct hvk_packet p;
	const struct srb_row *r;
	uint32_t pages;
	size_t i;

	make(4, false);
	reach(HVK_STORVSP_READY, 0x0602);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		r = &rows[i];
		memset(&v, 0, sizeof(v));
		v.operation = HVK_VSTOR_EXECUTE_SRB;
		v.srb.cdb_len = r->cdb_len;
		v.srb.direction = r->direction;
		v.srb.transfer = r->transfer;
		v.srb.path = r->path;
		v.srb.target = r->target;
		v.srb.lun = r->lun;
		memset(&p, 0, sizeof(p));
		p.type = r->have != 0 ? HVK_PKT_GPA_DIRECT : HVK_PKT_INBAND;
		p.want_completion = true;
		p.payload = (const uint8_t *)&v;
		p.len = sizeof(v);
		pages = hvk_gpa_pages(0, r->have);
		memset(ranges, 0, sizeof(ranges));
		memcpy(ranges, &r->have, 4);
		p.nranges = r->have != 0;
		p.ranges = ranges;
		p.ranges_len = r->have != 0 ? 8 + 8 * pages : 0;
		hvk_storvsp_input(&vsp, true, &p, &req);
		ATF_CHECK_EQ_MSG(r->refused ? HVK_STORVSP_REPLY :
		    HVK_STORVSP_SRB, req.action, "%s", r->what);
		if (r->refused) {
			ATF_CHECK_EQ(HVK_SRB_INVALID_REQUEST,
			    req.packet.srb.srb_status);
			continue;
		}
		ATF_CHECK_EQ_MSG(r->want_lun, req.lun, "%s", r->what);
		ATF_CHECK_EQ(r->in, req.in);
		ATF_CHECK_EQ(r->out, req.out);
	}
	/* Page lists that end early. */
	p.type = HVK_PKT_GPA_DIRECT;
	p.nranges = 1;
	p.ranges_len = 8;
	ranges[1] = 0x10;
	v.srb.cdb_len = 6;
	hvk_storvsp_input(&vsp, true, &p, &req);
	ATF_CHECK_EQ(HVK_STORVSP_REPLY, req.action);
	ATF_CHECK_EQ(HVK_VSTOR_BAD_PARAMETER, req.packet.status);
}

ATF_TC(packets);
ATF_TC_HEAD(packets, tc)
{
	atf_tc_set_md_var(tc, "descr", "short, long and unasked packets");
}
ATF_TC_BODY(packets, tc)
{
	struct hvk_vstor_packet v;
	struct hvk_packet p = { .type = HVK_PKT_COMPLETION,
	    .payload = (const uint8_t *)&v, .len = 64 };
	uint32_t len;

	make(4, false);
	memset(&v, 0, sizeof(v));
	v.operation = HVK_VSTOR_BEGIN_INIT;
	for (len = 0; len < 48; len += 8) {
		ATF_CHECK_EQ(HVK_VSTOR_BAD_PARAMETER,
		    send_packet(true, &v, len));
		ATF_CHECK_EQ(HVK_STORVSP_CLOSED, vsp.phase);
	}
	ATF_CHECK_EQ(0, send_packet(true, &v, 48));
	ATF_CHECK_EQ(48, req.reply_len);
	hvk_storvsp_reset(&vsp);
	ATF_CHECK_EQ(0, send_packet(true, &v, 72));
	ATF_CHECK_EQ(64, req.reply_len);
	/* A completion, and a request that wants none. */
	hvk_storvsp_input(&vsp, true, &p, &req);
	ATF_CHECK_EQ(HVK_STORVSP_NOTHING, req.action);
	p.type = HVK_PKT_INBAND;
	hvk_storvsp_input(&vsp, true, &p, &req);
	ATF_CHECK_EQ(HVK_STORVSP_NOTHING, req.action);
	ATF_CHECK(vsp.ignored >= 2);
}

ATF_TC(replies);
ATF_TC_HEAD(replies, tc)
{
	atf_tc_set_md_var(tc, "descr", "SRB and SCSI status, sense, length");
}
ATF_TC_BODY(replies, tc)
{
	static struct hvk_scsi_cmd cmd;
	const struct hvk_vstor_srb *srb = &req.packet.srb;

	memset(&req, 0, sizeof(req));
	req.answer = true;
	req.packet.srb.sense_len = 20;
	req.packet.srb.transfer = 4096;
	req.packet.srb.direction = HVK_VSTOR_READ;
	cmd.data_len = 36;
	hvk_storvsp_finish(&req, &cmd);
	ATF_CHECK_EQ(HVK_SRB_SUCCESS, srb->srb_status);
	ATF_CHECK_EQ(36, srb->transfer);
	req.packet.srb.sense_len = 20;
	cmd.status = HVK_SCSI_CHECK;
	cmd.data_len = 0;
	cmd.sense_len = HVK_SCSI_SENSE;
	cmd.sense[2] = 5;
	hvk_storvsp_finish(&req, &cmd);
	ATF_CHECK_EQ(HVK_SRB_ERROR | HVK_SRB_AUTOSENSE_VALID,
	    srb->srb_status);
	ATF_CHECK_EQ(HVK_SCSI_CHECK, srb->scsi_status);
	ATF_CHECK_EQ(18, srb->sense_len);
	ATF_CHECK_EQ(5, srb->sense[2]);
	ATF_CHECK_EQ(0, srb->transfer);
	/* No room for sense: none claimed. */
	req.packet.srb.sense_len = 0;
	hvk_storvsp_finish(&req, &cmd);
	ATF_CHECK_EQ(HVK_SRB_ERROR, srb->srb_status);
	ATF_CHECK_EQ(0, srb->sense_len);
	cmd.status = HVK_SCSI_GOOD;
	cmd.fault = HVK_SCSI_OVERRUN;
	cmd.data_len = 8;
	hvk_storvsp_finish(&req, &cmd);
	ATF_CHECK_EQ(HVK_SRB_DATA_OVERRUN, srb->srb_status);
	ATF_CHECK_EQ(8, srb->transfer);
	cmd.fault = HVK_SCSI_DIRECTION;
	hvk_storvsp_finish(&req, &cmd);
	ATF_CHECK_EQ(HVK_SRB_INVALID_REQUEST, srb->srb_status);
	/* Parameter data sent by the guest counts as moved. */
	cmd.fault = HVK_SCSI_FITS;
	cmd.data_len = 0;
	req.packet.srb.direction = HVK_VSTOR_WRITE;
	req.packet.srb.transfer = 24;
	hvk_storvsp_finish(&req, &cmd);
	ATF_CHECK_EQ(24, srb->transfer);
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, states);
	ATF_TP_ADD_TC(tp, versions);
	ATF_TP_ADD_TC(tp, subchannels);
	ATF_TP_ADD_TC(tp, requests);
	ATF_TP_ADD_TC(tp, packets);
	ATF_TP_ADD_TC(tp, replies);
	return (atf_no_error());
}
