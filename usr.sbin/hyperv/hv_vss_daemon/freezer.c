/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * freezer.c: see freezer.h. Facts: /dev/ufssuspend, ioctl UFSSUSPEND with a
 * file system's id; one file system to a descriptor; refused to a process with
 * threads or with a descriptor open for writing on it; closing resumes.
 */

#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#ifdef __FreeBSD__
#include <sys/ioccom.h>
#endif

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "device.h"
#include "freezer.h"
#include "log.h"

#define	FREEZE_FS	_IOW('U', 1, struct fs_id)
#define	MAX_FD		1024		/* the daemon has a handful */
#define	KEPT_FD		3		/* to the daemon, in the freezer */
#define	END_TRIES	200		/* 10 ms apart */

/* What the freezer says once, and keeps or gives up by ending. */
struct report {
	int	error;			/* errno, 0: all are suspended */
	int	count;
	int	index;			/* of the mount that failed, or -1 */
};

/*
 * Nothing open that could be on what we suspend, nor what would keep a device
 * open when the daemon is gone. And no gap in the table of descriptors, neither
 * here nor by what is opened later: the kernel of 13.2 looks for files that are
 * open for writing as if every number below the highest were one, and panics.
 */
static void
close_files(int keep)
{
	struct stat sb;
	int fd, null;

	if (keep != KEPT_FD)
		dup2(keep, KEPT_FD);
	for (fd = KEPT_FD + 1; fd < MAX_FD; fd++)
		close(fd);
	null = open("/dev/null", O_RDWR);
	for (fd = 0; fd < KEPT_FD; fd++)
		if (fstat(fd, &sb) != 0 || S_ISREG(sb.st_mode))
			dup2(null, fd);
	if (null > KEPT_FD)
		close(null);
}

static void
suspend_all(const struct mounts *m, const char *path, struct report *r)
{
	static struct device held[FREEZER_MAX];
	struct fs_id id;
	int i;

	r->error = 0;
	r->index = -1;
	for (i = m->count - 1, r->count = 0; i >= 0; i--) {
		if (m->list[i].kind != MOUNT_FREEZE)
			continue;
		r->index = i;
		if (r->count == FREEZER_MAX) {
			r->error = EMFILE;
			return;
		}
		id = m->list[i].fsid;
		if (device_open(&held[r->count], path) != 0 ||
		    device_ioctl(&held[r->count], FREEZE_FS, &id) != 0) {
			r->error = errno;
			return;
		}
		r->count++;
	}
	r->index = -1;
}

static void __attribute__((__noreturn__))
freezer_main(int fd, const struct mounts *m, const char *path, int hold)
{
	struct pollfd p = { fd, POLLIN, 0 };
	struct report r;
	int n;

	signal(SIGTERM, SIG_DFL);
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGALRM, SIG_DFL);
	(void)mlockall(MCL_CURRENT);
	close_files(fd);
	fd = KEPT_FD;
	p.fd = fd;
	/* Whatever hangs from here on, this ends it. */
	alarm((unsigned int)hold + 15);
	suspend_all(m, path, &r);
	if (send(fd, &r, sizeof(r), MSG_NOSIGNAL) != (ssize_t)sizeof(r) ||
	    r.error != 0)
		_exit(1);
	do
		n = poll(&p, 1, hold * 1000);
	while (n < 0 && errno == EINTR);
	/* A byte, or the parent's end: thawed in time. 0: time is up. */
	_exit(n > 0 ? 0 : 2);
}

/* One that did not end in time: it is waited for when there is time. */
static pid_t late;

static void
reap(struct freezer *f, int *status)
{
	struct timespec nap = { 0, 10000000 };
	int i;

	for (i = 0; i < END_TRIES; i++) {
		if (waitpid(f->pid, status, WNOHANG) != 0)
			return;
		nanosleep(&nap, NULL);
	}
	/* It hangs in the kernel: what it holds goes when it comes back. */
	kill(f->pid, SIGKILL);
	for (i = 0; i < END_TRIES; i++) {
		if (waitpid(f->pid, status, WNOHANG) != 0)
			return;
		nanosleep(&nap, NULL);
	}
	log_msg(LOG_ERR, "the freezer, pid %ld, does not end",
	    (long)f->pid);
	late = f->pid;
}

static void
forget(struct freezer *f)
{
	if (f->fd >= 0)
		close(f->fd);
	memset(f, 0, sizeof(*f));
	f->fd = -1;
}

bool
freezer_lost(struct freezer *f)
{
	int status;

	if (f->pid == 0 || waitpid(f->pid, &status, WNOHANG) == 0)
		return (false);
	forget(f);
	return (true);
}

bool
freezer_end(struct freezer *f)
{
	int status;

	if (f->pid == 0)
		return (false);
	status = -1;
	(void)send(f->fd, "t", 1, MSG_NOSIGNAL);
	reap(f, &status);
	forget(f);
	return (WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int
freezer_start(struct freezer *f, const struct mounts *m, const char *device,
    int hold, int seconds)
{
	struct pollfd p;
	struct report r;
	int sv[2], status;

	if (late != 0 && waitpid(late, &status, WNOHANG) != 0)
		late = 0;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv) != 0)
		return (errno);
	fcntl(sv[0], F_SETFD, FD_CLOEXEC);
	f->pid = fork();
	if (f->pid == 0)
		freezer_main(sv[1], m, device, hold);
	close(sv[1]);
	f->fd = sv[0];
	p.fd = f->fd;
	p.events = POLLIN;
	p.revents = 0;
	r.error = ETIMEDOUT;
	r.index = -1;
	r.count = 0;
	if (f->pid < 0)
		r.error = EAGAIN;
	else if (poll(&p, 1, seconds * 1000) > 0 &&
	    recv(f->fd, &r, sizeof(r), MSG_DONTWAIT) != (ssize_t)sizeof(r))
		r.error = ECHILD;
	if (r.error == 0) {
		f->frozen = r.count;
		return (0);
	}
	if (r.index >= 0 && r.index < m->count)
		log_msg(LOG_ERR, "cannot suspend %s: %s",
		    m->list[r.index].path, strerror(r.error));
	if (f->pid > 0) {
		kill(f->pid, SIGKILL);
		reap(f, &status);
	}
	forget(f);
	return (r.error);
}
