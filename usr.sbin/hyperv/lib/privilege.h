/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * privilege.h: the user that a daemon runs as once it has opened what needs
 * root: the one that is named, or _hyperv, or where that is not, nobody. A
 * daemon that is not started by root stays who it is.
 */

#ifndef HV_PRIVILEGE_H
#define	HV_PRIVILEGE_H

#include <sys/types.h>
#include <stdbool.h>

struct privilege {
	const char	*user;
	uid_t		uid;
	gid_t		gid;
	bool		change;		/* false: nothing is to be dropped */
};

/* Ends the program when there is no such user. user: NULL for the default. */
void	privilege_find(struct privilege *, const char *user);
/* As that user for a while; what is made belongs to it. false: errno. */
bool	privilege_borrow(const struct privilege *);
bool	privilege_return(const struct privilege *);
/* For good: user, group and no other groups. false: errno, and still root. */
bool	privilege_drop(const struct privilege *);

#endif
