# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# libhvk, its tests and its fuzz targets, all by wildcard: a file dropped into
# common, guest, host, tests or fuzz is built.  The same sources are built again
# under build/asan and build/tsan (tests under sanitizers), build/fuzz and
# build/m32 (32 bits, compiled only, because no 32-bit libc is needed for it), and
# under build/cov, which counts the lines that the tests have reached.

CORE_SRCS :=	$(wildcard core/common/*.c core/guest/*.c core/host/*.c)
CORE_TESTS :=	$(patsubst core/tests/%.c,%,$(wildcard core/tests/*_test.c))
CORE_FUZZ :=	$(patsubst core/fuzz/%.c,%,$(wildcard core/fuzz/*_fuzz.c))
CORE_LIBHVK :=	$(B)/lib/libhvk.a

CORE_OBJS :=	$(CORE_SRCS:%.c=$(B)/obj/%.o)
CORE_ASAN :=	$(CORE_SRCS:%.c=$(B)/asan/obj/%.o)
CORE_TSAN :=	$(CORE_SRCS:%.c=$(B)/tsan/obj/%.o)
CORE_FOBJS :=	$(CORE_SRCS:%.c=$(B)/fuzz/obj/%.o)
CORE_M32 :=	$(CORE_SRCS:%.c=$(B)/m32/obj/%.o)
CORE_COV :=	$(CORE_SRCS:%.c=$(B)/cov/obj/%.o)
CORE_COV_TESTS := $(CORE_TESTS:%=$(B)/cov/tests/core/%)

# The core may not reach for the system: this finds an #include that does.
CORE_CFLAGS =	$(HVK_CFLAGS) -ffreestanding
CORE_TEST_CFLAGS = $(HVK_CFLAGS) -Icore/tests -DHVK_BUILD='"$(abspath $(B))"' \
		-DHVK_SOURCE='"$(CURDIR)"'
CORE_TEST_LIBS = -latf-c -pthread
CORE_ASAN_FLAGS := -fsanitize=address,undefined -fno-sanitize-recover=all \
		-fno-omit-frame-pointer
CORE_TSAN_FLAGS := -fsanitize=thread
CORE_COV_FLAGS := -fprofile-instr-generate -fcoverage-mapping
CORE_FUZZ_FLAGS := $(CORE_ASAN_FLAGS) -fsanitize=fuzzer-no-link -O1

LIBRARIES +=	$(CORE_LIBHVK)
CORE_SH :=	$(patsubst core/tests/%.sh,$(B)/tests/core/%, \
		$(wildcard core/tests/*_test.sh))
TEST_PROGRAMS += $(CORE_TESTS:%=$(B)/tests/core/%) $(CORE_SH)
SAN_TESTS +=	$(CORE_TESTS:%=$(B)/asan/tests/core/%) \
		$(patsubst core/tests/%.c,$(B)/tsan/tests/core/%, \
		$(wildcard core/tests/*_torture_test.c))
FUZZERS +=	$(CORE_FUZZ:%=$(B)/fuzz/%)

$(CORE_LIBHVK): $(CORE_OBJS)
	@mkdir -p $(@D)
	@rm -f $@
	$(AR) rcs $@ $^

$(B)/obj/core/%.o: core/%.c
	@mkdir -p $(@D)
	$(CC) $(CORE_CFLAGS) -MMD -c -o $@ $<

$(B)/asan/lib/libhvk.a: $(CORE_ASAN)
$(B)/tsan/lib/libhvk.a: $(CORE_TSAN)
$(B)/fuzz/lib/libhvk.a: $(CORE_FOBJS)
$(B)/cov/lib/libhvk.a: $(CORE_COV)
$(B)/asan/lib/libhvk.a $(B)/tsan/lib/libhvk.a $(B)/fuzz/lib/libhvk.a \
    $(B)/cov/lib/libhvk.a:
	@mkdir -p $(@D)
	@rm -f $@
	$(AR) rcs $@ $^

$(B)/asan/obj/core/%.o: core/%.c
	@mkdir -p $(@D)
	$(CLANG) $(CORE_CFLAGS) $(CORE_ASAN_FLAGS) -MMD -c -o $@ $<

$(B)/tsan/obj/core/%.o: core/%.c
	@mkdir -p $(@D)
	$(CLANG) $(CORE_CFLAGS) $(CORE_TSAN_FLAGS) -MMD -c -o $@ $<

$(B)/fuzz/obj/core/%.o: core/%.c
	@mkdir -p $(@D)
	$(CLANG) $(CORE_CFLAGS) $(CORE_FUZZ_FLAGS) -MMD -c -o $@ $<

$(B)/m32/obj/core/%.o: core/%.c
	@mkdir -p $(@D)
	$(CC) $(CORE_CFLAGS) -m32 -MMD -c -o $@ $<

$(B)/cov/obj/core/%.o: core/%.c
	@mkdir -p $(@D)
	$(CLANG) $(CORE_CFLAGS) $(CORE_COV_FLAGS) -MMD -c -o $@ $<

.PHONY: m32 coverage
m32: $(CORE_M32)

$(CORE_SH): $(B)/tests/core/%: core/tests/%.sh
	@mkdir -p $(@D)
	@{ echo '#!/usr/bin/env atf-sh'; echo 'top=$(CURDIR)'; cat $<; } >$@
	@chmod 755 $@

$(B)/tests/core/%: core/tests/%.c $(CORE_LIBHVK)
	@mkdir -p $(@D)
	$(CC) $(CORE_TEST_CFLAGS) -MMD -MF $@.d -o $@ $< $(CORE_LIBHVK) \
	    $(HVK_LDFLAGS) $(CORE_TEST_LIBS)

$(B)/asan/obj/lsan.o: core/tests/lsan.c
	@mkdir -p $(@D)
	$(CLANG) $(HVK_CFLAGS) -Wno-reserved-identifier -c -o $@ $<

$(B)/asan/tests/core/%: core/tests/%.c $(B)/asan/lib/libhvk.a \
		$(B)/asan/obj/lsan.o
	@mkdir -p $(@D)
	$(CLANG) $(CORE_TEST_CFLAGS) $(CORE_ASAN_FLAGS) -MMD -MF $@.d -o $@ $< \
	    $(B)/asan/obj/lsan.o $(B)/asan/lib/libhvk.a $(CORE_TEST_LIBS)

$(B)/tsan/tests/core/%: core/tests/%.c $(B)/tsan/lib/libhvk.a
	@mkdir -p $(@D)
	$(CLANG) $(CORE_TEST_CFLAGS) $(CORE_TSAN_FLAGS) -MMD -MF $@.d -o $@ $< \
	    $(B)/tsan/lib/libhvk.a $(CORE_TEST_LIBS)

$(B)/cov/tests/core/%: core/tests/%.c $(B)/cov/lib/libhvk.a
	@mkdir -p $(@D)
	$(CLANG) $(CORE_TEST_CFLAGS) $(CORE_COV_FLAGS) -MMD -MF $@.d -o $@ $< \
	    $(B)/cov/lib/libhvk.a $(CORE_TEST_LIBS)

coverage: $(CORE_COV_TESTS)
	@tests/run/coverage.sh $(B)/cov $(CORE_COV_TESTS)

$(B)/fuzz/%: core/fuzz/%.c $(B)/fuzz/lib/libhvk.a
	@mkdir -p $(@D)
	$(CLANG) $(HVK_CFLAGS) -Icore/fuzz $(CORE_FUZZ_FLAGS) -fsanitize=fuzzer \
	    -MMD -MF $@.d -o $@ $< $(B)/fuzz/lib/libhvk.a -pthread

-include $(wildcard $(CORE_OBJS:.o=.d) $(CORE_ASAN:.o=.d) $(CORE_TSAN:.o=.d) \
	$(CORE_FOBJS:.o=.d) $(CORE_M32:.o=.d) $(CORE_COV:.o=.d) \
	$(B)/cov/tests/core/*.d $(B)/tests/core/*.d \
	$(B)/asan/tests/core/*.d $(B)/tsan/tests/core/*.d $(B)/fuzz/*.d)

-include core/port/build.mk
