/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * A few threads that do a loop's file I/O where io_uring is not to be had.
 *
 * Locking: `lock' covers both lists; an I/O on neither belongs to the thread
 * that took it.  The eventfd is written once per batch of finished I/O.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "backend_int.h"

#define	THREADS	4

struct pool {
	pthread_t	thread[THREADS];
	unsigned	nthreads;
	pthread_mutex_t	lock;
	pthread_cond_t	work;
	struct backend_io *todo, **todo_end;
	struct backend_io *done, **done_end;
	int		fd;
	bool		quit;
};

static void *
pool_thread(void *arg)
{
	struct pool *p = arg;
	struct backend_io *io;
	uint64_t one = 1;

	pthread_mutex_lock(&p->lock);
	for (;;) {
		while (p->todo == NULL && !p->quit)
			pthread_cond_wait(&p->work, &p->lock);
		if ((io = p->todo) == NULL)
			break;
		p->todo = io->next;
		if (p->todo == NULL)
			p->todo_end = &p->todo;
		pthread_mutex_unlock(&p->lock);
		while (!file_step_done(io, file_step_sync(io)))
			;
		pthread_mutex_lock(&p->lock);
		io->next = NULL;
		if (p->done == NULL && write(p->fd, &one, sizeof(one)) < 0 &&
		    errno != EAGAIN)
			vmm_log("cannot wake a storage worker: it polls on");
		*p->done_end = io;
		p->done_end = &io->next;
	}
	pthread_mutex_unlock(&p->lock);
	return (NULL);
}

struct pool *
pool_new(void)
{
	struct pool *p;

	p = calloc(1, sizeof(*p));
	if (p == NULL)
		return (NULL);
	p->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (p->fd < 0) {
		free(p);
		return (NULL);
	}
	p->todo_end = &p->todo;
	p->done_end = &p->done;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->work, NULL);
	while (p->nthreads < THREADS && vmm_thread(&p->thread[p->nthreads],
	    "hvk-io", pool_thread, p) == 0)
		p->nthreads++;
	if (p->nthreads == 0) {
		pool_free(p);
		return (NULL);
	}
	return (p);
}

void
pool_free(struct pool *p)
{

	pthread_mutex_lock(&p->lock);
	p->quit = true;
	pthread_cond_broadcast(&p->work);
	pthread_mutex_unlock(&p->lock);
	while (p->nthreads > 0)
		pthread_join(p->thread[--p->nthreads], NULL);
	pthread_cond_destroy(&p->work);
	pthread_mutex_destroy(&p->lock);
	close(p->fd);
	free(p);
}

int
pool_fd(struct pool *p)
{

	return (p->fd);
}

void
pool_submit(struct pool *p, struct backend_io *io)
{

	io->next = NULL;
	pthread_mutex_lock(&p->lock);
	*p->todo_end = io;
	p->todo_end = &io->next;
	pthread_cond_signal(&p->work);
	pthread_mutex_unlock(&p->lock);
}

unsigned
pool_reap(struct pool *p)
{
	struct backend_io *io, *next;
	uint64_t count;
	unsigned n = 0;

	pthread_mutex_lock(&p->lock);
	io = p->done;
	p->done = NULL;
	p->done_end = &p->done;
	if (io != NULL && read(p->fd, &count, sizeof(count)) < 0)
		count = 0;	/* nothing there: it is non-blocking */
	pthread_mutex_unlock(&p->lock);
	for (; io != NULL; io = next) {
		next = io->next;
		bounce_end(io);
		io->done(io);
		n++;
	}
	return (n);
}
