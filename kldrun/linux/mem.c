/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * mem.c: guest memory. The memfd is mapped once at GUEST_BASE, where all of
 * malloc(9) lives, and its tail a second time at LOW_BASE, below 2 GiB, for
 * module images (kernel code model) and thread stacks, so that vtophys works
 * on those too.
 */

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "linux.h"

/* Where AddressSanitizer's shadow is not. */
#define	GUEST_BASE	0x200000000000ul
#define	LOW_BASE	0x60000000ul
#define	LOW_MAX		(256ul << 20)
#define	MEM_MIN		(32ul << 20)

static uint64_t guest_size, low_size;
static uintptr_t image_next;

int
mem_init(int memfd, uint64_t size)
{
	void *p;

	if (size < MEM_MIN || size % 4096 != 0) {
		fprintf(stderr, "kldrun: %ju bytes of guest memory are too "
		    "few: give at least %ju MiB\n", (uintmax_t)size,
		    (uintmax_t)(MEM_MIN >> 20));
		return (-1);
	}
	low_size = size / 4 & ~0xffffful;
	if (low_size > LOW_MAX)
		low_size = LOW_MAX;
	guest_size = size;
	p = mmap((void *)GUEST_BASE, size, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_FIXED_NOREPLACE, memfd, 0);
	if (p != (void *)GUEST_BASE) {
		perror("kldrun: cannot map guest memory");
		return (-1);
	}
	p = mmap((void *)LOW_BASE, low_size, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_FIXED_NOREPLACE, memfd,
	    (off_t)(size - low_size));
	if (p != (void *)LOW_BASE) {
		perror("kldrun: cannot map guest memory below 2 GiB");
		return (-1);
	}
	image_next = LOW_BASE;
	return (0);
}

os_u8 *
os_guest_base(void)
{
	return ((os_u8 *)GUEST_BASE);
}

os_u64
os_guest_size(void)
{
	return (guest_size);
}

os_u8 *
os_low_base(void)
{
	return ((os_u8 *)LOW_BASE);
}

os_u64
os_low_size(void)
{
	return (low_size);
}

os_u64
os_vtophys(const void *va)
{
	uintptr_t v;

	v = (uintptr_t)va;
	if (v - GUEST_BASE < guest_size)
		return (v - GUEST_BASE);
	if (v - LOW_BASE < low_size)
		return (guest_size - low_size + (v - LOW_BASE));
	return (~(os_u64)0);
}

int
os_protect(void *addr, os_u64 size, int prot)
{
	return (mprotect(addr, size, ((prot & 1) != 0 ? PROT_READ : 0) |
	    ((prot & 2) != 0 ? PROT_WRITE : 0) |
	    ((prot & 4) != 0 ? PROT_EXEC : 0)));
}

/* Images grow from the bottom of the low window and are never given back. */
void *
mem_image_alloc(size_t size)
{
	void *p;

	size = (size + 4095) & ~(size_t)4095;
	if (image_next + size > LOW_BASE + low_size / 4)
		return (NULL);
	p = (void *)image_next;
	image_next += size;
	memset(p, 0, size);
	return (p);
}
