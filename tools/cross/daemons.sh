#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# daemons.sh OUT: cross-build usr.sbin/hyperv for FreeBSD with the Makefiles
# that FreeBSD uses, a stand-in for bsd.prog.mk and zig's C compiler (tools/
# deps.sh zig): OUT/amd64 and OUT/arm64. What is in FreeBSD's base system but
# not in zig's libc is linked by a library of the same name from tools/cross.
set -eu
out=$1
top=$(pwd)
zig=$top/build/zig/node_modules/.bin/zig
export ZIG_GLOBAL_CACHE_DIR="$top/build/zig/cache"
export ZIG_LOCAL_CACHE_DIR="$top/build/zig/cache"
mkdir -p "$out"
exec 9>"$out/.lock"
flock 9
for arch in amd64:x86_64-freebsd arm64:aarch64-freebsd; do
	machine=${arch%%:*}
	mkdir -p "$out/$machine"
	lib=$top/$out/obj/$machine/lib
	mkdir -p "$lib"
	"$zig" cc -target "${arch#*:}" -Itools/cross/xo -shared -fPIC -O1 \
	    -Wl,-soname,libxo.so.0 -o "$lib/libxo.so" tools/cross/xo/xo.c
	for dir in usr.sbin/hyperv/*/Makefile; do
		dir=${dir%/Makefile}
		name=${dir##*/}
		obj=$top/$out/obj/$machine/$name
		mkdir -p "$obj"
		MAKEOBJDIR=$obj MAKEFLAGS='' bmake -C "$dir" -j2 -s \
		    -m "$top/tools/cross" CC="$zig cc" \
		    TRIPLE="${arch#*:}" CROSSLIB="$lib" all
		cp "$obj/$name" "$out/$machine/$name"
	done
	echo "daemons: $machine: $(cd "$out/$machine" && echo *)"
done
