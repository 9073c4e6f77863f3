/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * device.c: see device.h. The socket's protocol is kldrun's (kdev.h): one
 * packet for each call and one for its answer.
 *
 * A struct device belongs to one thread.
 */

#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "device.h"

#define	OPEN_TRIES	100		/* 20 ms apart */

#ifdef __linux__
#include "kdev.h"

static int
remote_connect(const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(sun.sun_path)) {
		errno = ENAMETOOLONG;
		return (-1);
	}
	strcpy(sun.sun_path, path);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&sun,
	    sizeof(sun)) != 0) {
		close(fd);
		fd = -1;
	}
	return (fd);
}

/* A packet of a frame and data; the data is cut at `len'. */
static int
remote_receive(struct device *d, struct kdev_frame *f, void *data, size_t len)
{
	struct iovec iov[2] = { { f, sizeof(*f) }, { data, len } };
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = 2 };
	ssize_t n;

	do
		n = recvmsg(d->fd, &m, 0);
	while (n < 0 && errno == EINTR);
	if (n < (ssize_t)sizeof(*f)) {
		errno = ENXIO;
		return (-1);
	}
	return (0);
}

static int
remote_send(struct device *d, const struct kdev_frame *f, const void *data)
{
	struct iovec iov[2] = {
		{ (void *)(uintptr_t)f, sizeof(*f) },
		{ (void *)(uintptr_t)data, f->len },
	};
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = 2 };
	ssize_t n;

	do
		n = sendmsg(d->fd, &m, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0) {
		errno = ENXIO;
		return (-1);
	}
	return (0);
}

/* One call: the answer replaces the frame, its data goes to `out'. */
static int
remote_call(struct device *d, struct kdev_frame *f, const void *in,
    void *out, size_t outlen)
{
	unsigned int op;

	op = f->op;
	if (remote_send(d, f, in) != 0)
		return (-1);
	do {
		if (remote_receive(d, f, out, outlen) != 0)
			return (-1);
		if (f->op == KDEV_POLL)
			d->armed = false;
	} while (f->op != op);
	if (f->error != 0) {
		errno = (int)f->error;
		return (-1);
	}
	return (0);
}

static int
remote_open(struct device *d, const char *path)
{
	struct kdev_frame f = { .op = KDEV_OPEN,
	    .flags = KDEV_F_READ | KDEV_F_WRITE | KDEV_F_NONBLOCK };
	int error;

	d->remote = true;
	d->fd = remote_connect(path);
	if (d->fd < 0)
		return (-1);
	if (remote_call(d, &f, NULL, NULL, 0) != 0) {
		error = errno;
		device_close(d);
		errno = error;
		return (-1);
	}
	return (0);
}

static int
remote_arm(struct device *d)
{
	struct kdev_frame f = { .op = KDEV_POLL, .flags = POLLIN };

	if (d->armed)
		return (0);
	d->armed = true;
	return (remote_send(d, &f, NULL));
}

/* What poll(2) says of the socket, as what it would say of the device. */
static int
remote_ready(struct device *d)
{
	struct kdev_frame f;

	if (remote_receive(d, &f, NULL, 0) != 0)
		return (DEVICE_GONE);
	d->armed = false;
	if ((f.flags & (POLLERR | POLLHUP)) != 0)
		return (DEVICE_GONE);
	return ((f.flags & POLLIN) != 0 ? DEVICE_READY : 0);
}

/* Is it ready now? An answer that is owed already comes first. */
static int
remote_now(struct device *d)
{
	struct kdev_frame f = { .op = KDEV_POLL, .flags = POLLIN, .want = 1 };

	if (remote_send(d, &f, NULL) != 0)
		return (DEVICE_GONE);
	if (d->armed && (remote_ready(d) & DEVICE_GONE) != 0)
		return (DEVICE_GONE);
	return (remote_ready(d));
}

static ssize_t
remote_rw(struct device *d, unsigned int op, void *data, size_t len)
{
	struct kdev_frame f = { .op = op };

	if (len > KDEV_MAXDATA) {
		errno = EINVAL;
		return (-1);
	}
	if (op == KDEV_READ)
		f.want = (unsigned int)len;
	else
		f.len = (unsigned int)len;
	if (remote_call(d, &f, data, op == KDEV_READ ? data : NULL,
	    op == KDEV_READ ? len : 0) != 0)
		return (-1);
	return ((ssize_t)(op == KDEV_READ ? f.len : f.want));
}

/*
 * The direction bits of a command are the other way round on FreeBSD, and a
 * command without data has a bit of its own.
 */
static int
remote_ioctl(struct device *d, unsigned long cmd, void *data)
{
	struct kdev_frame f = { .op = KDEV_IOCTL };
	unsigned long size;

	size = _IOC_SIZE(cmd);
	f.arg = (cmd & 0x3fffffff) | (cmd & 0x40000000) << 1 |
	    (cmd & 0x80000000) >> 1;
	if (_IOC_DIR(cmd) == _IOC_NONE)
		f.arg |= 0x20000000;
	f.len = (_IOC_DIR(cmd) & _IOC_WRITE) != 0 ? (unsigned int)size : 0;
	return (remote_call(d, &f, data, data,
	    (_IOC_DIR(cmd) & _IOC_READ) != 0 ? size : 0));
}
#else
/* FreeBSD has the devices themselves. */
#define	KDEV_READ		0
#define	KDEV_WRITE		0
#define	remote_open(d, path)	(errno = EOPNOTSUPP, -1)
#define	remote_arm(d)		(-1)
#define	remote_now(d)		(DEVICE_GONE)
#define	remote_ready(d)		(DEVICE_GONE)
#define	remote_rw(d, op, p, n)	((ssize_t)-1)
#define	remote_ioctl(d, cmd, p)	(-1)
#endif

int
device_open(struct device *d, const char *path)
{
	struct stat sb;

	memset(d, 0, sizeof(*d));
	d->fd = -1;
	if (stat(path, &sb) != 0)
		return (-1);
	if (S_ISSOCK(sb.st_mode))
		return (remote_open(d, path));
	if (!S_ISCHR(sb.st_mode)) {
		errno = ENODEV;
		return (-1);
	}
	d->fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	return (d->fd < 0 ? -1 : 0);
}

int
device_open_wait(struct device *d, const char *path)
{
	struct timespec nap = { 0, 20000000 };
	int error, i;

	for (i = 0;; i++) {
		error = device_open(d, path);
		if (error == 0 || errno != EBUSY || i == OPEN_TRIES)
			return (error);
		nanosleep(&nap, NULL);
	}
}

void
device_close(struct device *d)
{
	if (d->fd >= 0)
		close(d->fd);
	d->fd = -1;
}

int
device_wait(struct device *d, int wake, int timeout)
{
	struct pollfd p[2] = { { d->fd, POLLIN, 0 }, { wake, POLLIN, 0 } };
	int n, ready;

	if (d->remote && timeout == 0 && wake < 0)
		return (remote_now(d));
	if (d->remote && remote_arm(d) != 0)
		return (DEVICE_GONE);
	n = poll(p, 2, timeout);
	if (n <= 0)
		return (n);
	ready = (p[1].revents & (POLLIN | POLLHUP)) != 0 ? DEVICE_WAKE : 0;
	if (p[0].revents == 0)
		return (ready);
	if (d->remote)
		return (ready | remote_ready(d));
	if ((p[0].revents & POLLIN) != 0)
		return (ready | DEVICE_READY);
	return (ready | DEVICE_GONE);
}

int
device_arm(struct device *d)
{
	return (d->remote ? remote_arm(d) : 0);
}

ssize_t
device_read(struct device *d, void *data, size_t len)
{
	ssize_t n;

	if (d->remote)
		return (remote_rw(d, KDEV_READ, data, len));
	do
		n = read(d->fd, data, len);
	while (n < 0 && errno == EINTR);
	return (n);
}

ssize_t
device_write(struct device *d, const void *data, size_t len)
{
	ssize_t n;

	if (d->remote)
		return (remote_rw(d, KDEV_WRITE, (void *)(uintptr_t)data,
		    len));
	do
		n = write(d->fd, data, len);
	while (n < 0 && errno == EINTR);
	return (n);
}

int
device_ioctl(struct device *d, unsigned long cmd, void *data)
{
	if (d->remote)
		return (remote_ioctl(d, cmd, data));
	return (ioctl(d->fd, cmd, data));
}
