/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 */

/*
 * The inside of the VMBus server, shared by core/host/server_*.c and, for the
 * invariants and the saved state, by the tests.  Everything refers to
 * everything else by index, so a block can be copied and saved as it is.
 */

#ifndef HVK_SERVER_PRIV_H
#define	HVK_SERVER_PRIV_H

#include <hvk/host/server.h>

#define	NONE			UINT32_MAX
#define	RELID_WORDS		32		/* 2048 bits */
#define	CHUNK_PFNS		31
#define	GPADL_HASH		1024		/* a power of two */

/* A message for the guest that waits: what it takes to write it later. */
enum job_kind {
	JOB_NONE = 0,
	JOB_VERSION_RESPONSE,	/* the response block of the server */
	JOB_OFFER,		/* channel */
	JOB_ALL_OFFERS,
	JOB_OPEN_RESULT,	/* channel, a = open id, b = status */
	JOB_MODIFY_RESPONSE,	/* channel, a = status */
	JOB_RESCIND,		/* channel */
	JOB_CLOSE_RESERVED,	/* channel */
	JOB_GPADL_CREATED,	/* a = GPADL, b = status */
	JOB_GPADL_TORNDOWN,	/* a = GPADL */
	JOB_UNLOAD,
	JOB_MODIFY_CONNECTION,	/* a = state */
	JOB_PAUSE,
	JOB_TL_RESULT,		/* channel = slot of the connect, a = status */
	JOB_MAX
};

struct job {
	uint8_t		kind;
	uint8_t		sint;		/* reserved lane: where it goes */
	uint16_t	relid;
	uint32_t	channel;	/* or NONE */
	uint32_t	vp;
	uint32_t	a, b;
};

/* A question to the device layer that waits to be taken. */
struct ask {
	uint32_t	kind;		/* enum hvk_server_event_kind */
	uint32_t	index;		/* channel, GPADL or connect slot */
};

/* Two queues of jobs: reserved channels do not wait behind the rest. */
enum { LANE_NORMAL, LANE_RESERVED, LANES };

struct queue {
	uint32_t	head, count;
};

/* What an OPEN asked for. */
struct open_args {
	uint32_t	open_id;
	uint32_t	gpadl;
	uint32_t	vp;
	uint32_t	offset;
	uint32_t	conn;
	uint16_t	flag;
	uint8_t		sint;
	bool		redirect;
	uint8_t		user[HVK_USER_DATA];
};

enum modify_state { MODIFY_NONE, MODIFY_ASKED, MODIFY_AGAIN };

struct channel {
	uint8_t		state;		/* enum hvk_channel_state */
	uint8_t		modify;		/* enum modify_state */
	uint8_t		monitor;
	uint8_t		told;		/* enum hvk_server_event_kind taken */
	bool		rescinded;	/* by the host */
	bool		released;	/* by the guest, in this connection */
	bool		reserved;
	bool		close_wanted;	/* close as soon as OPENING ends */
	bool		reopen;
	bool		restored;	/* OPENING again after a restore */
	bool		busy;		/* counted in nbusy */
	bool		modify_told;
	bool		close_answer;	/* CLOSE_RESERVED wants its response */
	bool		let_go;		/* by the guest, after its rescind */
	struct hvk_server_offer offer;
	uint32_t	relid;		/* 0 = not offered */
	uint32_t	queued;		/* jobs that name this channel */
	struct open_args args, next;	/* next: of the reopen */
	uint32_t	modify_vp;
	uint32_t	gpadl_first;	/* list of its GPADLs */
	uint32_t	gpadls;
	uint32_t	reserved_version, reserved_features;
};

enum gpadl_state {
	GPADL_FREE = 0,
	GPADL_PARTIAL,		/* bodies are missing */
	GPADL_READY,
	GPADL_TEARING		/* TEARDOWN asked of the device layer */
};

struct gpadl {
	uint8_t		state;
	bool		told;		/* TEARDOWN was taken */
	bool		rings;		/* an open channel uses it as its rings */
	bool		answer;		/* guest waits for TORNDOWN */
	bool		marked;		/* its pages are in the page map */
	uint32_t	id;
	uint32_t	channel;
	uint32_t	next;		/* of the channel's list, or free list */
	uint32_t	hash_next;
	uint32_t	wanted;		/* 64-bit words: range headers and PFNs */
	uint32_t	have;
	uint32_t	ranges;
	uint32_t	first, last;	/* chunks */
};

struct chunk {
	uint32_t	next;
	uint32_t	pad;
	uint64_t	word[CHUNK_PFNS];
};

struct tl {
	bool		used, told;
	bool		answered;	/* its TL_RESULT waits for the guest */
	bool		stale;		/* guest disconnected meanwhile */
	struct hvk_guid	endpoint, service, silo;
};

enum conn_state {
	CONN_DISCONNECTED,
	CONN_CONNECTED,
	CONN_DISCONNECTING
};

/* What follows a disconnect. */
enum conn_next { NEXT_NOTHING, NEXT_UNLOAD, NEXT_CONTACT };

/* A contact as the guest asked for it. */
struct contact {
	uint32_t	version;
	uint32_t	vp;
	uint32_t	features;
	uint8_t		sint;
	uint8_t		vtl;
	bool		first_conn;	/* came by connection id 4 */
	bool		trusted;
	uint64_t	monitor_h2g, monitor_g2h;
	struct hvk_guid	client;
};

struct response {
	uint8_t		supported, state;
	uint32_t	connection, features;
	uint32_t	vp;
	uint8_t		sint;
};

/* Where everything is in the block: offsets from its start, and counts. */
struct layout {
	struct hvk_server_config config;	/* with the defaults filled in */
	uint32_t	nchunks;
	uint32_t	lane_cap[LANES], ask_cap;
	size_t		channels, sorted, by_relid, gpadls, chunks;
	size_t		jobs[LANES], asks, pages;
	size_t		bytes;
};

struct hvk_server {
	struct layout	at;
	struct hvk_server_config config;	/* = at.config */

	/* connection */
	uint8_t		conn;		/* enum conn_state */
	uint8_t		next;		/* enum conn_next */
	bool		offers_sent;
	bool		paused;
	bool		pausing;	/* PAUSE_RESPONSE not sent yet */
	bool		walking;	/* a loop over the channels is under way */
	bool		confidential;
	bool		broken;		/* a bound of ours did not hold */
	uint32_t	version, features;
	uint32_t	vp;
	uint8_t		sint;
	uint64_t	monitor_h2g, monitor_g2h;
	bool		server_monitor;
	struct hvk_guid	client;
	struct contact	pending;	/* of NEXT_CONTACT */
	struct response	response;	/* of JOB_VERSION_RESPONSE */

	uint32_t	registered;	/* slots in use */
	uint32_t	nbusy;		/* ordinary channels not yet idle */
	uint32_t	nsorted;
	uint32_t	gpadl_free, gpadl_count;
	uint32_t	chunk_free, chunk_count;
	uint32_t	pfns_held;
	uint64_t	relids[RELID_WORDS];
	uint64_t	monitors[HVK_SERVER_MONITORS / 64];
	struct queue	lane[LANES];
	struct queue	asks;
	uint32_t	shown_lane;	/* lane of hvk_server_next(), or NONE */
	struct tl	tl[HVK_SERVER_TL_MAX];
	uint32_t	gpadl_hash[GPADL_HASH];
	struct hvk_server_refusal refused;
	uint32_t	refusals[HVK_REFUSE_MAX];
	uint64_t	messages_in, messages_out;
};

HVK_INLINE void *
server_at(const struct hvk_server *s, size_t at)
{
	return ((void *)((uintptr_t)s + at));
}

HVK_INLINE struct channel *
server_channel(const struct hvk_server *s, uint32_t i)
{
	return ((struct channel *)server_at(s, s->at.channels) + i);
}

HVK_INLINE struct gpadl *
server_gpadl(const struct hvk_server *s, uint32_t i)
{
	return ((struct gpadl *)server_at(s, s->at.gpadls) + i);
}

HVK_INLINE struct chunk *
server_chunk(const struct hvk_server *s, uint32_t i)
{
	return ((struct chunk *)server_at(s, s->at.chunks) + i);
}

HVK_INLINE struct job *
server_job(const struct hvk_server *s, unsigned lane, uint32_t i)
{
	return ((struct job *)server_at(s, s->at.jobs[lane]) + i);
}

HVK_INLINE struct ask *
server_ask(const struct hvk_server *s, uint32_t i)
{
	return ((struct ask *)server_at(s, s->at.asks) + i);
}

/* Channels in the order of their offers, and by relid (NONE = unused). */
HVK_INLINE uint16_t *
server_sorted(const struct hvk_server *s)
{
	return ((uint16_t *)server_at(s, s->at.sorted));
}

HVK_INLINE uint16_t *
server_by_relid(const struct hvk_server *s)
{
	return ((uint16_t *)server_at(s, s->at.by_relid));
}

HVK_INLINE uint64_t *
server_pages(const struct hvk_server *s)
{
	return ((uint64_t *)server_at(s, s->at.pages));
}

HVK_INLINE uint32_t
server_index(const struct hvk_server *s, const struct channel *c)
{
	return ((uint32_t)(c - server_channel(s, 0)));
}

HVK_INLINE uint32_t
server_gpadl_index(const struct hvk_server *s, const struct gpadl *g)
{
	return ((uint32_t)(g - server_gpadl(s, 0)));
}

#define	NO_CHANNEL	0xffffu		/* in by_relid */

/* server.c: refusals */
int	server_refuse(struct hvk_server *, enum hvk_refusal, uint32_t id,
	    uint64_t value);

/* server_out.c: towards the guest and the device layer */
void	server_push(struct hvk_server *, unsigned lane, const struct job *);
void	server_send(struct hvk_server *, enum job_kind, uint32_t channel,
	    uint32_t a, uint32_t b);
void	server_send_reserved(struct hvk_server *, enum job_kind,
	    const struct channel *, uint32_t vp, uint8_t sint, uint32_t b);
void	server_purge(struct hvk_server *, unsigned lane);
void	server_ask_device(struct hvk_server *, enum hvk_server_event_kind,
	    uint32_t index);

/* server_offer.c */
uint32_t server_offer_find(const struct hvk_server *,
	    const struct hvk_guid *type, const struct hvk_guid *instance,
	    uint16_t subindex);
void	server_give_relid(struct hvk_server *, struct channel *, uint32_t relid);
void	server_give_monitor(struct hvk_server *, struct channel *);
void	server_offer_now(struct hvk_server *, struct channel *);
void	server_take_relid(struct hvk_server *, struct channel *);
void	server_offer_all(struct hvk_server *);
void	server_revoke(struct hvk_server *, struct channel *);
int	server_relid_released(struct hvk_server *, const void *, uint32_t len);
struct channel *server_find(const struct hvk_server *, uint32_t relid);

/* server_channel.c */
void	server_settle(struct hvk_server *, struct channel *);
void	server_start_open(struct hvk_server *, struct channel *);
void	server_start_close(struct hvk_server *, struct channel *);
void	server_became_closed(struct hvk_server *, struct channel *);
enum hvk_refusal server_check_rings(const struct hvk_server *,
	    const struct channel *, const struct open_args *);
int	server_open(struct hvk_server *, const void *, uint32_t len);
int	server_open_reserved(struct hvk_server *, const void *, uint32_t len);
int	server_close(struct hvk_server *, const void *, uint32_t len);
int	server_close_reserved(struct hvk_server *, const void *, uint32_t len);
int	server_modify(struct hvk_server *, const void *, uint32_t len);

/* server_gpadl.c */
void	server_gpadl_reset(struct hvk_server *);
struct gpadl *server_gpadl_find(const struct hvk_server *, uint32_t channel,
	    uint32_t id);
struct gpadl *server_gpadl_add(struct hvk_server *, struct channel *,
	    uint32_t id, uint32_t words, uint32_t ranges);
int	server_gpadl_append(struct hvk_server *, struct gpadl *, const void *,
	    uint32_t words);
enum hvk_refusal server_gpadl_complete(struct hvk_server *, struct gpadl *,
	    uint64_t *value);
void	server_gpadl_free(struct hvk_server *, struct gpadl *);
void	server_gpadl_unmark(struct hvk_server *, struct gpadl *);
void	server_gpadl_teardown_all(struct hvk_server *, struct channel *);
void	server_gpadl_teardown_waiting(struct hvk_server *, struct channel *);
uint64_t server_gpadl_word(const struct hvk_server *, const struct gpadl *,
	    uint32_t n);
int	server_gpadl_header(struct hvk_server *, const void *, uint32_t len);
int	server_gpadl_body(struct hvk_server *, const void *, uint32_t len);
int	server_gpadl_teardown(struct hvk_server *, const void *, uint32_t len);

/* server_conn.c */
bool	server_version_known(uint32_t version);
bool	server_monitor_pages_good(const struct hvk_server *, uint64_t h2g,
	    uint64_t g2h);
struct saved_contact;
void	server_resume_disconnect(struct hvk_server *, enum conn_next,
	    const struct saved_contact *);
void	server_disconnect(struct hvk_server *, enum conn_next);
void	server_check_disconnected(struct hvk_server *);
int	server_contact(struct hvk_server *, const void *, uint32_t len,
	    const struct hvk_server_post *);
int	server_request_offers(struct hvk_server *, const void *, uint32_t len);
int	server_unload(struct hvk_server *, const void *, uint32_t len);
int	server_modify_connection(struct hvk_server *, const void *, uint32_t);
int	server_pause(struct hvk_server *, const void *, uint32_t len);
int	server_resume(struct hvk_server *, const void *, uint32_t len);
int	server_tl_connect(struct hvk_server *, const void *, uint32_t len);

#endif /* !HVK_SERVER_PRIV_H */
