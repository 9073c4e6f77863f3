/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * mbuf.c: mbuf(9): where mbufs and clusters come from and how they go, packet
 * headers and tags. Chains are mbuf_chain.c.
 *
 * An mbuf has no lock: whoever holds the chain owns it. A shared cluster is
 * counted in the mbuf that first had it, which therefore goes last.
 */

#include "kern.h"
#include <sys/mbuf.h>
#include <vm/uma.h>

uma_zone_t zone_mbuf;
uma_zone_t zone_clust;
uma_zone_t zone_pack;
uma_zone_t zone_jumbop;
uma_zone_t zone_jumbo9;
uma_zone_t zone_jumbo16;

int nmbclusters = 65536;
u_int max_linkhdr = 16;
u_int max_protohdr = 60;
u_int max_hdr = 76;

static MALLOC_DEFINE(M_PACKET_TAGS, MBUF_TAG_MEM_NAME,
    "packet-attached information");

int
m_pkthdr_init(struct mbuf *m, int how)
{
	m->m_data = m->m_pktdat;
	memset(&m->m_pkthdr, 0, sizeof(m->m_pkthdr));
	m->m_pkthdr.numa_domain = M_NODOM;
	SLIST_INIT(&m->m_pkthdr.tags);
	return (0);
}

static int
mbuf_ctor(void *mem, int size, void *arg, int how)
{
	struct mb_args *args;

	args = arg;
	if ((args->type & MT_NOINIT) == MT_NOINIT)
		return (0);
	return (m_init(mem, how, args->type, args->flags));
}

static void
mbuf_dtor(void *mem, int size, void *arg)
{
	struct mbuf *m;

	m = mem;
	if ((m->m_flags & M_PKTHDR) != 0 && !SLIST_EMPTY(&m->m_pkthdr.tags))
		m_tag_delete_chain(m, NULL);
}

/* An mbuf with a cluster, which is an ordinary mbuf from then on. */
static int
pack_ctor(void *mem, int size, void *arg, int how)
{
	struct mb_args *args;
	void *cl;
	int error;

	args = arg;
	cl = kld_zone_alloc(zone_clust, NULL, how,
	    __builtin_return_address(0));
	if (cl == NULL)
		return (ENOMEM);
	error = m_init(mem, how, args->type, args->flags);
	m_cljset(mem, cl, EXT_CLUSTER);
	return (error);
}

static void
mbuf_boot(void *arg)
{
	zone_mbuf = kld_zone_create(MBUF_MEM_NAME, MSIZE, NULL, mbuf_ctor,
	    mbuf_dtor);
	zone_clust = kld_zone_create(MBUF_CLUSTER_MEM_NAME, MCLBYTES, NULL,
	    NULL, NULL);
	zone_pack = kld_zone_create(MBUF_PACKET_MEM_NAME, MSIZE, zone_mbuf,
	    pack_ctor, mbuf_dtor);
	zone_jumbop = kld_zone_create(MBUF_JUMBOP_MEM_NAME, MJUMPAGESIZE,
	    NULL, NULL, NULL);
	zone_jumbo9 = kld_zone_create(MBUF_JUMBO9_MEM_NAME, MJUM9BYTES, NULL,
	    NULL, NULL);
	zone_jumbo16 = kld_zone_create(MBUF_JUMBO16_MEM_NAME, MJUM16BYTES,
	    NULL, NULL, NULL);
}
SYSINIT(mbuf, SI_SUB_MBUF, SI_ORDER_FIRST, mbuf_boot, NULL);

void
max_linkhdr_grow(u_int len)
{
	max_linkhdr = MAX(max_linkhdr, len);
	max_hdr = max_linkhdr + max_protohdr;
}

void
max_protohdr_grow(u_int len)
{
	max_protohdr = MAX(max_protohdr, len);
	max_hdr = max_linkhdr + max_protohdr;
}

/* Clusters for an mbuf that has none, or (m NULL) a cluster alone. */
void *
m_cljget(struct mbuf *m, int how, int size)
{
	void *cl;

	if (m != NULL) {
		if ((m->m_flags & M_EXT) != 0)
			panic("m_cljget: mbuf %p has a cluster", m);
		m->m_ext.ext_buf = NULL;
	}
	cl = kld_zone_alloc(m_getzone(size), NULL, how,
	    __builtin_return_address(0));
	if (m != NULL && cl != NULL)
		m_cljset(m, cl, m_gettype(size));
	return (cl);
}

int
m_clget(struct mbuf *m, int how)
{
	return (m_cljget(m, how, MCLBYTES) != NULL);
}

static struct mbuf *
get_mbuf(int how, short type, int flags, void *caller)
{
	struct mb_args args = { flags, type };

	return (kld_zone_alloc(zone_mbuf, &args, how, caller));
}

static struct mbuf *
get_jumbo(int how, short type, int flags, int size, void *caller)
{
	struct mbuf *m;
	void *cl;

	m = get_mbuf(how, type, flags, caller);
	if (m == NULL)
		return (NULL);
	cl = kld_zone_alloc(m_getzone(size), NULL, how, caller);
	if (cl == NULL) {
		m_free(m);
		return (NULL);
	}
	m_cljset(m, cl, m_gettype(size));
	return (m);
}

struct mbuf *
m_getjcl(int how, short type, int flags, int size)
{
	return (get_jumbo(how, type, flags, size,
	    __builtin_return_address(0)));
}

static struct mbuf *
get_fitting(int size, int how, short type, int flags, int max, void *caller)
{
	if (size <= MHLEN || (size <= MLEN && (flags & M_PKTHDR) == 0))
		return (get_mbuf(how, type, flags, caller));
	if (size > max)
		return (NULL);
	return (get_jumbo(how, type, flags, size <= MCLBYTES ? MCLBYTES :
	    size <= MJUMPAGESIZE ? MJUMPAGESIZE : size <= MJUM9BYTES ?
	    MJUM9BYTES : MJUM16BYTES, caller));
}

struct mbuf *
m_get2(int size, int how, short type, int flags)
{
	return (get_fitting(size, how, type, flags, MJUMPAGESIZE,
	    __builtin_return_address(0)));
}

struct mbuf *
m_get3(int size, int how, short type, int flags)
{
	return (get_fitting(size, how, type, flags, MJUM16BYTES,
	    __builtin_return_address(0)));
}

/* Room for len bytes behind m; m_len of the new ones is 0. */
struct mbuf *
m_getm2(struct mbuf *m, int len, int how, short type, int flags)
{
	struct mbuf *first, *last, *mb;
	int have;

	first = last = NULL;
	flags &= M_PKTHDR | M_EOR;
	if (m != NULL)
		flags &= ~M_PKTHDR;
	while (len > 0 || first == NULL) {
		mb = get_fitting(MIN(len, MJUMPAGESIZE), how, type,
		    flags & M_PKTHDR, MJUMPAGESIZE,
		    __builtin_return_address(0));
		if (mb == NULL) {
			m_freem(first);
			return (NULL);
		}
		have = M_SIZE(mb);
		len -= MIN(len, have);
		if (first == NULL)
			first = mb;
		else
			last->m_next = mb;
		last = mb;
		flags &= ~M_PKTHDR;
	}
	if ((flags & M_EOR) != 0)
		last->m_flags |= M_EOR;
	if (m == NULL)
		return (first);
	m_last(m)->m_next = first;
	return (m);
}

/* External storage */

void
m_extadd(struct mbuf *mb, char *buf, u_int size, m_ext_free_t freef,
    void *arg1, void *arg2, int flags, int type)
{
	if (type == EXT_EXTREF)
		panic("m_extadd: EXTREF is m_extaddref()'s");
	mb->m_flags |= M_EXT | flags;
	mb->m_ext.ext_buf = buf;
	mb->m_data = buf;
	mb->m_ext.ext_size = size;
	mb->m_ext.ext_free = freef;
	mb->m_ext.ext_arg1 = arg1;
	mb->m_ext.ext_arg2 = arg2;
	mb->m_ext.ext_type = type;
	mb->m_ext.ext_count = 1;
	mb->m_ext.ext_flags = EXT_FLAG_EMBREF;
}

static void
free_storage(struct mbuf *mref, struct mbuf *m)
{
	switch (m->m_ext.ext_type) {
	case EXT_CLUSTER:
	case EXT_JUMBOP:
	case EXT_JUMBO9:
	case EXT_JUMBO16:
		uma_zfree(m_getzone(m->m_ext.ext_size), m->m_ext.ext_buf);
		break;
	case EXT_SFBUF:
	case EXT_NET_DRV:
	case EXT_CTL:
	case EXT_RXRING:
	case EXT_MOD_TYPE:
	case EXT_DISPOSABLE:
		if (mref->m_ext.ext_free == NULL)
			panic("mbuf %p: external storage without a free "
			    "function", mref);
		mref->m_ext.ext_free(mref);
		break;
	default:
		panic("mbuf %p: storage of unknown type %u", m,
		    m->m_ext.ext_type);
	}
}

void
mb_free_ext(struct mbuf *m)
{
	volatile u_int *count;
	struct mbuf *mref;

	if ((m->m_ext.ext_flags & EXT_FLAG_EMBREF) != 0) {
		count = &m->m_ext.ext_count;
		mref = m;
	} else {
		count = m->m_ext.ext_cnt;
		mref = __containerof(count, struct mbuf, m_ext.ext_count);
	}
	if (m->m_ext.ext_type == EXT_EXTREF) {
		if (atomic_fetchadd_int(m->m_ext.ext_cnt, -1) == 1)
			m->m_ext.ext_free(m);
		uma_zfree(zone_mbuf, m);
		return;
	}
	/* The one that counts may be freed by another thread below. */
	if (*count == 1 || atomic_fetchadd_int(count, -1) == 1) {
		free_storage(mref, m);
		mref->m_flags &= ~M_EXT;
		if (mref == m) {
			uma_zfree(zone_mbuf, m);
			return;
		}
		uma_zfree(zone_mbuf, mref);
	} else if (mref == m)
		return;
	uma_zfree(zone_mbuf, m);
}

/* Unmapped mbufs are never made here. */
void
mb_free_extpg(struct mbuf *m)
{
	panic("kldrun: mb_free_extpg: there are no unmapped mbufs");
}

void
m_snd_tag_destroy(struct m_snd_tag *mst)
{
	panic("kldrun: m_snd_tag_destroy: there are no send tags");
}

/* n becomes another holder of m's storage. */
void
mb_dupcl(struct mbuf *n, struct mbuf *m)
{
	if ((m->m_flags & M_EXT) == 0 || (n->m_flags & M_EXT) != 0)
		panic("mb_dupcl: %p to %p", m, n);
	if (m->m_ext.ext_type == EXT_EXTREF)
		memcpy(&n->m_ext, &m->m_ext, sizeof(struct m_ext));
	else
		memcpy(&n->m_ext, &m->m_ext, m_ext_copylen);
	if ((m->m_ext.ext_flags & EXT_FLAG_EMBREF) != 0) {
		atomic_add_int(&m->m_ext.ext_count, 1);
		n->m_ext.ext_cnt = &m->m_ext.ext_count;
		n->m_ext.ext_flags &= ~EXT_FLAG_EMBREF;
	} else
		atomic_add_int(m->m_ext.ext_cnt, 1);
	n->m_flags |= M_EXT;
	n->m_flags |= m->m_flags & M_RDONLY;
}

void
m_freem(struct mbuf *m)
{
	while (m != NULL)
		m = m_free(m);
}

/* Whole packets, linked by m_nextpkt. */
void
m_freemp(struct mbuf *m)
{
	struct mbuf *n;

	for (; m != NULL; m = n) {
		n = m->m_nextpkt;
		m->m_nextpkt = NULL;
		m_freem(m);
	}
}

void
m_free_raw(struct mbuf *m)
{
	if ((m->m_flags & (M_EXT | M_EXTPG)) != 0)
		panic("m_free_raw: mbuf %p has storage", m);
	m->m_flags &= ~M_PKTHDR;
	uma_zfree(zone_mbuf, m);
}

/* Packet headers */

void
m_demote_pkthdr(struct mbuf *m)
{
	m_tag_delete_chain(m, NULL);
	m->m_flags &= ~M_PKTHDR;
	memset(&m->m_pkthdr, 0, sizeof(m->m_pkthdr));
}

void
m_demote(struct mbuf *m0, int all, int flags)
{
	struct mbuf *m;

	for (m = all ? m0 : m0->m_next; m != NULL; m = m->m_next) {
		if ((m->m_flags & M_PKTHDR) != 0)
			m_demote_pkthdr(m);
		m->m_flags &= M_EXT | M_RDONLY | M_NOFREE | M_EXTPG | flags;
	}
}

void
m_move_pkthdr(struct mbuf *to, struct mbuf *from)
{
	if ((to->m_flags & M_PKTHDR) != 0)
		m_tag_delete_chain(to, NULL);
	to->m_flags = (from->m_flags & M_COPYFLAGS) |
	    (to->m_flags & (M_EXT | M_EXTPG));
	if ((to->m_flags & M_EXT) == 0)
		to->m_data = to->m_pktdat;
	to->m_pkthdr = from->m_pkthdr;
	SLIST_INIT(&from->m_pkthdr.tags);
	from->m_flags &= ~M_PKTHDR;
}

int
m_dup_pkthdr(struct mbuf *to, const struct mbuf *from, int how)
{
	if ((to->m_flags & M_PKTHDR) != 0)
		m_tag_delete_chain(to, NULL);
	to->m_flags = (from->m_flags & M_COPYFLAGS & ~M_RDONLY) |
	    (to->m_flags & (M_EXT | M_EXTPG | M_RDONLY));
	if ((to->m_flags & M_EXT) == 0)
		to->m_data = to->m_pktdat;
	to->m_pkthdr = from->m_pkthdr;
	SLIST_INIT(&to->m_pkthdr.tags);
	return (m_tag_copy_chain(to, from, how));
}

/* Tags */

struct m_tag *
m_tag_alloc(uint32_t cookie, uint16_t type, int len, int wait)
{
	struct m_tag *t;

	if (len < 0)
		return (NULL);
	t = kld_malloc_caller(len + sizeof(*t), M_PACKET_TAGS, wait,
	    __builtin_return_address(0));
	if (t == NULL)
		return (NULL);
	m_tag_setup(t, cookie, type, len);
	t->m_tag_free = m_tag_free_default;
	return (t);
}

void
m_tag_free_default(struct m_tag *t)
{
	free(t, M_PACKET_TAGS);
}

void
m_tag_delete(struct mbuf *m, struct m_tag *t)
{
	m_tag_unlink(m, t);
	m_tag_free(t);
}

/* t and what follows it; all of them when it is NULL. */
void
m_tag_delete_chain(struct mbuf *m, struct m_tag *t)
{
	struct m_tag *q;

	if (t == NULL)
		t = SLIST_FIRST(&m->m_pkthdr.tags);
	if (t == NULL)
		return;
	while ((q = SLIST_NEXT(t, m_tag_link)) != NULL)
		m_tag_delete(m, q);
	m_tag_delete(m, t);
}

void
m_tag_delete_nonpersistent(struct mbuf *m)
{
	struct m_tag *n, *t;

	SLIST_FOREACH_SAFE(t, &m->m_pkthdr.tags, m_tag_link, n)
		if ((t->m_tag_id & MTAG_PERSISTENT) == 0)
			m_tag_delete(m, t);
}

struct m_tag *
m_tag_locate(struct mbuf *m, uint32_t cookie, uint16_t type, struct m_tag *t)
{
	t = t == NULL ? SLIST_FIRST(&m->m_pkthdr.tags) :
	    SLIST_NEXT(t, m_tag_link);
	while (t != NULL && (t->m_tag_cookie != cookie || t->m_tag_id != type))
		t = SLIST_NEXT(t, m_tag_link);
	return (t);
}

struct m_tag *
m_tag_copy(struct m_tag *t, int how)
{
	struct m_tag *p;

	p = m_tag_alloc(t->m_tag_cookie, t->m_tag_id, t->m_tag_len, how);
	if (p != NULL)
		memcpy(p + 1, t + 1, t->m_tag_len);
	return (p);
}

int
m_tag_copy_chain(struct mbuf *to, const struct mbuf *from, int how)
{
	struct m_tag *last, *p, *t;

	m_tag_delete_chain(to, NULL);
	last = NULL;
	SLIST_FOREACH(p, &from->m_pkthdr.tags, m_tag_link) {
		t = m_tag_copy(p, how);
		if (t == NULL) {
			m_tag_delete_chain(to, NULL);
			return (0);
		}
		if (last == NULL)
			SLIST_INSERT_HEAD(&to->m_pkthdr.tags, t, m_tag_link);
		else
			SLIST_INSERT_AFTER(last, t, m_tag_link);
		last = t;
	}
	return (1);
}
