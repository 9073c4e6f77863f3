/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * service.h: what makes a program a daemon: the common options, going into
 * the background, the pid file, the signals that end it, the wait for requests.
 */

#ifndef HV_SERVICE_H
#define	HV_SERVICE_H

#include <stdbool.h>
#include <stddef.h>

struct device;

struct service {
	const char	*name;		/* for messages and the pid file */
	const char	*pidfile;
	bool		foreground;
	bool		debug;
	int		pidfd;
	int		stop;		/* readable once it should end */
};

/* Takes the pid file, or exits: another has it. */
void	service_take(struct service *);
/*
 * After that: detaches unless in the foreground, opens the log, catches
 * SIGTERM, SIGINT and SIGHUP.
 */
void	service_start(struct service *);
/*
 * Wait for a request: 1 when one is there, 0 when `stop' is readable, which is
 * how a daemon is asked to end, -1 when nothing will come any more (logged).
 */
int	service_wait(struct device *, int stop);
/* The same, and the request itself, whole. */
int	service_next(struct device *, int stop, void *, size_t);
/* Removes the pid file. */
void	service_end(struct service *);

#endif
