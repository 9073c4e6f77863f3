# The machine on its second start: what the first left on the disk is there.
# First start: leave a mark, check the memory, restart.
if [ "$(dd if=/dev/sda bs=512 count=1 2>/dev/null | head -c 6)" = marked ]; then
	ok reboot "started again by the guest's own reset"
	poweroff -f
	sleep 60
fi
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
echo 'marked' | dd of=/dev/sda bs=512 conv=sync oflag=direct 2>/dev/null
