/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * netconf_fuzz.c: hv_netconf, which is root, against a hv_kvp_daemon that is no
 * longer ours: requests of any content, and files of rc.conf(5) and of name
 * servers of any content, in a system that has no program to run. Input: an
 * adapter's choice, two bytes of length and rc.conf, and for each request:
 * operation, length (2 bytes), the body.
 */

#include <sys/stat.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "iface.h"
#include "log.h"
#include "rcfile.h"
#include "request.h"
#include "tree.h"

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);


static void
setup(void)
{
	char path[96];

	tree_begin("hvnetconf");
	snprintf(path, sizeof(path), "%s/etc", tree);
	if (mkdir(path, 0700) != 0)
		abort();
	iface_root = tree;
}

static void
line(void *arg, const struct rc_line *r)
{
	(void)arg;
	if (memchr(r->key, '\0', sizeof(r->key)) == NULL ||
	    memchr(r->value, '\0', sizeof(r->value)) == NULL ||
	    r->key[0] == '\0' || strchr(r->value, '\n') != NULL ||
	    (r->plain && strpbrk(r->value, "$`\\\"'") != NULL))
		abort();
}

static size_t
put_files(const uint8_t *data, size_t size)
{
	static const char *const names[] = { "rc.conf", "resolv.conf" };
	char path[96];
	size_t i, len;
	FILE *f;

	if (size < 2)
		return (size);
	len = (size_t)data[0] << 8 | data[1];
	if (len > size - 2)
		len = size - 2;
	for (i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/etc/%s", tree, names[i]);
		f = fopen(path, "w");
		if (f == NULL || fwrite(data + 2, 1, len, f) != len)
			abort();
		fclose(f);
		if (rc_each(path, line, NULL) != 0)
			abort();
	}
	return (2 + len);
}

/* Text ends; what is no operation is refused. */
static void
check(uint32_t op, const struct netconf_msg *m)
{
	switch (op) {
	case NETCONF_ADDRESSES4:
	case NETCONF_ADDRESSES6:
		if (memchr(m->u.text, '\0', sizeof(m->u.text)) == NULL)
			abort();
		break;
	case NETCONF_GET:
		break;
	case NETCONF_SET:
		/* There is nothing here that could do it. */
		if (m->status == HV_KVP_S_OK)
			abort();
		break;
	default:
		if (m->status != HV_KVP_E_NOT_SUPPORTED)
			abort();
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct netconf_msg m;
	struct iface_state s;
	size_t at, len;
	uint32_t op;

	if (tree[0] == '\0')
		setup();
	at = put_files(data, size);
	iface_state("hn0", &s);
	if (s.ndns < 0 || s.ndns > PLAN_DNS)
		abort();
	while (size - at >= 3) {
		op = data[at];
		/* The name is the resolver's, which is none of ours. */
		if (op == NETCONF_FQDN)
			op = 0x80000000;
		len = (size_t)data[at + 1] << 8 | data[at + 2];
		at += 3;
		if (len > size - at)
			len = size - at;
		memset(&m, 0, sizeof(m));
		m.op = op;
		m.serial = 7;
		memcpy(&m.u, data + at, len < sizeof(m.u) ? len : sizeof(m.u));
		at += len;
		request_answer(&m);
		if (m.op != op || m.serial != 7)
			abort();
		check(op, &m);
	}
	return (0);
}
