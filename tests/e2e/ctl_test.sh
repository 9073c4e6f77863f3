# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# hvk ctl as programs use it: with --json each command prints one object that
# says whether it went well, and a refusal says why, in the same form.

# says FILTER COMMAND...: ok, and the filter is true of the answer.
says() {
	_filter=$1
	shift
	ctl vm --json "$@" >answer || atf_fail "$*: $(cat answer)"
	echo "$*: $(head -c 200 answer)"
	[ "$(jq -s length answer)" = 1 ] || atf_fail "$*: not one object"
	jq -e ".ok == true and ($_filter)" answer >/dev/null ||
	    atf_fail "$*: $(cat answer) is not: $_filter"
}

# refused COMMAND...: not ok, with one line of reason, and status 1.
refused() {
	_status=0
	ctl vm --json "$@" >answer 2>&1 || _status=$?
	[ $_status -eq 1 ] || atf_fail "$*: status $_status, $(cat answer)"
	jq -e '.ok == false and (.error | length > 0)' answer >/dev/null ||
	    atf_fail "$*: $(cat answer)"
}

new_case json "every command with --json: one object, true to what was done"
json_body() {
	make_disk disk.img 16
	make_disk more.img 8
	vm_start vm --disk disk.img --cdrom more.img
	says '.vm.engine == "kld" and .vmbus.state == "connected"' info
	says '.channels | length >= 1' channels
	says '.channels[0].rx_packets > 0' stat
	says '.disks | length == 2' disk list
	says '.lun == 5 and .readonly' disk add more.img,readonly,lun=5
	says '.size == 18874368' disk resize 0 +2M
	says '.lun == 5' disk remove 5
	says '.disks | length == 2' disk list
	says '.size == 0' disk eject 1
	says '.size == 8388608' disk insert 1 more.img
	says 'true' inject scsi0 delay count=1 ms=1
	says 'true' inject off
	says 'true' trace on trace.log
	says 'true' rescind scsi0
	says 'true' offer scsi0
	says 'true' trace off
	atf_check -o match:RESCIND cat trace.log
	refused disk remove 77
	refused disk add no-such.img
	refused disk resize 0 1K
	refused rescind no-such
	refused offer no-such
	refused inject no-such drop
	says 'true' shutdown
	wait_pid 40 "$(cat vm/pid)" || { vm_report vm; atf_fail "no end"; }
	wait "$(cat vm/pid)" || { vm_report vm; atf_fail "status $?"; }
	vm_no_leaks vm || { vm_report vm; atf_fail "the guest leaked"; }
}

new_case words "a command that does not exist, and a guest that does not run: one line"
words_body() {
	atf_check -s exit:2 -e match:"no command 'bogus'" "$HVK" ctl --dir . bogus
	atf_check -s exit:1 -e match:. "$HVK" ctl --dir ./nowhere info
}

atf_init_test_cases() { add_cases; }
