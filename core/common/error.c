/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 */

/*
 * What the core's results are called in messages.
 */

#include <hvk/error.h>
#include <hvk/types.h>

const char *
hvk_strerror(int error)
{
	switch (error) {
	case HVK_OK:
		return ("success");
	case HVK_AGAIN:
		return ("nothing there or no room");
	case HVK_REJECT:
		return ("bad message");
	case HVK_FATAL:
		return ("the peer broke the protocol");
	case HVK_STATE:
		return ("wrong state");
	case HVK_NOSPACE:
		return ("table full");
	case HVK_RANGE:
		return ("argument out of range");
	default:
		return ("unknown error");
	}
}
