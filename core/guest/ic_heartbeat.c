/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * Heartbeat, the guest's side: one more than what the host said.
 * Locking: see hvk/guest/ic.h.  Facts: wire.md section 10.
 */

#include <hvk/guest/ic.h>

void
hvk_heartbeat_serve(struct hvk_ic *ic, struct hvk_ic_message *m,
    enum hvk_heartbeat_state state)
{
	uint8_t *body = hvk_ic_body(m);
	uint32_t len = hvk_ic_body_len(m), word = (uint32_t)state;
	uint64_t sequence;

	if (len < sizeof(sequence)) {
		ic->refused++;
		hvk_ic_answer(m, HVK_IC_BAD_ARGUMENT);
		return;
	}
	hvk_copy(&sequence, body, sizeof(sequence));
	sequence++;
	hvk_copy(body, &sequence, sizeof(sequence));
	if (state != HVK_HEARTBEAT_UNKNOWN && len >= HVK_HEARTBEAT_SHORT)
		hvk_copy(body + offsetof(struct hvk_ic_heartbeat, state),
		    &word, sizeof(word));
	hvk_ic_answer(m, HVK_IC_OK);
}
