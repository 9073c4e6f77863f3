/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * mutex.c: mutex(9), both kinds, and the bookkeeping of held locks.
 *
 * The lock word has FreeBSD's layout (owner | flags), because mtx_owned()
 * and others are inlined in modules. struct kthr lives below 4 GiB, so the
 * low half of the word identifies the owner and serves as the futex.
 * A spin mutex spins briefly and then waits too: its holder may be preempted
 * by Linux, which a real spin lock holder cannot be.
 */

#include "kern.h"

static volatile os_u32 *
word_futex(volatile uintptr_t *word)
{
	return ((volatile os_u32 *)word);
}

static struct mtx *
mtx_of(const volatile uintptr_t *c)
{
	return (__containerof(__DEVOLATILE(uintptr_t *, c), struct mtx,
	    mtx_lock));
}

void
kld_held_add(const struct lock_object *lo)
{
	struct kthr *t;

	t = kld_self();
	if (t->nheld < KLD_MAXHELD)
		t->held[t->nheld] = lo;
	t->nheld++;
}

void
kld_held_remove(const struct lock_object *lo)
{
	struct kthr *t;
	int i;

	t = kld_self();
	for (i = min(t->nheld, KLD_MAXHELD) - 1; i >= 0; i--)
		if (t->held[i] == lo)
			break;
	if (i >= 0)
		for (; i + 1 < min(t->nheld, KLD_MAXHELD); i++)
			t->held[i] = t->held[i + 1];
	t->nheld--;
}

/* What WITNESS would say, said always: sleeping here could deadlock. */
void
kld_assert_may_sleep(const char *what, const struct lock_object *except)
{
	struct kthr *t;
	int i;

	t = kld_self();
	if (t->td.td_intr_nesting_level > 0)
		panic("%s in an interrupt handler", what);
	if (t->td.td_critnest > 0)
		panic("%s in a critical section", what);
	if (t->td.td_no_sleeping > 0)
		panic("%s where sleeping is prohibited", what);
	for (i = 0; i < min(t->nheld, KLD_MAXHELD); i++)
		if (t->held[i] != except && t->held[i] != &Giant.lock_object)
			panic("%s with non-sleepable lock \"%s\" held", what,
			    t->held[i]->lo_name);
}

static void
mtx_panic(const struct mtx *m, const char *what, const char *file, int line)
{
	panic("mutex %s %s @ %s:%d", m->lock_object.lo_name, what,
	    file != NULL ? file : "?", line);
}

void
_mtx_init(volatile uintptr_t *c, const char *name, const char *type, int opts)
{
	struct mtx *m;

	m = mtx_of(c);
	m->lock_object.lo_name = name;
	m->lock_object.lo_data = 0;
	m->lock_object.lo_flags = LO_INITIALIZED |
	    ((opts & MTX_SPIN) != 0 ? 1 << LO_CLASSSHIFT : 0) |
	    ((opts & MTX_RECURSE) != 0 ? LO_RECURSABLE : 0);
	m->lock_object.lo_witness = NULL;
	m->mtx_lock = MTX_UNOWNED;
}

void
_mtx_destroy(volatile uintptr_t *c)
{
	struct mtx *m;

	m = mtx_of(c);
	if (mtx_owner(m) == curthread) {
		kld_held_remove(&m->lock_object);
		if ((m->lock_object.lo_flags & LO_CLASSMASK) != 0)
			spinlock_exit();
	} else if (m->mtx_lock != MTX_UNOWNED)
		mtx_panic(m, "destroyed while locked", NULL, 0);
	m->mtx_lock = MTX_DESTROYED;
	m->lock_object.lo_flags = 0;
}

void
mtx_sysinit(const void *arg)
{
	const struct mtx_args *a;

	a = arg;
	mtx_init((struct mtx *)a->ma_mtx, a->ma_desc, NULL, a->ma_opts);
}

static void
mtx_acquire(struct mtx *m)
{
	uintptr_t tid, v, want;
	int spins;

	tid = want = (uintptr_t)curthread;
	for (spins = 0;;) {
		v = MTX_UNOWNED;
		if (atomic_fcmpset_acq_ptr(&m->mtx_lock, &v, want))
			return;
		if (v == MTX_UNOWNED)
			continue;
		if (spins++ < 50) {
			cpu_spinwait();
			continue;
		}
		/* From here on others may wait behind us: take it contested. */
		want = tid | MTX_CONTESTED;
		if ((v & MTX_CONTESTED) == 0) {
			if (!atomic_cmpset_ptr(&m->mtx_lock, v,
			    v | MTX_CONTESTED))
				continue;
			v |= MTX_CONTESTED;
		}
		os_futex_wait(word_futex(&m->mtx_lock), (os_u32)v, 0);
	}
}

static void
mtx_release(struct mtx *m)
{
	if ((atomic_swap_ptr(&m->mtx_lock, MTX_UNOWNED) & MTX_CONTESTED) != 0)
		os_futex_wake(word_futex(&m->mtx_lock), 1);
}

static bool
mtx_recursed_again(struct mtx *m, int opts, const char *file, int line)
{
	if (mtx_owner(m) != curthread)
		return (false);
	if ((m->lock_object.lo_flags & LO_RECURSABLE) == 0 &&
	    (opts & MTX_RECURSE) == 0)
		mtx_panic(m, "is not recursive and already held", file, line);
	m->lock_object.lo_data++;
	atomic_set_ptr(&m->mtx_lock, MTX_RECURSED);
	return (true);
}

static void
mtx_check(struct mtx *m, bool spin, const char *file, int line)
{
	if ((m->lock_object.lo_flags & LO_INITIALIZED) == 0)
		mtx_panic(m, "is destroyed or was never initialised", file,
		    line);
	if (((m->lock_object.lo_flags & LO_CLASSMASK) != 0) != spin)
		mtx_panic(m, spin ? "is a sleep mutex, locked as spin" :
		    "is a spin mutex, locked as sleep", file, line);
	if (!spin && curthread->td_critnest > 0)
		mtx_panic(m, "locked in a critical section or under a spin "
		    "mutex", file, line);
	if (!spin && curthread->td_intr_nesting_level > 0)
		mtx_panic(m, "locked in an interrupt handler", file, line);
}

void
__mtx_lock_flags(volatile uintptr_t *c, int opts, const char *file, int line)
{
	struct mtx *m;

	m = mtx_of(c);
	mtx_check(m, false, file, line);
	if (mtx_recursed_again(m, opts, file, line))
		return;
	mtx_acquire(m);
	kld_held_add(&m->lock_object);
}

void
__mtx_unlock_flags(volatile uintptr_t *c, int opts, const char *file, int line)
{
	struct mtx *m;

	m = mtx_of(c);
	if (mtx_owner(m) != curthread)
		mtx_panic(m, "not owned by the thread that unlocks", file,
		    line);
	if ((m->mtx_lock & MTX_RECURSED) != 0) {
		if (--m->lock_object.lo_data == 0)
			atomic_clear_ptr(&m->mtx_lock, MTX_RECURSED);
		return;
	}
	kld_held_remove(&m->lock_object);
	mtx_release(m);
}

int
_mtx_trylock_flags_(volatile uintptr_t *c, int opts, const char *file,
    int line)
{
	struct mtx *m;

	m = mtx_of(c);
	mtx_check(m, false, file, line);
	if (mtx_owner(m) == curthread)
		return ((m->lock_object.lo_flags & LO_RECURSABLE) != 0 &&
		    mtx_recursed_again(m, opts, file, line));
	if (!atomic_cmpset_acq_ptr(&m->mtx_lock, MTX_UNOWNED,
	    (uintptr_t)curthread))
		return (0);
	kld_held_add(&m->lock_object);
	return (1);
}

void
__mtx_lock_spin_flags(volatile uintptr_t *c, int opts, const char *file,
    int line)
{
	struct mtx *m;

	m = mtx_of(c);
	mtx_check(m, true, file, line);
	spinlock_enter();
	if (mtx_owner(m) == curthread) {
		if ((m->lock_object.lo_flags & LO_RECURSABLE) == 0)
			mtx_panic(m, "is not recursive and already held", file,
			    line);
		m->lock_object.lo_data++;
		return;
	}
	mtx_acquire(m);
	kld_held_add(&m->lock_object);
}

int
__mtx_trylock_spin_flags(volatile uintptr_t *c, int opts, const char *file,
    int line)
{
	struct mtx *m;

	m = mtx_of(c);
	mtx_check(m, true, file, line);
	spinlock_enter();
	if (!atomic_cmpset_acq_ptr(&m->mtx_lock, MTX_UNOWNED,
	    (uintptr_t)curthread)) {
		spinlock_exit();
		return (0);
	}
	kld_held_add(&m->lock_object);
	return (1);
}

void
__mtx_unlock_spin_flags(volatile uintptr_t *c, int opts, const char *file,
    int line)
{
	struct mtx *m;

	m = mtx_of(c);
	if (mtx_owner(m) != curthread)
		mtx_panic(m, "not owned by the thread that unlocks", file,
		    line);
	if (m->lock_object.lo_data > 0) {
		m->lock_object.lo_data--;
	} else {
		kld_held_remove(&m->lock_object);
		mtx_release(m);
	}
	spinlock_exit();
}

/* The slow halves of FreeBSD's inlined lock macros. */
void
__mtx_lock_sleep(volatile uintptr_t *c, uintptr_t v, int opts,
    const char *file, int line)
{
	__mtx_lock_flags(c, opts, file, line);
}

void
__mtx_unlock_sleep(volatile uintptr_t *c, uintptr_t v, int opts,
    const char *file, int line)
{
	__mtx_unlock_flags(c, opts, file, line);
}

void
mtx_wait_unlocked(struct mtx *m)
{
	while (m->mtx_lock != MTX_UNOWNED)
		os_yield();
}

void
mtx_spin_wait_unlocked(struct mtx *m)
{
	mtx_wait_unlocked(m);
}

void
__mtx_assert(const volatile uintptr_t *c, int what, const char *file, int line)
{
	struct mtx *m;
	bool owned;

	m = mtx_of(c);
	owned = mtx_owner(m) == curthread;
	if ((what & MA_OWNED) != 0 && !owned)
		mtx_panic(m, "not owned", file, line);
	if ((what & MA_NOTOWNED) != 0 && owned)
		mtx_panic(m, "owned", file, line);
	if ((what & MA_RECURSED) != 0 && !mtx_recursed(m))
		mtx_panic(m, "not recursed", file, line);
	if ((what & MA_NOTRECURSED) != 0 && owned && mtx_recursed(m))
		mtx_panic(m, "recursed", file, line);
}

void
spinlock_enter(void)
{
	curthread->td_critnest++;
}

void
spinlock_exit(void)
{
	if (curthread->td_critnest == 0)
		panic("spinlock_exit without spinlock_enter");
	curthread->td_critnest--;
}

void
critical_enter_KBI(void)
{
	curthread->td_critnest++;
}

void
critical_exit_KBI(void)
{
	if (curthread->td_critnest == 0)
		panic("critical_exit without critical_enter");
	curthread->td_critnest--;
}

void
critical_exit_preempt(void)
{
}
