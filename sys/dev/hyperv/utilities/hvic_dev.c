/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * The character device between a service and its daemon.  Nothing waits for
 * the daemon but the daemon itself: a request is kept with a deadline, and when
 * that passes, or the daemon dies, the host is told.
 *
 * Locking: see hvic_dev.h.
 */

#include "hvic_dev.h"

#include <sys/event.h>
#include <sys/fcntl.h>
#include <sys/poll.h>
#include <sys/proc.h>
#include <sys/uio.h>

#define	LIMIT_MS	30000u		/* a daemon that is there */
#define	ABSENT_MS	5000u		/* one that may be starting */
#define	TICK		(SBT_1S / 5)

static d_open_t		hvic_dev_open;
static d_close_t	hvic_dev_close;
static d_read_t		hvic_dev_read;
static d_write_t	hvic_dev_write;
static d_poll_t		hvic_dev_poll;
static d_kqfilter_t	hvic_dev_kqfilter;

static struct cdevsw hvic_dev_cdevsw = {
	.d_version =	D_VERSION,
	.d_open =	hvic_dev_open,
	.d_close =	hvic_dev_close,
	.d_read =	hvic_dev_read,
	.d_write =	hvic_dev_write,
	.d_poll =	hvic_dev_poll,
	.d_kqfilter =	hvic_dev_kqfilter,
	.d_name =	"hvic",
};

static bool
hvic_dev_waiting(struct hvic_dev *dv)
{

	return (dv->dv_ready && dv->dv_taken == 0 && !dv->dv_owed &&
	    hvk_ic_queue_peek(&dv->dv_queue) != NULL);
}

/* Something changed that a reader may wait for. */
static void
hvic_dev_notify(struct hvic_dev *dv)
{

	wakeup(&dv->dv_queue);
	if (hvic_dev_waiting(dv) || dv->dv_dying) {
		selwakeup(&dv->dv_sel);
		KNOTE_LOCKED(&dv->dv_sel.si_note, 0);
	}
}

/* Requests whose time has passed, or whose daemon died. */
static void
hvic_dev_expire(struct hvic_dev *dv)
{
	struct hvk_ic_message *m;

	while ((m = hvk_ic_queue_expire(&dv->dv_queue, hvic_now(),
	    dv->dv_ready ? HVK_IC_FAIL : HVK_IC_NOT_CONNECTED)) != NULL) {
		if (dv->dv_log > 0)
			device_printf(dv->dv_ic.ic_dev, "%s\n", dv->dv_ready ?
			    "the daemon did not answer in time" :
			    "no daemon answers");
		hvic_send_later(&dv->dv_ic, m);
	}
	if (dv->dv_taken != 0 &&
	    !hvk_ic_queue_has(&dv->dv_queue, dv->dv_taken)) {
		dv->dv_taken = 0;
		dv->dv_owed = dv->dv_open;
	}
}

static void
hvic_dev_tick(void *arg)
{
	struct hvic_dev *dv = arg;

	hvic_dev_expire(dv);
	if (hvk_ic_queue_deadline(&dv->dv_queue) != UINT64_MAX)
		callout_reset_sbt(&dv->dv_tick, TICK, 0, hvic_dev_tick, dv,
		    C_PREL(2));
}

static bool
hvic_dev_serve(struct hvic_softc *ic, struct hvk_ic_message *m)
{
	struct hvic_dev *dv = (struct hvic_dev *)ic;

	dv->dv_queue.limit_ms = dv->dv_ready ? LIMIT_MS : ABSENT_MS;
	if (hvk_ic_queue_add(&dv->dv_queue, m, hvic_now()) != HVK_OK) {
		ic->ic.refused++;
		hvk_ic_answer(m, HVK_IC_FAIL);
		return (true);
	}
	if (!callout_pending(&dv->dv_tick))
		callout_reset_sbt(&dv->dv_tick, TICK, 0, hvic_dev_tick, dv,
		    C_PREL(2));
	hvic_dev_notify(dv);
	return (false);
}

/* The host begins anew: it waits for nothing that it asked before. */
static void
hvic_dev_agreed(struct hvic_softc *ic)
{
	struct hvic_dev *dv = (struct hvic_dev *)ic;

	hvk_ic_queue_flush(&dv->dv_queue);
	hvic_dev_expire(dv);
}

static int
hvic_dev_open(struct cdev *cdev, int flags __unused, int type __unused,
    struct thread *td __unused)
{
	struct hvic_dev *dv = cdev->si_drv1;
	int error;

	if (dv == NULL)
		return (ENXIO);
	mtx_lock(&dv->dv_ic.ic_mtx);
	error = dv->dv_dying ? ENXIO : dv->dv_open ? EBUSY : 0;
	if (error == 0) {
		dv->dv_open = true;
		dv->dv_ready = dv->dv_register == NULL;
		dv->dv_taken = 0;
		dv->dv_owed = false;
		hvic_dev_notify(dv);
	}
	mtx_unlock(&dv->dv_ic.ic_mtx);
	return (error);
}

static int
hvic_dev_close(struct cdev *cdev, int flags __unused, int type __unused,
    struct thread *td __unused)
{
	struct hvic_dev *dv = cdev->si_drv1;

	mtx_lock(&dv->dv_ic.ic_mtx);
	dv->dv_open = false;
	dv->dv_ready = false;
	dv->dv_owed = false;
	hvk_ic_queue_abandon(&dv->dv_queue, hvic_now(), ABSENT_MS);
	hvic_dev_expire(dv);
	mtx_unlock(&dv->dv_ic.ic_mtx);
	return (0);
}

/* The next request in `record', under the lock; EAGAIN: there is none. */
static int
hvic_dev_fetch(struct hvic_dev *dv, void *record)
{
	struct hvk_ic_message *m;
	uint32_t status;
	uint64_t id;

	while (hvic_dev_waiting(dv) &&
	    hvk_ic_queue_take(&dv->dv_queue, &id, &m) == HVK_OK) {
		memset(record, 0, dv->dv_record);
		status = dv->dv_fill(dv, m, id, record);
		if (status == HVK_IC_OK) {
			dv->dv_taken = id;
			return (0);
		}
		/* Not fit for a daemon: the host hears why. */
		dv->dv_ic.ic.refused++;
		hvk_ic_answer(m, status);
		hvic_send_later(&dv->dv_ic, m);
		hvk_ic_queue_done(&dv->dv_queue, id);
	}
	return (EAGAIN);
}

static int
hvic_dev_read(struct cdev *cdev, struct uio *uio, int flags)
{
	struct hvic_dev *dv = cdev->si_drv1;
	void *record;
	int error;

	if (uio->uio_resid < (ssize_t)dv->dv_record)
		return (EINVAL);
	record = malloc(dv->dv_record, M_HVIC, M_WAITOK);
	mtx_lock(&dv->dv_ic.ic_mtx);
	for (;;) {
		error = dv->dv_dying ? ENXIO : !dv->dv_ready ? EPERM :
		    hvic_dev_fetch(dv, record);
		if (error != EAGAIN || (flags & O_NONBLOCK) != 0)
			break;
		error = msleep(&dv->dv_queue, &dv->dv_ic.ic_mtx, PCATCH,
		    "hvicrd", 0);
		if (error != 0)
			break;
	}
	mtx_unlock(&dv->dv_ic.ic_mtx);
	if (error == 0)
		error = uiomove(record, (int)dv->dv_record, uio);
	free(record, M_HVIC);
	return (error);
}

/* What was written, under the lock. */
static int
hvic_dev_answer(struct hvic_dev *dv, const void *record)
{
	struct hvk_ic_message *m;
	int error;

	if (dv->dv_dying)
		return (ENXIO);
	if (!dv->dv_ready) {
		error = dv->dv_register(dv, record);
		if (error == 0) {
			dv->dv_ready = true;
			hvic_dev_notify(dv);
		}
		return (error);
	}
	if (dv->dv_owed) {
		dv->dv_owed = false;
		hvic_dev_notify(dv);
		return (dv->dv_late);
	}
	if (dv->dv_taken == 0)
		return (dv->dv_late != 0 ? dv->dv_late : EINVAL);
	m = hvk_ic_queue_find(&dv->dv_queue, dv->dv_taken);
	if (m == NULL)
		return (dv->dv_late);
	error = dv->dv_absorb(dv, m, dv->dv_taken, record);
	if (error != 0)
		return (error);
	hvic_send_later(&dv->dv_ic, m);
	hvk_ic_queue_done(&dv->dv_queue, dv->dv_taken);
	dv->dv_taken = 0;
	hvic_dev_notify(dv);
	return (0);
}

static int
hvic_dev_write(struct cdev *cdev, struct uio *uio, int flags __unused)
{
	struct hvic_dev *dv = cdev->si_drv1;
	size_t len;
	void *record;
	int error;

	len = MIN((size_t)uio->uio_resid, dv->dv_record);
	if (len < dv->dv_reply)
		return (EINVAL);
	record = malloc(dv->dv_record, M_HVIC, M_WAITOK | M_ZERO);
	error = uiomove(record, (int)len, uio);
	if (error == 0) {
		/* More than a record is taken and means nothing. */
		uio->uio_resid = 0;
		mtx_lock(&dv->dv_ic.ic_mtx);
		error = hvic_dev_answer(dv, record);
		mtx_unlock(&dv->dv_ic.ic_mtx);
	}
	free(record, M_HVIC);
	return (error);
}

static int
hvic_dev_poll(struct cdev *cdev, int events, struct thread *td)
{
	struct hvic_dev *dv = cdev->si_drv1;
	int revents = 0;

	mtx_lock(&dv->dv_ic.ic_mtx);
	if (dv->dv_dying)
		revents |= POLLHUP | (events & (POLLIN | POLLRDNORM));
	else if (hvic_dev_waiting(dv))
		revents |= events & (POLLIN | POLLRDNORM);
	revents |= events & (POLLOUT | POLLWRNORM);
	if ((revents & (POLLHUP | POLLIN | POLLRDNORM)) == 0)
		selrecord(td, &dv->dv_sel);
	mtx_unlock(&dv->dv_ic.ic_mtx);
	return (revents);
}

static void
hvic_kq_detach(struct knote *kn)
{
	struct hvic_dev *dv = kn->kn_hook;

	knlist_remove(&dv->dv_sel.si_note, kn, 0);
}

static int
hvic_kq_read(struct knote *kn, long hint __unused)
{
	struct hvic_dev *dv = kn->kn_hook;

	if (dv->dv_dying) {
		kn->kn_flags |= EV_EOF;
		return (1);
	}
	kn->kn_data = hvic_dev_waiting(dv) ? (int64_t)dv->dv_record : 0;
	return (kn->kn_data != 0);
}

static const struct filterops hvic_kq_read_ops = {
	.f_isfd = 1,
	.f_detach = hvic_kq_detach,
	.f_event = hvic_kq_read,
};

static int
hvic_dev_kqfilter(struct cdev *cdev, struct knote *kn)
{
	struct hvic_dev *dv = cdev->si_drv1;

	if (kn->kn_filter != EVFILT_READ)
		return (EINVAL);
	kn->kn_fop = __DECONST(void *, &hvic_kq_read_ops);
	kn->kn_hook = dv;
	knlist_add(&dv->dv_sel.si_note, kn, 0);
	return (0);
}

static int
hvic_dev_make(struct hvic_dev *dv, const char *name)
{
	struct make_dev_args args;

	make_dev_args_init(&args);
	args.mda_flags = MAKEDEV_CHECKNAME | MAKEDEV_WAITOK;
	args.mda_devsw = &hvic_dev_cdevsw;
	args.mda_uid = UID_ROOT;
	args.mda_gid = GID_WHEEL;
	args.mda_mode = 0640;
	args.mda_si_drv1 = dv;
	return (make_dev_s(&args, &dv->dv_cdev, "%s", name));
}

int
hvic_dev_attach(device_t dev, struct hvic_dev *dv, enum hvk_ic_type type,
    const char *name)
{
	int error;

	error = hvic_attach(dev, &dv->dv_ic, type, hvic_dev_serve);
	if (error != 0)
		return (error);
	dv->dv_ic.ic_agreed = hvic_dev_agreed;
	dv->dv_slots = malloc(HVIC_QUEUE * sizeof(*dv->dv_slots), M_HVIC,
	    M_WAITOK | M_ZERO);
	(void)hvk_ic_queue_init(&dv->dv_queue, dv->dv_slots, HVIC_QUEUE,
	    LIMIT_MS);
	callout_init_mtx(&dv->dv_tick, &dv->dv_ic.ic_mtx, 0);
	knlist_init_mtx(&dv->dv_sel.si_note, &dv->dv_ic.ic_mtx);
	error = hvic_dev_make(dv, name);
	if (error != 0)
		device_printf(dev, "cannot make /dev/%s: %d\n", name, error);
	else
		error = hvic_open(&dv->dv_ic, 32768);
	if (error != 0)
		hvic_dev_detach(dv);
	return (error);
}

void
hvic_dev_detach(struct hvic_dev *dv)
{

	hvic_close(&dv->dv_ic);
	mtx_lock(&dv->dv_ic.ic_mtx);
	dv->dv_dying = true;
	hvic_dev_notify(dv);
	mtx_unlock(&dv->dv_ic.ic_mtx);
	if (dv->dv_cdev != NULL)
		destroy_dev(dv->dv_cdev);
	callout_drain(&dv->dv_tick);
	seldrain(&dv->dv_sel);
	knlist_clear(&dv->dv_sel.si_note, 0);
	knlist_destroy(&dv->dv_sel.si_note);
	free(dv->dv_slots, M_HVIC);
	hvic_detach(&dv->dv_ic);
}
