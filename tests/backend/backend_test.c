/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * Back-ends of disks: data by io_uring, by threads, past the page cache and
 * over NBD; holes; growing; and files that are missing, small, read-only, in
 * use or shrink while open.
 */
#include <atf-c.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <hvk/backend.h>

#define	SIZE	(1u << 20)

static struct backend *disk;
static struct backend_loop *loop;
static struct backend_queue *queue;
static unsigned finished;
static char err[512];

static void
make_file(const char *path, off_t size)
{
	int fd = open(path, O_CREAT | O_TRUNC | O_RDWR, 0600);

	ATF_REQUIRE(fd >= 0 && ftruncate(fd, size) == 0);
	close(fd);
}

static struct backend *
try_open(const char *path, const char *kind, bool direct, bool ro)
{
	json_t *o = json_pack("{s:s, s:s, s:b, s:b, s:i}", "path", path,
	    "backend", kind, "direct", direct, "readonly", ro, "sector", 512);
	struct backend *b;

	err[0] = '\0';
	b = backend_open(o, err, sizeof(err));
	json_decref(o);
	return (b);
}

static void
begin(const char *path, const char *kind, bool direct, bool uring)
{

	disk = try_open(path, kind, direct, false);
	ATF_REQUIRE_MSG(disk != NULL, "%s", err);
	loop = backend_loop_new(64, uring);
	ATF_REQUIRE(loop != NULL);
	queue = backend_queue_open(disk, loop, err, sizeof(err));
	ATF_REQUIRE_MSG(queue != NULL, "%s", err);
}

static void
end(void)
{

	backend_queue_close(queue);
	backend_loop_free(loop);
	backend_close(disk);
}

static void
on_done(struct backend_io *io)
{

	(void)io;
	finished++;
}

/* One I/O to its end, within a minute. */
static int
run(enum backend_op op, uint64_t offset, uint64_t length, struct iovec *iov,
    uint32_t niov)
{
	struct backend_io io = { .op = op, .offset = offset, .length = length,
	    .iov = iov, .niov = niov, .done = on_done };
	struct pollfd fds[4];
	int i, n;

	finished = 0;
	if (backend_submit(queue, &io))
		return (io.error);
	for (i = 0; i < 6000 && finished == 0; i++) {
		backend_loop_submit(loop);
		if (backend_loop_reap(loop) > 0)
			break;
		n = backend_loop_fds(loop, fds, 4);
		(void)poll(fds, (nfds_t)n, 10);
	}
	ATF_REQUIRE_EQ(1, finished);
	return (io.error);
}

/* Scattered vectors out, whole buffer back, and the other way round. */
static void
exercise(size_t skew)
{
	uint8_t *a = aligned_alloc(4096, SIZE), *b = aligned_alloc(4096, SIZE);
	struct iovec v[3];
	uint32_t i, len = 16384;

	for (i = 0; i < SIZE; i++)
		a[i] = (uint8_t)(i * 7 + i / 4096);
	memset(b, 0, SIZE);
	v[0] = (struct iovec){ a + skew, 512 };
	v[1] = (struct iovec){ a + 8192 + skew, 4096 };
	v[2] = (struct iovec){ a + 65536 + skew, len - 4608 };
	ATF_CHECK_EQ(0, run(BACKEND_WRITE, 4096, len, v, 3));
	v[0] = (struct iovec){ b + skew, len };
	ATF_CHECK_EQ(0, run(BACKEND_READ, 4096, len, v, 1));
	ATF_CHECK_EQ(0, memcmp(b + skew, a + skew, 512));
	ATF_CHECK_EQ(0, memcmp(b + skew + 512, a + skew + 8192, 4096));
	ATF_CHECK_EQ(0, memcmp(b + skew + 4608, a + skew + 65536, len - 4608));
	ATF_CHECK_EQ(0, run(BACKEND_FLUSH, 0, 0, NULL, 0));
	ATF_CHECK_EQ(0, run(BACKEND_ZERO, 4096, 4096, NULL, 0));
	ATF_CHECK_EQ(0, run(BACKEND_DISCARD, 8192, 4096, NULL, 0));
	memset(b, 0xff, len);
	v[0] = (struct iovec){ b, 4096 };
	v[1] = (struct iovec){ b + 32768 + skew, len - 4096 };
	ATF_CHECK_EQ(0, run(BACKEND_READ, 4096, len, v, 2));
	for (i = 0; i < 4096; i++)
		ATF_REQUIRE_EQ(0, b[i]);
	free(a);
	free(b);
}

static uint64_t
blocks(const char *path)
{
	struct stat st;

	ATF_REQUIRE_EQ(0, stat(path, &st));
	return ((uint64_t)st.st_blocks);
}

#define	CASE(name, text)						\
ATF_TC(name);								\
ATF_TC_HEAD(name, tc)							\
{									\
	atf_tc_set_md_var(tc, "descr", text);				\
	atf_tc_set_md_var(tc, "timeout", "300");				\
}									\
ATF_TC_BODY(name, tc)

CASE(data_uring, "reads and writes by io_uring")
{
	make_file("d", SIZE);
	begin("d", "raw", false, true);
	exercise(0);
	exercise(1);
	end();
}

CASE(data_threads, "reads and writes by threads")
{
	make_file("d", SIZE);
	begin("d", "raw", false, false);
	ATF_CHECK_STREQ("threads", backend_loop_kind(loop));
	exercise(0);
	exercise(3);
	end();
}

CASE(data_direct, "past the page cache, with memory that is not aligned")
{
	make_file("d", SIZE);
	begin("d", "raw", true, true);
	exercise(0);
	exercise(1);
	exercise(512);
	end();
}

CASE(holes, "a discard makes a hole in the file")
{
	uint8_t *a = calloc(1, SIZE);
	struct iovec v = { a, SIZE };
	uint64_t before;

	make_file("d", SIZE);
	memset(a, 1, SIZE);
	begin("d", "raw", false, true);
	ATF_REQUIRE_EQ(0, run(BACKEND_WRITE, 0, SIZE, &v, 1));
	ATF_REQUIRE_EQ(0, run(BACKEND_FLUSH, 0, 0, NULL, 0));
	before = blocks("d");
	ATF_REQUIRE_EQ(0, run(BACKEND_DISCARD, 65536, SIZE / 2, NULL, 0));
	ATF_CHECK_MSG(blocks("d") <= before - SIZE / 2 / 512, "%llu of %llu",
	    (unsigned long long)blocks("d"), (unsigned long long)before);
	end();
	free(a);
}

CASE(grow, "a file grows, and does not shrink")
{
	struct backend_info info;

	make_file("d", SIZE);
	begin("d", "raw", false, true);
	ATF_CHECK_EQ(0, backend_resize(disk, 2 * SIZE, err, sizeof(err)));
	backend_info(disk, &info);
	ATF_CHECK_EQ(2 * SIZE, info.size);
	ATF_CHECK(backend_resize(disk, SIZE, err, sizeof(err)) < 0);
	ATF_CHECK(strstr(err, "only growing") != NULL);
	ATF_REQUIRE_EQ(0, truncate("d", 4 * SIZE));
	ATF_CHECK_EQ(4 * SIZE, backend_refresh(disk));
	end();
}

CASE(refusals, "files that cannot be used: one line that says what to do")
{
	ATF_CHECK(try_open("none", "raw", false, false) == NULL);
	ATF_CHECK_MSG(strstr(err, "truncate -s") != NULL, "%s", err);
	make_file("small", 511);
	ATF_CHECK(try_open("small", "raw", false, false) == NULL);
	ATF_CHECK_MSG(strstr(err, "too small") != NULL, "%s", err);
	ATF_REQUIRE_EQ(0, mkdir("dir", 0700));
	ATF_CHECK(try_open("dir", "raw", false, true) == NULL);
	ATF_CHECK_MSG(strstr(err, "not a file") != NULL, "%s", err);
	ATF_CHECK(try_open("x", "qcow9", false, false) == NULL);
	ATF_CHECK_MSG(strstr(err, "unknown backend") != NULL, "%s", err);
	ATF_CHECK(try_open("", "raw", false, false) == NULL);
	ATF_CHECK(strchr(err, '\n') == NULL);
	make_file("used", SIZE);
	disk = try_open("used", "raw", false, false);
	ATF_REQUIRE(disk != NULL);
	ATF_CHECK(try_open("used", "raw", false, false) == NULL);
	ATF_CHECK_MSG(strstr(err, "in use") != NULL, "%s", err);
	backend_close(disk);
	ATF_CHECK(try_open("nbd+unix:///?socket=none", "nbd", false,
	    false) == NULL);
	ATF_CHECK_MSG(strstr(err, "NBD server") != NULL, "%s", err);
}

CASE(read_only, "a read-only disk opens a file without write permission")
{
	struct backend_info info;

	make_file("d", SIZE);
	disk = try_open("d", "raw", false, true);
	ATF_REQUIRE(disk != NULL);
	backend_info(disk, &info);
	ATF_CHECK(info.read_only && !info.discard);
	ATF_CHECK(backend_resize(disk, 2 * SIZE, err, sizeof(err)) < 0);
	backend_close(disk);
}

CASE(shrinks, "a file that shrinks while open is an error, not a signal")
{
	uint8_t a[4096];
	struct iovec v;
	int uring;

	for (uring = 0; uring < 2; uring++) {
		make_file("d", SIZE);
		begin("d", "raw", false, uring != 0);
		ATF_REQUIRE_EQ(0, truncate("d", 8192));
		v = (struct iovec){ a, sizeof(a) };
		ATF_CHECK_EQ(EIO, run(BACKEND_READ, SIZE - 4096, 4096, &v, 1));
		v = (struct iovec){ a, sizeof(a) };
		ATF_CHECK_EQ(EIO, run(BACKEND_READ, 8192, 4096, &v, 1));
		v = (struct iovec){ a, sizeof(a) };
		ATF_CHECK_EQ(0, run(BACKEND_READ, 0, 4096, &v, 1));
		end();
	}
}

/* Until somebody listens there: a socket that is bound only refuses. */
static void
until_listens(const char *socket)
{
	char cmd[1024], cwd[512];
	int i;

	ATF_REQUIRE(getcwd(cwd, sizeof(cwd)) != NULL);
	snprintf(cmd, sizeof(cmd), "grep -q ' 00010000 .* %s/%s$' "
	    "/proc/net/unix", cwd, socket);
	for (i = 0; i < 3000 && system(cmd) != 0; i++)
		usleep(20000);
	ATF_REQUIRE_MSG(i < 3000, "nobody listens at %s", socket);
}

static pid_t
nbd_server(const char *socket)
{
	pid_t pid = fork();

	if (pid == 0) {
		execlp("nbdkit", "nbdkit", "-f", "-U", socket, "memory", "1M",
		    (char *)NULL);
		_exit(127);
	}
	until_listens(socket);
	return (pid);
}

CASE(data_nbd, "reads, writes, discards over NBD; then the server dies")
{
	uint8_t a[4096];
	struct iovec v = { a, sizeof(a) };
	pid_t pid = nbd_server("sock");

	begin("nbd+unix:///?socket=sock", "nbd", false, true);
	exercise(0);
	exercise(1);
	ATF_REQUIRE_EQ(0, kill(pid, SIGKILL));
	(void)waitpid(pid, NULL, 0);
	ATF_CHECK(run(BACKEND_READ, 0, 4096, &v, 1) != 0);
	v = (struct iovec){ a, sizeof(a) };
	ATF_CHECK(run(BACKEND_READ, 0, 4096, &v, 1) != 0);
	end();
}

/* As it is without options: one client, and no word of several. */
static pid_t
qemu_nbd(const char *socket, const char *clients)
{
	char path[1024], cwd[512];
	pid_t pid;

	make_file("image", SIZE);
	ATF_REQUIRE(getcwd(cwd, sizeof(cwd)) != NULL);
	snprintf(path, sizeof(path), "%s/%s", cwd, socket);
	pid = fork();
	if (pid == 0) {
		execlp("qemu-nbd", "qemu-nbd", "--persistent", "-f", "raw",
		    "-e", clients, "-k", path, "image", (char *)NULL);
		_exit(127);
	}
	until_listens(socket);
	return (pid);
}

static void
kill_server(pid_t pid)
{

	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
}

static double
seconds(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return ((double)ts.tv_sec + (double)ts.tv_nsec / 1e9);
}

/*
 * Two workers' queues: what each writes the other reads.  A connection that is
 * never answered costs five seconds.
 */
static void
two_queues(double within)
{
	struct backend_loop *loops[2];
	struct backend_queue *queues[2];
	uint8_t a[4096], b[4096];
	struct iovec v;
	double from;
	int i;

	loops[0] = loop;
	queues[0] = queue;
	loops[1] = backend_loop_new(64, true);
	from = seconds();
	queues[1] = backend_queue_open(disk, loops[1], err, sizeof(err));
	ATF_REQUIRE_MSG(queues[1] != NULL, "%s", err);
	ATF_CHECK_MSG(seconds() - from < within, "%f s", seconds() - from);
	for (i = 0; i < 20; i++) {
		memset(a, i + 1, sizeof(a));
		memset(b, 0, sizeof(b));
		loop = loops[i & 1];
		queue = queues[i & 1];
		v = (struct iovec){ a, sizeof(a) };
		ATF_CHECK_EQ(0, run(BACKEND_WRITE, 8192, sizeof(a), &v, 1));
		ATF_CHECK_EQ(0, run(BACKEND_FLUSH, 0, 0, NULL, 0));
		loop = loops[~i & 1];
		queue = queues[~i & 1];
		v = (struct iovec){ b, sizeof(b) };
		ATF_CHECK_EQ(0, run(BACKEND_READ, 8192, sizeof(b), &v, 1));
		ATF_CHECK_EQ(0, memcmp(a, b, sizeof(a)));
	}
	backend_queue_close(queues[1]);
	backend_loop_free(loops[1]);
	loop = loops[0];
	queue = queues[0];
}

CASE(nbd_one_client, "an NBD server for one client serves several workers")
{
	pid_t pid = qemu_nbd("sock", "1");

	begin("nbd+unix:///?socket=sock", "nbd", false, true);
	two_queues(4.5);
	exercise(0);
	exercise(1);
	end();
	kill_server(pid);
}

CASE(nbd_clients, "and so does one that takes fewer clients than it promises")
{
	pid_t pid = qemu_nbd("sock", "2");

	begin("nbd+unix:///?socket=sock", "nbd", false, true);
	two_queues(9.5);
	exercise(1);
	end();
	kill_server(pid);
}

/* The server stops in the middle: giving up is bounded and all I/O fails. */
static void
silence(pid_t pid)
{
	uint8_t *data = calloc(1, SIZE);
	struct iovec v[4];
	struct backend_io io[4];
	double from;
	int i;

	ATF_REQUIRE_EQ(0, kill(pid, SIGSTOP));
	memset(io, 0, sizeof(io));
	finished = 0;
	for (i = 0; i < 4; i++) {
		v[i] = (struct iovec){ data + i * (SIZE / 4), SIZE / 4 };
		io[i].op = (i & 1) != 0 ? BACKEND_READ : BACKEND_WRITE;
		io[i].length = SIZE / 4;
		io[i].offset = (uint64_t)i * (SIZE / 4);
		io[i].iov = &v[i];
		io[i].niov = 1;
		io[i].done = on_done;
		ATF_REQUIRE(!backend_submit(queue, &io[i]));
	}
	for (i = 0; i < 20; i++) {
		(void)backend_loop_reap(loop);
		usleep(10000);
	}
	ATF_CHECK_EQ(0, finished);
	from = seconds();
	backend_loop_abandon(loop);
	while (finished < 4 && seconds() - from < 60) {
		(void)backend_loop_reap(loop);
		usleep(1000);
	}
	ATF_CHECK_EQ(4, finished);
	for (i = 0; i < 4; i++)
		ATF_CHECK(io[i].error != 0);
	backend_queue_close(queue);
	ATF_CHECK_MSG(seconds() - from < 30, "%f s", seconds() - from);
	free(data);
	ATF_REQUIRE_EQ(0, kill(pid, SIGCONT));
}

CASE(nbd_silent, "a silent NBD server is given up, and used when it is back")
{
	pid_t pid = nbd_server("own");
	struct iovec v;
	uint8_t a[4096];

	begin("nbd+unix:///?socket=own", "nbd", false, true);
	silence(pid);
	backend_loop_free(loop);
	backend_close(disk);
	kill_server(pid);

	pid = qemu_nbd("shared", "1");
	begin("nbd+unix:///?socket=shared", "nbd", false, true);
	silence(pid);
	queue = backend_queue_open(disk, loop, err, sizeof(err));
	ATF_REQUIRE_MSG(queue != NULL, "%s", err);
	v = (struct iovec){ a, sizeof(a) };
	ATF_CHECK_EQ(0, run(BACKEND_READ, 0, sizeof(a), &v, 1));
	end();
	kill_server(pid);
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, data_uring);
	ATF_TP_ADD_TC(tp, data_threads);
	ATF_TP_ADD_TC(tp, data_direct);
	ATF_TP_ADD_TC(tp, holes);
	ATF_TP_ADD_TC(tp, grow);
	ATF_TP_ADD_TC(tp, refusals);
	ATF_TP_ADD_TC(tp, read_only);
	ATF_TP_ADD_TC(tp, shrinks);
	ATF_TP_ADD_TC(tp, data_nbd);
	ATF_TP_ADD_TC(tp, nbd_one_client);
	ATF_TP_ADD_TC(tp, nbd_clients);
	ATF_TP_ADD_TC(tp, nbd_silent);
	return (atf_no_error());
}
