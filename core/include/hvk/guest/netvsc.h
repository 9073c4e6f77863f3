/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * The guest's half of the network protocol (NVSP 1 to 6.1, RNDIS, NDIS).
 *
 * Three machines.  `hvk_netvsc' is one interface: start-up, requests, link and
 * other events, shut-down; it lives on the primary channel.  `hvk_netvsc_tx' is
 * one channel's sending half: transaction ids, send-buffer sections,
 * aggregation.  `hvk_netvsc_rx' is its receiving half: it takes a packet apart
 * into frames.  None of them calls out: packets and the time go in, packets,
 * frames and events come out.  The caller owns rings, memory and waiting.
 *
 * Who gets a packet from a ring:
 *
 *	switch (hvk_netvsc_kind(&pkt)) {
 *	case HVK_NETVSC_KIND_RX:	rx_begin, rx_next..., then an ack
 *	case HVK_NETVSC_KIND_TX:	tx_done
 *	case HVK_NETVSC_KIND_CONTROL:	hvk_netvsc_input, locked
 *	case HVK_NETVSC_KIND_NONE:	count it, forget it
 *	}
 *
 * Start-up:
 *
 *	init, start		-> WANT_BUFFERS	the version is known; make the
 *					GPADLs, then hvk_netvsc_buffers()
 *				-> IS_READY	everything in struct hvk_netvsc
 *					is filled in; open `subchannels' more
 *					channels as they are offered, then set
 *					RSS, then the packet filter
 * Whenever an event or call may have made something to send: pull until false.
 *
 * Transaction ids are {kind, generation, index}, never addresses; a packet
 * counts only if all three match something that is with the host.
 *
 * Time is in milliseconds of any monotonic clock.
 *
 * Locking: none here.  The caller serialises all calls on one object; different
 * objects may be used at once.  hvk_netvsc_kind() and _pick() may be called at
 * any time after start-up.
 *
 * Facts: wire.md sections 14 to 16 and 24; what hosts insist on, FreeBSD's
 * hn(4) and Linux 6.19's netvsc.
 */

#ifndef _HVK_GUEST_NETVSC_H_
#define	_HVK_GUEST_NETVSC_H_

#include <hvk/types.h>
#include <hvk/error.h>
#include <hvk/ndis.h>
#include <hvk/packet.h>
#include <hvk/rndis.h>
#include <hvk/wire/ndis.h>
#include <hvk/wire/nvsp.h>
#include <hvk/wire/rndis.h>

#define	HVK_NETVSC_CONTROL	2048	/* bytes of a control message */
#define	HVK_NETVSC_MTU_MAX	65521	/* with its header 65535 */
#define	HVK_NETVSC_MULTICAST	128	/* addresses in one filter */
#define	HVK_NETVSC_CHANNELS	64	/* that one interface can have */

enum hvk_netvsc_kind {
	HVK_NETVSC_KIND_NONE,		/* answers nothing of ours */
	HVK_NETVSC_KIND_RX,		/* frames, or RNDIS control messages */
	HVK_NETVSC_KIND_TX,		/* a send is over */
	HVK_NETVSC_KIND_CONTROL		/* for the interface's machine */
};

enum hvk_netvsc_kind hvk_netvsc_kind(const struct hvk_packet *);

/*
 * The interface.
 */
enum hvk_netvsc_phase {
	HVK_NETVSC_IDLE,
	HVK_NETVSC_VERSION,		/* NVSP init sent */
	HVK_NETVSC_BUFFERS,		/* the caller makes buffers */
	HVK_NETVSC_RECV_BUFFER,
	HVK_NETVSC_SEND_BUFFER,
	HVK_NETVSC_RNDIS_INIT,
	HVK_NETVSC_QUERIES,		/* MAC, MTU, link, abilities */
	HVK_NETVSC_OFFLOADS,		/* parameters being set */
	HVK_NETVSC_SUBCHANNELS,
	HVK_NETVSC_READY,		/* and perhaps a request under way */
	HVK_NETVSC_HALTING,		/* RNDIS halt, buffers being revoked */
	HVK_NETVSC_HALTED,		/* may be started anew */
	HVK_NETVSC_FAILED,
	HVK_NETVSC_NPHASES
};

enum hvk_netvsc_event {
	HVK_NETVSC_NOTHING,
	HVK_NETVSC_WANT_BUFFERS,	/* see hvk_netvsc_buffers() */
	HVK_NETVSC_IS_READY,		/* start-up is over */
	HVK_NETVSC_REQUEST_OVER,	/* see `request' */
	HVK_NETVSC_IS_HALTED,
	HVK_NETVSC_HAS_FAILED,		/* told once; see `reason' */
	HVK_NETVSC_LINK,		/* `link' or `speed' changed */
	HVK_NETVSC_NETWORK,		/* another network: renew addresses */
	HVK_NETVSC_VF,			/* `vf_present', `vf_serial' changed */
	HVK_NETVSC_SEND_TABLE		/* `send_table' changed */
};

enum hvk_netvsc_reason {
	HVK_NETVSC_NO_REASON,
	HVK_NETVSC_NO_ANSWER,		/* a start-up step timed out */
	HVK_NETVSC_NO_VERSION,		/* no common version */
	HVK_NETVSC_REFUSED,		/* a needed step was refused */
	HVK_NETVSC_BAD_BUFFER,		/* unusable receive sections */
	HVK_NETVSC_BAD_ANSWER,
	HVK_NETVSC_STOPPED		/* by hvk_netvsc_stop() */
};

struct hvk_netvsc_config {
	uint32_t	mtu;		/* 0: 1500; without Ethernet header */
	uint32_t	max_version;	/* 0: newest; else HVK_NVSP_VERSION_* */
	uint32_t	subchannels;	/* wanted, 0 for none */
	uint32_t	offloads;	/* HVK_OFF_* wanted, if the host can */
	uint32_t	step_ms;	/* 0: 10,000; each step or request */
	bool		sriov;		/* a VF would be used */
};

/* Buffers made by the caller, by their GPADLs on the primary channel. */
struct hvk_netvsc_buffers {
	uint32_t	recv_gpadl;
	uint32_t	recv_len;	/* at most recv_max */
	uint32_t	send_gpadl;	/* ignored if send_len is 0 */
	uint32_t	send_len;	/* at most send_max; 0: none */
};

/* How a request of the caller ended. */
struct hvk_netvsc_result {
	uint32_t	oid;		/* 0: keep-alive or reset */
	bool		answered;	/* false: timed out, or failed */
	uint32_t	status;		/* HVK_RNDIS_STATUS_*, if answered */
	uint32_t	len;		/* of data: the answer to a query */
	const uint8_t	*data;		/* 8-aligned, until the next call */
};

struct hvk_netvsc {
	struct hvk_netvsc_config config;
	enum hvk_netvsc_phase	phase;
	enum hvk_netvsc_reason	reason;

	/* From WANT_BUFFERS on. */
	uint32_t		version;	/* HVK_NVSP_VERSION_* */
	uint32_t		ndis_version;	/* HVK_NDIS_VERSION() */
	uint32_t		recv_max;	/* largest buffers that the
						   version allows */
	uint32_t		send_max;

	/* From IS_READY on. */
	uint8_t			mac[6];		/* permanent */
	uint32_t		mtu;		/* config.mtu, or less if
						   the host says so */
	bool			link;
	uint64_t		speed;		/* bit/s, 0 unknown */
	struct hvk_nvsp_section	recv;		/* checked: count * size and
						   end are in the buffer */
	uint32_t		send_size;	/* of one section, 0: none */
	uint32_t		send_count;
	uint32_t		max_packets;	/* in one send, 1 or more */
	uint32_t		max_transfer;	/* bytes of one send */
	uint32_t		align;		/* bytes, 4 or more */
	struct hvk_net_offload	offload;	/* what the host can */
	uint32_t		offloads;	/* HVK_OFF_* that are on */
	struct hvk_net_rss_caps	rss;		/* queues 0: none */
	uint32_t		subchannels;	/* granted, at most wanted */
	/* Equal parts until the host says otherwise; see _pick(). */
	uint32_t		send_table[HVK_NVSP_SEND_TABLE_SIZE];
	bool			vf_present;
	uint32_t		vf_serial;
	uint32_t		filter;		/* as last set */

	struct hvk_netvsc_result request;	/* the last that ended */

	/* private */
	uint32_t		generation;	/* of ids, NVSP and RNDIS */
	uint32_t		candidate;
	uint32_t		ask;		/* which query of start-up */
	uint32_t		rid;		/* RNDIS id under way, 0 none */
	uint32_t		answer;		/* its answer's type */
	uint32_t		oid;
	uint64_t		txid;		/* send under way, 0 none */
	uint64_t		deadline;
	uint32_t		notes;		/* messages without reply */
	uint32_t		wanted;		/* what a set will make true */
	uint32_t		in_len;
	uint32_t		reply[4];	/* to the host's keep-alive */
	bool			host_asks;
	bool			replying;	/* the page holds `reply' */
	bool			rndis_up;
	uint32_t		serial;		/* of ids nobody waits for */
	bool			waiting;	/* for an answer */
	bool			sending;	/* control memory is the host's */
	bool			unsent;
	bool			mine;		/* a request of the caller */
	bool			restarted;	/* the version is fixed */
	struct hvk_netvsc_buffers buffers;
	uint32_t		out_len;
	uint32_t		path;		/* HVK_NVSP_PATH_* */
	uint64_t		out[HVK_NETVSC_CONTROL / 8];
	uint64_t		in[HVK_NETVSC_CONTROL / 8];

	/* counters */
	uint64_t		rejected;	/* messages that made no sense */
	uint64_t		late;		/* answers nobody waits for */
	uint64_t		timeouts;
	uint64_t		links;		/* changes of the link */
	uint64_t		unknown;	/* statuses without a meaning */
};

struct hvk_netvsc_message {
	uint64_t		txid;
	bool			want_completion;
	struct hvk_nvsp_message	nvsp;		/* the payload, all of it */
	/*
	 * If rndis_len is not 0: send nvsp with one page of the caller's that
	 * holds this (GPA-direct), else in-band.  The page is the host's until
	 * the next message with rndis_len is pulled.
	 */
	uint32_t		rndis_len;	/* at most HVK_NETVSC_CONTROL */
	const void		*rndis;		/* until the next call */
};

void	hvk_netvsc_init(struct hvk_netvsc *, const struct hvk_netvsc_config *);

/*
 * HVK_STATE unless it is fresh, HALTED, or FAILED for another reason than
 * STOPPED.  Started again, on newly opened channels, it asks for the same
 * version and for config.mtu as it is then.
 */
int	hvk_netvsc_start(struct hvk_netvsc *, uint64_t now);

/*
 * The answer to WANT_BUFFERS.  HVK_STATE: not now.  HVK_RANGE: a length is 0
 * (the receive buffer's) or too large.
 */
int	hvk_netvsc_buffers(struct hvk_netvsc *,
	    const struct hvk_netvsc_buffers *, uint64_t now);

/*
 * The message to send on the primary channel now, if there is one.  If the ring
 * is full the caller keeps it and sends it later; if it never does, the
 * deadline ends the step.
 */
bool	hvk_netvsc_pull(struct hvk_netvsc *, struct hvk_netvsc_message *);

/*
 * A packet of kind CONTROL from the primary channel.  HVK_OK and an event
 * (often NOTHING), or HVK_REJECT: counted, ignored.  `ack' is set when the host
 * wants an empty completion of it.
 */
int	hvk_netvsc_input(struct hvk_netvsc *, const struct hvk_packet *,
	    uint64_t now, enum hvk_netvsc_event *, bool *ack);

/*
 * An RNDIS control message that hvk_netvsc_rx_next() found: `bytes' is in the
 * receive buffer and copied once.  Results as above.
 */
int	hvk_netvsc_rndis(struct hvk_netvsc *, const void *bytes, uint32_t len,
	    uint64_t now, enum hvk_netvsc_event *);

/* When hvk_netvsc_tick() has something to do; UINT64_MAX: never. */
uint64_t hvk_netvsc_deadline(const struct hvk_netvsc *);
enum hvk_netvsc_event hvk_netvsc_tick(struct hvk_netvsc *, uint64_t now);

/*
 * Requests, one at a time, when READY.  HVK_OK: pull, then REQUEST_OVER follows
 * within step_ms of ticks.  HVK_STATE: not ready.  HVK_AGAIN: one is under way.
 * HVK_RANGE: too long, or not what the interface can do.
 */
int	hvk_netvsc_query(struct hvk_netvsc *, uint32_t oid, const void *in,
	    uint32_t len, uint64_t now);
int	hvk_netvsc_set(struct hvk_netvsc *, uint32_t oid, const void *in,
	    uint32_t len, uint64_t now);
int	hvk_netvsc_set_filter(struct hvk_netvsc *, uint32_t filter,
	    uint64_t now);
int	hvk_netvsc_set_multicast(struct hvk_netvsc *,
	    const uint8_t (*list)[6], uint32_t n, uint64_t now);
int	hvk_netvsc_set_mac(struct hvk_netvsc *, const uint8_t mac[6],
	    uint64_t now);
/* Exactly these on; HVK_RANGE: not among offload.can. */
int	hvk_netvsc_set_offloads(struct hvk_netvsc *, uint32_t on,
	    uint64_t now);
/* HVK_RANGE: more entries than rss.entries, or a channel that is not there. */
int	hvk_netvsc_set_rss(struct hvk_netvsc *, const struct hvk_net_rss *,
	    uint64_t now);
int	hvk_netvsc_keepalive(struct hvk_netvsc *, uint64_t now);
/* Afterwards everything that was set must be set again. */
int	hvk_netvsc_reset(struct hvk_netvsc *, uint64_t now);

/*
 * Which path the host takes for frames: a message without an answer that anyone
 * needs.  HVK_STATE: not ready, or a version that has no such thing.
 */
int	hvk_netvsc_data_path(struct hvk_netvsc *, bool vf);

/*
 * Shut-down: RNDIS halt, then the buffers are revoked.  The caller has stopped
 * sending and waited for its sends.  IS_HALTED follows within step_ms of ticks
 * even if the host is silent.  A request under way is given up: `request' says
 * so, there is no event for it.  Then pull until false, close the channels and tear the GPADLs down
 * in the order of hvk_netvsc_gpadl_first().  HVK_STATE: not started, or over.
 */
int	hvk_netvsc_halt(struct hvk_netvsc *, uint64_t now);

/* GPADLs before the channel is closed (hosts before VMBus 4.0), or after. */
bool	hvk_netvsc_gpadl_first(uint32_t vmbus_version);

/* Nothing can be sent any more: rescinded, detached or broken. */
void	hvk_netvsc_stop(struct hvk_netvsc *);

static inline bool
hvk_netvsc_ready(const struct hvk_netvsc *s)
{
	return (s->phase == HVK_NETVSC_READY);
}

/* Which of `channels' (1 or more) a frame with that hash is sent on. */
static inline uint32_t
hvk_netvsc_pick(const struct hvk_netvsc *s, uint32_t hash, uint32_t channels)
{
	uint32_t channel;

	channel = s->send_table[hash % HVK_NVSP_SEND_TABLE_SIZE];
	return (channel < channels ? channel : channel % channels);
}

/*
 * A change of the MTU: what to do next, given whether the last thing worked.
 * The interface is closed, started with the new MTU, and, if that fails,
 * started with the old one again.
 *
 *	hvk_netvsc_mtu_begin(&m, old, new);
 *	for (ok = true; (step = hvk_netvsc_mtu_next(&m, ok)) < DONE; )
 *		ok = do_it(step, m.mtu);
 */
enum hvk_netvsc_mtu_step {
	HVK_NETVSC_MTU_HALT,		/* stop traffic, hvk_netvsc_halt() */
	HVK_NETVSC_MTU_CLOSE,		/* close channels, tear GPADLs down */
	HVK_NETVSC_MTU_OPEN,		/* open the primary channel */
	HVK_NETVSC_MTU_START,		/* config.mtu = m.mtu, start, until
					   ready, and s.mtu is m.mtu */
	HVK_NETVSC_MTU_RESTORE,		/* sub-channels, RSS, filter */
	HVK_NETVSC_MTU_DONE,		/* the new MTU is in force */
	HVK_NETVSC_MTU_KEPT,		/* the old one is, as before */
	HVK_NETVSC_MTU_LOST		/* the interface cannot be used */
};

struct hvk_netvsc_mtu {
	uint32_t	mtu;		/* for START */
	uint32_t	old;		/* private */
	enum hvk_netvsc_mtu_step step;
	bool		begun;
	bool		back;
};

void	hvk_netvsc_mtu_begin(struct hvk_netvsc_mtu *, uint32_t old,
	    uint32_t mtu);
enum hvk_netvsc_mtu_step hvk_netvsc_mtu_next(struct hvk_netvsc_mtu *, bool ok);

/*
 * Sending, one for each channel.  A frame goes one of two ways:
 *
 *	tx_copy		its header is written into a section of the send
 *			buffer, the caller copies the frame behind it; more
 *			frames may follow in the same section, until tx_close
 *			gives the packet to send (in-band)
 *	tx_direct	the caller encodes the header (hvk_rndis_encode()) into
 *			memory of its own and sends that and the frame's pages
 *			(GPA-direct)
 *
 * Each channel owns a part of the sections, so that channels share nothing.
 */
#define	HVK_NETVSC_MAX_SENDS	4096	/* slots of one channel */
#define	HVK_NETVSC_MAX_SECTIONS	4096	/* of one channel */
#define	HVK_NETVSC_MAX_SECTION	(1u << 30) /* bytes of one */

struct hvk_netvsc_send {		/* private: a slot */
	void		*cookie;
	uint32_t	generation;
	uint32_t	section;	/* or HVK_NVSP_NO_SECTION */
	uint32_t	bytes;
	uint16_t	packets;
	uint16_t	next;
	uint8_t		state;
};

struct hvk_netvsc_tx_config {
	uint8_t		*buffer;	/* the whole send buffer */
	uint32_t	section_size;	/* send_size of the interface; 0: no
					   sections, everything goes direct */
	uint32_t	first;		/* this channel's sections */
	uint32_t	count;		/* at most HVK_NETVSC_MAX_SECTIONS */
	uint32_t	align;		/* of the interface */
	uint32_t	max_packets;
	uint32_t	max_transfer;
};

struct hvk_netvsc_tx {
	struct hvk_netvsc_send	*slot;
	struct hvk_netvsc_tx_config config;
	/*
	 * The caller may lower and raise these two within the config's; less
	 * counts from the next section on.
	 */
	uint32_t	agg_size;	/* bytes in one section */
	uint32_t	agg_packets;	/* 1: no aggregation */
	uint16_t	size;
	uint16_t	busy;		/* with the host */

	/* private */
	uint16_t	free;
	uint16_t	open;		/* slot being filled */
	uint32_t	round;		/* align - 1 */
	uint8_t		*base;		/* its section */
	uint8_t		*at;		/* where the next frame goes */
	uint32_t	left;		/* bytes that may still be filled */
	uint32_t	more;		/* frames that may still go in */
	uint32_t	packets;	/* that are in */
	uint32_t	bytes;
	uint32_t	hint;
	uint32_t	sections_free;
	uint64_t	stalled_at;	/* of hvk_netvsc_tx_stalled() */
	uint64_t	stalled_done;
	uint32_t	map[HVK_NETVSC_MAX_SECTIONS / 32]; /* 1: free */

	/* counters */
	uint64_t	sent;		/* packets with the host so far */
	uint64_t	done;
	uint64_t	failed;		/* the host said so */
	uint64_t	frames;
	uint64_t	copied;		/* frames that went by a section */
	uint64_t	no_section;	/* times that all were taken */
	uint64_t	unknown;	/* answers to ids never given out */
	uint64_t	stale;		/* answers that came twice or too late */
	uint64_t	malformed;	/* answers of another kind */
};

/* A packet to send: `nvsp' is its payload, completion wanted. */
struct hvk_netvsc_out {
	uint64_t		txid;
	struct hvk_nvsp_message	nvsp;
};

struct hvk_netvsc_sent {
	void		*cookie;	/* of tx_direct; NULL for tx_copy */
	uint32_t	packets;
	uint32_t	bytes;		/* of frames */
	bool		ok;		/* the host took them */
};

/* `slots' belongs to the caller.  HVK_RANGE: a bad size or config. */
int	hvk_netvsc_tx_init(struct hvk_netvsc_tx *, struct hvk_netvsc_send *slots,
	    uint32_t size, const struct hvk_netvsc_tx_config *);

/* Out of the way: a section is opened, or is full. */
int	hvk_netvsc_tx_section(struct hvk_netvsc_tx *,
	    const struct hvk_net_meta *, uint32_t len, uint8_t **at);

/* A frame's header and padding; `need' bytes of the section are there. */
HVK_INLINE uint8_t *
hvk_netvsc_tx_place(struct hvk_netvsc_tx *tx, const struct hvk_net_meta *meta,
    uint32_t header, uint32_t len, uint32_t need)
{
	uint8_t *to = tx->at;

	/*
	 * What is padding must not be what was there before.  Eight bytes at
	 * the end are cheaper than none or a few; header and frame go on top.
	 */
	hvk_zero(to + need - 8, 8);
	if (hvk_unlikely(need - header - len > 8))
		hvk_zero(to + header + len, need - header - len);
	hvk_rndis_write(to, meta, header, len, need);
	tx->at = to + need;
	tx->packets++;
	tx->bytes += len;
	return (to + header);
}

/*
 * Room for a frame of `len' bytes in a section: HVK_OK, copy it to *at.
 * HVK_AGAIN: close what is open first, then ask again.  HVK_NOSPACE: no section
 * or no slot is free.  HVK_RANGE: it never fits, send it directly.
 */
static inline int
hvk_netvsc_tx_copy(struct hvk_netvsc_tx *tx, const struct hvk_net_meta *meta,
    uint32_t len, uint8_t **at)
{
	uint32_t header, need;

	header = hvk_rndis_header_len(meta);
	need = (header + len + tx->round) & ~tx->round;
	/* No overflow: `left' is at most a section, far from 2^32. */
	if (hvk_unlikely(len - 1 >= tx->left || need > tx->left))
		return (hvk_netvsc_tx_section(tx, meta, len, at));
	*at = hvk_netvsc_tx_place(tx, meta, header, len, need);
	tx->left = --tx->more != 0 ? tx->left - need : 0;
	return (HVK_OK);
}

/* HVK_OK: send it.  HVK_AGAIN: nothing is open. */
int	hvk_netvsc_tx_close(struct hvk_netvsc_tx *, struct hvk_netvsc_out *);

/* HVK_OK: send it; HVK_NOSPACE: no slot is free. */
int	hvk_netvsc_tx_direct(struct hvk_netvsc_tx *, void *cookie,
	    uint32_t len, struct hvk_netvsc_out *);

/* A packet could not be sent after all.  HVK_REJECT: no such packet. */
int	hvk_netvsc_tx_cancel(struct hvk_netvsc_tx *, uint64_t txid,
	    struct hvk_netvsc_sent *);

/*
 * A packet of kind TX.  HVK_OK: a send is over.  HVK_REJECT: unknown or stale;
 * counted, nothing changed.
 */
int	hvk_netvsc_tx_done(struct hvk_netvsc_tx *, const struct hvk_packet *,
	    struct hvk_netvsc_sent *);

/*
 * Sends are out and none has ended for `ms': to be called now and then.  The
 * channel is as good as dead.
 */
bool	hvk_netvsc_tx_stalled(struct hvk_netvsc_tx *, uint64_t now,
	    uint64_t ms);

/*
 * End one send after the other, whatever is open too: call until it returns
 * false.  The channel is closed, the host cannot answer any more.
 */
bool	hvk_netvsc_tx_end(struct hvk_netvsc_tx *, struct hvk_netvsc_sent *);

/*
 * Receiving, one for each channel.
 */
struct hvk_netvsc_frag {
	const uint8_t	*data;
	uint32_t	len;
};

enum hvk_netvsc_frame_kind {
	HVK_NETVSC_FRAME,
	HVK_NETVSC_CONTROL_MESSAGE	/* for hvk_netvsc_rndis() */
};

/*
 * Pointers are into the receive buffer, which the host may change: copy the
 * bytes once, then look at the copy.  They are valid until the packet is
 * acknowledged.
 */
struct hvk_netvsc_frame {
	enum hvk_netvsc_frame_kind kind;
	uint32_t	len;		/* of all fragments */
	uint32_t	nfrags;		/* 1, or more if the host coalesced */
	const struct hvk_netvsc_frag *frag;
	struct hvk_net_meta meta;	/* csum: HVK_RXCSUM_* */
};

struct hvk_netvsc_rx {
	const uint8_t	*buffer;
	uint32_t	end;		/* bytes that are in use */
	uint32_t	max_frame;	/* of one frame, coalesced or not */
	uint32_t	max_frags;
	struct hvk_netvsc_frag *frag;	/* the caller's */

	/* private */
	const uint8_t	*ranges;	/* not yet looked at */
	uint32_t	more;		/* of them */
	uint32_t	nfrags;		/* of a sequence */
	uint32_t	sum;
	struct hvk_net_meta meta;	/* of a sequence's first */

	/* counters */
	uint64_t	packets;	/* taken apart */
	uint64_t	frames;
	uint64_t	coalesced;	/* frames of several fragments */
	uint64_t	rejected;	/* ranges that made no sense */
	uint64_t	broken;		/* sequences without begin or end */
};

/*
 * `end' is what the host may write to: the length of the receive buffer (that of
 * the primary channel must be there at WANT_BUFFERS, for what RNDIS answers), or
 * recv.end when that is known.  frags holds max_frags (1 to 562) entries; max_frame bounds
 * the sum of a coalesced frame.  HVK_RANGE otherwise.
 */
int	hvk_netvsc_rx_init(struct hvk_netvsc_rx *, const uint8_t *buffer,
	    uint32_t end, struct hvk_netvsc_frag *frags, uint32_t max_frags,
	    uint32_t max_frame);

/*
 * Start on a packet of kind RX, which must stay until the last rx_next().
 * HVK_OK, or HVK_REJECT: not what it should be; counted.  It is acknowledged
 * all the same, if want_completion is set.
 */
int	hvk_netvsc_rx_begin(struct hvk_netvsc_rx *, const struct hvk_packet *);

/*
 * HVK_OK: a frame or control message.  HVK_REJECT: a range made no sense, it
 * was counted and skipped; go on.  HVK_AGAIN: no more.
 */
static inline int hvk_netvsc_rx_next(struct hvk_netvsc_rx *,
	    struct hvk_netvsc_frame *);

/*
 * Out of the way: a range that is more than one frame alone, as it was parsed
 * (`error'), or no frame.  HVK_AGAIN: it gives nothing yet.
 */
int	hvk_netvsc_rx_other(struct hvk_netvsc_rx *, struct hvk_netvsc_frame *,
	    const uint8_t *base, uint32_t room, int error, uint32_t offset,
	    uint32_t len);
/* No more ranges: a sequence that did not end is dropped. */
void	hvk_netvsc_rx_drop(struct hvk_netvsc_rx *);

static inline int
hvk_netvsc_rx_next(struct hvk_netvsc_rx *rx, struct hvk_netvsc_frame *f)
{
	struct hvk_xfer_range range;
	const uint8_t *base;
	uint32_t len, offset;
	int error;

	do {
		if (rx->more == 0) {
			hvk_netvsc_rx_drop(rx);
			return (HVK_AGAIN);
		}
		hvk_copy(&range, rx->ranges, sizeof(range));
		rx->ranges += sizeof(range);
		rx->more--;
		if (hvk_unlikely(range.offset > rx->end ||
		    range.len > rx->end - range.offset)) {
			rx->rejected++;
			return (HVK_REJECT);
		}
		base = rx->buffer + range.offset;
		error = hvk_rndis_parse_flat(base, range.len, &offset, &len,
		    &f->meta);
		if (hvk_likely(error == HVK_OK && rx->nfrags == 0 &&
		    (f->meta.has & HVK_NET_PACKET_ID) == 0 &&
		    len <= rx->max_frame)) {
			rx->frag->data = base + offset;
			rx->frag->len = len;
			f->kind = HVK_NETVSC_FRAME;
			f->len = len;
			f->nfrags = 1;
			f->frag = rx->frag;
			rx->frames++;
			return (HVK_OK);
		}
		error = hvk_netvsc_rx_other(rx, f, base, range.len, error,
		    offset, len);
	} while (error == HVK_AGAIN);
	if (error != HVK_OK)
		rx->rejected++;
	return (error);
}

/* The payload of an acknowledgement: a completion with the packet's id. */
extern const struct hvk_nvsp_rndis_done hvk_netvsc_ack;

/*
 * Acknowledgements waiting for room in the ring, in the order of arrival.  `id'
 * belongs to the caller.  While it is full nothing more may be received.
 */
struct hvk_netvsc_acks {
	uint64_t	*id;
	uint32_t	size;		/* a power of two */
	uint32_t	head, tail;
};

static inline bool
hvk_netvsc_acks_full(const struct hvk_netvsc_acks *a)
{
	return (a->tail - a->head == a->size);
}

static inline bool
hvk_netvsc_acks_empty(const struct hvk_netvsc_acks *a)
{
	return (a->tail == a->head);
}

/* HVK_RANGE: size is not a power of two. */
static inline int
hvk_netvsc_acks_init(struct hvk_netvsc_acks *a, uint64_t *id, uint32_t size)
{
	if (size == 0 || (size & (size - 1)) != 0)
		return (HVK_RANGE);
	a->id = id;
	a->size = size;
	a->head = a->tail = 0;
	return (HVK_OK);
}

/* HVK_NOSPACE: full. */
static inline int
hvk_netvsc_acks_put(struct hvk_netvsc_acks *a, uint64_t txid)
{
	if (hvk_netvsc_acks_full(a))
		return (HVK_NOSPACE);
	a->id[a->tail++ & (a->size - 1)] = txid;
	return (HVK_OK);
}

/* The oldest: send it, then drop it. */
static inline uint64_t
hvk_netvsc_acks_first(const struct hvk_netvsc_acks *a)
{
	return (a->id[a->head & (a->size - 1)]);
}

static inline void
hvk_netvsc_acks_drop(struct hvk_netvsc_acks *a)
{
	a->head++;
}

#endif	/* !_HVK_GUEST_NETVSC_H_ */
