/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * Inside of the integration services.
 *
 * Locking: an ic's `lock' guards everything in it; its thread and commands take
 * it for short times and never while they wait, except on `cond'.  `turn' lets
 * one command at a time ask; it is taken first.
 */
#ifndef _VSP_IC_H_
#define	_VSP_IC_H_

#include <pthread.h>
#include <stdatomic.h>

#include <hvk/host/ic.h>
#include <hvk/services.h>
#include <hvk/vmm.h>

struct ic;

/* Makes a request: HVK_OK, or HVK_REJECT if this version has no such thing. */
typedef int ic_make_t(struct hvk_ic_host *, uint64_t now, void *arg,
	    struct hvk_ic_message *);

struct ic_ops {
	enum hvk_ic_type type;
	struct hvk_guid	instance;
	/* All on the service's thread, lock held. */
	void	(*agreed)(struct ic *);
	/* A message of its own, when `due' has passed: HVK_OK if it made one. */
	int	(*periodic)(struct ic *, uint64_t now);
	/* The answer to it in `in'; or there was none. */
	void	(*answered)(struct ic *, bool silent);
	void	(*closed)(struct ic *);
	void	(*info)(struct ic *, json_t *);
};

struct ic_call {
	ic_make_t	*make;
	void		*arg;
	struct hvk_ic_message *reply;
	int		error;		/* -errno, or 0 */
	uint64_t	deadline;	/* ms; whatever happens */
	bool		started;
	bool		done;
};

struct ic {
	const struct ic_ops *ops;
	struct vmm_bus	*bus;
	struct vmm_device *device;
	char		name[16];
	pthread_mutex_t	turn;
	pthread_mutex_t	lock;
	pthread_cond_t	cond;
	struct hvk_ic_host host;
	struct ic_call	*call;
	bool		own;		/* the periodic one is outstanding */
	uint64_t	due;		/* of the next; UINT64_MAX: none */
	bool		cancelled;
	/* While open. */
	struct vmm_channel *channel;
	struct hvk_ring_rx *rx;
	struct hvk_ring_tx *tx;
	pthread_t	thread;
	int		wake;
	bool		stop;
	bool		broken;
	bool		unsent;		/* `out' waits for room */
	bool		fault_asked;
	uint64_t	not_before;	/* FAULT_DELAY */
	uint32_t	mischief;
	uint64_t	opened;		/* times */
	/* What services keep: see vsp/ic_simple.c. */
	uint64_t	sequence;
	uint64_t	asked_ns;	/* when the periodic one was sent */
	uint64_t	heard_ns;	/* last good answer, 0 = never */
	uint64_t	rtt_ns;
	uint64_t	good, bad;
	uint32_t	state;
	bool		sync;
	struct hvk_ic_message out;
	struct hvk_ic_message in;
	uint8_t		packet[HVK_IC_MAX + 64] __attribute__((aligned(8)));
};

struct ic_copy;

struct vmm_services {
	struct vmm_bus	*bus;
	struct ic_copy	*copy;		/* ic_fcopy.c's, with its lock */
	bool		stopping;	/* the same */
	struct ic	*ic[8];
	unsigned	n;
};

/* ic.c */
struct ic *ic_find(struct vmm_services *, enum hvk_ic_type);
uint64_t ic_now(void);			/* ms */
/*
 * Ask and wait: 0 and the reply, or -errno with one line in err.  The status
 * in the reply is for the caller to look at.
 */
int	ic_ask(struct ic *, ic_make_t *, void *arg,
	    struct hvk_ic_message *reply, char *err, size_t errlen);
/* As an error: 0 if the reply's status is OK. */
int	ic_status(const struct ic *, const struct hvk_ic_message *reply,
	    const char *what, char *err, size_t errlen);

/* ic_simple.c */
extern const struct ic_ops ic_heartbeat_ops, ic_shutdown_ops,
	    ic_timesync_ops;
int	ic_heartbeat_ctl(struct vmm_services *, const char *, const json_t *,
	    json_t *, char *, size_t);
int	ic_time_ctl(struct vmm_services *, const char *, const json_t *,
	    json_t *, char *, size_t);

/* ic_kvp.c, ic_vss.c, ic_fcopy.c */
extern const struct ic_ops ic_kvp_ops, ic_vss_ops, ic_fcopy_ops;
int	ic_kvp_ctl(struct vmm_services *, const char *, const json_t *,
	    json_t *, char *, size_t);
int	ic_ip_ctl(struct vmm_services *, const char *, const json_t *,
	    json_t *, char *, size_t);
int	ic_backup_ctl(struct vmm_services *, const char *, const json_t *,
	    json_t *, char *, size_t);
int	ic_copy_ctl(struct vmm_services *, const char *, const json_t *,
	    json_t *, char *, size_t);
/* Ends the copy under way; after vmm_services_cancel(). */
void	ic_copy_stop(struct vmm_services *);

#endif /* _VSP_IC_H_ */
