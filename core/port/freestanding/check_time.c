/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * Reference time: the register, the page, and both processors.
 * Facts: the functional specification, "Timers".
 */

#include "check.h"

#define	SAMPLES		200u
#define	TURNS		500u

static void
page_agrees(void)
{
	uint64_t after, before, page;
	int64_t worst = 0, wrong;

	if (!port_reference_page(&page)) {
		if (hyperv_info.features & HVK_FEATURE_REFERENCE_TSC)
			check_skip("time.page", "the host keeps sequence 0");
		else
			check_skip("time.page", "not offered");
		return;
	}
	for (uint32_t i = 0; i < SAMPLES; i++) {
		before = port_reference();
		if (!port_reference_page(&page))
			break;
		after = port_reference();
		wrong = page < before ? (int64_t)(before - page) :
		    page > after ? (int64_t)(page - after) : 0;
		if (wrong > worst)
			worst = wrong;
	}
	/* One unit: both are rounded down. */
	check("time.page", worst <= 1, "%ld units outside of the register",
	    worst);
}

static void
frequency(void)
{
	uint64_t freq, measured, ref, tsc;

	if ((hyperv_info.features & HVK_FEATURE_FREQUENCY_MSRS) == 0 ||
	    !try_rdmsr(HVK_MSR_TSC_FREQUENCY, &freq)) {
		check_skip("time.frequency", "not offered");
		return;
	}
	ref = port_reference();
	tsc = port_rdtsc();
	while (port_reference() - ref < 500000)
		port_pause();
	tsc = port_rdtsc() - tsc;
	ref = port_reference() - ref;
	measured = tsc * 10000000 / ref;
	check("time.frequency", measured > freq / 10 * 9 &&
	    measured < freq / 10 * 11, "%lu Hz stated, %lu seen", freq,
	    measured);
}

/* Two processors take turns; what one has seen the other must not undercut. */
static struct {
	volatile uint64_t last;
	volatile uint32_t turn;		/* whose */
	volatile uint64_t backwards;
} relay;

static void
relay_run(void *arg)
{
	uint32_t me = (uint32_t)(uintptr_t)arg;
	uint64_t end, now;

	end = port_now() + 20000000000ull;
	for (uint32_t i = 0; i < TURNS; i++) {
		while (__atomic_load_n(&relay.turn, __ATOMIC_ACQUIRE) != me) {
			if (port_now() > end)
				return;
			port_pause();
		}
		now = port_now();
		if (now < relay.last)
			relay.backwards++;
		relay.last = now;
		__atomic_store_n(&relay.turn, me ^ 1, __ATOMIC_RELEASE);
	}
}

static void
monotonic(void)
{
	uint64_t last, now;
	bool ok = true;

	last = port_now();
	for (uint32_t i = 0; i < SAMPLES; i++) {
		now = port_now();
		ok = ok && now >= last;
		last = now;
	}
	check("time.monotonic", ok, "one processor");
	if (port_ncpus < 2) {
		check_skip("time.monotonic2", "one processor only");
		return;
	}
	port_cpu_run(1, relay_run, (void *)1);
	relay_run((void *)0);
	ok = port_cpu_wait(1, 20000);
	check("time.monotonic2", ok && relay.backwards == 0,
	    "%u turns of two processors, %lu went backwards", 2 * TURNS,
	    relay.backwards);
}

void
check_time(void)
{
	uint64_t first, last;

	if ((hyperv_info.features & HVK_FEATURE_REFERENCE_COUNTER) == 0) {
		check_skip("time.counter", "not offered");
		return;
	}
	first = port_reference();
	for (uint32_t i = 0; i < 100; i++)
		port_pause();
	last = port_reference();
	for (uint32_t i = 0; i < 100000 && last == first; i++)
		last = port_reference();
	check("time.counter", last > first, "%lu then %lu", first, last);
	page_agrees();
	frequency();
	monotonic();
}
