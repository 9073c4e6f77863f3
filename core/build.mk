# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# The core: one library, its tests and its fuzz targets, all by wildcard, so a
# new file needs no line here.  The library is also compiled by clang with its
# warnings, and under sanitizers for the sanitizer runs of the same tests.

CORE_SRCS :=	$(wildcard core/common/*.c core/guest/*.c core/host/*.c)
CORE_CFLAGS :=	$(HVK_CFLAGS) -ffreestanding -Wcast-qual -Wshadow
CORE_LIB :=	$(B)/lib/libhvk.a
CORE_TEST_SRCS := $(wildcard core/tests/*_test.c)
CORE_TEST_HELP := $(filter-out %_test.c,$(wildcard core/tests/*.c))
CORE_TESTS :=	$(CORE_TEST_SRCS:core/tests/%.c=$(B)/tests/core/%)
CORE_SAN_TESTS := $(CORE_TEST_SRCS:core/tests/%.c=$(B)/tests/core-asan/%)
CORE_FUZZERS :=	$(patsubst core/fuzz/%.c,$(B)/fuzz/%,$(wildcard core/fuzz/*_fuzz.c))
CORE_FUZZ_HELP := $(filter-out %_fuzz.c,$(wildcard core/fuzz/*.c))

LIBRARIES +=	$(CORE_LIB)
TEST_PROGRAMS += $(CORE_TESTS)
SAN_TESTS +=	$(CORE_SAN_TESTS)
FUZZERS +=	$(CORE_FUZZERS)

CORE_OBJS :=	$(CORE_SRCS:%.c=$(B)/obj/%.o)
CORE_CLANG :=	$(CORE_SRCS:%.c=$(B)/obj-clang/%.o)
CORE_SAN :=	$(CORE_SRCS:%.c=$(B)/obj-asan/%.o)
CORE_FUZZ :=	$(CORE_SRCS:%.c=$(B)/obj-fuzz/%.o)
SAN_FLAGS :=	-fsanitize=address,undefined -fno-sanitize-recover=all -O1
FUZZ_FLAGS :=	$(SAN_FLAGS) -fsanitize=fuzzer-no-link

$(B)/obj/core/%.o: core/%.c
	@mkdir -p $(@D)
	$(CC) $(CORE_CFLAGS) -MMD -MP -c $< -o $@
$(B)/obj-clang/core/%.o: core/%.c
	@mkdir -p $(@D)
	$(CLANG) $(CORE_CFLAGS) -MMD -MP -c $< -o $@
$(B)/obj-asan/core/%.o: core/%.c
	@mkdir -p $(@D)
	$(CLANG) $(CORE_CFLAGS) $(SAN_FLAGS) -MMD -MP -c $< -o $@
$(B)/obj-fuzz/core/%.o: core/%.c
	@mkdir -p $(@D)
	$(CLANG) $(CORE_CFLAGS) $(FUZZ_FLAGS) -MMD -MP -c $< -o $@

$(CORE_LIB): $(CORE_OBJS)
	@mkdir -p $(@D)
	@rm -f $@
	$(AR) rcs $@ $^

# The same library by clang: only to have its opinion.
.PHONY: core-clang
core-clang: $(CORE_CLANG)

$(B)/tests/core/%: core/tests/%.c $(CORE_TEST_HELP) $(CORE_LIB)
	@mkdir -p $(@D)
	$(CC) $(HVK_CFLAGS) -Icore/tests -MMD -MP -MF $@.d $< $(CORE_TEST_HELP) \
	    $(CORE_LIB) -latf-c -lpthread -o $@
$(B)/tests/core-asan/%: core/tests/%.c $(CORE_TEST_HELP) $(CORE_SAN)
	@mkdir -p $(@D)
	$(CLANG) $(HVK_CFLAGS) $(SAN_FLAGS) -Icore/tests -MMD -MP -MF $@.d $< \
	    $(CORE_TEST_HELP) $(CORE_SAN) -latf-c -lpthread -o $@
$(B)/fuzz/%: core/fuzz/%.c $(CORE_FUZZ_HELP) $(CORE_FUZZ)
	@mkdir -p $(@D)
	$(CLANG) $(HVK_CFLAGS) $(SAN_FLAGS) -fsanitize=fuzzer -Icore/fuzz \
	    -Icore/tests -MMD -MP -MF $@.d $< $(CORE_FUZZ_HELP) $(CORE_FUZZ) -o $@

.PRECIOUS: $(B)/obj/core/%.o $(B)/obj-asan/core/%.o $(B)/obj-fuzz/core/%.o
-include $(CORE_OBJS:.o=.d) $(CORE_CLANG:.o=.d) $(CORE_SAN:.o=.d) \
	$(CORE_FUZZ:.o=.d) $(CORE_TESTS:=.d) $(CORE_SAN_TESTS:=.d) \
	$(CORE_FUZZERS:=.d)
