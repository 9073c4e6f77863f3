/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * Key-value pairs between the bytes of the wire and strings: the four
 * directions of a request and its reply, in every version.  Strings are UTF-8
 * in our hands.  Pure functions.
 *
 * From 5.0 on addresses go over the wire in binary; in our hands they are lists
 * separated by ';' as before, IPv4 first.
 *
 * Facts: wire.md section 11; the binary form, OpenVMM hyperv_ic_protocol.
 */

#ifndef HVK_KVP_H
#define	HVK_KVP_H

#include <hvk/ic.h>
#include <hvk/wire/kvp.h>

/* 255 and 1023 units of at most three bytes each, and NUL. */
#define	HVK_KVP_KEY_TEXT	(255u * 3 + 1)
#define	HVK_KVP_VALUE_TEXT	(1023u * 3 + 1)

struct hvk_kvp_config {			/* of a network adapter */
	char		adapter[256];
	uint8_t		family;		/* HVK_KVP_FAMILY_* */
	uint8_t		dhcp;
	char		addresses[2048];
	char		masks[2048];
	char		gateways[1024];
	char		dns[2048];
};

struct hvk_kvp_item {
	uint8_t		op;		/* enum hvk_kvp_op */
	uint8_t		pool;
	uint32_t	index;		/* ENUMERATE */
	uint32_t	type;		/* SET, and what a reply says */
	char		key[HVK_KVP_KEY_TEXT];
	char		value[HVK_KVP_VALUE_TEXT]; /* numbers in decimal */
	struct hvk_kvp_config config;	/* GET_IP, SET_IP */
};

/*
 * A request, into a message of that service (its body is resized).  HVK_RANGE:
 * no such operation in this version, or a number that is none; HVK_NOSPACE: a
 * string does not fit.
 */
int	hvk_kvp_request(struct hvk_ic_message *, uint32_t version,
	    const struct hvk_kvp_item *);
/*
 * The other end.  HVK_REJECT: it makes no sense (answer BAD_ARGUMENT);
 * HVK_RANGE: an operation nobody knows (NOT_SUPPORTED).
 */
int	hvk_kvp_parse(const struct hvk_ic_message *, uint32_t version,
	    struct hvk_kvp_item *);
/*
 * The answer, in place of the request; the status is the caller's to set.
 * Only GET, ENUMERATE and GET_IP have one.  HVK_NOSPACE: it does not fit.
 */
int	hvk_kvp_answer(struct hvk_ic_message *, uint32_t version,
	    const struct hvk_kvp_item *);
/*
 * The other end; item->op must be the request's.  Only for replies whose
 * status is OK.  HVK_REJECT as above.
 */
int	hvk_kvp_result(const struct hvk_ic_message *, uint32_t version,
	    struct hvk_kvp_item *);

/* "get", "set", ...; "external", ...; never NULL. */
const char *hvk_kvp_op_name(uint8_t op);
const char *hvk_kvp_pool_name(uint8_t pool);

#endif /* !HVK_KVP_H */
