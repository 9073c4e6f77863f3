# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# The integration services through the whole stack: hv_utils in kldrun against
# the host.

# field DIR COMMAND JQ: one figure of a command's answer
field() {
	_dir=$1 _cmd=$2 _jq=$3
	# shellcheck disable=SC2086
	ctl "$_dir" --json $_cmd | jq -r "$_jq"
}
field_is() { [ "$(field "$1" "$2" "$3")" = "$4" ]; }
sysctl_value() { guest_sysctl "$1" "$2" | sed 's/.*[:=] *//'; }
sysctl_is() { [ "$(sysctl_value "$1" "$2")" = "$3" ]; }
host_says() { grep -q "$2" "$1/err"; }
abs() { echo "${1#-}"; }

new_case heartbeat "the host sees the guest live, hang, and live again" "ic.heartbeat"
heartbeat_body() {
	make_disk disk.img 4
	vm_start vm disk.img
	wait_for 10 "heartbeat" field_is vm heartbeat .heartbeat.state ok ||
	    atf_fail "no heartbeat"
	field_is vm heartbeat .heartbeat.application unknown || atf_fail "state"
	atf_check -o ignore "$KLDRUN" --dir vm sysctl \
	    dev.hvheartbeat.0.application_state=2
	wait_for 10 "critical" field_is vm heartbeat .heartbeat.application critical ||
	    atf_fail "the application's state does not arrive"
	guest=$(guest_pid vm)
	kill -STOP "$guest"
	wait_for 20 "lost" field_is vm heartbeat .heartbeat.state lost || {
		kill -CONT "$guest"
		atf_fail "a stopped guest seems to live"
	}
	kill -CONT "$guest"
	wait_for 10 "back" field_is vm heartbeat .heartbeat.state ok ||
	    atf_fail "the guest does not come back"
	beats=$(field vm heartbeat .heartbeat.beats)
	rtt=$(field vm heartbeat .heartbeat.round_trip_us)
	vm_stop vm
	echo "figure: ic.heartbeat $beats beats, lost and back, $rtt us"
}

new_case heartbeat_versions "each version of the service, and a guest without it" "ic.heartbeat"
heartbeat_versions_body() {
	make_disk disk.img 4
	for v in 1.0 3.0; do
		vm_start "v$v" -o heartbeat=$v -o timesync=$v -o shutdown=$v disk.img
		wait_for 10 "heartbeat" field_is "v$v" heartbeat .heartbeat.state ok ||
		    atf_fail "no heartbeat in version $v"
		for d in hvheartbeat hvtimesync hvshutdown; do
			sysctl_is "v$v" dev.$d.0.msg_version "$v" ||
			    atf_fail "$d does not speak $v"
		done
		atf_check -s exit:1 -e match:'has no such request' \
		    "$HVK" ctl --dir "v$v" restart
		vm_stop "v$v"
	done
	vm_start none -o heartbeat=no -o shutdown=no -o timesync=no disk.img
	atf_check -s exit:1 -e match:'without the heartbeat service' \
	    "$HVK" ctl --dir none heartbeat
	atf_check -s exit:1 -e match:'without the timesync service' \
	    "$HVK" ctl --dir none time sync
	atf_check -s exit:1 -e match:'without the shutdown service' \
	    "$HVK" ctl --dir none restart
	atf_check -o match:'by *engine' "$HVK" ctl --dir none shutdown
	wait_pid 30 "$(cat none/pid)" || atf_fail "no end"
}

new_case shutdown "power off: the guest itself does it, in good order" "ic.shutdown"
shutdown_body() {
	make_disk disk.img 4
	vm_start vm disk.img
	atf_check -s exit:1 -e match:'not supported' \
	    "$HVK" ctl --dir vm shutdown hibernate
	kill -0 "$(cat vm/pid)" || atf_fail "hibernation was obeyed"
	ms=$(now_ms)
	atf_check -o match:'by *guest' "$HVK" ctl --dir vm shutdown force \
	    reason="the test ends"
	wait_pid 30 "$(cat vm/pid)" || { vm_report vm; atf_fail "no end"; }
	ms=$(($(now_ms) - ms))
	wait "$(cat vm/pid)" || { vm_report vm; atf_fail "status $?"; }
	host_says vm 'the guest powers off' || atf_fail "who ended it?"
	atf_check -o ignore grep 'asks for power off, forced: the test ends' \
	    vm/console.log
	vm_no_leaks vm || { vm_report vm; atf_fail "the guest leaked"; }
	echo "figure: ic.shutdown off after $ms ms, by itself"
}

new_case restart "restart, twice: the same host, a new guest" "ic.shutdown"
restart_body() {
	make_disk disk.img 4
	vm_start vm disk.img
	for n in 1 2; do
		atf_check -o match:'by *guest' "$HVK" ctl --dir vm restart
		wait_for 20 "restart $n" sh -c \
		    "[ \$(grep -c 'the guest is up' vm/err) -gt $n ]" || {
			vm_report vm
			atf_fail "not up again"
		}
		vm_wait_disk vm da0 || atf_fail "no disk after restart $n"
		wait_for 10 "heartbeat" field_is vm heartbeat .heartbeat.state ok ||
		    atf_fail "no heartbeat after restart $n"
	done
	vm_stop vm
	vm_launch no -o reboot=no disk.img
	vm_wait_disk no da0 || atf_fail "no disk"
	atf_check -o ignore "$HVK" ctl --dir no restart
	wait_pid 30 "$(cat no/pid)" || atf_fail "no end"
	status=0
	wait "$(cat no/pid)" || status=$?
	[ $status -eq 4 ] || atf_fail "status $status, not 4"
}

# clock_off DIR NANOSECONDS: make the guest's clock wrong
clock_off() {
	guest_sysctl "$1" "debug.kldrun.clock_offset=$2" >/dev/null ||
	    atf_fail "cannot set the guest's clock"
}
clock_error_us() { echo $(($(sysctl_value "$1" debug.kldrun.clock_offset) / 1000)); }
clock_right() { [ "$(abs "$(clock_error_us "$1")")" -lt "$2" ]; }

new_case time_steps "errors from 101 ms to 10 years, both ways, stepped by a sample" "ic.timesync"
time_steps_body() {
	make_disk disk.img 4
	vm_start vm disk.img
	n=0
	for s in 101000000 1000000000 3600000000000 31536000000000000 \
	    315360000000000000; do
		for sign in "" -; do
			clock_off vm "$sign$s"
			atf_check -o ignore "$HVK" ctl --dir vm time sample
			wait_for 5 "a right clock" clock_right vm 1000 ||
			    atf_fail "still wrong by $(clock_error_us vm) us"
			n=$((n + 1))
		done
	done
	clock_off vm 5000000
	steps=$(sysctl_value vm debug.kldrun.clock_steps)
	atf_check -o ignore "$HVK" ctl --dir vm time sync
	wait_for 5 "a right clock" clock_right vm 1000 || atf_fail "no sync"
	[ "$(sysctl_value vm debug.kldrun.clock_steps)" -gt "$steps" ] ||
	    atf_fail "a sync is slewed"
	left=$(abs "$(clock_error_us vm)")
	vm_stop vm
	echo "figure: ic.timesync $n offsets from 101 ms to 10 years stepped, $left us left"
}

new_case time_slews "small errors are slewed, and how fast" "ic.timesync"
time_slews_body() {
	make_disk disk.img 4
	vm_start vm disk.img
	steps=$(sysctl_value vm debug.kldrun.clock_steps)
	for us in 1000 -2000 50000 -99000; do
		clock_off vm ${us}000
		ms=$(now_ms)
		atf_check -o ignore "$HVK" ctl --dir vm time sample
		wait_for 5 "a slew" clock_right vm "$(abs $us)" ||
		    atf_fail "$us us is not slewed"
		sleep 2
		after=$(clock_error_us vm)
		ms=$(($(now_ms) - ms))
		moved=$(($(abs $us) - $(abs "$after")))
		echo "$us us: $moved us in $ms ms"
		atf_check test "$moved" -gt 0
		rate=$((moved * 1000 / ms))
		atf_check test $rate -le 600
	done
	atf_check_equal "$steps" "$(sysctl_value vm debug.kldrun.clock_steps)"
	# 1 ms ends by itself, without a step.
	clock_off vm 1000000
	atf_check -o ignore "$HVK" ctl --dir vm time sample
	wait_for 10 "the end of the slew" clock_right vm 300 ||
	    atf_fail "still wrong by $(clock_error_us vm) us"
	vm_stop vm
	echo "figure: ic.timesync slewed at $rate us a second"
}

new_case time_policy "the tunables mean what they say, and NTP is left alone" "ic.timesync"
time_policy_body() {
	make_disk disk.img 4
	vm_start vm disk.img
	quiet() {	# DIR: a sample does nothing
		atf_check -o ignore "$HVK" ctl --dir "$1" time "${2:-sample}"
		sleep 0.5
	}
	steps=$(sysctl_value vm debug.kldrun.clock_steps)
	# 0 ignores samples; today's driver would step at each of them.
	guest_sysctl vm hw.hvtimesync.sample_thresh=0 >/dev/null
	clock_off vm 2000000000
	quiet vm
	atf_check_equal "$steps" "$(sysctl_value vm debug.kldrun.clock_steps)"
	guest_sysctl vm hw.hvtimesync.sample_thresh=100 >/dev/null
	# An NTP daemon has the clock: STA_PLL without STA_UNSYNC.
	guest_sysctl vm debug.kldrun.ntp_status=1 >/dev/null
	quiet vm
	atf_check_equal "$steps" "$(sysctl_value vm debug.kldrun.clock_steps)"
	atf_check_equal 0 "$(sysctl_value vm debug.kldrun.clock_left)"
	# So wrong that the machine must have stood still.
	clock_off vm 6000000000
	quiet vm
	wait_for 5 "a step" clock_right vm 1000 || atf_fail "not stepped"
	guest_sysctl vm debug.kldrun.ntp_status=64 >/dev/null
	steps=$(sysctl_value vm debug.kldrun.clock_steps)
	guest_sysctl vm hw.hvtimesync.ignore_sync=1 >/dev/null
	clock_off vm 3000000000
	quiet vm sync
	atf_check_equal "$steps" "$(sysctl_value vm debug.kldrun.clock_steps)"
	guest_sysctl vm hw.hvtimesync.ignore_sync=0 >/dev/null
	quiet vm sync
	wait_for 5 "a sync" clock_right vm 1000 || atf_fail "no sync"
	vm_stop vm
}

for fault in drop short hostile silence delay; do
	new_case "fault_$fault" "messages of the services suffer: $fault"
	eval "fault_${fault}_body() { spoilt $fault; }"
done

spoilt() {
	make_disk disk.img 4
	vm_start vm disk.img
	wait_for 10 "heartbeat" field_is vm heartbeat .heartbeat.state ok ||
	    atf_fail "no heartbeat"
	# One that is lost costs the host its whole patience: of those only more
	# than either side has room for.
	case $1 in
	drop | short) rounds=6 ;;
	*) rounds=16 ;;
	esac
	for d in heartbeat timesync; do
		atf_check -o ignore -e ignore "$HVK" ctl --dir vm inject $d "$1" count=$rounds ms=100
	done
	n=0
	while [ $n -lt $rounds ]; do
		timeout 10 "$HVK" ctl --dir vm time sample >/dev/null 2>&1 || true
		n=$((n + 1))
	done
	atf_check -o ignore -e ignore "$HVK" ctl --dir vm inject off
	wait_for 20 "heartbeat again" field_is vm heartbeat .heartbeat.state ok ||
	    atf_fail "no heartbeat after the fault"
	atf_check -o ignore "$HVK" ctl --dir vm time sample
	rejected=$(sysctl_value vm dev.hvtimesync.0.rejected)
	echo "$rejected messages rejected by the guest"
	vm_stop vm
}

new_case rescind "services taken away and brought back, 50 times" "core.rescind"
rescind_body() {
	make_disk disk.img 4
	vm_start vm disk.img
	n=0
	while [ $n -lt 50 ]; do
		for d in heartbeat shutdown timesync; do
			ctl vm rescind $d >/dev/null || atf_fail "rescind $d"
		done
		for d in heartbeat shutdown timesync; do
			ctl vm offer $d >/dev/null || atf_fail "offer $d"
		done
		n=$((n + 1))
	done
	wait_for 20 "heartbeat" field_is vm heartbeat .heartbeat.state ok ||
	    { vm_report vm; atf_fail "no heartbeat"; }
	vm_stop vm
	echo "figure: core.rescind 3 services, $n times"
}

# Every daemon at the guest's devices.
all_daemons() {
	mkdir -p pools root
	daemon_dir in
	: >root/mounts
	daemons=$top/build/daemons
	"$daemons/hv_kvp_daemon" -d -f "$1/dev/hv_kvp_dev" -D "$PWD/pools" -P "$1/k.pid" >"$1/kvp.log" 2>&1 &
	"$daemons/hv_vss_daemon" -d -f "$1/dev/hv_fsvss_dev" -R "$PWD/root" -P "$1/v.pid" >"$1/vss.log" 2>&1 &
	"$daemons/hv_fcopy_daemon" -d -f "$1/dev/hv_fcopy_dev" -P "$1/f.pid" "$PWD/in" >"$1/fcopy.log" 2>&1 &
	wait_for 20 "hv_kvp_daemon" ctl "$1" kvp get OSName || { cat "$1/kvp.log"; atf_fail "no keys"; }
	wait_for 20 "hv_vss_daemon" ctl "$1" backup check || { cat "$1/vss.log"; atf_fail "no backup"; }
	wait_for 20 "hv_fcopy_daemon" grep -q 'files go to' "$1/fcopy.log" || atf_fail "no copies"
}

# Each service once, with its answer.
all_services() {
	head -c 70000 /dev/urandom >one.bin
	atf_check -o ignore "$HVK" ctl --dir "$1" kvp set key value
	atf_check -o match:'value *value' "$HVK" ctl --dir "$1" kvp get key
	atf_check -o match:OSName "$HVK" ctl --dir "$1" kvp list
	atf_check "$HVK" ctl --dir "$1" kvp delete key
	atf_check -o ignore "$HVK" ctl --dir "$1" backup freeze
	atf_check "$HVK" ctl --dir "$1" backup thaw
	atf_check -o ignore "$HVK" ctl --dir "$1" copy one.bin overwrite
	atf_check cmp one.bin in/one.bin
	atf_check -o ignore "$HVK" ctl --dir "$1" time sample
}

for fault in drop short hostile; do
	new_case "daemons_$fault" "messages for daemons suffer: $fault"
	eval "daemons_${fault}_body() { spoilt_daemons $fault; }"
done

# A message that is lost costs the host its whole patience, so few of those.
spoilt_daemons() {
	make_disk disk.img 4
	vm_start vm disk.img
	all_daemons vm
	rounds=24
	[ "$1" = hostile ] || rounds=1
	for d in kvp vss fcopy; do
		atf_check -o ignore -e ignore "$HVK" ctl --dir vm inject $d "$1" count=$rounds
	done
	n=0
	while [ $n -lt $rounds ]; do
		pids=
		for words in "kvp set a$n b" "backup check" "copy disk.img name=x$n"; do
			# shellcheck disable=SC2086 # words
			timeout 60 "$HVK" ctl --dir vm $words >/dev/null 2>&1 &
			pids="$pids $!"
		done
		for pid in $pids; do
			wait "$pid" || true
		done
		n=$((n + 1))
	done
	atf_check -o ignore -e ignore "$HVK" ctl --dir vm inject off
	all_services vm
	vm_stop vm
}

new_case asan "the services' modules under AddressSanitizer: all of them, spoilt, taken away"
asan_body() {
	KLDRUN=$top/build/bin/kldrun-asan
	MODULES=$top/build/modules-asan
	make_disk disk.img 4
	vm_start vm disk.img
	all_daemons vm
	all_services vm
	for d in heartbeat timesync kvp vss fcopy; do
		atf_check -o ignore -e ignore "$HVK" ctl --dir vm inject $d hostile count=16
	done
	n=0
	while [ $n -lt 16 ]; do
		timeout 60 "$HVK" ctl --dir vm kvp set "a$n" b >/dev/null 2>&1 || true
		timeout 60 "$HVK" ctl --dir vm time sample >/dev/null 2>&1 || true
		timeout 60 "$HVK" ctl --dir vm backup check >/dev/null 2>&1 || true
		timeout 60 "$HVK" ctl --dir vm copy disk.img name=x.bin overwrite >/dev/null 2>&1 || true
		n=$((n + 1))
	done
	atf_check -o ignore -e ignore "$HVK" ctl --dir vm inject off
	all_services vm
	for d in heartbeat shutdown timesync kvp vss fcopy; do
		atf_check -o ignore -e ignore "$HVK" ctl --dir vm rescind $d
	done
	for d in kvp fsvss fcopy; do
		wait_for 20 "hv_${d}_dev's end" test ! -e vm/dev/hv_${d}_dev || atf_fail "a device stays"
	done
	for d in heartbeat shutdown timesync kvp vss fcopy; do
		atf_check -o ignore -e ignore "$HVK" ctl --dir vm offer $d
	done
	for d in kvp fsvss fcopy; do
		wait_for 20 "hv_${d}_dev" test -e vm/dev/hv_${d}_dev || atf_fail "no device again"
	done
	all_daemons vm
	all_services vm
	vm_stop vm
	atf_check -s exit:1 -o empty grep -h AddressSanitizer vm/err vm/console.log
}

new_case kvp_versions "every version of key-value pairs, with an unmodified daemon" "ic.kvp"
kvp_versions_body() {
	make_disk disk.img 4
	n=0
	for v in 3.0 4.0 5.0; do
		rm -rf pools
		vm_start "v$v" -o kvp=$v disk.img
		all_daemons "v$v"
		sysctl_is "v$v" dev.hvkvp.0.msg_version $v || atf_fail "not version $v"
		# Facts are the guest's own: the daemon lets nobody set them.
		atf_check -o match:OSName "$HVK" ctl --dir "v$v" kvp list pool=auto
		atf_check -s exit:1 -e match:'invalid argument' "$HVK" ctl --dir "v$v" kvp set a b pool=auto
		for pool in external guest auto-external auto-internal; do
			atf_check "$HVK" ctl --dir "v$v" kvp set "kéy $pool" "välue € 😀" pool=$pool
			atf_check -o match:"välue € 😀" "$HVK" ctl --dir "v$v" kvp get "kéy $pool" pool=$pool
			atf_check -o match:"kéy $pool" "$HVK" ctl --dir "v$v" kvp list pool=$pool
			atf_check "$HVK" ctl --dir "v$v" kvp delete "kéy $pool" pool=$pool
			atf_check -s exit:1 -e match:'no key' "$HVK" ctl --dir "v$v" kvp get "kéy $pool" pool=$pool
			n=$((n + 5))
		done
		# Addresses came with 4.0.
		case $v in
		3.0) want='has no such request' ;;
		*) want='not found' ;;
		esac
		atf_check -s exit:1 -e match:"$want" "$HVK" ctl --dir "v$v" ip get 00:15:5d:00:00:99
		vm_stop "v$v"
	done
	echo "figure: ic.kvp 3 versions, 5 pools, $n operations"
}

new_case commands "wrong words are status 2 and a line of usage; each verb has JSON"
commands_body() {
	make_disk disk.img 4
	vm_start vm disk.img
	all_daemons vm
	for words in "heartbeat x" "time x" "time sync x" "shutdown x" "restart now" "kvp" "kvp x" \
	    "kvp get" "kvp set a" "kvp list x=y" "ip" "ip get" "ip set" "ip get a b" "ip set a x=y" \
	    "backup d x" "backup d hold=x" "copy" "copy f x=y" "lsvmbus x"; do
		# shellcheck disable=SC2086 # words
		atf_check -s exit:2 -e match:'usage: hvk ctl' "$HVK" ctl --dir vm $words
	done
	for words in heartbeat time "time sample" "kvp list" "kvp set a b" "kvp get a" "kvp delete a" \
	    backup "backup check" "backup freeze" "backup thaw" "copy disk.img" "copy status" lsvmbus; do
		# shellcheck disable=SC2086 # words
		atf_check -o save:out.json "$HVK" ctl --dir vm --json $words
		atf_check -o inline:'true\n' jq .ok out.json
	done
	for words in "kvp get absent" "kvp delete absent" "kvp list pool=nowhere" "kvp set n x type=u32" \
	    "kvp set n 4294967296 type=u32" "kvp set n x type=u16" "ip get net9" "ip set {x}" \
	    "ip get 00:00:00:00:00:01" "copy absent" "copy cancel" "backup thaw"; do
		# shellcheck disable=SC2086 # words
		atf_check -s exit:1 -o save:out.json "$HVK" ctl --dir vm --json $words
		atf_check -o inline:'false\n' jq .ok out.json
		text=$(jq -r .error out.json)
		echo "$words: $text"
		[ ${#text} -gt 10 ] || atf_fail "$words says '$text'"
	done
	vm_stop vm
}

atf_init_test_cases() { add_cases; }
