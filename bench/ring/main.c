/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 */

/*
 * Measures rings.  "count RING LEN BURSTS" runs a fixed amount of work for an
 * instruction counter; "cycles LEN" prints the least TSC cycles per packet of
 * each ring on one core, rounds interleaved; "cores LEN" prints the median over
 * interleaved rounds of our throughput between two cores divided by each
 * other's, with the round trip of a cache line in the same rounds.
 */

#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <x86intrin.h>

#include "ring.h"

#define	ROUNDS		40	/* one core */
#define	CORE_ROUNDS	21	/* two cores */

static const struct ring *const rings[] = {
	&ring_hvk, &ring_floor, &ring_rte, &ring_ck, &ring_boost
};
#define	NRINGS	(sizeof(rings) / sizeof(rings[0]))

static uint8_t payload[PACKET_SLOT] __attribute__((__aligned__(64)));
static uint8_t sink[PACKET_SLOT] __attribute__((__aligned__(64)));

static void
pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	/* A machine with one core still measures, only not this. */
	(void)pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
}

static void __attribute__((__noinline__))
work(const struct ring *ring, void *r, uint32_t len, unsigned int bursts)
{
	unsigned int i;

	for (i = 0; i < bursts; i++)
		if (ring->send(r, payload, len, BURST) != BURST ||
		    ring->receive(r, sink, len, BURST) != BURST)
			abort();
}

static int
count(const char *name, uint32_t len, unsigned int bursts)
{
	unsigned int i;
	void *r;

	for (i = 0; i < NRINGS; i++)
		if (strcmp(rings[i]->name, name) == 0) {
			r = rings[i]->open();
			work(rings[i], r, len, bursts);
			rings[i]->close(r);
			return (0);
		}
	fprintf(stderr, "no ring is called %s\n", name);
	return (1);
}

static int
cycles(uint32_t len)
{
	enum { BURSTS = 400 };
	double best[NRINGS], per;
	uint64_t before;
	unsigned int i, round;
	void *r[NRINGS];

	pin(1);
	for (i = 0; i < NRINGS; i++) {
		r[i] = rings[i]->open();
		best[i] = 1e30;
		work(rings[i], r[i], len, BURSTS);
	}
	for (round = 0; round < ROUNDS; round++)
		for (i = 0; i < NRINGS; i++) {
			before = __rdtsc();
			work(rings[i], r[i], len, BURSTS);
			per = (double)(__rdtsc() - before) / (BURSTS * BURST);
			if (per < best[i])
				best[i] = per;
		}
	for (i = 0; i < NRINGS; i++) {
		printf("%s\t%.1f\n", rings[i]->name, best[i]);
		rings[i]->close(r[i]);
	}
	return (0);
}

struct duel {
	const struct ring *ring;
	void		*r;
	uint32_t	len;
	uint64_t	packets;
	pthread_barrier_t barrier;
};

static void *
duel_consumer(void *arg)
{
	struct duel *d = arg;
	uint64_t got;
	unsigned int n;

	pin(0);
	pthread_barrier_wait(&d->barrier);
	for (got = 0; got < d->packets; got += n) {
		n = d->ring->receive(d->r, sink, d->len, BURST);
		if (n == 0)
			_mm_pause();
	}
	return (NULL);
}

static double
seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ((double)ts.tv_sec + (double)ts.tv_nsec / 1e9);
}

/* Million packets a second from core 1 to core 0. */
static double
duel(const struct ring *ring, uint32_t len, uint64_t packets)
{
	struct duel d = { .ring = ring, .len = len, .packets = packets };
	pthread_t thread;
	uint64_t sent;
	unsigned int n;
	double start;

	d.r = ring->open();
	pthread_barrier_init(&d.barrier, NULL, 2);
	if (pthread_create(&thread, NULL, duel_consumer, &d) != 0)
		abort();
	pin(1);
	pthread_barrier_wait(&d.barrier);
	start = seconds();
	for (sent = 0; sent < packets; sent += n) {
		n = ring->send(d.r, payload, len,
		    packets - sent < BURST ? (unsigned int)(packets - sent) :
		    BURST);
		if (n == 0)
			_mm_pause();
	}
	pthread_join(thread, NULL);
	start = seconds() - start;
	pthread_barrier_destroy(&d.barrier);
	ring->close(d.r);
	return ((double)packets / start / 1e6);
}

static uint32_t ball __attribute__((__aligned__(128)));

static void *
pong(void *arg)
{
	unsigned int i, n = *(unsigned int *)arg;

	pin(0);
	for (i = 0; i < n; i++) {
		while (__atomic_load_n(&ball, __ATOMIC_ACQUIRE) != 2 * i + 1)
			;
		__atomic_store_n(&ball, 2 * i + 2, __ATOMIC_RELEASE);
	}
	return (NULL);
}

/* Nanoseconds for a cache line to go to the other core and back. */
static double
round_trip(void)
{
	unsigned int i, n = 20000;
	pthread_t thread;
	double start;

	ball = 0;
	if (pthread_create(&thread, NULL, pong, &n) != 0)
		abort();
	pin(1);
	start = seconds();
	for (i = 0; i < n; i++) {
		__atomic_store_n(&ball, 2 * i + 1, __ATOMIC_RELEASE);
		while (__atomic_load_n(&ball, __ATOMIC_ACQUIRE) != 2 * i + 2)
			;
	}
	start = seconds() - start;
	pthread_join(thread, NULL);
	return (start * 1e9 / n);
}

static int
by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x < y ? -1 : x > y);
}

static double
median(double *v, unsigned int n)
{
	qsort(v, n, sizeof(*v), by_value);
	return (v[n / 2]);
}

static int
cores(uint32_t len)
{
	static double rate[NRINGS][CORE_ROUNDS], ratio[NRINGS][CORE_ROUNDS];
	double trip[CORE_ROUNDS];
	uint64_t packets;
	unsigned int i, round;

	packets = len > 1000 ? 60000 : 400000;
	for (round = 0; round < CORE_ROUNDS; round++) {
		trip[round] = round_trip();
		for (i = 0; i < NRINGS; i++)
			if (rings[i] != &ring_floor)
				rate[i][round] = duel(rings[i], len, packets);
		for (i = 0; i < NRINGS; i++)
			if (rings[i] != &ring_floor)
				ratio[i][round] = rate[0][round] /
				    rate[i][round];
	}
	for (i = 0; i < NRINGS; i++)
		if (rings[i] != &ring_floor)
			printf("%s\t%.2f\t%.2f\n", rings[i]->name,
			    median(ratio[i], CORE_ROUNDS),
			    median(rate[i], CORE_ROUNDS));
	printf("round trip ns\t%.0f\t0\n", median(trip, CORE_ROUNDS));
	return (0);
}

int
main(int argc, char **argv)
{
	unsigned int i;

	for (i = 0; i < sizeof(payload); i++)
		payload[i] = (uint8_t)i;
	if (argc == 5 && strcmp(argv[1], "count") == 0)
		return (count(argv[2], (uint32_t)atoi(argv[3]),
		    (unsigned int)atoi(argv[4])));
	if (argc == 3 && strcmp(argv[1], "cycles") == 0)
		return (cycles((uint32_t)atoi(argv[2])));
	if (argc == 3 && strcmp(argv[1], "cores") == 0)
		return (cores((uint32_t)atoi(argv[2])));
	fprintf(stderr, "usage: ring count RING LEN BURSTS | cycles LEN | "
	    "cores LEN\n");
	return (2);
}
