/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * The host's half of the network protocol: what an adapter does with each
 * packet of the guest, in every state.
 *
 * `hvk_netvsp' is one adapter: negotiation, buffers, RNDIS control and NDIS
 * objects, notifications.  `hvk_netvsp_queue' is one channel's way to the
 * guest: a part of the receive buffer's slots, and which of them the guest has.
 * What comes from the guest needs no state of a channel.
 *
 *	switch (hvk_netvsp_kind(&pkt)) {
 *	case HVK_NETVSP_KIND_MESSAGE:	hvk_netvsp_input(), do what it says
 *	case HVK_NETVSP_KIND_DATA:	hvk_netvsp_send(), then find the memory
 *					and walk it (hvk/rndis.h)
 *	case HVK_NETVSP_KIND_CONTROL:	hvk_netvsp_send(), then find the memory,
 *					hvk_netvsp_control()
 *	case HVK_NETVSP_KIND_DONE:	hvk_netvsp_queue_done()
 *	}
 *
 * Whenever input, control or a notification was called: send what
 * hvk_netvsp_peek() has, each followed by hvk_netvsp_pop().
 *
 * The guest is hostile: whatever it sends ends in a reply with a status, or in
 * nothing; never in a state that is not in the table.
 *
 * Locking: calls on the adapter one at a time, except hvk_netvsp_kind(),
 * hvk_netvsp_send(), hvk_netvsp_walk() and hvk_netvsp_steer(), which other
 * channels' threads may call at the same time.  They read what start-up made;
 * a buffer is only forgotten in hvk_netvsp_answer() and _reset(), before which
 * the caller stops those threads.  Calls on one queue one at a time; different
 * queues share nothing.
 *
 * Facts: wire.md sections 14 to 16, hosts.md section 1.5 and 3.1.
 */
#ifndef HVK_HOST_NETVSP_H
#define HVK_HOST_NETVSP_H

#include <hvk/error.h>
#include <hvk/ndis.h>
#include <hvk/packet.h>
#include <hvk/rndis.h>
#include <hvk/types.h>
#include <hvk/wire/ndis.h>
#include <hvk/wire/nvsp.h>
#include <hvk/wire/rndis.h>

#define	HVK_NETVSP_CONTROL	2048	/* bytes of a control message */
#define	HVK_NETVSP_OUT		16	/* messages waiting to go out */
#define	HVK_NETVSP_OUT_NOTES	4	/* of which answers leave these free */
#define	HVK_NETVSP_OUT_LEN	1024
#define	HVK_NETVSP_NAME		64	/* bytes of an adapter's name */
#define	HVK_NETVSP_MULTICAST	64	/* addresses in the filter */
#define	HVK_NETVSP_CHANNELS	64
#define	HVK_NETVSP_MTU_MIN	68u
#define	HVK_NETVSP_MTU_MAX	65521u
#define	HVK_NETVSP_SECTION	6144u	/* of the send buffer */
#define	HVK_NETVSP_BUFFER_MAX	(64u << 20)	/* largest that is taken */

enum hvk_netvsp_kind {
	HVK_NETVSP_KIND_NONE,		/* nothing to do but to count it */
	HVK_NETVSP_KIND_MESSAGE,
	HVK_NETVSP_KIND_DATA,
	HVK_NETVSP_KIND_CONTROL,
	HVK_NETVSP_KIND_DONE
};

enum hvk_netvsp_kind hvk_netvsp_kind(const struct hvk_packet *);

enum hvk_netvsp_phase {
	HVK_NETVSP_CLOSED,
	HVK_NETVSP_VERSIONED,		/* a version was agreed */
	HVK_NETVSP_NDIS,		/* NDIS version known */
	HVK_NETVSP_BUFFERED,		/* there is a receive buffer */
	HVK_NETVSP_READY,		/* RNDIS initialised: frames may go */
	HVK_NETVSP_NPHASES
};

enum hvk_netvsp_action {
	HVK_NETVSP_NOTHING,		/* no reply is wanted */
	HVK_NETVSP_REPLY,		/* send the reply */
	HVK_NETVSP_MAP_RECV,		/* find `gpadl', then _recv_buffer() */
	HVK_NETVSP_MAP_SEND,		/* find `gpadl', then _send_buffer() */
	HVK_NETVSP_UNMAP_RECV,		/* forget it: its queues first; then
					   reply if `answer' */
	HVK_NETVSP_UNMAP_SEND,
	HVK_NETVSP_ADD_CHANNELS,	/* offer `count' more, then reply */
	HVK_NETVSP_PATH			/* `path', then reply if `answer' */
};

struct hvk_netvsp_config {
	uint8_t		mac[6];
	uint32_t	max_version;	/* HVK_NVSP_VERSION_*; 0: newest */
	uint32_t	max_mtu;	/* 0: 65521; without Ethernet header */
	uint32_t	max_subchannels; /* 0: none */
	uint64_t	speed;		/* bit/s; 0: 10 Gbit/s */
	bool		link;
	bool		vf;		/* the guest may switch to one */
	struct hvk_net_offload offload;	/* what the back-end can */
	uint32_t	hash;		/* HVK_RSS_*; 0: no RSS */
	uint32_t	max_packets;	/* 0: 8; RNDIS messages in one send */
	uint32_t	section_size;	/* 0: HVK_NETVSP_SECTION */
	char		name[HVK_NETVSP_NAME]; /* UTF-8; "": it has none */
};

/* Filled in by the caller before control messages are given. */
struct hvk_netvsp_stats {
	uint64_t	tx_frames, rx_frames;	/* as the guest sees it */
	uint64_t	tx_bytes, rx_bytes;
	uint64_t	tx_errors, rx_errors;
	uint64_t	tx_discards;
	uint64_t	rx_no_buffer;
};

/* What the guest has set since somebody last looked (and cleared it). */
#define	HVK_NETVSP_NEW_FILTER	0x01u	/* filter, multicast list */
#define	HVK_NETVSP_NEW_RSS	0x02u
#define	HVK_NETVSP_NEW_OFFLOADS	0x04u
#define	HVK_NETVSP_NEW_MAC	0x08u
#define	HVK_NETVSP_NEW_READY	0x10u	/* READY was reached or left */

/* A message on its way to the guest. */
struct hvk_netvsp_out {
	uint32_t	len;
	/*
	 * true: an RNDIS message, to be copied into a slot and sent as a
	 * transfer-page packet (hvk_netvsp_queue_put() with control set).
	 * false: in-band, transaction id `txid', no completion wanted.
	 */
	bool		rndis;
	uint64_t	txid;
	uint64_t	bytes[HVK_NETVSP_OUT_LEN / 8];
};

struct hvk_netvsp {
	struct hvk_netvsp_config config;
	uint32_t	phase;		/* enum hvk_netvsp_phase, atomic */
	uint32_t	version;	/* agreed; 0 before */
	uint32_t	ndis_version;
	uint32_t	caps;		/* HVK_NVSP_CAP_* of the guest */
	uint32_t	mtu;		/* agreed; without Ethernet header */
	uint32_t	recv_len;	/* 0: there is none */
	uint32_t	slot_size;
	uint32_t	slots;
	uint32_t	send_len;	/* 0: there is none */
	uint32_t	sections;
	uint32_t	subchannels;	/* asked for and granted */
	bool		asked;		/* for sub-channels */
	bool		link;
	uint64_t	speed;
	uint32_t	path;		/* HVK_NVSP_PATH_* */

	/* What the guest has set. */
	uint32_t	changed;	/* HVK_NETVSP_NEW_* */
	uint32_t	filter;		/* HVK_FILTER_*; 0: nothing passes */
	uint8_t		mac[6];		/* current */
	uint32_t	nmulticast;
	uint8_t		multicast[HVK_NETVSP_MULTICAST][6];
	uint32_t	offloads;	/* HVK_OFF_* that are on */
	struct hvk_net_rss rss;

	struct hvk_netvsp_stats stats;

	/* counters */
	uint64_t	refused;	/* packets answered with a bad status */
	uint64_t	ignored;	/* packets that get no reply */
	uint64_t	controls;	/* RNDIS control messages */
	uint64_t	control_bad;	/* that made no sense */
	uint64_t	control_busy;	/* refused: too many unanswered */

	/* private */
	uint32_t	out_head, out_tail;
	struct hvk_netvsp_out out[HVK_NETVSP_OUT];
};

/* One message of the guest: made by input(), turned into its reply in place. */
struct hvk_netvsp_request {
	enum hvk_netvsp_action action;
	bool		answer;		/* a completion is wanted */
	uint64_t	txid;
	uint32_t	gpadl;		/* MAP_* */
	uint32_t	count;		/* ADD_CHANNELS */
	uint32_t	path;		/* PATH: HVK_NVSP_PATH_* */
	uint32_t	reply_len;	/* 0: an empty completion */
	struct hvk_nvsp_message	reply;
};

/* HVK_RANGE: an unknown version, or a limit that is none. */
int	hvk_netvsp_init(struct hvk_netvsp *, const struct hvk_netvsp_config *);
/* The primary channel was closed, or is opened anew. */
void	hvk_netvsp_reset(struct hvk_netvsp *);

/* A packet of kind MESSAGE. */
void	hvk_netvsp_input(struct hvk_netvsp *, bool primary,
	    const struct hvk_packet *, struct hvk_netvsp_request *);

/*
 * The answers to MAP_RECV and MAP_SEND: bytes of the buffer, 0 if the GPADL is
 * not there or cannot be used.  Turns the request into REPLY or NOTHING.  After
 * a good MAP_RECV slots and slot_size say what queues may be made of.
 */
void	hvk_netvsp_recv_buffer(struct hvk_netvsp *,
	    struct hvk_netvsp_request *, uint32_t len);
void	hvk_netvsp_send_buffer(struct hvk_netvsp *,
	    struct hvk_netvsp_request *, uint32_t len);
/* The answer to ADD_CHANNELS: how many there will be, at most `count'. */
void	hvk_netvsp_add_channels(struct hvk_netvsp *,
	    struct hvk_netvsp_request *, uint32_t count);
/* The answer to the other actions, once they are done. */
void	hvk_netvsp_answer(struct hvk_netvsp *, struct hvk_netvsp_request *);

/*
 * From the guest.
 */
/* Where an RNDIS packet of the guest is. */
struct hvk_netvsp_send {
	bool		control;
	bool		in_section;
	uint32_t	offset;		/* of the section in the send buffer */
	uint32_t	len;		/* bytes used in it */
};

/*
 * A packet of kind DATA or CONTROL.  HVK_OK: its RNDIS messages are, one after
 * the other, in [offset, offset + len) of the send buffer if in_section, then
 * in the packet's ranges (hvk_packet_gpa_next(); type GPA_DIRECT only).
 * HVK_REJECT: answer with *status.  HVK_STATE: RNDIS data before it was
 * initialised; likewise.  *status is set in every case.
 */
int	hvk_netvsp_send(const struct hvk_netvsp *, bool primary,
	    const struct hvk_packet *, struct hvk_netvsp_send *,
	    uint32_t *status);

/* How a walk over the messages of a data packet is begun. */
static inline void
hvk_netvsp_walk(const struct hvk_netvsp *v, struct hvk_rndis_walk *w,
    const struct hvk_net_seg *seg, uint32_t nseg)
{
	hvk_rndis_walk_init(w, seg, nseg, hvk_net_total(seg, nseg),
	    v->config.max_packets);
}

/* The completion of such a packet: 8 bytes. */
static inline void
hvk_netvsp_send_done(struct hvk_nvsp_rndis_done *done, uint32_t status)
{
	done->type = HVK_NVSP_RNDIS_DONE;
	done->status = status;
}

/*
 * An RNDIS control message.  HVK_OK: answers may be waiting, see `changed'.
 * HVK_REJECT: it made no sense (complete with BAD_RNDIS).  HVK_AGAIN: too many
 * answers are waiting (complete with BUSY).
 */
int	hvk_netvsp_control(struct hvk_netvsp *, const struct hvk_net_seg *,
	    uint32_t nseg);

/*
 * To the guest: messages.
 */
const struct hvk_netvsp_out *hvk_netvsp_peek(const struct hvk_netvsp *);
void	hvk_netvsp_pop(struct hvk_netvsp *);

/*
 * Notifications.  HVK_STATE: the guest cannot be told now (a change of the link
 * is remembered: it asks when it starts).  HVK_AGAIN: too many are waiting, and
 * the state is still the old one; say it again when some have gone out.  Changes
 * of the link that have not gone out yet become one.
 */
int	hvk_netvsp_link(struct hvk_netvsp *, bool up, uint64_t speed);
int	hvk_netvsp_network_change(struct hvk_netvsp *);
int	hvk_netvsp_vf(struct hvk_netvsp *, bool present, uint32_t serial);
/* Which channels the guest should send on; called when they are open. */
int	hvk_netvsp_send_table(struct hvk_netvsp *, uint32_t channels);

/* Whether a frame (its first 6 bytes) passes the guest's filter. */
bool	hvk_netvsp_passes(const struct hvk_netvsp *, const uint8_t *frame);

/* Which channel, below `channels', gets a frame with that hash. */
static inline uint32_t
hvk_netvsp_steer(const struct hvk_netvsp *v, uint32_t hash, uint32_t channels)
{
	uint32_t channel;

	if (!v->rss.enabled || v->rss.entries == 0)
		return (0);
	channel = v->rss.table[hash % v->rss.entries];
	return (channel < channels ? channel : 0);
}

/*
 * To the guest: frames.  A packet holds up to HVK_NVSP_RANGES slots:
 *
 *	while (frames and queue_slot() is HVK_OK) {
 *		write header (hvk_rndis_encode()) and frame at `offset'
 *		queue_put(length of both)
 *	}
 *	queue_close(), hvk_tx_xfer_pages(), or queue_undo() if that has no room
 *
 * Slots in the guest's hands come back with queue_done().
 */
struct hvk_netvsp_slot {		/* private */
	uint16_t	next;		/* free list, or a packet's list */
};

struct hvk_netvsp_sent {		/* private */
	uint32_t	generation;
	uint16_t	first;		/* of its slots */
	uint16_t	last;
	uint16_t	count;
	uint16_t	next;
	uint8_t		state;
};

#define	HVK_NETVSP_QUEUE_SLOTS	32768	/* at most, of one queue */
#define	HVK_NETVSP_QUEUE_PACKETS 4096

struct hvk_netvsp_queue {
	/* private */
	struct hvk_netvsp_slot	*slot;
	struct hvk_netvsp_sent	*packet;
	uint32_t	first;		/* of the adapter's slots */
	uint32_t	slot_size;
	uint16_t	nslots;
	uint16_t	npackets;
	uint16_t	free_slot;
	uint16_t	free_packet;
	uint16_t	open;		/* packet being filled */
	uint16_t	held;		/* slot given out by queue_slot() */
	bool		control;

	/* to be read */
	struct hvk_xfer_range range[HVK_NVSP_RANGES_RSC];
	uint32_t	nranges;	/* of the packet being filled */
	uint32_t	max_ranges;
	uint32_t	slots_free;
	uint32_t	busy;		/* packets with the guest */

	/* counters */
	uint64_t	sent;
	uint64_t	done;
	uint64_t	failed;		/* the guest said so */
	uint64_t	frames;
	uint64_t	no_slot;
	uint64_t	unknown;	/* answers to ids never given out */
	uint64_t	stale;		/* answers that came twice */
	uint64_t	malformed;	/* answers of another kind */
};

/*
 * A queue over the adapter's slots [first, first + nslots).  slots and packets
 * hold that many entries and belong to the caller.  HVK_RANGE: more than the
 * adapter has, or too many for a queue.
 */
int	hvk_netvsp_queue_init(struct hvk_netvsp_queue *,
	    const struct hvk_netvsp *, uint32_t first,
	    struct hvk_netvsp_slot *slots, uint32_t nslots,
	    struct hvk_netvsp_sent *packets, uint32_t npackets);

/*
 * A slot for the packet being filled: HVK_OK, `slot_size' bytes may be written
 * at *offset of the receive buffer; asked again without a put it is the same.
 * HVK_NOSPACE: none is free.  HVK_AGAIN: close the packet first.
 */
int	hvk_netvsp_queue_slot(struct hvk_netvsp_queue *, uint32_t *offset);
/*
 * `len' bytes of it are used.  control: an RNDIS control message, alone in its
 * packet.  HVK_RANGE: too long; HVK_STATE: no slot, or another kind is open.
 */
int	hvk_netvsp_queue_put(struct hvk_netvsp_queue *, uint32_t len,
	    bool control);
/*
 * HVK_OK: send a packet with the ranges in q->range, `nranges' of them, pageset
 * HVK_NVSP_RECV_ID, completion wanted, with *nvsp as payload.  The ranges stay
 * until the next queue_slot().  HVK_AGAIN: nothing is open.
 */
int	hvk_netvsp_queue_close(struct hvk_netvsp_queue *, uint64_t *txid,
	    uint32_t *nranges, struct hvk_nvsp_message *nvsp);
/* It could not be sent: its slots are free again.  HVK_REJECT: no such. */
int	hvk_netvsp_queue_undo(struct hvk_netvsp_queue *, uint64_t txid);
/* HVK_OK, or HVK_REJECT: unknown or stale; counted, nothing changed. */
int	hvk_netvsp_queue_done(struct hvk_netvsp_queue *,
	    const struct hvk_packet *);

/*
 * A frame too large for one slot is cut into pieces when the guest does RSC
 * (offloads has HVK_OFF_RSC4 or 6): all pieces in one packet, the first with
 * the frame's information and HVK_PACKET_ID_SUB | _FIRST, the last with _LAST.
 * Bytes of frame that fit into one slot behind a header with that information:
 */
static inline uint32_t
hvk_netvsp_slot_room(const struct hvk_netvsp_queue *q,
    const struct hvk_net_meta *meta)
{
	return (q->slot_size - hvk_rndis_header_len(meta));
}

#endif /* HVK_HOST_NETVSP_H */
