/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * helper.c: see helper.h. One question at a time; an answer that comes after
 * its time is known by its serial number and dropped.
 */

#include <sys/types.h>
#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "helper.h"
#include "log.h"

int
helper_start(struct helper *h, const char *program, char *const args[])
{
	static char path[] = "PATH=/sbin:/bin:/usr/sbin:/usr/bin";
	static char *const env[] = { path, NULL };
	posix_spawn_file_actions_t fa;
	int error, sv[2];
	pid_t pid;

	h->fd = -1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv) != 0)
		return (errno);
	fcntl(sv[0], F_SETFD, FD_CLOEXEC);
	/* dup2 onto itself would leave close-on-exec set: move it away. */
	if (sv[1] == NETCONF_FD) {
		sv[1] = fcntl(NETCONF_FD, F_DUPFD_CLOEXEC, NETCONF_FD + 1);
		close(NETCONF_FD);
	} else
		fcntl(sv[1], F_SETFD, FD_CLOEXEC);
	posix_spawn_file_actions_init(&fa);
	posix_spawn_file_actions_adddup2(&fa, sv[1], NETCONF_FD);
	error = posix_spawn(&pid, program, &fa, NULL, args, env);
	posix_spawn_file_actions_destroy(&fa);
	close(sv[1]);
	if (error != 0) {
		close(sv[0]);
		return (error);
	}
	h->fd = sv[0];
	return (0);
}

static long
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ((long)(ts.tv_sec * 1000 + ts.tv_nsec / 1000000));
}

bool
helper_ask(struct helper *h, struct netconf_msg *m, int seconds)
{
	struct pollfd p;
	uint32_t op;
	long end, left;
	ssize_t n;

	if (h->fd < 0)
		return (false);
	op = m->op;
	m->serial = ++h->serial;
	if (send(h->fd, m, sizeof(*m), 0) != (ssize_t)sizeof(*m))
		goto lost;
	end = now_ms() + seconds * 1000l;
	for (;;) {
		left = end - now_ms();
		p.fd = h->fd;
		p.events = POLLIN;
		p.revents = 0;
		if (left <= 0 || (n = poll(&p, 1, (int)left)) == 0) {
			log_msg(LOG_ERR, "hv_netconf does not answer");
			return (false);
		}
		if (n < 0 && errno == EINTR)
			continue;
		n = recv(h->fd, m, sizeof(*m), 0);
		if (n != (ssize_t)sizeof(*m))
			goto lost;
		if (m->serial == h->serial && m->op == op)
			return (true);
	}
lost:
	log_msg(LOG_ERR, "hv_netconf is gone");
	close(h->fd);
	h->fd = -1;
	return (false);
}
