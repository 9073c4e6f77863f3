/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 */

/*
 * Integration components: the frame that all of them share, and the bodies of
 * shutdown, heartbeat and time synchronisation.  A message is a plain in-band
 * packet: pipe header, IC header, body.  Facts: wire.md sections 9 and 10.
 */

#ifndef HVK_WIRE_IC_H
#define	HVK_WIRE_IC_H

#include <hvk/types.h>
#include <hvk/wire/packet.h>

#define	HVK_IC_MAX		13312u	/* largest message, frame and all */

enum hvk_ic_type {
	HVK_IC_NEGOTIATE	= 0,
	HVK_IC_HEARTBEAT	= 1,
	HVK_IC_KVP		= 2,
	HVK_IC_SHUTDOWN		= 3,
	HVK_IC_TIMESYNC		= 4,
	HVK_IC_VSS		= 5,
	HVK_IC_RDV		= 6,	/* remote desktop: never offered */
	HVK_IC_FCOPY		= 7
};

#define	HVK_IC_TRANSACTION	0x1u	/* flags */
#define	HVK_IC_REQUEST		0x2u
#define	HVK_IC_RESPONSE		0x4u

#define	HVK_IC_OK		0x00000000u	/* status: an HRESULT */
#define	HVK_IC_FAIL		0x80004005u
#define	HVK_IC_DENIED		0x80070005u
#define	HVK_IC_NOT_SUPPORTED	0x80070032u
#define	HVK_IC_EXISTS		0x80070050u
#define	HVK_IC_BAD_ARGUMENT	0x80070057u
#define	HVK_IC_DISK_FULL	0x80070070u
#define	HVK_IC_NO_MORE		0x80070103u
#define	HVK_IC_NOT_CONNECTED	0x8007048fu
#define	HVK_IC_LOCKED		0x800704f7u
#define	HVK_IC_NOT_FOUND	0x80041002u

/* A version as two halves on the wire, and as one number in our hands. */
struct hvk_ic_version {
	uint16_t	major;
	uint16_t	minor;
};
HVK_SIZE(struct hvk_ic_version, 4);
HVK_AT(struct hvk_ic_version, major, 0);
HVK_AT(struct hvk_ic_version, minor, 2);
#define	HVK_IC_VERSION(major, minor)	((uint32_t)(major) << 16 | (minor))

struct hvk_ic_header {
	struct hvk_ic_version framework;
	uint16_t	type;		/* enum hvk_ic_type */
	struct hvk_ic_version message;
	uint16_t	size;		/* of the body */
	uint32_t	status;
	uint8_t		txid;
	uint8_t		flags;
	uint16_t	reserved;
};
HVK_SIZE(struct hvk_ic_header, 20);
HVK_AT(struct hvk_ic_header, framework, 0);
HVK_AT(struct hvk_ic_header, type, 4);
HVK_AT(struct hvk_ic_header, message, 6);
HVK_AT(struct hvk_ic_header, size, 10);
HVK_AT(struct hvk_ic_header, status, 12);
HVK_AT(struct hvk_ic_header, txid, 16);
HVK_AT(struct hvk_ic_header, flags, 17);
HVK_AT(struct hvk_ic_header, reserved, 18);

struct hvk_ic_frame {
	struct hvk_pipe_header	pipe;
	struct hvk_ic_header	ic;
};
HVK_SIZE(struct hvk_ic_frame, 28);
HVK_AT(struct hvk_ic_frame, pipe, 0);
HVK_AT(struct hvk_ic_frame, ic, 8);

/* Body of a negotiation; versions follow, framework's first. */
struct hvk_ic_negotiate {
	uint16_t	frameworks;
	uint16_t	messages;
	uint32_t	reserved;
};
HVK_SIZE(struct hvk_ic_negotiate, 8);
HVK_AT(struct hvk_ic_negotiate, frameworks, 0);
HVK_AT(struct hvk_ic_negotiate, messages, 2);
HVK_AT(struct hvk_ic_negotiate, reserved, 4);
#define	HVK_IC_VERSIONS_MAX	100u	/* of each list */

/*
 * Bodies begin at 28, so 64-bit fields are not aligned: read them with the
 * bounded reader.
 */
#define	HVK_SHUTDOWN_PLANNED	0x80000000u	/* reason */
#define	HVK_SHUTDOWN_FORCE	0x1u		/* flags */
#define	HVK_SHUTDOWN_RESTART	0x2u
#define	HVK_SHUTDOWN_HIBERNATE	0x4u
#define	HVK_SHUTDOWN_TEXT	2048u

struct hvk_ic_shutdown {
	uint32_t	reason;
	uint32_t	timeout;	/* seconds */
	uint32_t	flags;
	uint8_t		text[HVK_SHUTDOWN_TEXT];
};
HVK_SIZE(struct hvk_ic_shutdown, 2060);
HVK_AT(struct hvk_ic_shutdown, reason, 0);
HVK_AT(struct hvk_ic_shutdown, timeout, 4);
HVK_AT(struct hvk_ic_shutdown, flags, 8);
HVK_AT(struct hvk_ic_shutdown, text, 12);

enum hvk_heartbeat_state {
	HVK_HEARTBEAT_UNKNOWN	= 0,
	HVK_HEARTBEAT_HEALTHY	= 1,
	HVK_HEARTBEAT_CRITICAL	= 2,
	HVK_HEARTBEAT_STOPPED	= 3
};

/* The longer form; hosts exist that send only the first 16 bytes. */
struct hvk_ic_heartbeat {
	uint64_t	sequence;
	uint32_t	state;		/* enum hvk_heartbeat_state */
	uint32_t	reserved[7];
} __attribute__((__packed__));
HVK_SIZE(struct hvk_ic_heartbeat, 40);
HVK_AT(struct hvk_ic_heartbeat, sequence, 0);
HVK_AT(struct hvk_ic_heartbeat, state, 8);
HVK_AT(struct hvk_ic_heartbeat, reserved, 12);
#define	HVK_HEARTBEAT_SHORT	16u

#define	HVK_TIMESYNC_SYNC	0x1u	/* flags: set the clock */
#define	HVK_TIMESYNC_SAMPLE	0x2u	/* flags: one of the regular samples */
/* 100 ns units from 1601-01-01 to 1970-01-01. */
#define	HVK_TIMESYNC_EPOCH	116444736000000000ull

struct hvk_ic_timesync {		/* message versions 1 and 3 */
	uint64_t	host;		/* 100 ns since 1601, UTC */
	uint64_t	guest;
	uint64_t	round_trip;
	uint8_t		flags;
	uint8_t		reserved[3];	/* hosts exist that leave them out */
} __attribute__((__packed__));
HVK_SIZE(struct hvk_ic_timesync, 28);
HVK_AT(struct hvk_ic_timesync, host, 0);
HVK_AT(struct hvk_ic_timesync, guest, 8);
HVK_AT(struct hvk_ic_timesync, round_trip, 16);
HVK_AT(struct hvk_ic_timesync, flags, 24);
#define	HVK_TIMESYNC_MIN	25u

struct hvk_ic_timesync4 {		/* message version 4 */
	uint64_t	host;
	uint64_t	reference;	/* reference counter at that time */
	uint8_t		flags;
	uint8_t		leap;
	uint8_t		stratum;
	uint8_t		reserved[5];	/* 3 of them may be all there are */
} __attribute__((__packed__));
HVK_SIZE(struct hvk_ic_timesync4, 24);
HVK_AT(struct hvk_ic_timesync4, host, 0);
HVK_AT(struct hvk_ic_timesync4, reference, 8);
HVK_AT(struct hvk_ic_timesync4, flags, 16);
HVK_AT(struct hvk_ic_timesync4, leap, 17);
HVK_AT(struct hvk_ic_timesync4, stratum, 18);
#define	HVK_TIMESYNC4_MIN	22u

#endif /* !HVK_WIRE_IC_H */
