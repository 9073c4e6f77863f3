# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# What the compiler made of the ring's data path (R4): the wrappers in
# ring_object.c are disassembled and their instructions counted.

# object COMPILER: disassemble the wrappers and the out-of-line half
object() {
	command -v objdump > /dev/null || atf_skip "objdump is not installed"
	command -v "$1" > /dev/null || atf_skip "$1 is not installed"
	[ "$(uname -m)" = x86_64 ] || atf_skip "counts x86-64 instructions"
	: > code
	for source in core/tests/ring_object core/common/ring \
	    core/common/packet; do
		"$1" -std=c11 -O2 -ffreestanding -I "$top/core/include" -c \
		    -o object.o "$top/$source.c" || atf_fail "cannot compile"
		objdump -d --no-show-raw-insn object.o >> code
	done
}

# of FUNCTION PATTERN: how many of its instructions match
of() {
	awk -v f="<$1>:" '$2 == f { on = 1; next } /^$/ { on = 0 } on' code |
	    cut -f 2- | grep -Ec "$2" || true
}

# same WANTED FUNCTION PATTERN WHAT
same() {
	got=$(of "$2" "$3")
	[ "$got" -eq "$1" ] || atf_fail "$2 has $got $4, not $1"
}

FENCE='mfence|lock or[lq]? +\$0x0,.*\(%[re]sp\)|lock add'

count() {
	object "$1"
	for f in object_send object_publish object_receive object_release \
	    object_unmask; do
		[ "$(of $f ret)" -ge 1 ] || atf_fail "$f is not in the code"
	done
	if grep -E '[[:space:]](div|idiv|cmpxchg|xadd|xchg +[^%]|xchg.*\()' \
	    code | grep -v 'xchg *%ax,%ax'; then
		atf_fail "a division or a locked exchange"
	fi
	# A locked instruction is only the fence itself.
	if grep lock code | grep -Ev "$FENCE"; then
		atf_fail "a locked instruction"
	fi
	same 1 object_publish "$FENCE" fences
	same 1 object_release "$FENCE" fences
	same 1 object_unmask "$FENCE" fences
	same 1 hvk_ring_tx_want "$FENCE" fences
	same 0 object_send "$FENCE" fences
	same 0 object_receive "$FENCE" fences
}

atf_test_case gcc
gcc_head() {
	atf_set descr "no division, no locked instruction, one fence for each publish and release (gcc)"
	atf_set X-feature core.signal
}
gcc_body() { count gcc; }

atf_test_case clang
clang_head() {
	atf_set descr "no division, no locked instruction, one fence for each publish and release (clang)"
}
clang_body() { count clang; }

atf_init_test_cases() {
	atf_add_test_case gcc
	atf_add_test_case clang
}
