# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# The daemons on Linux, where they are tested: build/daemons/NAME from each
# folder NAME and the library they share. Tests are tests/daemons/*_test.c,
# fuzz targets usr.sbin/hyperv/fuzz/*_fuzz.c; both may use every file of every
# daemon but its main.c.

HVD :=		usr.sbin/hyperv
, :=		,
HVD_DIRS :=	$(sort $(patsubst $(HVD)/%/main.c,%,$(wildcard $(HVD)/*/main.c)))
HVD_LIB :=	$(filter-out %_freebsd.c,$(wildcard $(HVD)/lib/*.c))
HVD_INC :=	-I$(HVD)/lib $(HVD_DIRS:%=-I$(HVD)/%) \
		-Isys/dev/hyperv/utilities -Ikldrun/include
HVD_CFLAGS =	$(HVK_CFLAGS) $(HVD_INC)
HVD_LIBS :=	-ljansson -lseccomp -lpthread
HVD_PROGRAMS :=	$(HVD_DIRS:%=$(B)/daemons/%)
HVD_PARTS :=	$(filter-out %/main.c %_freebsd.c,$(wildcard $(HVD)/*/*.c))
HVD_PARTS :=	$(filter-out $(HVD)/fuzz/%,$(HVD_PARTS))
HVD_TESTS :=	$(patsubst tests/daemons/%.c,$(B)/tests/daemons/%, \
		$(wildcard tests/daemons/*_test.c))
HVD_FUZZ :=	$(patsubst $(HVD)/fuzz/%.c,$(B)/fuzz/%, \
		$(wildcard $(HVD)/fuzz/*_fuzz.c))
HVD_HEADERS :=	$(wildcard $(HVD)/*/*.h sys/dev/hyperv/utilities/*.h) \
		kldrun/include/kdev.h

PROGRAMS +=	$(HVD_PROGRAMS)
TEST_PROGRAMS += $(HVD_TESTS)
FUZZERS +=	$(HVD_FUZZ)

.PHONY: daemons
daemons: $(HVD_PROGRAMS)

define hvd_program
$(B)/daemons/$(1): $(filter-out %_freebsd.c,$(wildcard $(HVD)/$(1)/*.c)) \
		$(HVD_LIB) $(HVD_HEADERS) $(2)
	@mkdir -p $$(@D)
	$$(CC) $$(HVD_CFLAGS) -DHV_LIBEXEC='"$$(CURDIR)/$$(B)/daemons"' \
	    -o $$@ $$(filter %.c,$$^) $$(HVD_LIBS)
endef
$(foreach d,$(HVD_DIRS),$(eval $(call hvd_program,$(d))))

# Modules that stand for parts of a kernel (tests/daemons/NAMEtest.c with a
# DECLARE_MODULE), built as the modules of kldrun's own tests are.
HVD_MODULES :=	$(B)/tests/daemons/ufstest.ko
$(HVD_MODULES): $(B)/tests/daemons/%.ko: tests/daemons/%.c | cross-headers
	@mkdir -p $(@D)
	$(CLANG) $(KLDTEST_CFLAGS) -c -o $@ $<

# Sanitizers make system calls that the sandbox does not have.
HVD_SAN :=	-fsanitize=address,undefined -fno-sanitize-recover=all
$(B)/tests/daemons/sandbox_test: HVD_SAN :=
$(B)/tests/daemons/%: tests/daemons/%.c core/tests/lsan.c $(HVD_PARTS) \
		$(HVD_HEADERS) \
		$(HVD_MODULES) $(B)/bin/kldrun $(HVD_PROGRAMS)
	@mkdir -p $(@D)
	$(CLANG) $(HVD_CFLAGS) -DNETCONF='"$(CURDIR)/$(B)/daemons/hv_netconf"' \
	    -DSTANDIN='"$(CURDIR)/tests/daemons/standin/record.sh"' \
	    -DKLDRUN='"$(CURDIR)/$(B)/bin/kldrun"' \
	    -DMODDIR='"$(CURDIR)/$(B)/tests/daemons"' $(HVD_SAN) \
	    -Wno-reserved-identifier -o $@ $(filter %.c,$^) $(HVD_LIBS) \
	    -latf-c

$(HVD_FUZZ): $(B)/fuzz/%: $(HVD)/fuzz/%.c $(HVD_PARTS) $(HVD_HEADERS)
	@mkdir -p $(@D)
	$(CLANG) $(HVD_CFLAGS) -O1 -fsanitize=address,undefined,fuzzer \
	    -fno-sanitize-recover=all -o $@ $(filter %.c,$^) $(HVD_LIBS)

# Programs that the tests use.
HVD_TOOLS :=	$(patsubst %.c,$(B)/%,$(wildcard tests/daemons/tools/*.c))
PROGRAMS +=	$(HVD_TOOLS) $(HVD_MODULES)
$(HVD_TOOLS): $(B)/%: %.c $(HVD)/lib/device.c $(HVD_HEADERS)
	@mkdir -p $(@D)
	$(CC) $(HVD_CFLAGS) -o $@ $(filter %.c,$^) -ljansson

# lsvmbus as on FreeBSD, by libxo: its stand-in, or LIBXO=directory of a real one.
HVD_XO :=	$(B)/tests/daemons/tools/lsvmbus-xo
PROGRAMS +=	$(HVD_XO)
$(HVD_XO): $(filter-out %_linux.c,$(wildcard $(HVD)/lsvmbus/*.c)) \
		$(HVD)/lib/sysctls_linux.c $(HVD_HEADERS) \
		$(if $(LIBXO),,tools/cross/xo/xo.c tools/cross/xo/libxo/xo.h)
	@mkdir -p $(@D)
	$(CC) $(HVD_CFLAGS) -I$(or $(LIBXO),tools/cross/xo) -o $@ \
	    $(filter %.c,$^) $(if $(LIBXO),-L$(LIBXO) -Wl$(,)-rpath$(,)$(LIBXO) \
	    -lxo) -ljansson
$(patsubst tests/%.sh,$(B)/tests/%,$(wildcard tests/daemons/*_test.sh)): | $(HVD_XO) \
		$(HVD_TOOLS) $(HVD_PROGRAMS) $(HVD_MODULES)
