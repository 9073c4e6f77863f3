# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# lsvmbus(8) of the guest against what the host says it offers.

ENGINE=kld

ls_bus() { timeout 60 "$top/build/daemons/lsvmbus" -k vm "$@"; }

new_case listed "devices, channels and rings are those of the host" core.lsvmbus
listed_body() {
	make_disk disk.img 8
	vm_start vm --cpus 4 disk.img
	ls_bus --json >bus.json || atf_fail "lsvmbus"
	ctl vm --json info >info.json || atf_fail "hvk ctl info"
	jq -r '.devices[] | select(.channels_open > 0 or .open > 0) | .instance' \
	    info.json | sort >host
	jq -r '.devices[].instance' bus.json | sort >guest
	[ -s guest ] || atf_fail "no device"
	diff host guest >&2 || atf_fail "not the same devices"
	# Channels of each device, by number.
	for i in $(cat guest); do
		h=$(jq --arg i "$i" '.devices[] | select(.instance == $i) |
		    .open' info.json)
		g=$(jq --arg i "$i" '.devices[] | select(.instance == $i) |
		    .channels | length' bus.json)
		[ "$h" = "$g" ] || atf_fail "$i: $h channels, $g listed"
	done
	[ "$(jq -r .version bus.json)" = "$(jq -r .vmbus.version info.json)" ] ||
	    atf_fail "the version"
	# Unique ids, processors that exist, rings whose parts add up.
	jq -e '[.devices[].channels[].id] | length == (unique | length)' \
	    bus.json >/dev/null || atf_fail "a channel twice"
	jq -e 'all(.devices[].channels[]; .cpu >= 0 and .cpu < 4)' \
	    bus.json >/dev/null || atf_fail "a processor"
	jq -e 'all(.devices[].channels[] | (.rx, .tx);
	    .used + .free >= 4096 and .read < .used + .free)' bus.json \
	    >/dev/null || atf_fail "a ring"
	# Text says the same.
	atf_check -o match:'^storvsc0: <Hyper-V SCSI> SCSI controller' \
	    "$top/build/daemons/lsvmbus" -k vm
	lines=$(ls_bus -v | grep -c '^	channel')
	channels=$(jq '[.devices[].channels[]] | length' bus.json)
	[ "$lines" = "$channels" ] || atf_fail "$lines of $channels channels"
	[ "$(ls_bus -vv | grep -c 'to the host: ')" = "$channels" ] ||
	    atf_fail "rings of -vv"
	# Traffic is seen in a ring.
	before=$(jq '[.devices[] | select(.name == "storvsc0") |
	    .channels[].tx.write] | add' bus.json)
	nbdcopy "$(uri vm da0)" out.img || atf_fail "nbdcopy"
	ls_bus --json >after.json
	after=$(jq '[.devices[] | select(.name == "storvsc0") |
	    .channels[].tx.write] | add' after.json)
	[ "$before" != "$after" ] || atf_fail "no ring moved"
	vm_stop vm
	echo "figure: core.lsvmbus $(wc -l <guest) devices, $channels channels, as the host has them"
	atf_check -s exit:1 -e match:'no vmbus' \
	    "$top/build/daemons/lsvmbus" -k vm
}

# The bus rests while two programs look at it.
new_case libxo "by libxo the same text, and the JSON that --json gives"
libxo_body() {
	xo=$top/build/tests/daemons/tools/lsvmbus-xo
	make_disk disk.img 8
	vm_start vm --cpus 4 -o heartbeat=no -o timesync=no disk.img
	for v in "" -v -vv; do
		ls_bus $v >plain || atf_fail "lsvmbus $v"
		atf_check -o file:plain "$xo" $v -k vm
		atf_check -o file:plain "$xo" --libxo text $v -k vm
	done
	ls_bus --json | jq -S . >plain || atf_fail "lsvmbus --json"
	[ "$(jq '[.devices[].channels[].rx.free] | add' plain)" -gt 0 ] ||
	    atf_fail "no rings"
	for o in --json --libxo=json "--libxo json -v"; do
		# shellcheck disable=SC2086 # words
		"$xo" $o -k vm >xo.json || atf_fail "$o"
		atf_check -o file:plain jq -S . xo.json
	done
	atf_check -s exit:64 -e match:'usage: lsvmbus \[--libxo options\]' \
	    "$xo" --libxo nonsense -k vm
	vm_stop vm
}

atf_init_test_cases() { add_cases; }
