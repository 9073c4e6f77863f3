/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * Storage benchmark: what the two clients have in common.  Each keeps `depth'
 * random 4 KiB reads going for a time, polling for completions or sleeping on
 * an eventfd.
 */
#ifndef BENCH_STORAGE_H
#define	BENCH_STORAGE_H

#include <stdbool.h>
#include <stdint.h>

#define	IO_BYTES	4096u
#define	DEPTH_MAX	64u
#define	LATENCIES	(1u << 20)

struct result {
	double		seconds;
	uint64_t	ios, kicks, wakes, errors;
	double		p99_us;
};

struct load {
	unsigned	depth;
	bool		sleep;
	double		seconds;
	uint64_t	blocks;		/* of 4 KiB, a power of two */
};

/* main.c */
double	now_s(void);
uint64_t random_block(const struct load *);
void	latency_begin(unsigned slot);
void	latency_end(unsigned slot);
double	latency_p99(void);		/* microseconds; forgets */

/* client_hvk.c: path NULL is the null disk. */
int	hvk_start(const char *path);
void	hvk_run(const struct load *, struct result *);
void	hvk_stop(void);

/* client_vhost.c */
int	vhost_start(const char *path, const char *socket);
void	vhost_run(const struct load *, struct result *);
void	vhost_stop(void);

#endif /* BENCH_STORAGE_H */
