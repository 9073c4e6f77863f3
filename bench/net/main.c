/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * Network benchmark, our side.
 *
 *	net rate LEN MS to-host|to-guest	two processes on two processors,
 *						one queue, both polling: Mpps
 *	net count QUEUES LEN TURNS		one process, both ways, TURNS
 *						bursts on each queue; for
 *						callgrind, and the counts of
 *						publications and signals
 */

#include <sys/mman.h>
#include <sys/wait.h>

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "net.h"

static double
now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ((double)ts.tv_sec + (double)ts.tv_nsec * 1e-9);
}

static void
pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	(void)sched_setaffinity(0, sizeof(set), &set);
}

static int
rate(uint32_t len, double seconds, bool to_host)
{
	struct bench *b = bench_make(1, true);
	volatile uint64_t *seen;
	double begin, end;
	uint64_t from, to;
	pid_t child;

	seen = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED |
	    MAP_ANONYMOUS, -1, 0);
	if (seen == MAP_FAILED)
		return (1);
	child = fork();
	if (child == 0) {
		pin(0);
		for (;;) {
			if (!to_host)
				(void)bench_host_send(b, 0, len);
			bench_host_poll(b, 0);
			*seen = b->queue[0].host.frames;
		}
	}
	pin(1);
	begin = now_s();
	end = begin + 0.2;		/* until both are at it */
	from = to = 0;
	for (int phase = 0; phase < 2; phase++) {
		begin = now_s();
		end = begin + (phase == 0 ? 0.2 : seconds);
		from = to_host ? *seen : b->queue[0].guest.frames;
		while (now_s() < end)
			for (int i = 0; i < 100; i++) {
				if (to_host)
					(void)bench_guest_send(b, 0, len);
				bench_guest_poll(b, 0);
			}
		to = to_host ? *seen : b->queue[0].guest.frames;
		end = now_s();
	}
	(void)kill(child, SIGKILL);
	(void)waitpid(child, NULL, 0);
	printf("%.3f\n", (double)(to - from) / (end - begin) / 1e6);
	return (0);
}

/* Both sides sleep between bursts: each publication finds a waiting peer. */
static int
count(uint32_t queues, uint32_t len, uint32_t turns)
{
	struct bench *b = bench_make(queues, false);
	uint64_t bursts = 0, frames = 0, gpub = 0, hpub = 0, signals = 0;
	uint32_t i, t;

	for (t = 0; t < turns; t++)
		for (i = 0; i < queues; i++) {
			(void)bench_guest_send(b, i, len);
			bench_host_poll(b, i);
			(void)bench_host_send(b, i, len);
			bench_guest_poll(b, i);
			bench_host_poll(b, i);
		}
	for (i = 0; i < queues; i++) {
		struct queue *q = &b->queue[i];

		frames += q->guest.frames + q->host.frames;
		bursts += q->guest.bursts + q->host.bursts;
		gpub += q->guest.publications - q->guest.bursts;
		hpub += q->host.publications - q->host.bursts;
		signals += q->guest.signals + q->host.signals;
	}
	printf("frames %ju bursts %ju completions-published %ju signals %ju\n",
	    (uintmax_t)frames, (uintmax_t)bursts, (uintmax_t)(gpub + hpub),
	    (uintmax_t)signals);
	return (0);
}

int
main(int argc, char **argv)
{

	if (argc == 5 && strcmp(argv[1], "rate") == 0)
		return (rate((uint32_t)atoi(argv[2]), atoi(argv[3]) / 1000.0,
		    strcmp(argv[4], "to-host") == 0));
	if (argc == 5 && strcmp(argv[1], "count") == 0 && atoi(argv[2]) >= 1 &&
	    atoi(argv[2]) <= (int)QUEUES)
		return (count((uint32_t)atoi(argv[2]), (uint32_t)atoi(argv[3]),
		    (uint32_t)atoi(argv[4])));
	fprintf(stderr, "usage: net rate LEN MS to-host|to-guest\n"
	    "       net count QUEUES LEN TURNS\n");
	return (2);
}
