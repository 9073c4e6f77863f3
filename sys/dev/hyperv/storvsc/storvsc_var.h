/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * What the files of storvsc(4) share: the controller, its channels and its
 * requests.
 *
 * Locking: `sc_mtx' guards the controller machine; a channel's `ch_mtx' guards
 * its request table, its waiting CCBs and its staging area.  A channel's lock
 * may be held when the vmbus transmit lock is taken, or memory noted as kept.
 * Neither lock is held when CAM is called with a finished CCB, and the two are
 * never held together.
 * A channel is paused (under its lock) before a bus reset is sent, so that
 * whatever is outstanding when the reset is over was sent before it.
 */

#ifndef _STORVSC_VAR_H_
#define	_STORVSC_VAR_H_

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/bus.h>
#include <sys/callout.h>
#include <sys/kernel.h>
#include <sys/lock.h>
#include <sys/malloc.h>
#include <sys/module.h>
#include <sys/mutex.h>
#include <sys/proc.h>
#include <sys/queue.h>
#include <sys/smp.h>
#include <sys/sysctl.h>
#include <sys/taskqueue.h>
#include <machine/bus.h>

#include <cam/cam.h>
#include <cam/cam_ccb.h>
#include <cam/cam_sim.h>
#include <cam/cam_xpt_sim.h>
#include <cam/scsi/scsi_all.h>
#include <cam/scsi/scsi_message.h>

#include <vmbus.h>
#include <hvk_compat.h>
#include <hvk/guest/storvsc.h>

#define	STORVSC_MAXIO		(1024 * 1024)
#define	STORVSC_MAX_CHANNELS	64
#define	STORVSC_SCSI_LUNS	64
#define	STORVSC_TARGETS		2

#define	STORVSC_TICK		(SBT_1S / 4)	/* how often deadlines are seen */
#define	STORVSC_DRAIN_MS	5000		/* detach waits for I/O */

struct storvsc_softc;

struct storvsc_req {
	STAILQ_ENTRY(storvsc_req) rq_link;
	union ccb		*rq_ccb;
	bus_dmamap_t		 rq_map;
	void			*rq_bounce;	/* one piece, for a list that
						   is not one range of pages */
	bool			 rq_loaded;
	bool			 rq_abort;
};

struct storvsc_chan {
	struct storvsc_softc	*ch_sc;
	struct vmbus_channel	*ch_chan;
	struct mtx		 ch_mtx;
	struct hvk_storvsc_queue ch_queue;
	struct hvk_storvsc_slot	*ch_slots;
	struct storvsc_req	*ch_reqs;
	STAILQ_HEAD(, storvsc_req) ch_free;
	TAILQ_HEAD(, ccb_hdr)	 ch_waiting;	/* not yet with the host */
	bool			 ch_paused;	/* reset under way */
	bool			 ch_dead;	/* nothing can be sent again */
	uint32_t		 ch_kept;	/* requests left to the host */

	/* Staging: the page list of the request being sent. */
	uint64_t		*ch_pfn;
	struct hvk_gpa_range	 ch_range;
	int			 ch_error;

	/* Counters. */
	u_long			 ch_send_req;
	u_long			 ch_bio;
	u_long			 ch_vaddr;
	u_long			 ch_sg;
	u_long			 ch_ring_full;

	uint64_t		 ch_buf[32];	/* a received packet */
};

struct storvsc_softc {
	device_t		 sc_dev;
	struct mtx		 sc_mtx;
	struct hvk_storvsc	 sc_ctl;
	struct hvk_storvsc_message sc_msg;
	bool			 sc_msg_pending;
	bool			 sc_ide;
	bool			 sc_stopping;
	bool			 sc_detaching;	/* under the topology lock */
	bool			 sc_failed;	/* told to CAM */
	bool			 sc_resetting;	/* until all channels go on */
	uint8_t			 sc_path_id;	/* of an IDE disk */
	uint8_t			 sc_target;
	struct sysctl_ctx_list	 sc_sysctl;
	struct callout		 sc_tick;
	struct taskqueue	*sc_tq;
	struct task		 sc_fail_task;

	struct cam_sim		*sc_sim;
	struct cam_path		*sc_path;

	bus_dma_tag_t		 sc_dtag;
	uint32_t		 sc_maxio;
	uint32_t		 sc_max_req;
	uint32_t		 sc_ring_size;

	struct vmbus_channel	*sc_primary;
	struct vmbus_channel	*sc_subs[STORVSC_MAX_CHANNELS];
	int			 sc_nsubs;	/* references held */
	int			 sc_nchan;	/* open, in sc_chan */
	struct storvsc_chan	*sc_chan[STORVSC_MAX_CHANNELS];
};

MALLOC_DECLARE(M_STORVSC);

extern u_int storvsc_use_win8ext_flags;
extern u_int storvsc_use_pim_unmapped;

/* storvsc_device.c */
uint64_t storvsc_now(void);
void	storvsc_control(struct storvsc_softc *, const struct hvk_packet *);
int	storvsc_reset(struct storvsc_softc *, const char *why);
void	storvsc_fail(struct storvsc_softc *);

/* storvsc_chan.c */
struct storvsc_chan *storvsc_chan_alloc(struct storvsc_softc *,
	    struct vmbus_channel *);
void	storvsc_chan_free(struct storvsc_chan *);
int	storvsc_chan_ready(struct storvsc_chan *);
bool	storvsc_chan_abort(struct storvsc_chan *, union ccb *);
void	storvsc_chan_action(struct storvsc_chan *, union ccb *);
void	storvsc_chan_callback(struct vmbus_channel *, void *);
void	storvsc_chan_end(struct storvsc_chan *, enum hvk_storvsc_result,
	    bool held);
void	storvsc_chan_pause(struct storvsc_chan *);
void	storvsc_chan_resume(struct storvsc_chan *);
uint32_t storvsc_chan_tick(struct storvsc_chan *, uint64_t now);
uint32_t storvsc_chan_busy(struct storvsc_chan *);

/* storvsc_cam.c */
int	storvsc_cam_attach(struct storvsc_softc *);
void	storvsc_cam_detach(struct storvsc_softc *);
void	storvsc_cam_finish(struct storvsc_softc *, union ccb *,
	    const struct hvk_storvsc_done *, bool aborted);
void	storvsc_cam_rescan(struct storvsc_softc *);
void	storvsc_cam_lost(struct storvsc_softc *);
void	storvsc_cam_was_reset(struct storvsc_softc *);

/* storvsc_sysctl.c */
void	storvsc_sysctl_attach(struct storvsc_softc *);
u_int	storvsc_tunable_max_io(void);
uint32_t storvsc_tunable_ring_size(void);
u_int	storvsc_tunable_channels(void);

#endif	/* !_STORVSC_VAR_H_ */
