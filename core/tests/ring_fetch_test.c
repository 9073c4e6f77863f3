/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 */

/*
 * A peer that changes a descriptor while it is read: whichever of its values
 * the consumer saw, it must have used that one throughout.
 */

#include <pthread.h>
#include <time.h>

#include "ring_pair.h"

static struct pair pair;
static bool stop;

/* Two descriptors, each valid; neither the offset nor the length is shared. */
static uint64_t
descriptor(bool big)
{
	return (big ? hvk_descriptor_head(HVK_PKT_INBAND, 16, 64, true) :
	    hvk_descriptor_head(HVK_PKT_COMPLETION, 24, 32, false));
}

static void *
flip(void *arg)
{
	uint64_t *at = arg;

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		__atomic_store_n(at, descriptor(true), __ATOMIC_RELAXED);
		__atomic_store_n(at, descriptor(false), __ATOMIC_RELAXED);
	}
	return (NULL);
}

ATF_TC(once);
ATF_TC_HEAD(once, tc)
{
	atf_tc_set_md_var(tc, "descr", "a descriptor that the peer flips while "
	    "it is read is one or the other, never a mixture");
}
ATF_TC_BODY(once, tc)
{
	static uint64_t buf[512];
	struct hvk_packet packet;
	struct timespec end, now;
	pthread_t thread;
	uint32_t left, total;
	uint64_t seen[2] = { 0, 0 };
	int i;

	pair_open(&pair, 4096);
	memset(pair.data, 0, 4096);
	hvk_put64(pair.data, descriptor(true));
	ATF_REQUIRE_EQ(0, pthread_create(&thread, NULL, flip, pair.data));
	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += 2;
	do {
		for (i = 0; i < 1000; i++) {
			pair.hdr->write = 128;
			pair.hdr->read = 0;
			ATF_REQUIRE_EQ(HVK_OK, hvk_ring_rx_init(&pair.rx,
			    pair.hdr, pair.data, 4096, false));
			left = pair.rx.left;
			ATF_REQUIRE_EQ(HVK_OK, hvk_ring_rx_next(&pair.rx, buf,
			    sizeof(buf), &packet));
			total = left - pair.rx.left - HVK_RING_TRAILER;
			ATF_REQUIRE(total == 64 || total == 32);
			ATF_REQUIRE_EQ(total + HVK_RING_TRAILER,
			    (uint32_t)(pair.rx.at - pair.rx.data));
			ATF_REQUIRE_EQ(total == 64 ? 48 : 8, packet.len);
			ATF_REQUIRE_EQ(total == 64 ? 16 : 24,
			    packet.payload - (uint8_t *)buf);
			ATF_REQUIRE_EQ(total == 64 ? HVK_PKT_INBAND :
			    HVK_PKT_COMPLETION, packet.type);
			ATF_REQUIRE_EQ(total == 64, packet.want_completion);
			seen[total == 64]++;
		}
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec < end.tv_sec || (now.tv_sec == end.tv_sec &&
	    now.tv_nsec < end.tv_nsec));
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	/* Otherwise nothing was flipped and nothing proved. */
	ATF_CHECK(seen[0] > 0);
	ATF_CHECK(seen[1] > 0);
	pair_close(&pair);
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, once);
	return (atf_no_error());
}
