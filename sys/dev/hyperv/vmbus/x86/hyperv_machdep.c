/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * The hypervisor's interface on amd64 and i386: CPUID, model-specific
 * registers, the hypercall page, the interrupt vector.
 * Facts: wire.md section 2.
 */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/bus.h>
#include <sys/kernel.h>
#include <sys/malloc.h>
#include <vm/vm.h>
#include <vm/vm_extern.h>
#include <vm/pmap.h>
#include <machine/cpufunc.h>
#include <machine/cputypes.h>
#include <machine/intr_machdep.h>
#include <machine/md_var.h>
#include <machine/pmap.h>
#include <machine/specialreg.h>
#include <x86/apicvar.h>
#include <x86/x86_var.h>

#include "hvk_compat.h"
#include "../hyperv.h"

#ifdef __amd64__
/* The entries are in vmbus_vector.S; _pti is for page table isolation. */
inthand_t	Xhyperv_vector;
inthand_t	Xhyperv_vector_pti;

/*
 * With page table isolation the entry must be mapped in user tables too.  It is
 * aligned so as to be in one page.
 */
#define	ENTRY_PAGE	trunc_page((uintptr_t)Xhyperv_vector_pti)
#endif

void __noinline
hyperv_cpuid(u_int leaf, u_int sub, u_int *regs)
{

	cpuid_count(leaf, sub, regs);
}

bool
hyperv_md_identify(struct hyperv_info *info)
{
	u_int max, regs[4];

	hyperv_cpuid(1, 0, regs);
	if ((regs[2] & CPUID2_HV) == 0)
		return (false);
	hyperv_cpuid(HVK_CPUID_MAX, 0, regs);
	max = regs[0];
	if (regs[1] != HVK_CPUID_VENDOR_EBX ||
	    regs[2] != HVK_CPUID_VENDOR_ECX ||
	    regs[3] != HVK_CPUID_VENDOR_EDX ||
	    max < HVK_CPUID_MAX_LOWEST || max > HVK_CPUID_MAX_HIGHEST)
		return (false);
	hyperv_cpuid(HVK_CPUID_INTERFACE, 0, regs);
	if (regs[0] != HVK_CPUID_INTERFACE_HV1)
		return (false);
	hyperv_cpuid(HVK_CPUID_VERSION, 0, info->version);
	hyperv_cpuid(HVK_CPUID_FEATURES, 0, regs);
	info->features = regs[0];
	info->rights = regs[1];
	info->power = regs[2];
	info->misc = regs[3];
	hyperv_cpuid(HVK_CPUID_RECOMMENDATIONS, 0, regs);
	info->recommends = regs[0];
	return ((info->features & (HVK_FEATURE_HYPERCALL |
	    HVK_FEATURE_SYNIC)) == (HVK_FEATURE_HYPERCALL | HVK_FEATURE_SYNIC));
}

void *
hyperv_md_hypercall_page(void)
{

	return (HVK_KMEM_ALLOC(PAGE_SIZE, M_EXEC | M_WAITOK | M_ZERO));
}

void
hyperv_md_hypercall_page_free(void *page)
{

	HVK_KMEM_FREE(page, PAGE_SIZE);
}

/*
 * One statement, so that nothing can come between the registers and the call;
 * the hypervisor may change what the C calling convention lets it change.
 */
uint64_t
hyperv_md_hypercall(void *page, uint64_t control, uint64_t in, uint64_t out)
{
#ifdef __amd64__
	register uint64_t r8 __asm__("r8") = out;
	uint64_t result;

	__asm__ __volatile__("call *%[page]"
	    : "=a" (result), "+c" (control), "+d" (in), "+r" (r8)
	    : [page] "r" (page)
	    : "cc", "memory", "r9", "r10", "r11");
	return (result);
#else
	uint32_t high, in_high, in_low, low, out_high, out_low;

	low = (uint32_t)control;
	high = (uint32_t)(control >> 32);
	in_low = (uint32_t)in;
	in_high = (uint32_t)(in >> 32);
	out_low = (uint32_t)out;
	out_high = (uint32_t)(out >> 32);
	__asm__ __volatile__("call *%[page]"
	    : "+a" (low), "+d" (high), "+c" (in_low), "+b" (in_high),
	      "+S" (out_low), "+D" (out_high)
	    : [page] "m" (page)
	    : "cc", "memory");
	return (low | (uint64_t)high << 32);
#endif
}

uint64_t
hyperv_rdmsr(u_int reg)
{

	return (rdmsr(reg));
}

void
hyperv_wrmsr(u_int reg, uint64_t value)
{

	wrmsr(reg, value);
}

bool
hyperv_md_auto_eoi(void)
{

	return ((hyperv_info.recommends & HVK_RECOMMEND_NO_AUTO_EOI) == 0);
}

void
hyperv_md_eoi(void)
{

	lapic_eoi();
}

#ifdef __amd64__
int
hyperv_md_intr_setup(void)
{
	inthand_t *entry;
	int vector;

	entry = Xhyperv_vector;
	if (pti) {
		entry = Xhyperv_vector_pti;
		pmap_pti_add_kva(ENTRY_PAGE, ENTRY_PAGE + PAGE_SIZE, true);
	}
	vector = lapic_ipi_alloc(entry);
	if (vector < 0 && pti)
		pmap_pti_remove_kva(ENTRY_PAGE, ENTRY_PAGE + PAGE_SIZE);
	return (vector);
}

void
hyperv_md_intr_teardown(int vector)
{

	lapic_ipi_free(vector);
	if (pti)
		pmap_pti_remove_kva(ENTRY_PAGE, ENTRY_PAGE + PAGE_SIZE);
}
#else
/*
 * i386 keeps only its own trampoline mapped while user code runs, so that an
 * interrupt entry in a module can never be reached: there is no way to give a
 * loadable module a vector.
 */
int
hyperv_md_intr_setup(void)
{

	printf("hyperv: i386 has no interrupt vectors for modules\n");
	return (-1);
}

void
hyperv_md_intr_teardown(int vector __unused)
{
}
#endif

/* vmstat -i: "cpuN:hyperv".  There is no way to take a counter back. */
u_long *
hyperv_md_intr_counter(int cpu)
{
	char name[32];
	u_long *counter;

	snprintf(name, sizeof(name), "cpu%d:hyperv", cpu);
	counter = NULL;
	intrcnt_add(name, &counter);
	return (counter);
}
