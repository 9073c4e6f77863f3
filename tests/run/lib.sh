# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# Shell functions shared by "make run" and the whole-system tests: start and
# stop a guest, talk to it, wait with a deadline.  $top is the source tree.
# A guest is named by its run directory; that of several is the first argument.

HVK=${HVK:-$top/build/bin/hvk}
KLDRUN=${KLDRUN:-$top/build/bin/kldrun}
MODULES=${MODULES:-$top/build/modules}
PATH=$PATH:/usr/sbin:/sbin
export LC_ALL=C

# In a test program a failure is atf_fail; in make run it ends the run.
fail() {
	if command -v atf_fail >/dev/null 2>&1; then
		atf_fail "$*"
	fi
	echo "FAILED: $*" >&2
	exit 1
}

# wait_for SECONDS WHAT COMMAND...: until the command succeeds.  The limit is
# a net, not a measurement: a crowded machine gets a minute for anything.
wait_for() {
	_end=$(($(date +%s) + ($1 > 60 ? $1 : 60)))
	_what=$2
	shift 2
	while ! "$@" >/dev/null 2>&1; do
		[ "$(date +%s)" -le $_end ] ||
		    { echo "timed out: $_what" >&2; return 1; }
		sleep 0.02
	done
}

# wait_pid SECONDS PID: until the process has ended; 1 if it has not, nor in a
# minute.
wait_pid() {
	_left=$((($1 > 60 ? $1 : 60) * 20))
	while kill -0 "$2" 2>/dev/null; do
		_left=$((_left - 1))
		[ $_left -gt 0 ] || return 1
		sleep 0.05
	done
}

now_ms() { date +%s%3N; }
file_size() { stat -c %s "$1"; }
# KiB that a file really occupies.
disk_usage() { du -k "$1" | cut -f1; }

uri() { echo "nbd+unix:///?socket=$1/$2.nbd"; }
nbd_size() { nbdinfo --size "$(uri "$1" "$2")" 2>/dev/null; }
nbd_ready() { nbd_size "$1" "$2" >/dev/null; }
nbd_has_size() { [ "$(nbd_size "$1" "$2")" = "$3" ]; }
disk_gone() { ! nbd_ready "$1" "$2"; }

# vm_launch DIR [option...]: start a guest, do not wait; its id is in DIR/pid.
vm_launch() {
	_dir=$1
	shift
	mkdir -p "$_dir"
	"$HVK" run --dir "$_dir" -o modules="$MODULES" -o kldrun="$KLDRUN" "$@" \
	    >"$_dir/out" 2>"$_dir/err" </dev/null &
	echo $! >"$_dir/pid"
}

# vm_start DIR [option...]: and wait until da0 (or what $VM_WAIT names) serves.
vm_start() {
	vm_launch "$@"
	_ms=$(now_ms)
	for _disk in ${VM_WAIT-da0}; do
		vm_wait_disk "$1" "$_disk" || {
			vm_report "$1"
			fail "$_disk did not appear in the guest"
		}
	done
	vm_boot_ms=$(($(now_ms) - _ms))
}

# vm_wait_disk DIR DISK: 90 s, less if the host has ended.
vm_wait_disk() {
	_left=900
	while ! nbd_ready "$1" "$2"; do
		_left=$((_left - 1))
		[ $_left -gt 0 ] || return 1
		kill -0 "$(cat "$1/pid")" 2>/dev/null || return 1
		sleep 0.1
	done
}

vm_report() {
	for _f in err out console.log; do
		[ ! -s "$1/$_f" ] || { echo "--- $_f"; tail -n 40 "$1/$_f"; }
	done >&2
}

ctl() {
	_dir=$1
	shift
	timeout 60 "$HVK" ctl --dir "$_dir" "$@"
}

# sysctl of the guest's kernel
guest_sysctl() {
	_dir=$1
	shift
	timeout 60 "$KLDRUN" --dir "$_dir" sysctl "$@"
}

# True while the guest's first controller waits for an answer of the host.
in_flight() {
	[ "$(guest_sysctl "$1" dev.storvsc.0.inflight | sed 's/.*: *//')" -gt 0 ]
}

# relid DIR DEVICE: the number of the device's first channel.
relid() {
	ctl "$1" --json channels | jq --arg d "$2" '
	    .channels[] | select(.device == $d and .index == 0).relid'
}

# vm_stop DIR: an orderly shutdown; the guest must have leaked nothing.
vm_stop() {
	_pid=$(cat "$1/pid")
	ctl "$1" shutdown >/dev/null || { vm_report "$1"; fail "hvk ctl shutdown failed"; }
	wait_pid 30 "$_pid" || { vm_report "$1"; fail "the host did not end"; }
	_status=0
	wait "$_pid" || _status=$?
	[ $_status -eq 0 ] || { vm_report "$1"; fail "hvk run ended with status $_status"; }
	vm_no_leaks "$1" || { vm_report "$1"; fail "the guest leaked"; }
}

# The guest's last words on memory.
vm_no_leaks() { grep -q '^kldrun: nothing leaked' "$1/console.log"; }

# vm_kill DIR: at once and without grace (the host; the guest follows).
vm_kill() {
	_pid=$(cat "$1/pid")
	kill -9 "$_pid" 2>/dev/null || true
	wait "$_pid" 2>/dev/null || true
}

# process id of the guest (kldrun) of a run directory
guest_pid() { pgrep -P "$(cat "$1/pid")" '^kldrun'; }

# make_disk FILE MEBIBYTES: content that no mistake makes by chance.
make_disk() { head -c "$(($2 << 20))" /dev/urandom >"$1"; }

# daemon_dir DIR: one that a daemon may write, whoever it becomes.
daemon_dir() {
	mkdir -p "$1"
	[ "$(id -u)" -ne 0 ] || chown "$(id -un _hyperv 2>/dev/null || echo nobody)" "$1"
}

# new_case NAME DESCRIPTION [FEATURE...]: declare a test case; its body is
# NAME_body.  add_cases names all of them in atf_init_test_cases.  A program whose
# guest is not kldrun names its engine first: ENGINE=bare.
new_case() {
	atf_test_case "$1"
	eval "_descr_$1=\$2 _feature_$1=\${3:-}
	${1}_head() {
		atf_set descr \"\$_descr_$1\"
		atf_set timeout 900
		[ -z \"\$_feature_$1\" ] || atf_set X-feature \"\$_feature_$1\"
		[ -z \"\${ENGINE:-}\" ] || atf_set X-engine \"\$ENGINE\"
	}"
	_cases="${_cases:-} $1"
}

add_cases() {
	for _case in $_cases; do
		atf_add_test_case "$_case"
	done
}
