/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 */

/*
 * Packets in a ring, and the pipe header that some services put first in the
 * payload.  Facts: wire.md sections 7 and 8.
 */

#ifndef HVK_WIRE_PACKET_H
#define	HVK_WIRE_PACKET_H

#include <hvk/types.h>

enum hvk_packet_type {
	HVK_PKT_INVALID		= 0,
	HVK_PKT_SYNCH		= 1,
	HVK_PKT_ADD_PAGESET	= 2,
	HVK_PKT_REMOVE_PAGESET	= 3,
	HVK_PKT_GPADL_SETUP	= 4,
	HVK_PKT_GPADL_TEARDOWN	= 5,
	HVK_PKT_INBAND		= 6,
	HVK_PKT_XFER_PAGES	= 7,
	HVK_PKT_GPADL		= 8,
	HVK_PKT_GPA_DIRECT	= 9,
	HVK_PKT_CANCEL		= 10,
	HVK_PKT_COMPLETION	= 11,
	HVK_PKT_ADDITIONAL	= 12,
	HVK_PKT_ADDITIONAL_DATA	= 13
};

#define	HVK_PKT_WANT_COMPLETION	0x0001u

/* Transaction ids with a meaning of their own: unknown unless expected. */
#define	HVK_TXID_UNSOLICITED	0ull
#define	HVK_TXID_ANY		(~0ull)
#define	HVK_TXID_ERROR		(~0ull - 1)
#define	HVK_TXID_NO_RESPONSE	(~0ull - 2)

struct hvk_descriptor {
	uint16_t	type;
	uint16_t	offset8;	/* of the payload, 8-byte units */
	uint16_t	length8;	/* of the packet, 8-byte units */
	uint16_t	flags;
	uint64_t	txid;
};
HVK_SIZE(struct hvk_descriptor, 16);
HVK_AT(struct hvk_descriptor, type, 0);
HVK_AT(struct hvk_descriptor, offset8, 2);
HVK_AT(struct hvk_descriptor, length8, 4);
HVK_AT(struct hvk_descriptor, flags, 6);
HVK_AT(struct hvk_descriptor, txid, 8);

/* Follows the descriptor of a HVK_PKT_XFER_PAGES packet. */
struct hvk_xfer_header {
	uint16_t	pageset;
	uint8_t		owns;		/* the sender owns the set */
	uint8_t		reserved;
	uint32_t	count;
};
HVK_SIZE(struct hvk_xfer_header, 8);
HVK_AT(struct hvk_xfer_header, pageset, 0);
HVK_AT(struct hvk_xfer_header, owns, 2);
HVK_AT(struct hvk_xfer_header, reserved, 3);
HVK_AT(struct hvk_xfer_header, count, 4);

/* One of count; also what hvk_tx_xfer_pages() takes. */
struct hvk_xfer_range {
	uint32_t	len;
	uint32_t	offset;
};
HVK_SIZE(struct hvk_xfer_range, 8);
HVK_AT(struct hvk_xfer_range, len, 0);
HVK_AT(struct hvk_xfer_range, offset, 4);

/* Follows the descriptor of a HVK_PKT_GPA_DIRECT packet. */
struct hvk_gpa_header {
	uint32_t	reserved;
	uint32_t	count;
};
HVK_SIZE(struct hvk_gpa_header, 8);
HVK_AT(struct hvk_gpa_header, reserved, 0);
HVK_AT(struct hvk_gpa_header, count, 4);

/* Each range: this, then one page frame number for each 4 KiB page. */
struct hvk_gpa_range_header {
	uint32_t	len;
	uint32_t	offset;		/* in the first page */
};
HVK_SIZE(struct hvk_gpa_range_header, 8);
HVK_AT(struct hvk_gpa_range_header, len, 0);
HVK_AT(struct hvk_gpa_range_header, offset, 4);

#define	HVK_PIPE_DATA		1u
#define	HVK_PIPE_MAX		16384u	/* largest payload */

struct hvk_pipe_header {
	uint32_t	type;
	uint32_t	size;		/* of what follows */
};
HVK_SIZE(struct hvk_pipe_header, 8);
HVK_AT(struct hvk_pipe_header, type, 0);
HVK_AT(struct hvk_pipe_header, size, 4);

#endif /* !HVK_WIRE_PACKET_H */
