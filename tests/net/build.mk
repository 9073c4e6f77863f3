# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# What the whole-system tests of the network send frames with.

$(B)/tests/net/frames: tests/net/frames.c
	@mkdir -p $(@D)
	$(CC) $(HVK_CFLAGS) -o $@ $<

PROGRAMS +=	$(B)/tests/net/frames
LINT_C +=	tests/net/frames.c

$(B)/tests/e2e/hn_test: | $(B)/tests/net/frames
