/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * The host's frame of all integration components.  Locking: see hvk/host/ic.h.
 * Facts: wire.md section 9.
 */

#include <hvk/bytes.h>
#include <hvk/host/ic.h>

int
hvk_ic_host_init(struct hvk_ic_host *h, enum hvk_ic_type type,
    uint32_t max_version, uint32_t negotiate_ms)
{
	const struct hvk_ic_service *s = hvk_ic_service(type);

	if (s == NULL || (max_version != 0 &&
	    max_version < s->versions[s->nversions - 1]))
		return (HVK_RANGE);
	hvk_zero(h, sizeof(*h));
	h->service = s;
	h->max_version = max_version != 0 ? max_version : UINT32_MAX;
	h->negotiate_ms = negotiate_ms;
	h->deadline = UINT64_MAX;
	return (HVK_OK);
}

static void
rest(struct hvk_ic_host *h, enum hvk_ic_host_phase phase)
{
	h->phase = phase;
	h->waiting = false;
	h->deadline = UINT64_MAX;
}

void
hvk_ic_host_close(struct hvk_ic_host *h)
{
	rest(h, HVK_IC_HOST_CLOSED);
	h->framework = 0;
	h->version = 0;
}

static void
start(struct hvk_ic_host *h, uint16_t type, uint64_t deadline,
    struct hvk_ic_header *header)
{
	hvk_zero(header, sizeof(*header));
	header->type = type;
	header->txid = ++h->txid;
	header->flags = HVK_IC_TRANSACTION | HVK_IC_REQUEST;
	h->waiting = true;
	h->deadline = deadline;
}

/* Oldest first, as hosts list them. */
void
hvk_ic_host_open(struct hvk_ic_host *h, uint64_t now, struct hvk_ic_message *m)
{
	struct {
		struct hvk_ic_negotiate	n;
		struct hvk_ic_version	v[2 + 8];
	} body;
	struct hvk_ic_header header;
	uint32_t i, n = 0;
	uint32_t oldest = h->service->versions[h->service->nversions - 1];

	hvk_ic_host_close(h);
	hvk_zero(&body, sizeof(body));
	for (i = HVK_COUNT(hvk_ic_frameworks); i-- > 0;) {
		/* Framework 3.0 came with the messages of that number. */
		if (hvk_ic_frameworks[i] > oldest &&
		    hvk_ic_frameworks[i] > h->max_version)
			continue;
		body.v[n++] = hvk_ic_version_wire(hvk_ic_frameworks[i]);
		body.n.frameworks++;
	}
	for (i = h->service->nversions; i-- > 0;) {
		if (h->service->versions[i] > h->max_version)
			continue;
		body.v[n++] = hvk_ic_version_wire(h->service->versions[i]);
		body.n.messages++;
	}
	start(h, HVK_IC_NEGOTIATE, now + h->negotiate_ms, &header);
	h->phase = HVK_IC_HOST_NEGOTIATING;
	n = (uint32_t)(sizeof(body.n) + n * sizeof(body.v[0]));
	(void)hvk_ic_make(m, &header, n);
	hvk_copy(hvk_ic_body(m), &body, n);
}

int
hvk_ic_host_request(struct hvk_ic_host *h, uint64_t now, uint32_t limit_ms,
    uint32_t body_len, struct hvk_ic_message *m)
{
	struct hvk_ic_header header;

	if (h->phase != HVK_IC_HOST_READY || h->waiting)
		return (HVK_STATE);
	if (body_len > HVK_IC_BODY_MAX)
		return (HVK_RANGE);
	start(h, (uint16_t)h->service->type, now + limit_ms, &header);
	header.framework = hvk_ic_version_wire(h->framework);
	header.message = hvk_ic_version_wire(h->version);
	h->requests++;
	return (hvk_ic_make(m, &header, body_len));
}

static bool
offered(const struct hvk_ic_host *h, uint32_t framework, uint32_t version)
{
	uint32_t i;

	if (framework != hvk_ic_frameworks[0] &&
	    framework != hvk_ic_frameworks[1])
		return (false);
	for (i = 0; i < h->service->nversions; i++) {
		if (h->service->versions[i] == version)
			return (version <= h->max_version);
	}
	return (false);
}

static enum hvk_ic_host_event
agreed(struct hvk_ic_host *h, const struct hvk_ic_message *m)
{
	struct hvk_ic_version v[2];
	struct hvk_ic_negotiate n;
	struct hvk_rd rd;

	hvk_rd_init(&rd, hvk_ic_body_const(m), hvk_ic_body_len(m));
	hvk_rd_bytes(&rd, &n, sizeof(n));
	hvk_rd_bytes(&rd, v, sizeof(v));
	if (!hvk_rd_ok(&rd) || n.frameworks != 1 || n.messages != 1 ||
	    !offered(h, hvk_ic_version(v[0]), hvk_ic_version(v[1]))) {
		rest(h, HVK_IC_HOST_REFUSED);
		return (HVK_IC_HOST_NO_VERSION);
	}
	rest(h, HVK_IC_HOST_READY);
	h->framework = hvk_ic_version(v[0]);
	h->version = hvk_ic_version(v[1]);
	return (HVK_IC_HOST_AGREED);
}

enum hvk_ic_host_event
hvk_ic_host_input(struct hvk_ic_host *h, const struct hvk_packet *p,
    struct hvk_ic_message *m)
{
	struct hvk_ic_header header;
	uint16_t type;

	if (hvk_ic_take(m, p) != HVK_OK) {
		h->rejected++;
		return (HVK_IC_HOST_NOTHING);
	}
	header = hvk_ic_header(m);
	type = h->phase == HVK_IC_HOST_NEGOTIATING ? HVK_IC_NEGOTIATE :
	    (uint16_t)h->service->type;
	if (!h->waiting || header.type != type || header.txid != h->txid ||
	    (header.flags & HVK_IC_RESPONSE) == 0) {
		h->stale++;
		return (HVK_IC_HOST_NOTHING);
	}
	if (h->phase == HVK_IC_HOST_NEGOTIATING)
		return (agreed(h, m));
	h->replies++;
	rest(h, HVK_IC_HOST_READY);
	return (HVK_IC_HOST_REPLY);
}

uint64_t
hvk_ic_host_deadline(const struct hvk_ic_host *h)
{
	return (h->waiting ? h->deadline : UINT64_MAX);
}

enum hvk_ic_host_event
hvk_ic_host_tick(struct hvk_ic_host *h, uint64_t now)
{
	if (!h->waiting || now < h->deadline)
		return (HVK_IC_HOST_NOTHING);
	h->timeouts++;
	rest(h, h->phase);
	return (HVK_IC_HOST_SILENT);
}
