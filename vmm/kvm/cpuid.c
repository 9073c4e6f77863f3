/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * What the guest's processors say of themselves: what KVM supports on this
 * host, without nesting and without KVM's own leaves; our own topology (one
 * socket, one thread a core, APIC id = processor number); the hypervisor
 * model's leaves.
 *
 * Source of facts: Intel SDM volume 2A, CPUID; AMD APM volume 3, appendix E.
 */
#include <sys/ioctl.h>

#include <cpuid.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kvm.h"

#define	MAX_ENTRIES	256u
#define	HV_FIRST	0x40000000u
#define	HV_LAST		0x4000000cu

union list {
	struct kvm_cpuid2 head;
	uint8_t space[sizeof(struct kvm_cpuid2) +
	    MAX_ENTRIES * sizeof(struct kvm_cpuid_entry2)];
};

bool
kvm_host_tsc_invariant(void)
{
	uint32_t a, b, c, d;

	return (__get_cpuid(0x80000007u, &a, &b, &c, &d) != 0 &&
	    (d & 0x100) != 0);
}

/* Bits that hold the numbers 0..n-1. */
static uint32_t
bits_for(uint32_t n)
{
	uint32_t bits = 0;

	while ((1u << bits) < n)
		bits++;
	return (bits);
}

static void
leaf_1(struct kvm_cpuid_entry2 *e, uint32_t cpu, uint32_t n, bool deadline)
{

	e->ebx = (e->ebx & 0x0000ffffu) | n << 16 | cpu << 24;
	e->edx = n > 1 ? e->edx | 1u << 28 : e->edx & ~(1u << 28);
	e->ecx &= ~(1u << 5 | 1u << 3 | 1u << 27);	/* VMX MONITOR OSXSAVE */
	e->ecx |= 1u << 31 | 1u << 21;		/* hypervisor, x2APIC */
	if (deadline)
		e->ecx |= 1u << 24;
}

/* Caches: first and second level a core's own, the third for all. */
static void
leaf_cache(struct kvm_cpuid_entry2 *e, uint32_t n, bool cores)
{
	uint32_t level = e->eax >> 5 & 7;

	if ((e->eax & 0x1f) == 0)
		return;
	e->eax &= ~(0xfffu << 14);
	if (level >= 3)
		e->eax |= (n - 1) << 14;
	if (cores) {
		e->eax &= ~(0x3fu << 26);
		e->eax |= (n - 1) << 26;
	}
}

static void
adjust(struct kvm_cpuid_entry2 *e, uint32_t cpu, uint32_t n, bool deadline)
{

	switch (e->function) {
	case 0x1:
		leaf_1(e, cpu, n, deadline);
		break;
	case 0x4:
		leaf_cache(e, n, true);
		break;
	case 0x8000001d:
		leaf_cache(e, n, false);
		break;
	case 0x6:		/* power management: nothing of it is there */
	case 0xa:		/* nor are performance counters */
		e->eax = e->ebx = e->ecx = e->edx = 0;
		break;
	case 0x80000001:
		e->ecx &= ~(1u << 2 | 1u << 1);	/* SVM, CmpLegacy */
		if (n > 1)
			e->ecx |= 1u << 1;
		break;
	case 0x80000008:
		e->ecx = n > 1 ? bits_for(n) << 12 | (n - 1) : 0;
		break;
	case 0x8000000a:	/* SVM's leaf */
		e->eax = e->ebx = e->ecx = e->edx = 0;
		break;
	case 0x8000001e:
		e->eax = cpu;
		e->ebx = cpu;
		e->ecx = 0;
		break;
	default:
		break;
	}
}

/* Topology leaves are ours alone: KVM's answer is the host's. */
static bool
dropped(uint32_t leaf)
{

	return ((leaf >= 0x40000000u && leaf <= 0x4fffffffu) ||
	    leaf == 0xb || leaf == 0x1f || leaf == 0x80000026u);
}

static struct kvm_cpuid_entry2 *
add(union list *l, uint32_t leaf)
{
	struct kvm_cpuid_entry2 *e;

	if (l->head.nent == MAX_ENTRIES)
		return (NULL);
	e = &l->head.entries[l->head.nent++];
	memset(e, 0, sizeof(*e));
	e->function = leaf;
	return (e);
}

static bool
add_topology(union list *l, uint32_t cpu, uint32_t n)
{
	struct kvm_cpuid_entry2 *e;
	uint32_t i;

	for (i = 0; i < 3; i++) {
		e = add(l, 0xb);
		if (e == NULL)
			return (false);
		e->index = i;
		e->flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX;
		e->ecx = i | (i < 2 ? (i + 1) << 8 : 0);
		e->eax = i == 1 ? bits_for(n) : 0;
		e->ebx = i == 0 ? 1 : i == 1 ? n : 0;
		e->edx = cpu;
	}
	return (true);
}

static bool
add_model(union list *l, struct vmm_bus *bus)
{
	struct kvm_cpuid_entry2 *e;
	uint32_t leaf, regs[4];

	for (leaf = HV_FIRST; leaf <= HV_LAST; leaf++) {
		e = add(l, leaf);
		if (e == NULL)
			return (false);
		memset(regs, 0, sizeof(regs));
		(void)vmm_bus_cpuid_model(bus, leaf, 0, regs);
		e->eax = regs[0];
		e->ebx = regs[1];
		e->ecx = regs[2];
		e->edx = regs[3];
	}
	return (true);
}

static int
set_one(struct kvm_vcpu *v, const union list *host, union list *l,
    bool deadline)
{
	struct kvm_machine *m = v->m;
	struct kvm_cpuid_entry2 *e;
	uint32_t i;

	memset(&l->head, 0, sizeof(l->head));
	for (i = 0; i < host->head.nent; i++) {
		if (dropped(host->head.entries[i].function))
			continue;
		e = add(l, 0);
		if (e == NULL)
			return (-E2BIG);
		*e = host->head.entries[i];
		if (e->function == 0 && e->eax < 0xb)
			e->eax = 0xb;
		adjust(e, v->index, m->conf.ncpus, deadline);
	}
	if (!add_topology(l, v->index, m->conf.ncpus) ||
	    !add_model(l, m->bus))
		return (-E2BIG);
	return (ioctl(v->fd, KVM_SET_CPUID2, l) != 0 ? -errno : 0);
}

int
kvm_set_cpuid(struct kvm_machine *m, char *err, size_t errlen)
{
	union list *host = calloc(1, sizeof(*host));
	union list *l = calloc(1, sizeof(*l));
	bool deadline;
	uint32_t i;
	int error = 0;

	if (host == NULL || l == NULL)
		error = -ENOMEM;
	deadline = ioctl(m->sys_fd, KVM_CHECK_EXTENSION,
	    KVM_CAP_TSC_DEADLINE_TIMER) > 0;
	if (error == 0) {
		host->head.nent = MAX_ENTRIES;
		if (ioctl(m->sys_fd, KVM_GET_SUPPORTED_CPUID, host) != 0)
			error = -errno;
	}
	for (i = 0; i < m->conf.ncpus && error == 0; i++)
		error = set_one(&m->vcpu[i], host, l, deadline);
	free(host);
	free(l);
	if (error != 0)
		return (vmm_fail(err, errlen, error, "KVM does not take the "
		    "processors' identity: %s", strerror(-error)));
	return (0);
}
