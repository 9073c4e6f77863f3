/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * libkern.c: the string, number and sorting helpers that modules import and
 * that the C library of Linux does not have with the same meaning. The others
 * (memcpy, strlen, ...) are exported from there: see build.mk.
 */

#include "kern.h"
#include <sys/ctype.h>
#include <sys/libkern.h>

void
pagezero(void *p)
{
	memset(p, 0, PAGE_SIZE);
}

void
pagecopy(void *from, void *to)
{
	memcpy(to, from, PAGE_SIZE);
}

size_t
strlcpy(char *dst, const char *src, size_t size)
{
	size_t len, n;

	len = strlen(src);
	if (size > 0) {
		n = len < size ? len : size - 1;
		memcpy(dst, src, n);
		dst[n] = '\0';
	}
	return (len);
}

size_t
strlcat(char *dst, const char *src, size_t size)
{
	size_t len;

	len = strnlen(dst, size);
	if (len == size)
		return (size + strlen(src));
	return (len + strlcpy(dst + len, src, size - len));
}

char *
strdup(const char *s, struct malloc_type *type)
{
	return (strdup_flags(s, type, M_WAITOK));
}

char *
strdup_flags(const char *s, struct malloc_type *type, int flags)
{
	size_t n;
	char *p;

	n = strlen(s) + 1;
	p = kld_malloc_caller(n, type, flags, __builtin_return_address(0));
	if (p != NULL)
		memcpy(p, s, n);
	return (p);
}

char *
strndup(const char *s, size_t max, struct malloc_type *type)
{
	size_t n;
	char *p;

	n = strnlen(s, max);
	p = kld_malloc_caller(n + 1, type, M_WAITOK,
	    __builtin_return_address(0));
	memcpy(p, s, n);
	p[n] = '\0';
	return (p);
}

static int
digit_of(int c)
{
	return (isdigit(c) ? c - '0' : isalpha(c) ? tolower(c) - 'a' + 10 :
	    99);
}

u_quad_t
strtouq(const char *s, char **end, int base)
{
	const char *p;
	u_quad_t v;
	bool neg;

	for (p = s; isspace((u_char)*p); p++)
		continue;
	neg = *p == '-';
	if (*p == '-' || *p == '+')
		p++;
	if ((base == 0 || base == 16) && p[0] == '0' &&
	    (p[1] == 'x' || p[1] == 'X') && digit_of((u_char)p[2]) < 16) {
		p += 2;
		base = 16;
	} else if (base == 0)
		base = *p == '0' ? 8 : 10;
	if (digit_of((u_char)*p) >= base) {
		if (end != NULL)
			*end = __DECONST(char *, s);
		return (0);
	}
	for (v = 0; digit_of((u_char)*p) < base; p++) {
		if (v > ((~(u_quad_t)0) - digit_of((u_char)*p)) / base)
			v = (~(u_quad_t)0);
		else
			v = v * base + digit_of((u_char)*p);
	}
	if (end != NULL)
		*end = __DECONST(char *, p);
	return (neg ? -v : v);
}

quad_t
strtoq(const char *s, char **end, int base)
{
	return ((quad_t)strtouq(s, end, base));
}

u_long
strtoul(const char *s, char **end, int base)
{
	return (strtouq(s, end, base));
}

long
strtol(const char *s, char **end, int base)
{
	return ((long)strtouq(s, end, base));
}

/* Insertion below 12 elements, heap sort above: no recursion, no memory. */
static void
swap_bytes(char *a, char *b, size_t n)
{
	char t;

	for (; n > 0; n--, a++, b++) {
		t = *a;
		*a = *b;
		*b = t;
	}
}

void
qsort_r(void *base, size_t n, size_t es,
    int (*cmp)(const void *, const void *, void *), void *thunk)
{
	char *a;
	size_t child, end, root, start;

	a = base;
	for (start = n / 2, end = n; end > 1;) {
		if (start > 0)
			start--;
		else {
			end--;
			swap_bytes(a, a + end * es, es);
		}
		for (root = start; (child = 2 * root + 1) < end; root = child) {
			if (child + 1 < end && cmp(a + child * es,
			    a + (child + 1) * es, thunk) < 0)
				child++;
			if (cmp(a + root * es, a + child * es, thunk) >= 0)
				break;
			swap_bytes(a + root * es, a + child * es, es);
		}
	}
}

static int
cmp_plain(const void *a, const void *b, void *thunk)
{
	return ((*(int (**)(const void *, const void *))thunk)(a, b));
}

void
qsort(void *base, size_t n, size_t es, int (*cmp)(const void *, const void *))
{
	qsort_r(base, n, es, cmp_plain, &cmp);
}

u_long
random(void)
{
	return (os_random() & 0x7fffffff);
}

u_long
prng32(void)
{
	return ((uint32_t)os_random());
}

void
arc4rand(void *ptr, u_int len, int reseed)
{
	u_char *p;
	os_u64 r;
	u_int n;

	for (p = ptr; len > 0; len -= n, p += n) {
		r = os_random();
		n = min(len, sizeof(r));
		memcpy(p, &r, n);
	}
}

uint32_t
arc4random(void)
{
	return ((uint32_t)os_random());
}

void
arc4random_buf(void *ptr, size_t len)
{
	arc4rand(ptr, len, 0);
}

int
copyin(const void *udaddr, void *kaddr, size_t len)
{
	memcpy(kaddr, udaddr, len);
	return (0);
}

int
copyout(const void *kaddr, void *udaddr, size_t len)
{
	memcpy(udaddr, kaddr, len);
	return (0);
}

uint32_t
crc32_raw(const void *buf, size_t size, uint32_t crc)
{
	const u_char *p;
	int k;

	for (p = buf; size > 0; size--) {
		crc ^= *p++;
		for (k = 0; k < 8; k++)
			crc = crc >> 1 ^ ((crc & 1) != 0 ? 0xedb88320u : 0);
	}
	return (crc);
}
