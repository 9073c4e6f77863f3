/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * The ACPI tables of a guest: RSDP, XSDT, FADT, FACS, MADT and DSDT in one
 * block of guest memory.  The platform that they describe is <hvk/boot.h>'s.
 */
#ifndef _HVK_ACPI_H_
#define	_HVK_ACPI_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct acpi_window {
	uint64_t	start;
	uint64_t	size;
};

struct acpi_config {
	uint32_t	ncpus;		/* 1 to 254 */
	bool		legacy;		/* PIC, PIT and RTC are there */
	uint64_t	base;		/* guest address of the block */
	struct acpi_window low;		/* MMIO below the interrupt chips */
	struct acpi_window high;	/* MMIO above memory; size 0: none */
};

/*
 * Write the tables into buf, which the guest will see at `base`.  *rsdp is the
 * RSDP's guest address.  0, or -errno with a line in err: no room, or a window
 * that cannot be.  Pure: no two calls share anything.
 */
int	acpi_build(const struct acpi_config *, uint8_t *buf, size_t len,
	    uint64_t *rsdp, char *err, size_t errlen);

#endif /* _HVK_ACPI_H_ */
