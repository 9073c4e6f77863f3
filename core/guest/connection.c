/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * The VMBus client's connection: version negotiation, the list of offers, the
 * end of the connection, and the two doors through which everything passes,
 * hvk_client_input() for messages and hvk_client_tick() for time.
 *
 * Channels are in channel.c, GPADLs in gpadl.c, the way out in post.c.
 * Facts: wire.md sections 3 and 4.
 */

#include "vmbus_int.h"

static const uint32_t versions[] = {
	HVK_VERSION_6_0, HVK_VERSION_5_3, HVK_VERSION_5_2, HVK_VERSION_5_1,
	HVK_VERSION_5_0, HVK_VERSION_4_1, HVK_VERSION_4_0, HVK_VERSION_3_0,
	HVK_VERSION_2_4
};

#define VERSIONS	(sizeof(versions) / sizeof(versions[0]))

void
hvk_list_append(struct hvk_client_list *list, struct hvk_client_link *link)
{
	if (link->queued)
		return;
	link->queued = true;
	link->next = NULL;
	if (list->tail != NULL)
		list->tail->next = link;
	else
		list->head = link;
	list->tail = link;
}

void
hvk_list_remove(struct hvk_client_list *list, struct hvk_client_link *link)
{
	struct hvk_client_link *at, *before;

	if (!link->queued)
		return;
	before = NULL;
	for (at = list->head; at != NULL && at != link; at = at->next)
		before = at;
	if (at == NULL)
		return;
	if (before != NULL)
		before->next = link->next;
	else
		list->head = link->next;
	if (list->tail == link)
		list->tail = before;
	link->next = NULL;
	link->queued = false;
}

/*
 * Set or (0) clear a deadline, and know how many are set, so that a client
 * which waits for nothing costs nothing.
 */
void
hvk_client_wait(struct hvk_client *c, uint64_t *deadline, uint64_t when)
{
	if (*deadline != 0)
		c->waits--;
	*deadline = when;
	if (*deadline != 0)
		c->waits++;
}

/* How long to wait for an answer to something that is taken back. */
uint64_t
hvk_client_patience(const struct hvk_client *c, uint64_t timeout)
{
	return (!c->silent ? timeout :
	    timeout / 100 > MILLISECOND ? timeout / 100 : MILLISECOND);
}

void
hvk_client_tell(struct hvk_client *c, uint8_t event, uint8_t status,
    uint32_t host_status)
{
	if (event == TELL_ALL_OFFERS) {
		c->offers_status = status;
	} else {
		c->status = status;
		c->host_status = host_status;
	}
	c->events |= event;
	hvk_list_append(&c->event, &c->event_link);
}

static uint64_t
or_default(uint64_t given, uint64_t otherwise)
{
	return (given != 0 ? given : otherwise);
}

int
hvk_client_init(struct hvk_client *c, const struct hvk_client_config *cfg)
{
	uint32_t i;

	if (cfg->chans == NULL || cfg->gpadls == NULL || cfg->nchans == 0 ||
	    cfg->nchans > HVK_CLIENT_MAX_CHANNELS || cfg->ngpadls == 0 ||
	    cfg->ngpadls > HVK_CLIENT_MAX_GPADLS || cfg->sint > 15)
		return (HVK_RANGE);
	if ((cfg->monitor_from_host == 0) != (cfg->monitor_to_host == 0))
		return (HVK_RANGE);
	for (i = 0; i < VERSIONS; i++)
		if ((cfg->max_version == 0 ||
		    versions[i] <= cfg->max_version) &&
		    versions[i] >= cfg->min_version)
			break;
	if (i == VERSIONS)
		return (HVK_RANGE);

	hvk_zero(c, sizeof(*c));
	c->cfg = *cfg;
	c->cfg.contact_timeout = or_default(cfg->contact_timeout, 10 * SECOND);
	c->cfg.request_timeout = or_default(cfg->request_timeout, 10 * SECOND);
	c->cfg.offers_timeout = or_default(cfg->offers_timeout, 10 * SECOND);
	c->cfg.teardown_timeout = or_default(cfg->teardown_timeout,
	    10 * SECOND);
	c->cfg.unload_timeout = or_default(cfg->unload_timeout, 10 * SECOND);
	c->send_link.kind = LINK_CLIENT;
	c->event_link.kind = LINK_CLIENT;
	c->attempt = (uint8_t)i;
	for (i = 0; i < cfg->nchans; i++) {
		hvk_zero(&cfg->chans[i], sizeof(cfg->chans[i]));
		cfg->chans[i].send_link.kind = LINK_CHAN;
		cfg->chans[i].event_link.kind = LINK_CHAN;
	}
	for (i = 0; i < cfg->ngpadls; i++) {
		hvk_zero(&cfg->gpadls[i], sizeof(cfg->gpadls[i]));
		cfg->gpadls[i].send_link.kind = LINK_GPADL;
		cfg->gpadls[i].event_link.kind = LINK_GPADL;
	}
	return (HVK_OK);
}

/* Offer versions[attempt]. */
static void
contact(struct hvk_client *c, uint64_t now)
{
	c->state = HVK_CLIENT_CONTACT;
	c->version = versions[c->attempt];
	c->message_connection = c->version >= HVK_VERSION_5_0 ?
	    HVK_CONNECTION_CONTACT : HVK_CONNECTION_OLD;
	c->sends = SEND_CONTACT;
	hvk_list_append(&c->send, &c->send_link);
	hvk_client_wait(c, &c->deadline, now + c->cfg.contact_timeout);
}

static void
contact_over(struct hvk_client *c, uint8_t status, uint32_t host_status)
{
	c->state = HVK_CLIENT_FAILED;
	c->sends = 0;
	hvk_list_remove(&c->send, &c->send_link);
	hvk_client_wait(c, &c->deadline, 0);
	hvk_client_tell(c, TELL_FAILED, status, host_status);
}

static void
next_version(struct hvk_client *c, uint8_t status, uint32_t host_status,
    uint64_t now)
{
	if (c->attempt + 1u >= VERSIONS ||
	    versions[c->attempt + 1] < c->cfg.min_version) {
		contact_over(c, status, host_status);
		return;
	}
	c->attempt++;
	contact(c, now);
}

int
hvk_client_connect(struct hvk_client *c, uint64_t now)
{
	if (c->state != HVK_CLIENT_IDLE)
		return (HVK_STATE);
	contact(c, now);
	return (HVK_OK);
}

void
hvk_client_contact_sent(struct hvk_client *c, uint64_t now)
{
	c->contacted = true;
	hvk_client_wait(c, &c->deadline, now + c->cfg.contact_timeout);
}

/*
 * The first contact of 5.0 and later goes to a connection that older hosts do
 * not have: that is how they say no.
 */
void
hvk_client_contact_failed(struct hvk_client *c, uint16_t hv_status,
    uint64_t now)
{
	if (hv_status == HVK_HV_BAD_CONNECTION &&
	    c->version >= HVK_VERSION_5_0)
		next_version(c, HVK_CLIENT_POST, hv_status, now);
	else
		contact_over(c, HVK_CLIENT_POST, hv_status);
}

static int
version_response(struct hvk_client *c,
    const struct hvk_msg_version_response *m, uint64_t now)
{
	/* Not before our question has left. */
	if (c->state != HVK_CLIENT_CONTACT || c->sends != 0)
		return (HVK_STATE);
	if (m->supported == 0) {
		next_version(c, HVK_CLIENT_REFUSED, 0, now);
		return (HVK_OK);
	}
	if (m->state != HVK_CONTACT_OK) {
		contact_over(c, HVK_CLIENT_REFUSED, m->state);
		return (HVK_OK);
	}
	if (c->version >= HVK_VERSION_5_0) {
		if (m->connection == 0)
			return (HVK_REJECT);
		c->message_connection = m->connection;
	}
	/* A host that replies in the short form grants nothing. */
	c->features = c->version >= HVK_VERSION_6_0 ?
	    m->features & c->cfg.features : 0;
	c->state = HVK_CLIENT_CONNECTED;
	hvk_client_wait(c, &c->deadline, 0);
	hvk_client_tell(c, TELL_CONNECTED, HVK_CLIENT_OK, 0);
	return (HVK_OK);
}

int
hvk_client_request_offers(struct hvk_client *c, uint64_t now)
{
	if (c->state != HVK_CLIENT_CONNECTED || c->offers_asked)
		return (HVK_STATE);
	c->offers_asked = true;
	c->sends |= SEND_REQUEST_OFFERS;
	hvk_list_append(&c->send, &c->send_link);
	hvk_client_wait(c, &c->offers_deadline, now + c->cfg.offers_timeout);
	return (HVK_OK);
}

static int
all_offers(struct hvk_client *c)
{
	if (!c->offers_asked || c->offers_done)
		return (HVK_STATE);
	c->offers_done = true;
	hvk_client_wait(c, &c->offers_deadline, 0);
	hvk_client_tell(c, TELL_ALL_OFFERS, HVK_CLIENT_OK, 0);
	return (HVK_OK);
}

static void
unloaded(struct hvk_client *c, uint8_t status, uint32_t host_status)
{
	uint32_t i;

	c->state = HVK_CLIENT_UNLOADED;
	c->sends = 0;
	hvk_list_remove(&c->send, &c->send_link);
	hvk_client_wait(c, &c->deadline, 0);
	hvk_client_tell(c, TELL_UNLOADED, status, host_status);
	for (i = 0; i < c->gpadls_used; i++)
		hvk_gpadl_unloaded(c, &c->cfg.gpadls[i],
		    status == HVK_CLIENT_OK);
}

void
hvk_client_unload(struct hvk_client *c, uint64_t now)
{
	uint32_t i;

	if (c->state == HVK_CLIENT_UNLOADING ||
	    c->state == HVK_CLIENT_UNLOADED)
		return;
	/* Whatever was to be said before is of no use any more. */
	for (i = 0; i < c->chans_used; i++)
		hvk_chan_abandon(c, &c->cfg.chans[i]);
	for (i = 0; i < c->gpadls_used; i++)
		hvk_gpadl_unloading(c, &c->cfg.gpadls[i]);
	hvk_list_remove(&c->send, &c->send_link);
	hvk_client_wait(c, &c->offers_deadline, 0);
	hvk_client_wait(c, &c->deadline, 0);
	c->retries = 0;
	c->retry_at = 0;
	if (!c->contacted) {
		unloaded(c, HVK_CLIENT_OK, 0);
		return;
	}
	c->state = HVK_CLIENT_UNLOADING;
	c->sends = SEND_UNLOAD;
	hvk_list_append(&c->send, &c->send_link);
	hvk_client_wait(c, &c->deadline, now +
	    hvk_client_patience(c, c->cfg.unload_timeout));
}

struct rule {
	uint32_t	version;	/* first version that has it */
	uint8_t		direction;
	uint8_t		min;
	uint8_t		max;
};

static const struct rule rules[HVK_MSG_COUNT] = {
#define HVK_MESSAGE(number, NAME, dir, ver, noun, smallest, largest)	\
	[number] = { .version = (ver), .direction = (dir),		\
	    .min = (smallest), .max = (largest) },
#include <hvk/wire/messages.def>
#undef HVK_MESSAGE
};

/* Every struct of the table, so that each message is read in place. */
union message {
	struct hvk_msg_header	hdr;
	uint8_t			bytes[HVK_CLIENT_MESSAGE_MAX];
	uint64_t		align;
#define HVK_MESSAGE(number, NAME, dir, ver, noun, smallest, largest)	\
	struct hvk_msg_##noun	noun;
#include <hvk/wire/messages.def>
#undef HVK_MESSAGE
};

static int
dispatch(struct hvk_client *c, const union message *m, uint64_t now)
{
	if (m->hdr.type == HVK_MSG_VERSION_RESPONSE)
		return (version_response(c, &m->version_response, now));
	if (m->hdr.type == HVK_MSG_UNLOAD_RESPONSE) {
		if (c->state != HVK_CLIENT_UNLOADING || c->sends != 0)
			return (HVK_STATE);
		unloaded(c, HVK_CLIENT_OK, 0);
		return (HVK_OK);
	}
	/* Reserved channels outlive the connection. */
	if (m->hdr.type == HVK_MSG_CLOSE_RESERVED_RESPONSE)
		return (hvk_chan_reserved_closed(c,
		    &m->close_reserved_response));
	if (c->state != HVK_CLIENT_CONNECTED)
		return (HVK_STATE);
	switch (m->hdr.type) {
	case HVK_MSG_OFFER:
		return (hvk_chan_offer(c, &m->offer, now));
	case HVK_MSG_RESCIND:
		return (hvk_chan_rescind(c, &m->rescind));
	case HVK_MSG_ALL_OFFERS_DELIVERED:
		return (all_offers(c));
	case HVK_MSG_OPEN_RESULT:
		return (hvk_chan_open_result(c, &m->open_result));
	case HVK_MSG_GPADL_CREATED:
		return (hvk_gpadl_created(c, &m->gpadl_created));
	case HVK_MSG_GPADL_TORNDOWN:
		return (hvk_gpadl_torndown(c, &m->gpadl_torndown));
	case HVK_MSG_MODIFY_CHANNEL_RESPONSE:
		return (hvk_chan_modified(c, &m->modify_channel_response));
	default:
		/* hvsock results, pause and the like: never asked for. */
		return (HVK_STATE);
	}
}

int
hvk_client_input(struct hvk_client *c, const void *payload, uint32_t len,
    uint64_t now)
{
	const struct rule *rule;
	union message m;
	int error;

	if (len < sizeof(m.hdr) || len > sizeof(m.bytes)) {
		c->rejected++;
		return (HVK_REJECT);
	}
	hvk_zero(&m, sizeof(m));
	hvk_copy(&m, payload, len);
	if (m.hdr.type >= HVK_MSG_COUNT) {
		c->rejected++;
		return (HVK_REJECT);
	}
	rule = &rules[m.hdr.type];
	if (rule->direction != HVK_TO_GUEST || len < rule->min ||
	    rule->version > c->version) {
		c->rejected++;
		return (HVK_REJECT);
	}
	/* Newer hosts may say more than we know; we never look at it. */
	if (len > rule->max)
		hvk_zero(m.bytes + rule->max, len - rule->max);
	error = dispatch(c, &m, now);
	if (error == HVK_OK) {
		c->messages++;
		c->silent = false;
		return (HVK_OK);
	}
	if (error == HVK_STATE)
		c->unexpected++;
	else
		c->rejected++;
	return (HVK_REJECT);
}

void
hvk_client_tick(struct hvk_client *c, uint64_t now)
{
	uint32_t i;

	if (c->waits == 0)
		return;
	if (c->deadline != 0 && now >= c->deadline) {
		c->timeouts++;
		if (c->state == HVK_CLIENT_UNLOADING)
			unloaded(c, HVK_CLIENT_TIMEOUT, 0);
		else
			contact_over(c, HVK_CLIENT_TIMEOUT, 0);
	}
	if (c->offers_deadline != 0 && now >= c->offers_deadline) {
		c->timeouts++;
		hvk_client_wait(c, &c->offers_deadline, 0);
		hvk_client_tell(c, TELL_ALL_OFFERS, HVK_CLIENT_TIMEOUT, 0);
	}
	for (i = 0; i < c->chans_used && c->waits != 0; i++)
		hvk_chan_tick(c, &c->cfg.chans[i], now);
	for (i = 0; i < c->gpadls_used && c->waits != 0; i++)
		hvk_gpadl_tick(c, &c->cfg.gpadls[i], now);
}

static uint64_t
sooner(uint64_t best, uint64_t deadline)
{
	return (deadline != 0 && deadline < best ? deadline : best);
}

uint64_t
hvk_client_deadline(const struct hvk_client *c)
{
	const struct hvk_client_chan *ch;
	uint64_t best;
	uint32_t i;

	best = HVK_CLIENT_NEVER;
	if (c->send.head != NULL && c->retry_at != 0)
		best = c->retry_at;
	if (c->waits == 0)
		return (best);
	best = sooner(best, c->deadline);
	best = sooner(best, c->offers_deadline);
	for (i = 0; i < c->chans_used; i++) {
		ch = &c->cfg.chans[i];
		best = sooner(best, ch->open_deadline);
		best = sooner(best, ch->modify_deadline);
	}
	for (i = 0; i < c->gpadls_used; i++)
		best = sooner(best, c->cfg.gpadls[i].deadline);
	return (best);
}

static void
client_event(struct hvk_client *c, struct hvk_client_event *ev)
{
	uint8_t bit;

	bit = c->events & (uint8_t)-c->events;
	c->events &= (uint8_t)~bit;
	ev->status = (enum hvk_client_status)c->status;
	ev->host_status = c->host_status;
	switch (bit) {
	case TELL_CONNECTED:
		ev->kind = HVK_EVENT_CONNECTED;
		ev->status = HVK_CLIENT_OK;
		break;
	case TELL_ALL_OFFERS:
		ev->kind = HVK_EVENT_ALL_OFFERS;
		ev->status = (enum hvk_client_status)c->offers_status;
		break;
	case TELL_UNLOADED:
		ev->kind = HVK_EVENT_UNLOADED;
		break;
	default:
		ev->kind = HVK_EVENT_FAILED;
		break;
	}
}

bool
hvk_client_event(struct hvk_client *c, struct hvk_client_event *ev)
{
	struct hvk_client_link *link;
	bool more;

	link = c->event.head;
	if (link == NULL)
		return (false);
	hvk_list_remove(&c->event, link);
	hvk_zero(ev, sizeof(*ev));
	more = false;
	if (link->kind == LINK_CLIENT) {
		client_event(c, ev);
		more = c->events != 0;
	} else if (link->kind == LINK_CHAN) {
		more = hvk_chan_event(c, CHAN_OF_EVENT(link), ev);
	} else {
		hvk_gpadl_event(c, GPADL_OF_EVENT(link), ev);
	}
	if (more)
		hvk_list_append(&c->event, link);
	return (true);
}
