/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * What the caller may ask of a network interface that is up: one RNDIS request
 * at a time.
 *
 * Locking: none, see hvk/guest/netvsc.h.  Facts: wire.md section 16.
 */

#include "netvsc_int.h"

static int
may_ask(const struct hvk_netvsc *s)
{
	if (s->phase != HVK_NETVSC_READY)
		return (HVK_STATE);
	return (s->mine ? HVK_AGAIN : HVK_OK);
}

static int
request(struct hvk_netvsc *s, uint32_t type, uint32_t oid, const void *in,
    uint32_t len, uint64_t now)
{
	int error;

	error = may_ask(s);
	if (error != HVK_OK)
		return (error);
	if (len > sizeof(s->out) - sizeof(struct hvk_rndis_request))
		return (HVK_RANGE);
	netvsc_request(s, type, oid, in, len);
	netvsc_step(s, HVK_NETVSC_READY, now);
	s->mine = true;
	hvk_zero(&s->request, sizeof(s->request));
	return (HVK_OK);
}

int
hvk_netvsc_query(struct hvk_netvsc *s, uint32_t oid, const void *in,
    uint32_t len, uint64_t now)
{
	return (request(s, HVK_RNDIS_QUERY, oid, in, len, now));
}

int
hvk_netvsc_set(struct hvk_netvsc *s, uint32_t oid, const void *in,
    uint32_t len, uint64_t now)
{
	/* Those have functions that remember what they set. */
	if (oid == HVK_OID_PACKET_FILTER || oid == HVK_OID_OFFLOAD_PARAMS)
		return (HVK_RANGE);
	return (request(s, HVK_RNDIS_SET, oid, in, len, now));
}

int
hvk_netvsc_set_filter(struct hvk_netvsc *s, uint32_t filter, uint64_t now)
{
	int error;

	error = request(s, HVK_RNDIS_SET, HVK_OID_PACKET_FILTER, &filter,
	    sizeof(filter), now);
	if (error == HVK_OK)
		s->wanted = filter;
	return (error);
}

int
hvk_netvsc_set_multicast(struct hvk_netvsc *s, const uint8_t (*list)[6],
    uint32_t n, uint64_t now)
{
	if (n > HVK_NETVSC_MULTICAST)
		return (HVK_RANGE);
	return (request(s, HVK_RNDIS_SET, HVK_OID_8023_MULTICAST, list, n * 6,
	    now));
}

int
hvk_netvsc_set_mac(struct hvk_netvsc *s, const uint8_t mac[6], uint64_t now)
{
	uint8_t info[HVK_NDIS_MAC_MAX];
	uint32_t len;

	if ((mac[0] & 1) != 0)
		return (HVK_RANGE);
	len = hvk_ndis_mac_encode(mac, info);
	return (request(s, HVK_RNDIS_SET, HVK_OID_RNDIS_CONFIG, info, len,
	    now));
}

int
hvk_netvsc_set_offloads(struct hvk_netvsc *s, uint32_t on, uint64_t now)
{
	struct hvk_ndis_offload_params info;
	uint32_t len;
	int error;

	if ((on & ~s->offload.can) != 0)
		return (HVK_RANGE);
	len = hvk_offload_params_encode(s->offload.can, on,
	    s->ndis_version >= HVK_NDIS_6_30 ? 3 : 2, &info);
	error = request(s, HVK_RNDIS_SET, HVK_OID_OFFLOAD_PARAMS, &info, len,
	    now);
	if (error == HVK_OK)
		s->wanted = on;
	return (error);
}

int
hvk_netvsc_set_rss(struct hvk_netvsc *s, const struct hvk_net_rss *rss,
    uint64_t now)
{
	uint64_t info[(HVK_RSS_PARAMS_MAX + 7) / 8];
	uint32_t i;

	if (rss->entries > s->rss.entries || rss->entries > HVK_RSS_TABLE ||
	    (rss->enabled && rss->entries == 0))
		return (HVK_RANGE);
	for (i = 0; i < rss->entries; i++)
		if (rss->table[i] > s->subchannels)
			return (HVK_RANGE);
	return (request(s, HVK_RNDIS_SET, HVK_OID_RSS_PARAMS, info,
	    hvk_rss_params_encode(rss, 0, info), now));
}

int
hvk_netvsc_keepalive(struct hvk_netvsc *s, uint64_t now)
{
	return (request(s, HVK_RNDIS_KEEPALIVE, 0, NULL, 0, now));
}

int
hvk_netvsc_reset(struct hvk_netvsc *s, uint64_t now)
{
	return (request(s, HVK_RNDIS_RESET, 0, NULL, 0, now));
}
