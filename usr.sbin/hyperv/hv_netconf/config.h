/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * config.h: an interface's part of rc.conf(5) and resolvconf.conf(5).
 */

#ifndef HV_CONFIG_H
#define	HV_CONFIG_H

#include "plan.h"
#include "rcfile.h"

struct config {
	struct saved_file	rc, resolvconf, resolv;
};

/* NULL, or what failed. */
const char *config_save(struct config *);
void	config_restore(const struct config *);
void	config_forget(struct config *);
const char *config_write(const char *name, const struct plan *);

#endif
