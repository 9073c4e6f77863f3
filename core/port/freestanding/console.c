/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * The console: the first serial port, polled.  Printing is for one processor at
 * a time; the checks see to that.
 */

#include <stdarg.h>

#include "bsd.h"

#define	COM1		0x3f8
#define	LSR		5
#define	LSR_THRE	0x20

struct out {
	char	*at;		/* NULL: the console */
	size_t	 left;
	int	 n;
};

void
port_console_init(void)
{
	port_outb(COM1 + 1, 0);		/* no interrupts */
	port_outb(COM1 + 3, 0x80);
	port_outb(COM1 + 0, 1);		/* 115200 */
	port_outb(COM1 + 1, 0);
	port_outb(COM1 + 3, 3);		/* 8N1 */
	port_outb(COM1 + 2, 7);
	port_outb(COM1 + 4, 3);
}

static void
serial(char c)
{
	if (c == '\n')
		serial('\r');
	/* Bounded: without a port there is no console, but a machine. */
	for (int i = 0; i < 100000; i++) {
		if (port_inb(COM1 + LSR) & LSR_THRE)
			break;
		port_pause();
	}
	port_outb(COM1, (uint8_t)c);
}

static void
put(struct out *o, char c)
{
	if (o->at == NULL)
		serial(c);
	else if (o->left > 1) {
		*o->at++ = c;
		o->left--;
	}
	o->n++;
}

static void
put_text(struct out *o, const char *s, int width, bool left)
{
	int len = 0;

	while (s[len] != '\0')
		len++;
	for (int i = len; !left && i < width; i++)
		put(o, ' ');
	for (int i = 0; i < len; i++)
		put(o, s[i]);
	for (int i = len; left && i < width; i++)
		put(o, ' ');
}

static void
put_number(struct out *o, uint64_t v, unsigned base, bool negative, int width,
    bool zero, bool left)
{
	char text[24], *p = text + sizeof(text);

	*--p = '\0';
	do {
		*--p = "0123456789abcdef"[v % base];
		v /= base;
	} while (v != 0);
	if (zero)
		while (p > text + 1 && text + sizeof(text) - 1 - p < width)
			*--p = '0';
	if (negative)
		*--p = '-';
	put_text(o, p, width, left);
}

/* The bits that are set, by name: base, then {number, name} each. */
static void
put_bits(struct out *o, uint64_t v, const char *names)
{
	bool any = false;
	int bit;

	put_number(o, v, *names++ == 8 ? 8 : 16, false, 0, false, false);
	while (*names != '\0') {
		bit = *names++ - 1;
		if (v >> bit & 1) {
			put(o, any ? ',' : '<');
			any = true;
		}
		for (; *names > ' '; names++)
			if (v >> bit & 1)
				put(o, *names);
	}
	if (any)
		put(o, '>');
}

static uint64_t
argument(va_list ap, int longs, bool is_signed)
{
	if (longs != 0)
		return (va_arg(ap, uint64_t));
	if (is_signed)
		return ((uint64_t)(int64_t)va_arg(ap, int));
	return (va_arg(ap, unsigned));
}

struct spec {
	bool	left;
	bool	zero;
	int	width;
	int	longs;
};

static const char *
parse(const char *f, struct spec *sp)
{
	*sp = (struct spec){ false, false, 0, 0 };
	for (; *f == '-' || *f == '0'; f++) {
		if (*f == '-')
			sp->left = true;
		else
			sp->zero = true;
	}
	for (; *f >= '0' && *f <= '9'; f++)
		sp->width = sp->width * 10 + *f - '0';
	for (; *f == 'l' || *f == 'j' || *f == 'z'; f++)
		sp->longs++;
	return (f);
}

static void
format(struct out *o, const char *f, va_list ap)
{
	struct spec sp;
	uint64_t v;

	for (; *f != '\0'; f++) {
		if (*f != '%') {
			put(o, *f);
			continue;
		}
		f = parse(f + 1, &sp);
		switch (*f) {
		case 'c':
			put(o, (char)va_arg(ap, int));
			break;
		case 's':
			put_text(o, va_arg(ap, const char *), sp.width,
			    sp.left);
			break;
		case 'd':
			v = argument(ap, sp.longs, true);
			put_number(o, (int64_t)v < 0 ? -v : v, 10,
			    (int64_t)v < 0, sp.width, sp.zero, sp.left);
			break;
		case 'b':
			v = argument(ap, sp.longs, false);
			put_bits(o, v, va_arg(ap, const char *));
			break;
		case 'u':
		case 'x':
			put_number(o, argument(ap, sp.longs, false),
			    *f == 'x' ? 16 : 10, false, sp.width, sp.zero,
			    sp.left);
			break;
		case '\0':
			return;
		default:
			put(o, *f);
		}
	}
}

void
port_printf(const char *f, ...)
{
	struct out o = { NULL, 0, 0 };
	va_list ap;

	va_start(ap, f);
	format(&o, f, ap);
	va_end(ap);
}

int
port_vsnprintf(char *to, size_t size, const char *f, va_list ap)
{
	struct out o = { to, size, 0 };

	if (size == 0)
		return (0);
	format(&o, f, ap);
	*o.at = '\0';
	return (o.n);
}

int
port_snprintf(char *to, size_t size, const char *f, ...)
{
	va_list ap;
	int n;

	va_start(ap, f);
	n = port_vsnprintf(to, size, f, ap);
	va_end(ap);
	return (n);
}

/* For the FreeBSD module's files, whose formats the compiler does not know. */
int
printf(const char *f, ...)
{
	struct out o = { NULL, 0, 0 };
	va_list ap;

	va_start(ap, f);
	format(&o, f, ap);
	va_end(ap);
	return (o.n);
}

void
port_stop(const char *why)
{
	port_printf("check panic fail %s\n", why);
	port_power_off();
}
