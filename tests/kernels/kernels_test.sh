# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# Stock kernels on our host.  The guests run once (chain.sh), with all their
# checks; each case here looks at one area's.  HVK_RUN_ID, which "make test" sets, says
# whether two cases belong to the same run; a case that is run by hand runs the
# guests anew, unless HVK_RUN_ID is given there too.

results=$top/build/kernels/results

# Run the guests, or wait for the case that does; $checks has what they said.
chain() {
	id=${HVK_RUN_ID:-$$}
	mkdir -p "$results"
	exec 9>"$results/lock"
	flock 9
	if [ "$(cat "$results/id" 2>/dev/null)" != "$id" ]; then
		rm -f "$results/id" "$results/log" "$results/checks" "$results/how"
		status=0
		sh "$top/tests/kernels/chain.sh" "$results" || status=$?
		[ $status -eq 0 ] || [ $status -eq 3 ] || {
			tail -n 60 "$results/log"
			atf_fail "chain.sh: status $status"
		}
		echo "$id" >"$results/id"
	fi
	flock -u 9
	echo "chain: $(cat "$results/how")"
	checks=$results/checks
	[ -e "$checks" ] || atf_skip "$(cat "$results/how")"
}

# area "NAME..." "FEATURE...": each of these checks was made and is well.
area() {
	missing=
	for name in $1; do
		grep -q "^check: $name ok" "$checks" || missing="$missing $name"
		grep "^check: $name " "$checks" || true
	done
	for id in ${2:-}; do
		grep "^figure: $id " "$checks" | tail -n 1
	done
	[ -z "$missing" ] || {
		tail -n 40 "$results/log"
		atf_fail "not well:$missing; the log is $results/log"
	}
}

# linux_case NAME DESCRIPTION "FEATURE..." "CHECK..."
linux_case() {
	eval "_checks_$1=\$4 _ids_$1=\$3"
	new_case "$1" "$2" "$3"
	eval "${1}_head() {
		atf_set descr \"\$_descr_$1\"
		atf_set timeout 3000
		atf_set X-engine linux
		[ -z \"\$_feature_$1\" ] || atf_set X-feature \"\$_feature_$1\"
	}
	${1}_body() {
		chain
		area \"\$_checks_$1\" \"\$_ids_$1\"
	}"
}

# bare_case NAME DESCRIPTION "FEATURE..." "CHECK...": of the freestanding guest
bare_case() {
	linux_case "$@"
	eval "${1}_head() {
		atf_set descr \"\$_descr_$1\"
		atf_set timeout 3000
		atf_set X-engine bare
		[ -z \"\$_feature_$1\" ] || atf_set X-feature \"\$_feature_$1\"
	}"
}

bare_case bare_machine "our machine layer on KVM's own interrupts, hypercalls, timers and clock" \
    "core.time" \
    "bare.cpuid.present bare.msr.hypercall bare.msr.unknown bare.hypercall.unknown
    bare.hypercall.connection bare.hypercall.alignment bare.hypercall.event bare.time.counter
    bare.time.page bare.time.monotonic2 bare.synic.start bare.timer.message bare.timer.past
    bare.timer.auto_enable bare.timer.periodic bare.timer.stopped bare.timer.direct
    bare.timer.cpu1 bare.power.off"
bare_case bare_enlighten "translations flushed in four ways, interrupts in two, sleep by the idle register" \
    "core.enlighten" \
    "bare.enlighten.flush bare.enlighten.ipi bare.enlighten.vector bare.enlighten.idle
    bare.enlighten.idle_off"
bare_case bare_bus "the guest core on it: versions, offers, a disk verified, a gateway pinged" \
    "stor.basic net.basic" \
    "bare.bus.versions bare.bus.offers bare.disk.start bare.disk.write bare.disk.verify
    bare.disk.parallel bare.disk.beyond bare.disk.events bare.disk.events1 bare.disk.close
    bare.disk.close1 bare.net.start bare.net.arp bare.net.ping bare.net.close bare.bus.unload
    bare.file"
bare_case bare_other "the same guest on QEMU's VMBus server, which nobody here wrote" \
    "core.versions" \
    "other.cpuid.present other.msr.hypercall other.hypercall.unknown other.hypercall.connection
    other.time.page other.time.monotonic2 other.timer.message other.timer.direct
    other.timer.cpu1 other.enlighten.flush other.enlighten.ipi other.bus.versions other.bus.connect other.bus.offers other.bus.unload
    other.power.off"

linux_case boot "stock Linux knows the hypervisor, its clock and its processors" "" \
    "smp.boot.hypervisor smp.boot.clock smp.boot.cpus up.boot.hypervisor up.boot.clock up.boot.cpus"
linux_case time "its clock is the reference page, its tick a direct timer, on each processor" "core.time" \
    "net.time.clock net.time.frequency net.time.timers net.time.direct net.time.monotonic"
linux_case enlighten "flushes and interrupts by hypercall, no EOI where none is needed" "core.enlighten" \
    "net.enlighten.flushsaid net.enlighten.ipisaid net.enlighten.pages net.enlighten.flush
    net.enlighten.ipi net.enlighten.counted net.enlighten.eoi"
linux_case bus "its bus connects, every device it has a driver for is open" "" \
    "smp.bus.load smp.bus.version smp.bus.open up.bus.version up.bus.open"
linux_case versions "every version that it speaks; the bus unloaded between them" \
    "core.versions core.unload" "smp.versions.all"
linux_case rescind "a controller taken away and brought back under load" "core.rescind" \
    "smp.rescind.cycles smp.rescind.load"
linux_case scsi "sg3-utils on our target: inquiry, vital product data, capacity" "" \
    "smp.storage.count smp.storage.size smp.storage.inquiry smp.storage.vpd smp.storage.readcap
    smp.storage.sync"
linux_case disk "written past the page cache and through ext4, verified on both sides" "stor.basic" \
    "smp.storage.direct smp.storage.image smp.storage.mkfs smp.storage.mount smp.storage.fsck
    smp.storage.file"
linux_case cdrom "its sr_mod reads a CD-ROM, the same bytes, and cannot write it" "" \
    "smp.storage.cdrom smp.storage.cdblocks smp.storage.cdwrite"
linux_case subchannel "its channels, one for each processor, all used" "stor.subchannel" \
    "smp.storage.channels"
linux_case trim "discarded blocks are holes in the file and zeroes in the guest" "stor.trim" \
    "smp.storage.blkdiscard smp.storage.holes smp.storage.zeroes"
linux_case resize "a disk grows under load, seen without a command" "stor.resize" \
    "smp.storage.grown smp.storage.grownfile smp.storage.grownio"
linux_case hotplug "disks come and go under load" "stor.hotplug" \
    "smp.storage.hotplug smp.storage.hotsum1 smp.storage.hotsum2 smp.storage.hotsum3 smp.storage.load"
linux_case network "stock hv_netvsc: every size, TCP, UDP, a file bit for bit, link, group filter" \
    "net.basic" \
    "net.net.mac net.net.sizes net.net.queues net.net.tcp net.net.tcpr net.net.udp net.net.bytes
    net.net.down net.net.up net.net.promisc net.dmesg.clean net.power.off"
linux_case netoffload "its checksums and large sends, made by the host" "net.offload" "net.net.offload"
linux_case netchannels "a channel for each processor, its hash and table, all used" "net.vrss" \
    "net.net.queues net.net.channels"
linux_case netjumbo "its MTU changed to 9000, and traffic" "net.jumbo" "net.net.jumbo net.net.jumbotcp"
linux_case netplug "its adapter unplugged and plugged in under load" "net.hotplug" "net.net.hotplug"
linux_case mmiogap "memory on both sides of a gap that was moved" "core.mmiogap" \
    "up.gap.memory up.gap.total"
linux_case power "the guest resets itself and starts again, and switches off" "" \
    "up.reboot up.power.off smp.power.off"
linux_case crash "its panic is reported, with its log, and it starts again" "core.crash" \
    "up.crash up.crash.restart"
linux_case nmi "a non-maskable interrupt arrives" "core.nmi" "up.nmi"
linux_case heartbeat "its heartbeat is seen" "ic.heartbeat" "services.heartbeat"
linux_case shutdown "it is switched off by its own service" "ic.shutdown" \
    "services.shutdown.ended services.shutdown.by"
linux_case timesync "its clock, an hour ahead and a day behind, set right" "ic.timesync" \
    "services.time3600 services.time.set3600 services.time-86400 services.time.set-86400"
linux_case kvp "Debian's hv_kvp_daemon: keys listed, set, read, deleted, seen in its pool" "ic.kvp" \
    "services.kvp.daemon services.kvp.list services.kvp.set services.kvp.file services.kvp.get
    services.kvp.delete services.kvp.gone services.kvp.number"
linux_case fcopy "Debian's hv_fcopy_daemon: a file arrives, and is refused when it exists" "ic.fcopy" \
    "services.fcopy.daemon services.fcopy.copy services.fcopy.sum services.fcopy.exists"
linux_case backup "Debian's hv_vss_daemon: ext4 frozen and thawed" "stor.backup" \
    "services.vss.daemon services.vss.check services.vss.freeze services.vss.frozen
    services.vss.thaw services.vss.thawed"
linux_case dmesg "the kernels' own logs have no complaint" "" "smp.dmesg.clean up.dmesg.clean"

atf_init_test_cases() { add_cases; }
