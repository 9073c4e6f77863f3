# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# Each static check of tools/lint.sh as a test case.

for check in cppcheck tidy mandoc shell rules; do
	atf_test_case $check
	eval "${check}_head() {
		atf_set descr 'static check: $check'
		atf_set timeout 900
	}
	${check}_body() {
		\$top/tools/lint.sh $check || atf_fail '$check complains'
	}"
done

atf_init_test_cases() {
	for check in cppcheck tidy mandoc shell rules; do
		atf_add_test_case $check
	done
}
