# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# Benchmarks.  Each area has a target bench-<area> that writes
# build/bench/<area>.json and prints its figures beside their targets; "make
# bench" runs them all and plots.  Nothing here fails a build for being slow.

BENCH_CFLAGS :=	-O2 -g -march=x86-64-v2 -fno-strict-aliasing -D_GNU_SOURCE
BENCH_RING := $(B)/bench/obj/ring
BENCH_RING_OBJS := $(addprefix $(BENCH_RING)/,main.o ring_hvk.o ring_rte.o \
		ring_ck.o ring_boost.o ring.o packet.o)

.PHONY: bench bench-ring bench-plot
bench: bench-ring
	@bench/plot.sh $(B)/bench

bench-plot:
	@bench/plot.sh $(B)/bench

bench-ring: $(B)/bench/bin/ring
	@bench/ring/run.sh $< $(B)/bench

$(B)/bench/bin/ring: $(BENCH_RING_OBJS)
	@mkdir -p $(@D)
	$(CXX) -o $@ $^ -lrte_ring -lrte_eal -pthread

$(BENCH_RING)/ring_rte.o: bench/ring/ring_rte.c bench/ring/ring.h
	@mkdir -p $(@D)
	$(CC) -std=gnu11 $$(pkg-config --cflags libdpdk) $(BENCH_CFLAGS) \
	    -c -o $@ $<

$(BENCH_RING)/ring_boost.o: bench/ring/ring_boost.cc bench/ring/ring.h
	@mkdir -p $(@D)
	$(CXX) $(BENCH_CFLAGS) -c -o $@ $<

$(BENCH_RING)/%.o: bench/ring/%.c bench/ring/ring.h core/include/hvk/ring.h
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -Wall -Wextra -Werror $(BENCH_CFLAGS) -Icore/include \
	    -c -o $@ $<

$(BENCH_RING)/%.o: core/common/%.c core/include/hvk/ring.h
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -Wall -Wextra -Werror $(BENCH_CFLAGS) -Icore/include \
	    -c -o $@ $<

-include bench/storage/build.mk
-include bench/net/build.mk
-include bench/hn/build.mk
-include bench/signal/build.mk
