/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * The commands that reach the medium: READ, WRITE, VERIFY, SYNCHRONIZE CACHE,
 * UNMAP, WRITE SAME, and READ CAPACITY.  Every range is checked against the
 * capacity without being able to overflow, before any I/O is asked for.
 *
 * Locking: see hvk/host/scsi.h.  Facts: SBC-3 section 5.
 */
#include "scsi_int.h"

/* WRITE SAME: one command is at most this many bytes. */
#define WRITE_SAME_MAX	(64u << 20)

/* Where a CDB names LBA and count. */
static void
scsi_range(const struct hvk_scsi_cmd *cmd, uint64_t *lba, uint32_t *count)
{
	const uint8_t *cdb = cmd->cdb;

	switch (cdb[0] >> 5) {
	case 0:			/* 6 bytes; count 0 is 256 */
		*lba = (uint32_t)(cdb[1] & 0x1f) << 16 | be16(cdb + 2);
		*count = cdb[4] == 0 ? 256 : cdb[4];
		break;
	case 4:			/* 16 bytes */
		*lba = be64(cdb + 2);
		*count = be32(cdb + 10);
		break;
	case 5:			/* 12 bytes */
		*lba = be32(cdb + 2);
		*count = be32(cdb + 6);
		break;
	default:		/* 10 bytes */
		*lba = be32(cdb + 2);
		*count = be16(cdb + 7);
		break;
	}
}

static bool
scsi_outside(const struct hvk_scsi_unit *u, uint64_t lba, uint64_t count)
{

	return (lba >= u->sectors || count > u->sectors - lba);
}

static enum hvk_scsi_next
scsi_bad_lba(struct hvk_scsi_cmd *cmd, uint64_t lba)
{

	scsi_fail(cmd, KEY_ILLEGAL, ASC_LBA_RANGE);
	if (lba <= 0xffffffffu) {
		cmd->sense[0] |= 0x80;	/* information valid */
		put32(cmd->sense + 3, (uint32_t)lba);
	}
	return (HVK_SCSI_DONE);
}

static enum hvk_scsi_next
scsi_misfit(struct hvk_scsi_cmd *cmd, uint32_t have, uint32_t other)
{

	cmd->fault = have == 0 && other != 0 ? HVK_SCSI_DIRECTION :
	    HVK_SCSI_OVERRUN;
	return (scsi_good(cmd));
}

static enum hvk_scsi_next
scsi_io(const struct hvk_scsi_unit *u, struct hvk_scsi_cmd *cmd,
    enum hvk_scsi_op op, uint64_t lba, uint64_t count)
{

	cmd->op = op;
	cmd->offset = lba << u->shift;
	cmd->length = count << u->shift;
	return (HVK_SCSI_IO);
}

static uint32_t
scsi_count_byte(const struct hvk_scsi_cmd *cmd)
{
	uint32_t group = cmd->cdb[0] >> 5;

	return (group == 0 ? 4 : group == 4 ? 10 : group == 5 ? 6 : 7);
}

enum hvk_scsi_next
scsi_rw(struct hvk_scsi_unit *u, struct hvk_scsi_cmd *cmd)
{
	uint64_t lba;
	uint32_t count, len;
	uint8_t op = cmd->cdb[0] & 0x1f;
	bool six, write;

	write = op == 0x0a;
	six = cmd->cdb[0] < 0x20;
	scsi_range(cmd, &lba, &count);
	if (!six && (cmd->cdb[1] & 0xe0) != 0)	/* protection information */
		return (scsi_bad_field(cmd, 1));
	if (scsi_outside(u, lba, count))
		return (scsi_bad_lba(cmd, lba));
	if (count > u->max_transfer)
		return (scsi_bad_field(cmd, scsi_count_byte(cmd)));
	if (count == 0)
		return (scsi_good(cmd));
	len = count << u->shift;
	if (write) {
		if (cmd->out_len < len)
			return (scsi_misfit(cmd, cmd->out_len, cmd->in_len));
		cmd->fua = !six && (cmd->cdb[1] & 0x08) != 0;
		return (scsi_io(u, cmd, HVK_SCSI_OP_WRITE, lba, count));
	}
	if (cmd->in_len < len)
		return (scsi_misfit(cmd, cmd->in_len, cmd->out_len));
	return (scsi_io(u, cmd, HVK_SCSI_OP_READ, lba, count));
}

/*
 * Without BYTCHK nothing is compared; a virtual medium that answers reads is
 * as good as verified, so only the range is checked.
 */
enum hvk_scsi_next
scsi_verify(struct hvk_scsi_unit *u, struct hvk_scsi_cmd *cmd)
{
	uint64_t lba;
	uint32_t count;

	if ((cmd->cdb[1] & 0xe6) != 0)	/* VRPROTECT, BYTCHK */
		return (scsi_bad_field(cmd, 1));
	scsi_range(cmd, &lba, &count);
	if (scsi_outside(u, lba, count))
		return (scsi_bad_lba(cmd, lba));
	return (scsi_good(cmd));
}

enum hvk_scsi_next
scsi_seek(struct hvk_scsi_unit *u, struct hvk_scsi_cmd *cmd)
{
	uint32_t lba = be32(cmd->cdb + 2);

	if (scsi_outside(u, lba, 0))
		return (scsi_bad_lba(cmd, lba));
	return (scsi_good(cmd));
}

enum hvk_scsi_next
scsi_sync(struct hvk_scsi_unit *u, struct hvk_scsi_cmd *cmd)
{
	uint64_t lba;
	uint32_t count;

	scsi_range(cmd, &lba, &count);
	if (scsi_outside(u, lba, count))
		return (scsi_bad_lba(cmd, lba));
	if (u->read_only)
		return (scsi_good(cmd));
	/* The whole cache: there is no cheaper flush of a part. */
	return (scsi_io(u, cmd, HVK_SCSI_OP_FLUSH, 0, 0));
}

enum hvk_scsi_next
scsi_capacity_10(struct hvk_scsi_unit *u, struct hvk_scsi_cmd *cmd)
{
	uint64_t last;

	if ((cmd->cdb[8] & 1) == 0 && be32(cmd->cdb + 2) != 0)
		return (scsi_bad_field(cmd, 2));
	last = u->sectors == 0 ? 0 : u->sectors - 1;
	put32(cmd->buf, last > 0xffffffffu ? 0xffffffffu : (uint32_t)last);
	put32(cmd->buf + 4, u->sector);
	return (scsi_reply(cmd, 8, 8));
}

enum hvk_scsi_next
scsi_capacity_16(struct hvk_scsi_unit *u, struct hvk_scsi_cmd *cmd)
{
	uint8_t *p = cmd->buf;

	if ((cmd->cdb[14] & 1) == 0 && be64(cmd->cdb + 2) != 0)
		return (scsi_bad_field(cmd, 2));
	__builtin_memset(p, 0, 32);
	put64(p, u->sectors == 0 ? 0 : u->sectors - 1);
	put32(p + 8, u->sector);
	p[13] = u->physical_exp;
	if (u->thin) {
		p[14] = 0x80;			/* LBPME */
		if (u->zeroes)
			p[14] |= 0x40;		/* LBPRZ */
	}
	return (scsi_reply(cmd, 32, be32(cmd->cdb + 10)));
}

enum hvk_scsi_next
scsi_unmap(struct hvk_scsi_unit *u, struct hvk_scsi_cmd *cmd)
{
	uint32_t len;

	if (!u->thin)
		return (scsi_fail(cmd, KEY_ILLEGAL, ASC_OPCODE));
	if ((cmd->cdb[1] & 1) != 0)		/* ANCHOR */
		return (scsi_bad_field(cmd, 1));
	len = be16(cmd->cdb + 7);
	if (len == 0)
		return (scsi_good(cmd));
	if (len < 8)
		return (scsi_fail(cmd, KEY_ILLEGAL, ASC_LIST_LENGTH));
	if (cmd->out_len < len)
		return (scsi_misfit(cmd, cmd->out_len, cmd->in_len));
	/* What would not fit cannot hold descriptors that we accept. */
	cmd->data_len = len < 8 + 16 * HVK_SCSI_UNMAPS ? len :
	    8 + 16 * HVK_SCSI_UNMAPS;
	return (HVK_SCSI_DATA);
}

enum hvk_scsi_next
scsi_unmap_data(struct hvk_scsi_unit *u, struct hvk_scsi_cmd *cmd)
{
	const uint8_t *d;
	uint32_t i, len, list;

	list = be16(cmd->cdb + 7);
	len = be16(cmd->buf + 2);
	if (be16(cmd->buf) + 2u > list || len + 8u > list)
		return (scsi_fail(cmd, KEY_ILLEGAL, ASC_LIST_LENGTH));
	cmd->data_len = 0;
	cmd->step = 0;
	cmd->steps = len / 16;
	if (cmd->steps > HVK_SCSI_UNMAPS)
		return (scsi_fail(cmd, KEY_ILLEGAL, ASC_LIST_FIELD));
	for (i = 0; i < cmd->steps; i++) {
		d = cmd->buf + 8 + 16 * i;
		if (scsi_outside(u, be64(d), be32(d + 8)))
			return (scsi_bad_lba(cmd, be64(d)));
	}
	return (scsi_unmap_step(u, cmd));
}

/* The next descriptor that is not empty. */
enum hvk_scsi_next
scsi_unmap_step(struct hvk_scsi_unit *u, struct hvk_scsi_cmd *cmd)
{
	const uint8_t *d;

	while (cmd->step < cmd->steps) {
		d = cmd->buf + 8 + 16 * cmd->step++;
		/* The disk may have shrunk between two descriptors. */
		if (scsi_outside(u, be64(d), be32(d + 8)))
			return (scsi_bad_lba(cmd, be64(d)));
		if (be32(d + 8) != 0)
			return (scsi_io(u, cmd, HVK_SCSI_OP_UNMAP, be64(d),
			    be32(d + 8)));
	}
	return (scsi_good(cmd));
}

uint32_t
scsi_write_same_max(const struct hvk_scsi_unit *u)
{

	return (WRITE_SAME_MAX >> u->shift);
}

static enum hvk_scsi_next
scsi_write_same_zero(struct hvk_scsi_unit *u, struct hvk_scsi_cmd *cmd)
{
	bool unmap = (cmd->cdb[1] & 0x08) != 0;

	return (scsi_io(u, cmd, unmap && u->zeroes ? HVK_SCSI_OP_UNMAP :
	    HVK_SCSI_OP_ZERO, cmd->lba, cmd->left));
}

enum hvk_scsi_next
scsi_write_same(struct hvk_scsi_unit *u, struct hvk_scsi_cmd *cmd)
{
	uint64_t lba;
	uint32_t count;

	/* WRPROTECT, ANCHOR, PBDATA, LBDATA */
	if ((cmd->cdb[1] & 0xf6) != 0)
		return (scsi_bad_field(cmd, 1));
	if ((cmd->cdb[1] & 0x08) != 0 && !u->thin)
		return (scsi_bad_field(cmd, 1));
	if (cmd->cdb[0] == WRITE_SAME_10 && (cmd->cdb[1] & 1) != 0)
		return (scsi_bad_field(cmd, 1));
	scsi_range(cmd, &lba, &count);
	if (scsi_outside(u, lba, count))
		return (scsi_bad_lba(cmd, lba));
	if (count == 0 || count > scsi_write_same_max(u))
		return (scsi_bad_field(cmd, scsi_count_byte(cmd)));
	cmd->lba = lba;
	cmd->left = count;
	if ((cmd->cdb[1] & 1) != 0)		/* NDOB: zeroes, no data */
		return (scsi_write_same_zero(u, cmd));
	if (cmd->out_len < u->sector)
		return (scsi_misfit(cmd, cmd->out_len, cmd->in_len));
	cmd->data_len = u->sector;
	return (HVK_SCSI_DATA);
}

enum hvk_scsi_next
scsi_write_same_data(struct hvk_scsi_unit *u, struct hvk_scsi_cmd *cmd)
{
	uint32_t i;

	cmd->data_len = 0;
	for (i = 0; i < u->sector && cmd->buf[i] == 0; i++)
		;
	if (i == u->sector)
		return (scsi_write_same_zero(u, cmd));
	for (i = u->sector; i < HVK_SCSI_BUF; i += u->sector)
		__builtin_memcpy(cmd->buf + i, cmd->buf, u->sector);
	return (scsi_write_same_step(u, cmd));
}

/* A pattern other than zeroes goes out in buffers of HVK_SCSI_BUF bytes. */
enum hvk_scsi_next
scsi_write_same_step(struct hvk_scsi_unit *u, struct hvk_scsi_cmd *cmd)
{
	uint64_t lba = cmd->lba;
	uint32_t count;

	if (cmd->left == 0)
		return (scsi_good(cmd));
	if (scsi_outside(u, lba, cmd->left))
		return (scsi_bad_lba(cmd, lba));
	count = HVK_SCSI_BUF >> u->shift;
	if (count > cmd->left)
		count = (uint32_t)cmd->left;
	cmd->lba += count;
	cmd->left -= count;
	return (scsi_io(u, cmd, HVK_SCSI_OP_WRITE_BUF, lba, count));
}
