/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * Files that go into guest memory.  What is parsed is read into a private copy
 * first: a file that changes or shrinks under us then changes nothing.
 */
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "boot_int.h"

static int
file_open(struct boot *b, const char *path, const char *what, uint64_t *size)
{
	struct stat st;
	int fd;

	/* A pipe with nobody behind it must not hold us up. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return (BOOT_FAIL(b, -errno, "cannot open the %s %s: %s", what,
		    path, strerror(errno)));
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return (BOOT_FAIL(b, -EINVAL, "the %s %s is not a regular "
		    "file", what, path));
	}
	if (st.st_size == 0) {
		close(fd);
		return (BOOT_FAIL(b, -EINVAL, "the %s %s is empty", what,
		    path));
	}
	*size = (uint64_t)st.st_size;
	return (fd);
}

static int
read_all(struct boot *b, int fd, uint8_t *to, uint64_t size, const char *path,
    const char *what)
{
	uint64_t done = 0;
	ssize_t n;

	while (done < size) {
		n = pread(fd, to + done, size - done, (off_t)done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return (BOOT_FAIL(b, -errno, "cannot read the %s %s: "
			    "%s", what, path, strerror(errno)));
		if (n == 0)
			return (BOOT_FAIL(b, -EIO, "the %s %s shrank while it "
			    "was read", what, path));
		done += (uint64_t)n;
	}
	return (0);
}

int
boot_file_read(struct boot *b, struct boot_image *im, const char *path,
    const char *what, uint64_t max)
{
	uint64_t size;
	int error, fd;

	memset(im, 0, sizeof(*im));
	fd = file_open(b, path, what, &size);
	if (fd < 0)
		return (fd);
	if (size > max) {
		close(fd);
		return (BOOT_FAIL(b, -EFBIG, "the %s %s has %llu MiB; the "
		    "limit is %llu", what, path,
		    (unsigned long long)(size >> 20),
		    (unsigned long long)(max >> 20)));
	}
	im->data = malloc(size);
	if (im->data == NULL) {
		close(fd);
		return (BOOT_FAIL(b, -ENOMEM, "no memory to read the %s %s",
		    what, path));
	}
	im->len = size;
	im->path = path;
	error = read_all(b, fd, im->data, size, path, what);
	close(fd);
	if (error != 0)
		boot_file_free(im);
	return (error);
}

void
boot_file_free(struct boot_image *im)
{

	free(im->data);
	memset(im, 0, sizeof(*im));
}

int
boot_file_size(struct boot *b, const char *path, const char *what,
    uint64_t *size)
{
	int fd;

	fd = file_open(b, path, what, size);
	if (fd < 0)
		return (fd);
	close(fd);
	return (0);
}

int
boot_file_load(struct boot *b, const char *path, const char *what,
    uint64_t gpa, uint64_t size)
{
	uint64_t have;
	uint8_t *to;
	int error, fd;

	to = guest_mem_view(b->mem, gpa, size);
	if (to == NULL)
		return (BOOT_FAIL(b, -EFBIG, "the %s %s does not fit into "
		    "guest memory", what, path));
	fd = file_open(b, path, what, &have);
	if (fd < 0)
		return (fd);
	error = read_all(b, fd, to, size, path, what);
	close(fd);
	return (error);
}
