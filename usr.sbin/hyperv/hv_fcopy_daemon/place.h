/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * place.h: where a file of the host's may go: directories that the
 * administrator named, and what is below them. Every step of a path is opened
 * from the directory before it and never through a symbolic link.
 */

#ifndef FCOPY_PLACE_H
#define	FCOPY_PLACE_H

#include <stdbool.h>
#include <stddef.h>

#define	PLACES_MAX	16
#define	PLACE_TEMP	".hv_fcopy"	/* below each: files not whole yet */

struct place {
	char	path[1024];		/* absolute, no trailing '/' */
	int	dir;
	int	temp;			/* descriptor of PLACE_TEMP */
};

struct places {
	int		count;
	struct place	list[PLACES_MAX];
};

/* Opens a directory. 0 or an errno. */
int	place_open(struct places *, const char *path);
/*
 * Makes PLACE_TEMP in all of them, and empties it. 0 or an errno, and in which
 * it was.
 */
int	place_ready(struct places *, const char **path);

/*
 * The directory that the host means: its path is cut at NUL or max bytes; '\'
 * is '/'. Empty or relative: below the first place. On success a descriptor
 * that the caller closes, and which place it is in. Errors: EACCES below no
 * place, or a step that is a link or not a directory; ENOENT it is not there,
 * and `create' is not set; EINVAL a path that is none.
 */
int	place_find(const struct places *, const char *path, size_t max,
	    bool create, int *dir, const struct place **);

/* A name that can be one entry of a directory, and is none of ours. */
bool	place_name_ok(const char *name, size_t max);

#endif
