# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# The kernel's own log: no complaint about Hyper-V, no trouble at all.  Called
# last by init with the log in /tmp/dmesg; allow(): what is asked for on purpose.
grep -E '(hv_|hyperv|hyper-v|vmbus|storvsc|netvsc|scsi host|sd [0-9]).*(warn|error|fail|unable|unknown|timed? ?out|invalid|unsupported|bad )|BUG:|WARNING:|Call Trace|Oops: |soft lockup|hung task|Buffer I/O' \
    -i /tmp/dmesg | grep -v -E "${allow:-^never$}" >/tmp/trouble
if [ -s /tmp/trouble ]; then
	bad dmesg.clean "$(wc -l </tmp/trouble) lines, first: $(head -n 1 /tmp/trouble)"
else
	ok dmesg.clean "$(wc -l </tmp/dmesg) lines, no trouble"
fi
