/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * Fuzz target: a key-value message of the host, what a guest makes of it, and
 * what comes back; then the same item sent again.  What was understood once
 * must be understood the same way ever after, in each version; UTF-16 and
 * addresses must settle after one turn.
 *
 * Input: one byte, the version; the rest is the body.
 */
#include <stdint.h>
#include <string.h>

#include <hvk/inet.h>
#include <hvk/kvp.h>
#include <hvk/utf16.h>

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static struct hvk_ic_message m;
static struct hvk_kvp_item first, second;

static void
check(bool ok)
{
	if (!ok)
		__builtin_trap();
}

static void
strings(const uint8_t *p, uint32_t len)
{
	static uint8_t wide[4096];
	static char text[4096], again[4096];
	uint32_t n, units, used;

	units = len / 2 < 1000 ? len / 2 : 1000;
	if (hvk_utf16_decode(text, sizeof(text), p, units, &n) == HVK_OK) {
		check(strlen(text) == n);
		check(hvk_utf16_encode(wide, 2048, text, n, &used) == HVK_OK);
		check(used <= units);
		check(hvk_utf16_decode(again, sizeof(again), wide, used,
		    &n) == HVK_OK);
		check(strcmp(text, again) == 0);
	}
	n = len < 64 ? len : 64;
	used = hvk_inet_parse((const char *)p, n, wide);
	if (used != 0) {
		n = hvk_inet_format(wide, used, text);
		check(hvk_inet_parse(text, n, wide + 16) == used);
		check(memcmp(wide, wide + 16, used) == 0);
	}
	(void)hvk_inet_parse_mask((const char *)p, n < len ? n : len, 16,
	    wide);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t len)
{
	static const uint32_t versions[] = { HVK_IC_VERSION(3, 0),
	    HVK_IC_VERSION(4, 0), HVK_IC_VERSION(5, 0) };
	struct hvk_ic_header h = { .type = HVK_IC_KVP };
	uint32_t version;

	if (len < 1 || len > HVK_IC_BODY_MAX)
		return (0);
	version = versions[p[0] % 3];
	p++;
	len--;
	strings(p, (uint32_t)len);
	check(hvk_ic_make(&m, &h, (uint32_t)len) == HVK_OK);
	memcpy(hvk_ic_body(&m), p, len);
	if (hvk_kvp_parse(&m, version, &first) != HVK_OK)
		return (0);
	first.pool %= HVK_KVP_NPOOLS;
	if (hvk_kvp_request(&m, version, &first) != HVK_OK)
		return (0);
	check(hvk_kvp_parse(&m, version, &second) == HVK_OK);
	check(first.op == second.op && first.index == second.index);
	check(strcmp(first.key, second.key) == 0);
	if (first.op == HVK_KVP_SET)
		check(strcmp(first.value, second.value) == 0);
	check(strcmp(first.config.adapter, second.config.adapter) == 0);
	check(strcmp(first.config.addresses, second.config.addresses) == 0);
	check(strcmp(first.config.gateways, second.config.gateways) == 0);
	second.type = HVK_KVP_STRING;
	if (hvk_kvp_answer(&m, version, &second) == HVK_OK)
		check(hvk_kvp_result(&m, version, &second) == HVK_OK);
	return (0);
}
