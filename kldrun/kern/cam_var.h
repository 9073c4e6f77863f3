/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * cam_var.h: what the files of kldrun's CAM share: buses, disks and the
 * requests that the NBD server makes of a disk.
 *
 * Locking: a bus's `mtx' guards its queue and its list of disks; a disk's
 * `mtx' guards its own fields. The bus's lock comes first. No lock is held
 * when a SIM or a completion routine is called.
 */

#ifndef KLDRUN_CAM_VAR_H
#define KLDRUN_CAM_VAR_H

#include "kern.h"
#include <sys/bus.h>
#include <sys/bio.h>
#include <sys/sysctl.h>
#include <sys/taskqueue.h>
#include <cam/cam.h>
#include <cam/cam_ccb.h>
#include <cam/cam_sim.h>
#include <cam/cam_xpt.h>
#include <cam/cam_xpt_sim.h>
#include <cam/scsi/scsi_all.h>
#include <cam/scsi/scsi_da.h>
#include <cam/scsi/scsi_message.h>

#define	CAM_MAX_LUNS	64
#define	DA_MAX_UNITS	256
#define	DA_MAXIO	(1024 * 1024)

struct da;

struct cam_bus {
	TAILQ_ENTRY(cam_bus) link;
	struct cam_sim *sim;
	struct mtx mtx;
	TAILQ_HEAD(, ccb_hdr) queue;	/* not yet with the SIM */
	int active, openings;
	int frozen;
	int refs;
	bool gone;
	bool lost;			/* drop all disks at the next scan */
	struct task scan;
	struct ccb_pathinq cpi;
	TAILQ_HEAD(, da) disks;
};

struct cam_path {
	struct cam_periph *periph;
	struct cam_bus *bus;
	target_id_t target;
	lun_id_t lun;
};

/* What a command came to, for callers that wait for it. */
struct cam_reply {
	int error;			/* FreeBSD errno */
	uint32_t length;		/* bytes moved */
	uint8_t key, asc, ascq;		/* 0 without sense data */
};

struct da_request {
	struct da *da;
	enum { DA_READ, DA_WRITE, DA_FLUSH, DA_TRIM, DA_ZERO } command;
	bool fua;
	bool keep;			/* zeroes that stay allocated */
	bool flushing;
	off_t offset;
	uint32_t length;
	char *buffer;
	void (*done)(struct da_request *);
	int error;
	volatile u_int pending;
};

struct da {
	TAILQ_ENTRY(da) link;
	struct mtx mtx;
	struct cam_bus *bus;
	struct cam_path *path;
	char name[12];			/* "da0" */
	int unit;
	bool optical;
	bool gone;
	bool read_only;
	bool stale_size;		/* the host said that it changed */
	int refs;
	char vendor[9], product[17], revision[5];
	char serial[64];
	uint8_t type, version;
	uint64_t sectors;
	uint32_t sector;		/* bytes; 0: no medium */
	bool unmap, write_same_unmap;
	uint32_t unmap_lbas, unmap_descs;
	uint64_t same_lbas;
	char *zeroes;			/* one sector */
	u_long reads, writes, errors, retries, timeouts;
	void *nbd;
};

/* cam.c */
void cam_run(union ccb *);
struct cam_path *cam_path_new(struct cam_bus *, target_id_t, lun_id_t);
void cam_bus_hold(struct cam_bus *);
void cam_bus_release(struct cam_bus *);
extern struct taskqueue *cam_tq;

/* cam_scsi.c */
int cam_scsi(struct cam_path *, const uint8_t *cdb, uint8_t cdb_len, void *data,
    uint32_t length, bool out, struct cam_reply *);
void cam_fill(struct ccb_scsiio *, struct cam_path *, const uint8_t *cdb,
    uint8_t cdb_len, void *data, uint32_t length, bool out);
void cam_decode(union ccb *, struct cam_reply *);
void cam_scan(struct cam_bus *);

/* da.c */
void da_found(struct cam_bus *, target_id_t, lun_id_t,
    const uint8_t *inquiry, uint32_t length);
void da_lost(struct da *);
bool da_check(struct da *);
void da_hold(struct da *);
void da_release(struct da *);
struct da *da_of(struct cam_bus *, target_id_t, lun_id_t);
extern u_int da_timeout_s;
extern u_int da_retry_count;

/* da_io.c */
void da_submit(struct da_request *);

/* nbd.c */
void *nbd_export(struct da *);
bool nbd_unexport(struct da *, void *, os_u64 until);

#endif
