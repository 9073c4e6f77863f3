/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 */

/*
 * A bounded reader of bytes that came from the peer, over a private copy.
 * Reading past the end yields zero and is remembered: a parser reads all that
 * it wants and asks once, at the end, whether all of it was there.  Numbers
 * are little-endian.  A reader belongs to one caller.
 */

#ifndef HVK_BYTES_H
#define	HVK_BYTES_H

#include <hvk/types.h>

struct hvk_rd {
	const uint8_t	*at;
	uint32_t	left;
	bool		failed;
};

HVK_INLINE void
hvk_rd_init(struct hvk_rd *rd, const void *bytes, uint32_t len)
{
	rd->at = bytes;
	rd->left = len;
	rd->failed = false;
}

/* True while everything that was asked for was there. */
HVK_INLINE bool
hvk_rd_ok(const struct hvk_rd *rd)
{
	return (!rd->failed);
}

/* The next len bytes in place; NULL, and a failed reader, if there are fewer. */
HVK_INLINE const uint8_t *
hvk_rd_take(struct hvk_rd *rd, uint32_t len)
{
	const uint8_t *at = rd->at;

	if (rd->failed || len > rd->left) {
		rd->failed = true;
		rd->left = 0;
		return (NULL);
	}
	rd->at += len;
	rd->left -= len;
	return (at);
}

/* Copies the next len bytes; zeroes them if there are fewer. */
HVK_INLINE void
hvk_rd_bytes(struct hvk_rd *rd, void *to, uint32_t len)
{
	const uint8_t *at = hvk_rd_take(rd, len);

	if (len == 0)
		return;
	if (at != NULL)
		hvk_copy(to, at, len);
	else
		hvk_zero(to, len);
}

HVK_INLINE void
hvk_rd_skip(struct hvk_rd *rd, uint32_t len)
{
	(void)hvk_rd_take(rd, len);
}

HVK_INLINE uint8_t
hvk_rd_u8(struct hvk_rd *rd)
{
	uint8_t value;

	hvk_rd_bytes(rd, &value, sizeof(value));
	return (value);
}

HVK_INLINE uint16_t
hvk_rd_u16(struct hvk_rd *rd)
{
	uint16_t value;

	hvk_rd_bytes(rd, &value, sizeof(value));
	return (value);
}

HVK_INLINE uint32_t
hvk_rd_u32(struct hvk_rd *rd)
{
	uint32_t value;

	hvk_rd_bytes(rd, &value, sizeof(value));
	return (value);
}

HVK_INLINE uint64_t
hvk_rd_u64(struct hvk_rd *rd)
{
	uint64_t value;

	hvk_rd_bytes(rd, &value, sizeof(value));
	return (value);
}

#endif /* !HVK_BYTES_H */
