#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# chain.sh DIR [RUN...]: run stock kernels on our host and leave in DIR:
#
#	log	everything that was printed
#	checks	lines "check: AREA.NAME ok|fail DETAIL" and "figure: ID TEXT"
#	how	one line: which way it ran, and how long it took, each guest too
#
# Where /dev/kvm has Hyper-V's interrupt controller the guests run here;
# elsewhere they run in Debian's kernel under QEMU's software emulation, which
# emulates SVM, so that KVM itself is real.  Status 3: neither way is possible,
# the reason is in DIR/how.
set -eu
top=$(cd "$(dirname "$0")/../.." && pwd)
build=${HVK_BUILD:-$top/build}
PATH=$PATH:/usr/sbin:/sbin
export LC_ALL=C
dir=$1
shift
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
images=$build/kernels
limit=${HVK_CHAIN_SECONDS:-2400}
began=$(date +%s)

finish() {
	sed -i '/TCG doesn.t support requested feature/d' "$dir/log"
	grep -a -o -E '(check: [a-z0-9._-]+ (ok|fail).*|figure: [a-z]+\.[a-z]+ .*|measure: .*)' "$dir/log" |
	    tr -d '\r' >"$dir/checks" || true
	each=$(sed -n 's/^chain: \([a-z]*\) took \([0-9]* s\).*/\1 \2/p' "$dir/log" | paste -s -d , | sed 's|,|, |g')
	echo "$1, $(($(date +%s) - began)) s (${each:-no guest came to its end})" >"$dir/how"
	cat "$dir/how"
}

caps=$("$build/bin/kvmprobe") && way=direct || way=nested
way=${HVK_CHAIN_WAY:-$way}
if [ "$way" = direct ]; then
	sh "$top/tests/kernels/image.sh" "$images" direct
	mkdir -p "$dir/run"
	cd "$dir/run"
	HVK=$build/bin/hvk KERNEL=$images/guest.kernel INITRD=$images/guest.cpio \
	    BARE=$build/port/freestanding.elf \
	    timeout "$limit" sh "$top/tests/kernels/guests.sh" "$@" >"$dir/log" 2>&1 </dev/null || true
	finish "directly on /dev/kvm ($caps)"
	exit 0
fi
command -v qemu-system-x86_64 >/dev/null || {
	echo "/dev/kvm is of no use here ($caps), and qemu-system-x86_64 is not installed" >"$dir/how"
	exit 3
}
sh "$top/tests/kernels/image.sh" "$images"
# One processor outside: with two, the guest inside hung.  No XSAVE: QEMU 7.2 lets
# a guest of the guest set XCR0 without KVM's knowledge.
timeout "$limit" qemu-system-x86_64 -name "${HVK_CHAIN_NAME:-hvkit-chain}" \
    -accel tcg,thread=multi -cpu EPYC-v3,+svm,+npt,-xsave -smp 1 -m 3072 -nodefaults -no-reboot \
    -display none -serial stdio -kernel "$images/host.kernel" -initrd "$images/host.cpio" \
    -append "console=ttyS0 quiet panic=-1 mitigations=off chain.runs=$(echo "$*" | tr ' ' ,) ${HVK_CHAIN_MORE:-}" \
    >"$dir/log" 2>&1 </dev/null || echo "chain: QEMU ended with status $? (limit $limit s)" >>"$dir/log"
finish "nested: QEMU's software emulation, Debian's kernel, KVM with SVM ($(grep -a -o 'KVM API .*' "$dir/log" |
    tr -d '\r' | head -n 1))"
