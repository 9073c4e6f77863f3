/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * ufstest.c: a FreeBSD kernel module that stands for the kernel's side of
 * freezing, for the tests of hv_vss_daemon(8) where there is no UFS:
 *
 *	/dev/ufssuspend	UFSSUSPEND and UFSRESUME of file systems 0 to 31, with
 *			the rules of the real one: one file system to an open
 *			file, EBUSY when it is suspended, ENOENT when there is
 *			none, resumed when the file is closed for whatever cause
 *	hw.ufstest.suspended	a bit for each file system
 *	hw.ufstest.exists	which there are
 *	hw.ufstest.broken	which fail with EIO
 *	hw.ufstest.slow		which take 5 seconds
 *	hw.ufstest.total	how many were suspended so far
 */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/conf.h>
#include <sys/ioccom.h>
#include <sys/kernel.h>
#include <sys/lock.h>
#include <sys/malloc.h>
#include <sys/module.h>
#include <sys/mutex.h>
#include <sys/sysctl.h>

struct id {
	int32_t val[2];
};
#define	SUSPEND	_IOW('U', 1, struct id)
#define	RESUME	_IO('U', 2)
#define	COUNT	32

static SYSCTL_NODE(_hw, OID_AUTO, ufstest, CTLFLAG_RW | CTLFLAG_MPSAFE, NULL,
    "file systems for tests");
static u_int suspended, exists = ~0u, broken, slow, total;
SYSCTL_UINT(_hw_ufstest, OID_AUTO, suspended, CTLFLAG_RD, &suspended, 0, "");
SYSCTL_UINT(_hw_ufstest, OID_AUTO, exists, CTLFLAG_RW, &exists, 0, "");
SYSCTL_UINT(_hw_ufstest, OID_AUTO, broken, CTLFLAG_RW, &broken, 0, "");
SYSCTL_UINT(_hw_ufstest, OID_AUTO, slow, CTLFLAG_RW, &slow, 0, "");
SYSCTL_UINT(_hw_ufstest, OID_AUTO, total, CTLFLAG_RD, &total, 0, "");

static struct mtx ufs_lock;
MTX_SYSINIT(ufstest, &ufs_lock, "ufstest", MTX_DEF);
static struct cdev *ufs_dev;

static void
resume(void *data)
{
	mtx_lock(&ufs_lock);
	suspended &= ~(1u << ((uintptr_t)data - 1));
	mtx_unlock(&ufs_lock);
}

static int
suspend(const struct id *id)
{
	u_int bit;
	int error;

	if (id->val[0] < 0 || id->val[0] >= COUNT)
		return (ENOENT);
	bit = 1u << id->val[0];
	if ((slow & bit) != 0)
		pause("ufsslow", 5 * hz);
	mtx_lock(&ufs_lock);
	error = (exists & bit) == 0 ? ENOENT : (broken & bit) != 0 ? EIO :
	    (suspended & bit) != 0 ? EBUSY : 0;
	if (error == 0) {
		suspended |= bit;
		total++;
	}
	mtx_unlock(&ufs_lock);
	if (error != 0)
		return (error);
	error = devfs_set_cdevpriv((void *)(uintptr_t)(id->val[0] + 1),
	    resume);
	if (error != 0)
		resume((void *)(uintptr_t)(id->val[0] + 1));
	return (error);
}

static int
ufs_ioctl(struct cdev *dev, u_long cmd, caddr_t data, int fflag,
    struct thread *td)
{
	switch (cmd) {
	case SUSPEND:
		return (suspend((struct id *)data));
	case RESUME:
		devfs_clear_cdevpriv();
		return (0);
	default:
		return (ENXIO);
	}
}

static struct cdevsw ufs_cdevsw = {
	.d_version = D_VERSION,
	.d_name = "ufssuspend",
	.d_ioctl = ufs_ioctl,
};

static int
ufstest_event(module_t mod, int what, void *arg)
{
	switch (what) {
	case MOD_LOAD:
		ufs_dev = make_dev(&ufs_cdevsw, 0, UID_ROOT, GID_WHEEL, 0600,
		    "ufssuspend");
		return (0);
	case MOD_UNLOAD:
		destroy_dev(ufs_dev);
		return (0);
	default:
		return (EOPNOTSUPP);
	}
}

static moduledata_t ufstest_data = { "ufstest", ufstest_event, NULL };
DECLARE_MODULE(ufstest, ufstest_data, SI_SUB_DRIVERS, SI_ORDER_MIDDLE);
MODULE_VERSION(ufstest, 1);
