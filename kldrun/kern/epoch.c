/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * epoch.c: epoch(9). Each thread has a word in each epoch: how deep it is in
 * sections, and a count that moves whenever the outermost one ends. A waiter
 * notes the threads that are inside and waits until each has moved on.
 */

#include "kern.h"
#include <sys/epoch.h>
#include <sys/taskqueue.h>

struct section {
	volatile os_u32 depth;
	volatile os_u32 count;
};

struct deferred {
	struct deferred *next;
	epoch_callback_t *cb;
};
_Static_assert(sizeof(struct deferred) <= sizeof(struct epoch_context),
    "a deferred call is kept in its context");

struct epoch {
	const char *name;
	struct section *sec;		/* [KLD_MAXTHREADS] */
	struct os_lock lock;
	struct deferred *calls, **tail;
	struct task task;
};

epoch_t net_epoch_preempt;
epoch_t global_epoch;
epoch_t global_epoch_preempt;

static void run_calls(void *arg, int pending);

epoch_t
epoch_alloc(const char *name, int flags)
{
	epoch_t e;

	e = os_alloc(sizeof(*e));
	memset(e, 0, sizeof(*e));
	e->name = name;
	e->sec = os_reserve(KLD_MAXTHREADS * sizeof(*e->sec));
	e->tail = &e->calls;
	TASK_INIT(&e->task, 0, run_calls, e);
	return (e);
}

void
epoch_free(epoch_t e)
{
	epoch_drain_callbacks(e);
}

static void
enter(epoch_t e)
{
	struct section *s;

	s = &e->sec[kld_self()->slot];
	s->depth++;
	atomic_thread_fence_seq_cst();
}

static void
leave(epoch_t e)
{
	struct section *s;

	s = &e->sec[kld_self()->slot];
	if (s->depth == 0)
		panic("epoch %s: exit without enter", e->name);
	if (s->depth == 1)
		atomic_store_rel_int(&s->count, s->count + 1);
	atomic_store_rel_int(&s->depth, s->depth - 1);
}

void
epoch_enter(epoch_t e)
{
	critical_enter();
	enter(e);
}

void
epoch_exit(epoch_t e)
{
	leave(e);
	critical_exit();
}

void
_epoch_enter_preempt(epoch_t e, epoch_tracker_t et)
{
	enter(e);
}

void
_epoch_exit_preempt(epoch_t e, epoch_tracker_t et)
{
	leave(e);
}

int
in_epoch(epoch_t e)
{
	return (e->sec[kld_self()->slot].depth != 0);
}

int
in_epoch_verbose(epoch_t e, int dump)
{
	return (in_epoch(e));
}

void
epoch_wait_preempt(epoch_t e)
{
	os_u32 seen;
	int i;

	kld_assert_may_sleep("epoch_wait", NULL);
	if (in_epoch(e))
		panic("epoch %s: wait inside a section", e->name);
	atomic_thread_fence_seq_cst();
	for (i = 0; i < KLD_MAXTHREADS; i++) {
		seen = atomic_load_acq_int(&e->sec[i].count);
		while (atomic_load_acq_int(&e->sec[i].depth) != 0 &&
		    atomic_load_acq_int(&e->sec[i].count) == seen)
			os_sleep_until(os_monotonic_ns() + 100000);
	}
}

void
epoch_wait(epoch_t e)
{
	epoch_wait_preempt(e);
}

static void
run_calls(void *arg, int pending)
{
	struct deferred *d, *next;
	epoch_t e;

	e = arg;
	os_lock(&e->lock);
	d = e->calls;
	e->calls = NULL;
	e->tail = &e->calls;
	os_unlock(&e->lock);
	if (d == NULL)
		return;
	epoch_wait_preempt(e);
	for (; d != NULL; d = next) {
		next = d->next;
		d->cb((epoch_context_t)d);
	}
}

void
epoch_call(epoch_t e, epoch_callback_t cb, epoch_context_t ctx)
{
	struct deferred *d;

	d = (struct deferred *)ctx;
	d->cb = cb;
	d->next = NULL;
	os_lock(&e->lock);
	*e->tail = d;
	e->tail = &d->next;
	os_unlock(&e->lock);
	taskqueue_enqueue(taskqueue_thread, &e->task);
}

void
epoch_drain_callbacks(epoch_t e)
{
	taskqueue_drain(taskqueue_thread, &e->task);
	run_calls(e, 0);
}

static void
epoch_boot(void *arg)
{
	net_epoch_preempt = epoch_alloc("Net preemptible", EPOCH_PREEMPT);
	global_epoch = epoch_alloc("Global", 0);
	global_epoch_preempt = epoch_alloc("Global preemptible",
	    EPOCH_PREEMPT);
}
SYSINIT(epoch, SI_SUB_LOCK, SI_ORDER_SECOND, epoch_boot, NULL);
