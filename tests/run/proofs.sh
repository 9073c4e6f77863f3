#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# proofs.sh RESULTS: leave a record for "hvk features" for each feature that a
# passed test case names in its metadata, and for each that a failed one names.
# A test says X-feature (ids), may say X-engine (pair unless it says so; kld
# for the whole-system tests), and may print "figure: ID TEXT", a figure that it
# measured.  Without one, the figure is the number of cases that passed.
set -eu
hvk=build/bin/hvk
[ -x $hvk ] || { echo "proofs: $hvk is not built"; exit 1; }

kyua --logfile=build/kyua.log -c none report -r "$1" --verbose \
    --results-filter=passed,failed,broken | awk '
BEGIN { OFS = "\t" }
function done_case(	i, n, list, key) {
	n = split(features, list, / +/)
	for (i = 1; i <= n; i++) {
		key = list[i] " " engine
		if (result ~ /^passed/) {
			# A sanitizer variant is the same test again.
			if (name ~ /(asan|tsan)\//)
				continue
			passed[key]++
			if (!(key in proof))
				proof[key] = name
			if (list[i] in figures)
				figure[key] = figures[list[i]]
		} else
			failed[key] = name
		seen[key] = 1
	}
	features = ""
	delete figures
}
/^===> [^ ]+:[^ ]+$/ {
	done_case()
	name = $2
	engine = name ~ /tests\/e2e\// ? "kld" : "pair"
	result = ""
	next
}
/^===> / { done_case(); next }
/^Result: / { if (result == "") result = $2 }
/^    custom\.feature = / { features = $0; sub(/^[^=]*= /, "", features) }
/^    custom\.engine = / { engine = $3 }
/^figure: / {
	id = $2
	sub(/^figure: [^ ]+ /, "")
	figures[id] = $0
}
END {
	done_case()
	for (key in seen) {
		split(key, part, " ")
		text = passed[key] (passed[key] == 1 ? " test" : " tests")
		if (key in figure)
			text = figure[key]
		if (key in failed)
			print part[1], part[2], "failed", "-", failed[key]
		else if (key in proof)
			print part[1], part[2], "yes", text, proof[key]
	}
}' | sort >"$1.proofs"
while IFS='	' read -r id engine state figure name; do
	$hvk proof "$id" "$engine" "$state" "$figure" "$name" || exit 1
done <"$1.proofs"
