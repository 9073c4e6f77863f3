/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * lsvmbus_fuzz.c: lsvmbus(8): names and values of the sysctl tree of any
 * content, and what is printed of them: text, and JSON that a parser takes.
 * Input: lines "name: value".
 */

#include <sys/mman.h>

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bus.h"

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static FILE *out;

static void
fill(struct bus *b, char *text)
{
	char *line, *value;

	while ((line = strsep(&text, "\n")) != NULL) {
		value = strstr(line, ": ");
		if (value == NULL)
			continue;
		*value = '\0';
		bus_value(b, line, value + 2);
	}
}

/* Shown on standard output, which is a file in memory meanwhile. */
static void
shown(const struct bus *b)
{
	json_t *j;
	int i;

	for (i = 0; i < 3; i++)
		if (!show(b, false, i))
			abort();
	if (ftruncate(STDOUT_FILENO, 0) != 0 || lseek(STDOUT_FILENO, 0,
	    SEEK_SET) != 0 || !show(b, true, 0) ||
	    lseek(STDOUT_FILENO, 0, SEEK_SET) != 0)
		abort();
	/* Counters have 64 bits, jansson's integers 63. */
	j = json_loadfd(STDOUT_FILENO, JSON_DISABLE_EOF_CHECK |
	    JSON_DECODE_INT_AS_REAL, NULL);
	if (j == NULL || (int)json_array_size(json_object_get(j,
	    "devices")) != b->count)
		abort();
	json_decref(j);
	if (ftruncate(STDOUT_FILENO, 0) != 0 ||
	    lseek(STDOUT_FILENO, 0, SEEK_SET) != 0)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bus b;
	char *text;
	int fd;

	if (out == NULL) {
		fd = memfd_create("stdout", MFD_CLOEXEC);
		if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0)
			abort();
		close(fd);
		out = stdout;
	}
	text = malloc(size + 1);
	if (text == NULL)
		return (0);
	memcpy(text, data, size);
	text[size] = '\0';
	memset(&b, 0, sizeof(b));
	fill(&b, text);
	bus_sort(&b);
	shown(&b);
	bus_free(&b);
	free(text);
	return (0);
}
