/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * log.h: messages of a daemon: to syslog(3), or to standard error when it runs
 * in the foreground. Bytes of the host's are shown by log_text() only.
 */

#ifndef HV_LOG_H
#define	HV_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <syslog.h>

/* debug: LOG_DEBUG is shown too. */
void	log_open(const char *tag, bool foreground, bool debug);
void	log_msg(int priority, const char *fmt, ...)
	    __attribute__((__format__(__printf__, 2, 3)));
/*
 * While held, messages wait in memory: whoever writes them to a file may not
 * be able to.
 */
void	log_hold(bool);
/* Text of unknown origin, made printable; buf is returned. */
const char *log_text(char *buf, size_t len, const char *text, size_t max);

#endif
