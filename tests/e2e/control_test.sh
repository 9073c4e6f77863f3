# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# Control messages that are lost or spoilt: everything ends in bounded time, on
# both sides, and what waits is shown.

state_is() { [ "$(ctl "$1" --json info | jq -r '.devices[0].state')" = "$2" ]; }

# end_vm DIR: it must end in good order before the host would kill it.
end_vm() {
	ms=$(now_ms)
	atf_check -o ignore -e ignore "$HVK" ctl --dir "$1" shutdown
	wait_pid 45 "$(cat "$1/pid")" || { vm_report "$1"; atf_fail "no end"; }
	status=0
	wait "$(cat "$1/pid")" || status=$?
	ms=$(($(now_ms) - ms))
	[ $status -eq 0 ] || { vm_report "$1"; atf_fail "status $status"; }
	vm_no_leaks "$1" || { vm_report "$1"; atf_fail "the guest leaked"; }
	echo "ended after $ms ms"
}

new_case lost_rescind "a lost rescind: the new offer is shown as held"
lost_rescind_body() {
	make_disk disk.img 8
	vm_start vm --cpus 1 disk.img
	ctl vm inject control drop count=1 || atf_fail "inject"
	ctl vm rescind scsi0 || atf_fail "rescind"
	atf_check -o match:held "$HVK" ctl --dir vm offer scsi0
	sleep 1
	state_is vm held || atf_fail "not held: $(ctl vm info)"
	held=$(ctl vm --json info | jq '.devices[0].held_ms')
	atf_check test "$held" -ge 1000
	end_vm vm
}

for fault in drop hostile silence; do
	new_case "rescind_$fault" "rescind and offer while control messages suffer: $fault"
	eval "rescind_${fault}_body() { spoilt_rescind $fault; }"
done

spoilt_rescind() {
	make_disk disk.img 8
	vm_start vm disk.img
	ctl vm inject control "$1" count=3 || atf_fail "inject"
	ctl vm rescind scsi0 || atf_fail "rescind"
	ctl vm offer scsi0 || atf_fail "offer"
	sleep 2
	state=$(ctl vm --json info | jq -r '.devices[0].state')
	case $state in
	held | offered | open) ;;
	*) atf_fail "state $state" ;;
	esac
	end_vm vm
}

new_case silent_host "a host that says nothing more: what it holds is not given back"
silent_host_body() {
	make_disk disk.img 8
	vm_start vm --cpus 4 disk.img
	ctl vm inject all silence || atf_fail "inject"
	timeout 60 qemu-io -f raw -c 'read 0 64k' "$(uri vm da0)" >io.log 2>&1 &
	io=$!
	wait_for 30 "the read" in_flight vm || atf_fail "nothing is read"
	ms=$(now_ms)
	atf_check -o ignore -e ignore "$HVK" ctl --dir vm shutdown
	wait_pid 60 "$(cat vm/pid)" || { vm_report vm; atf_fail "no end"; }
	ms=$(($(now_ms) - ms))
	cat vm/console.log
	# The read never came back: its memory is the host's, so is the module.
	atf_check -o match:'holds the memory of 1 request$' \
	    grep '^storvsc0: stays' vm/console.log
	atf_check -o ignore grep '^kldrun: hv_storvsc.ko stays' vm/console.log
	atf_check -o match:'[1-9][0-9]* pages the host may still hold' \
	    grep '^kldrun: kept: ' vm/console.log
	! wait $io || grep -q -i -E 'fail|error' io.log ||
	    atf_fail "a read that the host never answered: $(cat io.log)"
}

new_case idle_silent_host "a host that says nothing more, and holds no request: all detaches"
idle_silent_host_body() {
	make_disk disk.img 8
	vm_start vm --cpus 4 disk.img
	ctl vm inject all silence || atf_fail "inject"
	end_vm vm
	atf_check -o match:'[1-9][0-9]* pages the host may still hold' \
	    grep '^kldrun: kept: ' vm/console.log
}

atf_init_test_cases() { add_cases; }
