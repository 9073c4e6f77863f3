/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 */

/*
 * The saved state of the VMBus server, in the byte order of the machine:
 * a head, then channels, then GPADLs each with its words, then messages that
 * had not reached the guest.  Truth values are numbers here, since the bytes may
 * be anything.
 */

#ifndef HVK_SERVER_SAVE_H
#define	HVK_SERVER_SAVE_H

#include "server_priv.h"

#define	SAVED_MAGIC		0x314b5648u	/* format 1 */

#define	SAVED_OFFERS_SENT	0x01u
#define	SAVED_PAUSED		0x02u
#define	SAVED_PAUSING		0x04u

#define	SAVED_RESCINDED		0x01u
#define	SAVED_RESERVED		0x02u
#define	SAVED_CLOSE_WANTED	0x04u
#define	SAVED_REOPEN		0x08u
#define	SAVED_RESTORED		0x10u
#define	SAVED_CLOSE_ANSWER	0x20u
#define	SAVED_MODIFY		0x40u

struct saved_contact {
	uint32_t	version, vp, features;
	uint8_t		sint, trusted;
	uint64_t	monitor_h2g, monitor_g2h;
	struct hvk_guid	client;
};

struct saved_head {
	uint32_t	magic;
	uint32_t	channels, gpadls, jobs;
	uint64_t	bytes;
	uint8_t		conn, next, flags, sint;
	uint32_t	version, features, vp;
	uint64_t	monitor_h2g, monitor_g2h;
	struct hvk_guid	client;
	struct response	response;
	struct saved_contact pending;
};

struct saved_channel {
	struct hvk_guid	type, instance;
	uint16_t	subindex;
	uint8_t		state, monitor, flags, redirect;
	uint32_t	relid, modify_vp;
	uint32_t	reserved_version, reserved_features;
	struct open_args args, next;	/* their truth values: `redirect` */
};

struct saved_gpadl {
	uint32_t	relid, id;
	uint8_t		state, answer;
	uint32_t	wanted, have, ranges;
};

struct saved_job {
	uint8_t		lane, kind, sint, spare;
	uint16_t	relid, spare2;
	uint32_t	vp, a, b;
};

#endif /* !HVK_SERVER_SAVE_H */
