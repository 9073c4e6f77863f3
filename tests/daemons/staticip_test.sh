# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# Addresses that the host sets through the whole stack: hvk ctl ip set, VMBus,
# hv_utils.ko, hv_kvp_daemon(8), hv_netconf and stand-ins for FreeBSD's
# programs, on hn0 of hn(4), which is a tap in a namespace of its own.  That
# they are right is seen by packets: from hn0 through hn(4), VMBus and the host's
# adapter to another namespace and back.

ENGINE=kld

daemons=$top/build/daemons
a=hvkdm-a-$$ b=hvkdm-b-$$

clean() {
	for ns in $a $b; do
		ip netns pids $ns 2>/dev/null | xargs -r kill -9 2>/dev/null || true
		ip netns del $ns 2>/dev/null || true
	done
}

start() {
	[ "$(id -u)" = 0 ] || atf_skip "needs root, for network namespaces"
	[ -c /dev/net/tun ] || atf_skip "needs /dev/net/tun"
	clean
	ip netns add $a 2>netns.err || atf_skip "no network namespaces: $(cat netns.err)"
	ip netns add $b
	vm_launch vm --env kldrun.tap.hn0=hn0,netns=$a -o net.0.backend=tap \
	    -o net.0.ifname=hvkdmh0 -o net.0.netns=$b
	wait_for 60 "hn0" ip -n $a link show hn0 && wait_for 60 "the device" \
	    test -S vm/dev/hv_kvp_dev || give_up "no hn0"
	ip -n $b addr add 10.88.0.1/24 dev hvkdmh0
	ip -n $b addr add fd88::1/64 dev hvkdmh0 nodad
	ip -n $b link set hvkdmh0 up
	ip -n $a link set lo up
	# As FreeBSD: without the first address of a network the others stay.
	ip netns exec $a sh -c \
	    'echo 1 >/proc/sys/net/ipv4/conf/all/promote_secondaries'
	mkdir -p r/sbin r/usr/sbin r/etc
	for p in sbin/ifconfig sbin/route sbin/resolvconf usr/sbin/sysrc \
	    usr/sbin/service; do
		cp "$top/tests/daemons/standin/record.sh" r/$p
	done
	printf 'hostname="guest"\nifconfig_hn0="DHCP"\n' >r/etc/rc.conf
	ip netns exec $a "$daemons/hv_kvp_daemon" -n -P "$PWD/kvp.pid" \
	    -D "$PWD/pool" -f vm/dev/hv_kvp_dev -k vm -R "$PWD/r" \
	    >kvp.log 2>&1 &
	daemon=$!
	wait_for 10 "the daemon" ctl vm kvp list pool=0 || give_up "no daemon"
}

give_up() {
	vm_report vm
	cat kvp.log >&2
	vm_kill vm
	clean
	atf_fail "$1"
}
must() { "$@" >must.out 2>&1 || { cat must.out >&2; give_up "failed: $*"; }; }
must_not() { ! "$@" >must.out 2>&1 || give_up "succeeded: $*"; }

finish() {
	kill $daemon
	wait $daemon || give_up "the daemon ended with $?"
	vm_stop vm
	clean
}

new_case packets "set by the host, on the adapter with its id, and packets pass" net.staticip
packets_body() {
	start
	ms=$(now_ms)
	must ctl vm ip set net0 'addresses=10.88.0.5;fd88::5;10.88.0.6' \
	    'masks=255.255.255.0;64;255.255.255.0' \
	    'gateways=10.88.0.1;fd88::1' 'dns=10.88.0.1'
	ms=$(($(now_ms) - ms))
	for to in 10.88.0.5 10.88.0.6 fd88::5; do
		wait_for 20 "an answer of $to" ip netns exec $b ping -c 1 -W 1 $to ||
		    give_up "$to does not answer"
	done
	must ip netns exec $a ping -c 1 -W 5 10.88.0.1
	ip -n $a route show default | grep -q 'via 10.88.0.1' || give_up gateway
	# The host is told what was set.
	ctl vm --json ip get net0 >ip.json || give_up "ip get"
	jq -e '.ip.addresses | contains("10.88.0.5") and contains("fd88::5")' \
	    ip.json >/dev/null || give_up "$(cat ip.json)"
	jq -e '.ip.gateways | contains("10.88.0.1")' ip.json >/dev/null ||
	    give_up "$(cat ip.json)"
	jq -e '.ip.dhcp == false and .ip.dns == "10.88.0.1"' ip.json \
	    >/dev/null || give_up "$(cat ip.json)"
	grep -qx 'ifconfig_hn0="inet 10.88.0.5 netmask 255.255.255.0"' \
	    r/etc/rc.conf || give_up "rc.conf: $(cat r/etc/rc.conf)"
	grep -qx 'ifconfig_hn0_ipv6="inet6 fd88::5 prefixlen 64"' \
	    r/etc/rc.conf || give_up "rc.conf: $(cat r/etc/rc.conf)"
	# Another address takes its place.
	must ctl vm ip set net0 addresses=10.88.0.9 masks=24 gateways=10.88.0.1
	wait_for 20 "10.88.0.9" ip netns exec $b ping -c 1 -W 1 10.88.0.9 ||
	    give_up "10.88.0.9 does not answer"
	must_not ip netns exec $b ping -c 1 -W 1 10.88.0.5
	must ip netns exec $b ping -c 1 -W 5 fd88::5
	finish
	echo "figure: net.staticip IPv4 and IPv6 set in $ms ms, pings pass, $(wc -l <r/argv) programs by argv, 0 shells"
}

new_case refused "a failure puts all back; nonsense runs nothing; no such adapter"
refused_body() {
	start
	must ctl vm ip set net0 addresses=10.88.0.5 masks=24 gateways=10.88.0.1
	cp r/etc/rc.conf before
	echo "route add" >r/fail
	must_not ctl vm ip set net0 'addresses=10.88.0.7' masks=24 \
	    'gateways=10.88.0.2;10.88.0.3'
	cmp before r/etc/rc.conf || give_up "rc.conf is not put back"
	wait_for 20 "the old address" ip netns exec $b ping -c 1 -W 1 10.88.0.5 ||
	    give_up "10.88.0.5 is gone"
	must_not ip netns exec $b ping -c 1 -W 1 10.88.0.7
	# Nonsense is refused by the host, or by us, or left out by either: no
	# byte of it is ever an argument or in a file.
	for bad in '10.88.0.5;`reboot`' '$(touch pwned).1' '10.88.0.5 -arp'; do
		ctl vm ip set net0 "addresses=$bad" 'masks=24;24;24' \
		    gateways=10.88.0.1 >/dev/null 2>&1 || true
		ctl vm ip set net0 addresses=10.88.0.5 masks=24 \
		    gateways=10.88.0.1 "dns=$bad" >/dev/null 2>&1 || true
	done
	must_not ctl vm ip set '{00000000-0000-0000-0000-000000000000}' \
	    addresses=10.88.0.7 masks=24
	must_not grep -rE 'reboot|touch|-arp' r/etc r/argv
	[ ! -e pwned ] || give_up pwned
	must ctl vm ip set net0 dhcp=yes
	grep -qx 'ifconfig_hn0="DHCP"' r/etc/rc.conf || give_up "no DHCP"
	finish
}

atf_init_test_cases() { add_cases; }
