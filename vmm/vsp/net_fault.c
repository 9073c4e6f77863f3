/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * Where an adapter's answers and frames go into the ring, and where they are
 * broken on purpose: `hvk ctl inject net0 ...'.  Each answer and each packet of
 * frames takes one fault.
 * Locking: the channel's lock is held.
 */
#include <string.h>

#include "net_int.h"

#define	LIES	8u

static int
complete(struct net_channel *c, const struct net_done *d)
{
	struct hvk_nvsp_rndis_done done;

	hvk_netvsp_send_done(&done, d->status);
	return (hvk_tx_completion(c->tx, d->txid, &done, sizeof(done)));
}

/* Nonsense of several kinds in turn; where it can the truth follows. */
static int
complete_hostile(struct net_worker *w, struct net_channel *c,
    struct net_done *d)
{
	struct hvk_nvsp_send_table table;
	struct hvk_nvsp_message m;
	struct net_done lie = *d;
	int error = HVK_OK;

	memset(&m, 0, sizeof(m));
	switch (w->mischief++ % LIES) {
	case 0:			/* an id that was never given out */
		lie.txid ^= 0x5a5a5a5a00000001ull;
		error = complete(c, &lie);
		break;
	case 1:			/* twice */
		error = complete(c, &lie);
		break;
	case 2:			/* of another kind: as if a buffer was asked */
		m.type = HVK_NVSP_RECV_BUFFER_DONE;
		m.recv_done.status = HVK_NVSP_STATUS_OK;
		m.recv_done.nsections = 1;
		m.recv_done.section.offset = 0xfffff000u;
		return (hvk_tx_completion(c->tx, d->txid, &m, sizeof(m)));
	case 3:			/* a status without meaning */
		lie.status = 0x77777777u;
		return (complete(c, &lie));
	case 4:			/* a message that does not exist */
		m.type = 0x999;
		error = hvk_tx_inband(c->tx, 0, false, &m, sizeof(m));
		break;
	case 5:			/* a table outside its message */
		memset(&table, 0xff, sizeof(table));
		table.type = HVK_NVSP_SEND_TABLE;
		table.count = HVK_NVSP_SEND_TABLE_SIZE;
		table.offset = 0xfffffff0u;
		error = hvk_tx_inband(c->tx, 0, false, &table, sizeof(table));
		break;
	case 6:			/* a table that points nowhere */
		memset(&table, 0xff, sizeof(table));
		table.type = HVK_NVSP_SEND_TABLE;
		table.count = HVK_NVSP_SEND_TABLE_SIZE;
		table.offset = HVK_NVSP_SEND_TABLE_OFFSET;
		error = hvk_tx_inband(c->tx, 0, false, &table, sizeof(table));
		break;
	default:		/* nothing in it */
		return (hvk_tx_completion(c->tx, d->txid, NULL, 0));
	}
	return (error == HVK_OK ? complete(c, d) : error);
}

int
net_fault_complete(struct net_worker *w, struct net_channel *c,
    struct net_done *d)
{
	enum vmm_fault fault = FAULT_NONE;
	uint32_t arg = 0, half = HVK_NVSP_RNDIS_DONE;

	if (!d->asked)
		fault = vmm_channel_fault(w->channel, &arg);
	d->asked = true;
	switch (fault) {
	case FAULT_DROP:
	case FAULT_SILENCE:
		return (HVK_OK);
	case FAULT_SHORT:
		return (hvk_tx_completion(c->tx, d->txid, &half, 4));
	case FAULT_HOSTILE:
		return (complete_hostile(w, c, d));
	case FAULT_DELAY:
		if (w->ndelayed < NET_BATCH) {
			d->due = vmm_deadline(arg != 0 ? arg : 1);
			w->delayed[w->ndelayed++] = *d;
			return (HVK_STATE);
		}
		break;
	case FAULT_NONE:
		break;
	}
	return (complete(c, d));
}

/* ---- frames */

/* A word of the first message, behind whose back the guest looks. */
static void
spoil(const struct net_worker *w, const struct hvk_netvsp_queue *q,
    uint32_t at, uint32_t value)
{

	if (w->nic->recv != NULL && q->range[0].len >= at + 4)
		net_pages_write(w->nic->recv, q->range[0].offset + at, &value,
		    sizeof(value));
}

static void
frames_hostile(struct net_worker *w, struct hvk_netvsp_queue *q, uint32_t n,
    uint16_t *pageset)
{
	uint32_t i;

	switch (w->mischief++ % 12) {
	case 0:			/* outside the receive buffer */
		q->range[0].offset = 0xfffff000u;
		break;
	case 1:
		q->range[0].len = 0xffffffffu;
		break;
	case 2:			/* offset and length wrap together */
		q->range[0].offset = 0xffffff00u;
		q->range[0].len = 0x200;
		break;
	case 3:			/* nothing in it */
		q->range[0].len = 0;
		break;
	case 4:			/* all in the same place */
		for (i = 1; i < n; i++)
			q->range[i] = q->range[0];
		break;
	case 5:			/* shorter than a header */
		q->range[0].len = 6;
		break;
	case 6:			/* the message is longer than its range */
		spoil(w, q, 4, 0x7fffffff);
		break;
	case 7:			/* the frame begins or ends past it */
		spoil(w, q, 8, 0xfffffff0u);
		break;
	case 8:
		spoil(w, q, 12, 0x7fffffff);
		break;
	case 9:			/* information of size 0 */
		spoil(w, q, 44, 0);
		break;
	case 10:		/* or outside */
		spoil(w, q, 28, 0xfffffff0u);
		break;
	default:		/* another buffer */
		*pageset = 0xbeef;
		break;
	}
}

int
net_fault_frames(struct net_worker *w, struct net_channel *c, uint64_t txid,
    uint32_t n, const struct hvk_nvsp_message *m)
{
	struct hvk_netvsp_queue *q = c->queue;
	uint16_t pageset = HVK_NVSP_RECV_ID;
	uint32_t len = sizeof(*m), arg = 0;

	switch (vmm_channel_fault(c->channel, &arg)) {
	case FAULT_DROP:
	case FAULT_SILENCE:
		w->stats.drop[DROP_FAULT] += n;
		(void)hvk_netvsp_queue_undo(q, txid);
		return (HVK_OK);
	case FAULT_SHORT:
		len = 4;
		break;
	case FAULT_HOSTILE:
		frames_hostile(w, q, n, &pageset);
		break;
	case FAULT_DELAY:	/* answers alone are delayed */
	case FAULT_NONE:
		break;
	}
	return (hvk_tx_xfer_pages(c->tx, txid, true, pageset, q->range, n, m,
	    len));
}
