/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * malloc.c: malloc(9), contigmalloc(9) and kmem from guest memory.
 *
 * Every allocation of a module lies in the memory that the host shares, at a
 * known guest-physical address, so vtophys() and busdma work on all of it.
 * Pages come from a first-fit map; sizes up to 2 KiB from one-page-aligned
 * slabs by power of two, hence aligned to their class as drivers expect.
 * Who allocated what is kept beside the memory, never in it, and serves the
 * leak report. The tail of each small item is a guard that free() checks, and
 * freed memory is filled and checked when it is handed out again.
 *
 * Locking: one lock a size class, one for the page map.
 */

#include "kern.h"
#include <vm/vm.h>
#include <vm/pmap.h>
#include <vm/vm_extern.h>
#include <vm/vm_kern.h>
#include <vm/vm_page.h>
#include <vm/vm_phys.h>

#undef malloc

#define	MIN_SHIFT	4
#define	MAX_SHIFT	11
#define	NCLASSES	(MAX_SHIFT - MIN_SHIFT + 1)
#define	SLAB_PAGES	16
#define	GUARD		8
#define	GUARD_BYTE	0xa5
#define	FREE_BYTE	0x5a
#define	FREE_CHECK	64
#define	RESERVED_PAGES	256	/* the first MiB looks like a PC's */

struct item {
	struct malloc_type *type;	/* NULL: free */
	void *caller;
	uint32_t size;
	uint32_t next;			/* free list: index + 1 */
};

struct slab {
	struct slab *next;		/* slabs of the class with room */
	char *base;
	uint32_t first_free;		/* index + 1 */
	uint32_t used, nitems;
	uint8_t class;
	bool listed;
	struct item items[];
};

enum { PG_FREE, PG_SLAB, PG_RUN, PG_RUNTAIL, PG_HOLD };
struct page {
	uint8_t kind;
	uint32_t npages;		/* of the run that starts here */
	struct slab *slab;
	struct item item;		/* PG_RUN: the allocation */
};

static struct class {
	struct os_lock lock;
	struct slab *room;
} classes[NCLASSES];

static struct os_lock page_lock;
static struct page *pages;
static u_long npages, page_hint;
static u_long pages_free;
static volatile u_long total_allocs;

MALLOC_DEFINE(M_KLDRUN, "kldrun", "kldrun's own tables");
MALLOC_DEFINE(M_DEVBUF, "devbuf", "device driver memory");
MALLOC_DEFINE(M_TEMP, "temp", "misc temporary data buffers");
MALLOC_DEFINE(M_CACHE, "cache", "Various Dynamically allocated caches");
MALLOC_DEFINE(M_IOV, "iov", "large iov's");
MALLOC_DEFINE(M_BUS, "bus", "Bus data structures");

struct kva_layout_s kva_layout;
vm_paddr_t dmaplimit;

void
kld_malloc_boot(void)
{
	u_long i;

	npages = (os_guest_size() - os_low_size()) / PAGE_SIZE;
	pages = os_reserve(npages * sizeof(*pages));
	for (i = 0; i < RESERVED_PAGES && i < npages; i++)
		pages[i].kind = PG_HOLD;
	pages_free = npages - RESERVED_PAGES;
	page_hint = RESERVED_PAGES;
	kva_layout.dmap_low = (vm_offset_t)os_guest_base();
	kva_layout.dmap_high = kva_layout.dmap_low + os_guest_size();
	dmaplimit = os_guest_size();
}

vm_paddr_t
pmap_kextract(vm_offset_t va)
{
	os_u64 pa;

	pa = os_vtophys((void *)va);
	if (pa == ~(os_u64)0)
		panic("vtophys: %#lx is no kernel memory", va);
	return (pa);
}

static struct page *
page_of(const void *p)
{
	u_long n;

	n = ((uintptr_t)p - (uintptr_t)os_guest_base()) / PAGE_SIZE;
	if ((uintptr_t)p < (uintptr_t)os_guest_base() || n >= npages)
		return (NULL);
	return (&pages[n]);
}

static char *
page_address(const struct page *pg)
{
	return ((char *)os_guest_base() + (u_long)(pg - pages) * PAGE_SIZE);
}

/* First fit between page numbers lo and hi (exclusive). */
static u_long
run_find(u_long lo, u_long hi, u_long n, u_long align, u_long boundary)
{
	u_long i, j;

	for (i = roundup2(lo, align); i + n <= hi;) {
		if (boundary != 0 && i / boundary != (i + n - 1) / boundary) {
			i = roundup2(i + 1, align);
			continue;
		}
		for (j = i; j < i + n && pages[j].kind == PG_FREE; j++)
			continue;
		if (j == i + n)
			return (i);
		j += pages[j].kind == PG_RUN ? pages[j].npages : 1;
		i = roundup2(j, align);
	}
	return (0);
}

static struct page *
run_alloc(u_long n, u_long lo, u_long hi, u_long align, u_long boundary)
{
	struct page *pg;
	u_long at, i;

	hi = hi < npages ? hi : npages;
	lo = lo > RESERVED_PAGES ? lo : RESERVED_PAGES;
	os_lock(&page_lock);
	at = 0;
	if (page_hint > lo)
		at = run_find(page_hint, hi, n, align, boundary);
	if (at == 0)
		at = run_find(lo, hi, n, align, boundary);
	if (at == 0) {
		os_unlock(&page_lock);
		return (NULL);
	}
	pg = &pages[at];
	for (i = 1; i < n; i++)
		pg[i].kind = PG_RUNTAIL;
	pg->kind = PG_RUN;
	pg->npages = n;
	pages_free -= n;
	page_hint = at + n;
	os_unlock(&page_lock);
	return (pg);
}

static void
run_free(struct page *pg)
{
	u_long i, n;

	os_lock(&page_lock);
	n = pg->npages;
	for (i = 0; i < n; i++)
		pg[i].kind = PG_FREE;
	pages_free += n;
	if ((u_long)(pg - pages) < page_hint)
		page_hint = pg - pages;
	os_unlock(&page_lock);
}

static struct slab *
slab_new(int class)
{
	struct page *pg;
	struct slab *s;
	uint32_t i, n;

	pg = run_alloc(SLAB_PAGES, 0, npages, 1, 0);
	if (pg == NULL)
		return (NULL);
	n = SLAB_PAGES * PAGE_SIZE >> (class + MIN_SHIFT);
	s = os_alloc(sizeof(*s) + n * sizeof(struct item));
	s->base = page_address(pg);
	s->class = class;
	s->nitems = n;
	s->used = 0;
	for (i = 0; i < n; i++) {
		s->items[i].type = NULL;
		s->items[i].size = 0;
		s->items[i].next = i + 1 < n ? i + 2 : 0;
	}
	s->first_free = 1;
	for (i = 0; i < SLAB_PAGES; i++) {
		pg[i].kind = PG_SLAB;
		pg[i].slab = s;
	}
	return (s);
}

static void
check_freed(const char *p, size_t n, const struct item *it)
{
	char who[96];
	size_t i;

	for (i = 0; i < n && i < FREE_CHECK; i++)
		if (p[i] != FREE_BYTE) {
			os_symbol_name(it->caller, who, sizeof(who));
			panic("memory %p was modified after free at offset "
			    "%zu; last allocated by %s", p, i, who);
		}
}

static void *
small_alloc(size_t size, struct malloc_type *type, void *caller)
{
	struct class *c;
	struct item *it;
	struct slab *s;
	char *p;
	int class;

	for (class = 0; (size_t)1 << (class + MIN_SHIFT) < size; class++)
		continue;
	/* A power of two fills its class exactly: no room for a guard. */
	c = &classes[class];
	os_lock(&c->lock);
	if ((s = c->room) == NULL) {
		if ((s = slab_new(class)) == NULL) {
			os_unlock(&c->lock);
			return (NULL);
		}
		s->next = NULL;
		s->listed = true;
		c->room = s;
	}
	it = &s->items[s->first_free - 1];
	s->first_free = it->next;
	if (++s->used == s->nitems) {
		c->room = s->next;
		s->listed = false;
	}
	p = s->base + ((size_t)(it - s->items) << (class + MIN_SHIFT));
	os_unpoison(p, (size_t)1 << (class + MIN_SHIFT));
	if (it->size != 0)
		check_freed(p, (size_t)1 << (class + MIN_SHIFT), it);
	it->type = type;
	it->caller = caller;
	it->size = size;
	os_unlock(&c->lock);
	memset(p + size, GUARD_BYTE, ((size_t)1 << (class + MIN_SHIFT)) - size);
	os_poison(p + size, ((size_t)1 << (class + MIN_SHIFT)) - size);
	return (p);
}

static void
bad_free(const void *p, const char *what, const struct item *it)
{
	char who[96];

	os_symbol_name(it->caller, who, sizeof(who));
	panic("free: %p %s; %u bytes allocated by %s", p, what, it->size, who);
}

static void
small_free(struct slab *s, char *p)
{
	struct class *c;
	struct item *it;
	size_t full, i;

	c = &classes[s->class];
	full = (size_t)1 << (s->class + MIN_SHIFT);
	it = &s->items[(size_t)(p - s->base) / full];
	os_lock(&c->lock);
	if (it->type == NULL)
		bad_free(p, "is free already", it);
	if ((size_t)(p - s->base) % full != 0)
		bad_free(p, "is not where an allocation starts", it);
	for (i = it->size; i < full; i++)
		if ((u_char)p[i] != GUARD_BYTE)
			bad_free(p, "was written past its end", it);
	os_unpoison(p, full);
	memset(p, FREE_BYTE, full < FREE_CHECK ? full : FREE_CHECK);
	os_poison(p, full);
	it->type = NULL;
	it->next = s->first_free;
	s->first_free = it - s->items + 1;
	s->used--;
	if (!s->listed) {
		s->next = c->room;
		c->room = s;
		s->listed = true;
	}
	os_unlock(&c->lock);
}

static void *
pages_alloc(size_t size, struct malloc_type *type, void *caller, u_long lo,
    u_long hi, u_long align, u_long boundary)
{
	struct page *pg;

	pg = run_alloc(howmany(size, PAGE_SIZE), lo, hi, align, boundary);
	if (pg == NULL)
		return (NULL);
	pg->item = (struct item){ type, caller, size, 0 };
	os_unpoison(page_address(pg), size);
	os_poison(page_address(pg) + size, round_page(size) - size);
	return (page_address(pg));
}

static void
no_memory(size_t size, int flags, const char *what)
{
	if ((flags & M_WAITOK) != 0)
		panic("%s(%zu): guest memory is used up: %lu of %lu pages "
		    "free", what, size, pages_free, npages);
}

void *
kld_malloc_caller(size_t size, struct malloc_type *type, int flags,
    void *caller)
{
	void *p;

	if ((flags & M_WAITOK) != 0 && type != M_KLDRUN)
		kld_assert_may_sleep("malloc(M_WAITOK)", NULL);
	if ((flags & (M_WAITOK | M_NOWAIT)) == 0 ||
	    (flags & (M_WAITOK | M_NOWAIT)) == (M_WAITOK | M_NOWAIT))
		panic("malloc: neither or both of M_WAITOK and M_NOWAIT");
	if (size == 0)
		size = 1;
	if (size <= (size_t)1 << MAX_SHIFT)
		p = small_alloc(size, type, caller);
	else
		p = pages_alloc(size, type, caller, 0, npages, 1, 0);
	if (p == NULL) {
		no_memory(size, flags, "malloc");
		return (NULL);
	}
	atomic_add_long(&total_allocs, type != M_KLDRUN);
	if ((flags & M_ZERO) != 0)
		memset(p, 0, size);
	return (p);
}

void *
malloc(size_t size, struct malloc_type *type, int flags)
{
	return (kld_malloc_caller(size, type, flags,
	    __builtin_return_address(0)));
}

static void
free_common(void *p, struct malloc_type *type)
{
	struct page *pg;

	if (p == NULL)
		return;
	pg = page_of(p);
	if (pg != NULL && pg->kind == PG_SLAB)
		small_free(pg->slab, p);
	else if (pg != NULL && pg->kind == PG_RUN && page_address(pg) == p) {
		pg->item.type = NULL;
		os_poison(p, (u_long)pg->npages * PAGE_SIZE);
		run_free(pg);
	} else
		panic("free: %p was not allocated or is free already", p);
}

void
free(void *p, struct malloc_type *type)
{
	free_common(p, type);
}

size_t
malloc_usable_size(const void *p)
{
	struct page *pg;

	pg = page_of(p);
	if (pg == NULL)
		return (0);
	if (pg->kind == PG_SLAB)
		return (pg->slab->items[((const char *)p - pg->slab->base) >>
		    (pg->slab->class + MIN_SHIFT)].size);
	return (pg->item.size);
}

size_t
malloc_size(size_t size)
{
	return (size);
}

void
zfree(void *p, struct malloc_type *type)
{
	if (p != NULL)
		memset(p, 0, malloc_usable_size(p));
	free_common(p, type);
}

void *
realloc(void *p, size_t size, struct malloc_type *type, int flags)
{
	size_t old;
	void *q;

	q = kld_malloc_caller(size, type, flags, __builtin_return_address(0));
	if (p == NULL || q == NULL)
		return (q);
	old = malloc_usable_size(p);
	memcpy(q, p, old < size ? old : size);
	free_common(p, type);
	return (q);
}

void *
reallocf(void *p, size_t size, struct malloc_type *type, int flags)
{
	void *q;

	q = realloc(p, size, type, flags);
	if (q == NULL)
		free_common(p, type);
	return (q);
}

void *
mallocarray(size_t n, size_t size, struct malloc_type *type, int flags)
{
	if (WOULD_OVERFLOW(n, size))
		panic("mallocarray: %zu * %zu overflowed", n, size);
	return (kld_malloc_caller(n * size, type, flags,
	    __builtin_return_address(0)));
}

void *
malloc_domainset(size_t size, struct malloc_type *type, struct domainset *ds,
    int flags)
{
	return (kld_malloc_caller(size, type, flags,
	    __builtin_return_address(0)));
}

void *
malloc_aligned(size_t size, size_t align, struct malloc_type *type, int flags)
{
	size_t n;

	for (n = 1; n < size || n < align; n <<= 1)
		continue;
	if (n <= PAGE_SIZE / 2 || align <= 16)
		return (kld_malloc_caller(align <= 16 ? size : n, type, flags,
		    __builtin_return_address(0)));
	return (contigmalloc(size, type, flags, 0, ~(vm_paddr_t)0, align, 0));
}

void *
contigmalloc(unsigned long size, struct malloc_type *type, int flags,
    vm_paddr_t low, vm_paddr_t high, unsigned long alignment,
    vm_paddr_t boundary)
{
	void *p;

	if ((flags & M_WAITOK) != 0)
		kld_assert_may_sleep("contigmalloc(M_WAITOK)", NULL);
	if (size == 0)
		panic("contigmalloc: size 0");
	p = pages_alloc(size, type, __builtin_return_address(0),
	    howmany(low, PAGE_SIZE), high >> PAGE_SHIFT,
	    alignment > PAGE_SIZE ? alignment >> PAGE_SHIFT : 1,
	    boundary >> PAGE_SHIFT);
	if (p == NULL) {
		no_memory(size, flags, "contigmalloc");
		return (NULL);
	}
	atomic_add_long(&total_allocs, type != M_KLDRUN);
	if ((flags & M_ZERO) != 0)
		memset(p, 0, size);
	return (p);
}

void
contigfree(void *addr, unsigned long size, struct malloc_type *type)
{
	struct page *pg;

	pg = page_of(addr);
	if (pg != NULL && pg->kind == PG_RUN &&
	    howmany(size, PAGE_SIZE) != pg->npages)
		panic("contigfree: %lu bytes of an allocation of %u", size,
		    pg->item.size);
	free_common(addr, type);
}

void *
kmem_malloc(vm_size_t size, int flags)
{
	void *p;

	p = pages_alloc(size, M_DEVBUF, __builtin_return_address(0), 0,
	    npages, 1, 0);
	if (p == NULL)
		no_memory(size, flags, "kmem_malloc");
	else if ((flags & M_ZERO) != 0)
		memset(p, 0, size);
	atomic_add_long(&total_allocs, p != NULL);
	return (p);
}

void *
kmem_alloc_contig(vm_size_t size, int flags, vm_paddr_t low, vm_paddr_t high,
    u_long alignment, vm_paddr_t boundary, vm_memattr_t memattr)
{
	return (contigmalloc(size, M_DEVBUF, flags, low, high, alignment,
	    boundary));
}

void
kmem_free(void *addr, vm_size_t size)
{
	free_common(addr, M_DEVBUF);
}

void
malloc_init(void *arg)
{
	struct malloc_type *type;

	type = arg;
	if (type->ks_version != M_VERSION)
		panic("malloc_init: type %s has a bad version",
		    type->ks_shortdesc);
}

void
malloc_uninit(void *arg)
{
}

/* The leak table: one row for each type and caller that still holds. */
struct leak {
	struct malloc_type *type;
	void *caller;
	long count, bytes;
};
#define	NLEAKS	256
static struct leak leaks[NLEAKS];
static int nleaks;

/*
 * Memory that a host never gave back must not be freed, which is no leak: hv_vmbus
 * notes each piece (or what stands for it) in an allocation of its own of this
 * type: the address, then the bytes that the host may use.
 */
#define	KEPT_TYPE	"hostkept"

struct kept_note {
	const void *memory;
	size_t bytes;
};

static const void **kept;
static u_long nkept, kept_room;
static long kept_pages;

bool
kld_kept(const void *p)
{
	u_long i;

	for (i = 0; i < nkept; i++)
		if (kept[i] == p)
			return (true);
	return (false);
}

long
kld_kept_pages(void)
{
	return (kept_pages);
}

static bool
is_kept_note(const struct item *it)
{
	return (it->type != NULL && it->type != M_KLDRUN &&
	    strcmp(it->type->ks_shortdesc, KEPT_TYPE) == 0);
}

static void
each_item(void (*func)(const struct item *, const void *))
{
	struct slab *s;
	u_long i;
	uint32_t j;

	for (i = 0; i < npages; i++) {
		if (pages[i].kind == PG_RUN)
			func(&pages[i].item, page_address(&pages[i]));
		else if (pages[i].kind == PG_SLAB &&
		    (s = pages[i].slab)->base == page_address(&pages[i]))
			for (j = 0; j < s->nitems; j++)
				func(&s->items[j], s->base +
				    ((size_t)j << (s->class + MIN_SHIFT)));
	}
}

static void
kept_note(const struct item *it, const void *p)
{
	const struct kept_note *note = p;

	if (!is_kept_note(it) || it->size < sizeof(*note))
		return;
	if (nkept == kept_room) {
		kept_room = kept_room != 0 ? 2 * kept_room : 64;
		kept = os_realloc(kept, kept_room * sizeof(*kept));
	}
	kept[nkept++] = note->memory;
	kept_pages += howmany(note->bytes, PAGE_SIZE);
}

void
kld_kept_find(void)
{
	nkept = 0;
	kept_pages = 0;
	each_item(kept_note);
}

static void
leak_note(const struct item *it, const void *p)
{
	struct leak *l;

	if (it->type == NULL || it->type == M_KLDRUN || is_kept_note(it))
		return;
	if (kld_kept(p))
		return;
	for (l = leaks; l < &leaks[nleaks]; l++)
		if (l->type == it->type && l->caller == it->caller)
			break;
	if (l == &leaks[NLEAKS])
		return;
	if (l == &leaks[nleaks]) {
		*l = (struct leak){ it->type, it->caller, 0, 0 };
		nleaks++;
	}
	l->count++;
	l->bytes += it->size;
}

int
kld_malloc_leaks(void (*out)(void *, const char *), void *arg, long *live,
    long *ever)
{
	struct kld_out o = { out, arg };
	char who[96];
	struct leak *l;

	nleaks = 0;
	*live = 0;
	*ever = total_allocs;
	each_item(leak_note);
	for (l = leaks; l < &leaks[nleaks]; l++) {
		*live += l->count;
		os_symbol_name(l->caller, who, sizeof(who));
		kld_outf(&o, "  %-16s %8ld allocation%s %10ld bytes by %s\n",
		    l->type->ks_shortdesc, l->count, l->count == 1 ? " " : "s",
		    l->bytes, who);
	}
	return (nleaks);
}
