/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * hvshutdown: the host asks for power off or restart; the kernel's own orderly
 * path does it (init(8) is told, which runs rc.shutdown).  The answer goes out
 * first.  Hibernation is refused: FreeBSD cannot do it.
 *
 * Locking: see hvic_var.h.
 */

#include "hvic_var.h"

#include <sys/reboot.h>

struct hvshutdown_softc {
	struct hvic_softc	sd_ic;		/* first */
	struct hvk_shutdown	sd_wanted;
	bool			sd_begun;
	struct taskqueue	*sd_tq;
	struct task		sd_task;
};

static void
hvshutdown_task(void *arg, int pending __unused)
{
	struct hvshutdown_softc *sc = arg;
	struct hvk_shutdown *w = &sc->sd_wanted;
	bool reboot;

	reboot = w->action == HVK_SHUTDOWN_REBOOT;
	device_printf(sc->sd_ic.ic_dev, "the host asks for %s%s%s%s\n",
	    reboot ? "a restart" : "power off", w->force ? ", forced" : "",
	    w->text[0] != '\0' ? ": " : "", w->text);
	shutdown_nice(reboot ? RB_AUTOBOOT : RB_POWEROFF);
}

static bool
hvshutdown_serve(struct hvic_softc *ic, struct hvk_ic_message *m)
{
	struct hvshutdown_softc *sc = (struct hvshutdown_softc *)ic;
	struct hvk_shutdown w;

	hvk_shutdown_serve(&ic->ic, m, false, &w);
	if (w.action == HVK_SHUTDOWN_NONE)
		return (true);
	/*
	 * Asked again while it is under way: the same answer, no second
	 * shutdown.  Without room for the answer the task comes all the same.
	 */
	if (!sc->sd_begun) {
		sc->sd_begun = true;
		sc->sd_wanted = w;
		if (hvic_send(ic, m)) {
			taskqueue_enqueue(sc->sd_tq, &sc->sd_task);
			return (false);
		}
		taskqueue_enqueue(sc->sd_tq, &sc->sd_task);
	}
	return (true);
}

static int
hvshutdown_probe(device_t dev)
{

	return (hvic_probe(dev, HVK_IC_SHUTDOWN, "Hyper-V Shutdown"));
}

static int
hvshutdown_attach(device_t dev)
{
	struct hvshutdown_softc *sc = device_get_softc(dev);
	int error;

	error = hvic_attach(dev, &sc->sd_ic, HVK_IC_SHUTDOWN,
	    hvshutdown_serve);
	if (error != 0)
		return (error);
	TASK_INIT(&sc->sd_task, 0, hvshutdown_task, sc);
	sc->sd_tq = taskqueue_create("hvshutdown", M_WAITOK,
	    taskqueue_thread_enqueue, &sc->sd_tq);
	(void)taskqueue_start_threads(&sc->sd_tq, 1, PWAIT, "%s",
	    device_get_nameunit(dev));
	error = hvic_open(&sc->sd_ic, 16384);
	if (error != 0) {
		taskqueue_free(sc->sd_tq);
		hvic_detach(&sc->sd_ic);
	}
	return (error);
}

static int
hvshutdown_detach(device_t dev)
{
	struct hvshutdown_softc *sc = device_get_softc(dev);

	hvic_close(&sc->sd_ic);
	taskqueue_free(sc->sd_tq);
	hvic_detach(&sc->sd_ic);
	return (0);
}

static device_method_t hvshutdown_methods[] = {
	DEVMETHOD(device_probe,		hvshutdown_probe),
	DEVMETHOD(device_attach,	hvshutdown_attach),
	DEVMETHOD(device_detach,	hvshutdown_detach),
	DEVMETHOD_END
};

HVIC_DRIVER(hv_shutdown, hvshutdown, hvshutdown_methods,
    struct hvshutdown_softc);
