# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# Storage: the kernel's own hv_storvsc and sd on our controller; sg3-utils ask
# the target what it says of itself.  sda is a.img, 64 MiB.
io() { dd bs=256k "$@" 2>/tmp/dd || { bad storage.io "dd $*: $(tail -n 1 /tmp/dd)"; return 1; }; }
blocks() { cat "/sys/block/$1/size" 2>/dev/null; }
# its name in $disk
find_disk() {
	for disk in $(cd /sys/block && echo sd*); do
		[ "$(blocks "$disk")" != "$1" ] || return 0
	done
	return 1
}
has_blocks() { [ "$(blocks "$1")" = "$2" ]; }
sum() { sha256sum | cut -d' ' -f1; }

wait_for 10 find_disk $((64 * 2048)) || bad storage.disk "none of 64 MiB"
d=$disk
expect storage.count "$disks" "$(echo $(cd /sys/block && ls -d sd*) | wc -w)"
expect storage.size $((64 * 2048)) "$(blocks $d)"

# ---- what the target says
sg_inq /dev/$d >/tmp/inq 2>&1
expect storage.inquiry 'Msft Virtual Disk' \
    "$(awk -F': *' '/Vendor id/ { v = $2 } /Product id/ { p = $2 } END { gsub(/ +$/, "", v); gsub(/ +$/, "", p); print v, p }' /tmp/inq)"
for page in sv di bl lbpv bdc; do
	sg_vpd --page=$page /dev/$d >/tmp/vpd 2>&1 || bad storage.vpd "page $page: $(tail -n 1 /tmp/vpd)"
	cat /tmp/vpd
done >/tmp/pages
if grep -q 'NAA' /tmp/pages && grep -q -i 'unmap command supported (LBPU): 1' /tmp/pages; then
	ok storage.vpd "$(grep -c . /tmp/pages) lines, NAA name, LBPU 1"
else
	bad storage.vpd "$(tr '\n' ' ' </tmp/pages | cut -c 1-200)"
fi
expect storage.readcap "$((64 * 2048 - 1)) 512" "$(sg_readcap --16 /dev/$d |
    sed -n 's/.*Last LBA=\([0-9]*\).*/\1/p; s/.*Logical block length=\([0-9]*\).*/\1/p' | tr '\n' ' ' | sed 's/ $//')"
try storage.sync sg_sync /dev/$d

# ---- written without the page cache, checked on both sides
head -c 8388608 /dev/urandom >/tmp/pattern
want=$(sum </tmp/pattern)
good=0
for at in 0 3 5 7; do
	io if=/tmp/pattern of=/dev/$d oflag=direct seek=$((at * 32))
done
for at in 7 5 0 3; do
	[ "$(io if=/dev/$d iflag=direct skip=$((at * 32)) count=32 | sum)" != "$want" ] ||
	    good=$((good + 1))
done
expect storage.direct '4 of 4' "$good of 4"
host sum a.img smp.storage.image "$(io if=/dev/$d iflag=direct | sum)"

# ---- a file system, larger than what the cache is left
try storage.mkfs mkfs.ext4 -q -F /dev/$d
try storage.mount mount -t ext4 /dev/$d /mnt
for i in 1 2 3; do cat /tmp/pattern; done >/mnt/file
sync
umount /mnt
try storage.fsck e2fsck -f -n /dev/$d
mount -t ext4 /dev/$d /mnt
want3=$(cat /tmp/pattern /tmp/pattern /tmp/pattern | sum)
expect storage.file "$want3" "$(sum </mnt/file)"
umount /mnt
echo "figure: stor.basic 32 MiB direct and 24 MiB in ext4 verified on both sides, stock hv_storvsc"

# ---- a CD-ROM: sr_mod reads what the host's file has, and can write nothing
wait_for 10 test -b /dev/sr0 || bad storage.sr0 "no such device"
host sum cd.iso smp.storage.cdrom "$(dd if=/dev/sr0 bs=2048 2>/tmp/dd | sum)"
expect storage.cdblocks 4096 "$(blocks sr0)"
if dd if=/tmp/pattern of=/dev/sr0 bs=2048 count=1 2>/tmp/dd; then
	bad storage.cdwrite "a CD-ROM was written"
else
	ok storage.cdwrite "refused: $(head -n 1 /tmp/dd)"
fi

# ---- queues: a sub-channel for each further processor, all of them used
if [ "$(nproc)" -gt 1 ]; then
	io if=/tmp/pattern of=/dev/$d oflag=direct
	dev=$(readlink -f /sys/block/$d/device | sed 's|/host[0-9]*/.*||')
	before=$(cat "$dev"/channels/*/interrupts | tr '\n' ' ')
	for cpu in 0 1; do
		taskset $((1 << cpu)) dd if=/dev/$d of=/dev/null bs=64k iflag=direct count=64 2>/tmp/dd ||
		    bad storage.taskset "$(tail -n 1 /tmp/dd)"
	done
	after=$(cat "$dev"/channels/*/interrupts | tr '\n' ' ')
	n=$(ls "$dev/channels" | wc -l)
	used=$(echo "$before $after" | awk '{ n = NF / 2; for (i = 1; i <= n; i++) u += $(i + n) > $i; print u }')
	if [ "$n" -ge 2 ] && [ "$used" -ge 2 ]; then
		ok storage.channels "$n channels, $used of them interrupted"
		echo "figure: stor.subchannel $n channels in use by stock Linux on $(nproc) processors"
	else
		bad storage.channels "$n channels, $used used: $before to $after"
	fi
fi

# ---- trimmed: zeroes here, holes there
try storage.blkdiscard blkdiscard -f /dev/$d
host used a.img smp.storage.holes 0 1024
expect storage.zeroes "$(head -c 8388608 /dev/zero | sum)" \
    "$(io if=/dev/$d iflag=direct count=32 | sum)"
echo "figure: stor.trim 64 MiB discarded by stock Linux, holes in the file"

# ---- grown, and disks that come and go, under load
(while :; do dd if=/dev/$d of=/dev/null bs=64k iflag=direct count=256 2>/dev/null || echo x >>/tmp/load.bad; done) &
load=$!
host resize 0 +32M
if wait_for 20 has_blocks $d $((96 * 2048)); then
	ok storage.grown "$(blocks $d) sectors, without a command in the guest"
	host size a.img smp.storage.grownfile $((96 << 20))
	io if=/tmp/pattern of=/dev/$d oflag=direct seek=$((11 * 32))
	expect storage.grownio "$want" "$(io if=/dev/$d iflag=direct skip=$((11 * 32)) count=32 | sum)"
	echo "figure: stor.resize 64 to 96 MiB under load, seen by stock Linux"
else
	bad storage.grown "$(blocks $d) sectors"
fi
# sd flushes the cache of a disk that is gone already, and says so.
allow='Synchronize Cache.10. failed: Result: hostbyte=DID_NO_CONNECT'
cycles=3
for i in $(seq $cycles); do
	before=$(cd /sys/block && echo sd*)
	host add b.img 5
	new=
	find_new() {
		for _d in $(cd /sys/block && echo sd*); do
			case " $before " in *" $_d "*) ;; *) new=$_d ;; esac
		done
		[ -n "$new" ] && [ -b "/dev/$new" ]
	}
	wait_for 15 find_new || { bad storage.hotadd "cycle $i: no new disk"; break; }
	s=$(io if=/dev/$new iflag=direct count=4 | sum)
	host sum1m b.img smp.storage.hotsum$i "$s"
	host remove 5
	wait_for 15 test ! -e /sys/block/$new || { bad storage.hotremove "cycle $i: $new stayed"; break; }
	[ $i -lt $cycles ] || {
		ok storage.hotplug "$cycles cycles under load"
		echo "figure: stor.hotplug $cycles cycles under load, stock Linux"
	}
done
kill $load
wait $load 2>/dev/null
[ ! -s /tmp/load.bad ] && ok storage.load "no error beside it" || bad storage.load "$(wc -l </tmp/load.bad) errors"
