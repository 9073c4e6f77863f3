/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * vssdaemon_fuzz.c: hv_vss_daemon(8): the requests that the kernel hands it, of
 * any content, between what may happen meanwhile; and what its guard is sent by
 * a requests part that is no longer ours. Held against a system that knows
 * what is frozen: a freeze that is said to have worked has, a thaw is only good
 * when everything was frozen until then, and nothing stays frozen.
 *
 * Input, records: what (2 bits), and with it
 *	0	64 bytes, a request
 *	1	an operation (1 byte, & 3) and a message id: a request
 *	2	bits: the next freeze fails, the table cannot be read, the
 *		freezer ends by itself
 *	3	length and that many bytes: the guard's messages, to the end
 */

#include <sys/types.h>
#include <sys/socket.h>

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "guard.h"
#include "log.h"
#include "requests.h"

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static struct guard g;
static bool frozen, broken, tableless, gone;
static unsigned int calls;

static void
require(bool ok)
{
	if (!ok)
		abort();
}

static int
fake_table(struct mounts *m, const char *root)
{
	(void)root;
	calls++;
	memset(m, 0, sizeof(*m));
	if (tableless)
		return (EIO);
	m->count = 3;
	m->list[0].kind = MOUNT_FREEZE;
	m->list[1].kind = MOUNT_SYNC;
	m->list[2].kind = MOUNT_SKIP;
	return (0);
}

static void
fake_flush(const char *root, bool pools)
{
	(void)root;
	calls++;
	require(pools && !frozen);
}

static int
fake_freeze(struct freezer *f, const struct mounts *m, const char *device,
    int hold, int seconds)
{
	(void)device;
	calls++;
	require(!frozen && f->pid == 0 && m->count == 3 && hold == 60 &&
	    seconds > 0);
	if (broken)
		return (EIO);
	f->pid = 1;
	f->frozen = 1;
	frozen = true;
	return (0);
}

static bool
fake_lost(struct freezer *f)
{
	if (f->pid == 0 || !gone)
		return (false);
	gone = false;
	f->pid = 0;
	return (true);
}

static bool
fake_thaw(struct freezer *f)
{
	bool good;

	calls++;
	require(f->pid != 0);
	good = frozen;
	frozen = false;
	f->pid = 0;
	return (good);
}

static const struct guard_ops fake = {
	fake_table, fake_flush, fake_freeze, fake_lost, fake_thaw
};

static int
ask(struct requests *r, uint32_t op)
{
	(void)r;
	return ((int)guard_do(&g, op));
}

static void
request(const void *bytes)
{
	struct requests r = { ask, -1, 0 };
	struct hv_vss_opt_msg m, was;
	unsigned int before;
	bool held;
	size_t i;

	memcpy(&m, bytes, sizeof(m));
	was = m;
	before = calls;
	held = frozen;
	require(requests_answer(&r, &m));
	require(m.opt == was.opt && m.msgid == was.msgid);
	require(m.status == VSS_SUCCESS || m.status == VSS_FAIL);
	for (i = 0; i < sizeof(m.reserved); i++)
		require(m.reserved[i] == 0);
	switch (m.opt) {
	case HV_VSS_CHECK:
		require(frozen == held &&
		    (m.status == VSS_SUCCESS) == !tableless);
		break;
	case HV_VSS_FREEZE:
		require(frozen == (m.status == VSS_SUCCESS));
		require(frozen == (!broken && !tableless));
		break;
	case HV_VSS_THAW:
		require(!frozen && g.freezer.pid == 0);
		break;
	default:
		require(m.status == VSS_FAIL && calls == before);
	}
}

/* A host that thaws is not told that it has a backup which it has not. */
static void
freezer_dies(void)
{
	struct hv_vss_opt_msg m = { .opt = HV_VSS_THAW };
	struct requests r = { ask, -1, 0 };

	if (!frozen)
		return;
	frozen = false;
	gone = true;
	require(requests_answer(&r, &m) && m.status == VSS_FAIL);
}

static void
messages(const uint8_t *data, size_t size)
{
	struct guard_told t;
	struct guard_ask a;
	size_t at, n;
	ssize_t got;
	int sv[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv) != 0)
		abort();
	/* Each of the length that its first byte says, a true one mostly. */
	for (at = 0; at < size; at += n) {
		n = (data[at] & 0x80) != 0 ? data[at] & 0x3f : sizeof(a);
		at++;
		if (n == 0 || n > size - at)
			break;
		if (send(sv[1], data + at, n, MSG_DONTWAIT) < 0)
			break;
	}
	shutdown(sv[1], SHUT_WR);
	require(!guard_serve(&g, sv[0], -1));
	require(!frozen && g.freezer.pid == 0);
	close(sv[0]);
	while ((got = recv(sv[1], &t, sizeof(t), MSG_DONTWAIT)) > 0)
		require(got == (ssize_t)sizeof(t) &&
		    (t.status == VSS_SUCCESS || t.status == VSS_FAIL));
	close(sv[1]);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hv_vss_opt_msg m;
	size_t at;

	log_open("fuzz", false, false);
	setlogmask(LOG_MASK(LOG_EMERG));
	memset(&g, 0, sizeof(g));
	g.ops = &fake;
	g.hold = 60;
	frozen = broken = tableless = gone = false;
	for (at = 0; at < size; )
		switch (data[at++] & 3) {
		case 0:
			if (size - at < sizeof(m))
				goto end;
			request(data + at);
			at += sizeof(m);
			break;
		case 1:
			if (size - at < 2)
				goto end;
			memset(&m, 0, sizeof(m));
			m.opt = data[at] & 3;
			m.msgid = data[at + 1];
			request(&m);
			at += 2;
			break;
		case 2:
			if (size - at < 1)
				goto end;
			broken = (data[at] & 1) != 0;
			tableless = (data[at] & 2) != 0;
			if ((data[at] & 4) != 0)
				freezer_dies();
			at++;
			break;
		case 3:
			messages(data + at, size - at);
			goto end;
		}
end:
	if (g.freezer.pid != 0)
		messages(NULL, 0);
	require(!frozen);
	return (0);
}
