/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * The host's half of an integration component: it offers versions, then asks
 * one thing at a time and takes the answer that belongs to it.  Whatever else
 * the guest sends (late, twice, malformed, of another kind) is counted and
 * dropped.
 *
 *	open() or request() -> a message to send
 *	packet -> input() -> an event; time -> tick() -> an event
 *
 * Time is in milliseconds of any monotonic clock.  Locking: none; the caller
 * serialises the calls on one object.
 *
 * Facts: wire.md sections 9 and 10; what restart and hibernate need, OpenVMM
 * hyperv_ic.
 */

#ifndef HVK_HOST_IC_H
#define	HVK_HOST_IC_H

#include <hvk/ic.h>

enum hvk_ic_host_phase {
	HVK_IC_HOST_CLOSED,
	HVK_IC_HOST_NEGOTIATING,
	HVK_IC_HOST_READY,
	HVK_IC_HOST_REFUSED,		/* no version in common */
	HVK_IC_HOST_NPHASES
};

enum hvk_ic_host_event {
	HVK_IC_HOST_NOTHING,
	HVK_IC_HOST_AGREED,		/* versions are agreed on */
	HVK_IC_HOST_NO_VERSION,
	HVK_IC_HOST_REPLY,		/* the answer to the request */
	HVK_IC_HOST_SILENT		/* the deadline passed: no answer */
};

struct hvk_ic_host {
	const struct hvk_ic_service *service;
	uint32_t	max_version;	/* 0: newest */
	uint32_t	negotiate_ms;
	enum hvk_ic_host_phase phase;
	uint32_t	framework;	/* agreed, or 0 */
	uint32_t	version;
	bool		waiting;	/* for an answer */
	uint8_t		txid;		/* of that answer */
	uint64_t	deadline;
	/* counters */
	uint32_t	requests;
	uint32_t	replies;
	uint32_t	timeouts;
	uint32_t	stale;		/* late, twice, or not asked for */
	uint32_t	rejected;	/* malformed */
};

/* HVK_RANGE: no such service, or max_version below its oldest. */
int	hvk_ic_host_init(struct hvk_ic_host *, enum hvk_ic_type,
	    uint32_t max_version, uint32_t negotiate_ms);

/*
 * The channel was opened, or versions are to be agreed on again: the message to
 * send.  An outstanding request gets no answer any more.
 */
void	hvk_ic_host_open(struct hvk_ic_host *, uint64_t now,
	    struct hvk_ic_message *);
void	hvk_ic_host_close(struct hvk_ic_host *);

/*
 * Frame of a request with a zeroed body, to be filled and sent.  HVK_STATE: not
 * ready, or another is outstanding; HVK_RANGE: too long.
 */
int	hvk_ic_host_request(struct hvk_ic_host *, uint64_t now,
	    uint32_t limit_ms, uint32_t body_len, struct hvk_ic_message *);

/* REPLY: `reply' has it, its status in hvk_ic_header(). */
enum hvk_ic_host_event hvk_ic_host_input(struct hvk_ic_host *,
	    const struct hvk_packet *, struct hvk_ic_message *reply);

uint64_t hvk_ic_host_deadline(const struct hvk_ic_host *);
/* After SILENT of a negotiation, open() asks again. */
enum hvk_ic_host_event hvk_ic_host_tick(struct hvk_ic_host *, uint64_t now);

/* Heartbeat: a request; and whether a reply counts one on, with its state. */
int	hvk_heartbeat_ask(struct hvk_ic_host *, uint64_t now,
	    uint32_t limit_ms, uint64_t sequence, struct hvk_ic_message *);
int	hvk_heartbeat_check(const struct hvk_ic_message *, uint64_t sequence,
	    uint32_t *state);

/*
 * Shutdown: a request; `flags' of HVK_SHUTDOWN_*, text in UTF-8 cut to what
 * fits.  HVK_REJECT: the agreed version knows no such thing (restart from 3.1,
 * hibernate from 3.2).
 */
int	hvk_shutdown_ask(struct hvk_ic_host *, uint64_t now,
	    uint32_t limit_ms, uint32_t flags, uint32_t reason,
	    uint32_t timeout_s, const char *text, struct hvk_ic_message *);

/* Time: unix_ns is the host's time when the reference counter was so. */
int	hvk_timesync_ask(struct hvk_ic_host *, uint64_t now,
	    uint32_t limit_ms, uint64_t unix_ns, uint64_t reference,
	    uint8_t flags, struct hvk_ic_message *);

#endif /* !HVK_HOST_IC_H */
