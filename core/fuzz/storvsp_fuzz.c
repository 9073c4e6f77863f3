/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * Fuzz target: streams of ring packets against the storage provider, with a
 * SCSI unit behind it.  Checks that the replies are within bounds and that
 * only the states of the table are reached.
 *
 * Input: records of {length/8, type, ranges/8, flags} and that many bytes.
 */
#include <stdint.h>
#include <string.h>

#include <hvk/host/storvsp.h>

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static struct hvk_scsi_cmd cmd;

static void
srb(struct hvk_storvsp_request *r, struct hvk_scsi_unit *u)
{
	enum hvk_scsi_next next;
	uint32_t transfer = r->packet.srb.transfer, steps = 0;

	if (r->cdb_len == 0 || r->cdb_len > 16 || r->in > 1u << 20 ||
	    r->out > 1u << 20)
		__builtin_trap();
	if (r->lun != 0) {
		hvk_storvsp_refuse(r, HVK_SRB_INVALID_LUN);
		return;
	}
	next = hvk_scsi_start(u, &cmd, r->packet.srb.cdb, r->cdb_len, r->in,
	    r->out, 1);
	while (next != HVK_SCSI_DONE && ++steps < 100000)
		next = next == HVK_SCSI_DATA ? hvk_scsi_data(u, &cmd) :
		    hvk_scsi_done(u, &cmd, HVK_SCSI_IO_OK);
	hvk_storvsp_finish(r, &cmd);
	if (r->packet.srb.transfer > transfer || r->packet.srb.sense_len > 20)
		__builtin_trap();
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t len)
{
	struct hvk_storvsp_config c = { .max_transfer = 1 << 20,
	    .max_subchannels = 4 };
	struct hvk_scsi_config disk = { .size = 1 << 20, .sector = 512,
	    .max_transfer = 1 << 20, .thin = true };
	static uint8_t copy[2048] __attribute__((aligned(8)));
	struct hvk_storvsp vsp;
	struct hvk_storvsp_request r;
	struct hvk_scsi_unit u;
	struct hvk_packet k;
	size_t n, ranges;

	(void)hvk_storvsp_init(&vsp, &c);
	(void)hvk_scsi_unit_init(&u, &disk);
	while (len >= 4) {
		n = p[0] * 8u;
		ranges = p[2] * 8u;
		memset(&k, 0, sizeof(k));
		k.type = (p[1] & 1) != 0 ? HVK_PKT_GPA_DIRECT :
		    p[1] == 0 ? HVK_PKT_INBAND : p[1];
		k.want_completion = (p[3] & 1) == 0;
		if ((p[3] & 0xf0) == 0xf0)
			hvk_storvsp_reset(&vsp);
		if (n > len - 4)
			n = (len - 4) & ~(size_t)7;
		if (ranges > n)
			ranges = n;
		memcpy(copy, p + 4, n);
		k.ranges = copy;
		k.ranges_len = k.type == HVK_PKT_GPA_DIRECT ?
		    (uint32_t)ranges : 0;
		k.nranges = k.ranges_len != 0 ? 1u + (p[3] >> 1 & 3u) : 0;
		k.payload = copy + k.ranges_len;
		k.len = (uint32_t)n - k.ranges_len;
		hvk_storvsp_input(&vsp, (p[3] & 8) == 0, &k, &r);
		if (r.action == HVK_STORVSP_SRB)
			srb(&r, &u);
		else if (r.action == HVK_STORVSP_SUBCHANNELS ||
		    r.action == HVK_STORVSP_RESET)
			hvk_storvsp_answer(&r, HVK_VSTOR_OK);
		if (r.reply_len > 64 || vsp.phase >= HVK_STORVSP_NPHASES ||
		    vsp.subchannels > 4)
			__builtin_trap();
		p += 4 + n;
		len -= 4 + n;
	}
	return (0);
}
