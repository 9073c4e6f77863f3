/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * hvfcopy: files from the host, through /dev/hv_fcopy_dev (hv_fcopy.h) to
 * hv_fcopy_daemon(8), which decides what may be written where.
 *
 * Locking: see hvic_dev.h.  fc_item is under ic_mtx.
 */

#include "hvic_dev.h"
#include "hv_fcopy.h"

#include <hvk/fcopy.h>

struct hvfcopy_softc {
	struct hvic_dev		fc_dev;		/* first */
	struct hvk_fcopy_item	fc_item;
};

static uint32_t
hvfcopy_fill(struct hvic_dev *dv, const struct hvk_ic_message *m,
    uint64_t id, void *record)
{
	struct hvfcopy_softc *sc = (struct hvfcopy_softc *)dv;
	struct hvk_fcopy_item *item = &sc->fc_item;
	struct hv_fcopy_msg *r = record;
	int error;

	error = hvk_fcopy_parse(m, item);
	if (error != HVK_OK)
		return (error == HVK_RANGE ? HVK_IC_NOT_SUPPORTED :
		    HVK_IC_BAD_ARGUMENT);
	r->op = item->op;
	r->msgid = id;
	if (item->op == HVK_FCOPY_START) {
		r->u.start.size = item->size;
		r->u.start.flags = item->flags;
		strlcpy(r->u.start.path, item->path, sizeof(r->u.start.path));
		strlcpy(r->u.start.name, item->name, sizeof(r->u.start.name));
	} else if (item->op == HVK_FCOPY_WRITE) {
		r->u.write.offset = item->offset;
		r->u.write.size = item->len;
		memcpy(r->u.write.data, item->data, item->len);
	}
	return (HVK_IC_OK);
}

static int
hvfcopy_absorb(struct hvic_dev *dv __unused, struct hvk_ic_message *m,
    uint64_t id, const void *record)
{
	const struct hv_fcopy_msg *r = record;

	if (r->msgid != id)
		return (ESRCH);
	hvk_ic_answer(m, r->status);
	return (0);
}

static int
hvfcopy_probe(device_t dev)
{

	return (hvic_probe(dev, HVK_IC_FCOPY, "Hyper-V File Copy"));
}

static int
hvfcopy_attach(device_t dev)
{
	struct hvfcopy_softc *sc = device_get_softc(dev);
	struct hvic_dev *dv = &sc->fc_dev;

	_Static_assert(HV_FCOPY_NAME_MAX == HVK_FCOPY_TEXT, "names");
	_Static_assert(HV_FCOPY_DATA_MAX == HVK_FCOPY_FRAGMENT, "data");
	dv->dv_record = sizeof(struct hv_fcopy_msg);
	dv->dv_reply = HV_FCOPY_REPLY_SIZE;
	dv->dv_late = ESRCH;
	dv->dv_fill = hvfcopy_fill;
	dv->dv_absorb = hvfcopy_absorb;
	return (hvic_dev_attach(dev, dv, HVK_IC_FCOPY, HV_FCOPY_DEV_NAME));
}

static int
hvfcopy_detach(device_t dev)
{

	hvic_dev_detach(device_get_softc(dev));
	return (0);
}

static device_method_t hvfcopy_methods[] = {
	DEVMETHOD(device_probe,		hvfcopy_probe),
	DEVMETHOD(device_attach,	hvfcopy_attach),
	DEVMETHOD(device_detach,	hvfcopy_detach),
	DEVMETHOD_END
};

HVIC_DRIVER(hv_fcopy, hvfcopy, hvfcopy_methods, struct hvfcopy_softc);
