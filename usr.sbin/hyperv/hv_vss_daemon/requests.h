/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * requests.h: the unprivileged part of hv_vss_daemon(8): reads the kernel's
 * requests and answers them with what the guard says.
 */

#ifndef VSS_REQUESTS_H
#define	VSS_REQUESTS_H

#include "device.h"
#include "hv_snapshot.h"

struct requests {
	/* The guard: VSS_SUCCESS or VSS_FAIL; negative when it is gone. */
	int	(*ask)(struct requests *, uint32_t op);
	int	guard;			/* its socket */
	uint32_t serial;
};

/* Asks over the socket; waits, but not for ever. */
int	requests_ask(struct requests *, uint32_t op);
/* The request becomes its answer. false: the guard is gone. */
bool	requests_answer(struct requests *, struct hv_vss_opt_msg *);
/* Until the device or the guard is gone; the process's exit status. */
int	requests_serve(struct requests *, struct device *);

#endif
