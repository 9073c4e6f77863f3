# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# bench-hn: instructions for each frame through hn(4), as FreeBSD would run it.

BENCH_HN := $(B)/bench/hn

$(BENCH_HN)/hnbench.ko: bench/hn/hnbench.c bench/hn/hnbench.h \
		sys/dev/hyperv/vmbus/vmbus_var.h | cross-headers
	@mkdir -p $(@D)
	$(CLANG) $(KLDTEST_CFLAGS) -Icore/include -Isys/dev/hyperv/include \
	    -Isys/dev/hyperv/vmbus -c -o $@ $<

.PHONY: bench-hn
bench: bench-hn
bench-hn: $(B)/bin/hvk $(B)/bin/kldrun $(BENCH_HN)/hnbench.ko modules-amd64
	@bench/hn/run.sh $(B)
