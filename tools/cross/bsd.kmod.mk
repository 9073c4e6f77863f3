# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# A stand-in for FreeBSD's bsd.kmod.mk, so that the Makefiles under
# sys/modules cross-build on Linux as they are.  It takes from a Makefile what
# FreeBSD's takes (KMOD, SRCS, CFLAGS, .PATH, EXPORT_SYMS) and makes what
# FreeBSD's makes: a relocatable object on amd64, a shared object elsewhere.
# Only the headers named in SRCS exist, as on FreeBSD.
#
# It is told by make(1) variables where things are:
#	CROSS		this directory
#	FBSD_HEADERS	libc/include of the npm package that has the headers
#	CK_HEADERS	the directory of ck_queue.h
#	MACHINE, MACHINE_CPUARCH, TRIPLE
#	SAN		empty, or "address"
# Source of facts: sys/conf/kern.mk and sys/conf/kmod.mk of FreeBSD 13 and 15.

FREEBSD_VERSION?=	1500068

ZIGARCH.amd64=	x86_64
ZIGARCH.i386=	x86
ZIGARCH.arm64=	aarch64
EMULATION.amd64= elf_x86_64_fbsd
EMULATION.i386=	elf_i386_fbsd
EMULATION.arm64= aarch64elf

# No -fstack-protector: clang 14 reaches the guard through a GOT, for which
# link_elf_obj(9) has no relocation on amd64.
CFLAGS+=	-std=gnu17 -O2 -g -pipe -target ${TRIPLE} -nostdinc \
		-D__FreeBSD_version=${FREEBSD_VERSION} -D_KERNEL -DKLD_MODULE \
		-include opt_global.h -I. -I${CROSS}/include \
		-I${CROSS}/include/${MACHINE} \
		-isystem ${FBSD_HEADERS}/${ZIGARCH.${MACHINE}}-freebsd-none \
		-isystem ${FBSD_HEADERS}/generic-freebsd \
		-isystem ${CK_HEADERS} \
		-ffreestanding -fwrapv -fno-common -fno-strict-aliasing \
		-fno-omit-frame-pointer -mno-omit-leaf-frame-pointer \
		-fdebug-prefix-map=${HVK_TOP}=.
CFLAGS+=	-Werror -Wall -Wextra -Wredundant-decls -Wnested-externs \
		-Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
		-Wcast-qual -Wundef -Wno-pointer-sign \
		-D__printf__=__freebsd_kprintf__ -Wno-format-zero-length \
		-Wno-address-of-packed-member -Wno-missing-field-initializers

.if ${MACHINE} == "amd64"
CFLAGS+=	-mcmodel=kernel -mno-red-zone -mno-mmx -mno-sse -mno-avx \
		-mno-aes -msoft-float -fno-asynchronous-unwind-tables
.elif ${MACHINE} == "i386"
CFLAGS+=	-march=i686 -mno-mmx -mno-sse -mno-avx -mno-aes -msoft-float
.else
CFLAGS+=	-mgeneral-regs-only -ffixed-x18 -fPIC
.endif

# Every check is a call, so that the program which loads the module supplies
# the sanitizer's memory of what may be touched.
.if ${SAN:U} == "address"
SANITIZE=	-fsanitize=kernel-address \
		-mllvm -asan-instrumentation-with-call-threshold=0 \
		-mllvm -asan-globals=0 -mllvm -asan-stack=0
.endif

OBJS+=		${SRCS:N*.h:N*.inc:R:S/$/.o/g}
GENERATED=	${SRCS:M*_if.[ch]} ${SRCS:Mopt_*.h} ${DPSRCS:M*.inc} \
		${SRCS:M*.inc} opt_global.h

all: ${KMOD}.ko

${OBJS}: ${GENERATED:N*.c}

opt_global.h:
	printf '#define SMP 1\n#define VIMAGE 1\n' >${.TARGET}

.for _h in ${SRCS:Mopt_*.h:Nopt_global.h}
${_h}:
	:>${.TARGET}
.endfor

.for _i in ${SRCS:M*_if.[ch]}
${_i}: ${CROSS}/kobj.awk ${CROSS}/if/${_i:C/_if\..$//}.desc
	${AWK} -v kind=${_i:E} -f ${CROSS}/kobj.awk \
	    ${CROSS}/if/${_i:C/_if\..$//}.desc >${.TARGET}.tmp
	mv ${.TARGET}.tmp ${.TARGET}
.endfor

# Offsets for assembler: the compiler prints each as text, awk makes #defines.
assym.inc: ${CROSS}/assym.c opt_global.h ${GENERATED:M*_if.h}
	${CC} ${CFLAGS} -S \
	    -o assym.s ${CROSS}/assym.c
	${AWK} '$$1 == "#assym" { print "#define", $$2, $$3 }' assym.s >${.TARGET}.tmp
	mv ${.TARGET}.tmp ${.TARGET}

.c.o:
	${CC} ${CFLAGS} ${SANITIZE} -MMD -c ${.IMPSRC} -o ${.TARGET}
.S.o:
	${CC} ${CFLAGS} -x assembler-with-cpp \
	    -DLOCORE -D__ASSEMBLER__ -MMD -c ${.IMPSRC} -o ${.TARGET}

EXPORT_SYMS?=	NO
.if ${MACHINE} == "amd64"
RELOCATABLE=	${KMOD}.ko
.else
RELOCATABLE=	${KMOD}.kld
${KMOD}.ko: ${RELOCATABLE}
	${LD} -m ${EMULATION.${MACHINE}} -Bshareable -znotext -znorelro \
	    --build-id=sha1 -o ${.TARGET} ${RELOCATABLE}
.endif

# Unless the module exports them all, its global symbols become local.
${RELOCATABLE}: ${OBJS}
	${LD} -m ${EMULATION.${MACHINE}} -warn-common -r -o ${.TARGET}.tmp ${OBJS}
.if ${EXPORT_SYMS} != "YES"
	${OBJCOPY} -w -L '*' ${.TARGET}.tmp
.endif
	mv ${.TARGET}.tmp ${.TARGET}

.for _o in ${OBJS}
.if exists(${.OBJDIR}/${_o:R}.d)
.include "${.OBJDIR}/${_o:R}.d"
.endif
.endfor
