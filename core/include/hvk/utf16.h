/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * UTF-16LE as the host writes it, UTF-8 as everybody else does.  What cannot be
 * said in the other (half of a surrogate pair, bytes that are not UTF-8)
 * becomes U+FFFD; what does not fit is an error and never cut in the middle of
 * a character.  Pure functions.
 */

#ifndef HVK_UTF16_H
#define	HVK_UTF16_H

#include <hvk/error.h>
#include <hvk/types.h>

/*
 * At most `units' 16-bit units at `from' (any alignment), to the first zero.
 * Writes at most cap bytes with the terminator; *len: bytes without it.
 * HVK_NOSPACE: cut short at a character, terminated all the same.  cap > 0.
 */
int	hvk_utf16_decode(char *to, uint32_t cap, const uint8_t *from,
	    uint32_t units, uint32_t *len);

/*
 * `len' bytes of UTF-8, to the first zero.  Writes at most `units' 16-bit units
 * with the terminator; *used: units without it.  HVK_NOSPACE as above.
 * units > 0.
 */
int	hvk_utf16_encode(uint8_t *to, uint32_t units, const char *from,
	    uint32_t len, uint32_t *used);

#endif /* !HVK_UTF16_H */
