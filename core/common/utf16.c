/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * UTF-16LE and UTF-8.  Facts: The Unicode Standard, chapter 3, D91 and D92
 * with table 3-7 (which byte sequences are well formed).
 */

#include <hvk/utf16.h>

#define	REPLACEMENT	0xfffdu

static uint32_t
unit(const uint8_t *from, uint32_t i)
{
	return (from[2 * (size_t)i] | (uint32_t)from[2 * (size_t)i + 1] << 8);
}

/* Bytes that a character takes; they are written if there is room. */
static uint32_t
put8(uint8_t *to, uint32_t room, uint32_t c)
{
	static const uint8_t lead[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
	uint32_t i, n;

	n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	if (n > room)
		return (n);
	for (i = n - 1; i > 0; i--) {
		to[i] = (uint8_t)(0x80 | (c & 0x3f));
		c >>= 6;
	}
	to[0] = (uint8_t)(lead[n] | c);
	return (n);
}

int
hvk_utf16_decode(char *to, uint32_t cap, const uint8_t *from, uint32_t units,
    uint32_t *len)
{
	uint32_t c, i, low, n, out = 0;
	int error = HVK_OK;

	for (i = 0; i < units && (c = unit(from, i)) != 0; i++) {
		if (c >= 0xd800 && c < 0xe000) {
			low = c < 0xdc00 && i + 1 < units ?
			    unit(from, i + 1) : 0;
			if (low >= 0xdc00 && low < 0xe000) {
				c = 0x10000 + ((c - 0xd800) << 10) +
				    (low - 0xdc00);
				i++;
			} else
				c = REPLACEMENT;
		}
		n = put8((uint8_t *)to + out, cap - 1 - out, c);
		if (n > cap - 1 - out) {
			error = HVK_NOSPACE;
			break;
		}
		out += n;
	}
	to[out] = '\0';
	*len = out;
	return (error);
}

/*
 * The character at from[0], which is not zero, and how many bytes it takes.
 * A wrong sequence counts as its longest well-formed beginning, at least 1.
 */
static uint32_t
get8(const uint8_t *from, uint32_t len, uint32_t *c)
{
	uint32_t first = from[0], high = 0xbf, i, low = 0x80, n;

	*c = REPLACEMENT;
	if (first < 0x80) {
		*c = first;
		return (1);
	}
	if (first < 0xc2 || first > 0xf4)
		return (1);
	n = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
	if (first == 0xe0)
		low = 0xa0;
	else if (first == 0xed)
		high = 0x9f;
	else if (first == 0xf0)
		low = 0x90;
	else if (first == 0xf4)
		high = 0x8f;
	first &= n == 2 ? 0x1f : n == 3 ? 0x0f : 0x07;
	for (i = 1; i < n; i++) {
		if (i >= len || from[i] < low || from[i] > high)
			return (i);
		first = first << 6 | (from[i] & 0x3f);
		low = 0x80;
		high = 0xbf;
	}
	*c = first;
	return (n);
}

static void
put16(uint8_t *to, uint32_t at, uint32_t u)
{
	to[2 * (size_t)at] = (uint8_t)u;
	to[2 * (size_t)at + 1] = (uint8_t)(u >> 8);
}

int
hvk_utf16_encode(uint8_t *to, uint32_t units, const char *from, uint32_t len,
    uint32_t *used)
{
	const uint8_t *bytes = (const uint8_t *)from;
	uint32_t c, i, n, out = 0;
	int error = HVK_OK;

	for (i = 0; i < len && bytes[i] != 0; i += n) {
		n = get8(bytes + i, len - i, &c);
		if (units - 1 - out < (c >= 0x10000 ? 2u : 1u)) {
			error = HVK_NOSPACE;
			break;
		}
		if (c >= 0x10000) {
			put16(to, out++, 0xd800 + ((c - 0x10000) >> 10));
			put16(to, out++, 0xdc00 + ((c - 0x10000) & 0x3ff));
		} else
			put16(to, out++, c);
	}
	put16(to, out, 0);
	*used = out;
	return (error);
}
