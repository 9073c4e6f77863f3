/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * table_freebsd.c: the table of mounts of this system, by getfsstat(2).
 */

#include <sys/param.h>
#include <sys/mount.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mounts.h"

int
mounts_get(struct mounts *m, const char *root)
{
	struct statfs *s;
	struct mount_entry *e;
	int i, n;

	(void)root;
	memset(m, 0, sizeof(*m));
	s = calloc(MOUNTS_MAX, sizeof(*s));
	if (s == NULL)
		return (ENOMEM);
	n = getfsstat(s, (long)(MOUNTS_MAX * sizeof(*s)), MNT_NOWAIT);
	if (n < 0) {
		free(s);
		return (errno);
	}
	for (i = 0; i < n; i++) {
		e = &m->list[m->count++];
		memcpy(&e->fsid, &s[i].f_fsid, sizeof(e->fsid));
		snprintf(e->type, sizeof(e->type), "%s", s[i].f_fstypename);
		snprintf(e->path, sizeof(e->path), "%s", s[i].f_mntonname);
		e->kind = mount_kind_of(e->type,
		    (s[i].f_flags & MNT_RDONLY) != 0);
	}
	free(s);
	return (0);
}
