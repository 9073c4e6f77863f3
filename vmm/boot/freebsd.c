/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * A FreeBSD kernel for amd64, entered as loader(8) does: 64-bit mode, the
 * kernel at its linked address less KERNBASE, page tables that show the first
 * GiB again and again, the address of the records and the end of all that was
 * loaded on the stack.  In memory: kernel, symbols, modules, memory root,
 * environment, records.  Facts: sys/amd64/amd64/{locore.S,machdep.c},
 * sys/kern/subr_module.c.
 */
#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "boot_freebsd.h"

#define	HEADROOM	(16ull << 20)	/* for the kernel's first tables */

struct smap {
	uint64_t	base;
	uint64_t	length;
	uint32_t	type;
} __attribute__((packed));

struct kernel {
	struct boot_elf	e;
	Elf64_Ehdr	h;
	uint64_t	start;
	uint64_t	end;
	uint64_t	ssym;		/* 0: none */
	uint64_t	esym;
	uint64_t	dynamic;	/* address as linked; 0: none */
};

bool
boot_freebsd_is(const struct boot_image *im)
{
	Elf64_Ehdr h;

	if (im->len < sizeof(h))
		return (false);
	memcpy(&h, im->data, sizeof(h));
	return (memcmp(h.e_ident, ELFMAG, SELFMAG) == 0 &&
	    h.e_ident[EI_CLASS] == ELFCLASS64 && h.e_ident[EI_DATA] ==
	    ELFDATA2LSB && h.e_ident[EI_OSABI] == ELFOSABI_FREEBSD &&
	    h.e_machine == EM_X86_64 && (h.e_type == ET_EXEC ||
	    h.e_type == ET_DYN));
}

static uint64_t
page(uint64_t x)
{

	return ((x + VMM_PAGE - 1) & ~(uint64_t)(VMM_PAGE - 1));
}

static int
full(struct boot *b, const char *what)
{

	return (BOOT_FAIL(b, -EFBIG, "%s: no room for %s in the first GiB of "
	    "guest memory; give the guest more --memory", b->conf->kernel,
	    what));
}

/* A table as the debugger wants it: its size, then its bytes. */
static int
symbol_part(struct boot *b, struct kernel *k, const Elf64_Shdr *s)
{
	const void *p = boot_elf_at(&b->kernel, s->sh_offset, s->sh_size);
	uint64_t size = s->sh_size;
	int error;

	if (p == NULL)
		return (BOOT_FAIL(b, -ENOEXEC, "%s: truncated: its symbols are "
		    "not in the file", b->conf->kernel));
	if (!boot_is_low(b, k->end, 8 + size + 8) || k->end + size + 16 >
	    FREEBSD_TOP)
		return (full(b, "the symbols"));
	error = boot_write(b, k->end, &size, 8, "symbols");
	if (error == 0)
		error = boot_write(b, k->end + 8, p, size, "symbols");
	k->end = (k->end + 8 + size + 7) & ~7ull;
	return (error);
}

static int
symbols(struct boot *b, struct kernel *k)
{
	Elf64_Shdr names, s;
	unsigned i;
	int error;

	if (k->h.e_shentsize != sizeof(s) || boot_elf_at(&b->kernel,
	    k->h.e_shoff, k->h.e_shnum * sizeof(s)) == NULL)
		return (0);
	for (i = 0; i < k->h.e_shnum; i++) {
		memcpy(&s, b->kernel.data + k->h.e_shoff + i * sizeof(s),
		    sizeof(s));
		if (s.sh_type != SHT_SYMTAB || s.sh_size == 0 ||
		    s.sh_link >= k->h.e_shnum)
			continue;
		memcpy(&names, b->kernel.data + k->h.e_shoff + s.sh_link *
		    sizeof(s), sizeof(s));
		k->end = (k->end + 7) & ~7ull;
		k->ssym = k->end;
		error = symbol_part(b, k, &s);
		if (error == 0)
			error = symbol_part(b, k, &names);
		k->esym = k->end;
		return (error);
	}
	return (0);
}

static int
load(struct boot *b, struct kernel *k)
{
	struct boot_segment s;
	unsigned i;
	int error;

	error = boot_elf_open(b, &k->e);
	if (error != 0)
		return (error);
	memcpy(&k->h, b->kernel.data, sizeof(k->h));
	error = boot_elf_load(b, &k->e, true, FREEBSD_KERNBASE, &k->start,
	    &k->end);
	if (error != 0)
		return (error);
	if (k->end > FREEBSD_TOP)
		return (full(b, "the kernel"));
	if (k->e.entry - FREEBSD_KERNBASE < k->start ||
	    k->e.entry - FREEBSD_KERNBASE >= k->end)
		return (BOOT_FAIL(b, -ENOEXEC, "%s: its entry %#llx is outside "
		    "what it loads", b->conf->kernel,
		    (unsigned long long)k->e.entry));
	for (i = 0; i < k->e.phnum; i++) {
		boot_elf_segment(&b->kernel, &k->e, i, &s);
		if (s.type == PT_DYNAMIC)
			k->dynamic = s.vaddr;
	}
	return (symbols(b, k));
}

/* The kernel's own records; where KERNEND is to be filled in. */
static size_t
kernel_records(struct boot *b, const struct kernel *k, uint32_t howto,
    uint64_t envp, uint64_t modulep, struct boot_block *m)
{
	struct smap map[BOOT_RANGES];
	const void *sh;
	size_t at, len = k->h.e_shnum * sizeof(Elf64_Shdr);
	unsigned i;

	boot_meta_string(m, MODINFO_NAME, "/boot/kernel/kernel");
	boot_meta_string(m, MODINFO_TYPE, "elf kernel");
	boot_meta_u64(m, MODINFO_ADDR, k->start);
	boot_meta_u64(m, MODINFO_SIZE, k->end - k->start);
	boot_meta(m, MODINFO_METADATA | MODINFOMD_ELFHDR, &k->h,
	    sizeof(k->h));
	sh = k->h.e_shentsize == sizeof(Elf64_Shdr) ?
	    boot_elf_at(&b->kernel, k->h.e_shoff, len) : NULL;
	if (sh != NULL && len != 0)
		boot_meta(m, MODINFO_METADATA | MODINFOMD_SHDR, sh, len);
	if (k->ssym != 0) {
		boot_meta_u64(m, MODINFO_METADATA | MODINFOMD_SSYM, k->ssym);
		boot_meta_u64(m, MODINFO_METADATA | MODINFOMD_ESYM, k->esym);
	}
	if (k->dynamic != 0)
		boot_meta_u64(m, MODINFO_METADATA | MODINFOMD_DYNAMIC,
		    k->dynamic);
	boot_meta(m, MODINFO_METADATA | MODINFOMD_HOWTO, &howto,
	    sizeof(howto));
	boot_meta_u64(m, MODINFO_METADATA | MODINFOMD_ENVP, envp);
	boot_meta_u64(m, MODINFO_METADATA | MODINFOMD_MODULEP, modulep);
	for (i = 0; i < b->nmap; i++)
		map[i] = (struct smap){ b->map[i].start, b->map[i].size,
		    b->map[i].type };
	boot_meta(m, MODINFO_METADATA | MODINFOMD_SMAP, map, b->nmap *
	    sizeof(map[0]));
	at = boot_meta(m, MODINFO_METADATA | MODINFOMD_KERNEND, &(uint64_t){ 0 },
	    8);
	return (at);
}

/* Modules and memory root, from *end on, and their records. */
static int
extras(struct boot *b, uint64_t *end, struct boot_block *m)
{
	const struct boot_config *c = b->conf;
	uint64_t size;
	unsigned i;
	int error = 0;

	for (i = 0; i < c->nmodules && error == 0; i++)
		error = boot_freebsd_module(b, c->modules[i], end, m);
	if (error != 0 || c->mfsroot == NULL)
		return (error);
	error = boot_file_size(b, c->mfsroot, "memory root", &size);
	if (error != 0)
		return (error);
	*end = page(*end);
	if (!boot_is_low(b, *end, size) || *end + size > FREEBSD_TOP)
		return (full(b, "the memory root"));
	error = boot_file_load(b, c->mfsroot, "memory root", *end, size);
	boot_meta_string(m, MODINFO_NAME, "/boot/mfsroot");
	boot_meta_string(m, MODINFO_TYPE, "mfs_root");
	boot_meta_u64(m, MODINFO_ADDR, *end);
	boot_meta_u64(m, MODINFO_SIZE, size);
	*end += size;
	return (error);
}

/* Environment and records from `end` on, and the stack. */
static int
hand_over(struct boot *b, const struct kernel *k, uint64_t end,
    const struct boot_block *more)
{
	static const uint32_t finish[2];
	struct boot_block env = { 0 }, m = { 0 };
	uint64_t envp = page(end), kernend, modulep;
	uint32_t howto, stack[3] = { 0 };
	size_t at;
	int error;

	error = boot_freebsd_env(b, &env, &howto);
	if (error != 0)
		goto out;
	modulep = page(envp + env.len);
	at = kernel_records(b, k, howto, envp, modulep, &m);
	boot_block_add(&m, more->data, more->len);
	boot_block_add(&m, finish, sizeof(finish));
	if (m.failed || more->failed) {
		error = BOOT_FAIL(b, -ENOMEM, "no memory");
		goto out;
	}
	kernend = page(modulep + m.len);
	memcpy(m.data + at, &kernend, sizeof(kernend));
	if (!boot_is_low(b, kernend, HEADROOM) || kernend + HEADROOM >
	    FREEBSD_TOP) {
		error = full(b, "its environment");
		goto out;
	}
	error = boot_write(b, envp, env.data, env.len, "the environment");
	if (error == 0)
		error = boot_write(b, modulep, m.data, m.len, "records");
	stack[1] = (uint32_t)modulep;
	stack[2] = (uint32_t)kernend;
	if (error == 0)
		error = boot_write(b, BOOT_STACK, stack, sizeof(stack),
		    "the stack");
out:
	boot_block_free(&env);
	boot_block_free(&m);
	return (error);
}

int
boot_freebsd(struct boot *b)
{
	struct kernel k = { 0 };
	struct boot_block more = { 0 };
	uint64_t end;
	int error;

	error = load(b, &k);
	end = k.end;
	if (error == 0)
		error = extras(b, &end, &more);
	if (error == 0)
		error = hand_over(b, &k, end, &more);
	boot_block_free(&more);
	if (error == 0)
		error = boot_gdt(b, true);
	if (error == 0)
		error = boot_alias(b);
	b->cpu->rip = k.e.entry;
	b->cpu->rsp = BOOT_STACK;
	return (error);
}
