/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * rcfile.c: see rcfile.h.
 */

#include <sys/stat.h>

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rcfile.h"

#define	FILE_MAX_SIZE	(1u << 20)

static bool
parse_line(char *line, struct rc_line *r)
{
	char *eq, *p, *v;
	size_t n;

	while (*line == ' ' || *line == '\t')
		line++;
	for (p = line; isalnum((unsigned char)*p) || *p == '_'; p++)
		continue;
	eq = p;
	if (eq == line || *eq != '=' || (size_t)(eq - line) >= RC_KEY)
		return (false);
	*eq = '\0';
	strcpy(r->key, line);
	v = eq + 1;
	n = strcspn(v, "\n");
	v[n] = '\0';
	r->plain = true;
	if (*v == '"' || *v == '\'') {
		p = strchr(v + 1, *v);
		r->plain = p != NULL && p[strspn(p + 1, " \t") + 1] == '\0';
		if (p != NULL)
			*p = '\0';
		v++;
	} else {
		n = strcspn(v, " \t#;&|");
		v[n] = '\0';
	}
	if (strpbrk(v, "$`\\\"'") != NULL || strlen(v) >= RC_VALUE)
		r->plain = false;
	snprintf(r->value, RC_VALUE, "%.*s", RC_VALUE - 1, v);
	return (true);
}

int
rc_each(const char *path, void (*fn)(void *, const struct rc_line *),
    void *arg)
{
	char line[1024];
	struct rc_line r;
	FILE *f;

	f = fopen(path, "re");
	if (f == NULL)
		return (errno == ENOENT ? 0 : errno);
	while (fgets(line, sizeof(line), f) != NULL)
		if (parse_line(line, &r))
			fn(arg, &r);
	fclose(f);
	return (0);
}

int
file_save(struct saved_file *s, const char *path)
{
	struct stat sb;
	ssize_t n;
	int error, fd;

	memset(s, 0, sizeof(*s));
	snprintf(s->path, sizeof(s->path), "%s", path);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return (errno == ENOENT ? 0 : errno);
	error = 0;
	if (fstat(fd, &sb) != 0)
		error = errno;
	else if (!S_ISREG(sb.st_mode) || sb.st_size > FILE_MAX_SIZE)
		error = EFBIG;
	if (error == 0 && (s->data = malloc((size_t)sb.st_size + 1)) == NULL)
		error = ENOMEM;
	if (error == 0) {
		n = read(fd, s->data, (size_t)sb.st_size);
		if (n != sb.st_size)
			error = EIO;
		s->len = (size_t)sb.st_size;
		s->mode = sb.st_mode & 07777;
		s->uid = sb.st_uid;
		s->gid = sb.st_gid;
	}
	close(fd);
	if (error != 0)
		file_forget(s);
	return (error);
}

int
file_restore(const struct saved_file *s)
{
	char temp[sizeof(s->path) + 8];
	int error, fd;

	if (s->path[0] == '\0')
		return (0);
	if (s->data == NULL)
		return (unlink(s->path) == 0 || errno == ENOENT ? 0 : errno);
	snprintf(temp, sizeof(temp), "%s.hvkvp", s->path);
	unlink(temp);
	fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return (errno);
	error = 0;
	/* Readable for those who could read it, and nobody else. */
	if (fchown(fd, s->uid, s->gid) != 0 || fchmod(fd, s->mode) != 0)
		error = errno;
	else if (write(fd, s->data, s->len) != (ssize_t)s->len ||
	    fsync(fd) != 0)
		error = EIO;
	close(fd);
	if (error == 0 && rename(temp, s->path) != 0)
		error = errno;
	if (error != 0)
		unlink(temp);
	return (error);
}

void
file_forget(struct saved_file *s)
{
	free(s->data);
	s->data = NULL;
}
