/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * request.h: what hv_netconf is asked.
 */

#ifndef NETCONF_REQUEST_H
#define	NETCONF_REQUEST_H

#include "netconf.h"

/* Has this system's name looked up meanwhile, unless it is known. */
void	request_begin(void);
/* The request becomes its answer. */
void	request_answer(struct netconf_msg *);

#endif
