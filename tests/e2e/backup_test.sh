# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# Backup of a running guest: hv_vss_daemon, unmodified, freezes file systems of
# a kernel that counts them (tests/daemons/ufstest.c), asked by the host.

FSD=$top/build/daemons/hv_vss_daemon
UFSTEST=$top/build/tests/daemons/ufstest.ko

# backup_start DIR: a guest with the file systems 1, 2 (UFS) and a ZFS
backup_start() {
	mkdir -p mods
	cp "$MODULES"/*.ko "$UFSTEST" mods/
	MODULES=$PWD/mods vm_start "$1" disk.img
	mkdir -p root
	printf '1 ufs rw /\n2 ufs rw /var\n3 zfs rw /tank\n4 msdosfs rw /boot/efi\n' >root/mounts
	wait_for 10 "devices" test -S "$1/dev/ufssuspend" || atf_fail "no /dev/ufssuspend"
}
vss_daemon() {
	"$FSD" -d -f "$1/dev/hv_fsvss_dev" -u "$1/dev/ufssuspend" -R "$PWD/root" \
	    -P "$1/vss.pid" >"$1/vss.log" 2>&1 &
	daemon=$!
}
vss_ready() {
	vss_daemon "$1"
	wait_for 10 "the daemon" grep -q ready "$1/vss.log" &&
	    ctl_ok "$1" backup check || {
		cat "$1/vss.log"
		atf_fail "the guest cannot be saved"
	}
}
ctl_ok() { ctl "$@" >/dev/null 2>&1; }
# A thaw is the end of a process, which its kernel sees a moment later.
suspended() { guest_sysctl "$1" hw.ufstest.suspended | sed 's/.*[:=] *//'; }
suspended_is() { [ "$(suspended "$1")" = "$2" ]; }
host_frozen_is() { [ "$(ctl "$1" --json backup | jq -r .backup.state)" = "$2" ]; }

new_case steps "check, freeze, thaw: what is frozen when" "stor.backup"
steps_body() {
	make_disk disk.img 4
	backup_start vm
	vss_ready vm
	atf_check -o match:'hot_backup *yes' "$HVK" ctl --dir vm backup check
	suspended_is vm 0 || atf_fail "frozen by a check"
	ms=$(now_ms)
	atf_check -o ignore "$HVK" ctl --dir vm backup freeze
	frozen_ms=$(($(now_ms) - ms))
	suspended_is vm 6 || atf_fail "frozen: $(suspended vm), not 1 and 2"
	atf_check -s exit:1 -e match:'frozen already' "$HVK" ctl --dir vm backup freeze
	ms=$(now_ms)
	atf_check -o ignore "$HVK" ctl --dir vm backup thaw
	thawed_ms=$(($(now_ms) - ms))
	wait_for 20 "the thaw" suspended_is vm 0 || atf_fail "not thawed: $(suspended vm)"
	atf_check -s exit:1 -e match:'not frozen' "$HVK" ctl --dir vm backup thaw
	vm_stop vm
	echo "figure: stor.backup frozen in $frozen_ms ms, thawed in $thawed_ms ms"
}

new_case disks "the disks are copied while the guest is frozen, and are the disks" "stor.backup"
disks_body() {
	make_disk disk.img 64
	backup_start vm
	vss_ready vm
	# Somebody writes all the time; what is copied must be one moment.
	( while :; do
		timeout 20 qemu-io -f raw -c 'write -P 7 1M 64k' \
		    "$(uri vm da0)" >/dev/null 2>&1 || exit 0
	done ) &
	writer=$!
	atf_check -o save:backup.json "$HVK" ctl --dir vm --json backup "$PWD/saved"
	kill $writer
	wait $writer || true
	cat backup.json
	atf_check -o inline:"67108864\n" jq .bytes backup.json
	copy=$(jq -r '.disks[0].copy' backup.json)
	atf_check test "$(file_size "$copy")" -eq 67108864
	wait_for 20 "the thaw" suspended_is vm 0 || atf_fail "still frozen"
	# The same again does not overwrite it, and leaves nothing frozen.
	atf_check -s exit:1 -e match:'File exists' "$HVK" ctl --dir vm backup "$PWD/saved"
	atf_check -s exit:1 -e match:'File exists' -o save:again.json \
	    "$HVK" ctl --dir vm --json backup "$PWD/saved"
	atf_check -o match:'^false .*File exists' jq -r '"\(.ok) \(.error)"' again.json
	wait_for 20 "the thaw" suspended_is vm 0 || atf_fail "still frozen after a failure"
	atf_check test -f "$copy"
	vm_stop vm
	echo "figure: stor.backup 64 MiB saved under writes"
}

new_case hold "a host that does not thaw: thawed by itself, and no backup"
hold_body() {
	make_disk disk.img 4
	backup_start vm
	vss_ready vm
	atf_check -o ignore "$HVK" ctl --dir vm backup freeze hold=5
	suspended_is vm 6 || atf_fail "not frozen"
	wait_for 15 "the thaw" suspended_is vm 0 || atf_fail "still frozen"
	wait_for 5 "the host" host_frozen_is vm running || atf_fail "the host thinks it is frozen"
	atf_check -s exit:1 -e match:'no backup' "$HVK" ctl --dir vm backup thaw
	vm_stop vm
}

new_case killed "the daemon dies frozen, freezing and asked: nothing stays frozen" "stor.backup"
killed_body() {
	make_disk disk.img 4
	backup_start vm
	n=0
	while [ $n -lt 8 ]; do
		vss_ready vm
		case $((n % 2)) in
		0)
			atf_check -o ignore "$HVK" ctl --dir vm backup freeze
			suspended_is vm 6 || atf_fail "not frozen"
			kill -9 $daemon
			;;
		1)
			guest_sysctl vm hw.ufstest.slow=4 >/dev/null
			timeout 60 "$HVK" ctl --dir vm backup freeze >freeze.log 2>&1 &
			asker=$!
			sleep 1
			kill -9 $daemon
			! wait $asker || atf_fail "a freeze without a daemon succeeded"
			guest_sysctl vm hw.ufstest.slow=0 >/dev/null
			;;
		esac
		wait $daemon || true
		wait_for 20 "the thaw" suspended_is vm 0 || atf_fail "round $n stays frozen"
		# What the host has is no backup, and it is told.
		if [ $((n % 2)) -eq 0 ]; then
			vss_ready vm
			! ctl_ok vm backup thaw || atf_fail "round $n: a good backup"
			kill -9 $daemon
			wait $daemon || true
		fi
		n=$((n + 1))
	done
	vm_stop vm
	echo "figure: stor.backup killed in $n ways, nothing stays frozen"
}

new_case refused "a file system that does not freeze: no backup, the others thawed"
refused_body() {
	make_disk disk.img 4
	backup_start vm
	vss_ready vm
	guest_sysctl vm hw.ufstest.broken=4 >/dev/null
	! ctl_ok vm backup freeze || atf_fail "frozen"
	wait_for 20 "the thaw" suspended_is vm 0 || atf_fail "stays frozen: $(suspended vm)"
	guest_sysctl vm hw.ufstest.broken=0 >/dev/null
	atf_check -o ignore "$HVK" ctl --dir vm backup freeze
	atf_check -o ignore "$HVK" ctl --dir vm backup thaw
	vm_stop vm
}

new_case nobody "without a daemon: an error in time; other commands do not wait for it"
nobody_body() {
	make_disk disk.img 4
	backup_start vm
	ms=$(now_ms)
	timeout 60 "$HVK" ctl --dir vm backup check >check.log 2>&1 &
	asker=$!
	sleep 0.3
	timeout 60 "$HVK" ctl --dir vm info >/dev/null || atf_fail "no info"
	kill -0 $asker || atf_fail "info waits"
	! wait $asker || atf_fail "saved by nobody"
	ms=$(($(now_ms) - ms))
	cat check.log
	atf_check -o ignore grep 'no daemon' check.log
	echo "told after $ms ms"
	atf_check test $ms -lt 40000
	vm_stop vm
}

new_case rescinded "the service goes away while the guest is frozen"
rescinded_body() {
	make_disk disk.img 4
	backup_start vm
	vss_ready vm
	atf_check -o ignore "$HVK" ctl --dir vm backup freeze
	atf_check -o ignore -e ignore "$HVK" ctl --dir vm rescind vss
	wait_for 20 "the thaw" suspended_is vm 0 || atf_fail "stays frozen"
	wait_for 10 "the device's end" test ! -e vm/dev/hv_fsvss_dev || atf_fail "the device stays"
	wait $daemon || true
	atf_check -o ignore -e ignore "$HVK" ctl --dir vm offer vss
	wait_for 10 "the device" test -S vm/dev/hv_fsvss_dev || atf_fail "no device"
	vss_ready vm
	atf_check -o ignore "$HVK" ctl --dir vm backup freeze
	atf_check -o ignore "$HVK" ctl --dir vm backup thaw
	vm_stop vm
}

atf_init_test_cases() { add_cases; }
