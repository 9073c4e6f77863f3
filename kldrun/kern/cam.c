/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * cam.c: the transport layer of CAM as a SIM sees it: buses, paths, CCBs,
 * the queue in front of each SIM, completion, rescans and events.
 *
 * A CCB finished with xpt_done() is completed on the thread of cam_done_tq, as
 * the caller may hold locks; with xpt_done_direct() on the caller's thread.
 *
 * Locking: cam_mtx for the list of buses and for threads that wait.
 */

#include "cam_var.h"

static struct mtx cam_mtx;
static TAILQ_HEAD(, cam_bus) cam_buses = TAILQ_HEAD_INITIALIZER(cam_buses);
static struct mtx done_mtx;
static STAILQ_HEAD(, ccb_hdr) done_queue = STAILQ_HEAD_INITIALIZER(done_queue);
static struct task done_task;
static struct taskqueue *done_tq;
struct taskqueue *cam_tq;

static void cam_done_task(void *, int);

static void
cam_boot(void *arg __unused)
{
	mtx_init(&cam_mtx, "CAM", NULL, MTX_DEF);
	mtx_init(&done_mtx, "CAM done", NULL, MTX_DEF);
	TASK_INIT(&done_task, 0, cam_done_task, NULL);
	done_tq = taskqueue_create("doneq", M_WAITOK, taskqueue_thread_enqueue,
	    &done_tq);
	taskqueue_start_threads(&done_tq, 1, PRIBIO, "doneq0");
	cam_tq = taskqueue_create("xpt_thrd", M_WAITOK,
	    taskqueue_thread_enqueue, &cam_tq);
	taskqueue_start_threads(&cam_tq, 1, PRIBIO, "xpt_thrd");
}

/* The first SIM makes it: a machine without disks has no such threads. */
static void
cam_start(void)
{
	static volatile u_int started;

	if (atomic_cmpset_int(&started, 0, 1))
		cam_boot(NULL);
}

struct cam_devq *
cam_simq_alloc(uint32_t transactions)
{
	struct cam_devq *q;

	q = malloc(sizeof(*q), M_KLDRUN, M_WAITOK | M_ZERO);
	q->send_openings = transactions;
	return (q);
}

void
cam_simq_free(struct cam_devq *q)
{
	free(q, M_KLDRUN);
}

struct cam_sim *
cam_sim_alloc(sim_action_func action, sim_poll_func poll, const char *name,
    void *softc, uint32_t unit, struct mtx *mtx, int openings, int tagged,
    struct cam_devq *q)
{
	struct cam_sim *sim;

	cam_start();
	sim = malloc(sizeof(*sim), M_KLDRUN, M_WAITOK | M_ZERO);
	sim->sim_action = action;
	sim->sim_poll = poll;
	sim->sim_name = name;
	sim->softc = softc;
	sim->unit_number = unit;
	sim->mtx = mtx;
	sim->max_dev_openings = openings;
	sim->max_tagged_dev_openings = tagged;
	sim->devq = q;
	sim->path_id = ~0u;
	sim->refcount = 1;
	return (sim);
}

void
cam_sim_hold(struct cam_sim *sim)
{
	mtx_lock(&cam_mtx);
	sim->refcount++;
	mtx_unlock(&cam_mtx);
}

void
cam_sim_release(struct cam_sim *sim)
{
	mtx_lock(&cam_mtx);
	if (--sim->refcount == 0)
		wakeup(sim);
	mtx_unlock(&cam_mtx);
}

/* As in FreeBSD: sleeps until the last disk on it has been closed. */
void
cam_sim_free(struct cam_sim *sim, int free_devq)
{
	mtx_lock(&cam_mtx);
	sim->refcount--;
	while (sim->refcount > 0)
		msleep(sim, &cam_mtx, PRIBIO, "simfree", 0);
	mtx_unlock(&cam_mtx);
	if (free_devq)
		cam_simq_free(sim->devq);
	free(sim, M_KLDRUN);
}

void
cam_sim_set_path(struct cam_sim *sim, uint32_t path_id)
{
	sim->path_id = path_id;
}

void
cam_bus_hold(struct cam_bus *bus)
{
	mtx_lock(&cam_mtx);
	bus->refs++;
	mtx_unlock(&cam_mtx);
}

void
cam_bus_release(struct cam_bus *bus)
{
	struct cam_sim *sim;

	mtx_lock(&cam_mtx);
	if (--bus->refs > 0) {
		mtx_unlock(&cam_mtx);
		return;
	}
	TAILQ_REMOVE(&cam_buses, bus, link);
	mtx_unlock(&cam_mtx);
	sim = bus->sim;
	mtx_destroy(&bus->mtx);
	free(bus, M_KLDRUN);
	cam_sim_release(sim);
}

/* Returns the bus with a reference, or NULL. */
static struct cam_bus *
cam_bus_find(path_id_t id)
{
	struct cam_bus *bus;

	mtx_lock(&cam_mtx);
	TAILQ_FOREACH(bus, &cam_buses, link)
		if (bus->sim->path_id == id && !bus->gone)
			break;
	if (bus != NULL)
		bus->refs++;
	mtx_unlock(&cam_mtx);
	return (bus);
}

static void
cam_scan_task(void *arg, int pending __unused)
{
	cam_scan(arg);
	cam_bus_release(arg);
}

static void
cam_scan_soon(struct cam_bus *bus)
{
	cam_bus_hold(bus);
	/* A task that waits already keeps one reference of its own. */
	if (taskqueue_enqueue_flags(cam_tq, &bus->scan,
	    TASKQUEUE_FAIL_IF_PENDING) != 0)
		cam_bus_release(bus);
}

int
xpt_bus_register(struct cam_sim *sim, device_t parent __unused, uint32_t number)
{
	struct cam_bus *bus, *b;
	struct cam_path *path;

	bus = malloc(sizeof(*bus), M_KLDRUN, M_WAITOK | M_ZERO);
	mtx_init(&bus->mtx, "CAM bus", NULL, MTX_DEF);
	TAILQ_INIT(&bus->queue);
	TAILQ_INIT(&bus->disks);
	TASK_INIT(&bus->scan, 0, cam_scan_task, bus);
	bus->sim = sim;
	bus->refs = 1;
	bus->openings = sim->devq->send_openings;
	sim->bus_id = number;
	cam_sim_hold(sim);
	mtx_lock(&cam_mtx);
	sim->path_id = 0;
	TAILQ_FOREACH(b, &cam_buses, link)
		if (b->sim->path_id >= sim->path_id)
			sim->path_id = b->sim->path_id + 1;
	TAILQ_INSERT_TAIL(&cam_buses, bus, link);
	mtx_unlock(&cam_mtx);

	path = cam_path_new(bus, CAM_TARGET_WILDCARD, CAM_LUN_WILDCARD);
	xpt_path_inq(&bus->cpi, path);
	xpt_free_path(path);
	if (bus->cpi.ccb_h.status != CAM_REQ_CMP) {
		cam_bus_release(bus);
		return (CAM_RESRC_UNAVAIL);
	}
	cam_scan_soon(bus);
	return (CAM_SUCCESS);
}

int
xpt_bus_deregister(path_id_t id)
{
	struct cam_bus *bus;

	bus = cam_bus_find(id);
	if (bus == NULL)
		return (CAM_PATH_INVALID);
	mtx_lock(&cam_mtx);
	bus->gone = true;
	mtx_unlock(&cam_mtx);
	bus->lost = true;
	cam_scan_soon(bus);
	taskqueue_drain(cam_tq, &bus->scan);
	cam_bus_release(bus);		/* ours */
	cam_bus_release(bus);		/* the registration's */
	return (CAM_REQ_CMP);
}

struct cam_path *
cam_path_new(struct cam_bus *bus, target_id_t target, lun_id_t lun)
{
	struct cam_path *path;

	path = malloc(sizeof(*path), M_KLDRUN, M_NOWAIT | M_ZERO);
	if (path == NULL)
		return (NULL);
	cam_bus_hold(bus);
	path->bus = bus;
	path->target = target;
	path->lun = lun;
	return (path);
}

cam_status
xpt_create_path(struct cam_path **out, struct cam_periph *periph, path_id_t id,
    target_id_t target, lun_id_t lun)
{
	struct cam_bus *bus;

	bus = cam_bus_find(id);
	if (bus == NULL)
		return (CAM_PATH_INVALID);
	*out = cam_path_new(bus, target, lun);
	cam_bus_release(bus);
	if (*out == NULL)
		return (CAM_RESRC_UNAVAIL);
	(*out)->periph = periph;
	return (CAM_REQ_CMP);
}

cam_status
xpt_create_path_unlocked(struct cam_path **out, struct cam_periph *periph,
    path_id_t id, target_id_t target, lun_id_t lun)
{
	return (xpt_create_path(out, periph, id, target, lun));
}

void
xpt_free_path(struct cam_path *path)
{
	cam_bus_release(path->bus);
	free(path, M_KLDRUN);
}

path_id_t
xpt_path_path_id(struct cam_path *path)
{
	return (path->bus->sim->path_id);
}

target_id_t
xpt_path_target_id(struct cam_path *path)
{
	return (path->target);
}

lun_id_t
xpt_path_lun_id(struct cam_path *path)
{
	return (path->lun);
}

struct cam_sim *
xpt_path_sim(struct cam_path *path)
{
	return (path->bus->sim);
}

char *
xpt_path_string(struct cam_path *path, char *text, size_t size)
{
	struct da *da;

	da = path->lun == CAM_LUN_WILDCARD ? NULL :
	    da_of(path->bus, path->target, path->lun);
	snprintf(text, size, "(%s:%s%u:%u:%d:%d): ",
	    da != NULL ? da->name : "noperiph", path->bus->sim->sim_name,
	    path->bus->sim->unit_number, path->bus->sim->bus_id,
	    (int)path->target, (int)path->lun);
	if (da != NULL)
		da_release(da);
	return (text);
}

void
xpt_print_path(struct cam_path *path)
{
	char text[80];

	printf("%s", xpt_path_string(path, text, sizeof(text)));
}

void
xpt_print(struct cam_path *path, const char *fmt, ...)
{
	char head[80], text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	printf("%s%s", xpt_path_string(path, head, sizeof(head)), text);
}

union ccb *
xpt_alloc_ccb_nowait(void)
{
	return (malloc(sizeof(union ccb), M_KLDRUN, M_NOWAIT | M_ZERO));
}

union ccb *
xpt_alloc_ccb(void)
{
	return (malloc(sizeof(union ccb), M_KLDRUN, M_WAITOK | M_ZERO));
}

void
xpt_free_ccb(union ccb *ccb)
{
	free(ccb, M_KLDRUN);
}

void
xpt_setup_ccb_flags(struct ccb_hdr *h, struct cam_path *path,
    uint32_t priority, uint32_t flags)
{
	h->pinfo.priority = priority;
	h->pinfo.index = CAM_UNQUEUED_INDEX;
	h->path = path;
	h->path_id = path->bus->sim->path_id;
	h->target_id = path->target;
	h->target_lun = path->lun;
	h->flags = flags;
	h->xflags = 0;
}

void
xpt_setup_ccb(struct ccb_hdr *h, struct cam_path *path, uint32_t priority)
{
	xpt_setup_ccb_flags(h, path, priority, 0);
}

static void
cam_to_sim(struct cam_bus *bus, union ccb *ccb)
{
	struct mtx *mtx;

	mtx = bus->sim->mtx;
	if (mtx != NULL && !mtx_owned(mtx)) {
		mtx_lock(mtx);
		bus->sim->sim_action(bus->sim, ccb);
		mtx_unlock(mtx);
	} else
		bus->sim->sim_action(bus->sim, ccb);
}

/* Give the SIM what it has openings for. */
static void
cam_run_queue(struct cam_bus *bus)
{
	struct ccb_hdr *h;

	mtx_lock(&bus->mtx);
	while (bus->frozen == 0 && bus->active < bus->openings &&
	    (h = TAILQ_FIRST(&bus->queue)) != NULL) {
		TAILQ_REMOVE(&bus->queue, h, xpt_links.tqe);
		bus->active++;
		mtx_unlock(&bus->mtx);
		cam_to_sim(bus, (union ccb *)h);
		mtx_lock(&bus->mtx);
	}
	mtx_unlock(&bus->mtx);
}

void
xpt_action(union ccb *ccb)
{
	struct cam_bus *bus;

	bus = ccb->ccb_h.path->bus;
	ccb->ccb_h.status = CAM_REQ_INPROG;
	if (!XPT_FC_IS_DEV_QUEUED(ccb)) {
		cam_to_sim(bus, ccb);
		return;
	}
	mtx_lock(&bus->mtx);
	TAILQ_INSERT_TAIL(&bus->queue, &ccb->ccb_h, xpt_links.tqe);
	mtx_unlock(&bus->mtx);
	cam_run_queue(bus);
}

static void
cam_complete(union ccb *ccb)
{
	struct cam_bus *bus;

	bus = ccb->ccb_h.path->bus;
	cam_bus_hold(bus);
	mtx_lock(&bus->mtx);
	bus->active--;
	if ((ccb->ccb_h.status & CAM_RELEASE_SIMQ) != 0 && bus->frozen > 0)
		bus->frozen--;
	mtx_unlock(&bus->mtx);
	ccb->ccb_h.status &= ~(CAM_RELEASE_SIMQ | CAM_SIM_QUEUED);
	ccb->ccb_h.cbfcnp(NULL, ccb);
	cam_run_queue(bus);
	cam_bus_release(bus);
}

void
xpt_done_direct(union ccb *ccb)
{
	if (XPT_FC_IS_DEV_QUEUED(ccb))
		cam_complete(ccb);
}

void
xpt_done(union ccb *ccb)
{
	if (!XPT_FC_IS_DEV_QUEUED(ccb))
		return;
	mtx_lock(&done_mtx);
	STAILQ_INSERT_TAIL(&done_queue, &ccb->ccb_h, sim_links.stqe);
	mtx_unlock(&done_mtx);
	taskqueue_enqueue(done_tq, &done_task);
}

static void
cam_done_task(void *arg __unused, int pending __unused)
{
	struct ccb_hdr *h;

	for (;;) {
		mtx_lock(&done_mtx);
		h = STAILQ_FIRST(&done_queue);
		if (h != NULL)
			STAILQ_REMOVE_HEAD(&done_queue, sim_links.stqe);
		mtx_unlock(&done_mtx);
		if (h == NULL)
			return;
		cam_complete((union ccb *)h);
	}
}

static void
cam_run_done(struct cam_periph *periph __unused, union ccb *ccb)
{
	mtx_lock(&cam_mtx);
	ccb->ccb_h.periph_priv.entries[0].field = 1;
	wakeup(ccb);
	mtx_unlock(&cam_mtx);
}

/* Run one CCB and wait. The SIM promises that every CCB ends. */
void
cam_run(union ccb *ccb)
{
	ccb->ccb_h.cbfcnp = cam_run_done;
	ccb->ccb_h.periph_priv.entries[0].field = 0;
	xpt_action(ccb);
	mtx_lock(&cam_mtx);
	while (ccb->ccb_h.periph_priv.entries[0].field == 0)
		msleep(ccb, &cam_mtx, PRIBIO, "cbwait", 0);
	mtx_unlock(&cam_mtx);
}

uint32_t
xpt_freeze_simq(struct cam_sim *sim, u_int count)
{
	struct cam_bus *bus;
	uint32_t frozen;

	bus = cam_bus_find(sim->path_id);
	if (bus == NULL)
		return (0);
	mtx_lock(&bus->mtx);
	frozen = bus->frozen += count;
	mtx_unlock(&bus->mtx);
	cam_bus_release(bus);
	return (frozen);
}

void
xpt_release_simq(struct cam_sim *sim, int run)
{
	struct cam_bus *bus;

	bus = cam_bus_find(sim->path_id);
	if (bus == NULL)
		return;
	mtx_lock(&bus->mtx);
	if (bus->frozen > 0)
		bus->frozen--;
	mtx_unlock(&bus->mtx);
	if (run)
		cam_run_queue(bus);
	cam_bus_release(bus);
}

/* The CCB and its path are ours now. */
void
xpt_rescan(union ccb *ccb)
{
	cam_scan_soon(ccb->ccb_h.path->bus);
	xpt_free_path(ccb->ccb_h.path);
	xpt_free_ccb(ccb);
}

/*
 * Of a bus reset nobody needs to hear: da(4) retries the unit attention that
 * follows. A lost bus takes its disks with it.
 */
void
xpt_async(uint32_t code, struct cam_path *path, void *arg __unused)
{
	if (code == AC_LOST_DEVICE) {
		path->bus->lost = true;
		cam_scan_soon(path->bus);
	}
}

void
cam_calc_geometry(struct ccb_calc_geometry *ccg, int extended)
{
	uint64_t mib;

	if (ccg->block_size == 0 || ccg->volume_size == 0) {
		ccg->ccb_h.status = CAM_REQ_CMP_ERR;
		return;
	}
	mib = ccg->volume_size * ccg->block_size >> 20;
	ccg->heads = mib > 1024 && extended ? 255 : 64;
	ccg->secs_per_track = mib > 1024 && extended ? 63 : 32;
	ccg->cylinders = ccg->volume_size /
	    (ccg->heads * ccg->secs_per_track);
	ccg->ccb_h.status = CAM_REQ_CMP;
}
