# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# Backup with an application that is asked (/dev/hv_appvss_dev), and guests and
# hosts that die while file systems are frozen or a file is on its way.

ENGINE=kld

daemons=$top/build/daemons
appvss=$top/build/tests/daemons/tools/appvss

alive() { grep -qsv '^[0-9]* (.*) Z' "/proc/$1/stat"; }
gone() { ! alive "$1"; }

# freezing in a kernel of its own, which survives what happens to the guest
ufs_start() {
	mkdir -p ufs root/sbin
	cp "$top/tests/daemons/standin/record.sh" root/sbin/zpool
	printf '1 ufs rw /\n2 zfs rw /tank\n3 ufs rw /var\n4 msdosfs rw /boot/efi\n' \
	    >root/mounts
	"$KLDRUN" --dir ufs "$top/build/tests/daemons/ufstest.ko" \
	    >ufs/log 2>&1 &
	ufs=$!
	wait_for 30 "ufstest" test -S ufs/dev/ufssuspend || atf_fail ufstest
}
ufs_stop() { kill $ufs; wait $ufs || atf_fail "ufstest: $(cat ufs/log)"; }
suspended_is() {
	[ "$(timeout 60 "$KLDRUN" --dir ufs sysctl hw.ufstest.suspended)" = \
	    "hw.ufstest.suspended: $1" ]
}
vss_start() {
	wait_for 30 "devices" test -S vm/dev/hv_fsvss_dev || atf_fail "no device"
	"$daemons/hv_vss_daemon" -d -P "$PWD/vss.pid" -f vm/dev/hv_fsvss_dev \
	    -u ufs/dev/ufssuspend -R "$PWD/root" "$@" >vss.log 2>&1 &
	vss=$!
	wait_for 10 "the daemon" grep -q ready vss.log || atf_fail "no daemon"
}

new_case application "an application is asked first and told last; it can refuse" stor.backup
application_body() {
	ufs_start
	VM_WAIT='' vm_start vm
	vss_start
	"$appvss" vm/dev/hv_appvss_dev >app.log 2>&1 &
	app=$!
	wait_for 10 "the application" grep -q ready app.log || atf_fail app
	atf_check -o ignore "$HVK" ctl --dir vm backup check
	atf_check -o ignore "$HVK" ctl --dir vm backup freeze
	suspended_is 10 || atf_fail "not frozen"
	atf_check -o ignore "$HVK" ctl --dir vm backup thaw
	wait_for 20 "the thaw" suspended_is 0 || atf_fail "still frozen"
	atf_check -o inline:'ready\ncheck\nfreeze\nthaw\n' cat app.log
	# ZFS was synced, by argv; the others were named.
	atf_check -o inline:'zpool <sync>\n' cat root/argv
	atf_check -o ignore grep '/boot/efi (msdosfs) cannot be frozen' vss.log
	atf_check -o ignore grep 'ZFS pools synced' vss.log
	kill $app
	wait $app || true
	# One that refuses: no backup, nothing frozen.
	"$appvss" vm/dev/hv_appvss_dev freeze >app2.log 2>&1 &
	app=$!
	wait_for 10 "the application" grep -q ready app2.log || atf_fail app
	atf_check -s exit:1 -e not-empty "$HVK" ctl --dir vm backup freeze
	wait_for 20 "the thaw" suspended_is 0 || atf_fail "frozen against the application's will"
	kill $app
	wait $app || true
	# Without one it goes on as before.
	atf_check -o ignore "$HVK" ctl --dir vm backup freeze
	atf_check -o ignore "$HVK" ctl --dir vm backup thaw
	kill $vss
	wait $vss || atf_fail "the daemon ended with $?"
	vm_stop vm
	ufs_stop
	echo "figure: stor.backup application asked before and told after, 2 file systems frozen, ZFS synced, msdosfs named"
}

new_case dead "guest or host killed while frozen: thawed, every time" stor.backup
dead_body() {
	ufs_start
	n=0
	for victim in guest host guest host; do
		VM_WAIT='' vm_start vm
		vss_start
		atf_check -o ignore "$HVK" ctl --dir vm backup freeze
		suspended_is 10 || atf_fail "not frozen"
		case $victim in
		guest) kill -9 "$(guest_pid vm)" ;;
		host) kill -9 "$(cat vm/pid)" ;;
		esac
		wait_for 20 "the thaw" suspended_is 0 || atf_fail "frozen after $victim"
		wait_for 20 "the daemon's end" gone $vss || atf_fail "it outlives"
		wait $vss || true
		vm_kill vm
		rm -rf vm
		n=$((n + 1))
	done
	# The daemon alone, told to end while frozen.
	VM_WAIT='' vm_start vm
	vss_start
	atf_check -o ignore "$HVK" ctl --dir vm backup freeze
	kill -TERM $vss
	wait_for 20 "the thaw" suspended_is 0 || atf_fail "frozen after SIGTERM"
	wait $vss || atf_fail "the daemon ended with $?"
	vm_stop vm
	ufs_stop
	echo "figure: stor.backup guest and host killed while frozen $n times, thawed every time"
}

new_case watchdog "the daemon's own time runs out: thawed, and no backup"
watchdog_body() {
	ufs_start
	VM_WAIT='' vm_start vm
	vss_start -t 1
	atf_check -o ignore "$HVK" ctl --dir vm backup freeze hold=60
	wait_for 20 "the thaw" suspended_is 0 || atf_fail "still frozen"
	wait_for 20 "the word" grep -q 'ended before' vss.log || atf_fail "silent"
	atf_check -s exit:1 -e not-empty "$HVK" ctl --dir vm backup thaw
	# And the next one is good again.
	atf_check -o ignore "$HVK" ctl --dir vm backup check
	kill $vss
	wait $vss || true
	vm_stop vm
	ufs_stop
}

new_case copying "guest, host and daemon killed while a file is copied: nothing of it" ic.fcopy
copying_body() {
	head -c 64M /dev/urandom >big
	daemon_dir files
	n=0
	for victim in guest host daemon; do
		VM_WAIT='' vm_start vm
		wait_for 30 "the device" test -S vm/dev/hv_fcopy_dev || atf_fail dev
		"$daemons/hv_fcopy_daemon" -n -P "$PWD/f.pid" \
		    -f vm/dev/hv_fcopy_dev "$PWD/files" >>f.log 2>&1 &
		daemon=$!
		# Told to come: it answers "no daemon" until one is there.
		timeout 60 sh -c "until grep -q 'files go' f.log; do
		    sleep 0.05; done"
		"$HVK" ctl --dir vm copy big >/dev/null 2>copy.log &
		copy=$!
		wait_for 20 "the first bytes" sh -c \
		    'test -n "$(find files/.hv_fcopy -type f -size +256k)"' ||
		    atf_fail "nothing is copied"
		case $victim in
		guest) kill -9 "$(guest_pid vm)" ;;
		host) kill -9 "$(cat vm/pid)" ;;
		daemon) kill -9 $daemon ;;
		esac
		wait $copy && atf_fail "a copy that lost its $victim succeeded"
		[ ! -e files/big ] || atf_fail "half a file after $victim"
		wait_for 20 "the daemon's end" gone $daemon || atf_fail "it stays"
		wait $daemon || true
		vm_kill vm
		rm -rf vm
		: >f.log
		n=$((n + 1))
	done
	VM_WAIT='' vm_start vm
	wait_for 30 "the device" test -S vm/dev/hv_fcopy_dev || atf_fail dev
	"$daemons/hv_fcopy_daemon" -n -P "$PWD/f.pid" -f vm/dev/hv_fcopy_dev \
	    "$PWD/files" >>f.log 2>&1 &
	daemon=$!
	wait_for 10 "the daemon" grep -q 'files go' f.log || atf_fail daemon
	# What the killed ones left is gone.
	[ -z "$(ls files/.hv_fcopy)" ] || atf_fail "left: $(ls files/.hv_fcopy)"
	atf_check -o ignore "$HVK" ctl --dir vm copy big
	cmp big files/big || atf_fail "another file"
	kill $daemon
	wait $daemon || true
	vm_stop vm
	rm -f big files/big
	echo "figure: ic.fcopy $n kills in the middle of 64 MiB, nothing half-written"
}

atf_init_test_cases() { add_cases; }
