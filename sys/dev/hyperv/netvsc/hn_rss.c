/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * Receive side scaling in hn(4): which key and table the host spreads frames
 * by, what is set by sysctl(8), and the hash that comes with a frame.
 *
 * Locking: sc_cfg; a frame belongs to its channel.
 */

#include "hn_var.h"

/* The key of the published test vectors, which spreads well. */
static const uint8_t hn_rss_key[HVK_RSS_KEY] = {
	0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2,
	0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0,
	0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4,
	0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30, 0xf2, 0x0c,
	0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa
};

static const struct {
	uint32_t	type;		/* HVK_RSS_* */
	uint8_t		mbuf;		/* M_HASHTYPE_* */
	uint32_t	ioctl;		/* RSS_TYPE_* */
} hn_rss_map[] = {
	{ HVK_RSS_IPV4, M_HASHTYPE_RSS_IPV4, RSS_TYPE_IPV4 },
	{ HVK_RSS_TCP_IPV4, M_HASHTYPE_RSS_TCP_IPV4, RSS_TYPE_TCP_IPV4 },
	{ HVK_RSS_IPV6, M_HASHTYPE_RSS_IPV6, RSS_TYPE_IPV6 },
	{ HVK_RSS_IPV6_EX, M_HASHTYPE_RSS_IPV6_EX, RSS_TYPE_IPV6_EX },
	{ HVK_RSS_TCP_IPV6, M_HASHTYPE_RSS_TCP_IPV6, RSS_TYPE_TCP_IPV6 },
	{ HVK_RSS_TCP_IPV6_EX, M_HASHTYPE_RSS_TCP_IPV6_EX,
	    RSS_TYPE_TCP_IPV6_EX },
	{ HVK_RSS_UDP_IPV4, M_HASHTYPE_RSS_UDP_IPV4, RSS_TYPE_UDP_IPV4 },
};

static int
hn_rss_call(struct hn_softc *sc, void *arg)
{
	return (hvk_netvsc_set_rss(&sc->sc_nv, arg, hn_now()));
}

/* Tell the host; a table that names channels beyond those open is mended. */
int
hn_rss_set(struct hn_softc *sc)
{
	u_int i;

	if (sc->sc_nv.rss.queues == 0)
		return (EOPNOTSUPP);
	for (i = 0; i < HVK_RSS_TABLE; i++)
		if (sc->sc_rss.table[i] >= sc->sc_ninuse)
			sc->sc_rss.table[i] %= sc->sc_ninuse;
	return (hn_request(sc, hn_rss_call, &sc->sc_rss));
}

int
hn_rss_init(struct hn_softc *sc)
{
	struct hvk_net_rss *rss = &sc->sc_rss;
	u_int i;

	rss->entries = MIN(MAX(sc->sc_nv.rss.entries, 1), HVK_RSS_TABLE);
	if (!sc->sc_user_key)
		memcpy(rss->key, hn_rss_key, sizeof(rss->key));
	if (!sc->sc_user_table)
		for (i = 0; i < HVK_RSS_TABLE; i++)
			rss->table[i] = i % sc->sc_ninuse;
	rss->hash = HVK_RSS_TOEPLITZ |
	    (sc->sc_nv.rss.hash & HVK_RSS_TYPES);
	rss->enabled = true;
	/* A host with one queue has nothing to spread. */
	if (sc->sc_nv.rss.queues == 0)
		return (0);
	return (hn_rss_set(sc));
}

/* The hash that came with a frame, or where it came. */
void
hn_rss_hash(struct hn_ring *r, struct mbuf *m, const struct hvk_net_meta *meta)
{
	uint32_t types;
	u_int i;

	r->r_rss_pkts++;
	m->m_pkthdr.flowid = meta->hash;
	types = (meta->has & HVK_NET_HASH_INFO) != 0 &&
	    (meta->hash_info & HVK_RSS_FUNCTIONS) == HVK_RSS_TOEPLITZ ?
	    meta->hash_info & ~HVK_RSS_FUNCTIONS : 0;
	for (i = 0; i < nitems(hn_rss_map); i++)
		if (types == hn_rss_map[i].type) {
			M_HASHTYPE_SET(m, hn_rss_map[i].mbuf);
			return;
		}
	M_HASHTYPE_SET(m, M_HASHTYPE_OPAQUE_HASH);
}

int
hn_rss_ioctl(struct hn_softc *sc, u_long cmd, caddr_t data)
{
	struct ifrsshash *ifrh;
	struct ifrsskey *ifrk;
	u_int i;

	if (cmd == SIOCGIFRSSKEY) {
		ifrk = (struct ifrsskey *)data;
		ifrk->ifrk_func = RSS_FUNC_TOEPLITZ;
		ifrk->ifrk_keylen = HVK_RSS_KEY;
		memcpy(ifrk->ifrk_key, sc->sc_rss.key, HVK_RSS_KEY);
		return (0);
	}
	ifrh = (struct ifrsshash *)data;
	ifrh->ifrh_func = RSS_FUNC_TOEPLITZ;
	ifrh->ifrh_types = 0;
	for (i = 0; i < nitems(hn_rss_map); i++)
		if ((sc->sc_rss.hash & hn_rss_map[i].type) != 0)
			ifrh->ifrh_types |= hn_rss_map[i].ioctl;
	return (0);
}

/* dev.hn.N.rss_key: 40 bytes. */
static int
hn_rss_key_sysctl(SYSCTL_HANDLER_ARGS)
{
	struct hn_softc *sc = arg1;
	uint8_t key[HVK_RSS_KEY], old[HVK_RSS_KEY];
	int error;

	(void)arg2;
	(void)oidp;
	error = SYSCTL_OUT(req, sc->sc_rss.key, HVK_RSS_KEY);
	if (error != 0 || req->newptr == NULL)
		return (error);
	error = SYSCTL_IN(req, key, sizeof(key));
	if (error != 0)
		return (error);
	sx_xlock(&sc->sc_cfg);
	memcpy(old, sc->sc_rss.key, sizeof(old));
	memcpy(sc->sc_rss.key, key, sizeof(key));
	error = sc->sc_up ? hn_rss_set(sc) : ENXIO;
	if (error != 0)
		memcpy(sc->sc_rss.key, old, sizeof(old));
	else
		sc->sc_user_key = true;
	sx_xunlock(&sc->sc_cfg);
	return (error);
}

/* dev.hn.N.rss_ind: 128 numbers of 4 bytes. */
static int
hn_rss_ind_sysctl(SYSCTL_HANDLER_ARGS)
{
	struct hn_softc *sc = arg1;
	uint32_t ind[HVK_RSS_TABLE];
	uint16_t old[HVK_RSS_TABLE];
	int error;
	u_int i;

	(void)arg2;
	(void)oidp;
	for (i = 0; i < HVK_RSS_TABLE; i++)
		ind[i] = sc->sc_rss.table[i];
	error = SYSCTL_OUT(req, ind, sizeof(ind));
	if (error != 0 || req->newptr == NULL)
		return (error);
	error = SYSCTL_IN(req, ind, sizeof(ind));
	if (error != 0)
		return (error);
	sx_xlock(&sc->sc_cfg);
	for (i = 0; i < HVK_RSS_TABLE; i++)
		if (ind[i] >= (uint32_t)sc->sc_ninuse)
			error = EINVAL;
	if (error == 0) {
		memcpy(old, sc->sc_rss.table, sizeof(old));
		for (i = 0; i < HVK_RSS_TABLE; i++)
			sc->sc_rss.table[i] = ind[i];
		error = hn_rss_set(sc);
		if (error != 0)
			memcpy(sc->sc_rss.table, old, sizeof(old));
		else
			sc->sc_user_table = true;
	}
	sx_xunlock(&sc->sc_cfg);
	return (error);
}

#define	HN_HASH_BITS							\
	"\20"								\
	"\1TOEPLITZ\11IP4\12TCP4\13IP6\14IP6EX\15TCP6\16TCP6EX\17UDP4"

/* arg2 0: what is on, 1: what the host can, 2: what mbufs carry. */
static int
hn_rss_hash_sysctl(SYSCTL_HANDLER_ARGS)
{
	struct hn_softc *sc = arg1;
	char text[128];
	uint32_t hash;

	hash = arg2 == 1 ? sc->sc_nv.rss.hash : sc->sc_rss.hash;
	snprintf(text, sizeof(text), "%b", hash, HN_HASH_BITS);
	return (sysctl_handle_string(oidp, text, sizeof(text), req));
}

void
hn_rss_sysctl(struct hn_softc *sc, struct sysctl_ctx_list *ctx,
    struct sysctl_oid_list *child)
{
	SYSCTL_ADD_PROC(ctx, child, OID_AUTO, "rss_hash",
	    CTLTYPE_STRING | CTLFLAG_RD | CTLFLAG_MPSAFE, sc, 0,
	    hn_rss_hash_sysctl, "A", "RSS hash");
	SYSCTL_ADD_PROC(ctx, child, OID_AUTO, "rss_hashcap",
	    CTLTYPE_STRING | CTLFLAG_RD | CTLFLAG_MPSAFE, sc, 1,
	    hn_rss_hash_sysctl, "A", "RSS hash capabilities");
	SYSCTL_ADD_PROC(ctx, child, OID_AUTO, "mbuf_hash",
	    CTLTYPE_STRING | CTLFLAG_RD | CTLFLAG_MPSAFE, sc, 2,
	    hn_rss_hash_sysctl, "A", "RSS hash for mbufs");
	SYSCTL_ADD_U32(ctx, child, OID_AUTO, "rss_ind_size", CTLFLAG_RD,
	    &sc->sc_rss.entries, 0, "RSS indirect entry count");
	SYSCTL_ADD_PROC(ctx, child, OID_AUTO, "rss_key",
	    CTLTYPE_OPAQUE | CTLFLAG_RW | CTLFLAG_MPSAFE, sc, 0,
	    hn_rss_key_sysctl, "IU", "RSS key");
	SYSCTL_ADD_PROC(ctx, child, OID_AUTO, "rss_ind",
	    CTLTYPE_OPAQUE | CTLFLAG_RW | CTLFLAG_MPSAFE, sc, 0,
	    hn_rss_ind_sysctl, "IU", "RSS indirect table");
}
