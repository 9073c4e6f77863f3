/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * ifnet_get.c: the accessors of an interface that FreeBSD 15's drivers use
 * instead of its fields, and its send queue.
 */

#include "net.h"

#define	GET(type, fn, field)						\
type									\
fn(const if_t ifp)							\
{									\
	return (ifp->field);						\
}
#define	SET(fn, type, field)						\
void									\
fn(if_t ifp, type v)							\
{									\
	ifp->field = v;							\
}
#define	SET0(fn, type, field)						\
int									\
fn(if_t ifp, type v)							\
{									\
	ifp->field = v;							\
	return (0);							\
}
#define	BITS(fn, type, field)						\
int									\
fn(if_t ifp, type set, type clear)					\
{									\
	ifp->field &= ~clear;						\
	ifp->field |= set;						\
	return (0);							\
}
#define	TOGGLE(fn, field)						\
int									\
fn(if_t ifp, int v)							\
{									\
	ifp->field ^= v;						\
	return (0);							\
}

GET(uint64_t, if_getbaudrate, if_baudrate)
GET(int, if_getcapabilities, if_capabilities)
GET(int, if_getcapenable, if_capenable)
GET(int, if_getcapabilities2, if_capabilities2)
GET(int, if_getcapenable2, if_capenable2)
GET(int, if_getdunit, if_dunit)
GET(int, if_getindex, if_index)
GET(int, if_getidxgen, if_idxgen)
GET(const char *, if_getdname, if_dname)
GET(int, if_getalloctype, if_alloctype)
GET(int, if_gettype, if_type)
GET(int, if_getdrvflags, if_drv_flags)
GET(int, if_getflags, if_flags)
GET(int, if_getmtu, if_mtu)
GET(int, if_gethwassist, if_hwassist)
GET(const uint8_t *, if_getbroadcastaddr, if_broadcastaddr)
GET(u_int, if_gethwtsomax, if_hw_tsomax)
GET(u_int, if_gethwtsomaxsegcount, if_hw_tsomaxsegcount)
GET(u_int, if_gethwtsomaxsegsize, if_hw_tsomaxsegsize)
GET(int, if_getnumadomain, if_numa_domain)
GET(struct vnet *, if_getvnet, if_vnet)

int
if_getlinkstate(if_t ifp)
{
	return (ifp->if_link_state);
}

const char *
if_name(if_t ifp)
{
	return (ifp->if_xname);
}

void *
if_getsoftc(if_t ifp)
{
	return (ifp->if_softc);
}

void *
if_getllsoftc(if_t ifp)
{
	return (ifp->if_llsoftc);
}

uint8_t
if_getaddrlen(if_t ifp)
{
	return (ifp->if_addrlen);
}

uint8_t
if_getpcp(if_t ifp)
{
	return (ifp->if_pcp);
}

struct bpf_if *
if_getbpf(if_t ifp)
{
	return (ifp->if_bpf);
}

struct ifvlantrunk *
if_getvlantrunk(if_t ifp)
{
	return (ifp->if_vlantrunk);
}

int
if_vlantrunkinuse(if_t ifp)
{
	return (ifp->if_vlantrunk != NULL);
}

char *
if_getlladdr(const if_t ifp)
{
	return (IF_LLADDR(ifp));
}

uint64_t
if_setbaudrate(if_t ifp, uint64_t v)
{
	uint64_t old;

	old = ifp->if_baudrate;
	ifp->if_baudrate = v;
	return (old);
}

SET0(if_setcapabilities, int, if_capabilities)
SET0(if_setcapenable, int, if_capenable)
SET0(if_setcapabilities2, int, if_capabilities2)
SET0(if_setcapenable2, int, if_capenable2)
SET0(if_setdrvflags, int, if_drv_flags)
SET0(if_setsoftc, void *, if_softc)
SET0(if_setflags, int, if_flags)
SET0(if_setmtu, int, if_mtu)
SET0(if_sethwassist, int, if_hwassist)
SET0(if_setifheaderlen, int, if_hdrlen)
SET0(if_sethwtsomax, u_int, if_hw_tsomax)
SET0(if_sethwtsomaxsegcount, u_int, if_hw_tsomaxsegcount)
SET0(if_sethwtsomaxsegsize, u_int, if_hw_tsomaxsegsize)
SET(if_setllsoftc, void *, if_llsoftc)
SET(if_setdname, const char *, if_dname)
SET(if_setbroadcastaddr, const uint8_t *, if_broadcastaddr)
BITS(if_setcapabilitiesbit, int, if_capabilities)
BITS(if_setcapenablebit, int, if_capenable)
BITS(if_setcapabilities2bit, int, if_capabilities2)
BITS(if_setcapenable2bit, int, if_capenable2)
BITS(if_setdrvflagbits, int, if_drv_flags)
BITS(if_setflagbits, int, if_flags)
BITS(if_sethwassistbits, int, if_hwassist)
TOGGLE(if_togglecapenable, if_capenable)
TOGGLE(if_togglecapenable2, if_capenable2)
TOGGLE(if_togglehwassist, if_hwassist)

int
if_clearhwassist(if_t ifp)
{
	ifp->if_hwassist = 0;
	return (0);
}

int
if_setdev(if_t ifp, void *dev)
{
	return (0);
}

SET(if_setinitfn, if_init_fn_t, if_init)
SET(if_setinputfn, if_input_fn_t, if_input)
SET(if_setioctlfn, if_ioctl_fn_t, if_ioctl)
SET(if_setoutputfn, if_output_fn_t, if_output)
SET(if_settransmitfn, if_transmit_fn_t, if_transmit)
SET(if_setqflushfn, if_qflush_fn_t, if_qflush)
SET(if_setgetcounterfn, if_get_counter_t, if_get_counter)
SET(if_setsndtagallocfn, if_snd_tag_alloc_t, if_snd_tag_alloc)
SET(if_setreassignfn, if_reassign_fn_t, if_reassign)
SET(if_setratelimitqueryfn, if_ratelimit_query_t, if_ratelimit_query)
SET(if_setdebugnet_methods, struct debugnet_methods *, if_debugnet_methods)

if_input_fn_t
if_getinputfn(if_t ifp)
{
	return (ifp->if_input);
}

if_start_fn_t
if_getstartfn(if_t ifp)
{
	return (ifp->if_start);
}

if_transmit_fn_t
if_gettransmitfn(if_t ifp)
{
	return (ifp->if_transmit);
}

uint64_t
if_getcounter(if_t ifp, ift_counter cnt)
{
	return (ifp->if_get_counter(ifp, cnt));
}

void
if_input(if_t ifp, struct mbuf *m)
{
	ifp->if_input(ifp, m);
}

int
if_transmit(if_t ifp, struct mbuf *m)
{
	return (ifp->if_transmit(ifp, m));
}

void
if_init(if_t ifp, void *ctx)
{
	ifp->if_init(ctx);
}

int
if_ioctl(if_t ifp, u_long cmd, void *data)
{
	return (ifp->if_ioctl(ifp, cmd, data));
}

void
if_setrcvif(struct mbuf *m, if_t ifp)
{
	m->m_pkthdr.rcvif = ifp;
}

void
if_setvtag(struct mbuf *m, u_int16_t tag)
{
	m->m_pkthdr.ether_vtag = tag;
	m->m_flags |= M_VLANTAG;
}

u_int16_t
if_getvtag(struct mbuf *m)
{
	return (m->m_pkthdr.ether_vtag);
}

/* The VLANs of an interface take over what it can do by themselves. */
void
if_vlancap(if_t ifp)
{
}

/* The limits of several interfaces together, as lagg(4) wants them. */
void
if_hw_tsomax_common(if_t ifp, struct ifnet_hw_tsomax *p)
{
	if (p->tsomaxbytes == 0 || (ifp->if_hw_tsomax != 0 &&
	    ifp->if_hw_tsomax < p->tsomaxbytes))
		p->tsomaxbytes = ifp->if_hw_tsomax;
	if (p->tsomaxsegcount == 0 || (ifp->if_hw_tsomaxsegcount != 0 &&
	    ifp->if_hw_tsomaxsegcount < p->tsomaxsegcount))
		p->tsomaxsegcount = ifp->if_hw_tsomaxsegcount;
	if (p->tsomaxsegsize == 0 || (ifp->if_hw_tsomaxsegsize != 0 &&
	    ifp->if_hw_tsomaxsegsize < p->tsomaxsegsize))
		p->tsomaxsegsize = ifp->if_hw_tsomaxsegsize;
}

int
if_hw_tsomax_update(if_t ifp, struct ifnet_hw_tsomax *p)
{
	int changed;

	changed = ifp->if_hw_tsomax != p->tsomaxbytes ||
	    ifp->if_hw_tsomaxsegcount != p->tsomaxsegcount ||
	    ifp->if_hw_tsomaxsegsize != p->tsomaxsegsize;
	ifp->if_hw_tsomax = p->tsomaxbytes;
	ifp->if_hw_tsomaxsegcount = p->tsomaxsegcount;
	ifp->if_hw_tsomaxsegsize = p->tsomaxsegsize;
	return (changed);
}

/* A driver with if_start: if_transmit queues and kicks it. */
static int
queue_transmit(if_t ifp, struct mbuf *m)
{
	int error, len;

	len = m->m_pkthdr.len;
	IFQ_ENQUEUE(&ifp->if_snd, m, error);
	if (error != 0) {
		if_inc_counter(ifp, IFCOUNTER_OQDROPS, 1);
		return (error);
	}
	if_inc_counter(ifp, IFCOUNTER_OBYTES, len);
	if ((ifp->if_drv_flags & IFF_DRV_OACTIVE) == 0)
		ifp->if_start(ifp);
	return (0);
}

void
if_setstartfn(if_t ifp, if_start_fn_t fn)
{
	ifp->if_start = fn;
	ifp->if_transmit = queue_transmit;
}

int
if_setsendqready(if_t ifp)
{
	IFQ_SET_READY(&ifp->if_snd);
	return (0);
}

int
if_setsendqlen(if_t ifp, int len)
{
	IFQ_SET_MAXLEN(&ifp->if_snd, len);
	ifp->if_snd.ifq_drv_maxlen = len;
	return (0);
}

int
if_sendq_empty(if_t ifp)
{
	return (IFQ_DRV_IS_EMPTY(&ifp->if_snd));
}

struct mbuf *
if_dequeue(if_t ifp)
{
	struct mbuf *m;

	IFQ_DRV_DEQUEUE(&ifp->if_snd, m);
	return (m);
}

int
if_sendq_prepend(if_t ifp, struct mbuf *m)
{
	IFQ_DRV_PREPEND(&ifp->if_snd, m);
	return (0);
}

bool
if_altq_is_enabled(if_t ifp)
{
	return (false);
}

/* ALTQ disciplines cannot be attached here. */
struct mbuf *(*tbr_dequeue_ptr)(struct ifaltq *, int);
