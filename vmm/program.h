/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * Other programs, run to their end.
 */
#ifndef _VMM_PROGRAM_H_
#define	_VMM_PROGRAM_H_

#include <sys/types.h>
#include <stddef.h>

/* The program's status, or -1. */
int	program_run(char *const argv[]);
/* The same, and what it printed first. */
int	program_output(char *const argv[], char *out, size_t len);
/* Until _loud, what programs print is for nobody. */
int	program_quiet(void);
void	program_loud(int);
/* A file's content to another, which is made anew; 0 or -errno. */
int	program_copy(const char *from, const char *to, mode_t mode);

#endif /* _VMM_PROGRAM_H_ */
