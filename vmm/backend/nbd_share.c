/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * One connection for all workers, for an NBD server that does not promise that
 * several see the same data (or that takes no more clients): a thread of the
 * disk owns it, takes the workers' requests and hands the results back.
 * Locking: see nbd_int.h.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "nbd_int.h"

static void
ring_bell(struct nbd_disk *d, int fd)
{
	uint64_t one = 1;

	if (write(fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
		vmm_log("disk %s: cannot wake a thread", d->b.path);
}

static void
clear_bell(int fd)
{
	uint64_t count;

	if (read(fd, &count, sizeof(count)) < 0)
		count = 0;	/* not rung: it is non-blocking */
}

static void
hand_back(struct nbd_disk *d, struct backend_io *io)
{
	struct nbd_queue *q = (struct nbd_queue *)(void *)io->queue;

	pthread_mutex_lock(&d->lock);
	if (q->done == NULL)
		ring_bell(d, q->fd);
	io->next = q->done;
	q->done = io;
	pthread_mutex_unlock(&d->lock);
}

static void
share_wait(struct nbd_disk *d)
{
	struct pollfd fds[2];

	fds[0].fd = d->wake;
	fds[0].events = POLLIN;
	fds[1].fd = conn_poll_fd(&d->first, &fds[1].events);
	fds[0].revents = fds[1].revents = 0;
	(void)poll(fds, fds[1].fd < 0 ? 1 : 2, 1000);
	if ((fds[0].revents & POLLIN) != 0)
		clear_bell(d->wake);
}

static void *
share_main(void *arg)
{
	struct nbd_disk *d = arg;
	struct backend_io *io, *next;
	bool cut, quit;

	for (;;) {
		pthread_mutex_lock(&d->lock);
		io = d->todo;
		d->todo = NULL;
		d->todo_end = &d->todo;
		cut = d->cut;
		quit = d->quit;
		pthread_mutex_unlock(&d->lock);
		if (quit)
			return (NULL);
		for (; io != NULL; io = next) {
			next = io->next;
			if (conn_submit(&d->first, io))
				hand_back(d, io);
		}
		if (cut)
			conn_cut(&d->first);
		for (io = conn_run(&d->first); io != NULL; io = next) {
			next = io->next;
			hand_back(d, io);
		}
		share_wait(d);
	}
}

/* setup held */
static bool
share_start(struct nbd_disk *d, char *err, size_t errlen)
{

	d->quit = d->cut = false;
	d->todo = NULL;
	d->todo_end = &d->todo;
	if (conn_dead(&d->first)) {
		conn_close(&d->first);
		if (!conn_open(&d->first, d, err, errlen))
			return (false);
		d->b.complained = false;
	}
	d->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (d->wake >= 0 && vmm_thread(&d->thread, "hvk-nbd", share_main,
	    d) == 0)
		return (true);
	if (d->wake >= 0)
		close(d->wake);
	vmm_fail(err, errlen, 0, "disk %s: cannot start a thread", d->b.path);
	return (false);
}

bool
share_open(struct nbd_disk *d, struct nbd_queue *q, char *err, size_t errlen)
{
	bool ok = true;

	q->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (q->fd < 0) {
		vmm_fail(err, errlen, 0, "disk %s: no more files", d->b.path);
		return (false);
	}
	pthread_mutex_lock(&d->setup);
	if (d->users == 0)
		ok = share_start(d, err, errlen);
	if (ok)
		d->users++;
	pthread_mutex_unlock(&d->setup);
	if (ok)
		q->conn = &d->first;
	else
		close(q->fd);
	return (ok);
}

void
share_close(struct nbd_disk *d, struct nbd_queue *q)
{

	pthread_mutex_lock(&d->setup);
	if (--d->users == 0) {
		pthread_mutex_lock(&d->lock);
		d->quit = true;
		pthread_mutex_unlock(&d->lock);
		ring_bell(d, d->wake);
		pthread_join(d->thread, NULL);
		close(d->wake);
	}
	pthread_mutex_unlock(&d->setup);
	close(q->fd);
}

void
share_submit(struct nbd_disk *d, struct nbd_queue *q, struct backend_io *io)
{
	bool first;

	q->flying++;
	io->next = NULL;
	pthread_mutex_lock(&d->lock);
	first = d->todo == NULL;
	*d->todo_end = io;
	d->todo_end = &io->next;
	pthread_mutex_unlock(&d->lock);
	if (first)
		ring_bell(d, d->wake);
}

void
share_cut(struct nbd_disk *d)
{

	pthread_mutex_lock(&d->lock);
	d->cut = true;
	pthread_mutex_unlock(&d->lock);
	ring_bell(d, d->wake);
}

struct backend_io *
share_take(struct nbd_disk *d, struct nbd_queue *q)
{
	struct backend_io *io, *list;

	if (q->flying == 0)
		return (NULL);
	pthread_mutex_lock(&d->lock);
	list = q->done;
	q->done = NULL;
	if (list != NULL)
		clear_bell(q->fd);
	pthread_mutex_unlock(&d->lock);
	for (io = list; io != NULL; io = io->next)
		q->flying--;
	return (list);
}
