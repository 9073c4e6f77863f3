/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * wallclock.c: kldrun's time of day: Linux's plus an offset that modules step
 * (clock_settime(2), tc_setclock) and slew (adjtime(2)). Linux's own clock is
 * never touched. The slew is what FreeBSD does: 500 us each second, 5000 us
 * while more than a second is left.
 *
 * debug.kldrun.clock_offset is the offset in nanoseconds, and can be set, so
 * that a test can make the guest's clock wrong; clock_left is what adjtime has
 * still to do, in microseconds; clock_steps counts the steps; ntp_status is
 * what an NTP daemon would have told the kernel (STA_* of ntp_adjtime(2)).
 *
 * wall_lock guards the offset and what is left.
 */

#include "kern.h"
#include <sys/syscallsubr.h>
#include <sys/sysctl.h>
#include <sys/time.h>
#include <sys/timetc.h>
#include <sys/timex.h>

#define	NS	1000000000l

static struct os_lock wall_lock;
static int64_t wall_offset;		/* ns */
static int64_t adjust_left;		/* us */
static u_int steps;

SYSCTL_DECL(_debug_kldrun);
SYSCTL_S64(_debug_kldrun, OID_AUTO, clock_offset, CTLFLAG_RWTUN, &wall_offset,
    0, "ns the guest's time of day is ahead of Linux's");
SYSCTL_S64(_debug_kldrun, OID_AUTO, clock_left, CTLFLAG_RD, &adjust_left, 0,
    "us that adjtime(2) has still to do");
SYSCTL_UINT(_debug_kldrun, OID_AUTO, clock_steps, CTLFLAG_RD, &steps, 0,
    "times the clock was stepped");

static int ntp_status = STA_UNSYNC;
SYSCTL_INT(_debug_kldrun, OID_AUTO, ntp_status, CTLFLAG_RWTUN, &ntp_status, 0,
    "status of ntp_adjtime(2)");

os_u64
kld_realtime_ns(void)
{
	int64_t ns;

	os_lock(&wall_lock);
	ns = os_realtime_ns() + wall_offset;
	os_unlock(&wall_lock);
	/* Before 1970 there is nothing. */
	return (ns > 0 ? ns : 0);
}

/* Called hz times a second. */
void
kld_wallclock_tick(void)
{
	int64_t us, rate;

	if (adjust_left == 0)
		return;
	os_lock(&wall_lock);
	rate = adjust_left > 1000000 || adjust_left < -1000000 ? 5000 : 500;
	us = MIN(rate / hz, adjust_left > 0 ? adjust_left : -adjust_left);
	if (adjust_left < 0)
		us = -us;
	adjust_left -= us;
	wall_offset += us * 1000;
	os_unlock(&wall_lock);
}

static void
step_to(const struct timespec *ts)
{
	os_lock(&wall_lock);
	wall_offset = (int64_t)ts->tv_sec * NS + ts->tv_nsec -
	    (int64_t)os_realtime_ns();
	steps++;
	os_unlock(&wall_lock);
	time_second = ts->tv_sec;
}

void
tc_setclock(struct timespec *ts)
{
	step_to(ts);
}

int
kern_clock_settime(struct thread *td, clockid_t id, struct timespec *ats)
{
	if (id != CLOCK_REALTIME || ats->tv_nsec < 0 || ats->tv_nsec >= NS ||
	    ats->tv_sec < 0 || ats->tv_sec > 8000ll * 365 * 24 * 60 * 60)
		return (EINVAL);
	step_to(ats);
	return (0);
}

int
kern_clock_gettime(struct thread *td, clockid_t id, struct timespec *ats)
{
	switch (id) {
	case CLOCK_REALTIME:
	case CLOCK_REALTIME_FAST:
	case CLOCK_REALTIME_PRECISE:
		nanotime(ats);
		return (0);
	case CLOCK_MONOTONIC:
	case CLOCK_MONOTONIC_FAST:
	case CLOCK_MONOTONIC_PRECISE:
	case CLOCK_UPTIME:
		nanouptime(ats);
		return (0);
	default:
		return (EINVAL);
	}
}

/* delta replaces what was left; olddelta tells it. */
int
kern_adjtime(struct thread *td, struct timeval *delta,
    struct timeval *olddelta)
{
	int64_t left;

	os_lock(&wall_lock);
	left = adjust_left;
	if (delta != NULL)
		adjust_left = (int64_t)delta->tv_sec * 1000000 +
		    delta->tv_usec;
	os_unlock(&wall_lock);
	if (olddelta != NULL) {
		olddelta->tv_sec = left / 1000000;
		olddelta->tv_usec = left % 1000000;
		if (olddelta->tv_usec < 0) {
			olddelta->tv_usec += 1000000;
			olddelta->tv_sec--;
		}
	}
	return (0);
}

/* Asked only; nobody disciplines this clock but adjtime(2). */
int
kern_ntp_adjtime(struct thread *td, struct timex *ntv, int *retvalp)
{
	if (ntv->modes != 0)
		return (EOPNOTSUPP);
	ntv->status = ntp_status;
	*retvalp = (ntp_status & STA_UNSYNC) != 0 ? TIME_ERROR : TIME_OK;
	return (0);
}

/* The battery clock is the host's business. */
void
resettodr(void)
{
}
