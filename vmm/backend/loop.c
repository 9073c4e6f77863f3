/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * What one worker thread waits for: an io_uring for files (or a pool of
 * threads where the kernel has none to give), and the sockets of NBD disks.
 *
 * Locking: none; a loop belongs to its thread.  Facts: io_uring(7).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backend_int.h"

static int
ring_init(struct io_uring *ring, unsigned depth)
{
	/*
	 * From what this kernel may have to what any has.  Not with deferred
	 * task work: that does not wake a poll() of the ring.
	 */
	static const unsigned flags[] = {
		IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
		0
	};
	size_t i;
	int error = -EINVAL;

	for (i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		error = io_uring_queue_init(depth, ring, flags[i]);
		if (error != -EINVAL)
			break;
	}
	return (error);
}

struct backend_loop *
backend_loop_new(unsigned depth, bool uring)
{
	struct backend_loop *loop;

	loop = calloc(1, sizeof(*loop));
	if (loop == NULL)
		return (NULL);
	loop->uring = uring && ring_init(&loop->ring, depth) == 0;
	if (!loop->uring && (loop->pool = pool_new()) == NULL) {
		free(loop);
		return (NULL);
	}
	return (loop);
}

void
backend_loop_free(struct backend_loop *loop)
{

	if (loop == NULL)
		return;
	if (loop->uring)
		io_uring_queue_exit(&loop->ring);
	else
		pool_free(loop->pool);
	free(loop);
}

bool
backend_loop_busy(const struct backend_loop *loop)
{

	return (loop->flying > 0 || loop->polled != NULL ||
	    loop->pool != NULL);
}

const char *
backend_loop_kind(const struct backend_loop *loop)
{

	return (loop->uring ? "io_uring" : "threads");
}

int
backend_loop_fds(struct backend_loop *loop, struct pollfd *fds, int max)
{
	struct backend_queue *q;
	int n = 0;

	if (n < max) {
		fds[n].fd = loop->uring ? loop->ring.ring_fd :
		    pool_fd(loop->pool);
		fds[n].events = POLLIN;
		fds[n++].revents = 0;
	}
	for (q = loop->polled; q != NULL && n < max; q = q->next) {
		fds[n].fd = q->poll_fd(q, &fds[n].events);
		fds[n].revents = 0;
		if (fds[n].fd >= 0)
			n++;
	}
	return (n);
}

void
backend_loop_submit(struct backend_loop *loop)
{
	int n;

	while (loop->queued > 0) {
		n = io_uring_submit(&loop->ring);
		if (n < 0 && n != -EINTR)
			break;		/* busy: again after reaping */
		if (n > 0)
			loop->queued -= (unsigned)n < loop->queued ?
			    (unsigned)n : loop->queued;
		else if (n == 0)
			break;
	}
}

void
loop_uring_push(struct backend_loop *loop, struct backend_io *io)
{
	struct io_uring_sqe *sqe;

	while ((sqe = io_uring_get_sqe(&loop->ring)) == NULL)
		backend_loop_submit(loop);
	file_step_prep(io, sqe);
	io_uring_sqe_set_data(sqe, io);
	loop->queued++;
	loop->flying++;
}

static unsigned
ring_reap(struct backend_loop *loop)
{
	struct io_uring_cqe *cqe[64];
	struct backend_io *io[64];
	int64_t result[64];
	unsigned done = 0, i, n;

	while (loop->flying > 0) {
		n = io_uring_peek_batch_cqe(&loop->ring, cqe, 64);
		if (n == 0)
			break;
		for (i = 0; i < n; i++) {
			io[i] = io_uring_cqe_get_data(cqe[i]);
			result[i] = cqe[i]->res;
		}
		io_uring_cq_advance(&loop->ring, n);
		loop->flying -= n;
		for (i = 0; i < n; i++) {
			if (!file_step_done(io[i], result[i])) {
				loop_uring_push(loop, io[i]);
				continue;
			}
			bounce_end(io[i]);
			io[i]->done(io[i]);
			done++;
		}
		backend_loop_submit(loop);
	}
	return (done);
}

unsigned
backend_loop_reap(struct backend_loop *loop)
{
	struct backend_queue *next, *q;
	unsigned n;

	n = loop->uring ? ring_reap(loop) : pool_reap(loop->pool);
	for (q = loop->polled; q != NULL; q = next) {
		next = q->next;
		n += q->poll_run(q);
	}
	return (n);
}

void
backend_loop_abandon(struct backend_loop *loop)
{
	struct backend_queue *q;

	for (q = loop->polled; q != NULL; q = q->next)
		q->abandon(q);
}
