/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * Storage benchmark, S1 to S3: our client and provider against
 * qemu-storage-daemon with a client of the same shape, in interleaved rounds;
 * the median of the rounds' ratios counts.  fio has its turn in S2.
 *
 * Usage: storage DIR ROUNDS SECONDS [SCRATCH]; files of 64 MiB in SCRATCH are
 * made for S2.  Prints a table; writes DIR/storage.json.
 */
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#include <jansson.h>

#include "bench.h"

#define	ROUNDS_MAX	50
#define	FILE_BLOCKS	16384u

static uint64_t begun[DEPTH_MAX];
static uint32_t latency[LATENCIES];
static unsigned latencies;
static double tsc_per_us;
static uint64_t seed = 88172645463325252ull;
static json_t *all;

double
now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ((double)ts.tv_sec + (double)ts.tv_nsec * 1e-9);
}

uint64_t
random_block(const struct load *l)
{

	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (seed & (l->blocks - 1));
}

void
latency_begin(unsigned slot)
{

	begun[slot] = __rdtsc();
}

void
latency_end(unsigned slot)
{

	latency[latencies++ & (LATENCIES - 1)] =
	    (uint32_t)(__rdtsc() - begun[slot]);
}

static int
compare32(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x < y ? -1 : x > y);
}

static int
compare_double(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x < y ? -1 : x > y);
}

double
latency_p99(void)
{
	unsigned n = latencies < LATENCIES ? latencies : LATENCIES;

	latencies = 0;
	if (n == 0)
		return (0);
	qsort(latency, n, sizeof(latency[0]), compare32);
	return (latency[n - 1 - n / 100] / tsc_per_us);
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
	json_array_append_new(all, json_pack("{s:s, s:s, s:f, s:s, s:f, s:s, "
	    "s:s, s:f}", "id", id, "case", name, "value", value, "unit", unit,
	    "target", target, "better", better, "peer", peer, "peer_value",
	    peer_value));
}

/* What fio's io_uring engine makes of such a file, alone. */
static double
fio_iops(const char *path, double seconds)
{
	char cmd[1024], line[8192], *at = line;
	FILE *f;
	int i;

	snprintf(cmd, sizeof(cmd), "fio --minimal --name=bare --rw=randread "
	    "--ioengine=io_uring --bs=4k --iodepth=32 --filename=%s "
	    "--time_based --runtime=%dms", path, (int)(seconds * 1000));
	f = popen(cmd, "r");
	if (f == NULL)
		return (0);
	line[0] = '\0';
	if (fgets(line, sizeof(line), f) == NULL)
		line[0] = '\0';
	(void)pclose(f);
	for (i = 0; i < 7 && at != NULL; i++) {
		at = strchr(at, ';');
		if (at != NULL)
			at++;
	}
	return (at != NULL ? atof(at) : 0);
}

/* One load on both sides, in turn. */
static int
contest(const char *id, const char *what, const struct load *l, int rounds,
    double target, const char *fio)
{
	double ours[ROUNDS_MAX], p99[ROUNDS_MAX], p99_peer[ROUNDS_MAX];
	double peer[ROUNDS_MAX], ratio[ROUNDS_MAX], kicks[ROUNDS_MAX];
	double wakes[ROUNDS_MAX], wakes_peer[ROUNDS_MAX], bare[ROUNDS_MAX];
	struct result a, b;
	char name[64];
	int i;

	for (i = 0; i < rounds; i++) {
		hvk_run(l, &a);
		vhost_run(l, &b);
		if (a.errors != 0 || b.errors != 0) {
			fprintf(stderr, "storage: %s: %llu of our I/Os failed, "
			    "%llu of the peer's\n", what,
			    (unsigned long long)a.errors,
			    (unsigned long long)b.errors);
			return (-1);
		}
		ours[i] = (double)a.ios / a.seconds;
		peer[i] = (double)b.ios / b.seconds;
		ratio[i] = ours[i] / peer[i];
		kicks[i] = (double)a.kicks / (double)a.ios;
		wakes[i] = (double)a.wakes / (double)a.ios;
		wakes_peer[i] = (double)b.wakes / (double)b.ios;
		if (fio != NULL && (bare[i] = ours[i] /
		    fio_iops(fio, l->seconds)) > 1e6) {
			fprintf(stderr, "storage: fio does not run\n");
			return (-1);
		}
		p99[i] = a.p99_us;
		p99_peer[i] = b.p99_us;
	}
	snprintf(name, sizeof(name), "%s QD%u %s", what, l->depth,
	    l->sleep ? "sleep" : "poll");
	printf("    %-32s %12.0f IOPS, p99 %.1f us; peer %.0f IOPS, p99 "
	    "%.1f us\n", name, median(ours, rounds), median(p99, rounds),
	    median(peer, rounds), median(p99_peer, rounds));
	report(id, name, median(ratio, rounds), "x", target, "higher",
	    "qemu-storage-daemon", 1);
	if (fio != NULL)
		report(id, name, median(bare, rounds), "x", 0.85, "higher",
		    "fio io_uring", 1);
	if (!l->sleep)
		return (0);
	strcat(name, " kicks");
	report("S3", name, median(kicks, rounds), "per I/O", l->depth == 1 ?
	    1.0 : 0.001, "lower", "qemu-storage-daemon", 0);
	strcpy(strrchr(name, ' '), " wakes");
	report("S3", name, median(wakes, rounds), "per I/O", l->depth == 1 ?
	    1.0 : 0.10, "lower", "qemu-storage-daemon",
	    median(wakes_peer, rounds));
	strcpy(strrchr(name, ' '), " p99");
	for (i = 0; i < rounds; i++)
		ratio[i] = p99[i] / p99_peer[i];
	report("S3", name, median(ratio, rounds), "x", 1.0, "lower",
	    "qemu-storage-daemon", 1);
	return (0);
}

static int
make_file(const char *path)
{
	static uint8_t block[1 << 20];
	int fd, i;

	fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);
	if (fd < 0)
		return (-1);
	memset(block, 0x5a, sizeof(block));
	for (i = 0; i < (int)(FILE_BLOCKS / 256); i++) {
		if (write(fd, block, sizeof(block)) != sizeof(block))
			return (-1);
	}
	return (close(fd));
}

/*
 * Hosts on one processor, clients on the other, for both sides: a client that
 * polls on its host's processor would measure the scheduler.
 */
static void
stay_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sysconf(_SC_NPROCESSORS_ONLN) > 1)
		(void)sched_setaffinity(0, sizeof(set), &set);
}

static int
area(const char *id, const char *what, const char *path, const char *sock,
    const struct load *loads, int n, int rounds, double target)
{
	char bare[512] = "", copy[512];
	int error = 0, i;

	/* Each has a file of its own: two of the three lock theirs. */
	if (path != NULL) {
		snprintf(copy, sizeof(copy), "%s.peer", path);
		snprintf(bare, sizeof(bare), "%s.fio", path);
		if (make_file(path) != 0 || make_file(copy) != 0 ||
		    make_file(bare) != 0)
			return (-1);
	}
	stay_on(1);
	if (hvk_start(path) != 0)
		return (-1);
	if (vhost_start(path != NULL ? copy : NULL, sock) != 0) {
		hvk_stop();
		return (-1);
	}
	stay_on(0);
	for (i = 0; i < n && error == 0; i++)
		error = contest(id, what, &loads[i], rounds, target,
		    path != NULL && !loads[i].sleep ? bare : NULL);
	vhost_stop();
	hvk_stop();
	if (path != NULL) {
		(void)unlink(path);
		(void)unlink(copy);
		(void)unlink(bare);
	}
	return (error);
}

int
main(int argc, char **argv)
{
	struct load loads[4];
	char file[512], out[512], sock[512];
	double seconds, start;
	uint64_t tsc;
	int i, rounds;

	if (argc < 4) {
		fprintf(stderr, "usage: storage DIR ROUNDS SECONDS "
		    "[SCRATCH]\n");
		return (2);
	}
	rounds = atoi(argv[2]) < 1 ? 1 : atoi(argv[2]) > ROUNDS_MAX ?
	    ROUNDS_MAX : atoi(argv[2]);
	seconds = atof(argv[3]);
	snprintf(out, sizeof(out), "%s/storage.json", argv[1]);
	snprintf(file, sizeof(file), "%s/hvk-bench.img", argc > 4 ? argv[4] :
	    argv[1]);
	snprintf(sock, sizeof(sock), "%s/hvk-bench.sock", argc > 4 ? argv[4] :
	    argv[1]);
	start = now_s();
	tsc = __rdtsc();
	usleep(20000);
	tsc_per_us = (double)(__rdtsc() - tsc) / (now_s() - start) * 1e-6;
	all = json_array();
	for (i = 0; i < 4; i++) {
		loads[i].depth = i < 2 ? 1 : 32;
		loads[i].sleep = i % 2 == 1;
		loads[i].seconds = seconds;
		loads[i].blocks = FILE_BLOCKS;
	}
	if (area("S1", "null", NULL, sock, loads, 4, rounds, 1.0) != 0 ||
	    area("S2", "file", file, sock, loads + 2, 2, rounds, 1.2) != 0)
		return (1);
	if (json_dump_file(all, out, JSON_INDENT(1)) != 0) {
		fprintf(stderr, "storage: cannot write %s\n", out);
		return (1);
	}
	return (0);
}
