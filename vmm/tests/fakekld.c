/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * A guest that misbehaves: speaks the protocol of <hvk/kld.h> in kldrun's
 * place and does to the host what FAKEKLD names.  Ends with 0 if the host
 * answered as it should, with 1 and a line that says what was wrong if not.
 * Used by hostile_test.c.
 */
#define	FAKEGUEST_MAIN
#include "fakeguest.h"

/* ---- scenarios */

static void
garbage_exits(void)
{
	char big[200] = { 1 };
	struct kld_exit e;
	struct pollfd pfd = { .fd = fds[3], .events = POLLIN };
	char c;

	/* Processor 1 is stopped for it; processor 0 goes on. */
	CHECK(send(fds[3], big, sizeof(big), MSG_NOSIGNAL) == sizeof(big));
	CHECK(poll(&pfd, 1, 60000) == 1);
	CHECK(recv(fds[3], &c, 1, 0) == 0);
	exit_call(0, KLD_EXIT_CPUID, 0x40000000, 0, 0, &e);
	CHECK((uint32_t)e.b == 0x7263694d);	/* "Micr" */
}

static void
all_msrs(void)
{
	struct kld_exit e;
	uint32_t msr;

	for (msr = 0x40000000; msr < 0x40000200; msr++) {
		exit_call(0, KLD_EXIT_RDMSR, msr, 0, 0, &e);
		wrmsr(msr, ~0ull);
		wrmsr(msr, hello.mem_size | 1);
		wrmsr(msr, 0x10);
		wrmsr(msr, 0);
	}
	/* A page outside memory is refused, another MSR is not ours. */
	CHECK(!wrmsr(0x40000083, hello.mem_size | 1));
	CHECK(!wrmsr(0x1b, 0));
	synic();
	contact();
}

static void
garbage_posts(void)
{
	uint8_t m[256];
	struct kld_exit e;
	unsigned i, k;

	synic();
	for (i = 0; i < 4000; i++) {
		for (k = 0; k < sizeof(m); k++)
			m[k] = (uint8_t)random();
		memset(m, 0, 8);
		m[0] = (uint8_t)(random() % 32);
		post(i % 7, m, (uint32_t)random() % 260);
	}
	/* Input outside memory, across a page, and calls nobody has. */
	exit_call(0, KLD_EXIT_HYPERCALL, 0x5c, hello.mem_size, 0, &e);
	CHECK((e.d & 0xffff) != 0);
	exit_call(0, KLD_EXIT_HYPERCALL, 0x5c, ~0ull, ~0ull, &e);
	CHECK((e.d & 0xffff) != 0);
	exit_call(0, KLD_EXIT_HYPERCALL, 0x7fff, 0, 0, &e);
	CHECK((e.d & 0xffff) == 2);
	contact();
}

static void
bad_rings(void)
{
	uint64_t pfn[8];
	uint32_t relid[8], idx[2] = { 0xfffffff8u, 4 };
	unsigned n;

	synic();
	n = offers(relid);
	CHECK(n >= 2);
	good_pfns(pfn, 0);
	/* A page outside memory. */
	pfn[3] = hello.mem_size / PAGE;
	CHECK(gpadl(relid[0], 0x100, pfn, 8, 8 * PAGE) != 0);
	/* Rings of size 0, an offset past the end, a GPADL nobody made. */
	good_pfns(pfn, 0);
	CHECK(gpadl(relid[0], 0x101, pfn, 8, 8 * PAGE) == 0);
	CHECK(open_channel(relid[0], 0x101, 1, 60000) != 0);
	CHECK(open_channel(relid[0], 0x101, 7, 60000) != 0);
	CHECK(open_channel(relid[0], 0x101, 0xffffffff, 60000) != 0);
	CHECK(open_channel(relid[0], 0x999, 4, 60000) != 0);
	/* Indices out of range. */
	memcpy(mem + pfn[0] * PAGE, idx, sizeof(idx));
	CHECK(open_channel(relid[0], 0x101, 4, 60000) != 0);
	/* The other channel works all the same. */
	good_pfns(pfn, 1);
	CHECK(gpadl(relid[1], 0x200, pfn, 8, 8 * PAGE) == 0);
	CHECK(open_channel(relid[1], 0x200, 4, 60000) == 0);
}

/* An open channel whose ring turns to noise. */
static void
noisy_ring(void)
{
	uint64_t pfn[8];
	uint32_t relid[8];
	struct kld_exit e;
	unsigned i, n, k;

	synic();
	n = offers(relid);
	good_pfns(pfn, 0);
	CHECK(gpadl(relid[0], 0x100, pfn, 8, 8 * PAGE) == 0);
	CHECK(open_channel(relid[0], 0x100, 4, 60000) == 0);
	for (i = 0; i < 200; i++) {
		for (k = 0; k < 3 * PAGE; k += 8)
			*(uint64_t *)(void *)(mem + pfn[1] * PAGE + k) =
			    (uint64_t)random() << 33 ^ (uint64_t)random();
		*(volatile uint32_t *)(void *)(mem + pfn[0] * PAGE) =
		    (uint32_t)random() % (3 * PAGE);
		exit_call(0, KLD_EXIT_HYPERCALL, 0x5d | 1u << 16,
		    relid[0] | 2u << 12, 0, &e);
	}
	good_pfns(pfn, 1);
	CHECK(n > 1);
	CHECK(gpadl(relid[1], 0x200, pfn, 8, 8 * PAGE) == 0);
	CHECK(open_channel(relid[1], 0x200, 4, 60000) == 0);
}

static void
tamper(void)
{
	struct timespec ts = { 10, 0 };

	CHECK(ftruncate(fds[0], 0) != 0);
	CHECK(ftruncate(fds[1], 0) != 0);
	fcntl(fds[2 + hello.ncpus], F_SETFL, 0);
	nanosleep(&ts, NULL);
	CHECK(!"the host did not notice");
}

static void
hang(void)
{
	struct kld_ctl m = { .kind = KLD_CTL_READY };

	CHECK(send(control, &m, sizeof(m), 0) == sizeof(m));
	/* Deaf to STOP, but not left behind when the host is gone. */
	while (recv(control, &m, sizeof(m), 0) > 0)
		continue;
}

/* Leave at step N of a normal start, everything open. */
static void
leave(int step)
{
	uint32_t relid[8];
	uint64_t pfn[8];

	if (step == 0)
		_exit(7);
	synic();
	if (step == 1)
		_exit(7);
	if (step == 2) {
		close(fds[2]);
		close(control);
		_exit(7);
	}
	offers(relid);
	if (step == 3)
		abort();
	good_pfns(pfn, 0);
	CHECK(gpadl(relid[0], 0x100, pfn, 8, 8 * PAGE) == 0);
	if (step == 4)
		_exit(7);
	CHECK(open_channel(relid[0], 0x100, 4, 60000) == 0);
	_exit(7);
}

int
main(int argc, char **argv)
{
	const char *what = getenv("FAKEKLD");

	CHECK(what != NULL);
	arrive(argc, argv);
	if (strcmp(what, "exits") == 0)
		garbage_exits();
	else if (strcmp(what, "msrs") == 0)
		all_msrs();
	else if (strcmp(what, "posts") == 0)
		garbage_posts();
	else if (strcmp(what, "rings") == 0)
		bad_rings();
	else if (strcmp(what, "noise") == 0)
		noisy_ring();
	else if (strcmp(what, "tamper") == 0)
		tamper();
	else if (strcmp(what, "hang") == 0)
		hang();
	else if (strncmp(what, "leave", 5) == 0)
		leave(atoi(what + 5));
	else
		CHECK(!"unknown scenario");
	printf("fakekld: %s done\n", what);
	return (0);
}
