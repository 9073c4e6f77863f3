/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * cdev.c: character devices: make_dev(9) and its kin, destroy_dev(9), and
 * devfs_set_cdevpriv(9). A device that leaves kldrun is served by
 * cdev_serve.c.
 *
 * As in FreeBSD, destroy_dev() waits for the calls that are in the driver and
 * runs the destructors of open files; the driver hears no d_close after it.
 */

#include "cdev_var.h"
#include <sys/devctl.h>
#include <sys/stdarg.h>

static MALLOC_DEFINE(M_CDEV, "cdev", "character devices");
struct os_lock cdev_lock;
static TAILQ_HEAD(, kdev) kdevs = TAILQ_HEAD_INITIALIZER(kdevs);

static struct kdev *
kdev_of(struct cdev *cdev)
{
	return ((struct kdev *)cdev);
}

int
nullop(void)
{
	return (0);
}

int
eopnotsupp(void)
{
	return (EOPNOTSUPP);
}

/* Marks a call into the driver; NULL when the device is gone. */
struct cdevsw *
kdev_enter(struct kdev *d)
{
	struct cdevsw *csw;

	os_lock(&cdev_lock);
	csw = d->gone ? NULL : d->cdev.si_devsw;
	if (csw != NULL)
		d->inside++;
	os_unlock(&cdev_lock);
	return (csw);
}

void
kdev_leave(struct kdev *d)
{
	os_lock(&cdev_lock);
	d->inside--;
	os_unlock(&cdev_lock);
	wakeup(d);
}

void
kdev_release(struct kdev *d)
{
	int refs;

	os_lock(&cdev_lock);
	refs = --d->refs;
	os_unlock(&cdev_lock);
	if (refs == 0)
		free(d, M_CDEV);
}

void
dev_ref(struct cdev *cdev)
{
	os_lock(&cdev_lock);
	kdev_of(cdev)->refs++;
	os_unlock(&cdev_lock);
}

void
dev_rel(struct cdev *cdev)
{
	kdev_release(kdev_of(cdev));
}

static bool
name_taken(const char *name)
{
	struct kdev *d;

	TAILQ_FOREACH(d, &kdevs, link)
		if (strcmp(d->cdev.si_name, name) == 0)
			return (true);
	return (false);
}

static bool
name_good(const char *name)
{
	return (name[0] != '\0' && name[0] != '/' &&
	    strstr(name, "..") == NULL && strstr(name, "//") == NULL);
}

static void
announce(struct kdev *d, const char *what)
{
	char data[SPECNAMELEN + 8];

	snprintf(data, sizeof(data), "cdev=%s", d->cdev.si_name);
	devctl_notify("DEVFS", "CDEV", what, data);
}

static int
make(struct make_dev_args *a, struct cdev **out, void *caller,
    const char *fmt, va_list ap)
{
	struct kdev *d;
	int error;

	if (a->mda_devsw->d_version != D_VERSION)
		panic("make_dev: version %#x of the device switch is not "
		    "known", a->mda_devsw->d_version);
	if ((a->mda_devsw->d_flags & D_NEEDGIANT) != 0)
		panic("kldrun: D_NEEDGIANT is not provided");
	d = kld_malloc_caller(sizeof(*d), M_CDEV, M_WAITOK | M_ZERO, caller);
	vsnprintf(d->cdev.si_name, sizeof(d->cdev.si_name), fmt, ap);
	d->cdev.si_devsw = a->mda_devsw;
	d->cdev.si_uid = a->mda_uid;
	d->cdev.si_gid = a->mda_gid;
	d->cdev.si_mode = a->mda_mode;
	d->cdev.si_drv0 = a->mda_unit;
	d->cdev.si_drv1 = a->mda_si_drv1;
	d->cdev.si_drv2 = a->mda_si_drv2;
	d->cdev.si_flags = SI_NAMED;
	d->fd = -1;
	/* The list's, and the caller's if it asked for one. */
	d->refs = 1 + ((a->mda_flags & MAKEDEV_REF) != 0);
	TAILQ_INIT(&d->conns);
	error = name_good(d->cdev.si_name) ? 0 : EINVAL;
	os_lock(&cdev_lock);
	if (error == 0 && name_taken(d->cdev.si_name))
		error = EEXIST;
	if (error == 0)
		TAILQ_INSERT_TAIL(&kdevs, d, link);
	os_unlock(&cdev_lock);
	if (error != 0) {
		if ((a->mda_flags & MAKEDEV_CHECKNAME) == 0)
			panic("make_dev: bad or taken name %s (error %d)",
			    d->cdev.si_name, error);
		free(d, M_CDEV);
		return (error);
	}
	*out = &d->cdev;
	kdev_serve_start(d);
	announce(d, "CREATE");
	return (0);
}

void
make_dev_args_init_impl(struct make_dev_args *a, size_t size)
{
	memset(a, 0, size);
	a->mda_size = size;
}

int
make_dev_s(struct make_dev_args *a, struct cdev **out, const char *fmt, ...)
{
	struct make_dev_args full;
	va_list ap;
	int error;

	make_dev_args_init(&full);
	memcpy(&full, a, MIN(a->mda_size, sizeof(full)));
	va_start(ap, fmt);
	error = make(&full, out, __builtin_return_address(0), fmt, ap);
	va_end(ap);
	return (error);
}

static void
args_of(struct make_dev_args *a, int flags, struct cdevsw *csw, int unit,
    uid_t uid, gid_t gid, int mode)
{
	make_dev_args_init(a);
	a->mda_flags = flags;
	a->mda_devsw = csw;
	a->mda_unit = unit;
	a->mda_uid = uid;
	a->mda_gid = gid;
	a->mda_mode = mode;
}

struct cdev *
make_dev(struct cdevsw *csw, int unit, uid_t uid, gid_t gid, int mode,
    const char *fmt, ...)
{
	struct make_dev_args a;
	struct cdev *cdev;
	va_list ap;

	args_of(&a, 0, csw, unit, uid, gid, mode);
	va_start(ap, fmt);
	(void)make(&a, &cdev, __builtin_return_address(0), fmt, ap);
	va_end(ap);
	return (cdev);
}

struct cdev *
make_dev_credf(int flags, struct cdevsw *csw, int unit, struct ucred *cr,
    uid_t uid, gid_t gid, int mode, const char *fmt, ...)
{
	struct make_dev_args a;
	struct cdev *cdev;
	va_list ap;
	int error;

	args_of(&a, flags, csw, unit, uid, gid, mode);
	va_start(ap, fmt);
	error = make(&a, &cdev, __builtin_return_address(0), fmt, ap);
	va_end(ap);
	return (error == 0 ? cdev : NULL);
}

int
make_dev_p(int flags, struct cdev **out, struct cdevsw *csw, struct ucred *cr,
    uid_t uid, gid_t gid, int mode, const char *fmt, ...)
{
	struct make_dev_args a;
	va_list ap;
	int error;

	args_of(&a, flags, csw, 0, uid, gid, mode);
	va_start(ap, fmt);
	error = make(&a, out, __builtin_return_address(0), fmt, ap);
	va_end(ap);
	return (error);
}

/* The end of a device, as far as the driver is concerned. */
void
destroy_dev(struct cdev *cdev)
{
	struct cdev_conn *c;
	struct cdevsw *csw;
	struct kdev *d;

	if (cdev == NULL)
		return;
	d = kdev_of(cdev);
	csw = cdev->si_devsw;
	announce(d, "DESTROY");
	os_lock(&cdev_lock);
	if (d->gone)
		panic("destroy_dev: %s is destroyed already", cdev->si_name);
	d->gone = true;
	TAILQ_REMOVE(&kdevs, d, link);
	os_unlock(&cdev_lock);
	while (d->inside > 0) {
		if (csw->d_purge != NULL)
			csw->d_purge(cdev);
		tsleep(d, 0, "devdrn", MAX(hz / 10, 1));
	}
	kdev_serve_stop(d);
	TAILQ_FOREACH(c, &d->conns, link)
		panic("destroy_dev: %s still has a connection", cdev->si_name);
	cdev->si_devsw = NULL;
	kdev_release(d);
}

/* The destruction may be asked for by a call in the driver itself. */
struct sched_destroy {
	struct cdev *cdev;
	void (*cb)(void *);
	void *arg;
};
static volatile int scheduled;

static void
destroy_main(void *arg)
{
	struct sched_destroy s;

	s = *(struct sched_destroy *)arg;
	os_free(arg);
	destroy_dev(s.cdev);
	if (s.cb != NULL)
		s.cb(s.arg);
	atomic_subtract_int(&scheduled, 1);
	wakeup(__DEVOLATILE(int *, &scheduled));
	kld_thread_end();
}

int
destroy_dev_sched_cb(struct cdev *cdev, void (*cb)(void *), void *arg)
{
	struct sched_destroy *s;

	s = os_alloc(sizeof(*s));
	*s = (struct sched_destroy){ cdev, cb, arg };
	atomic_add_int(&scheduled, 1);
	if (kld_thread_spawn(destroy_main, s, "destroy dev") != 0)
		panic("kldrun: no thread to destroy a device");
	return (1);
}

int
destroy_dev_sched(struct cdev *cdev)
{
	return (destroy_dev_sched_cb(cdev, NULL, NULL));
}

void
destroy_dev_drain(struct cdevsw *csw)
{
	struct kdev *d;

	for (;;) {
		os_lock(&cdev_lock);
		TAILQ_FOREACH(d, &kdevs, link)
			if (d->cdev.si_devsw == csw)
				break;
		os_unlock(&cdev_lock);
		if (d == NULL && scheduled == 0)
			return;
		tsleep(__DEVOLATILE(int *, &scheduled), 0, "devscd",
		    MAX(hz / 10, 1));
	}
}

const char *
devtoname(struct cdev *cdev)
{
	return (cdev->si_name);
}

/* devfs_set_cdevpriv(9): of the open file whose call this thread makes. */

static struct cdev_conn *
conn_of(struct thread *td)
{
	return (((struct kthr *)td)->conn);
}

int
devfs_set_cdevpriv(void *priv, d_priv_dtor_t *dtor)
{
	struct cdev_conn *c;

	c = conn_of(curthread);
	if (c == NULL)
		return (ENOENT);
	if (c->dtor != NULL)
		return (EBUSY);
	c->priv = priv;
	c->dtor = dtor;
	return (0);
}

int
devfs_get_cdevpriv(void **out)
{
	struct cdev_conn *c;

	c = conn_of(curthread);
	if (c == NULL)
		return (EBADF);
	if (c->dtor == NULL)
		return (ENOENT);
	*out = c->priv;
	return (0);
}

void
conn_drop_priv(struct cdev_conn *c)
{
	d_priv_dtor_t *dtor;

	dtor = c->dtor;
	c->dtor = NULL;
	if (dtor != NULL)
		dtor(c->priv);
}

void
devfs_clear_cdevpriv(void)
{
	if (conn_of(curthread) != NULL)
		conn_drop_priv(conn_of(curthread));
}
