/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * The guest's backup machine.  One job at a time is with a party; others wait
 * for it.  Locking: see hvk/guest/vss.h.
 */

#include <hvk/bytes.h>
#include <hvk/guest/vss.h>

void
hvk_vss_init(struct hvk_vss *v, struct hvk_vss_job *jobs, uint32_t limit_ms,
    uint32_t hold_ms)
{
	uint32_t i;

	hvk_zero(v, sizeof(*v));
	v->job = jobs;
	v->limit_ms = limit_ms;
	v->hold_ms = hold_ms;
	v->thaw_by = UINT64_MAX;
	for (i = 0; i < HVK_VSS_JOBS; i++) {
		jobs[i].used = false;
		jobs[i].over = false;
	}
}

static bool
any_frozen(const struct hvk_vss *v)
{
	return (v->frozen[HVK_VSS_APP] || v->frozen[HVK_VSS_FS]);
}

/* The job that parties see now: the oldest that is not over. */
static struct hvk_vss_job *
current(struct hvk_vss *v)
{
	struct hvk_vss_job *best = NULL, *j;
	uint32_t i;

	for (i = 0; i < HVK_VSS_JOBS; i++) {
		j = &v->job[i];
		if (j->used && !j->over &&
		    (best == NULL || j->order < best->order))
			best = j;
	}
	return (best);
}

static enum hvk_vss_party
party_of(const struct hvk_vss_job *j)
{
	/* FREEZE and CHECK: application first; THAW: file systems first. */
	return ((j->op == HVK_VSS_THAW) == (j->stage == 0) ? HVK_VSS_FS :
	    HVK_VSS_APP);
}

static void
freeze_over(struct hvk_vss *v)
{
	v->thaw_by = any_frozen(v) ? v->thaw_by : UINT64_MAX;
}

static void
end(struct hvk_vss *v, struct hvk_vss_job *j, uint32_t status)
{
	uint32_t flags = HVK_VSS_HOT_BACKUP | HVK_VSS_NO_RECOVERY;

	if (j->internal) {
		j->used = false;
		return;
	}
	if (status == HVK_IC_OK && j->op == HVK_VSS_CHECK)
		hvk_copy(hvk_ic_body(&j->message) +
		    offsetof(struct hvk_vss_message, flags), &flags,
		    sizeof(flags));
	if (status != HVK_IC_OK)
		v->failed++;
	hvk_ic_answer(&j->message, status);
	j->over = true;
}

static struct hvk_vss_job *
add(struct hvk_vss *v, uint8_t op, bool internal, uint64_t now)
{
	struct hvk_vss_job *j;
	uint32_t i;

	for (i = 0; i < HVK_VSS_JOBS && v->job[i].used; i++)
		continue;
	/* The last place is kept for a thaw of our own. */
	if (i == HVK_VSS_JOBS || (!internal && i == HVK_VSS_JOBS - 1))
		return (NULL);
	j = &v->job[i];
	j->used = true;
	j->over = false;
	j->internal = internal;
	j->given = false;
	j->op = op;
	j->stage = 0;
	j->id = ++v->next_id;
	j->order = v->order++;
	j->deadline = now + v->limit_ms;
	return (j);
}

/* Thaw without being asked; once is enough. */
static void
thaw(struct hvk_vss *v, uint64_t now)
{
	uint32_t i;

	v->spoilt = true;
	for (i = 0; i < HVK_VSS_JOBS; i++) {
		if (v->job[i].used && !v->job[i].over &&
		    v->job[i].op == HVK_VSS_THAW && !v->job[i].given &&
		    v->job[i].stage == 0)
			return;
	}
	if (add(v, HVK_VSS_THAW, true, now) != NULL)
		v->thaws++;
	else
		v->thaw_by = now;	/* no place: the next tick tries again */
}

static void
finish(struct hvk_vss *v, struct hvk_vss_job *j)
{
	bool ok = true;

	if (j->op == HVK_VSS_THAW && !j->internal) {
		/* A frozen state that was lost meanwhile is no backup. */
		ok = !v->spoilt;
		v->spoilt = false;
	}
	/* Frozen for a host that is not there any more: thaw at once. */
	if (j->internal && j->op == HVK_VSS_FREEZE)
		v->thaw_by = 0;
	end(v, j, ok ? HVK_IC_OK : HVK_IC_FAIL);
	freeze_over(v);
}

/* Past the parties that need not be asked. */
static void
advance(struct hvk_vss *v)
{
	struct hvk_vss_job *j;

	while ((j = current(v)) != NULL && !j->given) {
		if (j->stage == HVK_VSS_NPARTIES)
			finish(v, j);
		else if (party_of(j) == HVK_VSS_APP && !v->open[HVK_VSS_APP])
			j->stage++;
		else if (j->internal && j->op == HVK_VSS_THAW &&
		    !v->open[party_of(j)])
			j->stage++;	/* nobody there who is frozen */
		else
			break;
	}
}

/* It failed or timed out: whatever may be frozen is thawed. */
static void
fail(struct hvk_vss *v, struct hvk_vss_job *j, uint32_t status, uint64_t now)
{
	bool freeze = j->op == HVK_VSS_FREEZE;

	if (freeze && j->given)
		v->late_id[party_of(j)] = j->id;
	if (freeze && j->given)
		v->frozen[party_of(j)] = v->open[party_of(j)];
	end(v, j, status);
	if (freeze && any_frozen(v))
		thaw(v, now);
}

bool
hvk_vss_request(struct hvk_vss *v, struct hvk_ic *ic,
    struct hvk_ic_message *m, uint64_t now)
{
	struct hvk_vss_job *j;
	struct hvk_rd rd;
	uint32_t flags = 0;
	uint8_t op;

	hvk_rd_init(&rd, hvk_ic_body(m), hvk_ic_body_len(m));
	op = hvk_rd_u8(&rd);
	hvk_rd_skip(&rd, sizeof(struct hvk_vss_message) - 1);
	if (!hvk_rd_ok(&rd)) {
		ic->refused++;
		hvk_ic_answer(m, HVK_IC_BAD_ARGUMENT);
		return (true);
	}
	if (op == HVK_VSS_DEVICES) {
		hvk_copy(hvk_ic_body(m) +
		    offsetof(struct hvk_vss_message, flags), &flags,
		    sizeof(flags));
		hvk_ic_answer(m, HVK_IC_OK);
		return (true);
	}
	if (op != HVK_VSS_CHECK && op != HVK_VSS_FREEZE &&
	    op != HVK_VSS_THAW) {
		ic->refused++;
		hvk_ic_answer(m, HVK_IC_NOT_SUPPORTED);
		return (true);
	}
	/* Frozen twice: the first one's thaw was lost. */
	if (op == HVK_VSS_FREEZE && any_frozen(v))
		thaw(v, now);
	j = add(v, op, false, now);
	if (j == NULL) {
		ic->refused++;
		hvk_ic_answer(m, HVK_IC_FAIL);
		return (true);
	}
	if (op == HVK_VSS_FREEZE)
		v->spoilt = false;
	v->requests++;
	j->message.len = m->len;
	hvk_copy(j->message.bytes, m->bytes, m->len);
	advance(v);
	return (false);
}

void
hvk_vss_party(struct hvk_vss *v, enum hvk_vss_party p, bool open,
    uint64_t now)
{
	struct hvk_vss_job *j;

	v->open[p] = open;
	if (!open) {
		/* What it froze thawed when it died. */
		v->late_id[p] = 0;
		if (v->frozen[p]) {
			v->frozen[p] = false;
			v->spoilt = true;
			if (any_frozen(v))
				thaw(v, now);
			freeze_over(v);
		}
		j = current(v);
		if (j != NULL && j->given && party_of(j) == p) {
			if (j->op == HVK_VSS_THAW) {
				j->given = false;
				j->stage++;
			} else
				fail(v, j, HVK_IC_FAIL, now);
		}
	}
	advance(v);
}

bool
hvk_vss_waiting(struct hvk_vss *v, enum hvk_vss_party p)
{
	struct hvk_vss_job *j;

	advance(v);
	j = current(v);
	return (j != NULL && !j->given && v->open[p] && party_of(j) == p);
}

int
hvk_vss_take(struct hvk_vss *v, enum hvk_vss_party p, uint8_t *op,
    uint64_t *id)
{
	struct hvk_vss_job *j;

	if (!hvk_vss_waiting(v, p))
		return (HVK_AGAIN);
	j = current(v);
	j->given = true;
	*op = j->op;
	*id = j->id;
	return (HVK_OK);
}

int
hvk_vss_done(struct hvk_vss *v, enum hvk_vss_party p, uint64_t id, bool ok,
    uint64_t now)
{
	struct hvk_vss_job *j = current(v);

	if (j == NULL || !j->given || j->id != id || party_of(j) != p) {
		v->stale++;
		/*
		 * A freeze that took too long and succeeded after all.  If it
		 * did not, an earlier one may still hold: thawed all the same.
		 */
		if (id != 0 && id == v->late_id[p]) {
			v->late_id[p] = 0;
			if (ok)
				v->frozen[p] = true;
			if (v->frozen[p])
				thaw(v, now);
			advance(v);
		}
		return (HVK_REJECT);
	}
	j->given = false;
	if (!ok && j->op != HVK_VSS_THAW) {
		fail(v, j, HVK_IC_FAIL, now);
		advance(v);
		return (HVK_OK);
	}
	if (j->op == HVK_VSS_FREEZE) {
		v->frozen[p] = true;
		v->thaw_by = now + v->hold_ms;
	} else if (j->op == HVK_VSS_THAW) {
		/* Not thawed: said so, and tried again later. */
		v->frozen[p] = !ok;
		if (!ok) {
			v->spoilt = true;
			v->thaw_by = now + v->limit_ms;
		}
	}
	j->stage++;
	advance(v);
	return (HVK_OK);
}

void
hvk_vss_lost(struct hvk_vss *v, uint64_t now)
{
	struct hvk_vss_job *j;
	uint32_t i;

	v->sent = NULL;
	for (i = 0; i < HVK_VSS_JOBS; i++) {
		j = &v->job[i];
		if (!j->used)
			continue;
		if (j->over)
			j->used = false;	/* nobody waits for it */
		else
			j->internal = true;
	}
	if (any_frozen(v))
		thaw(v, now);
	advance(v);
}

uint64_t
hvk_vss_deadline(const struct hvk_vss *v)
{
	uint64_t first = v->thaw_by;
	uint32_t i;

	for (i = 0; i < HVK_VSS_JOBS; i++) {
		if (v->job[i].used && !v->job[i].over &&
		    v->job[i].deadline < first)
			first = v->job[i].deadline;
	}
	return (first);
}

void
hvk_vss_tick(struct hvk_vss *v, uint64_t now)
{
	struct hvk_vss_job *j;
	uint32_t i;

	for (i = 0; i < HVK_VSS_JOBS; i++) {
		j = &v->job[i];
		if (!j->used || j->over || j->deadline > now)
			continue;
		v->timeouts++;
		if (j->op == HVK_VSS_THAW && any_frozen(v))
			v->thaw_by = now + v->limit_ms;
		fail(v, j, !j->given && !v->open[HVK_VSS_FS] ?
		    HVK_IC_NOT_CONNECTED : HVK_IC_FAIL, now);
	}
	if (v->thaw_by <= now) {
		v->thaw_by = any_frozen(v) ? now + v->limit_ms : UINT64_MAX;
		if (any_frozen(v))
			thaw(v, now);
	}
	advance(v);
}

struct hvk_ic_message *
hvk_vss_reply(struct hvk_vss *v)
{
	uint32_t i;

	if (v->sent != NULL) {
		v->sent->used = false;
		v->sent->over = false;
		v->sent = NULL;
	}
	for (i = 0; i < HVK_VSS_JOBS; i++) {
		if (v->job[i].used && v->job[i].over) {
			v->sent = &v->job[i];
			return (&v->job[i].message);
		}
	}
	return (NULL);
}
