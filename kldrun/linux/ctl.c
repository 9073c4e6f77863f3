/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * ctl.c: DIR/kld.sock: questions to a running kldrun, one JSON object a line
 * each way: {"cmd":"sysctl","args":["-a"]} -> {"status":0,"text":"..."}.
 * Each connection is served on a kernel thread, since sysctl handlers are
 * module code.
 */

#include <jansson.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "linux.h"

#define	MAXLINE	65536
#define	MAXWORDS 64

struct text {
	char *p;
	size_t len;
};

static void
text_add(void *arg, const char *s)
{
	struct text *t;
	size_t n;

	t = arg;
	n = strlen(s);
	t->p = os_realloc(t->p, t->len + n + 1);
	memcpy(t->p + t->len, s, n + 1);
	t->len += n;
}

static int
run_ifconfig(const json_t *args, struct text *t)
{
	char *words[MAXWORDS];
	const char *s;
	size_t i;
	int n;

	n = 0;
	for (i = 0; i < json_array_size(args) && n < MAXWORDS; i++) {
		s = json_string_value(json_array_get(args, i));
		if (s != NULL)
			words[n++] = (char *)(uintptr_t)s;
	}
	return (kld_ifconfig_command(words, n, text_add, t));
}

static int
run_command(const char *cmd, const json_t *args, struct text *t)
{
	const char *arg;
	size_t i;
	int error, status;

	status = 0;
	if (strcmp(cmd, "sysctl") == 0) {
		if (json_array_size(args) == 0)
			return (kld_sysctl_command("-a", text_add, t));
		for (i = 0; i < json_array_size(args); i++) {
			arg = json_string_value(json_array_get(args, i));
			if (arg == NULL)
				continue;
			error = kld_sysctl_command(arg, text_add, t);
			if (error != 0)
				status = 1;
		}
	} else if (strcmp(cmd, "ifconfig") == 0) {
		status = run_ifconfig(args, t);
	} else if (strcmp(cmd, "devices") == 0) {
		kld_devices_report(text_add, t);
	} else if (strcmp(cmd, "leaks") == 0) {
		kld_leak_report(0, text_add, t);
	} else if (strcmp(cmd, "symbols") == 0) {
		loader_symbols(text_add, t);
	} else if (strcmp(cmd, "help") == 0) {
		text_add(t, "sysctl [-a | NAME | NAME=VALUE]...\n"
		    "ifconfig [-a | IF [up | down | mtu N | ether MAC | "
		    "[-]txcsum ...]]\n"
		    "devices\nleaks\nsymbols\nhelp\n");
	} else {
		text_add(t, "unknown command; try: help\n");
		status = 1;
	}
	return (status);
}

static char *
answer(const char *line)
{
	struct text t = { NULL, 0 };
	json_t *in, *out;
	const char *cmd;
	char *s;
	int status;

	in = json_loads(line, 0, NULL);
	cmd = json_string_value(json_object_get(in, "cmd"));
	if (cmd == NULL) {
		status = 1;
		text_add(&t, "not a JSON object with \"cmd\"\n");
	} else
		status = run_command(cmd, json_object_get(in, "args"), &t);
	out = json_pack("{s:i, s:s}", "status", status, "text",
	    t.p != NULL ? t.p : "");
	s = out != NULL ? json_dumps(out, JSON_COMPACT) : NULL;
	json_decref(out);
	json_decref(in);
	os_free(t.p);
	return (s);
}

static void
serve(void *arg)
{
	char *buf, *nl, *s;
	size_t len;
	int fd;
	long n;

	fd = (int)(intptr_t)arg;
	buf = os_alloc(MAXLINE + 1);
	for (len = 0; len < MAXLINE;) {
		n = os_fd_read(fd, buf + len, MAXLINE - len);
		if (n <= 0)
			break;
		len += (size_t)n;
		buf[len] = '\0';
		while ((nl = memchr(buf, '\n', len)) != NULL) {
			*nl = '\0';
			s = answer(buf);
			if (s == NULL || os_fd_write_all(fd, s, strlen(s)) ||
			    os_fd_write_all(fd, "\n", 1)) {
				free(s);
				len = MAXLINE;
				break;
			}
			free(s);
			len -= (size_t)(nl + 1 - buf);
			memmove(buf, nl + 1, len);
		}
	}
	os_free(buf);
	close(fd);
}

static void *
accept_main(void *arg)
{
	int c, fd;

	fd = (int)(intptr_t)arg;
	os_thread_name("kld.sock");
	while ((c = os_unix_accept(fd)) >= 0)
		if (kld_thread_spawn(serve, (void *)(intptr_t)c, "ctl") != 0)
			close(c);
	return (NULL);
}

static int
socket_path(const char *dir, char *path, size_t len)
{
	if (snprintf(path, len, "%s/kld.sock", dir) < (int)len)
		return (0);
	fprintf(stderr, "kldrun: %s: the name is too long for a socket\n",
	    dir);
	return (-1);
}

int
ctl_serve(const char *dir)
{
	char path[100];
	pthread_t t;
	int fd;

	mkdir(dir, 0700);
	if (socket_path(dir, path, sizeof(path)) != 0)
		return (-1);
	fd = os_unix_listen(path);
	if (fd < 0) {
		fprintf(stderr, "kldrun: cannot listen on %s: %m\n", path);
		return (-1);
	}
	if (pthread_create(&t, NULL, accept_main, (void *)(intptr_t)fd) != 0)
		return (-1);
	pthread_detach(t);
	return (0);
}

static char *
read_line(int fd)
{
	size_t len, room;
	char *buf;
	long n;

	buf = NULL;
	for (len = room = 0;; len += (size_t)n) {
		if (len + 4096 > room)
			buf = os_realloc(buf, room += 65536);
		n = os_fd_read(fd, buf + len, room - len - 1);
		if (n <= 0)
			return (NULL);
		buf[len + (size_t)n] = '\0';
		if (strchr(buf + len, '\n') != NULL)
			return (buf);
	}
}

int
ctl_client(const char *dir, int argc, char **argv)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	json_t *args, *out, *reply;
	char *line;
	int fd, i, status;

	if (socket_path(dir, sun.sun_path, sizeof(sun.sun_path)) != 0)
		return (1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&sun, sizeof(sun)) != 0) {
		fprintf(stderr, "kldrun: nothing answers at %s: %m\n",
		    sun.sun_path);
		return (1);
	}
	args = json_array();
	for (i = 1; i < argc; i++)
		json_array_append_new(args, json_string(argv[i]));
	out = json_pack("{s:s, s:o}", "cmd", argv[0], "args", args);
	line = json_dumps(out, JSON_COMPACT);
	json_decref(out);
	if (line == NULL || os_fd_write_all(fd, line, strlen(line)) != 0 ||
	    os_fd_write_all(fd, "\n", 1) != 0 ||
	    (free(line), line = read_line(fd)) == NULL) {
		fprintf(stderr, "kldrun: no answer from %s\n", sun.sun_path);
		return (1);
	}
	reply = json_loads(line, 0, NULL);
	os_free(line);
	status = (int)json_integer_value(json_object_get(reply, "status"));
	if (reply == NULL)
		status = 1;
	else
		fputs(json_string_value(json_object_get(reply, "text")),
		    stdout);
	json_decref(reply);
	close(fd);
	return (status);
}
