/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 */

/*
 * What RNDIS queries and sets are about: object identifiers, receive filters,
 * offload and receive side scaling structures.  Facts: wire.md section 16.
 */

#ifndef HVK_WIRE_NDIS_H
#define	HVK_WIRE_NDIS_H

#include <hvk/types.h>

#define	HVK_NDIS_VERSION(major, minor)	((uint32_t)(major) << 16 | (minor))
#define	HVK_NDIS_6_0		HVK_NDIS_VERSION(6, 0)
#define	HVK_NDIS_6_1		HVK_NDIS_VERSION(6, 1)
#define	HVK_NDIS_6_20		HVK_NDIS_VERSION(6, 20)
#define	HVK_NDIS_6_30		HVK_NDIS_VERSION(6, 30)

#define	HVK_OID_SUPPORTED_LIST		0x00010101u
#define	HVK_OID_HARDWARE_STATUS		0x00010102u
#define	HVK_OID_MEDIA_SUPPORTED		0x00010103u
#define	HVK_OID_MEDIA_IN_USE		0x00010104u
#define	HVK_OID_MAX_LOOKAHEAD		0x00010105u
#define	HVK_OID_MAX_FRAME_SIZE		0x00010106u	/* the MTU */
#define	HVK_OID_LINK_SPEED		0x00010107u	/* 100 bit/s */
#define	HVK_OID_TX_BUFFER_SPACE		0x00010108u
#define	HVK_OID_RX_BUFFER_SPACE		0x00010109u
#define	HVK_OID_TX_BLOCK_SIZE		0x0001010au
#define	HVK_OID_RX_BLOCK_SIZE		0x0001010bu
#define	HVK_OID_VENDOR_ID		0x0001010cu
#define	HVK_OID_VENDOR_DESCRIPTION	0x0001010du
#define	HVK_OID_PACKET_FILTER		0x0001010eu
#define	HVK_OID_LOOKAHEAD		0x0001010fu
#define	HVK_OID_DRIVER_VERSION		0x00010110u
#define	HVK_OID_MAX_TOTAL_SIZE		0x00010111u
#define	HVK_OID_PROTOCOL_OPTIONS	0x00010112u
#define	HVK_OID_MAC_OPTIONS		0x00010113u
#define	HVK_OID_MEDIA_CONNECT		0x00010114u
#define	HVK_OID_MAX_SEND_PACKETS	0x00010115u
#define	HVK_OID_VENDOR_DRIVER_VERSION	0x00010116u
#define	HVK_OID_RSS_CAPS		0x00010203u
#define	HVK_OID_RSS_PARAMS		0x00010204u
#define	HVK_OID_MAX_LINK_SPEED		0x00010206u
#define	HVK_OID_LINK_STATE		0x00010207u
#define	HVK_OID_RNDIS_CONFIG		0x0001021bu
#define	HVK_OID_VLAN_ID			0x0001021cu
#define	HVK_OID_FRIENDLY_NAME		0x00020216u
#define	HVK_OID_XMIT_OK			0x00020101u
#define	HVK_OID_RCV_OK			0x00020102u
#define	HVK_OID_XMIT_ERROR		0x00020103u
#define	HVK_OID_RCV_ERROR		0x00020104u
#define	HVK_OID_RCV_NO_BUFFER		0x00020105u
#define	HVK_OID_STATISTICS		0x00020106u
#define	HVK_OID_8023_PERMANENT		0x01010101u
#define	HVK_OID_8023_CURRENT		0x01010102u
#define	HVK_OID_8023_MULTICAST		0x01010103u
#define	HVK_OID_8023_MAX_LIST		0x01010104u
#define	HVK_OID_8023_MAC_OPTIONS	0x01010105u
#define	HVK_OID_8023_RCV_ALIGNMENT	0x01020101u
#define	HVK_OID_8023_XMIT_ONE		0x01020102u
#define	HVK_OID_8023_XMIT_MORE		0x01020103u
#define	HVK_OID_OFFLOAD_CONFIG		0xfc01020bu
#define	HVK_OID_OFFLOAD_PARAMS		0xfc01020cu
#define	HVK_OID_OFFLOAD_CAPS		0xfc01020du
#define	HVK_OID_ENCAPSULATION		0x0101010au

#define	HVK_FILTER_DIRECTED		0x00000001u
#define	HVK_FILTER_MULTICAST		0x00000002u
#define	HVK_FILTER_ALL_MULTICAST	0x00000004u
#define	HVK_FILTER_BROADCAST		0x00000008u
#define	HVK_FILTER_PROMISCUOUS		0x00000020u

#define	HVK_MEDIA_CONNECTED		0u
#define	HVK_MEDIA_DISCONNECTED		1u

#define	HVK_NDIS_DEFAULT		0x80
#define	HVK_NDIS_RSS_CAPS		0x88
#define	HVK_NDIS_RSS_PARAMS		0x89
#define	HVK_NDIS_OFFLOAD		0xa7

struct hvk_ndis_header {
	uint8_t		type;
	uint8_t		revision;
	uint16_t	size;
};
HVK_SIZE(struct hvk_ndis_header, 4);

/* STATISTICS: which of the counters are there, and all of them. */
#define	HVK_STAT_VALID_RX_UNICAST	0x00000001u
#define	HVK_STAT_VALID_RX_MULTICAST	0x00000002u
#define	HVK_STAT_VALID_RX_BROADCAST	0x00000004u
#define	HVK_STAT_VALID_RX_BYTES		0x00000008u
#define	HVK_STAT_VALID_RX_DISCARDS	0x00000010u
#define	HVK_STAT_VALID_RX_ERRORS	0x00000020u
#define	HVK_STAT_VALID_TX_UNICAST	0x00000040u
#define	HVK_STAT_VALID_TX_MULTICAST	0x00000080u
#define	HVK_STAT_VALID_TX_BROADCAST	0x00000100u
#define	HVK_STAT_VALID_TX_BYTES		0x00000200u
#define	HVK_STAT_VALID_TX_ERRORS	0x00000400u
#define	HVK_STAT_VALID_TX_DISCARDS	0x00008000u

struct hvk_ndis_statistics {
	struct hvk_ndis_header header;
	uint32_t	valid;
	uint64_t	rx_discards, rx_errors;
	uint64_t	rx_bytes, rx_unicast, rx_multicast, rx_broadcast;
	uint64_t	tx_bytes, tx_unicast, tx_multicast, tx_broadcast;
	uint64_t	tx_errors, tx_discards;
	uint64_t	kinds[6];	/* bytes: rx, tx; each kind of frame */
};
HVK_SIZE(struct hvk_ndis_statistics, 152);
HVK_AT(struct hvk_ndis_statistics, rx_discards, 8);
HVK_AT(struct hvk_ndis_statistics, tx_bytes, 56);
HVK_AT(struct hvk_ndis_statistics, kinds, 104);

/* Encapsulations that an offload works with. */
#define	HVK_ENCAP_NULL			0x1u
#define	HVK_ENCAP_8023			0x2u
#define	HVK_ENCAP_8023PQ		0x4u
#define	HVK_ENCAP_8023PQ_OOB		0x8u

/* Checksum abilities; those of IPv6 have no IP bit. */
#define	HVK_CSUM_IP_OPTIONS		0x001u	/* IPv6: extensions */
#define	HVK_CSUM_TCP_OPTIONS		0x004u
#define	HVK_CSUM_TCP			0x010u
#define	HVK_CSUM_UDP			0x040u
#define	HVK_CSUM_IP			0x100u

#define	HVK_LSO6_EXTENSIONS		0x1u
#define	HVK_LSO6_TCP_OPTIONS		0x4u

/* OFFLOAD_CAPS and OFFLOAD_CONFIG. */
struct hvk_ndis_offload {
	struct hvk_ndis_header header;
	uint32_t	tx4_encap, tx4, rx4_encap, rx4;
	uint32_t	tx6_encap, tx6, rx6_encap, rx6;
	uint32_t	lso1[4];
	uint32_t	ipsec1[7];
	uint32_t	lso4_encap, lso4_max, lso4_min;
	uint32_t	lso6_encap, lso6_max, lso6_min, lso6_options;
	uint32_t	flags;
	/* revision 2 */
	uint32_t	ipsec2[8];
	/* revision 3 */
	uint8_t		rsc4, rsc6;
	uint16_t	pad;
	uint32_t	gre_flags, gre_max_header;
};
HVK_SIZE(struct hvk_ndis_offload, 156);
HVK_AT(struct hvk_ndis_offload, tx4_encap, 4);
HVK_AT(struct hvk_ndis_offload, rx4, 16);
HVK_AT(struct hvk_ndis_offload, tx6_encap, 20);
HVK_AT(struct hvk_ndis_offload, lso1, 36);
HVK_AT(struct hvk_ndis_offload, ipsec1, 52);
HVK_AT(struct hvk_ndis_offload, lso4_encap, 80);
HVK_AT(struct hvk_ndis_offload, lso6_options, 104);
HVK_AT(struct hvk_ndis_offload, flags, 108);
HVK_AT(struct hvk_ndis_offload, ipsec2, 112);
HVK_AT(struct hvk_ndis_offload, rsc4, 144);
HVK_AT(struct hvk_ndis_offload, gre_flags, 148);
#define	HVK_NDIS_OFFLOAD_REV1		112u	/* sizes */
#define	HVK_NDIS_OFFLOAD_REV2		144u
#define	HVK_NDIS_OFFLOAD_REV3		156u

/* OFFLOAD_PARAMS. */
#define	HVK_OFFLOAD_SAME		0	/* no change */
#define	HVK_OFFLOAD_CSUM_OFF		1
#define	HVK_OFFLOAD_CSUM_TX		2
#define	HVK_OFFLOAD_CSUM_RX		3
#define	HVK_OFFLOAD_CSUM_BOTH		4
#define	HVK_OFFLOAD_OFF			1	/* LSO, RSC */
#define	HVK_OFFLOAD_ON			2

struct hvk_ndis_offload_params {
	struct hvk_ndis_header header;	/* HVK_NDIS_DEFAULT */
	uint8_t		ip4, tcp4, udp4, tcp6, udp6;
	uint8_t		lso1;
	uint8_t		ipsec1;
	uint8_t		lso4, lso6;
	uint8_t		tcp4_connection, tcp6_connection;
	uint8_t		pad;
	uint32_t	flags;
	/* revision 2 */
	uint8_t		ipsec2, ipsec2_4;
	/* revision 3 */
	uint8_t		rsc4, rsc6;
	uint8_t		encap, encap_types;
	uint8_t		pad2[2];
};
HVK_SIZE(struct hvk_ndis_offload_params, 28);
HVK_AT(struct hvk_ndis_offload_params, lso4, 11);
HVK_AT(struct hvk_ndis_offload_params, flags, 16);
HVK_AT(struct hvk_ndis_offload_params, rsc4, 22);
#define	HVK_NDIS_OFFLOAD_PARAMS_REV1	20u	/* sizes */
#define	HVK_NDIS_OFFLOAD_PARAMS_REV2	22u
#define	HVK_NDIS_OFFLOAD_PARAMS_REV3	28u

/* Receive side scaling. */
#define	HVK_RSS_TOEPLITZ		0x00000001u	/* function */
#define	HVK_RSS_IPV4			0x00000100u	/* types */
#define	HVK_RSS_TCP_IPV4		0x00000200u
#define	HVK_RSS_IPV6			0x00000400u
#define	HVK_RSS_IPV6_EX			0x00000800u
#define	HVK_RSS_TCP_IPV6		0x00001000u
#define	HVK_RSS_TCP_IPV6_EX		0x00002000u
#define	HVK_RSS_UDP_IPV4		0x00004000u	/* no standard */
#define	HVK_RSS_FUNCTIONS		0x000000ffu
#define	HVK_RSS_TYPES			0x00003f00u	/* the standard ones */

#define	HVK_RSS_CAP_IPV4		0x00000100u	/* in RSS_CAPS */
#define	HVK_RSS_CAP_IPV6		0x00000200u
#define	HVK_RSS_CAP_IPV6_EX		0x00000400u

#define	HVK_RSS_KEY			40u	/* bytes */
#define	HVK_RSS_TABLE			128u	/* entries at most */

struct hvk_ndis_rss_caps {
	struct hvk_ndis_header header;
	uint32_t	caps;		/* functions and HVK_RSS_CAP_* */
	uint32_t	messages;	/* interrupts */
	uint32_t	queues;
	/* revision 2 */
	uint16_t	entries;	/* of the table */
	uint16_t	pad;		/* not sent */
};
HVK_AT(struct hvk_ndis_rss_caps, entries, 16);
#define	HVK_NDIS_RSS_CAPS_REV1		16u	/* sizes */
#define	HVK_NDIS_RSS_CAPS_REV2		18u

#define	HVK_RSS_BASE_CPU_SAME		0x01u	/* flags: do not change */
#define	HVK_RSS_HASH_SAME		0x02u
#define	HVK_RSS_TABLE_SAME		0x04u
#define	HVK_RSS_KEY_SAME		0x08u
#define	HVK_RSS_DISABLE			0x10u

/* Offsets count from the start of this. */
struct hvk_ndis_rss_params {
	struct hvk_ndis_header header;
	uint16_t	flags;
	uint16_t	base_cpu;
	uint32_t	hash;		/* function and types */
	uint16_t	table_len;	/* bytes */
	uint16_t	pad;
	uint32_t	table_offset;
	uint16_t	key_len;
	uint16_t	pad2;
	uint32_t	key_offset;
	/* revision 2 */
	uint32_t	masks_offset;
	uint32_t	masks;
	uint32_t	mask_len;
};
HVK_SIZE(struct hvk_ndis_rss_params, 40);
HVK_AT(struct hvk_ndis_rss_params, table_len, 12);
HVK_AT(struct hvk_ndis_rss_params, table_offset, 16);
HVK_AT(struct hvk_ndis_rss_params, key_len, 20);
HVK_AT(struct hvk_ndis_rss_params, key_offset, 24);
HVK_AT(struct hvk_ndis_rss_params, mask_len, 36);
#define	HVK_NDIS_RSS_PARAMS_REV1	28u	/* sizes without tables */
#define	HVK_NDIS_RSS_PARAMS_REV2	40u

/* RNDIS_CONFIG: a named parameter; offsets count from the start of this. */
struct hvk_ndis_config {
	uint32_t	name_offset;
	uint32_t	name_len;	/* bytes of UTF-16 */
	uint32_t	type;
	uint32_t	value_offset;
	uint32_t	value_len;
};
HVK_SIZE(struct hvk_ndis_config, 20);
#define	HVK_NDIS_CONFIG_INTEGER		0u
#define	HVK_NDIS_CONFIG_STRING		2u

/* LINK_STATE. */
struct hvk_ndis_link_state {
	struct hvk_ndis_header header;	/* HVK_NDIS_DEFAULT, revision 1 */
	uint32_t	connect;	/* 0 unknown, 1 up, 2 down */
	uint32_t	duplex;		/* 0 unknown, 1 half, 2 full */
	uint32_t	pad;
	uint32_t	tx_speed[2];	/* bit/s, low word first */
	uint32_t	rx_speed[2];
	uint32_t	pause;
	uint32_t	negotiated;
};
HVK_SIZE(struct hvk_ndis_link_state, 40);
HVK_AT(struct hvk_ndis_link_state, connect, 4);
HVK_AT(struct hvk_ndis_link_state, tx_speed, 16);

#endif /* !HVK_WIRE_NDIS_H */
