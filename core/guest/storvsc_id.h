/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * Transaction ids of the guest's storage machines: kind in bits 63:56,
 * generation in 55:24, zero in 23:16, index in 15:0.  No kind is 0 (the host's
 * own packets have id 0) or 0xff (ids near 2^64 mean special things to some
 * hosts).
 */

#ifndef _STORVSC_ID_H_
#define	_STORVSC_ID_H_

#include <hvk/types.h>

#define	STORVSC_ID_IO		0x51
#define	STORVSC_ID_CONTROL	0x43

static inline uint64_t
storvsc_id(uint32_t kind, uint32_t generation, uint32_t index)
{
	return ((uint64_t)kind << 56 | (uint64_t)generation << 24 | index);
}

static inline uint32_t
storvsc_id_kind(uint64_t id)
{
	return ((uint32_t)(id >> 56));
}

static inline uint32_t
storvsc_id_generation(uint64_t id)
{
	return ((uint32_t)(id >> 24));
}

/* Includes the bits that must be zero, so a bad id is out of every range. */
static inline uint32_t
storvsc_id_index(uint64_t id)
{
	return ((uint32_t)id & 0xffffff);
}

#endif	/* !_STORVSC_ID_H_ */
