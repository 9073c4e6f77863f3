/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * Events and data: the first SCSI controller is brought up through the core's
 * storage client; its first disk is asked who it is, read, and written where the
 * command line allows it.  What comes back is compared by checksum.
 * Facts: SCSI block commands (SBC-3).
 */

#include <hvk/guest/storvsc.h>
#include <hvk/wire/guid.h>

#include "check.h"

#define	PIECE		65536u		/* bytes of one request */
#define	PIECES		4u
#define	DEPTH		8u		/* requests under way */
#define	SLOTS		16u
#define	REQUEST_MS	30000u

#define	TEST_UNIT_READY	0x00
#define	INQUIRY		0x12
#define	READ_CAPACITY	0x25
#define	READ_10		0x28
#define	WRITE_10	0x2a
#define	SYNCHRONIZE	0x35
#define	CHECK_CONDITION	2
#define	ILLEGAL_REQUEST	5

struct request {
	bool			 done;
	struct hvk_storvsc_done	 result;
};

static struct {
	struct bus_chan		 chan;
	struct hvk_storvsc	 control;
	struct hvk_storvsc_queue queue;
	struct hvk_storvsc_slot	 slots[SLOTS];
	uint64_t		 buf[64];	/* one packet */
	bool			 ready;
	bool			 failed;
	uint32_t		 block;
	uint32_t		 last;		/* LBA */
	uint8_t			*memory;	/* PIECE * PIECES */
} disk;

static uint64_t
now_ms(void)
{
	return (port_now() / 1000000);
}

static void
control_event(enum hvk_storvsc_event event)
{
	if (event == HVK_STORVSC_IS_READY)
		disk.ready = true;
	else if (event == HVK_STORVSC_HAS_FAILED)
		disk.failed = true;
}

static void
control_send(void)
{
	struct hvk_storvsc_message m;

	control_event(hvk_storvsc_tick(&disk.control, now_ms()));
	while (hvk_storvsc_pull(&disk.control, &m))
		if (bus_send(&disk.chan, m.txid, &m.packet,
		    sizeof(m.packet)) != HVK_OK)
			disk.failed = true;
}

static void
received(struct bus_chan *chan, void *arg HVK_UNUSED)
{
	struct hvk_packet p;
	struct hvk_storvsc_done done;
	enum hvk_storvsc_event event;
	struct request *r;
	int error;

	for (;;) {
		error = bus_recv(chan, disk.buf, sizeof(disk.buf), &p);
		if (error == HVK_REJECT)
			continue;
		if (error != HVK_OK)
			break;
		if (hvk_storvsc_kind(&p) == HVK_STORVSC_KIND_IO) {
			if (hvk_storvsc_complete(&disk.queue, &p, &done) !=
			    HVK_OK)
				continue;
			r = done.cookie;
			r->result = done;
			r->done = true;
		} else if (hvk_storvsc_input(&disk.control, &p, now_ms(),
		    &event) == HVK_OK)
			control_event(event);
	}
	if (error == HVK_FATAL)
		disk.failed = true;
}

static bool
started(void *arg HVK_UNUSED)
{
	control_send();
	return (disk.ready || disk.failed);
}

static bool
ended(void *arg)
{
	struct request *r = arg;

	return (r->done || disk.failed);
}

/* `data' is within one run of pages. */
static bool
submit(struct request *r, const uint8_t *cdb, uint8_t cdb_len, void *data,
    uint32_t len, uint8_t direction)
{
	static uint64_t pfn[PIECE / HVK_PAGE_SIZE + 1];
	struct hvk_storvsc_io io;
	struct hvk_gpa_range range;
	struct hvk_vstor_packet packet;
	uint64_t txid;

	hvk_zero(&io, sizeof(io));
	io.cookie = r;
	io.length = len;
	io.timeout_ms = REQUEST_MS;
	io.direction = direction;
	io.cdb_len = cdb_len;
	hvk_copy(io.cdb, cdb, cdb_len);
	r->done = false;
	if (hvk_storvsc_submit(&disk.queue, &io, now_ms(), &packet, &txid) !=
	    HVK_OK)
		return (false);
	if (len == 0)
		return (bus_send(&disk.chan, txid, &packet, sizeof(packet)) ==
		    HVK_OK);
	range.len = len;
	range.offset = (uintptr_t)data & HVK_PAGE_MASK;
	range.pfn = pfn;
	range.npfn = hvk_gpa_pages(range.offset, len);
	for (uint32_t i = 0; i < range.npfn; i++)
		pfn[i] = ((uintptr_t)data >> HVK_PAGE_SHIFT) + i;
	return (bus_send_gpa(&disk.chan, txid, &range, &packet,
	    sizeof(packet)) == HVK_OK);
}

static bool
finish(struct request *r)
{
	return (bus_wait(ended, r, 2 * REQUEST_MS) && r->done);
}

static void
put32(uint8_t *at, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		at[i] = (uint8_t)(value >> (24 - 8 * i));
}

static uint32_t
get32(const uint8_t *at)
{
	return ((uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 |
	    (uint32_t)at[2] << 8 | at[3]);
}

static bool
transfer(struct request *r, uint8_t opcode, uint32_t lba, void *data,
    uint32_t len)
{
	uint8_t cdb[10] = { opcode };

	put32(cdb + 2, lba);
	cdb[7] = (uint8_t)(len / disk.block >> 8);
	cdb[8] = (uint8_t)(len / disk.block);
	return (submit(r, cdb, sizeof(cdb), data, len, opcode == WRITE_10 ?
	    HVK_STORVSC_WRITE : HVK_STORVSC_READ));
}

static bool
good(const struct request *r, uint32_t len)
{
	return (r->done && r->result.result == HVK_STORVSC_OK &&
	    r->result.transferred == len);
}

/* Depends on place and order, and costs little for each word. */
static uint64_t
checksum(const void *data, uint32_t len)
{
	const uint64_t *word = data;
	uint64_t sum = len;

	for (uint32_t i = 0; i < len / 8; i++)
		sum = (sum << 7 | sum >> 57) ^ word[i];
	return (sum);
}

/* A disk first says that it was reset, once: that is no error. */
static bool
unit_ready(void)
{
	uint8_t cdb[6] = { TEST_UNIT_READY };
	struct request r;

	for (int i = 0; i < 4; i++) {
		if (!submit(&r, cdb, sizeof(cdb), NULL, 0,
		    HVK_STORVSC_NO_DATA) || !finish(&r))
			return (false);
		if (r.result.result == HVK_STORVSC_OK)
			return (true);
	}
	return (false);
}

static bool
identify(void)
{
	uint8_t inquiry[6] = { INQUIRY, 0, 0, 0, 36, 0 };
	uint8_t capacity[10] = { READ_CAPACITY };
	char vendor[9], product[17];
	struct request r;
	uint8_t *data = disk.memory;

	if (!submit(&r, inquiry, sizeof(inquiry), data, 36,
	    HVK_STORVSC_READ) || !finish(&r) ||
	    r.result.result != HVK_STORVSC_OK || r.result.transferred < 36) {
		check("disk.inquiry", false, "no answer");
		return (false);
	}
	if ((data[0] & 0x1f) == 0x1f) {
		check_skip("disk.inquiry", "no disk at address 0");
		return (false);
	}
	port_snprintf(vendor, sizeof(vendor), "%s", (char *)data + 8);
	port_snprintf(product, sizeof(product), "%s", (char *)data + 16);
	check("disk.inquiry", (data[0] & 0x1f) == 0, "type %u, %s %s",
	    data[0] & 0x1fu, vendor, product);
	if (!unit_ready()) {
		check("disk.ready", false, "not ready");
		return (false);
	}
	if (!submit(&r, capacity, sizeof(capacity), data, 8,
	    HVK_STORVSC_READ) || !finish(&r) || !good(&r, 8)) {
		check("disk.capacity", false, "no answer");
		return (false);
	}
	disk.last = get32(data);
	disk.block = get32(data + 4);
	check("disk.capacity", (disk.block == 512 || disk.block == 4096) &&
	    disk.last >= PIECE * PIECES / 512, "%u blocks of %u bytes",
	    disk.last + 1, disk.block);
	return (disk.block == 512 || disk.block == 4096);
}

/* Beyond the end there must be an error, with sense data. */
static void
beyond(void)
{
	struct request r;
	bool ok;

	ok = transfer(&r, READ_10, disk.last, disk.memory, 2 * disk.block) &&
	    finish(&r);
	check("disk.beyond", ok && r.result.result ==
	    HVK_STORVSC_SCSI_STATUS && r.result.scsi_status ==
	    CHECK_CONDITION && r.result.sense_len >= 3 &&
	    (r.result.sense[2] & 0xf) == ILLEGAL_REQUEST,
	    "result %u, status %u, sense key %u", r.result.result,
	    r.result.scsi_status, r.result.sense[2] & 0xfu);
}

static void
write_and_read(void)
{
	uint8_t flush[10] = { SYNCHRONIZE };
	struct request r;
	uint64_t *word = (uint64_t *)(void *)disk.memory;
	uint64_t read[PIECES], written[PIECES];
	bool ok = true;

	for (uint32_t i = 0; i < PIECE * PIECES / 8; i++)
		word[i] = (uint64_t)i * 0x9e3779b97f4a7c15ull ^ disk.last;
	for (uint32_t i = 0; i < PIECES; i++) {
		written[i] = checksum(disk.memory + i * PIECE, PIECE);
		ok = ok && transfer(&r, WRITE_10, i * PIECE / disk.block,
		    disk.memory + i * PIECE, PIECE) && finish(&r) &&
		    good(&r, PIECE);
	}
	check("disk.write", ok, "%u bytes", PIECE * PIECES);
	ok = submit(&r, flush, sizeof(flush), NULL, 0, HVK_STORVSC_NO_DATA) &&
	    finish(&r) && r.result.result == HVK_STORVSC_OK;
	check("disk.flush", ok, "result %u", r.result.result);
	hvk_zero(disk.memory, PIECE * PIECES);
	ok = true;
	for (uint32_t i = 0; i < PIECES; i++) {
		ok = ok && transfer(&r, READ_10, i * PIECE / disk.block,
		    disk.memory + i * PIECE, PIECE) && finish(&r) &&
		    good(&r, PIECE);
		read[i] = checksum(disk.memory + i * PIECE, PIECE);
		ok = ok && read[i] == written[i];
	}
	check("disk.verify", ok, "checksum 0x%lx, written 0x%lx",
	    read[PIECES - 1], written[PIECES - 1]);
}

/* Many at once, of different sizes, into different places. */
static void
parallel(void)
{
	struct request r[DEPTH];
	uint32_t len, n = 0, ok = 0, total = 0;

	for (uint32_t i = 0; i < DEPTH; i++) {
		len = disk.block * (1 + i % 4);
		if (transfer(&r[i], READ_10, i * 8, disk.memory + i * 0x4000,
		    len))
			n++;
		else
			r[i].done = true;
	}
	for (uint32_t i = 0; i < n; i++) {
		len = disk.block * (1 + i % 4);
		if (finish(&r[i]) && good(&r[i], len))
			ok++;
		total += len;
	}
	check("disk.parallel", n == DEPTH && ok == n,
	    "%u requests at once, %u bytes", n, total);
}

static void
work(void)
{
	struct request r;
	bool ok;

	if (!identify())
		return;
	ok = transfer(&r, READ_10, 0, disk.memory, PIECE) && finish(&r) &&
	    good(&r, PIECE);
	check("disk.read", ok, "checksum 0x%lx", checksum(disk.memory, PIECE));
	parallel();
	beyond();
	if (check_option("disk", "write"))
		write_and_read();
	else
		check_skip("disk.write", "not allowed: disk=write");
}

static void
session(struct hvk_client_chan *cc, uint32_t cpu)
{
	struct hvk_storvsc_config config = { .subchannels = 0 };
	char name[24];
	bool ok;

	port_snprintf(name, sizeof(name), "disk.open%s", cpu != 0 ? "1" : "");
	disk.ready = disk.failed = false;
	if (bus_open(&disk.chan, cc, cpu, received, NULL) != HVK_OK) {
		check(name, false, "channel %u", cc->relid);
		return;
	}
	check(name, true, "channel %u, interrupts on processor %u", cc->relid,
	    cpu);
	hvk_storvsc_init(&disk.control, &config);
	(void)hvk_storvsc_start(&disk.control, now_ms());
	(void)bus_wait(started, NULL, 60000);
	port_snprintf(name, sizeof(name), "disk.start%s", cpu != 0 ? "1" : "");
	check(name, disk.ready, "protocol %u.%u, %u bytes in a request",
	    disk.control.version >> 8, disk.control.version & 0xffu,
	    disk.control.max_transfer);
	if (disk.ready && hvk_storvsc_queue_init(&disk.queue, disk.slots,
	    SLOTS, disk.control.max_transfer) == HVK_OK)
		work();
	port_snprintf(name, sizeof(name), "disk.events%s",
	    cpu != 0 ? "1" : "");
	check(name, disk.chan.interrupts != 0, "%u interrupts, %lu packets",
	    disk.chan.interrupts, disk.chan.rx.packets);
	ok = bus_close(&disk.chan);
	port_snprintf(name, sizeof(name), "disk.close%s", cpu != 0 ? "1" : "");
	check(name, ok && !disk.failed, "memory given back");
}

void
check_disk(void)
{
	static const struct hvk_guid scsi = HVK_GUID_SCSI;
	struct hvk_client_chan *cc;

	cc = bus_find(&scsi, 0);
	if (cc == NULL) {
		check_skip("disk.open", "no SCSI controller offered");
		return;
	}
	disk.memory = port_pages(PIECE * PIECES / HVK_PAGE_SIZE);
	session(cc, 0);
	/* The same once more, with its interrupts elsewhere. */
	if (port_ncpus > 1)
		session(cc, 1);
	port_pages_free(disk.memory, PIECE * PIECES / HVK_PAGE_SIZE);
}
