# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# A whole controller taken away and brought back, another under load.
#
# Linux's sd flushes a disk's write cache when its controller goes, and hv_storvsc
# (6.1) loses that command on a rescinded channel and waits for it for ever, on any host:
# so sd is told that there is no cache to flush.
d=${d:-sda}
all=$(ls -d /sys/block/sd* | wc -l)
is_count() { [ "$(ls -d /sys/block/sd* | wc -l)" = "$1" ]; }
uncached() {
	for _c in /sys/class/scsi_disk/*; do
		[ -d "$_c/device/block/$d" ] || echo 'temporary write through' >"$_c/cache_type"
	done
}
settled() { is_count "$all" && [ "$(ls /dev/sd? | wc -l)" = "$all" ]; }
(while :; do dd if=/dev/$d of=/dev/null bs=64k iflag=direct count=64 2>/dev/null || echo x >>/tmp/rescind.bad; done) &
load=$!
cycles=5
done=0
for i in $(seq $cycles); do
	wait_for 15 settled || { bad rescind.back "cycle $i: $(ls /sys/block)"; break; }
	uncached
	host ctl rescind scsi1
	wait_for 30 is_count $((all - 1)) || { bad rescind.gone "cycle $i: $(ls /sys/block)"; break; }
	host ctl offer scsi1
	wait_for 30 is_count "$all" || { bad rescind.back "cycle $i: $(ls /sys/block)"; break; }
	done=$i
done
kill $load
wait $load 2>/dev/null
expect rescind.cycles "$cycles" "$done"
[ ! -s /tmp/rescind.bad ] && ok rescind.load "no error beside it" || bad rescind.load "$(wc -l </tmp/rescind.bad) errors"
echo "figure: core.rescind $done cycles under load, stock Linux"
