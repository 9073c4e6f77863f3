# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# Files copied into the guest by the host: hvk ctl copy, hv_utils in kldrun,
# and hv_fcopy_daemon, unmodified.

FCD=$top/build/daemons/hv_fcopy_daemon

fcopy_daemon() {
	daemon_dir in
	"$FCD" -d -f "$1/dev/hv_fcopy_dev" -P "$1/fcopy.pid" "$PWD/in" \
	    >>"$1/fcopy.log" 2>&1 &
	daemon=$!
	wait_for 10 "the daemon" grep -q 'files go to' "$1/fcopy.log" || {
		cat "$1/fcopy.log"
		atf_fail "the daemon does not start"
	}
}
# nothing DIR: no file but those named
left_over() { find in -type f ! -name '*.bin' | head; }

new_case small "files of every odd size arrive as they are" "ic.fcopy"
small_body() {
	make_disk disk.img 4
	vm_start vm disk.img
	fcopy_daemon vm
	for n in 0 1 6143 6144 6145 12288 100001; do
		head -c $n /dev/urandom >f$n.bin
		atf_check -o match:'state *done' "$HVK" ctl --dir vm copy f$n.bin
		atf_check cmp f$n.bin in/f$n.bin
	done
	# Names as people have them.
	cp f1.bin 'na ïve 😀.bin'
	atf_check -o ignore "$HVK" ctl --dir vm copy 'na ïve 😀.bin'
	atf_check cmp f1.bin 'in/na ïve 😀.bin'
	atf_check -o ignore "$HVK" ctl --dir vm copy f1.bin name=other.bin
	atf_check cmp f1.bin in/other.bin
	vm_stop vm
}

new_case large "1 GiB arrives, with its checksum" "ic.fcopy"
large_body() {
	make_disk disk.img 4
	make_disk big.bin 1024
	vm_start vm disk.img
	fcopy_daemon vm
	ms=$(now_ms)
	timeout 600 "$HVK" ctl --dir vm --json copy big.bin >copy.json || {
		cat copy.json
		atf_fail "copy"
	}
	ms=$(($(now_ms) - ms))
	atf_check_equal "$(sha256sum <big.bin)" "$(sha256sum <in/big.bin)"
	atf_check -o inline:'1073741824\n' jq .copy.done copy.json
	vm_stop vm
	rm -f in/big.bin big.bin
	echo "figure: ic.fcopy 1 GiB in $((ms / 1000)) s, $((1024 * 1000 / ms)) MiB/s"
}

new_case refused "each way to refuse a file, by its own error" "ic.fcopy"
refused_body() {
	make_disk disk.img 4
	head -c 50000 /dev/urandom >f.bin
	vm_start vm disk.img
	fcopy_daemon vm
	atf_check -o ignore "$HVK" ctl --dir vm copy f.bin
	atf_check -s exit:1 -e match:'file exists' "$HVK" ctl --dir vm copy f.bin
	atf_check -o ignore "$HVK" ctl --dir vm copy f.bin overwrite
	atf_check -s exit:1 -e match:'access denied' "$HVK" ctl --dir vm copy f.bin path=/etc
	atf_check -s exit:1 -e match:'access denied|invalid' "$HVK" ctl --dir vm copy f.bin name=../f2.bin
	atf_check -s exit:1 -e match:'no such directory|not found' \
	    "$HVK" ctl --dir vm copy f.bin path=deep/er
	atf_check -o ignore "$HVK" ctl --dir vm copy f.bin path=deep/er mkdirs
	atf_check cmp f.bin in/deep/er/f.bin
	ln -s /tmp in/link
	atf_check -s exit:1 -e match:'guest.s status' "$HVK" ctl --dir vm copy f.bin path=link
	atf_check -s exit:1 -e match:'No such file' "$HVK" ctl --dir vm copy absent.bin
	atf_check -s exit:1 -e match:'not a regular file' "$HVK" ctl --dir vm copy /dev
	long=$(printf 'x%.0s' $(seq 300))
	atf_check -s exit:1 -e match:'too long' "$HVK" ctl --dir vm copy f.bin name="$long"
	[ -z "$(left_over)" ] || atf_fail "left over: $(left_over)"
	vm_stop vm
}

copying() {
	ctl "$1" --json copy status |
	    jq -e '.copy.state == "copying" and .copy.done > 0'
}
copy_begins() {
	wait_for 30 "the first bytes" copying vm || {
		cat copy.log
		atf_fail "nothing is copied"
	}
}

nothing_left() { [ -z "$(left_over)" ] && [ ! -e in/big.bin ]; }

new_case interrupted "the command, the daemon and the service go in the middle: nothing half-written" "ic.fcopy"
interrupted_body() {
	make_disk disk.img 4
	make_disk big.bin 256
	vm_start vm disk.img
	fcopy_daemon vm
	# The command is interrupted.
	"$HVK" ctl --dir vm copy big.bin >copy.log 2>&1 &
	copy=$!
	copy_begins
	kill -TERM $copy
	! wait $copy || atf_fail "an interrupted copy succeeded"
	atf_check -o ignore grep cancelled copy.log
	wait_for 10 "the end of it" nothing_left || atf_fail "half a file: $(left_over)"
	# Cancelled by another command.
	"$HVK" ctl --dir vm copy big.bin >copy.log 2>&1 &
	copy=$!
	copy_begins
	# It cannot end meanwhile, however slow this is.
	kill -STOP $daemon
	atf_check -o ignore "$HVK" ctl --dir vm copy status
	atf_check -s exit:1 -e match:'another file' "$HVK" ctl --dir vm copy disk.img
	atf_check -o ignore "$HVK" ctl --dir vm copy cancel
	kill -CONT $daemon
	! wait $copy || atf_fail "a cancelled copy succeeded"
	# The daemon dies.
	"$HVK" ctl --dir vm copy big.bin >copy.log 2>&1 &
	copy=$!
	copy_begins
	kill -9 $daemon
	wait $daemon || true
	! wait $copy || atf_fail "a copy without a daemon succeeded"
	cat copy.log
	[ ! -e in/big.bin ] || atf_fail "half a file"
	: >vm/fcopy.log
	fcopy_daemon vm
	# The service goes.
	"$HVK" ctl --dir vm copy big.bin >copy.log 2>&1 &
	copy=$!
	copy_begins
	atf_check -o ignore -e ignore "$HVK" ctl --dir vm rescind fcopy
	! wait $copy || atf_fail "a copy without a service succeeded"
	cat copy.log
	wait $daemon || true
	[ ! -e in/big.bin ] || atf_fail "half a file"
	wait_for 10 "the device's end" test ! -e vm/dev/hv_fcopy_dev || atf_fail "the device stays"
	atf_check -o ignore -e ignore "$HVK" ctl --dir vm offer fcopy
	wait_for 10 "the device" test -S vm/dev/hv_fcopy_dev || atf_fail "no device"
	: >vm/fcopy.log
	fcopy_daemon vm
	atf_check -o ignore "$HVK" ctl --dir vm copy big.bin
	atf_check cmp big.bin in/big.bin
	[ -z "$(left_over)" ] || atf_fail "left over: $(left_over)"
	vm_stop vm
	rm -f in/big.bin big.bin
	echo "figure: ic.fcopy interrupted in 4 ways, nothing half-written"
}

new_case full "a full file system: the protocol's own error"
full_body() {
	make_disk disk.img 4
	make_disk big.bin 8
	mkdir in
	if ! unshare -m true 2>/dev/null || ! mount -t tmpfs -o size=2m tmpfs in 2>/dev/null; then
		atf_skip "cannot mount a small tmpfs here"
	fi
	vm_start vm disk.img
	fcopy_daemon vm
	status=0
	"$HVK" ctl --dir vm copy big.bin >copy.log 2>&1 || status=$?
	cat copy.log
	left=$(left_over)
	kill $daemon
	wait $daemon || true
	umount -l in
	atf_check_equal 1 $status
	atf_check -o ignore grep 'no space left' copy.log
	atf_check_equal "" "$left"
	vm_stop vm
}

new_case nobody "without a daemon: an error in time"
nobody_body() {
	make_disk disk.img 4
	vm_start vm disk.img
	ms=$(now_ms)
	atf_check -s exit:1 -e match:'no daemon' "$HVK" ctl --dir vm copy disk.img
	echo "told after $(($(now_ms) - ms)) ms"
	vm_stop vm
}

atf_init_test_cases() { add_cases; }
