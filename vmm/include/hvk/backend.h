/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * Where a disk's bytes are: a raw file or block device, an NBD server, or
 * nothing (for benchmarks).
 *
 * A `backend' is one disk, shared by threads.  A `backend_loop' belongs to one
 * worker thread and gathers what that thread waits for; a `backend_queue' is
 * the use of one disk by one loop.  Only its own thread touches a loop and its
 * queues.
 *
 * Data is read and written straight from the caller's vectors, which may be
 * memory that a guest changes at any time.  Files are never mapped, so one
 * that shrinks is an I/O error and not a signal.
 */
#ifndef _HVK_BACKEND_H_
#define	_HVK_BACKEND_H_

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include <jansson.h>

enum backend_op {
	BACKEND_READ,
	BACKEND_WRITE,
	BACKEND_FLUSH,
	BACKEND_DISCARD,
	BACKEND_ZERO,
};

struct backend_queue;

struct backend_io {
	enum backend_op	op;
	bool		fua;		/* a write: on the medium when done */
	uint64_t	offset, length;	/* bytes */
	struct iovec	*iov;		/* READ, WRITE; used up */
	uint32_t	niov;
	int		error;		/* when done: 0 or an errno */
	void		(*done)(struct backend_io *);
	/* private */
	struct backend_queue *queue;
	struct backend_io *next;
	uint64_t	at, left;	/* still to do */
	void		*bounce;
	struct iovec	*user;		/* the vectors behind the bounce */
	uint32_t	nuser;
	struct iovec	one;
};

struct backend_info {
	const char	*kind;		/* "raw", "nbd", "null" */
	const char	*path;
	uint64_t	size;		/* bytes */
	uint32_t	physical;	/* sector of the medium, 0 unknown */
	bool		read_only;
	bool		discard;	/* holes can be made */
	bool		discard_zeroes;	/* and read as zeroes */
	bool		direct;		/* past the page cache */
	bool		rotational;
};

struct backend;

/*
 * Open what a disk object of a controller's configuration names (see
 * hvk/stor.h).  NULL with one line in err that says what and how to mend it.
 */
struct backend *backend_open(const json_t *disk, char *err, size_t errlen);
void	backend_close(struct backend *);
void	backend_info(struct backend *, struct backend_info *);
/* A new size, in bytes; -errno with one line. */
int	backend_resize(struct backend *, uint64_t size, char *err,
	    size_t errlen);
/* Look at the size again: bytes. */
uint64_t backend_refresh(struct backend *);

/* On the thread that will use it.  uring false: threads do the I/O. */
struct backend_loop *backend_loop_new(unsigned depth, bool uring);
/* All queues must be closed. */
void	backend_loop_free(struct backend_loop *);
/* What to poll for; returns how many of max were filled in. */
int	backend_loop_fds(struct backend_loop *, struct pollfd *, int max);
/* Push out what was queued. */
void	backend_loop_submit(struct backend_loop *);
/* Call done() of what has finished; returns how many. */
unsigned backend_loop_reap(struct backend_loop *);
/*
 * Wait no longer for what only a server can finish: its connection is cut, and
 * reaping soon finds the I/O, failed.  The kernel's own I/O cannot be cut.
 */
void	backend_loop_abandon(struct backend_loop *);
/* Something is outstanding: reaping may find it. */
bool	backend_loop_busy(const struct backend_loop *);
/* "io_uring" or "threads". */
const char *backend_loop_kind(const struct backend_loop *);

/* NULL with one line in err.  May connect, within a deadline. */
struct backend_queue *backend_queue_open(struct backend *,
	    struct backend_loop *, char *err, size_t errlen);
/* Nothing may be outstanding. */
void	backend_queue_close(struct backend_queue *);
/*
 * true: finished already, io->error is set and done() will not be called;
 * false: done() will be called from backend_loop_reap().
 */
bool	backend_submit(struct backend_queue *, struct backend_io *);

#endif /* _HVK_BACKEND_H_ */
