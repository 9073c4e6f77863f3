/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * A backup of a file system that is written to: the writer stands still while
 * it is frozen, and the copy is consistent, by fsck_ffs(8) where that is in the
 * memory root, with a beginning of what was written.
 */

#include <sys/fcntl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/signal.h>

#include "sys.h"

#define	PATIENCE	40000u
#define	FROZEN_MS	2000u		/* the host freezes for 3000 */
#define	COUNTS		8192u

/* Shared with the writer. */
static struct {
	volatile uint64_t count;
	volatile uint64_t pause;	/* its longest */
} *shared;

static void
writer(const char *path)
{
	uint64_t before, now, n;
	long fd;

	fd = sys3(SYS_open, path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	before = now_ms();
	for (n = 0; fd >= 0 && n < COUNTS; n++) {
		if (sys3(SYS_write, fd, &n, sizeof(n)) != sizeof(n) ||
		    sys1(SYS_fsync, fd) != 0)
			break;
		now = now_ms();
		if (now - before > shared->pause)
			shared->pause = now - before;
		before = now;
		shared->count = n + 1;
		sleep_ms(10);
	}
	(void)sys1(SYS_exit, 0);
}

/* How many numbers the copy has, in order from 0; -1: it has others. */
static long
copied(const char *path)
{
	static uint64_t numbers[COUNTS];
	long n;

	n = read_file(path, numbers, sizeof(numbers));
	for (long i = 0; i < n / 8; i++)
		if (numbers[i] != (uint64_t)i)
			return (-1);
	return (n < 0 ? n : n / 8);
}

static void
look_at_copy(const char *disk)
{
	const char *fsck[] = { "/sbin/fsck_ffs", "-f", "-n", NULL, NULL };
	long error, n = -1;
	int status;

	if (!disk_wait(disk, true, PATIENCE)) {
		check("daemon.backup", false, "no copy");
		return;
	}
	/* Suspending does not mark it clean: it cannot be mounted to write. */
	error = mount_on("ufs", disk, "/copy", MNT_RDONLY);
	if (error == 0) {
		n = copied("/copy/numbers");
		(void)sys2(SYS_unmount, "/copy", 0);
	}
	check("daemon.backup", error == 0 && n > 0,
	    "the copy: error %ld, %ld numbers in order", -error, n);
	if (is_there(fsck[0])) {
		fsck[3] = disk;
		status = run_wait(run_start(fsck, -1), PATIENCE);
		check("daemon.fsck", status == 0, "the copy: status %d",
		    status);
	}
}

void
check_backup(void)
{
	long error, pid;

	say("@host ufs\n");
	if (!disk_wait("/dev/da1", true, PATIENCE)) {
		check("daemon.frozen", false, "no second disk");
		return;
	}
	error = mount_on("ufs", "/dev/da1", "/mnt", 0);
	shared = (void *)sys6(SYS_mmap, 0, 4096, PROT_READ | PROT_WRITE,
	    MAP_ANON | MAP_SHARED, -1, 0);
	if (error != 0 || (long)shared <= 0) {
		check("daemon.frozen", false, "/mnt: error %ld", -error);
		return;
	}
	pid = sys0(SYS_fork);
	if (pid == 0)
		writer("/mnt/numbers");
	for (uint64_t end = now_ms() + PATIENCE; shared->count < 10 &&
	    now_ms() < end;)
		sleep_ms(20);
	say("@host backup\n");
	look_at_copy("/dev/da2");
	check("daemon.frozen", shared->pause >= FROZEN_MS,
	    "the writer stood still for %lu ms, and wrote %lu times",
	    shared->pause, shared->count);
	(void)sys2(SYS_kill, pid, SIGKILL);
	(void)run_wait(pid, 10000);
	error = sys2(SYS_unmount, "/mnt", 0);
	check("daemon.thawed", error == 0, "unmount: error %ld", -error);
}
