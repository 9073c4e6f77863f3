# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# Whole-system tests and static checks: ATF shell programs, each copied to
# build/tests with the library beside it; and the Kyuafile of all programs.

SH_TESTS :=	$(wildcard tests/e2e/*_test.sh tests/static/*_test.sh \
		tests/daemons/*_test.sh tests/kernels/*_test.sh)
SH_TEST_PROGRAMS := $(SH_TESTS:tests/%.sh=$(B)/tests/%)
TEST_PROGRAMS += $(SH_TEST_PROGRAMS)

$(SH_TEST_PROGRAMS): $(B)/tests/%: tests/%.sh tests/run/lib.sh
	@mkdir -p $(@D)
	@{ echo '#!/usr/bin/env atf-sh'; \
	    echo 'top=$(CURDIR)'; \
	    echo '. $(CURDIR)/tests/run/lib.sh'; cat $<; } >$@
	@chmod 755 $@

# Recursive variables: other build.mk files may add programs after this one.
KYUA_PROGRAMS = $(patsubst $(B)/%,%,$(sort $(TEST_PROGRAMS) $(SAN_TESTS)))

.PHONY: kyuafile tests-built
kyuafile:
	@tests/run/kyuafiles.sh $(B) $(KYUA_PROGRAMS)

# Everything that make test runs.
tests-built: all modules-asan $(B)/bin/kldrun-asan m32 $(TEST_PROGRAMS) $(SAN_TESTS) \
		$(FUZZERS) kyuafile

-include tests/backend/build.mk
-include tests/kernels/build.mk
-include tests/net/build.mk
-include tests/fbsd/build.mk
