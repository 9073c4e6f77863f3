/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * iface_test.c: runs kldrun with the module nettest.ko: what mbuf(9) and
 * ifnet(9) do, `kldrun ifconfig', and the tap by which an interface is reached
 * from Linux.
 */

#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>

#include <atf-c.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char output[65536];

static int
run(const char *fmt, const char *arg)
{
	char cmd[2048];
	size_t n;
	FILE *f;
	int status;

	n = (size_t)snprintf(cmd, sizeof(cmd), "timeout 60 " KLDRUN " ");
	snprintf(cmd + n, sizeof(cmd) - n, fmt, arg);
	strncat(cmd, " 2>&1", sizeof(cmd) - strlen(cmd) - 1);
	f = popen(cmd, "r");
	ATF_REQUIRE(f != NULL);
	n = fread(output, 1, sizeof(output) - 1, f);
	output[n] = '\0';
	status = pclose(f);
	ATF_REQUIRE_MSG(WIFEXITED(status), "kldrun died: %s", output);
	return (WEXITSTATUS(status));
}

static void
expect(const char *text)
{
	ATF_CHECK_MSG(strstr(output, text) != NULL, "no '%s' in:\n%s", text,
	    output);
}

#define	CASE(name, text)						\
ATF_TC(name);								\
ATF_TC_HEAD(name, tc)							\
{									\
	atf_tc_set_md_var(tc, "descr", text);				\
}									\
ATF_TC_BODY(name, tc)

CASE(interfaces, "mbufs, LRO, buffer rings and the network epoch")
{
	ATF_CHECK_EQ(0, run("--once " MODDIR "/nettest.ko", ""));
	expect("nettest0: chains ok\n");
	expect("nettest0: storage ok\n");
	expect("nettest0: checksum ok\n");
	expect("nettest0: lro ok\n");
	expect("nettest0: rings ok\n");
	expect("nettest0: epoch ok\n");
	expect("nt0: Ethernet address: 02:00:00:00:00:07\n");
	expect("kldrun: nothing leaked: ");
}

CASE(leak, "An mbuf that a module keeps is named, with its caller")
{
	ATF_CHECK_EQ(5, run("--once --env hw.nettest.leak=1 " MODDIR
	    "/nettest.ko", ""));
	expect("mbuf                    1 allocation         256 bytes by "
	    "nettest.ko`");
	expect("mbuf_cluster            1 allocation        2048 bytes");
}

CASE(twice, "An mbuf that is freed twice is a panic")
{
	ATF_CHECK_EQ(3, run("--once --env hw.nettest.twice=1 " MODDIR
	    "/nettest.ko", ""));
	expect("is free already; last allocated by nettest.ko`");
}

static pid_t
start(const char *tap)
{
	char spec[128];
	pid_t pid;
	int i;

	snprintf(spec, sizeof(spec), "kldrun.tap.nt0=%s", tap);
	pid = fork();
	ATF_REQUIRE(pid >= 0);
	if (pid == 0) {
		execl(KLDRUN, KLDRUN, "--dir", "run", "--env", spec,
		    MODDIR "/nettest.ko", (char *)NULL);
		_exit(127);
	}
	for (i = 0; i < 1200 && access("run/kld.sock", F_OK) != 0; i++)
		usleep(50000);
	return (pid);
}

static void
stop(pid_t pid)
{
	int status;

	kill(pid, SIGTERM);
	ATF_REQUIRE_EQ(pid, waitpid(pid, &status, 0));
	ATF_CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

#define	IFCONFIG(args)	run("--dir run ifconfig %s", args)

CASE(ifconfig, "kldrun ifconfig shows and sets, and says what it cannot")
{
	pid_t pid;

	pid = start("");
	ATF_CHECK_EQ(0, IFCONFIG("nt0 up mtu 9000 ether 02:00:00:00:00:99"));
	ATF_CHECK_EQ(0, IFCONFIG("nt0 -lro vlanhwtag addm 01:00:5e:00:00:fb"));
	ATF_CHECK_EQ(0, IFCONFIG("nt0"));
	expect("nt0: flags=");
	expect("<UP,BROADCAST,RUNNING,SIMPLEX,MULTICAST> metric 0 mtu 9000");
	expect("<VLAN_HWTAGGING>");
	expect("ether 02:00:00:00:00:99");
	expect("media: Ethernet autoselect (10000Mb/s <full-duplex>)");
	expect("status: active");
	expect("group 01:00:5e:00:00:fb");
	ATF_CHECK_EQ(1, IFCONFIG("nt0 mtu 9001"));
	expect("ifconfig: nt0: 9001: Invalid argument");
	ATF_CHECK_EQ(1, IFCONFIG("nt0 mtu many"));
	ATF_CHECK_EQ(1, IFCONFIG("nt0 nonsense"));
	expect("ifconfig: nonsense: bad value");
	ATF_CHECK_EQ(1, IFCONFIG("nt0 txcsum"));
	ATF_CHECK_EQ(1, IFCONFIG("hn9"));
	expect("interface hn9 does not exist");
	stop(pid);
}

static int
packet_socket(const char *name)
{
	struct sockaddr_ll sll = { .sll_family = AF_PACKET,
	    .sll_protocol = htons(0x88b5) };
	int s;

	s = socket(AF_PACKET, SOCK_RAW, htons(0x88b5));
	ATF_REQUIRE(s >= 0);
	sll.sll_ifindex = (int)if_nametoindex(name);
	ATF_REQUIRE(sll.sll_ifindex != 0);
	ATF_REQUIRE_EQ(0, bind(s, (struct sockaddr *)&sll, sizeof(sll)));
	return (s);
}

/* One frame there and back; the packet socket sees what it sent as well. */
static void
bounce(int s, const uint8_t *frame, size_t len)
{
	struct pollfd p = { s, POLLIN, 0 };
	struct sockaddr_ll from;
	socklen_t fromlen;
	uint8_t buf[16384];
	ssize_t n;

	ATF_REQUIRE_EQ((ssize_t)len, send(s, frame, len, 0));
	do {
		ATF_REQUIRE_MSG(poll(&p, 1, 10000) == 1,
		    "a frame of %zu bytes did not come back", len);
		fromlen = sizeof(from);
		n = recvfrom(s, buf, sizeof(buf), 0,
		    (struct sockaddr *)&from, &fromlen);
	} while (n >= 0 && from.sll_pkttype == PACKET_OUTGOING);
	ATF_REQUIRE_MSG(n == (ssize_t)len && memcmp(buf, frame, len) == 0,
	    "%zu bytes sent, %zd came back or differ", len, n);
}

CASE(tap, "Frames of all sizes through the tap; what Linux sets reaches us")
{
	uint8_t frame[9014];
	pid_t pid;
	size_t i, len;
	int s;

	if (geteuid() != 0 || access("/dev/net/tun", R_OK | W_OK) != 0)
		atf_tc_skip("needs root and /dev/net/tun");
	if (unshare(CLONE_NEWNET) != 0)
		atf_tc_skip("cannot make a network namespace");
	pid = start("nttap");
	ATF_CHECK_EQ(0, IFCONFIG("nt0 up mtu 9000"));
	s = packet_socket("nttap");
	for (i = 0; i < sizeof(frame); i++)
		frame[i] = (uint8_t)(i * 11 + (i >> 8));
	memset(frame, 0xff, 6);
	frame[12] = 0x88;
	frame[13] = 0xb5;
	for (len = 60; len <= sizeof(frame); len += len < 1600 ? 7 : 211)
		bounce(s, frame, len);
	bounce(s, frame, sizeof(frame));
	close(s);
	/* What Linux sets reaches the driver. */
	ATF_CHECK_EQ(0, system("ip link set nttap mtu 1400 promisc on && "
	    "ip link set nttap address 02:00:00:00:00:55"));
	for (i = 0; i < 1200; i++) {
		ATF_CHECK_EQ(0, IFCONFIG("nt0"));
		if (strstr(output, "mtu 1400") != NULL &&
		    strstr(output, "PROMISC") != NULL &&
		    strstr(output, "ether 02:00:00:00:00:55") != NULL)
			break;
		usleep(50000);
	}
	expect("PROMISC");
	expect("mtu 1400");
	expect("ether 02:00:00:00:00:55");
	/* And what the driver refuses is put back. */
	ATF_CHECK_EQ(0, system("ip link set nttap mtu 20000"));
	for (i = 0; i < 1200 && system("ip link show nttap | "
	    "grep -q 'mtu 1400'") != 0; i++)
		usleep(50000);
	ATF_CHECK(i < 1200);
	stop(pid);
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, interfaces);
	ATF_TP_ADD_TC(tp, leak);
	ATF_TP_ADD_TC(tp, twice);
	ATF_TP_ADD_TC(tp, ifconfig);
	ATF_TP_ADD_TC(tp, tap);
	return (atf_no_error());
}
