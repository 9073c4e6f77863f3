#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# test.sh [PROGRAM...]: what "make test" does: build everything, run every test
# program (or those named, as build/tests/core/ring_test) under kyua, keep what the passed
# tests prove for "hvk features", and end with one line:
#
#	N passed, N failed, N skipped
#
# FUZZ_SECONDS is the time for each fuzz target (30), JOBS the parallelism: one
# more than there are processors, since many tests wait most of their time.
set -eu
cd "$(dirname "$0")/../.."
jobs=${JOBS:-$(($(nproc) + 1))}
export FUZZ_SECONDS="${FUZZ_SECONDS:-30}"
export LC_ALL=C
export LSAN_OPTIONS="suppressions=$PWD/tests/run/lsan.supp:print_suppressions=0"
began=$(date +%s)
# Cases that look at one long run (tests/kernels) know by it that it is this one.
export HVK_RUN_ID="$$.$began"

stop() {
	echo "test: $*"
	echo "0 passed, 1 failed, 0 skipped"
	exit 1
}

echo "test: building programs, modules, sanitizer variants and fuzz targets"
mkdir -p build
if ! make --no-print-directory -j"$jobs" tests-built >build/test-build.log 2>&1
then
	grep -E -m 40 'error: |undefined reference|^make.*\*\*\*' build/test-build.log ||
	    tail -n 40 build/test-build.log
	stop "the build failed; the whole log is build/test-build.log"
fi
echo "test: built in $(($(date +%s) - began)) s; running (fuzz targets: $FUZZ_SECONDS s each)"

rm -rf build/proof build/test.db
: >build/test.out
kyua --logfile=build/kyua.log -c none -v parallelism="$jobs" test \
    -k Kyuafile -r build/test.db "$@" </dev/null >build/test.out 2>&1 &
kyua=$!
trap 'kill $kyua 2>/dev/null; exit 130' INT TERM

# One line for each result as it comes; kyua's own closing lines are not ours.
tail -n +1 -f --pid=$kyua build/test.out | grep --line-buffered -- ' -> ' || true
wait $kyua || true
[ -s build/test.db ] || { cat build/test.out; stop "kyua did not run"; }

tests/run/proofs.sh build/test.db || stop "the proofs could not be recorded"

kyua --logfile=build/kyua.log -c none report -r build/test.db \
    --results-filter=skipped,broken,failed >build/test.report
# What a failed test printed, so that a log of this run is enough.
if grep -q '^===> \(Failed\|Broken\)' build/test.report; then
	echo
	kyua --logfile=build/kyua.log -c none report -r build/test.db --verbose \
	    --results-filter=broken,failed |
	    awk '/^===> (Execution|Failed|Broken|Summary)/ { on = 0 }
		/^===> .*:/ { on = 1; n = 0; meta = 0; print ""; print; next }
		!on { next }
		/^Metadata:/ { meta = 1 }
		/^Standard (output|error):/ { meta = 0 }
		!meta && /^Result:|^Standard/ { print; next }
		!meta && /[^ ]/ && n++ < 60 { print "    " $0 }'
fi
echo
sed -n '/^===> \(Skipped\|Broken\|Failed\)/,/^===> Summary/p' build/test.report |
    grep -v '^===> Summary' || true
echo "test: $(($(date +%s) - began)) s"
awk '/^Test cases:/ {
	gsub(",", "")
	total = $3; skipped = $5; broken = $10; failed = $12
	printf("%d passed, %d failed, %d skipped\n",
	    total - skipped - broken - failed, broken + failed, skipped)
	bad = broken + failed > 0 || total == 0
	seen = 1
}
END { if (!seen) print "0 passed, 1 failed, 0 skipped"; exit(bad || !seen) }' \
    build/test.report
