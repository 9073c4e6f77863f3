/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 */

/*
 * The header page of one ring.  The data follows it in the guest's list of
 * pages, n bytes, n a multiple of 4096.  Facts: wire.md section 6.
 */

#ifndef HVK_WIRE_RING_H
#define	HVK_WIRE_RING_H

#include <hvk/types.h>

#define	HVK_RING_PENDING_FEATURE	0x00000001u	/* bit of features */
#define	HVK_RING_TRAILER		8u	/* bytes after each packet */

struct hvk_ring_header {
	uint32_t	write;		/* byte offset; producer writes */
	uint32_t	read;		/* byte offset; consumer writes */
	uint32_t	mask;		/* 1 = no signal please; consumer */
	uint32_t	pending;	/* bytes waited for; producer */
	uint32_t	reserved[12];
	uint32_t	features;	/* written once by the creator */
	uint8_t		reserved2[4028];
};
HVK_SIZE(struct hvk_ring_header, 4096);
HVK_AT(struct hvk_ring_header, write, 0);
HVK_AT(struct hvk_ring_header, read, 4);
HVK_AT(struct hvk_ring_header, mask, 8);
HVK_AT(struct hvk_ring_header, pending, 12);
HVK_AT(struct hvk_ring_header, reserved, 16);
HVK_AT(struct hvk_ring_header, features, 64);
HVK_AT(struct hvk_ring_header, reserved2, 68);

/* After each packet: the write index at which that packet began. */
struct hvk_ring_trailer {
	uint32_t	reserved;
	uint32_t	start;
};
HVK_SIZE(struct hvk_ring_trailer, 8);
HVK_AT(struct hvk_ring_trailer, reserved, 0);
HVK_AT(struct hvk_ring_trailer, start, 4);

#endif /* !HVK_WIRE_RING_H */
