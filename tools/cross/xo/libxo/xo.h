/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * xo.h: declarations of the part of libxo that our programs use, for building
 * where there is no libxo (see ../xo.c). Facts: libxo(3), xo_set_style(3),
 * xo_emit(3), and the numbers of the styles in FreeBSD's own header.
 */

#ifndef CROSS_LIBXO_XO_H
#define	CROSS_LIBXO_XO_H

typedef struct xo_handle_s xo_handle_t;
typedef unsigned short xo_style_t;

#define	XO_STYLE_TEXT	0
#define	XO_STYLE_XML	1
#define	XO_STYLE_JSON	2
#define	XO_STYLE_HTML	3

int		xo_parse_args(int, char **);
void		xo_set_style(xo_handle_t *, xo_style_t);
xo_style_t	xo_get_style(xo_handle_t *);
/* ssize_t in the library. */
long		xo_emit(const char *, ...);
long		xo_open_container(const char *);
long		xo_close_container(const char *);
long		xo_open_list(const char *);
long		xo_close_list(const char *);
long		xo_open_instance(const char *);
long		xo_close_instance(const char *);
long		xo_finish(void);

#endif
