/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * The guest's console: kldrun's output, passed on line by line to our own
 * standard output, with a copy in DIR/console.log.  A thread of its own, since
 * both sides may be slow.  What the guest prints reaches a terminal: control
 * characters do not.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kld.h"

#define	LINE_MAX_	1024u
#define	LOG_MAX		(64u << 20)

struct kld_console {
	pthread_t	thread;
	int		fd;		/* guest's output */
	int		log;
	uint64_t	logged;
	char		line[LINE_MAX_ + 1];
	uint32_t	len;
	_Atomic bool	quit;
	_Atomic bool	done;
};

static void
write_all(int fd, const char *buf, size_t len)
{
	ssize_t n;

	while (len > 0) {
		n = write(fd, buf, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		buf += n;
		len -= (size_t)n;
	}
}

static void
flush_line(struct kld_console *c)
{

	c->line[c->len++] = '\n';
	write_all(STDOUT_FILENO, c->line, c->len);
	if (c->log >= 0 && c->logged < LOG_MAX) {
		write_all(c->log, c->line, c->len);
		c->logged += c->len;
		if (c->logged >= LOG_MAX)
			vmm_log("console.log is full; the rest of the console "
			    "is not kept");
	}
	c->len = 0;
}

static void
feed(struct kld_console *c, const char *buf, size_t n)
{
	size_t i;
	char ch;

	for (i = 0; i < n; i++) {
		ch = buf[i];
		if (ch == '\n') {
			flush_line(c);
			continue;
		}
		if (ch == '\r')
			continue;
		if (c->len == LINE_MAX_)
			flush_line(c);
		c->line[c->len++] = ((unsigned char)ch < 0x20 && ch != '\t') ||
		    ch == 0x7f ? '?' : ch;
	}
}

static void *
console_main(void *arg)
{
	struct kld_console *c = arg;
	struct pollfd pfd = { .fd = c->fd, .events = POLLIN };
	char buf[4096];
	ssize_t n;

	for (;;) {
		/* The guest's children may hold the pipe open: look at quit. */
		if (poll(&pfd, 1, 100) == 0) {
			if (atomic_load(&c->quit))
				break;
			continue;
		}
		n = read(c->fd, buf, sizeof(buf));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		feed(c, buf, (size_t)n);
	}
	if (c->len > 0)
		flush_line(c);
	atomic_store(&c->done, true);
	return (NULL);
}

struct kld_console *
kld_console_start(int fd, const char *dir, char *err, size_t errlen)
{
	struct kld_console *c;
	char path[256];
	int error;

	c = calloc(1, sizeof(*c));
	if (c == NULL) {
		vmm_fail(err, errlen, 0, "out of memory");
		return (NULL);
	}
	c->fd = fd;
	snprintf(path, sizeof(path), "%s/console.log", dir);
	c->log = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC |
	    O_NOFOLLOW, 0600);
	if (c->log < 0)
		vmm_log("cannot write %s: %s; the console is not kept", path,
		    strerror(errno));
	error = vmm_thread(&c->thread, "console", console_main, c);
	if (error != 0) {
		vmm_fail(err, errlen, 0, "cannot start a thread: %s",
		    strerror(-error));
		if (c->log >= 0)
			close(c->log);
		free(c);
		return (NULL);
	}
	return (c);
}

void
kld_console_stop(struct kld_console *c, uint32_t ms)
{
	uint64_t deadline = vmm_deadline(ms);
	struct timespec ts = { 0, 10000000 };

	if (c == NULL)
		return;
	atomic_store(&c->quit, true);
	while (!atomic_load(&c->done) && vmm_left_ms(deadline) > 0)
		nanosleep(&ts, NULL);
	if (!atomic_load(&c->done)) {
		/* Stuck writing to our own output: leave it to exit(). */
		pthread_detach(c->thread);
		return;
	}
	pthread_join(c->thread, NULL);
	if (c->log >= 0)
		close(c->log);
	free(c);
}
