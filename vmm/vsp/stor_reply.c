/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * Replies and notices to the guest, in batches: one publication and at most
 * one signal for all that is ready.  Here is also where faults are made.
 * Locking: on the worker's thread.
 */
#include <string.h>

#include "stor_int.h"

static int
send_reply(struct stor_worker *w, uint64_t txid,
    const struct hvk_vstor_packet *p, uint32_t len)
{

	return (hvk_tx_completion(w->tx, txid, p, len));
}

/*
 * Nonsense of several kinds in turn.  Where the true reply is not the lie
 * itself it follows, so that a guest that copes goes on.
 */
static int
send_hostile(struct stor_worker *w, struct stor_slot *s)
{
	struct hvk_vstor_packet lie = s->req.packet;
	uint64_t txid = s->req.txid;
	uint32_t len = s->req.reply_len;
	bool truth = false;
	int error;

	switch (w->mischief++ % 7) {
	case 0:			/* an id that was never given out */
		txid ^= 0x5a5a5a5a00000001ull;
		truth = true;
		break;
	case 1:			/* twice */
		truth = true;
		break;
	case 2:			/* more bytes than were asked for */
		lie.srb.transfer = 0xfffffff0u;
		break;
	case 3:			/* sense data of 255 bytes */
		lie.srb.srb_status = HVK_SRB_ERROR | HVK_SRB_AUTOSENSE_VALID;
		lie.srb.scsi_status = HVK_SCSI_CHECK;
		lie.srb.sense_len = 0xff;
		memset(lie.srb.sense, 0xab, sizeof(lie.srb.sense));
		break;
	case 4:			/* an operation that does not exist */
		lie.operation = 0x7777;
		break;
	case 5:			/* unsolicited, as if for nobody */
		txid = 0;
		truth = true;
		break;
	default:		/* a status without meaning */
		lie.srb.srb_status = 0x3f;
		lie.srb.transfer = 1;
		break;
	}
	error = send_reply(w, txid, &lie, len);
	/* Without room the lie waits for the truth to come alone. */
	if (error == HVK_OK && truth)
		error = send_reply(w, s->req.txid, &s->req.packet, len);
	return (error);
}

/* HVK_OK: sent; HVK_AGAIN: no room; HVK_STATE: it is on another list. */
static int
reply_one(struct stor_worker *w, struct stor_slot *s)
{
	enum vmm_fault fault;
	uint32_t arg = 0;

	fault = FAULT_NONE;
	if (!s->fault_asked)
		fault = vmm_channel_fault(w->channel, &arg);
	s->fault_asked = true;
	switch (fault) {
	case FAULT_DROP:
	case FAULT_SILENCE:
		return (HVK_OK);
	case FAULT_SHORT:
		return (send_reply(w, s->req.txid, &s->req.packet,
		    arg != 0 && arg < s->req.reply_len ? arg : 20));
	case FAULT_HOSTILE:
		return (send_hostile(w, s));
	default:
		return (send_reply(w, s->req.txid, &s->req.packet,
		    s->req.reply_len));
	case FAULT_DELAY:
		s->due = vmm_deadline(arg != 0 ? arg : 1);
		stor_list_add(&w->delayed, s);
		return (HVK_STATE);
	}
}

static void
reply_delayed(struct stor_worker *w)
{
	struct stor_list keep = { NULL, &keep.first };
	struct stor_slot *s;
	uint64_t now;

	if (w->delayed.first == NULL)
		return;
	now = vmm_now_ns();
	while ((s = stor_list_take(&w->delayed)) != NULL)
		stor_list_add(s->due <= now || w->stop ? &w->ready : &keep, s);
	while ((s = stor_list_take(&keep)) != NULL)
		stor_list_add(&w->delayed, s);
}

static void
reply_broken(struct stor_worker *w)
{

	w->broken = true;
	vmm_log("%s channel %u: the guest broke its ring; the channel is dead "
	    "until it is opened again", w->stor->name,
	    vmm_channel_index(w->channel));
}

/* false: no room, the slot is still the caller's. */
static bool
reply_try(struct stor_worker *w, struct stor_slot *s)
{
	int error;

	error = reply_one(w, s);
	if (error == HVK_AGAIN)
		return (false);
	if (error == HVK_STATE)
		return (true);		/* delayed */
	if (error == HVK_FATAL)
		reply_broken(w);
	stor_slot_free(w, s);
	w->unpublished = true;
	return (true);
}

/*
 * A reply goes into the ring as soon as it is made, so that its slot, still in
 * the processor's cache, serves the next request; the guest sees the whole
 * batch when stor_reply_send() publishes.
 */
void
stor_reply(struct stor_worker *w, struct stor_slot *s)
{

	if (w->ready.first != NULL || w->broken || !reply_try(w, s))
		stor_list_add(&w->ready, s);
}

bool
stor_reply_send(struct stor_worker *w)
{
	struct stor_slot *s;
	bool any;

	reply_delayed(w);
	while ((s = w->ready.first) != NULL && !w->broken) {
		(void)stor_list_take(&w->ready);
		if (reply_try(w, s))
			continue;
		if ((s->next = w->ready.first) == NULL)
			w->ready.last = &s->next;
		w->ready.first = s;
		break;
	}
	any = w->unpublished;
	w->unpublished = false;
	if (any && hvk_ring_tx_publish(w->tx)) {
		w->signals++;
		vmm_channel_signal(w->channel);
	}
	return (any);
}

void
stor_reply_notices(struct stor_worker *w)
{
	struct hvk_vstor_packet p;
	uint32_t ops = atomic_exchange(&w->notices, 0), op;

	for (op = 0; op < 32; op++) {
		if ((ops & 1u << op) == 0)
			continue;
		hvk_storvsp_notice(&p, op);
		if (hvk_tx_inband(w->tx, 0, false, &p, sizeof(p)) != HVK_OK)
			/* No room: told at the next chance. */
			atomic_fetch_or(&w->notices, 1u << op);
	}
	if (hvk_ring_tx_publish(w->tx)) {
		w->signals++;
		vmm_channel_signal(w->channel);
	}
}
