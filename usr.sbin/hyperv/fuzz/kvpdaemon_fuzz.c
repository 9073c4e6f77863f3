/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * kvpdaemon_fuzz.c: hv_kvp_daemon(8): a pool file of any content, then
 * messages of any content. Input: two bytes of length, the file, and for each
 * message: operation, pool, and what its body begins with (length first).
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "log.h"
#include "message.h"
#include "tree.h"

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static struct kvp k;

static void
setup(void)
{
	tree_begin("hvkvp");
	if (pools_open(&k.pools, tree) != 0)
		abort();
	k.helper.fd = -1;
}

static size_t
put_pool(const uint8_t *data, size_t size)
{
	char path[96];
	size_t len;
	FILE *f;

	if (size < 2)
		return (size);
	len = (size_t)data[0] << 8 | data[1];
	if (len > size - 2)
		len = size - 2;
	snprintf(path, sizeof(path), "%s/.kvp_pool_0", tree);
	f = fopen(path, "w");
	if (f == NULL || fwrite(data + 2, 1, len, f) != len)
		abort();
	fclose(f);
	return (2 + len);
}

/* An answer that claims success carries strings that end. */
static void
check(unsigned int op, const struct hv_kvp_msg *m)
{
	const struct hv_kvp_exchg_msg_value *v;

	if (m->hdr.error != 0 ||
	    (op != HV_KVP_OP_GET && op != HV_KVP_OP_ENUMERATE))
		return;
	v = op == HV_KVP_OP_GET ? &m->body.kvp_get.data :
	    &m->body.kvp_enum_data.data;
	if (v->key_size != strnlen((const char *)v->key,
	    sizeof(v->key)) + 1 || v->value_size != strnlen((const char *)
	    v->msg_value.value, sizeof(v->msg_value.value)) + 1 ||
	    v->key_size > sizeof(v->key) ||
	    v->value_size > sizeof(v->msg_value.value))
		abort();
}

/* What was set is what is there. */
static void
check_set(const struct hv_kvp_msg *set)
{
	static struct hv_kvp_msg m;
	const struct hv_kvp_exchg_msg_value *v;

	v = &set->body.kvp_set.data;
	memset(&m, 0, sizeof(m));
	m.hdr.kvp_hdr.operation = HV_KVP_OP_GET;
	memcpy(m.body.kvp_get.data.key, v->key, sizeof(v->key));
	message_answer(&k, &m);
	if (m.hdr.error != 0 || strcmp((const char *)
	    m.body.kvp_get.data.msg_value.value, (const char *)
	    v->msg_value.value) != 0)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct hv_kvp_msg m, asked;
	size_t at, len;
	unsigned int op, pool;

	if (tree[0] == '\0')
		setup();
	at = put_pool(data, size);
	while (size - at >= 4) {
		op = data[at];
		pool = data[at + 1];
		len = (size_t)data[at + 2] << 8 | data[at + 3];
		at += 4;
		if (len > size - at)
			len = size - at;
		if (len > sizeof(m.body))
			len = sizeof(m.body);
		memset(&m, 0, sizeof(m));
		m.hdr.kvp_hdr.operation = (uint8_t)op;
		m.hdr.kvp_hdr.pool = (uint8_t)pool;
		memcpy(&m.body, data + at, len);
		at += len;
		asked = m;
		message_answer(&k, &m);
		check(op, &m);
		if (op == HV_KVP_OP_SET && pool == 0 && m.hdr.error == 0)
			check_set(&asked);
	}
	return (0);
}
