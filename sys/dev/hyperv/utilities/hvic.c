/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * The frame of every integration component's driver: probe, open, receive all
 * that is there, answer.  A reply that does not fit into the ring is kept and
 * nothing more is received until it has gone, so a host that does not read
 * holds up itself alone.
 *
 * Locking: see hvic_var.h.
 */

#include "hvic_var.h"

MALLOC_DEFINE(M_HVIC, "hvic", "Hyper-V integration components");

uint64_t
hvic_now(void)
{

	return ((uint64_t)sbttoms(sbinuptime()));
}

int
hvic_probe(device_t dev, enum hvk_ic_type type, const char *desc)
{
	const struct hvk_ic_service *service;

	service = hvk_ic_service(type);
	if (!hvk_guid_eq(vmbus_get_type(dev), &service->guid))
		return (ENXIO);
	if (resource_disabled(device_get_name(dev), 0))
		return (ENXIO);
	device_set_desc(dev, desc);
	return (BUS_PROBE_VENDOR);
}

bool
hvic_send(struct hvic_softc *sc, const struct hvk_ic_message *m)
{
	int error;

	mtx_assert(&sc->ic_mtx, MA_OWNED);
	error = vmbus_chan_send(sc->ic_chan, 0, false, m->bytes, m->len);
	if (error == EAGAIN)
		return (false);
	if (error != 0)
		sc->ic_dropped++;
	return (true);
}

struct hvic_late {
	STAILQ_ENTRY(hvic_late)	la_link;
	struct hvk_ic_message	la_message;
};

void
hvic_send_later(struct hvic_softc *sc, const struct hvk_ic_message *m)
{
	struct hvic_late *la;

	if (STAILQ_EMPTY(&sc->ic_late) && hvic_send(sc, m))
		return;
	la = malloc(sizeof(*la), M_HVIC, M_NOWAIT);
	if (la == NULL) {
		sc->ic_dropped++;	/* the host's patience ends it */
		return;
	}
	la->la_message = *m;
	STAILQ_INSERT_TAIL(&sc->ic_late, la, la_link);
}

/* false: there is still no room. */
static bool
hvic_flush(struct hvic_softc *sc)
{
	struct hvic_late *la;

	while ((la = STAILQ_FIRST(&sc->ic_late)) != NULL) {
		if (!hvic_send(sc, &la->la_message))
			return (false);
		STAILQ_REMOVE_HEAD(&sc->ic_late, la_link);
		free(la, M_HVIC);
	}
	return (true);
}

/* One packet.  false: there is none, or no room for its reply. */
static bool
hvic_receive(struct hvic_softc *sc, struct vmbus_channel *chan)
{
	struct hvk_packet packet;
	uint32_t agreed;
	int error;

	if (!hvic_flush(sc))
		return (false);
	if (sc->ic_unsent) {
		if (!hvic_send(sc, sc->ic_msg))
			return (false);
		sc->ic_unsent = false;
	}
	error = vmbus_chan_recv(chan, sc->ic_buf, HVIC_BUF, &packet);
	if (error == HVK_REJECT)
		return (true);
	if (error != HVK_OK)
		return (false);
	agreed = sc->ic.negotiations;
	switch (hvk_ic_input(&sc->ic, &packet, sc->ic_msg)) {
	case HVK_IC_SEND:
		sc->ic_unsent = true;
		break;
	case HVK_IC_SERVE:
		sc->ic_unsent = sc->ic_serve(sc, sc->ic_msg);
		break;
	default:
		break;
	}
	if (agreed != sc->ic.negotiations && sc->ic_agreed != NULL)
		sc->ic_agreed(sc);
	return (true);
}

static void
hvic_callback(struct vmbus_channel *chan, void *arg)
{
	struct hvic_softc *sc = arg;

	mtx_lock(&sc->ic_mtx);
	while (!sc->ic_closing && hvic_receive(sc, chan))
		;
	mtx_unlock(&sc->ic_mtx);
}

static int
hvic_sysctl_version(SYSCTL_HANDLER_ARGS)
{
	uint32_t *version = arg1;
	char text[16];

	(void)arg2;
	snprintf(text, sizeof(text), "%u.%u", *version >> 16,
	    *version & 0xffff);
	return (sysctl_handle_string(oidp, text, sizeof(text), req));
}

static void
hvic_sysctl(struct hvic_softc *sc)
{
	struct sysctl_oid_list *child;
	struct sysctl_ctx_list *ctx;

	ctx = device_get_sysctl_ctx(sc->ic_dev);
	child = SYSCTL_CHILDREN(device_get_sysctl_tree(sc->ic_dev));
	SYSCTL_ADD_PROC(ctx, child, OID_AUTO, "fw_version",
	    CTLTYPE_STRING | CTLFLAG_RD | CTLFLAG_MPSAFE, &sc->ic.framework,
	    0, hvic_sysctl_version, "A", "framework version");
	SYSCTL_ADD_PROC(ctx, child, OID_AUTO, "msg_version",
	    CTLTYPE_STRING | CTLFLAG_RD | CTLFLAG_MPSAFE, &sc->ic.version,
	    0, hvic_sysctl_version, "A", "message version");
	SYSCTL_ADD_UINT(ctx, child, OID_AUTO, "requests", CTLFLAG_RD,
	    &sc->ic.requests, 0, "requests of the host");
	SYSCTL_ADD_UINT(ctx, child, OID_AUTO, "refused", CTLFLAG_RD,
	    &sc->ic.refused, 0, "requests answered with an error at once");
	SYSCTL_ADD_UINT(ctx, child, OID_AUTO, "rejected", CTLFLAG_RD,
	    &sc->ic.rejected, 0, "malformed messages of the host");
}

int
hvic_attach(device_t dev, struct hvic_softc *sc, enum hvk_ic_type type,
    hvic_serve_t *serve)
{

	if (hvk_ic_init(&sc->ic, type) != HVK_OK)
		return (ENXIO);
	sc->ic_dev = dev;
	sc->ic_chan = vmbus_get_channel(dev);
	sc->ic_serve = serve;
	STAILQ_INIT(&sc->ic_late);
	mtx_init(&sc->ic_mtx, device_get_nameunit(dev), "hvic", MTX_DEF);
	sc->ic_msg = malloc(sizeof(*sc->ic_msg), M_HVIC, M_WAITOK | M_ZERO);
	sc->ic_buf = malloc(HVIC_BUF, M_HVIC, M_WAITOK | M_ZERO);
	hvic_sysctl(sc);
	return (0);
}

int
hvic_open(struct hvic_softc *sc, uint32_t ring)
{
	struct vmbus_chan_open_args args;
	int error;

	memset(&args, 0, sizeof(args));
	args.tx_size = round_page(ring);
	args.rx_size = round_page(ring);
	args.cb = hvic_callback;
	args.cbarg = sc;
	error = vmbus_chan_open(sc->ic_chan, &args);
	if (error != 0)
		device_printf(sc->ic_dev, "cannot open the channel: %d\n",
		    error);
	return (error);
}

void
hvic_close(struct hvic_softc *sc)
{

	mtx_lock(&sc->ic_mtx);
	sc->ic_closing = true;
	mtx_unlock(&sc->ic_mtx);
	(void)vmbus_chan_close(sc->ic_chan);
}

void
hvic_detach(struct hvic_softc *sc)
{
	struct hvic_late *la;

	while ((la = STAILQ_FIRST(&sc->ic_late)) != NULL) {
		STAILQ_REMOVE_HEAD(&sc->ic_late, la_link);
		free(la, M_HVIC);
	}
	mtx_destroy(&sc->ic_mtx);
	free(sc->ic_msg, M_HVIC);
	free(sc->ic_buf, M_HVIC);
}

static int
hvic_modevent(module_t mod __unused, int what, void *arg __unused)
{

	return (what == MOD_LOAD || what == MOD_UNLOAD ? 0 : EOPNOTSUPP);
}

static moduledata_t hvic_mod = { "hv_utils", hvic_modevent, NULL };

DECLARE_MODULE(hv_utils, hvic_mod, SI_SUB_DRIVERS, SI_ORDER_ANY);
MODULE_VERSION(hv_utils, VMBUS_MODVER);
MODULE_DEPEND(hv_utils, vmbus, VMBUS_MODVER, VMBUS_MODVER, VMBUS_MODVER);
