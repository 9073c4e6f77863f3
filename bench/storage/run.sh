#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# Run the storage benchmark: bare fio on a file in memory first, then ours and
# qemu-storage-daemon in turn.  Usage: run.sh PROGRAM DIR
set -eu
program=$1
out=$2
mkdir -p "$out"
for tool in fio qemu-storage-daemon; do
	command -v "$tool" >/dev/null || {
		echo "bench-storage: no $tool; install the packages fio and" \
		    "qemu-system-common (see tools/deps.sh)"
		exit 0
	}
done
dir=$(mktemp -d /dev/shm/hvk-bench.XXXXXX)
trap 'rm -rf "$dir"' EXIT INT TERM

fio=0
for round in 1 2 3; do
	one=$(fio --name=bare --ioengine=io_uring --rw=randread --bs=4k \
	    --iodepth=32 --size=64M --filename="$dir/fio.img" --time_based \
	    --runtime="${BENCH_FIO_SECONDS:-1}" --output-format=json |
	    sed -n '/^{/,$p' | jq '.jobs[0].read.iops | floor')
	[ "$one" -gt "$fio" ] && fio=$one
done
rm -f "$dir/fio.img"
echo "Storage: 4 KiB random reads, load $(cut -d' ' -f1-3 /proc/loadavg)," \
    "bare fio io_uring QD32 $fio IOPS (best of 3)"
"$program" "$out" "${BENCH_ROUNDS:-7}" "${BENCH_SECONDS:-0.3}" "$fio" "$dir"
