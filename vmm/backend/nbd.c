/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * A disk behind an NBD server, by libnbd; so also VHD, VHDX and qcow2 through
 * qemu-nbd or nbdkit.  One connection is made to learn about the disk; each
 * worker's queue then has its own.
 *
 * Locking: a connection belongs to the thread of its queue.  Facts: libnbd(3).
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <libnbd.h>

#include "backend_int.h"

#define	CONNECT_MS	5000
#define	CHUNK		(1ull << 30)	/* of DISCARD and ZERO */

struct nbd_disk {
	struct backend	b;
	bool		can_flush, can_fua, can_zero, can_trim;
};

struct nbd_queue {
	struct backend_queue q;
	struct nbd_handle *nbd;
	unsigned	flying;
	struct backend_io *done;	/* finished inside libnbd's callback */
};

static struct nbd_queue *
nbd_queue_of(struct backend_queue *q)
{

	return ((struct nbd_queue *)(void *)q);
}

/* Connect within a deadline; NULL with one line. */
static struct nbd_handle *
nbd_connect_to(const char *uri, bool read_only, char *err, size_t errlen)
{
	struct nbd_handle *nbd;
	uint64_t deadline;
	int left, n;

	nbd = nbd_create();
	if (nbd == NULL)
		goto fail;
	deadline = vmm_deadline(CONNECT_MS);
	if (nbd_aio_connect_uri(nbd, uri) != 0)
		goto fail;
	while (nbd_aio_is_connecting(nbd)) {
		left = vmm_left_ms(deadline);
		n = left > 0 ? nbd_poll(nbd, left) : 0;
		if (n < 0)
			goto fail;
		if (n == 0) {
			vmm_fail(err, errlen, 0, "disk %s: the NBD server does "
			    "not answer within %d s; is it running?", uri,
			    CONNECT_MS / 1000);
			nbd_close(nbd);
			return (NULL);
		}
	}
	if (!nbd_aio_is_ready(nbd))
		goto fail;
	if (!read_only && nbd_is_read_only(nbd) == 1) {
		vmm_fail(err, errlen, 0, "disk %s: the NBD server exports it "
		    "read-only; add readonly=yes", uri);
		nbd_close(nbd);
		return (NULL);
	}
	return (nbd);
fail:
	vmm_fail(err, errlen, 0, "disk %s: cannot connect to the NBD server: "
	    "%s; check the URI and that the server runs", uri,
	    nbd_get_error() != NULL ? nbd_get_error() : "unknown error");
	if (nbd != NULL)
		nbd_close(nbd);
	return (NULL);
}

static int
nbd_done(void *arg, int *error)
{
	struct backend_io *io = arg;
	struct nbd_queue *q = nbd_queue_of(io->queue);

	io->error = *error;
	q->flying--;
	io->next = q->done;
	q->done = io;
	return (1);		/* retire the command */
}

static int64_t
nbd_send(struct nbd_queue *q, struct backend_io *io)
{
	struct nbd_disk *d = (struct nbd_disk *)(void *)q->q.backend;
	nbd_completion_callback cb = { .callback = nbd_done, .user_data = io };
	uint64_t n;

	switch (io->op) {
	case BACKEND_READ:
		return (nbd_aio_pread(q->nbd, io->iov->iov_base, io->length,
		    io->offset, cb, 0));
	case BACKEND_WRITE:
		return (nbd_aio_pwrite(q->nbd, io->iov->iov_base, io->length,
		    io->offset, cb, io->fua && d->can_fua ?
		    LIBNBD_CMD_FLAG_FUA : 0));
	case BACKEND_FLUSH:
		return (nbd_aio_flush(q->nbd, cb, 0));
	case BACKEND_DISCARD:
	case BACKEND_ZERO:
		n = io->left < CHUNK ? io->left : CHUNK;
		io->at += n;
		io->left -= n;
		if (io->op == BACKEND_DISCARD)
			return (nbd_aio_trim(q->nbd, n, io->at - n, cb, 0));
		return (nbd_aio_zero(q->nbd, n, io->at - n, cb, 0));
	}
	return (-1);
}

static void
nbd_complain(struct backend *b, const char *what)
{

	if (!atomic_exchange(&b->complained, true))
		vmm_log("disk %s: %s: its I/O fails; restart the server, then "
		    "remove the disk and add it again", b->path, what);
}

static bool
nbd_submit(struct backend_queue *bq, struct backend_io *io)
{
	struct nbd_queue *q = nbd_queue_of(bq);
	struct nbd_disk *d = (struct nbd_disk *)(void *)bq->backend;

	if (io->op == BACKEND_FLUSH && !d->can_flush)
		return (true);
	if (io->op == BACKEND_ZERO && !d->can_zero) {
		io->error = EOPNOTSUPP;
		return (true);
	}
	if (io->op == BACKEND_DISCARD && !d->can_trim)
		return (true);
	/* libnbd takes one buffer. */
	if ((io->op == BACKEND_READ || io->op == BACKEND_WRITE) &&
	    io->niov != 1 && (io->error = bounce_begin(io, 4096)) != 0)
		return (true);
	q->flying++;
	if (nbd_send(q, io) >= 0)
		return (false);
	q->flying--;
	io->error = EIO;
	bounce_end(io);
	nbd_complain(bq->backend, nbd_get_error());
	return (true);
}

static int
nbd_poll_fd(struct backend_queue *bq, short *events)
{
	struct nbd_queue *q = nbd_queue_of(bq);
	unsigned dir;

	if (nbd_aio_is_dead(q->nbd) || nbd_aio_is_closed(q->nbd))
		return (-1);
	dir = nbd_aio_get_direction(q->nbd);
	*events = (short)(((dir & LIBNBD_AIO_DIRECTION_READ) ? POLLIN : 0) |
	    ((dir & LIBNBD_AIO_DIRECTION_WRITE) ? POLLOUT : 0));
	return (nbd_aio_get_fd(q->nbd));
}

/* A server without FUA: the write is followed by a flush. */
static bool
nbd_flush_after(struct nbd_queue *q, struct backend_io *io)
{
	struct nbd_disk *d = (struct nbd_disk *)(void *)q->q.backend;
	nbd_completion_callback cb = { .callback = nbd_done, .user_data = io };

	io->fua = false;
	if (d->can_fua || !d->can_flush)
		return (false);
	q->flying++;
	if (nbd_aio_flush(q->nbd, cb, 0) >= 0)
		return (true);
	q->flying--;
	io->error = EIO;
	return (false);
}

static unsigned
nbd_poll_run(struct backend_queue *bq)
{
	struct nbd_queue *q = nbd_queue_of(bq);
	struct backend_io *io, *next;
	unsigned n = 0;

	if (q->flying > 0 && !nbd_aio_is_dead(q->nbd) &&
	    nbd_poll(q->nbd, 0) < 0)
		nbd_complain(bq->backend, nbd_get_error());
	io = q->done;
	q->done = NULL;
	for (; io != NULL; io = next) {
		next = io->next;
		if (io->error == 0 && io->left > 0 &&
		    (io->op == BACKEND_DISCARD || io->op == BACKEND_ZERO)) {
			q->flying++;
			if (nbd_send(q, io) >= 0)
				continue;
			q->flying--;
			io->error = EIO;
		}
		if (io->error == 0 && io->op == BACKEND_WRITE && io->fua &&
		    nbd_flush_after(q, io))
			continue;
		if (io->error != 0)
			nbd_complain(bq->backend, strerror(io->error));
		bounce_end(io);
		io->done(io);
		n++;
	}
	return (n);
}

static void
nbd_queue_close(struct backend_queue *bq)
{
	struct nbd_queue *q = nbd_queue_of(bq);

	if (nbd_aio_is_ready(q->nbd))
		(void)nbd_aio_disconnect(q->nbd, 0);
	nbd_close(q->nbd);
	free(q);
}

static struct backend_queue *
nbd_queue_open(struct backend *b, struct backend_loop *loop, char *err,
    size_t errlen)
{
	struct nbd_queue *q;

	(void)loop;
	q = calloc(1, sizeof(*q));
	if (q == NULL) {
		vmm_fail(err, errlen, 0, "out of memory for disk %s", b->path);
		return (NULL);
	}
	q->nbd = nbd_connect_to(b->path, b->info.read_only, err, errlen);
	if (q->nbd == NULL) {
		free(q);
		return (NULL);
	}
	q->q.poll_fd = nbd_poll_fd;
	q->q.poll_run = nbd_poll_run;
	return (&q->q);
}

static void
nbd_disk_close(struct backend *b)
{

	free(b);
}

static const struct backend_ops nbd_ops = {
	.close = nbd_disk_close,
	.queue_open = nbd_queue_open,
	.queue_close = nbd_queue_close,
	.submit = nbd_submit,
};

static int
nbd_describe(struct nbd_disk *d, struct nbd_handle *nbd, uint32_t sector,
    char *err, size_t errlen)
{
	int64_t min, size;

	size = nbd_get_size(nbd);
	if (size < (int64_t)sector)
		return (vmm_fail(err, errlen, -EINVAL, "disk %s is too small: "
		    "%" PRId64 " bytes, less than one sector of %u; export a "
		    "larger one", d->b.path, size, sector));
	min = nbd_get_block_size(nbd, LIBNBD_SIZE_MINIMUM);
	if (min > (int64_t)sector)
		return (vmm_fail(err, errlen, -EINVAL, "disk %s: the NBD "
		    "server needs blocks of %" PRId64 " bytes; add sector=4096",
		    d->b.path, min));
	d->b.info.size = (uint64_t)size;
	d->can_flush = nbd_can_flush(nbd) == 1;
	d->can_fua = nbd_can_fua(nbd) == 1;
	d->can_zero = nbd_can_zero(nbd) == 1;
	d->can_trim = nbd_can_trim(nbd) == 1;
	d->b.info.discard = d->can_trim && !d->b.info.read_only;
	d->b.info.rotational = nbd_is_rotational(nbd) == 1;
	return (0);
}

struct backend *
nbd_open(const json_t *disk, char *err, size_t errlen)
{
	const char *uri = json_string_value(json_object_get(disk, "path"));
	json_int_t sector = json_integer_value(json_object_get(disk,
	    "sector"));
	struct nbd_handle *nbd;
	struct nbd_disk *d;
	int error;

	d = calloc(1, sizeof(*d));
	if (d == NULL || (d->b.path = strdup(uri)) == NULL) {
		free(d);
		vmm_fail(err, errlen, 0, "out of memory for disk %s", uri);
		return (NULL);
	}
	d->b.ops = &nbd_ops;
	d->b.info.kind = "nbd";
	d->b.info.read_only = json_is_true(json_object_get(disk, "readonly"));
	nbd = nbd_connect_to(uri, d->b.info.read_only, err, errlen);
	if (nbd == NULL) {
		backend_close(&d->b);
		return (NULL);
	}
	error = nbd_describe(d, nbd, sector > 0 ? (uint32_t)sector : 512, err,
	    errlen);
	(void)nbd_shutdown(nbd, 0);
	nbd_close(nbd);
	if (error != 0) {
		backend_close(&d->b);
		return (NULL);
	}
	return (&d->b);
}
