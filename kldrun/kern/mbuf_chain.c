/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * mbuf_chain.c: what mbuf(9) does to whole chains: trim, copy, pull up, join,
 * split, defragment, and the Internet checksum over one.
 *
 * A chain belongs to its caller; nothing here has a lock.
 */

#include "kern.h"
#include <sys/mbuf.h>
#include <netinet/in.h>
#include <netinet/in_systm.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet6/ip6_var.h>
#include <machine/in_cksum.h>

u_int
m_length(struct mbuf *m0, struct mbuf **last)
{
	struct mbuf *m;
	u_int len;

	len = 0;
	for (m = m0; m != NULL; m = m->m_next) {
		len += m->m_len;
		if (m->m_next == NULL)
			break;
	}
	if (last != NULL)
		*last = m;
	return (len);
}

u_int
m_fixhdr(struct mbuf *m0)
{
	m0->m_pkthdr.len = m_length(m0, NULL);
	return (m0->m_pkthdr.len);
}

static void
adj_tail(struct mbuf *mp, int len)
{
	struct mbuf *m;
	int keep;

	keep = (int)m_length(mp, NULL) - len;
	if (keep < 0)
		keep = 0;
	if ((mp->m_flags & M_PKTHDR) != 0)
		mp->m_pkthdr.len = keep;
	for (m = mp; m != NULL; m = m->m_next) {
		if (m->m_len >= keep)
			m->m_len = keep;
		keep -= m->m_len;
	}
}

/* Take len bytes off the head, or -len off the tail. */
void
m_adj(struct mbuf *mp, int len)
{
	struct mbuf *m;
	int n;

	if (mp == NULL)
		return;
	if (len < 0) {
		adj_tail(mp, -len);
		return;
	}
	for (m = mp; m != NULL && len > 0; m = m->m_next) {
		n = MIN(len, m->m_len);
		m->m_len -= n;
		m->m_data += n;
		len -= n;
		if ((mp->m_flags & M_PKTHDR) != 0)
			mp->m_pkthdr.len -= n;
	}
}

/* The mbuf with byte `off', and where in it. */
struct mbuf *
m_getptr(struct mbuf *m, int loc, int *off)
{
	for (; m != NULL; loc -= m->m_len, m = m->m_next) {
		if (m->m_len > loc) {
			*off = loc;
			return (m);
		}
		if (m->m_next == NULL && loc == m->m_len) {
			*off = loc;
			return (m);
		}
	}
	return (NULL);
}

static const struct mbuf *
seek(const struct mbuf *m, int *off, const char *who)
{
	if (*off < 0)
		panic("%s: offset %d", who, *off);
	while (*off > 0) {
		if (m == NULL)
			panic("%s: offset beyond the chain", who);
		if (*off < m->m_len)
			break;
		*off -= m->m_len;
		m = m->m_next;
	}
	return (m);
}

void
m_copydata(const struct mbuf *m, int off, int len, caddr_t cp)
{
	int n;

	m = seek(m, &off, "m_copydata");
	for (; len > 0; m = m->m_next, off = 0) {
		if (m == NULL)
			panic("m_copydata: %d bytes beyond the chain", len);
		n = MIN(m->m_len - off, len);
		memcpy(cp, m->m_data + off, n);
		cp += n;
		len -= n;
	}
}

int
m_apply(struct mbuf *m, int off, int len, int (*f)(void *, void *, u_int),
    void *arg)
{
	int error, n;

	m = __DECONST(struct mbuf *, seek(m, &off, "m_apply"));
	for (; len > 0; m = m->m_next, off = 0) {
		if (m == NULL)
			panic("m_apply: %d bytes beyond the chain", len);
		n = MIN(m->m_len - off, len);
		error = f(arg, m->m_data + off, n);
		if (error != 0)
			return (error);
		len -= n;
	}
	return (0);
}

int
m_append(struct mbuf *m0, int len, c_caddr_t cp)
{
	struct mbuf *m, *n;
	int left, room;

	(void)m_length(m0, &m);
	left = len;
	room = MIN(M_TRAILINGSPACE(m), left);
	if (room > 0) {
		memcpy(m->m_data + m->m_len, cp, room);
		m->m_len += room;
		cp += room;
		left -= room;
	}
	while (left > 0) {
		n = m_get2(MIN(left, MJUMPAGESIZE), M_NOWAIT, m->m_type, 0);
		if (n == NULL)
			break;
		n->m_len = MIN((int)M_SIZE(n), left);
		memcpy(n->m_data, cp, n->m_len);
		cp += n->m_len;
		left -= n->m_len;
		m->m_next = n;
		m = n;
	}
	if ((m0->m_flags & M_PKTHDR) != 0)
		m0->m_pkthdr.len += len - left;
	return (left == 0);
}

/* Write into the chain, which grows when it is too short. */
void
m_copyback(struct mbuf *m0, int off, int len, c_caddr_t cp)
{
	struct mbuf *m, *n;
	int at, chunk;

	for (m = m0, at = 0; len > 0;) {
		if (off < at + m->m_len) {
			chunk = MIN(at + m->m_len - off, len);
			if (cp != NULL) {
				memcpy(m->m_data + (off - at), cp, chunk);
				cp += chunk;
			}
			off += chunk;
			len -= chunk;
		}
		if (len == 0)
			break;
		at += m->m_len;
		if (m->m_next == NULL) {
			n = m_get2(MIN(off - at + len, MJUMPAGESIZE), M_NOWAIT,
			    m->m_type, 0);
			if (n == NULL)
				break;
			n->m_len = MIN((int)M_SIZE(n), off - at + len);
			memset(n->m_data, 0, n->m_len);
			m->m_next = n;
		}
		m = m->m_next;
	}
	if ((m0->m_flags & M_PKTHDR) != 0)
		m0->m_pkthdr.len = MAX(m0->m_pkthdr.len, off);
}

void
m_cat(struct mbuf *m, struct mbuf *n)
{
	m = m_last(m);
	while (n != NULL) {
		if (M_TRAILINGSPACE(m) < n->m_len || n->m_len > MLEN ||
		    (m->m_flags & M_EXTPG) != 0) {
			m->m_next = n;
			return;
		}
		memcpy(m->m_data + m->m_len, n->m_data, n->m_len);
		m->m_len += n->m_len;
		n = m_free(n);
	}
}

void
m_catpkt(struct mbuf *m, struct mbuf *n)
{
	m->m_pkthdr.len += n->m_pkthdr.len;
	m_demote(n, 1, 0);
	m_cat(m, n);
}

/* A new mbuf before m, with len bytes at its end. */
struct mbuf *
m_prepend(struct mbuf *m, int len, int how)
{
	struct mbuf *mn;

	if ((m->m_flags & M_PKTHDR) != 0)
		mn = m_gethdr(how, m->m_type);
	else
		mn = m_get(how, m->m_type);
	if (mn == NULL) {
		m_freem(m);
		return (NULL);
	}
	if ((m->m_flags & M_PKTHDR) != 0)
		m_move_pkthdr(mn, m);
	mn->m_next = m;
	if (len < M_SIZE(mn))
		M_ALIGN(mn, len);
	mn->m_len = len;
	return (mn);
}

/* Copies the first len bytes into one new mbuf with dstoff bytes before it. */
static struct mbuf *
pull(struct mbuf *n, int len, int dstoff)
{
	struct mbuf *m;
	int count;

	if (len + dstoff > MHLEN)
		goto bad;
	m = m_get(M_NOWAIT, n->m_type);
	if (m == NULL)
		goto bad;
	if ((n->m_flags & M_PKTHDR) != 0)
		m_move_pkthdr(m, n);
	m->m_data += dstoff;
	while (len > 0 && n != NULL) {
		count = MIN(len, n->m_len);
		memcpy(m->m_data + m->m_len, n->m_data, count);
		len -= count;
		m->m_len += count;
		n->m_len -= count;
		if (n->m_len > 0)
			n->m_data += count;
		else
			n = m_free(n);
	}
	m->m_next = n;
	if (len > 0) {
		n = m;
		goto bad;
	}
	return (m);
bad:
	m_freem(n);
	return (NULL);
}

struct mbuf *
m_pullup(struct mbuf *n, int len)
{
	struct mbuf *m;
	int count;

	if (n->m_len >= len)
		return (n);
	/* Room behind what the first one has. */
	if ((n->m_flags & M_EXT) == 0 && n->m_next != NULL &&
	    M_TRAILINGSPACE(n) >= len - n->m_len) {
		while (n->m_len < len && (m = n->m_next) != NULL) {
			count = MIN(len - n->m_len, m->m_len);
			memcpy(n->m_data + n->m_len, m->m_data, count);
			n->m_len += count;
			m->m_len -= count;
			m->m_data += count;
			if (m->m_len == 0)
				n->m_next = m_free(m);
		}
		if (n->m_len < len) {
			m_freem(n);
			return (NULL);
		}
		return (n);
	}
	return (pull(n, len, 0));
}

struct mbuf *
m_copyup(struct mbuf *n, int len, int dstoff)
{
	return (pull(n, len, dstoff));
}

/* Bytes [off, off + len) share storage; small mbufs are copied. */
struct mbuf *
m_copym(struct mbuf *m, int off0, int len, int wait)
{
	struct mbuf *n, **np, *top;
	int off;
	bool hdr;

	off = off0;
	hdr = off == 0 && (m->m_flags & M_PKTHDR) != 0;
	m = __DECONST(struct mbuf *, seek(m, &off, "m_copym"));
	top = NULL;
	for (np = &top; len > 0; np = &n->m_next, m = m->m_next, off = 0) {
		if (m == NULL) {
			if (len != M_COPYALL)
				panic("m_copym: beyond the chain");
			break;
		}
		n = hdr ? m_gethdr(wait, m->m_type) : m_get(wait, m->m_type);
		*np = n;
		if (n == NULL)
			goto nospace;
		if (hdr) {
			if (!m_dup_pkthdr(n, m, wait))
				goto nospace;
			if (len != M_COPYALL)
				n->m_pkthdr.len = len;
			hdr = false;
		}
		n->m_len = MIN(len, m->m_len - off);
		if ((m->m_flags & M_EXT) != 0) {
			mb_dupcl(n, m);
			n->m_data = m->m_data + off;
		} else
			memcpy(n->m_data, m->m_data + off, n->m_len);
		if (len != M_COPYALL)
			len -= n->m_len;
	}
	return (top);
nospace:
	m_freem(top);
	return (NULL);
}

struct mbuf *
m_copypacket(struct mbuf *m, int how)
{
	return (m_copym(m, 0, M_COPYALL, how));
}

/* A chain of its own with the same bytes, in the largest pieces that fit. */
static struct mbuf *
dup_chain(const struct mbuf *m0, int how)
{
	struct mbuf *n, **np, *top;
	int left, off;

	top = NULL;
	left = m_length(__DECONST(struct mbuf *, m0), NULL);
	off = 0;
	np = &top;
	do {
		n = m_get2(MIN(left, MJUMPAGESIZE), how, m0->m_type,
		    top == NULL ? m0->m_flags & M_PKTHDR : 0);
		if (n == NULL || (top == NULL &&
		    (m0->m_flags & M_PKTHDR) != 0 &&
		    !m_dup_pkthdr(n, m0, how))) {
			m_freem(n);
			m_freem(top);
			return (NULL);
		}
		n->m_len = MIN(left, (int)M_SIZE(n));
		m_copydata(m0, off, n->m_len, n->m_data);
		left -= n->m_len;
		off += n->m_len;
		*np = n;
		np = &n->m_next;
		if (top == NULL)
			top = n;
	} while (left > 0);
	return (top);
}

struct mbuf *
m_dup(const struct mbuf *m, int how)
{
	if (m == NULL)
		return (NULL);
	return (dup_chain(m, how));
}

/* The chain is untouched when this fails. */
struct mbuf *
m_defrag(struct mbuf *m0, int how)
{
	struct mbuf *n;

	n = dup_chain(m0, how);
	if (n != NULL)
		m_freem(m0);
	return (n);
}

struct mbuf *
m_unshare(struct mbuf *m0, int how)
{
	struct mbuf *m, *n;

	for (m = m0; m != NULL; m = m->m_next)
		if (!M_WRITABLE(m))
			break;
	if (m == NULL)
		return (m0);
	n = dup_chain(m0, how);
	m_freem(m0);
	return (n);
}

/* At most maxfrags mbufs: join neighbours, then pairs in new clusters. */
struct mbuf *
m_collapse(struct mbuf *m0, int how, int maxfrags)
{
	struct mbuf *m, *n, *next;
	int frags;

	frags = 0;
	for (m = m0; m != NULL; m = m->m_next)
		frags++;
	for (m = m0; frags > maxfrags && (n = m->m_next) != NULL;) {
		if (n->m_len <= M_TRAILINGSPACE(m)) {
			memcpy(m->m_data + m->m_len, n->m_data, n->m_len);
			m->m_len += n->m_len;
			m->m_next = m_free(n);
			frags--;
		} else
			m = n;
	}
	for (m = m0->m_next; frags > maxfrags && m != NULL &&
	    (n = m->m_next) != NULL; m = next) {
		next = m;
		if (m->m_len + n->m_len > MCLBYTES) {
			next = n;
			continue;
		}
		struct mbuf *c = m_getcl(how, m->m_type, 0);

		if (c == NULL)
			return (NULL);
		memcpy(c->m_data, m->m_data, m->m_len);
		memcpy(c->m_data + m->m_len, n->m_data, n->m_len);
		c->m_len = m->m_len + n->m_len;
		c->m_next = n->m_next;
		/* m's place in the chain is before it: find it. */
		struct mbuf *p = m0;

		while (p->m_next != m)
			p = p->m_next;
		p->m_next = c;
		m_free(m);
		m_free(n);
		frags--;
		next = c;
	}
	if (frags > maxfrags)
		return (m_defrag(m0, how));
	return (m0);
}

/* The tail from len on becomes a chain of its own. */
struct mbuf *
m_split(struct mbuf *m0, int len0, int wait)
{
	struct mbuf *m, *n;
	int len, rest;

	for (m = m0, len = len0; m != NULL && len > m->m_len; m = m->m_next)
		len -= m->m_len;
	if (m == NULL)
		return (NULL);
	rest = m->m_len - len;
	n = (m0->m_flags & M_PKTHDR) != 0 ? m_gethdr(wait, m0->m_type) :
	    m_get(wait, m0->m_type);
	if (n == NULL)
		return (NULL);
	if ((m0->m_flags & M_PKTHDR) != 0) {
		n->m_pkthdr.rcvif = m0->m_pkthdr.rcvif;
		n->m_pkthdr.len = m0->m_pkthdr.len - len0;
		m0->m_pkthdr.len = len0;
	}
	if ((m->m_flags & M_EXT) != 0) {
		mb_dupcl(n, m);
		n->m_data = m->m_data + len;
	} else if (rest > M_SIZE(n)) {
		if (!m_clget(n, wait)) {
			m_free(n);
			return (NULL);
		}
		memcpy(n->m_data, m->m_data + len, rest);
	} else
		memcpy(n->m_data, m->m_data + len, rest);
	n->m_len = rest;
	m->m_len = len;
	n->m_next = m->m_next;
	m->m_next = NULL;
	return (n);
}

/* The Internet checksum */

u_short
in_addword(u_short sum, u_short b)
{
	uint32_t s;

	s = (uint32_t)sum + b;
	return (s + (s >> 16));
}

static uint32_t
fold(uint64_t s)
{
	while (s > 0xffff)
		s = (s & 0xffff) + (s >> 16);
	return (s);
}

u_short
in_pseudo(u_int a, u_int b, u_int c)
{
	return (fold((uint64_t)a + b + c));
}

struct sum {
	uint64_t sum;
	bool odd;
};

static int
sum_piece(void *arg, void *data, u_int len)
{
	const uint8_t *p;
	struct sum *s;
	uint64_t part;
	uint32_t w;

	s = arg;
	p = data;
	part = 0;
	for (; len >= 4; p += 4, len -= 4) {
		memcpy(&w, p, 4);
		part += w;
	}
	if (len >= 2) {
		part += (uint32_t)p[0] | (uint32_t)p[1] << 8;
		p += 2;
		len -= 2;
	}
	if (len != 0)
		part += p[0];
	part = fold(part);
	/* A piece that starts at an odd byte counts with its bytes swapped. */
	if (s->odd)
		part = (part << 8 | part >> 8) & 0xffff;
	s->sum += part;
	return (0);
}

static int
sum_mbuf(void *arg, void *data, u_int len)
{
	struct sum *s;

	s = arg;
	(void)sum_piece(arg, data, len);
	if ((len & 1) != 0)
		s->odd = !s->odd;
	return (0);
}

u_short
in_cksum_skip(struct mbuf *m, int len, int skip)
{
	struct sum s = { 0, false };

	(void)m_apply(m, skip, len - skip, sum_mbuf, &s);
	return (~fold(s.sum) & 0xffff);
}

u_int
in_cksum_hdr(const struct ip *ip)
{
	struct sum s = { 0, false };

	(void)sum_piece(&s, __DECONST(void *, ip), sizeof(*ip));
	return (~fold(s.sum) & 0xffff);
}

/* The pseudo header of IPv6, for whoever adds the rest. */
int
in6_cksum_pseudo(struct ip6_hdr *ip6, uint32_t len, uint8_t nxt,
    uint16_t csum)
{
	struct sum s = { csum, false };

	(void)sum_piece(&s, &ip6->ip6_src, 2 * sizeof(ip6->ip6_src));
	s.sum += htons(len >> 16) + htons(len & 0xffff) + htons(nxt);
	return (fold(s.sum));
}
