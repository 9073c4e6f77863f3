# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# A machine that changes while it works: disks come, go, grow and are trimmed,
# the whole controller is taken away, guests of every version, hosts and guests
# that die.

# packets VM: those that its channels have carried.
packets() { ctl "$1" --json stat | jq '[.channels[].rx_packets] | add'; }
more_packets() { [ "$(packets "$1")" -gt "$2" ]; }

# load_start VM DISK: fio in the background, checking what it reads, at work.
load_start() {
	idle=$(packets "$1")
	fio --name=load --ioengine=nbd --uri="$(uri "$1" "$2")" --rw=randrw \
	    --bs=16k --iodepth=16 --size=16M --time_based --runtime=2000 \
	    --verify=crc32c --verify_fatal=1 --output-format=json \
	    --output=load.json >load.log 2>&1 &
	load=$!
	wait_for 30 "fio's requests" more_packets "$1" $((idle + 200)) || {
		cat load.log
		atf_fail "fio does nothing"
	}
}

# load_stop: the requests it did; it must still have been running.
load_stop() {
	kill -0 $load 2>/dev/null || { cat load.log; atf_fail "fio ended early"; }
	kill -INT $load
	wait $load || true
	sed -i -n '/^{/,$p' load.json
	requests=$(jq '[.jobs[] | .read.total_ios + .write.total_ios] | add' load.json)
	atf_check test "$requests" -gt 0
	atf_check -o inline:'0\n' jq \
	    '[.jobs[].error | select(. != 0 and . != 4)] | length' load.json
}

new_case hotplug "a disk comes and goes under load, with the same name and content" \
    "stor.hotplug"
hotplug_body() {
	make_disk disk.img 32
	make_disk second.img 8
	vm_start vm disk.img
	load_start vm da0
	cycles=5
	for i in $(seq $cycles); do
		ctl vm disk add "$PWD/second.img,lun=7" >add.log 2>&1 || {
			cat add.log
			atf_fail "disk add"
		}
		vm_wait_disk vm da1 || { vm_report vm; atf_fail "no da1 in cycle $i"; }
		atf_check -o ignore -e ignore nbdcopy "$(uri vm da1)" second.copy
		atf_check cmp second.img second.copy
		atf_check -o ignore -e ignore "$HVK" ctl --dir vm disk remove 7
		wait_for 20 "da1 gone" disk_gone vm da1 || {
			vm_report vm
			atf_fail "da1 stayed in cycle $i"
		}
	done
	load_stop
	vm_stop vm
	echo "figure: stor.hotplug $cycles cycles, $requests requests"
}

new_case resize "a disk grows under load; the guest sees it without a command" "stor.resize"
resize_body() {
	make_disk disk.img 32
	vm_start vm disk.img
	load_start vm da0
	ms=$(now_ms)
	atf_check -o ignore -e ignore "$HVK" ctl --dir vm disk resize 0 +32M
	wait_for 20 "64 MiB" nbd_has_size vm da0 $((64 << 20)) || {
		vm_report vm
		atf_fail "da0 has $(nbd_size vm da0) bytes"
	}
	ms=$(($(now_ms) - ms))
	load_stop
	atf_check -o ignore -e ignore qemu-io -f raw -c 'write -P 0x5a 60M 1M' \
	    -c 'read -P 0x5a 60M 1M' "$(uri vm da0)"
	vm_stop vm
	atf_check -o inline:"$((64 << 20))\n" stat -c %s disk.img
	echo "figure: stor.resize 32 MiB more, seen after $ms ms"
}

new_case trim "trimmed blocks become holes in the file and read as zeroes" "stor.trim"
trim_body() {
	make_disk disk.img 32
	vm_start vm disk.img
	before=$(disk_usage disk.img)
	atf_check -o ignore -e ignore qemu-io -f raw -d unmap -c 'discard 8M 16M' \
	    -c 'read -P 0 8M 16M' "$(uri vm da0)"
	after=$(disk_usage disk.img)
	vm_stop vm
	freed=$((before - after))
	atf_check test $freed -ge 16000
	echo "figure: stor.trim $freed KiB freed of 16384"
}

new_case rescind "a controller is taken away and brought back, another under load" \
    "core.rescind"
rescind_body() {
	make_disk disk.img 32
	make_disk second.img 4
	VM_WAIT="da0 da1" vm_start vm --disk disk.img \
	    --disk second.img,controller=scsi1
	# Which of the two attached first is not promised.
	big=da0 small=da1
	nbd_has_size vm da0 $((32 << 20)) || { big=da1 small=da0; }
	load_start vm $big
	cycles=${RESCIND_CYCLES:-1000}
	for i in $(seq "$cycles"); do
		ctl vm rescind scsi1 >ctl.log 2>&1 || { cat ctl.log; atf_fail "rescind"; }
		wait_for 20 "$small gone" test ! -S vm/$small.nbd || {
			vm_report vm
			atf_fail "$small stayed in cycle $i"
		}
		ctl vm offer scsi1 >ctl.log 2>&1 || { cat ctl.log; atf_fail "offer"; }
		wait_for 20 "$small" test -S vm/$small.nbd || {
			vm_report vm
			atf_fail "no $small in cycle $i"
		}
	done
	atf_check -o ignore -e ignore nbdcopy "$(uri vm $small)" copy.img
	atf_check cmp second.img copy.img
	load_stop
	vm_stop vm
	echo "figure: core.rescind $cycles cycles, $requests requests beside them"
}

new_case versions "every version of the bus, from 2.4 to 6.0, serves a disk" "core.versions"
versions_body() {
	make_disk disk.img 8
	cp disk.img before.img
	n=0
	for version in 2.4 3.0 4.0 4.1 5.0 5.1 5.2 5.3 6.0; do
		vm_start "vm$version" --version-max $version disk.img
		atf_check -o match:"$version" -e ignore "$KLDRUN" \
		    --dir "vm$version" sysctl dev.vmbus.0.version
		atf_check -o ignore -e ignore nbdcopy "$(uri "vm$version" da0)" copy.img
		atf_check cmp before.img copy.img
		vm_stop "vm$version"
		n=$((n + 1))
	done
	echo "figure: core.versions $n versions, 8 MiB each"
}

# host_vp DIR: the processor that the host interrupts for the first channel.
host_vp() {
	ctl "$1" --json channels | jq '
	    .channels[] | select(.device == "scsi0" and .index == 0).vp'
}

host_has_moved() { [ "$(host_vp "$1")" = "$2" ]; }

new_case retarget "a channel under load moves between processors, where the host can" \
    "core.retarget"
retarget_body() {
	make_disk disk.img 32
	moves=0
	# From 4.1 on the guest may ask, from 5.3 on the host acknowledges.
	for version in 4.1 5.2 5.3 6.0; do
		vm_start vm --cpus 4 --version-max $version disk.img
		node=dev.storvsc.0.channel.$(relid vm scsi0).cpu
		load_start vm da0
		for i in $(seq 40); do
			cpu=$((i % 4))
			guest_sysctl vm $node=$cpu >moved 2>&1 || {
				cat moved
				atf_fail "move $i to processor $cpu on $version"
			}
			atf_check -o match:"$node: $cpu\$" -e ignore \
			    "$KLDRUN" --dir vm sysctl $node
			# Before 5.3 nobody is told when the host has done it.
			wait_for 20 "the host's view" host_has_moved vm "$cpu" ||
			    atf_fail "the host stays on processor $(host_vp vm), not $cpu, on $version"
			moves=$((moves + 1))
		done
		load_stop
		vm_stop vm
	done
	vm_start vm --cpus 4 --version-max 4.0 disk.img
	node=dev.storvsc.0.channel.$(relid vm scsi0).cpu
	! guest_sysctl vm $node=1 >moved 2>&1 || atf_fail "moved on 4.0"
	atf_check -o match:'[Nn]ot supported' cat moved
	atf_check_equal 0 "$(host_vp vm)"
	vm_stop vm
	echo "figure: core.retarget $moves moves under load, 4 versions"
}

new_case unload "at the end the modules unload, all memory given back" "core.unload"
unload_body() {
	make_disk disk.img 8
	for i in 1 2 3; do
		vm_start "vm$i" disk.img
		atf_check -o ignore -e ignore nbdcopy "$(uri "vm$i" da0)" copy.img
		vm_stop "vm$i"
	done
	echo "figure: core.unload 3 unloads, nothing leaked"
}

new_case guest_dies "the host says so and ends when its guest is killed"
guest_dies_body() {
	make_disk disk.img 8
	vm_start vm disk.img
	guest=$(guest_pid vm)
	atf_check test -n "$guest"
	kill -9 "$guest"
	wait_pid 20 "$(cat vm/pid)" || atf_fail "the host outlived its guest"
	status=0
	wait "$(cat vm/pid)" || status=$?
	atf_check test $status -ne 0
	cat vm/out vm/err >said
	atf_check -o ignore grep -i -E 'guest|kldrun' said
}

new_case host_dies "the guest ends when its host is killed"
host_dies_body() {
	make_disk disk.img 8
	vm_start vm disk.img
	guest=$(guest_pid vm)
	vm_kill vm
	wait_pid 20 "$guest" || { kill -9 "$guest"; atf_fail "the guest outlived its host"; }
}

atf_init_test_cases() { add_cases; }
