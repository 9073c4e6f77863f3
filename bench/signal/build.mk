# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# bench-signal: the network's two machines in two processes, one of which sleeps.

BENCH_SIGNAL := $(B)/bench/obj/signal
BENCH_SIGNAL_OBJS := $(patsubst %.c,$(BENCH_SIGNAL)/%.o,\
	$(wildcard bench/signal/*.c))

$(BENCH_SIGNAL)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(HVK_CFLAGS) -MMD -MP -c -o $@ $<

$(B)/bench/bin/signal: $(BENCH_SIGNAL_OBJS) $(B)/lib/libhvk.a
	@mkdir -p $(@D)
	$(CC) -o $@ $^ -ljansson -lm

.PHONY: bench-signal
bench: bench-signal
bench-signal: $(B)/bench/bin/signal
	@echo "Signals: one queue, two processes, load $$(cut -d' ' -f1-3 /proc/loadavg)"
	@mkdir -p $(B)/bench
	@$< $(B)/bench $${BENCH_ROUNDS:-15} $${BENCH_SECONDS:-0.2}

-include $(BENCH_SIGNAL_OBJS:.o=.d)
