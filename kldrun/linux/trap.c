/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * trap.c: privileged instructions of module code arrive as SIGSEGV (under
 * valgrind as SIGILL) and are emulated (rdmsr, wrmsr, cli, sti, hlt, wbinvd);
 * any other fault ends the process as a kernel ends: with a panic message and a
 * backtrace that names module and function.
 */

#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include "linux.h"

#define	ALTSTACK	(64 * 1024)

static void __attribute__((format(printf, 1, 2)))
say(const char *fmt, ...)
{
	char buf[256];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	if (n >= (int)sizeof(buf))
		n = (int)sizeof(buf) - 1;
	kld_msgbuf_add(buf, (os_u64)n);
	os_console_write(buf, (os_u64)n);
}

/* Frames by rbp; ends where a frame is not on the same stack. */
void
trap_backtrace(uintptr_t pc, uintptr_t fp)
{
	uintptr_t next, *frame;
	char who[128];
	int i;

	say("KDB: stack backtrace:\n");
	for (i = 0; i < 32 && pc != 0; i++) {
		os_symbol_name((void *)pc, who, sizeof(who));
		say("#%d 0x%jx at %s\n", i, (uintmax_t)pc, who);
		if (fp == 0 || fp % 8 != 0)
			break;
		frame = (uintptr_t *)fp;
		next = frame[0];
		pc = frame[1];
		if (next <= fp || next - fp > (1u << 20))
			break;
		fp = next;
	}
}

void
os_die(void)
{
	trap_backtrace((uintptr_t)__builtin_return_address(0),
	    *(uintptr_t *)__builtin_frame_address(0));
	kld_panicked(NULL);
	os_exit(KLD_EXIT_PANIC);
}

static bool
emulate_msr(greg_t *g, const uint8_t *pc)
{
	os_u64 value;
	os_u32 msr;

	msr = (os_u32)g[REG_RCX];
	if (pc[1] == 0x32) {
		if (os_rdmsr(kld_curcpu(), msr, &value) != 0)
			return (false);
		g[REG_RAX] = (greg_t)(value & 0xffffffff);
		g[REG_RDX] = (greg_t)(value >> 32);
	} else {
		value = (os_u64)(uint32_t)g[REG_RDX] << 32 |
		    (uint32_t)g[REG_RAX];
		if (os_wrmsr(kld_curcpu(), msr, value) != 0)
			return (false);
	}
	g[REG_RIP] += 2;
	return (true);
}

static bool
emulate(greg_t *g)
{
	const uint8_t *pc;

	pc = (const uint8_t *)g[REG_RIP];
	if (loader_find((uintptr_t)pc) == NULL)
		return (false);
	switch (pc[0]) {
	case 0x0f:
		if (pc[1] == 0x32 || pc[1] == 0x30)
			return (emulate_msr(g, pc));
		if (pc[1] == 0x09) {
			g[REG_RIP] += 2;
			return (true);
		}
		return (false);
	case 0xfa:	/* cli: interrupts come on a thread of their own */
	case 0xfb:	/* sti */
		g[REG_RIP] += 1;
		return (true);
	case 0xf4:
		os_yield();
		g[REG_RIP] += 1;
		return (true);
	default:
		return (false);
	}
}

static const char *
fault_name(int sig, const siginfo_t *si)
{
	switch (sig) {
	case SIGFPE:
		return ("integer divide fault");
	case SIGILL:
		return ("privileged or unknown instruction fault");
	case SIGBUS:
		return ("bus error");
	case SIGTRAP:
		return ("breakpoint");
	case SIGABRT:
		return ("abort");
	default:
		return (si->si_code == SI_KERNEL ? "general protection fault" :
		    "page fault");
	}
}

static void
on_fault(int sig, siginfo_t *si, void *arg)
{
	static _Thread_local bool dying;
	static _Thread_local int depth;
	char who[128];
	greg_t *g;

	g = ((ucontext_t *)arg)->uc_mcontext.gregs;
	if ((sig == SIGSEGV || sig == SIGILL) && depth == 0) {
		depth++;
		if (emulate(g)) {
			depth--;
			return;
		}
		depth--;
	}
	/* While dying registers are still written, and nothing else faults. */
	if (dying) {
		signal(sig, SIG_DFL);
		return;
	}
	dying = true;
	os_symbol_name((void *)g[REG_RIP], who, sizeof(who));
	say("\nFatal trap: %s\n", fault_name(sig, si));
	say("fault address = %p\ninstruction pointer = 0x%jx (%s)\n",
	    si->si_addr, (uintmax_t)g[REG_RIP], who);
	say("current thread = %s, cpuid = %d\n",
	    kld_curthread_name(), kld_curcpu());
	say("panic: %s\n", fault_name(sig, si));
	trap_backtrace((uintptr_t)g[REG_RIP], (uintptr_t)g[REG_RBP]);
	kld_panicked(fault_name(sig, si));
	os_exit(KLD_EXIT_PANIC);
}

static pthread_key_t stack_key;

static void
stack_free(void *p)
{
	stack_t ss = { .ss_flags = SS_DISABLE };

	sigaltstack(&ss, NULL);
	munmap(p, ALTSTACK);
}

void
trap_thread_init(void)
{
	stack_t ss = { .ss_size = ALTSTACK };

	ss.ss_sp = mmap(NULL, ALTSTACK, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (ss.ss_sp == MAP_FAILED)
		abort();
	sigaltstack(&ss, NULL);
	pthread_setspecific(stack_key, ss.ss_sp);
}

void
trap_init(void)
{
	static const int sigs[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP,
	    SIGABRT };
	struct sigaction sa;
	size_t i;

	pthread_key_create(&stack_key, stack_free);
	trap_thread_init();
	memset(&sa, 0, sizeof(sa));
	sa.sa_sigaction = on_fault;
	sa.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
	for (i = 0; i < sizeof(sigs) / sizeof(sigs[0]); i++)
		sigaction(sigs[i], &sa, NULL);
	signal(SIGPIPE, SIG_IGN);
}
