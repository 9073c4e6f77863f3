/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * A FreeBSD kernel module, preloaded: the sections of a relocatable file laid
 * out one after the other, unrelocated, and a copy of the section headers that
 * tells the kernel where each of them is.  Facts: the order and alignment that
 * the kernel's linker (sys/kern/link_elf_obj.c) expects of a preloaded file.
 */
#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "boot_freebsd.h"

#define	MODULE_MAX	(64ull << 20)
#define	SECTIONS_MAX	4096u
#define	ALIGN_MAX	(1ull << 21)

struct kld {
	struct boot	*b;
	const char	*path;
	struct boot_image im;
	Elf64_Ehdr	h;
	Elf64_Shdr	*sh;		/* private copy; sh_addr is ours */
	uint64_t	end;
};

static int
bad(const struct kld *k, const char *why)
{

	return (BOOT_FAIL(k->b, -ENOEXEC, "module %s: %s", k->path, why));
}

static int
check(struct kld *k)
{
	uint64_t len;

	if (k->im.len < sizeof(k->h) || memcmp(k->im.data, ELFMAG,
	    SELFMAG) != 0)
		return (bad(k, "not an ELF file"));
	memcpy(&k->h, k->im.data, sizeof(k->h));
	if (k->h.e_ident[EI_CLASS] != ELFCLASS64 || k->h.e_ident[EI_DATA] !=
	    ELFDATA2LSB || k->h.e_machine != EM_X86_64)
		return (bad(k, "for another machine than amd64"));
	if (k->h.e_type != ET_REL || k->h.e_ident[EI_OSABI] !=
	    ELFOSABI_FREEBSD)
		return (bad(k, "not a FreeBSD kernel module"));
	if (k->h.e_shentsize != sizeof(Elf64_Shdr) || k->h.e_shnum == 0 ||
	    k->h.e_shnum > SECTIONS_MAX)
		return (bad(k, "no section headers"));
	len = k->h.e_shnum * sizeof(Elf64_Shdr);
	if (boot_elf_at(&k->im, k->h.e_shoff, len) == NULL)
		return (bad(k, "truncated: its section headers are missing"));
	k->sh = malloc(len);
	if (k->sh == NULL)
		return (BOOT_FAIL(k->b, -ENOMEM, "no memory"));
	memcpy(k->sh, k->im.data + k->h.e_shoff, len);
	for (unsigned i = 0; i < k->h.e_shnum; i++)
		k->sh[i].sh_addr = 0;
	return (0);
}

/* Give a section its place, and its bytes. */
static int
place(struct kld *k, Elf64_Shdr *s)
{
	uint64_t align = s->sh_addralign == 0 ? 1 : s->sh_addralign;
	const void *from = NULL;
	uint64_t at;

	if (align > ALIGN_MAX || (align & (align - 1)) != 0)
		return (bad(k, "a section has an impossible alignment"));
	at = (k->end + align - 1) & ~(align - 1);
	if (s->sh_type != SHT_NOBITS) {
		from = boot_elf_at(&k->im, s->sh_offset, s->sh_size);
		if (from == NULL)
			return (bad(k, "truncated: a section is not in the "
			    "file"));
	}
	if (!boot_is_low(k->b, at, s->sh_size) || at + s->sh_size >
	    FREEBSD_TOP)
		return (BOOT_FAIL(k->b, -EFBIG, "module %s does not fit into "
		    "guest memory; give the guest more --memory", k->path));
	s->sh_addr = at;
	k->end = at + s->sh_size;
	if (from == NULL)
		return (boot_zero(k->b, at, s->sh_size, k->path));
	return (boot_write(k->b, at, from, s->sh_size, k->path));
}

static bool
is_program(const Elf64_Shdr *s)
{

	if (s->sh_size == 0 || (s->sh_flags & SHF_ALLOC) == 0)
		return (false);
	switch (s->sh_type) {
	case SHT_PROGBITS:
	case SHT_NOBITS:
	case SHT_INIT_ARRAY:
	case SHT_FINI_ARRAY:
	case 0x70000001u:		/* SHT_X86_64_UNWIND */
		return (true);
	}
	return (false);
}

/* The symbol table, its strings and the names of the sections. */
static int
symbols(struct kld *k)
{
	unsigned i, n = 0, strings, table = 0;
	int error;

	for (i = 0; i < k->h.e_shnum; i++)
		if (k->sh[i].sh_type == SHT_SYMTAB) {
			table = i;
			n++;
		}
	if (n != 1)
		return (bad(k, "it must have one symbol table"));
	strings = k->sh[table].sh_link;
	if (strings >= k->h.e_shnum || k->sh[strings].sh_type != SHT_STRTAB)
		return (bad(k, "its symbols have no names"));
	if (k->h.e_shstrndx == 0 || k->h.e_shstrndx >= k->h.e_shnum ||
	    k->sh[k->h.e_shstrndx].sh_type != SHT_STRTAB)
		return (bad(k, "its sections have no names"));
	error = place(k, &k->sh[table]);
	if (error == 0)
		error = place(k, &k->sh[strings]);
	if (error == 0 && k->h.e_shstrndx != strings)
		error = place(k, &k->sh[k->h.e_shstrndx]);
	return (error);
}

static int
layout(struct kld *k)
{
	Elf64_Shdr *s;
	unsigned i;
	int error = 0;

	for (i = 0; i < k->h.e_shnum && error == 0; i++)
		if (is_program(&k->sh[i]))
			error = place(k, &k->sh[i]);
	if (error == 0)
		error = symbols(k);
	for (i = 0; i < k->h.e_shnum && error == 0; i++) {
		s = &k->sh[i];
		if (s->sh_type != SHT_REL && s->sh_type != SHT_RELA)
			continue;
		if (s->sh_info >= k->h.e_shnum)
			return (bad(k, "relocations of no section"));
		if (k->sh[s->sh_info].sh_flags & SHF_ALLOC)
			error = place(k, s);
	}
	return (error);
}

static void
records(struct kld *k, uint64_t start, struct boot_block *meta)
{
	const char *base = strrchr(k->path, '/');
	char name[512];

	base = base == NULL ? k->path : base + 1;
	snprintf(name, sizeof(name), "/boot/modules/%s", base);
	boot_meta_string(meta, MODINFO_NAME, name);
	boot_meta_string(meta, MODINFO_TYPE, "elf obj module");
	boot_meta_u64(meta, MODINFO_ADDR, start);
	boot_meta_u64(meta, MODINFO_SIZE, k->end - start);
	boot_meta(meta, MODINFO_METADATA | MODINFOMD_SHDR, k->sh,
	    k->h.e_shnum * sizeof(Elf64_Shdr));
	boot_meta(meta, MODINFO_METADATA | MODINFOMD_ELFHDR, &k->h,
	    sizeof(k->h));
}

int
boot_freebsd_module(struct boot *b, const char *path, uint64_t *end,
    struct boot_block *meta)
{
	struct kld k = { .b = b, .path = path };
	uint64_t start;
	int error;

	error = boot_file_read(b, &k.im, path, "module", MODULE_MAX);
	if (error != 0)
		return (error);
	start = (*end + VMM_PAGE - 1) & ~(uint64_t)(VMM_PAGE - 1);
	k.end = start;
	error = check(&k);
	if (error == 0)
		error = layout(&k);
	if (error == 0) {
		records(&k, start, meta);
		*end = k.end;
	}
	free(k.sh);
	boot_file_free(&k.im);
	return (error);
}
