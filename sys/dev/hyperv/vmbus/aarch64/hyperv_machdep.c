/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * The hypervisor's interface on arm64: calls by HVC with the function number of
 * the vendor's service, registers by the hypercalls that read and write them.
 *
 * Compiled and linked, never run: the interrupt comes from a line that only
 * ACPI names, which this file does not read, so a device is refused here with
 * one line.  Facts: the hypervisor's published specification (register and
 * call numbers).
 */

#include <sys/param.h>
#include <sys/systm.h>

#include "../hyperv.h"

#define	HVC_FUNCTION		0x46000001ul	/* yielding, 64 bit, vendor */
#define	CALL_GET_REGISTERS	0x0050ul
#define	CALL_SET_REGISTERS	0x0051ul
#define	ONE_REPETITION		(1ul << HVK_HC_REP_COUNT_SHIFT)
#define	PARTITION_SELF		(~0ul)
#define	VP_SELF			0xfffffffeul

/* The numbers that x86 gives its registers, and those of the same here. */
static const struct {
	u_int		msr;
	uint32_t	reg;
} registers[] = {
	{ HVK_MSR_GUEST_OS_ID,			0x00090002 },
	{ HVK_MSR_VP_INDEX,			0x00090003 },
	{ HVK_MSR_CRASH_P0,			0x00000210 },
	{ HVK_MSR_CRASH_P0 + 1,			0x00000211 },
	{ HVK_MSR_CRASH_P0 + 2,			0x00000212 },
	{ HVK_MSR_CRASH_P0 + 3,			0x00000213 },
	{ HVK_MSR_CRASH_P0 + 4,			0x00000214 },
	{ HVK_MSR_CRASH_CONTROL,		0x00000215 },
	{ HVK_MSR_SCONTROL,			0x000a0010 },
	{ HVK_MSR_SIEFP,			0x000a0012 },
	{ HVK_MSR_SIMP,				0x000a0013 },
	{ HVK_MSR_EOM,				0x000a0014 },
	{ HVK_MSR_SINT0 + HVK_SINT_VMBUS,	0x000a0000 + HVK_SINT_VMBUS }
};

struct hvc {
	uint64_t x[8];
};

static void
hvc(struct hvc *h)
{
	register uint64_t x0 __asm__("x0") = h->x[0];
	register uint64_t x1 __asm__("x1") = h->x[1];
	register uint64_t x2 __asm__("x2") = h->x[2];
	register uint64_t x3 __asm__("x3") = h->x[3];
	register uint64_t x4 __asm__("x4") = h->x[4];
	register uint64_t x5 __asm__("x5") = h->x[5];
	register uint64_t x6 __asm__("x6") = h->x[6];
	register uint64_t x7 __asm__("x7") = h->x[7];

	__asm__ __volatile__("hvc #0"
	    : "+r" (x0), "+r" (x1), "+r" (x2), "+r" (x3), "+r" (x4),
	      "+r" (x5), "+r" (x6), "+r" (x7)
	    : : "memory", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15",
	      "x16", "x17");
	h->x[0] = x0;
	h->x[1] = x1;
	h->x[2] = x2;
	h->x[3] = x3;
	h->x[6] = x6;
	h->x[7] = x7;
}

static uint32_t
find_register(u_int msr)
{
	size_t i;

	for (i = 0; i < nitems(registers); i++)
		if (registers[i].msr == msr)
			return (registers[i].reg);
	return (0);
}

/* There is no such instruction; the answer is that there is nothing. */
void __noinline
hyperv_cpuid(u_int leaf __unused, u_int sub __unused, u_int *regs)
{

	regs[0] = regs[1] = regs[2] = regs[3] = 0;
}

bool
hyperv_md_identify(struct hyperv_info *info __unused)
{

	/*
	 * Without the interrupt line there is no use in asking: an HVC on a
	 * machine that has no hypervisor is an exception.
	 */
	return (false);
}

void *
hyperv_md_hypercall_page(void)
{

	return (NULL);
}

void
hyperv_md_hypercall_page_free(void *page __unused)
{
}

uint64_t
hyperv_md_hypercall(void *page __unused, uint64_t control, uint64_t in,
    uint64_t out)
{
	struct hvc h = { .x = { HVC_FUNCTION, control, in, out } };

	hvc(&h);
	return (h.x[0]);
}

uint64_t
hyperv_rdmsr(u_int msr)
{
	struct hvc h = { .x = { HVC_FUNCTION, CALL_GET_REGISTERS |
	    HVK_HC_FAST | ONE_REPETITION, PARTITION_SELF, VP_SELF,
	    find_register(msr) } };

	if (h.x[4] == 0)
		return (0);
	hvc(&h);
	return (h.x[6]);
}

void
hyperv_wrmsr(u_int msr, uint64_t value)
{
	struct hvc h = { .x = { HVC_FUNCTION, CALL_SET_REGISTERS |
	    HVK_HC_FAST | ONE_REPETITION, PARTITION_SELF, VP_SELF,
	    find_register(msr), 0, value, 0 } };

	if (h.x[4] != 0)
		hvc(&h);
}

bool
hyperv_md_auto_eoi(void)
{

	/* The interrupt controller's driver ends the interrupt. */
	return (true);
}

void
hyperv_md_eoi(void)
{
}

int
hyperv_md_intr_setup(void)
{

	printf("hyperv: no interrupt line is known on arm64\n");
	return (-1);
}

void
hyperv_md_intr_teardown(int vector __unused)
{
}

u_long *
hyperv_md_intr_counter(int cpu __unused)
{

	return (NULL);
}
