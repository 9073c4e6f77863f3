/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * What hnbench.c needs of the bus driver: the queue whose thread runs the
 * channels of a processor.  Another bus driver has another hnbench.h.
 */

#ifndef HNBENCH_H
#define	HNBENCH_H

#include "vmbus_var.h"

static inline struct taskqueue *
hnbench_taskqueue(int cpu)
{

	return (vmbus_sc == NULL ? NULL : vmbus_sc->sc_pcpu[cpu].vp_event_tq);
}

#endif /* !HNBENCH_H */
