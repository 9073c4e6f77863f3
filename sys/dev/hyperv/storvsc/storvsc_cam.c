/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * storvsc(4) as CAM sees it: a SIM without a lock of its own.  What is asked of
 * the controller is answered here, what is asked of a disk goes to a channel.
 *
 * Locking: none here; any number of threads may be in the action routine.
 */

#include "storvsc_var.h"

#include <cam/cam_xpt.h>

static void
storvsc_cam_inquire(struct storvsc_softc *sc, struct cam_sim *sim,
    struct ccb_pathinq *cpi)
{
	cpi->version_num = 1;
	cpi->hba_inquiry = PI_TAG_ABLE | PI_SDTR_ABLE;
	cpi->target_sprt = 0;
	cpi->hba_misc = PIM_NOBUSRESET;
	if (storvsc_use_pim_unmapped != 0)
		cpi->hba_misc |= PIM_UNMAPPED;
	cpi->hba_eng_cnt = 0;
	cpi->max_target = sc->sc_ide ? 1 : STORVSC_TARGETS;
	cpi->max_lun = sc->sc_ide ? 1 : STORVSC_SCSI_LUNS;
	cpi->initiator_id = cpi->max_target;
	cpi->maxio = sc->sc_maxio;
	cpi->bus_id = cam_sim_bus(sim);
	cpi->unit_number = cam_sim_unit(sim);
	cpi->base_transfer_speed = 300000;
	cpi->transport = XPORT_SAS;
	cpi->transport_version = 0;
	cpi->protocol = PROTO_SCSI;
	cpi->protocol_version = SCSI_REV_SPC2;
	strlcpy(cpi->sim_vid, "FreeBSD", SIM_IDLEN);
	strlcpy(cpi->hba_vid, cam_sim_name(sim), HBA_IDLEN);
	strlcpy(cpi->dev_name, cam_sim_name(sim), DEV_IDLEN);
	cpi->ccb_h.status = CAM_REQ_CMP;
}

static void
storvsc_cam_settings(struct ccb_trans_settings *cts)
{
	cts->protocol = PROTO_SCSI;
	cts->protocol_version = SCSI_REV_SPC2;
	cts->transport = XPORT_SAS;
	cts->transport_version = 0;
	cts->proto_specific.scsi.valid = CTS_SCSI_VALID_TQ;
	cts->proto_specific.scsi.flags = CTS_SCSI_FLAGS_TAG_ENB;
	cts->xport_specific.valid = 0;
	cts->ccb_h.status = CAM_REQ_CMP;
}

/* CPU and LUN choose the channel, so that one busy disk uses all of them. */
static struct storvsc_chan *
storvsc_cam_channel(struct storvsc_softc *sc, const union ccb *ccb)
{
	struct storvsc_chan *ch;

	if (KERNEL_PANICKED())
		return (sc->sc_chan[0]);
	ch = sc->sc_chan[(curcpu + (u_int)ccb->ccb_h.target_lun) %
	    sc->sc_nchan];
	return (ch->ch_dead ? sc->sc_chan[0] : ch);
}

static void
storvsc_cam_io(struct storvsc_softc *sc, union ccb *ccb)
{
	if (ccb->csio.cdb_len == 0 || ccb->csio.cdb_len > HVK_STORVSC_CDB ||
	    (ccb->ccb_h.flags & CAM_CDB_PHYS) != 0 ||
	    (sc->sc_ide && ccb->ccb_h.target_id != 0)) {
		ccb->ccb_h.status = sc->sc_ide && ccb->ccb_h.target_id != 0 ?
		    CAM_DEV_NOT_THERE : CAM_REQ_INVALID;
		xpt_done(ccb);
		return;
	}
	storvsc_chan_action(storvsc_cam_channel(sc, ccb), ccb);
}

static void
storvsc_cam_abort(struct storvsc_softc *sc, union ccb *ccb)
{
	union ccb *victim;
	int i;

	victim = ccb->cab.abort_ccb;
	ccb->ccb_h.status = CAM_UA_ABORT;
	if (victim->ccb_h.func_code != XPT_SCSI_IO)
		return;
	for (i = 0; i < sc->sc_nchan; i++)
		if (storvsc_chan_abort(sc->sc_chan[i], victim)) {
			ccb->ccb_h.status = CAM_REQ_CMP;
			return;
		}
}

static void
storvsc_cam_action(struct cam_sim *sim, union ccb *ccb)
{
	struct storvsc_softc *sc;

	sc = cam_sim_softc(sim);
	switch (ccb->ccb_h.func_code) {
	case XPT_SCSI_IO:
		storvsc_cam_io(sc, ccb);
		return;
	case XPT_PATH_INQ:
		storvsc_cam_inquire(sc, sim, &ccb->cpi);
		break;
	case XPT_GET_TRAN_SETTINGS:
		storvsc_cam_settings(&ccb->cts);
		break;
	case XPT_SET_TRAN_SETTINGS:
		ccb->ccb_h.status = CAM_REQ_CMP;
		break;
	case XPT_CALC_GEOMETRY:
		cam_calc_geometry(&ccb->ccg, 1);
		break;
	case XPT_RESET_BUS:
	case XPT_RESET_DEV:
		/* The host has no reset of one disk alone that all know. */
		ccb->ccb_h.status = storvsc_reset(sc, "asked for by CAM") == 0 ?
		    CAM_REQ_CMP : CAM_REQ_CMP_ERR;
		break;
	case XPT_ABORT:
		storvsc_cam_abort(sc, ccb);
		break;
	default:
		ccb->ccb_h.status = CAM_REQ_INVALID;
		break;
	}
	xpt_done(ccb);
}

/* Interrupts are off (dump): look at the channels, but at no deadline. */
static void
storvsc_cam_poll(struct cam_sim *sim)
{
	struct storvsc_softc *sc;
	int i;

	sc = cam_sim_softc(sim);
	for (i = 0; i < sc->sc_nchan; i++)
		vmbus_chan_poll(sc->sc_chan[i]->ch_chan);
}

/*
 * CAM's status for a result.  BUS_RESET, TIMED_OUT and MALFORMED are retried
 * by the periph driver; GONE and NO_LUN make it drop the disk.
 */
static uint32_t
storvsc_cam_status(const struct hvk_storvsc_done *done)
{
	switch (done->result) {
	case HVK_STORVSC_OK:
		return (CAM_REQ_CMP);
	case HVK_STORVSC_SCSI_STATUS:
		return (CAM_SCSI_STATUS_ERROR);
	case HVK_STORVSC_NO_LUN:
	case HVK_STORVSC_GONE:
		return (CAM_DEV_NOT_THERE);
	case HVK_STORVSC_BUSY:
		return (CAM_BUSY);
	case HVK_STORVSC_ABORTED:
	case HVK_STORVSC_TIMED_OUT:
		return (CAM_CMD_TIMEOUT);
	case HVK_STORVSC_BUS_RESET:
		return (CAM_SCSI_BUS_RESET);
	case HVK_STORVSC_INVALID:
		return (CAM_REQ_CMP_ERR);
	default:
		return (CAM_UNREC_HBA_ERROR);
	}
}

static void
storvsc_cam_fix_inquiry(struct storvsc_softc *sc, struct ccb_scsiio *csio,
    uint32_t len)
{
	const uint8_t *cdb;

	cdb = scsiio_cdb_ptr(csio);
	if (cdb[0] != INQUIRY || (cdb[1] & SI_EVPD) != 0 ||
	    (csio->ccb_h.flags & CAM_DATA_MASK) != CAM_DATA_VADDR)
		return;
	if (hvk_storvsc_fix_inquiry(sc->sc_ctl.version, csio->data_ptr, len) &&
	    bootverbose)
		xpt_print(csio->ccb_h.path, "INQUIRY version set to SPC-3\n");
}

void
storvsc_cam_finish(struct storvsc_softc *sc, union ccb *ccb,
    const struct hvk_storvsc_done *done, bool aborted)
{
	struct ccb_scsiio *csio;
	uint32_t len, status;

	csio = &ccb->csio;
	status = storvsc_cam_status(done);
	if (aborted && done->result == HVK_STORVSC_TIMED_OUT)
		status = CAM_REQ_ABORTED;
	csio->scsi_status = done->scsi_status;
	csio->resid = csio->dxfer_len;
	if (done->result == HVK_STORVSC_OK ||
	    done->result == HVK_STORVSC_SCSI_STATUS)
		csio->resid -= MIN(done->transferred, csio->dxfer_len);
	if (done->result == HVK_STORVSC_OK)
		storvsc_cam_fix_inquiry(sc, csio, done->transferred);
	if (done->sense_len != 0 &&
	    done->result == HVK_STORVSC_SCSI_STATUS &&
	    (ccb->ccb_h.flags & (CAM_SENSE_PHYS | CAM_SENSE_PTR)) == 0) {
		len = MIN(done->sense_len, csio->sense_len);
		memset(&csio->sense_data, 0, sizeof(csio->sense_data));
		memcpy(&csio->sense_data, done->sense, len);
		csio->sense_resid = csio->sense_len - len;
		status |= CAM_AUTOSNS_VALID;
	}
	ccb->ccb_h.status = status;
}

int
storvsc_cam_attach(struct storvsc_softc *sc)
{
	struct cam_devq *devq;
	int depth;

	depth = sc->sc_max_req;
	devq = cam_simq_alloc(depth);
	if (devq == NULL)
		return (ENOMEM);
	sc->sc_sim = cam_sim_alloc(storvsc_cam_action, storvsc_cam_poll,
	    sc->sc_ide ? "blkvsc" : "storvsc", sc,
	    device_get_unit(sc->sc_dev), NULL, depth, depth, devq);
	if (sc->sc_sim == NULL) {
		cam_simq_free(devq);
		return (ENOMEM);
	}
	if (xpt_bus_register(sc->sc_sim, sc->sc_dev, 0) != CAM_SUCCESS) {
		cam_sim_free(sc->sc_sim, TRUE);
		sc->sc_sim = NULL;
		return (ENXIO);
	}
	if (xpt_create_path(&sc->sc_path, NULL, cam_sim_path(sc->sc_sim),
	    CAM_TARGET_WILDCARD, CAM_LUN_WILDCARD) != CAM_REQ_CMP) {
		sc->sc_path = NULL;
		storvsc_cam_detach(sc);
		return (ENXIO);
	}
	return (0);
}

/* Sleeps until the last user of the bus is gone. */
void
storvsc_cam_detach(struct storvsc_softc *sc)
{
	if (sc->sc_path != NULL) {
		xpt_async(AC_LOST_DEVICE, sc->sc_path, NULL);
		xpt_free_path(sc->sc_path);
		sc->sc_path = NULL;
	}
	if (sc->sc_sim != NULL) {
		xpt_bus_deregister(cam_sim_path(sc->sc_sim));
		cam_sim_free(sc->sc_sim, TRUE);
		sc->sc_sim = NULL;
	}
}

void
storvsc_cam_rescan(struct storvsc_softc *sc)
{
	union ccb *ccb;

	if (sc->sc_sim == NULL)
		return;		/* the first scan is still to come */
	ccb = xpt_alloc_ccb_nowait();
	if (ccb == NULL) {
		device_printf(sc->sc_dev, "no memory to rescan\n");
		return;
	}
	if (xpt_create_path(&ccb->ccb_h.path, NULL, cam_sim_path(sc->sc_sim),
	    CAM_TARGET_WILDCARD, CAM_LUN_WILDCARD) != CAM_REQ_CMP) {
		device_printf(sc->sc_dev, "no path to rescan\n");
		xpt_free_ccb(ccb);
		return;
	}
	xpt_rescan(ccb);
}

void
storvsc_cam_lost(struct storvsc_softc *sc)
{
	if (sc->sc_path != NULL)
		xpt_async(AC_LOST_DEVICE, sc->sc_path, NULL);
}

void
storvsc_cam_was_reset(struct storvsc_softc *sc)
{
	if (sc->sc_path != NULL)
		xpt_async(AC_BUS_RESET, sc->sc_path, NULL);
}
