/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * Key-value pairs and network configuration as the host provides them:
 *
 *	"kvp get"	{"key", "pool"?}	-> {"pool", "key", "value"}
 *	"kvp set"	{"key", "value", "pool"?, "type"?}
 *	"kvp delete"	{"key", "pool"?}
 *	"kvp list"	{"pool"?}		-> {"pairs": [...]}
 *	"ip get"	{"adapter"}		-> {"ip": {...}}
 *	"ip set"	{"adapter", "addresses", "masks", "gateways", "dns",
 *			 "dhcp": bool}
 *
 * Locking: see ic.h.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <hvk/kvp.h>

#include "ic.h"

#define	LIMIT_MS	35000u		/* guests give their daemons 30 s */
#define	LIST_MAX	1000u		/* keys of a pool */

struct kvp_ask {
	struct ic	*ic;
	struct hvk_kvp_item item;
	struct hvk_ic_message reply;
	uint32_t	version;
};

static int
kvp_make(struct hvk_ic_host *h, uint64_t now, void *arg,
    struct hvk_ic_message *m)
{
	struct kvp_ask *a = arg;
	int error;

	error = hvk_ic_host_request(h, now, LIMIT_MS, HVK_KVP_BODY_V3, m);
	if (error != HVK_OK)
		return (error);
	a->version = h->version;
	error = hvk_kvp_request(m, h->version, &a->item);
	if (error != HVK_OK) {
		/* Not sent: nothing is outstanding. */
		h->waiting = false;
		return (error == HVK_RANGE && a->item.op >= HVK_KVP_GET_IP ?
		    HVK_REJECT : error);
	}
	return (HVK_OK);
}

/* What an error is about. */
static const char *
subject(const struct kvp_ask *a, char *buf, size_t len)
{
	if (a->item.op >= HVK_KVP_GET_IP)
		snprintf(buf, len, "adapter %.64s", a->item.config.adapter);
	else if (a->item.op == HVK_KVP_ENUMERATE)
		snprintf(buf, len, "the keys");
	else
		snprintf(buf, len, "key '%.64s'", a->item.key);
	return (buf);
}

/* 0; -ENOENT: no such key, or no more; else an error. */
static int
kvp_ask(struct kvp_ask *a, char *err, size_t errlen)
{
	char about[96];
	uint32_t status;
	int error;

	error = ic_ask(a->ic, kvp_make, a, &a->reply, err, errlen);
	if (error != 0)
		return (error);
	status = hvk_ic_header(&a->reply).status;
	if (status == HVK_IC_NO_MORE || (status == HVK_IC_NOT_FOUND &&
	    a->item.op < HVK_KVP_GET_IP))
		return (-ENOENT);
	error = ic_status(a->ic, &a->reply, subject(a, about, sizeof(about)),
	    err, errlen);
	if (error == 0 && hvk_kvp_result(&a->reply, a->version, &a->item) !=
	    HVK_OK)
		error = vmm_fail(err, errlen, -EPROTO, "the guest's answer to "
		    "%s makes no sense", hvk_kvp_op_name(a->item.op));
	return (error);
}

static int
parse_pool(const json_t *in, int def, char *err, size_t errlen)
{
	const char *name = json_string_value(json_object_get(in, "pool"));
	uint8_t i;

	if (name == NULL)
		return (def);
	for (i = 0; i < HVK_KVP_NPOOLS; i++)
		if (strcmp(name, hvk_kvp_pool_name(i)) == 0 ||
		    (name[0] == '0' + i && name[1] == '\0'))
			return (i);
	return (vmm_fail(err, errlen, -EINVAL, "no pool '%.32s'; they are "
	    "external (0), guest (1), auto (2), auto-external (3), "
	    "auto-internal (4)", name));
}

static int
parse_key(struct kvp_ask *a, const json_t *in, char *err, size_t errlen)
{
	const char *key = json_string_value(json_object_get(in, "key"));

	if (key == NULL || *key == '\0')
		return (vmm_fail(err, errlen, -EINVAL, "a key is needed"));
	if (strlen(key) >= sizeof(a->item.key))
		return (vmm_fail(err, errlen, -E2BIG, "the key is too long: "
		    "255 UTF-16 units are the limit"));
	strcpy(a->item.key, key);
	return (0);
}

static int
parse_value(struct kvp_ask *a, const json_t *in, char *err, size_t errlen)
{
	const char *value = json_string_value(json_object_get(in, "value"));
	const char *type = json_string_value(json_object_get(in, "type"));

	if (value == NULL)
		return (vmm_fail(err, errlen, -EINVAL, "a value is needed"));
	if (strlen(value) >= sizeof(a->item.value))
		return (vmm_fail(err, errlen, -E2BIG, "the value is too long: "
		    "1023 UTF-16 units are the limit"));
	strcpy(a->item.value, value);
	if (type == NULL || strcmp(type, "string") == 0)
		a->item.type = HVK_KVP_STRING;
	else if (strcmp(type, "u32") == 0)
		a->item.type = HVK_KVP_U32;
	else if (strcmp(type, "u64") == 0)
		a->item.type = HVK_KVP_U64;
	else
		return (vmm_fail(err, errlen, -EINVAL, "no type '%.16s'; they "
		    "are string, u32 and u64", type));
	return (0);
}

static json_t *
pair_json(const struct hvk_kvp_item *item)
{

	return (json_pack("{s:s, s:s, s:s}", "pool",
	    hvk_kvp_pool_name(item->pool), "key", item->key, "value",
	    item->value));
}

/*
 * Stock Linux answers a GET with an empty string, whatever the value is: hosts
 * that it knows only enumerate.  So an empty one is looked up that way, too.
 */
static int
kvp_look(struct kvp_ask *a, uint8_t pool, const char *key, char *err,
    size_t errlen)
{
	uint32_t index;
	int error = 0;

	for (index = 0; error == 0 && index < LIST_MAX; index++) {
		memset(&a->item, 0, sizeof(a->item));
		a->item.op = HVK_KVP_ENUMERATE;
		a->item.pool = pool;
		a->item.index = index;
		error = kvp_ask(a, err, errlen);
		if (error == 0 && strcmp(a->item.key, key) == 0)
			return (0);
	}
	/* Gone meanwhile, or not to be enumerated: it was empty. */
	a->item.value[0] = '\0';
	return (error == -ENOENT ? 0 : error);
}

/* Without a pool: the first that has the key. */
static int
kvp_get(struct kvp_ask *a, int pool, json_t *out, char *err, size_t errlen)
{
	uint8_t i, from = 0, to = HVK_KVP_NPOOLS;
	char key[sizeof(a->item.key)];
	int error = -ENOENT;

	if (pool >= 0) {
		from = (uint8_t)pool;
		to = from + 1;
	}
	strcpy(key, a->item.key);
	for (i = from; i < to && error == -ENOENT; i++) {
		a->item.op = HVK_KVP_GET;
		a->item.pool = i;
		strcpy(a->item.key, key);
		error = kvp_ask(a, err, errlen);
		if (error == 0 && a->item.value[0] == '\0')
			error = kvp_look(a, i, key, err, errlen);
	}
	if (error == -ENOENT)
		return (vmm_fail(err, errlen, error, "the guest has no key "
		    "'%.64s' in %s", key, pool < 0 ? "any pool" :
		    hvk_kvp_pool_name((uint8_t)pool)));
	if (error == 0) {
		json_object_set_new(out, "pool",
		    json_string(hvk_kvp_pool_name(a->item.pool)));
		json_object_set_new(out, "key", json_string(key));
		json_object_set_new(out, "value", json_string(a->item.value));
	}
	return (error);
}

static int
kvp_list(struct kvp_ask *a, int pool, json_t *out, char *err, size_t errlen)
{
	uint8_t i, from = 0, to = HVK_KVP_NPOOLS;
	json_t *list = json_array();
	uint32_t index;
	int error = 0;

	if (pool >= 0) {
		from = (uint8_t)pool;
		to = from + 1;
	}
	for (i = from; i < to && (error == 0 || error == -ENOENT); i++) {
		for (index = 0; index < LIST_MAX; index++) {
			memset(&a->item, 0, sizeof(a->item));
			a->item.op = HVK_KVP_ENUMERATE;
			a->item.pool = i;
			a->item.index = index;
			error = kvp_ask(a, err, errlen);
			if (error != 0)
				break;
			json_array_append_new(list, pair_json(&a->item));
		}
	}
	if (error != 0 && error != -ENOENT) {
		json_decref(list);
		return (error);
	}
	json_object_set_new(out, "pairs", list);
	return (0);
}

static int
kvp_command(struct kvp_ask *a, const char *cmd, const json_t *in, json_t *out,
    char *err, size_t errlen)
{
	bool set = strcmp(cmd, "kvp set") == 0;
	int error = 0, pool;

	pool = parse_pool(in, set || strcmp(cmd, "kvp delete") == 0 ?
	    HVK_KVP_EXTERNAL : -1, err, errlen);
	if (pool < -1)
		return (pool);
	if (strcmp(cmd, "kvp list") == 0)
		return (kvp_list(a, pool, out, err, errlen));
	error = parse_key(a, in, err, errlen);
	if (error != 0)
		return (error);
	if (strcmp(cmd, "kvp get") == 0)
		return (kvp_get(a, pool, out, err, errlen));
	a->item.pool = (uint8_t)pool;
	if (set) {
		a->item.op = HVK_KVP_SET;
		error = parse_value(a, in, err, errlen);
	} else if (strcmp(cmd, "kvp delete") == 0)
		a->item.op = HVK_KVP_DELETE;
	else
		return (vmm_fail(err, errlen, -EINVAL, "use kvp get, set, "
		    "delete or list"));
	if (error == 0)
		error = kvp_ask(a, err, errlen);
	if (error == -ENOENT)
		(void)vmm_fail(err, errlen, error, "the guest has no key "
		    "'%.64s' in %s", a->item.key,
		    hvk_kvp_pool_name(a->item.pool));
	if (error == -EINVAL && set && a->item.type != HVK_KVP_STRING)
		(void)vmm_fail(err, errlen, error, "'%.32s' is not a number "
		    "of that type", a->item.value);
	return (error);
}

int
ic_kvp_ctl(struct vmm_services *s, const char *cmd, const json_t *in,
    json_t *out, char *err, size_t errlen)
{
	struct kvp_ask *a = calloc(1, sizeof(*a));
	int error;

	if (a == NULL)
		return (vmm_fail(err, errlen, -ENOMEM, "out of memory"));
	a->ic = ic_find(s, HVK_IC_KVP);
	error = kvp_command(a, cmd, in, out, err, errlen);
	free(a);
	return (error);
}

/* ---- ip */

/*
 * What the guest knows an adapter by: "net0" is looked up on the bus, anything
 * else is taken as it is.  Guests compare a MAC address when they are asked and
 * the device's name in braces when they are told.
 */
static int
find_adapter(struct vmm_services *s, const char *name, bool set, char *to,
    size_t len, char *err, size_t errlen)
{
	json_t *info = json_object(), *dev;
	const char *text = NULL;
	char list[96] = "";
	size_t i, used;

	if (strchr(name, ':') != NULL || strchr(name, '{') != NULL ||
	    strchr(name, '-') != NULL) {
		snprintf(to, len, "%s", name);
		json_decref(info);
		return (0);
	}
	vmm_bus_info(s->bus, info);
	json_array_foreach(json_object_get(info, "devices"), i, dev) {
		const char *n = json_string_value(json_object_get(dev,
		    "name"));

		if (n == NULL || json_object_get(dev, "mac") == NULL)
			continue;
		used = strlen(list);
		snprintf(list + used, sizeof(list) - used, " %s", n);
		if (strcmp(n, name) == 0)
			text = json_string_value(json_object_get(dev,
			    set ? "instance" : "mac"));
	}
	if (text != NULL)
		snprintf(to, len, set ? "{%s}" : "%s", text);
	json_decref(info);
	if (text != NULL)
		return (0);
	if (list[0] == '\0')
		return (vmm_fail(err, errlen, -ENOENT, "this guest has no "
		    "network adapter; `hvk ctl nic add` gives it one"));
	return (vmm_fail(err, errlen, -ENOENT, "no network adapter '%.32s'; "
	    "there is%s (`hvk ctl info`), or give its MAC address (get) or "
	    "{instance} (set)", name, list));
}

static uint8_t
family_of(const char *list)
{
	uint8_t family = HVK_KVP_FAMILY_NONE;

	if (strchr(list, '.') != NULL)
		family |= HVK_KVP_FAMILY_V4;
	if (strchr(list, ':') != NULL)
		family |= HVK_KVP_FAMILY_V6;
	return (family);
}

static int
put_text(char *to, size_t len, const json_t *in, const char *key, char *err,
    size_t errlen)
{
	const char *text = json_string_value(json_object_get(in, key));

	if (text == NULL)
		return (0);
	if (strlen(text) >= len)
		return (vmm_fail(err, errlen, -E2BIG, "the list of %s is too "
		    "long", key));
	strcpy(to, text);
	return (0);
}

static int
parse_config(struct hvk_kvp_config *c, const json_t *in, char *err,
    size_t errlen)
{
	int error;

	error = put_text(c->addresses, sizeof(c->addresses), in, "addresses",
	    err, errlen);
	if (error == 0)
		error = put_text(c->masks, sizeof(c->masks), in, "masks",
		    err, errlen);
	if (error == 0)
		error = put_text(c->gateways, sizeof(c->gateways), in,
		    "gateways", err, errlen);
	if (error == 0)
		error = put_text(c->dns, sizeof(c->dns), in, "dns", err,
		    errlen);
	if (error != 0)
		return (error);
	c->dhcp = json_is_true(json_object_get(in, "dhcp"));
	c->family = family_of(c->addresses);
	if (c->family == HVK_KVP_FAMILY_NONE && !c->dhcp)
		return (vmm_fail(err, errlen, -EINVAL, "give addresses=..., "
		    "or dhcp=yes"));
	if (c->family == HVK_KVP_FAMILY_NONE)
		c->family = HVK_KVP_FAMILY_V4;
	return (0);
}

static int
ip_command(struct vmm_services *s, struct kvp_ask *a, const char *cmd,
    const json_t *in, json_t *out, char *err, size_t errlen)
{
	static const char *const families[] = { "none", "ipv4", "ipv6",
	    "ipv4+ipv6" };
	const char *name = json_string_value(json_object_get(in, "adapter"));
	struct hvk_kvp_config *c = &a->item.config;
	bool set = strcmp(cmd, "ip set") == 0;
	int error;

	if (name == NULL || (!set && strcmp(cmd, "ip get") != 0))
		return (vmm_fail(err, errlen, -EINVAL, "use ip get ADAPTER or "
		    "ip set ADAPTER addresses=..."));
	a->item.op = set ? HVK_KVP_SET_IP : HVK_KVP_GET_IP;
	error = find_adapter(s, name, set, c->adapter, sizeof(c->adapter),
	    err, errlen);
	if (error == 0 && set)
		error = parse_config(c, in, err, errlen);
	if (error == 0)
		error = kvp_ask(a, err, errlen);
	if (error == -ENOENT && c->adapter[0] != '\0')
		(void)vmm_fail(err, errlen, error, "the guest knows no adapter "
		    "%s", c->adapter);
	if (error != 0 || set)
		return (error);
	json_object_set_new(out, "ip", json_pack("{s:s, s:s, s:b, s:s, s:s, "
	    "s:s, s:s}", "adapter", c->adapter, "family",
	    families[c->family & 3], "dhcp", c->dhcp != 0, "addresses",
	    c->addresses, "masks", c->masks, "gateways", c->gateways, "dns",
	    c->dns));
	return (0);
}

int
ic_ip_ctl(struct vmm_services *s, const char *cmd, const json_t *in,
    json_t *out, char *err, size_t errlen)
{
	struct kvp_ask *a = calloc(1, sizeof(*a));
	int error;

	if (a == NULL)
		return (vmm_fail(err, errlen, -ENOMEM, "out of memory"));
	a->ic = ic_find(s, HVK_IC_KVP);
	error = ip_command(s, a, cmd, in, out, err, errlen);
	free(a);
	return (error);
}

const struct ic_ops ic_kvp_ops = {
	.type = HVK_IC_KVP,
	.instance = HVK_GUID_KVP_INSTANCE,
};
