/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * The memory map, and what a processor needs before the first instruction: a
 * descriptor table and page tables.
 */
#include <errno.h>
#include <string.h>

#include "boot_int.h"

#define	PTE_P		0x001u
#define	PTE_W		0x002u
#define	PTE_U		0x004u
#define	PTE_PS		0x080u
#define	PTES		512u
#define	PAGE_2M		0x00200000ull

static void
add(struct boot *b, uint64_t start, uint64_t end, uint32_t type)
{

	if (start < end)
		b->map[b->nmap++] = (struct boot_range){ start, end - start,
		    type };
}

int
boot_map_make(struct boot *b)
{
	const struct boot_config *c = b->conf;
	uint64_t size = b->mem->size, gap_end = c->gap_start + c->gap_size;

	if (gap_end < c->gap_start || (c->gap_size != 0 &&
	    c->gap_start < BOOT_MIN_MEM))
		return (BOOT_FAIL(b, -EINVAL, "the MMIO gap at %#llx leaves no "
		    "room for a kernel below it",
		    (unsigned long long)c->gap_start));
	/* The interrupt chips are where they are. */
	if (size > PLAT_IOAPIC && (c->gap_size == 0 || c->gap_start >
	    PLAT_IOAPIC || gap_end < 1ull << 32))
		return (BOOT_FAIL(b, -EINVAL, "%llu MiB of memory need an MMIO "
		    "gap from %#llx or below up to 4 GiB",
		    (unsigned long long)(size >> 20),
		    (unsigned long long)PLAT_IOAPIC));
	b->low_end = size;
	if (c->gap_size != 0 && c->gap_start < size)
		b->low_end = c->gap_start;
	if (b->low_end < BOOT_MIN_MEM)
		return (BOOT_FAIL(b, -ENOMEM, "%llu MiB of memory are too "
		    "little for a kernel; try --memory 256M",
		    (unsigned long long)(size >> 20)));
	add(b, 0, BOOT_LOW_END, BOOT_RAM);
	add(b, PLAT_ACPI_BASE, PLAT_ACPI_BASE + PLAT_ACPI_SIZE, BOOT_ACPI);
	add(b, BOOT_HIGH, b->low_end, BOOT_RAM);
	if (b->low_end < size)
		add(b, gap_end, size, BOOT_RAM);
	return (0);
}

int
boot_write(struct boot *b, uint64_t gpa, const void *from, uint64_t len,
    const char *what)
{
	void *to;

	to = guest_mem_view(b->mem, gpa, len);
	if (to == NULL)
		return (BOOT_FAIL(b, -EFBIG, "%s: %llu bytes at %#llx are not "
		    "in guest memory; give the guest more --memory", what,
		    (unsigned long long)len, (unsigned long long)gpa));
	if (len != 0)
		memcpy(to, from, len);
	return (0);
}

int
boot_zero(struct boot *b, uint64_t gpa, uint64_t len, const char *what)
{
	void *to;

	to = guest_mem_view(b->mem, gpa, len);
	if (to == NULL)
		return (BOOT_FAIL(b, -EFBIG, "%s: %llu bytes at %#llx are not "
		    "in guest memory; give the guest more --memory", what,
		    (unsigned long long)len, (unsigned long long)gpa));
	memset(to, 0, len);
	return (0);
}

bool
boot_is_low(const struct boot *b, uint64_t gpa, uint64_t len)
{

	return (gpa >= BOOT_HIGH && gpa <= b->low_end &&
	    len <= b->low_end - gpa);
}

int
boot_gdt(struct boot *b, bool long_mode)
{
	/* Null, unused, code, data, and a TSS of two slots. */
	uint64_t gdt[6] = { 0, 0, 0x00cf9b000000ffffull,
	    0x00cf93000000ffffull, 0x00008b0000000067ull, 0 };

	if (long_mode)
		gdt[2] = 0x00af9b000000ffffull;
	b->cpu->gdt_gpa = BOOT_GDT;
	b->cpu->gdt_limit = sizeof(gdt) - 1;
	b->cpu->long_mode = long_mode;
	return (boot_write(b, BOOT_GDT, gdt, sizeof(gdt), "descriptors"));
}

static int
table(struct boot *b, unsigned page, const uint64_t pte[PTES])
{

	return (boot_write(b, BOOT_TABLES + page * VMM_PAGE, pte, VMM_PAGE,
	    "page tables"));
}

int
boot_identity(struct boot *b)
{
	uint64_t pte[PTES];
	unsigned i, k;
	int error;

	memset(pte, 0, sizeof(pte));
	pte[0] = (BOOT_TABLES + VMM_PAGE) | PTE_P | PTE_W;
	error = table(b, 0, pte);
	memset(pte, 0, sizeof(pte));
	for (i = 0; i < 4; i++)
		pte[i] = (BOOT_TABLES + (2 + i) * VMM_PAGE) | PTE_P | PTE_W;
	if (error == 0)
		error = table(b, 1, pte);
	for (k = 0; k < 4 && error == 0; k++) {
		for (i = 0; i < PTES; i++)
			pte[i] = (k * PTES + i) * PAGE_2M | PTE_P | PTE_W |
			    PTE_PS;
		error = table(b, 2 + k, pte);
	}
	b->cpu->cr3 = BOOT_TABLES;
	return (error);
}

int
boot_alias(struct boot *b)
{
	uint64_t pte[PTES];
	unsigned i, level;
	int error = 0;

	for (level = 0; level < 2 && error == 0; level++) {
		for (i = 0; i < PTES; i++)
			pte[i] = (BOOT_TABLES + (level + 1) * VMM_PAGE) |
			    PTE_P | PTE_W | PTE_U;
		error = table(b, level, pte);
	}
	for (i = 0; i < PTES; i++)
		pte[i] = i * PAGE_2M | PTE_P | PTE_W | PTE_U | PTE_PS;
	if (error == 0)
		error = table(b, 2, pte);
	b->cpu->cr3 = BOOT_TABLES;
	return (error);
}
