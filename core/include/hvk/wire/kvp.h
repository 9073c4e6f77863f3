/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 */

/*
 * Key-value pairs: the body after the IC frame.  Strings are UTF-16LE with a
 * terminator that their sizes count.  Facts: wire.md section 11.
 */

#ifndef HVK_WIRE_KVP_H
#define	HVK_WIRE_KVP_H

#include <hvk/types.h>

enum hvk_kvp_op {
	HVK_KVP_GET		= 0,
	HVK_KVP_SET		= 1,
	HVK_KVP_DELETE		= 2,
	HVK_KVP_ENUMERATE	= 3,
	HVK_KVP_GET_IP		= 4,
	HVK_KVP_SET_IP		= 5,
	HVK_KVP_NOPS
};

enum hvk_kvp_pool {
	HVK_KVP_EXTERNAL	= 0,	/* host writes, guest reads */
	HVK_KVP_GUEST		= 1,	/* guest writes, host reads */
	HVK_KVP_AUTO		= 2,	/* facts about the guest's system */
	HVK_KVP_AUTO_EXTERNAL	= 3,	/* facts about the host */
	HVK_KVP_AUTO_INTERNAL	= 4,
	HVK_KVP_NPOOLS
};

enum hvk_kvp_type {
	HVK_KVP_STRING		= 1,
	HVK_KVP_EXPAND_STRING	= 2,
	HVK_KVP_U32		= 4,
	HVK_KVP_U64_OLD		= 8,	/* what some guests call a u64 */
	HVK_KVP_U64		= 11
};

#define	HVK_KVP_KEY_BYTES	512u
#define	HVK_KVP_VALUE_BYTES	2048u

struct hvk_kvp_header {
	uint8_t		op;		/* enum hvk_kvp_op */
	uint8_t		pool;		/* enum hvk_kvp_pool */
	uint16_t	pad;		/* not there before an IP body */
};
HVK_SIZE(struct hvk_kvp_header, 4);
HVK_AT(struct hvk_kvp_header, op, 0);
HVK_AT(struct hvk_kvp_header, pool, 1);
HVK_AT(struct hvk_kvp_header, pad, 2);

struct hvk_kvp_value {
	uint32_t	type;		/* enum hvk_kvp_type */
	uint32_t	key_size;	/* bytes, with the terminator */
	uint32_t	value_size;
	uint8_t		key[HVK_KVP_KEY_BYTES];
	uint8_t		value[HVK_KVP_VALUE_BYTES];
};
HVK_SIZE(struct hvk_kvp_value, 2572);
HVK_AT(struct hvk_kvp_value, type, 0);
HVK_AT(struct hvk_kvp_value, key_size, 4);
HVK_AT(struct hvk_kvp_value, value_size, 8);
HVK_AT(struct hvk_kvp_value, key, 12);
HVK_AT(struct hvk_kvp_value, value, 524);

struct hvk_kvp_delete {
	uint32_t	key_size;
	uint8_t		key[HVK_KVP_KEY_BYTES];
};
HVK_SIZE(struct hvk_kvp_delete, 516);
HVK_AT(struct hvk_kvp_delete, key_size, 0);
HVK_AT(struct hvk_kvp_delete, key, 4);

struct hvk_kvp_enumerate {
	uint32_t		index;
	struct hvk_kvp_value	data;
};
HVK_SIZE(struct hvk_kvp_enumerate, 2576);
HVK_AT(struct hvk_kvp_enumerate, index, 0);
HVK_AT(struct hvk_kvp_enumerate, data, 4);

#define	HVK_KVP_FAMILY_NONE	0u
#define	HVK_KVP_FAMILY_V4	1u
#define	HVK_KVP_FAMILY_V6	2u
#define	HVK_KVP_FAMILY_BOTH	3u
#define	HVK_KVP_ADAPTER_UNITS	128u	/* UTF-16 units */
#define	HVK_KVP_ADDRESS_UNITS	1024u
#define	HVK_KVP_GATEWAY_UNITS	512u

/* Two bytes after the start of the body; lists are separated by ';'. */
struct hvk_kvp_ip {
	uint16_t	adapter[HVK_KVP_ADAPTER_UNITS];
	uint8_t		family;
	uint8_t		dhcp;
	uint16_t	addresses[HVK_KVP_ADDRESS_UNITS];
	uint16_t	masks[HVK_KVP_ADDRESS_UNITS];
	uint16_t	gateways[HVK_KVP_GATEWAY_UNITS];
	uint16_t	dns[HVK_KVP_ADDRESS_UNITS];
};
HVK_SIZE(struct hvk_kvp_ip, 7426);
HVK_AT(struct hvk_kvp_ip, adapter, 0);
HVK_AT(struct hvk_kvp_ip, family, 256);
HVK_AT(struct hvk_kvp_ip, dhcp, 257);
HVK_AT(struct hvk_kvp_ip, addresses, 258);
HVK_AT(struct hvk_kvp_ip, masks, 2306);
HVK_AT(struct hvk_kvp_ip, gateways, 4354);
HVK_AT(struct hvk_kvp_ip, dns, 5378);

/* The same in binary, from 5.0 on, four bytes after the start of the body. */
#define	HVK_KVP_ADDRESSES	64u
#define	HVK_KVP_GATEWAYS	5u
enum hvk_kvp_origin {
	HVK_KVP_ORIGIN_UNKNOWN	= 0,
	HVK_KVP_ORIGIN_OTHER	= 1,	/* DHCP and the like */
	HVK_KVP_ORIGIN_STATIC	= 2
};
struct hvk_kvp_ip5 {
	uint32_t	n_address4;
	uint32_t	n_address6;
	uint32_t	n_gateway4;
	uint32_t	n_gateway6;
	uint32_t	n_dns4;
	uint32_t	n_dns6;
	uint16_t	adapter[HVK_KVP_ADAPTER_UNITS];
	uint8_t		family;
	uint8_t		dhcp;
	uint16_t	pad;
	uint8_t		address4[HVK_KVP_ADDRESSES][4];
	uint8_t		address6[HVK_KVP_ADDRESSES][16];
	uint8_t		mask4[HVK_KVP_ADDRESSES][4];
	uint8_t		mask6[HVK_KVP_ADDRESSES][16];
	uint8_t		gateway4[HVK_KVP_GATEWAYS][4];
	uint8_t		gateway6[HVK_KVP_GATEWAYS][16];
	uint8_t		dns4[HVK_KVP_ADDRESSES][4];
	uint8_t		dns6[HVK_KVP_ADDRESSES][16];
	uint32_t	origin[2 * HVK_KVP_ADDRESSES]; /* of v4, then v6 */
};
HVK_SIZE(struct hvk_kvp_ip5, 4736);
HVK_AT(struct hvk_kvp_ip5, n_address4, 0);
HVK_AT(struct hvk_kvp_ip5, n_dns6, 20);
HVK_AT(struct hvk_kvp_ip5, adapter, 24);
HVK_AT(struct hvk_kvp_ip5, family, 280);
HVK_AT(struct hvk_kvp_ip5, dhcp, 281);
HVK_AT(struct hvk_kvp_ip5, address4, 284);
HVK_AT(struct hvk_kvp_ip5, address6, 540);
HVK_AT(struct hvk_kvp_ip5, mask4, 1564);
HVK_AT(struct hvk_kvp_ip5, mask6, 1820);
HVK_AT(struct hvk_kvp_ip5, gateway4, 2844);
HVK_AT(struct hvk_kvp_ip5, gateway6, 2864);
HVK_AT(struct hvk_kvp_ip5, dns4, 2944);
HVK_AT(struct hvk_kvp_ip5, dns6, 3200);
HVK_AT(struct hvk_kvp_ip5, origin, 4224);

#define	HVK_KVP_BODY_V3		2580u	/* header and enumeration */
#define	HVK_KVP_BODY		7428u	/* 4.0 and later */

#endif /* !HVK_WIRE_KVP_H */
