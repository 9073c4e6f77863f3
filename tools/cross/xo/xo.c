/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * xo.c: a stand-in for libxo, which is in FreeBSD's base system and which
 * neither Debian nor the cross-compiler's libc has. It has two uses: programs
 * for FreeBSD are linked with it and find the real one when they run, and the
 * tests run a program's libxo output with it, as text and as JSON. Fields are
 * read as xo_format(5) says, for the roles and conversions in use; anything
 * else, and what the library would not make valid JSON of, ends the process.
 *
 * One thread, standard output.
 */

#include <libxo/xo.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define	DEPTH	16

static xo_style_t style = XO_STYLE_TEXT;
static char closing[DEPTH];	/* what ends each level that is open */
static int depth, members;	/* members: of the innermost level */

static void __attribute__((__noreturn__))
wrong(const char *what)
{
	fflush(stdout);
	fprintf(stderr, "libxo stand-in: %s\n", what);
	abort();
}

int
xo_parse_args(int argc, char **argv)
{
	const char *value;
	int from, to;

	for (from = to = 1; from < argc; from++) {
		if (strncmp(argv[from], "--libxo", 7) != 0) {
			argv[to++] = argv[from];
			continue;
		}
		value = argv[from][7] == '=' ? argv[from] + 8 :
		    argv[from][7] == '\0' && from + 1 < argc ? argv[++from] :
		    "";
		if (strcmp(value, "json") == 0)
			style = XO_STYLE_JSON;
		else if (strcmp(value, "text") != 0) {
			fprintf(stderr, "unknown libxo option value: '%s'\n",
			    value);
			return (-1);
		}
	}
	argv[to] = NULL;
	return (to);
}

void
xo_set_style(xo_handle_t *h, xo_style_t s)
{
	(void)h;
	style = s;
}

xo_style_t
xo_get_style(xo_handle_t *h)
{
	(void)h;
	return (style);
}

/* What stands before a member or an element. */
static void
before(const char *name)
{
	if (depth == 0)
		wrong("a member before any list or container");
	if (members++ > 0)
		putchar(',');
	if (name != NULL)
		printf("\"%s\":", name);
}

static long
open_level(const char *name, char open, char close)
{
	if (style != XO_STYLE_JSON)
		return (0);
	if (depth == 0) {
		putchar('{');
		closing[depth++] = '}';
		members = 0;
	}
	if (depth == DEPTH)
		wrong("too deep");
	before(name);
	putchar(open);
	closing[depth++] = close;
	members = 0;
	return (0);
}

static long
close_level(char close)
{
	if (style != XO_STYLE_JSON)
		return (0);
	if (depth == 0 || closing[--depth] != close)
		wrong("closed what was not open");
	putchar(close);
	members = 1;
	return (0);
}

long
xo_open_container(const char *name)
{
	return (open_level(name, '{', '}'));
}

long
xo_close_container(const char *name)
{
	(void)name;
	return (close_level('}'));
}

long
xo_open_list(const char *name)
{
	return (open_level(name, '[', ']'));
}

long
xo_close_list(const char *name)
{
	(void)name;
	return (close_level(']'));
}

long
xo_open_instance(const char *name)
{
	(void)name;
	if (style == XO_STYLE_JSON && (depth == 0 || closing[depth - 1] != ']'))
		wrong("an instance outside a list");
	return (open_level(NULL, '{', '}'));
}

long
xo_close_instance(const char *name)
{
	(void)name;
	return (close_level('}'));
}

long
xo_finish(void)
{
	if (style == XO_STYLE_JSON && depth > 0) {
		if (--depth != 0)
			wrong("a level is left open");
		printf("}\n");
	}
	return (fflush(stdout) == 0 ? 0 : -1);
}

static void
quoted(const char *s)
{
	putchar('"');
	for (; *s != '\0'; s++)
		if (*s == '"' || *s == '\\')
			printf("\\%c", *s);
		else if ((unsigned char)*s < 0x20)
			printf("\\u%04x", (unsigned char)*s);
		else
			putchar(*s);
	putchar('"');
}

/* One value by its format; true: a number. */
static int
convert(char *buf, size_t len, const char *fmt, va_list ap)
{
	if (strcmp(fmt, "%s") == 0)
		snprintf(buf, len, "%s", va_arg(ap, const char *));
	else if (strcmp(fmt, "%d") == 0)
		snprintf(buf, len, "%d", va_arg(ap, int));
	else if (strcmp(fmt, "%u") == 0)
		snprintf(buf, len, "%u", va_arg(ap, unsigned int));
	else if (strcmp(fmt, "%lu") == 0)
		snprintf(buf, len, "%lu", va_arg(ap, unsigned long));
	else if (strchr(fmt, '%') == NULL)
		snprintf(buf, len, "%s", fmt);
	else
		wrong(fmt);
	return (fmt[0] == '%' && fmt[1] != 's');
}

/*
 * role and modifiers, ':', the content, '/', the format: the value of a member
 * (no role, 'k', 'e' not for people, 'd' only for people; 'n' no quotes), or
 * text for people: note, label ('c' with a colon), padding.
 */
static void
field(char *f, va_list ap)
{
	char value[1024], *content, *fmt;
	int member, number;

	content = strchr(f, ':');
	if (content == NULL)
		wrong(f);
	*content++ = '\0';
	fmt = strchr(content, '/');
	if (fmt != NULL)
		*fmt++ = '\0';
	if (strspn(f, "NLPcdekn") != strlen(f))
		wrong(f);
	member = strpbrk(f, "NLP") == NULL;
	value[0] = '\0';
	number = fmt != NULL ? convert(value, sizeof(value), fmt, ap) : 0;
	if (style == XO_STYLE_TEXT) {
		if (strchr(f, 'e') == NULL)
			printf("%s%s%s", member ? "" : content, value,
			    strchr(f, 'c') != NULL ? ":" : "");
	} else if (member && strchr(f, 'd') == NULL) {
		before(content);
		if (number || strchr(f, 'n') != NULL)
			printf("%s", value);
		else
			quoted(value);
	}
}

long
xo_emit(const char *fmt, ...)
{
	char f[256];
	const char *end;
	va_list ap;

	va_start(ap, fmt);
	for (; *fmt != '\0'; fmt++) {
		if (*fmt != '{') {
			if (style == XO_STYLE_TEXT)
				putchar(*fmt);
			continue;
		}
		end = strchr(fmt, '}');
		if (end == NULL || (size_t)(end - fmt) > sizeof(f))
			wrong(fmt);
		snprintf(f, sizeof(f), "%.*s", (int)(end - fmt) - 1, fmt + 1);
		field(f, ap);
		fmt = end;
	}
	va_end(ap);
	return (0);
}
