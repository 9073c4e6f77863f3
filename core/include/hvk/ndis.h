/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 */

/*
 * NDIS objects in plain form, and their codecs for both sides: offloads,
 * receive side scaling, the Toeplitz hash.  Decoders take a private copy of
 * len bytes; HVK_REJECT means that it is too short or contradicts itself.
 *
 * Pure functions, callable from anywhere.  Source: wire.md section 16; hash
 * and its vectors, Microsoft's "Verifying the RSS hash calculation".
 */

#ifndef HVK_NDIS_H
#define	HVK_NDIS_H

#include <hvk/error.h>
#include <hvk/types.h>
#include <hvk/wire/ndis.h>

/* Offloads: what a host can do, what is wanted, what is on. */
#define	HVK_OFF_TX_IP4		0x0001u
#define	HVK_OFF_TX_TCP4		0x0002u
#define	HVK_OFF_TX_UDP4		0x0004u
#define	HVK_OFF_TX_TCP6		0x0008u
#define	HVK_OFF_TX_UDP6		0x0010u
#define	HVK_OFF_RX_IP4		0x0020u
#define	HVK_OFF_RX_TCP4		0x0040u
#define	HVK_OFF_RX_UDP4		0x0080u
#define	HVK_OFF_RX_TCP6		0x0100u
#define	HVK_OFF_RX_UDP6		0x0200u
#define	HVK_OFF_LSO4		0x0400u
#define	HVK_OFF_LSO6		0x0800u
#define	HVK_OFF_RSC4		0x1000u
#define	HVK_OFF_RSC6		0x2000u
#define	HVK_OFF_ALL		0x3fffu

struct hvk_net_offload {
	uint32_t	can;		/* HVK_OFF_* */
	uint32_t	lso4_max;	/* bytes of one large send */
	uint32_t	lso4_min;	/* segments, at least */
	uint32_t	lso6_max;
	uint32_t	lso6_min;
};

/*
 * OFFLOAD_CAPS.  encode writes revision 1 to 3 (to holds 156 bytes) and returns
 * the size.  decode takes any revision; it believes a checksum only with the
 * options that FreeBSD's and Linux's packets may have, and a large send only
 * with sane limits.
 */
uint32_t	hvk_offload_encode(const struct hvk_net_offload *,
		    uint32_t revision, void *to);
int	hvk_offload_decode(const void *from, uint32_t len,
	    struct hvk_net_offload *);

/*
 * OFFLOAD_PARAMS.  encode asks for exactly `on' among what is in `can' (the
 * rest is switched off, what is not in `can' is left alone); revision 1 to 3,
 * to holds 28 bytes, returns the size.  decode changes the bits of *on that the
 * parameters speak about.
 */
uint32_t	hvk_offload_params_encode(uint32_t can, uint32_t on,
		    uint32_t revision, void *to);
int	hvk_offload_params_decode(const void *from, uint32_t len,
	    uint32_t *on);

/*
 * STATISTICS, as the guest sees its adapter (rx: to it).  encode writes
 * HVK_NDIS_STATISTICS bytes and returns that; decode takes what the other side
 * says is valid.  HVK_NSTATS counters in the order of hvk_net_stat_name().
 */
enum hvk_net_stat {
	HVK_STAT_RX_BYTES, HVK_STAT_RX_UNICAST, HVK_STAT_RX_MULTICAST,
	HVK_STAT_RX_BROADCAST, HVK_STAT_RX_DISCARDS, HVK_STAT_RX_ERRORS,
	HVK_STAT_TX_BYTES, HVK_STAT_TX_UNICAST, HVK_STAT_TX_MULTICAST,
	HVK_STAT_TX_BROADCAST, HVK_STAT_TX_DISCARDS, HVK_STAT_TX_ERRORS,
	HVK_NSTATS
};

struct hvk_net_statistics {
	uint32_t	has;		/* 1u << HVK_STAT_* */
	uint64_t	n[HVK_NSTATS];	/* 0 where not */
};

#define	HVK_NDIS_STATISTICS	152u

uint32_t	hvk_net_statistics_encode(const struct hvk_net_statistics *,
		    void *to);
int	hvk_net_statistics_decode(const void *from, uint32_t len,
	    struct hvk_net_statistics *);
const char	*hvk_net_stat_name(enum hvk_net_stat);

struct hvk_net_rss_caps {
	uint32_t	queues;
	uint32_t	entries;	/* of the table, at most 128 */
	uint32_t	hash;		/* HVK_RSS_*: functions and types */
};

uint32_t	hvk_rss_caps_encode(const struct hvk_net_rss_caps *,
		    uint32_t revision, void *to);	/* 18 bytes */
int	hvk_rss_caps_decode(const void *from, uint32_t len,
	    struct hvk_net_rss_caps *);

struct hvk_net_rss {
	bool		enabled;
	uint32_t	hash;		/* HVK_RSS_*: function and types */
	uint32_t	entries;	/* 1 to 128 */
	uint8_t		key[HVK_RSS_KEY];
	uint8_t		pad[2];
	uint16_t	table[HVK_RSS_TABLE];	/* channels, 0 the primary */
};
#define	HVK_RSS_PARAMS_MAX	(40u + HVK_RSS_KEY + HVK_RSS_TABLE * 4u)

/*
 * RSS_PARAMS.  encode returns the size, at most HVK_RSS_PARAMS_MAX.  flags:
 * HVK_RSS_*_SAME.  decode changes what the parameters speak about and leaves
 * all of it alone when they are refused: a table or key outside them, of a bad
 * size, a hash that is not Toeplitz, or an entry that is not below channels.
 */
uint32_t	hvk_rss_params_encode(const struct hvk_net_rss *,
		    uint32_t flags, void *to);
int	hvk_rss_params_decode(const void *from, uint32_t len,
	    uint32_t channels, struct hvk_net_rss *);

/* The hash, prepared for one key: one look-up for each byte hashed. */
#define	HVK_TOEPLITZ_INPUT	36u	/* IPv6 addresses and ports */
struct hvk_toeplitz {
	uint32_t	table[HVK_TOEPLITZ_INPUT][256];
};

void	hvk_toeplitz_init(struct hvk_toeplitz *, const uint8_t key[HVK_RSS_KEY]);
/* At most HVK_TOEPLITZ_INPUT bytes count. */
uint32_t	hvk_toeplitz(const struct hvk_toeplitz *, const void *,
		    uint32_t len);

/*
 * The hash of an Ethernet frame (with or without a VLAN tag in it; a private
 * copy of its first bytes is enough, 128 is plenty).  types is what may be
 * hashed; *type gets the one that was, or 0 and a hash of 0.
 */
uint32_t	hvk_rss_hash(const struct hvk_toeplitz *, uint32_t types,
		    const uint8_t *frame, uint32_t len, uint32_t *type);

/* A MAC address as RNDIS_CONFIG sets it: returns the size; to holds 72. */
#define	HVK_NDIS_MAC_MAX	72u
uint32_t	hvk_ndis_mac_encode(const uint8_t mac[6], void *to);
/* HVK_REJECT: another parameter, or not 12 hexadecimal digits. */
int	hvk_ndis_mac_decode(const void *from, uint32_t len, uint8_t mac[6]);

#endif /* !HVK_NDIS_H */
