/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * main.c: hv_fcopy_daemon(8): takes files that the Hyper-V host copies into
 * this system. After its start it is nobody, in a sandbox with the device and
 * the directories that files may go to.
 */

#include <sys/stat.h>

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "copy.h"
#include "device.h"
#include "log.h"
#include "privilege.h"
#include "sandbox.h"
#include "service.h"

#define	DEFAULT_DIR	"/var/db/hyperv/files"

static void __attribute__((__noreturn__))
usage(void)
{
	fprintf(stderr, "usage: hv_fcopy_daemon [-dn] [-f device] "
	    "[-P pidfile] [-U user]\n"
	    "                       [directory ...]\n");
	exit(64);
}

static int
serve(struct copy *c, struct device *d, int stop)
{
	static struct hv_fcopy_msg m;
	int next;

	while ((next = service_next(d, stop, &m, sizeof(m))) > 0) {
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
	return (next < 0);
}

/* The default directory is made for the user who is to write there. */
static void
make_default(const struct privilege *user)
{
	struct stat sb;
	int fd;

	(void)mkdir("/var/db/hyperv", 0700);
	if (mkdir(DEFAULT_DIR, 0755) != 0 && errno != EEXIST)
		err(1, "%s", DEFAULT_DIR);
	fd = open(DEFAULT_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &sb) != 0 || (user->change &&
	    sb.st_uid != user->uid && fchown(fd, user->uid, user->gid) != 0))
		err(1, "%s", DEFAULT_DIR);
	close(fd);
}

/* Opened by root, written by the user. */
static void
open_places(struct places *ps, int argc, char **argv,
    const struct privilege *user)
{
	const char *path;
	int error, i;

	memset(ps, 0, sizeof(*ps));
	if (argc == 0) {
		make_default(user);
		if ((error = place_open(ps, DEFAULT_DIR)) != 0)
			errx(1, "%s: %s", DEFAULT_DIR, strerror(error));
	}
	for (i = 0; i < argc; i++)
		if ((error = place_open(ps, argv[i])) != 0)
			errx(1, "%s: %s", argv[i], strerror(error));
	if (!privilege_borrow(user))
		err(1, "cannot become %s", user->user);
	error = place_ready(ps, &path);
	if (error != 0)
		errx(1, "%s: %s for user %s", path, strerror(error),
		    user->user);
	if (!privilege_return(user))
		err(1, "cannot become root again");
}

/* What is open is what there is from here on. */
static void
confine(const struct places *ps, const struct device *d,
    const struct service *s, const struct privilege *user)
{
	bool good;
	int i;

	if (!privilege_drop(user)) {
		log_msg(LOG_ERR, "cannot become %s: %s", user->user,
		    strerror(errno));
		exit(1);
	}
	good = sandbox_limit(d->fd, d->remote ? SANDBOX_SOCKET :
	    SANDBOX_DEVICE) && sandbox_limit(s->pidfd, SANDBOX_FILE);
	for (i = 0; i < ps->count; i++)
		good = good && sandbox_limit(ps->list[i].dir, SANDBOX_DIR) &&
		    sandbox_limit(ps->list[i].temp, SANDBOX_DIR);
	if (!good) {
		log_msg(LOG_ERR, "sandbox: %s", strerror(errno));
		exit(1);
	}
	(void)sandbox_enter();
}

int
main(int argc, char **argv)
{
	struct service s = { .name = "hv_fcopy_daemon",
	    .pidfile = "/var/run/hv_fcopy_daemon.pid" };
	const char *name, *path;
	static struct places ps;
	static struct copy c;
	struct privilege user;
	struct device d;
	int ch, status;

	name = NULL;
	path = "/dev/" HV_FCOPY_DEV_NAME;
	while ((ch = getopt(argc, argv, "df:nP:U:")) != -1)
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
		case 'U':
			name = optarg;
			break;
		default:
			usage();
		}
	umask(022);
	/* What is half-written there is ours only while nobody else runs. */
	service_take(&s);
	privilege_find(&user, name);
	open_places(&ps, argc - optind, argv + optind, &user);
	service_start(&s);
	copy_init(&c, &ps);
	if (device_open_wait(&d, path) != 0) {
		log_msg(LOG_ERR, "%s: %s", path, strerror(errno));
		exit(1);
	}
	confine(&ps, &d, &s, &user);
	log_msg(LOG_INFO, "files go to %s%s", ps.list[0].path,
	    ps.count > 1 ? " and others" : "");
	status = serve(&c, &d, s.stop);
	copy_abandon(&c);
	service_end(&s);
	return (status);
}
