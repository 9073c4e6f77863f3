/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * NDIS objects from either side: whatever is accepted is within its limits and
 * survives being encoded and decoded again.
 *
 * Input: {u8 which, u8 argument}, then the object.
 */

#include <stdlib.h>
#include <string.h>

#include <hvk/ndis.h>

static void
check(int ok)
{
	if (!ok)
		abort();
}

static void
offload(const uint8_t *bytes, uint32_t len, uint8_t arg)
{
	struct hvk_net_offload a, b;
	uint8_t to[160];
	uint32_t n;

	if (hvk_offload_decode(bytes, len, &a) != HVK_OK)
		return;
	check((a.can & ~HVK_OFF_ALL) == 0);
	check(a.lso4_min >= 2 && a.lso6_min >= 2);
	n = hvk_offload_encode(&a, arg, to);
	check(n <= 156);
	check(hvk_offload_decode(to, n, &b) == HVK_OK);
	if (arg < 3)
		a.can &= ~(HVK_OFF_RSC4 | HVK_OFF_RSC6);
	check(a.can == b.can);
}

static void
params(const uint8_t *bytes, uint32_t len, uint8_t arg)
{
	uint32_t on = arg * 0x41u & HVK_OFF_ALL, was = on, twice;
	uint8_t to[32];

	if (hvk_offload_params_decode(bytes, len, &on) != HVK_OK) {
		check(on == was);
		return;
	}
	check((on & ~HVK_OFF_ALL) == 0);
	twice = ~on & HVK_OFF_ALL;
	len = hvk_offload_params_encode(HVK_OFF_ALL, on, 3, to);
	check(len == 28);
	check(hvk_offload_params_decode(to, len, &twice) == HVK_OK);
	check(twice == on);
}

static void
rss_caps(const uint8_t *bytes, uint32_t len)
{
	struct hvk_net_rss_caps a, b;
	uint8_t to[24];

	if (hvk_rss_caps_decode(bytes, len, &a) != HVK_OK)
		return;
	check(a.queues != 0 && a.entries >= 1 && a.entries <= HVK_RSS_TABLE);
	len = hvk_rss_caps_encode(&a, 2, to);
	check(len == 18 && hvk_rss_caps_decode(to, len, &b) == HVK_OK);
	check(memcmp(&a, &b, sizeof(a)) == 0);
}

static void
rss_params(const uint8_t *bytes, uint32_t len, uint8_t arg)
{
	struct hvk_net_rss a, b, was;
	uint8_t to[HVK_RSS_PARAMS_MAX];
	uint32_t channels = 1 + arg % 64u, i;

	memset(&a, 0, sizeof(a));
	if ((arg & 64) != 0) {
		a.hash = HVK_RSS_TOEPLITZ | HVK_RSS_IPV4;
		a.entries = 16;
	}
	was = a;
	if (hvk_rss_params_decode(bytes, len, channels, &a) != HVK_OK) {
		check(memcmp(&a, &was, sizeof(a)) == 0);
		return;
	}
	if (!a.enabled)
		return;
	check(a.entries >= 1 && a.entries <= HVK_RSS_TABLE);
	for (i = 0; i < a.entries; i++)
		check(a.table[i] < channels);
	memset(&b, 0, sizeof(b));
	len = hvk_rss_params_encode(&a, 0, to);
	check(len <= sizeof(to));
	check(hvk_rss_params_decode(to, len, channels, &b) == HVK_OK);
	check(b.hash == a.hash && b.entries == a.entries);
	check(memcmp(a.table, b.table, a.entries * 2) == 0);
	check(memcmp(a.key, b.key, sizeof(a.key)) == 0);
}

static void
mac(const uint8_t *bytes, uint32_t len)
{
	uint8_t a[6], b[6], to[HVK_NDIS_MAC_MAX];

	if (hvk_ndis_mac_decode(bytes, len, a) != HVK_OK)
		return;
	len = hvk_ndis_mac_encode(a, to);
	check(len == sizeof(to));
	check(hvk_ndis_mac_decode(to, len, b) == HVK_OK);
	check(memcmp(a, b, 6) == 0);
}

static void
statistics(const uint8_t *bytes, uint32_t len)
{
	struct hvk_net_statistics a, b;
	uint8_t to[HVK_NDIS_STATISTICS];
	uint32_t i;

	if (hvk_net_statistics_decode(bytes, len, &a) != HVK_OK)
		return;
	check(len >= HVK_NDIS_STATISTICS);
	check(a.has < 1u << HVK_NSTATS);
	for (i = 0; i < HVK_NSTATS; i++)
		check((a.has & 1u << i) != 0 || a.n[i] == 0);
	check(hvk_net_statistics_encode(&a, to) == sizeof(to));
	check(hvk_net_statistics_decode(to, sizeof(to), &b) == HVK_OK);
	check(memcmp(&a, &b, sizeof(a)) == 0);
}

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct hvk_toeplitz t;
	static const uint8_t key[HVK_RSS_KEY] = { 0x6d, 0x5a, 0x56, 0xda };
	static int made;
	uint32_t len, type;
	uint8_t *copy;

	if (size < 2 || size > 4096)
		return (0);
	len = (uint32_t)size - 2;
	copy = malloc(len != 0 ? len : 1);
	check(copy != NULL);
	memcpy(copy, data + 2, len);
	switch (data[0] % 7) {
	case 0:
		offload(copy, len, data[1]);
		break;
	case 1:
		params(copy, len, data[1]);
		break;
	case 2:
		rss_caps(copy, len);
		break;
	case 3:
		rss_params(copy, len, data[1]);
		break;
	case 4:
		mac(copy, len);
		break;
	case 6:
		statistics(copy, len);
		break;
	default:
		if (!made)
			hvk_toeplitz_init(&t, key);
		made = 1;
		(void)hvk_rss_hash(&t, data[1] * 0x100u, copy, len, &type);
		check((type & ~(data[1] * 0x100u)) == 0);
		break;
	}
	free(copy);
	return (0);
}
