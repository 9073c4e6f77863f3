/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * One connection to an NBD server: connecting, and the commands of an I/O.
 * Locking: see nbd_int.h.  Facts: libnbd(3).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "nbd_int.h"

#define	CONNECT_MS	5000
#define	CHUNK		(1ull << 30)	/* of DISCARD and ZERO */

bool
conn_open(struct nbd_conn *c, struct nbd_disk *d, char *err, size_t errlen)
{
	const char *uri = d->b.path;
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
			return (false);
		}
	}
	if (!nbd_aio_is_ready(nbd))
		goto fail;
	if (!d->b.info.read_only && nbd_is_read_only(nbd) == 1) {
		vmm_fail(err, errlen, 0, "disk %s: the NBD server exports it "
		    "read-only; add readonly=yes", uri);
		nbd_close(nbd);
		return (false);
	}
	memset(c, 0, sizeof(*c));
	c->nbd = nbd;
	c->disk = d;
	return (true);
fail:
	vmm_fail(err, errlen, 0, "disk %s: cannot connect to the NBD server: "
	    "%s; check the URI and that the server runs", uri,
	    nbd_get_error() != NULL ? nbd_get_error() : "unknown error");
	if (nbd != NULL)
		nbd_close(nbd);
	return (false);
}

/* Says goodbye, but waits for no answer. */
void
conn_close(struct nbd_conn *c)
{

	if (c->nbd == NULL)
		return;
	if (nbd_aio_is_ready(c->nbd))
		(void)nbd_aio_disconnect(c->nbd, 0);
	nbd_close(c->nbd);
	c->nbd = NULL;
}

bool
conn_dead(struct nbd_conn *c)
{

	return (c->nbd == NULL || nbd_aio_is_dead(c->nbd) ||
	    nbd_aio_is_closed(c->nbd));
}

int
conn_poll_fd(struct nbd_conn *c, short *events)
{
	unsigned dir;

	*events = 0;
	if (conn_dead(c))
		return (-1);
	dir = nbd_aio_get_direction(c->nbd);
	*events = (short)(((dir & LIBNBD_AIO_DIRECTION_READ) ? POLLIN : 0) |
	    ((dir & LIBNBD_AIO_DIRECTION_WRITE) ? POLLOUT : 0));
	return (nbd_aio_get_fd(c->nbd));
}

/*
 * The socket ends both ways: libnbd sees that as the end of the server and
 * retires every command, and nothing is copied to or from memory after that.
 */
void
conn_cut(struct nbd_conn *c)
{

	if (!conn_dead(c))
		(void)shutdown(nbd_aio_get_fd(c->nbd), SHUT_RDWR);
}

static int
conn_done(void *arg, int *error)
{
	struct backend_io *io = arg;
	struct nbd_conn *c = ((struct nbd_queue *)(void *)io->queue)->conn;

	io->error = *error;
	c->flying--;
	io->next = c->done;
	c->done = io;
	return (1);		/* retire the command */
}

static int64_t
conn_send(struct nbd_conn *c, struct backend_io *io)
{
	nbd_completion_callback cb = { .callback = conn_done,
	    .user_data = io };
	uint64_t n;

	switch (io->op) {
	case BACKEND_READ:
		return (nbd_aio_pread(c->nbd, io->iov->iov_base, io->length,
		    io->offset, cb, 0));
	case BACKEND_WRITE:
		return (nbd_aio_pwrite(c->nbd, io->iov->iov_base, io->length,
		    io->offset, cb, io->fua && c->disk->can_fua ?
		    LIBNBD_CMD_FLAG_FUA : 0));
	case BACKEND_FLUSH:
		return (nbd_aio_flush(c->nbd, cb, 0));
	case BACKEND_DISCARD:
	case BACKEND_ZERO:
		n = io->left < CHUNK ? io->left : CHUNK;
		io->at += n;
		io->left -= n;
		if (io->op == BACKEND_DISCARD)
			return (nbd_aio_trim(c->nbd, n, io->at - n, cb, 0));
		return (nbd_aio_zero(c->nbd, n, io->at - n, cb, 0));
	}
	return (-1);
}

static void
conn_complain(struct nbd_conn *c, const char *what)
{
	struct backend *b = &c->disk->b;

	if (!atomic_exchange(&b->complained, true))
		vmm_log("disk %s: %s: its I/O fails; restart the server, then "
		    "remove the disk and add it again", b->path, what);
}

bool
conn_submit(struct nbd_conn *c, struct backend_io *io)
{

	/* libnbd takes one buffer. */
	if ((io->op == BACKEND_READ || io->op == BACKEND_WRITE) &&
	    io->niov != 1 && (io->error = bounce_begin(io, 4096)) != 0)
		return (true);
	c->flying++;
	if (conn_send(c, io) >= 0)
		return (false);
	c->flying--;
	io->error = EIO;
	conn_complain(c, nbd_get_error());
	return (true);
}

/* A server without FUA: the write is followed by a flush. */
static bool
conn_flush_after(struct nbd_conn *c, struct backend_io *io)
{
	nbd_completion_callback cb = { .callback = conn_done,
	    .user_data = io };

	io->fua = false;
	if (c->disk->can_fua || !c->disk->can_flush)
		return (false);
	c->flying++;
	if (nbd_aio_flush(c->nbd, cb, 0) >= 0)
		return (true);
	c->flying--;
	io->error = EIO;
	return (false);
}

/* true: the I/O has another step, and it is under way. */
static bool
conn_more(struct nbd_conn *c, struct backend_io *io)
{

	if (io->error != 0)
		return (false);
	if (io->left > 0 && (io->op == BACKEND_DISCARD ||
	    io->op == BACKEND_ZERO)) {
		c->flying++;
		if (conn_send(c, io) >= 0)
			return (true);
		c->flying--;
		io->error = EIO;
		return (false);
	}
	return (io->op == BACKEND_WRITE && io->fua && conn_flush_after(c, io));
}

struct backend_io *
conn_run(struct nbd_conn *c)
{
	struct backend_io *io, *list = NULL, *next;

	if (c->flying > 0 && !conn_dead(c) && nbd_poll(c->nbd, 0) < 0)
		conn_complain(c, nbd_get_error());
	io = c->done;
	c->done = NULL;
	for (; io != NULL; io = next) {
		next = io->next;
		if (conn_more(c, io))
			continue;
		if (io->error != 0)
			conn_complain(c, strerror(io->error));
		io->next = list;
		list = io;
	}
	return (list);
}
