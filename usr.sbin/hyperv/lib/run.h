/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * run.h: programs that the daemons run: by execve(2) with an argument vector,
 * an environment of their own, standard input from memory, never by a shell.
 */

#ifndef HV_RUN_H
#define	HV_RUN_H

#include <stddef.h>

/*
 * Runs argv[0] until it ends or `seconds' have passed (it is killed then).
 * input may be NULL. Standard output goes to out (cut, NUL-terminated) when out
 * is not NULL. The exit status; -1 when it could not be run, was killed or took
 * too long.
 */
int	run(char *const argv[], const char *input, char *out, size_t outlen,
	    int seconds);

#endif
