# A whole controller taken away and brought back, another under load.
count() { ls -d /sys/block/sd* | wc -l; }
is_count() { [ "$(count)" = "$1" ]; }
all=$(count)
(while :; do dd if=/dev/sda of=/dev/null bs=64k iflag=direct count=64 2>/dev/null || echo x >>/tmp/rescind.bad; done) &
load=$!
cycles=5
done=0
for i in $(seq $cycles); do
	host ctl rescind scsi1
	wait_for 15 is_count $((all - 1)) || { bad rescind.gone "cycle $i: $(count) disks"; break; }
	host ctl offer scsi1
	wait_for 15 is_count "$all" || { bad rescind.back "cycle $i: $(count) disks"; break; }
	done=$i
done
kill $load
wait $load 2>/dev/null
expect rescind.cycles "$cycles" "$done"
[ ! -s /tmp/rescind.bad ] && ok rescind.load "no error beside it" || bad rescind.load "$(wc -l </tmp/rescind.bad) errors"
echo "figure: core.rescind $done cycles under load, stock Linux"
