/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * rcfile.h: files of assignments as rc.conf(5) has them: read by us, written
 * by sysrc(8) only; and whole files put aside and back.
 */

#ifndef HV_RCFILE_H
#define	HV_RCFILE_H

#include <sys/types.h>
#include <stdbool.h>
#include <stddef.h>

#define	RC_KEY		96
#define	RC_VALUE	256

struct rc_line {
	char	key[RC_KEY];
	char	value[RC_VALUE];	/* without its quotes */
	bool	plain;			/* nothing in it for a shell to do */
};

/* Calls fn for each assignment; 0, or an errno (a missing file is empty). */
int	rc_each(const char *path, void (*fn)(void *, const struct rc_line *),
	    void *arg);

struct saved_file {
	char	path[1024];
	char	*data;		/* NULL: there was no such file */
	size_t	len;
	mode_t	mode;
	uid_t	uid;
	gid_t	gid;
};
/* 0 or an errno. */
int	file_save(struct saved_file *, const char *path);
/* Back to what it was, in one step. */
int	file_restore(const struct saved_file *);
void	file_forget(struct saved_file *);

#endif
