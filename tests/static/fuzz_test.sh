# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# Each fuzz target that is built, for FUZZ_SECONDS from its kept corpus.

targets=
for f in "$top"/build/fuzz/*_fuzz; do
	[ -x "$f" ] || continue
	noun=$(basename "$f" _fuzz)
	targets="$targets $noun"
	atf_test_case "$noun"
	eval "${noun}_head() {
		atf_set descr 'fuzz smoke: $noun'
		atf_set timeout $((${FUZZ_SECONDS:-30} + 120))
	}
	${noun}_body() {
		\$top/tests/run/fuzz.sh ${FUZZ_SECONDS:-30} $f || atf_fail 'see above'
	}"
done

atf_init_test_cases() {
	for noun in $targets; do
		atf_add_test_case "$noun"
	done
}
