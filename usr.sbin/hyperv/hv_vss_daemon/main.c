/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * main.c: hv_vss_daemon(8): makes the file systems of this system consistent
 * while the Hyper-V host takes a backup. Two processes: the one that is started
 * is the guard (guard.h) and stays root; the other has the device, is nobody,
 * in a sandbox, and ends with the first, as the first does with it.
 */

#include <sys/types.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "device.h"
#include "guard.h"
#include "log.h"
#include "privilege.h"
#include "requests.h"
#include "sandbox.h"
#include "service.h"

#define	HOLD_SECONDS	60
#define	END_TRIES	300	/* 10 ms apart */

static void __attribute__((__noreturn__))
usage(void)
{
	fprintf(stderr, "usage: hv_vss_daemon [-dn] [-f device] [-P pidfile] "
	    "[-R root] [-t seconds]\n"
	    "                     [-U user] [-u ufssuspend]\n");
	exit(64);
}

static int
number(const char *text, int min, int max)
{
	char *end;
	long n;

	n = strtol(text, &end, 10);
	if (end == text || *end != '\0' || n < min || n > max)
		errx(64, "-t: %d to %d seconds", min, max);
	return ((int)n);
}

/* The unprivileged part: its exit status is that of the daemon. */
static int
serve_requests(const char *path, int guard, const struct privilege *p)
{
	struct requests r = { requests_ask, guard, 0 };
	struct device d;

	/* It ends when the guard does, not before. */
	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	if (device_open_wait(&d, path) != 0) {
		log_msg(LOG_ERR, "%s: %s", path, strerror(errno));
		return (1);
	}
	if (!privilege_drop(p)) {
		log_msg(LOG_ERR, "cannot become %s: %s", p->user,
		    strerror(errno));
		return (1);
	}
	if (!sandbox_limit(d.fd, d.remote ? SANDBOX_SOCKET : SANDBOX_DEVICE) ||
	    !sandbox_limit(guard, SANDBOX_SOCKET)) {
		log_msg(LOG_ERR, "sandbox: %s", strerror(errno));
		return (1);
	}
	(void)sandbox_enter();
	log_msg(LOG_INFO, "ready");
	return (requests_serve(&r, &d));
}

/* How the other part ended; it is given a moment, and then no choice. */
static int
wait_requests(pid_t pid)
{
	struct timespec nap = { 0, 10000000 };
	int i, status;

	for (i = 0; waitpid(pid, &status, WNOHANG) == 0; i++) {
		if (i == END_TRIES)
			kill(pid, SIGKILL);
		nanosleep(&nap, NULL);
	}
	return (WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

static int
guarded(struct guard *g, const struct service *s, const char *path,
    const struct privilege *p)
{
	int status, sv[2];
	bool stopped;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv) != 0) {
		log_msg(LOG_ERR, "socketpair: %s", strerror(errno));
		return (1);
	}
	pid = fork();
	if (pid < 0) {
		log_msg(LOG_ERR, "fork: %s", strerror(errno));
		return (1);
	}
	if (pid == 0) {
		/* The pid file and its lock are the guard's. */
		close(s->pidfd);
		close(sv[0]);
		_exit(serve_requests(path, sv[1], p));
	}
	close(sv[1]);
	fcntl(sv[0], F_SETFD, FD_CLOEXEC);
	stopped = guard_serve(g, sv[0], s->stop);
	close(sv[0]);
	status = wait_requests(pid);
	return (stopped ? 0 : status);
}

int
main(int argc, char **argv)
{
	struct service s = { .name = "hv_vss_daemon",
	    .pidfile = "/var/run/hv_vss_daemon.pid" };
	static struct guard g = { .ops = &guard_system,
	    .ufssuspend = "/dev/ufssuspend", .root = "", .hold = HOLD_SECONDS,
	    .freezer = { .fd = -1 } };
	const char *path, *user;
	struct privilege p;
	int ch, status;

	path = VSS_DEV(FS_VSS_DEV_NAME);
	user = NULL;
	while ((ch = getopt(argc, argv, "df:nP:R:t:U:u:")) != -1)
		switch (ch) {
		case 'd':
			s.debug = true;
			s.foreground = true;
			break;
		case 'f':
			path = optarg;
			break;
		case 'n':
			s.foreground = true;
			break;
		case 'P':
			s.pidfile = optarg;
			break;
		case 'R':
			g.root = optarg;
			break;
		case 't':
			g.hold = number(optarg, 1, 900);
			break;
		case 'U':
			user = optarg;
			break;
		case 'u':
			g.ufssuspend = optarg;
			break;
		default:
			usage();
		}
	if (optind != argc)
		usage();
	service_take(&s);
	privilege_find(&p, user);
	service_start(&s);
	status = guarded(&g, &s, path, &p);
	service_end(&s);
	return (status);
}
