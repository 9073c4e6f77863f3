/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * Loading a kernel into guest memory, and the platform that the tables handed
 * to it describe: the KVM engine provides what is named here.
 *
 * Three ways in, told apart by the file: Linux's bzImage (64-bit boot
 * protocol), a FreeBSD ELF kernel (64-bit, with loader(8)'s metadata), and any
 * ELF kernel with a PVH entry (32-bit protected mode, flat).
 */
#ifndef _HVK_BOOT_H_
#define	_HVK_BOOT_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct guest_mem;

/* ---- the platform: what the ACPI tables say is there. */
#define	PLAT_COM1_PORT	0x3f8u		/* 16550, 8 ports */
#define	PLAT_COM1_IRQ	4u
#define	PLAT_SCI_IRQ	9u		/* level, active high */
#define	PLAT_PM1_EVT	0x600u		/* status 2 bytes, enable 2 bytes */
#define	PLAT_PM1_CNT	0x604u		/* 2 bytes; SCI_EN reads as 1 */
#define	PLAT_PM_TMR	0x608u		/* 4 bytes, 3.579545 MHz, 32 bits */
#define	PLAT_NMI_REASON	0x61u		/* gen2: why an NMI came: nothing */
#define	PLAT_RESET	0x60cu		/* 1 byte: PLAT_RESET_VALUE resets */
#define	PLAT_RESET_VALUE 0x01u
#define	PLAT_S5_TYPE	5u		/* SLP_TYP that means power off */
#define	PLAT_IOAPIC	0xfec00000ull
#define	PLAT_IOAPIC_PINS 24u
#define	PLAT_LAPIC	0xfee00000ull

/* Guest memory below 1 MiB that boot_load fills in. */
#define	PLAT_ACPI_BASE	0x000e0000ull	/* tables; reserved in the map */
#define	PLAT_ACPI_SIZE	0x00020000ull

/* Selectors in the GDT that boot_load makes; the TSS is empty. */
#define	BOOT_SEL_CODE	0x10u
#define	BOOT_SEL_DATA	0x18u
#define	BOOT_SEL_TSS	0x20u

enum boot_protocol {
	BOOT_AUTO,			/* by the file */
	BOOT_LINUX,
	BOOT_PVH,
	BOOT_FREEBSD,
};

struct boot_config {
	const char	*kernel;	/* file names; NULL: none */
	const char	*initrd;
	const char	*cmdline;
	const char	*mfsroot;
	const char *const *modules;	/* FreeBSD .ko files */
	unsigned	nmodules;
	const char *const *env;		/* "name=value" */
	unsigned	nenv;
	uint32_t	ncpus;
	bool		gen2;		/* no PIC, PIT, RTC, i8042, VGA */
	uint64_t	gap_start;	/* MMIO gap below 4 GiB: not memory */
	uint64_t	gap_size;
	uint64_t	high_start;	/* MMIO window above memory */
	uint64_t	high_size;
	enum boot_protocol protocol;
};

/* Virtual processor 0 at entry.  The others wait for INIT and SIPI. */
struct boot_cpu {
	bool		long_mode;	/* false: 32-bit protected mode, flat */
	uint64_t	rip;
	uint64_t	rsp;
	uint64_t	rsi;
	uint64_t	rbx;
	uint64_t	cr3;		/* long mode only */
	uint64_t	gdt_gpa;
	uint16_t	gdt_limit;
	enum boot_protocol protocol;	/* what it was taken for */
};

/*
 * Load the kernel and what goes with it, write the memory map and the ACPI
 * tables.  Guest memory must be new (zero): it is [0, size) of guest_mem but
 * for the gap.  0, or -errno with one line in err; then nothing may run.
 * Call before the processors run; one caller at a time.
 */
int	boot_load(const struct boot_config *, struct guest_mem *,
	    struct boot_cpu *, char *err, size_t errlen);

#endif /* _HVK_BOOT_H_ */
