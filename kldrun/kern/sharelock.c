/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * sharelock.c: sx(9), rwlock(9) and rmlock(9): one shared/exclusive lock under
 * three interfaces. The words of sx and rwlock have the same layout in
 * FreeBSD (flags in the low 5 bits, owner or reader count above), so one
 * implementation serves all. A waiting writer holds back new readers, except
 * those that already hold a lock of the same class, which could deadlock.
 */

#include "kern.h"
#include <sys/rmlock.h>
#include <sys/rwlock.h>
#include <sys/sx.h>

#define	W_SHARED	SX_LOCK_SHARED
#define	W_WAITERS	(SX_LOCK_SHARED_WAITERS | SX_LOCK_EXCLUSIVE_WAITERS)
#define	W_FREE		SX_LOCK_UNLOCKED
#define	W_ONE		((uintptr_t)SX_ONE_SHARER)
_Static_assert(SX_ONE_SHARER == RW_ONE_READER, "same word layout");
_Static_assert(SX_LOCK_SHARED == RW_LOCK_READ, "same word layout");
_Static_assert(SX_LOCK_EXCLUSIVE_WAITERS == RW_LOCK_WRITE_WAITERS,
    "same word layout");

#define	CLASS_SX	2
#define	CLASS_RM	3
#define	CLASS_RW	5

static bool
sleepable(const struct lock_object *lo)
{
	return (LO_CLASSINDEX(lo) == CLASS_SX);
}

static void
share_panic(const struct lock_object *lo, const char *what, const char *file,
    int line)
{
	panic("lock %s %s @ %s:%d", lo->lo_name, what,
	    file != NULL ? file : "?", line);
}

static void
share_init(struct lock_object *lo, volatile uintptr_t *word, int class,
    const char *name, bool recurse)
{
	lo->lo_name = name;
	lo->lo_flags = LO_INITIALIZED | class << LO_CLASSSHIFT |
	    (recurse ? LO_RECURSABLE : 0);
	lo->lo_data = 0;
	lo->lo_witness = NULL;
	*word = W_FREE;
}

static void
share_destroy(struct lock_object *lo, volatile uintptr_t *word)
{
	if (*word != W_FREE)
		share_panic(lo, "destroyed while locked", NULL, 0);
	*word = SX_LOCK_DESTROYED;
	lo->lo_flags = 0;
}

static struct thread *
share_owner(uintptr_t v)
{
	return ((v & W_SHARED) != 0 ? NULL : (struct thread *)SX_OWNER(v));
}

static void
share_wait(volatile uintptr_t *word, uintptr_t v, uintptr_t flag)
{
	if ((v & flag) == 0) {
		if (!atomic_cmpset_ptr(word, v, v | flag))
			return;
		v |= flag;
	}
	os_futex_wait((volatile os_u32 *)word, (os_u32)v, 0);
}

static void
share_check(struct lock_object *lo, const char *file, int line)
{
	if ((lo->lo_flags & LO_INITIALIZED) == 0)
		share_panic(lo, "is destroyed or was never initialised", file,
		    line);
	if (curthread->td_critnest > 0 || curthread->td_intr_nesting_level > 0)
		share_panic(lo, "locked where blocking is prohibited", file,
		    line);
	if (sleepable(lo))
		kld_assert_may_sleep("sx lock acquired", NULL);
}

static bool
exclusive_try(struct lock_object *lo, volatile uintptr_t *word, uintptr_t keep)
{
	if (!atomic_cmpset_acq_ptr(word, W_FREE | keep,
	    (uintptr_t)curthread | keep))
		return (false);
	if (!sleepable(lo))
		kld_held_add(lo);
	return (true);
}

static void
exclusive_lock(struct lock_object *lo, volatile uintptr_t *word,
    const char *file, int line)
{
	uintptr_t v;
	int spins;

	share_check(lo, file, line);
	if (share_owner(*word) == curthread) {
		if ((lo->lo_flags & LO_RECURSABLE) == 0)
			share_panic(lo, "is not recursive and already held",
			    file, line);
		lo->lo_data++;
		return;
	}
	for (spins = 0;; spins++) {
		v = *word;
		if ((v & ~(uintptr_t)W_WAITERS) == W_FREE) {
			if (exclusive_try(lo, word, v & W_WAITERS))
				return;
			continue;
		}
		if (spins < 50)
			cpu_spinwait();
		else
			share_wait(word, v, SX_LOCK_EXCLUSIVE_WAITERS);
	}
}

static void
wake_all(volatile uintptr_t *word)
{
	os_futex_wake((volatile os_u32 *)word, INT_MAX);
}

static void
exclusive_unlock(struct lock_object *lo, volatile uintptr_t *word,
    const char *file, int line)
{
	if (share_owner(*word) != curthread)
		share_panic(lo, "not exclusively held by the thread that "
		    "unlocks", file, line);
	if (lo->lo_data > 0) {
		lo->lo_data--;
		return;
	}
	if (!sleepable(lo))
		kld_held_remove(lo);
	if ((atomic_swap_ptr(word, W_FREE) & W_WAITERS) != 0)
		wake_all(word);
}

static int *
share_count(const struct lock_object *lo)
{
	return (sleepable(lo) ? &curthread->td_sx_slocks :
	    &curthread->td_rw_rlocks);
}

static bool
shared_try(struct lock_object *lo, volatile uintptr_t *word)
{
	uintptr_t v;

	for (v = *word; (v & W_SHARED) != 0;) {
		if ((v & SX_LOCK_EXCLUSIVE_WAITERS) != 0 &&
		    *share_count(lo) == 0)
			return (false);
		if (atomic_fcmpset_acq_ptr(word, &v, v + W_ONE)) {
			++*share_count(lo);
			if (!sleepable(lo))
				kld_held_add(lo);
			return (true);
		}
	}
	return (false);
}

static void
shared_lock(struct lock_object *lo, volatile uintptr_t *word,
    const char *file, int line)
{
	uintptr_t v;

	share_check(lo, file, line);
	if (share_owner(*word) == curthread)
		share_panic(lo, "is exclusively held, locked shared", file,
		    line);
	while (!shared_try(lo, word)) {
		v = *word;
		if ((v & W_SHARED) != 0 && SX_SHARERS(v) == 0) {
			/* Free, and a writer was woken: let it have its turn */
			os_yield();
			v = *word;
			if ((v & ~(uintptr_t)W_WAITERS) == W_FREE)
				(void)atomic_cmpset_ptr(word, v, W_FREE);
			continue;
		}
		share_wait(word, v, SX_LOCK_SHARED_WAITERS);
	}
}

static void
shared_unlock(struct lock_object *lo, volatile uintptr_t *word,
    const char *file, int line)
{
	uintptr_t v, next;

	v = *word;
	do {
		if ((v & W_SHARED) == 0 || SX_SHARERS(v) == 0)
			share_panic(lo, "not held shared", file, line);
		next = v - W_ONE;
		if (SX_SHARERS(next) == 0)
			next &= ~(uintptr_t)W_WAITERS;
	} while (!atomic_fcmpset_rel_ptr(word, &v, next));
	--*share_count(lo);
	if (!sleepable(lo))
		kld_held_remove(lo);
	if (SX_SHARERS(next) == 0 && (v & W_WAITERS) != 0)
		wake_all(word);
}

static int
share_upgrade(struct lock_object *lo, volatile uintptr_t *word)
{
	uintptr_t v;

	v = *word;
	while ((v & W_SHARED) != 0 && SX_SHARERS(v) == 1)
		if (atomic_fcmpset_acq_ptr(word, &v, (uintptr_t)curthread |
		    (v & W_WAITERS))) {
			--*share_count(lo);
			return (1);
		}
	return (0);
}

static void
share_downgrade(struct lock_object *lo, volatile uintptr_t *word)
{
	if (share_owner(*word) != curthread || lo->lo_data > 0)
		share_panic(lo, "downgraded but not held once", NULL, 0);
	++*share_count(lo);
	if ((atomic_swap_ptr(word, SX_SHARERS_LOCK(1)) & W_WAITERS) != 0)
		wake_all(word);
}

static void
share_assert(const struct lock_object *lo, uintptr_t v, int what,
    const char *file, int line)
{
	bool x, s;

	x = share_owner(v) == curthread;
	s = (v & W_SHARED) != 0 && SX_SHARERS(v) > 0;
	if ((what & LA_XLOCKED) != 0 && !x)
		share_panic(lo, "not exclusively locked", file, line);
	if ((what & LA_SLOCKED) != 0 && !s)
		share_panic(lo, "not share locked", file, line);
	if ((what & LA_LOCKED) != 0 && (what & (LA_XLOCKED | LA_SLOCKED)) == 0 &&
	    !x && !s)
		share_panic(lo, "not locked", file, line);
	if ((what & LA_MASKASSERT) == LA_UNLOCKED && x)
		share_panic(lo, "locked", file, line);
}

/* sx(9) */

void
sx_init_flags(struct sx *sx, const char *description, int opts)
{
	share_init(&sx->lock_object, &sx->sx_lock, CLASS_SX, description,
	    (opts & SX_RECURSE) != 0);
}

void
sx_sysinit(const void *arg)
{
	const struct sx_args *a;

	a = arg;
	sx_init_flags(a->sa_sx, a->sa_desc, a->sa_flags);
}

void
sx_destroy(struct sx *sx)
{
	share_destroy(&sx->lock_object, &sx->sx_lock);
}

int
_sx_xlock(struct sx *sx, int opts, const char *file, int line)
{
	exclusive_lock(&sx->lock_object, &sx->sx_lock, file, line);
	return (0);
}

void
_sx_xunlock(struct sx *sx, const char *file, int line)
{
	exclusive_unlock(&sx->lock_object, &sx->sx_lock, file, line);
}

int
_sx_slock(struct sx *sx, int opts, const char *file, int line)
{
	shared_lock(&sx->lock_object, &sx->sx_lock, file, line);
	return (0);
}

void
_sx_sunlock(struct sx *sx, const char *file, int line)
{
	shared_unlock(&sx->lock_object, &sx->sx_lock, file, line);
}

int
sx_try_slock_(struct sx *sx, const char *file, int line)
{
	return (shared_try(&sx->lock_object, &sx->sx_lock));
}

int
sx_try_xlock_(struct sx *sx, const char *file, int line)
{
	if (sx_xlocked(sx) && (sx->lock_object.lo_flags & LO_RECURSABLE)) {
		sx->lock_object.lo_data++;
		return (1);
	}
	return (exclusive_try(&sx->lock_object, &sx->sx_lock, 0));
}

int
sx_try_upgrade_(struct sx *sx, const char *file, int line)
{
	return (share_upgrade(&sx->lock_object, &sx->sx_lock));
}

void
sx_downgrade_(struct sx *sx, const char *file, int line)
{
	share_downgrade(&sx->lock_object, &sx->sx_lock);
}

void
_sx_assert(const struct sx *sx, int what, const char *file, int line)
{
	share_assert(&sx->lock_object, sx->sx_lock, what, file, line);
}

/* rwlock(9) */

static struct rwlock *
rw_of(const volatile uintptr_t *c)
{
	return (__containerof(__DEVOLATILE(uintptr_t *, c), struct rwlock,
	    rw_lock));
}

void
_rw_init_flags(volatile uintptr_t *c, const char *name, int opts)
{
	share_init(&rw_of(c)->lock_object, c, CLASS_RW, name,
	    (opts & RW_RECURSE) != 0);
}

void
_rw_destroy(volatile uintptr_t *c)
{
	share_destroy(&rw_of(c)->lock_object, c);
}

void
rw_sysinit(const void *arg)
{
	const struct rw_args *a;

	a = arg;
	rw_init_flags((struct rwlock *)a->ra_rw, a->ra_desc, a->ra_flags);
}

int
_rw_wowned(const volatile uintptr_t *c)
{
	return (share_owner(*c) == curthread);
}

void
_rw_wlock_cookie(volatile uintptr_t *c, const char *file, int line)
{
	exclusive_lock(&rw_of(c)->lock_object, c, file, line);
}

int
__rw_try_wlock(volatile uintptr_t *c, const char *file, int line)
{
	return (exclusive_try(&rw_of(c)->lock_object, c, 0));
}

void
_rw_wunlock_cookie(volatile uintptr_t *c, const char *file, int line)
{
	exclusive_unlock(&rw_of(c)->lock_object, c, file, line);
}

void
__rw_rlock(volatile uintptr_t *c, const char *file, int line)
{
	shared_lock(&rw_of(c)->lock_object, c, file, line);
}

int
__rw_try_rlock(volatile uintptr_t *c, const char *file, int line)
{
	return (shared_try(&rw_of(c)->lock_object, c));
}

void
_rw_runlock_cookie(volatile uintptr_t *c, const char *file, int line)
{
	shared_unlock(&rw_of(c)->lock_object, c, file, line);
}

int
__rw_try_upgrade(volatile uintptr_t *c, const char *file, int line)
{
	return (share_upgrade(&rw_of(c)->lock_object, c));
}

void
__rw_downgrade(volatile uintptr_t *c, const char *file, int line)
{
	share_downgrade(&rw_of(c)->lock_object, c);
}

void
__rw_assert(const volatile uintptr_t *c, int what, const char *file, int line)
{
	share_assert(&rw_of(c)->lock_object, *c, what, file, line);
}

/* rmlock(9): readers here pay the shared lock; the rules are the same. */

#define	RM_WORD(rm)	(&(rm)->rm_lock_sx.sx_lock)

void
rm_init_flags(struct rmlock *rm, const char *name, int opts)
{
	share_init(&rm->lock_object, RM_WORD(rm),
	    (opts & RM_SLEEPABLE) != 0 ? CLASS_SX : CLASS_RM, name,
	    (opts & RM_RECURSE) != 0);
}

void
rm_init(struct rmlock *rm, const char *name)
{
	rm_init_flags(rm, name, 0);
}

void
rm_sysinit(const void *arg)
{
	const struct rm_args *a;

	a = arg;
	rm_init_flags(a->ra_rm, a->ra_desc, a->ra_flags);
}

void
rm_destroy(struct rmlock *rm)
{
	share_destroy(&rm->lock_object, RM_WORD(rm));
}

int
rm_wowned(const struct rmlock *rm)
{
	return (share_owner(*RM_WORD(rm)) == curthread);
}

void
_rm_wlock_debug(struct rmlock *rm, const char *file, int line)
{
	exclusive_lock(&rm->lock_object, RM_WORD(rm), file, line);
}

void
_rm_wunlock_debug(struct rmlock *rm, const char *file, int line)
{
	exclusive_unlock(&rm->lock_object, RM_WORD(rm), file, line);
}

int
_rm_rlock_debug(struct rmlock *rm, struct rm_priotracker *tracker,
    int trylock, const char *file, int line)
{
	if (trylock)
		return (shared_try(&rm->lock_object, RM_WORD(rm)));
	shared_lock(&rm->lock_object, RM_WORD(rm), file, line);
	return (1);
}

void
_rm_runlock_debug(struct rmlock *rm, struct rm_priotracker *tracker,
    const char *file, int line)
{
	shared_unlock(&rm->lock_object, RM_WORD(rm), file, line);
}

/*
 * A sleep with an interlock of any class: release it, remembering how it was
 * held, and take it back the same way.
 */
void
kld_lock_release(struct lock_object *lo, uintptr_t *how)
{
	struct sx *sx;

	*how = 0;
	switch (LO_CLASSINDEX(lo)) {
	case 0:
		mtx_unlock((struct mtx *)lo);
		break;
	case 1:
		mtx_unlock_spin((struct mtx *)lo);
		break;
	case CLASS_RM:
		rm_wunlock((struct rmlock *)lo);
		break;
	default:
		sx = (struct sx *)lo;
		*how = (sx->sx_lock & W_SHARED) != 0;
		if (*how)
			shared_unlock(lo, &sx->sx_lock, NULL, 0);
		else
			exclusive_unlock(lo, &sx->sx_lock, NULL, 0);
	}
}

void
kld_lock_acquire(struct lock_object *lo, uintptr_t how)
{
	struct sx *sx;

	switch (LO_CLASSINDEX(lo)) {
	case 0:
		mtx_lock((struct mtx *)lo);
		break;
	case 1:
		mtx_lock_spin((struct mtx *)lo);
		break;
	case CLASS_RM:
		rm_wlock((struct rmlock *)lo);
		break;
	default:
		sx = (struct sx *)lo;
		if (how)
			shared_lock(lo, &sx->sx_lock, NULL, 0);
		else
			exclusive_lock(lo, &sx->sx_lock, NULL, 0);
	}
}
