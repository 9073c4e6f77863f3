/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * One storage channel's requests: a caller-owned table of slots, the encoding
 * of a request and the check of its answer.
 *
 * A slot is FREE, or with the host (BUSY; OVERDUE when its time ran out), or
 * HELD: ended for the caller, but the host never said that it is done with the
 * memory, so the slot and what it stands for are not used again.  Each end
 * raises the slot's generation: an answer that comes twice finds another one.
 *
 * Locking: none, see hvk/guest/storvsc.h.
 */

#include <hvk/guest/storvsc.h>

#include "storvsc_id.h"

enum {
	SLOT_FREE,
	SLOT_BUSY,
	SLOT_OVERDUE,
	SLOT_HELD
};

#define	NO_SLOT		0xffff

/* SRB statuses that hosts send and Linux does not name. */
#define	SRB_BUSY	0x05
#define	SRB_NO_DEVICE	0x08

#define	SCSI_GOOD	0x00
#define	SCSI_BUSY	0x08
#define	SCSI_TASK_FULL	0x28

enum hvk_storvsc_kind
hvk_storvsc_kind(const struct hvk_packet *pkt)
{
	if (pkt->type == HVK_PKT_INBAND)
		return (pkt->txid == 0 ? HVK_STORVSC_KIND_EVENT :
		    HVK_STORVSC_KIND_NONE);
	if (pkt->type != HVK_PKT_COMPLETION)
		return (HVK_STORVSC_KIND_NONE);
	switch (storvsc_id_kind(pkt->txid)) {
	case STORVSC_ID_IO:
		return (HVK_STORVSC_KIND_IO);
	case STORVSC_ID_CONTROL:
		return (HVK_STORVSC_KIND_CONTROL);
	default:
		return (HVK_STORVSC_KIND_NONE);
	}
}

int
hvk_storvsc_queue_init(struct hvk_storvsc_queue *q,
    struct hvk_storvsc_slot *slots, uint32_t size, uint32_t max_transfer)
{
	uint32_t i;

	if (size == 0 || size > HVK_STORVSC_MAX_QUEUE)
		return (HVK_RANGE);
	__builtin_memset(q, 0, sizeof(*q));
	__builtin_memset(slots, 0, size * sizeof(*slots));
	for (i = 0; i < size; i++)
		slots[i].next = (uint16_t)(i + 1 < size ? i + 1 : NO_SLOT);
	q->slot = slots;
	q->size = (uint16_t)size;
	q->max_transfer = max_transfer;
	return (HVK_OK);
}

static void
encode(const struct hvk_storvsc_io *io, struct hvk_vstor_packet *p)
{
	struct hvk_vstor_srb *srb;

	__builtin_memset(p, 0, sizeof(*p));
	p->operation = HVK_VSTOR_EXECUTE_SRB;
	p->flags = HVK_VSTOR_WANT_COMPLETION;
	srb = &p->srb;
	srb->length = HVK_VSTOR_SRB_LENGTH;
	srb->path = io->path;
	srb->target = io->target;
	srb->lun = io->lun;
	srb->cdb_len = io->cdb_len;
	srb->sense_len = HVK_STORVSC_SENSE;
	srb->direction = io->direction;
	srb->transfer = io->length;
	__builtin_memcpy(srb->cdb, io->cdb, io->cdb_len);
	srb->timeout = io->timeout_ms / 1000 + (io->timeout_ms % 1000 != 0);
	if (io->plain)
		return;
	srb->flags = HVK_SRBF_NO_SYNC;
	if (io->direction == HVK_STORVSC_READ)
		srb->flags |= HVK_SRBF_DATA_IN;
	else if (io->direction == HVK_STORVSC_WRITE)
		srb->flags |= HVK_SRBF_DATA_OUT;
	if (io->tagged) {
		srb->flags |= HVK_SRBF_QUEUE_ACTION;
		srb->queue_tag = HVK_SRB_UNTAGGED;
		srb->queue_action = HVK_SRB_SIMPLE;
	}
}

int
hvk_storvsc_submit(struct hvk_storvsc_queue *q, const struct hvk_storvsc_io *io,
    uint64_t now, struct hvk_vstor_packet *packet, uint64_t *txid)
{
	struct hvk_storvsc_slot *slot;
	uint16_t i;

	if (io->length > q->max_transfer || io->cdb_len == 0 ||
	    io->cdb_len > HVK_STORVSC_CDB ||
	    io->direction > HVK_STORVSC_NO_DATA ||
	    (io->direction == HVK_STORVSC_NO_DATA) != (io->length == 0))
		return (HVK_RANGE);
	if (q->free == NO_SLOT)
		return (HVK_NOSPACE);
	i = q->free;
	slot = &q->slot[i];
	q->free = slot->next;
	q->busy++;
	q->sent++;
	slot->cookie = io->cookie;
	slot->length = io->length;
	slot->direction = io->direction;
	slot->state = SLOT_BUSY;
	slot->deadline = io->timeout_ms == 0 ? UINT64_MAX :
	    now + io->timeout_ms;
	encode(io, packet);
	*txid = storvsc_id(STORVSC_ID_IO, slot->generation, i);
	return (HVK_OK);
}

/* Take a slot from the host's hands; from here its old id is stale. */
static void
slot_end(struct hvk_storvsc_queue *q, struct hvk_storvsc_slot *slot, bool held)
{
	q->busy--;
	slot->generation++;
	slot->cookie = NULL;
	slot->deadline = UINT64_MAX;
	if (held) {
		slot->state = SLOT_HELD;
		q->held++;
		return;
	}
	slot->state = SLOT_FREE;
	slot->next = q->free;
	q->free = (uint16_t)(slot - q->slot);
}

/* The outstanding slot of an id, or NULL. */
static struct hvk_storvsc_slot *
slot_find(struct hvk_storvsc_queue *q, uint64_t txid)
{
	struct hvk_storvsc_slot *slot;
	uint32_t i;

	i = storvsc_id_index(txid);
	if (storvsc_id_kind(txid) != STORVSC_ID_IO || i >= q->size) {
		q->unknown++;
		return (NULL);
	}
	slot = &q->slot[i];
	if (slot->generation != storvsc_id_generation(txid) ||
	    (slot->state != SLOT_BUSY && slot->state != SLOT_OVERDUE)) {
		q->stale++;
		return (NULL);
	}
	return (slot);
}

int
hvk_storvsc_cancel(struct hvk_storvsc_queue *q, uint64_t txid)
{
	struct hvk_storvsc_slot *slot;

	slot = slot_find(q, txid);
	if (slot == NULL)
		return (HVK_REJECT);
	q->sent--;
	slot_end(q, slot, false);
	return (HVK_OK);
}

/* What the SRB status says, where the SCSI status does not say more. */
static enum hvk_storvsc_result
srb_result(uint8_t srb_status)
{
	switch (HVK_SRB_STATUS(srb_status)) {
	case HVK_SRB_SUCCESS:
	case HVK_SRB_DATA_OVERRUN:	/* fewer bytes than asked for */
		return (HVK_STORVSC_OK);
	case HVK_SRB_ABORTED:
		return (HVK_STORVSC_ABORTED);
	case SRB_BUSY:
		return (HVK_STORVSC_BUSY);
	case HVK_SRB_INVALID_REQUEST:
		return (HVK_STORVSC_INVALID);
	case SRB_NO_DEVICE:
	case HVK_SRB_SELECTION_TIMEOUT:
	case HVK_SRB_INVALID_LUN:
		return (HVK_STORVSC_NO_LUN);
	case HVK_SRB_TIMEOUT:
		return (HVK_STORVSC_TIMED_OUT);
	case HVK_SRB_BUS_RESET:
		return (HVK_STORVSC_BUS_RESET);
	default:
		return (HVK_STORVSC_HOST_ERROR);
	}
}

static enum hvk_storvsc_result
answer_result(const struct hvk_vstor_packet *p)
{
	enum hvk_storvsc_result result;

	result = srb_result(p->srb.srb_status);
	if (p->srb.scsi_status == SCSI_BUSY ||
	    p->srb.scsi_status == SCSI_TASK_FULL)
		return (HVK_STORVSC_BUSY);
	if (p->srb.scsi_status != SCSI_GOOD && (result == HVK_STORVSC_OK ||
	    result == HVK_STORVSC_HOST_ERROR))
		return (HVK_STORVSC_SCSI_STATUS);
	if (result == HVK_STORVSC_OK && p->status != HVK_VSTOR_OK)
		return (HVK_STORVSC_HOST_ERROR);
	return (result);
}

static void
decode(struct hvk_storvsc_queue *q, const struct hvk_vstor_packet *p,
    struct hvk_storvsc_done *done)
{
	const struct hvk_vstor_srb *srb;

	srb = &p->srb;
	if (p->operation != HVK_VSTOR_COMPLETE_IO ||
	    srb->transfer > done->length) {
		q->malformed++;
		return;		/* `done' says MALFORMED already */
	}
	done->result = answer_result(p);
	done->srb_status = srb->srb_status;
	done->scsi_status = srb->scsi_status;
	done->transferred = srb->transfer;
	if ((srb->srb_status & HVK_SRB_AUTOSENSE_VALID) == 0)
		return;
	done->sense_len = srb->sense_len;
	if (done->sense_len > HVK_STORVSC_SENSE) {
		q->malformed++;
		done->sense_len = HVK_STORVSC_SENSE;
	}
	__builtin_memcpy(done->sense, srb->sense, done->sense_len);
}

/*
 * An answer whose id is right ends its request even if the rest makes no
 * sense: the host has said that it is done with the memory, and waiting would
 * only turn the error into a timeout.
 */
int
hvk_storvsc_complete(struct hvk_storvsc_queue *q, const struct hvk_packet *pkt,
    struct hvk_storvsc_done *done)
{
	struct hvk_storvsc_slot *slot;
	struct hvk_vstor_packet p;

	if (pkt->type != HVK_PKT_COMPLETION) {
		q->unknown++;
		return (HVK_REJECT);
	}
	slot = slot_find(q, pkt->txid);
	if (slot == NULL)
		return (HVK_REJECT);
	__builtin_memset(done, 0, sizeof(*done));
	done->cookie = slot->cookie;
	done->length = slot->length;
	done->direction = slot->direction;
	done->result = HVK_STORVSC_MALFORMED;
	if (pkt->len < sizeof(p)) {
		q->malformed++;
	} else {
		__builtin_memcpy(&p, pkt->payload, sizeof(p));
		decode(q, &p, done);
	}
	q->done++;
	slot_end(q, slot, false);
	return (HVK_OK);
}

uint32_t
hvk_storvsc_expire(struct hvk_storvsc_queue *q, uint64_t now)
{
	struct hvk_storvsc_slot *slot;
	uint32_t i, n;

	n = 0;
	for (i = 0; i < q->size && q->busy != 0; i++) {
		slot = &q->slot[i];
		if (slot->state != SLOT_BUSY || now < slot->deadline)
			continue;
		slot->state = SLOT_OVERDUE;
		n++;
	}
	q->timeouts += n;
	return (n);
}

int
hvk_storvsc_abort(struct hvk_storvsc_queue *q, const void *cookie)
{
	uint32_t i;

	for (i = 0; i < q->size; i++)
		if (q->slot[i].state == SLOT_BUSY &&
		    q->slot[i].cookie == cookie) {
			q->slot[i].deadline = 0;
			return (HVK_OK);
		}
	return (HVK_REJECT);
}

bool
hvk_storvsc_end(struct hvk_storvsc_queue *q, enum hvk_storvsc_result result,
    bool held, struct hvk_storvsc_done *done)
{
	struct hvk_storvsc_slot *slot;
	uint32_t i;

	for (i = 0; i < q->size && q->busy != 0; i++) {
		slot = &q->slot[i];
		if (slot->state != SLOT_BUSY && slot->state != SLOT_OVERDUE)
			continue;
		__builtin_memset(done, 0, sizeof(*done));
		done->cookie = slot->cookie;
		done->length = slot->length;
		done->direction = slot->direction;
		done->held = held;
		done->result = slot->state == SLOT_OVERDUE ?
		    HVK_STORVSC_TIMED_OUT : result;
		slot_end(q, slot, held);
		return (true);
	}
	return (false);
}
