/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * printf.c: the kernel's formatted output (printf(9)): printf, log, snprintf
 * and friends with the kernel's own conversions (%b, %D, %y), and the console.
 */

#include "kern.h"
#include <sys/stdarg.h>
#include <sys/syslog.h>

struct sink {
	void (*put)(int, void *);
	void *arg;
	int count;
};

int bootverbose;

static void
emit(struct sink *s, int c)
{
	s->put(c, s->arg);
	s->count++;
}

static void
emit_pad(struct sink *s, int n, int c)
{
	while (n-- > 0)
		emit(s, c);
}

static int
digits(char *buf, uintmax_t v, int base, bool upper)
{
	const char *set;
	int n;

	set = upper ? "0123456789ABCDEF" : "0123456789abcdef";
	n = 0;
	do
		buf[n++] = set[v % base];
	while ((v /= base) != 0);
	return (n);
}

struct spec {
	bool left, zero, plus, space, alt;
	int width, prec, size;	/* size: bytes of the integer argument */
};

static void
emit_number(struct sink *s, struct spec *f, uintmax_t v, bool neg, int base,
    bool upper)
{
	char buf[80], sign;
	int n, zeros, prefix, total;

	n = digits(buf, v, base, upper);
	if (f->prec == 0 && v == 0)
		n = 0;
	sign = neg ? '-' : f->plus ? '+' : f->space ? ' ' : 0;
	prefix = f->alt && v != 0 ? (base == 16 ? 2 : base == 8 ? 1 : 0) : 0;
	zeros = f->prec > n ? f->prec - n : 0;
	total = n + zeros + prefix + (sign != 0);
	if (f->zero && !f->left && f->prec < 0 && f->width > total) {
		zeros += f->width - total;
		total = f->width;
	}
	if (!f->left)
		emit_pad(s, f->width - total, ' ');
	if (sign != 0)
		emit(s, sign);
	if (prefix > 0)
		emit(s, '0');
	if (prefix > 1)
		emit(s, upper ? 'X' : 'x');
	emit_pad(s, zeros, '0');
	while (n > 0)
		emit(s, buf[--n]);
	if (f->left)
		emit_pad(s, f->width - total, ' ');
}

static void
emit_string(struct sink *s, struct spec *f, const char *p)
{
	int n;

	if (p == NULL)
		p = "(null)";
	n = f->prec < 0 ? (int)strlen(p) : (int)strnlen(p, f->prec);
	if (!f->left)
		emit_pad(s, f->width - n, ' ');
	for (int i = 0; i < n; i++)
		emit(s, p[i]);
	if (f->left)
		emit_pad(s, f->width - n, ' ');
}

/* %b: a number and the names of its set bits: "\20\1FIRST\2SECOND" */
static void
emit_bits(struct sink *s, u_int v, const char *p)
{
	char buf[40];
	bool any;
	int bit, n;

	n = digits(buf, v, (u_char)*p++, false);
	while (n > 0)
		emit(s, buf[--n]);
	if (v == 0)
		return;
	for (any = false; (bit = *p++) != 0;) {
		if ((v & 1u << (bit - 1)) != 0) {
			emit(s, any ? ',' : '<');
			for (; *p > ' '; p++)
				emit(s, *p);
			any = true;
		} else
			for (; *p > ' '; p++)
				continue;
	}
	if (any)
		emit(s, '>');
}

static void
emit_dump(struct sink *s, const u_char *p, const char *sep, int len)
{
	char buf[4];

	for (int i = 0; i < len; i++) {
		digits(buf, p[i] | 0x100, 16, false);
		emit(s, buf[1]);
		emit(s, buf[0]);
		if (i + 1 < len)
			for (const char *q = sep; *q != '\0'; q++)
				emit(s, *q);
	}
}

static uintmax_t
arg_unsigned(va_list *ap, int size)
{
	uintmax_t v;

	v = size == 8 ? va_arg(*ap, uint64_t) : va_arg(*ap, u_int);
	return (size == 1 ? (uint8_t)v : size == 2 ? (uint16_t)v : v);
}

static intmax_t
arg_signed(va_list *ap, int size)
{
	intmax_t v;

	v = size == 8 ? va_arg(*ap, int64_t) : va_arg(*ap, int);
	return (size == 1 ? (int8_t)v : size == 2 ? (int16_t)v : v);
}

static const char *
parse_spec(const char *fmt, struct spec *f, va_list *ap)
{
	*f = (struct spec){ .prec = -1, .size = 4 };
	for (;; fmt++) {
		if (*fmt == '-')
			f->left = true;
		else if (*fmt == '0')
			f->zero = true;
		else if (*fmt == '+')
			f->plus = true;
		else if (*fmt == ' ')
			f->space = true;
		else if (*fmt == '#')
			f->alt = true;
		else
			break;
	}
	if (*fmt == '*') {
		f->width = va_arg(*ap, int);
		if (f->width < 0) {
			f->left = true;
			f->width = -f->width;
		}
		fmt++;
	}
	for (; *fmt >= '0' && *fmt <= '9'; fmt++)
		f->width = f->width * 10 + *fmt - '0';
	if (*fmt == '.') {
		f->prec = 0;
		if (*++fmt == '*') {
			f->prec = va_arg(*ap, int);
			fmt++;
		}
		for (; *fmt >= '0' && *fmt <= '9'; fmt++)
			f->prec = f->prec * 10 + *fmt - '0';
	}
	for (;; fmt++) {
		if (*fmt == 'l' || *fmt == 'j' || *fmt == 'z' ||
		    *fmt == 't' || *fmt == 'q')
			f->size = 8;
		else if (*fmt == 'h')
			f->size = f->size == 2 ? 1 : 2;
		else
			break;
	}
	return (fmt);
}

static void
emit_signed(struct sink *s, struct spec *f, intmax_t v)
{
	emit_number(s, f, v < 0 ? -(uintmax_t)v : (uintmax_t)v, v < 0, 10,
	    false);
}

static void
vformat(struct sink *s, const char *fmt, va_list *ap)
{
	const u_char *dump;
	const char *str;
	struct spec f;
	u_int bits;

	for (; *fmt != '\0'; fmt++) {
		if (*fmt != '%') {
			emit(s, *fmt);
			continue;
		}
		fmt = parse_spec(fmt + 1, &f, ap);
		switch (*fmt) {
		case 'd':
		case 'i':
			emit_signed(s, &f, arg_signed(ap, f.size));
			break;
		case 'u':
			emit_number(s, &f, arg_unsigned(ap, f.size), false, 10,
			    false);
			break;
		case 'x':
		case 'X':
			emit_number(s, &f, arg_unsigned(ap, f.size), false, 16,
			    *fmt == 'X');
			break;
		case 'o':
			emit_number(s, &f, arg_unsigned(ap, f.size), false, 8,
			    false);
			break;
		case 'y':
			f.alt = f.plus;
			emit_signed(s, &f, arg_signed(ap, f.size));
			break;
		case 'p':
			f.alt = true;
			emit_number(s, &f, (uintptr_t)va_arg(*ap, void *),
			    false, 16, false);
			break;
		case 'c':
			emit_pad(s, f.left ? 0 : f.width - 1, ' ');
			emit(s, va_arg(*ap, int));
			emit_pad(s, f.left ? f.width - 1 : 0, ' ');
			break;
		case 's':
			emit_string(s, &f, va_arg(*ap, const char *));
			break;
		case 'b':
			bits = va_arg(*ap, u_int);
			emit_bits(s, bits, va_arg(*ap, const char *));
			break;
		case 'D':
			dump = va_arg(*ap, const u_char *);
			str = va_arg(*ap, const char *);
			emit_dump(s, dump, str, f.width > 0 ? f.width : 16);
			break;
		case '%':
			emit(s, '%');
			break;
		case '\0':
			return;
		default:
			emit(s, '%');
			emit(s, *fmt);
		}
	}
}

struct strbuf {
	char *p;
	size_t room;
};

static void
put_string(int c, void *arg)
{
	struct strbuf *b;

	b = arg;
	if (b->room > 1) {
		*b->p++ = c;
		b->room--;
	}
}

int
vsnprintf(char *str, size_t size, const char *fmt, va_list ap)
{
	struct strbuf b = { str, size };
	struct sink s = { put_string, &b, 0 };
	va_list copy;

	va_copy(copy, ap);
	vformat(&s, fmt, &copy);
	va_end(copy);
	if (size > 0)
		*b.p = '\0';
	return (s.count);
}

int
vsnrprintf(char *str, size_t size, int radix, const char *fmt, va_list ap)
{
	return (vsnprintf(str, size, fmt, ap));
}

int
snprintf(char *str, size_t size, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(str, size, fmt, ap);
	va_end(ap);
	return (n);
}

int
sprintf(char *str, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(str, 1 << 30, fmt, ap);
	va_end(ap);
	return (n);
}

int
vsprintf(char *str, const char *fmt, va_list ap)
{
	return (vsnprintf(str, 1 << 30, fmt, ap));
}

int
kvprintf(const char *fmt, void (*func)(int, void *), void *arg, int radix,
    va_list ap)
{
	struct strbuf b = { arg, (size_t)1 << 30 };
	struct sink s = { func, arg, 0 };
	va_list copy;

	if (func == NULL) {
		s.put = put_string;
		s.arg = &b;
	}
	va_copy(copy, ap);
	vformat(&s, fmt, &copy);
	va_end(copy);
	return (s.count);
}

int
asprintf(char **ret, struct malloc_type *mtp, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(ret, mtp, fmt, ap);
	va_end(ap);
	return (n);
}

int
vasprintf(char **ret, struct malloc_type *mtp, const char *fmt, va_list ap)
{
	char c;
	int n;

	n = vsnprintf(&c, 1, fmt, ap);
	*ret = malloc(n + 1, mtp, M_WAITOK);
	vsnprintf(*ret, n + 1, fmt, ap);
	return (n);
}

/*
 * The console. A line is written whole where it fits, so that lines of
 * several threads do not mix.
 */
int
vprintf(const char *fmt, va_list ap)
{
	char buf[512], *p;
	int n;

	n = vsnprintf(buf, sizeof(buf), fmt, ap);
	if (n < (int)sizeof(buf)) {
		kld_msgbuf_add(buf, n);
		os_console_write(buf, n);
		return (n);
	}
	p = os_alloc(n + 1);
	vsnprintf(p, n + 1, fmt, ap);
	kld_msgbuf_add(p, n);
	os_console_write(p, n);
	os_free(p);
	return (n);
}

int
printf(const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vprintf(fmt, ap);
	va_end(ap);
	return (n);
}

int
uprintf(const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vprintf(fmt, ap);
	va_end(ap);
	return (n);
}

void
log(int level, const char *fmt, ...)
{
	va_list ap;

	if (LOG_PRI(level) == LOG_DEBUG && !bootverbose)
		return;
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
}

void
vlog(int level, const char *fmt, va_list ap)
{
	if (LOG_PRI(level) != LOG_DEBUG || bootverbose)
		vprintf(fmt, ap);
}

void
hexdump(const void *ptr, int length, const char *hdr, int flags)
{
	const u_char *p;
	int i, j;

	p = ptr;
	for (i = 0; i < length; i += 16) {
		printf("%s%04x  ", hdr != NULL ? hdr : "", i);
		for (j = i; j < i + 16 && j < length; j++)
			printf(" %02x", p[j]);
		printf("\n");
	}
}

void
kld_outf(struct kld_out *out, const char *fmt, ...)
{
	char buf[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	out->fn(out->arg, buf);
}

/* The texts of FreeBSD's errno values that users of kldrun can meet. */
const char *
kld_strerror(int error)
{
	static const char *const text[] = {
		[EPERM] = "Operation not permitted",
		[ENOENT] = "No such file or directory",
		[EINTR] = "Interrupted system call",
		[EIO] = "Input/output error", [ENXIO] = "Device not configured",
		[ENOEXEC] = "Exec format error", [EBADF] = "Bad file descriptor",
		[ENOMEM] = "Cannot allocate memory",
		[EACCES] = "Permission denied", [EBUSY] = "Device busy",
		[EEXIST] = "File exists",
		[ENODEV] = "Operation not supported by device",
		[EINVAL] = "Invalid argument",
		[ENOSPC] = "No space left on device",
		[EROFS] = "Read-only file system",
		[EAGAIN] = "Resource temporarily unavailable",
		[EOPNOTSUPP] = "Operation not supported",
		[ETIMEDOUT] = "Operation timed out",
	};

	if (error >= 0 && error < (int)nitems(text) && text[error] != NULL)
		return (text[error]);
	return ("Unknown error");
}
