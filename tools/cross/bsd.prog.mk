# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# A stand-in for FreeBSD's bsd.prog.mk: PROG from SRCS with CFLAGS and LIBADD,
# for TRIPLE, by the compiler in CC; CROSSLIB has what its libc does not. Nothing
# is installed.

.if exists(${.CURDIR}/../Makefile.inc)
.include "${.CURDIR}/../Makefile.inc"
.endif

CROSSINC:= ${.PARSEDIR}
.if !empty(LIBADD:Mxo)
CFLAGS+= -I${CROSSINC}/xo
.endif
CFLAGS+= -target ${TRIPLE} -std=c11 -O2 -Wall -Wextra -Werror
CFLAGS+= -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith
CFLAGS+= -Wno-address-of-packed-member
# What FreeBSD's WARNS=6 adds, as errors too.
CFLAGS+= -Wcast-qual -Wwrite-strings -Wshadow -Wcast-align -Wredundant-decls
OBJS=	${SRCS:.c=.o}

all: ${PROG} ${INCS}

.SUFFIXES: .c .o
.c.o:
	${CC} ${CFLAGS} -c -o ${.TARGET} ${.IMPSRC}

${PROG}: ${OBJS}
	${CC} -target ${TRIPLE} -o ${.TARGET} ${OBJS} -L${CROSSLIB} \
	    ${LIBADD:@l@-l${l}@}
