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
	const char	*root;		/* files for it besides, or NULL */
	const char	*cpus;
	const char	*log;		/* where the console goes, or NULL */
	unsigned	seconds;	/* then the guest is stopped */
	bool		keep;		/* the run's folder */
	char		**more;		/* further options of `hvk run' */
	int		nmore;
};

/* Boots it, prints its checks, leaves records.  EX_OK_ when all passed. */
int	features_kernel(const struct features_kernel *);

/* What the guest may ask for is done by `hvk ctl' and noted down. */
struct features_host {
	const char	*hvk;		/* our program */
	const char	*vm;		/* the guest's folder */
	const char	*dir;		/* for files of our own */
	void		(*note)(void *arg, const char *check, bool ok,
			    const char *text);
	void		*arg;
};

/* A word about the daemons; false: it is not. */
bool	features_daemons(const struct features_host *, const char *word);

int	cmd_proof(int argc, char **argv);

#endif /* _VMM_FEATURES_KERNEL_H_ */
