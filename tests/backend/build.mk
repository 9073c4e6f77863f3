# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# Tests of the back-ends of disks, with the back-ends alone.

BACKEND_TEST := $(B)/tests/backend/backend_test
TEST_PROGRAMS += $(BACKEND_TEST)

$(BACKEND_TEST): tests/backend/backend_test.c vmm/log.c \
		$(wildcard vmm/backend/*.c vmm/backend/*.h) \
		vmm/include/hvk/backend.h
	@mkdir -p $(@D)
	$(CC) $(HVK_CFLAGS) -Ivmm/include -Ivmm -fsanitize=address,undefined \
	    -fno-sanitize-recover=all -o $@ $(filter %.c,$^) -latf-c \
	    -ljansson -lnbd -luring -lpthread
