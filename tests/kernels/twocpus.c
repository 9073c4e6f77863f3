/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * Two processors of a guest against each other; run by guest/time.sh and
 * guest/enlighten.sh on a stock kernel.
 *
 *	twocpus clock N	  they read the clock in turns: it never goes back
 *	twocpus unmap N	  one changes what a page is, the other, which has just
 *			  used it, must see that: N new pages in its place, then
 *			  N times no longer writable
 *
 * One line on success; status 1 and the reason otherwise.  Both are pinned, one
 * on each processor, and never sleep: a processor that idles has no translation
 * to forget.  Locking: `turn` hands everything over.
 */
#include <sys/mman.h>

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define	PAGE		4096u
#define	SECONDS		120u		/* then the machine is stuck */
#define	WORDS		(PAGE / sizeof(uint64_t))

static _Atomic uint32_t turn;
static unsigned long rounds;

static void __attribute__((__noreturn__))
die(const char *what, unsigned long round)
{

	printf("%s, round %lu of %lu\n", what, round, rounds);
	fflush(stdout);
	_exit(1);
}

static uint64_t
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ((uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec);
}

static void
pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) != 0)
		die("there is no such processor", 0);
}

static void
wait_turn(uint32_t mine, unsigned long round)
{
	uint64_t spins = 0, end = 0;

	while (atomic_load_explicit(&turn, memory_order_acquire) != mine) {
		__builtin_ia32_pause();
		if (++spins % 1000000 != 0)
			continue;
		if (end == 0)
			end = now() + SECONDS * 1000000000ull;
		else if (now() > end)
			die("the other processor does not come", round);
	}
}

static void
pass(uint32_t to)
{

	atomic_store_explicit(&turn, to, memory_order_release);
}

/* ---- clock */

static uint64_t last;		/* by `turn` */

static void
clock_turns(uint32_t me)
{
	unsigned long i;
	uint64_t t;

	for (i = 0; i < rounds; i++) {
		wait_turn(me, i);
		t = now();
		if (t < last)
			die("the clock went back", i);
		last = t;
		pass(me ^ 1);
	}
}

static void *
clock_other(void *arg)
{

	(void)arg;
	pin(1);
	clock_turns(1);
	return (NULL);
}

/* ---- unmap */

static uint8_t *place;		/* the page that changes */
static volatile uint64_t *alias; /* of its memory, always writable */
static sigjmp_buf fault;
static volatile sig_atomic_t faults;

static void
on_fault(int sig)
{

	(void)sig;
	faults++;
	siglongjmp(fault, 1);
}

/* Reads the page until it is its turn, then what it reads must be the new. */
static void
reader(void)
{
	volatile uint64_t *p = (volatile uint64_t *)(void *)place;
	unsigned long i;
	uint64_t word = 0;

	for (i = 0; i < rounds; i++) {
		while (atomic_load_explicit(&turn, memory_order_acquire) != 1)
			word += p[i % WORDS];	/* keeps its translation hot */
		if (p[i % WORDS] != i + 1)
			die("a page that is gone is still read", i);
		pass(0);
	}
	if (word == 1)		/* it is used for nothing else */
		puts("");
}

static void
write_until_fault(void)
{
	volatile uint64_t *p = (volatile uint64_t *)(void *)place;

	if (sigsetjmp(fault, 1) == 0)
		for (;;)
			p[0]++;
}

static void
writer(void)
{
	unsigned long i;

	for (i = 0; i < rounds; i++) {
		wait_turn(1, i);
		pass(0);
		write_until_fault();
		wait_turn(3, i);
		pass(0);
	}
}

static void *
unmap_other(void *arg)
{

	(void)arg;
	pin(1);
	reader();
	writer();
	return (NULL);
}

static void
fill(uint64_t *page, uint64_t word)
{
	size_t i;

	for (i = 0; i < WORDS; i++)
		page[i] = word;
}

static void
new_pages(int fd)
{
	unsigned long i;
	uint64_t *page;

	for (i = 0; i < rounds; i++) {
		page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		    (off_t)(1 + i % 2) * PAGE);
		if (page == MAP_FAILED)
			die("no memory", i);
		fill(page, i + 1);
		if (mmap(place, PAGE, PROT_READ, MAP_SHARED | MAP_FIXED |
		    MAP_POPULATE, fd, (off_t)(1 + i % 2) * PAGE) != place)
			die("no mapping", i);
		pass(1);
		wait_turn(0, i);
		munmap(page, PAGE);
	}
}

static void
no_longer_writable(int fd)
{
	unsigned long i;
	uint64_t before, until;

	alias = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (alias == MAP_FAILED || mmap(place, PAGE, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_FIXED | MAP_POPULATE, fd, 0) != place)
		die("no mapping", 0);
	for (i = 0; i < rounds; i++) {
		pass(1);
		wait_turn(0, i);
		before = alias[0];
		until = now() + SECONDS * 1000000000ull;
		while (alias[0] - before < 100)	/* it is at it */
			if (now() > until)
				die("the other processor does not write", i);
		if (mprotect(place, PAGE, PROT_READ) != 0)
			die("no protection", i);
		before = alias[0];
		while ((unsigned long)faults != i + 1)
			if (now() > until)
				die("the other processor does not fault", i);
		if (alias[0] != before)
			die("a page that cannot be written was", i);
		if (mprotect(place, PAGE, PROT_READ | PROT_WRITE) != 0)
			die("no protection", i);
		pass(3);
		wait_turn(0, i);
	}
}

static void
unmap(void)
{
	struct sigaction sa;
	pthread_t other;
	int fd;

	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = on_fault;
	sigaction(SIGSEGV, &sa, NULL);
	fd = memfd_create("pages", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, 3 * PAGE) != 0)
		die("no memory", 0);
	place = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
	if (place == MAP_FAILED ||
	    pthread_create(&other, NULL, unmap_other, NULL) != 0)
		die("no memory", 0);
	new_pages(fd);
	no_longer_writable(fd);
	pthread_join(other, NULL);
	printf("%lu pages replaced, %lu made unwritable under use\n", rounds,
	    rounds);
}

int
main(int argc, char *argv[])
{
	pthread_t other;

	if (argc != 3 || (rounds = strtoul(argv[2], NULL, 10)) == 0) {
		fprintf(stderr, "usage: twocpus clock|unmap ROUNDS\n");
		return (2);
	}
	pin(0);
	if (strcmp(argv[1], "unmap") == 0) {
		unmap();
		return (0);
	}
	last = now();
	if (pthread_create(&other, NULL, clock_other, NULL) != 0)
		die("no memory", 0);
	clock_turns(0);
	pthread_join(other, NULL);
	printf("%lu readings in turns, none went back\n", 2 * rounds);
	return (0);
}
