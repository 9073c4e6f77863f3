/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * Linux's bzImage, entered by the 64-bit boot protocol: the protected-mode part
 * where it wants to be, the parameters in one page, the initial file system as
 * high as it may be.  Facts: Documentation/x86/boot.rst and the structures in
 * Linux's user headers.
 */
#include <asm/bootparam.h>

#include <errno.h>
#include <string.h>

#include "boot_int.h"

#define	HEADER_OFF	0x1f1u		/* struct setup_header in the file */
#define	SECTOR		512u
#define	MAGIC		0x53726448u	/* "HdrS" */
#define	BOOT_FLAG	0xaa55u
#define	VERSION_MIN	0x020cu		/* xloadflags */
#define	ENTRY_64	0x200u
#define	LOADER_OTHER	0xffu
#define	SECTS_DEFAULT	4u

bool
boot_linux_is(const struct boot_image *im)
{
	uint32_t magic;
	uint16_t flag;

	if (im->len < HEADER_OFF + sizeof(struct setup_header))
		return (false);
	memcpy(&flag, im->data + 0x1fe, sizeof(flag));
	memcpy(&magic, im->data + 0x202, sizeof(magic));
	return (flag == BOOT_FLAG && magic == MAGIC);
}

static int
check(struct boot *b, const struct setup_header *h, uint64_t payload)
{

	if (h->version < VERSION_MIN || (h->xloadflags & XLF_KERNEL_64) == 0)
		return (BOOT_FAIL(b, -ENOEXEC, "%s is a Linux kernel without "
		    "the 64-bit entry (boot protocol %u.%u); it needs a 64-bit "
		    "kernel from version 3.8 on", b->conf->kernel,
		    h->version >> 8, h->version & 0xff));
	if ((h->loadflags & LOADED_HIGH) == 0)
		return (BOOT_FAIL(b, -ENOEXEC, "%s is a zImage; only bzImages "
		    "boot", b->conf->kernel));
	/* syssize counts the 32-bit part in paragraphs. */
	if (b->kernel.len < payload || (uint64_t)h->syssize * 16 >
	    b->kernel.len - payload + 15 || b->kernel.len - payload <
	    ENTRY_64)
		return (BOOT_FAIL(b, -ENOEXEC, "%s is truncated: %llu bytes "
		    "of %llu", b->conf->kernel,
		    (unsigned long long)b->kernel.len,
		    (unsigned long long)(payload + (uint64_t)h->syssize *
		    16)));
	return (0);
}

/* The initial file system: as high as the kernel and memory allow. */
static int
initrd(struct boot *b, struct setup_header *h, uint64_t above)
{
	uint64_t size, top = b->low_end, gpa;
	int error;

	if (b->conf->initrd == NULL)
		return (0);
	error = boot_file_size(b, b->conf->initrd, "initrd", &size);
	if (error != 0)
		return (error);
	if (top > (uint64_t)h->initrd_addr_max + 1)
		top = (uint64_t)h->initrd_addr_max + 1;
	if (above > top || size > top - above)
		return (BOOT_FAIL(b, -EFBIG, "the initrd %s (%llu MiB) does "
		    "not fit beside the kernel; give the guest more --memory",
		    b->conf->initrd, (unsigned long long)(size >> 20)));
	gpa = (top - size) & ~(uint64_t)(VMM_PAGE - 1);
	if (gpa < above)
		gpa = above;
	h->ramdisk_image = (uint32_t)gpa;
	h->ramdisk_size = (uint32_t)size;
	return (boot_file_load(b, b->conf->initrd, "initrd", gpa, size));
}

static int
cmdline(struct boot *b, struct setup_header *h)
{
	const char *s = b->conf->cmdline != NULL ? b->conf->cmdline : "";
	size_t len = strlen(s), max = h->cmdline_size;

	if (max >= BOOT_CMDLINE_MAX)
		max = BOOT_CMDLINE_MAX - 1;
	if (len > max)
		return (BOOT_FAIL(b, -E2BIG, "the command line has %zu "
		    "characters; %s takes %zu", len, b->conf->kernel, max));
	h->cmd_line_ptr = (uint32_t)BOOT_CMDLINE;
	return (boot_write(b, BOOT_CMDLINE, s, len + 1, "the command line"));
}

static int
params(struct boot *b, const struct setup_header *h)
{
	struct boot_params p;
	unsigned i;

	memset(&p, 0, sizeof(p));
	p.hdr = *h;
	p.hdr.type_of_loader = LOADER_OTHER;
	p.acpi_rsdp_addr = b->rsdp;
	for (i = 0; i < b->nmap; i++)
		p.e820_table[i] = (struct boot_e820_entry){ b->map[i].start,
		    b->map[i].size, b->map[i].type };
	p.e820_entries = (__u8)b->nmap;
	return (boot_write(b, BOOT_PARAMS, &p, sizeof(p), "parameters"));
}

int
boot_linux(struct boot *b)
{
	struct setup_header h;
	uint64_t load, len, need, payload;
	int error;

	memcpy(&h, b->kernel.data + HEADER_OFF, sizeof(h));
	payload = (h.setup_sects == 0 ? SECTS_DEFAULT + 1 :
	    h.setup_sects + 1u) * (uint64_t)SECTOR;
	error = check(b, &h, payload);
	if (error != 0)
		return (error);
	len = b->kernel.len - payload;
	load = h.pref_address;
	need = h.init_size > len ? h.init_size : len;
	if (!boot_is_low(b, load, need))
		return (BOOT_FAIL(b, -EFBIG, "%s needs %llu MiB of memory at "
		    "%llu MiB; give the guest more --memory", b->conf->kernel,
		    (unsigned long long)(need + 0xfffff) >> 20,
		    (unsigned long long)load >> 20));
	error = boot_write(b, load, b->kernel.data + payload, len,
	    b->conf->kernel);
	if (error == 0)
		error = initrd(b, &h, (load + need + VMM_PAGE - 1) &
		    ~(uint64_t)(VMM_PAGE - 1));
	if (error == 0)
		error = cmdline(b, &h);
	h.code32_start = (uint32_t)load;
	if (error == 0)
		error = params(b, &h);
	if (error == 0)
		error = boot_gdt(b, true);
	if (error == 0)
		error = boot_identity(b);
	b->cpu->rip = load + ENTRY_64;
	b->cpu->rsi = BOOT_PARAMS;
	return (error);
}
