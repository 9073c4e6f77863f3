/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * The small kernel of the freestanding guest: what a kernel must have before it
 * can take the guest core.  One thread on the first processor does everything;
 * the second one only runs what port_cpu_run() gives it.  Memory is mapped one
 * to one, so a pointer is a guest physical address.
 *
 * Locking: none but where said; interrupt handlers only set words that the
 * thread reads.
 */

#ifndef PORT_H
#define	PORT_H

#include <stdarg.h>

#include <hvk/types.h>
#include <hvk/error.h>
#include <hvk/wire/hv.h>

#define	PORT_CPUS		2u
#define	PORT_TRAMPOLINE		0x8000u		/* below 1 MiB; see start.S */
#define	PORT_STACK		16384u

#define	PORT_VECTOR_TIMER	0x40		/* LAPIC timer */
#define	PORT_VECTOR_DIRECT	0x41		/* synthetic timer, direct */
#define	PORT_VECTOR_FIRST	0x50		/* given out */
#define	PORT_VECTOR_SPURIOUS	0xff

/* A processor; the first word is the address of this, for %gs. */
struct port_cpu {
	struct port_cpu	*self;
	uint32_t	 index;
	uint32_t	 apic_id;
	volatile uint32_t online;
	/* port_cpu_run(): NULL when done */
	void (*volatile	 run)(void *);
	void		*run_arg;
	/* set by interrupts */
	volatile uint32_t work;			/* look at the SynIC */
	volatile uint32_t direct;		/* direct timer interrupts */
	volatile uint64_t direct_at;		/* reference time of the last */
	volatile uint32_t ticks;		/* LAPIC timer */
	/* the synthetic interrupt controller, synic.c */
	uint32_t	 vp;
	volatile struct hvk_synic_message *messages;	/* 16 slots */
	volatile uint64_t *events;		/* 16 times 2048 bits */
	volatile uint32_t interrupts;
};

extern struct port_cpu port_cpus[PORT_CPUS];
extern uint32_t port_ncpus;		/* that are running */

/* cpu.c */
void	 port_cpu_init(struct port_cpu *);	/* on the CPU itself */
void	 port_idt_init(void);
int	 port_vector_alloc(void (*entry)(void));
void	 port_vector_free(int vector);
void	 port_eoi(void);
void	 port_idle(struct port_cpu *);		/* until an interrupt, or soon */
void	 port_ipi(uint32_t apic_id, uint32_t command);
bool	 try_rdmsr(uint32_t reg, uint64_t *);
bool	 try_wrmsr(uint32_t reg, uint64_t);

/* smp.c */
void	 port_smp_start(void);
/* Run it on a processor; start returns at once, wait until it is done. */
void	 port_cpu_run(uint32_t cpu, void (*)(void *), void *arg);
bool	 port_cpu_wait(uint32_t cpu, uint32_t ms);

/* memory.c: whole pages, zeroed, never NULL (an empty machine stops). */
void	 port_memory_init(uint64_t start_info);
void	*port_pages(uint32_t n);
void	 port_pages_free(void *, uint32_t n);
const char *port_command_line(void);
uint64_t port_rsdp(void);

/* acpi.c */
void	 port_acpi_init(uint64_t rsdp);
uint32_t port_acpi_cpus(uint32_t *apic_ids, uint32_t max);
void	 port_power_off(void) __attribute__((__noreturn__));

/* console.c: %[-][0][width][l]{c,s,d,u,x,b}; %b as in FreeBSD */
void	 port_console_init(void);
void	 port_printf(const char *, ...)
	    __attribute__((__format__(__printf__, 1, 2)));
int	 port_snprintf(char *, size_t, const char *, ...)
	    __attribute__((__format__(__printf__, 3, 4)));
int	 port_vsnprintf(char *, size_t, const char *, va_list)
	    __attribute__((__format__(__printf__, 3, 0)));
void	 port_stop(const char *why) __attribute__((__noreturn__));

/* time.c: nanoseconds since the start, on any processor */
void	 port_time_init(void);
uint64_t port_now(void);
uint64_t port_reference(void);		/* the MSR, 100 ns */
bool	 port_reference_page(uint64_t *);	/* false: not usable */
void	 port_delay_ms(uint32_t);

static inline uint64_t
port_rdtsc(void)
{
	uint32_t lo, hi;

	__asm__ __volatile__("lfence; rdtsc" : "=a" (lo), "=d" (hi) : :
	    "memory");
	return (lo | (uint64_t)hi << 32);
}

static inline uint64_t
port_rdmsr(uint32_t reg)
{
	uint32_t lo, hi;

	__asm__ __volatile__("rdmsr" : "=a" (lo), "=d" (hi) : "c" (reg) :
	    "memory");
	return (lo | (uint64_t)hi << 32);
}

static inline void
port_wrmsr(uint32_t reg, uint64_t value)
{
	__asm__ __volatile__("wrmsr" : : "c" (reg), "a" ((uint32_t)value),
	    "d" ((uint32_t)(value >> 32)) : "memory");
}

static inline void
port_outb(uint16_t port, uint8_t value)
{
	__asm__ __volatile__("outb %0, %1" : : "a" (value), "Nd" (port));
}

static inline void
port_outw(uint16_t port, uint16_t value)
{
	__asm__ __volatile__("outw %0, %1" : : "a" (value), "Nd" (port));
}

static inline uint8_t
port_inb(uint16_t port)
{
	uint8_t value;

	__asm__ __volatile__("inb %1, %0" : "=a" (value) : "Nd" (port));
	return (value);
}

static inline void
port_pause(void)
{
	__asm__ __volatile__("pause" : : : "memory");
}

static inline struct port_cpu *
port_self(void)
{
	struct port_cpu *cpu;

	__asm__ __volatile__("movq %%gs:0, %0" : "=r" (cpu));
	return (cpu);
}

#endif	/* !PORT_H */
