/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * Three lives of one machine.  The first ends by the host's non-maskable
 * interrupt, the second by a panic that root asks for; the third tells that it
 * came so far.  Which one it is stands on the disk.  What the host heard of
 * each end is for the host to check.
 */

#include <sys/disk.h>
#include <sys/fcntl.h>

#include "sys.h"

#define	MAGIC	0x6576696c20646c6full
#define	AT	(40ull << 20)

static uint64_t sector[512] __attribute__((__aligned__(4096)));

static bool
turn(long fd)
{

	return (sys4(SYS_pwrite, fd, sector, sizeof(sector), AT) ==
	    sizeof(sector) && sys3(SYS_ioctl, fd, DIOCGFLUSH, 0) == 0);
}

void
check_crashes(void)
{
	uint64_t life;
	long error = 0, fd;

	if (!disk_wait("/dev/da0", true, 30000) ||
	    (fd = sys3(SYS_open, "/dev/da0", O_RDWR, 0)) < 0 ||
	    sys4(SYS_pread, fd, sector, sizeof(sector), AT) !=
	    sizeof(sector)) {
		check("crash.disk", false, "/dev/da0 cannot be read");
		return;
	}
	life = sector[0] == MAGIC ? sector[1] : 0;
	say("crash: life %lu\n", life + 1);
	sector[0] = MAGIC;
	sector[1] = life + 1;
	if (!turn(fd)) {
		check("crash.disk", false, "/dev/da0 cannot be written");
		return;
	}
	switch (life) {
	case 0:
		say("@host nmi\n");
		sleep_ms(30000);
		check("crash.nmi", false, "nothing in 30 s");
		return;
	case 1:
		error = sysctl_set("debug.kdb.panic", 1);
		check("crash.panic", false, "it goes on, error %ld", -error);
		return;
	default:
		check("crash.restart", life == 2, "after %lu panics", life);
	}
}
