/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * The VMBus client: the guest's side of a VMBus connection, its channels and
 * its GPADLs, as a machine that does no I/O.
 *
 *   in:   hvk_client_input() takes the payload of one SynIC message,
 *         hvk_client_tick() the time, the other calls the caller's wishes;
 *   out:  hvk_client_post() gives the next message to post to the host,
 *         hvk_client_event() the next thing the caller must know,
 *         hvk_client_deadline() when to call hvk_client_tick() at the latest.
 *
 * After each call that is not a query, the caller takes posts and events until
 * there are none.  Nothing is queued by copying: each connection, channel and
 * GPADL remembers what it has to send and to tell, so no flood of messages can
 * overflow anything.
 *
 * Memory: the caller owns struct hvk_client and the arrays in the configuration
 * for the whole life of the client.  PFN lists and open data must stay valid
 * until the event that ends the request.
 * Time: nanoseconds of any clock that never runs backwards.
 * Locking: the caller serialises all calls of one client.
 *
 * The host is not trusted: a message that is unknown, of the wrong size or not
 * expected changes nothing, and is counted.  Every wait has a deadline; once the
 * host has left a teardown unanswered, what else is to be taken back waits only
 * a hundredth of its time each, until the host says something sensible again.
 */

#ifndef HVK_GUEST_VMBUS_H
#define HVK_GUEST_VMBUS_H

#include <hvk/types.h>
#include <hvk/error.h>
#include <hvk/wire/guid.h>

#define HVK_CLIENT_MAX_CHANNELS	2047u	/* relids 1..2047 */
#define HVK_CLIENT_MAX_GPADLS	8191u
#define HVK_CLIENT_MAX_PFNS	8190u	/* in one GPADL */
#define HVK_CLIENT_MESSAGE_MAX	240u
#define HVK_CLIENT_USER_DATA	120u
#define HVK_CLIENT_NEVER	UINT64_MAX

enum hvk_client_state {
	HVK_CLIENT_IDLE,	/* nothing was sent yet */
	HVK_CLIENT_CONTACT,	/* negotiating the version */
	HVK_CLIENT_CONNECTED,
	HVK_CLIENT_UNLOADING,
	HVK_CLIENT_UNLOADED,	/* the host holds nothing of ours any more */
	HVK_CLIENT_FAILED	/* the host did not answer or refused */
};

enum hvk_client_chan_state {
	HVK_CHAN_FREE,
	HVK_CHAN_OFFERED,	/* known, closed */
	HVK_CHAN_OPENING,
	HVK_CHAN_OPEN,
	HVK_CHAN_REVOKED,	/* rescinded; the caller must release it */
	HVK_CHAN_RELEASING	/* released; the message is still to be sent */
};

enum hvk_client_gpadl_state {
	HVK_GPADL_FREE,
	HVK_GPADL_SENDING,	/* header or bodies still to be sent */
	HVK_GPADL_CREATING,	/* all sent, waiting for the host */
	HVK_GPADL_LIVE,
	HVK_GPADL_UNCERTAIN,	/* the host may hold it: must be torn down */
	HVK_GPADL_TEARING,	/* teardown still to be sent */
	HVK_GPADL_TEARDOWN,	/* teardown sent, waiting for the host */
	HVK_GPADL_DONE		/* free once its event has been taken */
};

/* How a request ended. */
enum hvk_client_status {
	HVK_CLIENT_OK,
	HVK_CLIENT_REFUSED,	/* the host said no: host_status */
	HVK_CLIENT_TIMEOUT,	/* the host said nothing */
	HVK_CLIENT_REVOKED,	/* rescinded or unloaded meanwhile */
	HVK_CLIENT_POST		/* the message could not be posted: host_status */
};

enum hvk_client_event_kind {
	HVK_EVENT_CONNECTED = 1, /* version, features are in the client */
	HVK_EVENT_OFFER,
	HVK_EVENT_ALL_OFFERS,
	HVK_EVENT_RESCIND,	/* close, tear down, then hvk_client_release() */
	HVK_EVENT_OPENED,
	HVK_EVENT_GPADL_CREATED,
	HVK_EVENT_GPADL_TORNDOWN, /* not HVK_CLIENT_OK: leak the memory */
	HVK_EVENT_MODIFIED,
	HVK_EVENT_CLOSED,	/* a reserved channel was closed */
	HVK_EVENT_UNLOADED,	/* not HVK_CLIENT_OK: leak all memory */
	HVK_EVENT_FAILED	/* the connection could not be made */
};

struct hvk_client_link {
	struct hvk_client_link	*next;
	uint8_t			 kind;	/* what it is part of */
	bool			 queued;
};

struct hvk_client_list {
	struct hvk_client_link	*head;
	struct hvk_client_link	*tail;
};

/* One channel.  The fields down to `user' are for the caller to read. */
struct hvk_client_chan {
	struct hvk_client_link	 send_link;
	struct hvk_client_link	 event_link;
	struct hvk_guid		 type;
	struct hvk_guid		 instance;
	uint8_t			 user_data[HVK_CLIENT_USER_DATA];
	uint16_t		 flags;		/* HVK_OFFER_* */
	uint16_t		 mmio_mb;
	uint16_t		 subindex;	/* 0: primary */
	uint8_t			 monitor_id;	/* < 128 */
	bool			 monitored;
	bool			 dedicated;	/* has its own interrupt */
	uint8_t			 state;		/* enum hvk_client_chan_state */
	uint32_t		 relid;
	uint32_t		 connection_id;	/* to signal the host */
	uint32_t		 vcpu;		/* where the host interrupts */
	void			*user;		/* the caller's own */

	uint8_t			 sends;
	uint8_t			 events;
	bool			 host_open;	/* the host may think it is open */
	bool			 reserved;	/* opened as reserved channel */
	uint8_t			 sint;
	uint8_t			 open_status;
	uint8_t			 modify_status;
	uint32_t		 open_host_status;
	uint32_t		 modify_host_status;
	uint32_t		 open_id;
	uint32_t		 ring_gpadl;
	uint32_t		 rx_page;
	uint32_t		 new_vcpu;
	uint32_t		 gpadls;
	const uint8_t		*open_data;	/* open_len bytes */
	uint32_t		 open_len;
	uint64_t		 open_deadline;	/* 0: not waiting */
	uint64_t		 modify_deadline;
};

struct hvk_client_gpadl {
	struct hvk_client_link	 send_link;
	struct hvk_client_link	 event_link;
	struct hvk_client_chan	*chan;
	const uint64_t		*pfn;
	uint32_t		 npfn;
	uint32_t		 sent;		/* PFNs already posted */
	uint32_t		 handle;
	uint32_t		 generation;
	uint32_t		 host_status;
	uint8_t			 state;		/* enum hvk_client_gpadl_state */
	uint8_t			 status;
	uint8_t			 event;		/* enum hvk_client_event_kind */
	bool			 held;
	uint64_t		 deadline;
	void			*user;		/* the caller's own */
};

struct hvk_client_config {
	struct hvk_client_chan	*chans;		/* array of nchans */
	struct hvk_client_gpadl	*gpadls;	/* array of ngpadls */
	uint32_t		 nchans;	/* 1..2047 */
	uint32_t		 ngpadls;	/* 1..8191 */
	uint32_t		 max_version;	/* newest to offer; 0: all */
	uint32_t		 min_version;	/* oldest to offer; 0: all */
	uint32_t		 features;	/* wanted, HVK_FEATURE_* */
	uint32_t		 vcpu;		/* where messages are to arrive */
	uint8_t			 sint;
	uint8_t			 vtl;
	uint64_t		 interrupt_page; /* GPAs, 0: none */
	uint64_t		 monitor_from_host;
	uint64_t		 monitor_to_host;
	/* Nanoseconds; 0 takes the default. */
	uint64_t		 contact_timeout;
	uint64_t		 request_timeout; /* open, GPADL, modify */
	uint64_t		 offers_timeout; /* since the last offer */
	uint64_t		 teardown_timeout;
	uint64_t		 unload_timeout;
};

struct hvk_client {
	struct hvk_client_config cfg;
	struct hvk_client_link	 send_link;
	struct hvk_client_link	 event_link;
	struct hvk_client_list	 send;
	struct hvk_client_list	 event;
	uint16_t		 by_relid[HVK_CLIENT_MAX_CHANNELS + 1];
	uint32_t		 chans_used;	/* slots ever used */
	uint32_t		 gpadls_used;
	uint32_t		 waits;		/* deadlines that are set */
	uint8_t			 state;		/* enum hvk_client_state */
	uint8_t			 attempt;	/* index of the version offered */
	uint8_t			 sends;
	uint8_t			 events;
	uint8_t			 status;	/* of the event that is pending */
	uint8_t			 offers_status;
	bool			 offers_asked;
	bool			 offers_done;
	bool			 contacted;	/* the host has seen our pages */
	bool			 silent;	/* a teardown was not answered */
	uint32_t		 host_status;
	uint32_t		 version;	/* agreed, or being tried */
	uint32_t		 features;	/* agreed */
	uint32_t		 message_connection;
	uint32_t		 next_open_id;
	uint64_t		 deadline;	/* contact, unload */
	uint64_t		 offers_deadline;
	uint64_t		 retry_at;
	uint32_t		 retries;
	struct hvk_client_link	*posting;	/* between post and posted */
	/* counters, for the caller to read */
	uint64_t		 messages;	/* received and understood */
	uint64_t		 rejected;	/* unknown, short, long or bad */
	uint64_t		 unexpected;	/* well formed, nobody asked */
	uint64_t		 posts;
	uint64_t		 post_retries;
	uint64_t		 timeouts;
};

struct hvk_client_post {
	uint32_t		 connection_id;
	uint32_t		 len;
	uint8_t			 data[HVK_CLIENT_MESSAGE_MAX]
				    __attribute__((__aligned__(8)));
};

struct hvk_client_event {
	enum hvk_client_event_kind kind;
	enum hvk_client_status	 status;
	uint32_t		 host_status;
	struct hvk_client_chan	*chan;	/* NULL for connection events */
	/*
	 * GPADL events: the handle and the caller's pointer.  `held': the host
	 * may still hold the memory and hvk_client_gpadl_teardown() must follow;
	 * otherwise the slot is free again and only these copies remain.
	 */
	struct hvk_client_gpadl	*gpadl;
	uint32_t		 handle;
	void			*user;
	bool			 held;
};

/*
 * Prepare a client.  HVK_RANGE: an array or version in `cfg' is impossible.
 */
int	hvk_client_init(struct hvk_client *, const struct hvk_client_config *);

/*
 * Offer our newest version; ends in CONNECTED or FAILED.  HVK_STATE: not idle.
 * After an unload, hvk_client_init() starts again.
 */
int	hvk_client_connect(struct hvk_client *, uint64_t now);

/* Ask for the offers, once.  OFFER events, then ALL_OFFERS. */
int	hvk_client_request_offers(struct hvk_client *, uint64_t now);

/*
 * Give everything back; ends in UNLOADED.  Requests that are under way end with
 * HVK_CLIENT_REVOKED.  May be called in any state, also from a crash path that
 * goes on by polling.
 */
void	hvk_client_unload(struct hvk_client *, uint64_t now);

/*
 * One message's payload, in memory that the host cannot change.  HVK_OK, or
 * HVK_REJECT: it was ignored and counted.
 */
int	hvk_client_input(struct hvk_client *, const void *payload,
	    uint32_t len, uint64_t now);

void	hvk_client_tick(struct hvk_client *, uint64_t now);
uint64_t hvk_client_deadline(const struct hvk_client *);

/*
 * The next message to post with HvCallPostMessage, if there is one that may go
 * now.  The caller posts it and reports the hypercall's status with
 * hvk_client_posted() before any other call.
 */
bool	hvk_client_post(struct hvk_client *, struct hvk_client_post *,
	    uint64_t now);
void	hvk_client_posted(struct hvk_client *, uint16_t hv_status,
	    uint64_t now);

bool	hvk_client_event(struct hvk_client *, struct hvk_client_event *);

/* The live channel with this relid, or NULL. */
struct hvk_client_chan *hvk_client_find(const struct hvk_client *,
	    uint32_t relid);
/* The primary that a sub-channel belongs to, or NULL. */
struct hvk_client_chan *hvk_client_primary(const struct hvk_client *,
	    const struct hvk_client_chan *sub);

struct hvk_client_open {
	uint32_t		 ring_gpadl;	/* handle, live */
	uint32_t		 rx_page;	/* page of host->guest ring */
	uint32_t		 vcpu;		/* UINT32_MAX: no interrupts */
	const void		*data;		/* at most 120 bytes, or NULL */
	uint32_t		 len;
};

/*
 * Ends in OPENED.  HVK_STATE: the channel is not closed; HVK_RANGE: no such
 * GPADL, or an argument out of range.  An open that was not answered is closed
 * again, and its ring must be torn down before reuse.
 */
int	hvk_client_open(struct hvk_client *, struct hvk_client_chan *,
	    const struct hvk_client_open *, uint64_t now);

/* No answer exists; the ring may be torn down from now on. */
int	hvk_client_close(struct hvk_client *, struct hvk_client_chan *);

/*
 * Reserved channels stay usable over an unload (dump after a crash): messages
 * go to `sint' of `vcpu' and there are no interrupts.  open ends in OPENED when
 * the message was posted, close in CLOSED.
 */
int	hvk_client_open_reserved(struct hvk_client *, struct hvk_client_chan *,
	    const struct hvk_client_open *, uint8_t sint, uint64_t now);
int	hvk_client_close_reserved(struct hvk_client *,
	    struct hvk_client_chan *, uint64_t now);

/*
 * Move an open channel's interrupts.  Ends in MODIFIED: before version 5.3 when
 * it was posted, from 5.3 on when the host acknowledged.  HVK_STATE: not open or
 * another one is under way; HVK_RANGE: the version cannot (before 4.1).
 */
int	hvk_client_modify(struct hvk_client *, struct hvk_client_chan *,
	    uint32_t vcpu, uint64_t now);

/* After RESCIND, when closed and all GPADLs are gone (HVK_STATE if not). */
int	hvk_client_release(struct hvk_client *, struct hvk_client_chan *);

/*
 * Share npfn (1..8190) 4 KiB pages.  Ends in GPADL_CREATED.  HVK_NOSPACE: no
 * free slot; HVK_RANGE: npfn.
 */
int	hvk_client_gpadl_create(struct hvk_client *, struct hvk_client_chan *,
	    const uint64_t *pfn, uint32_t npfn, void *user,
	    struct hvk_client_gpadl **, uint64_t now);

/* Ends in GPADL_TORNDOWN.  HVK_STATE: it is the ring of an open channel. */
int	hvk_client_gpadl_teardown(struct hvk_client *,
	    struct hvk_client_gpadl *, uint64_t now);
struct hvk_client_gpadl *hvk_client_gpadl_find(const struct hvk_client *,
	    uint32_t handle);

#endif /* !HVK_GUEST_VMBUS_H */
