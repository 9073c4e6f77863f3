#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# kyuafiles.sh BUILD PROGRAM...: a Kyuafile in each folder that has programs,
# since kyua wants them beside each other, and BUILD/Kyuafile over them all.
# Those that measure a network, and kernels under an emulator, run alone at the
# end; the others only wait longer when the machine is crowded.
set -eu
build=$1
shift
printf 'syntax(2)\ntest_suite("hvkit")\n' >"$build/Kyuafile.tmp"
for dir in $(for p; do dirname "$p"; done | sort -u); do
	mkdir -p "$build/$dir"
	{
		printf 'syntax(2)\ntest_suite("hvkit")\n'
		for p; do
			[ "$(dirname "$p")" = "$dir" ] || continue
			case $p in
			tests/e2e/hn_test | tests/e2e/nic_test | tests/kernels/*)
				extra=', is_exclusive=true' ;;
			*) extra= ;;
			esac
			echo "atf_test_program{name=\"${p##*/}\"$extra}"
		done
	} >"$build/$dir/Kyuafile"
	echo "include(\"$dir/Kyuafile\")" >>"$build/Kyuafile.tmp"
done
mv "$build/Kyuafile.tmp" "$build/Kyuafile"
