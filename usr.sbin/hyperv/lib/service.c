/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * service.c: see service.h.
 */

#include <sys/file.h>
#include <sys/stat.h>

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "device.h"
#include "log.h"
#include "service.h"

static int stop_pipe[2] = { -1, -1 };

static void
on_signal(int sig)
{
	int error;

	error = errno;
	(void)!write(stop_pipe[1], &(char){ (char)sig }, 1);
	errno = error;
}

/* The lock says who is running, not the number in the file. */
void
service_take(struct service *s)
{
	char other[16];
	ssize_t n;

	s->pidfd = open(s->pidfile, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
	    0644);
	if (s->pidfd < 0)
		err(1, "%s", s->pidfile);
	if (flock(s->pidfd, LOCK_EX | LOCK_NB) == 0)
		return;
	if (errno != EWOULDBLOCK)
		err(1, "%s", s->pidfile);
	n = read(s->pidfd, other, sizeof(other) - 1);
	other[n > 0 ? n : 0] = '\0';
	errx(1, "%s is running already, pid %.*s", s->name,
	    (int)strspn(other, "0123456789"), other);
}

static void
pidfile_write(struct service *s)
{
	char text[16];
	int n;

	n = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
	if (ftruncate(s->pidfd, 0) != 0 ||
	    pwrite(s->pidfd, text, (size_t)n, 0) != n)
		err(1, "%s", s->pidfile);
}

void
service_start(struct service *s)
{
	struct sigaction sa;
	static const int sigs[] = { SIGTERM, SIGINT, SIGHUP };
	size_t i;

	if (!s->foreground && daemon(0, 0) != 0)
		err(1, "daemon");
	pidfile_write(s);
	log_open(s->name, s->foreground, s->debug);
	if (pipe(stop_pipe) != 0)
		err(1, "pipe");
	for (i = 0; i < 2; i++) {
		fcntl(stop_pipe[i], F_SETFD, FD_CLOEXEC);
		fcntl(stop_pipe[i], F_SETFL, O_NONBLOCK);
	}
	s->stop = stop_pipe[0];
	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = on_signal;
	for (i = 0; i < sizeof(sigs) / sizeof(sigs[0]); i++)
		sigaction(sigs[i], &sa, NULL);
	signal(SIGPIPE, SIG_IGN);
}

/* In a sandbox the file stays, without a lock: the next one takes it. */
void
service_end(struct service *s)
{
	(void)!ftruncate(s->pidfd, 0);
	unlink(s->pidfile);
	close(s->pidfd);
}

int
service_wait(struct device *d, int stop)
{
	int ready;

	for (;;) {
		ready = device_wait(d, stop, -1);
		if (ready < 0 && errno == EINTR)
			continue;
		if (ready < 0 || (ready & DEVICE_GONE) != 0) {
			log_msg(LOG_NOTICE, "the device is gone");
			return (-1);
		}
		if ((ready & DEVICE_WAKE) != 0)
			return (0);
		if (ready != 0)
			return (1);
	}
}

int
service_next(struct device *d, int stop, void *buf, size_t len)
{
	ssize_t n;
	int ready;

	for (;;) {
		ready = service_wait(d, stop);
		if (ready <= 0)
			return (ready);
		n = device_read(d, buf, len);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n == (ssize_t)len)
			return (1);
		log_msg(LOG_ERR, "read: %s", n < 0 ? strerror(errno) :
		    "not a whole message");
		return (-1);
	}
}
