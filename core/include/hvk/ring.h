/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 */

/*
 * One direction of a channel: a ring of packets in memory that the peer can
 * write at any time.  struct hvk_ring_tx is the producer's private half, struct
 * hvk_ring_rx the consumer's; both may be embedded, their fields are private
 * except the counters.
 *
 * Locking: none inside.  The caller serialises each half; the two halves of a
 * channel are independent.  The only shared state is the header page, and the
 * order of the accesses to it is the protocol (core/spec/signal.pml):
 *
 *	publish	write index	fence	interrupt mask, read index
 *	want	pending size	fence	read index
 *	release	read index	fence	pending size, write index
 *	unmask	interrupt mask	fence	write index
 *
 * The peer is not trusted: its index is fetched once, checked, and cached until
 * it is used up; a descriptor is fetched once; a packet's bytes are copied once
 * and only the copy is looked at.  Nothing divides, nothing locks, a batch of
 * packets costs one fence on each side.
 *
 * Source: wire.md sections 6 and 7.
 */

#ifndef HVK_RING_H
#define	HVK_RING_H

#include <hvk/error.h>
#include <hvk/packet.h>
#include <hvk/types.h>
#include <hvk/wire/packet.h>
#include <hvk/wire/ring.h>

/*
 * The steps of the signalling protocol in the order in which the code takes
 * them.  A test defines HVK_RING_TRACE before it includes this file and
 * compares what it sees with the model; everybody else pays nothing.
 */
enum hvk_ring_step {
	HVK_STEP_STORE_WRITE,
	HVK_STEP_STORE_READ,
	HVK_STEP_STORE_MASK,
	HVK_STEP_STORE_UNMASK,
	HVK_STEP_STORE_PENDING,
	HVK_STEP_CLEAR_PENDING,
	HVK_STEP_FENCE,
	HVK_STEP_LOAD_WRITE,
	HVK_STEP_LOAD_READ,
	HVK_STEP_LOAD_MASK,
	HVK_STEP_LOAD_PENDING,
	HVK_STEP_SIGNAL
};
#ifndef HVK_RING_TRACE
#define	HVK_RING_TRACE(step)	((void)0)
#endif

/* Largest packet that a descriptor can state, in bytes. */
#define	HVK_PACKET_MAX		(0xffffu * 8u)
#define	HVK_DESCRIPTOR_SIZE	16u
/* Bytes between the next packet and what is fetched for those after it. */
#define	HVK_RING_AHEAD		1408u
/* The page-buffer form of a GPA-direct packet holds at most this many. */
#define	HVK_PAGE_BUFS_MAX	32u

struct hvk_ring_tx {
	struct hvk_ring_header *hdr;
	uint8_t		*data;
	uint32_t	size;		/* of data */
	uint32_t	max;		/* largest payload of a plain packet */
	uint32_t	write;		/* where the next packet goes */
	uint32_t	room;		/* a packet and trailer must be < this */
	uint32_t	read;		/* the peer's index, when last looked */
	uint32_t	published;	/* what the peer can see of write */
	bool		broken;
	uint64_t	packets;	/* queued */
	uint64_t	bytes;		/* published */
	uint64_t	signals;	/* publications that need a signal */
	uint64_t	full;		/* times that a packet found no room */
};

struct hvk_ring_rx {
	struct hvk_ring_header *hdr;
	const uint8_t	*data;
	const uint8_t	*limit;		/* end of data */
	const uint8_t	*at;		/* where the next packet starts */
	uint32_t	size;		/* of data */
	uint32_t	left;		/* published bytes not yet looked at */
	uint32_t	released;	/* what the peer can see of read */
	bool		flow;		/* the peer's pending size counts */
	bool		broken;
	uint64_t	packets;	/* taken out, malformed ones included */
	uint64_t	bytes;		/* released */
	uint64_t	signals;	/* releases that need a signal */
	uint64_t	full;		/* releases that found a waiting peer */
	uint64_t	rejects;	/* malformed packets skipped */
};

struct hvk_gpa_range {
	uint32_t	len;
	uint32_t	offset;		/* in the first page, < 4096 */
	const uint64_t	*pfn;		/* one for each 4 KiB page */
	uint32_t	npfn;		/* hvk_gpa_pages(offset, len) */
};

struct hvk_page_buf {
	uint32_t	len;
	uint32_t	offset;		/* offset + len <= 4096 */
	uint64_t	pfn;
};

/*
 * Attach to a ring of size bytes of data (a multiple of 4096, at most 1 GiB).
 * The creator, which is the guest before it opens the channel, clears the
 * header and promises flow control; the other side takes the indices over.
 * HVK_OK; HVK_RANGE for a bad size or address; HVK_FATAL for indices that
 * cannot be.
 */
int	hvk_ring_tx_init(struct hvk_ring_tx *, void *hdr, void *data,
	    uint32_t size, bool creator);
int	hvk_ring_rx_init(struct hvk_ring_rx *, void *hdr, void *data,
	    uint32_t size, bool creator);

/*
 * Queue one packet; the peer sees nothing before hvk_ring_tx_publish().
 * HVK_OK; HVK_AGAIN: no room now; HVK_RANGE: it can never fit, or the
 * arguments contradict each other; HVK_FATAL: the peer's index is broken.
 * After anything but HVK_OK the ring is as before.  The payload of an in-band
 * packet is an address even when its length is 0.
 */
static inline int hvk_tx_inband(struct hvk_ring_tx *, uint64_t txid,
    bool want_completion, const void *payload, uint32_t len);
static inline int hvk_tx_completion(struct hvk_ring_tx *, uint64_t txid,
    const void *payload, uint32_t len);
int	hvk_tx_gpa_direct(struct hvk_ring_tx *, uint64_t txid,
	    bool want_completion, const struct hvk_gpa_range *, uint32_t nranges,
	    const void *payload, uint32_t len);
int	hvk_tx_page_bufs(struct hvk_ring_tx *, uint64_t txid,
	    bool want_completion, const struct hvk_page_buf *, uint32_t n,
	    const void *payload, uint32_t len);
int	hvk_tx_xfer_pages(struct hvk_ring_tx *, uint64_t txid,
	    bool want_completion, uint16_t pageset,
	    const struct hvk_xfer_range *, uint32_t n, const void *payload,
	    uint32_t len);

/*
 * Fetch lines for writing, `bytes' of them, that come a little after the next
 * packet's.  Never needed.  A line that the consumer has read must come back
 * before it can be written, and stores wait for that almost one after another;
 * asked for beforehand, lines come together.  So this pays for packets of many
 * lines when the consumer works on another core, and only costs (an instruction
 * for each line) when it does not.
 */
static inline void hvk_ring_tx_ahead(const struct hvk_ring_tx *,
    uint32_t bytes);

/* Make all queued packets visible; true: the caller must signal the peer. */
static inline bool hvk_ring_tx_publish(struct hvk_ring_tx *);

/*
 * Ask the peer to signal when a packet of that many bytes (descriptor, ranges
 * and payload, as hvk_ring_tx_room() counts) would fit.  Everything queued
 * must have been published.  true: no need to wait, send now (also when the
 * ring is broken or the packet can never fit, which sending then reports);
 * false: wait for the peer's signal, then ask again.  0 bytes: no longer
 * waiting.
 */
bool	hvk_ring_tx_want(struct hvk_ring_tx *, uint32_t bytes);

/* The largest packet that can be queued now, with its descriptor, in bytes. */
uint32_t	hvk_ring_tx_room(struct hvk_ring_tx *);
/* Whether it is one of so many, without a look at the peer if that can be. */
static inline bool hvk_ring_tx_fits(struct hvk_ring_tx *, uint32_t bytes);

/*
 * Copy the next packet once into buf (private, 8-aligned, cap bytes) and parse
 * the copy.  Everything lies in buf as it lay in the ring, except that the 16
 * bytes of the descriptor are only in struct hvk_packet.  HVK_OK; HVK_AGAIN: nothing there; HVK_REJECT: this packet is
 * malformed or larger than cap and has been skipped; HVK_FATAL: the peer's
 * index or a packet's length cannot be, there is no way on.
 */
static inline int hvk_ring_rx_next(struct hvk_ring_rx *, void *buf,
    uint32_t cap, struct hvk_packet *);

/*
 * Give the space of all packets taken so far back to the producer; true: it
 * waits for that space and the caller must signal it.
 */
static inline bool hvk_ring_rx_release(struct hvk_ring_rx *);

/* Ask the producer not to signal. */
static inline void hvk_ring_rx_mask(struct hvk_ring_rx *);

/*
 * Ask for signals again.  What has been taken must have been released.  true:
 * something arrived meanwhile, for which no signal will come: mask and go on.
 */
static inline bool hvk_ring_rx_unmask(struct hvk_ring_rx *);

/* Out of the way: what the inline functions need now and then. */
int	hvk_tx_refill(struct hvk_ring_tx *, uint32_t need);
int	hvk_tx_plain_wrapped(struct hvk_ring_tx *, uint64_t head,
	    uint64_t txid, const void *payload, uint32_t len);
int	hvk_rx_refill(struct hvk_ring_rx *);
int	hvk_rx_bad(struct hvk_ring_rx *, uint32_t total);
uint64_t	hvk_rx_wrapped(struct hvk_ring_rx *, uint8_t *copy,
		    uint32_t total);
bool	hvk_rx_waiting(struct hvk_ring_rx *, uint32_t before,
	    uint32_t pending);

/* Shared words: one access each, acquire and release. */
HVK_INLINE uint32_t
hvk_shared_load(const uint32_t *word)
{
	return (__atomic_load_n(word, __ATOMIC_ACQUIRE));
}

HVK_INLINE void
hvk_shared_store(uint32_t *word, uint32_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
}

/* Orders a store to one shared word before a load from another. */
HVK_INLINE void
hvk_fence(void)
{
	HVK_RING_TRACE(HVK_STEP_FENCE);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

typedef uint64_t __attribute__((__may_alias__)) hvk_shared64;
typedef uint32_t __attribute__((__may_alias__)) hvk_shared32;

/* Eight bytes of shared data, fetched exactly once. */
HVK_INLINE uint64_t
hvk_fetch64(const uint8_t *at)
{
#if UINTPTR_MAX > 0xffffffffu
	return (*(const volatile hvk_shared64 *)(const volatile void *)at);
#else
	const volatile hvk_shared32 *word = (const volatile void *)at;
	uint32_t low;

	low = word[0];
	return (low | (uint64_t)word[1] << 32);
#endif
}

/*
 * A payload.  The compiler may know a bound for the length from the checks and
 * then expands the copy into a string instruction, which is slow to start; it
 * is made to forget and calls the system's copy.
 */
HVK_INLINE void
hvk_copy_payload(void *to, const void *from, uint32_t len)
{
	size_t n = len;

	__asm__ ("" : "+r" (n));
	hvk_copy(to, from, n);
}

HVK_INLINE void
hvk_put64(uint8_t *at, uint64_t value)
{
	hvk_copy(at, &value, sizeof(value));
}

/* The first eight bytes of a descriptor; lengths are in bytes. */
HVK_INLINE uint64_t
hvk_descriptor_head(uint16_t type, uint32_t offset, uint32_t total,
    bool want_completion)
{
	return (type | (uint64_t)(offset >> 3) << 16 |
	    (uint64_t)(total >> 3) << 32 |
	    (uint64_t)(want_completion ? HVK_PKT_WANT_COMPLETION : 0) << 48);
}

/* Bytes from one place in a ring forward to another. */
HVK_INLINE uint32_t
hvk_ring_distance(uint32_t from, uint32_t to, uint32_t size)
{
	return (to >= from ? to - from : to + size - from);
}

/* A packet without ranges. */
HVK_INLINE int
hvk_tx_plain(struct hvk_ring_tx *tx, uint16_t type, bool want_completion,
    uint64_t txid, const void *payload, uint32_t len)
{
	uint64_t head;
	uint8_t *at;
	uint32_t end, need, start, total;
	int error;

	if (hvk_unlikely(len > tx->max))
		return (HVK_RANGE);
	total = HVK_DESCRIPTOR_SIZE + hvk_align8(len);
	need = total + HVK_RING_TRAILER;
	if (hvk_unlikely(need >= tx->room)) {
		error = hvk_tx_refill(tx, need);
		if (error != HVK_OK)
			return (error);
	}
	head = hvk_descriptor_head(type, HVK_DESCRIPTOR_SIZE, total,
	    want_completion);
	start = tx->write;
	end = start + need;
	if (hvk_unlikely(end >= tx->size))
		return (hvk_tx_plain_wrapped(tx, head, txid, payload, len));

	at = tx->data + start;
	/* Clears the padding; the payload or the descriptor goes on top. */
	hvk_put64(at + total - 8, 0);
	hvk_put64(at, head);
	hvk_put64(at + 8, txid);
	hvk_put64(at + total, (uint64_t)start << 32);
	tx->write = end;
	tx->room -= need;
	tx->packets++;
	hvk_copy_payload(at + HVK_DESCRIPTOR_SIZE, payload, len);
	return (HVK_OK);
}

static inline int
hvk_tx_inband(struct hvk_ring_tx *tx, uint64_t txid, bool want_completion,
    const void *payload, uint32_t len)
{
	return (hvk_tx_plain(tx, HVK_PKT_INBAND, want_completion, txid,
	    payload, len));
}

static inline int
hvk_tx_completion(struct hvk_ring_tx *tx, uint64_t txid, const void *payload,
    uint32_t len)
{
	/* An empty completion may come without an address. */
	return (hvk_tx_plain(tx, HVK_PKT_COMPLETION, false, txid,
	    len != 0 ? payload : tx, len));
}

HVK_INLINE void
hvk_fetch_line(const uint8_t *at)
{
#if defined(__x86_64__) || defined(__i386__)
	/* What compilers make of the builtin fetches for reading. */
	__asm__ volatile ("prefetchw %0" : : "m" (*at));
#else
	__builtin_prefetch(at, 1);
#endif
}

static inline void
hvk_ring_tx_ahead(const struct hvk_ring_tx *tx, uint32_t bytes)
{
	uint32_t at, end, i;

	at = tx->write + bytes + HVK_RING_AHEAD;
	end = at + bytes;
	if (end > tx->size)
		return;		/* once a round */
	for (i = at; i + 192 < end; i += 256) {
		hvk_fetch_line(tx->data + i);
		hvk_fetch_line(tx->data + i + 64);
		hvk_fetch_line(tx->data + i + 128);
		hvk_fetch_line(tx->data + i + 192);
	}
	for (; i < end; i += 64)
		hvk_fetch_line(tx->data + i);
}

static inline bool
hvk_ring_tx_fits(struct hvk_ring_tx *tx, uint32_t bytes)
{
	return (hvk_likely(hvk_align8(bytes) + HVK_RING_TRAILER < tx->room) ||
	    hvk_ring_tx_room(tx) >= bytes);
}

static inline bool
hvk_ring_tx_publish(struct hvk_ring_tx *tx)
{
	uint32_t old;

	old = tx->published;
	if (tx->write == old)
		return (false);
	HVK_RING_TRACE(HVK_STEP_STORE_WRITE);
	hvk_shared_store(&tx->hdr->write, tx->write);
	tx->bytes += hvk_ring_distance(old, tx->write, tx->size);
	tx->published = tx->write;
	hvk_fence();
	HVK_RING_TRACE(HVK_STEP_LOAD_MASK);
	if (hvk_shared_load(&tx->hdr->mask) != 0)
		return (false);
	/* Acquire above: this read is not older than the mask. */
	HVK_RING_TRACE(HVK_STEP_LOAD_READ);
	if (hvk_shared_load(&tx->hdr->read) != old)
		return (false);
	HVK_RING_TRACE(HVK_STEP_SIGNAL);
	tx->signals++;
	return (true);
}

/* The consumer's private index. */
HVK_INLINE uint32_t
hvk_rx_index(const struct hvk_ring_rx *rx)
{
	return ((uint32_t)(rx->at - rx->data));
}

static inline int
hvk_ring_rx_next(struct hvk_ring_rx *rx, void *buf, uint32_t cap,
    struct hvk_packet *packet)
{
	const uint8_t *at;
	uint8_t *copy = buf;
	uint64_t head;
	uint32_t body, left, need, off, total;
	int error;

	if (hvk_unlikely(rx->left == 0)) {
		error = hvk_rx_refill(rx);
		if (error != HVK_OK)
			return (error);
	}
	at = rx->at;
	head = hvk_fetch64(at);
	total = (uint32_t)(head >> 29) & (0xffffu << 3);
	off = (uint32_t)head >> 13 & (0xffffu << 3);
	need = total + HVK_RING_TRAILER;
	body = total - HVK_DESCRIPTOR_SIZE;
	/*
	 * Not more than was published; and body wraps round when the packet is
	 * shorter than its descriptor.
	 */
	left = rx->left;
	if (hvk_unlikely(need > left || cap < HVK_DESCRIPTOR_SIZE ||
	    body > cap - HVK_DESCRIPTOR_SIZE ||
	    off - HVK_DESCRIPTOR_SIZE > body))
		return (hvk_rx_bad(rx, total));

	packet->type = (uint16_t)head;
	packet->want_completion = (head &
	    (uint64_t)HVK_PKT_WANT_COMPLETION << 48) != 0;
	packet->payload = copy + off;
	packet->len = total - off;
	packet->nranges = 0;
	rx->left = left - need;
	rx->packets++;
	if (hvk_likely(at + need < rx->limit)) {
		rx->at = at + need;
		packet->txid = hvk_fetch64(at + 8);
		hvk_copy_payload(copy + HVK_DESCRIPTOR_SIZE,
		    at + HVK_DESCRIPTOR_SIZE, body);
	} else
		packet->txid = hvk_rx_wrapped(rx, copy, total);
	if (hvk_likely((uint16_t)head == HVK_PKT_INBAND ||
	    (uint16_t)head == HVK_PKT_COMPLETION))
		return (HVK_OK);
	error = hvk_packet_parse_ranges(packet, copy, off);
	if (error != HVK_OK)
		rx->rejects++;
	return (error);
}

static inline bool
hvk_ring_rx_release(struct hvk_ring_rx *rx)
{
	uint32_t old, pending, read;

	old = rx->released;
	read = hvk_rx_index(rx);
	if (read == old)
		return (false);
	HVK_RING_TRACE(HVK_STEP_STORE_READ);
	hvk_shared_store(&rx->hdr->read, read);
	rx->bytes += hvk_ring_distance(old, read, rx->size);
	rx->released = read;
	hvk_fence();
	HVK_RING_TRACE(HVK_STEP_LOAD_PENDING);
	pending = hvk_shared_load(&rx->hdr->pending);
	if (hvk_likely(pending == 0) || !rx->flow)
		return (false);
	return (hvk_rx_waiting(rx, old, pending));
}

static inline void
hvk_ring_rx_mask(struct hvk_ring_rx *rx)
{
	HVK_RING_TRACE(HVK_STEP_STORE_MASK);
	hvk_shared_store(&rx->hdr->mask, 1);
}

static inline bool
hvk_ring_rx_unmask(struct hvk_ring_rx *rx)
{
	/* Release: a producer that sees this also sees the read index. */
	HVK_RING_TRACE(HVK_STEP_STORE_UNMASK);
	hvk_shared_store(&rx->hdr->mask, 0);
	hvk_fence();
	HVK_RING_TRACE(HVK_STEP_LOAD_WRITE);
	return (hvk_shared_load(&rx->hdr->write) != hvk_rx_index(rx));
}

#endif /* !HVK_RING_H */
