/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * plan_test.c: what the host may say of an interface, and what becomes of it.
 */

#include <atf-c.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "plan.h"

#define	CASE(name, text)						\
ATF_TC(name);								\
ATF_TC_HEAD(name, tc)							\
{									\
	atf_tc_set_md_var(tc, "descr", text);				\
}									\
ATF_TC_BODY(name, tc)

static struct hv_kvp_ipaddr_value v;
static struct plan p;

static const char *
parse(uint8_t family, bool dhcp, const char *ip, const char *mask,
    const char *gw, const char *dns)
{
	memset(&v, 0, sizeof(v));
	v.addr_family = family;
	v.dhcp_enabled = dhcp;
	strcpy((char *)v.ip_addr, ip);
	strcpy((char *)v.sub_net, mask);
	strcpy((char *)v.gate_way, gw);
	strcpy((char *)v.dns_addr, dns);
	return (plan_parse(&p, &v));
}

static void
expect(int i, const char *text, int prefix)
{
	char buf[PLAN_TEXT];

	ATF_CHECK_STREQ(text, address_text(&p.addresses[i], buf));
	ATF_CHECK_EQ(prefix, p.addresses[i].prefix);
}

CASE(good, "Lists of both families, masks in each form, gateways, servers")
{
	char buf[PLAN_TEXT];

	ATF_REQUIRE(parse(3, false, "10.0.0.5;fd00::5;192.168.1.9",
	    "255.255.255.0;/64;16", "10.0.0.1;fd00::1",
	    "1.1.1.1;8.8.8.8;2001:4860:4860::8888") == NULL);
	ATF_CHECK_EQ(3, p.naddresses);
	expect(0, "10.0.0.5", 24);
	expect(1, "fd00::5", 64);
	expect(2, "192.168.1.9", 16);
	ATF_CHECK_STREQ("255.255.0.0", address_mask(&p.addresses[2], buf));
	ATF_CHECK_EQ(2, p.ngateways);
	ATF_CHECK_EQ(3, p.ndns);
	ATF_CHECK_EQ(PLAN_V4 | PLAN_V6, p.families);
	ATF_REQUIRE(parse(0, false, "FE80::1%12;", "ffff:ffff:ffff:ffff::",
	    "", "") == NULL);
	expect(0, "fe80::1", 64);
	ATF_CHECK_EQ(PLAN_V6, p.families);
	ATF_REQUIRE(parse(1, true, "junk;junk", "", "", "") == NULL);
	ATF_CHECK(p.dhcp && p.naddresses == 0 && p.families == PLAN_V4);
}

CASE(bad, "Whatever is no address is refused, and said why")
{
	static const struct {
		const char *ip, *mask, *gw, *dns;
	} list[] = {
		{ "", "", "", "" },
		{ "10.0.0.5", "", "", "" },
		{ "10.0.0.5;10.0.0.6", "255.255.255.0", "", "" },
		{ "10.0.0.5", "255.0.255.0", "", "" },
		{ "10.0.0.5", "0.0.0.0", "", "" },
		{ "10.0.0.5", "/33", "", "" },
		{ "10.0.0.5", "-1", "", "" },
		{ "10.0.0.5", "4294967320", "", "" },
		{ "10.0.0.5", "ffff::", "", "" },
		{ "fd00::1", "/129", "", "" },
		{ "0.0.0.0", "/8", "", "" },
		{ "127.0.0.1", "/8", "", "" },
		{ "224.0.0.1", "/8", "", "" },
		{ "::", "/8", "", "" }, { "::1", "/8", "", "" },
		{ "ff02::1", "/8", "", "" },
		{ "10.0.0.5$(reboot)", "/8", "", "" },
		{ "`id`", "/8", "", "" },
		{ "10.0.0.256", "/8", "", "" },
		{ "10.0.0.5", "/8", "gateway", "" },
		{ "10.0.0.5", "/8", "10.0.0.1", "1.1.1.1\nsearch evil" },
		{ "10.0.0.5\" netmask", "/8", "", "" },
	};
	size_t i;

	for (i = 0; i < sizeof(list) / sizeof(list[0]); i++)
		ATF_CHECK_MSG(parse(3, false, list[i].ip, list[i].mask,
		    list[i].gw, list[i].dns) != NULL, "row %zu", i);
	ATF_CHECK(parse(1, false, "fd00::1", "/64", "", "") != NULL);
	/* Arrays full to the last byte, without an end. */
	memset(&v, ';', sizeof(v));
	v.dhcp_enabled = 0;
	ATF_CHECK(plan_parse(&p, &v) != NULL);
	memset(&v, '1', sizeof(v));
	v.dhcp_enabled = 0;
	ATF_CHECK(plan_parse(&p, &v) != NULL);
}

CASE(many, "64 addresses fit, a 65th does not")
{
	char ip[2048], mask[2048];
	int i, n;

	for (n = 64; n <= 65; n++) {
		ip[0] = mask[0] = '\0';
		for (i = 0; i < n; i++) {
			sprintf(ip + strlen(ip), "10.1.%d.%d;", i / 200,
			    i % 200 + 1);
			strcat(mask, "24;");
		}
		ATF_CHECK_EQ(n == 64, parse(3, false, ip, mask, "", "") ==
		    NULL);
	}
}

CASE(adapter, "Adapters are GUIDs or MAC addresses, or nothing")
{
	char guid[GUID_TEXT];
	uint8_t mac[6];

	ATF_CHECK(guid_normal(guid, "{F8615163-DF3E-46C5-913F-F2D2F965ED0E}",
	    256));
	ATF_CHECK_STREQ("f8615163-df3e-46c5-913f-f2d2f965ed0e", guid);
	ATF_CHECK(guid_normal(guid, "f8615163-df3e-46c5-913f-f2d2f965ed0e",
	    256));
	ATF_CHECK(!guid_normal(guid, "f8615163-df3e-46c5-913f-f2d2f965ed0",
	    256));
	ATF_CHECK(!guid_normal(guid, "{F8615163-DF3E-46C5-913F-F2D2F965ED0E",
	    256));
	ATF_CHECK(!guid_normal(guid, "f8615163xdf3e-46c5-913f-f2d2f965ed0e",
	    256));
	ATF_CHECK(!guid_normal(guid, "g8615163-df3e-46c5-913f-f2d2f965ed0e",
	    256));
	ATF_CHECK(mac_parse(mac, "00:15:5D:01:02:0a", 256));
	ATF_CHECK_EQ(0, memcmp(mac, "\x00\x15\x5d\x01\x02\x0a", 6));
	ATF_CHECK(mac_parse(mac, "00155D01020B", 256));
	ATF_CHECK(mac_parse(mac, "00-15-5D-01-02-0B", 256));
	ATF_CHECK(!mac_parse(mac, "00:15:5D:01:02", 256));
	ATF_CHECK(!mac_parse(mac, "00:15:5D:01:02:0g", 256));
	ATF_CHECK(!mac_parse(mac, "hn0;reboot  ", 256));
	ATF_CHECK(!mac_parse(mac, "", 256));
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, good);
	ATF_TP_ADD_TC(tp, bad);
	ATF_TP_ADD_TC(tp, many);
	ATF_TP_ADD_TC(tp, adapter);
	return (atf_no_error());
}
