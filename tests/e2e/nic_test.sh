# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# Adapters from the host's side, under hn(4): the words of hvk ctl nic, plugging
# and link changes under traffic, libslirp with DHCP and a web server here, two
# guests joined, captures that tcpdump reads.  Two namespaces are joined only
# through the host and the guest: the host's tap is in one, the tap that stands
# for the guest's hn0 in the other.

VM_WAIT=

out=hvkn$$-out	# the network outside
in=hvkn$$-in	# the guest's own stack

root_only() {
	[ "$(id -u)" -eq 0 ] || atf_skip "needs root for taps and namespaces"
	[ -e /dev/net/tun ] || atf_skip "needs /dev/net/tun"
}

# net_space NAME...
net_space() {
	for _ns; do
		ip netns add "$_ns" || atf_fail "cannot make a namespace"
		ip -n "$_ns" link set lo up
		echo "$_ns" >>spaces
	done
}

net_clean() {
	[ ! -f spaces ] || while read -r _ns; do
		ip netns pids "$_ns" 2>/dev/null | xargs -r kill 2>/dev/null
		ip netns del "$_ns" 2>/dev/null
	done <spaces
	for _pid in */pid pids; do
		[ ! -f "$_pid" ] || xargs -r kill <"$_pid" 2>/dev/null
	done
	true
}

# nic_case NAME DESCRIPTION [FEATURE...]: a case that leaves no namespace.
nic_case() {
	new_case "$@"
	atf_test_case "$1" cleanup
	eval "${1}_cleanup() { net_clean; }"
}

link_there() { ip -n "$1" link show "$2"; }
link_gone() { ! link_there "$@"; }
link_up() { ip -n "$1" link show "$2" | grep -q LOWER_UP; }
link_down() { ! link_up "$1" "$2"; }
has_mac() { ip -n "$1" link show "$2" | grep -qi "$3"; }

# guest_if NS NAME ADDRESS: wait for the guest's interface and give it one.
guest_if() {
	wait_for 20 "$2 in $1" link_there "$1" "$2" || { vm_report vm; fail "no $2"; }
	ip -n "$1" addr replace "$3" dev "$2"
	ip -n "$1" link set "$2" up
}

# vm_net DIR NIC [option...]: a guest whose hn0 is the tap hn0 in $in.
vm_net() {
	_d=$1
	_nic=$2
	shift 2
	net_space "$out" "$in"
	vm_launch "$_d" --env "kldrun.tap.hn0=hn0,netns=$in" --nic "$_nic" "$@"
	wait_for 20 "the command socket" test -S "$_d/hvk.sock" || vm_report "$_d"
	guest_if "$in" hn0 10.99.0.2/24
}

# Addresses on whatever interfaces there are now, and an answer.
reach() {
	ip -n "$out" addr replace 10.99.0.1/24 dev nic
	ip -n "$in" addr replace 10.99.0.2/24 dev hn0 && ip -n "$in" link set hn0 up
	ip -n "$out" neigh flush dev nic
	ip netns exec "$out" ping -c 1 -W 0.2 10.99.0.2
}

outside() {
	_left=100
	until reach >/dev/null 2>&1; do
		_left=$((_left - 1))
		[ $_left -gt 0 ] || { vm_report vm; fail "no answer from the guest"; }
		sleep 0.1
	done
}

counter() { ctl "$1" --json nic stat net0 | jq ".net0.$2"; }
more_than() { [ "$(counter vm tx_frames)" -gt "$1" ]; }

nic_case words "the words of hvk ctl nic, and what they refuse"
words_body() {
	root_only
	vm_net vm "tap:nic,netns=$out,mac=02:00:00:00:10:01"
	outside
	atf_check -o match:'net0 +tap +02:00:00:00:10:01 +up +none +1500' -x \
	    "$HVK ctl --dir vm nic list | tr -s ' '; true"
	atf_check -o match:'^  rx_frames +[1-9]' "$HVK" ctl --dir vm nic stat net0
	[ "$(ctl vm --json nic list | jq -r '.nics[0].phase')" = ready ] ||
	    atf_fail "not ready"
	[ "$(ctl vm --json info | jq -r '.devices[] | select(.name == "net0") |
	    .filter')" != nothing ] || atf_fail "info shows no filter"
	for bad in 'link net9 up' 'link net0 sideways' 'vlan net0 4095' \
	    'vlan net0 trunk:9-1' 'mac net0 01:00:00:00:00:01' 'mac net0 x' \
	    'offload net0 magic' 'add tap:nic,queues=99' 'add ftp' \
	    'add slirp,name=eth0' 'add slirp,mtu=100' 'remove net7' \
	    'capture net0 /nonexistent/x' 'add slirp,name=net0' 'fly'; do
		# shellcheck disable=SC2086 # words
		if ctl vm nic $bad >bad.out 2>bad.err; then
			atf_fail "'nic $bad' was taken"
		fi
		[ "$(wc -l <bad.err)" -eq 1 ] || atf_fail "'$bad': $(cat bad.err)"
	done
	# A MAC that the guest cannot know without a new adapter.
	ctl vm nic mac net0 02:00:00:00:10:02 >/dev/null || atf_fail "mac"
	wait_for 20 "the new address" has_mac "$in" hn0 02:00:00:00:10:02 ||
	    { vm_report vm; atf_fail "the guest did not take the new address"; }
	# Less of what it may use.
	ctl vm nic offload net0 csum+rxcsum >/dev/null || atf_fail "offload"
	outside
	vm_stop vm
}

nic_case plugging "adapters come and go under traffic" "net.hotplug"
plugging_body() {
	root_only
	vm_net vm "tap:nic,netns=$out,queues=2" --cpus 2
	outside
	cycles=${HVK_NIC_CYCLES:-20}
	i=0
	while [ $i -lt $cycles ]; do
		ip netns exec "$out" ping -f -q -w 60 10.99.0.2 >/dev/null 2>&1 &
		flood=$!
		wait_for 20 "the flood" more_than \
		    $(($(counter vm tx_frames) + 100)) || atf_fail "no flood"
		ctl vm nic remove net0 >/dev/null || atf_fail "remove $i"
		wait_for 20 "hn0 to go" link_gone "$in" hn0 ||
		    { vm_report vm; atf_fail "hn0 stayed"; }
		ctl vm nic add "tap:nic,netns=$out,queues=2,name=net0" >/dev/null ||
		    atf_fail "add $i"
		outside
		kill $flood 2>/dev/null
		wait $flood
		i=$((i + 1))
	done
	# One more beside it, with a name of its own.
	ctl vm nic add slirp >/dev/null || atf_fail "add another"
	[ "$(ctl vm --json nic list | jq -r '.nics[1].name')" = net1 ] ||
	    atf_fail "no net1"
	outside
	echo "figure: net.hotplug $cycles times out and in under flood ping, hn0 each time"
	vm_stop vm
}

nic_case flapping "a link that flaps, and one that stays down"
flapping_body() {
	root_only
	vm_net vm "tap:nic,netns=$out"
	outside
	i=0
	wait_for 10 "the link" link_up "$in" hn0 || atf_fail "no carrier"
	ctl vm nic link net0 down >/dev/null
	wait_for 10 "no link" link_down "$in" hn0 || atf_fail "still a carrier"
	ip netns exec "$out" ping -c 2 -i 0.2 -W 1 10.99.0.2 && atf_fail "a ping came through"
	[ "$(counter vm drop_link)" -gt 0 ] || atf_fail "lost without a count"
	ctl vm nic link net0 up >/dev/null
	outside
	while [ $i -lt 100 ]; do
		ctl vm nic link net0 down >/dev/null || atf_fail "down"
		ctl vm nic link net0 up >/dev/null || atf_fail "up"
		i=$((i + 1))
	done
	wait_for 10 "the link" link_up "$in" hn0 || atf_fail "no carrier"
	outside
	vm_stop vm
}

nic_case capture "captures that tcpdump reads, with right checksums" "net.basic"
capture_body() {
	root_only
	vm_net vm "tap:nic,netns=$out"
	outside
	ctl vm nic capture net0 frames.pcapng || atf_fail "capture"
	ip netns exec "$in" iperf3 -s -1 >server 2>&1 &
	sleep 0.5
	ip netns exec "$out" iperf3 -u -b 20M -t 1 -c 10.99.0.2 >client 2>&1 ||
	    { cat client server; atf_fail "iperf3"; }
	ip netns exec "$out" ping -q -c 20 -i 0.01 -s 1400 10.99.0.2 >/dev/null
	ctl vm nic capture net0 off >/dev/null
	tcpdump -nr frames.pcapng -vv udp >udp.txt 2>/dev/null
	right=$(grep -c 'udp sum ok' udp.txt)
	wrong=$(grep -c 'bad udp cksum' udp.txt)
	[ "$right" -gt 500 ] || atf_fail "only $right datagrams"
	[ "$wrong" -eq 0 ] || atf_fail "$wrong wrong checksums"
	[ "$(tcpdump -nr frames.pcapng icmp 2>/dev/null | wc -l)" -ge 40 ] ||
	    atf_fail "echoes are missing"
	ctl vm nic capture net0 vmbus.pcapng vmbus || atf_fail "capture vmbus"
	ip netns exec "$out" ping -q -c 20 -i 0.01 10.99.0.2 >/dev/null
	ctl vm nic capture net0 both.pcapng both >/dev/null || atf_fail "capture both"
	ip netns exec "$out" ping -q -c 5 -i 0.01 10.99.0.2 >/dev/null
	ctl vm nic capture net0 off >/dev/null
	[ "$(tcpdump -xr vmbus.pcapng 2>/dev/null | grep -c 0x0000:)" -ge 60 ] ||
	    atf_fail "packets are missing"
	[ "$(file_size both.pcapng)" -gt 2000 ] || atf_fail "nothing in both"
	echo "figure: net.basic $right UDP datagrams captured at the host, every checksum right"
	vm_stop vm
}

nic_case slirp "libslirp: DHCP, DNS' address, curl of a server here" "net.basic"
slirp_body() {
	root_only
	net_space "$in"
	vm_launch vm --env "kldrun.tap.hn0=hn0,netns=$in" --nic slirp,hostfwd=tcp:127.0.0.1:$((20000 + $$ % 10000))-:8080
	guest_if "$in" hn0 10.0.2.200/24
	ip -n "$in" addr flush dev hn0
	head -c 5000000 /dev/urandom >file
	cat >lease.sh <<-'END'
	#!/bin/sh
	[ "$1" = bound ] || exit 0
	ip addr add "$ip/${mask:-24}" dev "$interface"
	ip route add default via "$router"
	echo "$ip $router $dns" >lease
	END
	chmod 755 lease.sh
	ip netns exec "$in" timeout 30 busybox udhcpc -i hn0 -n -q -f -s "$PWD/lease.sh" \
	    >dhcp.log 2>&1 || { cat dhcp.log; vm_report vm; atf_fail "no lease"; }
	[ "$(cat lease)" = "10.0.2.15 10.0.2.2 10.0.2.3" ] || atf_fail "lease: $(cat lease)"
	cat >serve.js <<-'END'
	const http = require("http"), fs = require("fs");
	http.createServer((q, r) => r.end(fs.readFileSync("file")))
	    .listen(+process.argv[2], process.argv[3], function () {
		fs.writeFileSync(process.argv[4], "" + this.address().port); });
	END
	node serve.js 0 127.0.0.1 port & echo $! >>pids
	wait_for 20 "the server" test -s port || atf_fail "no server"
	ip netns exec "$in" curl -s -m 60 -o got "http://10.0.2.2:$(cat port)/" ||
	    { vm_report vm; atf_fail "curl"; }
	cmp file got || atf_fail "not what was served"
	# The other way, by a forwarded port.
	ip netns exec "$in" node serve.js 8080 0.0.0.0 port2 & echo $! >>pids
	wait_for 20 "the server" test -s port2 || atf_fail "no server"
	curl -s -m 60 -o back "http://127.0.0.1:$((20000 + $$ % 10000))/" ||
	    atf_fail "curl by the forwarded port"
	cmp file back || atf_fail "not what was served inside"
	echo "figure: net.basic DHCP lease and 5 MB by curl each way through libslirp"
	vm_stop vm
}

nic_case pair "two guests joined by a pair: every size, TCP both ways" "net.basic"
pair_body() {
	root_only
	net_space "$out" "$in"
	vm_launch a --env "kldrun.tap.hn0=hn0,netns=$out" --nic pair:cable
	vm_launch b --env "kldrun.tap.hn0=hn0,netns=$in" --nic pair:cable
	guest_if "$out" hn0 10.99.0.1/24
	guest_if "$in" hn0 10.99.0.2/24
	wait_for 20 "an answer" ip netns exec "$out" ping -c 1 -W 1 10.99.0.2 ||
	    { vm_report a; vm_report b; atf_fail "not joined"; }
	size=0
	while [ $size -le 1472 ]; do
		ip netns exec "$out" ping -q -c 1 -W 2 -M "do" -s $size 10.99.0.2 \
		    >/dev/null || atf_fail "no answer of $size bytes"
		size=$((size + 46))
	done
	for way in '' -R; do
		ip netns exec "$in" iperf3 -s -1 >server 2>&1 &
		sleep 0.5
		# shellcheck disable=SC2086 # nothing or a flag
		ip netns exec "$out" iperf3 -J -t 2 -c 10.99.0.2 $way >tcp.json ||
		    { cat tcp.json; atf_fail "iperf3 $way"; }
		wait $!
		rate=$(jq '.end.sum_received.bits_per_second / 1e6 | floor' tcp.json)
		[ "$rate" -gt 0 ] || atf_fail "no bytes"
		rates="${rates:-} $rate"
	done
	# One host goes: the other's link does too, and comes back.
	vm_stop a
	wait_for 20 "no link" link_down "$in" hn0 || atf_fail "a link to nobody"
	vm_launch a --env "kldrun.tap.hn0=hn0,netns=$out" --nic pair:cable
	guest_if "$out" hn0 10.99.0.1/24
	wait_for 20 "the link" link_up "$in" hn0 || atf_fail "no link again"
	wait_for 20 "an answer" ip netns exec "$out" ping -c 1 -W 1 10.99.0.2 ||
	    atf_fail "no answer after joining again"
	echo "figure: net.basic two guests joined by the hosts, TCP$rates Mbit/s"
	vm_stop a
	vm_stop b
}

nic_case broken "answers and frames broken on purpose: the guest goes on"
broken_body() {
	root_only
	vm_net vm "tap:nic,netns=$out"
	outside
	for fault in drop short hostile; do
		ctl vm inject net0 $fault count=30 || atf_fail "inject"
		ip netns exec "$out" ping -f -q -c 200 -w 5 10.99.0.2 >/dev/null
		ctl vm inject net0 off
		outside
	done
	[ "$(ctl vm --json info | jq '.devices[] | select(.name == "net0") |
	    .faults')" -ge 90 ] || atf_fail "too few faults were made"
	vm_stop vm
}

atf_init_test_cases() {
	add_cases
}
