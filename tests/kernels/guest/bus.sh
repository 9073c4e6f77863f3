# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# The bus: its module loads, the version, every device bound and open.
try bus.load load hv_vmbus
vmbus_version() { dmesg | sed -n 's/.*Vmbus version:\([0-9.]*\).*/\1/p' | tail -n 1; }
expect bus.version "$(sed -n 's/.* vmbus=\([0-9.]*\).*/\1/p' /proc/cmdline)" "$(vmbus_version)"
for module in hv_storvsc sd_mod sr_mod sg hv_netvsc hv_utils; do
	load $module || bad "bus.$module" "does not load"
done
devices=/sys/bus/vmbus/devices
all_open() {
	opened=0
	closed=
	for dev in $devices/*; do
		[ -e "$dev/driver" ] || continue
		# 3: the channel is open
		if [ "$(cat "$dev/state")" = 3 ]; then
			opened=$((opened + 1))
		else
			closed="$closed $(readlink -f "$dev/driver" | sed 's|.*/||')=$(cat "$dev/state")"
		fi
	done
	[ -z "$closed" ] && [ $opened -gt 0 ]
}
wait_for 10 all_open
for dev in $devices/*; do
	[ -e "$dev/driver" ] || echo "guest: $(cat "$dev/class_id"): no driver"
done
if [ -z "$closed" ] && [ $opened -gt 0 ]; then
	ok bus.open "$opened devices open"
else
	bad bus.open "$opened open, not open:$closed"
fi
