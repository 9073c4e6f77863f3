/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * Inside the NBD back-end: a disk, its connections, its queues.
 *
 * Locking: a connection belongs to one thread: the worker of its queue, or the
 * disk's own thread when the workers share it.  `setup' covers the making and
 * ending of that thread, `users' and `multi'; `lock' covers the lists that
 * workers and that thread pass to each other.
 */
#ifndef _HVK_NBD_INT_H_
#define	_HVK_NBD_INT_H_

#include <libnbd.h>

#include "backend_int.h"

struct nbd_conn {
	struct nbd_handle *nbd;
	struct nbd_disk	*disk;
	unsigned	flying;
	struct backend_io *done;	/* finished inside libnbd's callback */
};

struct nbd_disk {
	struct backend	b;
	bool		can_flush, can_fua, can_zero, can_trim;
	pthread_mutex_t	setup;
	bool		multi;		/* more connections are welcome */
	unsigned	users;		/* queues that share `first' */
	struct nbd_conn	first;		/* kept as long as the disk */
	pthread_t	thread;
	int		wake;		/* eventfd */
	pthread_mutex_t	lock;
	struct backend_io *todo, **todo_end;
	bool		cut;
	bool		quit;
};

struct nbd_queue {
	struct backend_queue q;
	struct nbd_conn	*conn;		/* own, or the disk's */
	struct nbd_conn	own;
	/* When the connection is shared. */
	unsigned	flying;
	int		fd;		/* eventfd: done is not empty */
	struct backend_io *done;	/* lock */
};

/* nbd_conn.c: connect within a deadline; false with one line. */
bool	conn_open(struct nbd_conn *, struct nbd_disk *, char *err,
	    size_t errlen);
void	conn_close(struct nbd_conn *);
/* true: finished already. */
bool	conn_submit(struct nbd_conn *, struct backend_io *);
/* The list of what has finished; the bounce buffers are not undone yet. */
struct backend_io *conn_run(struct nbd_conn *);
/* -1: nothing will come. */
int	conn_poll_fd(struct nbd_conn *, short *events);
bool	conn_dead(struct nbd_conn *);
/* Every request without an answer fails when the connection is run next. */
void	conn_cut(struct nbd_conn *);

/* nbd_share.c */
bool	share_open(struct nbd_disk *, struct nbd_queue *, char *err,
	    size_t errlen);
void	share_close(struct nbd_disk *, struct nbd_queue *);
void	share_submit(struct nbd_disk *, struct nbd_queue *,
	    struct backend_io *);
void	share_cut(struct nbd_disk *);
struct backend_io *share_take(struct nbd_disk *, struct nbd_queue *);

#endif /* _HVK_NBD_INT_H_ */
