/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * What a host may do for its guest's processors: forget translations, send
 * interrupts, put one to sleep.  A host that recommends a call must do what it
 * says; one that does not must refuse it, since a guest that is told "done" and
 * is not served reads memory that is no longer its own.
 *
 * The page that changes is at 512 GiB, above everything else; it is a global
 * one, which a new CR3 does not flush.
 * Facts: the functional specification, "Virtual processor management" and
 * "HvCallFlushVirtualAddressSpace" and its relatives; Intel's manual volume 3.
 */

#include "check.h"

#define	ROUNDS		200u
#define	PLACE		(1ull << 39)
#define	CR4_PGE		0x80ull
#define	PTE_TABLE	0x003ull
#define	PTE_GLOBAL	0x103ull
#define	ALL_SPACES	2ull		/* flags of a flush */
#define	PATIENCE	20000000000ull	/* ns */

extern uint64_t boot_pml4[];

/* One layout serves all calls: what each of them reads is at its beginning. */
static union {
	uint64_t	word[8];
} input __attribute__((__aligned__(64)));
static uint64_t *entry;			/* of the page that changes */

static uint64_t
call(uint64_t control)
{
	uint64_t page;

	page = hyperv_rdmsr(HVK_MSR_HYPERCALL) & HVK_MSR_PAGE_MASK;
	return (hyperv_md_hypercall((void *)(uintptr_t)page, control,
	    vtophys(&input), 0));
}

static uint64_t
masks(void)
{
	return (1ull << port_cpus[0].vp | 1ull << port_cpus[1].vp);
}

/* ---- the four ways to flush */

static uint64_t
flush(uint32_t code)
{
	uint64_t control = code;
	bool list = code == HVK_HC_FLUSH_LIST || code == HVK_HC_FLUSH_LIST_EX;

	hvk_zero(&input, sizeof(input));
	input.word[1] = ALL_SPACES;
	if (code == HVK_HC_FLUSH_SPACE || code == HVK_HC_FLUSH_LIST) {
		input.word[2] = masks();
		input.word[3] = PLACE;		/* one page, of a list */
	} else {
		input.word[2] = 0;		/* banks of 64 processors */
		input.word[3] = 1;		/* the first */
		input.word[4] = masks();
		input.word[5] = PLACE;
		control |= 1ull << HVK_HC_VARIABLE_SHIFT;
	}
	if (list)
		control |= 1ull << HVK_HC_REP_COUNT_SHIFT;
	return (call(control));
}

static void
global_pages(void *arg HVK_UNUSED)
{
	uint64_t cr4;

	__asm__ __volatile__("movq %%cr4, %0" : "=r" (cr4));
	__asm__ __volatile__("movq %0, %%cr4" : : "r" (cr4 | CR4_PGE));
}

static struct {
	volatile uint32_t turn;
	volatile uint32_t stop;
	volatile uint64_t expected;
	volatile uint32_t wrong;
} relay;

/* The other processor: uses the page all the time, and looks when asked. */
static void
reader(void *arg HVK_UNUSED)
{
	volatile uint64_t *p = (volatile uint64_t *)(uintptr_t)PLACE;
	uint64_t end = port_now() + PATIENCE;

	while (relay.stop == 0) {
		(void)*p;
		if (__atomic_load_n(&relay.turn, __ATOMIC_ACQUIRE) == 1) {
			if (*p != relay.expected)
				relay.wrong++;
			__atomic_store_n(&relay.turn, 0, __ATOMIC_RELEASE);
			end = port_now() + PATIENCE;
		} else if (port_now() > end)
			return;
	}
}

static bool
place_make(uint64_t *first)
{
	uint64_t *pdpt = port_pages(1), *pd = port_pages(1);

	entry = port_pages(1);
	*entry = vtophys(first) | PTE_GLOBAL;
	pd[0] = vtophys(entry) | PTE_TABLE;
	pdpt[0] = vtophys(pd) | PTE_TABLE;
	boot_pml4[1] = vtophys(pdpt) | PTE_TABLE;
	global_pages(NULL);
	port_cpu_run(1, global_pages, NULL);
	return (port_cpu_wait(1, 10000));
}

static void
flushes(void)
{
	static const uint32_t code[] = { HVK_HC_FLUSH_SPACE,
		HVK_HC_FLUSH_LIST, HVK_HC_FLUSH_SPACE_EX,
		HVK_HC_FLUSH_LIST_EX };
	uint64_t *page[2] = { port_pages(1), port_pages(1) };
	uint64_t end, status = 0;
	uint32_t i, done = 0, n;

	n = (hyperv_info.recommends & HVK_RECOMMEND_EX_PROCESSOR_MASK) != 0 ? 4 : 2;
	*page[0] = 1;
	*page[1] = 2;
	if (!place_make(page[0])) {
		check("enlighten.flush", false, "no second processor");
		return;
	}
	port_cpu_run(1, reader, NULL);
	for (i = 0; i < ROUNDS; i++) {
		__atomic_store_n(entry, vtophys(page[(i + 1) % 2]) |
		    PTE_GLOBAL, __ATOMIC_SEQ_CST);
		status = flush(code[i % n]);
		if ((status & HVK_HC_STATUS_MASK) != HVK_HV_SUCCESS)
			break;
		relay.expected = 1 + (i + 1) % 2;
		__atomic_store_n(&relay.turn, 1, __ATOMIC_RELEASE);
		end = port_now() + PATIENCE;
		while (__atomic_load_n(&relay.turn, __ATOMIC_ACQUIRE) == 1 &&
		    port_now() < end)
			port_pause();
		if (relay.turn == 1)
			break;
		done++;
	}
	relay.stop = 1;
	(void)port_cpu_wait(1, 20000);
	check("enlighten.flush", done == ROUNDS && relay.wrong == 0, "%u of "
	    "%u by %u calls, a global page, %u wrong, status %lu", done,
	    ROUNDS, n, relay.wrong,
	    (unsigned long)(status & HVK_HC_STATUS_MASK));
}

/* ---- interrupts */

static bool
other_direct(void *arg)
{
	return (port_cpus[1].direct > *(const uint32_t *)arg);
}

static void
interrupts(void)
{
	uint32_t had, came = 0, i, n;
	uint64_t status = 0;

	n = (hyperv_info.recommends & HVK_RECOMMEND_EX_PROCESSOR_MASK) != 0 ? 2 : 1;
	for (i = 0; i < ROUNDS / 4; i++) {
		had = port_cpus[1].direct;
		hvk_zero(&input, sizeof(input));
		input.word[0] = PORT_VECTOR_DIRECT;
		input.word[1] = 1ull << port_cpus[1].vp;
		if (i % n == 1) {
			input.word[1] = 0;
			input.word[2] = 1;
			input.word[3] = 1ull << port_cpus[1].vp;
		}
		status = call(i % n == 0 ? HVK_HC_SEND_IPI :
		    HVK_HC_SEND_IPI_EX | 1ull << HVK_HC_VARIABLE_SHIFT);
		if ((status & HVK_HC_STATUS_MASK) != HVK_HV_SUCCESS ||
		    !bus_wait(other_direct, &had, 20000))
			break;
		came++;
	}
	check("enlighten.ipi", came == ROUNDS / 4, "%u of %u came by %u "
	    "calls, status %lu", came, ROUNDS / 4, n,
	    (unsigned long)(status & HVK_HC_STATUS_MASK));
	/* A vector that belongs to the processor is none to send. */
	input.word[0] = 3;
	input.word[1] = 1ull << port_cpus[1].vp;
	status = call(HVK_HC_SEND_IPI) & HVK_HC_STATUS_MASK;
	check("enlighten.vector", status == HVK_HV_BAD_PARAMETER ||
	    status == HVK_HV_BAD_INPUT, "status %lu for vector 3", status);
}

/* ---- what is not recommended */

static void
refused(void)
{
	static const uint32_t code[] = { HVK_HC_FLUSH_SPACE,
		HVK_HC_FLUSH_LIST, HVK_HC_SEND_IPI, HVK_HC_FLUSH_SPACE_EX,
		HVK_HC_FLUSH_LIST_EX, HVK_HC_SEND_IPI_EX };
	uint32_t i, done = 0;

	hvk_zero(&input, sizeof(input));
	for (i = 0; i < HVK_COUNT(code); i++)
		if ((call(code[i]) & HVK_HC_STATUS_MASK) == HVK_HV_SUCCESS)
			done++;
	check("enlighten.refused", done == 0, "%u calls that are not "
	    "recommended claim to have been done", done);
}

/* ---- sleep */

static void
idle(void)
{
	struct bus_timer *t = &bus_timers[0][0];
	uint32_t had = t->count, reads = 0;
	uint64_t end, value;

	if ((hyperv_info.features & HVK_FEATURE_GUEST_IDLE) == 0) {
		check_skip("enlighten.idle", "not offered");
		return;
	}
	/* Periodic: one that comes just before a reading is not the last. */
	end = port_now() + PATIENCE;
	bus_timer_start(0, HVK_STIMER_ENABLE | HVK_STIMER_PERIODIC |
	    (uint64_t)BUS_TIMER_SINT << HVK_STIMER_SINT_SHIFT, 200000);
	while (t->count - had < 3 && port_now() < end) {
		(void)try_rdmsr(HVK_MSR_GUEST_IDLE, &value);
		reads++;
	}
	bus_timer_start(0, 0, 0);
	/* It was asleep: a loop that only asks would ask far more often. */
	check("enlighten.idle", t->count - had >= 3 && reads <= 30,
	    "%u readings until %u timers of 20 ms", reads, t->count - had);
	__asm__ __volatile__("cli" : : : "memory");
	reads = try_rdmsr(HVK_MSR_GUEST_IDLE, &value);
	__asm__ __volatile__("sti" : : : "memory");
	check("enlighten.idle_off", reads == 1,
	    "comes back with interrupts off");
}

void
check_enlighten(void)
{
	bool two = port_ncpus > 1;

	if (two && (hyperv_info.recommends & HVK_RECOMMEND_REMOTE_FLUSH) != 0)
		flushes();
	else
		check_skip("enlighten.flush", "not recommended, or one "
		    "processor");
	if (two && (hyperv_info.recommends & HVK_RECOMMEND_CLUSTER_IPI) != 0)
		interrupts();
	else
		check_skip("enlighten.ipi", "not recommended, or one "
		    "processor");
	if ((hyperv_info.recommends & (HVK_RECOMMEND_REMOTE_FLUSH |
	    HVK_RECOMMEND_CLUSTER_IPI)) == 0)
		refused();
	if ((hyperv_info.features & HVK_FEATURE_STIMER) != 0)
		idle();
}
