/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * cuse_test.c: kldcuse, with this test in the place of Linux's kernel: the
 * requests that /dev/cuse would make of it, in front of a device of
 * cdevtest.ko in kldrun. Where /dev/cuse exists, the same with open(2).
 */

#include <atf-c.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define	CDEVADD		_IOWR('c', 1, int[2])
#define	CASE(name, text)						\
ATF_TC(name);								\
ATF_TC_HEAD(name, tc)							\
{									\
	atf_tc_set_md_var(tc, "descr", text);				\
}									\
ATF_TC_BODY(name, tc)

static pid_t guest, cuse;
static int sock;
static uint64_t unique;
static char out[1 << 17];
static struct fuse_out_header *const oh = (void *)out;
static void *const body = out + sizeof(struct fuse_out_header);

static void
start_guest(void)
{
	struct stat sb;
	int i;

	guest = fork();
	if (guest == 0) {
		(void)!freopen("log", "w", stdout);
		execl(KLDRUN, "kldrun", "--dir", "d", MODDIR "/cdevtest.ko",
		    (char *)NULL);
		_exit(127);
	}
	for (i = 0; stat("d/kld.sock", &sb) != 0; i++) {
		ATF_REQUIRE(i < 3000);
		usleep(10000);
	}
}

static uint64_t
ask(uint32_t opcode, const void *in, size_t len, const void *more, size_t n)
{
	static char buf[1 << 17];
	struct fuse_in_header ih = { .opcode = opcode, .unique = ++unique,
	    .len = (uint32_t)(sizeof(ih) + len + n), .pid = (uint32_t)getpid() };

	memcpy(buf, &ih, sizeof(ih));
	memcpy(buf + sizeof(ih), in, len);
	memcpy(buf + sizeof(ih) + len, more, n);
	ATF_REQUIRE_EQ((ssize_t)ih.len, send(sock, buf, ih.len, 0));
	return (unique);
}

/* The next thing that it says; the length of its body. */
static size_t
hear(void)
{
	struct pollfd p = { sock, POLLIN, 0 };
	ssize_t n;

	ATF_REQUIRE_MSG(poll(&p, 1, 60000) == 1, "kldcuse says nothing");
	n = recv(sock, out, sizeof(out), 0);
	ATF_REQUIRE(n >= (ssize_t)sizeof(*oh) && oh->len == (uint32_t)n);
	return ((size_t)n - sizeof(*oh));
}

static size_t
call(uint32_t opcode, const void *in, size_t len, const void *more, size_t n)
{
	uint64_t id;
	size_t got;

	id = ask(opcode, in, len, more, n);
	got = hear();
	ATF_REQUIRE_EQ(id, oh->unique);
	return (got);
}

static void
start(void)
{
	struct cuse_init_in in = { .major = FUSE_KERNEL_VERSION, .minor = 31 };
	struct cuse_init_out *init;
	char fd[16];
	int sv[2];
	size_t n;

	start_guest();
	ATF_REQUIRE_EQ(0, socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv));
	cuse = fork();
	if (cuse == 0) {
		close(sv[0]);
		snprintf(fd, sizeof(fd), "%d", sv[1]);
		execl(KLDCUSE, "kldcuse", "--fd", fd, "d/dev/cdevecho",
		    (char *)NULL);
		_exit(127);
	}
	close(sv[1]);
	sock = sv[0];
	n = call(CUSE_INIT, &in, sizeof(in), NULL, 0);
	init = body;
	ATF_REQUIRE_EQ(0, oh->error);
	ATF_REQUIRE(n > sizeof(*init));
	ATF_CHECK_STREQ("DEVNAME=cdevecho", (char *)(init + 1));
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
stop(const char *text)
{
	char cmd[128];
	int status;

	close(sock);
	ATF_REQUIRE_EQ(cuse, waitpid(cuse, &status, 0));
	ATF_CHECK_MSG(WIFEXITED(status), "kldcuse: %#x", status);
	all_closed();
	kill(guest, SIGTERM);
	ATF_REQUIRE_EQ(guest, waitpid(guest, &status, 0));
	ATF_CHECK_EQ(0, status);
	snprintf(cmd, sizeof(cmd), "grep -q '%s' log || { cat log >&2; "
	    "exit 1; }", text);
	ATF_CHECK_EQ(0, system(cmd));
}

static int
do_open(uint32_t flags, uint64_t *fh)
{
	struct fuse_open_in in = { .flags = flags };

	call(FUSE_OPEN, &in, sizeof(in), NULL, 0);
	if (oh->error == 0)
		*fh = ((struct fuse_open_out *)body)->fh;
	return (-oh->error);
}

/* After a close, which arrives a moment later. */
static int
do_open_again(uint32_t flags, uint64_t *fh)
{
	int error, i;

	for (i = 0; (error = do_open(flags, fh)) == EBUSY && i < 3000; i++)
		usleep(20000);
	return (error);
}

static void
do_release(uint64_t fh)
{
	struct fuse_release_in in = { .fh = fh };

	call(FUSE_RELEASE, &in, sizeof(in), NULL, 0);
	ATF_CHECK_EQ(0, oh->error);
}

static void
do_write(uint64_t fh, const char *text)
{
	struct fuse_write_in in = { .fh = fh, .size = (uint32_t)strlen(text) };

	call(FUSE_WRITE, &in, sizeof(in), text, strlen(text));
	ATF_REQUIRE_EQ(0, oh->error);
	ATF_CHECK_EQ(strlen(text), ((struct fuse_write_out *)body)->size);
}

CASE(usage, "Wrong words, no device, no /dev/cuse: one line each")
{
	ATF_CHECK_EQ(64 << 8, system(KLDCUSE " 2>/dev/null"));
	ATF_CHECK_EQ(64 << 8, system(KLDCUSE " -x y 2>/dev/null"));
	ATF_CHECK_EQ(1 << 8, system(KLDCUSE " /nonexistent 2>/dev/null"));
	start_guest();
	if (access("/dev/cuse", F_OK) != 0)
		ATF_CHECK_EQ(1 << 8, system(KLDCUSE " d/dev/cdevecho 2>&1 | "
		    "grep -q '/dev/cuse: No such file' && exit 1"));
	kill(guest, SIGTERM);
	waitpid(guest, NULL, 0);
}

CASE(files, "Open, EBUSY, write, read, ioctl, release")
{
	struct fuse_read_in rd = { .size = 4096 };
	struct fuse_ioctl_in io = { .cmd = CDEVADD, .in_size = 8,
	    .out_size = 8 };
	int n[2] = { 40, 2 };
	uint64_t fh, other;
	size_t len;

	start();
	ATF_REQUIRE_EQ(0, do_open(O_RDWR | O_NONBLOCK, &fh));
	ATF_CHECK_EQ(EBUSY, do_open(O_RDWR, &other));
	do_write(fh, "hello");
	rd.fh = fh;
	rd.flags = O_RDWR | O_NONBLOCK;
	len = call(FUSE_READ, &rd, sizeof(rd), NULL, 0);
	ATF_CHECK_EQ(0, oh->error);
	ATF_CHECK_EQ(5, len);
	ATF_CHECK_EQ(0, memcmp(body, "hello", 5));
	call(FUSE_READ, &rd, sizeof(rd), NULL, 0);
	ATF_CHECK_EQ(-EAGAIN, oh->error);
	io.fh = fh;
	call(FUSE_IOCTL, &io, sizeof(io), n, sizeof(n));
	ATF_CHECK_EQ(0, oh->error);
	memcpy(n, (char *)body + sizeof(struct fuse_ioctl_out), sizeof(n));
	ATF_CHECK_EQ(42, n[0]);
	io.cmd = _IO('c', 77);
	io.in_size = io.out_size = 0;
	call(FUSE_IOCTL, &io, sizeof(io), NULL, 0);
	ATF_CHECK_EQ(-ENOTTY, oh->error);
	do_release(fh);
	ATF_REQUIRE_EQ(0, do_open_again(O_RDWR, &fh));
	do_release(fh);
	stop("2 opens, 2 closes");
}

CASE(waiting, "A read that waits, one that is interrupted, a poll that is told")
{
	struct fuse_read_in rd = { .size = 4096, .flags = O_RDWR };
	struct fuse_interrupt_in in;
	struct fuse_poll_in pl = { .kh = 99, .events = POLLIN,
	    .flags = FUSE_POLL_SCHEDULE_NOTIFY };
	uint64_t fh, id;
	size_t len;
	int i;

	start();
	ATF_REQUIRE_EQ(0, do_open(O_RDWR, &fh));
	rd.fh = pl.fh = fh;
	/* Interrupted. */
	id = ask(FUSE_READ, &rd, sizeof(rd), NULL, 0);
	usleep(50000);
	in.unique = id;
	ask(FUSE_INTERRUPT, &in, sizeof(in), NULL, 0);
	hear();
	ATF_CHECK_EQ(id, oh->unique);
	ATF_CHECK_EQ(-EINTR, oh->error);
	/* Answered by a write; both answers come, in either order. */
	id = ask(FUSE_READ, &rd, sizeof(rd), NULL, 0);
	usleep(50000);
	{
		struct fuse_write_in w = { .fh = fh, .size = 4 };

		ask(FUSE_WRITE, &w, sizeof(w), "late", 4);
	}
	for (i = 0; i < 2; i++) {
		len = hear();
		ATF_CHECK_EQ(0, oh->error);
		if (oh->unique == id) {
			ATF_CHECK_EQ(4, len);
			ATF_CHECK_EQ(0, memcmp(body, "late", 4));
		}
	}
	/* Nothing to read: the poll says so, and a notification follows. */
	call(FUSE_POLL, &pl, sizeof(pl), NULL, 0);
	ATF_CHECK_EQ(0, ((struct fuse_poll_out *)body)->revents & POLLIN);
	{
		struct fuse_write_in w = { .fh = fh, .size = 1 };

		ask(FUSE_WRITE, &w, sizeof(w), "x", 1);
	}
	for (i = 0; i < 2; i++) {
		hear();
		if (oh->unique == 0) {
			ATF_CHECK_EQ(FUSE_NOTIFY_POLL, oh->error);
			ATF_CHECK_EQ(99, ((struct fuse_notify_poll_wakeup_out *)
			    body)->kh);
		}
	}
	call(FUSE_POLL, &pl, sizeof(pl), NULL, 0);
	ATF_CHECK(((struct fuse_poll_out *)body)->revents & POLLIN);
	do_release(fh);
	stop("1 opens, 1 closes");
}

CASE(gone, "The kernel behind it ends: errors, not silence")
{
	struct fuse_read_in rd = { .size = 4096, .flags = O_RDWR };
	uint64_t fh, id;
	int status;

	start();
	ATF_REQUIRE_EQ(0, do_open(O_RDWR, &fh));
	rd.fh = fh;
	id = ask(FUSE_READ, &rd, sizeof(rd), NULL, 0);
	usleep(50000);
	kill(guest, SIGTERM);
	waitpid(guest, &status, 0);
	hear();
	ATF_CHECK_EQ(id, oh->unique);
	ATF_CHECK_EQ(-ENXIO, oh->error);
	ATF_CHECK(do_open(O_RDWR, &id) != 0);
	do_release(fh);
	close(sock);
	ATF_REQUIRE_EQ(cuse, waitpid(cuse, &status, 0));
}

CASE(device, "The same by /dev/cuse, where there is one")
{
	struct stat sb;
	char buf[16];
	int fd, i;

	if (access("/dev/cuse", R_OK | W_OK) != 0)
		atf_tc_skip("no /dev/cuse here");
	start_guest();
	cuse = fork();
	if (cuse == 0) {
		execl(KLDCUSE, "kldcuse", "d/dev/cdevecho", (char *)NULL);
		_exit(127);
	}
	for (i = 0; stat("/dev/cdevecho", &sb) != 0; i++) {
		ATF_REQUIRE(i < 6000);
		usleep(10000);
	}
	fd = open("/dev/cdevecho", O_RDWR);
	ATF_REQUIRE(fd >= 0);
	ATF_REQUIRE_EQ(5, write(fd, "hello", 5));
	ATF_REQUIRE_EQ(5, read(fd, buf, sizeof(buf)));
	ATF_CHECK_EQ(0, memcmp(buf, "hello", 5));
	close(fd);
	kill(cuse, SIGTERM);
	waitpid(cuse, NULL, 0);
	kill(guest, SIGTERM);
	waitpid(guest, NULL, 0);
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, usage);
	ATF_TP_ADD_TC(tp, files);
	ATF_TP_ADD_TC(tp, waiting);
	ATF_TP_ADD_TC(tp, gone);
	ATF_TP_ADD_TC(tp, device);
	return (atf_no_error());
}
