# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# build/fbsd/init: the one program of a FreeBSD guest's memory root, built here
# with FreeBSD's headers and no library.

FBSD_INIT_SRCS := $(wildcard tests/fbsd/*.c)
FBSD_INIT_OBJS := $(FBSD_INIT_SRCS:tests/fbsd/%.c=$(B)/fbsd/%.o)
FBSD_INIT_CFLAGS := -target x86_64-unknown-freebsd13.2 -std=c11 -O2 -Wall \
		-Wextra -Werror -Wmissing-prototypes -ffreestanding \
		-fno-stack-protector -fno-pic -fno-asynchronous-unwind-tables \
		-mgeneral-regs-only -nostdinc \
		-isystem $(FBSD_HEADERS)/x86_64-freebsd-none \
		-isystem $(FBSD_HEADERS)/generic-freebsd

PROGRAMS +=	$(B)/fbsd/init

$(B)/fbsd/%.o: tests/fbsd/%.c | cross-headers
	@mkdir -p $(@D)
	$(CLANG) $(FBSD_INIT_CFLAGS) -MMD -c -o $@ $<

$(B)/fbsd/init: $(FBSD_INIT_OBJS)
	ld.lld -m elf_x86_64_fbsd -static --build-id=none -e _start -o $@ $^

-include $(wildcard $(FBSD_INIT_OBJS:.o=.d))
