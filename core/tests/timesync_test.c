/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * Time synchronisation: messages of every version, the time under way, and what
 * is done about every offset from 1 ms to 10 years.
 */
#include <stdio.h>

#include "ic_rig.h"

static struct ic_pair pair;

#define	NOW	1790000000000000000ull		/* 2026, ns */
#define	MS	1000000ll
#define	YEARS	(10 * 365 * 86400ll * 1000 * MS)

ATF_TC(messages);
ATF_TC_HEAD(messages, tc)
{
	atf_tc_set_md_var(tc, "descr", "the host's time arrives in every "
	    "version, with the time under way from 4.0");
	atf_tc_set_md_var(tc, "X-feature", "ic.timesync");
}
ATF_TC_BODY(messages, tc)
{
	const struct hvk_ic_service *svc = hvk_ic_service(HVK_IC_TIMESYNC);
	struct hvk_time_sample s;
	uint32_t flags, i;
	bool v4;

	for (i = 0; i < svc->nversions; i++) {
		for (flags = 0; flags < 4; flags++) {
			ic_agree(&pair, HVK_IC_TIMESYNC, svc->versions[i]);
			v4 = svc->versions[i] >= HVK_IC_VERSION(4, 0);
			ATF_REQUIRE_EQ(HVK_OK, hvk_timesync_ask(&pair.host, 0,
			    9, NOW, 1000, (uint8_t)flags, &pair.to_guest));
			ATF_REQUIRE_EQ(HVK_IC_SERVE, ic_deliver(&pair));
			ATF_REQUIRE_EQ(HVK_OK, hvk_timesync_serve(&pair.guest,
			    &pair.got, 1000 + 25, &s));
			ATF_CHECK_EQ(NOW + (v4 ? 2500 : 0), s.unix_ns);
			ATF_CHECK_EQ(v4 ? 2500 : 0, s.delay_ns);
			ATF_CHECK_EQ((flags & 1) != 0, s.sync);
			ATF_CHECK_EQ((flags & 2) != 0, s.sample);
			ATF_CHECK_EQ(HVK_IC_HOST_REPLY, ic_return(&pair,
			    &pair.got));
		}
	}
}

ATF_TC_WITHOUT_HEAD(odd);
ATF_TC_BODY(odd, tc)
{
	const uint64_t bad[] = { 0, HVK_TIMESYNC_EPOCH - 1, UINT64_MAX,
	    HVK_TIMESYNC_EPOCH + 92000000000000001ull };
	struct hvk_time_sample s;
	uint32_t i, len;

	ic_agree(&pair, HVK_IC_TIMESYNC, 0);
	/* The counter ran backwards, stood still, is missing, or far off. */
	for (i = 0; i < 4; i++) {
		const uint64_t ref[] = { 999, 1000, 0,
		    1000 + 60ull * 10000000 };

		hvk_ic_host_open(&pair.host, 0, &pair.to_guest);
		ATF_REQUIRE_EQ(HVK_IC_SEND, ic_deliver(&pair));
		(void)ic_return(&pair, &pair.got);
		ATF_REQUIRE_EQ(HVK_OK, hvk_timesync_ask(&pair.host, 0, 9, NOW,
		    1000, 2, &pair.to_guest));
		ATF_REQUIRE_EQ(HVK_IC_SERVE, ic_deliver(&pair));
		ATF_CHECK_EQ(HVK_OK, hvk_timesync_serve(&pair.guest, &pair.got,
		    ref[i], &s));
		ATF_CHECK_EQ(NOW, s.unix_ns);
	}
	/* Times before 1970, and after what a clock can show. */
	for (i = 0; i < HVK_COUNT(bad); i++) {
		memcpy(hvk_ic_body(&pair.to_guest), &bad[i], 8);
		ATF_REQUIRE_EQ(HVK_IC_SERVE, ic_deliver(&pair));
		ATF_CHECK_EQ(HVK_REJECT, hvk_timesync_serve(&pair.guest,
		    &pair.got, 0, &s));
		ATF_CHECK(!s.sync && !s.sample);
		ATF_CHECK_EQ(HVK_IC_BAD_ARGUMENT,
		    hvk_ic_header(&pair.got).status);
	}
	/* Every length: 22 bytes are known to be enough, 16 are not. */
	for (len = 0; len <= 24; len++) {
		uint64_t host = HVK_TIMESYNC_EPOCH + 1;

		ATF_REQUIRE_EQ(HVK_OK, hvk_ic_resize(&pair.to_guest, len));
		if (len >= 8)
			memcpy(hvk_ic_body(&pair.to_guest), &host, 8);
		ATF_REQUIRE_EQ(HVK_IC_SERVE, ic_deliver(&pair));
		ATF_CHECK_EQ(len >= 17 ? HVK_OK : HVK_REJECT,
		    hvk_timesync_serve(&pair.guest, &pair.got, 0, &s));
	}
}

static enum hvk_time_action
decide(const struct hvk_time_policy *p, bool sync, bool sample,
    int64_t offset)
{
	struct hvk_time_sample s = { .unix_ns = NOW, .sync = sync,
	    .sample = sample };
	struct hvk_time_decision d;

	hvk_timesync_decide(p, &s, NOW - (uint64_t)offset, &d);
	ATF_CHECK_EQ(offset, d.offset_ns);
	return (d.action);
}

ATF_TC(offsets);
ATF_TC_HEAD(offsets, tc)
{
	atf_tc_set_md_var(tc, "descr", "small errors are slewed, large ones "
	    "stepped, in both directions");
	atf_tc_set_md_var(tc, "X-feature", "ic.timesync");
}
ATF_TC_BODY(offsets, tc)
{
	struct hvk_time_policy p = { .sample_ms = 100, .slew_us = 250,
	    .disciplined_ms = 5000 }, q;
	const int64_t off[] = { 1, 2, 10, 50, 100, 101, 500, 5000, 5001,
	    3600000, YEARS / MS };
	uint32_t i;
	int sign;

	for (i = 0; i < HVK_COUNT(off); i++) {
		for (sign = -1; sign <= 1; sign += 2) {
			int64_t o = off[i] * MS * sign;

			ATF_CHECK_EQ(off[i] <= 100 ? HVK_TIME_SLEW :
			    HVK_TIME_STEP, decide(&p, false, true, o));
			ATF_CHECK_EQ(HVK_TIME_STEP, decide(&p, true, true, o));
			ATF_CHECK_EQ(HVK_TIME_STEP, decide(&p, true, false,
			    o));
			ATF_CHECK_EQ(HVK_TIME_IGNORE, decide(&p, false, false,
			    o));
			/* An NTP daemon has the clock. */
			q = p;
			q.disciplined = true;
			ATF_CHECK_EQ(off[i] > 5000 ? HVK_TIME_STEP :
			    HVK_TIME_IGNORE, decide(&q, false, true, o));
			q.disciplined_ms = 0;
			ATF_CHECK_EQ(HVK_TIME_IGNORE, decide(&q, false, true,
			    o));
			/* Samples are off: 0 says so, as documented. */
			q = p;
			q.sample_ms = 0;
			ATF_CHECK_EQ(HVK_TIME_IGNORE, decide(&q, false, true,
			    o));
			ATF_CHECK_EQ(HVK_TIME_STEP, decide(&q, true, true, o));
			q.sample_ms = -1;
			ATF_CHECK_EQ(HVK_TIME_IGNORE, decide(&q, false, true,
			    o));
			/* Asked not to obey: a sample is still a sample. */
			q = p;
			q.ignore_sync = true;
			ATF_CHECK_EQ(HVK_TIME_IGNORE, decide(&q, true, false,
			    o));
			ATF_CHECK_EQ(off[i] <= 100 ? HVK_TIME_SLEW :
			    HVK_TIME_STEP, decide(&q, true, true, o));
		}
	}
	ATF_CHECK_EQ(HVK_TIME_IGNORE, decide(&p, false, true, 249000));
	ATF_CHECK_EQ(HVK_TIME_SLEW, decide(&p, false, true, 250000));
	ATF_CHECK_EQ(HVK_TIME_SLEW, decide(&p, false, true, -250000));
	printf("figure: ic.timesync %zu offsets from 1 ms to 10 years\n",
	    2 * HVK_COUNT(off));
}

ATF_TC_WITHOUT_HEAD(extreme);
ATF_TC_BODY(extreme, tc)
{
	struct hvk_time_policy p = { .sample_ms = 100 };
	struct hvk_time_sample s = { .sample = true };
	struct hvk_time_decision d;

	s.unix_ns = UINT64_MAX;
	hvk_timesync_decide(&p, &s, 0, &d);
	ATF_CHECK_EQ(INT64_MAX, d.offset_ns);
	ATF_CHECK_EQ(HVK_TIME_STEP, d.action);
	s.unix_ns = 0;
	hvk_timesync_decide(&p, &s, UINT64_MAX, &d);
	ATF_CHECK_EQ(-INT64_MAX, d.offset_ns);
	ATF_CHECK_EQ(HVK_TIME_STEP, d.action);
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, messages);
	ATF_TP_ADD_TC(tp, odd);
	ATF_TP_ADD_TC(tp, offsets);
	ATF_TP_ADD_TC(tp, extreme);
	return (atf_no_error());
}
