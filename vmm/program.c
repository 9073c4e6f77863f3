/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * Other programs, run to their end by `hvk features', and the files that are
 * made for them.  One thread; nothing is kept.
 */
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <unistd.h>

#include "program.h"

extern char **environ;

static int
ended(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return (-1);
	return (WIFEXITED(status) ? WEXITSTATUS(status) : -1);
}

/* Run a program to its end; its status, or -1. */
int
program_run(char *const argv[])
{
	pid_t pid;

	if (posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ) != 0)
		return (-1);
	return (ended(pid));
}

/* The same, and what it prints first. */
int
program_output(char *const argv[], char *out, size_t len)
{
	posix_spawn_file_actions_t fa;
	size_t at = 0;
	ssize_t n;
	pid_t pid;
	int fds[2], status;

	out[0] = '\0';
	if (pipe2(fds, O_CLOEXEC) != 0)
		return (-1);
	posix_spawn_file_actions_init(&fa);
	posix_spawn_file_actions_adddup2(&fa, fds[1], 1);
	status = posix_spawnp(&pid, argv[0], &fa, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&fa);
	close(fds[1]);
	while (status == 0 && at + 1 < len &&
	    (n = read(fds[0], out + at, len - 1 - at)) > 0)
		at += (size_t)n;
	close(fds[0]);
	out[at] = '\0';
	if (status != 0)
		return (-1);
	return (ended(pid));
}

int
program_copy(const char *from, const char *to, mode_t mode)
{
	char buf[65536];
	ssize_t n;
	int in, out, error = 0;

	in = open(from, O_RDONLY | O_CLOEXEC);
	if (in < 0)
		return (-errno);
	(void)unlink(to);
	out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	if (out < 0) {
		error = -errno;
		close(in);
		return (error);
	}
	while ((n = read(in, buf, sizeof(buf))) > 0)
		if (write(out, buf, (size_t)n) != n) {
			error = -EIO;
			break;
		}
	if (n < 0)
		error = -errno;
	close(in);
	if (close(out) != 0 && error == 0)
		error = -errno;
	return (error);
}

int
program_quiet(void)
{
	int null, out;

	fflush(stdout);
	out = dup(STDOUT_FILENO);
	null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (out >= 0 && null >= 0)
		dup2(null, STDOUT_FILENO);
	if (null >= 0)
		close(null);
	return (out);
}

void
program_loud(int out)
{

	fflush(stdout);
	if (out >= 0) {
		dup2(out, STDOUT_FILENO);
		close(out);
	}
}
