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
#include <sys/bus.h>
#include <sys/malloc.h>
#include <sys/module.h>
#include <sys/sbuf.h>
#include <vm/vm.h>
#include <vm/vm_extern.h>

/* 14.0: no devclass argument any more. */
#if __FreeBSD_version >= 1400000
#define	HVK_DRIVER_MODULE(name, bus, driver)				\
	DRIVER_MODULE(name, bus, driver, NULL, NULL)
#else
#define	HVK_DRIVER_MODULE(name, bus, driver)				\
	static devclass_t name##_##bus##_devclass;			\
	DRIVER_MODULE(name, bus, driver, name##_##bus##_devclass, NULL, NULL)
#endif

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
