# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# Every version of the bus that this kernel speaks, by its own parameter: the
# modules are removed and inserted again, which unloads the bus each time.
# A disk on the first controller is read each time, whatever its name.
list='2.4 3.0 4.0 4.1 5.0 5.1 5.2 5.3'
vmbus_version() { dmesg | sed -n 's/.*Vmbus version:\([0-9.]*\).*/\1/p' | tail -n 1; }
blocks() { cat "/sys/block/$1/size" 2>/dev/null; }
find_disk() {
	for disk in $(cd /sys/block && echo sd*); do
		[ "$(blocks "$disk")" != "$1" ] || return 0
	done
	return 1
}
d=${d:-sda}
any_disk() { find_disk "$size" && [ -b "/dev/$disk" ]; }
unload() {
	for m in hv_utils hv_netvsc hv_storvsc hv_balloon hyperv_fb hyperv_keyboard hid_hyperv hv_vmbus; do
		[ ! -d /sys/module/$m ] || rmmod $m || return 1
	done
}
size=$(blocks $d)
dd if=/dev/$d bs=1M count=2 iflag=direct 2>/dev/null | sha256sum >/tmp/before
n=0
for version in $list; do
	unload || { bad versions.unload "before $version: $(dmesg | tail -n 1)"; break; }
	load hv_vmbus max_version=$((${version%.*} << 16 | ${version#*.})) ||
	    { bad versions.load "$version"; break; }
	load hv_storvsc
	if ! wait_for 15 any_disk; then bad versions.disk "$version: no disk"; break; fi
	[ "$(vmbus_version)" = "$version" ] ||
	    { bad versions.version "$(vmbus_version), not $version"; break; }
	dd if=/dev/$disk bs=1M count=2 iflag=direct 2>/dev/null | sha256sum >/tmp/after
	cmp -s /tmp/before /tmp/after || { bad versions.data "$version: $disk reads differently"; break; }
	n=$((n + 1))
done
expect versions.all "$(echo "$list" | wc -w)" $n
echo "figure: core.versions $n versions by stock Linux's own parameter, 2.4 to 5.3"
echo "figure: core.unload $n unloads of stock Linux's bus"
