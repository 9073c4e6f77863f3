/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * /dev/hv_fsvss_dev (the daemon that freezes file systems) and
 * /dev/hv_appvss_dev (an application that wants to be asked): names, numbers
 * and layout are those that FreeBSD has had since 11.1.  Installed as
 * <dev/hyperv/hv_snapshot.h>.
 *
 * Each device is opened by one process at a time (EBUSY).  Poll for POLLIN,
 * fetch a request with IOCHVVSSREAD, do it, give it back with IOCHVVSSWRITE and
 * `status'.  IOCHVVSSREAD never waits: with nothing there it succeeds with
 * status VSS_FAIL.  IOCHVVSSWRITE of a request that has timed out meanwhile, or
 * was never given out, is ignored with status VSS_FAIL.  CHECK and FREEZE go to
 * the application first, THAW to the daemon first.  All must be over within 15
 * seconds, or the host is told that it failed; and a FREEZE that failed or
 * whose asker died is followed by a THAW.
 */

#ifndef _HV_SNAPSHOT_H_
#define	_HV_SNAPSHOT_H_

#ifdef _KERNEL
#include <sys/types.h>
#include <sys/ioccom.h>
#else
#include <stdint.h>
#include <sys/ioctl.h>
#ifdef __FreeBSD__
#include <sys/ioccom.h>
#endif
#endif

#define	FS_VSS_DEV_NAME		"hv_fsvss_dev"
#define	APP_VSS_DEV_NAME	"hv_appvss_dev"
#define	VSS_DEV(name)		"/dev/" name

#define	VSS_SUCCESS		0x00000000
#define	VSS_FAIL		0x00000001

enum hv_vss_op_t {
	HV_VSS_NONE = 0,
	HV_VSS_CHECK,
	HV_VSS_FREEZE,
	HV_VSS_THAW,
	HV_VSS_COUNT
};

struct hv_vss_opt_msg {
	uint32_t	opt;		/* enum hv_vss_op_t */
	uint32_t	status;		/* VSS_SUCCESS or VSS_FAIL */
	uint64_t	msgid;		/* which request */
	uint8_t		reserved[48];	/* zero */
};
_Static_assert(sizeof(struct hv_vss_opt_msg) == 64, "hv_vss_opt_msg");

#define	IOCHVVSSREAD	_IOR('v', 2, struct hv_vss_opt_msg)
#define	IOCHVVSSWRITE	_IOW('v', 3, struct hv_vss_opt_msg)

#endif	/* !_HV_SNAPSHOT_H_ */
