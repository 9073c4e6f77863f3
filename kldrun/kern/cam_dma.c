/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * cam_dma.c: bus_dmamap_load_ccb(9): a CCB's data, whichever of the forms it
 * takes, through the tag's own loaders.
 */

#include "cam_var.h"
#include <machine/bus.h>
#include <vm/vm.h>
#include <vm/pmap.h>
#include <vm/vm_page.h>

static int
cam_dma_list(bus_dma_tag_t tag, bus_dmamap_t map, struct ccb_scsiio *csio,
    bool physical, int flags, int *nsegs)
{
	bus_dma_segment_t *seg;
	int error, i;

	seg = (bus_dma_segment_t *)csio->data_ptr;
	error = 0;
	for (i = 0; error == 0 && i < csio->sglist_cnt; i++) {
		if (physical)
			error = _bus_dmamap_load_phys(tag, map, seg[i].ds_addr,
			    seg[i].ds_len, flags, NULL, nsegs);
		else
			error = _bus_dmamap_load_buffer(tag, map,
			    (void *)(uintptr_t)seg[i].ds_addr, seg[i].ds_len,
			    NULL, flags, NULL, nsegs);
	}
	return (error);
}

static int
cam_dma_bio(bus_dma_tag_t tag, bus_dmamap_t map, struct bio *bio, int flags,
    int *nsegs)
{
	if ((bio->bio_flags & BIO_UNMAPPED) != 0)
		return (_bus_dmamap_load_ma(tag, map, bio->bio_ma,
		    bio->bio_bcount, bio->bio_ma_offset, flags, NULL, nsegs));
	return (_bus_dmamap_load_buffer(tag, map, bio->bio_data,
	    bio->bio_bcount, NULL, flags, NULL, nsegs));
}

int
bus_dmamap_load_ccb(bus_dma_tag_t tag, bus_dmamap_t map, union ccb *ccb,
    bus_dmamap_callback_t *callback, void *arg, int flags)
{
	struct ccb_scsiio *csio;
	bus_dma_segment_t *segs;
	int error, nsegs;

	KASSERT(ccb->ccb_h.func_code == XPT_SCSI_IO, ("not a SCSI CCB"));
	csio = &ccb->csio;
	if ((ccb->ccb_h.flags & CAM_DIR_MASK) == CAM_DIR_NONE ||
	    csio->dxfer_len == 0) {
		callback(arg, NULL, 0, 0);
		return (0);
	}
	nsegs = -1;
	switch (ccb->ccb_h.flags & CAM_DATA_MASK) {
	case CAM_DATA_VADDR:
		error = _bus_dmamap_load_buffer(tag, map, csio->data_ptr,
		    csio->dxfer_len, NULL, flags, NULL, &nsegs);
		break;
	case CAM_DATA_PADDR:
		error = _bus_dmamap_load_phys(tag, map,
		    (vm_paddr_t)(uintptr_t)csio->data_ptr, csio->dxfer_len,
		    flags, NULL, &nsegs);
		break;
	case CAM_DATA_SG:
	case CAM_DATA_SG_PADDR:
		error = cam_dma_list(tag, map, csio,
		    (ccb->ccb_h.flags & CAM_DATA_MASK) == CAM_DATA_SG_PADDR,
		    flags, &nsegs);
		break;
	case CAM_DATA_BIO:
		error = cam_dma_bio(tag, map, (struct bio *)csio->data_ptr,
		    flags, &nsegs);
		break;
	default:
		return (EINVAL);
	}
	if (error == EINPROGRESS)
		return (error);
	nsegs++;
	segs = _bus_dmamap_complete(tag, map, NULL, nsegs, error);
	if (error != 0)
		callback(arg, segs, 0, error);
	else
		callback(arg, segs, nsegs, 0);
	return (error);
}
