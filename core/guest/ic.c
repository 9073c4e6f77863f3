/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * The guest's frame of all integration components: negotiation and dispatch.
 * Locking: see hvk/guest/ic.h.  Facts: wire.md section 9.
 */

#include <hvk/bytes.h>
#include <hvk/guest/ic.h>

int
hvk_ic_init(struct hvk_ic *ic, enum hvk_ic_type type)
{
	hvk_zero(ic, sizeof(*ic));
	ic->service = hvk_ic_service(type);
	return (ic->service != NULL ? HVK_OK : HVK_RANGE);
}

void
hvk_ic_reset(struct hvk_ic *ic)
{
	ic->framework = 0;
	ic->version = 0;
}

/* The newest of ours that is among `count' of the host's; 0 if none is. */
static uint32_t
newest(const uint32_t *ours, uint32_t n, struct hvk_rd *rd, uint16_t count)
{
	uint32_t best = n, i, j, v;

	for (i = 0; i < count; i++) {
		v = HVK_IC_VERSION(hvk_rd_u16(rd), 0);
		v |= hvk_rd_u16(rd);
		for (j = 0; j < best && hvk_rd_ok(rd); j++) {
			if (ours[j] == v)
				best = j;
		}
	}
	return (best < n ? ours[best] : 0);
}

/* Two agreed versions, or none, in place of the host's lists. */
static void
negotiated(struct hvk_ic *ic, struct hvk_ic_message *m)
{
	struct {
		struct hvk_ic_negotiate	n;
		struct hvk_ic_version	v[2];
	} reply;

	hvk_zero(&reply, sizeof(reply));
	if (ic->version != 0) {
		reply.n.frameworks = 1;
		reply.n.messages = 1;
		reply.v[0] = hvk_ic_version_wire(ic->framework);
		reply.v[1] = hvk_ic_version_wire(ic->version);
	}
	(void)hvk_ic_resize(m, sizeof(reply));
	hvk_copy(hvk_ic_body(m), &reply, sizeof(reply));
	hvk_ic_answer(m, HVK_IC_OK);
}

static enum hvk_ic_action
negotiate(struct hvk_ic *ic, struct hvk_ic_message *m)
{
	struct hvk_ic_negotiate n;
	struct hvk_rd rd;

	hvk_rd_init(&rd, hvk_ic_body(m), hvk_ic_body_len(m));
	hvk_rd_bytes(&rd, &n, sizeof(n));
	if (!hvk_rd_ok(&rd) || n.frameworks > HVK_IC_VERSIONS_MAX ||
	    n.messages > HVK_IC_VERSIONS_MAX ||
	    (uint32_t)(n.frameworks + n.messages) *
	    sizeof(struct hvk_ic_version) > rd.left) {
		ic->rejected++;
		return (HVK_IC_NOTHING);
	}
	hvk_ic_reset(ic);
	ic->negotiations++;
	ic->framework = newest(hvk_ic_frameworks,
	    HVK_COUNT(hvk_ic_frameworks), &rd, n.frameworks);
	ic->version = newest(ic->service->versions, ic->service->nversions,
	    &rd, n.messages);
	if (ic->framework == 0 || ic->version == 0) {
		hvk_ic_reset(ic);
		ic->refused++;
	}
	negotiated(ic, m);
	return (HVK_IC_SEND);
}

enum hvk_ic_action
hvk_ic_input(struct hvk_ic *ic, const struct hvk_packet *p,
    struct hvk_ic_message *m)
{
	struct hvk_ic_header h;

	if (hvk_ic_take(m, p) != HVK_OK) {
		ic->rejected++;
		return (HVK_IC_NOTHING);
	}
	h = hvk_ic_header(m);
	if (h.type == HVK_IC_NEGOTIATE)
		return (negotiate(ic, m));
	if (h.type == (uint16_t)ic->service->type && ic->version != 0) {
		ic->requests++;
		return (HVK_IC_SERVE);
	}
	/* Another service's, or before anything was agreed on. */
	ic->refused++;
	hvk_ic_answer(m, h.type == (uint16_t)ic->service->type ? HVK_IC_FAIL :
	    HVK_IC_NOT_SUPPORTED);
	return (HVK_IC_SEND);
}
