/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * requests.c: see requests.h. One thread.
 */

#include <sys/types.h>
#include <sys/socket.h>

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>

#include "guard.h"
#include "log.h"
#include "requests.h"
#include "service.h"

#define	GUARD_SECONDS	30	/* the kernel has given up long before */

static long
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ((long)(ts.tv_sec * 1000 + ts.tv_nsec / 1000000));
}

int
requests_ask(struct requests *r, uint32_t op)
{
	struct guard_ask a = { op, ++r->serial };
	struct pollfd p = { r->guard, POLLIN, 0 };
	struct guard_told t;
	long end, left;
	int n;

	if (send(r->guard, &a, sizeof(a), MSG_NOSIGNAL) != (ssize_t)sizeof(a))
		return (-1);
	for (end = now_ms() + GUARD_SECONDS * 1000l;;) {
		left = end - now_ms();
		n = left > 0 ? poll(&p, 1, (int)left) : 0;
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0 || recv(r->guard, &t, sizeof(t), 0) !=
		    (ssize_t)sizeof(t))
			return (-1);
		if (t.serial == r->serial)
			return (t.status == VSS_SUCCESS ? VSS_SUCCESS :
			    VSS_FAIL);
	}
}

bool
requests_answer(struct requests *r, struct hv_vss_opt_msg *m)
{
	int status;

	switch (m->opt) {
	case HV_VSS_CHECK:
	case HV_VSS_FREEZE:
	case HV_VSS_THAW:
		/* While it is frozen nobody may wait for what writes the log. */
		if (m->opt == HV_VSS_FREEZE)
			log_hold(true);
		status = r->ask(r, m->opt);
		if (m->opt == HV_VSS_THAW ||
		    (m->opt == HV_VSS_FREEZE && status != VSS_SUCCESS))
			log_hold(false);
		break;
	default:
		log_msg(LOG_ERR, "operation %u is not known", m->opt);
		status = VSS_FAIL;
	}
	m->status = status == VSS_SUCCESS ? VSS_SUCCESS : VSS_FAIL;
	memset(m->reserved, 0, sizeof(m->reserved));
	return (status >= 0);
}

int
requests_serve(struct requests *r, struct device *d)
{
	struct hv_vss_opt_msg m;
	int ready;

	for (;;) {
		/* The guard says nothing unasked: when it does, it ends. */
		ready = service_wait(d, r->guard);
		if (ready <= 0)
			return (ready < 0);
		memset(&m, 0, sizeof(m));
		if (device_ioctl(d, IOCHVVSSREAD, &m) != 0) {
			log_msg(LOG_ERR, "reading a request: %s",
			    strerror(errno));
			return (1);
		}
		if (m.status != VSS_SUCCESS)
			continue;	/* it timed out meanwhile */
		if (!requests_answer(r, &m))
			return (1);
		if (device_ioctl(d, IOCHVVSSWRITE, &m) != 0) {
			log_msg(LOG_ERR, "answering: %s", strerror(errno));
			return (1);
		}
	}
}
