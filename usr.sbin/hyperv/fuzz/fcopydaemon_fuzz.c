/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * fcopydaemon_fuzz.c: hv_fcopy_daemon(8): messages of any content, in a
 * directory beside which nothing may appear. Input, for each message:
 * operation, flags, length of what the body begins with, and that.
 */

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "copy.h"
#include "log.h"
#include "tree.h"

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static struct places ps;
static struct copy c;

static void
setup(void)
{
	const char *where;
	char path[96];

	tree_begin("hvfcopy");
	snprintf(path, sizeof(path), "%s/in", tree);
	if (mkdir(path, 0700) != 0 ||
	    place_open(&ps, path) != 0 || place_ready(&ps, &where) != 0)
		abort();
	snprintf(path, sizeof(path), "%s/in/link", tree);
	if (symlink("..", path) != 0)
		abort();
	copy_init(&c, &ps);
}

/* Only "in" may be there. */
static void
check_outside(void)
{
	struct dirent *e;
	DIR *d;

	d = opendir(tree);
	if (d == NULL)
		abort();
	while ((e = readdir(d)) != NULL)
		if (strcmp(e->d_name, ".") != 0 &&
		    strcmp(e->d_name, "..") != 0 &&
		    strcmp(e->d_name, "in") != 0)
			abort();
	closedir(d);
}

static void
fill(struct hv_fcopy_msg *m, uint32_t op, const uint8_t *data, size_t len,
    uint8_t flags)
{
	size_t n;

	memset(m, 0, sizeof(*m));
	m->op = op;
	if (op == HV_FCOPY_START && (flags & 0x80) == 0) {
		/* name NUL path, so that paths are met often */
		n = strnlen((const char *)data, len);
		memcpy(m->u.start.name, data, n < sizeof(m->u.start.name) ?
		    n : sizeof(m->u.start.name));
		if (n < len) {
			data += n + 1;
			len -= n + 1;
			memcpy(m->u.start.path, data, len <
			    sizeof(m->u.start.path) ? len :
			    sizeof(m->u.start.path));
		}
		m->u.start.size = flags >> 2 & 15;
		m->u.start.flags = flags & 3;
		return;
	}
	memcpy(&m->u, data, len < sizeof(m->u) ? len : sizeof(m->u));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct hv_fcopy_msg m;
	size_t at, len;

	if (tree[0] == '\0')
		setup();
	for (at = 0; size - at >= 4; at += len) {
		len = (size_t)data[at + 2] << 8 | data[at + 3];
		if (len > size - at - 4)
			len = size - at - 4;
		fill(&m, data[at] & 7, data + at + 4, len, data[at + 1]);
		(void)copy_message(&c, &m);
		at += 4;
	}
	copy_abandon(&c);
	check_outside();
	return (0);
}
