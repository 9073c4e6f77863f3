#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# guests.sh [RUN...]: the guests, one after the other, in the current folder.
# HVK, KERNEL and INITRD are given.  Works in a POSIX shell and in busybox's.
#
# A guest (tests/kernels/guest/init) runs checks and asks the host on its
# console: a line "@host VERB ARGUMENTS" runs host_VERB here; then a line goes to the
# guest's console, for which it waits.  Every line of a guest is printed with the run's name before
# it; lines "check: NAME ok|fail DETAIL" are what is counted.

cr=$(printf '\r')
check() { echo "check: $*"; }
uptime_s() { cut -d. -f1 /proc/uptime; }

# ---- what a guest may ask for; $run is its name, its folder too

# @host ctl ARG...
host_ctl() { $HVK ctl --dir "$run/vm" "$@" >"$run/ctl.out" 2>&1 || cat "$run/ctl.out"; }

# @host used FILE NAME MIN-KIB MAX-KIB: how much of a disk's file is not holes
host_used() {
	_kib=$(du -k "$run/$1" | cut -f1)
	if [ "$_kib" -ge "$3" ] && [ "$_kib" -le "$4" ]; then
		check "$2 ok $_kib KiB in the file"
	else
		check "$2 fail $_kib KiB in the file, not $3 to $4"
	fi
}

# @host sum FILE NAME SUM: the file's content as the guest has computed it
host_sum() {
	_sum=$(sha256sum <"$run/$1" | cut -d' ' -f1)
	if [ "$_sum" = "$3" ]; then
		check "$2 ok $_sum"
	else
		check "$2 fail the file has $_sum, the guest says $3"
	fi
}

# @host size FILE NAME BYTES
host_size() {
	_size=$(wc -c <"$run/$1")
	if [ "$_size" = "$3" ]; then
		check "$2 ok $_size bytes"
	else
		check "$2 fail the file has $_size bytes, not $3"
	fi
}

# @host sum1m FILE NAME SUM: of the first MiB
host_sum1m() {
	head -c 1048576 "$run/$1" >"$run/first"
	host_sum first "$2" "$3"
}

# @host hypercalls before; hypercalls NAME MIN: so many more since then
host_hypercalls() {
	_calls=$($HVK ctl --dir "$run/vm" --json info | jq '.vm.kvm.hypercalls // 0')
	if [ "$1" = before ]; then
		_calls_before=$_calls
	elif [ "$2" -gt 0 ] && [ $((_calls - _calls_before)) -ge "$2" ]; then
		check "$run.$1 ok $((_calls - _calls_before)) by KVM's own count"
	else
		check "$run.$1 fail $((_calls - _calls_before)) by KVM's own count, not $2"
	fi
}

# @host add FILE LUN, remove LUN, resize LUN SIZE
host_add() { host_ctl disk add "$PWD/$run/$1,lun=$2"; }
host_remove() { host_ctl disk remove "$1"; }
host_resize() { host_ctl disk resize "$1" "$2"; }

# @host expect NAME PATTERN WORDS... [= WORDS...]: the command succeeds (both
# do) and the last one's output matches; "-" matches anything.
host_expect() {
	_tries=1
	expect_it "$@"
}

# @host await NAME PATTERN WORDS...: the same, when a daemon may be starting
host_await() {
	_tries=8
	expect_it "$@"
}

expect_it() {
	_name=$1 _pattern=$2
	shift 2
	while :; do
		_tries=$((_tries - 1))
		if said_it "$@"; then
			check "$run.$_name ok $_text"
			return
		elif [ $_tries -eq 0 ]; then
			check "$run.$_name fail $_text"
			return
		fi
		sleep 1
	done
}

said_it() {
	_ok=yes _words=
	for _word in "$@" =; do
		if [ "$_word" != = ]; then
			_words="$_words $_word"
			continue
		fi
		# shellcheck disable=SC2086 # words
		$HVK ctl --dir "$run/vm" $_words >"$run/ctl.out" 2>&1 || _ok=
		_words=
	done
	_text=$(tr -s '\n ' '  ' <"$run/ctl.out" | cut -c 1-150)
	[ -n "$_ok" ] && { [ "$_pattern" = - ] || grep -q "$_pattern" "$run/ctl.out"; }
}

# @host refuse NAME PATTERN WORDS...: it fails, and says why
host_refuse() {
	_name=$1 _pattern=$2
	shift 2
	if ! $HVK ctl --dir "$run/vm" "$@" >"$run/ctl.out" 2>&1 && grep -q "$_pattern" "$run/ctl.out"; then
		check "$run.$_name ok $(cat "$run/ctl.out")"
	else
		check "$run.$_name fail $(cat "$run/ctl.out")"
	fi
}

# @host file NAME BYTES: a file of the host's, in the current folder too
host_file() {
	head -c "$2" /dev/urandom >"$run/$1"
	cp "$run/$1" "$1"
}

# @host shutdown_later: by the guest's own service, when it has said goodbye
host_shutdown_later() {
	( sleep 20; $HVK ctl --dir "$run/vm" shutdown >"$run/shutdown.out" 2>&1 ) &
}

# @host netup: the tap's address; netadd: plug the adapter in again
nic=tap:nic,name=net0,mac=02:00:00:00:20:01,mtu=9000
host_netup() { ip addr add 10.99.0.1/24 dev nic 2>/dev/null; ip link set nic up; }
host_netadd() { host_ctl nic add "$nic,queues=$cpus"; }

# @host netcounts: large sends and checksums that were left to the host
host_netcounts() {
	_lso=$($HVK ctl --dir "$run/vm" --json nic stat net0 | jq .net0.tx_lso)
	_csum=$($HVK ctl --dir "$run/vm" --json nic stat net0 | jq .net0.tx_csum)
	if [ "${_lso:-0}" -gt 0 ] && [ "${_csum:-0}" -gt 0 ]; then
		check "$run.net.offload ok $_lso large sends, $_csum checksums"
	else
		check "$run.net.offload fail ${_lso:-no} large sends, ${_csum:-no} checksums"
	fi
	# Frames to the guest by each channel: all of them are used.
	_used=$($HVK ctl --dir "$run/vm" --json info | jq '[.devices[] | select(.name == "net0") |
	    .queues[].to_guest | select(. > 100)] | length')
	if [ "$_used" = "$cpus" ]; then
		check "$run.net.channels ok $_used channels in use"
	else
		check "$run.net.channels fail ${_used:-no} channels in use, not $cpus"
	fi
}

# ---- running one

# guest RUN CHECKS CPUS OPTION...: until it ends, or has said nothing for $QUIET
# seconds: on a crowded machine it takes long, but it does not stop talking.
guest() {
	run=$1
	checks=$2
	cpus=$3
	shift 3
	mkdir -p "$run"
	rm -f "$run/fifo" "$run/keys"
	mkfifo "$run/fifo" "$run/keys"
	exec 3<>"$run/keys"
	_start=$(uptime_s)
	echo "$_start" >"$run/said"
	$HVK run --dir "$run/vm" --kernel "$KERNEL" --initrd "$INITRD" \
	    --cmdline "console=ttyS0 ${VERBOSE:-quiet} panic=-1 mitigations=off nowatchdog rcupdate.rcu_cpu_stall_suppress=1 run=$run checks=$checks cpus=$cpus vmbus=${VMBUS:-5.3} ${MORE:-}" \
	    --cpus "$cpus" "$@" <"$run/keys" >"$run/fifo" 2>"$run/err" &
	_pid=$!
	(
		while kill -0 $_pid 2>/dev/null; do
			sleep 1
			read -r _said <"$run/said" || continue
			[ $(($(uptime_s) - ${_said%.*})) -ge "${QUIET:-300}" ] || continue
			! kill -9 $_pid 2>/dev/null || echo "chain: $run has said nothing for ${QUIET:-300} s: killed"
			break
		done
	) &
	_watch=$!
	while read -r _line; do
		_line=${_line%"$cr"}
		read -r _said _ </proc/uptime && echo "$_said" >"$run/said"
		case $_line in
		'@host '*)
			# shellcheck disable=SC2086 # words
			set -- ${_line#@host }
			_verb=$1
			shift
			"host_$_verb" "$@"
			echo 'done' >&3
			;;
		esac
		echo "[$run] $_line"
	done <"$run/fifo"
	_status=0
	wait $_pid || _status=$?
	exec 3>&-
	kill $_watch 2>/dev/null
	wait $_watch 2>/dev/null
	# Apart from the console: a line of it may not have been complete.
	sed "s/^/[$run] /" "$run/err"
	echo "chain: $run took $(($(uptime_s) - _start)) s, status $_status"
}

# ended RUN: the last guest's status was 0
ended() {
	if [ "$_status" -eq 0 ]; then
		check "$1 ok hvk run ended with status 0"
	else
		check "$1 fail hvk run ended with status $_status"
	fi
}

# make_disk FILE MEBIBYTES: holes, but for a beginning that is no accident
make_disk() {
	head -c 1048576 /dev/urandom >"$1"
	truncate -s "$2M" "$1"
}

# ---- the runs

# bare RUN COMMAND...: the freestanding guest in a monitor; its lines "check NAME
# ok|fail DETAIL" become the run's.
bare() {
	run=$1
	shift
	_start=$(uptime_s)
	_status=0
	timeout 600 "$@" </dev/null >"$run.out" 2>"$run.err" || _status=$?
	# Apart from the console: a line of it may not have been complete.
	sed "s/^/[$run] /" "$run.err"
	tr -d '\r' <"$run.out" >"$run.log"
	sed "s/^/[$run] /" "$run.log"
	sed -n -E "s/^check ([a-z0-9._]+) (ok|fail) /check: $run.\1 \2 /p" "$run.log"
	echo "chain: $run took $(($(uptime_s) - _start)) s, status $_status"
}

# Our machine layer on KVM's own interrupt controller, timers and clock page.
run_bare() {
	truncate -s 8M bare.img
	bare bare $HVK run --dir bare.vm --kernel "$BARE" --cpus 2 --memory 64M --disk bare.img \
	    --nic slirp --cmdline "vmbus=required disk=write"
	ended bare.power.off
	# 16384 blocks, so the last is 0x3fff: word i is i * a constant, xor that.
	if [ "$(od -A n -t x8 -j 8 -N 8 bare.img | tr -d ' ')" = 9e3779b97f4a43ea ]; then
		check "bare.file ok what the guest wrote is in the file"
	else
		check "bare.file fail the disk's file has something else"
	fi
}

# The same guest under a host that nobody here wrote: QEMU's VMBus server.
run_other() {
	command -v qemu-system-x86_64 >/dev/null || return 0
	bare other qemu-system-x86_64 -accel kvm -machine pc -smp 2 -m 128 -nodefaults -no-reboot \
	    -cpu host,kvm=off,hv-relaxed,hv-vapic,hv-time,hv-vpindex,hv-runtime,hv-synic,hv-stimer,hv-stimer-direct,hv-frequencies,hv-tlbflush,hv-ipi \
	    -device vmbus-bridge -display none -serial stdio -kernel "$BARE" -append vmbus=required
	ended other.power.off
}

# Two processors: all of storage, offers that come and go, every version.  Linux
# stops its direct synthetic timers for good when hv_vmbus is removed, and has no
# tick from then on; so it gets none here, and ticks by the local APIC.
run_smp() {
	mkdir -p smp
	make_disk smp/a.img 64
	make_disk smp/b.img 16
	make_disk smp/c.img 16
	head -c 2097152 /dev/urandom >smp/cd.iso
	MORE="disks=2" guest smp boot,bus,storage,rescind,versions 2 --memory 256M -o kvm.stimers=no \
	    --disk smp/a.img --cdrom smp/cd.iso --disk smp/c.img,controller=scsi1
	ended smp.power.off
}

# Two processors, no more than a boot: for trying things out.
run_quick() {
	mkdir -p quick
	make_disk quick/a.img 64
	MORE="disks=1" guest quick boot,bus 2 --memory 256M --disk quick/a.img
	ended quick.power.off
}

# Two processors: time and what the host recommends.
run_two() {
	mkdir -p two
	guest two boot,bus,time,enlighten 2 --memory 256M
	ended two.power.off
}

# One processor, no legacy devices, memory around a gap, an older host; a reset, an NMI,
# a panic.
run_up() {
	mkdir -p up
	make_disk up/a.img 64
	VMBUS=4.1 MORE="disks=1 end=reboot" guest up boot,bus,machine 1 --memory 768M --gen2 \
	    --mmio-gap 3584M@512M --version-max 4.1 --disk up/a.img
	ended up.power.off
	if grep -q 'sysrq triggered crash' up/vm/crash.txt 2>/dev/null; then
		check "up.crash ok $(wc -l <up/vm/crash.txt) lines of the guest's log in crash.txt"
		echo "figure: core.crash $(wc -c <up/vm/crash.txt) bytes of stock Linux's log, by its panic"
	else
		check "up.crash fail no crash.txt, or not of this panic"
	fi
}

# One processor: the integration services; switched off by the host.
run_services() {
	mkdir -p services
	make_disk services/a.img 32
	MORE="disks=1 end=host" guest services boot,bus,services 1 --memory 256M --disk services/a.img
	ended services.shutdown.ended
	if grep -q 'by *guest' services/shutdown.out 2>/dev/null; then
		check "services.shutdown.by ok the guest did it"
	else
		check "services.shutdown.by fail $(cat services/shutdown.out)"
	fi
}

# The network, a channel for each processor and a tap behind them.
run_net() {
	mkdir -p net
	iperf3 -s >/dev/null 2>&1 &
	_iperf=$!
	while :; do nc -l -p 7777 -e cat; done >/dev/null 2>&1 &
	_cat=$!
	MORE="queues=2" guest net boot,bus,time,enlighten,net 2 --memory 256M \
	    --nic "${nic%%,*},mac=02:00:00:00:20:01,mtu=9000"
	ended net.power.off
	kill $_iperf $_cat 2>/dev/null
}

for name in ${*:-bare other smp up services net}; do
	"run_$name"
done
