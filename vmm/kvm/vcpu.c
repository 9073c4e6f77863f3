/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * One virtual processor: its first state, and the thread that runs it and
 * answers its exits.  Whatever the guest does ends at worst this machine.
 * Locking: kvm.h.
 *
 * Source of facts: Linux's Documentation/virt/kvm/api.rst, section 5.
 */
#include <sys/ioctl.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "kvm.h"

#define	CR0_PE		0x00000001u
#define	CR0_ET		0x00000010u
#define	CR0_NE		0x00000020u
#define	CR0_WP		0x00010000u
#define	CR0_PG		0x80000000u
#define	CR4_PAE		0x00000020u
#define	EFER_LME	0x00000100u
#define	EFER_LMA	0x00000400u
#define	RFLAGS_IF	0x00000200u
#define	RFLAGS_RESERVED	0x00000002u
#define	MSR_MTRR_DEFAULT 0x2ffu
#define	MTRR_ON_WB	0x806u
#define	LAPIC_LVT0	0x350u
#define	LAPIC_LVT1	0x360u
#define	LVT_EXTINT	0x700u
#define	LVT_NMI		0x400u
#define	STRAY_LINES	3u

/* KVM's list of one register. */
union one_msr {
	struct kvm_msrs	list;
	uint8_t		space[sizeof(struct kvm_msrs) +
			    sizeof(struct kvm_msr_entry)];
};

int
kvm_get_msr(struct kvm_vcpu *v, uint32_t msr, uint64_t *value)
{
	union one_msr m;

	memset(&m, 0, sizeof(m));
	m.list.nmsrs = 1;
	m.list.entries[0].index = msr;
	if (ioctl(v->fd, KVM_GET_MSRS, &m) != 1)
		return (-EIO);
	*value = m.list.entries[0].data;
	return (0);
}

static void
set_msr(struct kvm_vcpu *v, uint32_t msr, uint64_t value)
{
	union one_msr m;

	memset(&m, 0, sizeof(m));
	m.list.nmsrs = 1;
	m.list.entries[0].index = msr;
	m.list.entries[0].data = value;
	(void)ioctl(v->fd, KVM_SET_MSRS, &m);
}

/* ---- first state */

static void
segment(struct kvm_segment *s, uint16_t selector, uint8_t type, bool l)
{

	memset(s, 0, sizeof(*s));
	s->selector = selector;
	s->limit = 0xffffffffu;
	s->type = type;
	s->present = 1;
	s->s = 1;
	s->g = 1;
	s->db = !l;
	s->l = l;
}

static int
entry_sregs(struct kvm_vcpu *v, const struct boot_cpu *c)
{
	struct kvm_segment data;
	struct kvm_sregs s;

	if (ioctl(v->fd, KVM_GET_SREGS, &s) != 0)
		return (-errno);
	segment(&s.cs, BOOT_SEL_CODE, 0xb, c->long_mode);
	segment(&data, BOOT_SEL_DATA, 0x3, false);
	s.ds = s.es = s.fs = s.gs = s.ss = data;
	memset(&s.tr, 0, sizeof(s.tr));
	s.tr.selector = BOOT_SEL_TSS;
	s.tr.limit = 0x67;
	s.tr.type = 0xb;
	s.tr.present = 1;
	s.gdt.base = c->gdt_gpa;
	s.gdt.limit = c->gdt_limit;
	s.cr0 = CR0_PE | CR0_ET;
	s.cr4 = 0;
	s.efer = 0;
	if (c->long_mode) {
		s.cr0 |= CR0_PG | CR0_NE | CR0_WP;
		s.cr3 = c->cr3;
		s.cr4 = CR4_PAE;
		s.efer = EFER_LME | EFER_LMA;
	}
	return (ioctl(v->fd, KVM_SET_SREGS, &s) != 0 ? -errno : 0);
}

/* As firmware leaves it: the old PIC on LINT0, the NMI on LINT1. */
static int
entry_lapic(struct kvm_vcpu *v)
{
	struct kvm_lapic_state l;
	uint32_t lvt;

	if (ioctl(v->fd, KVM_GET_LAPIC, &l) != 0)
		return (-errno);
	lvt = LVT_EXTINT;
	memcpy(l.regs + LAPIC_LVT0, &lvt, sizeof(lvt));
	lvt = LVT_NMI;
	memcpy(l.regs + LAPIC_LVT1, &lvt, sizeof(lvt));
	return (ioctl(v->fd, KVM_SET_LAPIC, &l) != 0 ? -errno : 0);
}

int
kvm_vcpu_entry(struct kvm_vcpu *v, const struct boot_cpu *c)
{
	struct kvm_regs r;
	int error;

	error = entry_sregs(v, c);
	if (error != 0)
		return (error);
	memset(&r, 0, sizeof(r));
	r.rip = c->rip;
	r.rsp = c->rsp;
	r.rsi = c->rsi;
	r.rbx = c->rbx;
	r.rflags = RFLAGS_RESERVED;
	if (ioctl(v->fd, KVM_SET_REGS, &r) != 0)
		return (-errno);
	/* Memory is cached: a guest that believes its MTRRs needs to see it. */
	set_msr(v, MSR_MTRR_DEFAULT, MTRR_ON_WB);
	return (entry_lapic(v));
}

/* ---- exits */

static void
exit_io(struct kvm_vcpu *v)
{
	struct kvm_run *run = v->run;
	struct dev_ports *t = &v->m->ports;
	uint8_t *data = (uint8_t *)run + run->io.data_offset;
	uint32_t value, i;

	for (i = 0; i < run->io.count; i++, data += run->io.size) {
		value = 0;
		if (run->io.direction == KVM_EXIT_IO_IN) {
			value = dev_ports_read(t, run->io.port, run->io.size);
			memcpy(data, &value, run->io.size);
		} else {
			memcpy(&value, data, run->io.size);
			dev_ports_write(t, run->io.port, run->io.size, value);
		}
	}
}

static bool
ioapic_access(struct kvm_vcpu *v)
{
	struct kvm_run *run = v->run;
	struct dev_ioapic *a = v->m->ioapic;
	uint64_t offset = run->mmio.phys_addr - PLAT_IOAPIC;
	uint32_t value;

	if (a == NULL || run->mmio.phys_addr < PLAT_IOAPIC || offset >= 0x1000)
		return (false);
	memset(&value, 0, sizeof(value));
	if (run->mmio.is_write) {
		memcpy(&value, run->mmio.data, run->mmio.len < 4 ?
		    run->mmio.len : 4);
		dev_ioapic_write(a, (uint32_t)offset, value);
		return (true);
	}
	value = dev_ioapic_read(a, (uint32_t)offset);
	memset(run->mmio.data, 0, sizeof(run->mmio.data));
	memcpy(run->mmio.data, &value, sizeof(value));
	return (true);
}

/* Memory that is nobody's: reads as ones, as an empty bus does. */
static void
exit_mmio(struct kvm_vcpu *v)
{
	struct kvm_run *run = v->run;

	if (ioapic_access(v))
		return;
	if (!run->mmio.is_write)
		memset(run->mmio.data, 0xff, sizeof(run->mmio.data));
	if (atomic_fetch_add(&v->m->stray, 1u) < STRAY_LINES)
		vmm_log("processor %u: %s %#llx, where there is nothing",
		    v->index, run->mmio.is_write ? "writes to" : "reads",
		    (unsigned long long)run->mmio.phys_addr);
}

static void
exit_msr(struct kvm_vcpu *v)
{
	struct kvm_run *run = v->run;
	uint64_t value = 0;

	if (run->exit_reason == KVM_EXIT_X86_RDMSR) {
		run->msr.error = !vmm_bus_rdmsr(v->m->bus, v->index,
		    run->msr.index, &value);
		run->msr.data = value;
	} else
		run->msr.error = !vmm_bus_wrmsr(v->m->bus, v->index,
		    run->msr.index, run->msr.data);
}

/*
 * KVM halts the processor as "hlt" would, which waits for an interrupt that can
 * be taken.  The register wakes up by any, so with interrupts off it is a nap:
 * the guest looks, and comes back.
 */
void
kvm_vcpu_idle(struct kvm_vcpu *v)
{
	struct kvm_mp_state mp = { .mp_state = KVM_MP_STATE_HALTED };
	struct timespec nap = { 0, 1000000 };
	struct kvm_regs r;

	if (ioctl(v->fd, KVM_GET_REGS, &r) == 0 &&
	    (r.rflags & RFLAGS_IF) != 0)
		(void)ioctl(v->fd, KVM_SET_MP_STATE, &mp);
	else
		nanosleep(&nap, NULL);
}

static unsigned long long
rip(struct kvm_vcpu *v)
{
	struct kvm_regs r;

	return (ioctl(v->fd, KVM_GET_REGS, &r) == 0 ? r.rip : 0);
}

static void
exit_error(struct kvm_vcpu *v)
{
	struct kvm_run *run = v->run;
	char bytes[3 * 15 + 1] = "";
	unsigned i, n;

	if (run->internal.suberror != KVM_INTERNAL_ERROR_EMULATION) {
		kvm_end(v->m, KVM_END_ERROR, "KVM gave up on processor %u "
		    "(error %u) at %#llx", v->index, run->internal.suberror,
		    rip(v));
		return;
	}
	n = run->internal.ndata >= 4 &&
	    (run->emulation_failure.flags & 1) != 0 ?
	    run->emulation_failure.insn_size : 0;
	for (i = 0; i < n && i < 15; i++)
		snprintf(bytes + 3 * i, 4, " %02x",
		    run->emulation_failure.insn_bytes[i]);
	kvm_end(v->m, KVM_END_ERROR, "KVM cannot emulate what processor %u "
	    "does at %#llx:%s", v->index, rip(v),
	    n > 0 ? bytes : " instruction unknown");
}

static void
exit_system_event(struct kvm_vcpu *v)
{

	switch (v->run->system_event.type) {
	case KVM_SYSTEM_EVENT_SHUTDOWN:
		kvm_end(v->m, KVM_END_OFF, "the guest switched itself off");
		break;
	case KVM_SYSTEM_EVENT_RESET:
		kvm_end(v->m, KVM_END_RESET, "the guest was reset");
		break;
	case KVM_SYSTEM_EVENT_CRASH:
		vmm_log("the guest reports a crash");
		break;
	default:
		break;
	}
}

static void
serve(struct kvm_vcpu *v)
{
	struct kvm_run *run = v->run;

	if (v->m->accel->exit(v))
		return;
	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		exit_io(v);
		break;
	case KVM_EXIT_MMIO:
		exit_mmio(v);
		break;
	case KVM_EXIT_X86_RDMSR:
	case KVM_EXIT_X86_WRMSR:
		exit_msr(v);
		break;
	case KVM_EXIT_SYSTEM_EVENT:
		exit_system_event(v);
		break;
	case KVM_EXIT_SHUTDOWN:
		kvm_end(v->m, KVM_END_CRASH, "triple fault of processor %u at "
		    "%#llx", v->index, rip(v));
		break;
	case KVM_EXIT_INTERNAL_ERROR:
		exit_error(v);
		break;
	case KVM_EXIT_FAIL_ENTRY:
		kvm_end(v->m, KVM_END_ERROR, "processor %u cannot be entered "
		    "(reason %#llx)", v->index, (unsigned long long)
		    run->fail_entry.hardware_entry_failure_reason);
		break;
	case KVM_EXIT_IOAPIC_EOI:
		if (v->m->ioapic != NULL)
			dev_ioapic_eoi(v->m->ioapic, run->eoi.vector);
		break;
	case KVM_EXIT_HLT:
	case KVM_EXIT_INTR:
	case KVM_EXIT_IRQ_WINDOW_OPEN:
		break;
	default:
		kvm_end(v->m, KVM_END_ERROR, "processor %u: exit %u is not "
		    "known", v->index, run->exit_reason);
		break;
	}
}

/* The machine ended: nothing runs on until the main thread has looked. */
static void
wait_for_stop(struct kvm_vcpu *v)
{
	struct timespec ts = { 0, 1000000 };

	while ((atomic_load(&v->requests) & REQ_STOP) == 0)
		nanosleep(&ts, NULL);
}

void *
kvm_vcpu_main(void *arg)
{
	struct kvm_vcpu *v = arg;
	struct kvm_machine *m = v->m;
	uint32_t req;
	sigset_t set;

	kvm_self = v;
	v->self = pthread_self();
	sigemptyset(&set);
	sigaddset(&set, KVM_KICK);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	if (m->conf.jail && kvm_jail() != 0 && v->index == 0)
		vmm_log("seccomp is not to be had: the processors run without");
	atomic_store(&v->running, true);
	for (;;) {
		/* In this order, or a request just made is slept through. */
		v->run->immediate_exit = 0;
		req = atomic_exchange(&v->requests, 0);
		if ((req & REQ_STOP) != 0)
			break;
		if ((req & REQ_VISIT) != 0)
			vmm_bus_visit(m->bus, v->index);
		if ((req & REQ_NMI) != 0)
			(void)ioctl(v->fd, KVM_NMI);
		if (m->accel->before != NULL)
			m->accel->before(v);
		if (ioctl(v->fd, KVM_RUN, 0) != 0) {
			if (errno == EINTR || errno == EAGAIN)
				continue;
			kvm_end(m, KVM_END_ERROR, "KVM cannot run processor "
			    "%u: %s", v->index, strerror(errno));
		} else {
			atomic_fetch_add_explicit(&v->exits, 1,
			    memory_order_relaxed);
			serve(v);
		}
		if (atomic_load_explicit(&m->over, memory_order_relaxed))
			wait_for_stop(v);
	}
	/* From now on nobody sends it a signal. */
	pthread_mutex_lock(&v->kick_lock);
	atomic_store(&v->running, false);
	pthread_mutex_unlock(&v->kick_lock);
	kvm_self = NULL;
	if (v->has_timer)
		timer_delete(v->again);
	v->has_timer = false;
	return (NULL);
}
