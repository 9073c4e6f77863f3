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

#include <sys/resource.h>

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
#define	CORE_ROUNDS	41	/* two cores */
#define	CORE_TRIES	16	/* repetitions in one round */
#define	CORE_SECONDS	20	/* at most */

static const struct ring *const rings[] = {
	&ring_hvk, &ring_apart, &ring_wide, &ring_floor, &ring_rte,
	&ring_dense, &ring_ck, &ring_boost
};
#define	NRINGS	(sizeof(rings) / sizeof(rings[0]))

static uint8_t payload[PACKET_SLOT] __attribute__((__aligned__(64)));
static uint8_t sink[PACKET_SLOT + 64] __attribute__((__aligned__(64)));

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

/*
 * Ask to run before everything else while two cores are measured; without the
 * right to, disturbed runs are only more.
 */
static void
foremost(bool on)
{
	struct sched_param p = { .sched_priority = on ? 1 : 0 };

	(void)pthread_setschedparam(pthread_self(),
	    on ? SCHED_FIFO : SCHED_OTHER, &p);
}

/* A thread on core 0, where it can start while the caller polls on core 1. */
static pthread_t
beside(void *(*run)(void *), void *arg)
{
	pthread_attr_t attr;
	pthread_t thread;
	cpu_set_t set;

	pin(1);
	CPU_ZERO(&set);
	CPU_SET(0, &set);
	pthread_attr_init(&attr);
	if (pthread_attr_setaffinity_np(&attr, sizeof(set), &set) != 0 ||
	    pthread_create(&thread, &attr, run, arg) != 0)
		abort();
	pthread_attr_destroy(&attr);
	return (thread);
}

/*
 * Two cores, both polling.  A machine that does other work takes the core away
 * from one side now and then, and the time until it is back says nothing about
 * a ring; so a run is a millisecond or so, and one in which either thread was
 * taken off its core is thrown away and repeated.
 */
struct duel {
	const struct ring *ring;
	void		*r;
	uint32_t	len;
	uint64_t	warm, packets;	/* not timed, in all */
	double		seconds;
	bool		whole[2];	/* that side kept its core */
	unsigned int	there __attribute__((__aligned__(128)));
};

static double
seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ((double)ts.tv_sec + (double)ts.tv_nsec / 1e9);
}

/* Times that this thread lost its core. */
static long
switches(void)
{
	struct rusage u;

	getrusage(RUSAGE_THREAD, &u);
	return (u.ru_nivcsw + u.ru_nvcsw);
}

/* Both sides begin together. */
static void
meet(struct duel *d)
{
	__atomic_fetch_add(&d->there, 1, __ATOMIC_ACQ_REL);
	while (__atomic_load_n(&d->there, __ATOMIC_ACQUIRE) != 2)
		_mm_pause();
}

static void *
duel_consumer(void *arg)
{
	struct duel *d = arg;
	double start;
	long lost;
	uint64_t got, from;
	unsigned int n;

	meet(d);
	lost = switches();
	for (got = 0; got < d->warm; got += n) {
		n = d->ring->receive(d->r, sink, d->len, BURST);
		if (n == 0)
			_mm_pause();
	}
	start = seconds();
	for (from = got; got < d->packets; got += n) {
		n = d->ring->receive(d->r, sink, d->len, BURST);
		if (n == 0)
			_mm_pause();
	}
	d->seconds = (seconds() - start) / (double)(got - from);
	d->whole[1] = switches() == lost;
	/* What came out last is what went in. */
	if (memcmp(sink + d->ring->skip, payload, d->len) != 0)
		abort();
	return (NULL);
}

/*
 * Million packets a second from core 1 to core 0; 0 when something else ran on
 * a core.
 */
static double
duel(const struct ring *ring, void *r, uint32_t len, uint64_t packets)
{
	struct duel d = { .ring = ring, .r = r, .len = len,
	    .warm = packets / 4, .packets = packets };
	pthread_t thread;
	uint64_t sent;
	unsigned int n;
	long lost;

	memset(sink, 0, sizeof(sink));
	thread = beside(duel_consumer, &d);
	meet(&d);
	lost = switches();
	for (sent = 0; sent < packets; sent += n) {
		n = ring->send(r, payload, len,
		    packets - sent < BURST ? (unsigned int)(packets - sent) :
		    BURST);
		if (n == 0)
			_mm_pause();
	}
	d.whole[0] = switches() == lost;
	pthread_join(thread, NULL);
	return (d.whole[0] && d.whole[1] ? 1 / d.seconds / 1e6 : 0);
}

static uint32_t ball __attribute__((__aligned__(128)));

static void *
pong(void *arg)
{
	unsigned int i, n = *(unsigned int *)arg;

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
	unsigned int i, n = 1000;
	pthread_t thread;
	double start;

	ball = 0;
	thread = beside(pong, &n);
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

/* All rings in turn; false when a core was not ours alone for long. */
static bool
core_round(double *rate, void **r, uint32_t len, uint64_t packets)
{
	unsigned int i, tries = 0;

	for (i = 0; i < NRINGS; i++) {
		if (rings[i] == &ring_floor)
			continue;
		do {
			rate[i] = duel(rings[i], r[i], len, packets);
		} while (rate[i] == 0 && ++tries < CORE_TRIES);
		if (rate[i] == 0)
			return (false);
	}
	return (true);
}

/*
 * Ours against that peer.  Bytes written and not yet read stay in the writer's
 * cache until there are too many, and to fetch them from there takes longer than
 * from a cache that the cores share.  So both have as much memory: a ring of
 * pointers to pages WIDE_BYTES for its RING_SLOTS packets, the packed one
 * RING_BYTES.  What is in flight of small packets fits a cache either way.
 */
static unsigned int
own(unsigned int peer, uint32_t len)
{
	const struct ring *ring;
	unsigned int i;

	ring = rings[peer] != &ring_dense && len * RING_SLOTS > RING_BYTES ?
	    &ring_wide : &ring_apart;
	for (i = 0; rings[i] != ring; i++)
		continue;
	return (i);
}

static int
cores(uint32_t len)
{
	static double rate[NRINGS][CORE_ROUNDS], ratio[NRINGS][CORE_ROUNDS];
	double one[NRINGS], stop, trip[CORE_ROUNDS];
	void *r[NRINGS];
	unsigned int i, n;
	bool whole;

	for (i = 0; i < NRINGS; i++)
		r[i] = rings[i]->open();
	stop = seconds() + CORE_SECONDS;
	for (n = 0; n < CORE_ROUNDS && seconds() < stop;) {
		foremost(true);
		whole = core_round(one, r, len, len > 1000 ? 8192 : 65536);
		trip[n] = round_trip();
		foremost(false);
		if (!whole)
			continue;
		for (i = 0; i < NRINGS; i++) {
			rate[i][n] = one[i];
			ratio[i][n] = one[own(i, len)] / one[i];
		}
		n++;
	}
	for (i = 0; i < NRINGS; i++)
		rings[i]->close(r[i]);
	if (n < CORE_ROUNDS / 2) {
		fprintf(stderr, "ring: the machine is too busy to measure two "
		    "cores\n");
		return (1);
	}
	for (i = 0; i < NRINGS; i++)
		if (rings[i] != &ring_floor)
			printf("%s\t%.2f\t%.2f\n", rings[i]->name,
			    median(ratio[i], n), median(rate[i], n));
	printf("round trip ns\t%.0f\t%u\n", median(trip, n), n);
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
