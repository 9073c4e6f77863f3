/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * guard.c: see guard.h. One thread.
 */

#include <sys/types.h>
#include <sys/socket.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "guard.h"
#include "hv_snapshot.h"
#include "log.h"
#include "run.h"

#define	SYNC_SECONDS	4	/* zpool sync; the kernel waits 15 for all */
#define	FREEZE_SECONDS	8

static int
count(const struct guard *g, enum mount_kind kind)
{
	int i, n;

	for (i = n = 0; i < g->mounts.count; i++)
		n += g->mounts.list[i].kind == kind;
	return (n);
}

/* What is not frozen is said by name, at every backup. */
static void
say_skipped(const struct guard *g)
{
	int i;

	for (i = 0; i < g->mounts.count; i++)
		if (g->mounts.list[i].kind == MOUNT_SKIP)
			log_msg(LOG_WARNING, "%s (%s) cannot be frozen: it is "
			    "in the backup as after a crash",
			    g->mounts.list[i].path, g->mounts.list[i].type);
}

static bool
look(struct guard *g)
{
	int error;

	error = g->ops->table(&g->mounts, g->root);
	if (error != 0)
		log_msg(LOG_ERR, "no table of mounts: %s", strerror(error));
	return (error == 0);
}

static void
flush(const char *root, bool pools)
{
	char prog[1024], *argv[] = { prog, (char *)(uintptr_t)"sync", NULL };

	sync();
	if (!pools)
		return;
	snprintf(prog, sizeof(prog), "%s/sbin/zpool", root);
	if (run(argv, NULL, NULL, 0, SYNC_SECONDS) == 0)
		log_msg(LOG_INFO, "ZFS pools synced; they need no freeze");
	else
		log_msg(LOG_WARNING, "zpool sync failed; the pools are in the "
		    "backup as of their last transaction");
}

const struct guard_ops guard_system = {
	mounts_get, flush, freezer_start, freezer_lost, freezer_end
};

static bool
freeze(struct guard *g)
{
	int error;

	if (g->freezer.pid != 0) {
		log_msg(LOG_WARNING, "frozen twice: thawed first");
		(void)g->ops->thaw(&g->freezer);
		log_hold(false);
	}
	g->lost = false;
	if (!look(g))
		return (false);
	say_skipped(g);
	g->ops->flush(g->root, count(g, MOUNT_SYNC) > 0);
	/* Until the thaw nobody may wait for what writes the log. */
	log_hold(true);
	error = g->ops->freeze(&g->freezer, &g->mounts, g->ufssuspend,
	    g->hold, FREEZE_SECONDS);
	if (error != 0) {
		log_hold(false);
		log_msg(LOG_ERR, "freeze failed, nothing is frozen: %s",
		    strerror(error));
		return (false);
	}
	log_msg(LOG_NOTICE, "%d file systems frozen", g->freezer.frozen);
	return (true);
}

/* A backup that was not frozen all the time is none. */
static bool
thaw(struct guard *g)
{
	bool good;

	if (g->lost) {
		g->lost = false;
		return (false);
	}
	if (g->freezer.pid == 0) {
		log_msg(LOG_INFO, "nothing was frozen");
		return (true);
	}
	good = g->ops->thaw(&g->freezer);
	log_hold(false);
	if (good)
		log_msg(LOG_NOTICE, "thawed");
	else
		log_msg(LOG_ERR, "thawed before the host asked: the backup is "
		    "not consistent");
	return (good);
}

static bool
check(struct guard *g)
{
	if (!look(g))
		return (false);
	log_msg(LOG_INFO, "backup: %d file systems to freeze, %d to sync, %d "
	    "that can be neither", count(g, MOUNT_FREEZE),
	    count(g, MOUNT_SYNC), count(g, MOUNT_SKIP));
	return (true);
}

uint32_t
guard_do(struct guard *g, uint32_t op)
{
	bool good;

	guard_look(g);
	switch (op) {
	case HV_VSS_CHECK:
		good = check(g);
		break;
	case HV_VSS_FREEZE:
		good = freeze(g);
		break;
	case HV_VSS_THAW:
		good = thaw(g);
		break;
	default:
		log_msg(LOG_ERR, "operation %u is not known", op);
		good = false;
	}
	return (good ? VSS_SUCCESS : VSS_FAIL);
}

void
guard_look(struct guard *g)
{
	if (!g->ops->lost(&g->freezer))
		return;
	log_hold(false);
	log_msg(LOG_ERR, "the freeze ended before the host asked: this backup "
	    "will be refused");
	g->lost = true;
}

/* false: the other part is gone, or talks nonsense. */
static bool
serve_one(struct guard *g, int fd)
{
	struct guard_told t;
	struct guard_ask a;
	ssize_t n;

	do
		n = recv(fd, &a, sizeof(a), 0);
	while (n < 0 && errno == EINTR);
	if (n != (ssize_t)sizeof(a))
		return (false);
	t.serial = a.serial;
	t.status = guard_do(g, a.op);
	return (send(fd, &t, sizeof(t), MSG_NOSIGNAL | MSG_DONTWAIT) ==
	    (ssize_t)sizeof(t));
}

bool
guard_serve(struct guard *g, int fd, int stop)
{
	struct timespec nap = { 0, 20000000 };
	struct pollfd p[3] = { { fd, POLLIN, 0 }, { stop, POLLIN, 0 },
	    { -1, POLLIN, 0 } };
	bool stopped;
	int n;

	for (stopped = false;;) {
		/* The freezer's end says nothing more: it closes. */
		p[2].fd = g->freezer.pid != 0 ? g->freezer.fd : -1;
		p[0].revents = p[1].revents = p[2].revents = 0;
		n = poll(p, 3, -1);
		if (n < 0 && errno == EINTR)
			continue;
		stopped = n > 0 && p[1].revents != 0;
		if (n < 0 || stopped)
			break;
		guard_look(g);
		if (p[0].revents != 0) {
			if (!serve_one(g, fd))
				break;
		} else if (g->freezer.pid != 0 && p[2].revents != 0)
			nanosleep(&nap, NULL);	/* closed, not ended yet */
	}
	if (g->freezer.pid != 0)
		(void)thaw(g);
	return (stopped);
}
