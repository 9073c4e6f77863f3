/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * A service whose requests a daemon answers through a character device that is
 * read and written in whole records (hvic_dev.c).
 *
 * Locking: everything is under the service's ic_mtx; records are copied to and
 * from the daemon without it, in a buffer of the call's own.
 */

#ifndef _HVIC_DEV_H_
#define	_HVIC_DEV_H_

#include "hvic_var.h"

#include <sys/conf.h>
#include <sys/selinfo.h>

#define	HVIC_QUEUE	4		/* requests kept */

struct hvic_dev {
	struct hvic_softc	dv_ic;		/* first */
	struct cdev		*dv_cdev;
	struct hvk_ic_queue	dv_queue;
	struct hvk_ic_slot	*dv_slots;
	struct callout		dv_tick;
	struct selinfo		dv_sel;
	bool			dv_open;
	bool			dv_ready;	/* open, and registered */
	bool			dv_dying;
	uint64_t		dv_taken;	/* request with the daemon, 0 none */
	bool			dv_owed;	/* it expired meanwhile */
	u_int			dv_log;		/* 1 errors, 2 everything */

	/* What differs; all under ic_mtx. */
	size_t			dv_record;	/* bytes read(2) gives */
	size_t			dv_reply;	/* bytes write(2) needs */
	int			dv_late;	/* errno of a late answer, or 0 */
	/* HVK_IC_OK, or the status to answer the request with at once. */
	uint32_t		(*dv_fill)(struct hvic_dev *,
				    const struct hvk_ic_message *,
				    uint64_t id, void *record);
	/* The answer into the message; an errno: not an answer at all. */
	int			(*dv_absorb)(struct hvic_dev *,
				    struct hvk_ic_message *, uint64_t id,
				    const void *record);
	/* The first record written; 0: the daemon is ready.  Optional. */
	int			(*dv_register)(struct hvic_dev *,
				    const void *record);
};

int	hvic_dev_attach(device_t, struct hvic_dev *, enum hvk_ic_type,
	    const char *name);
void	hvic_dev_detach(struct hvic_dev *);

#endif	/* !_HVIC_DEV_H_ */
