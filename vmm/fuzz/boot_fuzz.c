/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * Fuzz target: any bytes as a kernel, or as a module of a FreeBSD kernel.
 * Checks that what loads would start inside guest memory, and that what does
 * not says why in one line.
 *
 * Input: one byte, 0: kernel, 1: module; then the file.
 */
#include <sys/mman.h>

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <hvk/boot.h>
#include <hvk/vmm.h>

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

#define	KERNBASE	0xffffffff80000000ull

static int
file_of(const void *p, size_t len)
{
	int fd = memfd_create("boot", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, (off_t)len) != 0 ||
	    pwrite(fd, p, len, 0) != (ssize_t)len)
		abort();
	return (fd);
}

/* The smallest kernel that takes a module. */
static int
kernel(void)
{
	struct {
		Elf64_Ehdr	h;
		Elf64_Phdr	p;
		char		text[64];
	} k;

	memset(&k, 0, sizeof(k));
	memcpy(k.h.e_ident, ELFMAG "\2\1\1\11", 8);
	k.h.e_type = ET_EXEC;
	k.h.e_machine = EM_X86_64;
	k.h.e_entry = KERNBASE + (2 << 20);
	k.h.e_phoff = sizeof(k.h);
	k.h.e_phentsize = sizeof(k.p);
	k.h.e_phnum = 1;
	k.p = (Elf64_Phdr){ PT_LOAD, PF_X, sizeof(k.h) + sizeof(k.p),
	    KERNBASE + (2 << 20), 0, 64, 64, 1 };
	return (file_of(&k, sizeof(k)));
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t len)
{
	static struct guest_mem mem;
	static char base[40];
	char path[40], err[VMM_ERRLEN] = "";
	const char *modules[1] = { path };
	struct boot_config c = { .kernel = path, .ncpus = 1,
	    .gap_start = 0xf8000000u, .gap_size = 0x08000000u };
	struct boot_cpu cpu;
	uint64_t rip;
	int error, fd;

	if (mem.base == NULL) {
		if (guest_mem_create(&mem, 64 << 20, err, sizeof(err)) != 0)
			abort();
		snprintf(base, sizeof(base), "/proc/self/fd/%d", kernel());
	}
	if (len < 2)
		return (0);
	fd = file_of(p + 1, len - 1);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if ((p[0] & 1) != 0) {
		c.kernel = base;
		c.modules = modules;
		c.nmodules = 1;
	} else
		c.protocol = (enum boot_protocol)(p[0] >> 1 & 3);
	error = boot_load(&c, &mem, &cpu, err, sizeof(err));
	close(fd);
	if (error != 0) {
		if (error > 0 || err[0] == '\0' || strchr(err, '\n') != NULL)
			__builtin_trap();
		return (0);
	}
	rip = cpu.protocol == BOOT_FREEBSD ? cpu.rip - KERNBASE : cpu.rip;
	if (rip < 1 << 20 || rip >= mem.size)
		__builtin_trap();
	return (0);
}
