/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * The loader: what it leaves in guest memory for each kind of kernel, byte by
 * byte, and every kind of file that it must refuse.
 */
#include "boot_rig.h"

/* The memory map as [start, end) of a type. */
static void
check_range(uint64_t start, uint64_t size, uint32_t type, uint64_t wstart,
    uint64_t wend, uint32_t wtype)
{

	ATF_CHECK_EQ(start, wstart);
	ATF_CHECK_EQ(start + size, wend);
	ATF_CHECK_EQ(type, wtype);
}

ATF_TC(linux64);
ATF_TC_HEAD(linux64, tc)
{
	atf_tc_set_md_var(tc, "descr", "a bzImage: kernel, parameters, initrd, "
	    "command line, tables");
}
ATF_TC_BODY(linux64, tc)
{
	static struct bzimage k;
	static uint8_t initrd[10000];
	struct boot_params *p;
	uint64_t *pte, pdpt, pd;
	struct rig r;

	bz_make(&k);
	put_file("kernel", &k, sizeof(k));
	pattern(initrd, sizeof(initrd), 5);
	put_file("initrd", initrd, sizeof(initrd));
	rig_init(&r, 64 * MIB, "kernel");
	r.conf.initrd = "initrd";
	r.conf.cmdline = "console=ttyS0 quiet";
	ATF_REQUIRE_EQ_MSG(rig_load(&r), 0, "%s", err);

	ATF_CHECK_EQ(r.cpu.protocol, BOOT_LINUX);
	ATF_CHECK(r.cpu.long_mode);
	ATF_CHECK_EQ(r.cpu.rip, 16 * MIB + 0x200);
	ATF_CHECK_EQ(memcmp(rig_at(&r, 16 * MIB, PAYLOAD), k.payload,
	    PAYLOAD), 0);
	p = rig_at(&r, r.cpu.rsi, sizeof(*p));
	ATF_CHECK_EQ(p->hdr.header, 0x53726448);
	ATF_CHECK_EQ(p->hdr.type_of_loader, 0xff);
	ATF_CHECK_EQ(p->hdr.code32_start, 16 * MIB);
	ATF_CHECK_STREQ((char *)rig_at(&r, p->hdr.cmd_line_ptr, 64),
	    "console=ttyS0 quiet");
	/* As high as it goes, on a page. */
	ATF_CHECK_EQ(p->hdr.ramdisk_size, sizeof(initrd));
	ATF_CHECK_EQ(p->hdr.ramdisk_image, 64 * MIB - 3 * 4096);
	ATF_CHECK_EQ(memcmp(rig_at(&r, p->hdr.ramdisk_image, sizeof(initrd)),
	    initrd, sizeof(initrd)), 0);
	ATF_CHECK_EQ(memcmp(rig_at(&r, p->acpi_rsdp_addr, 8), "RSD PTR ", 8),
	    0);
	ATF_REQUIRE_EQ(p->e820_entries, 3);
	check_range(p->e820_table[0].addr, p->e820_table[0].size,
	    p->e820_table[0].type, 0, 0xa0000, 1);
	check_range(p->e820_table[1].addr, p->e820_table[1].size,
	    p->e820_table[1].type, 0xe0000, 0x100000, 3);
	check_range(p->e820_table[2].addr, p->e820_table[2].size,
	    p->e820_table[2].type, 0x100000, 64 * MIB, 1);
	/* The tables lead every address below 4 GiB to itself. */
	pte = rig_at(&r, r.cpu.cr3, 4096);
	pdpt = pte[0] & ~0xfffull;
	pte = rig_at(&r, pdpt, 4096);
	pd = pte[3] & ~0xfffull;
	pte = rig_at(&r, pd, 4096);
	ATF_CHECK_EQ(pte[511], 0xffe00083u);
	pte = rig_at(&r, r.cpu.gdt_gpa, r.cpu.gdt_limit + 1u);
	ATF_CHECK_EQ(pte[BOOT_SEL_CODE / 8], 0x00af9b000000ffffull);
	ATF_CHECK_EQ(pte[BOOT_SEL_DATA / 8], 0x00cf93000000ffffull);
	guest_mem_destroy(&r.mem);
}

ATF_TC(gap);
ATF_TC_HEAD(gap, tc)
{
	atf_tc_set_md_var(tc, "descr",
	    "memory on both sides of a gap that was moved");
}
ATF_TC_BODY(gap, tc)
{
	static struct bzimage k;
	struct boot_params *p;
	struct rig r;

	bz_make(&k);
	put_file("kernel", &k, sizeof(k));
	rig_init(&r, 5ull << 30, "kernel");
	r.conf.gap_start = 0x80000000u;
	r.conf.gap_size = 0x80000000u;
	ATF_REQUIRE_EQ_MSG(rig_load(&r), 0, "%s", err);
	p = rig_at(&r, r.cpu.rsi, sizeof(*p));
	ATF_REQUIRE_EQ(p->e820_entries, 4);
	check_range(p->e820_table[2].addr, p->e820_table[2].size,
	    p->e820_table[2].type, 0x100000, 0x80000000u, 1);
	check_range(p->e820_table[3].addr, p->e820_table[3].size,
	    p->e820_table[3].type, 1ull << 32, 5ull << 30, 1);
	/* Memory where the interrupt chips are would be lost. */
	r.conf.gap_start = 0xff000000u;
	r.conf.gap_size = 0x01000000u;
	rig_refused(&r, "MMIO gap");
	r.conf.gap_start = 4096;
	rig_refused(&r, "no room for a kernel");
	guest_mem_destroy(&r.mem);
	rig_init(&r, 16 * MIB, "kernel");
	rig_refused(&r, "too little");
	guest_mem_destroy(&r.mem);
}

struct start_info {
	uint32_t	magic, version, flags, nr_modules;
	uint64_t	modlist, cmdline, rsdp, memmap;
	uint32_t	memmap_entries, reserved;
};

ATF_TC(pvh);
ATF_TC_HEAD(pvh, tc)
{
	atf_tc_set_md_var(tc, "descr", "a PVH kernel: 32-bit entry, start "
	    "information after all it points to");
}
ATF_TC_BODY(pvh, tc)
{
	static struct elfkernel k;
	static uint8_t initrd[5000];
	struct start_info *si;
	uint64_t *m;
	struct rig r;

	elf_make(&k, ELFOSABI_NONE, KERNBASE, 0);
	put_file("kernel", &k, sizeof(k));
	pattern(initrd, sizeof(initrd), 5);
	put_file("initrd", initrd, sizeof(initrd));
	rig_init(&r, 64 * MIB, "kernel");
	r.conf.initrd = "initrd";
	r.conf.cmdline = "hello";
	/* What was there before must not show in the BSS. */
	memset(rig_at(&r, 3 * MIB, 4 * 4096), 0xee, 4 * 4096);
	ATF_REQUIRE_EQ_MSG(rig_load(&r), 0, "%s", err);
	ATF_CHECK_EQ(r.cpu.protocol, BOOT_PVH);
	ATF_CHECK(!r.cpu.long_mode);
	ATF_CHECK_EQ(r.cpu.rip, 2 * MIB + 64);
	ATF_CHECK_EQ(memcmp(rig_at(&r, 2 * MIB, sizeof(k.text)), k.text,
	    sizeof(k.text)), 0);
	ATF_CHECK_EQ(memcmp(rig_at(&r, 3 * MIB, sizeof(k.data)), k.data,
	    sizeof(k.data)), 0);
	ATF_CHECK_EQ(*(uint8_t *)rig_at(&r, 3 * MIB + sizeof(k.data), 1), 0);
	ATF_CHECK_EQ(*(uint8_t *)rig_at(&r, 3 * MIB + 3 * 4096 - 1, 1), 0);
	si = rig_at(&r, r.cpu.rbx, sizeof(*si));
	ATF_CHECK_EQ(si->magic, 0x336ec578u);
	ATF_CHECK_EQ(si->version, 1);
	ATF_CHECK_STREQ((char *)rig_at(&r, si->cmdline, 6), "hello");
	ATF_CHECK_EQ(memcmp(rig_at(&r, si->rsdp, 8), "RSD PTR ", 8), 0);
	ATF_REQUIRE_EQ(si->nr_modules, 1);
	m = rig_at(&r, si->modlist, 32);
	ATF_CHECK_EQ(m[1], sizeof(initrd));
	ATF_CHECK_EQ(memcmp(rig_at(&r, m[0], sizeof(initrd)), initrd,
	    sizeof(initrd)), 0);
	ATF_CHECK_EQ(si->memmap_entries, 3);
	m = rig_at(&r, si->memmap, 3 * 24);
	check_range(m[6], m[7], (uint32_t)m[8], 0x100000, 64 * MIB, 1);
	/* Last of all, on a page: what follows it is free. */
	ATF_CHECK_EQ(r.cpu.rbx % 4096, 0);
	ATF_CHECK(r.cpu.rbx > si->memmap && r.cpu.rbx > si->modlist &&
	    r.cpu.rbx > si->cmdline);

	/* FreeBSD's segments have virtual addresses in both fields. */
	elf_make(&k, ELFOSABI_FREEBSD, KERNBASE, KERNBASE);
	put_file("kernel", &k, sizeof(k));
	r.conf.protocol = BOOT_PVH;
	ATF_REQUIRE_EQ_MSG(rig_load(&r), 0, "%s", err);
	ATF_CHECK_EQ(r.cpu.rip, 2 * MIB + 64);
	guest_mem_destroy(&r.mem);
}

/* The first record of a type after `at`; its length in *len. */
static uint8_t *
record(uint8_t *at, const uint8_t *end, uint32_t type, uint32_t *len)
{
	uint32_t head[2];

	while (at + 8 <= end) {
		memcpy(head, at, 8);
		if (head[0] == 0 && head[1] == 0)
			return (NULL);
		if (head[0] == type) {
			*len = head[1];
			return (at + 8);
		}
		at += 8 + (head[1] + 7) / 8 * 8;
	}
	atf_tc_fail("the records have no end");
}

/* The next file's records: where the second NAME is. */
static uint8_t *
next_file(uint8_t *at, const uint8_t *end)
{
	uint32_t head[2], len;
	uint8_t *p;

	memcpy(head, at, 8);
	p = record(at + 8 + (head[1] + 7) / 8 * 8, end, 1, &len);
	ATF_REQUIRE(p != NULL);
	return (p - 8);
}

static uint64_t
record64(uint8_t *at, const uint8_t *end, uint32_t type)
{
	uint64_t v = 0;
	uint32_t len = 0;
	uint8_t *p = record(at, end, type, &len);

	ATF_REQUIRE_MSG(p != NULL, "no record %#x", type);
	ATF_REQUIRE(len == 4 || len == 8);
	memcpy(&v, p, len);
	return (v);
}

static const char *
env(const char *e, const char *name)
{
	size_t n = strlen(name);

	for (; *e != '\0'; e += strlen(e) + 1)
		if (strncmp(e, name, n) == 0 && e[n] == '=')
			return (e + n + 1);
	return ("(not set)");
}

static void
check_module(struct rig *r, uint8_t *at, uint8_t *end, const struct module *m)
{
	Elf64_Shdr sh[9];
	uint64_t addr, size;
	uint32_t len;
	uint8_t *p;
	unsigned i;

	addr = record64(at, end, 3);
	size = record64(at, end, 4);
	ATF_CHECK_EQ(addr % 4096, 0);
	p = record(at, end, 0x8009, &len);
	ATF_REQUIRE(p != NULL && len == sizeof(sh));
	memcpy(sh, p, sizeof(sh));
	for (i = 0; i < 9; i++) {
		if (i == 0 || i == 8) {
			ATF_CHECK_EQ(sh[i].sh_addr, 0);
			continue;
		}
		ATF_CHECK(sh[i].sh_addr >= addr && sh[i].sh_addr +
		    sh[i].sh_size <= addr + size);
		ATF_CHECK_EQ(sh[i].sh_addr % sh[i].sh_addralign, 0);
		if (sh[i].sh_type != SHT_NOBITS)
			ATF_CHECK_EQ(memcmp(rig_at(r, sh[i].sh_addr,
			    sh[i].sh_size), (const uint8_t *)m +
			    sh[i].sh_offset, sh[i].sh_size), 0);
	}
	p = record(at, end, 0x8002, &len);
	ATF_REQUIRE(p != NULL && len == sizeof(m->h));
	ATF_CHECK_EQ(memcmp(p, &m->h, len), 0);
}

ATF_TC(freebsd);
ATF_TC_HEAD(freebsd, tc)
{
	atf_tc_set_md_var(tc, "descr", "a FreeBSD kernel: records, modules, "
	    "memory root, environment, flags");
}
ATF_TC_BODY(freebsd, tc)
{
	static const char *const modules[] = { "dir/foo.ko" };
	static const char *const envs[] = { "hint.foo.0.disabled=1",
	    "boot_verbose=YES", "console=vidconsole" };
	static struct elfkernel k;
	static struct module m;
	static uint8_t root[3 * 4096];
	uint8_t *at, *end, *second;
	uint64_t addr, modulep, kernend, *pte;
	uint32_t len, stack[3];
	const char *e;
	struct rig r;

	elf_make(&k, ELFOSABI_FREEBSD, KERNBASE, KERNBASE);
	put_file("kernel", &k, sizeof(k));
	module_make(&m);
	ATF_REQUIRE_EQ(system("mkdir dir"), 0);
	put_file("dir/foo.ko", &m, sizeof(m));
	pattern(root, sizeof(root), 31);
	put_file("root", root, sizeof(root));
	rig_init(&r, 64 * MIB, "kernel");
	r.conf.modules = modules;
	r.conf.nmodules = 1;
	r.conf.env = envs;
	r.conf.nenv = 3;
	r.conf.mfsroot = "root";
	r.conf.cmdline = "-s kern.smp.disabled=1";
	ATF_REQUIRE_EQ_MSG(rig_load(&r), 0, "%s", err);
	ATF_CHECK_EQ(r.cpu.protocol, BOOT_FREEBSD);
	ATF_CHECK(r.cpu.long_mode);
	ATF_CHECK_EQ(r.cpu.rip, KERNBASE + 2 * MIB + 32);
	/* Everywhere in memory is the first GiB. */
	pte = rig_at(&r, r.cpu.cr3, 4096);
	ATF_CHECK_EQ(pte[0] & ~0xfffull, pte[511] & ~0xfffull);
	pte = rig_at(&r, pte[511] & ~0xfffull, 4096);
	pte = rig_at(&r, pte[510] & ~0xfffull, 4096);
	ATF_CHECK_EQ(pte[1], 2 * MIB + 0x87);

	memcpy(stack, rig_at(&r, r.cpu.rsp, sizeof(stack)), sizeof(stack));
	modulep = stack[1];
	kernend = stack[2];
	ATF_REQUIRE(modulep < kernend && kernend % 4096 == 0);
	at = rig_at(&r, modulep, kernend - modulep);
	end = at + (kernend - modulep);
	ATF_CHECK_STREQ((char *)record(at, end, 1, &len),
	    "/boot/kernel/kernel");
	ATF_CHECK_STREQ((char *)record(at, end, 2, &len), "elf kernel");
	ATF_CHECK_EQ(record64(at, end, 3), 2 * MIB);
	ATF_CHECK_EQ(record64(at, end, 0x8005), KERNBASE + 3 * MIB + 16);
	ATF_CHECK_EQ(record64(at, end, 0x8008), kernend);
	ATF_CHECK_EQ(record64(at, end, 0x9006), modulep);
	/* RB_SERIAL, RB_VERBOSE by variable, RB_SINGLE by flag. */
	ATF_CHECK_EQ(record64(at, end, 0x8007), 0x1802);
	/* Symbols: size, table, size, strings. */
	addr = record64(at, end, 0x8003);
	ATF_CHECK_EQ(*(uint64_t *)rig_at(&r, addr, 8), sizeof(k.symbols));
	addr += 8 + sizeof(k.symbols);
	ATF_CHECK_EQ(*(uint64_t *)rig_at(&r, addr, 8), sizeof(k.strings));
	ATF_CHECK_EQ(memcmp(rig_at(&r, addr + 8, sizeof(k.strings)),
	    k.strings, sizeof(k.strings)), 0);
	ATF_CHECK_EQ(record64(at, end, 0x8004), addr + 8 + sizeof(k.strings));
	ATF_REQUIRE(record(at, end, 0x9001, &len) != NULL);
	ATF_CHECK_EQ(len, 3 * 20);
	/* The module's records follow the kernel's, then the root's. */
	second = next_file(at, end);
	ATF_CHECK_STREQ((char *)second + 8, "/boot/modules/foo.ko");
	ATF_CHECK_STREQ((char *)record(second, end, 2, &len),
	    "elf obj module");
	check_module(&r, second, end, &m);
	second = next_file(second, end);
	ATF_CHECK_STREQ((char *)record(second, end, 2, &len), "mfs_root");
	ATF_CHECK_EQ(record64(second, end, 4), sizeof(root));
	ATF_CHECK_EQ(memcmp(rig_at(&r, record64(second, end, 3),
	    sizeof(root)), root, sizeof(root)), 0);

	e = rig_at(&r, record64(at, end, 0x8006), 4096);
	ATF_CHECK_STREQ(env(e, "hint.foo.0.disabled"), "1");
	ATF_CHECK_STREQ(env(e, "kern.smp.disabled"), "1");
	ATF_CHECK_STREQ(env(e, "console"), "vidconsole");
	ATF_CHECK_STREQ(env(e, "vfs.root.mountfrom"), "ufs:/dev/md0");
	ATF_CHECK_EQ(memcmp(rig_at(&r, strtoull(env(e, "acpi.rsdp"), NULL, 0),
	    8), "RSD PTR ", 8), 0);
	guest_mem_destroy(&r.mem);
}

ATF_TC(bad_files);
ATF_TC_HEAD(bad_files, tc)
{
	atf_tc_set_md_var(tc, "descr", "no kernel, truncated, another machine, "
	    "too large: one clear line each");
}
ATF_TC_BODY(bad_files, tc)
{
	static struct elfkernel e;
	static struct bzimage k;
	struct rig r;

	rig_init(&r, 64 * MIB, "missing");
	rig_refused(&r, "No such file");
	r.conf.kernel = ".";
	rig_refused(&r, "not a regular file");
	put_file("kernel", "", 0);
	r.conf.kernel = "kernel";
	rig_refused(&r, "is empty");
	put_file("kernel", "#!/bin/sh\n", 10);
	rig_refused(&r, "is no kernel");
	put_file("kernel", ELFMAG, 4);
	rig_refused(&r, "truncated");

	elf_make(&e, ELFOSABI_NONE, KERNBASE, 0);
	put_file("kernel", &e, sizeof(e.h) + 20);
	rig_refused(&r, "truncated");
	put_file("kernel", &e, OFF(text) + 5);
	rig_refused(&r, "truncated");
	e.h.e_machine = EM_AARCH64;
	put_file("kernel", &e, sizeof(e));
	rig_refused(&r, "another machine");
	elf_make(&e, ELFOSABI_NONE, KERNBASE, 0);
	e.note[1].head[2] = 17;
	put_file("kernel", &e, sizeof(e));
	rig_refused(&r, "no PVH entry");
	elf_make(&e, ELFOSABI_NONE, KERNBASE, 0);
	e.note[1].value = 63 * MIB;
	put_file("kernel", &e, sizeof(e));
	rig_refused(&r, "entry");
	elf_make(&e, ELFOSABI_NONE, KERNBASE, 0);
	e.p[1].p_memsz = 1ull << 40;
	put_file("kernel", &e, sizeof(e));
	rig_refused(&r, "more --memory");
	e.p[1].p_memsz = UINT64_MAX;
	put_file("kernel", &e, sizeof(e));
	rig_refused(&r, "more --memory");
	e.p[1].p_memsz = 1;
	put_file("kernel", &e, sizeof(e));
	rig_refused(&r, "truncated");
	elf_make(&e, ELFOSABI_NONE, KERNBASE, 0);
	e.p[0].p_paddr = UINT64_MAX - 4096;
	put_file("kernel", &e, sizeof(e));
	rig_refused(&r, "more --memory");

	bz_make(&k);
	put_file("kernel", &k, sizeof(k) - 512);
	rig_refused(&r, "truncated");
	bz_header(&k)->version = 0x0206;
	put_file("kernel", &k, sizeof(k));
	rig_refused(&r, "64-bit");
	bz_make(&k);
	bz_header(&k)->pref_address = 63 * MIB;
	put_file("kernel", &k, sizeof(k));
	rig_refused(&r, "more --memory");
	bz_make(&k);
	bz_header(&k)->pref_address = UINT64_MAX - 100;
	put_file("kernel", &k, sizeof(k));
	rig_refused(&r, "more --memory");
	guest_mem_destroy(&r.mem);
}

ATF_TC(bad_extras);
ATF_TC_HEAD(bad_extras, tc)
{
	atf_tc_set_md_var(tc, "descr", "initrd, command line, modules and "
	    "environment that cannot be");
}
ATF_TC_BODY(bad_extras, tc)
{
	static const char *modules[] = { "m.ko" };
	static const char *envs[] = { "noequals" };
	static const char *twice[] = { "a=1", "a=2" };
	static char line[400];
	static struct elfkernel e;
	static struct bzimage k;
	static struct module m;
	struct rig r;

	bz_make(&k);
	put_file("kernel", &k, sizeof(k));
	rig_init(&r, 64 * MIB, "kernel");
	r.conf.initrd = "nowhere";
	rig_refused(&r, "initrd nowhere");
	ATF_REQUIRE_EQ(system("truncate -s 60M big"), 0);
	r.conf.initrd = "big";
	rig_refused(&r, "does not fit");
	r.conf.initrd = NULL;
	memset(line, 'x', sizeof(line) - 1);
	r.conf.cmdline = line;
	rig_refused(&r, "command line");
	r.conf.cmdline = NULL;
	r.conf.mfsroot = "big";
	rig_refused(&r, "FreeBSD");
	r.conf.mfsroot = NULL;
	r.conf.protocol = BOOT_FREEBSD;
	rig_refused(&r, "bzImage");

	elf_make(&e, ELFOSABI_FREEBSD, KERNBASE, KERNBASE);
	put_file("kernel", &e, sizeof(e));
	r.conf.protocol = BOOT_AUTO;
	r.conf.initrd = "big";
	rig_refused(&r, "--mfsroot");
	r.conf.initrd = NULL;
	r.conf.mfsroot = "big";
	ATF_CHECK_EQ(system("truncate -s 61M big"), 0);
	rig_refused(&r, "memory root");
	r.conf.mfsroot = NULL;
	r.conf.cmdline = "-Z";
	rig_refused(&r, "'-Z'");
	r.conf.cmdline = NULL;
	r.conf.env = envs;
	r.conf.nenv = 1;
	rig_refused(&r, "NAME=VALUE");
	r.conf.env = twice;
	r.conf.nenv = 2;
	rig_refused(&r, "twice");
	r.conf.nenv = 0;

	r.conf.modules = modules;
	r.conf.nmodules = 1;
	module_make(&m);
	put_file("m.ko", &m, 30);
	rig_refused(&r, "not an ELF file");
	put_file("m.ko", &m, sizeof(m) - 10);
	rig_refused(&r, "truncated");
	m.h.e_machine = EM_386;
	put_file("m.ko", &m, sizeof(m));
	rig_refused(&r, "another machine");
	module_make(&m);
	m.h.e_type = ET_EXEC;
	put_file("m.ko", &m, sizeof(m));
	rig_refused(&r, "not a FreeBSD kernel module");
	module_make(&m);
	m.sh[2].sh_size = UINT64_MAX - 100;
	put_file("m.ko", &m, sizeof(m));
	rig_refused(&r, "truncated");
	module_make(&m);
	m.sh[3].sh_size = UINT64_MAX - 100;
	put_file("m.ko", &m, sizeof(m));
	rig_refused(&r, "more --memory");
	module_make(&m);
	m.sh[3].sh_addralign = 3;
	put_file("m.ko", &m, sizeof(m));
	rig_refused(&r, "alignment");
	module_make(&m);
	m.sh[5].sh_link = 1000;
	put_file("m.ko", &m, sizeof(m));
	rig_refused(&r, "names");
	module_make(&m);
	m.sh[4].sh_info = 1000;
	put_file("m.ko", &m, sizeof(m));
	rig_refused(&r, "relocations");
	guest_mem_destroy(&r.mem);
}

ATF_TC(stock);
ATF_TC_HEAD(stock, tc)
{
	atf_tc_set_md_var(tc, "descr", "each kernel in /boot loads");
}
ATF_TC_BODY(stock, tc)
{
	FILE *p = popen("ls /boot/vmlinuz-* 2>/dev/null", "r");
	char path[256];
	unsigned n = 0;
	struct rig r;

	while (p != NULL && fgets(path, sizeof(path), p) != NULL) {
		path[strcspn(path, "\n")] = '\0';
		rig_init(&r, 256 * MIB, path);
		ATF_CHECK_EQ_MSG(rig_load(&r), 0, "%s", err);
		ATF_CHECK_EQ(r.cpu.rip, 16 * MIB + 0x200);
		guest_mem_destroy(&r.mem);
		n++;
	}
	if (p != NULL)
		pclose(p);
	if (n == 0)
		atf_tc_skip("no kernel in /boot");
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, linux64);
	ATF_TP_ADD_TC(tp, gap);
	ATF_TP_ADD_TC(tp, pvh);
	ATF_TP_ADD_TC(tp, freebsd);
	ATF_TP_ADD_TC(tp, bad_files);
	ATF_TP_ADD_TC(tp, bad_extras);
	ATF_TP_ADD_TC(tp, stock);
	return (atf_no_error());
}
