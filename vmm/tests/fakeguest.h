/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * A guest's lower half in kldrun's place, for guests of tests (fakekld.c,
 * fakenet.c): the hello, exits, the SynIC's message slot, control messages.
 * It stops the program at the first thing that is not as it should be.
 * One thread, no locks; the protocol is that of <hvk/kld.h>.
 */
#ifndef _FAKEGUEST_H_
#define	_FAKEGUEST_H_

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

/* The file with main() defines FAKEGUEST_MAIN. */
extern struct kld_hello hello;
extern int fds[KLD_MAXFDS];
extern uint8_t *mem;
extern int control;
extern uint32_t conn;
#ifdef FAKEGUEST_MAIN
struct kld_hello hello;
int fds[KLD_MAXFDS];
uint8_t *mem;
int control;
uint32_t conn = 4;
#endif

static inline uint64_t
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
	CHECK(poll(&pfd, 1, 60000) == 1);
	CHECK(recv(pfd.fd, e, sizeof(*e), 0) == sizeof(*e));
	return (kind == KLD_EXIT_HYPERCALL ? e->d : e->b);
}

static inline bool
wrmsr(uint32_t msr, uint64_t value)
{
	struct kld_exit e;

	exit_call(0, KLD_EXIT_WRMSR, msr, value, 0, &e);
	return (e.fault == 0);
}

static inline uint64_t
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

/* Wait for a control message of either type; others are dropped. */
static inline bool
receive_either(uint32_t type, uint32_t other, uint32_t msg[60], int ms)
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
		if (msg[0] == type || msg[0] == other)
			return (true);
	}
	return (false);
}

static inline bool
receive(uint32_t type, uint32_t msg[60], int ms)
{

	return (receive_either(type, type, msg, ms));
}

static inline void
synic(void)
{

	CHECK(wrmsr(0x40000000, 0x8200000000000001ull));
	CHECK(wrmsr(0x40000001, HCALL * PAGE | 1));
	CHECK(wrmsr(0x40000082, SIEFP * PAGE | 1));
	CHECK(wrmsr(0x40000083, SIMP * PAGE | 1));
	CHECK(wrmsr(0x40000092, 0x50));
	CHECK(wrmsr(0x40000080, 1));
}

static inline void
contact(void)
{
	uint32_t m[60] = { 14, 0, VERSION_6_0, 0, 2 };

	CHECK(post(4, m, 40) == 0);
	/* Answers to what was garbage may come first. */
	do {
		CHECK(receive(15, m, 60000));
	} while ((m[2] & 0xff) == 0);
	conn = m[3];
}

/* Connect and ask for offers: relids of what is offered. */
static inline unsigned
offers(uint32_t relid[8])
{
	uint32_t m[60] = { 3 };
	unsigned n = 0;

	contact();
	CHECK(post(conn, m, 8) == 0);
	/* The last of them is followed by a word (4) that says so. */
	while (receive_either(1, 4, m, 60000) && m[0] == 1)
		if (n < 8)
			relid[n++] = m[46];
	CHECK(n > 0);
	return (n);
}

static inline uint32_t
gpadl(uint32_t relid, uint32_t id, const uint64_t *pfn, uint32_t n,
    uint32_t len)
{
	uint32_t m[60] = { 8, 0, relid, id, (8 + 8 * n) | 1u << 16, len, 0 };

	memcpy(&m[7], pfn, 8 * n);
	CHECK(post(conn, m, 28 + 8 * n) == 0);
	CHECK(receive(10, m, 60000));
	CHECK(m[2] == relid && m[3] == id);
	return (m[4]);
}

/* Status of the open, or 0xffffffff if there was no answer. */
static inline uint32_t
open_channel(uint32_t relid, uint32_t id, uint32_t offset, int ms)
{
	uint32_t m[60] = { 5, 0, relid, relid, id, 0, offset };

	CHECK(post(conn, m, 148) == 0);
	return (receive(6, m, ms) ? m[4] : UINT32_MAX);
}

static inline void
good_pfns(uint64_t pfn[8], unsigned set)
{
	unsigned i;

	for (i = 0; i < 8; i++)
		pfn[i] = RINGS + 8 * set + i;
	memset(mem + pfn[0] * PAGE, 0, 8 * PAGE);
}

static inline void
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

/* Takes the socket's number out of the arguments, and the hello. */
static inline void
arrive(int argc, char **argv)
{
	int i;

	for (i = 1; i + 1 < argc; i++)
		if (strcmp(argv[i], "--vm-fd") == 0)
			control = atoi(argv[i + 1]);
	CHECK(control > 2);
	srandom(1);
	greet();
}

#endif /* _FAKEGUEST_H_ */
