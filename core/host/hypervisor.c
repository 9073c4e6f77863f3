/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 */

/*
 * The Hyper-V model: CPUID leaves, partition-wide and VP registers, hypercalls.
 * The SynIC's pages and the timers are in hypervisor_synic.c.  Locking: as
 * host/hypervisor.h says.  Facts: wire.md section 2, hosts.md sections 2.1 to
 * 2.3.
 */

#include <hvk/host/hypervisor.h>

#include "hypervisor_priv.h"

#define	SVERSION_VALUE		1u
#define	LAST_LEAF		0x4000000cu

int
hvk_hv_init(struct hvk_hv *hv, const struct hvk_hv_config *config,
    struct hvk_hv_vp *vp, uint64_t tsc_now, uint64_t now)
{
	if (config->nvps == 0 || config->nvps > HVK_HV_MAX_VPS || vp == NULL)
		return (HVK_RANGE);
	hvk_zero(hv, sizeof(*hv));
	hv->config = *config;
	if (hv->config.max_lps == 0)
		hv->config.max_lps = config->nvps;
	if (hv->config.version_major == 0)
		hv->config.version_major = 10;
	if (hv->config.version_build == 0)
		hv->config.version_build = 20348;
	hv->vp = vp;
	if (config->tsc_hz != 0) {
		hv->tsc_scale = hvk_hv_tsc_scale(config->tsc_hz);
		if (hv->tsc_scale == 0)
			return (HVK_RANGE);
		hv->tsc_offset = (int64_t)(now - hv_scaled(tsc_now,
		    hv->tsc_scale));
	}
	hvk_hv_reset(hv);
	return (HVK_OK);
}

void
hvk_hv_reset(struct hvk_hv *hv)
{
	struct hvk_hv_vp *v;
	uint32_t i, j;

	hv->os_id = hv->hypercall = hv->ref_tsc = hv->crash_ctl = 0;
	hv->tsc_invariant = 0;
	hvk_zero(hv->crash, sizeof(hv->crash));
	for (i = 0; i < hv->config.nvps; i++) {
		v = &hv->vp[i];
		hvk_zero(v, sizeof(*v));
		for (j = 0; j < HVK_HV_SINTS; j++)
			v->sint[j] = HVK_SINT_MASKED;
		for (j = 0; j < HVK_HV_STIMERS; j++)
			v->stimer[j].expires = UINT64_MAX;
	}
}

/* ---- CPUID ------------------------------------------------------------------ */

static void
cpuid_features(const struct hvk_hv_config *c, uint32_t regs[4])
{
	regs[0] = HVK_FEATURE_REFERENCE_COUNTER | HVK_FEATURE_SYNIC |
	    HVK_FEATURE_HYPERCALL | HVK_FEATURE_VP_INDEX | HVK_FEATURE_RESET;
	regs[1] = HVK_RIGHT_POST_MESSAGES | HVK_RIGHT_SIGNAL_EVENTS;
	regs[3] = HVK_MISC_CRASH_MSRS;
	if (hv_has_tsc_page(c))
		regs[0] |= HVK_FEATURE_REFERENCE_TSC;
	if (c->tsc_hz != 0 && c->apic_hz != 0) {
		regs[0] |= HVK_FEATURE_FREQUENCY_MSRS;
		regs[3] |= HVK_MISC_FREQUENCY_MSRS;
	}
	if (c->apic_msrs)
		regs[0] |= HVK_FEATURE_APIC_MSRS;
	if (c->stimers) {
		regs[0] |= HVK_FEATURE_STIMER;
		regs[3] |= HVK_MISC_STIMER_DIRECT;
	}
	if (c->guest_idle) {
		regs[0] |= HVK_FEATURE_GUEST_IDLE;
		regs[3] |= HVK_MISC_GUEST_IDLE;
	}
	if (c->invariant_tsc)
		regs[0] |= HVK_FEATURE_TSC_INVARIANT;
	if (c->vp_runtime)
		regs[0] |= HVK_FEATURE_VP_RUNTIME;
}

bool
hvk_hv_cpuid(const struct hvk_hv *hv, uint32_t leaf, uint32_t subleaf,
    uint32_t regs[4])
{
	const struct hvk_hv_config *c = &hv->config;

	(void)subleaf;
	if (leaf == 1) {
		regs[2] |= 1u << 31;	/* a hypervisor is present */
		return (true);
	}
	if (leaf < HVK_CPUID_MAX || leaf > HVK_CPUID_MAX + 0xff)
		return (false);
	regs[0] = regs[1] = regs[2] = regs[3] = 0;
	switch (leaf) {
	case HVK_CPUID_MAX:
		regs[0] = LAST_LEAF;
		regs[1] = HVK_CPUID_VENDOR_EBX;
		regs[2] = HVK_CPUID_VENDOR_ECX;
		regs[3] = HVK_CPUID_VENDOR_EDX;
		break;
	case HVK_CPUID_INTERFACE:
		regs[0] = HVK_CPUID_INTERFACE_HV1;
		break;
	case HVK_CPUID_VERSION:
		regs[0] = c->version_build;
		regs[1] = (uint32_t)c->version_major << 16 | c->version_minor;
		break;
	case HVK_CPUID_FEATURES:
		cpuid_features(c, regs);
		break;
	case HVK_CPUID_RECOMMENDATIONS:
		regs[0] = HVK_RECOMMEND_RELAXED_TIMING;
		if (c->apic_msrs)
			regs[0] |= HVK_RECOMMEND_APIC_MSRS;
		if (c->no_auto_eoi)
			regs[0] |= HVK_RECOMMEND_NO_AUTO_EOI;
		if (c->processor_calls)
			regs[0] |= HVK_RECOMMEND_REMOTE_FLUSH |
			    HVK_RECOMMEND_CLUSTER_IPI |
			    HVK_RECOMMEND_EX_PROCESSOR_MASK;
		regs[1] = UINT32_MAX;	/* never report spinning */
		break;
	case HVK_CPUID_LIMITS:
		regs[0] = c->nvps;
		regs[1] = c->max_lps;
		break;
	default:
		break;
	}
	return (true);
}

/* ---- pages ------------------------------------------------------------------ */

static bool
same_page(const uint64_t *word, const uint64_t *self, uint64_t value)
{
	uint64_t other;

	if (word == self)
		return (false);
	other = hv_load(word);
	return ((other & HVK_MSR_ENABLE) != 0 &&
	    ((other ^ value) & HVK_MSR_PAGE_MASK) == 0);
}

enum hvk_hv_refusal
hv_claim(const struct hvk_hv *hv, const uint64_t *word, uint64_t value,
    const struct hvk_hv_view *view, uint8_t **page)
{
	const struct hvk_hv_vp *v;
	uint32_t i;

	*page = NULL;
	if ((value & HVK_MSR_ENABLE) == 0)
		return (HVK_HV_REFUSE_NONE);
	*page = hv_page(view, value);
	if (*page == NULL)
		return (HVK_HV_REFUSE_OUTSIDE);
	if (same_page(&hv->hypercall, word, value) ||
	    same_page(&hv->ref_tsc, word, value))
		return (HVK_HV_REFUSE_OVERLAP);
	for (i = 0; i < hv->config.nvps; i++) {
		v = &hv->vp[i];
		if (same_page(&v->simp, word, value) ||
		    same_page(&v->siefp, word, value) ||
		    same_page(&v->assist, word, value))
			return (HVK_HV_REFUSE_OVERLAP);
	}
	return (HVK_HV_REFUSE_NONE);
}

const char *
hvk_hv_refusal_text(enum hvk_hv_refusal why)
{
	static const char *const text[HVK_HV_REFUSE_MAX] = {
		[HVK_HV_REFUSE_NONE] = "nothing is wrong",
		[HVK_HV_REFUSE_REGISTER] = "there is no such register",
		[HVK_HV_REFUSE_READ_ONLY] = "the register cannot be written",
		[HVK_HV_REFUSE_OUTSIDE] = "its page is outside memory",
		[HVK_HV_REFUSE_OVERLAP] = "another register has that page",
		[HVK_HV_REFUSE_VECTOR] = "its vector is below 16",
		[HVK_HV_REFUSE_BITS] = "reserved bits are set",
	};

	return ((unsigned)why < HVK_HV_REFUSE_MAX ? text[why] : "unknown");
}

/* ---- registers: reading -------------------------------------------------------- */

/* Synthetic timer register number, or false. */
static bool
is_stimer(const struct hvk_hv *hv, uint32_t msr, unsigned *n)
{
	*n = msr - HVK_MSR_STIMER0_CONFIG;
	return (hv->config.stimers && *n < 2 * HVK_HV_STIMERS);
}

static int
read_vp(const struct hvk_hv *hv, uint32_t vp, uint32_t msr, uint64_t *value,
    struct hvk_hv_result *result)
{
	const struct hvk_hv_vp *v = &hv->vp[vp];
	unsigned n = msr - HVK_MSR_SINT0;

	if (n < HVK_HV_SINTS) {
		*value = hv_load(&v->sint[n]);
		return (HVK_OK);
	}
	if (is_stimer(hv, msr, &n)) {
		*value = n % 2 == 0 ? v->stimer[n / 2].config :
		    v->stimer[n / 2].count;
		return (HVK_OK);
	}
	switch (msr) {
	case HVK_MSR_VP_INDEX:
		*value = vp;
		return (HVK_OK);
	case HVK_MSR_VP_ASSIST_PAGE:
		*value = hv_load(&v->assist);
		return (HVK_OK);
	case HVK_MSR_SCONTROL:
		*value = hv_load(&v->scontrol);
		return (HVK_OK);
	case HVK_MSR_SVERSION:
		*value = SVERSION_VALUE;
		return (HVK_OK);
	case HVK_MSR_SIEFP:
		*value = hv_load(&v->siefp);
		return (HVK_OK);
	case HVK_MSR_SIMP:
		*value = hv_load(&v->simp);
		return (HVK_OK);
	case HVK_MSR_EOM:
		return (HVK_OK);
	default:
		return (hv_refuse(result, HVK_HV_REFUSE_REGISTER));
	}
}

static int
read_apic(const struct hvk_hv *hv, uint32_t msr, struct hvk_hv_result *result)
{
	if (!hv->config.apic_msrs || msr == HVK_MSR_EOI)
		return (hv_refuse(result, HVK_HV_REFUSE_REGISTER));
	result->actions |= HVK_HV_NEED_APIC |
	    (msr == HVK_MSR_ICR ? HVK_HV_ICR : HVK_HV_TPR);
	return (HVK_OK);
}

static int
read_frequency(const struct hvk_hv *hv, uint32_t msr, uint64_t *value,
    struct hvk_hv_result *result)
{
	if (hv->config.tsc_hz == 0 || hv->config.apic_hz == 0)
		return (hv_refuse(result, HVK_HV_REFUSE_REGISTER));
	*value = msr == HVK_MSR_TSC_FREQUENCY ? hv->config.tsc_hz :
	    hv->config.apic_hz;
	return (HVK_OK);
}

int
hvk_hv_rdmsr(struct hvk_hv *hv, uint32_t vp, uint32_t msr, uint64_t now,
    uint64_t *value, struct hvk_hv_result *result)
{
	unsigned n = msr - HVK_MSR_CRASH_P0;

	hvk_zero(result, sizeof(*result));
	*value = 0;
	if (vp >= hv->config.nvps)
		return (HVK_RANGE);
	if (n < HVK_COUNT(hv->crash)) {
		*value = hv_load(&hv->crash[n]);
		return (HVK_OK);
	}
	switch (msr) {
	case HVK_MSR_GUEST_OS_ID:
		*value = hv_load(&hv->os_id);
		return (HVK_OK);
	case HVK_MSR_HYPERCALL:
		*value = hv_load(&hv->hypercall);
		return (HVK_OK);
	case HVK_MSR_RESET:
		return (HVK_OK);
	case HVK_MSR_REFERENCE_COUNTER:
		*value = now;
		return (HVK_OK);
	case HVK_MSR_REFERENCE_TSC:
		if (!hv_has_tsc_page(&hv->config))
			return (hv_refuse(result, HVK_HV_REFUSE_REGISTER));
		*value = hv_load(&hv->ref_tsc);
		return (HVK_OK);
	case HVK_MSR_TSC_FREQUENCY:
	case HVK_MSR_APIC_FREQUENCY:
		return (read_frequency(hv, msr, value, result));
	case HVK_MSR_EOI:
	case HVK_MSR_ICR:
	case HVK_MSR_TPR:
		return (read_apic(hv, msr, result));
	case HVK_MSR_GUEST_IDLE:
		if (!hv->config.guest_idle)
			return (hv_refuse(result, HVK_HV_REFUSE_REGISTER));
		result->actions |= HVK_HV_IDLE;
		return (HVK_OK);
	case HVK_MSR_CRASH_CONTROL:
		/* What may be reported: a notification, with a message. */
		*value = HVK_CRASH_NOTIFY | HVK_CRASH_MESSAGE;
		return (HVK_OK);
	case HVK_MSR_TSC_INVARIANT:
		if (!hv->config.invariant_tsc)
			return (hv_refuse(result, HVK_HV_REFUSE_REGISTER));
		*value = hv_load(&hv->tsc_invariant);
		return (HVK_OK);
	default:
		return (read_vp(hv, vp, msr, value, result));
	}
}

/* ---- registers: writing --------------------------------------------------------- */

static int
write_os_id(struct hvk_hv *hv, uint64_t value, struct hvk_hv_result *result)
{
	hv_store(&hv->os_id, value);
	/* A guest without a name has no hypercalls. */
	if (value == 0 && (hv_load(&hv->hypercall) & HVK_MSR_ENABLE) != 0) {
		hv_store(&hv->hypercall,
		    hv_load(&hv->hypercall) & ~HVK_MSR_ENABLE);
		result->actions |= HVK_HV_HYPERCALL;
	}
	return (HVK_OK);
}

static int
write_hypercall(struct hvk_hv *hv, uint64_t value,
    const struct hvk_hv_view *view, struct hvk_hv_result *result)
{
	uint64_t old = hv_load(&hv->hypercall);
	enum hvk_hv_refusal why;
	uint8_t *page;

	if ((old & 2) != 0)		/* locked until reset */
		return (HVK_OK);
	if (hv_load(&hv->os_id) == 0)	/* ignored, and reads back as off */
		value &= ~HVK_MSR_ENABLE;
	why = hv_claim(hv, &hv->hypercall, value, view, &page);
	if (why != HVK_HV_REFUSE_NONE)
		return (hv_refuse(result, why));
	hv_store(&hv->hypercall, value);
	if (value != old)
		result->actions |= HVK_HV_HYPERCALL;
	return (HVK_OK);
}

static int
write_ref_tsc(struct hvk_hv *hv, uint64_t value,
    const struct hvk_hv_view *view, struct hvk_hv_result *result)
{
	enum hvk_hv_refusal why;
	uint8_t *page;

	if (!hv_has_tsc_page(&hv->config))
		return (hv_refuse(result, HVK_HV_REFUSE_REGISTER));
	why = hv_claim(hv, &hv->ref_tsc, value, view, &page);
	if (why != HVK_HV_REFUSE_NONE)
		return (hv_refuse(result, why));
	hv_store(&hv->ref_tsc, value);
	hv_fill_tsc_page(hv, view);
	return (HVK_OK);
}

static int
write_assist(struct hvk_hv *hv, uint32_t vp, uint64_t value,
    const struct hvk_hv_view *view, struct hvk_hv_result *result)
{
	enum hvk_hv_refusal why;
	uint8_t *page;

	why = hv_claim(hv, &hv->vp[vp].assist, value, view, &page);
	if (why != HVK_HV_REFUSE_NONE)
		return (hv_refuse(result, why));
	hv_store(&hv->vp[vp].assist, value);
	result->actions |= HVK_HV_ASSIST;
	return (HVK_OK);
}

static int
write_apic(const struct hvk_hv *hv, uint32_t msr, uint64_t value,
    struct hvk_hv_result *result)
{
	if (!hv->config.apic_msrs)
		return (hv_refuse(result, HVK_HV_REFUSE_REGISTER));
	result->actions |= msr == HVK_MSR_EOI ? HVK_HV_EOI :
	    msr == HVK_MSR_ICR ? HVK_HV_ICR : HVK_HV_TPR;
	result->apic = value;
	return (HVK_OK);
}

static int
write_crash(struct hvk_hv *hv, uint32_t msr, uint64_t value,
    struct hvk_hv_result *result)
{
	if (msr != HVK_MSR_CRASH_CONTROL) {
		hv_store(&hv->crash[msr - HVK_MSR_CRASH_P0], value);
		return (HVK_OK);
	}
	hv_store(&hv->crash_ctl, value);
	if ((value & HVK_CRASH_NOTIFY) != 0)
		result->actions |= HVK_HV_CRASH;
	return (HVK_OK);
}

int
hvk_hv_wrmsr(struct hvk_hv *hv, uint32_t vp, uint32_t msr, uint64_t value,
    uint64_t now, const struct hvk_hv_view *view,
    struct hvk_hv_result *result)
{
	unsigned n;

	hvk_zero(result, sizeof(*result));
	if (vp >= hv->config.nvps)
		return (HVK_RANGE);
	if (is_stimer(hv, msr, &n))
		return (hv_write_stimer(hv, vp, n, value, now, view, result));
	if (msr >= HVK_MSR_CRASH_P0 && msr <= HVK_MSR_CRASH_CONTROL)
		return (write_crash(hv, msr, value, result));
	switch (msr) {
	case HVK_MSR_GUEST_OS_ID:
		return (write_os_id(hv, value, result));
	case HVK_MSR_HYPERCALL:
		return (write_hypercall(hv, value, view, result));
	case HVK_MSR_RESET:
		if ((value & 1) != 0)
			result->actions |= HVK_HV_RESET;
		return (HVK_OK);
	case HVK_MSR_VP_INDEX:
	case HVK_MSR_VP_RUNTIME:
	case HVK_MSR_REFERENCE_COUNTER:
	case HVK_MSR_TSC_FREQUENCY:
	case HVK_MSR_APIC_FREQUENCY:
	case HVK_MSR_SVERSION:
	case HVK_MSR_GUEST_IDLE:
		return (hv_refuse(result, HVK_HV_REFUSE_READ_ONLY));
	case HVK_MSR_REFERENCE_TSC:
		return (write_ref_tsc(hv, value, view, result));
	case HVK_MSR_EOI:
	case HVK_MSR_ICR:
	case HVK_MSR_TPR:
		return (write_apic(hv, msr, value, result));
	case HVK_MSR_VP_ASSIST_PAGE:
		return (write_assist(hv, vp, value, view, result));
	case HVK_MSR_TSC_INVARIANT:
		if (!hv->config.invariant_tsc)
			return (hv_refuse(result, HVK_HV_REFUSE_REGISTER));
		if ((value & ~1ull) != 0)
			return (hv_refuse(result, HVK_HV_REFUSE_BITS));
		hv_store(&hv->tsc_invariant, value);
		return (HVK_OK);
	default:
		return (hv_write_synic(hv, vp, msr, value, view, result));
	}
}

/* ---- hypercalls ------------------------------------------------------------------- */

bool
hvk_hv_hypercall_page(const struct hvk_hv *hv, uint64_t *gpa)
{
	uint64_t value = hv_load(&hv->hypercall);

	*gpa = (value & HVK_MSR_ENABLE) != 0 ? value & HVK_MSR_PAGE_MASK : 0;
	return ((value & HVK_MSR_ENABLE) != 0);
}

/* Bytes of a hypercall's input in guest memory, or why not. */
static unsigned
get_input(const struct hvk_hv_view *view, uint64_t gpa, void *to, uint32_t len)
{
	const uint8_t *from;

	if (gpa % 8 != 0)
		return (HVK_HV_BAD_ALIGNMENT);
	if (gpa % HVK_PAGE_SIZE + len > HVK_PAGE_SIZE)
		return (HVK_HV_BAD_ALIGNMENT);
	from = hv_memory(view, gpa, len);
	if (from == NULL)
		return (HVK_HV_BAD_PARAMETER);
	hvk_copy(to, from, len);
	return (HVK_HV_SUCCESS);
}

static unsigned
call_post(uint64_t control, uint64_t input, const struct hvk_hv_view *view,
    struct hvk_hv_call *call)
{
	struct hvk_post_message message;
	unsigned status;

	if ((control & HVK_HC_FAST) != 0)
		return (HVK_HV_BAD_INPUT);
	status = get_input(view, input, &message, sizeof(message));
	if (status != HVK_HV_SUCCESS)
		return (status);
	if (message.size > sizeof(message.payload))
		return (HVK_HV_BAD_PARAMETER);
	call->kind = HVK_HV_CALL_POST;
	call->post.conn = message.connection;
	call->post.type = message.type;
	call->post.len = message.size;
	hvk_copy(call->post.payload, message.payload, message.size);
	return (HVK_HV_SUCCESS);
}

static unsigned
call_signal(uint64_t control, uint64_t input, const struct hvk_hv_view *view,
    struct hvk_hv_call *call)
{
	struct hvk_signal_event event;
	unsigned status;

	if ((control & HVK_HC_FAST) != 0)
		hvk_copy(&event, &input, sizeof(event));
	else {
		status = get_input(view, input, &event, sizeof(event));
		if (status != HVK_HV_SUCCESS)
			return (status);
	}
	if (event.flag >= HVK_EVENT_FLAGS)
		return (HVK_HV_BAD_PARAMETER);
	call->kind = HVK_HV_CALL_SIGNAL;
	call->signal.conn = event.connection;
	call->signal.flag = event.flag;
	return (HVK_HV_SUCCESS);
}

void
hvk_hv_hypercall(const struct hvk_hv *hv, uint64_t control, uint64_t input,
    uint64_t output, const struct hvk_hv_view *view, struct hvk_hv_call *call)
{
	/* Bits 63:60, 47:44 and 30:27 mean nothing and must be 0. */
	const uint64_t reserved = 0xf000f00078000000ull;
	const uint64_t reps = 0xfffull << HVK_HC_REP_COUNT_SHIFT |
	    0xfffull << HVK_HC_REP_START_SHIFT;
	const uint64_t variable = 0x3ffull << HVK_HC_VARIABLE_SHIFT;

	(void)output;
	hvk_zero(call, sizeof(*call));
	if (hv_load(&hv->os_id) == 0) {
		call->result = HVK_HV_ACCESS_DENIED;
		return;
	}
	switch (control & HVK_HC_CODE_MASK) {
	case HVK_HC_POST_MESSAGE:
	case HVK_HC_SIGNAL_EVENT:
		break;
	default:
		call->result = HVK_HV_BAD_CODE;
		return;
	}
	if ((control & (reserved | reps | variable | HVK_HC_NESTED)) != 0)
		call->result = HVK_HV_BAD_INPUT;
	else if ((control & HVK_HC_CODE_MASK) == HVK_HC_POST_MESSAGE)
		call->result = call_post(control, input, view, call);
	else
		call->result = call_signal(control, input, view, call);
}

void
hvk_hv_mirror_os(struct hvk_hv *hv, uint64_t os_id, uint64_t hypercall)
{
	hv_store(&hv->os_id, os_id);
	hv_store(&hv->hypercall, hypercall);
}

/* ---- what the guest said ------------------------------------------------------------- */

uint64_t
hvk_hv_os_id(const struct hvk_hv *hv)
{
	return (hv_load(&hv->os_id));
}

void
hvk_hv_crash(const struct hvk_hv *hv, uint64_t p[5], uint64_t *ctl)
{
	unsigned i;

	for (i = 0; i < HVK_COUNT(hv->crash); i++)
		p[i] = hv_load(&hv->crash[i]);
	*ctl = hv_load(&hv->crash_ctl);
}
