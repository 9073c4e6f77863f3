/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * A SCSI logical unit (disk or CD-ROM) without any I/O of its own.  A CDB
 * goes in; out comes either the finished command (status, sense, data bytes)
 * or one I/O for the caller to do, after which the command goes on.
 *
 * The CDB and the parameter data come from the guest and are hostile.
 *
 * Locking: a unit may be used by several threads at once, each with commands
 * of its own; hvk_scsi_resize(), _eject() and _insert() exclude all others
 * (the caller's lock).  A command belongs to one thread at a time.
 *
 * Facts: SPC-4, SBC-3 and MMC-6.
 */
#ifndef HVK_HOST_SCSI_H
#define HVK_HOST_SCSI_H

#include <hvk/error.h>
#include <hvk/types.h>

#define HVK_SCSI_BUF	4096	/* data of a command that is not medium data */
#define HVK_SCSI_SENSE	18	/* fixed format; a vstor reply holds 20 */
#define HVK_SCSI_CDB	16
#define HVK_SCSI_UNMAPS	64	/* UNMAP descriptors announced and accepted */
#define HVK_SCSI_LUNS	64	/* units of one target */

enum hvk_scsi_status {
	HVK_SCSI_GOOD = 0x00,
	HVK_SCSI_CHECK = 0x02,
	HVK_SCSI_BUSY = 0x08
};

/* Why a unit wants the initiator's attention; reported lowest bit first. */
enum hvk_scsi_attention {
	HVK_SCSI_UA_POWER_ON = 1 << 0,		/* 29/00 */
	HVK_SCSI_UA_MEDIUM = 1 << 1,		/* 28/00 medium may have changed */
	HVK_SCSI_UA_CAPACITY = 1 << 2,		/* 2A/09 */
	HVK_SCSI_UA_LUNS = 1 << 3		/* 3F/0E */
};

enum hvk_scsi_op {
	HVK_SCSI_OP_NONE,
	HVK_SCSI_OP_READ,	/* medium -> the guest's buffer */
	HVK_SCSI_OP_WRITE,	/* the guest's buffer -> medium */
	HVK_SCSI_OP_WRITE_BUF,	/* cmd->buf -> medium */
	HVK_SCSI_OP_FLUSH,
	HVK_SCSI_OP_UNMAP,
	HVK_SCSI_OP_ZERO
};

/* What to do after a step. */
enum hvk_scsi_next {
	HVK_SCSI_DONE,	/* status, sense, fault; data_len bytes of buf or io */
	HVK_SCSI_IO,	/* do op on [offset, +length), then hvk_scsi_done() */
	HVK_SCSI_DATA	/* copy data_len bytes from the guest into buf, then
			   hvk_scsi_data() */
};

/* The guest's buffer does not fit the CDB: for the transport to report. */
enum hvk_scsi_fault {
	HVK_SCSI_FITS,
	HVK_SCSI_OVERRUN,	/* the buffer is smaller than the transfer */
	HVK_SCSI_DIRECTION	/* the buffer is for the other direction */
};

enum hvk_scsi_error {		/* of an I/O, as the caller saw it */
	HVK_SCSI_IO_OK,
	HVK_SCSI_IO_MEDIUM,	/* 03: unrecovered read or write error */
	HVK_SCSI_IO_NOSPACE,	/* 07/27/07: thin provisioning, no space */
	HVK_SCSI_IO_PROTECT,	/* 07/27/00: became read-only */
	HVK_SCSI_IO_GONE	/* 02/3A/00: the medium went away */
};

enum hvk_scsi_kind { HVK_SCSI_DISK = 0, HVK_SCSI_CDROM = 5 };

struct hvk_scsi_config {
	enum hvk_scsi_kind kind;
	uint64_t size;		/* bytes; the tail below a sector is unused */
	uint32_t sector;	/* 512, 2048 or 4096 */
	uint32_t physical;	/* physical sector, >= sector; 0 = same */
	uint32_t max_transfer;	/* bytes, multiple of sector */
	bool read_only;
	bool thin;		/* UNMAP is offered */
	bool zeroes;		/* unmapped sectors read as zeroes */
	bool rotational;
	bool no_medium;		/* CD-ROM: empty tray */
	uint64_t id;		/* stable; the NAA and T10 designators */
	const char *serial;	/* <= 20 characters */
};

struct hvk_scsi_unit {
	enum hvk_scsi_kind kind;
	uint64_t sectors;
	uint32_t sector, shift;	/* sector == 1 << shift */
	uint32_t max_transfer;	/* sectors */
	uint8_t physical_exp;
	bool read_only, thin, zeroes, rotational;
	bool medium, locked;	/* CD-ROM: present; removal prevented */
	bool event;		/* CD-ROM: a media event is to be told */
	uint64_t id;
	char serial[21];
	uint32_t attention;	/* enum hvk_scsi_attention, atomic */
};

struct hvk_scsi_cmd {
	enum hvk_scsi_op op;
	uint64_t offset, length;	/* bytes */
	bool fua;		/* a write must reach the medium */
	uint8_t status;
	uint8_t sense_len;
	uint8_t fault;		/* enum hvk_scsi_fault */
	bool ejected;		/* CD-ROM: the medium was just unloaded */
	uint32_t data_len;	/* DONE: bytes of buf for the guest */
	uint32_t io_len;	/* DONE: medium bytes moved */
	uint8_t sense[HVK_SCSI_SENSE];
	/* private */
	uint8_t cdb[HVK_SCSI_CDB];
	uint32_t in_len, out_len;	/* the guest's buffer, by direction */
	uint32_t step, steps;		/* UNMAP descriptors */
	uint64_t lba, left;		/* WRITE SAME, sectors */
	uint8_t buf[HVK_SCSI_BUF] __attribute__((aligned(8)));
};

/*
 * HVK_RANGE: sector not one of 512, 2048, 4096, physical not a power of two
 * multiple of it up to 2^15, max_transfer 0 or not a multiple of sector.
 */
int	hvk_scsi_unit_init(struct hvk_scsi_unit *,
	    const struct hvk_scsi_config *);

/*
 * Begin a command.  `in` is the bytes the guest can receive, `out` the bytes
 * it offers; a buffer of unknown direction counts as both.  luns is the
 * bitmap of units present in this target (REPORT LUNS).
 */
enum hvk_scsi_next hvk_scsi_start(struct hvk_scsi_unit *,
	    struct hvk_scsi_cmd *, const uint8_t *cdb, uint32_t cdb_len,
	    uint32_t in, uint32_t out, uint64_t luns);
enum hvk_scsi_next hvk_scsi_data(struct hvk_scsi_unit *,
	    struct hvk_scsi_cmd *);
enum hvk_scsi_next hvk_scsi_done(struct hvk_scsi_unit *,
	    struct hvk_scsi_cmd *, enum hvk_scsi_error);

/*
 * A command for a LUN where nothing is: true if it is answered (INQUIRY,
 * REPORT LUNS, REQUEST SENSE), false if the transport shall say so itself.
 */
bool	hvk_scsi_absent(struct hvk_scsi_cmd *, const uint8_t *cdb,
	    uint32_t cdb_len, uint32_t in, uint64_t luns);

void	hvk_scsi_attend(struct hvk_scsi_unit *, uint32_t attention);
/* A new size in bytes; raises 2A/09 when the sector count changes. */
void	hvk_scsi_resize(struct hvk_scsi_unit *, uint64_t size);
/* The host's side of a CD tray; the medium's size in bytes. */
void	hvk_scsi_insert(struct hvk_scsi_unit *, uint64_t size);
void	hvk_scsi_eject(struct hvk_scsi_unit *);

#endif /* HVK_HOST_SCSI_H */
