/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * Starting and ending `hvk run' with a fake guest (fakenet.c) and an adapter,
 * for tests.
 */
#ifndef _NETRIG_H_
#define	_NETRIG_H_

#include <sys/stat.h>
#include <sys/wait.h>

#include <atf-c.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define	HVK	HVK_BUILD "/bin/hvk"
#define	FAKE	HVK_BUILD "/tests/vmm/fakenet"

static inline void
net_out(char *path, size_t len, const char *dir)
{

	snprintf(path, len, "%s.out", dir);
}

/* What the guest does comes from the environment besides. */
static inline pid_t
net_start(const char *dir, const char *scenario, const char *nic,
    const char *cpus)
{
	char out[64];
	pid_t pid;
	int fd;

	mkdir("modules", 0700);
	fd = open("modules/hv_vmbus.ko", O_CREAT | O_WRONLY, 0600);
	ATF_REQUIRE(fd >= 0);
	close(fd);
	net_out(out, sizeof(out), dir);
	setenv("FAKEKLD", scenario, 1);
	pid = fork();
	ATF_REQUIRE(pid >= 0);
	if (pid == 0) {
		fd = open(out, O_CREAT | O_WRONLY | O_TRUNC, 0600);
		dup2(fd, 1);
		dup2(fd, 2);
		execl(HVK, "hvk", "run", "--dir", dir, "--modules", "modules",
		    "--memory", "32M", "--cpus", cpus, "-o", "kldrun=" FAKE,
		    "-o", "stop.timeout=3000", "--nic", nic, (char *)NULL);
		_exit(125);
	}
	return (pid);
}

static inline void
net_show(const char *dir)
{
	char line[512];
	FILE *f;

	net_out(line, sizeof(line), dir);
	f = fopen(line, "r");
	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		printf("%s", line);
	if (f != NULL)
		fclose(f);
}

static inline bool
net_printed(const char *dir, const char *text)
{
	bool found = false;
	char line[512];
	FILE *f;

	net_out(line, sizeof(line), dir);
	f = fopen(line, "r");
	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		found = found || strstr(line, text) != NULL;
	if (f != NULL)
		fclose(f);
	return (found);
}

/* The host's exit status; a signal, or two minutes, fail the test. */
static inline int
net_finish(const char *dir, pid_t pid)
{
	struct timespec ts = { 0, 10000000 };
	int status, i;

	for (i = 0; i < 12000; i++) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			break;
		nanosleep(&ts, NULL);
	}
	if (i == 12000) {
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		net_show(dir);
		atf_tc_fail("the host hangs");
	}
	net_show(dir);
	ATF_REQUIRE_MSG(WIFEXITED(status), "the host died of signal %d",
	    WTERMSIG(status));
	return (WEXITSTATUS(status));
}

static inline void
net_wait_for(const char *dir, const char *text)
{
	struct timespec ts = { 0, 20000000 };
	int i;

	for (i = 0; i < 6000 && !net_printed(dir, text); i++)
		nanosleep(&ts, NULL);
	ATF_REQUIRE_MSG(net_printed(dir, text), "%s never said '%s'", dir,
	    text);
}

#endif /* _NETRIG_H_ */
