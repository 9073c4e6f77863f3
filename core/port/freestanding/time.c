/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * Time: the partition's reference counter by its register, and by the page from
 * which each processor computes it without the hypervisor.  Without a
 * hypervisor, or before, the time stamp counter at a guess.
 * Facts: the functional specification, "Timers".
 */

#include "bsd.h"
#include <hyperv.h>

#define	GUESS_MHZ	2000u

static bool have_counter;
static volatile struct hvk_reference_tsc *page;

/* Called once the hypervisor is known (hyperv_info). */
void
port_time_init(void)
{
	uint64_t value;

	have_counter = (hyperv_info.features &
	    HVK_FEATURE_REFERENCE_COUNTER) != 0 &&
	    try_rdmsr(HVK_MSR_REFERENCE_COUNTER, &value);
	if ((hyperv_info.features & HVK_FEATURE_REFERENCE_TSC) == 0)
		return;
	page = port_pages(1);
	if (!try_wrmsr(HVK_MSR_REFERENCE_TSC,
	    (uint64_t)(uintptr_t)page | HVK_MSR_ENABLE))
		page = NULL;
}

uint64_t
port_reference(void)
{
	return (port_rdmsr(HVK_MSR_REFERENCE_COUNTER));
}

bool
port_reference_page(uint64_t *time)
{
	uint64_t scale, tsc;
	uint32_t sequence;
	int64_t offset;

	if (page == NULL)
		return (false);
	for (int i = 0; i < 1000; i++) {
		sequence = __atomic_load_n(&page->sequence, __ATOMIC_ACQUIRE);
		if (sequence == 0)
			return (false);
		scale = page->scale;
		offset = page->offset;
		tsc = port_rdtsc();
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (page->sequence == sequence) {
			*time = (uint64_t)(((unsigned __int128)tsc * scale) >>
			    64) + (uint64_t)offset;
			return (true);
		}
	}
	return (false);
}

uint64_t
port_now(void)
{
	uint64_t time;

	if (port_reference_page(&time))
		return (time * 100);
	if (have_counter)
		return (port_reference() * 100);
	return (port_rdtsc() / GUESS_MHZ * 1000);
}

void
port_delay_ms(uint32_t ms)
{
	uint64_t end = port_now() + (uint64_t)ms * 1000000;

	while (port_now() < end)
		port_pause();
}
