/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * How hvk and kldrun share one machine: the only interface between the two
 * programs.  hvk makes guest memory, the interrupt words and the sockets, and
 * execs kldrun with `--vm-fd N`, N being one end of a SOCK_SEQPACKET pair (the
 * control socket).  The first message, host to kldrun, is a struct kld_hello
 * that carries by SCM_RIGHTS, in this order:
 *
 *	fd[0]			memfd of guest memory: guest physical 0..mem_size
 *	fd[1]			memfd of struct kld_shared
 *	fd[2 .. 2+ncpus-1]	one SOCK_SEQPACKET socket per virtual processor
 *	fd[2+ncpus ..]		one interrupt eventfd per virtual processor
 *
 * Both sides are built together, for the same machine: native byte order.
 * The host treats everything that arrives here as hostile.
 */
#ifndef _HVK_KLD_H_
#define	_HVK_KLD_H_

#include <stdatomic.h>
#include <stdint.h>

#define	KLD_MAGIC	0x4b4c4448u
#define	KLD_VERSION	1u
#define	KLD_MAXCPU	64u	/* virtual processors; struct kld_shared */
#define	KLD_MAXFDS	(2u + 2u * KLD_MAXCPU)

/* SCM_MAX_FD of Linux is 253: all descriptors fit in one message. */
struct kld_hello {
	uint32_t	magic;
	uint32_t	version;
	uint32_t	ncpus;
	uint32_t	flags;		/* 0 */
	uint64_t	mem_size;	/* bytes, multiple of 4096 */
};

/*
 * Interrupts.  The host sets the vector's bit (atomic OR, release) and, if it
 * was clear, writes 1 to the processor's eventfd; kldrun's interrupt thread of
 * that processor takes the words (atomic exchange, acquire) and runs the
 * handler of each vector.
 */
struct kld_shared {
	struct {
		_Atomic uint64_t	irr[4];	/* 256 vectors */
		uint8_t			pad[32];
	} vcpu[KLD_MAXCPU];
};

/*
 * Exits: one synchronous request and reply of the same struct on the virtual
 * processor's socket (kldrun serialises them per processor).
 *
 *	CPUID		a=leaf b=subleaf -> a,b,c,d = eax,ebx,ecx,edx
 *	RDMSR		a=msr -> b=value
 *	WRMSR		a=msr b=value
 *	HYPERCALL	a=control (rcx) b=input (rdx) c=output (r8) -> d=result
 *
 * When a WRMSR enables the hypercall page, kldrun itself fills the guest's
 * page with its stub, after the host accepted the write.
 */
enum kld_exit_kind {
	KLD_EXIT_CPUID = 1,
	KLD_EXIT_RDMSR,
	KLD_EXIT_WRMSR,
	KLD_EXIT_HYPERCALL,
};

struct kld_exit {
	uint32_t	kind;
	uint32_t	fault;		/* reply: 1 = #GP */
	uint64_t	a;
	uint64_t	b;
	uint64_t	c;
	uint64_t	d;
};

/*
 * The control socket after the hello.  A DOORBELL with an eventfd (SCM_RIGHTS)
 * tells kldrun to write 1 to it when the guest does SIGNAL_EVENT on connection
 * id `a`; a DOORBELL without one removes it, and SIGNAL_EVENT on an id without
 * a doorbell is an exit.
 */
enum kld_ctl_kind {
	/* host to kldrun */
	KLD_CTL_DOORBELL = 1,	/* a = connection id */
	KLD_CTL_STOP,		/* detach, unload, report leaks, exit */
	KLD_CTL_NMI,
	/* kldrun to host */
	KLD_CTL_READY = 16,	/* booted, modules attached */
	KLD_CTL_EXIT,		/* a = exit status */
	KLD_CTL_ENDS,		/* by itself; a = 1: it wants a restart */
};

struct kld_ctl {
	uint32_t	kind;
	uint32_t	pad;
	uint64_t	a;
	uint64_t	b;
};

_Static_assert(sizeof(struct kld_hello) == 24, "kld_hello");
_Static_assert(sizeof(struct kld_shared) == 64 * KLD_MAXCPU, "kld_shared");
_Static_assert(sizeof(struct kld_exit) == 40, "kld_exit");
_Static_assert(sizeof(struct kld_ctl) == 24, "kld_ctl");

#endif /* _HVK_KLD_H_ */
