/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * The VMBus client's way out: which message goes next, to which connection of
 * the host, and what to do when the host has no room for it.
 *
 * A message is built when it is about to be posted, from what its owner still
 * has to say; a message that the host refuses for the moment stays at the head
 * and is built again.  Facts: wire.md section 2 (status values), sections 4
 * and 5.
 */

#include "vmbus_int.h"

static uint32_t
client_build(const struct hvk_client *c, void *data)
{
	struct hvk_msg_initiate_contact *m = data;
	struct hvk_msg_plain *plain = data;

	if (c->sends & SEND_CONTACT) {
		m->hdr.type = HVK_MSG_INITIATE_CONTACT;
		m->version = c->version;
		m->target_vp = c->cfg.vcpu;
		if (c->version >= HVK_VERSION_5_0) {
			m->sint = c->cfg.sint;
			m->vtl = c->cfg.vtl;
			if (c->version >= HVK_VERSION_6_0)
				m->features = c->cfg.features &
				    ~HVK_FLAG_CLIENT_ID;
		} else {
			m->interrupt_page = c->cfg.interrupt_page;
		}
		m->monitor_in = c->cfg.monitor_from_host;
		m->monitor_out = c->cfg.monitor_to_host;
		return (offsetof(struct hvk_msg_initiate_contact, client));
	}
	plain->hdr.type = c->sends & SEND_REQUEST_OFFERS ?
	    HVK_MSG_REQUEST_OFFERS : HVK_MSG_UNLOAD;
	return (sizeof(*plain));
}

static void
client_posted(struct hvk_client *c, uint16_t hv_status, bool ok, uint64_t now)
{
	uint8_t bit;

	bit = c->sends & (uint8_t)-c->sends;
	c->sends &= (uint8_t)~bit;
	if (bit == SEND_CONTACT) {
		if (ok)
			hvk_client_contact_sent(c, now);
		else
			hvk_client_contact_failed(c, hv_status, now);
	} else if (bit == SEND_REQUEST_OFFERS) {
		if (ok) {
			hvk_client_wait(c, &c->offers_deadline,
			    now + c->cfg.offers_timeout);
		} else {
			hvk_client_wait(c, &c->offers_deadline, 0);
			hvk_client_tell(c, TELL_ALL_OFFERS, HVK_CLIENT_POST,
			    hv_status);
		}
	} else {
		/* An unload that cannot be posted ends by its deadline. */
		hvk_client_wait(c, &c->deadline,
		    ok ? now + hvk_client_patience(c, c->cfg.unload_timeout) :
		    now + 1);
	}
	if (c->sends != 0)
		hvk_list_append(&c->send, &c->send_link);
}

bool
hvk_client_post(struct hvk_client *c, struct hvk_client_post *post,
    uint64_t now)
{
	struct hvk_client_link *link;

	link = c->send.head;
	if (link == NULL) {
		c->retries = 0;
		c->retry_at = 0;
		return (false);
	}
	if (now < c->retry_at)
		return (false);
	hvk_zero(post, sizeof(*post));
	post->connection_id = c->message_connection;
	switch (link->kind) {
	case LINK_CLIENT:
		post->len = client_build(c, post->data);
		break;
	case LINK_CHAN:
		post->len = hvk_chan_build(c, CHAN_OF_SEND(link), post->data);
		break;
	default:
		post->len = hvk_gpadl_build(GPADL_OF_SEND(link), post->data);
		break;
	}
	c->posting = link;
	return (true);
}

/*
 * The host is short of something, or (0x12 where we have posted before, or
 * where only old hosts listen) its port comes and goes: try again later.
 */
static bool
is_transient(const struct hvk_client *c, const struct hvk_client_link *link,
    uint16_t hv_status)
{
	switch (hv_status) {
	case HVK_HV_INSUFFICIENT_MEMORY:
	case HVK_HV_INSUFFICIENT_BUFFERS:
	case HVK_HV_NO_RESOURCES:
		return (true);
	case HVK_HV_BAD_CONNECTION:
		return (link->kind != LINK_CLIENT ||
		    (c->sends & SEND_CONTACT) == 0);
	default:
		return (false);
	}
}

void
hvk_client_posted(struct hvk_client *c, uint16_t hv_status, uint64_t now)
{
	struct hvk_client_link *link;
	uint64_t delay;
	bool ok;

	link = c->posting;
	c->posting = NULL;
	if (link == NULL || link != c->send.head)
		return;
	ok = hv_status == HVK_HV_SUCCESS;
	if (!ok && is_transient(c, link, hv_status) &&
	    c->retries < POST_RETRIES) {
		delay = c->retries < 7 ? MILLISECOND << c->retries :
		    POST_DELAY_MAX;
		c->retries++;
		c->post_retries++;
		c->retry_at = now + delay;
		return;
	}
	c->retries = 0;
	c->retry_at = 0;
	if (ok)
		c->posts++;
	hvk_list_remove(&c->send, link);
	switch (link->kind) {
	case LINK_CLIENT:
		client_posted(c, hv_status, ok, now);
		break;
	case LINK_CHAN:
		hvk_chan_posted(c, CHAN_OF_SEND(link), hv_status, ok, now);
		break;
	default:
		hvk_gpadl_posted(c, GPADL_OF_SEND(link), hv_status, ok, now);
		break;
	}
}
