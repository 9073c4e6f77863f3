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
#include <sys/module.h>

/* 1400058: DRIVER_MODULE() lost its devclass argument. */
#if __FreeBSD_version >= 1400058
#define	HVK_DRIVER_MODULE(name, bus, driver)				\
	DRIVER_MODULE(name, bus, driver, NULL, NULL)
#else
#define	HVK_DRIVER_MODULE(name, bus, driver)				\
	static devclass_t name##_##bus##_devclass;			\
	DRIVER_MODULE(name, bus, driver, name##_##bus##_devclass, NULL, NULL)
#endif

/*
 * 1500018: bus_child_pnpinfo() with an sbuf came in 13.0, so 13.2 has it too;
 * kmem_malloc() and kmem_free() speak pointers from 1400073 on.
 */
#if __FreeBSD_version >= 1400073
#define	HVK_KMEM_PTR(x)		(x)
#define	HVK_KMEM_ADDR(x)	(x)
#else
#define	HVK_KMEM_PTR(x)		((void *)(x))
#define	HVK_KMEM_ADDR(x)	((vm_offset_t)(x))
#endif

#ifndef DEVICE_UNIT_ANY
#define	DEVICE_UNIT_ANY		(-1)
#endif

#endif	/* !_DEV_HYPERV_HVK_COMPAT_H_ */
