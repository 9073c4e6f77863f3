# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# The front door on FreeBSD: "make" builds the kernel modules against the
# kernel source in /usr/src (SYSDIR=... names another), "make install" puts
# them into ${KMODDIR}, "make test" runs the core's tests under kyua.
# On Linux, GNU make reads GNUmakefile instead.

SUBDIR=		sys
KMODDIR?=	/boot/modules

.export KMODDIR

test: .PHONY
	${MAKE} -C ${.CURDIR} all
	kyua test -k ${.CURDIR}/Kyuafile

.include <bsd.subdir.mk>
