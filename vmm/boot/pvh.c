/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * Any ELF kernel with a PVH entry: 32-bit protected mode without paging, the
 * address of a start information block in EBX.  The block comes last in memory,
 * after all that it points to: a FreeBSD kernel takes what lies beyond it for
 * free.  Facts: Xen's public headers (elfnote.h, arch-x86/hvm/start_info.h).
 */
#include <elf.h>
#include <errno.h>
#include <string.h>

#include "boot_elf.h"

#define	NOTE_PADDR_OFFSET	5u
#define	NOTE_PHYS32_ENTRY	18u
#define	START_MAGIC		0x336ec578u

struct start_info {
	uint32_t	magic;
	uint32_t	version;
	uint32_t	flags;
	uint32_t	nr_modules;
	uint64_t	modlist;
	uint64_t	cmdline;
	uint64_t	rsdp;
	uint64_t	memmap;
	uint32_t	memmap_entries;
	uint32_t	reserved;
};

struct module_entry {
	uint64_t	paddr;
	uint64_t	size;
	uint64_t	cmdline;
	uint64_t	reserved;
};

struct memmap_entry {
	uint64_t	addr;
	uint64_t	size;
	uint32_t	type;
	uint32_t	reserved;
};

static uint64_t
page(uint64_t x)
{

	return ((x + VMM_PAGE - 1) & ~(uint64_t)(VMM_PAGE - 1));
}

/* What the block points to, and the block, from *end on. */
static int
start_info(struct boot *b, uint64_t end, const struct module_entry *m)
{
	struct start_info si = { .magic = START_MAGIC, .version = 1,
	    .rsdp = b->rsdp };
	struct memmap_entry e;
	const char *s = b->conf->cmdline != NULL ? b->conf->cmdline : "";
	size_t len = strlen(s) + 1;
	int error = 0;
	unsigned i;

	if (len > BOOT_CMDLINE_MAX)
		return (BOOT_FAIL(b, -E2BIG, "a command line of %zu "
		    "characters is too long", len));
	if (!boot_is_low(b, end, page(len) + 2 * VMM_PAGE))
		return (BOOT_FAIL(b, -EFBIG, "%s does not fit into guest "
		    "memory; give the guest more --memory", b->conf->kernel));
	si.cmdline = end;
	error = boot_write(b, end, s, len, "the command line");
	end = page(end + len);
	si.memmap = end;
	si.memmap_entries = b->nmap;
	for (i = 0; i < b->nmap && error == 0; i++) {
		e = (struct memmap_entry){ b->map[i].start, b->map[i].size,
		    b->map[i].type, 0 };
		error = boot_write(b, end, &e, sizeof(e), "the memory map");
		end += sizeof(e);
	}
	if (m->size != 0 && error == 0) {
		si.nr_modules = 1;
		si.modlist = end;
		error = boot_write(b, end, m, sizeof(*m), "the module list");
		end += sizeof(*m);
	}
	end = page(end);
	b->cpu->rbx = end;
	if (error == 0)
		error = boot_write(b, end, &si, sizeof(si), "start info");
	return (error);
}

int
boot_pvh(struct boot *b)
{
	struct module_entry m = { 0 };
	struct boot_elf e;
	uint64_t end, entry, minus = 0, start;
	int error;

	error = boot_elf_open(b, &e);
	if (error != 0)
		return (error);
	if (!boot_elf_note(&b->kernel, &e, NOTE_PHYS32_ENTRY, &entry))
		return (BOOT_FAIL(b, -ENOEXEC, "%s has no PVH entry (ELF note "
		    "Xen 18); it is not a kernel for this machine",
		    b->conf->kernel));
	(void)boot_elf_note(&b->kernel, &e, NOTE_PADDR_OFFSET, &minus);
	error = boot_elf_load(b, &e, false, minus, &start, &end);
	if (error != 0)
		return (error);
	if (entry < start || entry >= end)
		return (BOOT_FAIL(b, -ENOEXEC, "%s: its PVH entry %#llx is "
		    "outside what it loads", b->conf->kernel,
		    (unsigned long long)entry));
	end = page(end);
	if (b->conf->initrd != NULL) {
		error = boot_file_size(b, b->conf->initrd, "initrd", &m.size);
		if (error != 0)
			return (error);
		if (!boot_is_low(b, end, m.size))
			return (BOOT_FAIL(b, -EFBIG, "the initrd %s does not "
			    "fit beside the kernel; give the guest more "
			    "--memory", b->conf->initrd));
		m.paddr = end;
		error = boot_file_load(b, b->conf->initrd, "initrd", end,
		    m.size);
		end = page(end + m.size);
	}
	if (error == 0)
		error = start_info(b, end, &m);
	if (error == 0)
		error = boot_gdt(b, false);
	b->cpu->rip = entry;
	return (error);
}
