/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * The synthetic interrupt controller, as vmbus_synic.c of the FreeBSD module
 * sets it up: two pages for each processor, one vector.  The interrupt handler
 * marks channels, takes the timers' messages (they are for its own processor)
 * and leaves VMBus messages to the thread.
 */

#include "bus.h"

struct bus_timer bus_timers[PORT_CPUS][BUS_TIMERS];
bool bus_auto_eoi;

static int vector = -1;

static void *
unvolatile(const volatile void *p)
{
	return ((void *)(uintptr_t)p);
}

/* Keep the bits of a page register that belong to the hypervisor. */
static void
page_register(uint32_t reg, const volatile void *page)
{
	uint64_t value;

	value = hyperv_rdmsr(reg) & PAGE_MASK & ~HVK_MSR_ENABLE;
	if (page != NULL)
		value |= vtophys(page) | HVK_MSR_ENABLE;
	hyperv_wrmsr(reg, value);
}

static void
sint_enable(uint32_t sint)
{
	uint64_t value;

	value = hyperv_rdmsr(HVK_MSR_SINT0 + sint);
	value &= ~(HVK_SINT_VECTOR_MASK | HVK_SINT_MASKED | HVK_SINT_AUTO_EOI |
	    HVK_SINT_POLLING);
	value |= (uint64_t)vector;
	if (bus_auto_eoi)
		value |= HVK_SINT_AUTO_EOI;
	hyperv_wrmsr(HVK_MSR_SINT0 + sint, value);
}

static void
synic_enable(void *arg HVK_UNUSED)
{
	struct port_cpu *cpu = port_self();

	cpu->vp = 0;
	if (hyperv_info.features & HVK_FEATURE_VP_INDEX)
		cpu->vp = (uint32_t)hyperv_rdmsr(HVK_MSR_VP_INDEX);
	page_register(HVK_MSR_SIMP, cpu->messages);
	page_register(HVK_MSR_SIEFP, cpu->events);
	sint_enable(BUS_SINT);
	sint_enable(BUS_TIMER_SINT);
	hyperv_wrmsr(HVK_MSR_SCONTROL, hyperv_rdmsr(HVK_MSR_SCONTROL) |
	    HVK_MSR_ENABLE);
}

static void
synic_disable(void *arg HVK_UNUSED)
{
	hyperv_wrmsr(HVK_MSR_SINT0 + BUS_SINT, HVK_SINT_MASKED);
	hyperv_wrmsr(HVK_MSR_SINT0 + BUS_TIMER_SINT, HVK_SINT_MASKED);
	hyperv_wrmsr(HVK_MSR_SCONTROL, hyperv_rdmsr(HVK_MSR_SCONTROL) &
	    ~HVK_MSR_ENABLE);
	page_register(HVK_MSR_SIMP, NULL);
	page_register(HVK_MSR_SIEFP, NULL);
}

/* On every processor, one after the other. */
static bool
everywhere(void (*func)(void *))
{
	func(NULL);
	for (uint32_t i = 1; i < port_ncpus; i++) {
		port_cpu_run(i, func, NULL);
		if (!port_cpu_wait(i, 10000))
			return (false);
	}
	return (true);
}

int
bus_synic_start(void)
{
	for (uint32_t i = 0; i < port_ncpus; i++) {
		port_cpus[i].messages = port_pages(1);
		port_cpus[i].events = port_pages(1);
	}
	bus_auto_eoi = hyperv_md_auto_eoi();
	vector = hyperv_md_intr_setup();
	if (vector < 0 || !everywhere(synic_enable))
		return (HVK_STATE);
	return (HVK_OK);
}

void
bus_synic_stop(void)
{
	if (vector < 0 || !everywhere(synic_disable))
		return;
	hyperv_md_intr_teardown(vector);
	vector = -1;
	for (uint32_t i = 0; i < port_ncpus; i++) {
		port_pages_free(unvolatile(port_cpus[i].messages), 1);
		port_pages_free(unvolatile(port_cpus[i].events), 1);
		port_cpus[i].messages = NULL;
		port_cpus[i].events = NULL;
	}
}

/* Copy a slot's message out and free the slot; on its own processor. */
static bool
take(volatile struct hvk_synic_message *slot, struct hvk_synic_message *msg)
{
	uint32_t type;

	type = __atomic_load_n(&slot->type, __ATOMIC_ACQUIRE);
	if (type == HVK_SYNIC_NONE)
		return (false);
	hvk_copy(msg, unvolatile(slot), sizeof(*msg));
	msg->type = type;
	__atomic_store_n(&slot->type, HVK_SYNIC_NONE, __ATOMIC_RELEASE);
	/* The slot must be free before anybody asks for the next. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (slot->flags & HVK_SYNIC_PENDING)
		hyperv_wrmsr(HVK_MSR_EOM, 0);
	return (true);
}

bool
bus_synic_message(struct hvk_synic_message *msg)
{
	struct port_cpu *cpu = &port_cpus[0];

	return (cpu->messages != NULL && take(&cpu->messages[BUS_SINT], msg));
}

static void
timer_message(struct port_cpu *cpu)
{
	struct hvk_synic_message msg;
	struct hvk_timer_message t;
	struct bus_timer *bt;

	if (!take(&cpu->messages[BUS_TIMER_SINT], &msg) ||
	    msg.type != HVK_SYNIC_TIMER)
		return;
	hvk_copy(&t, msg.payload, sizeof(t));
	if (t.timer >= BUS_TIMERS)
		return;
	bt = &bus_timers[cpu->index][t.timer];
	bt->seen = port_reference();
	bt->expiration = t.expiration;
	bt->delivery = t.delivery;
	bt->count++;
}

static void
events(struct port_cpu *cpu)
{
	volatile uint64_t *words = cpu->events + BUS_SINT *
	    HVK_EVENT_FLAGS_SIZE / sizeof(uint64_t);
	struct bus_chan *chan;
	uint64_t flags;
	uint32_t relid;

	for (uint32_t i = 0; i <= bus_relid_max / 64; i++) {
		if (words[i] == 0)
			continue;
		flags = __atomic_exchange_n(&words[i], 0, __ATOMIC_SEQ_CST);
		for (; flags != 0; flags &= flags - 1) {
			relid = i * 64 + (uint32_t)__builtin_ctzll(flags);
			chan = relid < BUS_RELIDS ? bus_by_relid[relid] : NULL;
			if (chan == NULL)
				continue;
			chan->interrupts++;
			chan->pending = 1;
			/* No more of them until the thread has drained it. */
			hvk_ring_rx_mask(&chan->rx);
		}
	}
}

/* Interrupts are disabled; entered from start.S. */
void
hyperv_isr(struct trapframe *frame HVK_UNUSED)
{
	struct port_cpu *cpu = port_self();

	cpu->interrupts++;
	cpu->work = 1;
	if (cpu->messages != NULL && cpu->events != NULL) {
		events(cpu);
		timer_message(cpu);
	}
	if (!bus_auto_eoi)
		hyperv_md_eoi();
}

void	port_direct_isr(void *);

void
port_direct_isr(void *frame HVK_UNUSED)
{
	struct port_cpu *cpu = port_self();

	cpu->direct_at = port_reference();
	cpu->direct++;
	cpu->work = 1;
	port_eoi();
}

/* The order in which the registers of a timer may be written. */
void
bus_timer_start(uint32_t timer, uint64_t config, uint64_t count)
{
	hyperv_wrmsr(HVK_MSR_STIMER0_CONFIG + 2 * timer, 0);
	if ((config & HVK_STIMER_ENABLE) == 0)
		return;
	hyperv_wrmsr(HVK_MSR_STIMER0_COUNT + 2 * timer, count);
	hyperv_wrmsr(HVK_MSR_STIMER0_CONFIG + 2 * timer, config);
}
