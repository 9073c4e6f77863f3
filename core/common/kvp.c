/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * Key-value pairs on the wire.  Addresses are in kvp_ip.c.
 * Locking: none, see hvk/kvp.h.  Facts: wire.md section 11.
 */

#include <hvk/bytes.h>
#include <hvk/kvp.h>
#include <hvk/utf16.h>

#include "kvp_int.h"

const char *
hvk_kvp_op_name(uint8_t op)
{
	static const char *const names[HVK_KVP_NOPS] = { "get", "set",
	    "delete", "enumerate", "get ip", "set ip" };

	return (op < HVK_KVP_NOPS ? names[op] : "unknown");
}

const char *
hvk_kvp_pool_name(uint8_t pool)
{
	static const char *const names[HVK_KVP_NPOOLS] = { "external",
	    "guest", "auto", "auto-external", "auto-internal" };

	return (pool < HVK_KVP_NPOOLS ? names[pool] : "unknown");
}

uint32_t
kvp_text_len(const char *text)
{
	uint32_t n;

	for (n = 0; text[n] != '\0'; n++)
		continue;
	return (n);
}

static void
put32(uint8_t *at, uint32_t value)
{
	hvk_copy(at, &value, sizeof(value));
}

/* A string at a place of `bytes' bytes; its size goes to `size'. */
static int
put_string(uint8_t *at, uint32_t bytes, uint8_t *size, const char *text)
{
	uint32_t used;
	int error;

	error = hvk_utf16_encode(at, bytes / 2, text, kvp_text_len(text),
	    &used);
	put32(size, 2 * (used + 1));
	return (error);
}

/* The units of a string whose size the peer told, to its end. */
static int
get_string(char *to, uint32_t cap, const uint8_t *at, uint32_t size,
    uint32_t max)
{
	uint32_t len;

	if (size > max)
		return (HVK_REJECT);
	if (hvk_utf16_decode(to, cap, at, size / 2, &len) != HVK_OK)
		return (HVK_REJECT);
	return (HVK_OK);
}

static bool
parse_number(const char *text, uint64_t max, uint64_t *value)
{
	*value = 0;
	if (*text == '\0')
		return (false);
	for (; *text != '\0'; text++) {
		if (*text < '0' || *text > '9' ||
		    *value > (max - (uint64_t)(*text - '0')) / 10)
			return (false);
		*value = *value * 10 + (uint64_t)(*text - '0');
	}
	return (true);
}

static void
print_number(char *to, uint64_t value)
{
	char digits[20];
	uint32_t n = 0, i;

	do {
		digits[n++] = (char)('0' + value % 10);
		value /= 10;
	} while (value != 0);
	for (i = 0; i < n; i++)
		to[i] = digits[n - 1 - i];
	to[n] = '\0';
}

/* Type, sizes, key and value at the place of a struct hvk_kvp_value. */
static int
put_value(uint8_t *at, const struct hvk_kvp_item *item, bool key)
{
	uint64_t number;
	uint32_t size;
	int error = HVK_OK;

	put32(at, item->type);
	if (key)
		error = put_string(at + offsetof(struct hvk_kvp_value, key),
		    HVK_KVP_KEY_BYTES, at + 4, item->key);
	if (error != HVK_OK)
		return (error);
	at += offsetof(struct hvk_kvp_value, value_size);
	switch (item->type) {
	case HVK_KVP_STRING:
	case HVK_KVP_EXPAND_STRING:
		return (put_string(at + 4 + HVK_KVP_KEY_BYTES,
		    HVK_KVP_VALUE_BYTES, at, item->value));
	case HVK_KVP_U32:
	case HVK_KVP_U64:
	case HVK_KVP_U64_OLD:
		size = item->type == HVK_KVP_U32 ? 4 : 8;
		if (!parse_number(item->value, size == 4 ? UINT32_MAX :
		    UINT64_MAX, &number))
			return (HVK_RANGE);
		put32(at, size);
		hvk_copy(at + 4 + HVK_KVP_KEY_BYTES, &number, size);
		return (HVK_OK);
	default:
		return (HVK_RANGE);
	}
}

static int
get_value(struct hvk_rd *rd, struct hvk_kvp_item *item, bool key, bool value)
{
	const uint8_t *keys, *values;
	uint32_t key_size, value_size;
	uint64_t number = 0;
	int error = HVK_OK;

	item->type = hvk_rd_u32(rd);
	key_size = hvk_rd_u32(rd);
	value_size = hvk_rd_u32(rd);
	keys = hvk_rd_take(rd, HVK_KVP_KEY_BYTES);
	values = hvk_rd_take(rd, HVK_KVP_VALUE_BYTES);
	if (!hvk_rd_ok(rd))
		return (HVK_REJECT);
	if (key)
		error = get_string(item->key, sizeof(item->key), keys,
		    key_size, HVK_KVP_KEY_BYTES);
	if (error != HVK_OK || !value)
		return (error);
	switch (item->type) {
	case HVK_KVP_STRING:
	case HVK_KVP_EXPAND_STRING:
		return (get_string(item->value, sizeof(item->value), values,
		    value_size, HVK_KVP_VALUE_BYTES));
	case HVK_KVP_U32:
	case HVK_KVP_U64:
	case HVK_KVP_U64_OLD:
		hvk_copy(&number, values,
		    item->type == HVK_KVP_U32 ? 4 : 8);
		print_number(item->value, number);
		return (HVK_OK);
	default:
		return (HVK_REJECT);
	}
}

/* Without IP operations a body is shorter, and they came with 4.0. */
static bool
op_known(uint32_t version, uint8_t op)
{
	return (op < HVK_KVP_GET_IP || (op < HVK_KVP_NOPS &&
	    version >= HVK_IC_VERSION(4, 0)));
}

int
hvk_kvp_request(struct hvk_ic_message *m, uint32_t version,
    const struct hvk_kvp_item *item)
{
	uint8_t *body;
	int error;

	if (!op_known(version, item->op) || item->pool >= HVK_KVP_NPOOLS)
		return (HVK_RANGE);
	error = hvk_ic_resize(m, version >= HVK_IC_VERSION(4, 0) ?
	    HVK_KVP_BODY : HVK_KVP_BODY_V3);
	if (error != HVK_OK)
		return (error);
	body = hvk_ic_body(m);
	body[0] = item->op;
	body[1] = item->pool;
	body += sizeof(struct hvk_kvp_header);
	switch (item->op) {
	case HVK_KVP_GET:
		return (put_string(body + offsetof(struct hvk_kvp_value, key),
		    HVK_KVP_KEY_BYTES, body + 4, item->key));
	case HVK_KVP_SET:
		return (put_value(body, item, true));
	case HVK_KVP_DELETE:
		return (put_string(body + 4, HVK_KVP_KEY_BYTES, body,
		    item->key));
	case HVK_KVP_ENUMERATE:
		put32(body, item->index);
		return (HVK_OK);
	default:
		return (kvp_put_config(m, version, &item->config));
	}
}

static int
parse_delete(struct hvk_rd *rd, struct hvk_kvp_item *item)
{
	uint32_t size = hvk_rd_u32(rd);
	const uint8_t *key = hvk_rd_take(rd, HVK_KVP_KEY_BYTES);

	if (key == NULL)
		return (HVK_REJECT);
	return (get_string(item->key, sizeof(item->key), key, size,
	    HVK_KVP_KEY_BYTES));
}

int
hvk_kvp_parse(const struct hvk_ic_message *m, uint32_t version,
    struct hvk_kvp_item *item)
{
	struct hvk_rd rd;
	int error;

	hvk_zero(item, sizeof(*item));
	hvk_rd_init(&rd, hvk_ic_body_const(m), hvk_ic_body_len(m));
	item->op = hvk_rd_u8(&rd);
	item->pool = hvk_rd_u8(&rd);
	if (!hvk_rd_ok(&rd))
		return (HVK_REJECT);
	if (!op_known(version, item->op))
		return (HVK_RANGE);
	if (item->op >= HVK_KVP_GET_IP)
		return (kvp_get_config(m, version, &item->config));
	if (item->pool >= HVK_KVP_NPOOLS)
		return (HVK_REJECT);
	hvk_rd_skip(&rd, 2);
	switch (item->op) {
	case HVK_KVP_GET:
		error = get_value(&rd, item, true, false);
		break;
	case HVK_KVP_SET:
		error = get_value(&rd, item, true, true);
		break;
	case HVK_KVP_DELETE:
		error = parse_delete(&rd, item);
		break;
	default:
		item->index = hvk_rd_u32(&rd);
		return (hvk_rd_ok(&rd) ? HVK_OK : HVK_REJECT);
	}
	if (error == HVK_OK && item->key[0] == '\0')
		error = HVK_REJECT;
	return (error);
}

int
hvk_kvp_answer(struct hvk_ic_message *m, uint32_t version,
    const struct hvk_kvp_item *item)
{
	uint8_t *body = hvk_ic_body(m) + sizeof(struct hvk_kvp_header);
	uint32_t need = (uint32_t)sizeof(struct hvk_kvp_header);

	if (item->op == HVK_KVP_GET_IP)
		return (kvp_put_config(m, version, &item->config));
	if (item->op == HVK_KVP_ENUMERATE) {
		need += (uint32_t)sizeof(struct hvk_kvp_enumerate);
		body += offsetof(struct hvk_kvp_enumerate, data);
	} else if (item->op == HVK_KVP_GET)
		need += (uint32_t)sizeof(struct hvk_kvp_value);
	else
		return (HVK_OK);
	if (hvk_ic_body_len(m) < need && hvk_ic_resize(m, need) != HVK_OK)
		return (HVK_NOSPACE);
	return (put_value(body, item, item->op == HVK_KVP_ENUMERATE));
}

int
hvk_kvp_result(const struct hvk_ic_message *m, uint32_t version,
    struct hvk_kvp_item *item)
{
	struct hvk_rd rd;

	if (item->op == HVK_KVP_GET_IP)
		return (kvp_get_config(m, version, &item->config));
	if (item->op != HVK_KVP_ENUMERATE && item->op != HVK_KVP_GET)
		return (HVK_OK);
	hvk_rd_init(&rd, hvk_ic_body_const(m), hvk_ic_body_len(m));
	hvk_rd_skip(&rd, sizeof(struct hvk_kvp_header));
	if (item->op == HVK_KVP_ENUMERATE)
		hvk_rd_skip(&rd, 4);
	return (get_value(&rd, item, item->op == HVK_KVP_ENUMERATE, true));
}
