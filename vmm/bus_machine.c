/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * What the bus does for a machine with processors of its own: the thread that
 * runs the model's synthetic timers, the registers that an accelerator keeps
 * (KVM's SynIC), a reset of the machine.
 *
 * Locking: the timer thread takes timer_lock alone, and a processor's lock
 * alone; see bus.h for the rest.
 */
#include <time.h>
#include <x86intrin.h>

#include "bus.h"

#define	COMPLAINTS	3u	/* log lines for one kind of refusal */
#define	RETRY_100NS	10000u	/* timer message whose slot is full: 1 ms */

/* ---- synthetic timers */

/* Run what is due; when to look again. */
static uint64_t
run_timers(struct vmm_bus *bus)
{
	uint64_t first = UINT64_MAX, now, at;
	struct hvk_hv_result res;
	uint32_t vp, i;

	for (vp = 0; vp < bus->machine->ncpus; vp++) {
		pthread_mutex_lock(&bus->vplock[vp]);
		now = bus_now(bus);
		hvk_hv_expire(&bus->hv, vp, now, &bus->view, &res);
		at = hvk_hv_deadline(&bus->hv, vp);
		for (i = 0; i < HVK_HV_STIMERS; i++)
			if (bus->vps[vp].stimer[i].pending &&
			    now + RETRY_100NS < at)
				at = now + RETRY_100NS;
		pthread_mutex_unlock(&bus->vplock[vp]);
		bus_inject(bus, res.irqs, res.nirqs);
		if (at < first)
			first = at;
	}
	return (first);
}

static void
wait_until(struct vmm_bus *bus, uint64_t at)
{
	uint64_t now = bus_now(bus), ns = vmm_now_ns();
	struct timespec ts;

	if (at == UINT64_MAX) {
		pthread_cond_wait(&bus->timer_wake, &bus->timer_lock);
		return;
	}
	if (at <= now)
		return;
	/* Beyond a day it looks again: no overflow to think of. */
	at -= now;
	ns += at < 864000000000u ? at * 100 : 86400000000000u;
	ts.tv_sec = (time_t)(ns / 1000000000u);
	ts.tv_nsec = (long)(ns % 1000000000u);
	pthread_cond_timedwait(&bus->timer_wake, &bus->timer_lock, &ts);
}

static void *
timers_main(void *arg)
{
	struct vmm_bus *bus = arg;
	uint64_t at;

	pthread_mutex_lock(&bus->timer_lock);
	while (!bus->timer_quit) {
		bus->timer_kicked = false;
		pthread_mutex_unlock(&bus->timer_lock);
		at = run_timers(bus);
		pthread_mutex_lock(&bus->timer_lock);
		if (!bus->timer_kicked && !bus->timer_quit)
			wait_until(bus, at);
	}
	pthread_mutex_unlock(&bus->timer_lock);
	return (NULL);
}

int
bus_timers_start(struct vmm_bus *bus)
{
	int error;

	error = vmm_thread(&bus->timer_thread, "stimer", timers_main, bus);
	bus->timer_started = error == 0;
	return (error);
}

void
bus_timers_stop(struct vmm_bus *bus)
{

	if (!bus->timer_started)
		return;
	pthread_mutex_lock(&bus->timer_lock);
	bus->timer_quit = true;
	pthread_cond_signal(&bus->timer_wake);
	pthread_mutex_unlock(&bus->timer_lock);
	pthread_join(bus->timer_thread, NULL);
	bus->timer_started = false;
}

void
bus_timers_kick(struct vmm_bus *bus)
{

	if (!bus->timer_started)
		return;
	pthread_mutex_lock(&bus->timer_lock);
	bus->timer_kicked = true;
	pthread_cond_signal(&bus->timer_wake);
	pthread_mutex_unlock(&bus->timer_lock);
}

/* ---- the log */

bool
bus_talk(struct vmm_bus *bus, enum bus_say what)
{
	static const uint32_t most[BUS_SAYS] = {
		[SAY_CONTACT] = 100,
		[SAY_CRASH] = 10,
		[SAY_RESET] = 10,
		[SAY_OPEN] = 30,
	};
	static const char *const name[BUS_SAYS] = {
		[SAY_CONTACT] = "contacts",
		[SAY_CRASH] = "crash reports",
		[SAY_RESET] = "resets",
		[SAY_OPEN] = "channels that cannot be opened",
	};
	uint32_t n = atomic_fetch_add(&bus->said[what], 1u);

	if (n == most[what])
		vmm_log("%u %s: no more of them are reported", n, name[what]);
	return (n < most[what]);
}

/* ---- registers: what was refused */

void
bus_refused(struct vmm_bus *bus, uint32_t cpu, uint32_t msr,
    const uint64_t *written, enum hvk_hv_refusal why)
{
	uint32_t n;

	if ((unsigned)why >= HVK_HV_REFUSE_MAX)
		return;
	n = atomic_fetch_add(&bus->hv_refused[why], 1u) + 1;
	if (n > COMPLAINTS)
		return;
	if (written != NULL)
		vmm_log("processor %u: writes %#llx to register %#x: refused, "
		    "%s%s", cpu, (unsigned long long)*written, msr,
		    hvk_hv_refusal_text(why), n == COMPLAINTS ?
		    "; more of these are only counted" : "");
	else
		vmm_log("processor %u: reads register %#x: refused, %s%s", cpu,
		    msr, hvk_hv_refusal_text(why), n == COMPLAINTS ?
		    "; more of these are only counted" : "");
}

/* ---- registers that an accelerator keeps */

void
vmm_bus_mirror(struct vmm_bus *bus, uint32_t cpu, uint64_t scontrol,
    uint64_t siefp, uint64_t simp)
{
	struct hvk_hv_result res;
	int error;

	pthread_mutex_lock(&bus->vplock[cpu]);
	error = hvk_hv_mirror(&bus->hv, cpu, scontrol, siefp, simp, &bus->view,
	    &res);
	pthread_mutex_unlock(&bus->vplock[cpu]);
	if (error == HVK_REJECT)
		bus_refused(bus, cpu, res.refused_msr, res.refused_msr ==
		    HVK_MSR_SIEFP ? &siefp : &simp, res.refused);
	vmm_bus_visit(bus, cpu);
}

void
vmm_bus_mirror_os(struct vmm_bus *bus, uint64_t os_id, uint64_t hypercall)
{

	hvk_hv_mirror_os(&bus->hv, os_id, hypercall);
}

void
vmm_bus_visit(struct vmm_bus *bus, uint32_t cpu)
{

	(void)cpu;
	pthread_mutex_lock(&bus->lock);
	bus_deliver(bus);
	bus_kick(bus);
	pthread_mutex_unlock(&bus->lock);
}

bool
vmm_bus_cpuid_model(struct vmm_bus *bus, uint32_t leaf, uint32_t subleaf,
    uint32_t regs[4])
{

	return (hvk_hv_cpuid(&bus->hv, leaf, subleaf, regs));
}

/* ---- reset */

bool
vmm_bus_reset(struct vmm_bus *bus)
{
	uint32_t i;
	bool closed;

	pthread_mutex_lock(&bus->lock);
	closed = bus_close_all(bus);
	/* No timer runs and no message is written meanwhile. */
	for (i = 0; i < bus->machine->ncpus; i++)
		pthread_mutex_lock(&bus->vplock[i]);
	hvk_hv_reset(&bus->hv);
	for (i = 0; i < bus->machine->ncpus; i++)
		pthread_mutex_unlock(&bus->vplock[i]);
	bus->crashed = false;
	pthread_mutex_unlock(&bus->lock);
	return (closed);
}

bool
vmm_bus_retime(struct vmm_bus *bus)
{
	const struct vmm_enlighten *e = &bus->machine->enlighten;

	if (bus->tsc_scale == 0)
		return (true);
	return (hvk_hv_retime(&bus->hv, bus->hv.config.tsc_hz, __rdtsc() +
	    e->tsc_delta, bus_now(bus), &bus->view) == HVK_OK);
}
