/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 */

/*
 * The hypervisor's interface that a VMBus guest and its host share: CPUID
 * leaves, model-specific registers, hypercalls, the synthetic interrupt
 * controller's pages and the reference TSC page.  Facts: wire.md sections 2
 * and 3.
 */

#ifndef HVK_WIRE_HV_H
#define	HVK_WIRE_HV_H

#include <hvk/types.h>

/* CPUID leaves. */
#define	HVK_CPUID_MAX			0x40000000u
#define	HVK_CPUID_INTERFACE		0x40000001u
#define	HVK_CPUID_VERSION		0x40000002u
#define	HVK_CPUID_FEATURES		0x40000003u
#define	HVK_CPUID_RECOMMENDATIONS	0x40000004u
#define	HVK_CPUID_LIMITS		0x40000005u
#define	HVK_CPUID_HARDWARE		0x40000006u
#define	HVK_CPUID_NESTED		0x4000000au
#define	HVK_CPUID_ISOLATION		0x4000000cu
#define	HVK_CPUID_VS_INTERFACE		0x40000081u
#define	HVK_CPUID_VS_PROPERTIES		0x40000082u

#define	HVK_CPUID_MAX_LOWEST		0x40000005u	/* sane values of */
#define	HVK_CPUID_MAX_HIGHEST		0x4000ffffu	/* HVK_CPUID_MAX */
#define	HVK_CPUID_VENDOR_EBX		0x7263694du	/* "Micr" */
#define	HVK_CPUID_VENDOR_ECX		0x666f736fu	/* "osof" */
#define	HVK_CPUID_VENDOR_EDX		0x76482074u	/* "t Hv" */
#define	HVK_CPUID_INTERFACE_HV1		0x31237648u	/* "Hv#1" */
#define	HVK_CPUID_INTERFACE_VS1		0x31235356u	/* "VS#1" */

/* HVK_CPUID_FEATURES, EAX: what the partition may use. */
#define	HVK_FEATURE_VP_RUNTIME		(1u << 0)
#define	HVK_FEATURE_REFERENCE_COUNTER	(1u << 1)
#define	HVK_FEATURE_SYNIC		(1u << 2)
#define	HVK_FEATURE_STIMER		(1u << 3)
#define	HVK_FEATURE_APIC_MSRS		(1u << 4)
#define	HVK_FEATURE_HYPERCALL		(1u << 5)
#define	HVK_FEATURE_VP_INDEX		(1u << 6)
#define	HVK_FEATURE_RESET		(1u << 7)
#define	HVK_FEATURE_REFERENCE_TSC	(1u << 9)
#define	HVK_FEATURE_GUEST_IDLE		(1u << 10)
#define	HVK_FEATURE_FREQUENCY_MSRS	(1u << 11)
#define	HVK_FEATURE_REENLIGHTENMENT	(1u << 13)
#define	HVK_FEATURE_TSC_INVARIANT	(1u << 15)
/* EBX: rights to hypercalls. */
#define	HVK_RIGHT_POST_MESSAGES		(1u << 4)
#define	HVK_RIGHT_SIGNAL_EVENTS		(1u << 5)
#define	HVK_RIGHT_CPU_MANAGEMENT	(1u << 12)
#define	HVK_RIGHT_EXTENDED_HYPERCALLS	(1u << 20)
#define	HVK_RIGHT_ISOLATION		(1u << 22)
/* EDX: other features. */
#define	HVK_MISC_XMM_INPUT		(1u << 4)
#define	HVK_MISC_GUEST_IDLE		(1u << 5)
#define	HVK_MISC_FREQUENCY_MSRS		(1u << 8)
#define	HVK_MISC_CRASH_MSRS		(1u << 10)
#define	HVK_MISC_EXTENDED_GVA_RANGES	(1u << 14)
#define	HVK_MISC_XMM_OUTPUT		(1u << 15)
#define	HVK_MISC_STIMER_DIRECT		(1u << 19)
/* HVK_CPUID_RECOMMENDATIONS, EAX. */
#define	HVK_RECOMMEND_LOCAL_FLUSH	(1u << 1)
#define	HVK_RECOMMEND_REMOTE_FLUSH	(1u << 2)
#define	HVK_RECOMMEND_APIC_MSRS		(1u << 3)
#define	HVK_RECOMMEND_RELAXED_TIMING	(1u << 5)
#define	HVK_RECOMMEND_NO_AUTO_EOI	(1u << 9)
#define	HVK_RECOMMEND_CLUSTER_IPI	(1u << 10)
#define	HVK_RECOMMEND_EX_PROCESSOR_MASK	(1u << 11)
#define	HVK_RECOMMEND_NESTED		(1u << 12)
#define	HVK_RECOMMEND_ENLIGHTENED_VMCS	(1u << 14)
#define	HVK_RECOMMEND_NO_CORE_SHARING	(1u << 18)
#define	HVK_RECOMMEND_MMIO_HYPERCALLS	(1u << 21)
/* HVK_CPUID_ISOLATION. */
#define	HVK_ISOLATION_PARAVISOR		(1u << 0)	/* EAX */
#define	HVK_ISOLATION_TYPE_MASK		0xfu		/* EBX */
#define	HVK_ISOLATION_NONE		0u
#define	HVK_ISOLATION_VBS		1u
#define	HVK_ISOLATION_SNP		2u
#define	HVK_ISOLATION_TDX		3u
/* HVK_CPUID_VS_PROPERTIES, EAX. */
#define	HVK_VS_EXTENDED_IOAPIC		(1u << 2)
#define	HVK_VS_CONFIDENTIAL_VMBUS	(1u << 3)

/* Model-specific registers. */
#define	HVK_MSR_GUEST_OS_ID		0x40000000u
#define	HVK_MSR_HYPERCALL		0x40000001u
#define	HVK_MSR_VP_INDEX		0x40000002u
#define	HVK_MSR_RESET			0x40000003u
#define	HVK_MSR_VP_RUNTIME		0x40000010u
#define	HVK_MSR_REFERENCE_COUNTER	0x40000020u
#define	HVK_MSR_REFERENCE_TSC		0x40000021u
#define	HVK_MSR_TSC_FREQUENCY		0x40000022u
#define	HVK_MSR_APIC_FREQUENCY		0x40000023u
#define	HVK_MSR_EOI			0x40000070u
#define	HVK_MSR_ICR			0x40000071u
#define	HVK_MSR_TPR			0x40000072u
#define	HVK_MSR_VP_ASSIST_PAGE		0x40000073u
#define	HVK_MSR_SCONTROL		0x40000080u
#define	HVK_MSR_SVERSION		0x40000081u
#define	HVK_MSR_SIEFP			0x40000082u
#define	HVK_MSR_SIMP			0x40000083u
#define	HVK_MSR_EOM			0x40000084u
#define	HVK_MSR_SINT0			0x40000090u	/* + 0..15 */
#define	HVK_MSR_STIMER0_CONFIG		0x400000b0u	/* + 2 * (0..3) */
#define	HVK_MSR_STIMER0_COUNT		0x400000b1u	/* + 2 * (0..3) */
#define	HVK_MSR_GUEST_IDLE		0x400000f0u
#define	HVK_MSR_CRASH_P0		0x40000100u	/* + 0..4 */
#define	HVK_MSR_CRASH_CONTROL		0x40000105u
#define	HVK_MSR_REENLIGHTENMENT		0x40000106u
#define	HVK_MSR_TSC_EMULATION_CONTROL	0x40000107u
#define	HVK_MSR_TSC_EMULATION_STATUS	0x40000108u
#define	HVK_MSR_TSC_INVARIANT		0x40000118u

#define	HVK_OS_ID_OPEN_SOURCE		(1ull << 63)
#define	HVK_OS_ID_TYPE_SHIFT		56		/* 7 bits */
#define	HVK_OS_ID_LINUX			1ull
#define	HVK_OS_ID_FREEBSD		2ull

/* Bits that SCONTROL, SIEFP, SIMP and the page registers share. */
#define	HVK_MSR_ENABLE			(1ull << 0)
#define	HVK_MSR_PAGE_MASK		(~0xfffull)

#define	HVK_SINT_VECTOR_MASK		0xffull
#define	HVK_SINT_MASKED			(1ull << 16)
#define	HVK_SINT_AUTO_EOI		(1ull << 17)
#define	HVK_SINT_POLLING		(1ull << 18)
#define	HVK_SINT_AS_INTERCEPT		(1ull << 19)
#define	HVK_SINT_PROXY			(1ull << 20)

#define	HVK_STIMER_ENABLE		(1ull << 0)
#define	HVK_STIMER_PERIODIC		(1ull << 1)
#define	HVK_STIMER_LAZY			(1ull << 2)
#define	HVK_STIMER_AUTO_ENABLE		(1ull << 3)
#define	HVK_STIMER_VECTOR_SHIFT		4
#define	HVK_STIMER_DIRECT		(1ull << 12)
#define	HVK_STIMER_SINT_SHIFT		16

#define	HVK_CRASH_NOTIFY		(1ull << 63)
#define	HVK_CRASH_MESSAGE		(1ull << 62)	/* P3 GPA, P4 length */

/* Hypercalls: fields of the input value (RCX). */
#define	HVK_HC_CODE_MASK		0xffffull
#define	HVK_HC_FAST			(1ull << 16)
#define	HVK_HC_VARIABLE_SHIFT		17		/* 10 bits, qwords */
#define	HVK_HC_NESTED			(1ull << 31)
#define	HVK_HC_REP_COUNT_SHIFT		32		/* 12 bits */
#define	HVK_HC_REP_START_SHIFT		48		/* 12 bits */
#define	HVK_HC_STATUS_MASK		0xffffull	/* of the result */

enum hvk_hypercall {
	HVK_HC_FLUSH_SPACE		= 0x0002,
	HVK_HC_FLUSH_LIST		= 0x0003,
	HVK_HC_LONG_SPIN_WAIT		= 0x0008,
	HVK_HC_SEND_IPI			= 0x000b,
	HVK_HC_FLUSH_SPACE_EX		= 0x0013,
	HVK_HC_FLUSH_LIST_EX		= 0x0014,
	HVK_HC_SEND_IPI_EX		= 0x0015,
	HVK_HC_POST_MESSAGE		= 0x005c,
	HVK_HC_SIGNAL_EVENT		= 0x005d,
	HVK_HC_RETARGET_INTERRUPT	= 0x007e,
	HVK_HC_QUERY_EXTENDED		= 0x8001,
	HVK_HC_MEMORY_HEAT_HINT		= 0x8003
};

enum hvk_hv_status {
	HVK_HV_SUCCESS			= 0x00,
	HVK_HV_BAD_CODE			= 0x02,
	HVK_HV_BAD_INPUT		= 0x03,
	HVK_HV_BAD_ALIGNMENT		= 0x04,
	HVK_HV_BAD_PARAMETER		= 0x05,
	HVK_HV_ACCESS_DENIED		= 0x06,
	HVK_HV_INSUFFICIENT_MEMORY	= 0x0b,
	HVK_HV_BAD_PORT			= 0x11,
	HVK_HV_BAD_CONNECTION		= 0x12,
	HVK_HV_INSUFFICIENT_BUFFERS	= 0x13,
	HVK_HV_NOT_ACKNOWLEDGED		= 0x14,
	HVK_HV_NO_RESOURCES		= 0x1d,
	HVK_HV_TIMEOUT			= 0x78
};

/* Flush flags. */
#define	HVK_FLUSH_ALL_PROCESSORS	(1ull << 0)
#define	HVK_FLUSH_ALL_SPACES		(1ull << 1)
#define	HVK_FLUSH_NON_GLOBAL		(1ull << 2)
#define	HVK_FLUSH_EXTENDED_RANGES	(1ull << 3)

/* The synthetic interrupt controller. */
#define	HVK_SINT_COUNT			16
#define	HVK_SINT_VMBUS			2
#define	HVK_EVENT_FLAGS			2048u	/* bits for each SINT */
#define	HVK_EVENT_FLAGS_SIZE		256u
#define	HVK_MESSAGE_PAYLOAD		240u

#define	HVK_SYNIC_NONE			0u
#define	HVK_SYNIC_CHANNEL		1u
#define	HVK_SYNIC_TIMER			0x80000010u
#define	HVK_SYNIC_PENDING		0x01u	/* flags of a slot */

/* One slot of the message page; slot n belongs to SINT n. */
struct hvk_synic_message {
	uint32_t	type;		/* HVK_SYNIC_*; 0 = empty */
	uint8_t		size;		/* of the payload, 0..240 */
	uint8_t		flags;
	uint16_t	reserved;
	uint64_t	sender;		/* port, 24 bits */
	uint8_t		payload[HVK_MESSAGE_PAYLOAD];
};
HVK_SIZE(struct hvk_synic_message, 256);
HVK_AT(struct hvk_synic_message, type, 0);
HVK_AT(struct hvk_synic_message, size, 4);
HVK_AT(struct hvk_synic_message, flags, 5);
HVK_AT(struct hvk_synic_message, reserved, 6);
HVK_AT(struct hvk_synic_message, sender, 8);
HVK_AT(struct hvk_synic_message, payload, 16);

/* Payload of a HVK_SYNIC_TIMER message. */
struct hvk_timer_message {
	uint32_t	timer;
	uint32_t	reserved;
	uint64_t	expiration;	/* 100 ns */
	uint64_t	delivery;	/* 100 ns */
};
HVK_SIZE(struct hvk_timer_message, 24);
HVK_AT(struct hvk_timer_message, timer, 0);
HVK_AT(struct hvk_timer_message, reserved, 4);
HVK_AT(struct hvk_timer_message, expiration, 8);
HVK_AT(struct hvk_timer_message, delivery, 16);

/* Input of HVK_HC_POST_MESSAGE: 8-aligned, inside one page. */
struct hvk_post_message {
	uint32_t	connection;
	uint32_t	reserved;
	uint32_t	type;		/* HVK_SYNIC_CHANNEL */
	uint32_t	size;
	uint8_t		payload[HVK_MESSAGE_PAYLOAD];
};
HVK_SIZE(struct hvk_post_message, 256);
HVK_AT(struct hvk_post_message, connection, 0);
HVK_AT(struct hvk_post_message, reserved, 4);
HVK_AT(struct hvk_post_message, type, 8);
HVK_AT(struct hvk_post_message, size, 12);
HVK_AT(struct hvk_post_message, payload, 16);

/* Input of HVK_HC_SIGNAL_EVENT; fast, so this is one register. */
struct hvk_signal_event {
	uint32_t	connection;
	uint16_t	flag;
	uint16_t	reserved;
};
HVK_SIZE(struct hvk_signal_event, 8);
HVK_AT(struct hvk_signal_event, connection, 0);
HVK_AT(struct hvk_signal_event, flag, 4);
HVK_AT(struct hvk_signal_event, reserved, 6);

/* time = ((tsc * scale) >> 64) + offset, unless sequence is 0 or changed. */
struct hvk_reference_tsc {
	uint32_t	sequence;
	uint32_t	reserved;
	uint64_t	scale;
	int64_t		offset;		/* 100 ns */
};
HVK_SIZE(struct hvk_reference_tsc, 24);
HVK_AT(struct hvk_reference_tsc, sequence, 0);
HVK_AT(struct hvk_reference_tsc, reserved, 4);
HVK_AT(struct hvk_reference_tsc, scale, 8);
HVK_AT(struct hvk_reference_tsc, offset, 16);

/* Inputs of the processor hypercalls. */
struct hvk_flush {
	uint64_t	space;
	uint64_t	flags;
	uint64_t	processors;	/* or format of a VP set, *_EX */
};
HVK_SIZE(struct hvk_flush, 24);
HVK_AT(struct hvk_flush, space, 0);
HVK_AT(struct hvk_flush, flags, 8);
HVK_AT(struct hvk_flush, processors, 16);

struct hvk_send_ipi {
	uint32_t	vector;
	uint32_t	reserved;
	uint64_t	processors;
};
HVK_SIZE(struct hvk_send_ipi, 16);
HVK_AT(struct hvk_send_ipi, vector, 0);
HVK_AT(struct hvk_send_ipi, reserved, 4);
HVK_AT(struct hvk_send_ipi, processors, 8);

#define	HVK_VP_SET_SPARSE		0u
#define	HVK_VP_SET_ALL			1u

struct hvk_vp_set {
	uint64_t	format;		/* HVK_VP_SET_* */
	uint64_t	banks;		/* which banks follow */
	/* uint64_t bank[popcount(banks)] of 64 processors each */
};
HVK_SIZE(struct hvk_vp_set, 16);
HVK_AT(struct hvk_vp_set, format, 0);
HVK_AT(struct hvk_vp_set, banks, 8);

#endif /* !HVK_WIRE_HV_H */
