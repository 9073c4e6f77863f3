/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * What sys/dev/hyperv/vmbus/hyperv.c and x86/hyperv_machdep.c take from the
 * FreeBSD kernel, in terms of this guest: so the code that tells the hypervisor
 * who we are, makes the hypercall page and calls it is the module's own, not a
 * copy.  build.mk gives it to the compiler in place of the kernel's headers,
 * which are empty files there.
 */

#ifndef BSD_H
#define	BSD_H

#include "port.h"

typedef unsigned int	u_int;
typedef unsigned long	u_long;
typedef uint64_t	vm_paddr_t;
typedef void		inthand_t(void);

#define	PAGE_SIZE	4096
#define	PAGE_MASK	(PAGE_SIZE - 1)
#define	ENXIO		6
#define	M_EXEC		0
#define	M_WAITOK	0
#define	M_ZERO		0
#define	CPUID2_HV	0x80000000u
#define	__noinline	__attribute__((__noinline__))
#define	__unused	__attribute__((__unused__))
/* The interface that the guest id says this one was written for. */
#define	__FreeBSD_version 1500000

#define	bootverbose	0
#define	pti		0
#define	trunc_page(x)	((x) & ~(uintptr_t)PAGE_MASK)
#define	vtophys(p)	((uint64_t)(uintptr_t)(p))
#define	rdmsr(reg)	port_rdmsr(reg)
#define	wrmsr(reg, v)	port_wrmsr((reg), (v))
#define	lapic_eoi()	port_eoi()
#define	lapic_ipi_alloc(e) port_vector_alloc(e)
#define	lapic_ipi_free(v) port_vector_free(v)
#define	snprintf	port_snprintf
#define	pmap_pti_add_kva(start, end, exec) ((void)(start))
#define	pmap_pti_remove_kva(start, end) ((void)(start))
#define	intrcnt_add(name, counter) ((void)(name), (void)(counter))
#define	HVK_KMEM_ALLOC(size, flags) port_pages((size) / PAGE_SIZE)
#define	HVK_KMEM_FREE(p, size) port_pages_free((p), (size) / PAGE_SIZE)

/* Without the attribute: the compiler does not know %b. */
int	printf(const char *, ...);

static inline void
cpuid_count(u_int leaf, u_int sub, u_int *r)
{
	__asm__ __volatile__("cpuid" : "=a" (r[0]), "=b" (r[1]), "=c" (r[2]),
	    "=d" (r[3]) : "0" (leaf), "2" (sub));
}

#endif	/* !BSD_H */
