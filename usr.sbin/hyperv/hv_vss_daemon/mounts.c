/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * mounts.c: which file system needs what.
 */

#include <stddef.h>
#include <string.h>

#include "mounts.h"

enum mount_kind
mount_kind_of(const char *type, bool readonly)
{
	/* In memory, of the kernel, or another machine's. */
	static const char *const elsewhere[] = { "devfs", "procfs", "fdescfs",
	    "linprocfs", "linsysfs", "tmpfs", "nfs", "smbfs", "mqueuefs",
	    "nullfs", "unionfs", "autofs", "tarfs", "p9fs" };
	size_t i;

	if (readonly)
		return (MOUNT_NOTHING);
	if (strcmp(type, "ufs") == 0)
		return (MOUNT_FREEZE);
	if (strcmp(type, "zfs") == 0)
		return (MOUNT_SYNC);
	for (i = 0; i < sizeof(elsewhere) / sizeof(elsewhere[0]); i++)
		if (strcmp(type, elsewhere[i]) == 0)
			return (MOUNT_NOTHING);
	return (MOUNT_SKIP);
}
