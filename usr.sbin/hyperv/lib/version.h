/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * version.h: the version of the integration services, as the host is told it.
 */

#ifndef HV_VERSION_H
#define	HV_VERSION_H

#define	HV_VERSION	"0.1.0"

#endif
