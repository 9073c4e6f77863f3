/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * What the files of the guest's network machines share: transaction ids, and
 * the seam between NVSP (netvsc.c) and RNDIS (netvsc_rndis.c).
 *
 * Ids: kind in bits 63:56, generation in 55:24, zero in 23:16, index in 15:0.
 * No kind is 0 (the host's own packets have id 0), 0x80 (some hosts' notices)
 * or 0xff (ids near 2^64 mean special things to some hosts).
 *
 * Locking: none, see hvk/guest/netvsc.h.
 */

#ifndef _NETVSC_INT_H_
#define	_NETVSC_INT_H_

#include <hvk/guest/netvsc.h>

#define	NETVSC_ID_NVSP		0x4e	/* index: the phase */
#define	NETVSC_ID_RNDIS		0x52	/* a control message was sent */
#define	NETVSC_ID_NOTE		0x4f	/* nobody waits for it */
#define	NETVSC_ID_SEND		0x53	/* index: the slot */

static inline uint64_t
netvsc_id(uint32_t kind, uint32_t generation, uint32_t index)
{
	return ((uint64_t)kind << 56 | (uint64_t)generation << 24 | index);
}

static inline uint32_t
netvsc_id_kind(uint64_t id)
{
	return ((uint32_t)(id >> 56));
}

static inline uint32_t
netvsc_id_generation(uint64_t id)
{
	return ((uint32_t)(id >> 24));
}

/* Includes the bits that must be zero, so a bad id is out of every range. */
static inline uint32_t
netvsc_id_index(uint64_t id)
{
	return ((uint32_t)id & 0xffffff);
}

/* netvsc.c */
void	netvsc_step(struct hvk_netvsc *, enum hvk_netvsc_phase, uint64_t now);
enum hvk_netvsc_event netvsc_fail(struct hvk_netvsc *,
	    enum hvk_netvsc_reason);
enum hvk_netvsc_event netvsc_subchannels(struct hvk_netvsc *, uint64_t now);
enum hvk_netvsc_event netvsc_halted(struct hvk_netvsc *);

/* netvsc_rndis.c */
/* Begin RNDIS: phase RNDIS_INIT and what follows. */
void	netvsc_rndis_start(struct hvk_netvsc *, uint64_t now);
/* A request with that information; the answer's type follows from `type'. */
void	netvsc_request(struct hvk_netvsc *, uint32_t type, uint32_t oid,
	    const void *info, uint32_t len);
/*
 * The request under way is over: answered (the message is in s->in) or given
 * up.
 */
enum hvk_netvsc_event netvsc_over(struct hvk_netvsc *, bool answered,
	    uint64_t now);

#endif	/* !_NETVSC_INT_H_ */
