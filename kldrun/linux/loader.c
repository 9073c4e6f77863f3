/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * loader.c: loads FreeBSD kernel modules (ELF relocatables for amd64) and
 * links them against kldrun's export table and the modules loaded before.
 *
 * A file is not trusted: every offset and index is checked against its size.
 * Text, read-only data and data go to pages of their own, protected after
 * relocation.
 */

#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "linux.h"

struct load {
	const char *path;
	const uint8_t *file;
	size_t size;
	const Elf64_Ehdr *eh;
	const Elf64_Shdr *sh;
	unsigned nsh;
	uint8_t **addr;			/* of each section */
	const char *shstr;
	size_t shstr_size;
	const Elf64_Sym *sym;
	size_t nsym;
	const char *str;
	size_t str_size;
	uintptr_t *value;		/* of each symbol */
	uint64_t *got;
	size_t ngot, maxgot;
	struct module_file *mf;
	int missing;
};

extern const struct kld_export kld_libc[];
static struct module_file *modules, **last = &modules;

static int
bad(struct load *l, const char *what)
{
	fprintf(stderr, "kldrun: %s: %s\n", l->path, what);
	return (-1);
}

static bool
in_file(struct load *l, uint64_t off, uint64_t len)
{
	return (off <= l->size && len <= l->size - off);
}

static int
open_file(struct load *l)
{
	struct stat st;
	int fd;

	fd = open(l->path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) != 0) {
		fprintf(stderr, "kldrun: cannot open %s: %m\n", l->path);
		if (fd >= 0)
			close(fd);
		return (-1);
	}
	l->size = (size_t)st.st_size;
	l->file = l->size == 0 ? MAP_FAILED : mmap(NULL, l->size, PROT_READ,
	    MAP_PRIVATE, fd, 0);
	close(fd);
	if (l->file == MAP_FAILED || l->size < sizeof(Elf64_Ehdr))
		return (bad(l, "is too short for an ELF file"));
	l->eh = (const Elf64_Ehdr *)l->file;
	if (memcmp(l->eh->e_ident, ELFMAG, SELFMAG) != 0 ||
	    l->eh->e_ident[EI_CLASS] != ELFCLASS64 ||
	    l->eh->e_type != ET_REL || l->eh->e_machine != EM_X86_64)
		return (bad(l, "is not a FreeBSD amd64 kernel module"));
	l->nsh = l->eh->e_shnum;
	if (l->eh->e_shentsize != sizeof(Elf64_Shdr) || l->nsh == 0 ||
	    !in_file(l, l->eh->e_shoff, (uint64_t)l->nsh * sizeof(Elf64_Shdr)))
		return (bad(l, "has a section table outside the file"));
	l->sh = (const Elf64_Shdr *)(l->file + l->eh->e_shoff);
	return (0);
}

static int
check_sections(struct load *l)
{
	const Elf64_Shdr *s;
	unsigned i;

	for (i = 0; i < l->nsh; i++) {
		s = &l->sh[i];
		if (s->sh_type != SHT_NOBITS && s->sh_type != SHT_NULL &&
		    !in_file(l, s->sh_offset, s->sh_size))
			return (bad(l, "has a section outside the file"));
		if (s->sh_size > (64u << 20) || s->sh_addralign > 4096 ||
		    (s->sh_addralign & (s->sh_addralign - 1)) != 0)
			return (bad(l, "has a section of unreasonable size or "
			    "alignment"));
		if (s->sh_type == SHT_SYMTAB) {
			if (s->sh_link >= l->nsh || s->sh_offset % 8 != 0 ||
			    l->sh[s->sh_link].sh_type != SHT_STRTAB)
				return (bad(l, "has a bad symbol table"));
			l->sym = (const Elf64_Sym *)(l->file + s->sh_offset);
			l->nsym = s->sh_size / sizeof(Elf64_Sym);
			l->str = (const char *)l->file +
			    l->sh[s->sh_link].sh_offset;
			l->str_size = l->sh[s->sh_link].sh_size;
		}
	}
	if (l->eh->e_shstrndx >= l->nsh || l->sym == NULL)
		return (bad(l, "has no symbol table"));
	l->shstr = (const char *)l->file + l->sh[l->eh->e_shstrndx].sh_offset;
	l->shstr_size = l->sh[l->eh->e_shstrndx].sh_size;
	if (l->shstr_size == 0 || l->shstr[l->shstr_size - 1] != '\0' ||
	    l->str_size == 0 || l->str[l->str_size - 1] != '\0')
		return (bad(l, "has an unterminated string table"));
	return (0);
}

static const char *
section_name(struct load *l, unsigned i)
{
	return (l->sh[i].sh_name < l->shstr_size ?
	    l->shstr + l->sh[i].sh_name : "");
}

static const char *
symbol_name(struct load *l, size_t i)
{
	return (l->sym[i].st_name < l->str_size ?
	    l->str + l->sym[i].st_name : "");
}

/* 0 text, 1 read-only, 2 data, -1 not loaded */
static int
section_kind(const Elf64_Shdr *s)
{
	if ((s->sh_flags & SHF_ALLOC) == 0 || s->sh_size == 0)
		return (-1);
	if ((s->sh_flags & SHF_EXECINSTR) != 0)
		return (0);
	return ((s->sh_flags & SHF_WRITE) != 0 ? 2 : 1);
}

static size_t
align_up(size_t n, size_t a)
{
	return (a > 1 ? (n + a - 1) & ~(a - 1) : n);
}

/* Lays the image out: offsets first, then memory, then contents. */
static int
place(struct load *l, size_t start[4])
{
	size_t at, *off;
	unsigned i;
	int kind;

	off = calloc(l->nsh, sizeof(*off));
	at = 0;
	for (kind = 0; kind < 3; kind++) {
		at = align_up(at, 4096);
		start[kind] = at;
		for (i = 0; i < l->nsh; i++)
			if (section_kind(&l->sh[i]) == kind) {
				at = align_up(at, l->sh[i].sh_addralign);
				off[i] = at;
				at += l->sh[i].sh_size;
			}
		if (kind == 1) {
			/* The table behind GOT-relative references */
			at = align_up(at, 8);
			l->maxgot = l->nsym;
			l->got = (uint64_t *)at;
			at += l->maxgot * 8;
		}
	}
	for (size_t s = 1; s < l->nsym; s++)
		if (l->sym[s].st_shndx == SHN_COMMON) {
			at = align_up(at, l->sym[s].st_value);
			l->value[s] = at;
			at += l->sym[s].st_size;
		}
	start[3] = at;
	l->mf->size = align_up(at, 4096);
	l->mf->base = mem_image_alloc(l->mf->size);
	if (l->mf->base == NULL) {
		free(off);
		return (bad(l, "does not fit into the memory for modules"));
	}
	l->got = (uint64_t *)(l->mf->base + (uintptr_t)l->got);
	for (size_t s = 1; s < l->nsym; s++)
		if (l->sym[s].st_shndx == SHN_COMMON)
			l->value[s] += (uintptr_t)l->mf->base;
	for (i = 0; i < l->nsh; i++)
		if (section_kind(&l->sh[i]) >= 0) {
			l->addr[i] = l->mf->base + off[i];
			if (l->sh[i].sh_type != SHT_NOBITS)
				memcpy(l->addr[i], l->file +
				    l->sh[i].sh_offset, l->sh[i].sh_size);
		}
	l->mf->text_size = start[1];
	free(off);
	return (0);
}

/* __start_set_X and __stop_set_X stand for the section set_X. */
static bool
set_boundary(struct load *l, const char *name, uintptr_t *value)
{
	bool stop;
	unsigned i;

	if (strncmp(name, "__start_", 8) == 0)
		stop = false, name += 8;
	else if (strncmp(name, "__stop_", 7) == 0)
		stop = true, name += 7;
	else
		return (false);
	*value = 0;
	for (i = 0; i < l->nsh; i++)
		if (l->addr[i] != NULL && strcmp(section_name(l, i), name) == 0)
			*value = (uintptr_t)l->addr[i] +
			    (stop ? l->sh[i].sh_size : 0);
	return (true);
}

static bool
find_global(const char *name, uintptr_t *value)
{
	const struct kld_export *e;
	struct module_file *m;
	size_t lo, hi, mid;
	int c;

	for (m = modules; m != NULL; m = m->next)
		for (size_t i = 0; i < m->nsyms; i++)
			if (m->syms[i].global &&
			    strcmp(m->syms[i].name, name) == 0) {
				*value = m->syms[i].addr;
				return (true);
			}
	for (lo = 0, hi = kld_nexports; lo < hi;) {
		mid = (lo + hi) / 2;
		c = strcmp(name, kld_exports[mid].name);
		if (c == 0) {
			*value = (uintptr_t)kld_exports[mid].addr;
			return (true);
		}
		if (c > 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (e = kld_libc; e->name != NULL; e++)
		if (strcmp(e->name, name) == 0) {
			*value = (uintptr_t)e->addr;
			return (true);
		}
	/* Modules built with AddressSanitizer, in a kldrun that has it */
	if (strncmp(name, "__asan_", 7) == 0) {
		*value = (uintptr_t)dlsym(RTLD_DEFAULT, name);
		return (*value != 0);
	}
	return (false);
}

static int
resolve(struct load *l)
{
	const Elf64_Sym *s;
	const char *name;
	size_t i;

	for (i = 1; i < l->nsym; i++) {
		s = &l->sym[i];
		name = symbol_name(l, i);
		if (s->st_shndx == SHN_ABS) {
			l->value[i] = s->st_value;
		} else if (s->st_shndx == SHN_UNDEF) {
			if (*name == '\0' || set_boundary(l, name,
			    &l->value[i]) || find_global(name, &l->value[i]) ||
			    ELF64_ST_BIND(s->st_info) == STB_WEAK)
				continue;
			fprintf(stderr, "kldrun: %s needs '%s', which kldrun "
			    "does not provide\n", l->mf->name, name);
			l->missing++;
		} else if (s->st_shndx < l->nsh &&
		    l->addr[s->st_shndx] != NULL) {
			l->value[i] = (uintptr_t)l->addr[s->st_shndx] +
			    s->st_value;
		}
	}
	return (l->missing != 0 ? -1 : 0);
}

static uint64_t *
got_slot(struct load *l, uint64_t value)
{
	size_t i;

	for (i = 0; i < l->ngot; i++)
		if (l->got[i] == value)
			return (&l->got[i]);
	l->got[l->ngot] = value;
	return (&l->got[l->ngot++]);
}

static int
put32(struct load *l, uint8_t *where, int64_t v, bool sign, const char *name)
{
	int32_t v32;

	if (sign ? v != (int32_t)v : v != (int64_t)(uint32_t)v) {
		fprintf(stderr, "kldrun: %s: '%s' is out of reach\n",
		    l->path, name);
		return (-1);
	}
	v32 = (int32_t)v;
	memcpy(where, &v32, 4);
	return (0);
}

static int
relocate_one(struct load *l, uint8_t *where, const Elf64_Rela *r)
{
	const char *name;
	uint64_t s, p;
	size_t sym;
	int64_t v;

	sym = ELF64_R_SYM(r->r_info);
	if (sym >= l->nsym)
		return (bad(l, "has a relocation against no symbol"));
	name = symbol_name(l, sym);
	s = l->value[sym];
	p = (uint64_t)(uintptr_t)where;
	v = (int64_t)(s + (uint64_t)r->r_addend);
	switch (ELF64_R_TYPE(r->r_info)) {
	case R_X86_64_NONE:
		return (0);
	case R_X86_64_64:
		memcpy(where, &v, 8);
		return (0);
	case R_X86_64_PC64:
		v -= (int64_t)p;
		memcpy(where, &v, 8);
		return (0);
	case R_X86_64_PC32:
	case R_X86_64_PLT32:
		return (put32(l, where, v - (int64_t)p, true, name));
	case R_X86_64_32:
		return (put32(l, where, v, false, name));
	case R_X86_64_32S:
		return (put32(l, where, v, true, name));
	case R_X86_64_GOTPCREL:
	case R_X86_64_GOTPCRELX:
	case R_X86_64_REX_GOTPCRELX:
		v = (int64_t)((uintptr_t)got_slot(l, s) +
		    (uint64_t)r->r_addend - p);
		return (put32(l, where, v, true, name));
	default:
		fprintf(stderr, "kldrun: %s: relocation type %u of '%s' is "
		    "not known\n", l->path,
		    (unsigned)ELF64_R_TYPE(r->r_info), name);
		return (-1);
	}
}

static int
relocate(struct load *l)
{
	const Elf64_Rela *r;
	const Elf64_Shdr *s;
	size_t j, n;
	unsigned i;

	for (i = 0; i < l->nsh; i++) {
		s = &l->sh[i];
		if (s->sh_type == SHT_REL)
			return (bad(l, "has REL relocations: not amd64"));
		if (s->sh_type != SHT_RELA || s->sh_info >= l->nsh ||
		    l->addr[s->sh_info] == NULL)
			continue;
		n = s->sh_size / sizeof(*r);
		r = (const Elf64_Rela *)(l->file + s->sh_offset);
		for (j = 0; j < n; j++) {
			if (l->sh[s->sh_info].sh_size < 8 ||
			    r[j].r_offset > l->sh[s->sh_info].sh_size - 4)
				return (bad(l, "has a relocation outside its "
				    "section"));
			if (relocate_one(l, l->addr[s->sh_info] +
			    r[j].r_offset, &r[j]) != 0)
				return (-1);
		}
	}
	return (0);
}

static void
keep_symbols(struct load *l)
{
	struct symbol *sy;
	size_t i;
	char *strings;

	strings = os_alloc(l->str_size);
	memcpy(strings, l->str, l->str_size);
	l->mf->syms = os_alloc(l->nsym * sizeof(*l->mf->syms));
	for (i = 1; i < l->nsym; i++) {
		if (l->sym[i].st_shndx == SHN_UNDEF || l->value[i] == 0 ||
		    ELF64_ST_TYPE(l->sym[i].st_info) == STT_SECTION ||
		    ELF64_ST_TYPE(l->sym[i].st_info) == STT_FILE)
			continue;
		sy = &l->mf->syms[l->mf->nsyms++];
		sy->name = strings + l->sym[i].st_name;
		sy->addr = l->value[i];
		sy->size = l->sym[i].st_size;
		sy->global = ELF64_ST_BIND(l->sym[i].st_info) != STB_LOCAL;
	}
}

static void
find_set(struct load *l, const char *name, void ***start, void ***end)
{
	unsigned i;

	for (i = 0; i < l->nsh; i++)
		if (l->addr[i] != NULL && strcmp(section_name(l, i), name) == 0) {
			*start = (void **)(void *)l->addr[i];
			*end = *start + l->sh[i].sh_size / sizeof(void *);
		}
}

/* CPUID cannot be made to trap everywhere: the one function that asks. */
static void
replace_cpuid(struct load *l)
{
	extern void machine_cpuid(uint32_t, uint32_t, uint32_t *);
	uint8_t *p;
	int32_t rel;
	size_t i;

	for (i = 0; i < l->mf->nsyms; i++)
		if (strcmp(l->mf->syms[i].name, "hyperv_cpuid") == 0) {
			p = (uint8_t *)l->mf->syms[i].addr;
			rel = (int32_t)((intptr_t)machine_cpuid -
			    (intptr_t)(p + 5));
			*p = 0xe9;
			memcpy(p + 1, &rel, 4);
		}
}

struct module_file *
loader_load(const char *path)
{
	struct load l = { .path = path };
	struct module_file *m;
	const char *slash;
	size_t start[4];

	m = os_alloc(sizeof(*m));
	memset(m, 0, sizeof(*m));
	slash = strrchr(path, '/');
	snprintf(m->name, sizeof(m->name), "%s",
	    slash != NULL ? slash + 1 : path);
	l.mf = m;
	if (open_file(&l) != 0 || check_sections(&l) != 0)
		return (NULL);
	l.addr = calloc(l.nsh, sizeof(*l.addr));
	l.value = calloc(l.nsym, sizeof(*l.value));
	if (place(&l, start) != 0 || resolve(&l) != 0 || relocate(&l) != 0)
		return (NULL);
	keep_symbols(&l);
	replace_cpuid(&l);
	m->image.name = m->name;
	find_set(&l, "set_sysinit_set", &m->image.sysinit,
	    &m->image.sysinit_end);
	find_set(&l, "set_sysuninit_set", &m->image.sysuninit,
	    &m->image.sysuninit_end);
	find_set(&l, "set_sysctl_set", &m->image.sysctl,
	    &m->image.sysctl_end);
	find_set(&l, "set_modmetadata_set", &m->image.metadata,
	    &m->image.metadata_end);
	os_protect(m->base, align_up(start[1], 4096), 5);
	if (start[2] > start[1])
		os_protect(m->base + start[1], start[2] - start[1], 1);
	*last = m;
	last = &m->next;
	munmap((void *)(uintptr_t)l.file, l.size);
	free(l.addr);
	free(l.value);
	return (m);
}

const struct module_file *
loader_find(uintptr_t pc)
{
	struct module_file *m;

	for (m = modules; m != NULL; m = m->next)
		if (pc - (uintptr_t)m->base < m->size)
			return (m);
	return (NULL);
}

const char *
loader_symbol(const struct module_file *m, uintptr_t pc, uintptr_t *offset)
{
	const struct symbol *s, *best;

	best = NULL;
	for (s = m->syms; s < m->syms + m->nsyms; s++)
		if (s->addr <= pc && *s->name != '\0' &&
		    (best == NULL || s->addr > best->addr))
			best = s;
	*offset = best != NULL ? pc - best->addr : 0;
	return (best != NULL ? best->name : "?");
}

/* Where the functions are: address, bytes, module, name. */
void
loader_symbols(void (*put)(void *, const char *), void *arg)
{
	const struct symbol *s;
	struct module_file *m;
	char line[256];

	for (m = modules; m != NULL; m = m->next)
		for (s = m->syms; s < m->syms + m->nsyms; s++) {
			if (s->addr - (uintptr_t)m->base >= m->text_size ||
			    s->size == 0)
				continue;
			snprintf(line, sizeof(line), "%#jx %ju %s %s\n",
			    (uintmax_t)s->addr, (uintmax_t)s->size, m->name,
			    s->name);
			put(arg, line);
		}
}

void *
os_module_symbol(const char *name)
{
	struct module_file *m;

	for (m = modules; m != NULL; m = m->next)
		for (size_t i = 0; i < m->nsyms; i++)
			if (strcmp(m->syms[i].name, name) == 0)
				return ((void *)m->syms[i].addr);
	return (NULL);
}

int
os_in_module(const void *pc)
{
	return (loader_find((uintptr_t)pc) != NULL);
}

void
os_symbol_name(const void *pc, char *buf, os_u64 len)
{
	const struct module_file *m;
	const char *name;
	uintptr_t a, off;
	size_t i;

	a = (uintptr_t)pc;
	m = loader_find(a);
	if (m != NULL) {
		name = loader_symbol(m, a, &off);
		snprintf(buf, len, "%s`%s+0x%jx", m->name, name,
		    (uintmax_t)off);
		return;
	}
	name = NULL;
	off = 0x10000;
	for (i = 0; i < kld_nexports; i++)
		if (a - (uintptr_t)kld_exports[i].addr < off) {
			off = a - (uintptr_t)kld_exports[i].addr;
			name = kld_exports[i].name;
		}
	if (name != NULL)
		snprintf(buf, len, "kldrun`%s+0x%jx", name, (uintmax_t)off);
	else
		snprintf(buf, len, "%p", pc);
}
