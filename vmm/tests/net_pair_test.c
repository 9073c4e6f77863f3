/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * Two hosts whose adapters are joined: a guest that serves on the one, one that
 * asks and checks every bit of what comes back on the other.
 */
#include "netrig.h"

#define	ALL	"200 of 200 datagrams, 20 of 20 large sends, 0 wrong"
#define	NO_RSC	"0x0fff"
#define	RSC	"0x3fff"

static void
joined(const char *serve, const char *probe, const char *offloads,
    const char *expect)
{
	pid_t a, b;

	setenv("FAKENET_OFFLOADS", offloads, 1);
	setenv("FAKENET_IP", "10.1.1.1", 1);
	setenv("FAKENET_PEER", "10.1.1.2", 1);
	a = net_start("a", "serve", serve, "2");
	net_wait_for("a", "fakenet: up");
	setenv("FAKENET_IP", "10.1.1.2", 1);
	setenv("FAKENET_PEER", "10.1.1.1", 1);
	b = net_start("b", "probe", probe, "2");
	ATF_CHECK_EQ(net_finish("b", b), 0);
	ATF_CHECK_MSG(net_printed("b", expect), "expected '%s'", expect);
	kill(a, SIGTERM);
	ATF_CHECK_EQ(net_finish("a", a), 0);
}

ATF_TC_WITHOUT_HEAD(plain);
ATF_TC_BODY(plain, tc)
{

	/* Neither takes large frames: the hosts cut them. */
	joined("pair:c.sock", "pair:c.sock", NO_RSC, ALL ", largest 1514");
}

ATF_TC_WITHOUT_HEAD(coalesced);
ATF_TC_BODY(coalesced, tc)
{

	joined("pair:c.sock", "pair:c.sock", RSC, ALL ", largest 60054");
}

ATF_TC_WITHOUT_HEAD(jumbo);
ATF_TC_BODY(jumbo, tc)
{

	setenv("FAKENET_MTU", "9000", 1);
	setenv("FAKENET_CHANNELS", "2", 1);
	joined("pair:c.sock,mtu=9000,queues=2", "pair:c.sock,mtu=9000,queues=2",
	    NO_RSC, ALL ", largest 9014");
}

/* The one is on VLAN 77 and does not know, the other tags. */
ATF_TC_WITHOUT_HEAD(access);
ATF_TC_BODY(access, tc)
{

	setenv("FAKENET_VLAN", "77", 1);
	joined("pair:c.sock,vlan=77", "pair:c.sock", NO_RSC, ALL);
}

ATF_TC_WITHOUT_HEAD(trunk);
ATF_TC_BODY(trunk, tc)
{

	setenv("FAKENET_VLAN", "4094", 1);
	joined("pair:c.sock,vlan=trunk:5-9+4094/5",
	    "pair:c.sock,vlan=trunk:4000-4094", RSC, ALL);
}

ATF_TC_WITHOUT_HEAD(elsewhere);
ATF_TC_BODY(elsewhere, tc)
{

	setenv("FAKENET_VLAN", "78", 1);
	setenv("FAKENET_COUNT", "10", 1);
	setenv("FAKENET_TRIES", "20", 1);
	joined("pair:c.sock,vlan=77", "pair:c.sock", NO_RSC,
	    "0 of 10 datagrams, 0 of 1 large sends, 0 wrong");
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, plain);
	ATF_TP_ADD_TC(tp, coalesced);
	ATF_TP_ADD_TC(tp, jumbo);
	ATF_TP_ADD_TC(tp, access);
	ATF_TP_ADD_TC(tp, trunk);
	ATF_TP_ADD_TC(tp, elsewhere);
	return (atf_no_error());
}
