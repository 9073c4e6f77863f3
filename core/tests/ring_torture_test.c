/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 */

/*
 * Two threads, one ring, random sizes, batches and naps, real sleeping on both
 * signals.  A wake-up that is lost shows as a wait that times out; a byte that
 * is wrong shows in the pattern of each packet.
 */

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <time.h>

#include "ring_pair.h"

#define	SECONDS	3		/* how long packets are sent */

static struct pair pair;
static sem_t to_consumer, to_producer;
static uint64_t consumed, sent, naps[2];
static bool stop, lost, wrong;

/* false: nobody signalled for five seconds. */
static bool
nap(sem_t *sem, int who)
{
	struct timespec ts;
	int error;

	naps[who]++;
	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_sec += 5;
	while ((error = sem_timedwait(sem, &ts)) != 0 && errno == EINTR)
		;
	return (error == 0);
}

static void *
produce(void *arg)
{
	static uint8_t in[3000];
	struct timespec end, now;
	uint64_t seed = 0x123456789abcdef1;
	uint32_t len;
	int batch, error;

	(void)arg;
	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += SECONDS;
	do {
		batch = (int)(pair_random(&seed) % 16) + 1;
		while (batch-- > 0) {
			len = pair_random(&seed);
			len = 8 + (len & 0x30000 ? len % 200 : len % 2900);
			pair_fill(in, len, sent);
			memcpy(in, &len, sizeof(len));
			error = hvk_tx_inband(&pair.tx, sent, false, in, len);
			if (error == HVK_AGAIN) {
				if (hvk_ring_tx_publish(&pair.tx))
					sem_post(&to_consumer);
				while (!hvk_ring_tx_want(&pair.tx, len + 16))
					if (!nap(&to_producer, 0)) {
						lost = true;
						goto out;
					}
				error = hvk_tx_inband(&pair.tx, sent, false,
				    in, len);
			}
			if (error != HVK_OK) {
				wrong = true;
				goto out;
			}
			sent++;
		}
		if (hvk_ring_tx_publish(&pair.tx))
			sem_post(&to_consumer);
		if (pair_random(&seed) % 4096 == 0)
			nanosleep(&(struct timespec){ 0, 200000 }, NULL);
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec < end.tv_sec || (now.tv_sec == end.tv_sec &&
	    now.tv_nsec < end.tv_nsec));
out:
	__atomic_store_n(&stop, true, __ATOMIC_SEQ_CST);
	sem_post(&to_consumer);
	return (NULL);
}

static void *
consume(void *arg)
{
	static uint64_t buf[512];
	static uint8_t want[3000];
	struct hvk_packet packet;
	uint64_t seed = 0xfedcba9876543211;
	uint32_t len;
	int error, n;
	bool last;

	(void)arg;
	for (;;) {
		hvk_ring_rx_mask(&pair.rx);
		last = __atomic_load_n(&stop, __ATOMIC_SEQ_CST);
		for (n = 1; (error = hvk_ring_rx_next(&pair.rx, buf,
		    sizeof(buf), &packet)) == HVK_OK; n++) {
			memcpy(&len, packet.payload, sizeof(len));
			pair_fill(want, packet.len, consumed);
			if (packet.txid != consumed || packet.len !=
			    hvk_align8(len) || memcmp(packet.payload + 4,
			    want + 4, len - 4) != 0) {
				wrong = true;
				return (NULL);
			}
			consumed++;
			if (n % 16 == 0 && hvk_ring_rx_release(&pair.rx))
				sem_post(&to_producer);
		}
		if (error != HVK_AGAIN) {
			wrong = true;
			return (NULL);
		}
		if (hvk_ring_rx_release(&pair.rx))
			sem_post(&to_producer);
		if (last)
			return (NULL);
		if (pair_random(&seed) % 4096 == 0)
			nanosleep(&(struct timespec){ 0, 200000 }, NULL);
		if (hvk_ring_rx_unmask(&pair.rx))
			continue;
		if (!nap(&to_consumer, 1)) {
			lost = true;
			return (NULL);
		}
	}
}

ATF_TC(torture);
ATF_TC_HEAD(torture, tc)
{
	atf_tc_set_md_var(tc, "descr", "two threads that sleep on the ring's "
	    "signals lose no wake-up and no byte");
	atf_tc_set_md_var(tc, "X-feature", "core.signal");
	atf_tc_set_md_var(tc, "timeout", "300");
}
ATF_TC_BODY(torture, tc)
{
	pthread_t consumer, producer;

	pair_open(&pair, 8192);
	sem_init(&to_consumer, 0, 0);
	sem_init(&to_producer, 0, 0);
	ATF_REQUIRE_EQ(0, pthread_create(&consumer, NULL, consume, NULL));
	ATF_REQUIRE_EQ(0, pthread_create(&producer, NULL, produce, NULL));
	pthread_join(producer, NULL);
	pthread_join(consumer, NULL);
	ATF_CHECK(!lost);
	ATF_CHECK(!wrong);
	ATF_CHECK_EQ(sent, consumed);
	ATF_CHECK(consumed > 1000);
	ATF_CHECK(naps[0] > 0);
	ATF_CHECK(naps[1] > 0);
	printf("%ju packets, producer slept %ju times, consumer %ju\n",
	    (uintmax_t)consumed, (uintmax_t)naps[0], (uintmax_t)naps[1]);
	pair_close(&pair);
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, torture);
	return (atf_no_error());
}
