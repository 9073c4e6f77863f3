/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * plan.c: see plan.h. Facts: lists are separated by ';'; a mask is dotted, or
 * a prefix length with or without '/'; Windows writes the zone of an IPv6
 * address after '%'.
 */

#include <sys/socket.h>
#include <arpa/inet.h>

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "plan.h"

/* The next item of a list; false at its end. The item is cut at `len'. */
static bool
next_item(const char **p, const char *end, char *buf, size_t len)
{
	size_t n;

	for (;;) {
		while (*p < end && (**p == ';' || **p == ' ' || **p == ','))
			(*p)++;
		if (*p >= end || **p == '\0')
			return (false);
		for (n = 0; *p < end && **p != '\0' && strchr(";, ", **p) ==
		    NULL; (*p)++)
			if (n + 1 < len)
				buf[n++] = **p;
		buf[n] = '\0';
		return (true);
	}
}

static bool
parse_address(struct address *a, char *text)
{
	char *zone;

	memset(a, 0, sizeof(*a));
	if (inet_pton(AF_INET, text, a->bytes) == 1) {
		a->family = AF_INET;
		a->prefix = 32;
		return (true);
	}
	zone = strchr(text, '%');
	if (zone != NULL)
		*zone = '\0';
	a->family = AF_INET6;
	a->prefix = 128;
	return (inet_pton(AF_INET6, text, a->bytes) == 1);
}

/* An address that an interface or a server can have. */
static bool
usable(const struct address *a)
{
	static const uint8_t zero[16], one[16] = { [15] = 1 };

	if (a->family == AF_INET)
		return (a->bytes[0] != 0 && a->bytes[0] != 127 &&
		    a->bytes[0] < 224);
	return (memcmp(a->bytes, zero, 16) != 0 &&
	    memcmp(a->bytes, one, 16) != 0 && a->bytes[0] != 0xff);
}

static int
number(const char *text)
{
	int n;

	if (*text == '/')
		text++;
	if (*text == '\0' || strlen(text) > 3)
		return (-1);
	for (n = 0; *text != '\0'; text++) {
		if (!isdigit((unsigned char)*text))
			return (-1);
		n = n * 10 + (*text - '0');
	}
	return (n);
}

/* Ones, then zeroes; -1 otherwise. */
static int
mask_length(const uint8_t *bytes, int len)
{
	int bit, n;

	for (n = 0; n < len * 8; n++)
		if ((bytes[n / 8] & 0x80 >> n % 8) == 0)
			break;
	for (bit = n; bit < len * 8; bit++)
		if ((bytes[bit / 8] & 0x80 >> bit % 8) != 0)
			return (-1);
	return (n);
}

static bool
parse_mask(struct address *a, const char *text)
{
	uint8_t bytes[16];
	int n, width;

	width = a->family == AF_INET ? 4 : 16;
	n = number(text);
	if (n < 0 && inet_pton(a->family, text, bytes) == 1)
		n = mask_length(bytes, width);
	a->prefix = n;
	return (n > 0 && n <= width * 8);
}

static const char *
parse_addresses(struct plan *p, const struct hv_kvp_ipaddr_value *v)
{
	const char *a, *aend, *m, *mend;
	char text[64];
	struct address *to;

	a = (const char *)v->ip_addr;
	aend = a + sizeof(v->ip_addr);
	m = (const char *)v->sub_net;
	mend = m + sizeof(v->sub_net);
	while (next_item(&a, aend, text, sizeof(text))) {
		if (p->naddresses == PLAN_ADDRESSES)
			return ("too many addresses");
		to = &p->addresses[p->naddresses];
		if (!parse_address(to, text) || !usable(to))
			return ("an address is none");
		if (!next_item(&m, mend, text, sizeof(text)))
			return ("an address has no mask");
		if (!parse_mask(to, text))
			return ("a mask is none");
		p->naddresses++;
	}
	return (NULL);
}

static const char *
parse_list(struct address *list, int max, int *count, const char *s,
    size_t len)
{
	const char *end;
	char text[64];

	end = s + len;
	while (next_item(&s, end, text, sizeof(text))) {
		if (*count == max)
			return ("too many gateways or servers");
		if (!parse_address(&list[*count], text) ||
		    !usable(&list[*count]))
			return ("a gateway or server has no address");
		(*count)++;
	}
	return (NULL);
}

/* What the host names; else what it gives; DHCP alone is for IPv4. */
static int
families(const struct plan *p, uint8_t family)
{
	int bits, i;

	bits = ((family & ADDR_FAMILY_IPV4) != 0 ? PLAN_V4 : 0) |
	    ((family & ADDR_FAMILY_IPV6) != 0 ? PLAN_V6 : 0);
	if (bits != 0)
		return (bits);
	for (i = 0; i < p->naddresses; i++)
		bits |= address_bit(&p->addresses[i]);
	return (bits != 0 ? bits : PLAN_V4);
}

const char *
plan_parse(struct plan *p, const struct hv_kvp_ipaddr_value *value)
{
	struct hv_kvp_ipaddr_value v;
	const char *wrong;
	int i;

	/* A private copy, whose arrays are aligned. */
	memcpy(&v, value, sizeof(v));
	memset(p, 0, sizeof(*p));
	p->dhcp = v.dhcp_enabled != 0;
	wrong = p->dhcp ? NULL : parse_addresses(p, &v);
	if (wrong == NULL && !p->dhcp)
		wrong = parse_list(p->gateways, PLAN_GATEWAYS, &p->ngateways,
		    (const char *)v.gate_way, sizeof(v.gate_way));
	if (wrong == NULL)
		wrong = parse_list(p->dns, PLAN_DNS, &p->ndns,
		    (const char *)v.dns_addr, sizeof(v.dns_addr));
	if (wrong == NULL && !p->dhcp && p->naddresses == 0)
		wrong = "neither DHCP nor an address";
	p->families = families(p, v.addr_family);
	for (i = 0; wrong == NULL && i < p->naddresses; i++)
		if ((address_bit(&p->addresses[i]) & p->families) == 0)
			wrong = "an address of a family that stays as it is";
	return (wrong);
}

const char *
address_text(const struct address *a, char buf[PLAN_TEXT])
{
	if (inet_ntop(a->family, a->bytes, buf, PLAN_TEXT) == NULL)
		buf[0] = '\0';
	return (buf);
}

bool
address_link_local(const struct address *a)
{
	return (a->family == AF_INET6 && a->bytes[0] == 0xfe &&
	    (a->bytes[1] & 0xc0) == 0x80);
}

const char *
address_scoped(const struct address *a, const char *name,
    char buf[PLAN_SCOPED])
{
	char text[PLAN_TEXT];

	snprintf(buf, PLAN_SCOPED, "%s%s%.15s", address_text(a, text),
	    address_link_local(a) ? "%" : "", address_link_local(a) ? name :
	    "");
	return (buf);
}

const char *
address_mask(const struct address *a, char buf[PLAN_TEXT])
{
	uint32_t m;

	m = a->prefix == 0 ? 0 : ~(uint32_t)0 << (32 - a->prefix);
	snprintf(buf, PLAN_TEXT, "%u.%u.%u.%u", m >> 24, m >> 16 & 255,
	    m >> 8 & 255, m & 255);
	return (buf);
}

bool
address_same(const struct address *a, const struct address *b)
{
	return (a->family == b->family && memcmp(a->bytes, b->bytes,
	    a->family == AF_INET ? 4 : 16) == 0);
}

int
address_bit(const struct address *a)
{
	return (a->family == AF_INET ? PLAN_V4 : PLAN_V6);
}

bool
guid_normal(char out[GUID_TEXT], const char *text, size_t max)
{
	size_t i, n;

	n = strnlen(text, max);
	if (n == 38 && text[0] == '{' && text[37] == '}') {
		text++;
		n = 36;
	}
	if (n != 36)
		return (false);
	for (i = 0; i < 36; i++) {
		if (i == 8 || i == 13 || i == 18 || i == 23) {
			if (text[i] != '-')
				return (false);
		} else if (!isxdigit((unsigned char)text[i]))
			return (false);
		out[i] = (char)tolower((unsigned char)text[i]);
	}
	out[36] = '\0';
	return (true);
}

static int
digit(char c)
{
	if (!isxdigit((unsigned char)c))
		return (-1);
	c = (char)tolower((unsigned char)c);
	return (c <= '9' ? c - '0' : c - 'a' + 10);
}

bool
mac_parse(uint8_t out[6], const char *text, size_t max)
{
	size_t i, n, step;
	int hi, lo;

	n = strnlen(text, max);
	if (n != 12 && n != 17)
		return (false);
	step = n == 12 ? 2 : 3;
	for (i = 0; i < 6; i++) {
		hi = digit(text[i * step]);
		lo = digit(text[i * step + 1]);
		if (hi < 0 || lo < 0 || (step == 3 && i < 5 &&
		    text[i * 3 + 2] != ':' && text[i * 3 + 2] != '-'))
			return (false);
		out[i] = (uint8_t)(hi << 4 | lo);
	}
	return (true);
}
