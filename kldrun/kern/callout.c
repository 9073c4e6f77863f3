/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * callout.c: callout(9). One thread keeps a list sorted by time; most callouts
 * of a driver have the same timeout, so inserting from the tail is cheap.
 *
 * All state is guarded by co_lock; a callout's own lock (callout_init_mtx) is
 * taken after co_lock was released, and `cancelled` tells the thread that a
 * stop or reset came in between.
 */

#include "kern.h"
#include <sys/callout.h>
#include <sys/time.h>

static struct os_lock co_lock;
static TAILQ_HEAD(, callout) co_list = TAILQ_HEAD_INITIALIZER(co_list);
static struct callout *co_current;
static bool co_cancelled, co_entered;
static struct thread *co_thread;
static volatile os_u32 co_kick;
static volatile os_u32 co_done;

static void
list_insert(struct callout *c)
{
	struct callout *at;

	TAILQ_FOREACH_REVERSE(at, &co_list, callout_tailq, c_links.tqe)
		if (at->c_time <= c->c_time)
			break;
	if (at != NULL)
		TAILQ_INSERT_AFTER(&co_list, at, c, c_links.tqe);
	else
		TAILQ_INSERT_HEAD(&co_list, c, c_links.tqe);
	c->c_iflags |= CALLOUT_PENDING;
}

static void
run_one(struct callout *c)
{
	struct lock_object *lock;
	callout_func_t *func;
	void *arg;
	int flags;

	TAILQ_REMOVE(&co_list, c, c_links.tqe);
	c->c_iflags &= ~CALLOUT_PENDING;
	co_current = c;
	co_cancelled = co_entered = false;
	lock = c->c_lock;
	func = c->c_func;
	arg = c->c_arg;
	flags = c->c_iflags;
	if (c->c_cpu >= 0)
		kld_set_cpu(c->c_cpu);
	os_unlock(&co_lock);
	if (lock != NULL)
		kld_lock_acquire(lock, (flags & CALLOUT_SHAREDLOCK) != 0);
	os_lock(&co_lock);
	co_entered = !co_cancelled;
	os_unlock(&co_lock);
	if (co_entered)
		func(arg);
	if (lock != NULL && (!co_entered ||
	    (flags & CALLOUT_RETURNUNLOCKED) == 0)) {
		uintptr_t how;

		kld_lock_release(lock, &how);
	}
	if (kld_self()->nheld != 0 || curthread->td_critnest != 0)
		panic("callout returned with a lock held");
	os_lock(&co_lock);
	co_current = NULL;
	co_done++;
	os_futex_wake(&co_done, INT_MAX);
}

static void
callout_main(void *arg)
{
	struct callout *c;
	os_u64 until;
	os_u32 kick;

	co_thread = curthread;
	os_lock(&co_lock);
	for (;;) {
		c = TAILQ_FIRST(&co_list);
		if (c != NULL && c->c_time <= sbinuptime()) {
			run_one(c);
			continue;
		}
		until = 0;
		if (c != NULL)
			until = (os_u64)(c->c_time >> 32) * 1000000000ul +
			    (((os_u64)(uint32_t)c->c_time * 1000000000ul) >>
			    32) + 1;
		kick = co_kick;
		os_unlock(&co_lock);
		os_futex_wait(&co_kick, kick, until);
		os_lock(&co_lock);
	}
}

void
kld_callout_boot(void)
{
	kld_thread_start(callout_main, NULL, 0, NULL, NULL, "clock");
}

void
callout_init(struct callout *c, int mpsafe)
{
	memset(c, 0, sizeof(*c));
	c->c_cpu = -1;
	if (!mpsafe)
		panic("kldrun: callout_init under Giant is not provided");
}

void
_callout_init_lock(struct callout *c, struct lock_object *lock, int flags)
{
	memset(c, 0, sizeof(*c));
	c->c_lock = lock;
	c->c_cpu = -1;
	c->c_iflags = flags & (CALLOUT_RETURNUNLOCKED | CALLOUT_SHAREDLOCK);
	if (lock == NULL)
		panic("kldrun: callout under Giant is not provided");
}

void
callout_when(sbintime_t sbt, sbintime_t precision, int flags,
    sbintime_t *sbt_res, sbintime_t *precision_res)
{
	if ((flags & (C_ABSOLUTE | C_PRECALC)) == 0)
		sbt += sbinuptime();
	*sbt_res = sbt;
	*precision_res = precision;
}

/* With co_lock held: whether a run that has not entered was called off. */
static bool
call_off(struct callout *c)
{
	if (co_current != c || co_entered || co_cancelled || c->c_lock == NULL)
		return (false);
	co_cancelled = true;
	return (true);
}

int
callout_reset_sbt_on(struct callout *c, sbintime_t sbt, sbintime_t prec,
    callout_func_t *ftn, void *arg, int cpu, int flags)
{
	sbintime_t when;
	int cancelled;
	bool first;

	callout_when(sbt, prec, flags, &when, &prec);
	os_lock(&co_lock);
	cancelled = call_off(c);
	if ((c->c_iflags & CALLOUT_PENDING) != 0) {
		TAILQ_REMOVE(&co_list, c, c_links.tqe);
		cancelled = 1;
	}
	c->c_time = when;
	c->c_func = ftn;
	c->c_arg = arg;
	c->c_flags |= CALLOUT_ACTIVE;
	if (cpu >= 0)
		c->c_cpu = cpu;
	list_insert(c);
	first = TAILQ_FIRST(&co_list) == c;
	if (first)
		co_kick++;
	os_unlock(&co_lock);
	if (first)
		os_futex_wake(&co_kick, 1);
	return (cancelled);
}

int
callout_schedule_on(struct callout *c, int to_ticks, int cpu)
{
	return (callout_reset_on(c, to_ticks, c->c_func, c->c_arg, cpu));
}

int
callout_schedule(struct callout *c, int to_ticks)
{
	return (callout_schedule_on(c, to_ticks, -1));
}

int
_callout_stop_safe(struct callout *c, int flags)
{
	os_u32 done;
	int result;

	if ((flags & CS_DRAIN) != 0)
		kld_assert_may_sleep("callout_drain", c->c_lock);
	os_lock(&co_lock);
	c->c_flags &= ~CALLOUT_ACTIVE;
	result = -1;
	if ((c->c_iflags & CALLOUT_PENDING) != 0) {
		TAILQ_REMOVE(&co_list, c, c_links.tqe);
		c->c_iflags &= ~CALLOUT_PENDING;
		result = 1;
	}
	if (co_current == c && co_thread != curthread) {
		if ((flags & CS_DRAIN) == 0)
			result = call_off(c) ? 1 : 0;
		else
			while (co_current == c) {
				call_off(c);
				done = co_done;
				os_unlock(&co_lock);
				os_futex_wait(&co_done, done, 0);
				os_lock(&co_lock);
				result = 0;
			}
	} else if (co_current == c && result == -1)
		result = 0;
	os_unlock(&co_lock);
	return (result);
}
