/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * Backup, the guest's side: the order of the parties, every failure, and that
 * in the end nothing is frozen, whatever happened, also by chance.
 */
#include <stdio.h>
#include <stdlib.h>

#include <hvk/guest/vss.h>

#include "ic_rig.h"

static struct ic_pair pair;
static struct hvk_vss vss;
static struct hvk_vss_job jobs[HVK_VSS_JOBS];
static uint64_t now;

#define	LIMIT	15000u
#define	HOLD	900000u

static void
begin(bool app, bool fs)
{
	ic_agree(&pair, HVK_IC_VSS, 0);
	now = 1000;
	hvk_vss_init(&vss, jobs, LIMIT, HOLD);
	if (app)
		hvk_vss_party(&vss, HVK_VSS_APP, true, now);
	if (fs)
		hvk_vss_party(&vss, HVK_VSS_FS, true, now);
}

static bool
host(uint8_t op)
{
	struct hvk_ic_header h = { .type = HVK_IC_VSS,
	    .flags = HVK_IC_REQUEST };

	ATF_REQUIRE_EQ(HVK_OK, hvk_ic_make(&pair.to_guest, &h, 12));
	hvk_ic_body(&pair.to_guest)[0] = op;
	ATF_REQUIRE_EQ(HVK_IC_SERVE, ic_deliver(&pair));
	return (hvk_vss_request(&vss, &pair.guest, &pair.got, now));
}

/* The status of the one reply that is there; UINT32_MAX: none. */
static uint32_t
heard(void)
{
	struct hvk_ic_message *m = hvk_vss_reply(&vss);
	uint32_t status;

	if (m == NULL)
		return (UINT32_MAX);
	status = hvk_ic_header(m).status;
	if (status == HVK_IC_OK && hvk_ic_body(m)[0] == HVK_VSS_CHECK) {
		uint32_t flags;

		memcpy(&flags, hvk_ic_body(m) + 8, 4);
		ATF_CHECK_EQ(5, flags);
	}
	ATF_CHECK(hvk_vss_reply(&vss) == NULL);
	return (status);
}

/* The party must be asked for just this. */
static uint64_t
take(enum hvk_vss_party p, uint8_t want)
{
	uint64_t id = 0;
	uint8_t op = 0xff;

	ATF_REQUIRE(hvk_vss_waiting(&vss, p));
	ATF_REQUIRE(!hvk_vss_waiting(&vss, p == HVK_VSS_APP ? HVK_VSS_FS :
	    HVK_VSS_APP));
	ATF_REQUIRE_EQ(HVK_OK, hvk_vss_take(&vss, p, &op, &id));
	ATF_REQUIRE_EQ_MSG(want, op, "asked for %u, not %u", op, want);
	ATF_CHECK_EQ(HVK_AGAIN, hvk_vss_take(&vss, p, &op, &id));
	return (id);
}

static void
done(enum hvk_vss_party p, uint8_t op, bool ok)
{
	ATF_CHECK_EQ(HVK_OK, hvk_vss_done(&vss, p, take(p, op), ok, now));
}

static bool
frozen(void)
{
	return (vss.frozen[0] || vss.frozen[1]);
}

/* Nothing is left to do and nothing is frozen. */
static void
quiet(void)
{
	ATF_CHECK(!frozen());
	ATF_CHECK(!hvk_vss_waiting(&vss, HVK_VSS_APP));
	ATF_CHECK(!hvk_vss_waiting(&vss, HVK_VSS_FS));
	ATF_CHECK_EQ(UINT32_MAX, heard());
	ATF_CHECK_EQ(UINT64_MAX, hvk_vss_deadline(&vss));
}

ATF_TC(order);
ATF_TC_HEAD(order, tc)
{
	atf_tc_set_md_var(tc, "descr", "check and freeze go to the application "
	    "first, thaw to the file systems first");
	atf_tc_set_md_var(tc, "X-feature", "stor.backup");
}
ATF_TC_BODY(order, tc)
{
	for (int app = 0; app < 2; app++) {
		begin(app, true);
		ATF_CHECK(!host(HVK_VSS_CHECK));
		if (app)
			done(HVK_VSS_APP, HVK_VSS_CHECK, true);
		ATF_CHECK_EQ(UINT32_MAX, heard());
		done(HVK_VSS_FS, HVK_VSS_CHECK, true);
		ATF_CHECK_EQ(HVK_IC_OK, heard());
		ATF_CHECK(!host(HVK_VSS_FREEZE));
		if (app)
			done(HVK_VSS_APP, HVK_VSS_FREEZE, true);
		done(HVK_VSS_FS, HVK_VSS_FREEZE, true);
		ATF_CHECK_EQ(HVK_IC_OK, heard());
		ATF_CHECK(frozen());
		ATF_CHECK(!host(HVK_VSS_THAW));
		done(HVK_VSS_FS, HVK_VSS_THAW, true);
		if (app)
			done(HVK_VSS_APP, HVK_VSS_THAW, true);
		ATF_CHECK_EQ(HVK_IC_OK, heard());
		quiet();
	}
}

ATF_TC_WITHOUT_HEAD(others);
ATF_TC_BODY(others, tc)
{
	begin(false, true);
	ATF_CHECK(host(HVK_VSS_DEVICES));
	ATF_CHECK_EQ(HVK_IC_OK, hvk_ic_header(&pair.got).status);
	for (uint32_t op = 0; op < 256; op++) {
		if (op == HVK_VSS_CHECK || op == HVK_VSS_FREEZE ||
		    op == HVK_VSS_THAW || op == HVK_VSS_DEVICES)
			continue;
		ATF_CHECK(host((uint8_t)op));
		ATF_CHECK_EQ(HVK_IC_NOT_SUPPORTED,
		    hvk_ic_header(&pair.got).status);
	}
	/* Too short; and as long as hosts send them. */
	for (uint32_t len = 0; len < 12; len++) {
		struct hvk_ic_header h = { .type = HVK_IC_VSS };

		ATF_REQUIRE_EQ(HVK_OK, hvk_ic_make(&pair.to_guest, &h, len));
		ATF_REQUIRE_EQ(HVK_IC_SERVE, ic_deliver(&pair));
		ATF_CHECK(hvk_vss_request(&vss, &pair.guest, &pair.got, now));
		ATF_CHECK_EQ(HVK_IC_BAD_ARGUMENT,
		    hvk_ic_header(&pair.got).status);
	}
	quiet();
	ATF_CHECK(!host(HVK_VSS_FREEZE));
	done(HVK_VSS_FS, HVK_VSS_FREEZE, true);
	ATF_CHECK_EQ(HVK_IC_OK, heard());
}

ATF_TC(refused);
ATF_TC_HEAD(refused, tc)
{
	atf_tc_set_md_var(tc, "descr", "a party that refuses ends it, and what "
	    "was frozen is thawed");
	atf_tc_set_md_var(tc, "X-feature", "stor.backup");
}
ATF_TC_BODY(refused, tc)
{
	begin(true, true);
	ATF_CHECK(!host(HVK_VSS_CHECK));
	done(HVK_VSS_APP, HVK_VSS_CHECK, false);
	ATF_CHECK_EQ(HVK_IC_FAIL, heard());
	quiet();
	/* The application froze, the daemon cannot: both are thawed. */
	ATF_CHECK(!host(HVK_VSS_FREEZE));
	done(HVK_VSS_APP, HVK_VSS_FREEZE, true);
	done(HVK_VSS_FS, HVK_VSS_FREEZE, false);
	ATF_CHECK_EQ(HVK_IC_FAIL, heard());
	done(HVK_VSS_FS, HVK_VSS_THAW, true);
	done(HVK_VSS_APP, HVK_VSS_THAW, true);
	quiet();
	ATF_CHECK_EQ(1, vss.thaws);
}

ATF_TC(timeouts);
ATF_TC_HEAD(timeouts, tc)
{
	atf_tc_set_md_var(tc, "descr", "parties that are slow, late, or never "
	    "come");
	atf_tc_set_md_var(tc, "X-feature", "stor.backup");
}
ATF_TC_BODY(timeouts, tc)
{
	uint64_t id;

	/* No daemon: an error in time. */
	begin(false, false);
	ATF_CHECK(!host(HVK_VSS_CHECK));
	now += LIMIT - 1;
	hvk_vss_tick(&vss, now);
	ATF_CHECK_EQ(UINT32_MAX, heard());
	now++;
	hvk_vss_tick(&vss, now);
	ATF_CHECK_EQ(HVK_IC_NOT_CONNECTED, heard());
	quiet();
	/* One that comes in time. */
	ATF_CHECK(!host(HVK_VSS_CHECK));
	now += 1000;
	hvk_vss_party(&vss, HVK_VSS_FS, true, now);
	done(HVK_VSS_FS, HVK_VSS_CHECK, true);
	ATF_CHECK_EQ(HVK_IC_OK, heard());
	/* A freeze that takes too long, and succeeds after all. */
	ATF_CHECK(!host(HVK_VSS_FREEZE));
	id = take(HVK_VSS_FS, HVK_VSS_FREEZE);
	now += LIMIT;
	hvk_vss_tick(&vss, now);
	ATF_CHECK_EQ(HVK_IC_FAIL, heard());
	ATF_CHECK_EQ(HVK_REJECT, hvk_vss_done(&vss, HVK_VSS_FS, id, true,
	    now));
	ATF_CHECK(frozen());
	done(HVK_VSS_FS, HVK_VSS_THAW, true);
	quiet();
	/* The host never thaws. */
	ATF_CHECK(!host(HVK_VSS_FREEZE));
	done(HVK_VSS_FS, HVK_VSS_FREEZE, true);
	ATF_CHECK_EQ(HVK_IC_OK, heard());
	now += HOLD;
	hvk_vss_tick(&vss, now);
	done(HVK_VSS_FS, HVK_VSS_THAW, true);
	quiet();
	/* Its thaw comes after that: no backup, and said so. */
	ATF_CHECK(!host(HVK_VSS_THAW));
	done(HVK_VSS_FS, HVK_VSS_THAW, true);
	ATF_CHECK_EQ(HVK_IC_FAIL, heard());
	quiet();
	/* A thaw that fails is tried again until it succeeds. */
	ATF_CHECK(!host(HVK_VSS_FREEZE));
	done(HVK_VSS_FS, HVK_VSS_FREEZE, true);
	ATF_CHECK_EQ(HVK_IC_OK, heard());
	ATF_CHECK(!host(HVK_VSS_THAW));
	done(HVK_VSS_FS, HVK_VSS_THAW, false);
	ATF_CHECK_EQ(HVK_IC_FAIL, heard());
	for (int i = 0; i < 5; i++) {
		ATF_CHECK(frozen());
		now += LIMIT;
		hvk_vss_tick(&vss, now);
		done(HVK_VSS_FS, HVK_VSS_THAW, i == 4);
	}
	quiet();
}

ATF_TC(deaths);
ATF_TC_HEAD(deaths, tc)
{
	atf_tc_set_md_var(tc, "descr", "each party dies in each state");
	atf_tc_set_md_var(tc, "X-feature", "stor.backup");
}
ATF_TC_BODY(deaths, tc)
{
	/* The daemon dies while it freezes. */
	begin(true, true);
	ATF_CHECK(!host(HVK_VSS_FREEZE));
	done(HVK_VSS_APP, HVK_VSS_FREEZE, true);
	(void)take(HVK_VSS_FS, HVK_VSS_FREEZE);
	hvk_vss_party(&vss, HVK_VSS_FS, false, now);
	ATF_CHECK_EQ(HVK_IC_FAIL, heard());
	done(HVK_VSS_APP, HVK_VSS_THAW, true);
	quiet();
	/* The daemon dies frozen: the application thaws, the host hears. */
	hvk_vss_party(&vss, HVK_VSS_FS, true, now);
	ATF_CHECK(!host(HVK_VSS_FREEZE));
	done(HVK_VSS_APP, HVK_VSS_FREEZE, true);
	done(HVK_VSS_FS, HVK_VSS_FREEZE, true);
	ATF_CHECK_EQ(HVK_IC_OK, heard());
	hvk_vss_party(&vss, HVK_VSS_FS, false, now);
	done(HVK_VSS_APP, HVK_VSS_THAW, true);
	quiet();
	hvk_vss_party(&vss, HVK_VSS_FS, true, now);
	ATF_CHECK(!host(HVK_VSS_THAW));
	done(HVK_VSS_FS, HVK_VSS_THAW, true);
	done(HVK_VSS_APP, HVK_VSS_THAW, true);
	ATF_CHECK_EQ(HVK_IC_FAIL, heard());
	quiet();
	/* The application dies frozen. */
	ATF_CHECK(!host(HVK_VSS_FREEZE));
	done(HVK_VSS_APP, HVK_VSS_FREEZE, true);
	done(HVK_VSS_FS, HVK_VSS_FREEZE, true);
	ATF_CHECK_EQ(HVK_IC_OK, heard());
	hvk_vss_party(&vss, HVK_VSS_APP, false, now);
	done(HVK_VSS_FS, HVK_VSS_THAW, true);
	quiet();
	/* The host goes away in the middle of a freeze. */
	ATF_CHECK(!host(HVK_VSS_FREEZE));
	(void)take(HVK_VSS_FS, HVK_VSS_FREEZE);
	hvk_vss_lost(&vss, now);
	ATF_CHECK_EQ(HVK_OK, hvk_vss_done(&vss, HVK_VSS_FS, vss.next_id, true,
	    now));
	ATF_CHECK_EQ(UINT32_MAX, heard());
	hvk_vss_tick(&vss, now);
	done(HVK_VSS_FS, HVK_VSS_THAW, true);
	quiet();
	/* And while frozen. */
	ATF_CHECK(!host(HVK_VSS_FREEZE));
	done(HVK_VSS_FS, HVK_VSS_FREEZE, true);
	ATF_CHECK_EQ(HVK_IC_OK, heard());
	hvk_vss_lost(&vss, now);
	done(HVK_VSS_FS, HVK_VSS_THAW, true);
	quiet();
}

ATF_TC_WITHOUT_HEAD(flood);
ATF_TC_BODY(flood, tc)
{
	int kept = 0, refused = 0;

	begin(false, true);
	for (int i = 0; i < 100; i++) {
		if (host(HVK_VSS_FREEZE)) {
			ATF_CHECK_EQ(HVK_IC_FAIL,
			    hvk_ic_header(&pair.got).status);
			refused++;
		} else
			kept++;
	}
	ATF_CHECK_EQ((int)HVK_VSS_JOBS - 1, kept);
	for (int i = 0; i < kept; i++)
		done(HVK_VSS_FS, HVK_VSS_FREEZE, true);
	while (hvk_vss_reply(&vss) != NULL)
		continue;
	hvk_vss_lost(&vss, now);
	done(HVK_VSS_FS, HVK_VSS_THAW, true);
	quiet();
}

/*
 * Parties that obey, fail, forget and die, and a host that asks anything at any
 * time.  When all calm down nothing may be frozen, as the parties see it.
 */
ATF_TC(chance);
ATF_TC_HEAD(chance, tc)
{
	atf_tc_set_md_var(tc, "descr", "random histories end with nothing "
	    "frozen");
	atf_tc_set_md_var(tc, "X-feature", "stor.backup");
}

static bool really[2], have[2];
static uint64_t held[2];
static uint8_t held_op[2];

static void
act(enum hvk_vss_party p, bool honest)
{
	bool ok = honest || (random() & 3) != 0;

	if (!vss.open[p])
		return;
	if (!have[p]) {
		have[p] = hvk_vss_take(&vss, p, &held_op[p], &held[p]) ==
		    HVK_OK;
		if (!honest)
			return;
	}
	if (!have[p])
		return;
	if (ok && held_op[p] != HVK_VSS_CHECK)
		really[p] = held_op[p] == HVK_VSS_FREEZE;
	have[p] = false;
	(void)hvk_vss_done(&vss, p, held[p], ok, now);
}

ATF_TC_BODY(chance, tc)
{
	static const uint8_t ops[] = { HVK_VSS_CHECK, HVK_VSS_FREEZE,
	    HVK_VSS_FREEZE, HVK_VSS_THAW };
	uint32_t freezes = 0;
	enum hvk_vss_party p;
	int i, round;

	for (round = 0; round < 30000; round++) {
		srandom((unsigned)round);
		begin(random() & 1, random() & 1);
		memset(really, 0, sizeof(really));
		memset(have, 0, sizeof(have));
		for (i = 0; i < 60; i++) {
			p = (random() & 1) != 0 ? HVK_VSS_FS : HVK_VSS_APP;
			switch (random() % 8) {
			case 0:
				(void)host(ops[random() % 4]);
				break;
			case 1:
				now += (uint64_t)(random() % 20000);
				hvk_vss_tick(&vss, now);
				break;
			case 2:
				if (random() % 4 != 0)
					break;
				/* It dies: what it froze thaws; or comes. */
				if (vss.open[p])
					really[p] = have[p] = false;
				hvk_vss_party(&vss, p, !vss.open[p], now);
				break;
			case 3:
				if (random() % 8 == 0)
					hvk_vss_lost(&vss, now);
				break;
			case 4:
				(void)hvk_vss_reply(&vss);
				break;
			default:
				act(p, false);
				break;
			}
			freezes += really[0] || really[1];
		}
		hvk_vss_lost(&vss, now);
		for (i = 0; i < 40; i++) {
			act(HVK_VSS_FS, true);
			act(HVK_VSS_APP, true);
			now += LIMIT / 2;
			hvk_vss_tick(&vss, now);
		}
		ATF_REQUIRE_MSG(!really[0] && !really[1],
		    "history %d ends frozen", round);
		ATF_REQUIRE_MSG(!frozen(), "history %d: state", round);
	}
	ATF_CHECK(freezes > 1000);
	printf("figure: stor.backup %d random histories, %u frozen moments\n",
	    round, freezes);
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, order);
	ATF_TP_ADD_TC(tp, others);
	ATF_TP_ADD_TC(tp, refused);
	ATF_TP_ADD_TC(tp, timeouts);
	ATF_TP_ADD_TC(tp, deaths);
	ATF_TP_ADD_TC(tp, flood);
	ATF_TP_ADD_TC(tp, chance);
	return (atf_no_error());
}
