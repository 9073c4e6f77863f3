# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# services.sh: the integration services of "make run", read by run.sh: the
# daemons, unmodified, on the devices of hv_utils.ko, asked by the host; what
# hv_vss_daemon(8) freezes is a kernel of its own with ufstest.ko.

svc=$work/services
daemons=build/daemons
svc_pids=

# svc_run NAME program option...: a daemon in the background
svc_run() {
	_name=$1
	shift
	"$@" >"$svc/$_name.log" 2>&1 &
	echo $! >"$work/$_name.pid"
	svc_pids="$svc_pids $!"
}

svc_suspended() {
	timeout 30 "$KLDRUN" --dir "$svc/ufs" sysctl hw.ufstest.suspended |
	    sed 's/.*: //'
}
svc_thawed() { [ "$(svc_suspended)" = 0 ]; }

services() {
	step "integration services: hvk ctl, host, VMBus, hv_utils.ko, its devices, the daemons"
	mkdir -p "$svc/ufs" "$svc/root/sbin"
	daemon_dir "$svc/files"
	vm_start "$svc" "$work/second.img"
	svc_run ufs "$KLDRUN" --dir "$svc/ufs" build/tests/daemons/ufstest.ko
	cp tests/daemons/standin/record.sh "$svc/root/sbin/zpool"
	printf '1 ufs rw /\n2 zfs rw /tank\n3 ufs rw /var\n4 msdosfs rw /boot/efi\n' \
	    >"$svc/root/mounts"
	for dev in hv_kvp_dev hv_fcopy_dev hv_fsvss_dev ../ufs/dev/ufssuspend; do
		wait_for 30 "$dev" test -S "$svc/dev/$dev" || fail "no $dev"
	done
	svc_run kvp "$daemons/hv_kvp_daemon" -n -P "$svc/kvp" -D "$svc/pool" \
	    -f "$svc/dev/hv_kvp_dev" -k "$svc"
	svc_run fcopy "$daemons/hv_fcopy_daemon" -n -P "$svc/fcopy" \
	    -f "$svc/dev/hv_fcopy_dev" "$PWD/$svc/files"
	svc_run vss "$daemons/hv_vss_daemon" -n -P "$svc/vss" \
	    -f "$svc/dev/hv_fsvss_dev" -u "$svc/ufs/dev/ufssuspend" \
	    -R "$PWD/$svc/root"
	wait_for 10 "hv_kvp_daemon" ctl "$svc" kvp list pool=0 || fail "kvp"
	wait_for 10 "hv_fcopy_daemon" grep -q 'files go' "$svc/fcopy.log" ||
	    fail fcopy
	svc_listed
	svc_clock
	svc_kvp
	svc_copy
	svc_backup
	for pid in $svc_pids; do
		kill "$pid" 2>/dev/null || true
		wait "$pid" || true
	done
	rm -f "$work"/*.pid
	vm_stop "$svc"
	grep -q 'the guest powers off' "$svc/err" ||
	    fail "the guest did not end by itself"
	proof ic.shutdown "the guest powered itself off, nothing leaked" "hvk ctl shutdown"
	say "the daemons and the guest ended in good order"
}

svc_offset() {
	guest_sysctl "$svc" debug.kldrun.clock_offset | sed 's/.*: //'
}
svc_clock_right() { off=$(svc_offset); [ "${off#-}" -lt 100000000 ]; }

svc_clock() {
	guest_sysctl "$svc" debug.kldrun.clock_offset=3600000000000 >/dev/null
	ctl "$svc" time sync >/dev/null || fail "time sync"
	wait_for 20 "the guest's clock" svc_clock_right ||
	    fail "the guest's clock is $(svc_offset) ns off"
	off=$(svc_offset)
	proof ic.timesync "an hour ahead, then $((${off#-} / 1000)) us off" "hvk ctl time sync"
	ctl "$svc" --json heartbeat >"$work/heartbeat.json" || fail heartbeat
	jq -e '.heartbeat.state == "ok"' "$work/heartbeat.json" >/dev/null ||
	    fail "heartbeat: $work/heartbeat.json"
	proof ic.heartbeat "$(jq .heartbeat.beats "$work/heartbeat.json") beats, $(jq .heartbeat.missed "$work/heartbeat.json") missed" "hvk ctl heartbeat"
}

svc_listed() {
	"$daemons/lsvmbus" -k "$svc" | sed 's/^/   lsvmbus: /'
	guest=$("$daemons/lsvmbus" --json -k "$svc" |
	    jq -r '.devices[].instance' | sort)
	host=$(ctl "$svc" --json info |
	    jq -r '.devices[] | select(.open > 0) | .instance' | sort)
	[ "$guest" = "$host" ] || fail "lsvmbus: not what the host offers"
	proof core.lsvmbus "$(echo "$guest" | wc -l) devices, those of the host" "lsvmbus --json and hvk ctl info"
}

svc_kvp() {
	ctl "$svc" kvp set greeting 'καλημέρα 😀' >/dev/null
	ctl "$svc" kvp list | sed 's/^/   /'
	[ "$(ctl "$svc" --json kvp get greeting | jq -r .value)" = \
	    'καλημέρα 😀' ] || fail "kvp: not what was set"
	ctl "$svc" kvp delete greeting >/dev/null
	timeout 300 build/tests/daemons/tools/kvpload "$svc" 2000 1 \
	    >"$work/kvp.out" || fail "kvpload: $work/kvp.out"
	sed 's/^/   /' "$work/kvp.out"
	proof ic.kvp "$(sed 's/,.*//' "$work/kvp.out"), 0 wrong" "hvk ctl kvp and kvpload"
}

svc_copy() {
	head -c $((256 << 20)) /dev/urandom >"$work/copied"
	ms=$(now_ms)
	ctl "$svc" copy "$work/copied" >/dev/null || fail "copy"
	ms=$(($(now_ms) - ms))
	cmp "$work/copied" "$svc/files/copied" || fail "the copy differs"
	! ctl "$svc" copy "$work/copied" >"$work/copy.err" 2>&1 ||
	    fail "an existing file was replaced"
	sed 's/^/   /' "$work/copy.err"
	! ctl "$svc" copy "$work/copied" path=../.. >"$work/copy.err" 2>&1 ||
	    fail "a file got out"
	sed 's/^/   /' "$work/copy.err"
	proof ic.fcopy "256 MiB in $ms ms, every byte the same" "hvk ctl copy and cmp"
	rm -f "$work/copied" "$svc/files/copied"
}

svc_backup() {
	ctl "$svc" backup freeze >/dev/null || fail "freeze"
	frozen=$(svc_suspended)
	ctl "$svc" backup thaw >/dev/null || fail "thaw"
	[ "$frozen" = 10 ] && wait_for 20 "the thaw" svc_thawed ||
	    fail "frozen $frozen, thawed $(svc_suspended)"
	sed -n 's/^hv_vss_daemon: /   /p' "$svc/vss.log"
	ctl "$svc" backup freeze >/dev/null || fail "freeze"
	# The shell would say that it was killed.
	{ kill -9 "$(cat "$work/vss.pid")" &&
	    wait "$(cat "$work/vss.pid")"; } 2>/dev/null || true
	wait_for 20 "the thaw" svc_thawed ||
	    fail "a dead daemon left file systems frozen"
	proof stor.backup "2 file systems frozen and thawed, ZFS synced, the rest named; thawed when the daemon dies" "hvk ctl backup"
}
