/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * Inside of `hvk features'.
 */
#ifndef _VMM_FEATURES_KERNEL_H_
#define	_VMM_FEATURES_KERNEL_H_

#include <stdbool.h>

struct features_kernel {
	const char	*kernel;
	const char	*modules;	/* a folder, or NULL: the kernel's own */
	const char	*mfsroot;	/* NULL: made here */
	const char	*cpus;
	const char	*log;		/* where the console goes, or NULL */
	unsigned	seconds;	/* then the guest is stopped */
	bool		keep;		/* the run's folder */
	char		**more;		/* further options of `hvk run' */
	int		nmore;
};

/* Boots it, prints its checks, leaves records.  EX_OK_ when all passed. */
int	features_kernel(const struct features_kernel *);

int	cmd_proof(int argc, char **argv);

#endif /* _VMM_FEATURES_KERNEL_H_ */
