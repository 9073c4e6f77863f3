/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 */

/*
 * The Hyper-V model held against what the hypervisor's specification (TLFS)
 * promises a guest, over many random histories: each case states one rule and
 * tries to break it.
 */

#include <atf-c.h>
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

#define	PAGES	64u
#define	MEM	(PAGES * 4096u)
#define	GAP	16u		/* pages 16..31 are a gap */
#define	GAP_END	32u
#define	VPS	3u
#define	ROUNDS	20000u

struct bench {
	struct hvk_hv hv;
	struct hvk_hv_vp vp[VPS];
	struct hvk_hv_view view;
	struct hvk_hv_result r;
	uint64_t now;
	uint64_t seed;
};

static uint64_t
rnd(struct bench *b)
{
	b->seed ^= b->seed << 13;
	b->seed ^= b->seed >> 7;
	b->seed ^= b->seed << 17;
	return (b->seed);
}

static void
bench_init(struct bench *b, uint64_t seed)
{
	struct hvk_hv_config config = { .nvps = VPS, .tsc_hz = 2593906000,
	    .apic_hz = 1000000000, .stimers = true };

	memset(b, 0, sizeof(*b));
	b->view.base = aligned_alloc(4096, MEM);
	ATF_REQUIRE(b->view.base != NULL);
	b->view.size = MEM;
	b->view.gap_start = GAP * 4096u;
	b->view.gap_end = GAP_END * 4096u;
	memset(b->view.base, 0xee, MEM);
	b->now = 1000000;
	b->seed = seed;
	ATF_REQUIRE_EQ(HVK_OK, hvk_hv_init(&b->hv, &config, b->vp, 77, b->now));
}

static int
wr(struct bench *b, uint32_t vp, uint32_t msr, uint64_t value)
{
	return (hvk_hv_wrmsr(&b->hv, vp, msr, value, b->now, &b->view, &b->r));
}

static uint64_t
rd(struct bench *b, uint32_t vp, uint32_t msr)
{
	struct hvk_hv_result r;
	uint64_t value;

	ATF_REQUIRE_EQ(HVK_OK, hvk_hv_rdmsr(&b->hv, vp, msr, b->now, &value,
	    &r));
	return (value);
}

static const uint32_t page_msrs[] = { HVK_MSR_HYPERCALL,
	HVK_MSR_REFERENCE_TSC, HVK_MSR_VP_ASSIST_PAGE, HVK_MSR_SIEFP,
	HVK_MSR_SIMP };

/* The enabled page that a register names, or 0. */
static uint64_t
page_of(struct bench *b, uint32_t vp, uint32_t msr)
{
	uint64_t v = rd(b, vp, msr);

	return ((v & 1) != 0 ? (v >> 12) + 1 : 0);
}

static void
check_pages(struct bench *b)
{
	uint64_t owner[PAGES + 1] = { 0 }, page;
	uint32_t vp, i;

	for (vp = 0; vp < VPS; vp++)
		for (i = 0; i < HVK_COUNT(page_msrs); i++) {
			if (i < 2 && vp > 0)
				continue;	/* the partition's */
			page = page_of(b, vp, page_msrs[i]);
			if (page == 0)
				continue;
			ATF_REQUIRE(page <= PAGES);
			ATF_REQUIRE(page - 1 < GAP || page - 1 >= GAP_END);
			ATF_REQUIRE_EQ_MSG(0, owner[page], "page %u has two "
			    "owners", (unsigned)page - 1);
			owner[page] = 1;
		}
}

TEST(pages, "an enabled page is in memory and nobody else's; a refused write "
    "changes nothing")
{
	uint64_t value, old;
	struct bench b;
	uint32_t i, msr, vp;
	int error, refused = 0, taken = 0;

	bench_init(&b, 12345);
	ATF_REQUIRE_EQ(HVK_OK, wr(&b, 0, HVK_MSR_GUEST_OS_ID, 1ull << 63));
	for (i = 0; i < ROUNDS; i++) {
		vp = (uint32_t)(rnd(&b) % VPS);
		msr = page_msrs[rnd(&b) % HVK_COUNT(page_msrs)];
		value = (rnd(&b) % (PAGES + 8)) << 12 | (rnd(&b) & 1);
		if (rnd(&b) % 50 == 0)
			value |= rnd(&b) << 40;
		old = rd(&b, vp, msr);
		error = wr(&b, vp, msr, value);
		if (error == HVK_OK) {
			taken++;
			ATF_REQUIRE_EQ(value, rd(&b, vp, msr));
			ATF_REQUIRE_EQ(HVK_HV_REFUSE_NONE, b.r.refused);
		} else {
			refused++;
			ATF_REQUIRE_EQ(HVK_REJECT, error);
			ATF_REQUIRE_EQ(old, rd(&b, vp, msr));
			ATF_REQUIRE(b.r.refused == HVK_HV_REFUSE_OUTSIDE ||
			    b.r.refused == HVK_HV_REFUSE_OVERLAP);
			ATF_REQUIRE_EQ(0, b.r.actions);
		}
		check_pages(&b);
	}
	ATF_CHECK_MSG(refused > 1000 && taken > 1000, "%d refused, %d taken",
	    refused, taken);
}

TEST(refusals, "what is refused has its name")
{
	static const struct {
		uint32_t msr;
		uint64_t value;
		enum hvk_hv_refusal why;
	} cases[] = {
		{ 0x400001ff, 0, HVK_HV_REFUSE_REGISTER },
		{ HVK_MSR_EOI, 0, HVK_HV_REFUSE_REGISTER },
		{ HVK_MSR_REENLIGHTENMENT, 0, HVK_HV_REFUSE_REGISTER },
		{ HVK_MSR_TSC_INVARIANT, 1, HVK_HV_REFUSE_REGISTER },
		{ HVK_MSR_VP_INDEX, 1, HVK_HV_REFUSE_READ_ONLY },
		{ HVK_MSR_SVERSION, 1, HVK_HV_REFUSE_READ_ONLY },
		{ HVK_MSR_REFERENCE_COUNTER, 1, HVK_HV_REFUSE_READ_ONLY },
		{ HVK_MSR_TSC_FREQUENCY, 1, HVK_HV_REFUSE_READ_ONLY },
		{ HVK_MSR_APIC_FREQUENCY, 1, HVK_HV_REFUSE_READ_ONLY },
		{ HVK_MSR_SIMP, MEM | 1, HVK_HV_REFUSE_OUTSIDE },
		{ HVK_MSR_SIMP, ~0ull, HVK_HV_REFUSE_OUTSIDE },
		{ HVK_MSR_SIEFP, GAP * 4096u | 1, HVK_HV_REFUSE_OUTSIDE },
		{ HVK_MSR_SIMP, 0x5001, HVK_HV_REFUSE_OVERLAP },
		{ HVK_MSR_REFERENCE_TSC, 0x5001, HVK_HV_REFUSE_OVERLAP },
		{ HVK_MSR_SINT0, 15, HVK_HV_REFUSE_VECTOR },
		{ HVK_MSR_STIMER0_CONFIG, 1ull << 63, HVK_HV_REFUSE_BITS },
		{ HVK_MSR_STIMER0_CONFIG, HVK_STIMER_DIRECT | 15 << 4,
		    HVK_HV_REFUSE_VECTOR },
	};
	struct bench b;
	size_t i;

	bench_init(&b, 1);
	ATF_REQUIRE_EQ(HVK_OK, wr(&b, 1, HVK_MSR_SIEFP, 0x5001));
	for (i = 0; i < HVK_COUNT(cases); i++) {
		ATF_CHECK_EQ_MSG(HVK_REJECT, wr(&b, 0, cases[i].msr,
		    cases[i].value), "case %zu", i);
		ATF_CHECK_EQ_MSG(cases[i].why, b.r.refused, "case %zu: %s", i,
		    hvk_hv_refusal_text(b.r.refused));
	}
	for (i = 0; i < HVK_HV_REFUSE_MAX; i++)
		ATF_CHECK(strlen(hvk_hv_refusal_text(
		    (enum hvk_hv_refusal)i)) > 8);
	ATF_CHECK_STREQ("unknown", hvk_hv_refusal_text(HVK_HV_REFUSE_MAX));
}

TEST(guests, "every register that Linux, FreeBSD and OpenBSD use is there")
{
	/* Read before they are written, in the order of their boot. */
	static const struct {
		uint32_t msr;
		uint64_t write;		/* ~0: they only read it */
	} uses[] = {
		{ HVK_MSR_GUEST_OS_ID, 0x8100000600000000ull },
		{ HVK_MSR_HYPERCALL, 0x1001 },
		{ HVK_MSR_VP_INDEX, ~0ull },
		{ HVK_MSR_REFERENCE_COUNTER, ~0ull },
		{ HVK_MSR_REFERENCE_TSC, 0x2001 },
		{ HVK_MSR_TSC_FREQUENCY, ~0ull },
		{ HVK_MSR_APIC_FREQUENCY, ~0ull },
		{ HVK_MSR_VP_ASSIST_PAGE, 0x3001 },
		{ HVK_MSR_SVERSION, ~0ull },
		{ HVK_MSR_SIMP, 0x4001 },
		{ HVK_MSR_SIEFP, 0x5001 },
		{ HVK_MSR_SINT0 + 2, 0xf3 },
		{ HVK_MSR_SINT0 + 4, 0xf4 | HVK_SINT_AUTO_EOI },
		{ HVK_MSR_SCONTROL, 1 },
		{ HVK_MSR_STIMER0_CONFIG, 0 },
		{ HVK_MSR_STIMER0_COUNT, 0 },
		{ HVK_MSR_STIMER0_CONFIG, 4ull << HVK_STIMER_SINT_SHIFT |
		    HVK_STIMER_AUTO_ENABLE },
		{ HVK_MSR_EOM, 0 },
		{ HVK_MSR_CRASH_CONTROL, ~0ull },
		{ HVK_MSR_CRASH_P0, 1 },
		{ HVK_MSR_CRASH_P0 + 4, 5 },
		/* And at the end. */
		{ HVK_MSR_SINT0 + 2, HVK_SINT_MASKED | 0xf3 },
		{ HVK_MSR_SCONTROL, 0 },
		{ HVK_MSR_SIMP, 0 },
		{ HVK_MSR_SIEFP, 0 },
		{ HVK_MSR_REFERENCE_TSC, 0 },
		{ HVK_MSR_VP_ASSIST_PAGE, 0 },
		{ HVK_MSR_HYPERCALL, 0 },
		{ HVK_MSR_GUEST_OS_ID, 0 },
	};
	uint64_t value;
	struct bench b;
	size_t i;

	bench_init(&b, 3);
	for (i = 0; i < HVK_COUNT(uses); i++) {
		ATF_CHECK_EQ_MSG(HVK_OK, hvk_hv_rdmsr(&b.hv, 1, uses[i].msr,
		    b.now, &value, &b.r), "reading %#x", uses[i].msr);
		if (uses[i].write == ~0ull)
			continue;
		ATF_CHECK_EQ_MSG(HVK_OK, wr(&b, 1, uses[i].msr,
		    uses[i].write), "writing %#x", uses[i].msr);
		if (uses[i].msr != HVK_MSR_EOM)
			ATF_CHECK_EQ_MSG(uses[i].write, rd(&b, 1,
			    uses[i].msr), "%#x reads back", uses[i].msr);
	}
}

/* ---- messages */

struct reader {
	struct hvk_synic_message *slot;
	uint32_t next;		/* number that must come */
};

/* As a guest does: read, free, and EOM if it saw the flag. */
static bool
consume(struct bench *b, struct reader *g, uint32_t vp)
{
	uint32_t number;
	bool pending;

	if (g->slot->type == HVK_SYNIC_NONE)
		return (false);
	memcpy(&number, g->slot->payload, sizeof(number));
	ATF_REQUIRE_EQ(g->next, number);
	ATF_REQUIRE_EQ(8 + number % 233, g->slot->size);
	g->next++;
	g->slot->type = HVK_SYNIC_NONE;
	pending = (g->slot->flags & HVK_SYNIC_PENDING) != 0;
	if (pending) {
		ATF_REQUIRE_EQ(HVK_OK, wr(b, vp, HVK_MSR_EOM, 0));
		ATF_REQUIRE((b->r.actions & HVK_HV_EOM) != 0);
	}
	return (pending);
}

TEST(messages, "none is lost, doubled, changed or out of order; a full slot is "
    "told at its EOM")
{
	uint8_t payload[240] = { 0 };
	struct reader g = { 0 };
	uint32_t sent = 0, full = 0, i;
	struct bench b;
	bool owed = false, told, had;
	int error;

	bench_init(&b, 99);
	ATF_REQUIRE_EQ(HVK_OK, wr(&b, 1, HVK_MSR_SIMP, 0x3001));
	ATF_REQUIRE_EQ(HVK_OK, wr(&b, 1, HVK_MSR_SINT0 + 2, 0x51));
	ATF_REQUIRE_EQ(HVK_OK, wr(&b, 1, HVK_MSR_SCONTROL, 1));
	g.slot = (struct hvk_synic_message *)(void *)(b.view.base + 0x3000) +
	    2;
	for (i = 0; i < ROUNDS; i++) {
		if (rnd(&b) % 2 == 0) {
			/* Whoever found it full is told, and only then. */
			had = g.slot->type != HVK_SYNIC_NONE;
			told = consume(&b, &g, 1);
			ATF_REQUIRE_EQ(had && owed, told);
			if (had)
				owed = false;
			continue;
		}
		memcpy(payload, &sent, sizeof(sent));
		error = hvk_hv_post(&b.hv, 1, 2, 1, 1, payload,
		    8 + sent % 233, &b.view, &b.r);
		if (error == HVK_AGAIN) {
			ATF_REQUIRE((g.slot->flags & HVK_SYNIC_PENDING) != 0);
			ATF_REQUIRE_EQ(0, b.r.nirqs);
			owed = true;
			full++;
			continue;
		}
		ATF_REQUIRE_EQ(HVK_OK, error);
		ATF_REQUIRE_EQ(1, b.r.nirqs);
		ATF_REQUIRE_EQ(0x51, b.r.irqs[0].vector);
		ATF_REQUIRE_EQ(2, b.r.irqs[0].sint);
		ATF_REQUIRE_EQ(1, b.r.irqs[0].vp);
		ATF_REQUIRE_EQ(0, g.slot->flags);
		sent++;
	}
	(void)consume(&b, &g, 1);
	ATF_CHECK_EQ(sent, g.next);
	ATF_CHECK_MSG(sent > 1000 && full > 1000, "%u sent, %u full", sent,
	    full);
}

TEST(events, "an interrupt exactly when a flag is new and its SINT is open")
{
	uint8_t shadow[VPS][HVK_HV_SINTS][256];
	struct hvk_hv_irq irq;
	struct bench b;
	uint32_t i, vp, sint, flag;
	uint64_t config;
	bool was, got, want;

	bench_init(&b, 4711);
	memset(shadow, 0, sizeof(shadow));
	for (vp = 0; vp < VPS; vp++) {
		ATF_REQUIRE_EQ(HVK_OK, wr(&b, vp, HVK_MSR_SIEFP,
		    (vp + 1) << 12 | 1));
		ATF_REQUIRE_EQ(HVK_OK, wr(&b, vp, HVK_MSR_SCONTROL, 1));
	}
	for (i = 0; i < ROUNDS; i++) {
		vp = (uint32_t)(rnd(&b) % VPS);
		sint = (uint32_t)(rnd(&b) % HVK_HV_SINTS);
		flag = (uint32_t)(rnd(&b) % 40);
		if (rnd(&b) % 4 == 0) {
			config = 32 + rnd(&b) % 200;
			if (rnd(&b) % 3 == 0)
				config |= HVK_SINT_MASKED;
			if (rnd(&b) % 5 == 0)
				config |= HVK_SINT_POLLING;
			if (rnd(&b) % 2 == 0)
				config |= HVK_SINT_AUTO_EOI;
			ATF_REQUIRE_EQ(HVK_OK, wr(&b, vp, HVK_MSR_SINT0 + sint,
			    config));
		}
		if (rnd(&b) % 4 == 0) {		/* the guest takes all */
			memset(shadow[vp][sint], 0, 256);
			memset(b.view.base + (vp + 1) * 4096 + sint * 256, 0,
			    256);
		}
		config = rd(&b, vp, HVK_MSR_SINT0 + sint);
		was = (shadow[vp][sint][flag / 8] >> flag % 8 & 1) != 0;
		want = !was && (config & (HVK_SINT_MASKED |
		    HVK_SINT_POLLING)) == 0;
		got = hvk_hv_signal(&b.hv, vp, sint, flag, &b.view, &irq);
		shadow[vp][sint][flag / 8] |= (uint8_t)(1u << flag % 8);
		ATF_REQUIRE_EQ(want, got);
		if (got) {
			ATF_REQUIRE_EQ((uint8_t)config, irq.vector);
			ATF_REQUIRE_EQ(sint, irq.sint);
			ATF_REQUIRE_EQ(vp, irq.vp);
			ATF_REQUIRE_EQ((config & HVK_SINT_AUTO_EOI) != 0,
			    irq.auto_eoi);
		}
		ATF_REQUIRE_EQ(0, memcmp(shadow[vp][sint], b.view.base +
		    (vp + 1) * 4096 + sint * 256, 256));
	}
}

/* ---- timers */

FEATURE_TEST(timers, "never early, never twice, never when off", "core.time")
{
	uint64_t due[HVK_HV_STIMERS], period[HVK_HV_STIMERS];
	uint32_t fired[HVK_HV_STIMERS] = { 0 }, i, n, k, total = 0;
	struct bench b;
	uint64_t first;

	bench_init(&b, 31337);
	for (n = 0; n < HVK_HV_STIMERS; n++)
		due[n] = UINT64_MAX;
	memset(period, 0, sizeof(period));
	for (i = 0; i < ROUNDS; i++) {
		n = (uint32_t)(rnd(&b) % HVK_HV_STIMERS);
		if (rnd(&b) % 3 == 0) {
			/* Off, then as one shot or periodic, direct. */
			period[n] = rnd(&b) % 2 == 0 ? 0 :
			    1 + rnd(&b) % 5000;
			ATF_REQUIRE_EQ(HVK_OK, wr(&b, 0,
			    HVK_MSR_STIMER0_CONFIG + 2 * n, 0));
			due[n] = b.now + 1 + rnd(&b) % 5000;
			ATF_REQUIRE_EQ(HVK_OK, wr(&b, 0,
			    HVK_MSR_STIMER0_COUNT + 2 * n,
			    period[n] != 0 ? period[n] : due[n]));
			ATF_REQUIRE_EQ(HVK_OK, wr(&b, 0,
			    HVK_MSR_STIMER0_CONFIG + 2 * n,
			    HVK_STIMER_ENABLE | HVK_STIMER_DIRECT |
			    (period[n] != 0 ? HVK_STIMER_PERIODIC : 0) |
			    (0x40 + n) << HVK_STIMER_VECTOR_SHIFT));
			ATF_REQUIRE_EQ(0, b.r.nirqs);
			if (period[n] != 0)
				due[n] = b.now + period[n];
		} else if (rnd(&b) % 5 == 0) {
			ATF_REQUIRE_EQ(HVK_OK, wr(&b, 0,
			    HVK_MSR_STIMER0_COUNT + 2 * n, 0));
			due[n] = UINT64_MAX;
		}
		first = UINT64_MAX;
		for (k = 0; k < HVK_HV_STIMERS; k++)
			if (due[k] < first)
				first = due[k];
		ATF_REQUIRE_EQ(first, hvk_hv_deadline(&b.hv, 0));
		b.now += rnd(&b) % 2000;
		memset(fired, 0, sizeof(fired));
		hvk_hv_expire(&b.hv, 0, b.now, &b.view, &b.r);
		for (k = 0; k < b.r.nirqs; k++) {
			ATF_REQUIRE(b.r.irqs[k].vector >= 0x40 &&
			    b.r.irqs[k].vector < 0x40 + HVK_HV_STIMERS);
			ATF_REQUIRE_EQ(HVK_HV_NO_SINT, b.r.irqs[k].sint);
			fired[b.r.irqs[k].vector - 0x40]++;
		}
		for (k = 0; k < HVK_HV_STIMERS; k++) {
			ATF_REQUIRE_EQ(due[k] <= b.now ? 1 : 0, fired[k]);
			total += fired[k];
			if (due[k] > b.now)
				continue;
			if (period[k] == 0) {
				due[k] = UINT64_MAX;
				/* A shot that was fired is off. */
				ATF_REQUIRE_EQ(0, rd(&b, 0,
				    HVK_MSR_STIMER0_CONFIG + 2 * k) &
				    HVK_STIMER_ENABLE);
				continue;
			}
			while (due[k] <= b.now)	/* missed ones are skipped */
				due[k] += period[k];
		}
	}
	ATF_CHECK_MSG(total > 5000, "%u fired", total);
}

FEATURE_TEST(tsc_page, "the page and the counter tell the same time",
    "core.time")
{
	struct hvk_reference_tsc *page;
	unsigned __int128 product;
	uint64_t tsc, last = 0, by_page, by_clock;
	struct bench b;
	uint32_t i;

	bench_init(&b, 2718);
	ATF_REQUIRE_EQ(HVK_OK, wr(&b, 0, HVK_MSR_REFERENCE_TSC, 0x9001));
	page = (void *)(b.view.base + 0x9000);
	ATF_REQUIRE(page->sequence != 0 && page->sequence != UINT32_MAX);
	tsc = 77;
	for (i = 0; i < ROUNDS; i++) {
		tsc += rnd(&b) % (1ull << (rnd(&b) % 40));
		product = (unsigned __int128)tsc * page->scale;
		by_page = (uint64_t)(product >> 64) + (uint64_t)page->offset;
		/* What the clock says by its frequency, from its start. */
		by_clock = 1000000 + (uint64_t)((unsigned __int128)(tsc - 77) *
		    10000000 / 2593906000u);
		ATF_REQUIRE_MSG(by_page - by_clock + 2 <= 4,
		    "%llu by the page, %llu by the clock",
		    (unsigned long long)by_page, (unsigned long long)by_clock);
		ATF_REQUIRE(by_page >= last);
		last = by_page;
	}
}

/* ---- hypercalls */

TEST(hypercalls, "only those two exist; a bad one changes nothing")
{
	struct hvk_post_message *m;
	struct hvk_hv_call call;
	struct bench b;
	uint32_t code, bit;

	bench_init(&b, 5);
	m = (void *)(b.view.base + 0x4000);
	memset(m, 0, sizeof(*m));
	m->connection = 1;
	m->type = 1;
	m->size = 8;
	hvk_hv_hypercall(&b.hv, HVK_HC_POST_MESSAGE, 0x4000, 0, &b.view,
	    &call);
	ATF_CHECK_EQ(HVK_HV_ACCESS_DENIED, call.result);
	ATF_REQUIRE_EQ(HVK_OK, wr(&b, 0, HVK_MSR_GUEST_OS_ID, 1ull << 63));
	for (code = 0; code < 0x10000; code++) {
		if (code == HVK_HC_POST_MESSAGE || code == HVK_HC_SIGNAL_EVENT)
			continue;
		hvk_hv_hypercall(&b.hv, code, 0x4000, 0, &b.view, &call);
		ATF_REQUIRE_EQ(HVK_HV_CALL_NONE, call.kind);
		ATF_REQUIRE_EQ(HVK_HV_BAD_CODE, call.result);
	}
	/* Each bit of the control word that is not the code's or "fast". */
	for (bit = 17; bit < 64; bit++) {
		hvk_hv_hypercall(&b.hv, HVK_HC_POST_MESSAGE | 1ull << bit,
		    0x4000, 0, &b.view, &call);
		ATF_CHECK_EQ_MSG(HVK_HV_BAD_INPUT, call.result, "bit %u", bit);
		ATF_CHECK_EQ(HVK_HV_CALL_NONE, call.kind);
	}
	hvk_hv_hypercall(&b.hv, HVK_HC_POST_MESSAGE, 0x4000, 0, &b.view,
	    &call);
	ATF_CHECK_EQ(HVK_HV_CALL_POST, call.kind);
	hvk_hv_hypercall(&b.hv, HVK_HC_POST_MESSAGE, 0x4004, 0, &b.view,
	    &call);
	ATF_CHECK_EQ(HVK_HV_BAD_ALIGNMENT, call.result);
	hvk_hv_hypercall(&b.hv, HVK_HC_POST_MESSAGE, 0x4f08, 0, &b.view,
	    &call);
	ATF_CHECK_EQ(HVK_HV_BAD_ALIGNMENT, call.result);
	hvk_hv_hypercall(&b.hv, HVK_HC_POST_MESSAGE, GAP * 4096u, 0, &b.view,
	    &call);
	ATF_CHECK_EQ(HVK_HV_BAD_PARAMETER, call.result);
	hvk_hv_hypercall(&b.hv, HVK_HC_POST_MESSAGE, ~7ull, 0, &b.view,
	    &call);
	ATF_CHECK(call.kind == HVK_HV_CALL_NONE && call.result != 0);
	m->size = 241;
	hvk_hv_hypercall(&b.hv, HVK_HC_POST_MESSAGE, 0x4000, 0, &b.view,
	    &call);
	ATF_CHECK_EQ(HVK_HV_BAD_PARAMETER, call.result);
}

/* ---- registers that an accelerator keeps */

TEST(mirror, "a bad page is off, a good one new and zero, SINTs are named")
{
	struct hvk_hv_irq irq;
	struct bench b;
	uint8_t text[8] = "message";

	bench_init(&b, 6);
	ATF_CHECK_EQ(HVK_RANGE, hvk_hv_mirror(&b.hv, VPS, 1, 1, 1, &b.view,
	    &b.r));
	ATF_CHECK_EQ(HVK_OK, hvk_hv_mirror(&b.hv, 2, 1, 0x2001, 0x3001,
	    &b.view, &b.r));
	ATF_CHECK((b.r.actions & HVK_HV_SYNIC) != 0);
	ATF_CHECK_EQ(0, b.view.base[0x2000] | b.view.base[0x3fff]);
	ATF_CHECK(hvk_hv_signal(&b.hv, 2, 5, 9, &b.view, &irq));
	ATF_CHECK_EQ(5, irq.sint);
	ATF_CHECK_EQ(0, irq.vector);
	ATF_CHECK_EQ(HVK_OK, hvk_hv_post(&b.hv, 2, 7, 1, 1, text, 8, &b.view,
	    &b.r));
	ATF_REQUIRE_EQ(1, b.r.nirqs);
	ATF_CHECK_EQ(7, b.r.irqs[0].sint);
	/* Outside, in the gap, or twice: off, and by name. */
	ATF_CHECK_EQ(HVK_REJECT, hvk_hv_mirror(&b.hv, 2, 1, MEM | 1, 0x3001,
	    &b.view, &b.r));
	ATF_CHECK_EQ(HVK_HV_REFUSE_OUTSIDE, b.r.refused);
	ATF_CHECK_EQ(HVK_MSR_SIEFP, b.r.refused_msr);
	ATF_CHECK(!hvk_hv_signal(&b.hv, 2, 5, 10, &b.view, &irq));
	ATF_CHECK_EQ(HVK_REJECT, hvk_hv_mirror(&b.hv, 2, 1, 0x3001, 0x3001,
	    &b.view, &b.r));
	ATF_CHECK_EQ(HVK_HV_REFUSE_OVERLAP, b.r.refused);
	ATF_CHECK_EQ(HVK_REJECT, hvk_hv_mirror(&b.hv, 1, 1, 0,
	    GAP * 4096u | 1, &b.view, &b.r));
	ATF_CHECK_EQ(HVK_MSR_SIMP, b.r.refused_msr);
	ATF_CHECK_EQ(HVK_STATE, hvk_hv_post(&b.hv, 1, 7, 1, 1, text, 8,
	    &b.view, &b.r));
	hvk_hv_mirror_os(&b.hv, 0x1234, 0x8001);
	ATF_CHECK_EQ(0x1234, hvk_hv_os_id(&b.hv));
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, pages);
	ATF_TP_ADD_TC(tp, refusals);
	ATF_TP_ADD_TC(tp, guests);
	ATF_TP_ADD_TC(tp, messages);
	ATF_TP_ADD_TC(tp, events);
	ATF_TP_ADD_TC(tp, timers);
	ATF_TP_ADD_TC(tp, tsc_page);
	ATF_TP_ADD_TC(tp, hypercalls);
	ATF_TP_ADD_TC(tp, mirror);
	return (atf_no_error());
}
