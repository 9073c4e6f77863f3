#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# Run the storage benchmark on files in memory: ours, qemu-storage-daemon and
# fio in turn.  Usage: run.sh PROGRAM DIR
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

echo "Storage: 4 KiB random reads, load $(cut -d' ' -f1-3 /proc/loadavg)"
"$program" "$out" "${BENCH_ROUNDS:-9}" "${BENCH_SECONDS:-0.3}" "$dir"
bench/plot.sh "$out"
