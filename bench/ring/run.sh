#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# run.sh PROGRAM DIRECTORY: measures the rings and writes DIRECTORY/ring.json.
# R1 counts instructions with callgrind, as the difference of two run lengths,
# so that start-up does not count; R2 is the least TSC cycles of interleaved
# rounds; R3 is the median of per-round ratios between two cores.
#
# What R3 found between two cores.  Packets of 64 bytes: the bytes are 1.4 lines
# each (descriptor, payload, trailer), the peers' 1.1; what counts beside them is
# the one line with both indices, so room is given back a quarter of a ring at a
# time ("apart").  1500 bytes: the copy into lines that the other core has read is
# all; asked for 2 KiB ahead they come 1.4 to 1.7 times as fast, for an
# instruction each, which is why a packet does not do it by itself (R1).

set -eu
ring=$1
dir=$2
rows=$dir/ring.rows
mkdir -p "$dir"
: > "$rows"

# instructions RING LEN: per packet, both directions
instructions() {
	for n in 200 600; do
		valgrind --tool=callgrind --callgrind-out-file=/dev/null \
		    "$ring" count "$1" "$2" $n 2>&1 |
		    sed -n 's/.*Collected : //p'
	done | xargs | awk '{ printf "%.1f", ($2 - $1) / (400 * 32) }'
}

# row ID CASE VALUE UNIT TARGET BETTER PEER PEER_VALUE
row() {
	printf '%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "$@" >> "$rows"
	printf '%-4s %-22s %10s %-13s target %8s   %s %s\n' "$1" "$2" "$3" \
	    "$4" "$5" "$7" "$8"
}

if command -v valgrind > /dev/null; then
	for pair in 64:110 256:146 1500:432 4096:912; do
		len=${pair%:*}
		row R1 "$len" "$(instructions hvk "$len")" instructions \
		    "${pair#*:}" lower rte_ring+copy \
		    "$(instructions rte_ring+copy "$len")"
	done
else
	echo "ring: R1 not measured, valgrind is not installed"
fi
tab=$(printf '\t')
for pair in 64:26 256:45 1500:164 4096:388; do
	len=${pair%:*}
	"$ring" cycles "$len" > "$dir/ring.out"
	own=$(sed -n "s/^hvk$tab//p" "$dir/ring.out")
	peer=$(sed -n "s/^rte_ring+copy$tab//p" "$dir/ring.out")
	row R2 "$len" "$own" cycles "${pair#*:}" lower rte_ring+copy "$peer"
done
if [ "$(nproc)" -ge 2 ]; then
	for len in 64 1500; do
		if ! "$ring" cores "$len" > "$dir/ring.out"; then
			echo "ring: R3 not measured at $len"
			continue
		fi
		while IFS=$tab read -r name ratio rate; do
			target=1.3
			case "$name" in
			hvk*)	echo "     $name at $len: $rate Mpps"
				continue ;;
			round*)	echo "     cache line there and back: $ratio ns"
				continue ;;
			*)	[ "$len" -ne 64 ] || target=1.4 ;;
			esac
			row R3 "$len over $name" "$ratio" ratio $target higher \
			    "$name (Mpps)" "$rate"
		done < "$dir/ring.out"
	done
else
	echo "ring: R3 not measured, it needs two processors"
fi
rm -f "$dir/ring.out"
awk -F '\t' 'BEGIN { print "[" }
{ printf "%s {\"id\": \"%s\", \"case\": \"%s\", \"value\": %s, \"unit\": \"%s\", \"target\": %s, \"better\": \"%s\", \"peer\": \"%s\", \"peer_value\": %s}", (NR > 1 ? ",\n" : ""), $1, $2, $3, $4, $5, $6, $7, $8 }
END { print "\n]" }' "$rows" > "$dir/ring.json"
rm -f "$rows"
bench/plot.sh "$dir"
