/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * The hypervisor: who it is, telling it who we are, and hypercalls.
 *
 * Owned by the one vmbus device: hyperv_start() and hyperv_stop() are called
 * from its attach and detach only; hypercalls may be made by anyone between.
 * When the kernel has the base system's driver compiled in, that one has set
 * the guest id and a hypercall page before us.  The page register is simply
 * pointed at our page, and the id is left as it was found when we go.
 * Facts: wire.md section 2.
 */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/kernel.h>
#include <vm/vm.h>
#include <vm/pmap.h>

#include "hyperv.h"

struct hyperv_info	hyperv_info;

static void		*hypercall_page;
static uint64_t		 found_os_id;
static bool		 announced;

static uint64_t
os_id(void)
{

	return (HVK_OS_ID_OPEN_SOURCE |
	    HVK_OS_ID_FREEBSD << HVK_OS_ID_TYPE_SHIFT |
	    (uint64_t)__FreeBSD_version << 16);
}

bool
hyperv_identify(void)
{
	const u_int *v = hyperv_info.version;

	if (!hyperv_md_identify(&hyperv_info))
		return (false);
	if (announced)
		return (true);
	announced = true;
	printf("Hyper-V Version: %u.%u.%u [SP%u]\n", v[1] >> 16,
	    v[1] & 0xffff, v[0], v[2]);
	printf("  Features=0x%b\n", hyperv_info.features, "\020"
	    "\001VPRUNTIME\002TMREFCNT\003SYNIC\004SYNTM\005APIC\006HYPERCALL"
	    "\007VPINDEX\010RESET\011STATS\012REFTSC\013IDLE\014TMFREQ"
	    "\015DEBUG");
	printf("  PM Features=0x%b [C%u]\n", hyperv_info.power & ~0xfu,
	    "\020\005C3HPET", hyperv_info.power & 0xf);
	printf("  Features3=0x%b\n", hyperv_info.misc, "\020"
	    "\001MWAIT\002DEBUG\003PERFMON\004PCPUDPE\005XMMHC\006IDLE"
	    "\007SLEEP\010NUMA\011TMFREQ\012SYNCMC\013CRASH\014DEBUGMSR"
	    "\015NPIEP\016HVDIS");
	return (true);
}

int
hyperv_start(void)
{
	uint64_t val;

	found_os_id = hyperv_rdmsr(HVK_MSR_GUEST_OS_ID);
	if (found_os_id == 0)
		hyperv_wrmsr(HVK_MSR_GUEST_OS_ID, os_id());

	hypercall_page = hyperv_md_hypercall_page();
	if (hypercall_page == NULL)
		return (0);
	/* Bits 1 to 11 belong to the hypervisor. */
	val = hyperv_rdmsr(HVK_MSR_HYPERCALL);
	val = (val & PAGE_MASK) | HVK_MSR_ENABLE |
	    (vtophys(hypercall_page) & HVK_MSR_PAGE_MASK);
	hyperv_wrmsr(HVK_MSR_HYPERCALL, val);
	if ((hyperv_rdmsr(HVK_MSR_HYPERCALL) & HVK_MSR_ENABLE) == 0) {
		printf("hyperv: the hypercall page was not accepted\n");
		hyperv_stop();
		return (ENXIO);
	}
	if (bootverbose)
		printf("hyperv: Hypercall created\n");
	return (0);
}

void
hyperv_stop(void)
{
	uint64_t val;

	if (hypercall_page != NULL) {
		val = hyperv_rdmsr(HVK_MSR_HYPERCALL);
		hyperv_wrmsr(HVK_MSR_HYPERCALL,
		    val & PAGE_MASK & ~HVK_MSR_ENABLE);
		hyperv_md_hypercall_page_free(hypercall_page);
		hypercall_page = NULL;
		if (bootverbose)
			printf("hyperv: Hypercall destroyed\n");
	}
	if (found_os_id == 0)
		hyperv_wrmsr(HVK_MSR_GUEST_OS_ID, 0);
}

uint64_t
hyperv_post_message(vm_paddr_t input)
{

	return (hyperv_md_hypercall(hypercall_page, HVK_HC_POST_MESSAGE,
	    input, 0) & HVK_HC_STATUS_MASK);
}

uint64_t
hyperv_signal_event(uint32_t connection)
{

	return (hyperv_md_hypercall(hypercall_page,
	    HVK_HC_SIGNAL_EVENT | HVK_HC_FAST, connection, 0) &
	    HVK_HC_STATUS_MASK);
}

uint64_t
hyperv_reference_time(void)
{

	if ((hyperv_info.features & HVK_FEATURE_REFERENCE_COUNTER) == 0)
		return (0);
	return (hyperv_rdmsr(HVK_MSR_REFERENCE_COUNTER));
}
