#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# check.sh [-p PACKETS] [-s SIZE]: explores every execution of signal.pml under
# both memories, with and without the monitor page.  With all fences there must
# be no error; without any one of the four there must be one.

set -eu
packets=4 size=2
while getopts p:s: o; do
	case $o in
	p)	packets=$OPTARG ;;
	s)	size=$OPTARG ;;
	*)	echo "usage: check.sh [-p packets] [-s size]" >&2; exit 2 ;;
	esac
done
here=$(cd "$(dirname "$0")" && pwd)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
bad=0
for memory in TSO WEAK; do
	for way in HYPERCALL MONITOR; do
		for without in 0 1 2 3 4; do
			spin -a -D$memory -D$way -DNO_FENCE=$without \
			    -DPACKETS=$packets -DSIZE=$size \
			    "$here/signal.pml" > spin.log 2>&1 ||
			    { cat spin.log; exit 1; }
			cc -O2 -w -DSAFETY -DCOLLAPSE -DMEMLIM=4096 -o pan pan.c
			./pan -m200000 > pan.log 2>&1 || true
			errors=$(sed -n 's/.*errors: \([0-9]*\).*/\1/p' pan.log)
			states=$(sed -n 's/ *\([0-9.e+]*\) states, stored.*/\1/p' \
			    pan.log)
			[ -n "$errors" ] || { cat pan.log; exit 1; }
			if grep -q "max search depth too small\|out of memory" \
			    pan.log; then
				echo "search was cut short:"; cat pan.log
				bad=1
			fi
			if [ $without -eq 0 ]; then
				word="all fences"
				[ "$errors" -eq 0 ] || bad=1
			else
				word="without fence $without"
				[ "$errors" -ne 0 ] || bad=1
			fi
			echo "$memory $way, $word: $errors errors," \
			    "$states states"
		done
	done
done
[ $bad -eq 0 ] && echo "as it must be" || echo "NOT as it must be"
exit $bad
