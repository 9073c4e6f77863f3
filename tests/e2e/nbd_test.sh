# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# kldrun's NBD server against clients that do not behave, and many at once.

# A client that says nonsense: random bytes, wrong options, requests past the
# end, unknown commands, half a request, and goes away in the middle of it.
hostile_client() {
	perl -MSocket -e '
	my ($path, $n) = @ARGV;
	$SIG{PIPE} = "IGNORE";
	srand(1);
	sub noise { join "", map { chr int rand 256 } 1 .. shift }
	my @off = (0, 512, 1 << 27, 18446744073709551104, 4096, 77);
	my @len = (0, 512, 4096, 32 << 20, 0xffffffff, 1000);
	my ($served, $refused) = (0, 0);
	for my $i (0 .. $n - 1) {
		socket(my $s, PF_UNIX, SOCK_STREAM, 0) or die;
		connect($s, pack_sockaddr_un($path)) or die "connect: $!";
		my $b = "";
		# Turned away while the others are still leaving: later.
		if (!sysread($s, $b, 18)) {
			die "no greeting" if $refused++ > 1000;
			select(undef, undef, undef, 0.01);
			redo;
		}
		$served++;
		my $k = $i % 4;
		my $opts = pack("N", 3) . "IHAVEOPT";
		if ($k == 0) { syswrite $s, noise(200); }
		elsif ($k == 1) { syswrite $s, $opts . pack("NN", rand 20,
		    (0, 5, 4096, 5000, 0xffffffff)[rand 5]) . noise(100); }
		else {
			syswrite $s, $opts . pack("NN", 7, 6) . pack("Nn", 0, 0);
			sysread $s, $b, 4096;
			for my $j (1 .. 20) {
				syswrite $s, pack("NnnQ>Q>N", 0x25609513,
				    (0, 0, 1, 2, 65535)[rand 5],
				    (0, 3, 4, 6, 7, 99)[rand 6], $j,
				    $off[rand @off], $len[rand @len]);
			}
			syswrite $s, noise(100) if $k == 3;
		}
		close $s;
	}
	print "$served\n";
	' "$1" "$2"
}

new_case hostile "clients that talk nonsense cost nobody anything" "stor.basic"
hostile_body() {
	make_disk disk.img 16
	vm_start vm disk.img
	served=$(hostile_client "$PWD/vm/da0.nbd" 400)
	[ "$served" = 400 ] || { vm_report vm; atf_fail "served '$served'"; }
	atf_check -o inline:"$((16 << 20))\n" nbdinfo --size "$(uri vm da0)"
	vm_stop vm
	vm_no_leaks vm || { vm_report vm; atf_fail "leaks"; }
	echo "figure: stor.basic 400 hostile clients"
}

new_case requests "odd, large and empty requests get the right error" "stor.basic"
requests_body() {
	make_disk disk.img 16
	vm_start vm disk.img
	u=$(uri vm da0)
	atf_check -o ignore -e ignore qemu-io -f raw -c 'write -P 1 0 512' \
	    -c 'read -P 1 0 512' -c 'write -P 2 1M 9M' -c 'read -P 2 1M 9M' \
	    -c 'write -f -P 3 4096 4096' -c 'read -P 3 4096 4096' "$u"
	atf_check -s not-exit:0 -o ignore -e ignore nbdcopy \
	    "$u" "nbd+unix:///other?socket=$PWD/vm/da0.nbd"
	atf_check -o ignore -e ignore nbdinfo --list "$u"
	vm_stop vm
}

new_case connections "eight connections at once, every byte verified" "stor.subchannel"
connections_body() {
	make_disk disk.img 64
	vm_start vm disk.img
	atf_check -o save:fio.out -e ignore fio --ioengine=nbd \
	    --uri="$(uri vm da0)" --name=x --numjobs=8 --size=8M \
	    --offset_increment=8M --rw=randwrite --bs=16k --iodepth=16 \
	    --verify=crc32c --group_reporting
	atf_check -o match:'err= 0' cat fio.out
	vm_stop vm
	echo "figure: stor.subchannel 8 connections, all bytes right"
}

atf_init_test_cases() { add_cases; }
