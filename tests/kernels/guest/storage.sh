# A disk, by the kernel's own driver.
wait_for 10 test -b /dev/sda || bad storage.disk "no sda"
echo "guest: $(cat /sys/block/sda/size) sectors"
