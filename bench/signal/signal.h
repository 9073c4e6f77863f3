/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * Benchmark of signals: what its parts have in common.
 */
#ifndef BENCH_SIGNAL_H
#define	BENCH_SIGNAL_H

#include <stdbool.h>
#include <stdint.h>

#define	LATENCIES	(1u << 16)

struct load {
	uint32_t	size;		/* bytes of a frame */
	double		seconds;
	double		rate;		/* frames a second; 0: all it can */
};

struct result {
	double		seconds;
	uint64_t	frames;		/* that arrived whole and right */
	uint64_t	bad;
	uint64_t	packets;	/* of the ring */
	uint64_t	signals;	/* to the receiver */
	uint64_t	masked;		/* signals while it had asked for none */
	uint64_t	wakes, spurious; /* of the receiver */
	double		busy_s;		/* that the receiver worked */
	double		wake_us;	/* from a signal to its waking, mean */
	double		p50_us, p99_us;
	bool		whole;		/* nobody took a core away meanwhile */
};

double	now_s(void);

/* pair.c: two processes, one queue; the receiver sleeps when it is empty. */
int	pair_run(const struct load *, struct result *);

#endif /* BENCH_SIGNAL_H */
