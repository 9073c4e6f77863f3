/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * freezer_test.c: the freezer of hv_vss_daemon(8) against /dev/ufssuspend of
 * ufstest.ko: all or nothing, thawed in time, thawed whatever dies.
 */

#include <atf-c.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "freezer.h"
#include "mounts.h"
#include "sysctls.h"

#define	CASE(name, text)						\
ATF_TC(name);								\
ATF_TC_HEAD(name, tc)							\
{									\
	atf_tc_set_md_var(tc, "descr", text);				\
}									\
ATF_TC_BODY(name, tc)

#define	DEV	"d/dev/ufssuspend"

static pid_t kernel;
static struct mounts m;

static void
start(void)
{
	struct stat sb;
	FILE *f;
	int i;

	f = fopen("mounts", "w");
	ATF_REQUIRE(f != NULL);
	fputs("1 ufs rw /\n2 devfs rw /dev\n3 ufs rw /usr\n4 ufs ro /boot\n"
	    "5 zfs rw /z\n6 msdosfs rw /boot/efi\n7 ufs rw /var\n", f);
	fclose(f);
	ATF_REQUIRE_EQ(0, mounts_get(&m, "."));
	ATF_REQUIRE_EQ(7, m.count);
	kernel = fork();
	if (kernel == 0) {
		(void)!freopen("log", "w", stdout);
		execl(KLDRUN, "kldrun", "--dir", "d", MODDIR "/ufstest.ko",
		    (char *)NULL);
		_exit(127);
	}
	for (i = 0; stat("d/kld.sock", &sb) != 0; i++) {
		ATF_REQUIRE(i < 3000);
		usleep(10000);
	}
	sysctls_source("d");
}

static void
stop(void)
{
	int status;

	kill(kernel, SIGTERM);
	ATF_REQUIRE_EQ(kernel, waitpid(kernel, &status, 0));
	ATF_CHECK_EQ(0, status);
	ATF_CHECK_EQ(0, system("grep -q 'nothing leaked' log"));
}

static void
set(const char *name, unsigned int value)
{
	char cmd[256];

	snprintf(cmd, sizeof(cmd), KLDRUN " --dir d sysctl hw.ufstest.%s=%u "
	    ">/dev/null", name, value);
	ATF_REQUIRE_EQ(0, system(cmd));
}

static void
take(void *arg, const char *name, const char *value)
{
	(void)name;
	*(unsigned int *)arg = (unsigned int)strtoul(value, NULL, 10);
}

static unsigned int
suspended(void)
{
	unsigned int n;

	n = ~0u;
	ATF_REQUIRE_EQ(0, sysctls_walk("hw.ufstest.suspended", take, &n));
	return (n);
}

static void
wait_thawed(void)
{
	int i;

	for (i = 0; suspended() != 0; i++) {
		ATF_REQUIRE_MSG(i < 3000, "still frozen: %#x", suspended());
		usleep(10000);
	}
}

/* Numbers below the highest descriptor that are no descriptor. */
static int
gaps(pid_t pid)
{
	char path[64];
	struct stat sb;
	int fd, last, n;

	for (fd = n = 0, last = -1; fd < 1024; fd++) {
		snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)pid, fd);
		if (lstat(path, &sb) != 0)
			continue;
		n += fd - last - 1;
		last = fd;
	}
	ATF_CHECK(last > 2);
	return (n);
}

#define	ALL	(1u << 1 | 1u << 3 | 1u << 7)

CASE(kinds, "Which file system is frozen, synced, skipped")
{
	ATF_CHECK_EQ(MOUNT_FREEZE, mount_kind_of("ufs", false));
	ATF_CHECK_EQ(MOUNT_NOTHING, mount_kind_of("ufs", true));
	ATF_CHECK_EQ(MOUNT_SYNC, mount_kind_of("zfs", false));
	ATF_CHECK_EQ(MOUNT_SKIP, mount_kind_of("msdosfs", false));
	ATF_CHECK_EQ(MOUNT_SKIP, mount_kind_of("ext2fs", false));
	ATF_CHECK_EQ(MOUNT_NOTHING, mount_kind_of("tmpfs", false));
	ATF_CHECK_EQ(MOUNT_NOTHING, mount_kind_of("nfs", false));
	ATF_CHECK_EQ(MOUNT_NOTHING, mount_kind_of("devfs", false));
}

CASE(gaps, "Whatever the daemon had open, the freezer has no gap in its table")
{
	struct freezer f = { .fd = -1 };

	start();
	ATF_REQUIRE_EQ(20, dup2(0, 20));
	ATF_REQUIRE_EQ(40, dup2(0, 40));
	ATF_REQUIRE_EQ(0, freezer_start(&f, &m, DEV, 60, 10));
	ATF_CHECK_EQ(0, gaps(f.pid));
	ATF_CHECK(freezer_end(&f));
	close(0);
	ATF_REQUIRE_EQ(0, freezer_start(&f, &m, DEV, 60, 10));
	ATF_CHECK_EQ(0, gaps(f.pid));
	ATF_CHECK(freezer_end(&f));
	stop();
}

CASE(freeze, "All of UFS is suspended, and resumed by the thaw; five times")
{
	struct freezer f = { .fd = -1 };
	int i;

	start();
	for (i = 0; i < 5; i++) {
		ATF_REQUIRE_EQ(0, freezer_start(&f, &m, DEV, 60, 10));
		ATF_CHECK_EQ(3, f.frozen);
		ATF_CHECK_EQ(ALL, suspended());
		ATF_CHECK(!freezer_lost(&f));
		ATF_CHECK(freezer_end(&f));
		wait_thawed();
	}
	ATF_CHECK(!freezer_end(&f));
	stop();
}

CASE(fails, "One that fails: none stays suspended")
{
	struct freezer f = { .fd = -1 };

	start();
	set("broken", 1u << 1);
	ATF_CHECK_EQ(EIO, freezer_start(&f, &m, DEV, 60, 10));
	wait_thawed();
	set("broken", 0);
	set("exists", ~(1u << 3));
	ATF_CHECK_EQ(ENOENT, freezer_start(&f, &m, DEV, 60, 10));
	wait_thawed();
	ATF_CHECK_EQ(ENOENT, freezer_start(&f, &m, "d/none", 60, 10));
	ATF_CHECK_EQ(0, f.pid);
	stop();
}

CASE(hangs, "One that hangs is given up, and thawed")
{
	struct freezer f = { .fd = -1 };

	start();
	set("slow", 1u << 3);
	ATF_CHECK_EQ(ETIMEDOUT, freezer_start(&f, &m, DEV, 60, 1));
	wait_thawed();
	stop();
}

CASE(watchdog, "A host that never thaws: thawed in time, and the thaw says so")
{
	struct freezer f = { .fd = -1 };

	start();
	/* Long enough that a crowded machine looks while it lasts. */
	ATF_REQUIRE_EQ(0, freezer_start(&f, &m, DEV, 3, 10));
	ATF_CHECK_EQ(ALL, suspended());
	wait_thawed();
	ATF_CHECK(!freezer_end(&f));
	ATF_REQUIRE_EQ(0, freezer_start(&f, &m, DEV, 1, 10));
	wait_thawed();
	while (!freezer_lost(&f))
		usleep(10000);
	ATF_CHECK_EQ(0, f.pid);
	stop();
}

CASE(killed, "kill -9 of the freezer, and of its parent: thawed")
{
	struct freezer f = { .fd = -1 };
	int fd[2];
	pid_t parent;
	char c;

	start();
	ATF_REQUIRE_EQ(0, freezer_start(&f, &m, DEV, 60, 10));
	kill(f.pid, SIGKILL);
	wait_thawed();
	ATF_CHECK(!freezer_end(&f));
	ATF_REQUIRE_EQ(0, pipe(fd));
	parent = fork();
	if (parent == 0) {
		if (freezer_start(&f, &m, DEV, 60, 10) != 0)
			_exit(1);
		(void)!write(fd[1], "x", 1);
		pause();
	}
	ATF_REQUIRE_EQ(1, read(fd[0], &c, 1));
	ATF_CHECK_EQ(ALL, suspended());
	kill(parent, SIGKILL);
	waitpid(parent, NULL, 0);
	wait_thawed();
	stop();
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, kinds);
	ATF_TP_ADD_TC(tp, gaps);
	ATF_TP_ADD_TC(tp, freeze);
	ATF_TP_ADD_TC(tp, fails);
	ATF_TP_ADD_TC(tp, hangs);
	ATF_TP_ADD_TC(tp, watchdog);
	ATF_TP_ADD_TC(tp, killed);
	return (atf_no_error());
}
