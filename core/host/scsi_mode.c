/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * Mode pages of a SCSI unit: read only.  MODE SELECT is refused, because
 * nothing that a mode page holds can be changed here.
 *
 * Locking: none.  Facts: SPC-4 sections 6.11, 6.13 and 7.5, SBC-3 6.5.
 */
#include "scsi_int.h"

enum {
	PAGE_RECOVERY = 0x01,
	PAGE_CACHING = 0x08,
	PAGE_CONTROL = 0x0a,
	PAGE_EXCEPTIONS = 0x1c,
	PAGE_CD = 0x2a,
	PAGE_ALL = 0x3f
};

struct mode_page {
	uint8_t code, len, kinds;
	uint8_t body[18];
};

static const struct mode_page mode_pages[] = {
	{ PAGE_RECOVERY, 10, CMD_DISK, { 0xc0 } },	/* AWRE, ARRE */
	{ PAGE_RECOVERY, 6, CMD_CD, { 0 } },
	{ PAGE_CACHING, 18, CMD_BOTH, { 0x04 } },	/* WCE */
	{ PAGE_CONTROL, 10, CMD_BOTH, { 0x02, 0x10 } },	/* GLTSD, reorder */
	{ PAGE_EXCEPTIONS, 10, CMD_BOTH, { 0x08 } },	/* DEXCPT */
	{ PAGE_CD, 18, CMD_CD, { 0x03, 0, 0x71, 0, 0x29 } }
};

static uint32_t
mode_page_put(const struct hvk_scsi_unit *u, uint8_t *p, uint32_t code,
    uint32_t control)
{
	const struct mode_page *page;
	uint32_t i, kind, len;

	len = 0;
	kind = u->kind == HVK_SCSI_CDROM ? CMD_CD : CMD_DISK;
	for (i = 0; i < sizeof(mode_pages) / sizeof(mode_pages[0]); i++) {
		page = &mode_pages[i];
		if ((page->kinds & kind) == 0 ||
		    (code != PAGE_ALL && code != page->code))
			continue;
		p[len] = page->code;
		p[len + 1] = page->len;
		__builtin_memset(p + len + 2, 0, page->len);
		if (control != 1)	/* 1: which bits can be changed */
			__builtin_memcpy(p + len + 2, page->body, page->len);
		/* Nothing is cached for writing on a read-only unit. */
		if (page->code == PAGE_CACHING && u->read_only)
			p[len + 2] = 0;
		len += 2u + page->len;
	}
	return (len);
}

static uint32_t
mode_descriptor(const struct hvk_scsi_unit *u, uint8_t *p, bool wide)
{
	uint64_t n = u->sectors;

	if (wide) {
		put64(p, n);
		put32(p + 8, 0);
		put32(p + 12, u->sector);
		return (16);
	}
	put32(p, n > 0xffffffffu ? 0xffffffffu : (uint32_t)n);
	put32(p + 4, u->sector);
	return (8);
}

enum hvk_scsi_next
scsi_mode_sense(struct hvk_scsi_unit *u, struct hvk_scsi_cmd *cmd)
{
	uint8_t *p = cmd->buf;
	uint32_t allocation, control, descriptor, head, len, pages;
	uint8_t specific;
	bool ten;

	ten = cmd->cdb[0] == MODE_SENSE_10;
	control = cmd->cdb[2] >> 6;
	if (control == 3)
		return (scsi_fail(cmd, KEY_ILLEGAL, ASC_SAVING));
	if (cmd->cdb[3] != 0 && (cmd->cdb[3] != 0xff ||
	    (cmd->cdb[2] & 0x3f) != PAGE_ALL))
		return (scsi_bad_field(cmd, 3));
	head = ten ? 8 : 4;
	allocation = ten ? be16(cmd->cdb + 7) : cmd->cdb[4];
	descriptor = 0;
	__builtin_memset(p, 0, head);
	if (u->kind == HVK_SCSI_DISK && (cmd->cdb[1] & 0x08) == 0)
		descriptor = mode_descriptor(u, p + head,
		    ten && (cmd->cdb[1] & 0x10) != 0);
	pages = mode_page_put(u, p + head + descriptor,
	    cmd->cdb[2] & 0x3f, control);
	if (pages == 0)
		return (scsi_bad_field(cmd, 2));
	len = head + descriptor + pages;
	specific = 0;
	if (u->kind == HVK_SCSI_DISK)	/* write protect, DPOFUA */
		specific = u->read_only ? 0x90 : 0x10;
	if (ten) {
		put16(p, len - 2);
		p[3] = specific;
		p[4] = descriptor == 16;	/* LONGLBA */
		put16(p + 6, descriptor);
	} else {
		p[0] = (uint8_t)(len - 1);
		p[2] = specific;
		p[3] = (uint8_t)descriptor;
	}
	return (scsi_reply(cmd, len, allocation));
}

enum hvk_scsi_next
scsi_mode_select(struct hvk_scsi_unit *u, struct hvk_scsi_cmd *cmd)
{
	uint32_t len;

	(void)u;
	len = cmd->cdb[0] == MODE_SELECT_10 ? be16(cmd->cdb + 7) :
	    cmd->cdb[4];
	if ((cmd->cdb[1] & 1) != 0)	/* save pages */
		return (scsi_bad_field(cmd, 1));
	if (len == 0)			/* not an error */
		return (scsi_good(cmd));
	return (scsi_fail(cmd, KEY_ILLEGAL, ASC_LIST_FIELD));
}
