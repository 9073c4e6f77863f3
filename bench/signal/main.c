/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * Benchmark of signals, G1: how many it takes for 1,000 packets of a network
 * channel when frames come at random and the receiver sleeps, against what a
 * queue whose server goes away predicts; spurious wakes; signals while the
 * receiver asked for none; latency beside each, because polling buys no signals
 * with a processor.
 *
 * Usage: signal DIR ROUNDS SECONDS.  Prints a table; writes DIR/signal.json.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "signal.h"

#define	ROUNDS_MAX	50
#define	TRIES		5	/* to have a round undisturbed */

static json_t *all;

double
now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ((double)ts.tv_sec + (double)ts.tv_nsec * 1e-9);
}

static int
compare_double(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x < y ? -1 : x > y);
}

static double
median(double *v, int n)
{

	qsort(v, (size_t)n, sizeof(*v), compare_double);
	return (n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2);
}

static void
report(const char *id, const char *name, double value, const char *unit,
    double target, const char *better, const char *peer, double peer_value)
{
	bool met = strcmp(better, "higher") == 0 ? value >= target :
	    value <= target;

	printf("%-3s %-32s %12.4g %-8s target %s %-8.4g %-4s  %s %.4g\n", id,
	    name, value, unit, strcmp(better, "higher") == 0 ? ">=" : "<=",
	    target, met ? "met" : "MISS", peer, peer_value);
	fflush(stdout);
	json_array_append_new(all, json_pack("{s:s, s:s, s:f, s:s, s:f, s:s, "
	    "s:s, s:f}", "id", id, "case", name, "value", value, "unit", unit,
	    "target", target, "better", better, "peer", peer, "peer_value",
	    peer_value));
}

/* A round in which nothing else ran on either core, if one can be had. */
static int
whole_round(const struct load *l, struct result *r, int *disturbed)
{
	int i;

	for (i = 0; i < TRIES; i++) {
		if (pair_run(l, r) != 0 || r->packets == 0)
			return (-1);
		if (r->whole)
			return (0);
	}
	(*disturbed)++;
	return (0);
}

static void
progress(const char *what, int round, int rounds)
{

	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\r    %s: round %d of %d%s", what, round,
		    rounds, round == rounds ? "\r\033[K" : "");
}

/* Signals for 1,000 packets: 1000 (1 - rho) / (1 + lambda W), W the wake. */
static int
signals(double rate, int rounds, double seconds)
{
	double per[ROUNDS_MAX], off[ROUNDS_MAX], spurious[ROUNDS_MAX];
	double p50[ROUNDS_MAX], p99[ROUNDS_MAX], wake[ROUNDS_MAX], model;
	struct load l = { .size = 64, .seconds = seconds, .rate = rate };
	uint64_t masked = 0;
	struct result r;
	char name[64];
	int disturbed = 0, i;

	snprintf(name, sizeof(name), "%.0f k frames/s", rate / 1e3);
	for (i = 0; i < rounds; i++) {
		progress(name, i + 1, rounds);
		if (whole_round(&l, &r, &disturbed) != 0 || r.bad != 0)
			return (-1);
		per[i] = 1000.0 * (double)r.signals / (double)r.packets;
		spurious[i] = r.wakes != 0 ? (double)r.spurious /
		    (double)r.wakes : 0;
		wake[i] = r.wake_us;
		model = 1000.0 * (1 - r.busy_s / r.seconds) / (1 +
		    (double)r.packets / r.seconds * r.wake_us / 1e6);
		off[i] = model > 0 ? (per[i] > model ? per[i] - model :
		    model - per[i]) / model : 1;
		p50[i] = r.p50_us;
		p99[i] = r.p99_us;
		masked += r.masked;
	}
	if (disturbed != 0)
		printf("    %.0f k frames/s: something else ran in %d of %d "
		    "rounds\n", rate / 1e3, disturbed, rounds);
	printf("    %.0f k frames/s: %.1f signals for 1,000 packets, a wake "
	    "%.1f us, p50 %.1f us, p99 %.1f us\n", rate / 1e3, median(per,
	    rounds), median(wake, rounds), median(p50, rounds), median(p99,
	    rounds));
	snprintf(name, sizeof(name), "%.0f k/s, off the model", rate / 1e3);
	report("G1", name, median(off, rounds), "of it", 0.1, "lower", "model",
	    0);
	snprintf(name, sizeof(name), "%.0f k/s, spurious wakes", rate / 1e3);
	report("G1", name, median(spurious, rounds), "per wake", 0.1, "lower",
	    "none", 0);
	snprintf(name, sizeof(name), "%.0f k/s, while masked", rate / 1e3);
	report("G1", name, (double)masked, "signals", 0, "lower", "none", 0);
	return (0);
}

static int
saturation(int rounds, double seconds)
{
	struct load l = { .size = 64, .seconds = seconds };
	double per[ROUNDS_MAX];
	struct result r;
	int disturbed = 0, i;

	for (i = 0; i < rounds; i++) {
		progress("saturation", i + 1, rounds);
		if (whole_round(&l, &r, &disturbed) != 0 || r.frames == 0)
			return (-1);
		per[i] = 1000.0 * (double)r.signals / (double)r.frames;
	}
	report("G1", "signals at saturation", median(per, rounds),
	    "per 1000", 0.05, "lower", "none", 0);
	return (0);
}

int
main(int argc, char **argv)
{
	double seconds;
	char out[512];
	int rounds;

	if (argc < 4) {
		fprintf(stderr, "usage: signal DIR ROUNDS SECONDS\n");
		return (2);
	}
	rounds = atoi(argv[2]) < 1 ? 1 : atoi(argv[2]) > ROUNDS_MAX ?
	    ROUNDS_MAX : atoi(argv[2]);
	seconds = atof(argv[3]);
	all = json_array();
	if (signals(10e3, rounds, seconds) != 0 ||
	    signals(100e3, rounds, seconds) != 0 ||
	    signals(1e6, rounds, seconds) != 0 ||
	    saturation(rounds, seconds) != 0)
		return (1);
	snprintf(out, sizeof(out), "%s/signal.json", argv[1]);
	if (json_dump_file(all, out, JSON_INDENT(1)) != 0) {
		fprintf(stderr, "signal: cannot write %s\n", out);
		return (1);
	}
	return (0);
}
