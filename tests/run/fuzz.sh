#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# fuzz.sh SECONDS TARGET...: run each fuzz target for that long from its kept
# corpus (new inputs go to build/corpus), and print executions per second.
set -eu
cd "$(dirname "$0")/../.."
seconds=$1
shift
[ $# -gt 0 ] || { echo "fuzz: no targets are built"; exit 1; }
status=0
for target; do
	noun=$(basename "$target" _fuzz)
	kept=
	for dir in */fuzz/corpus/"$noun" */*/fuzz/corpus/"$noun"; do
		[ ! -d "$dir" ] || kept=$dir
	done
	mkdir -p "build/corpus/$noun" build/crash
	log=build/corpus/$noun.log
	if "$target" -max_total_time="$seconds" -print_final_stats=1 \
	    -timeout=10 -rss_limit_mb=2048 -artifact_prefix="build/crash/$noun-" \
	    "build/corpus/$noun" ${kept:+"$kept"} >"$log" 2>&1 </dev/null; then
		awk -v n="$noun" '/number_of_executed_units/ { u = $2 }
		    /average_exec_per_sec/ { e = $2 }
		    END { printf("fuzz: %-14s %12d executions, %8d a second\n", n, u, e) }' "$log"
	else
		echo "fuzz: $noun FAILED; the end of $log:"
		tail -n 30 "$log"
		status=1
	fi
done
exit $status
