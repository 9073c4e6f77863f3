/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * The Hyper-V model: what a guest sees of the hypervisor itself, as plain C
 * without KVM.  CPUID leaves 0x40000000.., the synthetic MSRs, the two
 * hypercalls that VMBus needs, message slots and event flags of the SynIC,
 * synthetic timers, reference time.
 *
 * Owns: partition-wide MSRs, and of each VP its SynIC and timer MSRs.  It calls
 * nothing: time, guest memory and register values come in; register values,
 * interrupts and actions come out.
 *
 * Locking: three classes of function.
 *	[any]	lock-free, any thread at any time after hvk_hv_init(): the
 *		inline hvk_hv_signal(), and what else says [any].
 *	[vp]	one caller at a time for each VP; different VPs may run at once.
 *		A message for a VP is posted by hvk_hv_post(), which is [vp] too:
 *		take that VP's lock around it and around its MSR exits.
 *	[all]	no other call at the same time: init, reset.
 * Partition-wide MSRs (guest OS id, hypercall page, TSC page, crash registers)
 * are single atomic words, so that two VPs may touch them at once.
 *
 * Guest memory is written only through the view that the caller passes; an
 * address outside it refuses the register write (#GP) or drops the delivery.
 * No two registers may name one page: the specification leaves open what the
 * guest would see there, so the second is refused.
 *
 * Source of facts: reference/wire.md sections 2 and 3, reference/hosts.md
 * sections 2.1 to 2.3 and 2.6.
 */
#ifndef HVK_HOST_HYPERVISOR_H
#define HVK_HOST_HYPERVISOR_H

#include <hvk/types.h>
#include <hvk/error.h>
#include <hvk/wire/hv.h>

#define	HVK_HV_SINTS	16
#define	HVK_HV_STIMERS	4
#define	HVK_HV_MAX_VPS	4096

/*
 * Guest memory, guest physical 0..size. base is page aligned.  The gap, when
 * there is one (gap_end > gap_start, both page aligned), belongs to devices: it
 * is no memory.
 */
struct hvk_hv_view {
	uint8_t	*base;
	uint64_t size;
	uint64_t gap_start;
	uint64_t gap_end;
};

struct hvk_hv_config {
	uint32_t nvps;		/* 1..HVK_HV_MAX_VPS */
	uint32_t max_lps;	/* leaf 5; 0 = nvps */
	uint64_t tsc_hz;	/* 0 = no TSC page and no frequency MSRs */
	bool	 no_tsc_page;	/* its frequency is told, but it is no clock */
	uint64_t apic_hz;	/* 0 = no APIC frequency */
	bool	 apic_msrs;	/* EOI, ICR and TPR MSRs exist (the caller acts) */
	bool	 no_auto_eoi;	/* recommend against AutoEOI; it still works */
	bool	 stimers;	/* synthetic timers, direct mode included */
	bool	 guest_idle;	/* guest idle MSR */
	bool	 invariant_tsc;	/* TSC invariant control MSR */
	/* Only where the accelerator under the model has them (KVM's). */
	bool	 vp_runtime;	/* VP run time MSR */
	bool	 processor_calls; /* TLB flush and IPI hypercalls, and *_EX */
	uint16_t version_major, version_minor;	/* leaf 2; 0.0 = 10.0 */
	uint32_t version_build;			/* 0 = 20348 */
};

/* An interrupt to inject. */
struct hvk_hv_irq {
	uint32_t vp;
	uint8_t	 vector;	/* 16..255; 0: the accelerator knows it */
	uint8_t	 sint;		/* it came by, or HVK_HV_NO_SINT */
	bool	 auto_eoi;	/* ends itself when delivered */
};
#define	HVK_HV_NO_SINT	0xff	/* a direct timer */

/* What the caller must do after a call, besides the registers. */
enum {
	HVK_HV_EOM	= 0x0001, /* this VP may have a free message slot: retry */
	HVK_HV_TIMER	= 0x0002, /* deadline changed: hvk_hv_deadline() */
	HVK_HV_HYPERCALL = 0x0004, /* hypercall page was enabled, moved or off:
				     hvk_hv_hypercall_page(); fill it */
	HVK_HV_SYNIC	= 0x0008, /* SCONTROL, SIEFP, SIMP or a SINT changed */
	HVK_HV_RESET	= 0x0010, /* guest asks for a reset of the machine */
	HVK_HV_CRASH	= 0x0020, /* guest crashed: hvk_hv_crash() */
	HVK_HV_IDLE	= 0x0040, /* block the VP until an interrupt */
	HVK_HV_EOI	= 0x0080, /* write `apic` to the APIC's EOI */
	HVK_HV_ICR	= 0x0100, /* write `apic` to the APIC's ICR (64 bits) */
	HVK_HV_TPR	= 0x0200, /* write `apic` to the APIC's TPR, or on a read
				     supply it */
	HVK_HV_ASSIST	= 0x0400, /* VP assist page changed */
	HVK_HV_NEED_APIC = 0x0800, /* read: value is the APIC's ICR or TPR */
};
#define	HVK_HV_IRQS	(HVK_HV_STIMERS + 1)	/* most of one call */

/* Why a register access was refused (HVK_REJECT). */
enum hvk_hv_refusal {
	HVK_HV_REFUSE_NONE,
	HVK_HV_REFUSE_REGISTER,	/* there is no such register, or not here */
	HVK_HV_REFUSE_READ_ONLY,
	HVK_HV_REFUSE_OUTSIDE,	/* its page is outside guest memory */
	HVK_HV_REFUSE_OVERLAP,	/* another register has that page */
	HVK_HV_REFUSE_VECTOR,	/* vector below 16 */
	HVK_HV_REFUSE_BITS,	/* reserved bits are set */
	HVK_HV_REFUSE_MAX
};
/* "its page is outside memory"; never NULL.  [any] */
const char *hvk_hv_refusal_text(enum hvk_hv_refusal);

struct hvk_hv_result {
	uint32_t actions;
	enum hvk_hv_refusal refused;
	uint32_t refused_msr;	/* of hvk_hv_mirror: which of the two */
	uint64_t apic;
	uint32_t nirqs;
	struct hvk_hv_irq irqs[HVK_HV_IRQS];
};

struct hvk_hv_stimer {
	uint64_t config;
	uint64_t count;
	uint64_t expires;	/* 100 ns, UINT64_MAX = not armed */
	uint64_t due;		/* when it expired that is pending */
	bool	 pending;	/* expired, its slot was busy */
};

/*
 * One VP.  The words that other threads read without a lock (scontrol, siefp,
 * simp, sint) are only accessed by __atomic operations; treat
 * all of it as private except through the functions below.
 */
struct hvk_hv_vp {
	uint64_t scontrol;
	uint64_t siefp;
	uint64_t simp;
	uint64_t sint[HVK_HV_SINTS];
	uint64_t assist;
	struct hvk_hv_stimer stimer[HVK_HV_STIMERS];
	uint16_t pending;	/* SINTs with a message waiting (bit a SINT) */
};

struct hvk_hv {
	struct hvk_hv_config config;
	/* Single words, accessed by __atomic operations. */
	uint64_t os_id;
	uint64_t hypercall;
	uint64_t ref_tsc;
	uint64_t crash[5];
	uint64_t crash_ctl;
	uint64_t tsc_invariant;
	uint32_t tsc_sequence;
	uint64_t tsc_scale;	/* of the TSC page */
	int64_t	 tsc_offset;	/* 100 ns */
	struct hvk_hv_vp *vp;	/* nvps of them, the caller's memory */
};

/*
 * Make the model. `vp` is the caller's array of config->nvps elements.
 * tsc_now and now belong together: the reference time is `now` (100 ns) when the
 * time stamp counter reads tsc_now.  HVK_OK or HVK_RANGE.  [all]
 */
int	hvk_hv_init(struct hvk_hv *, const struct hvk_hv_config *,
	    struct hvk_hv_vp *vp, uint64_t tsc_now, uint64_t now);

/* Machine reset: every MSR as at power on; time goes on.  [all] */
void	hvk_hv_reset(struct hvk_hv *);

/*
 * CPUID.  regs = eax, ebx, ecx, edx: in, what the processor (or the caller's
 * policy) answers; out, what the guest sees.  True if the leaf belongs to the
 * model: 0x40000000..0x400000ff (unknown ones read as zero), and leaf 1, where
 * only "hypervisor present" is added.  [any]
 */
bool	hvk_hv_cpuid(const struct hvk_hv *, uint32_t leaf, uint32_t subleaf,
	    uint32_t regs[4]);

/* True if the MSR number is the model's to answer: 0x40000000..0x400001ff.
   [any] */
static inline bool
hvk_hv_owns_msr(uint32_t msr)
{
	return (msr >= 0x40000000u && msr < 0x40000200u);
}

/*
 * MSR access by VP `vp` at reference time `now`.  HVK_OK; HVK_REJECT: #GP;
 * HVK_RANGE: no such VP.  *result is always filled in.  [vp]
 */
int	hvk_hv_rdmsr(struct hvk_hv *, uint32_t vp, uint32_t msr, uint64_t now,
	    uint64_t *value, struct hvk_hv_result *);
int	hvk_hv_wrmsr(struct hvk_hv *, uint32_t vp, uint32_t msr, uint64_t value,
	    uint64_t now, const struct hvk_hv_view *, struct hvk_hv_result *);

/* Page of the hypercall stub, or 0 and false when it is off.  [any] */
bool	hvk_hv_hypercall_page(const struct hvk_hv *, uint64_t *gpa);

/* ---- hypercalls -------------------------------------------------------- */

enum hvk_hv_call_kind {
	HVK_HV_CALL_NONE,	/* answered: put `result` into RAX */
	HVK_HV_CALL_POST,	/* .post: hand it to the VMBus server */
	HVK_HV_CALL_SIGNAL,	/* .signal: wake the channel of this id */
};
struct hvk_hv_call {
	enum hvk_hv_call_kind kind;
	uint64_t result;	/* of CALL_NONE */
	struct {
		uint32_t conn;
		uint32_t type;
		uint32_t len;	/* at most 240 */
		uint8_t	 payload[240];	/* copied out of the guest, once */
	} post;
	struct {
		uint32_t conn;
		uint16_t flag;
	} signal;
};
/*
 * Decode one hypercall.  control, input and output are RCX, RDX and R8 of the
 * 64-bit convention.  For POST and SIGNAL the caller finds the status and
 * answers with it (it is the whole result: neither is a rep call).  Everything
 * else is answered HV_STATUS_INVALID_HYPERCALL_CODE.  [any]
 */
void	hvk_hv_hypercall(const struct hvk_hv *, uint64_t control,
	    uint64_t input, uint64_t output, const struct hvk_hv_view *,
	    struct hvk_hv_call *);

/* ---- SynIC: towards the guest ------------------------------------------- */

/*
 * Put one message into slot `sint` of the VP's message page.
 * HVK_OK: it is there; inject result->irqs.
 * HVK_AGAIN: the slot is full.  Its pending flag is set, so the guest will write
 *     EOM: retry when a call returns HVK_HV_EOM for this VP (and on a slow
 *     timer, since the guest may be broken).
 * HVK_STATE: SynIC, or its message page, is off.
 * HVK_RANGE: bad VP, SINT or length (more than 240).  [vp]
 */
int	hvk_hv_post(struct hvk_hv *, uint32_t vp, uint32_t sint, uint32_t type,
	    uint64_t sender, const void *payload, uint32_t len,
	    const struct hvk_hv_view *, struct hvk_hv_result *);

/*
 * Set event flag `flag` (0..2047) of slot `sint`: true if the VP must get
 * *irq.  False: the flag was already set, the SINT is masked or polled, or the
 * SynIC is off.  Costs one atomic OR in guest memory.  [any]
 */
static inline bool
hvk_hv_signal(struct hvk_hv *hv, uint32_t vp, uint32_t sint, uint32_t flag,
    const struct hvk_hv_view *view, struct hvk_hv_irq *irq)
{
	struct hvk_hv_vp *v;
	uint64_t siefp, config, gpa, bit, *word;

	if (vp >= hv->config.nvps || sint >= HVK_HV_SINTS || flag >= 2048)
		return (false);
	v = &hv->vp[vp];
	siefp = __atomic_load_n(&v->siefp, __ATOMIC_ACQUIRE);
	if ((siefp & 1) == 0 ||
	    (__atomic_load_n(&v->scontrol, __ATOMIC_RELAXED) & 1) == 0)
		return (false);
	gpa = siefp & ~(uint64_t)4095;
	if (view->size < 4096 || gpa > view->size - 4096)
		return (false);
	/* 64-bit words: the same byte order as the guest's bit numbers. */
	word = (uint64_t *)(void *)(view->base + gpa + sint * 256u) +
	    flag / 64;
	bit = (uint64_t)1 << (flag % 64);
	if ((__atomic_fetch_or(word, bit, __ATOMIC_SEQ_CST) & bit) != 0)
		return (false);
	config = __atomic_load_n(&v->sint[sint], __ATOMIC_RELAXED);
	if ((config & (HVK_SINT_MASKED | HVK_SINT_POLLING)) != 0)
		return (false);
	irq->vp = vp;
	irq->vector = (uint8_t)config;
	irq->sint = (uint8_t)sint;
	irq->auto_eoi = (config & HVK_SINT_AUTO_EOI) != 0;
	return (true);
}

/*
 * For an accelerator that keeps the SynIC's registers itself (KVM's SynIC): what
 * the guest has just written to them.  A page that is new is zeroed.  The SINTs
 * stay the accelerator's: hvk_hv_post() and hvk_hv_signal() then give an irq
 * that names the SINT, with vector 0, masked or not.
 * HVK_OK, or HVK_REJECT: a page is refused, and is off for the model; the
 * other register is taken.  HVK_RANGE: no such VP.  [vp]
 */
int	hvk_hv_mirror(struct hvk_hv *, uint32_t vp, uint64_t scontrol,
	    uint64_t siefp, uint64_t simp, const struct hvk_hv_view *,
	    struct hvk_hv_result *);
/* Likewise for the guest OS id and the hypercall register.  [any] */
void	hvk_hv_mirror_os(struct hvk_hv *, uint64_t os_id, uint64_t hypercall);

/* ---- time -------------------------------------------------------------- */

/*
 * When the VP next needs hvk_hv_expire(): reference time, or UINT64_MAX.  [vp]
 */
uint64_t hvk_hv_deadline(const struct hvk_hv *, uint32_t vp);

/*
 * Run the VP's synthetic timers up to `now`: message or direct interrupt for
 * each that is due.  Periodic timers skip what was missed.  Also retries the
 * timer messages whose slot was full, so call it after HVK_HV_EOM.  [vp]
 */
void	hvk_hv_expire(struct hvk_hv *, uint32_t vp, uint64_t now,
	    const struct hvk_hv_view *, struct hvk_hv_result *);

/*
 * After the TSC jumped or changed its rate (migration): a new scale and offset,
 * written to the guest's TSC page with a new sequence.  HVK_OK or HVK_RANGE.
 * [all]
 */
int	hvk_hv_retime(struct hvk_hv *, uint64_t tsc_hz, uint64_t tsc_now,
	    uint64_t now, const struct hvk_hv_view *);

/* Scale of a reference TSC page: 100 ns = (tsc * scale) >> 64.  0 if hz is below
   10 MHz or not representable.  [any] */
uint64_t hvk_hv_tsc_scale(uint64_t tsc_hz);

/* ---- what the guest said ------------------------------------------------ */

uint64_t hvk_hv_os_id(const struct hvk_hv *);		/* [any] */
/* P0..P4 and the control word of the last crash report.  [any] */
void	hvk_hv_crash(const struct hvk_hv *, uint64_t p[5], uint64_t *ctl);

#endif /* HVK_HOST_HYPERVISOR_H */
