/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 */

/*
 * The rings that are measured, behind one interface.  Each moves packets of a
 * given length in bursts: send() copies the payloads in, receive() copies them
 * out, so that all of them move the same bytes.  One producer, one consumer.
 */

#ifndef BENCH_RING_H
#define	BENCH_RING_H

#include <stdint.h>

#define	BURST		32
#define	PACKET_SLOT	4096	/* largest payload; "to" holds 64 more */
#define	RING_BYTES	(256 * 1024)
#define	RING_SLOTS	1024	/* of the rings of pointers */
#define	WIDE_BYTES	(RING_SLOTS * PACKET_SLOT)

#ifdef __cplusplus
extern "C" {
#endif

struct ring {
	const char	*name;
	unsigned int	skip;	/* bytes before the payload in "to" */
	void		*(*open)(void);
	void		(*close)(void *);
	/* Number of packets taken: BURST at most. */
	unsigned int	(*send)(void *, const void *payload, uint32_t len,
			    unsigned int n);
	unsigned int	(*receive)(void *, void *to, uint32_t len,
			    unsigned int n);
};

extern const struct ring ring_hvk;
extern const struct ring ring_apart;	/* ours, for two cores */
extern const struct ring ring_wide;	/* and with more bytes in flight */
extern const struct ring ring_floor;	/* only the two copies */
extern const struct ring ring_rte;
extern const struct ring ring_dense;	/* as many bytes as ours */
extern const struct ring ring_ck;
extern const struct ring ring_boost;

#ifdef __cplusplus
}
#endif

#endif /* !BENCH_RING_H */
