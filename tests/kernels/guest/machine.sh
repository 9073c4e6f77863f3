# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# The machine, over three starts; the disk says which one this is.  First: the
# memory around the gap, then a reset.  Second: an NMI, then a panic.  Third: the end.
mark() { echo "$1" | dd of=/dev/sda bs=512 conv=sync oflag=direct 2>/dev/null; }
wait_for 15 test -b /dev/sda || bad machine.disk "no sda"
case $(dd if=/dev/sda bs=512 count=1 2>/dev/null | head -c 6) in
second)
	ok reboot "started again by the guest's own reset"
	nmis() { awk '/NMI:/ { n = 0; for (i = 2; i <= NF; i++) n += $i; print n }' /proc/interrupts; }
	had=$(nmis)
	more() { [ "$(nmis)" -gt "$had" ]; }
	host ctl nmi
	if wait_for 10 more; then
		ok nmi "$had before, $(nmis) after"
		echo "figure: core.nmi counted by stock Linux"
	else
		bad nmi "still $had"
	fi
	mark third
	echo 'guest: a panic, on purpose'
	echo c >/proc/sysrq-trigger
	sleep 60
	;;
third*)
	ok crash.restart "started again after the panic"
	poweroff -f
	sleep 60
	;;
esac
ram=$(sed -n 's/^ *\([0-9a-f]*\)-\([0-9a-f]*\) : System RAM/\1-\2/p' /proc/iomem | tr '\n' ' ')
case $ram in
*'-1fffffff 100000000-'*)
	ok gap.memory "$ram"
	echo "figure: core.mmiogap 3.5 GiB at 512 MiB, memory of stock Linux on both sides"
	;;
*) bad gap.memory "$ram" ;;
esac
total=$(awk '/MemTotal/ { print int($2 / 1024) }' /proc/meminfo)
if [ "$total" -gt 600 ]; then ok gap.total "$total MiB usable"; else bad gap.total "$total MiB of 768"; fi
mark second
