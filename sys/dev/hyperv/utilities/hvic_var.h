/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * What the drivers of hv_utils.ko share: one channel of an integration
 * component, its receive buffer, its replies.
 *
 * Locking: `ic_mtx' guards everything below it.  It may be held when the vmbus
 * transmit lock is taken, and is never held across a sleep.  The channel's
 * callback is the only receiver.
 */

#ifndef _HVIC_VAR_H_
#define	_HVIC_VAR_H_

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/bus.h>
#include <sys/callout.h>
#include <sys/kernel.h>
#include <sys/lock.h>
#include <sys/malloc.h>
#include <sys/module.h>
#include <sys/mutex.h>
#include <sys/queue.h>
#include <sys/sysctl.h>
#include <sys/taskqueue.h>

#include <vmbus.h>
#include <hvk_compat.h>
#include <hvk/guest/ic.h>

struct hvic_softc;

/*
 * A request of the service, under ic_mtx.  true: `m' is the reply, send it;
 * false: it was queued and will be answered later.
 */
typedef bool hvic_serve_t(struct hvic_softc *, struct hvk_ic_message *m);

struct hvic_late;

struct hvic_softc {
	device_t		 ic_dev;
	struct vmbus_channel	*ic_chan;
	hvic_serve_t		*ic_serve;
	/* Versions were agreed on again; under ic_mtx.  Optional. */
	void			(*ic_agreed)(struct hvic_softc *);
	struct mtx		 ic_mtx;
	struct hvk_ic		 ic;
	bool			 ic_unsent;	/* ic_msg waits for room */
	bool			 ic_closing;
	struct hvk_ic_message	*ic_msg;	/* received, then its reply */
	uint64_t		*ic_buf;	/* a packet */
	STAILQ_HEAD(, hvic_late) ic_late;	/* replies waiting for room */
	u_long			 ic_dropped;	/* replies nobody could take */
};

MALLOC_DECLARE(M_HVIC);

/* HVK_IC_MAX and the descriptor of its packet. */
#define	HVIC_BUF		(HVK_IC_MAX + 64)

int	hvic_probe(device_t, enum hvk_ic_type, const char *desc);
/* Set up; the channel is opened by hvic_open(), when the driver is ready. */
int	hvic_attach(device_t, struct hvic_softc *, enum hvk_ic_type,
	    hvic_serve_t *);
int	hvic_open(struct hvic_softc *, uint32_t ring);
/* After this nothing of the channel runs; then hvic_detach(). */
void	hvic_close(struct hvic_softc *);
void	hvic_detach(struct hvic_softc *);
/*
 * Send a reply outside of the callback, under ic_mtx.  false: no room now; the
 * callback runs when there is.
 */
bool	hvic_send(struct hvic_softc *, const struct hvk_ic_message *);
/* The same, but a reply without room is kept and sent later. */
void	hvic_send_later(struct hvic_softc *, const struct hvk_ic_message *);
uint64_t hvic_now(void);			/* ms */

/*
 * The module has the name of the one that GENERIC has compiled in, which is
 * then refused; the driver has the name that users see.
 */
#define	HVIC_DRIVER(module, name, methods, type)			\
static driver_t name##_driver = { #name, methods, sizeof(type) };	\
HVK_DRIVER_MODULE(module, vmbus, name##_driver)

#endif	/* !_HVIC_VAR_H_ */
