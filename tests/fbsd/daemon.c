/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * The daemons of usr.sbin/hyperv, where they are in the memory root: started as
 * they are, asked by the host, and what they did looked at from here.
 */

#include <sys/errno.h>
#include <sys/fcntl.h>
#include <sys/signal.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "sys.h"

#define	PATIENCE	40000u
#define	COPY_WORDS	4096u

static struct {
	const char	*path;
	long		pid;
} daemons[] = {
	{ "/usr/sbin/hv_kvp_daemon", 0 },
	{ "/usr/sbin/hv_vss_daemon", 0 },
	{ "/usr/sbin/hv_fcopy_daemon", 0 },
};
#define	NDAEMONS	(sizeof(daemons) / sizeof(daemons[0]))

long
run_start(const char *const argv[], int out)
{
	static const char *const env[] = {
		"PATH=/sbin:/bin:/usr/sbin:/usr/bin", NULL,
	};
	long pid;

	pid = sys0(SYS_fork);
	if (pid != 0)
		return (pid);
	if (out >= 0)
		(void)sys2(SYS_dup2, out, 1);
	(void)sys3(SYS_execve, argv[0], argv, env);
	(void)sys1(SYS_exit, 127);
	for (;;)
		continue;
}

int
run_wait(long pid, unsigned ms)
{
	uint64_t end = now_ms() + ms;
	int status = 0;

	while (sys4(SYS_wait4, pid, &status, WNOHANG, 0) == 0) {
		if (now_ms() >= end) {
			(void)sys2(SYS_kill, pid, SIGKILL);
			(void)sys4(SYS_wait4, pid, &status, 0, 0);
			return (-1);
		}
		sleep_ms(20);
	}
	return (WIFEXITED(status) ? WEXITSTATUS(status) : -1);
}

long
mount_on(const char *type, const char *from, const char *path, int flags)
{
	struct iovec v[6];
	const char *const text[6] = { "fstype", type, "fspath", path, "from",
	    from };

	for (int i = 0; i < 6; i++) {
		v[i].iov_base = (void *)(uintptr_t)text[i];
		v[i].iov_len = length(text[i]) + 1;
	}
	return (sys3(SYS_nmount, v, 6, flags));
}

long
read_file(const char *path, void *buf, size_t len)
{
	long fd, n;

	fd = sys3(SYS_open, path, O_RDONLY, 0);
	if (fd < 0)
		return (fd);
	n = sys3(SYS_read, fd, buf, len);
	(void)sys1(SYS_close, fd);
	return (n);
}

bool
is_there(const char *path)
{

	return (sys2(SYS_access, path, 0) == 0);
}

static void
write_file(const char *path, const char *text)
{
	long fd;

	fd = sys3(SYS_open, path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	(void)sys3(SYS_write, fd, text, length(text));
	(void)sys1(SYS_close, fd);
}

/* Is there a user whom the daemons can become? */
static bool
make_users(void)
{
	static const char *const argv[] = { "/usr/sbin/pwd_mkdb", "-d", "/etc",
	    "/etc/master.passwd", NULL };

	write_file("/etc/group", "wheel:*:0:root\nnobody:*:65534:\n");
	write_file("/etc/master.passwd", "root:*:0:0::0:0:root:/:/bin/sh\n"
	    "nobody:*:65534:65534::0:0:nobody:/nonexistent:/sbin/nologin\n");
	return (is_there(argv[0]) && run_wait(run_start(argv, -1), 10000) == 0);
}

static bool
start(void)
{
	static const char *const dirs[] = { "/var/run", "/var/db",
	    "/var/db/hyperv", "/var/db/hyperv/pool", "/var/tmp", "/var/log" };
	const char *argv[5] = { NULL, "-n", NULL, NULL, NULL };
	long error;

	error = mount_on("tmpfs", "tmpfs", "/var", 0);
	if (error == 0)
		error = mount_on("tmpfs", "tmpfs", "/etc", 0);
	for (size_t i = 0; error == 0 && i < sizeof(dirs) / sizeof(dirs[0]);
	    i++)
		error = sys2(SYS_mkdir, dirs[i], 0755);
	if (error != 0) {
		check("daemon.start", false, "no /var: error %ld", -error);
		return (false);
	}
	if (!make_users()) {
		say("daemons: no pwd_mkdb here, so they stay root\n");
		argv[2] = "-U";
		argv[3] = "root";
	}
	for (size_t i = 0; i < NDAEMONS; i++) {
		argv[0] = daemons[i].path;
		daemons[i].pid = run_start(argv, -1);
	}
	return (true);
}

/* Until the file has the text in it. */
static bool
file_has(const char *path, const char *text)
{
	static char buf[65536];
	uint64_t end = now_ms() + PATIENCE;
	size_t n = length(text);
	long got;

	do {
		got = read_file(path, buf, sizeof(buf));
		for (long i = 0; i + (long)n <= got; i++)
			if (memcmp(buf + i, text, n) == 0)
				return (true);
		sleep_ms(100);
	} while (now_ms() < end);
	return (false);
}

static void
keys(void)
{

	say("@host kvp\n");
	check("daemon.kvp", file_has("/var/db/hyperv/pool/.kvp_pool_0",
	    "hvk.key") && file_has("/var/db/hyperv/pool/.kvp_pool_0",
	    "gr\303\274\303\237e"), "the host's key is in the pool's file");
}

static void
files(void)
{
	static uint64_t words[COPY_WORDS + 1];
	unsigned wrong = 0;
	uint64_t end;
	long n;

	/* In this order: of the first there is nothing to see here. */
	say("@host ip\n@host copy\n");
	for (end = now_ms() + PATIENCE; now_ms() < end; sleep_ms(100)) {
		n = read_file("/var/db/hyperv/files/copied", words,
		    sizeof(words));
		if (n == COPY_WORDS * 8)
			break;
	}
	for (uint64_t i = 0; i < COPY_WORDS; i++)
		wrong += words[i] != i * 0x9e3779b97f4a7c15ull;
	check("daemon.copy", n == COPY_WORDS * 8 && wrong == 0,
	    "%ld bytes, %u words differ", n, wrong);
}

static void
list(void)
{
	static const char *const argv[] = { "/usr/sbin/lsvmbus", NULL };
	static char text[16384];
	unsigned lines = 0;
	int fds[2], status;
	long n, pid;
	size_t len = 0;

	if (!is_there(argv[0]))
		return;
	fds[0] = -1;
	if (sys2(SYS_pipe2, fds, 0) != 0)
		return;
	pid = run_start(argv, fds[1]);
	(void)sys1(SYS_close, fds[1]);
	while ((n = sys3(SYS_read, fds[0], text + len, sizeof(text) - 1 -
	    len)) > 0)
		len += (size_t)n;
	(void)sys1(SYS_close, fds[0]);
	status = run_wait(pid, 10000);
	text[len] = '\0';
	for (size_t i = 0; i < len; i++)
		lines += text[i] == '\n';
	say("%s", text);
	check("daemon.lsvmbus", status == 0 && contains(text, "storvsc0") &&
	    contains(text, "hn0"), "%u lines, status %d", lines, status);
}

static void
addresses(void)
{
	uint32_t a;

	if (!is_there("/sbin/ifconfig") || !is_there("/usr/sbin/sysrc"))
		return;
	say("@host ipset\n");
	for (uint64_t end = now_ms() + PATIENCE; now_ms() < end;
	    sleep_ms(100)) {
		a = net_address("hn0");
		if (a == 0x0a00024d)		/* 10.0.2.77 */
			break;
	}
	check("daemon.address", a == 0x0a00024d, "hn0 has %u.%u.%u.%u",
	    a >> 24, a >> 16 & 255, a >> 8 & 255, a & 255);
}

static void
stop(void)
{
	int status;

	for (size_t i = 0; i < NDAEMONS; i++) {
		(void)sys2(SYS_kill, daemons[i].pid, SIGTERM);
		status = run_wait(daemons[i].pid, 10000);
		check("daemon.end", status == 0, "%s: status %d",
		    daemons[i].path, status);
	}
}

void
check_daemons(void)
{

	if (!is_there(daemons[0].path)) {
		say("daemons: none here\n");
		return;
	}
	if (!start())
		return;
	keys();
	files();
	list();
	check_backup();
	addresses();
	stop();
}
