# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# The model of the signalling protocol, explored whole but small: no error with
# all fences under both memories, an error without any one of them.

atf_test_case fences
fences_head() {
	atf_set descr "SPIN finds no lost wake-up, and finds one without any of the four fences"
	atf_set X-feature core.signal
	atf_set timeout 900
}
fences_body() {
	command -v spin > /dev/null || atf_skip "spin is not installed"
	atf_check -o match:"as it must be" -o not-match:NOT \
	    "$top/core/spec/check.sh" -p 3 -s 2
}

atf_init_test_cases() {
	atf_add_test_case fences
}
