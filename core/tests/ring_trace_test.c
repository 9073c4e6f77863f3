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
#include <stdlib.h>
#include <string.h>

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

/*
 * The same against the model itself: every way in which an operation can run,
 * as a simulation of signal.pml prints it and as the code takes it.  The two
 * sets must be equal, so a step left out, added or moved on either side shows.
 */
struct ways {
	char		line[32][128];	/* "publish STORE_WRITE FENCE ..." */
	unsigned int	n;
};

static void
ways_add(struct ways *ways, const char *line)
{
	unsigned int i;

	for (i = 0; i < ways->n; i++)
		if (strcmp(ways->line[i], line) == 0)
			return;
	ATF_REQUIRE(ways->n < 32);
	snprintf(ways->line[ways->n++], sizeof(ways->line[0]), "%s", line);
}

static void
ways_took(struct ways *ways, const char *op)
{
	char line[640];
	const char *text;

	text = took();
	if (*text == '\0')		/* there was nothing to do */
		return;
	snprintf(line, sizeof(line), "%s %s", op, text);
	ways_add(ways, line);
}

/* Both sides of a small ring, in a random order that fills and empties it. */
static void
ways_of_code(struct ways *ways)
{
	struct hvk_packet packet;
	struct pair p;
	unsigned int i, seed;

	pair_open(&p, 4096);
	memset(buf, 0, sizeof(buf));
	seed = 1;
	for (i = 0; i < 20000; i++) {
		seed = seed * 1103515245 + 12345;
		nsteps = 0;
		switch (seed >> 16 & 7) {
		case 0: case 1: case 2:
			if (hvk_tx_inband(&p.tx, 0, false, buf, 1000) == HVK_OK)
				break;
			nsteps = 0;
			(void)hvk_ring_tx_publish(&p.tx);
			ways_took(ways, "publish");
			(void)hvk_ring_tx_want(&p.tx, 1016);
			ways_took(ways, "want");
			break;
		case 3:
			(void)hvk_ring_tx_publish(&p.tx);
			ways_took(ways, "publish");
			break;
		case 4: case 5:
			(void)hvk_ring_rx_next(&p.rx, buf, sizeof(buf),
			    &packet);
			nsteps = 0;
			if ((seed >> 20 & 3) == 0)
				break;		/* release several at once */
			(void)hvk_ring_rx_release(&p.rx);
			ways_took(ways, "release");
			break;
		case 6:
			hvk_ring_rx_mask(&p.rx);
			ways_took(ways, "mask");
			break;
		default:
			(void)hvk_ring_rx_release(&p.rx);
			ways_took(ways, "release");
			(void)hvk_ring_rx_unmask(&p.rx);
			ways_took(ways, "unmask");
			break;
		}
	}
	/* Room that comes between the failed send and the wish. */
	while (hvk_tx_inband(&p.tx, 0, false, buf, 1000) == HVK_OK)
		;
	(void)hvk_ring_tx_publish(&p.tx);
	while (hvk_ring_rx_next(&p.rx, buf, sizeof(buf), &packet) == HVK_OK)
		;
	(void)hvk_ring_rx_release(&p.rx);
	nsteps = 0;
	(void)hvk_ring_tx_want(&p.tx, 1016);
	ways_took(ways, "want");
	pair_close(&p);
}

/* One simulated run; side 0 is the producer, side 1 the consumer. */
static void
ways_of_run(struct ways *ways, const char *command)
{
	char line[256], op[2][128];
	FILE *f;
	unsigned int side, len;

	op[0][0] = op[1][0] = '\0';
	f = popen(command, "r");
	ATF_REQUIRE(f != NULL);
	while (fgets(line, sizeof(line), f) != NULL) {
		if ((line[0] != 'P' && line[0] != 'C') || line[1] != ' ')
			continue;
		line[strcspn(line, "\n")] = '\0';
		side = line[0] == 'C';
		len = (unsigned int)strlen(op[side]);
		if (strncmp(line + 2, "op ", 3) == 0)
			snprintf(op[side], sizeof(op[side]), "%.100s",
			    line + 5);
		else if (strcmp(line + 2, "end") == 0)
			ways_add(ways, op[side]);
		else
			snprintf(op[side] + len, sizeof(op[side]) - len,
			    " %.60s", line + 2);
	}
	ATF_REQUIRE_EQ(0, pclose(f));
}

static void
ways_within(const struct ways *some, const struct ways *all, const char *what)
{
	unsigned int i, j;

	for (i = 0; i < some->n; i++) {
		for (j = 0; j < all->n; j++)
			if (strcmp(some->line[i], all->line[j]) == 0)
				break;
		if (j == all->n)
			atf_tc_fail_nonfatal("%s: %s", what, some->line[i]);
	}
}

ATF_TC(model);
ATF_TC_HEAD(model, tc)
{
	atf_tc_set_md_var(tc, "descr", "each operation takes its steps in the "
	    "ways of the SPIN model, and in all of them");
	atf_tc_set_md_var(tc, "X-feature", "core.signal");
	atf_tc_set_md_var(tc, "timeout", "300");
}
ATF_TC_BODY(model, tc)
{
	static struct ways code, model;
	char command[512];
	unsigned int seed;

	if (system("command -v spin >/dev/null") != 0)
		atf_tc_skip("spin is not installed");
	ways_of_code(&code);
	for (seed = 1; seed <= 60; seed++) {
		snprintf(command, sizeof(command), "spin -T -n%u -DTRACE "
		    "-D%s -DPACKETS=60 -DSIZE=%u "
		    HVK_SOURCE "/core/spec/signal.pml",
		    seed, (seed & 1) != 0 ? "TSO" : "WEAK", seed % 4 + 1);
		ways_of_run(&model, command);
	}
	ATF_CHECK(model.n >= 10);
	ways_within(&code, &model, "the code does, the model does not");
	ways_within(&model, &code, "the model does, the code does not");
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, model);
	ATF_TP_ADD_TC(tp, order);
	return (atf_no_error());
}
