/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * `hvk ctl backup DIR': freeze the guest, copy the files of its disks, thaw it,
 * and keep the copies only if it was frozen all the time.  A copy shares its
 * blocks with the disk where the file system can do that.  Whatever ends this
 * program before the thaw, the host thaws the guest when the hold is over.
 */
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <hvk/vmm.h>

#include "ctl.h"

#define	PIECE		(16u << 20)
#define	MAX_FILES	64

struct backup {
	const char	*dir;		/* of the guest */
	const char	*to;
	long		hold;
	const char	*path[MAX_FILES];
	char		copy[MAX_FILES][512];
	unsigned	n;
	uint64_t	size, done;
	json_t		*files;
	char		error[1024];	/* the first one, for programs */
};

static void
complain(struct backup *b, const char *what, const char *why)
{
	char line[sizeof(b->error)];

	snprintf(line, sizeof(line), "%s%s%s", what, *why != '\0' ? ": " : "",
	    why);
	vmm_log("%s", line);
	if (b->error[0] == '\0')
		memcpy(b->error, line, sizeof(line));
}

/* One request; NULL with the error printed. */
static json_t *
step(struct backup *b, const char *cmd)
{
	json_t *req, *reply;

	req = json_pack("{s:s, s:I}", "cmd", cmd, "hold",
	    (json_int_t)b->hold);
	reply = ctl_exchange(b->dir, req);
	json_decref(req);
	if (reply != NULL && !json_is_true(json_object_get(reply, "ok"))) {
		complain(b, json_string_value(json_object_get(reply,
		    "error")), "");
		json_decref(reply);
		return (NULL);
	}
	return (reply);
}

/* The disks that are files of this machine. */
static void
find_files(struct backup *b, const json_t *info)
{
	const json_t *dev, *disk;
	const char *backend, *path;
	struct stat st;
	size_t i, k;

	json_array_foreach(json_object_get(info, "devices"), i, dev) {
		json_array_foreach(json_object_get(dev, "disks"), k, disk) {
			path = json_string_value(json_object_get(disk,
			    "path"));
			backend = json_string_value(json_object_get(disk,
			    "backend"));
			if (path == NULL || backend == NULL ||
			    strcmp(backend, "raw") != 0 ||
			    json_is_true(json_object_get(disk, "cdrom")))
				continue;
			if (stat(path, &st) != 0 || b->n == MAX_FILES) {
				vmm_log("%s is left out: %s", path,
				    strerror(errno));
				continue;
			}
			b->size += (uint64_t)st.st_size;
			snprintf(b->copy[b->n], sizeof(b->copy[0]),
			    "%.200s/%s-lun%d.img", b->to, json_string_value(
			    json_object_get(dev, "name")),
			    (int)json_integer_value(json_object_get(disk,
			    "lun")));
			b->path[b->n++] = path;
		}
	}
}

static int
copy_file(struct backup *b, unsigned i)
{
	int from, to, error = 0;
	ssize_t n;

	from = open(b->path[i], O_RDONLY | O_CLOEXEC);
	to = open(b->copy[i], O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (from < 0 || to < 0)
		error = errno;
	else if (ioctl(to, FICLONE, from) == 0)
		b->done += (uint64_t)lseek(from, 0, SEEK_END);
	else
		while (error == 0 && (n = copy_file_range(from, NULL, to,
		    NULL, PIECE, 0)) != 0) {
			if (n < 0)
				error = errno;
			else
				b->done += (uint64_t)n;
			if (ctl_interrupted())
				error = EINTR;
			ctl_progress("backup", b->done, b->size, false);
		}
	if (error != 0)
		complain(b, to < 0 ? b->copy[i] : b->path[i],
		    error == EINTR ? "interrupted" : strerror(error));
	if (from >= 0)
		close(from);
	if (to >= 0 && close(to) != 0 && error == 0)
		error = errno;
	return (error);
}

/* Once the guest is thawed: it does not wait for our disk. */
static int
settle(struct backup *b)
{
	unsigned i;
	int fd;

	for (i = 0; i < b->n; i++) {
		fd = open(b->copy[i], O_RDONLY | O_CLOEXEC);
		if (fd < 0 || fsync(fd) != 0) {
			complain(b, b->copy[i], strerror(errno));
			if (fd >= 0)
				close(fd);
			return (-1);
		}
		close(fd);
	}
	return (0);
}

static void
discard(struct backup *b, unsigned n)
{

	while (n-- > 0)
		(void)unlink(b->copy[n]);
}

static int
frozen_copy(struct backup *b)
{
	unsigned i;
	int error = 0;

	for (i = 0; i < b->n && error == 0; i++)
		error = copy_file(b, i);
	ctl_progress("backup", b->done, b->size, true);
	/* The one that was there before is not ours. */
	if (error != 0)
		discard(b, error == EEXIST ? i - 1 : i);
	return (error);
}

static int
backup_to(struct backup *b, bool json)
{
	json_t *info, *reply, *out;
	int error, status = EX_FAILED;
	unsigned i;

	info = step(b, "info");
	if (info == NULL)
		return (EX_FAILED);
	if (mkdir(b->to, 0700) != 0 && errno != EEXIST) {
		complain(b, b->to, strerror(errno));
		json_decref(info);
		return (EX_FAILED);
	}
	find_files(b, info);
	ctl_catch();
	if ((reply = step(b, "backup check")) != NULL) {
		json_decref(reply);
		reply = step(b, "backup freeze");
	}
	if (reply != NULL) {
		json_decref(reply);
		error = frozen_copy(b);
		reply = step(b, "backup thaw");
		if (reply == NULL && error == 0)
			discard(b, b->n);
		else if (error == 0 && settle(b) == 0)
			status = EX_OK_;
		json_decref(reply);
	}
	if (status == EX_OK_) {
		for (i = 0; i < b->n; i++)
			json_array_append_new(b->files, json_pack(
			    "{s:s, s:s}", "disk", b->path[i], "copy",
			    b->copy[i]));
		out = json_pack("{s:b, s:I, s:O}", "ok", 1, "bytes",
		    (json_int_t)b->done, "disks", b->files);
		(void)ctl_print(out, json);
		json_decref(out);
	}
	json_decref(info);
	return (status);
}

static int
one_step(struct backup *b, const char *word, bool json)
{
	json_t *reply, *req;
	int status;

	if (word == NULL)
		req = json_pack("{s:s}", "cmd", "backup");
	else
		req = json_pack("{s:o, s:I}", "cmd",
		    json_sprintf("backup %s", word), "hold",
		    (json_int_t)b->hold);
	reply = ctl_exchange(b->dir, req);
	status = reply != NULL ? ctl_print(reply, json) : EX_FAILED;
	json_decref(reply);
	json_decref(req);
	return (status);
}

int
ctl_backup(const char *dir, bool json, int argc, char **argv)
{
	struct backup *b;
	json_t *reply;
	char *end;
	int i, status;

	b = calloc(1, sizeof(*b));
	if (b == NULL)
		return (EX_FAILED);
	b->dir = dir;
	b->hold = 60;
	b->files = json_array();
	for (i = 2; i < argc; i++) {
		end = argv[i];
		if (strncmp(argv[i], "hold=", 5) == 0)
			b->hold = strtol(argv[i] + 5, &end, 10);
		if (end <= argv[i] + 5 || *end != '\0') {
			status = ctl_usage("backup DIR|check|freeze|thaw "
			    "[hold=SECONDS]");
			goto out;
		}
	}
	if (argc == 1)
		status = one_step(b, NULL, json);
	else if (strcmp(argv[1], "check") == 0 ||
	    strcmp(argv[1], "freeze") == 0 || strcmp(argv[1], "thaw") == 0)
		status = one_step(b, argv[1], json);
	else {
		b->to = argv[1];
		status = backup_to(b, json);
		if (json && b->error[0] != '\0') {
			reply = json_pack("{s:b, s:s}", "ok", 0, "error",
			    b->error);
			(void)ctl_print(reply, true);
			json_decref(reply);
		}
	}
out:
	json_decref(b->files);
	free(b);
	return (status);
}
