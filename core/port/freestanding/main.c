/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * The freestanding guest: starts the machine, runs every check in order and
 * switches off.  The last line says how many failed.
 *
 * Command line: "disk=write" lets the storage check overwrite the first 256 KiB
 * of the first disk (otherwise it only reads); "vmbus=no" stops before VMBus;
 * "vmbus=required" makes a host without it a failure rather than a skip.
 */

#include <stdarg.h>

#include "check.h"

static uint32_t passed, failed, skipped;

void	port_main(uint64_t start_info);

static void
line(const char *name, const char *verdict, const char *detail)
{
	port_printf("check %s %s %s\n", name, verdict, detail);
}

void
check(const char *name, bool ok, const char *fmt, ...)
{
	char detail[160];
	va_list ap;

	va_start(ap, fmt);
	port_vsnprintf(detail, sizeof(detail), fmt, ap);
	va_end(ap);
	line(name, ok ? "ok" : "fail", detail);
	if (ok)
		passed++;
	else
		failed++;
}

void
check_skip(const char *name, const char *why)
{
	line(name, "skip", why);
	skipped++;
}

bool
check_option(const char *name, const char *value)
{
	const char *p = port_command_line(), *n, *v;

	for (; *p != '\0'; p++) {
		for (n = name; *n != '\0' && *p == *n; n++)
			p++;
		if (*n == '\0' && *p == '=') {
			p++;
			for (v = value; *v != '\0' && *p == *v; v++)
				p++;
			if (*v == '\0' && (*p == '\0' || *p == ' '))
				return (true);
		}
		while (*p != '\0' && *p != ' ')
			p++;
		if (*p == '\0')
			break;
	}
	return (false);
}

static void
run(void)
{
	check_hypervisor();
	if (!hyperv_identify())
		return;
	check_time();
	if (bus_synic_start() != HVK_OK) {
		check("synic.start", false, "no vector or no second processor");
		return;
	}
	check("synic.start", true, "%u processors, %s", port_ncpus,
	    bus_auto_eoi ? "automatic EOI" : "EOI by the handler");
	check_timers();
	check_enlighten();
	if (!check_option("vmbus", "no")) {
		check_bus();
		if (bus_client.state == HVK_CLIENT_CONNECTED) {
			check_disk();
			check_net();
			check_unload();
		}
	}
	bus_synic_stop();
	hyperv_stop();
}

void
port_main(uint64_t start_info)
{
	port_console_init();
	port_printf("\nhvkit freestanding guest\n");
	port_memory_init(start_info);
	port_acpi_init(port_rsdp());
	port_idt_init();
	port_cpu_init(&port_cpus[0]);
	port_printf("command line: %s\n", port_command_line());
	/* The clock first: starting a processor waits. */
	if (hyperv_identify())
		port_time_init();
	port_smp_start();
	run();
	port_printf("checks: %u ok, %u failed, %u skipped\n", passed, failed,
	    skipped);
	port_power_off();
}
