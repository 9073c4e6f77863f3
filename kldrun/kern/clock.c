/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * clock.c: time as a driver sees it: ticks, uptime and wall time, DELAY, and
 * the registries of time counters and event timers. Time itself is Linux's
 * monotonic clock; wallclock.c has the time of day; a registered counter is checked and listed, never trusted.
 */

#include "kern.h"
#include <sys/sysctl.h>
#include <sys/time.h>
#include <sys/timeet.h>
#include <sys/timetc.h>

/* A virtual machine's FreeBSD runs at 100 Hz unless told otherwise. */
int hz = 100;
int tick = 10000;
int stathz = 127;
int profhz = 8128;
volatile int ticks;
volatile long ticksl;
volatile time_t time_second = 1;
volatile time_t time_uptime = 1;
sbintime_t tick_sbt = SBT_1S / 100;
struct bintime tick_bt;
sbintime_t sbt_timethreshold, sbt_tickthreshold;
sbintime_t tc_tick_sbt = SBT_1S / 100;
int tc_precexp = 31;
int tc_timepercentage = 5;
struct timecounter *timecounter;
SYSCTL_DECL(_kern_timecounter);
SYSCTL_DECL(_kern_eventtimer);

static void
clock_main(void *arg)
{
	os_u64 next;

	for (next = os_monotonic_ns();; next += 1000000000 / hz) {
		os_sleep_until(next);
		ticks++;
		ticksl++;
		kld_wallclock_tick();
		time_uptime = next / 1000000000 + 1;
		time_second = kld_realtime_ns() / 1000000000;
	}
}

static void
clock_start(void *arg)
{
	tick_bt = sbttobt(tick_sbt);
	kld_thread_start(clock_main, NULL, 0, NULL, NULL, "hardclock");
	kld_callout_boot();
}
SYSINIT(clocks, SI_SUB_TUNABLES, SI_ORDER_ANY, clock_start, NULL);

static struct timespec
ns_timespec(os_u64 ns)
{
	return ((struct timespec){ ns / 1000000000, ns % 1000000000 });
}

static struct timeval
ns_timeval(os_u64 ns)
{
	return ((struct timeval){ ns / 1000000000, ns % 1000000000 / 1000 });
}

static struct bintime
ns_bintime(os_u64 ns)
{
	struct timespec ts;
	struct bintime bt;

	ts = ns_timespec(ns);
	timespec2bintime(&ts, &bt);
	return (bt);
}

void
binuptime(struct bintime *bt)
{
	*bt = ns_bintime(os_monotonic_ns());
}

void
getbinuptime(struct bintime *bt)
{
	binuptime(bt);
}

void
nanouptime(struct timespec *ts)
{
	*ts = ns_timespec(os_monotonic_ns());
}

void
getnanouptime(struct timespec *ts)
{
	nanouptime(ts);
}

void
microuptime(struct timeval *tv)
{
	*tv = ns_timeval(os_monotonic_ns());
}

void
getmicrouptime(struct timeval *tv)
{
	microuptime(tv);
}

void
bintime(struct bintime *bt)
{
	*bt = ns_bintime(kld_realtime_ns());
}

void
getbintime(struct bintime *bt)
{
	bintime(bt);
}

void
nanotime(struct timespec *ts)
{
	*ts = ns_timespec(kld_realtime_ns());
}

void
getnanotime(struct timespec *ts)
{
	nanotime(ts);
}

void
microtime(struct timeval *tv)
{
	*tv = ns_timeval(kld_realtime_ns());
}

void
getmicrotime(struct timeval *tv)
{
	microtime(tv);
}

void
getboottime(struct timeval *tv)
{
	*tv = ns_timeval(kld_realtime_ns() - os_monotonic_ns());
}

void
DELAY(int usec)
{
	os_u64 end;

	end = os_monotonic_ns() + (os_u64)usec * 1000;
	while (os_monotonic_ns() < end)
		cpu_spinwait();
}

int
tvtohz(struct timeval *tv)
{
	return (tv->tv_sec * hz + tv->tv_usec / tick + 1);
}

int
ratecheck(struct timeval *last, const struct timeval *mininterval)
{
	struct timeval now, delta;

	microuptime(&now);
	delta = now;
	timevalsub(&delta, last);
	if (timevalcmp(&delta, mininterval, >=) ||
	    (last->tv_sec == 0 && last->tv_usec == 0)) {
		*last = now;
		return (1);
	}
	return (0);
}

int
ppsratecheck(struct timeval *last, int *curpps, int maxpps)
{
	struct timeval now;

	microuptime(&now);
	if (last->tv_sec != now.tv_sec) {
		*last = now;
		*curpps = 0;
	}
	++*curpps;
	return (maxpps < 0 || *curpps <= maxpps);
}

void
timevalfix(struct timeval *t)
{
	if (t->tv_usec < 0) {
		t->tv_sec--;
		t->tv_usec += 1000000;
	}
	if (t->tv_usec >= 1000000) {
		t->tv_sec++;
		t->tv_usec -= 1000000;
	}
}

void
timevaladd(struct timeval *a, const struct timeval *b)
{
	a->tv_sec += b->tv_sec;
	a->tv_usec += b->tv_usec;
	timevalfix(a);
}

void
timevalsub(struct timeval *a, const struct timeval *b)
{
	a->tv_sec -= b->tv_sec;
	a->tv_usec -= b->tv_usec;
	timevalfix(a);
}

void
tc_init(struct timecounter *tc)
{
	printf("Timecounter \"%s\" frequency %ju Hz quality %d\n", tc->tc_name,
	    (uintmax_t)tc->tc_frequency, tc->tc_quality);
	tc->tc_next = timecounter;
	if (timecounter == NULL || tc->tc_quality > timecounter->tc_quality)
		timecounter = tc;
}

u_int64_t
tc_getfrequency(void)
{
	return (timecounter != NULL ? timecounter->tc_frequency : 0);
}

static int
sysctl_tc_hardware(SYSCTL_HANDLER_ARGS)
{
	char name[32];

	strlcpy(name, timecounter != NULL ? timecounter->tc_name : "linux",
	    sizeof(name));
	return (sysctl_handle_string(oidp, name, sizeof(name), req));
}
SYSCTL_PROC(_kern_timecounter, OID_AUTO, hardware, CTLTYPE_STRING |
    CTLFLAG_RD | CTLFLAG_MPSAFE, NULL, 0, sysctl_tc_hardware, "A",
    "Timecounter hardware selected");
SYSCTL_INT(_kern, OID_AUTO, hz, CTLFLAG_RD, &hz, 0, "Number of clock ticks "
    "per second");

/* Event timers are listed; kldrun's callouts do not run off them. */
static SLIST_HEAD(, eventtimer) ets = SLIST_HEAD_INITIALIZER(ets);
struct mtx et_eventtimers_mtx;
MTX_SYSINIT(et_mtx, &et_eventtimers_mtx, "et_mtx", MTX_DEF);

int
et_register(struct eventtimer *et)
{
	printf("Event timer \"%s\" frequency %ju Hz quality %d\n", et->et_name,
	    (uintmax_t)et->et_frequency, et->et_quality);
	ET_LOCK();
	SLIST_INSERT_HEAD(&ets, et, et_all);
	ET_UNLOCK();
	return (0);
}

int
et_deregister(struct eventtimer *et)
{
	ET_LOCK();
	SLIST_REMOVE(&ets, et, eventtimer, et_all);
	ET_UNLOCK();
	return (0);
}
