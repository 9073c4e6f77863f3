/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * The run directory of one guest: its sockets and its console log.  A locked
 * file in it says that its guest lives; an unlocked one is stale, left by a
 * host that died, and its sockets are removed.
 */
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <hvk/vmm.h>

int
vmm_rundir_default(const char *name, char *path, size_t len, char *err,
    size_t errlen)
{
	const char *run = getenv("XDG_RUNTIME_DIR");
	int n;

	if (strchr(name, '/') != NULL || name[0] == '.' || name[0] == '\0')
		return (vmm_fail(err, errlen, -EINVAL, "name '%.40s' cannot "
		    "be a directory's name; use letters and digits", name));
	if (run != NULL && run[0] == '/')
		n = snprintf(path, len, "%s/hvk/%s", run, name);
	else
		n = snprintf(path, len, "/tmp/hvk-%u/%s", (unsigned)getuid(),
		    name);
	if (n < 0 || (size_t)n >= len)
		return (vmm_fail(err, errlen, -ENAMETOOLONG, "the run "
		    "directory's path is too long; use --dir with a shorter one"));
	return (0);
}

/* mkdir -p; the last component is ours alone. */
static int
make_dirs(const char *path, bool *made)
{
	char buf[sizeof(((struct vmm_rundir *)NULL)->path)];
	struct stat st;
	char *p;

	snprintf(buf, sizeof(buf), "%s", path);
	for (p = buf + 1; *p != '\0'; p++)
		if (*p == '/') {
			*p = '\0';
			if (mkdir(buf, 0700) != 0 && errno != EEXIST)
				return (-errno);
			*p = '/';
		}
	*made = mkdir(buf, 0700) == 0;
	if (!*made && errno != EEXIST)
		return (-errno);
	if (stat(buf, &st) != 0)
		return (-errno);
	if (!S_ISDIR(st.st_mode))
		return (-ENOTDIR);
	/* Somebody else's directory could swap sockets under us. */
	if (st.st_uid != getuid())
		return (-EPERM);
	return (0);
}

/* Remove what a run makes: sockets, and nothing else. */
static void
clean(const char *path)
{
	struct dirent *e;
	struct stat st;
	DIR *d;

	d = opendir(path);
	if (d == NULL)
		return;
	while ((e = readdir(d)) != NULL)
		if (fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) ==
		    0 && S_ISSOCK(st.st_mode))
			unlinkat(dirfd(d), e->d_name, 0);
	closedir(d);
}

int
vmm_rundir_open(struct vmm_rundir *rd, const char *dir, char *err,
    size_t errlen)
{
	char lock[sizeof(rd->path) + 16], pid[32];
	ssize_t n;
	int error;

	memset(rd, 0, sizeof(*rd));
	rd->lock = -1;
	/* The longest socket name we put in it is "/hvk.sock" or "/da99.nbd". */
	if (strlen(dir) >= sizeof(rd->path) ||
	    strlen(dir) + 12 > sizeof(((struct sockaddr_un *)0)->sun_path))
		return (vmm_fail(err, errlen, -ENAMETOOLONG,
		    "%.100s: too long for a socket in it; use a shorter --dir",
		    dir));
	snprintf(rd->path, sizeof(rd->path), "%s", dir);
	error = make_dirs(dir, &rd->made);
	if (error != 0)
		return (vmm_fail(err, errlen, error, "cannot use %s as run "
		    "directory: %s; give another with --dir", dir,
		    strerror(-error)));
	snprintf(lock, sizeof(lock), "%s/lock", dir);
	rd->lock = open(lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (rd->lock < 0)
		return (vmm_fail(err, errlen, -errno, "cannot open %s: %s",
		    lock, strerror(errno)));
	if (flock(rd->lock, LOCK_EX | LOCK_NB) != 0) {
		n = pread(rd->lock, pid, sizeof(pid) - 1, 0);
		pid[n > 0 ? n : 0] = '\0';
		pid[strcspn(pid, "\n")] = '\0';
		close(rd->lock);
		rd->lock = -1;
		return (vmm_fail(err, errlen, -EBUSY, "a guest already runs "
		    "in %s (process %.20s); stop it with `hvk ctl --dir %s "
		    "shutdown`, or give this one another -o name= or --dir",
		    dir, pid, dir));
	}
	clean(dir);
	n = snprintf(pid, sizeof(pid), "%d\n", (int)getpid());
	if (ftruncate(rd->lock, 0) != 0 ||
	    pwrite(rd->lock, pid, (size_t)n, 0) != n)
		vmm_log("cannot write %s: %s", lock, strerror(errno));
	return (0);
}

void
vmm_rundir_close(struct vmm_rundir *rd)
{
	char lock[sizeof(rd->path) + 16];

	if (rd->lock < 0)
		return;
	clean(rd->path);
	snprintf(lock, sizeof(lock), "%s/lock", rd->path);
	unlink(lock);
	close(rd->lock);
	rd->lock = -1;
}
