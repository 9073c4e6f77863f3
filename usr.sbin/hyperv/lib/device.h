/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * device.h: a character device of hv_utils(4) as the daemons use it. When the
 * path names a socket, the device is one of a kernel that runs in kldrun(1),
 * and the calls go over the socket; nothing else differs.
 *
 * All return -1 with errno set on failure. ENXIO: the device is gone.
 */

#ifndef HV_DEVICE_H
#define	HV_DEVICE_H

#include <sys/types.h>
#include <stdbool.h>

struct device {
	int	fd;
	bool	remote;		/* a socket */
	bool	armed;		/* remote: a poll is unanswered */
};

#define	DEVICE_READY	1	/* device_wait: a request is there */
#define	DEVICE_WAKE	2	/* device_wait: the other one is readable */
#define	DEVICE_GONE	4	/* device_wait: nothing will come any more */

/* For reading and writing, never waiting in a read. */
int	device_open(struct device *, const char *path);
/* The same, waiting a little for one that is just being closed (EBUSY). */
int	device_open_wait(struct device *, const char *path);
void	device_close(struct device *);
/* 0 at the time-out (milliseconds; -1 never), or DEVICE_ bits. */
int	device_wait(struct device *, int wake, int timeout);
/*
 * For who polls fd himself: it becomes readable when a request is there, and
 * has to be armed again after any other call.
 */
int	device_arm(struct device *);
ssize_t	device_read(struct device *, void *, size_t);
ssize_t	device_write(struct device *, const void *, size_t);
int	device_ioctl(struct device *, unsigned long cmd, void *);

#endif
