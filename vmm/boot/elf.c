/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * ELF files with program headers, 64 and 32 bits: read with every offset
 * checked against the file.
 */
#include <elf.h>
#include <errno.h>
#include <string.h>

#include "boot_elf.h"

static int
bad(struct boot *b, const char *why)
{

	return (BOOT_FAIL(b, -ENOEXEC, "%s: %s", b->conf->kernel, why));
}

const void *
boot_elf_at(const struct boot_image *im, uint64_t off, uint64_t len)
{

	if (off > im->len || len > im->len - off)
		return (NULL);
	return (im->data + off);
}

static int
open64(struct boot *b, struct boot_elf *e)
{
	Elf64_Ehdr h;

	if (b->kernel.len < sizeof(h))
		return (bad(b, "truncated ELF header"));
	memcpy(&h, b->kernel.data, sizeof(h));
	if (h.e_machine != EM_X86_64)
		return (BOOT_FAIL(b, -ENOEXEC, "%s is for another machine (ELF "
		    "machine %u, not %u)", b->conf->kernel, h.e_machine,
		    EM_X86_64));
	if (h.e_phentsize != sizeof(Elf64_Phdr))
		return (bad(b, "no program headers"));
	e->type = h.e_type;
	e->entry = h.e_entry;
	e->phoff = h.e_phoff;
	e->phnum = h.e_phnum;
	return (0);
}

static int
open32(struct boot *b, struct boot_elf *e)
{
	Elf32_Ehdr h;

	if (b->kernel.len < sizeof(h))
		return (bad(b, "truncated ELF header"));
	memcpy(&h, b->kernel.data, sizeof(h));
	if (h.e_machine != EM_386)
		return (BOOT_FAIL(b, -ENOEXEC, "%s is for another machine (ELF "
		    "machine %u, not %u)", b->conf->kernel, h.e_machine,
		    EM_386));
	if (h.e_phentsize != sizeof(Elf32_Phdr))
		return (bad(b, "no program headers"));
	e->type = h.e_type;
	e->entry = h.e_entry;
	e->phoff = h.e_phoff;
	e->phnum = h.e_phnum;
	return (0);
}

int
boot_elf_open(struct boot *b, struct boot_elf *e)
{
	const struct boot_image *im = &b->kernel;
	int error;

	memset(e, 0, sizeof(*e));
	if (im->len < EI_NIDENT)
		return (bad(b, "truncated ELF header"));
	if (im->data[EI_DATA] != ELFDATA2LSB)
		return (bad(b, "for a big-endian machine"));
	e->is64 = im->data[EI_CLASS] == ELFCLASS64;
	if (!e->is64 && im->data[EI_CLASS] != ELFCLASS32)
		return (bad(b, "neither a 32-bit nor a 64-bit ELF file"));
	error = e->is64 ? open64(b, e) : open32(b, e);
	if (error != 0)
		return (error);
	if (e->phnum == 0 || e->phnum > BOOT_ELF_SEGMENTS)
		return (bad(b, "no segments to load: an object file, or not "
		    "a kernel"));
	if (boot_elf_at(im, e->phoff, e->phnum * (e->is64 ?
	    sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr))) == NULL)
		return (bad(b, "truncated: its program headers are missing"));
	return (0);
}

void
boot_elf_segment(const struct boot_image *im, const struct boot_elf *e,
    unsigned i, struct boot_segment *s)
{
	Elf32_Phdr p32;
	Elf64_Phdr p;

	if (e->is64) {
		memcpy(&p, im->data + e->phoff + i * sizeof(p), sizeof(p));
		*s = (struct boot_segment){ p.p_type, p.p_offset, p.p_vaddr,
		    p.p_paddr, p.p_filesz, p.p_memsz };
	} else {
		memcpy(&p32, im->data + e->phoff + i * sizeof(p32),
		    sizeof(p32));
		*s = (struct boot_segment){ p32.p_type, p32.p_offset,
		    p32.p_vaddr, p32.p_paddr, p32.p_filesz, p32.p_memsz };
	}
}

int
boot_elf_load(struct boot *b, const struct boot_elf *e, bool virtual,
    uint64_t minus, uint64_t *start, uint64_t *end)
{
	struct boot_segment s;
	const void *from;
	uint64_t at;
	unsigned i;
	int error;

	*start = UINT64_MAX;
	*end = 0;
	for (i = 0; i < e->phnum; i++) {
		boot_elf_segment(&b->kernel, e, i, &s);
		if (s.type != PT_LOAD || s.memsz == 0)
			continue;
		at = (virtual ? s.vaddr : s.paddr) - minus;
		from = boot_elf_at(&b->kernel, s.offset, s.filesz);
		if (from == NULL || s.filesz > s.memsz)
			return (bad(b, "truncated: a segment is not in the "
			    "file"));
		if (!boot_is_low(b, at, s.memsz))
			return (BOOT_FAIL(b, -EFBIG, "%s needs %llu MiB of "
			    "memory at %#llx; give the guest more --memory",
			    b->conf->kernel, (unsigned long long)(s.memsz +
			    0xfffff) >> 20, (unsigned long long)at));
		error = boot_write(b, at, from, s.filesz, b->conf->kernel);
		if (error == 0)
			error = boot_zero(b, at + s.filesz, s.memsz - s.filesz,
			    b->conf->kernel);
		if (error != 0)
			return (error);
		if (at < *start)
			*start = at;
		if (at + s.memsz > *end)
			*end = at + s.memsz;
	}
	if (*end == 0)
		return (bad(b, "no segment to load"));
	return (0);
}

/* One note segment: 12 bytes of head, a name and a value, both padded to 4. */
static bool
note_find(const uint8_t *p, uint64_t len, uint32_t type, uint64_t *value)
{
	uint32_t head[3], v32;
	uint64_t name, desc;

	while (len >= sizeof(head)) {
		memcpy(head, p, sizeof(head));
		name = ((uint64_t)head[0] + 3) & ~3ull;
		desc = ((uint64_t)head[1] + 3) & ~3ull;
		p += sizeof(head);
		len -= sizeof(head);
		if (name > len || desc > len - name)
			return (false);
		if (head[2] == type && head[0] == 4 &&
		    memcmp(p, "Xen", 4) == 0 && head[1] >= 4) {
			memcpy(&v32, p + name, 4);
			*value = v32;
			if (head[1] >= 8)
				memcpy(value, p + name, 8);
			return (true);
		}
		p += name + desc;
		len -= name + desc;
	}
	return (false);
}

bool
boot_elf_note(const struct boot_image *im, const struct boot_elf *e,
    uint32_t type, uint64_t *value)
{
	struct boot_segment s;
	const uint8_t *p;
	unsigned i;

	for (i = 0; i < e->phnum; i++) {
		boot_elf_segment(im, e, i, &s);
		if (s.type != PT_NOTE)
			continue;
		p = boot_elf_at(im, s.offset, s.filesz);
		if (p != NULL && note_find(p, s.filesz, type, value))
			return (true);
	}
	return (false);
}
