/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * hvtimesync: the host's time.  A request to set the clock (after a pause, or
 * restore) steps it; of the regular samples small errors are slewed by
 * adjtime(2) and large ones stepped.  While an NTP daemon disciplines the clock
 * samples are left to it.
 *
 * What to do is decided in the core; it is done on a thread of our own, since
 * setting the clock may sleep.
 *
 * Locking: see hvic_var.h.  ts_offset and ts_action are under ic_mtx.
 */

#include "hvic_var.h"

#include <sys/proc.h>
#include <sys/syscallsubr.h>
#include <sys/time.h>
#include <sys/timex.h>

#define	NS_PER_S	1000000000ll
#define	SLEW_US		250		/* smaller errors are noise */

struct hvtimesync_softc {
	struct hvic_softc	ts_ic;		/* first */
	struct taskqueue	*ts_tq;
	struct task		ts_task;
	enum hvk_time_action	ts_action;
	int64_t			ts_offset;	/* ns, host - guest */
	/* for sysctl */
	int64_t			ts_last;	/* last offset, ns */
	uint64_t		ts_delay;	/* of the last message, ns */
	u_int			ts_samples;
	u_int			ts_syncs;
	u_int			ts_slews;
	u_int			ts_steps;
};

HVK_SYSCTL_NODE(_hw, hvtimesync, CTLFLAG_RW | CTLFLAG_MPSAFE,
    "Hyper-V timesync interface");

static int hvtimesync_ignore_sync = 0;
SYSCTL_INT(_hw_hvtimesync, OID_AUTO, ignore_sync, CTLFLAG_RWTUN,
    &hvtimesync_ignore_sync, 0, "Ignore the sync request.");

static int hvtimesync_sample_thresh = 100;
SYSCTL_INT(_hw_hvtimesync, OID_AUTO, sample_thresh, CTLFLAG_RWTUN,
    &hvtimesync_sample_thresh, 0,
    "Error above which a sample steps the clock, below it slews (unit: ms); "
    "0 ignores samples.");

static int hvtimesync_sample_verbose = 0;
SYSCTL_INT(_hw_hvtimesync, OID_AUTO, sample_verbose, CTLFLAG_RWTUN,
    &hvtimesync_sample_verbose, 0, "Increase sample request verbosity.");

static u_int hvtimesync_ntp_thresh = 5000;
SYSCTL_UINT(_hw_hvtimesync, OID_AUTO, ntp_thresh, CTLFLAG_RWTUN,
    &hvtimesync_ntp_thresh, 0,
    "Error above which a sample steps even a clock that NTP disciplines "
    "(unit: ms); 0 never.");

/* An NTP daemon says that it keeps the clock. */
static bool
hvtimesync_disciplined(void)
{
	struct timex tx;
	int state;

	memset(&tx, 0, sizeof(tx));
	if (kern_ntp_adjtime(curthread, &tx, &state) != 0)
		return (false);
	return ((tx.status & (STA_PLL | STA_FLL | STA_PPSTIME)) != 0 &&
	    (tx.status & STA_UNSYNC) == 0);
}

static uint64_t
hvtimesync_guest_ns(void)
{
	struct timespec ts;

	nanotime(&ts);
	return ((uint64_t)ts.tv_sec * NS_PER_S + ts.tv_nsec);
}

static void
hvtimesync_step(struct hvtimesync_softc *sc, int64_t offset)
{
	struct timespec ts;
	int64_t ns;
	int error;

	ns = (int64_t)hvtimesync_guest_ns() + offset;
	if (ns < 0)
		return;
	ts.tv_sec = ns / NS_PER_S;
	ts.tv_nsec = ns % NS_PER_S;
	error = kern_clock_settime(curthread, CLOCK_REALTIME, &ts);
	if (error != 0)
		device_printf(sc->ts_ic.ic_dev,
		    "cannot set the clock: %d\n", error);
	else if (bootverbose || hvtimesync_sample_verbose != 0)
		device_printf(sc->ts_ic.ic_dev,
		    "clock stepped by %jd us\n", (intmax_t)offset / 1000);
}

static void
hvtimesync_slew(struct hvtimesync_softc *sc, int64_t offset)
{
	struct timeval delta;
	int64_t us;
	int error;

	us = offset / 1000;
	delta.tv_sec = us / 1000000;
	delta.tv_usec = us % 1000000;
	if (delta.tv_usec < 0) {
		delta.tv_usec += 1000000;
		delta.tv_sec--;
	}
	error = kern_adjtime(curthread, &delta, NULL);
	if (error != 0)
		device_printf(sc->ts_ic.ic_dev,
		    "cannot slew the clock: %d\n", error);
	else if (hvtimesync_sample_verbose != 0)
		device_printf(sc->ts_ic.ic_dev, "clock slewed by %jd us\n",
		    (intmax_t)us);
}

static void
hvtimesync_task(void *arg, int pending __unused)
{
	struct hvtimesync_softc *sc = arg;
	enum hvk_time_action action;
	int64_t offset;

	mtx_lock(&sc->ts_ic.ic_mtx);
	action = sc->ts_action;
	offset = sc->ts_offset;
	sc->ts_action = HVK_TIME_IGNORE;
	mtx_unlock(&sc->ts_ic.ic_mtx);
	if (action == HVK_TIME_STEP)
		hvtimesync_step(sc, offset);
	else if (action == HVK_TIME_SLEW)
		hvtimesync_slew(sc, offset);
}

static void
hvtimesync_decide(struct hvtimesync_softc *sc,
    const struct hvk_time_sample *sample)
{
	struct hvk_time_policy policy;
	struct hvk_time_decision d;

	memset(&policy, 0, sizeof(policy));
	policy.ignore_sync = hvtimesync_ignore_sync != 0;
	policy.sample_ms = hvtimesync_sample_thresh;
	policy.slew_us = SLEW_US;
	policy.disciplined = hvtimesync_disciplined();
	policy.disciplined_ms = hvtimesync_ntp_thresh;
	hvk_timesync_decide(&policy, sample, hvtimesync_guest_ns(), &d);
	sc->ts_last = d.offset_ns;
	sc->ts_delay = sample->delay_ns;
	if (sample->sync)
		sc->ts_syncs++;
	else if (sample->sample)
		sc->ts_samples++;
	if (hvtimesync_sample_verbose != 0)
		device_printf(sc->ts_ic.ic_dev, "%s: off by %jd us, %ju us "
		    "under way\n", sample->sync ? "sync" : "sample",
		    (intmax_t)d.offset_ns / 1000,
		    (uintmax_t)sample->delay_ns / 1000);
	/* The slew of the sample before is not done yet: leave it be. */
	if (d.action == HVK_TIME_IGNORE)
		return;
	if (d.action == HVK_TIME_STEP)
		sc->ts_steps++;
	else
		sc->ts_slews++;
	sc->ts_action = d.action;
	sc->ts_offset = d.offset_ns;
	taskqueue_enqueue(sc->ts_tq, &sc->ts_task);
}

static bool
hvtimesync_serve(struct hvic_softc *ic, struct hvk_ic_message *m)
{
	struct hvtimesync_softc *sc = (struct hvtimesync_softc *)ic;
	struct hvk_time_sample sample;

	if (hvk_timesync_serve(&ic->ic, m, vmbus_reference_time(), &sample) ==
	    HVK_OK)
		hvtimesync_decide(sc, &sample);
	return (true);
}

static void
hvtimesync_sysctl(struct hvtimesync_softc *sc)
{
	struct sysctl_oid_list *child;
	struct sysctl_ctx_list *ctx;
	device_t dev = sc->ts_ic.ic_dev;

	ctx = device_get_sysctl_ctx(dev);
	child = SYSCTL_CHILDREN(device_get_sysctl_tree(dev));
	SYSCTL_ADD_S64(ctx, child, OID_AUTO, "offset", CTLFLAG_RD,
	    &sc->ts_last, 0, "host's clock ahead of ours when last heard, ns");
	SYSCTL_ADD_U64(ctx, child, OID_AUTO, "delay", CTLFLAG_RD,
	    &sc->ts_delay, 0, "time that the last message was under way, ns");
	SYSCTL_ADD_UINT(ctx, child, OID_AUTO, "samples", CTLFLAG_RD,
	    &sc->ts_samples, 0, "regular samples");
	SYSCTL_ADD_UINT(ctx, child, OID_AUTO, "syncs", CTLFLAG_RD,
	    &sc->ts_syncs, 0, "requests to set the clock");
	SYSCTL_ADD_UINT(ctx, child, OID_AUTO, "slews", CTLFLAG_RD,
	    &sc->ts_slews, 0, "errors slewed");
	SYSCTL_ADD_UINT(ctx, child, OID_AUTO, "steps", CTLFLAG_RD,
	    &sc->ts_steps, 0, "errors stepped");
}

static int
hvtimesync_probe(device_t dev)
{

	return (hvic_probe(dev, HVK_IC_TIMESYNC, "Hyper-V Timesync"));
}

static int
hvtimesync_attach(device_t dev)
{
	struct hvtimesync_softc *sc = device_get_softc(dev);
	int error;

	error = hvic_attach(dev, &sc->ts_ic, HVK_IC_TIMESYNC,
	    hvtimesync_serve);
	if (error != 0)
		return (error);
	hvtimesync_sysctl(sc);
	TASK_INIT(&sc->ts_task, 0, hvtimesync_task, sc);
	sc->ts_tq = taskqueue_create("hvtimesync", M_WAITOK,
	    taskqueue_thread_enqueue, &sc->ts_tq);
	(void)taskqueue_start_threads(&sc->ts_tq, 1, PWAIT, "%s",
	    device_get_nameunit(dev));
	error = hvic_open(&sc->ts_ic, 16384);
	if (error != 0) {
		taskqueue_free(sc->ts_tq);
		hvic_detach(&sc->ts_ic);
	}
	return (error);
}

static int
hvtimesync_detach(device_t dev)
{
	struct hvtimesync_softc *sc = device_get_softc(dev);

	hvic_close(&sc->ts_ic);
	taskqueue_free(sc->ts_tq);
	hvic_detach(&sc->ts_ic);
	return (0);
}

static device_method_t hvtimesync_methods[] = {
	DEVMETHOD(device_probe,		hvtimesync_probe),
	DEVMETHOD(device_attach,	hvtimesync_attach),
	DEVMETHOD(device_detach,	hvtimesync_detach),
	DEVMETHOD_END
};

HVIC_DRIVER(hv_timesync, hvtimesync, hvtimesync_methods,
    struct hvtimesync_softc);
