/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * thread.c: kernel threads and processes (kthread(9), kproc(9)), CPU binding,
 * smp_rendezvous(9), and the per-thread struct pcpu behind curthread.
 *
 * Slots are guarded by thread_lock_tbl; a slot's stack is reused only after
 * its Linux thread was joined.
 */

#include "kern.h"
#include <sys/cpuset.h>
#include <sys/kthread.h>
#include <sys/sched.h>
#include <sys/smp.h>
#include <sys/unistd.h>
#include <sys/stdarg.h>

enum { SLOT_FREE, SLOT_RUN, SLOT_ENDED };

struct kthr kld_threads[KLD_MAXTHREADS];
struct pcpu kld_pcpu[KLD_MAXTHREADS] __aligned(PAGE_SIZE);
_Static_assert(sizeof(struct pcpu) == PAGE_SIZE, "one page per thread");

struct pcpu *__pcpu = kld_pcpu;
struct cpuhead cpuhead = STAILQ_HEAD_INITIALIZER(cpuhead);
struct pcpu *cpuid_to_pcpu[MAXCPU];
struct proc proc0;
struct thread *thread0_st_ptr;
cpuset_t all_cpus;
int mp_ncpus = 1;
u_int mp_maxid;
volatile int smp_started = 1;
int mp_ncores = 1;
int smp_threads_per_core = 1;
int vm_ndomains = 1;

static struct os_lock thread_lock_tbl;
static int next_cpu;
static char *low_next;
static int nthreads;

static void
pcpu_setup(struct kthr *t, int cpu)
{
	struct pcpu *pc;

	pc = &kld_pcpu[t->slot];
	memset(pc, 0, sizeof(*pc));
	pc->pc_prvspace = pc;
	pc->pc_curthread = &t->td;
	pc->pc_cpuid = cpu;
	pc->pc_apic_id = cpu;
	pc->pc_acpi_id = cpu;
	pc->pc_vcpu_id = cpu;
	t->td.td_oncpu = cpu;
	t->td.td_lastcpu = cpu;
}

static void
thread_setup(struct kthr *t, struct proc *p, const char *name)
{
	int slot;
	void *stack;

	slot = t->slot;
	stack = t->stack;
	memset(t, 0, sizeof(*t));
	t->slot = slot;
	t->stack = stack;
	t->state = SLOT_RUN;
	t->td.td_proc = p;
	t->td.td_tid = 100000 + slot;
	t->td.td_priority = PVM;
	strlcpy(t->td.td_name, name, sizeof(t->td.td_name));
}

void
kld_thread_boot(void)
{
	struct kthr *t;
	int i;

	for (i = 0; i < KLD_MAXTHREADS; i++)
		kld_threads[i].slot = i;
	t = &kld_threads[0];
	strlcpy(proc0.p_comm, "kernel", sizeof(proc0.p_comm));
	thread_setup(t, &proc0, "swapper");
	mp_ncpus = mp_ncores = os_ncpus();
	mp_maxid = mp_ncpus - 1;
	for (i = 0; i < mp_ncpus; i++)
		CPU_SET(i, &all_cpus);
	pcpu_setup(t, 0);
	os_set_gs(&kld_pcpu[0]);
	/* Real per-CPU pages exist beside the threads' own for pcpu_find(). */
	for (i = 0; i < mp_ncpus; i++) {
		struct pcpu *pc = os_alloc(sizeof(*pc));

		memset(pc, 0, sizeof(*pc));
		pc->pc_cpuid = pc->pc_apic_id = pc->pc_acpi_id = i;
		pc->pc_vcpu_id = i;
		pc->pc_prvspace = pc;
		pc->pc_curthread = &t->td;
		cpuid_to_pcpu[i] = pc;
		STAILQ_INSERT_TAIL(&cpuhead, pc, pc_allcpu);
	}
	/* Module images grow from the bottom of the low window, stacks down. */
	low_next = (char *)os_low_base() + os_low_size();
	nthreads = 1;
}

struct pcpu *
pcpu_find(u_int cpu)
{
	return (cpu < MAXCPU ? cpuid_to_pcpu[cpu] : NULL);
}

static void *
stack_new(void)
{
	char *base;

	base = low_next - KLD_STACK;
	if (base < (char *)os_low_base() + os_low_size() / 4)
		panic("kldrun: no room for another thread stack: %d threads",
		    nthreads);
	low_next = base;
	os_protect(base, PAGE_SIZE, 0);
	return (base);
}

static void
thread_main(void *arg)
{
	struct kthr *t;

	t = arg;
	t->fn(t->arg);
	kld_thread_end();
}

/* cpu -1: any; kldrun then deals CPUs out in turn. */
int
kld_thread_start(void (*fn)(void *), void *arg, int cpu, struct proc *p,
    struct kthr **out, const char *name)
{
	struct kthr *t;
	int i, error;

	os_lock(&thread_lock_tbl);
	for (i = 1; i < KLD_MAXTHREADS; i++)
		if (kld_threads[i].state != SLOT_RUN)
			break;
	if (i == KLD_MAXTHREADS) {
		os_unlock(&thread_lock_tbl);
		return (EAGAIN);
	}
	t = &kld_threads[i];
	if (t->state == SLOT_ENDED)
		os_thread_join(t->handle);
	if (t->stack == NULL)
		t->stack = stack_new();
	if (cpu < 0)
		cpu = next_cpu++ % mp_ncpus;
	thread_setup(t, p != NULL ? p : &proc0, name);
	pcpu_setup(t, cpu);
	t->fn = fn;
	t->arg = arg;
	nthreads++;
	if (out != NULL)
		*out = t;
	error = os_thread_create(thread_main, t,
	    (char *)t->stack + PAGE_SIZE, KLD_STACK - PAGE_SIZE,
	    &kld_pcpu[t->slot], t->td.td_name, &t->handle);
	if (error != 0)
		t->state = SLOT_FREE;
	os_unlock(&thread_lock_tbl);
	return (error != 0 ? EAGAIN : 0);
}

void
kld_thread_end(void)
{
	struct kthr *t;

	t = kld_self();
	if (t->nheld != 0)
		panic("thread \"%s\" exits holding %s", t->td.td_name,
		    t->held[0]->lo_name);
	if (t->td.td_critnest != 0)
		panic("thread \"%s\" exits in a critical section",
		    t->td.td_name);
	wakeup(&t->td);
	os_lock(&thread_lock_tbl);
	t->state = SLOT_ENDED;
	nthreads--;
	os_unlock(&thread_lock_tbl);
	os_thread_exit();
}

int
kld_thread_spawn(void (*fn)(void *), void *arg, const char *name)
{
	return (kld_thread_start(fn, arg, -1, NULL, NULL, name));
}

int
kld_curcpu(void)
{
	return (PCPU_GET(cpuid));
}

const char *
kld_curthread_name(void)
{
	return (curthread->td_name);
}

void
kld_set_cpu(int cpu)
{
	PCPU_SET(cpuid, cpu);
	PCPU_SET(apic_id, cpu);
	PCPU_SET(acpi_id, cpu);
	PCPU_SET(vcpu_id, cpu);
	curthread->td_oncpu = curthread->td_lastcpu = cpu;
}

int
kthread_add(void (*func)(void *), void *arg, struct proc *p,
    struct thread **tdp, int flags, int pages, const char *fmt, ...)
{
	char name[MAXCOMLEN + 1];
	struct kthr *t;
	va_list ap;
	int error;

	va_start(ap, fmt);
	vsnprintf(name, sizeof(name), fmt, ap);
	va_end(ap);
	if ((flags & RFSTOPPED) != 0)
		panic("kldrun: kthread_add(RFSTOPPED) is not provided");
	error = kld_thread_start(func, arg, -1, p, &t, name);
	if (error == 0 && tdp != NULL)
		*tdp = &t->td;
	return (error);
}

void
kthread_exit(void)
{
	kld_thread_end();
}

static struct proc *
proc_new(const char *name)
{
	static int pid = 1;
	struct proc *p;

	p = os_alloc(sizeof(*p));
	memset(p, 0, sizeof(*p));
	p->p_pid = atomic_fetchadd_int(&pid, 1);
	strlcpy(p->p_comm, name, sizeof(p->p_comm));
	return (p);
}

int
kproc_create(void (*func)(void *), void *arg, struct proc **newpp, int flags,
    int pages, const char *fmt, ...)
{
	char name[MAXCOMLEN + 1];
	struct proc *p;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(name, sizeof(name), fmt, ap);
	va_end(ap);
	p = proc_new(name);
	if (newpp != NULL)
		*newpp = p;
	return (kld_thread_start(func, arg, -1, p, NULL, name));
}

/* A process is never reused: waiting on it by pointer must stay safe. */
void
kproc_exit(int code)
{
	wakeup(curthread->td_proc);
	kld_thread_end();
}

int
kproc_kthread_add(void (*func)(void *), void *arg, struct proc **procptr,
    struct thread **tdptr, int flags, int pages, const char *procname,
    const char *fmt, ...)
{
	char name[MAXCOMLEN + 1];
	struct kthr *t;
	va_list ap;
	int error;

	if (*procptr == NULL)
		*procptr = proc_new(procname);
	va_start(ap, fmt);
	vsnprintf(name, sizeof(name), fmt, ap);
	va_end(ap);
	error = kld_thread_start(func, arg, -1, *procptr, &t, name);
	if (error == 0 && tdptr != NULL)
		*tdptr = &t->td;
	return (error);
}

/* Priorities do not exist here: Linux schedules. */
void
sched_prio(struct thread *td, u_char prio)
{
	td->td_priority = prio;
}

void
sched_bind(struct thread *td, int cpu)
{
	if (td != curthread)
		panic("kldrun: sched_bind of another thread");
	if (cpu < 0 || cpu >= mp_ncpus)
		panic("sched_bind: no CPU %d", cpu);
	kld_set_cpu(cpu);
	td->td_pinned++;
}

void
sched_unbind(struct thread *td)
{
	td->td_pinned--;
}

int
sched_is_bound(struct thread *td)
{
	return (td->td_pinned > 0);
}

void
sched_relinquish(struct thread *td)
{
	os_yield();
}

void
kern_yield(int prio)
{
	os_yield();
}

void
maybe_yield(void)
{
}

void
_thread_lock(struct thread *td, int opts, const char *file, int line)
{
}

void
thread_lock_flags_(struct thread *td, int opts, const char *file, int line)
{
}

int
cpuset_setthread(lwpid_t id, cpuset_t *mask)
{
	int slot;

	slot = id - 100000;
	if (slot < 0 || slot >= KLD_MAXTHREADS || CPU_EMPTY(mask))
		return (EINVAL);
	kld_pcpu[slot].pc_cpuid = CPU_FFS(mask) - 1;
	kld_threads[slot].td.td_oncpu = CPU_FFS(mask) - 1;
	return (0);
}

/* Returns when every CPU has passed through a quiet point. */
void
quiesce_all_critical(void)
{
	os_yield();
}

int
quiesce_all_cpus(const char *wmesg, int prio)
{
	os_yield();
	return (0);
}
