/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * The integration services as devices on the bus: heartbeat, shutdown, time,
 * key-value pairs, backup, file copy.  Each is a channel with a thread of its
 * own (vsp/ic.c); commands of `hvk ctl` ask the guest and wait, with a
 * deadline.
 *
 * Keys: `heartbeat', `shutdown', `timesync', `kvp', `vss', `fcopy', each "yes",
 * "no" or the newest version of its messages to offer ("3.1").
 *
 * Threads: commands may come on any number of threads at a time, on none that
 * holds a lock of the bus.
 */
#ifndef _HVK_SERVICES_H_
#define	_HVK_SERVICES_H_

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include <hvk/device.h>

struct vmm_opts;
struct vmm_services;

/* NULL with one line in err. */
struct vmm_services *vmm_services_create(struct vmm_bus *,
	    const struct vmm_opts *, char *err, size_t errlen);
/* Commands that wait end now, with an error; no new ones. */
void	vmm_services_cancel(struct vmm_services *);
/* After vmm_bus_stop(). */
void	vmm_services_destroy(struct vmm_services *);

/* Is it one of ours?  Such a command may wait for the guest. */
bool	vmm_services_knows(const char *cmd);
/* 0, or -errno with one line in err. */
int	vmm_services_ctl(struct vmm_services *, const char *cmd,
	    const json_t *in, json_t *out, char *err, size_t errlen);
/* Ask the guest to power off or restart; in: "force", "reason". */
int	vmm_services_shutdown(struct vmm_services *, bool restart,
	    const json_t *in, json_t *out, char *err, size_t errlen);

#endif /* _HVK_SERVICES_H_ */
