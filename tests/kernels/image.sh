#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# image.sh OUT: the initramfs archives of the nested chain, from installed
# Debian packages.  In OUT:
#
#	guest.cpio	for the kernel under test: busybox, the Hyper-V modules of
#			linux-image-cloud-amd64, tools, tests/kernels/guest
#	guest.kernel	its kernel image
#	host.cpio	for QEMU: busybox, the KVM modules of linux-image-amd64,
#			hvk, the two files above, tests/kernels/*.sh
#	host.kernel	the kernel that QEMU boots
#
# A file is made again only when what goes into it has changed.
set -eu
top=$(cd "$(dirname "$0")/../.." && pwd)
build=${HVK_BUILD:-$top/build}
out=$1
PATH=$PATH:/usr/sbin:/sbin
export LC_ALL=C
mkdir -p "$out"

die() { echo "image: $*" >&2; exit 1; }

# The newest version that a kernel's package depends on.
version_of() {
	dpkg-query -W -f '${Depends}\n' "$1" 2>/dev/null |
	    sed -n 's/^linux-image-\([^ ,]*\).*/\1/p'
}

# add_file DIR FILE [AS]: with the shared libraries that it needs.
add_file() {
	[ -f "$2" ] || die "$2 is missing; run tools/deps.sh"
	mkdir -p "$1/$(dirname "${3:-$2}")"
	cp -L "$2" "$1/${3:-$2}"
	ldd "$2" 2>/dev/null | sed -n 's/.*=> \(\/[^ ]*\).*/\1/p; s/^[	 ]*\(\/[^ ]*ld-[^ ]*\).*/\1/p' |
	while read -r lib; do
		[ -e "$1/$lib" ] || {
			mkdir -p "$1/$(dirname "$lib")"
			cp -L "$lib" "$1/$lib"
		}
	done
}

# add_modules DIR VERSION NAME...: with those they need; /modules/NAME lists
# the files in the order in which insmod takes them.
add_modules() {
	_dir=$1
	_version=$2
	shift 2
	mkdir -p "$_dir/modules"
	for _name; do
		modprobe -D -S "$_version" "$_name" >"$_dir/modules/$_name.dep" ||
		    die "no module $_name for $_version"
		sed -n 's/^insmod \([^ ]*\).*/\1/p' "$_dir/modules/$_name.dep" \
		    >"$_dir/modules/$_name"
		rm "$_dir/modules/$_name.dep"
		while read -r _ko; do
			cp "$_ko" "$_dir/modules/"
		done <"$_dir/modules/$_name"
		sed -i 's|.*/||' "$_dir/modules/$_name"
	done
}

skeleton() {
	rm -rf "$1"
	mkdir -p "$1/bin" "$1/sbin" "$1/dev" "$1/proc" "$1/sys" "$1/tmp" "$1/etc" "$1/run" "$1/mnt" \
	    "$1/usr/bin" "$1/usr/sbin" "$1/root"
	add_file "$1" "$(command -v busybox)" bin/busybox
	for _applet in $(busybox --list); do
		[ "$_applet" = busybox ] || ln -s busybox "$1/bin/$_applet"
	done
	echo 'root:x:0:0:root:/root:/bin/sh' >"$1/etc/passwd"
}

archive() {
	(cd "$1" && find . | cpio -o -H newc --quiet -R 0:0) >"$2.tmp"
	mv "$2.tmp" "$2"
	rm -rf "$1"
}

# changed STAMP TEXT...: does the stamp say something else?
changed() {
	_stamp=$1
	shift
	[ "$(cat "$_stamp" 2>/dev/null)" != "$*" ]
}

cloud=$(version_of linux-image-cloud-amd64)
plain=$(version_of linux-image-amd64)
[ -n "$cloud" ] || die "linux-image-cloud-amd64 is not installed; run tools/deps.sh"
[ -f "/boot/vmlinuz-$cloud" ] || die "/boot/vmlinuz-$cloud is missing"

guest_files="/usr/bin/sg_inq /usr/bin/sg_vpd /usr/bin/sg_readcap /usr/bin/sg_sync \
    /sbin/mkfs.ext4 /sbin/e2fsck /sbin/blkdiscard /usr/bin/iperf3 \
    /usr/sbin/hv_kvp_daemon /usr/sbin/hv_vss_daemon /usr/sbin/hv_fcopy_daemon"
guest_modules="hv_vmbus hv_storvsc sd_mod sr_mod sg hv_netvsc hv_utils hv_balloon
    hyperv_fb hyperv-keyboard hid-hyperv hv_sock pci-hyperv"
# shellcheck disable=SC2086
sum="$cloud $(cat "$top"/tests/kernels/guest/* "$top/tests/kernels/image.sh" "$build/kernels/twocpus" \
    $guest_files | sha256sum)"
if changed "$out/guest.stamp" "$sum"; then
	dir=$out/guest.dir
	skeleton "$dir"
	for file in $guest_files; do
		add_file "$dir" "$file"
	done
	mkdir -p "$dir/usr/libexec/hypervkvpd"
	cp /usr/libexec/hypervkvpd/* "$dir/usr/libexec/hypervkvpd/"
	# shellcheck disable=SC2086
	add_modules "$dir" "$cloud" $guest_modules
	mkdir -p "$dir/checks"
	cp "$top"/tests/kernels/guest/* "$dir/checks/"
	cp "$top/tests/kernels/guest/init" "$dir/init"
	add_file "$dir" "$build/kernels/twocpus" bin/twocpus
	chmod 755 "$dir/init"
	archive "$dir" "$out/guest.cpio"
	cp "/boot/vmlinuz-$cloud" "$out/guest.kernel"
	echo "$sum" >"$out/guest.stamp"
fi

[ "${2:-}" != direct ] || exit 0
[ -n "$plain" ] || die "linux-image-amd64 is not installed; run tools/deps.sh"
sum="$plain $sum $(cat "$top"/tests/kernels/*.sh "$build/bin/hvk" "$build/bin/kvmprobe" \
    "$build/port/freestanding.elf" | sha256sum)"
if changed "$out/host.stamp" "$sum"; then
	dir=$out/host.dir
	skeleton "$dir"
	add_file "$dir" "$build/bin/hvk" bin/hvk
	add_file "$dir" "$build/bin/kvmprobe" bin/kvmprobe
	add_file "$dir" /usr/bin/iperf3
	add_file "$dir" /usr/bin/jq
	add_modules "$dir" "$plain" irqbypass kvm ccp kvm-amd tun
	mkdir -p "$dir/chain"
	# Another host, for the freestanding guest: QEMU and its firmware.
	add_file "$dir" /usr/bin/qemu-system-x86_64
	for rom in seabios/bios-256k.bin qemu/pvh.bin qemu/kvmvapic.bin qemu/linuxboot_dma.bin; do
		[ -f "/usr/share/$rom" ] || die "/usr/share/$rom is missing; run tools/deps.sh"
		mkdir -p "$dir/usr/share/qemu"
		cp -L "/usr/share/$rom" "$dir/usr/share/qemu/"
	done
	cp "$top"/tests/kernels/*.sh "$out/guest.cpio" "$out/guest.kernel" \
	    "$build/port/freestanding.elf" "$dir/chain/"
	cp "$top/tests/kernels/outer.sh" "$dir/init"
	chmod 755 "$dir/init"
	archive "$dir" "$out/host.cpio"
	cp "/boot/vmlinuz-$plain" "$out/host.kernel"
	echo "$sum" >"$out/host.stamp"
fi
