# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# bench-net: the guest's and the host's network machines against DPDK's testpmd
# (vhost-user with virtio-user, and memif).

BENCH_NET := $(B)/bench/obj/net
BENCH_NET_OBJS := $(patsubst %.c,$(BENCH_NET)/%.o,$(wildcard bench/net/*.c) \
	$(wildcard core/common/*.c) \
	$(wildcard core/guest/netvsc*.c core/host/netvsp*.c))

$(BENCH_NET)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -Wall -Wextra -Werror $(BENCH_CFLAGS) -Icore/include \
	    -MMD -MP -c -o $@ $<

$(B)/bench/bin/net: $(BENCH_NET_OBJS)
	@mkdir -p $(@D)
	$(CC) -o $@ $^

.PHONY: bench-net
bench: bench-net
bench-net: $(B)/bench/bin/net
	@bench/net/run.sh $< $(B)/bench

-include $(BENCH_NET_OBJS:.o=.d)
