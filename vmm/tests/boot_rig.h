/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * Kernels made up for the tests of the loader: as small as their formats
 * allow, with every field in reach.
 */
#ifndef _BOOT_RIG_H_
#define	_BOOT_RIG_H_

#include <asm/bootparam.h>

#include <atf-c.h>
#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hvk/boot.h>
#include <hvk/vmm.h>

#define	MIB		(1ull << 20)
#define	KERNBASE	0xffffffff80000000ull
#define	PAYLOAD		8192u

static char err[VMM_ERRLEN];

static inline void
put_file(const char *name, const void *p, size_t len)
{
	FILE *f = fopen(name, "w");

	ATF_REQUIRE(f != NULL);
	ATF_REQUIRE(fwrite(p, 1, len, f) == len);
	ATF_REQUIRE(fclose(f) == 0);
}

static inline void
pattern(uint8_t *p, size_t len, uint8_t seed)
{
	size_t i;

	for (i = 0; i < len; i++)
		p[i] = (uint8_t)(seed + i * 7 + (i >> 8));
}

/* A guest of that much memory and a configuration that suits it. */
struct rig {
	struct guest_mem mem;
	struct boot_config conf;
	struct boot_cpu	cpu;
};

static inline void
rig_init(struct rig *r, uint64_t size, const char *kernel)
{

	memset(r, 0, sizeof(*r));
	ATF_REQUIRE_EQ(guest_mem_create(&r->mem, size, err, sizeof(err)), 0);
	r->conf.kernel = kernel;
	r->conf.ncpus = 2;
	r->conf.gap_start = 0xf8000000u;
	r->conf.gap_size = 0x08000000u;
	r->conf.high_start = 0x1000000000ull;
	r->conf.high_size = 512 * MIB;
}

static inline int
rig_load(struct rig *r)
{

	strcpy(err, "no word");
	return (boot_load(&r->conf, &r->mem, &r->cpu, err, sizeof(err)));
}

static inline void *
rig_at(const struct rig *r, uint64_t gpa, uint64_t len)
{
	void *p = guest_mem_view(&r->mem, gpa, len);

	ATF_REQUIRE(p != NULL);
	return (p);
}

/* Loading fails, and the line says `word`. */
static inline void
rig_refused(struct rig *r, const char *word)
{

	ATF_CHECK_MSG(rig_load(r) < 0, "loaded; expected: %s", word);
	ATF_CHECK_MSG(strstr(err, word) != NULL, "said '%s', not '%s'", err,
	    word);
	ATF_CHECK_MSG(strchr(err, '\n') == NULL, "more than one line");
}

/* ---- a bzImage */
struct bzimage {
	uint8_t		sector[2][512];
	uint8_t		payload[PAYLOAD];
};

static inline struct setup_header *
bz_header(struct bzimage *k)
{

	return ((struct setup_header *)(void *)(k->sector[0] + 0x1f1));
}

static inline void
bz_make(struct bzimage *k)
{
	struct setup_header *h = bz_header(k);

	memset(k, 0, sizeof(*k));
	pattern(k->payload, PAYLOAD, 3);
	h->setup_sects = 1;
	h->boot_flag = 0xaa55;
	h->header = 0x53726448;
	h->jump = 0x66eb;
	h->version = 0x020f;
	h->loadflags = LOADED_HIGH;
	h->syssize = PAYLOAD / 16;
	h->xloadflags = XLF_KERNEL_64;
	h->pref_address = 16 * MIB;
	h->init_size = 2 * MIB;
	h->initrd_addr_max = 0x7fffffff;
	h->cmdline_size = 255;
}

/* ---- an ELF kernel of two segments and a note */
struct elfkernel {
	Elf64_Ehdr	h;
	Elf64_Phdr	p[4];
	struct {
		uint32_t	head[3];
		char		name[4];
		uint64_t	value;
	} note[2];
	uint8_t		text[PAYLOAD];
	uint8_t		data[256];
	Elf64_Dyn	dynamic[2];
	char		strings[32];
	Elf64_Sym	symbols[3];
	Elf64_Shdr	sh[4];
};

#define	OFF(field)	offsetof(struct elfkernel, field)

/* `base` is added to virtual, `pbase` to physical addresses. */
static inline void
elf_make(struct elfkernel *k, uint8_t osabi, uint64_t base, uint64_t pbase)
{
	static const uint32_t types[2] = { 5, 18 };
	const uint64_t values[2] = { pbase, 2 * MIB + 64 };
	unsigned i;

	memset(k, 0, sizeof(*k));
	memcpy(k->h.e_ident, ELFMAG, SELFMAG);
	k->h.e_ident[EI_CLASS] = ELFCLASS64;
	k->h.e_ident[EI_DATA] = ELFDATA2LSB;
	k->h.e_ident[EI_VERSION] = EV_CURRENT;
	k->h.e_ident[EI_OSABI] = osabi;
	k->h.e_type = ET_EXEC;
	k->h.e_machine = EM_X86_64;
	k->h.e_version = EV_CURRENT;
	k->h.e_entry = base + 2 * MIB + 32;
	k->h.e_phoff = OFF(p);
	k->h.e_phentsize = sizeof(k->p[0]);
	k->h.e_phnum = 4;
	k->h.e_ehsize = sizeof(k->h);
	k->h.e_shoff = OFF(sh);
	k->h.e_shentsize = sizeof(k->sh[0]);
	k->h.e_shnum = 4;
	pattern(k->text, sizeof(k->text), 11);
	pattern(k->data, sizeof(k->data), 13);
	k->p[0] = (Elf64_Phdr){ PT_LOAD, PF_R | PF_X, OFF(text),
	    base + 2 * MIB, pbase + 2 * MIB, sizeof(k->text),
	    sizeof(k->text), 4096 };
	k->p[1] = (Elf64_Phdr){ PT_LOAD, PF_R | PF_W, OFF(data),
	    base + 3 * MIB, pbase + 3 * MIB, sizeof(k->data), 3 * 4096, 4096 };
	k->p[2] = (Elf64_Phdr){ PT_NOTE, PF_R, OFF(note), 0, 0,
	    sizeof(k->note), sizeof(k->note), 4 };
	k->p[3] = (Elf64_Phdr){ PT_DYNAMIC, PF_R, OFF(dynamic),
	    base + 3 * MIB + 16, pbase + 3 * MIB + 16, sizeof(k->dynamic),
	    sizeof(k->dynamic), 8 };
	for (i = 0; i < 2; i++) {
		k->note[i].head[0] = 4;
		k->note[i].head[1] = 8;
		k->note[i].head[2] = types[i];
		memcpy(k->note[i].name, "Xen", 4);
		k->note[i].value = values[i];
	}
	pattern((uint8_t *)k->strings, sizeof(k->strings), 'a');
	k->sh[1].sh_type = SHT_SYMTAB;
	k->sh[1].sh_offset = OFF(symbols);
	k->sh[1].sh_size = sizeof(k->symbols);
	k->sh[1].sh_link = 2;
	k->sh[2].sh_type = SHT_STRTAB;
	k->sh[2].sh_offset = OFF(strings);
	k->sh[2].sh_size = sizeof(k->strings);
}

/* ---- a relocatable module */
struct module {
	Elf64_Ehdr	h;
	uint8_t		text[100];
	uint8_t		data[60];
	Elf64_Rela	rela[2];
	Elf64_Sym	symbols[3];
	char		strings[40];
	char		names[48];
	Elf64_Shdr	sh[9];
};

#define	MOFF(field)	offsetof(struct module, field)

static inline void
module_make(struct module *m)
{

	memset(m, 0, sizeof(*m));
	memcpy(m->h.e_ident, ELFMAG, SELFMAG);
	m->h.e_ident[EI_CLASS] = ELFCLASS64;
	m->h.e_ident[EI_DATA] = ELFDATA2LSB;
	m->h.e_ident[EI_VERSION] = EV_CURRENT;
	m->h.e_ident[EI_OSABI] = ELFOSABI_FREEBSD;
	m->h.e_type = ET_REL;
	m->h.e_machine = EM_X86_64;
	m->h.e_version = EV_CURRENT;
	m->h.e_shoff = MOFF(sh);
	m->h.e_shentsize = sizeof(m->sh[0]);
	m->h.e_shnum = 9;
	m->h.e_shstrndx = 7;
	pattern(m->text, sizeof(m->text), 17);
	pattern(m->data, sizeof(m->data), 19);
	pattern((uint8_t *)m->strings, sizeof(m->strings), 23);
	pattern((uint8_t *)m->names, sizeof(m->names), 29);
	m->sh[1] = (Elf64_Shdr){ .sh_type = SHT_PROGBITS, .sh_flags =
	    SHF_ALLOC | SHF_EXECINSTR, .sh_offset = MOFF(text),
	    .sh_size = sizeof(m->text), .sh_addralign = 16 };
	m->sh[2] = (Elf64_Shdr){ .sh_type = SHT_PROGBITS, .sh_flags =
	    SHF_ALLOC | SHF_WRITE, .sh_offset = MOFF(data),
	    .sh_size = sizeof(m->data), .sh_addralign = 64 };
	m->sh[3] = (Elf64_Shdr){ .sh_type = SHT_NOBITS, .sh_flags =
	    SHF_ALLOC | SHF_WRITE, .sh_size = 5000, .sh_addralign = 4096 };
	m->sh[4] = (Elf64_Shdr){ .sh_type = SHT_RELA, .sh_info = 1,
	    .sh_link = 5, .sh_offset = MOFF(rela), .sh_size =
	    sizeof(m->rela), .sh_addralign = 8 };
	m->sh[5] = (Elf64_Shdr){ .sh_type = SHT_SYMTAB, .sh_link = 6,
	    .sh_offset = MOFF(symbols), .sh_size = sizeof(m->symbols),
	    .sh_addralign = 8 };
	m->sh[6] = (Elf64_Shdr){ .sh_type = SHT_STRTAB, .sh_offset =
	    MOFF(strings), .sh_size = sizeof(m->strings), .sh_addralign = 1 };
	m->sh[7] = (Elf64_Shdr){ .sh_type = SHT_STRTAB, .sh_offset =
	    MOFF(names), .sh_size = sizeof(m->names), .sh_addralign = 1 };
	/* Debugging information: not loaded. */
	m->sh[8] = (Elf64_Shdr){ .sh_type = SHT_PROGBITS, .sh_offset =
	    MOFF(data), .sh_size = 10, .sh_addralign = 1 };
}

#endif /* _BOOT_RIG_H_ */
