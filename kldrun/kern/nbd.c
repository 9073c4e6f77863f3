/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * nbd.c: each disk on a unix socket, DIR/da0.nbd, for any NBD client: fixed
 * newstyle handshake, simple replies, many requests in flight on each of many
 * connections. Data is read from the socket straight into guest memory, which
 * is where the controller's busdma looks for it.
 *
 * A connection has a thread that reads requests and one that writes replies.
 * The client is not trusted: what it may make us allocate is bounded.
 *
 * Locking: an export's `mtx' guards its list of connections, a connection's
 * `mtx' its queue of replies and its budget. The export's lock comes first.
 *
 * Facts: the NBD protocol document of the NetworkBlockDevice project.
 */

#include "cam_var.h"
#include <sys/endian.h>

#define	NBD_MAGIC		0x4e42444d41474943ull
#define	NBD_OPTION_MAGIC	0x49484156454f5054ull
#define	NBD_REPLY_MAGIC		0x0003e889045565a9ull
#define	NBD_REQUEST		0x25609513u
#define	NBD_SIMPLE_REPLY	0x67446698u

enum { OPT_EXPORT_NAME = 1, OPT_ABORT, OPT_LIST, OPT_INFO = 6, OPT_GO };
#define	REP_ACK			1u
#define	REP_SERVER		2u
#define	REP_INFO		3u
#define	REP_ERR_UNSUP		0x80000001u
#define	REP_ERR_INVALID		0x80000003u
#define	REP_ERR_UNKNOWN		0x80000006u

enum { CMD_READ, CMD_WRITE, CMD_DISC, CMD_FLUSH, CMD_TRIM, CMD_ZEROES = 6 };
#define	CMD_FLAG_FUA		1
#define	CMD_FLAG_NO_HOLE	2

#define	MAX_OPTIONS		64
#define	MAX_OPTION_LEN		4096
#define	MAX_REQUEST		(32u << 20)	/* bytes of data */
#define	MAX_BYTES		(32u << 20)	/* in flight, a connection */
#define	MAX_REQUESTS		256		/* the same, in requests */
#define	MAX_CONNECTIONS		32
#define	SMALL			(64 * 1024)	/* buffers kept for reuse */
#define	HANDSHAKE_NS		(10ull * 1000 * 1000 * 1000)
#define	BATCH			32

struct nbd_request {
	struct da_request r;		/* first */
	STAILQ_ENTRY(nbd_request) link;
	struct nbd_conn *conn;
	uint64_t cookie;
	char *buffer;
	uint32_t size;			/* of the buffer */
	uint8_t reply[16];
};
STAILQ_HEAD(nbd_list, nbd_request);

struct nbd_export {
	struct da *da;
	struct mtx mtx;
	char path[256];
	int fd;
	bool stop;
	int threads;
	int nconns;
	u_int next_cpu;
	TAILQ_HEAD(, nbd_conn) conns;
};

struct nbd_conn {
	TAILQ_ENTRY(nbd_conn) link;
	struct nbd_export *ex;
	struct da *da;
	struct mtx mtx;
	int fd;
	int cpu;
	bool no_zeroes;
	bool closing;			/* no more requests will come */
	bool broken;			/* replies cannot be written */
	bool writer_gone;
	u_int inflight;			/* not yet replied to */
	uint32_t bytes;
	struct nbd_list replies;
	struct nbd_list spare;
};

static uint16_t
nbd_flags(const struct da *da)
{
	uint16_t flags;

	flags = 1 << 0 | 1 << 2 | 1 << 8;	/* flags, flush, multi-conn */
	if (da->read_only)
		return (flags | 1 << 1);
	flags |= 1 << 3;			/* FUA */
	if (da->unmap || da->write_same_unmap)
		flags |= 1 << 5;		/* trim */
	if (da->write_same_unmap)
		flags |= 1 << 6;		/* write zeroes */
	return (flags);
}

static int
nbd_option_reply(struct nbd_conn *c, uint32_t option, uint32_t type,
    const void *data, uint32_t len)
{
	uint8_t head[20];
	struct os_iovec iov[2];

	be64enc(head, NBD_REPLY_MAGIC);
	be32enc(head + 8, option);
	be32enc(head + 12, type);
	be32enc(head + 16, len);
	iov[0].base = head;
	iov[0].len = sizeof(head);
	iov[1].base = __DECONST(void *, data);
	iov[1].len = len;
	return (os_fd_writev_all(c->fd, iov, len != 0 ? 2 : 1));
}

static bool
nbd_name_ok(struct nbd_conn *c, const uint8_t *name, uint32_t len)
{
	return (len == 0 || (len == strlen(c->da->name) &&
	    memcmp(name, c->da->name, len) == 0));
}

/* NBD_OPT_INFO and NBD_OPT_GO: 0 go on, 1 transmission begins, -1 error. */
static int
nbd_option_go(struct nbd_conn *c, uint32_t option, const uint8_t *data,
    uint32_t len)
{
	uint8_t info[14];
	uint32_t name;

	if (len < 6 || (name = be32dec(data)) > len - 6 ||
	    len - 6 - name != be16dec(data + 4 + name) * 2u)
		return (nbd_option_reply(c, option, REP_ERR_INVALID, NULL, 0));
	if (!nbd_name_ok(c, data + 4, name))
		return (nbd_option_reply(c, option, REP_ERR_UNKNOWN, NULL, 0));
	be16enc(info, 0);			/* NBD_INFO_EXPORT */
	be64enc(info + 2, c->da->sectors * c->da->sector);
	be16enc(info + 10, nbd_flags(c->da));
	if (nbd_option_reply(c, option, REP_INFO, info, 12) != 0)
		return (-1);
	be16enc(info, 3);			/* NBD_INFO_BLOCK_SIZE */
	be32enc(info + 2, c->da->sector);
	be32enc(info + 6, MAX(c->da->sector, 4096));
	be32enc(info + 10, MAX_REQUEST);
	if (nbd_option_reply(c, option, REP_INFO, info, 14) != 0 ||
	    nbd_option_reply(c, option, REP_ACK, NULL, 0) != 0)
		return (-1);
	return (option == OPT_GO ? 1 : 0);
}

static int
nbd_option_name(struct nbd_conn *c, const uint8_t *data, uint32_t len)
{
	uint8_t reply[10 + 124];

	if (!nbd_name_ok(c, data, len))
		return (-1);		/* this option has no error reply */
	memset(reply, 0, sizeof(reply));
	be64enc(reply, c->da->sectors * c->da->sector);
	be16enc(reply + 8, nbd_flags(c->da));
	return (os_fd_write_all(c->fd, reply, c->no_zeroes ? 10 :
	    sizeof(reply)) != 0 ? -1 : 1);
}

static int
nbd_option_list(struct nbd_conn *c)
{
	uint8_t name[4 + sizeof(c->da->name)];
	uint32_t len;

	len = strlen(c->da->name);
	be32enc(name, len);
	memcpy(name + 4, c->da->name, len);
	if (nbd_option_reply(c, OPT_LIST, REP_SERVER, name, 4 + len) != 0)
		return (-1);
	return (nbd_option_reply(c, OPT_LIST, REP_ACK, NULL, 0));
}

/* Reads with a deadline, so that a silent client holds nothing for ever. */
static int
nbd_read(struct nbd_conn *c, void *data, uint32_t len)
{
	if (os_fd_poll_in(c->fd, os_monotonic_ns() + HANDSHAKE_NS) != 1)
		return (-1);
	return (os_fd_read_all(c->fd, data, len));
}

static int
nbd_option(struct nbd_conn *c)
{
	uint8_t data[MAX_OPTION_LEN], head[16];
	uint32_t len, option;

	if (nbd_read(c, head, sizeof(head)) != 0 ||
	    be64dec(head) != NBD_OPTION_MAGIC)
		return (-1);
	option = be32dec(head + 8);
	len = be32dec(head + 12);
	if (len > sizeof(data) || (len != 0 && nbd_read(c, data, len) != 0))
		return (-1);
	switch (option) {
	case OPT_EXPORT_NAME:
		return (nbd_option_name(c, data, len));
	case OPT_ABORT:
		(void)nbd_option_reply(c, option, REP_ACK, NULL, 0);
		return (-1);
	case OPT_LIST:
		return (len != 0 ? nbd_option_reply(c, option,
		    REP_ERR_INVALID, NULL, 0) : nbd_option_list(c));
	case OPT_INFO:
	case OPT_GO:
		return (nbd_option_go(c, option, data, len));
	default:
		return (nbd_option_reply(c, option, REP_ERR_UNSUP, NULL, 0));
	}
}

static bool
nbd_handshake(struct nbd_conn *c)
{
	uint8_t hello[18], flags[4];
	int i, result;

	be64enc(hello, NBD_MAGIC);
	be64enc(hello + 8, NBD_OPTION_MAGIC);
	be16enc(hello + 16, 3);		/* fixed newstyle, no zeroes */
	if (os_fd_write_all(c->fd, hello, sizeof(hello)) != 0 ||
	    nbd_read(c, flags, sizeof(flags)) != 0 ||
	    (be32dec(flags) & ~3u) != 0)
		return (false);
	c->no_zeroes = (be32dec(flags) & 2) != 0;
	for (i = 0; i < MAX_OPTIONS; i++) {
		result = nbd_option(c);
		if (result != 0)
			return (result > 0);
	}
	return (false);
}

static uint32_t
nbd_error(int error)
{
	switch (error) {
	case 0:
		return (0);
	case EROFS:
		return (1);		/* NBD_EPERM */
	case ENOMEM:
		return (12);
	case EINVAL:
		return (22);
	case ENOSPC:
		return (28);
	case ENXIO:
		return (108);		/* NBD_ESHUTDOWN */
	default:
		return (5);
	}
}

/* A request is over: its reply waits for the writer. */
static void
nbd_done(struct da_request *r)
{
	struct nbd_request *q;
	struct nbd_conn *c;

	q = (struct nbd_request *)r;
	c = q->conn;
	mtx_lock(&c->mtx);
	STAILQ_INSERT_TAIL(&c->replies, q, link);
	wakeup(&c->replies);
	mtx_unlock(&c->mtx);
}

static int
nbd_fill_reply(struct nbd_request *q, struct os_iovec *iov)
{
	int n;

	be32enc(q->reply, NBD_SIMPLE_REPLY);
	be32enc(q->reply + 4, nbd_error(q->r.error));
	be64enc(q->reply + 8, q->cookie);
	iov[0].base = q->reply;
	iov[0].len = sizeof(q->reply);
	n = 1;
	if (q->r.command == DA_READ && q->r.error == 0 && q->r.length != 0) {
		iov[1].base = q->buffer;
		iov[1].len = q->r.length;
		n = 2;
	}
	return (n);
}

static void
nbd_request_free(struct nbd_request *q)
{
	free(q->buffer, M_KLDRUN);
	free(q, M_KLDRUN);
}

static void
nbd_write_batch(struct nbd_conn *c, struct nbd_list *batch)
{
	struct os_iovec iov[2 * BATCH];
	struct nbd_request *q;
	uint32_t bytes;
	int count, n;

	n = 0;
	STAILQ_FOREACH(q, batch, link)
		n += nbd_fill_reply(q, iov + n);
	if (!c->broken && os_fd_writev_all(c->fd, iov, n) != 0) {
		c->broken = true;
		os_fd_shutdown(c->fd);
	}
	count = 0;
	bytes = 0;
	mtx_lock(&c->mtx);
	while ((q = STAILQ_FIRST(batch)) != NULL) {
		STAILQ_REMOVE_HEAD(batch, link);
		count++;
		bytes += q->size;
		if (q->size <= SMALL)
			STAILQ_INSERT_HEAD(&c->spare, q, link);
		else
			nbd_request_free(q);
	}
	c->inflight -= count;
	c->bytes -= bytes;
	wakeup(&c->inflight);
	mtx_unlock(&c->mtx);
}

static void
nbd_writer(void *arg)
{
	struct nbd_conn *c;
	struct nbd_list batch;
	struct nbd_request *q;
	int n;

	c = arg;
	for (;;) {
		STAILQ_INIT(&batch);
		mtx_lock(&c->mtx);
		while (STAILQ_EMPTY(&c->replies) &&
		    !(c->closing && c->inflight == 0))
			msleep(&c->replies, &c->mtx, 0, "nbdrep", hz);
		for (n = 0; n < BATCH &&
		    (q = STAILQ_FIRST(&c->replies)) != NULL; n++) {
			STAILQ_REMOVE_HEAD(&c->replies, link);
			STAILQ_INSERT_TAIL(&batch, q, link);
		}
		if (n == 0) {
			c->writer_gone = true;
			wakeup(&c->writer_gone);
			mtx_unlock(&c->mtx);
			kld_thread_end();
		}
		mtx_unlock(&c->mtx);
		nbd_write_batch(c, &batch);
	}
}

/* A request with room for `size' bytes of data; waits for the budget. */
static struct nbd_request *
nbd_request_get(struct nbd_conn *c, uint32_t size)
{
	struct nbd_request *q;

	mtx_lock(&c->mtx);
	while (c->inflight >= MAX_REQUESTS ||
	    (c->inflight > 0 && c->bytes + MAX(size, SMALL) > MAX_BYTES))
		msleep(&c->inflight, &c->mtx, 0, "nbdmax", hz);
	q = NULL;
	if (size <= SMALL && (q = STAILQ_FIRST(&c->spare)) != NULL)
		STAILQ_REMOVE_HEAD(&c->spare, link);
	c->inflight++;
	c->bytes += MAX(size, SMALL);
	mtx_unlock(&c->mtx);
	if (q != NULL)
		return (q);
	q = malloc(sizeof(*q), M_KLDRUN, M_WAITOK | M_ZERO);
	q->size = MAX(size, SMALL);
	q->buffer = malloc(q->size, M_KLDRUN, M_NOWAIT);
	q->conn = c;
	return (q);
}

/* Payload that nobody wants: it must leave the socket all the same. */
static int
nbd_discard(struct nbd_conn *c, uint32_t len)
{
	uint8_t waste[4096];
	uint32_t n;

	for (; len != 0; len -= n) {
		n = MIN(len, sizeof(waste));
		if (os_fd_read_all(c->fd, waste, n) != 0)
			return (-1);
	}
	return (0);
}

static int
nbd_command(uint16_t type)
{
	switch (type) {
	case CMD_READ:
		return (DA_READ);
	case CMD_WRITE:
		return (DA_WRITE);
	case CMD_FLUSH:
		return (DA_FLUSH);
	case CMD_TRIM:
		return (DA_TRIM);
	case CMD_ZEROES:
		return (DA_ZERO);
	default:
		return (-1);
	}
}

/* Trims and zeroes may be larger than any buffer: they have none. */
static void
nbd_serve(struct nbd_conn *c, const uint8_t *head, uint16_t type,
    uint16_t flags, uint32_t len, int *result)
{
	struct nbd_request *q;
	bool data;
	int error;

	data = type == CMD_READ || type == CMD_WRITE;
	q = nbd_request_get(c, data && len <= MAX_REQUEST ? len : 0);
	q->cookie = be64dec(head + 8);
	memset(&q->r, 0, sizeof(q->r));
	error = 0;
	if (nbd_command(type) < 0 || (data && len == 0) ||
	    (flags & ~(CMD_FLAG_FUA | CMD_FLAG_NO_HOLE)) != 0 ||
	    (type == CMD_ZEROES && !c->da->write_same_unmap) ||
	    (data && len > MAX_REQUEST))
		error = EINVAL;
	else if (q->buffer == NULL)
		error = ENOMEM;
	if (type == CMD_WRITE) {
		if (error != 0)
			*result = nbd_discard(c, len);
		else
			*result = os_fd_read_all(c->fd, q->buffer, len);
		if (*result != 0)
			error = EIO;
	}
	q->r.da = c->da;
	q->r.command = error == 0 ? nbd_command(type) : DA_FLUSH;
	q->r.offset = be64dec(head + 16);
	q->r.length = len;
	q->r.buffer = q->buffer;
	q->r.fua = (flags & CMD_FLAG_FUA) != 0 && type != CMD_FLUSH &&
	    type != CMD_READ;
	q->r.keep = (flags & CMD_FLAG_NO_HOLE) != 0;
	q->r.done = nbd_done;
	q->r.error = error;
	if (error != 0)
		nbd_done(&q->r);
	else
		da_submit(&q->r);
}

static void
nbd_transmission(struct nbd_conn *c)
{
	uint8_t head[28];
	uint16_t type;
	int result;

	for (result = 0; result == 0;) {
		if (os_fd_read_all(c->fd, head, sizeof(head)) != 0 ||
		    be32dec(head) != NBD_REQUEST)
			return;
		type = be16dec(head + 6);
		if (type == CMD_DISC)
			return;
		nbd_serve(c, head, type, be16dec(head + 4),
		    be32dec(head + 24), &result);
	}
}

static void
nbd_conn_free(struct nbd_conn *c)
{
	struct nbd_export *ex;
	struct nbd_request *q;

	ex = c->ex;
	mtx_lock(&ex->mtx);
	TAILQ_REMOVE(&ex->conns, c, link);
	ex->nconns--;
	mtx_unlock(&ex->mtx);
	os_fd_close(c->fd);
	while ((q = STAILQ_FIRST(&c->spare)) != NULL) {
		STAILQ_REMOVE_HEAD(&c->spare, link);
		nbd_request_free(q);
	}
	mtx_destroy(&c->mtx);
	da_release(c->da);
	free(c, M_KLDRUN);
	mtx_lock(&ex->mtx);
	ex->threads--;
	wakeup(ex);
	mtx_unlock(&ex->mtx);
}

static void
nbd_reader(void *arg)
{
	struct nbd_conn *c;

	c = arg;
	kld_set_cpu(c->cpu);
	if (nbd_handshake(c) &&
	    kld_thread_spawn(nbd_writer, c, "nbd replies") == 0) {
		nbd_transmission(c);
		mtx_lock(&c->mtx);
		c->closing = true;
		wakeup(&c->replies);
		while (!c->writer_gone)
			msleep(&c->writer_gone, &c->mtx, 0, "nbdend", hz);
		mtx_unlock(&c->mtx);
	}
	nbd_conn_free(c);
	kld_thread_end();
}

static void
nbd_accept(struct nbd_export *ex, int fd)
{
	struct nbd_conn *c;
	int error;

	c = malloc(sizeof(*c), M_KLDRUN, M_WAITOK | M_ZERO);
	mtx_init(&c->mtx, "nbd connection", NULL, MTX_DEF);
	STAILQ_INIT(&c->replies);
	STAILQ_INIT(&c->spare);
	c->ex = ex;
	c->fd = fd;
	c->da = ex->da;
	da_hold(c->da);
	mtx_lock(&ex->mtx);
	c->cpu = ex->next_cpu++ % mp_ncpus;
	TAILQ_INSERT_TAIL(&ex->conns, c, link);
	ex->nconns++;
	ex->threads++;
	mtx_unlock(&ex->mtx);
	error = kld_thread_spawn(nbd_reader, c, "nbd");
	if (error != 0)
		nbd_conn_free(c);
}

static void
nbd_listener(void *arg)
{
	struct nbd_export *ex;
	int fd;

	ex = arg;
	while (!ex->stop) {
		if (os_fd_poll_in(ex->fd, os_monotonic_ns() +
		    200ull * 1000 * 1000) != 1)
			continue;
		fd = os_unix_accept(ex->fd);
		if (fd < 0)
			continue;
		if (ex->nconns >= MAX_CONNECTIONS)
			os_fd_close(fd);
		else
			nbd_accept(ex, fd);
	}
	mtx_lock(&ex->mtx);
	ex->threads--;
	wakeup(ex);
	mtx_unlock(&ex->mtx);
	kld_thread_end();
}

/* Offer a disk. NULL: there is no run directory, or no socket. */
void *
nbd_export(struct da *da)
{
	struct nbd_export *ex;

	if (os_run_dir() == NULL)
		return (NULL);
	ex = malloc(sizeof(*ex), M_KLDRUN, M_WAITOK | M_ZERO);
	ex->da = da;
	snprintf(ex->path, sizeof(ex->path), "%s/%s.nbd", os_run_dir(),
	    da->name);
	ex->fd = os_unix_listen(ex->path);
	if (ex->fd < 0) {
		printf("%s: cannot listen on %s\n", da->name, ex->path);
		free(ex, M_KLDRUN);
		return (NULL);
	}
	mtx_init(&ex->mtx, "nbd export", NULL, MTX_DEF);
	TAILQ_INIT(&ex->conns);
	da_hold(da);
	ex->threads = 1;
	if (kld_thread_spawn(nbd_listener, ex, "nbd listen") != 0) {
		ex->threads = 0;
		(void)nbd_unexport(da, ex, ~(os_u64)0);
		return (NULL);
	}
	return (ex);
}

/*
 * Send the clients away and wait until the last of them has gone.  False: at
 * that time there are still some, whose requests do not end; to be called again.
 */
bool
nbd_unexport(struct da *da, void *arg, os_u64 until)
{
	struct nbd_export *ex;
	struct nbd_conn *c;

	ex = arg;
	ex->stop = true;
	os_unlink(ex->path);
	mtx_lock(&ex->mtx);
	while (ex->threads > 0) {
		TAILQ_FOREACH(c, &ex->conns, link)
			os_fd_shutdown(c->fd);
		if (os_monotonic_ns() >= until) {
			mtx_unlock(&ex->mtx);
			return (false);
		}
		msleep(ex, &ex->mtx, 0, "nbdbye", MAX(hz / 20, 1));
	}
	mtx_unlock(&ex->mtx);
	os_fd_close(ex->fd);
	mtx_destroy(&ex->mtx);
	free(ex, M_KLDRUN);
	da_release(da);
	return (true);
}
