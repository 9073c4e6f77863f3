/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * opt_cam.h: kldrun has none of the CAM options of config(8) set.
 */
