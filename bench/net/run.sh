#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# run.sh PROGRAM DIRECTORY: N1, frames a second between two processes, ours and
# DPDK's testpmd (vhost-user with virtio-user, and memif) in turn on the same
# two processors, the median of the rounds' ratios; N3, instructions for each
# frame with 1 to 8 queues, and how often a side publishes.
#
# BENCH_ROUNDS (default 5) rounds of BENCH_SECONDS (default 1) for each.  While it
# is measured, a pair that polls runs before everything else on the machine, ours
# as theirs: one that waits for a processor says nothing of the path between two.

set -eu
net=$1
dir=$2
rounds=${BENCH_ROUNDS:-5}
seconds=${BENCH_SECONDS:-1}
rows=$dir/net.rows
mkdir -p "$dir"
: > "$rows"
work=$(mktemp -d "${TMPDIR:-/tmp}/hvk-net.XXXXXX")
pids=""
stop() {
	for p in $pids; do
		kill "$p" 2> /dev/null || true
		wait "$p" 2> /dev/null || true
	done
	pids=""
}
trap 'stop; rm -rf "$work"' EXIT
trap 'exit 1' INT TERM

# row ID CASE VALUE UNIT TARGET BETTER PEER PEER_VALUE
row() {
	printf '%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "$@" >> "$rows"
	printf '%-4s %-28s %10s %-13s target %6s   %s %s\n' "$1" "$2" "$3" \
	    "$4" "$5" "$7" "$8"
}

median() {
	sort -n | awk '{ v[NR] = $1 } END { if (NR == 0) print 0
	    else print v[int((NR + 1) / 2)] }'
}

# Needs the right to, and a kernel that keeps a rest for all others.
first=
if [ "$(cat /proc/sys/kernel/sched_rt_runtime_us 2> /dev/null || echo -1)" \
    -gt 0 ] && chrt -f 1 true 2> /dev/null; then
	first="chrt -f 1"
fi

# hurry: the threads of testpmd that poll
hurry() {
	[ -n "$first" ] || return 0
	for p in $pids; do
		for task in "/proc/$p/task"/*; do
			case $(cat "$task/comm" 2> /dev/null) in
			*worker*) chrt -f -p 1 "${task##*/}" 2> /dev/null ||
				    true ;;
			esac
		done
	done
}

# wait_for FILE-OR-PATTERN: of testpmd, 30 s
wait_for() {
	n=0
	while [ "$n" -lt 150 ] && ! { [ -e "$1" ] ||
	    grep -q "$1" "$work/rx.out"; } 2> /dev/null; do
		sleep 0.2
		n=$((n + 1))
	done
}

# pmd NAME CPU DEVICE MODE LEN: one testpmd, in the background
pmd() {
	dpdk-testpmd --lcores "0@$2,1@$2" --no-huge -m 512 --no-pci \
	    --file-prefix="hvk$$$1" --no-telemetry --vdev "$3" -- \
	    --forward-mode="$4" --txpkts="$5" --auto-start \
	    --total-num-mbufs=16384 --stats-period 1 \
	    < /dev/null > "$work/$1.out" 2>&1 &
	pids="$pids $!"
}

# peer KIND LEN: Mpps of a pair of them; nothing if it did not run
peer() {
	rm -f "$work"/*.sock "$work"/*.out
	case $1 in
	vhost)	pmd rx 0 "net_vhost0,iface=$work/v.sock,queues=1" rxonly "$2"
		wait_for "$work/v.sock"
		pmd tx 1 "net_virtio_user0,path=$work/v.sock,queues=1" \
		    txonly "$2" ;;
	memif)	pmd rx 0 "net_memif0,role=server,id=0,socket=$work/m.sock,socket-abstract=no" rxonly "$2"
		wait_for "$work/m.sock"
		pmd tx 1 "net_memif0,role=client,id=0,socket=$work/m.sock,socket-abstract=no" txonly "$2" ;;
	esac
	wait_for 'Rx-pps: *[1-9]'
	hurry
	# The first figure after that is half of what was before.
	lines=$(grep -c 'Rx-pps' "$work/rx.out" || true)
	n=0
	while [ "$n" -lt 100 ] && [ "$(grep -c 'Rx-pps' "$work/rx.out")" \
	    -lt $((lines + seconds + 1)) ]; do
		sleep 0.1
		n=$((n + 1))
	done
	stop
	sed -n 's/.*Rx-pps: *\([0-9][0-9]*\).*/\1/p' "$work/rx.out" |
	    tail -n +$((lines + 2)) | median |
	    awk '$1 > 0 { printf "%.3f\n", $1 / 1e6 }'
}

compare() {
	len=$1
	: > "$work/own"
	for kind in vhost memif; do
		: > "$work/$kind" ; : > "$work/$kind.ratio"
	done
	round=0
	# A crowded machine starts testpmd slowly: fewer rounds, then.
	limit=$(($(date +%s) + 80))
	while [ "$round" -lt "$rounds" ] && { [ "$round" -lt 2 ] ||
	    [ "$(date +%s)" -lt "$limit" ]; }; do
		# shellcheck disable=SC2086 # nothing, or words
		own=$($first "$net" rate "$len" "${seconds}000" to-host)
		echo "$own" >> "$work/own"
		# shellcheck disable=SC2086
		$first "$net" rate "$len" "${seconds}000" to-guest \
		    > "$work/back"
		cat "$work/back" >> "$work/guest"
		said="to the host $own, to the guest $(cat "$work/back")"
		for kind in vhost memif; do
			theirs=$(peer $kind "$len")
			[ -n "$theirs" ] || continue
			echo "$theirs" >> "$work/$kind"
			echo "$own $theirs" | awk '{ print $1 / $2 }' \
			    >> "$work/$kind.ratio"
			said="$said, $kind $theirs"
		done
		round=$((round + 1))
		echo "     round $round of $rounds at $len: $said Mpps"
	done
	echo "     ours at $len: to the host $(median < "$work/own")," \
	    "to the guest $(median < "$work/guest") Mpps"
	for kind in vhost memif; do
		target=1.0
		[ "$kind$len" != vhost64 ] || target=1.5
		[ -s "$work/$kind" ] || {
			echo "net: no figure of testpmd with $kind"
			continue
		}
		row N1 "$len over $kind" "$(median < "$work/$kind.ratio" |
		    awk '{ printf "%.2f", $1 }')" ratio $target higher \
		    "testpmd $kind (Mpps)" "$(median < "$work/$kind")"
	done
	rm -f "$work/guest"
}

# instructions QUEUES LEN: for each frame, both sides together
instructions() {
	for n in 200 600; do
		valgrind --tool=callgrind --callgrind-out-file=/dev/null \
		    "$net" count "$1" "$2" $n 2>&1 |
		    sed -n 's/.*Collected : //p'
	done | xargs | awk -v n="$((400 * 64 * $1))" \
	    '{ printf "%.1f", ($2 - $1) / n }'
}

echo "Network: frames between two processes, load" \
    "$(cut -d' ' -f1-3 /proc/loadavg)"
if ! command -v dpdk-testpmd > /dev/null; then
	echo "net: N1 not measured, dpdk-testpmd is not installed"
elif [ "$(nproc)" -lt 2 ]; then
	echo "net: N1 not measured, it needs two processors"
else
	compare 64
	compare 1500
fi
if command -v valgrind > /dev/null; then
	one=$(instructions 1 64)
	for q in 2 4 8; do
		row N3 "$q queues over 1, 64" "$(echo "$(instructions $q 64)" \
		    "$one" | awk '{ printf "%.3f", $1 / $2 }')" ratio 1.05 \
		    lower "1 queue (instructions)" "$one"
	done
	echo "     instructions at 1500: $(instructions 1 1500)"
else
	echo "net: N3's instructions not measured, valgrind is not installed"
fi
"$net" count 1 64 1000 > "$work/count"
read -r _ frames _ bursts _ published _ signals < "$work/count"
row N3 "completions published" "$(echo "$frames $published" |
    awk '{ printf "%.5f", $2 / $1 }')" "per frame" 0.03125 lower \
    "bursts of 32" "$bursts"
row N3 "signals, both asleep" "$(echo "$frames $signals" |
    awk '{ printf "%.4f", $2 / $1 }')" "per frame" 0.0625 lower \
    "signals" "$signals"

awk -F '\t' 'BEGIN { print "[" }
{ printf "%s {\"id\": \"%s\", \"case\": \"%s\", \"value\": %s, \"unit\": \"%s\", \"target\": %s, \"better\": \"%s\", \"peer\": \"%s\", \"peer_value\": %s}", (NR > 1 ? ",\n" : ""), $1, $2, $3, $4, $5, $6, $7, $8 }
END { print "\n]" }' "$rows" > "$dir/net.json"
rm -f "$rows"
bench/plot.sh "$dir"
