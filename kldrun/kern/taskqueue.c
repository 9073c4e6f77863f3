/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * taskqueue.c: taskqueue(9), fast and not, with threads, CPU sets, timeout
 * tasks, drain and cancel.
 *
 * A queue is guarded by its own spin mutex, so it may be used from interrupt
 * handlers and under spin mutexes; a task runs without it. Threads of a queue
 * wait on its address.
 */

#include "kern.h"
#include <sys/cpuset.h>
#include <sys/epoch.h>
#include <sys/kthread.h>
#include <sys/stdarg.h>
#include <sys/taskqueue.h>

#define	TQ_ACTIVE	1
#define	TQ_BLOCKED	2

struct busy {
	LIST_ENTRY(busy) link;
	struct task *running;
	struct thread *td;
	u_int seq;
};

struct taskqueue {
	struct mtx tq_mutex;
	STAILQ_HEAD(, task) tq_queue;
	LIST_HEAD(, busy) tq_busy;
	taskqueue_enqueue_fn tq_enqueue;
	void *tq_context;
	char tq_name[32];
	int tq_threads, tq_flags, tq_sleepers;
	u_int tq_seq;
	taskqueue_callback_fn tq_init, tq_shutdown;
	void *tq_init_arg, *tq_shutdown_arg;
};

MALLOC_DEFINE(M_TASKQUEUE, "taskqueue", "Task Queues");

static struct taskqueue *
queue_new(const char *name, int mflags, taskqueue_enqueue_fn enqueue,
    void *context, void *caller)
{
	struct taskqueue *q;

	/* kldrun's own CAM has queues that live until the process ends. */
	q = kld_malloc_caller(sizeof(*q), os_in_module(caller) ?
	    M_TASKQUEUE : M_KLDRUN, mflags | M_ZERO, caller);
	if (q == NULL)
		return (NULL);
	mtx_init(&q->tq_mutex, "taskqueue", NULL, MTX_SPIN);
	STAILQ_INIT(&q->tq_queue);
	LIST_INIT(&q->tq_busy);
	strlcpy(q->tq_name, name != NULL ? name : "taskqueue",
	    sizeof(q->tq_name));
	q->tq_enqueue = enqueue;
	q->tq_context = context;
	q->tq_flags = TQ_ACTIVE;
	return (q);
}

struct taskqueue *
taskqueue_create(const char *name, int mflags, taskqueue_enqueue_fn enqueue,
    void *context)
{
	return (queue_new(name, mflags, enqueue, context,
	    __builtin_return_address(0)));
}

struct taskqueue *
taskqueue_create_fast(const char *name, int mflags,
    taskqueue_enqueue_fn enqueue, void *context)
{
	return (queue_new(name, mflags, enqueue, context,
	    __builtin_return_address(0)));
}

void
taskqueue_set_callback(struct taskqueue *q, enum taskqueue_callback_type type,
    taskqueue_callback_fn callback, void *context)
{
	if (type == TASKQUEUE_CALLBACK_TYPE_INIT) {
		q->tq_init = callback;
		q->tq_init_arg = context;
	} else {
		q->tq_shutdown = callback;
		q->tq_shutdown_arg = context;
	}
}

void
taskqueue_thread_enqueue(void *context)
{
	struct taskqueue **tqp;

	tqp = context;
	wakeup_any(*tqp);
}

/* Returns with the queue unlocked. */
static void
queue_insert(struct taskqueue *q, struct task *task)
{
	struct task *at, *prev;
	bool kick;

	prev = NULL;
	if (!STAILQ_EMPTY(&q->tq_queue) &&
	    STAILQ_LAST(&q->tq_queue, task, ta_link)->ta_priority <
	    task->ta_priority)
		STAILQ_FOREACH(at, &q->tq_queue, ta_link) {
			if (at->ta_priority < task->ta_priority)
				break;
			prev = at;
		}
	else
		prev = STAILQ_LAST(&q->tq_queue, task, ta_link);
	if (prev != NULL)
		STAILQ_INSERT_AFTER(&q->tq_queue, prev, task, ta_link);
	else
		STAILQ_INSERT_HEAD(&q->tq_queue, task, ta_link);
	task->ta_pending = 1;
	kick = (q->tq_flags & TQ_BLOCKED) == 0 &&
	    (q->tq_sleepers > 0 || q->tq_threads == 0);
	mtx_unlock_spin(&q->tq_mutex);
	if (kick && q->tq_enqueue != NULL)
		q->tq_enqueue(q->tq_context);
}

int
taskqueue_enqueue_flags(struct taskqueue *q, struct task *task, int flags)
{
	mtx_lock_spin(&q->tq_mutex);
	if ((flags & TASKQUEUE_FAIL_IF_PENDING) != 0 && task->ta_pending > 0) {
		mtx_unlock_spin(&q->tq_mutex);
		return (EEXIST);
	}
	if (task->ta_pending > 0) {
		if (task->ta_pending < USHRT_MAX)
			task->ta_pending++;
		mtx_unlock_spin(&q->tq_mutex);
		return (0);
	}
	queue_insert(q, task);
	return (0);
}

int
taskqueue_enqueue(struct taskqueue *q, struct task *task)
{
	return (taskqueue_enqueue_flags(q, task, 0));
}

static void
run_locked(struct taskqueue *q)
{
	struct busy b;
	struct task *task;
	int pending;

	b.td = curthread;
	while ((q->tq_flags & TQ_BLOCKED) == 0 &&
	    (task = STAILQ_FIRST(&q->tq_queue)) != NULL) {
		STAILQ_REMOVE_HEAD(&q->tq_queue, ta_link);
		pending = task->ta_pending;
		task->ta_pending = 0;
		b.running = task;
		b.seq = ++q->tq_seq;
		LIST_INSERT_HEAD(&q->tq_busy, &b, link);
		mtx_unlock_spin(&q->tq_mutex);
		if (TASK_IS_NET(task)) {
			struct epoch_tracker et;

			NET_EPOCH_ENTER(et);
			task->ta_func(task->ta_context, pending);
			NET_EPOCH_EXIT(et);
		} else
			task->ta_func(task->ta_context, pending);
		if (curthread->td_critnest != 0 || kld_self()->nheld != 0)
			panic("task of taskqueue \"%s\" returned with a lock "
			    "held", q->tq_name);
		mtx_lock_spin(&q->tq_mutex);
		LIST_REMOVE(&b, link);
		wakeup(task);
		wakeup(&q->tq_seq);
	}
}

void
taskqueue_run(struct taskqueue *q)
{
	mtx_lock_spin(&q->tq_mutex);
	run_locked(q);
	mtx_unlock_spin(&q->tq_mutex);
}

void
taskqueue_thread_loop(void *arg)
{
	struct taskqueue *q;

	q = *(struct taskqueue **)arg;
	if (q->tq_init != NULL)
		q->tq_init(q->tq_init_arg);
	mtx_lock_spin(&q->tq_mutex);
	while ((q->tq_flags & TQ_ACTIVE) != 0) {
		run_locked(q);
		if ((q->tq_flags & TQ_ACTIVE) == 0)
			break;
		q->tq_sleepers++;
		msleep_spin(q, &q->tq_mutex, "-", 0);
		q->tq_sleepers--;
	}
	run_locked(q);
	mtx_unlock_spin(&q->tq_mutex);
	if (q->tq_shutdown != NULL)
		q->tq_shutdown(q->tq_shutdown_arg);
	mtx_lock_spin(&q->tq_mutex);
	q->tq_threads--;
	wakeup(&q->tq_threads);
	mtx_unlock_spin(&q->tq_mutex);
	kthread_exit();
}

static int
start_threads(struct taskqueue **tqp, int count, cpuset_t *mask,
    struct proc *p, const char *name, va_list ap)
{
	char base[MAXCOMLEN + 1], full[MAXCOMLEN + 8];
	struct taskqueue *q;
	int error, i;

	if (count <= 0)
		return (EINVAL);
	vsnprintf(base, sizeof(base), name, ap);
	q = *tqp;
	for (i = 0; i < count; i++) {
		if (count == 1)
			strlcpy(full, base, sizeof(full));
		else
			snprintf(full, sizeof(full), "%s_%d", base, i);
		mtx_lock_spin(&q->tq_mutex);
		q->tq_threads++;
		mtx_unlock_spin(&q->tq_mutex);
		error = kld_thread_start(taskqueue_thread_loop, tqp,
		    mask != NULL && !CPU_EMPTY(mask) ? CPU_FFS(mask) - 1 : -1,
		    p, NULL, full);
		if (error != 0) {
			mtx_lock_spin(&q->tq_mutex);
			q->tq_threads--;
			mtx_unlock_spin(&q->tq_mutex);
			return (error);
		}
	}
	return (0);
}

int
taskqueue_start_threads(struct taskqueue **tqp, int count, int pri,
    const char *name, ...)
{
	va_list ap;
	int error;

	va_start(ap, name);
	error = start_threads(tqp, count, NULL, NULL, name, ap);
	va_end(ap);
	return (error);
}

int
taskqueue_start_threads_in_proc(struct taskqueue **tqp, int count, int pri,
    struct proc *p, const char *name, ...)
{
	va_list ap;
	int error;

	va_start(ap, name);
	error = start_threads(tqp, count, NULL, p, name, ap);
	va_end(ap);
	return (error);
}

int
taskqueue_start_threads_cpuset(struct taskqueue **tqp, int count, int pri,
    cpuset_t *mask, const char *name, ...)
{
	va_list ap;
	int error;

	va_start(ap, name);
	error = start_threads(tqp, count, mask, NULL, name, ap);
	va_end(ap);
	return (error);
}

void
taskqueue_free(struct taskqueue *q)
{
	mtx_lock_spin(&q->tq_mutex);
	q->tq_flags &= ~TQ_ACTIVE;
	q->tq_flags &= ~TQ_BLOCKED;
	while (q->tq_threads > 0) {
		wakeup(q);
		msleep_spin(&q->tq_threads, &q->tq_mutex, "tqfree", hz / 10);
	}
	if (!STAILQ_EMPTY(&q->tq_queue) && q->tq_enqueue == NULL)
		panic("taskqueue \"%s\" freed with tasks", q->tq_name);
	mtx_unlock_spin(&q->tq_mutex);
	mtx_destroy(&q->tq_mutex);
	free(q, M_TASKQUEUE);
}

void
taskqueue_block(struct taskqueue *q)
{
	mtx_lock_spin(&q->tq_mutex);
	q->tq_flags |= TQ_BLOCKED;
	mtx_unlock_spin(&q->tq_mutex);
}

void
taskqueue_unblock(struct taskqueue *q)
{
	mtx_lock_spin(&q->tq_mutex);
	q->tq_flags &= ~TQ_BLOCKED;
	mtx_unlock_spin(&q->tq_mutex);
	wakeup(q);
}

int
taskqueue_member(struct taskqueue *q, struct thread *td)
{
	struct busy *b;

	/* Threads are not listed: a member is one that runs a task here. */
	mtx_lock_spin(&q->tq_mutex);
	LIST_FOREACH(b, &q->tq_busy, link)
		if (b->td == td)
			break;
	mtx_unlock_spin(&q->tq_mutex);
	return (b != NULL);
}

static bool
is_running(struct taskqueue *q, struct task *task)
{
	struct busy *b;

	LIST_FOREACH(b, &q->tq_busy, link)
		if (b->running == task)
			return (true);
	return (false);
}

int
taskqueue_poll_is_busy(struct taskqueue *q, struct task *task)
{
	int busy;

	mtx_lock_spin(&q->tq_mutex);
	busy = task->ta_pending > 0 || is_running(q, task);
	mtx_unlock_spin(&q->tq_mutex);
	return (busy);
}

static int
cancel_locked(struct taskqueue *q, struct task *task, u_int *pendp)
{
	if (task->ta_pending > 0)
		STAILQ_REMOVE(&q->tq_queue, task, task, ta_link);
	if (pendp != NULL)
		*pendp = task->ta_pending;
	task->ta_pending = 0;
	return (is_running(q, task) ? EBUSY : 0);
}

int
taskqueue_cancel(struct taskqueue *q, struct task *task, u_int *pendp)
{
	int error;

	mtx_lock_spin(&q->tq_mutex);
	error = cancel_locked(q, task, pendp);
	mtx_unlock_spin(&q->tq_mutex);
	return (error);
}

void
taskqueue_drain(struct taskqueue *q, struct task *task)
{
	struct busy *b;

	kld_assert_may_sleep("taskqueue_drain", NULL);
	mtx_lock_spin(&q->tq_mutex);
	LIST_FOREACH(b, &q->tq_busy, link)
		if (b->running == task && b->td == curthread)
			panic("taskqueue_drain of a task by itself");
	while (task->ta_pending > 0 || is_running(q, task))
		msleep_spin(task, &q->tq_mutex, "tq_drain", 0);
	mtx_unlock_spin(&q->tq_mutex);
}

static void
task_nothing(void *context, int pending)
{
}

/* Waits for what is queued and running now, not for what comes later. */
void
taskqueue_drain_all(struct taskqueue *q)
{
	struct task marker;

	kld_assert_may_sleep("taskqueue_drain_all", NULL);
	TASK_INIT(&marker, 0, task_nothing,
	    NULL);
	mtx_lock_spin(&q->tq_mutex);
	if (q->tq_threads > 0 && !STAILQ_EMPTY(&q->tq_queue)) {
		queue_insert(q, &marker);
		taskqueue_drain(q, &marker);
		mtx_lock_spin(&q->tq_mutex);
	}
	u_int seq = q->tq_seq;
	for (;;) {
		struct busy *b;

		LIST_FOREACH(b, &q->tq_busy, link)
			if ((int)(b->seq - seq) <= 0 && b->td != curthread)
				break;
		if (b == NULL)
			break;
		msleep_spin(&q->tq_seq, &q->tq_mutex, "tq_adrain", 0);
	}
	mtx_unlock_spin(&q->tq_mutex);
}

void
taskqueue_quiesce(struct taskqueue *q)
{
	mtx_lock_spin(&q->tq_mutex);
	while (!STAILQ_EMPTY(&q->tq_queue) || !LIST_EMPTY(&q->tq_busy))
		msleep_spin(&q->tq_seq, &q->tq_mutex, "tq_quiet", hz / 100);
	mtx_unlock_spin(&q->tq_mutex);
}

/* Timeout tasks. tt->f: 1 armed, 2 being drained. */

static void
timeout_fire(void *arg)
{
	struct timeout_task *tt;

	tt = arg;
	mtx_lock_spin(&tt->q->tq_mutex);
	if ((tt->f & 1) == 0) {
		mtx_unlock_spin(&tt->q->tq_mutex);
		return;
	}
	tt->f &= ~1;
	if (tt->t.ta_pending > 0) {
		tt->t.ta_pending++;
		mtx_unlock_spin(&tt->q->tq_mutex);
		return;
	}
	queue_insert(tt->q, &tt->t);
}

void
_timeout_task_init(struct taskqueue *q, struct timeout_task *tt, int priority,
    task_fn_t func, void *context)
{
	TASK_INIT(&tt->t, priority, func, context);
	callout_init(&tt->c, 1);
	tt->q = q;
	tt->f = 0;
}

int
taskqueue_enqueue_timeout_sbt(struct taskqueue *q, struct timeout_task *tt,
    sbintime_t sbt, sbintime_t pr, int flags)
{
	int res;

	mtx_lock_spin(&q->tq_mutex);
	if ((tt->f & 2) != 0) {
		mtx_unlock_spin(&q->tq_mutex);
		return (-1);
	}
	res = tt->t.ta_pending;
	if (sbt == 0) {
		if (tt->t.ta_pending > 0) {
			tt->t.ta_pending++;
			mtx_unlock_spin(&q->tq_mutex);
		} else
			queue_insert(q, &tt->t);
		return (res);
	}
	if ((tt->f & 1) != 0)
		res++;
	else
		tt->f |= 1;
	mtx_unlock_spin(&q->tq_mutex);
	callout_reset_sbt(&tt->c, sbt < 0 ? -sbt : sbt, pr, timeout_fire, tt,
	    flags);
	return (res);
}

int
taskqueue_enqueue_timeout(struct taskqueue *q, struct timeout_task *tt,
    int ticks)
{
	return (taskqueue_enqueue_timeout_sbt(q, tt, ticks * tick_sbt, 0,
	    C_HARDCLOCK));
}

int
taskqueue_cancel_timeout(struct taskqueue *q, struct timeout_task *tt,
    u_int *pendp)
{
	u_int pending;
	int error;

	callout_stop(&tt->c);
	mtx_lock_spin(&q->tq_mutex);
	error = cancel_locked(q, &tt->t, &pending);
	if ((tt->f & 1) != 0) {
		tt->f &= ~1;
		pending++;
	}
	mtx_unlock_spin(&q->tq_mutex);
	if (pendp != NULL)
		*pendp = pending;
	return (error);
}

void
taskqueue_drain_timeout(struct taskqueue *q, struct timeout_task *tt)
{
	mtx_lock_spin(&q->tq_mutex);
	tt->f |= 2;
	mtx_unlock_spin(&q->tq_mutex);
	callout_drain(&tt->c);
	mtx_lock_spin(&q->tq_mutex);
	tt->f &= ~1;
	mtx_unlock_spin(&q->tq_mutex);
	taskqueue_drain(q, &tt->t);
	mtx_lock_spin(&q->tq_mutex);
	tt->f &= ~2;
	mtx_unlock_spin(&q->tq_mutex);
}

/* The system's queues: kldrun's own memory, alive until the process ends. */
#define	SYSTEM_QUEUE(name)						\
struct taskqueue *taskqueue_##name;					\
static void								\
define_##name(void *arg)						\
{									\
	taskqueue_##name = kld_system_queue(#name, &taskqueue_##name);	\
}									\
SYSINIT(tq_##name, SI_SUB_TASKQ, SI_ORDER_SECOND, define_##name, NULL)

static struct taskqueue *
kld_system_queue(const char *name, struct taskqueue **self)
{
	char full[MAXCOMLEN + 1];
	struct taskqueue *q;

	q = os_alloc(sizeof(*q));
	memset(q, 0, sizeof(*q));
	mtx_init(&q->tq_mutex, "taskqueue", NULL, MTX_SPIN);
	STAILQ_INIT(&q->tq_queue);
	LIST_INIT(&q->tq_busy);
	strlcpy(q->tq_name, name, sizeof(q->tq_name));
	q->tq_enqueue = taskqueue_thread_enqueue;
	q->tq_context = self;
	q->tq_flags = TQ_ACTIVE;
	*self = q;
	snprintf(full, sizeof(full), "%s taskq", name);
	taskqueue_start_threads(self, 1, 0, "%s", full);
	return (q);
}

SYSTEM_QUEUE(thread);
SYSTEM_QUEUE(fast);
SYSTEM_QUEUE(swi);
SYSTEM_QUEUE(swi_giant);
SYSTEM_QUEUE(bus);
