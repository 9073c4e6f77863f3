/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * main.c: hv_fcopy_daemon(8): takes files that the Hyper-V host copies into
 * this system. After its start it is in a sandbox with the device and the
 * directories that files may go to.
 */

#include <sys/stat.h>

#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "copy.h"
#include "device.h"
#include "log.h"
#include "sandbox.h"
#include "service.h"

#define	DEFAULT_DIR	"/var/db/hyperv/files"

static void __attribute__((__noreturn__))
usage(void)
{
	fprintf(stderr, "usage: hv_fcopy_daemon [-dn] [-f device] "
	    "[-P pidfile] [directory ...]\n");
	exit(64);
}

static int
serve(struct copy *c, struct device *d, int stop)
{
	static struct hv_fcopy_msg m;
	ssize_t n;
	int ready;

	for (;;) {
		ready = device_wait(d, stop, -1);
		if (ready < 0 && errno == EINTR)
			continue;
		if (ready < 0 || (ready & DEVICE_GONE) != 0) {
			log_msg(LOG_NOTICE, "the device is gone");
			return (1);
		}
		if ((ready & DEVICE_WAKE) != 0)
			return (0);
		n = device_read(d, &m, sizeof(m));
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n != (ssize_t)sizeof(m)) {
			log_msg(LOG_ERR, "read: %s", n < 0 ? strerror(errno) :
			    "not a whole message");
			return (1);
		}
		m.status = copy_message(c, &m);
		/* Late: the host was told so, and gives the copy up. */
		if (device_write(d, &m, HV_FCOPY_REPLY_SIZE) !=
		    HV_FCOPY_REPLY_SIZE) {
			if (errno == ENXIO)
				return (1);
			log_msg(LOG_WARNING, "an answer came too late");
			copy_abandon(c);
		}
	}
}

static void
open_places(struct places *ps, int argc, char **argv)
{
	int error, i;

	memset(ps, 0, sizeof(*ps));
	if (argc == 0) {
		(void)mkdir("/var/db/hyperv", 0700);
		error = place_add(ps, DEFAULT_DIR, true);
		if (error != 0)
			errx(1, "%s: %s", DEFAULT_DIR, strerror(error));
	}
	for (i = 0; i < argc; i++) {
		error = place_add(ps, argv[i], false);
		if (error != 0)
			errx(1, "%s: %s", argv[i], strerror(error));
	}
}

int
main(int argc, char **argv)
{
	struct service s = { .name = "hv_fcopy_daemon",
	    .pidfile = "/var/run/hv_fcopy_daemon.pid" };
	const char *path;
	static struct places ps;
	static struct copy c;
	struct device d;
	int ch, i, status;

	path = "/dev/" HV_FCOPY_DEV_NAME;
	while ((ch = getopt(argc, argv, "df:nP:")) != -1)
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
		default:
			usage();
		}
	umask(022);
	/* What is half-written there is ours only while nobody else runs. */
	service_take(&s);
	open_places(&ps, argc - optind, argv + optind);
	service_start(&s);
	copy_init(&c, &ps);
	if (device_open_wait(&d, path) != 0) {
		log_msg(LOG_ERR, "%s: %s", path, strerror(errno));
		exit(1);
	}
	for (i = 0; i < ps.count; i++)
		if (!sandbox_limit(ps.list[i].dir, SANDBOX_DIR) ||
		    !sandbox_limit(ps.list[i].temp, SANDBOX_DIR))
			err(1, "sandbox");
	if (!sandbox_limit(d.fd, d.remote ? SANDBOX_SOCKET : SANDBOX_DEVICE) ||
	    !sandbox_limit(s.pidfd, SANDBOX_FILE))
		err(1, "sandbox");
	(void)sandbox_enter();
	log_msg(LOG_INFO, "files go to %s%s", ps.list[0].path,
	    ps.count > 1 ? " and others" : "");
	status = serve(&c, &d, s.stop);
	copy_abandon(&c);
	service_end(&s);
	return (status);
}
