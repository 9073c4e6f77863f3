/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * mounts.h: the file systems that are mounted, and what is to be done with
 * each for a backup.
 */

#ifndef VSS_MOUNTS_H
#define	VSS_MOUNTS_H

#include <stdbool.h>
#include <stdint.h>

#define	MOUNTS_MAX	256
#define	MOUNT_PATH	256

struct fs_id {
	int32_t	val[2];
};

enum mount_kind {
	MOUNT_FREEZE,		/* UFS: suspended */
	MOUNT_SYNC,		/* ZFS: a sync makes it consistent */
	MOUNT_SKIP,		/* written to, but cannot be suspended */
	MOUNT_NOTHING,		/* read-only, or nothing is on a disk of ours */
};

struct mount_entry {
	enum mount_kind	kind;
	struct fs_id	fsid;
	char		type[16];
	char		path[MOUNT_PATH];
};

struct mounts {
	int			count;
	struct mount_entry	list[MOUNTS_MAX];	/* in mount order */
};

/* 0 or an errno. root: below what the system is ("" normally). */
int	mounts_get(struct mounts *, const char *root);
enum mount_kind mount_kind_of(const char *type, bool readonly);

#endif
