/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * A guest of a few hundred instructions, 32 bits, entered by PVH: it does what
 * its command line names and prints "ok NAME" or "bad NAME" for each check.
 * kvm_test.c runs it.  No paging, one processor, no libc.
 */
#include <hvk/wire/hv.h>
#include <hvk/wire/vmbus.h>

#define	SERIAL		0x3f8
#define	PM1_CNT		0x604
#define	S5_NOW		(5u << 10 | 1u << 13)
#define	SEL_CODE	0x10
#define	PM1_STATUS	0x600
#define	PM1_ENABLE	0x602
#define	IOAPIC		0xfec00000u
#define	LAPIC_SVR	0xfee000f0u
#define	LAPIC_EOI	0xfee000b0u
#define	LAPIC_ISR	0xfee00100u
#define	VECTOR_SINT	0x50
#define	VECTOR_TIMER	0x60

#define	HYPERCALL_PAGE	0x00200000u
#define	SIMP_PAGE	0x00201000u
#define	SIEFP_PAGE	0x00202000u
#define	INPUT_PAGE	0x00203000u
#define	TEXT_PAGE	0x00204000u
#define	GAP		0xd0000000u
#define	OUTSIDE		0x30000000u	/* beyond 64 MiB, below the gap */

__asm__(
"	.section .note.pvh, \"a\", @note\n"
"	.long 4, 4, 18\n"
"	.asciz \"Xen\"\n"
"	.long _start\n"
"	.text\n"
"	.globl _start\n"
"_start:	mov $stack_end, %esp\n"
"	push %ebx\n"
"	call guest_main\n"
"1:	hlt\n"
"	jmp 1b\n"
/*
 * Back from an interrupt without IRET, which KVM's instruction emulator does
 * not know in this mode: the frame's flags and address change places.
 */
"back:	push %eax\n"
"	mov 4(%esp), %eax\n"		/* address */
"	xchg %eax, 12(%esp)\n"		/* flags */
"	mov %eax, 8(%esp)\n"
"	pop %eax\n"
"	add $4, %esp\n"
"	popf\n"
"	ret\n"
"on_gp:	add $4, %esp\n"
"	addl $2, (%esp)\n"
"	incl faults\n"
"	jmp back\n"
"on_nmi: incl nmis\n"
"	jmp back\n"
"on_sint: pusha\n"
"	call took_sint\n"
"	popa\n"
"	jmp back\n"
"on_tick: pusha\n"
"	call took_tick\n"
"	popa\n"
"	jmp back\n"
"	.bss\n"
"	.balign 16\n"
"	.skip 16384\n"
"stack_end:\n"
"	.text\n");

struct gate {
	uint16_t low, sel, flags, high;
};
struct start_info {
	uint32_t magic, version, flags, nmodules;
	uint64_t modules, cmdline;
};

static struct gate idt[256] __attribute__((aligned(16)));
static volatile uint32_t sints, ticks, in_service;
static volatile bool explicit_eoi, button;
volatile uint32_t faults, nmis;

void	guest_main(const struct start_info *);
void	took_sint(void);
void	took_tick(void);
extern char on_gp[], on_nmi[], on_sint[], on_tick[];

/* ---- instructions */

static inline void
out8(uint16_t port, uint8_t v)
{
	__asm__ volatile("out %0, %1" : : "a"(v), "Nd"(port));
}

static inline void
out16(uint16_t port, uint16_t v)
{
	__asm__ volatile("out %0, %1" : : "a"(v), "Nd"(port));
}

static inline uint8_t
in8(uint16_t port)
{
	uint8_t v;

	__asm__ volatile("in %1, %0" : "=a"(v) : "Nd"(port));
	return (v);
}

/* A fault is counted, and the instruction (two bytes) is passed over. */
static bool
wrmsr(uint32_t msr, uint64_t v)
{
	uint32_t before = faults;

	__asm__ volatile("wrmsr" : : "c"(msr), "A"(v) : "memory");
	return (faults == before);
}

static bool
rdmsr(uint32_t msr, uint64_t *v)
{
	uint32_t before = faults;
	uint64_t got = 0;

	__asm__ volatile("rdmsr" : "+A"(got) : "c"(msr) : "memory");
	*v = got;
	return (faults == before);
}

static uint64_t
msr(uint32_t n)
{
	uint64_t v;

	return (rdmsr(n, &v) ? v : ~0ull);
}

static uint32_t
hypercall(uint32_t control, uint64_t input)
{
	uint32_t lo = control, hi = 0, page = HYPERCALL_PAGE;
	uint32_t in_hi = (uint32_t)(input >> 32), in_lo = (uint32_t)input;

	__asm__ volatile("push %%ebx\n\tmov %4, %%ebx\n\t"
	    "call *%%esi\n\tpop %%ebx" :
	    "+a"(lo), "+d"(hi), "+c"(in_lo), "+S"(page) : "D"(in_hi) :
	    "memory", "cc");
	return (lo);
}

/* ---- printing */

static void
put(const char *s)
{
	for (; *s != '\0'; s++)
		out8(SERIAL, (uint8_t)*s);
}

static void
put_hex(uint64_t v)
{
	int i;

	put("0x");
	for (i = 60; i > 0 && v >> i == 0; i -= 4)
		continue;
	for (; i >= 0; i -= 4)
		out8(SERIAL, (uint8_t)"0123456789abcdef"[v >> i & 15]);
}

static void
check(const char *name, bool ok)
{
	put(ok ? "ok " : "bad ");
	put(name);
	put("\n");
}

static void
same(const char *name, uint64_t want, uint64_t got)
{
	check(name, want == got);
	if (want != got) {
		put("    want ");
		put_hex(want);
		put(", got ");
		put_hex(got);
		put("\n");
	}
}

/* ---- faults and interrupts */

void
took_sint(void)
{
	sints++;
	in_service |= *(volatile uint32_t *)(LAPIC_ISR +
	    0x10 * (VECTOR_SINT / 32)) >> VECTOR_SINT % 32 & 1;
	if (explicit_eoi)
		*(volatile uint32_t *)LAPIC_EOI = 0;
}

void
took_tick(void)
{
	ticks++;
	/* A level that stays high comes again: the second time it ends. */
	if (button && ticks == 2)
		out16(PM1_STATUS, 0x100);
	*(volatile uint32_t *)LAPIC_EOI = 0;
}

static void
set_gate(unsigned vector, uint32_t handler)
{
	idt[vector] = (struct gate){ (uint16_t)handler, SEL_CODE, 0x8e00,
	    (uint16_t)(handler >> 16) };
}

static void
load_idt(uint16_t limit)
{
	struct __attribute__((packed)) {
		uint16_t limit;
		uint32_t base;
	} d = { limit, (uint32_t)idt };

	__asm__ volatile("lidt %0" : : "m"(d));
}

/* ---- the checks */

static void
run_registers(void)
{
	uint64_t v, t0, t1;

	same("guest-os-id-0", 0, msr(HVK_MSR_GUEST_OS_ID));
	check("hypercall-early", wrmsr(HVK_MSR_HYPERCALL, HYPERCALL_PAGE | 1));
	same("hypercall-needs-id", 0, msr(HVK_MSR_HYPERCALL) & 1);
	check("guest-os-id", wrmsr(HVK_MSR_GUEST_OS_ID, 0x8100000600000000));
	same("guest-os-id-reads", 0x8100000600000000,
	    msr(HVK_MSR_GUEST_OS_ID));
	check("hypercall-outside", !wrmsr(HVK_MSR_HYPERCALL, OUTSIDE | 1));
	check("hypercall-in-gap", !wrmsr(HVK_MSR_HYPERCALL, GAP | 1));
	check("hypercall", wrmsr(HVK_MSR_HYPERCALL, HYPERCALL_PAGE | 1));
	same("hypercall-reads", HYPERCALL_PAGE | 1, msr(HVK_MSR_HYPERCALL));
	check("hypercall-page-filled",
	    *(volatile uint8_t *)HYPERCALL_PAGE != 0);
	same("vp-index", 0, msr(HVK_MSR_VP_INDEX));
	check("vp-index-read-only", !wrmsr(HVK_MSR_VP_INDEX, 1));
	same("sversion", 1, msr(HVK_MSR_SVERSION));
	same("sint-masked", HVK_SINT_MASKED, msr(HVK_MSR_SINT0 + 2));
	check("sint-low-vector", !wrmsr(HVK_MSR_SINT0 + 2, 5));
	check("siefp", wrmsr(HVK_MSR_SIEFP, SIEFP_PAGE | 1));
	check("simp-overlaps", !wrmsr(HVK_MSR_SIMP, SIEFP_PAGE | 1));
	check("simp-on-hypercall", !wrmsr(HVK_MSR_SIMP, HYPERCALL_PAGE | 1));
	check("simp-outside", !wrmsr(HVK_MSR_SIMP, OUTSIDE | 1));
	check("simp-far", !wrmsr(HVK_MSR_SIMP, 0xfffffffffffff001));
	check("simp", wrmsr(HVK_MSR_SIMP, SIMP_PAGE | 1));
	check("assist", wrmsr(HVK_MSR_VP_ASSIST_PAGE, TEXT_PAGE | 1));
	check("unknown-read", !rdmsr(0x400001ff, &v));
	check("unknown-write", !wrmsr(0x400001fe, 1));
	check("no-reenlightenment", !rdmsr(HVK_MSR_REENLIGHTENMENT, &v));
	t0 = msr(HVK_MSR_REFERENCE_COUNTER);
	t1 = msr(HVK_MSR_REFERENCE_COUNTER);
	check("time-goes-on", t1 > t0 && t1 - t0 < 10000000);
	check("tsc-frequency", msr(HVK_MSR_TSC_FREQUENCY) > 100000000);
	same("apic-frequency", 1000000000, msr(HVK_MSR_APIC_FREQUENCY));
}

static struct hvk_post_message *
hypercalls_on(void)
{
	(void)wrmsr(HVK_MSR_GUEST_OS_ID, 0x8100000600000000);
	(void)wrmsr(HVK_MSR_HYPERCALL, HYPERCALL_PAGE | 1);
	return ((struct hvk_post_message *)INPUT_PAGE);
}

static void
run_calls(void)
{
	struct hvk_post_message *m = hypercalls_on();

	m->connection = 99;
	m->type = 1;
	m->size = 8;
	same("unknown-call", HVK_HV_BAD_CODE, hypercall(0x4242, 0));
	same("flush-is-not-there", HVK_HV_BAD_CODE,
	    hypercall(HVK_HC_FLUSH_SPACE, INPUT_PAGE));
	same("unknown-connection", HVK_HV_BAD_CONNECTION,
	    hypercall(HVK_HC_POST_MESSAGE, INPUT_PAGE));
	same("misaligned", HVK_HV_BAD_ALIGNMENT,
	    hypercall(HVK_HC_POST_MESSAGE, INPUT_PAGE + 4));
	same("over-the-page", HVK_HV_BAD_ALIGNMENT,
	    hypercall(HVK_HC_POST_MESSAGE, INPUT_PAGE + 4088));
	same("outside", HVK_HV_BAD_PARAMETER,
	    hypercall(HVK_HC_POST_MESSAGE, OUTSIDE));
	same("in-the-gap", HVK_HV_BAD_PARAMETER,
	    hypercall(HVK_HC_POST_MESSAGE, GAP));
	same("far-outside", HVK_HV_BAD_PARAMETER,
	    hypercall(HVK_HC_POST_MESSAGE, 0xfffffffffffff000));
	m->size = 241;
	same("too-long", HVK_HV_BAD_PARAMETER,
	    hypercall(HVK_HC_POST_MESSAGE, INPUT_PAGE));
	same("signal-unknown", HVK_HV_BAD_CONNECTION,
	    hypercall(HVK_HC_SIGNAL_EVENT | (uint32_t)HVK_HC_FAST, 77));
	same("signal-bad-flag", HVK_HV_BAD_PARAMETER,
	    hypercall(HVK_HC_SIGNAL_EVENT | (uint32_t)HVK_HC_FAST,
	    77 | 0x900ull << 32));
}

static void
post(uint32_t type, uint32_t a, uint32_t size)
{
	struct hvk_post_message *m = (struct hvk_post_message *)INPUT_PAGE;
	uint32_t *w = (uint32_t *)(void *)m->payload, i, status = 1;

	for (i = 0; i < 60; i++)
		w[i] = 0;
	m->connection = 1;
	m->type = 1;
	m->size = size;
	w[0] = type;
	w[2] = a;
	for (i = 0; i < 100000 && status != 0; i++)
		status = hypercall(HVK_HC_POST_MESSAGE, INPUT_PAGE);
	if (status != 0)
		same("post", 0, status);
}

/* Type of the next control message; its second word in *word. */
static uint32_t
receive(uint32_t *word)
{
	struct hvk_synic_message *s =
	    (struct hvk_synic_message *)SIMP_PAGE + HVK_SINT_VMBUS;
	uint32_t type;
	uint8_t flags;

	while (__atomic_load_n(&s->type, __ATOMIC_SEQ_CST) == 0)
		__asm__ volatile("sti; hlt; cli" : : : "memory");
	type = *(uint32_t *)(void *)s->payload;
	*word = *(uint32_t *)(void *)(s->payload + 8);
	__atomic_store_n(&s->type, 0, __ATOMIC_SEQ_CST);
	flags = __atomic_load_n(&s->flags, __ATOMIC_SEQ_CST);
	if ((flags & HVK_SYNIC_PENDING) != 0)
		(void)wrmsr(HVK_MSR_EOM, 0);
	return (type);
}

static void
synic_on(bool auto_eoi)
{
	explicit_eoi = !auto_eoi;
	*(volatile uint32_t *)LAPIC_SVR = 0x1ff;
	set_gate(VECTOR_SINT, (uint32_t)on_sint);
	set_gate(VECTOR_TIMER, (uint32_t)on_tick);
	check("simp", wrmsr(HVK_MSR_SIMP, SIMP_PAGE | 1));
	check("siefp", wrmsr(HVK_MSR_SIEFP, SIEFP_PAGE | 1));
	check("sint", wrmsr(HVK_MSR_SINT0 + HVK_SINT_VMBUS, VECTOR_SINT |
	    (auto_eoi ? HVK_SINT_AUTO_EOI : 0)));
	check("scontrol", wrmsr(HVK_MSR_SCONTROL, 1));
}

static void
connect(void)
{
	uint32_t word, type, offers = 0;
	uint64_t start;

	post(14, 4 << 16, 40);		/* INITIATE_CONTACT, 4.0 */
	same("version-response", 15, receive(&word));
	same("supported", 1, word & 0xff);
	post(3, 0, 8);			/* REQUEST_OFFERS */
	while ((type = receive(&word)) == 1)
		offers++;
	same("all-offers", 4, type);
	check("offers", offers > 0);
	/* Interrupts that still wait come now. */
	start = msr(HVK_MSR_REFERENCE_COUNTER);
	__asm__ volatile("sti" : : : "memory");
	while (sints == 0 && msr(HVK_MSR_REFERENCE_COUNTER) - start < 1000000)
		continue;
	__asm__ volatile("cli" : : : "memory");
	check("interrupts", sints > 0 && sints <= offers + 2);
	/* One that ends itself was never in service in the local APIC. */
	if (!explicit_eoi)
		same("in-service", 0, in_service);
}

static void
run_vmbus(bool auto_eoi)
{
	(void)hypercalls_on();
	synic_on(auto_eoi);
	connect();
}

static void
run_timers(void)
{
	struct hvk_synic_message *s = (struct hvk_synic_message *)SIMP_PAGE + 4;
	uint64_t start;

	synic_on(false);
	check("sint-4", wrmsr(HVK_MSR_SINT0 + 4, VECTOR_SINT));
	/* Direct, every 2 ms, ten of them. */
	start = msr(HVK_MSR_REFERENCE_COUNTER);
	check("periodic", wrmsr(HVK_MSR_STIMER0_COUNT, 20000) &&
	    wrmsr(HVK_MSR_STIMER0_CONFIG, HVK_STIMER_ENABLE |
	    HVK_STIMER_PERIODIC | HVK_STIMER_DIRECT |
	    VECTOR_TIMER << HVK_STIMER_VECTOR_SHIFT));
	while (ticks < 10)
		__asm__ volatile("sti; hlt; cli" : : : "memory");
	check("not-early", msr(HVK_MSR_REFERENCE_COUNTER) - start >= 200000);
	check("stopped", wrmsr(HVK_MSR_STIMER0_CONFIG, 0));
	/* One message, 5 ms from now. */
	start = msr(HVK_MSR_REFERENCE_COUNTER);
	check("shot", wrmsr(HVK_MSR_STIMER0_COUNT + 2, start + 50000) &&
	    wrmsr(HVK_MSR_STIMER0_CONFIG + 2, HVK_STIMER_ENABLE |
	    4 << HVK_STIMER_SINT_SHIFT));
	while (__atomic_load_n(&s->type, __ATOMIC_SEQ_CST) == 0)
		__asm__ volatile("sti; hlt; cli" : : : "memory");
	same("timer-message", HVK_SYNIC_TIMER, s->type);
	same("timer-number", 1, *(uint32_t *)(void *)s->payload);
	check("expiration", *(uint64_t *)(void *)(s->payload + 8) ==
	    start + 50000);
	check("delivery", *(uint64_t *)(void *)(s->payload + 16) >=
	    start + 50000);
	same("off-again", 0, msr(HVK_MSR_STIMER0_CONFIG + 2) & 1);
}

/* Messages without sense and without end; then the bus still answers. */
static void
run_flood(void)
{
	struct hvk_post_message *m = hypercalls_on();
	uint32_t i, j, status, bad = 0;
	uint32_t *w = (uint32_t *)(void *)m->payload;

	for (i = 0; i < 3000; i++) {
		m->connection = 1;
		m->type = 1;
		m->size = i % 241;
		for (j = 0; j < 60; j++)
			w[j] = i * 2654435761u + j;
		w[0] = i % 40;
		if (w[0] == 14)		/* no contact by accident */
			w[0] = 16;
		status = hypercall(HVK_HC_POST_MESSAGE, INPUT_PAGE);
		if (status != 0 && status != HVK_HV_INSUFFICIENT_BUFFERS)
			bad++;
	}
	same("answers", 0, bad);
	synic_on(false);
	connect();
}

static void
run_nothing(void)
{
	same("no-memory", 0xffffffff, *(volatile uint32_t *)GAP);
	*(volatile uint32_t *)GAP = 1;
	same("no-memory-beyond", 0xffffffff, *(volatile uint32_t *)OUTSIDE);
	same("no-port", 0xff, in8(0x1234));
	same("no-keyboard", 0xff, in8(0x64));
}

static void
run_crash(void)
{
	static const char text[] = "first line\nkernel panic: on purpose\n";
	uint32_t i;

	for (i = 0; i < sizeof(text); i++)
		((volatile char *)TEXT_PAGE)[i] = text[i];
	(void)wrmsr(HVK_MSR_CRASH_P0, 0x1111);
	(void)wrmsr(HVK_MSR_CRASH_P0 + 3, TEXT_PAGE);
	(void)wrmsr(HVK_MSR_CRASH_P0 + 4, sizeof(text) - 1);
	check("crash", wrmsr(HVK_MSR_CRASH_CONTROL, HVK_CRASH_NOTIFY |
	    HVK_CRASH_MESSAGE));
	/* A text outside memory is none. */
	(void)wrmsr(HVK_MSR_CRASH_P0 + 3, OUTSIDE);
	(void)wrmsr(HVK_MSR_CRASH_P0 + 4, ~0ull);
	check("crash-outside", wrmsr(HVK_MSR_CRASH_CONTROL,
	    HVK_CRASH_NOTIFY | HVK_CRASH_MESSAGE));
	for (i = 0; i < 20; i++)
		(void)wrmsr(HVK_MSR_CRASH_CONTROL, HVK_CRASH_NOTIFY);
}

static void
ioapic_entry(unsigned pin, uint32_t low)
{
	volatile uint32_t *ioapic = (volatile uint32_t *)IOAPIC;

	ioapic[0] = 0x10 + 2 * pin + 1;
	ioapic[4] = 0;			/* to local APIC 0 */
	ioapic[0] = 0x10 + 2 * pin;
	ioapic[4] = low;
}

static uint32_t
ioapic_read(unsigned reg)
{
	volatile uint32_t *ioapic = (volatile uint32_t *)IOAPIC;

	ioapic[0] = reg;
	return (ioapic[4]);
}

/* An edge from the serial port, then a level from the power button. */
static void
run_lines(bool gen2)
{
	uint64_t start;

	explicit_eoi = true;
	*(volatile uint32_t *)LAPIC_SVR = 0x1ff;
	set_gate(VECTOR_SINT, (uint32_t)on_sint);
	set_gate(VECTOR_TIMER, (uint32_t)on_tick);
	same("ioapic-version", 0x170011, ioapic_read(1));
	out8(0x21, 0xa5);
	same("pic", gen2 ? 0xff : 0xa5, in8(0x21));
	out8(0x21, 0xff);
	check("clock", (in8(0x71) != 0xff) == !gen2);
	ioapic_entry(4, VECTOR_SINT);
	out8(SERIAL + 1, 2);		/* transmitter empty */
	while (sints == 0)
		__asm__ volatile("sti; hlt; cli" : : : "memory");
	same("edge", 1, sints);
	same("why", 2, in8(SERIAL + 2) & 0xf);
	out8(SERIAL + 1, 0);
	ioapic_entry(9, VECTOR_TIMER | 1u << 15);
	same("entry", VECTOR_TIMER | 1u << 15, ioapic_read(0x10 + 18));
	out16(PM1_ENABLE, 0x100);
	button = true;
	put("ready\n");
	while (ticks == 0)
		__asm__ volatile("sti; hlt; cli" : : : "memory");
	start = msr(HVK_MSR_REFERENCE_COUNTER);
	__asm__ volatile("sti" : : : "memory");
	while (ticks < 2 && msr(HVK_MSR_REFERENCE_COUNTER) - start < 20000000)
		continue;
	__asm__ volatile("cli" : : : "memory");
	same("level", 2, ticks);
	out16(PM1_STATUS, 0x100);
	check("button", (in8(PM1_STATUS + 1) & 1) == 0);
}

/* Interrupts stay off: this one comes all the same. */
static void
run_nmi(void)
{
	put("ready\n");
	while (nmis == 0)
		continue;
	same("nmi", 1, nmis);
}

static void
run_echo(void)
{
	uint8_t c = 0;

	put("ready\n");
	while (c != '.') {
		while ((in8(SERIAL + 5) & 1) == 0)
			continue;
		c = in8(SERIAL);
		out8(SERIAL, c);
	}
	put("\n");
}

void
guest_main(const struct start_info *info)
{
	const char *what = (const char *)(uint32_t)info->cmdline;

	set_gate(2, (uint32_t)on_nmi);
	set_gate(13, (uint32_t)on_gp);
	load_idt(sizeof(idt) - 1);
	switch (what[0]) {
	case 'r':
		run_registers();
		break;
	case 'h':
		run_calls();
		break;
	case 'v':
		run_vmbus(false);
		break;
	case 'a':
		run_vmbus(true);
		break;
	case 't':
		run_timers();
		break;
	case 'f':
		run_flood();
		break;
	case 'n':
		run_nothing();
		break;
	case 'c':
		run_crash();
		break;
	case 'e':
		run_echo();
		break;
	case 'l':
		run_lines(false);
		break;
	case 'g':
		run_lines(true);
		break;
	case 'N':
		run_nmi();
		break;
	case 'R':
		(void)wrmsr(HVK_MSR_RESET, 1);
		break;
	case 'T':
		load_idt(0);
		(void)wrmsr(0x400001ff, 0);
		break;
	case 'L':			/* for ever, without interrupts */
		for (;;)
			continue;
	default:
		put("bad command line\n");
		break;
	}
	put("done\n");
	out16(PM1_CNT, S5_NOW);
}
