/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 */

/*
 * Text form of GUIDs, and names of the device classes.  Pure functions,
 * callable from anywhere.
 */

#ifndef HVK_GUID_H
#define	HVK_GUID_H

#include <hvk/wire/guid.h>

#define	HVK_GUID_TEXT	37	/* 36 characters and the terminating NUL */

HVK_INLINE bool
hvk_guid_eq(const struct hvk_guid *a, const struct hvk_guid *b)
{
	return (hvk_same(a->b, b->b, sizeof(a->b)));
}

/* Lower case, no braces, NUL-terminated. */
void	hvk_guid_format(const struct hvk_guid *, char text[HVK_GUID_TEXT]);

/*
 * Reads the 36-character form, either case, with or without braces around it;
 * anything else before the NUL is HVK_RANGE and leaves the GUID untouched.
 */
int	hvk_guid_parse(const char *text, struct hvk_guid *);

/* "network", "scsi", ...; NULL for an interface that nobody knows. */
const char	*hvk_guid_class(const struct hvk_guid *type);

#endif /* !HVK_GUID_H */
