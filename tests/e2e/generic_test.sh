# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# The modules beside the drivers that a GENERIC kernel has compiled in, as
# kldrun imitates it (kldrun/kern/generic.c): the kernel loads a module of a name
# that it has itself twice, and its sysctl nodes are there before ours.

new_case takeover "modules beside a kernel's own drivers: loaded once, their sysctls seen" "core.unload"
takeover_body() {
	make_disk disk.img 8
	vm_start vm disk.img
	# The kernel's own variables say -99.
	atf_check -o inline:'hw.storvsc.max_io: 512\n' "$KLDRUN" --dir vm sysctl hw.storvsc.max_io
	atf_check -o inline:'hw.vmbus.pin_evttask: 1\n' "$KLDRUN" --dir vm sysctl hw.vmbus.pin_evttask
	# Twice on its bus, a driver would come off once and leave a link behind.
	vm_stop vm
	atf_check -s exit:1 grep -E 'failed\(|already loaded|re-use a leaf|still on bus' vm/console.log
	echo "figure: core.unload a GENERIC kernel's names and nodes taken over, given back"
}

new_case missing "a device whose module is not there is named on the console"
missing_body() {
	make_disk disk.img 8
	mkdir some
	cp "$MODULES/hv_vmbus.ko" "$MODULES/hv_utils.ko" some/
	MODULES=$PWD/some vm_launch vm disk.img
	wait_for 20 "the console's line" grep -q 'vmbus0: channel [0-9]*, scsi: no driver, it is in hv_storvsc.ko' \
	    vm/console.log || { vm_report vm; atf_fail "no such line"; }
	vm_stop vm
}

atf_init_test_cases() { add_cases; }
