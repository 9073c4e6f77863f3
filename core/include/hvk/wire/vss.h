/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 */

/*
 * Backup of a running machine: the body after the IC frame.  Hosts send longer
 * forms (lists of LUNs) whose beginning is this one.  Facts: wire.md section
 * 12.
 */

#ifndef HVK_WIRE_VSS_H
#define	HVK_WIRE_VSS_H

#include <hvk/types.h>

enum hvk_vss_op {
	HVK_VSS_CREATE		= 0,
	HVK_VSS_DELETE		= 1,
	HVK_VSS_CHECK		= 2,	/* can a running guest be saved? */
	HVK_VSS_DEVICES		= 3,	/* disks that bypass the host */
	HVK_VSS_COMPLETE	= 4,
	HVK_VSS_FREEZE		= 5,
	HVK_VSS_THAW		= 6,
	HVK_VSS_AUTO_RECOVER	= 7,
	HVK_VSS_CLUSTER		= 8,
	HVK_VSS_NOPS
};

/* Flags of the answer to CHECK: yes, and nothing to mend afterwards. */
#define	HVK_VSS_HOT_BACKUP	0x1u
#define	HVK_VSS_NO_RECOVERY	0x4u

struct hvk_vss_message {
	uint8_t		op;		/* enum hvk_vss_op */
	uint8_t		reserved[7];
	uint32_t	flags;
};
HVK_SIZE(struct hvk_vss_message, 12);
HVK_AT(struct hvk_vss_message, op, 0);
HVK_AT(struct hvk_vss_message, reserved, 1);
HVK_AT(struct hvk_vss_message, flags, 8);

#endif /* !HVK_WIRE_VSS_H */
