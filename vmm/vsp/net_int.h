/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * A network adapter's own structures.
 *
 * Locking, in the order in which locks are taken:
 *	nets.lock	the table of adapters; commands of the administrator
 *	nic.state	(read-write) the protocol machine, the buffers, the
 *			back-end, VLANs: workers hold it for reading around a
 *			batch; control messages, commands, open and close for
 *			writing
 *	port.lock	receiving from one queue of the back-end, whoever does
 *	channel.lock	one channel's way to the guest: its ring and its part of
 *			the receive buffer's slots, since any worker may have a
 *			frame for it
 *	port.send	sending to one queue of the back-end
 * A worker holds one channel.lock at a time and no other lock of the last
 * three with it but port.lock.
 */
#ifndef _HVK_NET_INT_H_
#define	_HVK_NET_INT_H_

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include <hvk/host/netvsp.h>
#include <hvk/net.h>
#include <hvk/netbackend.h>
#include <hvk/vmm.h>

#define	NET_CHANNELS	HVK_NETVSP_CHANNELS
#define	NET_NICS	16u
#define	NET_PACKET	8192u		/* bytes of the largest packet */
#define	NET_SEGS	512u		/* more than such a packet names */
#define	NET_BATCH	64u		/* packets before completions go out */
#define	NET_BUDGET	64u		/* frames from the back-end */
#define	NET_RESERVE	16u		/* slots kept for control messages */
#define	NET_LOW		64u		/* slots that one large frame may take */
#define	NET_PAUSE_MS	10u		/* that a channel without slots gets */
#define	NET_NOBODY	0xffffu
#define	NET_POLL_US	20u
#define	NET_LSO_MAX	62780u		/* bytes of one large send */

struct net_nic;
struct net_capture;

/* Why a frame went no further. */
enum net_drop {
	DROP_NO_BUFFER,			/* to the guest: no slot */
	DROP_NO_RING,			/* to the guest: no room in its ring */
	DROP_FILTER,			/* to the guest: not for it */
	DROP_VLAN,			/* either way: not its VLAN */
	DROP_LINK,			/* either way: link is down */
	DROP_BIG,			/* to the guest: over its MTU */
	DROP_BAD,			/* either way: makes no sense */
	DROP_BACKEND,			/* from the guest: no room there */
	DROP_FAULT,			/* on purpose */
	DROP_MAX
};

struct net_stats {			/* of one worker, who alone writes */
	uint64_t	tx_frames, tx_bytes;	/* from the guest */
	uint64_t	rx_frames, rx_bytes;	/* to the guest */
	uint64_t	tx_packets, rx_packets;	/* of the ring */
	uint64_t	tx_lso, tx_csum, rx_rsc, rx_cut;
	uint64_t	kicks, sleeps, signals, polls, rejects;
	uint64_t	steered;		/* to another channel's guest CPU */
	uint64_t	drop[DROP_MAX];
};

struct net_done {			/* a completion that is owed */
	uint64_t	txid;
	uint64_t	due;			/* FAULT_DELAY; 0: now */
	uint32_t	status;
	bool		asked;			/* for faults */
};

/* The way to the guest by one channel. */
struct net_channel {
	pthread_mutex_t	lock;
	bool		open;
	bool		broken;
	bool		dirty;			/* not published */
	struct vmm_channel *channel;
	struct hvk_ring_tx *tx;
	uint32_t	reserve;		/* slots only for control */
	uint32_t	low;			/* with fewer it is waited for */
	struct hvk_netvsp_queue *queue;		/* NULL: no receive buffer */
	struct hvk_netvsp_slot *slots;
	struct hvk_netvsp_sent *packets;
};

struct net_worker {
	struct net_nic	*nic;
	struct vmm_channel *channel;
	struct guest_mem *mem;
	struct hvk_ring_rx *rx;
	pthread_t	thread;
	uint16_t	index;
	bool		broken;
	bool		waiting;		/* for room in the ring */
	_Atomic bool	stop;
	int		wake;			/* eventfd */
	bool		sending;		/* holds its port's send lock */
	uint64_t	touched;		/* channels with work to publish */
	uint16_t	full;			/* channel waited for, or NOBODY */
	uint64_t	full_until;
	uint64_t	slow;			/* channels not waited for */
	uint64_t	poll_ns;
	uint32_t	mischief;		/* turns of FAULT_HOSTILE */
	uint32_t	ndone;
	struct net_done	done[NET_BATCH];
	uint32_t	ndelayed;
	struct net_done	delayed[NET_BATCH];
	struct net_stats stats;
	struct hvk_net_seg seg[NET_SEGS];
	uint8_t		packet[NET_PACKET] __attribute__((aligned(8)));
	uint8_t		tx_frame[NET_HEADROOM + NET_FRAME_MAX]
			    __attribute__((aligned(64)));
	uint8_t		rx_frame[NET_HEADROOM + NET_FRAME_MAX]
			    __attribute__((aligned(64)));
	uint8_t		cut[NET_HEADROOM + NET_FRAME_MAX]
			    __attribute__((aligned(64)));
};

struct net_port {			/* a queue of the back-end */
	pthread_mutex_t	lock;
	pthread_mutex_t	send;
};

enum net_vlan_mode { VLAN_NONE, VLAN_ACCESS, VLAN_TRUNK };

struct net_vlan {
	enum net_vlan_mode mode;
	uint16_t	id;		/* ACCESS; TRUNK: native, 0 = untagged */
	uint64_t	allowed[64];	/* TRUNK: bitmap of 4,096 */
	char		text[256];
};

struct net_nic {
	char		name[16];
	struct vmm_bus	*bus;
	struct vmm_device *device;	/* stays once made */
	bool		removed;	/* nets.lock */
	uint32_t	channels;	/* that it offers, primary included */
	uint32_t	mtu;
	uint8_t		mac[6];
	uint64_t	speed;
	bool		link;		/* by the administrator */
	_Atomic uint32_t flap_hz;	/* changes a second by itself; 0: none */
	char		offload[64];

	pthread_rwlock_t state;
	struct hvk_netvsp vsp;
	struct net_backend *backend;	/* NULL: being removed */
	bool		carrier;	/* told to the guest */
	uint64_t	link_changes;	/* that it was told of */
	uint64_t	flap_at;	/* when the next one is due */
	uint32_t	nports;
	struct net_port	port[NET_QUEUES];
	struct vmm_pages *recv, *send;
	uint32_t	recv_gpadl, send_gpadl;
	struct hvk_toeplitz toeplitz;
	struct net_vlan	vlan;
	struct net_channel chan[NET_CHANNELS];
	uint64_t	open_mask;	/* channels that have a worker */
	_Atomic(struct net_capture *) capture;
	struct net_stats past;		/* of workers that are gone */

	pthread_mutex_t	lock;		/* worker[] */
	struct net_worker *worker[NET_CHANNELS];
};

/* net.c */
struct net_nic *net_nic_create(struct vmm_bus *, const json_t *, char *,
	    size_t);
/* The adapter's keys anew, and a back-end; it is not offered now. */
int	net_nic_configure(struct net_nic *, const json_t *, char *, size_t);
void	net_nic_unplug(struct net_nic *);	/* the back-end goes */
void	net_nic_free(struct net_nic *);
void	net_nic_wake(struct net_nic *);
int	net_mac_parse(const char *, uint8_t mac[6]);
uint32_t net_offload_parse(const char *);	/* 0: not a list of these */

/* net_info.c */
json_t	*net_nic_json(struct net_nic *);
json_t	*net_nic_stat(struct net_nic *);
void	net_nic_info(void *, json_t *);
/* All workers, those that are gone too. */
void	net_nic_sum(struct net_nic *, struct net_stats *);

/* net_worker.c */
int	net_worker_start(struct net_nic *, struct vmm_channel *);
void	net_worker_stop(struct net_worker *);
void	net_worker_wake(struct net_worker *);
void	net_broken(struct net_worker *);
bool	net_worker_serves(const struct net_worker *, uint32_t port);

/* net_tx.c: from the guest; state held for reading. */
void	net_tx_data(struct net_worker *, const struct hvk_packet *);
/* The memory of a packet: segments, or 0 when there is none such. */
uint32_t net_tx_memory(struct net_worker *, const struct hvk_packet *,
	    const struct hvk_netvsp_send *);
void	net_tx_done(struct net_worker *, uint64_t txid, uint32_t status);
/* Completions into the ring; true if some were sent. */
bool	net_tx_complete(struct net_worker *);
void	net_tx_flush(struct net_worker *);

/* net_rx.c: to the guest; state held for reading. */
unsigned net_rx_pass(struct net_worker *);
bool	net_rx_possible(struct net_worker *);
/* Publish what other channels and this one got; signal. */
void	net_rx_publish(struct net_worker *);
/*
 * Send the packet that is being filled; channel.lock held.  false: no room in
 * the ring, its frames are lost and counted.
 */
bool	net_rx_close(struct net_worker *, struct net_channel *);
void	net_pages_write(const struct vmm_pages *, uint32_t offset,
	    const void *, uint32_t len);

/* net_control.c: state held for writing. */
void	net_control_message(struct net_worker *, const struct hvk_packet *);
void	net_control_rndis(struct net_worker *, const struct hvk_packet *);
/* What waits to go out; true if all of it went. */
bool	net_control_out(struct net_worker *);
void	net_control_gpadl_gone(struct net_nic *, uint32_t gpadl);
void	net_control_drop_recv(struct net_nic *);
int	net_channel_slots(struct net_nic *, uint32_t index);

/* net_fault.c */
/* A completion; channel.lock held.  HVK_STATE: it is delayed. */
int	net_fault_complete(struct net_worker *, struct net_channel *,
	    struct net_done *);
/* A packet of frames that is about to go; channel.lock held.  As sending. */
int	net_fault_frames(struct net_worker *, struct net_channel *,
	    uint64_t txid, uint32_t nranges, const struct hvk_nvsp_message *);

/* net_vlan.c */
int	net_vlan_parse(const char *, struct net_vlan *);
/* The tag that goes to the wire, -1 none; false: not allowed. */
bool	net_vlan_out(const struct net_vlan *, int *tci);
/* The tag that goes to the guest. */
bool	net_vlan_in(const struct net_vlan *, int *tci);

/* net_capture.c */
struct net_capture *net_capture_open(const char *path, const char *nic,
	    bool frames, bool packets, char *, size_t);
void	net_capture_close(struct net_capture *);
/* A tag that travels beside the frame: tci, -1 none. */
void	net_capture_frame(struct net_capture *, bool to_guest, int tci,
	    const uint8_t *, uint32_t len);
/* A packet of the channel: descriptor and what follows it. */
void	net_capture_packet(struct net_capture *, bool to_guest,
	    uint16_t channel, const struct hvk_packet *);
void	net_capture_flush(struct net_capture *);
uint64_t net_capture_count(struct net_capture *);

#endif /* _HVK_NET_INT_H_ */
