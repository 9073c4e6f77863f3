/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * Where a NIC's frames go: a tap interface, libslirp, or the NIC of another
 * `hvk run'.
 *
 * A frame goes in and out whole, from its Ethernet header on, with what is
 * left to do to it: a checksum to fill in, a TCP payload to cut into segments.
 * A back-end says what it can do of that; net_backend_send() does the rest in
 * software, so a caller need not ask.
 *
 * Threads: each queue belongs to one thread at a time; different queues may be
 * used at the same time.  info, link and stat may be called from any thread.
 * Nothing here waits.
 */
#ifndef _HVK_NETBACKEND_H_
#define	_HVK_NETBACKEND_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#define	NET_HEADROOM	32u	/* bytes free before a frame */
#define	NET_FRAME_MAX	(65535u + 64u)	/* the largest, with its headers */
#define	NET_QUEUES	64u
#define	NET_ETHER	14u
#define	NET_VLAN	4u
#define	NET_MTU_MIN	1500u
#define	NET_MTU_MAX	9202u	/* 9,216 with the Ethernet header */

enum net_gso { NET_GSO_NONE, NET_GSO_TCP4, NET_GSO_TCP6 };

/*
 * data is private to the caller: no guest can change it, and up to NET_HEADROOM
 * bytes before it may be overwritten.
 */
struct net_frame {
	uint8_t		*data;
	uint32_t	len;
	bool		csum;		/* one is to be filled in, at */
	uint16_t	csum_start;	/* from here to the end */
	uint16_t	csum_offset;	/* stored here, from csum_start on */
	bool		csum_ok;	/* received: verified already */
	uint8_t		gso;		/* enum net_gso; implies csum */
	uint16_t	gso_size;	/* bytes of payload in a segment */
	uint16_t	hdr_len;	/* all headers of each segment */
};

struct net_caps {
	bool		csum;
	bool		tso4, tso6;
	uint32_t	queues;		/* at most */
};

struct net_counters {		/* of one queue; its thread writes them */
	uint64_t	tx_frames, tx_bytes;
	uint64_t	rx_frames, rx_bytes;
	uint64_t	tx_full;	/* lost: the back-end had no room */
	uint64_t	tx_errors;	/* lost for another reason */
	uint64_t	rx_errors;	/* malformed, or larger than allowed */
	uint64_t	soft_csum;	/* checksums made here */
	uint64_t	soft_gso;	/* frames cut here */
};

struct net_backend;

/*
 * Open what a NIC's object names (see hvk/net.h): keys backend, path, ifname,
 * netns, queues, mtu, hostfwd, net.  NULL with one line in err that says what
 * to do.
 */
struct net_backend *net_backend_open(const json_t *nic, char *err,
	    size_t errlen);
/* No thread may use a queue any more. */
void	net_backend_close(struct net_backend *);

const struct net_caps *net_backend_caps(const struct net_backend *);
uint32_t net_backend_queues(const struct net_backend *);
/* "tap", "slirp", "pair" */
const char *net_backend_kind(const struct net_backend *);
/* The other end is there. */
bool	net_backend_link(struct net_backend *);
void	net_backend_info(struct net_backend *, json_t *into);
const struct net_counters *net_backend_counters(const struct net_backend *,
	    uint32_t queue);

/*
 * Readable when net_backend_recv() may have something.  The descriptor stays
 * the same as long as the back-end is open.
 */
int	net_backend_fd(struct net_backend *, uint32_t queue);

/*
 * 0: on its way, or lost and counted, for a network may do that; -EAGAIN: no
 * room (counted in tx_full); -EMSGSIZE, -EINVAL: this frame never.
 * The frame's bytes and fields are used up.
 */
int	net_backend_send(struct net_backend *, uint32_t queue,
	    struct net_frame *);
/* Push out what was sent: at the end of a burst. */
void	net_backend_flush(struct net_backend *, uint32_t queue);

/*
 * Receive into f->data, room for f->len bytes: 0, the frame's length in
 * f->len; -EAGAIN: nothing there.
 */
int	net_backend_recv(struct net_backend *, uint32_t queue,
	    struct net_frame *);

/* ---- net_frame.c: what hardware would do.  Pure functions. */

enum net_l3 { NET_L3_NONE, NET_L3_IP4, NET_L3_IP6 };

struct net_headers {
	enum net_l3	l3;
	uint8_t		proto;		/* IPPROTO_*, of the last header */
	bool		fragment;	/* no L4 header, or only a part */
	bool		multicast;	/* by the destination's address */
	bool		broadcast;
	int		vlan;		/* the tag's TCI in the frame, or -1 */
	uint16_t	type;		/* Ethernet type behind the tags */
	uint16_t	l3_off;
	uint16_t	l3_len;		/* length of the IP header(s) */
	uint16_t	l4_off;		/* 0: none */
	uint16_t	l4_len;		/* of the TCP or UDP header, else 0 */
};

/* false: shorter than an Ethernet header.  Never reads past len. */
bool	net_frame_parse(const uint8_t *data, uint32_t len,
	    struct net_headers *);
/* Ask for the checksum of TCP or UDP; false: there is none to make. */
bool	net_frame_want_csum(struct net_frame *, const struct net_headers *);
/* Make the checksum of an IPv4 header. */
void	net_frame_ip_csum(struct net_frame *, const struct net_headers *);
/*
 * Ask for segments of mss bytes.  false: not TCP, or mss or the headers are
 * impossible.  A frame that needs no cutting becomes one with a checksum.
 */
bool	net_frame_want_gso(struct net_frame *, const struct net_headers *,
	    uint32_t mss);
/* Fill in the checksum that the frame asks for; false: it cannot be. */
bool	net_frame_csum(struct net_frame *);
/* Is the checksum of TCP or UDP (and of IPv4) right? */
bool	net_frame_csum_good(const uint8_t *data, uint32_t len,
	    const struct net_headers *);
/* Is that of the IPv4 header right?  true also without one. */
bool	net_frame_ip_good(const uint8_t *data, const struct net_headers *);
/* How many segments a frame with gso makes. */
uint32_t net_frame_segments(const struct net_frame *);
/*
 * Segment number i, complete with all checksums, into out, of cap bytes: its
 * length, 0 if it does not fit.
 */
uint32_t net_frame_segment(const struct net_frame *, uint32_t i, uint8_t *out,
	    uint32_t cap);
/* Put a tag into a whole frame, by its headroom; take it out: TCI, or -1. */
void	net_frame_tag(struct net_frame *, uint16_t tci);
int	net_frame_untag(struct net_frame *);

#endif /* _HVK_NETBACKEND_H_ */
