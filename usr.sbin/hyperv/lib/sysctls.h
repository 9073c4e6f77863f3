/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * sysctls.h: the kernel's sysctl tree as names and text: of this machine on
 * FreeBSD, of a kernel in kldrun(1) on Linux.
 */

#ifndef HV_SYSCTLS_H
#define	HV_SYSCTLS_H

#include <stdbool.h>
#include <stddef.h>

/* Linux: the run directory of kldrun(1) to ask. */
void	sysctls_source(const char *dir);
/* Every readable name below prefix, in the kernel's order; 0 or an errno. */
int	sysctls_walk(const char *prefix, void (*fn)(void *, const char *name,
	    const char *value), void *arg);

#endif
