# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# Monitored notification and the message trace, with the real modules.

# kicks VM KIND: how often the guest signalled the controller that way.
kicks() { ctl "$1" --json stat | jq "[.channels[].${2}_kicks] | add"; }

new_case monitored "the guest signals through the monitor page, and the data is correct"
monitored_body() {
	make_disk disk.img 32
	make_disk new.img 32
	for version in 2.4 6.0; do
		vm_start vm$version -o vmbus.monitor=yes --version-max $version \
		    disk.img
		atf_check -o match:'mnf: 1$' -e ignore "$KLDRUN" \
		    --dir vm$version sysctl \
		    "dev.storvsc.0.channel.$(relid vm$version scsi0).mnf"
		before=$(kicks vm$version monitor)
		cp disk.img before.img
		atf_check -o ignore -e ignore nbdcopy "$(uri vm$version da0)" copy.img
		atf_check cmp before.img copy.img
		atf_check -o ignore -e ignore nbdcopy --flush new.img \
		    "$(uri vm$version da0)"
		monitor=$(($(kicks vm$version monitor) - before))
		atf_check test $monitor -gt 0
		vm_stop vm$version
		atf_check cmp new.img disk.img
		make_disk disk.img 32
	done
	echo "monitor: $monitor signals through the page for 64 MiB"
}

new_case not_monitored "without the option no channel is monitored"
not_monitored_body() {
	make_disk disk.img 8
	vm_start vm disk.img
	atf_check -o match:'mnf: 0$' -e ignore "$KLDRUN" --dir vm sysctl \
	    "dev.storvsc.0.channel.$(relid vm scsi0).mnf"
	atf_check -o ignore -e ignore nbdcopy "$(uri vm da0)" copy.img
	atf_check cmp disk.img copy.img
	atf_check test "$(kicks vm monitor)" -eq 0
	vm_stop vm
}

new_case trace "a trace of control messages names them and their fields"
trace_body() {
	make_disk disk.img 8
	vm_start vm --cpus 1 disk.img
	id=$(relid vm scsi0)
	atf_check -o ignore "$HVK" ctl --dir vm trace on trace.txt
	atf_check -o ignore "$HVK" ctl --dir vm rescind scsi0
	wait_for 20 "da0 gone" disk_gone vm da0
	atf_check -o ignore "$HVK" ctl --dir vm offer scsi0
	vm_wait_disk vm da0 || { vm_report vm; atf_fail "no da0 again"; }
	vm_stop vm
	cat trace.txt
	for line in "-> vp0 RESCIND relid $id\$" "<- vp0 CLOSE relid $id\$" \
	    '-> vp0 GPADL_TORNDOWN gpadl 0x' " RELID_RELEASED relid $id\$" \
	    '-> vp0 OFFER type ba6163d9-04a1-4d29-b605-72e2ffb1dc7f (scsi)' \
	    "-> vp0 OPEN_RESULT relid $id open_id [0-9]* status 0x0\$" \
	    ' UNLOAD$' ' UNLOAD_RESPONSE'; do
		atf_check -o ignore grep -e "$line" trace.txt
	done
	atf_check -s exit:1 grep malformed trace.txt
}

atf_init_test_cases() { add_cases; }
