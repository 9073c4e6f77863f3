/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * copy.c: see copy.h. A file is written under a temporary name and gets its
 * own when it is whole and on disk, so that nobody sees a part of it.
 */

#include <sys/stat.h>
#include <sys/statvfs.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "copy.h"
#include "log.h"

void
copy_init(struct copy *c, const struct places *places)
{
	memset(c, 0, sizeof(*c));
	c->places = places;
	c->fd = c->dir = -1;
}

void
copy_abandon(struct copy *c)
{
	if (c->fd < 0)
		return;
	close(c->fd);
	close(c->dir);
	unlinkat(c->temp, c->tempname, 0);
	c->fd = c->dir = -1;
}

static uint32_t
status_of(int error)
{
	switch (error) {
	case 0:
		return (HV_FCOPY_S_OK);
	case EACCES:
	case EPERM:
	case EROFS:
	case ELOOP:
		return (HV_FCOPY_E_DENIED);
	case EEXIST:
		return (HV_FCOPY_E_EXISTS);
	case ENOENT:
		return (HV_FCOPY_E_NOT_FOUND);
	case EINVAL:
	case ENAMETOOLONG:
		return (HV_FCOPY_E_INVALIDARG);
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return (HV_FCOPY_E_DISK_FULL);
	default:
		return (HV_FCOPY_E_FAIL);
	}
}

static bool
room_for(int dir, uint64_t size)
{
	struct statvfs sv;

	if (fstatvfs(dir, &sv) != 0 || sv.f_frsize == 0)
		return (true);
	return (size / sv.f_frsize < (uint64_t)sv.f_bavail);
}

/* What is there already may be in the way. */
static int
check_target(int dir, const char *name, bool overwrite)
{
	struct stat sb;

	if (fstatat(dir, name, &sb, AT_SYMLINK_NOFOLLOW) != 0)
		return (errno == ENOENT ? 0 : errno);
	if (!overwrite)
		return (EEXIST);
	return (S_ISREG(sb.st_mode) ? 0 : EACCES);
}

static int
start(struct copy *c, const struct hv_fcopy_start *s)
{
	const struct place *pl;
	int error;

	copy_abandon(c);
	if (!place_name_ok(s->name, sizeof(s->name)))
		return (EACCES);
	if (s->size > INT64_MAX)
		return (EFBIG);
	error = place_find(c->places, s->path, sizeof(s->path),
	    (s->flags & HV_FCOPY_F_CREATE_PATH) != 0, &c->dir, &pl);
	if (error != 0)
		return (error);
	strcpy(c->name, s->name);
	c->overwrite = (s->flags & HV_FCOPY_F_OVERWRITE) != 0;
	c->size = s->size;
	c->temp = pl->temp;
	memset(&c->have, 0, sizeof(c->have));
	snprintf(c->tempname, sizeof(c->tempname), "%ld.%u", (long)getpid(),
	    c->serial++);
	error = check_target(c->dir, c->name, c->overwrite);
	if (error == 0 && !room_for(c->dir, c->size))
		error = ENOSPC;
	if (error == 0) {
		c->fd = openat(c->temp, c->tempname, O_WRONLY | O_CREAT |
		    O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (c->fd < 0)
			error = errno;
	}
	if (error != 0)
		close(c->dir);
	return (error);
}

static int
write_range(struct copy *c, const struct hv_fcopy_write *w)
{
	uint64_t at;
	uint32_t done;
	ssize_t n;

	if (c->fd < 0 || w->size > sizeof(w->data) || w->offset > c->size ||
	    w->size > c->size - w->offset)
		return (EINVAL);
	if (!ranges_add(&c->have, w->offset, w->offset + w->size))
		return (EINVAL);
	at = w->offset;
	for (done = 0; done < w->size; done += (uint32_t)n) {
		n = pwrite(c->fd, w->data + done, w->size - done,
		    (off_t)(at + done));
		if (n < 0 && errno == EINTR)
			n = 0;
		else if (n < 0)
			return (errno);
	}
	return (0);
}

/* Without permission to replace, the name must still be free: link it. */
static int
install(struct copy *c)
{
	if (c->overwrite) {
		if (check_target(c->dir, c->name, true) != 0)
			return (EACCES);
		return (renameat(c->temp, c->tempname, c->dir, c->name) == 0 ?
		    0 : errno);
	}
	if (linkat(c->temp, c->tempname, c->dir, c->name, 0) != 0)
		return (errno);
	(void)unlinkat(c->temp, c->tempname, 0);
	return (0);
}

static int
complete(struct copy *c)
{
	int error;

	if (c->fd < 0)
		return (EINVAL);
	error = 0;
	if (!ranges_whole(&c->have, c->size))
		error = EIO;
	else if (fchmod(c->fd, 0644) != 0 || fsync(c->fd) != 0)
		error = errno;
	if (error == 0)
		error = install(c);
	if (error != 0) {
		copy_abandon(c);
		return (error);
	}
	(void)fsync(c->dir);
	close(c->fd);
	close(c->dir);
	c->fd = c->dir = -1;
	return (0);
}

/* A copy that failed is over: its later parts are refused. */
uint32_t
copy_message(struct copy *c, const struct hv_fcopy_msg *m)
{
	char name[64];
	int error;

	switch (m->op) {
	case HV_FCOPY_START:
		error = start(c, &m->u.start);
		break;
	case HV_FCOPY_WRITE:
		error = write_range(c, &m->u.write);
		if (error != 0)
			copy_abandon(c);
		return (status_of(error));
	case HV_FCOPY_COMPLETE:
		error = complete(c);
		break;
	case HV_FCOPY_CANCEL:
		copy_abandon(c);
		error = 0;
		break;
	default:
		return (HV_FCOPY_E_INVALIDARG);
	}
	log_msg(error != 0 ? LOG_WARNING : LOG_INFO, "%s %s: %s",
	    m->op == HV_FCOPY_START ? "copy of" : m->op == HV_FCOPY_COMPLETE ?
	    "end of" : "cancelled", log_text(name, sizeof(name),
	    m->op == HV_FCOPY_START ? m->u.start.name : c->name,
	    m->op == HV_FCOPY_START ? sizeof(m->u.start.name) :
	    sizeof(c->name)), error != 0 ? strerror(error) : "ok");
	return (status_of(error));
}
