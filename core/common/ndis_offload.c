/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * Offloads as NDIS objects, and the one configuration parameter that is used.
 * Pure functions over private copies.  Source: wire.md section 16.
 */

#include <hvk/ndis.h>

#define	LSO_MIN_MAX	2		/* segments: more is of no use */
#define	LSO_SMALLEST	4096u		/* a limit below this neither */

/* What a checksum must be able to cope with to be believed. */
#define	NEED_IP4	(HVK_CSUM_IP | HVK_CSUM_IP_OPTIONS)
#define	NEED_TCP4	(HVK_CSUM_TCP | HVK_CSUM_TCP_OPTIONS)
#define	NEED_TCP6	(HVK_CSUM_TCP | HVK_CSUM_TCP_OPTIONS |		\
			    HVK_CSUM_IP_OPTIONS)
#define	NEED_UDP6	(HVK_CSUM_UDP | HVK_CSUM_IP_OPTIONS)
#define	NEED_LSO6	(HVK_LSO6_EXTENSIONS | HVK_LSO6_TCP_OPTIONS)

#define	ENCAP		(HVK_ENCAP_8023 | HVK_ENCAP_8023PQ |		\
			    HVK_ENCAP_8023PQ_OOB)

static const uint32_t offload_size[] = {
	HVK_NDIS_OFFLOAD_REV1, HVK_NDIS_OFFLOAD_REV2, HVK_NDIS_OFFLOAD_REV3
};
static const uint32_t params_size[] = {
	HVK_NDIS_OFFLOAD_PARAMS_REV1, HVK_NDIS_OFFLOAD_PARAMS_REV2,
	HVK_NDIS_OFFLOAD_PARAMS_REV3
};

static uint32_t
revision_clamp(uint32_t revision)
{
	return (revision < 1 ? 1 : revision > 3 ? 3 : revision);
}

static uint32_t
csum_bits(uint32_t can, uint32_t ip, uint32_t tcp, uint32_t udp, bool v6)
{
	uint32_t bits = 0;

	if ((can & ip) != 0)
		bits |= NEED_IP4;
	if ((can & tcp) != 0)
		bits |= NEED_TCP4 | (v6 ? HVK_CSUM_IP_OPTIONS : 0);
	if ((can & udp) != 0)
		bits |= HVK_CSUM_UDP | (v6 ? HVK_CSUM_IP_OPTIONS : 0);
	return (bits);
}

uint32_t
hvk_offload_encode(const struct hvk_net_offload *o, uint32_t revision,
    void *to)
{
	struct hvk_ndis_offload w;
	uint32_t size;

	revision = revision_clamp(revision);
	size = offload_size[revision - 1];
	hvk_zero(&w, sizeof(w));
	w.header.type = HVK_NDIS_OFFLOAD;
	w.header.revision = (uint8_t)revision;
	w.header.size = (uint16_t)size;
	w.tx4 = csum_bits(o->can, HVK_OFF_TX_IP4, HVK_OFF_TX_TCP4,
	    HVK_OFF_TX_UDP4, false);
	w.rx4 = csum_bits(o->can, HVK_OFF_RX_IP4, HVK_OFF_RX_TCP4,
	    HVK_OFF_RX_UDP4, false);
	w.tx6 = csum_bits(o->can, 0, HVK_OFF_TX_TCP6, HVK_OFF_TX_UDP6, true);
	w.rx6 = csum_bits(o->can, 0, HVK_OFF_RX_TCP6, HVK_OFF_RX_UDP6, true);
	w.tx4_encap = w.tx4 != 0 ? ENCAP : 0;
	w.rx4_encap = w.rx4 != 0 ? ENCAP : 0;
	w.tx6_encap = w.tx6 != 0 ? ENCAP : 0;
	w.rx6_encap = w.rx6 != 0 ? ENCAP : 0;
	if ((o->can & HVK_OFF_LSO4) != 0) {
		w.lso4_encap = ENCAP;
		w.lso4_max = o->lso4_max;
		w.lso4_min = o->lso4_min;
	}
	if ((o->can & HVK_OFF_LSO6) != 0) {
		w.lso6_encap = ENCAP;
		w.lso6_max = o->lso6_max;
		w.lso6_min = o->lso6_min;
		w.lso6_options = NEED_LSO6;
	}
	w.rsc4 = (o->can & HVK_OFF_RSC4) != 0;
	w.rsc6 = (o->can & HVK_OFF_RSC6) != 0;
	hvk_copy(to, &w, size);
	return (size);
}

static uint32_t
has(uint32_t word, uint32_t need, uint32_t bit)
{
	return ((word & need) == need ? bit : 0);
}

static uint32_t
lso(uint32_t encap, uint32_t max, uint32_t min, uint32_t bit)
{
	return ((encap & HVK_ENCAP_8023) != 0 && max >= LSO_SMALLEST &&
	    min <= max / 1024 ? bit : 0);
}

int
hvk_offload_decode(const void *from, uint32_t len, struct hvk_net_offload *o)
{
	struct hvk_ndis_offload w;
	uint32_t size;

	hvk_zero(&w, sizeof(w));
	if (len < HVK_NDIS_OFFLOAD_REV1)
		return (HVK_REJECT);
	hvk_copy(&w, from, len < sizeof(w) ? len : sizeof(w));
	size = w.header.size;
	if (w.header.type != HVK_NDIS_OFFLOAD || w.header.revision == 0 ||
	    size < HVK_NDIS_OFFLOAD_REV1 || size > len)
		return (HVK_REJECT);
	/* What the object does not reach is not there. */
	if (size < sizeof(w))
		hvk_zero((uint8_t *)&w + size, sizeof(w) - size);
	o->can = has(w.tx4, NEED_IP4, HVK_OFF_TX_IP4) |
	    has(w.tx4, NEED_TCP4, HVK_OFF_TX_TCP4) |
	    has(w.tx4, HVK_CSUM_UDP, HVK_OFF_TX_UDP4) |
	    has(w.tx6, NEED_TCP6, HVK_OFF_TX_TCP6) |
	    has(w.tx6, NEED_UDP6, HVK_OFF_TX_UDP6) |
	    has(w.rx4, HVK_CSUM_IP, HVK_OFF_RX_IP4) |
	    has(w.rx4, HVK_CSUM_TCP, HVK_OFF_RX_TCP4) |
	    has(w.rx4, HVK_CSUM_UDP, HVK_OFF_RX_UDP4) |
	    has(w.rx6, HVK_CSUM_TCP, HVK_OFF_RX_TCP6) |
	    has(w.rx6, HVK_CSUM_UDP, HVK_OFF_RX_UDP6) |
	    lso(w.lso4_encap, w.lso4_max, w.lso4_min, HVK_OFF_LSO4);
	if ((w.lso6_options & NEED_LSO6) == NEED_LSO6)
		o->can |= lso(w.lso6_encap, w.lso6_max, w.lso6_min,
		    HVK_OFF_LSO6);
	if (w.header.revision >= 3) {
		o->can |= w.rsc4 != 0 ? HVK_OFF_RSC4 : 0;
		o->can |= w.rsc6 != 0 ? HVK_OFF_RSC6 : 0;
	}
	o->lso4_max = w.lso4_max;
	o->lso4_min = w.lso4_min < LSO_MIN_MAX ? LSO_MIN_MAX : w.lso4_min;
	o->lso6_max = w.lso6_max;
	o->lso6_min = w.lso6_min < LSO_MIN_MAX ? LSO_MIN_MAX : w.lso6_min;
	return (HVK_OK);
}

/* What a parameter byte for checksums says of two bits. */
static uint8_t
csum_param(uint32_t can, uint32_t on, uint32_t tx, uint32_t rx)
{
	if ((can & (tx | rx)) == 0)
		return (HVK_OFFLOAD_SAME);
	on &= can;
	if ((on & tx) != 0)
		return ((on & rx) != 0 ? HVK_OFFLOAD_CSUM_BOTH :
		    HVK_OFFLOAD_CSUM_TX);
	return ((on & rx) != 0 ? HVK_OFFLOAD_CSUM_RX : HVK_OFFLOAD_CSUM_OFF);
}

static uint8_t
param(uint32_t can, uint32_t on, uint32_t bit)
{
	if ((can & bit) == 0)
		return (HVK_OFFLOAD_SAME);
	return ((on & bit) != 0 ? HVK_OFFLOAD_ON : HVK_OFFLOAD_OFF);
}

uint32_t
hvk_offload_params_encode(uint32_t can, uint32_t on, uint32_t revision,
    void *to)
{
	struct hvk_ndis_offload_params w;
	uint32_t size;

	revision = revision_clamp(revision);
	size = params_size[revision - 1];
	hvk_zero(&w, sizeof(w));
	w.header.type = HVK_NDIS_DEFAULT;
	w.header.revision = (uint8_t)revision;
	w.header.size = (uint16_t)size;
	w.ip4 = csum_param(can, on, HVK_OFF_TX_IP4, HVK_OFF_RX_IP4);
	w.tcp4 = csum_param(can, on, HVK_OFF_TX_TCP4, HVK_OFF_RX_TCP4);
	w.udp4 = csum_param(can, on, HVK_OFF_TX_UDP4, HVK_OFF_RX_UDP4);
	w.tcp6 = csum_param(can, on, HVK_OFF_TX_TCP6, HVK_OFF_RX_TCP6);
	w.udp6 = csum_param(can, on, HVK_OFF_TX_UDP6, HVK_OFF_RX_UDP6);
	w.lso4 = param(can, on, HVK_OFF_LSO4);
	w.lso6 = param(can, on, HVK_OFF_LSO6);
	w.rsc4 = param(can, on, HVK_OFF_RSC4);
	w.rsc6 = param(can, on, HVK_OFF_RSC6);
	hvk_copy(to, &w, size);
	return (size);
}

static bool
csum_apply(uint8_t value, uint32_t tx, uint32_t rx, uint32_t *on)
{
	if (value == HVK_OFFLOAD_SAME)
		return (true);
	if (value > HVK_OFFLOAD_CSUM_BOTH)
		return (false);
	*on &= ~(tx | rx);
	if (value == HVK_OFFLOAD_CSUM_TX || value == HVK_OFFLOAD_CSUM_BOTH)
		*on |= tx;
	if (value == HVK_OFFLOAD_CSUM_RX || value == HVK_OFFLOAD_CSUM_BOTH)
		*on |= rx;
	return (true);
}

static bool
apply(uint8_t value, uint32_t bit, uint32_t *on)
{
	if (value == HVK_OFFLOAD_SAME)
		return (true);
	if (value > HVK_OFFLOAD_ON)
		return (false);
	if (value == HVK_OFFLOAD_ON)
		*on |= bit;
	else
		*on &= ~bit;
	return (true);
}

int
hvk_offload_params_decode(const void *from, uint32_t len, uint32_t *on)
{
	struct hvk_ndis_offload_params w;
	uint32_t now = *on, size;

	hvk_zero(&w, sizeof(w));
	if (len < HVK_NDIS_OFFLOAD_PARAMS_REV1)
		return (HVK_REJECT);
	hvk_copy(&w, from, len < sizeof(w) ? len : sizeof(w));
	size = w.header.size;
	if (w.header.type != HVK_NDIS_DEFAULT || w.header.revision == 0 ||
	    size < HVK_NDIS_OFFLOAD_PARAMS_REV1 || size > len)
		return (HVK_REJECT);
	if (size < sizeof(w))
		hvk_zero((uint8_t *)&w + size, sizeof(w) - size);
	if (!csum_apply(w.ip4, HVK_OFF_TX_IP4, HVK_OFF_RX_IP4, &now) ||
	    !csum_apply(w.tcp4, HVK_OFF_TX_TCP4, HVK_OFF_RX_TCP4, &now) ||
	    !csum_apply(w.udp4, HVK_OFF_TX_UDP4, HVK_OFF_RX_UDP4, &now) ||
	    !csum_apply(w.tcp6, HVK_OFF_TX_TCP6, HVK_OFF_RX_TCP6, &now) ||
	    !csum_apply(w.udp6, HVK_OFF_TX_UDP6, HVK_OFF_RX_UDP6, &now) ||
	    !apply(w.lso4, HVK_OFF_LSO4, &now) ||
	    !apply(w.lso6, HVK_OFF_LSO6, &now))
		return (HVK_REJECT);
	if (w.header.revision >= 3 && (!apply(w.rsc4, HVK_OFF_RSC4, &now) ||
	    !apply(w.rsc6, HVK_OFF_RSC6, &now)))
		return (HVK_REJECT);
	*on = now;
	return (HVK_OK);
}

static const char mac_name[] = "NetworkAddress";
#define	MAC_NAME	(2u * (uint32_t)(sizeof(mac_name) - 1))
#define	MAC_VALUE	24u		/* 12 digits of UTF-16 */

static char
digit(uint32_t value)
{
	return ((char)(value < 10 ? '0' + value : 'A' + value - 10));
}

uint32_t
hvk_ndis_mac_encode(const uint8_t mac[6], void *to)
{
	struct hvk_ndis_config w;
	uint8_t *at = to;
	uint32_t i;

	w.name_offset = sizeof(w);
	w.name_len = MAC_NAME;
	w.type = HVK_NDIS_CONFIG_STRING;
	w.value_offset = sizeof(w) + MAC_NAME;
	w.value_len = MAC_VALUE;
	hvk_zero(at, HVK_NDIS_MAC_MAX);
	hvk_copy(at, &w, sizeof(w));
	for (i = 0; i < MAC_NAME / 2; i++)
		at[w.name_offset + i * 2] = (uint8_t)mac_name[i];
	for (i = 0; i < 12; i++)
		at[w.value_offset + i * 2] = (uint8_t)digit(
		    (i & 1) != 0 ? mac[i / 2] & 0xfu : mac[i / 2] >> 4);
	return (w.value_offset + MAC_VALUE);
}

/* The value of a hexadecimal digit in UTF-16; 16 if it is none. */
static uint32_t
undigit(const uint8_t *at)
{
	uint32_t c = at[0] | (uint32_t)at[1] << 8;

	if (c >= '0' && c <= '9')
		return (c - '0');
	c |= 0x20;
	return (c >= 'a' && c <= 'f' ? c - 'a' + 10 : 16);
}

int
hvk_ndis_mac_decode(const void *from, uint32_t len, uint8_t mac[6])
{
	const uint8_t *at = from, *name, *value;
	struct hvk_ndis_config w;
	uint8_t out[6];
	uint32_t high, i, low;

	if (len < sizeof(w))
		return (HVK_REJECT);
	hvk_copy(&w, at, sizeof(w));
	if (w.type != HVK_NDIS_CONFIG_STRING || w.name_len != MAC_NAME ||
	    w.value_len < MAC_VALUE || w.name_offset > len ||
	    MAC_NAME > len - w.name_offset || w.value_offset > len ||
	    w.value_len > len - w.value_offset)
		return (HVK_REJECT);
	name = at + w.name_offset;
	for (i = 0; i < MAC_NAME / 2; i++)
		if (name[i * 2] != (uint8_t)mac_name[i] || name[i * 2 + 1] != 0)
			return (HVK_REJECT);
	value = at + w.value_offset;
	for (i = 0; i < 6; i++) {
		high = undigit(value + i * 4);
		low = undigit(value + i * 4 + 2);
		if (high > 15 || low > 15)
			return (HVK_REJECT);
		out[i] = (uint8_t)(high << 4 | low);
	}
	hvk_copy(mac, out, 6);
	return (HVK_OK);
}
