/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * table_linux.c: the table of mounts of a system that is described in
 * ROOT/mounts, a line each: number of the file system, type, rw or ro, path.
 * Linux's own file systems are none of this daemon's.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "mounts.h"

int
mounts_get(struct mounts *m, const char *root)
{
	char line[512], mode[8], path[1024];
	struct mount_entry *e;
	FILE *f;

	memset(m, 0, sizeof(*m));
	snprintf(path, sizeof(path), "%s/mounts", root);
	f = fopen(path, "re");
	if (f == NULL)
		return (errno);
	while (m->count < MOUNTS_MAX && fgets(line, sizeof(line), f) != NULL) {
		e = &m->list[m->count];
		if (sscanf(line, "%d %15s %7s %255s", &e->fsid.val[0],
		    e->type, mode, e->path) != 4)
			continue;
		e->kind = mount_kind_of(e->type, strcmp(mode, "ro") == 0);
		m->count++;
	}
	fclose(f);
	return (0);
}
