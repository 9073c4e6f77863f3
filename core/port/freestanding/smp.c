/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * The second processor: INIT and start-up IPIs as Intel's manual has them, then
 * a loop that runs one function after the other.  Both sides touch only `run',
 * whose change to NULL says that all that was done is visible.
 */

#include "port.h"

#define	ICR_INIT	0x4500u
#define	ICR_STARTUP	0x4600u
#define	ICR_FIXED	0x4000u

extern char trampoline[], trampoline_end[];

uint64_t ap_stack;		/* read by start.S */

void	port_ap_main(void) __attribute__((__noreturn__));

void
port_ap_main(void)
{
	struct port_cpu *cpu = &port_cpus[1];
	void (*run)(void *);

	port_cpu_init(cpu);
	for (;;) {
		run = cpu->run;
		if (run == NULL) {
			port_idle(cpu);
			continue;
		}
		run(cpu->run_arg);
		__atomic_store_n(&cpu->run, NULL, __ATOMIC_RELEASE);
	}
}

static bool
wait_online(struct port_cpu *cpu, uint32_t ms)
{
	uint64_t end = port_now() + (uint64_t)ms * 1000000;

	while (cpu->online == 0 && port_now() < end)
		port_pause();
	return (cpu->online != 0);
}

void
port_smp_start(void)
{
	uint32_t ids[PORT_CPUS], n;
	struct port_cpu *cpu = &port_cpus[1];

	port_ncpus = 1;
	n = port_acpi_cpus(ids, PORT_CPUS);
	if (n < 2)
		return;
	hvk_copy((void *)(uintptr_t)PORT_TRAMPOLINE, trampoline,
	    (size_t)(trampoline_end - trampoline));
	ap_stack = (uintptr_t)port_pages(PORT_STACK / HVK_PAGE_SIZE) +
	    PORT_STACK;
	port_ipi(ids[1], ICR_INIT);
	port_delay_ms(10);
	for (int i = 0; i < 2; i++) {
		port_ipi(ids[1], ICR_STARTUP | PORT_TRAMPOLINE >> 12);
		if (wait_online(cpu, i == 0 ? 100 : 10000))
			break;
	}
	if (cpu->online != 0)
		port_ncpus = 2;
}

void
port_cpu_run(uint32_t index, void (*func)(void *), void *arg)
{
	struct port_cpu *cpu = &port_cpus[index];

	cpu->run_arg = arg;
	__atomic_store_n(&cpu->run, func, __ATOMIC_RELEASE);
	port_ipi(cpu->apic_id, ICR_FIXED | PORT_VECTOR_TIMER);
}

bool
port_cpu_wait(uint32_t index, uint32_t ms)
{
	struct port_cpu *cpu = &port_cpus[index];
	uint64_t end = port_now() + (uint64_t)ms * 1000000;

	while (__atomic_load_n(&cpu->run, __ATOMIC_ACQUIRE) != NULL) {
		if (port_now() >= end)
			return (false);
		port_pause();
	}
	return (true);
}
