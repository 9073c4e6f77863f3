/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * cam_scsi.c: SCSI commands that wait for their answer, and the scan of a bus
 * that finds, checks and drops disks with them.
 *
 * Scans run on one thread, so a bus is never scanned twice at once.
 */

#include "cam_var.h"

#define	PROBE_TRIES	6
#define	PROBE_MS	10000

#define	KEY_UNIT_ATTENTION	0x6

void
cam_fill(struct ccb_scsiio *csio, struct cam_path *path, const uint8_t *cdb,
    uint8_t cdb_len, void *data, uint32_t length, bool out)
{
	xpt_setup_ccb(&csio->ccb_h, path, CAM_PRIORITY_NORMAL);
	csio->ccb_h.func_code = XPT_SCSI_IO;
	csio->ccb_h.flags = length == 0 ? CAM_DIR_NONE :
	    out ? CAM_DIR_OUT : CAM_DIR_IN;
	csio->data_ptr = data;
	csio->dxfer_len = length;
	csio->sense_len = SSD_FULL_SIZE;
	csio->cdb_len = cdb_len;
	memcpy(csio->cdb_io.cdb_bytes, cdb, cdb_len);
	csio->tag_action = MSG_SIMPLE_Q_TAG;
	csio->ccb_h.flags |= CAM_TAG_ACTION_VALID;
}

/* Sense data in fixed (70) or descriptor (72) format. */
static void
cam_sense(const struct ccb_scsiio *csio, struct cam_reply *r)
{
	const uint8_t *s;
	int len;

	s = (const uint8_t *)&csio->sense_data;
	len = csio->sense_len - csio->sense_resid;
	if ((csio->ccb_h.status & CAM_AUTOSNS_VALID) == 0 || len < 4)
		return;
	if ((s[0] & 0x7e) == 0x72) {
		r->key = s[1] & 0xf;
		r->asc = s[2];
		r->ascq = s[3];
	} else if (len >= 14) {
		r->key = s[2] & 0xf;
		r->asc = s[12];
		r->ascq = s[13];
	}
}

static int
cam_sense_error(const struct cam_reply *r)
{
	switch (r->key) {
	case 0x1:		/* recovered */
		return (0);
	case 0x2:		/* not ready */
		return (r->asc == 0x3a ? ENXIO : EBUSY);
	case 0x5:		/* illegal request */
		return (r->asc == 0x25 ? ENXIO : EINVAL);
	case KEY_UNIT_ATTENTION:
	case 0xb:		/* aborted */
		return (EAGAIN);
	case 0x7:		/* data protect */
		return (r->asc == 0x27 && r->ascq == 7 ? ENOSPC : EROFS);
	default:
		return (EIO);
	}
}

/*
 * EAGAIN: try again, it costs no retry. EBUSY: later. ETIMEDOUT: no answer,
 * a reset ended it.
 */
void
cam_decode(union ccb *ccb, struct cam_reply *r)
{
	memset(r, 0, sizeof(*r));
	switch (ccb->ccb_h.status & CAM_STATUS_MASK) {
	case CAM_REQ_CMP:
		r->length = ccb->csio.dxfer_len - ccb->csio.resid;
		break;
	case CAM_SCSI_STATUS_ERROR:
		cam_sense(&ccb->csio, r);
		r->error = cam_sense_error(r);
		break;
	case CAM_BUSY:
	case CAM_REQUEUE_REQ:
	case CAM_RESRC_UNAVAIL:
		r->error = EBUSY;
		break;
	case CAM_CMD_TIMEOUT:
	case CAM_SCSI_BUS_RESET:
	case CAM_UNREC_HBA_ERROR:
		r->error = ETIMEDOUT;
		break;
	case CAM_DEV_NOT_THERE:
	case CAM_SEL_TIMEOUT:
	case CAM_NO_HBA:
		r->error = ENXIO;
		break;
	case CAM_REQ_INVALID:
	case CAM_REQ_TOO_BIG:
		r->error = EINVAL;
		break;
	default:
		r->error = EIO;
		break;
	}
}

int
cam_scsi(struct cam_path *path, const uint8_t *cdb, uint8_t cdb_len, void *data,
    uint32_t length, bool out, struct cam_reply *r)
{
	union ccb *ccb;
	int try;

	ccb = xpt_alloc_ccb();
	for (try = 0; try < PROBE_TRIES; try++) {
		memset(ccb, 0, sizeof(*ccb));
		cam_fill(&ccb->csio, path, cdb, cdb_len, data, length, out);
		ccb->ccb_h.timeout = PROBE_MS;
		cam_run(ccb);
		cam_decode(ccb, r);
		if (r->error == EBUSY)
			pause("cambusy", hz / 20);
		else if (r->error != EAGAIN && r->error != ETIMEDOUT)
			break;
		else if (r->key == KEY_UNIT_ATTENTION && cdb[0] == 0)
			break;		/* a TEST UNIT READY wants to know */
	}
	xpt_free_ccb(ccb);
	return (r->error);
}

/* The LUNs of a target that the host reports; false: it does not say. */
static bool
cam_report_luns(struct cam_path *path, uint64_t *luns)
{
	static const uint32_t size = 8 + 8 * 256;
	uint8_t cdb[12] = { REPORT_LUNS };
	struct cam_reply r;
	uint8_t *data;
	uint32_t i, n;

	data = malloc(size, M_KLDRUN, M_WAITOK | M_ZERO);
	cdb[8] = size >> 8;
	cdb[9] = size & 0xff;
	if (cam_scsi(path, cdb, sizeof(cdb), data, size, false, &r) != 0 ||
	    r.length < 8) {
		free(data, M_KLDRUN);
		return (false);
	}
	n = (uint32_t)data[0] << 24 | data[1] << 16 | data[2] << 8 | data[3];
	n = MIN(n, r.length - 8) / 8;
	for (i = 0; i < n; i++)
		if ((data[8 + 8 * i] & 0xc0) == 0 &&
		    data[8 + 8 * i + 1] < CAM_MAX_LUNS)
			*luns |= 1ull << data[8 + 8 * i + 1];
	free(data, M_KLDRUN);
	return (true);
}

static bool
cam_inquire(struct cam_path *path, uint8_t *data, uint32_t size,
    uint32_t *length)
{
	uint8_t cdb[6] = { INQUIRY, 0, 0, 0, size };
	struct cam_reply r;

	memset(data, 0, size);
	if (cam_scsi(path, cdb, sizeof(cdb), data, size, false, &r) != 0 ||
	    r.length < 36)
		return (false);
	*length = r.length;
	return ((data[0] & 0xe0) == 0 && (data[0] & 0x1f) != 0x1f);
}

static void
cam_scan_lun(struct cam_bus *bus, target_id_t target, lun_id_t lun,
    bool present)
{
	struct cam_path *path;
	uint8_t data[96];
	uint32_t length;
	struct da *da;

	da = da_of(bus, target, lun);
	if (da == NULL && !present)
		return;
	if (present) {
		path = cam_path_new(bus, target, lun);
		if (path != NULL) {
			present = cam_inquire(path, data, sizeof(data),
			    &length);
			xpt_free_path(path);
		}
	}
	if (da != NULL && (!present || !da_check(da))) {
		da_lost(da);
		da_release(da);
		da = NULL;
	}
	if (da != NULL)
		da_release(da);
	else if (present)
		da_found(bus, target, lun, data, length);
}

static void
cam_scan_target(struct cam_bus *bus, target_id_t target)
{
	struct cam_path *path;
	uint64_t luns;
	lun_id_t lun, max;

	path = cam_path_new(bus, target, 0);
	if (path == NULL)
		return;
	luns = 0;
	max = MIN(bus->cpi.max_lun, CAM_MAX_LUNS);
	if (!cam_report_luns(path, &luns))
		luns = max >= 64 ? ~0ull : (1ull << max) - 1;
	xpt_free_path(path);
	for (lun = 0; lun < max && !bus->lost; lun++)
		cam_scan_lun(bus, target, lun, (luns >> lun & 1) != 0);
}

void
cam_scan(struct cam_bus *bus)
{
	struct da *da;
	target_id_t target;

	for (target = 0; !bus->lost && target <= bus->cpi.max_target; target++)
		if (target != bus->cpi.initiator_id)
			cam_scan_target(bus, target);
	if (!bus->lost)
		return;
	for (;;) {
		mtx_lock(&bus->mtx);
		da = TAILQ_FIRST(&bus->disks);
		if (da != NULL)
			da_hold(da);
		mtx_unlock(&bus->mtx);
		if (da == NULL)
			return;
		da_lost(da);
		da_release(da);
	}
}
