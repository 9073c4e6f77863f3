/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * cdevtest.c: a FreeBSD kernel module with character devices for the tests of
 * kldrun's:
 *
 *	cdevecho	gives back what was written, message by message; a read
 *			waits for one. ioctl 1 adds to a number, 2 counts the
 *			opens and closes, 3 is never ready. One open at a time.
 *	cdevpriv	a number of its own for each open file (ioctl 1)
 *
 * At attach it checks what needs no client: names, uiomove(9), knlist(9), the
 * time of day and adjtime.
 */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/bus.h>
#include <sys/conf.h>
#include <sys/event.h>
#include <sys/eventhandler.h>
#include <sys/fcntl.h>
#include <sys/ioccom.h>
#include <sys/kernel.h>
#include <sys/lock.h>
#include <sys/malloc.h>
#include <sys/module.h>
#include <sys/mutex.h>
#include <sys/poll.h>
#include <sys/proc.h>
#include <sys/reboot.h>
#include <sys/selinfo.h>
#include <sys/syscallsubr.h>
#include <sys/sysctl.h>
#include <sys/time.h>
#include <sys/uio.h>

#define	ECHO_MAX	8192
#define	ECHO_QUEUE	8
#define	CDEVADD		_IOWR('c', 1, int[2])
#define	CDEVCOUNT	_IOR('c', 2, int[2])
#define	CDEVQUIT	_IO('c', 3)

static MALLOC_DEFINE(M_CDEVTEST, "cdevtest", "cdevtest");
static SYSCTL_NODE(_hw, OID_AUTO, cdevtest, CTLFLAG_RW | CTLFLAG_MPSAFE, NULL,
    "cdevtest");
static int users;
SYSCTL_INT(_hw_cdevtest, OID_AUTO, users, CTLFLAG_RD, &users, 0,
    "who has cdevecho open");

struct message {
	size_t len;
	char data[ECHO_MAX];
};

struct cdevtest_softc {
	struct mtx mtx;
	struct cdev *echo, *priv;
	struct selinfo sel;
	eventhandler_tag tag;
	bool open;
	int opens, closes, privs;
	int first, count;
	struct message queue[ECHO_QUEUE];
};
static struct cdevtest_softc *the;

static int
echo_open(struct cdev *dev, int oflags, int type, struct thread *td)
{
	struct cdevtest_softc *sc;
	int error;

	sc = dev->si_drv1;
	mtx_lock(&sc->mtx);
	error = sc->open ? EBUSY : 0;
	if (error == 0) {
		sc->open = true;
		sc->opens++;
		users++;
		sc->count = 0;
	}
	mtx_unlock(&sc->mtx);
	return (error);
}

static int
echo_close(struct cdev *dev, int fflag, int type, struct thread *td)
{
	struct cdevtest_softc *sc;

	sc = dev->si_drv1;
	mtx_lock(&sc->mtx);
	sc->open = false;
	sc->closes++;
	users--;
	mtx_unlock(&sc->mtx);
	return (0);
}

static int
echo_read(struct cdev *dev, struct uio *uio, int ioflag)
{
	struct cdevtest_softc *sc;
	struct message *m;
	int error;

	sc = dev->si_drv1;
	m = malloc(sizeof(*m), M_CDEVTEST, M_WAITOK);
	mtx_lock(&sc->mtx);
	for (error = 0; sc->count == 0 && error == 0;) {
		if ((ioflag & O_NONBLOCK) != 0)
			error = EAGAIN;
		else
			error = msleep(sc, &sc->mtx, PCATCH, "echord", 0);
	}
	if (error == 0) {
		*m = sc->queue[sc->first];
		sc->first = (sc->first + 1) % ECHO_QUEUE;
		sc->count--;
	}
	mtx_unlock(&sc->mtx);
	if (error == 0)
		error = uiomove(m->data, m->len, uio);
	free(m, M_CDEVTEST);
	return (error);
}

static int
echo_write(struct cdev *dev, struct uio *uio, int ioflag)
{
	struct cdevtest_softc *sc;
	struct message *m;
	int error;

	sc = dev->si_drv1;
	if (uio->uio_resid > ECHO_MAX)
		return (EMSGSIZE);
	mtx_lock(&sc->mtx);
	if (sc->count == ECHO_QUEUE) {
		mtx_unlock(&sc->mtx);
		return (EAGAIN);
	}
	m = &sc->queue[(sc->first + sc->count) % ECHO_QUEUE];
	m->len = uio->uio_resid;
	error = uiomove(m->data, m->len, uio);
	sc->count++;
	mtx_unlock(&sc->mtx);
	wakeup(sc);
	selwakeup(&sc->sel);
	return (error);
}

static int
echo_poll(struct cdev *dev, int events, struct thread *td)
{
	struct cdevtest_softc *sc;
	int revents;

	sc = dev->si_drv1;
	mtx_lock(&sc->mtx);
	revents = events & (POLLOUT | POLLWRNORM);
	if (sc->count > 0)
		revents |= events & (POLLIN | POLLRDNORM);
	if (revents == 0)
		selrecord(td, &sc->sel);
	mtx_unlock(&sc->mtx);
	return (revents);
}

static int
echo_ioctl(struct cdev *dev, u_long cmd, caddr_t data, int fflag,
    struct thread *td)
{
	struct cdevtest_softc *sc;
	int *n;

	sc = dev->si_drv1;
	n = (int *)data;
	switch (cmd) {
	case CDEVADD:
		n[0] += n[1];
		return (0);
	case CDEVCOUNT:
		n[0] = sc->opens;
		n[1] = sc->closes;
		return (0);
	case CDEVQUIT:
		shutdown_nice(RB_POWEROFF);
		return (0);
	default:
		return (ENOTTY);
	}
}

static struct cdevsw echo_cdevsw = {
	.d_version = D_VERSION,
	.d_name = "cdevecho",
	.d_open = echo_open,
	.d_close = echo_close,
	.d_read = echo_read,
	.d_write = echo_write,
	.d_poll = echo_poll,
	.d_ioctl = echo_ioctl,
};

static void
priv_dtor(void *data)
{
	free(data, M_CDEVTEST);
	atomic_subtract_int(&the->privs, 1);
}

static int
priv_open(struct cdev *dev, int oflags, int type, struct thread *td)
{
	int *n;

	n = malloc(sizeof(*n), M_CDEVTEST, M_WAITOK | M_ZERO);
	atomic_add_int(&the->privs, 1);
	return (devfs_set_cdevpriv(n, priv_dtor));
}

static int
priv_ioctl(struct cdev *dev, u_long cmd, caddr_t data, int fflag,
    struct thread *td)
{
	void *p;
	int error;

	if (cmd != CDEVADD)
		return (ENOTTY);
	error = devfs_get_cdevpriv(&p);
	if (error != 0)
		return (error);
	*(int *)p += ((int *)data)[1];
	((int *)data)[0] = *(int *)p;
	return (0);
}

static struct cdevsw priv_cdevsw = {
	.d_version = D_VERSION,
	.d_name = "cdevpriv",
	.d_open = priv_open,
	.d_ioctl = priv_ioctl,
};

static int
check_uio(void)
{
	struct iovec iov[2];
	struct uio uio;
	char a[3], b[8];

	memset(a, 0, sizeof(a));
	memset(b, 0, sizeof(b));
	iov[0].iov_base = a;
	iov[0].iov_len = sizeof(a);
	iov[1].iov_base = b;
	iov[1].iov_len = sizeof(b);
	memset(&uio, 0, sizeof(uio));
	uio.uio_iov = iov;
	uio.uio_iovcnt = 2;
	uio.uio_resid = sizeof(a) + sizeof(b);
	uio.uio_segflg = UIO_SYSSPACE;
	uio.uio_rw = UIO_READ;
	if (uiomove(__DECONST(char *, "abcdef"), 6, &uio) != 0 ||
	    memcmp(a, "abc", 3) != 0 || memcmp(b, "def", 3) != 0 ||
	    uio.uio_resid != 5 || uio.uio_offset != 6)
		return (EIO);
	return (uiomove_frombuf(__DECONST(char *, "abcdefgh"), 8, &uio) == 0 &&
	    memcmp(b, "defgh", 5) == 0 && uio.uio_resid == 3 ? 0 : EIO);
}

static int events;

static int
filt_event(struct knote *kn, long hint)
{
	events += hint;
	return (1);
}

static int
check_knlist(struct cdevtest_softc *sc)
{
	static struct filterops ops = { .f_isfd = 1, .f_event = filt_event };
	struct knlist knl;
	struct knote kn;

	memset(&kn, 0, sizeof(kn));
	kn.kn_fop = &ops;
	knlist_init_mtx(&knl, &sc->mtx);
	if (!knlist_empty(&knl))
		return (EIO);
	knlist_add(&knl, &kn, 0);
	KNOTE_UNLOCKED(&knl, 5);
	knlist_remove(&knl, &kn, 0);
	KNOTE_UNLOCKED(&knl, 5);
	if (events != 5 || !knlist_empty(&knl))
		return (EIO);
	knlist_destroy(&knl);
	return (0);
}

/* 20 ms of adjustment take 40 s: only the beginning is looked at. */
static int
check_clock(void)
{
	struct timespec now, ts;
	struct timeval delta, old;

	nanotime(&now);
	ts = now;
	ts.tv_sec += 3600;
	if (kern_clock_settime(curthread, CLOCK_REALTIME, &ts) != 0)
		return (EIO);
	nanotime(&ts);
	if (ts.tv_sec - now.tv_sec < 3600 || ts.tv_sec - now.tv_sec > 3660)
		return (EIO);
	ts.tv_sec = -1;
	if (kern_clock_settime(curthread, CLOCK_REALTIME, &ts) != EINVAL)
		return (EIO);
	delta.tv_sec = 0;
	delta.tv_usec = 20000;
	if (kern_adjtime(curthread, &delta, &old) != 0 || old.tv_sec != 0 ||
	    old.tv_usec != 0)
		return (EIO);
	pause("adjust", hz / 5);
	if (kern_adjtime(curthread, NULL, &old) != 0 || old.tv_sec != 0 ||
	    old.tv_usec >= 20000 || old.tv_usec < 10000)
		return (EIO);
	delta.tv_usec = -500;
	if (kern_adjtime(curthread, &delta, &old) != 0)
		return (EIO);
	return (kern_adjtime(curthread, NULL, &old) == 0 &&
	    old.tv_sec == -1 ? 0 : EIO);
}

static int
check_names(struct cdevtest_softc *sc)
{
	struct make_dev_args a;
	struct cdev *dev;

	make_dev_args_init(&a);
	a.mda_devsw = &priv_cdevsw;
	a.mda_flags = MAKEDEV_CHECKNAME;
	a.mda_mode = 0600;
	if (make_dev_s(&a, &dev, "%s", "cdevecho") != EEXIST ||
	    make_dev_s(&a, &dev, "../%s", "up") != EINVAL)
		return (EIO);
	if (make_dev_s(&a, &dev, "below/%d", 7) != 0 ||
	    strcmp(devtoname(dev), "below/7") != 0)
		return (EIO);
	destroy_dev(dev);
	return (0);
}

static void
on_shutdown(void *arg, int howto)
{
	printf("cdevtest: shutdown_pre_sync %#x\n", howto);
}

static int
cdevtest_attach(device_t dev)
{
	struct cdevtest_softc *sc;
	int error;

	sc = the = device_get_softc(dev);
	mtx_init(&sc->mtx, "cdevtest", NULL, MTX_DEF);
	sc->echo = make_dev(&echo_cdevsw, 0, UID_ROOT, GID_WHEEL, 0640,
	    "cdevecho");
	sc->echo->si_drv1 = sc;
	sc->priv = make_dev(&priv_cdevsw, 0, UID_ROOT, GID_WHEEL, 0600,
	    "cdevpriv");
	sc->tag = EVENTHANDLER_REGISTER(shutdown_pre_sync, on_shutdown, sc,
	    SHUTDOWN_PRI_DEFAULT);
	error = check_uio();
	if (error == 0)
		error = check_knlist(sc);
	if (error == 0)
		error = check_names(sc);
	if (error == 0)
		error = check_clock();
	device_printf(dev, "checks %s\n", error == 0 ? "ok" : "failed");
	return (0);
}

static int
cdevtest_detach(device_t dev)
{
	struct cdevtest_softc *sc;

	sc = device_get_softc(dev);
	EVENTHANDLER_DEREGISTER(shutdown_pre_sync, sc->tag);
	destroy_dev(sc->echo);
	destroy_dev(sc->priv);
	seldrain(&sc->sel);
	mtx_destroy(&sc->mtx);
	device_printf(dev, "%d opens, %d closes, %d private data left\n",
	    sc->opens, sc->closes, sc->privs);
	return (0);
}

static void
cdevtest_identify(driver_t *driver, device_t parent)
{
	if (device_find_child(parent, "cdevtest", -1) == NULL)
		device_add_child(parent, "cdevtest", 0);
}

static int
cdevtest_probe(device_t dev)
{
	device_set_desc(dev, "character device test");
	return (BUS_PROBE_NOWILDCARD);
}

static device_method_t cdevtest_methods[] = {
	DEVMETHOD(device_identify, cdevtest_identify),
	DEVMETHOD(device_probe, cdevtest_probe),
	DEVMETHOD(device_attach, cdevtest_attach),
	DEVMETHOD(device_detach, cdevtest_detach),
	DEVMETHOD_END
};

static driver_t cdevtest_driver = {
	"cdevtest", cdevtest_methods, sizeof(struct cdevtest_softc)
};
DRIVER_MODULE(cdevtest, nexus, cdevtest_driver, NULL, NULL);
MODULE_VERSION(cdevtest, 1);
