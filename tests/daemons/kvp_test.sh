# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# hv_kvp_daemon(8) through the whole stack: hvk ctl, host, VMBus, hv_utils.ko,
# its device, the daemon, the files.

ENGINE=kld

daemons=$top/build/daemons
kvpload=$top/build/tests/daemons/tools/kvpload

# kvp_start DIR: the daemon of the guest in DIR; its pid is in $kvp_pid.
kvp_start() {
	wait_for 30 "the device" test -S "$1/dev/hv_kvp_dev" || {
		vm_report "$1"
		vm_kill "$1"
		atf_fail "no hv_kvp_dev"
	}
	"$daemons/hv_kvp_daemon" -n -P "$PWD/$1/kvp.pid" -D "$PWD/pool" \
	    -f "$1/dev/hv_kvp_dev" -k "$1" >>kvp.log 2>&1 &
	kvp_pid=$!
	wait_for 10 "the daemon" kvp_answers "$1" || {
		cat kvp.log >&2
		vm_kill "$1"
		atf_fail "no hv_kvp_daemon"
	}
}
kvp_answers() { ctl "$1" kvp list pool=0; }
kvp_stop() { kill "$kvp_pid" && wait "$kvp_pid"; }

new_case operations "10,000 operations: every size, every kind of UTF-16" ic.kvp
operations_body() {
	VM_WAIT='' vm_start vm
	kvp_start vm
	timeout 300 "$kvpload" vm 10000 42 >counts || atf_fail "kvpload: $?"
	cat counts
	# The files are those of the base system's daemon.
	for n in 0 1 2 3 4; do
		[ $(($(file_size pool/.kvp_pool_$n) % 2560)) = 0 ] ||
		    atf_fail "pool $n"
		[ "$(stat -c %a pool/.kvp_pool_$n)" = 600 ] || atf_fail mode
	done
	kvp_stop || atf_fail "the daemon ended with $?"
	vm_stop vm
	echo "figure: ic.kvp $(cat counts), 0 wrong"
}

new_case facts "the ten facts, each right"
facts_body() {
	VM_WAIT='' vm_start vm
	kvp_start vm
	ctl vm --json kvp list pool=2 >facts.json || atf_fail list
	fact() { jq -r --arg k "$1" '.pairs[] | select(.key == $k) | .value' \
	    facts.json; }
	[ "$(jq '.pairs | length' facts.json)" = 10 ] || atf_fail "not ten"
	release=$(uname -r)
	release=${release%%-*}
	[ "$(fact OSName)" = "$(uname -s)" ] || atf_fail OSName
	[ "$(fact OSVersion)" = "$release" ] || atf_fail OSVersion
	[ "$(fact OSBuildNumber)" = "$release" ] || atf_fail OSBuildNumber
	[ "$(fact OSMajorVersion)" = "${release%%.*}" ] || atf_fail major
	minor=${release#*.}
	[ "$(fact OSMinorVersion)" = "${minor%%.*}" ] || atf_fail minor
	[ "$(fact ProcessorArchitecture)" = "$(uname -m)" ] || atf_fail machine
	[ "$(fact IntegrationServicesVersion)" = "$(sed -n \
	    's/^#define	HV_VERSION	"\(.*\)"/\1/p' \
	    "$top/usr.sbin/hyperv/lib/version.h")" ] || atf_fail version
	case $(fact FullyQualifiedDomainName) in
	"$(uname -n)"*) ;;
	*) atf_fail "name $(fact FullyQualifiedDomainName)" ;;
	esac
	case ";$(fact NetworkAddressIPv4);" in
	*";127."*) atf_fail "a loopback address" ;;
	esac
	for a in $(ip -4 -o addr show scope global |
	    sed 's/.* inet \([0-9.]*\).*/\1/'); do
		case ";$(fact NetworkAddressIPv4);" in
		*";$a;"*) ;;
		*) atf_fail "$a is not reported" ;;
		esac
	done
	# Nobody may change them, and one can be asked for by name.
	atf_check -s exit:1 -e match:'0x80070057' "$HVK" ctl --dir vm \
	    kvp set OSName Windows pool=2
	atf_check -s exit:1 -e ignore "$HVK" ctl --dir vm kvp delete OSName \
	    pool=2
	atf_check -o match:"$(uname -s)" "$HVK" ctl --dir vm kvp get OSName \
	    pool=2
	kvp_stop
	vm_stop vm
}

new_case other_programs "what other programs write to the pools is seen at once"
other_programs_body() {
	VM_WAIT='' vm_start vm
	kvp_start vm
	# A record as a program of the guest writes it.
	{ printf agent; head -c 507 /dev/zero; printf ready; head -c 2043 \
	    /dev/zero; } >>pool/.kvp_pool_1
	atf_check -o match:'value  *ready' "$HVK" ctl --dir vm kvp get agent \
	    pool=1
	ctl vm kvp set task 7 pool=0 || atf_fail set
	[ "$(head -c 4 pool/.kvp_pool_0)" = task ] || atf_fail "not in the file"
	# A torn record is no record, and does no harm.
	printf torn >>pool/.kvp_pool_1
	[ "$(ctl vm --json kvp list pool=1 | jq '.pairs | length')" = 1 ] ||
	    atf_fail "torn"
	kvp_stop
	vm_stop vm
}

# HVK_KILLS=N for a long run; HVK_SEED=N for other moments.
new_case killed "kill -9 of daemon, guest and host at random points: whole pools" ic.kvp
killed_body() {
	kills=${HVK_KILLS:-10} seed=${HVK_SEED:-1} n=0 of_daemon=0 of_guest=0 of_host=0
	while [ $n -lt "$kills" ]; do
		# The daemon writes the pools: every other kill is its own.
		case $((n % 4)) in
		1) victim=guest of_guest=$((of_guest + 1)) ;;
		3) victim=host of_host=$((of_host + 1)) ;;
		*) victim=daemon of_daemon=$((of_daemon + 1)) ;;
		esac
		seed=$(((seed * 1103515245 + 12345) % 2147483648))
		VM_WAIT='' vm_start vm
		kvp_start vm
		"$kvpload" vm stress $seed &
		load=$!
		sleep 0.$((seed / 65536 % 500 + 100))
		case $victim in
		daemon) kill -9 "$kvp_pid" ;;
		guest) kill -9 "$(guest_pid vm)" ;;
		host) kill -9 "$(cat vm/pid)" ;;
		esac
		if [ $victim = daemon ]; then
			wait "$kvp_pid" 2>/dev/null || true
			"$kvpload" check pool/.kvp_pool_0 >records ||
			    atf_fail "after $victim, kill $n"
			# Another takes over while the host keeps asking.
			kvp_start vm
			sleep 0.2
			vm_kill vm
		fi
		wait $load 2>/dev/null || true
		vm_kill vm
		# The daemon ends with its device.
		wait_for 20 "the daemon's end" sh -c "! grep -qsv \
		    '^[0-9]* (.*) Z' /proc/$kvp_pid/stat" ||
		    atf_fail "the daemon outlives $victim"
		wait "$kvp_pid" 2>/dev/null || true
		"$kvpload" check pool/.kvp_pool_0 >records ||
		    atf_fail "after $victim, kill $n"
		n=$((n + 1))
		rm -rf vm
	done
	VM_WAIT='' vm_start vm
	kvp_start vm
	[ "$(ctl vm --json kvp list pool=0 | jq '.pairs | length')" = \
	    "$(sed 's/ .*//' records)" ] || atf_fail "the host sees others"
	kvp_stop
	vm_stop vm
	echo "figure: ic.kvp $n kills of daemon ($of_daemon), guest ($of_guest) and host ($of_host), pools whole every time"
}

new_case no_daemon "without a daemon: an error in time, and again a daemon"
no_daemon_body() {
	VM_WAIT='' vm_start vm
	wait_for 30 "the device" test -S vm/dev/hv_kvp_dev || atf_fail device
	atf_check -s exit:1 -e match:'0x8007048f' "$HVK" ctl --dir vm \
	    kvp get anything
	kvp_start vm
	# Stopped: it holds the device and does not answer.
	kill -STOP $kvp_pid
	ms=$(now_ms)
	atf_check -s exit:1 -e not-empty timeout 60 "$HVK" ctl --dir vm \
	    kvp set slow 1
	ms=$(($(now_ms) - ms))
	[ $ms -lt 45000 ] || atf_fail "an answer after $ms ms"
	kill -CONT $kvp_pid
	wait_for 20 "answers again" kvp_answers vm || atf_fail "no more answers"
	ctl vm kvp set after 1 || atf_fail "set"
	# A second daemon is refused by pid file and by device.
	atf_check -s exit:1 -e match:'running already' \
	    "$daemons/hv_kvp_daemon" -n -P "$PWD/vm/kvp.pid" -D "$PWD/pool" \
	    -f vm/dev/hv_kvp_dev
	atf_check -s exit:1 -e match:'busy' "$daemons/hv_kvp_daemon" -n \
	    -P "$PWD/other.pid" -D "$PWD/pool" -f vm/dev/hv_kvp_dev
	kvp_stop
	vm_stop vm
	echo "a stopped daemon: an error after $ms ms"
}

atf_init_test_cases() { add_cases; }
