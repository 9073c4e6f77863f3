/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * Who the hypervisor is, its registers, its hypercalls.
 * Facts: the functional specification, "Feature and interface discovery" and
 * "Hypercall interface".
 */

#include "check.h"

#define	UNKNOWN_MSR	0x400000fdu
#define	UNKNOWN_CODE	0x00eeu
#define	NO_CONNECTION	0x00abcdefu

static void
leaves(void)
{
	uint32_t regs[4], max;

	hyperv_cpuid(HVK_CPUID_MAX, 0, regs);
	max = regs[0];
	check("cpuid.max", max >= HVK_CPUID_MAX_LOWEST, "0x%x", max);
	hyperv_cpuid(HVK_CPUID_LIMITS, 0, regs);
	check("cpuid.limits", regs[0] >= port_ncpus,
	    "%u virtual processors at most", regs[0]);
	check("cpuid.rights", (hyperv_info.rights & (HVK_RIGHT_POST_MESSAGES |
	    HVK_RIGHT_SIGNAL_EVENTS)) == (HVK_RIGHT_POST_MESSAGES |
	    HVK_RIGHT_SIGNAL_EVENTS), "0x%x", hyperv_info.rights);
	/* Linux would take itself for the root partition. */
	check("cpuid.partition", (hyperv_info.rights &
	    HVK_RIGHT_CPU_MANAGEMENT) == 0, "not the root partition");
}

static void
registers(void)
{
	uint64_t value = 0;
	bool ok;

	value = hyperv_rdmsr(HVK_MSR_GUEST_OS_ID);
	check("msr.os_id", value >> HVK_OS_ID_TYPE_SHIFT ==
	    (HVK_OS_ID_OPEN_SOURCE >> HVK_OS_ID_TYPE_SHIFT |
	    HVK_OS_ID_FREEBSD), "0x%lx", value);
	value = hyperv_rdmsr(HVK_MSR_HYPERCALL);
	check("msr.hypercall", (value & HVK_MSR_ENABLE) != 0, "0x%lx", value);
	check("msr.unknown", !try_rdmsr(UNKNOWN_MSR, &value),
	    "an unknown register faults");
	ok = try_rdmsr(HVK_MSR_VP_INDEX, &value);
	check("msr.vp_index", ok && value < 2048, "%lu", value);
	ok = try_rdmsr(HVK_MSR_SVERSION, &value);
	check("msr.sversion", ok && value == 1, "%lu", value);
	ok = try_rdmsr(HVK_MSR_SINT0 + 7, &value);
	check("msr.sint", ok && (value & HVK_SINT_MASKED) != 0,
	    "0x%lx at reset", value);
}

static void
hypercalls(void)
{
	static struct hvk_post_message msg[2]
	    __attribute__((__aligned__(1024)));
	uint64_t status, value;

	/* The page was made by hyperv_start(). */
	value = hyperv_rdmsr(HVK_MSR_HYPERCALL) & HVK_MSR_PAGE_MASK;
	status = hyperv_md_hypercall((void *)(uintptr_t)value, UNKNOWN_CODE,
	    vtophys(msg), 0) & HVK_HC_STATUS_MASK;
	check("hypercall.unknown", status == HVK_HV_BAD_CODE, "status %lu",
	    status);
	msg[0].connection = NO_CONNECTION;
	msg[0].type = HVK_SYNIC_CHANNEL;
	msg[0].size = 16;
	status = hyperv_post_message(vtophys(msg));
	check("hypercall.connection", status == HVK_HV_BAD_CONNECTION,
	    "status %lu for a message to nobody", status);
	status = hyperv_post_message(vtophys(msg) + 1);
	check("hypercall.alignment", status == HVK_HV_BAD_ALIGNMENT,
	    "status %lu for a message at an odd address", status);
	status = hyperv_signal_event(NO_CONNECTION);
	check("hypercall.event", status == HVK_HV_BAD_CONNECTION,
	    "status %lu for an event to nobody", status);
}

void
check_hypervisor(void)
{
	if (!hyperv_identify()) {
		check("cpuid.present", false, "no hypervisor with SynIC here");
		return;
	}
	check("cpuid.present", true, "features 0x%x", hyperv_info.features);
	leaves();
	if (hyperv_start() != 0) {
		check("hypercall.page", false, "not accepted");
		return;
	}
	registers();
	hypercalls();
}
