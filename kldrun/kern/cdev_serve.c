/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * cdev_serve.c: a character device on a socket, DIR/dev/NAME; kdev.h is what
 * is said there. A device has a thread that listens; a connection is an open
 * file and has a thread that makes the calls into the driver, and one that
 * waits for the client's end, which interrupts a call that sleeps with PCATCH
 * as a signal would.
 *
 * The client is not trusted: every length is bounded, a connection holds two
 * buffers of fixed size, and there are at most MAX_CONNECTIONS.
 *
 * Locking: cdev_lock for lists and counts; a connection belongs to its thread.
 */

#include "cdev_var.h"
#include "kdev.h"
#include <sys/fcntl.h>
#include <sys/filio.h>
#include <sys/ioccom.h>
#include <sys/poll.h>
#include <sys/stat.h>
#include <sys/uio.h>

#define	MAX_CONNECTIONS	64
#define	FRAME		sizeof(struct kdev_frame)
#define	LISTEN_NS	(200ull * 1000 * 1000)

static int
answer(struct cdev_conn *c, struct kdev_frame *f, int error)
{
	f->error = os_linux_errno(error);
	if (error != 0)
		f->len = 0;
	return (os_seq_send(c->fd, f, FRAME, c->out, f->len));
}

static int
serve_open(struct cdev_conn *c, struct cdevsw *csw, struct kdev_frame *f)
{
	int error;

	c->fflag = f->flags & (FREAD | FWRITE | FNONBLOCK);
	error = c->opened ? EINVAL : 0;
	if (error == 0 && csw->d_open != NULL)
		error = csw->d_open(&c->dev->cdev, c->fflag, S_IFCHR,
		    curthread);
	if (error == 0) {
		c->opened = true;
		os_lock(&cdev_lock);
		c->dev->nopen++;
		os_unlock(&cdev_lock);
	} else
		conn_drop_priv(c);
	return (error);
}

/* Reads and writes differ in direction only. */
static int
serve_rw(struct cdev_conn *c, struct cdevsw *csw, struct kdev_frame *f)
{
	struct iovec iov;
	struct uio uio;
	size_t len;
	bool rd;
	int error;

	rd = f->op == KDEV_READ;
	len = rd ? MIN(f->want, KDEV_MAXDATA) : f->len;
	if ((c->fflag & (rd ? FREAD : FWRITE)) == 0)
		return (EBADF);
	if ((rd ? csw->d_read : csw->d_write) == NULL)
		return (ENODEV);
	iov.iov_base = rd ? c->out : c->in + FRAME;
	iov.iov_len = len;
	memset(&uio, 0, sizeof(uio));
	uio.uio_iov = &iov;
	uio.uio_iovcnt = 1;
	uio.uio_offset = f->arg & OFF_MAX;
	uio.uio_resid = len;
	uio.uio_segflg = UIO_SYSSPACE;
	uio.uio_rw = rd ? UIO_READ : UIO_WRITE;
	uio.uio_td = curthread;
	/* IO_NDELAY has the value of FNONBLOCK on purpose. */
	error = (rd ? csw->d_read : csw->d_write)(&c->dev->cdev, &uio,
	    c->fflag & FNONBLOCK);
	/* Part of it done is no error, as read(2) has it. */
	if ((size_t)uio.uio_resid != len && (error == EINTR ||
	    error == ERESTART || error == EWOULDBLOCK))
		error = 0;
	f->want = len - uio.uio_resid;
	f->len = rd ? f->want : 0;
	return (error == ERESTART ? EINTR : error);
}

static int
serve_ioctl(struct cdev_conn *c, struct cdevsw *csw, struct kdev_frame *f)
{
	u_long cmd;
	size_t size;
	int error;

	cmd = f->arg & 0xffffffff;
	size = IOCPARM_LEN(cmd);
	if (((cmd & IOC_IN) != 0 ? size : 0) != f->len)
		return (EINVAL);
	memset(c->out, 0, size);
	if ((cmd & IOC_IN) != 0)
		memcpy(c->out, c->in + FRAME, size);
	f->len = (cmd & IOC_OUT) != 0 ? size : 0;
	if (csw->d_ioctl == NULL)
		return (ENOTTY);
	error = csw->d_ioctl(&c->dev->cdev, cmd, c->out, c->fflag, curthread);
	return (error == ENOIOCTL ? ENOTTY : error == ERESTART ? EINTR :
	    error);
}

/* The answer to a poll, if there is one by now. */
static int
serve_poll(struct cdev_conn *c, struct cdevsw *csw, bool cancel)
{
	struct kdev_frame f = { .op = KDEV_POLL };

	conn_forget_selects(c);
	if (!cancel)
		f.flags = csw->d_poll != NULL ?
		    csw->d_poll(&c->dev->cdev, c->events, curthread) :
		    c->events & (POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM);
	if (f.flags == 0 && !cancel)
		return (0);
	conn_forget_selects(c);
	c->polling = false;
	return (answer(c, &f, 0));
}

static int
serve(struct cdev_conn *c, struct cdevsw *csw, struct kdev_frame *f)
{
	int error;

	if (c->polling && serve_poll(c, csw, true) != 0)
		return (-1);
	if (!c->opened && f->op != KDEV_OPEN)
		return (-1);
	switch (f->op) {
	case KDEV_OPEN:
		f->len = 0;
		error = serve_open(c, csw, f);
		break;
	case KDEV_READ:
	case KDEV_WRITE:
		error = serve_rw(c, csw, f);
		break;
	case KDEV_IOCTL:
		error = serve_ioctl(c, csw, f);
		break;
	case KDEV_POLL:
		c->polling = true;
		c->events = f->flags;
		error = serve_poll(c, csw, false);
		if (error == 0 && c->polling && f->want != 0)
			error = serve_poll(c, csw, true);
		return (error);
	default:
		return (-1);
	}
	return (answer(c, f, error));
}

/* One packet; -1 ends the connection. */
static int
serve_packet(struct cdev_conn *c)
{
	struct kdev_frame f;
	struct cdevsw *csw;
	long n;
	int error;

	n = os_fd_read(c->fd, c->in, FRAME + KDEV_MAXDATA);
	if (n < (long)FRAME)
		return (-1);
	memcpy(&f, c->in, FRAME);
	if (f.len != (u_long)n - FRAME)
		return (-1);
	csw = kdev_enter(c->dev);
	if (csw == NULL)
		return (-1);
	error = serve(c, csw, &f);
	kdev_leave(c->dev);
	return (error);
}

static int
serve_event(struct cdev_conn *c)
{
	struct cdevsw *csw;
	int error;

	os_event_clear(c->event);
	if (!c->polling)
		return (0);
	csw = kdev_enter(c->dev);
	if (csw == NULL)
		return (-1);
	error = serve_poll(c, csw, false);
	kdev_leave(c->dev);
	return (error);
}

static void
conn_close(struct cdev_conn *c)
{
	struct cdevsw *csw;
	bool last;

	conn_forget_selects(c);
	os_lock(&cdev_lock);
	last = c->opened && --c->dev->nopen == 0;
	os_unlock(&cdev_lock);
	csw = c->opened ? kdev_enter(c->dev) : NULL;
	if (csw != NULL) {
		if (csw->d_close != NULL &&
		    (last || (csw->d_flags & D_TRACKCLOSE) != 0))
			csw->d_close(&c->dev->cdev, c->fflag, S_IFCHR,
			    curthread);
		kdev_leave(c->dev);
	}
	conn_drop_priv(c);
}

static void
conn_free(struct cdev_conn *c)
{
	struct kdev *d;

	d = c->dev;
	os_fd_close(c->fd);
	os_fd_close(c->event);
	os_lock(&cdev_lock);
	TAILQ_REMOVE(&d->conns, c, link);
	os_unlock(&cdev_lock);
	os_free(c->in);
	os_free(c->out);
	os_free(c->proc);
	os_free(c);
	/* Whoever destroys the device has it until there are no threads. */
	kdev_release(d);
	os_lock(&cdev_lock);
	d->threads--;
	os_unlock(&cdev_lock);
	wakeup(&d->threads);
}

/* Waits for the client's end, so that no call outlives it asleep. */
static void
watcher(void *arg)
{
	struct cdev_conn *c;

	c = arg;
	os_fd_wait_hup(c->fd);
	kld_thread_interrupt(c->thr);
	c->watched = false;
	wakeup(&c->watched);
	kld_thread_end();
}

static void
conn_main(void *arg)
{
	struct cdev_conn *c;
	int ready;

	c = arg;
	c->thr = kld_self();
	c->thr->conn = c;
	curthread->td_proc = c->proc;
	/* Before it starts: it may be over before this goes on. */
	c->watched = true;
	if (kld_thread_spawn(watcher, c, "cdev watch") != 0)
		c->watched = false;
	for (ready = c->watched ? 0 : -1; ready >= 0;) {
		ready = os_fd_poll_two(c->fd, c->event);
		if (ready > 0 && (ready & 2) != 0 && serve_event(c) != 0)
			break;
		if (ready > 0 && (ready & 1) != 0 && serve_packet(c) != 0)
			break;
	}
	os_fd_shutdown(c->fd);
	while (c->watched)
		tsleep(&c->watched, 0, "cdevend", MAX(hz / 10, 1));
	conn_close(c);
	c->thr->conn = NULL;
	curthread->td_proc = &proc0;
	conn_free(c);
	kld_thread_end();
}

static void
conn_new(struct kdev *d, int fd)
{
	struct cdev_conn *c;
	int pid;

	c = os_alloc(sizeof(*c));
	memset(c, 0, sizeof(*c));
	c->dev = d;
	c->fd = fd;
	c->event = os_event_new();
	c->in = os_alloc(FRAME + KDEV_MAXDATA);
	c->out = os_alloc(KDEV_MAXDATA);
	c->proc = os_alloc(sizeof(*c->proc));
	memset(c->proc, 0, sizeof(*c->proc));
	os_peer(fd, &pid, c->proc->p_comm, sizeof(c->proc->p_comm));
	c->proc->p_pid = pid;
	os_lock(&cdev_lock);
	TAILQ_INSERT_TAIL(&d->conns, c, link);
	d->threads++;
	d->refs++;
	os_unlock(&cdev_lock);
	if (c->event < 0 || kld_thread_spawn(conn_main, c,
	    d->cdev.si_name) != 0)
		conn_free(c);
}

static void
listener(void *arg)
{
	struct kdev *d;
	int fd;

	d = arg;
	while (!d->gone) {
		if (os_fd_poll_in(d->fd, os_monotonic_ns() + LISTEN_NS) != 1)
			continue;
		fd = os_unix_accept(d->fd);
		if (fd < 0)
			continue;
		if (d->threads > MAX_CONNECTIONS || d->gone)
			os_fd_close(fd);
		else
			conn_new(d, fd);
	}
	os_lock(&cdev_lock);
	d->threads--;
	os_unlock(&cdev_lock);
	wakeup(&d->threads);
	kld_thread_end();
}

void
kdev_serve_start(struct kdev *d)
{
	if (os_run_dir() == NULL)
		return;
	snprintf(d->path, sizeof(d->path), "%s/dev/%s", os_run_dir(),
	    d->cdev.si_name);
	d->fd = os_seq_listen(d->path, d->cdev.si_mode & 0777);
	if (d->fd < 0) {
		printf("kldrun: %s: cannot listen on %s\n", d->cdev.si_name,
		    d->path);
		return;
	}
	d->threads = 1;
	if (kld_thread_spawn(listener, d, "cdev listen") != 0)
		panic("kldrun: no thread to serve %s", d->cdev.si_name);
}

void
kdev_serve_stop(struct kdev *d)
{
	struct cdev_conn *c;

	if (d->fd < 0)
		return;
	os_unlink(d->path);
	while (d->threads > 0) {
		os_lock(&cdev_lock);
		TAILQ_FOREACH(c, &d->conns, link)
			os_fd_shutdown(c->fd);
		os_unlock(&cdev_lock);
		tsleep(&d->threads, 0, "cdevbye", MAX(hz / 20, 1));
	}
	os_fd_close(d->fd);
	d->fd = -1;
}
