/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * main.c: hv_vss_daemon(8): makes the file systems of this system consistent
 * while the Hyper-V host takes a backup.
 */

#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "device.h"
#include "freezer.h"
#include "hv_snapshot.h"
#include "log.h"
#include "run.h"
#include "service.h"

#define	SYNC_SECONDS	4	/* zpool sync; the kernel waits 15 for all */
#define	FREEZE_SECONDS	8
#define	HOLD_SECONDS	60

struct vss {
	const char	*ufssuspend, *root;
	int		hold;
	bool		lost;		/* thawed, and the host not told yet */
	struct mounts	mounts;
	struct freezer	freezer;
};

static void __attribute__((__noreturn__))
usage(void)
{
	fprintf(stderr, "usage: hv_vss_daemon [-dn] [-f device] [-P pidfile] "
	    "[-R root] [-t seconds]\n"
	    "                     [-u ufssuspend]\n");
	exit(64);
}

static int
count(const struct vss *v, enum mount_kind kind)
{
	int i, n;

	for (i = n = 0; i < v->mounts.count; i++)
		n += v->mounts.list[i].kind == kind;
	return (n);
}

/* What is not frozen is said by name, at every backup. */
static void
say_skipped(const struct vss *v)
{
	int i;

	for (i = 0; i < v->mounts.count; i++)
		if (v->mounts.list[i].kind == MOUNT_SKIP)
			log_msg(LOG_WARNING, "%s (%s) cannot be frozen: it is "
			    "in the backup as after a crash",
			    v->mounts.list[i].path, v->mounts.list[i].type);
}

static bool
look(struct vss *v)
{
	int error;

	error = mounts_get(&v->mounts, v->root);
	if (error != 0)
		log_msg(LOG_ERR, "no table of mounts: %s", strerror(error));
	return (error == 0);
}

static void
sync_pools(struct vss *v)
{
	char prog[1024], *argv[] = { prog, (char *)(uintptr_t)"sync", NULL };

	snprintf(prog, sizeof(prog), "%s/sbin/zpool", v->root);
	if (run(argv, NULL, NULL, 0, SYNC_SECONDS) == 0)
		log_msg(LOG_INFO, "ZFS pools synced; they need no freeze");
	else
		log_msg(LOG_WARNING, "zpool sync failed; the pools are in the "
		    "backup as of their last transaction");
}

static bool
freeze(struct vss *v)
{
	int error;

	if (v->freezer.pid != 0) {
		log_msg(LOG_WARNING, "frozen twice: thawed first");
		(void)freezer_end(&v->freezer);
		log_hold(false);
	}
	v->lost = false;
	if (!look(v))
		return (false);
	say_skipped(v);
	sync();
	if (count(v, MOUNT_SYNC) > 0)
		sync_pools(v);
	/* Until the thaw nobody may wait for what writes the log. */
	log_hold(true);
	error = freezer_start(&v->freezer, &v->mounts, v->ufssuspend, v->hold,
	    FREEZE_SECONDS);
	if (error != 0) {
		log_hold(false);
		log_msg(LOG_ERR, "freeze failed, nothing is frozen: %s",
		    strerror(error));
		return (false);
	}
	log_msg(LOG_NOTICE, "%d file systems frozen", v->freezer.frozen);
	return (true);
}

/* A backup that was not frozen all the time is none. */
static bool
thaw(struct vss *v)
{
	bool good;

	if (v->lost) {
		v->lost = false;
		return (false);
	}
	if (v->freezer.pid == 0) {
		log_msg(LOG_INFO, "nothing was frozen");
		return (true);
	}
	good = freezer_end(&v->freezer);
	log_hold(false);
	if (good)
		log_msg(LOG_NOTICE, "thawed");
	else
		log_msg(LOG_ERR, "thawed before the host asked: the backup is "
		    "not consistent");
	return (good);
}

static bool
check(struct vss *v)
{
	if (!look(v))
		return (false);
	log_msg(LOG_INFO, "backup: %d file systems to freeze, %d to sync, %d "
	    "that can be neither", count(v, MOUNT_FREEZE),
	    count(v, MOUNT_SYNC), count(v, MOUNT_SKIP));
	return (true);
}

static void
answer(struct vss *v, struct hv_vss_opt_msg *m)
{
	bool good;

	switch (m->opt) {
	case HV_VSS_CHECK:
		good = check(v);
		break;
	case HV_VSS_FREEZE:
		good = freeze(v);
		break;
	case HV_VSS_THAW:
		good = thaw(v);
		break;
	default:
		log_msg(LOG_ERR, "operation %u is not known", m->opt);
		good = false;
	}
	m->status = good ? VSS_SUCCESS : VSS_FAIL;
	memset(m->reserved, 0, sizeof(m->reserved));
}

static int
serve(struct vss *v, struct device *d, int stop)
{
	struct hv_vss_opt_msg m;
	int ready;

	for (;;) {
		ready = device_wait(d, stop, v->freezer.pid != 0 ? 1000 : -1);
		if (freezer_lost(&v->freezer)) {
			log_hold(false);
			log_msg(LOG_ERR, "the freeze ended before the host "
			    "asked: this backup will be refused");
			v->lost = true;
		}
		if (ready == 0 || (ready < 0 && errno == EINTR))
			continue;
		if (ready < 0 || (ready & DEVICE_GONE) != 0) {
			log_msg(LOG_NOTICE, "the device is gone");
			return (1);
		}
		if ((ready & DEVICE_WAKE) != 0)
			return (0);
		memset(&m, 0, sizeof(m));
		if (device_ioctl(d, IOCHVVSSREAD, &m) != 0) {
			log_msg(LOG_ERR, "reading a request: %s",
			    strerror(errno));
			return (1);
		}
		if (m.status != VSS_SUCCESS)
			continue;	/* it timed out meanwhile */
		answer(v, &m);
		if (device_ioctl(d, IOCHVVSSWRITE, &m) != 0) {
			log_msg(LOG_ERR, "answering: %s", strerror(errno));
			return (1);
		}
	}
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

int
main(int argc, char **argv)
{
	struct service s = { .name = "hv_vss_daemon",
	    .pidfile = "/var/run/hv_vss_daemon.pid" };
	static struct vss v = { .ufssuspend = "/dev/ufssuspend", .root = "",
	    .hold = HOLD_SECONDS, .freezer = { .fd = -1 } };
	const char *path;
	struct device d;
	int ch, status;

	path = VSS_DEV(FS_VSS_DEV_NAME);
	while ((ch = getopt(argc, argv, "df:nP:R:t:u:")) != -1)
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
			v.root = optarg;
			break;
		case 't':
			v.hold = number(optarg, 1, 900);
			break;
		case 'u':
			v.ufssuspend = optarg;
			break;
		default:
			usage();
		}
	if (optind != argc)
		usage();
	service_take(&s);
	service_start(&s);
	if (device_open_wait(&d, path) != 0) {
		log_msg(LOG_ERR, "%s: %s", path, strerror(errno));
		exit(1);
	}
	log_msg(LOG_INFO, "ready");
	status = serve(&v, &d, s.stop);
	if (v.freezer.pid != 0)
		(void)thaw(&v);
	service_end(&s);
	return (status);
}
