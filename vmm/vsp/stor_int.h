/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * The storage controller's own structures.
 *
 * Locking: `table' (a read-write lock) covers the disks by LUN and every SCSI
 * unit's size and medium: workers hold it for reading around a batch, commands
 * of the administrator for writing.  `lock' covers the workers, references of
 * disks and the reset under way.  A worker, its slots and its uses belong to
 * its thread; its counters are read by others without a lock.
 */
#ifndef _HVK_STOR_INT_H_
#define	_HVK_STOR_INT_H_

#include <pthread.h>
#include <stdatomic.h>

#include <hvk/backend.h>
#include <hvk/host/scsi.h>
#include <hvk/host/storvsp.h>
#include <hvk/stor.h>
#include <hvk/vmm.h>

#define	STOR_SLOTS	256u		/* commands of one channel */
#define	STOR_TRANSFER	(2u << 20)	/* bytes of one command, announced */
#define	STOR_IOVS	560u		/* more than a packet's ranges give */
#define	STOR_PACKET	8192u		/* bytes of the largest request */
#define	STOR_POLL_US	50u
#define	STOR_WORKERS	64u

struct stor_disk {
	struct hvk_scsi_unit unit;
	struct backend	*backend;
	uint32_t	lun;
	uint32_t	refs;		/* the table's and the uses' */
	_Atomic bool	removed;
	bool		cdrom;
	char		path[1024];
};

struct stor_use {			/* of one disk by one worker */
	struct stor_disk *disk;
	struct backend_queue *queue;
	uint32_t	flying;
	bool		dying;
	struct stor_use	*next;		/* of the dying */
};

struct stor_worker;

struct stor_slot {
	struct backend_io io;
	struct stor_worker *worker;
	struct stor_use	*use;
	struct stor_slot *next;
	uint64_t	due;		/* FAULT_DELAY */
	uint32_t	epoch;
	bool		fault_asked;
	uint32_t	niov;
	struct iovec	iov[STOR_IOVS];
	struct hvk_storvsp_request req;
	struct hvk_scsi_cmd cmd;
};

struct stor_list { struct stor_slot *first, **last; };

struct stor_worker {
	struct vmm_stor	*stor;
	struct vmm_channel *channel;
	struct guest_mem *mem;
	struct hvk_ring_rx *rx;
	struct hvk_ring_tx *tx;
	pthread_t	thread;
	bool		primary;
	bool		broken;
	bool		unpublished;	/* replies are in the ring */
	bool		waiting;	/* for room in the ring */
	_Atomic bool	stop;
	_Atomic uint32_t notices;	/* bit: vstor operation to tell */
	int		wake;		/* eventfd */
	struct backend_loop *loop;
	struct stor_slot *slots;
	struct stor_slot *free;
	struct stor_list ready;		/* replies to be sent */
	struct stor_list delayed;
	struct stor_list resets;
	uint32_t	generation;	/* of the table, when last looked */
	_Atomic uint32_t inflight[2];	/* by epoch */
	struct stor_use	*use[HVK_SCSI_LUNS];
	struct stor_use	*dying;
	uint64_t	poll_ns;	/* current window */
	uint32_t	mischief;	/* turns of FAULT_HOSTILE */
	/* counters */
	uint64_t	ios, kicks, sleeps, signals, polls, rejects;
	uint64_t	read_bytes, write_bytes, discards, flushes, errors;
	uint8_t		packet[STOR_PACKET] __attribute__((aligned(8)));
};

struct vmm_stor {
	char		name[32];
	bool		ide;
	uint64_t	poll_max_ns;
	uint32_t	subchannels;
	struct vmm_device *device;
	struct hvk_storvsp vsp;
	pthread_rwlock_t table;
	struct stor_disk *disk[HVK_SCSI_LUNS];
	uint64_t	luns;		/* bitmap of disk[] */
	_Atomic uint32_t generation;
	pthread_mutex_t	lock;
	struct stor_worker *worker[STOR_WORKERS];
	_Atomic uint32_t epoch;
	_Atomic bool	silent;		/* a disk's server, while closing */
	bool		resetting;
};

/* stor_disk.c */
struct stor_disk *stor_disk_open(struct vmm_stor *, const json_t *, char *,
	    size_t);
void	stor_disk_ref(struct vmm_stor *, struct stor_disk *);
void	stor_disk_unref(struct vmm_stor *, struct stor_disk *);
int	stor_disk_insert(struct vmm_stor *, struct stor_disk *, int lun,
	    char *, size_t);
json_t	*stor_disk_json(struct stor_disk *);
int	stor_ctl(void *, const char *, const json_t *, json_t *, char *,
	    size_t);

/* stor_worker.c */
int	stor_worker_start(struct vmm_stor *, struct vmm_channel *);
void	stor_worker_stop(struct stor_worker *);
void	stor_worker_wake(struct stor_worker *);
void	stor_list_add(struct stor_list *, struct stor_slot *);
struct stor_slot *stor_list_take(struct stor_list *);
void	stor_slot_free(struct stor_worker *, struct stor_slot *);

/* stor_io.c */
void	stor_io_packet(struct stor_worker *, struct stor_slot *,
	    const struct hvk_packet *);
void	stor_use_refresh(struct stor_worker *);

/* stor_reply.c */
void	stor_reply(struct stor_worker *, struct stor_slot *);
/* Send what waits and publish; true if something was sent. */
bool	stor_reply_send(struct stor_worker *);
void	stor_reply_notices(struct stor_worker *);

#endif /* _HVK_STOR_INT_H_ */
