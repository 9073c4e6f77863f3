/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * Accelerator "kernel": KVM's own SynIC, synthetic timers, reference time and
 * hypercall page.  KVM tells where the guest put its pages (the model is given
 * that by vmm_bus_mirror), hands out POST_MESSAGE, and raises a SINT by a GSI
 * of its own.  The crash registers are taken from it, since it forgets the
 * text.
 *
 * Message pages: KVM writes timer messages there on the processor's thread, so
 * ours are written by the same thread (`owner`).
 *
 * Source of facts: Linux's Documentation/virt/kvm/api.rst, KVM_EXIT_HYPERV and
 * KVM_HYPERV_EVENTFD; hosts.md section 2.6.
 */
#include <sys/ioctl.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <hvk/wire/hv.h>

#include "kvm.h"

#define	GSI_FIRST	64u		/* SINT s of processor n: + 16 n + s */
#define	CRASH_MSRS	6u

static void
enlighten(struct kvm_machine *m, struct vmm_enlighten *e)
{

	e->apic_hz = 1000000000u;	/* KVM's */
	e->stimers = m->conf.stimers;	/* KVM runs them, we only say so */
	e->apic_msrs = true;
	e->vp_runtime = true;
	/* TLB flush and interrupts by hypercall, which KVM does itself. */
	e->processor_calls = ioctl(m->sys_fd, KVM_CHECK_EXTENSION,
	    KVM_CAP_HYPERV_TLBFLUSH) > 0 && ioctl(m->sys_fd,
	    KVM_CHECK_EXTENSION, KVM_CAP_HYPERV_SEND_IPI) > 0;
}

static uint32_t
gsi(uint32_t vp, uint32_t sint)
{

	return (GSI_FIRST + vp * HVK_HV_SINTS + sint);
}

static void
routes(struct kvm_machine *m, struct kvm_irq_routing *t)
{
	struct kvm_irq_routing_entry *e;
	uint32_t i;

	for (i = 0; i < m->conf.ncpus * HVK_HV_SINTS; i++) {
		e = &t->entries[t->nr++];
		e->gsi = GSI_FIRST + i;
		e->type = KVM_IRQ_ROUTING_HV_SINT;
		e->u.hv_sint.vcpu = i / HVK_HV_SINTS;
		e->u.hv_sint.sint = i % HVK_HV_SINTS;
	}
}

static int
setup_vm(struct kvm_machine *m)
{

	/* KVM keeps the first, and the text is lost; it has no second. */
	static const struct kvm_span ours[] = {
		{ HVK_MSR_CRASH_P0, CRASH_MSRS },
		{ HVK_MSR_GUEST_IDLE, 1 },
	};

	/* Linux before 5.10 filters nothing. */
	if (kvm_filter_msrs(m, ours, 2) != 0)
		m->machine.enlighten.guest_idle = false;
	return (0);
}

static int
setup_vcpu(struct kvm_vcpu *v)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_HYPERV_SYNIC2 };

	if (ioctl(v->fd, KVM_ENABLE_CAP, &cap) != 0)
		return (-errno);
	return (0);
}

static void
interrupt(struct kvm_machine *m, const struct hvk_hv_irq *irq)
{
	struct kvm_irq_level l = { .level = 1 };

	if (irq->sint >= HVK_HV_SINTS)
		return;
	l.irq = gsi(irq->vp, irq->sint);
	pthread_mutex_lock(&m->vm_lock);
	/* Fails when the SINT is masked: then nothing is to be raised. */
	if (m->vm_fd >= 0)
		(void)ioctl(m->vm_fd, KVM_IRQ_LINE, &l);
	pthread_mutex_unlock(&m->vm_lock);
}

static int
doorbell(struct kvm_machine *m, uint32_t connection, int fd)
{
	struct kvm_hyperv_eventfd e = { .conn_id = connection, .fd = fd };
	int error = 0;

	if (fd < 0)
		e.flags = KVM_HYPERV_EVENTFD_DEASSIGN;
	pthread_mutex_lock(&m->vm_lock);
	if (m->vm_fd < 0 || ioctl(m->vm_fd, KVM_HYPERV_EVENTFD, &e) != 0)
		error = m->vm_fd < 0 ? -EBADF : -errno;
	pthread_mutex_unlock(&m->vm_lock);
	return (error);
}

static bool
owner(struct kvm_machine *m, uint32_t cpu)
{

	if (kvm_self == &m->vcpu[cpu])
		return (true);
	kvm_request(&m->vcpu[cpu], REQ_VISIT);
	return (false);
}

/* KVM counts from its own clock of the machine. */
static uint64_t
reference(struct kvm_machine *m)
{
	struct kvm_clock_data c = { 0 };

	pthread_mutex_lock(&m->vm_lock);
	if (m->vm_fd >= 0)
		(void)ioctl(m->vm_fd, KVM_GET_CLOCK, &c);
	pthread_mutex_unlock(&m->vm_lock);
	return (c.clock / 100);
}

/* KVM kept what the guest is; the model's hypercalls need to know. */
static void
learn_os(struct kvm_vcpu *v)
{
	uint64_t id = 0, page = 0;

	(void)kvm_get_msr(v, HVK_MSR_GUEST_OS_ID, &id);
	(void)kvm_get_msr(v, HVK_MSR_HYPERCALL, &page);
	vmm_bus_mirror_os(v->m->bus, id, page);
}

static uint64_t
hypercall(struct kvm_vcpu *v, const struct kvm_hyperv_exit *h)
{
	uint64_t control = h->u.hcall.input, result;

	/* KVM has fetched the parameter of a slow one already. */
	if ((control & HVK_HC_CODE_MASK) == HVK_HC_SIGNAL_EVENT)
		control |= HVK_HC_FAST;
	result = vmm_bus_hypercall(v->m->bus, v->index, control,
	    h->u.hcall.params[0], h->u.hcall.params[1]);
	if ((result & HVK_HC_STATUS_MASK) != HVK_HV_ACCESS_DENIED)
		return (result);
	/* The model has not heard yet what KVM has checked: before SynIC. */
	learn_os(v);
	return (vmm_bus_hypercall(v->m->bus, v->index, control,
	    h->u.hcall.params[0], h->u.hcall.params[1]));
}

static bool
accel_exit(struct kvm_vcpu *v)
{
	struct kvm_hyperv_exit *h = &v->run->hyperv;

	if (v->run->exit_reason != KVM_EXIT_HYPERV)
		return (false);
	switch (h->type) {
	case KVM_EXIT_HYPERV_SYNIC:
		learn_os(v);
		vmm_bus_mirror(v->m->bus, v->index, h->u.synic.control,
		    h->u.synic.evt_page, h->u.synic.msg_page);
		break;
	case KVM_EXIT_HYPERV_HCALL:
		h->u.hcall.result = hypercall(v, h);
		break;
	default:
		break;
	}
	return (true);
}

const struct kvm_accel kvm_accel_kernel = {
	.name = "kernel",
	.enlighten = enlighten,
	.vm = setup_vm,
	.vcpu = setup_vcpu,
	.interrupt = interrupt,
	.doorbell = doorbell,
	.owner = owner,
	.reference = reference,
	.routes = routes,
	.exit = accel_exit,
};
