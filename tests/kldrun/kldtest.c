/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * kldtest.c: a FreeBSD kernel module that exercises the interfaces kldrun
 * implements. kldtest0 attaches below nexus0, checks each interface and says
 * "kldtest0: NAME ok" or returns an error from attach; hw.kldtest.mode asks
 * it to misbehave instead, for the tests of what kldrun refuses.
 */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/bus.h>
#include <sys/callout.h>
#include <sys/condvar.h>
#include <sys/counter.h>
#include <sys/kernel.h>
#include <sys/kthread.h>
#include <sys/lock.h>
#include <sys/malloc.h>
#include <sys/module.h>
#include <sys/mutex.h>
#include <sys/proc.h>
#include <sys/rwlock.h>
#include <sys/sema.h>
#include <sys/smp.h>
#include <sys/sx.h>
#include <sys/sysctl.h>
#include <sys/taskqueue.h>
#include <machine/bus.h>
#include <vm/vm.h>
#include <vm/pmap.h>

static MALLOC_DEFINE(M_KLDTEST, "kldtest", "kldtest memory");
static MALLOC_DEFINE(M_HOSTKEPT, "hostkept", "notes of memory kept on purpose");
static SYSCTL_NODE(_hw, OID_AUTO, kldtest, CTLFLAG_RW | CTLFLAG_MPSAFE, NULL,
    "kldtest");
static char mode[32] = "check";
SYSCTL_STRING(_hw_kldtest, OID_AUTO, mode, CTLFLAG_RWTUN, mode, sizeof(mode),
    "what to do at attach");
static int number = 7;
SYSCTL_INT(_hw_kldtest, OID_AUTO, number, CTLFLAG_RW, &number, 0, "a number");

struct kldtest_softc {
	device_t dev;
	struct mtx mtx;
	struct sx sx;
	struct rwlock rw;
	struct cv cv;
	struct sema sema;
	struct callout callout;
	struct task task;
	struct taskqueue *tq;
	int calls, tasks, total[2], running;
	counter_u64_t counter;
	cpuset_t seen;
};

#define	WORKERS	4
#define	ROUNDS	2000

static void
worker(void *arg)
{
	struct kldtest_softc *sc;
	int i;

	sc = arg;
	for (i = 0; i < ROUNDS; i++) {
		mtx_lock(&sc->mtx);
		sc->total[0]++;
		mtx_unlock(&sc->mtx);
		sx_xlock(&sc->sx);
		sc->total[1]++;
		sx_xunlock(&sc->sx);
		rw_rlock(&sc->rw);
		counter_u64_add(sc->counter, 1);
		rw_runlock(&sc->rw);
	}
	mtx_lock(&sc->mtx);
	if (--sc->running == 0)
		cv_broadcast(&sc->cv);
	mtx_unlock(&sc->mtx);
	kthread_exit();
}

static int
check_locks(struct kldtest_softc *sc)
{
	int i;

	sc->running = WORKERS;
	for (i = 0; i < WORKERS; i++)
		if (kthread_add(worker, sc, NULL, NULL, 0, 0, "worker%d", i))
			return (EAGAIN);
	mtx_lock(&sc->mtx);
	while (sc->running > 0)
		if (cv_timedwait(&sc->cv, &sc->mtx, 20 * hz) != 0)
			break;
	mtx_unlock(&sc->mtx);
	if (sc->running != 0 || sc->total[0] != WORKERS * ROUNDS ||
	    sc->total[1] != WORKERS * ROUNDS ||
	    counter_u64_fetch(sc->counter) != WORKERS * ROUNDS)
		return (EIO);
	mtx_lock(&sc->mtx);
	if (!mtx_owned(&sc->mtx) ||
	    msleep(sc, &sc->mtx, 0, "kldtst", 2) != EWOULDBLOCK ||
	    !mtx_owned(&sc->mtx)) {
		mtx_unlock(&sc->mtx);
		return (EIO);
	}
	mtx_unlock(&sc->mtx);
	return (mtx_owned(&sc->mtx) ? EIO : 0);
}

static void
on_callout(void *arg)
{
	struct kldtest_softc *sc;

	sc = arg;
	sc->calls++;
	if (sc->calls < 3)
		callout_reset_sbt(&sc->callout, SBT_1MS, 0, on_callout, sc, 0);
	else
		wakeup(&sc->calls);
}

static int
check_callout(struct kldtest_softc *sc)
{
	sbintime_t start;

	start = sbinuptime();
	mtx_lock(&sc->mtx);
	callout_reset_sbt(&sc->callout, 5 * SBT_1MS, 0, on_callout, sc, 0);
	while (sc->calls < 3)
		if (msleep(&sc->calls, &sc->mtx, 0, "kldcal", 60 * hz) != 0)
			break;
	mtx_unlock(&sc->mtx);
	/* It may not be back from the third yet: that cannot be stopped. */
	callout_drain(&sc->callout);
	mtx_lock(&sc->mtx);
	callout_reset(&sc->callout, 1000 * hz, on_callout, sc);
	if (callout_stop(&sc->callout) != 1)
		sc->calls = -1;
	mtx_unlock(&sc->mtx);
	callout_drain(&sc->callout);
	if (sc->calls != 3 || sbinuptime() - start < 6 * SBT_1MS)
		return (EIO);
	return (0);
}

static void
on_task(void *arg, int pending)
{
	struct kldtest_softc *sc;

	sc = arg;
	sc->tasks += pending;
	CPU_SET(curcpu, &sc->seen);
	sema_post(&sc->sema);
}

static int
check_taskqueue(struct kldtest_softc *sc)
{
	cpuset_t one;
	int i;

	CPU_SETOF(mp_ncpus - 1, &one);
	TASK_INIT(&sc->task, 0, on_task, sc);
	sc->tq = taskqueue_create_fast("kldtest", M_WAITOK,
	    taskqueue_thread_enqueue, &sc->tq);
	taskqueue_start_threads_cpuset(&sc->tq, 1, PWAIT, &one, "kldtest tq");
	taskqueue_block(sc->tq);
	for (i = 0; i < 5; i++)
		taskqueue_enqueue(sc->tq, &sc->task);
	taskqueue_unblock(sc->tq);
	sema_wait(&sc->sema);
	taskqueue_drain(sc->tq, &sc->task);
	taskqueue_free(sc->tq);
	return (sc->tasks == 5 && CPU_ISSET(mp_ncpus - 1, &sc->seen) &&
	    CPU_COUNT(&sc->seen) == 1 ? 0 : EIO);
}

static void
on_cpu(void *arg)
{
	struct kldtest_softc *sc;

	sc = arg;
	CPU_SET(curcpu, &sc->seen);
}

static int
check_rendezvous(struct kldtest_softc *sc)
{
	CPU_ZERO(&sc->seen);
	smp_rendezvous(NULL, on_cpu, NULL, sc);
	return (CPU_CMP(&sc->seen, &all_cpus) == 0 ? 0 : EIO);
}

static int
check_malloc(struct kldtest_softc *sc)
{
	uint8_t *p;
	size_t i, n;

	for (n = 1; n < 100000; n = n * 3 + 1) {
		p = malloc(n, M_KLDTEST, M_WAITOK | M_ZERO);
		for (i = 0; i < n; i++)
			if (p[i] != 0)
				return (EIO);
		memset(p, 0x11, n);
		p = realloc(p, n * 2, M_KLDTEST, M_WAITOK);
		if (p[0] != 0x11 || p[n - 1] != 0x11)
			return (EIO);
		free(p, M_KLDTEST);
	}
	p = contigmalloc(64 * 1024, M_KLDTEST, M_WAITOK, 0, ~0ul, 64 * 1024,
	    0);
	if (vtophys(p) % (64 * 1024) != 0 ||
	    vtophys(p + 60000) != vtophys(p) + 60000)
		return (EIO);
	free(p, M_KLDTEST);
	return (0);
}

struct load {
	int nseg;
	bool good;
};

static void
on_load(void *arg, bus_dma_segment_t *segs, int nseg, int error)
{
	struct load *l;
	int i;

	l = arg;
	l->nseg = nseg;
	l->good = error == 0;
	for (i = 0; i < nseg; i++)
		if (segs[i].ds_len > PAGE_SIZE || segs[i].ds_addr / PAGE_SIZE !=
		    (segs[i].ds_addr + segs[i].ds_len - 1) / PAGE_SIZE)
			l->good = false;
}

static int
check_busdma(struct kldtest_softc *sc)
{
	bus_dma_tag_t tag;
	bus_dmamap_t map;
	struct load l = { 0, false };
	char *p;

	if (bus_dma_tag_create(NULL, 1, PAGE_SIZE, BUS_SPACE_MAXADDR,
	    BUS_SPACE_MAXADDR, NULL, NULL, 32 * 1024, 9, PAGE_SIZE,
	    BUS_DMA_KEEP_PG_OFFSET, NULL, NULL, &tag) != 0)
		return (ENOMEM);
	p = malloc(64 * 1024, M_KLDTEST, M_WAITOK);
	if (bus_dmamap_create(tag, 0, &map) != 0)
		return (ENOMEM);
	bus_dmamap_load(tag, map, p + 100, 32 * 1024, on_load, &l,
	    BUS_DMA_NOWAIT);
	if (!l.good || l.nseg != 9 || bus_dmamap_destroy(tag, map) != EBUSY)
		return (EIO);
	bus_dmamap_sync(tag, map, BUS_DMASYNC_PREWRITE);
	bus_dmamap_sync(tag, map, BUS_DMASYNC_POSTWRITE);
	bus_dmamap_unload(tag, map);
	bus_dmamap_load(tag, map, p, 60 * 1024, on_load, &l, BUS_DMA_NOWAIT);
	if (l.good || bus_dma_tag_destroy(tag) != EBUSY)
		return (EIO);
	free(p, M_KLDTEST);
	if (bus_dmamap_destroy(tag, map) != 0 || bus_dma_tag_destroy(tag) != 0)
		return (EIO);
	return (0);
}

static const struct {
	const char *name;
	int (*check)(struct kldtest_softc *);
} checks[] = {
	{ "locks", check_locks },
	{ "callout", check_callout },
	{ "taskqueue", check_taskqueue },
	{ "rendezvous", check_rendezvous },
	{ "malloc", check_malloc },
	{ "busdma", check_busdma },
};

static void
misbehave(struct kldtest_softc *sc)
{
	void **note;
	char *p;

	if (strcmp(mode, "kept") == 0) {
		note = malloc(2 * sizeof(*note), M_HOSTKEPT, M_WAITOK | M_ZERO);
		note[0] = malloc(3 * PAGE_SIZE, M_KLDTEST, M_WAITOK);
		note[1] = (void *)(uintptr_t)(3 * PAGE_SIZE);
		return;
	}
	p = malloc(100, M_KLDTEST, M_WAITOK);
	if (strcmp(mode, "leak") == 0)
		return;
	if (strcmp(mode, "overrun") == 0)
		p[100] = 1;
	free(p, M_KLDTEST);
	if (strcmp(mode, "doublefree") == 0)
		free(p, M_KLDTEST);
	if (strcmp(mode, "recurse") == 0) {
		mtx_lock(&sc->mtx);
		mtx_lock(&sc->mtx);
	}
	if (strcmp(mode, "sleep") == 0) {
		mtx_lock(&sc->mtx);
		pause("kldtst", 1);
	}
	if (strcmp(mode, "null") == 0)
		*(volatile int *)8 = 1;
	if (strcmp(mode, "msr") == 0)
		(void)rdmsr(0x40000000);
}

static void
kldtest_identify(driver_t *driver, device_t parent)
{
	if (device_find_child(parent, "kldtest", -1) == NULL)
		device_add_child(parent, "kldtest", 0);
}

static int
kldtest_probe(device_t dev)
{
	device_set_desc(dev, "kldrun test device");
	return (BUS_PROBE_NOWILDCARD);
}

static void
kldtest_fini(struct kldtest_softc *sc)
{
	callout_drain(&sc->callout);
	counter_u64_free(sc->counter);
	sema_destroy(&sc->sema);
	cv_destroy(&sc->cv);
	rw_destroy(&sc->rw);
	sx_destroy(&sc->sx);
	mtx_destroy(&sc->mtx);
}

static int
kldtest_attach(device_t dev)
{
	struct kldtest_softc *sc;
	u_int i;
	int error;

	sc = device_get_softc(dev);
	sc->dev = dev;
	mtx_init(&sc->mtx, "kldtest", NULL, MTX_DEF);
	sx_init(&sc->sx, "kldtest sx");
	rw_init(&sc->rw, "kldtest rw");
	cv_init(&sc->cv, "kldtest cv");
	sema_init(&sc->sema, 0, "kldtest sema");
	callout_init_mtx(&sc->callout, &sc->mtx, 0);
	sc->counter = counter_u64_alloc(M_WAITOK);
	SYSCTL_ADD_INT(device_get_sysctl_ctx(dev),
	    SYSCTL_CHILDREN(device_get_sysctl_tree(dev)), OID_AUTO, "tasks",
	    CTLFLAG_RD, &sc->tasks, 0, "tasks run");
	if (strcmp(mode, "check") != 0)
		misbehave(sc);
	for (i = 0; i < nitems(checks); i++) {
		error = checks[i].check(sc);
		if (error != 0) {
			device_printf(dev, "%s failed: %d\n", checks[i].name,
			    error);
			kldtest_fini(sc);
			return (error);
		}
		device_printf(dev, "%s ok\n", checks[i].name);
	}
	return (0);
}

static int
kldtest_detach(device_t dev)
{
	kldtest_fini(device_get_softc(dev));
	return (0);
}

static device_method_t kldtest_methods[] = {
	DEVMETHOD(device_identify, kldtest_identify),
	DEVMETHOD(device_probe, kldtest_probe),
	DEVMETHOD(device_attach, kldtest_attach),
	DEVMETHOD(device_detach, kldtest_detach),
	DEVMETHOD_END
};

static driver_t kldtest_driver = {
	"kldtest", kldtest_methods, sizeof(struct kldtest_softc)
};

#ifdef KLDTEST_MISSING
/* For the test of a module whose import kldrun does not have. */
int	kldtest_nobody_has_this(void);
int	kldtest_uses_it(void);
int
kldtest_uses_it(void)
{
	return (kldtest_nobody_has_this());
}
#endif

DRIVER_MODULE(kldtest, nexus, kldtest_driver, NULL, NULL);
MODULE_VERSION(kldtest, 1);
#ifdef KLDTEST_DEPENDS
MODULE_DEPEND(kldtest, kldtest_other, 1, 1, 1);
#endif
