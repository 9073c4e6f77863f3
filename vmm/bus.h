/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * Inside of the bus: what bus*.c share.
 *
 * Locking.  `lock` guards the server machine, the lists of devices and
 * channels and everything not marked otherwise.  A device's `ops_lock` is held
 * around its ops and is taken before `lock`, never after.  `vplock[n]` guards
 * virtual processor n in the hypervisor model and is taken last.  A channel is
 * freed by the bus thread alone, with `lock` held.
 */
#ifndef _VMM_BUS_H_
#define	_VMM_BUS_H_

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include <hvk/host/hypervisor.h>
#include <hvk/host/server.h>
#include <hvk/vmm.h>

#define	BUS_SUBCHANNELS	63u		/* of one device */
enum bus_say { SAY_CONTACT, SAY_CRASH, SAY_RESET, SAY_OPEN, BUS_SAYS };
#define	CRASH_MAX	4097u		/* a page of text, and its end */

struct fault {
	_Atomic uint32_t kind;		/* enum vmm_fault; 0 = nothing armed */
	_Atomic uint32_t left;		/* 0 = until switched off */
	_Atomic uint32_t ms;
	_Atomic uint64_t injected;
};

struct vmm_channel {
	struct vmm_channel *next;
	struct vmm_bus	*bus;
	struct vmm_device *dev;
	hvk_channel_id	id;
	uint16_t	index;
	_Atomic bool	rescinded;	/* written with the bus lock */
	uint64_t	linger_until;	/* 0: it does not; see bus_linger.c */
	/* While open; rings belong to the device's worker. */
	bool		open;
	struct hvk_ring_rx rx;
	struct hvk_ring_tx tx;
	void		*rings;		/* mapping of the ring GPADL */
	uint32_t	pages;
	uint32_t	runs;
	uint32_t	rx_size;
	uint32_t	tx_size;
	int		kick;
	uint32_t	conn;
	uint16_t	flag;
	uint8_t		sint;
	uint8_t		monitor;
	_Atomic uint32_t vp;
	_Atomic uint64_t signals;	/* asked for by the device */
	_Atomic uint64_t interrupts;	/* raised */
	_Atomic uint64_t slow_kicks;	/* SIGNAL_EVENT by exit */
	_Atomic uint64_t monitor_kicks;
};

struct vmm_device {
	struct vmm_device *next;
	struct vmm_bus	*bus;
	pthread_mutex_t	ops_lock;
	const struct vmm_device_ops *ops;
	void		*arg;
	char		name[32];
	struct vmm_offer offer;
	bool		offered;
	uint64_t	offered_at;	/* by command, CLOCK_MONOTONIC */
	uint32_t	order;
	struct fault	fault;
};

struct vmm_bus {
	pthread_mutex_t	lock;
	pthread_cond_t	wake;		/* the bus thread has something to do */
	bool		kicked;
	bool		quit;
	pthread_t	thread;
	bool		started;
	struct vmm_machine *machine;
	struct vmm_bus_config conf;

	struct hvk_server *server;
	void		*block;
	struct vmm_device *devices;
	struct vmm_channel *channels;
	bool		connected;
	uint32_t	lingering;	/* rescinded channels still served */
	pthread_cond_t	left;		/* one of them is closed */
	uint64_t	retry_ms;	/* delivery back-off, 0 = none needed */
	uint64_t	retry_at;	/* when to try again, CLOCK_MONOTONIC */
	uint64_t	hold_until;	/* fault: messages are delayed */
	struct fault	fault;		/* of control messages */
	bool		head_asked;	/* fault of the first in the queue */
	enum vmm_fault	head_fault;
	uint32_t	complained[HVK_REFUSE_MAX];
	FILE		*trace;

	struct hvk_hv	hv;
	struct hvk_hv_vp *vps;
	pthread_mutex_t	vplock[VMM_MAXCPU];
	struct hvk_hv_view view;
	uint64_t	tsc_scale;	/* 0: the clock is CLOCK_MONOTONIC */
	uint64_t	tsc_zero;
	_Atomic uint32_t hv_refused[HVK_HV_REFUSE_MAX];
	char		crash[CRASH_MAX]; /* text of the guest's crash report */
	bool		crashed;
	bool		crash_due;	/* to be written to crash.txt */
	/* Lines that a guest can cause as often as it likes: see bus_talk. */
	_Atomic uint32_t said[BUS_SAYS];

	/* Synthetic timers: see bus_machine.c. */
	pthread_mutex_t	timer_lock;
	pthread_cond_t	timer_wake;
	pthread_t	timer_thread;
	bool		timer_started;
	bool		timer_kicked;
	bool		timer_quit;

	/* Monitor pages: see monitor.c. */
	pthread_t	monitor_thread;
	bool		monitor_started;
	_Atomic bool	monitor_quit;
	_Atomic uint64_t monitor_page;	/* guest to host, 0 = none */
	_Atomic(struct vmm_channel *) monitored[HVK_SERVER_MONITORS];
	_Atomic uint32_t monitors;	/* channels in that table */
};

/* ---- bus.c */
/* Have the bus thread look; lock held. */
void	bus_kick(struct vmm_bus *);
void	bus_deliver(struct vmm_bus *);	/* lock held */
uint64_t bus_now(const struct vmm_bus *);	/* reference time, 100 ns */
/*
 * May the log have one more line of this kind?  A hostile guest must not fill
 * it; the last one allowed says so itself.
 */
bool	bus_talk(struct vmm_bus *, enum bus_say);
void	bus_inject(struct vmm_bus *, const struct hvk_hv_irq *, uint32_t n);
/* Reset the server and wait until every channel is closed; lock held. */
bool	bus_close_all(struct vmm_bus *);

/* ---- bus_machine.c */
/* Count a refused register access, and name the first few. */
void	bus_refused(struct vmm_bus *, uint32_t cpu, uint32_t msr,
	    const uint64_t *written, enum hvk_hv_refusal);
int	bus_timers_start(struct vmm_bus *);
void	bus_timers_stop(struct vmm_bus *);
void	bus_timers_kick(struct vmm_bus *);	/* a deadline changed */

/* ---- bus_channel.c: events, on the bus thread, lock held, may drop it. */
void	bus_channel_open(struct vmm_bus *, const struct hvk_server_event *);
void	bus_channel_close(struct vmm_bus *, struct vmm_channel *);
void	bus_channel_modify(struct vmm_bus *, const struct hvk_server_event *);
void	bus_channel_released(struct vmm_bus *, struct vmm_channel *);
void	bus_channel_free_all(struct vmm_bus *);
bool	bus_device_held(const struct vmm_device *);	/* lock held */
struct vmm_device *bus_device_find(struct vmm_bus *, const char *name);

/* ---- bus_linger.c: lock held */
bool	bus_linger(struct vmm_bus *, struct vmm_channel *);
/* Close one that need not linger any more, if any; may drop the lock. */
bool	bus_linger_next(struct vmm_bus *);
uint64_t bus_linger_deadline(const struct vmm_bus *);	/* 0: none */
/* A processor's thread: wait until what the guest let go of is closed. */
void	bus_linger_wait(struct vmm_bus *);

/* ---- bus_gpadl.c */
void	bus_gpadl_gone(struct vmm_bus *, struct vmm_channel *, uint32_t gpadl);

/* ---- bus_fault.c */
enum vmm_fault fault_take(struct fault *, uint32_t *ms);
void	fault_arm(struct fault *, enum vmm_fault, uint32_t count, uint32_t ms);
/* What to do with the next control message; may change it. */
enum vmm_fault fault_message(struct vmm_bus *, struct hvk_server_out *);
void	trace_message(struct vmm_bus *, bool to_guest, uint32_t vp,
	    const void *msg, uint32_t len);

/* ---- monitor.c: lock held. */
int	monitor_add(struct vmm_bus *, struct vmm_channel *);
void	monitor_remove(struct vmm_bus *, struct vmm_channel *);
void	monitor_pages(struct vmm_bus *, uint64_t guest_to_host);
void	monitor_stop(struct vmm_bus *);	/* lock not held */

#endif /* _VMM_BUS_H_ */
