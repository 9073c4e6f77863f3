/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * A raw image file or block device.  An I/O is a series of steps (a short read
 * or write goes on), each done by io_uring or by a thread of the pool.
 *
 * Locking: size is atomic; everything else is fixed after opening, except
 * `zero', which only ever falls back.  Facts: fallocate(2), open(2) O_DIRECT.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "backend_int.h"

#define	ZERO_CHUNK	(256u << 10)
#define	IOV_LIMIT	1024u
#define	NOW_MAX		(64u << 10)

enum zero_how { ZERO_RANGE, ZERO_PUNCH, ZERO_WRITE };

struct file {
	struct backend	b;
	int		fd;
	bool		device;
	uint32_t	align;		/* of O_DIRECT; 0: none */
	int		now;		/* flags of a read at once; -1: none */
	_Atomic int	zero;		/* enum zero_how */
	_Atomic uint64_t size;
};

/* Both all zeroes and aligned for O_DIRECT. */
static uint8_t zeroes[ZERO_CHUNK] __attribute__((aligned(4096)));

static struct file *
file_of(struct backend_io *io)
{

	return ((struct file *)(void *)io->queue->backend);
}

static void
zero_step(struct backend_io *io)
{

	io->one.iov_base = zeroes;
	io->one.iov_len = io->left < ZERO_CHUNK ? io->left : ZERO_CHUNK;
}

static int
zero_mode(int how)
{

	return (FALLOC_FL_KEEP_SIZE | (how == ZERO_RANGE ?
	    FALLOC_FL_ZERO_RANGE : FALLOC_FL_PUNCH_HOLE));
}

void
file_step_prep(struct backend_io *io, struct io_uring_sqe *sqe)
{
	struct file *f = file_of(io);
	unsigned niov = io->niov < IOV_LIMIT ? io->niov : IOV_LIMIT;
	int how;

	switch (io->op) {
	case BACKEND_READ:
		if (niov == 1)
			io_uring_prep_read(sqe, f->fd, io->iov->iov_base,
			    (unsigned)io->iov->iov_len, io->at);
		else
			io_uring_prep_readv(sqe, f->fd, io->iov, niov, io->at);
		break;
	case BACKEND_WRITE:
		if (niov == 1)
			io_uring_prep_write(sqe, f->fd, io->iov->iov_base,
			    (unsigned)io->iov->iov_len, io->at);
		else
			io_uring_prep_writev(sqe, f->fd, io->iov, niov,
			    io->at);
		if (io->fua)
			sqe->rw_flags = RWF_DSYNC;
		break;
	case BACKEND_FLUSH:
		io_uring_prep_fsync(sqe, f->fd, IORING_FSYNC_DATASYNC);
		break;
	case BACKEND_DISCARD:
		io_uring_prep_fallocate(sqe, f->fd, zero_mode(ZERO_PUNCH),
		    (off_t)io->at, (off_t)io->left);
		break;
	case BACKEND_ZERO:
		how = f->zero;
		if (how == ZERO_WRITE) {
			zero_step(io);
			io_uring_prep_write(sqe, f->fd, io->one.iov_base,
			    (unsigned)io->one.iov_len, io->at);
			break;
		}
		io_uring_prep_fallocate(sqe, f->fd, zero_mode(how),
		    (off_t)io->at, (off_t)io->left);
		break;
	}
}

int64_t
file_step_sync(struct backend_io *io)
{
	struct file *f = file_of(io);
	int niov = (int)(io->niov < IOV_LIMIT ? io->niov : IOV_LIMIT);
	int64_t n = -1;
	int how;

	switch (io->op) {
	case BACKEND_READ:
		n = preadv(f->fd, io->iov, niov, (off_t)io->at);
		break;
	case BACKEND_WRITE:
		n = pwritev2(f->fd, io->iov, niov, (off_t)io->at,
		    io->fua ? RWF_DSYNC : 0);
		break;
	case BACKEND_FLUSH:
		n = fdatasync(f->fd);
		break;
	case BACKEND_DISCARD:
		n = fallocate(f->fd, zero_mode(ZERO_PUNCH), (off_t)io->at,
		    (off_t)io->left);
		break;
	case BACKEND_ZERO:
		how = f->zero;
		if (how != ZERO_WRITE) {
			n = fallocate(f->fd, zero_mode(how), (off_t)io->at,
			    (off_t)io->left);
			break;
		}
		zero_step(io);
		n = pwrite(f->fd, io->one.iov_base, io->one.iov_len,
		    (off_t)io->at);
		break;
	}
	return (n < 0 ? -errno : n);
}

static uint64_t
file_size(const struct file *f)
{
	struct stat st;
	uint64_t n;

	if (f->device)
		return (ioctl(f->fd, BLKGETSIZE64, &n) == 0 ? n : 0);
	return (fstat(f->fd, &st) == 0 ? (uint64_t)st.st_size : 0);
}

/* Once for each disk: what an administrator must know. */
static void
file_complain(struct file *f, int error)
{
	uint64_t have, want;

	if (atomic_exchange(&f->b.complained, true))
		return;
	have = file_size(f);
	want = f->size;
	if (have < want)
		vmm_log("disk %s shrank from %" PRIu64 " to %" PRIu64 " bytes "
		    "while in use: I/O past its end fails; grow it back with: "
		    "truncate -s %" PRIu64 " %s", f->b.path, want, have, want,
		    f->b.path);
	else if (error == ENOSPC)
		vmm_log("disk %s: its file system is full: writes fail; make "
		    "room there", f->b.path);
	else
		vmm_log("disk %s: I/O fails: %s; check the medium it is on",
		    f->b.path, strerror(error));
}

static bool
file_failed(struct backend_io *io, int error)
{
	struct file *f = file_of(io);
	int how;

	if (error == EAGAIN || error == EINTR)
		return (false);
	if (io->op == BACKEND_ZERO && (error == EOPNOTSUPP ||
	    error == EINVAL || error == ENOSYS)) {
		how = f->zero;
		if (how != ZERO_WRITE) {
			f->zero = how == ZERO_RANGE && f->b.info.discard ?
			    ZERO_PUNCH : ZERO_WRITE;
			return (false);
		}
	}
	io->error = error;
	file_complain(f, error);
	return (true);
}

bool
file_step_done(struct backend_io *io, int64_t result)
{

	if (result < 0)
		return (file_failed(io, (int)-result));
	switch (io->op) {
	case BACKEND_READ:
	case BACKEND_WRITE:
		if (result == 0 || (uint64_t)result > io->left) {
			io->error = EIO;
			file_complain(file_of(io), EIO);
			return (true);
		}
		io->at += (uint64_t)result;
		io->left -= (uint64_t)result;
		iov_advance(io, (uint64_t)result);
		return (io->left == 0);
	case BACKEND_ZERO:
		if (result == 0)	/* fallocate: the whole range */
			return (true);
		io->at += (uint64_t)result;
		io->left -= (uint64_t)result;
		return (io->left == 0);
	default:
		return (true);
	}
}

static bool
misaligned(const struct file *f, const struct backend_io *io)
{
	uintptr_t bits = 0;
	uint32_t i;

	if (f->align == 0 || (io->op != BACKEND_READ &&
	    io->op != BACKEND_WRITE))
		return (false);
	for (i = 0; i < io->niov; i++)
		bits |= (uintptr_t)io->iov[i].iov_base | io->iov[i].iov_len;
	return ((bits & (f->align - 1)) != 0);
}

/*
 * A short read of what is in memory anyway is done sooner than a ring could
 * pass it on; what is not there is left to the loop.
 */
static bool
file_try_now(struct file *f, struct backend_io *io)
{
	ssize_t n;

	if (io->op != BACKEND_READ || f->now < 0 || io->length > NOW_MAX ||
	    io->niov > IOV_LIMIT)
		return (false);
	n = preadv2(f->fd, io->iov, (int)io->niov, (off_t)io->at, f->now);
	if (n <= 0)
		return (false);
	io->at += (uint64_t)n;
	io->left -= (uint64_t)n;
	iov_advance(io, (uint64_t)n);
	return (io->left == 0);
}

static bool
file_submit(struct backend_queue *q, struct backend_io *io)
{
	struct file *f = (struct file *)(void *)q->backend;

	if (misaligned(f, io) && (io->error = bounce_begin(io, f->align)) != 0)
		return (true);
	if (file_try_now(f, io))
		return (true);
	if (q->loop->uring)
		loop_uring_push(q->loop, io);
	else
		pool_submit(q->loop->pool, io);
	return (false);
}

static void
file_close(struct backend *b)
{
	struct file *f = (struct file *)(void *)b;

	if (f->fd >= 0)
		close(f->fd);
	free(f);
}

static uint64_t
file_refresh(struct backend *b)
{
	struct file *f = (struct file *)(void *)b;

	f->size = b->info.size = file_size(f);
	b->complained = false;
	return (f->size);
}

static int
file_resize(struct backend *b, uint64_t size, char *err, size_t errlen)
{
	struct file *f = (struct file *)(void *)b;

	if (f->device)
		return (vmm_fail(err, errlen, -EOPNOTSUPP, "disk %s is a block "
		    "device: resize the device, then run disk resize without "
		    "a size", b->path));
	if (b->info.read_only)
		return (vmm_fail(err, errlen, -EROFS, "disk %s is read-only: "
		    "add it again without readonly to resize it", b->path));
	if (size < file_size(f))
		return (vmm_fail(err, errlen, -EINVAL, "disk %s would shrink "
		    "and lose data; only growing is supported", b->path));
	if (ftruncate(f->fd, (off_t)size) != 0)
		return (vmm_fail(err, errlen, -errno, "disk %s cannot grow to "
		    "%" PRIu64 " bytes: %s", b->path, size, strerror(errno)));
	file_refresh(b);
	return (0);
}

static struct backend_queue *
file_queue_open(struct backend *b, struct backend_loop *loop, char *err,
    size_t errlen)
{
	struct backend_queue *q;

	(void)loop;
	q = calloc(1, sizeof(*q));
	if (q == NULL)
		vmm_fail(err, errlen, 0, "out of memory for disk %s", b->path);
	return (q);
}

static void
file_queue_close(struct backend_queue *q)
{

	free(q);
}

static const struct backend_ops file_ops = {
	.close = file_close,
	.resize = file_resize,
	.refresh = file_refresh,
	.queue_open = file_queue_open,
	.queue_close = file_queue_close,
	.submit = file_submit,
};

static int
file_no_open(const char *path, bool read_only, int error, char *err,
    size_t errlen)
{

	if (error == ENOENT)
		return (vmm_fail(err, errlen, -error, "disk image %s does not "
		    "exist; make one with: truncate -s 8G %s", path, path));
	if (!read_only && (error == EACCES || error == EROFS ||
	    error == EPERM || error == ETXTBSY))
		return (vmm_fail(err, errlen, -error, "disk image %s cannot "
		    "be opened for writing (%s); make it writable or add "
		    "readonly=yes", path, strerror(error)));
	return (vmm_fail(err, errlen, -error, "disk image %s cannot be "
	    "opened: %s", path, strerror(error)));
}

/* The alignment that O_DIRECT needs here: by trying. */
static uint32_t
direct_align(int fd)
{
	static const uint32_t tries[] = { 512, 4096 };
	void *p;
	size_t i;

	if (posix_memalign(&p, 8192, 4096) != 0)
		return (0);
	for (i = 0; i < 2; i++) {
		if (pread(fd, (uint8_t *)p + (tries[i] & 4095), tries[i],
		    (off_t)(tries[i] & 4095)) >= 0) {
			free(p);
			return (tries[i]);
		}
	}
	free(p);
	return (0);
}

static void
file_direct(struct file *f, uint32_t sector)
{

	f->align = direct_align(f->fd);
	f->b.info.direct = true;
	if (f->align != 0 && f->align <= sector)
		return;
	vmm_log("disk %s: direct I/O needs %u-byte sectors here; using the "
	    "page cache (sector=%u would avoid it)", f->b.path,
	    f->align == 0 ? 4096 : f->align, f->align == 0 ? 4096 : f->align);
	(void)fcntl(f->fd, F_SETFL, fcntl(f->fd, F_GETFL) & ~O_DIRECT);
	f->b.info.direct = false;
	f->align = 0;
}

/* Which holes and zeroes this file can do: beyond its end nothing changes. */
static void
file_abilities(struct file *f)
{
	off_t end = (off_t)((f->size + 4095) & ~4095ull);
	unsigned short rotational = 0;

	f->zero = ZERO_WRITE;
	if (f->device) {
		f->b.info.discard = true;
		f->zero = ZERO_RANGE;
		if (ioctl(f->fd, BLKROTATIONAL, &rotational) == 0)
			f->b.info.rotational = rotational != 0;
	} else if (fallocate(f->fd, zero_mode(ZERO_PUNCH), end, 4096) == 0) {
		f->b.info.discard = true;
		/* Unlike ZERO_RANGE, which allocates, it may cost no space. */
		f->zero = ZERO_PUNCH;
	}
	f->b.info.discard_zeroes = f->b.info.discard;
}

/* tmpfs is memory and knows no RWF_NOWAIT; a device is never in memory. */
static void
file_now(struct file *f)
{
	struct statfs fs;
	char c;

	f->now = -1;
	if (f->b.info.direct || f->device)
		return;
	if (fstatfs(f->fd, &fs) == 0 && fs.f_type == TMPFS_MAGIC)
		f->now = 0;
	else if (preadv2(f->fd, &(struct iovec){ &c, 1 }, 1, 0,
	    RWF_NOWAIT) >= 0 || errno == EAGAIN)
		f->now = RWF_NOWAIT;
}

static int
file_check(struct file *f, uint32_t sector, char *err, size_t errlen)
{
	struct stat st;

	if (fstat(f->fd, &st) != 0 ||
	    (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode)))
		return (vmm_fail(err, errlen, -EINVAL, "disk image %s is not "
		    "a file or block device", f->b.path));
	f->device = S_ISBLK(st.st_mode);
	if (flock(f->fd, (f->b.info.read_only ? LOCK_SH : LOCK_EX) |
	    LOCK_NB) != 0)
		return (vmm_fail(err, errlen, -EBUSY, "disk image %s is in use "
		    "by another program; stop that, or share it with "
		    "readonly=yes on both sides", f->b.path));
	f->size = f->b.info.size = file_size(f);
	if (f->size < sector)
		return (vmm_fail(err, errlen, -EINVAL, "disk image %s is too "
		    "small: %" PRIu64 " bytes, less than one sector of %u; "
		    "grow it with: truncate -s 64M %s", f->b.path,
		    (uint64_t)f->size, sector, f->b.path));
	if (f->size % sector != 0)
		vmm_log("disk %s: the last %" PRIu64 " bytes are less than a "
		    "sector of %u and cannot be reached", f->b.path,
		    f->size % sector, sector);
	return (0);
}

struct backend *
file_open(const json_t *disk, char *err, size_t errlen)
{
	const char *path = json_string_value(json_object_get(disk, "path"));
	bool direct = json_is_true(json_object_get(disk, "direct"));
	bool ro = json_is_true(json_object_get(disk, "readonly"));
	json_int_t sector = json_integer_value(json_object_get(disk,
	    "sector"));
	struct file *f;
	int flags;

	if (sector <= 0)
		sector = 512;
	f = calloc(1, sizeof(*f));
	if (f == NULL || (f->b.path = strdup(path)) == NULL) {
		free(f);
		vmm_fail(err, errlen, 0, "out of memory for disk %s", path);
		return (NULL);
	}
	f->b.ops = &file_ops;
	f->b.info.kind = "raw";
	f->b.info.read_only = ro;
	flags = (ro ? O_RDONLY : O_RDWR) | O_CLOEXEC;
	f->fd = open(path, flags | (direct ? O_DIRECT : 0));
	if (f->fd < 0 && direct && errno == EINVAL) {
		vmm_log("disk %s: its file system has no direct I/O; using "
		    "the page cache", path);
		direct = false;
		f->fd = open(path, flags);
	}
	if (f->fd < 0) {
		file_no_open(path, ro, errno, err, errlen);
		backend_close(&f->b);
		return (NULL);
	}
	if (file_check(f, (uint32_t)sector, err, errlen) != 0) {
		backend_close(&f->b);
		return (NULL);
	}
	if (direct)
		file_direct(f, (uint32_t)sector);
	file_now(f);
	if (!ro)
		file_abilities(f);
	return (&f->b);
}
