#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# plot.sh DIRECTORY: a picture of every DIRECTORY/*.json, each figure as a
# fraction of its target (the line at 1), lower-is-better ones turned round.

set -eu
command -v gnuplot > /dev/null || { echo "no plots: gnuplot is not installed"; exit 0; }
command -v jq > /dev/null || { echo "no plots: jq is not installed"; exit 0; }
for json in "$1"/*.json; do
	[ -s "$json" ] || continue
	base=${json%.json}
	jq -r '.[] | select(.target != null and .target != 0 and .value != 0) |
	    "\"\(.id) \(.case)\" \(if .better == "lower" then .target / .value
	    else .value / .target end)"' "$json" > "$base.dat"
	[ -s "$base.dat" ] || { rm -f "$base.dat"; continue; }
	gnuplot <<EOF
set terminal pngcairo size 1000,600
set output "$base.png"
set title "$(basename "$base"): each figure over its target (1 = reached, more is better)"
set style fill solid 0.6
set boxwidth 0.7
set xtics rotate by -40
# From a tenth to a thousand times: one figure must not flatten the others.
set logscale y
set yrange [0.1:*]
set rmargin 14
set arrow 1 from graph 0, first 1 to graph 1, first 1 nohead lw 2
plot "$base.dat" using 0:2:xtic(1) with boxes notitle
EOF
	rm -f "$base.dat"
	echo "plot: $base.png"
done
