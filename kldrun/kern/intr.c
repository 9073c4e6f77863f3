/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * intr.c: interrupts: one thread for each CPU stands for its interrupt
 * context. Vectors arrive from the host as bits; lapic_ipi_alloc() hands out
 * vectors, and the entry a module registers is an assembler stub for real
 * hardware, so dispatch goes to the C function behind it, which the machine
 * layer names hyperv_isr.
 *
 * smp_rendezvous() also runs on these threads: a function that returns from it
 * is ordered after every handler that began before, as on real CPUs.
 */

#include "kern.h"
#include <sys/bus.h>
#include <sys/smp.h>
#include <sys/sysctl.h>
#include <machine/cpufunc.h>
#include <machine/frame.h>
#include <machine/md_var.h>
#include <machine/intr_machdep.h>
#include <vm/vm.h>
#include <vm/pmap.h>
#include <x86/apicvar.h>

#define	FIRST_VECTOR	0xf8
#define	LAST_VECTOR	0xfe

static inthand_t *vectors[256];
static void (*isr)(struct trapframe *);

struct call {
	void (*fn)(void *);
	void *arg;
	volatile os_u32 done;
};
static struct call *volatile pending[MAXCPU];
static struct mtx rendezvous_mtx;
static u_int eois[MAXCPU];		/* by the handler that runs */

SYSCTL_NODE(_debug, OID_AUTO, kldrun, CTLFLAG_RD | CTLFLAG_MPSAFE, NULL,
    "What kldrun itself has counted");
static u_long eoi_count;
SYSCTL_ULONG(_debug_kldrun, OID_AUTO, eois, CTLFLAG_RD, &eoi_count, 0,
    "Interrupts that their handler ended");

int
lapic_ipi_alloc(inthand_t *ipifunc)
{
	int v;

	for (v = LAST_VECTOR; v >= FIRST_VECTOR; v--)
		if (vectors[v] == NULL) {
			isr = (void (*)(struct trapframe *))
			    os_module_symbol("hyperv_isr");
			if (isr == NULL)
				panic("kldrun: an interrupt vector was asked "
				    "for, but no module has hyperv_isr()");
			vectors[v] = ipifunc;
			return (v);
		}
	return (-1);
}

void
lapic_ipi_free(int v)
{
	if (v < FIRST_VECTOR || v > LAST_VECTOR || vectors[v] == NULL)
		panic("lapic_ipi_free: vector %d is not allocated", v);
	vectors[v] = NULL;
}

/*
 * On a real processor an interrupt that nobody ends blocks those of its class
 * and below for ever, and an EOI too many ends somebody else's.  So both are
 * faults here.
 */
void
lapic_eoi(void)
{
	eois[curcpu]++;
}

static void
check_eoi(int cpu, int v)
{
	u_int n;

	n = eois[cpu];
	eois[cpu] = 0;
	if (n != (os_vector_auto_eoi(v) ? 0 : 1))
		panic("vector %d: %u EOIs from its handler, AutoEOI is %s", v,
		    n, os_vector_auto_eoi(v) ? "on" : "off");
	atomic_add_long(&eoi_count, n);
}

/* Targets of a module's assembler entry, which is never entered here. */
#define	NEVER(name)							\
void name(void);							\
void									\
name(void)								\
{									\
	panic("kldrun: " #name " was reached");				\
}
NEVER(doreti)
NEVER(handle_ibrs_entry)

/* There is no second page table to show memory in. */
void
pmap_pti_add_kva(vm_offset_t sva, vm_offset_t eva, bool exec)
{
}

void
pmap_pti_remove_kva(vm_offset_t sva, vm_offset_t eva)
{
}

/* MSR access that reports #GP instead of taking it. */
int
rdmsr_safe(u_int msr, uint64_t *val)
{
	os_u64 v;
	int fault;

	fault = os_rdmsr(PCPU_GET(cpuid), msr, &v);
	*val = v;
	return (fault ? EFAULT : 0);
}

int
wrmsr_safe(u_int msr, uint64_t newval)
{
	return (os_wrmsr(PCPU_GET(cpuid), msr, newval) ? EFAULT : 0);
}

void
intrcnt_add(const char *name, u_long **countp)
{
	u_long *c;

	c = os_alloc(sizeof(*c));
	*c = 0;
	*countp = c;
}

static void
take_call(int cpu)
{
	struct call *c;

	c = pending[cpu];
	if (c == NULL)
		return;
	pending[cpu] = NULL;
	c->fn(c->arg);
	atomic_store_rel_int(&c->done, 1);
	os_futex_wake(&c->done, 1);
}

static void
intr_main(void *arg)
{
	struct trapframe frame;
	os_u64 bits[4];
	int cpu, i, v;

	cpu = (int)(uintptr_t)arg;
	memset(&frame, 0, sizeof(frame));
	while (os_interrupt_wait(cpu, bits) == 0) {
		for (i = 3; i >= 0; i--)
			while (bits[i] != 0) {
				v = i * 64 + 63 - __builtin_clzl(bits[i]);
				bits[i] &= ~(1ul << (v % 64));
				if (vectors[v] == NULL)
					continue;
				curthread->td_intr_nesting_level++;
				curthread->td_critnest++;
				isr(&frame);
				curthread->td_critnest--;
				curthread->td_intr_nesting_level--;
				if (curthread->td_critnest != 0 ||
				    kld_self()->nheld != 0)
					panic("interrupt handler returned "
					    "with a lock held");
				check_eoi(cpu, v);
			}
		take_call(cpu);
	}
}

void
kld_interrupt_thread_start(int ncpus)
{
	char name[MAXCOMLEN + 1];
	int cpu;

	mtx_init(&rendezvous_mtx, "smp rendezvous", NULL, MTX_DEF);
	for (cpu = 0; cpu < ncpus; cpu++) {
		snprintf(name, sizeof(name), "intr cpu%d", cpu);
		kld_thread_start(intr_main, (void *)(uintptr_t)cpu, cpu, NULL,
		    NULL, name);
	}
}

static void
call_on(int cpu, void (*fn)(void *), void *arg)
{
	struct call c = { fn, arg, 0 };

	pending[cpu] = &c;
	os_interrupt_self(cpu, -1);
	while (c.done == 0)
		os_futex_wait(&c.done, 0, 0);
}

struct run {
	void (*fn)(void *);
	void *arg;
};

/* The callee must see what a rendezvous has: no sleeping. */
static void
run_critical(void *arg)
{
	struct run *r;

	r = arg;
	curthread->td_critnest++;
	r->fn(r->arg);
	curthread->td_critnest--;
}

void
smp_no_rendezvous_barrier(void *dummy)
{
}

void
smp_rendezvous_cpus(cpuset_t map, void (*setup)(void *),
    void (*action)(void *), void (*teardown)(void *), void *arg)
{
	void (*fn[3])(void *) = { setup, action, teardown };
	struct run r;
	int cpu, i;

	kld_assert_may_sleep("smp_rendezvous", NULL);
	mtx_lock(&rendezvous_mtx);
	for (i = 0; i < 3; i++) {
		if (fn[i] == NULL || fn[i] == smp_no_rendezvous_barrier)
			continue;
		r = (struct run){ fn[i], arg };
		for (cpu = 0; cpu < mp_ncpus; cpu++)
			if (CPU_ISSET(cpu, &map))
				call_on(cpu, run_critical, &r);
	}
	mtx_unlock(&rendezvous_mtx);
}

void
smp_rendezvous(void (*setup)(void *), void (*action)(void *),
    void (*teardown)(void *), void *arg)
{
	smp_rendezvous_cpus(all_cpus, setup, action, teardown, arg);
}

void
smp_rendezvous_cpu(u_int cpu, void (*setup)(void *), void (*action)(void *),
    void (*teardown)(void *), void *arg)
{
	cpuset_t set;

	CPU_SETOF(cpu, &set);
	smp_rendezvous_cpus(set, setup, action, teardown, arg);
}
