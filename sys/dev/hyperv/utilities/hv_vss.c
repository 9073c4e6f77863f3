/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * hvvss: backup of the running machine.  /dev/hv_fsvss_dev is for the daemon
 * that freezes file systems, /dev/hv_appvss_dev for an application that wants
 * to be asked (hv_snapshot.h).  Who is asked when, and that nothing stays
 * frozen, is the core's business (hvk/guest/vss.h).
 *
 * Locking: everything under ic_mtx.
 */

#include "hvic_var.h"
#include "hv_snapshot.h"

#include <sys/conf.h>
#include <sys/poll.h>
#include <sys/proc.h>
#include <sys/selinfo.h>

#include <hvk/guest/vss.h>

#define	LIMIT_MS	15000u		/* of one request */
#define	HOLD_MS		(15u * 60 * 1000)
#define	TICK		(SBT_1S / 5)

struct hvvss_softc;

struct hvvss_party {
	struct hvvss_softc	*pa_sc;
	enum hvk_vss_party	 pa_which;
	struct cdev		*pa_cdev;
	struct selinfo		 pa_sel;
	bool			 pa_open;
};

struct hvvss_softc {
	struct hvic_softc	 vs_ic;		/* first */
	struct hvk_vss		 vs;
	struct hvk_vss_job	*vs_jobs;
	struct callout		 vs_tick;
	bool			 vs_dying;
	u_int			 vs_log;
	struct hvvss_party	 vs_party[HVK_VSS_NPARTIES];
};

static d_open_t		hvvss_open;
static d_close_t	hvvss_close;
static d_ioctl_t	hvvss_ioctl;
static d_poll_t		hvvss_poll;

static struct cdevsw hvvss_cdevsw = {
	.d_version =	D_VERSION,
	.d_open =	hvvss_open,
	.d_close =	hvvss_close,
	.d_ioctl =	hvvss_ioctl,
	.d_poll =	hvvss_poll,
	.d_name =	"hvvss",
};

/* Send what is over, wake who is to do something. */
static void
hvvss_pump(struct hvvss_softc *sc)
{
	struct hvk_ic_message *m;
	int i;

	while ((m = hvk_vss_reply(&sc->vs)) != NULL)
		hvic_send_later(&sc->vs_ic, m);
	for (i = 0; i < HVK_VSS_NPARTIES; i++) {
		if (hvk_vss_waiting(&sc->vs, (enum hvk_vss_party)i))
			selwakeup(&sc->vs_party[i].pa_sel);
	}
}

static void
hvvss_tick(void *arg)
{
	struct hvvss_softc *sc = arg;

	hvk_vss_tick(&sc->vs, hvic_now());
	hvvss_pump(sc);
	if (hvk_vss_deadline(&sc->vs) != UINT64_MAX)
		callout_reset_sbt(&sc->vs_tick, TICK, 0, hvvss_tick, sc,
		    C_PREL(2));
}

static void
hvvss_watch(struct hvvss_softc *sc)
{

	hvvss_pump(sc);
	if (!callout_pending(&sc->vs_tick) && !sc->vs_dying &&
	    hvk_vss_deadline(&sc->vs) != UINT64_MAX)
		callout_reset_sbt(&sc->vs_tick, TICK, 0, hvvss_tick, sc,
		    C_PREL(2));
}

static bool
hvvss_serve(struct hvic_softc *ic, struct hvk_ic_message *m)
{
	struct hvvss_softc *sc = (struct hvvss_softc *)ic;
	bool reply;

	reply = hvk_vss_request(&sc->vs, &ic->ic, m, hvic_now());
	hvvss_watch(sc);
	return (reply);
}

static void
hvvss_agreed(struct hvic_softc *ic)
{
	struct hvvss_softc *sc = (struct hvvss_softc *)ic;

	hvk_vss_lost(&sc->vs, hvic_now());
	hvvss_watch(sc);
}

static int
hvvss_open(struct cdev *cdev, int flags __unused, int type __unused,
    struct thread *td __unused)
{
	struct hvvss_party *pa = cdev->si_drv1;
	struct hvvss_softc *sc = pa->pa_sc;
	int error;

	mtx_lock(&sc->vs_ic.ic_mtx);
	error = sc->vs_dying ? ENXIO : pa->pa_open ? EBUSY : 0;
	if (error == 0) {
		pa->pa_open = true;
		hvk_vss_party(&sc->vs, pa->pa_which, true, hvic_now());
		hvvss_watch(sc);
	}
	mtx_unlock(&sc->vs_ic.ic_mtx);
	return (error);
}

static int
hvvss_close(struct cdev *cdev, int flags __unused, int type __unused,
    struct thread *td __unused)
{
	struct hvvss_party *pa = cdev->si_drv1;
	struct hvvss_softc *sc = pa->pa_sc;

	mtx_lock(&sc->vs_ic.ic_mtx);
	pa->pa_open = false;
	hvk_vss_party(&sc->vs, pa->pa_which, false, hvic_now());
	hvvss_watch(sc);
	mtx_unlock(&sc->vs_ic.ic_mtx);
	return (0);
}

static const uint32_t hvvss_to_user[HVK_VSS_NOPS] = {
	[HVK_VSS_CHECK] = HV_VSS_CHECK,
	[HVK_VSS_FREEZE] = HV_VSS_FREEZE,
	[HVK_VSS_THAW] = HV_VSS_THAW,
};

static void
hvvss_log(struct hvvss_softc *sc, const struct hvvss_party *pa,
    const struct hv_vss_opt_msg *u, const char *what)
{
	static const char *const names[HV_VSS_COUNT] = { "none", "check",
	    "freeze", "thaw" };

	if (sc->vs_log > 1 || (sc->vs_log > 0 && u->status != VSS_SUCCESS))
		device_printf(sc->vs_ic.ic_dev, "%s %s (%ju) %s\n",
		    pa->pa_which == HVK_VSS_APP ? "application" : "daemon",
		    u->opt < HV_VSS_COUNT ? names[u->opt] : "?",
		    (uintmax_t)u->msgid, what);
}

static int
hvvss_ioctl(struct cdev *cdev, u_long cmd, caddr_t data, int flags __unused,
    struct thread *td __unused)
{
	struct hvvss_party *pa = cdev->si_drv1;
	struct hvvss_softc *sc = pa->pa_sc;
	struct hv_vss_opt_msg *u = (struct hv_vss_opt_msg *)data;
	int error = 0;
	uint8_t op;

	mtx_lock(&sc->vs_ic.ic_mtx);
	if (sc->vs_dying)
		error = ENXIO;
	else if (cmd == IOCHVVSSREAD) {
		memset(u, 0, sizeof(*u));
		if (hvk_vss_take(&sc->vs, pa->pa_which, &op, &u->msgid) ==
		    HVK_OK) {
			u->opt = hvvss_to_user[op];
			hvvss_log(sc, pa, u, "asked");
		} else
			u->status = VSS_FAIL;
	} else if (cmd == IOCHVVSSWRITE) {
		hvvss_log(sc, pa, u, u->status == VSS_SUCCESS ? "done" :
		    "failed");
		if (hvk_vss_done(&sc->vs, pa->pa_which, u->msgid,
		    u->status == VSS_SUCCESS, hvic_now()) != HVK_OK)
			u->status = VSS_FAIL;
		hvvss_watch(sc);
	} else
		error = ENOTTY;
	mtx_unlock(&sc->vs_ic.ic_mtx);
	return (error);
}

static int
hvvss_poll(struct cdev *cdev, int events, struct thread *td)
{
	struct hvvss_party *pa = cdev->si_drv1;
	struct hvvss_softc *sc = pa->pa_sc;
	int revents = 0;

	mtx_lock(&sc->vs_ic.ic_mtx);
	if (sc->vs_dying)
		revents = POLLHUP | (events & (POLLIN | POLLRDNORM));
	else if (hvk_vss_waiting(&sc->vs, pa->pa_which))
		revents = events & (POLLIN | POLLRDNORM);
	else
		selrecord(td, &pa->pa_sel);
	mtx_unlock(&sc->vs_ic.ic_mtx);
	return (revents);
}

static int
hvvss_make(struct hvvss_softc *sc, enum hvk_vss_party which,
    const char *name)
{
	struct hvvss_party *pa = &sc->vs_party[which];
	struct make_dev_args args;
	int error;

	pa->pa_sc = sc;
	pa->pa_which = which;
	make_dev_args_init(&args);
	args.mda_flags = MAKEDEV_CHECKNAME | MAKEDEV_WAITOK;
	args.mda_devsw = &hvvss_cdevsw;
	args.mda_uid = UID_ROOT;
	args.mda_gid = GID_WHEEL;
	args.mda_mode = 0640;
	args.mda_si_drv1 = pa;
	error = make_dev_s(&args, &pa->pa_cdev, "%s", name);
	if (error != 0)
		device_printf(sc->vs_ic.ic_dev, "cannot make /dev/%s: %d\n",
		    name, error);
	return (error);
}

static int
hvvss_detach(device_t dev)
{
	struct hvvss_softc *sc = device_get_softc(dev);
	struct hvvss_party *pa;
	int i;

	hvic_close(&sc->vs_ic);
	/* What is frozen thaws when its daemon sees the device go. */
	mtx_lock(&sc->vs_ic.ic_mtx);
	sc->vs_dying = true;
	for (i = 0; i < HVK_VSS_NPARTIES; i++)
		selwakeup(&sc->vs_party[i].pa_sel);
	mtx_unlock(&sc->vs_ic.ic_mtx);
	for (i = 0; i < HVK_VSS_NPARTIES; i++) {
		pa = &sc->vs_party[i];
		if (pa->pa_cdev != NULL)
			destroy_dev(pa->pa_cdev);
		seldrain(&pa->pa_sel);
	}
	callout_drain(&sc->vs_tick);
	free(sc->vs_jobs, M_HVIC);
	hvic_detach(&sc->vs_ic);
	return (0);
}

static int
hvvss_probe(device_t dev)
{

	return (hvic_probe(dev, HVK_IC_VSS, "Hyper-V VSS"));
}

static int
hvvss_attach(device_t dev)
{
	struct hvvss_softc *sc = device_get_softc(dev);
	int error;

	error = hvic_attach(dev, &sc->vs_ic, HVK_IC_VSS, hvvss_serve);
	if (error != 0)
		return (error);
	sc->vs_ic.ic_agreed = hvvss_agreed;
	sc->vs_jobs = malloc(HVK_VSS_JOBS * sizeof(*sc->vs_jobs), M_HVIC,
	    M_WAITOK | M_ZERO);
	hvk_vss_init(&sc->vs, sc->vs_jobs, LIMIT_MS, HOLD_MS);
	callout_init_mtx(&sc->vs_tick, &sc->vs_ic.ic_mtx, 0);
	SYSCTL_ADD_UINT(device_get_sysctl_ctx(dev),
	    SYSCTL_CHILDREN(device_get_sysctl_tree(dev)), OID_AUTO,
	    "hv_vss_log", CTLFLAG_RWTUN, &sc->vs_log, 0,
	    "Hyperv VSS service log level");
	error = hvvss_make(sc, HVK_VSS_FS, FS_VSS_DEV_NAME);
	if (error == 0)
		error = hvvss_make(sc, HVK_VSS_APP, APP_VSS_DEV_NAME);
	if (error == 0)
		error = hvic_open(&sc->vs_ic, 32768);
	if (error != 0)
		(void)hvvss_detach(dev);
	return (error);
}

static device_method_t hvvss_methods[] = {
	DEVMETHOD(device_probe,		hvvss_probe),
	DEVMETHOD(device_attach,	hvvss_attach),
	DEVMETHOD(device_detach,	hvvss_detach),
	DEVMETHOD_END
};

HVIC_DRIVER(hv_vss, hvvss, hvvss_methods, struct hvvss_softc);
