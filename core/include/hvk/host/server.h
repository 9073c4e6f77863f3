/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * The VMBus server: the host's end of the control protocol, as a machine
 * that calls nothing.
 *
 *	guest message  -> hvk_server_post()
 *	message to the guest  <- hvk_server_next(), hvk_server_sent()
 *	request to the device layer  <- hvk_server_event()
 *	answer of the device layer  -> hvk_server_open_done(), ...
 *	offers  -> hvk_server_offer(), hvk_server_rescind()
 *
 * Owns: the connection, the table of offers and their relids, GPADLs and
 * their page lists, the order of messages towards the guest.  All of it lives
 * in one block of memory that the caller provides; nothing here allocates,
 * locks, waits or reads a clock.
 *
 * Locking: none inside.  The caller serialises every call on one server,
 * the const ones included.
 *
 * The guest is hostile.  What it sends is bounded, checked and either
 * answered, or refused with a reason that has a name (hvk_server_refused()).
 * It cannot make the server hold more memory than the block, loop without
 * progress, or reach the device layer with a page outside guest memory.
 *
 * Source of facts: reference/wire.md sections 4 and 5, reference/hosts.md
 * section 1.3.
 */
#ifndef HVK_HOST_SERVER_H
#define HVK_HOST_SERVER_H

#include <hvk/types.h>
#include <hvk/error.h>
#include <hvk/wire/guid.h>
#include <hvk/wire/vmbus.h>

struct hvk_server;			/* opaque: begins the caller's block */

#define	HVK_SERVER_CHANNELS	2047	/* relids 1..2047 */
#define	HVK_SERVER_MONITORS	128	/* monitor ids of one partition */
#define	HVK_SERVER_TL_MAX	16	/* socket connects under way */
#define	HVK_SERVER_MESSAGE	240	/* bytes of one control message */
#define	HVK_SERVER_NO_VP	UINT32_MAX /* channel opened for polling */
#define	HVK_SERVER_NO_MONITOR	0xff

/*
 * NT status values for the device layer's answers, besides those of
 * wire/vmbus.h; any value may be used, 0 is success.
 */
#define	HVK_STATUS_BAD_PARAMETER 0xc000000du
#define	HVK_STATUS_NO_RESOURCES	0xc000009au

/*
 * What a server is made with.  Everything but nvps and mem_size may be zero.
 */
struct hvk_server_config {
	uint32_t max_version;	/* newest version accepted; 0 = 6.0 */
	uint32_t features;	/* feature flags granted from 6.0 on */
	uint64_t mem_size;	/* guest memory: PFNs must be below size / 4096 */
	uint32_t nvps;		/* VP indexes 0..nvps - 1 exist */
	uint32_t channels;	/* offers at once; 0 = 2047 */
	uint32_t gpadls;	/* GPADLs at once; 0 = 4 * channels + 64 */
	uint32_t pfns;		/* page numbers held at once; 0 = 65,536 */
	uint32_t backlog;	/* messages that may wait for the guest before
				   its own are refused with AGAIN; 0 = 64 */
	uint32_t message_conn;	/* connection id told to guests >= 5.0; 0 = 1 */
	uint64_t monitor_h2g;	/* server-specified monitor pages, or both 0 */
	uint64_t monitor_g2h;
	bool	 monitors;	/* hand out monitor ids when the guest gave pages */
	bool	 overlap_check;	/* refuse a page that is in two GPADLs: costs
				   one bit of the block for each page of memory */
	bool	 absolute_order; /* sort offers by .order first, then by GUID */
	bool	 hvsock;	/* tell the device layer of socket connects;
				   otherwise they are refused at once */
};

/*
 * Size of the block for this configuration, 0 if the configuration is out of
 * range.  The block must be 8-byte aligned.
 */
size_t	hvk_server_size(const struct hvk_server_config *);

/*
 * Make a server in a block of at least hvk_server_size() bytes.  NULL if the
 * block is too small or the configuration is out of range.
 */
struct hvk_server *hvk_server_init(void *block, size_t size,
	    const struct hvk_server_config *);

/* ---- offers --------------------------------------------------------- */

struct hvk_server_offer {
	struct hvk_guid type;	/* interface */
	struct hvk_guid instance;
	uint16_t subindex;	/* 0 = primary; 1.. = sub-channel of the same
				   (type, instance) */
	uint16_t flags;		/* offer flags as on the wire */
	uint16_t mmio_mb;	/* MMIO megabytes wanted */
	uint16_t mmio_mb_optional;
	uint32_t order;		/* within one type (or in all: absolute_order) */
	bool	 monitor;	/* wants a monitor id, if the guest has pages */
	uint8_t	 user[120];	/* user data as on the wire */
	void	*cookie;	/* handed back in every event of the channel */
};

typedef uint32_t hvk_channel_id;	/* the server's handle, not the relid */

/*
 * Register an offer.  It reaches the guest when the guest asks for offers, or
 * at once if it has asked already; while an older channel with the same
 * (type, instance, subindex) still waits for the guest's RELID_RELEASED, the
 * new one waits behind it.
 * HVK_OK; HVK_STATE if a live offer has this key; HVK_NOSPACE if the table or
 * the relids are used up; HVK_RANGE for a sub-channel whose primary is not
 * offered.
 */
int	hvk_server_offer(struct hvk_server *, const struct hvk_server_offer *,
	    hvk_channel_id *);

/*
 * Take an offer back.  If the device layer has it open it gets CLOSE, then
 * GPADL_TEARDOWN for what it holds, and in the end RELEASED; until RELEASED the
 * handle stays valid.  Does not touch the other channels of the device: rescind
 * sub-channels yourself, before their primary.
 * HVK_OK; HVK_STATE if it is rescinded already; HVK_RANGE for a bad handle.
 */
int	hvk_server_rescind(struct hvk_server *, hvk_channel_id);

/* ---- from the guest -------------------------------------------------- */

/*
 * Why something from the guest was refused.  Each has one clear line:
 * hvk_server_refusal_text().
 */
enum hvk_refusal {
	HVK_REFUSE_NONE = 0,
	HVK_REFUSE_SHORT,		/* message shorter than its type */
	HVK_REFUSE_LONG,		/* longer than 240 bytes */
	HVK_REFUSE_UNKNOWN_MESSAGE,	/* no such type, or host to guest */
	HVK_REFUSE_VERSION,		/* not in the version negotiated */
	HVK_REFUSE_FEATURE,		/* needs a feature not negotiated */
	HVK_REFUSE_NOT_CONNECTED,
	HVK_REFUSE_DISCONNECTING,	/* only contact and unload just now */
	HVK_REFUSE_PAUSED,
	HVK_REFUSE_NOT_PAUSED,
	HVK_REFUSE_CONTACT_VERSION,	/* answered: not supported */
	HVK_REFUSE_CONTACT_TARGET,	/* bad VP, SINT or VTL */
	HVK_REFUSE_CONTACT_MONITOR,	/* one monitor page, or outside memory */
	HVK_REFUSE_OFFERS_TWICE,
	HVK_REFUSE_RELID,		/* no channel has this relid */
	HVK_REFUSE_REVOKED,		/* channel was rescinded */
	HVK_REFUSE_RESERVED,		/* channel is open as reserved */
	HVK_REFUSE_NOT_RESERVED,
	HVK_REFUSE_OPEN_TWICE,
	HVK_REFUSE_OPEN_VP,
	HVK_REFUSE_OPEN_GPADL,		/* ring GPADL unknown or unfinished */
	HVK_REFUSE_OPEN_RING_SIZE,	/* a ring would have no data page */
	HVK_REFUSE_OPEN_RING_SHAPE,	/* not one range of whole pages */
	HVK_REFUSE_OPEN_RING_SHARED,	/* GPADL already holds open rings */
	HVK_REFUSE_OPEN_SIGNAL,		/* bad event flag or extension flags */
	HVK_REFUSE_CLOSE_CLOSED,
	HVK_REFUSE_RELEASE_LIVE,	/* relid released while in use */
	HVK_REFUSE_MODIFY_CLOSED,
	HVK_REFUSE_MODIFY_VP,
	HVK_REFUSE_MODIFY_BUSY,		/* the last one has no answer yet */
	HVK_REFUSE_GPADL_ZERO,		/* id 0 */
	HVK_REFUSE_GPADL_DUPLICATE,
	HVK_REFUSE_GPADL_UNKNOWN,
	HVK_REFUSE_GPADL_BUSY,		/* teardown of rings in use, or twice */
	HVK_REFUSE_GPADL_RANGES,	/* range count 0 or past the bytes */
	HVK_REFUSE_GPADL_EMPTY_RANGE,
	HVK_REFUSE_GPADL_OFFSET,	/* range offset of a page or more */
	HVK_REFUSE_GPADL_PFN,		/* page outside guest memory */
	HVK_REFUSE_GPADL_OVERLAP,	/* page in another GPADL, or twice */
	HVK_REFUSE_GPADL_BODY,		/* body past the end of its GPADL */
	HVK_REFUSE_GPADL_TABLE,		/* too many GPADLs */
	HVK_REFUSE_GPADL_PAGES,		/* too many pages in all GPADLs */
	HVK_REFUSE_TL_BUSY,		/* too many connects under way */
	HVK_REFUSE_TL_NOBODY,		/* no socket service on this host */
	HVK_REFUSE_CONNECTION,		/* posted to an unknown connection id */
	HVK_REFUSE_TYPE,		/* SynIC message type is not 1 */
	HVK_REFUSE_UNTRUSTED,		/* connection is confidential, this not */
	HVK_REFUSE_MAX
};

struct hvk_server_refusal {
	enum hvk_refusal reason;
	uint32_t message;	/* type of the control message */
	uint32_t id;		/* relid or GPADL it named, 0 if none */
	uint64_t value;		/* the offending value */
};

/* The reason as one line for an administrator. Never NULL. */
const char *hvk_refusal_text(enum hvk_refusal);
/* The reason as a word: "gpadl-pfn". Never NULL. */
const char *hvk_refusal_name(enum hvk_refusal);

/* What the last hvk_server_post() refused, or reason NONE. */
const struct hvk_server_refusal *hvk_server_refused(const struct hvk_server *);
/* How often each reason was met; saturates. */
uint32_t hvk_server_refusals(const struct hvk_server *, enum hvk_refusal);

struct hvk_server_post {
	uint32_t conn;		/* connection id of the hypercall */
	uint32_t type;		/* SynIC message type: 1 */
	uint32_t vp;		/* posting VP (recorded, not trusted) */
	bool	 trusted;	/* came by a confidential message page */
	uint32_t len;		/* bytes of payload */
	const void *payload;	/* private to the caller: already copied out */
};

/*
 * Take one message of the guest.
 * HVK_OK: taken.
 * HVK_REJECT: refused by name; an answer may have been queued all the same.
 * HVK_AGAIN: too much waits for the guest or for the device layer.  Nothing was
 *     taken: hand it in again after hvk_server_sent() or hvk_server_event(), or
 *     answer the hypercall with HV_STATUS_INSUFFICIENT_BUFFERS (0x13).
 * HVK_RANGE: no such connection id: HV_STATUS_INVALID_CONNECTION_ID (0x12).
 */
int	hvk_server_post(struct hvk_server *, const struct hvk_server_post *);

/*
 * The host's reset of the machine: everything the guest had is dropped, as after
 * UNLOAD but without an answer, reserved channels included.
 */
void	hvk_server_reset(struct hvk_server *);

/* ---- to the guest ---------------------------------------------------- */

struct hvk_server_out {
	uint32_t vp;		/* VP whose message page takes it */
	uint8_t	 sint;		/* slot */
	uint8_t	 vtl;
	uint16_t len;
	_Alignas(8) uint8_t data[HVK_SERVER_MESSAGE]; /* SynIC type 1 */
};

/*
 * Look at the next message for the guest without taking it: true if there is
 * one.  The answer may change between two calls (messages of a reserved channel
 * go first), so deliver and call hvk_server_sent() before any other call.  A
 * message for a VP whose message page is off may be dropped: call
 * hvk_server_sent() all the same, since nobody is there who could wait for it.
 */
bool	hvk_server_next(struct hvk_server *, struct hvk_server_out *);

/* The message that hvk_server_next() last showed is in the guest's slot. */
void	hvk_server_sent(struct hvk_server *);

/* Messages that wait for the guest. */
uint32_t hvk_server_waiting(const struct hvk_server *);

/* ---- to the device layer ---------------------------------------------- */

enum hvk_server_event_kind {
	HVK_SERVER_NONE = 0,
	HVK_SERVER_CONTACT,	/* guest connected: .contact; no answer */
	HVK_SERVER_DISCONNECT,	/* unload or reset is complete; no answer */
	HVK_SERVER_MONITOR,	/* new monitor pages: .contact; no answer */
	HVK_SERVER_OPEN,	/* .open; answer hvk_server_open_done() */
	HVK_SERVER_CLOSE,	/* answer hvk_server_close_done() */
	HVK_SERVER_MODIFY,	/* .modify; answer hvk_server_modify_done() */
	HVK_SERVER_GPADL_READY,	/* .gpadl is complete; no answer */
	HVK_SERVER_GPADL_TEARDOWN, /* .gpadl must go: answer
				   hvk_server_gpadl_released() once nothing of
				   the host touches its pages any more */
	HVK_SERVER_RELEASED,	/* rescinded channel is gone: the handle is
				   invalid after this event; no answer */
	HVK_SERVER_TL_CONNECT,	/* .tl; answer hvk_server_tl_done() */
};

struct hvk_server_event {
	enum hvk_server_event_kind kind;
	hvk_channel_id channel;	/* channel events */
	void	*cookie;	/* of its offer */
	union {
		struct {
			uint32_t version, features;
			uint32_t vp;		/* where messages go */
			uint8_t	 sint;
			uint64_t monitor_h2g;	/* 0 = guest has none */
			uint64_t monitor_g2h;
		} contact;
		struct {
			uint32_t gpadl;		/* both rings */
			uint32_t pages;		/* of that GPADL */
			uint32_t offset;	/* first page of the
						   host-to-guest ring */
			uint32_t vp;		/* HVK_SERVER_NO_VP: poll */
			uint8_t	 sint;		/* event flags page to use */
			bool	 reserved;
			bool	 restored;	/* was open before the restore */
			bool	 redirect;	/* interrupt redirection */
			uint16_t flag;		/* event flag to set */
			uint32_t conn;		/* guest signals with this id */
			uint8_t	 monitor;	/* id or HVK_SERVER_NO_MONITOR */
			uint8_t	 user[120];
		} open;
		struct {
			uint32_t vp;
		} modify;
		struct {
			uint32_t id;
			uint32_t nranges;
		} gpadl;
		struct {
			uint32_t id;		/* for hvk_server_tl_done() */
			struct hvk_guid endpoint, service, silo;
		} tl;
	};
};

/*
 * Take the next request for the device layer: true if there is one.
 * Per channel the order is kept, and there is at most one OPEN, CLOSE or MODIFY
 * of each kind without an answer.  If they are not taken, hvk_server_post()
 * says AGAIN after a while: nothing is lost.
 *
 * What the device layer must do by itself: rescind the sub-channels of a device
 * when its primary closes, for the guest asks anew for them after each open.
 */
bool	hvk_server_event(struct hvk_server *, struct hvk_server_event *);

/*
 * Answers.  HVK_OK; HVK_STATE if that question is not open; HVK_RANGE for a bad
 * handle.  status is an NT status: the channel counts as open if it is 0.
 * After OPEN was answered, CLOSE may come at any time.
 */
int	hvk_server_open_done(struct hvk_server *, hvk_channel_id,
	    uint32_t status);
int	hvk_server_close_done(struct hvk_server *, hvk_channel_id);
/*
 * A rescinded channel that the device layer was asked to close: may the guest
 * still send and wait for answers there?  True from the rescind until the guest
 * closes or releases the channel, wants its rings back, or disconnects; the
 * answer to the CLOSE event may wait for that, but not for ever.
 */
bool	hvk_server_waits(const struct hvk_server *, hvk_channel_id);
int	hvk_server_modify_done(struct hvk_server *, hvk_channel_id,
	    uint32_t status);
int	hvk_server_gpadl_released(struct hvk_server *, hvk_channel_id,
	    uint32_t gpadl);
/* status 0: the connection comes as a new offer; otherwise it is refused. */
int	hvk_server_tl_done(struct hvk_server *, uint32_t id, uint32_t status);

/* ---- what is there ---------------------------------------------------- */

enum hvk_channel_state {
	HVK_CHANNEL_FREE = 0,
	HVK_CHANNEL_HELD,	/* registered, not (or no longer) offered */
	HVK_CHANNEL_CLOSED,	/* offered */
	HVK_CHANNEL_OPENING,	/* OPEN without an answer */
	HVK_CHANNEL_OPEN,
	HVK_CHANNEL_CLOSING,	/* CLOSE without an answer */
	HVK_CHANNEL_DEAD	/* RELEASED not taken yet */
};
const char *hvk_channel_state_name(enum hvk_channel_state);

struct hvk_server_channel {
	enum hvk_channel_state state;
	bool	 revoked;	/* rescinded, guest has not released it */
	bool	 reserved;	/* open as reserved */
	bool	 reopen;	/* an OPEN waits for the end of CLOSING */
	struct hvk_guid type, instance;
	uint16_t subindex;
	uint16_t flags;
	uint32_t relid;		/* 0 = not offered */
	uint32_t conn;
	uint32_t vp;		/* of the open channel */
	uint8_t	 monitor;
	uint32_t gpadls;	/* how many it has */
	void	*cookie;
};
/* HVK_OK or HVK_RANGE.  Handles are 0..hvk_server_channels() - 1. */
int	hvk_server_channel(const struct hvk_server *, hvk_channel_id,
	    struct hvk_server_channel *);
uint32_t hvk_server_channels(const struct hvk_server *);
/* The channel that has this relid: HVK_OK or HVK_RANGE. */
int	hvk_server_find(const struct hvk_server *, uint32_t relid,
	    hvk_channel_id *);

struct hvk_server_info {
	bool	 connected;
	bool	 disconnecting;
	bool	 paused;
	bool	 offers_sent;
	uint32_t version, features;
	uint32_t vp;
	uint8_t	 sint;
	uint64_t monitor_h2g, monitor_g2h;
	struct hvk_guid client;	/* all zero if none was given */
	uint32_t channels;	/* registered */
	uint32_t gpadls;	/* alive */
	uint32_t pfns;		/* held in GPADLs */
	uint64_t messages_in, messages_out;
};
void	hvk_server_info(const struct hvk_server *, struct hvk_server_info *);

/* One range of a complete GPADL. Pages are 4 KiB. */
struct hvk_gpadl_range {
	uint32_t len;		/* bytes */
	uint32_t offset;	/* of the first byte in the first page */
	uint32_t npfn;
};
/*
 * Describe range `range` of a complete GPADL of that channel: HVK_OK; HVK_RANGE
 * if there is none.  Its PFNs are all inside guest memory.
 */
int	hvk_server_gpadl_range(const struct hvk_server *, hvk_channel_id,
	    uint32_t gpadl, uint32_t range, struct hvk_gpadl_range *);
/*
 * Copy up to n PFNs of that range, from number `first`: how many were copied.
 */
uint32_t hvk_server_gpadl_pfns(const struct hvk_server *, hvk_channel_id,
	    uint32_t gpadl, uint32_t range, uint32_t first, uint64_t *pfn,
	    uint32_t n);

/*
 * Check every invariant of the server; false means a defect of this file, never
 * something a guest can cause.  For tests and fuzzing: cost is linear in the
 * block.
 */
bool	hvk_server_valid(const struct hvk_server *);

/* ---- save and restore --------------------------------------------------- */

/*
 * Bytes that hvk_server_save() would write now.
 */
size_t	hvk_server_save_size(const struct hvk_server *);

/*
 * Write the state to buf, at any moment: what the device layer still owes is
 * asked of the new one again.  HVK_RANGE if buf is too small.  The channels'
 * cookies are not saved.
 */
int	hvk_server_save(const struct hvk_server *, void *buf, size_t size);

/*
 * Put saved state into a fresh server on which the same offers have been
 * registered (matched by type, instance and subindex).  Saved channels without
 * an offer become rescinded; offers that were not saved are new.  After it, the
 * device layer gets CONTACT, and GPADL_READY and OPEN (.open.restored) for what
 * was open; the guest gets no second OPEN_RESULT.  Answering such an OPEN with
 * a failure rescinds the channel.
 * HVK_OK; HVK_REJECT if the bytes are malformed; HVK_RANGE if they need a newer
 * version, a feature, a VP or memory that this server has not; HVK_NOSPACE;
 * HVK_STATE if this server is not fresh.  On failure the offers are still there
 * and nothing else is.
 */
int	hvk_server_restore(struct hvk_server *, const void *buf, size_t size);

#endif /* HVK_HOST_SERVER_H */
