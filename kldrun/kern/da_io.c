/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * da_io.c: requests of any size become SCSI commands of a size that the
 * controller takes, with da(4)'s retries and timeouts. Data goes as an
 * unmapped bio (a list of pages without a mapping) where the controller says
 * that it takes those.
 *
 * Locking: none; a request counts its commands with an atomic.
 */

#include "cam_var.h"
#include <sys/conf.h>
#include <machine/bus.h>
#include <vm/vm.h>
#include <vm/pmap.h>
#include <vm/vm_page.h>

#define	UNMAP_DESCS	16
#define	DA_BUSY_TICKS	(hz / 20)
#define	DA_BUSY_MAX	1200		/* a minute of BUSY */

/* One SCSI command of a request. */
struct da_command {
	union ccb ccb;			/* first */
	struct da_request *req;
	struct da_command *next;	/* free list */
	struct bio bio;
	struct callout later;
	u_int retries, attentions, busy;
	uint8_t unmap[8 + 16 * UNMAP_DESCS];
	struct vm_page *ma[DA_MAXIO / PAGE_SIZE + 1];
};

static struct vm_page *da_pages;	/* one for each page of the guest */

/* Commands kept for the next request, as many as were ever in flight. */
static struct mtx da_free_mtx;
static struct da_command *da_free;

static void da_done(struct cam_periph *, union ccb *);
static int da_send_flush(struct da_request *);

static struct vm_page *
da_page(vm_paddr_t pa)
{
	struct vm_page *m;

	m = &da_pages[pa >> PAGE_SHIFT];
	m->phys_addr = pa & ~(vm_paddr_t)PAGE_MASK;
	return (m);
}

static void
da_pages_boot(void *arg __unused)
{
	da_pages = os_reserve((os_guest_size() >> PAGE_SHIFT) *
	    sizeof(*da_pages));
	mtx_init(&da_free_mtx, "da commands", NULL, MTX_DEF);
}
SYSINIT(da_pages, SI_SUB_LOCK, SI_ORDER_ANY, da_pages_boot, NULL);

static struct da_command *
da_command_get(void)
{
	struct da_command *c;

	mtx_lock(&da_free_mtx);
	c = da_free;
	if (c != NULL)
		da_free = c->next;
	mtx_unlock(&da_free_mtx);
	return (c != NULL ? c : malloc(sizeof(*c), M_KLDRUN, M_NOWAIT));
}

static void
da_command_put(struct da_command *c)
{
	mtx_lock(&da_free_mtx);
	c->next = da_free;
	da_free = c;
	mtx_unlock(&da_free_mtx);
}

static void
da_finish(struct da_request *req)
{
	if (atomic_fetchadd_int(&req->pending, -1) != 1)
		return;
	if (req->fua && !req->flushing && req->error == 0) {
		/* All is written: now onto the medium. */
		req->pending = 1;
		req->error = da_send_flush(req);
		da_finish(req);
		return;
	}
	if (req->error != 0)
		req->da->errors++;
	req->done(req);
}

static void
da_later(void *arg)
{
	struct da_command *c;

	c = arg;
	xpt_action(&c->ccb);
}

/* Describe the buffer without its address, as GEOM hands it to da(4). */
static void
da_unmapped(struct da_command *c, char *buffer, uint32_t length)
{
	struct bio *bio;
	int i;

	bio = &c->bio;
	memset(bio, 0, sizeof(*bio));
	bio->bio_flags = BIO_UNMAPPED;
	bio->bio_ma = c->ma;
	bio->bio_ma_offset = (uintptr_t)buffer & PAGE_MASK;
	bio->bio_ma_n = (bio->bio_ma_offset + length + PAGE_MASK) >> PAGE_SHIFT;
	bio->bio_bcount = bio->bio_length = length;
	for (i = 0; i < bio->bio_ma_n; i++)
		c->ma[i] = da_page(vtophys(trunc_page((uintptr_t)buffer) +
		    (vm_offset_t)i * PAGE_SIZE));
	c->ccb.csio.data_ptr = (uint8_t *)bio;
	c->ccb.ccb_h.flags |= CAM_DATA_BIO;
}

static int
da_send(struct da_request *req, const uint8_t *cdb, uint8_t cdb_len, void *data,
    uint32_t length, bool out, struct da_command *c)
{
	if (c == NULL)
		c = da_command_get();
	if (c == NULL)
		return (ENOMEM);
	memset(&c->ccb, 0, sizeof(c->ccb));
	c->req = req;
	c->retries = c->attentions = c->busy = 0;
	callout_init(&c->later, 1);
	cam_fill(&c->ccb.csio, req->da->path, cdb, cdb_len, data, length, out);
	if ((req->command == DA_READ || req->command == DA_WRITE) &&
	    length != 0 && (req->da->bus->cpi.hba_misc & PIM_UNMAPPED) != 0)
		da_unmapped(c, data, length);
	c->ccb.ccb_h.timeout = da_timeout_s * 1000;
	c->ccb.ccb_h.cbfcnp = da_done;
	atomic_add_int(&req->pending, 1);
	xpt_action(&c->ccb);
	return (0);
}

static void
da_put32(uint8_t *p, uint32_t v)
{
	p[0] = v >> 24;
	p[1] = v >> 16;
	p[2] = v >> 8;
	p[3] = v;
}

static void
da_put64(uint8_t *p, uint64_t v)
{
	da_put32(p, v >> 32);
	da_put32(p + 4, v);
}

static int
da_send_flush(struct da_request *req)
{
	uint8_t cdb[10] = { SYNCHRONIZE_CACHE };

	req->flushing = true;
	return (da_send(req, cdb, sizeof(cdb), NULL, 0, false, NULL));
}

/* True: the command was sent again, or will be. */
static bool
da_again(struct da_command *c, const struct cam_reply *r)
{
	struct da *da;

	da = c->req->da;
	if (da->gone)
		return (false);
	if (r->key == 6 && r->asc == 0x2a && r->ascq == 9)
		da->stale_size = true;
	if (r->error == EBUSY && ++c->busy <= DA_BUSY_MAX) {
		c->ccb.ccb_h.status = 0;
		callout_reset(&c->later, DA_BUSY_TICKS, da_later, c);
		return (true);
	}
	if (r->error == EAGAIN && ++c->attentions <= 8) {
		xpt_action(&c->ccb);
		return (true);
	}
	if (r->error != ETIMEDOUT)
		return (false);
	da->timeouts++;
	if (c->retries >= da_retry_count)
		return (false);
	c->retries++;
	da->retries++;
	xpt_print(da->path, "CAM status: 0x%x, retrying command, %u more tries "
	    "remain\n", c->ccb.ccb_h.status & CAM_STATUS_MASK,
	    da_retry_count - c->retries);
	/* What was not worth a reset may still need a moment. */
	if ((c->ccb.ccb_h.status & CAM_STATUS_MASK) == CAM_UNREC_HBA_ERROR)
		callout_reset(&c->later, hz / 10, da_later, c);
	else
		xpt_action(&c->ccb);
	return (true);
}

/* The size changed or the disk left: let a scan look. */
static void
da_look(struct da *da)
{
	union ccb *ccb;

	ccb = xpt_alloc_ccb_nowait();
	if (ccb == NULL)
		return;
	ccb->ccb_h.path = cam_path_new(da->bus, CAM_TARGET_WILDCARD,
	    CAM_LUN_WILDCARD);
	if (ccb->ccb_h.path == NULL) {
		xpt_free_ccb(ccb);
		return;
	}
	xpt_rescan(ccb);
}

static void
da_done(struct cam_periph *periph __unused, union ccb *ccb)
{
	struct da_command *c;
	struct da_request *req;
	struct cam_reply r;
	uint32_t want;

	c = (struct da_command *)ccb;
	req = c->req;
	cam_decode(ccb, &r);
	if (r.error != 0 && da_again(c, &r))
		return;
	want = ccb->csio.dxfer_len;
	if (r.error == 0 && r.key == 0 && r.length != want &&
	    !req->flushing && (req->command == DA_READ ||
	    req->command == DA_WRITE))
		r.error = EIO;		/* less than a whole transfer */
	if (r.error != 0) {
		req->error = r.error == EAGAIN || r.error == EBUSY ||
		    r.error == ETIMEDOUT ? EIO : r.error;
		xpt_print(req->da->path, "CDB 0x%02x failed: CAM status 0x%x, "
		    "sense %x/%x/%x, %s\n", ccb->csio.cdb_io.cdb_bytes[0],
		    ccb->ccb_h.status & CAM_STATUS_MASK, r.key, r.asc, r.ascq,
		    kld_strerror(req->error));
	}
	if ((req->da->stale_size || r.error == ENXIO) && !req->da->gone) {
		req->da->stale_size = false;
		da_look(req->da);
	}
	da_command_put(c);
	da_finish(req);
}

static int
da_send_data(struct da_request *req)
{
	struct da *da;
	uint8_t cdb[16];
	uint64_t lba;
	uint32_t at, blocks, chunk, max;
	int error;
	bool out;

	da = req->da;
	out = req->command == DA_WRITE;
	max = MIN(da->bus->cpi.maxio != 0 ? da->bus->cpi.maxio : 65536,
	    DA_MAXIO);
	max -= max % da->sector;
	for (at = 0; at < req->length; at += chunk) {
		chunk = MIN(max, req->length - at);
		lba = (req->offset + at) / da->sector;
		blocks = chunk / da->sector;
		memset(cdb, 0, sizeof(cdb));
		if (lba + blocks <= UINT32_MAX && blocks <= 0xffff) {
			cdb[0] = out ? WRITE_10 : READ_10;
			da_put32(cdb + 2, lba);
			cdb[7] = blocks >> 8;
			cdb[8] = blocks;
		} else {
			cdb[0] = out ? WRITE_16 : READ_16;
			da_put64(cdb + 2, lba);
			da_put32(cdb + 10, blocks);
		}
		error = da_send(req, cdb, cdb[0] == READ_16 ||
		    cdb[0] == WRITE_16 ? 16 : 10, req->buffer + at, chunk, out,
		    NULL);
		if (error != 0)
			return (error);
	}
	return (0);
}

static int
da_send_unmap(struct da_request *req)
{
	struct da_command *c;
	struct da *da;
	uint8_t cdb[10] = { UNMAP };
	uint64_t end, lba;
	uint32_t blocks, descs, max, n;
	int error;

	da = req->da;
	lba = req->offset / da->sector;
	end = lba + req->length / da->sector;
	descs = MIN(MAX(da->unmap_descs, 1), UNMAP_DESCS);
	while (lba < end) {
		c = da_command_get();
		if (c == NULL)
			return (ENOMEM);
		memset(c->unmap, 0, sizeof(c->unmap));
		max = da->unmap_lbas;
		for (n = 0; n < descs && lba < end && max != 0; n++) {
			blocks = MIN(end - lba, max);
			max -= blocks;
			da_put64(c->unmap + 8 + 16 * n, lba);
			da_put32(c->unmap + 16 + 16 * n, blocks);
			lba += blocks;
		}
		c->unmap[1] = 6 + 16 * n;
		c->unmap[0] = (6 + 16 * n) >> 8;
		c->unmap[3] = 16 * n;
		c->unmap[2] = (16 * n) >> 8;
		cdb[7] = (8 + 16 * n) >> 8;
		cdb[8] = 8 + 16 * n;
		error = da_send(req, cdb, sizeof(cdb), c->unmap, 8 + 16 * n,
		    true, c);
		if (error != 0)
			return (error);
	}
	return (0);
}

/* WRITE SAME of one sector of zeroes, as a hole unless it must be kept. */
static int
da_send_same(struct da_request *req)
{
	struct da *da;
	uint8_t cdb[16];
	uint64_t end, lba;
	uint32_t blocks;
	int error;

	da = req->da;
	lba = req->offset / da->sector;
	end = lba + req->length / da->sector;
	for (; lba < end; lba += blocks) {
		blocks = MIN(end - lba, da->same_lbas == 0 ? 0xffff :
		    MIN(da->same_lbas, 0x400000));
		memset(cdb, 0, sizeof(cdb));
		cdb[0] = WRITE_SAME_16;
		cdb[1] = !req->keep && da->write_same_unmap ? 0x08 : 0;
		da_put64(cdb + 2, lba);
		da_put32(cdb + 10, blocks);
		error = da_send(req, cdb, sizeof(cdb), da->zeroes, da->sector,
		    true, NULL);
		if (error != 0)
			return (error);
	}
	return (0);
}

/*
 * Start a request; `done' is called when it is over, from here or from another
 * thread. Offset and length are multiples of the sector size inside the disk
 * (checked).
 */
void
da_submit(struct da_request *req)
{
	struct da *da;
	int error;

	da = req->da;
	req->error = 0;
	req->flushing = false;
	req->pending = 1;
	error = 0;
	if (da->gone)
		error = ENXIO;
	else if (req->command != DA_FLUSH &&
	    (req->offset < 0 || req->offset % da->sector != 0 ||
	    req->length % da->sector != 0))
		error = EINVAL;
	else if (req->command != DA_FLUSH && (uint64_t)req->offset +
	    req->length > da->sectors * da->sector)
		error = ENOSPC;
	else if (da->read_only && req->command != DA_READ &&
	    req->command != DA_FLUSH)
		error = EROFS;
	if (error != 0) {
		req->error = error;
		da_finish(req);
		return;
	}
	switch (req->command) {
	case DA_READ:
		da->reads++;
		error = da_send_data(req);
		break;
	case DA_WRITE:
		da->writes++;
		error = da_send_data(req);
		break;
	case DA_FLUSH:
		error = da->read_only ? 0 : da_send_flush(req);
		break;
	case DA_TRIM:
		error = da->unmap ? da_send_unmap(req) :
		    da->write_same_unmap ? da_send_same(req) : 0;
		break;
	case DA_ZERO:
		error = da_send_same(req);
		break;
	}
	if (error != 0)
		req->error = error;
	da_finish(req);
}
