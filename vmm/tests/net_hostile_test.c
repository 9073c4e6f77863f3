/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * hvk run with an adapter against guests that misbehave (fakenet_hostile.c):
 * each lie is refused, an ordinary frame still goes there and back, and the
 * host ends in time with status 0.
 */
#include "netrig.h"

#define	SCENARIO(name, text)						\
ATF_TC(name);								\
ATF_TC_HEAD(name, tc)							\
{									\
	atf_tc_set_md_var(tc, "descr", text);				\
}									\
ATF_TC_BODY(name, tc)							\
{									\
	pid_t pid = net_start("vm", #name, "slirp", "4");		\
									\
	ATF_CHECK_EQ(net_finish("vm", pid), 0);				\
	ATF_CHECK(net_printed("vm", "fakenet: " #name " done"));	\
}

SCENARIO(messages, "6,000 start-up messages of any type and length")
SCENARIO(sections, "sections that do not exist, or are not that long")
SCENARIO(ranges, "frames and control messages outside memory")
SCENARIO(lies, "every word of a packet's header and information is a lie")
SCENARIO(noise, "2,000 messages of noise")
SCENARIO(offloads, "large sends and checksums that cannot be")
SCENARIO(sizes, "frames over the MTU and under a header")
SCENARIO(flood, "3,000 questions, and no answer is taken")
SCENARIO(channels, "more sub-channels than are offered")
SCENARIO(acks, "answers to nothing, twice, too short, of another kind")
SCENARIO(teardown, "the receive buffer goes while frames arrive")
SCENARIO(ring, "a sub-channel's ring turns to noise")

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, messages);
	ATF_TP_ADD_TC(tp, sections);
	ATF_TP_ADD_TC(tp, ranges);
	ATF_TP_ADD_TC(tp, lies);
	ATF_TP_ADD_TC(tp, noise);
	ATF_TP_ADD_TC(tp, offloads);
	ATF_TP_ADD_TC(tp, sizes);
	ATF_TP_ADD_TC(tp, flood);
	ATF_TP_ADD_TC(tp, channels);
	ATF_TP_ADD_TC(tp, acks);
	ATF_TP_ADD_TC(tp, teardown);
	ATF_TP_ADD_TC(tp, ring);
	return (atf_no_error());
}
