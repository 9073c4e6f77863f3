/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * A disk without a medium: everything succeeds at once and reads leave the
 * buffer as it is, as the null driver of other storage daemons does.  It is
 * what the protocol costs by itself.
 *
 * Locking: none needed.
 */
#include <stdlib.h>
#include <string.h>

#include "backend_int.h"

#define	NULL_SIZE	(1ull << 40)

static void
null_close(struct backend *b)
{

	free(b);
}

static int
null_resize(struct backend *b, uint64_t size, char *err, size_t errlen)
{

	(void)err;
	(void)errlen;
	b->info.size = size;
	return (0);
}

static struct backend_queue *
null_queue_open(struct backend *b, struct backend_loop *loop, char *err,
    size_t errlen)
{
	struct backend_queue *q;

	(void)b;
	(void)loop;
	q = calloc(1, sizeof(*q));
	if (q == NULL)
		vmm_fail(err, errlen, 0, "out of memory for a null disk");
	return (q);
}

static void
null_queue_close(struct backend_queue *q)
{

	free(q);
}

static bool
null_submit(struct backend_queue *q, struct backend_io *io)
{

	(void)q;
	(void)io;
	return (true);
}

static const struct backend_ops null_ops = {
	.close = null_close,
	.resize = null_resize,
	.queue_open = null_queue_open,
	.queue_close = null_queue_close,
	.submit = null_submit,
};

struct backend *
null_open(const json_t *disk, char *err, size_t errlen)
{
	struct backend *b;
	json_int_t size;

	b = calloc(1, sizeof(*b));
	if (b == NULL || (b->path = strdup("null")) == NULL) {
		free(b);
		vmm_fail(err, errlen, 0, "out of memory for a null disk");
		return (NULL);
	}
	size = json_integer_value(json_object_get(disk, "size"));
	b->ops = &null_ops;
	b->info.kind = "null";
	b->info.size = size > 0 ? (uint64_t)size : NULL_SIZE;
	b->info.read_only = json_is_true(json_object_get(disk, "readonly"));
	b->info.discard = b->info.discard_zeroes = true;
	return (b);
}
