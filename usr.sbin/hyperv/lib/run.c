/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * run.c: see run.h.
 */

#include <sys/types.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "run.h"

static char run_path[] = "PATH=/sbin:/bin:/usr/sbin:/usr/bin";
static char run_locale[] = "LC_ALL=C";
static char *const run_env[] = { run_path, run_locale, NULL };

static long
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ((long)(ts.tv_sec * 1000 + ts.tv_nsec / 1000000));
}

/* What it prints, until it closes its end or time is up. */
static void
drain(int fd, char *out, size_t outlen, long deadline)
{
	struct pollfd p = { fd, POLLIN, 0 };
	char waste[512];
	size_t used;
	ssize_t n;
	long left;

	for (used = 0;;) {
		left = deadline - now_ms();
		if (left <= 0 || poll(&p, 1, (int)left) == 0)
			break;
		if (out != NULL && used + 1 < outlen)
			n = read(fd, out + used, outlen - used - 1);
		else
			n = read(fd, waste, sizeof(waste));
		if (n == 0 || (n < 0 && errno != EINTR))
			break;
		if (n > 0 && out != NULL && used + 1 < outlen)
			used += (size_t)n;
	}
	if (out != NULL && outlen > 0)
		out[used] = '\0';
}

static int
wait_until(pid_t pid, long deadline)
{
	struct timespec nap = { 0, 10000000 };
	int status;

	while (waitpid(pid, &status, WNOHANG) == 0) {
		if (now_ms() >= deadline) {
			kill(pid, SIGKILL);
			waitpid(pid, &status, 0);
			return (-1);
		}
		nanosleep(&nap, NULL);
	}
	return (WIFEXITED(status) ? WEXITSTATUS(status) : -1);
}

/* Small enough for a pipe, so that nobody waits for the reader. */
static int
input_pipe(const char *input)
{
	int in[2];
	size_t len;

	len = strlen(input);
	if (len > 4096 || pipe(in) != 0)
		return (-1);
	fcntl(in[0], F_SETFD, FD_CLOEXEC);
	if (write(in[1], input, len) != (ssize_t)len) {
		close(in[0]);
		in[0] = -1;
	}
	close(in[1]);
	return (in[0]);
}

static int
spawn(char *const argv[], int in, int out, pid_t *pid)
{
	posix_spawn_file_actions_t fa;
	posix_spawnattr_t attr;
	sigset_t set;
	int error;

	posix_spawn_file_actions_init(&fa);
	posix_spawnattr_init(&attr);
	if (in >= 0)
		posix_spawn_file_actions_adddup2(&fa, in, STDIN_FILENO);
	else
		posix_spawn_file_actions_addopen(&fa, STDIN_FILENO,
		    "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&fa, out, STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&fa, out, STDERR_FILENO);
	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	posix_spawnattr_setsigdefault(&attr, &set);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGDEF);
	error = posix_spawn(pid, argv[0], &fa, &attr, argv, run_env);
	posix_spawn_file_actions_destroy(&fa);
	posix_spawnattr_destroy(&attr);
	return (error);
}

int
run(char *const argv[], const char *input, char *out, size_t outlen,
    int seconds)
{
	char said[256], text[256];
	int error, in, p[2], status;
	long deadline;
	pid_t pid;

	in = input != NULL ? input_pipe(input) : -1;
	if ((input != NULL && in < 0) || pipe(p) != 0) {
		if (in >= 0)
			close(in);
		return (-1);
	}
	fcntl(p[0], F_SETFD, FD_CLOEXEC);
	fcntl(p[1], F_SETFD, FD_CLOEXEC);
	error = spawn(argv, in, p[1], &pid);
	close(p[1]);
	if (in >= 0)
		close(in);
	status = -1;
	said[0] = '\0';
	if (error == 0) {
		deadline = now_ms() + seconds * 1000l;
		drain(p[0], out != NULL ? out : said,
		    out != NULL ? outlen : sizeof(said), deadline);
		status = wait_until(pid, deadline);
	} else
		log_msg(LOG_ERR, "cannot run %s: %s", argv[0],
		    strerror(error));
	close(p[0]);
	if (status != 0 && error == 0)
		log_msg(LOG_WARNING, "%s ended with status %d: %s", argv[0],
		    status, log_text(text, sizeof(text), out != NULL ? out :
		    said, sizeof(said)));
	return (status);
}
