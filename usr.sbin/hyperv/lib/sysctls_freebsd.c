/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * sysctls_freebsd.c: sysctls.h on FreeBSD. Facts: sysctl(3), and the numbers
 * of the nodes below CTL_SYSCTL in <sys/sysctl.h>.
 */

#include <sys/types.h>
#include <sys/sysctl.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "sysctls.h"

void
sysctls_source(const char *dir)
{
	(void)dir;
}

static bool
oid_name(const int *oid, size_t n, char *name, size_t len)
{
	int q[CTL_MAXNAME + 2];

	q[0] = CTL_SYSCTL;
	q[1] = CTL_SYSCTL_NAME;
	memcpy(q + 2, oid, n * sizeof(int));
	return (sysctl(q, (u_int)n + 2, name, &len, NULL, 0) == 0);
}

static u_int
oid_kind(const int *oid, size_t n)
{
	struct {
		u_int	kind;
		char	fmt[64];
	} f;
	int q[CTL_MAXNAME + 2];
	size_t len;

	q[0] = CTL_SYSCTL;
	q[1] = CTL_SYSCTL_OIDFMT;
	memcpy(q + 2, oid, n * sizeof(int));
	len = sizeof(f);
	return (sysctl(q, (u_int)n + 2, &f, &len, NULL, 0) == 0 ? f.kind : 0);
}

static bool
oid_value(const int *oid, size_t n, char *text, size_t len)
{
	union {
		char		s[1024];
		int		i;
		long		l;
		int64_t		i64;
		uint32_t	u32;
	} v;
	size_t got;
	u_int kind;

	kind = oid_kind(oid, n) & CTLTYPE;
	got = sizeof(v) - 1;
	if (kind == CTLTYPE_NODE || kind == CTLTYPE_OPAQUE ||
	    sysctl(oid, (u_int)n, &v, &got, NULL, 0) != 0)
		return (false);
	switch (kind) {
	case CTLTYPE_STRING:
		v.s[got] = '\0';
		snprintf(text, len, "%s", v.s);
		return (true);
	case CTLTYPE_INT:
		snprintf(text, len, "%d", v.i);
		return (got == sizeof(v.i));
	case CTLTYPE_UINT:
	case CTLTYPE_U32:
		snprintf(text, len, "%" PRIu32, v.u32);
		return (got == sizeof(v.u32));
	case CTLTYPE_LONG:
		snprintf(text, len, "%ld", v.l);
		return (got == sizeof(v.l));
	case CTLTYPE_ULONG:
		snprintf(text, len, "%lu", (unsigned long)v.l);
		return (got == sizeof(v.l));
	case CTLTYPE_S64:
		snprintf(text, len, "%" PRId64, v.i64);
		return (got == sizeof(v.i64));
	case CTLTYPE_U64:
		snprintf(text, len, "%" PRIu64, (uint64_t)v.i64);
		return (got == sizeof(v.i64));
	default:
		return (false);
	}
}

int
sysctls_walk(const char *prefix, void (*fn)(void *, const char *,
    const char *), void *arg)
{
	int oid[CTL_MAXNAME], q[CTL_MAXNAME + 2];
	char name[256], value[1024];
	size_t n, len, root;

	root = CTL_MAXNAME;
	if (sysctlnametomib(prefix, oid, &root) != 0)
		return (errno);
	memcpy(q + 2, oid, root * sizeof(int));
	for (n = root;;) {
		q[0] = CTL_SYSCTL;
		q[1] = CTL_SYSCTL_NEXT;
		len = sizeof(q) - 2 * sizeof(int);
		if (sysctl(q, (u_int)n + 2, q + 2, &len, NULL, 0) != 0)
			return (errno == ENOENT ? 0 : errno);
		n = len / sizeof(int);
		if (n < root || memcmp(q + 2, oid, root * sizeof(int)) != 0)
			return (0);
		if (oid_name(q + 2, n, name, sizeof(name)) &&
		    oid_value(q + 2, n, value, sizeof(value)))
			fn(arg, name, value);
	}
}
