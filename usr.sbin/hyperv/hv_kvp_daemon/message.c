/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * message.c: see message.h. What the host may do: read every pool, write and
 * delete in all but the one of facts (2).
 */

#include <errno.h>
#include <string.h>

#include "facts.h"
#include "log.h"
#include "message.h"

#define	SET_SECONDS	28	/* the kernel waits 30 for an answer */
#define	GET_SECONDS	10

_Static_assert(POOL_KEY == HV_KVP_EXCHANGE_MAX_KEY_SIZE &&
    POOL_VALUE == HV_KVP_EXCHANGE_MAX_VALUE_SIZE &&
    POOL_COUNT == HV_KVP_POOL_COUNT, "pools hold what messages carry");

static uint32_t
status_of(int error)
{
	switch (error) {
	case 0:
		return (HV_KVP_S_OK);
	case ENOENT:
		return (HV_KVP_E_NO_MORE);
	case EINVAL:
		return (HV_KVP_E_INVALIDARG);
	default:
		log_msg(LOG_ERR, "pool: %s", strerror(error));
		return (HV_KVP_E_FAIL);
	}
}

/* A field as a string, whatever it is; false: it has no end. */
static bool
take(char *to, const uint8_t *from, size_t len)
{
	memcpy(to, from, len);
	if (memchr(to, '\0', len) != NULL)
		return (true);
	to[len - 1] = '\0';
	return (false);
}

/* Fills in what GET and ENUMERATE return. */
static void
put(struct hv_kvp_exchg_msg_value *v, const struct pool_record *r)
{
	v->value_type = HV_REG_SZ;
	v->key_size = (uint32_t)strlen(r->key) + 1;
	v->value_size = (uint32_t)strlen(r->value) + 1;
	memset(v->key, 0, sizeof(v->key));
	memset(&v->msg_value, 0, sizeof(v->msg_value));
	memcpy(v->key, r->key, v->key_size);
	memcpy(v->msg_value.value, r->value, v->value_size);
}

static int
fact_record(struct kvp *k, uint32_t index, struct pool_record *r)
{
	const char *key;

	key = fact_key(index);
	if (key == NULL)
		return (ENOENT);
	memset(r, 0, sizeof(*r));
	strcpy(r->key, key);
	fact_value(&k->helper, index, r->value, sizeof(r->value));
	return (0);
}

static int
fact_by_key(struct kvp *k, const char *key, struct pool_record *r)
{
	uint32_t i;

	for (i = 0; fact_key(i) != NULL; i++)
		if (strcmp(fact_key(i), key) == 0)
			return (fact_record(k, i, r));
	return (ENOENT);
}

static int
op_get(struct kvp *k, unsigned int pool, struct hv_kvp_msg *m)
{
	struct pool_record r;
	char key[POOL_KEY];
	int error;

	if (!take(key, m->body.kvp_get.data.key, sizeof(key)))
		return (EINVAL);
	error = pool == HV_KVP_POOL_AUTO ? fact_by_key(k, key, &r) :
	    pool_get(&k->pools, pool, key, &r);
	if (error == 0)
		put(&m->body.kvp_get.data, &r);
	return (error);
}

static int
op_set(struct kvp *k, unsigned int pool, const struct hv_kvp_msg *m)
{
	struct pool_record r;

	if (pool == HV_KVP_POOL_AUTO ||
	    !take(r.key, m->body.kvp_set.data.key, sizeof(r.key)) ||
	    !take(r.value, m->body.kvp_set.data.msg_value.value,
	    sizeof(r.value)))
		return (EINVAL);
	return (pool_set(&k->pools, pool, r.key, r.value));
}

static int
op_delete(struct kvp *k, unsigned int pool, const struct hv_kvp_msg *m)
{
	char key[POOL_KEY];

	if (pool == HV_KVP_POOL_AUTO ||
	    !take(key, m->body.kvp_delete.key, sizeof(key)))
		return (EINVAL);
	return (pool_delete(&k->pools, pool, key));
}

static int
op_enumerate(struct kvp *k, unsigned int pool, struct hv_kvp_msg *m)
{
	struct pool_record r;
	uint32_t index;
	int error;

	index = m->body.kvp_enum_data.index;
	error = pool == HV_KVP_POOL_AUTO ? fact_record(k, index, &r) :
	    pool_at(&k->pools, pool, index, &r);
	if (error == 0)
		put(&m->body.kvp_enum_data.data, &r);
	return (error);
}

static uint32_t
op_ip(struct kvp *k, struct hv_kvp_msg *m, bool set)
{
	static struct netconf_msg n;

	memset(&n, 0, sizeof(n));
	n.op = set ? NETCONF_SET : NETCONF_GET;
	memcpy(&n.u.ip, &m->body.kvp_ip_val, sizeof(n.u.ip));
	if (!helper_ask(&k->helper, &n, set ? SET_SECONDS : GET_SECONDS))
		return (HV_KVP_E_FAIL);
	memcpy(&m->body.kvp_ip_val, &n.u.ip, sizeof(n.u.ip));
	return (n.status);
}

void
message_answer(struct kvp *k, struct hv_kvp_msg *m)
{
	unsigned int op, pool;
	uint32_t status;

	op = m->hdr.kvp_hdr.operation;
	pool = m->hdr.kvp_hdr.pool;
	switch (op) {
	case HV_KVP_OP_GET:
		status = status_of(op_get(k, pool, m));
		break;
	case HV_KVP_OP_SET:
		status = status_of(op_set(k, pool, m));
		break;
	case HV_KVP_OP_DELETE:
		status = status_of(op_delete(k, pool, m));
		break;
	case HV_KVP_OP_ENUMERATE:
		status = status_of(op_enumerate(k, pool, m));
		break;
	case HV_KVP_OP_GET_IP_INFO:
	case HV_KVP_OP_SET_IP_INFO:
		status = op_ip(k, m, op == HV_KVP_OP_SET_IP_INFO);
		break;
	default:
		status = HV_KVP_E_NOT_SUPPORTED;
	}
	log_msg(LOG_DEBUG, "operation %u on pool %u: %#x", op, pool, status);
	m->hdr.error = status;
}
