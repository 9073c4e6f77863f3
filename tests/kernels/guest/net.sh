# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# The network: hv_netvsc on our adapter, a tap of the host's machine behind it.
load hv_netvsc || bad net.load "does not load"
wait_for 20 test -e /sys/class/net/eth0 || bad net.device "no eth0"
mac=$(cat /sys/class/net/eth0/address)
expect net.mac 02:00:00:00:20:01 "$mac"
host netup
ip addr add 10.99.0.2/24 dev eth0
ip link set eth0 up
carrier_is() { [ "$(cat /sys/class/net/eth0/carrier 2>/dev/null)" = "$1" ]; }
reached() { ping -c 1 -W 1 10.99.0.1; }
wait_for 20 carrier_is 1 || bad net.carrier "no carrier"
wait_for 20 reached || bad net.reached "no answer"
# Every length up to the MTU, in steps.
size=0 lost=0 n=0
while [ $size -le 1472 ]; do
	ping -c 1 -W 2 -s $size 10.99.0.1 >/dev/null 2>&1 || lost=$((lost + 1))
	n=$((n + 1))
	size=$((size + 32))
done
expect net.sizes 0 $lost
queues=$(find /sys/class/net/eth0/queues -name 'rx-*' | wc -l)
expect net.queues "$(sed -n 's/.* queues=\([0-9]*\).*/\1/p' /proc/cmdline)" "$queues"
# TCP with checksums and segments left to the host, both ways; UDP.
rate() { sed -n 's/.*SUM.* \([0-9.]*\) Mbits\/sec .*receiver.*/\1/p' "$1" | tail -n 1; }
for way in '' -R; do
	name=net.tcp$(echo "$way" | tr -d - | tr R r)
	# shellcheck disable=SC2086
	if iperf3 -f m -t 3 -P 8 -c 10.99.0.1 $way >/tmp/iperf 2>&1; then
		ok "$name" "$(rate /tmp/iperf) Mbit/s"
		rates="${rates:-} $(rate /tmp/iperf)"
	else
		bad "$name" "$(tail -n 1 /tmp/iperf)"
	fi
done
try net.udp iperf3 -f m -u -b 20M -t 2 -c 10.99.0.1
# A file there and back by TCP, bit for bit: large sends and their pieces.
head -c 2000000 /dev/urandom >/tmp/file
nc 10.99.0.1 7777 </tmp/file >/tmp/back
expect net.bytes "$(sha256sum </tmp/file)" "$(sha256sum </tmp/back)"
# Link.
host ctl nic link net0 down
wait_for 15 carrier_is 0 && ok net.down "carrier gone" || bad net.down "carrier stayed"
host ctl nic link net0 up
wait_for 15 carrier_is 1 && ok net.up "carrier back" || bad net.up "no carrier"
wait_for 15 reached || bad net.up "no answer"
# What the driver asks for: seen by the host, which counts.
host netcounts
# A larger MTU: the driver closes its channels and starts anew.
if ip link set eth0 mtu 9000 && wait_for 20 reached &&
    ping -c 3 -W 2 -s 8972 10.99.0.1 >/dev/null 2>&1; then
	ok net.jumbo "8,972 bytes answered"
else
	bad net.jumbo "no answer of 8,972 bytes: $(ip link show eth0 | tr '\n' ' ')"
fi
try net.jumbotcp iperf3 -f m -t 2 -c 10.99.0.1 -R
# Promiscuous, a group.
ip link set eth0 promisc on
wait_for 5 reached && ok net.promisc "answered" || bad net.promisc "no answer"
ip link set eth0 promisc off
# Unplugged and plugged in under load, the cable first: hv_netvsc of 6.1 lets go of
# its callback when it reads the rescind, and would wait for ever for the answer
# to a frame that was under way (rndis_filter_device_remove, wait_drain).
gone() { [ ! -e /sys/class/net/eth0 ]; }
there() { [ -e /sys/class/net/eth0 ]; }
again() { ip addr add 10.99.0.2/24 dev eth0 2>/dev/null; ip link set eth0 up; reached; }
cycles=0
while [ $cycles -lt 3 ]; do
	ping -c 1000 -i 0.01 10.99.0.1 >/dev/null 2>&1 &
	load=$!
	host ctl nic link net0 down
	wait_for 15 carrier_is 0 || break
	sleep 0.3
	host ctl nic remove net0
	wait_for 20 gone || break
	host netadd
	wait_for 20 there || break
	host netup
	wait_for 20 again || break
	kill $load 2>/dev/null
	wait $load 2>/dev/null
	cycles=$((cycles + 1))
done
expect net.hotplug 3 $cycles
echo "figure: net.basic stock hv_netvsc: TCP${rates:-} Mbit/s out and in (emulated processor), 2 MB bit for bit"
echo "figure: net.jumbo stock hv_netvsc: MTU 9000, 8,972 bytes answered, TCP"
echo "figure: net.hotplug stock hv_netvsc: $cycles times out and in under ping"
echo "figure: net.offload stock hv_netvsc: its checksums and large sends made by the host, TCP both ways"
echo "figure: net.vrss stock hv_netvsc: $queues channels, hash and table from the guest, frames by each"
