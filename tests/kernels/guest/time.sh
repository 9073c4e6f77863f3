# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# Hyper-V's clock and timers as this kernel uses them: the reference page by each
# program's clock_gettime, direct synthetic timers on every processor, the
# frequencies that the host states.
clocks=/sys/devices/system/clocksource/clocksource0
expect time.clock hyperv_clocksource_tsc_page "$(cat $clocks/current_clocksource)"
# The local APIC's frequency is 1 GHz: so many counts a tick.
hz=$(dmesg | sed -n 's/.*LAPIC Timer Frequency: 0x\([0-9a-f]*\).*/\1/p')
if [ "$((0x${hz:-0} * 250))" = 1000000000 ]; then
	ok time.frequency "0x$hz counts of the local APIC a tick of 1/250 s, as the host says"
else
	bad time.frequency "0x$hz counts of the local APIC a tick"
fi
devices=$(grep -c '^Clock Event Device: Hyper-V clockevent' /proc/timer_list)
expect time.timers "$(nproc)" "$devices"
# HVS: interrupts of direct timers, which bring no message; each processor has its own.
stimers() { sed -n "s/^ *HVS:\(.*\) Hyper-V.*/\1/p" /proc/interrupts; }
direct_on() {
	_cpu=0
	for _n in $(stimers); do
		[ $_cpu != "$1" ] || { [ "$_n" -gt "$2" ] && return 0; }
		_cpu=$((_cpu + 1))
	done
	return 1
}
cpu=0
good=0
for n in $(stimers); do
	if wait_for 20 direct_on $cpu $((n + 5)); then good=$((good + 1)); fi
	cpu=$((cpu + 1))
done
if [ $good = "$(nproc)" ]; then
	ok time.direct "interrupts of timers: $(stimers | tr -s ' ')"
else
	bad time.direct "timers of $good processors run: $(stimers)"
fi
if try time.monotonic twocpus clock 500; then
	echo "figure: core.time $(tail -n 1 /tmp/try) on two processors; direct timers on $devices, stock Linux"
fi
