# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# The integration services: the kernel's hv_utils and Debian's hyperv-daemons.
host await heartbeat 'state.*ok' heartbeat

# Wrong by an hour, a day; the host says what time it is.
for wrong in 3600 -86400; do
	read -r up0 _ </proc/uptime
	true_time=$(date +%s)
	date -s "@$((true_time + wrong))" >/dev/null
	host expect "time$wrong" 'round_trip_us' time sync
	sleep 1
	read -r up1 _ </proc/uptime
	late=$(($(date +%s) - true_time - ${up1%.*} + ${up0%.*}))
	if [ $late -ge -2 ] && [ $late -le 2 ]; then
		ok "time.set$wrong" "$late s off"
	else
		bad "time.set$wrong" "$late s off"
	fi
done

mkdir -p /var/lib /var/run
try kvp.daemon hv_kvp_daemon
host await kvp.list 'OSName' kvp list pool=auto
host expect kvp.set - kvp set hello w.rld
pool=/var/lib/hyperv/.kvp_pool_0
if wait_for 5 grep -q w.rld $pool; then ok kvp.file "the pool has it"; else bad kvp.file "not in $pool"; fi
host expect kvp.get 'w.rld' kvp get hello
host expect kvp.delete - kvp delete hello
if grep -q hello $pool; then bad kvp.gone "still in the pool"; else ok kvp.gone "not in the pool"; fi
host expect kvp.number '4294967295' kvp set n 4294967295 type=u32 = kvp get n

try fcopy.daemon hv_fcopy_daemon
mkdir -p /tmp/in
host file fcopy.bin 300000
host await fcopy.copy 'state.*done' copy fcopy.bin path=/tmp/in
host sum fcopy.bin services.fcopy.sum "$(sha256sum </tmp/in/fcopy.bin | cut -d' ' -f1)"
host refuse fcopy.exists 'exists' copy fcopy.bin path=/tmp/in

mkfs.ext4 -q /dev/sda && mount -t ext4 /dev/sda /mnt || bad vss.mount "no ext4"
try vss.daemon hv_vss_daemon
host await vss.check 'hot_backup' backup check
host expect vss.freeze - backup freeze
( echo x >/mnt/x; echo written >/tmp/written ) &
sleep 2
if [ -e /tmp/written ]; then bad vss.frozen "a write went through"; else ok vss.frozen "a write waits"; fi
host expect vss.thaw - backup thaw
if wait_for 10 test -e /tmp/written; then ok vss.thawed "it went on"; else bad vss.thawed "it still waits"; fi
killall hv_vss_daemon hv_kvp_daemon hv_fcopy_daemon
umount /mnt
host shutdown_later
