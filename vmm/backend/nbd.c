/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * A disk behind an NBD server, by libnbd; so also VHD, VHDX and qcow2 through
 * qemu-nbd or nbdkit.  The connection that learns about the disk stays, as some
 * servers end with their last client.  If the server says that several
 * connections see the same data each worker's queue has its own; otherwise,
 * or if it takes no more of them, the workers share the first.
 *
 * Locking: see nbd_int.h.  Facts: libnbd(3), the NBD protocol's
 * NBD_FLAG_CAN_MULTI_CONN.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "nbd_int.h"

static struct nbd_queue *
nbd_queue_of(struct backend_queue *q)
{

	return ((struct nbd_queue *)(void *)q);
}

static struct nbd_disk *
nbd_disk_of(struct backend *b)
{

	return ((struct nbd_disk *)(void *)b);
}

static bool
nbd_submit(struct backend_queue *bq, struct backend_io *io)
{
	struct nbd_queue *q = nbd_queue_of(bq);
	struct nbd_disk *d = nbd_disk_of(bq->backend);

	if (io->op == BACKEND_FLUSH && !d->can_flush)
		return (true);
	if (io->op == BACKEND_ZERO && !d->can_zero) {
		io->error = EOPNOTSUPP;
		return (true);
	}
	if (io->op == BACKEND_DISCARD && !d->can_trim)
		return (true);
	if (q->conn != &q->own) {
		share_submit(d, q, io);
		return (false);
	}
	if (!conn_submit(q->conn, io))
		return (false);
	bounce_end(io);
	return (true);
}

static int
nbd_poll_fd(struct backend_queue *bq, short *events)
{
	struct nbd_queue *q = nbd_queue_of(bq);

	if (q->conn == &q->own)
		return (conn_poll_fd(q->conn, events));
	*events = POLLIN;
	return (q->fd);
}

static unsigned
nbd_poll_run(struct backend_queue *bq)
{
	struct nbd_queue *q = nbd_queue_of(bq);
	struct backend_io *io, *next;
	unsigned n = 0;

	io = q->conn == &q->own ? conn_run(q->conn) :
	    share_take(nbd_disk_of(bq->backend), q);
	for (; io != NULL; io = next) {
		next = io->next;
		bounce_end(io);
		io->done(io);
		n++;
	}
	return (n);
}

static void
nbd_abandon(struct backend_queue *bq)
{
	struct nbd_queue *q = nbd_queue_of(bq);

	if (q->conn == &q->own ? q->own.flying == 0 : q->flying == 0)
		return;
	if (!atomic_exchange(&bq->backend->complained, true))
		vmm_log("disk %s: the NBD server is silent: its connection is "
		    "cut and what it did not answer fails; restart the server, "
		    "then remove the disk and add it again",
		    bq->backend->path);
	if (q->conn == &q->own)
		conn_cut(q->conn);
	else
		share_cut(nbd_disk_of(bq->backend));
}

static void
nbd_queue_close(struct backend_queue *bq)
{
	struct nbd_queue *q = nbd_queue_of(bq);

	if (q->conn == &q->own)
		conn_close(q->conn);
	else
		share_close(nbd_disk_of(bq->backend), q);
	free(q);
}

/* false: share the first. */
static bool
nbd_own(struct nbd_disk *d, struct nbd_queue *q)
{
	char err[VMM_ERRLEN];
	bool ok;

	pthread_mutex_lock(&d->setup);
	ok = d->multi && conn_open(&q->own, d, err, sizeof(err));
	if (d->multi && !ok) {
		d->multi = false;
		vmm_log("%s; its workers share one connection", err);
	}
	pthread_mutex_unlock(&d->setup);
	if (ok)
		q->conn = &q->own;
	return (ok);
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
	if (!nbd_own(nbd_disk_of(b), q) &&
	    !share_open(nbd_disk_of(b), q, err, errlen)) {
		free(q);
		return (NULL);
	}
	q->q.poll_fd = nbd_poll_fd;
	q->q.poll_run = nbd_poll_run;
	q->q.abandon = nbd_abandon;
	return (&q->q);
}

static void
nbd_disk_close(struct backend *b)
{
	struct nbd_disk *d = nbd_disk_of(b);

	conn_close(&d->first);
	pthread_mutex_destroy(&d->setup);
	pthread_mutex_destroy(&d->lock);
	free(d);
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
	d->multi = nbd_can_multi_conn(nbd) == 1;
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
	struct nbd_disk *d;

	d = calloc(1, sizeof(*d));
	if (d == NULL || (d->b.path = strdup(uri)) == NULL) {
		free(d);
		vmm_fail(err, errlen, 0, "out of memory for disk %s", uri);
		return (NULL);
	}
	pthread_mutex_init(&d->setup, NULL);
	pthread_mutex_init(&d->lock, NULL);
	d->b.ops = &nbd_ops;
	d->b.info.kind = "nbd";
	d->b.info.read_only = json_is_true(json_object_get(disk, "readonly"));
	if (!conn_open(&d->first, d, err, errlen) || nbd_describe(d,
	    d->first.nbd, sector > 0 ? (uint32_t)sector : 512, err,
	    errlen) != 0) {
		backend_close(&d->b);
		return (NULL);
	}
	return (&d->b);
}
