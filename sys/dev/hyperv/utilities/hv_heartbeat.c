/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * hvheartbeat: tells the host that this kernel still runs its threads.
 * dev.hvheartbeat.0.application_state is what the host shows beside it; it is
 * for a supervisor to set: 0 nothing known, 1 healthy, 2 critical, 3 stopped.
 *
 * Locking: see hvic_var.h.
 */

#include "hvic_var.h"

struct hvheartbeat_softc {
	struct hvic_softc	hb_ic;		/* first */
	u_int			hb_state;
};

static bool
hvheartbeat_serve(struct hvic_softc *ic, struct hvk_ic_message *m)
{
	struct hvheartbeat_softc *sc = (struct hvheartbeat_softc *)ic;
	u_int state;

	state = atomic_load_int(&sc->hb_state);
	hvk_heartbeat_serve(&ic->ic, m, state <= HVK_HEARTBEAT_STOPPED ?
	    (enum hvk_heartbeat_state)state : HVK_HEARTBEAT_UNKNOWN);
	return (true);
}

static int
hvheartbeat_probe(device_t dev)
{

	return (hvic_probe(dev, HVK_IC_HEARTBEAT, "Hyper-V Heartbeat"));
}

static int
hvheartbeat_attach(device_t dev)
{
	struct hvheartbeat_softc *sc = device_get_softc(dev);
	int error;

	error = hvic_attach(dev, &sc->hb_ic, HVK_IC_HEARTBEAT,
	    hvheartbeat_serve);
	if (error != 0)
		return (error);
	SYSCTL_ADD_UINT(device_get_sysctl_ctx(dev),
	    SYSCTL_CHILDREN(device_get_sysctl_tree(dev)), OID_AUTO,
	    "application_state", CTLFLAG_RWTUN, &sc->hb_state, 0,
	    "state told to the host: 0 unknown, 1 healthy, 2 critical, "
	    "3 stopped");
	error = hvic_open(&sc->hb_ic, 16384);
	if (error != 0)
		hvic_detach(&sc->hb_ic);
	return (error);
}

static int
hvheartbeat_detach(device_t dev)
{
	struct hvheartbeat_softc *sc = device_get_softc(dev);

	hvic_close(&sc->hb_ic);
	hvic_detach(&sc->hb_ic);
	return (0);
}

static device_method_t hvheartbeat_methods[] = {
	DEVMETHOD(device_probe,		hvheartbeat_probe),
	DEVMETHOD(device_attach,	hvheartbeat_attach),
	DEVMETHOD(device_detach,	hvheartbeat_detach),
	DEVMETHOD_END
};

HVIC_DRIVER(hv_heartbeat, hvheartbeat, hvheartbeat_methods,
    struct hvheartbeat_softc);
