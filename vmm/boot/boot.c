/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * Loads a kernel: finds out what the file is, and has it loaded the way it
 * wants.
 *
 * Locking: none.  Runs once, before the guest's processors.
 */
#include <elf.h>
#include <errno.h>
#include <string.h>

#include <hvk/acpi.h>

#include "boot_int.h"

#define	KERNEL_MAX	(512ull << 20)

static int
tables(struct boot *b)
{
	struct acpi_config a = {
		.ncpus = b->conf->ncpus,
		.legacy = !b->conf->gen2,
		.base = PLAT_ACPI_BASE,
		.low = { b->conf->gap_start, b->conf->gap_size },
		.high = { b->conf->high_start, b->conf->high_size },
	};
	uint8_t *to;

	to = guest_mem_view(b->mem, PLAT_ACPI_BASE, PLAT_ACPI_SIZE);
	if (to == NULL)
		return (BOOT_FAIL(b, -ENOMEM, "no memory for ACPI tables"));
	return (acpi_build(&a, to, PLAT_ACPI_SIZE, &b->rsdp, b->err,
	    b->errlen));
}

static int
detect(struct boot *b, enum boot_protocol *protocol)
{
	const struct boot_image *im = &b->kernel;
	bool elf;

	elf = im->len >= SELFMAG && memcmp(im->data, ELFMAG, SELFMAG) == 0;
	if (!elf && !boot_linux_is(im))
		return (BOOT_FAIL(b, -ENOEXEC, "%s is no kernel: neither a "
		    "Linux bzImage nor an ELF file", b->conf->kernel));
	if (*protocol == BOOT_AUTO)
		*protocol = !elf ? BOOT_LINUX : boot_freebsd_is(im) ?
		    BOOT_FREEBSD : BOOT_PVH;
	if (elf == (*protocol == BOOT_LINUX))
		return (BOOT_FAIL(b, -ENOEXEC, "%s is %s, which does not boot "
		    "by the protocol that was asked for", b->conf->kernel,
		    elf ? "an ELF file" : "a Linux bzImage"));
	if (*protocol == BOOT_FREEBSD && !boot_freebsd_is(im))
		return (BOOT_FAIL(b, -ENOEXEC, "%s is no FreeBSD kernel for "
		    "amd64", b->conf->kernel));
	return (0);
}

/* What only FreeBSD's loader(8) would pass on. */
static int
extras(struct boot *b, enum boot_protocol protocol)
{
	const struct boot_config *c = b->conf;

	if (protocol == BOOT_FREEBSD) {
		if (c->initrd == NULL)
			return (0);
		return (BOOT_FAIL(b, -EINVAL, "a FreeBSD kernel takes "
		    "--mfsroot, not --initrd"));
	}
	if (c->mfsroot != NULL || c->nmodules != 0 || c->nenv != 0)
		return (BOOT_FAIL(b, -EINVAL, "%s: --module, --env and "
		    "--mfsroot are for a FreeBSD kernel by its own protocol",
		    c->kernel));
	return (0);
}

int
boot_load(const struct boot_config *conf, struct guest_mem *mem,
    struct boot_cpu *cpu, char *err, size_t errlen)
{
	struct boot b = { .conf = conf, .mem = mem, .cpu = cpu, .err = err,
	    .errlen = errlen };
	enum boot_protocol protocol = conf->protocol;
	int error;

	memset(cpu, 0, sizeof(*cpu));
	if (conf->kernel == NULL)
		return (BOOT_FAIL(&b, -EINVAL, "no kernel is named"));
	error = boot_map_make(&b);
	if (error == 0)
		error = boot_file_read(&b, &b.kernel, conf->kernel, "kernel",
		    KERNEL_MAX);
	if (error != 0)
		return (error);
	error = detect(&b, &protocol);
	if (error == 0)
		error = extras(&b, protocol);
	if (error == 0)
		error = tables(&b);
	if (error == 0)
		error = protocol == BOOT_LINUX ? boot_linux(&b) :
		    protocol == BOOT_PVH ? boot_pvh(&b) : boot_freebsd(&b);
	cpu->protocol = protocol;
	boot_file_free(&b.kernel);
	return (error);
}
