/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * /dev/hv_fcopy_dev: files that the host copies into this guest.
 *
 * Opened by one process at a time (EBUSY); an open device is a daemon that is
 * ready, nothing is registered.  Poll for POLLIN; read(2) gives exactly one
 * struct hv_fcopy_msg, waits for one unless the descriptor is O_NONBLOCK
 * (EAGAIN), and is EINVAL for a shorter buffer.  Answer each with one write(2)
 * of its first HV_FCOPY_REPLY_SIZE bytes, or all of it, with `status' set; the
 * write is ESRCH when the request has timed out (30 seconds) or is not the one
 * that was read, EINVAL when it is too short.  File offsets mean nothing.
 *
 * Requests come in this order: START, WRITE..., COMPLETE or CANCEL.  A START
 * ends a copy that is under way: nothing of that one may stay.  A host that goes
 * away in the middle takes the device with it (ENXIO, POLLHUP); what was copied
 * is not complete then.  The names are UTF-8, chosen by the host, and are not to be
 * believed: they may hold "..", "/", "\" or nothing at all.  WRITE's ranges may
 * have any offset and may overlap.
 */

#ifndef _HV_FCOPY_H_
#define	_HV_FCOPY_H_

#ifdef _KERNEL
#include <sys/types.h>
#else
#include <stdint.h>
#endif

#define	HV_FCOPY_DEV_NAME	"hv_fcopy_dev"

enum hv_fcopy_op {
	HV_FCOPY_START = 0,
	HV_FCOPY_WRITE,
	HV_FCOPY_COMPLETE,
	HV_FCOPY_CANCEL
};

#define	HV_FCOPY_F_OVERWRITE	0x1u	/* an existing file may be replaced */
#define	HV_FCOPY_F_CREATE_PATH	0x2u	/* missing directories may be made */

/* Statuses; the host sees them as they are. */
#define	HV_FCOPY_S_OK		0x00000000u
#define	HV_FCOPY_E_FAIL		0x80004005u
#define	HV_FCOPY_E_DENIED	0x80070005u
#define	HV_FCOPY_E_EXISTS	0x80070050u
#define	HV_FCOPY_E_INVALIDARG	0x80070057u
#define	HV_FCOPY_E_DISK_FULL	0x80070070u
#define	HV_FCOPY_E_NOT_FOUND	0x80070003u	/* no such directory */

#define	HV_FCOPY_NAME_MAX	784	/* 260 UTF-16 units as UTF-8, and NUL */
#define	HV_FCOPY_DATA_MAX	6144

struct hv_fcopy_start {
	uint64_t	size;			/* of the whole file */
	uint32_t	flags;			/* HV_FCOPY_F_* */
	uint32_t	reserved;
	char		path[HV_FCOPY_NAME_MAX];	/* directory */
	char		name[HV_FCOPY_NAME_MAX];
};

struct hv_fcopy_write {
	uint64_t	offset;
	uint32_t	size;			/* <= HV_FCOPY_DATA_MAX */
	uint32_t	reserved;
	uint8_t		data[HV_FCOPY_DATA_MAX];
};

struct hv_fcopy_msg {				/* 6176 bytes */
	uint32_t	op;			/* enum hv_fcopy_op */
	uint32_t	status;			/* 0 in a request */
	uint64_t	msgid;			/* which request */
	union {
		struct hv_fcopy_start	start;
		struct hv_fcopy_write	write;
	} u;
};
#define	HV_FCOPY_REPLY_SIZE	16
_Static_assert(sizeof(struct hv_fcopy_msg) == 6176, "hv_fcopy_msg");

#endif	/* !_HV_FCOPY_H_ */
