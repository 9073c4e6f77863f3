/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * Fuzz target: streams of CDBs and parameter data against a SCSI unit.  Checks
 * that every command ends, that I/O stays inside the medium, and that no more
 * than the guest's buffer is moved.
 *
 * Input: one byte of kind, then records of {in/64, out/64, error, data length,
 * CDB length, CDB, data}.
 */
#include <stdint.h>
#include <string.h>

#include <hvk/host/scsi.h>

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
one(struct hvk_scsi_unit *u, struct hvk_scsi_cmd *cmd, const uint8_t *r,
    const uint8_t *data, uint32_t len)
{
	uint32_t in = r[0] * 64u, out = r[1] * 64u, n, steps = 0;
	enum hvk_scsi_next next;

	next = hvk_scsi_start(u, cmd, r + 5, r[4], in, out, 0xffull << (r[2] & 63));
	while (next != HVK_SCSI_DONE) {
		if (++steps > 200000)
			__builtin_trap();
		if (next == HVK_SCSI_DATA) {
			if (cmd->data_len > out || cmd->data_len >
			    HVK_SCSI_BUF)
				__builtin_trap();
			n = cmd->data_len < len ? cmd->data_len : len;
			memset(cmd->buf, 0, cmd->data_len);
			memcpy(cmd->buf, data, n);
			next = hvk_scsi_data(u, cmd);
			continue;
		}
		if (cmd->op != HVK_SCSI_OP_FLUSH && (cmd->length == 0 ||
		    cmd->offset >> u->shift > u->sectors || cmd->length >>
		    u->shift > u->sectors - (cmd->offset >> u->shift)))
			__builtin_trap();
		if ((cmd->op == HVK_SCSI_OP_READ && cmd->length > in) ||
		    (cmd->op == HVK_SCSI_OP_WRITE && cmd->length > out))
			__builtin_trap();
		next = hvk_scsi_done(u, cmd, (enum hvk_scsi_error)(r[3] > 4 ?
		    0 : r[3]));
	}
	if (cmd->data_len > in || cmd->data_len > HVK_SCSI_BUF ||
	    cmd->sense_len > HVK_SCSI_SENSE)
		__builtin_trap();
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t len)
{
	static struct hvk_scsi_cmd cmd;
	struct hvk_scsi_unit u;
	struct hvk_scsi_config c = { .sector = 512, .max_transfer = 1 << 20,
	    .thin = true, .zeroes = true, .id = 1, .serial = "s" };
	uint8_t record[24];
	size_t n;

	if (len < 1)
		return (0);
	c.kind = (p[0] & 1) != 0 ? HVK_SCSI_CDROM : HVK_SCSI_DISK;
	c.sector = (p[0] & 1) != 0 ? 2048 : (p[0] & 2) != 0 ? 4096 : 512;
	c.read_only = (p[0] & 4) != 0;
	c.size = (p[0] & 8) != 0 ? (uint64_t)1 << 60 : 1 << 20;
	if (hvk_scsi_unit_init(&u, &c) != HVK_OK)
		__builtin_trap();
	p++;
	len--;
	while (len >= 21) {
		memcpy(record, p, 21);
		n = p[3] >> 3;
		p += 21;
		len -= 21;
		if (n * 8 > len)
			n = len / 8;
		one(&u, &cmd, record, p, (uint32_t)(n * 8));
		if (record[2] == 0xff)
			hvk_scsi_resize(&u, (uint64_t)record[3] << 12);
		p += n * 8;
		len -= n * 8;
	}
	return (0);
}
