#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# run.sh BUILD: N2, instructions that hn(4) and the bus driver below it execute
# for each frame, sending and receiving, by size and by batch.  The modules run
# in kldrun under callgrind, on a host that is not; hn0 and hn1 are joined there
# and hnbench.ko sends from one to the other (see hnbench.c).
#
# Each figure is the difference of two lengths of run.  "driver" is the code of
# the two modules.  Beside it stand what they had copied by the kernel's memcpy,
# and the rest of the kernel on those threads: kldrun's, which is no FreeBSD's.
#
# The peer's figures were measured outside this repository, by this script:
# HVK_BENCH_HN_PEER=DIRECTORY measures the hv_vmbus.ko and hv_netvsc.ko that are
# there, with an hnbench.ko made for them, and prints lines for peer.txt.
# HVK_BENCH_HN_FUNCTIONS=1 prints where the instructions are, and
# HVK_BENCH_HN_SIZES and _BATCHES choose (default "64 256 1500 9000", "1 8 32").

set -eu
build=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
dir=$build/bench
rows=$dir/hn.rows
kldrun=$build/bin/kldrun
peer=${HVK_BENCH_HN_PEER:-}
short=512 long=1536			# frames of the two runs

for tool in valgrind vgdb; do
	command -v $tool > /dev/null || {
		echo "hn: N2 not measured, $tool is not installed"
		exit 0
	}
done
mkdir -p "$dir"
: > "$rows"
work=$(mktemp -d "${TMPDIR:-/tmp}/hvk-bench-hn.XXXXXX")
host=
stop() {
	[ -z "$host" ] || {
		kill "$host" 2> /dev/null || true
		wait "$host" 2> /dev/null || true
	}
	host=
}
trap 'stop; rm -rf "$work"' EXIT
trap 'exit 1' INT TERM

give_up() {
	echo "hn: $*" >&2
	tail -n 20 "$work/log" >&2 || true
	exit 1
}

control() { timeout 120 "$kldrun" --dir "$work/vm" "$@"; }
set_() { control sysctl "$@" > /dev/null; }
monitor() { timeout 60 vgdb --pid="$guest" "$@" > "$work/vgdb" 2>&1; }

start() {
	modules=$work/modules
	mkdir "$modules" "$work/cg"
	cp "${peer:-$build/modules}/hv_vmbus.ko" \
	    "${peer:-$build/modules}/hv_netvsc.ko" "$modules"
	bench=${peer:-$build/bench/hn}/hnbench.ko
	# One ring an adapter; what waits is sent by the channel's own thread.
	cat > "$work/kldrun" << END
#!/bin/sh
echo \$\$ > $work/pid
exec valgrind --tool=callgrind --smc-check=all --separate-threads=yes \\
    --dump-instr=yes --callgrind-out-file=$work/cg/out \\
    $kldrun --env hw.hn.chan_cnt=1 --env hw.hn.tx_taskq_mode=2 \\
    "\$@" $bench
END
	chmod +x "$work/kldrun"
	"$build/bin/hvk" run --dir "$work/vm" --cpus 2 -o kldrun="$work/kldrun" \
	    --modules "$modules" --nic "pair:$work/cable,mtu=9000" \
	    --nic "pair:$work/cable,mtu=9000" > "$work/log" 2>&1 < /dev/null &
	host=$!
	n=0
	while ! grep -q 'the guest is up' "$work/log"; do
		n=$((n + 1))
		if [ $n -ge 600 ] || ! kill -0 "$host" 2> /dev/null; then
			give_up "the guest did not start"
		fi
		sleep 0.2
	done
	guest=$(cat "$work/pid")
	for i in 0 1; do
		control ifconfig hn$i mtu 9000 up ||
		    give_up "hn$i cannot be configured"
	done
	control symbols > "$work/symbols"
}

# run FRAMES: callgrind's files of this run, in $files
dump=0
run() {
	monitor zero || give_up "callgrind cannot be told to begin"
	set_ hw.hnbench.run=$(($1 / batch)) || give_up "frames were lost"
	monitor dump || give_up "callgrind cannot be told to end"
	dump=$((dump + 1))
	files=$(ls "$work/cg/out.$dump"-*)
}

# row DIRECTION DRIVER COPY KERNEL
row() {
	theirs=$(awk -v d="$1" -v l="$len" -v b="$batch" \
	    '$1 == d && $2 == l && $3 == b { print $4 }' "$here/peer.txt")
	target=null
	[ -z "$theirs" ] || target=$(awk "BEGIN { print $theirs / 2 }")
	printf 'N2\t%s\t%s\tinstructions\t%s\tlower\thn(4) of FreeBSD\t%s\n' \
	    "$1 $len, batch $batch" "$2" "$target" "${theirs:-null}" >> "$rows"
	printf 'N2   %-22s %8s instructions  target %6s  FreeBSD %6s' \
	    "$1 $len, batch $batch" "$2" "$target" "${theirs:--}"
	printf '   copy %s, kldrun %s\n' "$3" "$4"
}

# measure LEN BATCH
measure() {
	len=$1 batch=$2
	if [ "$batch" = 1 ]; then
		set_ dev.hn.0.sched_tx=0 dev.hn.0.direct_tx_size=65536
	else
		set_ dev.hn.0.sched_tx=1
	fi
	set_ hw.hnbench.len="$len" hw.hnbench.batch="$batch"
	set_ hw.hnbench.run=8		# everything is in place now
	for frames in $short $long; do
		run $frames
		# shellcheck disable=SC2086 # a list of files
		awk -v functions="${HVK_BENCH_HN_FUNCTIONS:-0}" \
		    -f "$here/count.awk" "$work/symbols" $files > \
		    "$work/count.$frames"
	done
	awk -v n=$((long - short)) 'NR == FNR { was[$1 " " $2] = $3; next }
	    { printf "%s %s %.1f\n", $1, $2, ($3 - was[$1 " " $2]) / n }' \
	    "$work/count.$short" "$work/count.$long" > "$work/figures"
	for way in tx rx; do
		name=send
		[ $way = tx ] || name=receive
		# shellcheck disable=SC2046 # three numbers
		row $name $(for part in driver copy kernel; do
			sed -n "s/^$way $part //p" "$work/figures"
		done)
		[ -z "${HVK_BENCH_HN_FUNCTIONS:-}" ] ||
		    grep "^$way .*[\`>]" "$work/figures" | sort -k3,3nr |
		    awk '$3 >= 1 { printf "          %8.1f  %s\n", $3, $2 }'
		[ -z "$peer" ] || echo "$name $len $batch" \
		    "$(sed -n "s/^$way driver //p" "$work/figures")" \
		    >> "$dir/hn-peer.txt"
	done
}

echo "hn(4): instructions for each frame, load" \
    "$(cut -d' ' -f1-3 /proc/loadavg)"
rm -f "$dir/hn-peer.txt"
start
for size in ${HVK_BENCH_HN_SIZES:-64 256 1500 9000}; do
	for b in ${HVK_BENCH_HN_BATCHES:-1 8 32}; do
		measure "$size" "$b"
	done
done
[ "$(control sysctl hw.hnbench.lost)" = "hw.hnbench.lost: 0" ] ||
    give_up "frames were lost"
stop
[ -z "$peer" ] || { cat "$dir/hn-peer.txt"; rm -f "$rows"; exit 0; }

awk -F '\t' 'BEGIN { print "[" }
{ printf "%s {\"id\": \"%s\", \"case\": \"%s\", \"value\": %s, \"unit\": \"%s\", \"target\": %s, \"better\": \"%s\", \"peer\": \"%s\", \"peer_value\": %s}", (NR > 1 ? ",\n" : ""), $1, $2, $3, $4, $5, $6, $7, $8 }
END { print "\n]" }' "$rows" > "$dir/hn.json"
rm -f "$rows"
"$here/../plot.sh" "$dir"
