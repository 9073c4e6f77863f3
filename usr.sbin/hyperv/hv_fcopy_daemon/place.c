/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * place.c: see place.h.
 */

#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "place.h"

#define	STEP	(O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

/* What a copy left behind that was cut off by our death. */
static void
empty(int dir)
{
	struct dirent *e;
	DIR *d;
	int fd;

	fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	d = fd >= 0 ? fdopendir(fd) : NULL;
	if (d == NULL) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((e = readdir(d)) != NULL)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			unlinkat(dir, e->d_name, 0);
	closedir(d);
}

int
place_open(struct places *ps, const char *path)
{
	struct place *p;
	size_t n;

	n = strlen(path);
	while (n > 1 && path[n - 1] == '/')
		n--;
	if (ps->count == PLACES_MAX || path[0] != '/' ||
	    n >= sizeof(p->path))
		return (EINVAL);
	p = &ps->list[ps->count];
	memcpy(p->path, path, n);
	p->path[n] = '\0';
	p->temp = -1;
	/* The administrator's own path may go through links. */
	p->dir = open(p->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (p->dir < 0)
		return (errno);
	if (n == 1)
		p->path[0] = '\0';
	ps->count++;
	return (0);
}

int
place_ready(struct places *ps, const char **path)
{
	struct place *p;
	int i;

	for (i = 0; i < ps->count; i++) {
		p = &ps->list[i];
		*path = p->path[0] != '\0' ? p->path : "/";
		if (mkdirat(p->dir, PLACE_TEMP, 0700) != 0 && errno != EEXIST)
			return (errno);
		p->temp = openat(p->dir, PLACE_TEMP, STEP);
		if (p->temp < 0 || faccessat(p->dir, PLACE_TEMP, W_OK | X_OK,
		    AT_EACCESS) != 0 || faccessat(p->dir, ".", W_OK | X_OK,
		    AT_EACCESS) != 0)
			return (errno);
		empty(p->temp);
	}
	return (0);
}

bool
place_name_ok(const char *name, size_t max)
{
	size_t i, n;

	n = strnlen(name, max);
	if (n == 0 || n == max || n > 255 || strcmp(name, ".") == 0 ||
	    strcmp(name, "..") == 0 || strcmp(name, PLACE_TEMP) == 0)
		return (false);
	for (i = 0; i < n; i++)
		if (name[i] == '/' || name[i] == '\\' ||
		    (unsigned char)name[i] < 0x20 || name[i] == 0x7f)
			return (false);
	return (true);
}

/* The place that a path begins with; the rest of it. */
static const struct place *
place_of(const struct places *ps, const char *path, const char **rest)
{
	const struct place *best;
	size_t blen, n;
	int i;

	*rest = path;
	if (path[0] != '/')
		return (ps->count > 0 ? &ps->list[0] : NULL);
	best = NULL;
	blen = 0;
	for (i = 0; i < ps->count; i++) {
		n = strlen(ps->list[i].path);
		if (strncmp(path, ps->list[i].path, n) == 0 &&
		    (path[n] == '/' || path[n] == '\0') &&
		    (best == NULL || n > blen)) {
			best = &ps->list[i];
			blen = n;
		}
	}
	*rest = path + blen;
	return (best);
}

static int
step(int *dir, const char *name, bool create)
{
	int error, fd;

	if (!place_name_ok(name, 256))
		return (EACCES);
	fd = openat(*dir, name, STEP);
	if (fd < 0 && errno == ENOENT && create) {
		if (mkdirat(*dir, name, 0755) != 0 && errno != EEXIST)
			return (errno);
		fd = openat(*dir, name, STEP);
	}
	error = fd < 0 ? errno : 0;
	close(*dir);
	*dir = fd;
	/* FreeBSD says EMLINK of a link. */
	if (error == ELOOP || error == ENOTDIR || error == EMLINK)
		return (EACCES);
	return (error);
}

int
place_find(const struct places *ps, const char *hostpath, size_t max,
    bool create, int *dirp, const struct place **placep)
{
	char path[1024], *next, *p;
	const struct place *pl;
	const char *rest;
	size_t n;
	int dir, error;

	n = strnlen(hostpath, max);
	if (n == max || n >= sizeof(path))
		return (EINVAL);
	memcpy(path, hostpath, n + 1);
	for (p = path; *p != '\0'; p++)
		if (*p == '\\')
			*p = '/';
	pl = place_of(ps, path, &rest);
	/* A drive of Windows is no directory of ours. */
	if (pl == NULL || (path[0] != '\0' && path[1] == ':'))
		return (EACCES);
	dir = openat(pl->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return (errno);
	for (p = path + (rest - path); *p != '\0'; p = next) {
		n = strcspn(p, "/");
		next = p + n + (p[n] == '/');
		p[n] = '\0';
		if (n == 0 || strcmp(p, ".") == 0)
			continue;
		error = step(&dir, p, create);
		if (error != 0) {
			if (dir >= 0)
				close(dir);
			return (error);
		}
	}
	*dirp = dir;
	*placep = pl;
	return (0);
}
