# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# Cross-build the FreeBSD modules: one bmake for each Makefile under
# sys/modules/hyperv and each architecture, with the stand-in for bsd.kmod.mk.
# "make modules SAN=address" makes build/modules-asan/ (amd64) beside it.

MODULE_DIRS :=	$(patsubst %/Makefile,%,$(wildcard sys/modules/hyperv/*/Makefile))
IF_DESCS :=	$(wildcard tools/cross/if/*.desc)
IF_FILES :=	$(foreach i,$(notdir $(IF_DESCS:.desc=)),\
		$(B)/cross/if/$(i)_if.h $(B)/cross/if/$(i)_if.c)

TRIPLE.amd64 :=	x86_64-unknown-freebsd15.0
TRIPLE.i386 :=	i386-unknown-freebsd15.0
TRIPLE.arm64 :=	aarch64-unknown-freebsd15.0
CPUARCH.amd64 := amd64
CPUARCH.i386 :=	i386
CPUARCH.arm64 := aarch64

SAN ?=
MODULES_OUT :=	$(B)/modules$(if $(filter address,$(SAN)),-asan)

.PHONY: modules modules-asan cross-headers $(MODULE_ARCHES:%=modules-%)

# ck_*.h alone, so that nothing else of the host's /usr/include is seen.
$(CK_HEADERS)/ck_queue.h: tools/cross/ck.sh $(B)/deps-all.stamp
	@tools/cross/ck.sh $(CK_HEADERS)

$(B)/deps-all.stamp:
	@tools/deps.sh

$(B)/cross/if/opt_global.h:
	@mkdir -p $(@D)
	@printf '#define SMP 1\n#define VIMAGE 1\n' >$@

$(B)/cross/if/%_if.h: tools/cross/if/%.desc tools/cross/kobj.awk
	@mkdir -p $(@D)
	@awk -v kind=h -f tools/cross/kobj.awk $< >$@
$(B)/cross/if/%_if.c: tools/cross/if/%.desc tools/cross/kobj.awk
	@mkdir -p $(@D)
	@awk -v kind=c -f tools/cross/kobj.awk $< >$@

cross-headers: $(IF_FILES) $(B)/cross/if/opt_global.h $(CK_HEADERS)/ck_queue.h

ifneq ($(SAN),)
modules: modules-amd64
else
modules: $(MODULE_ARCHES:%=modules-%)
endif

modules-asan:
	@$(MAKE) --no-print-directory modules-amd64 SAN=address

define module_rules
modules-$(1): cross-headers
	@tools/cross/modules.sh $(1) $$(CPUARCH.$(1)) $$(TRIPLE.$(1)) \
	    '$$(SAN)' $$(MODULES_OUT) $$(FBSD_VERSION) $$(MODULE_DIRS)
endef
$(foreach a,$(MODULE_ARCHES),$(eval $(call module_rules,$(a))))

# The daemons for FreeBSD: build/daemons-freebsd/{amd64,arm64}.
.PHONY: daemons-freebsd
daemons-freebsd:
	@tools/deps.sh zig
	@tools/cross/daemons.sh $(B)/daemons-freebsd
