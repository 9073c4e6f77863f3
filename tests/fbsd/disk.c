/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * A disk through its device node: written, read, flushed, trimmed, grown.
 */

#include <sys/disk.h>
#include <sys/fcntl.h>

#include "sys.h"

#define	PIECE	(128u * 1024)
#define	PIECES	8u
#define	START	(1024u * 1024)

static uint64_t buf[PIECE / 8] __attribute__((__aligned__(4096)));

static int
open_disk(const char *path)
{
	return ((int)sys3(SYS_open, path, O_RDWR, 0));
}

static bool
media_size(int fd, uint64_t *size)
{
	off_t bytes = 0;

	if (sys3(SYS_ioctl, fd, DIOCGMEDIASIZE, &bytes) != 0)
		return (false);
	*size = (uint64_t)bytes;
	return (true);
}

static void
fill(uint64_t seed)
{
	for (unsigned i = 0; i < PIECE / 8; i++)
		buf[i] = (seed + i) * 0x9e3779b97f4a7c15ull;
}

/* How many words are not what fill(seed) made. */
static unsigned
wrong(uint64_t seed)
{
	unsigned n = 0;

	for (unsigned i = 0; i < PIECE / 8; i++)
		n += buf[i] != (seed + i) * 0x9e3779b97f4a7c15ull;
	return (n);
}

static void
write_and_read(int fd)
{
	unsigned bad = 0;
	long n = 0, error;

	for (unsigned i = 0; i < PIECES; i++) {
		fill((uint64_t)i * PIECE);
		n = sys4(SYS_pwrite, fd, buf, PIECE, START + i * PIECE);
		if (n != PIECE)
			break;
	}
	check("disk.write", n == PIECE, "%u KiB, last %ld",
	    PIECES * PIECE / 1024, n);
	error = sys3(SYS_ioctl, fd, DIOCGFLUSH, 0);
	check("disk.flush", error == 0, "error %ld", -error);
	for (unsigned i = 0; i < PIECES; i++) {
		memset(buf, 0, sizeof(buf));
		n = sys4(SYS_pread, fd, buf, PIECE, START + i * PIECE);
		if (n != PIECE)
			break;
		bad += wrong((uint64_t)i * PIECE);
	}
	check("disk.verify", n == PIECE && bad == 0, "%u words differ", bad);
}

static void
trim(int fd)
{
	off_t range[2] = { START + PIECE, PIECE };
	unsigned left = 0;
	long error, n;

	error = sys3(SYS_ioctl, fd, DIOCGDELETE, range);
	n = sys4(SYS_pread, fd, buf, PIECE, START + PIECE);
	for (unsigned i = 0; i < PIECE / 8; i++)
		left += buf[i] != 0;
	check("disk.trim", error == 0 && n == PIECE && left == 0,
	    "error %ld, %u words are not zero", -error, left);
	/* Its neighbours keep what they have. */
	n = sys4(SYS_pread, fd, buf, PIECE, START);
	check("disk.neighbour", n == PIECE && wrong(0) == 0,
	    "%u words differ", wrong(0));
}

void
check_disk(const char *path)
{
	uint64_t size = 0;
	u_int sector = 0;
	int fd;

	fd = open_disk(path);
	if (fd < 0) {
		check("disk.open", false, "%s: error %d", path, -fd);
		return;
	}
	(void)sys3(SYS_ioctl, fd, DIOCGSECTORSIZE, &sector);
	check("disk.open", media_size(fd, &size) && sector != 0,
	    "%s: %lu MiB, sectors of %u bytes", path, size >> 20, sector);
	write_and_read(fd);
	trim(fd);
	(void)sys1(SYS_close, fd);
}

/* Ask the host for more, and see it without closing or rescanning. */
void
check_grow(const char *path)
{
	uint64_t before = 0, size, end;
	long n = 0;
	int fd;

	fd = open_disk(path);
	if (fd < 0 || !media_size(fd, &before)) {
		check("disk.grow", false, "%s cannot be opened", path);
		return;
	}
	say("@host grow\n");
	size = before;
	for (end = now_ms() + 30000; now_ms() < end && size == before;) {
		sleep_ms(100);
		(void)media_size(fd, &size);
	}
	if (size > before) {
		fill(size);
		n = sys4(SYS_pwrite, fd, buf, PIECE, size - PIECE);
	}
	check("disk.grow", size > before && n == PIECE,
	    "from %lu to %lu MiB", before >> 20, size >> 20);
	(void)sys1(SYS_close, fd);
}

bool
disk_wait(const char *path, bool there, unsigned ms)
{
	uint64_t end = now_ms() + ms;
	int fd;

	for (;;) {
		fd = open_disk(path);
		if (fd >= 0)
			(void)sys1(SYS_close, fd);
		if ((fd >= 0) == there)
			return (true);
		if (now_ms() >= end)
			return (false);
		sleep_ms(100);
	}
}
