/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * Where the processors enter: the first by the PVH protocol in 32-bit mode, the
 * others by a start-up IPI in real mode; and where interrupts and exceptions
 * enter.  The first 4 GiB are mapped one to one.
 * Facts: the PVH entry note of Xen's public interface, Intel's manual volume 3.
 */

#define	CODE64		0x08
#define	DATA		0x10
#define	CODE32		0x18
#define	EFER		0xc0000080

/* The trampoline must match port.h. */
#define	TRAMPOLINE	0x8000

	.section .note.pvh, "a", @note
	.long	4, 8, 18
	.asciz	"Xen"
	.quad	start32

	.text
	.code32
	.globl	start32
start32:
	cli
	cld
	movl	%ebx, %esi
	movl	$boot_stack_top, %esp
	/* Four page directories of 2 MiB pages. */
	movl	$boot_pd, %edi
	movl	$0x83, %eax
1:	movl	%eax, (%edi)
	movl	$0, 4(%edi)
	addl	$8, %edi
	addl	$0x200000, %eax
	jnc	1b
	movl	$boot_pd + 3, boot_pdpt
	movl	$boot_pd + 0x1003, boot_pdpt + 8
	movl	$boot_pd + 0x2003, boot_pdpt + 16
	movl	$boot_pd + 0x3003, boot_pdpt + 24
	movl	$boot_pdpt + 3, boot_pml4
	lgdt	gdt_pointer
	movl	$boot64, %edi
	jmp	long_mode

/* Paging on and to the 64-bit address in EDI; for every processor. */
long_mode:
	movl	%cr4, %eax
	orl	$0x20, %eax
	movl	%eax, %cr4
	movl	$boot_pml4, %eax
	movl	%eax, %cr3
	movl	$EFER, %ecx
	rdmsr
	orl	$0x100, %eax
	wrmsr
	movl	%cr0, %eax
	andl	$0x9fffffff, %eax	/* caches on */
	orl	$0x80000001, %eax
	movl	%eax, %cr0
	ljmp	$CODE64, $1f
	.code64
1:	movl	$DATA, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %ss
	xorl	%eax, %eax
	movl	%eax, %fs
	movl	%eax, %gs
	movl	%edi, %edi
	jmp	*%rdi

boot64:
	movl	$boot_stack_top, %esp
	movl	%esi, %edi
	xorl	%ebp, %ebp
	call	port_main
1:	cli
	hlt
	jmp	1b

/* The other processors: copied to TRAMPOLINE. */
	.code16
	.globl	trampoline, trampoline_end
trampoline:
	cli
	cld
	movw	%cs, %ax
	movw	%ax, %ds
	lgdtl	tramp_gdt - trampoline
	movl	%cr0, %eax
	orl	$1, %eax
	movl	%eax, %cr0
	ljmpl	$CODE32, $TRAMPOLINE + tramp32 - trampoline
	.code32
tramp32:
	movl	$DATA, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %ss
	movl	$ap64, %edi
	movl	$long_mode, %eax
	jmp	*%eax
	.p2align 3
tramp_gdt:
	.word	gdt_end - gdt - 1
	.long	gdt
trampoline_end:

	.code64
ap64:
	movl	ap_stack, %esp
	xorl	%ebp, %ebp
	call	port_ap_main
1:	cli
	hlt
	jmp	1b

/*
 * Interrupts: save what C may change, call, return.  The stack is 16-aligned at
 * the call: the processor pushes 5 words on an aligned stack, and 9 follow.
 */
	.macro	INTERRUPT name, handler
	.globl	\name
	.p2align 4
\name:
	pushq	%rax
	pushq	%rcx
	pushq	%rdx
	pushq	%rsi
	pushq	%rdi
	pushq	%r8
	pushq	%r9
	pushq	%r10
	pushq	%r11
	cld
	movq	%rsp, %rdi
	call	\handler
	popq	%r11
	popq	%r10
	popq	%r9
	popq	%r8
	popq	%rdi
	popq	%rsi
	popq	%rdx
	popq	%rcx
	popq	%rax
	iretq
	.endm

	INTERRUPT Xhyperv_vector, hyperv_isr
	INTERRUPT Xdirect, port_direct_isr
	INTERRUPT Xtimer, port_timer_isr
	INTERRUPT Xspurious, port_spurious_isr
	.globl	Xhyperv_vector_pti
	.set	Xhyperv_vector_pti, Xhyperv_vector

/* Exceptions: number and error code, then one place. */
	.macro	EXCEPTION n, error=0
	.p2align 4
	.if	\error == 0
	pushq	$0
	.endif
	pushq	$\n
	jmp	exception
	.endm

	.globl	exceptions
	.p2align 4
exceptions:
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7
	EXCEPTION \n
	.endr
	EXCEPTION 8, 1
	EXCEPTION 9
	.irp	n, 10, 11, 12, 13, 14
	EXCEPTION \n, 1
	.endr
	EXCEPTION 15
	EXCEPTION 16
	EXCEPTION 17, 1
	EXCEPTION 18
	EXCEPTION 19

	.p2align 4
exception:
	pushq	%rax
	pushq	%rcx
	pushq	%rdx
	pushq	%rsi
	pushq	%rdi
	pushq	%r8
	pushq	%r9
	pushq	%r10
	pushq	%r11
	pushq	%rbx
	cld
	movq	%rsp, %rdi
	/* With or without an error code the frame is now the same. */
	movq	%rsp, %rbx
	andq	$-16, %rsp
	call	port_exception
	movq	%rbx, %rsp
	popq	%rbx
	popq	%r11
	popq	%r10
	popq	%r9
	popq	%r8
	popq	%rdi
	popq	%rsi
	popq	%rdx
	popq	%rcx
	popq	%rax
	addq	$16, %rsp
	iretq

/*
 * Registers that may not exist: the exception handler continues at the label
 * below and the result is false.
 * bool try_rdmsr(uint32_t reg, uint64_t *value)
 */
	.globl	try_rdmsr, try_rdmsr_at, try_wrmsr, try_wrmsr_at, try_failed
	.p2align 4
try_rdmsr:
	movl	%edi, %ecx
try_rdmsr_at:
	rdmsr
	shlq	$32, %rdx
	orq	%rdx, %rax
	movq	%rax, (%rsi)
	movl	$1, %eax
	ret
/* bool try_wrmsr(uint32_t reg, uint64_t value) */
	.p2align 4
try_wrmsr:
	movl	%edi, %ecx
	movl	%esi, %eax
	movq	%rsi, %rdx
	shrq	$32, %rdx
try_wrmsr_at:
	wrmsr
	movl	$1, %eax
	ret
try_failed:
	xorl	%eax, %eax
	ret

	.data
	.p2align 4
gdt:
	.quad	0
	.quad	0x00af9b000000ffff
	.quad	0x00cf93000000ffff
	.quad	0x00cf9b000000ffff
gdt_end:
gdt_pointer:
	.word	gdt_end - gdt - 1
	.quad	gdt

	.section .bss
	.globl	boot_pd, boot_pml4
	.p2align 12
boot_pml4:
	.skip	4096
boot_pdpt:
	.skip	4096
boot_pd:
	.skip	4096 * 4
	.skip	16384
boot_stack_top:

	.section .note.GNU-stack, "", @progbits
