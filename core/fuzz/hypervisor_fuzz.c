/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 */

/*
 * Fuzz target: any register accesses, hypercalls and deliveries of the Hyper-V
 * model, over a small guest memory whose bytes the guest changes at will.
 *
 * Input: records of 12 bytes: what, VP, two bytes of number, eight of value.
 */

#include <stdlib.h>
#include <string.h>

#include <hvk/host/hypervisor.h>

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

#define	MEM_SIZE	0x8000u

static void
check(const struct hvk_hv_result *r)
{
	uint32_t i;

	if (r->nirqs > HVK_HV_IRQS)
		abort();
	for (i = 0; i < r->nirqs; i++)
		if ((r->irqs[i].vector < 16 && (r->irqs[i].sint >= 16 ||
		    r->irqs[i].vector != 0)) || r->irqs[i].vp >= 2)
			abort();
	if ((unsigned)r->refused >= HVK_HV_REFUSE_MAX)
		abort();
}

/* The pages that the model writes to: in memory, each of one register. */
static void
check_pages(const struct hvk_hv *hv, const struct hvk_hv_view *view)
{
	const uint64_t word[] = { hv->hypercall, hv->ref_tsc, hv->vp[0].simp,
	    hv->vp[0].siefp, hv->vp[0].assist, hv->vp[1].simp,
	    hv->vp[1].siefp, hv->vp[1].assist };
	size_t i, j;

	for (i = 0; i < sizeof(word) / sizeof(word[0]); i++) {
		if ((word[i] & 1) == 0)
			continue;
		if (word[i] >= view->size || (word[i] >= view->gap_start &&
		    word[i] < view->gap_end))
			abort();
		for (j = 0; j < i; j++)
			if ((word[j] & 1) != 0 &&
			    word[j] >> 12 == word[i] >> 12)
				abort();
	}
}

static void
step(struct hvk_hv *hv, const struct hvk_hv_view *view, const uint8_t *p,
    uint64_t *now)
{
	static const uint8_t payload[256];
	struct hvk_hv_result r;
	struct hvk_hv_call call;
	struct hvk_hv_irq irq;
	uint32_t vp = p[1] % 3, msr, regs[4] = { 0 };
	uint16_t number;
	uint64_t value;

	memcpy(&number, p + 2, 2);
	memcpy(&value, p + 4, 8);
	msr = 0x40000000u + (number & 0x1ff);
	memset(&r, 0, sizeof(r));
	switch (p[0] % 9) {
	case 0:
	case 1:
		(void)hvk_hv_wrmsr(hv, vp, msr, value, *now, view, &r);
		break;
	case 2:
		(void)hvk_hv_rdmsr(hv, vp, msr, *now, &value, &r);
		break;
	case 3:
		hvk_hv_hypercall(hv, number | (uint64_t)p[1] << 16, value, 0,
		    view, &call);
		if (call.kind == HVK_HV_CALL_POST && call.post.len > 240)
			abort();
		break;
	case 4:
		(void)hvk_hv_post(hv, vp, p[4] % 20, 1, value, payload,
		    p[5], view, &r);
		break;
	case 5:
		(void)hvk_hv_signal(hv, vp, p[4] % 20, number, view, &irq);
		break;
	case 6:
		*now += value % 1000000;
		hvk_hv_expire(hv, vp, *now, view, &r);
		if (vp < 2 && hvk_hv_deadline(hv, vp) <= *now &&
		    hvk_hv_deadline(hv, vp) != UINT64_MAX - 1)
			abort();
		break;
	case 7:
		(void)hvk_hv_mirror(hv, vp, p[1] >> 7, number * 8ull,
		    value % (2 * MEM_SIZE), view, &r);
		break;
	default:
		(void)hvk_hv_cpuid(hv, 0x40000000u + p[1], 0, regs);
		memcpy(view->base + number % (MEM_SIZE - 8), &value, 8);
		break;
	}
	check(&r);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hvk_hv_config config = { .nvps = 2, .tsc_hz = 2000000000,
	    .apic_hz = 100000000, .apic_msrs = true, .stimers = true,
	    .guest_idle = true, .invariant_tsc = true };
	struct hvk_hv_view view = { .size = MEM_SIZE, .gap_start = 0x5000,
	    .gap_end = 0x6000 };
	struct hvk_hv hv;
	struct hvk_hv_vp vp[2];
	uint64_t now = 1;

	/* Of its own, so that a byte past its end is found. */
	view.base = aligned_alloc(4096, MEM_SIZE);
	if (view.base == NULL ||
	    hvk_hv_init(&hv, &config, vp, 1000, now) != HVK_OK)
		abort();
	memset(view.base, 0, MEM_SIZE);
	for (; size >= 12; data += 12, size -= 12) {
		step(&hv, &view, data, &now);
		check_pages(&hv, &view);
	}
	free(view.base);
	return (0);
}
