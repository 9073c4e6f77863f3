/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * A guest that misbehaves: speaks the protocol of <hvk/kld.h> in kldrun's
 * place and does to the host what FAKEKLD names.  Ends with 0 if the host
 * answered as it should, with 1 and a line that says what was wrong if not.
 * Used by hostile_test.c.
 */
#include <sys/mman.h>
#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <hvk/kld.h>

#define	CHECK(x) do {							\
	if (!(x)) {							\
		printf("fakekld: %s:%d: %s\n", __func__, __LINE__, #x);	\
		fflush(stdout);						\
		_exit(1);						\
	}								\
} while (0)

enum { PAGE = 4096, HCALL = 1, SIEFP, SIMP, INPUT, RINGS = 16 };
#define	VERSION_6_0	0x60000u

static struct kld_hello hello;
static int fds[KLD_MAXFDS];
static uint8_t *mem;
static int control;

static uint64_t
exit_call(uint32_t cpu, uint32_t kind, uint64_t a, uint64_t b, uint64_t c,
    struct kld_exit *e)
{
	struct pollfd pfd = { .fd = fds[2 + cpu], .events = POLLIN };

	memset(e, 0, sizeof(*e));
	e->kind = kind;
	e->a = a;
	e->b = b;
	e->c = c;
	CHECK(send(pfd.fd, e, sizeof(*e), MSG_NOSIGNAL) == sizeof(*e));
	CHECK(poll(&pfd, 1, 5000) == 1);
	CHECK(recv(pfd.fd, e, sizeof(*e), 0) == sizeof(*e));
	return (kind == KLD_EXIT_HYPERCALL ? e->d : e->b);
}

static bool
wrmsr(uint32_t msr, uint64_t value)
{
	struct kld_exit e;

	exit_call(0, KLD_EXIT_WRMSR, msr, value, 0, &e);
	return (e.fault == 0);
}

static uint64_t
post(uint32_t conn, const void *payload, uint32_t len)
{
	struct kld_exit e;
	uint8_t *in = mem + INPUT * PAGE;
	uint32_t head[4] = { conn, 0, 1, len };

	memcpy(in, head, sizeof(head));
	memcpy(in + 16, payload, len < 240 ? len : 240);
	return (exit_call(0, KLD_EXIT_HYPERCALL, 0x5c, INPUT * PAGE, 0, &e) &
	    0xffff);
}

/* Wait for a control message of this type; others are dropped. */
static bool
receive(uint32_t type, uint32_t msg[60], int ms)
{
	volatile uint32_t *slot = (void *)(mem + SIMP * PAGE + 2 * 256);
	struct timespec ts = { 0, 1000000 };
	bool pending;

	for (; ms > 0; ms--) {
		if (slot[0] == 0) {
			nanosleep(&ts, NULL);
			continue;
		}
		memcpy(msg, (void *)(uintptr_t)&slot[4], 240);
		pending = (slot[1] & 0x100) != 0;
		__atomic_store_n(&slot[0], 0, __ATOMIC_SEQ_CST);
		if (pending || (slot[1] & 0x100) != 0)
			CHECK(wrmsr(0x40000084, 0));
		if (msg[0] == type)
			return (true);
	}
	return (false);
}

static void
synic(void)
{

	CHECK(wrmsr(0x40000000, 0x8200000000000001ull));
	CHECK(wrmsr(0x40000001, HCALL * PAGE | 1));
	CHECK(wrmsr(0x40000082, SIEFP * PAGE | 1));
	CHECK(wrmsr(0x40000083, SIMP * PAGE | 1));
	CHECK(wrmsr(0x40000092, 0x50));
	CHECK(wrmsr(0x40000080, 1));
}

static uint32_t conn = 4;

static void
contact(void)
{
	uint32_t m[60] = { 14, 0, VERSION_6_0, 0, 2 };

	CHECK(post(4, m, 40) == 0);
	/* Answers to what was garbage may come first. */
	do {
		CHECK(receive(15, m, 3000));
	} while ((m[2] & 0xff) == 0);
	conn = m[3];
}

/* Connect and ask for offers: relids of what is offered. */
static unsigned
offers(uint32_t relid[8])
{
	uint32_t m[60] = { 3 };
	unsigned n = 0;

	contact();
	CHECK(post(conn, m, 8) == 0);
	while (receive(1, m, 300))
		if (n < 8)
			relid[n++] = m[46];
	CHECK(n > 0);
	return (n);
}

static uint32_t
gpadl(uint32_t relid, uint32_t id, const uint64_t *pfn, uint32_t n,
    uint32_t len)
{
	uint32_t m[60] = { 8, 0, relid, id, (8 + 8 * n) | 1u << 16, len, 0 };

	memcpy(&m[7], pfn, 8 * n);
	CHECK(post(conn, m, 28 + 8 * n) == 0);
	CHECK(receive(10, m, 3000));
	CHECK(m[2] == relid && m[3] == id);
	return (m[4]);
}

/* Status of the open, or 0xffffffff if there was no answer. */
static uint32_t
open_channel(uint32_t relid, uint32_t id, uint32_t offset, int ms)
{
	uint32_t m[60] = { 5, 0, relid, relid, id, 0, offset };

	CHECK(post(conn, m, 148) == 0);
	return (receive(6, m, ms) ? m[4] : UINT32_MAX);
}

static void
good_pfns(uint64_t pfn[8], unsigned set)
{
	unsigned i;

	for (i = 0; i < 8; i++)
		pfn[i] = RINGS + 8 * set + i;
	memset(mem + pfn[0] * PAGE, 0, 8 * PAGE);
}

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
	CHECK(poll(&pfd, 1, 5000) == 1);
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
	CHECK(open_channel(relid[0], 0x101, 1, 1000) != 0);
	CHECK(open_channel(relid[0], 0x101, 7, 1000) != 0);
	CHECK(open_channel(relid[0], 0x101, 0xffffffff, 1000) != 0);
	CHECK(open_channel(relid[0], 0x999, 4, 1000) != 0);
	/* Indices out of range. */
	memcpy(mem + pfn[0] * PAGE, idx, sizeof(idx));
	CHECK(open_channel(relid[0], 0x101, 4, 1000) != 0);
	/* The other channel works all the same. */
	good_pfns(pfn, 1);
	CHECK(gpadl(relid[1], 0x200, pfn, 8, 8 * PAGE) == 0);
	CHECK(open_channel(relid[1], 0x200, 4, 3000) == 0);
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
	CHECK(open_channel(relid[0], 0x100, 4, 3000) == 0);
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
	CHECK(gpadl(relid[n - 1], 0x200, pfn, 8, 8 * PAGE) == 0);
	if (n > 1)
		CHECK(open_channel(relid[1], 0x200, 4, 3000) == 0);
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
	CHECK(open_channel(relid[0], 0x100, 4, 3000) == 0);
	_exit(7);
}

static void
greet(void)
{
	union {
		struct cmsghdr	hdr;
		char		buf[CMSG_SPACE(sizeof(fds))];
	} c;
	struct iovec iov = { &hello, sizeof(hello) };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1,
	    .msg_control = &c, .msg_controllen = sizeof(c) };

	CHECK(recvmsg(control, &mh, 0) == sizeof(hello));
	CHECK(hello.magic == KLD_MAGIC && hello.version == KLD_VERSION);
	CHECK(CMSG_FIRSTHDR(&mh) != NULL);
	CHECK(c.hdr.cmsg_len == CMSG_LEN(sizeof(int) *
	    (2 + 2 * hello.ncpus)));
	memcpy(fds, CMSG_DATA(&c.hdr), c.hdr.cmsg_len - CMSG_LEN(0));
	mem = mmap(NULL, hello.mem_size, PROT_READ | PROT_WRITE, MAP_SHARED,
	    fds[0], 0);
	CHECK(mem != MAP_FAILED);
}

int
main(int argc, char **argv)
{
	const char *what = getenv("FAKEKLD");
	int i;

	for (i = 1; i + 1 < argc; i++)
		if (strcmp(argv[i], "--vm-fd") == 0)
			control = atoi(argv[i + 1]);
	CHECK(what != NULL && control > 2);
	srandom(1);
	greet();
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
