/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * Network benchmark: the guest's machine and the provider's over rings and
 * buffers in shared memory, each frame copied once by either side.  Start-up
 * runs in one process; then each side may go on in its own.
 */

#ifndef BENCH_NET_H
#define	BENCH_NET_H

#include <hvk/guest/netvsc.h>
#include <hvk/host/netvsp.h>
#include <hvk/ring.h>

#define	QUEUES		8u
#define	RING		(512u * 1024)
#define	RECV		(16u << 20)
#define	SEND		(4u << 20)
#define	SENDS		1024u
#define	PACKETS		1024u
#define	BURST		32u		/* frames, as testpmd has them */
#define	FRAME_MAX	2048u
#define	MBUFS		1024u		/* where frames come from and go to */

/* What one side of one channel has done. */
struct tally {
	uint64_t	frames;		/* that it received */
	uint64_t	publications;
	uint64_t	signals;	/* that a sleeping peer would need */
	uint64_t	bursts;		/* that it sent */
};

struct queue {
	struct hvk_ring_tx	gtx, htx;
	struct hvk_ring_rx	grx, hrx;
	struct hvk_netvsc_tx	tx;
	struct hvk_netvsc_send	sends[SENDS];
	struct hvk_netvsc_rx	rx;
	struct hvk_netvsc_frag	frags[HVK_NVSP_RANGES_RSC];
	struct hvk_netvsp_queue	q;
	struct hvk_netvsp_slot	slots[8192];
	struct hvk_netvsp_sent	packets[PACKETS];
	struct hvk_netvsc_out	out;
	bool			waits;	/* out: the ring was full */
	uint8_t			*rings;
	uint8_t			*mbufs;	/* private to a side */
	uint32_t		next;
	uint64_t		buf[1024];
	struct tally		guest, host;
};

struct bench {
	struct hvk_netvsc	g;
	struct hvk_netvsp	h;
	uint32_t		nqueues;
	uint8_t			*recv, *send;	/* shared */
	uint8_t			*page;		/* of control messages */
	struct queue		queue[QUEUES];
};

/* All of it ready to send, with that many queues; exits if it cannot be. */
struct bench *bench_make(uint32_t nqueues, bool polling);

/* One turn of each side: send up to a burst of frames, take what arrived. */
uint32_t bench_guest_send(struct bench *, uint32_t q, uint32_t len);
void	bench_guest_poll(struct bench *, uint32_t q);
uint32_t bench_host_send(struct bench *, uint32_t q, uint32_t len);
void	bench_host_poll(struct bench *, uint32_t q);

#endif /* !BENCH_NET_H */
