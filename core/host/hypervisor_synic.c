/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 */

/*
 * The Hyper-V model's synthetic interrupt controller, synthetic timers and
 * reference TSC page.  Locking: as host/hypervisor.h says; a message slot is
 * shared with the guest, which frees it by writing type 0.  Facts: wire.md
 * sections 2 and 3, hosts.md section 2.6.
 */

#include <hvk/host/hypervisor.h>

#include "hypervisor_priv.h"

#define	LOWEST_VECTOR	16u

/* ---- registers --------------------------------------------------------------- */

/* SIEFP or SIMP: a page that appears zeroed where the guest puts it. */
static int
write_page(const struct hvk_hv *hv, uint64_t *word, uint64_t value,
    const struct hvk_hv_view *view, struct hvk_hv_result *result)
{
	uint64_t old = hv_load(word);
	enum hvk_hv_refusal why;
	uint8_t *page;

	why = hv_claim(hv, word, value, view, &page);
	if (why != HVK_HV_REFUSE_NONE)
		return (hv_refuse(result, why));
	if (page != NULL && ((old & HVK_MSR_ENABLE) == 0 ||
	    ((old ^ value) & HVK_MSR_PAGE_MASK) != 0))
		hvk_zero(page, HVK_PAGE_SIZE);
	hv_store(word, value);
	return (HVK_OK);
}

static int
write_sint(struct hvk_hv_vp *v, unsigned n, uint64_t value,
    struct hvk_hv_result *result)
{
	if ((value & HVK_SINT_VECTOR_MASK) < LOWEST_VECTOR &&
	    (value & (HVK_SINT_MASKED | HVK_SINT_POLLING)) == 0)
		return (hv_refuse(result, HVK_HV_REFUSE_VECTOR));
	hv_store(&v->sint[n], value);
	return (HVK_OK);
}

int
hv_write_synic(struct hvk_hv *hv, uint32_t vp, uint32_t msr, uint64_t value,
    const struct hvk_hv_view *view, struct hvk_hv_result *result)
{
	struct hvk_hv_vp *v = &hv->vp[vp];
	unsigned n = msr - HVK_MSR_SINT0;
	int error;

	if (n < HVK_HV_SINTS)
		error = write_sint(v, n, value, result);
	else if (msr == HVK_MSR_SCONTROL) {
		hv_store(&v->scontrol, value);
		error = HVK_OK;
	} else if (msr == HVK_MSR_SIEFP)
		error = write_page(hv, &v->siefp, value, view, result);
	else if (msr == HVK_MSR_SIMP)
		error = write_page(hv, &v->simp, value, view, result);
	else if (msr == HVK_MSR_EOM) {
		v->pending = 0;
		result->actions |= HVK_HV_EOM;
		return (HVK_OK);
	} else
		return (hv_refuse(result, HVK_HV_REFUSE_REGISTER));
	if (error == HVK_OK)
		result->actions |= HVK_HV_SYNIC | HVK_HV_EOM;
	return (error);
}

int
hvk_hv_mirror(struct hvk_hv *hv, uint32_t vp, uint64_t scontrol,
    uint64_t siefp, uint64_t simp, const struct hvk_hv_view *view,
    struct hvk_hv_result *result)
{
	struct hvk_hv_vp *v;
	int error = HVK_OK;
	unsigned i;

	hvk_zero(result, sizeof(*result));
	if (vp >= hv->config.nvps)
		return (HVK_RANGE);
	v = &hv->vp[vp];
	for (i = 0; i < HVK_HV_SINTS; i++)
		hv_store(&v->sint[i], 0);
	if (write_page(hv, &v->siefp, siefp, view, result) != HVK_OK) {
		result->refused_msr = HVK_MSR_SIEFP;
		hv_store(&v->siefp, 0);
		error = HVK_REJECT;
	}
	if (write_page(hv, &v->simp, simp, view, result) != HVK_OK) {
		result->refused_msr = HVK_MSR_SIMP;
		hv_store(&v->simp, 0);
		error = HVK_REJECT;
	}
	hv_store(&v->scontrol, scontrol);
	result->actions |= HVK_HV_SYNIC | HVK_HV_EOM;
	return (error);
}

/* ---- messages ---------------------------------------------------------------- */

static void
add_irq(struct hvk_hv_result *result, uint32_t vp, uint8_t vector,
    uint8_t sint, bool auto_eoi)
{
	struct hvk_hv_irq *irq;

	if (result->nirqs == HVK_HV_IRQS)
		return;
	irq = &result->irqs[result->nirqs++];
	irq->vp = vp;
	irq->vector = vector;
	irq->sint = sint;
	irq->auto_eoi = auto_eoi;
}

static int
put_message(struct hvk_hv *hv, uint32_t vp, uint32_t sint, uint32_t type,
    uint64_t sender, const void *payload, uint32_t len,
    const struct hvk_hv_view *view, struct hvk_hv_result *result)
{
	struct hvk_hv_vp *v = &hv->vp[vp];
	struct hvk_synic_message *slot;
	uint64_t simp = hv_load(&v->simp), config;
	uint8_t *page = hv_page(view, simp);

	if ((simp & HVK_MSR_ENABLE) == 0 || page == NULL ||
	    (hv_load(&v->scontrol) & HVK_MSR_ENABLE) == 0)
		return (HVK_STATE);
	slot = (struct hvk_synic_message *)(void *)page + sint;
	if (__atomic_load_n(&slot->type, __ATOMIC_ACQUIRE) != HVK_SYNIC_NONE) {
		(void)__atomic_fetch_or(&slot->flags, HVK_SYNIC_PENDING,
		    __ATOMIC_SEQ_CST);
		/* Freed before it could see the flag: nobody will write EOM. */
		if (__atomic_load_n(&slot->type, __ATOMIC_SEQ_CST) !=
		    HVK_SYNIC_NONE) {
			v->pending |= (uint16_t)(1u << sint);
			return (HVK_AGAIN);
		}
	}
	v->pending &= (uint16_t)~(1u << sint);
	slot->size = (uint8_t)len;
	slot->flags = 0;
	slot->reserved = 0;
	slot->sender = sender;
	hvk_copy(slot->payload, payload, len);
	__atomic_store_n(&slot->type, type, __ATOMIC_SEQ_CST);
	config = hv_load(&v->sint[sint]);
	if ((config & (HVK_SINT_MASKED | HVK_SINT_POLLING)) == 0)
		add_irq(result, vp, (uint8_t)config, (uint8_t)sint,
		    (config & HVK_SINT_AUTO_EOI) != 0);
	return (HVK_OK);
}

int
hvk_hv_post(struct hvk_hv *hv, uint32_t vp, uint32_t sint, uint32_t type,
    uint64_t sender, const void *payload, uint32_t len,
    const struct hvk_hv_view *view, struct hvk_hv_result *result)
{
	hvk_zero(result, sizeof(*result));
	if (vp >= hv->config.nvps || sint >= HVK_HV_SINTS ||
	    len > HVK_MESSAGE_PAYLOAD || type == HVK_SYNIC_NONE)
		return (HVK_RANGE);
	return (put_message(hv, vp, sint, type, sender, payload, len, view,
	    result));
}

/* ---- timers -------------------------------------------------------------------- */

static unsigned
stimer_sint(const struct hvk_hv_stimer *t)
{
	return ((unsigned)(t->config >> HVK_STIMER_SINT_SHIFT) & 15);
}

/* May a timer with this configuration run? */
static bool
can_run(const struct hvk_hv_stimer *t)
{
	return ((t->config & HVK_STIMER_ENABLE) != 0 && t->count != 0);
}

static void
arm(struct hvk_hv_stimer *t, uint64_t now)
{
	t->pending = false;
	if (!can_run(t))
		t->expires = UINT64_MAX;
	else if ((t->config & HVK_STIMER_PERIODIC) == 0)
		t->expires = t->count;
	else if (t->count > UINT64_MAX - 1 - now)
		t->expires = UINT64_MAX - 1;
	else
		t->expires = now + t->count;
}

static bool
config_good(uint64_t config, struct hvk_hv_result *result)
{
	const uint64_t known = 0x1fff | 15ull << HVK_STIMER_SINT_SHIFT;

	if ((config & ~known) != 0)
		result->refused = HVK_HV_REFUSE_BITS;
	else if ((config & HVK_STIMER_DIRECT) != 0 &&
	    (config >> HVK_STIMER_VECTOR_SHIFT & 0xff) < LOWEST_VECTOR)
		result->refused = HVK_HV_REFUSE_VECTOR;
	return (result->refused == HVK_HV_REFUSE_NONE);
}

int
hv_write_stimer(struct hvk_hv *hv, uint32_t vp, unsigned reg, uint64_t value,
    uint64_t now, const struct hvk_hv_view *view, struct hvk_hv_result *result)
{
	struct hvk_hv_stimer *t = &hv->vp[vp].stimer[reg / 2];

	if (reg % 2 == 0) {
		if (!config_good(value, result))
			return (HVK_REJECT);
		/* A message timer without a SINT cannot be enabled. */
		t->config = value;
		if ((value & HVK_STIMER_DIRECT) == 0 && stimer_sint(t) == 0)
			t->config &= ~HVK_STIMER_ENABLE;
	} else {
		t->count = value;
		if (value == 0)
			t->config &= ~HVK_STIMER_ENABLE;
		else if ((t->config & HVK_STIMER_AUTO_ENABLE) != 0)
			t->config |= HVK_STIMER_ENABLE;
	}
	arm(t, now);
	if (t->expires <= now)
		hvk_hv_expire(hv, vp, now, view, result);
	result->actions |= HVK_HV_TIMER;
	return (HVK_OK);
}

uint64_t
hvk_hv_deadline(const struct hvk_hv *hv, uint32_t vp)
{
	uint64_t first = UINT64_MAX;
	unsigned i;

	if (vp >= hv->config.nvps)
		return (first);
	for (i = 0; i < HVK_HV_STIMERS; i++)
		if (hv->vp[vp].stimer[i].expires < first)
			first = hv->vp[vp].stimer[i].expires;
	return (first);
}

/* It is due: the next expiry, and whether anything must be delivered now. */
static void
step(struct hvk_hv_stimer *t, uint64_t now)
{
	uint64_t missed;

	t->pending = true;
	t->due = t->expires;
	if ((t->config & HVK_STIMER_PERIODIC) == 0) {
		t->config &= ~HVK_STIMER_ENABLE;
		t->expires = UINT64_MAX;
		return;
	}
	missed = (now - t->expires) / t->count;
	if (t->count > (UINT64_MAX - 1 - t->expires) / (missed + 1))
		t->expires = UINT64_MAX - 1;
	else
		t->expires += (missed + 1) * t->count;
}

static void
deliver(struct hvk_hv *hv, uint32_t vp, unsigned n, uint64_t now,
    const struct hvk_hv_view *view, struct hvk_hv_result *result)
{
	struct hvk_hv_stimer *t = &hv->vp[vp].stimer[n];
	struct hvk_timer_message message;

	if ((t->config & HVK_STIMER_DIRECT) != 0) {
		add_irq(result, vp,
		    (uint8_t)(t->config >> HVK_STIMER_VECTOR_SHIFT),
		    HVK_HV_NO_SINT, false);
		t->pending = false;
		return;
	}
	hvk_zero(&message, sizeof(message));
	message.timer = n;
	message.expiration = t->due;
	message.delivery = now;
	if (put_message(hv, vp, stimer_sint(t), HVK_SYNIC_TIMER, 0, &message,
	    sizeof(message), view, result) != HVK_AGAIN)
		t->pending = false;
}

void
hvk_hv_expire(struct hvk_hv *hv, uint32_t vp, uint64_t now,
    const struct hvk_hv_view *view, struct hvk_hv_result *result)
{
	struct hvk_hv_stimer *t;
	unsigned i;

	hvk_zero(result, sizeof(*result));
	if (vp >= hv->config.nvps)
		return;
	for (i = 0; i < HVK_HV_STIMERS; i++) {
		t = &hv->vp[vp].stimer[i];
		if (t->expires <= now && t->expires != UINT64_MAX) {
			step(t, now);
			result->actions |= HVK_HV_TIMER;
		}
		if (t->pending)
			deliver(hv, vp, i, now, view, result);
	}
}

/* ---- reference time ---------------------------------------------------------------- */

/* 10^7 * 2^64 / hz, by long division: there may be no 128-bit type. */
uint64_t
hvk_hv_tsc_scale(uint64_t tsc_hz)
{
	uint64_t rest = 10000000, scale = 0;
	unsigned i;

	if (tsc_hz <= rest || tsc_hz >> 62 != 0)
		return (0);
	for (i = 0; i < 64; i++) {
		rest <<= 1;
		scale <<= 1;
		if (rest >= tsc_hz) {
			rest -= tsc_hz;
			scale |= 1;
		}
	}
	return (scale);
}

void
hv_fill_tsc_page(struct hvk_hv *hv, const struct hvk_hv_view *view)
{
	uint64_t value = hv_load(&hv->ref_tsc);
	struct hvk_reference_tsc *page = (void *)hv_page(view, value);
	uint32_t sequence;

	if ((value & HVK_MSR_ENABLE) == 0 || page == NULL)
		return;
	/* 0 while it changes: a reader falls back on the register. */
	__atomic_store_n(&page->sequence, 0, __ATOMIC_SEQ_CST);
	page->reserved = 0;
	page->scale = hv->tsc_scale;
	page->offset = hv->tsc_offset;
	do
		sequence = __atomic_add_fetch(&hv->tsc_sequence, 1,
		    __ATOMIC_RELAXED);
	while (sequence == 0 || sequence == UINT32_MAX);
	__atomic_store_n(&page->sequence, sequence, __ATOMIC_SEQ_CST);
}

int
hvk_hv_retime(struct hvk_hv *hv, uint64_t tsc_hz, uint64_t tsc_now,
    uint64_t now, const struct hvk_hv_view *view)
{
	uint64_t scale = hvk_hv_tsc_scale(tsc_hz);

	if (scale == 0 || hv->config.tsc_hz == 0)
		return (HVK_RANGE);
	hv->config.tsc_hz = tsc_hz;
	hv->tsc_scale = scale;
	hv->tsc_offset = (int64_t)(now - hv_scaled(tsc_now, scale));
	hv_fill_tsc_page(hv, view);
	return (HVK_OK);
}
