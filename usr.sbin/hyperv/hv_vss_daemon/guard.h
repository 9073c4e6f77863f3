/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * guard.h: the privileged part of hv_vss_daemon(8). It looks at the table of
 * mounts, syncs, and starts and ends the freezer; it sees no byte of a request
 * but the number of the operation, which the unprivileged part (requests.h)
 * sends it over a SOCK_SEQPACKET pair. When that part dies, everything is
 * thawed.
 */

#ifndef VSS_GUARD_H
#define	VSS_GUARD_H

#include <stdbool.h>
#include <stdint.h>

#include "freezer.h"
#include "mounts.h"

struct guard_ask {
	uint32_t	op;		/* enum hv_vss_op_t */
	uint32_t	serial;		/* the answer repeats it */
};

struct guard_told {
	uint32_t	status;		/* VSS_SUCCESS or VSS_FAIL */
	uint32_t	serial;
};

/* The system; a fuzz target has one of its own. */
struct guard_ops {
	int	(*table)(struct mounts *, const char *root);
	void	(*flush)(const char *root, bool pools);
	int	(*freeze)(struct freezer *, const struct mounts *,
		    const char *device, int hold, int seconds);
	bool	(*lost)(struct freezer *);
	bool	(*thaw)(struct freezer *);
};

extern const struct guard_ops guard_system;

struct guard {
	const struct guard_ops	*ops;
	const char		*ufssuspend, *root;
	int			hold;		/* seconds, at most */
	bool			lost;		/* thawed, nobody told yet */
	struct mounts		mounts;
	struct freezer		freezer;
};

/* One operation: VSS_SUCCESS or VSS_FAIL. */
uint32_t guard_do(struct guard *, uint32_t op);
/* Notes a freeze that ended by itself. */
void	guard_look(struct guard *);
/*
 * Until the other part is gone (false) or `stop' is readable (true). Then
 * nothing is frozen any more.
 */
bool	guard_serve(struct guard *, int fd, int stop);

#endif
