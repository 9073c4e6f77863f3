/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * netplan_fuzz.c: what hv_netconf makes of an interface's configuration by the
 * host: any bytes. Whatever is taken prints as an address again, so no byte of
 * the input reaches a program.
 */

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "plan.h"

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
check(const struct address *list, int n)
{
	struct address back;
	char text[PLAN_TEXT];
	int i;

	for (i = 0; i < n; i++) {
		memset(&back, 0, sizeof(back));
		address_text(&list[i], text);
		if (strspn(text, "0123456789abcdef.:") != strlen(text) ||
		    inet_pton(list[i].family, text, back.bytes) != 1 ||
		    list[i].prefix < 0 || list[i].prefix > 128)
			abort();
		back.family = list[i].family;
		if (!address_same(&list[i], &back))
			abort();
	}
}

/* The fields one after the other, ended by a newline each. */
static void
fill(struct hv_kvp_ipaddr_value *v, const uint8_t *data, size_t size)
{
	struct { void *at; size_t size; } field[] = {
		{ v->adapter_id, sizeof(v->adapter_id) },
		{ v->ip_addr, sizeof(v->ip_addr) },
		{ v->sub_net, sizeof(v->sub_net) },
		{ v->gate_way, sizeof(v->gate_way) },
		{ v->dns_addr, sizeof(v->dns_addr) },
	};
	const uint8_t *end;
	size_t i, n;

	for (i = 0; i < 5 && size > 0; i++) {
		end = memchr(data, '\n', size);
		n = end != NULL ? (size_t)(end - data) : size;
		memcpy(field[i].at, data, n < field[i].size ? n :
		    field[i].size);
		n += end != NULL;
		data += n;
		size -= n;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct hv_kvp_ipaddr_value v;
	static struct plan p;
	char guid[GUID_TEXT];
	uint8_t mac[6];

	memset(&v, 0, sizeof(v));
	if (size > 0 && data[0] >= 0x80) {
		memcpy(&v, data, size < sizeof(v) ? size : sizeof(v));
	} else if (size > 0) {
		v.addr_family = data[0] & 3;
		v.dhcp_enabled = data[0] >> 2 & 1;
		fill(&v, data + 1, size - 1);
	}
	if (plan_parse(&p, &v) == NULL) {
		if (!p.dhcp && p.naddresses == 0)
			abort();
		check(p.addresses, p.naddresses);
		check(p.gateways, p.ngateways);
		check(p.dns, p.ndns);
	}
	if (guid_normal(guid, (const char *)v.adapter_id,
	    sizeof(v.adapter_id)) && strspn(guid, "0123456789abcdef-") != 36)
		abort();
	(void)mac_parse(mac, (const char *)v.adapter_id,
	    sizeof(v.adapter_id));
	return (0);
}
