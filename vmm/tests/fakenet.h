/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * A guest with one adapter, for tests of the host's: the core's guest machine
 * on rings of its own (fakenet.c), and what it does to the host
 * (fakenet_hostile.c).  One thread, which polls; no locks.
 */
#ifndef _FAKENET_H_
#define	_FAKENET_H_

#include <hvk/guest/netvsc.h>
#include <hvk/ring.h>

#include "fakeguest.h"

#define	MAX_CHANNELS	8
#define	RING_PAGES	32u		/* each way */
#define	RECV_PAGES	512u
#define	SEND_PAGES	64u
#define	CHANNEL_PAGES	(2u * RING_PAGES)
#define	RECV_AT		4096u		/* page numbers */
#define	SEND_AT		(RECV_AT + RECV_PAGES)
#define	CONTROL_AT	(SEND_AT + SEND_PAGES)
#define	FRAME_AT	(CONTROL_AT + 1)	/* 128 times 20 pages */
#define	NET_RINGS	1024u

struct chan {
	bool		open;
	uint32_t	relid;
	uint32_t	conn;
	struct hvk_ring_tx tx;
	struct hvk_ring_rx rx;
	struct hvk_netvsc_rx in;
	struct hvk_netvsc_frag frag[562];
	struct hvk_netvsc_tx out;
	struct hvk_netvsc_send slot[256];
	uint64_t	frames;
	_Alignas(8) uint8_t packet[16384];
};

extern struct chan chan[MAX_CHANNELS];
extern unsigned nchan;
extern struct hvk_netvsc nv;
/* A frame that came; set by a scenario. */
extern void (*on_frame)(struct chan *, uint8_t *, uint32_t len,
	    const struct hvk_net_meta *);
/* A completion nobody knows; set by a scenario. */
extern void (*on_done)(struct chan *, const struct hvk_packet *);
extern bool	hold_acks;	/* the guest keeps what it receives */
extern bool	stopped;	/* the host said so */

uint64_t now_ms(void);
void	kick(struct chan *);
/* Bus, primary channel, offers. */
void	net_attach(void);
/* Until ready, with that many channels in all. */
void	net_start(unsigned channels, uint32_t offloads, uint32_t mtu);
void	net_filter(uint32_t filter);
void	net_rss(unsigned channels);
/* Everything that waits; true if something came. */
bool	net_poll(void);
/* Poll for so long, or until the flag is set. */
bool	net_wait(const volatile bool *flag, int ms);
/* Send through the machine: a section, or by pages when large. */
void	net_send(struct chan *, const struct hvk_net_meta *,
	    const uint8_t *frame, uint32_t len);
/* Straight into the ring. */
void	raw_inband(struct chan *, uint64_t txid, const void *, uint32_t len);
void	raw_pages(struct chan *, uint64_t txid,
	    const struct hvk_nvsp_message *, uint64_t gpa, uint32_t len);

/* fakenet_hostile.c: false, no such scenario. */
bool	hostile(const char *what);

#endif /* _FAKENET_H_ */
