#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# kyuafiles.sh BUILD PROGRAM...: a Kyuafile in each folder that has programs,
# since kyua wants them beside each other, and BUILD/Kyuafile over them all.
# Whole-system tests run alone: they time out when the machine is crowded.
set -eu
build=$1
shift
printf 'syntax(2)\ntest_suite("hvkit")\n' >"$build/Kyuafile.tmp"
for dir in $(for p; do dirname "$p"; done | sort -u); do
	mkdir -p "$build/$dir"
	case $dir in
	tests/e2e | tests/kernels) extra=', is_exclusive=true' ;;
	*) extra= ;;
	esac
	{
		printf 'syntax(2)\ntest_suite("hvkit")\n'
		for p; do
			[ "$(dirname "$p")" != "$dir" ] ||
			    echo "atf_test_program{name=\"${p##*/}\"$extra}"
		done
	} >"$build/$dir/Kyuafile"
	echo "include(\"$dir/Kyuafile\")" >>"$build/Kyuafile.tmp"
done
mv "$build/Kyuafile.tmp" "$build/Kyuafile"
