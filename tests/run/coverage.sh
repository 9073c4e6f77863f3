#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# coverage.sh DIR PROGRAM...: run the cases of test programs that were built with
# clang's counters under DIR, and print for each file of libhvk the lines and
# functions that were reached.  Only whether they pass counts elsewhere: a case
# that fails here is named and its lines count.
set -eu
cd "$(dirname "$0")/../.."
top=$PWD
dir=$1
shift
rm -rf "$dir/raw"
mkdir -p "$dir/raw" "$dir/work"
n=0 objects=
if [ -t 2 ]; then progress='\r%-70s'; else progress=; fi
for program; do
	objects="$objects -object $program"
	for case in $("$program" -l | sed -n 's/^ident: //p'); do
		n=$((n + 1))
		# shellcheck disable=SC2059 # it is the format
		[ -z "$progress" ] || printf "$progress" "coverage: $n $(basename "$program") $case" >&2
		(cd "$dir/work" && LLVM_PROFILE_FILE=$top/$dir/raw/%p.profraw \
		    timeout 600 "$top/$program" -s "$top/$(dirname "$program")" \
		    "$case" >case.out 2>&1) ||
		    printf '\rcoverage: %s %s failed\n' "$program" "$case" >&2
	done
done
# shellcheck disable=SC2059
[ -z "$progress" ] || printf "$progress\\r" "" >&2
find "$dir/raw" -name '*.profraw' >"$dir/raw.list"
llvm-profdata merge -sparse -f "$dir/raw.list" -o "$dir/all.profdata"
echo "$n cases of $# programs"
# shellcheck disable=SC2086 # a list of options
llvm-cov export -summary-only -instr-profile "$dir/all.profdata" $objects |
    jq -r --arg top "$top/" '
	def row(n; s): "\(n)\t\(s.lines.count)\t\(s.lines.covered)\t" +
	    "\(s.functions.count)\t\(s.functions.covered)";
	.data[0].files | map(select(.filename | test("core/(common|guest|host)/[^/]*\\.c$"))) |
	sort_by(.filename) as $f |
	($f[] | row(.filename | ltrimstr($top); .summary)),
	"all\t\([$f[].summary.lines.count] | add)\t\([$f[].summary.lines.covered] | add)" +
	"\t\([$f[].summary.functions.count] | add)\t\([$f[].summary.functions.covered] | add)"' |
    awk -F '\t' 'BEGIN { printf("%-36s %7s %9s %7s\n", "file", "lines", "functions", "reached") }
	{ printf("%-36s %7d %9d %6.1f%%\n", $1, $2, $4, $2 ? 100 * $3 / $2 : 100) }'
