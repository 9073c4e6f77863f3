/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * An adapter's counters as an NDIS object.  Pure functions over private copies.
 * Source: Microsoft's description of OID_GEN_STATISTICS.
 */

#include <hvk/bytes.h>
#include <hvk/ndis.h>

#define	ROW(name, member, bit)						\
	{ name, offsetof(struct hvk_ndis_statistics, member), bit }

static const struct {
	const char	*name;
	uint32_t	offset;
	uint32_t	valid;
} rows[HVK_NSTATS] = {
	ROW("rx_bytes", rx_bytes, HVK_STAT_VALID_RX_BYTES),
	ROW("rx_unicast", rx_unicast, HVK_STAT_VALID_RX_UNICAST),
	ROW("rx_multicast", rx_multicast, HVK_STAT_VALID_RX_MULTICAST),
	ROW("rx_broadcast", rx_broadcast, HVK_STAT_VALID_RX_BROADCAST),
	ROW("rx_discards", rx_discards, HVK_STAT_VALID_RX_DISCARDS),
	ROW("rx_errors", rx_errors, HVK_STAT_VALID_RX_ERRORS),
	ROW("tx_bytes", tx_bytes, HVK_STAT_VALID_TX_BYTES),
	ROW("tx_unicast", tx_unicast, HVK_STAT_VALID_TX_UNICAST),
	ROW("tx_multicast", tx_multicast, HVK_STAT_VALID_TX_MULTICAST),
	ROW("tx_broadcast", tx_broadcast, HVK_STAT_VALID_TX_BROADCAST),
	ROW("tx_discards", tx_discards, HVK_STAT_VALID_TX_DISCARDS),
	ROW("tx_errors", tx_errors, HVK_STAT_VALID_TX_ERRORS),
};

const char *
hvk_net_stat_name(enum hvk_net_stat i)
{
	return ((uint32_t)i < HVK_NSTATS ? rows[i].name : "?");
}

uint32_t
hvk_net_statistics_encode(const struct hvk_net_statistics *s, void *to)
{
	struct hvk_ndis_statistics w;
	uint32_t i;

	hvk_zero(&w, sizeof(w));
	w.header.type = HVK_NDIS_DEFAULT;
	w.header.revision = 1;
	w.header.size = sizeof(w);
	for (i = 0; i < HVK_NSTATS; i++) {
		if ((s->has & 1u << i) == 0)
			continue;
		w.valid |= rows[i].valid;
		hvk_copy((uint8_t *)&w + rows[i].offset, &s->n[i],
		    sizeof(s->n[i]));
	}
	hvk_copy(to, &w, sizeof(w));
	return (sizeof(w));
}

int
hvk_net_statistics_decode(const void *from, uint32_t len,
    struct hvk_net_statistics *s)
{
	struct hvk_ndis_statistics w;
	uint32_t i;

	if (len < sizeof(w))
		return (HVK_REJECT);
	hvk_copy(&w, from, sizeof(w));
	if (w.header.type != HVK_NDIS_DEFAULT || w.header.revision == 0 ||
	    w.header.size < sizeof(w) || w.header.size > len)
		return (HVK_REJECT);
	hvk_zero(s, sizeof(*s));
	for (i = 0; i < HVK_NSTATS; i++) {
		if ((w.valid & rows[i].valid) == 0)
			continue;
		s->has |= 1u << i;
		hvk_copy(&s->n[i], (uint8_t *)&w + rows[i].offset,
		    sizeof(s->n[i]));
	}
	return (HVK_OK);
}
