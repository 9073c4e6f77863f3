/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * File copy between the bytes of the wire and what a daemon wants to know.
 * Pure functions.  Facts: wire.md section 13.
 */

#ifndef HVK_FCOPY_H
#define	HVK_FCOPY_H

#include <hvk/ic.h>
#include <hvk/wire/fcopy.h>

/* 259 units of at most three bytes each, and NUL; rounded up. */
#define	HVK_FCOPY_TEXT	784u

struct hvk_fcopy_item {
	uint32_t	op;		/* enum hvk_fcopy_op */
	/* START */
	uint32_t	flags;		/* HVK_FCOPY_OVERWRITE, _CREATE_PATH */
	uint64_t	size;		/* of the file */
	char		path[HVK_FCOPY_TEXT];
	char		name[HVK_FCOPY_TEXT];
	/* WRITE: data is in the message, or the caller's. */
	uint64_t	offset;
	const uint8_t	*data;
	uint32_t	len;
};

/* HVK_RANGE: no such operation, or too much data; HVK_NOSPACE: a name. */
int	hvk_fcopy_request(struct hvk_ic_message *,
	    const struct hvk_fcopy_item *);
/* HVK_REJECT: it makes no sense; HVK_RANGE: an operation nobody knows. */
int	hvk_fcopy_parse(const struct hvk_ic_message *,
	    struct hvk_fcopy_item *);

#endif /* !HVK_FCOPY_H */
