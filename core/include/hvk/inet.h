/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * Internet addresses as text and as bytes in network order, and masks, which
 * in text are an address or a prefix length ("255.255.255.0", "/24", "24").
 * Pure functions.
 */

#ifndef HVK_INET_H
#define	HVK_INET_H

#include <hvk/error.h>
#include <hvk/types.h>

#define	HVK_INET_TEXT	46u		/* longest address, and NUL */

/*
 * The address in `len' bytes of text; a zone after '%' is dropped.  4 or 16:
 * how many bytes were written to `to'; 0: it is no address.
 */
uint32_t	hvk_inet_parse(const char *text, uint32_t len, uint8_t to[16]);
/* Length of the text without NUL; n is 4 or 16. */
uint32_t	hvk_inet_format(const uint8_t *from, uint32_t n,
		    char to[HVK_INET_TEXT]);

/* A mask of n (4 or 16) bytes; false: it is none. */
bool		hvk_inet_parse_mask(const char *text, uint32_t len,
		    uint32_t n, uint8_t *to);
/* IPv4 as an address; IPv6 as "/64", or as an address if it has holes. */
uint32_t	hvk_inet_format_mask(const uint8_t *from, uint32_t n,
		    char to[HVK_INET_TEXT]);

#endif /* !HVK_INET_H */
