/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * The network provider's NDIS objects: what a guest may ask and set.  Locking:
 * see hvk/host/netvsp.h.  Facts: wire.md section 16; what FreeBSD, Linux,
 * OpenBSD and EDK2 ask, their drivers.
 */
#include <hvk/utf16.h>

#include "netvsp_int.h"

#define	ETHER		14u
#define	VENDOR_NONE	0x00ffffffu	/* no vendor's number */
#define	DRIVER_VERSION	0x0600u		/* NDIS's, as OID_DRIVER_VERSION */

static const char vendor[] = "hvkit network adapter";

static const uint32_t supported[] = {
	HVK_OID_SUPPORTED_LIST, HVK_OID_HARDWARE_STATUS,
	HVK_OID_MEDIA_SUPPORTED, HVK_OID_MEDIA_IN_USE, HVK_OID_MAX_LOOKAHEAD,
	HVK_OID_MAX_FRAME_SIZE, HVK_OID_LINK_SPEED, HVK_OID_TX_BUFFER_SPACE,
	HVK_OID_RX_BUFFER_SPACE, HVK_OID_TX_BLOCK_SIZE, HVK_OID_RX_BLOCK_SIZE,
	HVK_OID_VENDOR_ID, HVK_OID_VENDOR_DESCRIPTION, HVK_OID_PACKET_FILTER,
	HVK_OID_LOOKAHEAD, HVK_OID_DRIVER_VERSION, HVK_OID_MAX_TOTAL_SIZE,
	HVK_OID_MAC_OPTIONS, HVK_OID_MEDIA_CONNECT, HVK_OID_MAX_SEND_PACKETS,
	HVK_OID_VENDOR_DRIVER_VERSION, HVK_OID_MAX_LINK_SPEED,
	HVK_OID_LINK_STATE, HVK_OID_RNDIS_CONFIG, HVK_OID_XMIT_OK,
	HVK_OID_RCV_OK, HVK_OID_XMIT_ERROR, HVK_OID_RCV_ERROR,
	HVK_OID_RCV_NO_BUFFER, HVK_OID_STATISTICS, HVK_OID_FRIENDLY_NAME,
	HVK_OID_8023_PERMANENT, HVK_OID_8023_CURRENT,
	HVK_OID_8023_MULTICAST, HVK_OID_8023_MAX_LIST,
	HVK_OID_8023_MAC_OPTIONS, HVK_OID_8023_RCV_ALIGNMENT,
	HVK_OID_8023_XMIT_ONE, HVK_OID_8023_XMIT_MORE, HVK_OID_OFFLOAD_CAPS,
	HVK_OID_OFFLOAD_CONFIG, HVK_OID_OFFLOAD_PARAMS,
	/* only with RSS: */
	HVK_OID_RSS_CAPS, HVK_OID_RSS_PARAMS
};
#define	ONLY_RSS	2u

static uint32_t
put(uint8_t *to, const void *from, uint32_t size)
{

	hvk_copy(to, from, size);
	return (size);
}

static bool
has_rss(const struct hvk_netvsp *v)
{

	return (v->config.hash != 0 && v->version >= HVK_NVSP_VERSION_5);
}

/* Objects that are one number; false: this is none of them. */
static bool
number(const struct hvk_netvsp *v, uint32_t oid, uint32_t *n)
{

	switch (oid) {
	case HVK_OID_HARDWARE_STATUS:
	case HVK_OID_MEDIA_SUPPORTED:
	case HVK_OID_MEDIA_IN_USE:
	case HVK_OID_MAC_OPTIONS:
	case HVK_OID_8023_MAC_OPTIONS:
	case HVK_OID_8023_RCV_ALIGNMENT:
	case HVK_OID_8023_XMIT_ONE:
	case HVK_OID_8023_XMIT_MORE:
		*n = 0;
		return (true);
	case HVK_OID_MAX_LOOKAHEAD:
	case HVK_OID_LOOKAHEAD:
	case HVK_OID_MAX_FRAME_SIZE:
		*n = v->mtu;
		return (true);
	case HVK_OID_MAX_TOTAL_SIZE:
	case HVK_OID_TX_BLOCK_SIZE:
	case HVK_OID_RX_BLOCK_SIZE:
		*n = v->mtu + ETHER;
		return (true);
	case HVK_OID_LINK_SPEED:
		*n = (uint32_t)(v->speed / 100);
		return (true);
	case HVK_OID_TX_BUFFER_SPACE:
		*n = v->send_len;
		return (true);
	case HVK_OID_RX_BUFFER_SPACE:
		*n = v->recv_len;
		return (true);
	case HVK_OID_VENDOR_ID:
		*n = VENDOR_NONE;
		return (true);
	case HVK_OID_PACKET_FILTER:
		*n = v->filter;
		return (true);
	case HVK_OID_MEDIA_CONNECT:
		*n = v->link ? HVK_MEDIA_CONNECTED : HVK_MEDIA_DISCONNECTED;
		return (true);
	case HVK_OID_MAX_SEND_PACKETS:
		*n = v->config.max_packets;
		return (true);
	case HVK_OID_VENDOR_DRIVER_VERSION:
		*n = 0x00010000;
		return (true);
	case HVK_OID_8023_MAX_LIST:
		*n = HVK_NETVSP_MULTICAST;
		return (true);
	default:
		return (false);
	}
}

static bool
counter(const struct hvk_netvsp *v, uint32_t oid, uint64_t *n)
{

	switch (oid) {
	case HVK_OID_XMIT_OK:
		*n = v->stats.tx_frames;
		return (true);
	case HVK_OID_RCV_OK:
		*n = v->stats.rx_frames;
		return (true);
	case HVK_OID_XMIT_ERROR:
		*n = v->stats.tx_errors;
		return (true);
	case HVK_OID_RCV_ERROR:
		*n = v->stats.rx_errors;
		return (true);
	case HVK_OID_RCV_NO_BUFFER:
		*n = v->stats.rx_no_buffer;
		return (true);
	default:
		return (false);
	}
}

/* The revision that the guest asks for, or what its NDIS would. */
static uint32_t
revision(const struct hvk_netvsp *v, uint8_t type, const uint8_t *in,
    uint32_t in_len)
{
	struct hvk_ndis_header h;

	if (in_len >= sizeof(h)) {
		hvk_copy(&h, in, sizeof(h));
		if (h.type == type && h.revision != 0)
			return (h.revision > 3 ? 3 : h.revision);
	}
	return (v->ndis_version >= HVK_NDIS_6_30 ? 3 :
	    v->ndis_version >= HVK_NDIS_6_1 ? 2 : 1);
}

static uint32_t
offload(const struct hvk_netvsp *v, bool now, uint32_t rev, uint8_t *to)
{
	struct hvk_net_offload o = v->config.offload;

	if (v->version < HVK_NVSP_VERSION_61 ||
	    (v->caps & HVK_NVSP_CAP_RSC) == 0)
		o.can &= ~(HVK_OFF_RSC4 | HVK_OFF_RSC6);
	if (now)
		o.can &= v->offloads;
	return (hvk_offload_encode(&o, rev, to));
}

static uint32_t
link_state(const struct hvk_netvsp *v, uint8_t *to)
{
	struct hvk_ndis_link_state s;

	hvk_zero(&s, sizeof(s));
	s.header.type = HVK_NDIS_DEFAULT;
	s.header.revision = 1;
	s.header.size = sizeof(s);
	s.connect = v->link ? 1 : 2;
	s.duplex = 2;
	s.tx_speed[0] = s.rx_speed[0] = (uint32_t)v->speed;
	s.tx_speed[1] = s.rx_speed[1] = (uint32_t)(v->speed >> 32);
	return (put(to, &s, sizeof(s)));
}

static uint32_t
statistics(const struct hvk_netvsp *v, uint8_t *to)
{
	struct hvk_net_statistics s;

	hvk_zero(&s, sizeof(s));
	s.has = 1u << HVK_STAT_RX_BYTES | 1u << HVK_STAT_RX_DISCARDS |
	    1u << HVK_STAT_RX_ERRORS | 1u << HVK_STAT_TX_BYTES |
	    1u << HVK_STAT_TX_DISCARDS | 1u << HVK_STAT_TX_ERRORS;
	s.n[HVK_STAT_RX_BYTES] = v->stats.rx_bytes;
	s.n[HVK_STAT_RX_DISCARDS] = v->stats.rx_no_buffer;
	s.n[HVK_STAT_RX_ERRORS] = v->stats.rx_errors;
	s.n[HVK_STAT_TX_BYTES] = v->stats.tx_bytes;
	s.n[HVK_STAT_TX_DISCARDS] = v->stats.tx_discards;
	s.n[HVK_STAT_TX_ERRORS] = v->stats.tx_errors;
	return (hvk_net_statistics_encode(&s, to));
}

/* With the terminator, as Windows gives strings. */
static uint32_t
friendly_name(const struct hvk_netvsp *v, uint8_t *to)
{
	uint32_t units;

	(void)hvk_utf16_encode(to, HVK_NETVSP_NAME, v->config.name,
	    HVK_NETVSP_NAME, &units);
	return ((units + 1) * 2);
}

uint32_t
netvsp_oid_query(const struct hvk_netvsp *v, uint32_t oid, const uint8_t *in,
    uint32_t in_len, uint8_t *to, uint32_t *len)
{
	struct hvk_net_rss_caps caps;
	uint64_t big, speed[2];
	uint32_t n;
	uint16_t version = DRIVER_VERSION;

	if (number(v, oid, &n)) {
		*len = put(to, &n, sizeof(n));
		return (HVK_RNDIS_STATUS_OK);
	}
	if (counter(v, oid, &big)) {
		*len = put(to, &big, in_len >= 8 ? 8 : 4);
		return (HVK_RNDIS_STATUS_OK);
	}
	switch (oid) {
	case HVK_OID_SUPPORTED_LIST:
		*len = put(to, supported, (uint32_t)sizeof(supported) -
		    (has_rss(v) ? 0 : ONLY_RSS * 4));
		break;
	case HVK_OID_VENDOR_DESCRIPTION:
		*len = put(to, vendor, sizeof(vendor));
		break;
	case HVK_OID_DRIVER_VERSION:
		*len = put(to, &version, sizeof(version));
		break;
	case HVK_OID_8023_PERMANENT:
		*len = put(to, v->config.mac, 6);
		break;
	case HVK_OID_8023_CURRENT:
		*len = put(to, v->mac, 6);
		break;
	case HVK_OID_8023_MULTICAST:
		*len = put(to, v->multicast, v->nmulticast * 6);
		break;
	case HVK_OID_MAX_LINK_SPEED:
		speed[0] = speed[1] = v->config.speed;
		*len = put(to, speed, sizeof(speed));
		break;
	case HVK_OID_LINK_STATE:
		*len = link_state(v, to);
		break;
	case HVK_OID_STATISTICS:
		*len = statistics(v, to);
		break;
	case HVK_OID_FRIENDLY_NAME:
		*len = friendly_name(v, to);
		break;
	case HVK_OID_OFFLOAD_CAPS:
	case HVK_OID_OFFLOAD_CONFIG:
		*len = offload(v, oid == HVK_OID_OFFLOAD_CONFIG,
		    revision(v, HVK_NDIS_OFFLOAD, in, in_len), to);
		break;
	case HVK_OID_RSS_CAPS:
		if (!has_rss(v))
			return (HVK_RNDIS_STATUS_UNSUPPORTED);
		caps.queues = v->config.max_subchannels + 1;
		caps.entries = HVK_RSS_TABLE;
		caps.hash = v->config.hash;
		*len = hvk_rss_caps_encode(&caps, revision(v,
		    HVK_NDIS_RSS_CAPS, in, in_len), to);
		break;
	default:
		return (HVK_RNDIS_STATUS_UNSUPPORTED);
	}
	return (HVK_RNDIS_STATUS_OK);
}

static uint32_t
set_multicast(struct hvk_netvsp *v, const uint8_t *in, uint32_t len)
{
	uint32_t i;

	if (len % 6 != 0)
		return (HVK_RNDIS_STATUS_BAD_LENGTH);
	if (len / 6 > HVK_NETVSP_MULTICAST)
		return (HVK_RNDIS_STATUS_RESOURCES);
	for (i = 0; i < len; i += 6) {
		if ((in[i] & 1) == 0)
			return (HVK_RNDIS_STATUS_BAD_DATA);
	}
	hvk_copy(v->multicast, in, len);
	v->nmulticast = len / 6;
	v->changed |= HVK_NETVSP_NEW_FILTER;
	return (HVK_RNDIS_STATUS_OK);
}

static uint32_t
set_rss(struct hvk_netvsp *v, const uint8_t *in, uint32_t len)
{

	if (!has_rss(v))
		return (HVK_RNDIS_STATUS_UNSUPPORTED);
	if (hvk_rss_params_decode(in, len, v->subchannels + 1, &v->rss) !=
	    HVK_OK)
		return (HVK_RNDIS_STATUS_BAD_DATA);
	v->rss.hash &= v->config.hash | HVK_RSS_FUNCTIONS;
	v->changed |= HVK_NETVSP_NEW_RSS;
	return (HVK_RNDIS_STATUS_OK);
}

static uint32_t
set_mac(struct hvk_netvsp *v, const uint8_t *in, uint32_t len)
{
	uint8_t mac[6];

	if (hvk_ndis_mac_decode(in, len, mac) != HVK_OK || (mac[0] & 1) != 0)
		return (HVK_RNDIS_STATUS_BAD_DATA);
	hvk_copy(v->mac, mac, sizeof(mac));
	v->changed |= HVK_NETVSP_NEW_MAC;
	return (HVK_RNDIS_STATUS_OK);
}

uint32_t
netvsp_oid_set(struct hvk_netvsp *v, uint32_t oid, const uint8_t *in,
    uint32_t len)
{
	uint32_t on;

	switch (oid) {
	case HVK_OID_PACKET_FILTER:
		if (len < sizeof(v->filter))
			return (HVK_RNDIS_STATUS_BAD_LENGTH);
		hvk_copy(&v->filter, in, sizeof(v->filter));
		v->changed |= HVK_NETVSP_NEW_FILTER;
		return (HVK_RNDIS_STATUS_OK);
	case HVK_OID_LOOKAHEAD:
		return (len < 4 ? HVK_RNDIS_STATUS_BAD_LENGTH :
		    HVK_RNDIS_STATUS_OK);
	case HVK_OID_8023_MULTICAST:
		return (set_multicast(v, in, len));
	case HVK_OID_OFFLOAD_PARAMS:
		on = v->offloads;
		if (hvk_offload_params_decode(in, len, &on) != HVK_OK)
			return (HVK_RNDIS_STATUS_BAD_DATA);
		if (v->version < HVK_NVSP_VERSION_61 ||
		    (v->caps & HVK_NVSP_CAP_RSC) == 0)
			on &= ~(HVK_OFF_RSC4 | HVK_OFF_RSC6);
		v->offloads = on & v->config.offload.can;
		v->changed |= HVK_NETVSP_NEW_OFFLOADS;
		return (HVK_RNDIS_STATUS_OK);
	case HVK_OID_RSS_PARAMS:
		return (set_rss(v, in, len));
	case HVK_OID_RNDIS_CONFIG:
		return (set_mac(v, in, len));
	default:
		return (HVK_RNDIS_STATUS_UNSUPPORTED);
	}
}

bool
hvk_netvsp_passes(const struct hvk_netvsp *v, const uint8_t *frame)
{
	static const uint8_t everybody[6] = {
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff
	};
	uint32_t i;

	if (netvsp_phase(v) != HVK_NETVSP_READY || v->filter == 0)
		return (false);
	if ((v->filter & HVK_FILTER_PROMISCUOUS) != 0)
		return (true);
	if ((frame[0] & 1) == 0)
		return ((v->filter & HVK_FILTER_DIRECTED) != 0 &&
		    hvk_same(frame, v->mac, 6));
	if (hvk_same(frame, everybody, 6))
		return ((v->filter & HVK_FILTER_BROADCAST) != 0);
	if ((v->filter & HVK_FILTER_ALL_MULTICAST) != 0)
		return (true);
	if ((v->filter & HVK_FILTER_MULTICAST) == 0)
		return (false);
	for (i = 0; i < v->nmulticast; i++) {
		if (hvk_same(frame, v->multicast[i], 6))
			return (true);
	}
	return (false);
}
