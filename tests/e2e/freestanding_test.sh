# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# The freestanding guest (core/port/freestanding) on the kvm engine, directly on
# this machine's /dev/kvm: with KVM's own interrupt controller where it has one,
# else with the model in user space.  Each of its lines "check NAME ok" counts.

# shellcheck disable=SC2034 # read by new_case
ENGINE=bare
GUEST=$top/build/port/freestanding.elf

usable() {
	[ -x "$GUEST" ] || atf_skip "no freestanding guest for this machine"
	{ : <>/dev/kvm; } 2>/dev/null || atf_skip "/dev/kvm cannot be opened"
}

# boot OPTION...: run it to its end; its lines are in log.
boot() {
	# What the host knows of a guest that hangs, before it is ended.
	(sleep 110; ctl vm info; ctl vm channels) >stuck 2>&1 </dev/null &
	_watch=$!
	_status=0
	timeout 120 "$HVK" run --dir "$PWD/vm" --kernel "$GUEST" --memory 64M "$@" \
	    >out 2>err </dev/null || _status=$?
	kill $_watch 2>/dev/null || true
	[ $_status -eq 0 ] || { cat out err stuck; atf_fail "hvk run: status $_status"; }
	# The console and the monitor's own lines share the terminal.
	tr -d '\r' <out >log
	grep -q '^checks: [0-9]* ok, 0 failed' log || { cat out err; atf_fail "checks failed"; }
}

# passed NAME...
passed() {
	for _name; do
		grep -q "^check $_name ok" log || { cat log err; atf_fail "$_name did not pass"; }
	done
}

detail() { sed -n "s/^check $1 ok //p" log | head -n 1; }

new_case one "one processor: leaves, registers, hypercalls, clock, timers, messages" "core.versions"
one_body() {
	usable
	boot --cpus 1 --cmdline "vmbus=required"
	passed cpuid.present msr.hypercall msr.unknown hypercall.unknown hypercall.connection \
	    hypercall.alignment time.counter time.monotonic timer.message timer.past \
	    timer.periodic timer.stopped bus.versions bus.connect bus.offers bus.unload
	echo "figure: core.versions $(detail bus.versions)"
}

new_case two "two processors: time never goes backwards, each has its own timers" "core.time"
two_body() {
	usable
	boot --cpus 2 --cmdline "vmbus=required"
	passed synic.start time.monotonic time.monotonic2 timer.cpu1
	echo "figure: core.time $(detail time.monotonic2)"
}

# The words that the guest writes: number times a constant, xor the last block.
new_case enlighten "a call that is not recommended is refused, not faked; a processor sleeps by the idle register" \
    "core.enlighten"
enlighten_body() {
	usable
	boot --cpus 2 --cmdline "vmbus=no"
	# With KVM's own the first two are there, in the model in user space the third.
	passed enlighten.idle enlighten.idle_off
	grep -q -E '^check enlighten.(refused|flush) ok' log || { cat log; atf_fail "neither done nor refused"; }
	echo "figure: core.enlighten idle: $(detail enlighten.idle)"
}

new_case disk "a disk written and read through the core's storage client" "stor.basic core.signal"
disk_body() {
	usable
	truncate -s 8M disk.img
	boot --cpus 2 --disk "$PWD/disk.img" --cmdline "vmbus=required disk=write"
	passed disk.open disk.start disk.inquiry disk.capacity disk.read disk.parallel \
	    disk.beyond disk.write disk.flush disk.verify disk.events disk.close \
	    disk.open1 disk.events1 disk.close1
	# 16384 blocks: the last is 0x3fff.
	for i in 0 1 2; do
		wanted=$(printf '%016x' $(((i * 0x9e3779b97f4a7c15) ^ 0x3fff)))
		atf_check -o inline:" $wanted\n" od -A n -t x8 -j $((8 * i)) -N 8 disk.img
	done
	echo "figure: stor.basic $(detail disk.parallel)"
	echo "figure: core.signal $(detail disk.events)"
}

new_case network "an adapter through the core's network client: ARP by the send buffer, ping by pages" \
    "net.basic"
network_body() {
	usable
	boot --cpus 2 --nic slirp --cmdline "vmbus=required"
	passed net.open net.start net.arp net.ping net.sends net.close bus.unload
	echo "figure: net.basic $(detail net.start), pinged"
}

new_case older "a host that speaks no VMBus later than 4.0"
older_body() {
	usable
	boot --cpus 1 --version-max 4.0 --cmdline "vmbus=required"
	[ "$(detail bus.versions)" = "accepted: 2.4 3.0 4.0" ] ||
	    atf_fail "versions: $(detail bus.versions)"
	passed bus.connect bus.unload
}

atf_init_test_cases() { add_cases; }
