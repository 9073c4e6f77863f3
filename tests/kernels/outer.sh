#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# The first process of the kernel that QEMU boots (tests/kernels/chain.sh):
# insert KVM, run the guests, switch off.
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs -o size=75% tmp /tmp
mkdir -p /dev/pts && mount -t devpts pts /dev/pts
ip link set lo up
for list in irqbypass kvm ccp kvm-amd tun; do
	while read -r ko; do
		[ -d "/sys/module/$(echo "${ko%.ko}" | tr - _)" ] || insmod "/modules/$ko"
	done <"/modules/$list"
done
[ -c /dev/net/tun ] || { mkdir -p /dev/net && mknod /dev/net/tun c 10 200; }
echo "chain: outer kernel $(uname -r), up $(cut -d' ' -f1 /proc/uptime) s, $(nproc) cpu"
echo "chain: $(kvmprobe)"
export HVK=/bin/hvk KERNEL=/chain/guest.kernel INITRD=/chain/guest.cpio \
    BARE=/chain/freestanding.elf
mkdir -p /tmp/run
cd /tmp/run || exit 1
# "chain.runs=a,b" on the kernel's command line; all without it.
runs=$(sed -n 's/.*chain\.runs=\([^ ]*\).*/\1/p' /proc/cmdline | tr , ' ')
# "chain.verbose": the guests' own messages on their consoles, all of them.
! grep -q chain.verbose /proc/cmdline ||
    export VERBOSE='earlyprintk=serial,ttyS0,115200 ignore_loglevel'
# shellcheck disable=SC2086
sh /chain/guests.sh $runs
echo "chain: end after $(cut -d' ' -f1 /proc/uptime) s"
sync
poweroff -f
