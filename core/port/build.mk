# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# build/port/freestanding.elf: the guest core on a machine without a system.
# The machine layer (hyperv.c, hyperv_machdep.c) is the FreeBSD module's own;
# the kernel's headers that it asks for are empty files here, and bsd.h says what
# they would.

PORT :=		$(B)/port
PORT_DIR :=	core/port/freestanding
PORT_ELF :=	$(PORT)/freestanding.elf
PORT_CORE :=	$(wildcard core/common/*.c core/guest/*.c)
PORT_BSD :=	sys/dev/hyperv/vmbus/hyperv.c \
		sys/dev/hyperv/vmbus/x86/hyperv_machdep.c
PORT_SRCS :=	$(wildcard $(PORT_DIR)/*.c) $(PORT_CORE) $(PORT_BSD)
PORT_OBJS :=	$(PORT_SRCS:%.c=$(PORT)/obj/%.o) $(PORT)/obj/$(PORT_DIR)/start.o
PORT_EMPTY :=	hvk_compat.h sys/param.h sys/systm.h sys/kernel.h sys/bus.h \
		sys/malloc.h vm/vm.h vm/vm_extern.h vm/pmap.h \
		machine/cpufunc.h machine/cputypes.h machine/intr_machdep.h \
		machine/md_var.h machine/pmap.h machine/specialreg.h \
		x86/apicvar.h x86/x86_var.h
PORT_HEADERS :=	$(PORT)/include/.made

PORT_CFLAGS :=	-std=c11 -O2 -g -Wall -Wextra -Werror -Wstrict-prototypes \
		-Wmissing-prototypes -Wpointer-arith \
		-Wno-address-of-packed-member -fno-strict-aliasing \
		-ffreestanding -fno-pic -fno-pie -fno-stack-protector \
		-fno-asynchronous-unwind-tables -fcf-protection=none \
		-mno-red-zone -mgeneral-regs-only -Icore/include
PORT_BSD_CFLAGS := -I$(PORT_DIR) -I$(PORT)/include -Isys/dev/hyperv/vmbus \
		-include $(PORT_DIR)/bsd.h

# Only a machine of this kind can run it.
ifeq ($(shell uname -m),x86_64)
PROGRAMS +=	$(PORT_ELF)
endif

$(PORT_HEADERS): core/port/build.mk
	@mkdir -p $(addprefix $(PORT)/include/,sys vm machine x86)
	@cd $(PORT)/include && for h in $(PORT_EMPTY); do : >$$h; done
	@touch $@

$(PORT)/obj/core/port/%.o: core/port/%.c $(PORT_HEADERS)
	@mkdir -p $(@D)
	$(CC) $(PORT_CFLAGS) -I$(PORT)/include -Isys/dev/hyperv/vmbus -MMD -c -o $@ $<

$(PORT)/obj/core/port/%.o: core/port/%.S
	@mkdir -p $(@D)
	$(CC) -g -c -o $@ $<

$(PORT)/obj/core/%.o: core/%.c
	@mkdir -p $(@D)
	$(CC) $(PORT_CFLAGS) -MMD -c -o $@ $<

$(PORT)/obj/sys/%.o: sys/%.c $(PORT_HEADERS)
	@mkdir -p $(@D)
	$(CC) $(PORT_CFLAGS) $(PORT_BSD_CFLAGS) -MMD -c -o $@ $<

$(PORT_ELF): $(PORT_OBJS) $(PORT_DIR)/link.ld
	$(CC) -static -nostdlib -no-pie -Wl,-z,max-page-size=4096 \
	    -Wl,-z,noexecstack -Wl,--build-id=none -Wl,-T,$(PORT_DIR)/link.ld \
	    -o $@ $(PORT_OBJS)

.PHONY: port
port: $(PORT_ELF)

-include $(wildcard $(PORT_OBJS:.o=.d))
