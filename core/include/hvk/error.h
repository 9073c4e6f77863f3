/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 */

/*
 * The results of every function of the core that can fail.  The values are
 * part of the interface and do not change.
 */

#ifndef HVK_ERROR_H
#define	HVK_ERROR_H

enum hvk_error {
	HVK_OK		= 0,
	HVK_AGAIN	= -1,	/* no room, or nothing there */
	HVK_REJECT	= -2,	/* this message is bad: answer or skip it */
	HVK_FATAL	= -3,	/* the peer broke the channel: stop using it */
	HVK_STATE	= -4,	/* the caller used it in the wrong state */
	HVK_NOSPACE	= -5,	/* a table of the caller is full */
	HVK_RANGE	= -6	/* an argument is out of range */
};

/* A fixed English phrase for messages; never NULL. */
const char	*hvk_strerror(int);

#endif /* !HVK_ERROR_H */
