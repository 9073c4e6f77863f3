/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * /dev/hv_kvp_dev as a daemon sees it.  Names, numbers and layout are those
 * that FreeBSD's driver has had since 10.1, so daemons built for it go on
 * working.
 *
 * Open the device (one process at a time, EBUSY otherwise) and write one
 * struct hv_kvp_msg whose operation is HV_KVP_OP_REGISTER; reading before that
 * is EPERM.  Then poll for POLLIN, read one whole record, write one whole
 * record back.  A read waits until there is a request unless the descriptor is
 * O_NONBLOCK (EAGAIN).  A read buffer shorter than a record is EINVAL.  File
 * offsets mean nothing.
 *
 * In a request all strings are UTF-8 and NUL-terminated, sizes count the NUL,
 * numeric values have become decimal strings, and `operation' and `pool' say
 * what is wanted.  In an answer the first four bytes are a status (`error'):
 * 0, or one of HV_KVP_E_*.  GET and ENUMERATE take their strings up to the NUL,
 * whatever the sizes say.  The request that an answer belongs to is the last
 * one read; if the host has been told meanwhile that it failed (30 seconds),
 * the answer is taken and dropped.
 */

#ifndef _HV_KVP_H_
#define	_HV_KVP_H_

#ifdef _KERNEL
#include <sys/types.h>
#else
#include <stdint.h>
#endif

#define	HV_KVP_DEV_NAME			"hv_kvp_dev"

#define	HV_KVP_EXCHANGE_MAX_KEY_SIZE	512
#define	HV_KVP_EXCHANGE_MAX_VALUE_SIZE	2048

#define	HV_REG_SZ	1
#define	HV_REG_U32	4
#define	HV_REG_U64	8

/* What a daemon writes first; the value is shared with GET_IP_INFO. */
#define	HV_KVP_OP_REGISTER	4

enum hv_kvp_exchg_op {
	HV_KVP_OP_GET = 0,
	HV_KVP_OP_SET,
	HV_KVP_OP_DELETE,
	HV_KVP_OP_ENUMERATE,
	HV_KVP_OP_GET_IP_INFO,
	HV_KVP_OP_SET_IP_INFO,
	HV_KVP_OP_COUNT
};

enum hv_kvp_exchg_pool {
	HV_KVP_POOL_EXTERNAL = 0,
	HV_KVP_POOL_GUEST,
	HV_KVP_POOL_AUTO,
	HV_KVP_POOL_AUTO_EXTERNAL,
	HV_KVP_POOL_AUTO_INTERNAL,
	HV_KVP_POOL_COUNT
};

#ifndef ADDR_FAMILY_NONE
#define	ADDR_FAMILY_NONE	0x00
#define	ADDR_FAMILY_IPV4	0x01
#define	ADDR_FAMILY_IPV6	0x02
#endif

#define	MAX_ADAPTER_ID_SIZE	128
#define	MAX_IP_ADDR_SIZE	1024
#define	MAX_GATEWAY_SIZE	512

/* Answers; the host sees them as they are. */
#define	HV_KVP_S_OK		0x00000000u
#define	HV_KVP_E_FAIL		0x80004005u
#define	HV_KVP_E_NO_MORE	0x80070103u	/* index past the end */
#define	HV_KVP_E_NOT_SUPPORTED	0x80070032u
#define	HV_KVP_E_INVALIDARG	0x80070057u
#define	HV_KVP_E_NOT_FOUND	0x80041002u	/* no such adapter or key */

/* The arrays are twice as long as their count: they hold UTF-8 here. */
struct hv_kvp_ipaddr_value {
	uint16_t	adapter_id[MAX_ADAPTER_ID_SIZE];
	uint8_t		addr_family;
	uint8_t		dhcp_enabled;
	uint16_t	ip_addr[MAX_IP_ADDR_SIZE];
	uint16_t	sub_net[MAX_IP_ADDR_SIZE];
	uint16_t	gate_way[MAX_GATEWAY_SIZE];
	uint16_t	dns_addr[MAX_IP_ADDR_SIZE];
} __attribute__((__packed__));

struct hv_kvp_hdr {
	uint8_t		operation;
	uint8_t		pool;
	uint16_t	pad;
} __attribute__((__packed__));

struct hv_kvp_exchg_msg_value {
	uint32_t	value_type;
	uint32_t	key_size;
	uint32_t	value_size;
	uint8_t		key[HV_KVP_EXCHANGE_MAX_KEY_SIZE];
	union {
		uint8_t		value[HV_KVP_EXCHANGE_MAX_VALUE_SIZE];
		uint32_t	value_u32;
		uint64_t	value_u64;
	} msg_value;
} __attribute__((__packed__));

struct hv_kvp_msg_enumerate {
	uint32_t	index;
	struct hv_kvp_exchg_msg_value data;
} __attribute__((__packed__));

struct hv_kvp_msg_get {
	struct hv_kvp_exchg_msg_value data;
} __attribute__((__packed__));

struct hv_kvp_msg_set {
	struct hv_kvp_exchg_msg_value data;
} __attribute__((__packed__));

struct hv_kvp_msg_delete {
	uint32_t	key_size;
	uint8_t		key[HV_KVP_EXCHANGE_MAX_KEY_SIZE];
} __attribute__((__packed__));

struct hv_kvp_register {
	uint8_t		version[HV_KVP_EXCHANGE_MAX_KEY_SIZE];
} __attribute__((__packed__));

struct hv_kvp_msg {			/* 7430 bytes */
	union {
		struct hv_kvp_hdr	kvp_hdr;
		uint32_t		error;
	} hdr;
	union {
		struct hv_kvp_msg_get		kvp_get;
		struct hv_kvp_msg_set		kvp_set;
		struct hv_kvp_msg_delete	kvp_delete;
		struct hv_kvp_msg_enumerate	kvp_enum_data;
		struct hv_kvp_ipaddr_value	kvp_ip_val;
		struct hv_kvp_register		kvp_register;
	} body;
} __attribute__((__packed__));
_Static_assert(sizeof(struct hv_kvp_msg) == 7430, "hv_kvp_msg");

#endif	/* !_HV_KVP_H_ */
