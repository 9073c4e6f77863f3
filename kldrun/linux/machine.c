/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * machine.c: the virtual machine that a module sees: CPUID, MSRs, hypercalls
 * and interrupts, passed to the host process over the vCPU sockets (see
 * hvk/kld.h), or a plain machine without a hypervisor when there is no host.
 *
 * One exit at a time per vCPU (exit_lock); doorbells under doorbell_lock.
 */

#include <cpuid.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <hvk/kld.h>
#include "linux.h"

#define	MSR_HYPERCALL		0x40000001u
#define	MSR_SINT0		0x40000090u
#define	SINT_MASKED		0x10000u
#define	SINT_AUTO_EOI		0x20000u
#define	HYPERCALL_ENABLE	1u
#define	CALL_SIGNAL_EVENT	0x5du
#define	CALL_FAST		(1u << 16)
#define	STATUS_INVALID_CODE	2u
#define	NDOORBELLS		8192u

void machine_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t *regs);

bool machine_has_host;
static int ncpus_;
static int control_fd = -1;
static int vcpu_fd[KLD_MAXCPU], irq_fd[KLD_MAXCPU];
static struct kld_shared *shared;
static struct os_lock exit_lock[KLD_MAXCPU];
static pthread_rwlock_t doorbell_lock = PTHREAD_RWLOCK_INITIALIZER;
static struct doorbell {
	uint32_t id;
	int fd;			/* 0: free */
} doorbells[NDOORBELLS];
static uint64_t hypercall_page;	/* MSR value */

int
os_ncpus(void)
{
	return (ncpus_);
}

static void
host_gone(const char *what)
{
	fprintf(stderr, "kldrun: the host %s\n", what);
	_exit(KLD_EXIT_HOST);
}

/* The reply replaces the request. */
static void
exit_to_host(int cpu, struct kld_exit *e)
{
	ssize_t n;

	os_lock(&exit_lock[cpu]);
	do
		n = send(vcpu_fd[cpu], e, sizeof(*e), MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n == (ssize_t)sizeof(*e))
		do
			n = recv(vcpu_fd[cpu], e, sizeof(*e), 0);
		while (n < 0 && errno == EINTR);
	os_unlock(&exit_lock[cpu]);
	if (n != (ssize_t)sizeof(*e))
		host_gone("closed the connection");
}

void
os_cpuid(int cpu, os_u32 leaf, os_u32 subleaf, os_u32 regs[4])
{
	struct kld_exit e = { KLD_EXIT_CPUID, 0, leaf, subleaf, 0, 0 };

	if (machine_has_host) {
		exit_to_host(cpu, &e);
		regs[0] = (os_u32)e.a;
		regs[1] = (os_u32)e.b;
		regs[2] = (os_u32)e.c;
		regs[3] = (os_u32)e.d;
		return;
	}
	memset(regs, 0, 4 * sizeof(regs[0]));
	if (leaf >= 0x40000000 && leaf < 0x50000000)
		return;
	__cpuid_count(leaf, subleaf, regs[0], regs[1], regs[2], regs[3]);
	if (leaf == 1)
		regs[2] &= ~(1u << 31);		/* no hypervisor */
}

void
machine_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t *regs)
{
	os_cpuid(kld_curcpu(), leaf, subleaf, regs);
}

int
os_rdmsr(int cpu, os_u32 msr, os_u64 *value)
{
	struct kld_exit e = { KLD_EXIT_RDMSR, 0, msr, 0, 0, 0 };

	*value = 0;
	if (!machine_has_host)
		return (1);
	exit_to_host(cpu, &e);
	*value = e.b;
	return (e.fault != 0);
}

/* Jumps to kld_hypercall_entry from wherever the guest put the page. */
static void
hypercall_page_set(uint64_t value)
{
	uint64_t gpa, entry;
	uint8_t *p;

	gpa = value & ~4095ul;
	if ((hypercall_page & HYPERCALL_ENABLE) != 0) {
		p = os_guest_base() + (hypercall_page & ~4095ul);
		os_protect(p, 4096, 3);
	}
	hypercall_page = value;
	if ((value & HYPERCALL_ENABLE) == 0)
		return;
	if (gpa > os_guest_size() - 4096)
		return;
	p = os_guest_base() + gpa;
	memset(p, 0xcc, 4096);
	entry = (uint64_t)(uintptr_t)kld_hypercall_entry;
	memcpy(p, "\x48\xb8", 2);		/* movabs $entry, %rax */
	memcpy(p + 2, &entry, 8);
	memcpy(p + 10, "\xff\xe0", 2);		/* jmp *%rax */
	os_protect(p, 4096, 5);
	if (gpa >= os_guest_size() - os_low_size())
		os_protect(os_low_base() + (gpa - (os_guest_size() -
		    os_low_size())), 4096, 5);
}

/*
 * A vector whose last SINT register asked for AutoEOI: the interrupt ends by
 * itself.  Any other needs one EOI from its handler.
 */
static _Atomic bool auto_eoi[256];

static void
sint_set(uint64_t value)
{
	if ((value & SINT_MASKED) == 0)
		auto_eoi[value & 0xff] = (value & SINT_AUTO_EOI) != 0;
}

int
os_vector_auto_eoi(int vector)
{
	return (auto_eoi[vector & 0xff]);
}

int
os_wrmsr(int cpu, os_u32 msr, os_u64 value)
{
	struct kld_exit e = { KLD_EXIT_WRMSR, 0, msr, value, 0, 0 };

	if (!machine_has_host)
		return (1);
	exit_to_host(cpu, &e);
	if (e.fault == 0 && msr == MSR_HYPERCALL)
		hypercall_page_set(value);
	if (e.fault == 0 && msr >= MSR_SINT0 && msr < MSR_SINT0 + 16)
		sint_set(value);
	return (e.fault != 0);
}

static struct doorbell *
doorbell_find(uint32_t id, bool create)
{
	uint32_t i, n;

	for (i = id * 2654435761u % NDOORBELLS, n = 0; n < NDOORBELLS;
	    n++, i = (i + 1) % NDOORBELLS) {
		if (doorbells[i].fd != 0 && doorbells[i].id == id)
			return (&doorbells[i]);
		if (doorbells[i].fd == 0) {
			if (create)
				return (&doorbells[i]);
			/* A removed one keeps its id: probing goes on there */
			if (doorbells[i].id == 0)
				return (NULL);
		}
	}
	return (NULL);
}

static bool
doorbell_ring(uint32_t id)
{
	struct doorbell *d;
	uint64_t one;
	bool rung;

	one = 1;
	rung = false;
	pthread_rwlock_rdlock(&doorbell_lock);
	d = doorbell_find(id, false);
	if (d != NULL && d->fd > 0)
		rung = write(d->fd, &one, sizeof(one)) == sizeof(one);
	pthread_rwlock_unlock(&doorbell_lock);
	return (rung);
}

static void
doorbell_set(uint32_t id, int fd)
{
	struct doorbell *d;

	pthread_rwlock_wrlock(&doorbell_lock);
	d = doorbell_find(id, false);
	if (d == NULL && fd >= 0)
		d = doorbell_find(id, true);
	if (d != NULL) {
		if (d->fd > 0)
			close(d->fd);
		d->id = id;
		d->fd = fd >= 0 ? fd : 0;
	} else if (fd >= 0)
		close(fd);
	pthread_rwlock_unlock(&doorbell_lock);
}

uint64_t
kld_hypercall(uint64_t control, uint64_t input, uint64_t output)
{
	struct kld_exit e = { KLD_EXIT_HYPERCALL, 0, control, input, output,
	    0 };

	if ((control & 0xffff) == CALL_SIGNAL_EVENT &&
	    (control & CALL_FAST) != 0 && doorbell_ring((uint32_t)input))
		return (0);
	if (!machine_has_host)
		return (STATUS_INVALID_CODE);
	exit_to_host(kld_curcpu(), &e);
	return (e.d);
}

int
os_interrupt_wait(int cpu, os_u64 vectors[4])
{
	uint64_t n;
	int i;

	/* The host keeps its eventfds non-blocking, and they are its own. */
	do
		if (os_fd_poll_in(irq_fd[cpu], 0) < 0)
			return (-1);
	while (read(irq_fd[cpu], &n, sizeof(n)) != sizeof(n));
	for (i = 0; i < 4; i++)
		vectors[i] = atomic_exchange_explicit(
		    &shared->vcpu[cpu].irr[i], 0, memory_order_acquire);
	return (0);
}

/* vector -1: only wakes the interrupt thread. */
void
os_interrupt_self(int cpu, int vector)
{
	uint64_t one;

	one = 1;
	if (vector >= 0)
		atomic_fetch_or_explicit(&shared->vcpu[cpu].irr[vector / 64],
		    1ul << (vector % 64), memory_order_release);
	if (write(irq_fd[cpu], &one, sizeof(one)) != sizeof(one))
		host_gone("closed an interrupt line");
}

/* Receives one message with descriptors; the number of bytes, 0 at EOF. */
static ssize_t
receive(int fd, void *buf, size_t len, int *fds, int maxfds, int *nfds)
{
	union {
		struct cmsghdr h;
		char room[CMSG_SPACE(sizeof(int) * KLD_MAXFDS)];
	} c;
	struct iovec iov = { buf, len };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1,
	    .msg_control = &c, .msg_controllen = sizeof(c) };
	struct cmsghdr *h;
	ssize_t n;

	do
		n = recvmsg(fd, &m, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	*nfds = 0;
	if (n <= 0)
		return (n);
	for (h = CMSG_FIRSTHDR(&m); h != NULL; h = CMSG_NXTHDR(&m, h))
		if (h->cmsg_level == SOL_SOCKET &&
		    h->cmsg_type == SCM_RIGHTS) {
			*nfds = (int)((h->cmsg_len - CMSG_LEN(0)) /
			    sizeof(int));
			if (*nfds > maxfds)
				*nfds = maxfds;
			memcpy(fds, CMSG_DATA(h), (size_t)*nfds * sizeof(int));
		}
	return (n);
}

static void *
control_main(void *arg)
{
	struct kld_ctl c;
	int fd, nfds;
	ssize_t n;

	(void)arg;
	os_thread_name("host control");
	for (;;) {
		n = receive(control_fd, &c, sizeof(c), &fd, 1, &nfds);
		if (n != (ssize_t)sizeof(c))
			host_gone("closed the connection");
		switch (c.kind) {
		case KLD_CTL_DOORBELL:
			doorbell_set((uint32_t)c.a, nfds > 0 ? fd : -1);
			break;
		case KLD_CTL_STOP:
			main_stop();
			break;
		case KLD_CTL_NMI:
			if (kld_thread_spawn(kld_nmi, NULL, "nmi") != 0)
				fputs("kldrun: no thread for an NMI\n",
				    stderr);
			break;
		default:
			fprintf(stderr, "kldrun: the host sent a control "
			    "message of unknown kind %u\n", c.kind);
		}
	}
	return (NULL);
}

int
machine_join(int vmfd)
{
	int fds[KLD_MAXFDS], i, n, nfds;
	struct kld_hello h;
	pthread_t t;

	n = (int)receive(vmfd, &h, sizeof(h), fds, KLD_MAXFDS, &nfds);
	if (n != (int)sizeof(h) || h.magic != KLD_MAGIC ||
	    h.version != KLD_VERSION) {
		fprintf(stderr, "kldrun: descriptor %d is not a host of "
		    "protocol version %u\n", vmfd, KLD_VERSION);
		return (-1);
	}
	if (h.ncpus == 0 || h.ncpus > KLD_MAXCPU ||
	    nfds != (int)(2 + 2 * h.ncpus)) {
		fprintf(stderr, "kldrun: the host offers %u CPUs with %d "
		    "descriptors\n", h.ncpus, nfds);
		return (-1);
	}
	ncpus_ = (int)h.ncpus;
	for (i = 0; i < ncpus_; i++) {
		vcpu_fd[i] = fds[2 + i];
		irq_fd[i] = fds[2 + ncpus_ + i];
	}
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
	    MAP_SHARED, fds[1], 0);
	if (shared == MAP_FAILED || mem_init(fds[0], h.mem_size) != 0) {
		fprintf(stderr, "kldrun: cannot map what the host shares\n");
		return (-1);
	}
	close(fds[0]);
	close(fds[1]);
	machine_has_host = true;
	control_fd = vmfd;
	if (pthread_create(&t, NULL, control_main, NULL) != 0)
		return (-1);
	pthread_detach(t);
	return (0);
}

int
machine_standalone(int ncpus, uint64_t mem_size)
{
	int fd, i;

	ncpus_ = ncpus;
	for (i = 0; i < ncpus; i++)
		if ((irq_fd[i] = eventfd(0, EFD_CLOEXEC)) < 0)
			return (-1);
	shared = os_reserve(sizeof(*shared));
	fd = memfd_create("kldrun", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, (off_t)mem_size) != 0 ||
	    mem_init(fd, mem_size) != 0) {
		fprintf(stderr, "kldrun: cannot make guest memory: %m\n");
		return (-1);
	}
	close(fd);
	return (0);
}

static void
control_send(uint32_t kind, uint64_t a)
{
	struct kld_ctl c = { kind, 0, a, 0 };

	if (control_fd >= 0)
		(void)!send(control_fd, &c, sizeof(c), MSG_NOSIGNAL);
}

void
machine_ready(void)
{
	control_send(KLD_CTL_READY, 0);
}

void
os_guest_ends(int restart)
{
	control_send(KLD_CTL_ENDS, restart ? 1 : 0);
	main_stop();
}

void
machine_exit(int status)
{
	control_send(KLD_CTL_EXIT, (uint64_t)status);
}
