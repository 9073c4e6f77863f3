/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * One request of the guest: its pages as vectors, the SCSI command, the I/O at
 * the back-end, up to a reply that is ready to be sent.
 * Locking: on the worker's thread, with `table' held for reading.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "stor_int.h"

static void slot_step(struct stor_slot *, enum hvk_scsi_next);

/* The guest's pages, merged where they touch; false: not its memory. */
static bool
slot_map(struct stor_slot *s, const struct hvk_packet *p, uint32_t left)
{
	struct guest_mem *mem = s->worker->mem;
	struct hvk_gpa_view view;
	struct iovec *last = NULL;
	uint32_t cursor = 0, from, i, n;
	uint64_t pfn;
	uint8_t *at;

	s->niov = 0;
	while (left > 0 && hvk_packet_gpa_next(p, &cursor, &view) == HVK_OK) {
		from = view.offset;
		for (i = 0; i < view.npfn && view.len > 0 && left > 0; i++) {
			n = HVK_PAGE_SIZE - from;
			if (n > view.len)
				n = view.len;
			view.len -= n;
			if (n > left)
				n = left;
			pfn = hvk_gpa_view_pfn(&view, i);
			if (pfn >> 52 != 0)
				return (false);
			at = guest_mem_view(mem, (pfn << HVK_PAGE_SHIFT) +
			    from, n);
			if (at == NULL)
				return (false);
			from = 0;
			left -= n;
			if (last != NULL && (uint8_t *)last->iov_base +
			    last->iov_len == at) {
				last->iov_len += n;
				continue;
			}
			if (s->niov == STOR_IOVS)
				return (false);
			last = &s->iov[s->niov++];
			last->iov_base = at;
			last->iov_len = n;
		}
	}
	return (left == 0);
}

static void
slot_copy(struct stor_slot *s, uint8_t *buf, uint32_t len, bool to_guest)
{
	uint32_t i, n;

	for (i = 0; i < s->niov && len > 0; i++) {
		n = s->iov[i].iov_len < len ? (uint32_t)s->iov[i].iov_len :
		    len;
		if (to_guest)
			memcpy(s->iov[i].iov_base, buf, n);
		else
			memcpy(buf, s->iov[i].iov_base, n);
		buf += n;
		len -= n;
	}
}

static enum hvk_scsi_error
io_error(const struct stor_slot *s, int error)
{

	switch (error) {
	case 0:
		return (HVK_SCSI_IO_OK);
	case ENOSPC:
	case EDQUOT:
		return (HVK_SCSI_IO_NOSPACE);
	case EROFS:
	case EPERM:
		return (HVK_SCSI_IO_PROTECT);
	default:
		return (s->use->disk->removed ? HVK_SCSI_IO_GONE :
		    HVK_SCSI_IO_MEDIUM);
	}
}

/* The reply is made; it goes out in the order of finishing. */
static void
slot_ready(struct stor_slot *s)
{
	struct stor_worker *w = s->worker;

	if (s->use != NULL) {
		s->use->flying--;
		s->use = NULL;
		atomic_store_explicit(&w->inflight[s->epoch],
		    atomic_load_explicit(&w->inflight[s->epoch],
		    memory_order_relaxed) - 1, memory_order_release);
	}
	if (s->req.action == HVK_STORVSP_NOTHING)
		stor_slot_free(w, s);
	else
		stor_reply(w, s);
}

static void
slot_finish(struct stor_slot *s)
{
	struct hvk_scsi_cmd *cmd = &s->cmd;
	struct stor_worker *w = s->worker;

	if (s->use != NULL && s->use->disk->removed) {
		hvk_storvsp_refuse(&s->req, HVK_SRB_INVALID_LUN);
		slot_ready(s);
		return;
	}
	if (cmd->data_len != 0)
		slot_copy(s, cmd->buf, cmd->data_len, true);
	if (cmd->status != HVK_SCSI_GOOD)
		w->errors++;
	if (cmd->op == HVK_SCSI_OP_READ)
		w->read_bytes += cmd->io_len;
	else if (cmd->op == HVK_SCSI_OP_WRITE)
		w->write_bytes += cmd->io_len;
	hvk_storvsp_finish(&s->req, cmd);
	slot_ready(s);
}

static void
slot_io_done(struct backend_io *io)
{
	struct stor_slot *s = (struct stor_slot *)(void *)io;

	slot_step(s, hvk_scsi_done(&s->use->disk->unit, &s->cmd,
	    io_error(s, io->error)));
}

/* Keep the first len bytes of the vectors. */
static void
slot_trim(struct stor_slot *s, uint64_t len)
{
	uint32_t i;

	for (i = 0; i < s->niov && len > 0; i++) {
		if (s->iov[i].iov_len > len)
			s->iov[i].iov_len = (size_t)len;
		len -= s->iov[i].iov_len;
	}
	s->niov = i;
}

/* true: done already, see io.error. */
static bool
slot_io(struct stor_slot *s)
{
	static const enum backend_op ops[] = {
		[HVK_SCSI_OP_READ] = BACKEND_READ,
		[HVK_SCSI_OP_WRITE] = BACKEND_WRITE,
		[HVK_SCSI_OP_WRITE_BUF] = BACKEND_WRITE,
		[HVK_SCSI_OP_FLUSH] = BACKEND_FLUSH,
		[HVK_SCSI_OP_UNMAP] = BACKEND_DISCARD,
		[HVK_SCSI_OP_ZERO] = BACKEND_ZERO,
	};
	struct backend_io *io = &s->io;
	struct hvk_scsi_cmd *cmd = &s->cmd;

	if (s->use->queue == NULL) {
		io->error = EIO;
		return (true);
	}
	io->op = ops[cmd->op];
	io->fua = cmd->fua;
	io->offset = cmd->offset;
	io->length = cmd->length;
	io->done = slot_io_done;
	if (cmd->op == HVK_SCSI_OP_WRITE_BUF) {
		s->iov[0].iov_base = cmd->buf;
		s->iov[0].iov_len = (size_t)cmd->length;
		s->niov = 1;
	} else if (io->op == BACKEND_READ || io->op == BACKEND_WRITE) {
		slot_trim(s, cmd->length);
	} else if (io->op == BACKEND_FLUSH) {
		s->worker->flushes++;
	} else if (io->op == BACKEND_DISCARD) {
		s->worker->discards++;
	}
	io->iov = s->iov;
	io->niov = s->niov;
	return (backend_submit(s->use->queue, io));
}

static void
slot_step(struct stor_slot *s, enum hvk_scsi_next next)
{
	struct hvk_scsi_unit *unit = &s->use->disk->unit;

	for (;;) {
		switch (next) {
		case HVK_SCSI_DATA:
			slot_copy(s, s->cmd.buf, s->cmd.data_len, false);
			next = hvk_scsi_data(unit, &s->cmd);
			break;
		case HVK_SCSI_IO:
			if (!slot_io(s))
				return;
			next = hvk_scsi_done(unit, &s->cmd, io_error(s,
			    s->io.error));
			break;
		case HVK_SCSI_DONE:
			slot_finish(s);
			return;
		}
	}
}

/* ---- uses */

static void
use_close(struct stor_worker *w, struct stor_use *use)
{

	backend_queue_close(use->queue);
	stor_disk_unref(w->stor, use->disk);
	free(use);
}

static void
use_retire(struct stor_worker *w, uint32_t lun)
{
	struct stor_use *use = w->use[lun];

	w->use[lun] = NULL;
	if (use == NULL)
		return;
	if (use->flying == 0) {
		use_close(w, use);
		return;
	}
	use->dying = true;
	use->next = w->dying;
	w->dying = use;
}

/* Let go of disks that are no longer in the table. */
void
stor_use_refresh(struct stor_worker *w)
{
	struct stor_use **at, *use;
	uint32_t i;

	for (i = 0; i < HVK_SCSI_LUNS; i++) {
		if (w->use[i] != NULL && (w->stop || w->use[i]->disk !=
		    w->stor->disk[i]))
			use_retire(w, i);
	}
	for (at = &w->dying; (use = *at) != NULL;) {
		if (use->flying != 0) {
			at = &use->next;
			continue;
		}
		*at = use->next;
		use_close(w, use);
	}
}

static struct stor_use *
use_get(struct stor_worker *w, struct stor_disk *disk)
{
	struct stor_use *use = w->use[disk->lun];
	char err[VMM_ERRLEN];

	if (use != NULL && use->disk == disk)
		return (use);
	use_retire(w, disk->lun);
	use = calloc(1, sizeof(*use));
	if (use == NULL)
		return (NULL);
	use->disk = disk;
	stor_disk_ref(w->stor, disk);
	use->queue = backend_queue_open(disk->backend, w->loop, err,
	    sizeof(err));
	/* Without a queue its I/O fails, everything else is answered. */
	if (use->queue == NULL)
		vmm_log("%s: %s", w->stor->name, err);
	w->use[disk->lun] = use;
	return (use);
}

/* ---- requests */

/*
 * Nothing there.  Linux takes a refused INQUIRY for a good one (of zeros: a
 * disk), so that even a target that is not there says what it is.
 */
static void
slot_absent(struct stor_slot *s, uint64_t luns)
{

	if (s->req.lun == HVK_STORVSP_ABSENT)
		luns = 0;
	if (hvk_scsi_absent(&s->cmd, s->req.packet.srb.cdb, s->req.cdb_len,
	    s->req.in, luns)) {
		slot_finish(s);
		return;
	}
	hvk_storvsp_refuse(&s->req, HVK_SRB_INVALID_LUN);
	slot_ready(s);
}

static void
slot_srb(struct stor_slot *s, const struct hvk_packet *p)
{
	struct stor_worker *w = s->worker;
	struct vmm_stor *stor = w->stor;
	struct stor_disk *disk;
	struct hvk_storvsp_request *req = &s->req;

	w->ios++;
	s->use = NULL;
	if (!slot_map(s, p, req->packet.srb.transfer)) {
		hvk_storvsp_refuse(req, HVK_SRB_INVALID_REQUEST);
		slot_ready(s);
		return;
	}
	disk = req->lun < HVK_SCSI_LUNS ? stor->disk[req->lun] : NULL;
	if (disk == NULL) {
		slot_absent(s, stor->luns);
		return;
	}
	s->use = use_get(w, disk);
	if (s->use == NULL) {
		hvk_storvsp_refuse(req, HVK_SRB_INTERNAL_ERROR);
		slot_ready(s);
		return;
	}
	s->use->flying++;
	s->epoch = atomic_load_explicit(&stor->epoch,
	    memory_order_relaxed) & 1;
	atomic_store_explicit(&w->inflight[s->epoch],
	    atomic_load_explicit(&w->inflight[s->epoch],
	    memory_order_relaxed) + 1, memory_order_relaxed);
	slot_step(s, hvk_scsi_start(&disk->unit, &s->cmd,
	    req->packet.srb.cdb, req->cdb_len, req->in, req->out,
	    stor->luns));
}

static void
slot_subchannels(struct stor_slot *s)
{
	int error;

	error = vmm_subchannels_offer(s->worker->stor->device, s->req.count);
	if (error != 0)
		vmm_log("%s: cannot offer %u sub-channels: %s",
		    s->worker->stor->name, s->req.count, strerror(-error));
	hvk_storvsp_answer(&s->req, error == 0 ? HVK_VSTOR_OK :
	    HVK_VSTOR_FAIL);
	slot_ready(s);
}

void
stor_io_packet(struct stor_worker *w, struct stor_slot *s,
    const struct hvk_packet *p)
{

	s->use = NULL;
	s->fault_asked = false;
	hvk_storvsp_input(&w->stor->vsp, w->primary, p, &s->req);
	switch (s->req.action) {
	case HVK_STORVSP_NOTHING:
	case HVK_STORVSP_REPLY:
		slot_ready(s);
		break;
	case HVK_STORVSP_SRB:
		slot_srb(s, p);
		break;
	case HVK_STORVSP_SUBCHANNELS:
		slot_subchannels(s);
		break;
	case HVK_STORVSP_RESET:
		s->epoch = UINT32_MAX;	/* not begun */
		stor_list_add(&w->resets, s);
		break;
	}
}
