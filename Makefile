# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# The front door on FreeBSD: "make" builds the kernel modules against the
# kernel source in /usr/src (SYSDIR=... names another) and the daemons, "make
# install" puts the modules into ${KMODDIR} and the daemons, their rc.d scripts
# and devd rules where the base system has them, "make test" runs the core's
# tests under kyua.
# On Linux, GNU make reads GNUmakefile instead.

SUBDIR=		sys usr.sbin/hyperv libexec/rc sbin/devd
KMODDIR?=	/boot/modules

.export KMODDIR

test: .PHONY
	${MAKE} -C ${.CURDIR} all
	kyua test -k ${.CURDIR}/Kyuafile

.include <bsd.subdir.mk>
