/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * What a GENERIC kernel has of its own for Hyper-V, as far as a module that
 * takes its place meets it: the names of the modules that are compiled in, and
 * their sysctl nodes.  All of it constant.
 * Facts: seen on a 13.2 GENERIC kernel that had our modules preloaded.
 */

#include "kern.h"
#include <sys/sysctl.h>

static const char *const built_in[] = {
	"pcib/vmbus", "acpi_syscontainer/vmbus", "acpi/vmbus_res",
	"vmbus/hv_et", "vmbus/storvsc", "vmbus/hn", "vmbus/hv_heartbeat",
	"vmbus/hv_shutdown", "vmbus/hv_timesync", "vmbus/hv_kvp",
	"vmbus/hv_vss", "vmbus/hv_kbd", "vmbus/hv_hid", "vmbus/hvsock",
	"vmbus/vmbus_pcib",
};

/* What a script that reads the wrong variable would see. */
static int unused = -99;

static SYSCTL_NODE(_hw, OID_AUTO, vmbus, CTLFLAG_RD | CTLFLAG_MPSAFE, NULL,
    "the kernel's own");
SYSCTL_INT(_hw_vmbus, OID_AUTO, pin_evttask, CTLFLAG_RD, &unused, 0,
    "the kernel's own");
static SYSCTL_NODE(_hw, OID_AUTO, storvsc, CTLFLAG_RD | CTLFLAG_MPSAFE, NULL,
    "the kernel's own");
SYSCTL_INT(_hw_storvsc, OID_AUTO, max_io, CTLFLAG_RD, &unused, 0,
    "the kernel's own");
static SYSCTL_NODE(_hw, OID_AUTO, hn, CTLFLAG_RD | CTLFLAG_MPSAFE, NULL,
    "the kernel's own");
SYSCTL_INT(_hw_hn, OID_AUTO, chan_cnt, CTLFLAG_RD, &unused, 0,
    "the kernel's own");
static SYSCTL_NODE(_hw, OID_AUTO, hvtimesync, CTLFLAG_RW | CTLFLAG_MPSAFE,
    NULL, "the kernel's own");
SYSCTL_INT(_hw_hvtimesync, OID_AUTO, sample_thresh, CTLFLAG_RD, &unused, 0,
    "the kernel's own");

bool
kld_generic_has(const char *module)
{
	size_t i;

	for (i = 0; i < nitems(built_in); i++)
		if (strcmp(built_in[i], module) == 0)
			return (true);
	return (false);
}
