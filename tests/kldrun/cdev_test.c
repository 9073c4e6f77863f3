/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * cdev_test.c: character devices of kldrun, used over their sockets by the
 * code with which the daemons use them.
 */

#include <atf-c.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "device.h"
#include "kdev.h"

#define	CDEVADD		_IOWR('c', 1, int[2])
#define	CDEVCOUNT	_IOR('c', 2, int[2])
#define	CDEVQUIT	_IO('c', 3)
#define	CASE(name, text)						\
ATF_TC(name);								\
ATF_TC_HEAD(name, tc)							\
{									\
	atf_tc_set_md_var(tc, "descr", text);				\
}									\
ATF_TC_BODY(name, tc)

static pid_t guest;

static void
start(void)
{
	struct stat sb;
	int i;

	guest = fork();
	ATF_REQUIRE(guest >= 0);
	if (guest == 0) {
		ATF_REQUIRE(freopen("log", "w", stdout) != NULL);
		dup2(STDOUT_FILENO, STDERR_FILENO);
		execl(KLDRUN, "kldrun", "--dir", "d", MODDIR "/cdevtest.ko",
		    (char *)NULL);
		_exit(127);
	}
	for (i = 0; stat("d/kld.sock", &sb) != 0; i++) {
		ATF_REQUIRE_MSG(i < 3000, "kldrun did not start");
		usleep(10000);
	}
}

/* Its end in good order; `text' is on its console. */
static void
stop(int sig, const char *text)
{
	char cmd[256];
	int status;

	if (sig != 0)
		ATF_REQUIRE_EQ(0, kill(guest, sig));
	ATF_REQUIRE_EQ(guest, waitpid(guest, &status, 0));
	ATF_CHECK_MSG(WIFEXITED(status) && WEXITSTATUS(status) == 0,
	    "kldrun: status %#x", status);
	ATF_CHECK_EQ(0, system("grep -q 'nothing leaked' log || "
	    "{ cat log >&2; exit 1; }"));
	snprintf(cmd, sizeof(cmd), "grep -q '%s' log || { cat log >&2; "
	    "exit 1; }", text);
	ATF_CHECK_EQ(0, system(cmd));
}

/* A close is the end of a connection, which kldrun sees a moment later. */
static void
all_closed(void)
{
	int i;

	for (i = 0; system(KLDRUN " --dir d sysctl hw.cdevtest.users | "
	    "grep -q ': 0$'") != 0; i++) {
		ATF_REQUIRE_MSG(i < 600, "it stays open");
		usleep(100000);
	}
}

static void
echo_once(struct device *d, size_t len)
{
	static char in[8192], out[8192];
	size_t i;

	for (i = 0; i < len; i++)
		out[i] = (char)(i * 7 + len);
	ATF_REQUIRE_EQ((ssize_t)len, device_write(d, out, len));
	ATF_REQUIRE_EQ(DEVICE_READY, device_wait(d, -1, 60000));
	ATF_REQUIRE_EQ((ssize_t)len, device_read(d, in, sizeof(in)));
	ATF_REQUIRE_EQ(0, memcmp(in, out, len));
}

CASE(checks, "uiomove, knotes, names and the clock, seen from a module")
{
	start();
	stop(SIGTERM, "cdevtest0: checks ok");
}

CASE(read_write, "Messages of every size come back whole; errors are Linux's")
{
	struct device d;
	char buf[16384];
	size_t n;

	start();
	ATF_REQUIRE_EQ(0, device_open(&d, "d/dev/cdevecho"));
	for (n = 0; n <= 8192; n = n < 3 ? n + 1 : n * 2)
		echo_once(&d, n);
	ATF_CHECK_EQ(-1, device_read(&d, buf, sizeof(buf)));
	ATF_CHECK_EQ(EAGAIN, errno);
	ATF_CHECK_EQ(-1, device_write(&d, buf, sizeof(buf)));
	ATF_CHECK_EQ(EMSGSIZE, errno);
	ATF_CHECK_EQ(0, device_wait(&d, -1, 50));
	device_close(&d);
	all_closed();
	stop(SIGTERM, "1 opens, 1 closes");
}

CASE(ioctls, "ioctl carries data in and out; private data is per file")
{
	struct device a, b;
	int n[2] = { 40, 2 };

	start();
	ATF_REQUIRE_EQ(0, device_open(&a, "d/dev/cdevecho"));
	ATF_REQUIRE_EQ(0, device_ioctl(&a, CDEVADD, n));
	ATF_CHECK_EQ(42, n[0]);
	ATF_CHECK_EQ(-1, device_ioctl(&a, _IO('c', 9), NULL));
	ATF_CHECK_EQ(ENOTTY, errno);
	device_close(&a);
	ATF_REQUIRE_EQ(0, device_open(&a, "d/dev/cdevpriv"));
	ATF_REQUIRE_EQ(0, device_open(&b, "d/dev/cdevpriv"));
	n[1] = 3;
	ATF_REQUIRE_EQ(0, device_ioctl(&a, CDEVADD, n));
	ATF_REQUIRE_EQ(0, device_ioctl(&a, CDEVADD, n));
	ATF_REQUIRE_EQ(0, device_ioctl(&b, CDEVADD, n));
	ATF_CHECK_EQ(3, n[0]);
	ATF_REQUIRE_EQ(0, device_ioctl(&a, CDEVADD, n));
	ATF_CHECK_EQ(9, n[0]);
	device_close(&a);
	stop(SIGTERM, " 0 private data left");
	device_close(&b);
}

CASE(exclusive, "EBUSY while it is open; a killed client closes it")
{
	struct device d;
	pid_t child;
	int i, fd[2], n[2];

	start();
	ATF_REQUIRE_EQ(0, pipe(fd));
	child = fork();
	if (child == 0) {
		if (device_open(&d, "d/dev/cdevecho") != 0)
			_exit(1);
		(void)!write(fd[1], "x", 1);
		pause();
	}
	ATF_REQUIRE_EQ(1, read(fd[0], n, 1));
	ATF_CHECK_EQ(-1, device_open(&d, "d/dev/cdevecho"));
	ATF_CHECK_EQ(EBUSY, errno);
	kill(child, SIGKILL);
	ATF_REQUIRE_EQ(child, waitpid(child, NULL, 0));
	for (i = 0; device_open(&d, "d/dev/cdevecho") != 0; i++) {
		ATF_REQUIRE_EQ(EBUSY, errno);
		ATF_REQUIRE(i < 6000);
		usleep(10000);
	}
	ATF_REQUIRE_EQ(0, device_ioctl(&d, CDEVCOUNT, n));
	ATF_CHECK_EQ(2, n[0]);
	ATF_CHECK_EQ(1, n[1]);
	device_close(&d);
	all_closed();
	stop(SIGTERM, "2 opens, 2 closes");
}

/* A connection of our own, to say what device.c never would. */
static int
raw_open(const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd;

	strcpy(sun.sun_path, path);
	fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	ATF_REQUIRE_EQ(0, connect(fd, (struct sockaddr *)&sun, sizeof(sun)));
	return (fd);
}

static void
raw_send(int fd, struct kdev_frame f, size_t len)
{
	char buf[sizeof(f) + 256];

	memset(buf, 0, sizeof(buf));
	memcpy(buf, &f, sizeof(f));
	(void)!send(fd, buf, len, MSG_NOSIGNAL);
}

CASE(asleep, "A client that dies in a read that sleeps holds nothing")
{
	struct kdev_frame f = { .op = KDEV_OPEN,
	    .flags = KDEV_F_READ | KDEV_F_WRITE };
	struct device d;
	int fd, i;

	start();
	fd = raw_open("d/dev/cdevecho");
	raw_send(fd, f, sizeof(f));
	ATF_REQUIRE_EQ((ssize_t)sizeof(f), recv(fd, &f, sizeof(f), 0));
	ATF_REQUIRE_EQ(0, f.error);
	f = (struct kdev_frame){ .op = KDEV_READ, .want = 100 };
	raw_send(fd, f, sizeof(f));
	usleep(100000);
	close(fd);
	for (i = 0; device_open(&d, "d/dev/cdevecho") != 0; i++) {
		ATF_REQUIRE(i < 6000);
		usleep(10000);
	}
	device_close(&d);
	all_closed();
	stop(SIGTERM, "2 opens, 2 closes");
}

CASE(hostile, "Packets of nonsense end their own connection and no other")
{
	static const struct kdev_frame bad[] = {
		{ .op = 0 }, { .op = 99 }, { .op = KDEV_READ, .want = ~0u },
		{ .op = KDEV_OPEN, .len = 5 }, { .op = KDEV_POLL },
		{ .op = KDEV_WRITE, .len = ~0u }, { .op = KDEV_IOCTL },
	};
	struct kdev_frame f;
	struct device d;
	size_t i, n;
	int fd;

	start();
	ATF_REQUIRE_EQ(0, device_open(&d, "d/dev/cdevecho"));
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		for (n = 0; n <= sizeof(f); n += 8) {
			fd = raw_open("d/dev/cdevpriv");
			raw_send(fd, bad[i], n);
			if (n > 0)
				ATF_CHECK(recv(fd, &f, sizeof(f), 0) <= 0);
			close(fd);
		}
	/* Opened, then nonsense. */
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		fd = raw_open("d/dev/cdevpriv");
		f = (struct kdev_frame){ .op = KDEV_OPEN, .flags = 3 };
		raw_send(fd, f, sizeof(f));
		ATF_REQUIRE(recv(fd, &f, sizeof(f), 0) > 0);
		raw_send(fd, bad[i], sizeof(f));
		raw_send(fd, (struct kdev_frame){ .op = KDEV_IOCTL,
		    .arg = 0xdfff6301, .len = 200 }, sizeof(f) + 200);
		close(fd);
	}
	echo_once(&d, 100);
	device_close(&d);
	stop(SIGTERM, " 0 private data left");
}

CASE(destroyed, "A device that goes away is ENXIO for who has it open")
{
	struct device d;
	char buf[16];

	start();
	ATF_REQUIRE_EQ(0, device_open(&d, "d/dev/cdevecho"));
	ATF_CHECK_EQ(0, device_wait(&d, -1, 50));
	stop(SIGTERM, "1 opens, 0 closes");
	ATF_CHECK_EQ(DEVICE_GONE, device_wait(&d, -1, 60000));
	ATF_CHECK_EQ(-1, device_read(&d, buf, sizeof(buf)));
	ATF_CHECK_EQ(ENXIO, errno);
	device_close(&d);
	ATF_CHECK_EQ(-1, device_open(&d, "d/dev/cdevecho"));
	ATF_CHECK_EQ(ENOENT, errno);
}

CASE(shutdown, "shutdown_nice runs the handlers and ends in good order")
{
	struct device d;

	start();
	ATF_REQUIRE_EQ(0, device_open(&d, "d/dev/cdevecho"));
	ATF_REQUIRE_EQ(0, device_ioctl(&d, CDEVQUIT, NULL));
	stop(0, "cdevtest: shutdown_pre_sync 0x4000");
	device_close(&d);
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, checks);
	ATF_TP_ADD_TC(tp, read_write);
	ATF_TP_ADD_TC(tp, ioctls);
	ATF_TP_ADD_TC(tp, exclusive);
	ATF_TP_ADD_TC(tp, asleep);
	ATF_TP_ADD_TC(tp, hostile);
	ATF_TP_ADD_TC(tp, destroyed);
	ATF_TP_ADD_TC(tp, shutdown);
	return (atf_no_error());
}
