/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * What the back-ends share: the operations of a kind of disk, the worker's
 * loop.  Locking: see hvk/backend.h.
 */
#ifndef _HVK_BACKEND_INT_H_
#define	_HVK_BACKEND_INT_H_

#include <liburing.h>
#include <pthread.h>
#include <stdatomic.h>

#include <hvk/backend.h>
#include <hvk/vmm.h>

struct backend_ops {
	void	(*close)(struct backend *);
	int	(*resize)(struct backend *, uint64_t, char *, size_t);
	uint64_t (*refresh)(struct backend *);
	struct backend_queue *(*queue_open)(struct backend *,
		    struct backend_loop *, char *, size_t);
	void	(*queue_close)(struct backend_queue *);
	bool	(*submit)(struct backend_queue *, struct backend_io *);
};

struct backend {		/* begins each kind's own struct */
	const struct backend_ops *ops;
	struct backend_info info;
	char		*path;
	_Atomic bool	complained;	/* the one line has been said */
};

struct backend_queue {		/* begins each kind's own struct */
	struct backend	*backend;
	struct backend_loop *loop;
	/* Only for queues that are polled by themselves. */
	struct backend_queue *next;
	int		(*poll_fd)(struct backend_queue *, short *events);
	unsigned	(*poll_run)(struct backend_queue *);
	void		(*abandon)(struct backend_queue *);
};

struct pool;
struct backend_loop {
	bool		uring;
	struct io_uring	ring;
	unsigned	queued;		/* entries not yet submitted */
	unsigned	flying;		/* submitted to the ring, not reaped */
	struct pool	*pool;		/* when there is no ring */
	struct backend_queue *polled;
};

struct backend *file_open(const json_t *, char *, size_t);
struct backend *nbd_open(const json_t *, char *, size_t);
struct backend *null_open(const json_t *, char *, size_t);

/* file.c: the result of one step of an I/O; true when all of it is done. */
bool	file_step_done(struct backend_io *, int64_t result);
/* file.c: do the next step here, on this thread; its result. */
int64_t	file_step_sync(struct backend_io *);
/* file.c: prepare the next step. */
void	file_step_prep(struct backend_io *, struct io_uring_sqe *);

/* pool.c */
struct pool *pool_new(void);
void	pool_free(struct pool *);
int	pool_fd(struct pool *);
void	pool_submit(struct pool *, struct backend_io *);
unsigned pool_reap(struct pool *);

/* loop.c */
void	loop_uring_push(struct backend_loop *, struct backend_io *);

/* backend.c: take over the vectors by one aligned buffer; 0 or ENOMEM. */
int	bounce_begin(struct backend_io *, size_t align);
void	bounce_end(struct backend_io *);
/* Drop n bytes from the front of the vectors. */
void	iov_advance(struct backend_io *, uint64_t n);

#endif /* _HVK_BACKEND_INT_H_ */
