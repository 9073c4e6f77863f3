# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# The probe of /dev/kvm that the nested chain asks first.

$(B)/bin/kvmprobe: tests/kernels/probe.c
	@mkdir -p $(@D)
	$(CC) $(HVK_CFLAGS) -o $@ $<

# Of the guest's image.
$(B)/kernels/twocpus: tests/kernels/twocpus.c
	@mkdir -p $(@D)
	$(CC) $(HVK_CFLAGS) -o $@ $< -lpthread

$(B)/tests/kernels/kernels_test: $(B)/bin/kvmprobe $(B)/kernels/twocpus $(B)/bin/hvk \
		$(B)/port/freestanding.elf
