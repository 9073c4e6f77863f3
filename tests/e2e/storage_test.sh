# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# Disks of every kind through the whole stack, compared byte for byte, by
# programs of other projects: nbdcopy, nbdinfo, fio, qemu-io, qemu-nbd.

# copy_equal VM DISK FILE: the guest's disk is the file.
copy_equal() {
	atf_check -s exit:0 -o ignore -e ignore nbdcopy "$(uri "$1" "$2")" "$2.copy"
	atf_check -s exit:0 cmp "$3" "$2.copy"
}

# fio_verify VM DISK MEBIBYTES option...: write it all, read it back.
fio_verify() {
	_vm=$1 _disk=$2 _mb=$3
	shift 3
	timeout 120 fio --name=verify --ioengine=nbd --uri="$(uri "$_vm" "$_disk")" \
	    --size="${_mb}M" --rw=randwrite --verify=crc32c --do_verify=1 \
	    --verify_fatal=1 --iodepth=16 --output-format=json \
	    --output=fio.json "$@" >fio.log 2>&1 || {
		cat fio.log fio.json
		vm_report "$_vm"
		atf_fail "fio"
	}
	atf_check -s exit:0 -o inline:'0\n' jq '[.jobs[].error] | add' fio.json
}

new_case basic "a raw image: read, written, and the file has what was written" \
    "stor.basic"
basic_body() {
	make_disk disk.img 64
	cp disk.img before.img
	vm_start vm disk.img
	copy_equal vm da0 before.img
	fio_verify vm da0 64 --bsrange=4k-128k
	copy_equal vm da0 disk.img
	vm_stop vm
	echo "figure: stor.basic 64 MiB read, written, compared"
}

new_case large "requests of 1 MiB and more are not cut into pieces too small" "stor.sg"
large_body() {
	make_disk disk.img 64
	vm_start vm disk.img
	fio_verify vm da0 64 --bs=1m
	fio_verify vm da0 64 --bs=4m
	copy_equal vm da0 disk.img
	max=$(guest_sysctl vm dev.storvsc.0.maxio | sed 's/.*[^0-9]//')
	atf_check test "$max" -ge 524288
	vm_stop vm
	echo "figure: stor.sg $((max / 1024)) KiB in one request"
}

new_case bounce "every transfer through a bounce buffer: no synchronisation forgotten"
bounce_body() {
	make_disk disk.img 32
	cp disk.img before.img
	vm_start vm -o bounce=yes disk.img
	copy_equal vm da0 before.img
	fio_verify vm da0 32 --bsrange=4k-256k
	vm_stop vm
}

new_case eoi "a host that wants no AutoEOI: each interrupt is ended by its handler, once"
eoi_body() {
	make_disk disk.img 32
	cp disk.img before.img
	# kldrun stops the guest at an EOI that is missing or too many.
	for auto in yes no; do
		vm_start vm -o hyperv.autoeoi=$auto disk.img
		copy_equal vm da0 before.img
		[ $auto = yes ] || fio_verify vm da0 32 --bsrange=4k-256k
		eois=$(guest_sysctl vm debug.kldrun.eois | sed 's/.*[^0-9]//')
		echo "autoeoi=$auto: $eois EOIs"
		vm_stop vm
		case $auto in
		yes) atf_check test "$eois" -eq 0 ;;
		no) atf_check test "$eois" -ge 100 ;;
		esac
	done
}

new_case sector4096 "a disk with sectors of 4096 bytes"
sector4096_body() {
	make_disk disk.img 32
	cp disk.img before.img
	vm_start vm --disk disk.img,sector=4096
	copy_equal vm da0 before.img
	fio_verify vm da0 32 --bs=4k
	vm_stop vm
}

new_case direct "a disk that bypasses the host's page cache"
direct_body() {
	make_disk disk.img 32
	cp disk.img before.img
	vm_start vm --disk disk.img,direct
	copy_equal vm da0 before.img
	fio_verify vm da0 32 --bsrange=4k-256k
	vm_stop vm
}

new_case readonly "a read-only disk can be read and refuses every write"
readonly_body() {
	make_disk disk.img 16
	cp disk.img before.img
	vm_start vm --disk disk.img,readonly
	copy_equal vm da0 before.img
	atf_check -s not-exit:0 -o ignore -e ignore \
	    qemu-io -f raw -c 'write 0 4096' "$(uri vm da0)"
	atf_check cmp disk.img before.img
	vm_stop vm
}

new_case several "four disks at once, each with its own content" "stor.subchannel core.multichannel"
several_body() {
	set --
	for i in 0 1 2 3; do
		make_disk "disk$i.img" 16
		cp "disk$i.img" "before$i.img"
		set -- "$@" --disk "disk$i.img"
	done
	VM_WAIT="da0 da1 da2 da3" vm_start vm --cpus 4 "$@"
	for i in 0 1 2 3; do
		copy_equal vm "da$i" "before$i.img"
	done
	for i in 0 1 2 3; do
		fio --name="v$i" --ioengine=nbd --uri="$(uri vm "da$i")" --size=16M \
		    --rw=randwrite --bs=4k --iodepth=16 --verify=crc32c \
		    --verify_fatal=1 >"fio$i.log" 2>&1 &
		eval "pid$i=$!"
	done
	for i in 0 1 2 3; do
		eval "wait \$pid$i" || { cat "fio$i.log"; atf_fail "fio on da$i"; }
	done
	ctl vm --json channels >channels.json || atf_fail "hvk ctl channels"
	cat channels.json
	open=$(jq '[.channels[] | select(.state == "open")] | length' channels.json)
	atf_check test "$open" -ge 4
	vm_stop vm
	echo "figure: core.multichannel $open channels open on 4 processors"
	echo "figure: stor.subchannel 4 disks over $open channels"
}

new_case controllers "controllers are offered in the order of their configuration"
controllers_body() {
	set --
	for i in 3 0 2 1; do
		make_disk "disk$i.img" 4
		set -- "$@" --disk "disk$i.img,controller=scsi$i"
	done
	VM_WAIT="da0 da1 da2 da3" vm_start vm "$@"
	ctl vm --json channels >channels.json || atf_fail "hvk ctl channels"
	cat channels.json
	# scsi0 is always there, so it is the first.
	atf_check -o inline:'scsi0 scsi3 scsi2 scsi1\n' jq -r \
	    '[.channels[] | select(.index == 0 and
	    (.device | startswith("scsi")))] | sort_by(.relid) |
	    map(.device) | join(" ")' channels.json
	# The guest's names follow: unit N has the channel that came N-th.
	grep -o 'da[0-9] at storvsc[0-9]' vm/console.log | sort -u >disks
	cat disks
	for i in 0 1 2 3; do
		relid=$(jq -r "[.channels[] | select(.index == 0 and
		    (.device | startswith(\"scsi\"))) | .relid] |
		    sort | .[$i]" channels.json)
		guest_sysctl vm "dev.storvsc.$i.channel.$relid.cpu" >unit ||
		    atf_fail "storvsc$i is not on channel $relid"
		atf_check -o ignore grep -x "da$i at storvsc$i" disks
	done
	vm_stop vm
}

new_case vhdx "a VHDX through qemu-nbd as the host's back-end"
vhdx_body() {
	make_disk content.img 32
	atf_check -o ignore qemu-img convert -f raw -O vhdx content.img disk.vhdx
	qemu-nbd --persistent -f vhdx -k "$PWD/vhdx.sock" disk.vhdx \
	    >qemu-nbd.log 2>&1 &
	server=$!
	wait_for 10 "qemu-nbd" test -S vhdx.sock || atf_fail "qemu-nbd"
	vm_start vm --disk "nbd+unix:///?socket=$PWD/vhdx.sock"
	copy_equal vm da0 content.img
	fio_verify vm da0 32 --bsrange=4k-64k
	atf_check -o ignore -e ignore nbdcopy "$(uri vm da0)" after.img
	vm_stop vm
	kill $server
	wait $server || true
	atf_check -o match:'identical' qemu-img compare -f vhdx -F raw disk.vhdx after.img
}

new_case silent_server "a controller whose NBD server is silent closes in time"
silent_server_body() {
	make_disk content.img 32
	qemu-nbd --persistent -f raw -k "$PWD/raw.sock" content.img \
	    >qemu-nbd.log 2>&1 &
	server=$!
	wait_for 10 "qemu-nbd" test -S raw.sock || atf_fail "qemu-nbd"
	vm_start vm --cpus 4 --disk "nbd+unix:///?socket=$PWD/raw.sock"
	copy_equal vm da0 content.img
	kill -STOP $server
	timeout 30 nbdcopy "$(uri vm da0)" - >/dev/null 2>&1 &
	reader=$!
	wait_for 30 "a read" in_flight vm || atf_fail "nothing is read"
	ms=$(now_ms)
	atf_check -o ignore -e ignore "$HVK" ctl --dir vm rescind scsi0
	wait_for 20 "da0 gone" disk_gone vm da0 || atf_fail "da0 stayed"
	wait_for 20 "the line" grep -q 'NBD server is silent' vm/err ||
	    atf_fail "the server is not given up"
	ms=$(($(now_ms) - ms))
	kill -CONT $server
	! wait $reader || atf_fail "the reader was not told"
	[ "$(grep -c 'NBD server is silent' vm/err)" = 1 ] || {
		vm_report vm
		atf_fail "not one line about it"
	}
	atf_check -o ignore -e ignore "$HVK" ctl --dir vm offer scsi0
	vm_wait_disk vm da0 || { vm_report vm; atf_fail "no da0 again"; }
	copy_equal vm da0 content.img
	vm_stop vm
	kill $server
	atf_check test $ms -lt 30000
	echo "$ms ms to close on a silent NBD server"
}

new_case asan "the modules under AddressSanitizer: copy, verify, plug, rescind, unload"
asan_body() {
	KLDRUN=$top/build/bin/kldrun-asan
	MODULES=$top/build/modules-asan
	make_disk disk.img 32
	make_disk second.img 8
	cp disk.img before.img
	vm_start vm disk.img
	copy_equal vm da0 before.img
	fio_verify vm da0 32 --bsrange=4k-1m
	atf_check -o ignore -e ignore "$HVK" ctl --dir vm disk add "$PWD/second.img,lun=3"
	vm_wait_disk vm da1 || { vm_report vm; atf_fail "no da1"; }
	copy_equal vm da1 second.img
	atf_check -o ignore -e ignore "$HVK" ctl --dir vm disk remove 3
	wait_for 20 "da1 gone" disk_gone vm da1 || atf_fail "da1 stayed"
	atf_check -o ignore -e ignore "$HVK" ctl --dir vm rescind scsi0
	wait_for 20 "da0 gone" disk_gone vm da0 || atf_fail "da0 stayed"
	atf_check -o ignore -e ignore "$HVK" ctl --dir vm offer scsi0
	vm_wait_disk vm da0 || { vm_report vm; atf_fail "no da0 again"; }
	vm_stop vm
	atf_check -s exit:1 -o empty grep -h AddressSanitizer vm/err vm/console.log
}

new_case cdrom "a CD-ROM beside a disk"
cdrom_body() {
	make_disk disk.img 8
	make_disk cd.iso 4
	vm_start vm --disk disk.img --cdrom cd.iso
	wait_for 20 "cd0" grep -q '^cd0' vm/console.log || {
		vm_report vm
		atf_fail "no cd0"
	}
	copy_equal vm da0 disk.img
	vm_stop vm
}

atf_init_test_cases() { add_cases; }
