/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * Fuzz target: any accesses of a guest to the kvm engine's ports and I/O APIC,
 * with input, output, the power button and ends of interrupts in between.
 * Checks that a line is told only when it changes, and that what the serial
 * port gives out is what was written to it.
 *
 * Input: records of 8 bytes: what, size, port or offset (2), value (4).
 */
#include <stdlib.h>
#include <string.h>

#include <hvk/boot.h>

#include "dev/dev.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

struct rig {
	struct dev_ports ports;
	struct dev_uart	*uart;
	struct dev_power *power;
	struct dev_rtc	*rtc;
	struct dev_ioapic *ioapic;
	uint32_t	lines;
};

static void
on_line(void *arg, uint32_t gsi, bool level)
{
	struct rig *r = arg;

	if (gsi >= 32 || (r->lines >> gsi & 1) == level)
		abort();
	r->lines ^= 1u << gsi;
	dev_ioapic_line(r->ioapic, gsi, level);
}

static void
on_event(void *arg, enum dev_event event)
{
	(void)arg;
	if (event != DEV_POWER_OFF && event != DEV_RESET)
		abort();
}

static void
on_send(void *arg, const struct dev_message *m)
{
	(void)arg;
	if (m->address >> 20 != 0xfee)
		abort();
}

static void
on_routes(void *arg, const struct dev_message *m, unsigned n)
{
	(void)arg;
	(void)m;
	if (n != PLAT_IOAPIC_PINS)
		abort();
}

/* Ports that somebody has, more often than others. */
static uint16_t
port(uint16_t v)
{
	static const uint16_t some[] = { PLAT_COM1_PORT, PLAT_PM1_EVT,
	    PLAT_PM1_CNT, PLAT_PM_TMR, PLAT_RESET, 0x70, 0x64, 0x92, 0xcf9 };

	if (v % 16 < sizeof(some) / sizeof(some[0]))
		return ((uint16_t)(some[v % 16] + v / 16 % 8));
	return (v);
}

static void
step(struct rig *r, const uint8_t *p)
{
	unsigned size = 1u << p[1] % 3;
	uint16_t where;
	uint32_t value;
	uint8_t buf[64];

	memcpy(&where, p + 2, 2);
	memcpy(&value, p + 4, 4);
	switch (p[0] % 8) {
	case 0:
	case 1:
		dev_ports_write(&r->ports, port(where), size, value);
		break;
	case 2:
		(void)dev_ports_read(&r->ports, port(where), size);
		break;
	case 3:
		(void)dev_uart_input(r->uart, p[4]);
		break;
	case 4:
		if (dev_uart_output(r->uart, buf, p[4] % 65) > 64)
			abort();
		break;
	case 5:
		dev_ioapic_write(r->ioapic, where % 0x20 & ~15u, value);
		(void)dev_ioapic_read(r->ioapic, where % 0x30);
		break;
	case 6:
		dev_ioapic_eoi(r->ioapic, p[4]);
		(void)dev_power_button(r->power);
		break;
	default:
		if (p[1] % 8 == 0) {
			dev_uart_reset(r->uart);
			dev_power_reset(r->power);
		}
		break;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rig r;
	struct dev_machine m = { on_line, on_event, &r };
	struct dev_ioapic_ops ops = { on_send, on_routes, &r };
	struct dev_port p;

	memset(&r, 0, sizeof(r));
	r.ioapic = dev_ioapic_create(&ops);
	r.uart = dev_uart_create(&m, PLAT_COM1_IRQ);
	r.power = dev_power_create(&m, true);
	r.rtc = dev_rtc_create();
	if (r.ioapic == NULL || r.uart == NULL || r.power == NULL ||
	    r.rtc == NULL)
		abort();
	dev_uart_port(r.uart, PLAT_COM1_PORT, &p);
	if (dev_ports_add(&r.ports, &p) != 0 ||
	    dev_power_ports(r.power, &r.ports) != 0 ||
	    dev_rtc_ports(r.rtc, &r.ports) != 0)
		abort();
	for (; size >= 8; data += 8, size -= 8)
		step(&r, data);
	dev_uart_destroy(r.uart);
	dev_power_destroy(r.power);
	dev_rtc_destroy(r.rtc);
	dev_ioapic_destroy(r.ioapic);
	return (0);
}
