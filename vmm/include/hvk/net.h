/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * Network adapters as devices on the bus.  Each is made from one object of
 * vmm_opts_nics():
 *
 *	{"name": "net0", "backend": "slirp"|"tap"|"pair", "mac": "02:...",
 *	 "queues": N, "mtu": N, "vlan": "none"|"N"|"trunk:1-10,20[/NATIVE]",
 *	 "link": bool, "speed": bit/s, "offload": "all"|"none"|"csum,lso,...",
 *	 "ifname": S, "netns": S, "path": S, "hostfwd": S, "net": S}
 *
 * Without "mac" one is made from the seed and the name, the same in each run.
 *
 * Commands (vmm_nets_ctl), which hvk ctl sends as "nic ...":
 *	"nic list"	{"name"} or all		-> {"nics": [...]}
 *	"nic stat"	{"name"} or all		-> {"net0": counters, ...}
 *	"nic add"	an adapter as above, itself or as "nic"
 *	"nic remove"	{"name"}
 *	"nic link"	{"name", "up": bool, "speed": bit/s}
 *	"nic mac"	{"name", "mac"}		the guest sees it replugged
 *	"nic vlan"	{"name", "vlan"}
 *	"nic offload"	{"name", "offload"}	the guest sees it replugged
 *	"nic capture"	{"name", "file", "what": "frames"|"vmbus"|"both"},
 *			no file: stop
 */
#ifndef _HVK_NET_H_
#define	_HVK_NET_H_

#include <stddef.h>

#include <jansson.h>

#include <hvk/device.h>

struct vmm_nets;		/* all adapters of one guest */

/*
 * seed: what tells this guest from others on this machine; queues: channels of
 * an adapter that says nothing of them.
 */
struct vmm_nets *vmm_nets_create(struct vmm_bus *, const char *seed,
	    uint32_t queues);
/* -errno with one line in err. */
int	vmm_nets_add(struct vmm_nets *, const json_t *nic, json_t *out,
	    char *err, size_t errlen);
int	vmm_nets_ctl(struct vmm_nets *, const char *cmd, const json_t *in,
	    json_t *out, char *err, size_t errlen);
/* When all channels are closed: after vmm_bus_stop(). */
void	vmm_nets_destroy(struct vmm_nets *);

#endif /* _HVK_NET_H_ */
