# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# net.sh: the network part of "make run", read by run.sh: two network namespaces
# that meet only by hn(4) in kldrun and the host's adapter.

net=$work/net
net_a=hvkrun-a-$$ net_b=hvkrun-b-$$

in_a() { ip netns exec $net_a "$@"; }
in_b() { ip netns exec $net_b "$@"; }

net_clean() {
	for ns in $net_a $net_b; do
		ip netns pids $ns 2>/dev/null | xargs -r kill -9 2>/dev/null || true
		ip netns del $ns 2>/dev/null || true
	done
}

net_there() {
	ip -n $net_a link show hvkg0 && ip -n $net_b link show hvkh0 &&
	    guest_ifconfig hn0 | grep 'status: active'
}

guest_ifconfig() { timeout 60 "$KLDRUN" --dir "$net" ifconfig "$@"; }

net_up() {
	wait_for 60 "hn0" net_there || { vm_report "$net"; fail "no hn0"; }
	ip -n $net_a addr replace 10.77.0.1/24 dev hvkg0
	ip -n $net_b addr replace 10.77.0.2/24 dev hvkh0
	ip -n $net_b link set hvkh0 mtu 9202 up
	ip -n $net_a link set hvkg0 up
	wait_for 20 "an answer" in_a ping -c 1 -W 1 10.77.0.2 ||
	    { vm_report "$net"; fail "nothing goes through hn0"; }
}

# net_rate option...: bit/s that arrived
net_rate() {
	in_a timeout 60 iperf3 -c 10.77.0.2 -t 2 -J "$@" >"$work/iperf.json" ||
	    fail "iperf3: $work/iperf.json"
	jq '.end.sum_received.bits_per_second | floor' "$work/iperf.json"
}

gbit() { awk -v r="$1" 'BEGIN { printf "%.1f Gbit/s", r / 1e9 }'; }

net_frames() {
	build/tests/net/frames "$@" $net_a hvkg0 $net_b hvkh0 \
	    >"$work/frames.out" 2>&1 || { cat "$work/frames.out"; fail "frames"; }
	sed 's/^/   /' "$work/frames.out"
}

network() {
	step "the network: namespace, tap, hn(4), hv_netvsc.ko, VMBus, host, tap, namespace"
	net_clean
	if [ "$(id -u)" != 0 ] || [ ! -c /dev/net/tun ] ||
	    ! ip netns add $net_a 2>/dev/null || ! in_a true 2>/dev/null; then
		net_clean
		say "left out: it needs root, /dev/net/tun and network namespaces"
		return
	fi
	ip netns add $net_b
	vm_launch "$net" -o net.0.guest=hvkg0,netns=$net_a \
	    -o net.0.backend=tap -o net.0.ifname=hvkh0 -o net.0.netns=$net_b \
	    -o net.0.mtu=9202
	net_up
	guest_ifconfig hn0 | sed -n '/capabilities\|group/d; s/^/   guest: /p'
	in_a ping -c 3 -i 0.2 -W 5 10.77.0.2 | sed -n 's/^/   /; /bytes from\|loss/p'
	in_b iperf3 -s >"$work/server.log" 2>&1 &
	wait_for 10 "iperf3" in_b sh -c 'ss -ltn | grep -q :5201'
	out=$(net_rate)
	in=$(net_rate -R)
	say "iperf3: $(gbit "$out") out, $(gbit "$in") in"
	net_frames -n 10000
	n=$(sed 's/ frames.*//' "$work/frames.out")
	proof net.basic "TCP $(gbit "$out") out, $(gbit "$in") in; $n frames compared" "iperf3 and frames"
	net_frames -n 5000 -k vw
	proof net.vlan "$(sed 's/ frames.*//' "$work/frames.out") frames with tags 1 to 4094" "frames"
	say "the MTU: 1500, 9000, one that the host does not take, 9000"
	guest_ifconfig hn0 mtu 9000
	! guest_ifconfig hn0 mtu 12000 >/dev/null || fail "an MTU of 12000"
	in_a ping -q -c 1 -W 5 -M do -s 8972 10.77.0.2 >/dev/null || fail "9000 bytes"
	jumbo=$(net_rate)
	proof net.jumbo "$(gbit "$jumbo") at 9000, refused above 9202" "kldrun ifconfig"
	net_hotplug
	vm_stop "$net"
	net_clean
}

net_hotplug() {
	say "pulled out and plugged in $cycles times under iperf3"
	for i in $(seq "$cycles"); do
		in_a timeout 60 iperf3 -c 10.77.0.2 -t 30 >"$work/load.log" 2>&1 &
		load=$!
		sleep 0.2
		ctl "$net" nic remove net0 >/dev/null
		wait_for 30 "hn0 gone" sh -c "! '$KLDRUN' --dir '$net' ifconfig hn0" ||
		    fail "hn0 stayed (cycle $i)"
		kill $load 2>/dev/null || true
		wait $load || true
		ctl "$net" nic add "tap:hvkh0,netns=$net_b,mtu=9202" >/dev/null
		net_up
	done
	net_frames -n 1000
	proof net.hotplug "$cycles cycles under iperf3" "nic add and remove"
}
