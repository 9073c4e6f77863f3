/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * Heartbeat, shutdown and time as the host provides them.
 * Locking: see ic.h.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "ic.h"

#define	BEAT_MS		1000u
#define	BEAT_LIMIT_MS	3000u
#define	BEAT_LOST_MS	5000u
#define	SAMPLE_MS	5000u
#define	SAMPLE_LIMIT_MS	3000u
#define	SHUTDOWN_MS	5000u

static double
seconds_since(uint64_t ns)
{

	return ((double)(vmm_now_ns() - ns) / 1e9);
}

/* ---- heartbeat */

static void
heartbeat_agreed(struct ic *ic)
{

	ic->due = ic_now();
	ic->sequence = 0;
}

static int
heartbeat_periodic(struct ic *ic, uint64_t now)
{

	ic->due = now + BEAT_MS;
	return (hvk_heartbeat_ask(&ic->host, now, BEAT_LIMIT_MS,
	    ic->sequence, &ic->out));
}

static void
heartbeat_answered(struct ic *ic, bool silent)
{

	if (silent || hvk_ic_header(&ic->in).status != HVK_IC_OK ||
	    hvk_heartbeat_check(&ic->in, ic->sequence, &ic->state) !=
	    HVK_OK) {
		ic->bad++;
		return;
	}
	ic->good++;
	ic->sequence += 2;	/* the guest's answer counted one */
	ic->heard_ns = vmm_now_ns();
	ic->rtt_ns = ic->heard_ns - ic->asked_ns;
}

/* What a person is told; lock held. */
static const char *
heartbeat_state(const struct ic *ic)
{

	if (ic->channel == NULL)
		return (ic->heard_ns != 0 ? "lost" : "no contact");
	if (ic->heard_ns == 0)
		return ("no contact");
	return (vmm_now_ns() - ic->heard_ns > BEAT_LOST_MS * 1000000ull ?
	    "lost" : "ok");
}

int
ic_heartbeat_ctl(struct vmm_services *s, const char *cmd, const json_t *in,
    json_t *out, char *err, size_t errlen)
{
	static const char *const states[] = { "unknown", "healthy",
	    "critical", "stopped" };
	struct ic *ic = ic_find(s, HVK_IC_HEARTBEAT);
	json_t *h;

	(void)in;
	if (strcmp(cmd, "heartbeat") != 0)
		return (vmm_fail(err, errlen, -EINVAL, "heartbeat takes "
		    "nothing more"));
	pthread_mutex_lock(&ic->lock);
	h = json_pack("{s:s, s:s, s:I, s:I}", "state", heartbeat_state(ic),
	    "application", states[ic->state & 3], "beats",
	    (json_int_t)ic->good, "missed", (json_int_t)ic->bad);
	if (ic->heard_ns != 0) {
		json_object_set_new(h, "last_s",
		    json_real(seconds_since(ic->heard_ns)));
		json_object_set_new(h, "round_trip_us",
		    json_integer((json_int_t)(ic->rtt_ns / 1000)));
	}
	pthread_mutex_unlock(&ic->lock);
	json_object_set_new(out, "heartbeat", h);
	return (0);
}

static void
heartbeat_info(struct ic *ic, json_t *into)
{

	json_object_set_new(into, "heartbeat",
	    json_string(heartbeat_state(ic)));
}

const struct ic_ops ic_heartbeat_ops = {
	.type = HVK_IC_HEARTBEAT,
	.instance = HVK_GUID(0xfd149e91, 0x82e0, 0x4a7d, 0xaf, 0xa6, 0x2a,
	    0x41, 0x66, 0xcb, 0xd7, 0xc0),
	.agreed = heartbeat_agreed,
	.periodic = heartbeat_periodic,
	.answered = heartbeat_answered,
	.info = heartbeat_info,
};

/* ---- shutdown */

struct shutdown_ask {
	uint32_t	flags;
	uint32_t	timeout_s;
	const char	*text;
};

static int
shutdown_make(struct hvk_ic_host *h, uint64_t now, void *arg,
    struct hvk_ic_message *m)
{
	struct shutdown_ask *a = arg;

	return (hvk_shutdown_ask(h, now, SHUTDOWN_MS, a->flags,
	    HVK_SHUTDOWN_PLANNED, a->timeout_s, a->text, m));
}

int
vmm_services_shutdown(struct vmm_services *s, bool restart, const json_t *in,
    json_t *out, char *err, size_t errlen)
{
	const char *text = json_string_value(json_object_get(in, "reason"));
	struct ic *ic = ic_find(s, HVK_IC_SHUTDOWN);
	static _Thread_local struct hvk_ic_message reply;
	struct shutdown_ask a = { .timeout_s = 60,
	    .text = text != NULL ? text : "hvk ctl" };
	int error;

	if (ic == NULL)
		return (vmm_fail(err, errlen, -ENODEV, "this guest is run "
		    "without the shutdown service (-o shutdown=no)"));
	if (restart)
		a.flags |= HVK_SHUTDOWN_RESTART;
	if (json_is_true(json_object_get(in, "force")))
		a.flags |= HVK_SHUTDOWN_FORCE;
	if (json_is_true(json_object_get(in, "hibernate")))
		a.flags = HVK_SHUTDOWN_HIBERNATE;
	error = ic_ask(ic, shutdown_make, &a, &reply, err, errlen);
	if (error == 0)
		error = ic_status(ic, &reply, restart ? "restart" :
		    "shutdown", err, errlen);
	if (error == 0)
		json_object_set_new(out, "by", json_string("guest"));
	return (error);
}

const struct ic_ops ic_shutdown_ops = {
	.type = HVK_IC_SHUTDOWN,
	.instance = HVK_GUID_SHUTDOWN_INSTANCE,
};

/* ---- time */

static uint64_t
unix_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ((uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec);
}

static void
time_agreed(struct ic *ic)
{

	ic->due = ic_now();
	ic->sync = true;	/* a guest that has just begun */
}

static int
time_ask(struct ic *ic, uint64_t now, uint8_t flags,
    struct hvk_ic_message *m)
{

	return (hvk_timesync_ask(&ic->host, now, SAMPLE_LIMIT_MS, unix_ns(),
	    vmm_reference_time(ic->bus), flags, m));
}

static int
time_periodic(struct ic *ic, uint64_t now)
{
	uint8_t flags = ic->sync ? HVK_TIMESYNC_SYNC : HVK_TIMESYNC_SAMPLE;

	ic->due = now + SAMPLE_MS;
	return (time_ask(ic, now, flags, &ic->out));
}

static void
time_answered(struct ic *ic, bool silent)
{

	if (silent || hvk_ic_header(&ic->in).status != HVK_IC_OK) {
		ic->bad++;
		return;
	}
	ic->good++;
	ic->sync = false;
	ic->heard_ns = vmm_now_ns();
	ic->rtt_ns = ic->heard_ns - ic->asked_ns;
}

struct time_now {
	struct ic	*ic;
	uint8_t		flags;
};

static int
time_make(struct hvk_ic_host *h, uint64_t now, void *arg,
    struct hvk_ic_message *m)
{
	struct time_now *t = arg;

	(void)h;
	return (time_ask(t->ic, now, t->flags, m));
}

int
ic_time_ctl(struct vmm_services *s, const char *cmd, const json_t *in,
    json_t *out, char *err, size_t errlen)
{
	struct ic *ic = ic_find(s, HVK_IC_TIMESYNC);
	static _Thread_local struct hvk_ic_message reply;
	struct time_now t = { .ic = ic };
	uint64_t start;
	json_t *o;
	int error;

	(void)in;
	if (strcmp(cmd, "time sync") == 0)
		t.flags = HVK_TIMESYNC_SYNC;
	else if (strcmp(cmd, "time sample") == 0)
		t.flags = HVK_TIMESYNC_SAMPLE;
	else if (strcmp(cmd, "time") != 0)
		return (vmm_fail(err, errlen, -EINVAL, "use time, time sync "
		    "or time sample"));
	start = vmm_now_ns();
	if (t.flags != 0) {
		error = ic_ask(ic, time_make, &t, &reply, err, errlen);
		if (error == 0)
			error = ic_status(ic, &reply, cmd, err, errlen);
		if (error != 0)
			return (error);
	}
	pthread_mutex_lock(&ic->lock);
	o = json_pack("{s:I, s:I}", "answered", (json_int_t)ic->good,
	    "unanswered", (json_int_t)ic->bad);
	if (t.flags != 0)
		json_object_set_new(o, "round_trip_us", json_integer(
		    (json_int_t)((vmm_now_ns() - start) / 1000)));
	else if (ic->heard_ns != 0) {
		json_object_set_new(o, "last_s",
		    json_real(seconds_since(ic->heard_ns)));
		json_object_set_new(o, "round_trip_us", json_integer(
		    (json_int_t)(ic->rtt_ns / 1000)));
	}
	pthread_mutex_unlock(&ic->lock);
	json_object_set_new(out, "time", o);
	return (0);
}

const struct ic_ops ic_timesync_ops = {
	.type = HVK_IC_TIMESYNC,
	.instance = HVK_GUID_TIMESYNC_INSTANCE,
	.agreed = time_agreed,
	.periodic = time_periodic,
	.answered = time_answered,
};
