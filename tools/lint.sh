#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# lint.sh [CHECK...]: static checks over the sources that git knows.  The
# compilers' own warnings are errors in every build; these are the others:
#
#	cppcheck	over core, vmm and kldrun
#	tidy		clang-tidy with .clang-tidy, over the same
#	mandoc		every man page, warnings too
#	shell		sh -n / bash -n of every script
#	rules		the rules of CONTRIBUTING.md that a script can see
#	format		how many lines clang-format would change (reported only)
set -eu
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- cppcheck tidy mandoc shell rules format
status=0

files() { git ls-files -- "$@"; }
user_c() { files 'core/common/*.c' 'core/guest/*.c' 'core/host/*.c' 'vmm/*.c' |
    grep -v -e '/tests/' -e '/fuzz/'; }

check_cppcheck() {
	user_c | xargs -r cppcheck -q --std=c11 --error-exitcode=1 -j2 \
	    --enable=warning,portability --inline-suppr \
	    --suppress=missingInclude --suppress=unusedStructMember \
	    --suppress=missingIncludeSystem -Icore/include -Ivmm/include -Ivmm
}

check_tidy() {
	user_c | xargs -r -P2 -I{} clang-tidy --quiet {} -- -std=c11 \
	    -D_GNU_SOURCE -Icore/include -Ivmm/include -Ivmm -Ibuild/acpi \
	    >build/tidy.out 2>&1 && return 0
	grep -E '(error|warning): ' build/tidy.out
	return 1
}

check_mandoc() { files 'share/man/man*/*.[1-9]' | xargs -r mandoc -Tlint -Wwarning; }

check_shell() {
	bad=0
	for f in $(files '*.sh' .ci/run); do
		case $(head -n 1 "$f") in
		*bash) bash -n "$f" || bad=1 ;;
		*) sh -n "$f" || bad=1 ;;
		esac
	done
	return $bad
}

# What a reviewer would otherwise have to look for.
check_rules() {
	bad=0
	say() { echo "$*"; bad=1; }
	for f in $(files '*.c' '*.h' '*.S' '*.sh' '*.mk' '*.awk'); do
		head -n 6 "$f" | grep -q 'SPDX-License-Identifier: BSD-2-Clause' ||
		    say "$f: no licence in its first lines"
		lines=$(wc -l <"$f")
		[ "$lines" -le 1200 ] || say "$f: $lines lines, at most 1200"
	done
	marks='TO''DO|FIX''ME|XX''X'
	if git grep -n -w -E "$marks" -- '*.c' '*.h' '*.S' '*.sh' '*.mk'; then
		say "marks of unfinished work"
	fi
	if git grep -n -E '#include <(stdio|stdlib|string|unistd|pthread|assert)\.h>' \
	    -- core/common core/guest core/host core/include; then
		say "the core includes freestanding headers only"
	fi
	return $bad
}

check_format() {
	n=$(user_c | xargs -r clang-format --dry-run 2>&1 | grep -c 'warning:' || true)
	echo "clang-format would change $n places (reported only)"
}

for check; do
	printf 'lint: %-8s ' "$check"
	if out=$("check_$check" 2>&1); then
		echo "ok${out:+: $out}"
	else
		echo FAILED
		echo "$out" | head -n 60
		status=1
	fi
done
exit $status
