# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# The daemons for FreeBSD: built by the Makefiles that FreeBSD uses, with a
# compiler that has FreeBSD's libc, and looked at.

new_case cross "every daemon for FreeBSD, amd64 and arm64, warnings are errors"
cross_body() {
	(cd "$top" && make --no-print-directory daemons-freebsd) >log 2>&1 ||
	    { tail -n 30 log >&2; atf_fail "the build fails"; }
	for arch in amd64:x86-64 arm64:aarch64; do
		for d in hv_kvp_daemon hv_netconf hv_vss_daemon \
		    hv_fcopy_daemon lsvmbus; do
			atf_check -o match:"ELF 64-bit LSB .*${arch#*:}.*FreeBSD" \
			    file "$top/build/daemons-freebsd/${arch%%:*}/$d"
		done
	done
	# Nothing asks for a shell.
	for d in "$top"/build/daemons-freebsd/amd64/*; do
		if nm -D "$d" | grep -E ' U (system|popen|execlp|execvp|wordexp)(@|$)'
		then
			atf_fail "$d can run a shell"
		fi
	done
	# libxo is FreeBSD's own: asked for by its name there.
	atf_check -o match:'NEEDED.*libxo\.so\.0' objdump -p \
	    "$top/build/daemons-freebsd/amd64/lsvmbus"
	atf_check -o match:' U xo_parse_args' nm -D \
	    "$top/build/daemons-freebsd/amd64/lsvmbus"
	atf_check -o match:' U cap_enter' nm -D \
	    "$top/build/daemons-freebsd/amd64/hv_kvp_daemon"
}

atf_init_test_cases() { add_cases; }
