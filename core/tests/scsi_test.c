/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * The SCSI unit: what each command answers when it is right, cut short or
 * wrong, as tables of CDBs, and random commands against a model of a disk.
 */
#include <atf-c.h>
#include <stdlib.h>
#include <string.h>

#include <hvk/host/scsi.h>

#define	SECTORS		4096u

static struct hvk_scsi_unit unit;
static struct hvk_scsi_cmd cmd;
static uint8_t *medium;
static uint8_t guest[1 << 20];

static void
make_unit(enum hvk_scsi_kind kind, uint32_t sector, bool read_only)
{
	struct hvk_scsi_config c = {
		.kind = kind, .size = (uint64_t)SECTORS * sector,
		.sector = sector, .physical = kind == HVK_SCSI_DISK ? 4096 : 0,
		.max_transfer = 1 << 20, .read_only = read_only, .thin = true,
		.zeroes = true, .id = 0x1122334455667788ull,
		.serial = "serial-0"
	};

	ATF_REQUIRE_EQ(HVK_OK, hvk_scsi_unit_init(&unit, &c));
}

static enum hvk_scsi_next
do_io(void)
{
	uint8_t *at = medium + cmd.offset;

	ATF_REQUIRE(cmd.offset + cmd.length <=
	    (uint64_t)unit.sectors << unit.shift);
	if (medium == NULL)
		return (hvk_scsi_done(&unit, &cmd, HVK_SCSI_IO_OK));
	switch (cmd.op) {
	case HVK_SCSI_OP_READ:
		memcpy(guest, at, cmd.length);
		break;
	case HVK_SCSI_OP_WRITE:
		memcpy(at, guest, cmd.length);
		break;
	case HVK_SCSI_OP_WRITE_BUF:
		ATF_REQUIRE(cmd.length <= HVK_SCSI_BUF);
		memcpy(at, cmd.buf, cmd.length);
		break;
	case HVK_SCSI_OP_UNMAP:
	case HVK_SCSI_OP_ZERO:
		memset(at, 0, cmd.length);
		break;
	default:
		break;
	}
	return (hvk_scsi_done(&unit, &cmd, HVK_SCSI_IO_OK));
}

/* Run a command to its end. */
static void
run(const uint8_t *cdb, uint32_t len, uint32_t in, uint32_t out)
{
	enum hvk_scsi_next next;

	next = hvk_scsi_start(&unit, &cmd, cdb, len, in, out, 0x8001);
	while (next != HVK_SCSI_DONE) {
		if (next == HVK_SCSI_DATA) {
			ATF_REQUIRE(cmd.data_len <= out);
			ATF_REQUIRE(cmd.data_len <= HVK_SCSI_BUF);
			memcpy(cmd.buf, guest, cmd.data_len);
			next = hvk_scsi_data(&unit, &cmd);
		} else {
			next = do_io();
		}
	}
	ATF_REQUIRE(cmd.data_len + cmd.io_len <= (in > out ? in : out));
}

static uint32_t
sense(void)
{

	return (cmd.status == HVK_SCSI_GOOD ? 0 : (uint32_t)cmd.sense[2] << 16 |
	    (uint32_t)cmd.sense[12] << 8 | cmd.sense[13]);
}

struct row {
	const char *what;
	uint8_t cdb[16];
	uint32_t len, in, out;
	uint32_t sense;		/* key << 16 | asc << 8 | ascq; 0 good */
	uint32_t done;		/* bytes moved */
	uint8_t fault;
};

static void
table(const struct row *r, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++, r++) {
		memset(guest, 0, 8192);
		run(r->cdb, r->len, r->in, r->out);
		ATF_CHECK_MSG(sense() == r->sense &&
		    cmd.data_len + cmd.io_len == r->done &&
		    cmd.fault == r->fault, "%s: sense %06x done %u fault %u",
		    r->what, sense(), cmd.data_len + cmd.io_len, cmd.fault);
		if (r->sense != 0)
			ATF_CHECK_EQ(HVK_SCSI_SENSE, cmd.sense_len);
	}
}
#define	RUN(rows)	table(rows, sizeof(rows) / sizeof(rows[0]))

ATF_TC(disk_table);
ATF_TC_HEAD(disk_table, tc)
{
	atf_tc_set_md_var(tc, "descr", "disk commands: right, cut, wrong");
	atf_tc_set_md_var(tc, "X-feature", "stor.basic");
}
ATF_TC_BODY(disk_table, tc)
{
	static const struct row rows[] = {
	    { "ready", { 0x00 }, 6, 0, 0, 0, 0, 0 },
	    { "ready, NACA", { 0, 0, 0, 0, 0, 4 }, 6, 0, 0, 0x052400, 0, 0 },
	    { "ready, short CDB", { 0x00 }, 5, 0, 0, 0x052400, 0, 0 },
	    { "no CDB", { 0x00 }, 0, 0, 0, 0x052000, 0, 0 },
	    { "unknown", { 0xff }, 16, 0, 0, 0x052000, 0, 0 },
	    { "inquiry", { 0x12, 0, 0, 0, 36 }, 6, 36, 0, 0, 36, 0 },
	    { "inquiry all", { 0x12, 0, 0, 1, 0 }, 6, 256, 0, 0, 64, 0 },
	    { "inquiry 0", { 0x12 }, 6, 0, 0, 0, 0, 0 },
	    { "inquiry, small buffer", { 0x12, 0, 0, 0, 36 }, 6, 8, 0, 0, 8,
	      HVK_SCSI_OVERRUN },
	    { "inquiry, wrong way", { 0x12, 0, 0, 0, 36 }, 6, 0, 36, 0, 0,
	      HVK_SCSI_DIRECTION },
	    { "inquiry, page without EVPD", { 0x12, 0, 0x80, 0, 36 }, 6, 36, 0,
	      0x052400, 0, 0 },
	    { "inquiry, no such page", { 0x12, 1, 0x99, 0, 36 }, 6, 36, 0,
	      0x052400, 0, 0 },
	    { "page 00", { 0x12, 1, 0, 0, 255 }, 6, 255, 0, 0, 10, 0 },
	    { "page 80", { 0x12, 1, 0x80, 0, 255 }, 6, 255, 0, 0, 12, 0 },
	    { "page 83", { 0x12, 1, 0x83, 0, 255 }, 6, 255, 0, 0, 44, 0 },
	    { "page B0", { 0x12, 1, 0xb0, 0, 255 }, 6, 255, 0, 0, 64, 0 },
	    { "page B1", { 0x12, 1, 0xb1, 0, 255 }, 6, 255, 0, 0, 64, 0 },
	    { "page B2", { 0x12, 1, 0xb2, 0, 255 }, 6, 255, 0, 0, 8, 0 },
	    { "page B0 cut", { 0x12, 1, 0xb0, 0, 9 }, 6, 255, 0, 0, 9, 0 },
	    { "capacity", { 0x25 }, 10, 8, 0, 0, 8, 0 },
	    { "capacity, LBA", { 0x25, 0, 0, 0, 0, 1 }, 10, 8, 0, 0x052400, 0,
	      0 },
	    { "capacity 16", { 0x9e, 0x10, [13] = 32 }, 16, 32, 0, 0, 32, 0 },
	    { "capacity 16 cut", { 0x9e, 0x10, [13] = 12 }, 16, 32, 0, 0, 12,
	      0 },
	    { "service action", { 0x9e, 0x11, [13] = 32 }, 16, 32, 0, 0x052400,
	      0, 0 },
	    { "read 6 of 256", { 0x08 }, 6, 131072, 0, 0, 131072, 0 },
	    { "read 10", { 0x28, [8] = 8 }, 10, 4096, 0, 0, 4096, 0 },
	    { "read 10 of 0", { 0x28 }, 10, 0, 0, 0, 0, 0 },
	    { "read 10 protect", { 0x28, 0x20, [8] = 8 }, 10, 4096, 0,
	      0x052400, 0, 0 },
	    { "read 10 small buffer", { 0x28, [8] = 8 }, 10, 4095, 0, 0, 0,
	      HVK_SCSI_OVERRUN },
	    { "read 10 wrong way", { 0x28, [8] = 8 }, 10, 0, 4096, 0, 0,
	      HVK_SCSI_DIRECTION },
	    { "read 10 last", { 0x28, [4] = 0x0f, 0xff, [8] = 1 }, 10, 512, 0,
	      0, 512, 0 },
	    { "read 10 past", { 0x28, [4] = 0x0f, 0xff, [8] = 2 }, 10, 1024, 0,
	      0x052100, 0, 0 },
	    { "read 10 at end", { 0x28, [4] = 0x10, 0, [8] = 0 }, 10, 0, 0,
	      0x052100, 0, 0 },
	    { "read 12", { 0xa8, [9] = 1 }, 12, 512, 0, 0, 512, 0 },
	    { "read 16", { 0x88, [13] = 1 }, 16, 512, 0, 0, 512, 0 },
	    { "read 16 wraps", { 0x88, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	      0xff, 0xff, [13] = 2 }, 16, 1024, 0, 0x052100, 0, 0 },
	    { "read 16 too many", { 0x88, [10] = 0xff, 0xff, 0xff, 0xff }, 16,
	      1024, 0, 0x052100, 0, 0 },
	    { "read 10 above limit", { 0x28, [7] = 0x08, 0x01 }, 10, 1 << 20,
	      0, 0x052400, 0, 0 },
	    { "write 10", { 0x2a, [8] = 8 }, 10, 0, 4096, 0, 4096, 0 },
	    { "write 10 FUA", { 0x2a, 8, [8] = 8 }, 10, 0, 4096, 0, 4096, 0 },
	    { "write 10 short", { 0x2a, [8] = 8 }, 10, 0, 512, 0, 0,
	      HVK_SCSI_OVERRUN },
	    { "verify", { 0x2f, [8] = 8 }, 10, 0, 0, 0, 0, 0 },
	    { "verify compare", { 0x2f, 2, [8] = 8 }, 10, 0, 4096, 0x052400, 0,
	      0 },
	    { "verify past", { 0x8f, [6] = 1, [13] = 1 }, 16, 0, 0, 0x052100,
	      0, 0 },
	    { "seek past", { 0x2b, [4] = 0x10 }, 10, 0, 0, 0x052100, 0, 0 },
	    { "flush", { 0x35 }, 10, 0, 0, 0, 0, 0 },
	    { "flush 16", { 0x91 }, 16, 0, 0, 0, 0, 0 },
	    { "flush past", { 0x91, [6] = 1 }, 16, 0, 0, 0x052100, 0, 0 },
	    { "unmap nothing", { 0x42 }, 10, 0, 0, 0, 0, 0 },
	    { "unmap, tiny list", { 0x42, [8] = 7 }, 10, 0, 7, 0x051a00, 0,
	      0 },
	    { "unmap, empty list", { 0x42, [8] = 8 }, 10, 0, 8, 0, 0, 0 },
	    { "unmap, no data", { 0x42, [8] = 24 }, 10, 0, 0, 0, 0,
	      HVK_SCSI_OVERRUN },
	    { "unmap anchor", { 0x42, 1, [8] = 24 }, 10, 0, 24, 0x052400, 0,
	      0 },
	    { "write same zero", { 0x41, [8] = 8 }, 10, 0, 512, 0, 0, 0 },
	    { "write same NDOB", { 0x93, 9, [13] = 8 }, 16, 0, 0, 0, 0, 0 },
	    { "write same 10 NDOB", { 0x41, 1, [8] = 8 }, 10, 0, 512, 0x052400,
	      0, 0 },
	    { "write same none", { 0x41 }, 10, 0, 512, 0x052400, 0, 0 },
	    { "write same past", { 0x93, [6] = 1, [13] = 1 }, 16, 0, 512,
	      0x052100, 0, 0 },
	    { "report LUNs", { 0xa0, [8] = 1 }, 12, 256, 0, 0, 24, 0 },
	    { "report LUNs small", { 0xa0, [9] = 15 }, 12, 15, 0, 0x052400, 0,
	      0 },
	    { "report LUNs, well known", { 0xa0, 0, 1, [9] = 64 }, 12, 64, 0,
	      0, 8, 0 },
	    { "mode sense all", { 0x1a, 0, 0x3f, 0, 255 }, 6, 255, 0, 0, 68,
	      0 },
	    { "mode sense caching", { 0x1a, 8, 0x08, 0, 255 }, 6, 255, 0, 0,
	      24, 0 },
	    { "mode sense 10", { 0x5a, 8, 0x08, [8] = 255 }, 10, 255, 0, 0, 28,
	      0 },
	    { "mode sense saved", { 0x1a, 0, 0xff, 0, 255 }, 6, 255, 0,
	      0x053900, 0, 0 },
	    { "mode sense none", { 0x1a, 0, 0x2a, 0, 255 }, 6, 255, 0,
	      0x052400, 0, 0 },
	    { "mode select none", { 0x15, 0x10 }, 6, 0, 0, 0, 0, 0 },
	    { "mode select", { 0x15, 0x10, 0, 0, 24 }, 6, 0, 24, 0x052600, 0,
	      0 },
	    { "mode select save", { 0x55, 0x11, [8] = 24 }, 10, 0, 24,
	      0x052400, 0, 0 },
	    { "sense", { 0x03, 0, 0, 0, 252 }, 6, 252, 0, 0, 18, 0 },
	    { "sense, descriptors", { 0x03, 1, 0, 0, 252 }, 6, 252, 0, 0, 8,
	      0 },
	    { "start", { 0x1b, 0, 0, 0, 1 }, 6, 0, 0, 0, 0, 0 },
	    { "prevent", { 0x1e, 0, 0, 0, 1 }, 6, 0, 0, 0, 0, 0 },
	    { "a CD's", { 0x43, [8] = 12 }, 10, 12, 0, 0x052000, 0, 0 },
	    { "opcode read 10", { 0xa3, 0x0c, 1, 0x28, [9] = 64 }, 12, 64, 0,
	      0, 14, 0 },
	    { "opcode unknown", { 0xa3, 0x0c, 1, 0xff, [9] = 64 }, 12, 64, 0,
	      0, 4, 0 },
	    { "opcode needs action", { 0xa3, 0x0c, 1, 0x9e, [9] = 64 }, 12, 64,
	      0, 0x052400, 0, 0 },
	};

	medium = calloc(SECTORS, 512);
	make_unit(HVK_SCSI_DISK, 512, false);
	RUN(rows);
	free(medium);
}

ATF_TC(read_only_table);
ATF_TC_HEAD(read_only_table, tc)
{
	atf_tc_set_md_var(tc, "descr", "what a read-only disk refuses");
	atf_tc_set_md_var(tc, "X-feature", "stor.basic");
}
ATF_TC_BODY(read_only_table, tc)
{
	static const struct row rows[] = {
	    { "write 6", { 0x0a, 0, 0, 0, 1 }, 6, 0, 4096, 0x072700, 0, 0 },
	    { "write 16", { 0x8a, [13] = 1 }, 16, 0, 4096, 0x072700, 0, 0 },
	    { "unmap", { 0x42, [8] = 24 }, 10, 0, 24, 0x072700, 0, 0 },
	    { "write same", { 0x41, [8] = 1 }, 10, 0, 4096, 0x072700, 0, 0 },
	    { "read", { 0x28, [8] = 1 }, 10, 4096, 0, 0, 4096, 0 },
	};

	medium = calloc(SECTORS, 4096);
	make_unit(HVK_SCSI_DISK, 4096, true);
	RUN(rows);
	run((const uint8_t[16]){ 0x1a, 0, 0x08, 0, 255 }, 6, 255, 0);
	ATF_CHECK(cmd.buf[2] & 0x80);		/* write protected */
	ATF_CHECK_EQ(0, cmd.buf[14]);		/* so nothing is cached */
	run((const uint8_t[16]){ 0x25 }, 10, 8, 0);
	ATF_CHECK_EQ(0, memcmp(cmd.buf, "\0\0\x0f\xff\0\0\x10\0", 8));
	free(medium);
}

ATF_TC(cdrom_table);
ATF_TC_HEAD(cdrom_table, tc)
{
	atf_tc_set_md_var(tc, "descr", "a CD-ROM: contents, tray, events");
}
ATF_TC_BODY(cdrom_table, tc)
{
	static const struct row rows[] = {
	    { "read", { 0x28, [8] = 1 }, 10, 2048, 0, 0, 2048, 0 },
	    { "write", { 0x2a, [8] = 1 }, 10, 0, 2048, 0x052000, 0, 0 },
	    { "TOC", { 0x43, 0, 0, [7] = 1 }, 10, 256, 0, 0, 20, 0 },
	    { "TOC lead-out", { 0x43, 2, 0, [6] = 0xaa, [7] = 1 }, 10, 256, 0,
	      0, 12, 0 },
	    { "TOC track 2", { 0x43, 0, 0, [6] = 2, [7] = 1 }, 10, 256, 0,
	      0x052400, 0, 0 },
	    { "session", { 0x43, 0, 1, [7] = 1 }, 10, 256, 0, 0, 12, 0 },
	    { "TOC full", { 0x43, 0, 2, [7] = 1 }, 10, 256, 0, 0x052400, 0,
	      0 },
	    { "features", { 0x46, [7] = 1 }, 10, 256, 0, 0, 64, 0 },
	    { "one feature", { 0x46, 2, 0, 0x1e, [8] = 64 }, 10, 64, 0, 0, 16,
	      0 },
	    { "event", { 0x4a, 1, 0, 0, 0x10, [8] = 8 }, 10, 8, 0, 0, 8, 0 },
	    { "event, later", { 0x4a, 0, 0, 0, 0x10, [8] = 8 }, 10, 8, 0,
	      0x052400, 0, 0 },
	    { "disc", { 0x51, [8] = 34 }, 10, 34, 0, 0, 34, 0 },
	    { "lock", { 0x1e, 0, 0, 0, 1 }, 6, 0, 0, 0, 0, 0 },
	    { "eject locked", { 0x1b, 0, 0, 0, 2 }, 6, 0, 0, 0x055302, 0, 0 },
	    { "unlock", { 0x1e }, 6, 0, 0, 0, 0, 0 },
	    { "eject", { 0x1b, 0, 0, 0, 2 }, 6, 0, 0, 0, 0, 0 },
	    { "not ready", { 0x00 }, 6, 0, 0, 0x023a00, 0, 0 },
	    { "read nothing", { 0x28, [8] = 1 }, 10, 2048, 0, 0x023a00, 0, 0 },
	    { "load nothing", { 0x1b, 0, 0, 0, 3 }, 6, 0, 0, 0x023a00, 0, 0 },
	};

	medium = calloc(SECTORS, 2048);
	make_unit(HVK_SCSI_CDROM, 2048, false);
	RUN(rows);
	hvk_scsi_insert(&unit, (uint64_t)SECTORS * 2048);
	run((const uint8_t[16]){ 0x00 }, 6, 0, 0);
	ATF_CHECK_EQ(0x062800, sense());
	run((const uint8_t[16]){ 0x00 }, 6, 0, 0);
	ATF_CHECK_EQ(0, sense());
	free(medium);
}

ATF_TC(attentions);
ATF_TC_HEAD(attentions, tc)
{
	atf_tc_set_md_var(tc, "descr", "unit attentions come once, in order");
	atf_tc_set_md_var(tc, "X-feature", "stor.resize");
}
ATF_TC_BODY(attentions, tc)
{
	static const uint8_t ready[16];

	make_unit(HVK_SCSI_DISK, 512, false);
	hvk_scsi_attend(&unit, HVK_SCSI_UA_LUNS | HVK_SCSI_UA_POWER_ON);
	hvk_scsi_resize(&unit, (uint64_t)SECTORS * 512);	/* the same */
	hvk_scsi_resize(&unit, (uint64_t)SECTORS * 1024);
	/* These are not held up. */
	run((const uint8_t[16]){ 0x12, 0, 0, 0, 36 }, 6, 36, 0);
	ATF_CHECK_EQ(0, sense());
	run(ready, 6, 0, 0);
	ATF_CHECK_EQ(0x062900, sense());
	run(ready, 6, 0, 0);
	ATF_CHECK_EQ(0x062a09, sense());
	/* REQUEST SENSE tells one, and so takes it. */
	run((const uint8_t[16]){ 0x03, 0, 0, 0, 18 }, 6, 18, 0);
	ATF_CHECK_EQ(0x06, cmd.buf[2]);
	ATF_CHECK_EQ(0x3f, cmd.buf[12]);
	ATF_CHECK_EQ(0x0e, cmd.buf[13]);
	run(ready, 6, 0, 0);
	ATF_CHECK_EQ(0, sense());
	/* REPORT LUNS is the answer to 3F/0E. */
	hvk_scsi_attend(&unit, HVK_SCSI_UA_LUNS);
	run((const uint8_t[16]){ 0xa0, [8] = 1 }, 12, 256, 0);
	run(ready, 6, 0, 0);
	ATF_CHECK_EQ(0, sense());
	run((const uint8_t[16]){ 0x25 }, 10, 8, 0);
	ATF_CHECK_EQ(0, memcmp(cmd.buf, "\0\0\x1f\xff", 4));
}

ATF_TC(io_errors);
ATF_TC_HEAD(io_errors, tc)
{
	atf_tc_set_md_var(tc, "descr", "errors of the medium become sense");
}
ATF_TC_BODY(io_errors, tc)
{
	static const struct { enum hvk_scsi_error e; uint32_t r, w; } rows[] = {
		{ HVK_SCSI_IO_MEDIUM, 0x031100, 0x030c00 },
		{ HVK_SCSI_IO_NOSPACE, 0x072707, 0x072707 },
		{ HVK_SCSI_IO_PROTECT, 0x072700, 0x072700 },
		{ HVK_SCSI_IO_GONE, 0x023a00, 0x023a00 },
	};
	static const uint8_t rd[16] = { 0x28, [8] = 1 }, wr[16] = { 0x2a,
	    [8] = 1 };
	size_t i;

	make_unit(HVK_SCSI_DISK, 512, false);
	for (i = 0; i < 4; i++) {
		ATF_REQUIRE_EQ(HVK_SCSI_IO, hvk_scsi_start(&unit, &cmd, rd, 10,
		    512, 0, 1));
		ATF_CHECK_EQ(HVK_SCSI_DONE, hvk_scsi_done(&unit, &cmd,
		    rows[i].e));
		ATF_CHECK_EQ(rows[i].r, sense());
		ATF_CHECK_EQ(0, cmd.io_len);
		ATF_REQUIRE_EQ(HVK_SCSI_IO, hvk_scsi_start(&unit, &cmd, wr, 10,
		    0, 512, 1));
		(void)hvk_scsi_done(&unit, &cmd, rows[i].e);
		ATF_CHECK_EQ(rows[i].w, sense());
	}
}

ATF_TC(absent);
ATF_TC_HEAD(absent, tc)
{
	atf_tc_set_md_var(tc, "descr", "a LUN where nothing is");
}
ATF_TC_BODY(absent, tc)
{
	ATF_CHECK(hvk_scsi_absent(&cmd, (const uint8_t[16]){ 0x12, 0, 0, 0,
	    36 }, 6, 36, 2));
	ATF_CHECK_EQ(0x7f, cmd.buf[0]);
	ATF_CHECK_EQ(36, cmd.data_len);
	ATF_CHECK(hvk_scsi_absent(&cmd, (const uint8_t[16]){ 0xa0, [9] = 64 },
	    12, 64, 2));
	ATF_CHECK_EQ(16, cmd.data_len);
	ATF_CHECK_EQ(1, cmd.buf[9]);
	/* A target that is not there: no LUN at all. */
	ATF_CHECK(hvk_scsi_absent(&cmd, (const uint8_t[16]){ 0xa0, [9] = 64 },
	    12, 64, 0));
	ATF_CHECK_EQ(8, cmd.data_len);
	ATF_CHECK_EQ(0, cmd.buf[0] | cmd.buf[1] | cmd.buf[2] | cmd.buf[3]);
	ATF_CHECK(!hvk_scsi_absent(&cmd, (const uint8_t[16]){ 0x28, [8] = 1 },
	    10, 512, 2));
	ATF_CHECK(!hvk_scsi_absent(&cmd, (const uint8_t[16]){ 0x12 }, 1, 36,
	    2));
}

/* Unmaps of every shape against the medium. */
ATF_TC(unmap_list);
ATF_TC_HEAD(unmap_list, tc)
{
	atf_tc_set_md_var(tc, "descr", "UNMAP lists: all or none, bounded");
	atf_tc_set_md_var(tc, "X-feature", "stor.trim");
}
ATF_TC_BODY(unmap_list, tc)
{
	static const uint8_t cdb[16] = { 0x42, [7] = 0, [8] = 40 };
	static const uint8_t huge[16] = { 0x42, [7] = 0xff, [8] = 0xff };

	medium = malloc(SECTORS * 512);
	memset(medium, 0xee, SECTORS * 512);
	make_unit(HVK_SCSI_DISK, 512, false);
	memset(guest, 0, 65536);
	guest[1] = 38;
	guest[3] = 32;
	guest[8 + 7] = 2;		/* LBA 2, one sector */
	guest[8 + 11] = 1;
	guest[24 + 6] = 0x0f;		/* the last two */
	guest[24 + 7] = 0xfe;
	guest[24 + 11] = 3;		/* one too many */
	run(cdb, 10, 0, 40);
	ATF_CHECK_EQ(0x052100, sense());
	ATF_CHECK_EQ(0xee, medium[1024]);
	guest[24 + 11] = 2;
	run(cdb, 10, 0, 40);
	ATF_CHECK_EQ(0, sense());
	ATF_CHECK_EQ(0xee, medium[1023]);
	ATF_CHECK_EQ(0, medium[1024]);
	ATF_CHECK_EQ(0xee, medium[1536]);
	ATF_CHECK_EQ(0, medium[4094 * 512]);
	ATF_CHECK_EQ(0xee, medium[4094 * 512 - 1]);
	/* Lengths that contradict the CDB. */
	guest[3] = 48;
	run(cdb, 10, 0, 40);
	ATF_CHECK_EQ(0x051a00, sense());
	/* More descriptors than announced. */
	guest[0] = guest[2] = 0x10;
	run(huge, 10, 0, 65535);
	ATF_CHECK_EQ(0x052600, sense());
	free(medium);
}

ATF_TC(random_commands);
ATF_TC_HEAD(random_commands, tc)
{
	atf_tc_set_md_var(tc, "descr",
	    "200,000 random commands end, inside the medium, as a model does");
}
ATF_TC_BODY(random_commands, tc)
{
	static const uint8_t ops[] = { 0x08, 0x0a, 0x28, 0x2a, 0x88, 0x8a,
	    0xa8, 0xaa, 0x41, 0x93, 0x42, 0x25, 0x9e, 0x12, 0x1a, 0xa3 };
	uint8_t cdb[16], *model;
	uint64_t lba;
	uint32_t count, i, k, moved = 0;

	srandom(7);
	medium = malloc(SECTORS * 512);
	model = malloc(SECTORS * 512);
	memset(medium, 1, SECTORS * 512);
	memset(model, 1, SECTORS * 512);
	make_unit(HVK_SCSI_DISK, 512, false);
	for (i = 0; i < 200000; i++) {
		for (k = 0; k < 16; k++)
			cdb[k] = random() % 4 == 0 ? (uint8_t)random() : 0;
		cdb[0] = random() % 8 == 0 ? (uint8_t)random() :
		    ops[(size_t)random() % sizeof(ops)];
		memset(guest, (int)(random() & 3), 65536);
		/* The model knows only a plain WRITE(16) and READ(16). */
		if (random() % 2 == 0) {
			lba = (uint64_t)random() % (SECTORS + 8);
			count = (uint32_t)random() % 64;
			memset(cdb, 0, sizeof(cdb));
			cdb[0] = random() % 2 ? 0x88 : 0x8a;
			cdb[8] = (uint8_t)(lba >> 8);
			cdb[9] = (uint8_t)lba;
			cdb[13] = (uint8_t)count;
			run(cdb, 16, cdb[0] == 0x88 ? 65536 : 0,
			    cdb[0] == 0x8a ? 65536 : 0);
			if (lba >= SECTORS || lba + count > SECTORS) {
				ATF_REQUIRE_EQ(0x052100, sense());
				continue;
			}
			ATF_REQUIRE_EQ(0, sense());
			ATF_REQUIRE_EQ(count * 512, cmd.io_len);
			if (cdb[0] == 0x8a)
				memcpy(model + lba * 512, guest, count * 512);
			else
				ATF_REQUIRE_EQ(0, memcmp(model + lba * 512,
				    guest, count * 512));
			moved += count;
			continue;
		}
		run(cdb, (uint32_t)random() % 18, 65536, 65536);
		if (cmd.op == HVK_SCSI_OP_WRITE || cmd.op ==
		    HVK_SCSI_OP_WRITE_BUF || cmd.op == HVK_SCSI_OP_UNMAP ||
		    cmd.op == HVK_SCSI_OP_ZERO)
			memcpy(model, medium, SECTORS * 512);
	}
	ATF_CHECK(moved > 100000);
	ATF_CHECK_EQ(0, memcmp(model, medium, SECTORS * 512));
	free(medium);
	free(model);
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, disk_table);
	ATF_TP_ADD_TC(tp, read_only_table);
	ATF_TP_ADD_TC(tp, cdrom_table);
	ATF_TP_ADD_TC(tp, attentions);
	ATF_TP_ADD_TC(tp, io_errors);
	ATF_TP_ADD_TC(tp, absent);
	ATF_TP_ADD_TC(tp, unmap_list);
	ATF_TP_ADD_TC(tp, random_commands);
	return (atf_no_error());
}
