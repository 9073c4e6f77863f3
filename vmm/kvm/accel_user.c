/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * Accelerator "user": the model in user space, on any KVM.  Every access to
 * Hyper-V's registers exits; the hypercall page is a stub of ours that writes
 * to an I/O port, which exits on every processor there is; interrupts are
 * messages to the local APIC.
 *
 * An interrupt that ends itself (AutoEOI) must not stay in service in the local
 * APIC, and KVM's has no such kind: it is put into the processor directly,
 * when the guest can take one.  When it cannot, a timer has another look.
 *
 * Source of facts: hosts.md section 0; Linux's Documentation/virt/kvm/api.rst,
 * KVM_SET_VCPU_EVENTS.
 */
#include <sys/ioctl.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <hvk/wire/hv.h>

#include "kvm.h"

#define	CALL_PORT	0xe4u
#define	SIGNAL_PORT	0xe5u
#define	HV_MSRS		0x200u
#define	MSI_ADDRESS	0xfee00000u
#define	AGAIN_NS	100000
#define	RFLAGS_IF	0x200u
#define	EFER_LMA	0x400u

#ifndef sigev_notify_thread_id
#define	sigev_notify_thread_id	_sigev_un._tid
#endif

/* out $CALL_PORT, %eax; ret: the same bytes in every mode. */
static const uint8_t stub[] = { 0xe7, CALL_PORT, 0xc3 };

/*
 * For 64 bits: SIGNAL_EVENT, by far the most frequent call, writes its
 * connection to a port of its own, where KVM itself wakes the channel's worker
 * (ioeventfd).  Only for a connection without one does it exit.
 */
static const uint8_t stub64[] = {
	0x48, 0x81, 0xf9, 0x5d, 0x00, 0x01, 0x00, /* cmp $0x1005d, %rcx */
	0x75, 0x10,			/* jne 1f */
	0x48, 0x89, 0xd0,		/* mov %rdx, %rax */
	0x48, 0xc1, 0xe8, 0x20,		/* shr $32, %rax */
	0x75, 0x07,			/* jne 1f */
	0x89, 0xd0,			/* mov %edx, %eax */
	0xe7, SIGNAL_PORT,		/* out %eax, $SIGNAL_PORT */
	0x31, 0xc0,			/* xor %eax, %eax */
	0xc3,				/* ret */
	0xe7, CALL_PORT,		/* 1: out %eax, $CALL_PORT */
	0xc3,				/* ret */
};
#define	STUB_OUT	0x14u
#define	STUB_RET	0x18u

static void
enlighten(struct kvm_machine *m, struct vmm_enlighten *e)
{

	e->apic_hz = 1000000000u;	/* KVM's */
	e->stimers = m->conf.stimers;
	e->no_tsc = !m->conf.trust_tsc && !kvm_host_tsc_invariant();
}

static int
setup_vm(struct kvm_machine *m)
{

	static const struct kvm_span all = { HVK_MSR_GUEST_OS_ID, HV_MSRS };

	return (kvm_filter_msrs(m, &all, 1));
}

static int
setup_vcpu(struct kvm_vcpu *v)
{

	(void)v;
	return (0);
}

static void
interrupt(struct kvm_machine *m, const struct hvk_hv_irq *irq)
{
	struct kvm_vcpu *v = &m->vcpu[irq->vp];
	struct kvm_msi msi = {
		.address_lo = MSI_ADDRESS | irq->vp << 12,
		.data = irq->vector,
	};

	if (irq->auto_eoi) {
		atomic_fetch_or(&v->self_eoi[irq->vector / 64],
		    1ull << irq->vector % 64);
		kvm_request(v, REQ_IRQ);
		return;
	}
	pthread_mutex_lock(&m->vm_lock);
	if (m->vm_fd >= 0)
		(void)ioctl(m->vm_fd, KVM_SIGNAL_MSI, &msi);
	pthread_mutex_unlock(&m->vm_lock);
}

static int
ioeventfd(struct kvm_machine *m, uint32_t connection, int fd, uint32_t flags)
{
	struct kvm_ioeventfd e = {
		.datamatch = connection,
		.addr = SIGNAL_PORT,
		.len = 4,
		.fd = fd,
		.flags = KVM_IOEVENTFD_FLAG_PIO |
		    KVM_IOEVENTFD_FLAG_DATAMATCH | flags,
	};

	if (m->vm_fd < 0)
		return (-EBADF);
	return (ioctl(m->vm_fd, KVM_IOEVENTFD, &e) != 0 ? -errno : 0);
}

/* To take one away KVM wants to know its descriptor again. */
static int
doorbell(struct kvm_machine *m, uint32_t connection, int fd)
{
	struct kvm_bell *b, *free_one = NULL, *mine = NULL;
	int error = -ENOENT;
	uint32_t i;

	pthread_mutex_lock(&m->vm_lock);
	for (i = 0; i < KVM_BELLS; i++) {
		b = &m->bell[i];
		if (b->used && b->connection == connection)
			mine = b;
		else if (!b->used && free_one == NULL)
			free_one = b;
	}
	if (mine != NULL) {
		error = ioeventfd(m, connection, mine->fd,
		    KVM_IOEVENTFD_FLAG_DEASSIGN);
		mine->used = false;
		free_one = mine;
	}
	if (fd >= 0) {
		/* Without one the signal exits, and the bus finds it. */
		error = free_one == NULL ? -ENOSPC :
		    ioeventfd(m, connection, fd, 0);
		if (error == 0)
			*free_one = (struct kvm_bell){ true, connection, fd };
	}
	pthread_mutex_unlock(&m->vm_lock);
	return (error);
}

/* Whoever enables the page will call it in the mode it is in now. */
static bool
long_mode(void)
{
	struct kvm_sregs s;

	return (kvm_self != NULL && ioctl(kvm_self->fd, KVM_GET_SREGS,
	    &s) == 0 && (s.efer & EFER_LMA) != 0 && s.cs.l != 0);
}

static void
hypercall_page(struct kvm_machine *m, uint64_t gpa)
{
	void *page = guest_mem_view(&m->mem, gpa, VMM_PAGE);

	if (page == NULL)
		return;
	if (long_mode())
		memcpy(page, stub64, sizeof(stub64));
	else
		memcpy(page, stub, sizeof(stub));
}

/* ---- interrupts that end themselves */

static int
highest(struct kvm_vcpu *v)
{
	uint64_t word;
	int i;

	for (i = 3; i >= 0; i--) {
		word = atomic_load(&v->self_eoi[i]);
		if (word != 0)
			return (i * 64 + 63 - __builtin_clzll(word));
	}
	return (-1);
}

static void
look_again(struct kvm_vcpu *v)
{
	struct itimerspec it = { .it_value = { 0, AGAIN_NS } };
	struct sigevent ev;

	if (!v->has_timer) {
		memset(&ev, 0, sizeof(ev));
		ev.sigev_notify = SIGEV_THREAD_ID;
		ev.sigev_signo = KVM_KICK;
		ev.sigev_notify_thread_id = (pid_t)syscall(SYS_gettid);
		if (timer_create(CLOCK_MONOTONIC, &ev, &v->again) != 0)
			return;
		v->has_timer = true;
	}
	timer_settime(v->again, 0, &it, NULL);
}

static void
before(struct kvm_vcpu *v)
{
	struct kvm_mp_state mp;
	struct kvm_vcpu_events e;
	struct kvm_regs r;
	int vector = highest(v);

	if (vector < 0)
		return;
	if (ioctl(v->fd, KVM_GET_MP_STATE, &mp) != 0 ||
	    (mp.mp_state != KVM_MP_STATE_RUNNABLE &&
	    mp.mp_state != KVM_MP_STATE_HALTED))
		return;
	if (ioctl(v->fd, KVM_GET_VCPU_EVENTS, &e) != 0 ||
	    ioctl(v->fd, KVM_GET_REGS, &r) != 0)
		return;
	if ((r.rflags & RFLAGS_IF) == 0 || e.interrupt.injected ||
	    e.interrupt.shadow != 0 || e.exception.injected ||
	    e.exception.pending || e.nmi.injected ||
	    (uint64_t)vector >> 4 <= v->run->cr8) {
		look_again(v);
		return;
	}
	e.interrupt.injected = 1;
	e.interrupt.nr = (uint8_t)vector;
	e.interrupt.soft = 0;
	e.flags = 0;
	if (ioctl(v->fd, KVM_SET_VCPU_EVENTS, &e) != 0)
		return;
	atomic_fetch_and(&v->self_eoi[vector / 64],
	    ~(1ull << vector % 64));
	if (mp.mp_state == KVM_MP_STATE_HALTED) {
		mp.mp_state = KVM_MP_STATE_RUNNABLE;
		(void)ioctl(v->fd, KVM_SET_MP_STATE, &mp);
	}
	if (highest(v) >= 0)
		look_again(v);
}

/* ---- hypercalls */

static void
full_call(struct kvm_vcpu *v, struct kvm_regs *r, const struct kvm_sregs *s)
{
	uint64_t control, input, output, result;

	if ((s->efer & EFER_LMA) != 0 && s->cs.l != 0) {
		r->rax = vmm_bus_hypercall(v->m->bus, v->index, r->rcx,
		    r->rdx, r->r8);
		return;
	}
	control = (r->rdx << 32) | (uint32_t)r->rax;
	input = (r->rbx << 32) | (uint32_t)r->rcx;
	output = (r->rdi << 32) | (uint32_t)r->rsi;
	result = vmm_bus_hypercall(v->m->bus, v->index, control, input,
	    output);
	r->rdx = result >> 32;
	r->rax = (uint32_t)result;
}

/* A signal that KVM did not take: its status, and over the stub's "xor". */
static void
signal_call(struct kvm_vcpu *v, struct kvm_regs *r)
{
	uint64_t offset = r->rip % VMM_PAGE;

	/* KVM may or may not have gone on to the next instruction. */
	if (offset != STUB_OUT && offset != STUB_OUT + 2)
		return;
	r->rax = vmm_bus_hypercall(v->m->bus, v->index, HVK_HC_SIGNAL_EVENT |
	    HVK_HC_FAST, (uint32_t)r->rax, 0);
	r->rip = r->rip - offset + STUB_RET;
}

static bool
accel_exit(struct kvm_vcpu *v)
{
	struct kvm_run *run = v->run;
	struct kvm_sregs s;
	struct kvm_regs r;

	if (run->exit_reason != KVM_EXIT_IO ||
	    (run->io.port != CALL_PORT && run->io.port != SIGNAL_PORT) ||
	    run->io.direction != KVM_EXIT_IO_OUT || run->io.size != 4)
		return (false);
	if (ioctl(v->fd, KVM_GET_REGS, &r) != 0 ||
	    ioctl(v->fd, KVM_GET_SREGS, &s) != 0)
		return (true);
	/* Only a kernel calls; anybody else has written to an empty port. */
	if (s.ss.dpl != 0)
		return (true);
	if (run->io.port == CALL_PORT)
		full_call(v, &r, &s);
	else
		signal_call(v, &r);
	(void)ioctl(v->fd, KVM_SET_REGS, &r);
	return (true);
}

const struct kvm_accel kvm_accel_user = {
	.name = "user",
	.enlighten = enlighten,
	.vm = setup_vm,
	.vcpu = setup_vcpu,
	.interrupt = interrupt,
	.doorbell = doorbell,
	.hypercall_page = hypercall_page,
	.before = before,
	.exit = accel_exit,
};
