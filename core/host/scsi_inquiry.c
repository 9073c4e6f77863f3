/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * What a SCSI unit says about itself: INQUIRY, the vital product data pages,
 * REPORT LUNS, REPORT SUPPORTED OPERATION CODES.
 *
 * Vendor and product are those of the disks that guests know from Hyper-V, so
 * that their tables of quirks and their administrators' rules fit.
 *
 * Locking: none.  Facts: SPC-4 sections 6.4 to 6.35 and 7.8, SBC-3 6.6.
 */
#include "scsi_int.h"

#define VENDOR	"Msft    "

static uint32_t
min32(uint32_t a, uint32_t b)
{

	return (a < b ? a : b);
}

static enum hvk_scsi_next
inquiry_standard(struct hvk_scsi_unit *u, struct hvk_scsi_cmd *cmd)
{
	/* SAM-5, SPC-4, and SBC-3 or MMC-6 */
	static const uint16_t claims[2][3] = {
		{ 0x00a0, 0x0460, 0x04c0 }, { 0x00a0, 0x0460, 0x04e0 }
	};
	uint8_t *p = cmd->buf;
	bool cd = u->kind == HVK_SCSI_CDROM;
	uint32_t i;

	__builtin_memset(p, 0, 64);
	p[0] = (uint8_t)u->kind;
	p[1] = cd ? 0x80 : 0;		/* removable */
	p[2] = 6;			/* SPC-4 */
	p[3] = 0x12;			/* HISUP, format 2 */
	p[4] = 64 - 5;
	p[7] = 0x02;			/* CMDQUE */
	__builtin_memcpy(p + 8, VENDOR, 8);
	__builtin_memcpy(p + 16, cd ? "Virtual DVD-ROM " : "Virtual Disk    ",
	    16);
	__builtin_memcpy(p + 32, "1.0 ", 4);
	for (i = 0; i < 3; i++)
		put16(p + 58 + 2 * i, claims[cd][i]);
	return (scsi_reply(cmd, 64, be16(cmd->cdb + 3)));
}

static uint32_t
vpd_pages(const struct hvk_scsi_unit *u, uint8_t *p)
{
	static const uint8_t pages[] = { 0x00, 0x80, 0x83, 0xb0, 0xb1, 0xb2 };
	uint32_t n;

	n = u->kind == HVK_SCSI_CDROM ? 3 : sizeof(pages);
	__builtin_memcpy(p + 4, pages, n);
	return (n);
}

static uint32_t
vpd_serial(const struct hvk_scsi_unit *u, uint8_t *p)
{
	uint32_t n;

	for (n = 0; u->serial[n] != 0; n++)
		p[4 + n] = (uint8_t)u->serial[n];
	return (n);
}

static uint32_t
vpd_identification(const struct hvk_scsi_unit *u, uint8_t *p)
{
	static const char hex[] = "0123456789abcdef";
	uint8_t *d = p + 4;
	uint32_t i;

	/* Binary, NAA 3: locally assigned. */
	d[0] = 0x01;
	d[1] = 0x03;
	d[3] = 8;
	put64(d + 4, u->id);
	d[4] = (uint8_t)(0x30 | (d[4] & 0x0f));
	d += 12;
	/* ASCII, T10 vendor identification: vendor and the id in hex. */
	d[0] = 0x02;
	d[1] = 0x01;
	d[3] = 8 + 16;
	__builtin_memcpy(d + 4, VENDOR, 8);
	for (i = 0; i < 16; i++)
		d[12 + i] = (uint8_t)hex[u->id >> (60 - 4 * i) & 0x0f];
	return (12 + 28);
}

static uint32_t
vpd_limits(const struct hvk_scsi_unit *u, uint8_t *p)
{
	uint32_t granularity;

	granularity = 4096u >> u->shift;
	if (granularity < 1u << u->physical_exp)
		granularity = 1u << u->physical_exp;
	p[4] = 0x01;				/* WSNZ */
	put16(p + 6, granularity);		/* optimal granularity */
	put32(p + 8, u->max_transfer);
	put32(p + 12, u->max_transfer);		/* optimal */
	if (u->thin) {
		put32(p + 20, 0xffffffffu);	/* no limit of LBAs */
		put32(p + 24, HVK_SCSI_UNMAPS);
		put32(p + 28, granularity);
		put32(p + 32, 0x80000000u);	/* alignment 0, valid */
	}
	put64(p + 36, scsi_write_same_max(u));
	return (0x3c);
}

static uint32_t
vpd_characteristics(const struct hvk_scsi_unit *u, uint8_t *p)
{

	put16(p + 4, u->rotational ? 0 : 1);	/* not reported : none */
	return (0x3c);
}

static uint32_t
vpd_provisioning(const struct hvk_scsi_unit *u, uint8_t *p)
{

	if (u->thin) {
		p[5] = 0x80 | 0x40 | 0x20;	/* UNMAP, WRITE SAME 16, 10 */
		if (u->zeroes)
			p[5] |= 0x04;		/* LBPRZ */
		p[6] = 2;			/* thin */
	}
	return (4);
}

enum hvk_scsi_next
scsi_inquiry(struct hvk_scsi_unit *u, struct hvk_scsi_cmd *cmd)
{
	uint8_t *p = cmd->buf;
	uint32_t len;
	bool disk;

	if ((cmd->cdb[1] & 0xfe) != 0)
		return (scsi_bad_field(cmd, 1));
	if ((cmd->cdb[1] & 1) == 0) {
		if (cmd->cdb[2] != 0)
			return (scsi_bad_field(cmd, 2));
		return (inquiry_standard(u, cmd));
	}
	disk = u->kind == HVK_SCSI_DISK;
	__builtin_memset(p, 0, 64);
	if (cmd->cdb[2] == 0x00)
		len = vpd_pages(u, p);
	else if (cmd->cdb[2] == 0x80)
		len = vpd_serial(u, p);
	else if (cmd->cdb[2] == 0x83)
		len = vpd_identification(u, p);
	else if (cmd->cdb[2] == 0xb0 && disk)
		len = vpd_limits(u, p);
	else if (cmd->cdb[2] == 0xb1 && disk)
		len = vpd_characteristics(u, p);
	else if (cmd->cdb[2] == 0xb2 && disk)
		len = vpd_provisioning(u, p);
	else
		return (scsi_bad_field(cmd, 2));
	p[0] = (uint8_t)u->kind;
	p[1] = cmd->cdb[2];
	put16(p + 2, len);
	return (scsi_reply(cmd, 4 + len, be16(cmd->cdb + 3)));
}

/* No unit here: peripheral qualifier 3, device type unknown. */
enum hvk_scsi_next
scsi_inquiry_absent(struct hvk_scsi_cmd *cmd)
{

	if (cmd->cdb[1] != 0 || cmd->cdb[2] != 0)
		return (scsi_bad_field(cmd, cmd->cdb[1] != 0 ? 1 : 2));
	__builtin_memset(cmd->buf, 0, 36);
	cmd->buf[0] = 0x7f;
	cmd->buf[2] = 6;
	cmd->buf[3] = 0x12;
	cmd->buf[4] = 36 - 5;
	__builtin_memcpy(cmd->buf + 8, VENDOR, 8);
	__builtin_memset(cmd->buf + 16, ' ', 20);
	return (scsi_reply(cmd, 36, be16(cmd->cdb + 3)));
}

enum hvk_scsi_next
scsi_report_luns_bitmap(struct hvk_scsi_cmd *cmd, uint64_t luns)
{
	uint8_t *p = cmd->buf;
	uint32_t allocation, i, n;

	allocation = be32(cmd->cdb + 6);
	if (cmd->cdb[2] > 0x02)
		return (scsi_bad_field(cmd, 2));
	if (allocation < 16)
		return (scsi_bad_field(cmd, 6));
	if (cmd->cdb[2] == 0x01)	/* only well known units: none */
		luns = 0;
	__builtin_memset(p, 0, 8 + 8 * HVK_SCSI_LUNS);
	for (i = n = 0; i < HVK_SCSI_LUNS; i++) {
		if ((luns >> i & 1) != 0)
			p[8 + 8 * n++ + 1] = (uint8_t)i;
	}
	put32(p, 8 * n);
	return (scsi_reply(cmd, 8 + 8 * n, allocation));
}

static bool
opcode_ours(const struct hvk_scsi_unit *u, const struct scsi_command *c)
{

	if (c->run == NULL)
		return (false);
	if (c->opcode == UNMAP && !u->thin)
		return (false);
	return ((c->flags & (u->kind == HVK_SCSI_CDROM ? CMD_CD :
	    CMD_DISK)) != 0);
}

static enum hvk_scsi_next
opcodes_all(struct hvk_scsi_unit *u, struct hvk_scsi_cmd *cmd)
{
	const struct scsi_command *c;
	uint8_t *p = cmd->buf + 4;
	uint32_t each, i;

	each = (cmd->cdb[2] & 0x80) != 0 ? 20 : 8;	/* with timeouts */
	for (i = 0; i < 256; i++) {
		c = &hvk_scsi_commands[i];
		if (!opcode_ours(u, c))
			continue;
		__builtin_memset(p, 0, each);
		p[0] = c->opcode;
		if (c->action != 0xff) {
			p[3] = c->action;
			p[5] |= 1;
		}
		p[7] = c->length;
		if (each == 20) {
			p[5] |= 2;
			p[9] = 10;	/* no timeouts to tell */
		}
		p += each;
	}
	put32(cmd->buf, (uint32_t)(p - cmd->buf) - 4);
	return (scsi_reply(cmd, (uint32_t)(p - cmd->buf),
	    be32(cmd->cdb + 6)));
}

enum hvk_scsi_next
scsi_report_opcodes(struct hvk_scsi_unit *u, struct hvk_scsi_cmd *cmd)
{
	const struct scsi_command *c = &hvk_scsi_commands[cmd->cdb[3]];
	uint32_t action, len, option;
	bool ours;

	option = cmd->cdb[2] & 7;
	action = be16(cmd->cdb + 4);
	if (option == 0)
		return (opcodes_all(u, cmd));
	if (option > 3)
		return (scsi_bad_field(cmd, 2));
	ours = opcode_ours(u, c);
	if (option == 1 && ours && c->action != 0xff)
		return (scsi_bad_field(cmd, 4));
	if (option == 2 && ours && c->action == 0xff)
		return (scsi_bad_field(cmd, 4));
	if (ours && c->action != 0xff && action != c->action)
		ours = false;
	__builtin_memset(cmd->buf, 0, 32);
	cmd->buf[1] = ours ? 3 : 1;
	len = 4;
	if (ours) {
		put16(cmd->buf + 2, c->length);
		__builtin_memcpy(cmd->buf + 4, c->usage, c->length);
		if (c->action != 0xff)
			cmd->buf[5] = c->action;
		len += c->length;
		if ((cmd->cdb[2] & 0x80) != 0) {
			cmd->buf[1] |= 0x80;
			put16(cmd->buf + len, 10);
			len += 12;
		}
	}
	return (scsi_reply(cmd, min32(len, 32), be32(cmd->cdb + 6)));
}
