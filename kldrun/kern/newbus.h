/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * newbus.h: the two structures behind device_t and devclass_t, shared by the
 * files newbus_*.c only. Guarded by the newbus lock (recursive, sleepable
 * here: bus_topo_lock()).
 */

#ifndef KLDRUN_NEWBUS_H
#define KLDRUN_NEWBUS_H

#include "kern.h"
#include <sys/bus.h>
#include <sys/module.h>
#include <sys/sysctl.h>

struct driverlink {
	kobj_class_t driver;
	TAILQ_ENTRY(driverlink) link;
	int pass;
};

struct devclass {
	TAILQ_ENTRY(devclass) link;
	devclass_t parent;
	char *name;
	TAILQ_HEAD(, driverlink) drivers;	/* that attach to this class */
	device_t *devices;			/* by unit */
	int maxunit;
	struct sysctl_ctx_list sysctl_ctx;
	struct sysctl_oid *sysctl_tree;
};

struct _device {
	KOBJ_FIELDS;
	TAILQ_ENTRY(_device) link;
	device_t parent;
	TAILQ_HEAD(device_list, _device) children;
	driver_t *driver;
	devclass_t devclass;
	int unit;
	char nameunit[40];
	char *desc;
	bool desc_copied;
	u_int busy;
	device_state_t state;
	uint32_t devflags;
	u_int flags;
	u_int order;
	void *ivars, *softc;
	struct sysctl_ctx_list sysctl_ctx;
	struct sysctl_oid *sysctl_tree;
};

extern devclass_t kld_root_class;
MALLOC_DECLARE(M_BUS);

void kld_device_sysctl_init(device_t);
void kld_device_sysctl_fini(device_t);

#endif
