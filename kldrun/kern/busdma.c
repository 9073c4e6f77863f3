/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * busdma.c: bus_dma(9). Tags and maps are real: alignment, boundary, segment
 * size and count, address limits and the page-offset rule are honoured, and
 * --bounce forces every buffer through bounce pages with real copies at sync,
 * as on a machine whose device cannot reach the memory.
 *
 * On amd64 bus_dmamap_load_* and friends are inlined and call through the
 * table that a tag begins with (x86/busdma_impl.h); this file is that table.
 * A map belongs to its caller; only the list of maps has a lock.
 */

#include "kern.h"
#include <sys/bus.h>
#include <sys/memdesc.h>
#include <machine/bus.h>
#include <vm/vm.h>
#include <vm/pmap.h>
#include <vm/vm_page.h>

struct bus_dma_tag {
	struct bus_dma_tag_common common;
	LIST_ENTRY(bus_dma_tag) link;
	struct bus_dma_tag *parent;
	void *caller;
	volatile int nmaps;
	bool bounce;
	bus_dma_segment_t *segs;	/* bus_dmamap_load without a map */
};

struct bounce {
	char *page, *orig;
	bus_size_t len;
};

struct bus_dmamap {
	LIST_ENTRY(bus_dmamap) link;
	struct bus_dma_tag *tag;
	void *caller;
	bus_dma_segment_t *segs;
	int nbounce, maxbounce;
	struct bounce *bounces;
	bool loaded, memory;
};

static struct os_lock dma_lock;
static LIST_HEAD(, bus_dma_tag) tags = LIST_HEAD_INITIALIZER(tags);
static LIST_HEAD(, bus_dmamap) maps = LIST_HEAD_INITIALIZER(maps);
static long maps_returned;

/*
 * Bounce pages are one pool for all tags, as a zone is in FreeBSD: a load that
 * finds it empty fails with ENOMEM and the driver tries again later.
 */
#define	POOL_MAX	4096
static struct os_lock pool_lock;
static char *pool[POOL_MAX];
static int pool_free, pool_made;

static char *
pool_get(void)
{
	char *page;

	os_lock(&pool_lock);
	page = NULL;
	if (pool_free > 0)
		page = pool[--pool_free];
	else if (pool_made < POOL_MAX &&
	    pool_made < (long)(os_guest_size() / PAGE_SIZE / 8)) {
		page = contigmalloc(PAGE_SIZE, M_KLDRUN, M_NOWAIT, 0,
		    ~(vm_paddr_t)0, PAGE_SIZE, 0);
		pool_made += page != NULL;
	}
	os_unlock(&pool_lock);
	return (page);
}

static void
bounces_release(bus_dmamap_t map)
{
	os_lock(&pool_lock);
	while (map->nbounce > 0)
		pool[pool_free++] = (char *)trunc_page((vm_offset_t)
		    map->bounces[--map->nbounce].page);
	os_unlock(&pool_lock);
}

static int
tag_create(bus_dma_tag_t parent, bus_size_t alignment, bus_addr_t boundary,
    bus_addr_t lowaddr, bus_addr_t highaddr, bus_size_t maxsize,
    int nsegments, bus_size_t maxsegsz, int flags, bus_dma_lock_t *lockfunc,
    void *lockfuncarg, bus_dma_tag_t *dmat);

static bool
id_mapped(bus_dma_tag_t dmat, vm_paddr_t pa, bus_size_t len)
{
	return (!dmat->bounce);
}

static int
tag_set_domain(bus_dma_tag_t dmat)
{
	return (0);
}

static int
tag_destroy(bus_dma_tag_t dmat)
{
	if (dmat->nmaps != 0)
		return (EBUSY);
	os_lock(&dma_lock);
	LIST_REMOVE(dmat, link);
	os_unlock(&dma_lock);
	os_free(dmat->segs);
	os_free(dmat);
	return (0);
}

static bus_dmamap_t
map_new(bus_dma_tag_t dmat, void *caller)
{
	bus_dmamap_t map;

	map = os_alloc(sizeof(*map));
	memset(map, 0, sizeof(*map));
	map->tag = dmat;
	map->caller = caller;
	map->segs = os_alloc(dmat->common.nsegments *
	    sizeof(bus_dma_segment_t));
	atomic_add_int(&dmat->nmaps, 1);
	os_lock(&dma_lock);
	LIST_INSERT_HEAD(&maps, map, link);
	os_unlock(&dma_lock);
	return (map);
}

static int
map_create(bus_dma_tag_t dmat, int flags, bus_dmamap_t *mapp)
{
	bus_dmamap_t map;

	map = map_new(dmat, __builtin_return_address(0));
	if (dmat->bounce) {
		/* One page a segment, and one more for an unaligned start. */
		map->maxbounce = howmany(MIN(dmat->common.maxsize,
		    (bus_size_t)dmat->common.nsegments * PAGE_SIZE),
		    PAGE_SIZE) + 1;
		map->bounces = os_alloc(map->maxbounce *
		    sizeof(struct bounce));
	}
	*mapp = map;
	return (0);
}

static int
map_destroy(bus_dma_tag_t dmat, bus_dmamap_t map)
{
	if (map == NULL)
		return (0);
	if (map->loaded)
		return (EBUSY);
	os_lock(&dma_lock);
	LIST_REMOVE(map, link);
	maps_returned++;
	os_unlock(&dma_lock);
	atomic_subtract_int(&dmat->nmaps, 1);
	os_free(map->bounces);
	os_free(map->segs);
	os_free(map);
	return (0);
}

static int
mem_alloc(bus_dma_tag_t dmat, void **vaddr, int flags, bus_dmamap_t *mapp)
{
	bus_dmamap_t map;
	int mflags;

	mflags = (flags & BUS_DMA_NOWAIT) != 0 ? M_NOWAIT : M_WAITOK;
	if ((flags & BUS_DMA_ZERO) != 0)
		mflags |= M_ZERO;
	*vaddr = contigmalloc(dmat->common.maxsize, M_DEVBUF, mflags, 0,
	    dmat->common.lowaddr, MAX(dmat->common.alignment, PAGE_SIZE),
	    dmat->common.boundary > dmat->common.maxsize ?
	    dmat->common.boundary : 0);
	if (*vaddr == NULL)
		return (ENOMEM);
	map = map_new(dmat, __builtin_return_address(0));
	map->memory = true;
	*mapp = map;
	return (0);
}

static void
mem_free(bus_dma_tag_t dmat, void *vaddr, bus_dmamap_t map)
{
	map->loaded = false;
	map_destroy(dmat, map);
	free(vaddr, M_DEVBUF);
}

/* Adds [pa, pa+len), cut as the tag demands. */
static int
add_segs(bus_dma_tag_t dmat, bus_addr_t pa, bus_size_t len,
    bus_dma_segment_t *segs, int *segp)
{
	struct bus_dma_tag_common *c;
	bus_dma_segment_t *last;
	bus_size_t n;

	c = &dmat->common;
	while (len > 0) {
		n = len;
		if (c->boundary != 0)
			n = MIN(n, c->boundary - (pa & (c->boundary - 1)));
		last = *segp >= 0 ? &segs[*segp] : NULL;
		if (last != NULL && last->ds_addr + last->ds_len == pa &&
		    last->ds_len < c->maxsegsz && (c->boundary == 0 ||
		    (last->ds_addr & -c->boundary) == (pa & -c->boundary))) {
			n = MIN(n, c->maxsegsz - last->ds_len);
			last->ds_len += n;
		} else {
			if (*segp + 1 >= (int)c->nsegments)
				return (EFBIG);
			n = MIN(n, c->maxsegsz);
			++*segp;
			segs[*segp].ds_addr = pa;
			segs[*segp].ds_len = n;
		}
		pa += n;
		len -= n;
	}
	return (0);
}

/* One piece that lies within a page. */
static int
load_piece(bus_dma_tag_t dmat, bus_dmamap_t map, char *va, bus_addr_t pa,
    bus_size_t len, int flags, bus_dma_segment_t *segs, int *segp)
{
	struct bounce *b;
	bus_size_t off;

	if (pa + len - 1 > dmat->common.lowaddr ||
	    (pa & (dmat->common.alignment - 1)) != 0 || dmat->bounce) {
		if (map == NULL || map->memory)
			return (add_segs(dmat, pa, len, segs, segp));
		if (map->nbounce == map->maxbounce)
			return (map->maxbounce == 0 ? EINVAL : ENOMEM);
		b = &map->bounces[map->nbounce];
		if ((b->page = pool_get()) == NULL)
			return (ENOMEM);
		off = (dmat->common.flags & BUS_DMA_KEEP_PG_OFFSET) != 0 ?
		    pa & PAGE_MASK : 0;
		b->orig = va;
		b->len = len;
		b->page += off;
		map->nbounce++;
		pa = pmap_kextract((vm_offset_t)b->page);
	}
	return (add_segs(dmat, pa, len, segs, segp));
}

static int
load_buffer(bus_dma_tag_t dmat, bus_dmamap_t map, void *buf,
    bus_size_t buflen, struct pmap *pmap, int flags, bus_dma_segment_t *segs,
    int *segp)
{
	bus_size_t n;
	char *va;
	int error;

	if (segs == NULL)
		segs = map != NULL ? map->segs : dmat->segs;
	for (va = buf; buflen > 0; va += n, buflen -= n) {
		n = MIN(buflen, PAGE_SIZE - ((vm_offset_t)va & PAGE_MASK));
		error = load_piece(dmat, map, va,
		    pmap_kextract((vm_offset_t)va), n, flags, segs, segp);
		if (error != 0)
			return (error);
	}
	return (0);
}

static int
load_phys(bus_dma_tag_t dmat, bus_dmamap_t map, vm_paddr_t pa,
    bus_size_t buflen, int flags, bus_dma_segment_t *segs, int *segp)
{
	if (pa >= os_guest_size() || buflen > os_guest_size() - pa)
		panic("bus_dmamap_load: %#jx is no memory", (uintmax_t)pa);
	return (load_buffer(dmat, map, (void *)PHYS_TO_DMAP(pa), buflen, NULL,
	    flags, segs, segp));
}

static int
load_ma(bus_dma_tag_t dmat, bus_dmamap_t map, struct vm_page **ma,
    bus_size_t tlen, int ma_offs, int flags, bus_dma_segment_t *segs,
    int *segp)
{
	bus_size_t n;
	int error, i;

	for (i = 0; tlen > 0; i++, ma_offs = 0, tlen -= n) {
		n = MIN(tlen, (bus_size_t)(PAGE_SIZE - ma_offs));
		error = load_phys(dmat, map, VM_PAGE_TO_PHYS(ma[i]) + ma_offs,
		    n, flags, segs, segp);
		if (error != 0)
			return (error);
	}
	return (0);
}

static void
map_waitok(bus_dma_tag_t dmat, bus_dmamap_t map, struct memdesc *mem,
    bus_dmamap_callback_t *callback, void *callback_arg)
{
}

static bus_dma_segment_t *
map_complete(bus_dma_tag_t dmat, bus_dmamap_t map, bus_dma_segment_t *segs,
    int nsegs, int error)
{
	if (map != NULL) {
		if (map->loaded)
			panic("bus_dmamap_load of a map that is loaded");
		if (error == 0)
			map->loaded = true;
		else
			bounces_release(map);
	}
	if (segs == NULL)
		segs = map != NULL ? map->segs : dmat->segs;
	return (segs);
}

static void
map_unload(bus_dma_tag_t dmat, bus_dmamap_t map)
{
	if (map == NULL)
		return;
	map->loaded = false;
	bounces_release(map);
}

static void
map_sync(bus_dma_tag_t dmat, bus_dmamap_t map, bus_dmasync_op_t op)
{
	struct bounce *b;

	if (map == NULL)
		return;
	for (b = map->bounces; b < map->bounces + map->nbounce; b++) {
		if ((op & BUS_DMASYNC_PREWRITE) != 0)
			memcpy(b->page, b->orig, b->len);
		if ((op & BUS_DMASYNC_POSTREAD) != 0)
			memcpy(b->orig, b->page, b->len);
	}
	atomic_thread_fence_seq_cst();
}

struct bus_dma_impl bus_dma_bounce_impl = {
	.tag_create = tag_create,
	.tag_destroy = tag_destroy,
	.tag_set_domain = tag_set_domain,
	.id_mapped = id_mapped,
	.map_create = map_create,
	.map_destroy = map_destroy,
	.mem_alloc = mem_alloc,
	.mem_free = mem_free,
	.load_ma = load_ma,
	.load_phys = load_phys,
	.load_buffer = load_buffer,
	.map_waitok = map_waitok,
	.map_complete = map_complete,
	.map_unload = map_unload,
	.map_sync = map_sync,
};

static int
tag_create(bus_dma_tag_t parent, bus_size_t alignment, bus_addr_t boundary,
    bus_addr_t lowaddr, bus_addr_t highaddr, bus_size_t maxsize,
    int nsegments, bus_size_t maxsegsz, int flags, bus_dma_lock_t *lockfunc,
    void *lockfuncarg, bus_dma_tag_t *dmat)
{
	struct bus_dma_tag_common *c;
	bus_dma_tag_t tag;

	if (boundary != 0 && boundary < maxsegsz)
		maxsegsz = boundary;
	if (maxsegsz == 0 || nsegments <= 0 || !powerof2(boundary) ||
	    alignment == 0 || !powerof2(alignment))
		return (EINVAL);
	/* "Unlimited" costs a table of segments: more than memory is none. */
	nsegments = MIN(nsegments, 65536);
	tag = os_alloc(sizeof(*tag));
	memset(tag, 0, sizeof(*tag));
	c = &tag->common;
	*c = (struct bus_dma_tag_common){
		.impl = &bus_dma_bounce_impl, .alignment = alignment,
		.boundary = boundary, .lowaddr = trunc_page(lowaddr) +
		    (PAGE_SIZE - 1), .highaddr = highaddr,
		.maxsize = maxsize, .nsegments = nsegments,
		.maxsegsz = maxsegsz, .flags = flags, .lockfunc = lockfunc,
		.lockfuncarg = lockfuncarg,
	};
	if (parent != NULL) {
		c->lowaddr = MIN(c->lowaddr, parent->common.lowaddr);
		if (parent->common.boundary != 0)
			c->boundary = c->boundary == 0 ?
			    parent->common.boundary :
			    MIN(c->boundary, parent->common.boundary);
		c->alignment = MAX(c->alignment, parent->common.alignment);
	}
	tag->parent = parent;
	tag->caller = __builtin_return_address(0);
	tag->bounce = os_bounce_forced() || lowaddr < os_guest_size();
	tag->segs = os_alloc(c->nsegments * sizeof(bus_dma_segment_t));
	os_lock(&dma_lock);
	LIST_INSERT_HEAD(&tags, tag, link);
	os_unlock(&dma_lock);
	*dmat = tag;
	return (0);
}

int
bus_dma_tag_create(bus_dma_tag_t parent, bus_size_t alignment,
    bus_addr_t boundary, bus_addr_t lowaddr, bus_addr_t highaddr,
    bus_dma_filter_t *filtfunc, void *filtfuncarg, bus_size_t maxsize,
    int nsegments, bus_size_t maxsegsz, int flags, bus_dma_lock_t *lockfunc,
    void *lockfuncarg, bus_dma_tag_t *dmat)
{
	int error;

	if (filtfunc != NULL)
		return (EINVAL);
	error = tag_create(parent, alignment, boundary, lowaddr, highaddr,
	    maxsize, nsegments, maxsegsz, flags, lockfunc, lockfuncarg, dmat);
	if (error == 0)
		(*dmat)->caller = __builtin_return_address(0);
	return (error);
}

int
bus_dma_tag_destroy(bus_dma_tag_t dmat)
{
	return (dmat == NULL ? 0 : tag_destroy(dmat));
}

int
bus_dma_tag_set_domain(bus_dma_tag_t dmat, int domain)
{
	return (0);
}

int
bus_dmamap_load(bus_dma_tag_t dmat, bus_dmamap_t map, void *buf,
    bus_size_t buflen, bus_dmamap_callback_t *callback, void *callback_arg,
    int flags)
{
	bus_dma_segment_t *segs;
	int error, nsegs;

	nsegs = -1;
	error = load_buffer(dmat, map, buf, buflen, NULL, flags, NULL, &nsegs);
	nsegs++;
	segs = map_complete(dmat, map, NULL, nsegs, error);
	if (error == EINPROGRESS)
		return (error);
	callback(callback_arg, segs, error != 0 ? 0 : nsegs, error);
	return (error == ENOMEM && (flags & BUS_DMA_NOWAIT) == 0 ? ENOMEM :
	    0);
}

void
busdma_lock_mutex(void *arg, bus_dma_lock_op_t op)
{
	if (op == BUS_DMA_LOCK)
		mtx_lock((struct mtx *)arg);
	else
		mtx_unlock((struct mtx *)arg);
}

void
_busdma_dflt_lock(void *arg, bus_dma_lock_op_t op)
{
	panic("driver error: _bus_dma_dflt_lock called");
}

int
kld_busdma_leaks(void (*out)(void *, const char *), void *arg, long *returned)
{
	struct kld_out o = { out, arg };
	struct bus_dma_tag *t;
	struct bus_dmamap *m;
	char who[96];
	int n;

	n = 0;
	os_lock(&dma_lock);
	*returned = maps_returned;
	LIST_FOREACH(t, &tags, link) {
		if (kld_kept(t))
			continue;
		os_symbol_name(t->caller, who, sizeof(who));
		kld_outf(&o, "  busdma tag with %d maps by %s\n", t->nmaps,
		    who);
		n++;
	}
	LIST_FOREACH(m, &maps, link) {
		if (kld_kept(m))
			continue;
		if (m->loaded) {
			os_symbol_name(m->tag->caller, who, sizeof(who));
			kld_outf(&o, "  busdma map, still loaded, of the tag "
			    "by %s\n", who);
		}
		n++;
	}
	os_unlock(&dma_lock);
	return (n);
}
