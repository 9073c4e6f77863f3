/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * sleep.c: sleeping and waking: _sleep and wakeup, pause, condvar(9), sema(9).
 *
 * Waiters hang on a hash of channels; each bucket has a lock that is held
 * only to link, unlink and mark. A thread waits on a futex of its own, so a
 * wakeup touches only the threads that it wakes.
 */

#include "kern.h"
#include <sys/condvar.h>
#include <sys/sema.h>
#include <sys/sleepqueue.h>
#include <sys/time.h>

#define	NBUCKETS	256
#define	WAKE_INTR	2	/* kthr.wake: interrupted */

TAILQ_HEAD(waiterq, kthr);
static struct bucket {
	struct os_lock lock;
	bool ready;
	struct waiterq q;
} __aligned(64) buckets[NBUCKETS];

static struct bucket *
bucket_of(const void *wchan)
{
	struct bucket *b;
	uintptr_t h;

	h = (uintptr_t)wchan;
	b = &buckets[(h >> 4 ^ h >> 12) % NBUCKETS];
	os_lock(&b->lock);
	if (!b->ready) {
		TAILQ_INIT(&b->q);
		b->ready = true;
	}
	return (b);
}

/* Absolute deadline in Linux nanoseconds for a relative or absolute sbt. */
static os_u64
deadline_of(sbintime_t sbt, int flags)
{
	os_u64 now, ns;

	if (sbt == 0)
		return (0);
	if ((flags & C_ABSOLUTE) != 0)
		return (sbttons(sbt) + 1);
	now = os_monotonic_ns();
	/* sbttons() overflows beyond 4 s in some versions: do it in parts */
	ns = (os_u64)(sbt >> 32) * 1000000000ul +
	    (((os_u64)(uint32_t)sbt * 1000000000ul) >> 32);
	return (now + ns + 1);
}

/* Sleeping lets go of Giant, however often it is held, and takes it back. */
static int
giant_drop(void)
{
	int n;

	for (n = 0; mtx_owned(&Giant); n++)
		mtx_unlock(&Giant);
	return (n);
}

static void
giant_pickup(int n)
{
	while (n-- > 0)
		mtx_lock(&Giant);
}

/*
 * The one way to sleep. The waiter is queued before `lock` is released, so no
 * wakeup in between is lost.
 */
static int
sleep_on(const void *wchan, struct lock_object *lock, const char *wmesg,
    os_u64 deadline, bool relock, bool catch)
{
	struct bucket *b;
	struct kthr *t;
	uintptr_t how;
	int error, giant;

	giant = lock != &Giant.lock_object ? giant_drop() : 0;
	t = kld_self();
	b = bucket_of(wchan);
	t->wchan = wchan;
	t->wake = 0;
	t->catching = catch;
	t->td.td_wchan = wchan;
	t->td.td_wmesg = wmesg;
	error = 0;
	if (catch && atomic_load_acq_int(&t->interrupted) != 0) {
		t->wake = 1;
		error = EINTR;
	} else
		TAILQ_INSERT_TAIL(&b->q, t, waiters);
	os_unlock(&b->lock);
	if (lock != NULL)
		kld_lock_release(lock, &how);
	while (t->wake == 0)
		if (os_futex_wait(&t->wake, 0, deadline) != 0) {
			os_lock(&b->lock);
			if (t->wake == 0) {
				TAILQ_REMOVE(&b->q, t, waiters);
				t->wake = 1;
				error = EWOULDBLOCK;
			}
			os_unlock(&b->lock);
		}
	/* Woken as well as interrupted: the interruption is heard next time. */
	if (t->wake == WAKE_INTR)
		error = EINTR;
	t->td.td_wchan = NULL;
	t->td.td_wmesg = NULL;
	/* Giant comes before every other lock. */
	giant_pickup(giant);
	if (lock != NULL && relock)
		kld_lock_acquire(lock, how);
	return (error);
}

void
kld_thread_interrupt(struct kthr *t)
{
	const void *wchan;
	struct bucket *b;
	bool done;

	atomic_store_rel_int(&t->interrupted, 1);
	for (done = false; !done;) {
		wchan = *(const void *volatile *)&t->wchan;
		if (wchan == NULL)
			return;
		b = bucket_of(wchan);
		/* It may sleep elsewhere by now, and will have looked. */
		done = t->wchan == wchan;
		if (done && t->wake == 0 && t->catching) {
			TAILQ_REMOVE(&b->q, t, waiters);
			atomic_store_rel_int(&t->wake, WAKE_INTR);
		}
		os_unlock(&b->lock);
	}
	os_futex_wake(&t->wake, 1);
}

static int
wake_some(const void *wchan, int most)
{
	struct kthr *wake[32], *t, *next;
	struct bucket *b;
	int i, n, total;

	total = 0;
	do {
		n = 0;
		b = bucket_of(wchan);
		TAILQ_FOREACH_SAFE(t, &b->q, waiters, next) {
			if (t->wchan != wchan)
				continue;
			TAILQ_REMOVE(&b->q, t, waiters);
			wake[n++] = t;
			if (n == nitems(wake) || total + n == most)
				break;
		}
		for (i = 0; i < n; i++)
			atomic_store_rel_int(&wake[i]->wake, 1);
		os_unlock(&b->lock);
		for (i = 0; i < n; i++)
			os_futex_wake(&wake[i]->wake, 1);
		total += n;
	} while (n == nitems(wake) && total < most);
	return (total);
}

int
_sleep(const void *chan, struct lock_object *lock, int priority,
    const char *wmesg, sbintime_t sbt, sbintime_t pr, int flags)
{
	kld_assert_may_sleep(wmesg, lock);
	return (sleep_on(chan, lock, wmesg, deadline_of(sbt, flags),
	    (priority & PDROP) == 0, (priority & PCATCH) != 0));
}

int
msleep_spin_sbt(const void *chan, struct mtx *mtx, const char *wmesg,
    sbintime_t sbt, sbintime_t pr, int flags)
{
	if (curthread->td_critnest != 1)
		panic("%s: msleep_spin with another spin mutex held", wmesg);
	return (sleep_on(chan, &mtx->lock_object, wmesg,
	    deadline_of(sbt, flags), true, false));
}

int
pause_sbt(const char *wmesg, sbintime_t sbt, sbintime_t pr, int flags)
{
	int giant;

	kld_assert_may_sleep(wmesg, NULL);
	if (sbt == 0)
		sbt = tick_sbt;
	giant = giant_drop();
	os_sleep_until(deadline_of(sbt, flags));
	giant_pickup(giant);
	return (EWOULDBLOCK);
}

void
wakeup(const void *chan)
{
	wake_some(chan, INT_MAX);
}

void
wakeup_one(const void *chan)
{
	wake_some(chan, 1);
}

void
wakeup_any(const void *chan)
{
	wake_some(chan, 1);
}

/* condvar(9) */

void
cv_init(struct cv *cvp, const char *desc)
{
	cvp->cv_description = desc;
	cvp->cv_waiters = 0;
}

void
cv_destroy(struct cv *cvp)
{
	if (cvp->cv_waiters != 0)
		panic("condition variable %s destroyed with waiters",
		    cvp->cv_description);
}

static int
cv_sleep(struct cv *cvp, struct lock_object *lock, os_u64 deadline,
    bool relock, bool catch)
{
	int error;

	kld_assert_may_sleep(cvp->cv_description, lock);
	atomic_add_int(&cvp->cv_waiters, 1);
	error = sleep_on(cvp, lock, cvp->cv_description, deadline, relock,
	    catch);
	atomic_subtract_int(&cvp->cv_waiters, 1);
	return (error);
}

void
_cv_wait(struct cv *cvp, struct lock_object *lock)
{
	cv_sleep(cvp, lock, 0, true, false);
}

void
_cv_wait_unlock(struct cv *cvp, struct lock_object *lock)
{
	cv_sleep(cvp, lock, 0, false, false);
}

int
_cv_wait_sig(struct cv *cvp, struct lock_object *lock)
{
	return (cv_sleep(cvp, lock, 0, true, true));
}

int
_cv_timedwait_sbt(struct cv *cvp, struct lock_object *lock, sbintime_t sbt,
    sbintime_t pr, int flags)
{
	return (cv_sleep(cvp, lock, deadline_of(sbt, flags), true, false));
}

int
_cv_timedwait_sig_sbt(struct cv *cvp, struct lock_object *lock, sbintime_t sbt,
    sbintime_t pr, int flags)
{
	return (cv_sleep(cvp, lock, deadline_of(sbt, flags), true, true));
}

void
cv_signal(struct cv *cvp)
{
	wake_some(cvp, 1);
}

void
cv_broadcastpri(struct cv *cvp, int pri)
{
	wake_some(cvp, INT_MAX);
}

/* sema(9) */

void
sema_init(struct sema *sema, int value, const char *description)
{
	memset(sema, 0, sizeof(*sema));
	mtx_init(&sema->sema_mtx, description, "sema backing lock", MTX_DEF);
	cv_init(&sema->sema_cv, description);
	sema->sema_value = value;
}

void
sema_destroy(struct sema *sema)
{
	mtx_destroy(&sema->sema_mtx);
	cv_destroy(&sema->sema_cv);
}

void
_sema_post(struct sema *sema, const char *file, int line)
{
	mtx_lock(&sema->sema_mtx);
	sema->sema_value++;
	if (sema->sema_waiters > 0)
		cv_signal(&sema->sema_cv);
	mtx_unlock(&sema->sema_mtx);
}

void
_sema_wait(struct sema *sema, const char *file, int line)
{
	mtx_lock(&sema->sema_mtx);
	while (sema->sema_value == 0) {
		sema->sema_waiters++;
		cv_wait(&sema->sema_cv, &sema->sema_mtx);
		sema->sema_waiters--;
	}
	sema->sema_value--;
	mtx_unlock(&sema->sema_mtx);
}

int
_sema_timedwait(struct sema *sema, int timo, const char *file, int line)
{
	sbintime_t end;
	int error;

	mtx_lock(&sema->sema_mtx);
	end = sbinuptime() + tick_sbt * timo;
	for (error = 0; sema->sema_value == 0 && error == 0;) {
		sema->sema_waiters++;
		error = cv_timedwait_sbt(&sema->sema_cv, &sema->sema_mtx, end,
		    0, C_ABSOLUTE);
		sema->sema_waiters--;
	}
	if (sema->sema_value > 0) {
		sema->sema_value--;
		error = 0;
	}
	mtx_unlock(&sema->sema_mtx);
	return (error);
}

int
_sema_trywait(struct sema *sema, const char *file, int line)
{
	int got;

	mtx_lock(&sema->sema_mtx);
	got = sema->sema_value > 0;
	sema->sema_value -= got;
	mtx_unlock(&sema->sema_mtx);
	return (got);
}

int
sema_value(struct sema *sema)
{
	int v;

	mtx_lock(&sema->sema_mtx);
	v = sema->sema_value;
	mtx_unlock(&sema->sema_mtx);
	return (v);
}
