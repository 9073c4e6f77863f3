/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * What the files of hv_vmbus.ko share.
 *
 * Locks, in the order in which they are taken:
 *	the bus topology lock	attach and detach of children
 *	sc_lock			the client machine, lists of channels, requests
 *	ch_txlock		one channel's outbound ring
 * The inbound ring of a channel belongs to its task.  Interrupt handlers take
 * no lock: they read sc_chan[] and ch_tq, whose memory lives until detach.
 */

#ifndef _DEV_HYPERV_VMBUS_VAR_H_
#define	_DEV_HYPERV_VMBUS_VAR_H_

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/bus.h>
#include <sys/callout.h>
#include <sys/kernel.h>
#include <sys/lock.h>
#include <sys/malloc.h>
#include <sys/mutex.h>
#include <sys/queue.h>
#include <sys/sysctl.h>
#include <sys/taskqueue.h>

#include "hvk_compat.h"
#include "vmbus.h"
#include "hyperv.h"

#include <hvk/guest/vmbus.h>
#include <hvk/wire/vmbus.h>

MALLOC_DECLARE(M_VMBUS);

#define	VMBUS_SINT		HVK_SINT_VMBUS
#define	VMBUS_DEV_THREADS	4
#define	VMBUS_GPADLS		4096

struct vmbus_softc;

/* Memory that the host may use: whole pages, virtually contiguous. */
struct vmbus_mem {
	void		*vm_addr;
	vm_size_t	 vm_size;
};

TAILQ_HEAD(vmbus_chan_list, vmbus_channel);

struct vmbus_channel {
	struct vmbus_softc	*ch_sc;
	struct hvk_client_chan	*ch_client;	/* NULL once released */
	device_t		 ch_dev;	/* of the primary */
	struct vmbus_channel	*ch_primary;	/* NULL: is a primary */
	struct vmbus_chan_list	 ch_subs;	/* of a primary */
	TAILQ_ENTRY(vmbus_channel) ch_link;
	u_int			 ch_refs;	/* by vmbus_subchan_get() */
	uint32_t		 ch_id;
	uint16_t		 ch_subidx;
	struct hvk_guid		 ch_type;
	struct hvk_guid		 ch_instance;
	uint8_t			 ch_user[HVK_USER_DATA];

	/* device task: under sc_lock */
	struct task		 ch_devtask;
	struct task		 ch_gonetask;
	bool			 ch_live;	/* offered, not yet released */
	bool			 ch_devbusy;	/* its task runs now */
	bool			 ch_devagain;	/* ... and must run once more */
	bool			 ch_added;	/* the child exists */
	bool			 ch_waited;	/* attach still waits for us */
	volatile u_int		 ch_revoked;
	volatile u_int		 ch_broken;
	bool			 ch_told;	/* `gone' was called */

	/* open state */
	bool			 ch_claimed;	/* being opened or closed */
	bool			 ch_opened;
	int			 ch_cpu;
	struct taskqueue * volatile ch_tq;	/* NULL: no events wanted */
	struct task		 ch_task;
	vmbus_chan_cb_t		*ch_cb;
	vmbus_chan_cb_t		*ch_gone;
	void			*ch_cbarg;
	struct vmbus_mem	 ch_ring;
	bool			 ch_kept;	/* the host may still use it
						   (a primary: or a sub's) */
	struct hvk_client_gpadl	*ch_gpadl;
	struct hvk_ring_rx	 ch_rx;
	u_int			 ch_taken;	/* packets since the last release */
	struct vmbus_wait	*ch_openwait;
	struct vmbus_wait	*ch_modwait;

	/* how to signal */
	uint32_t		 ch_connection;
	volatile u_int		*ch_monitor;	/* NULL: by hypercall */
	u_int			 ch_monitor_bit;
	volatile u_int		*ch_send;	/* NULL: dedicated */
	u_int			 ch_send_bit;

	struct mtx		 ch_txlock;
	bool			 ch_txok;
	bool			 ch_txwaiting;
	struct hvk_ring_tx	 ch_tx;
	volatile uint64_t	 ch_events;	/* interrupts for this channel */

	struct sysctl_ctx_list	 ch_sysctl_ctx;
	struct sysctl_oid	*ch_sysctl_tree;
};

/* A request under way; lives on the stack of the thread that waits. */
struct vmbus_wait {
	bool			 vw_done;
	struct hvk_client_event	 vw_event;
};

struct vmbus_pcpu {
	volatile struct hvk_synic_message *vp_message;	/* slot of VMBUS_SINT */
	volatile u_long		*vp_events;		/* flags of VMBUS_SINT */
	struct vmbus_mem	 vp_simp;
	struct vmbus_mem	 vp_siefp;
	u_long			*vp_intrcnt;
	struct taskqueue	*vp_event_tq;
	struct taskqueue	*vp_msg_tq;
	struct task		 vp_msg_task;
	uint32_t		 vp_vcpu;
	bool			 vp_ready;
	struct vmbus_softc	*vp_sc;
};

struct vmbus_softc {
	device_t		 sc_dev;
	struct mtx		 sc_lock;
	struct callout		 sc_timer;
	struct intr_config_hook	 sc_hook;
	struct hvk_client	*sc_client;
	struct hvk_client_chan	*sc_client_chans;
	struct hvk_client_gpadl	*sc_client_gpadls;
	struct vmbus_mem	 sc_post_mem;
	struct hvk_post_message	*sc_post;
	struct vmbus_mem	 sc_intr_mem;
	struct vmbus_mem	 sc_monitor_mem[2]; /* from host, to host */
	struct vmbus_pcpu	*sc_pcpu;	/* mp_maxid + 1 */
	struct taskqueue	*sc_devtq;	/* attach and detach */
	struct taskqueue	*sc_gonetq;	/* tell drivers of the end */
	struct vmbus_channel * volatile sc_chan[HVK_RELID_MAX + 1];	/* for interrupts */
	struct vmbus_channel	*sc_slot[HVK_RELID_MAX + 1]; /* all */
	struct vmbus_chan_list	 sc_primaries;
	u_int			 sc_relid_max;	/* highest ever offered */
	bool			 sc_any_order;	/* boot order given up */
	u_int			 sc_unattached;	/* boot offers not attached */
	bool			 sc_running;	/* the client may be used */
	bool			 sc_connected;
	bool			 sc_offers_done;
	bool			 sc_unloaded;
	bool			 sc_failed;
	bool			 sc_detaching;
	bool			 sc_hypercalls;
	bool			 sc_auto_eoi;
	uint8_t			 sc_unload_status;
	uint8_t			 sc_fail_status;
	int			 sc_vector;
	uint64_t		 sc_leaked;	/* bytes left to the host */
	struct sysctl_oid	*sc_sysctl_conn;
};

extern struct vmbus_softc *vmbus_sc;

/* vmbus_conn.c */
int	vmbus_conn_start(struct vmbus_softc *);
void	vmbus_conn_stop(struct vmbus_softc *);
void	vmbus_conn_free(struct vmbus_softc *);
void	vmbus_conn_run(struct vmbus_softc *);	/* sc_lock held */
void	vmbus_conn_wait(struct vmbus_softc *, struct vmbus_wait *);
void	vmbus_conn_input(struct vmbus_softc *, const void *, uint32_t);
uint64_t vmbus_now(void);

/* vmbus_synic.c */
int	vmbus_synic_start(struct vmbus_softc *);
void	vmbus_synic_stop(struct vmbus_softc *);
void	vmbus_isr_barrier(void);

/* vmbus_mem.c */
void	vmbus_mem_alloc(struct vmbus_mem *, vm_size_t);
void	vmbus_mem_free(struct vmbus_mem *);
void	vmbus_mem_note(struct vmbus_softc *, const void *, size_t);
void	vmbus_mem_leak(struct vmbus_softc *, struct vmbus_mem *,
	    const char *what);
uint64_t *vmbus_mem_pfns(const struct vmbus_mem *, uint32_t *npfn);
vm_paddr_t vmbus_mem_paddr(const struct vmbus_mem *);

/* vmbus_gpadl.c */
int	vmbus_gpadl_create(struct vmbus_channel *, const uint64_t *,
	    uint32_t, struct hvk_client_gpadl **);
int	vmbus_gpadl_destroy(struct vmbus_channel *,
	    struct hvk_client_gpadl *);

/* vmbus_chan.c */
void	vmbus_chan_task(void *, int);
void	vmbus_chan_shut(struct vmbus_channel *);
void	vmbus_chan_signal(struct vmbus_channel *);

/* vmbus_dev.c */
void	vmbus_dev_offer(struct vmbus_softc *, struct hvk_client_chan *);
void	vmbus_dev_rescind(struct vmbus_softc *, struct hvk_client_chan *);
void	vmbus_dev_any_order(struct vmbus_softc *);
void	vmbus_dev_broken(struct vmbus_channel *);
int	vmbus_dev_detach_all(struct vmbus_softc *);
void	vmbus_dev_free_all(struct vmbus_softc *);

/* vmbus_sysctl.c */
void	vmbus_sysctl_attach(struct vmbus_softc *);
void	vmbus_sysctl_chan(struct vmbus_channel *);
void	vmbus_sysctl_chan_free(struct vmbus_channel *);
extern int vmbus_pin_evttask;
extern char vmbus_max_version[16];
uint32_t vmbus_sysctl_max_version(void);

#endif	/* !_DEV_HYPERV_VMBUS_VAR_H_ */
