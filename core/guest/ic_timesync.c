/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * Time synchronisation, the guest's side: what time it is on the host now, and
 * what to do about the difference.
 * Locking: see hvk/guest/ic.h.  Facts: wire.md section 10.
 */

#include <hvk/bytes.h>
#include <hvk/guest/ic.h>

#define	NS_PER_TICK	100u
#define	NS_PER_MS	1000000
#define	NS_PER_US	1000
/* A message is not under way for longer: the host's counter was another. */
#define	DELAY_MAX	(60u * 10000000u)	/* 100 ns */
/* 2261: beyond, the time in nanoseconds has no room. */
#define	UNIX_MAX	(92000000000000000ull)	/* 100 ns */

int
hvk_timesync_serve(struct hvk_ic *ic, struct hvk_ic_message *m,
    uint64_t reference, struct hvk_time_sample *s)
{
	uint64_t delay = 0, host, sent;
	struct hvk_rd rd;
	uint8_t flags;

	hvk_zero(s, sizeof(*s));
	hvk_rd_init(&rd, hvk_ic_body(m), hvk_ic_body_len(m));
	host = hvk_rd_u64(&rd);
	sent = hvk_rd_u64(&rd);
	if (ic->version < HVK_IC_VERSION(4, 0))
		(void)hvk_rd_u64(&rd);		/* round trip: hosts send 0 */
	else if (reference != 0 && sent != 0 && reference > sent &&
	    reference - sent < DELAY_MAX)
		delay = reference - sent;
	flags = hvk_rd_u8(&rd);
	if (!hvk_rd_ok(&rd) || host < HVK_TIMESYNC_EPOCH ||
	    host - HVK_TIMESYNC_EPOCH > UNIX_MAX) {
		ic->refused++;
		hvk_ic_answer(m, HVK_IC_BAD_ARGUMENT);
		return (HVK_REJECT);
	}
	s->unix_ns = (host - HVK_TIMESYNC_EPOCH + delay) * NS_PER_TICK;
	s->delay_ns = delay * NS_PER_TICK;
	s->sync = (flags & HVK_TIMESYNC_SYNC) != 0;
	s->sample = (flags & HVK_TIMESYNC_SAMPLE) != 0;
	hvk_ic_answer(m, HVK_IC_OK);
	return (HVK_OK);
}

/* a - b, no further from zero than an int64_t can say. */
static int64_t
difference(uint64_t a, uint64_t b)
{
	if (a >= b)
		return (a - b > (uint64_t)INT64_MAX ? INT64_MAX :
		    (int64_t)(a - b));
	return (b - a > (uint64_t)INT64_MAX ? -INT64_MAX :
	    -(int64_t)(b - a));
}

void
hvk_timesync_decide(const struct hvk_time_policy *p,
    const struct hvk_time_sample *s, uint64_t guest_unix_ns,
    struct hvk_time_decision *d)
{
	int64_t size;

	d->action = HVK_TIME_IGNORE;
	d->offset_ns = difference(s->unix_ns, guest_unix_ns);
	size = d->offset_ns < 0 ? -d->offset_ns : d->offset_ns;
	if (size < (int64_t)p->slew_us * NS_PER_US)
		return;			/* noise: nothing to mend */
	if (s->sync && !p->ignore_sync) {
		d->action = HVK_TIME_STEP;
		return;
	}
	if (!s->sample || p->sample_ms <= 0)
		return;
	if (p->disciplined) {
		if (p->disciplined_ms != 0 &&
		    size > (int64_t)p->disciplined_ms * NS_PER_MS)
			d->action = HVK_TIME_STEP;
		return;
	}
	if (size > (int64_t)p->sample_ms * NS_PER_MS)
		d->action = HVK_TIME_STEP;
	else
		d->action = HVK_TIME_SLEW;
}
