/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * cdev_var.h: what cdev.c, cdev_serve.c and select.c share: a character
 * device with its socket, and one connection to it, which is one open file.
 *
 * Locking: cdev_lock (an os_lock) guards the list of devices and the counts
 * and lists in them; sel_lock the lists of who waits for an event.
 */

#ifndef KLDRUN_CDEV_VAR_H
#define KLDRUN_CDEV_VAR_H

#include "kern.h"
#include <sys/conf.h>
#include <sys/selinfo.h>
#include <sys/event.h>

#define	CONN_SELECTS	4

struct selfd {
	TAILQ_ENTRY(selfd) link;
	struct selinfo *sip;		/* NULL: free */
	struct cdev_conn *conn;
};

struct kdev {
	struct cdev cdev;		/* first: drivers hold this */
	TAILQ_ENTRY(kdev) link;
	TAILQ_HEAD(, cdev_conn) conns;
	bool gone;			/* no call enters the driver any more */
	int inside;			/* calls in the driver */
	int nopen;
	int threads;
	int refs;
	int fd;				/* listening, or -1 */
	char path[512];
};

struct cdev_conn {
	TAILQ_ENTRY(cdev_conn) link;
	struct kdev *dev;
	struct kthr *thr;
	struct proc *proc;
	int fd;
	int event;			/* selwakeup writes it */
	int fflag;
	bool opened;
	bool polling;			/* a KDEV_POLL is unanswered */
	int events;
	bool watched;			/* the watcher runs */
	void *priv;
	d_priv_dtor_t *dtor;
	struct selfd sel[CONN_SELECTS];
	char *in, *out;			/* KDEV_MAXDATA and a frame each */
};

extern struct os_lock cdev_lock;

/* cdev.c */
struct cdevsw *kdev_enter(struct kdev *);
void kdev_leave(struct kdev *);
void kdev_release(struct kdev *);
void conn_drop_priv(struct cdev_conn *);

/* cdev_serve.c */
void kdev_serve_start(struct kdev *);
void kdev_serve_stop(struct kdev *);

/* select.c */
void conn_forget_selects(struct cdev_conn *);

#endif
