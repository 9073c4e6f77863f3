/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * hvk run against guests that misbehave (fakekld.c): the host answers, goes on
 * with its other channels, ends in time with the right status, never dies.
 */
#include <sys/stat.h>
#include <sys/wait.h>

#include <atf-c.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define	HVK	HVK_BUILD "/bin/hvk"
#define	FAKE	HVK_BUILD "/tests/vmm/fakekld"

static void
make_file(const char *name, off_t size)
{
	int fd = open(name, O_CREAT | O_WRONLY | O_TRUNC, 0600);

	ATF_REQUIRE(fd >= 0);
	ATF_REQUIRE_EQ(ftruncate(fd, size), 0);
	close(fd);
}

static pid_t
start(const char *scenario)
{
	pid_t pid;
	int fd;

	mkdir("modules", 0700);
	make_file("modules/hv_vmbus.ko", 0);
	make_file("a.img", 1 << 20);
	make_file("b.img", 1 << 20);
	setenv("FAKEKLD", scenario, 1);
	(void)unlink("host.out");
	pid = fork();
	ATF_REQUIRE(pid >= 0);
	if (pid == 0) {
		fd = open("host.out", O_CREAT | O_WRONLY | O_TRUNC, 0600);
		dup2(fd, 1);
		dup2(fd, 2);
		execl(HVK, "hvk", "run", "--dir", "vm", "--modules", "modules",
		    "--memory", "32M", "-o", "kldrun=" FAKE,
		    "-o", "stop.timeout=500", "--disk", "a.img", "--disk",
		    "b.img,controller=ide0", (char *)NULL);
		_exit(125);
	}
	return (pid);
}

static void
show(void)
{
	char line[512];
	FILE *f = fopen("host.out", "r");

	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		printf("%s", line);
	if (f != NULL)
		fclose(f);
}

/* Until the host has said that its guest is up. */
static void
wait_up(void)
{
	struct timespec ts = { 0, 20000000 };
	int i;

	for (i = 0; i < 3000 && system("grep -qs 'the guest is up' host.out") !=
	    0; i++)
		nanosleep(&ts, NULL);
	if (i == 3000)
		show();
	ATF_REQUIRE_MSG(i < 3000, "the guest does not come up");
}

/* The host's exit status; a signal, or two minutes, fail the test. */
static int
finish(pid_t pid)
{
	struct timespec ts = { 0, 10000000 };
	int status, i;

	for (i = 0; i < 12000; i++) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			goto out;
		nanosleep(&ts, NULL);
	}
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	show();
	atf_tc_fail("the host hangs");
out:
	show();
	ATF_REQUIRE_MSG(WIFEXITED(status), "the host died of signal %d",
	    WTERMSIG(status));
	/* What the host made it has removed, but for the log. */
	ATF_CHECK(access("vm/hvk.sock", F_OK) != 0);
	ATF_CHECK(access("vm/lock", F_OK) != 0);
	return (WEXITSTATUS(status));
}

#define	SCENARIO(name, text, status)					\
ATF_TC(name);								\
ATF_TC_HEAD(name, tc)							\
{									\
	atf_tc_set_md_var(tc, "descr", text);				\
}									\
ATF_TC_BODY(name, tc)							\
{									\
	ATF_CHECK_EQ(finish(start(#name)), status);			\
}

SCENARIO(exits, "a malformed exit stops its processor alone", 0)
SCENARIO(msrs, "every synthetic MSR takes any value or refuses it", 0)
SCENARIO(posts, "4,000 random messages, then a proper contact", 0)
SCENARIO(rings, "bad GPADLs and rings are refused, another channel opens", 0)
SCENARIO(noise, "a ring full of noise harms no other channel", 0)
SCENARIO(tamper, "a guest that tampers with its eventfds is killed", 1)
SCENARIO(leave0, "guest gone right after the hello", 1)
SCENARIO(leave1, "guest gone with the SynIC on", 1)
SCENARIO(leave2, "guest closes its sockets", 1)
SCENARIO(leave3, "guest aborts with offers received", 1)
SCENARIO(leave4, "guest gone with a GPADL", 1)
SCENARIO(leave5, "guest gone with an open channel", 1)

ATF_TC(hang);
ATF_TC_HEAD(hang, tc)
{
	atf_tc_set_md_var(tc, "descr",
	    "a guest that ignores the stop is killed after its deadline");
}
ATF_TC_BODY(hang, tc)
{
	pid_t pid = start("hang");

	wait_up();
	ATF_REQUIRE_EQ(access("vm/hvk.sock", F_OK), 0);
	kill(pid, SIGTERM);
	ATF_CHECK_EQ(finish(pid), 1);
}

ATF_TC(stale);
ATF_TC_HEAD(stale, tc)
{
	atf_tc_set_md_var(tc, "descr",
	    "a run directory in use is refused, a stale one is taken over");
}
ATF_TC_BODY(stale, tc)
{
	pid_t pid = start("hang");
	int status;

	wait_up();
	status = system(HVK " run --dir vm --modules modules 2>&1 | "
	    "grep -q 'already runs'");
	ATF_CHECK_EQ(status, 0);
	/* A host that dies without a word; its guest goes too. */
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	ATF_CHECK_EQ(access("vm/hvk.sock", F_OK), 0);
	ATF_CHECK(system(HVK " ctl --dir vm info") != 0);
	ATF_CHECK_EQ(finish(start("exits")), 0);
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, exits);
	ATF_TP_ADD_TC(tp, msrs);
	ATF_TP_ADD_TC(tp, posts);
	ATF_TP_ADD_TC(tp, rings);
	ATF_TP_ADD_TC(tp, noise);
	ATF_TP_ADD_TC(tp, tamper);
	ATF_TP_ADD_TC(tp, leave0);
	ATF_TP_ADD_TC(tp, leave1);
	ATF_TP_ADD_TC(tp, leave2);
	ATF_TP_ADD_TC(tp, leave3);
	ATF_TP_ADD_TC(tp, leave4);
	ATF_TP_ADD_TC(tp, leave5);
	ATF_TP_ADD_TC(tp, hang);
	ATF_TP_ADD_TC(tp, stale);
	return (atf_no_error());
}
