/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * privilege.c: see privilege.h. Facts: setresuid(2), setgroups(2).
 */

#include <sys/types.h>

#include <err.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stddef.h>
#include <unistd.h>

#include "privilege.h"

void
privilege_find(struct privilege *p, const char *user)
{
	const struct passwd *pw;

	p->user = user != NULL ? user : "_hyperv";
	pw = getpwnam(p->user);
	if (pw == NULL && user == NULL) {
		p->user = "nobody";
		pw = getpwnam(p->user);
	}
	if (pw == NULL)
		errx(1, "there is no user %s", p->user);
	p->uid = pw->pw_uid;
	p->gid = pw->pw_gid;
	p->change = geteuid() == 0 && p->uid != 0;
}

bool
privilege_borrow(const struct privilege *p)
{
	if (!p->change)
		return (true);
	if (setgroups(1, &p->gid) != 0 || setegid(p->gid) != 0)
		return (false);
	return (seteuid(p->uid) == 0);
}

bool
privilege_return(const struct privilege *p)
{
	return (!p->change || (seteuid(0) == 0 && setegid(0) == 0));
}

bool
privilege_drop(const struct privilege *p)
{
	if (!p->change)
		return (true);
	if (setgroups(1, &p->gid) != 0 ||
	    setresgid(p->gid, p->gid, p->gid) != 0 ||
	    setresuid(p->uid, p->uid, p->uid) != 0)
		return (false);
	/* There is no way back, or this is no privilege that was dropped. */
	if (setuid(0) == 0 || seteuid(0) == 0) {
		errno = EPERM;
		return (false);
	}
	return (true);
}
