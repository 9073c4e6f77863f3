/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * kdev.h: how a program on Linux uses a character device of a kernel in
 * kldrun: one SOCK_SEQPACKET connection to DIR/dev/NAME is one open file. Each
 * packet is a struct kdev_frame and `len` bytes. The client asks, kldrun
 * answers each request once, in order; but a KDEV_POLL stays unanswered until
 * the device is ready, and any later request ends it (it is then answered
 * first, with no events). The first request is KDEV_OPEN. A device that goes
 * away closes the connection. Same machine, so native byte order.
 */

#ifndef KLDRUN_KDEV_H
#define KLDRUN_KDEV_H

enum kdev_op {
	KDEV_OPEN = 1,	/* flags: KDEV_F_* */
	KDEV_READ,	/* arg: offset; want: bytes */
	KDEV_WRITE,	/* arg: offset; data */
	KDEV_IOCTL,	/* arg: command of FreeBSD; data if it takes any */
	KDEV_POLL,	/* flags: events (POLLIN 1, POLLOUT 4, ...); want: not
			   0, answer at once */
};

#define	KDEV_F_READ	1u
#define	KDEV_F_WRITE	2u
#define	KDEV_F_NONBLOCK	4u

#define	KDEV_MAXDATA	65536u

struct kdev_frame {
	unsigned int op;	/* a reply repeats it */
	unsigned int error;	/* reply: 0 or an errno of Linux */
	unsigned int flags;	/* reply to KDEV_POLL: the events */
	unsigned int want;	/* reply to KDEV_WRITE: bytes taken */
	unsigned long arg;
	unsigned int len;	/* of the data that follows */
	unsigned int pad;
};

#endif
