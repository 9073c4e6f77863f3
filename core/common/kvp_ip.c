/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * A network adapter's configuration on the wire: strings up to 4.0, binary from
 * 5.0 on.  An address that is none is left out, with its mask; a list that is
 * longer than the binary form can say loses its end.
 * Locking: none, see hvk/kvp.h.  Facts: wire.md section 11.
 */

#include <hvk/bytes.h>
#include <hvk/inet.h>
#include <hvk/utf16.h>

#include "kvp_int.h"

/* Where the strings' form begins, and the binary. */
#define	IP_AT		2u
#define	IP5_AT		4u

/* Out of line: the structures are too large for a kernel's stack. */
#define	AT(field)	offsetof(struct hvk_kvp_ip, field)
#define	AT5(field)	offsetof(struct hvk_kvp_ip5, field)

struct list {			/* being walked, or being made */
	const char	*at;
	char		*to;
	uint32_t	room;
	bool		full;
};

/* The next element; false: no more. */
static bool
next(struct list *l, const char **text, uint32_t *len)
{
	uint32_t n;

	while (*l->at == ';')
		l->at++;
	if (*l->at == '\0')
		return (false);
	for (n = 0; l->at[n] != '\0' && l->at[n] != ';'; n++)
		continue;
	*text = l->at;
	*len = n;
	l->at += n;
	return (true);
}

static void
append(struct list *l, const char *text, uint32_t len, bool first)
{
	uint32_t sep = first ? 0 : 1;

	if (l->full || len + sep >= l->room) {
		l->full = true;
		return;
	}
	if (sep != 0)
		*l->to++ = ';';
	hvk_copy(l->to, text, len);
	l->to += len;
	*l->to = '\0';
	l->room -= len + sep;
}

static int
put_strings(uint8_t *at, const struct hvk_kvp_config *c)
{
	uint32_t used;
	int error;

	at[AT(family)] = c->family;
	at[AT(dhcp)] = c->dhcp;
#define	PUT(field, units)						\
	error = hvk_utf16_encode(at + AT(field), units, c->field,	\
	    kvp_text_len(c->field), &used);				\
	if (error != HVK_OK)						\
		return (error)
	PUT(adapter, HVK_KVP_ADAPTER_UNITS);
	PUT(addresses, HVK_KVP_ADDRESS_UNITS);
	PUT(masks, HVK_KVP_ADDRESS_UNITS);
	PUT(gateways, HVK_KVP_GATEWAY_UNITS);
	PUT(dns, HVK_KVP_ADDRESS_UNITS);
#undef PUT
	return (HVK_OK);
}

static int
get_strings(const uint8_t *at, struct hvk_kvp_config *c)
{
	uint32_t len;

	c->family = at[AT(family)];
	c->dhcp = at[AT(dhcp)];
#define	GET(field, units)						\
	if (hvk_utf16_decode(c->field, sizeof(c->field),		\
	    at + AT(field), units, &len) != HVK_OK)			\
		return (HVK_REJECT)
	GET(adapter, HVK_KVP_ADAPTER_UNITS);
	GET(addresses, HVK_KVP_ADDRESS_UNITS);
	GET(masks, HVK_KVP_ADDRESS_UNITS);
	GET(gateways, HVK_KVP_GATEWAY_UNITS);
	GET(dns, HVK_KVP_ADDRESS_UNITS);
#undef GET
	return (HVK_OK);
}

/* Two arrays of addresses in the body, and how many are in them. */
struct pair {
	uint32_t	max;
	size_t		count[2];	/* places of the counts */
	size_t		at[2];		/* of the IPv4 and the IPv6 array */
	size_t		mask[2];
};

static const struct pair pairs[3] = {
	{ HVK_KVP_ADDRESSES, { AT5(n_address4), AT5(n_address6) },
	    { AT5(address4), AT5(address6) }, { AT5(mask4), AT5(mask6) } },
	{ HVK_KVP_GATEWAYS, { AT5(n_gateway4), AT5(n_gateway6) },
	    { AT5(gateway4), AT5(gateway6) }, { 0, 0 } },
	{ HVK_KVP_ADDRESSES, { AT5(n_dns4), AT5(n_dns6) },
	    { AT5(dns4), AT5(dns6) }, { 0, 0 } },
};

static void
put_list(uint8_t *base, const struct pair *p, const char *text,
    const char *masks)
{
	static const uint32_t size[2] = { 4, 16 };
	struct list l = { .at = text }, lm = { .at = masks };
	uint32_t count[2] = { 0, 0 }, len, len_mask = 0, n, six;
	const char *a, *m = NULL;
	uint8_t bytes[16];
	bool mask;

	while (next(&l, &a, &len)) {
		mask = masks != NULL && next(&lm, &m, &len_mask);
		n = hvk_inet_parse(a, len, bytes);
		if (n == 0)
			continue;
		six = n == 16;
		if (count[six] == p->max)
			continue;
		hvk_copy(base + p->at[six] + count[six] * size[six], bytes, n);
		if (mask && hvk_inet_parse_mask(m, len_mask, n, bytes))
			hvk_copy(base + p->mask[six] +
			    count[six] * size[six], bytes, n);
		count[six]++;
	}
	hvk_copy(base + p->count[0], &count[0], 4);
	hvk_copy(base + p->count[1], &count[1], 4);
}

static int
put_binary(uint8_t *at, const struct hvk_kvp_config *c)
{
	uint32_t i, n4, n6, origin, used;
	int error;

	at[AT5(family)] = c->family;
	at[AT5(dhcp)] = c->dhcp;
	error = hvk_utf16_encode(at + AT5(adapter), HVK_KVP_ADAPTER_UNITS,
	    c->adapter, kvp_text_len(c->adapter), &used);
	if (error != HVK_OK)
		return (error);
	put_list(at, &pairs[0], c->addresses, c->masks);
	put_list(at, &pairs[1], c->gateways, NULL);
	put_list(at, &pairs[2], c->dns, NULL);
	hvk_copy(&n4, at + AT5(n_address4), 4);
	hvk_copy(&n6, at + AT5(n_address6), 4);
	origin = c->dhcp != 0 ? HVK_KVP_ORIGIN_OTHER : HVK_KVP_ORIGIN_STATIC;
	for (i = 0; i < n4 + n6; i++)
		hvk_copy(at + AT5(origin) + 4 * (size_t)i, &origin, 4);
	return (HVK_OK);
}

static int
get_list(const uint8_t *base, const struct pair *p, char *text, uint32_t room,
    char *masks, uint32_t mask_room)
{
	struct list l = { .to = text, .room = room };
	struct list lm = { .to = masks, .room = mask_room };
	char word[HVK_INET_TEXT];
	uint32_t count, i, len, six, size;
	bool first = true;

	for (six = 0; six < 2; six++) {
		size = six != 0 ? 16 : 4;
		hvk_copy(&count, base + p->count[six], 4);
		if (count > p->max)
			return (HVK_REJECT);
		for (i = 0; i < count; i++, first = false) {
			len = hvk_inet_format(base + p->at[six] +
			    (size_t)i * size, size, word);
			append(&l, word, len, first);
			if (masks == NULL)
				continue;
			len = hvk_inet_format_mask(base + p->mask[six] +
			    (size_t)i * size, size, word);
			append(&lm, word, len, first);
		}
	}
	return (l.full || lm.full ? HVK_REJECT : HVK_OK);
}

static int
get_binary(const uint8_t *at, struct hvk_kvp_config *c)
{
	uint32_t len;

	c->family = at[AT5(family)];
	c->dhcp = at[AT5(dhcp)];
	if (hvk_utf16_decode(c->adapter, sizeof(c->adapter),
	    at + AT5(adapter), HVK_KVP_ADAPTER_UNITS, &len) != HVK_OK ||
	    get_list(at, &pairs[0], c->addresses, sizeof(c->addresses),
	    c->masks, sizeof(c->masks)) != HVK_OK ||
	    get_list(at, &pairs[1], c->gateways, sizeof(c->gateways), NULL,
	    0) != HVK_OK)
		return (HVK_REJECT);
	return (get_list(at, &pairs[2], c->dns, sizeof(c->dns), NULL, 0));
}

int
kvp_put_config(struct hvk_ic_message *m, uint32_t version,
    const struct hvk_kvp_config *c)
{
	uint8_t *body;

	if (hvk_ic_body_len(m) < HVK_KVP_BODY &&
	    hvk_ic_resize(m, HVK_KVP_BODY) != HVK_OK)
		return (HVK_NOSPACE);
	body = hvk_ic_body(m);
	hvk_zero(body + IP_AT, HVK_KVP_BODY - IP_AT);
	return (version >= HVK_IC_VERSION(5, 0) ?
	    put_binary(body + IP5_AT, c) : put_strings(body + IP_AT, c));
}

int
kvp_get_config(const struct hvk_ic_message *m, uint32_t version,
    struct hvk_kvp_config *c)
{
	const uint8_t *body = hvk_ic_body_const(m);
	uint32_t len = hvk_ic_body_len(m);

	hvk_zero(c, sizeof(*c));
	if (version >= HVK_IC_VERSION(5, 0)) {
		if (len < IP5_AT + sizeof(struct hvk_kvp_ip5))
			return (HVK_REJECT);
		return (get_binary(body + IP5_AT, c));
	}
	if (len < IP_AT + sizeof(struct hvk_kvp_ip))
		return (HVK_REJECT);
	return (get_strings(body + IP_AT, c));
}
