/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * pool.h: the pools of key-value pairs: files .kvp_pool_0 to .kvp_pool_4 in one
 * directory, each a sequence of records of fixed size, as they have been on
 * FreeBSD since 10.1; other programs read and write them.
 *
 * A change writes a whole new file and renames it, so that a reader and a
 * crash see the old pool or the new one. While a file is read or replaced its
 * fcntl(2) lock is held, as those other programs do.
 *
 * The functions return 0 or an errno: ENOENT no such key, or no such index;
 * EINVAL a key that is empty or has no end; ENOSPC the pool has POOL_MAX
 * records or the file system is full; EBUSY the lock was not to be had.
 */

#ifndef KVP_POOL_H
#define	KVP_POOL_H

#include <sys/types.h>

#include <stddef.h>
#include <stdint.h>

#define	POOL_COUNT	5
#define	POOL_KEY	512	/* bytes, with the NUL */
#define	POOL_VALUE	2048
#define	POOL_MAX	4096	/* records of one pool */

struct pool_record {
	char	key[POOL_KEY];
	char	value[POOL_VALUE];
};

struct pools {
	int	dir;		/* descriptor of the directory */
};

/*
 * Makes the directory (0700) and the files (0600) that are missing. EMLINK: a
 * file there has another name too, so it may be another's.
 */
int	pools_open(struct pools *, const char *path);
/* All of it belongs to that user from now on. */
int	pools_give(const struct pools *, uid_t, gid_t);
int	pool_get(const struct pools *, unsigned int pool, const char *key,
	    struct pool_record *);
int	pool_at(const struct pools *, unsigned int pool, uint32_t index,
	    struct pool_record *);
int	pool_set(const struct pools *, unsigned int pool, const char *key,
	    const char *value);
int	pool_delete(const struct pools *, unsigned int pool, const char *key);

#endif
