# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# What can be read off the module files: their kind, what they import, what
# they export, and that no floating point and no compiler helper crept in.

modules=$top/build/modules

atf_test_case kind
kind_head() {
	atf_set descr "each module is what FreeBSD's linker expects, for three machines"
}
kind_body() {
	for name in hv_vmbus hv_storvsc hv_netvsc hv_utils; do
		readelf -h "$modules/amd64/$name.ko" >amd64
		atf_check -o match:'Type: *REL ' -o match:'X86-64' \
		    -o match:'OS/ABI: *UNIX - FreeBSD' cat amd64
		readelf -h "$modules/i386/$name.ko" >i386
		atf_check -o match:'Type: *DYN ' -o match:'Intel 80386' cat i386
		readelf -h "$modules/arm64/$name.ko" >arm64
		atf_check -o match:'Type: *DYN ' -o match:'AArch64' cat arm64
	done
}

atf_test_case i386
i386_head() {
	atf_set descr "the modules link for i386: no helper the kernel lacks, no SSE"
}
i386_body() {
	for ko in "$modules"/i386/*.ko; do
		# The i386 kernel has these four of a compiler's helpers.
		llvm-nm -u "$ko" | awk '{ print $2 }' >imports
		atf_check -s exit:1 -o empty sh -c "grep -E '^__[a-z]+[sdt]i[234]$' \
		    imports | grep -v -E '^__u?(div|mod)di3$'"
		llvm-objdump -d "$ko" >code || atf_fail "objdump $ko"
		atf_check -s exit:1 -o empty grep -E '%xmm|%mm[0-7]|%st' code
	done
}

atf_test_case arm64
arm64_head() {
	atf_set descr "the modules link for arm64, call by HVC, use no floating point register"
}
arm64_body() {
	for ko in "$modules"/arm64/*.ko; do
		llvm-objdump -d "$ko" >code || atf_fail "objdump $ko"
		atf_check -s exit:1 -o empty grep -E '[ ,{][vqds][0-9]+(\.|,|$)' code
	done
	llvm-objdump -d "$modules/arm64/hv_vmbus.ko" >code
	atf_check -o match:'hvc' cat code
}

atf_test_case amd64_code
amd64_code_head() {
	atf_set descr "no vector register, no red zone, no relocation kldrun or the kernel lacks"
}
amd64_code_body() {
	for ko in "$modules"/amd64/*.ko; do
		llvm-objdump -d "$ko" >code || atf_fail "objdump $ko"
		atf_check -s exit:1 -o empty grep -E '%[xy]mm' code
		readelf -rW "$ko" | awk '/R_X86_64_/ { print $3 }' | sort -u >relocs
		atf_check -s exit:1 -o empty \
		    grep -v -E '^R_X86_64_(64|PC32|PLT32|32|32S|PC64)$' relocs
	done
}

atf_test_case imports
imports_head() {
	atf_set descr "storvsc imports nothing that neither the kernel nor vmbus exports"
}
imports_body() {
	llvm-nm -g --defined-only "$modules/amd64/hv_vmbus.ko" |
	    awk '{ print $3 }' | sort -u >exported
	llvm-nm -u "$modules/amd64/hv_storvsc.ko" | awk '{ print $2 }' |
	    grep -E '^(vmbus|hvk)_' | sort -u >imported
	atf_check -o empty comm -13 exported imported
	atf_check -s exit:0 test -s imported
}

atf_init_test_cases() {
	atf_add_test_case kind
	atf_add_test_case i386
	atf_add_test_case arm64
	atf_add_test_case amd64_code
	atf_add_test_case imports
}
