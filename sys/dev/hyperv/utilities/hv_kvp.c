/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * hvkvp: key-value pairs, and through them the guest's network configuration.
 * The requests of the host become records of /dev/hv_kvp_dev (hv_kvp.h) and
 * what hv_kvp_daemon(8) answers becomes their replies.
 *
 * Locking: see hvic_dev.h.  kv_item is under ic_mtx.
 */

#include "hvic_dev.h"
#include "hv_kvp.h"

#include <hvk/kvp.h>

struct hvkvp_softc {
	struct hvic_dev		kv_dev;		/* first */
	struct hvk_kvp_item	kv_item;	/* being turned into another */
	uint8_t			kv_op;		/* of the request taken */
};

/* A string into a field of the record, with its size; false: too long. */
static bool
hvkvp_put(uint8_t *to, size_t room, const char *text, uint32_t *size)
{
	size_t len;

	len = strlen(text) + 1;
	if (len > room)
		return (false);
	memcpy(to, text, len);
	if (size != NULL)
		*size = (uint32_t)len;
	return (true);
}

/* A field of the record, which need not end. */
static bool
hvkvp_get(char *to, size_t room, const void *from, size_t max)
{
	size_t len;

	len = strnlen(from, max);
	if (len >= room)
		return (false);
	memcpy(to, from, len);
	to[len] = '\0';
	return (true);
}

static bool
hvkvp_put_config(struct hv_kvp_ipaddr_value *ip,
    const struct hvk_kvp_config *c)
{

	ip->addr_family = c->family;
	ip->dhcp_enabled = c->dhcp;
#define	PUT(to, from)	hvkvp_put((uint8_t *)ip + offsetof(		\
	struct hv_kvp_ipaddr_value, to), sizeof(ip->to), c->from, NULL)
	return (PUT(adapter_id, adapter) && PUT(ip_addr, addresses) &&
	    PUT(sub_net, masks) && PUT(gate_way, gateways) &&
	    PUT(dns_addr, dns));
#undef PUT
}

static bool
hvkvp_get_config(struct hvk_kvp_config *c,
    const struct hv_kvp_ipaddr_value *ip)
{

	c->family = ip->addr_family;
	c->dhcp = ip->dhcp_enabled;
#define	GET(to, from)	hvkvp_get(c->to, sizeof(c->to),			\
	(const uint8_t *)ip + offsetof(struct hv_kvp_ipaddr_value, from), \
	sizeof(ip->from))
	return (GET(adapter, adapter_id) && GET(addresses, ip_addr) &&
	    GET(masks, sub_net) && GET(gateways, gate_way) &&
	    GET(dns, dns_addr));
#undef GET
}

static bool
hvkvp_put_item(struct hv_kvp_msg *r, const struct hvk_kvp_item *item)
{
	struct hv_kvp_exchg_msg_value *v = &r->body.kvp_set.data;
	uint32_t key = 0, value = 0;
	bool fits = true;

	switch (item->op) {
	case HVK_KVP_SET:
		v->value_type = HV_REG_SZ;
		fits = hvkvp_put(v->msg_value.value, sizeof(v->msg_value.value),
		    item->value, &value);
		v->value_size = value;
		/* FALLTHROUGH */
	case HVK_KVP_GET:
		fits = hvkvp_put(v->key, sizeof(v->key), item->key, &key) &&
		    fits;
		v->key_size = key;
		return (fits);
	case HVK_KVP_DELETE:
		fits = hvkvp_put(r->body.kvp_delete.key,
		    sizeof(r->body.kvp_delete.key), item->key, &key);
		r->body.kvp_delete.key_size = key;
		return (fits);
	case HVK_KVP_ENUMERATE:
		r->body.kvp_enum_data.index = item->index;
		return (true);
	default:
		return (hvkvp_put_config(&r->body.kvp_ip_val, &item->config));
	}
}

static uint32_t
hvkvp_fill(struct hvic_dev *dv, const struct hvk_ic_message *m,
    uint64_t id __unused, void *record)
{
	struct hvkvp_softc *sc = (struct hvkvp_softc *)dv;
	struct hvk_kvp_item *item = &sc->kv_item;
	struct hv_kvp_msg *r = record;
	int error;

	error = hvk_kvp_parse(m, dv->dv_ic.ic.version, item);
	if (error != HVK_OK)
		return (error == HVK_RANGE ? HVK_IC_NOT_SUPPORTED :
		    HVK_IC_BAD_ARGUMENT);
	r->hdr.kvp_hdr.operation = item->op;
	r->hdr.kvp_hdr.pool = item->pool;
	sc->kv_op = item->op;
	if (dv->dv_log > 1)
		device_printf(dv->dv_ic.ic_dev, "%s in pool %s\n",
		    hvk_kvp_op_name(item->op), hvk_kvp_pool_name(item->pool));
	return (hvkvp_put_item(r, item) ? HVK_IC_OK : HVK_IC_BAD_ARGUMENT);
}

static bool
hvkvp_get_item(struct hvk_kvp_item *item, const struct hv_kvp_msg *r)
{
	const struct hv_kvp_exchg_msg_value *v;

	switch (item->op) {
	case HVK_KVP_GET:
		v = &r->body.kvp_get.data;
		break;
	case HVK_KVP_ENUMERATE:
		v = &r->body.kvp_enum_data.data;
		break;
	case HVK_KVP_GET_IP:
		return (hvkvp_get_config(&item->config, &r->body.kvp_ip_val));
	default:
		return (true);
	}
	item->type = HVK_KVP_STRING;
	return (hvkvp_get(item->key, sizeof(item->key), v->key,
	    sizeof(v->key)) && hvkvp_get(item->value, sizeof(item->value),
	    v->msg_value.value, sizeof(v->msg_value.value)));
}

static int
hvkvp_absorb(struct hvic_dev *dv, struct hvk_ic_message *m,
    uint64_t id __unused, const void *record)
{
	struct hvkvp_softc *sc = (struct hvkvp_softc *)dv;
	struct hvk_kvp_item *item = &sc->kv_item;
	const struct hv_kvp_msg *r = record;
	uint32_t status;

	status = r->hdr.error;
	if (dv->dv_log > (status != HVK_IC_OK ? 0u : 1u))
		device_printf(dv->dv_ic.ic_dev, "%s: 0x%08x\n",
		    hvk_kvp_op_name(sc->kv_op), status);
	if (status == HVK_IC_OK) {
		memset(item, 0, sizeof(*item));
		item->op = sc->kv_op;
		if (!hvkvp_get_item(item, r) ||
		    hvk_kvp_answer(m, dv->dv_ic.ic.version, item) != HVK_OK)
			status = HVK_IC_FAIL;
	}
	hvk_ic_answer(m, status);
	return (0);
}

static int
hvkvp_register(struct hvic_dev *dv, const void *record)
{
	const struct hv_kvp_msg *r = record;

	if (r->hdr.kvp_hdr.operation != HV_KVP_OP_REGISTER)
		return (EINVAL);
	if (dv->dv_log > 1)
		device_printf(dv->dv_ic.ic_dev, "the daemon is there\n");
	return (0);
}

static int
hvkvp_probe(device_t dev)
{

	return (hvic_probe(dev, HVK_IC_KVP, "Hyper-V KVP"));
}

static int
hvkvp_attach(device_t dev)
{
	struct hvkvp_softc *sc = device_get_softc(dev);
	struct hvic_dev *dv = &sc->kv_dev;

	dv->dv_record = sizeof(struct hv_kvp_msg);
	dv->dv_reply = sizeof(struct hv_kvp_hdr);
	dv->dv_fill = hvkvp_fill;
	dv->dv_absorb = hvkvp_absorb;
	dv->dv_register = hvkvp_register;
	SYSCTL_ADD_UINT(device_get_sysctl_ctx(dev),
	    SYSCTL_CHILDREN(device_get_sysctl_tree(dev)), OID_AUTO,
	    "hv_kvp_log", CTLFLAG_RWTUN, &dv->dv_log, 0,
	    "Hyperv KVP service log level");
	return (hvic_dev_attach(dev, dv, HVK_IC_KVP, HV_KVP_DEV_NAME));
}

static int
hvkvp_detach(device_t dev)
{

	hvic_dev_detach(device_get_softc(dev));
	return (0);
}

static device_method_t hvkvp_methods[] = {
	DEVMETHOD(device_probe,		hvkvp_probe),
	DEVMETHOD(device_attach,	hvkvp_attach),
	DEVMETHOD(device_detach,	hvkvp_detach),
	DEVMETHOD_END
};

HVIC_DRIVER(hv_kvp, hvkvp, hvkvp_methods, struct hvkvp_softc);
