/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * What the files of the SCSI unit share: big-endian access, sense, the table
 * of commands.  Facts: SPC-4, SBC-3, MMC-6.
 */
#ifndef HVK_HOST_SCSI_INT_H
#define HVK_HOST_SCSI_INT_H

#include <hvk/host/scsi.h>

enum {
	TEST_UNIT_READY = 0x00,
	REQUEST_SENSE = 0x03,
	READ_6 = 0x08,
	WRITE_6 = 0x0a,
	INQUIRY = 0x12,
	MODE_SELECT_6 = 0x15,
	MODE_SENSE_6 = 0x1a,
	START_STOP_UNIT = 0x1b,
	PREVENT_ALLOW = 0x1e,
	READ_CAPACITY_10 = 0x25,
	READ_10 = 0x28,
	WRITE_10 = 0x2a,
	SEEK_10 = 0x2b,
	VERIFY_10 = 0x2f,
	SYNC_CACHE_10 = 0x35,
	WRITE_SAME_10 = 0x41,
	UNMAP = 0x42,
	READ_TOC = 0x43,
	GET_CONFIGURATION = 0x46,
	GET_EVENT_STATUS = 0x4a,
	READ_DISC_INFORMATION = 0x51,
	MODE_SELECT_10 = 0x55,
	MODE_SENSE_10 = 0x5a,
	READ_16 = 0x88,
	WRITE_16 = 0x8a,
	VERIFY_16 = 0x8f,
	SYNC_CACHE_16 = 0x91,
	WRITE_SAME_16 = 0x93,
	SERVICE_IN_16 = 0x9e,	/* action 0x10: READ CAPACITY(16) */
	REPORT_LUNS = 0xa0,
	MAINTENANCE_IN = 0xa3,	/* action 0x0c: REPORT SUPPORTED OPCODES */
	READ_12 = 0xa8,
	WRITE_12 = 0xaa,
	VERIFY_12 = 0xaf
};

enum {
	KEY_NOT_READY = 0x02,
	KEY_MEDIUM = 0x03,
	KEY_ILLEGAL = 0x05,
	KEY_ATTENTION = 0x06,
	KEY_PROTECT = 0x07
};

/* Additional sense code and qualifier as one number. */
enum {
	ASC_WRITE_ERROR = 0x0c00,
	ASC_READ_ERROR = 0x1100,
	ASC_LIST_LENGTH = 0x1a00,
	ASC_OPCODE = 0x2000,
	ASC_LBA_RANGE = 0x2100,
	ASC_CDB_FIELD = 0x2400,
	ASC_LUN = 0x2500,
	ASC_LIST_FIELD = 0x2600,
	ASC_PROTECTED = 0x2700,
	ASC_NO_SPACE = 0x2707,
	ASC_MEDIUM_CHANGED = 0x2800,
	ASC_POWER_ON = 0x2900,
	ASC_CAPACITY = 0x2a09,
	ASC_SAVING = 0x3900,
	ASC_NO_MEDIUM = 0x3a00,
	ASC_LUNS = 0x3f0e,
	ASC_LOCKED = 0x5302
};

enum {				/* flags of a command */
	CMD_DISK = 1 << 0,
	CMD_CD = 1 << 1,
	CMD_BOTH = CMD_DISK | CMD_CD,
	CMD_EARLY = 1 << 2,	/* not held up by a unit attention */
	CMD_MEDIUM = 1 << 3,	/* needs a medium */
	CMD_MODIFY = 1 << 4	/* refused on a read-only unit */
};

struct scsi_command {
	uint8_t opcode;
	uint8_t action;		/* service action, or 0xff */
	uint8_t length;		/* of the CDB */
	uint8_t flags;
	enum hvk_scsi_next (*run)(struct hvk_scsi_unit *,
	    struct hvk_scsi_cmd *);
	uint8_t usage[HVK_SCSI_CDB];	/* CDB bits that are evaluated */
};

static inline uint16_t
be16(const uint8_t *p)
{

	return ((uint16_t)((uint32_t)p[0] << 8 | p[1]));
}

static inline uint32_t
be32(const uint8_t *p)
{

	return ((uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
	    (uint32_t)p[2] << 8 | p[3]);
}

static inline uint64_t
be64(const uint8_t *p)
{

	return ((uint64_t)be32(p) << 32 | be32(p + 4));
}

static inline void
put16(uint8_t *p, uint32_t v)
{

	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void
put32(uint8_t *p, uint32_t v)
{

	put16(p, v >> 16);
	put16(p + 2, v);
}

static inline void
put64(uint8_t *p, uint64_t v)
{

	put32(p, (uint32_t)(v >> 32));
	put32(p + 4, (uint32_t)v);
}

/* scsi.c */
extern const struct scsi_command hvk_scsi_commands[];
extern const uint32_t hvk_scsi_ncommands;
enum hvk_scsi_next scsi_good(struct hvk_scsi_cmd *);
enum hvk_scsi_next scsi_fail(struct hvk_scsi_cmd *, uint32_t key,
	    uint32_t asc);
enum hvk_scsi_next scsi_bad_field(struct hvk_scsi_cmd *, uint32_t byte);
enum hvk_scsi_next scsi_reply(struct hvk_scsi_cmd *, uint32_t len,
	    uint32_t allocation);
void scsi_sense_fill(uint8_t *, uint32_t key, uint32_t asc);
uint32_t scsi_attention_take(struct hvk_scsi_unit *);

/* scsi_inquiry.c */
enum hvk_scsi_next scsi_inquiry(struct hvk_scsi_unit *, struct hvk_scsi_cmd *);
enum hvk_scsi_next scsi_report_opcodes(struct hvk_scsi_unit *,
	    struct hvk_scsi_cmd *);
enum hvk_scsi_next scsi_inquiry_absent(struct hvk_scsi_cmd *);
enum hvk_scsi_next scsi_report_luns_bitmap(struct hvk_scsi_cmd *, uint64_t);

/* scsi_mode.c */
enum hvk_scsi_next scsi_mode_sense(struct hvk_scsi_unit *,
	    struct hvk_scsi_cmd *);
enum hvk_scsi_next scsi_mode_select(struct hvk_scsi_unit *,
	    struct hvk_scsi_cmd *);

/* scsi_block.c */
enum hvk_scsi_next scsi_capacity_10(struct hvk_scsi_unit *,
	    struct hvk_scsi_cmd *);
enum hvk_scsi_next scsi_capacity_16(struct hvk_scsi_unit *,
	    struct hvk_scsi_cmd *);
enum hvk_scsi_next scsi_rw(struct hvk_scsi_unit *, struct hvk_scsi_cmd *);
enum hvk_scsi_next scsi_verify(struct hvk_scsi_unit *, struct hvk_scsi_cmd *);
enum hvk_scsi_next scsi_sync(struct hvk_scsi_unit *, struct hvk_scsi_cmd *);
enum hvk_scsi_next scsi_seek(struct hvk_scsi_unit *, struct hvk_scsi_cmd *);
enum hvk_scsi_next scsi_unmap(struct hvk_scsi_unit *, struct hvk_scsi_cmd *);
enum hvk_scsi_next scsi_unmap_data(struct hvk_scsi_unit *,
	    struct hvk_scsi_cmd *);
enum hvk_scsi_next scsi_unmap_step(struct hvk_scsi_unit *,
	    struct hvk_scsi_cmd *);
enum hvk_scsi_next scsi_write_same(struct hvk_scsi_unit *,
	    struct hvk_scsi_cmd *);
enum hvk_scsi_next scsi_write_same_data(struct hvk_scsi_unit *,
	    struct hvk_scsi_cmd *);
enum hvk_scsi_next scsi_write_same_step(struct hvk_scsi_unit *,
	    struct hvk_scsi_cmd *);
uint32_t scsi_write_same_max(const struct hvk_scsi_unit *);

/* scsi_cd.c */
enum hvk_scsi_next scsi_start_stop(struct hvk_scsi_unit *,
	    struct hvk_scsi_cmd *);
enum hvk_scsi_next scsi_prevent(struct hvk_scsi_unit *, struct hvk_scsi_cmd *);
enum hvk_scsi_next scsi_read_toc(struct hvk_scsi_unit *,
	    struct hvk_scsi_cmd *);
enum hvk_scsi_next scsi_configuration(struct hvk_scsi_unit *,
	    struct hvk_scsi_cmd *);
enum hvk_scsi_next scsi_event_status(struct hvk_scsi_unit *,
	    struct hvk_scsi_cmd *);
enum hvk_scsi_next scsi_disc_information(struct hvk_scsi_unit *,
	    struct hvk_scsi_cmd *);

#endif /* HVK_HOST_SCSI_INT_H */
