/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * An ELF kernel, its segments and its notes.
 */
#ifndef _VMM_BOOT_ELF_H_
#define	_VMM_BOOT_ELF_H_

#include "boot_int.h"

#define	BOOT_ELF_SEGMENTS 64u

struct boot_elf {
	bool		is64;
	uint16_t	type;
	uint16_t	phnum;
	uint64_t	entry;
	uint64_t	phoff;
};

struct boot_segment {
	uint32_t	type;
	uint64_t	offset;
	uint64_t	vaddr;
	uint64_t	paddr;
	uint64_t	filesz;
	uint64_t	memsz;
};

/* Part of the file, or NULL. */
const void *boot_elf_at(const struct boot_image *, uint64_t off, uint64_t len);
/* Checks the header; all segments can be read afterwards. */
int	boot_elf_open(struct boot *, struct boot_elf *);
void	boot_elf_segment(const struct boot_image *, const struct boot_elf *,
	    unsigned i, struct boot_segment *);
/* Copy the segments to their physical or virtual address minus `minus`. */
int	boot_elf_load(struct boot *, const struct boot_elf *, bool virtual,
	    uint64_t minus, uint64_t *start, uint64_t *end);
/* A note of the name "Xen". */
bool	boot_elf_note(const struct boot_image *, const struct boot_elf *,
	    uint32_t type, uint64_t *value);

#endif /* _VMM_BOOT_ELF_H_ */
