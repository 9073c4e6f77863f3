/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * uma.c: uma(9). A zone that a module makes is a size and its functions over
 * malloc(9). The zones of kldrun's own kernel whose items modules hold (mbufs
 * and clusters) are pools: slabs of equal items in guest memory, with a small
 * stack of free ones for each thread, so that a packet costs no lock.
 *
 * Beside the memory of a pool there is a record for each item: who holds it.
 * It serves the leak report and finds an item freed twice; freed items are
 * filled, and checked when they are handed out again.
 *
 * Locking: a pool's lock guards its list of free items and its slabs; a
 * thread's stack is its own.
 */

#include "kern.h"
#include <vm/uma.h>
#include <vm/vm.h>
#include <vm/pmap.h>

#define	CACHE		64		/* items a thread keeps at most */
#define	SLAB_BYTES	(256 * 1024)
#define	FILL		0x5a
#define	FILLED		64		/* bytes at the start, checked */

struct record {
	void *caller;			/* NULL: free */
	void *last;			/* who had it before */
};

struct pslab {
	struct pslab *next;
	struct pool *pool;
	char *base;
	u_long bytes;
	u_int items;
	struct record rec[];
};

struct cache {
	int n;
	long live;			/* taken less given back */
	void *item[CACHE];
};

struct pool {
	struct pool *next;
	const char *name;
	size_t size;
	struct os_lock lock;
	void **free;			/* a stack that grows */
	u_long nfree, room;
	struct pslab *slabs;
	struct cache *cache;		/* [KLD_MAXTHREADS] */
};

struct uma_zone {
	const char *name;
	size_t size;
	uma_ctor ctor;
	uma_dtor dtor;
	uma_init init;
	uma_fini fini;
	int align;
	struct pool *pool;
};

static MALLOC_DEFINE(M_UMA, "uma", "zone items");

static struct pool *pools;
static struct os_lock pools_lock;
static struct pslab **slab_of_page;	/* by guest page number */

static struct pslab *
slab_find(const void *p)
{
	os_u64 pa;

	pa = os_vtophys(p);
	if (slab_of_page == NULL || pa == ~(os_u64)0)
		return (NULL);
	return (slab_of_page[pa / PAGE_SIZE]);
}

static struct record *
record_of(struct pool *pool, const void *p)
{
	struct pslab *s;
	size_t off;

	s = slab_find(p);
	if (s == NULL || s->pool != pool)
		panic("%s: %p is none of its items", pool->name, p);
	off = (const char *)p - s->base;
	if (off % pool->size != 0 || off / pool->size >= s->items)
		panic("%s: %p is not where an item starts", pool->name, p);
	return (&s->rec[off / pool->size]);
}

/* More items; called with the pool's lock held. */
static bool
pool_grow(struct pool *pool)
{
	struct pslab *s;
	u_long bytes, i;
	u_int n;

	bytes = MAX(roundup2(SLAB_BYTES, PAGE_SIZE), pool->size);
	n = bytes / pool->size;
	s = os_alloc(sizeof(*s) + n * sizeof(struct record));
	memset(s, 0, sizeof(*s) + n * sizeof(struct record));
	s->base = contigmalloc(bytes, M_KLDRUN, M_NOWAIT, 0, ~(vm_paddr_t)0,
	    PAGE_SIZE, 0);
	if (s->base == NULL) {
		os_free(s);
		return (false);
	}
	s->pool = pool;
	s->bytes = bytes;
	s->items = n;
	s->next = pool->slabs;
	pool->slabs = s;
	for (i = 0; i < bytes / PAGE_SIZE; i++)
		slab_of_page[os_vtophys(s->base) / PAGE_SIZE + i] = s;
	if (pool->nfree + n > pool->room) {
		pool->room = 2 * (pool->nfree + n);
		pool->free = os_realloc(pool->free,
		    pool->room * sizeof(void *));
	}
	for (i = n; i > 0; i--) {
		memset(s->base + (i - 1) * pool->size, FILL, FILLED);
		pool->free[pool->nfree++] = s->base + (i - 1) * pool->size;
		os_poison(s->base + (i - 1) * pool->size, pool->size);
	}
	return (true);
}

static struct pool *
pool_create(const char *name, size_t size)
{
	struct pool *pool;

	pool = os_alloc(sizeof(*pool));
	memset(pool, 0, sizeof(*pool));
	pool->name = name;
	pool->size = size;
	pool->cache = os_reserve(KLD_MAXTHREADS * sizeof(struct cache));
	os_lock(&pools_lock);
	if (slab_of_page == NULL)
		slab_of_page = os_reserve(os_guest_size() / PAGE_SIZE *
		    sizeof(*slab_of_page));
	pool->next = pools;
	pools = pool;
	os_unlock(&pools_lock);
	return (pool);
}

static void
check_filled(struct pool *pool, const char *p, const struct record *r)
{
	char who[96];
	int i;

	for (i = 0; i < FILLED; i++)
		if (p[i] != FILL) {
			os_symbol_name(r->last, who, sizeof(who));
			panic("%s %p was modified after free at offset %d; "
			    "last allocated by %s", pool->name, p, i, who);
		}
}

static void *
pool_alloc(struct pool *pool, void *caller)
{
	struct record *r;
	struct cache *c;
	void *p;

	c = &pool->cache[kld_self()->slot];
	if (c->n == 0) {
		os_lock(&pool->lock);
		while (c->n < CACHE / 2) {
			if (pool->nfree == 0 && !pool_grow(pool))
				break;
			c->item[c->n++] = pool->free[--pool->nfree];
		}
		os_unlock(&pool->lock);
		if (c->n == 0)
			return (NULL);
	}
	p = c->item[--c->n];
	r = record_of(pool, p);
	os_unpoison(p, pool->size);
	check_filled(pool, p, r);
	r->caller = caller;
	c->live++;
	return (p);
}

static void
pool_free(struct pool *pool, void *p)
{
	struct record *r;
	struct cache *c;
	char who[96];

	r = record_of(pool, p);
	if (r->caller == NULL) {
		os_symbol_name(r->last, who, sizeof(who));
		panic("%s: %p is free already; last allocated by %s",
		    pool->name, p, who);
	}
	r->last = r->caller;
	r->caller = NULL;
	memset(p, FILL, FILLED);
	os_poison(p, pool->size);
	c = &pool->cache[kld_self()->slot];
	if (c->n == CACHE) {
		os_lock(&pool->lock);
		if (pool->nfree + CACHE / 2 > pool->room) {
			pool->room = 2 * (pool->nfree + CACHE);
			pool->free = os_realloc(pool->free,
			    pool->room * sizeof(void *));
		}
		while (c->n > CACHE / 2)
			pool->free[pool->nfree++] = c->item[--c->n];
		os_unlock(&pool->lock);
	}
	c->item[c->n++] = p;
	c->live--;
}

/* A zone over a pool of its own, or over that of `same'. */
struct uma_zone *
kld_zone_create(const char *name, size_t size, struct uma_zone *same,
    uma_ctor ctor, uma_dtor dtor)
{
	struct uma_zone *z;

	z = os_alloc(sizeof(*z));
	memset(z, 0, sizeof(*z));
	z->name = name;
	z->size = size;
	z->ctor = ctor;
	z->dtor = dtor;
	z->pool = same != NULL ? same->pool : pool_create(name, size);
	return (z);
}

/* Items out; other threads may be at work, so this is a look at a moment. */
long
kld_zone_live(struct uma_zone *z)
{
	long live;
	int i;

	live = 0;
	for (i = 0; i < KLD_MAXTHREADS; i++)
		live += z->pool->cache[i].live;
	return (live);
}

struct holder {
	void *caller;
	long count;
};
#define	HOLDERS	64

static int
pool_leaks(struct pool *pool, struct kld_out *o)
{
	struct holder h[HOLDERS];
	struct pslab *s;
	char who[96];
	int i, n;
	u_int j;

	n = 0;
	os_lock(&pool->lock);
	for (s = pool->slabs; s != NULL; s = s->next)
		for (j = 0; j < s->items; j++) {
			if (s->rec[j].caller == NULL)
				continue;
			if (kld_kept(s->base + j * pool->size))
				continue;
			for (i = 0; i < n; i++)
				if (h[i].caller == s->rec[j].caller)
					break;
			if (i == HOLDERS)
				continue;
			if (i == n)
				h[n++] = (struct holder){ s->rec[j].caller, 0 };
			h[i].count++;
		}
	os_unlock(&pool->lock);
	for (i = 0; i < n; i++) {
		os_symbol_name(h[i].caller, who, sizeof(who));
		kld_outf(o, "  %-16s %8ld allocation%s %10ld bytes by %s\n",
		    pool->name, h[i].count, h[i].count == 1 ? " " : "s",
		    h[i].count * (long)pool->size, who);
	}
	return (n);
}

int
kld_zone_leaks(void (*out)(void *, const char *), void *arg)
{
	struct kld_out o = { out, arg };
	struct pool *pool;
	int n;

	n = 0;
	for (pool = pools; pool != NULL; pool = pool->next)
		n += pool_leaks(pool, &o);
	return (n);
}

uma_zone_t
uma_zcreate(const char *name, size_t size, uma_ctor ctor, uma_dtor dtor,
    uma_init uminit, uma_fini fini, int align, uint32_t flags)
{
	uma_zone_t z;

	z = malloc(sizeof(*z), M_UMA, M_WAITOK | M_ZERO);
	*z = (struct uma_zone){ name, size, ctor, dtor, uminit, fini, align,
	    NULL };
	return (z);
}

void
uma_zdestroy(uma_zone_t z)
{
	if (z->pool != NULL)
		panic("uma_zdestroy: %s is the kernel's", z->name);
	free(z, M_UMA);
}

void *
kld_zone_alloc(uma_zone_t z, void *arg, int flags, void *caller)
{
	void *p;

	if ((flags & (M_WAITOK | M_NOWAIT)) == 0)
		flags |= M_NOWAIT;
	if ((flags & M_WAITOK) != 0)
		kld_assert_may_sleep("uma_zalloc(M_WAITOK)", NULL);
	if (z->pool != NULL) {
		p = pool_alloc(z->pool, caller);
		if (p == NULL && (flags & M_WAITOK) != 0)
			panic("%s: guest memory is used up", z->name);
		if (p != NULL && z->ctor != NULL &&
		    z->ctor(p, z->size, arg, flags) != 0) {
			pool_free(z->pool, p);
			return (NULL);
		}
		return (p);
	}
	p = kld_malloc_caller(z->size, M_UMA, flags, caller);
	if (p == NULL)
		return (NULL);
	if ((z->init != NULL && z->init(p, z->size, flags) != 0) ||
	    (z->ctor != NULL && z->ctor(p, z->size, arg, flags) != 0)) {
		free(p, M_UMA);
		return (NULL);
	}
	return (p);
}

void *
uma_zalloc_arg(uma_zone_t z, void *arg, int flags)
{
	return (kld_zone_alloc(z, arg, flags, __builtin_return_address(0)));
}

void
uma_zfree_arg(uma_zone_t z, void *item, void *arg)
{
	if (item == NULL)
		return;
	if (z->dtor != NULL)
		z->dtor(item, z->size, arg);
	if (z->pool != NULL) {
		pool_free(z->pool, item);
		return;
	}
	if (z->fini != NULL)
		z->fini(item, z->size);
	free(item, M_UMA);
}

int
uma_zone_set_max(uma_zone_t z, int nitems)
{
	return (nitems);
}

void
uma_prealloc(uma_zone_t z, int nitems)
{
}
