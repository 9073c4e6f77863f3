/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 */

/*
 * The only place where the core learns about its surroundings: fixed-width
 * integers, bool, offsetof, and the few compiler facilities that it uses.
 * Everything else in the core includes this and nothing of the system, so that
 * one set of sources serves user space, a freestanding port and the FreeBSD
 * kernel.  Nothing here is shared or locked.
 */

#ifndef HVK_TYPES_H
#define	HVK_TYPES_H

#if defined(_KERNEL) && defined(__FreeBSD__)
#include <sys/types.h>
#include <sys/stdint.h>
#include <sys/stddef.h>
#else
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#endif

#if !defined(__BYTE_ORDER__) || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the protocol is little-endian and the core reads it in place"
#endif

/* The unit of every page frame number, whatever the page size of the guest. */
#define	HVK_PAGE_SHIFT		12
#define	HVK_PAGE_SIZE		4096u
#define	HVK_PAGE_MASK		4095u

#define	HVK_INLINE		static inline __attribute__((__always_inline__))
/* Not __cold__: a compiler then copies byte by byte to save space. */
#define	HVK_NOINLINE		__attribute__((__noinline__))
#define	HVK_UNUSED		__attribute__((__unused__))
#define	hvk_likely(x)		__builtin_expect(!!(x), 1)
#define	hvk_unlikely(x)		__builtin_expect(!!(x), 0)
#define	hvk_copy(to, from, n)	__builtin_memcpy((to), (from), (n))
#define	hvk_zero(to, n)		__builtin_memset((to), 0, (n))
#define	hvk_same(a, b, n)	(__builtin_memcmp((a), (b), (n)) == 0)
#define	HVK_COUNT(array)	(sizeof(array) / sizeof((array)[0]))

/* States the place of a field on the wire. */
#define	HVK_AT(type, field, off)					\
	_Static_assert(offsetof(type, field) == (off),			\
	    #type "." #field " is not at " #off)
#define	HVK_SIZE(type, size)						\
	_Static_assert(sizeof(type) == (size), #type " is not " #size)

/* Round up to the unit of the ring. */
HVK_INLINE uint32_t
hvk_align8(uint32_t n)
{
	return ((n + 7u) & ~7u);
}

#endif /* !HVK_TYPES_H */
