# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# build/bin/hvk: every .c under vmm/ but its tests.

VMM_SRCS := $(filter-out vmm/tests/% vmm/fuzz/%,\
	$(wildcard vmm/*.c vmm/*/*.c))
VMM_OBJS := $(VMM_SRCS:%.c=$(B)/%.o)
VMM_LIBS := -ljansson -lnbd -luring -lseccomp -lslirp \
		-lpthread

$(VMM_OBJS): $(B)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(HVK_CFLAGS) -Ivmm/include -Ivmm -MMD -MP -c -o $@ $<

$(B)/bin/hvk: $(VMM_OBJS) $(B)/lib/libhvk.a
	@mkdir -p $(@D)
	$(CC) $(HVK_LDFLAGS) -o $@ $(VMM_OBJS) $(B)/lib/libhvk.a $(VMM_LIBS)

# The DSDT: iasl takes the device's name for too short, a rule for PNP names.
$(B)/acpi/dsdt.hex: vmm/acpi/dsdt.asl
	@mkdir -p $(@D)
	@iasl -vw 6033 -tc -p $(B)/acpi/dsdt $< >$(B)/acpi/dsdt.log 2>&1 || \
	    { cat $(B)/acpi/dsdt.log; exit 1; }

$(B)/vmm/acpi/acpi.o: HVK_CFLAGS += -I$(B)/acpi
$(B)/vmm/acpi/acpi.o: $(B)/acpi/dsdt.hex

-include $(VMM_OBJS:.o=.d)

vmm: $(B)/bin/hvk
.PHONY: vmm

# The guest that misbehaves, and the test that runs the host against it.
VMM_TESTS := $(patsubst vmm/tests/%.c,%,$(wildcard vmm/tests/*_test.c))
TEST_PROGRAMS += $(VMM_TESTS:%=$(B)/tests/vmm/%)

# Tests of parts of hvk link those parts; the others run hvk itself.
BOOT_TESTS := boot_test acpi_test
BOOT_PARTS := $(patsubst %.c,$(B)/%.o,$(wildcard vmm/boot/*.c vmm/acpi/*.c)) \
		$(B)/vmm/mem.o $(B)/vmm/log.o
$(BOOT_TESTS:%=$(B)/tests/vmm/%): $(B)/tests/vmm/%: vmm/tests/%.c \
		vmm/tests/boot_rig.h $(BOOT_PARTS)
	@mkdir -p $(@D)
	$(CC) $(HVK_CFLAGS) -Ivmm/include -o $@ $< $(BOOT_PARTS) -latf-c -pthread

DEV_PARTS := $(patsubst %,$(B)/vmm/dev/%.o,ioapic ports power rtc uart)
$(B)/tests/vmm/dev_test: vmm/tests/dev_test.c $(DEV_PARTS)
	@mkdir -p $(@D)
	$(CC) $(HVK_CFLAGS) -Ivmm/include -Ivmm -o $@ $^ -latf-c -pthread

HVK_TESTS := $(filter-out $(BOOT_TESTS) dev_test,$(VMM_TESTS))
$(HVK_TESTS:%=$(B)/tests/vmm/%): $(B)/tests/vmm/%: vmm/tests/%.c \
		$(B)/tests/vmm/fakekld $(B)/bin/hvk
	@mkdir -p $(@D)
	$(CC) $(HVK_CFLAGS) -DHVK_BUILD='"$(abspath $(B))"' -o $@ $< -latf-c

$(B)/tests/vmm/fakekld: vmm/tests/fakekld.c vmm/tests/fakeguest.h \
		vmm/include/hvk/kld.h
	@mkdir -p $(@D)
	$(CC) $(HVK_CFLAGS) -Ivmm/include -o $@ $<

$(B)/tests/vmm/net_hostile_test $(B)/tests/vmm/net_pair_test: \
		$(B)/tests/vmm/fakenet vmm/tests/netrig.h
$(B)/tests/vmm/fakenet: vmm/tests/fakenet.c vmm/tests/fakenet_hostile.c \
		vmm/tests/fakenet.h vmm/tests/fakeguest.h $(B)/lib/libhvk.a
	@mkdir -p $(@D)
	$(CC) $(HVK_CFLAGS) -Ivmm/include -o $@ $(filter %.c %.a,$^)

# The loader against any file.
FUZZERS += $(B)/fuzz/boot_fuzz
$(B)/fuzz/boot_fuzz: vmm/fuzz/boot_fuzz.c $(wildcard vmm/boot/*.c \
		vmm/boot/*.h vmm/acpi/*.c) vmm/mem.c vmm/log.c $(B)/acpi/dsdt.hex
	@mkdir -p $(@D)
	$(CLANG) $(HVK_CFLAGS) -Ivmm/include -I$(B)/acpi $(CORE_FUZZ_FLAGS) \
	    -fsanitize=fuzzer -o $@ $(filter %.c,$^) -pthread

# The kvm engine's devices against any guest.
FUZZERS += $(B)/fuzz/dev_fuzz
$(B)/fuzz/dev_fuzz: vmm/fuzz/dev_fuzz.c $(patsubst %,vmm/dev/%.c,ioapic \
		ports power rtc uart)
	@mkdir -p $(@D)
	$(CLANG) $(HVK_CFLAGS) -Ivmm/include -Ivmm $(CORE_FUZZ_FLAGS) \
	    -fsanitize=fuzzer -o $@ $^ -pthread

# A guest of a few instructions for the kvm engine's own test.
$(B)/tests/vmm/kvm_test: $(B)/tests/vmm/kvm_guest
$(B)/tests/vmm/kvm_guest: vmm/tests/kvm_guest.c vmm/tests/kvm_guest.ld
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -O1 -Wall -Wextra -Werror -Icore/include -m32 \
	    -march=i686 -mgeneral-regs-only -ffreestanding -fno-pic -no-pie \
	    -fno-stack-protector -fno-asynchronous-unwind-tables \
	    -fcf-protection=none -nostdlib -static -Wl,--build-id=none \
	    -Wl,-T,vmm/tests/kvm_guest.ld -o $@ $<

# Frames that a guest or a network may send.
FUZZERS += $(B)/fuzz/net_frame_fuzz
$(B)/fuzz/net_frame_fuzz: vmm/fuzz/net_frame_fuzz.c vmm/backend/net.c \
		vmm/backend/net_frame.c vmm/backend/net_tap.c \
		vmm/backend/net_slirp.c vmm/backend/net_pair.c vmm/log.c
	@mkdir -p $(@D)
	$(CLANG) $(HVK_CFLAGS) -Ivmm/include -Ivmm $(CORE_FUZZ_FLAGS) \
	    -fsanitize=fuzzer -o $@ $(filter %.c,$^) -ljansson -lslirp -pthread
