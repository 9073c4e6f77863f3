# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# kldrun: two worlds in one program. kern/*.c (and the files directly in
# kldrun/ except nbd*.c) are FreeBSD kernel code; linux/*.c and nbd*.c are
# Linux code. The FreeBSD half is linked into one object whose symbols get the
# prefix kpi_, so that its malloc, printf, ... do not meet the C library's;
# the same list of names becomes the table against which modules are linked.

KLD :=		$(B)/kldrun
KLD_KERN_SRC :=	$(wildcard kldrun/kern/*.c) \
		$(filter-out kldrun/nbd%.c,$(wildcard kldrun/*.c))
KLD_LINUX_SRC := $(wildcard kldrun/linux/*.c) $(wildcard kldrun/nbd*.c)
KLD_KERN_OBJ :=	$(patsubst kldrun/%.c,$(KLD)/%.o,$(KLD_KERN_SRC)) \
		$(KLD)/if/device_if.o $(KLD)/if/bus_if.o
KLD_LINUX_OBJ := $(patsubst kldrun/%.c,$(KLD)/%.o,$(KLD_LINUX_SRC)) \
		$(KLD)/linux/stub.o
# Library functions whose meaning is the same on both systems.
KLD_LIBC :=	memcpy memmove memset memcmp memchr bcmp bcopy bzero \
		explicit_bzero strlen strnlen strcmp strncmp strcasecmp \
		strncasecmp strchr strrchr strstr strcpy strncpy strcat \
		strsep bsearch

KLD_SAN ?=
KLD_KERN_CFLAGS := $(FBSD_DEFS) -DINVARIANT_SUPPORT -std=gnu17 -O2 -g -fno-pic -mcmodel=small \
		-fno-strict-aliasing -fno-common -fno-omit-frame-pointer \
		-Wall -Wextra -Werror -Wno-unused-parameter \
		-Wno-sign-compare -Wno-missing-field-initializers \
		-Wno-pointer-sign -Wno-gnu -Wno-address-of-packed-member \
		-Wno-unused-command-line-argument \
		-Ikldrun/include -Ikldrun/kern $(FBSD_INCLUDES)
KLD_LINUX_CFLAGS := $(HVK_CFLAGS) -fno-pie -fno-omit-frame-pointer \
		-Ikldrun/include -Ivmm/include

PROGRAMS +=	$(B)/bin/kldrun
LINT_C +=	$(wildcard kldrun/linux/*.c)

$(KLD)/kern/%.o: kldrun/kern/%.c | cross-headers
	@mkdir -p $(@D)
	$(CLANG) $(KLD_KERN_CFLAGS) -MMD -MP -c -o $@ $<

$(KLD)/if/%.o: $(B)/cross/if/%.c | cross-headers
	@mkdir -p $(@D)
	$(CLANG) $(KLD_KERN_CFLAGS) -c -o $@ $<

$(KLD)/nbd%.o: kldrun/nbd%.c
	@mkdir -p $(@D)
	$(CC) $(KLD_LINUX_CFLAGS) -MMD -MP -c -o $@ $<

$(KLD)/linux/%.o: kldrun/linux/%.c
	@mkdir -p $(@D)
	$(CC) $(KLD_LINUX_CFLAGS) -MMD -MP -c -o $@ $<

$(KLD)/linux/%.o: kldrun/linux/%.S
	@mkdir -p $(@D)
	$(CC) $(KLD_LINUX_CFLAGS) -c -o $@ $<

$(KLD)/%.o: kldrun/%.c | cross-headers
	@mkdir -p $(@D)
	$(CLANG) $(KLD_KERN_CFLAGS) -MMD -MP -c -o $@ $<

$(KLD)/kpi.o: $(KLD_KERN_OBJ)
	ld -r -o $@.tmp $(KLD_KERN_OBJ)
	nm --defined-only -g $@.tmp | awk '$$3 !~ /^(kld_|__start_|__stop_)/ \
	    { print $$3 }' | LC_ALL=C sort -u > $(KLD)/exports
	sed 's/.*/& kpi_&/' $(KLD)/exports > $(KLD)/renames
	objcopy --redefine-syms=$(KLD)/renames $@.tmp $@
	@rm -f $@.tmp

$(KLD)/exports.c: $(KLD)/kpi.o kldrun/build.mk
	{ echo '/* Made by kldrun/build.mk: do not edit. */'; \
	  echo '#include "kld.h"'; \
	  sed 's/.*/extern char kpi_&[];/' $(KLD)/exports; \
	  echo 'const struct kld_export kld_exports[] = {'; \
	  sed 's/.*/	{ "&", kpi_& },/' $(KLD)/exports; \
	  echo '};'; \
	  echo 'const os_u64 kld_nexports = sizeof(kld_exports) /'; \
	  echo '    sizeof(kld_exports[0]);'; } > $@

$(KLD)/exports.o: $(KLD)/exports.c
	$(CC) -std=c11 -O1 -fno-pie -Ikldrun/include -c -o $@ $<

$(KLD)/libc.c: kldrun/build.mk
	@mkdir -p $(@D)
	{ echo '/* Made by kldrun/build.mk: do not edit. */'; \
	  echo '#include <string.h>'; echo '#include <strings.h>'; \
	  echo '#include <stdlib.h>'; echo '#include "kld.h"'; \
	  echo 'const struct kld_export kld_libc[] = {'; \
	  for f in $(KLD_LIBC); do \
		echo "	{ \"$$f\", (void *)$$f },"; done; \
	  echo '	{ 0, 0 } };'; } > $@

$(KLD)/libc.o: $(KLD)/libc.c
	$(CC) -std=gnu11 -O1 -fno-pie -Ikldrun/include -c -o $@ $<

$(B)/bin/kldrun: $(KLD_LINUX_OBJ) $(KLD)/kpi.o $(KLD)/exports.o $(KLD)/libc.o
	@mkdir -p $(@D)
	$(CC) -no-pie $(KLD_SAN) -o $@ $^ -ljansson -lpthread

# The same with AddressSanitizer's run-time library, for modules-asan; linked
# in, so that modules below 2 GiB reach it.
$(B)/bin/kldrun-asan: $(KLD_LINUX_OBJ) $(KLD)/kpi.o $(KLD)/exports.o \
		$(KLD)/libc.o
	@mkdir -p $(@D)
	$(CC) -no-pie -fsanitize=address -static-libasan -rdynamic -o $@ $^ \
	    -ljansson -lpthread

-include $(KLD_KERN_OBJ:.o=.d) $(KLD_LINUX_OBJ:.o=.d)

# Tests: a module of our own, in three builds, and the program that runs them.
KLDTEST :=	$(B)/tests/kldrun
KLDTEST_CFLAGS := $(FBSD_DEFS) -std=gnu17 -O2 -g -mcmodel=kernel -mno-red-zone \
		-mno-mmx -mno-sse -msoft-float -fno-pic -fno-common \
		-fno-omit-frame-pointer -Wall -Wextra -Werror \
		-Wno-unused-parameter -Wno-missing-field-initializers \
		-Wno-pointer-sign -Wno-gnu $(FBSD_INCLUDES)
KLDTEST_MODS :=	$(KLDTEST)/kldtest.ko $(KLDTEST)/missing.ko \
		$(KLDTEST)/depends.ko $(KLDTEST)/asan.ko
TEST_PROGRAMS += $(KLDTEST)/kldrun_test $(KLDTEST)/cdev_test \
		$(KLDTEST)/iface_test

$(KLDTEST)/missing.ko: KLDTEST_CFLAGS += -DKLDTEST_MISSING
$(KLDTEST)/asan.ko: KLDTEST_CFLAGS += -fsanitize=kernel-address \
		-mllvm -asan-instrumentation-with-call-threshold=0 \
		-mllvm -asan-globals=0 -mllvm -asan-stack=0
$(KLDTEST)/depends.ko: KLDTEST_CFLAGS += -DKLDTEST_DEPENDS
$(KLDTEST_MODS): tests/kldrun/kldtest.c | cross-headers
	@mkdir -p $(@D)
	$(CLANG) $(KLDTEST_CFLAGS) -c -o $@ $<

$(KLDTEST)/kldrun_test: tests/kldrun/kldrun_test.c $(KLDTEST_MODS) \
		$(B)/bin/kldrun $(B)/bin/kldrun-asan
	$(CC) $(HVK_CFLAGS) -DKLDRUN='"$(CURDIR)/$(B)/bin/kldrun"' \
	    -DMODDIR='"$(CURDIR)/$(KLDTEST)"' -o $@ $< -latf-c

$(KLDTEST)/cdevtest.ko: tests/kldrun/cdevtest.c | cross-headers
	@mkdir -p $(@D)
	$(CLANG) $(KLDTEST_CFLAGS) -c -o $@ $<

$(KLDTEST)/cdev_test: tests/kldrun/cdev_test.c usr.sbin/hyperv/lib/device.c \
		$(KLDTEST)/cdevtest.ko $(B)/bin/kldrun
	$(CC) $(HVK_CFLAGS) -Iusr.sbin/hyperv/lib -Ikldrun/include \
	    -DKLDRUN='"$(CURDIR)/$(B)/bin/kldrun"' \
	    -DMODDIR='"$(CURDIR)/$(KLDTEST)"' -o $@ $(filter %.c,$^) -latf-c

$(KLDTEST)/nettest.ko: tests/kldrun/nettest.c | cross-headers
	@mkdir -p $(@D)
	$(CLANG) $(KLDTEST_CFLAGS) -c -o $@ $<

$(KLDTEST)/iface_test: tests/kldrun/iface_test.c $(KLDTEST)/nettest.ko \
		$(B)/bin/kldrun
	$(CC) $(HVK_CFLAGS) -DKLDRUN='"$(CURDIR)/$(B)/bin/kldrun"' \
	    -DMODDIR='"$(CURDIR)/$(KLDTEST)"' -o $@ $< -latf-c

# A character device of kldrun's as one of Linux's, by CUSE.
PROGRAMS +=	$(B)/bin/kldcuse
$(B)/bin/kldcuse: kldrun/cuse/main.c usr.sbin/hyperv/lib/device.c \
		usr.sbin/hyperv/lib/device.h kldrun/include/kdev.h
	@mkdir -p $(@D)
	$(CC) $(HVK_CFLAGS) -D_FILE_OFFSET_BITS=64 -isystem /usr/include/fuse3 \
	    -Iusr.sbin/hyperv/lib -Ikldrun/include -o $@ $(filter %.c,$^) \
	    -lfuse3 -lpthread

TEST_PROGRAMS += $(KLDTEST)/cuse_test
$(KLDTEST)/cuse_test: tests/kldrun/cuse_test.c $(KLDTEST)/cdevtest.ko \
		$(B)/bin/kldrun $(B)/bin/kldcuse
	$(CC) $(HVK_CFLAGS) -DKLDRUN='"$(CURDIR)/$(B)/bin/kldrun"' \
	    -DKLDCUSE='"$(CURDIR)/$(B)/bin/kldcuse"' \
	    -DMODDIR='"$(CURDIR)/$(KLDTEST)"' -o $@ $< -latf-c
