# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# bench-storage: the host's own storage controller and back-ends, a client
# made of the guest's machine, and a vhost-user client for the peer.

BENCH_STOR := $(B)/bench/obj/storage
BENCH_STOR_OBJS := $(patsubst %.c,$(BENCH_STOR)/%.o,\
	$(wildcard bench/storage/*.c vmm/backend/*.c vmm/vsp/stor*.c) \
	vmm/log.c vmm/mem.c vmm/opts.c)

$(BENCH_STOR)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(HVK_CFLAGS) -Ivmm/include -Ivmm -MMD -MP -c -o $@ $<

$(B)/bench/bin/storage: $(BENCH_STOR_OBJS) $(B)/lib/libhvk.a
	@mkdir -p $(@D)
	$(CC) -o $@ $^ -ljansson -lnbd -luring -lslirp -lpthread

.PHONY: bench-storage
bench: bench-storage
bench-storage: $(B)/bench/bin/storage
	@bench/storage/run.sh $< $(B)/bench

-include $(BENCH_STOR_OBJS:.o=.d)
