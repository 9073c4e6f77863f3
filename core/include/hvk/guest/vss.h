/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * Backup of a running machine, the guest's side: who is asked in which order,
 * for how long, and that nothing stays frozen.
 *
 * Two parties are asked: an application, if one has come, and the one that
 * freezes file systems.  CHECK and FREEZE go to the application first, THAW to
 * the file systems first.  A request is over within `limit_ms', whatever they
 * do.  Each of these ends in a THAW of the machine's own: a FREEZE that failed,
 * timed out, or succeeded after it timed out; the death of one party while the
 * other is frozen; a host that does not thaw within `hold_ms', agrees on
 * versions again, or goes away.
 *
 *	message in -> hvk_vss_request()
 *	hvk_vss_take(), hvk_vss_done(): a party fetches and gives back
 *	hvk_vss_tick() with the time; hvk_vss_reply(): what to send
 *
 * Time is in milliseconds of any monotonic clock.  Locking: none; the caller
 * serialises.  Facts: wire.md section 12; the order of the parties, FreeBSD's
 * hv_vss(4).
 */

#ifndef HVK_GUEST_VSS_H
#define	HVK_GUEST_VSS_H

#include <hvk/guest/ic.h>
#include <hvk/wire/vss.h>

#define	HVK_VSS_JOBS	4u

enum hvk_vss_party {
	HVK_VSS_APP,
	HVK_VSS_FS,
	HVK_VSS_NPARTIES
};

struct hvk_vss_job {
	bool		used;
	bool		over;		/* a reply that is to be sent */
	bool		internal;	/* nobody waits for a reply */
	bool		given;		/* a party has it */
	uint8_t		op;		/* HVK_VSS_CHECK, FREEZE, THAW */
	uint8_t		stage;		/* 0, 1: which party in the order */
	uint64_t	id;
	uint64_t	deadline;
	uint64_t	order;
	struct hvk_ic_message message;
};

struct hvk_vss {
	uint32_t	limit_ms;	/* of one request */
	uint32_t	hold_ms;	/* frozen for so long at most */
	struct hvk_vss_job *job;	/* HVK_VSS_JOBS of the caller's */
	struct hvk_vss_job *sent;	/* free at the next reply() */
	bool		open[HVK_VSS_NPARTIES];
	bool		frozen[HVK_VSS_NPARTIES];
	bool		spoilt;		/* the backup is no good any more */
	uint64_t	thaw_by;	/* UINT64_MAX: nothing frozen */
	uint64_t	order;
	uint64_t	next_id;
	uint64_t	late_id[HVK_VSS_NPARTIES]; /* FREEZE given, timed out */
	/* counters */
	uint32_t	requests;
	uint32_t	failed;
	uint32_t	timeouts;
	uint32_t	thaws;		/* of its own */
	uint32_t	stale;
};

/* `jobs': HVK_VSS_JOBS of them. */
void	hvk_vss_init(struct hvk_vss *, struct hvk_vss_job *jobs,
	    uint32_t limit_ms, uint32_t hold_ms);
/* true: the message is the reply, send it; false: one comes later. */
bool	hvk_vss_request(struct hvk_vss *, struct hvk_ic *,
	    struct hvk_ic_message *, uint64_t now);
/* A party comes or goes. */
void	hvk_vss_party(struct hvk_vss *, enum hvk_vss_party, bool open,
	    uint64_t now);
bool	hvk_vss_waiting(struct hvk_vss *, enum hvk_vss_party);
/* HVK_OK and a request to do; HVK_AGAIN: there is none. */
int	hvk_vss_take(struct hvk_vss *, enum hvk_vss_party, uint8_t *op,
	    uint64_t *id);
/* HVK_REJECT: it is not, or no longer, this party's. */
int	hvk_vss_done(struct hvk_vss *, enum hvk_vss_party, uint64_t id, bool ok,
	    uint64_t now);
/* The host agrees on versions again, or the channel is gone. */
void	hvk_vss_lost(struct hvk_vss *, uint64_t now);
uint64_t hvk_vss_deadline(const struct hvk_vss *);
void	hvk_vss_tick(struct hvk_vss *, uint64_t now);
/* The next reply to send, or NULL; valid until the next call of it. */
struct hvk_ic_message *hvk_vss_reply(struct hvk_vss *);

#endif /* !HVK_GUEST_VSS_H */
