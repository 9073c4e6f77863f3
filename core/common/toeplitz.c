/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * The Toeplitz hash, and what of a frame is hashed.  Pure functions.  Source:
 * Microsoft's "RSS hashing functions" and "RSS hashing types".
 */

#include <hvk/ndis.h>

/* 32 bits of the key from a bit on; past its end there are zeroes. */
static uint32_t
window(const uint8_t key[HVK_RSS_KEY], uint32_t bit)
{
	uint64_t bits = 0;
	uint32_t i, byte = bit / 8;

	for (i = 0; i < 5; i++)
		bits = bits << 8 | (byte + i < HVK_RSS_KEY ? key[byte + i] : 0);
	return ((uint32_t)(bits >> (8 - bit % 8)));
}

void
hvk_toeplitz_init(struct hvk_toeplitz *t, const uint8_t key[HVK_RSS_KEY])
{
	uint32_t bit, hash, i, value;

	for (i = 0; i < HVK_TOEPLITZ_INPUT; i++)
		for (value = 0; value < 256; value++) {
			hash = 0;
			for (bit = 0; bit < 8; bit++)
				if ((value & 0x80u >> bit) != 0)
					hash ^= window(key, i * 8 + bit);
			t->table[i][value] = hash;
		}
}

uint32_t
hvk_toeplitz(const struct hvk_toeplitz *t, const void *data, uint32_t len)
{
	const uint8_t *byte = data;
	uint32_t hash = 0, i;

	if (len > HVK_TOEPLITZ_INPUT)
		len = HVK_TOEPLITZ_INPUT;
	for (i = 0; i < len; i++)
		hash ^= t->table[i][byte[i]];
	return (hash);
}

#define	TCP	6u
#define	UDP	17u

static uint32_t
hash_ipv4(const struct hvk_toeplitz *t, uint32_t types, const uint8_t *ip,
    uint32_t len, uint32_t *type)
{
	uint8_t in[12];
	uint32_t hlen, want = 0;

	if (len < 20 || ip[0] >> 4 != 4)
		return (0);
	hlen = (ip[0] & 0xfu) * 4;
	hvk_copy(in, ip + 12, 8);
	/* No fragment has ports that the others share. */
	if (hlen >= 20 && len >= hlen + 4 && (ip[6] & 0x3f) == 0 &&
	    ip[7] == 0)
		want = ip[9] == TCP ? HVK_RSS_TCP_IPV4 :
		    ip[9] == UDP ? HVK_RSS_UDP_IPV4 : 0;
	if ((want & types) != 0) {
		hvk_copy(in + 8, ip + hlen, 4);
		*type = want;
		return (hvk_toeplitz(t, in, 12));
	}
	if ((types & HVK_RSS_IPV4) == 0)
		return (0);
	*type = HVK_RSS_IPV4;
	return (hvk_toeplitz(t, in, 8));
}

static uint32_t
hash_ipv6(const struct hvk_toeplitz *t, uint32_t types, const uint8_t *ip,
    uint32_t len, uint32_t *type)
{
	uint8_t in[36];

	if (len < 40 || ip[0] >> 4 != 6)
		return (0);
	hvk_copy(in, ip + 8, 32);
	if (ip[6] == TCP && len >= 44 && (types & HVK_RSS_TCP_IPV6) != 0) {
		hvk_copy(in + 32, ip + 40, 4);
		*type = HVK_RSS_TCP_IPV6;
		return (hvk_toeplitz(t, in, 36));
	}
	if ((types & HVK_RSS_IPV6) == 0)
		return (0);
	*type = HVK_RSS_IPV6;
	return (hvk_toeplitz(t, in, 32));
}

uint32_t
hvk_rss_hash(const struct hvk_toeplitz *t, uint32_t types,
    const uint8_t *frame, uint32_t len, uint32_t *type)
{
	uint32_t at = 14, ethertype;

	*type = 0;
	if (len < at)
		return (0);
	ethertype = (uint32_t)frame[12] << 8 | frame[13];
	if (ethertype == 0x8100 && len >= at + 4) {
		ethertype = (uint32_t)frame[16] << 8 | frame[17];
		at += 4;
	}
	if (ethertype == 0x0800)
		return (hash_ipv4(t, types, frame + at, len - at, type));
	if (ethertype == 0x86dd)
		return (hash_ipv6(t, types, frame + at, len - at, type));
	return (0);
}
