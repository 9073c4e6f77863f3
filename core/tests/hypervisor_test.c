/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 */

/*
 * The Hyper-V model: what a guest reads and writes, and what arrives in its
 * pages.
 */

#include <atf-c.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <hvk/host/hypervisor.h>

#define	TEST(name, descr)						\
	ATF_TC(name);							\
	ATF_TC_HEAD(name, tc) { atf_tc_set_md_var(tc, "descr", descr); } \
	ATF_TC_BODY(name, tc)
#define	FEATURE_TEST(name, descr, feature)				\
	ATF_TC(name);							\
	ATF_TC_HEAD(name, tc)						\
	{								\
		atf_tc_set_md_var(tc, "descr", descr);			\
		atf_tc_set_md_var(tc, "X-feature", feature);		\
	}								\
	ATF_TC_BODY(name, tc)

#define	MEM	(1u << 20)

struct bench {
	struct hvk_hv hv;
	struct hvk_hv_vp vp[4];
	struct hvk_hv_view view;
	struct hvk_hv_result r;
	uint64_t now;
};

static void
bench_init(struct bench *b)
{
	struct hvk_hv_config config = { .nvps = 4, .tsc_hz = 2000000000,
	    .apic_hz = 200000000, .apic_msrs = true, .stimers = true,
	    .guest_idle = true };

	memset(b, 0, sizeof(*b));
	b->view.base = aligned_alloc(4096, MEM);
	b->view.size = MEM;
	memset(b->view.base, 0xee, MEM);
	b->now = 1000;
	ATF_REQUIRE_EQ(HVK_OK, hvk_hv_init(&b->hv, &config, b->vp, 12345678,
	    b->now));
}

static int
wr(struct bench *b, uint32_t vp, uint32_t msr, uint64_t value)
{
	return (hvk_hv_wrmsr(&b->hv, vp, msr, value, b->now, &b->view, &b->r));
}

static uint64_t
rd(struct bench *b, uint32_t vp, uint32_t msr)
{
	uint64_t value;

	ATF_REQUIRE_EQ(HVK_OK, hvk_hv_rdmsr(&b->hv, vp, msr, b->now, &value,
	    &b->r));
	return (value);
}

/* SynIC of VP 1 on, its pages at 0x10000 and 0x11000, SINT 2 at vector 0x50. */
static void
synic_on(struct bench *b)
{
	ATF_REQUIRE_EQ(HVK_OK, wr(b, 1, HVK_MSR_SIMP, 0x10001));
	ATF_REQUIRE_EQ(HVK_OK, wr(b, 1, HVK_MSR_SIEFP, 0x11001));
	ATF_REQUIRE_EQ(HVK_OK, wr(b, 1, HVK_MSR_SINT0 + 2,
	    0x50 | HVK_SINT_AUTO_EOI));
	ATF_REQUIRE_EQ(HVK_OK, wr(b, 1, HVK_MSR_SCONTROL, 1));
	ATF_REQUIRE((b->r.actions & HVK_HV_SYNIC) != 0);
}

TEST(cpuid, "the leaves that a guest looks for")
{
	uint32_t regs[4] = { 0 };
	struct bench b;

	bench_init(&b);
	ATF_CHECK(hvk_hv_cpuid(&b.hv, 1, 0, regs));
	ATF_CHECK_EQ(1u << 31, regs[2]);
	ATF_CHECK(hvk_hv_cpuid(&b.hv, 0x40000000, 0, regs));
	ATF_CHECK(regs[0] >= 0x40000005 && regs[0] <= 0x4000ffff);
	ATF_CHECK_EQ(0, memcmp(&regs[1], "Microsoft Hv", 12));
	ATF_CHECK(hvk_hv_cpuid(&b.hv, 0x40000001, 0, regs));
	ATF_CHECK_EQ(0, memcmp(&regs[0], "Hv#1", 4));
	ATF_CHECK(hvk_hv_cpuid(&b.hv, 0x40000003, 0, regs));
	ATF_CHECK_EQ(0x6e, regs[0] & 0x6e);	/* 1 2 3 5 6 */
	ATF_CHECK_EQ(0x30, regs[1]);	/* neither 12 nor 22: not the root */
	ATF_CHECK((regs[3] & HVK_MISC_STIMER_DIRECT) != 0);
	ATF_CHECK(hvk_hv_cpuid(&b.hv, 0x40000005, 0, regs));
	ATF_CHECK_EQ(4, regs[0]);
	ATF_CHECK(hvk_hv_cpuid(&b.hv, 0x400000ff, 0, regs));
	ATF_CHECK_EQ(0, regs[0] | regs[1] | regs[2] | regs[3]);
	ATF_CHECK(!hvk_hv_cpuid(&b.hv, 0x40000100, 0, regs));
	ATF_CHECK(!hvk_hv_cpuid(&b.hv, 0, 0, regs));
}

TEST(hypercall_page, "needs a guest OS id, reads back, stays in memory")
{
	uint64_t gpa;
	struct bench b;

	bench_init(&b);
	ATF_CHECK_EQ(HVK_OK, wr(&b, 0, HVK_MSR_HYPERCALL, 0x5001));
	ATF_CHECK_EQ(0, rd(&b, 0, HVK_MSR_HYPERCALL) & 1);
	ATF_CHECK_EQ(HVK_OK, wr(&b, 0, HVK_MSR_GUEST_OS_ID, 0x8200ull << 48));
	ATF_CHECK_EQ(HVK_REJECT, wr(&b, 0, HVK_MSR_HYPERCALL, MEM | 1));
	ATF_CHECK_EQ(HVK_OK, wr(&b, 0, HVK_MSR_HYPERCALL, 0x5001));
	ATF_CHECK((b.r.actions & HVK_HV_HYPERCALL) != 0);
	ATF_CHECK(hvk_hv_hypercall_page(&b.hv, &gpa));
	ATF_CHECK_EQ(0x5000, gpa);
	ATF_CHECK_EQ(0x5001, rd(&b, 3, HVK_MSR_HYPERCALL));
	ATF_CHECK_EQ(HVK_OK, wr(&b, 0, HVK_MSR_GUEST_OS_ID, 0));
	ATF_CHECK(!hvk_hv_hypercall_page(&b.hv, &gpa));
}

TEST(registers, "defaults, faults and what only reads")
{
	uint64_t value;
	struct bench b;
	uint32_t i;

	bench_init(&b);
	for (i = 0; i < 16; i++)
		ATF_CHECK_EQ(HVK_SINT_MASKED, rd(&b, 2, HVK_MSR_SINT0 + i));
	ATF_CHECK_EQ(2, rd(&b, 2, HVK_MSR_VP_INDEX));
	ATF_CHECK_EQ(1, rd(&b, 2, HVK_MSR_SVERSION));
	ATF_CHECK_EQ(b.now, rd(&b, 2, HVK_MSR_REFERENCE_COUNTER));
	ATF_CHECK_EQ(2000000000, rd(&b, 0, HVK_MSR_TSC_FREQUENCY));
	ATF_CHECK_EQ(HVK_REJECT, wr(&b, 0, HVK_MSR_VP_INDEX, 1));
	ATF_CHECK_EQ(HVK_REJECT, wr(&b, 0, HVK_MSR_SINT0, 3));
	ATF_CHECK_EQ(HVK_OK, wr(&b, 0, HVK_MSR_SINT0, 3 | HVK_SINT_MASKED));
	ATF_CHECK_EQ(HVK_REJECT, wr(&b, 0, HVK_MSR_SIMP, MEM | 1));
	ATF_CHECK_EQ(HVK_OK, wr(&b, 0, HVK_MSR_SIMP, MEM));
	ATF_CHECK_EQ(HVK_OK, wr(&b, 0, HVK_MSR_VP_ASSIST_PAGE, 0x7001));
	ATF_CHECK_EQ(HVK_REJECT, hvk_hv_rdmsr(&b.hv, 0, 0x400001ff, 0, &value,
	    &b.r));
	ATF_CHECK_EQ(HVK_RANGE, hvk_hv_rdmsr(&b.hv, 4, HVK_MSR_VP_INDEX, 0,
	    &value, &b.r));
	ATF_CHECK_EQ(HVK_OK, wr(&b, 0, HVK_MSR_EOI, 0));
	ATF_CHECK_EQ(HVK_HV_EOI, b.r.actions);
	ATF_CHECK_EQ(HVK_OK, wr(&b, 0, HVK_MSR_RESET, 1));
	ATF_CHECK_EQ(HVK_HV_RESET, b.r.actions);
	(void)rd(&b, 0, HVK_MSR_GUEST_IDLE);
	ATF_CHECK_EQ(HVK_HV_IDLE, b.r.actions);
}

FEATURE_TEST(crash, "a crash report reaches the host", "core.crash")
{
	uint64_t p[5], ctl;
	struct bench b;
	uint32_t i;

	bench_init(&b);
	for (i = 0; i < 5; i++)
		ATF_CHECK_EQ(HVK_OK, wr(&b, i % 4, HVK_MSR_CRASH_P0 + i,
		    100 + i));
	ATF_CHECK_EQ(HVK_OK, wr(&b, 1, HVK_MSR_CRASH_CONTROL,
	    HVK_CRASH_NOTIFY));
	ATF_CHECK_EQ(HVK_HV_CRASH, b.r.actions);
	hvk_hv_crash(&b.hv, p, &ctl);
	ATF_CHECK_EQ(104, p[4]);
	ATF_CHECK_EQ(HVK_CRASH_NOTIFY, ctl);
}

TEST(messages, "a slot is filled, busy, freed, filled again")
{
	struct hvk_synic_message *slot;
	struct bench b;

	bench_init(&b);
	ATF_CHECK_EQ(HVK_STATE, hvk_hv_post(&b.hv, 1, 2, 1, 1, "abc", 3,
	    &b.view, &b.r));
	synic_on(&b);
	slot = (struct hvk_synic_message *)(void *)(b.view.base + 0x10000) + 2;
	ATF_CHECK_EQ(0, slot->type);	/* the page came zeroed */
	ATF_CHECK_EQ(HVK_OK, hvk_hv_post(&b.hv, 1, 2, 1, 7, "abc", 3, &b.view,
	    &b.r));
	ATF_CHECK_EQ(1, b.r.nirqs);
	ATF_CHECK_EQ(0x50, b.r.irqs[0].vector);
	ATF_CHECK(b.r.irqs[0].auto_eoi);
	ATF_CHECK_EQ(1, slot->type);
	ATF_CHECK_EQ(3, slot->size);
	ATF_CHECK_EQ(7, slot->sender);
	ATF_CHECK_EQ(0, memcmp(slot->payload, "abc", 3));
	ATF_CHECK_EQ(HVK_AGAIN, hvk_hv_post(&b.hv, 1, 2, 1, 7, "def", 3,
	    &b.view, &b.r));
	ATF_CHECK_EQ(HVK_SYNIC_PENDING, slot->flags);
	ATF_CHECK_EQ(0, b.r.nirqs);
	slot->type = 0;
	ATF_CHECK_EQ(HVK_OK, wr(&b, 1, HVK_MSR_EOM, 0));
	ATF_CHECK((b.r.actions & HVK_HV_EOM) != 0);
	ATF_CHECK_EQ(HVK_OK, hvk_hv_post(&b.hv, 1, 2, 1, 7, "def", 3, &b.view,
	    &b.r));
	ATF_CHECK_EQ(0, slot->flags);
	ATF_CHECK_EQ(HVK_RANGE, hvk_hv_post(&b.hv, 1, 2, 1, 7, "x", 241,
	    &b.view, &b.r));
	ATF_CHECK_EQ(HVK_RANGE, hvk_hv_post(&b.hv, 4, 2, 1, 7, "x", 1,
	    &b.view, &b.r));
	/* A masked SINT gets the message without the interrupt. */
	slot->type = 0;
	ATF_CHECK_EQ(HVK_OK, wr(&b, 1, HVK_MSR_SINT0 + 2, HVK_SINT_MASKED));
	ATF_CHECK_EQ(HVK_OK, hvk_hv_post(&b.hv, 1, 2, 1, 7, "ghi", 3, &b.view,
	    &b.r));
	ATF_CHECK_EQ(0, b.r.nirqs);
}

FEATURE_TEST(event_flags, "a flag that is set already interrupts no more",
    "core.signal")
{
	struct hvk_hv_irq irq;
	struct bench b;
	uint8_t *flags;

	bench_init(&b);
	ATF_CHECK(!hvk_hv_signal(&b.hv, 1, 2, 9, &b.view, &irq));
	synic_on(&b);
	flags = b.view.base + 0x11000 + 512;
	ATF_CHECK(hvk_hv_signal(&b.hv, 1, 2, 9, &b.view, &irq));
	ATF_CHECK_EQ(0x50, irq.vector);
	ATF_CHECK_EQ(1, irq.vp);
	ATF_CHECK_EQ(2, flags[1]);
	ATF_CHECK(!hvk_hv_signal(&b.hv, 1, 2, 9, &b.view, &irq));
	ATF_CHECK(hvk_hv_signal(&b.hv, 1, 2, 2047, &b.view, &irq));
	ATF_CHECK_EQ(0x80, flags[255]);
	ATF_CHECK(!hvk_hv_signal(&b.hv, 1, 2, 2048, &b.view, &irq));
	ATF_CHECK(!hvk_hv_signal(&b.hv, 4, 2, 1, &b.view, &irq));
	ATF_CHECK(!hvk_hv_signal(&b.hv, 1, 16, 1, &b.view, &irq));
}

static void *
signal_many(void *arg)
{
	struct bench *b = arg;
	struct hvk_hv_irq irq;
	uintptr_t n = 0;
	uint32_t i;

	for (i = 0; i < 2048; i++)
		n += hvk_hv_signal(&b->hv, 1, 2, i, &b->view, &irq);
	return ((void *)n);
}

FEATURE_TEST(event_flags_from_many_threads,
    "each flag interrupts exactly once whoever sets it", "core.signal")
{
	pthread_t thread[4];
	static struct bench b;	/* the threads see it too */
	uintptr_t sum = 0;
	void *n;
	unsigned i, round;

	bench_init(&b);
	synic_on(&b);
	for (round = 0; round < 50; round++) {
		memset(b.view.base + 0x11000, 0, 4096);
		for (i = 0, sum = 0; i < 4; i++)
			ATF_REQUIRE_EQ(0, pthread_create(&thread[i], NULL,
			    signal_many, &b));
		for (i = 0; i < 4; i++) {
			ATF_REQUIRE_EQ(0, pthread_join(thread[i], &n));
			sum += (uintptr_t)n;
		}
		ATF_REQUIRE_EQ(2048, sum);
	}
}

static struct hvk_hv_call
call(struct bench *b, uint64_t control, uint64_t input)
{
	struct hvk_hv_call c;

	hvk_hv_hypercall(&b->hv, control, input, 0, &b->view, &c);
	return (c);
}

TEST(hypercalls, "post and signal are decoded, bad input has its status")
{
	struct hvk_post_message m = { .connection = 1, .type = 1, .size = 8 };
	struct hvk_hv_call c;
	struct bench b;

	bench_init(&b);
	ATF_CHECK_EQ(HVK_HV_ACCESS_DENIED, call(&b, 0x1005d, 1).result);
	ATF_CHECK_EQ(HVK_OK, wr(&b, 0, HVK_MSR_GUEST_OS_ID, 1));
	c = call(&b, 0x1005d, 0x2005 | 3ull << 32);
	ATF_CHECK_EQ(HVK_HV_CALL_SIGNAL, c.kind);
	ATF_CHECK_EQ(0x2005, c.signal.conn);
	ATF_CHECK_EQ(3, c.signal.flag);
	ATF_CHECK_EQ(5, call(&b, 0x1005d, 0x2005 | 2048ull << 32).result);
	memcpy(m.payload, "12345678", 8);
	memcpy(b.view.base + 0x8000, &m, sizeof(m));
	c = call(&b, 0x5c, 0x8000);
	ATF_CHECK_EQ(HVK_HV_CALL_POST, c.kind);
	ATF_CHECK_EQ(8, c.post.len);
	ATF_CHECK_EQ(0, memcmp(c.post.payload, "12345678", 8));
	ATF_CHECK_EQ(HVK_HV_BAD_ALIGNMENT, call(&b, 0x5c, 0x8004).result);
	ATF_CHECK_EQ(HVK_HV_BAD_ALIGNMENT, call(&b, 0x5c, 0x8f08).result);
	ATF_CHECK_EQ(HVK_HV_BAD_PARAMETER, call(&b, 0x5c, MEM).result);
	ATF_CHECK_EQ(HVK_HV_BAD_PARAMETER,
	    call(&b, 0x5c, 0xfffffffffffff000ull).result);
	ATF_CHECK_EQ(HVK_HV_BAD_INPUT, call(&b, 0x1005c, 0x8000).result);
	ATF_CHECK_EQ(HVK_HV_BAD_INPUT,
	    call(&b, 0x5c | 1ull << 32, 0x8000).result);
	m.size = 241;
	memcpy(b.view.base + 0x8000, &m, sizeof(m));
	ATF_CHECK_EQ(HVK_HV_BAD_PARAMETER, call(&b, 0x5c, 0x8000).result);
	/* A flush that is not done must not be called done. */
	ATF_CHECK_EQ(HVK_HV_BAD_CODE, call(&b, 2, 0x8000).result);
	ATF_CHECK_EQ(HVK_HV_BAD_CODE, call(&b, 0x8001, 0x8000).result);
}

FEATURE_TEST(timers, "message and direct timers, once and periodic",
    "core.time")
{
	struct hvk_timer_message message;
	struct hvk_synic_message *slot;
	struct bench b;

	bench_init(&b);
	synic_on(&b);
	slot = (struct hvk_synic_message *)(void *)(b.view.base + 0x10000) + 2;
	ATF_CHECK_EQ(UINT64_MAX, hvk_hv_deadline(&b.hv, 1));
	/* Once, by message on SINT 2, enabled by writing the count. */
	ATF_CHECK_EQ(HVK_OK, wr(&b, 1, 0x400000b0, HVK_STIMER_AUTO_ENABLE |
	    2ull << HVK_STIMER_SINT_SHIFT));
	ATF_CHECK_EQ(HVK_OK, wr(&b, 1, 0x400000b1, 5000));
	ATF_CHECK((b.r.actions & HVK_HV_TIMER) != 0);
	ATF_CHECK_EQ(5000, hvk_hv_deadline(&b.hv, 1));
	hvk_hv_expire(&b.hv, 1, 4999, &b.view, &b.r);
	ATF_CHECK_EQ(0, b.r.nirqs);
	hvk_hv_expire(&b.hv, 1, 5001, &b.view, &b.r);
	ATF_CHECK_EQ(1, b.r.nirqs);
	ATF_CHECK_EQ(HVK_SYNIC_TIMER, slot->type);
	ATF_CHECK_EQ(UINT64_MAX, hvk_hv_deadline(&b.hv, 1));
	ATF_CHECK_EQ(0, rd(&b, 1, 0x400000b0) & HVK_STIMER_ENABLE);
	/* Its slot is full: it waits, and comes once the slot is free. */
	b.now = 6000;
	ATF_CHECK_EQ(HVK_OK, wr(&b, 1, 0x400000b1, 1));
	ATF_CHECK_EQ(0, b.r.nirqs);
	slot->type = 0;
	hvk_hv_expire(&b.hv, 1, 6001, &b.view, &b.r);
	ATF_CHECK_EQ(1, b.r.nirqs);
	/* Late, and it says when it was due. */
	memcpy(&message, slot->payload, sizeof(message));
	ATF_CHECK_EQ(1, message.expiration);
	ATF_CHECK_EQ(6001, message.delivery);
	/* Periodic and direct: what was missed is skipped. */
	ATF_CHECK_EQ(HVK_OK, wr(&b, 1, 0x400000b3, 100));
	ATF_CHECK_EQ(HVK_OK, wr(&b, 1, 0x400000b2, HVK_STIMER_ENABLE |
	    HVK_STIMER_PERIODIC | HVK_STIMER_DIRECT | 0x60 << 4));
	ATF_CHECK_EQ(6100, hvk_hv_deadline(&b.hv, 1));
	hvk_hv_expire(&b.hv, 1, 6350, &b.view, &b.r);
	ATF_CHECK_EQ(1, b.r.nirqs);
	ATF_CHECK_EQ(0x60, b.r.irqs[0].vector);
	ATF_CHECK_EQ(6400, hvk_hv_deadline(&b.hv, 1));
	ATF_CHECK_EQ(HVK_REJECT, wr(&b, 1, 0x400000b2, 1ull << 40));
	ATF_CHECK_EQ(HVK_REJECT, wr(&b, 1, 0x400000b2, HVK_STIMER_DIRECT));
}

FEATURE_TEST(reference_tsc, "the TSC page and the counter agree",
    "core.time")
{
	struct hvk_reference_tsc *page;
	struct bench b;
	__extension__ unsigned __int128 wide;
	uint64_t tsc, time;
	uint32_t before;

	bench_init(&b);
	ATF_CHECK_EQ(HVK_OK, wr(&b, 0, HVK_MSR_REFERENCE_TSC, 0x20001));
	page = (void *)(b.view.base + 0x20000);
	ATF_CHECK(page->sequence != 0);
	/* One second later: 2,000,000,000 ticks, 10,000,000 units. */
	tsc = 12345678 + 2000000000ull;
	wide = (unsigned __int128)tsc * page->scale;
	time = (uint64_t)(wide >> 64) + (uint64_t)page->offset;
	ATF_CHECK(time >= b.now + 9999999 && time <= b.now + 10000001);
	before = page->sequence;
	ATF_CHECK_EQ(HVK_OK, hvk_hv_retime(&b.hv, 3000000000, 99, 777,
	    &b.view));
	ATF_CHECK(page->sequence != before && page->sequence != 0);
	wide = (unsigned __int128)99 * page->scale;
	ATF_CHECK_EQ(777, (uint64_t)(wide >> 64) + (uint64_t)page->offset);
	ATF_CHECK_EQ(0, hvk_hv_tsc_scale(0));
	ATF_CHECK_EQ((uint64_t)1 << 63, hvk_hv_tsc_scale(20000000));
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, cpuid);
	ATF_TP_ADD_TC(tp, hypercall_page);
	ATF_TP_ADD_TC(tp, registers);
	ATF_TP_ADD_TC(tp, crash);
	ATF_TP_ADD_TC(tp, messages);
	ATF_TP_ADD_TC(tp, event_flags);
	ATF_TP_ADD_TC(tp, event_flags_from_many_threads);
	ATF_TP_ADD_TC(tp, hypercalls);
	ATF_TP_ADD_TC(tp, timers);
	ATF_TP_ADD_TC(tp, reference_tsc);
	return (atf_no_error());
}
