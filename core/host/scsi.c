/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * The SCSI unit: dispatch of commands, status and sense, unit attentions.
 * Locking: see hvk/host/scsi.h.  Facts: SPC-4 (commands, sense), SAM-5 (unit
 * attentions), SBC-3, MMC-6.
 */
#include "scsi_int.h"

static enum hvk_scsi_next scsi_ready(struct hvk_scsi_unit *,
    struct hvk_scsi_cmd *);
static enum hvk_scsi_next scsi_request_sense(struct hvk_scsi_unit *,
    struct hvk_scsi_cmd *);
static enum hvk_scsi_next scsi_report_luns(struct hvk_scsi_unit *,
    struct hvk_scsi_cmd *);

#define ANY	0xff		/* no service action */
#define U8	0xff
#define U32	U8, U8, U8, U8
#define U64	U32, U32

/* By opcode; the last column is what REPORT SUPPORTED OPCODES tells. */
const struct scsi_command hvk_scsi_commands[256] = {
	[TEST_UNIT_READY] = { TEST_UNIT_READY, ANY, 6, CMD_BOTH | CMD_MEDIUM,
	    scsi_ready, { 0x00, 0, 0, 0, 0, 4 } },
	[REQUEST_SENSE] = { REQUEST_SENSE, ANY, 6, CMD_BOTH | CMD_EARLY,
	    scsi_request_sense, { 0x03, 1, 0, 0, U8, 4 } },
	[READ_6] = { READ_6, ANY, 6, CMD_BOTH | CMD_MEDIUM,
	    scsi_rw, { 0x08, 0x1f, U8, U8, U8, 4 } },
	[WRITE_6] = { WRITE_6, ANY, 6, CMD_DISK | CMD_MEDIUM | CMD_MODIFY,
	    scsi_rw, { 0x0a, 0x1f, U8, U8, U8, 4 } },
	[INQUIRY] = { INQUIRY, ANY, 6, CMD_BOTH | CMD_EARLY,
	    scsi_inquiry, { 0x12, 1, U8, U8, U8, 4 } },
	[MODE_SELECT_6] = { MODE_SELECT_6, ANY, 6, CMD_BOTH,
	    scsi_mode_select, { 0x15, 0x11, 0, 0, U8, 4 } },
	[MODE_SENSE_6] = { MODE_SENSE_6, ANY, 6, CMD_BOTH,
	    scsi_mode_sense, { 0x1a, 0x08, U8, U8, U8, 4 } },
	[START_STOP_UNIT] = { START_STOP_UNIT, ANY, 6, CMD_BOTH,
	    scsi_start_stop, { 0x1b, 1, 0, 0, 0xf3, 4 } },
	[PREVENT_ALLOW] = { PREVENT_ALLOW, ANY, 6, CMD_BOTH,
	    scsi_prevent, { 0x1e, 0, 0, 0, 3, 4 } },
	[READ_CAPACITY_10] = { READ_CAPACITY_10, ANY, 10,
	    CMD_BOTH | CMD_MEDIUM, scsi_capacity_10,
	    { 0x25, 0, U32, 0, 0, 1, 4 } },
	[READ_10] = { READ_10, ANY, 10, CMD_BOTH | CMD_MEDIUM,
	    scsi_rw, { 0x28, 0xf8, U32, 0x1f, U8, U8, 4 } },
	[WRITE_10] = { WRITE_10, ANY, 10, CMD_DISK | CMD_MEDIUM | CMD_MODIFY,
	    scsi_rw, { 0x2a, 0xf8, U32, 0x1f, U8, U8, 4 } },
	[SEEK_10] = { SEEK_10, ANY, 10, CMD_BOTH | CMD_MEDIUM,
	    scsi_seek, { 0x2b, 0, U32, 0, 0, 0, 4 } },
	[VERIFY_10] = { VERIFY_10, ANY, 10, CMD_BOTH | CMD_MEDIUM,
	    scsi_verify, { 0x2f, 0xf6, U32, 0x1f, U8, U8, 4 } },
	[SYNC_CACHE_10] = { SYNC_CACHE_10, ANY, 10, CMD_BOTH | CMD_MEDIUM,
	    scsi_sync, { 0x35, 0x02, U32, 0x1f, U8, U8, 4 } },
	[WRITE_SAME_10] = { WRITE_SAME_10, ANY, 10,
	    CMD_DISK | CMD_MEDIUM | CMD_MODIFY, scsi_write_same,
	    { 0x41, 0xf8, U32, 0x1f, U8, U8, 4 } },
	[UNMAP] = { UNMAP, ANY, 10, CMD_DISK | CMD_MEDIUM | CMD_MODIFY,
	    scsi_unmap, { 0x42, 0x01, 0, 0, 0, 0, 0x1f, U8, U8, 4 } },
	[READ_TOC] = { READ_TOC, ANY, 10, CMD_CD | CMD_MEDIUM,
	    scsi_read_toc, { 0x43, 2, 0x0f, 0, 0, 0, U8, U8, U8, 0xc4 } },
	[GET_CONFIGURATION] = { GET_CONFIGURATION, ANY, 10,
	    CMD_CD | CMD_EARLY, scsi_configuration,
	    { 0x46, 3, U8, U8, 0, 0, 0, U8, U8, 4 } },
	[GET_EVENT_STATUS] = { GET_EVENT_STATUS, ANY, 10, CMD_CD | CMD_EARLY,
	    scsi_event_status, { 0x4a, 1, 0, 0, U8, 0, 0, U8, U8, 4 } },
	[READ_DISC_INFORMATION] = { READ_DISC_INFORMATION, ANY, 10,
	    CMD_CD | CMD_MEDIUM, scsi_disc_information,
	    { 0x51, 7, 0, 0, 0, 0, 0, U8, U8, 4 } },
	[MODE_SELECT_10] = { MODE_SELECT_10, ANY, 10, CMD_BOTH,
	    scsi_mode_select, { 0x55, 0x11, 0, 0, 0, 0, 0, U8, U8, 4 } },
	[MODE_SENSE_10] = { MODE_SENSE_10, ANY, 10, CMD_BOTH,
	    scsi_mode_sense, { 0x5a, 0x18, U8, U8, 0, 0, 0, U8, U8, 4 } },
	[READ_16] = { READ_16, ANY, 16, CMD_BOTH | CMD_MEDIUM,
	    scsi_rw, { 0x88, 0xf8, U64, U32, 0x1f, 4 } },
	[WRITE_16] = { WRITE_16, ANY, 16, CMD_DISK | CMD_MEDIUM | CMD_MODIFY,
	    scsi_rw, { 0x8a, 0xf8, U64, U32, 0x1f, 4 } },
	[VERIFY_16] = { VERIFY_16, ANY, 16, CMD_DISK | CMD_MEDIUM,
	    scsi_verify, { 0x8f, 0xf6, U64, U32, 0x1f, 4 } },
	[SYNC_CACHE_16] = { SYNC_CACHE_16, ANY, 16, CMD_DISK | CMD_MEDIUM,
	    scsi_sync, { 0x91, 0x02, U64, U32, 0x1f, 4 } },
	[WRITE_SAME_16] = { WRITE_SAME_16, ANY, 16,
	    CMD_DISK | CMD_MEDIUM | CMD_MODIFY, scsi_write_same,
	    { 0x93, 0xf9, U64, U32, 0x1f, 4 } },
	[SERVICE_IN_16] = { SERVICE_IN_16, 0x10, 16, CMD_DISK | CMD_MEDIUM,
	    scsi_capacity_16, { 0x9e, 0x1f, U64, U32, 1, 4 } },
	[REPORT_LUNS] = { REPORT_LUNS, ANY, 12, CMD_BOTH | CMD_EARLY,
	    scsi_report_luns, { 0xa0, 0, U8, 0, 0, 0, U32, 0, 4 } },
	[MAINTENANCE_IN] = { MAINTENANCE_IN, 0x0c, 12, CMD_BOTH,
	    scsi_report_opcodes, { 0xa3, 0x1f, 0x87, U8, U8, U8, U32, 0, 4 } },
	[READ_12] = { READ_12, ANY, 12, CMD_BOTH | CMD_MEDIUM,
	    scsi_rw, { 0xa8, 0xf8, U32, U32, 0x1f, 4 } },
	[WRITE_12] = { WRITE_12, ANY, 12, CMD_DISK | CMD_MEDIUM | CMD_MODIFY,
	    scsi_rw, { 0xaa, 0xf8, U32, U32, 0x1f, 4 } },
	[VERIFY_12] = { VERIFY_12, ANY, 12, CMD_DISK | CMD_MEDIUM,
	    scsi_verify, { 0xaf, 0xf6, U32, U32, 0x1f, 4 } }
};

int
hvk_scsi_unit_init(struct hvk_scsi_unit *u, const struct hvk_scsi_config *c)
{
	uint32_t i, ratio;

	if ((c->sector != 512 && c->sector != 2048 && c->sector != 4096) ||
	    c->max_transfer < c->sector ||
	    c->max_transfer % c->sector != 0 ||
	    (c->kind != HVK_SCSI_DISK && c->kind != HVK_SCSI_CDROM))
		return (HVK_RANGE);
	__builtin_memset(u, 0, sizeof(*u));
	u->kind = c->kind;
	u->sector = c->sector;
	u->shift = c->sector == 512 ? 9 : c->sector == 2048 ? 11 : 12;
	u->max_transfer = c->max_transfer >> u->shift;
	if (c->physical != 0) {
		for (ratio = c->sector; ratio < c->physical &&
		    u->physical_exp < 15; ratio <<= 1)
			u->physical_exp++;
		if (ratio != c->physical)
			return (HVK_RANGE);
	}
	u->medium = c->kind == HVK_SCSI_DISK || !c->no_medium;
	u->sectors = u->medium ? c->size >> u->shift : 0;
	u->read_only = c->read_only || c->kind == HVK_SCSI_CDROM;
	u->thin = c->thin && !u->read_only;
	u->zeroes = c->zeroes;
	u->rotational = c->rotational;
	u->id = c->id;
	for (i = 0; c->serial != NULL && i < 20 && c->serial[i] != 0; i++)
		u->serial[i] = c->serial[i];
	return (HVK_OK);
}

enum hvk_scsi_next
scsi_good(struct hvk_scsi_cmd *cmd)
{

	cmd->status = HVK_SCSI_GOOD;
	return (HVK_SCSI_DONE);
}

void
scsi_sense_fill(uint8_t *sense, uint32_t key, uint32_t asc)
{

	__builtin_memset(sense, 0, HVK_SCSI_SENSE);
	sense[0] = 0x70;
	sense[2] = (uint8_t)key;
	sense[7] = HVK_SCSI_SENSE - 8;
	put16(sense + 12, asc);
}

enum hvk_scsi_next
scsi_fail(struct hvk_scsi_cmd *cmd, uint32_t key, uint32_t asc)
{

	cmd->status = HVK_SCSI_CHECK;
	cmd->sense_len = HVK_SCSI_SENSE;
	cmd->data_len = cmd->io_len = 0;
	scsi_sense_fill(cmd->sense, key, asc);
	return (HVK_SCSI_DONE);
}

/* The byte of the CDB that is wrong goes into the sense key specific part. */
enum hvk_scsi_next
scsi_bad_field(struct hvk_scsi_cmd *cmd, uint32_t byte)
{

	scsi_fail(cmd, KEY_ILLEGAL, ASC_CDB_FIELD);
	cmd->sense[15] = 0xc0;
	put16(cmd->sense + 16, byte);
	return (HVK_SCSI_DONE);
}

/* len bytes of buf for the guest, cut to its allocation length. */
enum hvk_scsi_next
scsi_reply(struct hvk_scsi_cmd *cmd, uint32_t len, uint32_t allocation)
{

	if (len > allocation)
		len = allocation;
	if (len > cmd->in_len) {
		cmd->fault = cmd->in_len == 0 && cmd->out_len != 0 ?
		    HVK_SCSI_DIRECTION : HVK_SCSI_OVERRUN;
		len = cmd->in_len;
	}
	cmd->data_len = len;
	return (scsi_good(cmd));
}

/* The most important attention, cleared; 0 if there is none. */
uint32_t
scsi_attention_take(struct hvk_scsi_unit *u)
{
	static const uint16_t asc[] = {
		ASC_POWER_ON, ASC_MEDIUM_CHANGED, ASC_CAPACITY, ASC_LUNS
	};
	uint32_t i, have;

	have = __atomic_load_n(&u->attention, __ATOMIC_RELAXED);
	for (i = 0; i < sizeof(asc) / sizeof(asc[0]); i++) {
		if ((have & 1u << i) == 0)
			continue;
		have = __atomic_fetch_and(&u->attention, ~(1u << i),
		    __ATOMIC_RELAXED);
		if ((have & 1u << i) != 0)
			return (asc[i]);
	}
	return (0);
}

/*
 * The NACA bit asks for auto contingent allegiance, which we do not have;
 * ignoring it would leave the initiator waiting for a state we never enter.
 */
static bool
scsi_naca(const struct hvk_scsi_cmd *cmd, uint32_t length)
{

	return ((cmd->cdb[length - 1] & 0x04) != 0);
}

enum hvk_scsi_next
hvk_scsi_start(struct hvk_scsi_unit *u, struct hvk_scsi_cmd *cmd,
    const uint8_t *cdb, uint32_t cdb_len, uint32_t in, uint32_t out,
    uint64_t luns)
{
	const struct scsi_command *c;
	uint32_t asc;

	cmd->op = HVK_SCSI_OP_NONE;
	cmd->fua = cmd->ejected = false;
	cmd->sense_len = cmd->fault = 0;
	cmd->data_len = cmd->io_len = 0;
	cmd->in_len = in;
	cmd->out_len = out;
	cmd->lba = luns;
	if (cdb_len > HVK_SCSI_CDB)
		cdb_len = HVK_SCSI_CDB;
	__builtin_memset(cmd->cdb, 0, sizeof(cmd->cdb));
	__builtin_memcpy(cmd->cdb, cdb, cdb_len);

	c = &hvk_scsi_commands[cmd->cdb[0]];
	if (cdb_len == 0 || c->run == NULL || (c->flags &
	    (u->kind == HVK_SCSI_CDROM ? CMD_CD : CMD_DISK)) == 0)
		return (scsi_fail(cmd, KEY_ILLEGAL, ASC_OPCODE));
	if (cdb_len < c->length)
		return (scsi_bad_field(cmd, cdb_len));
	if ((c->flags & CMD_EARLY) == 0 &&
	    __atomic_load_n(&u->attention, __ATOMIC_RELAXED) != 0 &&
	    (asc = scsi_attention_take(u)) != 0)
		return (scsi_fail(cmd, KEY_ATTENTION, asc));
	if (c->action != ANY && (cmd->cdb[1] & 0x1f) != c->action)
		return (scsi_bad_field(cmd, 1));
	if (scsi_naca(cmd, c->length))
		return (scsi_bad_field(cmd, c->length - 1u));
	if ((c->flags & CMD_MEDIUM) != 0 && !u->medium)
		return (scsi_fail(cmd, KEY_NOT_READY, ASC_NO_MEDIUM));
	if ((c->flags & CMD_MODIFY) != 0 && u->read_only)
		return (scsi_fail(cmd, KEY_PROTECT, ASC_PROTECTED));
	return (c->run(u, cmd));
}

enum hvk_scsi_next
hvk_scsi_data(struct hvk_scsi_unit *u, struct hvk_scsi_cmd *cmd)
{

	if (cmd->cdb[0] == UNMAP)
		return (scsi_unmap_data(u, cmd));
	return (scsi_write_same_data(u, cmd));
}

static enum hvk_scsi_next
scsi_io_failed(struct hvk_scsi_cmd *cmd, enum hvk_scsi_error error)
{

	switch (error) {
	case HVK_SCSI_IO_NOSPACE:
		return (scsi_fail(cmd, KEY_PROTECT, ASC_NO_SPACE));
	case HVK_SCSI_IO_PROTECT:
		return (scsi_fail(cmd, KEY_PROTECT, ASC_PROTECTED));
	case HVK_SCSI_IO_GONE:
		return (scsi_fail(cmd, KEY_NOT_READY, ASC_NO_MEDIUM));
	default:
		return (scsi_fail(cmd, KEY_MEDIUM, cmd->op ==
		    HVK_SCSI_OP_READ ? ASC_READ_ERROR : ASC_WRITE_ERROR));
	}
}

enum hvk_scsi_next
hvk_scsi_done(struct hvk_scsi_unit *u, struct hvk_scsi_cmd *cmd,
    enum hvk_scsi_error error)
{

	if (error != HVK_SCSI_IO_OK)
		return (scsi_io_failed(cmd, error));
	switch (cmd->op) {
	case HVK_SCSI_OP_READ:
	case HVK_SCSI_OP_WRITE:
		cmd->io_len = (uint32_t)cmd->length;
		return (scsi_good(cmd));
	case HVK_SCSI_OP_UNMAP:
		if (cmd->cdb[0] == UNMAP)
			return (scsi_unmap_step(u, cmd));
		return (scsi_good(cmd));
	case HVK_SCSI_OP_WRITE_BUF:
		return (scsi_write_same_step(u, cmd));
	default:
		return (scsi_good(cmd));
	}
}

static enum hvk_scsi_next
scsi_ready(struct hvk_scsi_unit *u, struct hvk_scsi_cmd *cmd)
{

	(void)u;
	return (scsi_good(cmd));
}

static enum hvk_scsi_next
scsi_request_sense(struct hvk_scsi_unit *u, struct hvk_scsi_cmd *cmd)
{
	uint32_t asc, key;

	key = 0;
	if ((asc = scsi_attention_take(u)) != 0) {
		key = KEY_ATTENTION;
	} else if (!u->medium) {
		key = KEY_NOT_READY;
		asc = ASC_NO_MEDIUM;
	}
	if ((cmd->cdb[1] & 1) == 0) {
		scsi_sense_fill(cmd->buf, key, asc);
		return (scsi_reply(cmd, HVK_SCSI_SENSE, cmd->cdb[4]));
	}
	/* DESC: descriptor format, without descriptors. */
	__builtin_memset(cmd->buf, 0, 8);
	cmd->buf[0] = 0x72;
	cmd->buf[1] = (uint8_t)key;
	put16(cmd->buf + 2, asc);
	return (scsi_reply(cmd, 8, cmd->cdb[4]));
}

static enum hvk_scsi_next
scsi_report_luns(struct hvk_scsi_unit *u, struct hvk_scsi_cmd *cmd)
{

	if (cmd->cdb[2] <= 0x02 && cmd->cdb[2] != 0x01)
		(void)__atomic_fetch_and(&u->attention,
		    ~(uint32_t)HVK_SCSI_UA_LUNS, __ATOMIC_RELAXED);
	return (scsi_report_luns_bitmap(cmd, cmd->lba));
}

bool
hvk_scsi_absent(struct hvk_scsi_cmd *cmd, const uint8_t *cdb,
    uint32_t cdb_len, uint32_t in, uint64_t luns)
{

	cmd->op = HVK_SCSI_OP_NONE;
	cmd->fua = cmd->ejected = false;
	cmd->sense_len = cmd->fault = 0;
	cmd->data_len = cmd->io_len = 0;
	cmd->in_len = in;
	cmd->out_len = 0;
	if (cdb_len > HVK_SCSI_CDB)
		cdb_len = HVK_SCSI_CDB;
	__builtin_memset(cmd->cdb, 0, sizeof(cmd->cdb));
	__builtin_memcpy(cmd->cdb, cdb, cdb_len);
	if (cdb_len < 6)
		return (false);
	switch (cmd->cdb[0]) {
	case INQUIRY:
		scsi_inquiry_absent(cmd);
		return (true);
	case REPORT_LUNS:
		if (cdb_len < 12)
			return (false);
		scsi_report_luns_bitmap(cmd, luns);
		return (true);
	case REQUEST_SENSE:
		scsi_sense_fill(cmd->buf, KEY_ILLEGAL, ASC_LUN);
		scsi_reply(cmd, HVK_SCSI_SENSE, cmd->cdb[4]);
		return (true);
	default:
		return (false);
	}
}

void
hvk_scsi_attend(struct hvk_scsi_unit *u, uint32_t attention)
{

	(void)__atomic_fetch_or(&u->attention, attention, __ATOMIC_RELAXED);
}

void
hvk_scsi_resize(struct hvk_scsi_unit *u, uint64_t size)
{

	if (!u->medium || size >> u->shift == u->sectors)
		return;
	u->sectors = size >> u->shift;
	hvk_scsi_attend(u, HVK_SCSI_UA_CAPACITY);
}

void
hvk_scsi_insert(struct hvk_scsi_unit *u, uint64_t size)
{

	u->sectors = size >> u->shift;
	u->medium = u->event = true;
	hvk_scsi_attend(u, HVK_SCSI_UA_MEDIUM);
}

void
hvk_scsi_eject(struct hvk_scsi_unit *u)
{

	u->medium = false;
	u->event = true;
	u->sectors = 0;
}
