/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * Inside of the loader: what the files of vmm/boot share.
 *
 * A file that is loaded is the user's, not the guest's, but it may be anything
 * at all: every offset and length in it is checked against the file, and every
 * address against guest memory.
 */
#ifndef _VMM_BOOT_INT_H_
#define	_VMM_BOOT_INT_H_

#include <hvk/boot.h>
#include <hvk/vmm.h>

#define	BOOT_LOW_END	0x000a0000ull	/* memory ends, legacy holes begin */
#define	BOOT_HIGH	0x00100000ull	/* memory goes on */
#define	BOOT_MIN_MEM	0x02000000ull	/* less is no use to any kernel */

/* Below 640 KiB, free for the kernel once it has tables of its own. */
#define	BOOT_GDT	0x00001000ull
#define	BOOT_PARAMS	0x00007000ull	/* Linux */
#define	BOOT_STACK	0x00008f00ull	/* FreeBSD: three words */
#define	BOOT_TABLES	0x00009000ull	/* up to six pages */
#define	BOOT_CMDLINE	0x00020000ull
#define	BOOT_CMDLINE_MAX 0x00010000ull

/* Types in a memory map: the numbers of the BIOS call that began it. */
enum { BOOT_RAM = 1, BOOT_RESERVED = 2, BOOT_ACPI = 3 };

struct boot_range {
	uint64_t	start;
	uint64_t	size;
	uint32_t	type;
};
#define	BOOT_RANGES	8u

struct boot_image {
	uint8_t		*data;		/* private copy */
	uint64_t	len;
	const char	*path;
};

struct boot {
	const struct boot_config *conf;
	struct guest_mem *mem;
	struct boot_cpu	*cpu;
	char		*err;
	size_t		errlen;
	struct boot_image kernel;
	struct boot_range map[BOOT_RANGES];
	unsigned	nmap;
	uint64_t	low_end;	/* memory from 1 MiB on ends here */
	uint64_t	rsdp;
};

#define	BOOT_FAIL(b, error, ...)					\
	vmm_fail((b)->err, (b)->errlen, (error), __VA_ARGS__)

/* ---- file.c: 0 or -errno with a line in err. */
int	boot_file_read(struct boot *, struct boot_image *, const char *path,
	    const char *what, uint64_t max);
void	boot_file_free(struct boot_image *);
/* Its size, for deciding where it goes. */
int	boot_file_size(struct boot *, const char *path, const char *what,
	    uint64_t *size);
/* Exactly `size` bytes of it into guest memory. */
int	boot_file_load(struct boot *, const char *path, const char *what,
	    uint64_t gpa, uint64_t size);

/* ---- map.c */
/* Where memory is; -errno if there is too little. */
int	boot_map_make(struct boot *);
/* Checked copies into guest memory. */
int	boot_write(struct boot *, uint64_t gpa, const void *, uint64_t len,
	    const char *what);
int	boot_zero(struct boot *, uint64_t gpa, uint64_t len, const char *what);
/* Is [gpa, gpa + len) memory between 1 MiB and the gap? */
bool	boot_is_low(const struct boot *, uint64_t gpa, uint64_t len);
/* A GDT for 32 or 64 bits. */
int	boot_gdt(struct boot *, bool long_mode);
/* Page tables: gpa == address for the first 4 GiB... */
int	boot_identity(struct boot *);
/* ...or the first GiB again and again, everywhere. */
int	boot_alias(struct boot *);

/* ---- linux.c, pvh.c, freebsd.c */
bool	boot_linux_is(const struct boot_image *);
int	boot_linux(struct boot *);
int	boot_pvh(struct boot *);
bool	boot_freebsd_is(const struct boot_image *);
int	boot_freebsd(struct boot *);

#endif /* _VMM_BOOT_INT_H_ */
