/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * sbuf.c: sbuf(9): bounded and growing string buffers, with drains.
 */

#include "kern.h"
#include <sys/ctype.h>
#include <sys/sbuf.h>
#include <sys/stdarg.h>
#include <sys/sysctl.h>

static MALLOC_DEFINE(M_SBUF, "sbuf", "string buffers");

struct sbuf *
sbuf_new(struct sbuf *s, char *buf, int length, int flags)
{
	int dyn;

	dyn = 0;
	if (s == NULL) {
		s = malloc(sizeof(*s), M_SBUF, M_WAITOK | M_ZERO);
		dyn = SBUF_DYNSTRUCT;
	} else
		memset(s, 0, sizeof(*s));
	s->s_flags = flags | dyn;
	s->s_size = length;
	s->s_buf = buf;
	if (buf == NULL) {
		if (length <= 0)
			s->s_size = 256;
		s->s_buf = malloc(s->s_size, M_SBUF, M_WAITOK);
		s->s_flags |= SBUF_DYNAMIC;
	}
	return (s);
}

static int
sysctl_drain(void *arg, const char *data, int len)
{
	struct sysctl_req *req;

	req = arg;
	return (SYSCTL_OUT(req, data, len) == 0 ? len :
	    -ENOMEM);
}

struct sbuf *
sbuf_new_for_sysctl(struct sbuf *s, char *buf, int length,
    struct sysctl_req *req)
{
	s = sbuf_new(s, buf, length, SBUF_FIXEDLEN | SBUF_INCLUDENUL);
	sbuf_set_drain(s, sysctl_drain, req);
	return (s);
}

int
sbuf_get_flags(struct sbuf *s)
{
	return (s->s_flags & SBUF_USRFLAGMSK);
}

void
sbuf_set_flags(struct sbuf *s, int flags)
{
	s->s_flags |= flags & SBUF_USRFLAGMSK;
}

void
sbuf_clear_flags(struct sbuf *s, int flags)
{
	s->s_flags &= ~(flags & SBUF_USRFLAGMSK);
}

void
sbuf_clear(struct sbuf *s)
{
	s->s_flags &= ~SBUF_FINISHED;
	s->s_error = 0;
	s->s_len = 0;
}

int
sbuf_setpos(struct sbuf *s, ssize_t pos)
{
	if (pos < 0 || pos > s->s_len)
		return (-1);
	s->s_len = pos;
	return (0);
}

void
sbuf_set_drain(struct sbuf *s, sbuf_drain_func *func, void *ctx)
{
	s->s_drain_func = func;
	s->s_drain_arg = ctx;
}

int
sbuf_drain(struct sbuf *s)
{
	int n;

	while (s->s_len > 0 && s->s_error == 0) {
		n = s->s_drain_func(s->s_drain_arg, s->s_buf, s->s_len);
		if (n <= 0) {
			s->s_error = n == 0 ? EDEADLK : -n;
			break;
		}
		s->s_len -= n;
		memmove(s->s_buf, s->s_buf + n, s->s_len);
	}
	return (s->s_error);
}

int
sbuf_putc(struct sbuf *s, int c)
{
	char *p;

	if (s->s_error != 0)
		return (-1);
	if (s->s_len + 1 >= s->s_size) {
		if (s->s_drain_func != NULL)
			sbuf_drain(s);
		else if ((s->s_flags & SBUF_AUTOEXTEND) != 0) {
			p = malloc(s->s_size * 2, M_SBUF, M_WAITOK);
			memcpy(p, s->s_buf, s->s_len);
			if ((s->s_flags & SBUF_DYNAMIC) != 0)
				free(s->s_buf, M_SBUF);
			s->s_flags |= SBUF_DYNAMIC;
			s->s_buf = p;
			s->s_size *= 2;
		} else
			s->s_error = ENOMEM;
		if (s->s_error != 0)
			return (-1);
	}
	s->s_buf[s->s_len++] = c;
	return (0);
}

int
sbuf_bcat(struct sbuf *s, const void *buf, size_t len)
{
	const char *p;

	for (p = buf; len > 0; len--)
		if (sbuf_putc(s, *p++) != 0)
			return (-1);
	return (0);
}

int
sbuf_bcpy(struct sbuf *s, const void *buf, size_t len)
{
	sbuf_clear(s);
	return (sbuf_bcat(s, buf, len));
}

int
sbuf_cat(struct sbuf *s, const char *str)
{
	return (sbuf_bcat(s, str, strlen(str)));
}

int
sbuf_cpy(struct sbuf *s, const char *str)
{
	sbuf_clear(s);
	return (sbuf_cat(s, str));
}

static void
put_sbuf(int c, void *arg)
{
	sbuf_putc(arg, c);
}

int
sbuf_vprintf(struct sbuf *s, const char *fmt, va_list ap)
{
	kvprintf(fmt, put_sbuf, s, 10, ap);
	return (s->s_error != 0 ? -1 : 0);
}

int
sbuf_printf(struct sbuf *s, const char *fmt, ...)
{
	va_list ap;
	int error;

	va_start(ap, fmt);
	error = sbuf_vprintf(s, fmt, ap);
	va_end(ap);
	return (error);
}

int
sbuf_trim(struct sbuf *s)
{
	while (s->s_len > 0 && isspace((u_char)s->s_buf[s->s_len - 1]))
		s->s_len--;
	return (0);
}

int
sbuf_error(const struct sbuf *s)
{
	return (s->s_error);
}

int
sbuf_finish(struct sbuf *s)
{
	if ((s->s_flags & SBUF_INCLUDENUL) != 0)
		sbuf_putc(s, '\0');
	if (s->s_drain_func != NULL)
		sbuf_drain(s);
	s->s_buf[s->s_len < s->s_size ? s->s_len : s->s_size - 1] = '\0';
	s->s_flags |= SBUF_FINISHED;
	return (s->s_error);
}

char *
sbuf_data(struct sbuf *s)
{
	return (s->s_buf);
}

ssize_t
sbuf_len(struct sbuf *s)
{
	if (s->s_error != 0)
		return (-1);
	if ((s->s_flags & SBUF_INCLUDENUL) != 0 && s->s_len > 0 &&
	    (s->s_flags & SBUF_FINISHED) != 0)
		return (s->s_len - 1);
	return (s->s_len);
}

int
sbuf_done(const struct sbuf *s)
{
	return ((s->s_flags & SBUF_FINISHED) != 0);
}

void
sbuf_delete(struct sbuf *s)
{
	int dyn;

	dyn = s->s_flags & SBUF_DYNSTRUCT;
	if ((s->s_flags & SBUF_DYNAMIC) != 0)
		free(s->s_buf, M_SBUF);
	if (dyn)
		free(s, M_SBUF);
}
