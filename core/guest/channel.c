/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * Channels as the guest sees them: offered, opened, moved, closed, rescinded,
 * released.
 *
 * A channel's slot in the caller's table lives from its offer until the message
 * that releases its relid has left, because only after that may the host use the
 * number again.  A rescind ends every request of the channel at once; what is
 * left for the owner is to close, tear down and release.
 * Facts: wire.md section 4.
 */

#include "vmbus_int.h"

#define MONITOR_IDS	(HVK_MONITOR_GROUPS * HVK_MONITOR_BITS)

struct hvk_client_chan *
hvk_client_find(const struct hvk_client *c, uint32_t relid)
{
	uint16_t slot;

	if (relid == 0 || relid > HVK_RELID_MAX)
		return (NULL);
	slot = c->by_relid[relid];
	return (slot != 0 ? &c->cfg.chans[slot - 1] : NULL);
}

/* The live channel of this device with this sub-channel index. */
static struct hvk_client_chan *
find_instance(const struct hvk_client *c, const struct hvk_guid *type,
    const struct hvk_guid *instance, uint16_t subindex)
{
	struct hvk_client_chan *ch;
	uint32_t i;

	for (i = 0; i < c->chans_used; i++) {
		ch = &c->cfg.chans[i];
		if (ch->state != HVK_CHAN_FREE && ch->subindex == subindex &&
		    hvk_guid_eq(&ch->instance, instance) &&
		    hvk_guid_eq(&ch->type, type))
			return (ch);
	}
	return (NULL);
}

struct hvk_client_chan *
hvk_client_primary(const struct hvk_client *c,
    const struct hvk_client_chan *sub)
{
	return (find_instance(c, &sub->type, &sub->instance, 0));
}

static struct hvk_client_chan *
take_slot(struct hvk_client *c)
{
	uint32_t i;

	for (i = 0; i < c->chans_used; i++)
		if (c->cfg.chans[i].state == HVK_CHAN_FREE)
			return (&c->cfg.chans[i]);
	if (c->chans_used == c->cfg.nchans)
		return (NULL);
	return (&c->cfg.chans[c->chans_used++]);
}

static void
tell(struct hvk_client *c, struct hvk_client_chan *ch, uint8_t event)
{
	ch->events |= event;
	hvk_list_append(&c->event, &ch->event_link);
}

static void
send(struct hvk_client *c, struct hvk_client_chan *ch, uint8_t what)
{
	ch->sends |= what;
	hvk_list_append(&c->send, &ch->send_link);
}

static void
unsend(struct hvk_client *c, struct hvk_client_chan *ch, uint8_t what)
{
	ch->sends &= (uint8_t)~what;
	if (ch->sends == 0)
		hvk_list_remove(&c->send, &ch->send_link);
}

static void
opened(struct hvk_client *c, struct hvk_client_chan *ch, uint8_t status,
    uint32_t host_status)
{
	hvk_client_wait(c, &ch->open_deadline, 0);
	unsend(c, ch, SEND_OPEN | SEND_OPEN_RESERVED);
	ch->open_data = NULL;
	ch->open_status = status;
	ch->open_host_status = host_status;
	ch->state = status == HVK_CLIENT_OK ? HVK_CHAN_OPEN : HVK_CHAN_OFFERED;
	if (status == HVK_CLIENT_REFUSED)
		ch->host_open = false;
	tell(c, ch, TELL_OPENED);
}

static void
modified(struct hvk_client *c, struct hvk_client_chan *ch, uint8_t status,
    uint32_t host_status)
{
	hvk_client_wait(c, &ch->modify_deadline, 0);
	unsend(c, ch, SEND_MODIFY);
	ch->modify_status = status;
	ch->modify_host_status = host_status;
	if (status == HVK_CLIENT_OK)
		ch->vcpu = ch->new_vcpu;
	tell(c, ch, TELL_MODIFIED);
}

/* End what is under way. */
static void
cancel(struct hvk_client *c, struct hvk_client_chan *ch)
{
	if (ch->modify_deadline != 0)
		modified(c, ch, HVK_CLIENT_REVOKED, 0);
	if (ch->state == HVK_CHAN_OPENING)
		opened(c, ch, HVK_CLIENT_REVOKED, 0);
}

static void
free_slot(struct hvk_client *c, struct hvk_client_chan *ch)
{
	hvk_list_remove(&c->send, &ch->send_link);
	hvk_list_remove(&c->event, &ch->event_link);
	ch->sends = 0;
	ch->events = 0;
	ch->user = NULL;
	c->by_relid[ch->relid] = 0;
	ch->state = HVK_CHAN_FREE;
}

int
hvk_chan_offer(struct hvk_client *c, const struct hvk_msg_offer *m,
    uint64_t now)
{
	struct hvk_client_chan *ch, *primary;

	if (!c->offers_asked)
		return (HVK_STATE);
	if (m->relid == 0 || m->relid > HVK_RELID_MAX ||
	    c->by_relid[m->relid] != 0 ||
	    find_instance(c, &m->type, &m->instance, m->subindex) != NULL)
		return (HVK_REJECT);
	if (m->subindex != 0) {
		primary = find_instance(c, &m->type, &m->instance, 0);
		if (primary == NULL || primary->state == HVK_CHAN_REVOKED ||
		    primary->state == HVK_CHAN_RELEASING)
			return (HVK_REJECT);
	}
	ch = take_slot(c);
	if (ch == NULL)
		return (HVK_REJECT);
	ch->type = m->type;
	ch->instance = m->instance;
	hvk_copy(ch->user_data, m->user, sizeof(ch->user_data));
	ch->flags = m->flags;
	ch->mmio_mb = m->mmio_mb;
	ch->subindex = m->subindex;
	/* A monitor that cannot exist is no reason to lose the device. */
	ch->monitored = (m->monitor_allocated & HVK_OFFER_MONITOR_ALLOCATED) &&
	    m->monitor_id < MONITOR_IDS && c->cfg.monitor_to_host != 0;
	ch->monitor_id = ch->monitored ? m->monitor_id : 0;
	ch->dedicated = (m->dedicated & HVK_OFFER_DEDICATED) != 0;
	ch->relid = m->relid;
	ch->connection_id = m->connection;
	ch->vcpu = c->cfg.vcpu;
	ch->user = NULL;
	ch->sends = 0;
	ch->events = 0;
	ch->host_open = false;
	ch->reserved = false;
	ch->ring_gpadl = 0;
	ch->gpadls = 0;
	ch->state = HVK_CHAN_OFFERED;
	c->by_relid[ch->relid] = (uint16_t)(ch - c->cfg.chans + 1);
	if (c->offers_deadline != 0)
		hvk_client_wait(c, &c->offers_deadline,
		    now + c->cfg.offers_timeout);
	tell(c, ch, TELL_OFFER);
	return (HVK_OK);
}

int
hvk_chan_rescind(struct hvk_client *c, const struct hvk_msg_rescind *m)
{
	struct hvk_client_chan *ch;
	uint32_t i;

	ch = hvk_client_find(c, m->relid);
	if (ch == NULL || ch->state == HVK_CHAN_REVOKED ||
	    ch->state == HVK_CHAN_RELEASING)
		return (HVK_STATE);
	cancel(c, ch);
	for (i = 0; i < c->gpadls_used && ch->gpadls != 0; i++)
		if (c->cfg.gpadls[i].chan == ch)
			hvk_gpadl_abandon(c, &c->cfg.gpadls[i]);
	ch->state = HVK_CHAN_REVOKED;
	tell(c, ch, TELL_RESCIND);
	return (HVK_OK);
}

/* The connection ends: nothing of this channel is sent any more. */
void
hvk_chan_abandon(struct hvk_client *c, struct hvk_client_chan *ch)
{
	if (ch->state == HVK_CHAN_FREE)
		return;
	cancel(c, ch);
	unsend(c, ch, 0xff);
	if (!ch->reserved)
		ch->host_open = false;
	if (ch->state == HVK_CHAN_RELEASING)
		free_slot(c, ch);
}

static int
start_open(struct hvk_client *c, struct hvk_client_chan *ch,
    const struct hvk_client_open *o, uint64_t now)
{
	struct hvk_client_gpadl *g;

	if (c->state != HVK_CLIENT_CONNECTED || ch->state != HVK_CHAN_OFFERED)
		return (HVK_STATE);
	if (o->len > HVK_USER_DATA || (o->data == NULL && o->len != 0))
		return (HVK_RANGE);
	g = hvk_client_gpadl_find(c, o->ring_gpadl);
	if (g == NULL || g->chan != ch || g->state != HVK_GPADL_LIVE ||
	    o->rx_page == 0 || o->rx_page >= g->npfn)
		return (HVK_RANGE);
	ch->ring_gpadl = o->ring_gpadl;
	ch->rx_page = o->rx_page;
	ch->vcpu = o->vcpu;
	ch->open_data = o->data;
	ch->open_len = o->len;
	/* A number of its own, so that a late answer is known as such. */
	ch->open_id = ++c->next_open_id;
	ch->state = HVK_CHAN_OPENING;
	hvk_client_wait(c, &ch->open_deadline, now + c->cfg.request_timeout);
	return (HVK_OK);
}

int
hvk_client_open(struct hvk_client *c, struct hvk_client_chan *ch,
    const struct hvk_client_open *o, uint64_t now)
{
	int error;

	error = start_open(c, ch, o, now);
	if (error != HVK_OK)
		return (error);
	ch->reserved = false;
	send(c, ch, SEND_OPEN);
	return (HVK_OK);
}

int
hvk_client_open_reserved(struct hvk_client *c, struct hvk_client_chan *ch,
    const struct hvk_client_open *o, uint8_t sint, uint64_t now)
{
	int error;

	if (c->version < HVK_VERSION_4_0 || sint > 15)
		return (HVK_RANGE);
	error = start_open(c, ch, o, now);
	if (error != HVK_OK)
		return (error);
	ch->reserved = true;
	ch->sint = sint;
	send(c, ch, SEND_OPEN_RESERVED);
	return (HVK_OK);
}

int
hvk_client_close(struct hvk_client *c, struct hvk_client_chan *ch)
{
	if (ch->reserved && ch->host_open)
		return (HVK_STATE);
	if (ch->state != HVK_CHAN_OPEN && ch->state != HVK_CHAN_OPENING &&
	    !ch->host_open)
		return (HVK_STATE);
	if (ch->modify_deadline != 0)
		modified(c, ch, HVK_CLIENT_REVOKED, 0);
	hvk_client_wait(c, &ch->open_deadline, 0);
	unsend(c, ch, SEND_OPEN | SEND_OPEN_RESERVED);
	ch->open_data = NULL;
	ch->events &= (uint8_t)~TELL_OPENED;
	if (ch->state != HVK_CHAN_REVOKED)
		ch->state = HVK_CHAN_OFFERED;
	if (ch->host_open && c->state == HVK_CLIENT_CONNECTED)
		send(c, ch, SEND_CLOSE);
	ch->host_open = false;
	return (HVK_OK);
}

int
hvk_client_close_reserved(struct hvk_client *c, struct hvk_client_chan *ch,
    uint64_t now)
{
	if (!ch->reserved || !ch->host_open || ch->open_deadline != 0)
		return (HVK_STATE);
	send(c, ch, SEND_CLOSE_RESERVED);
	hvk_client_wait(c, &ch->open_deadline, now + c->cfg.request_timeout);
	return (HVK_OK);
}

static void
reserved_over(struct hvk_client *c, struct hvk_client_chan *ch,
    uint8_t status, uint32_t host_status)
{
	hvk_client_wait(c, &ch->open_deadline, 0);
	unsend(c, ch, SEND_CLOSE_RESERVED);
	ch->open_status = status;
	ch->open_host_status = host_status;
	ch->reserved = false;
	ch->host_open = false;
	if (ch->state == HVK_CHAN_OPEN)
		ch->state = HVK_CHAN_OFFERED;
	tell(c, ch, TELL_CLOSED);
}

int
hvk_client_modify(struct hvk_client *c, struct hvk_client_chan *ch,
    uint32_t vcpu, uint64_t now)
{
	if (c->state != HVK_CLIENT_CONNECTED || ch->state != HVK_CHAN_OPEN ||
	    ch->reserved || ch->modify_deadline != 0)
		return (HVK_STATE);
	if (c->version < HVK_VERSION_4_1 || vcpu == HVK_VP_NO_INTERRUPT)
		return (HVK_RANGE);
	ch->new_vcpu = vcpu;
	send(c, ch, SEND_MODIFY);
	hvk_client_wait(c, &ch->modify_deadline,
	    now + c->cfg.request_timeout);
	return (HVK_OK);
}

int
hvk_client_release(struct hvk_client *c, struct hvk_client_chan *ch)
{
	bool alive;

	alive = c->state == HVK_CLIENT_CONNECTED;
	if (ch->state == HVK_CHAN_FREE || ch->state == HVK_CHAN_RELEASING ||
	    (alive && ch->state != HVK_CHAN_REVOKED) ||
	    ch->host_open || ch->gpadls != 0)
		return (HVK_STATE);
	if (!alive) {
		free_slot(c, ch);
		return (HVK_OK);
	}
	ch->state = HVK_CHAN_RELEASING;
	ch->user = NULL;
	ch->events = 0;
	hvk_list_remove(&c->event, &ch->event_link);
	send(c, ch, SEND_RELEASE);
	return (HVK_OK);
}

int
hvk_chan_open_result(struct hvk_client *c, const struct hvk_msg_open_result *m)
{
	struct hvk_client_chan *ch;

	ch = hvk_client_find(c, m->relid);
	if (ch == NULL || ch->state != HVK_CHAN_OPENING || !ch->host_open ||
	    ch->reserved || ch->open_id != m->open_id)
		return (HVK_STATE);
	if (m->status == HVK_STATUS_OK)
		opened(c, ch, HVK_CLIENT_OK, 0);
	else
		opened(c, ch, HVK_CLIENT_REFUSED, m->status);
	return (HVK_OK);
}

int
hvk_chan_modified(struct hvk_client *c,
    const struct hvk_msg_modify_channel_response *m)
{
	struct hvk_client_chan *ch;

	ch = hvk_client_find(c, m->relid);
	if (ch == NULL || ch->modify_deadline == 0 ||
	    (ch->sends & SEND_MODIFY) != 0)
		return (HVK_STATE);
	if (m->status == HVK_STATUS_OK)
		modified(c, ch, HVK_CLIENT_OK, 0);
	else
		modified(c, ch, HVK_CLIENT_REFUSED, m->status);
	return (HVK_OK);
}

int
hvk_chan_reserved_closed(struct hvk_client *c,
    const struct hvk_msg_close_reserved_response *m)
{
	struct hvk_client_chan *ch;

	ch = hvk_client_find(c, m->relid);
	if (ch == NULL || !ch->reserved || !ch->host_open ||
	    ch->open_deadline == 0 || (ch->sends & SEND_CLOSE_RESERVED) != 0)
		return (HVK_STATE);
	reserved_over(c, ch, HVK_CLIENT_OK, 0);
	return (HVK_OK);
}

static uint32_t
open_build(const struct hvk_client *c, const struct hvk_client_chan *ch,
    struct hvk_msg_open *m)
{
	m->hdr.type = HVK_MSG_OPEN;
	m->relid = ch->relid;
	m->open_id = ch->open_id;
	m->gpadl = ch->ring_gpadl;
	m->target_vp = ch->vcpu;
	m->page_offset = ch->rx_page;
	if (ch->open_len != 0)
		hvk_copy(m->user, ch->open_data, ch->open_len);
	if ((c->features & (HVK_FLAG_SIGNAL_PARAMETERS |
	    HVK_FLAG_REDIRECT_INTERRUPT)) == 0)
		return (HVK_OPEN_SIZE);
	m->connection = ch->connection_id;
	m->event_flag = (uint16_t)ch->relid;
	return (sizeof(*m));
}

uint32_t
hvk_chan_build(const struct hvk_client *c, const struct hvk_client_chan *ch,
    void *data)
{
	struct hvk_msg_open_reserved *open_reserved = data;
	struct hvk_msg_close_reserved *close_reserved = data;
	struct hvk_msg_modify_channel *modify = data;
	struct hvk_msg_relid *plain = data;

	switch (ch->sends & (uint8_t)-ch->sends) {
	case SEND_OPEN:
		return (open_build(c, ch, data));
	case SEND_OPEN_RESERVED:
		open_reserved->hdr.type = HVK_MSG_OPEN_RESERVED;
		open_reserved->relid = ch->relid;
		open_reserved->target_vp = ch->vcpu;
		open_reserved->sint = ch->sint;
		open_reserved->gpadl = ch->ring_gpadl;
		open_reserved->page_offset = ch->rx_page;
		return (sizeof(*open_reserved));
	case SEND_CLOSE_RESERVED:
		close_reserved->hdr.type = HVK_MSG_CLOSE_RESERVED;
		close_reserved->relid = ch->relid;
		close_reserved->target_vp = ch->vcpu;
		close_reserved->sint = ch->sint;
		return (sizeof(*close_reserved));
	case SEND_MODIFY:
		modify->hdr.type = HVK_MSG_MODIFY_CHANNEL;
		modify->relid = ch->relid;
		modify->target_vp = ch->new_vcpu;
		return (sizeof(*modify));
	case SEND_CLOSE:
		plain->hdr.type = HVK_MSG_CLOSE;
		break;
	default:
		plain->hdr.type = HVK_MSG_RELID_RELEASED;
		break;
	}
	plain->relid = ch->relid;
	return (sizeof(*plain));
}

static void
open_posted(struct hvk_client *c, struct hvk_client_chan *ch, uint8_t bit,
    uint16_t hv_status, bool ok, uint64_t now)
{
	if (!ok) {
		opened(c, ch, HVK_CLIENT_POST, hv_status);
		return;
	}
	ch->host_open = true;
	if (bit == SEND_OPEN_RESERVED)
		opened(c, ch, HVK_CLIENT_OK, 0);	/* has no answer */
	else
		hvk_client_wait(c, &ch->open_deadline,
		    now + c->cfg.request_timeout);
}

void
hvk_chan_posted(struct hvk_client *c, struct hvk_client_chan *ch,
    uint16_t hv_status, bool ok, uint64_t now)
{
	uint8_t bit;

	bit = ch->sends & (uint8_t)-ch->sends;
	ch->sends &= (uint8_t)~bit;
	if (ch->sends != 0)
		hvk_list_append(&c->send, &ch->send_link);
	switch (bit) {
	case SEND_OPEN:
	case SEND_OPEN_RESERVED:
		open_posted(c, ch, bit, hv_status, ok, now);
		break;
	case SEND_CLOSE_RESERVED:
		if (!ok)
			reserved_over(c, ch, HVK_CLIENT_POST, hv_status);
		break;
	case SEND_MODIFY:
		if (!ok)
			modified(c, ch, HVK_CLIENT_POST, hv_status);
		else if (c->version < HVK_VERSION_5_3)
			modified(c, ch, HVK_CLIENT_OK, 0);
		else
			hvk_client_wait(c, &ch->modify_deadline,
			    now + c->cfg.request_timeout);
		break;
	case SEND_RELEASE:
		free_slot(c, ch);
		break;
	default:
		/* A close that was not heard: its teardown will not be either. */
		break;
	}
}

void
hvk_chan_tick(struct hvk_client *c, struct hvk_client_chan *ch, uint64_t now)
{
	if (ch->modify_deadline != 0 && now >= ch->modify_deadline) {
		c->timeouts++;
		modified(c, ch, HVK_CLIENT_TIMEOUT, 0);
	}
	if (ch->open_deadline == 0 || now < ch->open_deadline)
		return;
	c->timeouts++;
	if (ch->state != HVK_CHAN_OPENING) {
		reserved_over(c, ch, HVK_CLIENT_TIMEOUT, 0);
		return;
	}
	opened(c, ch, HVK_CLIENT_TIMEOUT, 0);
	if (ch->host_open) {
		/* It may yet open: take that back. */
		ch->host_open = false;
		send(c, ch, SEND_CLOSE);
	}
}

bool
hvk_chan_event(struct hvk_client *c, struct hvk_client_chan *ch,
    struct hvk_client_event *ev)
{
	uint8_t bit;

	(void)c;
	bit = ch->events & (uint8_t)-ch->events;
	ch->events &= (uint8_t)~bit;
	ev->chan = ch;
	switch (bit) {
	case TELL_OFFER:
		ev->kind = HVK_EVENT_OFFER;
		break;
	case TELL_OPENED:
		ev->kind = HVK_EVENT_OPENED;
		ev->status = (enum hvk_client_status)ch->open_status;
		ev->host_status = ch->open_host_status;
		break;
	case TELL_CLOSED:
		ev->kind = HVK_EVENT_CLOSED;
		ev->status = (enum hvk_client_status)ch->open_status;
		ev->host_status = ch->open_host_status;
		break;
	case TELL_MODIFIED:
		ev->kind = HVK_EVENT_MODIFIED;
		ev->status = (enum hvk_client_status)ch->modify_status;
		ev->host_status = ch->modify_host_status;
		break;
	default:
		ev->kind = HVK_EVENT_RESCIND;
		break;
	}
	return (ch->events != 0);
}
