/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * VMBus in the freestanding guest: the glue between the guest core and the
 * machine.  Everything but the interrupt handler runs in the one thread of the
 * first processor; see doc/port-to-your-kernel.md.
 */

#ifndef BUS_H
#define	BUS_H

#include <hvk/guest/vmbus.h>
#include <hvk/packet.h>
#include <hvk/ring.h>

#include "bsd.h"
#include <hyperv.h>

#define	BUS_CHANNELS	64u
#define	BUS_GPADLS	64u
#define	BUS_RELIDS	256u		/* higher ones are counted, not used */
#define	BUS_SINT	HVK_SINT_VMBUS
#define	BUS_TIMER_SINT	4u
#define	BUS_TIMERS	4u
#define	BUS_RING	16384u		/* data bytes of each direction */
#define	BUS_SHARE_PAGES	128u		/* of one GPADL */

/* What synthetic timers told one processor, written by its interrupts only. */
struct bus_timer {
	volatile uint32_t count;
	volatile uint64_t expiration;
	volatile uint64_t delivery;
	volatile uint64_t seen;		/* reference time in the handler */
};

struct bus_chan {
	struct hvk_client_chan	*client;
	struct hvk_client_gpadl	*gpadl;
	uint8_t			*ring;
	uint32_t		 relid;
	volatile uint32_t	 pending;	/* set by interrupts */
	volatile uint32_t	 interrupts;
	bool			 open;
	bool			 broken;
	struct hvk_ring_tx	 tx;
	struct hvk_ring_rx	 rx;
	void (*cb)(struct bus_chan *, void *);
	void			*cbarg;
	/* monitored or shared channels signal through pages */
	volatile uint32_t	*send, *monitor;
	uint32_t		 send_bit, monitor_bit;
};

/* synic.c */
extern struct bus_timer bus_timers[PORT_CPUS][BUS_TIMERS];
extern bool bus_auto_eoi;
int	 bus_synic_start(void);		/* all processors */
void	 bus_synic_stop(void);
bool	 bus_synic_message(struct hvk_synic_message *);	/* first processor */
void	 bus_timer_start(uint32_t timer, uint64_t config, uint64_t count);

/* conn.c */
extern struct hvk_client bus_client;
extern uint32_t bus_relid_max;
extern bool bus_offers_done;
enum hvk_client_status bus_connect(uint32_t max_version, uint32_t *version);
bool	 bus_offers(void);
enum hvk_client_status bus_disconnect(void);
void	 bus_step(void);		/* do all there is to do now */
/* Steps and sleeps until `done' is true; false: the time was up. */
bool	 bus_wait(bool (*done)(void *), void *arg, uint32_t ms);
struct hvk_client_chan *bus_find(const struct hvk_guid *type, uint32_t nth);

/* chan.c */
extern struct bus_chan *volatile bus_by_relid[BUS_RELIDS];
int	 bus_open(struct bus_chan *, struct hvk_client_chan *, uint32_t cpu,
	    void (*cb)(struct bus_chan *, void *), void *arg);
void	 bus_quiet(struct bus_chan *);
bool	 bus_close(struct bus_chan *);	/* false: memory left to the host */
int	 bus_send(struct bus_chan *, uint64_t txid, const void *, uint32_t len);
int	 bus_send_gpa(struct bus_chan *, uint64_t txid,
	    const struct hvk_gpa_range *, const void *, uint32_t len);
int	 bus_tell(struct bus_chan *, uint64_t txid, const void *, uint32_t len);
int	 bus_complete(struct bus_chan *, uint64_t txid, const void *,
	    uint32_t len);
int	 bus_share(struct bus_chan *, void *, uint32_t pages,
	    struct hvk_client_gpadl **);
bool	 bus_unshare(struct hvk_client_gpadl *);
int	 bus_recv(struct bus_chan *, void *buf, uint32_t cap,
	    struct hvk_packet *);
void	 bus_chan_run(struct bus_chan *);

#endif	/* !BUS_H */
