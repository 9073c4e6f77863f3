# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# "hvk features --kernel" without a FreeBSD kernel: what it refuses, and that it
# then records nothing and leaves nothing behind.  With one, see hvk(1).

# refused STATUS TEXT OPTION...
refused() {
	_want=$1
	_text=$2
	shift 2
	mkdir -p tmp proof
	_got=0
	TMPDIR=$PWD/tmp HVK_PROOF_DIR=$PWD/proof "$HVK" features "$@" >out 2>err </dev/null || _got=$?
	[ $_got -eq "$_want" ] || { cat out err; atf_fail "features $*: status $_got, not $_want"; }
	grep -q -e "$_text" out err || { cat out err; atf_fail "features $*: does not say: $_text"; }
	[ -z "$(find tmp proof -mindepth 1)" ] || { ls -lR tmp proof; atf_fail "features $*: left something"; }
}

new_case usage "options that make no sense are refused"
usage_body() {
	refused 2 'takes no argument' something
	refused 2 'takes no argument' --modules "$MODULES"
	refused 2 'a number from 1' --kernel "$HVK" --seconds 0
	refused 2 'a number from 1' --kernel "$HVK" --seconds 1x
	refused 2 'a number from 1' --kernel "$HVK" --seconds 99999999999999999999
}

new_case modules "a folder without modules, or none at all"
modules_body() {
	mkdir empty
	refused 1 'no modules' --kernel "$HVK" --modules "$PWD/empty"
	refused 1 'No such file' --kernel "$HVK" --modules "$PWD/none"
}

# The monitor says why; what matters here is that nothing counts as proved.
new_case kernel "no kernel, a kernel of another kind, one that is cut off"
kernel_body() {
	echo "this is no kernel" >text
	head -c 4000 "$HVK" >short
	for kernel in text short none "$top/build/port/freestanding.elf"; do
		refused 1 '0 checks passed, ' --kernel "$kernel" --modules "$MODULES" --seconds 30
		grep -q 'its last line is missing' out || { cat out err; atf_fail "$kernel: no failed end"; }
	done
}

atf_init_test_cases() { add_cases; }
