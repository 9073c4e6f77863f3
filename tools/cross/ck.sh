#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# ck.sh DIR: make DIR a directory of links to Concurrency Kit's headers as
# Debian's libck-dev installs them, and to nothing else of /usr/include.
set -eu
dir=$1
[ -r /usr/include/ck_queue.h ] || {
	echo "ck.sh: /usr/include/ck_queue.h is missing: run tools/deps.sh" >&2
	exit 1
}
mkdir -p "$dir"
for f in /usr/include/ck_*.h /usr/include/gcc /usr/include/spinlock; do
	ln -sfn "$f" "$dir/${f##*/}"
done
