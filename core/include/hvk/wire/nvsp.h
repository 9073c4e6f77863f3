/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 */

/*
 * NVSP, the outer protocol of a network channel: versions, buffers, channels,
 * and the message that carries RNDIS.  All of it is packed to 4 bytes.
 * Facts: wire.md section 14.
 */

#ifndef HVK_WIRE_NVSP_H
#define	HVK_WIRE_NVSP_H

#include <hvk/types.h>

#define	HVK_NVSP_VERSION_1		0x00002u
#define	HVK_NVSP_VERSION_2		0x30002u
#define	HVK_NVSP_VERSION_4		0x40000u
#define	HVK_NVSP_VERSION_5		0x50000u
#define	HVK_NVSP_VERSION_6		0x60000u
#define	HVK_NVSP_VERSION_61		0x60001u

enum hvk_nvsp_type {
	HVK_NVSP_INIT			= 1,
	HVK_NVSP_INIT_DONE		= 2,
	HVK_NVSP_NDIS_VERSION		= 100,
	HVK_NVSP_RECV_BUFFER		= 101,
	HVK_NVSP_RECV_BUFFER_DONE	= 102,
	HVK_NVSP_RECV_BUFFER_REVOKE	= 103,
	HVK_NVSP_SEND_BUFFER		= 104,
	HVK_NVSP_SEND_BUFFER_DONE	= 105,
	HVK_NVSP_SEND_BUFFER_REVOKE	= 106,
	HVK_NVSP_RNDIS			= 107,
	HVK_NVSP_RNDIS_DONE		= 108,
	HVK_NVSP_NDIS_CONFIG		= 125,
	HVK_NVSP_VF_ASSOCIATION		= 128,
	HVK_NVSP_DATA_PATH		= 129,
	HVK_NVSP_OID_QUERY		= 131,
	HVK_NVSP_SUBCHANNEL		= 133,	/* request and reply */
	HVK_NVSP_SEND_TABLE		= 134,
	HVK_NVSP_DIRECT_API		= 135
};

#define	HVK_NVSP_STATUS_NONE		0u
#define	HVK_NVSP_STATUS_OK		1u
#define	HVK_NVSP_STATUS_FAIL		2u
#define	HVK_NVSP_STATUS_TOO_NEW		3u
#define	HVK_NVSP_STATUS_TOO_OLD		4u
#define	HVK_NVSP_STATUS_BAD_RNDIS	5u
#define	HVK_NVSP_STATUS_BUSY		6u
#define	HVK_NVSP_STATUS_UNSUPPORTED	7u

#define	HVK_NVSP_RECV_ID		0xcafe	/* also the pageset */
#define	HVK_NVSP_SEND_ID		0xface	/* hosts take any */

#define	HVK_NVSP_NO_SECTION		0xffffffffu
#define	HVK_NVSP_CHANNEL_DATA		0u
#define	HVK_NVSP_CHANNEL_CONTROL	1u

#define	HVK_NVSP_SUBCHANNEL_ALLOCATE	1u
#define	HVK_NVSP_SEND_TABLE_SIZE	16u
/* The place of the table that counts when a host states a wrong one. */
#define	HVK_NVSP_SEND_TABLE_OFFSET	40u

#define	HVK_NVSP_PATH_SYNTHETIC		0u
#define	HVK_NVSP_PATH_VF		1u

/* Capability bits of NDIS_CONFIG. */
#define	HVK_NVSP_CAP_VMQ		0x01u
#define	HVK_NVSP_CAP_CHIMNEY		0x02u
#define	HVK_NVSP_CAP_SRIOV		0x04u
#define	HVK_NVSP_CAP_8021Q		0x08u
#define	HVK_NVSP_CAP_CORRELATION	0x10u
#define	HVK_NVSP_CAP_TEAMING		0x20u
#define	HVK_NVSP_CAP_SUBNET		0x40u
#define	HVK_NVSP_CAP_RSC		0x80u

/* Sizes of what a guest sends: always padded to one of these. */
#define	HVK_NVSP_SIZE			40u
#define	HVK_NVSP_SIZE_OLD		28u	/* the oldest guests */

/* Ranges of one received packet, at most. */
#define	HVK_NVSP_RANGES			375u
#define	HVK_NVSP_RANGES_RSC		562u

struct hvk_nvsp_section {
	uint32_t	offset;
	uint32_t	size;		/* of one sub-allocation */
	uint32_t	count;
	uint32_t	end;
};
HVK_SIZE(struct hvk_nvsp_section, 16);
HVK_AT(struct hvk_nvsp_section, offset, 0);
HVK_AT(struct hvk_nvsp_section, size, 4);
HVK_AT(struct hvk_nvsp_section, count, 8);
HVK_AT(struct hvk_nvsp_section, end, 12);

/* Every message; 64-bit fields are two words, low first. */
struct hvk_nvsp_message {
	uint32_t	type;
	union {
		struct {
			uint32_t	min, max;
		} init;
		struct {
			uint32_t	version;	/* deprecated */
			uint32_t	max_mdl;
			uint32_t	status;
		} init_done;
		struct {
			uint32_t	major, minor;
		} ndis_version;
		struct {
			uint32_t	gpadl;
			uint16_t	id;
		} buffer;		/* RECV_BUFFER, SEND_BUFFER */
		struct {
			uint32_t	status;
			uint32_t	nsections;
			struct hvk_nvsp_section section;
		} recv_done;
		struct {
			uint32_t	status;
			uint32_t	section_size;
		} send_done;
		struct {
			uint16_t	id;
		} revoke;
		struct {
			uint32_t	channel;	/* data or control */
			uint32_t	section;
			uint32_t	section_len;
		} rndis;
		struct {
			uint32_t	status;
		} rndis_done;
		struct {
			uint32_t	mtu;	/* with the Ethernet header */
			uint32_t	reserved;
			uint32_t	caps[2];
		} ndis_config;
		struct {
			uint32_t	present;
			uint32_t	serial;
		} vf;
		struct {
			uint32_t	path;
		} data_path;
		struct {
			uint32_t	operation;
			uint32_t	count;
		} subchannel;
		struct {
			uint32_t	status;
			uint32_t	count;
		} subchannel_done;
		struct {
			uint32_t	count;
			uint32_t	offset;	/* from the message's start */
		} send_table;
		uint32_t	words[9];
	};
};
HVK_SIZE(struct hvk_nvsp_message, 40);
HVK_AT(struct hvk_nvsp_message, init.max, 8);
HVK_AT(struct hvk_nvsp_message, init_done.max_mdl, 8);
HVK_AT(struct hvk_nvsp_message, init_done.status, 12);
HVK_AT(struct hvk_nvsp_message, ndis_version.minor, 8);
HVK_AT(struct hvk_nvsp_message, buffer.gpadl, 4);
HVK_AT(struct hvk_nvsp_message, buffer.id, 8);
HVK_AT(struct hvk_nvsp_message, recv_done.nsections, 8);
HVK_AT(struct hvk_nvsp_message, recv_done.section, 12);
HVK_AT(struct hvk_nvsp_message, send_done.section_size, 8);
HVK_AT(struct hvk_nvsp_message, revoke.id, 4);
HVK_AT(struct hvk_nvsp_message, rndis.section, 8);
HVK_AT(struct hvk_nvsp_message, rndis.section_len, 12);
HVK_AT(struct hvk_nvsp_message, rndis_done.status, 4);
HVK_AT(struct hvk_nvsp_message, ndis_config.caps, 12);
HVK_AT(struct hvk_nvsp_message, vf.serial, 8);
HVK_AT(struct hvk_nvsp_message, data_path.path, 4);
HVK_AT(struct hvk_nvsp_message, subchannel.count, 8);
HVK_AT(struct hvk_nvsp_message, subchannel_done.count, 8);
HVK_AT(struct hvk_nvsp_message, send_table.offset, 8);

/* The answer to received packets and to sent ones: 8 bytes are enough. */
struct hvk_nvsp_rndis_done {
	uint32_t	type;
	uint32_t	status;
};
HVK_SIZE(struct hvk_nvsp_rndis_done, 8);

/* SEND_TABLE as hosts send it. */
struct hvk_nvsp_send_table {
	uint32_t	type;
	uint32_t	count;
	uint32_t	offset;
	uint32_t	reserved[7];
	uint32_t	table[HVK_NVSP_SEND_TABLE_SIZE];
};
HVK_SIZE(struct hvk_nvsp_send_table, 104);
HVK_AT(struct hvk_nvsp_send_table, table, HVK_NVSP_SEND_TABLE_OFFSET);

#endif /* !HVK_WIRE_NVSP_H */
