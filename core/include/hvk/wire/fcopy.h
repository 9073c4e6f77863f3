/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 */

/*
 * File copy from host to guest: the body after the IC frame.  Facts: wire.md
 * section 13.
 */

#ifndef HVK_WIRE_FCOPY_H
#define	HVK_WIRE_FCOPY_H

#include <hvk/types.h>

enum hvk_fcopy_op {
	HVK_FCOPY_START		= 0,
	HVK_FCOPY_WRITE		= 1,
	HVK_FCOPY_COMPLETE	= 2,
	HVK_FCOPY_CANCEL	= 3,
	HVK_FCOPY_NOPS
};

#define	HVK_FCOPY_OVERWRITE	0x1u	/* flags of a start */
#define	HVK_FCOPY_CREATE_PATH	0x2u
#define	HVK_FCOPY_PATH_UNITS	260u	/* UTF-16, with the terminator */
#define	HVK_FCOPY_FRAGMENT	6144u	/* bytes of one write */

struct hvk_fcopy_header {
	uint32_t	op;		/* enum hvk_fcopy_op */
	uint8_t		id[2][16];	/* unused */
};
HVK_SIZE(struct hvk_fcopy_header, 36);
HVK_AT(struct hvk_fcopy_header, op, 0);
HVK_AT(struct hvk_fcopy_header, id, 4);

struct hvk_fcopy_start {
	struct hvk_fcopy_header	header;
	uint16_t	name[HVK_FCOPY_PATH_UNITS];
	uint16_t	path[HVK_FCOPY_PATH_UNITS];
	uint32_t	flags;
	uint64_t	size;
} __attribute__((__packed__));
HVK_SIZE(struct hvk_fcopy_start, 1088);
HVK_AT(struct hvk_fcopy_start, name, 36);
HVK_AT(struct hvk_fcopy_start, path, 556);
HVK_AT(struct hvk_fcopy_start, flags, 1076);
HVK_AT(struct hvk_fcopy_start, size, 1080);

struct hvk_fcopy_write {
	struct hvk_fcopy_header	header;
	uint32_t	pad;
	uint64_t	offset;
	uint32_t	size;
	uint8_t		data[HVK_FCOPY_FRAGMENT];
} __attribute__((__packed__));
HVK_SIZE(struct hvk_fcopy_write, 6196);
HVK_AT(struct hvk_fcopy_write, pad, 36);
HVK_AT(struct hvk_fcopy_write, offset, 40);
HVK_AT(struct hvk_fcopy_write, size, 48);
HVK_AT(struct hvk_fcopy_write, data, 52);

#endif /* !HVK_WIRE_FCOPY_H */
