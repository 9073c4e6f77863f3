/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * netconf_test.c: hv_netconf, the helper of hv_kvp_daemon(8), in a network
 * namespace of its own with stand-ins for FreeBSD's programs that write down
 * their arguments and do what those would: what is run, what becomes of
 * rc.conf and of the interface, and that all of it is put back.
 */

#include <atf-c.h>
#include <arpa/inet.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/socket.h>
#include <unistd.h>

#include "helper.h"
#include "iface.h"

#define	CASE(name, text, feature)					\
ATF_TC(name);								\
ATF_TC_HEAD(name, tc)							\
{									\
	atf_tc_set_md_var(tc, "descr", text);				\
	if (feature[0] != '\0')						\
		atf_tc_set_md_var(tc, "X-feature", feature);		\
}									\
ATF_TC_BODY(name, tc)

#define	MAC	"00:15:5D:01:02:03"
#define	RC_BEFORE							\
    "hostname=\"guest\"\n"						\
    "ifconfig_hn0=\"DHCP\"\n"						\
    "ifconfig_hn0_alias0=\"inet 10.9.9.9 netmask 255.0.0.0\"\n"		\
    "ifconfig_hn0_alias1=\"inet6 fd09::9 prefixlen 64\"\n"		\
    "ifconfig_hn1=\"DHCP\"\n"

static struct helper h;

static void
sh(const char *cmd)
{
	ATF_REQUIRE_MSG(system(cmd) == 0, "%s", cmd);
}

static void
write_file(const char *path, const char *text)
{
	FILE *f;

	f = fopen(path, "w");
	ATF_REQUIRE(f != NULL && fputs(text, f) >= 0 && fclose(f) == 0);
}

static const char *
read_file(const char *path)
{
	static char buf[16384];
	FILE *f;

	f = fopen(path, "r");
	if (f == NULL)
		return ("");
	buf[fread(buf, 1, sizeof(buf) - 1, f)] = '\0';
	fclose(f);
	return (buf);
}

static void
setup(void)
{
	char *args[] = { (char *)(uintptr_t)NETCONF, (char *)(uintptr_t)"-n",
	    (char *)(uintptr_t)"-R", NULL, NULL };
	static char root[4096];

	if (unshare(getuid() == 0 ? CLONE_NEWNET :
	    CLONE_NEWUSER | CLONE_NEWNET) != 0)
		atf_tc_skip("no network namespace here");
	sh("mkdir -p r/sbin r/usr/sbin r/etc && "
	    "for p in sbin/ifconfig sbin/route sbin/resolvconf usr/sbin/sysrc "
	    "usr/sbin/service; do cp " STANDIN " r/$p; done");
	sh("ip tuntap add hn0 mode tap && ip link set hn0 address " MAC
	    " && echo 1 >/proc/sys/net/ipv4/conf/all/promote_secondaries && "
	    "ip link set lo up && ip link set hn0 up && "
	    "ip addr add 10.1.1.1/8 dev hn0 && ip route add default via "
	    "10.1.1.254 && ip tuntap add hn10 mode tap");
	write_file("r/etc/rc.conf", RC_BEFORE);
	write_file("r/etc/resolv.conf", "nameserver 9.9.9.9\n");
	ATF_REQUIRE(getcwd(root, sizeof(root) - 2) != NULL);
	strcat(root, "/r");
	args[3] = root;
	ATF_REQUIRE_EQ(0, helper_start(&h, NETCONF, args));
}

static uint32_t
set(uint8_t family, bool dhcp, const char *adapter, const char *ip,
    const char *mask, const char *gw, const char *dns)
{
	struct netconf_msg m;

	memset(&m, 0, sizeof(m));
	m.op = NETCONF_SET;
	strcpy((char *)m.u.ip.adapter_id, adapter);
	m.u.ip.addr_family = family;
	m.u.ip.dhcp_enabled = dhcp;
	strcpy((char *)m.u.ip.ip_addr, ip);
	strcpy((char *)m.u.ip.sub_net, mask);
	strcpy((char *)m.u.ip.gate_way, gw);
	strcpy((char *)m.u.ip.dns_addr, dns);
	ATF_REQUIRE(helper_ask(&h, &m, 60));
	return (m.status);
}

static struct hv_kvp_ipaddr_value got;
static uint32_t
get(const char *adapter)
{
	struct netconf_msg m;

	memset(&m, 0, sizeof(m));
	m.op = NETCONF_GET;
	strcpy((char *)m.u.ip.adapter_id, adapter);
	ATF_REQUIRE(helper_ask(&h, &m, 60));
	got = m.u.ip;
	return (m.status);
}

static void
expect(const char *path, const char *text)
{
	ATF_CHECK_MSG(strstr(read_file(path), text) != NULL, "no '%s' in:\n%s",
	    text, read_file(path));
}

static void
has_address(const char *text, bool want)
{
	char cmd[256];

	snprintf(cmd, sizeof(cmd), "ip -o addr show dev hn0 | grep -q ' %s '",
	    text);
	ATF_CHECK_MSG((system(cmd) == 0) == want, "%s", text);
}

CASE(two_families, "Addresses of both families, gateways, servers: files, "
    "interface, arguments", "net.staticip")
{
	int lines;
	const char *p;

	setup();
	ATF_REQUIRE_EQ(HV_KVP_S_OK, set(3, false, MAC,
	    "10.0.0.5;fd00::5;10.0.0.6;fd00::6",
	    "255.255.255.0;/64;255.255.0.0;48",
	    "10.0.0.1;fd00::1;10.0.0.2", "1.1.1.1;2606:4700::1111"));
	ATF_CHECK_STREQ("hostname=\"guest\"\n"
	    "ifconfig_hn1=\"DHCP\"\n"
	    "ifconfig_hn0=\"inet 10.0.0.5 netmask 255.255.255.0\"\n"
	    "ifconfig_hn0_ipv6=\"inet6 fd00::5 prefixlen 64\"\n"
	    "ifconfig_hn0_alias0=\"inet 10.0.0.6 netmask 255.255.0.0\"\n"
	    "ifconfig_hn0_alias1=\"inet6 fd00::6 prefixlen 48\"\n"
	    "defaultrouter=\"10.0.0.1\"\n"
	    "ipv6_defaultrouter=\"fd00::1\"\n"
	    "route_hv1_hn0=\"default 10.0.0.2\"\n"
	    "static_routes=\"hv1_hn0\"\n", read_file("r/etc/rc.conf"));
	expect("r/etc/resolvconf.conf",
	    "name_servers=\"1.1.1.1 2606:4700::1111\"\n");
	ATF_CHECK_STREQ("nameserver 1.1.1.1\nnameserver 2606:4700::1111\n",
	    read_file("r/etc/resolv.conf"));
	has_address("10.0.0.5/24", true);
	has_address("10.0.0.6/16", true);
	has_address("fd00::5/64", true);
	has_address("fd00::6/48", true);
	has_address("10.1.1.1/8", false);
	expect("r/argv", "ifconfig <hn0> <inet> <10.0.0.5> <netmask> "
	    "<255.255.255.0> <alias>\n");
	expect("r/argv", "ifconfig <hn0> <inet> <10.1.1.1> <-alias>\n");
	expect("r/argv", "<ifconfig_hn0=inet 10.0.0.5 netmask "
	    "255.255.255.0>");
	expect("r/argv", "service <dhclient> <stop> <hn0>\n");
	/* What was set is what is reported. */
	ATF_REQUIRE_EQ(HV_KVP_S_OK, get(MAC));
	ATF_CHECK_EQ(0, got.dhcp_enabled);
	ATF_CHECK_EQ(3, got.addr_family);
	ATF_CHECK(strstr((char *)got.ip_addr, "10.0.0.5;") != NULL);
	ATF_CHECK(strstr((char *)got.sub_net, "255.255.0.0") != NULL);
	ATF_CHECK(strstr((char *)got.gate_way, "10.0.0.1") != NULL);
	ATF_CHECK_STREQ("1.1.1.1;2606:4700::1111", (char *)got.dns_addr);
	for (lines = 0, p = read_file("r/argv"); (p = strchr(p, '\n')) != NULL;
	    p++)
		lines++;
	printf("figure: net.staticip 4 addresses of 2 families, 3 gateways, "
	    "2 servers by %d programs, no shell\n", lines);
}

CASE(again, "Set again: nothing is left of the first; one family alone", "")
{
	setup();
	ATF_REQUIRE_EQ(HV_KVP_S_OK, set(3, false, MAC,
	    "10.0.0.5;10.0.0.6;10.0.0.7", "24;24;24", "10.0.0.1;10.0.0.2",
	    ""));
	ATF_REQUIRE_EQ(HV_KVP_S_OK, set(1, false, MAC, "10.0.0.6", "24",
	    "10.0.0.3", ""));
	ATF_CHECK(strstr(read_file("r/etc/rc.conf"), "10.0.0.5") == NULL);
	ATF_CHECK(strstr(read_file("r/etc/rc.conf"), "alias") == NULL);
	ATF_CHECK(strstr(read_file("r/etc/rc.conf"), "10.0.0.2") == NULL);
	sh("test \"$(ip route show default | wc -l)\" = 1");
	sh("ip route show default | grep -q 'via 10.0.0.3'");
	expect("r/etc/rc.conf", "static_routes=\"\"\n");
	expect("r/etc/rc.conf", "defaultrouter=\"10.0.0.3\"\n");
	has_address("10.0.0.5/24", false);
	has_address("10.0.0.6/24", true);
	/* IPv6 alone: IPv4 stays as it is, its aliases are numbered anew. */
	write_file("r/etc/rc.conf", RC_BEFORE);
	ATF_REQUIRE_EQ(HV_KVP_S_OK, set(2, false, MAC, "fd00::1;fd00::2",
	    "64;64", "", ""));
	expect("r/etc/rc.conf", "ifconfig_hn0=\"DHCP\"\n");
	expect("r/etc/rc.conf", "ifconfig_hn0_ipv6=\"inet6 fd00::1 prefixlen "
	    "64\"\n");
	expect("r/etc/rc.conf", "ifconfig_hn0_alias0=\"inet6 fd00::2 "
	    "prefixlen 64\"\n");
	expect("r/etc/rc.conf", "ifconfig_hn0_alias1=\"inet 10.9.9.9 netmask "
	    "255.0.0.0\"\n");
	has_address("10.0.0.6/24", true);
}

CASE(link_local, "A gateway that is link-local gets the interface's name", "")
{
	setup();
	ATF_REQUIRE_EQ(HV_KVP_S_OK, set(2, false, MAC, "fd00::5", "64",
	    "fe80::1%12;fe80::2", ""));
	expect("r/etc/rc.conf", "ipv6_defaultrouter=\"fe80::1%hn0\"\n");
	expect("r/etc/rc.conf", "ipv6_route_hv1_hn0=\"default "
	    "fe80::2%hn0\"\n");
	expect("r/etc/rc.conf", "ipv6_static_routes=\"hv1_hn0\"\n");
	expect("r/argv", "route <-n> <add> <-inet6> <default> <fe80::1%hn0>\n");
	sh("ip -6 route show default | grep -q 'via fe80::1 dev hn0'");
	ATF_REQUIRE_EQ(HV_KVP_S_OK, set(2, false, MAC, "fd00::5", "64",
	    "fd00::1", ""));
	ATF_CHECK(strstr(read_file("r/etc/rc.conf"), "fe80") == NULL);
}

CASE(dhcp, "To DHCP and back", "")
{
	setup();
	ATF_REQUIRE_EQ(HV_KVP_S_OK, set(1, true, MAC, "", "", "", ""));
	expect("r/etc/rc.conf", "ifconfig_hn0=\"DHCP\"\n");
	expect("r/argv", "service <dhclient> <restart> <hn0>\n");
	ATF_CHECK(strstr(read_file("r/etc/rc.conf"), "10.9.9.9") == NULL);
	ATF_REQUIRE_EQ(HV_KVP_S_OK, get(MAC));
	ATF_CHECK_EQ(1, got.dhcp_enabled);
	ATF_REQUIRE_EQ(HV_KVP_S_OK, set(2, true, MAC, "", "", "", ""));
	expect("r/etc/rc.conf", "ifconfig_hn0_ipv6=\"inet6 accept_rtadv\"\n");
}

CASE(rollback, "Whatever program fails, files and interface are as before", "")
{
	static const char *const fails[] = { "sysrc", "ifconfig",
	    "route add", "resolvconf", "ifconfig fd00::5", "ifconfig up",
	    "ifconfig -alias", "sysrc -x",
	    "sysrc name_servers=1.1.1.1" };
	char before[4096];
	size_t i;

	setup();
	sh("ip -o addr show dev hn0 | sed 's/valid_lft.*//' >before; "
	    "ip route >>before");
	strcpy(before, read_file("before"));
	sh("chmod 640 r/etc/rc.conf");
	for (i = 0; i < sizeof(fails) / sizeof(fails[0]); i++) {
		write_file("r/fail", fails[i]);
		ATF_CHECK_EQ_MSG(HV_KVP_E_FAIL, set(3, false, MAC,
		    "10.0.0.5;fd00::5", "24;64", "10.0.0.1;10.0.0.2",
		    "1.1.1.1"), "%s", fails[i]);
		ATF_CHECK_STREQ(RC_BEFORE, read_file("r/etc/rc.conf"));
		sh("test \"$(stat -c %a r/etc/rc.conf)\" = 640");
		ATF_CHECK_STREQ("nameserver 9.9.9.9\n",
		    read_file("r/etc/resolv.conf"));
		ATF_CHECK(access("r/etc/resolvconf.conf", F_OK) != 0);
		ATF_CHECK_MSG(access("r/fail", F_OK) != 0, "%s was not run",
		    fails[i]);
		sh("ip -o addr show dev hn0 | sed 's/valid_lft.*//' >after; "
		    "ip route >>after");
		ATF_CHECK_STREQ(before, read_file("after"));
	}
}

CASE(hostile, "Text that is no address runs nothing and changes nothing", "")
{
	static const char *const bad[] = { "10.0.0.5;`touch pwned`",
	    "$(touch pwned)", "10.0.0.5\"; touch pwned; \"",
	    "10.0.0.5 netmask 0.0.0.0 -alias", "-alias", "10.0.0.5\ntouch",
	    "' || touch pwned || '" };
	size_t i;

	setup();
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ATF_CHECK_EQ(HV_KVP_E_INVALIDARG, set(3, false, MAC, bad[i],
		    "24;24;24;24;24", "", ""));
		ATF_CHECK_EQ(HV_KVP_E_INVALIDARG, set(3, false, MAC,
		    "10.0.0.5", bad[i], "", ""));
		ATF_CHECK_EQ(HV_KVP_E_INVALIDARG, set(3, false, MAC,
		    "10.0.0.5", "24", bad[i], ""));
		ATF_CHECK_EQ(HV_KVP_E_INVALIDARG, set(3, false, MAC,
		    "10.0.0.5", "24", "", bad[i]));
		ATF_CHECK_EQ(HV_KVP_E_NOT_FOUND, set(3, false, bad[i],
		    "10.0.0.5", "24", "", ""));
	}
	ATF_CHECK_EQ(HV_KVP_E_NOT_FOUND, set(3, false, "00:15:5D:01:02:04",
	    "10.0.0.5", "24", "", ""));
	ATF_CHECK_EQ(HV_KVP_E_NOT_FOUND, get("hn0"));
	ATF_CHECK_EQ(HV_KVP_E_NOT_FOUND, get(""));
	ATF_CHECK(access("r/argv", F_OK) != 0);
	ATF_CHECK(access("pwned", F_OK) != 0);
	ATF_CHECK_STREQ(RC_BEFORE, read_file("r/etc/rc.conf"));
	/* An administrator's alias that a shell would expand is not moved. */
	write_file("r/etc/rc.conf", "ifconfig_hn0_alias0=\"inet `date`\"\n");
	ATF_CHECK_EQ(HV_KVP_E_FAIL, set(2, false, MAC, "fd00::1;fd00::2",
	    "64;64", "", ""));
	ATF_CHECK_STREQ("ifconfig_hn0_alias0=\"inet `date`\"\n",
	    read_file("r/etc/rc.conf"));
}

CASE(questions, "Names and addresses, none of them of the loopback", "")
{
	struct netconf_msg m;

	setup();
	sh("ip addr add 127.0.0.9/8 dev lo; ip addr add fd00::7/64 dev hn0 "
	    "nodad");
	memset(&m, 0, sizeof(m));
	m.op = NETCONF_ADDRESSES4;
	ATF_REQUIRE(helper_ask(&h, &m, 10));
	ATF_CHECK_STREQ("10.1.1.1", m.u.text);
	m.op = NETCONF_ADDRESSES6;
	ATF_REQUIRE(helper_ask(&h, &m, 10));
	ATF_CHECK(strstr(m.u.text, "fd00::7") != NULL);
	ATF_CHECK(strstr(m.u.text, "::1;") == NULL);
	m.op = NETCONF_FQDN;
	ATF_REQUIRE(helper_ask(&h, &m, 10));
	ATF_CHECK(m.u.text[0] != '\0' && strchr(m.u.text, '\n') == NULL);
	m.op = 77;
	ATF_REQUIRE(helper_ask(&h, &m, 10));
	ATF_CHECK_EQ(HV_KVP_E_NOT_SUPPORTED, m.status);
	/* A short message ends the helper, and we notice. */
	ATF_REQUIRE_EQ(4, send(h.fd, "junk", 4, 0));
	ATF_CHECK(!helper_ask(&h, &m, 10));
	ATF_CHECK_EQ(-1, h.fd);
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, two_families);
	ATF_TP_ADD_TC(tp, again);
	ATF_TP_ADD_TC(tp, link_local);
	ATF_TP_ADD_TC(tp, dhcp);
	ATF_TP_ADD_TC(tp, rollback);
	ATF_TP_ADD_TC(tp, hostile);
	ATF_TP_ADD_TC(tp, questions);
	return (atf_no_error());
}
