/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * Offsets that the macros of <machine/asmacros.h> name, for the assembler
 * files of a module.  On FreeBSD the kernel's genassym.c is the source; this
 * file has the part that an interrupt entry uses.
 */
#include <sys/param.h>
#include <sys/systm.h>
#include <sys/pcpu.h>
#include <sys/proc.h>
#include <machine/frame.h>
#include <machine/pcb.h>
#if defined(__amd64__) || defined(__i386__)
#include <machine/segments.h>
#endif

#define	OFFSET(name, type, field)					\
	__asm volatile("\n#assym " #name " %c0" : : "i" (offsetof(type, field)))
#define	SIZE(name, type)						\
	__asm volatile("\n#assym " #name " %c0" : : "i" (sizeof(type)))
#define	VALUE(name)							\
	__asm volatile("\n#assym " #name " %c0" : : "i" (name))

void offsets(void);

void
offsets(void)
{
#if defined(__amd64__) || defined(__i386__)
	VALUE(SEL_RPL_MASK);
	VALUE(SEL_KPL);
#endif
	OFFSET(PCB_FLAGS, struct pcb, pcb_flags);
#ifdef __amd64__
	VALUE(PCB_FULL_IRET);
	VALUE(TF_HASSEGS);
	OFFSET(TF_RDI, struct trapframe, tf_rdi);
	OFFSET(TF_RSI, struct trapframe, tf_rsi);
	OFFSET(TF_RDX, struct trapframe, tf_rdx);
	OFFSET(TF_RCX, struct trapframe, tf_rcx);
	OFFSET(TF_R8, struct trapframe, tf_r8);
	OFFSET(TF_R9, struct trapframe, tf_r9);
	OFFSET(TF_RAX, struct trapframe, tf_rax);
	OFFSET(TF_RBX, struct trapframe, tf_rbx);
	OFFSET(TF_RBP, struct trapframe, tf_rbp);
	OFFSET(TF_R10, struct trapframe, tf_r10);
	OFFSET(TF_R11, struct trapframe, tf_r11);
	OFFSET(TF_R12, struct trapframe, tf_r12);
	OFFSET(TF_R13, struct trapframe, tf_r13);
	OFFSET(TF_R14, struct trapframe, tf_r14);
	OFFSET(TF_R15, struct trapframe, tf_r15);
	OFFSET(TF_DS, struct trapframe, tf_ds);
	OFFSET(TF_ES, struct trapframe, tf_es);
	OFFSET(TF_FS, struct trapframe, tf_fs);
	OFFSET(TF_GS, struct trapframe, tf_gs);
	OFFSET(TF_FLAGS, struct trapframe, tf_flags);
	OFFSET(TF_RIP, struct trapframe, tf_rip);
	OFFSET(TF_CS, struct trapframe, tf_cs);
	SIZE(PTI_SIZE, struct pti_frame);
	OFFSET(PTI_ERR, struct pti_frame, pti_err);
	OFFSET(PTI_CS, struct pti_frame, pti_cs);
	OFFSET(PC_CURPCB, struct pcpu, pc_curpcb);
	OFFSET(PC_KCR3, struct pcpu, pc_kcr3);
	OFFSET(PC_UCR3, struct pcpu, pc_ucr3);
	OFFSET(PC_RSP0, struct pcpu, pc_rsp0);
	OFFSET(PC_PRVSPACE, struct pcpu, pc_prvspace);
#endif
#ifdef __i386__
	VALUE(PCB_VM86CALL);
	SIZE(TF_SZ, struct trapframe);
	OFFSET(TF_CS, struct trapframe, tf_cs);
	OFFSET(TF_EFLAGS, struct trapframe, tf_eflags);
	OFFSET(PC_PRVSPACE, struct pcpu, pc_prvspace);
#endif
}
