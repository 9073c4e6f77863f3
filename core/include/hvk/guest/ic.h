/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * The guest's half of an integration component: versions are agreed on as
 * often as the host asks, each request is handed out, each reply is made in
 * place of its request.
 *
 *	packet -> hvk_ic_input() -> HVK_IC_SEND: send the message
 *				    HVK_IC_SERVE: do it, answer, send
 *
 * Services that need nobody else (heartbeat, shutdown, time) answer at once;
 * for the others hvk_ic_queue keeps requests until a daemon has answered or a
 * deadline has passed.
 *
 * Time is in milliseconds of any monotonic clock.  Locking: none; the caller
 * serialises the calls on one object.
 *
 * Facts: wire.md sections 9 and 10.
 */

#ifndef HVK_GUEST_IC_H
#define	HVK_GUEST_IC_H

#include <hvk/ic.h>

struct hvk_ic {
	const struct hvk_ic_service *service;
	uint32_t	framework;	/* agreed: major << 16 | minor; or 0 */
	uint32_t	version;
	/* counters */
	uint32_t	negotiations;
	uint32_t	requests;
	uint32_t	refused;	/* answered by this machine with an error */
	uint32_t	rejected;	/* malformed: no answer possible */
};

enum hvk_ic_action {
	HVK_IC_NOTHING,		/* not a message, or none of ours */
	HVK_IC_SEND,		/* the message is a reply: send it */
	HVK_IC_SERVE		/* the message is a request of the service */
};

/* HVK_RANGE: no such service. */
int	hvk_ic_init(struct hvk_ic *, enum hvk_ic_type);
/* The channel is opened anew: nothing is agreed on. */
void	hvk_ic_reset(struct hvk_ic *);
enum hvk_ic_action hvk_ic_input(struct hvk_ic *, const struct hvk_packet *,
	    struct hvk_ic_message *);

/*
 * Heartbeat: make the reply.  `state' goes to hosts whose messages have room
 * for it; HVK_HEARTBEAT_UNKNOWN leaves it as it was.
 */
void	hvk_heartbeat_serve(struct hvk_ic *, struct hvk_ic_message *,
	    enum hvk_heartbeat_state state);

/*
 * Shutdown: what the host wants.  The reply is made in the message, to be sent
 * before anything is done; action NONE: it has been refused.
 */
enum hvk_shutdown_action {
	HVK_SHUTDOWN_NONE,
	HVK_SHUTDOWN_POWEROFF,
	HVK_SHUTDOWN_REBOOT,
	HVK_SHUTDOWN_SLEEP		/* hibernate */
};
struct hvk_shutdown {
	enum hvk_shutdown_action action;
	bool		force;
	bool		planned;
	uint32_t	reason;
	uint32_t	timeout;	/* seconds */
	char		text[256];	/* printable, UTF-8, maybe cut short */
};
void	hvk_shutdown_serve(struct hvk_ic *, struct hvk_ic_message *,
	    bool can_hibernate, struct hvk_shutdown *);

/*
 * Time.  serve() takes the sample out of a message and makes the reply;
 * HVK_REJECT: the message made no sense, the reply says so.  `reference' is the
 * reference counter now (100 ns), or 0 if there is none; with it the time that
 * the message was under way is known and added.
 */
struct hvk_time_sample {
	uint64_t	unix_ns;	/* the host's time now */
	uint64_t	delay_ns;	/* under way */
	bool		sync;		/* the host wants the clock set */
	bool		sample;
};
int	hvk_timesync_serve(struct hvk_ic *, struct hvk_ic_message *,
	    uint64_t reference, struct hvk_time_sample *);

/* What to do about it. */
enum hvk_time_action {
	HVK_TIME_IGNORE,
	HVK_TIME_SLEW,			/* let the clock run to it */
	HVK_TIME_STEP			/* set it */
};
struct hvk_time_policy {
	bool		ignore_sync;
	int32_t		sample_ms;	/* steps above; <= 0: no samples */
	uint32_t	slew_us;	/* does nothing below */
	/*
	 * An NTP daemon has the clock in hand: samples are left to it unless
	 * the clock is so wrong that it must have stood still (0: never).
	 */
	bool		disciplined;
	uint32_t	disciplined_ms;
};
struct hvk_time_decision {
	enum hvk_time_action action;
	int64_t		offset_ns;	/* host - guest, clamped */
};
void	hvk_timesync_decide(const struct hvk_time_policy *,
	    const struct hvk_time_sample *, uint64_t guest_unix_ns,
	    struct hvk_time_decision *);

/*
 * Requests that somebody else answers.
 */
#define	HVK_IC_QUEUE_MAX	16u

enum hvk_ic_slot_state {
	HVK_IC_FREE,
	HVK_IC_WAITING,			/* nobody has taken it yet */
	HVK_IC_TAKEN			/* the daemon has it */
};
struct hvk_ic_slot {
	enum hvk_ic_slot_state state;
	uint32_t	generation;
	uint64_t	order;
	uint64_t	deadline;
	struct hvk_ic_message message;
};
struct hvk_ic_queue {
	struct hvk_ic_slot *slot;	/* the caller's */
	uint32_t	size;
	uint64_t	order;
	uint32_t	limit_ms;
	/* counters */
	uint32_t	added;
	uint32_t	answered;
	uint32_t	expired;
	uint32_t	stale;		/* answers that came too late */
};

/* HVK_RANGE: size 0 or above HVK_IC_QUEUE_MAX. */
int	hvk_ic_queue_init(struct hvk_ic_queue *, struct hvk_ic_slot *,
	    uint32_t size, uint32_t limit_ms);
/*
 * Keep a request (copied).  HVK_NOSPACE: answer it with HVK_IC_FAIL instead.
 */
int	hvk_ic_queue_add(struct hvk_ic_queue *, const struct hvk_ic_message *,
	    uint64_t now);
/* The oldest that nobody has taken, without taking it; NULL. */
struct hvk_ic_message *hvk_ic_queue_peek(struct hvk_ic_queue *);
/* Take it: an id that is never 0.  HVK_AGAIN: there is none. */
int	hvk_ic_queue_take(struct hvk_ic_queue *, uint64_t *id,
	    struct hvk_ic_message **);
/*
 * The message of an id that is taken: make the reply in it, send it, and call
 * done.  NULL: the id is not, or no longer, taken; counted.
 */
struct hvk_ic_message *hvk_ic_queue_find(struct hvk_ic_queue *, uint64_t id);
void	hvk_ic_queue_done(struct hvk_ic_queue *, uint64_t id);
/* The id is taken and not over. */
bool	hvk_ic_queue_has(struct hvk_ic_queue *, uint64_t id);
/*
 * A message whose time has passed, made into a reply with `status'; it is free
 * at the next call, so send it first.  NULL: no more.
 */
struct hvk_ic_message *hvk_ic_queue_expire(struct hvk_ic_queue *,
	    uint64_t now, uint32_t status);
/*
 * The daemon is gone: what it had taken is to be answered with an error now
 * (deadlines become 0); what it had not is left to the next, which has to come
 * within wait_ms.
 */
void	hvk_ic_queue_abandon(struct hvk_ic_queue *, uint64_t now,
	    uint32_t wait_ms);
/* The channel is gone: forget everything. */
void	hvk_ic_queue_flush(struct hvk_ic_queue *);
/* When expire() has something to do; UINT64_MAX: never. */
uint64_t hvk_ic_queue_deadline(const struct hvk_ic_queue *);

#endif /* !HVK_GUEST_IC_H */
