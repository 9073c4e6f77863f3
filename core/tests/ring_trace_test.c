/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 */

/*
 * The order of the steps that the signalling protocol depends on: the very
 * code of the ring, compiled with its trace, must take the steps that
 * core/spec/signal.pml models.  The model's comments name the same steps.
 */

#include <stddef.h>

static unsigned char steps[64];
static unsigned int nsteps;

#define	HVK_RING_TRACE(step) do {					\
	if (nsteps < sizeof(steps))					\
		steps[nsteps++] = (unsigned char)(step);		\
} while (0)

#include "../common/ring.c"
#include "ring_pair.h"

#include <stdio.h>

static const char *const names[] = { "STORE_WRITE", "STORE_READ",
    "STORE_MASK", "STORE_UNMASK", "STORE_PENDING", "CLEAR_PENDING", "FENCE",
    "LOAD_WRITE", "LOAD_READ", "LOAD_MASK", "LOAD_PENDING", "SIGNAL" };

static uint64_t buf[512];

/* What was traced since the last time, in words. */
static const char *
took(void)
{
	static char text[512];
	unsigned int i;
	int n;

	n = 0;
	text[0] = '\0';
	for (i = 0; i < nsteps; i++)
		n += snprintf(text + n, sizeof(text) - (size_t)n, "%s%s",
		    i == 0 ? "" : " ", names[steps[i]]);
	nsteps = 0;
	return (text);
}

ATF_TC(order);
ATF_TC_HEAD(order, tc)
{
	atf_tc_set_md_var(tc, "descr", "publish, want, release and unmask take "
	    "the steps of the model in its order");
	atf_tc_set_md_var(tc, "X-feature", "core.signal");
}
ATF_TC_BODY(order, tc)
{
	struct hvk_packet packet;
	struct pair p;

	pair_open(&p, 4096);
	memset(buf, 0, sizeof(buf));
	nsteps = 0;
	ATF_REQUIRE_EQ(HVK_OK, hvk_tx_inband(&p.tx, 0, false, buf, 2000));
	ATF_CHECK_STREQ("", took());
	ATF_CHECK(hvk_ring_tx_publish(&p.tx));
	ATF_CHECK_STREQ("STORE_WRITE FENCE LOAD_MASK LOAD_READ SIGNAL",
	    took());
	ATF_REQUIRE_EQ(HVK_OK, hvk_tx_inband(&p.tx, 0, false, buf, 1900));
	ATF_CHECK(!hvk_ring_tx_publish(&p.tx));
	ATF_CHECK_STREQ("STORE_WRITE FENCE LOAD_MASK LOAD_READ", took());
	ATF_CHECK(!hvk_ring_tx_publish(&p.tx));
	ATF_CHECK_STREQ("", took());
	ATF_REQUIRE_EQ(HVK_AGAIN, hvk_tx_inband(&p.tx, 0, false, buf, 1900));
	ATF_CHECK_STREQ("LOAD_READ", took());
	ATF_CHECK(!hvk_ring_tx_want(&p.tx, 1916));
	ATF_CHECK_STREQ("STORE_PENDING FENCE LOAD_READ", took());

	hvk_ring_rx_mask(&p.rx);
	ATF_CHECK_STREQ("STORE_MASK", took());
	ATF_REQUIRE_EQ(HVK_OK, hvk_ring_rx_next(&p.rx, buf, sizeof(buf),
	    &packet));
	ATF_CHECK_STREQ("LOAD_WRITE", took());
	ATF_CHECK(hvk_ring_rx_release(&p.rx));
	ATF_CHECK_STREQ("STORE_READ FENCE LOAD_PENDING LOAD_WRITE SIGNAL",
	    took());
	ATF_CHECK(!hvk_ring_rx_release(&p.rx));
	ATF_CHECK_STREQ("", took());
	ATF_CHECK(hvk_ring_rx_unmask(&p.rx));
	ATF_CHECK_STREQ("STORE_UNMASK FENCE LOAD_WRITE", took());
	ATF_CHECK(hvk_ring_tx_want(&p.tx, 1916));
	ATF_CHECK_STREQ("STORE_PENDING FENCE LOAD_READ CLEAR_PENDING",
	    took());
	ATF_REQUIRE_EQ(HVK_OK, hvk_ring_rx_next(&p.rx, buf, sizeof(buf),
	    &packet));
	ATF_CHECK(!hvk_ring_rx_release(&p.rx));
	ATF_CHECK_STREQ("STORE_READ FENCE LOAD_PENDING", took());
	hvk_ring_rx_mask(&p.rx);
	(void)took();
	ATF_REQUIRE_EQ(HVK_OK, hvk_tx_inband(&p.tx, 0, false, buf, 8));
	(void)took();
	ATF_CHECK(!hvk_ring_tx_publish(&p.tx));
	ATF_CHECK_STREQ("STORE_WRITE FENCE LOAD_MASK", took());
	pair_close(&p);
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, order);
	return (atf_no_error());
}
