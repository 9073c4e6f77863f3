/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * What the files of the network provider share.  Locking: see
 * hvk/host/netvsp.h.
 */

#ifndef NETVSP_INT_H
#define NETVSP_INT_H

#include <hvk/host/netvsp.h>

static inline enum hvk_netvsp_phase
netvsp_phase(const struct hvk_netvsp *v)
{

	return ((enum hvk_netvsp_phase)__atomic_load_n(&v->phase,
	    __ATOMIC_ACQUIRE));
}

static inline void
netvsp_phase_set(struct hvk_netvsp *v, enum hvk_netvsp_phase phase)
{

	__atomic_store_n(&v->phase, (uint32_t)phase, __ATOMIC_RELEASE);
}

/* A message for the guest, zeroed; NULL if fewer than `spare' + 1 are free. */
struct hvk_netvsp_out *netvsp_out(struct hvk_netvsp *, uint32_t spare);

/* What the guest has set goes back to what it is at first. */
void	netvsp_forget(struct hvk_netvsp *);

/*
 * Objects.  Query: bytes written to `to' (HVK_NETVSP_OUT_LEN less the header
 * are there) in *len, and a status.  `in' is what came with the request.
 */
uint32_t netvsp_oid_query(const struct hvk_netvsp *, uint32_t oid,
	    const uint8_t *in, uint32_t in_len, uint8_t *to, uint32_t *len);
uint32_t netvsp_oid_set(struct hvk_netvsp *, uint32_t oid, const uint8_t *in,
	    uint32_t len);

#endif /* NETVSP_INT_H */
