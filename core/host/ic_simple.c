/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * Heartbeat, shutdown and time, the host's side.  Locking: see hvk/host/ic.h.
 * Facts: wire.md section 10.
 */

#include <hvk/bytes.h>
#include <hvk/host/ic.h>

int
hvk_heartbeat_ask(struct hvk_ic_host *h, uint64_t now, uint32_t limit_ms,
    uint64_t sequence, struct hvk_ic_message *m)
{
	int error;

	error = hvk_ic_host_request(h, now, limit_ms,
	    sizeof(struct hvk_ic_heartbeat), m);
	if (error == HVK_OK)
		hvk_copy(hvk_ic_body(m), &sequence, sizeof(sequence));
	return (error);
}

int
hvk_heartbeat_check(const struct hvk_ic_message *m, uint64_t sequence,
    uint32_t *state)
{
	struct hvk_rd rd;
	uint64_t got;

	hvk_rd_init(&rd, hvk_ic_body_const(m), hvk_ic_body_len(m));
	got = hvk_rd_u64(&rd);
	if (!hvk_rd_ok(&rd) || got != sequence + 1)
		return (HVK_REJECT);
	*state = hvk_rd_u32(&rd);
	if (!hvk_rd_ok(&rd) || *state > HVK_HEARTBEAT_STOPPED)
		*state = HVK_HEARTBEAT_UNKNOWN;
	return (HVK_OK);
}

int
hvk_shutdown_ask(struct hvk_ic_host *h, uint64_t now, uint32_t limit_ms,
    uint32_t flags, uint32_t reason, uint32_t timeout_s, const char *text,
    struct hvk_ic_message *m)
{
	struct hvk_ic_shutdown body;
	size_t len;
	int error;

	if (h->phase == HVK_IC_HOST_READY &&
	    (((flags & HVK_SHUTDOWN_RESTART) != 0 &&
	    h->version < HVK_IC_VERSION(3, 1)) ||
	    ((flags & HVK_SHUTDOWN_HIBERNATE) != 0 &&
	    h->version < HVK_IC_VERSION(3, 2))))
		return (HVK_REJECT);
	error = hvk_ic_host_request(h, now, limit_ms, sizeof(body), m);
	if (error != HVK_OK)
		return (error);
	hvk_zero(&body, sizeof(body));
	body.reason = reason;
	body.timeout = timeout_s;
	body.flags = flags;
	for (len = 0; len < sizeof(body.text) - 1 && text[len] != '\0'; len++)
		body.text[len] = (uint8_t)text[len];
	hvk_copy(hvk_ic_body(m), &body, sizeof(body));
	return (HVK_OK);
}

int
hvk_timesync_ask(struct hvk_ic_host *h, uint64_t now, uint32_t limit_ms,
    uint64_t unix_ns, uint64_t reference, uint8_t flags,
    struct hvk_ic_message *m)
{
	struct hvk_ic_timesync4 new;
	struct hvk_ic_timesync old;
	bool v4 = h->version >= HVK_IC_VERSION(4, 0);
	int error;

	error = hvk_ic_host_request(h, now, limit_ms,
	    v4 ? sizeof(new) : sizeof(old), m);
	if (error != HVK_OK)
		return (error);
	hvk_zero(&new, sizeof(new));
	hvk_zero(&old, sizeof(old));
	new.host = unix_ns / 100 + HVK_TIMESYNC_EPOCH;
	new.reference = reference;
	new.flags = flags;
	old.host = new.host;
	old.flags = flags;
	if (v4)
		hvk_copy(hvk_ic_body(m), &new, sizeof(new));
	else
		hvk_copy(hvk_ic_body(m), &old, sizeof(old));
	return (HVK_OK);
}
