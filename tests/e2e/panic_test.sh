# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# A guest that panics: the host is told why, in its last moment.

# panics DIR WORDS COMMAND...: the command ends the guest, with these words.
panics() {
	dir=$1
	words=$2
	shift 2
	"$@" >said 2>&1 || true		# its guest goes while it waits
	wait_pid 30 "$(cat "$dir/pid")" || { vm_report "$dir"; atf_fail "no end"; }
	status=0
	wait "$(cat "$dir/pid")" || status=$?
	atf_check_equal 1 $status
	atf_check -o ignore grep "reports a crash: $words (0x" "$dir/err" ||
	    vm_report "$dir"
}

new_case crash "its words, and the messages that led to it, are in crash.txt" "core.crash"
crash_body() {
	make_disk disk.img 8
	vm_start vm disk.img
	panics vm "panic: kdb_sysctl_panic" guest_sysctl vm debug.kdb.panic=1
	atf_check -o inline:'panic: kdb_sysctl_panic\n' head -n 1 vm/crash.txt
	# Before and after: a line of the boot, and the last that the panic says.
	atf_check -o ignore grep '^da0: 8MB' vm/crash.txt
	atf_check -o match:'^#[0-9]+ 0x' tail -n 1 vm/crash.txt
	atf_check test "$(file_size vm/crash.txt)" -le 4096
	echo "figure: core.crash $(file_size vm/crash.txt) bytes of the kernel's messages"
}

new_case no_text "where the administrator wants so, the fact alone" "core.crash"
no_text_body() {
	make_disk disk.img 8
	vm_start vm disk.img
	guest_sysctl vm hw.vmbus.crash_text=0 >said || atf_fail "sysctl: $(cat said)"
	panics vm "no text" guest_sysctl vm debug.kdb.panic=1
	atf_check test ! -e vm/crash.txt
}

new_case long_log "of a long log the last page, and the panic's line before it"
long_log_body() {
	make_disk disk.img 8
	vm_start vm disk.img
	# A disk is five lines.
	for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do
		make_disk "disk$i.img" 1
		atf_check -o ignore "$HVK" ctl --dir vm disk add "disk$i.img,lun=$i"
		wait_for 20 "da$i" nbd_ready vm "da$i" || atf_fail "no da$i"
	done
	panics vm "panic: kdb_sysctl_panic" guest_sysctl vm debug.kdb.panic=1
	atf_check -o inline:'panic: kdb_sysctl_panic\n' head -n 1 vm/crash.txt
	atf_check -o match:'^#[0-9]+ 0x' tail -n 1 vm/crash.txt
	atf_check test "$(file_size vm/crash.txt)" -ge 4095
	atf_check -s exit:1 grep 'Hyper-V Version' vm/crash.txt
}

new_case nmi "a non-maskable interrupt panics, unless it is to be ignored" "core.nmi"
nmi_body() {
	make_disk disk.img 8
	vm_start vm disk.img
	guest_sysctl vm machdep.panic_on_nmi=0 >said || atf_fail "sysctl: $(cat said)"
	atf_check -o ignore -e ignore "$HVK" ctl --dir vm nmi
	wait_for 20 "the NMI" grep -q 'NMI/cpu.*ignored' vm/console.log ||
	    { vm_report vm; atf_fail "no NMI"; }
	guest_sysctl vm machdep.panic_on_nmi=255 >said || atf_fail "sysctl: $(cat said)"
	panics vm "panic: NMI" ctl vm nmi
	atf_check -o inline:'panic: NMI\n' head -n 1 vm/crash.txt
	echo "figure: core.nmi one ignored, one panicked"
}

atf_init_test_cases() { add_cases; }
