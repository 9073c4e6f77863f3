/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * netconf.h: what hv_kvp_daemon(8) and its privileged helper hv_netconf say to
 * each other over a SOCK_SEQPACKET pair: one struct netconf_msg each way. The
 * helper believes none of it.
 */

#ifndef HV_NETCONF_H
#define	HV_NETCONF_H

#include <stdint.h>

#include "hv_kvp.h"

#define	NETCONF_FD	3	/* the helper's end */
#define	NETCONF_TEXT	2048

enum netconf_op {
	NETCONF_FQDN = 1,	/* text */
	NETCONF_ADDRESSES4,	/* text: ';' between them */
	NETCONF_ADDRESSES6,
	NETCONF_GET,		/* ip: adapter in, the rest out */
	NETCONF_SET,		/* ip in */
};

struct netconf_msg {
	uint32_t	op;
	uint32_t	serial;		/* an answer repeats it */
	uint32_t	status;		/* HV_KVP_ */
	uint32_t	pad;
	union {
		char				text[NETCONF_TEXT];
		struct hv_kvp_ipaddr_value	ip;
	} u;
};

#endif
