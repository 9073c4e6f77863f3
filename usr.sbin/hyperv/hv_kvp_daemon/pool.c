/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * pool.c: see pool.h. Nothing is kept between calls, so what other programs
 * write is seen at once.
 *
 * A file may be of any length and hold anything: a record that is cut off is
 * no record, and a key or value without an end ends with its field.
 */

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "pool.h"

#define	RECORD		sizeof(struct pool_record)
#define	LOCK_TRIES	250	/* 20 ms apart */
#define	FILE_MODE	(S_IRUSR | S_IWUSR)
#ifndef EFTYPE
#define	EFTYPE		EINVAL		/* Linux has no such error */
#endif

_Static_assert(RECORD == 2560, "the format of the files");

static const char *
pool_name(char buf[32], unsigned int pool, const char *suffix)
{
	snprintf(buf, 32, ".kvp_pool_%u%s", pool, suffix);
	return (buf);
}

/* F_SETLKW would let another program hold us for ever. */
static int
lock(int fd, short type)
{
	struct flock fl = { .l_type = type, .l_whence = SEEK_SET };
	struct timespec nap = { 0, 20000000 };
	int i;

	for (i = 0; fcntl(fd, F_SETLK, &fl) != 0; i++) {
		if (errno != EAGAIN && errno != EACCES && errno != EINTR)
			return (errno);
		if (i == LOCK_TRIES)
			return (EBUSY);
		nanosleep(&nap, NULL);
	}
	return (0);
}

/* The file that has the name now, locked. */
static int
open_locked(const struct pools *ps, unsigned int pool, bool change, int *fdp)
{
	struct stat a, b;
	char name[32];
	int error, fd, i;

	if (pool >= POOL_COUNT)
		return (EINVAL);
	pool_name(name, pool, "");
	for (i = 0; i < LOCK_TRIES; i++) {
		fd = openat(ps->dir, name, O_RDWR | O_CREAT | O_CLOEXEC |
		    O_NOFOLLOW, FILE_MODE);
		if (fd < 0)
			return (errno);
		error = lock(fd, change ? F_WRLCK : F_RDLCK);
		if (error == 0 && fstat(fd, &a) == 0 &&
		    fstatat(ps->dir, name, &b, AT_SYMLINK_NOFOLLOW) == 0 &&
		    a.st_ino == b.st_ino && a.st_dev == b.st_dev) {
			*fdp = fd;
			return (0);
		}
		close(fd);
		if (error != 0)
			return (error);
	}
	return (EBUSY);
}

/* Strings end within their fields from here on. */
static int
read_record(int fd, uint32_t index, struct pool_record *r)
{
	ssize_t n;

	do
		n = pread(fd, r, RECORD, (off_t)index * (off_t)RECORD);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return (errno);
	if ((size_t)n != RECORD)
		return (ENOENT);
	r->key[POOL_KEY - 1] = '\0';
	r->value[POOL_VALUE - 1] = '\0';
	return (0);
}

static int
find(int fd, const char *key, struct pool_record *r, uint32_t *index)
{
	uint32_t i;
	int error;

	for (i = 0; i < POOL_MAX; i++) {
		error = read_record(fd, i, r);
		if (error != 0)
			return (error);
		if (strcmp(r->key, key) == 0) {
			*index = i;
			return (0);
		}
	}
	return (ENOENT);
}

static int
write_all(int fd, const void *data, size_t len)
{
	const char *p;
	ssize_t n;

	for (p = data; len > 0; p += n, len -= (size_t)n) {
		n = write(fd, p, len);
		if (n < 0 && errno == EINTR)
			n = 0;
		else if (n < 0)
			return (errno);
	}
	return (0);
}

/*
 * Copies the pool but for record `skip', which `put' takes the place of (or is
 * added, when skip is past the end); NULL leaves it out.
 */
static int
copy_records(int from, int to, uint32_t skip, const struct pool_record *put)
{
	struct pool_record r;
	uint32_t i;
	int error;

	for (i = 0; i < POOL_MAX; i++) {
		error = read_record(from, i, &r);
		if (error == ENOENT)
			break;
		if (error == 0 && i == skip && put == NULL)
			continue;
		if (error == 0)
			error = write_all(to, i == skip ? put : &r, RECORD);
		if (error != 0)
			return (error);
	}
	if (i > skip || put == NULL)
		return (0);
	return (i == POOL_MAX ? ENOSPC : write_all(to, put, RECORD));
}

static int
replace(const struct pools *ps, unsigned int pool, int from, uint32_t skip,
    const struct pool_record *put)
{
	char name[32], temp[32];
	int error, fd;

	pool_name(name, pool, "");
	pool_name(temp, pool, ".new");
	if (unlinkat(ps->dir, temp, 0) != 0 && errno != ENOENT)
		return (errno);
	fd = openat(ps->dir, temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC |
	    O_NOFOLLOW, FILE_MODE);
	if (fd < 0)
		return (errno);
	error = copy_records(from, fd, skip, put);
	if (error == 0 && fsync(fd) != 0)
		error = errno;
	if (close(fd) != 0 && error == 0)
		error = errno;
	if (error == 0 && renameat(ps->dir, temp, ps->dir, name) != 0)
		error = errno;
	if (error != 0) {
		unlinkat(ps->dir, temp, 0);
		return (error == EDQUOT || error == EFBIG ? ENOSPC : error);
	}
	/* The new file is in place: what follows makes it last. */
	(void)fsync(ps->dir);
	return (0);
}

static int
key_check(const char *key)
{
	size_t n;

	n = strnlen(key, POOL_KEY);
	return (n == 0 || n == POOL_KEY ? EINVAL : 0);
}

int
pool_get(const struct pools *ps, unsigned int pool, const char *key,
    struct pool_record *r)
{
	uint32_t index;
	int error, fd;

	error = key_check(key);
	if (error == 0)
		error = open_locked(ps, pool, false, &fd);
	if (error != 0)
		return (error);
	error = find(fd, key, r, &index);
	close(fd);
	return (error);
}

int
pool_at(const struct pools *ps, unsigned int pool, uint32_t index,
    struct pool_record *r)
{
	int error, fd;

	if (index >= POOL_MAX)
		return (pool < POOL_COUNT ? ENOENT : EINVAL);
	error = open_locked(ps, pool, false, &fd);
	if (error != 0)
		return (error);
	error = read_record(fd, index, r);
	close(fd);
	return (error);
}

int
pool_set(const struct pools *ps, unsigned int pool, const char *key,
    const char *value)
{
	struct pool_record old, put;
	uint32_t index;
	int error, fd;

	error = key_check(key);
	if (error == 0 && strnlen(value, POOL_VALUE) == POOL_VALUE)
		error = EINVAL;
	if (error == 0)
		error = open_locked(ps, pool, true, &fd);
	if (error != 0)
		return (error);
	memset(&put, 0, sizeof(put));
	strcpy(put.key, key);
	strcpy(put.value, value);
	error = find(fd, key, &old, &index);
	if (error == ENOENT) {
		index = POOL_MAX;
		error = 0;
	}
	/* What is there already needs no writing. */
	if (error == 0 && (index == POOL_MAX ||
	    strcmp(old.value, value) != 0))
		error = replace(ps, pool, fd, index, &put);
	close(fd);
	return (error);
}

int
pool_delete(const struct pools *ps, unsigned int pool, const char *key)
{
	struct pool_record r;
	uint32_t index;
	int error, fd;

	error = key_check(key);
	if (error == 0)
		error = open_locked(ps, pool, true, &fd);
	if (error != 0)
		return (error);
	error = find(fd, key, &r, &index);
	if (error == 0)
		error = replace(ps, pool, fd, index, NULL);
	close(fd);
	return (error);
}

/* The last two directories of the path may be missing. */
static int
make_dir(const char *path)
{
	char up[1024], *slash;

	if (mkdir(path, 0700) == 0 || errno == EEXIST)
		return (0);
	if (errno != ENOENT ||
	    snprintf(up, sizeof(up), "%s", path) >= (int)sizeof(up))
		return (errno);
	slash = strrchr(up, '/');
	if (slash == NULL || slash == up)
		return (ENOENT);
	*slash = '\0';
	if (mkdir(up, 0700) != 0 && errno != EEXIST)
		return (errno);
	return (mkdir(path, 0700) == 0 || errno == EEXIST ? 0 : errno);
}

/*
 * Root opens what an unprivileged user may have put there: nothing but a plain
 * file of that directory alone.
 */
static int
open_own(const struct pools *ps, unsigned int pool, int *fdp)
{
	struct stat sb;
	char name[32];
	int error, fd;

	fd = openat(ps->dir, pool_name(name, pool, ""), O_RDWR | O_CREAT |
	    O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, FILE_MODE);
	if (fd < 0)
		return (errno);
	error = fstat(fd, &sb) != 0 ? errno : !S_ISREG(sb.st_mode) ? EFTYPE :
	    sb.st_nlink > 1 ? EMLINK : 0;
	if (error != 0)
		close(fd);
	else
		*fdp = fd;
	return (error);
}

int
pools_open(struct pools *ps, const char *path)
{
	char name[32];
	unsigned int i;
	int error, fd;

	error = make_dir(path);
	if (error != 0)
		return (error);
	ps->dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (ps->dir < 0 || fchmod(ps->dir, 0700) != 0)
		return (errno);
	for (i = 0; i < POOL_COUNT; i++) {
		unlinkat(ps->dir, pool_name(name, i, ".new"), 0);
		error = open_own(ps, i, &fd);
		if (error != 0)
			return (error);
		error = fchmod(fd, FILE_MODE) != 0 ? errno : 0;
		close(fd);
		if (error != 0)
			return (error);
	}
	return (0);
}

int
pools_give(const struct pools *ps, uid_t uid, gid_t gid)
{
	unsigned int i;
	int error, fd;

	for (i = 0; i < POOL_COUNT; i++) {
		error = open_own(ps, i, &fd);
		if (error != 0)
			return (error);
		error = fchown(fd, uid, gid) != 0 ? errno : 0;
		close(fd);
		if (error != 0)
			return (error);
	}
	return (fchown(ps->dir, uid, gid) != 0 ? errno : 0);
}
