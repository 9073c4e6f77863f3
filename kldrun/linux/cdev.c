/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * cdev.c: what character devices need of Linux: sockets that keep packets
 * apart, event descriptors, who is at the other end, and errno values.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "linux.h"

/* Makes the directories above a file. */
static void
make_parents(const char *path)
{
	char buf[512], *p;

	snprintf(buf, sizeof(buf), "%s", path);
	for (p = buf + 1; (p = strchr(p, '/')) != NULL; p++) {
		*p = '\0';
		(void)!mkdir(buf, 0755);
		*p = '/';
	}
}

int
os_seq_listen(const char *path, int mode)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd;

	make_parents(path);
	if (snprintf(sun.sun_path, sizeof(sun.sun_path), "%s~", path) >=
	    (int)sizeof(sun.sun_path))
		return (-1);
	unlink(sun.sun_path);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return (-1);
	if (bind(fd, (struct sockaddr *)&sun, sizeof(sun)) != 0 ||
	    chmod(sun.sun_path, (mode_t)mode) != 0 || listen(fd, 64) != 0 ||
	    rename(sun.sun_path, path) != 0) {
		close(fd);
		return (-1);
	}
	return (fd);
}

int
os_seq_send(int fd, const void *head, os_u64 hlen, const void *data,
    os_u64 len)
{
	struct iovec iov[2] = {
		{ (void *)(uintptr_t)head, hlen },
		{ (void *)(uintptr_t)data, len },
	};
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = 2 };
	ssize_t n;

	do
		n = sendmsg(fd, &m, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return (n == (ssize_t)(hlen + len) ? 0 : -1);
}

int
os_event_new(void)
{
	return (eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
}

void
os_event_signal(int fd)
{
	uint64_t one;

	one = 1;
	(void)!write(fd, &one, sizeof(one));
}

void
os_event_clear(int fd)
{
	uint64_t n;

	(void)!read(fd, &n, sizeof(n));
}

int
os_fd_poll_two(int a, int b)
{
	struct pollfd p[2] = { { a, POLLIN, 0 }, { b, POLLIN, 0 } };
	int r;

	do
		r = poll(p, 2, -1);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return (-1);
	return ((p[0].revents != 0 ? 1 : 0) | (p[1].revents != 0 ? 2 : 0));
}

void
os_fd_wait_hup(int fd)
{
	struct pollfd p = { fd, POLLRDHUP, 0 };

	while (poll(&p, 1, -1) < 0 && errno == EINTR)
		continue;
}

void
os_peer(int fd, int *pid, char *name, os_u64 len)
{
	struct ucred cred = { 0, 0, 0 };
	socklen_t n;
	char path[64];
	ssize_t got;
	int f;

	n = sizeof(cred);
	(void)!getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &n);
	*pid = (int)cred.pid;
	snprintf(path, sizeof(path), "/proc/%d/comm", *pid);
	f = open(path, O_RDONLY | O_CLOEXEC);
	got = f >= 0 ? read(f, name, len - 1) : 0;
	if (f >= 0)
		close(f);
	name[got > 0 ? got : 0] = '\0';
	name[strcspn(name, "\n")] = '\0';
}

/* FreeBSD's errno values where they are not Linux's. */
int
os_linux_errno(int error)
{
	static const struct {
		int freebsd, linux_;
	} map[] = {
		{ 11, EDEADLK }, { 35, EAGAIN }, { 36, EINPROGRESS },
		{ 37, EALREADY }, { 38, ENOTSOCK }, { 40, EMSGSIZE },
		{ 45, EOPNOTSUPP }, { 48, EADDRINUSE }, { 49, EADDRNOTAVAIL },
		{ 50, ENETDOWN }, { 53, ECONNABORTED }, { 54, ECONNRESET },
		{ 55, ENOBUFS }, { 56, EISCONN }, { 57, ENOTCONN },
		{ 58, ESHUTDOWN }, { 60, ETIMEDOUT }, { 61, ECONNREFUSED },
		{ 62, ELOOP }, { 63, ENAMETOOLONG }, { 64, EHOSTDOWN },
		{ 66, ENOTEMPTY }, { 69, EDQUOT }, { 77, ENOLCK },
		{ 78, ENOSYS }, { 84, EOVERFLOW }, { 85, ECANCELED },
		{ 86, EILSEQ }, { 89, EBADMSG }, { 92, EPROTO },
		{ 93, EPERM }, { 94, EPERM },
	};
	size_t i;

	/* A driver that returns an errno of Linux's kind is none of ours. */
	if (error < 0)
		return (EIO);
	for (i = 0; i < sizeof(map) / sizeof(map[0]); i++)
		if (map[i].freebsd == error)
			return (map[i].linux_);
	return (error <= 34 ? error : EIO);
}
