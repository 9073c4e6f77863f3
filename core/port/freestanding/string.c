/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * What a C compiler may call even without a library.  String instructions,
 * because a monitor may have to emulate each instruction of this guest.
 */

#include "port.h"

void	*memcpy(void *, const void *, size_t);
void	*memmove(void *, const void *, size_t);
void	*memset(void *, int, size_t);
int	 memcmp(const void *, const void *, size_t);

void *
memcpy(void *to, const void *from, size_t n)
{
	void *at = to;
	size_t words = n / 8, rest = n % 8;

	__asm__ __volatile__("rep movsq" : "+D" (at), "+S" (from),
	    "+c" (words) : : "memory");
	__asm__ __volatile__("rep movsb" : "+D" (at), "+S" (from),
	    "+c" (rest) : : "memory");
	return (to);
}

void *
memmove(void *to, const void *from, size_t n)
{
	char *t = to;
	const char *f = from;

	if (t <= f || t >= f + n)
		return (memcpy(to, from, n));
	while (n-- > 0)
		t[n] = f[n];
	return (to);
}

void *
memset(void *to, int c, size_t n)
{
	void *at = to;
	uint64_t v = (uint8_t)c * 0x0101010101010101ull;
	size_t words = n / 8, rest = n % 8;

	__asm__ __volatile__("rep stosq" : "+D" (at), "+c" (words) : "a" (v) :
	    "memory");
	__asm__ __volatile__("rep stosb" : "+D" (at), "+c" (rest) : "a" (v) :
	    "memory");
	return (to);
}

int
memcmp(const void *a, const void *b, size_t n)
{
	const uint8_t *x = a, *y = b;

	for (size_t i = 0; i < n; i++)
		if (x[i] != y[i])
			return (x[i] < y[i] ? -1 : 1);
	return (0);
}
