/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * A processor: interrupt table, exceptions, local APIC.  The table is shared and
 * filled before the second processor starts; vectors are given out on the first
 * processor only.
 */

#include "port.h"

#define	CODE64		0x08
#define	MSR_GS_BASE	0xc0000101u
#define	GATE		0x8e00ull		/* present, interrupt gate */

#define	LAPIC		0xfee00000u
#define	LAPIC_ID	0x020
#define	LAPIC_TPR	0x080
#define	LAPIC_EOI	0x0b0
#define	LAPIC_SVR	0x0f0
#define	LAPIC_ICR	0x300
#define	LAPIC_ICR_HIGH	0x310
#define	LAPIC_LVT_TIMER	0x320
#define	LAPIC_LVT_LINT0	0x350
#define	LAPIC_TIMER	0x380
#define	LAPIC_DIVIDE	0x3e0
#define	LAPIC_ENABLE	0x100u
#define	LAPIC_MASKED	0x10000u
#define	ICR_BUSY	0x1000u

#define	IDLE_TICK	2000000u	/* 2 to 50 ms, whatever the clock */

struct gate {
	uint64_t	low;
	uint64_t	high;
};

struct frame {
	uint64_t	rbx, r11, r10, r9, r8, rdi, rsi, rdx, rcx, rax;
	uint64_t	number, error, rip, cs, rflags, rsp, ss;
};

struct port_cpu port_cpus[PORT_CPUS];
uint32_t port_ncpus;

static struct gate idt[256] __attribute__((__aligned__(4096)));
static bool taken[256];

extern char exceptions[], Xtimer[], Xdirect[], Xspurious[];
extern char try_rdmsr_at[], try_wrmsr_at[], try_failed[];
extern uint64_t boot_pd[];

void	port_exception(struct frame *);
void	port_timer_isr(void *);
void	port_direct_isr(void *);
void	port_spurious_isr(void *);

static void
lapic_write(uint32_t reg, uint32_t value)
{
	*(volatile uint32_t *)(uintptr_t)(LAPIC + reg) = value;
}

static uint32_t
lapic_read(uint32_t reg)
{
	return (*(volatile uint32_t *)(uintptr_t)(LAPIC + reg));
}

static void
gate_set(uint32_t vector, const void *entry)
{
	uint64_t at = (uintptr_t)entry;

	idt[vector].low = (at & 0xffff) | CODE64 << 16 | GATE << 32 |
	    (at >> 16 & 0xffff) << 48;
	idt[vector].high = at >> 32;
}

/* Each exception's entry is 16 bytes long. */
void
port_idt_init(void)
{
	for (uint32_t i = 0; i < 20; i++)
		gate_set(i, exceptions + 16 * i);
	gate_set(PORT_VECTOR_TIMER, Xtimer);
	gate_set(PORT_VECTOR_DIRECT, Xdirect);
	gate_set(PORT_VECTOR_SPURIOUS, Xspurious);
	/* The LAPIC's registers are not to be cached. */
	boot_pd[LAPIC >> 21] |= 0x18;
}

void
port_cpu_init(struct port_cpu *cpu)
{
	struct {
		uint16_t	limit;
		uint64_t	base;
	} __attribute__((__packed__)) pointer;

	cpu->self = cpu;
	cpu->index = (uint32_t)(cpu - port_cpus);
	port_wrmsr(MSR_GS_BASE, (uintptr_t)cpu);
	pointer.limit = sizeof(idt) - 1;
	pointer.base = (uintptr_t)idt;
	__asm__ __volatile__("lidt %0" : : "m" (pointer));
	cpu->apic_id = lapic_read(LAPIC_ID) >> 24;
	lapic_write(LAPIC_TPR, 0);
	lapic_write(LAPIC_SVR, LAPIC_ENABLE | PORT_VECTOR_SPURIOUS);
	lapic_write(LAPIC_LVT_LINT0, LAPIC_MASKED);
	lapic_write(LAPIC_DIVIDE, 0x3);		/* by 16 */
	lapic_write(LAPIC_LVT_TIMER, PORT_VECTOR_TIMER);
	cpu->online = 1;
	__asm__ __volatile__("sti" : : : "memory");
}

int
port_vector_alloc(void (*entry)(void))
{
	for (int v = PORT_VECTOR_FIRST; v < PORT_VECTOR_SPURIOUS; v++) {
		if (!taken[v]) {
			taken[v] = true;
			gate_set((uint32_t)v, (const void *)(uintptr_t)entry);
			return (v);
		}
	}
	return (-1);
}

void
port_vector_free(int vector)
{
	taken[vector] = false;
	gate_set((uint32_t)vector, Xspurious);
}

void
port_eoi(void)
{
	lapic_write(LAPIC_EOI, 0);
}

void
port_ipi(uint32_t apic_id, uint32_t command)
{
	lapic_write(LAPIC_ICR_HIGH, apic_id << 24);
	lapic_write(LAPIC_ICR, command);
	for (int i = 0; i < 100000; i++) {
		if ((lapic_read(LAPIC_ICR) & ICR_BUSY) == 0)
			return;
		port_pause();
	}
}

/*
 * Sleep until something happens, or until the timer says to look again.  An
 * interrupt between the test and the halt is not lost: sti takes effect after
 * the next instruction.
 */
void
port_idle(struct port_cpu *cpu)
{
	__asm__ __volatile__("cli" : : : "memory");
	if (cpu->work == 0 && cpu->run == NULL) {
		lapic_write(LAPIC_TIMER, IDLE_TICK / 16);
		__asm__ __volatile__("sti; hlt" : : : "memory");
	} else
		__asm__ __volatile__("sti" : : : "memory");
}

void
port_timer_isr(void *frame HVK_UNUSED)
{
	port_self()->ticks++;
	port_eoi();
}

void
port_spurious_isr(void *frame HVK_UNUSED)
{
}

void
port_exception(struct frame *f)
{
	char why[64];

	if (f->number == 13 && (f->rip == (uintptr_t)try_rdmsr_at ||
	    f->rip == (uintptr_t)try_wrmsr_at)) {
		f->rip = (uintptr_t)try_failed;
		return;
	}
	port_snprintf(why, sizeof(why), "exception %lu error 0x%lx at 0x%lx",
	    f->number, f->error, f->rip);
	port_stop(why);
}
