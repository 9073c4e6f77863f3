/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * The little of ACPI that this guest needs: how many processors there are, and
 * how to switch off.  There is no interpreter: the package _S5_ is looked for in
 * the DSDT's bytes, which is enough for tables that a monitor makes.
 * Facts: the ACPI specification, chapters 5 and 7.
 */

#include "port.h"

#define	TABLE_MAX	(1024u * 1024)
#define	SLEEP_ENABLE	(1u << 13)

struct table {
	char		signature[4];
	uint32_t	length;
	uint8_t		header[28];
	uint8_t		body[];
};

static const struct table *fadt, *madt, *dsdt;

static uint64_t
field(const struct table *t, uint32_t offset, uint32_t size)
{
	uint64_t value = 0;

	if (t == NULL || offset + size > t->length)
		return (0);
	hvk_copy(&value, (const uint8_t *)t + offset, size);
	return (value);
}

static const struct table *
table(uint64_t addr)
{
	const struct table *t = (const void *)(uintptr_t)addr;

	if (addr == 0 || addr >> 32 != 0 || t->length < 36 ||
	    t->length > TABLE_MAX)
		return (NULL);
	return (t);
}

void
port_acpi_init(uint64_t rsdp)
{
	const uint8_t *root = (const void *)(uintptr_t)rsdp;
	const struct table *sdt, *t;
	uint32_t step = 8;
	uint64_t addr = 0;

	if (rsdp == 0 || rsdp >> 32 != 0 || !hvk_same(root, "RSD PTR ", 8))
		return;
	if (root[15] >= 2)
		hvk_copy(&addr, root + 24, 8);
	if (addr == 0) {
		step = 4;
		hvk_copy(&addr, root + 16, 4);
	}
	sdt = table(addr);
	if (sdt == NULL)
		return;
	for (uint32_t at = 36; at + step <= sdt->length; at += step) {
		t = table(field(sdt, at, step));
		if (t == NULL)
			continue;
		if (hvk_same(t->signature, "FACP", 4))
			fadt = t;
		else if (hvk_same(t->signature, "APIC", 4))
			madt = t;
	}
	addr = field(fadt, 140, 8);
	dsdt = table(addr != 0 ? addr : field(fadt, 40, 4));
}

uint32_t
port_acpi_cpus(uint32_t *ids, uint32_t max)
{
	uint32_t n = 0, len;

	if (madt == NULL)
		return (0);
	for (uint32_t at = 44; at + 8 <= madt->length && n < max; at += len) {
		len = (uint32_t)field(madt, at + 1, 1);
		if (len < 2)
			break;
		/* A local APIC that is enabled. */
		if (field(madt, at, 1) == 0 && field(madt, at + 4, 4) & 1)
			ids[n++] = (uint32_t)field(madt, at + 3, 1);
	}
	return (n);
}

/* The value for sleep type 5: first element of the package. */
static uint32_t
soft_off(void)
{
	const uint8_t *p;

	for (uint32_t at = 36; dsdt != NULL && at + 12 < dsdt->length; at++) {
		p = (const uint8_t *)dsdt + at;
		/* "_S5_", PackageOp, PkgLength (1 byte), NumElements */
		if (!hvk_same(p, "_S5_", 4) || p[4] != 0x12)
			continue;
		if (p[7] == 0x0a)	/* BytePrefix */
			return (p[8]);
		return (p[7] <= 1 ? p[7] : 5);
	}
	return (5);
}

void
port_power_off(void)
{
	static const uint8_t no_idt[10] __attribute__((__aligned__(8)));
	uint32_t type = soft_off();
	uint16_t port;

	port = (uint16_t)field(fadt, 64, 4);		/* PM1a control */
	if (port != 0)
		port_outw(port, (uint16_t)(type << 10 | SLEEP_ENABLE));
	/* Without the hardware registers: the sleep control register. */
	if (field(fadt, 244, 1) == 1 && (port = (uint16_t)field(fadt, 248, 8)) != 0)
		port_outb(port, (uint8_t)(type << 2 | 0x20));
	port_delay_ms(1000);
	/* Not switched off: a triple fault at least stops this. */
	__asm__ __volatile__("lidt %0; int3" : : "m" (no_idt));
	for (;;)
		__asm__ __volatile__("cli; hlt");
}
