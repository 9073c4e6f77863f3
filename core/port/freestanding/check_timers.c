/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * Synthetic timers: by message and by direct interrupt, once and periodic, on
 * both processors.
 * Facts: the functional specification, "Synthetic timers".
 */

#include "check.h"

#define	MS		10000ull	/* in units of 100 ns */
#define	BY_MESSAGE	(HVK_STIMER_ENABLE | \
			    (uint64_t)BUS_TIMER_SINT << HVK_STIMER_SINT_SHIFT)
#define	PATIENCE_MS	20000

struct expect {
	struct bus_timer	*timer;
	uint32_t		 count;
};

static bool
fired(void *arg)
{
	struct expect *e = arg;

	return (e->timer->count >= e->count);
}

static bool
wait_for(uint32_t cpu, uint32_t timer, uint32_t more)
{
	struct expect e = { &bus_timers[cpu][timer], 0 };

	e.count = more;
	return (bus_wait(fired, &e, PATIENCE_MS));
}

static void
one_shot(void)
{
	struct bus_timer *t = &bus_timers[0][0];
	uint64_t due;
	bool came;

	due = port_reference() + 2 * MS;
	bus_timer_start(0, BY_MESSAGE, due);
	came = wait_for(0, 0, 1);
	check("timer.message", came && t->expiration == due &&
	    t->delivery >= due && t->seen >= due,
	    "due %lu, said %lu, delivered %lu", due, t->expiration,
	    t->delivery);
	/* A one-shot timer disables itself. */
	check("timer.disabled", (hyperv_rdmsr(HVK_MSR_STIMER0_CONFIG) &
	    HVK_STIMER_ENABLE) == 0, "configuration 0x%lx",
	    hyperv_rdmsr(HVK_MSR_STIMER0_CONFIG));
	due = port_reference() > MS ? port_reference() - MS : 1;
	bus_timer_start(0, BY_MESSAGE, due);
	came = wait_for(0, 0, 2);
	check("timer.past", came && t->expiration == due,
	    "a time in the past fires at once");
}

static void
auto_enable(void)
{
	struct bus_timer *t = &bus_timers[0][2];
	uint64_t config = (BY_MESSAGE & ~HVK_STIMER_ENABLE) |
	    HVK_STIMER_AUTO_ENABLE, due;
	bool came;

	hyperv_wrmsr(HVK_MSR_STIMER0_CONFIG + 4, config);
	due = port_reference() + MS;
	hyperv_wrmsr(HVK_MSR_STIMER0_COUNT + 4, due);
	came = wait_for(0, 2, 1);
	check("timer.auto_enable", came && t->expiration == due,
	    "writing the count starts it");
	bus_timer_start(2, 0, 0);
}

static bool
never(void *arg HVK_UNUSED)
{
	return (false);
}

static void
periodic(void)
{
	struct bus_timer *t = &bus_timers[0][1];
	uint64_t first, last;
	uint32_t n;
	bool came;

	bus_timer_start(1, BY_MESSAGE | HVK_STIMER_PERIODIC, 5 * MS);
	came = wait_for(0, 1, 1);
	first = t->expiration;
	came = came && wait_for(0, 1, 4);
	last = t->expiration;
	bus_timer_start(1, 0, 0);
	check("timer.periodic", came && last > first &&
	    (last - first) % (5 * MS) == 0, "%u times, %lu units from the "
	    "first to the last", t->count, last - first);
	/* One message may have been under way. */
	(void)bus_wait(never, NULL, 20);
	n = t->count;
	(void)bus_wait(never, NULL, 50);
	check("timer.stopped", t->count == n, "%u after it was stopped",
	    t->count - n);
}

static bool
direct_came(void *arg HVK_UNUSED)
{
	return (port_cpus[0].direct != 0);
}

static void
direct(void)
{
	uint64_t due;
	bool came;

	if ((hyperv_info.misc & HVK_MISC_STIMER_DIRECT) == 0) {
		check_skip("timer.direct", "not offered");
		return;
	}
	due = port_reference() + 2 * MS;
	bus_timer_start(3, HVK_STIMER_ENABLE | HVK_STIMER_DIRECT |
	    (uint64_t)PORT_VECTOR_DIRECT << HVK_STIMER_VECTOR_SHIFT, due);
	came = bus_wait(direct_came, NULL, PATIENCE_MS);
	check("timer.direct", came && port_cpus[0].direct_at >= due &&
	    bus_timers[0][3].count == 0, "due %lu, interrupt at %lu", due,
	    port_cpus[0].direct_at);
}

static uint64_t other_due;

static void
other_start(void *arg HVK_UNUSED)
{
	other_due = port_reference() + 2 * MS;
	bus_timer_start(0, BY_MESSAGE, other_due);
}

static void
other(void)
{
	struct bus_timer *t = &bus_timers[1][0];
	uint32_t before;
	bool came;

	if (port_ncpus < 2) {
		check_skip("timer.cpu1", "one processor only");
		return;
	}
	before = bus_timers[0][0].count;
	port_cpu_run(1, other_start, NULL);
	(void)port_cpu_wait(1, PATIENCE_MS);
	came = wait_for(1, 0, 1);
	check("timer.cpu1", came && t->expiration == other_due &&
	    bus_timers[0][0].count == before && port_cpus[1].vp !=
	    port_cpus[0].vp, "processor %u has its own", port_cpus[1].vp);
}

void
check_timers(void)
{
	if ((hyperv_info.features & HVK_FEATURE_STIMER) == 0) {
		check_skip("timer.message", "not offered");
		return;
	}
	one_shot();
	auto_enable();
	periodic();
	direct();
	other();
}
