/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * A storage controller (SCSI or synthetic IDE) with its disks, as a device on
 * the bus.  Made from one element of vmm_opts_controllers():
 *
 *	{"name": "scsi0", "type": "scsi"|"ide", "subchannels": N, "disks": [
 *	  {"path": FILE|URI, "backend": "raw"|"nbd"|"null", "readonly": bool,
 *	   "direct": bool, "sector": 512|4096, "cdrom": bool, "lun": N,
 *	   "size": bytes (null only)} ]}
 *
 * and optionally "poll_us": N, how long a worker watches an empty ring before
 * it sleeps (0: never).
 *
 * Commands (the ctl op of the device):
 *	"disk list"				-> {"disks": [...]}
 *	"disk add"	a disk object, itself or as "disk"	-> the disk
 *	"disk remove"	{"lun": N} or {"path": FILE}	-> the disk
 *	"disk resize"	{"lun": N or "path": FILE, "size": "+64M"|"2G"|bytes};
 *			without size: read the file's size again  -> the disk
 *	"disk eject", "disk insert"	a CD-ROM by "lun" or "path"
 */
#ifndef _HVK_STOR_H_
#define	_HVK_STOR_H_

#include <stddef.h>

#include <jansson.h>

#include <hvk/device.h>

struct vmm_stor;

/* NULL with one line in err.  Offers the device on the bus. */
struct vmm_stor *vmm_stor_create(struct vmm_bus *, const json_t *controller,
	    char *err, size_t errlen);
/* After vmm_bus_destroy(), or when all channels of the device are closed. */
void	vmm_stor_destroy(struct vmm_stor *);

#endif /* _HVK_STOR_H_ */
