# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# Tests of the back-ends of disks and of NICs, with the back-ends alone.

BACKEND_TESTS := $(B)/tests/backend/backend_test $(B)/tests/backend/netbackend_test
TEST_PROGRAMS += $(BACKEND_TESTS)

$(BACKEND_TESTS): $(B)/tests/backend/%: tests/backend/%.c vmm/log.c \
		$(wildcard vmm/backend/*.c vmm/backend/*.h) \
		vmm/include/hvk/backend.h vmm/include/hvk/netbackend.h
	@mkdir -p $(@D)
	$(CC) $(HVK_CFLAGS) -Ivmm/include -Ivmm -fsanitize=address,undefined \
	    -fno-sanitize-recover=all -o $@ $(filter %.c,$^) -latf-c \
	    -ljansson -lnbd -luring -lslirp -lpthread
