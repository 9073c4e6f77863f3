/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * apply.h: makes a plan the configuration of an interface: first in rc.conf(5)
 * and resolvconf.conf(5), then on the interface itself; when any part fails,
 * everything is put back.
 */

#ifndef HV_APPLY_H
#define	HV_APPLY_H

#include "plan.h"

/* NULL, or what failed. */
const char *apply_plan(const char *name, const struct plan *);

#endif
