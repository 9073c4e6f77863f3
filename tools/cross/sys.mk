# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# The rules that every FreeBSD Makefile may count on, reduced to what the
# stand-in for bsd.kmod.mk next to this file needs.

.SUFFIXES:	.o .c .S
CC?=		clang
AWK?=		awk
LD?=		ld.lld
OBJCOPY?=	llvm-objcopy
