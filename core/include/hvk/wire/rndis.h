/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 */

/*
 * RNDIS messages and the per-packet information of a packet message.  Every
 * offset inside a message counts from HVK_RNDIS_BODY.  Facts: wire.md
 * section 15; hash information, FreeBSD's hn(4).
 */

#ifndef HVK_WIRE_RNDIS_H
#define	HVK_WIRE_RNDIS_H

#include <hvk/types.h>

#define	HVK_RNDIS_DONE			0x80000000u

enum hvk_rndis_type {
	HVK_RNDIS_PACKET		= 1,
	HVK_RNDIS_INIT			= 2,
	HVK_RNDIS_HALT			= 3,
	HVK_RNDIS_QUERY			= 4,
	HVK_RNDIS_SET			= 5,
	HVK_RNDIS_RESET			= 6,
	HVK_RNDIS_INDICATE		= 7,
	HVK_RNDIS_KEEPALIVE		= 8
};
#define	HVK_RNDIS_INIT_DONE		(HVK_RNDIS_DONE | 2u)
#define	HVK_RNDIS_QUERY_DONE		(HVK_RNDIS_DONE | 4u)
#define	HVK_RNDIS_SET_DONE		(HVK_RNDIS_DONE | 5u)
#define	HVK_RNDIS_RESET_DONE		(HVK_RNDIS_DONE | 6u)
#define	HVK_RNDIS_KEEPALIVE_DONE	(HVK_RNDIS_DONE | 8u)

#define	HVK_RNDIS_STATUS_OK		0x00000000u
#define	HVK_RNDIS_STATUS_OVERFLOW	0x80000005u
#define	HVK_RNDIS_STATUS_FAILURE	0xc0000001u
#define	HVK_RNDIS_STATUS_RESOURCES	0xc000009au
#define	HVK_RNDIS_STATUS_UNSUPPORTED	0xc00000bbu
#define	HVK_RNDIS_STATUS_BAD_VERSION	0xc0010004u
#define	HVK_RNDIS_STATUS_BAD_LENGTH	0xc0010014u
#define	HVK_RNDIS_STATUS_BAD_DATA	0xc0010015u
#define	HVK_RNDIS_STATUS_BAD_OID	0xc0010017u
#define	HVK_RNDIS_STATUS_MEDIA_UP	0x4001000bu
#define	HVK_RNDIS_STATUS_MEDIA_DOWN	0x4001000cu
#define	HVK_RNDIS_STATUS_LINK_SPEED	0x40010013u
#define	HVK_RNDIS_STATUS_NETWORK	0x40010018u	/* network change */
#define	HVK_RNDIS_STATUS_OFFLOAD	0x40020006u	/* configuration now */

#define	HVK_RNDIS_MAJOR			1u
#define	HVK_RNDIS_MINOR			0u
#define	HVK_RNDIS_CONNECTIONLESS	1u	/* device flags */
#define	HVK_RNDIS_MEDIUM_8023		0u
#define	HVK_RNDIS_MAX_TRANSFER		0x4000u	/* what Linux announces */
#define	HVK_RNDIS_ALIGN_MAX		12u	/* log2; more makes no sense */

#define	HVK_RNDIS_BODY			8u	/* where offsets count from */

struct hvk_rndis_header {
	uint32_t	type;
	uint32_t	len;		/* of the whole message */
};
HVK_SIZE(struct hvk_rndis_header, 8);

struct hvk_rndis_packet_header {
	uint32_t	type;
	uint32_t	len;
	uint32_t	data_offset;
	uint32_t	data_len;
	uint32_t	oob_offset;
	uint32_t	oob_len;
	uint32_t	oob_count;
	uint32_t	ppi_offset;
	uint32_t	ppi_len;
	uint32_t	vc;
	uint32_t	reserved;
};
HVK_SIZE(struct hvk_rndis_packet_header, 44);
HVK_AT(struct hvk_rndis_packet_header, data_offset, 8);
HVK_AT(struct hvk_rndis_packet_header, oob_offset, 16);
HVK_AT(struct hvk_rndis_packet_header, ppi_offset, 28);
HVK_AT(struct hvk_rndis_packet_header, ppi_len, 32);
HVK_AT(struct hvk_rndis_packet_header, reserved, 40);

struct hvk_rndis_init {
	uint32_t	type;
	uint32_t	len;
	uint32_t	id;
	uint32_t	major;
	uint32_t	minor;
	uint32_t	max_transfer;
};
HVK_SIZE(struct hvk_rndis_init, 24);

struct hvk_rndis_init_done {
	uint32_t	type;
	uint32_t	len;
	uint32_t	id;
	uint32_t	status;
	uint32_t	major;
	uint32_t	minor;
	uint32_t	flags;
	uint32_t	medium;
	uint32_t	max_packets;	/* in one transfer */
	uint32_t	max_transfer;
	uint32_t	align;		/* log2 */
	uint32_t	af_offset;
	uint32_t	af_len;
};
HVK_SIZE(struct hvk_rndis_init_done, 52);
HVK_AT(struct hvk_rndis_init_done, max_packets, 32);
HVK_AT(struct hvk_rndis_init_done, align, 40);
/* A host may leave the last field out. */
#define	HVK_RNDIS_INIT_DONE_MIN		48u

/* HALT, KEEPALIVE, and RESET where the id is reserved. */
struct hvk_rndis_simple {
	uint32_t	type;
	uint32_t	len;
	uint32_t	id;
};
HVK_SIZE(struct hvk_rndis_simple, 12);

/* QUERY and SET. */
struct hvk_rndis_request {
	uint32_t	type;
	uint32_t	len;
	uint32_t	id;
	uint32_t	oid;
	uint32_t	info_len;
	uint32_t	info_offset;
	uint32_t	vc;
};
HVK_SIZE(struct hvk_rndis_request, 28);
HVK_AT(struct hvk_rndis_request, info_offset, 20);
/* Real hosts want this even when there is no information. */
#define	HVK_RNDIS_INFO_OFFSET		20u

/* SET_DONE, KEEPALIVE_DONE; begins INIT_DONE and QUERY_DONE too. */
struct hvk_rndis_done {
	uint32_t	type;
	uint32_t	len;
	uint32_t	id;
	uint32_t	status;
};
HVK_SIZE(struct hvk_rndis_done, 16);

struct hvk_rndis_query_done {
	uint32_t	type;
	uint32_t	len;
	uint32_t	id;
	uint32_t	status;
	uint32_t	info_len;
	uint32_t	info_offset;
};
HVK_SIZE(struct hvk_rndis_query_done, 24);
#define	HVK_RNDIS_QUERY_DONE_OFFSET	16u

struct hvk_rndis_reset_done {
	uint32_t	type;
	uint32_t	len;
	uint32_t	status;
	uint32_t	addressing;
};
HVK_SIZE(struct hvk_rndis_reset_done, 16);

struct hvk_rndis_indicate {
	uint32_t	type;
	uint32_t	len;
	uint32_t	status;
	uint32_t	buf_len;
	uint32_t	buf_offset;
};
HVK_SIZE(struct hvk_rndis_indicate, 20);

/* One piece of per-packet information; its data follow. */
struct hvk_rndis_ppi {
	uint32_t	size;		/* of this and the data */
	uint32_t	type;		/* HVK_PPI_* */
	uint32_t	offset;		/* of the data from here */
};
HVK_SIZE(struct hvk_rndis_ppi, 12);

#define	HVK_PPI_INTERNAL	0x80000000u
#define	HVK_PPI_CHECKSUM	0u
#define	HVK_PPI_IPSEC		1u
#define	HVK_PPI_LSO		2u
#define	HVK_PPI_CLASSIFICATION	3u
#define	HVK_PPI_SCATTER		5u
#define	HVK_PPI_8021Q		6u
#define	HVK_PPI_ORIGINAL	7u
#define	HVK_PPI_HASH_VALUE	8u	/* NDIS: packet cancel id */
#define	HVK_PPI_HASH_INFO	9u	/* NDIS: original list */
#define	HVK_PPI_CACHED		10u
#define	HVK_PPI_PAD		11u
#define	HVK_PPI_PACKET_ID	(HVK_PPI_INTERNAL | 1u)

/* HVK_PPI_CHECKSUM from the guest. */
#define	HVK_TXCSUM_IPV4		0x00000001u	/* what the packet is */
#define	HVK_TXCSUM_IPV6		0x00000002u
#define	HVK_TXCSUM_TCP		0x00000004u	/* what to compute */
#define	HVK_TXCSUM_UDP		0x00000008u
#define	HVK_TXCSUM_IP		0x00000010u
#define	HVK_TXCSUM_OFFSET(w)	((w) >> 16 & 0x3ffu)	/* TCP header */
#define	HVK_TXCSUM_MAKE(bits, off)	((uint32_t)(bits) |		\
					    ((uint32_t)(off) & 0x3ffu) << 16)
/* HVK_PPI_CHECKSUM from the host. */
#define	HVK_RXCSUM_TCP_BAD	0x00000001u
#define	HVK_RXCSUM_UDP_BAD	0x00000002u
#define	HVK_RXCSUM_IP_BAD	0x00000004u
#define	HVK_RXCSUM_TCP_OK	0x00000008u
#define	HVK_RXCSUM_UDP_OK	0x00000010u
#define	HVK_RXCSUM_IP_OK	0x00000020u
#define	HVK_RXCSUM_LOOPBACK	0x00000040u
#define	HVK_RXCSUM_TCP_VOID	0x00000080u	/* field holds nothing */
#define	HVK_RXCSUM_IP_VOID	0x00000100u

/* HVK_PPI_LSO, version 2. */
#define	HVK_LSO_MSS(w)		((w) & 0xfffffu)
#define	HVK_LSO_OFFSET(w)	((w) >> 20 & 0x3ffu)	/* TCP header */
#define	HVK_LSO_V2		0x40000000u
#define	HVK_LSO_IPV6		0x80000000u
#define	HVK_LSO_MAKE(mss, off, v6)	(((uint32_t)(mss) & 0xfffffu) |	\
					    ((uint32_t)(off) & 0x3ffu) << 20 | \
					    HVK_LSO_V2 | ((v6) ? HVK_LSO_IPV6 : 0))

/* HVK_PPI_PACKET_ID. */
struct hvk_ppi_packet_id {
	uint8_t		version;	/* 1 */
	uint8_t		flags;
	uint16_t	id;
};
HVK_SIZE(struct hvk_ppi_packet_id, 4);
#define	HVK_PACKET_ID_VERSION	1u
#define	HVK_PACKET_ID_SUB	1u	/* one of a sequence */
#define	HVK_PACKET_ID_FIRST	2u
#define	HVK_PACKET_ID_LAST	4u

#endif /* !HVK_WIRE_RNDIS_H */
