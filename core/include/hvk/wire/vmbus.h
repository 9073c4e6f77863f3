/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 */

/*
 * VMBus control messages: the payload of a SynIC message of type
 * HVK_SYNIC_CHANNEL, both directions, and the pages that the two sides share.
 * The list of messages with their direction, version and sizes is
 * messages.def.  A struct is the longest known form of its message; which
 * bytes are really there is a matter of size and version.  Facts: wire.md
 * sections 3 to 6.
 */

#ifndef HVK_WIRE_VMBUS_H
#define	HVK_WIRE_VMBUS_H

#include <hvk/types.h>
#include <hvk/wire/guid.h>
#include <hvk/wire/hv.h>

#define	HVK_VERSION(major, minor)	((uint32_t)(major) << 16 | (minor))
#define	HVK_VERSION_0_13		HVK_VERSION(0, 13)
#define	HVK_VERSION_1_1			HVK_VERSION(1, 1)
#define	HVK_VERSION_2_4			HVK_VERSION(2, 4)
#define	HVK_VERSION_3_0			HVK_VERSION(3, 0)
#define	HVK_VERSION_4_0			HVK_VERSION(4, 0)
#define	HVK_VERSION_4_1			HVK_VERSION(4, 1)
#define	HVK_VERSION_5_0			HVK_VERSION(5, 0)
#define	HVK_VERSION_5_1			HVK_VERSION(5, 1)
#define	HVK_VERSION_5_2			HVK_VERSION(5, 2)
#define	HVK_VERSION_5_3			HVK_VERSION(5, 3)
#define	HVK_VERSION_6_0			HVK_VERSION(6, 0)

/* Feature flags, from 6.0. */
#define	HVK_FLAG_SIGNAL_PARAMETERS	0x00000001u
#define	HVK_FLAG_REDIRECT_INTERRUPT	0x00000002u
#define	HVK_FLAG_MODIFY_CONNECTION	0x00000004u
#define	HVK_FLAG_CLIENT_ID		0x00000008u
#define	HVK_FLAG_CONFIDENTIAL		0x00000010u
#define	HVK_FLAG_PAUSE_RESUME		0x00000020u
#define	HVK_FLAG_SERVER_MONITOR		0x00000040u
#define	HVK_FLAG_GPA_PINNING		0x00000080u

/* Message connections, ports and the processor number that means none. */
#define	HVK_CONNECTION_OLD		1u	/* before 5.0 */
#define	HVK_CONNECTION_EVENT		2u
#define	HVK_CONNECTION_CONTACT		4u	/* first contact, from 5.0 */
#define	HVK_CONNECTION_REDIRECTED	0x00800074u
#define	HVK_PORT_MESSAGE		1u
#define	HVK_VP_NO_INTERRUPT		0xffffffffu
#define	HVK_RELID_INVALID		0xffffffffu
#define	HVK_RELID_MAX			2047u
#define	HVK_MONITOR_NONE		0xffu

/* Offer flags. */
#define	HVK_OFFER_ENUMERATE		0x0001u
#define	HVK_OFFER_CONFIDENTIAL_RING	0x0002u
#define	HVK_OFFER_CONFIDENTIAL_MEMORY	0x0004u
#define	HVK_OFFER_PINNED_MEMORY		0x0008u
#define	HVK_OFFER_NAMED_PIPE		0x0010u
#define	HVK_OFFER_LOOPBACK		0x0100u
#define	HVK_OFFER_PARENT		0x0200u
#define	HVK_OFFER_MONITOR		0x0400u
#define	HVK_OFFER_HVSOCK		0x2000u

#define	HVK_OFFER_MONITOR_ALLOCATED	0x01u	/* monitor_allocated */
#define	HVK_OFFER_DEDICATED		0x0001u	/* dedicated */
#define	HVK_PIPE_MODE_BYTE		0u	/* user data of a pipe offer */
#define	HVK_PIPE_MODE_MESSAGE		4u

#define	HVK_USER_DATA			120u

#define	HVK_STATUS_OK			0u
#define	HVK_STATUS_UNEXPECTED		0x8000ffffu
#define	HVK_STATUS_FAIL			0xc0000001u
#define	HVK_STATUS_REFUSED		0xc0000236u	/* TL result */
#define	HVK_CONTACT_OK			0u	/* connection state */
#define	HVK_CONTACT_LOW_RESOURCES	1u
#define	HVK_CONTACT_FAILED		2u

/* How many page frame numbers fit, and what that makes the largest GPADL. */
#define	HVK_GPADL_HEADER_PFNS		26u
#define	HVK_GPADL_BODY_PFNS		28u
#define	HVK_GPADL_RANGE_PFNS		8190u	/* of one range: u16 length */

enum hvk_direction {
	HVK_TO_GUEST	= 1,
	HVK_TO_HOST	= 2
};

enum hvk_message_type {
#define	HVK_MESSAGE(number, NAME, direction, version, noun, min, max)	\
	HVK_MSG_##NAME = (number),
#include <hvk/wire/messages.def>
#undef HVK_MESSAGE
	HVK_MSG_COUNT			/* one more than the highest */
};

struct hvk_msg_header {
	uint32_t	type;		/* HVK_MSG_* */
	uint32_t	reserved;
};
HVK_SIZE(struct hvk_msg_header, 8);
HVK_AT(struct hvk_msg_header, type, 0);
HVK_AT(struct hvk_msg_header, reserved, 4);

/* Messages that are nothing but their header. */
struct hvk_msg_plain {
	struct hvk_msg_header hdr;
};
HVK_SIZE(struct hvk_msg_plain, 8);

/* Several messages carry just the channel. */
struct hvk_msg_relid {
	struct hvk_msg_header hdr;
	uint32_t	relid;
};
HVK_SIZE(struct hvk_msg_relid, 12);
HVK_AT(struct hvk_msg_relid, relid, 8);

struct hvk_msg_offer {
	struct hvk_msg_header hdr;
	struct hvk_guid	type;
	struct hvk_guid	instance;
	uint32_t	reserved[4];
	uint16_t	flags;		/* HVK_OFFER_* */
	uint16_t	mmio_mb;
	uint8_t		user[HVK_USER_DATA];
	uint16_t	subindex;	/* 0 = primary */
	uint16_t	mmio_mb_optional;
	uint32_t	relid;
	uint8_t		monitor_id;
	uint8_t		monitor_allocated;	/* bit 0 */
	uint16_t	dedicated;	/* bit 0: interrupt of its own */
	uint32_t	connection;	/* to signal the host with */
};
HVK_SIZE(struct hvk_msg_offer, 196);
HVK_AT(struct hvk_msg_offer, type, 8);
HVK_AT(struct hvk_msg_offer, instance, 24);
HVK_AT(struct hvk_msg_offer, reserved, 40);
HVK_AT(struct hvk_msg_offer, flags, 56);
HVK_AT(struct hvk_msg_offer, mmio_mb, 58);
HVK_AT(struct hvk_msg_offer, user, 60);
HVK_AT(struct hvk_msg_offer, subindex, 180);
HVK_AT(struct hvk_msg_offer, mmio_mb_optional, 182);
HVK_AT(struct hvk_msg_offer, relid, 184);
HVK_AT(struct hvk_msg_offer, monitor_id, 188);
HVK_AT(struct hvk_msg_offer, monitor_allocated, 189);
HVK_AT(struct hvk_msg_offer, dedicated, 190);
HVK_AT(struct hvk_msg_offer, connection, 192);

#define	HVK_OPEN_REDIRECT		0x0001u	/* flags of an open */
#define	HVK_OPEN_SIZE			148u	/* without the extension */

struct hvk_msg_open {
	struct hvk_msg_header hdr;
	uint32_t	relid;
	uint32_t	open_id;
	uint32_t	gpadl;
	uint32_t	target_vp;	/* or HVK_VP_NO_INTERRUPT */
	uint32_t	page_offset;	/* of the host-to-guest ring */
	uint8_t		user[HVK_USER_DATA];
	/* 6.0 with HVK_FLAG_SIGNAL_PARAMETERS or _REDIRECT_INTERRUPT */
	uint32_t	connection;
	uint16_t	event_flag;
	uint16_t	flags;
};
HVK_SIZE(struct hvk_msg_open, 156);
HVK_AT(struct hvk_msg_open, relid, 8);
HVK_AT(struct hvk_msg_open, open_id, 12);
HVK_AT(struct hvk_msg_open, gpadl, 16);
HVK_AT(struct hvk_msg_open, target_vp, 20);
HVK_AT(struct hvk_msg_open, page_offset, 24);
HVK_AT(struct hvk_msg_open, user, 28);
HVK_AT(struct hvk_msg_open, connection, 148);
HVK_AT(struct hvk_msg_open, event_flag, 152);
HVK_AT(struct hvk_msg_open, flags, 154);

struct hvk_msg_open_result {
	struct hvk_msg_header hdr;
	uint32_t	relid;
	uint32_t	open_id;
	uint32_t	status;
};
HVK_SIZE(struct hvk_msg_open_result, 20);
HVK_AT(struct hvk_msg_open_result, relid, 8);
HVK_AT(struct hvk_msg_open_result, open_id, 12);
HVK_AT(struct hvk_msg_open_result, status, 16);

/* Ranges follow: hvk_gpa_range_header and page frame numbers. */
struct hvk_msg_gpadl_header {
	struct hvk_msg_header hdr;
	uint32_t	relid;
	uint32_t	gpadl;
	uint16_t	range_bytes;	/* of all ranges, over all messages */
	uint16_t	range_count;
};
HVK_SIZE(struct hvk_msg_gpadl_header, 20);
HVK_AT(struct hvk_msg_gpadl_header, relid, 8);
HVK_AT(struct hvk_msg_gpadl_header, gpadl, 12);
HVK_AT(struct hvk_msg_gpadl_header, range_bytes, 16);
HVK_AT(struct hvk_msg_gpadl_header, range_count, 18);

/* Page frame numbers follow. */
struct hvk_msg_gpadl_body {
	struct hvk_msg_header hdr;
	uint32_t	number;
	uint32_t	gpadl;
};
HVK_SIZE(struct hvk_msg_gpadl_body, 16);
HVK_AT(struct hvk_msg_gpadl_body, number, 8);
HVK_AT(struct hvk_msg_gpadl_body, gpadl, 12);

struct hvk_msg_gpadl_created {
	struct hvk_msg_header hdr;
	uint32_t	relid;
	uint32_t	gpadl;
	uint32_t	status;
};
HVK_SIZE(struct hvk_msg_gpadl_created, 20);
HVK_AT(struct hvk_msg_gpadl_created, relid, 8);
HVK_AT(struct hvk_msg_gpadl_created, gpadl, 12);
HVK_AT(struct hvk_msg_gpadl_created, status, 16);

struct hvk_msg_gpadl_teardown {
	struct hvk_msg_header hdr;
	uint32_t	relid;
	uint32_t	gpadl;
};
HVK_SIZE(struct hvk_msg_gpadl_teardown, 16);
HVK_AT(struct hvk_msg_gpadl_teardown, relid, 8);
HVK_AT(struct hvk_msg_gpadl_teardown, gpadl, 12);

struct hvk_msg_gpadl_torndown {
	struct hvk_msg_header hdr;
	uint32_t	gpadl;
};
HVK_SIZE(struct hvk_msg_gpadl_torndown, 12);
HVK_AT(struct hvk_msg_gpadl_torndown, gpadl, 8);

struct hvk_msg_initiate_contact {
	struct hvk_msg_header hdr;
	uint32_t	version;
	uint32_t	target_vp;
	union {
		uint64_t	interrupt_page;	/* GPA; before 5.0 */
		struct {			/* from 5.0 */
			uint8_t		sint;
			uint8_t		vtl;
			uint16_t	reserved;
			uint32_t	features;	/* from 6.0 */
		};
	};
	uint64_t	monitor_in;	/* GPA, host to guest */
	uint64_t	monitor_out;	/* GPA, guest to host */
	struct hvk_guid	client;		/* HVK_FLAG_CLIENT_ID */
};
HVK_SIZE(struct hvk_msg_initiate_contact, 56);
HVK_AT(struct hvk_msg_initiate_contact, version, 8);
HVK_AT(struct hvk_msg_initiate_contact, target_vp, 12);
HVK_AT(struct hvk_msg_initiate_contact, interrupt_page, 16);
HVK_AT(struct hvk_msg_initiate_contact, sint, 16);
HVK_AT(struct hvk_msg_initiate_contact, vtl, 17);
HVK_AT(struct hvk_msg_initiate_contact, reserved, 18);
HVK_AT(struct hvk_msg_initiate_contact, features, 20);
HVK_AT(struct hvk_msg_initiate_contact, monitor_in, 24);
HVK_AT(struct hvk_msg_initiate_contact, monitor_out, 32);
HVK_AT(struct hvk_msg_initiate_contact, client, 40);

#define	HVK_VERSION_RESPONSE_SIZE	16u	/* before 6.0 */

struct hvk_msg_version_response {
	struct hvk_msg_header hdr;
	uint8_t		supported;	/* 0 = no */
	uint8_t		state;		/* HVK_CONTACT_* */
	uint16_t	reserved;
	uint32_t	connection;	/* before 5.0: the version */
	uint32_t	features;	/* from 6.0 */
	uint32_t	reserved2;
	uint64_t	monitor_in;	/* HVK_FLAG_SERVER_MONITOR */
	uint64_t	monitor_out;
};
HVK_SIZE(struct hvk_msg_version_response, 40);
HVK_AT(struct hvk_msg_version_response, supported, 8);
HVK_AT(struct hvk_msg_version_response, state, 9);
HVK_AT(struct hvk_msg_version_response, reserved, 10);
HVK_AT(struct hvk_msg_version_response, connection, 12);
HVK_AT(struct hvk_msg_version_response, features, 16);
HVK_AT(struct hvk_msg_version_response, reserved2, 20);
HVK_AT(struct hvk_msg_version_response, monitor_in, 24);
HVK_AT(struct hvk_msg_version_response, monitor_out, 32);

struct hvk_msg_open_reserved {
	struct hvk_msg_header hdr;
	uint32_t	relid;
	uint32_t	target_vp;
	uint32_t	sint;
	uint32_t	gpadl;
	uint32_t	page_offset;
};
HVK_SIZE(struct hvk_msg_open_reserved, 28);
HVK_AT(struct hvk_msg_open_reserved, relid, 8);
HVK_AT(struct hvk_msg_open_reserved, target_vp, 12);
HVK_AT(struct hvk_msg_open_reserved, sint, 16);
HVK_AT(struct hvk_msg_open_reserved, gpadl, 20);
HVK_AT(struct hvk_msg_open_reserved, page_offset, 24);

struct hvk_msg_close_reserved {
	struct hvk_msg_header hdr;
	uint32_t	relid;
	uint32_t	target_vp;
	uint32_t	sint;
};
HVK_SIZE(struct hvk_msg_close_reserved, 20);
HVK_AT(struct hvk_msg_close_reserved, relid, 8);
HVK_AT(struct hvk_msg_close_reserved, target_vp, 12);
HVK_AT(struct hvk_msg_close_reserved, sint, 16);

struct hvk_msg_tl_connect_request {
	struct hvk_msg_header hdr;
	struct hvk_guid	endpoint;
	struct hvk_guid	service;
	struct hvk_guid	silo;		/* from 5.2, may be absent */
};
HVK_SIZE(struct hvk_msg_tl_connect_request, 56);
HVK_AT(struct hvk_msg_tl_connect_request, endpoint, 8);
HVK_AT(struct hvk_msg_tl_connect_request, service, 24);
HVK_AT(struct hvk_msg_tl_connect_request, silo, 40);

struct hvk_msg_tl_connect_result {
	struct hvk_msg_header hdr;
	struct hvk_guid	endpoint;
	struct hvk_guid	service;
	uint32_t	status;
};
HVK_SIZE(struct hvk_msg_tl_connect_result, 44);
HVK_AT(struct hvk_msg_tl_connect_result, endpoint, 8);
HVK_AT(struct hvk_msg_tl_connect_result, service, 24);
HVK_AT(struct hvk_msg_tl_connect_result, status, 40);

struct hvk_msg_modify_channel {
	struct hvk_msg_header hdr;
	uint32_t	relid;
	uint32_t	target_vp;
};
HVK_SIZE(struct hvk_msg_modify_channel, 16);
HVK_AT(struct hvk_msg_modify_channel, relid, 8);
HVK_AT(struct hvk_msg_modify_channel, target_vp, 12);

struct hvk_msg_modify_channel_response {
	struct hvk_msg_header hdr;
	uint32_t	relid;
	uint32_t	status;
};
HVK_SIZE(struct hvk_msg_modify_channel_response, 16);
HVK_AT(struct hvk_msg_modify_channel_response, relid, 8);
HVK_AT(struct hvk_msg_modify_channel_response, status, 12);

struct hvk_msg_modify_connection {
	struct hvk_msg_header hdr;
	uint64_t	monitor_in;
	uint64_t	monitor_out;
};
HVK_SIZE(struct hvk_msg_modify_connection, 24);
HVK_AT(struct hvk_msg_modify_connection, monitor_in, 8);
HVK_AT(struct hvk_msg_modify_connection, monitor_out, 16);

/* Nine bytes on the wire: the struct ends in padding that is not sent. */
struct hvk_msg_modify_connection_response {
	struct hvk_msg_header hdr;
	uint8_t		state;		/* HVK_CONTACT_* */
	uint8_t		pad[3];
};
HVK_SIZE(struct hvk_msg_modify_connection_response, 12);
HVK_AT(struct hvk_msg_modify_connection_response, state, 8);

/* Every message names its struct; those of one shape share it. */
#define	hvk_msg_rescind			hvk_msg_relid
#define	hvk_msg_close			hvk_msg_relid
#define	hvk_msg_relid_released		hvk_msg_relid
#define	hvk_msg_close_reserved_response	hvk_msg_relid
#define	hvk_msg_request_offers		hvk_msg_plain
#define	hvk_msg_all_offers_delivered	hvk_msg_plain
#define	hvk_msg_unload			hvk_msg_plain
#define	hvk_msg_unload_response		hvk_msg_plain
#define	hvk_msg_pause			hvk_msg_plain
#define	hvk_msg_pause_response		hvk_msg_plain
#define	hvk_msg_resume			hvk_msg_plain

/* The old interrupt page: 16384 bits each way, bit = channel. */
struct hvk_interrupt_page {
	uint8_t		to_guest[2048];
	uint8_t		to_host[2048];
};
HVK_SIZE(struct hvk_interrupt_page, 4096);
HVK_AT(struct hvk_interrupt_page, to_guest, 0);
HVK_AT(struct hvk_interrupt_page, to_host, 2048);

#define	HVK_MONITOR_GROUPS		4
#define	HVK_MONITOR_BITS		32

struct hvk_monitor_group {
	uint32_t	pending;
	uint32_t	armed;
};
HVK_SIZE(struct hvk_monitor_group, 8);
HVK_AT(struct hvk_monitor_group, pending, 0);
HVK_AT(struct hvk_monitor_group, armed, 4);

struct hvk_monitor_parameter {
	uint32_t	connection;
	uint16_t	flag;
	uint16_t	reserved;
};
HVK_SIZE(struct hvk_monitor_parameter, 8);
HVK_AT(struct hvk_monitor_parameter, connection, 0);
HVK_AT(struct hvk_monitor_parameter, flag, 4);
HVK_AT(struct hvk_monitor_parameter, reserved, 6);

struct hvk_monitor_page {
	uint32_t	enabled;	/* a bit for each group */
	uint32_t	reserved;
	struct hvk_monitor_group group[HVK_MONITOR_GROUPS];
	uint32_t	reserved2[6];
	int32_t		next_check[HVK_MONITOR_GROUPS][HVK_MONITOR_BITS];
	uint16_t	latency[HVK_MONITOR_GROUPS][HVK_MONITOR_BITS];
	uint8_t		reserved3[256];
	struct hvk_monitor_parameter
			parameter[HVK_MONITOR_GROUPS][HVK_MONITOR_BITS];
	uint8_t		reserved4[1984];
};
HVK_SIZE(struct hvk_monitor_page, 4096);
HVK_AT(struct hvk_monitor_page, enabled, 0);
HVK_AT(struct hvk_monitor_page, reserved, 4);
HVK_AT(struct hvk_monitor_page, group, 8);
HVK_AT(struct hvk_monitor_page, reserved2, 40);
HVK_AT(struct hvk_monitor_page, next_check, 64);
HVK_AT(struct hvk_monitor_page, latency, 576);
HVK_AT(struct hvk_monitor_page, reserved3, 832);
HVK_AT(struct hvk_monitor_page, parameter, 1088);
HVK_AT(struct hvk_monitor_page, reserved4, 2112);

#endif /* !HVK_WIRE_VMBUS_H */
