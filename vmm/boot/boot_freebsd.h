/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * What loader(8) leaves for a FreeBSD kernel, as far as it is written here.
 */
#ifndef _VMM_BOOT_FREEBSD_H_
#define	_VMM_BOOT_FREEBSD_H_

#include "boot_elf.h"

#define	FREEBSD_KERNBASE	0xffffffff80000000ull
#define	FREEBSD_TOP		(1ull << 30)	/* all is in the first GiB */

/* Records: type, length, bytes, padded to eight. */
#define	MODINFO_NAME		0x0001u
#define	MODINFO_TYPE		0x0002u
#define	MODINFO_ADDR		0x0003u
#define	MODINFO_SIZE		0x0004u
#define	MODINFO_METADATA	0x8000u
#define	MODINFOMD_ELFHDR	0x0002u
#define	MODINFOMD_SSYM		0x0003u
#define	MODINFOMD_ESYM		0x0004u
#define	MODINFOMD_DYNAMIC	0x0005u
#define	MODINFOMD_ENVP		0x0006u
#define	MODINFOMD_HOWTO		0x0007u
#define	MODINFOMD_KERNEND	0x0008u
#define	MODINFOMD_SHDR		0x0009u
#define	MODINFOMD_SMAP		0x1001u
#define	MODINFOMD_MODULEP	0x1006u

/* A growing block; `failed` sticks. */
struct boot_block {
	uint8_t		*data;
	size_t		len;
	size_t		room;
	bool		failed;
};

/* ---- freebsd_meta.c */
void	boot_block_add(struct boot_block *, const void *, size_t len);
void	boot_block_free(struct boot_block *);
/* One record; where its bytes are in the block. */
size_t	boot_meta(struct boot_block *, uint32_t type, const void *,
	    size_t len);
void	boot_meta_string(struct boot_block *, uint32_t type, const char *);
void	boot_meta_u64(struct boot_block *, uint32_t type, uint64_t);
/* The kernel environment, and the flags that it and the command line set. */
int	boot_freebsd_env(struct boot *, struct boot_block *, uint32_t *howto);

/* ---- freebsd_kld.c: one .ko at *end, which moves on; its records. */
int	boot_freebsd_module(struct boot *, const char *path, uint64_t *end,
	    struct boot_block *);

#endif /* _VMM_BOOT_FREEBSD_H_ */
