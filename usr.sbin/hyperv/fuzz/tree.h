/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * tree.h: a directory for one run of a fuzz target, in memory where it can be,
 * and taken away with all that is in it at the end; what is logged is dropped.
 */

#ifndef HV_FUZZ_TREE_H
#define	HV_FUZZ_TREE_H

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "log.h"

static char tree[64];

static int
tree_remove(const char *path, const struct stat *sb, int flag, struct FTW *ftw)
{
	(void)sb;
	(void)flag;
	(void)ftw;
	return (remove(path));
}

static void
tree_end(void)
{
	nftw(tree, tree_remove, 8, FTW_DEPTH | FTW_PHYS);
}

static void
tree_begin(const char *name)
{
	snprintf(tree, sizeof(tree), "%s/%s.%ld",
	    access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp", name,
	    (long)getpid());
	if (mkdir(tree, 0700) != 0)
		abort();
	atexit(tree_end);
	log_open("fuzz", false, false);
	setlogmask(LOG_MASK(LOG_EMERG));
}

#endif
