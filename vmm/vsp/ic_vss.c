/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * Backup of the running guest as the host provides it:
 *
 *	"backup check"	can it be frozen?
 *	"backup freeze"	{"hold": seconds}: freeze; thawed by itself after that
 *	"backup thaw"	and whether it was frozen all the time
 *	"backup"	-> {"backup": {...}}
 *
 * The copying of disks in between is the caller's (hvk ctl).
 * Locking: see ic.h.  sequence: 1 while frozen; due: when to thaw by itself.
 */
#include <errno.h>
#include <string.h>

#include <hvk/wire/vss.h>

#include "ic.h"

#define	LIMIT_MS	20000u		/* guests have 15 s */
#define	HOLD_S		60
#define	HOLD_MAX_S	600

static int
vss_message(struct hvk_ic_host *h, uint64_t now, uint8_t op,
    struct hvk_ic_message *m)
{
	int error;

	error = hvk_ic_host_request(h, now, LIMIT_MS,
	    sizeof(struct hvk_vss_message), m);
	if (error == HVK_OK)
		hvk_ic_body(m)[0] = op;
	return (error);
}

static int
vss_make(struct hvk_ic_host *h, uint64_t now, void *arg,
    struct hvk_ic_message *m)
{

	return (vss_message(h, now, *(uint8_t *)arg, m));
}

/* Nobody thawed in time. */
static int
vss_periodic(struct ic *ic, uint64_t now)
{

	ic->due = UINT64_MAX;
	if (ic->sequence == 0)
		return (HVK_STATE);
	vmm_log("vss: the guest was frozen for too long: thawed");
	ic->bad++;
	return (vss_message(&ic->host, now, HVK_VSS_THAW, &ic->out));
}

static void
vss_answered(struct ic *ic, bool silent)
{

	(void)silent;
	ic->sequence = 0;
}

static void
vss_closed(struct ic *ic)
{

	ic->sequence = 0;
	ic->due = UINT64_MAX;
}

static int
vss_do(struct ic *ic, uint8_t op, const char *what, uint32_t *flags,
    char *err, size_t errlen)
{
	static _Thread_local struct hvk_ic_message reply;
	int error;

	error = ic_ask(ic, vss_make, &op, &reply, err, errlen);
	if (error == 0)
		error = ic_status(ic, &reply, what, err, errlen);
	*flags = 0;
	if (error == 0 && hvk_ic_body_len(&reply) >=
	    sizeof(struct hvk_vss_message))
		memcpy(flags, hvk_ic_body(&reply) +
		    offsetof(struct hvk_vss_message, flags), 4);
	return (error);
}

static int
vss_freeze(struct ic *ic, const json_t *in, char *err, size_t errlen)
{
	const json_t *hold = json_object_get(in, "hold");
	json_int_t s = json_is_integer(hold) ? json_integer_value(hold) :
	    HOLD_S;
	uint32_t flags;
	int error;

	if (s < 1 || s > HOLD_MAX_S)
		return (vmm_fail(err, errlen, -ERANGE, "hold is 1 to %d "
		    "seconds", HOLD_MAX_S));
	pthread_mutex_lock(&ic->lock);
	error = ic->sequence != 0 ? -EALREADY : 0;
	pthread_mutex_unlock(&ic->lock);
	if (error != 0)
		return (vmm_fail(err, errlen, error, "the guest is frozen "
		    "already; `hvk ctl backup thaw` ends it"));
	error = vss_do(ic, HVK_VSS_FREEZE, "freeze", &flags, err, errlen);
	pthread_mutex_lock(&ic->lock);
	if (error == 0) {
		ic->sequence = 1;
		ic->due = ic_now() + (uint64_t)s * 1000;
		ic->good++;
	} else
		ic->bad++;
	pthread_mutex_unlock(&ic->lock);
	return (error);
}

static int
vss_thaw(struct ic *ic, char *err, size_t errlen)
{
	uint32_t flags;
	bool frozen;
	int error;

	pthread_mutex_lock(&ic->lock);
	frozen = ic->sequence != 0;
	ic->due = UINT64_MAX;
	pthread_mutex_unlock(&ic->lock);
	if (!frozen)
		return (vmm_fail(err, errlen, -ESTALE, "the guest is not "
		    "frozen: it never was, or for too long and has been "
		    "thawed; what was copied meanwhile is no backup"));
	error = vss_do(ic, HVK_VSS_THAW, "thaw", &flags, err, errlen);
	pthread_mutex_lock(&ic->lock);
	ic->sequence = 0;
	pthread_mutex_unlock(&ic->lock);
	return (error);
}

int
ic_backup_ctl(struct vmm_services *s, const char *cmd, const json_t *in,
    json_t *out, char *err, size_t errlen)
{
	struct ic *ic = ic_find(s, HVK_IC_VSS);
	uint32_t flags = 0;
	int error = 0;

	if (strcmp(cmd, "backup check") == 0) {
		error = vss_do(ic, HVK_VSS_CHECK, "check", &flags, err,
		    errlen);
		/*
		 * The status is the answer: stock Linux means to set the flags
		 * too, and leaves them as they came.
		 */
		if (error == 0)
			json_object_set_new(out, "hot_backup", json_true());
	} else if (strcmp(cmd, "backup freeze") == 0)
		error = vss_freeze(ic, in, err, errlen);
	else if (strcmp(cmd, "backup thaw") == 0)
		error = vss_thaw(ic, err, errlen);
	else if (strcmp(cmd, "backup") == 0) {
		pthread_mutex_lock(&ic->lock);
		json_object_set_new(out, "backup", json_pack("{s:s, s:I, s:I}",
		    "state", ic->sequence != 0 ? "frozen" : "running",
		    "freezes", (json_int_t)ic->good, "failed",
		    (json_int_t)ic->bad));
		pthread_mutex_unlock(&ic->lock);
	} else
		error = vmm_fail(err, errlen, -EINVAL, "use backup check, "
		    "freeze or thaw");
	return (error);
}

static void
vss_info(struct ic *ic, json_t *into)
{

	json_object_set_new(into, "frozen", json_boolean(ic->sequence != 0));
}

const struct ic_ops ic_vss_ops = {
	.type = HVK_IC_VSS,
	.instance = HVK_GUID(0x2450ee40, 0x33bf, 0x4fbd, 0x89, 0x2e, 0x9f,
	    0xb0, 0x6e, 0x92, 0x14, 0xcf),
	.periodic = vss_periodic,
	.answered = vss_answered,
	.closed = vss_closed,
	.info = vss_info,
};
