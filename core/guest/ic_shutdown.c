/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * Shutdown, the guest's side: what the host wants, and an honest answer.
 * Locking: see hvk/guest/ic.h.  Facts: wire.md section 10.
 */

#include <hvk/bytes.h>
#include <hvk/guest/ic.h>
#include <hvk/utf16.h>

/*
 * The reason in words: whoever reads it sees a line of text, whatever the host
 * sent.  It comes as UTF-16 or as bytes; ours are for a log.
 */
static void
copy_text(char *to, uint32_t cap, const uint8_t *from, uint32_t len)
{
	uint32_t i, n = 0;

	if (len >= 2 && from[0] != 0 && from[1] == 0) {
		(void)hvk_utf16_decode(to, cap, from, len / 2, &n);
	} else {
		while (n < len && n < cap - 1 && from[n] != 0)
			n++;
		hvk_copy(to, from, n);
	}
	for (i = 0; i < n; i++) {
		if ((uint8_t)to[i] < 0x20 || (uint8_t)to[i] >= 0x7f)
			to[i] = '?';
	}
	while (n > 0 && to[n - 1] == ' ')
		n--;
	to[n] = '\0';
}

static enum hvk_shutdown_action
wanted(uint32_t flags, bool can_hibernate)
{
	switch (flags & ~HVK_SHUTDOWN_FORCE) {
	case 0:
		return (HVK_SHUTDOWN_POWEROFF);
	case HVK_SHUTDOWN_RESTART:
		return (HVK_SHUTDOWN_REBOOT);
	case HVK_SHUTDOWN_HIBERNATE:
		return (can_hibernate ? HVK_SHUTDOWN_SLEEP :
		    HVK_SHUTDOWN_NONE);
	default:
		return (HVK_SHUTDOWN_NONE);
	}
}

void
hvk_shutdown_serve(struct hvk_ic *ic, struct hvk_ic_message *m,
    bool can_hibernate, struct hvk_shutdown *s)
{
	struct hvk_rd rd;
	uint32_t flags;

	hvk_zero(s, sizeof(*s));
	hvk_rd_init(&rd, hvk_ic_body(m), hvk_ic_body_len(m));
	s->reason = hvk_rd_u32(&rd);
	s->timeout = hvk_rd_u32(&rd);
	flags = hvk_rd_u32(&rd);
	if (!hvk_rd_ok(&rd)) {
		ic->refused++;
		hvk_ic_answer(m, HVK_IC_BAD_ARGUMENT);
		return;
	}
	s->planned = (s->reason & HVK_SHUTDOWN_PLANNED) != 0;
	s->force = (flags & HVK_SHUTDOWN_FORCE) != 0;
	copy_text(s->text, sizeof(s->text), rd.at, rd.left);
	s->action = wanted(flags, can_hibernate);
	if (s->action == HVK_SHUTDOWN_NONE)
		ic->refused++;
	hvk_ic_answer(m, s->action != HVK_SHUTDOWN_NONE ? HVK_IC_OK :
	    HVK_IC_NOT_SUPPORTED);
}
