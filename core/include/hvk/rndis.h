/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 */

/*
 * The packet message of RNDIS, both ways: an Ethernet frame behind a header
 * and pieces of per-packet information.  Readers work on memory that the peer
 * may change while they look: every header word is fetched once, into the
 * caller's struct, and only that copy is checked and used.  The frame itself
 * stays where it is; whoever wants it copies it once.
 *
 * Pure functions, callable from anywhere.  Source: wire.md section 15.
 */

#ifndef HVK_RNDIS_H
#define	HVK_RNDIS_H

#include <hvk/error.h>
#include <hvk/types.h>
#include <hvk/wire/rndis.h>

/* A piece of memory; a message may lie in several, one after the other. */
struct hvk_net_seg {
	uint8_t		*base;
	uint32_t	len;
};

/* What is known of a frame besides its bytes. */
struct hvk_net_meta {
	uint32_t	has;		/* HVK_NET_*; the rest is void if unset */
	uint32_t	csum;		/* HVK_TXCSUM_* or HVK_RXCSUM_* */
	uint32_t	lso;		/* HVK_LSO_* */
	uint32_t	hash;
	uint32_t	hash_info;	/* HVK_RSS_*: function and one type */
	uint16_t	vlan;		/* tag as in an Ethernet frame, in the
					   order of the host */
	uint16_t	packet_id;
	uint8_t		packet_flags;	/* HVK_PACKET_ID_* */
};
#define	HVK_NET_CSUM		0x01u
#define	HVK_NET_LSO		0x02u
#define	HVK_NET_VLAN		0x04u
#define	HVK_NET_HASH		0x08u
#define	HVK_NET_HASH_INFO	0x10u
#define	HVK_NET_PACKET_ID	0x20u
#define	HVK_NET_ALL		0x3fu

/* The longest header that hvk_rndis_encode() writes. */
#define	HVK_RNDIS_HEADER_MAX	(44u + 6u * 16u)
/* Per-packet information beyond this is refused. */
#define	HVK_RNDIS_PPI_MAX	1024u

struct hvk_rndis_frame {
	uint32_t	message;	/* where its message starts */
	uint32_t	message_len;	/* and its length, padding included */
	uint32_t	offset;		/* where the frame starts, from the
					   beginning of the segments */
	uint32_t	len;		/* of the frame, never 0 */
	struct hvk_net_meta meta;
};

/*
 * The packet message at `at' of the segments, within `room' bytes (at + room
 * is at most what the segments hold).  HVK_OK, or HVK_REJECT: not a packet, a
 * length or offset beyond the message, overlapping parts, or a bad piece of
 * per-packet information.  Unknown pieces are skipped.
 */
int	hvk_rndis_parse(const struct hvk_net_seg *, uint32_t nseg, uint32_t at,
	    uint32_t room, struct hvk_rndis_frame *);

/* Eight shared bytes, once: the compiler cannot go and look there again. */
HVK_INLINE uint64_t
hvk_rndis_fetch(const uint8_t *at)
{
	uint64_t word;

	hvk_copy(&word, at, sizeof(word));
	__asm__ volatile ("" : "+r" (word));
	return (word);
}

/* Whether [off, off + len) is a part of a message's body of that size. */
HVK_INLINE bool
hvk_rndis_within(uint32_t off, uint32_t len, uint32_t body)
{
	return (off >= sizeof(struct hvk_rndis_packet_header) -
	    HVK_RNDIS_BODY && off <= body && len <= body - off);
}

/* The frame and all other parts lie in the message, and that in `room'. */
HVK_INLINE bool
hvk_rndis_sane(uint32_t type, uint32_t len, uint32_t room,
    uint32_t data_offset, uint32_t data_len, uint32_t oob_offset,
    uint32_t oob_len)
{
	uint32_t body = len - HVK_RNDIS_BODY;

	return (type == HVK_RNDIS_PACKET &&
	    len >= sizeof(struct hvk_rndis_packet_header) && len <= room &&
	    data_len != 0 && hvk_rndis_within(data_offset, data_len, body) &&
	    (oob_len == 0 || hvk_rndis_within(oob_offset, oob_len, body)));
}

/* The per-packet information of a message that is sane and has some. */
int	hvk_rndis_parse_info(const struct hvk_net_seg *, uint32_t nseg,
	    uint32_t at, const struct hvk_rndis_packet_header *,
	    struct hvk_net_meta *);

/*
 * hvk_rndis_parse() for one whole piece of memory: the frame is *len bytes at
 * *offset of it.  Both are 0 if it is none.
 */
HVK_INLINE int
hvk_rndis_parse_flat(const uint8_t *base, uint32_t room, uint32_t *offset,
    uint32_t *len, struct hvk_net_meta *meta)
{
	struct hvk_rndis_packet_header h;
	struct hvk_net_seg seg;
	uint64_t w0, w1, w2, w3, w4;

	*offset = *len = 0;
	if (hvk_unlikely(room < sizeof(h)))
		return (HVK_REJECT);
	w0 = hvk_rndis_fetch(base);
	w1 = hvk_rndis_fetch(base + 8);
	w2 = hvk_rndis_fetch(base + 16);
	w4 = hvk_rndis_fetch(base + 32);
	if (hvk_unlikely(!hvk_rndis_sane((uint32_t)w0, (uint32_t)(w0 >> 32),
	    room, (uint32_t)w1, (uint32_t)(w1 >> 32), (uint32_t)w2,
	    (uint32_t)(w2 >> 32))))
		return (HVK_REJECT);
	*offset = HVK_RNDIS_BODY + (uint32_t)w1;
	*len = (uint32_t)(w1 >> 32);
	meta->has = 0;
	if ((uint32_t)w4 == 0)
		return (HVK_OK);
	w3 = hvk_rndis_fetch(base + 24);
	h.len = (uint32_t)(w0 >> 32);
	h.data_offset = (uint32_t)w1;
	h.data_len = *len;
	h.ppi_offset = (uint32_t)(w3 >> 32);
	h.ppi_len = (uint32_t)w4;
	/* Only read: the const is lost for want of a second kind of piece. */
	seg.base = (uint8_t *)(uintptr_t)base;
	seg.len = room;
	return (hvk_rndis_parse_info(&seg, 1, 0, &h, meta));
}

/* Several messages one after the other. */
struct hvk_rndis_walk {
	const struct hvk_net_seg *seg;
	uint32_t	nseg;
	uint32_t	at;
	uint32_t	left;		/* bytes */
	uint32_t	more;		/* messages that may still come */
};

/* `len' bytes at most, and at most `max' messages. */
void	hvk_rndis_walk_init(struct hvk_rndis_walk *,
	    const struct hvk_net_seg *, uint32_t nseg, uint32_t len,
	    uint32_t max);
/*
 * HVK_OK: the next frame; HVK_AGAIN: no more; HVK_REJECT: what is left makes
 * no sense and is given up (the next call says HVK_AGAIN).
 */
int	hvk_rndis_walk_next(struct hvk_rndis_walk *, struct hvk_rndis_frame *);

/* Bytes in all segments; UINT32_MAX if that is more than 32 bits hold. */
uint32_t	hvk_net_total(const struct hvk_net_seg *, uint32_t nseg);
/* Copy out; false (and nothing copied) if they do not hold that much. */
bool	hvk_net_gather(const struct hvk_net_seg *, uint32_t nseg,
	    uint32_t offset, void *to, uint32_t len);
/* Copy in, likewise. */
bool	hvk_net_scatter(const struct hvk_net_seg *, uint32_t nseg,
	    uint32_t offset, const void *from, uint32_t len);
/*
 * The pieces that hold [offset, offset + len): their number, 0 if the segments
 * do not hold that or `max' are not enough.
 */
uint32_t	hvk_net_slice(const struct hvk_net_seg *, uint32_t nseg,
		    uint32_t offset, uint32_t len, struct hvk_net_seg *out,
		    uint32_t max);

/* By what is in `has': a piece takes 16 bytes. */
extern const uint8_t hvk_rndis_header_lens[HVK_NET_ALL + 1];

/* Bytes of header in front of a frame with that information. */
HVK_INLINE uint32_t
hvk_rndis_header_len(const struct hvk_net_meta *meta)
{
	return (hvk_rndis_header_lens[meta->has & HVK_NET_ALL]);
}

/* Bytes of the message; align is a power of two. */
HVK_INLINE uint32_t
hvk_rndis_message_len(const struct hvk_net_meta *meta, uint32_t len,
    uint32_t align)
{
	return ((hvk_rndis_header_len(meta) + len + align - 1) & ~(align - 1));
}

/* The pieces but the hash's value, behind one another. */
void	hvk_rndis_write_pieces(uint8_t *at, const struct hvk_net_meta *);

HVK_INLINE void
hvk_rndis_pair(uint8_t *at, uint32_t first, uint32_t second)
{
	uint64_t both = first | (uint64_t)second << 32;

	hvk_copy(at, &both, sizeof(both));
}

HVK_INLINE void
hvk_rndis_piece(uint8_t *at, uint32_t type, uint32_t word)
{
	hvk_rndis_pair(at, sizeof(struct hvk_rndis_ppi) + 4, type);
	hvk_rndis_pair(at + 8, sizeof(struct hvk_rndis_ppi), word);
}

/*
 * Write the header of a packet message of `total' bytes: `header' bytes, which
 * is hvk_rndis_header_len(), and then the frame of `len'.  Word by word: this is
 * a good part of what a frame costs.
 */
HVK_INLINE void
hvk_rndis_write(uint8_t *to, const struct hvk_net_meta *meta, uint32_t header,
    uint32_t len, uint32_t total)
{
	const uint32_t bare = sizeof(struct hvk_rndis_packet_header);
	const uint32_t zero = 0;

	hvk_rndis_pair(to, HVK_RNDIS_PACKET, total);
	hvk_rndis_pair(to + 8, header - HVK_RNDIS_BODY, len);
	hvk_rndis_pair(to + 16, 0, 0);
	hvk_rndis_pair(to + 24, 0, header != bare ? bare - HVK_RNDIS_BODY : 0);
	hvk_rndis_pair(to + 32, header - bare, 0);
	hvk_copy(to + 40, &zero, sizeof(zero));
	to += bare;
	if ((meta->has & HVK_NET_HASH) != 0) {
		hvk_rndis_piece(to, HVK_PPI_HASH_VALUE, meta->hash);
		to += 16;
	}
	if ((meta->has & (HVK_NET_ALL & ~HVK_NET_HASH)) != 0)
		hvk_rndis_write_pieces(to, meta);
}

/*
 * The same for a message whose length is rounded up to align, a power of two.
 * The frame of `len' bytes (at most 16 MiB) comes right behind the header; `to'
 * holds HVK_RNDIS_HEADER_MAX, or what hvk_rndis_header_len() says.  Returns the
 * bytes written.
 */
uint32_t	hvk_rndis_encode(void *to, const struct hvk_net_meta *,
		    uint32_t len, uint32_t align);

/*
 * Whether a frame from a guest may be sent with what it asks for.  `head' is a
 * private copy of the frame's first bytes: all of it, or at least 192.
 * HVK_REJECT: longer than mtu allows without LSO; LSO with an MSS of 0 or
 * above the MTU, for something that is not TCP over the IP version stated, or
 * whose headers are not where it says or not in `head'; a checksum for another
 * protocol than the frame has.  l4_offset, if not NULL, gets where the TCP or
 * UDP header starts, when LSO or a checksum needs it (else 0).
 */
int	hvk_net_check(const struct hvk_net_meta *, const uint8_t *head,
	    uint32_t head_len, uint32_t len, uint32_t mtu,
	    uint32_t *l4_offset);

#endif /* !HVK_RNDIS_H */
