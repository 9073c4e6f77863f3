/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * Everything that differs between FreeBSD 13.2 and 15 for these modules.
 * No other file tests __FreeBSD_version.
 */

#ifndef _DEV_HYPERV_HVK_COMPAT_H_
#define	_DEV_HYPERV_HVK_COMPAT_H_

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/bus.h>
#include <sys/kernel.h>
#include <sys/malloc.h>
#include <sys/module.h>
#include <sys/sbuf.h>
#include <sys/sysctl.h>
#include <vm/vm.h>
#include <vm/vm_extern.h>

/*
 * DRIVER_MODULE() for a kernel that has a driver of the same module name
 * compiled in, as GENERIC has.  A module that loader(8) preloads registers its
 * name first, and the kernel's own is then refused.  But the kernel still runs
 * the start-up of its own module, finds ours by that name and tells it to load
 * a second time: a driver that is on its bus twice is taken off it once, when
 * the module goes, and what remains points into memory that is free.
 */
struct hvk_driver_module {
	struct driver_module_data data;
	bool		 loaded;
};

static inline int
hvk_driver_handler(module_t mod, int what, void *arg)
{
	struct hvk_driver_module *hdm = arg;
	int error;

	if (what == MOD_LOAD && hdm->loaded)
		return (0);
	if (what == MOD_UNLOAD && !hdm->loaded)
		return (0);
	error = driver_module_handler(mod, what, &hdm->data);
	if (error == 0 && (what == MOD_LOAD || what == MOD_UNLOAD))
		hdm->loaded = what == MOD_LOAD;
	return (error);
}

/* 14.0: no variable for the devclass any more. */
#if __FreeBSD_version >= 1400000
#define	HVK_DEVCLASS(name, bus)
#define	HVK_DEVCLASS_OF(name, bus)	NULL
#else
#define	HVK_DEVCLASS(name, bus)	static devclass_t name##_##bus##_devclass;
#define	HVK_DEVCLASS_OF(name, bus)	&name##_##bus##_devclass
#endif

#define	HVK_DRIVER_MODULE(name, bus, driver)				\
	HVK_DEVCLASS(name, bus)						\
	static struct hvk_driver_module name##_##bus##_driver_mod = {	\
		.data = {						\
			.dmd_busname = #bus,				\
			.dmd_driver = (kobj_class_t)&driver,		\
			.dmd_devclass = HVK_DEVCLASS_OF(name, bus),	\
			.dmd_pass = BUS_PASS_DEFAULT,			\
		},							\
	};								\
	static moduledata_t name##_##bus##_mod = {			\
		#bus "/" #name, hvk_driver_handler,			\
		&name##_##bus##_driver_mod				\
	};								\
	DECLARE_MODULE(name##_##bus, name##_##bus##_mod,		\
	    SI_SUB_DRIVERS, SI_ORDER_MIDDLE)

/*
 * A node that the kernel has too: sysctl(8) would go on to show the kernel's
 * variables, which nothing reads any more, and none of ours.  Ours takes its
 * place, for as long as the machine runs.
 */
static inline void
hvk_sysctl_take(void *arg)
{
	struct sysctl_oid *ours = arg, *oid, *other;

	other = NULL;
	sysctl_wlock();
	SYSCTL_FOREACH(oid, ours->oid_parent)
		if (oid != ours && strcmp(oid->oid_name, ours->oid_name) == 0)
			other = oid;
	if (other != NULL) {
		sysctl_unregister_oid(other);
		sysctl_register_oid(ours);
	}
	sysctl_wunlock();
}

#define	HVK_SYSCTL_NODE(parent, name, access, descr)			\
	SYSCTL_NODE(parent, OID_AUTO, name, access, NULL, descr);	\
	SYSINIT(hvk_sysctl##parent##_##name, SI_SUB_DRIVERS,		\
	    SI_ORDER_FIRST, hvk_sysctl_take, &sysctl__##parent##_##name)

/*
 * 14.0: a bus describes its children into an sbuf.  HVK_PNPINFO_METHOD(func)
 * takes a function of that form for both.
 */
#if __FreeBSD_version >= 1400000
#define	HVK_PNPINFO_WRAP(func)
#define	HVK_PNPINFO_METHOD(func)					\
	DEVMETHOD(bus_child_pnpinfo,	func)
#else
#define	HVK_PNPINFO_WRAP(func)						\
static int								\
func##_str(device_t dev, device_t child, char *buf, size_t len)		\
{									\
	struct sbuf sb;							\
	int error;							\
									\
	if (sbuf_new(&sb, buf, len, SBUF_FIXEDLEN) == NULL)		\
		return (ENOMEM);					\
	error = func(dev, child, &sb);					\
	sbuf_finish(&sb);						\
	sbuf_delete(&sb);						\
	return (error);							\
}
#define	HVK_PNPINFO_METHOD(func)					\
	DEVMETHOD(bus_child_pnpinfo_str, func##_str)
#endif

/* 14.0: kmem_malloc(9) speaks pointers; before, addresses. */
#define	HVK_KMEM_ALLOC(size, flags)					\
	((void *)kmem_malloc((size), (flags)))
#define	HVK_KMEM_FREE(ptr, size)					\
	kmem_free((__typeof__(kmem_malloc(0, 0)))(ptr), (size))

#ifndef DEVICE_UNIT_ANY
#define	DEVICE_UNIT_ANY		(-1)
#endif

#endif	/* !_DEV_HYPERV_HVK_COMPAT_H_ */
