/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * Where the processor enters when the hypervisor interrupts for VMBus: the
 * kernel's own macro makes the trap frame, hyperv_isr() does the work, doreti
 * leaves.  The macros are for assembly files that say LOCORE, which the kernel's
 * build says and a module's does not; before 14.0 there is no KMSAN.
 */

#ifndef LOCORE
#define	LOCORE
#endif

#include "assym.inc"

#include <machine/psl.h>
#include <machine/asmacros.h>
#include <machine/specialreg.h>

#ifndef KMSAN_ENTER
#define	KMSAN_ENTER
#define	KMSAN_LEAVE
#endif

	.text
	.p2align 8
	INTR_HANDLER	hyperv_vector
	KMSAN_ENTER
	movq	%rsp, %rdi
	call	hyperv_isr
	KMSAN_LEAVE
	jmp	doreti
