/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * message.h: answers the host's requests.
 */

#ifndef KVP_MESSAGE_H
#define	KVP_MESSAGE_H

#include "helper.h"
#include "hv_kvp.h"
#include "pool.h"

struct kvp {
	struct pools	pools;
	struct helper	helper;
};

/* The request becomes the answer. Nothing in it is believed. */
void	message_answer(struct kvp *, struct hv_kvp_msg *);

#endif
