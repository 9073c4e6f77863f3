# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# The network through the whole stack: two network namespaces that meet only by
# hn(4) in kldrun and the host's adapter.  The guest's side, hn0, is the tap
# hvkg0 in the namespace $a; the host's is the tap hvkh0 in $b.  What
# is sent comes from programs of other projects (ping, iperf3, tcpdump) and from
# one of our own that compares every byte.

FRAMES=$top/build/tests/net/frames
a=hvkhn-a-$$ b=hvkhn-b-$$

# Ours, and what runs that were cut short have left.
net_clean() {
	for ns in $(ip netns list | sed -n 's/^\(hvkhn-[ab]-[0-9]*\).*/\1/p'); do
		owner=${ns##*-}
		[ "$owner" = $$ ] || ! kill -0 "$owner" 2>/dev/null || continue
		ip netns pids "$ns" 2>/dev/null | xargs -r kill -9 2>/dev/null || true
		ip netns del "$ns" 2>/dev/null || true
	done
}

# net_start VM [option...]: a guest with one adapter between the namespaces
net_start() {
	[ "$(id -u)" = 0 ] || atf_skip "needs root, for network namespaces"
	[ -c /dev/net/tun ] || atf_skip "needs /dev/net/tun"
	net_clean
	ip netns add $a 2>netns.err || atf_skip "no network namespaces: $(cat netns.err)"
	ip netns add $b
	vm_launch "$@" -o net.0.guest=hvkg0,netns=$a \
	    -o net.0.backend=tap -o net.0.ifname=hvkh0 -o net.0.netns=$b \
	    -o net.0.mtu=9202
	net_wait "$1"
}

net_wait() {
	wait_for 60 "hn0" net_there "$1" || { vm_report "$1"; atf_fail "no hn0"; }
	net_configure
	wait_for 20 "the first answer" ping_ok 10.77.0.2 ||
	    { vm_report "$1"; ifconfig_ "$1"; atf_fail "nothing goes through hn0"; }
}

net_there() {
	ip -n $a link show hvkg0 && ip -n $b link show hvkh0 &&
	    ifconfig_ "$1" hn0 | grep 'status: active'
}

net_configure() {
	ip -n $a addr replace 10.77.0.1/24 dev hvkg0
	ip -n $b addr replace 10.77.0.2/24 dev hvkh0
	ip -n $a addr replace fd77::1/64 dev hvkg0 nodad
	ip -n $b addr replace fd77::2/64 dev hvkh0 nodad
	ip -n $b link set hvkh0 mtu 9202 up
	ip -n $a link set hvkg0 up
}

net_stop() {
	vm_stop "$1"
	net_clean
}

ping_ok() { ip netns exec $a ping -c 1 -W 0.3 "$1"; }

# sweep ADDRESS MAX [STEP]: an answer to each size up to MAX, none in pieces.
# A step keeps it short; with HN_SIZES=all there is none.
sweep() {
	_to=$1 _max=$2 _step=${3:-1}
	[ "${HN_SIZES:-}" != all ] || _step=1
	ip netns exec $a sh -c 'for size in $(seq 0 $3 $2) $2; do
		ping -q -c 1 -W 5 -M "do" -s $size $1 >ping.$1 2>&1 ||
		    { echo "no answer to $size bytes from $1"; exit 1; }
	done' sweep $_to $_max $_step >sweep.$_to ||
	    { cat ping.$_to; atf_fail "$(cat sweep.$_to)"; }
	echo "$(seq 0 $_step $_max | wc -l) sizes of ping up to $_max to $_to"
}

ifconfig_() {
	_vm=$1
	shift
	timeout 60 "$KLDRUN" --dir "$_vm" ifconfig "$@"
}

# check COMMAND...: functions of ours too, which atf_check cannot run
check() {
	"$@" >check.out 2>&1 || { cat check.out; atf_fail "failed: $*"; }
}

# shows PATTERN COMMAND...
shows() {
	_pattern=$1
	shift
	"$@" >shows.out 2>&1 || true
	grep -q -e "$_pattern" shows.out ||
	    { cat shows.out; atf_fail "no '$_pattern' from: $*"; }
}

# hn VM NAME: the value of dev.hn.0.NAME
hn() { guest_sysctl "$1" "dev.hn.0.$2" | sed 's/^[^:]*: //'; }

# frames VM option...: both ways, byte for byte; its last line
frames() {
	_vm=$1
	shift
	"$FRAMES" "$@" $a hvkg0 $b hvkh0 >frames.out 2>&1 || {
		cat frames.out
		vm_report "$_vm"
		ifconfig_ "$_vm" hn0
		atf_fail "frames $*"
	}
	cat frames.out
}

# server [PORT]: iperf3 in the namespace behind the host, until net_clean
server() {
	ip netns exec $b iperf3 -s -p ${1:-5201} >server.log 2>&1 &
	server=$!
	wait_for 20 "iperf3" ip netns exec $b sh -c "ss -ltn |
	    grep -q :${1:-5201}" || atf_fail "no iperf3: $(cat server.log)"
}

# Frames from the guest so far, as the host counts them.
sent() { ctl "$1" --json nic stat net0 | jq .net0.tx_frames; }
sent_more() { [ "$(sent "$1")" -gt "$2" ]; }

# traffic VM: wait for a hundred more
traffic() {
	wait_for 20 "traffic" sent_more "$1" $(($(sent "$1") + 100)) ||
	    { vm_report "$1"; atf_fail "no traffic"; }
}

# rate ADDRESS option...: bit/s that arrived
rate() {
	_to=$1
	shift
	# Its server may not have heard yet that the last one is over.
	until timeout 60 ip netns exec $a iperf3 -c $_to -t 1 -J "$@" >iperf.json 2>iperf.err; do
		grep -q 'server is busy' iperf.json iperf.err ||
		    { cat iperf.err iperf.json; atf_fail "iperf3 -c $_to $*"; }
		sleep 0.1
	done
	jq '.end | (.sum_received // .sum).bits_per_second | floor' iperf.json
}

# gbit RATE
gbit() { awk -v r="$1" 'BEGIN { printf "%.1f Gbit/s", r / 1e9 }'; }

new_case basic "ping of all sizes, iperf3 both ways, frames compared byte for byte" \
    "net.basic"
basic_body() {
	net_start vm --cpus 2
	sweep fd77::2 1452 &
	sweep=$!
	sweep 10.77.0.2 1472
	wait $sweep || atf_fail "not every size of ping was answered"
	server
	out=$(rate 10.77.0.2 -t 2)
	in=$(rate 10.77.0.2 -R -t 2)
	for address in 10.77.0.2 fd77::2; do
		rate $address -P 4
		rate $address -P 4 -R
		rate $address -u -b 20M -l 1400 --bidir
	done
	# The same seed shows a mistake again.
	frames vm -s "${SEED:-1}" -n 20000
	compared=$(sed 's/ frames.*//' frames.out)
	guest_sysctl vm dev.hn.0 >sysctl.out
	atf_check -o match:'nvs_version: 393217' -o match:'ndis_version: 6.30' \
	    -o match:'tx_stale: 0' -o match:'rx_rejected: 0' -o match:'rejected: 0' \
	    -o match:'friendly_name: net0' -o not-match:'host_stats' cat sysctl.out
	shows '^rx_bytes [1-9][0-9]*, rx_discards [0-9]*, rx_errors 0, tx_bytes [1-9]' \
	    hn vm host_stats
	net_stop vm
	echo "figure: net.basic every size of ping; TCP out $(gbit $out), in" \
	    "$(gbit $in); $compared frames compared"
}

new_case one_queue "a guest with one processor, and every transfer bounced"
one_queue_body() {
	net_start vm --cpus 1 -o bounce=yes
	sweep 10.77.0.2 1472 184
	frames vm -s 2 -n 5000
	server
	rate 10.77.0.2 -P 2
	rate 10.77.0.2 -P 2 -R
	net_stop vm
}

new_case jumbo "the MTU changes under load, to 9000 and the host's largest, and back" \
    "net.jumbo"
jumbo_body() {
	net_start vm
	server
	ip netns exec $a timeout 120 iperf3 -c 10.77.0.2 -t 120 -P 2 >load.log 2>&1 &
	load=$!
	traffic vm
	for mtu in 9000 1500 9202 4000; do
		check ifconfig_ vm hn0 mtu $mtu
		traffic vm
	done
	# Larger than the host's: refused, and the old one works on.
	shows 'Input/output error' ifconfig_ vm hn0 mtu 12000
	shows 'mtu 4000' ifconfig_ vm hn0
	atf_check test "$(hn vm mtu_rollbacks)" -eq 1
	traffic vm
	kill $load || atf_fail "iperf3 ended: $(cat load.log)"
	wait $load || true
	check ifconfig_ vm hn0 mtu 9000
	sweep 10.77.0.2 8972 499
	sweep fd77::2 8952 499
	frames vm -s 3 -n 5000 -m 9000
	fast=$(rate 10.77.0.2)
	check ifconfig_ vm hn0 mtu 9202
	sweep 10.77.0.2 9174 834
	sweep fd77::2 9154 1144
	# Linux in the guest's place sets it, too.
	ip -n $a link set hvkg0 mtu 1500
	wait_for 10 "the MTU of the tap" sh -c \
	    "'$KLDRUN' --dir vm ifconfig hn0 | grep -q 'mtu 1500'"
	sweep 10.77.0.2 1472 368
	changes=$(hn vm mtu_changes)
	net_stop vm
	echo "figure: net.jumbo $changes changes under load, $(gbit $fast) at 9000"
}

new_case vlan "tags from 1 to 4094 beside and in the frame, several at once" "net.vlan"
vlan_body() {
	net_start vm
	frames vm -s 4 -n 10000 -k vw
	tagged=$(sed 's/ frames.*//' frames.out)
	frames vm -s 5 -n 3000 -k pvuwtg
	check ifconfig_ vm hn0 -vlanhwtag
	frames vm -s 6 -n 3000 -k vw
	check ifconfig_ vm hn0 vlanhwtag -vlanhwcsum
	frames vm -s 7 -n 3000 -k vw
	net_stop vm
	echo "figure: net.vlan $tagged frames with tags 1 to 4094"
}

# The address in VLAN $1 of the side $2.
vlan_address() { echo 10.$((64 + $1 / 256)).$(($1 % 256)).$2; }

# switch NS TAP SIDE: a switch of its own, since the kernel may have no VLANs:
# TAP is its trunk, and v1... with an address each are in one VLAN
switch() {
	_ns=$1 _d=$PWD/$1 _side=$3
	mkdir "$_d"
	check ovsdb-tool create "$_d/db" /usr/share/openvswitch/vswitch.ovsschema
	ip netns exec "$_ns" ovsdb-server "$_d/db" --remote=punix:"$_d/sock" \
	    --unixctl="$_d/db.ctl" >"$_d/db.log" 2>&1 &
	wait_for 20 "the switch's database" test -S "$_d/sock" ||
	    { cat "$_d/db.log"; atf_fail "no ovsdb-server"; }
	OVS_RUNDIR=$_d ip netns exec "$_ns" ovs-vswitchd unix:"$_d/sock" \
	    --unixctl="$_d/switch.ctl" >"$_d/switch.log" 2>&1 &
	set -- add-br br0 -- set bridge br0 datapath_type=netdev -- \
	    add-port br0 "$2"
	for _v in $vlans; do
		set -- "$@" -- add-port br0 "v$_v" "tag=$_v" -- \
		    set interface "v$_v" type=internal
	done
	OVS_RUNDIR=$_d ovs-vsctl --timeout=30 --db=unix:"$_d/sock" "$@" \
	    >ovs.out 2>&1 ||
	    { cat ovs.out "$_d/switch.log"; atf_fail "no switch"; }
	for _v in $vlans; do
		ip -n "$_ns" addr add "$(vlan_address "$_v" "$_side")/24" dev "v$_v"
		ip -n "$_ns" link set "v$_v" up
	done
}

# tagged FILE EXPRESSION: frames of TCP with a tag, in a capture
tagged() { tcpdump -n -r "$1" "vlan $2 and tcp" 2>/dev/null | wc -l; }

new_case vlans "iperf3 in VLANs from 1 to 4094, all at once, both ways" "net.vlan"
vlans_body() {
	net_start vm
	vlans="1 2 100 1023 2048 4094"
	# What is forwarded must not have grown on the way.
	check ifconfig_ vm hn0 -lro
	switch $a hvkg0 1
	switch $b hvkh0 2
	check ifconfig_ vm hn0 capture "$PWD/guest.pcap"
	check ctl vm nic capture net0 host.pcapng
	for v in $vlans; do
		check ip netns exec $a ping -q -c 3 -i 0.01 -W 10 \
		    "$(vlan_address $v 2)"
		ip netns exec $b iperf3 -s >server.$v 2>&1 -B "$(vlan_address $v 2)" &
	done
	for v in $vlans; do
		wait_for 10 "iperf3 in VLAN $v" sh -c "ip netns exec $b ss -ltn |
		    grep -q '$(vlan_address $v 2):5201'" || atf_fail "no server"
	done
	clients=
	for v in $vlans; do
		ip netns exec $a timeout 60 iperf3 -c "$(vlan_address $v 2)" -t 2 \
		    -b 20M --bidir -J >iperf.$v 2>&1 &
		clients="$clients $!"
	done
	for client in $clients; do
		wait $client || { cat iperf.*; atf_fail "iperf3"; }
	done
	check ifconfig_ vm hn0 -capture
	check ctl vm nic capture net0 off
	for v in $vlans; do
		jq -e '.end | .sum_received.bytes > 0 and
		    .sum_received_bidir_reverse.bytes > 0' iperf.$v >/dev/null ||
		    { cat iperf.$v; atf_fail "VLAN $v carried nothing"; }
		for wire in guest.pcap host.pcapng; do
			for side in 1 2; do
				n=$(tagged $wire "$v and
				    src $(vlan_address $v $side)")
				[ "$n" -gt 20 ] || atf_fail "VLAN $v: $n frames \
				    from side $side in $wire"
			done
		done
	done
	# Each VLAN's frames are in that VLAN alone.
	for wire in guest.pcap host.pcapng; do
		atf_check -o empty -e ignore tcpdump -n -r $wire 'tcp and not vlan'
	done
	n=$(tagged host.pcapng)
	net_stop vm
	echo "figure: net.vlan iperf3 both ways in 6 VLANs from 1 to 4094 at once," \
	    "$n frames with their tags"
}

# switched VM WORD...: the same traffic with other offloads
switched() {
	_vm=$1
	shift
	check ifconfig_ $_vm hn0 "$@"
	frames $_vm -s 8 -n 2000
	rate 10.77.0.2
	rate fd77::2 -R
}

new_case offload "checksums, TSO, LRO and RSC, each switched; tcpdump finds no bad checksum" \
    "net.offload"
offload_body() {
	net_start vm
	server
	on=$(rate 10.77.0.2)
	switched vm -txcsum -txcsum6
	switched vm txcsum txcsum6 tso -rxcsum -rxcsum6
	# Nobody has checked these for Linux, so every one must be good.
	ip netns exec $a tcpdump -n -U -i hvkg0 -w verify.pcap -c 4000 \
	    'src host 10.77.0.2 or src host fd77::2' 2>dump.err &
	dump=$!
	wait_for 20 "tcpdump" grep -q listening dump.err || atf_fail "no tcpdump"
	rate 10.77.0.2 -R
	rate fd77::2 -R
	rate 10.77.0.2 -u -b 20M -l 1400 -R
	kill $dump 2>/dev/null || true
	wait $dump || true
	tcpdump -n -vv -r verify.pcap >verify.txt 2>/dev/null
	checked=$(grep -c 'cksum.*(correct)\|udp sum ok' verify.txt)
	atf_check test "$checked" -gt 100
	atf_check -s exit:1 -o empty grep -E 'incorrect|bad udp|bad cksum' verify.txt
	switched vm rxcsum rxcsum6 -tso
	off=$(rate 10.77.0.2)
	switched vm tso -lro
	switched vm lro
	check guest_sysctl vm dev.hn.0.rsc_switch=1
	frames vm -s 9 -n 3000
	atf_check test "$(hn vm rx.0.rsc_pkts)" -gt 0
	atf_check test "$(hn vm lro_flushed)" -gt 0
	atf_check test "$(hn vm csum_tcp)" -gt 0
	net_stop vm
	echo "figure: net.offload TCP $(gbit $on) with all on, $(gbit $off)" \
	    "without TSO; $checked checksums verified"
}

new_case vrss "a queue for each of four processors, all used; the table is what is set" \
    "net.vrss"
vrss_body() {
	net_start vm --cpus 4
	shows '^4$' hn vm rx_ring_inuse
	shows '^4$' hn vm tx_ring_inuse
	server
	rate 10.77.0.2 -P 16
	rate 10.77.0.2 -P 16 -R
	for i in 0 1 2 3; do
		atf_check test "$(hn vm rx.$i.packets)" -gt 100
		atf_check test "$(hn vm rx.$i.rss_pkts)" -gt 100
		atf_check test "$(hn vm tx.$i.packets)" -gt 100
	done
	# A table that names one ring only: the others get nothing more.
	table=$(awk 'BEGIN { for (i = 0; i < 128; i++) printf "02000000" }')
	check guest_sysctl vm dev.hn.0.rss_ind=$table
	shows "^$table\$" hn vm rss_ind
	for i in 0 1 2 3; do
		guest_sysctl vm dev.hn.0.rx.$i.rss_pkts=0 >/dev/null
	done
	rate 10.77.0.2 -P 16 -R
	for i in 0 1 3; do
		atf_check test "$(hn vm rx.$i.rss_pkts)" -lt 100
	done
	atf_check test "$(hn vm rx.2.rss_pkts)" -gt 1000
	# One that names a ring that is not there is refused, and a new key taken.
	shows 'Invalid argument' guest_sysctl vm \
	    dev.hn.0.rss_ind=$(echo $table | sed 's/^02/04/')
	key=$(awk 'BEGIN { for (i = 0; i < 40; i++) printf "%02x", i * 5 + 1 }')
	check guest_sysctl vm dev.hn.0.rss_key=$key
	shows "^$key\$" hn vm rss_key
	frames vm -s 17 -n 1000
	net_stop vm
	echo "figure: net.vrss 4 queues, all used; table and key set"
}

new_case filter "promiscuous, multicast and another address reach the host's filter"
filter_body() {
	net_start vm
	shows '<UCAST,MCAST,BCAST>' hn vm rxfilter
	ip -n $a link set hvkg0 promisc on
	wait_for 10 "promiscuous" sh -c "'$KLDRUN' --dir vm sysctl dev.hn.0.rxfilter | grep PROMISC"
	ip -n $a link set hvkg0 promisc off
	wait_for 10 "no longer" sh -c "'$KLDRUN' --dir vm sysctl dev.hn.0.rxfilter | grep UCAST"
	# A group that nobody joined stays outside; one that was joined comes in.
	ip -n $b neigh replace 10.77.0.9 lladdr 01:00:5e:01:02:03 dev hvkh0
	heard() {
		ip netns exec $a tcpdump -l -n -p -c 3 -i hvkg0 \
		    ether dst 01:00:5e:01:02:03 >heard.out 2>heard.err &
		_t=$!
		wait_for 20 "tcpdump" grep -q listening heard.err
		ip netns exec $b ping -c 5 -i 0.02 -W 0.2 10.77.0.9 >/dev/null 2>&1
		# What was to come in has: an answer came after it.
		ping_ok 10.77.0.2 >/dev/null
		kill $_t 2>/dev/null
		wait $_t
		grep -c 'ICMP echo' heard.out
	}
	shows '^0$' heard
	check ifconfig_ vm hn0 addm 01:00:5e:01:02:03
	heard_all() { [ "$(heard)" = 3 ]; }
	wait_for 20 "the group" heard_all || { cat heard.out; atf_fail "not heard"; }
	# Another address: frames to it arrive, the host knows it.
	ip -n $a link set hvkg0 address 02:15:5d:00:00:42
	wait_for 10 "the address" sh -c "'$KLDRUN' --dir vm ifconfig hn0 | grep 02:15:5d:00:00:42"
	ip -n $b neigh flush dev hvkh0
	wait_for 20 "an answer" ping_ok 10.77.0.2 || atf_fail "no answer after the change"
	net_stop vm
}

new_case link "the cable is pulled and plugged in again, at another speed"
link_body() {
	net_start vm
	atf_check -o ignore -e ignore "$HVK" ctl --dir vm nic link net0 down
	wait_for 10 "no carrier" sh -c "ip -n $a link show hvkg0 | grep NO-CARRIER"
	shows 'status: no carrier' ifconfig_ vm hn0
	atf_check -o ignore -e ignore "$HVK" ctl --dir vm nic link net0 up 25000000000
	wait_for 10 "carrier" sh -c "! ip -n $a link show hvkg0 | grep NO-CARRIER"
	shows '25000Mb/s' ifconfig_ vm hn0
	shows 'baudrate: 25000000000' ifconfig_ vm hn0
	wait_for 20 "an answer" ping_ok 10.77.0.2 || atf_fail "no answer"
	# A speed alone.
	atf_check -o ignore -e ignore "$HVK" ctl --dir vm nic link net0 up 40000000000
	wait_for 10 "the speed" sh -c "'$KLDRUN' --dir vm ifconfig hn0 |
	    grep -q 'baudrate: 40000000000'" || atf_fail "no new speed"
	frames vm -n 1000
	net_stop vm
}

# What the host has told of the link so far, and what the guest has heard.
changes() { ctl vm --json nic stat net0 | jq .net0.link_changes; }
changed() { [ "$(changes)" -ge "$1" ]; }
heard_of() { [ "$(hn vm link_changes)" -ge "$1" ]; }

new_case flapping "the link changes 1,000 times a second under traffic: few lines, no harm"
flapping_body() {
	net_start vm
	ip netns exec $a ping -f -q -w 600 10.77.0.2 >/dev/null 2>&1 &
	pings=$!
	ip netns exec $b ping -f -q -w 600 10.77.0.1 >/dev/null 2>&1 &
	pings="$pings $!"
	began=$(now_ms)
	check ctl vm nic link net0 flap 1000
	wait_for 60 "the changes" changed ${HN_FLAPS:-3000} ||
	    { ctl vm nic stat net0; vm_report vm; atf_fail "too few changes"; }
	# They are in the way of frames of which none may be lost.
	kill $pings
	wait $pings || true
	for last in down up; do
		check ctl vm nic link net0 $last
		case $last in
		up) what=active ;;
		down) what='no carrier' ;;
		esac
		ms=$(($(now_ms) - began))
		# Those for which there was no room became one.
		n=$(changes)
		wait_for 20 "all changes" heard_of $((n * 9 / 10)) ||
		    atf_fail "the guest has not heard of $n changes"
		wait_for 20 "link $last" sh -c "'$KLDRUN' --dir vm ifconfig hn0 |
		    grep -q 'status: $what'" || atf_fail "the link is not $last"
		[ $last = up ] || wait_for 20 "no carrier" sh -c "ip -n $a \
		    link show hvkg0 | grep -q NO-CARRIER" || atf_fail "a carrier"
	done
	wait_for 20 "an answer" ping_ok 10.77.0.2 ||
	    { vm_report vm; atf_fail "no answer after flapping"; }
	frames vm -n 500
	lines=$(grep -c 'link state changed' vm/console.log)
	atf_check test "$lines" -le $((20 + n / 20))
	atf_check test "$(grep -c 'changes the link without end' \
	    vm/console.log)" -ge 1
	net_stop vm
	echo "$n changes of the link in $ms ms, $lines lines"
}

new_case channel "the host takes one sub-channel back: a new start, and traffic again"
channel_body() {
	net_start vm --cpus 4
	server
	shows '^4$' hn vm rx_ring_inuse
	for i in 1 3 2; do
		n=$(hn vm restarts)
		server 530$i
		ip netns exec $a timeout 60 iperf3 -c 10.77.0.2 -p 530$i -t 60 \
		    -P 4 >load.log 2>&1 &
		load=$!
		traffic vm
		check ctl vm rescind net0 $i
		wait_for 20 "a new start" sh -c "'$KLDRUN' --dir vm sysctl \
		    dev.hn.0.restarts | grep -q ' $((n + 1))\$'" ||
		    { vm_report vm; atf_fail "channel $i was not missed"; }
		wait_for 20 "four rings" sh -c "'$KLDRUN' --dir vm sysctl \
		    dev.hn.0.rx_ring_inuse | grep -q ' 4\$'" ||
		    { vm_report vm; atf_fail "the rings did not come back"; }
		wait_for 20 "an answer" ping_ok 10.77.0.2 ||
		    { vm_report vm; atf_fail "no answer without channel $i"; }
		kill $load 2>/dev/null || true
		wait $load || true
		frames vm -s $i -n 500
	done
	shows 'no sub-channel 9' ctl vm rescind net0 9
	rate 10.77.0.2 -P 8
	for i in 0 1 2 3; do
		atf_check test "$(hn vm rx.$i.packets)" -gt 0
	done
	atf_check test "$(grep -c 'took a channel back' vm/console.log)" -ge 1
	# The adapter goes in the middle of a new start, with frames that wait.
	server 5304
	ip netns exec $a timeout 60 iperf3 -c 10.77.0.2 -p 5304 -u -b 300M -t 60 \
	    >load.log 2>&1 &
	load=$!
	traffic vm
	check ctl vm inject net0 silence
	queue_full() { ifconfig_ vm hn0 | grep 'out [0-9]* (dropped [1-9]'; }
	wait_for 20 "a full queue" queue_full || { vm_report vm; atf_fail "no queue"; }
	n=$(hn vm restarts)
	check ctl vm rescind net0 1
	again() { [ "$(hn vm restarts)" -gt $n ]; }
	wait_for 20 "a new start" again || { vm_report vm; atf_fail "no new start"; }
	check ctl vm nic remove net0
	wait_for 30 "hn0 gone" sh -c "! '$KLDRUN' --dir vm ifconfig hn0" ||
	    { vm_report vm; atf_fail "hn0 stayed"; }
	kill $load 2>/dev/null || true
	wait $load || true
	net_stop vm
}

new_case hotplug "an adapter is pulled out and plugged in under load" "net.hotplug"
hotplug_body() {
	net_start vm
	rounds=${HN_ROUNDS:-5}
	for i in $(seq $rounds); do
		# The last one's server does not know that it is over.
		server $((5300 + i))
		ip netns exec $a timeout 60 iperf3 -c 10.77.0.2 -p $((5300 + i)) \
		    -t 60 -P 2 >load.log 2>&1 &
		load=$!
		traffic vm
		atf_check -o ignore -e ignore "$HVK" ctl --dir vm nic remove net0
		wait_for 30 "hn0 gone" sh -c "! '$KLDRUN' --dir vm ifconfig hn0" ||
		    { vm_report vm; atf_fail "hn0 stayed in round $i"; }
		kill -9 $load $server 2>/dev/null || true
		wait $load $server 2>/dev/null || true
		atf_check -o ignore -e ignore "$HVK" ctl --dir vm nic add \
		    tap:hvkh0,netns=$b,mtu=9202
		net_wait vm
		[ $((i % 10)) -ne 1 ] || frames vm -s $i -n 500
	done
	net_stop vm
	echo "figure: net.hotplug $rounds rounds under load"
}

new_case ways "each way of sending: other threads, the interface's queue, no sharing, polled"
ways_body() {
	for envs in use_if_start=1 'tx_taskq_mode=1 lro_entry_count=0' \
	    'tx_taskq_mode=2 tx_agg_size=0' chan_cnt=1; do
		set --
		for env in $envs; do
			set -- "$@" --env hw.hn.$env
		done
		net_start vm "$@" --env hw.hn.direct_tx_size=200
		for env in $envs; do
			shows "hw.hn.${env%=*}: ${env#*=}" \
			    guest_sysctl vm hw.hn.${env%=*}
		done
		frames vm -s 14 -n 2000
		server
		rate 10.77.0.2 -P 2
		net_stop vm
	done
	net_start vm
	for set in sched_tx=1 sched_tx=0 agg_pkts=0 agg_pkts=-1 agg_size=2000 \
	    agg_size=-1 tx_chimney_size=100 polling=1000 polling=0; do
		check guest_sysctl vm dev.hn.0.$set
		frames vm -s 15 -n 500
	done
	shows 'Invalid argument' guest_sysctl vm dev.hn.0.polling=5
	shows 'Invalid argument' guest_sysctl vm dev.hn.0.agg_size=-2
	shows 'Invalid argument' guest_sysctl vm dev.hn.0.tx_chimney_size=0
	net_stop vm
}

new_case capture "kldrun ifconfig capture: what bpf(9) sees, tags too, as tcpdump reads it"
capture_body() {
	net_start vm
	check ifconfig_ vm hn0 capture "$PWD/hn0.pcap"
	frames vm -s 16 -n 200 -k pv
	ip netns exec $a ping -q -c 3 -i 0.2 -W 5 10.77.0.2 >/dev/null
	check ifconfig_ vm hn0 -capture
	tcpdump -n -e -r hn0.pcap >pcap.txt 2>/dev/null
	atf_check test "$(grep -c 'ICMP echo request' pcap.txt)" -ge 3
	atf_check test "$(grep -c 'ICMP echo reply' pcap.txt)" -ge 3
	atf_check test "$(grep -c '802.1Q' pcap.txt)" -ge 50
	net_stop vm
}

new_case slirp "without a privilege of the host's: DHCP's network, ping, curl through libslirp"
slirp_body() {
	[ "$(id -u)" = 0 ] || atf_skip "needs root, for network namespaces"
	[ -c /dev/net/tun ] || atf_skip "needs /dev/net/tun"
	net_clean
	ip netns add $a
	vm_launch vm -o net.0.guest=hvkg0,netns=$a -o net.0.backend=slirp
	wait_for 60 "hn0" sh -c "ip -n $a link show hvkg0" || { vm_report vm; atf_fail "no hn0"; }
	ip -n $a link set lo up
	ip -n $a link set hvkg0 up
	cat >lease.sh <<-'END'
	#!/bin/sh
	[ "$1" = bound ] || exit 0
	ip addr add "$ip/$mask" dev "$interface"
	ip route add default via "$router"
	END
	chmod 755 lease.sh
	check timeout 60 ip netns exec $a busybox udhcpc -i hvkg0 -n -q -f -t 10 \
	    -s "$PWD/lease.sh"
	shows '10\.0\.2\.' ip -n $a addr show hvkg0
	check ip netns exec $a ping -c 3 -i 0.2 -W 5 10.0.2.2
	# A server on this machine, and what curl takes from it.
	mkdir served
	head -c 30000000 /dev/urandom >served/file
	busybox httpd -f -p 127.0.0.1:5298 -h served &
	server=$!
	wait_for 10 "the server" sh -c 'ss -ltn | grep -q :5298'
	check timeout 60 ip netns exec $a curl -s -S -o got http://10.0.2.2:5298/file
	kill $server
	atf_check cmp served/file got
	vm_stop vm
	net_clean
}

# harm VM FAULT: a thousand times, with traffic that may suffer; then none
harm() {
	ctl "$1" inject net0 "$2" count=1000 ${3:-} >/dev/null
	timeout 1 "$FRAMES" -n 3000 -s 3 $a hvkg0 $b hvkh0 >/dev/null 2>&1 || true
	ip netns exec $b ping -q -f -w 2 -s 1400 10.77.0.1 >/dev/null 2>&1 &
	back=$!
	ip netns exec $a ping -q -f -w 2 10.77.0.2 >/dev/null 2>&1 || true
	wait $back || true
	ctl "$1" inject off >/dev/null
	wait_for 20 "an answer" ping_ok 10.77.0.2 ||
	    { vm_report "$1"; atf_fail "no answer after $2"; }
	frames "$1" -n 500 -s 4
}

new_case hostile "answers and frames that are lies, too short, late or missing: no harm stays"
hostile_body() {
	net_start vm
	for fault in hostile short drop; do
		harm vm $fault
	done
	harm vm delay ms=5
	guest_sysctl vm dev.hn.0 >sysctl.out
	atf_check -o match:'tx_malformed: [1-9]' -o match:'rx_rejected: [1-9]' \
	    -o match:'tx_stale: [1-9]' cat sysctl.out
	wait_for 20 "a line" grep -q 'messages that make no sense' vm/console.log
	lines=$(grep -c 'messages that make no sense' vm/console.log)
	atf_check test "$lines" -ge 1 -a "$lines" -le 20
	# Sends that were never ended would be waited for.
	check ctl vm nic remove net0
	wait_for 30 "hn0 gone" sh -c "! '$KLDRUN' --dir vm ifconfig hn0" ||
	    { vm_report vm; atf_fail "hn0 stayed"; }
	net_stop vm
}

new_case silent "a host that falls silent: the interface is lost in time, and comes back"
silent_body() {
	net_start vm --env hw.hn.stall_ms=1500 --env hw.hn.request_ms=1500
	ctl vm inject net0 silence >/dev/null
	ping_ok 10.77.0.2 || true
	timeout 1 "$FRAMES" -n 100 $a hvkg0 $b hvkh0 >/dev/null 2>&1 || true
	wait_for 30 "the loss" grep -q 'hn0: the host has not finished a send' vm/console.log ||
	    { vm_report vm; atf_fail "the silence was not noticed"; }
	shows 'no carrier' ifconfig_ vm hn0
	ctl vm inject off >/dev/null
	check ctl vm nic remove net0
	wait_for 30 "hn0 gone" sh -c "! '$KLDRUN' --dir vm ifconfig hn0" ||
	    { vm_report vm; atf_fail "hn0 stayed"; }
	check ctl vm nic add tap:hvkh0,netns=$b,mtu=9202
	net_wait vm
	# A change of the MTU that nobody answers.
	ctl vm inject net0 silence >/dev/null
	shows 'ifconfig: hn0: 4000' ifconfig_ vm hn0 mtu 4000
	ctl vm inject off >/dev/null
	check ctl vm nic remove net0
	wait_for 30 "hn0 gone" sh -c "! '$KLDRUN' --dir vm ifconfig hn0" ||
	    { vm_report vm; atf_fail "hn0 stayed"; }
	check ctl vm nic add tap:hvkh0,netns=$b,mtu=9202
	net_wait vm
	frames vm -n 500
	net_stop vm
}

new_case rescind "the adapter goes while it attaches, while it works, and comes back"
rescind_body() {
	net_start vm --cpus 4
	for i in $(seq 30); do
		ctl vm rescind net0 >/dev/null 2>&1 || true
		sleep 0.0$((i % 9))
		ctl vm offer net0 >/dev/null 2>&1 || true
		sleep 0.$((i % 4))$((i % 7))
	done
	net_wait vm
	frames vm -s 18 -n 1000
	net_stop vm
}

new_case busy_stop "the guest is stopped while frames come and go: nothing leaks"
busy_stop_body() {
	net_start vm
	server
	ip netns exec $a timeout 60 iperf3 -c 10.77.0.2 -t 60 -P 2 >out.log 2>&1 &
	ip netns exec $b timeout 60 ping -f -w 30 10.77.0.1 >in.log 2>&1 &
	traffic vm
	net_stop vm
}

new_case asan "the modules under AddressSanitizer: frames, MTU, offloads, unplugged"
asan_body() {
	KLDRUN=$top/build/bin/kldrun-asan
	MODULES=$top/build/modules-asan
	net_start vm
	frames vm -s 10 -n 4000
	check ifconfig_ vm hn0 mtu 9000
	frames vm -s 11 -n 1000 -m 9000
	check ifconfig_ vm hn0 -txcsum -lro -vlanhwtag
	frames vm -s 12 -n 1000
	atf_check -o ignore -e ignore "$HVK" ctl --dir vm nic remove net0
	wait_for 30 "hn0 gone" sh -c "! '$KLDRUN' --dir vm ifconfig hn0" ||
	    { vm_report vm; atf_fail "hn0 stayed"; }
	atf_check -o ignore -e ignore "$HVK" ctl --dir vm nic add \
	    tap:hvkh0,netns=$b,mtu=9202
	net_wait vm
	frames vm -s 13 -n 1000
	net_stop vm
}

atf_init_test_cases() { add_cases; }
