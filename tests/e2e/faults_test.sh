# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# A host that misbehaves, with fio working all the while: no request may hang,
# and when the host behaves again, the disk works again.  And files that are
# not what they should be: one line says what and how to mend it.

faults="drop delay short hostile silence"

for fault in $faults; do
	atf_test_case "$fault"
	eval "${fault}_head() {
		atf_set descr 'answers: $fault; every request ends, the disk recovers'
		atf_set timeout 900
		atf_set X-feature stor.timeout
	}
	${fault}_body() { inject $fault; }"
done

inject() {
	make_disk disk.img 16
	vm_start vm disk.img
	case $1 in
	silence) count= ;;
	*) count=count=20 ;;
	esac
	# shellcheck disable=SC2086
	atf_check -o ignore -e ignore "$HVK" ctl --dir vm inject scsi0 "$1" \
	    $count ms=200
	ms=$(now_ms)
	timeout 150 fio --name=load --ioengine=nbd --uri="$(uri vm da0)" \
	    --rw=randrw --bs=16k --iodepth=8 --size=16M --time_based --runtime=5 \
	    --continue_on_error=all >fio.log 2>&1 &
	load=$!
	sleep 7
	atf_check -o ignore -e ignore "$HVK" ctl --dir vm inject off
	status=0
	wait $load || status=$?
	ms=$(($(now_ms) - ms))
	cat fio.log
	[ $status -ne 124 ] || { vm_report vm; atf_fail "fio hung"; }
	kill -0 "$(cat vm/pid)" || { vm_report vm; atf_fail "the host ended"; }
	[ -n "$(guest_pid vm)" ] || { vm_report vm; atf_fail "the guest ended"; }
	# A channel that the host broke for good is brought back by a new offer.
	if ! recovered; then
		[ "$1" = hostile ] || { vm_report vm; atf_fail "da0 did not recover"; }
		"$HVK" ctl --dir vm rescind scsi0
		wait_for 20 "da0 gone" disk_gone vm da0
		"$HVK" ctl --dir vm offer scsi0
		vm_wait_disk vm da0 || { vm_report vm; atf_fail "no da0 again"; }
		recovered || { vm_report vm; atf_fail "da0 did not recover"; }
	fi
	atf_check -o ignore -e ignore timeout 60 "$HVK" ctl --dir vm shutdown
	wait_pid 40 "$(cat vm/pid)" || { vm_report vm; atf_fail "no shutdown"; }
	echo "figure: stor.timeout fio back after $ms ms of faults"
}

recovered() {
	for _i in 1 2 3; do
		timeout 60 qemu-io -f raw -c 'write -P 0x21 1M 64k' \
		    -c 'read -P 0x21 1M 64k' "$(uri vm da0)" >qemu-io.log 2>&1 &&
		    ! grep -qi -E 'fail|error' qemu-io.log && return 0
		sleep 2
	done
	cat qemu-io.log
	return 1
}

atf_test_case missing
missing_head() { atf_set descr "a file that is not there: one line, and the end"; }
missing_body() {
	status=0
	timeout 60 "$HVK" run --dir vm --modules "$MODULES" no-such.img \
	    >out 2>&1 </dev/null || status=$?
	cat out
	atf_check test $status -ne 0 -a $status -ne 124
	atf_check -o match:'no-such.img' cat out
	atf_check test "$(wc -l <out)" -le 3
}

atf_test_case not_writable
not_writable_head() {
	atf_set descr "a file that may not be written: said, with the remedy"
}
not_writable_body() {
	make_disk ro.img 1
	chmod 444 ro.img
	mkdir vm
	as=
	if [ "$(id -u)" -eq 0 ]; then
		as="setpriv --reuid 65534 --regid 65534 --clear-groups"
		chown 65534 vm .
		$as test -x "$HVK" -a -r ro.img ||
		    atf_skip "another user cannot reach $HVK or $PWD"
	fi
	status=0
	$as timeout 60 "$HVK" run --dir vm --modules "$MODULES" ro.img >out 2>&1 \
	    </dev/null || status=$?
	cat out
	atf_check test $status -ne 0 -a $status -ne 124
	atf_check -o match:'readonly' cat out
}

atf_test_case too_small
too_small_head() { atf_set descr "an empty file is no disk: one line says so"; }
too_small_body() {
	: >empty.img
	status=0
	timeout 60 "$HVK" run --dir vm --modules "$MODULES" empty.img >out 2>&1 \
	    </dev/null || status=$?
	cat out
	atf_check test $status -ne 0 -a $status -ne 124
	atf_check -o match:'empty.img' cat out
}

atf_test_case shrinks
shrinks_head() {
	atf_set descr "a file that shrinks while open: errors beyond its end, no crash"
	atf_set timeout 900
}
shrinks_body() {
	make_disk disk.img 16
	vm_start vm disk.img
	truncate -s 8M disk.img
	atf_check -o ignore -e ignore timeout 60 qemu-io -f raw -c 'read 0 1M' "$(uri vm da0)"
	timeout 90 qemu-io -f raw -c 'read 12M 64k' "$(uri vm da0)" >beyond 2>&1 ||
	    [ $? -ne 124 ] || { vm_report vm; atf_fail "a read beyond the end hung"; }
	cat beyond
	kill -0 "$(cat vm/pid)" || { vm_report vm; atf_fail "the host ended"; }
	atf_check -o ignore -e ignore timeout 60 qemu-io -f raw -c 'read 0 1M' "$(uri vm da0)"
	vm_stop vm
}

atf_init_test_cases() {
	for c in $faults missing not_writable too_small shrinks; do
		atf_add_test_case "$c"
	done
}
