/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * What a CD-ROM has beyond a disk: tray, table of contents, features, events.
 * One data track in one session.
 *
 * Locking: see hvk/host/scsi.h.  START STOP UNIT changes the medium from a
 * command, so cmd->ejected tells the caller.  Facts: MMC-6 section 6.
 */
#include "scsi_int.h"

enum {
	TRACK_DATA = 0x14,	/* ADR 1, data track, copying forbidden */
	LEAD_OUT = 0xaa,
	PROFILE_CDROM = 0x0008
};

enum hvk_scsi_next
scsi_start_stop(struct hvk_scsi_unit *u, struct hvk_scsi_cmd *cmd)
{
	bool load, start;

	if ((cmd->cdb[4] & 0xf0) != 0)	/* power conditions: nothing to do */
		return (scsi_good(cmd));
	start = (cmd->cdb[4] & 1) != 0;
	load = (cmd->cdb[4] & 2) != 0;
	if (!load || u->kind != HVK_SCSI_CDROM)
		return (scsi_good(cmd));
	if (start)	/* the host closes the tray; nothing lies in it */
		return (u->medium ? scsi_good(cmd) :
		    scsi_fail(cmd, KEY_NOT_READY, ASC_NO_MEDIUM));
	if (u->locked)
		return (scsi_fail(cmd, KEY_ILLEGAL, ASC_LOCKED));
	if (u->medium) {
		hvk_scsi_eject(u);
		cmd->ejected = true;
	}
	return (scsi_good(cmd));
}

enum hvk_scsi_next
scsi_prevent(struct hvk_scsi_unit *u, struct hvk_scsi_cmd *cmd)
{

	if (u->kind == HVK_SCSI_CDROM)
		u->locked = (cmd->cdb[4] & 1) != 0;
	return (scsi_good(cmd));
}

static void
toc_address(uint8_t *p, uint32_t lba, bool msf)
{

	if (!msf) {
		put32(p, lba);
		return;
	}
	lba += 150;		/* two seconds of lead-in */
	p[0] = 0;
	p[1] = (uint8_t)(lba / (75 * 60));
	p[2] = (uint8_t)(lba / 75 % 60);
	p[3] = (uint8_t)(lba % 75);
}

static uint32_t
toc_entry(uint8_t *p, uint8_t track, uint32_t lba, bool msf)
{

	p[0] = 0;
	p[1] = TRACK_DATA;
	p[2] = track;
	p[3] = 0;
	toc_address(p + 4, lba, msf);
	return (8);
}

enum hvk_scsi_next
scsi_read_toc(struct hvk_scsi_unit *u, struct hvk_scsi_cmd *cmd)
{
	uint8_t *p = cmd->buf;
	uint32_t end, format, len;
	uint8_t track = cmd->cdb[6];
	bool msf;

	msf = (cmd->cdb[1] & 2) != 0;
	format = cmd->cdb[2] & 0x0f;
	if (format == 0)	/* the old place, vendor specific bits */
		format = cmd->cdb[9] >> 6;
	end = u->sectors > 0xffffffffu - 150 ? 0xffffffffu - 150 :
	    (uint32_t)u->sectors;
	len = 4;
	p[2] = p[3] = 1;	/* first and last track, or session */
	switch (format) {
	case 0:
		if (track > 1 && track != LEAD_OUT)
			return (scsi_bad_field(cmd, 6));
		if (track <= 1)
			len += toc_entry(p + len, 1, 0, msf);
		len += toc_entry(p + len, LEAD_OUT, end, msf);
		break;
	case 1:
		len += toc_entry(p + len, 1, 0, msf);
		break;
	default:
		return (scsi_bad_field(cmd, 2));
	}
	put16(p, len - 2);
	return (scsi_reply(cmd, len, be16(cmd->cdb + 7)));
}

static uint32_t
feature_put(uint8_t *p, uint32_t code, uint8_t flags, const uint8_t *body,
    uint8_t len)
{

	put16(p, code);
	p[2] = flags;		/* version, persistent, current */
	p[3] = len;
	__builtin_memcpy(p + 4, body, len);
	return (4u + len);
}

enum hvk_scsi_next
scsi_configuration(struct hvk_scsi_unit *u, struct hvk_scsi_cmd *cmd)
{
	static const struct {
		uint16_t code;
		uint8_t flags, len;
		uint8_t body[8];
	} features[] = {
		{ 0x0000, 0x03, 4, { 0, PROFILE_CDROM, 1, 0 } },
		{ 0x0001, 0x0b, 8, { 0, 0, 0, 1, 0x01, 0, 0, 0 } },
		{ 0x0002, 0x07, 4, { 0, 0, 0, 0 } },	/* morphing */
		{ 0x0003, 0x07, 4, { 0x29, 0, 0, 0 } },	/* tray, eject, lock */
		{ 0x0010, 0x00, 8, { 0, 0, 0x08, 0, 0, 1, 0, 0 } },
		{ 0x001e, 0x08, 4, { 0, 0, 0, 0 } }	/* CD read */
	};
	uint8_t *p = cmd->buf;
	uint32_t i, len, start, type;
	uint8_t flags;

	type = cmd->cdb[1] & 3;
	if (type == 3)
		return (scsi_bad_field(cmd, 1));
	start = be16(cmd->cdb + 2);
	__builtin_memset(p, 0, 8);
	put16(p + 6, u->medium ? PROFILE_CDROM : 0);
	len = 8;
	for (i = 0; i < sizeof(features) / sizeof(features[0]); i++) {
		flags = features[i].flags;
		if (features[i].code >= 0x0010 && u->medium)
			flags |= 1;	/* current while a medium is in */
		if (type == 2 ? features[i].code != start :
		    features[i].code < start)
			continue;
		if (type == 1 && (flags & 1) == 0)
			continue;
		len += feature_put(p + len, features[i].code, flags,
		    features[i].body, features[i].len);
	}
	put32(p, len - 4);
	return (scsi_reply(cmd, len, be16(cmd->cdb + 7)));
}

enum hvk_scsi_next
scsi_event_status(struct hvk_scsi_unit *u, struct hvk_scsi_cmd *cmd)
{
	uint8_t *p = cmd->buf;

	if ((cmd->cdb[1] & 1) == 0)	/* asynchronous: not offered */
		return (scsi_bad_field(cmd, 1));
	__builtin_memset(p, 0, 8);
	p[3] = 0x10;			/* supported: media */
	if ((cmd->cdb[4] & 0x10) == 0) {
		put16(p, 2);
		p[2] = 0x80;		/* no event of the class asked for */
		return (scsi_reply(cmd, 4, be16(cmd->cdb + 7)));
	}
	put16(p, 6);
	p[2] = 4;			/* class: media */
	if (u->event) {
		p[4] = u->medium ? 2 : 3;	/* new media : removal */
		if (be16(cmd->cdb + 7) >= 5)
			u->event = false;
	}
	p[5] = u->medium ? 2 : 0;
	return (scsi_reply(cmd, 8, be16(cmd->cdb + 7)));
}

enum hvk_scsi_next
scsi_disc_information(struct hvk_scsi_unit *u, struct hvk_scsi_cmd *cmd)
{
	uint8_t *p = cmd->buf;

	(void)u;
	if ((cmd->cdb[1] & 7) != 0)
		return (scsi_bad_field(cmd, 1));
	__builtin_memset(p, 0, 34);
	put16(p, 32);
	p[2] = 0x0e;		/* complete session, complete disc */
	p[3] = p[4] = p[5] = p[6] = 1;
	put32(p + 16, 0xffffffffu);
	put32(p + 20, 0xffffffffu);
	return (scsi_reply(cmd, 34, be16(cmd->cdb + 7)));
}
