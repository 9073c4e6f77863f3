/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * The conformance checks.  Each prints one line, "check NAME ok|fail|skip
 * DETAIL", which tests look for.
 */

#ifndef CHECK_H
#define	CHECK_H

#include "bus.h"

void	check(const char *name, bool ok, const char *fmt, ...)
	    __attribute__((__format__(__printf__, 3, 4)));
void	check_skip(const char *name, const char *why);
/* A word of the command line, and what follows it: "disk=write". */
bool	check_option(const char *name, const char *value);

void	check_hypervisor(void);		/* leaves, registers, hypercalls */
void	check_time(void);
void	check_timers(void);
void	check_enlighten(void);		/* flush, interrupts, idle by the host */
void	check_bus(void);		/* connects, and stays connected */
void	check_disk(void);
void	check_net(void);
void	check_unload(void);

#endif	/* !CHECK_H */
