/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * log.c: see log.h. The connection to syslogd(8) is made at the start, since
 * a daemon in a sandbox cannot make one.
 */

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "log.h"

static const char *log_tag = "hv";
static bool log_foreground = true, log_debug, log_held;

#define	HELD_MAX	64
#define	HELD_LINE	256
static char held[HELD_MAX][HELD_LINE];
static int held_priority[HELD_MAX], nheld;

void
log_open(const char *tag, bool foreground, bool debug)
{
	log_tag = tag;
	log_foreground = foreground;
	log_debug = debug;
	if (!foreground)
		openlog(tag, LOG_PID | LOG_NDELAY, LOG_DAEMON);
}

static void
emit(int priority, const char *line)
{
	if (log_foreground)
		fprintf(stderr, "%s: %s\n", log_tag, line);
	else
		syslog(priority, "%s", line);
}

void
log_hold(bool hold)
{
	int i;

	log_held = hold;
	if (hold)
		return;
	for (i = 0; i < nheld; i++)
		emit(held_priority[i], held[i]);
	nheld = 0;
}

void
log_msg(int priority, const char *fmt, ...)
{
	char line[1024];
	va_list ap;

	if (priority == LOG_DEBUG && !log_debug)
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (!log_held)
		emit(priority, line);
	else if (nheld < HELD_MAX) {
		held_priority[nheld] = priority;
		snprintf(held[nheld++], HELD_LINE, "%.*s", HELD_LINE - 1,
		    line);
	}
}

const char *
log_text(char *buf, size_t len, const char *text, size_t max)
{
	size_t i, n;

	n = strnlen(text, max);
	for (i = 0; i < n && i + 1 < len; i++)
		buf[i] = text[i] >= 0x20 && text[i] < 0x7f ? text[i] : '?';
	buf[i] = '\0';
	return (buf);
}
