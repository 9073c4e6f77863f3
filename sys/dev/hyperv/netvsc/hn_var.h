/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * What the files of hn(4) share: the interface, its rings.
 *
 * The protocol is in core/guest/netvsc*.c: one machine for the interface
 * (sc_nv) and two for each channel (r_tx, r_rx).
 *
 * Locking, in this order:
 *
 *	sc_cfg	(sx) who changes the configuration: ioctls, the management
 *		task, attach, detach.  Held while the host is waited for, each
 *		time with a deadline; never taken on the data path.
 *	r_mtx	of a ring: its sending half, its queue.
 *	sc_mtx	the interface's machine.  Neither r_mtx nor the epoch is needed
 *		for it, and no other lock of ours is taken under it.
 *
 * A channel's receiving half belongs to the channel's callback.  The vmbus
 * transmit lock may be taken under r_mtx and sc_mtx.
 */

#ifndef _HN_VAR_H_
#define	_HN_VAR_H_

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/bus.h>
#include <sys/buf_ring.h>
#include <sys/callout.h>
#include <sys/endian.h>
#include <sys/epoch.h>
#include <sys/eventhandler.h>
#include <sys/kernel.h>
#include <sys/lock.h>
#include <sys/malloc.h>
#include <sys/mbuf.h>
#include <sys/module.h>
#include <sys/mutex.h>
#include <sys/smp.h>
#include <sys/socket.h>
#include <sys/sockio.h>
#include <sys/sx.h>
#include <sys/sysctl.h>
#include <sys/taskqueue.h>
#include <machine/bus.h>

#include <net/bpf.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <net/if_var.h>
#include <net/if_dl.h>
#include <net/if_media.h>
#include <net/if_types.h>
#include <net/if_vlan_var.h>
#include <netinet/in.h>
#include <netinet/in_systm.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <netinet/tcp_lro.h>
#include <netinet/udp.h>

#include <vmbus.h>
#include <hvk_compat.h>
#include <hvk/guest/netvsc.h>
#include <hvk/ndis.h>

#define	HN_MAXRINGS	HVK_NETVSC_CHANNELS
#define	HN_RING_SIZE	(128 * PAGE_SIZE)	/* each way */
#define	HN_RECV_SIZE	(16 * 1024 * 1024)
#define	HN_SEND_PER_RING (1024 * 1024)
#define	HN_SENDS	1024		/* slots of a ring */
#define	HN_DESCS	512		/* of them, direct ones */
#define	HN_SWQ		1024		/* frames waiting, at least */
#define	HN_PKTBUF	(16 * 1024)	/* a received packet */
#define	HN_ACKS		8192		/* owed to the host, at most */
#define	HN_ACK_BATCH	32
#define	HN_TX_BATCH	64		/* packets, one signal */
#define	HN_RX_BUDGET	512		/* packets of one callback */
#define	HN_FRAME_MAX	(65535 + ETHER_HDR_LEN + ETHER_VLAN_ENCAP_LEN)

/* A direct send: a page for the header, the frame's pages. */
#define	HN_SEGS		31
#define	HN_HEADER	256		/* bytes of a header, 256-aligned */

#define	HN_TICK		(SBT_1S / 4)
#define	HN_DRAIN_MS	5000		/* sends end by themselves */
#define	HN_STALL_MS	30000		/* the host ends no send: it is dead */
#define	HN_REPORT_MS	10000		/* between two lines on nonsense */
#define	HN_RENEW_MS	5000		/* link down for new addresses */
#define	HN_ANSWER	256		/* bytes of an answer, at most */
#define	HN_NAME		96		/* bytes of the name at the host */
#define	HN_LINK_BURST	8		/* changes of the link at once, then */
#define	HN_LINK_MS	1000		/* one in so long */

#define	HN_MTU_MAX	HVK_NETVSC_MTU_MAX

struct hn_softc;

struct hn_mem {
	void		*addr;
	uint32_t	 size;
	uint32_t	 gpadl;
	bool		 shared;	/* the host has it */
};

struct hn_desc {
	STAILQ_ENTRY(hn_desc) d_link;
	struct mbuf	*d_mbuf;
	bus_dmamap_t	 d_map;
	uint8_t		*d_header;
	uint64_t	 d_header_pfn;
	uint32_t	 d_header_off;
};

struct hn_ring {
	struct hn_softc		*r_sc;
	struct vmbus_channel	*r_chan;
	int			 r_idx;

	/* Sending; r_mtx. */
	struct mtx		 r_mtx;
	bool			 r_open;	/* r_chan is there */
	struct hvk_netvsc_tx	 r_tx;
	struct hvk_netvsc_send	*r_slots;
	struct hn_desc		*r_descs;
	uint8_t			*r_headers;
	STAILQ_HEAD(, hn_desc)	 r_free;
	struct buf_ring		*r_queue;
	struct taskqueue	*r_tq;
	struct task		 r_task;
	int			 r_oactive;
	volatile u_int		 r_kicked;	/* somebody will look soon */
	bool			 r_running;	/* frames may be sent */
	bool			 r_ring_full;	/* why the last batch ended */
	int			 r_direct_size;
	int			 r_sched_tx;
	struct hvk_page_buf	 r_pages[HN_SEGS + 1];

	u_long			 r_tx_pkts;
	u_long			 r_sends;
	u_long			 r_no_txdescs;
	u_long			 r_send_failed;
	u_long			 r_txdma_failed;
	u_long			 r_flush_failed;
	u_long			 r_tx_collapsed;
	u_long			 r_tx_chimney;
	u_long			 r_tx_chimney_tried;
	u_long			 r_tx_drops;

	/* Receiving; the channel's callback. */
	struct hvk_netvsc_rx	 r_rx;
	struct hvk_netvsc_frag	*r_frags;
	struct hvk_netvsc_acks	 r_acks;
	uint64_t		*r_ack_ids;
	uint64_t		*r_pktbuf;
	int			 r_pktbuf_len;
	bool			 r_rx_ready;
	struct lro_ctrl		 r_lro;
	int			 r_trust;	/* HN_TRUST_* */

	u_long			 r_rx_pkts;
	u_long			 r_rss_pkts;
	u_long			 r_rsc_pkts;
	u_long			 r_rsc_drop;
	u_long			 r_lro_tried;
	u_long			 r_csum_ip;
	u_long			 r_csum_tcp;
	u_long			 r_csum_udp;
	u_long			 r_csum_trusted;
	u_long			 r_small_pkts;
	u_long			 r_ack_failed;
	u_long			 r_nombuf;
} __aligned(CACHE_LINE_SIZE);

#define	HN_TRUST_TCP	0x1
#define	HN_TRUST_UDP	0x2
#define	HN_TRUST_IP	0x4

struct hn_softc {
	device_t		 sc_dev;
	struct ifnet		*sc_ifp;
	struct ifmedia		 sc_media;
	struct sx		 sc_cfg;
	struct mtx		 sc_mtx;

	/* sc_mtx */
	struct hvk_netvsc	 sc_nv;
	struct hvk_netvsc_message sc_msg;
	bool			 sc_msg_pending;
	bool			 sc_requesting;
	bool			 sc_request_over;
	uint32_t		 sc_answer_len;	/* of the last one; stays */
	uint8_t			 sc_answer[HN_ANSWER]; /* while sc_cfg is held */
	bool			 sc_failed;	/* the host is of no use */
	bool			 sc_stopping;
	bool			 sc_want_link;
	bool			 sc_want_renew;
	bool			 sc_has_table;	/* the host's send table */
	bool			 sc_again;	/* start anew at the tick */
	bool			 sc_changing;	/* of the MTU: may fail */
	const char		*sc_why;
	uint64_t		 sc_renew_at;
	void			*sc_control;	/* the page of RNDIS requests */
	uint64_t		 sc_control_pfn;
	uint64_t		 sc_nonsense;	/* reported so far */
	uint64_t		 sc_report_at;
	u_long			 sc_nothing;	/* packets for nobody */

	/* sc_cfg */
	bool			 sc_up;		/* channels and machine run */
	bool			 sc_attached;	/* as an ifnet */
	bool			 sc_detaching;
	bool			 sc_held;	/* the host kept memory */
	uint32_t		 sc_filter;
	bool			 sc_rsc;	/* dev.hn.N.rsc_switch */
	uint32_t		 sc_wanted_off;	/* HVK_OFF_* by the user */
	struct hvk_net_rss	 sc_rss;
	bool			 sc_user_key;
	bool			 sc_user_table;
	u_int			 sc_if_flags;	/* when last looked at */
	bool			 sc_link;	/* as the system was told */
	u_int			 sc_link_may;	/* changes it may be told */
	uint64_t		 sc_link_at;	/* since when */
	uint64_t		 sc_link_said;	/* no line on that before */
	uint64_t		 sc_restart_said; /* nor on a lost channel */
	uint8_t			 sc_mac[ETHER_ADDR_LEN];
	char			 sc_name[HN_NAME]; /* set once, at attach */
	struct hn_mem		 sc_recv;
	struct hn_mem		 sc_send;
	eventhandler_tag	 sc_lladdr_tag;

	struct callout		 sc_tick;
	struct callout		 sc_poll;	/* dev.hn.N.polling */
	struct taskqueue	*sc_tq;		/* "hnN mgmt" */
	struct task		 sc_filter_task;
	struct task		 sc_link_task;
	struct task		 sc_fail_task;
	struct task		 sc_restart_task;
	struct taskqueue	*sc_txtq[HN_MAXRINGS];
	int			 sc_ntxtq;
	struct sysctl_ctx_list	 sc_sysctl;

	bus_dma_tag_t		 sc_dtag;
	struct vmbus_channel	*sc_primary;
	struct vmbus_channel	*sc_subs[HN_MAXRINGS];
	int			 sc_nsubs;
	struct hn_ring		*sc_ring;	/* [sc_nrings] */
	int			 sc_nrings;	/* made */
	int			 sc_ninuse;	/* open; read without lock */
	int			 sc_ntx;	/* of them, that send */
	int			 sc_agg_size;
	int			 sc_agg_pkts;
	int			 sc_chim_size;
	u_int			 sc_polling;
	u_long			 sc_mtu_changes;
	u_long			 sc_mtu_rollbacks;
	u_long			 sc_restarts;
};

MALLOC_DECLARE(M_HN);

/* hn_sysctl.c: loader tunables */
extern int hn_trust_hosttcp, hn_trust_hostudp, hn_trust_hostip;
extern int hn_enable_udp4cs, hn_enable_udp6cs;
extern int hn_udpcs_fixup_mtu, hn_tso_maxlen, hn_tx_chimney_size;
extern counter_u64_t hn_udpcs_fixup;
extern int hn_direct_tx_size, hn_lro_entry_count, hn_tx_taskq_cnt;
extern int hn_tx_taskq_mode, hn_chan_cnt, hn_tx_ring_cnt;
extern int hn_tx_swq_depth, hn_tx_agg_size, hn_tx_agg_pkts;
extern int hn_recv_size, hn_send_size, hn_ring_pages;
extern int hn_use_if_start, hn_request_ms, hn_stall_ms;
extern u_int hn_lro_mbufq_depth;
#define	HN_TASKQ_INDEP	0
#define	HN_TASKQ_GLOBAL	1
#define	HN_TASKQ_EVENT	2
void	hn_sysctl_attach(struct hn_softc *);

/* hn_attach.c */
uint64_t hn_now(void);
void	hn_fail(struct hn_softc *, const char *why);

/* hn_nvs.c: the interface's machine */
void	hn_nvs_pump(struct hn_softc *);
void	hn_nvs_event(struct hn_softc *, enum hvk_netvsc_event);
void	hn_nvs_input(struct hn_softc *, const struct hvk_packet *);
void	hn_nvs_rndis(struct hn_softc *, const void *, uint32_t len);
void	hn_nvs_tick(struct hn_softc *);
int	hn_nvs_start(struct hn_softc *);
void	hn_nvs_halt(struct hn_softc *);
int	hn_nvs_wait(struct hn_softc *, int started);
const char *hn_nvs_reason(const struct hn_softc *);

/* hn_chan.c: channels, buffers; the interface on and off the host */
int	hn_synth_attach(struct hn_softc *, uint32_t mtu);
void	hn_synth_detach(struct hn_softc *);
int	hn_synth_set_mtu(struct hn_softc *, uint32_t mtu);
void	hn_memory_free(struct hn_softc *);
void	hn_callback(struct vmbus_channel *, void *);

/* hn_rx.c */
int	hn_rx_init(struct hn_ring *);
void	hn_rx_free(struct hn_ring *);
void	hn_rx_packet(struct hn_ring *, const struct hvk_packet *);
void	hn_rx_flush(struct hn_ring *);

/* hn_tx.c */
int	hn_tx_create(struct hn_ring *);
void	hn_tx_destroy(struct hn_ring *);
int	hn_tx_init(struct hn_ring *);
void	hn_tx_done(struct hn_ring *, const struct hvk_packet *);
void	hn_tx_restart(struct hn_ring *);
void	hn_tx_end(struct hn_ring *, bool held);
void	hn_tx_run(struct hn_softc *, bool on);
void	hn_tx_drain(struct hn_softc *);
void	hn_tx_aggregate(struct hn_softc *);
bool	hn_tx_stalled(struct hn_ring *, uint64_t now);
void	hn_tx_task(void *, int);
void	hn_kick(struct hn_ring *);
int	hn_transmit(struct ifnet *, struct mbuf *);
void	hn_start(struct ifnet *);
void	hn_qflush(struct ifnet *);

/* hn_offload.c */
void	hn_offload_init(struct hn_softc *);
void	hn_offload_apply(struct hn_softc *);
int	hn_offload_set(struct hn_softc *, int capenable);
struct mbuf *hn_offload_ask(struct mbuf *, struct hvk_net_meta *);
void	hn_offload_rx(struct hn_ring *, struct mbuf *,
	    const struct hvk_net_meta *, int capenable);

/* hn_rss.c */
int	hn_rss_init(struct hn_softc *);
int	hn_rss_set(struct hn_softc *);
void	hn_rss_hash(struct hn_ring *, struct mbuf *,
	    const struct hvk_net_meta *);
uint32_t hn_rss_types(const struct hn_softc *);
void	hn_rss_sysctl(struct hn_softc *, struct sysctl_ctx_list *,
	    struct sysctl_oid_list *);
int	hn_rss_ioctl(struct hn_softc *, u_long cmd, caddr_t);

/* hn_ioctl.c */
int	hn_ioctl(struct ifnet *, u_long, caddr_t);
void	hn_init(void *);
void	hn_stop(struct hn_softc *);
int	hn_filter(struct hn_softc *);
void	hn_filter_task(void *, int);
void	hn_link_task(void *, int);
void	hn_restart_task(void *, int);
void	hn_link_apply(struct hn_softc *);
void	hn_lladdr_event(void *, struct ifnet *);
int	hn_media_change(struct ifnet *);
void	hn_media_status(struct ifnet *, struct ifmediareq *);

/* hn_nvs.c: a request, sc_cfg held: 0 or errno.  `call' under sc_mtx. */
int	hn_query(struct hn_softc *, uint32_t oid);
int	hn_request(struct hn_softc *, int (*call)(struct hn_softc *, void *),
	    void *arg);

#define	HN_CSUM_TX	(CSUM_IP | CSUM_IP_TCP | CSUM_IP_UDP | CSUM_IP6_TCP | \
			    CSUM_IP6_UDP | CSUM_TSO)

/* What a frame asks for.  NULL: it was dropped. */
static inline struct mbuf *
hn_offload_tx(struct hn_ring *r, struct mbuf *m, struct hvk_net_meta *meta)
{
	/* The host answers on the channel that this hashes to: ours. */
	meta->has = HVK_NET_HASH;
	meta->hash = r->r_idx;
	if ((m->m_flags & M_VLANTAG) != 0) {
		meta->has |= HVK_NET_VLAN;
		meta->vlan = m->m_pkthdr.ether_vtag;
	}
	if ((m->m_pkthdr.csum_flags & HN_CSUM_TX) == 0)
		return (m);
	return (hn_offload_ask(m, meta));
}

static inline void
hn_rss_rx(struct hn_ring *r, struct mbuf *m, const struct hvk_net_meta *meta)
{
	if ((meta->has & HVK_NET_HASH) == 0) {
		m->m_pkthdr.flowid = r->r_idx;
		M_HASHTYPE_SET(m, M_HASHTYPE_OPAQUE);
	} else
		hn_rss_hash(r, m, meta);
}

#endif	/* !_HN_VAR_H_ */
