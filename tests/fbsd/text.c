/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * Printing to the console, time, strings, sysctl and the kernel environment.
 */

#include <sys/sysctl.h>
#include <sys/ttycom.h>
#include <sys/time.h>
#include <kenv.h>

#include "sys.h"

unsigned checks_failed;

/* Every result again, for the end: the kernel may have printed into a line. */
static char report[16384];
static size_t report_len;
static unsigned checks_passed;

struct out {
	char	text[512];
	size_t	len;
};

void *
memcpy(void *to, const void *from, size_t n)
{
	void *at = to;

	__asm__ __volatile__("rep movsb" : "+D" (at), "+S" (from), "+c" (n) : :
	    "memory");
	return (to);
}

void *
memset(void *to, int c, size_t n)
{
	void *at = to;

	__asm__ __volatile__("rep stosb" : "+D" (at), "+c" (n) : "a" (c) :
	    "memory");
	return (to);
}

int
memcmp(const void *a, const void *b, size_t n)
{
	const unsigned char *x = a, *y = b;

	for (size_t i = 0; i < n; i++)
		if (x[i] != y[i])
			return (x[i] - y[i]);
	return (0);
}

size_t
length(const char *s)
{
	size_t n = 0;

	while (s[n] != '\0')
		n++;
	return (n);
}

bool
equal(const char *a, const char *b)
{
	while (*a != '\0' && *a == *b) {
		a++;
		b++;
	}
	return (*a == *b);
}

bool
contains(const char *text, const char *part)
{
	size_t n = length(part);

	for (; length(text) >= n; text++)
		if (memcmp(text, part, n) == 0)
			return (true);
	return (false);
}

static void
put(struct out *o, char c)
{
	if (o->len < sizeof(o->text))
		o->text[o->len++] = c;
}

static void
number(struct out *o, uint64_t v, unsigned base)
{
	char digits[24];
	int n = 0;

	do {
		digits[n++] = "0123456789abcdef"[v % base];
		v /= base;
	} while (v != 0);
	while (n > 0)
		put(o, digits[--n]);
}

/* %s, and %d %u %x with or without l. */
static void
format(struct out *o, const char *f, va_list ap)
{
	const char *s;
	int64_t d;
	bool wide;

	for (; *f != '\0'; f++) {
		if (*f != '%') {
			put(o, *f);
			continue;
		}
		f++;
		wide = *f == 'l';
		if (wide)
			f++;
		switch (*f) {
		case 's':
			for (s = va_arg(ap, const char *); *s != '\0'; s++)
				put(o, *s);
			break;
		case 'd':
			d = wide ? va_arg(ap, long) : va_arg(ap, int);
			if (d < 0)
				put(o, '-');
			number(o, d < 0 ? -(uint64_t)d : (uint64_t)d, 10);
			break;
		case 'u':
		case 'x':
			number(o, wide ? va_arg(ap, unsigned long) :
			    va_arg(ap, unsigned), *f == 'x' ? 16 : 10);
			break;
		default:
			put(o, *f);
		}
	}
}

static void
flush(struct out *o)
{
	(void)sys3(SYS_write, 1, o->text, o->len);
}

void
say(const char *fmt, ...)
{
	struct out o = { .len = 0 };
	va_list ap;

	va_start(ap, fmt);
	format(&o, fmt, ap);
	va_end(ap);
	flush(&o);
}

/* In one write: the kernel prints to the same console. */
void
check(const char *name, bool ok, const char *fmt, ...)
{
	struct out o = { .len = 0 };
	const char *p;
	va_list ap;

	if (ok)
		checks_passed++;
	else
		checks_failed++;
	for (p = "check: "; *p != '\0'; p++)
		put(&o, *p);
	for (p = name; *p != '\0'; p++)
		put(&o, *p);
	for (p = ok ? " ok " : " fail "; *p != '\0'; p++)
		put(&o, *p);
	va_start(ap, fmt);
	format(&o, fmt, ap);
	va_end(ap);
	put(&o, '\n');
	flush(&o);
	if (report_len + o.len <= sizeof(report)) {
		memcpy(report + report_len, o.text, o.len);
		report_len += o.len;
	}
}

/* When nothing else prints any more. */
void
check_report(void)
{
	sleep_ms(1000);
	say("\nreport: begin\n");
	(void)sys3(SYS_write, 1, report, report_len);
	say("report: end, %u ok, %u failed\n", checks_passed, checks_failed);
	/* Out of the terminal's buffer, before the kernel says farewell. */
	(void)sys3(SYS_ioctl, 1, TIOCDRAIN, 0);
	sleep_ms(500);
}

void
sleep_ms(unsigned ms)
{
	struct timespec ts = { .tv_sec = ms / 1000,
	    .tv_nsec = (long)(ms % 1000) * 1000000 };

	(void)sys2(SYS_nanosleep, &ts, 0);
}

uint64_t
now_ms(void)
{
	struct timespec ts = { 0, 0 };

	(void)sys2(SYS_clock_gettime, CLOCK_MONOTONIC, &ts);
	return ((uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000);
}

static bool
by_name(const char *name, void *value, size_t *len)
{
	return (sys6(SYS___sysctlbyname, (long)name, (long)length(name),
	    (long)value, (long)len, 0, 0) == 0);
}

bool
sysctl_text(const char *name, char *text, size_t size)
{
	size_t len = size - 1;

	text[0] = '\0';
	if (!by_name(name, text, &len))
		return (false);
	text[len] = '\0';
	return (true);
}

bool
sysctl_number(const char *name, uint64_t *value)
{
	size_t len = sizeof(*value);

	*value = 0;
	return (by_name(name, value, &len) && (len == 4 || len == 8));
}

long
sysctl_set(const char *name, int value)
{
	return (sys6(SYS___sysctlbyname, (long)name, (long)length(name), 0, 0,
	    (long)&value, sizeof(value)));
}

bool
environment(const char *name, char *text, size_t size)
{
	text[0] = '\0';
	return (sys4(SYS_kenv, KENV_GET, name, text, size) > 0);
}
