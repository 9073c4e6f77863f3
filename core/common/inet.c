/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * Internet addresses as text.  Facts: RFC 4291 section 2.2 (forms of an IPv6
 * address), RFC 5952 (which of them to write).
 */

#include <hvk/inet.h>

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return (c - '0');
	if (c >= 'a' && c <= 'f')
		return (c - 'a' + 10);
	if (c >= 'A' && c <= 'F')
		return (c - 'A' + 10);
	return (-1);
}

static bool
parse4(const char *t, uint32_t len, uint8_t *to)
{
	uint32_t digits = 0, i, n = 0, value = 0;

	for (i = 0; i <= len; i++) {
		if (i == len || t[i] == '.') {
			if (digits == 0 || n == 4)
				return (false);
			to[n++] = (uint8_t)value;
			digits = value = 0;
			continue;
		}
		if (t[i] < '0' || t[i] > '9' || ++digits > 3)
			return (false);
		value = value * 10 + (uint32_t)(t[i] - '0');
		if (value > 255)
			return (false);
	}
	return (n == 4);
}

/* The groups of one side of "::"; -1: malformed, else bytes written. */
static int
parse_groups(const char *t, uint32_t len, uint8_t *to, uint32_t room)
{
	uint32_t i = 0, n = 0, start, value;

	while (i < len) {
		for (start = i, value = 0; i < len && hex_digit(t[i]) >= 0;
		    i++)
			value = value << 4 | (uint32_t)hex_digit(t[i]);
		if (i < len && t[i] == '.') {
			if (n + 4 > room || !parse4(t + start, len - start,
			    to + n))
				return (-1);
			return ((int)n + 4);
		}
		if (i == start || i - start > 4 || n + 2 > room)
			return (-1);
		to[n++] = (uint8_t)(value >> 8);
		to[n++] = (uint8_t)value;
		if (i == len)
			break;
		if (t[i++] != ':' || i == len)
			return (-1);
	}
	return ((int)n);
}

static bool
parse6(const char *t, uint32_t len, uint8_t *to)
{
	uint8_t tail[16];
	uint32_t i, k;
	int a, b;

	for (i = 0; i + 1 < len && (t[i] != ':' || t[i + 1] != ':'); i++)
		continue;
	hvk_zero(to, 16);
	if (i + 1 >= len)
		return (parse_groups(t, len, to, 16) == 16);
	a = parse_groups(t, i, to, 14);
	b = parse_groups(t + i + 2, len - i - 2, tail, 14);
	if (a < 0 || b < 0 || a + b > 14)
		return (false);
	for (k = 0; k < (uint32_t)b; k++)
		to[16 - b + (int)k] = tail[k];
	return (true);
}

uint32_t
hvk_inet_parse(const char *text, uint32_t len, uint8_t to[16])
{
	uint32_t i;

	for (i = 0; i < len && text[i] != '%'; i++)
		continue;
	if (i == 0 || i >= 64)
		return (0);
	if (parse4(text, i, to))
		return (4);
	return (parse6(text, i, to) ? 16 : 0);
}

static uint32_t
put_number(char *to, uint32_t value)
{
	uint32_t n = 0;

	if (value >= 100)
		to[n++] = (char)('0' + value / 100);
	if (value >= 10)
		to[n++] = (char)('0' + value / 10 % 10);
	to[n++] = (char)('0' + value % 10);
	return (n);
}

static uint32_t
put_group(char *to, uint32_t value)
{
	static const char hex[] = "0123456789abcdef";
	uint32_t n = 0;
	int shift;

	for (shift = 12; shift >= 0; shift -= 4) {
		if (n != 0 || shift == 0 || value >> shift != 0)
			to[n++] = hex[value >> shift & 0xf];
	}
	return (n);
}

/* The longest run of two zero groups or more, the first of equals. */
static void
longest_run(const uint8_t *from, uint32_t *start, uint32_t *len)
{
	uint32_t i, run = 0;

	*start = 8;
	*len = 1;
	for (i = 0; i < 8; i++) {
		run = from[2 * i] == 0 && from[2 * i + 1] == 0 ? run + 1 : 0;
		if (run > *len) {
			*len = run;
			*start = i + 1 - run;
		}
	}
}

uint32_t
hvk_inet_format(const uint8_t *from, uint32_t n, char to[HVK_INET_TEXT])
{
	uint32_t i, len, out = 0, start;

	if (n == 4) {
		for (i = 0; i < 4; i++) {
			if (i != 0)
				to[out++] = '.';
			out += put_number(to + out, from[i]);
		}
		to[out] = '\0';
		return (out);
	}
	longest_run(from, &start, &len);
	for (i = 0; i < 8; i++) {
		if (i == start) {
			to[out++] = ':';
			to[out++] = ':';
			i += len - 1;
			continue;
		}
		if (i != 0 && to[out - 1] != ':')
			to[out++] = ':';
		out += put_group(to + out, (uint32_t)from[2 * i] << 8 |
		    from[2 * i + 1]);
	}
	to[out] = '\0';
	return (out);
}

bool
hvk_inet_parse_mask(const char *text, uint32_t len, uint32_t n, uint8_t *to)
{
	uint8_t any[16];
	uint32_t bits = 0, i;

	if (hvk_inet_parse(text, len, any) == n) {
		hvk_copy(to, any, n);
		return (true);
	}
	if (len > 0 && text[0] == '/') {
		text++;
		len--;
	}
	if (len == 0 || len > 3)
		return (false);
	for (i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return (false);
		bits = bits * 10 + (uint32_t)(text[i] - '0');
	}
	if (bits > n * 8)
		return (false);
	for (i = 0; i < n; i++) {
		to[i] = bits >= 8 ? 0xff : (uint8_t)(0xff00u >> bits);
		bits -= bits >= 8 ? 8 : bits;
	}
	return (true);
}

uint32_t
hvk_inet_format_mask(const uint8_t *from, uint32_t n, char to[HVK_INET_TEXT])
{
	uint32_t bits = 0, i;

	if (n == 4)
		return (hvk_inet_format(from, n, to));
	for (i = 0; i < n * 8 && (from[i / 8] & 0x80u >> i % 8) != 0; i++)
		bits++;
	for (; i < n * 8; i++) {
		if ((from[i / 8] & 0x80u >> i % 8) != 0)
			return (hvk_inet_format(from, n, to));
	}
	to[0] = '/';
	i = 1 + put_number(to + 1, bits);
	to[i] = '\0';
	return (i);
}
