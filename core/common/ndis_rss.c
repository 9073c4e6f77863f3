/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * Receive side scaling as NDIS objects.  Pure functions over private copies.
 * Source: wire.md section 16; revision 1's size, FreeBSD's hn(4).
 */

#include <hvk/bytes.h>
#include <hvk/ndis.h>

uint32_t
hvk_rss_caps_encode(const struct hvk_net_rss_caps *c, uint32_t revision,
    void *to)
{
	struct hvk_ndis_rss_caps w;
	uint32_t size;

	size = revision >= 2 ? HVK_NDIS_RSS_CAPS_REV2 : HVK_NDIS_RSS_CAPS_REV1;
	hvk_zero(&w, sizeof(w));
	w.header.type = HVK_NDIS_RSS_CAPS;
	w.header.revision = revision >= 2 ? 2 : 1;
	w.header.size = (uint16_t)size;
	w.caps = c->hash & HVK_RSS_FUNCTIONS;
	if ((c->hash & (HVK_RSS_IPV4 | HVK_RSS_TCP_IPV4)) != 0)
		w.caps |= HVK_RSS_CAP_IPV4;
	if ((c->hash & (HVK_RSS_IPV6 | HVK_RSS_TCP_IPV6)) != 0)
		w.caps |= HVK_RSS_CAP_IPV6;
	if ((c->hash & (HVK_RSS_IPV6_EX | HVK_RSS_TCP_IPV6_EX)) != 0)
		w.caps |= HVK_RSS_CAP_IPV6_EX;
	w.messages = c->queues;
	w.queues = c->queues;
	w.entries = (uint16_t)c->entries;
	hvk_copy(to, &w, size);
	return (size);
}

int
hvk_rss_caps_decode(const void *from, uint32_t len, struct hvk_net_rss_caps *c)
{
	struct hvk_ndis_rss_caps w;
	uint32_t size;

	hvk_zero(&w, sizeof(w));
	if (len < HVK_NDIS_RSS_CAPS_REV1)
		return (HVK_REJECT);
	size = len < HVK_NDIS_RSS_CAPS_REV2 ? len : HVK_NDIS_RSS_CAPS_REV2;
	hvk_copy(&w, from, size);
	if (w.header.type != HVK_NDIS_RSS_CAPS || w.header.revision == 0 ||
	    w.header.size < HVK_NDIS_RSS_CAPS_REV1 || w.header.size > len ||
	    w.queues == 0)
		return (HVK_REJECT);
	c->queues = w.queues;
	c->entries = HVK_RSS_TABLE;
	if (w.header.revision >= 2 && w.header.size >= HVK_NDIS_RSS_CAPS_REV2) {
		if (w.entries == 0)
			return (HVK_REJECT);
		if (w.entries < HVK_RSS_TABLE)
			c->entries = w.entries;
	}
	c->hash = w.caps & HVK_RSS_TOEPLITZ;
	if ((w.caps & HVK_RSS_CAP_IPV4) != 0)
		c->hash |= HVK_RSS_IPV4 | HVK_RSS_TCP_IPV4;
	if ((w.caps & HVK_RSS_CAP_IPV6) != 0)
		c->hash |= HVK_RSS_IPV6 | HVK_RSS_TCP_IPV6;
	if ((w.caps & HVK_RSS_CAP_IPV6_EX) != 0)
		c->hash |= HVK_RSS_IPV6_EX | HVK_RSS_TCP_IPV6_EX;
	return (HVK_OK);
}

uint32_t
hvk_rss_params_encode(const struct hvk_net_rss *rss, uint32_t flags, void *to)
{
	struct hvk_ndis_rss_params w;
	uint8_t *at = to;
	uint32_t entry, i;

	hvk_zero(&w, sizeof(w));
	w.header.type = HVK_NDIS_RSS_PARAMS;
	w.header.revision = 2;
	w.flags = (uint16_t)(rss->enabled ? flags : flags | HVK_RSS_DISABLE);
	w.hash = rss->hash;
	w.key_len = HVK_RSS_KEY;
	w.key_offset = sizeof(w);
	w.table_len = (uint16_t)(rss->entries * sizeof(entry));
	w.table_offset = sizeof(w) + HVK_RSS_KEY;
	w.header.size = (uint16_t)(w.table_offset + w.table_len);
	hvk_copy(at, &w, sizeof(w));
	hvk_copy(at + w.key_offset, rss->key, HVK_RSS_KEY);
	at += w.table_offset;
	for (i = 0; i < rss->entries; i++, at += sizeof(entry)) {
		entry = rss->table[i];
		hvk_copy(at, &entry, sizeof(entry));
	}
	return (w.header.size);
}

/* len bytes at off of the object; NULL if it does not hold them. */
static const uint8_t *
part(const uint8_t *bytes, uint32_t size, uint32_t off, uint32_t len)
{
	if (off < HVK_NDIS_RSS_PARAMS_REV1 || off > size || len > size - off)
		return (NULL);
	return (bytes + off);
}

static int
decode_table(const struct hvk_ndis_rss_params *w, const uint8_t *bytes,
    uint32_t size, uint32_t channels, struct hvk_net_rss *rss)
{
	const uint8_t *at;
	uint32_t entry, i;

	rss->entries = w->table_len / (uint32_t)sizeof(entry);
	at = part(bytes, size, w->table_offset, w->table_len);
	if (at == NULL || rss->entries == 0 || rss->entries > HVK_RSS_TABLE ||
	    w->table_len % sizeof(entry) != 0)
		return (HVK_REJECT);
	for (i = 0; i < rss->entries; i++) {
		hvk_copy(&entry, at + i * sizeof(entry), sizeof(entry));
		if (entry >= channels)
			return (HVK_REJECT);
		rss->table[i] = (uint16_t)entry;
	}
	return (HVK_OK);
}

int
hvk_rss_params_decode(const void *from, uint32_t len, uint32_t channels,
    struct hvk_net_rss *rss)
{
	struct hvk_ndis_rss_params w;
	struct hvk_net_rss out = *rss;
	const uint8_t *at;

	hvk_zero(&w, sizeof(w));
	if (len < HVK_NDIS_RSS_PARAMS_REV1)
		return (HVK_REJECT);
	hvk_copy(&w, from, len < sizeof(w) ? len : sizeof(w));
	/*
	 * Linux states the size of the fixed part only, FreeBSD all of it:
	 * what was received bounds the offsets.
	 */
	if (w.header.type != HVK_NDIS_RSS_PARAMS || w.header.revision == 0 ||
	    w.header.size < HVK_NDIS_RSS_PARAMS_REV1 || w.header.size > len)
		return (HVK_REJECT);
	if ((w.flags & HVK_RSS_DISABLE) != 0) {
		rss->enabled = false;
		return (HVK_OK);
	}
	if ((w.flags & HVK_RSS_HASH_SAME) == 0) {
		if ((w.hash & HVK_RSS_FUNCTIONS) != HVK_RSS_TOEPLITZ ||
		    (w.hash & HVK_RSS_TYPES) == 0)
			return (HVK_REJECT);
		out.hash = w.hash;
	}
	if ((w.flags & HVK_RSS_TABLE_SAME) == 0 &&
	    decode_table(&w, from, len, channels, &out) != HVK_OK)
		return (HVK_REJECT);
	if ((w.flags & HVK_RSS_KEY_SAME) == 0) {
		at = part(from, len, w.key_offset, w.key_len);
		if (at == NULL || w.key_len != HVK_RSS_KEY)
			return (HVK_REJECT);
		hvk_copy(out.key, at, HVK_RSS_KEY);
	}
	/* On is what has a hash and a table. */
	if (out.hash == 0 || out.entries == 0)
		return (HVK_REJECT);
	out.enabled = true;
	*rss = out;
	return (HVK_OK);
}
