#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# run.sh: what "make run" shows.  A disk image with a partition table and two
# file systems goes through the whole stack: NBD client, da(4), CAM, storvsc,
# VMBus, host, file.  Every step checks what it says and ends the run when it is
# wrong; what it measured goes into the feature matrix at the end.
#
# SIZE_MB is the size of the disk (256), CYCLES the hot-plug cycles (10).
set -euo pipefail
cd "$(dirname "$0")/../.."
top=$PWD
. tests/run/lib.sh
size_mb=${SIZE_MB:-256}
cycles=${CYCLES:-10}
work=build/run
vm=$work/vm
img=$work/disk.img
began=$(now_ms)

step() { printf '\n== %s\n' "$*"; }
say() { printf '   %s\n' "$*"; }
proof() { "$HVK" proof "$1" kld yes "$2" "make run: $3"; say "proved $1: $2"; }

. tests/run/net.sh
. tests/run/services.sh

# rate BYTES MILLISECONDS
rate() { echo "$(($1 / 1048 / ($2 + 1))) MB/s"; }

cleanup() {
	status=$?
	trap - EXIT INT TERM
	for f in "$work"/*.pid "$vm/pid" "$net/pid"; do
		[ ! -s "$f" ] || kill "$(cat "$f")" 2>/dev/null || true
	done
	net_clean
	[ $status -eq 0 ] || echo "make run: failed; the guest's console is $vm/console.log"
	exit $status
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# follow_console FROM: what the guest's console says, as it comes; FROM is
# +1 (from the start) or 0 (from now on).
follow_console() {
	tail -n "$1" -F "$vm/console.log" 2>/dev/null |
	    sed -u 's/^/   guest| /' &
	# The pipe's last process; tail ends by the next write after it.
	echo $! >"$work/tail.pid"
}

unfollow_console() {
	kill "$(cat "$work/tail.pid")" 2>/dev/null || true
	rm -f "$work/tail.pid"
}

make_image() {
	step "a $size_mb MiB disk image: GPT, ext4, FAT"
	truncate -s "${size_mb}M" "$img"
	half=$((size_mb / 2))
	sfdisk -q --wipe never "$img" <<-END
	label: gpt
	start=1MiB, size=$((half - 1))MiB, type=linux, name=files
	start=${half}MiB, size=$((half - 1))MiB, type=uefi, name=boot
	END
	mkdir -p "$work/tree"
	cp -r core doc README.md "$work/tree/" 2>/dev/null || true
	head -c $((16 << 20)) /dev/urandom >"$work/tree/random"
	mkfs.ext4 -q -F -d "$work/tree" -L files -E offset=$((1 << 20)) "$img" \
	    "$((half - 1))M" 2>/dev/null
	fat_at=$((half << 20))
	mkfs.vfat -n BOOT --offset $((fat_at / 512)) "$img" \
	    $(((half - 1) * 1024)) >/dev/null 2>&1
	mcopy -i "$img@@$fat_at" README.md ::README.MD
	cp --sparse=always "$img" "$work/before.img"
	sfdisk -d "$img" | sed -n 's/^[^ ]*img[0-9] : /   /p'
}

boot() {
	step "boot: hvk run, FreeBSD's kernel modules in kldrun, $(uname -m) Linux"
	follow_console +1
	vm_start "$vm" "$img"
	sleep 0.3
	say "da0 serves after $vm_boot_ms ms"
	guest_sysctl "$vm" dev.vmbus.0.version | sed 's/^/   sysctl: /'
	guest_sysctl "$vm" dev.storvsc |
	    sed -n '/state_bin\|: $/d; 1,16s/^/   sysctl: /p'
}

copy_out() {
	step "copy the whole disk out of the guest: nbdcopy, cmp"
	ms=$(now_ms)
	nbdcopy "$(uri "$vm" da0)" "$work/copy.img"
	ms=$(($(now_ms) - ms))
	cmp "$work/copy.img" "$work/before.img" ||
	    fail "the copy differs from the image"
	fsck_copy "$work/copy.img"
	say "$size_mb MiB in $ms ms, $(rate $((size_mb << 20)) $ms), every byte the same"
	proof stor.basic "$size_mb MiB, 0 bytes differ" "nbdcopy and cmp"
}

# The ext4 file system of a copy: consistent, and the files still the same.
fsck_copy() {
	dd if="$1" of="$work/part.img" bs=1M skip=1 count=$((size_mb / 2 - 1)) \
	    status=none
	e2fsck -fn "$work/part.img" >"$work/fsck.log" 2>&1 ||
	    fail "e2fsck complains: $work/fsck.log"
	debugfs -R "dump /random $work/random.out" "$work/part.img" 2>/dev/null
	cmp "$work/tree/random" "$work/random.out" || fail "a file differs"
	rm -f "$work/part.img" "$work/random.out"
}

# The FAT partition is scratch space from here on.
write_verify() {
	step "write and verify: fio through da0 (its nbd engine, crc32c of every block)"
	fio_run verify $((size_mb / 2)) $((size_mb / 2 - 2)) --rw=randwrite \
	    --bsrange=4k-1m --verify=crc32c --do_verify=1 --verify_fatal=1
	io=$(jq '[.jobs[] | .read.total_ios + .write.total_ios] | add' "$work/verify.json")
	wrote=$(jq '[.jobs[] | .write.io_bytes] | add' "$work/verify.json")
	[ "$wrote" -ge $(((size_mb / 2 - 2) << 20)) ] ||
	    fail "fio wrote $wrote bytes only"
	say "$io requests, $((wrote >> 20)) MiB written and read back, 0 errors"
	proof stor.sg "$io requests up to 1 MiB" "fio, 4 KiB to 1 MiB"
	figures_of_channels
}

# fio_run NAME OFFSET_MB SIZE_MB option...: result in NAME.json
fio_run() {
	name=$1 offset=$2 size=$3
	shift 3
	fio --name="$name" --aux-path="$work" --ioengine=nbd --uri="$(uri "$vm" da0)" \
	    --offset="${offset}M" --size="${size}M" --iodepth=16 \
	    --output-format=json --output="$work/$name.json" "$@" \
	    >"$work/$name.log" 2>&1 || {
		tail -n 20 "$work/$name.log" "$work/$name.json"
		fail "fio $name"
	}
	[ "$(jq '[.jobs[].error] | add' "$work/$name.json")" = 0 ] ||
	    fail "fio $name reports errors"
}

# Channels that carried requests, and interrupts for each 1,000 answers.
figures_of_channels() {
	ctl "$vm" --json stat >"$work/stat.json"
	jq -r '.channels[] | "   channel \(.index): \(.rx_packets) requests, \(.tx_packets) answers, \(.signals) interrupts, ring full \(.tx_full) times"' \
	    "$work/stat.json"
	busy=$(jq '[.channels[] | select(.rx_packets > 100)] | length' "$work/stat.json")
	rate=$(jq '[.channels[].signals] as $s | [.channels[].tx_packets] as $p |
	    ($s | add) * 1000 / ($p | add) | floor' "$work/stat.json")
	[ "$busy" -ge 2 ] || fail "only $busy channel carried requests"
	[ "$rate" -lt 1000 ] || fail "$rate interrupts for 1,000 answers"
	proof stor.subchannel "$busy channels carried requests" "hvk ctl stat"
	proof core.multichannel "$busy channels on 2 processors" "hvk ctl stat"
	proof core.signal "$rate interrupts per 1000 answers" "hvk ctl stat"
}

trim() {
	step "trim: the blocks become holes in the host's file"
	before=$(disk_usage "$img")
	trim_mb=$((size_mb / 2 - 2))
	fio_run trim $((size_mb / 2)) $trim_mb --rw=trim --bs=1m
	sync "$img"
	after=$(disk_usage "$img")
	say "$((before / 1024)) MiB allocated before, $((after / 1024)) MiB after"
	filefrag -v "$img" | sed -n '1,12s/^/   /p'
	freed=$(((before - after) / 1024))
	[ $freed -ge $((trim_mb * 9 / 10)) ] || fail "only $freed MiB were freed"
	nbdcopy "$(uri "$vm" da0)" "$work/copy.img"
	cmp -n $((trim_mb << 20)) -i $((size_mb / 2 << 20)):0 "$work/copy.img" \
	    /dev/zero || fail "a trimmed block is not zero"
	proof stor.trim "$freed of $trim_mb MiB freed" "fio trim and du"
}

grow() {
	step "grow the disk online"
	new=$(((size_mb + 64) << 20))
	ms=$(now_ms)
	ctl "$vm" disk resize 0 +64M >/dev/null
	wait_for 20 "da0 of $new bytes" nbd_has_size "$vm" da0 $new ||
	    fail "da0 still has $(nbd_size "$vm" da0) bytes"
	ms=$(($(now_ms) - ms))
	fio_run grown $size_mb 64 --rw=write --bs=256k --verify=crc32c
	say "$size_mb to $((size_mb + 64)) MiB, seen by the guest after $ms ms, new space written and verified"
	proof stor.resize "+64 MiB seen in $ms ms" "hvk ctl disk resize"
}

hotplug() {
	step "add and remove a second disk $cycles times, da0 under load"
	make_disk "$work/second.img" 16
	fio --name=load --aux-path="$work" --ioengine=nbd --uri="$(uri "$vm" da0)" \
	    --offset="$((size_mb / 2))M" --size="$((size_mb / 2 - 2))M" \
	    --rw=randrw --bs=16k --iodepth=16 --time_based --runtime=600 \
	    --verify=crc32c --verify_fatal=1 --output-format=json \
	    --output="$work/load.json" >"$work/load.log" 2>&1 &
	load=$!
	echo $load >"$work/load.pid"
	for i in $(seq "$cycles"); do
		ctl "$vm" --json disk add "$PWD/$work/second.img" >"$work/add.json"
		lun=$(jq .lun "$work/add.json")
		vm_wait_disk "$vm" da1 || fail "da1 did not appear (cycle $i)"
		if [ "$i" = 1 ] || [ "$i" = "$cycles" ]; then
			nbdcopy "$(uri "$vm" da1)" "$work/second.copy"
			cmp "$work/second.img" "$work/second.copy" ||
			    fail "da1 differs (cycle $i)"
		fi
		ctl "$vm" disk remove "$lun" >/dev/null
		wait_for 20 "da1 gone" disk_gone "$vm" da1 ||
		    fail "da1 is still there (cycle $i)"
		kill -0 $load 2>/dev/null || fail "fio ended: $work/load.log"
		say "cycle $i of $cycles"
		[ "$i" != 1 ] || { sleep 0.3; unfollow_console; }
	done
	kill -INT $load
	wait $load || true
	rm -f "$work/load.pid"
	follow_console 0
	sed -i -n '/^{/,$p' "$work/load.json"
	errors=$(jq '[.jobs[].error] | map(select(. != 0 and . != 4)) | length' "$work/load.json")
	io=$(jq '[.jobs[] | .read.total_ios + .write.total_ios] | add' "$work/load.json")
	[ "$errors" = 0 ] && [ "$io" -gt 0 ] || fail "fio under hot-plug: $work/load.log"
	say "$cycles cycles, $io requests of fio meanwhile, 0 errors"
	proof stor.hotplug "$cycles cycles, $io requests" "disk add and remove under fio"
}

shut_down() {
	step "shut down"
	vm_stop "$vm"
	sleep 0.3
	unfollow_console
	cmp -n $((size_mb / 2 << 20)) "$img" "$work/before.img" ||
	    fail "the first partition changed"
	proof core.unload "$(sed -n 's/^kldrun: nothing leaked: //p' "$vm/console.log")" "shutdown"
	say "the guest unloaded, nothing leaked, the ext4 partition is untouched"
}

versions() {
	step "every version of the bus: boot, copy 16 MiB, shut down"
	n=0
	for version in 2.4 3.0 4.0 4.1 5.0 5.1 5.2 5.3 6.0; do
		v=$work/v$version
		vm_start "$v" --version-max $version "$work/second.img"
		guest_sysctl "$v" dev.vmbus.0.version | grep -q " $version\$" ||
		    fail "the guest does not speak $version"
		nbdcopy "$(uri "$v" da0)" "$work/second.copy"
		cmp "$work/second.img" "$work/second.copy" ||
		    fail "da0 differs on version $version"
		vm_stop "$v"
		n=$((n + 1))
	done
	say "2.4 to 6.0: $n versions agreed, da0 the same on each"
	proof core.versions "$n versions, 16 MiB each" "--version-max"
}

matrix() {
	step "the feature matrix"
	"$HVK" features
	printf '\nmake run: done in %d s\n' $((($(now_ms) - began) / 1000))
}

rm -rf "$work" build/proof
mkdir -p "$work"
make_image
boot
copy_out
write_verify
trim
grow
hotplug
shut_down
versions
services
network
matrix
