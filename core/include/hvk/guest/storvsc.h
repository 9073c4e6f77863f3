/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * The guest's half of the storage protocol (vstor 5.1 to 6.2).
 *
 * Two machines.  `hvk_storvsc' is one controller: it brings the primary
 * channel up, asks for sub-channels and resets the bus.  `hvk_storvsc_queue' is
 * one channel's table of requests: it gives out transaction ids, encodes
 * requests, checks answers and watches deadlines.  Neither calls out: packets
 * and the time go in, packets and events come out.  The caller owns the rings,
 * the memory and the waiting.
 *
 * Transaction ids are {kind, generation, index}, never addresses.  An answer
 * counts only if all three match a request that is with the host.
 *
 * Time is in milliseconds of any monotonic clock.
 *
 * Locking: none here.  The caller serialises all calls on one controller, and
 * all calls on one queue; different objects may be used at once.
 *
 * Facts: vstor packets and start-up order, Linux 6.19 storvsc and OpenVMM
 * storvsp, as collected in core/spec.
 */

#ifndef _HVK_GUEST_STORVSC_H_
#define	_HVK_GUEST_STORVSC_H_

#include <hvk/types.h>
#include <hvk/error.h>
#include <hvk/packet.h>
#include <hvk/wire/guid.h>
#include <hvk/wire/vstor.h>

#define	HVK_STORVSC_SENSE	20	/* bytes of sense data at most */
#define	HVK_STORVSC_CDB		16
#define	HVK_STORVSC_MAX_QUEUE	4096	/* requests in one table */

/* What a packet is about: decides which machine, and so which lock. */
enum hvk_storvsc_kind {
	HVK_STORVSC_KIND_NONE,		/* answers nothing of ours */
	HVK_STORVSC_KIND_IO,		/* answer to a queue's request */
	HVK_STORVSC_KIND_CONTROL,	/* answer to the controller machine */
	HVK_STORVSC_KIND_EVENT		/* the host speaks first */
};

enum hvk_storvsc_kind hvk_storvsc_kind(const struct hvk_packet *);

/*
 * Controller.
 */
enum hvk_storvsc_phase {
	HVK_STORVSC_IDLE,
	HVK_STORVSC_BEGIN,		/* begin initialisation sent */
	HVK_STORVSC_VERSION,
	HVK_STORVSC_PROPERTIES,
	HVK_STORVSC_END,
	HVK_STORVSC_SUBCHANNELS,
	HVK_STORVSC_READY,
	HVK_STORVSC_RESET,		/* bus reset sent */
	HVK_STORVSC_SETTLE,		/* reset done, old answers may arrive */
	HVK_STORVSC_FAILED,
	HVK_STORVSC_NPHASES
};

enum hvk_storvsc_event {
	HVK_STORVSC_NOTHING,
	HVK_STORVSC_IS_READY,		/* start-up is over */
	HVK_STORVSC_RESET_OVER,		/* end all requests still outstanding */
	HVK_STORVSC_HAS_FAILED,		/* told once; see `reason' */
	HVK_STORVSC_RESCAN,		/* look at all LUNs again */
	HVK_STORVSC_REMOVED		/* a LUN went: look again */
};

enum hvk_storvsc_reason {
	HVK_STORVSC_NO_REASON,
	HVK_STORVSC_NO_ANSWER,		/* a start-up step timed out */
	HVK_STORVSC_REFUSED,		/* a start-up step was refused */
	HVK_STORVSC_NO_VERSION,		/* no common version */
	HVK_STORVSC_BAD_ANSWER,		/* unusable properties */
	HVK_STORVSC_RESET_UNANSWERED,
	HVK_STORVSC_RESET_REFUSED,
	HVK_STORVSC_STOPPED		/* by hvk_storvsc_stop() */
};

struct hvk_storvsc_config {
	uint16_t	subchannels;	/* wanted, 0 for none */
	uint16_t	max_version;	/* 0: newest; else major << 8 | minor */
	uint32_t	step_ms;	/* 0: 10,000; each start-up step */
	uint32_t	reset_ms;	/* 0: 5,000; each try of a reset */
	uint32_t	settle_ms;	/* 0: 500; after an answered reset */
	uint32_t	reset_tries;	/* 0: 3 */
};

struct hvk_storvsc {
	struct hvk_storvsc_config config;
	enum hvk_storvsc_phase	phase;
	enum hvk_storvsc_reason	reason;
	uint16_t		version;	/* agreed */
	uint16_t		max_subchannels; /* the host's limit */
	uint16_t		subchannels;	/* granted */
	uint32_t		max_transfer;	/* bytes in one request */
	uint32_t		status;		/* last refusal */

	/* private */
	uint32_t		generation;
	uint32_t		tries;
	uint32_t		candidate;
	uint64_t		deadline;
	bool			waiting;	/* sent, unanswered */
	bool			unsent;		/* for hvk_storvsc_pull() */

	/* counters */
	uint64_t		resets;
	uint64_t		resets_failed;
	uint64_t		rescans;
	uint64_t		rejected;	/* messages that made no sense */
};

struct hvk_storvsc_message {
	uint64_t		txid;
	struct hvk_vstor_packet	packet;		/* send all of it, in-band,
						   completion wanted */
};

void	hvk_storvsc_init(struct hvk_storvsc *,
	    const struct hvk_storvsc_config *);

/* HVK_STATE if it was started before. */
int	hvk_storvsc_start(struct hvk_storvsc *, uint64_t now);

/*
 * The message to send on the primary channel now, if there is one.  If the ring
 * is full the caller keeps it and sends it later; if it never does, the
 * deadline ends the step.
 */
bool	hvk_storvsc_pull(struct hvk_storvsc *, struct hvk_storvsc_message *);

/*
 * A packet of kind CONTROL or EVENT.  HVK_OK and an event (often NOTHING), or
 * HVK_REJECT: counted, ignored.
 */
int	hvk_storvsc_input(struct hvk_storvsc *, const struct hvk_packet *,
	    uint64_t now, enum hvk_storvsc_event *);

/* When hvk_storvsc_tick() has something to do; UINT64_MAX: never. */
uint64_t hvk_storvsc_deadline(const struct hvk_storvsc *);
enum hvk_storvsc_event hvk_storvsc_tick(struct hvk_storvsc *, uint64_t now);

/*
 * Start a bus reset.  HVK_OK also if one is under way; HVK_STATE if the
 * controller is not ready.  RESET_OVER or HAS_FAILED follows within
 * reset_tries * reset_ms + settle_ms of ticks.
 */
int	hvk_storvsc_reset(struct hvk_storvsc *, uint64_t now);

/* Nothing can be sent any more: rescinded, detached or broken. */
void	hvk_storvsc_stop(struct hvk_storvsc *);

/* New requests may be sent. */
static inline bool
hvk_storvsc_ready(const struct hvk_storvsc *s)
{
	return (s->phase == HVK_STORVSC_READY);
}

/*
 * Standard INQUIRY answers that would keep an initiator from using what the
 * host can do: disks of 2012 and 2012 R2 that call themselves SPC-2 or nothing
 * (UNMAP needs SPC-3), and the DVD drive of generation 2 machines, without a
 * version.  Changes the data in place; returns whether it did.
 */
bool	hvk_storvsc_fix_inquiry(uint16_t version, uint8_t *data, uint32_t len);

/*
 * Where the one disk of an IDE channel is: in the offer's user data, or, on
 * hosts that leave that empty, in the instance's name.
 */
void	hvk_storvsc_ide_address(const uint8_t user[12],
	    const struct hvk_guid *instance, uint8_t *path, uint8_t *target);

/*
 * Queue.
 */
enum hvk_storvsc_direction {
	HVK_STORVSC_WRITE,		/* the values on the wire */
	HVK_STORVSC_READ,
	HVK_STORVSC_NO_DATA
};

enum hvk_storvsc_result {
	HVK_STORVSC_OK,			/* maybe less than asked: transferred */
	HVK_STORVSC_SCSI_STATUS,	/* see scsi_status and sense */
	HVK_STORVSC_NO_LUN,
	HVK_STORVSC_BUSY,
	HVK_STORVSC_ABORTED,
	HVK_STORVSC_TIMED_OUT,		/* the host's or ours */
	HVK_STORVSC_BUS_RESET,		/* never answered, a reset ended it */
	HVK_STORVSC_INVALID,		/* the host cannot do such a request */
	HVK_STORVSC_HOST_ERROR,
	HVK_STORVSC_MALFORMED,		/* the answer made no sense */
	HVK_STORVSC_GONE,		/* the channel failed */
	HVK_STORVSC_NRESULTS
};

struct hvk_storvsc_io {
	void		*cookie;	/* given back, never on the wire */
	uint32_t	 length;	/* bytes of data */
	uint32_t	 timeout_ms;	/* 0: never */
	uint8_t		 path;
	uint8_t		 target;
	uint8_t		 lun;
	uint8_t		 direction;
	uint8_t		 cdb_len;	/* 1 to 16 */
	bool		 tagged;	/* simple queueing */
	bool		 plain;		/* leave the flags of 5.1+ at zero */
	uint8_t		 cdb[HVK_STORVSC_CDB];
};

struct hvk_storvsc_done {
	void		*cookie;
	enum hvk_storvsc_result result;
	uint32_t	 length;	/* as requested */
	uint32_t	 transferred;	/* never more than length */
	bool		 held;		/* the host may still write */
	uint8_t		 direction;
	uint8_t		 scsi_status;
	uint8_t		 srb_status;
	uint8_t		 sense_len;
	uint8_t		 sense[HVK_STORVSC_SENSE];
};

struct hvk_storvsc_slot {		/* private */
	void		*cookie;
	uint64_t	 deadline;
	uint32_t	 generation;
	uint32_t	 length;
	uint16_t	 next;
	uint8_t		 state;
	uint8_t		 direction;
};

struct hvk_storvsc_queue {
	struct hvk_storvsc_slot	*slot;
	uint16_t	 size;
	uint16_t	 free;		/* head of the free list */
	uint16_t	 busy;		/* with the host, not ended */
	uint16_t	 held;		/* ended, but never to be reused */
	uint32_t	 max_transfer;

	/* counters */
	uint64_t	 sent;
	uint64_t	 done;
	uint64_t	 timeouts;
	uint64_t	 unknown;	/* answers to ids never given out */
	uint64_t	 stale;		/* answers that came twice or too late */
	uint64_t	 malformed;
};

/* `slots' belongs to the caller.  HVK_RANGE: size 0 or above MAX_QUEUE. */
int	hvk_storvsc_queue_init(struct hvk_storvsc_queue *,
	    struct hvk_storvsc_slot *slots, uint32_t size,
	    uint32_t max_transfer);

/*
 * Encode a request.  HVK_OK: send `packet' (all of it) with `txid', completion
 * wanted.  HVK_NOSPACE: table full.  HVK_RANGE: too long, or a bad CDB length
 * or direction.
 */
int	hvk_storvsc_submit(struct hvk_storvsc_queue *,
	    const struct hvk_storvsc_io *, uint64_t now,
	    struct hvk_vstor_packet *packet, uint64_t *txid);

/* The packet could not be sent after all.  HVK_REJECT: no such request. */
int	hvk_storvsc_cancel(struct hvk_storvsc_queue *, uint64_t txid);

/*
 * A packet of kind IO.  HVK_OK: a request ended, see `done'.  HVK_REJECT:
 * unknown, stale or not an answer; counted, nothing changed.
 */
int	hvk_storvsc_complete(struct hvk_storvsc_queue *,
	    const struct hvk_packet *, struct hvk_storvsc_done *);

/*
 * Requests whose time ran out since the last call; if not 0 the caller starts a
 * reset.  They stay with the host until it answers or the reset is over.
 */
uint32_t hvk_storvsc_expire(struct hvk_storvsc_queue *, uint64_t now);

/* Make the request of this cookie overdue now.  HVK_REJECT: not here. */
int	hvk_storvsc_abort(struct hvk_storvsc_queue *, const void *cookie);

/*
 * End one outstanding request after the other: call until it returns false.
 * held: the host may still write to the memory of these requests; their slots
 * are never used again.  An overdue request ends with TIMED_OUT, another with
 * `result'.
 */
bool	hvk_storvsc_end(struct hvk_storvsc_queue *,
	    enum hvk_storvsc_result result, bool held,
	    struct hvk_storvsc_done *);

#endif	/* !_HVK_GUEST_STORVSC_H_ */
