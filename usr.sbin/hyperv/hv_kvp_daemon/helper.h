/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * helper.h: the privileged helper, hv_netconf, as the daemon uses it.
 */

#ifndef KVP_HELPER_H
#define	KVP_HELPER_H

#include <stdbool.h>

#include "netconf.h"

struct helper {
	int		fd;		/* -1: there is none */
	uint32_t	serial;
};

/* Starts it; args go before its own. 0 or an errno. */
int	helper_start(struct helper *, const char *program,
	    char *const args[]);
/* Asks and waits, not longer than `seconds'. false: no answer. */
bool	helper_ask(struct helper *, struct netconf_msg *, int seconds);

#endif
