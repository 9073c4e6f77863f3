/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * vmbus(4) as its drivers see it: which device a child is, how to open its
 * channel, send, receive, and give guest memory to the host.
 *
 * Owned by hv_vmbus.ko.  A driver includes this header, declares
 * MODULE_DEPEND(drv, vmbus, VMBUS_MODVER, VMBUS_MODVER, VMBUS_MODVER) and
 * DRIVER_MODULE() on the bus "vmbus".
 *
 * Errors are errno values unless a comment says HVK_*.  Nothing here panics on
 * what a host sends, and every function that waits has a deadline.
 *
 * Locking: each channel has its own transmit lock.  Channel callbacks of one
 * channel never run concurrently with themselves.  Functions that may sleep say
 * so.
 */

#ifndef _DEV_HYPERV_VMBUS_H_
#define	_DEV_HYPERV_VMBUS_H_

#include <sys/param.h>
#include <sys/bus.h>
#include <machine/bus.h>

#include <hvk/types.h>
#include <hvk/error.h>
#include <hvk/ring.h>
#include <hvk/packet.h>
#include <hvk/guid.h>

/* The modules in the base system say 1: loader(8) must not take ours for them. */
#define	VMBUS_MODVER		2

#define	VMBUS_VERSION(major, minor)	((uint32_t)(major) << 16 | (minor))

/*
 * GENERIC has functions of its own with some of these names, and a module's
 * symbols are looked up in the kernel before they are looked up in the modules
 * that it depends on.  So the linker sees other names.
 */
#define	vmbus_get_version		hvk_vmbus_get_version
#define	vmbus_get_dma_tag		hvk_vmbus_get_dma_tag
#define	vmbus_reference_time		hvk_vmbus_reference_time
#define	vmbus_chan_id			hvk_vmbus_chan_id
#define	vmbus_chan_is_primary		hvk_vmbus_chan_is_primary
#define	vmbus_chan_subidx		hvk_vmbus_chan_subidx
#define	vmbus_chan_user_data		hvk_vmbus_chan_user_data
#define	vmbus_chan_device		hvk_vmbus_chan_device
#define	vmbus_chan_is_revoked		hvk_vmbus_chan_is_revoked
#define	vmbus_chan_cpu			hvk_vmbus_chan_cpu
#define	vmbus_chan_cpu_set		hvk_vmbus_chan_cpu_set
#define	vmbus_chan_retarget		hvk_vmbus_chan_retarget
#define	vmbus_chan_open			hvk_vmbus_chan_open
#define	vmbus_chan_close		hvk_vmbus_chan_close
#define	vmbus_keep			hvk_vmbus_keep
#define	vmbus_chan_send			hvk_vmbus_chan_send
#define	vmbus_chan_send_completion	hvk_vmbus_chan_send_completion
#define	vmbus_chan_send_gpa		hvk_vmbus_chan_send_gpa
#define	vmbus_chan_tx_lock		hvk_vmbus_chan_tx_lock
#define	vmbus_chan_tx_unlock		hvk_vmbus_chan_tx_unlock
#define	vmbus_chan_recv			hvk_vmbus_chan_recv
#define	vmbus_chan_poll			hvk_vmbus_chan_poll
#define	vmbus_chan_kick			hvk_vmbus_chan_kick
#define	vmbus_subchan_get		hvk_vmbus_subchan_get
#define	vmbus_subchan_rel		hvk_vmbus_subchan_rel
#define	vmbus_chan_gpadl_create		hvk_vmbus_chan_gpadl_create
#define	vmbus_chan_gpadl_destroy	hvk_vmbus_chan_gpadl_destroy
#define	vmbus_chan_sysctl_tree		hvk_vmbus_chan_sysctl_tree
#define	vmbus_chan_sysctl_ctx		hvk_vmbus_chan_sysctl_ctx

struct vmbus_channel;

/*
 * Something arrived, or the host made room.  Runs on the taskqueue of the
 * channel's CPU (a thread that may sleep for short, bounded times on a mutex,
 * never for long: other channels of the CPU wait).
 */
typedef void vmbus_chan_cb_t(struct vmbus_channel *chan, void *arg);

enum vmbus_ivar {
	VMBUS_IVAR_CHANNEL,
	VMBUS_IVAR_TYPE,
	VMBUS_IVAR_INSTANCE
};

#define	VMBUS_ACCESSOR(var, ivar, type)					\
	__BUS_ACCESSOR(vmbus, var, VMBUS, ivar, type)

VMBUS_ACCESSOR(channel, CHANNEL, struct vmbus_channel *)
VMBUS_ACCESSOR(type, TYPE, const struct hvk_guid *)
VMBUS_ACCESSOR(instance, INSTANCE, const struct hvk_guid *)

/*
 * The bus, as seen from a child device.
 */
uint32_t	 vmbus_get_version(device_t child);	/* major << 16 | minor */
bus_dma_tag_t	 vmbus_get_dma_tag(device_t child);	/* parent for children */
/* The machine's reference counter, 100 ns units; 0: it has none. */
uint64_t	 vmbus_reference_time(void);
/*
 * Memory that the host may still use will never be freed: note that it is kept
 * on purpose (malloc type "hostkept" in vmstat -m).  bytes 0: bookkeeping of it,
 * such as a DMA map.
 */
void		 vmbus_keep(device_t child, const void *, size_t bytes);

/*
 * What the offer said.  Constant for the life of the channel.
 */
uint32_t	 vmbus_chan_id(const struct vmbus_channel *);
bool		 vmbus_chan_is_primary(const struct vmbus_channel *);
uint16_t	 vmbus_chan_subidx(const struct vmbus_channel *);
const uint8_t	*vmbus_chan_user_data(const struct vmbus_channel *); /* 120 B */
device_t	 vmbus_chan_device(const struct vmbus_channel *);

/* The host took the offer back: nothing can be sent or received any more. */
bool		 vmbus_chan_is_revoked(const struct vmbus_channel *);

/*
 * The CPU whose taskqueue runs the callback.  _set: before open.  _retarget:
 * after open, sleeps; EOPNOTSUPP on a host that cannot (VMBus before 4.1).
 */
int		 vmbus_chan_cpu(const struct vmbus_channel *);
void		 vmbus_chan_cpu_set(struct vmbus_channel *, int cpu);
int		 vmbus_chan_retarget(struct vmbus_channel *, int cpu);

struct vmbus_chan_open_args {
	uint32_t	 tx_size;	/* data bytes, multiple of PAGE_SIZE */
	uint32_t	 rx_size;
	const void	*udata;		/* for the host, at most 120 bytes */
	uint32_t	 udlen;
	vmbus_chan_cb_t	*cb;
	void		*cbarg;
	/*
	 * Optional.  Called once, from a thread, when the host rescinds the
	 * channel or breaks it while open, so that a driver can end its waits
	 * before device_detach() is called.  It may come during attach; it must
	 * not close the channel, which waits for it.
	 */
	vmbus_chan_cb_t	*gone;
};

/* Sleeps.  ENXIO revoked, ETIMEDOUT, EIO refused by the host, EBUSY open. */
int		 vmbus_chan_open(struct vmbus_channel *,
		    const struct vmbus_chan_open_args *);

/*
 * Sleeps.  After return no callback of this channel runs.  A primary channel
 * closes its sub-channels first.  Closing a channel that is not open is
 * harmless.  Not 0: the host did not confirm that it let go of the rings of this
 * channel or a sub-channel, so it may still use any memory it was told of.
 */
int		 vmbus_chan_close(struct vmbus_channel *);

/*
 * Send one packet.  0, EAGAIN (ring full: the callback runs when the host has
 * made room), ENXIO (revoked, closed or broken), EMSGSIZE.
 */
int		 vmbus_chan_send(struct vmbus_channel *, uint64_t txid,
		    bool want_completion, const void *data, uint32_t len);
int		 vmbus_chan_send_completion(struct vmbus_channel *,
		    uint64_t txid, const void *data, uint32_t len);
int		 vmbus_chan_send_gpa(struct vmbus_channel *, uint64_t txid,
		    bool want_completion, const struct hvk_gpa_range *ranges,
		    uint32_t n, const void *data, uint32_t len);

/*
 * Several packets, one publication, at most one signal: lock, hvk_tx_*() on
 * the returned ring (HVK_* results), unlock.  NULL: the channel is not open or
 * is revoked, and is not locked.  hvk_ring_tx_want() is called by the
 * functions above and must be called by the user of the ring when it saw
 * HVK_AGAIN.
 */
struct hvk_ring_tx *vmbus_chan_tx_lock(struct vmbus_channel *);
void		 vmbus_chan_tx_unlock(struct vmbus_channel *);

/*
 * Receive one packet, only from the channel's callback or with the scheduler
 * stopped.  HVK_OK, HVK_AGAIN (empty), HVK_REJECT (this one was malformed and
 * was skipped: go on), HVK_FATAL (the host broke the ring; `gone' is called).
 */
int		 vmbus_chan_recv(struct vmbus_channel *, void *buf,
		    uint32_t cap, struct hvk_packet *);

/* Run the callback now, for a driver that polls (panic, dump). */
void		 vmbus_chan_poll(struct vmbus_channel *);

/* Run the callback soon, as if the host had signalled. */
void		 vmbus_chan_kick(struct vmbus_channel *);

/*
 * Sub-channels of a primary that are offered now; waits at most `timeout' until
 * there are `max'.  Returns how many were stored; each holds a reference until
 * vmbus_subchan_rel().  Sleeps.
 */
int		 vmbus_subchan_get(struct vmbus_channel *primary,
		    struct vmbus_channel **arr, int max, sbintime_t timeout);
void		 vmbus_subchan_rel(struct vmbus_channel **arr, int n);

/*
 * Share 4 KiB pages with the host.  Sleeps.  destroy: non-zero means that the
 * host did not confirm, so the memory must be leaked, never reused.
 */
int		 vmbus_chan_gpadl_create(struct vmbus_channel *,
		    const uint64_t *pfn, uint32_t npfn, uint32_t *gpadl);
int		 vmbus_chan_gpadl_destroy(struct vmbus_channel *,
		    uint32_t gpadl);

/* dev.<drv>.<unit>.channel.<id>...: the subtree of this channel, after open. */
struct sysctl_oid *vmbus_chan_sysctl_tree(struct vmbus_channel *);
struct sysctl_ctx_list *vmbus_chan_sysctl_ctx(struct vmbus_channel *);

#endif	/* !_DEV_HYPERV_VMBUS_H_ */
