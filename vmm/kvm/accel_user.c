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

	return (kvm_filter_msrs(m, HVK_MSR_GUEST_OS_ID, HV_MSRS));
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

/* A signal comes as an exit, and the bus finds its channel. */
static int
doorbell(struct kvm_machine *m, uint32_t connection, int fd)
{

	(void)m;
	(void)connection;
	(void)fd;
	return (-ENOSYS);
}

static void
hypercall_page(struct kvm_machine *m, uint64_t gpa)
{
	void *page = guest_mem_view(&m->mem, gpa, sizeof(stub));

	if (page != NULL)
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

static bool
accel_exit(struct kvm_vcpu *v)
{
	struct kvm_run *run = v->run;
	uint64_t control, input, output, result;
	struct kvm_sregs s;
	struct kvm_regs r;
	bool wide;

	if (run->exit_reason != KVM_EXIT_IO || run->io.port != CALL_PORT ||
	    run->io.direction != KVM_EXIT_IO_OUT)
		return (false);
	if (ioctl(v->fd, KVM_GET_REGS, &r) != 0 ||
	    ioctl(v->fd, KVM_GET_SREGS, &s) != 0)
		return (true);
	/* Only a kernel calls; anybody else has written to an empty port. */
	if (s.ss.dpl != 0)
		return (true);
	wide = (s.efer & EFER_LMA) != 0 && s.cs.l != 0;
	if (wide) {
		control = r.rcx;
		input = r.rdx;
		output = r.r8;
	} else {
		control = (r.rdx << 32) | (uint32_t)r.rax;
		input = (r.rbx << 32) | (uint32_t)r.rcx;
		output = (r.rdi << 32) | (uint32_t)r.rsi;
	}
	result = vmm_bus_hypercall(v->m->bus, v->index, control, input,
	    output);
	if (wide)
		r.rax = result;
	else {
		r.rdx = result >> 32;
		r.rax = (uint32_t)result;
	}
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
