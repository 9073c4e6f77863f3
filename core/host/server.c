/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 */

/*
 * The VMBus server: its block of memory, the way in for the guest's messages,
 * and what can be asked of it.  Locking: the caller's (host/server.h).
 * Facts: wire.md section 4, hosts.md section 1.3.
 */

#include <hvk/host/server.h>
#include <hvk/wire/hv.h>

#include "server_priv.h"

#define	ALL_FEATURES	0xffu

/* ---- memory ---------------------------------------------------------- */


static size_t
place(size_t *end, size_t count, size_t size)
{
	size_t at = *end;

	*end = (at + count * size + 7) & ~(size_t)7;
	return (at);
}

/* Fill in the defaults; false if something is out of range. */
static bool
fill_in(const struct hvk_server_config *config, struct hvk_server_config *c)
{
	*c = *config;
	if (c->max_version == 0)
		c->max_version = HVK_VERSION_6_0;
	if (c->channels == 0)
		c->channels = HVK_SERVER_CHANNELS;
	if (c->channels > HVK_SERVER_CHANNELS)
		return (false);
	if (c->gpadls == 0)
		c->gpadls = 4 * c->channels + 64;
	if (c->pfns == 0)
		c->pfns = 65536;
	if (c->backlog == 0)
		c->backlog = 64;
	if (c->message_conn == 0)
		c->message_conn = HVK_CONNECTION_OLD;
	c->features &= ALL_FEATURES;
	return (c->nvps != 0 && c->nvps < HVK_VP_NO_INTERRUPT &&
	    c->gpadls <= 1u << 20 && c->pfns <= 1u << 28 &&
	    c->backlog <= 1u << 16 && c->mem_size >= HVK_PAGE_SIZE &&
	    c->mem_size <= (uint64_t)1 << 44 &&
	    server_version_known(c->max_version) &&
	    (c->monitor_h2g == 0) == (c->monitor_g2h == 0));
}

/* Find where everything goes; false if the configuration is out of range. */
static bool
lay_out(const struct hvk_server_config *config, struct layout *at)
{
	const struct hvk_server_config *c = &at->config;
	uint64_t pages;
	size_t end = sizeof(struct hvk_server);

	hvk_zero(at, sizeof(*at));
	if (!fill_in(config, &at->config))
		return (false);
	pages = c->overlap_check ? c->mem_size >> HVK_PAGE_SHIFT : 0;
	at->nchunks = c->pfns / CHUNK_PFNS + c->gpadls + 1;
	/* Why these are enough: the comment at server_push(). */
	at->lane_cap[LANE_NORMAL] = c->backlog + 4 * c->channels +
	    2 * c->gpadls + 64;
	at->lane_cap[LANE_RESERVED] = c->backlog + 4 * c->channels + 8;
	at->ask_cap = c->backlog + 8 * c->channels + 4 * c->gpadls + 64;
	at->channels = place(&end, c->channels, sizeof(struct channel));
	at->sorted = place(&end, c->channels, sizeof(uint16_t));
	at->by_relid = place(&end, HVK_RELID_MAX + 1, sizeof(uint16_t));
	at->gpadls = place(&end, c->gpadls, sizeof(struct gpadl));
	at->chunks = place(&end, at->nchunks, sizeof(struct chunk));
	at->jobs[0] = place(&end, at->lane_cap[0], sizeof(struct job));
	at->jobs[1] = place(&end, at->lane_cap[1], sizeof(struct job));
	at->asks = place(&end, at->ask_cap, sizeof(struct ask));
	at->pages = place(&end, (size_t)((pages + 63) / 64), 8);
	at->bytes = end;
	return (true);
}

size_t
hvk_server_size(const struct hvk_server_config *config)
{
	struct layout at;

	return (lay_out(config, &at) ? at.bytes : 0);
}

struct hvk_server *
hvk_server_init(void *block, size_t size,
    const struct hvk_server_config *config)
{
	struct hvk_server *s = block;
	struct layout at;
	uint16_t *by_relid;
	uint32_t i;

	if (!lay_out(config, &at) || size < at.bytes ||
	    ((uintptr_t)block & 7) != 0)
		return (NULL);
	hvk_zero(block, at.bytes);
	s->at = at;
	s->config = at.config;
	s->sint = HVK_SINT_VMBUS;
	s->shown_lane = NONE;
	by_relid = server_by_relid(s);
	for (i = 0; i <= HVK_RELID_MAX; i++)
		by_relid[i] = NO_CHANNEL;
	for (i = 0; i < s->config.channels; i++)
		server_channel(s, i)->gpadl_first = NONE;
	s->relids[0] = 1;		/* relid 0 is never given out */
	server_gpadl_reset(s);
	return (s);
}

/* ---- refusals ---------------------------------------------------------- */

static const struct {
	const char *name, *text;
} refusals[HVK_REFUSE_MAX] = {
	[HVK_REFUSE_NONE] = { "none", "nothing was refused" },
	[HVK_REFUSE_SHORT] = { "short", "message is shorter than its type" },
	[HVK_REFUSE_LONG] = { "long", "message is longer than 240 bytes" },
	[HVK_REFUSE_UNKNOWN_MESSAGE] = { "unknown-message",
	    "no message from a guest has this type" },
	[HVK_REFUSE_VERSION] = { "version",
	    "message does not exist in the version negotiated" },
	[HVK_REFUSE_FEATURE] = { "feature",
	    "message needs a feature that was not negotiated" },
	[HVK_REFUSE_NOT_CONNECTED] = { "not-connected",
	    "guest has not made contact" },
	[HVK_REFUSE_DISCONNECTING] = { "disconnecting",
	    "message comes while the connection is being taken down" },
	[HVK_REFUSE_PAUSED] = { "paused", "guest has paused the connection" },
	[HVK_REFUSE_NOT_PAUSED] = { "not-paused",
	    "resume without a pause" },
	[HVK_REFUSE_CONTACT_VERSION] = { "contact-version",
	    "protocol version is not supported" },
	[HVK_REFUSE_CONTACT_TARGET] = { "contact-target",
	    "contact names a processor, interrupt or trust level "
	    "that is not there" },
	[HVK_REFUSE_CONTACT_MONITOR] = { "contact-monitor",
	    "monitor pages are not two pages of guest memory" },
	[HVK_REFUSE_OFFERS_TWICE] = { "offers-twice",
	    "offers were requested twice" },
	[HVK_REFUSE_RELID] = { "relid", "no channel has this number" },
	[HVK_REFUSE_REVOKED] = { "revoked", "channel was rescinded" },
	[HVK_REFUSE_RESERVED] = { "reserved",
	    "channel is open as a reserved channel" },
	[HVK_REFUSE_NOT_RESERVED] = { "not-reserved",
	    "channel is not open as a reserved channel" },
	[HVK_REFUSE_OPEN_TWICE] = { "open-twice", "channel is open already" },
	[HVK_REFUSE_OPEN_VP] = { "open-vp",
	    "open names a processor that is not there" },
	[HVK_REFUSE_OPEN_GPADL] = { "open-gpadl",
	    "open names a ring GPADL that is not there" },
	[HVK_REFUSE_OPEN_RING_SIZE] = { "open-ring-size",
	    "a ring would have no page for data" },
	[HVK_REFUSE_OPEN_RING_SHAPE] = { "open-ring-shape",
	    "ring GPADL is not one range of whole pages" },
	[HVK_REFUSE_OPEN_RING_SHARED] = { "open-ring-shared",
	    "ring GPADL already holds open rings" },
	[HVK_REFUSE_OPEN_SIGNAL] = { "open-signal",
	    "open names an event flag that is not there" },
	[HVK_REFUSE_CLOSE_CLOSED] = { "close-closed", "channel is not open" },
	[HVK_REFUSE_RELEASE_LIVE] = { "release-live",
	    "channel number is released while it is in use" },
	[HVK_REFUSE_MODIFY_CLOSED] = { "modify-closed",
	    "channel to be moved is not open" },
	[HVK_REFUSE_MODIFY_VP] = { "modify-vp",
	    "channel is moved to a processor that is not there" },
	[HVK_REFUSE_MODIFY_BUSY] = { "modify-busy",
	    "channel is moved before the last move was answered" },
	[HVK_REFUSE_GPADL_ZERO] = { "gpadl-zero", "GPADL number is 0" },
	[HVK_REFUSE_GPADL_DUPLICATE] = { "gpadl-duplicate",
	    "GPADL number is in use" },
	[HVK_REFUSE_GPADL_UNKNOWN] = { "gpadl-unknown",
	    "no GPADL has this number" },
	[HVK_REFUSE_GPADL_BUSY] = { "gpadl-busy",
	    "GPADL holds rings in use, or is being torn down" },
	[HVK_REFUSE_GPADL_RANGES] = { "gpadl-ranges",
	    "GPADL has no range, or more than its bytes hold" },
	[HVK_REFUSE_GPADL_EMPTY_RANGE] = { "gpadl-empty-range",
	    "GPADL has a range of no bytes" },
	[HVK_REFUSE_GPADL_OFFSET] = { "gpadl-offset",
	    "GPADL range begins past its first page" },
	[HVK_REFUSE_GPADL_PFN] = { "gpadl-pfn",
	    "GPADL page is outside guest memory" },
	[HVK_REFUSE_GPADL_OVERLAP] = { "gpadl-overlap",
	    "GPADL page is already in a GPADL" },
	[HVK_REFUSE_GPADL_BODY] = { "gpadl-body",
	    "GPADL body goes past the end of its GPADL" },
	[HVK_REFUSE_GPADL_TABLE] = { "gpadl-table", "too many GPADLs" },
	[HVK_REFUSE_GPADL_PAGES] = { "gpadl-pages",
	    "too many pages in all GPADLs" },
	[HVK_REFUSE_TL_BUSY] = { "tl-busy", "too many connects under way" },
	[HVK_REFUSE_TL_NOBODY] = { "tl-nobody",
	    "this host has no socket service" },
	[HVK_REFUSE_CONNECTION] = { "connection",
	    "message was posted to an unknown connection" },
	[HVK_REFUSE_TYPE] = { "type", "posted message is not a channel message" },
	[HVK_REFUSE_UNTRUSTED] = { "untrusted",
	    "message came in the open on a confidential connection" },
};

const char *
hvk_refusal_text(enum hvk_refusal reason)
{
	if ((unsigned)reason >= HVK_REFUSE_MAX)
		return ("unknown reason");
	return (refusals[reason].text);
}

const char *
hvk_refusal_name(enum hvk_refusal reason)
{
	if ((unsigned)reason >= HVK_REFUSE_MAX)
		return ("unknown");
	return (refusals[reason].name);
}

int
server_refuse(struct hvk_server *s, enum hvk_refusal reason, uint32_t id,
    uint64_t value)
{
	s->refused.reason = reason;
	s->refused.id = id;
	s->refused.value = value;
	if (s->refusals[reason] != UINT32_MAX)
		s->refusals[reason]++;
	return (HVK_REJECT);
}

const struct hvk_server_refusal *
hvk_server_refused(const struct hvk_server *s)
{
	return (&s->refused);
}

uint32_t
hvk_server_refusals(const struct hvk_server *s, enum hvk_refusal reason)
{
	return ((unsigned)reason < HVK_REFUSE_MAX ? s->refusals[reason] : 0);
}

/* ---- the way in -------------------------------------------------------- */

static const struct {
	uint32_t version;
	uint16_t direction;
	uint16_t min;
} messages[HVK_MSG_COUNT] = {
#define	HVK_MESSAGE(number, NAME, dir, since, noun, min_size, max_size)	\
	[number] = { since, dir, min_size },
#include <hvk/wire/messages.def>
#undef HVK_MESSAGE
};

typedef int	handler_t(struct hvk_server *, const void *, uint32_t);

static handler_t *const handlers[HVK_MSG_COUNT] = {
	[HVK_MSG_REQUEST_OFFERS] = server_request_offers,
	[HVK_MSG_OPEN] = server_open,
	[HVK_MSG_CLOSE] = server_close,
	[HVK_MSG_GPADL_HEADER] = server_gpadl_header,
	[HVK_MSG_GPADL_BODY] = server_gpadl_body,
	[HVK_MSG_GPADL_TEARDOWN] = server_gpadl_teardown,
	[HVK_MSG_RELID_RELEASED] = server_relid_released,
	[HVK_MSG_UNLOAD] = server_unload,
	[HVK_MSG_OPEN_RESERVED] = server_open_reserved,
	[HVK_MSG_CLOSE_RESERVED] = server_close_reserved,
	[HVK_MSG_TL_CONNECT_REQUEST] = server_tl_connect,
	[HVK_MSG_MODIFY_CHANNEL] = server_modify,
	[HVK_MSG_MODIFY_CONNECTION] = server_modify_connection,
	[HVK_MSG_PAUSE] = server_pause,
	[HVK_MSG_RESUME] = server_resume,
};

/* The features that a message needs, beyond its version. */
static uint32_t
feature_of(uint32_t type)
{
	switch (type) {
	case HVK_MSG_MODIFY_CONNECTION:
		return (HVK_FLAG_MODIFY_CONNECTION);
	case HVK_MSG_PAUSE:
	case HVK_MSG_RESUME:
		return (HVK_FLAG_PAUSE_RESUME);
	default:
		return (0);
	}
}

/* May a message of this type be handled now?  NONE or why not. */
static enum hvk_refusal
admit(const struct hvk_server *s, uint32_t type, uint32_t len, bool trusted)
{
	if (type >= HVK_MSG_COUNT || messages[type].direction != HVK_TO_HOST)
		return (HVK_REFUSE_UNKNOWN_MESSAGE);
	if (len < messages[type].min)
		return (HVK_REFUSE_SHORT);
	if (type == HVK_MSG_INITIATE_CONTACT)
		return (HVK_REFUSE_NONE);
	if (s->confidential && !trusted)
		return (HVK_REFUSE_UNTRUSTED);
	if (type == HVK_MSG_CLOSE_RESERVED)	/* outlives the connection */
		return (HVK_REFUSE_NONE);
	if (s->conn == CONN_DISCONNECTED)
		return (HVK_REFUSE_NOT_CONNECTED);
	if (s->conn == CONN_DISCONNECTING && type != HVK_MSG_UNLOAD)
		return (HVK_REFUSE_DISCONNECTING);
	if (s->version < messages[type].version)
		return (HVK_REFUSE_VERSION);
	if ((s->features & feature_of(type)) != feature_of(type))
		return (HVK_REFUSE_FEATURE);
	if ((s->paused || s->pausing) && type != HVK_MSG_RESUME && type != HVK_MSG_UNLOAD)
		return (HVK_REFUSE_PAUSED);
	return (HVK_REFUSE_NONE);
}

/*
 * Messages that are taken even while the guest does not take its own: they
 * throw away what waits for it, or let it go on.
 */
static bool
frees_backlog(uint32_t type)
{
	return (type == HVK_MSG_INITIATE_CONTACT || type == HVK_MSG_UNLOAD ||
	    type == HVK_MSG_RESUME);
}

int
hvk_server_post(struct hvk_server *s, const struct hvk_server_post *post)
{
	uint64_t copy[HVK_SERVER_MESSAGE / 8];
	const struct hvk_msg_header *hdr = (const void *)copy;
	enum hvk_refusal reason;
	uint32_t type;

	hvk_zero(&s->refused, sizeof(s->refused));
	if (post->conn != HVK_CONNECTION_OLD &&
	    post->conn != s->config.message_conn &&
	    (post->conn != HVK_CONNECTION_CONTACT ||
	    s->config.max_version < HVK_VERSION_5_0)) {
		(void)server_refuse(s, HVK_REFUSE_CONNECTION, 0, post->conn);
		return (HVK_RANGE);
	}
	if (post->type != HVK_SYNIC_CHANNEL)
		return (server_refuse(s, HVK_REFUSE_TYPE, 0, post->type));
	if (post->len > sizeof(copy))
		return (server_refuse(s, HVK_REFUSE_LONG, 0, post->len));
	if (post->len < sizeof(*hdr))
		return (server_refuse(s, HVK_REFUSE_SHORT, 0, post->len));
	hvk_zero(copy, sizeof(copy));
	hvk_copy(copy, post->payload, post->len);
	type = hdr->type;
	if (s->asks.count >= s->config.backlog ||
	    s->lane[LANE_RESERVED].count >= s->config.backlog ||
	    (s->lane[LANE_NORMAL].count >= s->config.backlog &&
	    !frees_backlog(type)))
		return (HVK_AGAIN);
	s->messages_in++;
	s->refused.message = type;
	reason = admit(s, type, post->len, post->trusted);
	/* Linux forgets its channels only after UNLOAD: so be it. */
	if ((reason == HVK_REFUSE_NOT_CONNECTED ||
	    reason == HVK_REFUSE_DISCONNECTING) &&
	    type == HVK_MSG_RELID_RELEASED)
		return (HVK_OK);
	if (reason != HVK_REFUSE_NONE)
		return (server_refuse(s, reason, 0, post->len));
	if (type == HVK_MSG_INITIATE_CONTACT)
		return (server_contact(s, copy, post->len, post));
	if (handlers[type] == NULL)
		return (server_refuse(s, HVK_REFUSE_UNKNOWN_MESSAGE, 0, 0));
	return (handlers[type](s, copy, post->len));
}

/* ---- what is there ------------------------------------------------------ */

const char *
hvk_channel_state_name(enum hvk_channel_state state)
{
	static const char *const names[] = {
		[HVK_CHANNEL_FREE] = "free",
		[HVK_CHANNEL_HELD] = "held",
		[HVK_CHANNEL_CLOSED] = "closed",
		[HVK_CHANNEL_OPENING] = "opening",
		[HVK_CHANNEL_OPEN] = "open",
		[HVK_CHANNEL_CLOSING] = "closing",
		[HVK_CHANNEL_DEAD] = "dead",
	};

	if ((unsigned)state >= HVK_COUNT(names))
		return ("unknown");
	return (names[state]);
}

uint32_t
hvk_server_channels(const struct hvk_server *s)
{
	return (s->config.channels);
}

int
hvk_server_channel(const struct hvk_server *s, hvk_channel_id id,
    struct hvk_server_channel *info)
{
	const struct channel *c;

	if (id >= s->config.channels)
		return (HVK_RANGE);
	c = server_channel(s, id);
	hvk_zero(info, sizeof(*info));
	info->state = (enum hvk_channel_state)c->state;
	if (c->state == HVK_CHANNEL_FREE)
		return (HVK_RANGE);
	info->revoked = c->rescinded && c->relid != 0;
	info->reserved = c->reserved;
	info->reopen = c->reopen;
	info->type = c->offer.type;
	info->instance = c->offer.instance;
	info->subindex = c->offer.subindex;
	info->flags = c->offer.flags;
	info->relid = c->relid;
	info->conn = c->state >= HVK_CHANNEL_OPENING ? c->args.conn :
	    c->relid != 0 ? c->relid | HVK_SINT_VMBUS << 12 : 0;
	info->vp = c->args.vp;
	info->monitor = c->relid != 0 ? c->monitor : HVK_SERVER_NO_MONITOR;
	info->gpadls = c->gpadls;
	info->cookie = c->offer.cookie;
	return (HVK_OK);
}

int
hvk_server_find(const struct hvk_server *s, uint32_t relid, hvk_channel_id *id)
{
	const struct channel *c = server_find(s, relid);

	if (c == NULL)
		return (HVK_RANGE);
	*id = server_index(s, c);
	return (HVK_OK);
}

void
hvk_server_info(const struct hvk_server *s, struct hvk_server_info *info)
{
	hvk_zero(info, sizeof(*info));
	info->connected = s->conn == CONN_CONNECTED;
	info->disconnecting = s->conn == CONN_DISCONNECTING;
	info->paused = s->paused;
	info->offers_sent = s->offers_sent;
	info->version = s->version;
	info->features = s->features;
	info->vp = s->vp;
	info->sint = s->sint;
	info->monitor_h2g = s->monitor_h2g;
	info->monitor_g2h = s->monitor_g2h;
	info->client = s->client;
	info->channels = s->registered;
	info->gpadls = s->gpadl_count;
	info->pfns = s->pfns_held;
	info->messages_in = s->messages_in;
	info->messages_out = s->messages_out;
}
