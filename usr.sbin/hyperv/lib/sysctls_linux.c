/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * sysctls_linux.c: sysctls.h on Linux: asks a running kldrun over its control
 * socket, DIR/kld.sock, one JSON object a line each way.
 */

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sysctls.h"

#define	ANSWER_MAX	(8u << 20)
#define	ANSWER_SECONDS	10

static const char *kld_dir;

void
sysctls_source(const char *dir)
{
	kld_dir = dir;
}

static int
kld_connect(void)
{
	struct timeval tv = { ANSWER_SECONDS, 0 };
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd;

	if (kld_dir == NULL || snprintf(sun.sun_path, sizeof(sun.sun_path),
	    "%s/kld.sock", kld_dir) >= (int)sizeof(sun.sun_path)) {
		errno = ENOENT;
		return (-1);
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	if (fd >= 0 && connect(fd, (struct sockaddr *)&sun,
	    sizeof(sun)) != 0) {
		close(fd);
		fd = -1;
	}
	return (fd);
}

static char *
read_line(int fd)
{
	size_t len, room;
	char *buf, *more;
	ssize_t n;

	buf = NULL;
	for (len = room = 0; len < ANSWER_MAX; len += (size_t)n) {
		if (room - len < 2) {
			more = realloc(buf, room += 65536);
			if (more == NULL)
				break;
			buf = more;
		}
		n = read(fd, buf + len, room - len - 1);
		if (n <= 0)
			break;
		buf[len + (size_t)n] = '\0';
		if (strchr(buf + len, '\n') != NULL)
			return (buf);
	}
	free(buf);
	return (NULL);
}

static json_t *
ask(const char *prefix)
{
	json_t *answer, *question;
	char *line;
	int fd;

	fd = kld_connect();
	if (fd < 0)
		return (NULL);
	question = json_pack("{s:s, s:[s]}", "cmd", "sysctl", "args", prefix);
	line = question != NULL ? json_dumps(question, JSON_COMPACT) : NULL;
	answer = NULL;
	if (line != NULL && send(fd, line, strlen(line), MSG_NOSIGNAL) > 0 &&
	    send(fd, "\n", 1, MSG_NOSIGNAL) == 1) {
		free(line);
		line = read_line(fd);
		if (line != NULL)
			answer = json_loads(line, 0, NULL);
	}
	free(line);
	json_decref(question);
	close(fd);
	return (answer);
}

int
sysctls_walk(const char *prefix, void (*fn)(void *, const char *,
    const char *), void *arg)
{
	char *line, *next, *text, *value;
	json_t *answer;

	answer = ask(prefix);
	if (answer == NULL)
		return (errno != 0 ? errno : EIO);
	if (json_integer_value(json_object_get(answer, "status")) != 0) {
		json_decref(answer);
		return (ENOENT);
	}
	text = strdup(json_string_value(json_object_get(answer, "text")));
	json_decref(answer);
	for (line = text; line != NULL && *line != '\0'; line = next) {
		next = strchr(line, '\n');
		if (next != NULL)
			*next++ = '\0';
		value = strstr(line, ": ");
		if (value != NULL) {
			*value = '\0';
			fn(arg, line, value + 2);
		}
	}
	free(text);
	return (0);
}
